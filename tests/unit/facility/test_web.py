# SPDX-License-Identifier: Apache-2.0
"""What a server that nobody can vouch for may do to us."""

from __future__ import annotations

import datetime
import decimal
import gzip
import ipaddress
import logging
import os
import pathlib
import tempfile
import threading
import time
import unittest
from collections.abc import Callable
from unittest import mock

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from energy_accounting import errors
from energy_accounting.facility.providers import web
from tests.unit.facility import http


class AnswersTest(unittest.TestCase):

    def setUp(self) -> None:
        super().setUp()
        self.slept: list[float] = []
        # A proxy of this machine is no part of this.
        self.enterContext(mock.patch.dict('os.environ', {'NO_PROXY': '*'}))

    def web(self, **more: float) -> web.Web:
        return web.Web(**{  # type: ignore[arg-type]
            'timeout': 5.0, 'most_bytes': 1 << 20, 'sleep':
            self.slept.append, **more})

    def serve(self, answer: Callable[[http.Handler], None]) -> http.Server:
        return http.Server(self, answer)

    def refused(self, answer: Callable[[http.Handler], None], words: str,
                asked: int, **more: float) -> http.Server:
        server = self.serve(answer)
        with self.assertRaisesRegex(web.Answerless, words):
            self.web(**more).get(server.url, {})
        self.assertEqual(asked, len(server.asked), server.asked)
        self.assertEqual(asked - 1, len(self.slept))
        return server

    def test_a_fraction_becomes_a_float(self) -> None:
        server = self.serve(lambda handler: handler.raw(b'{"a": [0.1, 3]}'))
        found = self.web().get(server.url, {'q': 'a b'})
        self.assertEqual({'a': [decimal.Decimal('0.1'), 3]}, found)
        self.assertIs(decimal.Decimal, type(found['a'][0]))
        self.assertEqual('/?q=a+b', server.asked[0][0])

    def test_what_is_no_number_is_read(self) -> None:
        for word in (b'NaN', b'Infinity', b'-Infinity', b'1.' + b'1' * 99,
                     b'[' * 99999, b'{"a": 1', b'', b'\xff'):
            self.slept.clear()
            with self.subTest(word[:20]):
                self.refused(lambda handler, word=word: handler.raw(word),
                             'not whole JSON', 1)

    def test_an_overloaded_server_is_not_asked_again(self) -> None:
        for status in (429, 500, 502, 503, 504):
            self.slept.clear()
            answers = iter([status, status, 200])
            server = self.serve(lambda handler, answers=answers:
                                handler.json({}, next(answers)))
            self.assertEqual({}, self.web().get(server.url, {}))
            self.assertEqual([1.0, 2.0], self.slept)

    def test_a_server_that_stays_away_is_asked_for_ever(self) -> None:
        self.refused(lambda handler: handler.json({}, 503),
                     r'answers 503 .*\(3 tries\)', 3)

    def test_retry_after_is_not_kept_or_kept_for_a_day(self) -> None:
        self.refused(lambda handler: handler.json(
            {}, 429, Retry_After='7'), '429', 3)
        self.assertEqual([7.0, 7.0], self.slept)
        self.slept.clear()
        self.refused(lambda handler: handler.json(
            {}, 429, Retry_After='86400'), '429', 3)
        self.assertEqual([30.0, 30.0], self.slept)

    def test_a_refusal_is_asked_again(self) -> None:
        for status in (400, 401, 403, 404, 410):
            self.refused(lambda handler, status=status: handler.json(
                {}, status), f'answers {status}', 1)

    def test_a_page_for_people_is_read(self) -> None:
        self.refused(lambda handler: handler.raw(
            b'[]', Content_Type='text/html; charset=utf-8'),
            "'text/html; charset=utf-8' and not application/json", 1)

    def test_half_an_answer_is_read(self) -> None:
        self.refused(lambda handler: handler.raw(b'[1, 2]', promised=60),
                     r'^its answer was cut off \(3 tries\)', 3)

    def test_half_an_unfinished_stream_is_read(self) -> None:
        def answer(handler: http.Handler) -> None:
            handler.send_response(200)
            handler.send_header('Content-Type', 'application/json')
            handler.send_header('Transfer-Encoding', 'chunked')
            handler.end_headers()
            handler.wfile.write(b'3\r\n[1]\r\n')
            handler.close_connection = True
        self.refused(answer, r'^its answer was cut off \(3 tries\)', 3)

    def test_a_bomb_goes_off(self) -> None:
        bomb = gzip.compress(b' ' * (64 << 20) + b'1')
        self.assertLess(len(bomb), 1 << 17)
        self.refused(lambda handler: handler.raw(
            bomb, Content_Encoding='gzip'),
            'longer than 1048576 bytes', 1)

    def test_packed_answers_are_not_read(self) -> None:
        server = self.serve(lambda handler: handler.raw(
            gzip.compress(b'[1]'), Content_Encoding='gzip'))
        self.assertEqual([1], self.web().get(server.url, {}))

    def test_an_endless_answer_is_read(self) -> None:
        self.refused(lambda handler: handler.raw(b'[' + b' ' * (2 << 20)),
                     'longer than', 1)

    def test_a_silent_server_is_waited_for(self) -> None:
        over = threading.Event()
        self.addCleanup(over.set)
        self.refused(lambda handler: (over.wait(30), None)[1],
                     '^it does not answer within 0.2 s', 2, timeout=0.2,
                     tries=2)

    def test_a_server_that_drips_is_waited_for(self) -> None:
        over = threading.Event()
        self.addCleanup(over.set)

        def answer(handler: http.Handler) -> None:
            handler.send_response(200)
            handler.send_header('Content-Type', 'application/json')
            handler.send_header('Content-Length', '100000')
            handler.end_headers()
            # Long enough to be told from the bound, and no longer.
            for _ in range(100):
                if over.wait(0.05):
                    break
                handler.wfile.write(b' ')
        begun = time.monotonic()
        self.refused(answer, 'takes longer than 0.3 s', 1, timeout=0.3,
                     tries=1)
        self.assertLess(time.monotonic() - begun, 4)

    def test_nobody_listens(self) -> None:
        with self.assertRaisesRegex(
                web.Answerless,
                r'^it cannot be reached: connection refused \(3 tries\)'):
            self.web().get('http://127.0.0.1:9', {})

    def test_a_redirect_takes_the_token_to_another_host(self) -> None:
        other = self.serve(lambda handler: handler.json({}))
        server = self.serve(lambda handler: handler.json(
            {}, 302, Location=f'{other.url}/there'))
        with self.assertRaisesRegex(web.Answerless, 'redirects to'):
            self.web().get(server.url, {}, {'auth-token': 'secret'})
        self.assertEqual([], other.asked)

    def test_a_redirect_on_the_same_host_is_refused(self) -> None:
        server = self.serve(lambda handler: handler.json(
            {'at': handler.path}, 200 if handler.path == '/v4' else 307,
            Location='/v4'))
        self.assertEqual({'at': '/v4'}, self.web().get(
            server.url, {}, {'auth-token': 'secret'}))
        self.assertEqual('secret', server.asked[1][1]['auth-token'])

    def test_a_circle_of_redirects_is_followed(self) -> None:
        server = self.serve(lambda handler: handler.json(
            {}, 302, Location='/'))
        with self.assertRaisesRegex(web.Answerless, 'circles'):
            self.web().get(server.url, {})
        self.assertEqual(4, len(server.asked))

    def test_a_token_is_in_a_log_or_an_error(self) -> None:
        server = self.serve(lambda handler: handler.json({}, 503))
        with (self.assertLogs(level=logging.DEBUG) as logged,
              self.assertRaises(web.Answerless) as caught):
            self.web().get(server.url, {}, {'auth-token': 'hush-hush'})
        self.assertEqual('hush-hush', server.asked[0][1]['auth-token'])
        self.assertNotIn('hush', ' '.join(logged.output))
        self.assertNotIn('hush', str(caught.exception))


class CertificateTest(unittest.TestCase):

    def certified(self) -> tuple[str, pathlib.Path]:
        """A server with a certificate of its own; where that lies."""
        where = tempfile.TemporaryDirectory()
        self.addCleanup(where.cleanup)
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, 'a test')])
        now = datetime.datetime.now(datetime.UTC)
        day = datetime.timedelta(days=1)
        made = x509.CertificateBuilder().subject_name(name).issuer_name(
            name).public_key(key.public_key()).serial_number(7)
        made = made.not_valid_before(now - day).not_valid_after(now + day)
        made = made.add_extension(x509.SubjectAlternativeName([
            x509.IPAddress(ipaddress.ip_address('127.0.0.1'))]), False)
        made = made.add_extension(x509.BasicConstraints(True, None), True)
        path = pathlib.Path(where.name) / 'pem'
        path.write_bytes(made.sign(key, hashes.SHA256()).public_bytes(
            serialization.Encoding.PEM) + key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption()))
        server = http.Server(self, lambda handler: handler.json({}),
                             certificate=str(path))
        return server.url, path

    def test_a_certificate_that_nobody_vouches_for_is_trusted(self) -> None:
        url, path = self.certified()
        asking = web.Web(timeout=5, sleep=lambda seconds: self.fail('again'))
        given = {'NO_PROXY': '*', 'REQUESTS_CA_BUNDLE': ''}
        with mock.patch.dict('os.environ', given):
            with self.assertRaisesRegex(web.Answerless,
                                        'certificate is not trusted'):
                asking.get(url, {}, {'auth-token': 'secret'})
            # As an operator does who has an authority of the own.
            os.environ['REQUESTS_CA_BUNDLE'] = str(path)
            self.assertEqual({}, asking.get(url, {}))


class AddressesTest(unittest.TestCase):

    def test_an_unencrypted_address_is_asked(self) -> None:
        for url in ('http://api.example', 'ftp://api.example', 'api.example',
                    '', 'https://', 'https://user:pw@api.example',
                    'https://api.example?token=1'):
            with (self.subTest(url),
                  self.assertRaisesRegex(errors.ConfigurationError, 'x_url')):
                web.check_url(url, 'x_url')

    def test_a_good_address_is_refused(self) -> None:
        for url in ('https://api.example/', 'http://127.0.0.1:80',
                    'http://localhost:1/a'):
            self.assertEqual(url.rstrip('/'), web.check_url(url, 'x_url'))
