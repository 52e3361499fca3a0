# SPDX-License-Identifier: Apache-2.0
"""What the pages ask, and how long they wait."""

from __future__ import annotations

import datetime
from typing import Any
from unittest import mock

import testtools

from energy_accounting import client, units
from energy_accounting.dashboard import reading

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
        class Outbox:
            def exports(self, **query: Any) -> Any:
                if query['state'] == 'sent':
                    raise client.Forbidden('no')
                return client.Pages(lambda _marker: client.Page(
                    tuple({'id': number} for number in range(
                        600 if query['state'] is None else 2)), {}, None),
                    None)

        found = reading.exports(Outbox(), None)  # type: ignore[arg-type]
        assert found is not None
        self.assertEqual(([599, 100], True), (
            [found[0][0]['id'], found[0][-1]['id']], found[1]))
        self.assertEqual(([{'id': 1}, {'id': 0}], False), reading.exports(
            Outbox(), 'failed'))  # type: ignore[arg-type]
        self.assertIsNone(reading.exports(
            Outbox(), 'sent'))  # type: ignore[arg-type]
