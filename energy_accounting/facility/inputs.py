# SPDX-License-Identifier: Apache-2.0
"""Measured (or planned) amounts of a site over a period, exactly.

What a key figure is made of, and how carriers that are not metered as
energy become energy.  Pure: no reading of meters, no factor that has a
date, no figure.

Units, one for each medium: energy in microjoules, water in millilitres,
carbon dioxide in milligrams.  A value is an ``int`` where a meter said it
and a ``Fraction`` where it was divided; a float is refused.
"""

from __future__ import annotations

import dataclasses
import datetime
import fractions
from collections.abc import Callable, Iterable, Mapping, Sequence

from energy_accounting import errors, units

ENERGY, WATER, CO2 = 'uJ', 'ml', 'mg'

METERED = {
    'dc_total': ENERGY, 'dc_generator': ENERGY, 'pv_onsite': ENERGY,
    'cooling_in': ENERGY, 'grid_export': ENERGY,
    'it_ups_out': ENERGY, 'it_pdu_out': ENERGY, 'it_input': ENERGY,
    'cooling_el': ENERGY, 'heat_removed': ENERGY, 'heat_reused': ENERGY,
    'water_in': WATER, 'water_potable': WATER,
}
"""The unit of what the meters of each role measure; fuels of a generator
as the energy they count as (``quantities``)."""

ROLES = {**METERED, 'renewable': ENERGY, 'co2_location': CO2,
         'co2_market': CO2}
"""Those, and what is computed of them."""

SUPPLIES = ('dc_total', 'dc_generator', 'pv_onsite', 'cooling_in')
"""What E_DC is the sum of, less ``grid_export``."""

OCCASIONAL = (*SUPPLIES[1:], 'grid_export')
"""Those that come and go: while none of their meters is there, there is
nothing of them."""

CATEGORIES: Mapping[str, int] = {
    'it_ups_out': 1, 'it_pdu_out': 2, 'it_input': 3}
"""Where E_IT is measured says the category of a PUE."""

WATER_CATEGORIES: Mapping[str, int] = {'water_potable': 1, 'water_in': 2}
"""Which water it is says the category of a WUE (the EU's annex II)."""

# Terms are shown in the units that the standards and the law use.
SHOWN = {ENERGY: ('kWh', units.UJ_PER_KWH), WATER: ('m3', 1_000_000),
         CO2: ('kg', 1_000_000)}


@dataclasses.dataclass(frozen=True)
class Fuel:
    """What a unit of a fuel counts as energy.

    :ivar measure: litres, cubic metres or kilograms, as it is sold.
    """

    name: str
    measure: str
    kwh: fractions.Fraction
    source: str


_SOURCE = 'EN 50600-4-2 (ictfootprint.eu, EN 50600-4 factsheet)'
FUELS = {fuel.name: fuel for fuel in (
    Fuel('diesel', 'l', fractions.Fraction(99, 10), _SOURCE),
    Fuel('gas', 'm3', fractions.Fraction(105, 10), _SOURCE),
    Fuel('hydrogen', 'kg', fractions.Fraction(389, 10), _SOURCE),
    Fuel('bioethanol', 'l', fractions.Fraction(6), _SOURCE))}


@dataclasses.dataclass(frozen=True, order=True)
class Period:
    """A half-open time, in UTC.

    :raises errors.FigureRefused: for a naive edge or nothing between them.
    """

    start: datetime.datetime
    end: datetime.datetime

    def __post_init__(self) -> None:
        for name in ('start', 'end'):
            edge = getattr(self, name)
            if edge.utcoffset() is None:
                raise errors.FigureRefused(
                    f'period {name} {edge} has no time zone: add Z or an '
                    'offset such as +01:00')
            object.__setattr__(self, name, edge.astimezone(units.UTC))
        if self.start >= self.end:
            raise errors.FigureRefused(
                f'period {self}: its end must be after its start')

    def __str__(self) -> str:
        return f'{units.iso(self.start)}/{units.iso(self.end)}'

    def months(self, where: datetime.tzinfo) -> int | None:
        """How many calendar months it is; None when not a whole number."""
        edges = (self.start, self.end)
        if any(units.period_start(edge, 'month', where) != edge
               for edge in edges):
            return None
        first, last = (edge.astimezone(where) for edge in edges)
        return (last.year - first.year) * 12 + last.month - first.month

    def over_a_year(self, where: datetime.tzinfo) -> bool:
        """Whether it ends later than a year after its start."""
        local = self.start.astimezone(where)
        try:
            after = local.replace(year=local.year + 1)
        except ValueError:
            # 29 February.
            after = local.replace(year=local.year + 1, month=3, day=1)
        return self.end > after.astimezone(units.UTC)


Spans = Sequence[tuple[int, int]]
"""Half-open times in nanoseconds, in order; none touches another."""


@dataclasses.dataclass(frozen=True)
class Source:
    """When an amount was measured, and what it is of a part of that.

    :ivar covered: the times that it is the amount of.
    :ivar within: its value and estimated share of some of them.
    """

    covered: Spans
    within: Callable[[Spans], tuple[int | fractions.Fraction,
                                    fractions.Fraction]]


@dataclasses.dataclass(frozen=True)
class Amount:
    """How much went through the meters of a role in a period.

    :ivar role: one of :data:`ROLES`, which says the unit.
    :ivar value: at least 0, in that unit.
    :ivar meters: their ids; of certificates, factors where there is no
        meter.  Empty for planned numbers only.
    :ivar coverage: share of the period that has data.
    :ivar estimated: share of the value that nobody measured.
    :ivar planned: a number of the design, not of a meter.
    :ivar section: the part of the site; '' is all of it.
    :ivar reading_seconds: the longest time between two readings.
    :ivar source: None: nobody knows when of the period it was measured.
    :raises errors.FigureRefused: when this cannot be an amount.
    """

    role: str
    value: int | fractions.Fraction
    period: Period
    meters: tuple[str, ...] = ()
    coverage: fractions.Fraction = fractions.Fraction(1)
    estimated: fractions.Fraction = fractions.Fraction(0)
    planned: bool = False
    section: str = ''
    reading_seconds: int | None = None
    source: Source | None = dataclasses.field(
        default=None, compare=False, repr=False)

    def __post_init__(self) -> None:
        if self.role not in ROLES:
            raise errors.FigureRefused(
                f'{self.role!r} is not a role: use one of '
                f'{", ".join(ROLES)}')
        for name in ('value', 'coverage', 'estimated'):
            number = getattr(self, name)
            if (isinstance(number, bool)
                    or not isinstance(number, int | fractions.Fraction)):
                raise errors.FigureRefused(
                    f'{self.role}: {name} {number!r} is not exact: give an '
                    'int or a Fraction')
        if self.value < 0:
            raise errors.FigureRefused(
                f'{self.role}: {shown(self.role, self.value)} is negative: '
                'check the direction of the meters '
                f'{", ".join(self.meters)}, and whether one was exchanged '
                'or reset')
        for name in ('coverage', 'estimated'):
            if not 0 <= getattr(self, name) <= 1:
                raise errors.FigureRefused(
                    f'{self.role}: {name} {getattr(self, name)} is not a '
                    'share: give 0 to 1')
        if not self.meters and not self.planned:
            raise errors.FigureRefused(
                f'{self.role}: no meter is named: give the ids of the '
                'meters it was read from, or say that it is planned')
        if len(set(self.meters)) < len(self.meters):
            raise errors.FigureRefused(
                f'{self.role}: a meter is counted twice in '
                f'{", ".join(self.meters)}: name each once')

    @property
    def unit(self) -> str:
        """The unit of the value."""
        return ROLES[self.role]

    def within(self, source: Source, spans: Spans) -> Amount:
        """What of it is of some times."""
        value, estimated = source.within(spans)
        return dataclasses.replace(
            self, value=value, estimated=estimated,
            coverage=share_of(self.period, spans),
            source=dataclasses.replace(source, covered=spans))


@dataclasses.dataclass(frozen=True)
class Missing:
    """An input that a figure needs and nobody has."""

    role: str
    why: str = 'no meter of this role has readings in the period'

    def __str__(self) -> str:
        return f'{self.role}: {self.why}'


def shown(role: str, value: int | fractions.Fraction) -> str:
    """An amount as a message says it, such as ``1200 kWh``."""
    unit, size = SHOWN[ROLES[role]]
    thousandths = round(fractions.Fraction(value, size) * 1000)
    sign = '-' if thousandths < 0 else ''
    whole, rest = divmod(abs(thousandths), 1000)
    text = f'{sign}{whole}.{rest:03d}'.rstrip('0').rstrip('.')
    return f'{text} {unit}'


def share_of(period: Period, spans: Spans) -> fractions.Fraction:
    """The share of a period that times in it are."""
    start_ns, end_ns = (units.wall_ns(edge)
                        for edge in (period.start, period.end))
    return fractions.Fraction(sum(until_ns - since_ns
                                  for since_ns, until_ns in spans),
                              end_ns - start_ns)


def together(given: Sequence[Amount]) -> list[Amount]:
    """The same amounts of the time of which all of them are known.

    In whole quarters of an hour, by which factors count.  Without it a hole
    of one of them would make a ratio of different times.
    """
    known = [(one, one.source) for one in given if one.source is not None]
    if len(known) < len(given) or not given:
        return [*given]
    covered = [[*source.covered] for _, source in known]
    start_ns, end_ns = (units.wall_ns(edge) for edge in (
        given[0].period.start, given[0].period.end))
    common = units.without(start_ns, end_ns, [
        hole for one in covered
        for hole in units.without(start_ns, end_ns, one)])
    if all(one == common for one in covered):
        return [*given]
    quarter_ns = units.BUCKET_NS
    whole = [(-(-since_ns // quarter_ns) * quarter_ns,
              until_ns // quarter_ns * quarter_ns)
             for since_ns, until_ns in common]
    whole = [span for span in whole if span[0] < span[1]]
    return [one.within(source, whole) for one, source in known]


def add(role: str, parts: Sequence[Amount | Missing],
        less: Sequence[Amount | Missing] = ()) -> Amount | Missing:
    """One amount of several over the same period and section.

    Its coverage is the worst of theirs; its estimated share is theirs
    weighted by value, since a small meter's guess is a small guess.

    :param less: what is taken off, such as energy handed on.
    :raises errors.FigureRefused: when they cannot be added.
    """
    for missing in (*parts, *less):
        if isinstance(missing, Missing):
            return missing
    given = [one for one in (*parts, *less) if isinstance(one, Amount)]
    if not given:
        return Missing(role)
    agree(given)
    given = together(given)
    first = given[0]
    for one in given:
        if one.unit != ROLES[role]:
            raise errors.FigureRefused(
                f'{role} is not a sum of {one.role}: that is in {one.unit}')
    meters = tuple(meter for one in given for meter in one.meters)
    value, estimated = _added(given, len(parts))
    intervals = [one.reading_seconds for one in given]
    return Amount(
        role=role,
        value=value, period=first.period, meters=meters,
        coverage=min(fractions.Fraction(one.coverage) for one in given),
        estimated=estimated,
        planned=any(one.planned for one in given), section=first.section,
        reading_seconds=longest(intervals),
        source=_added_source(given, len(parts)))


def _added(given: Sequence[Amount], parts: int,
           ) -> tuple[fractions.Fraction, fractions.Fraction]:
    """The first ones less the rest, and the share that is estimated."""
    gross = sum((fractions.Fraction(one.value) for one in given),
                fractions.Fraction(0))
    return (gross - 2 * sum(one.value for one in given[parts:]),
            _weighted(given, gross))


def _added_source(given: Sequence[Amount], parts: int) -> Source | None:
    known = [(one, one.source) for one in given if one.source is not None]
    if len(known) < len(given):
        return None

    def within(spans: Spans) -> tuple[fractions.Fraction,
                                      fractions.Fraction]:
        return _added([one.within(source, spans) for one, source in known],
                      parts)

    return Source(known[0][1].covered, within)


def e_dc(supplies: Sequence[Amount | Missing],
         exported: Sequence[Amount | Missing] = ()) -> Amount | Missing:
    """The energy of a data centre: every supply at the site's input.

    Supplies are metered separately, generators too (Delegated Regulation
    (EU) 2024/1364, annex II; EN 50600-4-2, 5.2).

    :param supplies: of the roles :data:`SUPPLIES`.
    :param exported: of the role ``grid_export``.
    """
    for ones, roles in ((supplies, SUPPLIES), (exported, ('grid_export',))):
        for one in ones:
            if one.role not in roles:
                raise errors.FigureRefused(
                    f'{one.role} is no part of E_DC: its energy came in by '
                    f'one of {", ".join(roles)}')
    return add('dc_total', supplies, exported)


def it_energy(parts: Sequence[Amount | Missing]) -> Amount | Missing:
    """E_IT of several meters of one role: of one category, that is."""
    roles = sorted({one.role for one in parts})
    if len(roles) > 1:
        raise errors.FigureRefused(
            f'E_IT mixes categories ({", ".join(roles)}): use the meters of '
            'one role only')
    return add(roles[0], parts) if roles else Missing('it_ups_out')


def agree(given: Iterable[Amount]) -> None:
    """Refuse amounts of different periods or sections."""
    first, *rest = given
    for one in rest:
        if one.period != first.period:
            raise errors.FigureRefused(
                f'{first.role} is of {first.period}, {one.role} of '
                f'{one.period}: give both over the same period')
        if one.section != first.section:
            raise errors.FigureRefused(
                f'{first.role} is of {_place(first)}, {one.role} of '
                f'{_place(one)}: give both of the same section')


def longest(seconds: Iterable[int | None]) -> int | None:
    """The longest of reading intervals; None when one is not known."""
    known = list(seconds)
    found = [one for one in known if one is not None]
    return max(found) if found and len(found) == len(known) else None


def _place(one: Amount) -> str:
    return f'section {one.section!r}' if one.section else 'the whole site'


def _weighted(given: Sequence[Amount],
              gross: fractions.Fraction) -> fractions.Fraction:
    if not gross:
        return max(fractions.Fraction(one.estimated) for one in given)
    return sum((fractions.Fraction(one.estimated) * one.value
                for one in given), fractions.Fraction(0)) / gross
