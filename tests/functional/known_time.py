# SPDX-License-Identifier: Apache-2.0
"""What a ledger says of the time of its hosts, boot by boot.

By boottime, which no clock changes: from the first record that told of a
boot up to the last one, every moment is booked, held or in a gap, and none
of what is booked is in a gap that was stated because it was not.  Of every
boot but a host's first that holds from its beginning.  No rule of what may
happen belongs here.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterable, Sequence
from typing import Any

from energy_accounting import units
from energy_accounting.ledger import gaps, judgement

Span = tuple[int, int]


@dataclasses.dataclass
class Boot:
    """One boot of a host, in nanoseconds of its boottime.

    :ivar told: all that the host's own records told of, believed or not.
    :ivar held: of what an operator may yet believe.
    :ivar ahead_ns: by how much wall clocks were ahead of its boottime.
    :ivar first: whether nothing of the host is known from before.
    """

    told: list[Span] = dataclasses.field(default_factory=list)
    booked: list[Span] = dataclasses.field(default_factory=list)
    held: list[Span] = dataclasses.field(default_factory=list)
    ahead_ns: set[int] = dataclasses.field(default_factory=set)
    first: bool = False


def complaints(boot: Boot, stated: Sequence[Any]) -> list[str]:
    """What is wrong with the time of a boot.

    :param stated: the gaps of the boot, as they are in the ledger.
    """
    booked = sorted(boot.booked)
    found = _twice('booked', booked)
    if not boot.told:
        return found
    whole = [gap for gap in stated if gap.zone is None]
    here = [gap for gap in whole if gap.reason in gaps.STATED_HERE]
    since_ns = min(boot.told)[0] if boot.first else 0
    found += [f'nothing is said of {hole}' for hole in units.without(
        since_ns, max(end_ns for _, end_ns in boot.told),
        [*booked, *boot.held, *map(_span, here),
         *(_widened(gap) for gap in whole if gap not in here)])]
    found += _twice('stated', sorted(map(_span, here)))
    found += [f'{span} is booked, and in a gap: {gap}'
              for gap in here for span in booked
              if gap.boottime_start_ns < gap.boottime_end_ns
              and gap.boottime_start_ns < span[1]
              and span[0] < gap.boottime_end_ns]
    if len(boot.ahead_ns) == 1:
        ahead_ns, = boot.ahead_ns
        found += [f'it was not then: {gap}' for gap in here
                  if _span(gap) != (gap.start_ns - ahead_ns,
                                    gap.end_ns - ahead_ns)]
    return found


def _twice(what: str, spans: Iterable[Span]) -> list[str]:
    return [f'{what} twice: {first} and {second}'
            for first, second in itertools.pairwise(spans)
            if second[0] < first[1]]


def _span(gap: Any) -> Span:
    return gap.boottime_start_ns, gap.boottime_end_ns


def _widened(gap: Any) -> Span:
    """What a record states, it states to the tick."""
    start_ns, end_ns = _span(gap)
    return start_ns - judgement.EDGE_NS, end_ns + judgement.EDGE_NS
