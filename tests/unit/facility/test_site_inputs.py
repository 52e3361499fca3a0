# SPDX-License-Identifier: Apache-2.0
"""A key figure divides amounts of the same time."""

from __future__ import annotations

import fractions

from energy_accounting import units
from energy_accounting.facility import (
    batches,
    editions,
    figures,
    inputs,
    meters,
    site_figures,
    site_inputs,
)
from energy_accounting.ledger import sites
from tests.unit.facility import test_supplies

FIRST = test_supplies.FIRST
at = test_supplies.at
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

    def test_half_a_site_meter_is_a_meter_assignment_error(self) -> None:
        """A hole is to be filled, and no role to be changed."""
        self.site('12', 20)
        for name in ('PUE', 'DCiE', 'ERE'):
            found = self.figure(name)
            self.assertIn(f'{name}: dc_total has data for 50.00 %',
                          found.why)
            self.assertNotIn('below 1', found.why)

    def test_a_meter_without_any_data_read_zero(self) -> None:
        self.meter('dc_total', [])
        self.meter('it_ups_out', [10] * QUARTERS)
        for minimum in ('0.95', '0'):
            found = self.figure('PUE', minimum)
            self.assertIn('dc_total has data for 0.00 %', found.why)
            self.assertNotIn('kWh', found.why)

    def test_two_halves_that_never_meet_are_an_idle_site(self) -> None:
        self.meter('dc_total', [12] * 20)
        self.meter('it_ups_out', [None] * 20 + [10] * 20)
        found = self.figure('PUE', '0')
        self.assertIn('dc_total and it_ups_out together has data for '
                      '0.00 %', found.why)
        self.assertNotIn('is 0 in the period', found.why)

    def test_what_is_given_away_makes_more_unsure_than_there_is(
            self) -> None:
        self.meter('dc_total', [10] * QUARTERS)
        self.meter('dc_generator', [1] * QUARTERS, unit='l', medium='diesel')
        self.meter('pv_onsite', [1] * QUARTERS)
        self.meter('grid_export', [5] * QUARTERS)
        self.meter('it_ups_out', [5] * QUARTERS)
        for value, changes in (
                ('400', {'quality': 'estimated'}), ('40', {
                    'carrier': 'solar'}),
                ('266', {'carrier': 'diesel', 'quality': 'estimated'})):
            self.factor(value, **changes)
        found = self.figure('CUE').figure
        # 9.9 of Diesel; what was given away was the sun's and 4 of the 10 of
        # the grid.
        self.assertEqual(
            ((6 * 400 + fractions.Fraction('9.9') * 266) / 5000, 1),
            (found.exact, found.estimated))

    def test_a_site_that_took_in_less_than_nothing_is_a_traceback(
            self) -> None:
        self.factor('400')
        with self.database.writer() as connection:
            for name, kwh in (('a', '2'), ('b', '5')):
                meters.create(connection, self.by(), name, 'default', {
                    'medium': 'electricity', 'role': 'cooling_el',
                    'unit': 'kWh', 'kind': 'interval'})
                batches.add(connection, self.by(), name, [batches.Given(
                    at(FIRST + place + 1), kwh, start_ns=at(FIRST + place))
                    for place in range(QUARTERS)], 'api')
            meters.create(connection, self.by(), 'a - b', 'default', {
                'medium': 'electricity', 'role': 'dc_total', 'unit': 'kWh',
                'kind': 'virtual', 'terms': {'a': 1, 'b': -1}})
        self.meter('it_ups_out', [1] * QUARTERS)
        found = self.figure('CUE')
        self.assertIsNone(found.figure.exact)
        self.assertIn('co2_location: dc_total: -120 kWh is negative',
                      found.why)

    def test_a_supply_that_came_or_went_is_a_hole_of_the_site(self) -> None:
        """Before it came, and after, it gave nothing."""
        self.meter('dc_total', [12] * QUARTERS)
        self.meter('pv_onsite', [2] * 20, first=FIRST + 20,
                   installed_ns=at(FIRST + 20))
        self.meter('dc_generator', ['0.1'] * 30, unit='l', medium='diesel',
                   removed_ns=at(FIRST + 30))
        self.meter('it_ups_out', [10] * QUARTERS)
        found = self.figure('PUE')
        self.assertEqual(
            ((12 * 40 + 2 * 20 + fractions.Fraction('0.99') * 30) / 400, 1),
            (found.figure.exact, found.figure.coverage), found.why)

    def test_a_site_whose_meter_came_later_used_nothing_before(self) -> None:
        self.meter('dc_total', [12] * 20, first=FIRST + 20,
                   installed_ns=at(FIRST + 20))
        self.meter('pv_onsite', [2] * QUARTERS)
        self.meter('it_ups_out', [10] * QUARTERS)
        found = self.figure('PUE', '0.5').figure
        self.assertEqual((fractions.Fraction(14, 10),
                          fractions.Fraction(1, 2)),
                         (found.exact, found.coverage))

    def halls(self) -> None:
        """The IT of a site is the sum of two halls, one of them new."""
        self.meter('dc_total', [18] * QUARTERS)
        with self.database.writer() as connection:
            for name, first in (('old', 0), ('new', 20)):
                meters.create(connection, self.by(), name, 'default', {
                    'medium': 'electricity', 'role': 'it_pdu_out',
                    'unit': 'kWh', 'kind': 'interval', 'section': name,
                    'installed_ns': at(FIRST + first) if first else None})
                batches.add(connection, self.by(), name, [batches.Given(
                    at(FIRST + place + 1), '6', start_ns=at(FIRST + place))
                    for place in range(first, QUARTERS)], 'api')
            meters.create(connection, self.by(), 'halls', 'default', {
                'medium': 'electricity', 'role': 'it_pdu_out', 'unit': 'kWh',
                'kind': 'virtual', 'terms': {'old': 1, 'new': 1}})

    def test_a_new_hall_takes_the_past_of_the_sum_it_is_in(self) -> None:
        self.halls()
        found = self.figure('PUE')
        self.assertEqual((fractions.Fraction(18 * 40, 6 * 60), 1),
                         (found.figure.exact, found.figure.coverage),
                         found.why)
        self.assertEqual([], [note for note in found.notes
                              if 'no readings' in note])
        self.assertEqual([3] * 20 + [fractions.Fraction(3, 2)] * 20,
                         [one.pue for one in self.known(QUARTERS)])

    def test_a_meter_that_takes_anothers_place_loses_the_quarter(
            self) -> None:
        swap_ns = at(FIRST + 1) + 7 * 60 * units.NS_PER_S
        counters = (
            ('old', 'removed_ns', {at(FIRST): 0, at(FIRST + 1): 12,
                                   swap_ns: 18}),
            ('new', 'installed_ns', {swap_ns: 0, at(FIRST + 2): 7,
                                     at(FIRST + 40): 7 + 38 * 12}))
        with self.database.writer() as connection:
            for name, field, values in counters:
                meters.create(connection, self.by(), name, 'default', {
                    'medium': 'electricity', 'role': 'dc_total',
                    'unit': 'kWh', 'kind': 'cumulative', field: swap_ns})
                batches.add(connection, self.by(), name, [
                    batches.Given(at_ns, str(value))
                    for at_ns, value in values.items()], 'api')
        self.meter('it_ups_out', [10] * QUARTERS)
        found = self.figure('PUE').figure
        self.assertEqual((fractions.Fraction(40 * 12 + 1, 400), 1),
                         (found.exact, found.coverage))
        self.assertEqual([fractions.Fraction(12, 10),
                          fractions.Fraction(13, 10)],
                         [one.pue for one in self.known(2)])
