# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import concurrent.futures
import pathlib
import tempfile
import unittest

import sqlalchemy as sa
from oslo_config import cfg
from oslo_db import exception as db_exception

from energy_accounting import errors
from energy_accounting.ledger import accounts, engine, models
from tests.unit import records


class FileCase(unittest.TestCase):
    def setUp(self) -> None:
        super().setUp()
        where = tempfile.TemporaryDirectory()
        self.addCleanup(where.cleanup)
        self.path = pathlib.Path(where.name) / 'ledger.db'
        self.database = records.database(f'sqlite:///{self.path}')
        self.addCleanup(self.database.close)


class TestSQLite(FileCase):
    def test_readers_do_not_wait_for_a_writer(self) -> None:
        with self.database.writer() as writing:
            writing.execute(sa.insert(models.sites).values(name='new'))
            with self.database.reader() as reading:
                self.assertEqual(1, reading.scalar(sa.select(
                    sa.func.count()).select_from(models.sites)))

    def test_a_writer_that_reads_first_does_not_fail(self) -> None:
        self.database.write(accounts.project_refs, {'shared'})
        table = models.projects

        def rename(connection: sa.Connection) -> None:
            name = connection.scalar(sa.select(table.c.project_id)
                                     .where(table.c.id == 2)) or ''
            connection.execute(sa.update(table).where(table.c.id == 2)
                               .values(project_id=name + 'x'))
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            for done in [pool.submit(self.database.write, rename)
                         for _ in range(40)]:
                done.result()
        with self.database.reader() as connection:
            self.assertEqual('shared' + 40 * 'x', connection.scalar(
                sa.select(table.c.project_id).where(table.c.id == 2)))

    def test_foreign_keys_are_kept(self) -> None:
        with (self.assertRaises(db_exception.DBReferenceError),
              self.database.writer() as connection):
            connection.execute(sa.insert(models.streams).values(
                host_id=9, stream='s', machine_id='m', sequence=0,
                digest='', public_key=''))

    def test_a_write_that_fails_leaves_nothing(self) -> None:
        def fail(connection: sa.Connection) -> None:
            connection.execute(sa.insert(models.sites).values(name='half'))
            raise KeyError
        self.assertRaises(KeyError, self.database.write, fail)
        with self.database.reader() as connection:
            self.assertEqual(['default'], list(
                connection.scalars(sa.select(models.sites.c.name))))


class TestWrite(FileCase):
    def test_a_conflict_is_tried_again_from_the_start(self) -> None:
        tries = []

        def work(connection: sa.Connection, name: str) -> str:
            connection.execute(sa.insert(models.sites).values(name=name))
            tries.append(name)
            if len(tries) < 3:
                raise db_exception.DBDeadlock
            return name
        self.assertEqual('one', self.database.write(work, 'one'))
        self.assertEqual(3, len(tries))

    def test_what_is_away_is_said_to_be(self) -> None:
        away = engine.Database('sqlite:////nowhere/at/all.db')
        self.assertRaises(errors.Unavailable, away.read,
                          lambda connection: None)
        self.assertRaises(errors.Unavailable, away.write,
                          lambda connection: None)

    def test_a_value_that_does_not_fit_is_an_invalid_record(self) -> None:
        def refuse(connection: sa.Connection) -> None:
            raise db_exception.DBDataError
        self.assertRaises(errors.InvalidRecord, self.database.write, refuse)


class TestReplica(FileCase):
    def test_the_schema_that_counts_is_that_of_the_writer(self) -> None:
        url, replica = f'sqlite:///{self.path}', f'sqlite:///{self.path}-2'
        both = engine.Database(url, replica)
        self.addCleanup(both.close)
        engine.check_schema(both)
        turned = engine.Database(replica, url)
        self.addCleanup(turned.close)
        self.assertRaises(errors.ConfigurationError, engine.check_schema,
                          turned)


class TestFromConf(unittest.TestCase):
    def database(self, **options: object) -> engine.Database:
        conf = cfg.ConfigOpts()
        conf([], project='test')
        engine.register(conf)
        for name, value in options.items():
            conf.set_override(name, value, 'database')
        made = engine.Database.from_conf(conf)
        self.addCleanup(made.close)
        return made

    def test_no_connection_is_an_error_that_names_the_option(self) -> None:
        with self.assertRaisesRegex(errors.ConfigurationError,
                                    'connection is not set'):
            self.database()

    def test_a_wrong_url_is_an_error_that_names_the_option(self) -> None:
        for url in ('nonsense', 'nonsense://host/name'):
            with self.subTest(url=url), self.assertRaisesRegex(
                    errors.ConfigurationError, r'\[database\] connection'):
                self.database(connection=url)

    def test_a_url_without_a_database_is_an_error_of_the_driver(self,
                                                                ) -> None:
        for url in ('mysql+pymysql://u:p@127.0.0.1:1',
                    'postgresql://u:p@127.0.0.1:1/'):
            with self.subTest(url=url), self.assertRaisesRegex(
                    errors.ConfigurationError,
                    r'\[database\] connection .* names no database'):
                self.database(connection=url)

    def test_a_right_url_works(self) -> None:
        self.assertIsNone(engine.version(self.database(
            connection='sqlite://')))
