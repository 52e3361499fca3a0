# SPDX-License-Identifier: Apache-2.0
"""A file is read as it is meant, or told line by line why it is not."""

import datetime

import hypothesis
import testtools
from hypothesis import strategies as st

from energy_accounting import units
from energy_accounting.facility import batches
from energy_accounting.osc import reading_csv

BERLIN = units.zone('Europe/Berlin')
GERMAN = b"""
delimiter = ";"
decimal = ","
thousands = "."
time_format = "%d.%m.%Y %H:%M"
time_zone = "Europe/Berlin"
encoding = "cp1252"
skip_lines = 2

[columns]
at = "Zeitpunkt"
value = "Z\xc3\xa4hlerstand"
quality = "Art"

[qualities]
W = "measured"
E = "estimated"
""".decode()


def read(text, how=None):
    return reading_csv.read(text.encode(), how or reading_csv.Mapped())


def faults(text, how=None):
    return [(fault.line, fault.column, fault.what)
            for fault in read(text, how)[1]]


class ReadTest(testtools.TestCase):

    def wrong(self, words, text, how=None):
        error = self.assertRaises(reading_csv.Wrong, read, text, how)
        self.assertIn(words, str(error))

    def test_a_plain_file_needs_a_mapping(self):
        rows, wrong = read('\ufeffvalue,at,note\n'
                           '12.5,2026-11-01T00:00:00+01:00,x\n'
                           '\n13,2026-11-02T00:00:00Z,y\n')
        self.assertEqual([], wrong)
        self.assertEqual([
            (2, {'at': '2026-10-31T23:00:00Z', 'value': '12.5'}),
            (4, {'at': '2026-11-02T00:00:00Z', 'value': '13'})], rows)

    def test_a_german_export_is_read_otherwise(self):
        rows, wrong = reading_csv.read(
            'Export vom 3.1.\n\nZeitpunkt;Zählerstand;Art\n'
            '01.07.2026 00:00;"1.234.567,25";W\n'
            '01.12.2026 00:15;17;E\n'.encode('cp1252'),
            reading_csv.mapping(GERMAN))
        self.assertEqual([], wrong)
        self.assertEqual([
            (4, {'at': '2026-06-30T22:00:00Z', 'value': '1234567.25',
                 'quality': 'measured'}),
            (5, {'at': '2026-11-30T23:15:00Z', 'value': '17',
                 'quality': 'estimated'})], rows)

    def test_what_is_wrong_is_told_of_another_line_or_column(self):
        self.assertEqual([
            (2, 'value', "'12,5' is not a decimal that is not negative"),
            (3, 'at', "'2026-11-01 00:00' has no zone"),
            (3, 'value', 'it is empty'),
            (5, 'at', "'gestern' is not a time in ISO 8601"),
            (6, '', 'it has 1 field and the header has 2'),
            (8, 'at', 'the same time is in line 7'),
            (9, 'value', "'-1' is not a decimal that is not negative")],
            faults('at,value\n'
                   '2026-11-01T00:00Z,"12,5"\n'
                   '2026-11-01 00:00,\n'
                   '\n'
                   'gestern,5\n'
                   '2026-11-05T00:00Z\n'
                   '2026-11-06T00:00Z,1\n'
                   '2026-11-06T01:00+01:00,2\n'
                   '2026-11-07T00:00Z,-1\n'))

    def test_a_decimal_comma_is_cut_off(self):
        text = 'at,value\n{}Z,1000,5\n{}Z,1,extra\n{}Z,1,\n'.format(
            *(f'2026-10-27T0{hour}:00' for hour in (1, 2, 3)))
        rows, wrong = read(text)
        self.assertEqual([], rows)
        self.assertEqual([
            f'{line}: it has 3 fields and the header has 2; give as many, '
            'and write numbers with a point' for line in (2, 3, 4)],
            [str(fault) for fault in wrong])
        (fault,) = read('2026-10-27T01:00Z,1\n2026-10-27T02:00Z,1,5\n',
                        reading_csv.Mapped(header=False, decimal=',',
                                           columns={'at': 1, 'value': 2}))[1]
        self.assertEqual('2: it has 3 fields and line 1 has 2; give as many, '
                         'and put numbers with a comma in quotes',
                         str(fault))

    def hour(self, *times, **more):
        rows, wrong = read(
            'at,value\n' + ''.join(f'25.10.2026 {time},{place}\n'
                                   for place, time in enumerate(times)),
            reading_csv.Mapped(where=BERLIN, time_format='%d.%m.%Y %H:%M',
                               **more))
        return ([row.reading['at'][11:16] for row in rows],
                [fault.line for fault in wrong])

    def test_the_hour_in_which_clocks_are_set_back_is_not_imported(self):
        hour = ('02:00', '02:15', '02:30', '02:45')
        said = ['00:00', '00:15', '00:30', '00:45',
                '01:00', '01:15', '01:30', '01:45']
        self.assertEqual((said, []), self.hour(*hour, *hour))
        self.assertEqual((said[::-1], []),
                         self.hour(*hour[::-1], *hour[::-1]))
        for times, said in (
                (('01:00', '02:00', '02:00'), ['23:00', '00:00', '01:00']),
                (('02:00', '02:00', '03:00'), ['00:00', '01:00', '02:00']),
                (('02:00', '02:00', '01:00'), ['01:00', '00:00', '23:00'])):
            self.assertEqual((said, []), self.hour(*times))

    def test_an_hour_that_may_be_either_is_guessed(self):
        for times in (
                ('02:00', '02:15', '02:30', '02:45'), ('02:00', '02:00'),
                ('02:00', '02:00', '02:15', '02:30', '02:45'),
                ('02:00', '02:00', '02:15', '02:15'),
                ('02:15', '02:00', '02:30', '02:15', '02:00', '02:30'),
                ('01:00', '02:00', '02:00', '01:45'),
                ('02:00', '03:00', '02:00')):
            self.assertEqual(
                [line for line, time in enumerate(times, 2) if '02' in time],
                self.hour(*times)[1], times)

    def test_the_remedy_of_a_time_that_comes_twice_is_none(self):
        how = reading_csv.Mapped(where=BERLIN, time_format='%d.%m.%Y %H:%M')
        text = 'at,value\n{},5\n25.10.2026 03:00,6\n'
        (fault,) = read(text.format('25.10.2026 02:00'), how)[1]
        self.assertEqual('write it as 2026-10-25T02:00:00+02:00 or as '
                         '2026-10-25T02:00:00+01:00', fault.remedy)
        rows, wrong = read(text.format(fault.remedy.split()[-1]), how)
        self.assertEqual(([], '2026-10-25T01:00:00Z'),
                         (wrong, rows[0].reading['at']))
        # Without an offset nobody asked for another format.
        self.assertEqual([2], [fault.line for fault in read(
            text.format('2026-10-25T05:00'), how)[1]])

    def test_a_time_that_comes_twice_is_guessed(self):
        how = reading_csv.Mapped(where=BERLIN)
        self.assertEqual([
            (3, 'at', '2026-10-25T02:30:00 comes twice in Europe/Berlin, as '
                      'clocks are set back, and the rows do not have the '
                      'whole hour twice'),
            (5, 'at', "'2026-03-29T02:30' is a time that clocks in "
                      'Europe/Berlin leave out')],
            faults('at,value\n2026-10-25T01:59,1\n2026-10-25T02:30,1\n'
                   '2026-10-25T03:00,1\n2026-03-29T02:30,1\n'
                   '2026-03-29T03:00,1\n2026-10-25T02:30+02:00,1\n', how))

    @hypothesis.given(st.datetimes(datetime.datetime(2001, 1, 1),
                                   datetime.datetime(2099, 1, 1)))
    def test_a_local_time_is_another_moment(self, moment):
        moment = moment.replace(second=0, microsecond=0, fold=0)
        rows, wrong = read(f'at,value\n{moment.isoformat()},1\n',
                           reading_csv.Mapped(where=BERLIN))
        both = {moment.replace(tzinfo=BERLIN, fold=fold)
                .astimezone(units.UTC) for fold in (0, 1)}
        if len(both) > 1:
            self.assertEqual(1, len(wrong))
        else:
            self.assertEqual(units.iso(both.pop()), rows[0].reading['at'])

    def test_a_stamp_is_that_of_the_other_end(self):
        text = 'at,value\n2026-11-01T00:00Z,5\n'
        for stamp, start, end in (('start', '00:00', '00:15'),
                                  ('end', '23:45', '00:00')):
            (row,), _ = read(text, reading_csv.Mapped(
                stamp=stamp, interval_minutes=15))
            self.assertIn(f'T{start}:00Z', row.reading['start'])
            self.assertIn(f'T{end}:00Z', row.reading['at'])

    def test_the_first_hour_of_the_calendar_breaks_it(self):
        self.assertEqual([(2, 'at', 'it is out of range')], faults(
            'at,value\n0001-01-01T00:00Z,5\n',
            reading_csv.Mapped(interval_minutes=15)))

    def test_an_interval_with_both_edges_is_cut_anew(self):
        (row,), wrong = read('start,at,value\n2026-10-01T00:00Z,'
                             '2026-11-01T00:00Z,5\n')
        self.assertEqual([], wrong)
        self.assertEqual('2026-10-01T00:00:00Z', row.reading['start'])

    def test_a_file_without_a_header_cannot_be_read(self):
        (row,), _ = read('x,5,2026-11-01T00:00Z\n', reading_csv.Mapped(
            header=False, columns={'at': 3, 'value': 2}))
        self.assertEqual('5', row.reading['value'])

    def test_thousands_are_taken_for_decimals(self):
        how = reading_csv.Mapped(delimiter=';', decimal=',', thousands='.')
        for text, value in (('1.234', '1234'), ('1234', '1234'),
                            ('1.234.567,8', '1234567.8'), ('0,5', '0.5')):
            (row,), _ = read(f'at;value\n2026-11-01T00:00Z;{text}\n', how)
            self.assertEqual(value, row.reading['value'])
        for text in ('12.34', '1.2345', '1234.567', '.123', '1,2,3'):
            self.assertEqual(1, len(faults(
                f'at;value\n2026-11-01T00:00Z;{text}\n', how)), text)
        self.assertEqual(1, len(faults(
            'at;value\n2026-11-01T00:00Z;12.5\n',
            reading_csv.Mapped(delimiter=';', decimal=','))))

    def test_a_file_that_is_none_is_imported(self):
        self.wrong('no row', 'at,value\n')
        self.wrong("no column 'at'", 'Zeit;Wert\n1;2\n')
        self.wrong('more than once', 'at,at,value\n1,2,3\n')
        self.wrong("no column 'Stand'", 'at,value\n1,2\n',
                   reading_csv.Mapped(columns={'value': 'Stand'}))
        self.wrong('quotes', 'at,value\n"2026,5\n')
        self.wrong('not known', 'x', reading_csv.Mapped(encoding='klingon'))
        error = self.assertRaises(
            reading_csv.Wrong, reading_csv.read, b'at,value\n\xe4,5\n',
            reading_csv.Mapped())
        self.assertIn('line 2 is not', str(error))

    def test_more_than_a_batch_is_read(self):
        start = datetime.datetime(2016, 1, 1, tzinfo=units.UTC)
        lines = [f'{units.iso(start + datetime.timedelta(minutes=number))},1'
                 for number in range(reading_csv.MOST_ROWS + 1)]
        self.wrong('100001 readings', 'at,value\n' + '\n'.join(lines))
        rows, _ = read('at,value\n' + '\n'.join(lines[1:]))
        self.assertEqual(reading_csv.MOST_ROWS, len(rows))

    def test_the_client_knows_another_limit_than_the_service(self):
        self.assertEqual(batches.MAX_BATCH, reading_csv.MOST_ROWS)

    @hypothesis.given(st.text(), st.sampled_from([
        reading_csv.Mapped(), reading_csv.mapping(GERMAN)]))
    def test_any_text_breaks_it(self, text, how):
        for data in (text, f'at,value\n{text}',
                     f'1\n2\nZeitpunkt;Zählerstand;Art\n{text}'):
            try:
                reading_csv.read(data.encode(how.encoding, 'replace'), how)
            except reading_csv.Wrong:
                pass


class MappingTest(testtools.TestCase):

    def wrong(self, words, text):
        error = self.assertRaises(reading_csv.Wrong, reading_csv.mapping,
                                  text)
        self.assertIn(words, str(error))

    def test_a_mapping_that_makes_no_sense_is_used(self):
        for key, text in (
                ('TOML', 'a = '), ('unit', 'unit = "kWh"'),
                ('delimiter', 'delimiter = 5'), ('header', 'header = 1'),
                ('skip_lines', 'skip_lines = true'),
                ('skip_lines', 'skip_lines = -1'),
                ('delimiter', 'delimiter = ";;"'),
                ('decimal', 'decimal = ";"'),
                ('thousands', 'thousands = "."'),
                ('time_zone', 'time_zone = "Mars"'),
                ('stamp', 'stamp = "middle"'),
                ('stamp', 'stamp = "start"'),
                ('interval_minutes', 'interval_minutes = 0'),
                ('interval_minutes: give a whole number from 1 to 527040',
                 'interval_minutes = 99999999999999999999'),
                ('interval_minutes',
                 'interval_minutes = 5\n[columns]\nstart = "x"'),
                ('columns', 'header = false'),
                ('columns.when', '[columns]\nwhen = "x"'),
                ('columns.at', '[columns]\nat = 0'),
                ('columns.at', '[columns]\nat = true'),
                ('qualities.x', '[qualities]\nx = "good"')):
            self.wrong(key, text)
