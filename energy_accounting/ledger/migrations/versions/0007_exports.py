# SPDX-License-Identifier: Apache-2.0
"""The outbox of exports."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = '0007'
down_revision = '0006'

_Id = sa.BigInteger().with_variant(sa.Integer(), 'sqlite')


def _text(name: str, *, null: bool = False, size: int = 255,
          ) -> sa.Column[str]:
    return sa.Column(name, sa.String(size).with_variant(
        postgresql.VARCHAR(size, collation='C'), 'postgresql'),
        nullable=null)


def _number(name: str, *, null: bool = False) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger(), nullable=null)


def upgrade() -> None:
    op.create_table(
        'exports',
        sa.Column('id', _Id, primary_key=True, autoincrement=True),
        _text('export', size=36), _text('target', size=32),
        _text('options'), _text('destination', size=1024),
        _text('period', size=7), _text('time_zone'),
        _text('project_id', null=True), _text('digest', size=64),
        _text('state', size=16), _number('total'), _number('done'),
        sa.Column('artifacts', sa.Text(), nullable=False),
        sa.Column('error', sa.Text(), nullable=True),
        _number('created_ns'), _number('changed_ns'), _text('actor'),
        _text('holder', null=True, size=36),
        _number('held_until_ns', null=True),
        sa.UniqueConstraint('export', name='uq_exports_export'),
        mysql_engine='InnoDB', mysql_charset='utf8mb4',
        mysql_collate='utf8mb4_bin')
    op.create_index('ix_exports_state', 'exports', ['state'])
