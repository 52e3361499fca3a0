# SPDX-License-Identifier: Apache-2.0
"""What a monitoring system asks of the ledger, in one read.

Counts only; their names outside are the report's.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from energy_accounting.ledger import hosts, models, wide_sums

_REASONS = 50


@dataclasses.dataclass(frozen=True, slots=True)
class Gauges:
    """The ledger at a moment.

    :ivar last_window_ends_ns: of each enrolled host by (name, site); None
        before its first.
    :ivar late: names of hosts that owe windows.
    :ivar held: records in quarantine that nobody has decided about, by
        code.
    :ivar gaps: how many are kept, by reason.
    :ivar acknowledged: records that streams have stepped over, whatever
        became of them; of streams of which a window was booked.
    """

    hosts_by_state: Mapping[str, int]
    last_window_ends_ns: Mapping[tuple[str, str], int | None]
    late: frozenset[str]
    held: Mapping[str, int]
    gaps: Mapping[str, int]
    acknowledged: int
    complete_until_ns: int | None


def read(connection: sa.Connection, now_ns: int) -> Gauges:
    """All of it; the caller sees to one state of the ledger."""
    table, sites = models.hosts.c, models.sites.c
    held, gaps = models.quarantine.c, models.gaps.c
    count = sa.func.count()
    by_state = dict.fromkeys(
        (models.ENROLLED, models.PENDING, models.RETIRED), 0)
    by_state.update(_pairs(connection, sa.select(
        table.state, count).group_by(table.state)))
    rows = connection.execute(
        sa.select(table.name, sites.name.label('site'),
                  table.last_window_end_ns,
                  hosts.is_late(now_ns).label('late'))
        .join_from(models.hosts, models.sites, sites.id == table.site_id)
        .where(table.state == models.ENROLLED).order_by(table.name)).all()
    return Gauges(
        by_state,
        {(row.name, row.site): row.last_window_end_ns for row in rows},
        frozenset(row.name for row in rows if row.late),
        _pairs(connection, sa.select(held.code, count).where(
            held.state == models.HELD).group_by(held.code)),
        # Reasons are words of hosts: a few are enough to look at.
        _pairs(connection, sa.select(gaps.reason, count).group_by(
            gaps.reason).order_by(count.desc()).limit(_REASONS)),
        _acknowledged(connection), hosts.complete_until(connection))


def _acknowledged(connection: sa.Connection) -> int:
    """Numbers are words of whoever sends; of strangers none counts."""
    streams = models.streams.c
    sums = wide_sums.WideSums(connection.dialect.name)
    row = connection.execute(
        sa.select(*sums.of('sequence', streams.sequence))
        .where(streams.public_key != '',
               streams.window_end_ns.is_not(None))).mappings().one()
    return sums.value(row, 'sequence') or 0


def _pairs(connection: sa.Connection, query: sa.Select[Any],
           ) -> dict[str, int]:
    return {str(name): int(number)
            for name, number in connection.execute(query)}
