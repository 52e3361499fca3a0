# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import base64
import datetime
import json
import urllib.parse
from typing import Any

from energy_accounting import errors, units
from energy_accounting.api import parameters, schemas
from energy_accounting.ledger import queries
from tests.unit.api import cloud

USAGE = '/v1/usage'
DAY = {'start': '2026-11-01T00:00:00Z', 'end': '2026-11-02T00:00:00Z'}


def energy(body: Any, *keys: str) -> dict[Any, str]:
    """it_kwh, short, by the values of some keys."""
    return {tuple(row[key] for key in keys): row['it_kwh'].rstrip('0')
            for row in body['usage']}


class UsageTest(cloud.ApiCase):

    def test_a_reader_sees_the_own_project_this_month(self) -> None:
        body = self.get(USAGE, 'reader-p1')
        self.assertEqual({
            'usage': [{
                'start': '2026-11-01T00:00:00Z',
                'end': '2026-11-23T05:15:00Z', 'project_id': 'p1',
                'active_kwh': '5.000000000000000',
                'idle_kwh': '1.000000000000000',
                'memory_kwh': '0.250000000000000',
                'host_kwh': '0.250000000000000', 'platform_kwh': None,
                'it_kwh': '6.500000000000000', 'facility_kwh': None,
                'pue': None, 'pue_kind': None, 'co2_location_kg': None,
                'co2_market_kg': None, 'cue_kg_per_kwh': None,
                # 5 kWh in the first quarter of an hour
                'peak_kw': '20.000000', 'coverage': '0.8333',
                'boundary': 'rapl',
                'quality': {'measured': '1.0000', 'backfilled': '0.0000',
                            'estimated': '0.0000'},
                'policy': 'two-part/1', 'water_l': None,
                'renewable_share': None, 'factor_quality': None,
                'factor_basis': None, 'market_factor_quality': None,
                'market_factor_basis': None}],
            'complete_until': '2026-11-01T00:29:00Z', 'links': []}, body)

    def test_columns_stand_in_the_order_tools_rely_on(self) -> None:
        body = self.get(USAGE, 'reader-p1', group_by='site,instance')
        self.assertEqual([
            'start', 'end', 'site', 'instance_id', 'active_kwh', 'idle_kwh',
            'memory_kwh', 'host_kwh', 'platform_kwh', 'it_kwh',
            'facility_kwh', 'pue', 'pue_kind', 'co2_location_kg',
            'co2_market_kg', 'cue_kg_per_kwh', 'peak_kw', 'coverage',
            'boundary', 'quality', 'policy', 'water_l', 'renewable_share',
            'factor_quality', 'factor_basis', 'market_factor_quality',
            'market_factor_basis'], list(body['usage'][0]))

    def test_servers_of_a_project_by_quarter(self) -> None:
        body = self.get(USAGE, 'reader-p1', **DAY, group_by='instance',
                        resolution='quarter')
        self.assertEqual(
            [('2026-11-01T00:00:00Z', '2026-11-01T00:15:00Z', 'db', '3.'),
             ('2026-11-01T00:00:00Z', '2026-11-01T00:15:00Z', 'web', '2.'),
             ('2026-11-01T00:15:00Z', '2026-11-01T00:30:00Z', 'web',
              '1.5')],
            [(row['start'], row['end'], row['instance_id'],
              row['it_kwh'].rstrip('0')) for row in body['usage']])

    def test_days_are_those_of_the_zone(self) -> None:
        body = self.get(
            USAGE, 'reader-p1', start='2026-10-31T00:00:00+01:00',
            end='2026-11-03T00:00:00+01:00', resolution='day',
            timezone='Europe/Berlin')
        self.assertEqual([('2026-10-31T23:00:00Z', '2026-11-01T23:00:00Z')],
                         [(row['start'], row['end'])
                          for row in body['usage']])

    def test_nobody_else_is_in_the_answer(self) -> None:
        for groups in ('project,instance', 'flavor,site,region,boundary',
                       'domain'):
            text = self.ask(USAGE, 'reader-p2', group_by=groups).text
            for foreign in ('p1', 'p3', 'web', 'compute', 'ann', 'bob'):
                self.assertNotIn(f'"{foreign}', text)
            self.assertIn('5.000000000000000', text)

    def test_a_foreign_instance_is_absent(self) -> None:
        body = self.get(USAGE, 'reader-p1', instance='batch')
        self.assertEqual([], body['usage'])

    def test_a_foreign_project_is_refused(self) -> None:
        for token in ('reader-p1', 'member-p1', 'manager-p1'):
            detail = self.refused(403, USAGE, token, project='p2')
            self.assertNotIn('p2', detail)

    def test_operators_groups_and_filters_are_refused_to_tenants(
            self) -> None:
        for query in ({'group_by': 'host'}, {'group_by': 'project,account'},
                      {'group_by': 'user'}, {'host': 'compute-1'},
                      {'account': 'instance'}, {'user': 'ann'},
                      {'all_projects': 'true'}):
            self.refused(403, USAGE, 'manager-p1', **query)

    def test_an_admin_sees_everything_and_sums_agree(self) -> None:
        for groups in ('project', 'account', 'host', 'instance,user',
                       'site', 'domain'):
            body = self.get(USAGE, 'admin-p1', all_projects='true',
                            group_by=groups)
            self.assertEqual(
                13 * cloud.KWH + cloud.KWH // 2 + 8,
                sum(units.microjoules(row['it_kwh'])
                    for row in body['usage']), groups)
        body = self.get(USAGE, 'admin-p1', all_projects='true',
                        group_by='account')
        self.assertEqual({('instance',), ('service:kubernetes',),
                          ('unallocated',)}, set(energy(body, 'account')))

    def test_one_sum_is_that_of_another_scope_or_divided(self) -> None:
        for persona, expected, query in (
                ('reader-p1', '6.5', {}),
                ('manager-d1', '11.5', {}),
                ('reader-p1', '3', {'instance': 'db'}),
                ('admin-p1', None, {'all_projects': 'true'})):
            (row,) = self.get(USAGE, persona, group_by='none',
                              **query)['usage']
            parts = [other['it_kwh'] for other in self.get(
                USAGE, persona, group_by='boundary', **query)['usage']]
            self.assertEqual([row['it_kwh']], parts)
            self.assertNotIn('project_id', row)
            if expected is not None:
                self.assertEqual(expected, row['it_kwh'].rstrip('0').rstrip(
                    '.'))
        self.refused(400, USAGE, 'reader-p1', group_by='none,project')

    def test_services_have_no_project(self) -> None:
        body = self.get(USAGE, 'admin-p1', all_projects='true')
        self.assertEqual('2.', energy(body, 'project_id')[None,])
        (row,) = (row for row in body['usage'] if row['project_id'] is None)
        self.assertIsNone(row['coverage'])

    def test_an_admin_without_all_projects_sees_one_project(self) -> None:
        self.assertEqual({('p1',): '6.5'}, energy(
            self.get(USAGE, 'admin-p1'), 'project_id'))
        self.assertEqual({('p2',): '5.'}, energy(
            self.get(USAGE, 'admin-p1', project='p2'), 'project_id'))
        self.assertEqual({('compute-1',): '2.', ('compute-2',): '4.5'},
                         energy(self.get(USAGE, 'admin-p1',
                                         group_by='host'), 'host'))

    def test_a_domain_manager_sees_the_projects_of_the_domain(self) -> None:
        self.assertEqual({('p1',): '6.5', ('p2',): '5.'}, energy(
            self.get(USAGE, 'manager-d1'), 'project_id'))
        self.assertEqual({('p1',): '6.5', ('p2',): '5.'}, energy(
            self.get(USAGE, 'manager-d1', domain='d1'), 'project_id'))
        self.assertEqual({('p1',): '6.5', ('p2',): '5.'}, energy(
            self.get(USAGE, 'admin-p1', domain='d1'), 'project_id'))
        self.refused(403, USAGE, 'manager-d1', domain='d2')
        self.refused(403, USAGE, 'reader-d1')
        self.refused(403, USAGE, 'manager-d1', project='p1')

    def test_the_admin_of_a_domain_sees_another_one(self) -> None:
        for token in ('admin-d1', 'lone-admin-d1'):
            for query in ({}, {'domain': 'd1'}):
                self.assertEqual({('p1',): '6.5', ('p2',): '5.'}, energy(
                    self.get(USAGE, token, **query), 'project_id'))
            for query in (
                    {'domain': 'd2'}, {'project': 'p1'}, {'project': 'p3'},
                    {'all_projects': 'true'}, {'group_by': 'host'},
                    {'all_projects': 'true', 'domain': 'd1'},
                    {'host': 'compute-1'}, {'account': 'instance'},
                    {'group_by': 'user'}):
                self.refused(403, USAGE, token, **query)
            for path in ('/v1/balance', '/v1/hosts',
                         '/v1/hosts/compute-1'):
                self.refused(403, path, token)
        self.refused(403, USAGE, 'admin-d2', domain='d1')

    def test_a_reader_is_shown_a_domain_by_naming_it(self) -> None:
        self.assertEqual({('p1',): '6.5'}, energy(
            self.get(USAGE, 'reader-p1', domain='d1'), 'project_id'))
        self.assertEqual({}, energy(
            self.get(USAGE, 'reader-p1', domain='d2'), 'project_id'))

    def test_as_of_takes_back_what_was_learnt_later(self) -> None:
        body = self.get(USAGE, 'admin-p1', project='p4')
        self.assertEqual(['p4'], [row['project_id']
                                  for row in body['usage']])
        body = self.get(USAGE, 'admin-p1', project='p4',
                        as_of='2026-11-09T00:00:00Z')
        self.assertEqual([], body['usage'])

    def test_the_current_bucket_may_be_asked_for(self) -> None:
        body = self.get(USAGE, 'reader-p1', start='2026-11-01T00:00:00Z',
                        end='2026-11-23T05:15:00Z')
        self.assertEqual(1, len(body['usage']))


class PagesTest(cloud.ApiCase):

    def test_links_lead_through_all_rows_in_order(self) -> None:
        for sort in ('start', 'it_kwh:desc', 'memory_kwh:asc'):
            query = {**DAY, 'all_projects': 'true', 'sort': sort,
                     'group_by': 'instance', 'resolution': 'quarter'}
            whole = self.get(USAGE, 'admin-p1', **query)['usage']
            found = []
            body = self.get(USAGE, 'admin-p1', **query, limit='2',
                            with_count='true')
            while True:
                found += body['usage']
                self.assertEqual(len(whole), body['count'])
                if not body['links']:
                    break
                (link,) = body['links']
                self.assertEqual('next', link['rel'])
                # Time passes between two pages.
                self.now += datetime.timedelta(minutes=15)
                body = self.get(link['href'], 'admin-p1')
            self.assertEqual(whole, found)

    def test_a_marker_keeps_the_range_of_the_first_page(self) -> None:
        query = {'resolution': 'quarter', 'limit': '1'}
        first = self.get(USAGE, 'reader-p1', **query)
        self.now += datetime.timedelta(days=30)
        marker = urllib.parse.parse_qs(urllib.parse.urlsplit(
            first['links'][0]['href']).query)['marker'][0]
        second = self.get(USAGE, 'reader-p1', **query, marker=marker)
        self.assertEqual(['2026-11-01T00:15:00Z'],
                         [row['start'] for row in second['usage']])

    def test_a_marker_of_another_query_or_none_is_refused(self) -> None:
        body = self.get(USAGE, 'admin-p1', all_projects='true', limit='1')
        marker = urllib.parse.parse_qs(urllib.parse.urlsplit(
            body['links'][0]['href']).query)['marker'][0]
        content = json.loads(base64.urlsafe_b64decode(
            marker + '=' * (-len(marker) % 4)))

        def changed(**fields: Any) -> str:
            return base64.urlsafe_b64encode(json.dumps(
                {**content, **fields}).encode()).decode().rstrip('=')

        for bad, query in (
                (marker, {'sort': 'it_kwh'}), (marker, {'project': 'p1'}),
                (marker, {'group_by': 'instance'}), ('x', {}), ('AAAA', {}),
                ('bnVsbA', {}), ('W10', {}), ('e30', {}),
                (changed(after=[]), {}), (changed(after=['0', 'p1']), {}),
                (changed(after=[True, 'p1']), {}),
                (changed(after=[1 << 200, 'p1']), {}),
                (changed(after=[1 << 63, 'p1']), {}),
                (changed(after=[-(1 << 63) - 1, 'p1']), {}),
                (changed(after=None), {}), (changed(range=[]), {}),
                (changed(range={'start': 1, 'end': 2, 'as_of': 3}), {}),
                (changed(of=1), {})):
            detail = self.refused(400, USAGE, 'admin-p1', limit='1',
                                  **{'all_projects': 'true', **query},
                                  marker=bad)
            self.assertTrue(detail.startswith('marker: '), detail)
        # As far as the database goes, it is a place like another one.
        for far in ((1 << 63) - 1, 1 - (1 << 63)):
            self.get(USAGE, 'admin-p1', limit='1', all_projects='true',
                     marker=changed(after=[far, 'p1']))

    def test_a_large_clouds_sum_is_no_place_to_go_on_from(self) -> None:
        # More than 2^63 uJ: only databases other than SQLite have those.
        query = {'sort': 'it_kwh', 'start': '2026-11-01T00:00:00Z'}
        first = parameters.usage(query, self.now, 10, 'mysql')
        for after, good in (([1 << 70, 1, 'p1'], True),
                            ([1 << 101, 1, 'p1'], False)):
            given = {**query, 'marker': parameters.usage_marker(
                query, first, after)}
            if good:
                self.assertEqual(tuple(after), parameters.usage(
                    given, self.now, 10, 'mysql').after)
            else:
                self.assertRaises(errors.InvalidRequest, parameters.usage,
                                  given, self.now, 10, 'mysql')


class RefusedTest(cloud.ApiCase):

    def check(self, name: str, text: str, **query: str) -> None:
        words = urllib.parse.urlencode({**query, name: text})
        detail = self.refused(400, f'{USAGE}?{words}', 'reader-p1')
        self.assertTrue(detail.startswith(f'{name}: '), detail)
        self.assertIn('; ', detail)

    def test_every_parameter_names_itself_and_the_remedy(self) -> None:
        for name in schemas.USAGE_QUERY['properties']:
            self.check(name, '')
            self.check(name, 'x\ny')
            if name not in queries.GROUPS:
                self.check(name, 'nonsense')
        self.check('colour', 'red')
        self.check('Start', '2026-11-01T00:00:00Z')

    def test_times(self) -> None:
        for text in ('2026-11-01T00:00:00', '2026-11-01',
                     '2026-11-01T00:00:00 01:00', '2026-11-01T00:07:00Z',
                     '2026-11-01T00:00:01Z', '2026-11-01T00:00:00.1Z',
                     '2026-13-01T00:00:00Z', '0001-01-01T00:00:00+14:00',
                     '9999-12-31T23:45:00-12:00', '1999-01-01T00:00:00Z',
                     'yesterday', '1762000000', '2' * 200):
            self.check('start', text)
            self.check('end', text)
        self.check('end', '2026-11-01T00:00:00Z',
                   start='2026-11-01T00:00:00Z')
        self.check('end', '2026-10-01T00:00:00Z',
                   start='2026-11-01T00:00:00Z')
        self.check('start', '2027-01-01T00:00:00Z')
        self.check('start', '2001-01-01T00:00:00Z')
        self.check('as_of', '2026-11-24T00:00:00Z')
        self.check('as_of', '2026-11-01')

    def test_zones(self) -> None:
        for text in ('CET/', '../../etc/passwd', '/etc/localtime', 'Mars',
                     'Europe', 'a' * 250, '\u00e4'):
            self.check('timezone', text)

    def test_numbers(self) -> None:
        for text in ('0', '-1', '1.5', '1001', '999999999999', '1e3',
                     '\u0661', ' 1', '0x10'):
            self.check('limit', text)

    def test_groups(self) -> None:
        for text in ('project,', ',project', 'project,project',
                     'project;host', 'PROJECT', 'project_id'):
            self.check('group_by', text)
        for text in ('it_kwh:down', 'pue', 'start:', 'peak_kw'):
            self.check('sort', text)
        for text in ('minute', 'Hour', 'quarter,hour'):
            self.check('resolution', text)
        for text in ('True', '1', 'yes'):
            self.check('with_count', text)
            self.check('all_projects', text)

    def test_a_parameter_given_twice(self) -> None:
        for query in ('limit=1&limit=2', 'group_by=project&group_by=site',
                      'project=p1&project=p1'):
            detail = self.refused(400, f'{USAGE}?{query}', 'reader-p1')
            self.assertIn('given more than once', detail)

    def test_what_is_not_utf8_brings_no_traceback(self) -> None:
        for path in (f'{USAGE}?project=%FF', f'{USAGE}?%C3=1',
                     '/v1/hosts/%FF'):
            detail = self.refused(400, path, 'admin-p1')
            self.assertIn('UTF-8', detail)
        self.refused(400, USAGE + '?' + '&'.join(
            f'a{number}=1' for number in range(200)), 'reader-p1')

    def test_a_query_cannot_steer_the_framework(self) -> None:
        for name in ('_method', 'request', 'response', 'self', 'req',
                     'name'):
            self.check(name, 'delete')

    def test_odd_but_right_words_are_taken(self) -> None:
        for query in ({'project': 'p1'}, {'flavor': "'; drop table x"},
                      {'instance': '%'}, {'site': '\U0001f600'},
                      {'timezone': 'America/Argentina/Ushuaia'},
                      {'start': '2026-11-01T05:45:00+05:45'},
                      {'start': '20261101T000000Z'}, {'limit': '1000'}):
            self.get(USAGE, 'reader-p1', **query)
