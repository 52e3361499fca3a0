# SPDX-License-Identifier: Apache-2.0
"""Where functional tests find real databases and a real RabbitMQ.

``tools/run-tests`` starts throw-away servers and names them in the
environment.  A missing server is a skip on a developer's machine and a
failure where one is promised (``CI`` or ``EA_TEST_REQUIRE`` is set).  What
must hold on every database says so with :func:`on`.  No test belongs here.
"""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import tempfile
import unittest
import urllib.parse
import urllib.request
import uuid
from collections.abc import Callable
from typing import Any, TypeVar

import sqlalchemy

from energy_accounting.ledger import engine as ledger
from tests import servers
from tests.functional import turns
from tests.unit.ledger import empty

Case = TypeVar('Case', bound=type)

MYSQL = 'EA_TEST_MYSQL_URL'
POSTGRESQL = 'EA_TEST_POSTGRESQL_URL'
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
    # Not the server's default on purpose: what the project needs it must
    # say itself.
    return _new_database(test, MYSQL, 'mysql', 'CHARACTER SET latin1', '')


def postgresql_url(test: unittest.TestCase, properties: str = (
        "ENCODING 'UTF8' LOCALE_PROVIDER icu ICU_LOCALE 'en-US'")) -> str:
    """The same on PostgreSQL.

    :param properties: of the new database; not the project's on purpose,
        it sorts names as people do.
    """
    return _new_database(
        test, POSTGRESQL, 'postgres', f'TEMPLATE template0 {properties}',
        'WITH (FORCE)', "SET default_transaction_isolation = 'serializable'")


def sqlite_url(test: unittest.TestCase) -> str:
    """The URL of a database file that is not there yet."""
    where = tempfile.TemporaryDirectory()
    test.addCleanup(where.cleanup)
    return f'sqlite:///{where.name}/100% ours.db'


def _new_database(test: unittest.TestCase, variable: str, maintenance: str,
                  properties: str, forced: str, altered: str = '') -> str:
    server = sqlalchemy.make_url(required(test, variable))
    name = f'ea_{uuid.uuid4().hex}'
    engine = sqlalchemy.create_engine(
        server.set(database=maintenance), isolation_level='AUTOCOMMIT',
        poolclass=sqlalchemy.pool.NullPool)

    def run(statement: str) -> None:
        with engine.connect() as connection:
            connection.exec_driver_sql(statement)

    run(f'CREATE DATABASE {name} {properties}')
    test.addCleanup(run, f'DROP DATABASE {name} {forced}')
    if altered:
        run(f'ALTER DATABASE {name} {altered}')
    return server.set(database=name).render_as_string(hide_password=False)


SQLITE, MARIADB, POSTGRES = 'SQLite', 'MariaDB', 'PostgreSQL'
SERVERS = (MARIADB, POSTGRES)
EVERY = (SQLITE, *SERVERS)
_URLS: dict[str, Callable[[unittest.TestCase], str]] = {
    SQLITE: sqlite_url, MARIADB: mysql_url, POSTGRES: postgresql_url}


class OnDatabase:
    """What :func:`on` gives to a test case.

    :ivar database_name: of :data:`EVERY`.
    """

    database_name = ''

    def database_url(self) -> str:
        """The URL of a new, empty database that goes when the test ends."""
        return _URLS[self.database_name](self)  # type: ignore[arg-type]

    def ledger_url(self) -> str:
        """The URL of a ledger as the migrations make it.

        It is the test's alone until that ends.  Making one takes longer
        than most tests: on a server they take turns with a few.
        """
        new = _URLS[self.database_name]
        if self.database_name in SERVERS:
            return turns.take(
                self, self.database_name, new)  # type: ignore[arg-type]
        url = new(self)  # type: ignore[arg-type]
        database = ledger.Database(url)
        empty.fill(database)
        database.close()
        return url

    def new_database(self) -> ledger.Database:
        """The same, connected to."""
        database = ledger.Database(self.ledger_url())
        self.addCleanup(database.close)  # type: ignore[attr-defined]
        return database


def dump(url: str) -> bytes:
    """A backup of a server's database, by its own tool."""
    address = sqlalchemy.make_url(url)
    if address.get_backend_name() == 'mysql':
        return _tool(address, 'mariadb-dump', '--single-transaction')
    return _tool(address, 'pg_dump', '--clean', '--if-exists')


def restore(url: str, backup: bytes) -> None:
    """Load a backup as an operator does: over what is there."""
    address = sqlalchemy.make_url(url)
    if address.get_backend_name() == 'mysql':
        _tool(address, 'mariadb', backup=backup)
    else:
        _tool(address, 'psql', '--quiet', '--set=ON_ERROR_STOP=1',
              backup=backup)


def _tool(address: sqlalchemy.URL, name: str, *options: str,
          backup: bytes | None = None) -> bytes:
    if address.get_backend_name() == 'mysql':
        command = [servers.program(name), '--no-defaults', *options,
                   f'--host={address.host}', f'--port={address.port}',
                   f'--user={address.username}', str(address.database)]
        password = {'MYSQL_PWD': str(address.password)}
    else:
        command = [servers.PostgreSQL.program(name), *options,
                   f'--host={address.host}', f'--port={address.port}',
                   f'--username={address.username}',
                   f'--dbname={address.database}']
        password = {'PGPASSWORD': str(address.password)}
    return subprocess.run(command, input=backup or b'', check=True,
                          stdout=subprocess.PIPE,
                          env={**os.environ, **password}).stdout


def on(*names: str) -> Callable[[Case], Case]:
    """Let the tests of a class run on these databases, and only so.

    In place of ``TestSums`` there are ``TestSumsSQLite`` and so on, which
    are :class:`OnDatabase` too::

        @base.on(*base.EVERY)
        class TestSums(unittest.TestCase): ...
    """
    def decorate(case: Case) -> Case:
        made_in: Any = sys.modules[case.__module__]
        case.__test__ = False
        for name in names:
            made = type(f'{case.__name__}{name}', (OnDatabase, case), {
                '__module__': case.__module__, '__doc__': case.__doc__,
                '__test__': True, 'database_name': name})
            setattr(made_in, made.__name__, made)
        return case
    return decorate


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
