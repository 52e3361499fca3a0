# SPDX-License-Identifier: Apache-2.0
"""The examples of the client's page, run against the real API.

Keystone alone is canned: it answers with a token that the API's own tests
know.
"""

from __future__ import annotations

import doctest
import pathlib

import webob

import energy_accounting
from tests.unit import web
from tests.unit.api import cloud

PAGE = (pathlib.Path(energy_accounting.__file__).parent.parent
        / 'doc' / 'source' / 'user' / 'client.rst')
READER = 'reader-p1'


class ExamplesTest(cloud.ApiCase):

    def api(self, request: web.Request) -> web.Answer:
        sent = webob.Request.blank(request.path, POST=None)
        sent.query_string = '&'.join(
            f'{name}={text}' for name, text in request.query.items())
        sent.headers['X-Auth-Token'] = request.headers['x-auth-token']
        got = sent.get_response(self.app)
        self.check_form(sent, got)
        return web.Answer(got.json, got.status_int)

    def keystone(self, request: web.Request) -> web.Answer:
        if request.path != '/v3/auth/tokens':
            return web.Answer({'version': {
                'id': 'v3.14', 'status': 'stable', 'links': [
                    {'rel': 'self', 'href': self.identity.url + '/v3/'}]}})
        self.assertIn(b'application_credential', request.body)
        return web.Answer({'token': {
            'methods': ['application_credential'],
            'user': {'id': 'u', 'name': 'u', 'domain': {'id': 'd1'}},
            'expires_at': '2099-01-01T00:00:00.000000Z',
            'issued_at': '2026-01-01T00:00:00.000000Z',
            'project': {'id': 'p1', 'name': 'p1', 'domain': {'id': 'd1'}},
            'roles': [{'name': 'reader'}],
            'catalog': [{'type': 'energy-accounting', 'id': 'e',
                         'name': 'energy', 'endpoints': [{
                             'id': 'e', 'interface': 'public',
                             'region': 'r', 'region_id': 'r',
                             'url': self.energy.url}]}],
        }}, 201, (('X-Subject-Token', READER),))

    def test_an_example_does_not_say_what_it_shows(self) -> None:
        self.energy = web.Server(self, self.api)
        self.identity = web.Server(self, self.keystone)
        text = PAGE.read_text()
        self.assertIn('http://controller:5000', text)
        test = doctest.DocTestParser().get_doctest(
            text.replace('http://controller:5000', self.identity.url), {},
            PAGE.name, str(PAGE), 0)
        self.assertGreater(len(test.examples), 10)
        said: list[str] = []
        failed, _ = doctest.DocTestRunner().run(test, out=said.append)
        self.assertEqual(0, failed, ''.join(said))
