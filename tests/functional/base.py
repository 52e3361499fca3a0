# SPDX-License-Identifier: Apache-2.0
"""Where functional tests find a real MariaDB and a real RabbitMQ.

``tools/run-tests`` starts throw-away servers and names them in the
environment.  A missing server is a skip on a developer's machine and a
failure where one is promised (``CI`` or ``EA_TEST_REQUIRE`` is set).  No
test and no fixture of the project's own parts belongs here.
"""

from __future__ import annotations

import base64
import json
import os
import unittest
import urllib.parse
import urllib.request
import uuid

import sqlalchemy

MYSQL = 'EA_TEST_MYSQL_URL'
RABBIT = 'EA_TEST_RABBIT_URL'
RABBIT_API = 'EA_TEST_RABBIT_API'


def required(test: unittest.TestCase, variable: str) -> str:
    """The value of an environment variable that names a test server.

    Skips the test when it is not set, or fails it where it must be set.
    """
    value = os.environ.get(variable)
    if value:
        return value
    reason = (f'{variable} is not set: run tools/run-tests, which starts the '
              'servers')
    if os.environ.get('CI') or os.environ.get('EA_TEST_REQUIRE'):
        test.fail(reason)
    test.skipTest(reason)


def mysql_url(test: unittest.TestCase) -> str:
    """The URL of a new, empty database that goes when the test ends."""
    server = sqlalchemy.make_url(required(test, MYSQL))
    name = f'ea_{uuid.uuid4().hex}'
    engine = sqlalchemy.create_engine(
        server, isolation_level='AUTOCOMMIT',
        poolclass=sqlalchemy.pool.NullPool)

    def run(statement: str) -> None:
        with engine.connect() as connection:
            connection.exec_driver_sql(statement)

    # Not the server's default on purpose: what the project needs it must
    # say itself.
    run(f'CREATE DATABASE {name} CHARACTER SET latin1')
    test.addCleanup(run, f'DROP DATABASE {name}')
    return server.set(database=name).render_as_string(hide_password=False)


def rabbit_url(test: unittest.TestCase) -> str:
    """The ``transport_url`` of a virtual host that goes with the test.

    A queue is named after its topic alone, so two tests on one virtual
    host would answer each other's calls.  Where the broker's management
    API is not named in the environment, they share its only one.
    """
    url = required(test, RABBIT)
    api = os.environ.get(RABBIT_API)
    if not api:
        return url
    server = urllib.parse.urlsplit(url)
    name = f'ea_{uuid.uuid4().hex}'
    _manage(api, server, 'PUT', f'vhosts/{name}')
    test.addCleanup(_manage, api, server, 'DELETE', f'vhosts/{name}')
    _manage(api, server, 'PUT', f'permissions/{name}/{server.username}',
            {'configure': '.*', 'write': '.*', 'read': '.*'})
    return urllib.parse.urlunsplit(server._replace(path=f'/{name}'))


def _manage(api: str, server: urllib.parse.SplitResult, method: str,
            path: str, body: dict[str, str] | None = None) -> None:
    """One request to RabbitMQ's management API, as the server's user."""
    login = f'{server.username}:{server.password}'.encode()
    request = urllib.request.Request(
        f'{api}/api/{path}', method=method,
        data=json.dumps(body or {}).encode(),
        headers={'Authorization': f'Basic {base64.b64encode(login).decode()}',
                 'Content-Type': 'application/json'})
    with urllib.request.urlopen(request, timeout=30):
        pass
