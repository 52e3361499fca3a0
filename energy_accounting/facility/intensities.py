# SPDX-License-Identifier: Apache-2.0
"""Which carbon intensity counts for a site in each bucket, as of a moment.

Reads factors and contracts once, and answers by bucket: what the report
asks ``carbon.by_bucket`` with.  How the answers come about is in
``factors`` and ``contracts``.
"""

from __future__ import annotations

import fractions
import functools
from collections.abc import (
    Callable,
    Iterable,
    Mapping,
    Sequence,
)
from typing import Any, NamedTuple, TypeVar

import sqlalchemy as sa

from energy_accounting import units
from energy_accounting.facility import (
    amounts,
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
_NOTHING = fractions.Fraction(0)
_FOUND = frozenset({factors.ACTUAL, factors.ESTIMATED})


class Intensities:
    """What one site's carriers emit, by bucket.

    :ivar site: its name.
    :ivar zone: of its grid; None: nobody has said.
    :ivar basis: on which these count.
    :ivar factor_basis: on which it is to be counted; None: likewise.
    """

    def __init__(self, site: str, zone: str | None,
                 known: Iterable[factors.Factor],
                 bought: Iterable[contracts.Contract], basis: str,
                 start: int, end: int, plant: contracts.Times = (),
                 factor_basis: str | None = None) -> None:
        self.site, self.zone, self.factor_basis = site, zone, factor_basis
        self._start_ns, self._end_ns = (start * units.BUCKET_NS,
                                        end * units.BUCKET_NS)
        self._known = list(known)
        self.basis = basis
        self._bought = contracts.divided(bought, plant)
        whole = self._start_ns, self._end_ns
        self._spoken = contracts.spoken(self._bought, *whole)
        self._kept = contracts.kept(self._bought.of_plant, *whole)
        self._disputed = contracts.disputed(self._bought.of_plant, *whole)
        self._made: dict[tuple[str, str],
                         dict[int, carbon.Intensity]] = {}
        self._spans: dict[tuple[str, str], list[factor_times.Span]] = {}
        self._mixes: list[contracts.Mix] | None = None
        self._shares: dict[int, fractions.Fraction] | None = None

    def takes_sun_for_nothing(self, method: str) -> bool:
        """Whether only the use of the sun itself says what it emits."""
        if self.spans(factors.LOCATION, SOLAR):
            return False
        return method == factors.LOCATION or bool(
            self._kept and not self.spans(factors.MARKET, SOLAR)
            and not any(one.basis == self.basis
                        for one in self._bought.of_plant))

    def says(self, method: str) -> bool:
        """Whether anything is known of the grid's electricity."""
        return bool(self._of(method, factors.ELECTRICITY))

    @property
    def empty(self) -> bool:
        """Whether nobody has said anything."""
        return not self._known and not any(self._bought)

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

        By contracts whose attributes are retired.  What no contract speaks
        of is not, while another runs; while none does, nobody knows.
        """
        if self._shares is None:
            found = contracts.renewable(self._bought.of_grid, self._start_ns,
                                        self._end_ns)
            silent = self._without(one[:2] for one in found)
            self._shares = self._means(sorted([
                *((one.start_ns, one.end_ns, one.share) for one in found
                  if one.share is not None),
                *((*time, _NOTHING) for time in amounts.both(
                    self._spoken, silent))]))
        return self._shares

    def kept(self) -> dict[int, fractions.Fraction]:
        """The share of an own plant's energy that is renewable, likewise.
        """
        others = self._without([*self._kept, *self._disputed])
        return self._means(sorted([
            *((*time, fractions.Fraction(1)) for time in self._kept),
            *((*time, _NOTHING) for time in amounts.both(
                self._spoken, others))]))

    def _means(self, parts: Iterable[tuple[int, int, fractions.Fraction]],
               ) -> dict[int, fractions.Fraction]:
        return {where: mean.value for where, mean in by_bucket(
            ((*part, factors.ACTUAL) for part in parts), Mean).items()}

    def known_for(self, method: str, carriers_uj: carbon.Energies) -> int:
        """How much of the time is known, and how well: the more the better.

        A quarter of an hour whose factors are actual or estimated counts
        twice as much as one in which a forecast or a fallback stands in.

        :param carriers_uj: of all the time; where one did not feed the site
            nothing is lacking.
        """
        return sum(
            2 if one.quality in _FOUND else 1
            for one in carbon.by_bucket(
                carriers_uj, functools.partial(self._of, method), range(
                    self._start_ns // units.BUCKET_NS,
                    self._end_ns // units.BUCKET_NS)) if one is not None)

    def _without(self, taken: Iterable[tuple[int, int]],
                 ) -> list[tuple[int, int]]:
        return units.without(self._start_ns, self._end_ns, taken)

    def spans(self, method: str, carrier: str) -> list[factor_times.Span]:
        """The factors that count, with their sources, by time."""
        key = method, carrier
        if key not in self._spans:
            self._spans[key] = factor_times.which(
                self._known, self._start_ns, self._end_ns, carrier=carrier,
                basis=self.basis, method=method)
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
            self._without([*self._kept, *self._disputed])))
        for one in self._bought.of_plant:
            if one.basis == self.basis:
                rows = _filled(rows, _within([(
                    one.start_ns, one.end_ns,
                    fractions.Fraction(one.kg_per_kwh) * 1000,
                    factors.ACTUAL)], self._kept))
        return _filled(rows, _within(self._rows(factors.LOCATION, carrier),
                                     self._kept))

    def _said(self, method: str, carrier: str) -> list[Row]:
        return [(one.start_ns, one.end_ns,
                 fractions.Fraction(one.factor.value), one.factor.quality)
                for one in self.spans(method, carrier)]

    def _mixed(self) -> list[contracts.Mix]:
        if self._mixes is None:
            self._mixes = contracts.market(
                self._bought.of_grid,
                self.spans(factors.MARKET, factors.ELECTRICITY),
                self._start_ns, self._end_ns, self.basis)
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
        basis, start, end, plant, site.factor_basis)


_LITTLE = 20
"""This part of what is known may be lacking before the basis changes."""


def chosen(known: Mapping[str, Intensities], method: str,
           carriers_uj: carbon.Energies) -> str:
    """The one basis on which a site's emissions of a time are counted.

    That which the site says; else the first, unless another is known better
    by more than a twentieth: a quarter of an hour without a factor must not
    change the rest.

    :param known: by basis, of the whole time that is asked for.
    :param carriers_uj: the energy of that time.
    """
    said = only(known, method)
    if said is not None:
        return said
    first, *others = known
    best, score = first, known[first].known_for(method, carriers_uj)
    for other in others:
        here = known[other].known_for(method, carriers_uj)
        if (here - score) * _LITTLE > here:
            best, score = other, here
    return best


def only(known: Mapping[str, Intensities], method: str) -> str | None:
    """The basis that counts whatever the energy was; None: it matters."""
    first = next(iter(known))
    said = known[first].factor_basis
    if said is not None:
        return said
    there = [basis for basis, one in known.items() if one.says(method)]
    return there[0] if len(there) == 1 else None


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
