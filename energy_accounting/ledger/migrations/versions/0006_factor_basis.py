# SPDX-License-Identifier: Apache-2.0
"""On which basis a site's emissions are counted."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = '0006'
down_revision = '0005'


def upgrade() -> None:
    with op.batch_alter_table('sites') as batch:
        batch.add_column(sa.Column(
            'factor_basis', sa.String(16).with_variant(
                postgresql.VARCHAR(16, collation='C'), 'postgresql'),
            nullable=True))
