# SPDX-License-Identifier: Apache-2.0
"""Figures as people read them: a fitting unit, few digits, the exact value.

Pure; which sign divides decimals is told by whoever knows the reader's
language.  A value that is not known is never 0, and one that is not 0 never
looks like it.  No float.
"""

from __future__ import annotations

import dataclasses
import decimal
from collections.abc import Iterable, Sequence
from typing import NamedTuple

Decimal = decimal.Decimal

UNKNOWN = '–'
MINUS = '−'
# Between a number and its unit (SI brochure, 5.4.3): one that does not break.
SPACE = '\N{NO-BREAK SPACE}'

_DIGITS = 4
_MOST_PLACES = 6
_SHORT = decimal.Context(prec=_DIGITS, rounding=decimal.ROUND_HALF_EVEN)
_EXACT = decimal.Context(prec=60, rounding=decimal.ROUND_HALF_EVEN)

ENERGY = (('GWh', Decimal(1_000_000)), ('MWh', Decimal(1000)),
          ('kWh', Decimal(1)), ('Wh', Decimal('0.001')),
          ('mWh', Decimal('0.000001')))
MASS = (('t', Decimal(1000)), ('kg', Decimal(1)), ('g', Decimal('0.001')),
        ('mg', Decimal('0.000001')))
POWER = (('MW', Decimal(1000)), ('kW', Decimal(1)), ('W', Decimal('0.001')),
         ('mW', Decimal('0.000001')))
VOLUME = (('m³', Decimal(1000)), ('l', Decimal(1)),
          ('ml', Decimal('0.001')))
WATTS = (('kW', Decimal(1000)), ('W', Decimal(1)))
PLAIN = (('', Decimal(1)),)


class Unit(NamedTuple):
    """A unit, and how much of the API's unit it is."""

    name: str
    size: Decimal


class Shown(NamedTuple):
    """A figure on a page.

    :ivar text: rounded for reading.
    :ivar unit: empty where there is none.
    :ivar exact: as the API has it, with its unit; for the ``title``.
    """

    text: str
    unit: str
    exact: str

    def __str__(self) -> str:
        return f'{self.text}{SPACE}{self.unit}' if self.unit else self.text


@dataclasses.dataclass(frozen=True, slots=True)
class Signs:
    """How numbers are written in a language."""

    decimal: str = '.'
    group: str = ','

    def write(self, plain: str) -> str:
        """A number in the signs of the language.

        :param plain: digits with a point, maybe a minus before them.
        """
        sign = MINUS if plain.startswith('-') else ''
        whole, _, places = plain.lstrip('-').partition('.')
        grouped = f'{int(whole):,}'.replace(',', self.group)
        return sign + grouped + (self.decimal + places if places else '')

    def fixed(self, value: Decimal, places: int) -> str:
        """Rounded to so many places; ``<0.01`` for what is not quite 0."""
        step = Decimal(1).scaleb(-places)
        short = value.quantize(step, context=_EXACT)
        if short == 0 and value != 0:
            return ('<' if value > 0 else f'>{MINUS}') + self.write(
                f'{step:f}')
        return self.write(f'{abs(short) if short == 0 else short:f}')

    def significant(self, value: Decimal) -> str:
        """Rounded to four digits, but never before the decimal sign."""
        return self.fixed(value, _places(value))

    def exact(self, value: Decimal) -> str:
        """Every digit, without zeros at the end."""
        text = f'{value:f}'
        if '.' in text:
            text = text.rstrip('0').rstrip('.')
        return self.write(text)

    def percent(self, share: Decimal | None, places: int = 1) -> str:
        """A share of 1; rounded down where it is nearly whole.

        So that 100 % means that nothing is missing.
        """
        if share is None:
            return UNKNOWN
        hundredfold = share * 100
        step = Decimal(1).scaleb(-places)
        short = hundredfold.quantize(step, context=_EXACT)
        if short == 100 and hundredfold < 100:
            short = 100 - step
        text = self.fixed(short if short else hundredfold, places)
        return f'{text}{SPACE}%'


def _places(value: Decimal) -> int:
    """The decimal places that leave four significant digits."""
    if value == 0:
        return 0
    return min(max(_DIGITS - 1 - _SHORT.plus(value).adjusted(), 0),
               _MOST_PLACES)


def parse(text: str | None) -> Decimal | None:
    """A figure of the API; None where it is not known."""
    return None if text is None else Decimal(text)


def unit_for(values: Iterable[Decimal | None],
             family: Sequence[tuple[str, Decimal]]) -> Unit:
    """The unit in which the greatest of these, as it is read, is at least 1.

    :param family: units from the greatest to the smallest.
    """
    most = _SHORT.plus(max((abs(value) for value in values
                            if value is not None), default=Decimal(0)))
    for name, size in family:
        if most >= size:
            return Unit(name, size)
    # Nothing at all: in the API's own unit.
    return next((Unit(name, size) for name, size in family if size == 1),
                Unit(*family[-1])) if most == 0 else Unit(*family[-1])


def shown(text: str | None, family: Sequence[tuple[str, Decimal]],
          signs: Signs, base: str) -> Shown | None:
    """One figure in the unit that fits it.

    :param base: the API's unit.
    """
    value = parse(text)
    if value is None:
        return None
    unit = unit_for((value,), family)
    return Shown(signs.significant(value / unit.size), unit.name,
                 f'{signs.exact(value)}{SPACE}{base}'.strip())


def energy(text: str | None, signs: Signs) -> Shown | None:
    """kWh of the API."""
    return shown(text, ENERGY, signs, 'kWh')


def mass(text: str | None, signs: Signs) -> Shown | None:
    """kg of the API."""
    return shown(text, MASS, signs, 'kg')


def power(text: str | None, signs: Signs) -> Shown | None:
    """kW of the API."""
    return shown(text, POWER, signs, 'kW')


def volume(text: str | None, signs: Signs) -> Shown | None:
    """Litres of the API."""
    return shown(text, VOLUME, signs, 'l')


@dataclasses.dataclass(frozen=True, slots=True)
class Column:
    """A column of figures: one unit and as many places for all of them.

    :ivar base: the API's unit, for the exact value.
    """

    unit: Unit
    places: int
    signs: Signs
    base: str

    def show(self, value: Decimal | None) -> Shown | None:
        if value is None:
            return None
        return Shown(self.signs.fixed(value / self.unit.size, self.places),
                     self.unit.name,
                     f'{self.signs.exact(value)}{SPACE}{self.base}'.strip())


def column(values: Iterable[Decimal | None],
           family: Sequence[tuple[str, Decimal]], signs: Signs,
           base: str) -> Column:
    """How these values are shown below each other."""
    known = [value for value in values if value is not None]
    unit = unit_for(known, family)
    most = max((abs(value) for value in known), default=Decimal(0))
    return Column(unit, min(_places(most / unit.size), 3), signs, base)


def change(now: Decimal | None, before: Decimal | None,
           signs: Signs) -> str | None:
    """By how much of itself a figure grew; None where that says nothing."""
    if now is None or not before:
        return None
    share = (now - before) / before * 100
    if abs(share) >= 1000:
        return None
    text = signs.fixed(abs(share), 0 if abs(share) >= 10 else 1)
    if share == 0:
        return f'±0{SPACE}%'
    return f'{"+" if share > 0 else MINUS}{text}{SPACE}%'


def total(values: Iterable[Decimal | None]) -> Decimal | None:
    """The sum of those that are known; None where none is."""
    known = [value for value in values if value is not None]
    return sum(known, Decimal(0)) if known else None
