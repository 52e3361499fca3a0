# SPDX-License-Identifier: Apache-2.0
"""What surrounds the hosts: sites, meters and readings, factors."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = '0003'
down_revision = '0002'

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


def _key(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger(), primary_key=True,
                     autoincrement=False)


def _reference(table: str, name: str, target: str, *, null: bool = False,
               ) -> sa.Column[int]:
    return sa.Column(name, _Id, sa.ForeignKey(
        target, name=f'fk_{table}_{name}'), nullable=null)


def _index(table: str, *names: str) -> None:
    op.create_index(f'ix_{table}_{"_".join(names)}', table, list(names))


def upgrade() -> None:
    with op.batch_alter_table('sites') as batch:
        batch.add_column(sa.Column('time_zone', _string(255), nullable=False,
                                   server_default='UTC'))
        batch.add_column(_text('grid_zone', null=True, size=64))
    # In a batch of its own: SQLite fills rows by a default that is there.
    with op.batch_alter_table('sites') as batch:
        batch.alter_column('time_zone', existing_type=_string(255),
                           existing_nullable=False, server_default=None)
    op.create_table(
        'meters', _id(), _text('name'),
        _reference('meters', 'site_id', 'sites.id'),
        _reference('meters', 'host_id', 'hosts.id', null=True),
        _reference('meters', 'parent_id', 'meters.id', null=True),
        _text('section', null=True), _text('medium', size=16),
        _text('role', size=32), _text('unit', size=16),
        _text('kind', size=16), _text('rollover', null=True, size=64),
        _text('max_rate', null=True, size=64), _text('serial', null=True),
        _text('accuracy_class', null=True, size=64),
        _number('calibrated_until_ns', null=True),
        _number('installed_ns', null=True), _number('removed_ns', null=True),
        _text('source', null=True, size=32),
        _text('source_ref', null=True, size=1024), _number('recorded_ns'),
        sa.UniqueConstraint('name', name='uq_meters_name'), **_TABLE)
    _index('meters', 'site_id', 'role')
    _index('meters', 'host_id')
    op.create_table(
        'pasts', _id(), _text('kind', size=16), _number('of_id'),
        _number('superseded_ns'), sa.Column('said', sa.Text(),
                                            nullable=False), **_TABLE)
    _index('pasts', 'kind', 'superseded_ns')
    op.create_table(
        'meter_terms', _key('meter_id'), _key('of_meter_id'),
        _number('sign'), **_TABLE)
    _index('meter_terms', 'of_meter_id')
    op.create_table(
        'readings', _id(), _reference('readings', 'meter_id', 'meters.id'),
        _number('at_ns'), _number('start_ns', null=True),
        _text('value', size=64), _text('quality', size=16),
        _text('source', size=32), _number('received_ns'),
        _number('superseded_ns', null=True), **_TABLE)
    _index('readings', 'meter_id', 'at_ns')
    op.create_table(
        'meter_events', _id(),
        _reference('meter_events', 'meter_id', 'meters.id'),
        _number('at_ns'), _text('kind', size=16),
        _text('end_value', null=True, size=64),
        _text('start_value', null=True, size=64), _text('note', null=True),
        _number('recorded_ns'), _number('superseded_ns', null=True),
        **_TABLE)
    _index('meter_events', 'meter_id', 'at_ns')
    op.create_table(
        'factors', _id(), _text('kind', size=16),
        _text('zone', null=True, size=64),
        _reference('factors', 'site_id', 'sites.id', null=True),
        _text('carrier', size=32), _text('basis', null=True, size=16),
        _text('method', null=True, size=16),
        _text('signal', null=True, size=16), _number('start_ns'),
        _number('end_ns'), _text('value', size=64), _text('unit', size=32),
        _text('quality', size=16), _text('provider', size=64),
        _text('source', size=1024), _text('revision', null=True),
        _number('retrieved_ns'), _number('recorded_ns'),
        _number('superseded_ns', null=True),
        sa.Column('lasting', sa.Boolean(), nullable=False), **_TABLE)
    _index('factors', 'zone', 'lasting', 'start_ns')
    _index('factors', 'site_id', 'lasting', 'start_ns')
    op.create_table(
        'factor_owners', _id(), _text('name', size=320),
        sa.UniqueConstraint('name', name='uq_factor_owners_name'), **_TABLE)
    op.create_table(
        'contracts', _id(), _reference('contracts', 'site_id', 'sites.id'),
        _text('instrument', size=16), _number('start_ns'),
        _number('end_ns'), _text('share', size=64),
        _text('kg_per_kwh', size=64), _text('basis', size=16),
        sa.Column('renewable', sa.Boolean(), nullable=False),
        sa.Column('retired', sa.Boolean(), nullable=False),
        _text('evidence', size=1024), _number('recorded_ns'),
        _number('superseded_ns', null=True), **_TABLE)
    _index('contracts', 'site_id', 'start_ns')
    # Sums of readings that came since have to be found by when they came.
    _index('readings', 'meter_id', 'received_ns')
    _index('readings', 'meter_id', 'superseded_ns')
    op.create_table(
        'platform_buckets', _key('host_id'), _key('bucket'),
        _number('node_uj'), _number('rapl_uj'), _number('measured_ns'),
        _number('outdated'), _number('platform_uj', null=True), **_TABLE)
    _index('platform_buckets', 'host_id', 'outdated', 'bucket')
    op.create_table('platform_hosts', _key('host_id'), _number('seen_ns'),
                    **_TABLE)
