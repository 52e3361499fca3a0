# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from energy_accounting import samples
from energy_accounting.ledger import models
from tests.unit import booking, records
from tests.unit.ledger import sums


class TestLoss(booking.BookingCase):
    def test_what_was_lost_is_a_gap_up_to_the_next_window(self) -> None:
        self.book(records.window(1))
        self.assertEqual((['booked'], 5), self.book(records.lost(2, 4)))
        gap, = self.rows(models.gaps)
        self.assertEqual(
            ('lost', records.START_NS + records.MINUTE_NS, None),
            (gap.reason, gap.start_ns, gap.end_ns))
        self.book(records.window(5))
        gap, = self.rows(models.gaps)
        self.assertEqual(records.START_NS + 4 * records.MINUTE_NS,
                         gap.end_ns)

    def test_a_loss_within_one_call_is_one_closed_gap(self) -> None:
        self.assertEqual((['booked'] * 4, 7), self.book(
            records.window(1), records.lost(2, 4), records.lost(5, 5),
            records.window(6)))
        gap, = self.rows(models.gaps)
        self.assertEqual(
            (records.START_NS + records.MINUTE_NS,
             records.START_NS + 5 * records.MINUTE_NS),
            (gap.start_ns, gap.end_ns))

    def test_an_open_gap_is_stated_once(self) -> None:
        self.book(records.window(1), records.lost(2, 2))
        self.book(records.lost(3, 4))
        self.book(records.lost(5, 5), records.window(6))
        gap, = self.rows(models.gaps)
        self.assertEqual(records.START_NS + 5 * records.MINUTE_NS,
                         gap.end_ns)

    def test_a_loss_of_what_was_booked_is_none(self) -> None:
        self.book(records.window(1), records.window(2))
        before = sums.contents(self.database)
        self.assertEqual((['duplicate'], 3), self.book(records.lost(1, 2)))
        self.assertEqual((['out_of_order'], 3), self.book(
            records.lost(1, 9)))
        self.assertEqual(before, sums.contents(self.database))

    def test_the_first_records_of_all_may_be_lost(self) -> None:
        self.assertEqual((['booked', 'booked'], 51), self.book(
            records.lost(1, 49), records.window(50)))
        gap, = self.rows(models.gaps)
        self.assertEqual(gap.start_ns, gap.end_ns)

    def test_what_was_given_up_for_lost_and_comes_is_held(self) -> None:
        self.book(records.window(1), records.lost(2, 4))
        self.assert_quarantined(records.window(3), because='number 3')

    def test_gaps_of_a_window_are_kept_with_it(self) -> None:
        stated = samples.Gap('dram-0', records.START_NS,
                             records.START_NS + 5, 'unreadable')
        self.book(records.window(1, gaps=(stated,)))
        gap, = self.rows(models.gaps)
        self.assertEqual(
            ('dram-0', records.START_NS, records.START_NS + 5, 'unreadable',
             1), (gap.zone, gap.start_ns, gap.end_ns, gap.reason,
                  gap.sequence))
