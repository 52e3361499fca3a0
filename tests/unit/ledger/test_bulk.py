# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import unittest

import sqlalchemy as sa

from energy_accounting.ledger import bulk, models
from tests.unit import records


class TestUpsert(unittest.TestCase):
    def setUp(self) -> None:
        super().setUp()
        self.database = records.database()
        self.addCleanup(self.database.close)

    def add(self, memory_uj: int | None) -> int | None:
        def work(connection: sa.Connection) -> int | None:
            bulk.upsert(
                connection, models.account_buckets,
                [(1, 2, 3, 1, 1, memory_uj, 1, None, 1, 1, 1, 1)],
                add=models.MEASURES)
            return connection.scalar(
                sa.select(models.account_buckets.c.memory_uj))
        return self.database.write(work)

    def test_null_and_null_is_null_and_a_number_stays(self) -> None:
        self.assertEqual(
            [None, None, 0, 0, 7, 7, 12],
            [self.add(memory_uj)
             for memory_uj in (None, None, 0, None, 7, None, 5)])

    def test_rows_go_in_the_order_of_the_key(self) -> None:
        seen = []

        @sa.event.listens_for(self.database.engine, 'before_cursor_execute')
        def note(connection: object, cursor: object, statement: str,
                 parameters: object, context: object, many: bool) -> None:
            if statement.startswith('INSERT INTO boots'):
                seen.append(parameters)
        self.database.write(
            bulk.upsert, models.boots,
            [(host, boot, 1, 1, 1, 1) for host in (3, 1, 2)
             for boot in ('b', 'a')],
            replace=('boottime_end_ns',))
        rows, = seen
        self.assertEqual(sorted(rows), list(rows))
