# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import unittest
from decimal import Decimal

from energy_accounting import errors
from energy_accounting.facility import factor_csv, factors
from tests.unit.facility import made

HEAD = 'zone,start,end,value,basis,source\n'
ROW = 'DE,2026-01-01T00:00Z,2026-01-02T00:00Z,{},direct,a test\n'
NOW_NS = made.at('2026-11-01T00:00Z')


class CsvFileTest(unittest.TestCase):

    def read(self, text: str) -> list[factor_csv.Line]:
        return factor_csv.read(text, 'f.csv', 'operator', NOW_NS)

    def refused(self, text: str) -> str:
        with self.assertRaises(errors.InvalidRequest) as caught:
            self.read(text)
        return str(caught.exception)

    def test_what_is_left_out_is_something_else(self) -> None:
        (line,) = self.read(HEAD + '\n' + ROW.format(' 0.10 '))
        self.assertEqual(3, line.number)
        self.assertEqual(factors.Factor(
            kind='carbon', carrier='electricity',
            start_ns=made.at('2026-01-01T00:00Z'),
            end_ns=made.at('2026-01-02T00:00Z'), value=Decimal('0.10'),
            quality='actual', provider='operator', source='a test',
            retrieved_ns=NOW_NS, zone='DE', basis='direct',
            method='location', signal='average'), line.factor)

    def test_a_pue_gets_what_only_carbon_has(self) -> None:
        (line,) = self.read(
            'kind,site,start,end,value,source\n'
            'pue,default,2026-01-01T00:00Z,2027-01-01T00:00Z,1.3,me\n')
        self.assertEqual((None, None, None, '1'), (
            line.factor.basis, line.factor.method, line.factor.signal,
            line.factor.unit))

    def test_a_german_spreadsheet_is_not_read(self) -> None:
        text = HEAD.replace(',', ';') + ROW.format('1').replace(',', ';')
        self.assertEqual(1, len(self.read('\ufeff' + text.replace(
            '\n', '\r\n'))))

    def test_a_decimal_comma_makes_two_numbers(self) -> None:
        self.assertIn('line 2: it has 7 fields and the header has 6',
                      self.refused(HEAD + ROW.format('1,5')))
        text = HEAD.replace(',', ';') + ROW.replace(',', ';').format('1,5')
        self.assertIn("line 2, value: '1,5' is not a decimal number",
                      self.refused(text))

    def test_a_line_is_miscounted(self) -> None:
        said = self.refused(
            HEAD + ROW.format('1') + '\n'
            + ROW.format('x') + '"DE\n",,,1,direct,a\n')
        self.assertIn('f.csv line 4, value', said)
        self.assertIn('f.csv line 6, start', said)

    def test_of_what_is_wrong_one_kind_is_told(self) -> None:
        said = self.refused(
            HEAD + ROW.format('1,5') + ROW.format('x')
            + ROW.format('1').replace('DE', 'de') + 'DE,May,June,,direct,\n')
        for words in ('f.csv line 2: it has 7 fields', 'line 3, value',
                      'line 4, zone', 'line 5, value', 'line 5, start',
                      'line 5, end', 'line 5, source'):
            self.assertIn(words, said)
        self.assertEqual(7, said.count('line '))

    def test_an_error_of_two_rows_is_not_seen(self) -> None:
        self.assertIn('f.csv line 3, start: it overlaps another row',
                      self.refused(HEAD + ROW.format('1') * 2))

    def test_a_time_without_a_zone_is_taken(self) -> None:
        self.assertIn('f.csv line 2, end', self.refused(
            HEAD + ROW.format('1').replace('02T00:00Z', '02T00:00')))
        self.assertIn('f.csv line 2, start', self.refused(
            HEAD + ROW.format('1').replace('2026-01-01T00:00Z',
                                           '0001-01-01T00:00Z')))

    def test_a_header_is_guessed(self) -> None:
        for head, words in (
                ('zone,start,end,basis,source\n', 'has no value'),
                (HEAD.replace('zone', 'zones'), 'unknown zones'),
                (HEAD.replace('zone', 'start'), 'has twice start'),
                ('', 'has no start')):
            self.assertIn(words, self.refused(head))

    def test_nothing_or_rubbish_is_a_file(self) -> None:
        self.assertIn('no row', self.refused(HEAD))
        self.assertIn('line 2: it is not CSV', self.refused(
            HEAD + 'DE,"x"y,1,1,1,1\n'))
