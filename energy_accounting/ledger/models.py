# SPDX-License-Identifier: Apache-2.0
"""The tables of the ledger.

Only tables: no queries, no defaults that read a clock.  Energy is in integer
microjoules (``*_uj``), time in nanoseconds since 1970 UTC (``*_ns``), a
``bucket`` is the number :func:`energy_accounting.units.bucket_of` gives.
NULL means "not measured" or "unknown" and never 0.

The migrations repeat these tables by hand and import nothing from here; a
test compares the two.

Rows that are counted up by many writers (``*_buckets``) have no foreign
keys: each would take a shared lock on a row all writers need.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import mysql, postgresql

NO_PROJECT = 1
"""``projects.id`` of the row with an empty project id: services,
unallocated energy, and instances whose owner is unknown."""

DEFAULT_SITE = 1
"""``sites.id`` of the site called ``default``."""

ENROLLED = 'enrolled'
RETIRED = 'retired'
PENDING = 'pending'
"""A host that sent windows and that no operator has enrolled: they are in
quarantine."""

RAPL = 'rapl'
"""The only boundary that hosts have so far."""

HELD = 'held'
"""A record in quarantine that nobody has decided about."""
RELEASED = 'released'
DISCARDED = 'discarded'
QUARANTINE_STATES = (HELD, RELEASED, DISCARDED)

# Identifiers are compared and sorted byte by byte on every database: here,
# and on PostgreSQL by the type of each column.
_TABLE: dict[str, Any] = {
    'mysql_engine': 'InnoDB', 'mysql_charset': 'utf8mb4',
    'mysql_collate': 'utf8mb4_bin'}

# SQLite numbers rows by itself for INTEGER only.
_Id = sa.BigInteger().with_variant(sa.Integer(), 'sqlite')
_LongText = sa.Text().with_variant(mysql.LONGTEXT(), 'mysql', 'mariadb')


def _string(size: int) -> sa.String:
    return sa.String(size).with_variant(
        postgresql.VARCHAR(size, collation='C'), 'postgresql')


metadata = sa.MetaData(naming_convention={
    'ix': 'ix_%(table_name)s_%(column_0_N_name)s',
    'uq': 'uq_%(table_name)s_%(column_0_N_name)s',
    'fk': 'fk_%(table_name)s_%(column_0_name)s',
})


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


def _measures() -> list[sa.Column[int]]:
    """What an account got in a bucket; see :data:`MEASURES`."""
    return [_number(name, null=name in NULLABLE_MEASURES)
            for name in MEASURES]


MEASURES = ('active_uj', 'idle_uj', 'memory_uj', 'host_uj', 'platform_uj',
            'backfilled_uj', 'cpu_ns', 'vcpu_ns', 'memory_mib_seconds')
"""The terms, and the keys they follow from.

``backfilled_uj`` is the part of the other terms' sum that was booked from
counters over an interval longer than two ticks (it is inside them, not
beside them).  ``memory_mib_seconds`` is a key, not energy: each share is
rounded to the nearest second on its own.
"""

NULLABLE_MEASURES = frozenset({'memory_uj', 'platform_uj'})
"""NULL where no host that contributed measures it."""


sites = sa.Table(
    'sites', metadata,
    _id(),
    _text('name'),
    _text('region', null=True),
    sa.UniqueConstraint('name'),
    **_TABLE)

hosts = sa.Table(
    'hosts', metadata,
    # What follows last_* is as the newest booked window of the host said
    # it; NULL before the first.  machine_id is that of the same window.
    # public_key: whose records are booked, NULL until one is known.
    # max_power_uw: of all packages together, as an operator says, NULL:
    # what the windows say counts.
    # basis is a JSON list of zones.  alarm is what an operator must look
    # at (two machines under one name), NULL when there is nothing.
    _id(),
    _text('name'),
    sa.Column('site_id', _Id,
              sa.ForeignKey('sites.id'), nullable=False),
    _text('state', size=16),
    _text('boundary', size=32),
    _number('enrolled_at_ns', null=True),
    _number('retired_at_ns', null=True),
    _text('public_key', null=True, size=64),
    _number('max_power_uw', null=True),
    _number('last_window_start_ns', null=True),
    _number('last_window_end_ns', null=True),
    _number('last_received_ns', null=True),
    _text('machine_id', null=True),
    _text('policy', null=True),
    sa.Column('basis', sa.Text(), nullable=True),
    _text('idle_kind', null=True),
    _number('idle_power_uw', null=True),
    _number('cpus', null=True),
    _number('memory_mib', null=True),
    _text('notifier_version', null=True),
    _number('window_seconds', null=True),
    _text('alarm', null=True),
    sa.UniqueConstraint('name'),
    **_TABLE)

downtimes = sa.Table(
    'downtimes', metadata,
    # When a host is planned to be silent, [start_ns, end_ns).
    _id(),
    sa.Column('host_id', _Id,
              sa.ForeignKey('hosts.id'), nullable=False),
    _number('start_ns'),
    _number('end_ns'),
    _text('reason'),
    sa.Index(None, 'host_id', 'start_ns'),
    **_TABLE)

streams = sa.Table(
    'streams', metadata,
    # sequence is the last number that was acknowledged, 0 before the first;
    # digest is that record's; window_end_ns that of the last booked window.
    # A stream is known by its host and by the key that vouches for its
    # records ('': none does): nobody can advance another's.
    _id(),
    sa.Column('host_id', _Id,
              sa.ForeignKey('hosts.id'), nullable=False),
    _text('stream'),
    _text('public_key', size=64),
    _text('machine_id'),
    _number('sequence'),
    _text('digest', size=64),
    _number('window_end_ns', null=True),
    sa.UniqueConstraint('host_id', 'stream', 'public_key'),
    **_TABLE)

boots = sa.Table(
    'boots', metadata,
    # Up to which boottime each boot of a host is booked: no two streams of
    # a host may overlap, and no boot may come back.
    _key('host_id'),
    sa.Column('boot_id', _string(255), primary_key=True),
    _number('boottime_end_ns'),
    **_TABLE)

acknowledged = sa.Table(
    'acknowledged', metadata,
    # The digest of every record behind a stream's position, kept longer
    # than spools keep theirs: tells a repetition from another record under
    # a used number.  boot_id and boottime_*: of a record that was booked,
    # to tell what a record that is booked later would overlap.
    _key('stream_id'),
    _key('sequence'),
    _text('digest', size=64),
    _number('received_ns'),
    _text('boot_id', null=True),
    _number('boottime_start_ns', null=True),
    _number('boottime_end_ns', null=True),
    sa.Index(None, 'received_ns'),
    **_TABLE)

projects = sa.Table(
    'projects', metadata,
    _id(),
    _text('project_id'),
    sa.UniqueConstraint('project_id'),
    **_TABLE)

accounts = sa.Table(
    'accounts', metadata,
    # digest is that of (kind, instance, project, flavor, user, name).
    _id(),
    _text('digest', size=64),
    _text('kind', size=16),
    _text('instance_id', null=True),
    sa.Column('project_ref',
              _Id,
              sa.ForeignKey('projects.id'), nullable=False),
    _text('flavor', null=True),
    _text('user_id', null=True),
    _text('name', null=True),
    sa.UniqueConstraint('digest'),
    sa.Index(None, 'project_ref', 'instance_id'),
    sa.Index(None, 'instance_id'),
    **_TABLE)

claims = sa.Table(
    'claims', metadata,
    # Who owns an account that was booked without a project: a dated fact.
    # Readers apply the newest claim (by claimed_at_ns, id) up to as_of;
    # the sums of project_buckets stay with NO_PROJECT until the account's
    # rows are dropped.
    _id(),
    sa.Column('account_id',
              _Id,
              sa.ForeignKey('accounts.id'), nullable=False),
    sa.Column('project_ref',
              _Id,
              sa.ForeignKey('projects.id'), nullable=False),
    _text('flavor', null=True),
    _text('user_id', null=True),
    _number('claimed_at_ns'),
    sa.Index(None, 'account_id', 'claimed_at_ns'),
    sa.Index(None, 'project_ref'),
    **_TABLE)

account_buckets = sa.Table(
    'account_buckets', metadata,
    _key('account_id'),
    _key('bucket'),
    _key('host_id'),
    *_measures(),
    sa.Index(None, 'host_id', 'bucket'),
    **_TABLE)

project_buckets = sa.Table(
    'project_buckets', metadata,
    # The sum of the account rows by the project they were booked with; of
    # account rows that were dropped, by the project that claimed them.
    _key('project_ref'),
    _key('bucket'),
    _key('site_id'),
    sa.Column('boundary', _string(32), primary_key=True),
    *_measures(),
    **_TABLE)

host_buckets = sa.Table(
    'host_buckets', metadata,
    # measured_ns: time the meters covered, backfilled_ns of it included;
    # capacity_ns: online threads times that time; idle_uj: the idle part of
    # the package energy; policy and idle_*: of the window that was booked
    # last in its turn; what is released later does not change them.
    _key('host_id'),
    _key('bucket'),
    _number('measured_ns'),
    _number('backfilled_ns'),
    _number('busy_ns'),
    _number('capacity_ns'),
    _number('idle_uj'),
    _text('policy'),
    _text('idle_kind', null=True),
    _number('idle_power_uw', null=True),
    sa.Index(None, 'bucket'),
    # Readers ask for the few that are not whole, and which policies there
    # are: both must cost what they find, not what there is.
    sa.Index(None, 'measured_ns', 'bucket'),
    sa.Index(None, 'policy', 'bucket'),
    **_TABLE)

zone_buckets = sa.Table(
    'zone_buckets', metadata,
    # What the meters saw: the other side of the balance sheet.
    _key('host_id'),
    _key('bucket'),
    sa.Column('zone', _string(255), primary_key=True),
    _number('energy_uj'),
    sa.Index(None, 'bucket'),
    **_TABLE)

retired_buckets = sa.Table(
    'retired_buckets', metadata,
    # The energy of account rows that were dropped, for the balance sheet.
    # name: of the service or the reason; '' of instances.
    _key('host_id'),
    _key('bucket'),
    sa.Column('kind', _string(16), primary_key=True),
    sa.Column('name', _string(255), primary_key=True),
    _number('energy_uj'),
    sa.Index(None, 'bucket'),
    **_TABLE)

gaps = sa.Table(
    'gaps', metadata,
    # Energy nobody can know.  zone NULL: the whole host.  end_ns NULL: it
    # lasts until the next window of the stream is booked.  sequence: of the
    # record that stated it.  Where nothing is known from before, a gap is
    # stated as the moment from which on something is (start_ns = end_ns).
    _id(),
    sa.Column('host_id', _Id,
              sa.ForeignKey('hosts.id'), nullable=False),
    sa.Column('stream_id',
              _Id,
              sa.ForeignKey('streams.id'), nullable=True),
    _text('zone', null=True),
    _number('start_ns'),
    _number('end_ns', null=True),
    _text('reason'),
    _number('sequence', null=True),
    sa.Index(None, 'host_id', 'start_ns'),
    sa.Index(None, 'stream_id', 'end_ns'),
    **_TABLE)

quarantine = sa.Table(
    'quarantine', metadata,
    # energy_uj: what the record claims, 0 when it cannot be read.  code:
    # the kind of reason.  public_key: who vouched for it, '' nobody.
    # trusted: that was the key of its host when it came, or once since.
    # stream '' and sequence 0: not even that could be read.
    # boot_id and boottime_*: of a record that was understood.
    _id(),
    _text('host_name'),
    _text('stream'),
    _number('sequence'),
    _text('digest', size=64),
    _text('public_key', size=64),
    _text('signature', size=128),
    _number('received_ns'),
    _number('start_ns', null=True),
    _number('end_ns', null=True),
    _number('energy_uj'),
    _text('code', size=32),
    sa.Column('trusted', sa.Boolean(), nullable=False),
    sa.Column('reason', sa.Text(), nullable=False),
    sa.Column('payload', _LongText, nullable=False),
    _text('state', size=16),
    _number('decided_at_ns', null=True),
    _text('boot_id', null=True),
    _number('boottime_start_ns', null=True),
    _number('boottime_end_ns', null=True),
    # Short enough for the longest key of InnoDB.
    sa.UniqueConstraint('host_name', 'stream', 'sequence', 'digest',
                        'public_key'),
    sa.Index(None, 'state', 'start_ns'),
    sa.Index(None, 'host_name', 'boot_id'),
    **_TABLE)

audit = sa.Table(
    'audit', metadata,
    # Who changed what.  actor: a user id, 'standalone', or 'collector'.
    # was, became: JSON; NULL: nothing.
    _id(),
    _number('at_ns'),
    _text('actor'),
    _text('request_id', null=True),
    _text('kind', size=32),
    _text('subject'),
    sa.Column('was', sa.Text(), nullable=True),
    sa.Column('became', sa.Text(), nullable=True),
    sa.Index(None, 'at_ns'),
    sa.Index(None, 'subject', 'at_ns'),
    **_TABLE)

names = sa.Table(
    'names', metadata,
    # As learnt from Keystone; kept after a deletion (valid_to_ns set).
    _id(),
    _text('kind', size=16),
    _text('uuid'),
    _text('name'),
    _text('domain_id', null=True),
    _number('valid_from_ns'),
    _number('valid_to_ns', null=True),
    sa.UniqueConstraint('kind', 'uuid', 'valid_from_ns'),
    **_TABLE)
