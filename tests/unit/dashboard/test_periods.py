# SPDX-License-Identifier: Apache-2.0

import datetime

import testtools

from energy_accounting import units
from energy_accounting.dashboard import periods

ZONE = 'Europe/Berlin'


def at(text: str) -> datetime.datetime:
    return datetime.datetime.fromisoformat(text)


NOW = at('2026-11-26T19:53:00Z')


def chosen(now: datetime.datetime = NOW, **form: str) -> periods.Period:
    return periods.choose({'from' if name == 'first' else name: value
                           for name, value in form.items()}, ZONE, now)


class WhatAFormMeans(testtools.TestCase):

    def test_nothing_said_is_another_month_than_this_one(self):
        period = chosen()
        self.assertEqual('2026-11', period.month)
        self.assertEqual('2026-10-31T23:00:00Z', period.query['start'])

    def test_a_running_month_ends_before_its_last_quarter(self):
        period = chosen()
        self.assertEqual('2026-11-26T20:00:00Z', period.query['end'])
        self.assertTrue(period.running)

    def test_a_running_month_is_compared_with_a_whole_one(self):
        period = chosen()
        length = period.end - period.start
        self.assertEqual(at('2026-09-30T22:00:00Z'), period.before[0])
        self.assertEqual(length, period.before[1] - period.before[0])

    def test_the_last_days_of_march_are_compared_with_march(self):
        # What has passed of March is longer than February.
        period = chosen(at('2026-03-31T12:00:00Z'))
        self.assertEqual(period.start, period.before[1])

    def test_a_month_that_is_over_is_compared_with_part_of_one(self):
        period = chosen(month='2026-10')
        self.assertFalse(period.running)
        # Summer time ends in October.
        self.assertEqual((at('2026-08-31T22:00:00Z'),
                          at('2026-09-30T22:00:00Z')), period.before)
        self.assertEqual((at('2026-09-30T22:00:00Z'),
                          at('2026-10-31T23:00:00Z')),
                         (period.start, period.end))

    def test_the_last_day_of_a_range_is_left_out(self):
        period = chosen(first='2026-10-24', to='2026-10-25')
        self.assertEqual(49, (period.end - period.start)
                         / datetime.timedelta(hours=1))
        self.assertEqual('hour', period.resolution)
        self.assertEqual(49, len(period.steps))
        self.assertEqual((at('2026-10-21T22:00:00Z'), period.start),
                         period.before)

    def test_what_is_still_to_come_moves_the_time_before_away(self):
        # Two days have begun of this range.
        for last in ('2026-11-26', '2026-11-30', '2026-12-31'):
            period = chosen(first='2026-11-25', to=last)
            self.assertEqual((at('2026-11-22T23:00:00Z'),
                              at('2026-11-24T20:00:00Z')), period.before)

    def test_a_long_time_has_bars_that_nobody_sees(self):
        for last, resolution in (('2026-01-03', 'hour'),
                                 ('2026-01-04', 'day'),
                                 ('2026-04-03', 'day'),
                                 ('2026-05-30', 'month')):
            self.assertEqual(resolution, chosen(
                first='2026-01-01', to=last).resolution)

    def test_a_period_does_not_survive_its_own_link(self):
        for form in ({'month': '2026-02'},
                     {'first': '2026-02-03', 'to': '2026-03-05'}):
            period = chosen(**form)
            self.assertEqual(period, periods.choose(period.form, ZONE, NOW))

    def test_the_picker_leads_into_the_future(self):
        self.assertEqual(('2026-10', None), periods.neighbours(
            chosen(), NOW))
        self.assertEqual(('2026-09', '2026-11'), periods.neighbours(
            chosen(month='2026-10'), NOW))
        offered = periods.months(NOW, units.zone(ZONE))
        self.assertEqual(datetime.date(2026, 11, 1), offered[0])
        self.assertEqual(24, len(set(offered)))

    def test_a_bad_form_is_an_error_without_a_name(self):
        for code, form in (
                (periods.NOT_A_MONTH, {'month': '2026-13'}),
                (periods.NOT_A_MONTH, {'month': 'last'}),
                (periods.NOT_A_MONTH, {'month': '2026-1٢'}),
                (periods.NOT_A_DATE, {'first': '1.2.2026', 'to': 'x'}),
                (periods.NOT_A_DATE,
                 {'first': '2026-02-30', 'to': '2026-03-01'}),
                (periods.HALF_A_RANGE, {'first': '2026-01-01'}),
                (periods.HALF_A_RANGE, {'to': '2026-01-01'}),
                (periods.BACKWARDS,
                 {'first': '2026-01-02', 'to': '2026-01-01'}),
                (periods.FUTURE, {'month': '2026-12'}),
                (periods.FUTURE, {'month': '9999-12'}),
                (periods.FUTURE,
                 {'first': '9999-12-31', 'to': '9999-12-31'}),
                (periods.TOO_LONG,
                 {'first': '2020-01-01', 'to': '2026-01-01'}),
                (periods.TOO_EARLY, {'month': '0001-01'}),
                (periods.TOO_EARLY, {'month': '1999-12'})):
            refused = self.assertRaises(periods.Refused, chosen, **form)
            self.assertEqual(code, refused.code, form)
