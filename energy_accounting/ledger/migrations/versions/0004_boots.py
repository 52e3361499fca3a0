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
    op.create_index('ix_gaps_host_id_boot_id', 'gaps', ['host_id', 'boot_id'])
    with op.batch_alter_table('boots') as batch:
        for name in _KNOWN:
            batch.add_column(sa.Column(name, sa.BigInteger(), nullable=False,
                                       server_default='0'))
    # In a batch of its own: SQLite fills rows by a default that is there.
    with op.batch_alter_table('boots') as batch:
        for name in _KNOWN:
            batch.alter_column(name, existing_type=sa.BigInteger(),
                               existing_nullable=False, server_default=None)
    # What was before is not asked any more: a boot is known from where it
    # is booked.
    boots = sa.table('boots', *map(sa.column, ('boottime_end_ns', *_KNOWN)))
    op.execute(sa.update(boots).values(
        dict.fromkeys(_KNOWN[:2], boots.c.boottime_end_ns)))
