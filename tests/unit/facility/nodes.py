# SPDX-License-Identifier: Apache-2.0
"""Hosts with node meters, their windows and readings, for tests.

No assertion belongs here.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import sqlalchemy as sa
from oslotest import base

from energy_accounting import collector, samples, units
from energy_accounting.facility import apportioning, batches, meters, models
from energy_accounting.ledger import audit, balance, boundaries, engine
from energy_accounting.ledger import models as ledger
from energy_accounting.report import balance as report
from tests.unit import records

FIRST = units.bucket_of(records.START_NS)
MINUTE_NS = records.MINUTE_NS
DAY_NS = 24 * 3600 * units.NS_PER_S
NOW_NS = records.START_NS + 30 * DAY_NS
OPERATOR = audit.Actor('an operator')
COUNTER = {'medium': 'electricity', 'role': 'node', 'unit': 'J',
           'kind': 'cumulative'}

PEOPLE = (records.instance('a', 'one'), records.instance('b', 'two'),
          records.unallocated('idle_capacity'))


def at(minutes: int) -> int:
    """A moment, in minutes after the first bucket begins."""
    return records.START_NS + minutes * MINUTE_NS


def by(at_ns: int = NOW_NS) -> audit.By:
    return audit.By(OPERATOR, at_ns)


def window(host: str, sequence: int, energy_uj: Iterable[int],
           people: Iterable[samples.Account] = PEOPLE,
           minutes: int = 15, **more: Any) -> samples.Window:
    """The n-th window of so many minutes, what each of the people got."""
    return records.window(
        sequence, [records.share(
            account, active_uj=amount, idle_uj=amount // 3,
            memory_uj=amount // 7, host_uj=0, cpu_ns=0, vcpu_ns=0,
            memory_mib_ns=0)
            for account, amount in zip(people, energy_uj, strict=False)],
        host=host, machine_id=f'machine of {host}', stream=f's-{host}',
        boot_id=f'boot of {host}', start_ns=at((sequence - 1) * minutes),
        duration_ns=minutes * MINUTE_NS, **more)


class Nodes:
    """A ledger, its collector, and what a test does with node meters."""

    def __init__(self, database: engine.Database,
                 now_ns: int = NOW_NS) -> None:
        self.database = database
        self.now_ns = now_ns
        self.collector = collector.Collector(database, None,
                                             lambda: self.now_ns)

    def book(self, *windows: samples.Window) -> list[str]:
        results: list[str] = self.collector.book(
            {}, records.payloads(*windows))['results']
        return results

    def meter(self, host: str, name: str | None = None,
              **given: Any) -> None:
        self.database.write(
            meters.create, by(self.now_ns), name or f'node of {host}',
            'default', {**COUNTER, 'host': host, **given})

    def read(self, host: str, values: dict[int, int | None],
             name: str | None = None, *, correct: bool = False,
             at_ns: int | None = None) -> None:
        """Readings in joules, by minutes after the first bucket begins."""
        self.database.write(
            batches.add, by(at_ns or self.now_ns),
            name or f'node of {host}',
            [batches.Given(at(minutes), None if value is None
                            else str(value))
             for minutes, value in sorted(values.items())], 'api',
            correct=correct)

    def apportion(self, **more: Any) -> list[apportioning.Outcome]:
        return list(apportioning.apportion(self.database, self.now_ns,
                                           **more))

    # --- what is there ---

    def terms(self, host: str, count: int = 4) -> list[int | None]:
        """The term of a host's first buckets; None: unknown, or no row."""
        table = ledger.platform_buckets
        found = self.database.read(lambda connection: {
            row.bucket: row.platform_uj for row in connection.execute(
                sa.select(table).join(
                    ledger.hosts, ledger.hosts.c.id == table.c.host_id)
                .where(ledger.hosts.c.name == host))})
        return [found.get(FIRST + place) for place in range(count)]

    def accounts(self, host: str, bucket: int) -> dict[str, int | None]:
        """What each account has of a host's term."""
        table, accounts = ledger.account_buckets, ledger.accounts
        return self.database.read(lambda connection: {
            row.instance_id or row.name: row.platform_uj
            for row in connection.execute(
                sa.select(accounts, table.c.platform_uj)
                .join(table, table.c.account_id == accounts.c.id)
                .join(ledger.hosts, ledger.hosts.c.id == table.c.host_id)
                .where(ledger.hosts.c.name == host,
                       table.c.bucket == bucket))})

    def sums(self) -> tuple[dict[Any, Any], dict[Any, Any]]:
        """The sums of projects as they are kept, and as they should be.

        Without those of nothing.
        """
        kept, owners = ledger.project_buckets, ledger.accounts.c
        rows, hosts = ledger.account_buckets, ledger.hosts.c

        def read(connection: sa.Connection,
                 ) -> tuple[dict[Any, Any], dict[Any, Any]]:
            found = {tuple(row[:4]): tuple(row[4:])
                     for row in connection.execute(sa.select(kept))
                     if any(row[4:])}
            should = connection.execute(sa.select(
                owners.project_ref, rows.c.bucket, hosts.site_id,
                boundaries.of_rows(rows.c.platform_uj).label('boundary'),
                *(sa.func.sum(rows.c[name]).label(name)
                  for name in ledger.MEASURES)).select_from(rows)
                .join(ledger.accounts, owners.id == rows.c.account_id)
                .join(ledger.hosts, hosts.id == rows.c.host_id)
                .group_by(sa.literal_column('1'), sa.literal_column('2'),
                          sa.literal_column('3'), sa.literal_column('4')))
            return found, {
                tuple(row[:4]): tuple(None if value is None else int(value)
                                      for value in row[4:])
                for row in should if any(row[4:])}

        return self.database.read(read)

    def state(self) -> dict[str, dict[Any, Any]]:
        """All of the ledger that a term shows in, by names not numbers."""
        return self.database.read(_state)

    def sheet(self, host: str | None = None) -> dict[str, Any]:
        return self.database.read(lambda connection: report.sheet(
            balance.read(connection, FIRST - 96, FIRST + 960, host)))


def _state(connection: sa.Connection) -> dict[str, dict[Any, Any]]:
    def names(column: sa.Column[Any]) -> dict[int, Any]:
        return dict(connection.execute(
            sa.select(column.table.c.id, column)).all())

    hosts, projects = names(ledger.hosts.c.name), names(
        ledger.projects.c.project_id)
    people = names(ledger.accounts.c.digest)
    found: dict[str, dict[Any, Any]] = {}
    for table in (ledger.account_buckets, ledger.project_buckets,
                  ledger.platform_buckets, ledger.zone_buckets,
                  ledger.retired_buckets):
        found[table.name] = {}
        for row in connection.execute(sa.select(table)):
            values = dict(row._mapping)
            for key, known in (('host_id', hosts), ('account_id', people),
                               ('project_ref', projects)):
                if key in values:
                    values[key] = known[values[key]]
            key_of = tuple(values.pop(column.name)
                           for column in table.primary_key)
            found[table.name][key_of] = values
    return found


def empty(connection: sa.Connection) -> None:
    """Forget all of it."""
    for table in reversed(models.metadata.sorted_tables):
        kept = {ledger.sites: ledger.DEFAULT_SITE,
                ledger.projects: ledger.NO_PROJECT}.get(table)
        connection.execute(sa.delete(table) if kept is None
                           else sa.delete(table).where(table.c.id != kept))


class NodesCase(base.BaseTestCase):

    database: engine.Database

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.database = records.database()
        cls.addClassCleanup(cls.database.close)

    def setUp(self) -> None:
        super().setUp()
        self.database.write(empty)
        self.nodes = Nodes(self.database)
