# SPDX-License-Identifier: Apache-2.0

import decimal

import testtools

from energy_accounting.dashboard import numbers

D = decimal.Decimal
ENGLISH = numbers.Signs()
GERMAN = numbers.Signs(',', '.')


class HowFiguresLook(testtools.TestCase):

    def test_a_german_reader_sees_a_decimal_point(self):
        shown = numbers.energy('1234567.891234567891234', GERMAN)
        self.assertEqual(('1,235', 'GWh'), shown[:2])
        self.assertEqual('1.234.567,891234567891234\xa0kWh', shown.exact)

    def test_a_figure_is_in_a_unit_nobody_can_read(self):
        for text, wanted in (('0.000058032250000', '58.03 mWh'),
                             ('0.304', '304.0 Wh'), ('3.746', '3.746 kWh'),
                             ('999.94', '999.9 kWh'), ('999.96', '1.000 MWh'),
                             ('0.00099996', '1.000 Wh'),
                             ('4200', '4.200 MWh'), ('0', '0 kWh')):
            self.assertEqual(wanted.replace(' ', '\xa0'),
                             str(numbers.energy(text, ENGLISH)))

    def test_what_is_not_known_is_shown_as_nothing(self):
        self.assertIsNone(numbers.energy(None, ENGLISH))
        self.assertEqual('–', ENGLISH.percent(None))
        self.assertIsNone(numbers.total([None, None]))

    def test_a_little_is_shown_as_nothing(self):
        self.assertEqual('<0.01', ENGLISH.fixed(D('0.0001'), 2))
        self.assertEqual('>−0,01', GERMAN.fixed(D('-0.0001'), 2))
        self.assertEqual('0.00', ENGLISH.fixed(D(0), 2))
        self.assertEqual('<0.1\xa0%', ENGLISH.percent(D('0.0001')))

    def test_what_is_nearly_whole_is_called_whole(self):
        self.assertEqual('99.99\xa0%', ENGLISH.percent(D('0.999999'), 2))
        self.assertEqual('100.00\xa0%', ENGLISH.percent(D(1), 2))

    def test_the_exact_value_is_rounded(self):
        value = '123456789.000000000000278'
        shown = numbers.energy(value, ENGLISH)
        self.assertEqual('123,456,789.000000000000278\xa0kWh', shown.exact)

    def test_a_column_has_several_units(self):
        column = numbers.column([D('3.2'), D('0.0002'), None],
                                numbers.ENERGY, ENGLISH, 'kWh')
        self.assertEqual(['3.200', '<0.001'], [
            column.show(value).text for value in (D('3.2'), D('0.0002'))])
        self.assertIsNone(column.show(None))

    def test_a_column_has_the_unit_of_the_api_and_not_its_own(self):
        column = numbers.column([D('0.304'), D('0.0215')], numbers.ENERGY,
                                GERMAN, 'kWh')
        self.assertEqual(
            [('304,0', 'Wh', '0,304\xa0kWh'), ('21,5', 'Wh', '0,0215\xa0kWh')],
            list(map(column.show, (D('0.304'), D('0.0215')))))
        tonnes = numbers.column([D(1234)], numbers.MASS, ENGLISH, 'kg')
        self.assertEqual('1.234\xa0t', str(tonnes.show(D(1234))))

    def test_a_change_from_nothing_is_a_number(self):
        for now, before, wanted in (
                (D(3), D(2), '+50\xa0%'), (D(2), D(3), '−33\xa0%'),
                (D(3), D(3), '±0\xa0%'), (D('1.011'), D(1), '+1.1\xa0%'),
                (D(3), D(0), None), (D(3), None, None), (None, D(2), None),
                (D(300), D(2), None)):
            self.assertEqual(wanted, numbers.change(now, before, ENGLISH))
