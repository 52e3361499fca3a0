# SPDX-License-Identifier: Apache-2.0
"""Which PUE counts in each bucket: the narrowest that the meters allow.

Pure: exact fractions of integer microjoules.  A bucket of its own when both
sides were metered throughout; else the local day around it, the month, the
twelve months before that month; else what an operator says.  A period of
which too little was metered says nothing, and neither does one in which the
IT used more than the site took in (a UPS on its batteries): then the next
wider one counts.  The figure of a norm, with its category and its meters,
is ``kpi``'s.
"""

from __future__ import annotations

import datetime
import fractions
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

from energy_accounting import units
from energy_accounting.facility import supply

MIN_COVERAGE = fractions.Fraction(95, 100)
"""Of the buckets of a period, both sides metered."""

MONTHS = 12


class Pue(NamedTuple):
    """A PUE and where it comes from (:data:`supply.KINDS`)."""

    value: fractions.Fraction
    kind: str


def by_bucket(facility_uj: Mapping[int, int], it_uj: Mapping[int, int],
              configured: Callable[[int], fractions.Fraction | None],
              where: datetime.tzinfo, buckets: range) -> list[Pue | None]:
    """The PUE of each bucket; None where nobody says one.

    :param facility_uj, it_uj: of the buckets that were metered throughout;
        for the wider periods, those around the range too (:func:`reach`).
    :param configured: what an operator says of a bucket.
    :param where: the site's time zone.
    """
    periods = _Periods(facility_uj, it_uj)
    found: list[Pue | None] = []
    for bucket in buckets:
        value = _fraction(facility_uj.get(bucket), it_uj.get(bucket))
        if value is not None:
            found.append(Pue(value, supply.INTERVAL))
            continue
        wider = next((one for one in periods.around(bucket, where)
                      if one is not None), None)
        said = None if wider is not None else configured(bucket)
        found.append(wider if said is None else Pue(said, supply.CONFIGURED))
    return found


def reach(buckets: range, where: datetime.tzinfo) -> range:
    """The buckets that :func:`by_bucket` can look at."""
    first, last = (units.period_start(units.bucket_start(bucket), 'month',
                                      where)
                   for bucket in (buckets[0], buckets[-1]))
    return range(_bucket(_months_before(first, where)),
                 _bucket(units.next_period(last, 'month', where)))


class _Periods:
    """The PUE of the periods around a bucket, each worked out once."""

    def __init__(self, facility_uj: Mapping[int, int],
                 it_uj: Mapping[int, int]) -> None:
        self._facility_uj = facility_uj
        self._it_uj = it_uj
        self._known: dict[tuple[int, int], fractions.Fraction | None] = {}

    def around(self, bucket: int, where: datetime.tzinfo,
               ) -> Iterator[Pue | None]:
        """From the narrowest to the widest."""
        if not self._facility_uj or not self._it_uj:
            return
        moment = units.bucket_start(bucket)
        for resolution in ('day', 'month'):
            start = units.period_start(moment, resolution, where)
            yield self._pue(supply.INTERIM, _bucket(start), _bucket(
                units.next_period(start, resolution, where)))
        yield self._pue(supply.YEAR, _bucket(_months_before(start, where)),
                        _bucket(start))

    def _pue(self, kind: str, start: int, end: int) -> Pue | None:
        if (start, end) not in self._known:
            self._known[start, end] = self._worked_out(start, end)
        value = self._known[start, end]
        return None if value is None else Pue(value, kind)

    def _worked_out(self, start: int, end: int,
                    ) -> fractions.Fraction | None:
        both = [bucket for bucket in range(start, end)
                if bucket in self._facility_uj and bucket in self._it_uj]
        if len(both) < MIN_COVERAGE * (end - start):
            return None
        return _fraction(sum(self._facility_uj[bucket] for bucket in both),
                         sum(self._it_uj[bucket] for bucket in both))


def _fraction(facility_uj: int | None, it_uj: int | None,
              ) -> fractions.Fraction | None:
    if facility_uj is None or not it_uj or facility_uj < it_uj:
        return None
    return fractions.Fraction(facility_uj, it_uj)


def _months_before(month: datetime.datetime, where: datetime.tzinfo,
                   ) -> datetime.datetime:
    """The start of the twelfth local month before one that starts then."""
    local = month.astimezone(where)
    return units.period_start(
        local.replace(year=local.year - MONTHS // 12, day=15), 'month', where)


def _bucket(moment: datetime.datetime) -> int:
    return units.bucket_of(units.wall_ns(moment))
