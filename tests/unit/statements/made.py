# SPDX-License-Identifier: Apache-2.0
"""A ledger of an October with an hour to spare, and how it is closed.

No assertion belongs here.
"""

from __future__ import annotations

import unittest
from typing import Any

import sqlalchemy as sa

from energy_accounting import units
from energy_accounting.ledger import audit, bulk, engine
from energy_accounting.statements import (
    closing,
    periods,
    stored,
    supplied,
)
from tests.unit.ledger import filled

KWH = units.UJ_PER_KWH
BERLIN = 'Europe/Berlin'
OCTOBER = periods.period('2026-10', BERLIN)
"""745 hours: the clocks are set back on the 25th."""
NOW_NS = units.wall_ns(units.moment(OCTOBER.end_ns)) + 6 * 3600 * 10 ** 9
ACTOR = audit.Actor('ann')


def bucket(day: int, quarter: int = 0) -> int:
    """A quarter of an hour of a local day of October."""
    return OCTOBER.days()[day - 1][0] + quarter


def ledger(test: unittest.TestCase) -> filled.Filled:
    """A host that has reported to the end of the month."""
    found = filled.Filled(filled.sqlite(test))
    found.host('compute-1', last_window_end_ns=OCTOBER.end_ns)
    return found


def close(database: engine.Database, project_id: str = 'p1', *,
          period: periods.Period = OCTOBER, now_ns: int = NOW_NS,
          as_of_ns: int | None = None) -> closing.Closed:
    return closing.close(
        database, project_id, period,
        supplied.Supplied(period, as_of_ns or now_ns), now_ns, ACTOR)


def lines(database: engine.Database, closed: closing.Closed) -> list[Any]:
    with database.reader() as connection:
        return list(stored.lines_of(connection, closed.stored))


def text(database: engine.Database, closed: closing.Closed) -> str:
    """The canonical form."""
    with database.reader() as connection:
        return ''.join(stored.document(connection, closed.stored))


def late(database: engine.Database, instance: str, project: str,
         number: int, energy_uj: int) -> None:
    """Book more of an instance, as a window that comes late does."""
    tables = filled.models
    with database.writer() as connection:
        project_ref = _id(connection, tables.projects,
                          project_id=project)
        account = _id(connection, tables.accounts, instance_id=instance,
                      project_ref=project_ref, kind='instance',
                      digest=f'{instance} of {project}', flavor='m1.small')
        measures = {
            **dict.fromkeys(tables.MEASURES, 0), 'active_uj': energy_uj,
            'memory_uj': None, 'platform_uj': None}
        for table, key in (
                (tables.account_buckets, {'account_id': account,
                                          'bucket': number, 'host_id': 1}),
                (tables.project_buckets, {
                    'project_ref': project_ref, 'bucket': number,
                    'site_id': tables.DEFAULT_SITE, 'boundary': 'rapl'})):
            bulk.upsert(connection, table, [(*key.values(), *(
                measures[name] for name in tables.MEASURES))],
                add=tables.MEASURES)
        bulk.upsert(connection, tables.zone_buckets, [
            (1, number, 'package-0', energy_uj)], add=('energy_uj',))


def claim(database: engine.Database, instance: str, project: str,
          at_ns: int) -> None:
    """Say who owns an instance that was booked without a project."""
    tables = filled.models
    with database.writer() as connection:
        owner = _id(connection, tables.projects, project_id=project)
        account = connection.scalar(sa.select(tables.accounts.c.id).where(
            tables.accounts.c.instance_id == instance))
        connection.execute(sa.insert(tables.claims).values(
            account_id=account, project_ref=owner, claimed_at_ns=at_ns))


def _id(connection: sa.Connection, table: sa.Table, **values: Any) -> int:
    """The number of a row, which is made where it is not there."""
    named = [name for name in ('project_id', 'instance_id')
             if name in values]
    found = connection.scalar(sa.select(table.c.id).where(
        *(table.c[name] == values[name] for name in named)))
    if found is None:
        made = connection.execute(sa.insert(table).values(values))
        (found,) = made.inserted_primary_key or (0,)
    return int(found)
