# SPDX-License-Identifier: Apache-2.0
"""What a site bought, and what its electricity emits by that.  Pure.

The market-based method of the GHG Protocol (Scope 2 Guidance, chapter 6):
each contract's share by its own factor, the rest by the residual mix.  The
mean of the grid never stands in for a residual mix that is not known.
"""

from __future__ import annotations

import collections
import dataclasses
import decimal
import fractions
import itertools
from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple

from energy_accounting import units
from energy_accounting.facility import factor_times, factors, supply

INSTRUMENTS = ('go', 'ppa', 'onsite', 'tariff', 'residual')
"""Guarantees of origin; a power purchase agreement; made on the site or by
a direct line; the supplier's own mix; a residual mix of one's own."""

ONSITE = 'onsite'

_MOST_KG = 3
"""kg/kWh: beyond, it was meant in g."""
_G_PER_KG = 1000


@dataclasses.dataclass(frozen=True, slots=True)
class Contract:
    """What was bought for [start_ns, end_ns).

    :ivar share: of what the grid delivers, above 0 and at most 1; see
        :func:`divided` for a plant that is metered.
    :ivar kg_per_kwh: of the given basis.
    :ivar retired: the attributes are the site's own and used up: only then
        is its energy renewable (EN 50600-4-3).
    :ivar evidence: where the contract or the certificates can be found.
    """

    site: str
    instrument: str
    start_ns: int
    end_ns: int
    share: decimal.Decimal
    kg_per_kwh: decimal.Decimal
    basis: str
    renewable: bool
    retired: bool
    evidence: str


class Mix(NamedTuple):
    """What electricity was in [start_ns, end_ns).

    :ivar g_per_kwh: None: the rest has no residual mix, or the emissions of
        a purchase are not known.
    :ivar quality: of the residual mix; ``actual`` where there is no rest.
    """

    start_ns: int
    end_ns: int
    g_per_kwh: fractions.Fraction | None
    quality: str
    sources: tuple[str, ...]


def faults(contract: Contract) -> list[tuple[str, str]]:
    """What is wrong with a contract by itself: (field, what and remedy)."""
    found = []

    def one_of(name: str, known: Collection[str]) -> None:
        value = getattr(contract, name)
        if value not in known:
            found.append((name, f'{value!r:.64} is not known: give one of '
                                f'{", ".join(known)}'))

    one_of('instrument', INSTRUMENTS)
    one_of('basis', factors.BASES)
    share, kg = contract.share, contract.kg_per_kwh
    if not share.is_finite() or not 0 < share <= 1 or _long(share):
        found.append(('share', f'{share!s:.64} is out of range: give a '
                               'decimal above 0 and at most 1'))
    if not kg.is_finite() or kg.is_signed() or kg > _MOST_KG or _long(kg):
        found.append(('kg_per_kwh', f'{kg!s:.64} is out of range: give kg '
                      f'from 0 to {_MOST_KG} (g/kWh by 1000)'))
    if not 0 <= contract.start_ns < contract.end_ns <= factors.LAST_NS:
        found.append(('end', 'it is not after start, or beyond the year '
                             '2199: give an end after the start'))
    if contract.retired and not contract.renewable:
        found.append(('retired', 'it is said of what is renewable: give '
                                 'renewable as well'))
    text = contract.evidence
    if not text.strip() or not text.isprintable() or len(text) > 1024:
        found.append(('evidence', 'it is empty, too long or not printable: '
                                  'say where the contract can be found'))
    return found


def _long(value: decimal.Decimal) -> bool:
    return -int(value.as_tuple().exponent) > factors.MAX_PLACES


def beyond(contracts: Iterable[Contract],
           ) -> tuple[int, int, decimal.Decimal] | None:
    """The first time in which more than all is bought: start, end, sum.

    :param contracts: of one site, of each basis.
    """
    for start, end, there in _pieces(list(contracts), 0, factors.LAST_NS):
        total = sum((purchase.share for purchase in _purchases(
            there).elements()), decimal.Decimal(0))
        if total > 1:
            return start, end, total
    return None


# --- purchases --------------------------------------------------------------

class _Purchase(NamedTuple):
    """What tells a purchase from another, whatever its emissions.

    Not its time: its emissions may change in it.
    """

    instrument: str
    share: decimal.Decimal
    evidence: str


def _purchases(there: Iterable[Contract],
               ) -> collections.Counter[_Purchase]:
    """Each purchase once: it is recorded for each basis of its emissions.

    :param there: the contracts that run at a moment.
    """
    found: collections.Counter[_Purchase] = collections.Counter()
    for recorded in _by_basis(there).values():
        found |= collections.Counter(
            _Purchase(one.instrument, one.share,
                      ' '.join(one.evidence.split()).casefold())
            for one in recorded)
    return found


def _by_basis(there: Iterable[Contract]) -> dict[str, list[Contract]]:
    found: dict[str, list[Contract]] = {basis: [] for basis in supply.BASES}
    for one in there:
        found[one.basis].append(one)
    return found


class Renewable(NamedTuple):
    """What of the grid's electricity was renewable in [start_ns, end_ns).

    :ivar share: renewable and retired; None: more than all was bought.
    :ivar basis: whose records say so.
    """

    start_ns: int
    end_ns: int
    share: fractions.Fraction | None
    basis: str


def renewable(contracts: Iterable[Contract], start_ns: int, end_ns: int,
              ) -> list[Renewable]:
    """The time in which a contract runs, and what of it was renewable.

    At each moment by the records of one basis, that by which more is: a
    purchase is recorded for both, and must not count twice.

    :param contracts: of one site, of each basis, that speak of the grid.
    """
    found = []
    for start, end, there in _pieces(list(contracts), start_ns, end_ns):
        if not there:
            continue
        shares = {basis: sum(
            (fractions.Fraction(one.share) for one in recorded
             if one.renewable and one.retired), fractions.Fraction(0))
            for basis, recorded in _by_basis(there).items()}
        best = max(shares, key=lambda basis: shares[basis])
        found.append(Renewable(
            start, end, None if shares[best] > 1 else shares[best], best))
    return found


# --- an own plant -----------------------------------------------------------

Times = Sequence[tuple[int, int]]
"""Half-open, in order, none touching another."""


class Bought(NamedTuple):
    """Contracts by what they speak of."""

    of_grid: list[Contract]
    of_plant: list[Contract]


def divided(contracts: Iterable[Contract], metered: Times) -> Bought:
    """What is said of the grid's electricity, and of an own plant's.

    While a plant is metered it is the meter that says how much is made on
    the site: an onsite contract then speaks of all of it, and of nothing
    that the grid delivers; its share says nothing.

    :param metered: when the site's own plant is.
    """
    found = Bought([], [])
    for one in contracts:
        if one.instrument != ONSITE or not metered:
            found.of_grid.append(one)
            continue
        outside = units.without(one.start_ns, one.end_ns, metered)
        for there, times in (
                (found.of_grid, outside),
                (found.of_plant, units.without(one.start_ns, one.end_ns,
                                               outside))):
            there += [dataclasses.replace(one, start_ns=start, end_ns=end)
                      for start, end in times]
    return found


def kept(of_plant: Iterable[Contract], start_ns: int, end_ns: int,
         ) -> list[tuple[int, int]]:
    """When what an own plant makes is the site's, and renewable.

    Only while a contract says that its attributes are retired: what is sold
    on as certificates is somebody else's (EN 50600-4-3).
    """
    return _merged(start_ns, end_ns, (
        piece[:2] for piece in _pieces(list(of_plant), start_ns, end_ns)
        if (there := piece[2]) and _agree(there)
        and there[0].renewable and there[0].retired))


def disputed(of_plant: Iterable[Contract], start_ns: int = 0,
             end_ns: int = factors.LAST_NS) -> list[tuple[int, int]]:
    """When contracts say of an own plant what cannot all be true.

    Each speaks of all that it makes: there is one for each basis, and they
    differ in what it emits alone.
    """
    return _merged(start_ns, end_ns, (
        piece[:2] for piece in _pieces(list(of_plant), start_ns, end_ns)
        if not _agree(piece[2])))


def spoken(bought: Bought, start_ns: int, end_ns: int,
           ) -> list[tuple[int, int]]:
    """When any contract runs: else nobody says what was bought."""
    return _merged(start_ns, end_ns, (
        (one.start_ns, one.end_ns)
        for one in (*bought.of_grid, *bought.of_plant)))


def _merged(start_ns: int, end_ns: int, times: Iterable[tuple[int, int]],
            ) -> list[tuple[int, int]]:
    return units.without(start_ns, end_ns,
                         units.without(start_ns, end_ns, times))


def _agree(there: Sequence[Contract]) -> bool:
    return (len({one.basis for one in there}) == len(there)
            and len({(one.renewable, one.retired) for one in there}) <= 1)


# --- what electricity was ---------------------------------------------------

def market(contracts: Iterable[Contract],
           residual: Sequence[factor_times.Span], start_ns: int,
           end_ns: int, basis: str) -> list[Mix]:
    """What a site's electricity was, all through [start_ns, end_ns).

    :param contracts: of one site, of each basis, as they count.
    :param basis: on which its emissions are counted.
    :param residual: the residual mix, of the same basis, by time.
    """
    found = []
    rest_of = iter(residual)
    waiting = next(rest_of, None)
    edges = sorted({start_ns, end_ns, *(
        edge for one in residual for edge in one[:2]
        if start_ns < edge < end_ns)})
    pieces = _pieces(list(contracts), start_ns, end_ns, edges)
    for start, end, there in pieces:
        while waiting is not None and waiting.end_ns <= start:
            waiting = next(rest_of, None)
        here = (waiting.factor if waiting is not None
                and waiting.start_ns <= start else None)
        found.append(_mix(start, end, there, here, basis))
    return found


def _mix(start_ns: int, end_ns: int, there: Sequence[Contract],
         residual: factors.Factor | None, basis: str) -> Mix:
    known = [one for one in there if one.basis == basis]
    rest, grams = fractions.Fraction(1), fractions.Fraction(0)
    for one in known:
        share = fractions.Fraction(one.share)
        rest -= share
        grams += share * fractions.Fraction(one.kg_per_kwh) * _G_PER_KG
    sources = tuple(one.evidence for one in known)
    # Recorded on the other basis only: neither 0 nor the residual mix.
    unknown = _purchases(there) - _purchases(known)
    # Below 0: of a plant whose meter was taken away since.
    if unknown or rest < 0 or (rest > 0 and residual is None):
        return Mix(start_ns, end_ns, None, factors.FALLBACK, sources)
    if rest == 0 or residual is None:
        return Mix(start_ns, end_ns, grams, factors.ACTUAL, sources)
    return Mix(start_ns, end_ns,
               grams + rest * fractions.Fraction(residual.value),
               residual.quality, (*sources, residual.source))


def _pieces(contracts: Sequence[Contract], start_ns: int, end_ns: int,
            edges: Iterable[int] = (),
            ) -> Iterable[tuple[int, int, list[Contract]]]:
    """The time between all edges, and the contracts that run in it."""
    cuts = sorted({start_ns, end_ns, *edges, *(
        edge for one in contracts for edge in (one.start_ns, one.end_ns)
        if start_ns < edge < end_ns)})
    coming = sorted(contracts, key=lambda one: one.start_ns)
    running: list[Contract] = []
    for start, end in itertools.pairwise(cuts):
        while coming and coming[0].start_ns <= start:
            running.append(coming.pop(0))
        running = [one for one in running if one.end_ns > start]
        yield start, end, list(running)


def period(start_ns: int, end_ns: int) -> str:
    """A time in words."""
    return ' to '.join(units.iso(units.moment(moment))
                       for moment in (start_ns, end_ns))
