# SPDX-License-Identifier: Apache-2.0
"""The commands, run by the real ``openstack`` shell against HTTP servers.

The energy API, Keystone and Nova are canned answers; everything between
the command line and the socket is real.
"""

import csv
import datetime
import io
import json
import logging
import os
import unittest
import uuid

from energy_accounting import units
from energy_accounting.osc import host
from tests.unit import web
from tests.unit.osc import shell

SERVER = str(uuid.UUID(int=1))
OWN = '0' * 31 + 'a'
OTHER = '0' * 31 + 'b'

ROW = {
    'start': '2026-11-01T00:00:00Z', 'end': '2026-11-02T00:00:00Z',
    'instance_id': SERVER, 'active_kwh': '1.234567890123456',
    'idle_kwh': '0.000000000000000', 'memory_kwh': None,
    'host_kwh': '0.100000000000000', 'platform_kwh': None,
    'it_kwh': '1.334567890123456', 'facility_kwh': None, 'pue': None,
    'pue_kind': None, 'co2_location_kg': None, 'co2_market_kg': None,
    'cue_kg_per_kwh': None, 'peak_kw': '0.250000000000000',
    'coverage': '0.998', 'boundary': 'rapl',
    'quality': {'measured': '1', 'backfilled': '0', 'estimated': '0'},
    'policy': 'two-part/1', 'water_l': None, 'renewable_share': None,
    'factor_quality': None, 'factor_basis': None,
    'market_factor_quality': None, 'market_factor_basis': None}
DAY = ('--start', '2026-11-01', '--end', '2026-11-02')


def usage(*rows, marker=None):
    links = [{'rel': 'next', 'href': f'/v1/usage?marker={marker}'}] \
        if marker else []
    return web.Answer({'usage': list(rows), 'links': links,
                       'complete_until': '2026-11-01T23:45:00Z'})


class CommandTest(unittest.TestCase):

    def setUp(self):
        super().setUp()
        # The shell sets up logging for the whole process.
        root = logging.getLogger()
        before = (root.handlers[:], root.level)
        self.addCleanup(root.setLevel, before[1])
        self.addCleanup(root.handlers.__setitem__, slice(None), before[0])
        environ = dict(os.environ)
        self.addCleanup(os.environ.update, environ)
        self.addCleanup(os.environ.clear)
        for name in environ:
            if name.startswith('OS_'):
                del os.environ[name]
        self.api = web.Server(self, lambda request: self.answer(request))

    def answer(self, request):
        return usage(ROW)

    def openstack(self, *words):
        """Run a command line; its exit status, stdout and stderr."""
        return shell.run(list(words))

    def energy(self, *words):
        """Run a command that must succeed, without Keystone."""
        status, out, err = self.openstack(
            '--os-auth-type', 'none', '--os-endpoint', self.api.url,
            'energy', *words)
        self.assertEqual(0, status, err)
        return out

    def refused(self, *words):
        """Run a command that must fail; its one line."""
        status, out, err = self.openstack(
            '--os-auth-type', 'none', '--os-endpoint', self.api.url,
            'energy', *words)
        self.assertNotEqual(0, status, out)
        self.assertEqual(1, len(err.splitlines()), err)
        return err.strip()

    def asked(self, number=-1):
        return self.api.requests[number].query


class UsageListTest(CommandTest):

    def test_dates_are_sent_as_moments_of_the_zone(self):
        self.energy('usage', 'list', *DAY, '--timezone', 'Europe/Berlin',
                    '--resolution', 'hour')
        self.assertEqual(
            {'start': '2026-10-31T23:00:00Z', 'end': '2026-11-01T23:00:00Z',
             'timezone': 'Europe/Berlin', 'resolution': 'hour',
             'group_by': 'project', 'all_projects': 'true'}, self.asked())

    def test_the_default_period_is_this_month_on_the_grid(self):
        self.energy('usage', 'list')
        start, end = (datetime.datetime.fromisoformat(self.asked()[name])
                      for name in ('start', 'end'))
        self.assertEqual((1, 0, 0), (start.day, start.hour, start.minute))
        self.assertEqual(0, units.wall_ns(end) % units.BUCKET_NS)
        self.assertLess(start, end)

    def test_a_relative_start_is_a_value_and_not_an_option(self):
        self.energy('usage', 'list', '--start', '-24h', '--end', 'now')
        start, end = (datetime.datetime.fromisoformat(self.asked()[name])
                      for name in ('start', 'end'))
        self.assertEqual(datetime.timedelta(hours=24, minutes=15),
                         end - start)

    def test_filters_groups_and_order_reach_the_api(self):
        self.energy('usage', 'list', *DAY, '--project', OTHER, '--server',
                    SERVER, '--group-by', 'instance, flavor', '--group-by',
                    'site', '--sort', 'active_kwh:desc')
        asked = self.asked()
        self.assertEqual(
            (OTHER, SERVER, 'instance,flavor,site', 'active_kwh:desc'),
            (asked['project'], asked['instance'], asked['group_by'],
             asked['sort']))
        self.assertNotIn('all_projects', asked)

    def test_json_and_csv_carry_the_figures_unrounded(self):
        rows = json.loads(self.energy('usage', 'list', *DAY, '--group-by',
                                      'instance', '-f', 'json'))
        self.assertEqual([ROW], rows)
        rows = list(csv.DictReader(io.StringIO(self.energy(
            'usage', 'list', *DAY, '--group-by', 'instance', '-f', 'csv'))))
        self.assertEqual('1.234567890123456', rows[0]['active_kwh'])
        self.assertEqual('', rows[0]['memory_kwh'])
        self.assertEqual(list(ROW), list(rows[0]))

    def test_a_table_is_rounded_and_says_its_period_and_zone(self):
        table = self.energy('usage', 'list', *DAY, '--group-by', 'instance',
                            '--timezone', 'Europe/Berlin')
        first, *lines = table.splitlines()
        self.assertEqual(
            '2026-11-01 00:00 until 2026-11-02 00:00 (excluded), '
            'Europe/Berlin; complete until 2026-11-02 00:45', first)
        self.assertIn('| 1.235 ', table)
        self.assertNotIn('1.2345', table)
        self.assertNotIn('facility_kwh', table)
        self.assertLess(len(lines[0]), 130)

    def test_times_in_a_table_are_those_of_the_zone_it_names(self):
        table = self.energy('usage', 'list', *DAY, '--resolution', 'day',
                            '--timezone', 'Europe/Berlin')
        self.assertIn('| 2026-11-01 01:00 |', table)
        rows = json.loads(self.energy(
            'usage', 'list', *DAY, '--resolution', 'day', '--timezone',
            'Europe/Berlin', '-f', 'json'))
        self.assertEqual('2026-11-01T00:00:00Z', rows[0]['start'])

    def test_a_column_is_found_by_its_api_name_in_any_format(self):
        self.assertEqual('two-part/1\n', self.energy(
            'usage', 'list', *DAY, '-c', 'policy', '-f', 'value'))
        self.assertIn('two-part/1', self.energy(
            'usage', 'list', *DAY, '-c', 'policy'))
        self.assertIn('| cue_kg_per_kwh |', self.energy(
            'usage', 'list', *DAY, '--long'))

    def test_columns_of_a_newer_api_are_not_lost(self):
        self.answer = lambda request: usage({**ROW, 'water_litre': '3.1'})
        rows = json.loads(self.energy('usage', 'list', *DAY, '-f', 'json',
                                      '--group-by', 'instance'))
        self.assertEqual('3.1', rows[0]['water_litre'])

    def test_no_rows_still_have_a_header(self):
        self.answer = lambda request: usage()
        header = self.energy('usage', 'list', *DAY, '-f', 'csv',
                             '--group-by', 'instance').splitlines()
        self.assertEqual([','.join(f'"{name}"' for name in ROW)], header)

    def test_all_pages_are_shown_without_a_limit(self):
        self.answer = lambda request: usage(ROW) \
            if 'marker' in request.query else usage(ROW, marker='m')
        rows = json.loads(self.energy('usage', 'list', *DAY, '-f', 'json'))
        self.assertEqual(2, len(rows))

    def test_a_limit_stops_and_says_how_to_go_on(self):
        self.answer = lambda request: usage(
            ROW, marker='m-3' if 'marker' in request.query else 'm-2')
        status, out, err = self.openstack(
            '--os-auth-type', 'none', '--os-endpoint', self.api.url,
            'energy', 'usage', 'list', *DAY, '--limit', '1', '-f', 'json')
        self.assertEqual(0, status)
        self.assertEqual(1, len(json.loads(out)))
        self.assertIn('--start 2026-11-01T00:00:00Z '
                      '--end 2026-11-02T00:00:00Z --marker m-2', err)
        self.assertEqual(1, len(self.api.requests))
        self.energy('usage', 'list', *DAY, '--limit', '1', '--marker', 'm-2')
        self.assertEqual('m-2', self.asked()['marker'])

    def test_wrong_options_never_reach_the_api(self):
        for words, said in (
                (('--start', 'noon'), 'noon'),
                (('--start', '2026-11-02', '--end', '2026-11-02'),
                 'end is exclusive'),
                (('--timezone', 'Mars/Base'), 'Mars/Base'),
                (('--month', '2026-11', '--end', 'now'), '--month'),
                (('--month', 'today'), 'is not a month')):
            with self.subTest(words):
                self.assertIn(said, self.refused('usage', 'list', *words))
        self.assertEqual([], self.api.requests)

    def test_what_was_known_before_cannot_be_asked_for(self):
        for command in (('usage', 'list', '--limit', '1'),
                        ('usage', 'show'), ('report', 'show')):
            self.answer = lambda request: usage(
                {**ROW, 'boundary': 'mixed'}, marker='m'
                if request.query['group_by'] == 'project'
                and 'marker' not in request.query else None)
            before = len(self.api.requests)
            _, out, err = self.openstack(
                '--os-auth-type', 'none', '--os-endpoint', self.api.url,
                'energy', *command, *DAY, '--timezone', 'Europe/Berlin',
                '--as-of', '2026-11-05')
            self.assertEqual({'2026-11-04T23:00:00Z'}, {
                request.query['as_of']
                for request in self.api.requests[before:]}, err)
            self.assertIn('as it was known at 2026-11-05 00:00', out)
            self.assertEqual('list' in command,
                             '--as-of 2026-11-04T23:00:00Z' in err)
        self.energy('usage', 'show', *DAY, '--as-of', '-2d')
        self.assertEqual(0, units.wall_ns(datetime.datetime.fromisoformat(
            self.asked()['as_of'])) % units.BUCKET_NS)
        self.energy('usage', 'show', *DAY, '--as-of', 'now')
        self.assertNotIn('as_of', self.asked())
        self.assertIn('--as-of: ', self.refused('usage', 'show', *DAY,
                                                '--as-of', 'noon'))

    def test_a_refusal_of_the_api_is_one_line(self):
        self.answer = lambda request: web.Answer({'errors': [
            {'status': 400, 'title': 'Bad Request', 'code': 'x',
             'detail': 'group_by: no such name:\ncolour'}]}, 400)
        self.assertEqual('group_by: no such name: colour', self.refused(
            'usage', 'list', '--group-by', 'colour'))


class UsageShowTest(CommandTest):

    def test_one_sum_with_its_watermark(self):
        shown = json.loads(self.energy('usage', 'show', *DAY, '--server',
                                       SERVER, '-f', 'json'))
        self.assertEqual({**ROW, 'complete_until': '2026-11-01T23:45:00Z'},
                         shown)
        self.assertEqual(('instance', 'total', SERVER), tuple(
            self.asked()[name]
            for name in ('group_by', 'resolution', 'instance')))

    def test_a_server_without_energy_is_an_error_and_no_zero(self):
        self.answer = lambda request: usage()
        self.assertIn(SERVER, self.refused('usage', 'show', *DAY,
                                           '--server', SERVER))

    def test_one_node_meter_more_makes_two_sums_of_one(self):
        mixed = {**ROW, 'boundary': 'mixed'}
        del mixed['instance_id']
        self.answer = lambda request: usage(mixed) if request.query[
            'group_by'] == 'none' else usage(ROW, {**ROW, 'boundary': 'node'})
        shown = json.loads(self.energy('usage', 'show', *DAY,
                                       '--all-projects', '-f', 'json'))
        self.assertEqual({**mixed, 'complete_until': '2026-11-01T23:45:00Z'},
                         shown)
        self.assertEqual([mixed], json.loads(self.energy(
            'usage', 'list', *DAY, '--group-by', 'none', '-f', 'json')))


class OperatorTest(CommandTest):

    def test_balance_keeps_every_microjoule(self):
        sheet = {'measured_kwh': '1.000000000000000',
                 'measured_uj': '3600000000000', 'difference_uj': '0',
                 'unallocated_by_reason': {'ended': '12'},
                 'gaps': [{'host': 'h', 'zone': None, 'start': 'a',
                           'end': 'b', 'reason': 'reset'}]}
        self.answer = lambda request: web.Answer({'balance': sheet})
        self.assertEqual(sheet, json.loads(self.energy(
            'balance', 'show', *DAY, '--host', 'h', '-f', 'json')))
        self.assertEqual(('/v1/balance', 'h'),
                         (self.api.requests[-1].path, self.asked()['host']))
        table = self.energy('balance', 'show', *DAY)
        self.assertIn('3600000000000', table)
        self.assertIn('host=h', table)
        sheet['sites'] = [{f'energy_{number}_uj': str(10 ** 15)
                           for number in range(12)}]
        _, *lines = self.energy('balance', 'show', *DAY).splitlines()
        self.assertLess(max(map(len, lines)), 100)
        self.assertIn('energy_11_uj=1000000000000000', '\n'.join(lines))

    def test_hosts(self):
        row = {**dict.fromkeys(host.COLUMNS), 'name': 'h1',
               'state': 'enrolled', 'basis': ['package-0'],
               'coverage': '1', 'lag_seconds': 12}
        self.answer = lambda request: web.Answer(
            {'hosts': [row]} if request.path == '/v1/hosts'
            else {'host': row})
        self.assertEqual([row], json.loads(self.energy(
            'host', 'list', '-f', 'json')))
        self.assertNotIn('basis', self.energy('host', 'list'))
        self.assertIn('basis', self.energy('host', 'list', '--long'))
        self.assertEqual(row, json.loads(self.energy(
            'host', 'show', 'h1', '-f', 'json')))
        self.assertEqual('/v1/hosts/h1', self.api.requests[-1].path)


class KeystoneTest(CommandTest):
    """With a token, a catalogue, other projects and Nova."""

    forbidden = False

    def setUp(self):
        super().setUp()
        self.of_nova = []
        self.cloud = web.Server(self, lambda request: self.serve(request))

    def serve(self, request):
        url = self.cloud.url
        if request.path == '/v3/auth/tokens':
            return web.Answer({'token': {
                'methods': ['password'], 'user': {'id': 'u', 'name': 'u',
                                                  'domain': {'id': 'd'}},
                'expires_at': '2099-01-01T00:00:00.000000Z',
                'issued_at': '2026-01-01T00:00:00.000000Z',
                'project': {'id': OWN, 'name': 'own', 'domain':
                            {'id': 'default', 'name': 'Default'}},
                'roles': [{'name': 'reader'}],
                'catalog': [
                    _service('identity', f'{url}/v3'),
                    _service('compute', f'{url}/v2.1'),
                    _service('energy-accounting', f'{self.api.url}')],
            }}, 201, (('X-Subject-Token', 'secret'),))
        if request.path.rstrip('/') in ('', '/v3'):
            return web.Answer({'version': {
                'id': 'v3.14', 'status': 'stable',
                'links': [{'rel': 'self', 'href': f'{url}/v3/'}]}})
        if self.forbidden:
            return web.Answer({'error': {'message': 'no'}}, 403)
        if request.path == '/v3/projects':
            return web.Answer({'projects': [
                {'id': OTHER, 'name': 'other'}]
                if request.query.get('name') == 'other' else []})
        if request.path in ('/v3/domains', '/v3/users'):
            noun = request.path.rpartition('/')[2]
            return web.Answer({noun: [
                {'id': f'id of {name}', 'name': 'tom'} for name
                in (('a', 'b') if noun == 'users' and 'domain_id' not in
                    request.query else 'a')]
                if request.query.get('name') == 'tom' else []})
        if request.path == '/v2.1/flavors/42':
            return web.Answer({'flavor': {'id': '42', 'name': 'm1.small'}})
        if request.path in ('/v2.1/servers', '/v2.1/servers/detail'):
            self.of_nova.append(request.query)
            found = request.query.get('name') in ('web', None, 'twin') \
                and 'marker' not in request.query
            return web.Answer({'servers': [
                {'id': server, 'name': request.query.get('name', 'web')}
                for server in (SERVER, OTHER)[
                    :2 if request.query.get('name') == 'twin' else 1]
                ] if found else []})
        if request.path.rstrip('/') == '/v2.1':
            return web.Answer({'version': {
                'id': 'v2.1', 'status': 'CURRENT', 'version': '2.104',
                'min_version': '2.1', 'links': [
                    {'rel': 'self', 'href': f'{url}/v2.1/'}]}})
        return web.Answer({'error': {'message': 'no such thing'}}, 404)

    def signed_in(self, *words):
        status, out, err = self.openstack(
            '--os-auth-url', f'{self.cloud.url}/v3', '--os-username', 'u',
            '--os-password', 'p', '--os-project-name', 'own',
            '--os-user-domain-name', 'Default', '--os-project-domain-name',
            'Default', 'energy', *words)
        return status, out, err

    def test_a_tenants_list_is_its_own_servers(self):
        status, _out, err = self.signed_in('usage', 'list', *DAY)
        self.assertEqual(0, status, err)
        self.assertEqual('instance', self.asked()['group_by'])
        self.assertEqual(set(), {'project', 'all_projects'}
                         & set(self.asked()))
        self.assertEqual('secret',
                         self.api.requests[-1].headers['x-auth-token'])

    def test_the_own_projects_name_needs_no_question_to_keystone(self):
        self.forbidden = True
        self.signed_in('usage', 'list', *DAY, '--project', 'own')
        self.assertEqual(OWN, self.asked()['project'])

    def test_another_projects_name_becomes_its_id(self):
        status, _out, err = self.signed_in('usage', 'list', *DAY,
                                           '--project', 'other')
        self.assertEqual(0, status, err)
        self.assertEqual(OTHER, self.asked()['project'])

    def test_where_keystone_forbids_the_question_the_text_is_the_id(self):
        self.forbidden = True
        status, _out, err = self.signed_in('usage', 'list', *DAY,
                                           '--project', OTHER)
        self.assertEqual(0, status, err)
        self.assertEqual(OTHER, self.asked()['project'])

    def test_an_unknown_project_is_one_line(self):
        status, _out, err = self.signed_in('usage', 'list', *DAY,
                                           '--project', 'nobody')
        self.assertEqual(1, status)
        self.assertEqual(1, len(err.splitlines()), err)
        self.assertIn('nobody', err)
        self.assertEqual([], self.api.requests)

    def test_a_project_that_was_deleted_has_no_energy(self):
        gone = str(uuid.UUID(int=9))
        status, _out, err = self.signed_in('usage', 'list', *DAY,
                                           '--project', gone)
        self.assertEqual(0, status, err)
        self.assertEqual(gone, self.asked()['project'])

    def test_what_people_call_it_is_not_what_the_api_is_asked(self):
        status, _out, err = self.signed_in(
            'usage', 'list', *DAY, '--domain', 'tom', '--user', 'tom',
            '--user-domain', 'tom', '--flavor', '42', '--site', 'berlin')
        self.assertEqual(0, status, err)
        self.assertEqual(
            ('id of a', 'id of a', 'm1.small', 'berlin'), tuple(
                self.asked()[name]
                for name in ('domain', 'user', 'flavor', 'site')))
        self.signed_in('usage', 'list', *DAY, '--flavor', 'm1.deleted')
        self.assertEqual('m1.deleted', self.asked()['flavor'])

    def test_one_of_several_is_taken(self):
        for words, remedy in (
                (('--user', 'tom'), '--user-domain'),
                (('--server', 'twin'), 'give its ID')):
            status, _out, err = self.signed_in('usage', 'list', *DAY,
                                               *words)
            self.assertEqual(1, status)
            self.assertEqual(1, len(err.splitlines()), err)
            self.assertIn('more than one', err)
            self.assertIn(remedy, err)
        for words in (('--user', 'nobody'), ('--domain', 'nowhere')):
            status, _out, err = self.signed_in('usage', 'list', *DAY,
                                               *words)
            self.assertEqual(1, status)
            self.assertIn(f'there is no {words[0][2:]} called {words[1]}',
                          err)
        self.assertEqual([], self.api.requests)

    def test_a_tariff_of_a_name_charges_nobody(self):
        """The API compares what it is given with ids."""
        create = ('tariff', 'create', 'power', '--start',
                  '2026-01-01T00:00:00Z', '--currency', 'EUR', '--quantity',
                  'it', '--price-per-kwh', '0.25', '--legal-basis', 'x')
        self.answer = lambda request: web.Answer(
            {'tariff': {}} if request.method == 'POST' else
            {'tariffs': [], 'links': []})
        for words in (('tariff', 'list'), create):
            status, _out, err = self.signed_in(
                *words, '--project', 'other', '--project-domain', 'tom',
                '--domain', 'tom')
            self.assertEqual(0, status, err)
            asked = self.api.requests[-1]
            said = asked.query if words[1] == 'list' else json.loads(
                asked.body)
            self.assertEqual((OTHER, 'id of a'),
                             (said['project'], said['domain']))
        del self.api.requests[:]
        for words in (('tariff', 'list'), create):
            for option, text, told in (
                    ('--project', 'nobody', 'no project called nobody'),
                    ('--domain', 'nowhere', 'no domain called nowhere'),
                    ('--project', '', '--project is empty'),
                    ('--domain', '', '--domain is empty')):
                status, _out, err = self.signed_in(*words, option, text)
                self.assertEqual(1, status)
                self.assertEqual(1, len(err.splitlines()), err)
                self.assertIn(told, err)
        self.assertEqual([], self.api.requests)

    def test_a_domain_that_tells_two_projects_apart_cannot_be_said(self):
        self.answer = lambda request: web.Answer(
            {'export': {}} if request.method == 'POST' else
            {request.path.rpartition('/')[2]: [], 'links': []})
        for words in (('export', 'list'), ('statement', 'list'),
                      ('export', 'create', 'csv', '--month', '2026-10')):
            status, _out, err = self.signed_in(
                *words, '--project', 'other', '--project-domain', 'tom')
            self.assertEqual(0, status, err)
            self.assertEqual('id of a', next(
                request.query.get('domain_id')
                for request in reversed(self.cloud.requests)
                if request.path == '/v3/projects'))

    def test_an_administrator_finds_only_servers_of_its_own(self):
        for words, wide in (((), False), (('--project', 'other'), True),
                            (('--all-projects',), True)):
            del self.of_nova[:]
            status, _out, err = self.signed_in(
                'usage', 'list', *DAY, '--server', 'web', *words)
            self.assertEqual(0, status, err)
            self.assertEqual(wide, 'all_tenants' in self.of_nova[-1]
                             or 'all_projects' in self.of_nova[-1],
                             self.of_nova)

    def test_a_servers_name_becomes_its_id(self):
        status, _out, err = self.signed_in('usage', 'list', *DAY,
                                           '--server', 'web')
        self.assertEqual(0, status, err)
        self.assertEqual(SERVER, self.asked()['instance'])

    def test_an_unknown_server_name_is_refused_with_the_remedy(self):
        status, _out, err = self.signed_in('usage', 'list', *DAY,
                                           '--server', 'gone')
        self.assertEqual(1, status)
        self.assertIn('give the ID', err)

    def test_a_name_nobody_can_look_up_is_taken_for_no_energy(self):
        self.forbidden = True
        status, _out, err = self.signed_in('usage', 'list', *DAY,
                                           '--server', 'web')
        self.assertEqual(1, status)
        self.assertIn('give the ID of web', err)
        self.assertEqual([], self.api.requests)

    def test_an_unset_variable_widens_the_question(self):
        for option in ('--server', '--project', '--domain', '--flavor',
                       '--user', '--site', '--region', '--host',
                       '--account', '--boundary'):
            status, _out, err = self.signed_in('usage', 'list', *DAY,
                                               option, '')
            self.assertEqual(1, status)
            self.assertIn(f'{option} is empty', err)
        self.assertEqual([], self.api.requests)

    def test_the_report_calls_servers_by_their_names(self):
        status, out, err = self.signed_in('report', 'show', *DAY)
        self.assertEqual(0, status, err)
        self.assertIn('  web ', out)
        self.assertNotIn(SERVER, out)


def _service(kind, url):
    return {'type': kind, 'name': kind, 'id': kind, 'endpoints': [
        {'id': kind, 'interface': 'public', 'region': 'r',
         'region_id': 'r', 'url': url}]}
