# SPDX-License-Identifier: Apache-2.0
"""Rounding for people, and for people only."""

import unittest

from energy_accounting.osc import columns


class RoundedTest(unittest.TestCase):

    def test_rounding(self):
        for text, expected in (
                (None, '-'), ('0', '0'), ('0.000000000000000', '0'),
                ('-0.000000000000000', '0'),
                ('1.234567890123456', '1.235'),
                ('12.345678901234567', '12.35'),
                ('999.96', '1000'), ('1234.567', '1234.6'),
                ('123456789.04', '123456789.0'),
                ('0.012345678901234', '0.01235'),
                ('0.000123456789012', '0.000123'),
                ('0.000000277777778', '<0.000001'),
                ('-0.000000277777778', '>-0.000001'),
                ('-1.234567', '-1.235')):
            with self.subTest(text):
                self.assertEqual(expected, columns.rounded(text))

    def test_no_figure_is_printed_with_an_exponent(self):
        for exponent in range(-15, 16):
            text = f'{7 * 10 ** max(exponent, 0):d}' if exponent >= 0 \
                else f'0.{"0" * (-exponent - 1)}7'
            self.assertNotIn('E', columns.rounded(text))


class CellTest(unittest.TestCase):

    def test_machines_get_the_text_that_was_sent(self):
        figure = '1.234567890123456'
        for name in ('csv', 'value'):
            self.assertEqual(figure, columns.cell('it_kwh', figure, name))
        for name in ('json', 'yaml'):
            self.assertEqual(figure, columns.cell(
                'it_kwh', figure, name).machine_readable())

    def test_unknown_is_empty_in_csv_and_null_in_json(self):
        self.assertEqual('', columns.cell('memory_kwh', None, 'csv'))
        self.assertIsNone(columns.cell(
            'memory_kwh', None, 'json').machine_readable())
        self.assertEqual('-', columns.cell(
            'memory_kwh', None, 'table').human_readable())
        self.assertEqual('0', columns.cell(
            'memory_kwh', '0.000000000000000', 'table').human_readable())

    def test_a_shell_gets_the_word_none(self):
        self.assertEqual('', columns.cell('memory_kwh', None, 'shell'))
        self.assertEqual('{"a": 1}', columns.cell('quality', {'a': 1},
                                                  'shell'))

    def test_a_price_is_another_one_in_a_table(self):
        for name in ('price_per_kwh', 'co2_price_per_kg', 'kg_per_kwh'):
            self.assertEqual('0.249954', columns.cell(
                name, '0.249954', 'table').human_readable())
        for name in ('cue_kg_per_kwh', 'it_kwh', 'co2_market_kg', 'peak_kw',
                     'idle_power_w', 'water_l', 'pue', 'renewable_share'):
            self.assertEqual('0.2500', columns.cell(
                name, '0.249954', 'table').human_readable())

    def test_what_is_not_all_is_rounded_to_all(self):
        for text, shown in (('0.99999', '0.9999'), ('1', '1'), ('0', '0'),
                            ('0.99849', '0.9984'), ('1.000000', '1.000'),
                            ('0.98765', '0.9876'), (None, '-')):
            self.assertEqual(shown, columns.cell(
                'coverage', text, 'table').human_readable())

    def test_nested_values_are_json_in_csv_and_lines_in_a_table(self):
        gaps = [{'host': 'a', 'zone': None, 'reason': 'reset'}]
        self.assertEqual(
            '[{"host": "a", "reason": "reset", "zone": null}]',
            columns.cell('gaps', gaps, 'csv'))
        self.assertEqual('host=a reason=reset', columns.cell(
            'gaps', gaps, 'table').human_readable())
        self.assertEqual('measured: 1\nbackfilled: 0', columns.cell(
            'quality', {'measured': '1', 'backfilled': '0'},
            'table').human_readable())
        self.assertEqual('-', columns.cell(
            'gaps', [], 'table').human_readable())

    def test_a_microjoule_is_never_rounded(self):
        self.assertEqual('123456789012', columns.cell(
            'measured_uj', '123456789012', 'table').human_readable())
