# SPDX-License-Identifier: Apache-2.0
"""What a ledger says of the time of its hosts, boot by boot.

A boot's time is that of its boottime, from the first window that is known
up to the end of the last one that is booked: what comes after it, the next
one to be booked explains.  Gaps are stated by the wall clock; they are
compared exactly where it ran with boottime.  Where a clock was set, that
every hole has a gap near it is all that can be said.  No rule of what may
happen belongs here.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterable, Sequence
from typing import Any

from energy_accounting import units
from energy_accounting.ledger import gaps

Span = tuple[int, int]
# A clock tells the time of what cannot be understood, to a second.
SLEW_NS = units.NS_PER_S
FOREVER_NS = 1 << 62


@dataclasses.dataclass
class Boot:
    """One boot of a host, in nanoseconds of its boottime.

    :ivar held: of the host's own records that an operator may yet believe.
    :ivar ahead_ns: by how much wall clocks were ahead of its boottime.
    """

    booked: list[Span] = dataclasses.field(default_factory=list)
    held: list[Span] = dataclasses.field(default_factory=list)
    ahead_ns: set[int] = dataclasses.field(default_factory=set)


def complaints(boot: Boot, stated: Sequence[Any], *,
               clock_was_set: bool) -> list[str]:
    """What is wrong with the time of a boot.

    :param stated: the gaps of the host, as they are in the ledger.
    """
    booked = sorted(boot.booked)
    found = [f'booked twice: {first} and {second}'
             for first, second in itertools.pairwise(booked)
             if second[0] < first[1]]
    if not booked:
        return found
    known = [*booked, *boot.held]
    holes = units.without(min(known)[0], max(end for _, end in booked),
                          known)
    whole = [gap for gap in stated if gap.zone is None]
    if clock_was_set:
        return found + [
            f'nothing is said of {hole}' for hole in holes
            if not any(start_ns <= hole[1] and hole[0] <= end_ns
                       for start_ns, end_ns in _by_boottime(boot, whole))]
    for hole in holes:
        found += [f'nothing is said of {left} in {hole}' for left
                  in units.without(*hole, _by_boottime(boot, whole))]
    for gap in whole:
        if gap.reason in gaps.STATED_HERE:
            found += [
                f'{span} is booked, and in a gap ({gap.reason}): {mine}'
                for mine in _by_boottime(boot, [gap]) for span in booked
                if mine[0] < span[1] and span[0] < mine[1]]
    return found


def _by_boottime(boot: Boot, stated: Iterable[Any]) -> list[Span]:
    return [(gap.start_ns - ahead_ns,
             (FOREVER_NS if gap.end_ns is None else gap.end_ns) - ahead_ns)
            for gap in stated for ahead_ns in boot.ahead_ns
            if gap.end_ns is None or gap.start_ns < gap.end_ns]
