# SPDX-License-Identifier: Apache-2.0
"""``/v1/exports`` through the whole pipeline."""

from __future__ import annotations

import hashlib
import json
import pathlib
import tempfile
from typing import Any
from unittest import mock

from energy_accounting.api import app
from energy_accounting.exports import sending, targets
from energy_accounting.ledger import audit
from energy_accounting.ledger import exports as outbox
from tests.unit.api import cloud, test_statements

EXPORTS = '/v1/exports'
MONTH = {'target': 'csv', 'period': '2026-11', 'all_projects': True}


class ExportsCase(test_statements.StatementsCase):
    """A closed November; nobody has sent anything."""

    def setUp(self) -> None:
        super().setUp()
        self.close()

    def sections(self) -> dict[str, str]:
        where = tempfile.TemporaryDirectory()
        self.addCleanup(where.cleanup)
        self.directory = pathlib.Path(where.name)
        return {'exports': f'directory = {self.directory}'}

    def serve(self, exports: str, cloudkitty: str = '') -> None:
        self.conf = cloud.configure(self, exports=exports,
                                    cloudkitty=cloudkitty)
        self.app = app.make_app(self.conf, self.database,
                                clock=lambda: self.now)

    def plan(self, token: str = 'billing-p2', **body: Any) -> Any:
        answer = self.ask(EXPORTS, token, method='POST',
                          body={**MONTH, **body})
        self.assertEqual(202, answer.status_int, answer.text)
        return answer.json['export']

    def send(self, planned: Any) -> outbox.Export:
        """As the process does that a timer starts."""
        sender = sending.from_conf(
            self.conf, self.database, audit.Actor('timer'),
            lambda: test_statements.units.wall_ns(self.now))
        return sending.send(sender, self.database.read(
            outbox.find, planned['id']))

    def shown(self, planned: Any) -> Any:
        return self.get(f'{EXPORTS}/{planned["id"]}', 'billing-p2')['export']


class PlanTest(ExportsCase):

    def test_the_same_is_planned_twice_or_sent_by_the_api(self) -> None:
        first = self.plan()
        self.assertEqual(
            (outbox.PLANNED, 0, [], None, 'user of billing-p2'),
            (first['state'], first['done'], first['files'],
             first['manifest'], first['actor']))
        self.assertEqual(first, self.plan('admin-p1'))
        self.assertEqual(1, self.database.read(outbox.count))
        self.assertEqual([], [*self.directory.iterdir()])
        (told,) = self.get('/v1/audit', 'admin-p1', kind='export')['audit']
        self.assertEqual(('user of billing-p2', first['id']),
                         (told['actor'], told['subject']))
        found = [first] + [
            self.plan(all_projects=False, project=one)
            for one in ('p1', 'none')]
        self.assertEqual(
            [(True, None), (False, 'p1'), (False, None)],
            [(one['all_projects'], one['project_id']) for one in found])
        self.assertEqual(first['total'], sum(
            one['lines'] for one in self.get(
                '/v1/statements', 'admin-p1',
                all_projects='true')['statements']))
        self.assertEqual(3, len({one['id'] for one in found}))

    def test_who_plans_for_a_service_needs_its_credentials(self) -> None:
        address = 'https://rating.example.org:8889'
        self.serve('', f'auth_type = none\nendpoint_override = {address}')
        planned = self.plan(target='cloudkitty')
        self.assertEqual(('planned', address), (planned['state'],
                                                planned['destination']))

    def test_a_wrong_export_is_planned_or_no_remedy_is_said(self) -> None:
        for body, status, words in (
                ({'target': 'fax'}, 400, "'fax'.*there is .*csv"),
                ({'options': {'colour': 'red'}}, 400, "'colour'"),
                ({'options': {'colour': 1}}, 400, 'options.colour'),
                ({'project': 'p1'}, 400, 'project: give either'),
                ({'all_projects': False}, 400, 'project: give either'),
                ({'period': '2026-13'}, 400, 'period'),
                ({'period': '2026-10'}, 404, 'close it first'),
                ({'timezone': 'Europe/Berlin'}, 404, 'close it first'),
                ({'timezone': 'Mars'}, 400, 'Mars')):
            with self.subTest(body):
                self.assertRegex(self.wrong(EXPORTS, {**MONTH, **body},
                                            status=status), words)
        self.close('p3', period='2026-12')
        self.assertIn('provisional', self.wrong(
            EXPORTS, {**MONTH, 'period': '2026-12'}, status=409))
        self.serve('')
        self.assertIn('[exports] directory', self.wrong(
            EXPORTS, MONTH, status=409))
        self.assertEqual(0, self.database.read(outbox.count))


class ListTest(ExportsCase):

    def test_a_filter_or_a_page_lets_others_through(self) -> None:
        every = [self.plan(), self.plan(target='jsonl'),
                 self.plan(all_projects=False, project='p1'),
                 self.plan(all_projects=False, project='none')]
        self.send(every[1])
        for query, expected in (
                ({}, [0, 1, 2, 3]), ({'target': 'jsonl'}, [1]),
                ({'state': 'confirmed'}, [1]),
                ({'state': 'planned'}, [0, 2, 3]), ({'project': 'p1'}, [2]),
                ({'project': 'none'}, [3]), ({'period': '2026-10'}, []),
                ({'period': '2026-11', 'target': 'csv'}, [0, 2, 3])):
            with self.subTest(query):
                found = self.get(EXPORTS, 'billing-p2', with_count='true',
                                 **query)
                self.assertEqual([every[number]['id'] for number in expected],
                                 [one['id'] for one in found['exports']])
                self.assertEqual(len(expected), found['count'])
        first = self.get(EXPORTS, 'billing-p2', limit=3)
        self.assertEqual([one['id'] for one in every[:3]],
                         [one['id'] for one in first['exports']])
        (link,) = first['links']
        (last,) = self.get(link['href'].partition('localhost')[2],
                           'billing-p2')['exports']
        self.assertEqual(every[3]['id'], last['id'])
        self.assertIn("no export '1'",
                      self.refused(404, f'{EXPORTS}/1', 'admin-p1'))


class DownloadTest(ExportsCase):

    def test_a_file_is_not_what_was_published(self) -> None:
        for target, options, media in (
                ('csv', {}, 'text/csv'),
                ('jsonl', {}, 'application/x-ndjson'),
                ('focus', {'format': 'parquet'},
                 'application/vnd.apache.parquet')):
            planned = self.plan(target=target, options=options)
            self.send(planned)
            one = self.shown(planned)
            (file,) = one['files']
            self.assertEqual('confirmed', one['state'])
            path = f'{EXPORTS}/{one["id"]}/file'
            answer = self.ask(path, 'billing-p2')
            self.assertEqual(
                (200, media, file['bytes'], file['sha256'],
                 f'attachment; filename="{file["name"]}"', 'nosniff'),
                (answer.status_int, answer.content_type,
                 answer.content_length, answer.etag,
                 answer.headers['Content-Disposition'],
                 answer.headers['X-Content-Type-Options']))
            self.assertEqual(file['sha256'], hashlib.sha256(
                answer.body).hexdigest())
            self.assertEqual(answer.body, self.ask(
                path, 'billing-p2', name=file['name']).body)
            manifest = json.loads(self.ask(
                path, 'billing-p2', name=one['manifest']).body)
            self.assertEqual(one['files'], manifest['files'])
            self.assertEqual(one['id'], manifest['export'])

    def test_what_is_not_of_the_export_is_served(self) -> None:
        first, other = self.plan(), self.plan(target='jsonl')
        self.send(first)
        self.send(other)
        (self.directory / 'secret').write_text('secret')
        for name in ('secret', '../secret', f'{self.directory}/secret',
                     self.shown(other)['files'][0]['name']):
            self.assertIn('has no file', self.refused(
                404, f'{EXPORTS}/{first["id"]}/file', 'admin-p1', name=name))

    def test_a_file_that_is_not_here_is_a_failure_of_the_service(
            self) -> None:
        planned = self.plan()
        path = f'{EXPORTS}/{planned["id"]}/file'
        self.assertRegex(self.refused(409, path, 'admin-p1'),
                         'is planned.*0 of .*export send')
        self.send(planned)
        (file,) = self.shown(planned)['files']
        there = self.directory / file['name']
        with there.open('ab') as changed:
            changed.write(b'more')
        self.assertIn('somebody changed it',
                      self.refused(409, path, 'admin-p1'))
        there.unlink()
        self.assertIn('cannot be read where this API runs',
                      self.refused(409, path, 'admin-p1'))
        self.serve('directory = /elsewhere')
        self.assertIn('fetch it there', self.refused(409, path, 'admin-p1'))


class RetryTest(ExportsCase):

    def test_what_failed_is_not_sent_again(self) -> None:
        planned = self.plan()
        with mock.patch.object(targets, 'load', return_value=targets.File(
                {}, lambda options: 'csv', mock.Mock(
                    side_effect=OSError(28, 'No space left')))):
            self.assertRaisesRegex(Exception, 'No space', self.send, planned)
        failed = self.shown(planned)
        self.assertEqual('failed', failed['state'])
        self.assertIn('No space left', failed['error'])
        self.assertRegex(self.refused(
            409, f'{EXPORTS}/{planned["id"]}/file', 'admin-p1'), 'is failed')
        answer = self.ask(f'{EXPORTS}/{planned["id"]}', 'billing-p2',
                          method='PATCH', body={'state': 'planned'})
        self.assertEqual((200, 'planned', None), (
            answer.status_int, answer.json['export']['state'],
            answer.json['export']['error']))
        told = self.get('/v1/audit', 'admin-p1', kind='export')['audit'][0]
        self.assertEqual(({'state': 'failed'}, {'state': 'planned'}),
                         (told['was'], told['became']))
        # Once is as good as twice; what is done is not done again.
        self.assertEqual(200, self.ask(
            f'{EXPORTS}/{planned["id"]}', 'billing-p2', method='PATCH',
            body={'state': 'planned'}).status_int)
        self.send(planned)
        answer = self.ask(f'{EXPORTS}/{planned["id"]}', 'billing-p2',
                          method='PATCH', body={'state': 'planned'})
        self.assertEqual(409, answer.status_int)
        self.assertIn('is confirmed', answer.text)
        self.assertEqual('confirmed', self.shown(planned)['state'])

    def test_an_export_cannot_be_given_up(self) -> None:
        planned = self.plan()
        path = f'{EXPORTS}/{planned["id"]}'
        for _ in range(2):
            answer = self.ask(path, 'billing-p2', method='PATCH',
                              body={'state': 'cancelled'})
            self.assertEqual((200, 'cancelled'), (
                answer.status_int, answer.json['export']['state']))
        self.assertEqual('cancelled', self.send(planned).state)
        self.assertIn('is cancelled, and has no file', self.refused(
            409, f'{path}/file', 'admin-p1'))
        told = self.get('/v1/audit', 'admin-p1', kind='export')['audit'][0]
        self.assertEqual(({'state': 'planned'}, {'state': 'cancelled'}),
                         (told['was'], told['became']))
        self.assertEqual([planned['id']], [one['id'] for one in self.get(
            EXPORTS, 'billing-p2', state='cancelled')['exports']])
        self.assertEqual('planned', self.plan()['state'])
        self.send(planned)
        answer = self.ask(path, 'billing-p2', method='PATCH',
                          body={'state': 'cancelled'})
        self.assertEqual(409, answer.status_int)
        self.assertIn('is confirmed', answer.text)
