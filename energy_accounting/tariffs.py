# SPDX-License-Identifier: Apache-2.0
"""Tariffs: what a kWh and a kg of CO2 cost, when, where and for whom.

Pure and exact: whole numbers and Decimals.  Which energy is priced is handed
in; where tariffs are kept is the ledger's.  No tax: the billing system adds
it.  Without a tariff nothing costs anything and nothing says so.
"""

from __future__ import annotations

import dataclasses
import decimal
import heapq
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from energy_accounting import units

IT = 'it'
FACILITY = 'facility'
QUANTITIES = (IT, FACILITY)
"""The energy that a price is of: what the instances used, or what the whole
building used for them."""

LOCATION = 'location'
MARKET = 'market'
METHODS = (LOCATION, MARKET)

MAX_PLACES = 12
"""Decimal places of a price."""
MAX_WINDOWS = 42

# What 1 stands for in the sums of a line: a thousandth of a millionth of a
# millionth of ... of the currency, fine enough for energy in microjoules
# (3.6e12 to a kWh), CO2 in nanograms (1e12 to a kg) and all places of a
# price at once.
_PRICE = 10 ** MAX_PLACES
_PER_UJ = 5
_PER_NG = 18
ONE = units.UJ_PER_KWH * _PRICE * _PER_UJ
"""One of the currency, in the units of :attr:`Cost.exact`."""

# ISO 4217 (SIX, list one of 2025), active codes, without funds and metals.
_TWO_PLACES = (
    'AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BMD BND BOB BRL BSD BTN '
    'BWP BYN BZD CAD CDF CHF CNY COP CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB '
    'EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF IDR ILS INR IRR '
    'JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT '
    'MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP '
    'PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN '
    'SVC SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD UYU UZS VES WST XCD '
    'YER ZAR ZMW ZWG')
MINOR_DIGITS: Mapping[str, int] = {
    **dict.fromkeys(_TWO_PLACES.split(), 2),
    **dict.fromkeys('BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX VND VUV XAF '
                    'XOF XPF'.split(), 0),
    **dict.fromkeys('BHD IQD JOD KWD LYD OMR TND'.split(), 3)}
"""Decimal places of each currency's minor unit."""

DAYS = ('mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun')
_QUARTERS_A_DAY = 24 * 4


class Window(NamedTuple):
    """Another price in some hours of some days of the week.

    :ivar days: of :data:`DAYS`.
    :ivar start, end: quarters of an hour of the local day, half open.
    """

    days: tuple[str, ...]
    start: int
    end: int
    price_per_kwh: decimal.Decimal


@dataclasses.dataclass(frozen=True, slots=True)
class Tariff:
    """What energy costs.

    :ivar start_ns, end_ns: when it counts, half open; None: from then on.
    :ivar quantity: of :data:`QUANTITIES`.
    :ivar price_per_kwh: outside the windows.
    :ivar time_zone: in which the windows are meant.
    :ivar legal_basis: by which right this is charged: a contract, a decree.
    :ivar site, project_id, domain_id: None: of all.
    """

    name: str
    start_ns: int
    end_ns: int | None
    currency: str
    quantity: str
    price_per_kwh: decimal.Decimal
    legal_basis: str
    co2_price_per_kg: decimal.Decimal | None = None
    co2_method: str | None = None
    time_zone: str = 'UTC'
    windows: tuple[Window, ...] = ()
    site: str | None = None
    project_id: str | None = None
    domain_id: str | None = None

    @property
    def scope(self) -> tuple[str | None, ...]:
        """Of what it is; of two of a scope one counts at a time."""
        return self.site, self.project_id, self.domain_id

    @property
    def rank(self) -> int:
        """Who is nearer to the project, and then to the site, counts."""
        return (4 * (self.project_id is not None)
                + 2 * (self.domain_id is not None) + (self.site is not None))


class Kept(NamedTuple):
    """A tariff as it stands recorded.

    :ivar superseded_ns: since when it counts no more; None: it counts.
    """

    id: int
    tariff: Tariff
    recorded_ns: int
    superseded_ns: int | None


# --- what may be said -------------------------------------------------------

def faults(one: Tariff) -> Iterator[tuple[str, str]]:
    """(field, what is wrong with it and the remedy)."""
    for name in ('start_ns', 'end_ns'):
        moment_ns = getattr(one, name)
        if moment_ns is not None and moment_ns % units.BUCKET_NS:
            yield name.removesuffix('_ns'), (
                'is inside a quarter of an hour; give minute 00, 15, 30 or '
                '45 and no seconds')
    if one.end_ns is not None and one.end_ns <= one.start_ns:
        yield 'end', 'is not after start; give a later one or none'
    if one.currency not in MINOR_DIGITS:
        yield 'currency', (f'{one.currency[:16]!r} is no active code of '
                           'ISO 4217; give one such as EUR')
    if one.project_id is not None and one.domain_id is not None:
        yield 'domain', 'is given beside project; give one of the two'
    if (one.co2_price_per_kg is None) != (one.co2_method is None):
        given, missing = (('co2_price_per_kg', 'co2_method')
                          if one.co2_method is None
                          else ('co2_method', 'co2_price_per_kg'))
        yield missing, f'is not given, but {given} is; give both or none'
    if not one.legal_basis.strip():
        yield 'legal_basis', ('is blank; name the contract or the decree by '
                              'which this is charged')
    yield from _wrong_windows(one)


def _wrong_windows(one: Tariff) -> Iterator[tuple[str, str]]:
    taken: dict[tuple[str, int], int] = {}
    for number, window in enumerate(one.windows):
        if not window.start < window.end:
            yield f'windows.{number}.end', (
                'is not after start; divide a window that goes over '
                'midnight into two, the first until 24:00')
        for day in window.days:
            for quarter in range(window.start, window.end):
                other = taken.setdefault((day, quarter), number)
                if other != number:
                    yield f'windows.{number}', (
                        f'has {day} {clock(quarter)} in common with '
                        f'windows.{other}; give each hour one price')
                    return


def contradiction(one: Tariff, recorded: Iterable[Kept]) -> str | None:
    """What of the recorded tariffs cannot stand beside another; or None.

    Two of one scope at one time; or two currencies for one owner, of which
    no statement could be made.
    """
    for kept in recorded:
        other = kept.tariff
        if not _overlap(one, other):
            continue
        if one.scope == other.scope:
            return (f'tariff {kept.id} ({other.name}) is of the same site, '
                    'project and domain at a time in common; withdraw it, '
                    'or give other times')
        if one.scope[1:] == other.scope[1:] and (
                one.currency != other.currency):
            return (f'tariff {kept.id} ({other.name}) is in '
                    f'{other.currency} and of the same owner at a time in '
                    'common; give the same currency')
    return None


def _overlap(one: Tariff, other: Tariff) -> bool:
    return ((one.end_ns is None or other.start_ns < one.end_ns)
            and (other.end_ns is None or one.start_ns < other.end_ns))


def clock(quarter: int) -> str:
    """A quarter of an hour of a day as 07:45; the end of a day is 24:00."""
    return f'{quarter // 4:02d}:{quarter % 4 * 15:02d}'


def quarter_of(text: str) -> int:
    """The reverse of :func:`clock`.

    :raises ValueError: it is not on a quarter of an hour, 00:00 to 24:00.
    """
    hours, _, minutes = text.partition(':')
    if not (len(text) == 5 and hours.isdecimal() and minutes.isdecimal()
            and text.isascii()):
        raise ValueError(text)
    quarter, rest = divmod(int(hours) * 60 + int(minutes), 15)
    if rest or quarter > _QUARTERS_A_DAY or int(minutes) > 59:
        raise ValueError(text)
    return quarter


def windows_text(windows: Iterable[Window]) -> str:
    """As they are stored, and answered."""
    return json.dumps([window_words(one) for one in windows],
                      separators=(',', ':'))


def window_words(one: Window) -> dict[str, Any]:
    return {'days': list(one.days), 'start': clock(one.start),
            'end': clock(one.end),
            'price_per_kwh': format(one.price_per_kwh, 'f')}


def windows_of(found: Iterable[Mapping[str, Any]]) -> tuple[Window, ...]:
    """The reverse of :func:`window_words`."""
    return tuple(Window(
        tuple(one['days']), quarter_of(one['start']), quarter_of(one['end']),
        decimal.Decimal(one['price_per_kwh'])) for one in found)


# --- which counts -----------------------------------------------------------

class Price(NamedTuple):
    """What holds for a quarter of an hour; whole numbers of 10^-12.

    :ivar of: the tariff's number in :attr:`Prices.known`.
    """

    of: int
    per_kwh: int
    per_kg: int | None


class Prices:
    """What a project pays in each bucket of a range.

    :param known: tariffs, in any order; those of others are left out.
    :ivar used: the numbers, in ``known``, of those that priced something.
    """

    def __init__(self, known: Sequence[Tariff], project_id: str,
                 domain_id: str | None, start: int, end: int) -> None:
        self.known = [
            one for one in known
            if one.project_id in (None, project_id)
            and (one.domain_id is None or one.domain_id == domain_id)]
        self._order = sorted(range(len(self.known)), key=lambda number: (
            self.known[number].rank), reverse=True)
        self._start, self._end = start, end
        self._made: dict[str, list[Price | None]] = {}

    def __bool__(self) -> bool:
        return any(
            one.start_ns < self._end * units.BUCKET_NS
            and (one.end_ns is None
                 or one.end_ns > self._start * units.BUCKET_NS)
            for one in self.known)

    def at(self, site: str) -> Sequence[Price | None]:
        """For each bucket of the range; None: nothing is charged."""
        if site not in self._made:
            found: list[Price | None] = [None] * (self._end - self._start)
            for number in reversed(self._order):
                one = self.known[number]
                if one.site in (None, site):
                    self._lay(found, number, one)
            self._made[site] = found
        return self._made[site]

    def _lay(self, found: list[Price | None], number: int,
             one: Tariff) -> None:
        first = max(one.start_ns // units.BUCKET_NS, self._start)
        last = (self._end if one.end_ns is None
                else min(one.end_ns // units.BUCKET_NS, self._end))
        per_kg = (None if one.co2_price_per_kg is None
                  else _whole(one.co2_price_per_kg))
        usual = Price(number, _whole(one.price_per_kwh), per_kg)
        if not one.windows:
            for bucket in range(first, last):
                found[bucket - self._start] = usual
            return
        week: dict[tuple[int, int], Price] = {}
        for window in one.windows:
            price = usual._replace(per_kwh=_whole(window.price_per_kwh))
            week.update(dict.fromkeys(
                ((DAYS.index(day), quarter) for day in window.days
                 for quarter in range(window.start, window.end)), price))
        where = units.zone(one.time_zone)
        for bucket in range(first, last):
            local = units.bucket_start(bucket).astimezone(where)
            found[bucket - self._start] = week.get(
                (local.weekday(), local.hour * 4 + local.minute // 15),
                usual)


def _whole(price: decimal.Decimal) -> int:
    scaled = price.scaleb(MAX_PLACES)
    whole = int(scaled)
    if whole != scaled:
        raise ValueError(f'{price} has more than {MAX_PLACES} places')
    return whole


# --- what it costs ----------------------------------------------------------

@dataclasses.dataclass(slots=True)
class Cost:
    """What was added up of a line, not rounded yet.

    :ivar exact: in units of 1 / :data:`ONE`; None: the energy or the CO2
        that is priced is not known.
    :ivar energy_uj: what was priced; of one quantity or meaningless.
    :ivar of: the tariffs that priced it.
    :ivar prices: (quantity, price of a kWh) that were met.
    """

    exact: int | None = 0
    energy_uj: int | None = 0
    of: set[int] = dataclasses.field(default_factory=set)
    prices: set[tuple[str, int]] = dataclasses.field(default_factory=set)

    def add(self, price: Price, tariff: Tariff, it_uj: int,
            facility_uj: int | None, co2_ng: int | None) -> None:
        """Add a bucket's.

        :param co2_ng: by the method of the tariff.
        """
        energy_uj = it_uj if tariff.quantity == IT else facility_uj
        self.of.add(price.of)
        self.prices.add((tariff.quantity, price.per_kwh))
        if energy_uj is None or (price.per_kg is not None
                                 and co2_ng is None):
            self.exact = self.energy_uj = None
            return
        if self.exact is None or self.energy_uj is None:
            return
        self.energy_uj += energy_uj
        self.exact += energy_uj * price.per_kwh * _PER_UJ
        if price.per_kg is not None and co2_ng is not None:
            self.exact += co2_ng * price.per_kg * _PER_NG

    @property
    def quantity(self) -> str | None:
        """The one quantity that was priced; None: there were two."""
        found = {quantity for quantity, _ in self.prices}
        return next(iter(found)) if len(found) == 1 else None

    @property
    def price_per_kwh(self) -> str | None:
        """The one price that was met; None: there were several."""
        if len(self.prices) != 1:
            return None
        ((_, price),) = self.prices
        return amount_text(price, MAX_PLACES).rstrip('0').rstrip('.')


@dataclasses.dataclass(frozen=True, slots=True)
class Rounding:
    """How a total and its lines are rounded, so that the lines sum to it.

    :ivar total: in minor units.
    :ivar step: what is added to the lines that are rounded to the other side.
    :ivar moved: the numbers of those.
    """

    total: int
    step: int
    moved: frozenset[int]
    _scale: int

    def line(self, number: int, exact: int) -> int:
        """A line in minor units."""
        return half_up(exact * self._scale, ONE) + (
            self.step if number in self.moved else 0)


def rounding(exact: Callable[[], Iterable[int]], digits: int) -> Rounding:
    """How lines are rounded; of the lines, none is kept.

    The total first: the exact sum of the lines, once, half up.  Then each
    line, half up; and where these do not sum to the total, by the largest
    remainder: of the lines that were nearest to the other side as many as
    it takes are rounded there, equal ones in their order.  So no line is a
    whole minor unit or more from what it exactly is.

    :param exact: gives the lines, the same each time that it is called, in
        units of 1 / :data:`ONE`.
    :param digits: decimal places of the minor unit.
    """
    scale = 10 ** digits
    whole = off = 0
    for one in exact():
        whole += one
        off -= half_up(one * scale, ONE)
    total = half_up(whole * scale, ONE)
    off += total
    step = 1 if off > 0 else -1
    # What rounding took from a line; most first, and equal ones in order.
    taken = heapq.nlargest(abs(off), (
        (step * (one * scale - half_up(one * scale, ONE) * ONE), -number)
        for number, one in enumerate(exact()))) if off else []
    return Rounding(total, step, frozenset(-number for _, number in taken),
                    scale)


def rounded(exact: Sequence[int], digits: int) -> tuple[int, list[int]]:
    """A total and its lines in minor units; see :func:`rounding`."""
    how = rounding(lambda: exact, digits)
    return how.total, [how.line(number, one)
                       for number, one in enumerate(exact)]


def half_up(numerator: int, denominator: int) -> int:
    """The nearest whole number; of two the greater."""
    return (2 * numerator + denominator) // (2 * denominator)


def amount_text(minor: int, digits: int) -> str:
    """An amount of minor units as a decimal string."""
    return format(decimal.Decimal(minor).scaleb(
        -digits, decimal.Context(prec=60)), 'f')


def minor_units(text: str, digits: int) -> int:
    """The reverse of :func:`amount_text`."""
    return int(decimal.Decimal(text).scaleb(
        digits, decimal.Context(prec=60)))
