# SPDX-License-Identifier: Apache-2.0
"""The client against a real HTTP server."""

import json
import socket
import subprocess
import sys
import threading
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

    def test_an_answer_of_another_service_is_a_traceback(self):
        for body in ({'versions': []}, {'error': 'x'}, {}):
            _server, api = answering(
                self, lambda request, body=body: web.Answer(body))
            for ask in (client.Client.balance, client.Client.version,
                        lambda api: next(api.usage()),
                        lambda api: api.host('a'),
                        lambda api: next(api.tariffs().rows()),
                        lambda api: api.kpis('a')['kpis'],
                        lambda api: api.close('2026-10', ['a'])):
                with self.subTest(body), self.assertRaisesRegex(
                        client.Error, "^http://.* is not the energy API: its "
                        "answer has no '[a-z]+'$"):
                    ask(api)
        for rows in ({}, 'abc', None):
            _server, api = answering(
                self, lambda request, rows=rows: web.Answer({'usage': rows}))
            with self.assertRaisesRegex(
                    client.Error, "not the energy API: 'usage' of its"):
                next(api.usage())

    def test_a_service_that_repeats_a_page_is_asked_for_ever(self):
        server, api = answering(self, lambda request: web.Answer(
            {'hosts': [{'name': 'a'}], 'links': [
                {'rel': 'next', 'href': '/v1/hosts?marker=a'}]}))
        with self.assertRaisesRegex(client.Error, 'the same page'):
            for _page in api.hosts():
                self.assertLess(len(server.requests), 9)
        self.assertEqual(2, len(server.requests))

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

    def test_each_way_to_fail_is_not_told_from_the_others(self):
        for status, kind in (
                (400, client.Invalid), (401, client.Unauthorized),
                (403, client.Forbidden), (404, client.NotFound),
                (406, client.IncompatibleVersion), (409, client.Conflict),
                (413, client.Invalid), (502, client.Unavailable),
                (503, client.Unavailable), (504, client.TimedOut),
                (500, client.Error)):
            _server, api = answering(
                self, lambda request, status=status: web.Answer(
                    {'errors': [{'detail': 'so it is', 'code': 'energy.x'}]},
                    status, (('x-openstack-request-id', 'req-7'),)))
            with self.subTest(status), \
                    self.assertRaises(client.Error) as caught:
                api.balance()
            self.assertIs(kind, type(caught.exception))
            self.assertEqual(
                (status, 'energy.x', 'req-7', 'so it is'),
                (caught.exception.status, caught.exception.code,
                 caught.exception.request_id, str(caught.exception)))

    def test_what_is_away_is_taken_for_what_is_wrong(self):
        with socket.socket() as taken:
            taken.bind(('127.0.0.1', 0))
            api = client_for(
                self, f'http://127.0.0.1:{taken.getsockname()[1]}')
            self.assertRaises(client.Unavailable, api.balance)

    def test_a_service_that_hangs_holds_the_caller(self):
        over = threading.Event()
        self.addCleanup(over.set)
        server = web.Server(self, lambda request: over.wait(60)
                            and web.Answer({'balance': {}}))
        made = session.Session(auth=noauth.NoAuth(endpoint=server.url))
        self.addCleanup(made.session.close)
        api = client.Client(made, timeout=0.2)
        with self.assertRaisesRegex(client.TimedOut, 'in time'):
            api.balance()
        over.set()

    def test_rows_of_all_pages_are_not_in_one_line(self):
        pages = {None: ('abc', '3'), '3': ('def', '6'), '6': ('g', None)}

        def answer(request):
            rows, after = pages[request.query.get('marker')]
            return web.Answer({'hosts': [{'name': name} for name in rows],
                               'links': [{'rel': 'next', 'href':
                                          f'/v1/hosts?marker={after}'}]
                               if after else []})

        server, api = answering(self, answer)
        for most, names, asked in ((None, 'abcdefg', 3), (2, 'ab', 1),
                                   (3, 'abc', 1), (4, 'abcd', 2),
                                   (9, 'abcdefg', 3)):
            del server.requests[:]
            self.assertEqual(list(names), [
                row['name'] for row in api.hosts().rows(most)])
            self.assertEqual(asked, len(server.requests), most)
        self.assertEqual(['g'], [row['name'] for row
                                 in api.hosts(marker='6').rows()])

    def test_a_sick_process_cannot_say_what_it_has(self):
        said = {'healthy': False, 'reasons': ['the database is away']}
        _server, api = answering(self, lambda request: web.Answer(said, 503))
        self.assertEqual(said, api.health())
        self.assertRaises(client.Unavailable, api.balance)

    def test_metrics_are_asked_for_as_json(self):
        server, api = answering(self, lambda request: web.Answer(
            'energy_joules_total 1\n'))
        self.assertEqual('energy_joules_total 1\n', api.metrics())
        self.assertEqual('text/plain', server.requests[0].headers['accept'])


# Without what the other parts of the package need: as on a bare machine.
BARE = """
import sys


class Bare:

    def find_spec(self, name, path=None, target=None):
        if name.partition('.')[0] in {heavy!r} or name.startswith('oslo'):
            raise ModuleNotFoundError(name)


sys.meta_path.insert(0, Bare())
from keystoneauth1 import noauth, session
from energy_accounting import client
api = client.Client(session.Session(auth=noauth.NoAuth(endpoint={url!r})))
print(api.host('a'), list(api.hosts().rows()))
try:
    api.balance()
except client.NotFound as error:
    print(error)
print('energy_accounting.client.rows' in sys.modules)
"""


class BareTest(unittest.TestCase):

    def test_the_client_needs_what_only_servers_have(self):
        def answer(request):
            if request.path == '/v1/balance':
                return web.Answer({'errors': [{'detail': 'none'}]}, 404)
            return web.Answer({'host': {'name': 'a'}, 'hosts': [],
                               'links': []})

        heavy = {'sqlalchemy', 'pecan', 'jsonschema', 'webob', 'alembic',
                 'keystonemiddleware', 'cotyledon', 'prometheus_client',
                 'libvirt', 'openstack', 'osc_lib', 'cliff'}
        done = subprocess.run(
            [sys.executable, '-c', BARE.format(
                heavy=heavy, url=web.Server(self, answer).url)],
            capture_output=True, text=True)
        self.assertEqual("{'name': 'a'} []\nnone\nFalse\n", done.stdout,
                         done.stderr)
