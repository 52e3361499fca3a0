# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

from tests.unit.ledger import filled, reading

FIRST = reading.FIRST


class ClaimTest(reading.LedgerCase):

    def setUp(self) -> None:
        super().setUp()
        unknown = self.ledger.instance('i1', None, flavor=None)
        known = self.ledger.instance('i2', 'p2')
        idle = self.ledger.account('unallocated', name='idle_capacity')
        self.ledger.book(unknown, 'h1', FIRST, 10, memory_uj=5)
        self.ledger.book(known, 'h1', FIRST, 100)
        self.ledger.book(idle, 'h1', FIRST, 1000, vcpu_ns=0)
        self.ledger.claim(unknown, 'p9', 50, 'm1.tiny', 'u9')
        self.ledger.claim(unknown, 'p2', 70, 'm1.large', 'u2')
        self.ledger.write()

    def test_a_claim_moves_energy_from_nobody_to_the_project(self) -> None:
        self.assertEqual({('',): 1000, ('p2',): 115}, self.energy())
        self.assertEqual({('p2',): 115},
                         self.energy(filters={'project': 'p2'}))
        self.assertEqual({('i1', 'm1.large'): 15, ('i2', 'm1.small'): 100},
                         self.energy(filters={'project': 'p2'},
                                     group_by=('instance', 'flavor')))

    def test_a_claim_is_not_seen_before_it_was_made(self) -> None:
        self.assertEqual({('',): 1015, ('p2',): 100},
                         self.energy(as_of_ns=49))
        self.assertEqual({('',): 1000, ('p2',): 100, ('p9',): 15},
                         self.energy(as_of_ns=50))
        self.assertEqual({('',): 1000, ('p2',): 100, ('p9',): 15},
                         self.energy(as_of_ns=69))
        self.assertEqual({('', ''): 1000, ('i1', 'u9'): 15,
                          ('i2', ''): 100},
                         self.energy(as_of_ns=69,
                                     group_by=('instance', 'user')))

    def test_a_superseded_claim_gives_nothing(self) -> None:
        self.assertEqual({}, self.energy(filters={'project': 'p9'}))
        self.assertEqual({}, self.energy(filters={'project': 'p9'},
                                         group_by=('instance',)))

    def test_nobody_keeps_no_empty_row_when_all_was_claimed(self) -> None:
        self.assertNotIn(
            ('',), self.energy(filters={'account': 'instance'}))
        ledger = filled.Filled(self.new_database())
        unknown = ledger.instance('i1')
        ledger.book(unknown, 'h1', FIRST, 10)
        ledger.claim(unknown, 'p1', 50)
        ledger.write()
        self.database = ledger.database
        self.assertEqual({('p1',): 10}, self.energy())
