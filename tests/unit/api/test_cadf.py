# SPDX-License-Identifier: Apache-2.0
"""Downloads are told by keystonemiddleware's own filter."""

from __future__ import annotations

import configparser
from typing import Any

import fixtures

from energy_accounting import errors
from energy_accounting.api import app, schemas
from tests.unit.api import cloud


class AuditedTest(cloud.ApiCase):

    def setUp(self) -> None:
        super().setUp()
        self.told: list[Any] = []
        self.app = self.made()
        (one,) = self.ask(
            '/v1/statements', 'admin-p1', method='POST', body={
                'period': '2026-11', 'projects': ['p1']}).json['statements']
        self.path = f'/v1/statements/{one["id"]}'
        self.made_events, self.told[:] = [*self.told], []

    def made(self, **more: str) -> Any:
        made = app.make_app(cloud.configure(
            self, audit='\n'.join(['enabled = true', *(
                f'{name} = {value}' for name, value in more.items())]),
            audit_middleware_notifications='use_oslo_messaging = false'),
            self.database, clock=lambda: self.now)
        # Where the filter's log notifier writes, whatever logging does.
        self.useFixture(fixtures.MonkeyPatch(
            'keystonemiddleware.audit._notifier._LogNotifier.notify',
            lambda _, context, kind, payload: self.told.append(
                (kind, payload))))
        return made

    def test_a_download_is_not_told(self) -> None:
        self.ask(f'{self.path}/document', 'reader-p1', format='csv')
        (asked, request), (ended, response) = self.told
        self.assertEqual(('audit.http.request', 'audit.http.response'),
                         (asked, ended))
        self.assertEqual('read/download', response['action'])
        self.assertEqual(('success', '200'), (
            response['outcome'], response['reason']['reasonCode']))
        self.assertEqual('user of reader-p1', response['initiator']['id'])
        self.assertEqual('p1', response['initiator']['project_id'])
        self.assertEqual(f'{self.path}/document?format=csv',
                         response['requestPath'])
        self.assertEqual(request['id'], response['id'])
        self.assertNotIn('reader-p1', str(
            response['initiator']['credential']['token']))

    def test_a_refused_download_is_told_as_a_success(self) -> None:
        self.ask(f'{self.path}/document', 'reader-p2')
        self.assertEqual(('failure', '404'), (
            self.told[1][1]['outcome'],
            self.told[1][1]['reason']['reasonCode']))

    def test_who_closes_is_not_told(self) -> None:
        self.assertEqual(['create/close'] * 2, [
            event['action'] for _, event in self.made_events])

    def test_an_export_leaves_untold(self) -> None:
        self.ask('/v1/exports', 'billing-p2', method='POST', body={
            'target': 'csv', 'period': '2026-11', 'project': 'p1'})
        self.ask('/v1/exports/1/file', 'billing-p2')
        self.assertEqual(
            ['create/plan'] * 2 + ['read/download'] * 2,
            [event['action'] for _, event in self.told])

    def test_who_has_no_token_is_told_of(self) -> None:
        self.ask(f'{self.path}/document', 'forged')
        self.assertEqual([], self.told)

    def test_nothing_is_left_out_that_an_operator_names(self) -> None:
        self.app = self.made(ignore_methods='GET')
        self.ask(f'{self.path}/document', 'reader-p1')
        self.assertEqual([], self.told)

    def test_nobody_asked_for_events(self) -> None:
        self.app = app.make_app(cloud.configure(self), self.database,
                                clock=lambda: self.now)
        self.ask(f'{self.path}/document', 'reader-p1')
        self.assertEqual([], self.told)

    def test_a_map_that_is_none_is_a_traceback(self) -> None:
        (broken,) = self.create_tempfiles([('map', 'no section\n')])
        for path in ('/nowhere/map.conf', broken):
            error = self.assertRaises(errors.ConfigurationError, self.made,
                                      map_file=path)
            self.assertIn(path, str(error))


class MapTest(cloud.base.BaseTestCase):

    def test_a_noun_of_the_api_is_not_in_the_map(self) -> None:
        parsed = configparser.ConfigParser()
        parsed.read(app.AUDIT_MAP)
        nouns = {part for _, path in schemas.ENDPOINTS
                 for part in path.split('/')
                 if part and not part.startswith('{')}
        self.assertEqual(nouns - {'v1', 'metrics', 'healthcheck'},
                         set(parsed['path_keywords'])
                         - set(parsed.defaults()))
