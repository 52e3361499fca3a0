# SPDX-License-Identifier: Apache-2.0
"""The boottime before a window that nothing explains.

Asked when a window is booked, from wherever it comes.  What is done about
it, and what is lost or discarded, stands elsewhere (``writes``,
``decisions``, ``gaps``).
"""

from __future__ import annotations

from collections.abc import Iterable

import sqlalchemy as sa

from energy_accounting import samples, units
from energy_accounting.ledger import gaps, judgement, quarantine


def find(connection: sa.Connection, host_id: int, window: samples.Window,
         key: str, booked_until_ns: int | None, held: quarantine.Held,
         said: Iterable[samples.Gap]) -> list[samples.Gap]:
    """The gaps to state; what held records measured is not unknown.

    :param key: of the host: what others signed says nothing of its time.
    :param booked_until_ns: boottime; None: nothing of the boot is booked,
        and what is held of it is the first that is known.
    :param held: what the call at hand holds, beside what is held already.
    :param said: gaps of the call at hand, not written yet.
    """
    if (booked_until_ns is not None
            and booked_until_ns >= window.boottime_start_ns):
        return []
    known = held.spans(connection, window, key, booked_until_ns or 0)
    since_ns = booked_until_ns
    if since_ns is None:
        since_ns = min((start_ns for start_ns, _ in known),
                       default=window.boottime_start_ns)
    ahead_ns = window.start_ns - window.boottime_start_ns
    found: list[samples.Gap] = []
    for start_ns, end_ns in units.without(
            since_ns, window.boottime_start_ns, known):
        found += _unstated(connection, host_id, window, said,
                           start_ns + ahead_ns, end_ns + ahead_ns)
    return found


def _unstated(connection: sa.Connection, host_id: int,
              window: samples.Window, said: Iterable[samples.Gap],
              start_ns: int, end_ns: int) -> list[samples.Gap]:
    """What no gap of the whole host explains of a time before a window.

    What the ledger states is exact.  The record before, or the window
    itself, states a gap to the tick.
    """
    # What a tick over the window's edge states.
    edge_ns = window.end_ns if end_ns == window.start_ns else end_ns
    every = [gap for gap in said if gap.zone is None]
    # One that lasts ends here.
    every += [samples.Gap(None, gap.start_ns, window.start_ns
                          if gap.end_ns is None else gap.end_ns, gap.reason)
              for gap in gaps.overlapping(connection, host_id, start_ns,
                                          edge_ns)]
    taken = []
    for gap in every:
        if gap.reason in gaps.STATED_HERE:
            taken.append((gap.start_ns, gap.end_ns))
        elif gap.start_ns < edge_ns and start_ns < gap.end_ns:
            taken.append((gap.start_ns - judgement.EDGE_NS,
                          gap.end_ns + judgement.EDGE_NS))
    return [samples.Gap(None, max(0, first_ns), max(0, last_ns),
                        gaps.SKIPPED)
            for first_ns, last_ns in units.without(start_ns, end_ns, (
                one for one in taken if one[0] < one[1]))]
