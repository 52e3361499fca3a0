# SPDX-License-Identifier: Apache-2.0
"""What only a real server with many writers can show."""

from __future__ import annotations

import collections
import concurrent.futures
import functools
import pathlib
import runpy
import tempfile
import threading
import unittest
from collections.abc import Callable, Sequence
from typing import Any

import sqlalchemy as sa

from energy_accounting import (
    clocks,
    collector,
    errors,
    rpc,
    samples,
    sender,
    wire,
)
from energy_accounting import spool as spools
from energy_accounting.ledger import (
    accounts,
    bulk,
    engine,
    models,
    purge,
    quarantine,
    retired,
)
from tests.functional import base
from tests.unit import records
from tests.unit.ledger import sums

WRITERS = 8
# Of each share, so that all of a window fit on the CPUs of its host.
CPU_NS = 10 ** 9
# Its processes, and how it counts.
WRITERS_TOOL = runpy.run_path(str(pathlib.Path(__file__).parents[2]
                                  / 'tools' / 'bench' / 'writers'))
NOW_NS = records.START_NS + 30 * purge.DAY_NS


class LedgerCase(unittest.TestCase):
    __test__ = False

    def setUp(self) -> None:
        super().setUp()
        self.url = self.ledger_url()
        self.database = self.connect()

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
                            active_uj=host + guest, cpu_ns=CPU_NS)
              for guest in range(10)]
    own = [records.share(records.instance(f'guest-{host}-{guest}',
                                          f'project-{guest % 7}'),
                         cpu_ns=CPU_NS)
           for guest in range(10)]
    return [*shared, *own, records.share(records.unallocated('host'),
                                         cpu_ns=CPU_NS)]


def _emitted(windows: Sequence[samples.Window]) -> int:
    return sum(quarantine.claimed_uj(window) for window in windows)


@base.on(*base.SERVERS)
class TestManyWriters(LedgerCase):
    def test_shared_sums_lose_nothing_and_few_are_tried_again(self) -> None:
        load = WRITERS_TOOL['Load'](writers=WRITERS, hosts=2 * WRITERS,
                                    windows=6, guests=10, projects=5)
        counts = WRITERS_TOOL['together'](self.url, load)
        self.assertEqual(12 * WRITERS, counts.transactions)
        self.assert_balanced(counts.emitted_uj)
        # Out of order, every second one is.
        self.assertLess(counts.retried, counts.transactions // 20, counts)

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


class Notifier:
    """A host that measures, with a spool and the sender of every host.

    :ivar emitted_uj: what its meters saw and it has spooled.
    """

    def __init__(self, test: LedgerCase, host: str,
                 call: Callable[[Sequence[samples.Signed]], dict[str, Any]],
                 ) -> None:
        where = tempfile.TemporaryDirectory()
        test.addCleanup(where.cleanup)
        self.spool = spools.Spool.open(
            pathlib.Path(where.name) / 'spool', host, host,
            records.SIGNER.key, fsync=False)
        test.addCleanup(self.spool.close)
        self._host, self._minute = host, 0
        self.emitted_uj = 0

        def ask(sent: Sequence[samples.Signed]) -> rpc.Reply:
            answer = call(sent)
            return rpc.Reply(tuple(answer['results']), answer['expects'],
                             tuple(answer['detail']))
        self._sender = sender.Sender(
            self.spool, ask, records.SIGNER.sign, clocks.SystemClock())

    def measure(self, project_id: str, active_uj: int) -> None:
        """A minute, of which another project gets some energy."""
        start_ns = records.START_NS + self._minute * records.MINUTE_NS
        window = records.window(
            self.spool.next_sequence, [records.share(records.instance(
                f'instance of {project_id}', project_id),
                active_uj=active_uj)],
            host=self._host, machine_id=self._host,
            stream=self.spool.stream, start_ns=start_ns)
        self.spool.append(wire.payload(window), {}, window.end_ns)
        self._minute += 1
        self.emitted_uj += quarantine.claimed_uj(window)

    def send(self) -> None:
        self._sender.send_pending()


@base.on(*base.SERVERS)
class TestRestored(LedgerCase):
    """A dump by the server's own tool, loaded when more had been booked."""

    def notifiers(self, *hosts: str) -> list[Notifier]:
        return [Notifier(self, host, functools.partial(
            self.collector().book, {})) for host in hosts]

    def restore(self, backup: bytes) -> None:
        base.restore(self.url, backup)

    def energy_of_projects(self) -> dict[str, int]:
        projects = {row.id: row.project_id for row in sums.rows(
            self.database, models.projects)}
        energy_uj: dict[str, int] = collections.Counter()
        for row in sums.rows(self.database, models.project_buckets):
            energy_uj[projects[row.project_ref]] += row.active_uj
        return dict(energy_uj)

    def test_what_notifiers_keep_makes_up_for_an_older_dump(self) -> None:
        hosts = self.notifiers(*(f'host-{number}' for number in range(3)))
        backup = b''
        for minute in range(40):
            for number, host in enumerate(hosts):
                host.measure(f'project-{(minute + number) % 5}',
                             1000 * minute + number)
                # Each at its own pace, so that they stand at different
                # numbers in the dump and when the database is lost.
                if minute % (number + 2) == 0:
                    host.send()
            if minute == 17:
                backup = base.dump(self.url)
        before = self.energy_of_projects()
        self.restore(backup)
        self.assertNotEqual(before, self.energy_of_projects())
        for host in hosts:
            host.measure('project-0', 1)
            host.send()
        self.assert_balanced(sum(host.emitted_uj for host in hosts))
        self.assertEqual([], sums.rows(self.database, models.quarantine))
        self.assertEqual([], sums.rows(self.database, models.gaps))
        for row in sums.rows(self.database, models.streams):
            self.assertEqual(41, row.sequence)

    def test_a_number_given_anew_moves_no_joule_to_another_tenant(
            self) -> None:
        one, other = self.notifiers('host-1', 'host-2')
        one.measure('anna', 600)
        one.send()
        backup = base.dump(self.url)
        one.measure('bert', 700)
        one.send()
        self.restore(backup)
        other.measure('carl', 800)
        other.send()
        one.measure('dora', 900)
        one.send()
        self.assertEqual(
            {'anna': 600, 'bert': 700, 'carl': 800, 'dora': 900},
            self.energy_of_projects())


@base.on(*base.SERVERS)
class TestBrokenTransactions(LedgerCase):
    def test_a_connection_killed_before_the_commit_books_nothing(
            self) -> None:
        victim = self.connect()
        broken = collector.Collector(victim, None, lambda: NOW_NS)
        sent = records.payloads(records.window(1, _shares(1)))

        @sa.event.listens_for(victim.engine, 'commit')
        def kill(connection: sa.Connection) -> None:
            driver = connection.connection.dbapi_connection
            with self.database.writer() as other:
                if self.database_name == base.MARIADB:
                    other.exec_driver_sql(f'KILL {driver.thread_id()}')
                else:
                    other.exec_driver_sql(
                        'SELECT pg_terminate_backend('
                        f'{driver.info.backend_pid}, 30000)')

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

    def test_a_value_that_does_not_fit_is_an_invalid_record(self) -> None:
        most = (1 << 63) - 1
        row = (1, 1, 'zone', most)
        self.database.write(bulk.upsert, models.zone_buckets, [row],
                            add=('energy_uj',))
        for job in (
                functools.partial(bulk.upsert, table=models.zone_buckets,
                                  rows=[row], add=('energy_uj',)),
                functools.partial(bulk.insert_missing, table=models.sites,
                                  rows=[{'name': 256 * 'x'}])):
            with self.subTest(job=job.func.__name__):
                self.assertRaises(errors.InvalidRecord, self.database.write,
                                  job)
        self.assertEqual(most, sums.sums(self.database).zones)

    def test_a_record_beyond_what_a_server_takes_blocks_its_stream(
            self) -> None:
        # Twice as long as SQL: the longest a server is asked to take, and
        # one that is longer than its packets (16 MiB by default).
        room = wire.MAX_BYTES - wire.size(
            wire.payload(records.window(2, alarm=''))) - 1
        answer = self.collector().book({}, records.payloads(
            records.window(1), records.window(2, alarm='"' * (room // 2)),
            records.window(3, alarm='"' * (10 << 20)), records.window(4)))
        self.assertEqual(
            ['booked', 'quarantined', 'quarantined', 'booked'],
            answer['results'])
        longest, larger = sums.rows(self.database, models.quarantine)
        self.assertEqual(('schema', 'too_large'),
                         (longest.code, larger.code))
        self.assertIn(len(longest.payload),
                      range(wire.MAX_BYTES - 2, wire.MAX_BYTES))
        self.assertEqual(wire.MAX_BYTES, len(larger.payload))

    def test_a_text_no_database_takes_is_held(self) -> None:
        odd = 'no\0name \ud800'
        window = records.window(1, [records.share(records.instance(
            project_id=odd))], idle_kind=odd, policy=odd)
        answer = self.collector().book({}, records.payloads(window))
        self.assertEqual(['quarantined'], answer['results'])
        (row,) = sums.rows(self.database, models.quarantine)
        self.assertIn('no\\u0000name', row.payload)
        self.assertEqual(_emitted([window]), row.energy_uj)


@base.on(base.POSTGRES)
class TestSerialization(LedgerCase):
    def test_what_cannot_be_put_in_a_row_is_tried_again(self) -> None:
        table, tries = models.projects, []
        change = (sa.update(table).where(table.c.id == models.NO_PROJECT)
                  .values(project_id=''))

        def work(connection: sa.Connection) -> None:
            engine.snapshot(connection)
            connection.execute(sa.select(table)).all()
            tries.append(None)
            if len(tries) == 1:
                with self.database.writer() as other:
                    other.execute(change)
            connection.execute(change)
        self.database.write(work)
        self.assertEqual(2, len(tries))


@base.on(*base.EVERY)
class TestWhatIsSeen(LedgerCase):
    def projects(self, connection: sa.Connection) -> int:
        return len(connection.execute(sa.select(models.projects)).all())

    def test_a_snapshot_is_of_one_moment(self) -> None:
        with self.database.reader() as connection:
            engine.snapshot(connection)
            self.assertEqual(1, self.projects(connection))
            self.database.write(accounts.project_refs, {'new'})
            self.assertEqual(1, self.projects(connection))

    def test_after_a_snapshot_all_that_is_committed_is_seen_again(
            self) -> None:
        if self.database_name == base.SQLITE:
            return
        with self.database.reader() as connection:
            engine.snapshot(connection)
            self.assertEqual(1, self.projects(connection))
        # The pool hands out the same connection.
        with self.database.reader() as connection:
            self.assertEqual(1, self.projects(connection))
            self.database.write(accounts.project_refs, {'new'})
            self.assertEqual(2, self.projects(connection))

    def test_names_are_told_apart_byte_by_byte(self) -> None:
        # Case, accents, two ways to write one letter, width, sharp s.
        names = {'a', 'A', 'ä', 'a\u0308', 'á', 'Ａ', 'ß', 'ss', 'a-b', 'ab'}
        refs = self.database.write(accounts.project_refs, names)
        self.assertEqual(names, refs.keys())
        self.assertEqual(len(names), len(set(refs.values())))

    def test_names_are_sorted_byte_by_byte(self) -> None:
        names = ['Zug', 'a-b', 'aB', 'a_c', 'ab', 'z', 'Äther', '\U0001f600']
        self.database.write(accounts.project_refs, names)
        table = models.projects
        with self.database.reader() as connection:
            found = list(connection.scalars(
                sa.select(table.c.project_id)
                .where(table.c.project_id.in_(names))
                .order_by(table.c.project_id)))
            above = list(connection.scalars(
                sa.select(table.c.project_id)
                .where(table.c.project_id > 'aB')
                .order_by(table.c.project_id)))
        self.assertEqual(names, found)
        self.assertEqual(names[3:], above)
