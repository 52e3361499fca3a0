# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import sqlalchemy as sa

from energy_accounting import units
from energy_accounting.ledger import balance, models
from tests.unit.ledger import reading

FIRST = reading.FIRST


class BalanceTest(reading.LedgerCase):

    def setUp(self) -> None:
        super().setUp()
        self.ledger.host('h2', site='west')
        guest = self.ledger.instance('i1', 'p1')
        pods = self.ledger.account('service', name='kubernetes')
        idle = self.ledger.account('unallocated', name='idle_capacity')
        for host in ('h1', 'h2'):
            self.ledger.book(guest, host, FIRST, 10, 1, 2, 3)
            self.ledger.book(pods, host, FIRST, 20)
            self.ledger.book(idle, host, FIRST, 40, memory_uj=5)
        self.ledger.quarantine('h1', FIRST * units.BUCKET_NS + 5, 77)
        self.ledger.quarantine('h1', FIRST * units.BUCKET_NS + 5, 5000,
                               trusted=False)
        for code in ('overlap', 'conflict'):
            self.ledger.quarantine('h1', FIRST * units.BUCKET_NS + 5, 300,
                                   code=code)
        self.ledger.quarantine('h1', (FIRST + 96) * units.BUCKET_NS, 99)
        day = FIRST * units.BUCKET_NS
        self.ledger.gap('h1', None, day - 5, day + 5, 'boot')
        self.ledger.gap('h1', None, day - 5, day, 'before')
        self.ledger.gap('h2', 'dram-0', day + 7, None, 'unreadable')
        self.ledger.gap('h1', None, day, day, 'new_stream')
        self.ledger.write()

    def balance(self, **which: str) -> balance.Balance:
        with self.database.reader() as connection:
            return balance.read(connection, FIRST, FIRST + 96, **which)

    def test_all_hosts(self) -> None:
        found = self.balance()
        self.assertEqual(162, found.zones_uj)
        self.assertEqual({('instance', None): 32,
                          ('service', 'kubernetes'): 40,
                          ('unallocated', 'idle_capacity'): 90},
                         found.booked_uj)
        self.assertEqual((77, 5600),
                         (found.quarantined_uj, found.disputed_uj))
        self.assertEqual(['boot', 'new_stream', 'unreadable'],
                         [gap[-1] for gap in found.gaps])

    def test_projects_are_added_up_apart(self) -> None:
        with self.database.writer() as connection:
            sums = models.project_buckets
            connection.execute(sa.update(sums).where(
                sums.c.project_ref == 2).values(
                    active_uj=sums.c.active_uj + 1))
        self.assertEqual(164, self.balance().projects_uj)
        self.assertEqual(82, self.balance(site='west').projects_uj)
        self.assertEqual(82, self.balance(site='default').projects_uj)
        self.assertIsNone(self.balance(host='h1').projects_uj)
        self.assertIsNone(self.balance(host='h1', site='west').projects_uj)

    def test_one_host_or_site_has_its_own_balance(self) -> None:
        for which, quarantined, gaps in (
                ({'host': 'h1'}, 77, 2), ({'site': 'default'}, 77, 2),
                ({'host': 'h2'}, 0, 1), ({'site': 'west'}, 0, 1)):
            found = self.balance(**which)
            self.assertEqual(81, found.zones_uj)
            self.assertEqual(81, sum(found.booked_uj.values()))
            self.assertEqual(quarantined, found.quarantined_uj)
            self.assertEqual(5600 if quarantined else 0, found.disputed_uj)
            self.assertEqual(gaps, len(found.gaps))
        self.assertEqual(0, self.balance(host='nobody').zones_uj)
        self.assertEqual(
            0, self.balance(host='h1', site='west').zones_uj)
