# SPDX-License-Identifier: Apache-2.0
"""Empty ledgers on a server that the tests of one process take turns with.

On a server, making the tables and dropping them takes longer than most
tests.  So a ledger that a test is done with is emptied and given to the next
one: it has the rows and the counters that the migrations left, and nobody
else is connected to it.  One whose tables are not what they were, or that
somebody holds on to, is dropped.
"""

from __future__ import annotations

import atexit
import collections
import dataclasses
import time
import unittest
from collections.abc import Callable
from typing import Any

import sqlalchemy as sa

from energy_accounting.ledger import engine

# How long a server may take to notice that a connection was closed.
_GONE_SECONDS = 2
_WHO = {
    'mysql': 'SELECT count(*) FROM information_schema.processlist'
             ' WHERE db = DATABASE() AND id <> CONNECTION_ID()',
    'postgresql': 'SELECT count(*) FROM pg_stat_activity'
                  ' WHERE datname = current_database()'
                  ' AND pid <> pg_backend_pid()'
                  " AND backend_type = 'client backend'"}
_COLUMNS = ('SELECT table_name, column_name, data_type, is_nullable'
            ' FROM information_schema.columns WHERE table_schema = {}'
            ' ORDER BY table_name, ordinal_position')
# What gives a table's next row its id.
_COUNTERS = {
    'mysql': 'SELECT table_name, auto_increment'
             ' FROM information_schema.tables WHERE table_schema ='
             ' DATABASE() AND auto_increment IS NOT NULL',
    'postgresql': 'SELECT sequencename, last_value FROM pg_sequences'
                  " WHERE schemaname = 'public'"}


@dataclasses.dataclass(frozen=True)
class _State:
    """What a ledger is like before a test."""

    columns: list[Any]
    rows: dict[str, list[dict[str, Any]]]
    counters: dict[str, int | None]


_free: dict[str, list[tuple[str, _State]]] = collections.defaultdict(list)


def take(test: unittest.TestCase, kind: str,
         make: Callable[[unittest.TestCase], str]) -> str:
    """The URL of an empty ledger that is the test's until it ends.

    :param make: makes an empty database that goes with a test case.
    """
    if _free[kind]:
        url, state = _free[kind].pop()
    else:
        holder = unittest.TestCase()
        atexit.register(holder.doCleanups)
        url = make(holder)
        database = engine.Database(url)
        engine.sync(database)
        database.close()
        with _connected(url) as connection:
            state = _state(connection)

    def give_back() -> None:
        with _connected(url) as connection:
            # Else it goes with the process.
            if _alone(connection) and _emptied(connection, state):
                _free[kind].append((url, state))

    test.addCleanup(give_back)
    return url


def _connected(url: str) -> Any:
    return sa.create_engine(
        url, poolclass=sa.pool.NullPool,
        isolation_level='READ COMMITTED').begin()


def _alone(connection: sa.Connection) -> bool:
    deadline = time.monotonic() + _GONE_SECONDS
    while connection.exec_driver_sql(
            _WHO[connection.dialect.name]).scalar_one():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def _columns(connection: sa.Connection) -> list[Any]:
    return [tuple(row) for row in connection.exec_driver_sql(_COLUMNS.format(
        'DATABASE()' if connection.dialect.name == 'mysql' else "'public'"))]


def _counters(connection: sa.Connection) -> dict[str, int | None]:
    found = connection.exec_driver_sql(_COUNTERS[connection.dialect.name])
    return {row[0]: row[1] for row in found}


def _tables(columns: list[Any]) -> dict[str, sa.TableClause]:
    names: dict[str, list[str]] = collections.defaultdict(list)
    for table, column, *_ in columns:
        names[table].append(column)
    return {table: sa.table(table, *map(sa.column, found))
            for table, found in names.items()}


def _state(connection: sa.Connection) -> _State:
    columns = _columns(connection)
    rows = {name: [dict(row) for row in connection.execute(
        sa.select(table)).mappings()]
        for name, table in _tables(columns).items()}
    return _State(columns, {name: found for name, found in rows.items()
                            if found}, _counters(connection))


def _emptied(connection: sa.Connection, state: _State) -> bool:
    """Make a ledger what it was; False where that cannot be done."""
    if _columns(connection) != state.columns:
        return False
    mysql = connection.dialect.name == 'mysql'
    connection.exec_driver_sql('SET foreign_key_checks = 0' if mysql
                               else 'SET session_replication_role = replica')
    tables = _tables(state.columns)
    filled = connection.execute(sa.union_all(*(
        sa.select(sa.literal_column(f"'{name}'")).where(
            sa.exists(sa.select(sa.literal_column('1')).select_from(table)))
        for name, table in tables.items()))).scalars().all()
    for name in filled:
        connection.execute(sa.delete(tables[name]))
    for name, value in _counters(connection).items():
        if value != state.counters[name]:
            connection.exec_driver_sql(
                f'ALTER TABLE {name} AUTO_INCREMENT = {state.counters[name]}'
                if mysql else _setval(name, state.counters[name]))
    for name, rows in state.rows.items():
        connection.execute(sa.insert(tables[name]), rows)
    return True


def _setval(name: str, value: int | None) -> str:
    return (f"SELECT setval('{name}', {value or 1},"
            f" {'false' if value is None else 'true'})")
