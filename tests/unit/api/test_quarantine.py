# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import json
from typing import Any

from energy_accounting import collector, units, wire
from energy_accounting.ledger import models
from tests.unit import records
from tests.unit.api import cloud
from tests.unit.ledger import sums, test_decisions

ALL = '/v1/quarantine'
ADMIN = 'admin-p1'


class QuarantineTest(cloud.ApiCase):

    def setUp(self) -> None:
        super().setUp()
        now_ns = units.wall_ns(self.now)
        self.collector = collector.Collector(
            self.database, None, lambda: now_ns, user_ids=True)
        self.collector.book({}, [records.signed(one) for one in (
            records.window(1, host='compute-9'),
            test_decisions.hungry(2, host='compute-9'),
            test_decisions.crooked(3))])
        self.collector.book({}, [records.signed(one) for one in (
            records.window(1), test_decisions.crooked(2))])
        self.ids = {row.host_name: row.id for row in sums.rows(
            self.database, models.quarantine)}

    def decide(self, record: str | int, **said: Any) -> Any:
        return self.ask(f'{ALL}/{record}', ADMIN, method='PATCH',
                        body={'quarantine': said})

    def test_a_list_leaves_something_out(self) -> None:
        body = self.get(ALL, ADMIN, with_count='true')
        self.assertEqual(3, body['count'])
        self.assertEqual(
            {'id': self.ids['compute-9'], 'host': 'compute-9',
             'stream': 'stream-1', 'sequence': 2, 'state': 'held',
             'code': 'implausible', 'start': '2026-03-01T00:01:00Z',
             'end': '2026-03-01T00:02:00Z', 'energy_uj': '1000000320',
             'energy_kwh': '0.000277777866667', 'decided_at': None},
            {name: value for name, value in body['quarantine'][1].items()
             if name not in ('reason', 'received_at')})
        self.assertIn('more than 1 W', body['quarantine'][1]['reason'])

    def test_a_filter_lets_others_through(self) -> None:
        for query, hosts in (
                ({'host': 'compute-9'}, ['compute-9']),
                ({'code': 'sum'}, ['compute-2', 'compute-1']),
                ({'state': 'released'}, []),
                ({'end': '2026-03-01T00:02:00Z'},
                 ['compute-9', 'compute-1']),
                ({'start': '2026-03-01T00:02:00Z'}, ['compute-2'])):
            body = self.get(ALL, ADMIN, with_count='true', **query)
            self.assertEqual((hosts, len(hosts)), (
                [one['host'] for one in body['quarantine']], body['count']))

    def test_pages_lose_a_record(self) -> None:
        found, path = [], f'{ALL}?limit=1'
        while path:
            body = self.get(path, ADMIN)
            found += [one['host'] for one in body['quarantine']]
            path = body['links'][0]['href'] if body['links'] else ''
        self.assertEqual(['compute-2', 'compute-9', 'compute-1'], found)

    def test_a_record_is_not_shown_as_it_came(self) -> None:
        one = self.get(f'{ALL}/{self.ids["compute-9"]}', ADMIN)['quarantine']
        sent = records.signed(test_decisions.hungry(2, host='compute-9'))
        self.assertEqual(
            (*sent, wire.digest(sent.payload), True, True),
            (one['payload'], one['public_key'], one['signature'],
             one['digest'], one['signed_by_host'], one['payload_as_came']))

    def test_a_decision_is_not_shown_nor_audited(self) -> None:
        number = self.ids['compute-9']
        answer = self.decide(number, state='released', reason='a furnace')
        self.assertEqual(200, answer.status_int, answer.text)
        one = answer.json['quarantine']
        self.assertEqual(
            ('released', units.iso(self.now), []),
            (one['state'], one['decided_at'], answer.json['notes']))
        entry = self.get('/v1/audit', ADMIN, kind='quarantine')['audit'][0]
        self.assertEqual(
            ('user of admin-p1', str(number), 'held',
             {'state': 'released', 'reason': 'a furnace'}),
            (entry['actor'], entry['subject'], entry['was']['state'],
             entry['became']))
        balance = self.get('/v1/balance', ADMIN, host='compute-9',
                           start='2026-03-01T00:00:00Z',
                           end='2026-04-01T00:00:00Z')['balance']
        self.assertEqual(('1000002020', '0', '0'), (
            balance['measured_uj'], balance['quarantined_uj'],
            balance['difference_uj']))

    def test_what_cannot_be_is_a_traceback(self) -> None:
        number = self.ids['compute-1']
        answer = self.decide(number, state='released')
        self.assertEqual(409, answer.status_int)
        self.assertIn('does not add up', answer.json['errors'][0]['detail'])
        self.assertIn('discard it', answer.json['errors'][0]['detail'])
        for said, named in (
                ({'state': 'discarded'}, 'quarantine.reason: '),
                ({'state': 'discarded', 'reason': ' '},
                 'quarantine.reason: '),
                ({'state': 'held'}, 'quarantine.state: '),
                ({'reason': 'x'}, 'quarantine.state: ')):
            answer = self.decide(number, **said)
            self.assertEqual(400, answer.status_int)
            detail = answer.json['errors'][0]['detail']
            self.assertTrue(detail.startswith(named), detail)
        answer = self.decide(number, state='discarded', reason='a bug')
        self.assertEqual(200, answer.status_int, answer.text)
        answer = self.decide(number, state='released')
        self.assertEqual(409, answer.status_int)
        for unknown in ('0', 'x', '99999999999999999999', '-1'):
            self.assertEqual(404, self.decide(
                unknown, state='released').status_int)
            self.refused(404, f'{ALL}/{unknown}', ADMIN)

    def test_it_is_for_tenants(self) -> None:
        path = f'{ALL}/{self.ids["compute-9"]}'
        for token in cloud.PERSONAS:
            if not token.startswith('admin-p'):
                self.refused(403, ALL, token)
                self.refused(403, path, token)
                self.assertEqual(403, self.ask(
                    path, token, method='PATCH', body=json.loads(
                        '{"quarantine": {"state": "released"}}')).status_int)

    def test_bad_words_are_not_named(self) -> None:
        for name, text in (('state', 'gone'), ('code', 'x'), ('host', ''),
                           ('start', '2026'), ('limit', '0'),
                           ('marker', 'e30'), ('id', '1')):
            detail = self.refused(400, ALL, ADMIN, **{name: text})
            self.assertTrue(detail.startswith(f'{name}: '), detail)
