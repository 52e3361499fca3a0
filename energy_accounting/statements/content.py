# SPDX-License-Identifier: Apache-2.0
"""The canonical form of a statement, and its digest.  Pure.

One JSON object: names sorted, no blanks, numbers as decimal strings, UTF-8.
Its SHA-256 is the digest, so that whoever has the document can check it
(``sha256sum``).  Who closed it and when, its revision and whether it is
final are beside it: they do not change what it says.
"""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from energy_accounting import tariffs, wire
from energy_accounting.report import times
from energy_accounting.statements import lines, periods

FORMAT = 'energy-accounting-statement/1'
BLOCK = 500
"""Lines that are stored together."""

_BEFORE = ('factors',)
_AFTER = ('statement', 'tariffs', 'totals')
_LINES = 'lines'


def texts(head: Mapping[str, Any], line_texts: Iterable[str],
          ) -> Iterator[str]:
    """The canonical form, piece by piece.

    :param head: what is not a line.
    :param line_texts: each line's (``wire.to_json``), in order.
    """
    yield '{'
    for name in _BEFORE:
        yield f'"{name}":{wire.to_json(head[name])},'
    yield f'"{_LINES}":['
    for number, text in enumerate(line_texts):
        yield text if number == 0 else f',{text}'
    yield ']'
    for name in _AFTER:
        yield f',"{name}":{wire.to_json(head[name])}'
    yield '}'


def digest(head: Mapping[str, Any], line_texts: Iterable[str]) -> str:
    """The SHA-256 of the canonical form."""
    found = hashlib.sha256()
    for text in texts(head, line_texts):
        found.update(text.encode())
    return found.hexdigest()


# --- what is not a line -----------------------------------------------------

def head(project_id: str, period: periods.Period, whole: lines.Whole,
         added: lines.Sum, instances: int,
         factors: list[dict[str, Any]],
         charged: Charged | None) -> dict[str, Any]:
    """The rest of a statement's content.

    :param charged: None: nothing is charged.
    """
    totals: dict[str, Any] = {
        **{name: _number(value) for name, value in added.values.items()},
        **{name: added.word(name) for name in lines.WORDS},
        'lines': str(added.lines), 'instances': str(instances),
        'peak_uj': _number(whole.peak_uj), 'coverage': whole.coverage,
        'boundary': whole.boundary, 'policy': whole.policy}
    if charged is not None:
        totals |= {'cost': charged.total, 'currency': charged.currency}
    return {
        'factors': factors,
        'statement': {
            'format': FORMAT, 'project_id': project_id or None,
            'period': period.name, 'time_zone': period.time_zone,
            'start': times.iso(period.start_ns),
            'end': times.iso(period.end_ns)},
        'tariffs': [] if charged is None else charged.tariffs,
        'totals': totals}


class Charged:
    """What a statement says of money.

    :ivar total: in the currency, as text; None: not known.
    :ivar tariffs: what was used.
    """

    def __init__(self, currency: str, total: str | None,
                 used: Iterable[tariffs.Tariff],
                 period: periods.Period) -> None:
        self.currency, self.total = currency, total
        self.tariffs = [_tariff(one, period) for one in sorted(
            used, key=lambda one: (one.rank, one.start_ns, one.name))]


def _tariff(one: tariffs.Tariff, period: periods.Period) -> dict[str, Any]:
    """A tariff as far as the period goes: a later end changes nothing."""
    end_ns = (period.end_ns if one.end_ns is None
              else min(one.end_ns, period.end_ns))
    return {
        'name': one.name, 'legal_basis': one.legal_basis,
        'start': times.iso(max(one.start_ns, period.start_ns)),
        'end': times.iso(end_ns), 'currency': one.currency,
        'quantity': one.quantity,
        'price_per_kwh': format(one.price_per_kwh, 'f'),
        'co2_price_per_kg': None if one.co2_price_per_kg is None
        else format(one.co2_price_per_kg, 'f'),
        'co2_method': one.co2_method, 'time_zone': one.time_zone,
        'windows': [tariffs.window_words(window) for window in one.windows],
        'site': one.site, 'project_id': one.project_id,
        'domain_id': one.domain_id}


def _number(value: int | None) -> str | None:
    return None if value is None else str(value)


# --- as it is stored --------------------------------------------------------

def block(line_texts: Iterable[str]) -> bytes:
    """Some lines' texts in the form that is stored."""
    return zlib.compress('\n'.join(line_texts).encode(), 6)


def line_texts(stored: bytes) -> list[str]:
    """The reverse of :func:`block`.

    :raises ValueError: it is damaged.
    """
    try:
        return zlib.decompress(stored).decode().split('\n')
    except zlib.error as error:
        raise ValueError(f'{error}') from error


def line(text: str) -> lines.Line:
    return lines.from_json(json.loads(text))


def totals(found: Mapping[str, Any]) -> dict[str, Any]:
    """The totals of a head with their numbers as numbers."""
    whole = dict(found['totals'])
    for name in lines.NUMBERS:
        if whole[name] is not None:
            whole[name] = int(whole[name])
    return whole


def buckets(found: Mapping[str, Any]) -> periods.Period:
    """The period of a head."""
    said = found['statement']
    return periods.period(said['period'], said['time_zone'])

