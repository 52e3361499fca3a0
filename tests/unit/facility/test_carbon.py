# SPDX-License-Identifier: Apache-2.0
"""How much CO2 a site's energy was."""

from __future__ import annotations

import fractions
import unittest

from energy_accounting.facility import carbon

FACTORS = {'electricity': carbon.Intensity(fractions.Fraction(363), 'actual'),
           'diesel': carbon.Intensity(fractions.Fraction(266), 'fallback'),
           'onsite': carbon.Intensity(fractions.Fraction(0), 'estimated')}


class ByBucketTest(unittest.TestCase):

    def one(self, **carriers: dict[int, int]) -> carbon.Intensity | None:
        found, = carbon.by_bucket(
            carriers, lambda carrier: {
                7: FACTORS[carrier]} if carrier in FACTORS else {}, [7])
        return found

    def test_a_site_whose_grid_is_not_metered_has_another_factor(
            self) -> None:
        for carriers in ({}, {'electricity': {}}, {'electricity': {7: 5}}):
            self.assertEqual(FACTORS['electricity'], self.one(**carriers))

    def test_carriers_are_not_weighted_by_their_energy(self) -> None:
        self.assertEqual(
            (fractions.Fraction(3 * 363 + 266, 4), 'fallback'),
            self.one(electricity={7: 3}, diesel={7: 1}))

    def test_what_was_not_used_weighs_or_spoils_the_quality(self) -> None:
        self.assertEqual(FACTORS['electricity'], self.one(
            electricity={7: 3}, diesel={7: 0}, unheard_of={7: 0}))

    def test_zero_passes_for_unknown(self) -> None:
        self.assertEqual((fractions.Fraction(0), 'estimated'),
                         self.one(onsite={7: 3}))

    def test_what_is_not_metered_yet_hides_the_grid_or_is_no_estimate(
            self) -> None:
        self.assertEqual((fractions.Fraction(363), 'estimated'), self.one(
            electricity={7: 3}, diesel={8: 1}))
        self.assertEqual([None], carbon.by_bucket(
            {'electricity': {7: 3}, 'diesel': {}},
            lambda carrier: {}, [7]))

    def test_an_unknown_carrier_is_left_out(self) -> None:
        self.assertIsNone(self.one(electricity={7: 3}, cooling={7: 1}))

    def test_a_quarter_on_batteries_has_no_intensity_or_anothers(
            self) -> None:
        self.assertEqual(FACTORS['electricity'], self.one(
            electricity={7: 0}, diesel={7: 0}))
        # What went out is not what was used here.
        self.assertIsNone(self.one(electricity={7: -3}, diesel={7: 3}))

    def test_a_gram_per_kwh_is_another_amount_per_microjoule(self) -> None:
        # 363 g/kWh of 3.6e12 uJ are 363e9 ng.
        self.assertEqual(363 * 10 ** 9,
                         36 * 10 ** 11 * 363 * carbon.NG_PER_UJ)
