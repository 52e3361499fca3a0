# SPDX-License-Identifier: Apache-2.0
"""What law asks stands in a dated file, and binds whom it says."""

import dataclasses
import datetime
import unittest

from energy_accounting import errors
from energy_accounting.facility import figures, kpi, limits
from tests.unit.facility import test_kpi

DAY = datetime.date
OLD, NEW = DAY(2020, 1, 1), DAY(2026, 7, 1)


def asked(started: DAY, day: DAY) -> dict[str, str]:
    """The law's values on a day, by figure."""
    return {one.figure: str(figures.rounded(one.most or one.least, 2))
            for one in limits.binding(limits.shipped(), started, day)}


class TestShipped(unittest.TestCase):

    def test_a_site_from_before_july_2026_has_the_wrong_limits(self):
        for day, expected in (
                (DAY(2023, 12, 31), {}), (DAY(2024, 1, 1), {'REF': '0.50'}),
                (DAY(2026, 12, 31), {'REF': '0.50'}),
                (DAY(2027, 1, 1), {'REF': '1.00'}),
                (DAY(2027, 6, 30), {'REF': '1.00'}),
                (DAY(2027, 7, 1), {'REF': '1.00', 'PUE': '1.50'}),
                (DAY(2030, 6, 30), {'REF': '1.00', 'PUE': '1.50'}),
                (DAY(2030, 7, 1), {'REF': '1.00', 'PUE': '1.30'})):
            self.assertEqual(expected, asked(OLD, day), day)

    def test_a_new_site_must_keep_them_at_once_or_never(self):
        self.assertEqual({'REF': '1.00'}, asked(NEW, DAY(2028, 6, 30)))
        for started, share in ((NEW, '0.10'), (DAY(2027, 6, 30), '0.10'),
                               (DAY(2027, 7, 1), '0.15'),
                               (DAY(2028, 7, 1), '0.20')):
            self.assertEqual(
                {'PUE': '1.20', 'ERF': share, 'REF': '1.00'},
                asked(started, started.replace(year=started.year + 2)))

    def test_a_site_of_29_february_has_a_day_less_or_more(self):
        leap = DAY(2028, 2, 29)
        self.assertEqual({'REF'}, set(asked(leap, DAY(2030, 2, 28))))
        self.assertIn('PUE', asked(leap, DAY(2030, 3, 1)))

    def test_two_limits_bind_one_figure(self):
        for started in (OLD, DAY(2026, 6, 30), NEW, DAY(2028, 2, 29)):
            for year in range(2023, 2040):
                found = limits.binding(limits.shipped(), started,
                                       DAY(year, 8, 1))
                names = [one.figure for one in found]
                self.assertEqual(sorted(set(names)), sorted(names))

    def test_a_limit_does_not_say_where_it_comes_from(self):
        for one in limits.shipped():
            self.assertIn('EnEfG', one.legal_basis)
            self.assertEqual(DAY(2026, 4, 4), one.text)


class TestKept(unittest.TestCase):

    def test_a_figure_at_the_limit_breaks_it(self):
        pue = kpi.pue(test_kpi.scope(), 1, test_kpi.E_DC, test_kpi.E_IT)
        erf = kpi.erf(test_kpi.scope(), test_kpi.REUSE, test_kpi.E_DC)
        (law,) = [one for one in limits.shipped()
                  if (one.figure, str(one.most)) == ('PUE', '6/5')]
        self.assertIs(True, law.kept(pue))
        self.assertIs(False, law.kept(dataclasses.replace(
            pue, exact=pue.exact + test_kpi.F(1, 10 ** 9))))
        (law,) = [one for one in limits.shipped()
                  if str(one.least) == '1/10']
        self.assertIs(True, law.kept(erf))
        self.assertIs(False, law.kept(dataclasses.replace(
            erf, exact=erf.exact - test_kpi.F(1, 10 ** 9))))

    def test_a_month_or_nothing_keeps_or_breaks_a_yearly_limit(self):
        pue = kpi.pue(test_kpi.scope(), 1, test_kpi.E_DC, test_kpi.E_IT)
        law = limits.shipped()[0]
        for change in ({'name': 'iPUE'}, {'name': 'dPUE'}, {'exact': None}):
            self.assertIsNone(law.kept(dataclasses.replace(pue, **change)))


class TestRead(unittest.TestCase):
    GOOD = ("[[limit]]\nfigure = 'PUE'\nmost = '1.5'\n"
            "valid_from = 2027-07-01\nlegal_basis = 'x'\n"
            'text = 2026-04-04\n')

    def test_a_file_is_taken_that_says_nothing_or_nonsense(self):
        self.assertEqual(1, len(limits.read(self.GOOD)))
        for old, new, words in (
                ('[[limit]]', '[[limit', 'not TOML'),
                ("'1.5'", '1.5', 'most: must be a str'),
                ("'1.5'", "'low'", "most: 'low'"),
                ("'1.5'", "'1/0'", "most: '1/0'"),
                ("most = '1.5'", '', 'give one of them'),
                ("'1.5'", "'1.5'\nleast = '1'", 'give one of them'),
                ("'PUE'", "'XUE'", "figure: 'XUE'"),
                ('2027-07-01', "'soon'", 'valid_from: must be a date'),
                ('2027-07-01', '2027-07-01T00:00:00Z', 'must be a date'),
                ("legal_basis = 'x'", '', 'legal_basis: is missing'),
                ("'x'", "'x'\nsince = 1", 'since: is not a field')):
            with self.subTest(new), self.assertRaises(
                    errors.ConfigurationError) as caught:
                limits.read(self.GOOD.replace(old, new))
            self.assertIn(words, str(caught.exception))
