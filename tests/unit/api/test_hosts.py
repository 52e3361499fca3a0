# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import datetime

from energy_accounting import units
from tests.unit.api import cloud

HOSTS = '/v1/hosts'


class HostsTest(cloud.ApiCase):

    def setUp(self) -> None:
        super().setUp()
        self.now = datetime.datetime(2026, 11, 1, 0, 31, tzinfo=units.UTC)

    def test_a_host_is_shown_with_its_unit_in_every_name(self) -> None:
        self.assertEqual({'host': {
            'name': 'compute-2', 'state': 'enrolled', 'site': 'berlin',
            'region': 'de', 'boundary': 'rapl',
            'last_window_start': '2026-11-01T00:28:00Z',
            'last_window_end': '2026-11-01T00:29:00Z', 'lag_seconds': 120,
            'last_received': None,
            # One and a half quarters of an hour in a day.
            'coverage': '0.0156', 'basis': ['package-0'],
            'idle_kind': 'configured', 'idle_power_w': '50.000000',
            'policy': 'two-part/1', 'cpus': 64, 'memory_mib': 262144,
            'version': '1.0', 'alarm': None, 'expected': True,
            'late': False, 'enrolled_at': '1970-01-01T00:00:00Z',
            'retired_at': None, 'public_key': None, 'presented_keys': [],
            'window_seconds': None, 'max_power_w': None,
            'downtime': None}},
            self.get(f'{HOSTS}/compute-2', 'admin-p1'))

    def test_pages_and_filters(self) -> None:
        body = self.get(HOSTS, 'admin-p1', limit='1', with_count='true')
        self.assertEqual(2, body['count'])
        (link,) = body['links']
        second = self.get(link['href'], 'admin-p1')
        self.assertEqual([], second['links'])
        self.assertEqual(
            ['compute-1', 'compute-2'],
            [host['name'] for host in body['hosts'] + second['hosts']])
        body = self.get(HOSTS, 'admin-p1', site='berlin',
                        with_count='true')
        self.assertEqual((1, 'compute-2'),
                         (body['count'], body['hosts'][0]['name']))
        self.assertEqual([], self.get(HOSTS, 'admin-p1',
                                      state='retired')['hosts'])

    def test_they_are_not_for_tenants(self) -> None:
        for token in cloud.PERSONAS:
            if not token.startswith('admin-p'):
                for path in (HOSTS, f'{HOSTS}/compute-1',
                             f'{HOSTS}/nobody'):
                    self.refused(403, path, token)

    def test_bad_words_are_named(self) -> None:
        for name, text in (('limit', '0'), ('marker', 'e30'),
                           ('marker', '!'), ('state', 'gone'),
                           ('site', ''), ('name', 'x')):
            detail = self.refused(400, HOSTS, 'admin-p1', **{name: text})
            self.assertTrue(detail.startswith(f'{name}: '), detail)
