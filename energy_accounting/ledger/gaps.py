# SPDX-License-Identifier: Apache-2.0
"""Energy nobody can know: the gaps that are stated, open and close.

A gap of the whole host is of a boottime, and that is what is compared: a
clock may have been set.  Its times by the wall clock are for people.  What a
gap means for a report is not decided here, nor which time has to be in one
(``holes``).
"""

from __future__ import annotations

import collections
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import sqlalchemy as sa

from energy_accounting import samples, units
from energy_accounting.ledger import judgement, models

LOST = 'lost'
NOT_UNDERSTOOD = 'not_understood'
"""The record of that time is held, and cannot be read."""
NEW_STREAM = 'new_stream'
SKIPPED = 'skipped'
"""No record that is understood speaks of it."""
DISCARDED = 'discarded'
"""A record was kept, and an operator did not believe it."""
STATED_HERE = (LOST, NOT_UNDERSTOOD, NEW_STREAM, SKIPPED, DISCARDED)
"""What follows from records that were not booked, not from what one says:
a record that is booked later takes its time out of these."""

Span = tuple[int, int]
_WALL_END_NS = (1 << 63) - 1


class Cause(NamedTuple):
    """Why a gap is stated, and the record that shows it."""

    reason: str
    stream_id: int | None
    sequence: int


def row(host_id: int, cause: Cause, zone: str | None, start_ns: int,
        end_ns: int | None) -> dict[str, Any]:
    """A row of ``gaps`` that is of no boot yet."""
    return {'host_id': host_id, 'stream_id': cause.stream_id, 'zone': zone,
            'start_ns': start_ns, 'end_ns': end_ns, 'reason': cause.reason,
            'sequence': cause.sequence, 'boot_id': None,
            'boottime_start_ns': None, 'boottime_end_ns': None}


def row_of_boot(host_id: int, cause: Cause, boot_id: str, span: Span,
                ahead_ns: int) -> dict[str, Any]:
    """A row of a whole host and of a boottime.

    :param ahead_ns: the wall clock then, less the boottime.
    """
    start_ns, end_ns = span
    return {**row(host_id, cause, None, *(
        max(0, min(moment_ns + ahead_ns, _WALL_END_NS))
        for moment_ns in span)), 'boot_id': boot_id,
        'boottime_start_ns': start_ns, 'boottime_end_ns': end_ns}


def rows_of_window(host_id: int, stream_id: int | None,
                   window: samples.Window) -> list[dict[str, Any]]:
    """The gaps that a window states; they may begin before its boot."""
    ahead_ns = window.end_ns - window.boottime_end_ns
    return [{**row(host_id, Cause(gap.reason, stream_id, window.sequence),
                   gap.zone, gap.start_ns, gap.end_ns),
             'boot_id': window.boot_id,
             'boottime_start_ns': max(0, gap.start_ns - ahead_ns),
             'boottime_end_ns': max(0, gap.end_ns - ahead_ns)}
            for gap in window.gaps]


def spans_of_window(window: samples.Window) -> list[tuple[str, Span]]:
    """The boottime that a window measured, and what it says it did not."""
    return [(window.boot_id, (window.boottime_start_ns,
                              window.boottime_end_ns)), *(
        (window.boot_id, (row['boottime_start_ns'], row['boottime_end_ns']))
        for row in rows_of_window(0, None, window) if row['zone'] is None)]


def write(connection: sa.Connection, rows: Sequence[dict[str, Any]]) -> None:
    if rows:
        connection.execute(sa.insert(models.gaps), rows)


def of_boot(connection: sa.Connection, host_id: int, boot_id: str,
            start_ns: int, end_ns: int) -> Sequence[sa.Row[Any]]:
    """Gaps of a whole host that have a part of [start, end) of a boot."""
    table = models.gaps
    return connection.execute(
        sa.select(table).where(
            table.c.host_id == host_id, table.c.boot_id == boot_id,
            table.c.zone.is_(None), table.c.boottime_start_ns < end_ns,
            table.c.boottime_end_ns > start_ns)
        .order_by(table.c.boottime_start_ns, table.c.id)).all()


def lasts(host_id: Any) -> sa.ColumnElement[bool]:
    """Whether a gap is one of a host that lasts: at most one does."""
    table = models.gaps.c
    return sa.and_(table.host_id == host_id, table.boot_id.is_(None),
                   table.end_ns.is_(None))


def end(connection: sa.Connection, host_id: int) -> Cause | None:
    """End the gap of a host that lasts: something is known again.

    :returns: why there was one, for the time it turns out to be.
    """
    table = models.gaps
    mine = lasts(host_id)
    found = connection.execute(sa.select(table).where(mine)).first()
    if found is None:
        return None
    connection.execute(sa.delete(table).where(mine))
    return Cause(found.reason, found.stream_id, found.sequence)


def fill(connection: sa.Connection, host_id: int,
         spans: Iterable[tuple[str, Span]]) -> None:
    """Take times that are known by now out of what is stated here.

    :param spans: boot and boottime.
    """
    by_boot = collections.defaultdict(list)
    for boot_id, span in spans:
        if span[0] < span[1]:
            by_boot[boot_id].append(span)
    for boot_id, known in by_boot.items():
        first_ns = min(start_ns for start_ns, _ in known)
        last_ns = max(end_ns for _, end_ns in known)
        for gap in of_boot(connection, host_id, boot_id, first_ns, last_ns):
            if gap.reason in STATED_HERE:
                _take_out(connection, gap, known)


def fill_before(connection: sa.Connection, host_id: int,
                stated_by: tuple[int | None, int],
                window: samples.Window) -> None:
    """Take what a window states out of what was stated for it before.

    Its gaps may reach into the boot before its own.

    :param stated_by: stream and number.
    """
    table = models.gaps
    for gap in connection.execute(sa.select(table).where(
            table.c.host_id == host_id, table.c.stream_id == stated_by[0],
            table.c.sequence == stated_by[1],
            table.c.reason.in_(STATED_HERE),
            table.c.boot_id != window.boot_id)).all():
        ahead_ns = gap.end_ns - gap.boottime_end_ns
        _take_out(connection, gap, [
            (one.start_ns - judgement.EDGE_NS - ahead_ns,
             one.end_ns + judgement.EDGE_NS - ahead_ns)
            for one in window.gaps if one.zone is None])


def _take_out(connection: sa.Connection, gap: sa.Row[Any],
              known: Iterable[Span]) -> None:
    span = gap.boottime_start_ns, gap.boottime_end_ns
    pieces = units.without(*span, known)
    if pieces == [span] or span[0] == span[1]:
        return
    table = models.gaps
    connection.execute(sa.delete(table).where(table.c.id == gap.id))
    cause = Cause(gap.reason, gap.stream_id, gap.sequence)
    write(connection, [row_of_boot(
        gap.host_id, cause, gap.boot_id, piece,
        gap.end_ns - gap.boottime_end_ns) for piece in pieces])
