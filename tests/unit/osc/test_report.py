# SPDX-License-Identifier: Apache-2.0
"""``openstack energy report show``, as somebody reads it."""

from __future__ import annotations

import datetime
import decimal
import io
from collections.abc import Iterator
from typing import Any
from unittest import mock

from keystoneauth1 import exceptions

from energy_accounting import units
from energy_accounting.osc import common, drawing, report, times
from tests.unit import web
from tests.unit.osc import test_commands

ROW, OTHER = test_commands.ROW, test_commands.OTHER
SERVER, DAY = test_commands.SERVER, test_commands.DAY
NOVEMBER = ('--start', '2026-11-01', '--end', '2026-12-01')


def moment(text: str) -> datetime.datetime:
    return datetime.datetime.fromisoformat(text)


class ReportTest(test_commands.CommandTest):

    def setUp(self) -> None:
        super().setUp()
        self.total: dict[str, Any] = ROW
        self.last: tuple[dict[str, Any], ...] = ()
        self.days: tuple[dict[str, Any], ...] = ()
        self.parts: tuple[dict[str, Any], ...] = ()
        self.top: tuple[dict[str, Any], ...] = (ROW,)
        self.count = 1

    def answer(self, request: web.Request) -> web.Answer:
        query = request.query
        if query['group_by'] == 'boundary':
            return test_commands.usage(*self.parts)
        if query['group_by'] != 'none':
            self.asked_top = query
            return web.Answer({'usage': self.top, 'links': [],
                               'complete_until': None, 'count': self.count})
        if query['resolution'] == 'day':
            return test_commands.usage(*self.days)
        if query['start'] < '2026-11-01':
            self.asked_before = query
            return test_commands.usage(*self.last)
        return test_commands.usage(self.total)

    def report(self, *words: str) -> list[str]:
        text = self.energy('report', 'show', '--project', OTHER, *words)
        lines = text.splitlines()
        for line in lines:
            self.assertLess(len(line), 80, line)
        self.assertNotIn('\x1b', text)
        return [' '.join(line.split()) for line in lines]

    def test_a_total_has_nothing_beside_it(self) -> None:
        self.total = {**ROW, 'renewable_share': '0.6279',
                      'facility_kwh': '2.000', 'pue': '1.500'}
        self.last = ({**ROW, 'it_kwh': '1.000', 'active_kwh': '0.000',
                      'host_kwh': '0.2000', 'renewable_share': '0.5000',
                      'facility_kwh': None, 'coverage': '0.5000'},)
        lines = self.report(*NOVEMBER)
        for line in ('IT energy 1.335 kWh 1.000 kWh +33 %',
                     'active 1.235 kWh 0 kWh what the servers computed',
                     "host 0.1000 kWh 0.2000 kWh -50 % the hosts' own work",
                     'facility 2.000 kWh - with cooling and losses',
                     'renewable 62.79 % 50.00 % +12.8 pt by contracts and '
                     'own sun',
                     'idle 0 kWh 0 kWh what they kept reserved',
                     'peak 0.2500 kW 0.2500 kW 0 % highest quarter of an '
                     'hour',
                     'before: 2026-10-01 00:00 until 2026-11-01 00:00'):
            self.assertIn(line, lines)
        self.assertFalse([line for line in lines if 'memory' in line
                          and 'kWh' in line])
        self.assertIn('Before they were read 50.00 % of the time', ' '.join(
            lines))
        self.assertEqual(('2026-10-01T00:00:00Z', '2026-11-01T00:00:00Z'),
                         (self.asked_before['start'],
                          self.asked_before['end']))

    def test_what_was_not_measured_is_told_as_growth(self) -> None:
        self.last = ({**ROW, 'it_kwh': '0.0100'},)
        answer = self.answer
        for period, first, resolution in (
                (NOVEMBER, '2026-10-25T00:00:00Z', 'day'),
                (DAY, '2026-10-31T07:00:00Z', 'hour')):
            asked = []

            def begun(request: web.Request, first: str = first,
                      asked: list[str] = asked) -> web.Answer:
                if request.query.get('limit') == '1':
                    asked.append(request.query['resolution'])
                    return test_commands.usage({**ROW, 'start': first})
                return answer(request)

            self.answer = begun  # type: ignore[method-assign]
            text = ' '.join(self.report(*period))
            self.assertEqual([resolution], asked)
            self.assertIn('0.0100 kWh', text)
            for word in ('%', 'x 1', 'change'):
                self.assertNotIn(word, text.partition('before: ')[0])
            self.assertIn(f'nothing was booked before {first[:10]} '
                          f'{first[11:16]}', text)

    def test_nothing_before_is_a_column_of_dashes(self) -> None:
        lines = self.report(*NOVEMBER)
        self.assertIn('IT energy 1.335 kWh', lines)
        self.assertIn('before: 2026-10-01 00:00 until 2026-11-01 00:00: '
                      'nothing was booked', lines)

    def test_bars_do_not_follow_the_energy(self) -> None:
        self.total = {**ROW, 'it_kwh': '2.501'}
        self.top = (ROW, {**ROW, 'instance_id': 'small',
                          'it_kwh': '0.667283945061728'})
        self.count = 9
        lines = self.report(*DAY, '--top', '2')
        first, second, rest = (
            line for line in lines
            if line.startswith((SERVER, 'small', '7 more')))
        self.assertAlmostEqual(2 * second.count('█'), first.count('█'),
                               delta=1)
        self.assertGreater(first.count('█'), 8)
        self.assertEqual('7 more 0.4991 kWh', rest)
        self.assertEqual(('it_kwh:desc', '2', 'true'), tuple(
            self.asked_top[name] for name in ('sort', 'limit', 'with_count')))

    def test_a_day_has_no_column(self) -> None:
        self.days = tuple(
            {**ROW, 'it_kwh': amount,
             'start': f'2026-11-{number:02}T00:00:00Z'}
            for number, amount in (
                (1, '1.000'), (2, '8.000'), (3, '0.000'), (4, '4.000')))
        lines = self.energy('report', 'show', '--start', '2026-11-01',
                            '--end', '2026-11-05').splitlines()
        place = lines.index('By day, at most 8.000 kWh IT energy:')
        self.assertEqual('  ▂█ ▅', lines[place + 1])

    def test_a_day_of_which_nothing_is_known_is_drawn_as_0(self) -> None:
        self.days = tuple(
            {**ROW, 'it_kwh': amount,
             'start': f'2026-11-{number:02}T00:00:00Z'}
            for number, amount in ((1, '2.000'), (3, '0.000')))
        lines = self.energy('report', 'show', '--start', '2026-11-01',
                            '--end', '2026-11-05').splitlines()
        place = lines.index('By day, at most 2.000 kWh IT energy (·: nothing '
                            'was booked):')
        self.assertEqual('  █· ·', lines[place + 1])

    def test_a_node_meter_more_divides_the_report(self) -> None:
        self.total = {**ROW, 'boundary': 'mixed'}
        self.parts = ({**ROW, 'boundary': 'node', 'it_kwh': '0.4000'},
                      {**ROW, 'it_kwh': '0.934567890123456'})
        lines = self.report(*DAY)
        self.assertEqual(1, sum('IT energy' in line for line in lines))
        place = next(number for number, line in enumerate(lines)
                     if line.startswith('Measured at partly'))
        self.assertEqual(['Of it 0.4000 kWh at node.',
                          'Of it 0.9346 kWh at rapl.'],
                         lines[place + 2:place + 4])

    def test_how_it_was_measured_is_not_said(self) -> None:
        self.total = {**ROW, 'quality': {
            'measured': '0.9000', 'backfilled': '0.1000',
            'estimated': '0.0000'}}
        text = ' '.join(self.report(*DAY))
        for words in ('(rapl): a lower bound', 'read 99.80 % of the time, so '
                      'some energy is missing', '10.00 % of the energy was '
                      'booked later', 'is not known.'):
            self.assertIn(words, text)
        self.assertNotIn('estimated', text)

    def test_almost_always_is_told_as_always(self) -> None:
        self.total = {**ROW, 'coverage': '0.99999'}
        self.last = ({**ROW, 'coverage': '0.999999'},)
        text = ' '.join(self.report(*DAY))
        self.assertIn('The meters were read 99.99 % of the time, so some '
                      'energy is missing', text)
        self.assertIn('Before they were read 99.99 % of the time', text)

    def test_what_the_site_makes_of_it_is_not_said(self) -> None:
        self.total = {
            **ROW, 'facility_kwh': '1.601481468148147',
            'pue': '1.200000000', 'pue_kind': 'interval',
            'co2_location_kg': '0.480444440444', 'co2_market_kg': '0',
            'water_l': '0.400370', 'renewable_share': '0.6279',
            'factor_quality': 'estimated', 'factor_basis': 'direct'}
        lines = self.report(*DAY)
        for line in ('facility 1.601 kWh with cooling and losses',
                     'CO2 0.4804 kg location-based, of the grid',
                     'CO2 0 kg market-based, as bought',
                     'water 0.4004 l',
                     'The facility is by PUE 1.200, of its own quarters of '
                     'an hour.',
                     'Its carbon factors are estimated, what is emitted '
                     'where energy is made.'):
            self.assertIn(line, lines)

    def test_a_month_without_energy_says_nothing(self) -> None:
        self.answer = lambda request: test_commands.usage()  # type: ignore
        self.assertIn('No energy was booked', self.energy(
            'report', 'show', '--month', 'last-month'))
        self.assertEqual(1, len(self.api.requests))

    def test_a_nova_that_is_away_spoils_the_report(self) -> None:
        class Away:
            auth_ref = mock.Mock(project_id='p')

            @property
            def compute(self) -> Any:
                raise exceptions.ConnectFailure('no')

            sdk_connection = property(lambda self: self.compute)

        self.assertEqual({}, common.server_names(Away()))
        self.assertEqual({}, common.server_names(Away(), 'another'))
        self.assertEqual({}, common.project_names(Away()))

    def test_a_nova_that_says_nothing_keeps_the_report_waiting(self) -> None:
        for given, wanted in ((None, 5), (60, 5), (2, 2)):
            waited = []
            session = mock.Mock(timeout=given)

            def servers(session: Any = session, waited: Any = waited,
                        **_whose: Any) -> Iterator[Any]:
                yield mock.Mock(id='i1')
                waited.append(session.timeout)
                raise exceptions.ConnectTimeout('no')

            manager = mock.Mock(compute=mock.Mock(
                session=session, servers=servers))
            # What it said before is not forgotten.
            self.assertEqual(['i1'], list(common.server_names(manager)))
            self.assertEqual([wanted], waited)
            self.assertEqual(given, session.timeout)


class BeforeTest(test_commands.unittest.TestCase):

    def test_it_is_compared_with_another_time(self) -> None:
        for start, end, zone, since, until in (
                # A month: the month before, however long.
                ('2026-11-01T00:00Z', '2026-12-01T00:00Z', 'UTC',
                 '2026-10-01T00:00Z', '2026-11-01T00:00Z'),
                ('2026-02-28T23:00Z', '2026-03-31T22:00Z', 'Europe/Berlin',
                 '2026-01-31T23:00Z', '2026-02-28T23:00Z'),
                # One that is not over: as much of the one before.
                ('2026-11-01T00:00Z', '2026-11-26T16:45Z', 'UTC',
                 '2026-10-01T00:00Z', '2026-10-26T16:45Z'),
                ('2026-03-01T00:00Z', '2026-03-30T00:00Z', 'UTC',
                 '2026-02-01T00:00Z', '2026-03-01T00:00Z'),
                # Another span: one as long, just before.
                ('2026-11-02T00:00Z', '2026-11-09T00:00Z', 'UTC',
                 '2026-10-26T00:00Z', '2026-11-02T00:00Z')):
            self.assertEqual(
                times.Period(moment(since), moment(until)),
                report.before(times.Period(moment(start), moment(end)),
                              units.zone(zone)), start)

    def test_a_day_of_25_hours_is_two_columns(self) -> None:
        berlin = units.zone('Europe/Berlin')
        rows = [{'start': start, 'it_kwh': amount} for start, amount in (
            ('2026-10-23T22:00:00Z', '1'), ('2026-10-24T22:00:00Z', '2'),
            ('2026-10-25T23:00:00Z', '3'))]
        self.assertEqual([1, 2, 3], report.by_day(rows, times.Period(
            moment('2026-10-23T22:00Z'), moment('2026-10-26T23:00Z')),
            berlin))

    def test_a_day_without_bookings_is_a_day_of_0(self) -> None:
        rows = [{'start': '2026-11-02T00:00:00Z', 'it_kwh': '0'}]
        self.assertEqual([None, 0], report.by_day(rows, times.Period(
            moment('2026-11-01T00:00Z'), moment('2026-11-03T00:00Z')),
            units.zone('UTC')))


class DrawingTest(test_commands.unittest.TestCase):

    def on(self, encoding: str = 'utf-8', columns: int = 0) -> drawing.For:
        out = io.TextIOWrapper(io.BytesIO(), encoding)
        if not columns:
            return drawing.For(out)
        with mock.patch.object(out, 'isatty', lambda: True), \
                mock.patch.dict('os.environ', COLUMNS=str(columns)):
            return drawing.For(out)

    def lines(self, draw: drawing.For) -> list[str]:
        amounts = [decimal.Decimal(text) for text in ('8', '4', '0.001')]
        return list(draw.bars(
            ['a' * 50, 'b', 'c'], amounts,
            [f'{amount} kWh' for amount in amounts], 3))

    def test_a_terminal_of_old_gets_what_it_cannot_write(self) -> None:
        lines = self.lines(self.on('ascii'))
        self.assertTrue(all(line.isascii() for line in lines))
        self.assertEqual([28, 14, 1], [line.count('#') for line in lines])
        self.assertEqual(':@ *?', self.on('ascii').steps(
            [*(decimal.Decimal(number) for number in (1, 8, 0, 5)), None]))

    def test_a_line_is_longer_than_the_terminal_is_wide(self) -> None:
        for columns in (40, 60, 80, 200):
            lines = self.lines(self.on(columns=columns))
            self.assertLess(max(map(len, lines)), columns)
            self.assertIn('█' * 5, lines[0])
        # A file has no width of its own.
        with mock.patch.dict('os.environ', COLUMNS='200'):
            self.assertEqual(80, self.on().width)
