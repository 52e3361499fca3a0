# SPDX-License-Identifier: Apache-2.0
"""The supply of each site, from its meters and the factors that count.

Reads what ``meter_amounts`` and ``intensities`` know as of a moment and hands
it to what is pure: ``pue`` and ``carbon``.  What is made of a tenant's energy
is ``report.facility``'s.
"""

from __future__ import annotations

import datetime
import fractions
import operator
from collections.abc import (
    Callable,
    Collection,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from typing import Any, NamedTuple

import sqlalchemy as sa

from energy_accounting import units
from energy_accounting.facility import (
    carbon,
    contracts,
    factors,
    grains,
    intensities,
    meter_amounts,
    meters,
    models,
    pue,
    quantities,
    supply,
)
from energy_accounting.facility.ratios import Exact, Ratio
from energy_accounting.ledger import models as ledger
from energy_accounting.ledger import pasts

SOLAR = intensities.SOLAR
GENERATOR = 'generator'
"""Electricity of a generator whose fuel is not metered: its CO2 is known
where somebody gives it a factor."""
EXPORT = 'grid_export'

_SUPPLIES = ('dc_total', 'dc_generator', 'pv_onsite', 'cooling_in', EXPORT)
_IT = ('it_ups_out', 'it_pdu_out', 'it_input')
_WATER = 'water_in'
ROLES = (*_SUPPLIES, *_IT, _WATER)

_NONE = fractions.Fraction(0)

Series = dict[int, int]
"""An amount by bucket, of those that were metered throughout."""

class Site(NamedTuple):
    """A site as it was known at a moment."""

    id: int
    name: str
    where: datetime.tzinfo


class Metered(NamedTuple):
    """What a site's meters say, by bucket.

    :ivar carriers_uj: what fed the site, by carrier.
    :ivar facility_uj: their sum.
    :ivar grains: how coarsely E_DC and E_IT were measured together, of the
        buckets of which they were not measured by themselves.
    :ivar plant: when the site's own plant was metered, be it at another
        time.
    """

    carriers_uj: Mapping[str, Series]
    facility_uj: Series
    it_uj: Series
    water_ml: Series
    grains: Mapping[int, grains.Grain] = {}
    plant: contracts.Times = ()


NOTHING = Metered({}, {}, {}, {})
"""Of a site that has no meter."""


def read(connection: sa.Connection, start: int, end: int, as_of_ns: int,
         ids: Collection[int] | None = None, asked: range | None = None,
         ) -> dict[int, Sequence[supply.Supply]]:
    """By site, what holds in each bucket of [start, end).

    A site of which neither a meter nor a factor is known is not there.

    :param ids: of no other sites; None: of all.
    :param asked: the buckets of the whole question, of which these are a
        part: see :func:`of_site`.
    """
    found: dict[int, Sequence[supply.Supply]] = {}
    for site in sites(connection, as_of_ns):
        if ids is None or site.id in ids:
            buckets = range(start, end)
            one = of_site(connection, site, buckets, as_of_ns, metered_of(
                connection, site, buckets, as_of_ns), asked)
            if one is not None:
                found[site.id] = one
    return found


def anything(connection: sa.Connection) -> bool:
    """Whether anybody has said anything of any site."""
    return any(connection.execute(sa.select(table.c.id).limit(1)).first()
               for table in (models.meters, models.factors,
                             models.contracts))


def sites(connection: sa.Connection, as_of_ns: int,
          name: str | None = None) -> list[Site]:
    """The sites there are, or the one of a name."""
    table = ledger.sites.c
    chosen = sa.select(table.id, table.name, table.time_zone).order_by(
        table.id)
    if name is not None:
        chosen = chosen.where(table.name == name)
    rows = connection.execute(chosen).all()
    was = pasts.said(connection, pasts.SITE, [row.id for row in rows],
                     as_of_ns)
    return [Site(row.id, row.name, units.zone(
        was.get(row.id, row._mapping)['time_zone'])) for row in rows]


def of_site(connection: sa.Connection, site: Site, buckets: range,
            as_of_ns: int, metered: Metered | None,
            asked: range | None = None) -> Sequence[supply.Supply] | None:
    """What holds in each bucket; None where nobody says anything.

    :param metered: of these buckets (:func:`metered_of`).
    :param asked: for all of these buckets the emissions are counted on one
        basis; None: they are the same.
    """
    asked = asked or buckets
    configured = intensities.configured_pue(
        connection, site.id, buckets.start, buckets.stop, as_of_ns)
    plant = () if metered is None else metered.plant
    emitting = {basis: intensities.read(
        connection, site.id, asked.start, asked.stop, as_of_ns, basis=basis,
        plant=plant) for basis in supply.BASES}
    if metered is None:
        if not configured and all(one.empty for one in emitting.values()):
            return None
        metered = NOTHING
    return _supplies(
        buckets, metered, pue.by_bucket(
            _wide(connection, site, buckets, as_of_ns, metered),
            configured.get, site.where, buckets), _Emissions(
                metered, emitting, buckets, lambda: (
                    metered if asked == buckets or metered is NOTHING
                    else metered_of(connection, site, asked, as_of_ns)
                    or NOTHING)))


def _wide(connection: sa.Connection, site: Site, buckets: range,
          as_of_ns: int, metered: Metered) -> pue.Measured:
    """Facility and IT energy, as far around as a PUE has to look."""
    found = _both_sides(metered)
    if metered is not NOTHING and not all(map(found.says, buckets)):
        return _both_sides(metered_of(connection, site, pue.reach(
            buckets, site.where), as_of_ns) or metered)
    return found


def _both_sides(metered: Metered) -> pue.Measured:
    return pue.Measured(metered.facility_uj, metered.it_uj, metered.grains)


class Emission(NamedTuple):
    """What a microjoule emitted.

    :ivar basis: on which it is counted, of :data:`supply.BASES`.
    :ivar ng: nanograms.
    """

    basis: str
    ng: Exact
    quality: str


Emissions = list[Emission | None]
"""One for each bucket; None: not known."""


class _Emissions:
    """What a site's energy emitted in each bucket, by both methods."""

    def __init__(self, metered: Metered,
                 emitting: Mapping[str, intensities.Intensities],
                 buckets: range, whole: Callable[[], Metered]) -> None:
        """:param whole: what the meters say of all that was asked for."""
        self._metered = metered
        self._whole = whole
        self._emitting = emitting
        self._buckets = buckets

    def location(self) -> Emissions:
        return self._by(factors.LOCATION, lambda one: one.location)

    def market(self) -> Emissions:
        return self._by(factors.MARKET, lambda one: one.market)

    def _by(self, method: str, known: Callable[[intensities.Intensities],
                                               carbon.Known]) -> Emissions:
        """On one basis: the two are no terms of one sum."""
        carriers_uj = self._metered.carriers_uj
        basis = (intensities.only(self._emitting, method)
                 or intensities.chosen(self._emitting, method, carriers_uj
                                       if set(carriers_uj) <= {carbon.GRID}
                                       else self._whole().carriers_uj))
        return list(_emissions(basis, carbon.by_bucket(
            carriers_uj, known(self._emitting[basis]), self._buckets)))

    def renewable(self) -> list[Exact | None]:
        """The share of the site's energy.

        None: its carriers are not known, or what was bought.
        """
        # Whatever the basis: a purchase counts once.
        known = self._emitting[supply.BASES[0]]
        bought, kept = known.renewable(), known.kept()
        shares = [bought.get(bucket) for bucket in self._buckets]
        carriers_uj = self._metered.carriers_uj
        if set(carriers_uj) <= {carbon.GRID}:
            return [*shares]
        series = [*carriers_uj.values()]
        grid, sun = (carriers_uj.get(carrier, {})
                     for carrier in (carbon.GRID, SOLAR))
        found: list[Exact | None] = []
        for bucket, share in zip(self._buckets, shares, strict=True):
            parts = [one.get(bucket) for one in series]
            total = (0 if None in parts
                     else sum(part or 0 for part in parts))
            ours = kept.get(bucket)
            made = sun.get(bucket, 0)
            if total <= 0 or share is None or (ours is None and made):
                found.append(None)
                continue
            ours = ours or _NONE
            per = share.denominator * ours.denominator
            found.append(Ratio(
                made * ours.numerator * share.denominator
                + share.numerator * ours.denominator * grid.get(bucket, 0),
                total * per))
        return found


def _emissions(basis: str, known: Iterable[carbon.Intensity | None],
               ) -> Iterator[Emission | None]:
    """One object for as long as one intensity counts."""
    last: carbon.Intensity | None = None
    emission: Emission | None = None
    for one in known:
        if one is not last:
            last = one
            emission = None if one is None else Emission(
                basis, _times(one.g_per_kwh, carbon.NG_PER_UJ), one.quality)
        yield emission


def _times(one: Exact, other: Exact) -> Ratio:
    return Ratio(one.numerator * other.numerator,
                 one.denominator * other.denominator)


def _supplies(buckets: range, metered: Metered,
              pues: Sequence[pue.Pue | None],
              emissions: _Emissions) -> list[supply.Supply]:
    """One for each bucket; neighbours that are alike are one object."""
    found: list[supply.Supply] = []
    last: tuple[Any, ...] = ()
    waters = [None if water is None or not used_uj
              # Millilitres become microlitres.
              else Ratio(water * 1000, used_uj)
              for water, used_uj in (
                  (metered.water_ml.get(bucket), metered.it_uj.get(bucket))
                  for bucket in buckets)]
    for parts in zip(pues, emissions.location(), emissions.market(), waters,
                     emissions.renewable(), strict=True):
        if not last or any(map(operator.is_not, parts, last)):
            last, one = parts, _supply(*parts)
        found.append(one)
    return found


def _supply(here: pue.Pue | None, location: Emission | None,
            market: Emission | None, water: Exact | None,
            renewable: Exact | None) -> supply.Supply:
    value, kind = (None, None) if here is None else here
    basis, ng, quality = location or (None, None, None)
    market_basis, market_ng, market_quality = market or (None, None, None)
    return supply.Supply(
        pue=value, pue_kind=kind, location=ng, market=market_ng,
        water=water, renewable=renewable, factor_quality=quality,
        factor_basis=basis, market_quality=market_quality,
        market_basis=market_basis)


# --- meters -----------------------------------------------------------------

def metered_of(connection: sa.Connection, site: Site, buckets: range,
               as_of_ns: int) -> Metered | None:
    """What a site's meters say of each bucket; None: it has none."""
    return metered(meter_amounts.amounts_of(
        connection, site.name, ROLES, buckets.start, buckets.stop,
        as_of_ns), buckets)


def metered(roles: Mapping[str, Sequence[meter_amounts.Amounts]],
            buckets: range) -> Metered | None:
    """What meters say of each bucket; None: there are none.

    :param roles: those of a site, by each of :data:`ROLES`; a meter of a
        section is none of the whole site.
    """
    roles = {role: [one for one in found if one.meter.section is None]
             for role, found in roles.items()}
    if not any(roles.values()):
        return None
    feeds: dict[tuple[str, int], list[meter_amounts.Amounts]] = {}
    for role in _SUPPLIES:
        for one in roles[role]:
            feeds.setdefault(_carrier(one, bool(roles[quantities.PLANT])),
                             []).append(one)
    carriers_uj: dict[str, list[Series]] = {}
    for (carrier, sign), found in feeds.items():
        # The main supply is always there; others come and go.
        series = meter_amounts.together(
            found, buckets,
            absent_is_none=carrier != carbon.GRID or sign < 0)
        carriers_uj.setdefault(carrier, []).append(
            series if sign > 0 else
            {bucket: -amount for bucket, amount in series.items()})
    known = _handed_on({carrier: meter_amounts.added(series)
                        for carrier, series in carriers_uj.items()})
    it = next((roles[role] for role in _IT if roles[role]), [])
    return Metered(known, meter_amounts.added(known.values()),
                   meter_amounts.together(it, buckets),
                   meter_amounts.together(roles[_WATER], buckets),
                   _together(
                       meter_amounts.grains_of(
                           one for found in feeds.values() for one in found),
                       meter_amounts.grains_of(it)),
                   meters.in_service_of(
                       (one.meter for one in roles[quantities.PLANT]), 0,
                       factors.LAST_NS))


def _handed_on(carriers_uj: dict[str, Series]) -> dict[str, Series]:
    """Energy of carriers, of which none fed less than nothing.

    More may be handed on than the plant made, or than the grid delivered
    where no plant is metered: then it is off what else fed the site in that
    quarter, the grid first, so that the mean is one of what is left.
    """
    for carrier in (SOLAR, carbon.GRID):
        series = carriers_uj.get(carrier, {})
        others = [carriers_uj[other] for other in sorted(
            carriers_uj, key=lambda one: (one != carbon.GRID, one))
            if other != carrier]
        for bucket, amount in series.items():
            if amount >= 0 or not all(bucket in one for one in others):
                continue
            for other in others:
                part = min(-amount, max(0, other[bucket]))
                other[bucket] -= part
                amount += part
            series[bucket] = amount
    return carriers_uj


def _together(site: Mapping[int, grains.Grain],
              it: Mapping[int, grains.Grain]) -> dict[int, grains.Grain]:
    """How coarsely both sides were measured, and whether alike."""
    found = {}
    for bucket in site.keys() | it.keys():
        one, other = site.get(bucket), it.get(bucket)
        alike = None not in (one, other) and one == other
        found[bucket] = one if one is not None and alike else grains.Grain(
            max(grain.longest_ns for grain in (one, other)
                if grain is not None), None)
    return found


def _carrier(one: meter_amounts.Amounts, has_solar: bool) -> tuple[str, int]:
    """What a supply is energy of, and whether it goes in or out."""
    match one.meter.role, one.meter.medium:
        case quantities.PLANT, _:
            return SOLAR, 1
        case 'grid_export', _:
            # What a site makes itself is what it can give away.
            return (SOLAR if has_solar else carbon.GRID), -1
        case 'dc_generator', quantities.ELECTRICITY:
            return GENERATOR, 1
        case _, medium:
            return medium, 1
