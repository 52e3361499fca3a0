# SPDX-License-Identifier: Apache-2.0
"""Which PUE counts in each bucket: the narrowest that the meters allow.

Pure: exact fractions of integer microjoules.  A bucket of its own when both
sides were metered throughout and no more coarsely; else the measurement that
both sides of it are a share of, the local day around it, the month, the
twelve months before that month; else what an operator says.  A period of
which too little was metered, or more coarsely than it is long, says nothing,
and neither does one in which the IT used more than the site took in (a UPS on
its batteries): then the next wider one counts.  The figure of a norm, with
its category and its meters, is ``kpi``'s.
"""

from __future__ import annotations

import datetime
import fractions
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

from energy_accounting import units
from energy_accounting.facility import amounts, grains, supply
from energy_accounting.facility.ratios import Exact, Ratio

MIN_COVERAGE = fractions.Fraction(95, 100)
"""Of the buckets of a period, both sides metered."""

MONTHS = 12

OWN_NS = amounts.HOUR_NS
"""In so long a time both sides may have been measured together for each
quarter of it to have its mean as its own."""

_DAY_NS = 24 * amounts.HOUR_NS
LONGEST_NS = {
    'day': _DAY_NS + amounts.HOUR_NS,
    'month': 31 * _DAY_NS + amounts.HOUR_NS,
    'year': 366 * _DAY_NS}
"""The longest measurement that says something of a period: of a local day
or month, an hour more."""


class Pue(NamedTuple):
    """A PUE and where it comes from (:data:`supply.KINDS`)."""

    value: Exact
    kind: str


class Measured(NamedTuple):
    """Both sides of a PUE, by bucket.

    :ivar facility_uj, it_uj: of the buckets that were metered throughout.
    :ivar grains: how coarsely both were, of those that are but shares.
    """

    facility_uj: Mapping[int, int]
    it_uj: Mapping[int, int]
    grains: Mapping[int, grains.Grain] = {}

    def says(self, bucket: int) -> str | None:
        """What kind of PUE a bucket's own amounts are; None: none."""
        site_uj, used_uj = (series.get(bucket) for series in (
            self.facility_uj, self.it_uj))
        if site_uj is None or not used_uj or site_uj < used_uj:
            return None
        grain = self.grains.get(bucket)
        if grain is None:
            return supply.INTERVAL
        if grain.span is None or grain.longest_ns > LONGEST_NS['year']:
            return None
        return (supply.INTERVAL if grain.longest_ns <= OWN_NS
                else supply.INTERIM)


def by_bucket(measured: Measured, configured: Callable[[int], Exact | None],
              where: datetime.tzinfo, buckets: range) -> list[Pue | None]:
    """The PUE of each bucket; None where nobody says one.

    :param measured: for the wider periods, around the range too
        (:func:`reach`).
    :param configured: what an operator says of a bucket.
    :param where: the site's time zone.
    """
    periods = _Periods(measured)
    found: list[Pue | None] = []
    last: Pue | None = None
    for bucket in buckets:
        kind = measured.says(bucket)
        if kind is not None:
            found.append(Pue(Ratio(measured.facility_uj[bucket],
                                   measured.it_uj[bucket]), kind))
            continue
        one = periods.wider(bucket, where)
        if one is None:
            said = configured(bucket)
            # Of what does not change there is one object.
            one = (None if said is None else
                   last if last is not None and said is last.value
                   else Pue(said, supply.CONFIGURED))
        found.append(one)
        last = one
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

    def __init__(self, measured: Measured) -> None:
        self._facility_uj, self._it_uj, self._grains = measured
        self._known: dict[tuple[int, int], Pue | None] = {}
        self._day = range(0)
        self._wider: Pue | None = None

    def wider(self, bucket: int, where: datetime.tzinfo) -> Pue | None:
        """Of the narrowest period around a bucket that says one."""
        if bucket not in self._day:
            start = units.period_start(units.bucket_start(bucket), 'day',
                                       where)
            self._day = range(_bucket(start), _bucket(
                units.next_period(start, 'day', where)))
            self._wider = next((one for one in self._around(bucket, where)
                                if one is not None), None)
        return self._wider

    def _around(self, bucket: int, where: datetime.tzinfo,
                ) -> Iterator[Pue | None]:
        """From the narrowest to the widest: those of one day are alike."""
        if not self._facility_uj or not self._it_uj:
            return
        moment = units.bucket_start(bucket)
        for resolution in ('day', 'month'):
            start = units.period_start(moment, resolution, where)
            yield self._pue(supply.INTERIM, resolution, _bucket(
                start), _bucket(units.next_period(start, resolution, where)))
        yield self._pue(supply.YEAR, 'year', _bucket(
            _months_before(start, where)), _bucket(start))

    def _pue(self, kind: str, resolution: str, start: int,
             end: int) -> Pue | None:
        if (start, end) not in self._known:
            value = self._worked_out(start, end, LONGEST_NS[resolution])
            self._known[start, end] = (None if value is None
                                       else Pue(value, kind))
        return self._known[start, end]

    def _worked_out(self, start: int, end: int,
                    longest_ns: int) -> Ratio | None:
        both = [bucket for bucket in range(start, end)
                if bucket in self._facility_uj and bucket in self._it_uj]
        if len(both) < MIN_COVERAGE * (end - start) or (self._grains and any(
                self._grains[bucket].longest_ns > longest_ns
                for bucket in both if bucket in self._grains)):
            return None
        site_uj = sum(self._facility_uj[bucket] for bucket in both)
        used_uj = sum(self._it_uj[bucket] for bucket in both)
        return Ratio(site_uj, used_uj) if 0 < used_uj <= site_uj else None


def _months_before(month: datetime.datetime, where: datetime.tzinfo,
                   ) -> datetime.datetime:
    """The start of the twelfth local month before one that starts then."""
    local = month.astimezone(where)
    return units.period_start(
        local.replace(year=local.year - MONTHS // 12, day=15), 'month', where)


def _bucket(moment: datetime.datetime) -> int:
    return units.bucket_of(units.wall_ns(moment))
