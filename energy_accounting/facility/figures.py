# SPDX-License-Identifier: Apache-2.0
"""A key figure with all that must stand beside it, and what was asked.

Pure.  What every figure has in common only: formulas stand in ``kpi``
(sites), ``equipment`` (servers) and ``means`` (several sites), how one is
shown is for the faces.
"""

from __future__ import annotations

import dataclasses
import datetime
import decimal
import fractions
from collections.abc import Mapping, Sequence

from energy_accounting import errors
from energy_accounting.facility import editions, inputs

MONTHS = 12
"""The figures are annual: of so many calendar months."""

MINIMUM_COVERAGE = fractions.Fraction(95, 100)
"""Below this an input has gaps too large for a figure, unless told."""

PLACES = 6
"""Decimal places of a figure."""

ROUNDING = f'half to even, {PLACES} decimal places'

# Brings a microjoule back from kWh.
_TERM_PLACES = 15


@dataclasses.dataclass(frozen=True)
class Scope:
    """What is asked for, the same for every figure of a table.

    :ivar zone: the site's time zone: its calendar decides what a year is.
    :ivar editions: an edition by figure, see :func:`editions.chosen`.
    :ivar calculated_by: name and version of the program.
    :ivar minimum_coverage: an input with less data than this is refused.
    :raises errors.FigureRefused: when one of them is none.
    """

    site: str
    period: inputs.Period
    zone: datetime.tzinfo
    editions: Mapping[str, str]
    calculated_by: str
    minimum_coverage: fractions.Fraction = MINIMUM_COVERAGE

    def __post_init__(self) -> None:
        limit = self.minimum_coverage
        if not isinstance(limit, fractions.Fraction) or not 0 <= limit <= 1:
            raise errors.FigureRefused(
                f'minimum_coverage {limit!r} is not an exact share: give a '
                'Fraction of 0 to 1')
        if not self.site or not self.calculated_by:
            raise errors.FigureRefused(
                'site or calculated_by is empty: name the site, and the '
                'program with its version')


@dataclasses.dataclass(frozen=True)
class Term:
    """The numerator or the denominator of a figure.

    :ivar name: the role of its meters, or what it is the sum of.
    """

    name: str
    exact: fractions.Fraction
    unit: str

    @property
    def value(self) -> decimal.Decimal:
        """Rounded half to even, to 15 decimal places."""
        return rounded(self.exact, _TERM_PLACES)


@dataclasses.dataclass(frozen=True)
class Figure:
    """A key figure of a site over a period.

    :ivar name: as the standard calls it, prefixes included (``iPUE``).
    :ivar figure: without those (``PUE``).
    :ivar exact: None when something is missing.
    :ivar standard: the edition it follows.
    :ivar section: the part of the site it is of; '' is all of it.
    :ivar coverage: share of the period with data, of the worst input;
        None when no input is known.
    :ivar estimated: share that nobody measured, of the worst input.
    :ivar meters: ids of all that was read.
    :ivar missing: what it cannot be computed without.
    :ivar reading_seconds: longest time between readings, when known.
    :ivar calculated_by: name and version of the program.
    :ivar notes: what a reader must know to read it right.
    """

    name: str
    figure: str
    exact: fractions.Fraction | None
    unit: str
    standard: str
    category: int | None
    site: str
    section: str
    period: inputs.Period
    coverage: fractions.Fraction | None
    estimated: fractions.Fraction | None
    numerator: Term | None
    denominator: Term | None
    meters: tuple[str, ...]
    missing: tuple[inputs.Missing, ...]
    reading_seconds: int | None
    calculated_by: str
    notes: tuple[str, ...] = ()
    rounding: str = ROUNDING

    @property
    def value(self) -> decimal.Decimal | None:
        """Rounded half to even, to six decimal places."""
        return None if self.exact is None else rounded(self.exact, PLACES)

    @property
    def why(self) -> str:
        """Why there is no value, in words; '' when there is one."""
        return '; '.join(str(one) for one in self.missing)


def rounded(exact: fractions.Fraction, places: int) -> decimal.Decimal:
    """A fraction as a decimal number, half to even, whatever its size."""
    # By text: arithmetic would round to the context's precision.
    return decimal.Decimal(f'{round(exact * 10 ** places)}e-{places}')


def enough(scope: Scope, figure: str, role: str,
           coverage: fractions.Fraction) -> None:
    """Refuse an input with more gaps than the scope allows.

    One without any data is refused whatever that is: its 0 says nothing.
    """
    if coverage < scope.minimum_coverage or not coverage:
        raise errors.FigureRefused(
            f'{figure}: {role} has data for {_percent(coverage)} of the '
            f'period, the limit is {_percent(scope.minimum_coverage)}: add '
            'the readings that are missing or ask for a period that has '
            'them')


def _percent(share: fractions.Fraction) -> str:
    # Rounded down: 94.999 % must not be told to be the limit of 95 %.
    hundredths = fractions.Fraction(share * 10_000 // 1, 100)
    return f'{rounded(hundredths, 2)} %'


def made(scope: Scope, figure: str, exact: fractions.Fraction | None,
         unit: str, top: Term | None, bottom: Term | None, *,
         missing: Sequence[inputs.Missing], category: int | None = None,
         notes: Sequence[str] = (),
         coverage: fractions.Fraction | None = None,
         estimated: fractions.Fraction | None = None,
         meters: tuple[str, ...] = (), reading_seconds: int | None = None,
         planned: bool = False, section: str = '') -> Figure:
    """A figure of a scope: its name, its edition, what it was made of.

    :raises errors.FigureRefused: when the scope allows none.
    """
    if scope.period.over_a_year(scope.zone):
        raise errors.FigureRefused(
            f'{figure}: period {scope.period} is longer than a year: ask '
            'for twelve calendar months, or fewer')
    prefix = (('' if scope.period.months(scope.zone) == MONTHS else 'i')
              + ('p' if section else '') + ('d' if planned else ''))
    return Figure(
        name=prefix + figure, figure=figure, exact=exact, unit=unit,
        standard=editions.edition(figure, scope.editions),
        category=category, site=scope.site, section=section,
        period=scope.period, coverage=coverage, estimated=estimated,
        numerator=top, denominator=bottom, meters=meters,
        missing=tuple(missing), reading_seconds=reading_seconds,
        calculated_by=scope.calculated_by, notes=tuple(notes))
