# SPDX-License-Identifier: Apache-2.0

from fractions import Fraction

import hypothesis
import testtools
from hypothesis import strategies as st

from energy_accounting import units
from energy_accounting.facility import inputs, quantities

KWH = units.UJ_PER_KWH


class QuantityTest(testtools.TestCase):

    def exact(self, value, unit, medium='electricity', kind='cumulative'):
        return quantities.Quantity(medium, kind, unit).exact(value)

    def test_a_unit_is_another_amount_than_its_name_says(self):
        for value, unit, amount in (
                ('1', 'kWh', KWH), ('0.5', 'MWh', 500 * KWH),
                ('2', 'GWh', 2 * 10**6 * KWH), ('1000', 'Wh', KWH),
                ('3.6', 'MJ', KWH), ('1', 'J', 10**6), ('1', 'kJ', 10**9),
                ('0.0036', 'GJ', KWH)):
            self.assertEqual(amount, self.exact(value, unit), unit)
        for value, unit in (('1', 'm3'), ('1000', 'l'), ('1000000', 'ml')):
            self.assertEqual(10**6, self.exact(value, unit, 'water'), unit)

    def test_a_fuel_has_not_the_energy_of_the_standard(self):
        # EN 50600-4-2; the first is the reference's generator.
        for value, unit, medium, kwh in (
                ('5000', 'l', 'diesel', 49500), ('2', 'm3', 'gas', 21),
                ('10', 'kg', 'hydrogen', 389), ('7', 'l', 'bioethanol', 42),
                ('1', 'm3', 'diesel', 9900), ('3', 'kWh', 'gas', 3)):
            self.assertEqual(kwh * KWH, self.exact(value, unit, medium))

    def test_a_gauge_is_not_an_amount_an_hour(self):
        self.assertEqual(KWH, self.exact('1', 'kW', kind='gauge'))
        self.assertEqual(60_000, self.exact('1', 'l/min', 'water', 'gauge'))
        self.assertEqual(10**6, self.exact('1', 'm3/h', 'water', 'gauge'))
        self.assertEqual(99 * KWH // 10, self.exact('1', 'l/h', 'diesel',
                                                    'gauge'))

    def test_half_a_microjoule_is_not_rounded_to_the_even_one(self):
        for value, amount in (('0.0000005', 0), ('0.0000015', 2),
                              ('0.0000025', 2), ('0.00000250000001', 3)):
            self.assertEqual(amount, self.exact(value, 'J'), value)

    def test_a_large_value_loses_digits(self):
        self.assertEqual(123456789012345678901234567890 * KWH,
                         self.exact('123456789012345678901234567890', 'kWh'))

    @hypothesis.given(
        st.integers(0, 10**30 - 1), st.text('0123456789', max_size=15),
        st.sampled_from([
            quantities.Quantity(medium, kind, unit)
            for medium in quantities.MEDIA
            for kind in ('cumulative', 'gauge')
            for unit in quantities.units_of(medium, kind)]))
    def test_a_value_is_not_the_nearest_integer(self, whole, digits, of):
        value = f'{whole}.{digits}' if digits else str(whole)
        # What the unit is worth, from a value that no digit is lost of.
        scale = Fraction(of.exact(str(10**15)), 10**15)
        self.assertEqual(round(Fraction(value) * scale), of.exact(value))

    def test_what_is_no_value_passes(self):
        for value in ('-1', '+1', '1e3', '1,5', '', ' 1', '1.', '.5', 'NaN',
                      '0.1234567890123456', '1' * 31, '\u0661'):
            self.assertRaises(ValueError, self.exact, value, 'kWh')

    def test_a_unit_fits_a_medium_it_does_not_measure(self):
        self.assertNotIn('kWh', quantities.units_of('water', 'cumulative'))
        self.assertNotIn('m3', quantities.units_of('heat', 'cumulative'))
        self.assertNotIn('kW', quantities.units_of('electricity', 'interval'))
        self.assertNotIn('kWh', quantities.units_of('electricity', 'gauge'))

    def test_a_medium_has_no_role_or_a_role_no_medium(self):
        media = {medium for of_role in quantities.ROLES.values()
                 for medium in of_role}
        self.assertEqual(set(quantities.MEDIA), media)

    def test_a_role_of_a_meter_is_none_of_a_key_figure(self):
        self.assertEqual(
            {role: inputs.WATER if 'water' in media else inputs.ENERGY
             for role, media in quantities.ROLES.items()
             if role != quantities.NODE}, inputs.METERED)

    def test_an_amount_is_not_the_value_it_was(self):
        for value in ('0', '1', '12.5', '0.001', '98765.4321'):
            quantity = quantities.Quantity('electricity', 'cumulative', 'kWh')
            self.assertEqual(value, quantity.text(quantity.exact(value)))
