# SPDX-License-Identifier: Apache-2.0
"""What a site's energy emitted in a period, for its key figures: SQL."""

from __future__ import annotations

import dataclasses
import fractions
from collections.abc import Iterable, Mapping, Sequence

import sqlalchemy as sa

from energy_accounting import errors, units
from energy_accounting.facility import (
    carbon,
    factors,
    inputs,
    intensities,
    places,
    site_supplied,
    supplies,
    supply,
)
from energy_accounting.facility.asked import Asked, united
from energy_accounting.facility.inputs import Amount, Missing
from energy_accounting.facility.site_figures import WHOLE, Emitted
from energy_accounting.facility.site_meters import Said
from energy_accounting.ledger import models as ledger

_METHODS = {factors.LOCATION: 'co2_location', factors.MARKET: 'co2_market'}


def emitted(asked: Asked, counted: Sequence[Said],
            found: Mapping[tuple[str, str], Amount | Missing],
            ) -> list[Emitted]:
    metered = site_supplied.metered(asked, counted)
    if metered is None or all(one.meter.role != 'dc_total'
                              for one in counted):
        return [Emitted(Missing(role, 'no meter of the role dc_total'),
                        supply.BASES[0]) for role in _METHODS.values()]
    site_id = asked.connection.execute(
        sa.select(ledger.sites.c.id)
        .where(ledger.sites.c.name == asked.site.name)).scalar_one()
    unknown = next((one for (section, role), one in found.items()
                    if section == WHOLE and isinstance(one, Missing)
                    and role in site_supplied.CARRIERS), None)
    if unknown is not None:
        return [Emitted(dataclasses.replace(unknown, role=role, why=str(
            unknown)), supply.BASES[0]) for role in _METHODS.values()]
    known = {basis: intensities.read(
        asked.connection, site_id, asked.buckets.start,
        asked.buckets.stop, asked.as_of_ns, basis=basis,
        plant=metered.plant) for basis in supply.BASES}
    supplied = [one for (section, role), one in found.items()
                if section == WHOLE and isinstance(one, Amount)
                and role in site_supplied.CARRIERS]
    return [_by_method(asked, method, metered, known, supplied)
            for method in _METHODS]


def _by_method(asked: Asked, method: str, metered: supplies.Metered,
               known: Mapping[str, intensities.Intensities],
               supplied: Sequence[Amount]) -> Emitted:
    """On the one basis by which usage rows are counted, too."""
    basis = intensities.chosen(known, method, metered.carriers_uj)

    def of(buckets: Iterable[int]) -> carbon.Total:
        one = known[basis]
        return carbon.total(
            metered.carriers_uj, one.location
            if method == factors.LOCATION else one.market, buckets)

    total = of(asked.buckets)
    role = _METHODS[method]
    if not total.buckets:
        return Emitted(Missing(role, _unknown(
            method, metered, known[basis], asked.site.grid_zone)), basis)
    spans = known[basis].spans(method, factors.ELECTRICITY)
    sources = sorted({one.factor.source for one in spans})
    guessed = max(
        fractions.Fraction(one.estimated) for one in supplied)

    def within(spans: inputs.Spans) -> tuple[
            fractions.Fraction, fractions.Fraction]:
        part = of(total.buckets.intersection(places.buckets(spans)))
        return part.mg, max(guessed, _unsure(part))

    covered = united((bucket * units.BUCKET_NS,
                       (bucket + 1) * units.BUCKET_NS)
                      for bucket in total.buckets)
    try:
        amount: Amount | Missing = Amount(
            role, total.mg, asked.period,
            meters=tuple(meter for one in supplied
                         for meter in one.meters),
            coverage=inputs.share_of(asked.period, covered),
            estimated=max(guessed, _unsure(total)),
            reading_seconds=inputs.longest(
                one.reading_seconds for one in supplied),
            source=inputs.Source(covered, within))
    except errors.FigureRefused as error:
        amount = Missing(role, str(error).removeprefix(f'{role}: '))
    notes = [f'factors of electricity: {source}' for source in sources]
    if known[basis].takes_sun_for_nothing(method) and any(
            metered.carriers_uj.get(supplies.SOLAR, {}).values()):
        notes.append('what the own plant made counts as 0 g/kWh: no factor '
                     'of carrier solar is recorded on this basis')
    return Emitted(amount, basis, tuple(notes))


def _unsure(total: carbon.Total) -> fractions.Fraction:
    """The share whose factor is not an actual one.

    What is given away is taken off: the rest may be less than what of it
    is not sure.
    """
    return (min(total.unsure_mg / total.mg, fractions.Fraction(1))
            if total.mg else fractions.Fraction(0))


def _unknown(method: str, metered: supplies.Metered,
             known: intensities.Intensities, zone: str | None) -> str:
    if not metered.facility_uj:
        return 'no quarter of an hour has data of all supplies'
    column = (known.location if method == factors.LOCATION
              else known.market)
    carriers = sorted({carbon.GRID, *(
        carrier for carrier, series in metered.carriers_uj.items()
        if any(series.values()))})
    lacking = [carrier for carrier in carriers if not column(carrier)]
    if not lacking:
        return (f'no quarter of an hour has factors of {", ".join(carriers)} '
                f'together on basis {known.basis}: import or fetch them')
    bought = (' and contracts that say what was bought, each on this basis '
              'too, or a residual mix'
              if method == factors.MARKET and carbon.GRID in lacking else '')
    return (f'no factors of {", ".join(lacking)} on basis {known.basis} in '
            'the period' + ('' if zone else ' (the site has no grid zone)')
            + f': import or fetch them{bought}')
