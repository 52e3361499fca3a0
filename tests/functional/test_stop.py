# SPDX-License-Identifier: Apache-2.0
"""A collector that is told to stop, whatever has become of the rest."""

from __future__ import annotations

import os
import pathlib
import signal
import subprocess
import time
import unittest
import urllib.parse

from tests import servers
from tests.chaos import processes, proxy
from tests.functional import base

# Below what systemd and Kubernetes allow (TimeoutStopSec=30).
_STOP_SECONDS = 25
_START_SECONDS = 90


class StopTest(unittest.TestCase):

    def setUp(self) -> None:
        super().setUp()
        broker = urllib.parse.urlsplit(base.rabbit_url(self))
        assert broker.port
        self.wire = proxy.Proxy('broker', broker.port)
        self.addCleanup(self.wire.refuse)
        url = broker._replace(netloc=broker.netloc.replace(
            f':{broker.port}', f':{self.wire.port}')).geturl()
        self.where = self.enterContext(servers.directory())
        (self.where / 'state').mkdir()
        conf = self.where / 'collector.conf'
        conf.write_text(f"""
[DEFAULT]
host = c1
state_path = {self.where}/state
transport_url = {url}
[database]
connection = sqlite:///{self.where}/ledger.db
[collector]
workers = 2
""")
        command = [processes.command('energy-accounting-collector'),
                   '--config-file', str(conf)]
        subprocess.run([processes.command('energy-accounting-manage'),
                        *command[1:], 'db', 'sync'], check=True)
        self.log = self.where / 'log'
        with self.log.open('w') as log:
            self.process = subprocess.Popen(
                command, stdout=log, stderr=log, start_new_session=True)
        self.addCleanup(self.end)
        self.until(lambda: self.said('listens') == 2)

    def end(self) -> None:
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait()

    def said(self, words: str) -> int:
        return self.log.read_text().count(words)

    def until(self, happened) -> None:
        deadline = time.monotonic() + _START_SECONDS
        while not happened():
            self.assertIsNone(self.process.poll(), self.log.read_text())
            self.assertLess(time.monotonic(), deadline, self.log.read_text())
            time.sleep(0.05)

    def test_a_collector_outlives_its_broker_for_ever(self) -> None:
        workers = processes.children(self.process.pid)
        alive = [self.where / 'state' / f'collector-{number}.alive'
                 for number in (0, 1)]
        self.until(lambda: all(path.exists() for path in alive))
        self.wire.refuse()
        self.until(lambda: self.said('is unreachable') >= 2)
        # What waits for the broker does not say that it lives.
        os.kill(workers[1], signal.SIGKILL)
        self.until(lambda: not alive[1].exists())
        self.assertTrue(alive[0].exists())
        # One is told before it listens, or cannot listen any more.
        os.kill(workers[0], signal.SIGSTOP)
        self.process.send_signal(signal.SIGTERM)
        self.assertEqual(0, self.process.wait(_STOP_SECONDS))
        for worker in workers:
            self.assertFalse(pathlib.Path(f'/proc/{worker}').exists())
        self.assertEqual(1, self.said('it is killed'))
