# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import zoneinfo

from energy_accounting import units
from tests.unit.ledger import filled, reading

BERLIN = reading.BERLIN
KOLKATA = reading.KOLKATA


class PeriodsTest(reading.LedgerCase):

    def counts(self, start: str, end: str, resolution: str,
               where: zoneinfo.ZoneInfo) -> list[tuple[int, int]]:
        first, last = filled.bucket(start), filled.bucket(end)
        account = self.ledger.instance('i1', 'p1')
        for number in range(first, last):
            self.ledger.book(account, 'h1', number, 1)
        self.ledger.write()
        rows = self.usage(start=first, end=last, resolution=resolution,
                          where=where, limit=100000)
        expected = [
            (filled.bucket(units.iso(begun)), (until - begun).seconds // 900
             + (until - begun).days * 96)
            for begun, until in units.periods(
                units.bucket_start(first), units.bucket_start(last),
                resolution, where)]
        found = [(row.first, row.active_uj) for row in rows]
        self.assertEqual(expected, found)
        return found

    def test_the_day_a_clock_is_set_back_has_25_hours(self) -> None:
        found = self.counts('2026-10-23T22:00:00Z', '2026-10-26T23:00:00Z',
                            'day', BERLIN)
        self.assertEqual([96, 100, 96], [count for _, count in found])

    def test_the_day_a_clock_is_set_forward_has_23_hours(self) -> None:
        found = self.counts('2026-03-27T23:00:00Z', '2026-03-30T22:00:00Z',
                            'day', BERLIN)
        self.assertEqual([96, 92, 96], [count for _, count in found])

    def test_the_hour_that_comes_twice_stays_two(self) -> None:
        found = self.counts('2026-10-24T22:00:00Z', '2026-10-25T06:00:00Z',
                            'hour', BERLIN)
        self.assertEqual([4] * 8, [count for _, count in found])

    def test_hours_of_a_half_hour_zone_begin_at_half_past(self) -> None:
        found = self.counts('2026-11-01T00:00:00Z', '2026-11-01T03:00:00Z',
                            'hour', KOLKATA)
        self.assertEqual([2, 4, 4, 2], [count for _, count in found])

    def test_days_of_a_half_hour_zone_begin_at_its_midnight(self) -> None:
        self.counts('2026-11-01T00:00:00Z', '2026-11-03T00:00:00Z', 'day',
                    KOLKATA)

    def test_a_month_begins_at_the_midnight_of_its_zone(self) -> None:
        found = self.counts('2026-09-30T20:00:00Z', '2026-12-02T00:00:00Z',
                            'month', BERLIN)
        self.assertEqual([8, 31 * 96 + 4, 30 * 96, 2 * 96 - 92 + 0],
                         [count for _, count in found])

    def test_a_quarter_is_the_finest(self) -> None:
        self.counts('2026-11-01T00:00:00Z', '2026-11-01T02:00:00Z',
                    'quarter', BERLIN)
