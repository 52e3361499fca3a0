# SPDX-License-Identifier: Apache-2.0
"""``energy-accounting-manage export``, as a shell runs it."""

from __future__ import annotations

import contextlib
import io
import os
import pathlib
import tempfile
from unittest import mock

import fixtures
from oslotest import base

from energy_accounting import errors, manage
from energy_accounting.exports import publishing, sending
from energy_accounting.ledger import audit
from energy_accounting.ledger import exports as outbox
from tests.unit.exports import made
from tests.unit.statements import made as closed

MONTH = ('--month', '2026-10', '--timezone', closed.BERLIN)


class ManageTest(base.BaseTestCase):

    def setUp(self) -> None:
        super().setUp()
        self.database = made.month(self)
        self.sender = made.sender(self, self.database)
        assert self.sender.directory is not None
        self.directory = self.sender.directory
        (self.conf,) = self.create_tempfiles([(
            'conf', f'[database]\nconnection = {self.database.engine.url}\n'
                    f'[exports]\ndirectory = {self.directory}\n'
                    f'provider_name = {made.SETTINGS.provider}\n')], '.conf')
        self.useFixture(fixtures.MonkeyPatch(
            'energy_accounting.manage_exports.time.time_ns',
            lambda: made.LATER_NS))

    def run_line(self, *words: str) -> tuple[int, str]:
        out = io.StringIO()
        with contextlib.redirect_stdout(out), \
                contextlib.redirect_stderr(out):
            status = manage.main(['--config-file', self.conf, 'export',
                                  *words])
        return status, out.getvalue()

    def plan(self, target: str) -> outbox.Export:
        """As the API does."""
        return sending.plan(self.sender, target, made.source(self.database),
                            {})

    def test_what_the_api_planned_is_not_sent(self) -> None:
        planned = self.plan('csv')
        self.assertRegex(self.run_line('list')[1],
                         f'^{planned.export} csv .*: planned ')
        status, said = self.run_line('send', '--no-progress')
        self.assertEqual(0, status)
        self.assertIn(f'{planned.export} csv 2026-10 Europe/Berlin all '
                      'projects: confirmed', said)
        self.assertEqual(2, len(os.listdir(self.directory)))
        self.assertEqual((0, ''), self.run_line('send'))
        status, said = self.run_line('create', *MONTH, '--target', 'csv',
                                     '--all')
        self.assertEqual(0, status)
        self.assertIn(': unchanged', said)

    def test_what_another_sends_is_waited_for_or_a_failure(self) -> None:
        planned = self.plan('csv')
        self.database.write(outbox.take, planned.export, 'another',
                            made.LATER_NS, made.LATER_NS + 10)
        status, said = self.run_line('send')
        self.assertEqual(0, status)
        self.assertIn('held by another process', said)
        self.assertEqual([], os.listdir(self.directory))

    def test_what_was_given_up_is_tried_for_ever_or_never_again(
            self) -> None:
        self.directory.rmdir()
        planned, other = self.plan('csv'), self.plan('jsonl')
        status, said = self.run_line('send')
        self.assertEqual(1, status)
        # One that cannot be sent keeps no other from it.
        for one in (planned, other):
            self.assertRegex(said, f'{one.export}: directory: ')
        self.directory.mkdir()
        self.assertEqual((0, ''), self.run_line('send'))
        self.database.write(outbox.retry, planned.export,
                            audit.Actor('ann'), made.LATER_NS)
        self.assertEqual(0, self.run_line('send')[0])
        self.assertEqual(
            [outbox.CONFIRMED, outbox.FAILED],
            [one.state for one in self.database.read(outbox.read)])
        self.assertIn('jsonl', self.run_line('list', '--state', 'failed')[1])
        self.assertEqual(0, self.run_line('send', '--failed')[0])
        self.assertEqual(outbox.CONFIRMED, self.database.read(
            outbox.find, other.export).state)

    def test_what_can_never_be_sent_is_red_for_ever(self) -> None:
        self.directory.rmdir()
        planned = self.plan('csv')
        self.assertEqual(1, self.run_line('send')[0])
        self.assertEqual(1, self.run_line('send', '--failed')[0])
        status, said = self.run_line('cancel', planned.export)
        self.assertEqual((0, f'{planned.export} csv 2026-10 Europe/Berlin '
                             'all projects: cancelled\n'), (status, said))
        self.assertEqual((0, ''), self.run_line('send', '--failed'))
        self.assertIn(': cancelled: directory: ', self.run_line(
            'list', '--state', 'cancelled')[1])
        self.directory.mkdir()
        self.assertIn(': planned', self.run_line('retry', planned.export)[1])
        self.assertEqual(0, self.run_line('send')[0])
        self.assertRaisesRegex(errors.Conflict, 'is confirmed',
                               self.run_line, 'cancel', planned.export)

    def test_what_is_away_is_not_told_or_not_tried_again(self) -> None:
        line = ('create', *MONTH, '--target', 'csv', '--project', 'p1',
                '--project', 'p2')
        with mock.patch.object(publishing, 'publish',
                               side_effect=errors.Unavailable('away')):
            status, said = self.run_line(*line)
            self.assertEqual((1, 2), (status, said.count(': away')))
            self.assertEqual((1, 2), (
                self.run_line('send')[0],
                self.run_line('list', '--state', 'planned')[1].count(
                    '): away')))
        # By the next call of the timer.
        status, said = self.run_line('send')
        self.assertEqual((0, 2), (status, said.count(': confirmed')))

    def test_what_a_word_means_is_not_said(self) -> None:
        for words, said in (
                (('--all', '--option', 'version'), 'NAME=VALUE'),
                (('--all', '--option', 'version=0'), 'not one of 1.2'),
                (('--project', 'p9'), 'no closed statement of p9'),
                (('--project', 'none'), 'no closed statement of no')):
            self.assertRaisesRegex(
                errors.EnergyAccountingError, said, self.run_line, 'create',
                *MONTH, '--target', 'focus', *words)
        with tempfile.TemporaryDirectory() as where:
            status, _ = self.run_line(
                'create', '--month', 'last-month', *MONTH[2:], '--target',
                'focus', '--project', 'p1',
                '--project', 'p2', '--directory', where)
            self.assertEqual((0, 4), (
                status, len([*pathlib.Path(where).iterdir()])))
