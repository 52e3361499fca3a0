# SPDX-License-Identifier: Apache-2.0
"""What was bought for a site in a period, for its key figures: SQL."""

from __future__ import annotations

import dataclasses
import fractions
from collections.abc import Callable, Iterable, Mapping, Sequence

from energy_accounting import errors, units
from energy_accounting.facility import (
    amounts,
    contract_store,
    contracts,
    inputs,
    kpi,
    meters,
    quantities,
)
from energy_accounting.facility.asked import Asked
from energy_accounting.facility.inputs import Amount, Missing
from energy_accounting.facility.site_figures import WHOLE
from energy_accounting.facility.site_meters import Said, shares


def renewable(asked: Asked, counted: Sequence[Said],
              found: Mapping[tuple[str, str], Amount | Missing],
              ) -> Sequence[kpi.Attributes] | Missing:
    """Of contracts, and of a plant of the site's own.

    A contract's share is one of what the grid delivered in its time.
    What an own plant (``pv_onsite``) made counts by its meter, less
    what was handed on, while a contract of instrument onsite says that
    its attributes are kept and used up.
    """
    solar = found.get((WHOLE, quantities.PLANT))
    plant = meters.in_service_of(
        (one.meter for one in counted
         if one.meter.role == quantities.PLANT),
        asked.start_ns, asked.end_ns)
    there = contract_store.as_of(
        asked.connection, asked.site.name, asked.start_ns, asked.end_ns,
        asked.as_of_ns)
    if not there and solar is None:
        return Missing('renewable', 'no contract says what the site '
                       'bought in the period: record one, be it of '
                       'energy that is not renewable')
    grid = [one for one in counted if one.meter.role == 'dc_total']
    of_grid = found.get((WHOLE, 'dc_total'), Missing('dc_total'))
    if isinstance(of_grid, Missing):
        return Missing('renewable', str(of_grid))
    attributes = []
    counts = contracts.purchases(kept.contract for kept in there)
    for kept in there:
        contract = kept.contract
        bought, _ = contracts.divided([contract], plant)
        if not bought or not any(contract is one for one in counts):
            continue
        source = _of_contract(contract, bought, grid, of_grid)
        renewable, estimated = source.within(source.covered)
        attributes.append(kpi.Attributes(inputs.Amount(
            'renewable', renewable, asked.period,
            (f'contract {kept.id}',), of_grid.coverage, estimated,
            reading_seconds=of_grid.reading_seconds, source=source),
            contract.retired or not contract.renewable))
    if solar is not None:
        try:
            made = inputs.add('renewable', [solar], [
                found[place] for place in [(WHOLE, 'grid_export')]
                if place in found])
        except errors.FigureRefused as error:
            made = Missing('renewable', str(error))
        if isinstance(made, Missing):
            return made
        _, of_plant = contracts.divided(
            (kept.contract for kept in there), plant)
        attributes += _of_plant(made, contracts.kept(
            of_plant, asked.start_ns, asked.end_ns))
    return attributes


def _of_plant(made: Amount, kept: Sequence[tuple[int, int]],
              ) -> Iterable[kpi.Attributes]:
    """What an own plant made, by whose its attributes are."""
    if made.source is None or not kept:
        yield kpi.Attributes(made, False)
        return
    yield kpi.Attributes(_cut(made, made.source, lambda spans: amounts.both(
        [*spans], kept)), True)
    rest = _cut(made, made.source, lambda spans: [
        piece for span in spans for piece in units.without(*span, kept)])
    if rest.value:
        # A meter is in a figure once: the rest is another thing of it.
        yield kpi.Attributes(dataclasses.replace(rest, meters=tuple(
            f'{meter} (part of the time)' for meter in made.meters)), False)


def _cut(made: Amount, source: inputs.Source,
         part: Callable[[inputs.Spans], inputs.Spans]) -> Amount:
    """An amount of a part of its time, and nothing of the rest."""
    def within(spans: inputs.Spans) -> tuple[int | fractions.Fraction,
                                             fractions.Fraction]:
        return source.within(part(spans))

    value, estimated = within(source.covered)
    return dataclasses.replace(
        made, value=max(0, value), estimated=estimated,
        source=inputs.Source(source.covered, within))


def _of_contract(contract: contracts.Contract,
                 bought: Iterable[contracts.Contract],
                 grid: Sequence[Said], of_grid: Amount) -> inputs.Source:
    """Its share of what the grid delivered in its time.

    :param bought: the parts of it that speak of the grid.
    """
    times = [(one.start_ns, one.end_ns) for one in bought]

    def within(spans: inputs.Spans) -> tuple[
            fractions.Fraction, fractions.Fraction]:
        mine = amounts.both([*spans], times)
        delivered = sum(share.amount for one in grid
                        for share in shares(one.measured, mine))
        return (fractions.Fraction(contract.share) * delivered
                if contract.renewable else fractions.Fraction(0),
                fractions.Fraction(of_grid.estimated))

    return inputs.Source(of_grid.source.covered if of_grid.source else (),
                         within)
