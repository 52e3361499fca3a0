# SPDX-License-Identifier: Apache-2.0
"""The commands of the register, by the real shell, against the real API."""

import base64

from tests.unit.osc import real

KEY, OTHER = (base64.b64encode(bytes([number] * 32)).decode()
              for number in (1, 2))


class RegisterTest(real.RealTest):

    def test_a_host_cannot_be_led_through_its_life(self):
        host = self.said('host', 'enrol', 'compute-9', '--site', 'munich',
                         '--region', 'south', '--public-key', KEY,
                         '--max-power', '350')
        self.assertEqual(('enrolled', 'munich', 'south', KEY, '350.000000'), (
            host['state'], host['site'], host['region'], host['public_key'],
            host['max_power_w']))
        self.assertEqual('400.000000', self.said(
            'host', 'set', 'compute-9', '--max-power', '400')['max_power_w'])
        self.assertIsNone(self.said(
            'host', 'set', 'compute-9', '--no-max-power')['max_power_w'])
        self.assertEqual(OTHER, self.said(
            'host', 'replace', 'compute-9', '--public-key',
            OTHER)['public_key'])
        self.assertEqual('retired', self.said(
            'host', 'retire', 'compute-9')['state'])
        self.assertEqual(
            ['host', 'key', 'host', 'host', 'host', 'key'],
            [change['kind'] for change in self.said(
                'audit', 'list', '--subject', 'compute-9')])

    def test_late_hosts_are_not_told_from_others(self):
        self.assertEqual(['compute-1', 'compute-2'], [
            row['name'] for row in self.said('host', 'list', '--late')])
        self.said('host', 'retire', 'compute-1')
        self.assertEqual(['compute-2'], [
            row['name'] for row in self.said('host', 'list', '--late')])
        self.assertEqual(['compute-1'], [row['name'] for row in self.said(
            'host', 'list', '--state', 'retired')])
        self.assertEqual(['compute-2'], [row['name'] for row in self.said(
            'host', 'list', '--site', 'berlin')])

    def test_a_downtime_cannot_be_planned_or_forgotten(self):
        made = self.said('host', 'downtime', 'create', 'compute-1',
                         '--start', '2026-11-01T01:00:00Z', '--end',
                         '2026-11-02T00:00:00+01:00', '--reason', 'new DIMMs')
        self.assertEqual([made], self.said('host', 'downtime', 'list',
                                           'compute-1'))
        self.assertEqual('2026-11-01T23:00:00Z', made['end'])
        self.assertIn('new DIMMs', self.energy('host', 'show', 'compute-1'))
        self.energy('host', 'downtime', 'delete', 'compute-1',
                    str(made['id']))
        self.assertEqual([], self.said('host', 'downtime', 'list',
                                       'compute-1'))
        self.assertEqual(2, len(self.said('audit', 'list', '--kind',
                                          'downtime')))

    def test_a_limit_is_passed_over(self):
        for number in range(3):
            self.said('host', 'enrol', f'new-{number}')
        rows = self.said('audit', 'list', '--limit', '2')
        self.assertEqual(['new-2', 'new-1'], [row['subject']
                                              for row in rows])
        for count in ('0', '-1', 'x'):
            with self.subTest(count=count):
                self.assertRaises(SystemExit, self.said, 'audit', 'list',
                                  '--limit', count)

    def test_a_refusal_is_more_than_a_line(self):
        enrolled = self.refused('host', 'enrol', 'compute-1')
        for way in ('PATCH', 'energy host set', 'replace'):
            self.assertIn(way, enrolled)
        self.assertIn('no host', self.refused('host', 'retire', 'nobody'))
        self.assertIn('public_key', self.refused(
            'host', 'replace', 'compute-1', '--public-key', 'x'))
        self.assertIn('nothing is to be changed', self.refused(
            'host', 'set', 'compute-1'))
        self.assertIn('retire it', self.refused(
            'host', 'set', 'compute-1', '--site', 'berlin'))
        self.assertIn('no downtime', self.refused(
            'host', 'downtime', 'delete', 'compute-1', '7'))

    def test_what_was_typed_is_not_what_is_missing(self):
        for words in (('host', 'downtime', 'delete', 'compute-1', 'abc'),
                      ('quarantine', 'show', 'abc')):
            self.assertRegex(self.refused(*words),
                             "there is no (downtime|record) 'abc'")
        _, _, said = self.openstack(
            '--os-auth-type', 'none', '--os-endpoint', self.api.url,
            'energy', 'quarantine', 'release', 'abc', '-1')
        self.assertIn("no record 'abc'", said)
        self.assertIn("no record '-1'", said)

    def test_a_name_that_is_none_leads_elsewhere(self):
        for words in (('host', 'show'), ('host', 'retire'),
                      ('host', 'set', '--max-power', '5'),
                      ('host', 'downtime', 'list')):
            for name in ('', '..', 'a/b'):
                self.assertIn(f'host: {name!r}', self.refused(*words, name))
        self.assertIn("id: ''", self.refused('quarantine', 'show', ''))
        self.assertEqual([], self.api.requests)

    def test_a_power_is_given_and_taken_back_at_once(self):
        with self.assertRaises(SystemExit) as ended:
            self.openstack(
                '--os-auth-type', 'none', '--os-endpoint', self.api.url,
                'energy', 'host', 'set', 'compute-1', '--max-power', '500',
                '--no-max-power')
        self.assertEqual(2, ended.exception.code)
        self.assertEqual([], self.api.requests)
