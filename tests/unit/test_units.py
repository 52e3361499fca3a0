# SPDX-License-Identifier: Apache-2.0
"""Exact numbers stay exact."""

import datetime
import decimal
import itertools
import os
import subprocess
import sys
import unittest

from hypothesis import given
from hypothesis import strategies as st

from energy_accounting import units

UTC = datetime.UTC
WEIGHTS = st.lists(st.integers(0, 10 ** 15), max_size=12)
TOTALS = st.integers(0, 10 ** 18)


class TestWithout(unittest.TestCase):
    @given(st.tuples(st.integers(0, 9), st.integers(0, 9)),
           st.lists(st.tuples(st.integers(-3, 12), st.integers(-3, 12)),
                    max_size=4))
    def test_more_or_less_than_the_rest_is_left(self, whole, taken):
        taken = [(first, last) for first, last in taken if first <= last]
        left = units.without(*whole, taken)
        expected = set(range(*whole)).difference(
            *(range(*one) for one in taken))
        self.assertEqual(sorted(expected), [
            number for one in left for number in range(*one)])
        self.assertTrue(all(first < last for first, last in left))


class TestDivide(unittest.TestCase):
    def test_a_third_of_a_joule_is_lost(self):
        self.assertEqual([333_334, 333_333, 333_333],
                         units.divide(1_000_000, [1, 1, 1]))

    def test_a_tie_goes_to_the_last(self):
        self.assertEqual([2, 1], units.divide(3, [7, 7]))

    def test_the_largest_remainder_is_passed_over(self):
        self.assertEqual([3, 1], units.divide(4, [5, 2]))
        self.assertEqual([1, 3], units.divide(4, [2, 5]))

    def test_zero_weights_get_something(self):
        self.assertEqual([], units.divide(5, [0]))
        self.assertEqual([], units.divide(5, []))
        self.assertEqual([0, 5], units.divide(5, [0, 1]))

    def test_negative_input_is_divided(self):
        for total, weights in ((-1, [1]), (1, [-1, 2])):
            with self.assertRaises(ValueError):
                units.divide(total, weights)

    @given(TOTALS, WEIGHTS)
    def test_parts_do_not_sum_to_the_total(self, total, weights):
        parts = units.divide(total, weights)
        if any(weights):
            self.assertEqual(total, sum(parts))
            self.assertEqual(len(weights), len(parts))
        else:
            self.assertEqual([], parts)

    @given(TOTALS, WEIGHTS)
    def test_a_part_is_a_unit_or_more_off_its_quota(self, total, weights):
        scale = sum(weights)
        for place, part in enumerate(units.divide(total, weights)):
            self.assertLess(abs(part * scale - total * weights[place]),
                            scale)


    @given(TOTALS, WEIGHTS, st.randoms(use_true_random=False))
    def test_a_place_in_the_row_is_worth_more_than_a_unit(self, total,
                                                          weights, random):
        order = list(range(len(weights)))
        random.shuffle(order)
        parts = units.divide(total, weights)
        shuffled = units.divide(total, [weights[place] for place in order])
        for part, place in zip(shuffled, order, strict=bool(parts)):
            self.assertLessEqual(abs(part - parts[place]), 1)

    @given(TOTALS, WEIGHTS)
    def test_a_larger_weight_gets_less_or_none_gets_some(self, total,
                                                         weights):
        parts = units.divide(total, weights)
        some = sorted(zip(weights, parts, strict=False))
        for (weight, part), (larger, more) in itertools.pairwise(some):
            self.assertTrue(larger == weight or more >= part)
            self.assertTrue(weight or not part)

    @given(TOTALS, WEIGHTS, st.integers(1, 10 ** 6))
    def test_another_unit_of_the_weights_changes_a_part(self, total, weights,
                                                        factor):
        self.assertEqual(
            units.divide(total, weights),
            units.divide(total, [weight * factor for weight in weights]))


class TestEnergy(unittest.TestCase):
    def test_kwh_is_rounded_or_has_an_exponent(self):
        self.assertEqual('1.000000000000000',
                         units.kwh_text(units.UJ_PER_KWH))
        self.assertEqual('0.000000000000278', units.kwh_text(1))
        self.assertEqual('0.000000000000000', units.kwh_text(0))

    @given(st.integers(-10 ** 27, 10 ** 27))
    def test_a_microjoule_is_lost_on_the_way_through_kwh(self, energy_uj):
        text = units.kwh_text(energy_uj)
        self.assertNotIn('E', text)
        self.assertEqual(energy_uj, units.microjoules(text))

    def test_a_word_is_an_energy(self):
        with self.assertRaises(decimal.InvalidOperation):
            units.microjoules('much')


class TestTime(unittest.TestCase):
    def test_a_naive_time_is_taken_for_some_zone(self):
        with self.assertRaises(ValueError):
            units.wall_ns(datetime.datetime(2026, 1, 1))

    def test_a_bucket_does_not_begin_on_the_quarter(self):
        moment = datetime.datetime(2026, 3, 29, 1, 29, 59, tzinfo=UTC)
        bucket = units.bucket_of(units.wall_ns(moment))
        self.assertEqual(datetime.datetime(2026, 3, 29, 1, 15, tzinfo=UTC),
                         units.bucket_start(bucket))
        self.assertEqual(
            bucket + 1,
            units.bucket_of(units.wall_ns(
                moment + datetime.timedelta(seconds=1))))

    @given(st.datetimes(min_value=datetime.datetime(1970, 1, 1),
                        timezones=st.just(UTC)))
    def test_a_moment_does_not_come_back(self, moment):
        self.assertEqual(moment, units.moment(units.wall_ns(moment)))
        self.assertEqual(
            moment, datetime.datetime.fromisoformat(units.iso(moment)))

    def test_a_zone_of_no_place_is_accepted(self):
        for name in ('Mars/Olympus', '', '../etc/passwd'):
            with self.assertRaises(ValueError):
                units.zone(name)

    def test_utc_needs_a_database_of_time_zones(self):
        # As in a container without one: no files, and no package tzdata.
        done = subprocess.run(
            [sys.executable, '-c',
             'import sys; sys.modules["tzdata"] = None\n'
             'from energy_accounting import units\n'
             'print(units.zone("UTC"))\n'
             'units.zone("Europe/Berlin")'],
            env={**os.environ, 'PYTHONTZPATH': ''}, capture_output=True,
            text=True)
        self.assertEqual('UTC\n', done.stdout, done.stderr)
        # And it is gone in truth.
        self.assertIn('is not in the IANA time zone', done.stderr)


class TestPeriods(unittest.TestCase):
    BERLIN = units.zone('Europe/Berlin')

    def hours(self, start, end):
        return [(b - a).total_seconds() / 3600 for a, b in units.periods(
            start, end, 'day', self.BERLIN)]

    def test_a_day_of_clock_change_has_24_hours(self):
        self.assertEqual([24, 23, 24], self.hours(
            datetime.datetime(2026, 3, 27, 23, tzinfo=UTC),
            datetime.datetime(2026, 3, 30, 22, tzinfo=UTC)))
        self.assertEqual([24, 25, 24], self.hours(
            datetime.datetime(2026, 10, 23, 22, tzinfo=UTC),
            datetime.datetime(2026, 10, 26, 23, tzinfo=UTC)))

    def test_the_doubled_hour_is_one_period(self):
        found = units.periods(
            datetime.datetime(2026, 10, 25, 0, tzinfo=UTC),
            datetime.datetime(2026, 10, 25, 3, tzinfo=UTC), 'hour',
            self.BERLIN)
        self.assertEqual(3, len(found))

    def test_a_month_edge_is_that_of_utc(self):
        self.assertEqual(
            datetime.datetime(2025, 12, 31, 23, tzinfo=UTC),
            units.period_start(datetime.datetime(2026, 1, 15, tzinfo=UTC),
                               'month', self.BERLIN))

    @given(st.datetimes(min_value=datetime.datetime(2020, 1, 1),
                        max_value=datetime.datetime(2030, 1, 1),
                        timezones=st.just(UTC)),
           st.timedeltas(min_value=datetime.timedelta(seconds=1),
                         max_value=datetime.timedelta(days=2)),
           st.sampled_from(units.RESOLUTIONS),
           st.sampled_from(['UTC', 'Europe/Berlin', 'Asia/Kathmandu',
                            'Australia/Lord_Howe', 'America/New_York']))
    def test_periods_leave_a_hole_or_overlap(self, start, length,
                                             resolution, name):
        found = units.periods(start, start + length, resolution,
                              units.zone(name))
        self.assertEqual(start, found[0][0])
        self.assertEqual(start + length, found[-1][1])
        for before, after in itertools.pairwise(found):
            self.assertEqual(before[1], after[0])
        for begin, end in found:
            self.assertLess(begin, end)
