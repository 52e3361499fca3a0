# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

from tests.unit.ledger import reading

FIRST = reading.FIRST


class WideSumsTest(reading.LedgerCase):

    def test_sums_beyond_64_bits_are_exact(self) -> None:
        account = self.ledger.instance('i1', 'p1')
        large = (1 << 62) + 12345
        for number in range(9):
            self.ledger.book(account, 'h1', FIRST + number, large)
        self.ledger.write()
        for groups in (('project',), ('instance',)):
            (row,) = self.usage(group_by=groups)
            self.assertEqual(9 * large, row.active_uj)
            self.assertEqual(9 * large, row.it_uj)
