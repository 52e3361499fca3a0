# SPDX-License-Identifier: Apache-2.0
"""What only a real server with many writers can show."""

from __future__ import annotations

import concurrent.futures
import functools
import threading
import unittest
from collections.abc import Callable, Sequence
from typing import Any

import sqlalchemy as sa

from energy_accounting import collector, errors, samples
from energy_accounting.ledger import (
    accounts,
    engine,
    models,
    quarantine,
    retired,
)
from tests.functional import base
from tests.unit import records
from tests.unit.ledger import sums

WRITERS = 8
NOW_NS = records.START_NS + 30 * collector.DAY_NS


class MariaDBCase(unittest.TestCase):
    def setUp(self) -> None:
        super().setUp()
        self.url = base.mysql_url(self)
        self.database = self.connect()
        engine.sync(self.database)

    def connect(self) -> engine.Database:
        database = engine.Database(self.url)
        self.addCleanup(database.close)
        return database

    def collector(self) -> collector.Collector:
        """As another process would have it: nothing is shared."""
        return collector.Collector(self.connect(), None, lambda: NOW_NS)

    def at_once(self, *jobs: Callable[[], Any]) -> list[Any]:
        """Run all together, each in its thread."""
        ready = threading.Barrier(len(jobs))

        def run(job: Callable[[], Any]) -> Any:
            ready.wait()
            return job()
        with concurrent.futures.ThreadPoolExecutor(len(jobs)) as pool:
            return list(pool.map(run, jobs))

    def assert_balanced(self, emitted_uj: int) -> None:
        found = sums.sums(self.database)
        self.assertEqual(
            sums.Sums(emitted_uj, emitted_uj, emitted_uj, 0), found)


def _shares(host: int) -> list[samples.Share]:
    """Guests of projects that all hosts share, and some of its own."""
    shared = [records.share(records.instance(f'guest-{guest}',
                                             f'project-{guest % 5}'),
                            active_uj=host + guest)
              for guest in range(10)]
    own = [records.share(records.instance(f'guest-{host}-{guest}',
                                          f'project-{guest % 7}'))
           for guest in range(10)]
    return [*shared, *own, records.share(records.unallocated('host'))]


def _emitted(windows: Sequence[samples.Window]) -> int:
    return sum(quarantine.claimed_uj(window) for window in windows)


class TestManyWriters(MariaDBCase):
    def test_shared_sums_lose_nothing(self) -> None:
        windows = {
            host: [records.window(number, _shares(host), host=f'host-{host}',
                                  machine_id=f'machine-{host}')
                   for number in range(1, 21)]
            for host in range(WRITERS)}

        def job(host: int) -> Callable[[], None]:
            mine = self.collector()

            def send() -> None:
                for start in range(0, 20, 2):
                    answer = mine.book({}, records.payloads(
                        *windows[host][start:start + 2]))
                    self.assertEqual(['booked'] * 2, answer['results'])
            return send
        self.at_once(*(job(host) for host in range(WRITERS)))
        self.assert_balanced(sum(map(_emitted, windows.values())))

    def test_retries_that_race_their_first_try_count_once(self) -> None:
        windows = [records.window(number, _shares(1))
                   for number in range(1, 11)]
        tries = [self.collector() for _ in range(WRITERS)]
        for start in range(0, 10, 5):
            sent = records.payloads(*windows[start:start + 5])
            answers = self.at_once(*(
                functools.partial(one.book, {}, sent) for one in tries))
            self.assertEqual([start + 6] * WRITERS,
                             [answer['expects'] for answer in answers])
            self.assertEqual(
                [1] * 5,
                [words.count('booked') for words in zip(
                    *(answer['results'] for answer in answers),
                    strict=True)])
        self.assert_balanced(_emitted(windows))

    def test_first_windows_of_new_projects_make_each_row_once(self) -> None:
        jobs = []
        for host in range(WRITERS):
            sent = records.payloads(records.window(
                1, [records.share(records.instance(f'guest-{guest}',
                                                   f'project-{guest}'))
                    for guest in range(host, 20)],
                host=f'host-{host}', machine_id=f'machine-{host}'))
            jobs.append(functools.partial(self.collector().book, {}, sent))
        for answer in self.at_once(*jobs):
            self.assertEqual(['booked'], answer['results'])
        self.assertEqual(20, len(sums.rows(self.database, models.accounts)))
        self.assertEqual(21, len(sums.rows(self.database, models.projects)))

    def test_two_streams_of_a_host_at_once_do_not_overlap(self) -> None:
        answers = self.at_once(*(
            functools.partial(self.collector().book, {}, records.payloads(
                records.window(1, stream=f'stream-{number}')))
            for number in range(WRITERS)))
        self.assertEqual(
            ['booked'] + ['quarantined'] * (WRITERS - 1),
            sorted(answer['results'][0] for answer in answers))
        self.assertEqual(
            sums.Sums(1700, 1700, 1700, 1700 * (WRITERS - 1)),
            sums.sums(self.database))


class TestRestored(MariaDBCase):
    def restore(self, contents: dict[str, list[Any]]) -> None:
        """As loading a dump does: tables made anew, rows as they were."""
        with self.database.writer() as connection:
            models.metadata.drop_all(connection)
            models.metadata.create_all(connection)
            for table in models.metadata.sorted_tables:
                if contents[table.name]:
                    connection.execute(sa.insert(table), [
                        row._asdict() for row in contents[table.name]])

    def test_a_number_given_anew_moves_no_joule_to_another_tenant(
            self) -> None:
        workers = [self.collector() for _ in range(2)]

        def book(worker: int, number: int, project_id: str,
                 host: str) -> None:
            answer = workers[worker].book({}, records.payloads(
                records.window(number, [records.share(records.instance(
                    f'instance of {project_id}', project_id))], host=host,
                    stream=f'stream of {host}', machine_id=host)))
            self.assertEqual(['booked'], answer['results'])
        book(0, 1, 'anna', 'host-1')
        dump = sums.contents(self.database)
        book(0, 2, 'bert', 'host-1')
        self.restore(dump)
        book(1, 1, 'carl', 'host-2')
        book(0, 2, 'bert', 'host-1')
        projects = {row.id: row.project_id for row in sums.rows(
            self.database, models.projects)}
        self.assertEqual(
            {'anna': 600, 'bert': 600, 'carl': 600},
            {projects[row.project_ref]: row.active_uj for row
             in sums.rows(self.database, models.project_buckets)})


class TestBrokenTransactions(MariaDBCase):
    def test_a_connection_killed_before_the_commit_books_nothing(
            self) -> None:
        victim = self.connect()
        broken = collector.Collector(victim, None, lambda: NOW_NS)
        sent = records.payloads(records.window(1, _shares(1)))

        @sa.event.listens_for(victim.engine, 'commit')
        def kill(connection: sa.Connection) -> None:
            number = connection.connection.dbapi_connection.thread_id()
            with self.database.writer() as other:
                other.exec_driver_sql(f'KILL {number}')

        with self.assertRaises(errors.Unavailable):
            broken.book({}, sent)
        self.assertEqual([], sums.rows(self.database, models.streams))
        sa.event.remove(victim.engine, 'commit', kill)
        self.assertEqual(['booked'], broken.book({}, sent)['results'])
        self.assert_balanced(_emitted([records.window(1, _shares(1))]))

    def test_an_answer_that_got_lost_after_the_commit_counts_once(
            self) -> None:
        sent = records.payloads(records.window(1, _shares(1)))
        self.collector().book({}, sent)
        self.assertEqual(['duplicate'],
                         self.collector().book({}, sent)['results'])
        self.assert_balanced(_emitted([records.window(1, _shares(1))]))

    def test_a_deadlock_is_tried_again(self) -> None:
        self.database.write(accounts.project_refs, {'a', 'b'})
        both = threading.Barrier(2)
        tries: list[str] = []

        def job(first: str, second: str) -> Callable[[], None]:
            database = self.connect()
            table = models.projects

            def work(connection: sa.Connection) -> None:
                tries.append(first)
                for name in (first, second):
                    connection.execute(
                        sa.update(table).where(table.c.project_id == name)
                        .values(project_id=name))
                    connection.execute(
                        sa.select(table)
                        .where(table.c.project_id == name)
                        .with_for_update()).all()
                    if name == first and len(tries) <= 2:
                        both.wait()
            return lambda: database.write(work)
        self.at_once(job('a', 'b'), job('b', 'a'))
        self.assertEqual(3, len(tries))

    def test_a_row_that_comes_while_others_are_dropped_is_kept(self) -> None:
        self.collector().book({}, records.payloads(records.window(1)))
        table = models.account_buckets
        row, *_ = sums.rows(self.database, table)
        late = [{**row._mapping, 'account_id': 77}]
        with self.database.writer() as connection:
            connection.execute(sa.insert(models.accounts).values(
                id=77, digest='77', kind=samples.INSTANCE,
                project_ref=models.NO_PROJECT))
        purging = self.connect()

        @sa.event.listens_for(purging.engine, 'before_cursor_execute')
        def come(connection: sa.Connection, cursor: Any, statement: str,
                 *more: Any) -> None:
            if late and statement.startswith('DELETE FROM account_buckets'):
                with self.database.writer() as other:
                    other.execute(sa.insert(table), late.pop())

        self.assertEqual(3, purging.write(
            retired.retire, row.host_id, row.bucket + 1))
        booked = sums.sums(self.database).zones
        mine = sum(getattr(row, term) or 0 for term in sums.TERMS)
        self.assertEqual(booked + mine, sum(
            one.energy_uj for one in sums.rows(
                self.database, models.retired_buckets)))
