# SPDX-License-Identifier: Apache-2.0
"""What the pages ask, and how long they wait."""

from __future__ import annotations

import datetime
from typing import Any
from unittest import mock

import testtools

from energy_accounting import client, units
from energy_accounting.dashboard import periods, reading

NOW = datetime.datetime(2026, 11, 26, 12, tzinfo=units.UTC)
SITE = {'name': 'berlin-1', 'time_zone': 'Europe/Berlin'}


class Api:
    """A slow API, and the clock by which it is slow."""

    def __init__(self, seconds: float) -> None:
        self.seconds, self.now = seconds, 1000.0
        self.waits: list[float] = []
        self.starts: list[str | None] = []

    def __call__(self, left: float) -> Any:
        self.waits.append(left)
        return self

    def kpis(self, site: str, **query: str) -> dict[str, Any]:
        self.starts.append(query.get('start'))
        left = self.waits[-1]
        self.now += min(self.seconds, left)
        if self.seconds > left:
            raise client.TimedOut('no answer in time')
        return {'site': site, 'start': query.get('start')}

    def ask(self) -> reading.KeyFigures:
        return reading.key_figures(reading.patience(
            self, 10, lambda: self.now), SITE, NOW)


class Statements(testtools.TestCase):

    def test_the_newest_are_cut_off(self) -> None:
        rows = [{'start': f'{2000 + number:04}', 'end': f'{2001 + number:04}'}
                for number in range(reading.MOST_ROWS + 2)]
        answer = mock.Mock()
        answer.statements.return_value.rows.return_value = iter(rows)
        found, older = reading.statements(answer)
        self.assertEqual((rows[:1:-1], True), (found, older))

    def test_who_may_read_none_is_told_that_there_is_none(self) -> None:
        answer = mock.Mock()
        answer.statements.side_effect = client.Forbidden('no', status=403)
        self.assertEqual((None, False), reading.statements(answer))


class KeyFigures(testtools.TestCase):

    def test_a_month_of_the_year_is_not_asked_for(self) -> None:
        api = Api(0)
        found = api.ask()
        self.assertIsNone(found.year['start'])
        self.assertEqual(12, len(found.months))
        # The edges of the site, in summer and in winter.
        self.assertEqual('2025-10-31T23:00:00Z', units.iso(
            found.months[0][0]))
        self.assertEqual(
            [units.iso(start) for start, _row in found.months],
            [row['start'] for _start, row in found.months if row])
        self.assertIn('2026-06-30T22:00:00Z', api.starts)

    def test_twelve_months_are_waited_for_longer_than_one(self) -> None:
        api = Api(3)
        found = api.ask()
        self.assertEqual(1010, api.now)
        # What nobody waited for is not known, and the oldest.
        self.assertEqual([False] * 10 + [True] * 2, [
            row is not None for _start, row in found.months])
        self.assertEqual([10, 7, 4, 1], api.waits)

    def test_a_year_that_is_not_answered_is_an_empty_page(self) -> None:
        self.assertRaises(client.TimedOut, Api(11).ask)


class Exports(testtools.TestCase):

    def test_the_oldest_exports_are_shown(self) -> None:
        api = Lists(exports=[{'id': number} for number in range(600)])
        found, older = reading.exports(api, None)  # type: ignore[arg-type]
        assert found is not None
        self.assertEqual(([599, 100], True),
                         ([found[0]['id'], found[-1]['id']], older))
        api = Lists(exports=[{'id': 0}, {'id': 1}])
        self.assertEqual(([{'id': 1}, {'id': 0}], False), reading.exports(
            api, 'failed'))  # type: ignore[arg-type]
        self.assertEqual([{'state': 'failed'}], api.asked)

    def test_who_may_read_none_is_told_that_there_is_none(self) -> None:
        api = mock.Mock()
        api.exports.side_effect = client.Forbidden('no', status=403)
        self.assertEqual((None, False), reading.exports(api, 'sent'))


class Lists:
    """Lists of the API; those of hosts are filtered as it does."""

    def __init__(self, **rows: Any) -> None:
        self.rows = rows
        self.asked: list[dict[str, Any]] = []

    def __getattr__(self, name: str) -> Any:
        def ask(**query: Any) -> Any:
            self.asked.append(query)
            return client.Pages(lambda _marker: client.Page(tuple(
                row for row in self.rows[name]
                if not query.get('late') or row['late']), {}, None), None)

        return ask


class Hosts(testtools.TestCase):

    def hosts(self, count: int, late: range,
              alarmed: range = range(0)) -> tuple[list[str], bool]:
        api = Lists(hosts=[{
            'name': f'h{number:05}', 'late': number in late,
            'alarm': 'asleep' if number in alarmed else None}
            for number in range(count)])
        rows, more = reading.hosts(api)  # type: ignore[arg-type]
        return [row['name'] for row in rows], more

    def test_late_hosts_are_left_out_of_a_great_cloud(self) -> None:
        names, more = self.hosts(9000, range(8990, 9000), range(4000, 4002))
        self.assertEqual([f'h{number:05}' for number in (
            *range(8990, 9000), 4000, 4001, *range(488))], names)
        self.assertTrue(more)

    def test_a_late_host_stands_there_twice_or_one_is_missing(self) -> None:
        names, more = self.hosts(5, range(1, 3), range(2, 4))
        self.assertEqual(['h00001', 'h00002', 'h00003', 'h00000', 'h00004'],
                         names)
        self.assertFalse(more)
        for late in (600, 500):
            names, more = self.hosts(600, range(late))
            self.assertEqual((500, True), (len(set(names)), more))
        self.assertEqual((500, False), (
            len(self.hosts(500, range(500))[0]),
            self.hosts(500, range(500))[1]))


class Books:
    """Usage by what it is grouped by, its resolution and its beginning."""

    def __init__(self, rows: dict[tuple[str, str, str], list[Any]]) -> None:
        self.rows = rows
        self.asked: list[dict[str, Any]] = []

    def usage(self, **query: Any) -> Any:
        self.asked.append(query)
        rows = self.rows.get(
            (query['group_by'], query['resolution'], query['start']), [])
        return client.Pages(lambda _marker: client.Page(
            tuple(rows), {'complete_until': 'then'}, None), None)


PERIOD = periods.choose({'month': '2026-10'}, 'UTC', NOW)
OCTOBER, SEPTEMBER = '2026-10-01T00:00:00Z', '2026-09-01T00:00:00Z'


class OfAProject(testtools.TestCase):

    def test_the_last_period_is_this_one(self) -> None:
        now, then = ({'it_kwh': kwh, 'boundary': 'rapl'} for kwh in '32')
        of_a, of_b, old_a = ({'instance_id': ident, 'it_kwh': kwh}
                             for ident, kwh in ('a2', 'b1', 'a9'))
        api = Books({
            ('none', 'total', OCTOBER): [now],
            ('none', 'total', SEPTEMBER): [then],
            ('none', 'day', OCTOBER): [{'start': OCTOBER, 'it_kwh': '3'}],
            ('instance', 'total', OCTOBER): [of_a, of_b],
            ('instance', 'total', SEPTEMBER): [old_a],
            ('instance', 'day', OCTOBER): [
                {**of_a, 'start': OCTOBER}, {**of_b, 'start': OCTOBER}]})
        found = reading.project(api, PERIOD)  # type: ignore[arg-type]
        self.assertEqual((now, then), (found.total, found.before))
        self.assertEqual(((of_a, of_b), {'a': old_a}, False), (
            found.servers, found.servers_before, found.more))
        self.assertEqual({OCTOBER: {'start': OCTOBER, 'it_kwh': '3'}},
                         found.steps)
        self.assertEqual(['a', 'b'], sorted(found.courses))
        self.assertEqual('then', found.complete_until)
        self.assertEqual((), found.parts)
        self.assertEqual({('2026-10-01T00:00:00Z', '2026-11-01T00:00:00Z'),
                          ('2026-09-01T00:00:00Z', '2026-10-01T00:00:00Z')},
                         {(one['start'], one['end']) for one in api.asked})

    def test_nothing_is_asked_on_where_nothing_was_booked(self) -> None:
        api = Books({})
        found = reading.project(api, PERIOD)  # type: ignore[arg-type]
        self.assertIsNone(found.total)
        self.assertEqual(1, len(api.asked))

    def test_two_boundaries_look_like_one(self) -> None:
        parts = [{'boundary': 'node'}, {'boundary': 'rapl'}]
        found = reading.project(Books({  # type: ignore[arg-type]
            ('none', 'total', OCTOBER): [{'boundary': 'mixed'}],
            ('boundary', 'total', OCTOBER): parts}), PERIOD)
        self.assertEqual(tuple(parts), found.parts)

    def test_a_course_is_asked_for_of_each_of_thousands(self) -> None:
        rows = [{'instance_id': str(number)} for number in range(5001)]
        for many in (reading.MOST_TRENDS, reading.MOST_TRENDS + 1, 5001):
            api = Books({('none', 'total', OCTOBER): [{}],
                         ('instance', 'total', OCTOBER): rows[:many]})
            found = reading.project(api, PERIOD)  # type: ignore[arg-type]
            self.assertEqual((min(many, 5000), many > 5000),
                             (len(found.servers), found.more))
            self.assertEqual(many <= reading.MOST_TRENDS, (
                'instance', 'day') in {(one['group_by'], one['resolution'])
                                       for one in api.asked})


class OfAllProjects(testtools.TestCase):

    def test_the_time_before_is_that_of_another_project(self) -> None:
        now = [{'project_id': 'a', 'it_kwh': '3'},
               {'project_id': None, 'it_kwh': '1'}]
        then = [{'project_id': None, 'it_kwh': '5'},
                {'project_id': 'a', 'it_kwh': '2'}]
        api = Books({('project', 'total', OCTOBER): now,
                     ('project', 'total', SEPTEMBER): then})
        found = reading.projects(api, PERIOD)  # type: ignore[arg-type]
        self.assertEqual(tuple(now), found.rows)
        self.assertEqual({None: then[0], 'a': then[1]}, found.before)
        self.assertEqual([True, True],
                         [one['all_projects'] for one in api.asked])


class Sites(testtools.TestCase):

    def test_the_site_of_nobody_is_shown_first(self) -> None:
        default, other = {'name': 'default'}, {'name': 'a'}
        self.assertIs(other, reading.site_of_choice([default, other]))
        self.assertIs(default, reading.site_of_choice([default]))
