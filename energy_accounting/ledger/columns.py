# SPDX-License-Identifier: Apache-2.0
"""What the columns and tables of all models are made of.  No table here.

Energy is in integer microjoules (``*_uj``), time in nanoseconds since 1970
UTC (``*_ns``).  Decimals that must stay what they are (readings, factors)
are texts: SQLite has no exact number type beyond 64 bits.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import mysql, postgresql

# Identifiers are compared and sorted byte by byte on every database: here,
# and on PostgreSQL by the type of each column.
TABLE: dict[str, Any] = {
    'mysql_engine': 'InnoDB', 'mysql_charset': 'utf8mb4',
    'mysql_collate': 'utf8mb4_bin'}

# SQLite numbers rows by itself for INTEGER only.
Id = sa.BigInteger().with_variant(sa.Integer(), 'sqlite')
LongText = sa.Text().with_variant(mysql.LONGTEXT(), 'mysql', 'mariadb')
LongBinary = sa.LargeBinary().with_variant(mysql.LONGBLOB(), 'mysql',
                                           'mariadb')

metadata = sa.MetaData(naming_convention={
    'ix': 'ix_%(table_name)s_%(column_0_N_name)s',
    'uq': 'uq_%(table_name)s_%(column_0_N_name)s',
    'fk': 'fk_%(table_name)s_%(column_0_name)s',
})


def string(size: int) -> sa.String:
    return sa.String(size).with_variant(
        postgresql.VARCHAR(size, collation='C'), 'postgresql')


def identity() -> sa.Column[int]:
    """The number of a row, given by the database."""
    return sa.Column('id', Id, primary_key=True, autoincrement=True)


def text(name: str, *, null: bool = False, size: int = 255,
         ) -> sa.Column[str]:
    return sa.Column(name, string(size), nullable=null)


def number(name: str, *, null: bool = False) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger(), nullable=null)


def key(name: str) -> sa.Column[int]:
    """A part of a primary key that refers to nothing."""
    return sa.Column(name, sa.BigInteger(), primary_key=True,
                     autoincrement=False)


def reference(name: str, target: str, *, null: bool = False,
              ) -> sa.Column[int]:
    """The number of a row of another table (``hosts.id``)."""
    return sa.Column(name, Id, sa.ForeignKey(target), nullable=null)
