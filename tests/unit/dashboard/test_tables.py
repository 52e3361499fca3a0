# SPDX-License-Identifier: Apache-2.0

import csv
import decimal

import testtools

from energy_accounting.dashboard import tables

ROW = {'instance_id': 'a', 'active_kwh': '0.010', 'idle_kwh': '0.300',
       'it_kwh': '0.400', 'facility_kwh': '0.500',
       'co2_location_kg': '0.150'}


class WhatIsSaidOfRows(testtools.TestCase):

    def test_a_server_that_works_is_called_idle(self):
        for active, idle, wanted in (('0.010', '0.300', True),
                                     ('0.020', '0.300', False),
                                     ('0', '0.300', True),
                                     ('0', '0', False)):
            self.assertEqual(wanted, tables.is_idle(
                {**ROW, 'active_kwh': active, 'idle_kwh': idle}))

    def test_the_building_is_free_where_it_is_not_known(self):
        self.assertEqual(decimal.Decimal('0.1'), tables.building_kwh(ROW))
        unknown = {**ROW, 'facility_kwh': None}
        self.assertIsNone(tables.building_kwh(unknown))
        self.assertIsNone(tables.intensity(unknown))
        self.assertEqual(decimal.Decimal('0.4'), tables.cost_kwh(unknown))
        self.assertEqual(decimal.Decimal('0.5'), tables.cost_kwh(ROW))

    def test_no_energy_has_an_intensity(self):
        self.assertEqual(decimal.Decimal('0.3'), tables.intensity(ROW))
        self.assertIsNone(tables.intensity({**ROW, 'facility_kwh': '0'}))
        self.assertIsNone(tables.intensity({**ROW, 'co2_location_kg': None}))
        self.assertIsNone(tables.intensity(None))


class Downloads(testtools.TestCase):

    def read(self, rows: list[dict]) -> list[list[str]]:
        return list(csv.reader(''.join(tables.csv_text(
            rows, ('start', 'instance_id'))).splitlines()))

    def test_a_name_is_calculated_by_a_spreadsheet(self):
        for name, said in (('=HYPERLINK("x")', '\'=HYPERLINK("x")'),
                           ('\n+1+cmd', "' +1+cmd"), ('web-1', 'web-1')):
            _, row = self.read([{'instance_name': name}])
            self.assertEqual(said, row[-1])

    def test_a_negative_figure_is_taken_for_a_formula(self):
        _, row = self.read([{'difference_kwh': '-0.100'}])
        self.assertEqual('-0.100', row[-1])

    def test_a_digit_is_lost_or_nothing_becomes_a_number(self):
        head, row = self.read([{
            'instance_id': 'a', 'it_kwh': '0.000000000000278',
            'memory_kwh': None, 'quality': {'measured': '1'}}])
        self.assertEqual(['start', 'instance_id', 'it_kwh', 'memory_kwh',
                          'quality'], head)
        self.assertEqual(['', 'a', '0.000000000000278', '',
                          '{"measured": "1"}'], row)

    def test_a_period_without_rows_has_no_columns(self):
        self.assertEqual([['start', 'instance_id']], self.read([]))
