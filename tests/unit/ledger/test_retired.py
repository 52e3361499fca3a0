# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import contextlib
import random
from collections.abc import Iterator
from typing import Any
from unittest import mock

import sqlalchemy as sa

from energy_accounting import errors, units
from energy_accounting.ledger import (
    balance,
    engine,
    models,
    purge,
    queries,
    retired,
    usage,
)
from energy_accounting.report import balance as sheets
from energy_accounting.report import usage as reports
from tests.unit.ledger import filled, reading

FIRST = reading.FIRST
LAST = FIRST + 100
RETENTION = purge.Retention(instance_days=400, project_days=3660,
                            user_days=62)


def days_after(days: int) -> int:
    """As many days after the last bucket that tests book."""
    return LAST * units.BUCKET_NS + days * purge.DAY_NS


class Stopped(Exception):
    """The process was killed."""


class Stopping(engine.Database):
    """Breaks off inside a transaction; the others are committed."""

    def __init__(self, url: str, commits: int) -> None:
        super().__init__(url)
        self._commits = commits

    @contextlib.contextmanager
    def writer(self) -> Iterator[sa.Connection]:
        with super().writer() as connection:
            yield connection
            self._commits -= 1
            if self._commits < 0:
                raise Stopped


class RetiredTest(reading.LedgerCase):
    """What is known before rows by instance go, and after."""

    def purge(self, now_ns: int = days_after(401)) -> dict[str, int]:
        return purge.purge(self.database, RETENTION, now_ns)

    def usage(self, **changes: Any) -> list[queries.LedgerSum]:
        return super().usage(**{'as_of_ns': days_after(5000), **changes})

    def balances(self) -> list[dict[str, Any]]:
        """The sheets of all, of each site and of each host."""
        with self.database.reader() as connection:
            return [sheets.sheet(balance.read(
                connection, FIRST - 200, LAST + 200, **which))
                for which in ({}, {'site': 'default'}, {'site': 'west'},
                              {'host': 'h1'}, {'host': 'h2'},
                              {'host': 'h3'})]

    def energy_of_all(self, resolutions: tuple[str, ...] = (
            'total', 'quarter')) -> list[dict[tuple[str, ...], int]]:
        return [self.energy(group_by=groups, start=FIRST - 200,
                            end=LAST + 200, resolution=resolution)
                for groups in (('project',), ('site', 'boundary'),
                               ('project', 'region'))
                for resolution in resolutions]

    def random_ledger(self) -> None:
        reading.random_ledger(self.ledger, random.Random(7))

    def test_the_balance_stays_what_it_was(self) -> None:
        self.random_ledger()
        before = self.balances()
        self.assertGreater(self.purge()['account_buckets'], 100)
        self.assertEqual(before, self.balances())
        for sheet in before:
            self.assertEqual('0', sheet['difference_uj'])
        for sheet in before[:3]:
            self.assertEqual(
                int(sheet['measured_uj']), int(sheet['projects_uj']))

    def test_the_energy_of_projects_stays_what_it_was(self) -> None:
        self.random_ledger()
        before = self.energy_of_all()
        self.purge()
        self.assertEqual(before, self.energy_of_all())
        self.purge()
        self.assertEqual(before, self.energy_of_all())

    def test_a_claimed_instance_stays_its_owners(self) -> None:
        mine = self.ledger.instance('i1')
        self.ledger.instance('i2', 'p1')
        self.ledger.claim(mine, 'p0', 5)
        self.ledger.claim(mine, 'p1', 7)
        self.ledger.book(mine, 'h1', FIRST, 1000, 500, 100, 50)
        self.ledger.write()
        before = self.usage()
        self.assertEqual([(('p1',), 1650, 100)], [
            (row.keys, row.it_uj, row.memory_uj) for row in before])
        self.purge()
        self.assertEqual(
            [(row.keys, row.it_uj, row.memory_uj, row.vcpu_ns, row.peak_uj)
             for row in before],
            [(row.keys, row.it_uj, row.memory_uj, row.vcpu_ns, row.peak_uj)
             for row in self.usage()])

    def test_what_comes_late_for_a_claimed_instance_moves_once(self) -> None:
        mine = self.ledger.instance('i1')
        self.ledger.claim(mine, 'p1', 5)
        self.ledger.book(mine, 'h1', FIRST, 1000)
        self.ledger.write()
        self.purge()
        late = {'bucket': FIRST, 'active_uj': 7, 'idle_uj': 0, 'host_uj': 0,
                'backfilled_uj': 0, 'cpu_ns': 0, 'vcpu_ns': 0,
                'memory_mib_seconds': 0}
        with self.database.writer() as connection:
            connection.execute(sa.insert(models.account_buckets).values(
                account_id=mine, host_id=1, **late))
            sums = models.project_buckets
            connection.execute(sa.update(sums).where(
                sums.c.project_ref == models.NO_PROJECT).values(
                    active_uj=sums.c.active_uj + 7))
        for _ in range(2):
            self.assertEqual({('p1',): 1007}, self.energy())
            self.purge()

    def test_coverage_is_not_whole_when_nobody_knows_any_more(self) -> None:
        mine = self.ledger.instance('i1', 'p1')
        self.ledger.book(mine, 'h1', FIRST, 1000)
        self.ledger.book(mine, 'h1', FIRST + 96, 1000)
        self.ledger.measured('h1', FIRST, units.BUCKET_NS // 2,
                             'proportional/1')
        self.ledger.write()

        def shown() -> list[tuple[str | None, Any]]:
            return [(reports.coverage(row.vcpu_ns, row.missing_ms2),
                     row.policies) for row in self.usage(
                         end=LAST, resolution='day')]
        two_part = ('two-part/1', 'two-part/1')
        proportional = ('proportional/1', 'proportional/1')
        self.assertEqual([('0.5000', proportional), ('1.0000', two_part)],
                         shown())
        self.purge((FIRST + 96) * units.BUCKET_NS + 400 * purge.DAY_NS)
        self.assertEqual([(None, None), ('1.0000', two_part)], shown())

    def test_what_is_gone_is_refused_and_not_left_out(self) -> None:
        mine = self.ledger.instance('i1', 'p1', 'm1.small', 'u1')
        self.ledger.book(mine, 'h1', FIRST, 1000)
        self.ledger.book(mine, 'h1', FIRST + 96, 1)
        self.ledger.write()
        self.purge((FIRST + 96) * units.BUCKET_NS + 400 * purge.DAY_NS)
        with self.database.reader() as connection:
            self.assertEqual(FIRST + 1, retired.kept_since(connection))
            for group in queries.GROUPS:
                for asked in ({'group_by': (group,)},
                              {'filters': {group: 'p1'}}):
                    query = self.query(**asked)
                    if group in ('project', 'domain', 'site', 'region',
                                 'boundary'):
                        usage.read(connection, query)
                        continue
                    for ask in (usage.read, usage.count):
                        with self.assertRaisesRegex(
                                errors.InvalidRequest,
                                '^start: .*2026-11-01T00:15:00Z'):
                            ask(connection, query)
        self.assertEqual({('i1',): 1}, self.energy(
            start=FIRST + 1, end=LAST, group_by=('instance',)))

    def test_a_purge_that_is_killed_leaves_a_balance(self) -> None:
        self.random_ledger()
        url = self.database.engine.url.render_as_string(hide_password=False)
        before = self.balances()
        energy, totals = self.energy_of_all(), self.energy_of_all(('total',))
        stops = 0
        with mock.patch.object(retired, '_ROWS', 60):
            for commits in range(1, 100):
                database = Stopping(url, commits)
                self.addCleanup(database.close)
                try:
                    purge.purge(database, RETENTION, days_after(401))
                    break
                except Stopped:
                    stops += 1
                self.assertEqual(before, self.balances())
                self.assertEqual(totals, self.energy_of_all(('total',)))
        self.assertGreater(stops, 4)
        self.assertEqual(energy, self.energy_of_all())
        with self.database.reader() as connection:
            self.assertIsNone(connection.execute(
                sa.select(models.account_buckets)).first())
        self.assertEqual(before, self.balances())

    def test_both_sides_go_together_at_the_last_horizon(self) -> None:
        self.random_ledger()
        self.purge()
        url = self.database.engine.url.render_as_string(hide_password=False)
        measured = set()
        for commits in range(1, 100):
            database = Stopping(url, commits)
            self.addCleanup(database.close)
            try:
                purge.purge(database, RETENTION, days_after(3661))
                break
            except Stopped:
                found = self.balances()
                measured.add(found[0]['measured_uj'])
                self.assertEqual({'0'}, {sheet['difference_uj']
                                         for sheet in found})
        self.assertGreater(len(measured), 3)
        self.assertEqual('0', self.balances()[0]['measured_uj'])
        self.assertEqual('0', self.balances()[0]['projects_uj'])

    def test_rows_by_instance_do_not_outlive_what_was_measured(self) -> None:
        self.random_ledger()
        purge.purge(self.database, purge.Retention(400, 100, 62),
                    days_after(101))
        self.assertEqual({'0'}, {sheet['difference_uj']
                                 for sheet in self.balances()})

    def test_a_lagging_replica_does_not_decide_what_goes(self) -> None:
        mine = self.ledger.instance('i1', 'p1', user='u1')
        self.ledger.book(mine, 'h1', FIRST, 1000)
        self.ledger.write()
        # A replica that has nothing yet.
        behind = filled.sqlite(self)
        database = engine.Database(
            self.database.engine.url.render_as_string(hide_password=False),
            behind.engine.url.render_as_string(hide_password=False))
        self.addCleanup(database.close)
        gone = purge.purge(database, RETENTION, days_after(4000))
        self.assertEqual((1, 1, 2), (
            gone['account_buckets'], gone['project_buckets'],
            gone['zone_buckets']))
        self.assertEqual(1, gone['user_ids'])
