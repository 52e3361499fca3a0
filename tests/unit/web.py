# SPDX-License-Identifier: Apache-2.0
"""A real HTTP server on loopback that gives the answers a test wrote.

It stands in for services at the edge (the energy API, Keystone, Nova) and
knows nothing of what they mean.
"""

from __future__ import annotations

import http.server
import json
import threading
import unittest
import urllib.parse
from collections.abc import Callable
from typing import Any, NamedTuple


class Request(NamedTuple):
    """What a client sent."""

    path: str
    query: dict[str, str]
    headers: dict[str, str]
    method: str = 'GET'
    body: bytes = b''


class Answer(NamedTuple):
    """What it gets: a body that is not a text is sent as JSON."""

    body: Any
    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()


class Server:
    """Answers each request with what ``answer(request)`` says."""

    def __init__(self, test: unittest.TestCase,
                 answer: Callable[[Request], Answer]) -> None:
        self.requests: list[Request] = []
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = 'HTTP/1.1'

            def do_GET(self) -> None:
                url = urllib.parse.urlsplit(self.path)
                request = Request(
                    url.path, dict(urllib.parse.parse_qsl(
                        url.query, keep_blank_values=True)),
                    {name.lower(): value
                     for name, value in self.headers.items()},
                    self.command, self.rfile.read(
                        int(self.headers.get('Content-Length') or 0)))
                outer.requests.append(request)
                self._send(answer(request))

            do_POST = do_PATCH = do_DELETE = do_GET

            def _send(self, reply: Answer) -> None:
                text = isinstance(reply.body, str)
                body = (reply.body if text
                        else json.dumps(reply.body)).encode()
                self.send_response(reply.status)
                self.send_header('Content-Type', 'text/html' if text
                                 else 'application/json')
                if reply.status != 204:
                    self.send_header('Content-Length', str(len(body)))
                for name, value in reply.headers:
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args: object) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(('127.0.0.1', 0),
                                                       Handler)
        self.url = f'http://127.0.0.1:{self._server.server_port}'
        thread = threading.Thread(target=self._server.serve_forever,
                                  kwargs={'poll_interval': 0.01},
                                  daemon=True)
        thread.start()
        test.addCleanup(thread.join)
        test.addCleanup(self._server.server_close)
        test.addCleanup(self._server.shutdown)
