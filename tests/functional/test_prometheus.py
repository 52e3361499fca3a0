# SPDX-License-Identifier: Apache-2.0
"""Readings from a real Prometheus, whose series are written beforehand."""

from __future__ import annotations

import contextlib
import io
import json
import os
import pathlib
import shutil
import socket
import subprocess
import tempfile
import time
import unittest
import urllib.request
from unittest import mock

from energy_accounting import manage, units
from energy_accounting.facility import meter_amounts, meters, readings
from energy_accounting.ledger import audit, sites
from tests.unit import records

STEP = 300
# Whole steps in the past, whenever this runs.
END = int(time.time()) // STEP * STEP - 3600
START = END - 24 * 3600
COUNTER = {'medium': 'electricity', 'role': 'it_pdu_out', 'unit': 'kWh',
           'kind': 'cumulative', 'source': 'prometheus'}
BY = audit.By(audit.Actor('an operator'), 1)


def program(test: unittest.TestCase, name: str) -> str:
    """A program of Debian's package, or no test where it may lack."""
    found = shutil.which(name)
    if found is None:
        reason = f'{name} is not installed: run tools/run-tests'
        if os.environ.get('CI') or os.environ.get('EA_TEST_REQUIRE'):
            test.fail(reason)
        test.skipTest(reason)
    return found


def exposed() -> str:
    """Two series a minute apart: a hole, a fall, a value that is none."""
    lines = ['# TYPE pdu_kwh counter']
    for number, at in enumerate(range(START, END + 1, 60)):
        if START + 6 * 3600 < at < START + 8 * 3600:
            continue
        value = number / 10 if at < START + 12 * 3600 else (
            number - 720) / 10
        lines.append(f'pdu_kwh_total{{rack="7"}} {value} {at}')
    lines += ['# TYPE pdu_watts gauge']
    for at in range(START, END + 1, 60):
        value = 'NaN' if START + 3600 <= at < START + 5400 else '1500.5'
        lines.append(f'pdu_watts{{rack="7"}} {value} {at}')
        lines.append(f'pdu_watts{{rack="8"}} 1 {at}')
    return '\n'.join([*lines, '# EOF', ''])


class PrometheusTest(unittest.TestCase):

    url: str

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        server, tool = (program(cls('setUp'), name)
                        for name in ('prometheus', 'promtool'))
        path = pathlib.Path(cls.enterClassContext(
            tempfile.TemporaryDirectory()))
        (path / 'series').write_text(exposed())
        (path / 'conf').write_text('global: {}\n')
        subprocess.run(
            [tool, 'tsdb', 'create-blocks-from', 'openmetrics',
             str(path / 'series'), str(path / 'data')], check=True,
            capture_output=True)
        with socket.create_server(('127.0.0.1', 0)) as held:
            port = held.getsockname()[1]
        log = cls.enterClassContext((path / 'log').open('wb'))
        process = subprocess.Popen(
            [server, f'--config.file={path / "conf"}',
             f'--storage.tsdb.path={path / "data"}',
             '--storage.tsdb.retention.time=10y',
             f'--web.listen-address=127.0.0.1:{port}'],
            stdout=log, stderr=log)
        cls.addClassCleanup(process.wait)
        cls.addClassCleanup(process.terminate)
        cls.url = f'http://127.0.0.1:{port}'
        deadline = time.monotonic() + 60
        while True:
            with contextlib.suppress(OSError), urllib.request.urlopen(
                    f'{cls.url}/-/ready', timeout=5) as answer:
                if answer.status == 200:
                    break
            if time.monotonic() > deadline or process.poll() is not None:
                raise AssertionError((path / 'log').read_text())
            time.sleep(0.05)

    def setUp(self) -> None:
        super().setUp()
        self.enterContext(mock.patch.dict('os.environ', {'NO_PROXY': '*'}))
        where = tempfile.TemporaryDirectory()
        self.addCleanup(where.cleanup)
        self.path = pathlib.Path(where.name)
        url = f'sqlite:///{self.path}/ledger.db'
        (self.path / 'conf').write_text(
            f'[database]\nconnection = {url}\n'
            f'[prometheus]\nurl = {self.url}\nstep_seconds = {STEP}\n')
        self.database = records.database(url)
        self.addCleanup(self.database.close)
        self.database.write(sites.create, BY, 'berlin', {})

    def make(self, name: str, query: str, **more: str) -> None:
        self.database.write(
            meters.create, BY, name, 'berlin',
            {**COUNTER, 'source_ref': query,
             'installed_ns': START * units.NS_PER_S, **more})

    def fetch(self, code: int = 0) -> str:
        with contextlib.redirect_stdout(io.StringIO()) as said:
            self.assertEqual(code, manage.main(
                ['--config-file', str(self.path / 'conf'), 'reading',
                 'fetch']), said.getvalue())
        return said.getvalue()

    def kept(self, name: str) -> dict[int, str]:
        with self.database.reader() as connection:
            return {one.at_ns // units.NS_PER_S: one.value
                    for one in readings.page(
                        connection, meters.found(connection, name).id)}

    def measured(self, name: str) -> readings.amounts.Measured:
        with self.database.reader() as connection:
            return meter_amounts.measured(
                connection, meters.found(connection, name), None, None,
                time.time_ns())

    def test_a_counter_is_read_otherwise_than_it_was_scraped(self) -> None:
        self.make('pdu', 'pdu_kwh_total{rack="7"}')
        self.fetch()
        kept = self.kept('pdu')
        self.assertEqual('0', kept[START])
        self.assertEqual('0.5', kept[START + STEP])
        # Prometheus gives a value for five minutes, and then says nothing.
        self.assertNotIn(START + 7 * 3600, kept)
        said = self.measured('pdu')
        (fall,) = said.questions
        self.assertEqual(START + 12 * 3600, fall.end_ns // units.NS_PER_S)
        # 0.1 kWh a minute, but for the step of the fall.
        self.assertEqual((24 * 60 - 5) * units.UJ_PER_KWH // 10, sum(
            one.amount for one in said.intervals))

    def test_what_is_no_number_is_kept(self) -> None:
        self.make('pdu', 'pdu_watts{rack="7"}', kind='gauge', unit='W')
        self.assertIn('6 values cannot be used, the first is NaN at',
                      self.fetch())
        kept = self.kept('pdu')
        self.assertEqual({'1500.5'}, set(kept.values()))
        self.assertNotIn(START + 3600, kept)
        self.assertIn(START + 5400, kept)

    def test_a_run_begins_again_from_the_start(self) -> None:
        self.make('pdu', 'pdu_watts{rack="7"}', kind='gauge', unit='W')
        self.fetch()
        before = self.kept('pdu')
        newest = max(before)
        self.assertIn(': 0 readings\n', self.fetch())
        with self.database.writer() as connection:
            table = readings.models.readings
            connection.execute(table.delete().where(
                table.c.at_ns > (newest - 20 * STEP) * units.NS_PER_S))
        self.assertIn(': 20 readings until', self.fetch())
        self.assertEqual(before, self.kept('pdu'))

    def test_one_meter_that_fails_stops_the_others(self) -> None:
        self.make('a', 'pdu_watts')
        self.make('b', 'sum(')
        self.make('c', 'nothing_at_all')
        self.make('d', 'sum(pdu_watts{rack="8"})', kind='gauge', unit='W')
        said = self.fetch(code=1)
        self.assertRegex(said, 'a: .*: FAILED: the query gives 2 series')
        self.assertRegex(said, 'b: .*: FAILED: it answers 400')
        self.assertIn('does not understand source_ref', said)
        self.assertRegex(said, 'c: .*: 0 readings\n')
        self.assertRegex(said, r'd: .*: \d{3} readings until')
        self.assertIn('4 meters, 2 failed', said)

    def test_what_is_fetched_is_an_act_of_somebody(self) -> None:
        self.make('pdu', 'pdu_kwh_total{rack="7"}')
        self.fetch()
        with self.database.reader() as connection:
            self.assertEqual([], audit.read(connection, kind='reading'))
            (meter,) = meters.read(connection, source='prometheus')
            last = readings.last(connection, meter.id)
        assert last is not None
        self.assertEqual('prometheus', last.source)

    def test_prometheus_is_another_than_is_thought(self) -> None:
        # What the tests with recorded answers rely on.
        with urllib.request.urlopen(
                f'{self.url}/api/v1/query_range?query=pdu_kwh_total'
                f'&start={START}&end={START + 600}&step=300') as answer:
            body = json.load(answer)
        self.assertEqual('matrix', body['data']['resultType'])
        self.assertEqual(
            [[START, '0'], [START + 300, '0.5'], [START + 600, '1']],
            body['data']['result'][0]['values'])
