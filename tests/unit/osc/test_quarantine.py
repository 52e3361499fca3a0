# SPDX-License-Identifier: Apache-2.0
"""Deciding about records, by the real ``openstack`` shell."""

import json

from tests.unit import web
from tests.unit.osc import test_commands

KEPT = {'id': 7, 'host': 'compute-1', 'stream': 's', 'sequence': 3,
        'state': 'held', 'code': 'sum', 'reason': 'does not add up',
        'received_at': '2026-11-01T00:01:00Z',
        'start': '2026-11-01T00:00:00Z', 'end': '2026-11-01T00:01:00Z',
        'energy_uj': '42', 'energy_kwh': '0.000000000011667',
        'decided_at': None}


class QuarantineTest(test_commands.CommandTest):
    """What a command does to records 1 to 5, of which 4 is refused."""

    def setUp(self):
        super().setUp()
        self.asked, self.decided = [], []
        self.kept = {**KEPT, 'payload': '{}'}

    def answer(self, request):
        if request.method == 'PATCH':
            number = int(request.path.rpartition('/')[2])
            self.decided.append((number, json.loads(request.body)))
            if number == 4:
                return web.Answer({'errors': [{
                    'status': 409, 'code': 'energy.conflict',
                    'detail': 'record 4 stays as it is'}]}, status=409)
            if number == 9:
                return web.Answer({'errors': [{
                    'status': 403, 'code': 'energy.forbidden',
                    'detail': 'no'}]}, status=403)
            return web.Answer({
                'quarantine': {**KEPT, 'id': number},
                'notes': ['a gap stays'] if number == 5 else []})
        self.asked.append(request.query)
        if request.path != '/v1/quarantine':
            return web.Answer({'quarantine': self.kept})
        first = 3 if 'marker' in request.query else 1
        return web.Answer({
            'quarantine': [{**KEPT, 'id': number} for number in range(
                first, 3 if first == 1 else 6)],
            'links': [{'rel': 'next', 'href': '/v1/quarantine?marker=m'}]
            if first == 1 else []})

    def run_command(self, *words):
        return self.openstack(
            '--os-auth-type', 'none', '--os-endpoint', self.api.url,
            'energy', 'quarantine', *words)

    def test_a_list_shows_what_is_decided(self):
        status, out, _ = self.run_command('list', '-f', 'json')
        self.assertEqual(0, status)
        self.assertEqual([1, 2, 3, 4, 5],
                         [row['id'] for row in json.loads(out)])
        self.assertEqual('held', self.asked[0]['state'])
        self.run_command('list', '--state', 'all')
        self.assertNotIn('state', self.asked[-1])

    def test_a_record_hides_its_text(self):
        status, out, _ = self.run_command('show', '7', '-f', 'json')
        self.assertEqual((0, '{}'), (status, json.loads(out)['payload']))

    def test_a_terminal_is_flooded_by_a_text(self):
        self.kept = {**KEPT, 'payload': 'x' * 9999}
        self.assertLess(len(self.run_command('show', '7')[1]), 9999)
        self.assertIn('of 9999 characters', ''.join(
            self.run_command('show', '7')[1].split('\n')))
        whole = json.loads(self.run_command('show', '7', '-f', 'json')[1])
        self.assertEqual(self.kept['payload'], whole['payload'])

    def test_only_the_first_of_several_is_decided(self):
        status, out, err = self.run_command('release', '5', '3',
                                            '--reason', 'why')
        self.assertEqual((0, '2 released, 0 refused\n'), (status, out))
        self.assertIn('record 5: a gap stays', err)
        self.assertEqual([
            (5, {'quarantine': {'state': 'released', 'reason': 'why'}}),
            (3, {'quarantine': {'state': 'released', 'reason': 'why'}})],
            self.decided)

    def test_one_that_is_refused_stops_the_others(self):
        status, out, err = self.run_command(
            'discard', '--all', '--host', 'compute-1', '--code', 'sum',
            '--reason', 'a bug')
        self.assertEqual('4 discarded, 1 refused\n', out)
        self.assertIn('record 4 stays as it is', err)
        self.assertIn('1 of 5 records', err)
        self.assertEqual(1, status)
        self.assertEqual([1, 2, 3, 4, 5],
                         [number for number, _ in self.decided])
        self.assertEqual(
            ('compute-1', 'sum', 'held'),
            tuple(self.asked[0][name] for name in ('host', 'code',
                                                   'state')))

    def test_what_is_so_for_all_is_asked_of_all(self):
        status, out, _ = self.run_command('release', '1', '9', '2')
        self.assertEqual('1 released, 0 refused\n', out)
        self.assertEqual(1, status)
        self.assertEqual([1, 9], [number for number, _ in self.decided])

    def test_words_that_are_missing_decide_about_everything(self):
        for words in (('release',), ('release', '--host', 'compute-1'),
                      ('release', '1', '--host', 'compute-1'),
                      ('release', '1', '--all'), ('release', '--all')):
            status, _, err = self.run_command(*words)
            self.assertNotEqual(0, status)
            self.assertIn('--all', err)
        for words in (('discard', '1'), ('discard', '--all')):
            # In argparse's own way.
            self.assertRaises(SystemExit, self.run_command, *words)
        self.assertEqual([], self.decided)
