# SPDX-License-Identifier: Apache-2.0
"""A key figure divides amounts of the same time."""

from __future__ import annotations

import fractions

from energy_accounting import units
from energy_accounting.facility import (
    editions,
    figures,
    inputs,
    site_figures,
    site_inputs,
)
from energy_accounting.ledger import sites
from tests.unit.facility import test_supplies

FIRST = test_supplies.FIRST
QUARTERS = 40


class HoleTest(test_supplies.SiteCase):

    def figure(self, name: str, minimum: str = '0.95',
               ) -> site_figures.Found:
        """The first of a name over all quarters."""
        period = inputs.Period(units.bucket_start(FIRST),
                               units.bucket_start(FIRST + QUARTERS))
        with self.database.reader() as connection:
            known = site_inputs.read(
                connection, sites.found(connection, 'default'), period,
                self.now_ns)
        return next(one for one in site_figures.table(figures.Scope(
            'default', period, units.UTC, editions.chosen('iso'), 'a test',
            fractions.Fraction(minimum)), known)
            if one.figure.figure == name)

    def site(self, kwh: str, quarters: int) -> None:
        """A site meter that ends too early; the IT's goes on."""
        self.meter('dc_total', [kwh] * quarters)
        self.meter('it_ups_out', [10] * QUARTERS)

    def test_a_hole_of_the_site_meter_lowers_the_pue(self) -> None:
        self.site('12', 38)
        for name, value in (('PUE', fractions.Fraction(6, 5)),
                            ('DCiE', fractions.Fraction(5, 6))):
            found = self.figure(name).figure
            self.assertEqual((value, fractions.Fraction(38, 40)),
                             (found.exact, found.coverage))

    def test_a_hole_makes_a_meter_assignment_error(self) -> None:
        self.site('10.2', 38)
        self.assertEqual(fractions.Fraction(102, 100),
                         self.figure('PUE').figure.exact)

    def test_half_the_factors_halve_the_cue(self) -> None:
        self.site('12', 38)
        self.factor('400', last=FIRST + 20)
        found = self.figure('CUE', '0.5').figure
        self.assertEqual(
            (fractions.Fraction(48, 100), fractions.Fraction(1, 2)),
            (found.exact, found.coverage))

    def test_the_suns_energy_counts_without_that_of_the_grid(self) -> None:
        self.site('9', 38)
        self.meter('pv_onsite', [3] * QUARTERS)
        self.assertEqual(fractions.Fraction(6, 5),
                         self.figure('PUE').figure.exact)

    def test_two_holes_pass_for_the_larger_one(self) -> None:
        self.meter('dc_total', [12] * 38)
        self.meter('it_ups_out', [None] * 2 + [10] * 38)
        found = self.figure('PUE')
        self.assertIsNone(found.figure.exact)
        self.assertIn('dc_total and it_ups_out together has data for '
                      '90.00 %', found.why)
        self.assertEqual(fractions.Fraction(6, 5),
                         self.figure('PUE', '0.9').figure.exact)
