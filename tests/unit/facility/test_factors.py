# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import dataclasses
import decimal
import unittest
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from energy_accounting import errors
from energy_accounting.facility import factor_revisions, factor_times, factors
from tests.unit.facility import made

D = decimal.Decimal


class WhatIsAFactor(unittest.TestCase):

    def fields(self, **more: Any) -> list[str]:
        return [field for field, _ in factors.faults(made.factor(**more))]

    def test_a_good_one_is_refused(self) -> None:
        for one in (made.factor(), made.pue(), made.factor(value='0'),
                    made.factor(zone=None, site='default'),
                    made.factor(value='0.' + '1' * 18),
                    made.factor(zone='US-CAL-CISO')):
            self.assertEqual([], factors.faults(one), one)

    def test_a_bad_field_passes_or_another_is_blamed(self) -> None:
        for field, more in (
                ('kind', {'kind': 'price', 'basis': None, 'method': None,
                          'signal': None}),
                ('carrier', {'carrier': 'coal'}),
                ('basis', {'basis': None}), ('basis', {'basis': 'scope2'}),
                ('method', {'method': 'residual'}),
                ('signal', {'signal': None}),
                ('quality', {'quality': 'measured'}),
                ('unit', {'unit': 'kg/kWh'}),
                ('value', {'value': '-0.1'}), ('value', {'value': '-0'}),
                ('value', {'value': 'NaN'}), ('value', {'value': 'sNaN'}),
                ('value', {'value': 'Infinity'}),
                ('value', {'value': '0.' + '0' * 18 + '1'}),
                ('value', {'value': '1e12'}),
                ('end', {'end': 0}), ('start', {'start': -10**8}),
                ('zone', {'zone': 'de'}), ('zone', {'zone': 'DE/../x'}),
                ('zone', {'zone': 'DE\n'}), ('zone', {'zone': ''}),
                ('zone', {'zone': None}),
                ('zone', {'zone': 'DE', 'site': 'default'}),
                ('source', {'source': ' '}), ('source', {'source': 'a\nb'}),
                ('provider', {'provider': 'x' * 65}),
                ('revision', {'revision': ''})):
            self.assertEqual([field], self.fields(**more), more)

    def test_a_pue_below_one_or_of_a_zone_passes(self) -> None:
        for field, more in (('value', {'value': '0.99'}),
                            ('site', {'site': None, 'zone': 'DE'}),
                            ('basis', {'basis': 'direct'})):
            self.assertEqual([field], [name for name, _ in factors.faults(
                made.pue(**more))], more)

    def test_a_number_is_read_that_is_none(self) -> None:
        for text in ('', '-1', '+1', '1,5', '1e3', 'NaN', 'inf', ' 1', '1 ',
                     '.5', '5.', '１', '0x1', '1_000', '1' * 31):
            with self.subTest(text), self.assertRaises(ValueError):
                factors.decimal_of(text)
        self.assertEqual(D('0.10'), factors.decimal_of('0.10'))


class WhichContradict(unittest.TestCase):

    def kept(self, *found: factors.Factor) -> list[factor_revisions.Kept]:
        return [factor_revisions.Kept(number, one, 0)
                for number, one in enumerate(found, 1)]

    def planned(self, batch: list[factors.Factor],
                *known: factors.Factor, replace: bool = False,
                ) -> tuple[list[factors.Factor], list[int], int, list[int]]:
        self.assertEqual([], factor_revisions.within(batch))
        plan, problems = factor_revisions.plan(batch, self.kept(*known),
                                      replace=replace)
        return (plan.append, [one.id for one in plan.supersede],
                plan.unchanged, [one.row for one in problems])

    def test_rows_of_a_batch_overlap_unseen(self) -> None:
        batch = [made.factor(0, 3), made.factor(5, 6), made.factor(1, 2),
                 made.factor(2, 4)]
        self.assertEqual([2, 3], [
            one.row for one in factor_revisions.within(batch)])
        self.assertEqual([1], [one.row for one in factor_revisions.within(
            [made.factor(), made.factor()])])

    def test_neighbours_and_other_series_are_taken_for_overlaps(
            self) -> None:
        batch = [made.factor(0, 1), made.factor(1, 2),
                 made.factor(basis=factors.DIRECT),
                 made.factor(method=factors.MARKET),
                 made.factor(signal=factors.MARGINAL),
                 made.factor(zone='FR'), made.factor(carrier='gas'),
                 made.factor(zone=None, site='default'),
                 made.factor(quality=factors.FORECAST), made.pue()]
        self.assertEqual([], factor_revisions.within(batch))
        for known in batch[2:]:
            self.assertEqual(
                ([batch[0]], [], 0, []),
                self.planned([batch[0]], known), known)

    def test_the_same_again_is_recorded_twice(self) -> None:
        one = made.factor()
        later = dataclasses.replace(one, retrieved_ns=7, revision='2')
        self.assertEqual(([], [], 1, []), self.planned([later], one))

    def test_a_revision_does_not_supersede(self) -> None:
        for more in ({'value': '301'}, {'source': 'a better one'}):
            new = made.factor(**more)
            self.assertEqual(([new], [1], 0, []),
                             self.planned([new], made.factor()), more)

    def test_an_overlap_is_recorded(self) -> None:
        for new in (made.factor(0, 2), made.factor(-1, 1),
                    made.factor(provider='energy-charts'),
                    made.factor(0, 2, provider='energy-charts')):
            *_, problems = self.planned([made.factor(7, 8), new],
                                        made.factor())
            self.assertEqual([1], problems, new)

    def test_replacing_leaves_a_hole_or_touches_others(self) -> None:
        known = [made.factor(0, 2), made.factor(2, 4, provider='other'),
                 made.factor(4, 6)]
        batch = [made.factor(0, 1, '1'), made.factor(1, 4, '2')]
        self.assertEqual((batch, [1, 2], 0, []), self.planned(
            batch, *known, replace=True))
        *_, problems = self.planned([made.factor(0, 1), made.factor(2, 4)],
                                    *known, replace=True)
        self.assertEqual([0], problems)

    @given(st.lists(st.tuples(st.integers(0, 12), st.integers(1, 5),
                              st.integers(0, 2)), max_size=6),
           st.lists(st.tuples(st.integers(0, 12), st.integers(1, 5),
                              st.integers(0, 2)), max_size=4))
    def test_two_that_count_overlap(self, before: Any, new: Any) -> None:
        """After any two batches that were taken, none contradicts."""
        current: list[factor_revisions.Kept] = []
        for batch in (before, new):
            made_of = [made.factor(start, start + length, str(value),
                                   provider=f'p{value % 2}')
                       for start, length, value in batch]
            if factor_revisions.within(made_of):
                continue
            plan, problems = factor_revisions.plan(made_of, current)
            self.assertEqual(len(made_of), len(plan.append)
                             + plan.unchanged + len(problems))
            if problems:
                continue
            gone = {one.id for one in plan.supersede}
            current = [one for one in current if one.id not in gone] + [
                factor_revisions.Kept(len(current) + 100 + place, one, 0)
                for place, one in enumerate(plan.append)]
            self.assertEqual([], factor_revisions.within(
                [one.factor for one in current]))


class WhichIsNotBelieved(unittest.TestCase):

    def test_a_unit_mistaken_is_believed(self) -> None:
        for value, usual in (('363000', None), ('363000', '350'),
                             ('0.363', '350'), ('25000', '25')):
            self.assertIsNotNone(factors.unusual(
                made.factor(value=value), usual and D(usual)), value)

    def test_a_windy_night_is_held_back(self) -> None:
        for value, usual in (('0', '350'), ('4', '350'), ('900', '20'),
                             ('0.5', None), ('350', '0.000001')):
            found = factors.unusual(made.factor(value=value),
                                    usual and D(usual))
            self.assertEqual(value == '350', found is not None, value)
        self.assertIsNone(factors.unusual(made.pue(), D(1)))

    def test_what_is_usual_is_a_zero_or_an_outlier(self) -> None:
        self.assertIsNone(factors.usual([]))
        self.assertIsNone(factors.usual([D(0), D(0)]))
        self.assertEqual(D(300), factors.usual(
            [D(0), D(300), D(310), D(290), D(300000)]))


class WhichCounts(unittest.TestCase):

    def spans(self, *found: factors.Factor, start: int = 0, end: int = 10,
              **more: Any) -> list[tuple[int, int, str]]:
        wanted: dict[str, Any] = {
            'carrier': factors.ELECTRICITY, 'basis': factors.LIFECYCLE,
            'method': factors.LOCATION, **more}
        return [((one.start_ns - made.START_NS) // made.HOUR_NS,
                 (one.end_ns - made.START_NS) // made.HOUR_NS,
                 str(one.factor.value))
                for one in factor_times.which(
                    found, made.START_NS + start * made.HOUR_NS,
                    made.START_NS + end * made.HOUR_NS, **wanted)]

    def test_a_hole_is_filled_by_zero(self) -> None:
        self.assertEqual([], self.spans())
        self.assertEqual([(1, 2, '0'), (4, 5, '7')], self.spans(
            made.factor(1, 2, '0'), made.factor(4, 5, '7')))

    def test_a_worse_quality_counts(self) -> None:
        by_quality = [made.factor(0, 8 - 2 * rank, str(rank),
                                  quality=quality)
                      for rank, quality in enumerate(
                          reversed(factors.QUALITIES))]
        self.assertEqual(
            [(0, 2, '3'), (2, 4, '2'), (4, 6, '1'), (6, 8, '0')],
            self.spans(*by_quality))
        self.assertEqual(self.spans(*by_quality),
                         self.spans(*reversed(by_quality)))

    def test_the_zone_counts_before_the_sites_own(self) -> None:
        self.assertEqual([(0, 1, '1'), (1, 4, '9'), (4, 5, '1')],
                         self.spans(
            made.factor(0, 5, '1'),
            made.factor(1, 4, '9', site='default',
                        quality=factors.FALLBACK)))

    def test_another_series_counts(self) -> None:
        for more in ({'basis': factors.DIRECT}, {'method': factors.MARKET},
                     {'carrier': 'gas'}, {'signal': factors.MARGINAL}):
            self.assertEqual([], self.spans(made.factor(0, 5, **more)))

    @given(st.lists(st.tuples(
        st.integers(-3, 12), st.integers(1, 6), st.sampled_from(
            factors.QUALITIES), st.booleans()), max_size=8))
    def test_a_moment_has_another_factor_than_the_best(
            self, rows: Any) -> None:
        """As a search moment by moment finds it, and nothing twice."""
        found = [made.factor(
            start, start + length, str(place), quality=quality,
            **({'site': 'default'} if own else {}))
            for place, (start, length, quality, own) in enumerate(rows)]
        got = self.spans(*found)
        for hour in range(10):
            there = [one for one in found if one.start_ns <= made.START_NS
                     + hour * made.HOUR_NS < one.end_ns]
            best = min(map(factor_times.precedence, there), default=None)
            names = {str(one.value) for one in there
                     if factor_times.precedence(one) == best}
            counted = [value for start, end, value in got
                       if start <= hour < end]
            if best is None:
                self.assertEqual([], counted)
            else:
                (only,) = counted
                self.assertIn(only, names)

    def test_holes_are_not_what_is_left(self) -> None:
        spans = factor_times.counting([made.factor(1, 2)], made.START_NS,
                                 made.START_NS + 3 * made.HOUR_NS)
        self.assertEqual(2, len(factor_times.holes(
            spans, made.START_NS, made.START_NS + 3 * made.HOUR_NS)))


class Refusing(unittest.TestCase):

    def test_a_thousand_errors_make_a_page(self) -> None:
        problems = [factor_revisions.Problem(row, 'value', 'bad')
                    for row in range(1000)]
        with self.assertRaises(errors.InvalidRequest) as caught:
            factor_revisions.refuse(problems, lambda row: f'line {row + 2}')
        self.assertIn('line 2, value: bad', str(caught.exception))
        self.assertIn('and 980 more', str(caught.exception))
        self.assertNotIn('line 23', str(caught.exception))
