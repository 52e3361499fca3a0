# SPDX-License-Identifier: Apache-2.0
"""The outbox with several at it, and with one that is killed."""

from __future__ import annotations

import dataclasses
import multiprocessing
import os
import pathlib
import signal
import tempfile
import unittest
from collections.abc import Callable
from typing import IO, Any
from unittest import mock

from energy_accounting import errors
from energy_accounting.exports import events, sending, sources, targets
from energy_accounting.ledger import audit, engine
from energy_accounting.ledger import exports as outbox
from tests.functional import base
from tests.unit.exports import made
from tests.unit.ledger import filled
from tests.unit.statements import made as closed

SECONDS = 60
_FORK = multiprocessing.get_context('fork')


def sender(database: engine.Database, directory: str,
           sleep: Callable[[float], object] = lambda seconds: None,
           ) -> sending.Sender:
    return sending.Sender(
        database, made.SETTINGS, pathlib.Path(directory),
        audit.Actor('ann'), lambda: made.LATER_NS, sleep)


def send(url: str, directory: str, together: Any, refused: Any,
         results: Any) -> None:
    """In a process of its own: plan when the other plans, then send."""
    database = engine.Database(url)
    find, met, written = outbox.find, [], []

    def found(connection: Any, export: str) -> Any:
        # Neither has planned it when the other looks.
        one = find(connection, export)
        if not met:
            met.append(together.wait(SECONDS))
        return one

    def write(file: IO[bytes], *rest: Any) -> int:
        # Whoever comes first holds on until the other was sent away.
        assert refused.wait(SECONDS)
        written.append(file.name)
        return events.CSV.write(file, *rest)

    who = sender(database, directory, lambda seconds: refused.set())
    if database.engine.dialect.name == 'sqlite':
        # Which lets one of them write at a time.
        met.append(together.wait(SECONDS))
    with mock.patch.object(outbox, 'find', found), mock.patch.object(
            targets, 'load', return_value=dataclasses.replace(
                events.CSV, write=write)):
        planned = sending.plan(who, 'csv', made.source(database), {})
        done = sending.resume(who, planned)
    results.put((len(written), planned.export, done.state, done.done))
    database.close()


def die(url: str, directory: str, export: str, half: Any) -> None:
    """Begin to send, and be there no more."""
    database = engine.Database(url)

    def write(file: IO[bytes], *rest: Any) -> int:
        file.write(b'half of ')
        file.flush()
        half.set()
        signal.pause()
        return 0

    with mock.patch.object(targets, 'load', return_value=dataclasses.replace(
            events.CSV, write=write)):
        sending.send(sender(database, directory),
                     database.read_current(outbox.find, export))


@base.on(*base.EVERY)
class TestOutbox(unittest.TestCase):

    ledger_url: Callable[[], str]

    def setUp(self) -> None:
        super().setUp()
        self.url = self.ledger_url()
        self.database = engine.Database(self.url)
        self.addCleanup(self.database.close)
        where = tempfile.TemporaryDirectory()
        self.addCleanup(where.cleanup)
        self.directory = where.name
        ledger = filled.Filled(self.database)
        ledger.host('compute-1', last_window_end_ns=closed.OCTOBER.end_ns)
        for day in (1, 2, 31):
            ledger.book(ledger.instance('web', 'p1', '\N{SUN WITH FACE}'),
                        'compute-1', closed.bucket(day), closed.KWH + day)
        ledger.write()
        for project in ('p1', ''):
            closed.close(self.database, project)

    def spawn(self, program: Callable[..., None], *words: Any) -> Any:
        process = _FORK.Process(target=program, args=words)
        process.start()
        self.addCleanup(process.kill)
        return process

    def names(self) -> list[str]:
        return sorted(os.listdir(self.directory))

    def plan(self) -> outbox.Export:
        return sending.plan(
            sender(self.database, self.directory), 'csv',
            made.source(self.database), {})

    def test_two_at_once_send_it_twice(self) -> None:
        # What is open here is nobody else's.
        self.database.engine.dispose()
        together, results = _FORK.Barrier(2), _FORK.Queue()
        refused = _FORK.Event()
        processes = [self.spawn(send, self.url, self.directory, together,
                                refused, results) for _ in range(2)]
        found = sorted(results.get(timeout=SECONDS) for _ in processes)
        for process in processes:
            process.join(SECONDS)
            self.assertEqual(0, process.exitcode)
        self.assertEqual([0, 1], [written for written, *_ in found])
        self.assertEqual(found[0][1:], found[1][1:])
        self.assertEqual((outbox.CONFIRMED, 3), found[0][2:])
        (one,) = self.database.read(outbox.read)
        self.assertEqual((None, None), (one.holder, one.error))
        self.assertEqual(2, len(self.names()), self.names())

    def test_a_kill_in_the_middle_loses_or_doubles_it(self) -> None:
        planned = self.plan()
        self.database.engine.dispose()
        half = _FORK.Event()
        process = self.spawn(die, self.url, self.directory, planned.export,
                             half)
        self.assertTrue(half.wait(SECONDS))
        process.kill()
        process.join(SECONDS)
        self.assertEqual(-signal.SIGKILL, process.exitcode)
        (remains,) = self.names()
        self.assertTrue(remains.endswith('.tmp'))
        # It may be alive, for all that anybody knows.
        who = sender(self.database, self.directory)
        self.assertRaisesRegex(errors.Conflict, 'another process',
                               sending.send, who, planned)
        later = dataclasses.replace(
            who, clock_ns=lambda: made.LATER_NS + sending.HELD_NS)
        done = sending.send(later, planned)
        self.assertEqual((outbox.CONFIRMED, None), (done.state, done.holder))
        with tempfile.TemporaryDirectory() as other:
            whole = made.export(sender(self.database, other), 'csv')
            self.assertEqual(made.path(whole).read_bytes(),
                             made.path(done).read_bytes())
        self.assertEqual(2, len(self.names()), self.names())

    def test_who_was_too_slow_ends_what_another_sends(self) -> None:
        planned = self.plan()
        with self.database.writer() as connection:
            self.assertIsNotNone(outbox.take(
                connection, planned.export, 'slow', 0, 1))
            self.assertIsNone(outbox.take(
                connection, planned.export, 'other', 0, 2))
            self.assertIsNotNone(outbox.take(
                connection, planned.export, 'other', 1, 2))
            # The same once more is no reason to take it for lost.
            for _ in range(2):
                outbox.advance(connection, planned.export, 'other', 0, 2)
            self.assertRaises(outbox.Lost, outbox.mark, connection,
                              planned.export, 'slow', outbox.SENT, 3)
            outbox.release(connection, planned.export, 'slow')
            self.assertEqual('other', outbox.find(
                connection, planned.export).holder)

    def test_two_exports_to_one_service_are_held_at_once(self) -> None:
        one = self.plan()
        with self.database.writer() as connection:
            values = {name: getattr(one, name) for name in (
                'target', 'options', 'destination', 'period', 'time_zone',
                'project_id', 'total')}
            other, _ = outbox.plan(connection, {
                **values, 'export': 'another', 'digest': 'd' * 64},
                audit.Actor('ann'), 1)
        for alone, held in ((False, True), (True, False)):
            with self.database.writer() as connection:
                self.assertIsNotNone(outbox.take(
                    connection, one.export, 'me', 0, 10, alone=alone))
                found = outbox.take(connection, other.export, 'you', 5, 15,
                                    alone=alone)
                self.assertEqual(held, found is not None)
                outbox.release(connection, other.export, 'you')
        with self.database.writer() as connection:
            self.assertIsNotNone(outbox.take(
                connection, other.export, 'you', 10, 20, alone=True))

    def test_what_is_kept_comes_back_otherwise(self) -> None:
        """All projects, one, and none; and words of any kind."""
        who = sender(self.database, self.directory)
        for project_id in (None, 'p1', ''):
            planned = sending.plan(who, 'focus', sources.find(
                self.database, closed.OCTOBER, project_id), {})
            self.assertEqual(planned, self.database.read(
                outbox.find, planned.export))
        self.assertEqual([1, 1, 3], [self.database.read(
            outbox.count, project_id=one) for one in ('p1', '', None)])
        words = '\N{SUN WITH FACE} "%s"\\ ' * 300
        with self.database.writer() as connection:
            outbox.take(connection, planned.export, 'me', 0, 1)
            outbox.mark(connection, planned.export, 'me', outbox.FAILED, 7,
                        error=words, artifacts=[{'name': words}])
        kept = self.database.read(outbox.find, planned.export)
        self.assertEqual((words[:2000], [{'name': words}], 7),
                         (kept.error, kept.artifacts, kept.changed_ns))
        self.assertTrue(self.database.write(
            outbox.retry, planned.export, audit.Actor('ann'), 8))
        self.assertFalse(self.database.write(
            outbox.retry, planned.export, audit.Actor('ann'), 9))
        self.assertEqual((outbox.PLANNED, None), (
            (again := self.database.read(outbox.find, planned.export)).state,
            again.error))
