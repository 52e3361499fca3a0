# SPDX-License-Identifier: Apache-2.0
"""Idle power is measured on quiet days and never backwards."""

import json
import unittest

from hypothesis import given
from hypothesis import strategies as st

from energy_accounting import errors, idle

DAY = idle.DAY_NS
HOUR = 3600 * 10 ** 9
MONDAY = 20_000 * DAY


def day_of(state, powers, start_ns=MONDAY, busy=1):
    for place, power_uw in enumerate(powers):
        state = idle.observe(state, power_uw, busy, 100,
                             start_ns + place * 60 * 10 ** 9)
    return state


class TestIdlePower(unittest.TestCase):
    def test_a_configured_value_is_overruled_by_a_measurement(self):
        state = day_of(idle.IdlePower(configured_uw=7), [100] * 20)
        self.assertEqual((idle.CONFIGURED, 7),
                         idle.value_at(state, MONDAY + 3 * DAY))

    def test_a_measurement_counts_on_its_own_day(self):
        state = day_of(idle.IdlePower(), range(100, 120))
        self.assertEqual((idle.PROVISIONAL, None),
                         idle.value_at(state, MONDAY + DAY - 1))
        self.assertEqual((idle.MEASURED, 109),
                         idle.value_at(state, MONDAY + DAY))

    def test_nine_quiet_windows_are_enough(self):
        state = day_of(idle.IdlePower(), [100] * 9)
        self.assertEqual((idle.PROVISIONAL, None),
                         idle.value_at(state, MONDAY + DAY))
        state = day_of(idle.IdlePower(), [100] * 10)
        self.assertEqual((idle.MEASURED, 100),
                         idle.value_at(state, MONDAY + DAY))

    def test_two_days_are_added_to_make_ten(self):
        state = day_of(idle.IdlePower(), [100] * 9)
        state = day_of(state, [100] * 9, MONDAY + DAY)
        self.assertEqual((idle.PROVISIONAL, None),
                         idle.value_at(state, MONDAY + 2 * DAY))

    def test_a_busy_window_is_quiet(self):
        state = day_of(idle.IdlePower(), [100] * 20, busy=6)
        self.assertEqual((), state.powers_uw)
        state = day_of(idle.IdlePower(), [100] * 20, busy=5)
        self.assertEqual(20, len(state.powers_uw))

    def test_a_window_without_capacity_is_quiet(self):
        state = idle.observe(idle.IdlePower(), 5, 0, 0, MONDAY)
        self.assertEqual((), state.powers_uw)

    def test_a_later_day_counts_before_it_is_over(self):
        state = day_of(idle.IdlePower(), [100] * 10)
        state = day_of(state, [80] * 10, MONDAY + 5 * DAY)
        self.assertEqual((idle.MEASURED, 100),
                         idle.value_at(state, MONDAY + 6 * DAY - 1))
        self.assertEqual((idle.MEASURED, 80),
                         idle.value_at(state, MONDAY + 6 * DAY))

    def test_a_day_without_quiet_windows_forgets_the_value(self):
        state = day_of(idle.IdlePower(), [100] * 10)
        state = day_of(state, [300] * 50, MONDAY + DAY, busy=90)
        self.assertEqual((idle.MEASURED, 100),
                         idle.value_at(state, MONDAY + 2 * DAY))

    def test_a_value_counts_backwards(self):
        state = day_of(idle.IdlePower(), [100] * 10)
        state = idle.observe(state, 5, 1, 100, MONDAY + DAY)
        self.assertEqual((idle.PROVISIONAL, None),
                         idle.value_at(state, MONDAY))

    def test_a_clock_set_back_ends_the_day_before_its_end(self):
        state = day_of(idle.IdlePower(), [100] * 10)
        state = idle.observe(state, 5, 1, 100, MONDAY - HOUR)
        self.assertEqual((idle.PROVISIONAL, None),
                         idle.value_at(state, MONDAY + DAY))

    def test_a_clock_once_far_ahead_stops_all_measuring(self):
        state = day_of(idle.IdlePower(), [100] * 10, MONDAY + 9000 * DAY)
        state = day_of(state, [80] * 10)
        self.assertEqual((idle.MEASURED, 80),
                         idle.value_at(state, MONDAY + DAY))

    @given(st.lists(st.integers(0, 10 ** 9), min_size=10, max_size=300))
    def test_a_day_of_windows_grows_without_bound(self, powers):
        state = day_of(idle.IdlePower(), powers)
        self.assertLessEqual(len(state.powers_uw), idle.MOST_WINDOWS)
        kind, power_uw = idle.value_at(state, MONDAY + DAY)
        self.assertEqual(idle.MEASURED, kind)
        self.assertTrue(min(powers) <= power_uw <= max(powers))

    def test_the_kept_windows_are_of_one_end_of_the_day(self):
        state = day_of(idle.IdlePower(), range(1440))
        self.assertEqual(list(range(0, 1440, state.stride)),
                         list(state.powers_uw))
        self.assertGreater(len(state.powers_uw), idle.MOST_WINDOWS // 2)

    def test_a_restart_forgets_the_day(self):
        state = day_of(idle.IdlePower(), [100] * 9)
        body = json.loads(json.dumps(idle.to_wire(state)))
        state = day_of(idle.from_wire(body), [100], MONDAY + 12 * HOUR)
        self.assertEqual((idle.MEASURED, 100),
                         idle.value_at(state, MONDAY + DAY))

    def test_a_configuration_of_yesterday_is_kept(self):
        body = idle.to_wire(idle.IdlePower(configured_uw=7))
        self.assertEqual((idle.PROVISIONAL, None),
                         idle.value_at(idle.from_wire(body), MONDAY))
        self.assertEqual((idle.CONFIGURED, 9),
                         idle.value_at(idle.from_wire(body, 9), MONDAY))

    def test_a_foreign_state_is_taken(self):
        for body in ({}, {'powers_uw': 3}, {'powers_uw': [], 'other': 1}):
            with self.assertRaises(errors.InvalidRecord):
                idle.from_wire(body)
