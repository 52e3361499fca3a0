# SPDX-License-Identifier: Apache-2.0
"""Commands of factors and contracts, by the real shell and the real API."""

import datetime
import io
import json
import pathlib
import tempfile
from unittest import mock

from tests.unit.osc import real, test_streaming

HEAD = 'zone;start;end;value;basis;source\n'
YEAR = 'DE;2025-01-01T00:00:00+01:00;2026-01-01T00:00:00+01:00;{};direct;me\n'
DAY = ('--start', '2026-10-01T00:00:00Z', '--end', '2026-10-02T00:00:00Z')
GRID = ('--zone', 'DE', '--basis', 'lifecycle', '--source', 'a test')


class FactorTest(real.RealTest):

    def setUp(self):
        super().setUp()
        where = tempfile.TemporaryDirectory()
        self.addCleanup(where.cleanup)
        self.file = pathlib.Path(where.name) / 'f.csv'

    def imported(self, text, *more):
        self.file.write_text(text, encoding='utf-8-sig')
        return self.said('factor', 'import', str(self.file), *more)

    def wrong(self, text):
        self.file.write_text(text, encoding='utf-8-sig')
        return self.refused('factor', 'import', str(self.file))

    def test_a_factor_cannot_be_set_or_found(self):
        self.assertEqual(
            {'stored': 1, 'superseded': 0, 'unchanged': 0},
            self.said('factor', 'set', '363.50', *DAY, *GRID))
        self.said('factor', 'set', '1.3', *DAY, '--kind', 'pue', '--site',
                  'berlin', '--source', 'a test')
        (row,) = self.said('factor', 'list', '--zone', 'DE')
        self.assertEqual(('363.50', 'g/kWh', 'operator', None), (
            row['value'], row['unit'], row['provider'],
            row['superseded_at']))
        self.assertEqual(2, len(self.said('factor', 'list')))
        self.assertEqual(1, len(self.said('factor', 'list', '--limit', '1')))
        self.assertIn('363.50', self.energy('factor', 'list'))
        self.said('factor', 'set', '360', *DAY, *GRID)
        self.assertEqual(['363.50', '360'], [
            row['value'] for row in self.said(
                'factor', 'list', '--zone', 'DE', '--superseded')])
        (row,) = self.said('factor', 'list', '--kind', 'pue')
        self.assertIn(f'| {row["id"]} ', self.energy('factor', 'list'))
        self.energy('factor', 'delete', str(row['id']))
        self.assertEqual([], self.said('factor', 'list', '--kind', 'pue'))
        self.assertIn('there is no factor', self.refused(
            'factor', 'delete', str(row['id'])))

    def test_a_file_is_recorded_in_part(self):
        self.assertIn("line 4, value: '1.5.' is not valid", self.wrong(
            HEAD + YEAR.format(1) + '\n'
            + YEAR.replace('DE', 'FR').format('1.5.')))
        self.assertEqual([], self.said('factor', 'list'))
        self.assertEqual(
            {'stored': 1, 'superseded': 0, 'unchanged': 0},
            self.imported(HEAD + YEAR.format(363)))
        month = YEAR.replace('2026-01', '2025-07')
        self.assertIn('line 2, start: 363 g/kWh of operator',
                      self.wrong(HEAD + month.format(300)))
        self.assertEqual(1, self.imported(
            HEAD + month.format(300) + YEAR.replace(
                '2025-01', '2025-07').format(310),
            '--replace')['superseded'])

    def test_who_imports_at_a_terminal_sees_nothing(self):
        day = datetime.datetime(2020, 1, 1)
        self.file.write_text(HEAD + ''.join(
            f'DE;{day + datetime.timedelta(number):%Y-%m-%d}T00:00:00Z;'
            f'{day + datetime.timedelta(number + 1):%Y-%m-%d}T00:00:00Z;'
            '300;direct;me\n' for number in range(999)))
        words = ('--os-auth-type', 'none', '--os-endpoint', self.api.url,
                 'energy', 'factor', 'import', str(self.file), '-f', 'json')
        with mock.patch.object(io, 'StringIO', test_streaming.Terminal):
            status, out, err = self.openstack(*words)
        self.assertEqual((0, 999), (status, json.loads(out)['stored']))
        for told in ('reading [############             ]  50 %',
                     '100 %', 'sending 999 factors'):
            self.assertIn(told, err)
        self.assertTrue(err.endswith('\r\x1b[K'))
        status, out, err = self.openstack(*words)
        self.assertEqual((0, 999, ''), (
            status, json.loads(out)['unchanged'], err))

    def test_a_file_that_is_none_is_a_traceback(self):
        for text, words in ((HEAD, 'no row'), ('', 'no row'),
                            (HEAD + 'DE;1;2;3;4;5;6\n',
                             'line 2 has 7 fields'),
                            (HEAD + '"x"y;\n', 'line 2: '),
                            ('zone;start;end;value\n', 'has no source'),
                            ('zones;start;end;value;source\na;b;c;1;d\n',
                             'line 1: the header has the unknown zones')):
            self.assertIn(words, self.wrong(text))
        self.assertIn(
            '/nonexistent: it cannot be read: No such file or directory',
            self.refused('factor', 'import', '/nonexistent'))
        self.file.write_bytes(HEAD.encode() + b'\xe4')
        self.assertIn(f'{self.file}: line 2 is not UTF-8; save',
                      self.refused('factor', 'import', str(self.file)))

    def test_of_what_is_wrong_one_row_is_told(self):
        good = YEAR.format(1)
        for rows, words in (
                ((good[:-1] + ';7\n', good.replace('me', ''), good[:-4]),
                 ('line 2 has 7 fields', '; line 4 has 5 fields')),
                ((good, good.replace('me', '')),
                 ('line 3, source: must not be empty',)),
                ((good.replace(';1;', ';1,5;'), good, good.replace(
                    'direct', 'indirect')),
                 ("line 2, value: '1,5' is not valid",
                  "; line 4, basis: 'indirect' is not valid")),
                ((good.replace('2025-01-01', 'May').replace(
                    '2026-01-01', 'June'), good.replace('DE', 'de')),
                 ("line 2, start: 'MayT00", "; line 2, end: 'JuneT00",
                  "; line 3, zone: 'de' cannot be"))):
            told = self.wrong(HEAD + ''.join(rows))
            for one in words:
                self.assertIn(one, told)

    def test_a_contract_cannot_be_led_through_its_life(self):
        made = self.said(
            'contract', 'create', 'berlin', '--instrument', 'go', '--start',
            '2026-01-01T00:00:00Z', '--end', '2027-01-01T00:00:00Z',
            '--share', '0.8', '--kg-per-kwh', '0', '--basis', 'direct',
            '--evidence', 'register no. 7', '--renewable', '--retired')
        self.assertEqual(('berlin', '0.8', True), (
            made['site'], made['share'], made['retired']))
        self.assertEqual([made], self.said('contract', 'list', 'berlin'))
        self.energy('contract', 'delete', 'berlin', str(made['id']))
        self.assertEqual([], self.said('contract', 'list', 'berlin'))
        self.assertEqual(1, len(self.said('contract', 'list', 'berlin',
                                          '--superseded')))
