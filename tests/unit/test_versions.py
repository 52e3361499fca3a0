# SPDX-License-Identifier: Apache-2.0
"""Notifiers and collectors of different versions: never half understood.

Through a real spool, sender, collector and ledger.
"""

from __future__ import annotations

import json
import pathlib
import tempfile
import threading
import unittest
from typing import Any
from unittest import mock

from energy_accounting import collector, errors, rpc, sender, spool, wire
from energy_accounting.ledger import audit, decisions, models
from tests.unit import records
from tests.unit.ledger import sums


class Clock:
    """Nobody waits here."""

    def wall_ns(self) -> int:
        return records.START_NS

    def boottime_ns(self) -> int:
        return 0

    def wait(self, event: threading.Event, timeout_ns: int) -> None:
        raise AssertionError('it waits')


class VersionsTest(unittest.TestCase):

    def setUp(self) -> None:
        super().setUp()
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.database = records.database()
        self.addCleanup(self.database.close)
        self.now_ns = records.START_NS + 3600 * 10 ** 9
        self.collector = collector.Collector(self.database, None,
                                             lambda: self.now_ns)
        self.spool = spool.Spool.open(pathlib.Path(folder.name), 'compute-1',
                                      'machine-1', records.SIGNER.key,
                                      fsync=False)
        self.addCleanup(self.spool.close)
        self.sender = sender.Sender(self.spool, self.call,
                                    records.SIGNER.sign, Clock())

    def call(self, sent: Any) -> rpc.Reply:
        answer = self.collector.book({}, sent)
        return rpc.Reply(tuple(answer['results']), answer['expects'],
                         tuple(answer['detail']))

    def make(self, *dropped: str, **said: Any) -> None:
        """Spool the next minute, as a notifier of another version would."""
        number = self.spool.next_sequence
        window = records.window(number, stream=self.spool.stream)
        body = json.loads(wire.payload(window)) | said
        for name in dropped:
            del body[name]
        self.spool.append(wire.to_json(body), {}, window.end_ns)

    def send(self) -> None:
        self.sender.send_pending()

    def held(self) -> list[Any]:
        return sums.rows(self.database, models.quarantine)

    def assert_booked(self, windows: int) -> None:
        """In windows of 1700 uJ."""
        found = sums.sums(self.database)
        self.assertEqual((1700 * windows,) * 3, found[:3])

    # --- an old notifier, a new collector ---

    def test_a_record_from_before_versions_is_not_read(self) -> None:
        self.make('minor', 'needs', 'window_seconds', 'max_power_uw')
        self.make()
        self.send()
        self.assert_booked(2)
        self.assertEqual([], self.held())

    def test_an_older_record_is_read_as_a_newer_one(self) -> None:
        with mock.patch.object(wire, 'MINOR', 5):
            self.make(minor=3, needs=2)
            self.send()
        self.assert_booked(1)

    # --- a new notifier, an old collector ---

    def test_a_field_that_is_not_known_keeps_a_record_out(self) -> None:
        newer = wire.MINOR + 1
        self.make(minor=newer, colour='blue')
        self.make(minor=newer, parts=[
            {**part, 'node_uj': 7, 'shares': [
                [*share, 'more'] for share in part['shares']]}
            for part in json.loads(wire.payload(records.window(2)))[
                'parts']])
        self.send()
        self.assert_booked(2)
        self.assertEqual([], self.held())

    def test_a_field_of_nobody_is_passed_over(self) -> None:
        self.make(colour='blue')
        self.make()
        self.send()
        self.assert_booked(1)
        one, = self.held()
        self.assertEqual('schema', one.code)

    def test_what_must_be_understood_is_booked_without(self) -> None:
        newer = wire.MINOR + 1
        self.make()
        self.make(minor=newer + 1, needs=newer, sign='minus')
        self.make()
        self.send()
        # The line goes on behind it,
        self.assertEqual(3, self.spool.acknowledged)
        self.assert_booked(2)
        one, = self.held()
        self.assertEqual(
            ('newer', records.START_NS + records.MINUTE_NS, 2),
            (one.code, one.start_ns, one.sequence))
        self.assertIn('upgrade the collector, then release it', one.reason)
        # nobody can release it here,
        with self.assertRaises(errors.Conflict) as caught:
            self.release(one.id)
        self.assertIn('upgrade', str(caught.exception))
        # and whoever knows that version can.
        with mock.patch.object(wire, 'MINOR', newer):
            self.assertEqual([], self.release(one.id))
        self.assert_booked(3)
        self.assertEqual([], sums.rows(self.database, models.gaps))

    def release(self, record_id: int) -> list[str]:
        return self.database.write(
            decisions.release, record_id, self.now_ns,
            audit.Actor('an operator'), 'upgraded')

    def test_another_form_is_acknowledged(self) -> None:
        major = wire.MAJOR + 1
        self.make()
        self.send()
        self.make(v=major)
        self.make(v=major)
        for _ in range(3):
            self.assertRaises(errors.Unavailable, self.send)
        self.assertEqual(1, self.spool.acknowledged)
        self.assertEqual([], self.held())
        self.assert_booked(1)
        with mock.patch.object(wire, 'MAJOR', major):
            self.send()
        self.assert_booked(3)
