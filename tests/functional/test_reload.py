# SPDX-License-Identifier: Apache-2.0
"""Processes that are told to read their configuration anew."""

from __future__ import annotations

import pathlib
import random
import signal
import subprocess
import sys
import tempfile
import time
import unittest

from tests.chaos import trees

BIN = pathlib.Path(sys.executable).parent


class ReloadCase(unittest.TestCase):

    def setUp(self) -> None:
        super().setUp()
        where = tempfile.TemporaryDirectory()
        self.addCleanup(where.cleanup)
        self.root = pathlib.Path(where.name)
        self.conf = self.root / 'test.conf'
        self.log = self.root / 'log'

    def start(self, name: str) -> None:
        with self.log.open('w') as log:
            self.process = subprocess.Popen(
                [str(BIN / f'energy-accounting-{name}'), '--config-file',
                 str(self.conf)], stderr=log, stdout=log)
        self.addCleanup(self.process.wait)
        self.addCleanup(self.process.kill)

    def await_line(self, words: str, times: int = 1) -> None:
        deadline = time.monotonic() + 60
        while self.log.read_text().count(words) < times:
            self.assertIsNone(self.process.poll(), self.log.read_text())
            self.assertLess(time.monotonic(), deadline,
                            self.log.read_text())
            time.sleep(0.05)


class NotifierTest(ReloadCase):

    def configure(self, tick_seconds: int) -> None:
        self.conf.write_text('\n'.join([
            '[DEFAULT]', 'host = compute-1',
            f'state_path = {self.root / "state"}',
            # Nobody is there: it spools.
            'transport_url = rabbit://x:y@127.0.0.1:1/energy',
            '[notifier]', 'guests = procfs',
            f'tick_seconds = {tick_seconds}', *(
                f'{option} = {value}' for option, value
                in self.tree.files.options().items()), '']))

    def test_it_stops_or_goes_on_with_half_a_configuration(self) -> None:
        self.tree = trees.Tree(self.root / 'host', random.Random(7))
        self.configure(5)
        self.start('notifier')
        self.await_line('notifier of host compute-1')
        stream = self.log.read_text().partition('stream ')[2].split()[0]
        self.configure(61)
        self.process.send_signal(signal.SIGHUP)
        self.await_line('the old one counts')
        self.assertIn('tick_seconds', self.log.read_text())
        self.configure(2)
        self.process.send_signal(signal.SIGHUP)
        # The same process, the same stream.
        self.await_line(f'notifier of host compute-1, stream {stream}', 2)
        self.process.send_signal(signal.SIGTERM)
        self.assertEqual(0, self.process.wait(30))


class CollectorTest(ReloadCase):

    def configure(self, *collector: str) -> None:
        self.conf.write_text('\n'.join([
            '[DEFAULT]', 'host = controller', 'transport_url = fake://',
            f'debug = {"workers = 2" in collector}',
            f'state_path = {self.root}',
            '[database]', f'connection = sqlite:///{self.root}/ledger',
            '[collector]', *collector, '']))

    def test_it_stops_booking_with_half_a_configuration(self) -> None:
        self.configure('workers = 1')
        subprocess.run([str(BIN / 'energy-accounting-manage'),
                        '--config-file', str(self.conf), 'db', 'sync'],
                       check=True)
        self.start('collector')
        self.await_line('collector worker 0 listens')
        self.configure('workers = 1', 'enrolment = banana')
        self.process.send_signal(signal.SIGHUP)
        # With what was right before.
        self.await_line('the old one counts')
        self.await_line('collector worker 0 listens', 2)
        self.assertIn('enrolment', self.log.read_text())
        self.configure('workers = 2')
        self.process.send_signal(signal.SIGHUP)
        self.await_line('collector worker 0 listens', 3)
        self.await_line('collector worker 1 listens')
        self.assertIn(' DEBUG ', self.log.read_text())
        self.process.send_signal(signal.SIGTERM)
        self.assertEqual(0, self.process.wait(30), self.log.read_text())
        self.assertNotIn('Traceback', self.log.read_text())
