# SPDX-License-Identifier: Apache-2.0
"""A token of its own opens /metrics, and nothing else."""

import pathlib

import fixtures
import webob

from energy_accounting import errors
from energy_accounting.api import app, scraping
from tests.unit.api import cloud

TOKEN = 'f00d' * 16
BEARER = {'Authorization': f'Bearer {TOKEN}'}


class Scraping(cloud.ApiCase):

    def setUp(self) -> None:
        super().setUp()
        where = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        self.file = where / 'token'
        self.file.write_text(f'{TOKEN}\n')
        self.file.chmod(0o640)
        self.with_token = self.make(str(self.file))

    def make(self, path: str):
        self.conf.set_override('metrics_token_file', path, 'api')
        return app.make_app(self.conf, self.database)

    def status(self, path: str, headers: dict, wsgi=None, **more) -> int:
        request = webob.Request.blank(path, headers=headers, **more)
        return request.get_response(wsgi or self.with_token).status_int

    def test_prometheus_needs_keystone(self):
        answer = webob.Request.blank('/metrics', headers=BEARER) \
            .get_response(self.with_token)
        self.assertEqual(200, answer.status_int, answer.text)
        self.assertIn('energy_accounting_hosts_late', answer.text)

    def test_another_token_opens(self):
        for given in ('', 'Bearer', f'Bearer {TOKEN[:-1]}', f'Basic {TOKEN}',
                      f'Bearer {TOKEN}x', 'Bearer ü', TOKEN):
            self.assertEqual(401, self.status(
                '/metrics', {'Authorization': given}), given)

    def test_it_opens_more_than_the_metrics(self):
        for path in ('/v1/hosts', '/v1/usage', '/metrics/', '/v1/metrics',
                     '/v1/../metrics', '/metrics/../v1/hosts'):
            self.assertIn(self.status(path, BEARER), (401, 404), path)
        self.assertEqual(405, self.status('/metrics', BEARER, method='POST'))

    def test_without_the_option_it_opens(self):
        self.assertEqual(401, self.status('/metrics', BEARER, self.app))

    def test_a_token_of_keystone_is_shut_out(self):
        self.assertEqual(200, self.status(
            '/metrics', {'X-Auth-Token': 'admin-p1'}))
        self.assertEqual(403, self.status(
            '/metrics', {'X-Auth-Token': 'reader-p1'}))

    def test_a_bad_file_is_found_late(self):
        for text, mode, words in (
                (TOKEN, 0o644, 'others may read'),
                ('short', 0o600, 'at least'),
                (f'{TOKEN} {TOKEN}', 0o600, 'no token'),
                ('', 0o600, 'token')):
            self.file.write_text(text)
            self.file.chmod(mode)
            error = self.assertRaises(errors.ConfigurationError,
                                      scraping.token, str(self.file))
            self.assertIn(words, str(error))
            self.assertNotIn(TOKEN, str(error))
        error = self.assertRaises(errors.ConfigurationError, scraping.token,
                                  '/nowhere')
        self.assertIn('metrics_token_file', str(error))
