# SPDX-License-Identifier: Apache-2.0
"""The example's facility energy and CO2, worked out from what was read.

Takes what the API answers (readings, factors, IT energy) and nothing that
the product computes from it; exact fractions.  It knows what the example's
site has: counters that are read each quarter of an hour, and litres of
diesel of a longer time.
"""

from __future__ import annotations

import datetime
import json
import urllib.parse
import urllib.request
from collections.abc import Iterator
from fractions import Fraction
from typing import Any, NamedTuple

SITE = 'machine-room'
QUARTER = datetime.timedelta(minutes=15)
UJ_PER_KWH = 3_600_000_000_000
# EN 50600-4-2 counts a litre of diesel as this.
DIESEL_UJ_PER_L = Fraction('9.9') * UJ_PER_KWH
# 1 g/kWh is 1e9 ng for 3.6e12 uJ.
NG_PER_UJ = Fraction(1, 3600)


class Quarter(NamedTuple):
    """What a site took in, and what of it is CO2 (ng, not rounded)."""

    site_uj: int
    it_uj: int
    co2_ng: Fraction


class Api:
    """Answers of a service without authentication, all pages of them."""

    def __init__(self, url: str) -> None:
        self._url = url

    def get(self, path: str, **query: str) -> Any:
        url = f'{self._url}{path}?{urllib.parse.urlencode(query)}'
        with urllib.request.urlopen(url, timeout=60) as answer:
            return json.load(answer)

    def rows(self, path: str, name: str, **query: str,
             ) -> Iterator[dict[str, Any]]:
        answer = self.get(path, limit='1000', **query)
        while True:
            yield from answer[name]
            following = [link['href'] for link in answer['links']
                         if link['rel'] == 'next']
            if not following:
                return
            with urllib.request.urlopen(following[0], timeout=60) as page:
                answer = json.load(page)


def time(text: str) -> datetime.datetime:
    return datetime.datetime.fromisoformat(text)


def text(moment: datetime.datetime) -> str:
    return moment.isoformat().replace('+00:00', 'Z')


def quarters(api: Api, start: datetime.datetime, end: datetime.datetime,
             ) -> dict[datetime.datetime, Quarter]:
    """Each quarter of an hour, from readings and factors."""
    grid, roof, ups = (_counter(api, name, start, end)
                       for name in ('grid', 'roof', 'ups'))
    diesel = list(api.rows('/v1/meters/generator/readings', 'readings'))
    grams = [(time(one['start']), time(one['end']), int(one['value']))
             for one in api.rows('/v1/factors', 'factors', zone='DE',
                                 method='location', start=text(start),
                                 end=text(end))]
    (of_diesel,) = [int(one['value']) for one in api.rows(
        '/v1/factors', 'factors', site=SITE, carrier='diesel')]
    found = {}
    at = start
    while at < end:
        (here,) = [value for since, until, value in grams
                   if since <= at < until]
        diesel_uj = sum(_burnt(one, at + QUARTER) - _burnt(one, at)
                        for one in diesel)
        found[at] = Quarter(
            grid[at] + roof[at] + diesel_uj, ups[at],
            # What the sun gives emits nothing.
            (grid[at] * here + diesel_uj * of_diesel) * NG_PER_UJ)
        at += QUARTER
    return found


def _counter(api: Api, name: str, start: datetime.datetime,
             end: datetime.datetime) -> dict[datetime.datetime, int]:
    shown = {time(one['at']): Fraction(one['value']) * UJ_PER_KWH
             for one in api.rows(f'/v1/meters/{name}/readings', 'readings',
                                 start=text(start),
                                 end=text(end + QUARTER))}
    return {at: int(shown[at + QUARTER] - value)
            for at, value in shown.items() if at < end}


def _burnt(one: dict[str, Any], until: datetime.datetime) -> int:
    """What of a time's litres was burnt before a moment, in microjoules."""
    start, end = time(one['start']), time(one['at'])
    passed = min(max(until, start), end) - start
    second = datetime.timedelta(seconds=1)
    return (round(Fraction(one['value']) * DIESEL_UJ_PER_L)
            * (passed // second) // ((end - start) // second))
