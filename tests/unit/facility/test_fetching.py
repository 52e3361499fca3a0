# SPDX-License-Identifier: Apache-2.0
"""What is asked of providers that behave in all ways, and what stays."""

from __future__ import annotations

import unittest
from collections.abc import Callable, Sequence
from typing import Any

from energy_accounting import errors
from energy_accounting.facility import (
    factor_store,
    factor_times,
    factors,
    fetching,
    providers,
)
from energy_accounting.ledger import audit
from tests.unit.facility import made
from tests.unit.ledger import filled

HOUR_NS = made.HOUR_NS
# Hours from made.START_NS.
NOW = 10


class Known:
    """A provider that says what a test gives it."""

    def __init__(self, answer: Callable[[int, int], Sequence[factors.Factor]],
                 name: str = 'energy-charts', span: int | None = 4,
                 basis: str | None = factors.LIFECYCLE) -> None:
        self.name, self.basis = name, basis
        self.span_ns = None if span is None else span * HOUR_NS
        self.asked: list[tuple[int, int]] = []
        self._answer = answer

    def fetch(self, zone: str, start_ns: int, end_ns: int, now_ns: int,
              ) -> Sequence[factors.Factor]:
        start, end = ((moment - made.START_NS) // HOUR_NS
                      for moment in (start_ns, end_ns))
        self.asked.append((start, end))
        return self._answer(start, end)


class FetchCase(unittest.TestCase):

    def setUp(self) -> None:
        super().setUp()
        self.database = filled.sqlite(self)
        self.recorded_ns = 0

    def record(self, *batch: factors.Factor, **more: Any) -> None:
        self.recorded_ns += 1
        self.database.write(factor_store.record, batch, self.recorded_ns,
                            audit.Actor('a test'), **more)

    def fetch(self, *asked: Any, start: int = 0, end: int = 8,
              now: int = NOW, refresh: int = 0, zone: str = 'DE',
              ) -> list[fetching.Result]:
        return fetching.fetch(
            self.database, asked, [zone], made.START_NS + start * HOUR_NS,
            made.START_NS + end * HOUR_NS,
            now_ns=made.START_NS + now * HOUR_NS,
            refresh_ns=refresh * HOUR_NS)

    def kept(self) -> list[tuple[int, int, str, str, str]]:
        """Hours, value, quality and provider of all that counts."""
        return [((one.factor.start_ns - made.START_NS) // HOUR_NS,
                 (one.factor.end_ns - made.START_NS) // HOUR_NS,
                 str(one.factor.value), one.factor.quality,
                 one.factor.provider)
                for one in self.database.read(
                    factor_store.as_of, 0, made.START_NS * 2, zone='DE')]

    def says(self, value: str = '300', **more: Any) -> Known:
        """A provider with a value for each hour."""
        name = more.pop('name', 'energy-charts')
        span = more.pop('span', 4)
        return Known(lambda start, end: [
            made.factor(hour, hour + 1, value, provider=name, **more)
            for hour in range(start, end)], name, span)


class WhatIsAsked(FetchCase):

    def test_more_is_asked_than_a_provider_answers(self) -> None:
        provider = self.says()
        (result,) = self.fetch(provider)
        self.assertEqual([(0, 4), (4, 8)], provider.asked)
        self.assertEqual((8, 0, None), (result.stored, result.unchanged,
                                        result.failure))

    def test_what_is_known_is_asked_for_again(self) -> None:
        self.record(*(made.factor(hour, hour + 1)
                      for hour in (0, 1, 2, 3, 5)))
        provider = self.says()
        self.fetch(provider)
        self.assertEqual([(4, 8)], provider.asked)
        again = self.says()
        self.fetch(again)
        self.assertEqual([], again.asked)

    def test_a_forecast_or_another_basis_is_thought_enough(self) -> None:
        self.record(
            made.factor(0, 4, quality=factors.FORECAST),
            made.factor(4, 6, basis=factors.DIRECT),
            made.factor(6, 8, method=factors.MARKET))
        self.asks_all()

    def test_a_marginal_figure_is_thought_enough(self) -> None:
        self.record(made.factor(0, 8, signal=factors.MARGINAL))
        self.asks_all()

    def asks_all(self) -> None:
        provider = self.says()
        self.fetch(provider)
        self.assertEqual([(0, 4), (4, 8)], provider.asked)

    def test_new_figures_are_never_corrected(self) -> None:
        self.fetch(self.says('300'))
        provider = self.says('310')
        (result,) = self.fetch(provider, now=8, refresh=2)
        self.assertEqual([(6, 8)], provider.asked)
        self.assertEqual((2, 2), (result.stored, result.revised))
        self.assertEqual(['300'] * 6 + ['310'] * 2,
                         [value for _, _, value, *_ in self.kept()])

    def test_the_second_provider_is_asked_what_the_first_knew(self) -> None:
        first = Known(lambda start, end: [
            made.factor(hour, hour + 1, provider='energy-charts')
            for hour in range(start, end) if hour != 5])
        second = self.says('7', name='electricity-maps')
        self.fetch(first, second)
        self.assertEqual([(5, 6)], second.asked)
        self.assertIn((5, 6, '7', 'actual', 'electricity-maps'),
                      self.kept())

    def test_shipped_values_are_asked_for_in_pieces(self) -> None:
        provider = Known(lambda start, end: [made.factor(
            -8760, 0, provider='static', quality=factors.FALLBACK)],
            'static', None, None)
        (result,) = self.fetch(provider)
        self.assertEqual(1, len(provider.asked))
        self.assertEqual(1, result.stored)
        (result,) = self.fetch(provider)
        self.assertEqual((0, 1), (result.stored, result.of_no_use
                                  + result.unchanged))


class WhatStays(FetchCase):

    def test_an_outage_takes_stored_factors_away(self) -> None:
        self.record(made.factor(2, 3, '123'))
        before = self.kept()

        def away(start: int, end: int) -> Sequence[factors.Factor]:
            raise providers.refusal('energy-charts', 'DE', 'it is away')
        (failed, filled_) = self.fetch(
            Known(away), self.says('7', name='electricity-maps'))
        self.assertEqual('energy-charts, zone DE: it is away',
                         failed.failure)
        self.assertIsNone(filled_.failure)
        self.assertIn(before[0], self.kept())
        self.assertEqual(8, len(self.kept()))

    def test_an_outage_undoes_what_came_before_it(self) -> None:
        def half(start: int, end: int) -> Sequence[factors.Factor]:
            if start >= 4:
                raise providers.refusal('energy-charts', 'DE', 'it is away')
            return self.says()._answer(start, end)
        (result,) = self.fetch(Known(half))
        self.assertEqual((4, True), (result.stored,
                                     result.failure is not None))
        self.assertEqual(4, len(self.kept()))
        # The hole is filled when it is back.
        (result,) = self.fetch(self.says())
        self.assertEqual((4, None), (result.stored, result.failure))

    def test_a_database_that_is_away_is_a_traceback(self) -> None:
        def broken(start: int, end: int) -> Sequence[factors.Factor]:
            raise errors.Unavailable('the database cannot be used now')
        (result,) = self.fetch(Known(broken))
        self.assertIn('database', result.failure or '')

    def test_part_of_an_impossible_answer_is_recorded(self) -> None:
        provider = Known(lambda start, end: [
            made.factor(0, 1), made.factor(1, 2, unit='lb/MWh')])
        (result,) = self.fetch(provider)
        self.assertIn('cannot be: unit', result.failure or '')
        self.assertEqual([], self.kept())

    def test_a_value_of_zero_is_a_hole(self) -> None:
        (result,) = self.fetch(self.says('0'))
        self.assertEqual(8, result.stored)
        again = self.says('0')
        self.fetch(again)
        self.assertEqual([], again.asked)
        self.assertEqual({'0'}, {value for _, _, value, *_ in self.kept()})

    def test_actual_figures_do_not_replace_forecasts(self) -> None:
        self.fetch(self.says('200', quality=factors.FORECAST))
        self.fetch(self.says('300'))
        spans = factor_times.which(
            [one.factor for one in self.database.read(
                factor_store.as_of, 0, made.START_NS * 2, zone='DE')],
            made.START_NS, made.START_NS + 8 * HOUR_NS,
            carrier=factors.ELECTRICITY, basis=factors.LIFECYCLE,
            method=factors.LOCATION)
        self.assertEqual(['300'] * 8, [str(one.factor.value)
                                       for one in spans])
        (result,) = self.fetch(
            self.says('250', quality=factors.FORECAST, name='other'))
        self.assertEqual((0, 0), (result.stored, result.of_no_use))

    def test_a_time_that_is_not_over_has_an_actual_value(self) -> None:
        (result,) = self.fetch(self.says(), end=8, now=5)
        self.assertEqual(5, result.stored)
        (result,) = self.fetch(self.says(quality=factors.FORECAST), end=8,
                               now=5)
        self.assertEqual(3, result.stored)

    def test_an_operators_figure_is_overruled_or_an_error(self) -> None:
        self.record(made.factor(2, 3, '50'))
        self.record(made.factor(5, 6, quality=factors.FORECAST))
        provider = Known(lambda start, end: self.says()._answer(0, 8),
                         span=8)
        (result,) = self.fetch(provider)
        self.assertEqual((7, 1, None), (result.stored, result.of_no_use,
                                        result.failure))
        self.assertIn((2, 3, '50', 'actual', 'operator'), self.kept())

    def test_a_jump_is_recorded(self) -> None:
        provider = Known(lambda start, end: [
            made.factor(hour, hour + 1, '300000' if hour == 2 else '300',
                        provider='energy-charts')
            for hour in range(start, end)], span=8)
        (result,) = self.fetch(provider)
        self.assertEqual(7, result.stored)
        ((one, reason),) = result.held_back
        self.assertEqual(made.START_NS + 2 * HOUR_NS, one.start_ns)
        self.assertIn('300000 g/kWh', reason)
        # It is true after all: by hand, and nobody asks again.
        self.record(made.factor(2, 3, '300000'))
        (result,) = self.fetch(provider)
        self.assertEqual([], result.held_back)
        self.assertIn((2, 3, '300000', 'actual', 'operator'), self.kept())

    def test_an_answer_in_another_unit_is_recorded(self) -> None:
        """All of it is a thousandth, so that it agrees with itself."""
        self.record(made.factor(-8760, -1, '363', basis=factors.DIRECT,
                                quality=factors.FALLBACK))
        (result,) = self.fetch(self.says('0.363'))
        self.assertEqual((0, 8), (result.stored, len(result.held_back)))
        (result,) = self.fetch(self.says('363000', name='other'))
        self.assertEqual((0, 8), (result.stored, len(result.held_back)))
        self.assertEqual(1, len(self.kept()))
