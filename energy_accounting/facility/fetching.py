# SPDX-License-Identifier: Apache-2.0
"""Which time providers are asked for, and what of it is recorded.

What counts already is never touched by a provider that is away: its time
stays as it is, and is asked for again the next time.  No clock.
"""

from __future__ import annotations

import bisect
import dataclasses
import decimal
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import sqlalchemy as sa

from energy_accounting import errors, units
from energy_accounting.facility import (
    factor_revisions,
    factor_store,
    factors,
    providers,
)
from energy_accounting.ledger import audit, engine

ACTOR = audit.Actor('factor fetch')
_ALL = (0, units.wall_ns(units.EPOCH.replace(year=2200)))


@dataclasses.dataclass(slots=True)
class Result:
    """What came of asking one provider about one zone.

    :ivar stored: new factors; revised: those of them that correct.
    :ivar unchanged: recorded as they are; of no use: better ones are
        recorded, or other providers' of the same quality.
    :ivar held_back: not believed: the factor and the reason.
    :ivar failure: why it was not asked to the end; None: it was.
    """

    provider: str
    zone: str
    stored: int = 0
    revised: int = 0
    unchanged: int = 0
    of_no_use: int = 0
    held_back: list[tuple[factors.Factor, str]] = dataclasses.field(
        default_factory=list)
    failure: str | None = None


def fetch(database: engine.Database, asked: Sequence[providers.Provider],
          zones: Iterable[str], start_ns: int, end_ns: int, *, now_ns: int,
          refresh_ns: int = 0) -> list[Result]:
    """Fill the holes of zones, each by the first provider that can.

    :param refresh_ns: how long before now a provider's own figures are
        asked for again.
    """
    found = []
    for zone in zones:
        for provider in asked:
            result = Result(provider.name, zone)
            found.append(result)
            try:
                for start, end in _questions(database, provider, zone,
                                             start_ns, end_ns, now_ns,
                                             refresh_ns):
                    answer = provider.fetch(zone, start, end, now_ns)
                    _take(database, result, answer, now_ns)
            except errors.EnergyAccountingError as error:
                result.failure = str(error)
    return found


# --- what is asked ----------------------------------------------------------

def _questions(database: engine.Database, provider: providers.Provider,
               zone: str, start_ns: int, end_ns: int, now_ns: int,
               refresh_ns: int) -> list[tuple[int, int]]:
    """Times to ask a provider for, each no longer than it takes."""
    if provider.span_ns is None:
        return [_ALL]
    known = [one.factor for one in database.read_current(
        factor_store.as_of, start_ns, end_ns, zone=zone,
        kind=factors.CARBON, carrier=factors.ELECTRICITY)]
    wanted = _wanted(known, provider, start_ns, end_ns,
                     now_ns - refresh_ns)
    found = []
    for begins in range(start_ns, end_ns, provider.span_ns):
        ends = min(begins + provider.span_ns, end_ns)
        mine = [(max(first, begins), min(last, ends))
                for first, last in wanted if first < ends and last > begins]
        if mine:
            found.append((mine[0][0], mine[-1][1]))
    return found


def _wanted(known: Iterable[factors.Factor], provider: providers.Provider,
            start_ns: int, end_ns: int, fresh_ns: int,
            ) -> list[tuple[int, int]]:
    """The time without actual figures, or with new ones of its own."""
    settled = []
    for one in known:
        if (one.quality == factors.ACTUAL
                and one.method == factors.LOCATION
                and one.signal == factors.AVERAGE
                and provider.basis in (None, one.basis)):
            until = (min(one.end_ns, max(fresh_ns, one.start_ns))
                     if one.provider == provider.name else one.end_ns)
            settled.append((one.start_ns, until))
    return units.without(start_ns, end_ns, settled)


# --- what is recorded -------------------------------------------------------

def _take(database: engine.Database, result: Result,
          answer: Sequence[factors.Factor], now_ns: int) -> None:
    """Record what is believed and of use of an answer, all or none."""
    problems = factor_revisions.within(answer)
    if problems:
        one = problems[0]
        raise errors.ProviderError(
            f'{result.provider}, zone {result.zone}: its answer has '
            f'{len(problems)} figures that cannot be: {one.field}: '
            f'{one.text}')
    # Of a time that is not over nobody can know the actual value.
    answer = [one for one in answer if one.end_ns <= now_ns
              or one.quality in (factors.FORECAST, factors.FALLBACK)]
    if not answer:
        return
    took, recorded = database.write(_record, answer, now_ns)
    result.held_back += took.held_back
    result.of_no_use += took.of_no_use
    result.stored += recorded.stored
    result.revised += recorded.superseded
    result.unchanged += recorded.unchanged


@dataclasses.dataclass(slots=True)
class _Took:
    use: list[factors.Factor]
    held_back: list[tuple[factors.Factor, str]]
    of_no_use: int


def _record(connection: sa.Connection, answer: Sequence[factors.Factor],
            now_ns: int) -> tuple[_Took, factor_store.Recorded]:
    start = min(one.start_ns for one in answer)
    end = max(one.end_ns for one in answer)
    # From here on nobody else writes what is compared with.
    factor_store.lock(connection, {one.owner for one in answer})
    known = factor_store.as_of(connection, start, end, zone=answer[0].zone,
                               kind=factors.CARBON)
    took = _chosen(answer, [one.factor for one in known],
                   _usual(connection, answer, start, end))
    return took, factor_store.record(connection, took.use, now_ns, ACTOR)


def _usual(connection: sa.Connection, answer: Sequence[factors.Factor],
           start_ns: int, end_ns: int,
           ) -> Callable[[factors.Factor], decimal.Decimal | None]:
    """What is usual for a carrier; by the answer itself at first."""
    middle: dict[Any, decimal.Decimal | None] = {}
    for one in answer:
        if one.carrier not in middle:
            middle[one.carrier] = factors.usual(factor_store.history(
                connection, one.series, start_ns, end_ns)) or factors.usual(
                other.value for other in answer
                if other.carrier == one.carrier)
    return lambda one: middle[one.carrier]


def _chosen(answer: Sequence[factors.Factor],
            known: Sequence[factors.Factor],
            usual: Callable[[factors.Factor], decimal.Decimal | None],
            ) -> _Took:
    """What of an answer is believed, and says something new."""
    took = _Took([], [], 0)
    alike: dict[factors.Series, list[factors.Factor]] = {}
    for one in known:
        alike.setdefault(one.series, []).append(one)
    spans = {series: _Sorted(found) for series, found in alike.items()}
    for one in answer:
        others = (spans[one.series].over(one.start_ns, one.end_ns)
                  if one.series in spans else [])
        if _says_nothing_new(one, others):
            took.of_no_use += 1
        elif (reason := factors.unusual(one, usual(one))) is not None:
            took.held_back.append((one, reason))
        else:
            took.use.append(one)
    return took


def _says_nothing_new(one: factors.Factor,
                      others: Sequence[factors.Factor]) -> bool:
    mine = factors.RANKS[one.quality]
    if any(other.quality == one.quality
           and (other.provider, other.start_ns, other.end_ns)
           != (one.provider, one.start_ns, one.end_ns) for other in others):
        # Who said it first is believed; an operator may replace it.
        return True
    better = [(other.start_ns, other.end_ns) for other in others
              if factors.RANKS[other.quality] < mine]
    return not units.without(one.start_ns, one.end_ns, better)


class _Sorted:
    """Factors of one series, asked for what overlaps.

    Those of one quality do not overlap, so that both edges rise.
    """

    def __init__(self, found: Iterable[factors.Factor]) -> None:
        self._found: dict[str, list[factors.Factor]] = {}
        for one in sorted(found, key=lambda one: one.start_ns):
            self._found.setdefault(one.quality, []).append(one)

    def over(self, start_ns: int, end_ns: int) -> list[factors.Factor]:
        return [one for alike in self._found.values() for one in alike[
            bisect.bisect_right(alike, start_ns, key=lambda one: one.end_ns):
            bisect.bisect_left(alike, end_ns, key=lambda one: one.start_ns)]]
