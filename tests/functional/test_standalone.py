# SPDX-License-Identifier: Apache-2.0
"""The standalone process as a shell runs it: starts, serves, stops."""

import contextlib
import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request

import sqlalchemy as sa
import testtools

from energy_accounting import standalone
from energy_accounting.ledger import engine, models

PROGRAM = [sys.executable, '-c',
           'import sys; from energy_accounting import cmd; '
           'sys.exit(cmd.standalone())']


def free_port():
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        return probe.getsockname()[1]


class Process:
    """The program, as a shell would run it."""

    def __init__(self, test, *arguments):
        self.process = subprocess.Popen(
            [*PROGRAM, *arguments], stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True,
            env={**os.environ, 'PYTHONUNBUFFERED': '1'})
        test.addCleanup(self.process.stdout.close)
        test.addCleanup(self.process.stderr.close)
        test.addCleanup(self.process.wait)
        test.addCleanup(self.process.kill)

    def serving(self):
        """The line that says that it serves."""
        for line in self.process.stdout:
            if 'serving' in line:
                return line
        raise AssertionError(self.process.stderr.read())

    def end(self):
        """(exit status, stdout, stderr)"""
        out, err = self.process.communicate(timeout=60)
        return self.process.returncode, out, err


class TestProcess(testtools.TestCase):

    def setUp(self):
        super().setUp()
        self.base = pathlib.Path(
            self.enterContext(tempfile.TemporaryDirectory()))
        self.port = free_port()

    def start(self, *arguments, port=None):
        return Process(self, '--state-path', str(self.base / 'state'),
                       '--port', str(port or self.port), *arguments)

    def get(self, path):
        with urllib.request.urlopen(
                f'http://127.0.0.1:{self.port}{path}', timeout=30) as answer:
            return json.load(answer)

    def machine(self):
        """A configuration file for a fake machine; its energy counter."""
        zone = self.base / 'sys/class/powercap/intel-rapl:0'
        zone.mkdir(parents=True)
        for name, value in (('name', 'package-0'),
                            ('max_energy_range_uj', '262143328850'),
                            ('energy_uj', '1000')):
            (zone / name).write_text(f'{value}\n')
        config = self.base / 'standalone.conf'
        config.write_text(
            '[DEFAULT]\nhost = fake\n[notifier]\nguests = procfs\n'
            'tick_seconds = 1\nwindow_seconds = 10\n'
            f'sysfs_path = {self.base}/sys\n')
        return config, zone / 'energy_uj'

    def refused(self, process):
        status, _, err = process.end()
        self.assertEqual(1, status)
        lines = [line for line in err.splitlines()
                 if line.startswith('-c: ')]
        self.assertEqual(1, len(lines), err)
        self.assertNotIn('Traceback', err)
        return lines[0]

    def test_taken_port_is_one_line_that_names_the_option(self):
        with socket.socket() as other:
            other.bind(('127.0.0.1', 0))
            other.listen()
            port = other.getsockname()[1]
            line = self.refused(self.start('--example', port=port))
        self.assertIn(f'port {port}', line)
        self.assertIn('--port', line)

    def test_machine_without_rapl_is_one_line(self):
        config, _ = self.machine()
        (self.base / 'sys').rename(self.base / 'elsewhere')
        line = self.refused(self.start('--config-file', str(config)))
        self.assertIn('powercap', line)

    def test_missing_configuration_file_is_one_line(self):
        line = self.refused(self.start('--config-file', '/nowhere/at.all'))
        self.assertIn('/nowhere/at.all', line)

    def test_bad_port_is_refused(self):
        status, _, err = Process(self, '--port', '65536').end()
        self.assertEqual(2, status)
        self.assertIn('--port', err)

    def test_what_the_meters_saw_is_served_and_the_rest_at_the_stop(self):
        config, counter = self.machine()
        process = self.start('--config-file', str(config))
        line = process.serving()
        self.assertIn('without authentication', line)
        self.assertIn(f'http://127.0.0.1:{self.port}', line)
        self.assertEqual({'healthy': True, 'reasons': []},
                         self.get('/healthcheck'))
        moved = 0
        deadline = time.monotonic() + 60
        spent = threading.Event()
        while not spent.wait(0.2):
            moved += 1000
            counter.write_text(f'{1000 + moved}\n')
            if self.measured() or time.monotonic() > deadline:
                break
        self.assertGreater(self.measured(), 0)
        moved += 777
        counter.write_text(f'{1000 + moved}\n')
        process.process.send_signal(signal.SIGTERM)
        status, _, err = process.end()
        self.assertEqual(0, status, err)
        database = engine.Database(
            f'sqlite:///{self.base}/state/energy-accounting.sqlite')
        self.addCleanup(database.close)
        booked = database.read(standalone.booked)
        self.assertEqual(booked.measured_uj, booked.accounts_uj)
        # The first reading may have come before or after the first step.
        self.assertIn(moved - booked.measured_uj['fake'],
                      range(0, 60_000, 1000))

    def measured(self):
        with contextlib.closing(sa.create_engine(
                f'sqlite:///{self.base}/state/energy-accounting.sqlite')
                .connect()) as connection:
            return connection.scalar(sa.select(sa.func.coalesce(sa.func.sum(
                models.zone_buckets.c.energy_uj), 0)))

    def test_second_process_with_the_same_state_is_refused(self):
        config, _ = self.machine()
        self.start('--config-file', str(config)).serving()
        line = self.refused(self.start('--config-file', str(config),
                                       port=free_port()))
        self.assertIn('state', line)

    def test_interrupt_in_the_middle_of_the_example_is_a_clean_end(self):
        self.ended_in_the_middle(signal.SIGINT)

    def test_closed_terminal_is_a_clean_end(self):
        self.ended_in_the_middle(signal.SIGHUP)

    def ended_in_the_middle(self, number):
        process = self.start('--example')
        deadline = time.monotonic() + 60
        tick = threading.Event()
        spools = self.base / 'state/example/compute-01/spool'
        while not spools.exists() and time.monotonic() < deadline:
            tick.wait(0.05)
        process.process.send_signal(number)
        status, out, err = process.end()
        self.assertEqual((0, ''), (status, out), err)
        self.assertNotIn('Traceback', err)
