# SPDX-License-Identifier: Apache-2.0
"""What a site's meters measure, and its exact value as an integer.  Pure.

Energy of every medium becomes microjoules, water millilitres; a gauge's
value becomes an amount an hour.  No float, no clock, no SQL; what follows
from several readings is in ``amounts``.
"""

from __future__ import annotations

import decimal
import functools
import re
from collections.abc import Mapping
from fractions import Fraction
from typing import NamedTuple

from energy_accounting import units
from energy_accounting.facility import inputs

ELECTRICITY = 'electricity'
HEAT = 'heat'
COOLING = 'cooling'
WATER = 'water'
GAS = 'gas'
DIESEL = 'diesel'
HYDROGEN = 'hydrogen'
BIOETHANOL = 'bioethanol'
MEDIA = (ELECTRICITY, HEAT, COOLING, WATER, GAS, DIESEL, HYDROGEN,
         BIOETHANOL)
FUELS = (GAS, DIESEL, HYDROGEN, BIOETHANOL)

CUMULATIVE = 'cumulative'
"""A counter: what was used is the difference of two readings."""
INTERVAL = 'interval'
"""Each value is the amount of a time of its own."""
GAUGE = 'gauge'
"""Power or flow at a moment."""
VIRTUAL = 'virtual'
"""A sum of other meters; has no readings."""
KINDS = (CUMULATIVE, INTERVAL, GAUGE, VIRTUAL)

MEASURED = 'measured'
ESTIMATED = 'estimated'
QUALITIES = (MEASURED, ESTIMATED)

ENERGY_UJ = 'energy_uj'
WATER_ML = 'water_ml'

PLANT = 'pv_onsite'
"""The role of a meter of what the site makes itself."""

ROLES: Mapping[str, tuple[str, ...]] = {
    # What energy comes into the site, each supply by itself.
    'dc_total': (ELECTRICITY,),
    'dc_generator': (ELECTRICITY, *FUELS),
    PLANT: (ELECTRICITY,),
    'cooling_in': (COOLING,),
    'grid_export': (ELECTRICITY,),
    # Where IT energy is measured: categories 1, 2 and 3 of ISO/IEC 30134-2.
    'it_ups_out': (ELECTRICITY,),
    'it_pdu_out': (ELECTRICITY,),
    'it_input': (ELECTRICITY,),
    'node': (ELECTRICITY,),
    'cooling_el': (ELECTRICITY,),
    'heat_removed': (HEAT, COOLING),
    'heat_reused': (HEAT,),
    'water_in': (WATER,),
    'water_potable': (WATER,),
}
"""For which figure a meter counts, and the media it may be of."""

NODE = 'node'
"""The role of a meter of one host."""

_KWH = Fraction(units.UJ_PER_KWH)
_JOULE = Fraction(units.UJ_PER_J)
_LITRE = Fraction(1000)

_ENERGY = {'Wh': _KWH / 1000, 'kWh': _KWH, 'MWh': _KWH * 1000,
           'GWh': _KWH * 10**6, 'J': _JOULE, 'kJ': _JOULE * 1000,
           'MJ': _JOULE * 10**6, 'GJ': _JOULE * 10**9}
_POWER = {'W': _KWH / 1000, 'kW': _KWH, 'MW': _KWH * 1000}
_VOLUME = {'ml': Fraction(1), 'l': _LITRE, 'm3': _LITRE * 1000}
_FLOW = {'l/min': _LITRE * 60, 'l/h': _LITRE, 'm3/h': _LITRE * 1000}

_PER_FUEL = {
    name: {fuel.measure: _KWH * fuel.kwh,
           # What is sold by the litre is delivered by the cubic metre.
           **({'m3': _KWH * fuel.kwh * 1000} if fuel.measure == 'l' else {})}
    for name, fuel in inputs.FUELS.items()}
_FUEL_FLOW = {
    fuel: {f'{unit}/h': amount for unit, amount in per.items()}
    for fuel, per in _PER_FUEL.items()}

_AMOUNTS: Mapping[str, Mapping[str, Fraction]] = {
    **dict.fromkeys((ELECTRICITY, HEAT, COOLING), _ENERGY),
    **{fuel: {**_ENERGY, **per} for fuel, per in _PER_FUEL.items()},
    WATER: _VOLUME}
_RATES: Mapping[str, Mapping[str, Fraction]] = {
    **dict.fromkeys((ELECTRICITY, HEAT, COOLING), _POWER),
    **{fuel: {**_POWER, **per} for fuel, per in _FUEL_FLOW.items()},
    WATER: _FLOW}

UNITS = tuple(dict.fromkeys(
    unit for per_medium in (_AMOUNTS, _RATES)
    for per in per_medium.values() for unit in per))
"""Every unit, for schemas; :func:`units_of` says which fit a meter."""

VALUE = r'[0-9]{1,30}(\.[0-9]{1,15})?'
"""A value as it is written: a decimal that is not negative."""
_VALUE = re.compile(VALUE)


class Quantity(NamedTuple):
    """How the values of a meter are to be understood.

    :ivar medium: of :data:`MEDIA`.
    :ivar kind: of :data:`KINDS`.
    :ivar unit: of :func:`units_of`.
    """

    medium: str
    kind: str
    unit: str

    @property
    def canonical(self) -> str:
        """What its amounts are in: microjoules or millilitres."""
        return WATER_ML if self.medium == WATER else ENERGY_UJ

    def exact(self, value: str) -> int:
        """A value as an integer, rounded half to even.

        Of a gauge: microjoules (millilitres) an hour.

        :raises ValueError: it is not a decimal as :data:`VALUE` has it.
        """
        if _VALUE.fullmatch(value) is None:
            raise ValueError(
                f'{value[:64]!r} is not a decimal that is not negative, '
                'with at most 30 digits before and 15 behind the point')
        scale, per = _ratio(self)
        whole, _, fraction = value.partition('.')
        # As round(Fraction(value) * scale), but that takes longer, and a
        # year of quarters is 35,000 of these for each meter.
        one = per * 10 ** len(fraction)
        amount, rest = divmod(int(whole + fraction) * scale, one)
        return amount + (2 * rest > one or (2 * rest == one and amount % 2))

    def text(self, amount: int) -> str:
        """An amount in the meter's unit, rounded at the 15th place."""
        return plain(Fraction(amount) / self._scale())

    def _scale(self) -> Fraction:
        return _units(self.medium, self.kind)[self.unit]


@functools.cache
def _ratio(quantity: Quantity) -> tuple[int, int]:
    return quantity._scale().as_integer_ratio()


def units_of(medium: str, kind: str) -> tuple[str, ...]:
    """The units that the values of a meter may have."""
    return tuple(_units(medium, kind))


def plain(exact: Fraction) -> str:
    """A fraction as a decimal without exponent or needless zeros."""
    context = decimal.Context(prec=80)
    text = format(context.divide(
        decimal.Decimal(exact.numerator),
        decimal.Decimal(exact.denominator)).quantize(
            decimal.Decimal('1e-15'), context=context), 'f')
    return text.rstrip('0').rstrip('.')


def same(one: str, other: str) -> bool:
    """Whether two values are the same number, however written."""
    return decimal.Decimal(one) == decimal.Decimal(other)


def _units(medium: str, kind: str) -> Mapping[str, Fraction]:
    return (_RATES if kind == GAUGE else _AMOUNTS)[medium]
