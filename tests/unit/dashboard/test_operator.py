# SPDX-License-Identifier: Apache-2.0
"""What an operator is shown of everybody's rows."""

from __future__ import annotations

import datetime
import re
from typing import Any

import testtools

from energy_accounting import units
from energy_accounting.dashboard import periods, reading
from tests.unit.dashboard import panels

# After what configures Django.
from energy_accounting.dashboard import operator  # isort: skip

NOW = datetime.datetime(2026, 11, 26, 12, tzinfo=units.UTC)
PERIOD = periods.choose({'month': '2026-10'}, 'UTC', NOW)
SPACE = '\N{NO-BREAK SPACE}'


def shown(figure: Any) -> str | None:
    return None if figure is None else str(figure).replace(SPACE, ' ')


class Balance(testtools.TestCase):

    def balance(self, **changes: Any) -> dict[str, Any]:
        return operator.balance(panels.balance(**changes), PERIOD)

    def test_books_that_do_not_balance_look_as_if_they_did(self) -> None:
        self.assertTrue(self.balance()['balanced'])
        for microjoules, kwh, words in (
                ('1', '0.000000000000278', '<0.000001 mWh'),
                ('-7200000000', '-0.002', '−2.000 Wh')):
            sheet = self.balance(difference_uj=microjoules,
                                 difference_kwh=kwh)
            self.assertEqual((False, words), (
                sheet['balanced'], shown(sheet['difference'])))

    def test_a_line_is_missing_or_another(self) -> None:
        sheet = self.balance(
            disputed_uj='9', disputed_kwh='0.009', node_kwh='14.000',
            platform_kwh='3.500', undivided_node_kwh='0.500')
        self.assertEqual(
            [('Measured at the hosts', 0, '10.00', '100.0 %'),
             ('Servers of projects', 1, '7.00', '70.0 %'),
             ('Services on the hosts', 1, '2.00', '20.0 %'),
             ('ceph', 2, '2.00', ''),
             ('Allocated to nobody', 1, '1.00', '10.0 %'),
             ('kept ready, and nobody reserved it', 2, '1.00', ''),
             ('In quarantine', 1, '0.00', '0.0 %'),
             ('Difference', 0, '0.00', '0.0 %'),
             ('Disputed', 0, '0.01', '0.1 %'),
             ('Seen by node meters', 0, '14.00', '140.0 %'),
             ('of it beyond processors and memory, and divided', 2, '3.50',
              ''),
             ('of it not divided: a meter has a hole', 2, '0.50', '')],
            [(str(line['name']), line['level'], line['figure'].text,
              shown(line['share'])) for line in sheet['lines']])
        self.assertEqual(8, len(self.balance()['lines']))

    def test_a_cloud_without_hosts_has_a_balance_of_0(self) -> None:
        nothing = {f'{side}_uj': '0' for side in (
            'measured', 'quarantined', 'disputed')}
        self.assertEqual({'empty': True, 'gaps': []},
                         self.balance(**nothing))
        self.assertNotIn('empty', self.balance(
            **{**nothing, 'quarantined_uj': '1'}))

    def test_a_gap_is_not_told(self) -> None:
        sheet = self.balance(gaps=[
            {'host': 'c1', 'zone': None, 'reason': 'reboot',
             'start': '2026-10-02T10:00:00Z', 'end': '2026-10-02T10:05:00Z'},
            {'host': 'c2', 'zone': 'dram-0', 'reason': 'new word',
             'start': '2026-10-31T22:00:00Z', 'end': None}],
            complete_until=None)
        self.assertEqual(
            [('c1', '', '2 Oct 2026, 10:05', '5 minutes',
              'the host was restarted'),
             ('c2', 'dram-0', 'still open', '2 hours', 'new word')],
            [(gap['host'], gap['zone'], gap['end'], gap['length'],
              gap['reason']) for gap in sheet['gaps']])
        self.assertIn('2 gaps', sheet['picture'])
        self.assertIsNone(sheet['complete'])

    def test_the_building_is_not_in_the_picture(self) -> None:
        site = {'site': 'berlin-1', 'coverage': '0.999999',
                'it_coverage': '1', 'facility_kwh': '15.000',
                'tenants_kwh': '9.000', 'operator_kwh': '6.000',
                'it_metered_kwh': '12.000', 'unmetered_it_kwh': '2.000',
                'co2_location_kg': '4.5'}
        unmetered = {**site, 'site': 'b', 'facility_kwh': None}
        sheet = self.balance(sites=[site, unmetered])
        for words in ('Sites took in', '15.00 kWh', 'IT that no host',
                      '2.000 kWh', 'Cooling', '3.000 kWh'):
            self.assertIn(words.replace(' kWh', f'{SPACE}kWh'),
                          sheet['picture'])
        # Ends stand in one column: no band runs under a name.
        places = {name: place for place, name in re.findall(
            r'<text x="([0-9.]+)"[^>]*class="ea-node-name"[^>]*>([^<]+)<',
            sheet['picture'])}
        self.assertEqual(1, len({places[name] for name in (
            'Servers of projects', 'IT that no host explains',
            'Cooling, losses, light')}), places)
        first, second = sheet['sites']
        self.assertEqual(
            ('99.99 %', '15.00', '4.500 kg', None),
            (shown(first['coverage']), first['facility'].text,
             shown(first['co2']), second['facility']))


class Projects(testtools.TestCase):

    def test_what_is_nobodys_has_a_rank(self) -> None:
        rows = tuple(panels.usage(kwh, project_id=ident) for ident, kwh in (
            (None, '5.000'), ('a', '3.000'), ('b', '2.000')))
        found = operator.projects(reading.Ranked(
            rows, {'a': panels.usage('2.000'), None: panels.usage('10.000')},
            False), {'a': 'webshop'})
        self.assertEqual(
            [(1, 'webshop', '3.000', '30.0 %', '+50 %', False),
             (2, 'b', '2.000', '20.0 %', None, False),
             ('', None, '5.000', '50.0 %', '−50 %', True)],
            [(row['rank'], row['name'], row['energy'].text,
              shown(row['share']), shown(row['change']), row['nobody'])
             for row in found['projects']])
        self.assertEqual(('10.000', 'kWh', 'g'), (
            found['sum'].text, found['energy_unit'], found['co2_unit']))


class Hosts(testtools.TestCase):

    def test_a_host_that_is_in_need_is_not_the_first(self) -> None:
        rows = operator.hosts([
            panels.host('a'), panels.host('b', alarm='stands still'),
            panels.host('c', late=True, lag_seconds=7200, coverage='0.5'),
            panels.host('d', expected=False, last_window_end=None,
                        lag_seconds=None, coverage=None, idle_power_w=None,
                        idle_kind=None, version=None)], units.UTC)
        self.assertEqual(['b', 'c', 'a', 'd'], [row['name'] for row in rows])
        late, fine, away = rows[1:]
        self.assertEqual(('2 hours', '50.00 %', True), (
            late['lag'], shown(late['coverage']), late['low']))
        self.assertEqual(
            ('1 Nov 2026, 12:00', '95.50 W', '2 × processors, memory',
             False, False),
            (fine['last'], shown(fine['idle']), fine['basis'], fine['low'],
             fine['downtime']))
        self.assertEqual(('–', '–', '–', None, '–', True, False), (
            away['last'], away['lag'], away['coverage'], away['idle'],
            away['version'], away['downtime'], away['low']))


class Sites(testtools.TestCase):

    def site(self, year: list[Any], months: list[list[Any] | None],
             ) -> dict[str, Any]:
        starts = units.periods(
            datetime.datetime(2026, 1, 1, tzinfo=units.UTC),
            datetime.datetime(2026, len(months) + 1, 1, tzinfo=units.UTC),
            'month', units.UTC)
        return operator.site(
            {'name': 'berlin-1', 'time_zone': 'UTC', 'grid_zone': 'DE'},
            reading.KeyFigures(
                {'start': '2025-11-01T00:00:00Z',
                 'end': '2026-11-01T00:00:00Z', 'kpis': year},
                tuple((start, None if rows is None else {'kpis': rows})
                      for (start, _end), rows in zip(starts, months,
                                                     strict=True))))

    def test_a_course_is_made_of_several_figures(self) -> None:
        one, other = (lambda value, category=category: panels.kpi(
            'WUE', value, unit='l/kWh', category=category)
            for category in (1, 2))
        location, market = (lambda value, method=method: panels.kpi(
            'CUE', value, unit='kg/kWh', method=method)
            for method in ('location', 'market'))
        found = self.site([], [
            [one(None), other('1.8'), location('0.4'), market('0.1')],
            [one('0.5'), other('1.9'), location(None), market('0.1')],
            None])
        cue, wue = found['courses']
        self.assertEqual(
            [('WUE, category 2', ['1.800', '1.900', None]),
             ('CUE, location-based', ['0.400', None, None])],
            [(course['heading'], [row['figure'] and row['figure'].text
                                  for row in course['rows']])
             for course in (wue, cue)])
        self.assertEqual(['March 2026'], found['missing'])
        self.assertIn('WUE, category 2 over twelve months',
                      wue['pictures'][0]['svg'])

    def test_a_figure_of_a_section_is_that_of_the_site(self) -> None:
        found = self.site([], [[panels.kpi('PUE', '1.9', section='annex'),
                                panels.kpi('PUE', '1.3')]])
        (course,) = found['courses']
        self.assertEqual('1.300', course['rows'][0]['figure'].text)
        self.assertEqual([], self.site([], [[]])['courses'])

    def test_a_guess_looks_like_a_reading(self) -> None:
        found = self.site([
            panels.kpi(), panels.kpi(estimated='0.1'),
            panels.kpi(reading_seconds=366 * 86400),
            panels.kpi(value=None, why='no meter', estimated=None,
                       reading_seconds=None, coverage=None),
            panels.kpi('CUE', '0.4', method='market')], [])
        self.assertEqual(
            ['', 'estimated', 'interpolated', '', ''],
            [row['guessed'] for row in found['figures']])
        none, cue = found['figures'][3:]
        self.assertEqual((None, 'no meter', '–'), (
            none['value'], none['why'], none['coverage']))
        self.assertEqual(('market-based', '0.400'),
                         (cue['method'], cue['value'].text))


class Exports(testtools.TestCase):

    def test_a_failure_looks_like_a_success(self) -> None:
        row = {'id': 'x', 'target': 'focus', 'options': {'version': '1.3'},
               'period': '2026-10', 'timezone': 'UTC', 'project_id': 'shop',
               'all_projects': False, 'state': 'failed', 'done': 5000,
               'total': 12345, 'error': 'no space',
               'changed_at': '2026-11-02T06:00:00Z', 'destination': '/srv'}
        failed, sent = operator.exports(
            [row, {**row, 'state': 'sent', 'project_id': None,
                   'all_projects': True, 'error': None, 'period': '2026'}],
            {'shop': 'webshop'}, units.UTC)
        self.assertEqual(
            (True, 'failed', 'webshop', True, '5,000 of 12,345',
             'version=1.3', 'October 2026'),
            tuple(failed[name] for name in (
                'failed', 'state', 'project', 'known', 'lines', 'options',
                'period')))
        self.assertEqual((False, 'sent', None, True, '2026'), tuple(
            sent[name] for name in ('failed', 'state', 'project', 'whole',
                                    'period')))


class Quarantine(testtools.TestCase):

    def test_a_record_without_a_time_breaks_the_page(self) -> None:
        (row,) = operator.quarantine([{
            'id': 7, 'host': 'c1', 'received_at': '2026-11-02T06:00:00Z',
            'start': None, 'energy_kwh': None, 'code': 'sum',
            'reason': 'of zones'}], units.UTC)
        self.assertEqual(('–', None, 'does not add up'), (
            row['start'], row['energy'], row['code']))
