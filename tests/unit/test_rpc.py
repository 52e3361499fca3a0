# SPDX-License-Identifier: Apache-2.0
"""A call is answered by a commit, or it is known not to be."""

import fixtures
from oslo_config import cfg
from oslo_messaging import conffixture
from oslotest import base

from energy_accounting import errors, rpc, samples

URL = 'fake://'
RECORD = samples.Signed('a', 'key', 'signature')


class Endpoint:
    """A collector that answers what it is told to."""

    def __init__(self, answer):
        self.answer = answer
        self.seen = []

    def book(self, ctxt, records):
        self.seen.append((ctxt, records))
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    def secret(self, ctxt, **_):
        return 'told'


class RpcCase(base.BaseTestCase):

    url = URL

    def setUp(self):
        super().setUp()
        self.log = self.useFixture(fixtures.FakeLogger())
        self.conf = cfg.CONF
        self.useFixture(conffixture.ConfFixture(self.conf)).transport_url = (
            self.url)
        self.conf([], project='test', default_config_files=[])

    def transport(self):
        transport = rpc.make_transport(self.conf)
        self.addCleanup(transport.cleanup)
        return transport

    def serve(self, answer, server='collector-1'):
        endpoint = Endpoint(answer)
        server = rpc.make_server(self.transport(), server, endpoint)
        server.start()
        self.addCleanup(server.wait)
        self.addCleanup(server.stop)
        return endpoint

    def caller(self, timeout_seconds=10):
        return rpc.Caller(self.transport(), timeout_seconds)

    def assert_unavailable(self, answer, words):
        self.serve(answer)
        error = self.assertRaises(errors.Unavailable,
                                  self.caller().book, [RECORD])
        self.assertIn(words, str(error))


class TestCalls(RpcCase):

    def test_records_arrive_as_they_were_and_the_answer_comes_back(self):
        endpoint = self.serve({'results': ['booked', 'quarantined'],
                               'expects': 3, 'detail': ['2: why']})
        sent = [samples.Signed('{"a": "ä"}', 'key', 'signature'),
                samples.Signed('x' * 100_000, 'key', 'signature')]
        reply = self.caller().book(sent)
        self.assertEqual(
            rpc.Reply(('booked', 'quarantined'), 3, ('2: why',)), reply)
        self.assertEqual([list(record) for record in sent],
                         endpoint.seen[0][1])

    def test_database_that_is_away_is_no_acknowledgement(self):
        self.assert_unavailable(errors.Unavailable('database is away'),
                                'database is away')
        self.assertNotIn('Traceback', self.log.output)

    def test_any_error_over_there_is_no_acknowledgement(self):
        self.assert_unavailable(RuntimeError('a bug'), 'a bug')

    def test_nobody_there_is_no_acknowledgement(self):
        error = self.assertRaises(errors.Unavailable,
                                  self.caller(1).book, [RECORD])
        self.assertIn('no collector answered', str(error))

    def test_answer_of_another_form_is_no_acknowledgement(self):
        for answer in (None, 'booked', {}, {'results': ['booked']},
                       {'results': ['booked'], 'expects': '2'},
                       {'results': ['booked'], 'expects': 0},
                       {'results': ['booked'], 'expects': True},
                       {'results': [], 'expects': 2},
                       {'results': ['thanks'], 'expects': 2},
                       {'results': 7, 'expects': 2}):
            with self.subTest(answer=answer):
                self.assertRaises(errors.Unavailable, rpc._reply, answer, 1)

    def test_nothing_but_book_can_be_called(self):
        self.serve({'results': [], 'expects': 1})
        caller = self.caller()
        self.assertRaises(rpc.messaging.NoSuchMethod, caller._client.call,
                          {}, 'secret')


class TestTransport(base.BaseTestCase):

    def test_wrong_url_names_the_option(self):
        conf = cfg.CONF
        fixture = self.useFixture(conffixture.ConfFixture(conf))
        for url in ('nonsense://', 'not a url'):
            fixture.transport_url = url
            error = self.assertRaises(errors.ConfigurationError,
                                      rpc.make_transport, conf)
            self.assertIn('transport_url', str(error))
