# SPDX-License-Identifier: Apache-2.0
"""Which time of each boot is known, and of which boot a gap is."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = '0004'
down_revision = '0003'

_KNOWN = ('known_boottime_start_ns', 'known_boottime_end_ns',
          'known_until_ns')


def _boot_id() -> sa.Column[str]:
    return sa.Column('boot_id', sa.String(255).with_variant(
        postgresql.VARCHAR(255, collation='C'), 'postgresql'), nullable=True)


def upgrade() -> None:
    with op.batch_alter_table('hosts') as batch:
        batch.add_column(_boot_id())
    with op.batch_alter_table('gaps') as batch:
        batch.add_column(_boot_id())
        for name in ('boottime_start_ns', 'boottime_end_ns'):
            batch.add_column(sa.Column(name, sa.BigInteger(), nullable=True))
    columns = ['host_id', 'boot_id', 'boottime_end_ns']
    op.create_index(f'ix_gaps_{"_".join(columns)}', 'gaps', columns)
    with op.batch_alter_table('boots') as batch:
        for name in _KNOWN:
            batch.add_column(sa.Column(name, sa.BigInteger(), nullable=False,
                                       server_default='0'))
    # In a batch of its own: SQLite fills rows by a default that is there.
    with op.batch_alter_table('boots') as batch:
        for name in _KNOWN:
            batch.alter_column(name, existing_type=sa.BigInteger(),
                               existing_nullable=False, server_default=None)
    _fill()


def _fill() -> None:
    """A boot is known from where it is booked; what was before is not asked.

    The newest boot of a host is that of the record that came last.
    """
    connection = op.get_bind()
    boots, hosts, streams, rows = (
        sa.table(name, *map(sa.column, columns)) for name, columns in (
            ('boots', ('host_id', 'boot_id', 'boottime_end_ns', *_KNOWN)),
            ('hosts', ('id', 'boot_id', 'last_window_end_ns')),
            ('streams', ('id', 'host_id')),
            ('acknowledged', ('stream_id', 'sequence', 'received_ns',
                              'boot_id'))))
    connection.execute(sa.update(boots).values(
        dict.fromkeys(_KNOWN[:2], boots.c.boottime_end_ns)))
    for host_id, end_ns in connection.execute(sa.select(
            hosts.c.id, hosts.c.last_window_end_ns)).all():
        newest = connection.scalar(
            sa.select(rows.c.boot_id).select_from(rows.join(
                streams, streams.c.id == rows.c.stream_id)).where(
                streams.c.host_id == host_id, rows.c.boot_id.is_not(None))
            .order_by(rows.c.received_ns.desc(), rows.c.sequence.desc())
            .limit(1))
        if newest is None or end_ns is None:
            continue
        connection.execute(sa.update(hosts).where(
            hosts.c.id == host_id).values(boot_id=newest))
        connection.execute(sa.update(boots).where(
            boots.c.host_id == host_id, boots.c.boot_id == newest,
        ).values(known_until_ns=end_ns))
