# SPDX-License-Identifier: Apache-2.0
"""A real CloudKitty on a real InfluxDB, and somebody who cuts it off.

Only what exports need of a rating service runs: its API.  No assertion
belongs here.
"""

from __future__ import annotations

import contextlib
import http.server
import pathlib
import threading
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from typing import ClassVar

import requests

from tests import servers
from tests.acceptance import cloud, environment

# The wheel brings neither.
_PASTE = """
[pipeline:cloudkitty+keystone]
pipeline = request_id authtoken ck
[app:ck]
paste.app_factory = cloudkitty.api.app:app_factory
[filter:authtoken]
acl_public_routes = /, /v1, /v2
paste.filter_factory = \
cloudkitty.api.middleware:AuthTokenMiddleware.factory
[filter:request_id]
paste.filter_factory = oslo_middleware:RequestId.factory
"""
# As CloudKitty's own etc/cloudkitty/metrics.yml has it.
_METRICS = """
metrics:
  cpu:
    unit: instance
    alt_name: instance
    groupby: [id, project_id]
    metadata: [flavor, flavor_id, vcpus]
    mutate: NUMBOOL
    extra_args:
      aggregation_method: max
      resource_type: instance
"""
_SERVE = """
import sys
import waitress
sys.argv = ['cloudkitty-api', '--config-file', 'cloudkitty.conf']
from cloudkitty.wsgi import api
waitress.serve(api.application, listen='{address}', threads=4)
"""
SECONDS = 60


class InfluxDB(servers.Server):
    """InfluxDB 1 with an empty database for CloudKitty."""

    name = 'influxdb'

    def prepare(self) -> None:
        self.port, backup = servers.free_ports(2)
        self.url = f'http://{servers.LOOPBACK}:{self.port}'
        (self.path / 'influxdb.conf').write_text(f"""
reporting-disabled = true
bind-address = "{servers.LOOPBACK}:{backup}"
[meta]
dir = "{self.path}/meta"
[data]
dir = "{self.path}/data"
wal-dir = "{self.path}/wal"
[http]
bind-address = "{servers.LOOPBACK}:{self.port}"
""")

    def launch(self) -> None:
        self.spawn(*cloud.DIE_TOGETHER, servers.program('influxd'),
                   '-config', str(self.path / 'influxdb.conf'))

    def answers(self) -> bool:
        return _answers(f'{self.url}/ping')

    def start(self) -> None:
        super().start()
        requests.post(f'{self.url}/query', timeout=SECONDS, params={
            'q': 'CREATE DATABASE cloudkitty'}).raise_for_status()


class CloudKitty(servers.Server):
    """Its API, with storage version 2, served by waitress.

    :param database: an SQLAlchemy URL of an empty database.
    :param settings: of [keystone_authtoken].
    """

    name = 'cloudkitty'

    def __init__(self, where: pathlib.Path, database: str,
                 influx: InfluxDB, settings: str) -> None:
        self.database, self.influx, self.settings = database, influx, settings
        super().__init__(where)

    def prepare(self) -> None:
        self.port = servers.free_port()
        self.url = f'http://{servers.LOOPBACK}:{self.port}'
        self.bin = environment.installed('cloudkitty')
        (self.path / 'api_paste.ini').write_text(_PASTE)
        (self.path / 'metrics.yml').write_text(_METRICS)
        (self.path / 'cloudkitty.conf').write_text(f"""
[DEFAULT]
transport_url = fake://
auth_strategy = keystone
api_paste_config = {self.path}/api_paste.ini
[database]
connection = {self.database}
[storage]
version = 2
backend = influxdb
[storage_influxdb]
version = 1
host = {servers.LOOPBACK}
port = {self.influx.port}
database = cloudkitty
username = ck
password = ck
[collect]
metrics_conf = {self.path}/metrics.yml
[orchestrator]
coordination_url = file://{self.path}/locks
[keystone_authtoken]
{self.settings}
""")
        self.run(str(self.bin / 'cloudkitty-dbsync'), '--config-file',
                 'cloudkitty.conf', 'upgrade')
        self.run(str(self.bin / 'cloudkitty-storage-init'), '--config-file',
                 'cloudkitty.conf')

    def launch(self) -> None:
        serve = _SERVE.format(address=f'{servers.LOOPBACK}:{self.port}')
        self.spawn(*cloud.DIE_TOGETHER, str(self.bin / 'python'), '-c',
                   serve, env={'PYTHONWARNINGS': 'ignore'})

    def answers(self) -> bool:
        return _answers(f'{self.url}/')

    @contextlib.contextmanager
    def first_storage(self) -> Iterator[None]:
        """It runs with storage version 1, and so without its API v2."""
        path = self.path / 'cloudkitty.conf'
        text = path.read_text()
        path.write_text(text.replace('version = 2\nbackend = influxdb',
                                     'version = 1\nbackend = sqlalchemy'))
        self.start()
        try:
            yield
        finally:
            self.kill()
            path.write_text(text)


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=SECONDS):
            return True
    except (OSError, urllib.error.URLError):
        return False


class Between:
    """A server that hands everything on, and counts what is posted.

    :ivar posted: bodies that CloudKitty took.
    :ivar before, after: called with the number of the post, before
        CloudKitty gets it, which it does not if that is true, and before
        its answer is handed back.
    """

    def __init__(self, behind: str) -> None:
        self.behind = behind
        self.posted: list[bytes] = []
        self.before: Callable[[int], object] = lambda number: None
        self.after: Callable[[int], object] = lambda number: None
        self.asked: list[str] = []
        self._server = http.server.ThreadingHTTPServer(
            (servers.LOOPBACK, 0), _handler(self))
        self._server.daemon_threads = True
        self.url = f'http://{servers.LOOPBACK}:{self._server.server_port}'
        # What stops it runs at the exit, which waits for all other threads.
        self._thread = threading.Thread(target=self._server.serve_forever,
                                        daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def _handler(between: Between) -> type[http.server.BaseHTTPRequestHandler]:

    class Handler(http.server.BaseHTTPRequestHandler):

        kept: ClassVar[tuple[str, ...]] = ('X-Auth-Token', 'Content-Type',
                                           'Accept')

        def log_message(self, *_: object) -> None:
            pass

        def do_GET(self) -> None:
            self.hand_on('GET', None)

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers['Content-Length']))
            if between.before(len(between.posted) + 1):
                self.close_connection = True
                return
            self.hand_on('POST', body)

        def hand_on(self, method: str, body: bytes | None) -> None:
            between.asked.append(f'{method} {self.path}')
            answer = requests.request(
                method, between.behind + self.path, data=body,
                timeout=SECONDS, headers={
                    name: self.headers[name] for name in self.kept
                    if name in self.headers})
            if body is not None and answer.ok:
                between.posted.append(body)
                between.after(len(between.posted))
            try:
                self.send_response(answer.status_code)
                if answer.status_code != 204:
                    self.send_header('Content-Length',
                                     str(len(answer.content)))
                    self.send_header('Content-Type', answer.headers.get(
                        'Content-Type', 'text/plain'))
                self.end_headers()
                self.wfile.write(answer.content)
            except OSError:
                # Whoever asked was killed.
                self.close_connection = True

    return Handler
