# SPDX-License-Identifier: Apache-2.0
"""The tables of the ledger.

Only tables: no queries, no defaults that read a clock.  Energy is in integer
microjoules (``*_uj``), time in nanoseconds since 1970 UTC (``*_ns``), a
``bucket`` is the number :func:`energy_accounting.units.bucket_of` gives.
NULL means "not measured" or "unknown" and never 0.
Meters, readings and factors have their own (``facility.models``).

The migrations repeat these tables by hand and import nothing from here; a
test compares the two.

Rows that are counted up by many writers (``*_buckets``) have no foreign
keys: each would take a shared lock on a row all writers need.
"""

from __future__ import annotations

import sqlalchemy as sa

from energy_accounting.ledger import columns

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
NODE = 'node'
"""Boundaries: what of a host is measured.  See ``boundaries``."""

HELD = 'held'
"""A record in quarantine that nobody has decided about."""
RELEASED = 'released'
DISCARDED = 'discarded'
QUARANTINE_STATES = (HELD, RELEASED, DISCARDED)


def _measures() -> list[sa.Column[int]]:
    """What an account got in a bucket; see :data:`MEASURES`."""
    return [columns.number(name, null=name in NULLABLE_MEASURES)
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
    'sites', columns.metadata,
    columns.identity(),
    # grid_zone: whose carbon intensity its grid electricity has, NULL: not
    # said.  time_zone: of its calendar edges (IANA).  factor_basis: on which
    # its emissions are counted, NULL: on that of which most is known.
    columns.text('name'),
    columns.text('region', null=True),
    sa.Column('time_zone', columns.string(255), nullable=False,
              default='UTC'),
    columns.text('grid_zone', null=True, size=64),
    columns.text('factor_basis', null=True, size=16),
    sa.UniqueConstraint('name'),
    **columns.TABLE)

hosts = sa.Table(
    'hosts', columns.metadata,
    # What follows last_* is as the newest booked window of the host said
    # it; NULL before the first.  machine_id is that of the same window,
    # boot_id that of the newest record that is understood, booked or held.
    # public_key: whose records are booked, NULL until one is known.
    # max_power_uw: of all packages together, as an operator says, NULL:
    # what the windows say counts.
    # boundary: of its policy alone; of a bucket, see ``boundaries``.
    # basis is a JSON list of zones.  alarm is what an operator must look
    # at (two machines under one name), NULL when there is nothing.
    columns.identity(),
    columns.text('name'),
    columns.reference('site_id', 'sites.id'),
    columns.text('state', size=16),
    columns.text('boundary', size=32),
    columns.number('enrolled_at_ns', null=True),
    columns.number('retired_at_ns', null=True),
    columns.text('public_key', null=True, size=64),
    columns.number('max_power_uw', null=True),
    columns.number('last_window_start_ns', null=True),
    columns.number('last_window_end_ns', null=True),
    columns.number('last_received_ns', null=True),
    columns.text('machine_id', null=True),
    columns.text('boot_id', null=True),
    columns.text('policy', null=True),
    sa.Column('basis', sa.Text(), nullable=True),
    columns.text('idle_kind', null=True),
    columns.number('idle_power_uw', null=True),
    columns.number('cpus', null=True),
    columns.number('memory_mib', null=True),
    columns.text('notifier_version', null=True),
    columns.number('window_seconds', null=True),
    columns.text('alarm', null=True),
    sa.UniqueConstraint('name'),
    **columns.TABLE)

downtimes = sa.Table(
    'downtimes', columns.metadata,
    # When a host is planned to be silent, [start_ns, end_ns).
    columns.identity(),
    columns.reference('host_id', 'hosts.id'),
    columns.number('start_ns'),
    columns.number('end_ns'),
    columns.text('reason'),
    sa.Index(None, 'host_id', 'start_ns'),
    **columns.TABLE)

streams = sa.Table(
    'streams', columns.metadata,
    # sequence is the last number that was acknowledged, 0 before the first;
    # digest is that record's; window_end_ns that of the last booked window.
    # A stream is known by its host and by the key that vouches for its
    # records ('': none does): nobody can advance another's.
    columns.identity(),
    columns.reference('host_id', 'hosts.id'),
    columns.text('stream'),
    columns.text('public_key', size=64),
    columns.text('machine_id'),
    columns.number('sequence'),
    columns.text('digest', size=64),
    columns.number('window_end_ns', null=True),
    sa.UniqueConstraint('host_id', 'stream', 'public_key'),
    **columns.TABLE)

boots = sa.Table(
    'boots', columns.metadata,
    # Up to which boottime each boot of a host is booked (0: nothing): no
    # two streams of a host may overlap, and no boot may come back.
    # known_*: of what is booked or held of it, known_until_ns by the wall
    # clock; what lies between is in a gap.
    columns.key('host_id'),
    sa.Column('boot_id', columns.string(255), primary_key=True),
    columns.number('boottime_end_ns'),
    columns.number('known_boottime_start_ns'),
    columns.number('known_boottime_end_ns'),
    columns.number('known_until_ns'),
    **columns.TABLE)

acknowledged = sa.Table(
    'acknowledged', columns.metadata,
    # The digest of every record behind a stream's position, kept longer
    # than spools keep theirs: tells a repetition from another record under
    # a used number.  boot_id and boottime_*: of a record that was booked,
    # to tell what a record that is booked later would overlap.
    columns.key('stream_id'),
    columns.key('sequence'),
    columns.text('digest', size=64),
    columns.number('received_ns'),
    columns.text('boot_id', null=True),
    columns.number('boottime_start_ns', null=True),
    columns.number('boottime_end_ns', null=True),
    sa.Index(None, 'received_ns'),
    **columns.TABLE)

projects = sa.Table(
    'projects', columns.metadata,
    columns.identity(),
    columns.text('project_id'),
    sa.UniqueConstraint('project_id'),
    **columns.TABLE)

accounts = sa.Table(
    'accounts', columns.metadata,
    # digest is that of (kind, instance, project, flavor, user, name).
    columns.identity(),
    columns.text('digest', size=64),
    columns.text('kind', size=16),
    columns.text('instance_id', null=True),
    columns.reference('project_ref', 'projects.id'),
    columns.text('flavor', null=True),
    columns.text('user_id', null=True),
    columns.text('name', null=True),
    sa.UniqueConstraint('digest'),
    sa.Index(None, 'project_ref', 'instance_id'),
    sa.Index(None, 'instance_id'),
    **columns.TABLE)

claims = sa.Table(
    'claims', columns.metadata,
    # Who owns an account that was booked without a project: a dated fact.
    # Readers apply the newest claim (by claimed_at_ns, id) up to as_of;
    # the sums of project_buckets stay with NO_PROJECT until the account's
    # rows are dropped.
    columns.identity(),
    columns.reference('account_id', 'accounts.id'),
    columns.reference('project_ref', 'projects.id'),
    columns.text('flavor', null=True),
    columns.text('user_id', null=True),
    columns.number('claimed_at_ns'),
    sa.Index(None, 'account_id', 'claimed_at_ns'),
    sa.Index(None, 'project_ref'),
    **columns.TABLE)

account_buckets = sa.Table(
    'account_buckets', columns.metadata,
    columns.key('account_id'),
    columns.key('bucket'),
    columns.key('host_id'),
    *_measures(),
    sa.Index(None, 'host_id', 'bucket'),
    **columns.TABLE)

project_buckets = sa.Table(
    'project_buckets', columns.metadata,
    # The sum of the account rows by the project they were booked with; of
    # account rows that were dropped, by the project that claimed them.
    # platform_uj is NULL where the boundary is RAPL, and nowhere else.
    columns.key('project_ref'),
    columns.key('bucket'),
    columns.key('site_id'),
    sa.Column('boundary', columns.string(32), primary_key=True),
    *_measures(),
    **columns.TABLE)

host_buckets = sa.Table(
    'host_buckets', columns.metadata,
    # measured_ns: time the meters covered, backfilled_ns of it included;
    # capacity_ns: online threads times that time; idle_uj: the idle part of
    # the package energy; policy and idle_*: of the window that was booked
    # last in its turn; what is released later does not change them.
    columns.key('host_id'),
    columns.key('bucket'),
    columns.number('measured_ns'),
    columns.number('backfilled_ns'),
    columns.number('busy_ns'),
    columns.number('capacity_ns'),
    columns.number('idle_uj'),
    columns.text('policy'),
    columns.text('idle_kind', null=True),
    columns.number('idle_power_uw', null=True),
    sa.Index(None, 'bucket'),
    # Readers ask for the few that are not whole, and which policies there
    # are: both must cost what they find, not what there is.
    sa.Index(None, 'measured_ns', 'bucket'),
    sa.Index(None, 'policy', 'bucket'),
    **columns.TABLE)

zone_buckets = sa.Table(
    'zone_buckets', columns.metadata,
    # What the meters saw: the other side of the balance sheet.
    columns.key('host_id'),
    columns.key('bucket'),
    sa.Column('zone', columns.string(255), primary_key=True),
    columns.number('energy_uj'),
    sa.Index(None, 'bucket'),
    **columns.TABLE)

platform_buckets = sa.Table(
    'platform_buckets', columns.metadata,
    # What node meters saw of a host, where they saw something.
    # platform_uj: what of it was divided over the accounts, beyond what
    # the zones measured; NULL: that is not known.  rapl_uj, measured_ns:
    # what was booked of the bucket when it was found.  outdated: 1 as soon
    # as more is booked of it, else 0; whoever divides asks for those alone.
    columns.key('host_id'),
    columns.key('bucket'),
    columns.number('node_uj'),
    columns.number('rapl_uj'),
    columns.number('measured_ns'),
    columns.number('outdated'),
    columns.number('platform_uj', null=True),
    sa.Index(None, 'host_id', 'outdated', 'bucket'),
    **columns.TABLE)

platform_hosts = sa.Table(
    'platform_hosts', columns.metadata,
    # Readings that came before seen_ns are in platform_buckets.
    columns.key('host_id'),
    columns.number('seen_ns'),
    **columns.TABLE)

retired_buckets = sa.Table(
    'retired_buckets', columns.metadata,
    # The energy of account rows that were dropped, for the balance sheet.
    # name: of the service or the reason; '' of instances.
    columns.key('host_id'),
    columns.key('bucket'),
    sa.Column('kind', columns.string(16), primary_key=True),
    sa.Column('name', columns.string(255), primary_key=True),
    columns.number('energy_uj'),
    sa.Index(None, 'bucket'),
    **columns.TABLE)

gaps = sa.Table(
    'gaps', columns.metadata,
    # Energy nobody can know.  zone NULL: the whole host.  end_ns NULL: it
    # lasts until something of the host is known again.  sequence: of the
    # record that stated it.  Where nothing is known from before, a gap is
    # stated as the moment from which on something is (start_ns = end_ns).
    # boot_id, boottime_*: which time it is, whatever clocks say; NULL while
    # it lasts.
    columns.identity(),
    columns.reference('host_id', 'hosts.id'),
    columns.reference('stream_id', 'streams.id', null=True),
    columns.text('zone', null=True),
    columns.number('start_ns'),
    columns.number('end_ns', null=True),
    columns.text('reason'),
    columns.number('sequence', null=True),
    columns.text('boot_id', null=True),
    columns.number('boottime_start_ns', null=True),
    columns.number('boottime_end_ns', null=True),
    sa.Index(None, 'host_id', 'start_ns'),
    sa.Index(None, 'host_id', 'boot_id', 'boottime_end_ns'),
    sa.Index(None, 'stream_id', 'end_ns'),
    **columns.TABLE)

quarantine = sa.Table(
    'quarantine', columns.metadata,
    # energy_uj: what the record claims, 0 when it cannot be read.  code:
    # the kind of reason.  public_key: who vouched for it, '' nobody.
    # trusted: that was the key of its host when it came, or once since.
    # stream '' and sequence 0: not even that could be read.
    # boot_id and boottime_*: of a record that was understood.
    columns.identity(),
    columns.text('host_name'),
    columns.text('stream'),
    columns.number('sequence'),
    columns.text('digest', size=64),
    columns.text('public_key', size=64),
    columns.text('signature', size=128),
    columns.number('received_ns'),
    columns.number('start_ns', null=True),
    columns.number('end_ns', null=True),
    columns.number('energy_uj'),
    columns.text('code', size=32),
    sa.Column('trusted', sa.Boolean(), nullable=False),
    sa.Column('reason', sa.Text(), nullable=False),
    sa.Column('payload', columns.LongText, nullable=False),
    columns.text('state', size=16),
    columns.number('decided_at_ns', null=True),
    columns.text('boot_id', null=True),
    columns.number('boottime_start_ns', null=True),
    columns.number('boottime_end_ns', null=True),
    # Short enough for the longest key of InnoDB.
    sa.UniqueConstraint('host_name', 'stream', 'sequence', 'digest',
                        'public_key'),
    sa.Index(None, 'state', 'start_ns'),
    sa.Index(None, 'host_name', 'boot_id'),
    **columns.TABLE)

audit = sa.Table(
    'audit', columns.metadata,
    # Who changed what.  actor: a user id, 'standalone', or 'collector'.
    # was, became: JSON; NULL: nothing.
    columns.identity(),
    columns.number('at_ns'),
    columns.text('actor'),
    columns.text('request_id', null=True),
    columns.text('kind', size=32),
    columns.text('subject'),
    sa.Column('was', sa.Text(), nullable=True),
    sa.Column('became', sa.Text(), nullable=True),
    sa.Index(None, 'at_ns'),
    sa.Index(None, 'subject', 'at_ns'),
    **columns.TABLE)

pasts = sa.Table(
    'pasts', columns.metadata,
    # What a site or a meter (kind) was said to be until superseded_ns, as
    # JSON: what is said of it now stands in its own row.
    columns.identity(),
    columns.text('kind', size=16),
    columns.number('of_id'),
    columns.number('superseded_ns'),
    sa.Column('said', sa.Text(), nullable=False),
    sa.Index(None, 'kind', 'superseded_ns'),
    **columns.TABLE)

names = sa.Table(
    'names', columns.metadata,
    # As learnt from Keystone; kept after a deletion (valid_to_ns set).
    columns.identity(),
    columns.text('kind', size=16),
    columns.text('uuid'),
    columns.text('name'),
    columns.text('domain_id', null=True),
    columns.number('valid_from_ns'),
    columns.number('valid_to_ns', null=True),
    sa.UniqueConstraint('kind', 'uuid', 'valid_from_ns'),
    **columns.TABLE)
