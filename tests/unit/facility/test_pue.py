# SPDX-License-Identifier: Apache-2.0
"""Which PUE counts where the meters say more or less."""

from __future__ import annotations

import datetime
import fractions
import unittest
import zoneinfo

from hypothesis import given
from hypothesis import strategies as st

from energy_accounting import units
from energy_accounting.facility import grains, pue, supply

BERLIN = zoneinfo.ZoneInfo('Europe/Berlin')


def bucket(year: int, month: int, day: int = 1, hour: int = 0) -> int:
    """The bucket in which a local hour begins."""
    return units.bucket_of(units.wall_ns(datetime.datetime(
        year, month, day, hour, tzinfo=BERLIN)))


def nobody(bucket: int) -> None:
    return None


def constant(first: int, last: int, energy_uj: int) -> dict[int, int]:
    return dict.fromkeys(range(first, last), energy_uj)


DAY = range(bucket(2026, 10, 25), bucket(2026, 10, 26))


class ByBucketTest(unittest.TestCase):

    def one(self, at: int, facility_uj: dict[int, int],
            it_uj: dict[int, int], said: fractions.Fraction | None = None,
            grains: dict[int, grains.Grain] | None = None,
            ) -> pue.Pue | None:
        found, = pue.by_bucket(
            pue.Measured(facility_uj, it_uj, grains or {}),
            lambda bucket: said, BERLIN, range(at, at + 1))
        return found

    def test_a_bucket_that_was_metered_has_not_its_own_pue(self) -> None:
        at = DAY[5]
        self.assertEqual(
            (fractions.Fraction(12, 10), supply.INTERVAL),
            self.one(at, {**constant(DAY[0], DAY[-1] + 1, 20), at: 12},
                     constant(DAY[0], DAY[-1] + 1, 10)))

    def test_a_day_of_25_hours_is_cut_to_24(self) -> None:
        self.assertEqual(100, len(DAY))
        at = DAY[7]
        facility_uj = constant(DAY[0], DAY[-1] + 1, 15)
        # 96 of 100 are known: enough of this day, whose last hour differs.
        facility_uj |= constant(DAY[-4], DAY[-1] + 1, 39)
        for hole in (at, *DAY[20:23]):
            del facility_uj[hole]
        self.assertEqual(
            (fractions.Fraction(92 * 15 + 4 * 39, 960), supply.INTERIM),
            self.one(at, facility_uj, constant(DAY[0], DAY[-1] + 1, 10)))

    def test_ups_on_battery_makes_a_pue_below_one(self) -> None:
        at = DAY[50]
        facility_uj = {**constant(DAY[0], DAY[-1] + 1, 11), at: 9}
        self.assertEqual(
            (fractions.Fraction(99 * 11 + 9, 1000), supply.INTERIM),
            self.one(at, facility_uj, constant(DAY[0], DAY[-1] + 1, 10)))

    def test_a_month_counts_though_a_day_of_it_is_known(self) -> None:
        first, last = bucket(2026, 10), bucket(2026, 11)
        facility_uj = constant(first, last, 14)
        for hole in range(DAY[0] + 10, DAY[0] + 40):
            del facility_uj[hole]
        self.assertEqual(
            (fractions.Fraction(14, 10), supply.INTERIM),
            self.one(DAY[0] + 11, facility_uj, constant(first, last, 10)))

    def test_the_year_before_begins_in_another_month(self) -> None:
        first, last = bucket(2025, 10), bucket(2026, 10)
        facility_uj = constant(first, last, 13)
        facility_uj[first] = 13 + 10 ** 6
        facility_uj[first - 1] = 10 ** 12
        it_uj = constant(first - 1, last, 10)
        self.assertEqual(
            (fractions.Fraction(13 * (last - first) + 10 ** 6,
                                10 * (last - first)), supply.YEAR),
            self.one(DAY[0], facility_uj, it_uj))
        self.assertEqual(first, pue.reach(DAY, BERLIN)[0])
        self.assertEqual(bucket(2026, 11) - 1, pue.reach(DAY, BERLIN)[-1])

    def test_half_a_year_passes_for_a_year(self) -> None:
        first, last = bucket(2026, 4), bucket(2026, 10)
        said = fractions.Fraction(3, 2)
        self.assertEqual(
            (said, supply.CONFIGURED),
            self.one(DAY[0], constant(first, last, 13),
                     constant(first, last, 10), said))

    def test_nobody_says_a_pue_and_there_is_one(self) -> None:
        self.assertIsNone(self.one(DAY[0], {}, {}))
        self.assertIsNone(self.one(DAY[0], {DAY[0]: 5}, {DAY[0]: 0}))
        self.assertIsNone(self.one(DAY[0], {DAY[0]: 5}, {}))

    @given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)),
                    min_size=100, max_size=100))
    def test_a_pue_is_below_one(self, energies):
        found = pue.by_bucket(pue.Measured(
            {at: site_uj for at, (site_uj, _) in zip(DAY, energies,
                                                     strict=True)},
            {at: used_uj for at, (_, used_uj) in zip(DAY, energies,
                                                     strict=True)}),
            nobody, BERLIN, DAY)
        for one, (facility_uj, it_uj) in zip(found, energies, strict=True):
            if one is None:
                self.assertTrue(not it_uj or facility_uj < it_uj)
            else:
                value = fractions.Fraction(one.value.numerator,
                                           one.value.denominator)
                self.assertGreaterEqual(value, 1)
                if one.kind == supply.INTERVAL:
                    self.assertEqual(value * it_uj, facility_uj)
