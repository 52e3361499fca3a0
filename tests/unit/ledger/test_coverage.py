# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

from typing import Any

from energy_accounting import units
from tests.unit.ledger import reading

FIRST = reading.FIRST


class CoverageTest(reading.LedgerCase):

    def missing(self, **changes: Any,
                ) -> dict[tuple[str, ...], int | None]:
        return {row.keys: row.missing_ms2 for row in self.usage(**changes)}

    def test_missing_time_is_weighted_by_vcpu_time(self) -> None:
        small = self.ledger.instance('i1', 'p1')
        large = self.ledger.instance('i2', 'p1')
        self.ledger.book(small, 'h1', FIRST, 1, vcpu_ns=900 * 10**9)
        self.ledger.book(large, 'h2', FIRST, 1, vcpu_ns=3600 * 10**9)
        self.ledger.measured('h2', FIRST, 600 * 10**9)
        self.ledger.write()
        missing = 3600 * 1000 * 300 * 1000
        for groups in (('project',), ('flavor',)):
            self.assertEqual([missing],
                             [*self.missing(group_by=groups).values()])
        self.assertEqual({('i1',): 0, ('i2',): missing},
                         self.missing(group_by=('instance',)))

    def test_a_few_milliseconds_are_not_a_gap(self) -> None:
        account = self.ledger.instance('i1', 'p1')
        for number, measured_ns in enumerate(
                (units.BUCKET_NS - 5 * 10**6, units.BUCKET_NS + 5 * 10**6)):
            self.ledger.book(account, 'h1', FIRST + number, 1)
            self.ledger.measured('h1', FIRST + number, measured_ns)
        self.ledger.write()
        self.assertEqual({('p1',): 0}, self.missing())

    def test_policies_are_those_of_the_rows_hosts(self) -> None:
        one = self.ledger.instance('i1', 'p1')
        two = self.ledger.instance('i2', 'p2')
        self.ledger.book(one, 'h1', FIRST, 1)
        self.ledger.book(one, 'h2', FIRST, 1)
        self.ledger.book(two, 'h2', FIRST, 1)
        self.ledger.measured('h1', FIRST, units.BUCKET_NS, 'proportional/1')
        self.ledger.write()
        self.assertEqual(
            {('p1',): ('proportional/1', 'two-part/1'),
             ('p2',): ('two-part/1', 'two-part/1')},
            {row.keys: row.policies for row in self.usage()})
