# SPDX-License-Identifier: Apache-2.0
"""Holes between what is known of a host's boots become gaps.

Of a hole that ``known`` finds, what records say of it and what is held has a
reason; the rest is stated with the reason that its record gives.  Asked when
everything else of a call is written.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import sqlalchemy as sa

from energy_accounting import samples, units
from energy_accounting.ledger import gaps, judgement, quarantine
from energy_accounting.ledger.known import Hole, Told

Span = gaps.Span


class Before(NamedTuple):
    """The holes that a record leaves between it and what is known.

    :ivar told: which time it is of.
    :ivar said: the gaps that it states, if it is booked.
    :ivar cause: why, if nothing says.
    :ivar ahead_ns: the wall clock then, less the boottime.
    :ivar moment: whether it is to be seen also where there is no hole.
    """

    told: Told
    said: Sequence[samples.Gap]
    holes: Sequence[Hole]
    cause: gaps.Cause
    ahead_ns: int
    moment: bool = False


def state(connection: sa.Connection, host: sa.Row[Any],
          before: Before) -> bool:
    """Write the gaps of some holes; whether there are any.

    :param host: of the ledger, with the key it has now.
    """
    rows = [gaps.row_of_boot(host.id, before.cause, hole.boot_id, piece,
                             hole.ahead_ns)
            for hole in before.holes
            for piece in units.without(hole.start_ns, hole.end_ns, [
                *_said(before, hole), *_stated(connection, host, hole),
                *quarantine.spans(connection, host, hole.boot_id,
                                  hole.start_ns, hole.end_ns)])]
    if before.moment and not rows:
        moment_ns = before.told.boottime_start_ns
        rows = [gaps.row_of_boot(
            host.id, before.cause, before.told.boot_id,
            (moment_ns, moment_ns), before.ahead_ns)]
    gaps.write(connection, rows)
    return bool(rows)


def _said(before: Before, hole: Hole) -> Iterable[Span]:
    """What a record itself states, to the tick."""
    told = before.told
    aheads = {hole.ahead_ns}
    until_ns = hole.end_ns
    if hole.boot_id == told.boot_id:
        # It begins and ends at edges, what it states at ticks.
        aheads.add(told.end_ns - told.boottime_end_ns)
        until_ns = told.boottime_end_ns
    for gap in before.said:
        for ahead_ns in aheads:
            start_ns, end_ns = gap.start_ns - ahead_ns, gap.end_ns - ahead_ns
            if (gap.zone is None and start_ns < end_ns
                    and start_ns < until_ns and hole.start_ns < end_ns):
                yield _widened(start_ns, end_ns)


def _stated(connection: sa.Connection, host: sa.Row[Any],
            hole: Hole) -> Iterable[Span]:
    """What is a gap already.  What is stated here is exact."""
    for gap in gaps.of_boot(connection, host.id, hole.boot_id,
                            hole.start_ns, hole.end_ns):
        span = gap.boottime_start_ns, gap.boottime_end_ns
        if gap.reason in gaps.STATED_HERE:
            yield span
        elif span[0] < span[1]:
            yield _widened(*span)


def _widened(start_ns: int, end_ns: int) -> Span:
    return start_ns - judgement.EDGE_NS, end_ns + judgement.EDGE_NS
