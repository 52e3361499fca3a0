# SPDX-License-Identifier: Apache-2.0
"""Many rows at once: add them up, insert what is missing, find by key.

The only place of writing that knows one database from another.  Which rows,
and what they mean, is the callers': no table is named here.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import mysql, postgresql, sqlite

_MYSQL = ('mysql', 'mariadb')
_KEYS_A_STATEMENT = 500
_ROWS_A_STATEMENT = 2000


def find(connection: sa.Connection, query: sa.Select[Any],
         column: sa.Column[Any], keys: Iterable[Any],
         ) -> Iterator[sa.Row[Any]]:
    """The rows of a query whose column is one of the keys."""
    for chunk in _chunks(sorted(keys), _KEYS_A_STATEMENT):
        yield from connection.execute(query.where(column.in_(chunk)))


def upsert(connection: sa.Connection, table: sa.Table,
           rows: Iterable[tuple[Any, ...]], *,
           add: tuple[str, ...] = (), replace: tuple[str, ...] = ()) -> None:
    """Insert rows, or add to and replace columns of those that are there.

    In the order of the primary key, so that writers of the same rows wait
    for each other and do not deadlock.  NULL and a number is the number.

    :param rows: of different primary keys, each with all columns in the
        order of the table, the primary key first.
    """
    ordered = sorted(rows)
    if not ordered:
        return
    dialect = connection.dialect.name
    if dialect in _MYSQL:
        _upsert_mysql(connection, table, ordered, add, replace)
    else:
        names = table.columns.keys()
        connection.execute(
            upsert_of(dialect, table, add, replace),
            [dict(zip(names, row, strict=True)) for row in ordered])


def insert_missing(connection: sa.Connection, table: sa.Table,
                   rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert the rows that no unique key holds already."""
    if rows:
        connection.execute(insert_missing_of(connection.dialect.name, table),
                           list(rows))


def _upsert_mysql(connection: sa.Connection, table: sa.Table,
                  rows: Sequence[tuple[Any, ...]], add: tuple[str, ...],
                  replace: tuple[str, ...]) -> None:
    """Many rows in one statement, on MariaDB and MySQL alike.

    Drivers quote value by value, which takes longer than all the rest.
    Numbers need no quotes, so rows of nothing else become text at once.
    """
    text = _mysql_upsert(table, add, replace)
    if not _is_plain(rows):
        connection.exec_driver_sql(text, list(rows))
        return
    head, _, tail = text.partition(
        f'({", ".join(["%s"] * len(table.columns))})')
    for chunk in _chunks(rows, _ROWS_A_STATEMENT):
        # repr() of integers, None and plain words is SQL but for NULL.
        literals = ', '.join(map(repr, chunk)).replace('None', 'NULL')
        connection.exec_driver_sql(head + literals + tail)


def _is_plain(rows: Iterable[tuple[Any, ...]]) -> bool:
    """Whether rows are of integers, NULLs and lower-case words only."""
    return all(
        type(value) is int or value is None
        or (type(value) is str and value.isascii() and value.isalpha()
            and value.islower())
        for row in rows for value in row)


@functools.cache
def _mysql_upsert(table: sa.Table, add: tuple[str, ...],
                  replace: tuple[str, ...]) -> str:
    return str(upsert_of('mysql', table, add, replace).compile(
        dialect=mysql.dialect(paramstyle='format'),
        column_keys=table.columns.keys()))


@functools.cache
def upsert_of(dialect: str, table: sa.Table, add: tuple[str, ...],
              replace: tuple[str, ...]) -> sa.Insert:
    """The statement of :func:`upsert`."""
    if dialect in _MYSQL:
        insert = mysql.insert(table)
        return insert.on_duplicate_key_update(
            _changes(table, insert.inserted, add, replace))
    other = (postgresql.insert(table) if dialect == 'postgresql'
             else sqlite.insert(table))
    return other.on_conflict_do_update(
        index_elements=[column.name for column in table.primary_key],
        set_=_changes(table, other.excluded, add, replace))


def _changes(table: sa.Table, new: Any, add: tuple[str, ...],
             replace: tuple[str, ...]) -> dict[str, Any]:
    changes: dict[str, Any] = {name: new[name] for name in replace}
    for name in add:
        old = table.c[name]
        changes[name] = (
            sa.func.coalesce(old + new[name], old, new[name])
            if old.nullable else old + new[name])
    return changes


@functools.cache
def insert_missing_of(dialect: str, table: sa.Table) -> sa.Insert:
    """The statement of :func:`insert_missing`."""
    if dialect in _MYSQL:
        # Not INSERT IGNORE, which ignores more than duplicates.
        return mysql.insert(table).on_duplicate_key_update(id=table.c.id)
    insert = (postgresql.insert(table) if dialect == 'postgresql'
              else sqlite.insert(table))
    return insert.on_conflict_do_nothing()


def _chunks(values: Sequence[Any], size: int) -> Iterator[Sequence[Any]]:
    for start in range(0, len(values), size):
        yield values[start:start + size]
