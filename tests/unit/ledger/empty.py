# SPDX-License-Identifier: Apache-2.0
"""Empty ledgers on SQLite, as the migrations make them.

They are migrated once in a process and copied from then on: migrating takes
longer than most tests.  What tests the migrations does not come here.
"""

from __future__ import annotations

import contextlib
import functools
import sqlite3
from typing import Any

from energy_accounting.ledger import engine


def fill(database: engine.Database) -> None:
    """Make the tables of a ledger in a database that has none."""
    with contextlib.closing(database.engine.raw_connection()) as connection:
        held: Any = connection.driver_connection
        _migrated().backup(held)
        # A copy of pages: the mode of the journal comes with them.
        held.execute('PRAGMA journal_mode = WAL')


@functools.cache
def _migrated() -> sqlite3.Connection:
    database = engine.Database('sqlite://')
    engine.sync(database)
    with contextlib.closing(database.engine.raw_connection()) as connection:
        held: Any = connection.driver_connection
        # Which test comes first, and in which thread, is nobody's business.
        kept = sqlite3.connect(':memory:', check_same_thread=False)
        held.backup(kept)
    database.close()
    return kept
