# SPDX-License-Identifier: Apache-2.0
"""Users with the rights that the documents give them, on real servers.

The statements are taken from the documents.  What a process needs works,
what is promised to be out of reach is refused.
"""

from __future__ import annotations

import concurrent.futures
import os
import pathlib
import re
import shlex
import threading
import unittest
import urllib.parse
import uuid
from typing import Any

import amqp
import fixtures
import sqlalchemy as sa
from oslo_concurrency import lockutils
from oslo_config import cfg
from oslo_messaging import conffixture
from oslotest import base as oslo_base

from energy_accounting import collector, errors, rpc, samples
from energy_accounting.ledger import (
    audit,
    decisions,
    engine,
    models,
    purge,
    writes,
)
from energy_accounting.ledger.audit import Actor
from tests.functional import base
from tests.unit import records
from tests.unit.ledger import sums

DOCS = pathlib.Path(__file__).parents[2] / 'doc' / 'source'
PREPARE = (DOCS / 'install' / 'prepare.rst').read_text()
SECURITY = (DOCS / 'admin' / 'security.rst').read_text()
PASSWORD = 'least-trust'
NOW_NS = records.START_NS + 10 * purge.DAY_NS


# --- databases --------------------------------------------------------------

def statements(text: str, heading: str, other: str) -> list[str]:
    """The SQL of the blocks of a section."""
    section = text[text.index(f'{heading}\n---'):]
    section = section[:section.index(other)]
    blocks = re.findall(r'\.\. code-block:: sql\n\n((?: {4}.*\n|\n)+)',
                        section)
    return [' '.join(one.split()) for block in blocks
            for one in block.split(';') if one.strip()]


@base.on(*base.SERVERS)
class TestDatabaseUsers(unittest.TestCase):
    database_name: str

    def setUp(self) -> None:
        super().setUp()
        maria = self.database_name == base.MARIADB
        self.server = sa.make_url(base.required(
            self, base.MYSQL if maria else base.POSTGRESQL))
        self.admin = self.server.set(
            database='mysql' if maria else 'postgres')
        # Names are of the server, so each test has its own.
        self.suffix = uuid.uuid4().hex[:12]
        self.addCleanup(self.drop)
        for statement in (statements(PREPARE, 'MariaDB', 'PostgreSQL\n---')
                          if maria else
                          statements(PREPARE, 'PostgreSQL',
                                     'A database in another')):
            self.run_as(self.admin if maria or statement.startswith('CREATE')
                        else self.admin.set(database=self.own(
                            'energy_accounting')), self.own(statement))

    def own(self, text: str) -> str:
        text = re.sub(r'\benergy_(schema|collector|api|accounting)\b',
                      rf'energy_\1_{self.suffix}', text)
        return text.replace("'PASSWORD'", f"'{PASSWORD}'")

    def drop(self) -> None:
        users = [self.own(f'energy_{name}')
                 for name in ('schema', 'collector', 'api')]
        database = self.own('energy_accounting')
        if self.database_name == base.MARIADB:
            self.run_as(self.admin, f'DROP DATABASE IF EXISTS {database}',
                        *(f'DROP USER IF EXISTS {name}' for name in users))
        else:
            self.run_as(self.admin,
                        f'DROP DATABASE IF EXISTS {database} WITH (FORCE)',
                        *(f'DROP ROLE IF EXISTS {name}' for name in users))

    def run_as(self, url: sa.URL, *texts: str) -> None:
        made = sa.create_engine(url, isolation_level='AUTOCOMMIT',
                                poolclass=sa.pool.NullPool)
        with made.connect() as connection:
            for text in texts:
                connection.exec_driver_sql(text.replace('%', '%%'))

    def url_of(self, user: str) -> sa.URL:
        return self.server.set(
            username=self.own(user), password=PASSWORD,
            database=self.own('energy_accounting'))

    def connect(self, user: str) -> engine.Database:
        database = engine.Database(
            self.url_of(user).render_as_string(hide_password=False))
        self.addCleanup(database.close)
        return database

    def assert_refused(self, user: str, *texts: str) -> None:
        for text in texts:
            with self.assertRaisesRegex(
                    sa.exc.DBAPIError, 'denied|must be|permission',
                    msg=f'{user}: {text}'):
                self.run_as(self.url_of(user), text)

    def book(self, user: str, enrolment: str) -> engine.Database:
        database = self.connect(user)
        engine.check_schema(database)
        answer = collector.Collector(
            database, None, lambda: NOW_NS, enrolment).book(
                {}, records.payloads(records.window(1), records.window(2)))
        self.assertEqual(2, len(answer['results']))
        return database

    def test_a_process_cannot_do_its_work(self) -> None:
        engine.sync(self.connect('energy_schema'))
        database = self.book('energy_collector', writes.MANUAL)
        self.release('energy_api')
        self.assertTrue(sums.rows(database, models.account_buckets))
        gone = purge.purge(database, purge.Retention(31, 31, 1),
                           NOW_NS + 4000 * purge.DAY_NS)
        self.assertGreater(sum(gone.values()), 0)
        self.assertEqual([], sums.rows(database, models.account_buckets))
        if self.database_name == base.POSTGRES:
            self.keep_the_audit(database)

    def release(self, user: str) -> None:
        """What the API writes of the ledger."""
        database = self.connect(user)
        engine.check_schema(database)
        held = sums.rows(database, models.quarantine)
        self.assertEqual(2, len(held))
        database.write(lambda connection: connection.execute(
            models.hosts.update().values(
                state=models.ENROLLED, public_key=records.SIGNER.key)))
        for record in held:
            database.write(decisions.release, record.id, NOW_NS,
                           Actor('an operator'))

    def keep_the_audit(self, database: engine.Database) -> None:
        """A grant on a database of MariaDB cannot be taken back by table."""
        revoked = re.findall(r'^ +(REVOKE .* energy_api);$', SECURITY,
                             re.MULTILINE)
        self.assertEqual(1, len(revoked))
        self.run_as(self.url_of('energy_schema'), self.own(revoked[0]))
        self.assert_refused('energy_api', 'DELETE FROM audit',
                            "UPDATE audit SET actor = 'nobody'")
        # What it does is still written down.
        self.connect('energy_api').write(
            audit.write, Actor('an operator'), NOW_NS,
            audit.Change('host', 'compute-1', None, {'state': 'enrolled'}))

    def test_a_process_may_more_than_it_needs(self) -> None:
        engine.sync(self.connect('energy_schema'))
        for user in ('energy_collector', 'energy_api'):
            self.assert_refused(
                user, 'DROP TABLE audit', 'CREATE TABLE mine (id integer)',
                'ALTER TABLE audit ADD COLUMN mine integer',
                'TRUNCATE TABLE audit')
        for user in ('energy_schema', 'energy_collector', 'energy_api'):
            if self.database_name == base.MARIADB:
                self.assert_refused(user, 'SELECT * FROM mysql.global_priv',
                                    "SELECT 1 INTO OUTFILE '/tmp/x'",
                                    'GRANT SELECT ON *.* TO '
                                    f"{self.own('energy_api')}@'%'")
            else:
                self.assert_refused(user, 'SELECT * FROM pg_authid',
                                    "COPY (SELECT 1) TO '/tmp/x'",
                                    'CREATE ROLE mine')

    def test_pods_that_start_together_spoil_the_schema(self) -> None:
        databases = [self.connect('energy_schema') for _ in range(3)]
        ready = threading.Barrier(3)

        def sync(database: engine.Database) -> None:
            ready.wait(60)
            engine.sync(database)
        with concurrent.futures.ThreadPoolExecutor(3) as pool:
            list(pool.map(sync, databases))
        engine.check_schema(databases[0])


# --- the message bus --------------------------------------------------------

def permissions(text: str, user: str) -> tuple[str, str, str]:
    """The patterns of ``rabbitmqctl set_permissions`` in a document."""
    command = re.search(rf'rabbitmqctl set_permissions -p energy {user} '
                        r'((?:.*\\\n)*.*)', text)
    assert command, user
    configure, write, read = shlex.split(command[1].replace('\\\n', ' '))
    return configure, write, read


class Books:
    """A collector that says yes."""

    def book(self, ctxt: Any, records: list[list[str]]) -> dict[str, Any]:
        return {'results': [samples.BOOKED] * len(records), 'expects': 2}


class TestBusUsers(oslo_base.BaseTestCase):

    def setUp(self) -> None:
        super().setUp()
        url = urllib.parse.urlsplit(base.rabbit_url(self))
        self.vhost = url.path[1:]
        self.address = f'{url.hostname}:{url.port}'
        self.api = base.required(self, base.RABBIT_API)
        self.admin = url
        self.names: dict[str, str] = {}
        host = os.uname().nodename
        self.add('energy-notifier', permissions(PREPARE, 'energy-notifier'))
        self.add('energy-collector', permissions(PREPARE, 'energy-collector'))
        self.add('energy-compute-17', tuple(
            pattern.replace('compute-17', re.escape(host)) for pattern in
            permissions(SECURITY, 'energy-compute-17')))
        self.conf = cfg.CONF
        self.useFixture(conffixture.ConfFixture(self.conf))
        self.conf([], project='test', default_config_files=[])
        lockutils.set_defaults(self.useFixture(fixtures.TempDir()).path)
        for option in ('rabbit_quorum_queue', 'rabbit_transient_quorum_queue',
                       'use_queue_manager'):
            self.conf.set_override(option, True, 'oslo_messaging_rabbit')

    def add(self, name: str, rights: tuple[str, ...]) -> None:
        user = f'{name}-{uuid.uuid4().hex[:8]}'
        self.names[name] = user
        base._manage(self.api, self.admin, 'PUT', f'users/{user}',
                     {'password': PASSWORD, 'tags': ''})
        self.addCleanup(base._manage, self.api, self.admin, 'DELETE',
                        f'users/{user}')
        base._manage(self.api, self.admin, 'PUT',
                     f'permissions/{self.vhost}/{user}',
                     dict(zip(('configure', 'write', 'read'), rights,
                              strict=True)))

    def transport(self, name: str) -> Any:
        made = rpc.make_transport(
            self.conf, f'rabbit://{self.names[name]}:{PASSWORD}'
                       f'@{self.address}/{self.vhost}')
        self.addCleanup(made.cleanup)
        return made

    def call(self, name: str) -> rpc.Reply:
        server = rpc.make_server(self.transport('energy-collector'),
                                 'controller-1', Books())
        server.start()
        try:
            return rpc.Caller(self.transport(name), 20).book(
                [samples.Signed('1', 'key', 'signature')])
        finally:
            server.stop()
            server.wait()

    def channel(self, name: str, vhost: str | None = None) -> amqp.Channel:
        connection = amqp.Connection(
            self.address, self.names[name], PASSWORD,
            virtual_host=vhost or self.vhost)
        self.addCleanup(connection.close)
        connection.connect()
        return connection.channel()

    def assert_refused(self, name: str, what: str, *given: Any,
                       **named: Any) -> None:
        channel = self.channel(name)
        error = self.assertRaises(amqp.AccessRefused, getattr(channel, what),
                                  *given, **named)
        self.assertIn('refused', str(error))

    def test_a_notifier_cannot_send(self) -> None:
        for name in ('energy-notifier', 'energy-compute-17'):
            self.assertEqual((samples.BOOKED,), self.call(name).results)

    def test_a_notifier_reads_windows(self) -> None:
        self.call('energy-notifier')
        for name in ('energy-notifier', 'energy-compute-17'):
            self.assert_refused(name, 'basic_get', 'energy-accounting')
            self.assert_refused(name, 'basic_consume', 'energy-accounting')
            mine = f'reply_{os.uname().nodename}:mine:1'
            self.channel(name).queue_declare(
                mine, durable=True, auto_delete=False)
            self.assert_refused(name, 'queue_bind', mine,
                                'energy_accounting', 'energy-accounting')

    def test_a_notifier_poses_as_a_collector(self) -> None:
        self.call('energy-notifier')
        for name in ('energy-notifier', 'energy-compute-17'):
            self.assert_refused(name, 'queue_delete', 'energy-accounting')
            self.assert_refused(name, 'queue_declare',
                                'energy-accounting.impostor')
            # An answer to somebody else.
            channel = self.channel(name)
            channel.confirm_select()
            self.assertRaises(
                amqp.AccessRefused, channel.basic_publish_confirm,
                amqp.Message('{}'), exchange='', routing_key='reply_other')

    def test_a_notifier_reads_answers_to_another(self) -> None:
        channel = self.channel('energy-notifier')
        channel.queue_declare('reply_other:notifier:1', durable=True,
                              auto_delete=False)
        self.assert_refused('energy-compute-17', 'basic_get',
                            'reply_other:notifier:1')

    def test_a_user_reaches_another_virtual_host(self) -> None:
        for name in self.names:
            self.assertRaises((amqp.NotAllowed, amqp.AccessRefused),
                              self.channel, name, '/')

    def test_a_collector_reads_answers(self) -> None:
        self.call('energy-notifier')
        self.channel('energy-notifier').queue_declare(
            'reply_other:notifier:1', durable=True, auto_delete=False)
        self.assert_refused('energy-collector', 'basic_get',
                            'reply_other:notifier:1')

    def test_too_few_rights_are_not_an_error(self) -> None:
        base._manage(self.api, self.admin, 'PUT',
                     f'permissions/{self.vhost}/'
                     f'{self.names["energy-notifier"]}',
                     {'configure': '^reply_.*$', 'write': '',
                      'read': '^reply_.*$'})
        self.assertRaises(errors.Unavailable, self.call, 'energy-notifier')
