# SPDX-License-Identifier: Apache-2.0
"""Keys of hosts, their register, decisions about them and who took them."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = '0002'
down_revision = '0001'

_TABLE: dict[str, Any] = {
    'mysql_engine': 'InnoDB', 'mysql_charset': 'utf8mb4',
    'mysql_collate': 'utf8mb4_bin'}
_Id = sa.BigInteger().with_variant(sa.Integer(), 'sqlite')


def _string(size: int) -> sa.String:
    return sa.String(size).with_variant(
        postgresql.VARCHAR(size, collation='C'), 'postgresql')


def _id() -> sa.Column[int]:
    return sa.Column('id', _Id, primary_key=True, autoincrement=True)


def _text(name: str, *, null: bool = False, size: int = 255,
          ) -> sa.Column[str]:
    return sa.Column(name, _string(size), nullable=null)


def _number(name: str, *, null: bool = False) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger(), nullable=null)


def _add_filled(table: str, *columns: tuple[str, int, str]) -> None:
    """Add texts (name, size, and what rows from before have there)."""
    with op.batch_alter_table(table) as batch:
        for name, size, filled in columns:
            batch.add_column(sa.Column(name, _string(size), nullable=False,
                                       server_default=filled))
    # In a batch of its own: SQLite copies the rows at the end of each, and
    # only a default that is there by then fills them.
    with op.batch_alter_table(table) as batch:
        for name, size, _ in columns:
            batch.alter_column(name, existing_type=_string(size),
                               existing_nullable=False, server_default=None)


def upgrade() -> None:
    with op.batch_alter_table('hosts') as batch:
        for column in (_number('retired_at_ns', null=True),
                       _text('public_key', null=True, size=64),
                       _number('max_power_uw', null=True),
                       _number('window_seconds', null=True)):
            batch.add_column(column)
    _add_filled('streams', ('public_key', 64, ''))
    with op.batch_alter_table('streams') as batch:
        # The new one first: MariaDB wants an index for the foreign key.
        batch.create_unique_constraint(
            'uq_streams_host_id_stream_public_key',
            ['host_id', 'stream', 'public_key'])
        batch.drop_constraint('uq_streams_host_id_stream', type_='unique')
    with op.batch_alter_table('acknowledged') as batch:
        for column in (_text('boot_id', null=True),
                       _number('boottime_start_ns', null=True),
                       _number('boottime_end_ns', null=True)):
            batch.add_column(column)
    _add_filled('quarantine', ('public_key', 64, ''), ('signature', 128, ''),
                ('code', 32, 'schema'))
    with op.batch_alter_table('quarantine') as batch:
        for column in (_number('decided_at_ns', null=True),
                       _text('boot_id', null=True),
                       _number('boottime_start_ns', null=True),
                       _number('boottime_end_ns', null=True)):
            batch.add_column(column)
        name = 'uq_quarantine_host_name_stream_sequence_digest'
        batch.create_unique_constraint(
            f'{name}_public_key',
            ['host_name', 'stream', 'sequence', 'digest', 'public_key'])
        batch.drop_constraint(name, type_='unique')
    with op.batch_alter_table('quarantine') as batch:
        batch.add_column(sa.Column('trusted', sa.Boolean(), nullable=False,
                                   server_default=sa.false()))
    with op.batch_alter_table('quarantine') as batch:
        batch.alter_column('trusted', existing_type=sa.Boolean(),
                           existing_nullable=False, server_default=None)
    op.create_index('ix_quarantine_host_name_boot_id', 'quarantine',
                    ['host_name', 'boot_id'])
    op.create_table(
        'downtimes', _id(),
        sa.Column('host_id', _Id, sa.ForeignKey(
            'hosts.id', name='fk_downtimes_host_id'), nullable=False),
        _number('start_ns'), _number('end_ns'), _text('reason'), **_TABLE)
    op.create_index('ix_downtimes_host_id_start_ns', 'downtimes',
                    ['host_id', 'start_ns'])
    op.create_table(
        'audit', _id(), _number('at_ns'), _text('actor'),
        _text('request_id', null=True), _text('kind', size=32),
        _text('subject'), sa.Column('was', sa.Text(), nullable=True),
        sa.Column('became', sa.Text(), nullable=True), **_TABLE)
    for columns in (('at_ns',), ('subject', 'at_ns')):
        op.create_index(f'ix_audit_{"_".join(columns)}', 'audit',
                        list(columns))
