# SPDX-License-Identifier: Apache-2.0
"""Key figures by the real ``openstack`` shell."""

import json

from tests.unit import web
from tests.unit.osc import test_commands

LIMIT = {
    'most': '1.5', 'least': None, 'legal_basis': 'EnEfG, section 11',
    'text': '2026-04-04', 'valid_from': '2027-07-01',
    'valid_until': '2030-07-01', 'started_from': None,
    'started_before': '2026-07-01', 'years_to_meet': 0, 'binds': None,
    'why': 'nobody knows', 'kept': True}
KPI = {
    'figure': 'PUE', 'name': 'PUE', 'value': '1.241850', 'unit': '1',
    'category': 1, 'section': None, 'standard': 'ISO/IEC 30134-2:2026',
    'start': '2024-12-31T23:00:00Z', 'end': '2025-12-31T23:00:00Z',
    'coverage': '1.0000', 'estimated': '0.0000',
    'numerator': {'name': 'dc_total', 'value': '1.5', 'unit': 'kWh'},
    'denominator': None, 'meters': [
        {'name': 'grid', 'accuracy_class': '0.5S'}],
    'reading_seconds': 900, 'missing': [], 'why': None, 'notes': [],
    'limits': [LIMIT], 'method': None}
GONE = {**KPI, 'figure': 'ERF', 'name': 'ERF', 'value': None,
        'why': 'heat_reused: no meter of this role', 'limits': None}


class KpiTest(test_commands.CommandTest):

    gone = GONE

    def test_two_cues_look_alike(self):
        self.gone = {**GONE, 'name': 'CUE', 'method': 'market'}
        self.assertIn('| CUE, market |', self.show())

    def test_what_nobody_measured_looks_as_if_it_were_read(self):
        for changed, word in (
                ({'reading_seconds': 366 * 86400}, 'interpolated'),
                ({'reading_seconds': 365 * 86400}, ''),
                ({'estimated': '0.0001'}, 'estimated'),
                ({'estimated': None, 'reading_seconds': None}, ''),
                ({'value': None, 'reading_seconds': 366 * 86400}, '')):
            self.gone = {**GONE, 'value': '0.5', **changed}
            shown = self.show()
            self.assertIn(f'| {(changed.get("value", "0.5") or "-")} {word}'
                          .rstrip() + ' ', shown)
            self.assertEqual(bool(word), 'interpolated:' in shown)
            self.assertNotIn('interpolated', self.show('-f', 'csv'))

    def answer(self, request):
        if request.path == '/v1/sites/fra':
            return web.Answer({'site': {'name': 'fra', 'region': None,
                                        'time_zone': 'Europe/Berlin',
                                        'grid_zone': 'DE'}})
        return web.Answer({
            'kpis': [KPI, self.gone], 'site': 'fra',
            'start': '2024-12-31T23:00:00Z', 'end': '2025-12-31T23:00:00Z',
            'time_zone': 'Europe/Berlin', 'minimum_coverage': '0.95',
            'as_of': '2026-01-01T00:00:00Z',
            'calculated_at': '2026-01-01T00:00:00Z',
            'calculated_by': 'a test', 'rounding': 'none'})

    def show(self, *words):
        return self.energy('kpi', 'show', '--site', 'fra', *words)

    def test_a_year_is_one_of_another_zone_than_the_sites(self):
        self.show('--year', '2025', '--editions', 'enefg')
        self.assertEqual('/v1/sites/fra/kpis', self.api.requests[-1].path)
        self.assertEqual(
            {'start': '2024-12-31T23:00:00Z', 'end': '2025-12-31T23:00:00Z',
             'editions': 'enefg'}, self.asked())
        self.show('--start', '2025-06', '--end', '2025-07-15')
        self.assertEqual(
            {'start': '2025-05-31T22:00:00Z', 'end': '2025-07-14T22:00:00Z'},
            self.asked())

    def test_the_default_period_is_the_clients(self):
        self.show('--category', '2', '--minimum-coverage', '0.9')
        self.assertEqual({'category': '2', 'minimum_coverage': '0.9'},
                         self.asked())

    def test_a_table_hides_the_period_or_why_there_is_no_figure(self):
        out = self.show()
        self.assertIn('fra, 2025-01-01 00:00 until 2026-01-01 00:00 '
                      '(excluded), Europe/Berlin', out)
        self.assertIn('heat_reused: no meter of this role', out)
        self.assertIn('1.241850', out)
        self.assertNotIn('0.5S', out)
        self.assertIn('0.5S', self.show('--long'))
        self.assertIn('at most 1.5 from 2027-07-01: kept, may bind: nobody '
                      'knows', self.show('--law', 'enefg'))

    def test_a_table_is_wider_than_a_screen(self):
        self.gone = {**GONE, 'why': 'site_total: ' + 9 * (
            '2025-01-01T00:00:00Z to 2025-02-01T00:00:00Z, ') + 'end'}
        _, *lines = self.show().splitlines()
        self.assertLess(max(map(len, lines)), 130)
        self.assertIn('end', lines[-2])
        self.assertEqual(self.gone, json.loads(self.show('-f', 'json'))[1])

    def test_json_lacks_what_the_api_said(self):
        self.assertEqual([KPI, GONE], json.loads(self.show('-f', 'json')))

    def test_half_a_period_is_asked(self):
        for words, option in ((('--start', '2025-01'), '--end'),
                              (('--year', '2025', '--end', '2025-02'),
                               '--year'), (('--year', '1'), '--year'),
                              (('--start', 'x', '--end', '2025'),
                               '--start')):
            self.assertIn(option, self.refused('kpi', 'show', '--site',
                                               'fra', *words))
