# SPDX-License-Identifier: Apache-2.0
"""Which carbon intensity counts for a site in each bucket, as of a moment.

Reads factors and contracts once, and answers by bucket: what the report
asks ``carbon.by_bucket`` with.  How the answers come about is in
``factors`` and ``contracts``.
"""

from __future__ import annotations

import fractions
from collections.abc import (
    Callable,
    Collection,
    Iterable,
    Mapping,
    Sequence,
)
from typing import Any, NamedTuple, TypeVar

import sqlalchemy as sa

from energy_accounting import units
from energy_accounting.facility import (
    carbon,
    contract_store,
    contracts,
    factor_store,
    factor_times,
    factors,
    supply,
)
from energy_accounting.ledger import models as ledger
from energy_accounting.ledger import sites

SOLAR = 'solar'
_SUN = fractions.Fraction(0), factors.ACTUAL
"""The use of the sun emits nothing; where its modules count, a factor says.
"""


class Intensities:
    """What one site's carriers emit, by bucket.

    :ivar site: its name.
    :ivar zone: of its grid; None: nobody has said.
    """

    def __init__(self, site: str, zone: str | None,
                 known: Iterable[factors.Factor],
                 bought: Iterable[contracts.Contract], basis: str,
                 start: int, end: int, plant: contracts.Times = (),
                 ) -> None:
        self.site, self.zone = site, zone
        self._start_ns, self._end_ns = (start * units.BUCKET_NS,
                                        end * units.BUCKET_NS)
        self._known = list(known)
        self._basis = basis
        self._of_grid, self._of_plant = contracts.divided(bought, plant)
        self._kept = contracts.kept(self._of_plant, self._start_ns,
                                    self._end_ns)
        self._made: dict[tuple[str, str],
                         dict[int, carbon.Intensity]] = {}
        self._spans: dict[tuple[str, str], list[factor_times.Span]] = {}
        self._mixes: list[contracts.Mix] | None = None
        self._shares: dict[int, fractions.Fraction] | None = None

    @property
    def empty(self) -> bool:
        """Whether nobody has said anything."""
        return not self._known and not self._of_grid and not self._of_plant

    def location(self, carrier: str) -> dict[int, carbon.Intensity]:
        """By the mean of the grid, or of the fuel."""
        return self._of(factors.LOCATION, carrier)

    def market(self, carrier: str) -> dict[int, carbon.Intensity]:
        """By what was bought, the rest by the residual mix.

        What is not the grid's emits what it does wherever it was bought:
        its location factor counts, unless it has one of its own.  What an
        own plant makes emits what its contract says while its attributes
        are kept; else the residual mix, for somebody else has them.
        """
        return self._of(factors.MARKET, carrier)

    def renewable(self) -> dict[int, fractions.Fraction]:
        """The share of the grid's electricity that is renewable.

        By contracts whose attributes are retired; nothing where there are
        none.
        """
        if self._shares is None:
            bought = contracts.purchases(self._of_grid)
            self._shares = {} if not bought else self._means(
                (one.start_ns, one.end_ns, one.renewable)
                for one in contracts.market(bought, (), self._start_ns,
                                            self._end_ns))
        return self._shares

    def kept(self) -> dict[int, fractions.Fraction]:
        """The share of an own plant's energy that is renewable, likewise.
        """
        return {} if not self._kept else self._means(
            (*time, fractions.Fraction(kept)) for time, kept in sorted([
                *((time, 1) for time in self._kept),
                *((time, 0) for time in self._without(self._kept))]))

    def _means(self, parts: Iterable[tuple[int, int, fractions.Fraction]],
               ) -> dict[int, fractions.Fraction]:
        return {where: mean.value for where, mean in by_bucket(
            ((*part, factors.ACTUAL) for part in parts), Mean).items()}

    def known_for(self, method: str, carriers: Iterable[str],
                  ) -> tuple[int, ...]:
        """How much of the time is known, and how well: the more the better.

        First the time in which every carrier has a factor, then that of the
        grid's, then that of each quality of the grid's, the best first.
        """
        grid = list(self._rows(method, factors.ELECTRICITY))
        holes = [hole for rows in (grid, *(
            self._rows(method, carrier) for carrier in carriers
            if carrier != factors.ELECTRICITY))
            for hole in self._without(row[:2] for row in rows)]
        sums = dict.fromkeys(factors.QUALITIES, 0)
        for start_ns, end_ns, _, quality in grid:
            sums[quality] += end_ns - start_ns
        return (sum(end_ns - start_ns
                    for start_ns, end_ns in self._without(holes)),
                sum(sums.values()), *sums.values())

    def _without(self, taken: Iterable[tuple[int, int]],
                 ) -> list[tuple[int, int]]:
        return units.without(self._start_ns, self._end_ns, taken)

    def spans(self, method: str, carrier: str) -> list[factor_times.Span]:
        """The factors that count, with their sources, by time."""
        key = method, carrier
        if key not in self._spans:
            self._spans[key] = factor_times.which(
                self._known, self._start_ns, self._end_ns, carrier=carrier,
                basis=self._basis, method=method)
        return self._spans[key]

    def _of(self, method: str, carrier: str) -> dict[int, carbon.Intensity]:
        key = method, carrier
        if key not in self._made:
            self._made[key] = by_bucket(
                self._rows(method, carrier), carbon.Intensity)
        return self._made[key]

    def _rows(self, method: str, carrier: str) -> Iterable[Row]:
        if method == factors.MARKET and carrier == factors.ELECTRICITY:
            return [(one.start_ns, one.end_ns, one.g_per_kwh, one.quality)
                    for one in self._mixed() if one.g_per_kwh is not None]
        rows = self._said(method, carrier)
        if method == factors.LOCATION:
            return rows if carrier != SOLAR else _filled(
                rows, [(self._start_ns, self._end_ns, *_SUN)])
        if carrier != SOLAR:
            return _filled(rows, self._said(factors.LOCATION, carrier))
        rows = _filled(rows, _within(
            self._said(factors.MARKET, factors.ELECTRICITY),
            self._without(self._kept)))
        for one in self._of_plant:
            if one.basis == self._basis and one.retired:
                rows = _filled(rows, [(
                    max(one.start_ns, self._start_ns),
                    min(one.end_ns, self._end_ns),
                    fractions.Fraction(one.kg_per_kwh) * 1000,
                    factors.ACTUAL)])
        return _filled(rows, _within(self._rows(factors.LOCATION, carrier),
                                     self._kept))

    def _said(self, method: str, carrier: str) -> list[Row]:
        return [(one.start_ns, one.end_ns,
                 fractions.Fraction(one.factor.value), one.factor.quality)
                for one in self.spans(method, carrier)]

    def _mixed(self) -> list[contracts.Mix]:
        if self._mixes is None:
            self._mixes = contracts.market(
                [one for one in self._of_grid if one.basis == self._basis],
                self.spans(factors.MARKET, factors.ELECTRICITY),
                self._start_ns, self._end_ns)
        return self._mixes


def read(connection: sa.Connection, site_id: int, start: int, end: int,
         as_of_ns: int | None = None, *, basis: str = factors.LIFECYCLE,
         plant: contracts.Times = ()) -> Intensities:
    """What counts for a site in the buckets [start, end).

    :param as_of_ns: as it was known then; None: as it is known now.
    :param basis: direct or lifecycle: the two are not mixed.
    :param plant: when the site has a metered plant of its own.
    """
    table = ledger.sites.c
    name = connection.execute(
        sa.select(table.name).where(table.id == site_id)).scalar_one()
    site = sites.found(connection, name)
    if as_of_ns is not None:
        site = sites.as_of(connection, site, as_of_ns)
    time = start * units.BUCKET_NS, end * units.BUCKET_NS, as_of_ns
    here: dict[str, Any] = {
        'zone': site.grid_zone, 'site': site.name, 'kind': factors.CARBON,
        'basis': basis}
    # A fallback counts on after its end.
    before = (max(0, time[0] - factor_times.CARRIED_NS), *time[1:])
    known = {one.id: one.factor for one in (
        *factor_store.as_of(connection, *time, **here),
        *factor_store.as_of(connection, *before, **here,
                            quality=factors.FALLBACK))}
    return Intensities(
        site.name, site.grid_zone, factor_times.carried_on(known.values()),
        (one.contract for one in contract_store.as_of(
            connection, site.name, *time)),
        basis, start, end, plant)


def chosen(known: Mapping[str, Intensities], method: str,
           carriers: Collection[str]) -> str:
    """The one basis on which a site's emissions of a time are counted.

    That of which most is known, then the better known one, then the first.

    :param known: by basis, of the whole time that is asked for.
    """
    return max(known, key=lambda basis: known[basis].known_for(
        method, carriers))


def configured_pue(connection: sa.Connection, site_id: int, start: int,
                   end: int, as_of_ns: int | None = None,
                   ) -> dict[int, fractions.Fraction]:
    """The PUE that an operator says a site has, by bucket."""
    name = connection.execute(sa.select(ledger.sites.c.name).where(
        ledger.sites.c.id == site_id)).scalar_one()
    start_ns, end_ns = start * units.BUCKET_NS, end * units.BUCKET_NS
    spans = factor_times.counting(
        [one.factor for one in factor_store.as_of(
            connection, start_ns, end_ns, as_of_ns, site=name,
            kind=factors.PUE)], start_ns, end_ns)
    return {bucket: mean.value for bucket, mean in by_bucket((
        (one.start_ns, one.end_ns, fractions.Fraction(one.factor.value),
         one.factor.quality) for one in spans), Mean).items()}


Row = tuple[int, int, fractions.Fraction, str]
"""start_ns, end_ns, a value and how sure it is."""


def _within(rows: Iterable[Row], times: contracts.Times) -> list[Row]:
    """What of rows is in some times."""
    return [(max(row[0], start_ns), min(row[1], end_ns), *row[2:])
            for row in rows for start_ns, end_ns in times
            if row[0] < end_ns and start_ns < row[1]]


def _filled(rows: list[Row], others: Sequence[Row]) -> list[Row]:
    """Rows, and in their holes others; by time."""
    if not others:
        return rows
    start_ns = min(row[0] for row in others)
    end_ns = max(row[1] for row in others)
    return sorted([*rows, *_within(others, units.without(
        start_ns, end_ns, [row[:2] for row in rows]))])


class Mean(NamedTuple):
    """Of a bucket: the mean over its time, and its worst quality."""

    value: fractions.Fraction
    quality: str


Made = TypeVar('Made')


def by_bucket(rows: Iterable[Row],
              make: Callable[[fractions.Fraction, str], Made],
              ) -> dict[int, Made]:
    """The mean of each bucket that rows cover without a hole.

    :param rows: in order of time, not overlapping.
    :param make: what is made of a value and its quality; once for all the
        buckets that a row covers.
    """
    whole: dict[int, Made] = {}
    part: dict[int, list[Row]] = {}
    for row in rows:
        start_ns, end_ns, value, quality = row
        first = -(-start_ns // units.BUCKET_NS)
        last = end_ns // units.BUCKET_NS
        whole.update(dict.fromkeys(range(first, last), make(value, quality)))
        for bucket in {start_ns // units.BUCKET_NS, last}:
            if (not first <= bucket < last
                    and end_ns > bucket * units.BUCKET_NS):
                part.setdefault(bucket, []).append(row)
    for bucket, pieces in part.items():
        mean = _mean(bucket, pieces)
        if mean is not None:
            whole[bucket] = make(*mean)
    return whole


def _mean(bucket: int, pieces: Iterable[Row]) -> Mean | None:
    first_ns = bucket * units.BUCKET_NS
    covered, total = 0, fractions.Fraction(0)
    quality = supply.QUALITIES[0]
    for start_ns, end_ns, value, here in pieces:
        length = (min(end_ns, first_ns + units.BUCKET_NS)
                  - max(start_ns, first_ns))
        covered += length
        total += length * value
        quality = max(quality, here, key=supply.QUALITIES.index)
    if covered < units.BUCKET_NS:
        return None
    return Mean(total / units.BUCKET_NS, quality)
