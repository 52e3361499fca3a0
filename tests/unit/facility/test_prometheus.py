# SPDX-License-Identifier: Apache-2.0
"""A Prometheus that is away, or is none, changes nothing.

A real one is asked in ``tests/functional/test_prometheus.py``, which holds
the form of the answers here against its own.
"""

from __future__ import annotations

import contextlib
import datetime
import http.server
import io
import ipaddress
import json
import logging
import os
import pathlib
import ssl
import tempfile
import threading
import time
import unittest
import urllib.parse
from typing import Any
from unittest import mock

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from energy_accounting import errors, manage, units
from energy_accounting.facility import meters, readings
from energy_accounting.facility.sources import prometheus
from energy_accounting.ledger import audit, sites
from tests.unit import records
from tests.unit.facility import http as servers

NOW = 1_800_000_000
STEP = 300
BY = audit.By(audit.Actor('an operator'), 1)
TOKEN = 'a-secret-nobody-may-see'


def matrix(*points: Any) -> dict[str, Any]:
    return {'status': 'success', 'data': {'resultType': 'matrix', 'result': [
        {'metric': {}, 'values': list(points)}] if points else []}}


class PrometheusTest(unittest.TestCase):

    def setUp(self) -> None:
        super().setUp()
        self.enterContext(mock.patch.dict('os.environ', {'NO_PROXY': '*'}))
        where = tempfile.TemporaryDirectory()
        self.addCleanup(where.cleanup)
        self.path = pathlib.Path(where.name)
        self.server = servers.Server(self, lambda handler: self.answer(
            handler))
        self.token = self.path / 'token'
        self.token.write_text(f'{TOKEN}\n')
        self.token.chmod(0o600)
        self.configure()
        self.database = records.database(f'sqlite:///{self.path}/ledger.db')
        self.addCleanup(self.database.close)
        self.database.write(sites.create, BY, 'berlin', {})
        self.database.write(meters.create, BY, 'pdu', 'berlin', {
            'medium': 'electricity', 'role': 'it_pdu_out', 'unit': 'kWh',
            'kind': 'cumulative', 'source': 'prometheus',
            'source_ref': 'sum(x{a="b c"}) / 3600000',
            'installed_ns': (NOW - 3600) * units.NS_PER_S})
        self.said: list[Any] = []

    def configure(self, url: str | None = None, **more: Any) -> None:
        (self.path / 'conf').write_text(''.join((
            f'[database]\nconnection = sqlite:///{self.path}/ledger.db\n',
            f'[prometheus]\nurl = {url or self.server.url}\ntries = 1\n',
            *(f'{name} = {value}\n' for name, value in more.items()))))

    def answer(self, handler: servers.Handler) -> None:
        said = self.said.pop(0)
        if callable(said):
            said(handler)
        else:
            handler.json(said)

    def fetch(self, *answers: Any, code: int = 0, now: int = NOW) -> str:
        self.said[:] = answers
        with (contextlib.redirect_stdout(io.StringIO()) as out,
              mock.patch('time.time_ns', lambda: now * units.NS_PER_S)):
            self.assertEqual(code, manage.main(
                ['--config-file', str(self.path / 'conf'), 'reading',
                 'fetch']), out.getvalue())
        return out.getvalue()

    def kept(self) -> list[tuple[int, str]]:
        with self.database.reader() as connection:
            return [(one.at_ns // units.NS_PER_S, one.value)
                    for one in readings.page(connection, 1)]

    def query(self) -> dict[str, str]:
        path, _ = self.server.asked[-1]
        return dict(urllib.parse.parse_qsl(path.partition('?')[2]))

    def test_something_else_is_asked(self) -> None:
        self.fetch(matrix([NOW - 600, '5']))
        self.assertEqual({
            'query': 'sum(x{a="b c"}) / 3600000', 'start': str(NOW - 3600),
            'end': str(NOW - 60), 'step': '300',
            'partial_response': 'false'}, self.query())
        self.assertTrue(self.server.asked[-1][0].startswith(
            '/api/v1/query_range?'))
        self.fetch(matrix())
        self.assertEqual(str(NOW - 300), self.query()['start'])
        self.assertEqual([(NOW - 600, '5')], self.kept())

    def test_values_are_taken_for_others(self) -> None:
        self.fetch(matrix(
            [NOW - 3600, '0'], [NOW - 3300, '1.5e3'],
            [NOW - 3000, '0.1234567890123456789'], [NOW - 2700, 'NaN'],
            [NOW - 2400, '+Inf'], [NOW - 2100, '-1'], [NOW - 1800, '1e40'],
            [NOW - 1500, '1e-30'], [NOW - 1200, '-0'],
            [NOW - 900, 'a lot']))
        self.assertEqual([
            (NOW - 3600, '0'), (NOW - 3300, '1500'),
            (NOW - 3000, '0.123456789012346'),
            (NOW - 1500, '0.000000000000000'), (NOW - 1200, '0')],
            self.kept())

    def test_an_answer_that_is_none_is_kept_in_part(self) -> None:
        self.fetch(matrix([NOW - 3600, '1']))
        good = [NOW - 3000, '2']

        def cut(handler: servers.Handler) -> None:
            text = json.dumps(matrix(good)).encode()
            handler.raw(text[:-20], promised=len(text))

        for words, answer in (
                ('cut off', cut),
                ('not application/json', lambda handler: handler.raw(
                    b'<html>', Content_Type='text/html')),
                ('503', lambda handler: handler.json({}, 503)),
                ('401', lambda handler: handler.json({}, 401)),
                ('not whole JSON', lambda handler: handler.raw(b'{"a":')),
                ('not that of a range query', {'status': 'success', 'data': {
                    'resultType': 'vector', 'result': []}}),
                ('not that of a range query', {'status': 'error'}),
                ('not that of a range query', []),
                ('2 series', {'status': 'success', 'data': {
                    'resultType': 'matrix', 'result': [
                        {'metric': {'a': name}, 'values': [good]}
                        for name in 'xy']}}),
                ('histograms', {'status': 'success', 'data': {
                    'resultType': 'matrix', 'result': [
                        {'metric': {}, 'histograms': []}]}}),
                ('not a time', matrix(good, [NOW - 2700, 3])),
                ('not a time', matrix(good, ['now', '3'])),
                ('not asked for', matrix(good, [NOW, '3'])),
                ('not asked for', matrix([NOW - 3600, '3'], good)),
                ('one of them twice', matrix(good, good)),
                ('one of them twice', matrix([NOW - 2700, '3'], good))):
            said = self.fetch(answer, code=1)
            self.assertRegex(said, r'pdu: 127\.0\.0\.1:\d+: FAILED: ')
            self.assertIn(words, said)
            self.assertEqual([(NOW - 3600, '1')], self.kept())
        self.fetch(matrix(good))
        self.assertEqual(2, len(self.kept()))

    def test_a_time_with_a_huge_exponent_stops_or_holds_up_all(
            self) -> None:
        self.database.write(meters.create, BY, 'ups', 'berlin', {
            'medium': 'electricity', 'role': 'it_ups_out', 'unit': 'kWh',
            'kind': 'cumulative', 'source': 'prometheus',
            'source_ref': 'y',
            'installed_ns': (NOW - 3600) * units.NS_PER_S})
        whole = json.dumps(matrix([12345, '1']))
        for at, read in (('1e999999999', 1), ('1e900000', 2), ('1e12', 3),
                         ('-1e999999999', 4)):
            now = NOW + read * STEP
            answer = whole.replace('12345', at).encode()
            began = time.process_time()
            said = self.fetch(
                lambda handler, answer=answer: handler.raw(answer),
                matrix([now - STEP, str(read)]), code=1, now=now)
            self.assertLess(time.process_time() - began, 5)
            self.assertRegex(said, 'pdu: .*FAILED: .*not a time')
            self.assertRegex(said, 'ups: .*1 readings')
        self.assertEqual([], self.kept())

    def test_nobody_is_there(self) -> None:
        self.configure('http://127.0.0.1:9')
        self.assertIn('FAILED', self.fetch(code=1))
        self.assertEqual([], self.kept())

    def test_more_is_asked_at_once_than_is_answered(self) -> None:
        self.database.write(meters.change, BY, 'pdu', {'installed_ns': None})
        self.configure(max_age_days=100, step_seconds=300)
        self.fetch(matrix([NOW - 99 * 86400, '1']), matrix(),
                   matrix([NOW - 600, '2']))
        spans = [(int(query['end']) - int(query['start'])) // STEP
                 for path, _ in self.server.asked
                 for query in [dict(urllib.parse.parse_qsl(
                     path.partition('?')[2]))]]
        self.assertEqual(3, len(spans))
        self.assertLess(max(spans), prometheus.MOST_POINTS)
        self.assertEqual(['1', '2'], [value for _, value in self.kept()])

    def test_a_meter_is_read_after_it_was_removed(self) -> None:
        self.database.write(meters.change, BY, 'pdu', {
            'removed_ns': (NOW - 1200) * units.NS_PER_S})
        self.fetch(matrix())
        self.assertEqual(str(NOW - 1200), self.query()['end'])
        self.database.write(meters.change, BY, 'pdu', {
            'removed_ns': (NOW - 3599) * units.NS_PER_S})
        self.fetch(matrix([NOW - 3600, '1']))
        self.fetch()

    def test_the_token_is_shown_or_sent_in_the_clear(self) -> None:
        self.configure(token_file=self.token)
        with self.assertLogs(level=logging.DEBUG) as logged:
            said = self.fetch(lambda handler: handler.json({}, 503), code=1)
        self.assertEqual(f'Bearer {TOKEN}',
                         self.server.asked[-1][1]['authorization'])
        self.assertNotIn(TOKEN, said + ''.join(logged.output))
        self.assertNotIn(TOKEN, repr(prometheus.Prometheus(
            'x', mock.Mock(), TOKEN)))
        asked = len(self.server.asked)
        self.configure('http://prometheus.example', token_file=self.token)
        self.assertIn('https', self.fetch(code=1))
        self.configure(token_file=self.token)
        self.token.chmod(0o640)
        self.assertIn('chmod 600', self.fetch(code=1))
        self.assertEqual(asked, len(self.server.asked))

    def test_an_address_that_is_none_is_asked(self) -> None:
        for url in ('', 'ftp://a.example', 'http://me:pw@a.example',
                    'https://a.example?x=1', 'prometheus'):
            (self.path / 'conf').write_text(
                f'[database]\nconnection = sqlite:///{self.path}/ledger.db\n'
                f'[prometheus]\nurl = {url}\n')
            self.assertIn('[prometheus] url', self.fetch(code=1))

    def test_a_meter_that_nobody_has_is_fetched(self) -> None:
        with self.assertRaisesRegex(errors.NotFound, "'other'"):
            manage.main(['--config-file', str(self.path / 'conf'), 'reading',
                         'fetch', '--meter', 'other'])

    def test_a_certificate_that_nobody_vouches_for_is_trusted(self) -> None:
        certificate = self.path / 'server.pem'
        url = secure(self, certificate, matrix([NOW - 600, '5']))
        self.configure(url, token_file=self.token)
        self.assertIn('certificate is not trusted', self.fetch(code=1))
        self.configure(url, token_file=self.token, ca_file=certificate)
        self.assertIn('1 readings', self.fetch())


def secure(test: unittest.TestCase, path: pathlib.Path, body: Any) -> str:
    """The address of a server with a certificate of its own making."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, 'a test')])
    now = datetime.datetime.now(units.UTC)
    made = (x509.CertificateBuilder().subject_name(name).issuer_name(name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + datetime.timedelta(days=1))
            .add_extension(x509.SubjectAlternativeName(
                [x509.IPAddress(ipaddress.ip_address('127.0.0.1'))]), False)
            .sign(key, hashes.SHA256()))
    path.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    private = path.with_suffix('.key')
    private.write_bytes(key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption()))
    os.chmod(private, 0o600)

    class Handler(servers.Handler):

        def do_GET(self) -> None:
            self.json(body)

    server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Handler)
    server.daemon_threads = True
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path, private)
    # Each connection shakes hands in its own thread.
    server.socket = context.wrap_socket(server.socket, server_side=True,
                                        do_handshake_on_connect=False)
    thread = threading.Thread(target=server.serve_forever,
                              kwargs={'poll_interval': 0.01}, daemon=True)
    thread.start()
    test.addCleanup(thread.join)
    test.addCleanup(server.server_close)
    test.addCleanup(server.shutdown)
    return f'https://127.0.0.1:{server.server_port}'
