# SPDX-License-Identifier: Apache-2.0
"""Commands of statements and tariffs, by the real shell and API."""

import datetime
import hashlib
import io
import os
import pathlib
import tempfile
from unittest import mock

from energy_accounting import client, units
from energy_accounting.client import errors
from energy_accounting.osc import common
from tests.unit.osc import real, test_streaming

TARIFF = ('tariff', 'create', 'power', '--start', '2026-01-01T00:00:00Z',
          '--currency', 'EUR', '--quantity', 'it', '--price-per-kwh', '0.25',
          '--legal-basis', 'contract 7')


class StatementTest(real.RealTest):

    def setUp(self):
        super().setUp()
        where = tempfile.TemporaryDirectory()
        self.addCleanup(where.cleanup)
        self.addCleanup(os.chdir, os.getcwd())
        os.chdir(where.name)
        self.where = pathlib.Path(where.name)

    def test_a_month_is_not_closed_listed_shown_or_saved(self):
        (one,) = self.said('statement', 'create', '--month', '2026-11',
                           '--project', 'p1')
        self.assertEqual(('created', 'provisional'),
                         (one['outcome'], one['state']))
        (again,) = self.said('statement', 'create', '--month', '2026-11',
                             '--project', 'p1')
        self.assertEqual('unchanged', again['outcome'])
        (row,) = self.said('statement', 'list')
        self.assertEqual(one['digest'], row['digest'])
        shown = self.said('statement', 'show', row['id'])
        self.assertEqual('6.500000000000000', shown['it_kwh'])
        lines = self.said('statement', 'line', 'list', row['id'])
        self.assertEqual({'web', 'db'},
                         {line['instance_id'] for line in lines})
        self.assertIn('2026-11-01', self.energy(
            'statement', 'line', 'list', row['id']))
        self.assertIn('none before it', self.refused(
            'statement', 'difference', 'list', row['id']))

    def test_who_closes_at_a_terminal_sees_nothing(self):
        words = ('--os-auth-type', 'none', '--os-endpoint', self.api.url,
                 'energy', 'statement', 'create', '--month', '2026-11',
                 '--project', 'p1', '--project', 'p2', '-f', 'json')
        with mock.patch.object(io, 'StringIO', test_streaming.Terminal):
            status, _out, err = self.openstack(*words)
        self.assertEqual(0, status)
        self.assertIn('closing [############             ]  50 %', err)
        self.assertTrue(err.endswith('\r\x1b[K'))

    def test_a_month_is_closed_for_a_year_or_cannot_be_said(self):
        for noun in (('statement', 'create', '--project', 'p1'),
                     ('export', 'create', 'csv', '--project', 'p1')):
            for option, text in (('--year', '2026-10'), ('--month', '2026'),
                                 ('--year', 'last-month'),
                                 ('--month', 'today')):
                self.assertIn(f'{option}: {text!r} is not a ', self.refused(
                    *noun, option, text))
        self.assertEqual([], self.said('statement', 'list'))
        # 23:30 of October in UTC.
        first = datetime.datetime(2026, 10, 31, 23, 30, tzinfo=units.UTC)
        with mock.patch.object(common, 'now', lambda: first):
            for zone, month in (('UTC', '2026-09'),
                                ('Europe/Berlin', '2026-10')):
                (one,) = self.said('statement', 'create', '--month',
                                   'last-month', '--timezone', zone,
                                   '--project', 'p1')
                self.assertEqual(month, one['period'])
                for noun in ('statement', 'export'):
                    self.assertEqual(noun == 'statement', bool(self.said(
                        noun, 'list', '--period', 'last-month',
                        '--timezone', zone)))

    def test_two_revisions_are_saved_in_one_file(self):
        (one,) = self.said('statement', 'create', '--month', '2026-11',
                           '--project', 'p1')
        self.assertEqual(f'energy-{one["id"]}-0.csv', self.energy(
            'statement', 'save', one['id'], '--format', 'csv',
            '--revision', '0').strip())

    def test_a_document_is_not_saved_or_saved_over_another(self):
        (one,) = self.said('statement', 'create', '--month', '2026-11',
                           '--all-projects')[1:2]
        for form, begins in (('csv', b'statement_id'), ('json', b'{"'),
                             ('html', b'<!DOCTYPE')):
            name = self.energy('statement', 'save', one['id'], '--format',
                               form).strip()
            self.assertEqual(f'energy-{one["id"]}.{form}', name)
            self.assertTrue((self.where / name).read_bytes().startswith(
                begins))
        self.assertIn('there already', self.refused(
            'statement', 'save', one['id'], '--format', 'csv'))
        self.energy('statement', 'save', one['id'], '--file', 'x.html',
                    '--language', 'de')
        self.assertIn('Energienachweis', (self.where / 'x.html').read_text())
        self.energy('statement', 'save', one['id'], '--file', 'x.html',
                    '--force')
        self.assertIn('Energy statement',
                      (self.where / 'x.html').read_text())
        self.assertIn('cannot be written', self.refused(
            'statement', 'save', one['id'], '--file', 'no/where.csv'))

    def test_half_a_document_or_another_one_is_kept(self):
        (one,) = self.said('statement', 'create', '--month', '2026-11',
                           '--project', 'p1')
        words = ('statement', 'save', one['id'], '--file', 'x.json')
        self.energy(*words)
        before = (self.where / 'x.json').read_bytes()
        self.assertEqual(one['digest'], hashlib.sha256(before).hexdigest())

        def broken(*_words, **_more):
            yield before[:9]
            raise errors.Unavailable('the answer broke off')

        for pieces, said in (
                (broken, 'broke off'),
                (lambda *_words, **_more: iter([before, b' ']),
                 'is not what was published')):
            with mock.patch.object(client.Client, 'statement_file', pieces):
                self.assertIn(said, self.refused(*words, '--force'))
            self.assertEqual(before, (self.where / 'x.json').read_bytes())
        self.assertEqual(['x.json'], [path.name for path
                                      in self.where.iterdir()])
        self.assertIn('is no file', self.refused(
            'statement', 'save', one['id'], '--file', '/dev/null',
            '--force'))

    def test_a_tariff_is_not_recorded_or_withdrawn(self):
        row = self.said(*TARIFF, '--window', 'sat-sun,00:00,24:00,0.2')
        self.assertEqual([{'days': ['sat', 'sun'], 'start': '00:00',
                           'end': '24:00', 'price_per_kwh': '0.2'}],
                         row['windows'])
        (listed,) = self.said('tariff', 'list')
        self.assertEqual(row, listed)
        self.assertIn('same site', self.refused(*TARIFF))
        (one,) = self.said('statement', 'create', '--month', '2026-11',
                           '--project', 'p1')
        # A Sunday.
        self.assertEqual(('1.30', 'EUR'), (one['cost'], one['currency']))
        self.energy('tariff', 'delete', str(row['id']))
        self.assertEqual([], self.said('tariff', 'list'))

    def test_what_is_no_window_is_a_traceback(self):
        for text in ('sat', 'sun-mon,1,2,3', 'day,00:00,01:00,1'):
            self.assertIn('mon-fri,22:00,24:00,0.19', self.refused(
                *TARIFF, '--window', text))
