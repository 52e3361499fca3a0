# SPDX-License-Identifier: Apache-2.0
"""What people type for a time."""

import datetime
import unittest
import zoneinfo

from energy_accounting import units
from energy_accounting.osc import times

BERLIN = zoneinfo.ZoneInfo('Europe/Berlin')
KOLKATA = zoneinfo.ZoneInfo('Asia/Kolkata')


def utc(*fields):
    return datetime.datetime(*fields, tzinfo=units.UTC)


NOW = utc(2026, 11, 23, 5, 37, 12, 345678)


class MomentTest(unittest.TestCase):

    def check(self, expected, text, where=units.UTC, now=NOW):
        self.assertEqual(expected, times.moment(text, where, now))

    def test_every_form_that_the_help_names(self):
        for text, expected in (
                ('2026-11', utc(2026, 11, 1)),
                ('2026-11-03', utc(2026, 11, 3)),
                ('2026-11-03T06:15', utc(2026, 11, 3, 6, 15)),
                ('2026-11-03 06:15', utc(2026, 11, 3, 6, 15)),
                ('2026-11-03T06:15Z', utc(2026, 11, 3, 6, 15)),
                ('2026-11-01T06:00+01:00', utc(2026, 11, 1, 5)),
                ('today', utc(2026, 11, 23)),
                ('yesterday', utc(2026, 11, 22)),
                ('this-month', utc(2026, 11, 1)),
                ('last-month', utc(2026, 10, 1)),
                ('now', utc(2026, 11, 23, 5, 45)),
                ('-24h', utc(2026, 11, 22, 5, 30)),
                ('-7d', utc(2026, 11, 16, 5, 30))):
            with self.subTest(text):
                self.check(expected, text)

    def test_dates_and_words_are_meant_in_the_zone(self):
        self.check(utc(2026, 10, 31, 23), '2026-11', BERLIN)
        self.check(utc(2026, 9, 30, 22), 'last-month', BERLIN)
        self.check(utc(2026, 11, 22, 18, 30), 'today', KOLKATA)
        # In Kolkata it is already tomorrow.
        self.check(utc(2026, 11, 23, 18, 30), 'today', KOLKATA,
                   utc(2026, 11, 23, 20))

    def test_an_offset_wins_over_the_zone(self):
        self.check(utc(2026, 11, 1, 6), '2026-11-01T06:00Z', BERLIN)

    def test_yesterday_after_the_clocks_changed_is_25_hours_long(self):
        now = utc(2026, 10, 26, 12)
        today = times.moment('today', BERLIN, now)
        yesterday = times.moment('yesterday', BERLIN, now)
        self.assertEqual(datetime.timedelta(hours=25), today - yesterday)

    def test_last_month_in_january_is_in_another_year(self):
        self.check(utc(2025, 12, 1), 'last-month', now=utc(2026, 1, 5))

    def test_what_is_no_time_is_refused_with_the_forms(self):
        for text in ('', 'noon', '2026', '2026-13', '2026-02-30', '24h',
                     '-24x', '+24h', '0001-01-01T00:00+12:00', '-٣h'):
            with self.subTest(text), \
                    self.assertRaisesRegex(ValueError, 'this-month'):
                times.moment(text, units.UTC, NOW)


class SpokenTest(unittest.TestCase):

    def test_two_hours_of_a_night_have_one_name(self):
        for moment, text in (
                (utc(2026, 10, 25, 0, 30), '2026-10-25 02:30+02:00'),
                (utc(2026, 10, 25, 1, 30), '2026-10-25 02:30+01:00'),
                (utc(2026, 10, 24, 23, 30), '2026-10-25 01:30'),
                (utc(2026, 10, 25, 2), '2026-10-25 03:00'),
                (utc(2026, 3, 29, 1), '2026-03-29 03:00'),
                (utc(2026, 3, 29, 0, 45), '2026-03-29 01:45')):
            self.assertEqual(text, times.spoken(moment, BERLIN))
            if len(text) > 16:
                # It can be typed as it is read.
                self.assertEqual(moment, times.moment(text, BERLIN, NOW))


class PeriodTest(unittest.TestCase):

    def test_the_default_is_the_month_until_now(self):
        self.assertEqual((utc(2026, 11, 1), utc(2026, 11, 23, 5, 45)),
                         times.period(None, None, units.UTC, NOW))

    def test_the_default_in_the_first_quarter_of_a_month_is_that_month(self):
        self.assertEqual(
            (utc(2026, 11, 1), utc(2026, 11, 1, 0, 15)),
            times.period(None, None, units.UTC, utc(2026, 11, 1)))

    def test_an_end_alone_names_its_month(self):
        self.assertEqual((utc(2026, 10, 1), utc(2026, 11, 1)),
                         times.period(None, '2026-11', units.UTC, NOW))
        self.assertEqual((utc(2026, 11, 1), utc(2026, 11, 2)),
                         times.period(None, '2026-11-02', units.UTC, NOW))

    def test_a_start_alone_lasts_until_now(self):
        self.assertEqual(
            (utc(2026, 11, 22), utc(2026, 11, 23, 5, 45)),
            times.period('yesterday', None, units.UTC, NOW))

    def test_an_end_at_or_before_the_start_is_refused(self):
        for end in ('2026-11-02', '2026-11-01'):
            with self.assertRaisesRegex(ValueError, 'end is exclusive'):
                times.period('2026-11-02', end, units.UTC, NOW)


class MonthTest(unittest.TestCase):

    def test_a_past_month_is_whole(self):
        self.assertEqual(
            (utc(2026, 9, 30, 22), utc(2026, 10, 31, 23)),
            times.month('last-month', BERLIN, NOW))

    def test_the_present_month_ends_now(self):
        for text in ('this-month', '2026-11'):
            self.assertEqual((utc(2026, 11, 1), utc(2026, 11, 23, 5, 45)),
                             times.month(text, units.UTC, NOW))

    def test_a_month_to_come_is_left_for_the_api_to_refuse(self):
        self.assertEqual((utc(2026, 12, 1), utc(2027, 1, 1)),
                         times.month('2026-12', units.UTC, NOW))

    def test_other_words_are_no_month(self):
        for text in ('today', '2026-11-01', '2026-13', '-24h', 'now', ''):
            with self.subTest(text), \
                    self.assertRaisesRegex(ValueError, 'is not a month'):
                times.month(text, units.UTC, NOW)
