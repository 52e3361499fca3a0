# SPDX-License-Identifier: Apache-2.0
"""The supply of each site, from its meters and the factors that count.

Reads what ``readings`` and ``intensities`` know as of a moment and hands it
to what is pure: ``pue`` and ``carbon``.  What is made of a tenant's
energy is ``report.facility``'s.
"""

from __future__ import annotations

import datetime
import fractions
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import sqlalchemy as sa

from energy_accounting import units
from energy_accounting.facility import (
    carbon,
    intensities,
    meters,
    models,
    pue,
    quantities,
    readings,
    supply,
)
from energy_accounting.ledger import models as ledger

SOLAR = 'solar'
GENERATOR = 'generator'
"""Electricity of a generator whose fuel is not metered: nobody knows its
CO2."""
EXPORT = 'grid_export'

_SUPPLIES = ('dc_total', 'dc_generator', 'pv_onsite', 'cooling_in', EXPORT)
_IT = ('it_ups_out', 'it_pdu_out', 'it_input')
_WATER = 'water_in'
ROLES = (*_SUPPLIES, *_IT, _WATER)

# The use of the sun emits nothing; where its modules count, a factor says.
_SUN = carbon.Intensity(fractions.Fraction(0), supply.QUALITIES[0])

Series = dict[int, int]
"""An amount by bucket, of those that were metered throughout."""

Emission = tuple[str, carbon.Intensity]
"""What was emitted, and on which basis it is counted."""

Emissions = list[Emission | None]


class Site(NamedTuple):
    """A site as it is now."""

    id: int
    name: str
    where: datetime.tzinfo


class Metered(NamedTuple):
    """What a site's meters say, by bucket.

    :ivar carriers_uj: what fed the site, by carrier.
    :ivar facility_uj: their sum.
    """

    carriers_uj: Mapping[str, Series]
    facility_uj: Series
    it_uj: Series
    water_ml: Series


NOTHING = Metered({}, {}, {}, {})
"""Of a site that has no meter."""


def read(connection: sa.Connection, start: int, end: int, as_of_ns: int,
         ) -> dict[int, Sequence[supply.Supply]]:
    """By site, what holds in each bucket of [start, end).

    A site of which neither a meter nor a factor is known is not there.
    """
    found: dict[int, Sequence[supply.Supply]] = {}
    if not _anything(connection):
        return found
    for site in sites(connection):
        one = of_site(connection, site, range(start, end), as_of_ns)
        if one is not None:
            found[site.id] = one
    return found


def _anything(connection: sa.Connection) -> bool:
    """Whether anybody has said anything of any site."""
    return any(connection.execute(sa.select(table.c.id).limit(1)).first()
               for table in (models.meters, models.factors,
                             models.contracts))


def sites(connection: sa.Connection, name: str | None = None,
          ) -> list[Site]:
    """The sites there are, or the one of a name."""
    table = ledger.sites.c
    chosen = sa.select(table.id, table.name, table.time_zone).order_by(
        table.id)
    if name is not None:
        chosen = chosen.where(table.name == name)
    return [Site(row.id, row.name, units.zone(row.time_zone))
            for row in connection.execute(chosen)]


def of_site(connection: sa.Connection, site: Site, buckets: range,
            as_of_ns: int) -> Sequence[supply.Supply] | None:
    """What holds in each bucket; None where nobody says anything."""
    time = buckets.start, buckets.stop, as_of_ns
    metered = metered_of(connection, site, buckets, as_of_ns)
    configured = intensities.configured_pue(connection, site.id, *time)
    emitting = [(basis, intensities.read(connection, site.id, *time,
                                         basis=basis))
                for basis in supply.BASES]
    if metered is None:
        if not configured and all(one.empty for _, one in emitting):
            return None
        metered = NOTHING
    return _supplies(
        buckets, metered, pue.by_bucket(
            *_wide(connection, site, buckets, as_of_ns, metered),
            configured.get, site.where, buckets), _Emissions(
                metered, emitting, buckets))


def _wide(connection: sa.Connection, site: Site, buckets: range,
          as_of_ns: int, metered: Metered) -> tuple[Series, Series]:
    """Facility and IT energy, as far around as a PUE has to look."""
    known = metered.facility_uj.keys() & metered.it_uj.keys()
    if metered is not NOTHING and not all(
            bucket in known and 0 < metered.it_uj[bucket]
            <= metered.facility_uj[bucket] for bucket in buckets):
        metered = metered_of(connection, site, pue.reach(
            buckets, site.where), as_of_ns) or metered
    return metered.facility_uj, metered.it_uj


class _Emissions:
    """What a site's energy emitted in each bucket, by both methods."""

    def __init__(self, metered: Metered,
                 emitting: Sequence[tuple[str, intensities.Intensities]],
                 buckets: range) -> None:
        self._metered = metered
        self._emitting = emitting
        self._buckets = buckets

    def location(self) -> Emissions:
        return self._first(lambda one: one.location)

    def market(self) -> Emissions:
        return self._first(lambda one: one.market)

    def _first(self, method: Callable[[intensities.Intensities],
                                      carbon.IntensityOf]) -> Emissions:
        """Of the first basis by which all carriers are known."""
        found: Emissions = [None] * len(self._buckets)
        for basis, one in self._emitting:
            if None not in found:
                break
            here = carbon.by_bucket(
                self._metered.carriers_uj, with_sun(method(one)),
                self._buckets)
            found = [there if there is not None else
                     None if intensity is None else (basis, intensity)
                     for there, intensity in zip(found, here, strict=True)]
        return found

    def renewable(self, bucket: int) -> fractions.Fraction | None:
        """The share of the site's energy; None: carriers are not known."""
        shares = max((one.renewable(bucket) for _, one in self._emitting))
        carriers_uj = self._metered.carriers_uj
        if set(carriers_uj) <= {carbon.GRID}:
            return shares
        amounts = {carrier: series.get(bucket)
                   for carrier, series in carriers_uj.items()}
        if None in amounts.values():
            return None
        total = sum(amount or 0 for amount in amounts.values())
        if total <= 0:
            return None
        own = max(0, amounts.get(SOLAR) or 0)
        return min(fractions.Fraction(1), (
            own + shares * (amounts.get(carbon.GRID) or 0)) / total)


def with_sun(intensity_of: carbon.IntensityOf) -> carbon.IntensityOf:
    """Factors, and that of the sun's use where they say nothing of it."""
    def of(carrier: str, bucket: int) -> carbon.Intensity | None:
        found = intensity_of(carrier, bucket)
        return _SUN if found is None and carrier == SOLAR else found
    return of


def _supplies(buckets: range, metered: Metered,
              pues: Sequence[pue.Pue | None],
              emissions: _Emissions) -> list[supply.Supply]:
    """One for each bucket; those that are alike are one object."""
    alike: dict[Any, supply.Supply] = {}
    found = []
    for bucket, here, location, market in zip(
            buckets, pues, emissions.location(), emissions.market(),
            strict=True):
        water = _ratio(metered.water_ml.get(bucket),
                       metered.it_uj.get(bucket))
        key = here, location, market, water, emissions.renewable(bucket)
        if key not in alike:
            alike[key] = _supply(*key)
        found.append(alike[key])
    return found


def _supply(here: pue.Pue | None, location: Emission | None,
            market: Emission | None, water: fractions.Fraction | None,
            renewable: fractions.Fraction | None) -> supply.Supply:
    return supply.Supply(
        pue=None if here is None else here.value,
        pue_kind=None if here is None else here.kind,
        location=_ng(location), market=_ng(market),
        # Millilitres become microlitres.
        water=None if water is None else water * 1000, renewable=renewable,
        factor_quality=None if location is None else location[1].quality,
        factor_basis=None if location is None else location[0])


def _ng(emission: Emission | None) -> fractions.Fraction | None:
    return (None if emission is None
            else emission[1].g_per_kwh * carbon.NG_PER_UJ)


# --- meters -----------------------------------------------------------------

def metered_of(connection: sa.Connection, site: Site, buckets: range,
               as_of_ns: int) -> Metered | None:
    """What a site's meters say of each bucket; None: it has none."""
    return metered(readings.amounts_of(
        connection, site.name, ROLES, buckets.start, buckets.stop,
        as_of_ns), buckets)


def metered(roles: Mapping[str, Sequence[readings.Amounts]],
            buckets: range) -> Metered | None:
    """What meters say of each bucket; None: there are none.

    :param roles: those of a site, by each of :data:`ROLES`; a meter of a
        section is none of the whole site.
    """
    roles = {role: [one for one in found if one.meter.section is None]
             for role, found in roles.items()}
    if not any(roles.values()):
        return None
    feeds: dict[tuple[str, int], list[readings.Amounts]] = {}
    for role in _SUPPLIES:
        for one in roles[role]:
            feeds.setdefault(_carrier(one, bool(roles['pv_onsite'])),
                             []).append(one)
    carriers_uj: dict[str, list[Series]] = {}
    for (carrier, sign), found in feeds.items():
        # The main supply is always there; others come and go.
        series = _whole(found, buckets, absent_is_none=carrier != carbon.GRID
                        or sign < 0)
        carriers_uj.setdefault(carrier, []).append(
            {bucket: sign * amount for bucket, amount in series.items()})
    known = {carrier: _together(series, buckets)
             for carrier, series in carriers_uj.items()}
    it = next((roles[role] for role in _IT if roles[role]), [])
    return Metered(known, _together(known.values(), buckets),
                   _whole(it, buckets), _whole(roles[_WATER], buckets))


def _carrier(one: readings.Amounts, has_solar: bool) -> tuple[str, int]:
    """What a supply is energy of, and whether it goes in or out."""
    match one.meter.role, one.meter.medium:
        case 'pv_onsite', _:
            return SOLAR, 1
        case 'grid_export', _:
            # What a site makes itself is what it can give away.
            return (SOLAR if has_solar else carbon.GRID), -1
        case 'dc_generator', quantities.ELECTRICITY:
            return GENERATOR, 1
        case _, medium:
            return medium, 1


def _whole(found: Sequence[readings.Amounts], buckets: range, *,
           absent_is_none: bool = False) -> Series:
    """The sum of meters in the buckets that those in service cover.

    :param absent_is_none: whether nothing is used while no meter is there,
        as of a generator before it came; else nobody knows.
    """
    series = {bucket: share.amount for bucket, share in readings.total(
        found, buckets.start, buckets.stop).items()
        if share.covered_ns == units.BUCKET_NS}
    if absent_is_none:
        series |= {bucket: 0 for bucket in buckets if not any(
            meters.in_service(one.meter, bucket * units.BUCKET_NS,
                              (bucket + 1) * units.BUCKET_NS)
            for one in found)}
    return series


def _together(series: Iterable[Series], buckets: range) -> Series:
    """The sum of series in the buckets in which all are known."""
    found = list(series)
    if not found:
        return {}
    return {bucket: sum(one[bucket] for one in found) for bucket in buckets
            if all(bucket in one for one in found)}


def _ratio(amount: int | None, energy_uj: int | None,
           ) -> fractions.Fraction | None:
    if amount is None or not energy_uj:
        return None
    return fractions.Fraction(amount, energy_uj)
