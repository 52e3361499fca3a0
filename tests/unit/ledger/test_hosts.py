# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

from energy_accounting.ledger import hosts
from tests.unit.ledger import reading

FIRST = reading.FIRST


class CompleteTest(reading.LedgerCase):

    def complete(self) -> int | None:
        with self.database.reader() as connection:
            return hosts.complete_until(connection)

    def test_the_slowest_enrolled_host_decides(self) -> None:
        self.ledger.host('h1', last_window_end_ns=500)
        self.ledger.host('h2', last_window_end_ns=300)
        self.ledger.host('h3', last_window_end_ns=100, state='retired')
        self.ledger.write()
        self.assertEqual(300, self.complete())

    def test_nothing_is_complete_while_a_host_is_silent(self) -> None:
        self.assertIsNone(self.complete())
        self.ledger.host('h1', last_window_end_ns=500)
        self.ledger.host('h2')
        self.ledger.write()
        self.assertIsNone(self.complete())


class HostsTest(reading.LedgerCase):

    def test_measured_time_is_capped_and_of_the_range_only(self) -> None:
        for number, ns in ((FIRST - 1, 900), (FIRST, 901), (FIRST + 1, 300),
                           (FIRST + 2, 900)):
            self.ledger.measured('h1', number, ns * 10**9)
        self.ledger.host('h2', site='west', region='r')
        self.ledger.write()
        with self.database.reader() as connection:
            one, two = hosts.read(connection, FIRST, FIRST + 2, 0)
            self.assertEqual(
                ['h2'], [host.name for host in hosts.read(
                    connection, FIRST, FIRST + 2, 0, after='h1', limit=5)])
            self.assertEqual(
                ['h2'], [host.name for host in hosts.read(
                    connection, FIRST, FIRST + 2, 0, site='west')])
            self.assertEqual(1, hosts.count(connection, 0, site='west'))
            self.assertEqual(
                0, hosts.count(connection, 0, state='retired'))
        self.assertEqual((1200 * 10**9, FIRST),
                         (one.measured_ns, one.first_bucket))
        self.assertEqual((0, None), (two.measured_ns, two.first_bucket))
        self.assertEqual(('package-0', 'dram-0'), one.basis)
        self.assertEqual(('west', 'r'), (two.site, two.region))
