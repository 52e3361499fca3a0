# SPDX-License-Identifier: Apache-2.0
"""Dated factors: what one is, and which of a provider's are believed.  Pure.

A factor is what a unit of energy is multiplied with: grams of CO2 (or
CO2e) a kWh, or a site's PUE.  Nothing here reads a clock, a file or a
table, and nothing is rounded.  0 is a value like any other.  Which
contradict: :mod:`.factor_revisions`; which counts when:
:mod:`.factor_times`.
"""

from __future__ import annotations

import dataclasses
import datetime
import decimal
import re
import statistics
from collections.abc import Collection, Iterable, Mapping
from typing import NamedTuple

from energy_accounting import units

CARBON = 'carbon'
PUE = 'pue'
UNITS: Mapping[str, str] = {CARBON: 'g/kWh', PUE: '1'}
"""The kinds of factors, and the unit of each.  A fuel's grams are by the
kWh that it holds."""
KINDS = tuple(UNITS)

ELECTRICITY = 'electricity'
CARRIERS = (ELECTRICITY, 'solar', 'heat', 'cooling', 'diesel', 'gas',
            'hydrogen', 'bioethanol', 'generator')
"""What energy comes as: ``electricity`` is the grid's, ``solar`` is made
on the site, ``generator`` is the electricity of a generator whose fuel is
not metered."""

DIRECT, LIFECYCLE = BASES = ('direct', 'lifecycle')
"""``direct``: what is emitted where it is burnt (of UBA: CO2 only);
``lifecycle``: with all that comes before and after (CO2e)."""

LOCATION, MARKET = METHODS = ('location', 'market')
"""GHG Protocol, scope 2: the mean of the grid, or of what was bought.  A
``market`` factor is the residual mix: what is left of the grid when all
certificates are taken out."""

AVERAGE, MARGINAL = SIGNALS = ('average', 'marginal')

ACTUAL, ESTIMATED, FORECAST, FALLBACK = QUALITIES = (
    'actual', 'estimated', 'forecast', 'fallback')
"""The first of these that is known for a moment counts then."""
RANKS: Mapping[str, int] = {name: rank
                            for rank, name in enumerate(QUALITIES)}

MAX_PLACES = 18
_MOST = decimal.Decimal(10) ** 12
LAST_NS = units.wall_ns(datetime.datetime(2200, 1, 1, tzinfo=units.UTC))
# As Electricity Maps has them: DE, DK-DK1, US-CAL-CISO, AUS-NSW.
_ZONE = re.compile(r'[A-Z]{2,3}(-[A-Z0-9]{1,16}){0,3}\Z')
_NUMBER = re.compile(r'[0-9]{1,30}(\.[0-9]{1,30})?\Z')

HIGHEST_G_PER_KWH = 3000
"""No grid and no fuel emits as much: lignite, all of its life included, has
about a third of it.  What a provider says beyond is a unit mistaken."""
JUMP = 100
"""So many times more, or less, than usual is not believed of a provider: a
unit mistaken makes it a thousand, and what a grid does by itself stays
within twenty."""


@dataclasses.dataclass(frozen=True, slots=True)
class Factor:
    """A value that counts in [start_ns, end_ns).

    :ivar zone: of a grid; or
    :ivar site: the name of a site; never both.
    :ivar basis, method, signal: None of what is no emission.
    :ivar provider: who brought it: a plug-in's name, ``operator``.
    :ivar source: where it can be looked up; with the licence where it has
        one.
    :ivar revision: as its source counts.
    :ivar retrieved_ns: when it was asked for.
    """

    kind: str
    carrier: str
    start_ns: int
    end_ns: int
    value: decimal.Decimal
    quality: str
    provider: str
    source: str
    retrieved_ns: int
    zone: str | None = None
    site: str | None = None
    basis: str | None = None
    method: str | None = None
    signal: str | None = None
    unit: str = UNITS[CARBON]
    revision: str | None = None

    @property
    def series(self) -> Series:
        """What it is a value of, whenever."""
        return Series(self.kind, self.zone, self.site, self.carrier,
                      self.basis, self.method, self.signal)

    @property
    def owner(self) -> str:
        """Whose it is, in a word."""
        return f'zone {self.zone}' if self.zone else f'site {self.site}'


class Series(NamedTuple):
    """What factors of different times are values of."""

    kind: str
    zone: str | None
    site: str | None
    carrier: str
    basis: str | None
    method: str | None
    signal: str | None

    def __str__(self) -> str:
        return ' '.join(word for word in self if word is not None)


# --- what is a factor -------------------------------------------------------

def decimal_of(text: str) -> decimal.Decimal:
    """A number as a human or a provider wrote it, exactly.

    :raises ValueError: it is none, or has an exponent, a sign, a comma.
    """
    if not _NUMBER.match(text):
        raise ValueError(
            f'{text[:64]!r} is not a decimal number from 0 on: give one '
            'such as 363 or 0.25, without sign, blank or thousands, with a '
            'point before the decimals')
    return decimal.Decimal(text)


def is_zone(text: str) -> bool:
    """Whether a grid zone can be called so."""
    return _ZONE.match(text) is not None


def faults(factor: Factor) -> list[tuple[str, str]]:
    """What is wrong with a factor by itself: (field, what and remedy)."""
    found = []

    def one_of(name: str, known: Collection[str]) -> None:
        value = getattr(factor, name)
        if value not in known:
            found.append((name, f'{value!r:.64} is not known: give one of '
                                f'{", ".join(known)}'))

    one_of('kind', KINDS)
    one_of('carrier', CARRIERS)
    one_of('quality', QUALITIES)
    if factor.kind == CARBON:
        one_of('basis', BASES)
        one_of('method', METHODS)
        one_of('signal', SIGNALS)
    else:
        found += [(name, f'a factor of kind {factor.kind:.64} has none: '
                         'leave it out')
                  for name in ('basis', 'method', 'signal')
                  if getattr(factor, name) is not None]
    unit = UNITS.get(factor.kind)
    if unit is not None and factor.unit != unit:
        found.append(('unit', f'{factor.unit!r:.64} is not that of '
                              f'{factor.kind}: give {unit}'
                      + (' (kg/MWh is the same; kg/kWh times 1000)'
                         if factor.kind == CARBON else '')))
    found += _owner_faults(factor)
    problem = _value_fault(factor)
    if problem:
        found.append(('value', problem))
    if not 0 <= factor.start_ns <= LAST_NS:
        found.append(('start', 'it is out of range: give a year from 1970 '
                               'to 2199'))
    elif factor.end_ns > LAST_NS:
        found.append(('end', 'it is out of range: give a year from 1970 to '
                             '2199'))
    if factor.start_ns >= factor.end_ns:
        found.append(('end', 'it is not after start: give an end after the '
                             'start'))
    for name, longest in (('provider', 64), ('source', 1024),
                          ('revision', 255)):
        text = getattr(factor, name)
        if text is None and name == 'revision':
            continue
        if not text.strip() or not text.isprintable() or len(text) > longest:
            found.append((name, 'it is empty, too long or not printable: '
                                f'give 1 to {longest} characters'))
    return found


def _owner_faults(factor: Factor) -> list[tuple[str, str]]:
    if (factor.zone is None) == (factor.site is None):
        return [('zone', 'give either zone or site')]
    if factor.zone is not None and not is_zone(factor.zone):
        return [('zone', f'{factor.zone!r:.64} cannot be a grid zone: give '
                         'one such as DE or DK-DK1, in capitals')]
    if factor.kind == PUE and factor.site is None:
        return [('site', 'a PUE is that of a site: give site, and no zone')]
    return []


def _value_fault(factor: Factor) -> str | None:
    value = factor.value
    if not value.is_finite() or value.is_signed() or value >= _MOST:
        return (f'{value!s:.64} is out of range: give a decimal from 0 to '
                f'below {_MOST:f}')
    # Of a finite one the exponent is a number.
    if -int(value.as_tuple().exponent) > MAX_PLACES:
        return (f'{value!s:.64} has more than {MAX_PLACES} decimal places: '
                'round it')
    if factor.kind == PUE and value < 1:
        return (f'{value!s:.64} is below 1: give energy of the site by that '
                'of its IT')
    return None


# --- which is not believed --------------------------------------------------

def unusual(factor: Factor, usual: decimal.Decimal | None) -> str | None:
    """Why a provider's value is held back; None: it is believed.

    A value is held back that no grid can have, or that is a hundred times
    more or less than usual.  0 is always believed: a grid can run on sun
    and wind.

    :param usual: see :func:`usual`.
    """
    value = factor.value
    if factor.kind != CARBON or value == 0:
        return None
    if (text := excessive(factor)) is not None:
        return text
    if usual and not usual < value * JUMP < usual * JUMP * JUMP:
        return (f'{value:f} {factor.unit} is {JUMP} times off what is usual '
                f'there ({usual:f})')
    return None


def excessive(factor: Factor) -> str | None:
    """That a carbon intensity is beyond any; None: it is not."""
    if factor.kind != CARBON or factor.value <= HIGHEST_G_PER_KWH:
        return None
    return (f'{factor.value:f} {factor.unit} is more than any grid has '
            f'({HIGHEST_G_PER_KWH})')


def usual(values: Iterable[decimal.Decimal]) -> decimal.Decimal | None:
    """What stands in the middle of values that are not 0."""
    found = [value for value in values if value]
    return statistics.median_low(found) if found else None
