# SPDX-License-Identifier: Apache-2.0
"""How coarsely what was used in a bucket was measured.  Pure.

An even share of a day's reading says little of a quarter of an hour: what
follows from that for a PUE is ``pue``'s to decide.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence

from energy_accounting import units
from energy_accounting.facility import amounts


@dataclasses.dataclass(frozen=True, slots=True)
class Grain:
    """How coarsely the energy of a bucket was measured, where it was.

    :ivar longest_ns: the longest measurement that it is an even share of.
    :ivar span: the one that all of it is a share of; None: several.
    """

    longest_ns: int
    span: amounts.Span | None


QUARTER_NS = units.BUCKET_NS + 60 * units.NS_PER_S
"""What is measured in no longer a time is a quarter's own: who reads may
come a minute late."""

NEGLIGIBLE = 100
"""Of this one part may have been measured in any time: no more than a meter
of class 1 may be wrong by."""


def coarse(intervals: Iterable[amounts.Interval], start: int, end: int,
           ) -> dict[int, amounts.Span]:
    """Where buckets of [start, end) are but a share of a measurement.

    An interval in which nothing was used says so of every part of it.

    :returns: by bucket, from the first to the last edge of what it is a
        share of; of those that were measured by themselves, nothing.
    """
    found: dict[int, amounts.Span] = {}
    for one in intervals:
        span = one.part_of or one[:2]
        if (span[1] - span[0] <= QUARTER_NS
                or (one.amount == 0 and one.part_of is None)):
            continue
        first = max(start, one.start_ns // units.BUCKET_NS)
        last = min(end, -(-one.end_ns // units.BUCKET_NS))
        if first >= last:
            continue
        before = found.get(first, span)
        found.update(dict.fromkeys(range(first, last), span))
        found[first] = (min(before[0], span[0]), max(before[1], span[1]))
    return found


def grain(parts: Sequence[tuple[amounts.Span | None, int]]) -> Grain | None:
    """How coarsely a sum was measured; None: by itself.

    :param parts: of each of what is added: of what it is a share
        (:func:`coarse`), and the amount.
    """
    first = parts[0][0] if parts else None
    if all(span == first for span, _ in parts):
        # Nearly always so, and a year has 35,040 buckets.
        return (Grain(first[1] - first[0], first)
                if first is not None and any(amount for _, amount in parts)
                else None)
    by_span: dict[amounts.Span | None, int] = {}
    for span, amount in parts:
        by_span[span] = by_span.get(span, 0) + abs(amount)
    rest = sum(by_span.values())
    small = rest // NEGLIGIBLE
    whole_of = next((span for span, amount in by_span.items()
                     if rest - amount <= small), None)
    passed = longest_ns = 0
    for length_ns, amount in sorted(
            ((0 if span is None else span[1] - span[0], amount)
             for span, amount in by_span.items()), reverse=True):
        passed += amount
        if passed > small:
            longest_ns = length_ns
            break
    return Grain(longest_ns, whole_of) if longest_ns else None
