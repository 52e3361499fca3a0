# SPDX-License-Identifier: Apache-2.0
"""What a site's meters and factors make of each bucket."""

from __future__ import annotations

import decimal
import fractions
import itertools
import unittest
from collections.abc import Iterable, Sequence
from typing import Any

import hypothesis
from hypothesis import strategies as st

from energy_accounting import errors, units
from energy_accounting.facility import (
    amounts,
    batches,
    carbon,
    contract_store,
    contracts,
    factor_store,
    factors,
    meter_amounts,
    meters,
    ratios,
    supplies,
    supply,
)
from energy_accounting.ledger import audit, sites
from tests.unit.facility import slowly
from tests.unit.ledger import filled, reading

FIRST = reading.FIRST
OPERATOR = audit.Actor('an operator')
NOW_NS = filled.NOW_NS


def at(bucket: int) -> int:
    return bucket * units.BUCKET_NS


def grams(ng: ratios.Exact | None) -> fractions.Fraction:
    """g/kWh."""
    assert ng is not None
    return (fractions.Fraction(ng.numerator, ng.denominator)
            / carbon.NG_PER_UJ)


class SiteCase(reading.LedgerCase):
    """The site ``default`` in Berlin, on the German grid."""

    def setUp(self) -> None:
        super().setUp()
        self.now_ns = NOW_NS
        with self.database.writer() as connection:
            sites.change(connection, self.by(), 'default', {
                'time_zone': 'Europe/Berlin', 'grid_zone': 'DE'})

    def by(self) -> audit.By:
        return audit.By(OPERATOR, self.now_ns)

    def meter(self, role: str, values: Iterable[int | str | None], *,
              first: int = FIRST, step: int = 1, kind: str = 'interval',
              unit: str = 'kWh', medium: str = 'electricity',
              **given: Any) -> None:
        """A meter called as its role, and its reading of each interval."""
        batch = [
            batches.Given(at(end), str(value), start_ns=at(end - step)
                           if kind == 'interval' else None)
            for end, value in zip(range(first + step, 1 << 62, step),
                                  values, strict=False)
            if value is not None]
        with self.database.writer() as connection:
            meters.create(connection, self.by(), role, 'default', {
                'medium': medium, 'role': role, 'unit': unit, 'kind': kind,
                **given})
            batches.add(connection, self.by(), role, batch, 'api')

    def factor(self, value: str, first: int = FIRST, last: int = FIRST + 96,
               **changes: Any) -> None:
        given: dict[str, Any] = {
            'kind': factors.CARBON, 'carrier': 'electricity',
            'basis': 'lifecycle', 'method': 'location', 'signal': 'average',
            'zone': 'DE', 'quality': 'actual', 'provider': 'operator',
            'source': 'a test', 'retrieved_ns': self.now_ns, **changes}
        with self.database.writer() as connection:
            factor_store.record(connection, [factors.Factor(
                start_ns=at(first), end_ns=at(last),
                value=decimal.Decimal(value), **given)], self.now_ns,
                OPERATOR)

    def pue(self, value: str) -> None:
        self.factor(value, kind=factors.PUE, basis=None, method=None,
                    signal=None, zone=None, site='default', unit='1')

    def supplies(self, buckets: int = 4, as_of_ns: int = NOW_NS,
                 ) -> Sequence[supply.Supply] | None:
        with self.database.reader() as connection:
            return supplies.read(connection, FIRST, FIRST + buckets,
                                 as_of_ns).get(1)

    def known(self, buckets: int = 4, **asked: Any) -> list[supply.Supply]:
        found = self.supplies(buckets, **asked)
        assert found is not None
        return list(found)


@st.composite
def a_meter(draw: Any, role: str) -> slowly.Said:
    """Of [0, 12) buckets: installed and removed at any time, with holes."""
    third = units.BUCKET_NS // 3
    edges = sorted(draw(st.sets(st.integers(-4, 40), min_size=2)))
    intervals = [
        amounts.Interval(start * third, end * third,
                         draw(st.integers(0, 10 ** 13)))
        for start, end in itertools.pairwise(edges)
        if draw(st.sampled_from((True, True, True, False)))]
    moment = st.none() | st.integers(0, 36 * third)
    meter = meters.Meter(
        1, role, 'a site', None, 'diesel' if role == 'dc_generator'
        else 'electricity', role, 'kWh', 'interval', *[None] * 5,
        draw(moment), draw(moment), *[None] * 4)
    return slowly.Said(
        meter, draw(st.sampled_from((None, None, 'sum'))), amounts.placed(
            amounts.Measured(tuple(intervals)), draw(st.sampled_from(
                ('interval', 'gauge'))), meter.service).intervals)


def a_site() -> st.SearchStrategy[dict[str, list[slowly.Said]]]:
    return st.fixed_dictionaries({
        role: st.lists(a_meter(role), max_size=2 if role == 'dc_total' else 1)
        for role in ('dc_total', 'dc_generator', 'pv_onsite', 'grid_export',
                     'it_ups_out')})


INTENSITIES = st.dictionaries(
    st.sampled_from(('electricity', 'diesel', 'solar')),
    st.builds(carbon.Intensity, st.fractions(0, 900, max_denominator=1000),
              st.sampled_from(supply.QUALITIES)))


class LawsTest(unittest.TestCase):

    @hypothesis.settings(max_examples=40)
    @hypothesis.given(a_site(), st.lists(INTENSITIES, min_size=12,
                                         max_size=12))
    def test_a_site_is_another_one_bucket_by_bucket(
            self, site: dict[str, list[slowly.Said]],
            known: list[dict[str, carbon.Intensity]]) -> None:
        buckets = range(12)
        metered = supplies.metered({role: [
            meter_amounts.of(
                one.meter, amounts.Measured(
                    tuple(one.intervals), service=one.meter.service),
                buckets, one.inside)
            for one in site.get(role, ())]
            for role in supplies.ROLES}, buckets) or supplies.NOTHING
        emitted = carbon.by_bucket(
            metered.carriers_uj, lambda carrier: {
                bucket: here[carrier] for bucket, here in enumerate(known)
                if carrier in here}, buckets)
        for bucket in buckets:
            used = slowly.carriers(site, bucket)
            self.assertEqual(used, {
                carrier: series.get(bucket)
                for carrier, series in metered.carriers_uj.items()})
            self.assertEqual(
                None if not used or None in used.values()
                else sum(amount or 0 for amount in used.values()),
                metered.facility_uj.get(bucket))
            self.assertEqual(
                slowly.amount(site['it_ups_out'], bucket, absent=None),
                metered.it_uj.get(bucket))
            self.assertEqual(slowly.intensity(used, known[bucket]),
                             emitted[bucket])


class SuppliesTest(SiteCase):

    def test_a_site_of_which_nobody_says_anything_has_a_supply(self) -> None:
        self.assertIsNone(self.supplies())

    def test_what_an_operator_says_does_not_count(self) -> None:
        self.pue('1.36')
        self.factor('363')
        self.assertEqual({supply.Supply(
            pue=fractions.Fraction(136, 100), pue_kind='configured',
            location=363 * carbon.NG_PER_UJ, factor_quality='actual',
            factor_basis='lifecycle')}, set(self.known()))

    def test_a_quarter_has_another_pue_than_its_meters(self) -> None:
        self.meter('dc_total', [12, 13, 15, 14])
        self.meter('it_ups_out', [10, 10, 10, None])
        self.pue('1.5')
        self.assertEqual(
            [(fractions.Fraction(12, 10), 'interval'),
             (fractions.Fraction(13, 10), 'interval'),
             (fractions.Fraction(15, 10), 'interval'),
             (fractions.Fraction(15, 10), 'configured')],
            [(one.pue, one.pue_kind) for one in self.known()])

    def pues(self, buckets: int = 4) -> list[tuple[Any, str | None]]:
        return [(one.pue, one.pue_kind) for one in self.known(buckets)]

    def test_an_hour_of_both_sides_is_not_the_mean_of_its_quarters(
            self) -> None:
        self.meter('dc_total', ['0', '48', '100.5'], kind='cumulative',
                   step=4, first=FIRST - 4)
        self.meter('it_ups_out', [40, '42.5'], step=4)
        self.assertEqual({(fractions.Fraction(48, 40), 'interval')},
                         {*self.pues()})

    def test_an_even_share_of_a_month_passes_for_a_quarters_own(
            self) -> None:
        self.meter('dc_total', [0, 120_000], kind='cumulative', step=2880,
                   first=FIRST - 4880)
        self.meter('it_ups_out', [10, 20, 50, 5])
        self.pue('1.5')
        self.assertEqual({(fractions.Fraction(3, 2), 'configured')},
                         {*self.pues()})

    def test_a_month_of_both_sides_passes_for_a_quarters_own(self) -> None:
        for role, value in (('dc_total', 120_000), ('it_ups_out', 100_000)):
            self.meter(role, [0, value], kind='cumulative', step=2880,
                       first=FIRST - 4880)
        self.assertEqual({'iPUE'}, {kind for _, kind in self.pues()})
        for value, _ in self.pues():
            self.assertAlmostEqual(1.2, value.numerator / value.denominator)

    def test_hours_of_one_side_pass_for_quarters_of_the_other(self) -> None:
        # From a local midnight on, a whole day.
        first = FIRST - FIRST % 96 - 8
        self.meter('dc_total', [48] * 72, step=4, first=first)
        self.meter('it_ups_out', [5, 10, 10, 15] * 72, first=first)
        self.assertEqual({(fractions.Fraction(12, 10), 'iPUE')},
                         {*self.pues()})

    def test_a_counter_of_days_says_something_of_another_day(self) -> None:
        """Two days' energy says nothing of one of them."""
        first = FIRST - FIRST % 96 - 8
        self.meter('dc_total', [48 * 48], step=192, first=first)
        self.meter('it_ups_out', [10] * 192, first=first)
        self.assertEqual({(None, None)}, {*self.pues()})

    def test_a_months_litres_take_the_quarters_of_a_site(self) -> None:
        """None of a generator that stood still, and next to none."""
        self.meter('dc_total', [12] * 4)
        self.meter('it_ups_out', [10] * 4)
        self.meter('dc_generator', [0, 35], unit='l', medium='diesel',
                   first=FIRST - 2880, step=2882)
        one, other = fractions.Fraction(12, 10), self.pues()
        self.assertEqual([(one, 'interval')] * 2, other[:2])
        # 35 l of 9.9 kWh in 2882 quarters are 0.12 kWh in each.
        self.assertEqual(['interval'] * 2, [kind for _, kind in other[2:]])

    def test_a_months_litres_pass_for_the_quarters_they_were_burnt_in(
            self) -> None:
        self.meter('dc_total', [12] * 4)
        self.meter('it_ups_out', [10] * 4)
        self.meter('dc_generator', [36], unit='l', medium='diesel',
                   first=FIRST - 2880, step=2888)
        self.assertEqual([None] * 4,
                         [kind for _, kind in self.pues()])

    def test_the_meter_behind_a_meter_is_counted_twice(self) -> None:
        self.meter('dc_total', [12] * 4)
        with self.database.writer() as connection:
            meters.create(connection, self.by(), 'hall', 'default', {
                'medium': 'electricity', 'role': 'dc_total', 'unit': 'kWh',
                'kind': 'interval', 'parent': 'dc_total'})
            batches.add(connection, self.by(), 'hall', [batches.Given(
                at(FIRST + 1), '5', start_ns=at(FIRST))], 'api')
        self.meter('it_ups_out', [10] * 4)
        self.assertEqual({fractions.Fraction(12, 10)},
                         {one.pue for one in self.known()})

    def test_a_meter_that_was_not_there_yet_leaves_a_gap(self) -> None:
        self.meter('dc_total', [12] * 4)
        self.meter('dc_generator', [3, 3], first=FIRST + 2,
                   installed_ns=at(FIRST + 2))
        self.meter('it_ups_out', [10] * 4)
        self.assertEqual(
            [fractions.Fraction(value, 10) for value in (12, 12, 15, 15)],
            [one.pue for one in self.known()])

    def test_a_site_used_nothing_before_its_meters_came(self) -> None:
        """Neither energy nor water: nobody knows."""
        came: dict[str, Any] = {'first': FIRST + 2,
                                'installed_ns': at(FIRST + 2)}
        self.meter('dc_total', [12] * 2, **came)
        self.meter('pv_onsite', [3] * 4)
        self.meter('it_ups_out', [10] * 4)
        self.meter('water_in', [5] * 2, unit='l', medium='water', **came)
        self.assertEqual(
            [(None, False), (None, False), (fractions.Fraction(3, 2), True),
             (fractions.Fraction(3, 2), True)],
            [(one.pue, one.water is not None) for one in self.known()])
        with self.database.reader() as connection:
            (site,) = supplies.sites(connection, NOW_NS)
            metered = supplies.metered_of(
                connection, site, range(FIRST, FIRST + 4), NOW_NS)
        assert metered is not None
        self.assertEqual({FIRST + 2, FIRST + 3}, set(metered.facility_uj))

    def test_the_fuel_of_a_site_emits_nothing(self) -> None:
        self.meter('dc_total', [8] * 4)
        self.meter('dc_generator', ['0.2'] * 4, unit='l', medium='diesel')
        self.meter('it_ups_out', [5] * 4)
        self.factor('400')
        self.assertEqual({None}, {one.location for one in self.known()})
        self.factor('266', carrier='diesel', quality='fallback')
        # 8 kWh of the grid and 0.2 l of 9.9 kWh.
        total = fractions.Fraction('9.98')
        self.assertEqual({(
            (8 * 400 + fractions.Fraction('1.98') * 266) / total
            * carbon.NG_PER_UJ, total / 5, 'fallback')},
            {(one.location, one.pue, one.factor_quality)
             for one in self.known()})

    def test_a_generator_takes_the_co2_of_a_site_for_good(self) -> None:
        self.meter('dc_total', [8] * 4)
        self.meter('dc_generator', [2] * 4)
        self.factor('400')
        self.assertEqual({None}, {one.location for one in self.known()})
        self.factor('900', carrier=supplies.GENERATOR)
        self.assertEqual({500 * carbon.NG_PER_UJ}, {
            fractions.Fraction(one.location.numerator,
                               one.location.denominator)
            for one in self.known() if one.location is not None})

    def test_the_sun_emits_as_the_grid_does(self) -> None:
        self.meter('dc_total', [6] * 4)
        self.meter('pv_onsite', [4] * 4)
        self.meter('grid_export', [2] * 4)
        self.meter('it_ups_out', [8] * 4)
        self.factor('400')
        self.assertEqual(
            {(fractions.Fraction(6 * 400, 8) * carbon.NG_PER_UJ,
              fractions.Fraction(1))},
            {(one.location, one.pue) for one in self.known()})

    def test_water_is_of_another_energy(self) -> None:
        self.meter('water_in', [5] * 4, unit='l', medium='water')
        self.meter('dc_total', [12] * 4)
        self.meter('it_ups_out', [10] * 4)
        # 5 l for 10 kWh.
        self.assertEqual({fractions.Fraction(500_000, units.UJ_PER_KWH)},
                         {one.water for one in self.known()})

    def of_bases(self) -> list[tuple[Any, ...]]:
        return [(one.location and grams(one.location), one.factor_basis,
                 one.market and grams(one.market), one.market_basis,
                 one.market_quality) for one in self.known()]

    def test_direct_co2_and_that_of_a_whole_life_are_one_sum(self) -> None:
        self.factor('363', basis='direct', quality='fallback')
        self.factor('445', last=FIRST + 1)
        self.factor('600', basis='direct', method='market')
        rest = 600, 'direct', 'actual'
        # More is known of one basis; then of the other as well.
        self.assertEqual([(363, 'direct', *rest)] * 4, self.of_bases())
        self.factor('440', FIRST + 1, quality='fallback')
        self.assertEqual(
            [(445, 'lifecycle', *rest)] + [(440, 'lifecycle', *rest)] * 3,
            self.of_bases())

    def on_basis(self, buckets: int) -> set[tuple[Any, ...]]:
        return {(one.location and grams(one.location), one.factor_basis)
                for one in self.known(buckets)}

    def test_a_quarter_without_a_factor_changes_all_others(self) -> None:
        """Be the other basis a fallback, or an actual one."""
        self.factor('445', last=FIRST + 39)
        for quality in ('fallback', 'actual'):
            self.factor('363', basis='direct', quality=quality)
            for buckets, expected in (
                    (39, {(445, 'lifecycle')}),
                    (40, {(445, 'lifecycle'), (None, None)})):
                self.assertEqual(expected, self.on_basis(buckets), quality)

    def test_what_lacks_half_of_the_time_keeps_its_basis(self) -> None:
        self.factor('445', last=FIRST + 20)
        self.factor('363', basis='direct', quality='fallback')
        for buckets, expected in ((39, {(445, 'lifecycle'), (None, None)}),
                                  (43, {(363, 'direct')})):
            self.assertEqual(expected, self.on_basis(buckets))

    def test_a_generator_that_stood_still_changes_the_basis(self) -> None:
        self.meter('dc_total', [12] * 40)
        self.factor('450')
        self.factor('363', basis='direct', quality='fallback')
        self.meter('dc_generator', [0] * 40, unit='l', medium='diesel')
        self.factor('266', basis='direct', carrier='diesel')
        self.assertEqual({(450, 'lifecycle')}, self.on_basis(40))

    def test_a_page_does_not_know_what_ran_on_another(self) -> None:
        """A generator, whose factor is of one basis."""
        self.meter('dc_total', [12] * 40)
        self.factor('450')
        self.factor('363', basis='direct')
        self.meter('dc_generator', [0] * 20 + [1] * 20, unit='l',
                   medium='diesel')
        self.factor('266', basis='direct', carrier='diesel')
        with self.database.reader() as connection:
            found = supplies.read(
                connection, FIRST, FIRST + 20, NOW_NS,
                asked=range(FIRST, FIRST + 40))[1]
        self.assertEqual({(363, 'direct')}, {
            (grams(one.location), one.factor_basis) for one in found})

    def test_a_site_is_not_counted_on_the_basis_it_says(self) -> None:
        self.factor('450')
        self.factor('363', FIRST + 1, basis='direct', quality='fallback')
        before = self.now_ns
        for said, expected in (
                ('direct', {(363, 'direct'), (None, None)}),
                ('lifecycle', {(450, 'lifecycle')})):
            self.now_ns += 1
            with self.database.writer() as connection:
                sites.change(connection, self.by(), 'default',
                             {'factor_basis': said})
            self.assertEqual(expected, {
                (one.location and grams(one.location), one.factor_basis)
                for one in self.known(as_of_ns=self.now_ns)})
        self.assertEqual({(450, 'lifecycle')}, self.on_basis(4))
        with self.database.reader() as connection:
            site = sites.found(connection, 'default')
            self.assertEqual([None, 'direct'], [
                sites.as_of(connection, site, as_of_ns).factor_basis
                for as_of_ns in (before, before + 1)])

    def test_a_purchase_of_the_other_basis_is_lost(self) -> None:
        self.bought('ppa', '0.6', kg_per_kwh='0.025')
        self.factor('600', basis='direct', method='market')
        self.assertEqual([(None, 0.6)] * 4, self.by_market())
        self.bought('ppa', '0.6', kg_per_kwh='0.02', basis='direct')
        self.assertEqual([(252, 0.6)] * 4, self.by_market())

    def test_a_purchase_is_renewable_twice(self) -> None:
        self.bought('ppa', '0.5', kg_per_kwh='0.02')
        self.bought('ppa', '0.5', basis='direct', evidence='other words')
        self.assertEqual([(None, 0.5)] * 4, self.by_market())
        with self.assertRaisesRegex(errors.Conflict, 'shares .* would be 1.1'
                                    '.* both bases'):
            self.bought('go', '0.1', basis='direct')

    def test_nobody_said_what_was_bought_and_it_is_not_renewable(
            self) -> None:
        self.meter('dc_total', [12] * 4)
        self.meter('pv_onsite', [1] * 4)
        self.bought('onsite', '1', FIRST + 1)
        self.assertEqual([1 / 13, None, None, None],
                         [one for _, one in self.by_market()])
        # Of energy that is not renewable.
        self.bought('tariff', '1', retired=False)
        self.assertEqual([1 / 13, 0, 0, 0],
                         [one for _, one in self.by_market()])

    def test_more_is_handed_on_than_the_grid_delivered(self) -> None:
        """What is left is all of the generator, and emits as its fuel."""
        self.meter('dc_total', [2] * 4)
        self.meter('dc_generator', [2] * 4, unit='l', medium='diesel')
        self.meter('grid_export', [10] * 4)
        self.factor('400')
        self.factor('266', carrier='diesel')
        self.bought('go', '1')
        self.assertEqual({(266, 0)}, {
            (one.location and grams(one.location), one.renewable
             and one.renewable.numerator) for one in self.known()})

    def test_more_is_handed_on_than_the_plant_made(self) -> None:
        self.meter('dc_total', [3] * 4)
        self.meter('pv_onsite', [4] * 4)
        self.meter('grid_export', [5] * 4)
        self.factor('400')
        self.assertEqual({400}, {
            one.location and grams(one.location) for one in self.known()})

    def test_what_stands_in_goes_before_what_was_found(self) -> None:
        self.factor('445', quality='fallback')
        self.factor('350', basis='direct')
        self.assertEqual([(350, 'direct', None, None, None)] * 4,
                         self.of_bases())

    def test_of_two_bases_known_alike_that_of_the_whole_life_is_lost(
            self) -> None:
        self.factor('350', basis='direct')
        self.factor('445')
        self.assertEqual([(445, 'lifecycle', None, None, None)] * 4,
                         self.of_bases())

    def test_a_part_of_a_question_is_of_another_basis(self) -> None:
        """A page of rows, say: the sum over all would be of both."""
        self.factor('363', basis='direct')
        self.factor('445', last=FIRST + 2)
        with self.database.reader() as connection:
            found = supplies.read(
                connection, FIRST, FIRST + 2, NOW_NS,
                asked=range(FIRST, FIRST + 4))[1]
        self.assertEqual([(363, 'direct')] * 2, [
            (grams(one.location), one.factor_basis) for one in found])

    def test_a_quarter_with_a_hole_has_the_factor_of_its_rest(self) -> None:
        self.factor('400', last=FIRST + 1)
        self.meter('dc_total', [12] * 2)
        self.meter('it_ups_out', [10] * 2)
        with self.database.writer() as connection:
            factor_store.record(connection, [factors.Factor(
                kind=factors.CARBON, carrier='electricity', zone='DE',
                start_ns=at(FIRST + 1), end_ns=at(FIRST + 2) - 60 * 10 ** 9,
                value=decimal.Decimal(400), quality='actual',
                provider='operator', source='a test', basis='lifecycle',
                method='location', signal='average',
                retrieved_ns=self.now_ns)], self.now_ns, OPERATOR)
        self.assertEqual([400, None], [
            one.location and grams(one.location)
            for one in self.known(2)])

    def test_what_was_bought_is_lost(self) -> None:
        self.factor('400')
        self.factor('700', method='market')
        with self.database.writer() as connection:
            contract_store.record(connection, contracts.Contract(
                'default', 'ppa', at(FIRST), at(FIRST + 2),
                decimal.Decimal('0.75'), decimal.Decimal(0), 'lifecycle',
                renewable=True, retired=True, evidence='a contract'),
                self.now_ns, OPERATOR)
        self.assertEqual(
            [(400, 175, fractions.Fraction(3, 4))] * 2
            + [(400, 700, None)] * 2,
            [(grams(one.location), grams(one.market), one.renewable)
             for one in self.known()])

    def test_the_mean_of_the_grid_stands_in_for_the_residual_mix(
            self) -> None:
        self.factor('400')
        self.assertEqual({None}, {one.market for one in self.known()})

    def bought(self, instrument: str, share: str, last: int = FIRST + 96,
               kg_per_kwh: str = '0', basis: str = 'lifecycle',
               retired: bool = True, evidence: str = 'a contract') -> None:
        with self.database.writer() as connection:
            contract_store.record(connection, contracts.Contract(
                'default', instrument, at(FIRST), at(last),
                decimal.Decimal(share), decimal.Decimal(kg_per_kwh), basis,
                renewable=True, retired=retired, evidence=evidence),
                self.now_ns, OPERATOR)

    def roofed(self) -> None:
        """6 kWh of the grid and 4 of a roof in each quarter."""
        self.meter('dc_total', [6] * 4)
        self.meter('pv_onsite', [4] * 4)
        self.meter('it_ups_out', [8] * 4)
        self.factor('400')
        self.factor('700', method='market')

    def by_market(self) -> list[tuple[Any, Any]]:
        return [(one.market and grams(one.market),
                 None if one.renewable is None else one.renewable.numerator
                 / one.renewable.denominator) for one in self.known()]

    def test_an_own_plant_counts_twice(self) -> None:
        """Once by its meter, and once more as a share of the grid."""
        self.roofed()
        self.bought('onsite', '0.4', FIRST + 2)
        self.assertEqual([(420, 0.4)] * 2 + [(700, None)] * 2,
                         self.by_market())

    def test_certificates_that_were_sold_are_ones_own(self) -> None:
        self.roofed()
        self.bought('onsite', '0.4', retired=False)
        self.assertEqual([(700, 0)] * 4, self.by_market())

    def test_attributes_of_which_nobody_speaks_are_ones_own(self) -> None:
        self.roofed()
        self.assertEqual([(700, None)] * 4, self.by_market())
        self.bought('go', '0.25')
        self.assertEqual([(595, 0.15)] * 4, self.by_market())

    def test_who_bought_all_of_the_grids_cannot_keep_the_suns(self) -> None:
        self.roofed()
        self.bought('go', '1')
        self.bought('onsite', '1', kg_per_kwh='0.05')
        self.assertEqual([(20, 1)] * 4, self.by_market())

    def test_a_purchase_of_two_bases_counts_twice_or_in_one(self) -> None:
        self.roofed()
        for basis in supply.BASES:
            self.bought('ppa', '0.5', basis=basis)
        self.bought('onsite', '0.4', basis='direct')
        # 350 g of the grid on the first basis, where the sun has no factor
        # but is the site's.
        self.assertEqual([(210, (0.5 * 6 + 4) / 10)] * 4, self.by_market())
        # What it emitted is known on the basis that has no residual mix.
        self.bought('go', '0.25', basis='direct')
        self.assertEqual([(None, (0.75 * 6 + 4) / 10)] * 4,
                         self.by_market())

    def test_a_plant_emits_what_is_said_of_it_on_the_other_basis(
            self) -> None:
        self.roofed()
        self.bought('onsite', '1', kg_per_kwh='0.5', basis='direct')
        self.assertEqual([(420, 0.4)] * 4, self.by_market())

    def test_what_was_sold_emits_what_a_contract_says(self) -> None:
        """Of somebody else's electricity, of which nobody says it."""
        self.meter('dc_total', [6] * 4)
        self.meter('pv_onsite', [4] * 4)
        self.bought('onsite', '1', kg_per_kwh='0.04', retired=False)
        self.bought('ppa', '1', kg_per_kwh='0.1')
        self.assertEqual([(None, 0.6)] * 4, self.by_market())

    def test_the_first_of_contradicting_contracts_counts(self) -> None:
        self.bought('onsite', '0.5', kg_per_kwh='0.5')
        self.bought('onsite', '0.5', retired=False)
        # They were shares of the grid, until a meter came.
        self.roofed()
        self.assertEqual([(None, None)] * 4, self.by_market())
        with self.assertRaisesRegex(errors.Conflict, 'onsite contract speaks'):
            self.bought('onsite', '0.5', basis='direct')

    def test_two_contracts_speak_of_one_plant(self) -> None:
        self.roofed()
        self.bought('onsite', '0.4', FIRST + 2)
        for more in ({'kg_per_kwh': '0.5'},
                     {'retired': False, 'basis': 'direct'}):
            with self.assertRaisesRegex(
                    errors.Conflict, 'contract.instrument: from .* an onsite '
                    "contract speaks already .* 'default'"):
                self.bought('onsite', '0.4', **more)
        self.bought('onsite', '0.4', basis='direct')

    def test_a_line_of_ones_own_without_a_meter_is_no_share(self) -> None:
        self.meter('dc_total', [6] * 4)
        self.meter('it_ups_out', [5] * 4)
        self.factor('700', method='market')
        self.bought('onsite', '0.5')
        self.assertEqual([(350, 0.5)] * 4, self.by_market())

    def test_last_years_value_stands_in_for_ever_or_not_at_all(
            self) -> None:
        self.factor('363', FIRST - 400 * 96, FIRST - 35 * 96,
                    quality='fallback', basis='direct')
        # Ended too long ago, though its basis would go first.
        self.factor('333', FIRST - 1100 * 96, FIRST - 735 * 96,
                    quality='fallback')
        self.assertEqual({(363 * carbon.NG_PER_UJ, 'fallback', 'direct')}, {
            (one.location, one.factor_quality, one.factor_basis)
            for one in self.known()})

    def test_yesterdays_answer_changes_with_a_correction(self) -> None:
        self.factor('363')
        self.meter('dc_total', [12] * 4)
        self.meter('it_ups_out', [10] * 4)
        before = self.known()
        self.now_ns = NOW_NS + 10 ** 9
        self.factor('380')
        with self.database.writer() as connection:
            batches.add(connection, self.by(), 'dc_total', [batches.Given(
                at(FIRST + 1), '14', start_ns=at(FIRST))], 'api',
                correct=True)
        self.assertEqual(before, self.known())
        after = self.known(as_of_ns=self.now_ns)
        self.assertEqual(
            [fractions.Fraction(value, 10) for value in (14, 12, 12, 12)],
            [one.pue for one in after])
        self.assertEqual({380 * carbon.NG_PER_UJ},
                         {one.location for one in after})
