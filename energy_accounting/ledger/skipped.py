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
from energy_accounting.ledger import gaps, quarantine


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
    """What no gap explains of a time before a window.

    The record before, or the window itself, may state it: to the tick, so
    that it explains the whole.  What was stated here is exact.
    """
    # What a tick over the window's edge states.
    edge_ns = window.end_ns if end_ns == window.start_ns else end_ns
    if any(gap.start_ns < edge_ns and start_ns < gap.end_ns
           for gap in said):
        return []
    stated = [gap for gap in gaps.overlapping(
        connection, host_id, start_ns, edge_ns) if gap.end_ns is not None]
    if any(gap.reason not in gaps.STATED_HERE for gap in stated):
        return []
    return [samples.Gap(None, max(0, first_ns), max(0, last_ns),
                        gaps.SKIPPED)
            for first_ns, last_ns in units.without(
                start_ns, end_ns,
                [(gap.start_ns, gap.end_ns) for gap in stated])]
