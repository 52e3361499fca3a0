# SPDX-License-Identifier: Apache-2.0
"""CloudKitty as exports see it, in memory.

It answers in the forms that CloudKitty 25.0.0 with InfluxDB 1.6.7 and
Keystone answered in on 26 November 2026, of which the texts of refusals are
copies; it keeps points as InfluxDB does: one of a time and a set of groupby
values, numbers as doubles.  No assertion belongs here.
"""

from __future__ import annotations

import dataclasses
import json
import types
from collections.abc import Callable
from typing import Any

from energy_accounting import units
from energy_accounting.exports import cloudkitty, cloudkitty_api
from tests.unit.ledger import filled

URL = 'http://rating.example:8889'
NOT_FOUND = '{"message": "No resource found for provided filters."}'
NO_V2 = """<!doctype html>
<html lang=en>
<title>404 Not Found</title>
<h1>Not Found</h1>
<p>The requested URL was not found on the server. If you entered the URL \
manually please check your spelling and try again.</p>
"""
UNAUTHORIZED = (
    '{"error": {"code": 401, "title": "Unauthorized", "message": "The '
    'request you have made requires authentication."}}')
FORBIDDEN = '{"message": "You are not authorized to perform this action"}'
BROKEN = '{"message": "Internal Server Error"}'
INVALID = (
    '{"message": "Invalid data \'{\'dataframes\': [{\'period\': {\'begin\': '
    '\'2020-01-01T00:00:00Z\'}}]}\' : not a valid value"}')


@dataclasses.dataclass
class Kitty:
    """The adapter of a session with it.

    :ivar points: (time, groupby) -> the point as it was given, and its end.
    :ivar doubles: whether its storage counts the same twice.
    :ivar refuses: (method, path) -> status and text, or None.
    :ivar after: called when a post was taken.
    """

    points: dict[Any, tuple[dict[str, Any], str]] = dataclasses.field(
        default_factory=dict)
    doubles: bool = False
    refuses: Callable[[str, str], tuple[int, str] | None] = (
        lambda method, path: None)
    after: Callable[[], object] = lambda: None
    asked: list[tuple[str, str]] = dataclasses.field(default_factory=list)
    posted: list[dict[str, Any]] = dataclasses.field(default_factory=list)

    def target(self, *, overwrites: bool = True) -> cloudkitty.Target:
        return cloudkitty.Target(
            cloudkitty_api.CloudKitty(self, URL),  # type: ignore[arg-type]
            overwrites=overwrites)

    def request(self, path: str, method: str, *, raise_exc: bool,
                params: dict[str, Any] | None = None,
                json: dict[str, Any] | None = None) -> Any:
        self.asked.append((method, path))
        refused = self.refuses(method, path)
        if refused is not None:
            return types.SimpleNamespace(status_code=refused[0],
                                         text=refused[1])
        if method == 'POST':
            self._take(json or {})
            self.posted.append(json or {})
            self.after()
            return types.SimpleNamespace(status_code=204, text='')
        return (self._summary if path.endswith('summary')
                else self._frames)(params or {})

    def _take(self, body: dict[str, Any]) -> None:
        for frame in body['dataframes']:
            begin, end = (frame['period'][name] for name in ('begin', 'end'))
            for metric, found in frame['usage'].items():
                for one in found:
                    kept = {**one, 'metric': metric,
                            'qty': float(one['vol']['qty']),
                            'price': float(one['rating']['price'])}
                    key = (filled.bucket(begin), metric, tuple(sorted(
                        one['groupby'].items())),
                        len(self.points) if self.doubles else 0)
                    self.points[key] = kept, end

    def _chosen(self, params: dict[str, Any]) -> list[Any]:
        filters = dict(one.split(':') for one
                       in params['filters'].split(','))
        start, end = (filled.bucket(params[name])
                      for name in ('begin', 'end'))
        return [(key, one, until) for key, (one, until)
                in sorted(self.points.items(), key=lambda item: item[0])
                if start <= key[0] < end and one['metric'] == filters['type']
                and one['groupby'].get('project_id')
                == filters['project_id']]

    def _summary(self, params: dict[str, Any]) -> Any:
        names = params['groupby'].split(',')
        rows: dict[Any, list[float]] = {}
        for _, one, _ in self._chosen(params):
            sums = rows.setdefault(tuple(
                one['groupby'].get(name, '') for name in names), [0.0, 0.0])
            sums[0] += one['qty']
            sums[1] += one['price']
        return _answer({'total': len(rows), 'format': 'object', 'results': [
            {'begin': params['begin'], 'end': params['end'], 'qty': qty,
             'rate': rate, **dict(zip(names, key, strict=True))}
            for key, (qty, rate) in rows.items()]})

    def _frames(self, params: dict[str, Any]) -> Any:
        found = self._chosen(params)
        if not found:
            return types.SimpleNamespace(status_code=404, text=NOT_FOUND)
        offset = params['offset']
        return _answer({'total': len(found), 'dataframes': [
            {'period': {'begin': _iso(key[0]), 'end': until.replace(
                'Z', '+00:00')},
             'usage': {one['metric']: [{
                 'vol': {'unit': one['vol']['unit'], 'qty': one['qty']},
                 'rating': {'price': one['price']},
                 # What a point was given empty comes back as nothing.
                 'groupby': {name: value or None for name, value
                             in one['groupby'].items()},
                 'metadata': one['metadata']}]}}
            for key, one, until in found[offset:offset + params['limit']]]})


def _iso(bucket: int) -> str:
    return units.iso(units.bucket_start(bucket)).replace('Z', '+00:00')


def _answer(found: dict[str, Any]) -> Any:
    return types.SimpleNamespace(status_code=200, text=json.dumps(found))
