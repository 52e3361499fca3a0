# SPDX-License-Identifier: Apache-2.0
"""Runs revisions on the connection that ``ledger.engine`` hands over."""

from __future__ import annotations

from alembic import context

# The transaction is the caller's; DDL commits by itself on MySQL, so each
# revision is noted at its own end.
context.configure(connection=context.config.attributes['connection'],
                  transaction_per_migration=True)
with context.begin_transaction():
    context.run_migrations()
