# SPDX-License-Identifier: Apache-2.0
"""What no host can have used, or been, is kept and not booked."""

from __future__ import annotations

import dataclasses
from typing import Any

from energy_accounting import errors, samples, units
from energy_accounting.ledger import models
from tests.unit import booking, records

WATT = units.UJ_PER_J
MINUTE_S = 60
SLACK_UJ = 10 * WATT
BUCKET = units.bucket_of(records.START_NS)


class TestImplausible(booking.BookingCase):
    def drawing(self, energy_uj: int, sequence: int = 1,
                memory_uj: int | None = None, **changes: Any,
                ) -> samples.Window:
        basis = ('package-0', *(() if memory_uj is None else ('dram-0',)))
        return records.window(
            sequence, [records.share(active_uj=energy_uj, idle_uj=0,
                                     host_uj=0, memory_uj=memory_uj)],
            basis=basis, **changes)

    def assert_held(self, window: samples.Window, because: str) -> None:
        self.assert_quarantined(window, because=because)
        self.assertEqual('implausible',
                         self.rows(models.quarantine)[-1].code)

    def test_more_than_the_packages_can_draw_is_booked(self) -> None:
        most_uj = 100 * WATT * MINUTE_S * 5 // 4 + SLACK_UJ
        self.assertEqual((['booked'], 2), self.book(self.drawing(
            most_uj, max_power_uw=100 * WATT)))
        self.assert_held(self.drawing(most_uj + 1, 2,
                                      max_power_uw=100 * WATT),
                         because='more than 100 W, which is what its '
                                 'notifier says')

    def test_energy_without_time_is_booked(self) -> None:
        # It overlaps nothing: each stream could have it booked once.
        self.assert_quarantined(
            self.drawing(WATT, boottime_end_ns=1000 * records.MINUTE_NS),
            because='boottime stands still')
        self.assertEqual('schema', self.rows(models.quarantine)[-1].code)

    def test_the_bound_is_not_that_of_a_wrap(self) -> None:
        # What a notifier takes for a wrap, a collector believes.
        self.assertEqual((['booked'], 2), self.book(self.drawing(
            samples.most_uj(100 * WATT, records.MINUTE_NS),
            max_power_uw=100 * WATT)))

    def test_the_word_of_an_operator_does_not_count(self) -> None:
        self.book(self.drawing(WATT, max_power_uw=100 * WATT))
        self.bound(10 * WATT)
        self.assert_held(self.drawing(50 * WATT * MINUTE_S, 2,
                                      max_power_uw=100 * WATT),
                         because='more than 10 W, which is what an operator '
                                 'says')
        self.bound(1000 * WATT)
        self.assertEqual((['booked'], 4), self.book(self.drawing(
            500 * WATT * MINUTE_S, 3, max_power_uw=100 * WATT)))

    def bound(self, power_uw: int) -> None:
        self.database.write(lambda connection: connection.execute(
            models.hosts.update().values(max_power_uw=power_uw)))

    def test_memory_is_bounded_by_the_packages(self) -> None:
        memory_uj = 300 * WATT * MINUTE_S
        self.assertEqual((['booked'], 2), self.book(self.drawing(
            WATT, memory_uj=memory_uj, max_power_uw=WATT)))
        self.assert_held(self.drawing(
            WATT, 2, memory_uj=memory_uj * 5 // 4 + SLACK_UJ + 1,
            max_power_uw=1000 * WATT), because='memory zones')

    def test_a_host_that_does_not_say_what_it_can_draw_is_held(
            self) -> None:
        self.assertEqual((['booked', 'booked'], 3), self.book(
            self.drawing(10 ** 12), self.drawing(10 ** 12, 2,
                                                 max_power_uw=0)))

    def changed(self, sequence: int = 1, **changes: Any) -> samples.Window:
        one = records.window(sequence, boottime_start_ns=0,
                             boottime_end_ns=10 ** 14)
        return dataclasses.replace(one, parts=(dataclasses.replace(
            one.parts[0], **changes),))

    def test_more_than_a_quarter_of_an_hour_fits_into_one(self) -> None:
        most_ns = units.BUCKET_NS + 60 * units.NS_PER_S
        self.assert_held(self.changed(measured_ns=most_ns + 1),
                         because='of a quarter of an hour')
        self.assertEqual((['booked'], 3), self.book(
            self.changed(2, measured_ns=most_ns)))

    def test_two_parts_of_a_quarter_hide_that(self) -> None:
        one = self.changed(measured_ns=units.BUCKET_NS)
        self.assert_held(dataclasses.replace(one, parts=(
            one.parts[0], dataclasses.replace(one.parts[0],
                                              backfilled=True))),
            because='of a quarter of an hour')

    def test_more_time_is_measured_than_passed(self) -> None:
        one = records.window(1)
        self.assert_held(dataclasses.replace(
            one, boottime_end_ns=one.boottime_end_ns - 1),
            because='of boottime')

    def test_more_cpu_time_is_used_than_there_was(self) -> None:
        # 480 s there are, 25 % and a second for each of 8 CPUs are allowed.
        most_ns = 608 * units.NS_PER_S
        self.assertEqual((['booked'], 2),
                         self.book(self.cpu(1, most_ns)))
        self.assert_held(self.cpu(2, most_ns + 1), because='CPU seconds')

    def cpu(self, sequence: int, busy_ns: int) -> samples.Window:
        one = records.window(sequence)
        return dataclasses.replace(one, parts=(dataclasses.replace(
            one.parts[0], busy_ns=busy_ns),))

    def test_the_line_waits_for_what_is_held(self) -> None:
        self.assertEqual(
            (['booked', 'quarantined', 'booked'], 4),
            self.book(records.window(1), self.cpu(2, 10 ** 13),
                      records.window(3)))
        self.assertEqual([], self.rows(models.gaps))

    def test_a_window_of_nothing_but_gaps_is_held(self) -> None:
        self.assertEqual((['booked'], 2), self.book(records.window(
            1, parts=(), boottime_end_ns=1000 * records.MINUTE_NS)))


class TestImpossible(booking.BookingCase):
    def test_times_that_run_backwards_are_booked(self) -> None:
        start_ns = records.START_NS
        for window in (
                records.window(1, start_ns=start_ns, end_ns=start_ns - 1),
                records.window(1, start_ns=2 ** 62, end_ns=start_ns),
                records.window(1, gaps=(samples.Gap(
                    None, start_ns, start_ns - 1, 'reset'),))):
            self.assert_quarantined(window, because='before it starts')

    def test_a_gap_may_last_for_ever(self) -> None:
        self.assert_quarantined(records.window(1, gaps=(samples.Gap(
            None, 0, 2 ** 63 - 1, 'reset'),)), because='set the clock')

    def test_a_host_says_any_length_of_its_windows(self) -> None:
        for seconds in (0, units.BUCKET_SECONDS + 1, 2 ** 62):
            self.assert_quarantined(
                records.window(1, window_seconds=seconds),
                because=f'its windows are of {seconds} s')
        self.assertEqual((['booked'], 3), self.book(records.window(
            2, window_seconds=units.BUCKET_SECONDS)))

    def test_a_host_that_no_path_leads_to_is_enrolled(self) -> None:
        for name in ('.', '..', 'a/b'):
            with self.assertRaisesRegex(errors.InvalidRecord, 'no name of a '
                                                              'host'):
                self.book(records.window(1, host=name))
        self.assertEqual([], self.rows(models.hosts))
