# SPDX-License-Identifier: Apache-2.0
"""Commands of exports, by the real shell and API."""

import io
import os
import pathlib
import tempfile
from unittest import mock

from energy_accounting import units
from energy_accounting.exports import sending, targets
from energy_accounting.ledger import audit
from energy_accounting.ledger import exports as outbox
from tests.unit import web
from tests.unit.osc import real, test_streaming


class ExportTest(real.RealTest):

    def setUp(self):
        where = tempfile.TemporaryDirectory()
        self.addCleanup(where.cleanup)
        self.where = pathlib.Path(where.name)
        self.served = self.where / 'served'
        self.served.mkdir()
        super().setUp()
        self.addCleanup(os.chdir, os.getcwd())
        os.chdir(where.name)
        self.said('statement', 'create', '--month', '2026-10', '--project',
                  'p1')

    def configure(self, conf):
        conf.set_override('directory', str(self.served), 'exports')

    def plan(self, *words):
        return self.said('export', 'create', 'focus', '--month', '2026-10',
                         '--project', 'p1', *words)

    def send(self, planned):
        now_ns = units.wall_ns(real.NOW)
        return sending.send(
            sending.Sender(self.database, targets.Settings('Cloud', 'EUR'),
                           self.served, audit.Actor('timer'),
                           lambda: now_ns),
            self.database.read(outbox.find, planned['id']))

    def test_an_export_is_not_planned_listed_or_shown(self):
        one = self.plan('--option', 'version=1.3')
        self.assertEqual(('planned', {'version': '1.3', 'format': 'csv'}),
                         (one['state'], one['options']))
        self.assertEqual(one, self.plan('--option', 'version=1.3'))
        self.plan()
        listed = self.said('export', 'list', '--target', 'focus',
                           '--project', 'p1')
        self.assertEqual(2, len(listed))
        self.assertEqual(one, {**self.said('export', 'show', one['id'])})
        self.assertEqual([], self.said('export', 'list', '--state',
                                       'failed'))
        self.assertEqual('planned', self.said('export', 'retry',
                                              one['id'])['state'])
        self.assertIn('give NAME=VALUE', self.refused(
            'export', 'create', 'csv', '--month', '2026-10',
            '--all-projects', '--option', 'version'))
        self.assertIn('csv, focus', self.refused(
            'export', 'create', 'fax', '--month', '2026-10', '--project',
            'p1'))

    def test_a_file_is_not_downloaded_or_another_is_lost(self):
        one = self.plan()
        self.assertIn('has no file yet', self.refused(
            'export', 'download', one['id']))
        self.send(one)
        out = self.energy('export', 'download', one['id'])
        self.assertEqual(2, len(out.split()))
        for name in out.split():
            self.assertEqual((self.served / name).read_bytes(),
                             (self.where / name).read_bytes())
        self.assertIn('is there already', self.refused(
            'export', 'download', one['id']))
        self.energy('export', 'download', one['id'], '--force')
        self.assertIn('cannot be written', self.refused(
            'export', 'download', one['id'], '--directory', 'no/where'))

    def test_who_downloads_at_a_terminal_sees_nothing(self):
        one = self.plan()
        self.send(one)
        with mock.patch.object(io, 'StringIO', test_streaming.Terminal):
            status, _out, err = self.openstack(
                '--os-auth-type', 'none', '--os-endpoint', self.api.url,
                'energy', 'export', 'download', one['id'])
        self.assertEqual(0, status)
        self.assertIn(f'downloading [{"#" * 25}] 100 %', err)
        self.assertTrue(err.endswith('\r\x1b[K'))

    def test_of_two_files_of_a_name_one_is_lost(self):
        one = {'id': 'e', 'manifest': 'b/x.csv', 'state': 'sent', 'files': [
            {'name': 'a/x.csv', 'bytes': 1, 'sha256': '0'}]}
        self.answer = lambda request: web.Answer({'export': one})
        self.assertIn('two files of one name', self.refused(
            'export', 'download', 'e'))
        self.assertEqual(['served'], os.listdir(self.where))

    def test_a_file_that_was_spoilt_is_kept(self):
        one = self.plan()
        (file,) = self.send(one).artifacts
        there = self.served / file['name']
        # As long as it was.
        there.write_bytes(there.read_bytes()[:-1] + b'x')
        self.assertIn('is not what was published', self.refused(
            'export', 'download', one['id']))
        self.assertEqual(['served'], os.listdir(self.where))
