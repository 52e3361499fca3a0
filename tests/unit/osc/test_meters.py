# SPDX-License-Identifier: Apache-2.0
"""Sites, meters and readings by the real shell, against the real API."""

import io
import json
import pathlib
import tempfile
from unittest import mock

from tests.unit.osc import real

COUNTER = ('--site', 'berlin', '--role', 'dc_total', '--medium',
           'electricity', '--kind', 'cumulative', '--unit', 'kWh')


class Terminal(io.StringIO):

    def isatty(self):
        return True


class MeterTest(real.RealTest):

    def setUp(self):
        super().setUp()
        self.where = tempfile.TemporaryDirectory()
        self.addCleanup(self.where.cleanup)

    def file(self, name, text):
        path = pathlib.Path(self.where.name) / name
        path.write_text(text)
        return str(path)

    def refused_with(self, *words):
        """All lines of a command that must fail."""
        status, out, err = self.openstack(
            '--os-auth-type', 'none', '--os-endpoint', self.api.url,
            'energy', *words)
        self.assertNotEqual(0, status, out)
        return err.strip().splitlines()

    def make(self, name='grid', *more):
        return self.said('meter', 'create', name, *COUNTER, *more)

    def values(self, *more):
        return [row['value'] for row in self.said(
            'reading', 'list', 'grid', *more)]

    def test_a_site_cannot_be_led_through_its_life(self):
        made = self.said('site', 'create', 'bonn', '--region', 'west',
                         '--time-zone', 'Europe/Berlin', '--grid-zone', 'DE')
        self.assertEqual({'name': 'bonn', 'region': 'west', 'grid_zone': 'DE',
                          'time_zone': 'Europe/Berlin',
                          'factor_basis': None}, made)
        for option, basis in (('--factor-basis=direct', 'direct'),
                              ('--no-factor-basis', None)):
            self.assertEqual(basis, self.said('site', 'set', 'bonn', option)
                             ['factor_basis'])
        self.assertIsNone(self.said('site', 'set', 'bonn', '--no-region')
                          ['region'])
        self.assertEqual('DE', self.said('site', 'show', 'bonn')['grid_zone'])
        self.assertEqual(['berlin', 'bonn', 'default'], [
            row['name'] for row in self.said('site', 'list')])
        self.assertIn('nothing is to be changed', self.refused(
            'site', 'set', 'bonn'))
        self.assertIn('Mars', self.refused(
            'site', 'set', 'bonn', '--time-zone', 'Mars'))

    def test_a_meter_cannot_be_led_through_its_life(self):
        made = self.make('grid', '--rollover', '1000000', '--max-rate',
                         '500', '--serial', '4711', '--installed-at',
                         '2026-01-01T00:00:00Z')
        self.assertEqual(('1000000', '500', []), (
            made['rollover'], made['max_rate'], made['questions']))
        self.make('pv', '--parent', 'grid')
        total = self.said(
            'meter', 'create', 'sum', *COUNTER[:-4], '--kind', 'virtual',
            '--unit', 'kWh', '--add', 'grid', '--subtract', 'pv')
        self.assertEqual([1, -1], [term['sign'] for term in total['terms']])
        changed = self.said('meter', 'set', 'grid', '--no-serial',
                            '--removed-at', '2026-10-01T00:00:00Z')
        self.assertEqual((None, '2026-10-01T00:00:00Z'), (
            changed['serial'], changed['removed_at']))
        self.assertEqual(['grid', 'pv', 'sum'], [
            row['name'] for row in self.said('meter', 'list', '--role',
                                             'dc_total')])
        self.assertEqual([], self.said('meter', 'list', '--medium', 'water'))
        self.assertIn('grid', self.energy('meter', 'list'))
        self.assertIn('1000000', self.energy('meter', 'show', 'grid'))
        self.assertIn('nothing is to be changed', self.refused(
            'meter', 'set', 'grid'))

    def test_a_fall_cannot_be_decided(self):
        self.make()
        for day, value in ((1, '150'), (2, '20')):
            self.said('reading', 'create', 'grid', '--at',
                      f'2026-10-0{day}T00:00:00Z', '--value', value)
        (question,) = self.said('meter', 'show', 'grid')['questions']
        self.assertEqual(('fall', '150', '20'), (
            question['kind'], question['was'], question['became']))
        event = self.said(
            'meter', 'event', 'create', 'grid', 'exchange', '--at',
            '2026-10-01T12:00:00Z', '--end-value', '160', '--start-value',
            '0', '--note', 'broken')
        self.assertEqual([], self.said('meter', 'show', 'grid')['questions'])
        self.assertEqual([event], self.said('meter', 'event', 'list', 'grid'))
        self.energy('meter', 'event', 'delete', 'grid', str(event['id']))
        self.assertEqual([], self.said('meter', 'event', 'list', 'grid'))
        self.assertEqual(1, len(self.said('meter', 'event', 'list', 'grid',
                                          '--superseded')))

    def test_a_reading_cannot_be_corrected(self):
        self.make()
        words = ('reading', 'create', 'grid', '--at', '2026-10-01T00:00:00Z')
        self.assertEqual({'added': 1, 'corrected': 0, 'duplicates': 0},
                         self.said(*words, '--value', '5'))
        self.assertIn('has the value 5 already', self.refused(
            *words, '--value', '6'))
        self.said(*words, '--value', '6', '--correct')
        self.assertEqual(['6'], self.values())
        self.assertEqual(['5', '6'], self.values('--superseded'))
        self.assertEqual(['5'], self.values('--superseded', '--limit', '1'))
        self.said(*words, '--no-value', '--correct')
        self.assertEqual([], self.values())

    def test_a_file_is_imported_twice_or_in_part(self):
        self.make()
        path = self.file('a.csv', 'at,value\n2026-10-01T00:00Z,1\n'
                                  '2026-10-02T00:00Z,2\n')
        words = ('reading', 'import', path, '--meter', 'grid')
        self.assertEqual({'added': 2, 'corrected': 0, 'duplicates': 0},
                         self.said(*words, '--dry-run'))
        self.assertEqual([], self.values())
        self.assertEqual(2, self.said(*words)['added'])
        self.assertEqual(2, self.said(*words)['duplicates'])
        self.assertEqual(['1', '2'], self.values())
        self.assertEqual({'csv'}, {row['source'] for row in self.said(
            'reading', 'list', 'grid')})

    def test_a_fault_here_is_not_told_by_its_line(self):
        self.make()
        path = self.file('b.csv', 'at;Stand\n2026-10-01T00:00Z;1\n'
                                  'nie;2\n2026-10-03T00:00Z;x\n')
        mapping = self.file('m.toml', 'delimiter = ";"\nmeter = "grid"\n'
                                      '[columns]\nvalue = "Stand"\n')
        first, second, last = self.refused_with(
            'reading', 'import', path, '--mapping', mapping)
        self.assertIn(f"{path}:3: at: 'nie' is not a time", first)
        self.assertIn(f"{path}:4: Stand: 'x' is not", second)
        self.assertIn('nothing was imported: 2 faults', last)
        self.assertEqual([], self.values())

    def test_a_fault_at_the_service_is_not_told_by_its_line(self):
        self.make('grid', '--rollover', '100')
        self.said('reading', 'create', 'grid', '--at',
                  '2026-10-02T00:00:00Z', '--value', '7')
        for text, words in (
                ('2026-10-01T00:00Z,1\n\n2026-10-02T00:00Z,8\n',
                 ':4: at: 2026-10-02T00:00:00Z has the value 7'),
                ('2026-10-01T00:00Z,1\n2026-10-03T00:00Z,100\n',
                 ':3: value: 100 is not below the rollover'),
                ('2099-10-01T00:00Z,1\n', ':2: at: ')):
            path = self.file('c.csv', f'at,value\n{text}')
            for more in ((), ('--dry-run',)):
                lines = self.refused_with('reading', 'import', path,
                                          '--meter', 'grid', *more)
                self.assertIn(f'{path}{words}', lines[0])
                self.assertIn('nothing was imported: 1 fault', lines[1])
        self.assertEqual(['7'], self.values())

    def test_a_mapping_of_another_kind_of_meter_blames_the_file(self):
        self.make()
        path = self.file('k.csv', 'at,value\n2026-10-01T00:00Z,1\n')
        mapping = self.file('k.toml', 'interval_minutes = 15\n')
        self.assertIn(
            f'{path}:2: start: a value of this meter (cumulative) is that of '
            'a moment; leave interval_minutes and stamp out of the mapping',
            self.refused_with('reading', 'import', path, '--meter', 'grid',
                              '--mapping', mapping)[0])

    def test_faults_without_end_are_all_shown(self):
        self.make()
        path = self.file('d.csv', 'at,value\n' + 'x,1\n' * 50)
        lines = self.refused_with('reading', 'import', path, '--meter',
                                  'grid')
        self.assertEqual(22, len(lines))
        self.assertIn('and 30 more', lines[-2])

    def test_a_file_that_is_none_breaks_it(self):
        path = self.file('e.csv', 'at,value\n2026-10-01T00:00Z,1\n')
        self.assertIn('give --meter', self.refused('reading', 'import', path))
        self.assertIn('cannot be read', self.refused(
            'reading', 'import', f'{path}x', '--meter', 'grid'))
        self.assertIn('no meter', self.refused(
            'reading', 'import', path, '--meter', 'nobody'))
        self.assertIn('m.toml: colour', self.refused(
            'reading', 'import', path, '--mapping',
            self.file('m.toml', 'colour = 1')))

    def test_a_program_gets_a_progress_bar_or_a_person_none(self):
        self.make()
        path = self.file('f.csv', 'at,value\n' + ''.join(
            f'2026-09-{day:02}T{minute // 60:02}:{minute % 60:02}Z,1\n'
            for day in (1, 2) for minute in range(1440)))
        words = ('--os-auth-type', 'none', '--os-endpoint', self.api.url,
                 'energy', 'reading', 'import', path, '--meter', 'grid',
                 '-f', 'json')
        status, out, err = self.openstack(*words)
        self.assertEqual((0, ''), (status, err))
        self.assertEqual(2880, json.loads(out)['added'])
        with mock.patch.object(io, 'StringIO', Terminal):
            _, out, err = self.openstack(*words)
        self.assertEqual(2880, json.loads(out)['duplicates'])
        self.assertIn('reading [########', err)
        self.assertIn(' 69 %', err)
        self.assertIn('sending 2880 readings', err)
        self.assertTrue(err.endswith('\r\x1b[K'))

