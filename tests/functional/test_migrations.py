# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pathlib
import unittest
from typing import Any

import alembic.autogenerate
import alembic.migration
import alembic.script
import sqlalchemy as sa

from energy_accounting import errors
from energy_accounting.facility import models as facility
from energy_accounting.ledger import (
    accounts,
    billing_models,
    columns,
    engine,
    models,
)
from tests.functional import base

# Beside the rows that are there from the first: any row will do that refers
# to others where there is something to refer to.
_ID = 2


def _row_of(table: sa.Table) -> dict[str, Any]:
    return {column.name: _ID if column.name == 'id' or column.foreign_keys
            else 7 if isinstance(column.type, sa.Integer) else 'x'
            for column in table.columns}


def _all_rows(connection: sa.Connection, tables: sa.MetaData,
              ) -> dict[str, list[dict[str, Any]]]:
    return {table.name: [dict(row) for row in connection.execute(
        sa.select(table).order_by(*table.primary_key)).mappings()]
        for table in tables.sorted_tables}


class MigrationsCase(unittest.TestCase):
    __test__ = False

    def setUp(self) -> None:
        super().setUp()
        self.database = engine.Database(self.database_url())
        self.addCleanup(self.database.close)


@base.on(*base.EVERY)
class TestMigrations(MigrationsCase):

    def test_the_migrations_make_the_tables_of_the_models(self) -> None:
        engine.sync(self.database)
        with self.database.reader() as connection:
            context = alembic.migration.MigrationContext.configure(
                connection, opts={'compare_type': True,
                                  'compare_server_default': True})
            # One, that all modules of tables have put theirs in.
            self.assertIs(facility.metadata, billing_models.metadata)
            self.assertEqual([], alembic.autogenerate.compare_metadata(
                context, columns.metadata))

    def test_syncing_twice_is_syncing_once(self) -> None:
        self.assertIsNone(engine.version(self.database))
        engine.sync(self.database)
        engine.sync(self.database)
        self.assertEqual(engine.head(), engine.version(self.database))
        engine.check_schema(self.database)

    def test_rows_hinder_the_upgrade_or_are_lost_by_it(self) -> None:
        engine.sync(self.database, '0001')
        tables = sa.MetaData()
        with self.database.writer() as connection:
            tables.reflect(connection)
            tables.remove(tables.tables['alembic_version'])
            for table in tables.sorted_tables:
                connection.execute(sa.insert(table).values(
                    _row_of(table)))
            before = _all_rows(connection, tables)
        self.assertEqual(set(), {
            name for name, rows in before.items() if not rows})
        engine.sync(self.database)
        with self.database.reader() as connection:
            self.assertEqual(before, _all_rows(connection, tables))
            for name, column, filled in (
                    ('streams', 'public_key', ''),
                    ('quarantine', 'public_key', ''),
                    ('quarantine', 'signature', ''),
                    ('quarantine', 'code', 'schema'),
                    ('sites', 'time_zone', 'UTC')):
                self.assertEqual({filled}, set(connection.scalars(
                    sa.select(columns.metadata.tables[name].c[column]))))

    def test_an_empty_database_is_no_ledger(self) -> None:
        with self.assertRaisesRegex(errors.ConfigurationError, 'db sync'):
            engine.check_schema(self.database)

    def test_the_rows_everything_refers_to_are_there(self) -> None:
        engine.sync(self.database)
        with self.database.reader() as connection:
            self.assertEqual(
                [(models.DEFAULT_SITE, 'default', None, 'UTC', None, None)],
                list(connection.execute(sa.select(models.sites)).all()))
            self.assertEqual(
                [(models.NO_PROJECT, '')],
                list(connection.execute(sa.select(models.projects)).all()))
        self.assertEqual({'a', 'b'}, set(self.database.write(
            accounts.project_refs, {'a', 'b'})))


@base.on(*base.SERVERS)
class TestServers(MigrationsCase):
    def test_names_may_have_any_character(self) -> None:
        engine.sync(self.database)
        name = 'Rechenzentrum \N{HIGH VOLTAGE SIGN}\N{GRINNING FACE}'
        with self.database.writer() as connection:
            connection.execute(sa.insert(models.sites).values(name=name))
        with self.database.reader() as connection:
            self.assertIn(name, connection.scalars(
                sa.select(models.sites.c.name)).all())

    def test_transactions_read_what_is_committed(self) -> None:
        for open_transaction in (self.database.reader,
                                 self.database.writer):
            with open_transaction() as connection:
                self.assertEqual('READ COMMITTED',
                                 connection.get_isolation_level())


@base.on(base.MARIADB)
class TestCharacters(MigrationsCase):
    def test_every_text_is_utf8_and_compared_byte_by_byte(self) -> None:
        engine.sync(self.database)
        with self.database.reader() as connection:
            found = connection.exec_driver_sql(
                'SELECT DISTINCT collation_name FROM'
                ' information_schema.columns WHERE table_schema = DATABASE()'
                " AND table_name <> 'alembic_version'"
                ' AND collation_name IS NOT NULL').all()
        self.assertEqual([('utf8mb4_bin',)], list(found))


@base.on(base.POSTGRES)
class TestCollations(MigrationsCase):
    def test_every_name_is_compared_byte_by_byte(self) -> None:
        engine.sync(self.database)
        with self.database.reader() as connection:
            found = connection.exec_driver_sql(
                'SELECT DISTINCT collation_name FROM'
                ' information_schema.columns WHERE table_schema ='
                " current_schema() AND data_type = 'character varying'"
                " AND table_name <> 'alembic_version'").all()
        self.assertEqual([('C',)], list(found))


@base.on(base.SQLITE)
class TestReferences(MigrationsCase):
    def test_a_row_that_refers_to_nothing_is_carried_on(self) -> None:
        engine.sync(self.database, '0001')
        with self.database.engine.connect() as connection:
            # Outside a transaction, where it works.
            connection.connection.cursor().execute(
                'PRAGMA foreign_keys = OFF')
            connection.execute(sa.text(
                'INSERT INTO gaps (host_id, start_ns, reason)'
                " VALUES (7, 1, 'lost')"))
            connection.commit()
        with self.assertRaisesRegex(errors.ConfigurationError,
                                    'gaps refers to one of hosts'):
            engine.sync(self.database)
        self.assertEqual('0001', engine.version(self.database))

    def test_references_are_not_looked_at_after_an_upgrade(self) -> None:
        # Of a file, each transaction has a connection of its own.
        kept = engine.Database('sqlite://')
        self.addCleanup(kept.close)
        engine.sync(kept)
        with kept.writer() as connection:
            self.assertEqual(1, connection.exec_driver_sql(
                'PRAGMA foreign_keys').scalar_one())


class TestEncodings(unittest.TestCase):
    def test_a_database_that_cannot_hold_every_name_is_refused(self) -> None:
        # What a cluster makes where no locale is set.
        database = engine.Database(base.postgresql_url(
            self, "ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'C'"))
        self.addCleanup(database.close)
        with self.assertRaisesRegex(errors.ConfigurationError,
                                    'SQL_ASCII.*ENCODING'):
            engine.sync(database)
        self.assertIsNone(engine.version(database))


class TestRevisions(unittest.TestCase):
    def test_there_is_one_line_of_revisions(self) -> None:
        script = alembic.script.ScriptDirectory(str(engine.MIGRATIONS))
        self.assertEqual(1, len(script.get_heads()))
        self.assertEqual(1, len(script.get_bases()))

    def test_no_revision_knows_the_package(self) -> None:
        for path in pathlib.Path(engine.MIGRATIONS).rglob('*.py'):
            with self.subTest(path=path.name):
                self.assertNotRegex(path.read_text(),
                                    r'(from|import) energy_accounting')
