# SPDX-License-Identifier: Apache-2.0
"""Replays what a real Nova answered, with the ids of the test's guests.

``recorded/nova-34.json`` says where it comes from.  A request that was not
recorded is an error, never a guess.
"""

from __future__ import annotations

import http.server
import json
import pathlib
import threading
import urllib.parse
from typing import Any

from tests import servers
from tests.acceptance import guests

RECORDED = pathlib.Path(__file__).parent / 'recorded/nova-34.json'


def rewritten(found: list[guests.Guest], url: str) -> dict[str, Any]:
    """The recording with other ids: one server for each guest."""
    text = RECORDED.read_text()
    listing = json.loads(text)['listing']['servers']
    if len(listing) != len(found):
        raise ValueError(f'{len(listing)} servers were recorded, there are '
                         f'{len(found)} guests')
    # By name: the idle one stays the idle one.
    by_name = zip(sorted(listing, key=lambda server: server['name']),
                  sorted(found, key=lambda guest: guest.name), strict=True)
    for server, guest in by_name:
        text = text.replace(server['id'], guest.instance_id)
        text = text.replace(server['tenant_id'], guest.project_id)
    return json.loads(text.replace('{url}', url))


class Replay:
    """The recording, served on a free port."""

    def __init__(self, found: list[guests.Guest]) -> None:
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.requests.append(self.path)
                status, body = outer.answer(self.path, self.headers)
                data = json.dumps(body).encode()
                self.send_response(status)
                self.send_header('Content-Type', 'application/json')
                self.send_header('Content-Length', str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *args: object) -> None:
                pass

        self.requests: list[str] = []
        self._server = http.server.ThreadingHTTPServer(
            (servers.LOOPBACK, 0), Handler)
        self.url = f'http://{servers.LOOPBACK}:{self._server.server_port}'
        self.recorded = rewritten(found, self.url)
        threading.Thread(target=self._server.serve_forever,
                         daemon=True).start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def answer(self, path: str, headers: Any) -> tuple[int, Any]:
        """Status and body of a request."""
        url = urllib.parse.urlsplit(path)
        query = dict(urllib.parse.parse_qsl(url.query))
        if url.path.rstrip('/') == '':
            return 300, self.recorded['/']
        if url.path.rstrip('/') == '/v2.1':
            return 200, self.recorded['/v2.1/']
        if not headers.get('X-Auth-Token'):
            return 401, {}
        asked = headers.get('OpenStack-API-Version', '')
        if asked != f'compute {self.recorded["microversion"]}':
            return 406, {'error': f'{asked!r} was not recorded'}
        if (url.path != '/v2.1/servers/detail'
                or query.pop('all_tenants', None) not in ('1', 'True')):
            return 404, {'error': f'{path} was not recorded'}
        if query.pop('deleted', None):
            return 200, self.recorded['deleted']
        marker = query.pop('marker', None)
        if marker == self.recorded['listing']['servers'][-1]['id']:
            return 200, self.recorded['after_the_last']
        if marker or query:
            return 404, {'error': f'{path} was not recorded'}
        return 200, self.recorded['listing']
