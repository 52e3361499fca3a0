# SPDX-License-Identifier: Apache-2.0
"""Energy nobody can know: the gaps that records state, open and close.

A lost record opens a gap that lasts until the next window of its stream.
What a gap means for a report is not decided here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from energy_accounting import samples
from energy_accounting.ledger import models

LOST = 'lost'
NEW_STREAM = 'new_stream'
SKIPPED = 'skipped'
"""No record stated it, though a boot went on."""
DISCARDED = 'discarded'
"""A record was kept, and an operator did not believe it."""
STATED_HERE = (LOST, NEW_STREAM, SKIPPED, DISCARDED)
"""What follows from records that were not booked, not from what one says:
a record that is booked later takes its time out of these."""


class Gaps:
    """The gaps of one stream as a call goes on, until they are written.

    :param lasting: whether one was left open by an earlier call.
    """

    def __init__(self, host_id: int, stream_id: int | None, *,
                 lasting: bool) -> None:
        self._host_id = host_id
        self._stream_id = stream_id
        self._earlier_lasts = lasting
        self._earlier_end_ns: int | None = None
        self._stated: list[dict[str, Any]] = []
        self._open: dict[str, Any] | None = None

    @property
    def lasting(self) -> bool:
        """Whether a gap is open now: there is never more than one."""
        return self._earlier_lasts or self._open is not None

    def state(self, gap: samples.Gap, sequence: int) -> None:
        """A gap of known length; the number is of what says so."""
        self._state(sequence, gap.zone, gap.start_ns, gap.end_ns, gap.reason)

    def open(self, start_ns: int, sequence: int) -> None:
        """From here on is lost, until it is closed."""
        self._open = self._state(sequence, None, start_ns, None, LOST)

    def close(self, end_ns: int) -> None:
        """Something is known again."""
        if self._earlier_lasts:
            self._earlier_lasts, self._earlier_end_ns = False, end_ns
        elif self._open is not None:
            self._open['end_ns'] = end_ns
            self._open['start_ns'] = min(self._open['start_ns'], end_ns)
            self._open = None

    def stated(self) -> list[samples.Gap]:
        """Those of known length that the call has stated so far."""
        return [samples.Gap(row['zone'], row['start_ns'], row['end_ns'],
                            row['reason']) for row in self._stated
                if row['end_ns'] is not None]

    def _state(self, sequence: int, zone: str | None, start_ns: int,
               end_ns: int | None, reason: str) -> dict[str, Any]:
        row = {'host_id': self._host_id, 'stream_id': self._stream_id,
               'zone': zone, 'start_ns': start_ns, 'end_ns': end_ns,
               'reason': reason, 'sequence': sequence}
        self._stated.append(row)
        return row

    def write(self, connection: sa.Connection) -> None:
        table = models.gaps
        end_ns = self._earlier_end_ns
        # First what was open before, then what may be open now.
        if end_ns is not None:
            connection.execute(
                sa.update(table)
                .where(table.c.stream_id == self._stream_id,
                       table.c.end_ns.is_(None))
                .values(end_ns=end_ns, start_ns=sa.case(
                    (table.c.start_ns > end_ns, end_ns),
                    else_=table.c.start_ns)))
        if self._stated:
            connection.execute(sa.insert(table), self._stated)


def overlapping(connection: sa.Connection, host_id: int, start_ns: int,
                end_ns: int) -> Sequence[sa.Row[Any]]:
    """Gaps of a whole host that have a part of [start, end)."""
    table = models.gaps
    return connection.execute(
        sa.select(table).where(
            table.c.host_id == host_id, table.c.zone.is_(None),
            table.c.start_ns < end_ns,
            sa.or_(table.c.end_ns.is_(None), table.c.end_ns > start_ns))
        .order_by(table.c.start_ns, table.c.id)).all()


def fill_discarded(connection: sa.Connection, host_id: int,
                   spans: Sequence[tuple[int, int]]) -> None:
    """Take times that are booked out of gaps of what was discarded.

    A record that nobody believed may have told of time to come.
    """
    if not spans:
        return
    table = models.gaps.c
    if connection.execute(sa.select(table.id).where(
            table.host_id == host_id, table.reason == DISCARDED,
            table.end_ns > min(start_ns for start_ns, _ in spans),
            ).limit(1)).first() is None:
        return
    for start_ns, end_ns in spans:
        for gap in overlapping(connection, host_id, start_ns, end_ns):
            if gap.reason == DISCARDED:
                take_out(connection, gap, start_ns, end_ns, ends=False)


def take_out(connection: sa.Connection, gap: sa.Row[Any], start_ns: int,
             end_ns: int, *, ends: bool) -> None:
    """Take a time that is known by now out of a gap that overlaps it.

    :param ends: whether a gap that lasts ends with it.
    """
    table = models.gaps
    pieces = [(gap.start_ns, start_ns)] if gap.start_ns < start_ns else []
    if (not ends) if gap.end_ns is None else end_ns < gap.end_ns:
        pieces.append((end_ns, gap.end_ns))
    connection.execute(sa.delete(table).where(table.c.id == gap.id))
    if pieces:
        columns = {name: value for name, value in gap._asdict().items()
                   if name != 'id'}
        connection.execute(sa.insert(table), [
            {**columns, 'start_ns': piece_start_ns, 'end_ns': piece_end_ns}
            for piece_start_ns, piece_end_ns in pieces])
