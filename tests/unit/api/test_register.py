# SPDX-License-Identifier: Apache-2.0
"""The hosts' register, its audit and what monitoring sees of it."""

from __future__ import annotations

import base64
import datetime
from typing import Any

import webob

from energy_accounting import collector, signing, units
from energy_accounting.api import app
from energy_accounting.ledger import audit, identities
from tests.unit import records
from tests.unit.api import cloud

HOSTS = '/v1/hosts'
ADMIN = 'admin-p1'
KEY, OTHER = (base64.b64encode(bytes([number] * 32)).decode()
              for number in (1, 2))


class RegisterCase(cloud.ApiCase):

    def setUp(self) -> None:
        super().setUp()
        self.now = datetime.datetime(2026, 11, 1, 0, 31, tzinfo=units.UTC)

    def post(self, body: Any, path: str = HOSTS, status: int = 201) -> Any:
        return self.send('POST', path, body, status)

    def patch(self, name: str, status: int = 200, **body: Any) -> Any:
        answer = self.send('PATCH', f'{HOSTS}/{name}', body, status)
        return answer['host'] if status == 200 else answer

    def send(self, method: str, path: str, body: Any, status: int) -> Any:
        """The body of an answer, or the detail of its error."""
        answer: webob.Response = self.ask(path, ADMIN, method=method,
                                          body=body)
        self.assertEqual(status, answer.status_int, answer.text)
        if status >= 400:
            return answer.json['errors'][0]['detail']
        return answer.json if answer.body else None

    def host(self, name: str) -> Any:
        return self.get(f'{HOSTS}/{name}', ADMIN)['host']

    def audited(self, **filters: Any) -> list[tuple[Any, ...]]:
        """What was kept, the newest first."""
        return [(one['kind'], one['subject'], one['was'], one['became'])
                for one in self.get('/v1/audit', ADMIN, **filters)['audit']]

    def lines(self) -> dict[str, str]:
        answer = self.ask('/metrics', ADMIN)
        self.assertEqual(200, answer.status_int)
        return dict(line.rsplit(' ', 1) for line in answer.text.splitlines()
                    if not line.startswith('#'))

    def sent(self, name: str, signer: signing.Signer) -> str:
        """A window of a host that nobody has enrolled arrives."""
        window = records.window(1, host=name)
        answer = collector.Collector(
            self.database, None, lambda: records.START_NS + 10 ** 12,
            'manual').book({}, [signer.sign(
                records.wire.payload(window))])
        return str(answer['results'][0])


class EnrolTest(RegisterCase):

    def test_a_new_name_is_not_expected_from_now_on(self) -> None:
        host = self.post({
            'name': 'compute-9', 'site': 'munich', 'region': 'south',
            'public_key': KEY, 'max_power_w': '350.5'})['host']
        self.assertEqual(
            ('enrolled', True, 'munich', 'south', KEY, '350.500000',
             '2026-11-01T00:31:00Z', None),
            (host['state'], host['expected'], host['site'], host['region'],
             host['public_key'], host['max_power_w'], host['enrolled_at'],
             host['last_window_end']))
        self.assertEqual(host, self.host('compute-9'))
        self.assertIsNone(self.get('/v1/balance', ADMIN)['balance'][
            'complete_until'])

    def test_the_only_key_of_a_pending_host_is_not_pinned(self) -> None:
        signer = signing.Signer.new()
        self.assertEqual('quarantined', self.sent('compute-9', signer))
        pending = self.host('compute-9')
        self.assertEqual(('pending', False, None, [signer.key]), (
            pending['state'], pending['expected'], pending['public_key'],
            pending['presented_keys']))
        host = self.post({'name': 'compute-9'})['host']
        self.assertEqual(('enrolled', signer.key, []), (
            host['state'], host['public_key'], host['presented_keys']))

    def test_one_of_two_keys_is_pinned_at_random(self) -> None:
        signers = [signing.Signer.new(), signing.Signer.new()]
        for signer in signers:
            self.sent('compute-9', signer)
        detail = self.post({'name': 'compute-9'}, status=409)
        for signer in signers:
            self.assertIn(signer.key, detail)
        self.assertIn('give public_key', detail)
        self.assertEqual('pending', self.host('compute-9')['state'])
        host = self.post({'name': 'compute-9',
                          'public_key': signers[1].key})['host']
        self.assertEqual((signers[1].key, [signers[0].key]), (
            host['public_key'], host['presented_keys']))

    def test_an_enrolled_host_is_enrolled_again(self) -> None:
        self.assertIn('PATCH', self.post({'name': 'compute-1'}, status=409))

    def test_a_retired_host_cannot_come_back(self) -> None:
        self.patch('compute-1', state='retired', public_key=KEY)
        host = self.post({'name': 'compute-1'})['host']
        self.assertEqual(('enrolled', KEY, 'default', None), (
            host['state'], host['public_key'], host['site'],
            host['retired_at']))

    def test_bad_words_are_taken_or_not_named(self) -> None:
        for body, name in (
                ({}, 'name'), ({'name': ''}, 'name'),
                ({'name': ' x'}, 'name'), ({'name': 'a/b'}, 'name'),
                ({'name': 'a\n'}, 'name'), ({'name': '.'}, 'name'),
                ({'name': '..'}, 'name'),
                ({'name': 'x', 'state': 'retired'}, 'state'),
                ({'name': 'x', 'site': ''}, 'site'),
                ({'name': 'x', 'region': 'r'}, 'region'),
                ({'name': 'x', 'public_key': 'no'}, 'public_key'),
                ({'name': 'x', 'public_key': 'A' * 44}, 'public_key'),
                # The same bytes in another text.
                ({'name': 'x', 'public_key': KEY[:42] + 'F='},
                 'public_key'),
                ({'name': 'x', 'max_power_w': 0}, 'max_power_w'),
                ({'name': 'x', 'max_power_w': -1.5}, 'max_power_w'),
                ({'name': 'x', 'max_power_w': '1.1234567'}, 'max_power_w'),
                ({'name': 'x', 'max_power_w': 1e-7}, 'max_power_w'),
                ({'name': 'x', 'max_power_w': 1e9}, 'max_power_w'),
                ({'name': 'x', 'max_power_w': 10 ** 400}, 'max_power_w'),
                ({'name': 'x', 'max_power_w': True}, 'max_power_w')):
            with self.subTest(body=body):
                detail = self.post(body, status=400)
                self.assertRegex(detail, f'^(body: )?{name}')
        self.assertEqual([], self.audited())

    def test_a_power_of_any_exponent_is_a_failure_of_ours(self) -> None:
        for method, path, name in (('POST', HOSTS, b'"name": "x", '),
                                   ('PATCH', f'{HOSTS}/compute-1', b'')):
            for watts in (b'1e999999', b'-1e999999', b'1e-999999',
                          b'0.1e-999999', b'1.' + b'0' * 40 + b'1'):
                request = webob.Request.blank(
                    path, method=method, content_type='application/json',
                    body=b'{' + name + b'"max_power_w": ' + watts + b'}',
                    headers={'X-Auth-Token': ADMIN})
                answer = request.get_response(self.app)
                self.assertEqual(400, answer.status_int, watts)
                self.assertRegex(answer.json['errors'][0]['detail'],
                                 '^max_power_w: ')
        self.assertEqual([], self.audited())


class ChangeTest(RegisterCase):

    def test_a_retired_host_holds_up_what_is_complete(self) -> None:
        self.assertEqual('2026-11-01T00:29:00Z', self.get(
            '/v1/usage', ADMIN)['complete_until'])
        host = self.patch('compute-2', state='retired')
        self.assertEqual(('retired', '2026-11-01T00:31:00Z', False, False), (
            host['state'], host['retired_at'], host['expected'],
            host['late']))
        self.assertEqual('2026-11-01T00:30:00Z', self.get(
            '/v1/usage', ADMIN)['complete_until'])

    def test_a_key_cannot_be_replaced(self) -> None:
        self.patch('compute-1', public_key=KEY)
        self.assertEqual(OTHER, self.patch(
            'compute-1', public_key=OTHER)['public_key'])
        self.assertEqual([
            ('key', 'compute-1', {'public_key': KEY}, {'public_key': OTHER}),
            ('key', 'compute-1', {'public_key': None}, {'public_key': KEY})],
            self.audited(subject='compute-1'))

    def test_energy_that_was_booked_moves_to_another_site(self) -> None:
        detail = self.patch('compute-2', 409, site='default')
        self.assertIn("at site 'berlin'", detail)
        self.assertIn('retire it', detail)
        self.assertEqual('berlin', self.host('compute-2')['site'])
        self.assertEqual('berlin', self.patch(
            'compute-2', site='berlin', region='de')['site'])

    def test_a_host_that_booked_nothing_cannot_move(self) -> None:
        self.post({'name': 'compute-9'})
        host = self.patch('compute-9', site='berlin')
        self.assertEqual(('berlin', 'de'), (host['site'], host['region']))
        self.assertEqual(
            ('host', 'compute-9', {'site': 'default'}, {'site': 'berlin'}),
            self.audited()[0])

    def test_a_site_changes_its_region(self) -> None:
        for body in ({'site': 'berlin', 'region': 'fr'},
                     {'site': 'default', 'region': 'fr'}):
            self.assertIn('region: site', self.post(
                {'name': 'compute-9', **body}, status=409))
        self.refused(404, f'{HOSTS}/compute-9', ADMIN)

    def test_nobody_knows_who_gave_a_site_its_region(self) -> None:
        self.post({'name': 'compute-8', 'site': 'munich'})
        self.assertEqual([], self.audited(kind='site'))
        self.patch('compute-8', site='munich', region='south')
        self.post({'name': 'compute-9', 'site': 'bonn', 'region': 'west'})
        self.patch('compute-8', site='munich', region='south')
        self.assertEqual([
            ('site', 'bonn', {'region': None}, {'region': 'west'}),
            ('site', 'munich', {'region': None}, {'region': 'south'})],
            self.audited(kind='site'))

    def test_a_mistyped_region_stays_where_nothing_is_booked(self) -> None:
        self.post({'name': 'compute-9', 'site': 'paris', 'region': 'f'})
        self.assertEqual('fr', self.patch(
            'compute-9', site='paris', region='fr')['region'])
        self.assertEqual(
            ('site', 'paris', {'region': 'f'}, {'region': 'fr'}),
            self.audited(kind='site')[0])

    def test_the_power_cannot_be_taken_back(self) -> None:
        self.assertEqual('350.000000', self.patch(
            'compute-1', max_power_w=350)['max_power_w'])
        self.assertIsNone(self.patch(
            'compute-1', max_power_w=None)['max_power_w'])

    def test_what_changes_nothing_is_kept(self) -> None:
        self.patch('compute-1', state='enrolled')
        self.assertEqual([], self.audited())

    def test_nothing_and_nobody_can_be_changed(self) -> None:
        self.send('PATCH', f'{HOSTS}/compute-1', {}, 400)
        self.send('PATCH', f'{HOSTS}/nobody', {'state': 'retired'}, 404)
        self.send('PATCH', f'{HOSTS}/compute-1', {'state': 'pending'}, 400)
        self.send('PATCH', f'{HOSTS}/compute-1', {'public_key': None}, 400)


class DowntimeTest(RegisterCase):

    DOWNTIMES = f'{HOSTS}/compute-1/downtimes'
    PLAN = {'start': '2026-11-01T00:30:00Z',  # noqa: RUF012
            'end': '2026-11-01T02:00:00+01:00', 'reason': 'new DIMMs'}

    def test_a_downtime_is_not_shown_or_not_gone(self) -> None:
        made = self.post(self.PLAN, self.DOWNTIMES)['downtime']
        self.assertEqual(
            ('2026-11-01T00:30:00Z', '2026-11-01T01:00:00Z', 'new DIMMs'),
            (made['start'], made['end'], made['reason']))
        self.assertEqual({'downtimes': [made], 'links': []},
                         self.get(self.DOWNTIMES, ADMIN))
        host = self.host('compute-1')
        self.assertEqual((made, False), (host['downtime'],
                                         host['expected']))
        self.send('DELETE', f'{self.DOWNTIMES}/{made["id"]}', None, 204)
        self.assertEqual({'downtimes': [], 'links': []},
                         self.get(self.DOWNTIMES, ADMIN))
        self.assertEqual([
            ('downtime', 'compute-1', made, None),
            ('downtime', 'compute-1', None, made)], self.audited())

    def test_a_page_of_downtimes_leaves_one_out_or_has_it_twice(
            self) -> None:
        made = [self.post({**self.PLAN, 'start': start},
                          self.DOWNTIMES)['downtime']['id']
                for start in ('2026-11-01T00:30:00Z', '2026-11-01T00:45:00Z',
                              '2026-11-01T00:30:00Z')]
        self.post(self.PLAN, f'{HOSTS}/compute-2/downtimes')
        found: list[int] = []
        path, more = self.DOWNTIMES, {'limit': '1', 'with_count': 'true'}
        while path:
            body = self.get(path, ADMIN, **more)
            self.assertEqual((3, 1), (body['count'], len(body['downtimes'])))
            found += [one['id'] for one in body['downtimes']]
            path, more = next((link['href'] for link in body['links']), ''), {}
        self.assertEqual([made[1], made[2], made[0]], found)
        for name, text in (('limit', '0'), ('marker', 'x'), ('sort', 'x')):
            self.assertIn(name, self.refused(400, self.DOWNTIMES, ADMIN,
                                             **{name: text}))

    def test_the_downtime_of_another_host_is_forgotten(self) -> None:
        made = self.post(self.PLAN, self.DOWNTIMES)['downtime']
        for path in (f'{HOSTS}/compute-2/downtimes/{made["id"]}',
                     f'{HOSTS}/nobody/downtimes/{made["id"]}',
                     f'{self.DOWNTIMES}/x', f'{self.DOWNTIMES}/-1',
                     f'{self.DOWNTIMES}/{"9" * 30}'):
            self.send('DELETE', path, None, 404)
        self.refused(404, f'{HOSTS}/nobody/downtimes', ADMIN)
        self.post(self.PLAN, f'{HOSTS}/nobody/downtimes', status=404)

    def test_a_plan_that_is_none_is_taken(self) -> None:
        for name, text in (
                ('start', '2026-11-01T00:30:00'), ('start', 'soon'),
                ('end', '2026-11-01T00:30:00Z'), ('reason', ''),
                ('reason', ' '), ('end', '2099-01-01T00:00:00Z'), ('x', 'x')):
            with self.subTest(name=name, text=text):
                self.assertRegex(
                    self.post({**self.PLAN, name: text}, self.DOWNTIMES,
                              status=400), f'^{name}')
        self.assertRegex(self.post(
            {**self.PLAN, 'start': '2026-10-01T00:00:00Z',
             'end': '2026-11-01T00:31:00Z'}, self.DOWNTIMES, status=400),
            '^end: .* has passed')

    def test_an_outage_that_was_is_excused(self) -> None:
        before = self.host('compute-1')['coverage']
        for start in ('2019-01-01T00:00:00Z', '2026-11-01T00:29:59Z'):
            self.assertRegex(self.post(
                {**self.PLAN, 'start': start}, self.DOWNTIMES, status=400),
                '^start: .* has passed; give 2026-11-01T00:30:00Z or')
        self.assertEqual(before, self.host('compute-1')['coverage'])

    def test_its_silence_is_blamed_on_a_host(self) -> None:
        before = self.host('compute-1')['coverage']
        self.post({**self.PLAN, 'end': '2026-11-01T12:30:00Z'},
                  self.DOWNTIMES)
        self.now += datetime.timedelta(hours=12)
        host = self.host('compute-1')
        self.assertFalse(host['late'])
        # Half a day passed, and nothing of it counts.
        self.assertGreater(float(host['coverage']), 1.5 * float(before))


class LateTest(RegisterCase):
    """compute-1 was heard of until 00:30, compute-2 until 00:29."""

    def late(self, seconds: int) -> list[str]:
        """Who is late so long after half past, by rows and by filter."""
        self.now = (datetime.datetime(2026, 11, 1, 0, 30, tzinfo=units.UTC)
                    + datetime.timedelta(seconds=seconds))
        rows = self.get(HOSTS, ADMIN)['hosts']
        names = [row['name'] for row in rows if row['late']]
        for late, wanted in (('true', names), ('false', [
                row['name'] for row in rows if not row['late']])):
            body = self.get(HOSTS, ADMIN, late=late, with_count='true')
            self.assertEqual((wanted, len(wanted)), (
                [row['name'] for row in body['hosts']], body['count']))
        return names

    def test_three_windows_are_not_the_edge(self) -> None:
        for seconds, names in (
                (119, []), (120, []), (121, ['compute-2']),
                (180, ['compute-2']), (181, ['compute-1', 'compute-2'])):
            with self.subTest(seconds=seconds):
                self.assertEqual(names, self.late(seconds))

    def test_a_host_of_long_windows_has_no_more_time(self) -> None:
        from energy_accounting.ledger import models
        with self.database.writer() as connection:
            connection.execute(models.hosts.update().where(
                models.hosts.c.name == 'compute-1').values(
                    window_seconds=900))
        self.assertEqual(['compute-2'], self.late(2700))
        self.assertEqual(['compute-1', 'compute-2'], self.late(2701))

    def test_one_that_never_reported_is_late_at_once_or_never(self) -> None:
        self.now = datetime.datetime(2026, 11, 1, 0, 30, tzinfo=units.UTC)
        self.post({'name': 'compute-9'})
        self.assertNotIn('compute-9', self.late(180))
        self.assertIn('compute-9', self.late(181))
        self.late(3600)
        self.assertEqual('0.0000', self.host('compute-9')['coverage'])

    def test_a_retired_host_is_late(self) -> None:
        self.patch('compute-2', state='retired')
        self.assertEqual(['compute-1'], self.late(3600))

    def test_after_a_downtime_a_host_has_no_time_to_come_back(self) -> None:
        self.now = datetime.datetime(2026, 11, 1, 0, 30, tzinfo=units.UTC)
        self.post({'start': '2026-11-01T00:40:00Z', 'reason': 'r',
                   'end': '2026-11-01T01:00:00Z'},
                  f'{HOSTS}/compute-2/downtimes')
        for seconds, late in ((599, True), (600, False), (1800, False),
                              (1979, False), (1980, True)):
            with self.subTest(seconds=seconds):
                self.assertEqual(late, 'compute-2' in self.late(seconds))


class ReplaceTest(RegisterCase):
    """A real collector books for the host whose register is changed."""

    def setUp(self) -> None:
        super().setUp()
        self.old, self.new = signing.Signer.new(), signing.Signer.new()

    def arrives(self, number: int, signer: signing.Signer,
                stream: str = 's') -> str:
        window = records.window(number, host='compute-9', stream=stream)
        answer = collector.Collector(
            self.database, None, lambda: records.START_NS + 10 ** 13,
        ).book({}, [signer.sign(records.wire.payload(window))])
        return str(answer['results'][0])

    def test_nobody_sees_when_a_host_was_heard_of(self) -> None:
        self.post({'name': 'compute-9', 'public_key': self.old.key})
        self.arrives(1, self.new)
        self.assertIsNone(self.host('compute-9')['last_received'])
        self.arrives(1, self.old)
        self.assertEqual('2026-03-01T02:46:40Z',
                         self.host('compute-9')['last_received'])

    def test_another_key_is_booked_before_an_operator_says_so(self) -> None:
        self.assertEqual('booked', self.arrives(1, self.old))
        self.assertEqual('quarantined', self.arrives(1, self.new, 't'))
        host = self.host('compute-9')
        self.assertEqual((self.old.key, [self.new.key]), (
            host['public_key'], host['presented_keys']))
        self.assertIn(self.new.key, host['alarm'])
        host = self.patch('compute-9', public_key=self.new.key)
        self.assertEqual((self.new.key, [self.old.key], None), (
            host['public_key'], host['presented_keys'], host['alarm']))
        self.assertEqual('booked', self.arrives(2, self.new, 't'))
        self.assertEqual('quarantined', self.arrives(2, self.old))
        self.assertEqual(
            [f'user of {ADMIN}', 'collector'],
            [one['actor'] for one in self.get(
                '/v1/audit', ADMIN, kind='key')['audit']])

    def test_a_retired_host_is_booked_until_it_is_enrolled(self) -> None:
        self.assertEqual('booked', self.arrives(1, self.old))
        self.patch('compute-9', state='retired')
        self.assertEqual('quarantined', self.arrives(2, self.old))
        self.post({'name': 'compute-9'})
        self.assertEqual('booked', self.arrives(3, self.old))


class AuditTest(RegisterCase):

    def test_who_and_when_is_not_kept(self) -> None:
        answer = self.ask(f'{HOSTS}/compute-1', ADMIN, method='PATCH',
                          body={'state': 'retired'})
        one, = self.get('/v1/audit', ADMIN)['audit']
        self.assertEqual({
            'at': '2026-11-01T00:31:00Z', 'actor': f'user of {ADMIN}',
            'request_id': answer.headers['x-openstack-request-id'],
            'kind': 'host', 'subject': 'compute-1',
            'was': {'state': 'enrolled'}, 'became': {'state': 'retired'}},
            one)

    def test_pages_and_filters_leave_out_or_repeat(self) -> None:
        for name in ('a', 'b', 'c'):
            self.post({'name': name, 'public_key': KEY})
        first = self.get('/v1/audit', ADMIN, limit='4', with_count='true')
        self.assertEqual(6, first['count'])
        second = self.get(first['links'][0]['href'], ADMIN)
        self.assertEqual([], second['links'])
        self.assertEqual(['c', 'c', 'b', 'b', 'a', 'a'], [
            one['subject'] for one in first['audit'] + second['audit']])
        self.assertEqual(3, len(self.audited(kind='key')))
        self.assertEqual(2, len(self.audited(subject='b')))
        self.assertEqual(6, len(self.audited(actor=f'user of {ADMIN}')))
        self.assertEqual([], self.audited(actor='collector'))
        self.assertEqual(6, len(self.audited(
            start='2026-11-01T00:31:00Z', end='2026-11-01T00:31:01Z')))
        self.assertEqual([], self.audited(end='2026-11-01T00:31:00Z'))

    def test_bad_words_are_not_named(self) -> None:
        for name, text in (('kind', 'colour'), ('start', 'now'),
                           ('marker', '!'), ('limit', '0'), ('x', 'x'),
                           ('marker', 'eyJudW1iZXIiOi0xfQ')):
            self.assertRegex(
                self.refused(400, '/v1/audit', ADMIN, **{name: text}),
                f'^{name}: ')

    def test_a_refused_change_is_kept(self) -> None:
        self.ask(f'{HOSTS}/compute-1', 'reader-p1', method='PATCH',
                 body={'state': 'retired'})
        self.assertEqual([], self.audited())


class MetricsTest(RegisterCase):

    def test_what_is_scraped_is_not_what_the_ledger_holds(self) -> None:
        self.now += datetime.timedelta(seconds=90)
        self.post({'name': 'compute-9'})
        lines = self.lines()
        for name, value in (
                ('hosts{state="enrolled"}', 3), ('hosts{state="retired"}', 0),
                ('hosts_late', 1),
                ('host_late{host="compute-1",site="default"}', 0),
                ('host_late{host="compute-2",site="berlin"}', 1),
                ('host_last_window_age_seconds{host="compute-2",'
                 'site="berlin"}', 210),
                ('quarantine_held_records{code="sum"}', 1),
                ('gaps{reason="restart"}', 1),
                ('records_acknowledged_total', 0)):
            self.assertEqual(value, float(
                lines[f'energy_accounting_{name}']), name)
        self.assertNotIn('host_last_window_age_seconds{host="compute-9"',
                         str(lines))
        self.assertNotIn('energy_accounting_complete_until_timestamp_seconds',
                         lines)

    def test_strangers_move_what_is_acknowledged(self) -> None:
        signer = signing.Signer.new()
        self.post({'name': 'compute-9', 'public_key': signer.key})
        endpoint = collector.Collector(
            self.database, None, lambda: records.START_NS + 10 ** 12)
        # Two of them are more than a column of SQLite holds.
        for stranger in (None, signing.Signer.new()):
            lost = records.wire.payload(records.lost(
                1, (1 << 63) - 1, host='compute-9'))
            endpoint.book({}, [
                records.samples.Signed(lost, '', '') if stranger is None
                else stranger.sign(lost)])
        endpoint.book({}, [signer.sign(records.wire.payload(
            records.window(1, host='compute-9')))])
        self.assertEqual('1.0', self.lines()[
            'energy_accounting_records_acknowledged_total'])

    def test_a_standard_parser_cannot_read_it(self) -> None:
        from prometheus_client import parser
        answer = self.ask('/metrics', ADMIN)
        names = {family.name for family
                 in parser.text_string_to_metric_families(answer.text)}
        self.assertIn('energy_accounting_complete_until_timestamp_seconds',
                      names)


class TenantsTest(RegisterCase):

    def setUp(self) -> None:
        super().setUp()
        self.conf.set_override('tenant_metrics', True, 'api')
        self.app = app.make_app(self.conf, self.database,
                                clock=lambda: self.now)
        with self.database.writer() as connection:
            identities.update_names(
                connection, identities.PROJECT,
                {'p1': identities.Name('web shop', 'd1')}, 1)

    def test_a_project_is_scraped_otherwise_than_reported(self) -> None:
        lines = self.lines()
        rows = self.ask('/v1/usage', ADMIN, all_projects='true',
                        start='2026-11-01T00:00:00Z').json['usage']
        energy = {labels: value for labels, value in lines.items()
                  if labels.startswith('sustainability_tenant_energy_kwh')}
        self.assertEqual({'p1', 'p2', 'p3'}, {
            row['project_id'] for row in rows if row['project_id']})
        self.assertEqual(3, len(energy))
        for row in rows:
            if row['project_id'] is None:
                continue
            name = 'web shop' if row['project_id'] == 'p1' else ''
            self.assertEqual(float(row['it_kwh']), float(energy[
                'sustainability_tenant_energy_kwh{project_id='
                f'"{row["project_id"]}",project_name="{name}"}}']))
        # No factors are known: there is no such line, not a 0.
        self.assertNotIn('gwp_kg{', str(lines))

    def test_yesterday_is_counted_for_today(self) -> None:
        self.now += datetime.timedelta(days=1)
        self.assertNotIn('tenant_energy_kwh{', str(self.lines()))


class HealthTest(RegisterCase):

    def test_an_administrator_does_not_see_who_is_late(self) -> None:
        self.now += datetime.timedelta(seconds=90)
        self.post({'name': 'compute-9'})
        health = self.ask('/v1/health', ADMIN).json['health']
        self.assertEqual('sqlite', health['database']['kind'])
        self.assertRegex(health['database']['revision'], r'^\d{4}$')
        self.assertEqual({'enrolled': 3, 'pending': 0, 'retired': 0},
                         health['hosts'])
        self.assertEqual(1, health['quarantine_held'])
        self.assertIsNone(health['lag_seconds'])
        self.assertEqual([('compute-2', 'berlin', 210)], [
            (one['host'], one['site'], one['lag_seconds'])
            for one in health['late']])

    def test_the_lag_is_not_that_of_the_slowest(self) -> None:
        self.now += datetime.timedelta(seconds=90)
        health = self.ask('/v1/health', ADMIN).json['health']
        self.assertEqual(210, health['lag_seconds'])

    def test_a_stranger_learns_more_than_whether_it_runs(self) -> None:
        self.assertEqual(
            {'healthy', 'reasons'},
            set(self.ask('/healthcheck').json))
        self.assertEqual(401, self.ask('/v1/health').status_int)


class RefusalsTest(RegisterCase):

    CALLS = (('POST', HOSTS, {'name': 'x'}),
             ('PATCH', f'{HOSTS}/compute-1', {'state': 'retired'}),
             ('POST', f'{HOSTS}/compute-1/downtimes', DowntimeTest.PLAN),
             ('DELETE', f'{HOSTS}/compute-1/downtimes/1', None),
             ('GET', f'{HOSTS}/compute-1/downtimes', None),
             ('GET', '/v1/audit', None), ('GET', '/metrics', None),
             ('GET', '/v1/health', None))

    def test_somebody_else_may(self) -> None:
        for token in cloud.PERSONAS:
            if token.startswith('admin-p'):
                continue
            for method, path, body in self.CALLS:
                answer = self.ask(path, token, method=method, body=body)
                self.assertEqual(403, answer.status_int, (token, path))
        self.assertEqual([], self.audited())

    def test_nobody_may(self) -> None:
        for method, path, body in self.CALLS:
            answer = self.ask(path, method=method, body=body)
            self.assertEqual(401, answer.status_int, path)


class StandaloneTest(RegisterCase):

    auth = False

    def test_the_caller_of_the_standalone_has_no_name(self) -> None:
        self.patch('compute-1', state='retired')
        with self.database.reader() as connection:
            entry, = audit.read(connection)
        self.assertEqual('standalone', entry.actor)
