# SPDX-License-Identifier: Apache-2.0
"""Which factor counts when, of those that are recorded.  Pure.

Where nothing is known, a hole is left: nothing is made up for it here.
"""

from __future__ import annotations

import dataclasses
import heapq
import itertools
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from energy_accounting import units
from energy_accounting.facility import factors

CARRIED_NS = 731 * 86400 * units.NS_PER_S
"""So long after its end a fallback stands in: two years."""


class Span(NamedTuple):
    """The factor that counts in [start_ns, end_ns)."""

    start_ns: int
    end_ns: int
    factor: factors.Factor


def precedence(factor: factors.Factor) -> tuple[int, int]:
    """The lower counts: a site's own before its zone's, then by quality."""
    return factor.site is None, factors.RANKS[factor.quality]


def which(known: Iterable[factors.Factor], start_ns: int, end_ns: int, *,
          carrier: str, basis: str | None, method: str | None,
          signal: str | None = factors.AVERAGE, kind: str = factors.CARBON,
          rank: Callable[[factors.Factor], Any] = precedence) -> list[Span]:
    """Which factor counts at each moment of [start_ns, end_ns).

    :param known: of one zone, of one site, or of a site and its zone.
    :returns: in order of time; where there is none, a hole is left.
    """
    return counting((one for one in known if (
        one.kind, one.carrier, one.basis, one.method, one.signal) == (
            kind, carrier, basis, method, signal)), start_ns, end_ns, rank)


def counting(known: Iterable[factors.Factor], start_ns: int, end_ns: int,
             rank: Callable[[factors.Factor], Any] = precedence) -> list[Span]:
    """Of factors that may overlap, which has precedence when."""
    given = sorted((one for one in known
                    if one.start_ns < end_ns and one.end_ns > start_ns),
                   key=lambda one: one.start_ns)
    edges = sorted({start_ns, end_ns, *(
        edge for one in given for edge in (one.start_ns, one.end_ns)
        if start_ns < edge < end_ns)})
    found: list[Span] = []
    open_ones: list[tuple[Any, int, int, factors.Factor]] = []
    coming = 0
    for start, end in itertools.pairwise(edges):
        while coming < len(given) and given[coming].start_ns <= start:
            one = given[coming]
            # Of equals the later one counts; never are two compared.
            heapq.heappush(open_ones, (rank(one), -one.start_ns, coming,
                                       one))
            coming += 1
        while open_ones and open_ones[0][-1].end_ns <= start:
            heapq.heappop(open_ones)
        if not open_ones:
            continue
        best = open_ones[0][-1]
        if found and found[-1].factor is best and found[-1].end_ns == start:
            found[-1] = Span(found[-1].start_ns, end, best)
        else:
            found.append(Span(start, end, best))
    return found


def holes(spans: Iterable[Span], start_ns: int, end_ns: int,
          ) -> list[tuple[int, int]]:
    """The time in which no factor counts."""
    return units.without(start_ns, end_ns,
                         [(one.start_ns, one.end_ns) for one in spans])


def carried_on(known: Iterable[factors.Factor]) -> list[factors.Factor]:
    """The same factors, fallbacks for as long as they may stand in.

    A grid's yearly value comes out after its year: the newest of a series
    counts on until the next begins, :data:`CARRIED_NS` at most.
    """
    found: list[factors.Factor] = []
    series: dict[factors.Series, list[factors.Factor]] = {}
    for one in known:
        if one.quality == factors.FALLBACK and one.zone is not None:
            series.setdefault(one.series, []).append(one)
        else:
            found.append(one)
    for ones in series.values():
        ones.sort(key=lambda one: one.start_ns)
        for one, after in itertools.zip_longest(ones, ones[1:]):
            end_ns = one.end_ns + CARRIED_NS
            if after is not None:
                end_ns = min(end_ns, max(one.end_ns, after.start_ns))
            found.append(dataclasses.replace(one, end_ns=end_ns))
    return found


def first_of(spans: Iterable[Span], others: Iterable[Span], start_ns: int,
             end_ns: int) -> list[Span]:
    """Spans, and in their holes those of others."""
    spans = list(spans)
    found = list(spans)
    gaps = holes(spans, start_ns, end_ns)
    for one in others:
        found += [Span(max(first, one.start_ns), min(last, one.end_ns),
                       one.factor)
                  for first, last in gaps
                  if first < one.end_ns and last > one.start_ns]
    return sorted(found, key=lambda one: one.start_ns)
