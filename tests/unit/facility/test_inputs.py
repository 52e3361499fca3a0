# SPDX-License-Identifier: Apache-2.0
"""Amounts that are added or compared are of the same time."""

from __future__ import annotations

import fractions
import unittest
from collections.abc import Sequence

from energy_accounting import units
from energy_accounting.facility import inputs

FIRST = 1_900_000
START_NS = FIRST * units.BUCKET_NS
MINUTE_NS = 60 * units.NS_PER_S
PERIOD = inputs.Period(units.bucket_start(FIRST),
                       units.bucket_start(FIRST + 4))


def amount(role: str, *minutes: tuple[int, int]) -> inputs.Amount:
    """One that is measured in some minutes: a microjoule in each."""
    covered = [(START_NS + since * MINUTE_NS, START_NS + until * MINUTE_NS)
               for since, until in minutes]

    def within(spans: inputs.Spans) -> tuple[int, fractions.Fraction]:
        return sum(max(0, min(until, last) - max(since, first))
                   for since, until in spans
                   for first, last in covered) // MINUTE_NS, (
                       fractions.Fraction(0))

    return inputs.Amount(
        role, within(covered)[0], PERIOD, (role,),
        inputs.share_of(PERIOD, covered),
        source=inputs.Source(covered, within))


def values(given: Sequence[inputs.Amount]) -> list[object]:
    return [(one.value, one.coverage) for one in given]


class TogetherTest(unittest.TestCase):

    def test_part_of_a_quarter_is_compared(self) -> None:
        """Factors count by whole ones."""
        half = fractions.Fraction(1, 2)
        self.assertEqual(
            [(30, half), (30, half)], values(inputs.together([
                amount('dc_total', (0, 60)),
                amount('it_ups_out', (10, 50))])))

    def test_what_needs_no_cut_is_cut_to_whole_quarters(self) -> None:
        share = fractions.Fraction(40, 60)
        self.assertEqual(
            [(40, share), (40, share)], values(inputs.together([
                amount('dc_total', (10, 50)),
                amount('it_ups_out', (10, 50))])))

    def test_a_time_without_a_whole_quarter_is_one(self) -> None:
        self.assertEqual([(0, 0), (0, 0)], values(inputs.together([
            amount('dc_total', (0, 10)), amount('it_ups_out', (5, 60))])))


class AddTest(unittest.TestCase):

    def test_a_hole_of_the_second_supply_is_energy_of_the_first(
            self) -> None:
        for supplies in ((amount('dc_total', (0, 60)),
                          amount('pv_onsite', (0, 15), (30, 60))),
                         (amount('dc_total', (0, 15), (30, 60)),
                          amount('pv_onsite', (0, 60)))):
            found = inputs.e_dc(supplies)
            assert isinstance(found, inputs.Amount)
            self.assertEqual((90, fractions.Fraction(3, 4)),
                             (found.value, found.coverage))
            assert found.source is not None
            # And what is taken of it later is of the same time.
            self.assertEqual(
                fractions.Fraction(3, 4),
                inputs.share_of(PERIOD, found.source.covered))
