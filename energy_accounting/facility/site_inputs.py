# SPDX-License-Identifier: Apache-2.0
"""What is known of a site and a period, for its key figures: SQL.

Gathers what its meters read, what it bought, what its energy emitted and
how busy its hosts were, as of a moment.  What is made of it stands in
``site_figures``.  No clock.
"""

from __future__ import annotations

import collections
import dataclasses
import fractions
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import sqlalchemy as sa

from energy_accounting import errors, units
from energy_accounting.facility import (
    amounts,
    carbon,
    contract_store,
    contracts,
    equipment,
    factors,
    inputs,
    intensities,
    kpi,
    meter_amounts,
    meters,
    quantities,
    supplies,
    supply,
)
from energy_accounting.facility.inputs import Amount, Missing
from energy_accounting.facility.site_figures import WHOLE, Emitted, Known
from energy_accounting.ledger import models as ledger
from energy_accounting.ledger import sites

_SHOWN = 3
"""So many times without data of a meter are told one by one."""
_OF_SECTIONS = (*inputs.SUPPLIES, 'grid_export', *inputs.CATEGORIES)
_METHODS = {factors.LOCATION: 'co2_location', factors.MARKET: 'co2_market'}


class _Said(NamedTuple):
    """What a meter read around the period."""

    meter: meters.Meter
    measured: amounts.Measured


def read(connection: sa.Connection, site: sites.Site, period: inputs.Period,
         as_of_ns: int, *, names: bool = True) -> Known:
    """What is known of a site and a period.

    Meters, readings, events, factors and contracts are as they were known
    at the moment; hosts are as they are now, and so is what is booked of
    their time.

    :param site: as it was known at the moment.
    :param names: whether meters and hosts are called by their names, and
        not by numbers: tenants may not know them.
    :raises errors.FigureRefused: an edge is inside a quarter of an hour.
    """
    return _Reader(connection, site, period, as_of_ns, names).known()


class _Reader:
    """One site and period."""

    def __init__(self, connection: sa.Connection, site: sites.Site,
                 period: inputs.Period, as_of_ns: int, names: bool) -> None:
        self._connection = connection
        self._site = site
        self._period = period
        self._as_of_ns = as_of_ns
        self._names = names
        self._start_ns, self._end_ns = (
            units.wall_ns(edge) for edge in (period.start, period.end))
        for name, edge_ns in (('start', self._start_ns),
                              ('end', self._end_ns)):
            if edge_ns % units.BUCKET_NS:
                raise errors.FigureRefused(
                    f'period {name} is inside a quarter of an hour: give '
                    'minute 00, 15, 30 or 45 and no seconds')
        self._buckets = range(units.bucket_of(self._start_ns),
                              units.bucket_of(self._end_ns))

    def known(self) -> Known:
        every = meters.as_of(self._connection, self._site.name,
                             self._as_of_ns)
        said = [
            _Said(meter, meter_amounts.measured(
                self._connection, meter, self._start_ns, self._end_ns,
                self._as_of_ns, every))
            for meter in every if meter.role in inputs.METERED
            and meters.in_service(meter, self._start_ns, self._end_ns)]
        counted = self._counted(said, every, None)
        found = self._amounts(counted, WHOLE, inputs.METERED)
        for section in {one.meter.section for one in said}:
            if section is not None:
                found |= self._amounts(
                    self._counted(said, every, section), section,
                    _OF_SECTIONS)
        return Known(
            amounts=found, renewable=self._renewable(counted, found),
            emitted=self._emitted(counted, found),
            servers=self._servers(), served=self._served(),
            remarks={self._label(one.meter): self._remarks(one, every)
                     for one in said},
            classes={self._label(one.meter): one.meter.accuracy_class
                     for one in said})

    # --- meters ------------------------------------------------------------

    def _counted(self, said: Sequence[_Said], every: Iterable[meters.Meter],
                 section: str | None) -> list[_Said]:
        """Those that are to be added: none that another has measured.

        A meter of a section is one of that section alone: whether the
        sections are all of the site, a virtual meter says.
        """
        of = [one for one in said if one.meter.section == section]
        inside = meter_amounts.counted_by([one.meter for one in of], every)
        return [one for one in of if one.meter.name not in inside]

    def _amounts(self, said: Iterable[_Said], section: str,
                 roles: Iterable[str],
                 ) -> dict[tuple[str, str], Amount | Missing]:
        by_role: dict[str, list[_Said]] = collections.defaultdict(list)
        for one in said:
            by_role[one.meter.role].append(one)
        return {(section, role): self._amount(role, by_role[role], section)
                for role in roles if by_role[role]}

    def _amount(self, role: str, said: Sequence[_Said],
                section: str) -> Amount | Missing:
        """The meters of a role together over the whole period."""
        longest_ns = [self._share(one).longest_ns for one in said]

        def within(spans: inputs.Spans,
                   ) -> tuple[int, fractions.Fraction]:
            shares = [share for one in said
                      for share in _shares(one.measured, spans)]
            value = sum(share.amount for share in shares)
            estimated = sum(share.estimated for share in shares)
            # Of a sum with differences in it parts may be larger.
            return value, (min(fractions.Fraction(max(estimated, 0), value),
                               fractions.Fraction(1)) if value > 0
                           else fractions.Fraction(bool(estimated)))

        covered = self._covered(said)
        value, estimated = within(covered)
        try:
            return Amount(
                role, value, self._period,
                meters=tuple(self._label(one.meter) for one in said),
                coverage=inputs.share_of(self._period, covered),
                estimated=estimated, section=section,
                reading_seconds=inputs.longest(
                    -(-one // units.NS_PER_S) or None
                    for one in longest_ns),
                source=inputs.Source(covered, within))
        except errors.FigureRefused as error:
            return Missing(role, str(error).removeprefix(f'{role}: '))

    def _share(self, one: _Said) -> amounts.Share:
        (share,) = amounts.divided(one.measured.intervals,
                                   [self._start_ns, self._end_ns])
        return share

    def _covered(self, said: Sequence[_Said]) -> list[amounts.Span]:
        """When of the period all that were there measured.

        A time in which none of them was there yet, or any more, is none.
        """
        known = gone = [(self._start_ns, self._end_ns)]
        for one in said:
            out = self._out(one.meter)
            gone = amounts.both(gone, out)
            known = amounts.both(known, _united([
                *out, *((part.start_ns, part.end_ns)
                        for part in one.measured.intervals)]))
        return amounts.both(known, units.without(
            self._start_ns, self._end_ns, gone))

    def _out(self, meter: meters.Meter) -> list[tuple[int, int]]:
        """When of the period a meter was not at its place."""
        there_ns = max(meter.installed_ns or self._start_ns, self._start_ns)
        until_ns = (self._end_ns if meter.removed_ns is None
                    else min(meter.removed_ns, self._end_ns))
        return [part for part in ((self._start_ns, there_ns),
                                  (until_ns, self._end_ns))
                if part[0] < part[1]]

    def _remarks(self, one: _Said, every: Iterable[meters.Meter],
                 ) -> tuple[str, ...]:
        """Which time a meter says nothing of, and why."""
        there = units.without(self._start_ns, self._end_ns,
                              self._out(one.meter))
        known = [(part.start_ns, part.end_ns)
                 for part in one.measured.intervals]
        holes = [hole for part in there
                 for hole in units.without(*part, known)]
        label = self._called(one.meter)
        if one.meter.kind == quantities.VIRTUAL:
            said = self._remarks_of_terms(one.meter, holes[:_SHOWN], every)
        else:
            said = [f'{label}: {_why(one.measured, hole)} '
                    f'({contracts.period(*hole)})'
                    for hole in holes[:_SHOWN]]
        if len(holes) > _SHOWN:
            said.append(f'{label}: {len(holes) - _SHOWN} more times without '
                        'data')
        return tuple(said)

    def _remarks_of_terms(self, of: meters.Meter,
                          holes: Sequence[tuple[int, int]],
                          every: Iterable[meters.Meter]) -> list[str]:
        """Of a sum nothing is read: what it lacks, a term lacks."""
        names = {name for name, _ in of.terms} if holes else ()
        said = []
        for term in every:
            if term.name not in names:
                continue
            measured = meter_amounts.measured(
                self._connection, term, self._start_ns, self._end_ns,
                self._as_of_ns)
            lacking = units.without(
                self._start_ns, self._end_ns,
                [(part.start_ns, part.end_ns)
                 for part in measured.intervals])
            said += [f'{self._called(term)}, a term of {self._called(of)}: '
                     f'{_why(measured, hole)} ({contracts.period(*hole)})'
                     for hole in amounts.both(holes, lacking)]
        return said

    def _called(self, meter: meters.Meter) -> str:
        return f'meter {meter.name if self._names else meter.id}'

    def _label(self, meter: meters.Meter) -> str:
        return meter.name if self._names else f'meter {meter.id}'

    # --- what was bought -----------------------------------------------------

    def _renewable(self, counted: Sequence[_Said],
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
            self._start_ns, self._end_ns)
        there = contract_store.as_of(
            self._connection, self._site.name, self._start_ns, self._end_ns,
            self._as_of_ns)
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
                'renewable', renewable, self._period,
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
                of_plant, self._start_ns, self._end_ns))
        return attributes

    # --- what was emitted ----------------------------------------------------

    def _emitted(self, counted: Sequence[_Said],
                 found: Mapping[tuple[str, str], Amount | Missing],
                 ) -> list[Emitted]:
        shares = {role: [
            meter_amounts.Amounts(one.meter, amounts.whole(
                one.measured.intervals, self._buckets.start,
                self._buckets.stop), None)
            for one in counted if one.meter.role == role]
            if role in (*inputs.SUPPLIES, 'grid_export') else []
            for role in supplies.ROLES}
        metered = supplies.metered(shares, self._buckets)
        if metered is None or not shares['dc_total']:
            return [Emitted(Missing(role, 'no meter of the role dc_total'),
                            supply.BASES[0]) for role in _METHODS.values()]
        site_id = self._connection.execute(
            sa.select(ledger.sites.c.id)
            .where(ledger.sites.c.name == self._site.name)).scalar_one()
        known = {basis: intensities.read(
            self._connection, site_id, self._buckets.start,
            self._buckets.stop, self._as_of_ns, basis=basis,
            plant=metered.plant) for basis in supply.BASES}
        supplied = [one for (section, role), one in found.items()
                    if section == WHOLE and isinstance(one, Amount)
                    and role in (*inputs.SUPPLIES, 'grid_export')]
        return [self._by_method(method, metered, known, supplied)
                for method in _METHODS]

    def _by_method(self, method: str, metered: supplies.Metered,
                   known: Mapping[str, intensities.Intensities],
                   supplied: Sequence[Amount]) -> Emitted:
        """On the one basis by which usage rows are counted, too."""
        basis = intensities.chosen(known, method, metered.carriers_uj)

        def of(buckets: Iterable[int]) -> carbon.Total:
            one = known[basis]
            return carbon.total(
                metered.carriers_uj, one.location
                if method == factors.LOCATION else one.market, buckets)

        total = of(self._buckets)
        role = _METHODS[method]
        if not total.buckets:
            return Emitted(Missing(role, _unknown(
                method, metered, self._site.grid_zone)), basis)
        spans = known[basis].spans(method, factors.ELECTRICITY)
        sources = sorted({one.factor.source for one in spans})
        guessed = max(
            fractions.Fraction(one.estimated) for one in supplied)

        def within(spans: inputs.Spans) -> tuple[
                fractions.Fraction, fractions.Fraction]:
            part = of(total.buckets.intersection(
                bucket for span in spans for bucket in range(
                    -(-span[0] // units.BUCKET_NS),
                    span[1] // units.BUCKET_NS)))
            return part.mg, max(guessed, part.unsure_mg / part.mg
                                if part.mg else fractions.Fraction(0))

        covered = _united((bucket * units.BUCKET_NS,
                           (bucket + 1) * units.BUCKET_NS)
                          for bucket in total.buckets)
        try:
            amount: Amount | Missing = Amount(
                role, total.mg, self._period,
                meters=tuple(meter for one in supplied
                             for meter in one.meters),
                coverage=inputs.share_of(self._period, covered),
                estimated=max(guessed, total.unsure_mg / total.mg
                              if total.mg else fractions.Fraction(0)),
                reading_seconds=inputs.longest(
                    one.reading_seconds for one in supplied),
                source=inputs.Source(covered, within))
        except errors.FigureRefused as error:
            amount = Missing(role, str(error).removeprefix(f'{role}: '))
        return Emitted(amount, basis, tuple(
            f'factors of electricity: {source}' for source in sources))

    # --- hosts ---------------------------------------------------------------

    def _servers(self) -> list[equipment.Utilisation]:
        """How busy the hosts of the site were, by the ledger.

        Buckets of a host that were measured alike are one row: all the
        standard's mean needs, and a year of a host is few rows.
        """
        hosts, table = ledger.hosts.c, ledger.host_buckets.c
        busy_ns = sa.case((table.busy_ns > table.capacity_ns,
                           table.capacity_ns), else_=table.busy_ns)
        query = sa.select(
            table.host_id, table.measured_ns, table.capacity_ns,
            sa.func.count().label('buckets'),
            sa.func.sum(busy_ns).label('busy_ns'),
        ).join_from(ledger.host_buckets, ledger.hosts,
                    hosts.id == table.host_id).join(
            ledger.sites, ledger.sites.c.id == hosts.site_id).where(
            ledger.sites.c.name == self._site.name,
            table.bucket >= self._buckets.start,
            table.bucket < self._buckets.stop,
            table.measured_ns > 0,
        ).group_by(table.host_id, table.measured_ns, table.capacity_ns)
        rows = collections.defaultdict(list)
        for row in self._connection.execute(query):
            rows[row.host_id].append(row)
        found = []
        for host in self._connection.execute(
                sa.select(hosts.id, hosts.name, hosts.enrolled_at_ns,
                          hosts.retired_at_ns)
                .join_from(ledger.hosts, ledger.sites)
                .where(ledger.sites.c.name == self._site.name)
                .order_by(hosts.name)):
            label = host.name if self._names else f'host {host.id}'
            measured_ns = 0
            for row in rows[host.id]:
                time_ns = row.measured_ns * row.buckets
                measured_ns += time_ns
                found.append(equipment.Utilisation(
                    label, int(row.busy_ns), row.capacity_ns * row.buckets,
                    time_ns, time_ns))
            silent_ns = self._in_service_ns(host) - measured_ns
            if silent_ns > 0:
                found.append(equipment.Utilisation(label, 0, 0, 0,
                                                   silent_ns))
        return found

    def _served(self) -> fractions.Fraction:
        """The share of the period in which any host was enrolled."""
        hosts = ledger.hosts.c
        spans = [(max(enrolled_ns, self._start_ns),
                  min(retired_ns or self._end_ns, self._end_ns))
                 for enrolled_ns, retired_ns in self._connection.execute(
                     sa.select(hosts.enrolled_at_ns, hosts.retired_at_ns)
                     .join_from(ledger.hosts, ledger.sites)
                     .where(ledger.sites.c.name == self._site.name,
                            hosts.enrolled_at_ns.is_not(None)))]
        return inputs.share_of(self._period, _united(
            span for span in spans if span[0] < span[1]))

    def _in_service_ns(self, host: Any) -> int:
        """How long a host should have been measured."""
        if host.enrolled_at_ns is None:
            return 0
        start_ns = max(host.enrolled_at_ns, self._start_ns)
        end_ns = min(host.retired_at_ns or self._end_ns, self._end_ns)
        table = ledger.downtimes.c
        planned = [(row.start_ns, row.end_ns)
                   for row in self._connection.execute(
                       sa.select(table.start_ns, table.end_ns)
                       .where(table.host_id == host.id,
                              table.start_ns < end_ns,
                              table.end_ns > start_ns))]
        return (_length(units.without(start_ns, end_ns, planned))
                if start_ns < end_ns else 0)


def _shares(measured: amounts.Measured,
            spans: inputs.Spans) -> list[amounts.Share]:
    """What was measured in each of some times."""
    return amounts.divided(measured.intervals, [
        edge for span in spans for edge in span])[::2]


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
                 grid: Sequence[_Said], of_grid: Amount) -> inputs.Source:
    """Its share of what the grid delivered in its time.

    :param bought: the parts of it that speak of the grid.
    """
    times = [(one.start_ns, one.end_ns) for one in bought]

    def within(spans: inputs.Spans) -> tuple[
            fractions.Fraction, fractions.Fraction]:
        mine = amounts.both([*spans], times)
        delivered = sum(share.amount for one in grid
                        for share in _shares(one.measured, mine))
        return (fractions.Fraction(contract.share) * delivered
                if contract.renewable else fractions.Fraction(0),
                fractions.Fraction(of_grid.estimated))

    return inputs.Source(of_grid.source.covered if of_grid.source else (),
                         within)


def _unknown(method: str, metered: supplies.Metered,
             zone: str | None) -> str:
    if not metered.facility_uj:
        return 'no quarter of an hour has data of all supplies'
    carriers = ', '.join(sorted({*metered.carriers_uj, carbon.GRID}))
    bought = (' and contracts that say what was bought, or a residual mix'
              if method == factors.MARKET else '')
    return (f'no factors of {carriers} of one basis in the period'
            + ('' if zone else ' (the site has no grid zone)')
            + f': import or fetch them{bought}')


def _why(measured: amounts.Measured, hole: tuple[int, int]) -> str:
    """Why a time has no data."""
    for question in measured.questions:
        if question.start_ns < hole[1] and hole[0] < question.end_ns:
            return (f'a {question.kind} of its counter that nobody has '
                    'decided about')
    for gap in measured.gaps:
        if (gap.reason == amounts.UNKNOWN and gap.start_ns < hole[1]
                and hole[0] < gap.end_ns):
            return 'what it showed when it was exchanged is not known'
    return 'no readings'


def _united(spans: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Times in order, without inner edges or overlaps."""
    found: list[tuple[int, int]] = []
    for start_ns, end_ns in sorted(spans):
        if found and start_ns <= found[-1][1]:
            found[-1] = found[-1][0], max(found[-1][1], end_ns)
        else:
            found.append((start_ns, end_ns))
    return found


def _length(spans: Iterable[tuple[int, int]]) -> int:
    return sum(end_ns - start_ns for start_ns, end_ns in spans)
