# SPDX-License-Identifier: Apache-2.0
"""Key figures are those of the standards, or are refused by name."""

import dataclasses
import datetime
import fractions
import unittest
import zoneinfo
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from energy_accounting import errors, units
from energy_accounting.facility import (
    editions,
    equipment,
    figures,
    inputs,
    kpi,
    means,
    quantities,
)

F = fractions.Fraction
BERLIN = zoneinfo.ZoneInfo('Europe/Berlin')
KWH = units.UJ_PER_KWH


def local(year: int, month: int = 1, day: int = 1) -> datetime.datetime:
    return datetime.datetime(year, month, day, tzinfo=BERLIN)


YEAR = inputs.Period(local(2025), local(2026))
MARCH = inputs.Period(local(2025, 3), local(2025, 4))


def scope(period: inputs.Period = YEAR, who: str = 'iso',
          **other) -> figures.Scope:
    return figures.Scope(**{
        'site': 'fra1', 'period': period, 'zone': BERLIN,
        'editions': editions.chosen(who),
        'calculated_by': 'energy-accounting 1.0.0', **other})


def raw(role: str, value: int | F, period: inputs.Period = YEAR,
        **other) -> inputs.Amount:
    """In the unit of the role."""
    return inputs.Amount(**{
        'role': role, 'value': value, 'period': period,
        'meters': (f'meter-{role}',), **other})


def kwh(role: str, value: int | F, *period, **other) -> inputs.Amount:
    return raw(role, value * KWH, *period, **other)


def m3(role: str, value: int, **other) -> inputs.Amount:
    return raw(role, value * 1_000_000, **other)


def kg(role: str, value: int | F, **other) -> inputs.Amount:
    return raw(role, value * 1_000_000, **other)


def gone(role: str) -> inputs.Missing:
    return inputs.Missing(role)


E_DC = kwh('dc_total', 1_200_000)
E_IT = kwh('it_ups_out', 1_000_000)
REUSE = kwh('heat_reused', 120_000)
HEAT = kwh('heat_removed', 1_050_000)
COOLING = kwh('cooling_el', 150_000)


def renewable(value: int, name: str = 'go-1', *,
              retired: bool = True) -> kpi.Attributes:
    return kpi.Attributes(kwh('renewable', value, meters=(name,)), retired)


class Base(unittest.TestCase):

    def assert_refused(self, *words: str, call, **how) -> None:
        with self.assertRaises(errors.FigureRefused) as caught:
            call(**how)
        for word in words:
            self.assertIn(word, str(caught.exception))


class TestArithmeticVectors(Base):

    def test_pue_is_not_total_over_it(self):
        self.assertEqual(Decimal('1.2'),
                         kpi.pue(scope(), 1, E_DC, E_IT).value)

    def test_dcie_is_not_the_inverse_of_pue(self):
        figure = kpi.dcie(scope(), 1, E_DC, E_IT)
        self.assertEqual(Decimal('0.833333'), figure.value)
        self.assertEqual(F(5, 6), figure.exact)

    def test_erf_is_not_the_share_that_is_reused(self):
        self.assertEqual(Decimal('0.1'),
                         kpi.erf(scope(), REUSE, E_DC).value)

    def test_ere_keeps_what_is_reused(self):
        figure = kpi.ere(scope(), 1, E_DC, REUSE, E_IT)
        self.assertEqual(Decimal('1.08'), figure.value)
        self.assertEqual(
            figures.Term('dc_total - heat_reused', F(1_080_000), 'kWh'),
            figure.numerator)

    def test_ref_is_above_1(self):
        figure = kpi.ref(scope(), [renewable(1_300_000)], E_DC)
        self.assertEqual(Decimal('1'), figure.value)
        self.assertIn('capped', figure.notes[0])
        self.assertEqual(1_300_000, figure.numerator.value)
        self.assertEqual((), kpi.ref(
            scope(), [renewable(1_200_000)], E_DC).notes)

    def test_wue_is_not_litres_for_a_kwh(self):
        figure = kpi.wue(scope(), 2, m3('water_in', 500), E_IT)
        self.assertEqual((Decimal('0.5'), 'L/kWh'),
                         (figure.value, figure.unit))
        self.assertEqual(('m3', 500), (figure.numerator.unit,
                                       figure.numerator.value))

    def test_cer_is_not_heat_over_electricity(self):
        self.assertEqual(Decimal('7'), kpi.cer(
            scope(), HEAT, COOLING, electric=True).value)

    def test_5000_litres_of_diesel_are_not_49500_kwh_of_the_total(self):
        fuel = raw('dc_generator', quantities.Quantity(
            'diesel', 'cumulative', 'l').exact('5000'))
        total = inputs.e_dc([kwh('dc_total', 1_000_000), fuel])
        self.assertEqual(1_049_500 * KWH, total.value)
        self.assertEqual('dc_total', total.role)

    def test_a_factor_of_a_fuel_has_no_source(self):
        for fuel in inputs.FUELS.values():
            self.assertIn('EN 50600-4', fuel.source)

    def two_sites(self):
        found = []
        for site, energy, value in (('a', 100, F(11, 10)),
                                    ('b', 300, F(3, 2))):
            e_dc = kwh('dc_total', energy, meters=(f'dc-{site}',))
            e_it = kwh('it_ups_out', energy / value, meters=(f'it-{site}',))
            found.append((kpi.pue(scope(site=site), 1, e_dc, e_it), e_dc))
        return found

    def test_the_eu_weighted_mean_is_a_plain_one_or_a_ratio_of_sums(self):
        mean = means.mean_by_energy(self.two_sites())
        self.assertEqual(F(14, 10), mean.exact)
        self.assertEqual(Decimal('1.4'), mean.value)
        self.assertIn('annex IV', mean.notes[0])
        self.assertEqual(('dc-a', 'it-a', 'dc-b', 'it-b'), mean.meters)
        self.assertEqual(
            (figures.Term('PUE x dc_total', F(560), 'kWh'),
             figures.Term('dc_total', F(400), 'kWh'), 'a, b'),
            (mean.numerator, mean.denominator, mean.site))

    def test_a_mean_is_more_certain_than_its_worst_site(self):
        (one, e_dc), (other, _) = self.two_sites()
        one = dataclasses.replace(one, coverage=F(96, 100),
                                  estimated=F(1, 100))
        other = dataclasses.replace(other, estimated=F(3, 100))
        for figure in (means.mean_by_energy([(one, e_dc), (other, e_dc)]),
                       means.ratio_of_sums([one, other])):
            self.assertEqual((F(96, 100), F(3, 100)),
                             (figure.coverage, figure.estimated))

    def test_the_ratio_of_sums_is_the_weighted_mean(self):
        ratio = means.ratio_of_sums([one for one, _ in self.two_sites()])
        self.assertEqual(Decimal('1.375'), ratio.value)
        self.assertEqual(Decimal('290.909090909090909'),
                         ratio.denominator.value)


    def test_the_ratio_of_sums_of_water_is_in_cubic_metres(self):
        found = [kpi.wue(scope(site=site), 2, m3('water_in', water),
                         kwh('it_ups_out', 1000))
                 for site, water in (('a', 1), ('b', 2))]
        self.assertEqual(Decimal('1.5'), means.ratio_of_sums(found).value)


class TestPublishedVectors(Base):

    def test_the_eu_of_2024_does_not_have_12_279_twh_of_it(self):
        # 776 data centres: 16.7 TWh at a PUE of 1.36.
        e_it = F(1_670_000_000_000, 136)
        figure = kpi.pue(scope(), 1, kwh('dc_total', 16_700_000_000),
                         kwh('it_ups_out', e_it))
        self.assertEqual(Decimal('1.36'), figure.value)
        self.assertEqual(12_279, round(figure.denominator.exact / 10 ** 6))

    def test_meta_of_2023_does_not_have_a_pue_of_1_08(self):
        e_it = kwh('it_ups_out', F(14_975_435_000 * 100, 108))
        figure = kpi.pue(scope(), 1, kwh('dc_total', 14_975_435_000), e_it)
        self.assertEqual(Decimal('1.08'), figure.value)
        # 3881 ML withdrawn, all water, for 13.87 TWh of IT.
        water = kpi.wue(scope(), 2, m3('water_in', 3_881_000), e_it)
        self.assertEqual(Decimal('0.279890'), water.value)

    def test_meta_of_2021_does_not_have_a_wue_of_0_26(self):
        e_it = kwh('it_ups_out', 1_000_000)
        self.assertEqual(
            (Decimal('1.09'), Decimal('0.26')),
            (kpi.pue(scope(), 1, kwh('dc_total', 1_090_000), e_it).value,
             kpi.wue(scope(), 2, m3('water_in', 260), e_it).value))

    def test_ovhcloud_does_not_have_a_pue_of_1_28(self):
        self.assertEqual(Decimal('1.28'), kpi.pue(
            scope(), 2, kwh('dc_total', 128),
            kwh('it_pdu_out', 100)).value)

    def test_100_kwh_of_heat_by_50_kwh_are_the_inverse_of_a_cer_of_2(self):
        self.assertEqual(Decimal('2'), kpi.cer(
            scope(), kwh('heat_removed', 100), kwh('cooling_el', 50),
            electric=True).value)

    def test_germany_of_2024_does_not_have_0_49368_kg_for_a_kwh(self):
        # 0.363 kg/kWh at a PUE of 1.36: 49.368 kg for 100 kWh of IT.
        figure = kpi.cue(scope(), 1, kg('co2_location', F(363 * 136, 1000)),
                         kwh('it_ups_out', 100), basis='direct')
        self.assertEqual(Decimal('0.49368'), figure.value)
        self.assertEqual(Decimal('49.368'), figure.numerator.value)
        self.assertEqual(('kg', 'kg CO2/kWh'),
                         (figure.numerator.unit, figure.unit))


class TestServers(Base):

    def models(self):
        return [equipment.ServerModel('a', 10, 12_000, 400, 'ssj_ops'),
                equipment.ServerModel('b', 5, 30_000, 1200, 'ssj_ops')]

    def test_iteesv_is_the_mean_of_ratios(self):
        figure = equipment.iteesv(scope(), self.models())
        # 270 000 over 10 kW; the mean of 30 000 and 25 000 is none.
        self.assertEqual((Decimal('27000'), 'ssj_ops/kW'),
                         (figure.value, figure.unit))

    def test_a_model_without_a_row_is_left_out_in_silence(self):
        figure = equipment.iteesv(scope(), self.models(), {'c'})
        self.assertIsNone(figure.value)
        self.assertEqual('server_models: c has no SMPE and SMPO',
                         figure.why)
        self.assertEqual(figure.why,
                         equipment.iteesv(scope(), [], {'c'}).why)
        self.assertIsNone(equipment.iteesv(scope(), []).value)

    def test_a_model_that_is_not_installed_any_more_is_refused(self):
        one, other = self.models()
        self.assertEqual(30_000, equipment.iteesv(scope(), [
            one, dataclasses.replace(other, count=0, smpe=0)]).value)
        self.assertEqual('server_models: no server is in the table',
                         equipment.iteesv(scope(), [
                             dataclasses.replace(one, count=0)]).why)

    def test_iteesv_mixes_benchmarks(self):
        one, other = self.models()
        other = dataclasses.replace(other, benchmark='sert')
        self.assert_refused('sert and ssj_ops', call=equipment.iteesv,
                            scope=scope(), models=[one, other])

    def test_iteesv_divides_by_a_power_of_nothing_or_a_float(self):
        one, _ = self.models()
        for change in ({'smpo_w': 0}, {'smpe': -1}, {'smpe': 1.5},
                       {'count': True}):
            self.assert_refused(
                'model a', call=equipment.iteesv, scope=scope(),
                models=[dataclasses.replace(one, **change)])
        self.assert_refused('two rows', call=equipment.iteesv,
                            scope=scope(), models=[one, one])
        self.assert_refused('two rows', call=equipment.iteesv,
                            scope=scope(), models=[one], unrated={'a'})

    def row(self, name='h1', busy=25, capacity=100, measured=10, due=10):
        return equipment.Utilisation(name, busy, capacity, measured, due)

    def test_iteusv_lets_a_large_server_outweigh_a_small_one(self):
        figure = equipment.iteusv(scope(), [
            self.row(busy=50), self.row('h2', busy=0, capacity=900)])
        self.assertEqual((Decimal('25'), '%'), (figure.value, figure.unit))
        self.assertEqual(('h1', 'h2'), figure.meters)

    def test_iteusv_of_many_servers_is_not_their_mean(self):
        hour = 3600 * units.NS_PER_S
        figure = equipment.iteusv(scope(), [
            self.row(str(busy), busy, 8, hour, hour) for busy in range(8)])
        self.assertEqual(F(28 * 100, 64), figure.exact)
        self.assertEqual((Decimal('3.5'), Decimal('8'), 'server hours'), (
            figure.numerator.value, figure.denominator.value,
            figure.denominator.unit))
        self.assertEqual(1, figure.coverage)

    def test_iteusv_weighs_a_server_of_an_hour_like_one_of_a_year(self):
        figure = equipment.iteusv(scope(), [
            self.row(busy=50, measured=30, due=30),
            self.row('h2', busy=90, measured=10, due=10)])
        self.assertEqual(60, figure.value)

    def test_iteusv_takes_a_fleet_half_measured_for_all_of_it(self):
        self.assert_refused(
            'ITEUsv: busy_ns has data for 50.00 %', '95.00 %',
            call=equipment.iteusv, scope=scope(),
            rows=[self.row(), self.row('h2', 0, 0, measured=0)])

    def test_iteusv_of_no_server_is_a_number(self):
        for rows in ([], [self.row(busy=0, capacity=0, measured=0)]):
            figure = equipment.iteusv(scope(), rows)
            self.assertIsNone(figure.value)
            self.assertIn('no server', figure.why)

    def test_a_kernel_tick_too_many_refuses_the_year(self):
        self.assertEqual(100, equipment.iteusv(
            scope(), [self.row(busy=101)]).value)

    def test_iteusv_is_computed_of_what_cannot_be(self):
        for change, word in (({'busy': 102}, 'CPUs'), ({'busy': -1}, 'neg'),
                             ({'capacity': 0}, 'above 0'),
                             ({'measured': -1}, 'neg'),
                             ({'measured': 0, 'due': -1}, 'in_service_ns'),
                             ({'due': 9}, 'in_service_ns')):
            self.assert_refused(word, 'h1', call=equipment.iteusv,
                                scope=scope(), rows=[self.row(**change)])


class TestNames(Base):
    """What a figure is called says what it is of."""

    def named(self, period=YEAR, **other):
        return kpi.pue(scope(period), 1,
                       kwh('dc_total', 12, period, **other),
                       kwh('it_ups_out', 10, period, **other)).name

    def test_a_month_looks_like_a_year(self):
        self.assertEqual('PUE', self.named())
        self.assertEqual('iPUE', self.named(MARCH))

    def test_a_plan_or_a_room_looks_like_the_site(self):
        self.assertEqual('dPUE', self.named(planned=True))
        self.assertEqual('pPUE', self.named(section='room 2'))
        self.assertEqual('pdPUE',
                         self.named(planned=True, section='room 2'))

    def test_the_prefixes_have_no_order(self):
        self.assertEqual('idPUE', self.named(MARCH, planned=True))
        self.assertEqual('ipPUE', self.named(MARCH, section='r'))
        self.assertEqual('ipdPUE',
                         self.named(MARCH, planned=True, section='r'))

    def test_a_figure_half_planned_looks_measured(self):
        self.assertEqual('dPUE', kpi.pue(
            scope(), 1, E_DC,
            kwh('it_ups_out', 900_000, planned=True, meters=())).name)

    def test_a_year_in_utc_is_one_of_a_site_in_berlin(self):
        utc = inputs.Period(datetime.datetime(2025, 1, 1, tzinfo=units.UTC),
                             datetime.datetime(2026, 1, 1, tzinfo=units.UTC))
        self.assertEqual('iPUE', self.named(utc))
        self.assertEqual(12, utc.months(units.UTC))

    def test_a_year_from_july_is_none(self):
        self.assertEqual('PUE', self.named(
            inputs.Period(local(2024, 7), local(2025, 7))))

    def test_365_days_of_a_leap_year_are_a_year(self):
        self.assertEqual('iPUE', self.named(
            inputs.Period(local(2024), local(2024, 12, 31))))
        self.assertEqual('PUE', self.named(
            inputs.Period(local(2024), local(2025))))

    def test_a_figure_of_more_than_a_year_is_told(self):
        for start, end in ((local(2024), local(2025, 1, 2)),
                           (local(2024, 2, 29), local(2025, 3, 2)),
                           (local(2024), local(2026))):
            self.assert_refused('longer than a year', call=self.named,
                                period=inputs.Period(start, end))
        self.assertEqual('iPUE', self.named(
            inputs.Period(local(2024, 2, 29), local(2025, 3, 1))))

    def test_every_figure_of_a_month_looks_like_one_of_a_year(self):
        def month(role, value):
            return kwh(role, value, MARCH)
        e_dc, e_it = month('dc_total', 12), month('it_ups_out', 10)
        asked = scope(MARCH)
        attributes = kpi.Attributes(month('renewable', 6), True)
        self.assertEqual(
            ['iDCiE', 'iREF', 'iERF', 'iERE', 'iCER', 'iCUE', 'iWUE',
             'iITEEsv', 'iITEUsv'],
            [one.name for one in (
                kpi.dcie(asked, 1, e_dc, e_it),
                kpi.ref(asked, [attributes], e_dc),
                kpi.erf(asked, month('heat_reused', 1), e_dc),
                kpi.ere(asked, 1, e_dc, month('heat_reused', 1), e_it),
                kpi.cer(asked, month('heat_removed', 9),
                        month('cooling_el', 3), electric=True),
                kpi.cue(asked, 1, month('co2_market', 1), e_it,
                        basis='lifecycle'),
                kpi.wue(asked, 1, month('water_potable', 1), e_it),
                equipment.iteesv(asked, TestServers().models()),
                equipment.iteusv(asked, [TestServers().row()]))])


class TestWhatStandsBeside(Base):
    """All that an auditor asks for is on the figure."""

    def test_the_figure_does_not_say_what_it_is_made_of(self):
        figure = kpi.pue(
            scope(), 1,
            kwh('dc_total', 1_200_000, coverage=F(99, 100),
                estimated=F(1, 100), reading_seconds=900),
            kwh('it_ups_out', 1_000_000, coverage=F(98, 100),
                estimated=F(2, 100), reading_seconds=3600))
        self.assertEqual(figures.Figure(
            name='PUE', figure='PUE', exact=F(6, 5), unit='1',
            standard='ISO/IEC 30134-2:2026', category=1, site='fra1',
            section='', period=YEAR, coverage=F(98, 100),
            estimated=F(2, 100),
            numerator=figures.Term('dc_total', F(1_200_000), 'kWh'),
            denominator=figures.Term('it_ups_out', F(1_000_000), 'kWh'),
            meters=('meter-dc_total', 'meter-it_ups_out'), missing=(),
            reading_seconds=3600, calculated_by='energy-accounting 1.0.0',
            notes=(), rounding='half to even, 6 decimal places'), figure)

    def test_the_law_and_iso_have_one_edition(self):
        self.assertEqual(
            'DIN EN 50600-4-2:2019-08',
            kpi.pue(scope(who='enefg'), 1, E_DC, E_IT).standard)
        self.assertEqual(
            'DIN EN 50600-4-6:2020-11',
            kpi.erf(scope(who='enefg'), REUSE, E_DC).standard)
        self.assertEqual(
            'ISO/IEC 30134-2:2016',
            kpi.pue(scope(editions={'PUE': 'ISO/IEC 30134-2:2016'}), 1,
                    E_DC, E_IT).standard)

    def test_readings_by_the_hour_are_told_as_by_the_quarter(self):
        def pue(category, role, seconds, other=900):
            return kpi.pue(
                scope(), category,
                dataclasses.replace(E_DC, reading_seconds=other),
                kwh(role, 1, reading_seconds=seconds))
        for category, role, often in ((1, 'it_ups_out', 745 * 3600),
                                      (2, 'it_pdu_out', 25 * 3600),
                                      (3, 'it_input', 900)):
            self.assertEqual((), pue(category, role, often).notes)
            self.assertEqual(
                (f'category {category} wants readings every {often} s; the '
                 f'longest time between two is {often + 1} s',),
                pue(category, role, often + 1).notes)
        for seconds, other in ((None, 900), (10 ** 9, None)):
            figure = pue(3, 'it_input', seconds, other)
            self.assertEqual((None, ()),
                             (figure.reading_seconds, figure.notes))

    def test_water_is_wanted_as_often_as_energy_of_its_number(self):
        slow = {'reading_seconds': 10 ** 7}
        for category, role in ((1, 'water_potable'), (2, 'water_in')):
            self.assertEqual((), kpi.wue(
                scope(), category, m3(role, 1, **slow),
                kwh('it_ups_out', 1, **slow)).notes)

    def test_a_figure_without_a_category_wants_readings(self):
        slow = {'reading_seconds': 10 ** 7}
        self.assertEqual((), kpi.erf(
            scope(), kwh('heat_reused', 1, **slow),
            kwh('dc_total', 1, **slow)).notes)

    def test_a_tie_is_rounded_up(self):
        self.assertEqual(Decimal('0.000002'),
                         figures.rounded(F(25, 10 ** 7), 6))
        self.assertEqual(Decimal('-0.000004'),
                         figures.rounded(F(-35, 10 ** 7), 6))

    def test_a_large_number_is_cut_to_28_digits(self):
        self.assertEqual(str(10 ** 30) + '.333333',
                         str(figures.rounded(10 ** 30 + F(1, 3), 6)))

    def test_the_sum_of_supplies_forgets_what_they_were(self):
        total = inputs.e_dc(
            [kwh('dc_total', 900, coverage=F(97, 100), reading_seconds=900),
             kwh('dc_generator', 100, estimated=F(1, 2),
                 reading_seconds=60)],
            [kwh('grid_export', 50)])
        self.assertEqual(950 * KWH, total.value)
        self.assertEqual(F(97, 100), total.coverage)
        self.assertEqual(F(50, 1050), total.estimated)
        self.assertEqual(('meter-dc_total', 'meter-dc_generator',
                          'meter-grid_export'), total.meters)
        self.assertIsNone(total.reading_seconds)

    def test_a_sum_of_nothing_forgets_what_was_guessed(self):
        self.assertEqual(F(1, 2), inputs.e_dc([
            kwh('dc_total', 0), kwh('dc_generator', 0, estimated=F(1, 2)),
        ]).estimated)

    def test_an_amount_is_told_in_another_unit(self):
        for role, value, text in (
                ('dc_total', 0, '0 kWh'), ('dc_total', KWH, '1 kWh'),
                ('dc_total', F(-KWH, 1000), '-0.001 kWh'),
                ('water_in', 1_500_000, '1.5 m3'),
                ('co2_market', 20 * 10 ** 6, '20 kg')):
            self.assertEqual(text, inputs.shown(role, value))

    def test_a_period_keeps_the_zone_it_was_given_in(self):
        self.assertEqual((units.UTC, units.UTC),
                         (MARCH.start.tzinfo, MARCH.end.tzinfo))
        self.assertEqual('2025-02-28T23:00:00Z/2025-03-31T22:00:00Z',
                         str(MARCH))

    def test_it_of_two_halls_is_not_their_sum(self):
        self.assertEqual(
            kwh('it_pdu_out', 3, meters=('a', 'b')),
            inputs.it_energy([kwh('it_pdu_out', 1, meters=('a',)),
                               kwh('it_pdu_out', 2, meters=('b',))]))

    def test_attributes_that_are_sold_count(self):
        figure = kpi.ref(scope(), [
            renewable(300_000), renewable(600_000, 'pv', retired=False)],
            E_DC)
        self.assertEqual(F(1, 4), figure.exact)
        self.assertEqual(('pv is not retired and counts 0',), figure.notes)

    def test_location_and_market_are_one_number(self):
        for role in ('co2_location', 'co2_market'):
            figure = kpi.cue(scope(), 1, kg(role, 1), E_IT,
                             basis='lifecycle')
            self.assertEqual(role, figure.numerator.name)
            self.assertIn(f'{role[4:]}-based', figure.notes[0])
            self.assertEqual('kg CO2e/kWh', figure.unit)


class TestMissing(Base):
    """A number that nobody knows is none, and says whose it is."""

    def each(self, e_dc=E_DC, e_it=E_IT):
        yield kpi.pue(scope(), 1, e_dc, e_it)
        yield kpi.dcie(scope(), 1, e_dc, e_it)
        yield kpi.ere(scope(), 1, e_dc, REUSE, e_it)
        yield kpi.cue(scope(), 1, kg('co2_market', 1), e_it, basis='direct')
        yield kpi.wue(scope(), 2, m3('water_in', 1), e_it)

    def test_missing_it_is_a_number_or_infinite(self):
        for figure in self.each(e_it=gone('it_ups_out')):
            self.assertIsNone(figure.value)
            self.assertEqual('it_ups_out: no meter of this role has '
                             'readings in the period', figure.why)
            self.assertEqual('fra1', figure.site)

    def test_it_of_nothing_divides(self):
        for figure in self.each(e_it=kwh('it_ups_out', 0)):
            if figure.figure == 'DCiE':
                self.assertEqual(0, figure.value)
                continue
            self.assertIsNone(figure.value)
            self.assertIn('it_ups_out: is 0', figure.why)

    def test_a_total_of_nothing_divides(self):
        nothing = kwh('dc_total', 0)
        for figure in (kpi.erf(scope(), kwh('heat_reused', 0), nothing),
                       kpi.ref(scope(), [renewable(1)], nothing),
                       kpi.dcie(scope(), 1, nothing, kwh('it_ups_out', 0))):
            self.assertIsNone(figure.value)
            self.assertIn('dc_total: is 0', figure.why)

    def test_cooling_of_nothing_divides(self):
        figure = kpi.cer(scope(), HEAT, kwh('cooling_el', 0), electric=True)
        self.assertIsNone(figure.value)
        self.assertIn('cooling_el: is 0', figure.why)

    def test_an_input_is_missing_and_not_named(self):
        for figure, role in (
                (kpi.pue(scope(), 1, gone('dc_total'), E_IT), 'dc_total'),
                (kpi.erf(scope(), gone('heat_reused'), E_DC), 'heat_reused'),
                (kpi.erf(scope(), REUSE, gone('dc_total')), 'dc_total'),
                (kpi.ere(scope(), 1, E_DC, gone('heat_reused'), E_IT),
                 'heat_reused'),
                (kpi.ere(scope(), 1, gone('dc_total'), REUSE, E_IT),
                 'dc_total'),
                (kpi.ref(scope(), gone('renewable'), E_DC), 'renewable'),
                (kpi.ref(scope(), [], E_DC), 'renewable'),
                (kpi.cer(scope(), gone('heat_removed'), COOLING,
                         electric=True), 'heat_removed'),
                (kpi.cue(scope(), 1, gone('co2_market'), E_IT,
                         basis='direct'), 'co2_market'),
                (kpi.wue(scope(), 1, gone('water_potable'), E_IT),
                 'water_potable')):
            self.assertIsNone(figure.value)
            self.assertEqual([role], [one.role for one in figure.missing])

    def test_no_attributes_are_told_as_a_missing_meter(self):
        self.assertIn('no attributes are known',
                      kpi.ref(scope(), [], E_DC).why)
        self.assertEqual(0, kpi.ref(scope(), [renewable(0)], E_DC).value)

    def test_what_is_missing_hides_what_is_there(self):
        figure = kpi.pue(scope(), 1, E_DC, gone('it_ups_out'))
        self.assertEqual(1_200_000, figure.numerator.value)
        self.assertIsNone(figure.denominator)
        self.assertEqual(('meter-dc_total',), figure.meters)

    def test_both_are_missing_and_one_is_told(self):
        figure = kpi.pue(scope(), 1, gone('dc_total'), gone('it_ups_out'))
        self.assertEqual(2, len(figure.missing))
        self.assertIsNone(figure.coverage)

    def test_a_sum_with_a_supply_missing_is_a_sum(self):
        self.assertEqual(gone('dc_generator'), inputs.e_dc(
            [E_DC, gone('dc_generator')]))
        self.assertEqual(gone('dc_total'), inputs.e_dc([]))
        self.assertEqual(gone('it_ups_out'), inputs.it_energy([]))

    def test_sites_of_nothing_have_a_mean(self):
        nothing = kwh('dc_total', 0)
        figure = means.mean_by_energy([
            (kpi.pue(scope(), 1, E_DC, E_IT), nothing)])
        self.assertEqual((None, 'dc_total: is 0 at every site'),
                         (figure.value, figure.why))

    def test_a_mean_leaves_out_the_site_without_a_figure(self):
        found = [(kpi.pue(scope(site='a'), 1, E_DC, E_IT), E_DC),
                 (kpi.pue(scope(site='b'), 1, E_DC, gone('it_ups_out')),
                  E_DC)]
        for figure in (means.mean_by_energy(found),
                       means.ratio_of_sums([one for one, _ in found])):
            self.assertIsNone(figure.value)
            self.assertIn('it_ups_out: b: no meter', figure.why)
        self.assertEqual((), figure.notes)


class TestRefusals(Base):

    def every(self, **change):
        """A call for each figure of a site, its inputs changed alike."""
        def of(one):
            return dataclasses.replace(one, **change)
        asked = scope()
        return {
            'PUE': lambda: kpi.pue(asked, 1, E_DC, of(E_IT)),
            'DCiE': lambda: kpi.dcie(asked, 1, E_DC, of(E_IT)),
            'ERE': lambda: kpi.ere(asked, 1, E_DC, of(REUSE), E_IT),
            'ERF': lambda: kpi.erf(asked, of(REUSE), E_DC),
            'REF': lambda: kpi.ref(asked, [renewable(1)], of(E_DC)),
            'CER': lambda: kpi.cer(asked, HEAT, of(COOLING), electric=True),
            'CUE': lambda: kpi.cue(asked, 1, of(kg('co2_market', 1)), E_IT,
                                   basis='direct'),
            'WUE': lambda: kpi.wue(asked, 2, of(m3('water_in', 1)), E_IT)}

    def test_two_periods_make_a_figure(self):
        shifted = inputs.Period(local(2025, 2), local(2026, 2))
        for period in (MARCH, shifted):
            for name, call in self.every(period=period).items():
                with self.subTest(name):
                    self.assert_refused(str(period), call=call)

    def test_a_month_over_a_year_is_told_as_a_wrong_meter(self):
        small = kwh('dc_total', 1, MARCH)
        for call in (lambda: kpi.pue(scope(), 1, small, E_IT),
                     lambda: kpi.erf(scope(), REUSE, small)):
            self.assert_refused('over the same period', call=call)

    def test_a_period_is_figured_that_nobody_asked_for(self):
        self.assert_refused('asked for', str(MARCH), call=kpi.pue,
                            scope=scope(MARCH), category=1, e_dc=E_DC,
                            e_it=E_IT)

    def test_gaps_above_the_limit_make_a_figure(self):
        for name, call in self.every(coverage=F(94_999, 100_000)).items():
            with self.subTest(name):
                self.assert_refused('94.99 %', 'limit is 95.00 %', call=call)
        for call in self.every(coverage=F(95, 100)).values():
            self.assertEqual(F(95, 100), call().coverage)

    def test_the_limit_cannot_be_told(self):
        part = dataclasses.replace(E_IT, coverage=F(90, 100))
        self.assertEqual(Decimal('1.2'), kpi.pue(
            scope(minimum_coverage=F(9, 10)), 1, E_DC, part).value)
        self.assert_refused(
            'limit is 99.90 %', call=kpi.pue, category=1, e_dc=E_DC,
            e_it=dataclasses.replace(E_IT, coverage=F(999, 1001)),
            scope=scope(minimum_coverage=F(999, 1000)))

    def test_two_sections_make_a_figure(self):
        for name, call in self.every(section='room 2').items():
            with self.subTest(name):
                self.assert_refused("section 'room 2'", call=call)

    def test_an_amount_is_what_none_can_be(self):
        for change, words in (
                ({'value': F(-3 * KWH, 2)}, '-1.5 kWh is negative'),
                ({'value': F(-1, 9)}, 'negative'),
                ({'value': 1.5}, 'not exact'),
                ({'value': True}, 'not exact'),
                ({'value': Decimal(1)}, 'not exact'),
                ({'coverage': F(11, 10)}, 'coverage 11/10'),
                ({'coverage': 0.99}, 'coverage 0.99'),
                ({'estimated': F(-1)}, 'estimated -1'),
                ({'meters': ()}, 'no meter is named'),
                ({'meters': ('m', 'm')}, 'twice'),
                ({'role': 'it'}, 'not a role')):
            with self.subTest(change):
                self.assert_refused(words, call=raw, **{
                    'role': 'it_ups_out', 'value': 1, **change})

    def test_a_meter_is_in_a_sum_twice(self):
        self.assert_refused('meter-dc_total', 'twice', call=inputs.e_dc,
                            supplies=[E_DC, E_DC])

    def test_supplies_of_two_periods_or_sections_are_a_sum(self):
        for other, words in (
                (kwh('dc_generator', 1, MARCH), str(MARCH)),
                (kwh('dc_generator', 1, section='hall'), 'hall')):
            self.assert_refused(words, call=inputs.e_dc,
                                supplies=[E_DC, other])

    def test_a_plan_without_numbers_that_fit_names_no_meter(self):
        self.assert_refused(
            'the planned numbers (dc_total)', call=kpi.pue, scope=scope(),
            category=1, e_it=E_IT,
            e_dc=kwh('dc_total', 1, planned=True, meters=()))

    def test_a_certificate_is_counted_twice(self):
        self.assert_refused('go-1', 'twice', call=kpi.ref, scope=scope(),
                            renewable=[renewable(1), renewable(2)],
                            e_dc=E_DC)

    def test_more_is_exported_than_came_in(self):
        self.assert_refused('dc_total', 'negative', call=inputs.e_dc,
                            supplies=[kwh('dc_total', 1)],
                            exported=[kwh('grid_export', 2)])

    def test_a_pue_below_1_is_told(self):
        for call, how in ((kpi.pue, {}), (kpi.dcie, {}),
                          (kpi.ere, {'e_reuse': REUSE})):
            self.assert_refused(
                'meter assignment error', 'meter-it_ups_out', '1200000 kWh',
                '1200000.001 kWh', call=call, scope=scope(), category=1,
                e_dc=E_DC, e_it=kwh('it_ups_out', F(1_200_000_001, 1000)),
                **how)

    def test_a_pue_of_just_1_is_refused(self):
        self.assertEqual(1, kpi.pue(scope(), 1, kwh('dc_total', 1),
                                    kwh('it_ups_out', 1)).value)

    def test_categories_are_mixed(self):
        for category, role in ((1, 'it_pdu_out'), (2, 'it_input'),
                               (3, 'it_ups_out')):
            for call, how in (
                    (kpi.pue, {'e_dc': E_DC}), (kpi.dcie, {'e_dc': E_DC}),
                    (kpi.ere, {'e_dc': E_DC, 'e_reuse': REUSE}),
                    (kpi.cue, {'co2': kg('co2_market', 1),
                               'basis': 'direct'})):
                self.assert_refused(
                    f'E_IT of category {category}', role, call=call,
                    scope=scope(), category=category, e_it=kwh(role, 1),
                    **how)
        self.assert_refused('mixes categories', call=inputs.it_energy,
                            parts=[E_IT, kwh('it_input', 1)])
        self.assert_refused('water_potable', call=kpi.wue, scope=scope(),
                            category=1, w_in=m3('water_in', 1), e_it=E_IT)

    def test_a_category_is_none_of_the_standard(self):
        for category in (0, 4, None, True):
            self.assert_refused(
                'not known: use 1 or 2 or 3', call=kpi.pue, scope=scope(),
                category=category, e_dc=E_DC, e_it=E_IT)
        self.assert_refused(
            'not known: use 1 or 2', call=kpi.wue, scope=scope(),
            category=3, w_in=m3('water_in', 1), e_it=E_IT)

    def test_a_figure_has_no_edition(self):
        self.assert_refused('PUE needs the edition', 'none was given',
                            call=kpi.pue, scope=scope(editions={}),
                            category=1, e_dc=E_DC, e_it=E_IT)
        self.assert_refused("'EN 1' is not one", call=editions.edition,
                            figure='PUE', editions={'PUE': 'EN 1'})
        for overrides in ({'PUE': 'ISO/IEC 30134-9:2022'}, {'XUE': 'x'}):
            self.assert_refused(*overrides, call=editions.chosen,
                                overrides=overrides)
        self.assert_refused('eu', call=editions.chosen, who='eu')

    def test_nobody_asked_or_calculated_it(self):
        for empty in ('site', 'calculated_by'):
            self.assert_refused(empty, call=scope, **{empty: ''})

    def test_a_limit_is_no_share(self):
        for limit in (0.95, 95, F(-1), F(2)):
            self.assert_refused(f'minimum_coverage {limit!r}', call=scope,
                                minimum_coverage=limit)

    def test_a_period_is_none(self):
        for start, end, word in (
                (local(2025), local(2025), 'after'),
                (local(2025), local(2024), 'after'),
                (datetime.datetime(2025, 1, 1), local(2026), 'time zone')):
            self.assert_refused(word, call=inputs.Period, start=start,
                                end=end)

    def test_more_is_reused_than_there_was(self):
        for call, how in ((kpi.erf, {}),
                          (kpi.ere, {'category': 1, 'e_it': E_IT})):
            self.assert_refused(
                'ERF is above 1', 'meter-heat_reused', call=call,
                scope=scope(), e_reuse=kwh('heat_reused', 1_200_001),
                e_dc=E_DC, **how)
        self.assertEqual(1, kpi.erf(
            scope(), kwh('heat_reused', 1_200_000), E_DC).value)

    def test_cooling_by_heat_has_a_cer(self):
        self.assert_refused('not driven by electricity', call=kpi.cer,
                            scope=scope(), q_removed=HEAT,
                            e_cooling=COOLING, electric=False)

    def test_a_cue_has_no_basis(self):
        self.assert_refused("basis 'net'", call=kpi.cue, scope=scope(),
                            category=1, co2=kg('co2_market', 1), e_it=E_IT,
                            basis='net')

    def test_a_role_stands_where_another_belongs(self):
        asked, wrong = scope(), kwh('pv_onsite', 1)
        for call in (
                lambda: kpi.pue(asked, 1, wrong, E_IT),
                lambda: kpi.erf(asked, wrong, E_DC),
                lambda: kpi.erf(asked, REUSE, wrong),
                lambda: kpi.ref(asked, [kpi.Attributes(wrong, True)], E_DC),
                lambda: kpi.ref(asked, [renewable(1)], wrong),
                lambda: kpi.cer(asked, wrong, COOLING, electric=True),
                lambda: kpi.cer(asked, HEAT, wrong, electric=True),
                lambda: kpi.cue(asked, 1, wrong, E_IT, basis='direct'),
                lambda: kpi.wue(asked, 1, m3('water_potable', 1), wrong),
                lambda: kpi.wue(asked, 1, wrong, E_IT)):
            self.assert_refused('is of the role', 'not pv_onsite', call=call)
        for how in ({'supplies': [E_IT]},
                    {'supplies': [kwh('cooling_el', 1)]},
                    {'supplies': [E_DC], 'exported': [E_IT]}):
            self.assert_refused('no part of E_DC', call=inputs.e_dc, **how)
        self.assert_refused('not a sum of water_in', call=inputs.add,
                            role='dc_total', parts=[m3('water_in', 1)])

    def test_figures_that_do_not_compare_are_one(self):
        one = kpi.pue(scope(site='a'), 1, E_DC, E_IT)
        for change in ({'name': 'iPUE'}, {'category': 2}, {'period': MARCH},
                       {'standard': 'EN'}, {'site': 'a'}):
            other = dataclasses.replace(one, **{'site': 'b', **change})
            for call in (
                    lambda: means.ratio_of_sums([one, other]),  # noqa: B023
                    lambda: means.mean_by_energy(
                        [(one, E_DC), (other, E_DC)])):  # noqa: B023
                self.assert_refused(
                    'twice' if 'site' in change else next(iter(change)),
                    call=call)
        self.assert_refused('none', call=means.ratio_of_sums, found=[])
        for weight in (E_IT, kwh('dc_total', 1, MARCH)):
            self.assert_refused('a', call=means.mean_by_energy,
                                sites=[(one, weight)])

    def test_capped_shares_are_summed(self):
        figure = kpi.ref(scope(), [renewable(1_300_000)], E_DC)
        self.assert_refused('REF', call=means.ratio_of_sums, found=[figure])


ENERGY = st.integers(1, 10 ** 24)
SHARE = st.fractions(0, 1, max_denominator=1000)


class TestLaws(unittest.TestCase):

    def pair(self, e_it, more):
        return (raw('dc_total', e_it + more),
                raw('it_ups_out', e_it))

    @given(ENERGY, st.integers(0, 10 ** 24))
    def test_dcie_times_pue_is_not_1(self, e_it, more):
        pair = self.pair(e_it, more)
        self.assertEqual(1, kpi.pue(scope(), 1, *pair).exact
                         * kpi.dcie(scope(), 1, *pair).exact)

    @given(ENERGY, st.integers(0, 10 ** 24), SHARE)
    def test_ere_is_not_pue_without_what_is_reused(self, e_it, more, share):
        e_dc, it = self.pair(e_it, more)
        reuse = raw('heat_reused', e_dc.value * share)
        self.assertEqual(
            kpi.pue(scope(), 1, e_dc, it).exact
            * (1 - kpi.erf(scope(), reuse, e_dc).exact),
            kpi.ere(scope(), 1, e_dc, reuse, it).exact)

    @given(ENERGY, st.integers(0, 10 ** 24),
           st.fractions(0, 2, max_denominator=1000))
    def test_cue_of_one_source_is_not_its_factor_times_pue(
            self, e_it, more, kg_per_kwh):
        e_dc, it = self.pair(e_it, more)
        co2 = kg('co2_location', F(e_dc.value, KWH) * kg_per_kwh)
        self.assertEqual(
            kg_per_kwh * kpi.pue(scope(), 1, e_dc, it).exact,
            kpi.cue(scope(), 1, co2, it, basis='direct').exact)

    @given(ENERGY, st.integers(0, 2 * 10 ** 24))
    def test_ref_is_no_share(self, e_dc, e_ren):
        figure = kpi.ref(
            scope(), [kpi.Attributes(raw('renewable', e_ren,
                                         meters=('go',)), True)],
            raw('dc_total', e_dc))
        self.assertEqual(min(F(1), F(e_ren, e_dc)), figure.exact)

    @given(st.lists(st.tuples(ENERGY, st.integers(0, 10 ** 24)),
                    min_size=1, max_size=5))
    def test_a_mean_over_sites_leaves_their_range(self, sites):
        found = []
        for number, one in enumerate(sites):
            e_dc, e_it = self.pair(*one)
            found.append((kpi.pue(scope(site=str(number)), 1, e_dc, e_it),
                          e_dc))
        values = [figure.exact for figure, _ in found]
        weighted = means.mean_by_energy(found).exact
        ratio = means.ratio_of_sums([figure for figure, _ in found]).exact
        self.assertTrue(min(values) <= ratio <= weighted <= max(values))

    @given(st.fractions(0, 10 ** 6), st.integers(0, 15))
    def test_rounding_moves_by_more_than_half_a_step(self, exact, places):
        value = figures.rounded(exact, places)
        self.assertLessEqual(abs(F(value) - exact) * 10 ** places, F(1, 2))
        self.assertEqual(-places, value.as_tuple().exponent)

    @given(st.lists(ENERGY, min_size=1, max_size=5),
           st.lists(SHARE, min_size=5, max_size=5))
    def test_a_sum_guesses_more_or_less_than_its_parts(self, values, guesses):
        parts = [raw('dc_total', value, meters=(str(number),),
                     estimated=guess) for number, (value, guess)
                 in enumerate(zip(values, guesses, strict=False))]
        total = inputs.e_dc(parts)
        self.assertEqual(sum(one.value for one in parts), total.value)
        self.assertEqual(sum(one.value * one.estimated for one in parts),
                         total.value * total.estimated)
