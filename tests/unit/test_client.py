# SPDX-License-Identifier: Apache-2.0
"""The client against a real HTTP server."""

import json
import socket
import subprocess
import sys
import unittest

from keystoneauth1 import noauth, session

from energy_accounting import client
from tests.unit import web


def answering(test, answer):
    server = web.Server(test, answer)
    return server, client_for(test, server.url)


def client_for(test, url, kind=client.Client):
    made = session.Session(auth=noauth.NoAuth(endpoint=url))
    test.addCleanup(made.session.close)
    return kind(made)


class Writing(client.Client):
    """The ways to write, by a noun of the test's own."""

    def write(self):
        return (self._post('/v1/things', {'name': 'ä'}),
                self._patch('/v1/things/a', {'watts': '1'}),
                self._delete('/v1/things/a'))


class ClientTest(unittest.TestCase):

    def test_what_is_written_is_not_json(self):
        status = {'POST': 201, 'PATCH': 200, 'DELETE': 204}
        server = web.Server(self, lambda request: web.Answer(
            '' if request.method == 'DELETE' else {'did': request.method},
            status[request.method]))
        self.assertEqual(
            ({'did': 'POST'}, {'did': 'PATCH'}, None),
            client_for(self, server.url, Writing).write())
        self.assertEqual(
            [('POST', {'name': 'ä'}), ('PATCH', {'watts': '1'}),
             ('DELETE', None)],
            [(request.method,
              json.loads(request.body) if request.body else None)
             for request in server.requests])
        self.assertEqual('application/json',
                         server.requests[0].headers['content-type'])

    def test_a_refusal_to_write_is_not_told(self):
        server = web.Server(self, lambda request: web.Answer(
            {'errors': [{'detail': 'name: a is taken',
                         'code': 'energy.conflict'}]}, 409))
        api = client_for(self, server.url, Writing)
        for write in (lambda: api._post('/v1/things', {}),
                      lambda: api._patch('/v1/things/a', {}),
                      lambda: api._delete('/v1/things/a')):
            with self.assertRaises(client.Error) as caught:
                write()
            self.assertEqual(('name: a is taken', 409, 'energy.conflict'),
                             (str(caught.exception), caught.exception.status,
                              caught.exception.code))

    def test_pages_are_followed_by_marker_even_through_a_proxy(self):
        pages = {
            None: {'usage': [{'instance_id': 'a'}],
                   'complete_until': '2026-11-01T00:15:00Z',
                   'links': [{'rel': 'self', 'href': 'x'},
                             {'rel': 'next', 'href':
                              'http://inside.invalid/v1/usage'
                              '?limit=1&marker=b%2B1'}]},
            'b+1': {'usage': [{'instance_id': 'b'}],
                    'complete_until': '2026-11-01T00:30:00Z', 'links': []}}
        server, api = answering(self, lambda request: web.Answer(
            pages[request.query.get('marker')]))
        found = list(api.usage(start='2026-11-01T00:00:00Z',
                               group_by=['instance', 'flavor'], limit=1,
                               end=None, all_projects=True))
        self.assertEqual([({'instance_id': 'a'},), ({'instance_id': 'b'},)],
                         [page.rows for page in found])
        self.assertEqual('b+1', found[0].marker)
        self.assertIsNone(found[1].marker)
        self.assertEqual({'complete_until': '2026-11-01T00:30:00Z'},
                         found[1].envelope)
        asked = {'start': '2026-11-01T00:00:00Z', 'limit': '1',
                 'group_by': 'instance,flavor', 'all_projects': 'true'}
        self.assertEqual([asked, {**asked, 'marker': 'b+1'}],
                         [request.query for request in server.requests])

    def test_a_page_that_nobody_reads_is_not_fetched(self):
        server, api = answering(self, lambda request: web.Answer(
            {'usage': [], 'links': [{'rel': 'next',
                                     'href': '/v1/usage?marker=1'}]}))
        next(api.usage())
        self.assertEqual(1, len(server.requests))

    def test_figures_stay_the_text_that_was_sent(self):
        figure = '123456789012345.000000000000001'
        _server, api = answering(self, lambda request: web.Answer(
            {'balance': {'measured_kwh': figure}}))
        self.assertEqual({'measured_kwh': figure}, api.balance())

    def test_every_request_names_its_microversion(self):
        server, api = answering(self, lambda request: web.Answer(
            {'host': {'name': 'a'}}))
        api.host('a')
        self.assertEqual(
            'energy-accounting 1.0',
            server.requests[0].headers['openstack-api-version'])

    def test_a_host_name_cannot_reach_another_path(self):
        server, api = answering(self, lambda request: web.Answer(
            {'host': {}}))
        for name in ('../usage', 'a/b', '..'):
            self.assertRaisesRegex(client.Error, 'no name here', api.host,
                                   name)
        self.assertEqual([], server.requests)
        api.host('..?x=1')
        self.assertEqual('/v1/hosts/..%3Fx%3D1', server.requests[0].path)

    def test_hosts_are_paged(self):
        _server, api = answering(self, lambda request: web.Answer(
            {'hosts': [{'name': 'h1'}]}))
        self.assertEqual([({'name': 'h1'},)],
                         [page.rows for page in api.hosts()])

    def test_a_refusal_is_one_line_in_the_words_of_the_api(self):
        body = {'errors': [{'status': 400, 'title': 'Bad Request',
                            'code': 'energy.request.invalid',
                            'detail': 'start: a naive time\n  is refused'}]}
        _server, api = answering(self, lambda request: web.Answer(
            body, 400, (('x-openstack-request-id', 'req-1'),)))
        with self.assertRaises(client.Error) as caught:
            list(api.usage())
        self.assertEqual('start: a naive time is refused',
                         str(caught.exception))
        self.assertEqual(400, caught.exception.status)
        self.assertEqual('energy.request.invalid', caught.exception.code)
        self.assertEqual('req-1', caught.exception.request_id)

    def test_an_error_page_of_a_proxy_is_not_printed(self):
        _server, api = answering(self, lambda request: web.Answer(
            '<html><body>Bad Gateway</body></html>', 502))
        with self.assertRaises(client.Error) as caught:
            api.balance()
        self.assertEqual('the energy API answered 502 Bad Gateway',
                         str(caught.exception))

    def test_a_refused_token_is_said(self):
        _server, api = answering(self, lambda request: web.Answer(
            {'error': {'message': 'odd shape'}}, 401))
        with self.assertRaisesRegex(client.Error, 'token was not accepted'):
            api.balance()

    def test_another_service_at_the_address_is_said(self):
        for answer in (web.Answer('<html>Welcome</html>'), web.Answer([])):
            _server, api = answering(self, lambda request,
                                     answer=answer: answer)
            with self.assertRaisesRegex(client.Error, 'not the energy API'):
                api.balance()

    def test_no_server_is_one_short_line(self):
        with socket.socket() as taken:
            # Bound but not listening: connections are refused.
            taken.bind(('127.0.0.1', 0))
            api = client_for(
                self, f'http://127.0.0.1:{taken.getsockname()[1]}')
            with self.assertRaises(client.Error) as caught:
                api.balance()
        self.assertIn('cannot be reached', str(caught.exception))
        self.assertNotIn('HTTPConnectionPool', str(caught.exception))
        self.assertIsNone(caught.exception.status)

    def test_no_endpoint_says_how_to_set_one(self):
        api = client.Client(session.Session(auth=noauth.NoAuth()))
        with self.assertRaisesRegex(
                client.Error, 'energy_accounting_endpoint_override'):
            api.balance()

    def test_the_client_brings_no_server_library_with_it(self):
        heavy = ('sqlalchemy', 'oslo_config', 'oslo_messaging', 'pecan',
                 'oslo_db', 'libvirt')
        program = (
            'import sys\n'
            'import energy_accounting.client\n'
            'import energy_accounting.osc.plugin\n'
            'import energy_accounting.osc.usage, energy_accounting.osc.host\n'
            'import energy_accounting.osc.balance\n'
            'import energy_accounting.osc.report\n'
            f'print([name for name in {heavy!r} if name in sys.modules])')
        done = subprocess.run([sys.executable, '-c', program], check=True,
                              capture_output=True, text=True)
        self.assertEqual('[]\n', done.stdout)

    def test_the_plugin_module_alone_imports_nothing_but_python(self):
        program = (
            'import sys, argparse, os, typing\n'
            'before = set(sys.modules)\n'
            'import energy_accounting.osc.plugin\n'
            'print(sorted(name.split(".")[0] for name in '
            'set(sys.modules) - before '
            'if not name.startswith("energy_accounting")))')
        done = subprocess.run([sys.executable, '-c', program], check=True,
                              capture_output=True, text=True)
        self.assertEqual('[]\n', done.stdout)
