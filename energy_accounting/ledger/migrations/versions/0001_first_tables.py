# SPDX-License-Identifier: Apache-2.0
"""The first tables."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql, postgresql

revision = '0001'
down_revision = None

_TABLE: dict[str, Any] = {
    'mysql_engine': 'InnoDB', 'mysql_charset': 'utf8mb4',
    'mysql_collate': 'utf8mb4_bin'}
_Id = sa.BigInteger().with_variant(sa.Integer(), 'sqlite')
_LongText = sa.Text().with_variant(mysql.LONGTEXT(), 'mysql', 'mariadb')


def _string(size: int) -> sa.String:
    return sa.String(size).with_variant(
        postgresql.VARCHAR(size, collation='C'), 'postgresql')


def _id() -> sa.Column[int]:
    return sa.Column('id', _Id, primary_key=True, autoincrement=True)


def _key(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger(), primary_key=True,
                     autoincrement=False)


def _text(name: str, *, null: bool = False, size: int = 255,
          ) -> sa.Column[str]:
    return sa.Column(name, _string(size), nullable=null)


def _number(name: str, *, null: bool = False) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger(), nullable=null)


def _reference(name: str, table: str, other: str, *, null: bool = False,
               ) -> sa.Column[int]:
    return sa.Column(
        name, _Id,
        sa.ForeignKey(f'{other}.id', name=f'fk_{table}_{name}'),
        nullable=null)


def _measures() -> list[sa.Column[int]]:
    return [_number('active_uj'), _number('idle_uj'),
            _number('memory_uj', null=True), _number('host_uj'),
            _number('platform_uj', null=True), _number('backfilled_uj'),
            _number('cpu_ns'), _number('vcpu_ns'),
            _number('memory_mib_seconds')]


def _create(name: str, *columns: Any, unique: tuple[str, ...] = (),
            indexes: tuple[tuple[str, ...], ...] = ()) -> sa.Table:
    constraints = ([sa.UniqueConstraint(
        *unique, name=f'uq_{name}_{"_".join(unique)}')] if unique else [])
    table = op.create_table(name, *columns, *constraints, **_TABLE)
    for index in indexes:
        op.create_index(f'ix_{name}_{"_".join(index)}', name, list(index))
    return table


def upgrade() -> None:
    sites = _create('sites', _id(), _text('name'),
                    _text('region', null=True), unique=('name',))
    op.bulk_insert(sites, [{'id': 1, 'name': 'default', 'region': None}])
    _create('hosts', _id(), _text('name'),
            _reference('site_id', 'hosts', 'sites'),
            _text('state', size=16), _text('boundary', size=32),
            _number('enrolled_at_ns', null=True),
            _number('last_window_start_ns', null=True),
            _number('last_window_end_ns', null=True),
            _number('last_received_ns', null=True),
            _text('machine_id', null=True), _text('policy', null=True),
            sa.Column('basis', sa.Text(), nullable=True),
            _text('idle_kind', null=True),
            _number('idle_power_uw', null=True),
            _number('cpus', null=True), _number('memory_mib', null=True),
            _text('notifier_version', null=True),
            _text('alarm', null=True), unique=('name',))
    _create('streams', _id(), _reference('host_id', 'streams', 'hosts'),
            _text('stream'), _text('machine_id'), _number('sequence'),
            _text('digest', size=64), _number('window_end_ns', null=True),
            unique=('host_id', 'stream'))
    _create('boots', _key('host_id'),
            sa.Column('boot_id', _string(255), primary_key=True),
            _number('boottime_end_ns'))
    _create('acknowledged', _key('stream_id'), _key('sequence'),
            _text('digest', size=64), _number('received_ns'),
            indexes=(('received_ns',),))
    projects = _create('projects', _id(), _text('project_id'),
                       unique=('project_id',))
    # What has no project: services, unallocated, unknown owners.
    op.bulk_insert(projects, [{'id': 1, 'project_id': ''}])
    if op.get_bind().dialect.name == 'postgresql':
        # Its counters know nothing of ids that were given by hand.
        for name in ('sites', 'projects'):
            op.execute(f"SELECT setval('{name}_id_seq', 1)")
    _create('accounts', _id(), _text('digest', size=64),
            _text('kind', size=16), _text('instance_id', null=True),
            _reference('project_ref', 'accounts', 'projects'),
            _text('flavor', null=True), _text('user_id', null=True),
            _text('name', null=True), unique=('digest',),
            indexes=(('project_ref', 'instance_id'), ('instance_id',)))
    _create('claims', _id(), _reference('account_id', 'claims', 'accounts'),
            _reference('project_ref', 'claims', 'projects'),
            _text('flavor', null=True), _text('user_id', null=True),
            _number('claimed_at_ns'),
            indexes=(('account_id', 'claimed_at_ns'), ('project_ref',)))
    _create('account_buckets', _key('account_id'), _key('bucket'),
            _key('host_id'), *_measures(),
            indexes=(('host_id', 'bucket'),))
    _create('project_buckets', _key('project_ref'), _key('bucket'),
            _key('site_id'),
            sa.Column('boundary', _string(32), primary_key=True),
            *_measures())
    _create('host_buckets', _key('host_id'), _key('bucket'),
            _number('measured_ns'), _number('backfilled_ns'),
            _number('busy_ns'), _number('capacity_ns'), _number('idle_uj'),
            _text('policy'), _text('idle_kind', null=True),
            _number('idle_power_uw', null=True), indexes=(
                ('bucket',), ('measured_ns', 'bucket'),
                ('policy', 'bucket')))
    _create('zone_buckets', _key('host_id'), _key('bucket'),
            sa.Column('zone', _string(255), primary_key=True),
            _number('energy_uj'), indexes=(('bucket',),))
    _create('retired_buckets', _key('host_id'), _key('bucket'),
            sa.Column('kind', _string(16), primary_key=True),
            sa.Column('name', _string(255), primary_key=True),
            _number('energy_uj'), indexes=(('bucket',),))
    _create('gaps', _id(), _reference('host_id', 'gaps', 'hosts'),
            _reference('stream_id', 'gaps', 'streams', null=True),
            _text('zone', null=True), _number('start_ns'),
            _number('end_ns', null=True), _text('reason'),
            _number('sequence', null=True),
            indexes=(('host_id', 'start_ns'), ('stream_id', 'end_ns')))
    _create('quarantine', _id(), _text('host_name'), _text('stream'),
            _number('sequence'), _text('digest', size=64),
            _number('received_ns'), _number('start_ns', null=True),
            _number('end_ns', null=True), _number('energy_uj'),
            sa.Column('reason', sa.Text(), nullable=False),
            sa.Column('payload', _LongText, nullable=False),
            _text('state', size=16),
            unique=('host_name', 'stream', 'sequence', 'digest'),
            indexes=(('state', 'start_ns'),))
    _create('names', _id(), _text('kind', size=16), _text('uuid'),
            _text('name'), _text('domain_id', null=True),
            _number('valid_from_ns'), _number('valid_to_ns', null=True),
            unique=('kind', 'uuid', 'valid_from_ns'))
