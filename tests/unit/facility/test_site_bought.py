# SPDX-License-Identifier: Apache-2.0
"""The REF of a site is that of its usage rows, and says what it lacks."""

from __future__ import annotations

import decimal
import fractions
from typing import Any

from energy_accounting import units
from energy_accounting.facility import (
    contract_store,
    contracts,
    editions,
    figures,
    inputs,
    site_figures,
    site_inputs,
    supplies,
)
from energy_accounting.ledger import sites
from tests.unit.facility import test_supplies

FIRST = test_supplies.FIRST
QUARTERS = 40
at = test_supplies.at


class BoughtTest(test_supplies.SiteCase):

    def bought(self, share: str, instrument: str = 'go',
               first: int = FIRST, last: int = FIRST + QUARTERS,
               basis: str = 'lifecycle', evidence: str = 'a contract',
               retired: bool = True) -> None:
        with self.database.writer() as connection:
            contract_store.record(connection, contracts.Contract(
                'default', instrument, at(first), at(last),
                decimal.Decimal(share), decimal.Decimal(0), basis,
                renewable=retired, retired=retired, evidence=evidence),
                self.now_ns, test_supplies.OPERATOR)

    def meters(self, grid: Any, **others: Any) -> None:
        for role, kwh in {'dc_total': grid, 'it_ups_out': 10,
                          **others}.items():
            self.meter(role, [kwh] * QUARTERS)

    def found(self, name: str, minimum: str = '0.95') -> site_figures.Found:
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

    def both(self) -> fractions.Fraction | None:
        """The REF, which is that of the rows."""
        with self.database.reader() as connection:
            (site,) = supplies.sites(connection, self.now_ns)
            metered = supplies.metered_of(
                connection, site, range(FIRST, FIRST + QUARTERS),
                self.now_ns)
            assert metered is not None
        rows = self.known(QUARTERS)
        ref = self.found('REF').figure.exact
        if all(one.renewable is not None for one in rows):
            self.assertEqual(ref, sum(
                metered.facility_uj[bucket] * fractions.Fraction(
                    one.renewable.numerator, one.renewable.denominator)
                for bucket, one in enumerate(rows, FIRST)
                if one.renewable is not None) / sum(
                    metered.facility_uj.values()))
        else:
            self.assertIsNone(ref)
        return ref

    def test_what_was_handed_on_is_renewable_here(self) -> None:
        self.meters(20, grid_export=8)
        self.bought('0.5')
        self.assertEqual(fractions.Fraction(1, 2), self.both())

    def test_a_plant_that_handed_on_all_is_no_figure(self) -> None:
        self.meters(10, pv_onsite=4, grid_export=6)
        self.bought('0.5')
        self.bought('1', 'onsite')
        # 8 of the grid are left, and none of the sun.
        self.assertEqual(fractions.Fraction(1, 2), self.both())

    def test_a_plant_of_which_nobody_speaks_is_not_renewable(self) -> None:
        """Nobody knows: 0 would be a figure."""
        self.meters(6, pv_onsite=4)
        self.assertIsNone(self.both())
        self.assertIn('for what its plant makes, one of instrument onsite',
                      self.found('REF').why)
        self.bought('1', 'onsite')
        self.assertEqual(fractions.Fraction(2, 5), self.both())

    def test_time_without_a_contract_is_not_renewable(self) -> None:
        self.meters(12)
        self.bought('0.6', first=FIRST + 10)
        self.assertIsNone(self.both())
        why = self.found('REF').why
        self.assertIn('renewable has data for 75.00 %', why)
        self.assertIn('no contract says what was bought: record one, be it '
                      'of energy that is not renewable', why)
        self.assertEqual(fractions.Fraction(3, 5),
                         self.found('REF', '0.5').figure.exact)
        self.bought('0.1', 'tariff', retired=False, last=FIRST + 10)
        self.assertEqual(fractions.Fraction(9, 20), self.both())

    def test_a_purchase_of_both_bases_counts_twice(self) -> None:
        self.meters(12)
        self.bought('0.5', last=FIRST + 20)
        self.bought('0.5', first=FIRST + 20)
        self.bought('0.5', basis='direct', evidence='in other words')
        self.assertEqual(fractions.Fraction(1, 2), self.both())

    def test_contradicting_contracts_make_a_figure(self) -> None:
        self.bought('0.5', 'onsite')
        self.bought('0.5', 'onsite', retired=False)
        # They were shares of the grid, until a meter came.
        self.meters(6, pv_onsite=4)
        self.assertIsNone(self.both())
        self.assertIn('contradict each other', self.found('REF').why)

    def test_a_carrier_is_missed_that_has_a_factor(self) -> None:
        self.meters(12, pv_onsite=1)
        self.meter('dc_generator', [1] * QUARTERS, unit='l', medium='diesel')
        self.factor('400')
        self.assertIn('no factors of diesel on basis lifecycle',
                      self.found('CUE').why)
        self.factor('266', carrier='diesel')
        cue = self.found('CUE')
        self.assertIn('0 g/kWh', '; '.join(cue.notes))
        self.factor('40', carrier='solar')
        self.assertNotIn('0 g/kWh', '; '.join(self.found('CUE').notes))
