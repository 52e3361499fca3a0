# SPDX-License-Identifier: Apache-2.0
"""A real HTTP server that misbehaves byte by byte, as a test wants it."""

from __future__ import annotations

import contextlib
import http.server
import json
import ssl
import threading
import unittest
from collections.abc import Callable
from typing import Any


class Handler(http.server.BaseHTTPRequestHandler):
    """What a test's function answers with; see :class:`Server`."""

    protocol_version = 'HTTP/1.1'

    def json(self, body: Any, status: int = 200, **headers: str) -> None:
        """An answer as it should be."""
        self.raw(json.dumps(body).encode(), status, **headers)

    def raw(self, body: bytes, status: int = 200, *,
            promised: int | None = None, **headers: str) -> None:
        """An answer of any bytes; ``Content_Type`` stands for the header.

        :param promised: the length that is said, when it is another.
        """
        self.send_response(status)
        given = {'Content_Type': 'application/json', **headers}
        for name, value in given.items():
            self.send_header(name.replace('_', '-'), value)
        self.send_header('Content-Length', str(
            len(body) if promised is None else promised))
        self.end_headers()
        self.wfile.write(body)
        if promised is not None:
            self.close_connection = True

    def log_message(self, *args: object) -> None:
        pass


class Server:
    """Answers each request by ``answer(handler)``.

    :param certificate: a file with it and its key, for https.
    :ivar asked: (path with query, headers) of each request.
    """

    def __init__(self, test: unittest.TestCase,
                 answer: Callable[[Handler], None],
                 certificate: str | None = None) -> None:
        self.asked: list[tuple[str, dict[str, str]]] = []
        outer = self

        class Mine(Handler):

            def do_GET(self) -> None:
                outer.asked.append((self.path, {
                    name.lower(): value
                    for name, value in self.headers.items()}))
                # A client that has had enough hangs up.
                with contextlib.suppress(ConnectionError):
                    answer(self)

            do_POST = do_DELETE = do_GET

        server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Mine)
        server.daemon_threads = True
        # A client that hangs up in a handshake is no news.
        server.handle_error = (  # type: ignore[method-assign]
            lambda request, address: None)
        scheme = 'http'
        if certificate:
            scheme, context = 'https', ssl.create_default_context(
                ssl.Purpose.CLIENT_AUTH)
            context.load_cert_chain(certificate)
            server.socket = context.wrap_socket(server.socket,
                                                server_side=True)
        self.url = f'{scheme}://127.0.0.1:{server.server_port}'
        thread = threading.Thread(target=server.serve_forever,
                                  kwargs={'poll_interval': 0.01},
                                  daemon=True)
        thread.start()
        test.addCleanup(thread.join)
        test.addCleanup(server.server_close)
        test.addCleanup(server.shutdown)
