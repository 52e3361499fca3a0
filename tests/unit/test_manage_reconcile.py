# SPDX-License-Identifier: Apache-2.0
"""``energy-accounting-manage reconcile`` against what a real Nova said."""

from __future__ import annotations

import contextlib
import io
import json
import pathlib
import sys
import unittest
from typing import Any
from unittest import mock

from energy_accounting import cmd, manage, units
from tests.unit import web
from tests.unit.ledger import filled

RECORDED = json.loads((
    pathlib.Path(__file__).parents[1]
    / 'acceptance/recorded/nova-34-usage.json').read_text())
SERVERS = {server['name']: server for page in RECORDED['usage'].values()
           for tenant in page['tenant_usages']
           for server in tenant['server_usages']}
QUARTER = filled.bucket('2026-11-26T09:15:00Z')
PERIOD = ('--start', '2026-11-26T09:15:00Z', '--end', '2026-11-26T10:30:00+01')
# What was seen of each, in seconds: "one" was stopped for 24 s, "two" was
# rebuilt, "three" was suspended after 6 s.
SEEN = {'one': 15, 'two': 36, 'three': 6, 'four': 11}


class ReconcileCase(unittest.TestCase):
    def setUp(self) -> None:
        super().setUp()
        self.database = filled.sqlite(self)
        self.ledger = filled.Filled(self.database)
        self.server = web.Server(self, self.answer)
        self.status = 200
        self.conf = (pathlib.Path(self.database.engine.url.database or '')
                     .parent / 'test.conf')
        self.configure()
        # Which may be before the recording.
        clock = mock.patch.object(manage.time, 'time_ns', lambda: (
            QUARTER + 2) * units.BUCKET_NS)
        clock.start()
        self.addCleanup(clock.stop)

    def configure(self, nova: str = 'auth_type = admin_token') -> None:
        self.conf.write_text(
            f'[database]\nconnection = {self.database.engine.url}\n'
            f'[nova]\n{nova}\ntoken = secret\n'
            f'endpoint = {self.server.url}/nova\n')

    def answer(self, request: web.Request) -> web.Answer:
        """As it was recorded; a request that was not is an error."""
        _, _, path = request.path.partition('/nova/')
        if (self.status != 200 or request.headers.get(
                'x-openstack-nova-api-version') != RECORDED['microversion']):
            return web.Answer({}, self.status if self.status != 200 else 406)
        if path == 'os-simple-tenant-usage':
            self.assertEqual(
                {'start': '2026-11-26T09:15:00', 'detailed': '1',
                 'end': '2026-11-26T09:30:00'},
                {name: text for name, text in request.query.items()
                 if name != 'marker'})
            return web.Answer(
                RECORDED['usage'][request.query.get('marker', '')])
        if path.startswith('servers/') and path.endswith('-actions'):
            return web.Answer(RECORDED['actions'][path.split('/')[1]])
        return web.Answer({}, 404)

    def saw(self, name: str, seconds: float, **changes: Any) -> None:
        server = {**SERVERS[name], **changes}
        self.ledger.book(
            self.ledger.instance(server['instance_id'], server['tenant_id'],
                                 server['flavor']), 'compute-1', QUARTER,
            vcpu_ns=int(seconds * server['vcpus'] * units.NS_PER_S))

    def reconcile(self, *words: str, tolerance: str = '3',
                  ) -> tuple[int, str, str]:
        """Exit status and what it said, as a command of a shell."""
        argv = ['energy-accounting-manage', '--config-file', str(self.conf),
                'reconcile', *(words or PERIOD),
                *(('--tolerance', tolerance) if tolerance else ())]
        with (mock.patch.object(sys, 'argv', argv),
              contextlib.redirect_stdout(io.StringIO()) as out,
              contextlib.redirect_stderr(io.StringIO()) as err):
            return cmd.manage(), out.getvalue(), err.getvalue()

    def differences(self) -> list[dict[str, Any]]:
        _, out, _ = self.reconcile(*PERIOD, '--format', 'json')
        found: list[dict[str, Any]] = json.loads(out)['differences']
        return found


class TestReconcile(ReconcileCase):
    def test_what_nova_says_is_read_wrong(self) -> None:
        for name, seconds in SEEN.items():
            self.saw(name, seconds)
        self.ledger.write()
        status, out, err = self.reconcile()
        self.assertEqual((0, ''), (status, err), out)
        lines = out.splitlines()
        self.assertEqual(
            [('fewer_hours', 'one', 'stopped'),
             ('fewer_hours', 'three', 'stopped'),
             ('more_hours', 'two', 'relaunched')],
            sorted((words[0], name, words[5]) for words in
                   (line.split() for line in lines[1:4])
                   for name in SEEN
                   if SERVERS[name]['instance_id'] == words[1]))
        self.assertIn('4 instances, 0.0275 h in Nova, 0.0189 h of them '
                      'seen; 0 differences, 3 more as expected '
                      '(tolerance 3 s)', lines[-1])

    def test_a_difference_ends_well(self) -> None:
        self.saw('one', 15)
        self.saw('two', 36, tenant_id='somebody-else')
        self.saw('three', 6)
        self.ledger.book(self.ledger.instance('stranger', 'p1'),
                         'compute-1', QUARTER)
        self.ledger.write()
        self.assertEqual(1, self.reconcile()[0])
        self.assertEqual(
            {('not_seen', 'four'), ('other_project', 'two'),
             ('not_in_nova', 'stranger')},
            {(one['kind'], next(
                (name for name in SEEN if SERVERS[name]['instance_id']
                 == one['instance_id']), one['instance_id']))
             for one in self.differences() if not one['expected']})

    def test_hosts_of_longer_windows_have_no_more_tolerance(self) -> None:
        self.ledger.host('compute-1', window_seconds=300)
        self.ledger.host('compute-2', window_seconds=60)
        self.ledger.write()
        status, out, _ = self.reconcile(tolerance='')
        self.assertEqual(0, status)
        self.assertIn('(tolerance 1200 s)', out)

    def test_the_time_of_a_gap_is_not_found(self) -> None:
        self.saw('one', 5)
        self.ledger.measured('compute-1', QUARTER,
                             units.BUCKET_NS - 10 * units.NS_PER_S)
        self.ledger.write()
        self.assertEqual('unmeasured', next(
            one['cause'] for one in self.differences()
            if one['instance_id'] == SERVERS['one']['instance_id']))


class TestNoAnswer(ReconcileCase):
    def assert_refused(self, word: str, *words: str,
                       tolerance: str = '3') -> None:
        status, out, err = self.reconcile(*words, tolerance=tolerance)
        self.assertEqual((2, '', 1), (status, out, len(err.splitlines())))
        self.assertIn(word, err)

    def test_a_nova_that_is_away_agrees(self) -> None:
        for self.status in (401, 403, 404, 500, 503):
            self.assert_refused('in [nova], and that Keystone and Nova')

    def test_nova_without_credentials_agrees(self) -> None:
        self.configure('')
        self.assert_refused('[nova] auth_type')

    def test_a_wrong_option_looks_like_a_difference(self) -> None:
        for words, said in (
                (('--start', 'yesterday', *PERIOD[2:]), '--start'),
                (('--start', '2026-11-26T09:15:00', *PERIOD[2:]), '--start'),
                ((*PERIOD[:2], '--end', '2026-11-26T09:20:00Z'), '--end'),
                ((*PERIOD[:2], '--end', '2126-11-26T09:15:00Z'), '--end'),
                ((*PERIOD[:2], '--end', PERIOD[1]), '--end')):
            with self.subTest(words=words):
                self.assert_refused(said, *words)
        self.assert_refused('--tolerance', tolerance='-1')

    def test_time_whose_rows_were_dropped_is_compared(self) -> None:
        from energy_accounting.ledger import models
        self.ledger.host('compute-1')
        self.ledger.write()
        with self.database.writer() as connection:
            connection.execute(models.retired_buckets.insert().values(
                host_id=1, bucket=QUARTER, kind='instance', name='',
                energy_uj=1))
        self.assert_refused('--start: rows by instance are kept from '
                            '2026-11-26T09:30:00Z')
