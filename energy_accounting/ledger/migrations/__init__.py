# SPDX-License-Identifier: Apache-2.0
"""How the ledger's tables came to be: one line of alembic revisions.

A revision is written by hand, says what it changes with alembic and
SQLAlchemy alone, and imports nothing of this package: the tables of today
are not those it was written for.
"""
