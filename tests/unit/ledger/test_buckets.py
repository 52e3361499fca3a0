# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from energy_accounting import collector, units
from energy_accounting.ledger import accounts, models
from tests.unit import booking, records


class TestRows(booking.BookingCase):
    def test_memory_nobody_measured_is_not_zero(self) -> None:
        self.book(records.window(1, [records.share(memory_uj=None)]))
        self.book(records.window(2, [records.share(memory_uj=None)]))
        row, = self.rows(models.account_buckets)
        self.assertIsNone(row.memory_uj)
        self.book(records.window(3, [records.share(memory_uj=0)]))
        row, = self.rows(models.account_buckets)
        self.assertEqual(0, row.memory_uj)
        self.book(records.window(4, [records.share(memory_uj=5)]))
        self.book(records.window(5, [records.share(memory_uj=None)]))
        for table in (models.account_buckets, models.project_buckets):
            row, = self.rows(table)
            self.assertEqual(5, row.memory_uj)

    def test_idle_power_is_that_of_the_newest_window(self) -> None:
        def said() -> list[tuple[str, str, int | None]]:
            return [(row.policy, row.idle_kind, row.idle_power_uw)
                    for row in self.rows(models.host_buckets)]
        self.book(records.window(1, idle_kind='provisional',
                                 idle_power_uw=None))
        self.assertEqual([('two-part/1', 'provisional', None)], said())
        self.book(records.window(2, policy='proportional/1'),
                  records.window(3, idle_kind='configured',
                                 idle_power_uw=7))
        self.assertEqual([('two-part/1', 'configured', 7)], said())
        self.book(records.window(
            4, start_ns=records.START_NS + 15 * records.MINUTE_NS))
        self.assertEqual([('two-part/1', 'configured', 7),
                          ('two-part/1', 'measured', 40_000_000)], said())

    def test_mib_nanoseconds_are_rounded_to_the_nearest_second(self) -> None:
        half = units.NS_PER_S // 2
        self.book(records.window(1, [records.share(memory_mib_ns=half)]),
                  records.window(2, [records.share(memory_mib_ns=half - 1)]))
        row, = self.rows(models.account_buckets)
        self.assertEqual(1, row.memory_mib_seconds)

    def test_two_names_for_one_account_are_one_row(self) -> None:
        class Known:
            def owner_of(self, instance_id: str) -> accounts.Owner | None:
                return accounts.Owner(records.PROJECT, 'm1.small', None)
        self.collector = collector.Collector(self.database, Known(),
                                             lambda: booking.NOW_NS)
        self.book(records.window(1, [
            records.share(records.instance(project_id=None, flavor=None)),
            records.share()]))
        row, = self.rows(models.account_buckets)
        self.assertEqual(1200, row.active_uj)
