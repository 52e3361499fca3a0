# SPDX-License-Identifier: Apache-2.0
"""``energy-accounting-manage factor`` as a timer and an operator run it."""

from __future__ import annotations

import contextlib
import datetime
import io
import pathlib
import tempfile
import unittest
from typing import Any
from unittest import mock

import sqlalchemy as sa

from energy_accounting import errors, manage, units
from energy_accounting.facility import factor_store
from energy_accounting.ledger import models
from tests.unit import records
from tests.unit.facility import http

HEAD = 'zone,start,end,value,basis,source\n'
YEAR = 'DE,2024-01-01T00:00Z,2025-01-01T00:00Z,{},direct,a test\n'


class FactorCase(unittest.TestCase):

    def setUp(self) -> None:
        super().setUp()
        self.enterContext(mock.patch.dict('os.environ', {'NO_PROXY': '*'}))
        where = tempfile.TemporaryDirectory()
        self.addCleanup(where.cleanup)
        self.path = pathlib.Path(where.name)
        self.file = self.path / 'own.csv'
        url = f'sqlite:///{self.path}/ledger.db'
        self.server = http.Server(self, self.answer)
        self.conf = self.path / 'test.conf'
        self.configure()
        self.database = records.database(url)
        self.addCleanup(self.database.close)

    def configure(self, more: str = '') -> None:
        self.conf.write_text(
            f'[database]\nconnection = sqlite:///{self.path}/ledger.db\n'
            f'[factors]\nenergy_charts_url = {self.server.url}\n'
            f'tries = 1\n{more}\n')

    def answer(self, handler: http.Handler) -> None:
        """Quarters up to now, of which the last hour is a forecast."""
        last = int(datetime.datetime.now(units.UTC).timestamp()) // 900 * 900
        times = [last - 900 * back for back in range(12, 0, -1)]
        handler.json({'unix_seconds': times, 'co2eq': [300] * 8 + [None] * 4,
                      'co2eq_forecast': [290] * 12, 'deprecated': False})

    def manage(self, *words: str, code: int = 0) -> str:
        with contextlib.redirect_stdout(io.StringIO()) as said:
            self.assertEqual(code, manage.main(
                ['--config-file', str(self.conf), 'factor', *words]),
                said.getvalue())
        return said.getvalue()

    def refused(self, *words: str) -> str:
        with self.assertRaises(errors.EnergyAccountingError) as caught:
            self.manage(*words)
        return str(caught.exception)

    def count(self, **filters: Any) -> int:
        return self.database.read(factor_store.count, **filters)


class FetchTest(FactorCase):

    def in_zone(self, zone: str) -> None:
        with self.database.writer() as connection:
            connection.execute(sa.update(models.sites).values(
                grid_zone=zone))

    def test_the_zones_of_the_sites_are_not_fetched(self) -> None:
        self.assertIn('no site has a grid zone', self.refused('fetch'))
        self.in_zone('DE')
        said = self.manage('fetch')
        self.assertIn('DE energy-charts: 12 stored (0 corrected)', said)
        self.assertIn('DE static: 4 stored', said)
        self.assertEqual(8, self.count(quality='actual', zone='DE'))
        said = self.manage('fetch')
        self.assertIn('DE energy-charts: 0 stored', said)
        self.assertIn('DE static: 0 stored (0 corrected), 4 unchanged', said)

    def test_an_option_of_the_command_is_ignored(self) -> None:
        self.configure('zones = DE')
        self.assertNotIn('energy-charts', self.manage(
            'fetch', '--provider', 'static', '--zone', 'FR'))
        self.assertEqual([], self.server.asked)
        self.manage('fetch', '--provider', 'energy-charts',
                    '--start', '2026-01-01T00:00Z',
                    '--end', '2026-01-01T06:00Z')
        self.assertIn('start=2025-12-31T23%3A00Z&end=2026-01-01T07%3A00Z',
                      self.server.asked[0][0])

    def test_an_outage_ends_with_success_or_without_a_word(self) -> None:
        self.manage('fetch', '--zone', 'DE')
        before = self.count()
        self.server = http.Server(self, lambda handler: handler.json({}, 503))
        self.configure()
        said = self.manage('fetch', '--zone', 'DE', code=1)
        self.assertIn('DE energy-charts: FAILED: energy-charts, zone DE: it '
                      'answers 503 Service Unavailable; what is recorded '
                      'stays', said)
        self.assertIn('DE static: 0 stored', said)
        self.assertEqual(before, self.count())

    def test_what_is_held_back_is_not_said(self) -> None:
        last = int(datetime.datetime.now(units.UTC).timestamp()
                   ) // 3600 * 3600 - 7200
        self.server = http.Server(self, lambda handler: handler.json({
            'unix_seconds': [last, last + 900], 'co2eq': [300000, 300],
            'co2eq_forecast': [None, None]}))
        self.configure()
        said = self.manage('fetch', '--zone', 'DE', code=1)
        self.assertIn('1 held back', said)
        self.assertIn('300000 g/kWh is more than any grid has', said)
        self.assertIn('if it is true, record it with '
                      'energy-accounting-manage factor import', said)

    def test_a_wrong_word_is_a_traceback(self) -> None:
        for words, reason in (
                (('--zone', 'de'), "'de' cannot be a grid zone"),
                (('--zone', 'DE', '--start', 'yesterday'), '--start'),
                (('--zone', 'DE', '--end', '2000-01-01T00:00Z', '--start',
                  '2001-01-01T00:00Z'), '--end: give a time after'),
                (('--zone', 'DE', '--provider', 'oracle'), 'not installed'),
                (('--zone', 'DE', '--provider', 'csv'), 'csv_file'),
                (('--zone', 'DE', '--provider', 'electricity-maps'),
                 'electricity_maps_token_file')):
            self.assertIn(reason, self.refused('fetch', *words))
        self.configure('providers =')
        self.assertIn('providers', self.refused('fetch', '--zone', 'DE'))

    def test_a_token_is_printed(self) -> None:
        token = self.path / 'token'
        token.write_text('hush-hush\n')
        token.chmod(0o600)
        self.configure(f'electricity_maps_url = {self.server.url}\n'
                       f'electricity_maps_token_file = {token}')
        said = self.manage('fetch', '--zone', 'DE', '--provider',
                           'electricity-maps', code=1)
        self.assertIn('no list data', said)
        self.assertEqual('hush-hush',
                         self.server.asked[0][1]['auth-token'])
        self.assertNotIn('hush', said)


class ImportTest(FactorCase):

    def test_a_file_is_not_recorded(self) -> None:
        self.file.write_text(HEAD + YEAR.format(363))
        self.assertEqual('1 stored, 0 superseded, 0 unchanged\n',
                         self.manage('import', str(self.file)))
        self.assertEqual('0 stored, 0 superseded, 1 unchanged\n',
                         self.manage('import', str(self.file)))
        self.file.write_text(HEAD + YEAR.format(360))
        self.assertEqual('1 stored, 1 superseded, 0 unchanged\n',
                         self.manage('import', str(self.file)))

    def test_a_dry_run_records_something(self) -> None:
        self.file.write_text(HEAD + YEAR.format(363))
        self.assertIn('1 stored', self.manage('import', '--dry-run',
                                              str(self.file)))
        self.assertEqual(0, self.count(all=True))

    def test_half_a_file_is_recorded(self) -> None:
        self.file.write_text(HEAD + YEAR.format(363)
                             + YEAR.replace('DE', 'de').format(363))
        self.assertIn(f'{self.file} line 3, zone', self.refused(
            'import', str(self.file)))
        self.file.write_text(HEAD + YEAR.format(363))
        self.manage('import', str(self.file))
        part = YEAR.replace('2025-01', '2024-06').format(300)
        self.file.write_text(HEAD + YEAR.replace('DE', 'FR').format(50)
                             + part)
        self.assertIn(f'{self.file} line 3, start: 363 g/kWh of operator is '
                      'recorded', self.refused('import', str(self.file)))
        self.assertEqual(1, self.count(all=True))

    def test_a_value_is_replaced_by_a_hole(self) -> None:
        self.file.write_text(HEAD + YEAR.format(363))
        self.manage('import', str(self.file))
        halves = ''.join(YEAR.replace('2024-01', start).replace(
            '2025-01', end).format(value) for start, end, value in (
                ('2024-01', '2024-07', 380), ('2024-07', '2025-01', 340)))
        self.file.write_text(HEAD + halves)
        self.assertIn('replace it', self.refused('import', str(self.file)))
        self.assertEqual('2 stored, 1 superseded, 0 unchanged\n',
                         self.manage('import', '--replace', str(self.file)))

    def test_a_file_that_cannot_be_read_is_a_traceback(self) -> None:
        self.assertIn('No such file', self.refused(
            'import', str(self.path / 'none')))
        self.file.write_bytes(b'\xff')
        self.assertIn('not UTF-8', self.refused('import', str(self.file)))
        self.assertIn('cannot be read: Is a directory', self.refused(
            'import', str(self.path)))
