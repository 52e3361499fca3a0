# SPDX-License-Identifier: Apache-2.0
"""What runs while the schema is changed is of the release before."""

from __future__ import annotations

import unittest

import sqlalchemy as sa
from alembic import script

from energy_accounting.ledger import engine

# Before the first release nothing ran that could have been in the way.
FIRST = '0004'


def shape(database: engine.Database) -> dict[tuple[str, str], bool]:
    """Each column, and whether a row cannot be without it."""
    with database.reader() as connection:
        inspected = sa.inspect(connection)
        return {(table, column['name']):
                not column['nullable'] and column['default'] is None
                for table in inspected.get_table_names()
                for column in inspected.get_columns(table)}


class AdditiveTest(unittest.TestCase):

    def test_the_release_before_cannot_write_any_more(self) -> None:
        database = engine.Database('sqlite://')
        self.addCleanup(database.close)
        revisions = [found.revision for found in
                     script.ScriptDirectory(engine.MIGRATIONS)
                     .walk_revisions()][::-1]
        engine.sync(database, FIRST)
        before = shape(database)
        for revision in revisions[revisions.index(FIRST) + 1:]:
            engine.sync(database, revision)
            after = shape(database)
            self.assertEqual(set(), before.keys() - after.keys(),
                             f'{revision} takes away')
            tables = {table for table, _ in before}
            self.assertEqual(set(), {
                column for column, demanded in after.items()
                if demanded and column not in before
                and column[0] in tables}, f'{revision} demands')
            before = after
