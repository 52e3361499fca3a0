# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import unittest
from decimal import Decimal as D
from fractions import Fraction as F
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from energy_accounting.facility import contracts, factor_times, factors
from tests.unit.facility import made

HOURS = st.integers(0, 8)


class WhatIsAContract(unittest.TestCase):

    def test_a_good_one_is_refused(self) -> None:
        for more in ({}, {'share': '1'}, {'kg_per_kwh': '0'},
                     {'renewable': True}, {'renewable': True,
                                           'retired': True}):
            self.assertEqual([], contracts.faults(made.contract(**more)),
                             more)

    def test_a_bad_field_passes_or_another_is_blamed(self) -> None:
        for field, more in (
                ('share', {'share': '0'}), ('share', {'share': '1.01'}),
                ('share', {'share': '-0.1'}), ('share', {'share': 'NaN'}),
                ('share', {'share': '0.' + '0' * 18 + '1'}),
                ('kg_per_kwh', {'kg_per_kwh': '-1'}),
                ('kg_per_kwh', {'kg_per_kwh': '363'}),
                ('kg_per_kwh', {'kg_per_kwh': 'Infinity'}),
                ('instrument', {'instrument': 'offset'}),
                ('basis', {'basis': 'net'}), ('end', {'end': 0}),
                ('retired', {'retired': True}), ('evidence',
                                                 {'evidence': ' '})):
            self.assertEqual([field], [name for name, _ in contracts.faults(
                made.contract(**more))], more)

    def test_more_than_all_is_bought(self) -> None:
        half = made.contract(0, 4, '0.5')
        self.assertIsNone(contracts.beyond([half, half]))
        # The same two of the other basis, one of them in two parts.
        self.assertIsNone(contracts.beyond([half, half, *(
            made.contract(start, end, '0.50', basis=factors.DIRECT,
                          evidence=' A  test')
            for start, end in ((0, 4), (0, 2), (2, 4)))]))
        self.assertEqual(
            (made.START_NS, made.START_NS + 4 * made.HOUR_NS, D('1.1')),
            contracts.beyond([half, made.contract(
                0, 4, '0.6', basis=factors.DIRECT)]))
        self.assertIsNone(contracts.beyond([
            half, made.contract(4, 8, '1')]))
        self.assertEqual(
            (made.START_NS + 2 * made.HOUR_NS,
             made.START_NS + 4 * made.HOUR_NS, D('1.1')),
            contracts.beyond([half, made.contract(2, 9, '0.6')]))


class OwnPlant(unittest.TestCase):

    def test_contracts_of_one_plant_contradict_each_other(self) -> None:
        hours = range(3)

        def of(*onsite: contracts.Contract) -> tuple[list[int], list[int]]:
            return tuple(  # type: ignore[return-value]
                [hour for hour in hours if any(
                    start <= made.START_NS + hour * made.HOUR_NS < end
                    for start, end in found(
                        onsite, made.START_NS,
                        made.START_NS + 3 * made.HOUR_NS))]
                for found in (contracts.kept, contracts.disputed))

        ours = made.contract(0, 3, renewable=True, retired=True)
        for other, expected in (
                # The same plant on the other basis.
                (made.contract(1, 2, basis=factors.DIRECT, renewable=True,
                               retired=True), ([0, 1, 2], [])),
                (made.contract(1, 2, '1', '0.5', renewable=True,
                               retired=True), ([0, 2], [1])),
                (made.contract(1, 2, basis=factors.DIRECT, renewable=True),
                 ([0, 2], [1]))):
            self.assertEqual(expected, of(ours, other), other)
            self.assertEqual(expected, of(other, ours), other)


class WhatElectricityWas(unittest.TestCase):

    def market(self, *bought: contracts.Contract, residual: str | None = None,
               end: int = 4) -> list[tuple[int, int, Any, str]]:
        spans = [] if residual is None else factor_times.counting(
            [made.factor(0, 9, residual, method=factors.MARKET,
                         quality=factors.ESTIMATED)],
            made.START_NS, made.START_NS + end * made.HOUR_NS)
        return [((one.start_ns - made.START_NS) // made.HOUR_NS,
                 (one.end_ns - made.START_NS) // made.HOUR_NS,
                 one.g_per_kwh, one.quality)
                for one in contracts.market(
                    bought, spans, made.START_NS,
                    made.START_NS + end * made.HOUR_NS, factors.LIFECYCLE)]

    def test_the_rest_is_not_the_residual_mix(self) -> None:
        # 60 % of 0, 10 % of 30 g, 30 % of 700 g.
        self.assertEqual([(0, 4, F(213), 'estimated')], self.market(
            made.contract(0, 9, '0.6', renewable=True, retired=True),
            made.contract(0, 9, '0.1', kg_per_kwh='0.03'), residual='700'))

    def test_an_unknown_residual_mix_is_zero(self) -> None:
        self.assertEqual([(0, 4, None, 'fallback')], self.market())
        self.assertEqual([(0, 4, None, 'fallback')], self.market(
            made.contract(0, 9, '0.9', renewable=True, retired=True)))

    def test_who_bought_all_needs_a_residual_mix(self) -> None:
        self.assertEqual([(0, 4, F(25), 'actual')], self.market(
            made.contract(0, 9, '1', kg_per_kwh='0.025', renewable=True)))

    def test_what_is_not_retired_is_renewable(self) -> None:
        for more, share in (({'renewable': True}, 0), ({}, 0),
                            ({'renewable': True, 'retired': True}, 1)):
            (found,) = contracts.renewable(
                [made.contract(0, 9, '1', **more)], made.START_NS,
                made.START_NS + made.HOUR_NS)
            self.assertEqual(share, found.share, more)

    def test_a_purchase_of_the_other_basis_is_the_residual_mix(self) -> None:
        other = made.contract(1, 2, '0.6', basis=factors.DIRECT)
        self.assertEqual(
            [(0, 1, F(700)), (1, 2, None), (2, 4, F(700))],
            [row[:3] for row in self.market(other, residual='700')])
        self.assertEqual([F(700), F(280), F(700)], [
            row[2] for row in self.market(
                other, made.contract(1, 2, '0.6'), residual='700')])
        # As much, and not the same.
        self.assertIsNone(self.market(other, made.contract(
            1, 2, '0.6', instrument='go'), residual='700')[1][2])

    def test_what_nobody_speaks_of_is_renewable_or_not(self) -> None:
        self.assertEqual(
            [(1, 3, F(3, 5), factors.DIRECT)],
            [((one.start_ns - made.START_NS) // made.HOUR_NS,
              (one.end_ns - made.START_NS) // made.HOUR_NS, one.share,
              one.basis) for one in contracts.renewable([made.contract(
                  1, 3, '0.6', renewable=True, retired=True,
                  basis=factors.DIRECT)], made.START_NS,
                  made.START_NS + 9 * made.HOUR_NS)])

    def test_a_purchase_of_two_bases_is_renewable_twice(self) -> None:
        """Whatever tells its records apart."""
        green = {'renewable': True, 'retired': True}
        found = contracts.renewable([
            made.contract(0, 2, '0.5', **green),
            made.contract(2, 4, '0.5', '0.03', **green),
            made.contract(0, 4, '0.5', basis=factors.DIRECT, **green,
                          evidence='another word')],
            made.START_NS, made.START_NS + 4 * made.HOUR_NS)
        self.assertEqual({F(1, 2)}, {one.share for one in found})

    def test_a_contract_counts_before_or_after_its_time(self) -> None:
        self.assertEqual(
            [(0, 1, F(500)), (1, 2, F(250)), (2, 3, F(0)), (3, 4, F(250))],
            [row[:3] for row in self.market(
                made.contract(1, 3, '0.5'), made.contract(2, 9, '0.5'),
                residual='500')])

    @given(st.lists(st.tuples(HOURS, HOURS, st.integers(1, 4)), max_size=4),
           st.lists(st.tuples(HOURS, HOURS, st.integers(0, 900)),
                    max_size=3))
    def test_a_moment_is_another_sum(self, bought: Any, mixes: Any) -> None:
        """As it is added up hour by hour, and no time is left out."""
        signed = [made.contract(start, start + length + 1, f'0.{share}',
                                kg_per_kwh=f'0.{share}')
                  for start, length, share in bought]
        known = [made.factor(start, start + length + 1, str(value),
                             method=factors.MARKET,
                             quality=factors.QUALITIES[place])
                 for place, (start, length, value) in enumerate(mixes)]
        end_ns = made.START_NS + 8 * made.HOUR_NS
        residual = factor_times.counting(known, made.START_NS, end_ns)
        found = contracts.market(signed, residual, made.START_NS, end_ns,
                                 factors.LIFECYCLE)
        self.assertEqual([], factor_times.holes(
            [factor_times.Span(one.start_ns, one.end_ns, known)
             for one in found],  # type: ignore[arg-type]
            made.START_NS, end_ns))
        for hour in range(8):
            at = made.START_NS + hour * made.HOUR_NS
            (here,) = [one for one in found
                       if one.start_ns <= at < one.end_ns]
            there = [one for one in signed
                     if one.start_ns <= at < one.end_ns]
            mix = [one.factor for one in residual
                   if one.start_ns <= at < one.end_ns]
            rest = 1 - sum(F(one.share) for one in there)
            expected = sum(F(one.share) * F(one.kg_per_kwh) * 1000
                           for one in there)
            if rest < 0:
                self.assertIsNone(here.g_per_kwh)
            elif rest == 0:
                self.assertEqual(expected, here.g_per_kwh)
            elif not mix:
                self.assertIsNone(here.g_per_kwh)
            else:
                self.assertEqual(expected + rest * F(mix[0].value),
                                 here.g_per_kwh)
