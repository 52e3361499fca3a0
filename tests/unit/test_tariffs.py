# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import decimal

from hypothesis import given
from hypothesis import strategies as st
from oslotest import base

from energy_accounting import tariffs, units


class RoundingTest(base.BaseTestCase):

    def test_many_small_lines_are_rounded_away(self) -> None:
        # A thousand lines of 0.4 cent are 4.00, not nothing.
        total, lines = tariffs.rounded([tariffs.ONE // 250] * 1000, 2)
        self.assertEqual((400, 400), (total, sum(lines)))
        self.assertEqual([1] * 400 + [0] * 600, lines)

    def test_half_a_cent_is_rounded_down(self) -> None:
        self.assertEqual((1, [1]), tariffs.rounded([tariffs.ONE // 200], 2))

    @given(st.lists(st.integers(-10 ** 28, 10 ** 28), max_size=40),
           st.sampled_from([0, 2, 3]))
    def test_lines_do_not_sum_to_the_total(self, exact: list[int],
                                           digits: int) -> None:
        total, lines = tariffs.rounded(exact, digits)
        self.assertEqual(total, sum(lines))
        self.assertEqual(total, tariffs.half_up(
            sum(exact) * 10 ** digits, tariffs.ONE))
        for one, line in zip(exact, lines, strict=True):
            self.assertLess(abs(one * 10 ** digits - line * tariffs.ONE),
                            tariffs.ONE)


class PricesTest(base.BaseTestCase):

    def made(self, name: str, price: str, **more: object) -> tariffs.Tariff:
        return tariffs.Tariff(
            name, 0, None, 'EUR', tariffs.IT, decimal.Decimal(price),
            'contract', **more)  # type: ignore[arg-type]

    def test_who_is_further_away_counts(self) -> None:
        known = [self.made('all', '1'), self.made('site', '2', site='b'),
                 self.made('domain', '3', domain_id='d'),
                 self.made('project', '4', project_id='p')]
        for count, expected in ((4, '4'), (3, '3'), (2, '2'), (1, '1')):
            prices = tariffs.Prices(known[:count], 'p', 'd', 0, 1)
            (price,) = prices.at('b')
            assert price is not None
            self.assertEqual(int(expected) * 10 ** 12, price.per_kwh)
        self.assertFalse(tariffs.Prices(known[2:], 'x', None, 0, 1))

    def test_a_window_is_in_another_zone(self) -> None:
        one = self.made('w', '1', time_zone='Europe/Berlin', windows=(
            tariffs.Window(('sun',), 0, 96, decimal.Decimal(2)),))
        # Sunday the 25th has 25 hours in Berlin.
        start = units.bucket_of(1_792_792_800 * units.NS_PER_S)
        found = tariffs.Prices([one], 'p', None, start, start + 3 * 96)
        self.assertEqual(100, sum(
            price is not None and price.per_kwh == 2 * 10 ** 12
            for price in found.at('x')))
