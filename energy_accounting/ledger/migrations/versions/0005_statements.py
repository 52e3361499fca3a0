# SPDX-License-Identifier: Apache-2.0
"""Statements and tariffs."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql, postgresql

revision = '0005'
down_revision = '0004'

_TABLE: dict[str, Any] = {
    'mysql_engine': 'InnoDB', 'mysql_charset': 'utf8mb4',
    'mysql_collate': 'utf8mb4_bin'}
_Id = sa.BigInteger().with_variant(sa.Integer(), 'sqlite')
_LongText = sa.Text().with_variant(mysql.LONGTEXT(), 'mysql', 'mariadb')
_LongBinary = sa.LargeBinary().with_variant(mysql.LONGBLOB(), 'mysql',
                                            'mariadb')


def _id() -> sa.Column[int]:
    return sa.Column('id', _Id, primary_key=True, autoincrement=True)


def _text(name: str, *, null: bool = False, size: int = 255,
          ) -> sa.Column[str]:
    return sa.Column(name, sa.String(size).with_variant(
        postgresql.VARCHAR(size, collation='C'), 'postgresql'),
        nullable=null)


def _number(name: str, *, null: bool = False) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger(), nullable=null)


def _key(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger(), primary_key=True,
                     autoincrement=False)


def _index(table: str, *names: str) -> None:
    op.create_index(f'ix_{table}_{"_".join(names)}', table, list(names))


def upgrade() -> None:
    _statements()
    _tariffs()


def _statements() -> None:
    op.create_table(
        'statements', _id(), _text('statement', size=36),
        _number('revision'), _text('project_id'), _text('period', size=7),
        _text('time_zone'), _number('start_ns'), _number('end_ns'),
        _text('digest', size=64), _number('lines'),
        sa.Column('head', _LongText, nullable=False),
        _text('project_name', null=True), _text('domain_id', null=True),
        _number('complete_until_ns', null=True), _number('as_of_ns'),
        _number('created_ns'), _text('actor'),
        sa.UniqueConstraint('statement', 'revision',
                            name='uq_statements_statement_revision'),
        **_TABLE)
    _index('statements', 'project_id', 'start_ns')
    _index('statements', 'start_ns')
    op.create_table(
        'statement_blocks', _key('statement_ref'), _key('number'),
        _number('first'), sa.Column('content', _LongBinary, nullable=False),
        **_TABLE)


def _tariffs() -> None:
    op.create_table(
        'tariffs', _id(), _text('name'),
        sa.Column('site_id', _Id, sa.ForeignKey(
            'sites.id', name='fk_tariffs_site_id'), nullable=True),
        _text('project_id', null=True), _text('domain_id', null=True),
        _number('start_ns'), _number('end_ns', null=True),
        _text('currency', size=3), _text('quantity', size=16),
        _text('price_per_kwh', size=64),
        _text('co2_price_per_kg', null=True, size=64),
        _text('co2_method', null=True, size=16), _text('time_zone'),
        sa.Column('windows', sa.Text(), nullable=False),
        _text('legal_basis', size=1024), _number('recorded_ns'),
        _number('superseded_ns', null=True), **_TABLE)
    _index('tariffs', 'superseded_ns', 'start_ns')
