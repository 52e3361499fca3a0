# SPDX-License-Identifier: Apache-2.0
"""What was bought for a site in a period, for its key figures: SQL.

By quarters of an hour and of the same series as usage rows, so that the
two say the same of a period.
"""

from __future__ import annotations

import fractions
import itertools
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from energy_accounting import units
from energy_accounting.facility import (
    amounts,
    carbon,
    contract_store,
    contracts,
    inputs,
    kpi,
    quantities,
    site_supplied,
    supplies,
)
from energy_accounting.facility.asked import Asked, united
from energy_accounting.facility.inputs import Amount, Missing
from energy_accounting.facility.site_figures import WHOLE
from energy_accounting.facility.site_meters import Said

_NOT_SAID = ('record one, be it of energy that is not renewable (openstack '
             'energy contract create)')


class Bought(NamedTuple):
    """What is known of a site's purchases.

    :ivar remarks: by the name of an input, of which time nothing is known.
    """

    attributes: Sequence[kpi.Attributes] | Missing
    remarks: dict[str, tuple[str, ...]]


def renewable(asked: Asked, counted: Sequence[Said],
              found: Mapping[tuple[str, str], Amount | Missing]) -> Bought:
    """Of contracts, and of a plant of the site's own.

    A contract's share is one of what the grid delivered in its time, less
    what was handed on where no plant is metered.  What an own plant
    (``pv_onsite``) made counts by its meter, less what was handed on, while
    a contract of instrument onsite says that its attributes are kept and
    used up.
    """
    there = contract_store.as_of(
        asked.connection, asked.site.name, asked.start_ns, asked.end_ns,
        asked.as_of_ns)
    if not there:
        return _missing(
            'no contract says what the site bought in the period: '
            + _NOT_SAID + (
                '; for what its plant makes, one of instrument onsite'
                if (WHOLE, quantities.PLANT) in found else ''))
    given = []
    for role in ('dc_total', quantities.PLANT, supplies.EXPORT):
        one = found.get((WHOLE, role), Missing(role))
        if isinstance(one, Amount):
            given.append(one)
        elif role == 'dc_total' or (WHOLE, role) in found:
            return _missing(str(one))
    metered = site_supplied.metered(asked, counted)
    if metered is None:
        return _missing(str(Missing('dc_total')))
    return _Purchases(asked, metered, given, there).bought()


def _missing(why: str) -> Bought:
    return Bought(Missing('renewable', why), {})


class _Purchases:
    """The contracts of a site, and the energy that they speak of."""

    def __init__(self, asked: Asked, metered: supplies.Metered,
                 given: Sequence[Amount],
                 there: Sequence[contract_store.Kept]) -> None:
        self._asked, self._given, self._there = asked, given, there
        self._metered = metered
        whole = asked.start_ns, asked.end_ns
        split = contracts.divided((kept.contract for kept in there),
                                  metered.plant)
        self._grid, self._sun = (
            _Series(metered.carriers_uj.get(carrier, {}), asked.buckets)
            for carrier in (carbon.GRID, supplies.SOLAR))
        self._counting = contracts.renewable(split.of_grid, *whole)
        self._kept = contracts.kept(split.of_plant, *whole)
        self._unknown = [(time, text) for times, text in (
            (units.without(*whole, contracts.spoken(split, *whole)),
             f'no contract says what was bought: {_NOT_SAID}'),
            ([one[:2] for one in self._counting if one.share is None],
             'contracts say that more than all was bought: withdraw one'),
            (contracts.disputed(split.of_plant, *whole),
             'contracts of instrument onsite contradict each other: '
             'withdraw all but one for each basis')) for time in times]
        self._covered = self._known()

    def bought(self) -> Bought:
        attributes = [*self._of_contracts(), *self._of_plant()]
        texts = tuple(f'{text} ({contracts.period(*time)})'
                      for time, text in self._unknown)
        return Bought(attributes, {
            one.amount.meters[0]: texts for one in attributes[:1]})

    def _known(self) -> list[tuple[int, int]]:
        """The time in which it is known what was bought, and how much."""
        metered = self._metered.facility_uj
        known = united((bucket * units.BUCKET_NS,
                        (bucket + 1) * units.BUCKET_NS)
                       for bucket in self._asked.buckets
                       if bucket in metered)
        return amounts.both(known, units.without(
            self._asked.start_ns, self._asked.end_ns,
            (time for time, _ in self._unknown)))

    def _of_contracts(self) -> Iterable[kpi.Attributes]:
        for kept in self._there:
            contract = kept.contract
            (speaks, _) = contracts.divided([contract], self._metered.plant)
            times = amounts.both(
                [(one.start_ns, one.end_ns) for one in speaks],
                united(one[:2] for one in self._counting
                       if one.basis == contract.basis))
            if times:
                yield kpi.Attributes(
                    self._amount(self._grid, times, fractions.Fraction(
                        contract.share if contract.renewable else 0),
                        (f'contract {kept.id}',)),
                    contract.retired or not contract.renewable)

    def _of_plant(self) -> Iterable[kpi.Attributes]:
        """What an own plant made, by whose its attributes are."""
        labels = tuple(label for one in self._given[1:]
                       for label in one.meters)
        if not any(one.role == quantities.PLANT for one in self._given):
            return
        whole = fractions.Fraction(1)
        if self._kept:
            yield kpi.Attributes(self._amount(
                self._sun, self._kept, whole, labels), True)
        rest = self._amount(self._sun, units.without(
            self._asked.start_ns, self._asked.end_ns, self._kept), whole,
            # A meter is in a figure once: the rest is another thing of it.
            tuple(f'{label} (part of the time)' for label in labels)
            if self._kept else labels)
        if rest.value or not self._kept:
            yield kpi.Attributes(rest, False)

    def _amount(self, series: _Series, times: inputs.Spans,
                share: fractions.Fraction, labels: tuple[str, ...]) -> Amount:
        estimated = max(fractions.Fraction(one.estimated)
                        for one in self._given)

        def within(spans: inputs.Spans) -> tuple[fractions.Fraction,
                                                 fractions.Fraction]:
            return (max(fractions.Fraction(0), share * series.within(
                amounts.both([*spans], times))), estimated)

        return Amount(
            'renewable', within(self._covered)[0], self._asked.period,
            labels, inputs.share_of(self._asked.period, self._covered),
            estimated, reading_seconds=inputs.longest(
                one.reading_seconds for one in self._given),
            source=inputs.Source(self._covered, within))


class _Series:
    """Energy by bucket, summed up over any time."""

    def __init__(self, energy_uj: Mapping[int, int], buckets: range) -> None:
        self._energy_uj, self._first = energy_uj, buckets.start
        self._sums = [0, *itertools.accumulate(
            energy_uj.get(bucket, 0) for bucket in buckets)]

    def within(self, times: inputs.Spans) -> fractions.Fraction:
        """Of a part of a bucket an even share."""
        return sum((self._until(end_ns) - self._until(start_ns)
                    for start_ns, end_ns in times), fractions.Fraction(0))

    def _until(self, at_ns: int) -> fractions.Fraction:
        bucket, rest_ns = divmod(at_ns, units.BUCKET_NS)
        return self._sums[bucket - self._first] + fractions.Fraction(
            rest_ns * self._energy_uj.get(bucket, 0), units.BUCKET_NS)
