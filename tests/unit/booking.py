# SPDX-License-Identifier: Apache-2.0
"""A ledger and a collector that books into it, for tests of either."""

from __future__ import annotations

import unittest
from typing import Any

from energy_accounting import collector, samples
from energy_accounting.ledger import models, purge, writes
from tests.unit import records
from tests.unit.ledger import sums

NOW_NS = records.START_NS + 30 * purge.DAY_NS


class BookingCase(unittest.TestCase):
    enrolment = writes.FIRST_USE

    def setUp(self) -> None:
        super().setUp()
        self.database = records.database()
        self.addCleanup(self.database.close)
        self.collector = collector.Collector(
            self.database, None, lambda: NOW_NS, self.enrolment,
            user_ids=True)

    def book(self, *sent: samples.Window | samples.Lost | str,
             ) -> tuple[list[str], int]:
        answer = self.collector.book({}, [records.signed(one)
                                          for one in sent])
        self.assertEqual(len(sent), len(answer['results']))
        return answer['results'], answer['expects']

    def rows(self, table: Any) -> list[Any]:
        return sums.rows(self.database, table)

    def assert_quarantined(self, *sent: samples.Window | str,
                           because: str) -> None:
        before = sums.sums(self.database)
        results, _ = self.book(*sent)
        self.assertEqual(['quarantined'], results)
        self.assertIn(because, self.rows(models.quarantine)[-1].reason)
        self.assertEqual(before[:3], sums.sums(self.database)[:3])
