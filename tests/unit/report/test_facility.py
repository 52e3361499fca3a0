# SPDX-License-Identifier: Apache-2.0
"""What a site makes of energy, added up."""

from __future__ import annotations

import decimal
import fractions
import unittest
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from energy_accounting import units
from energy_accounting.facility import carbon, supply
from energy_accounting.ledger import by_site
from energy_accounting.report import facility

KWH_UJ = 36 * 10 ** 11
AMOUNTS = st.lists(st.integers(0, 10 ** 13), min_size=1, max_size=8)


def supplied(pue: str = '1.36', g_per_kwh: int = 363, **changes: Any,
             ) -> supply.Supply:
    given: dict[str, Any] = {
        'pue': fractions.Fraction(pue), 'pue_kind': supply.CONFIGURED,
        'location': g_per_kwh * carbon.NG_PER_UJ,
        'factor_quality': 'actual', **changes}
    return supply.Supply(**given)


def total(*used: tuple[int, supply.Supply]) -> facility.Total:
    found = facility.totals(
        [by_site.Energy((0, 1, 1), 1, bucket, it_uj)
         for bucket, (it_uj, _) in enumerate(used, 5)],
        {1: [here for _, here in used]}, 5)
    return found[0, 1, 1]


def columns(*used: tuple[int, supply.Supply]) -> dict[str, Any]:
    found = total(*used)
    return facility.columns(found) | facility.later_columns(found)


class ColumnsTest(unittest.TestCase):

    def test_the_published_product_comes_out_otherwise(self) -> None:
        """Germany 2024, 0.363 kg/kWh, PUE 1.36: 100 kWh are 49.368 kg."""
        row = columns((100 * KWH_UJ, supplied()))
        self.assertEqual('136.000000000000000', row['facility_kwh'])
        self.assertEqual('49.368000000000', row['co2_location_kg'])
        self.assertEqual('0.493680000', row['cue_kg_per_kwh'])
        self.assertEqual(('1.360000000', 'configured', 'actual'), (
            row['pue'], row['pue_kind'], row['factor_quality']))
        self.assertIsNone(row['co2_market_kg'])

    def test_a_mean_factor_is_used_on_the_sum(self) -> None:
        row = columns((KWH_UJ, supplied('1', 100)),
                      (3 * KWH_UJ, supplied('2', 500)))
        self.assertEqual(decimal.Decimal('0.1') + 6 * decimal.Decimal('0.5'),
                         decimal.Decimal(row['co2_location_kg']))
        self.assertEqual('1.750000000', row['pue'])

    def test_kinds_and_qualities_are_blurred(self) -> None:
        row = columns((1, supplied()), (1, supplied(
            pue_kind='interval', factor_quality='forecast')))
        self.assertEqual(('mixed', 'mixed'), (
            row['pue_kind'], row['factor_quality']))

    def test_part_of_a_sum_passes_for_the_whole(self) -> None:
        row = columns((KWH_UJ, supplied()), (1, supply.UNKNOWN))
        self.assertEqual({None}, {row[name] for name in (
            'facility_kwh', 'pue', 'pue_kind', 'co2_location_kg',
            'co2_market_kg', 'cue_kg_per_kwh', 'water_l', 'renewable_share',
            'factor_quality')})

    def test_a_carbon_factor_that_is_missing_hides_the_energy(self) -> None:
        row = columns((KWH_UJ, supplied()), (
            KWH_UJ, supplied(location=None, factor_quality=None)))
        self.assertEqual('2.720000000000000', row['facility_kwh'])
        self.assertIsNone(row['co2_location_kg'])
        self.assertIsNone(row['factor_quality'])

    def test_a_factor_of_zero_is_unknown(self) -> None:
        row = columns((KWH_UJ, supplied(g_per_kwh=0)))
        self.assertEqual(0, decimal.Decimal(row['co2_location_kg']))
        self.assertEqual('0.000000000', row['cue_kg_per_kwh'])

    def test_a_row_without_energy_divides_by_zero(self) -> None:
        row = columns((0, supplied()))
        self.assertEqual(0, units.microjoules(row['facility_kwh']))
        self.assertIsNone(row['pue'])
        self.assertIsNone(row['cue_kg_per_kwh'])
        self.assertIsNone(row['renewable_share'])

    def test_water_and_the_renewable_share_are_lost(self) -> None:
        row = columns((KWH_UJ, supplied(
            water=fractions.Fraction(500_000, KWH_UJ),
            renewable=fractions.Fraction(1, 3))))
        self.assertEqual('0.500000', row['water_l'])
        self.assertEqual('0.3333', row['renewable_share'])

    def test_a_site_of_which_nothing_is_known_counts_as_another(
            self) -> None:
        found = facility.totals([by_site.Energy((0,), 2, 5, KWH_UJ)],
                                {1: [supplied()]}, 5)
        self.assertIsNone(found[0,].facility_uj)

    @given(AMOUNTS, AMOUNTS, st.fractions(1, 3), st.integers(0, 1000))
    def test_a_month_is_not_the_sum_of_its_days(self, one, other, pue, grams):
        here = supplied(str(pue), grams)
        whole = total(*((amount, here) for amount in one + other))
        parts = [total(*((amount, here) for amount in amounts))
                 for amounts in (one, other)]
        for name in ('facility_uj', 'location_ng'):
            self.assertEqual(getattr(whole, name), sum(
                getattr(part, name) for part in parts))

    @given(AMOUNTS, st.fractions(1, 3))
    def test_tenants_get_more_than_the_site_took_in(self, amounts, pue):
        site_uj = int(sum(amounts) * pue)
        shared = [total((amount, supplied(str(pue)))).facility_uj
                  for amount in amounts]
        self.assertLessEqual(sum(shared), site_uj)
        self.assertGreater(sum(shared) + len(amounts), site_uj - 1)
