# SPDX-License-Identifier: Apache-2.0
"""The key figures of a site by HTTP, of a year of readings.

What they should be is worked out here once more, from the numbers that the
readings were made of.
"""

from __future__ import annotations

import datetime
import decimal
import functools
import pathlib
import tempfile
from fractions import Fraction
from typing import Any

import sqlalchemy as sa

from energy_accounting import units
from energy_accounting.api import app
from energy_accounting.facility import contract_store, models, supplies
from energy_accounting.ledger import engine
from energy_accounting.ledger import models as ledger
from tests.unit import records
from tests.unit.api import cloud
from tests.unit.facility import year

PATH = f'/v1/sites/{year.NAME}/kpis'
E_IT = Fraction(sum(year.UPS_A) + sum(year.UPS_B), 1000)
DIESEL = sum(year.DIESEL_L) * Fraction(99, 10)
GRID = Fraction(sum(year.GRID), 1000)
PV = Fraction(sum(year.PV), 1000)
E_DC = GRID + DIESEL + PV
REUSED = sum(year.REUSED_KWH)
MARCH = {'start': '2025-02-28T23:00:00Z', 'end': '2025-03-31T22:00:00Z'}


def text(exact: Fraction) -> str:
    """To six places, half to even, by another way than the service's."""
    with decimal.localcontext(prec=60):
        return str((decimal.Decimal(exact.numerator)
                    / decimal.Decimal(exact.denominator)).quantize(
            decimal.Decimal('1e-6'), decimal.ROUND_HALF_EVEN))


@functools.cache
def _year() -> bytes:
    """A ledger with the year in it: it is written once in a process."""
    with tempfile.TemporaryDirectory() as directory:
        path = pathlib.Path(directory) / 'year.db'
        database = records.database(f'sqlite:///{path}')
        cloud.fill(database)
        year.Year(database).write()
        # The last one that closes it writes all of it into the one file.
        database.close()
        return path.read_bytes()


class SiteCase(cloud.ApiCase):
    """The cloud of all tests of the API, and a site with a year."""

    def new_database(self) -> engine.Database:
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        path = pathlib.Path(directory.name) / 'ledger.db'
        path.write_bytes(_year())
        database = engine.Database(f'sqlite:///{path}')
        self.addCleanup(database.close)
        return database

    def fill(self) -> None:
        """It is filled."""

    def setUp(self) -> None:
        super().setUp()
        self.now = year.NOW
        self.year = year.Year(self.database)

    def kpis(self, token: str = 'admin-p1', **query: Any) -> Any:
        return self.get(PATH, token, **query)['kpis']

    def only(self, figure: str, category: int | None = None,
             section: str | None = None, **query: Any) -> Any:
        """The one figure of a name, category and section."""
        (found,) = [one for one in self.kpis(**query)
                    if (one['figure'], one['section']) == (figure, section)
                    and category in (None, one['category'])]
        return found


class YearTest(SiteCase):

    def test_a_figure_is_not_what_the_readings_make_of_it(self) -> None:
        answer = self.get(PATH, 'admin-p1')
        self.assertEqual(
            ('2024-12-31T23:00:00Z', '2025-12-31T23:00:00Z',
             'Europe/Berlin', '0.95'),
            tuple(answer[name] for name in (
                'start', 'end', 'time_zone', 'minimum_coverage')))
        location = sum(
            Fraction(grid * grams, 1000) for grid, grams
            in zip(year.GRID, year.CARBON_G, strict=True))
        fuel = DIESEL * year.DIESEL_G
        # Nobody says that the roof's attributes are kept.
        market = (GRID * (1 - year.SHARE) + PV) * year.RESIDUAL_G + fuel
        hall = Fraction(sum(year.HALL_KWH), sum(year.PDU_KWH))
        self.assertEqual([
            ('PUE', None, 1, text(E_DC / E_IT)),
            ('pPUE', 'hall 1', 2, text(hall)),
            ('DCiE', None, 1, text(E_IT / E_DC)),
            ('REF', None, None, text(GRID * year.SHARE / E_DC)),
            ('ERF', None, None, text(REUSED / E_DC)),
            ('ERE', None, 1, text((E_DC - REUSED) / E_IT)),
            ('CER', None, None, text(Fraction(
                sum(year.HEAT_KWH), sum(year.COOLING_KWH)))),
            ('CUE', None, 1, text((location + fuel) / 1000 / E_IT)),
            ('CUE', None, 1, text(market / 1000 / E_IT)),
            ('WUE', None, 1, text(sum(year.POTABLE_M3) * 1000 / E_IT)),
            ('WUE', None, 2, text(sum(year.WATER_M3) * 1000 / E_IT)),
            ('ITEEsv', None, None, None),
            ('ITEUsv', None, None, None)],
            [(one['name'], one['section'], one['category'], one['value'])
             for one in answer['kpis']])
        self.assertEqual([], [
            one['name'] for one in answer['kpis']
            if one['value'] is not None and one['coverage'] != '1.0000'])

    def test_a_figure_hides_what_it_was_made_of(self) -> None:
        pue = self.only('PUE')
        self.assertEqual(('dc_total', 'kWh', 'it_ups_out', 'kWh'), tuple(
            pue[term][word] for term in ('numerator', 'denominator')
            for word in ('name', 'unit')))
        self.assertEqual(
            (E_DC, E_IT), tuple(Fraction(pue[name]['value'])
                                for name in ('numerator', 'denominator')))
        self.assertEqual(
            [('grid', '0.5S'), ('diesel', None), ('roof', None),
             ('ups-a', '1'), ('ups-b', '1')],
            [(one['name'], one['accuracy_class'])
             for one in pue['meters']])
        self.assertEqual(
            ('ISO/IEC 30134-2:2026', '0.0000', 2_682_000, None, []),
            (pue['standard'], pue['estimated'], pue['reading_seconds'],
             pue['limits'], pue['notes']))
        self.assertEqual(
            'DIN EN 50600-4-2:2019-08',
            self.only('PUE', editions='enefg')['standard'])


class RenewableTest(SiteCase):

    def test_what_nobody_has_used_up_is_renewable(self) -> None:
        """Neither a contract's energy nor that of a plant of one's own."""
        def ref() -> tuple[Fraction, str]:
            found = self.only('REF', **MARCH)
            return Fraction(found['value']), '; '.join(found['notes'])

        before, _ = ref()
        self.year.contract(share=decimal.Decimal('0.2'), retired=False)
        self.year.contract(share=decimal.Decimal('0.1'), retired=False,
                           instrument='onsite')
        after, notes = ref()
        self.assertEqual(before, after)
        self.assertIn('contract 2 is not retired and counts 0', notes)
        with self.database.writer() as connection:
            contract_store.withdraw(connection, year.NAME, 3, year.NOW_NS,
                                    year.OPERATOR)
        self.year.contract(share=decimal.Decimal('0.1'),
                           instrument='onsite')
        self.assertLess(before, ref()[0])

    def test_a_usage_row_and_the_ref_disagree(self) -> None:
        start, end = (units.bucket_of(units.wall_ns(datetime.datetime(
            2025, month, 1, tzinfo=year.BERLIN))) for month in (3, 4))

        def of_rows() -> str:
            with self.database.reader() as connection:
                (site,) = supplies.sites(connection, year.NOW_NS, year.NAME)
                metered = supplies.metered_of(
                    connection, site, range(start, end), year.NOW_NS)
                assert metered is not None
                known = supplies.of_site(connection, site, range(start, end),
                                         year.NOW_NS, metered)
            renewable = Fraction(0)
            for bucket, here in enumerate(known or (), start):
                assert here.renewable is not None
                renewable += metered.facility_uj[bucket] * Fraction(
                    here.renewable.numerator, here.renewable.denominator)
            return text(renewable / sum(metered.facility_uj[bucket]
                                        for bucket in range(start, end)))

        self.assertEqual(self.only('REF', **MARCH)['value'], of_rows())
        # Its share says nothing, and half of the month it runs.
        self.year.contract(
            share=decimal.Decimal('0.01'), instrument='onsite',
            start_ns=(start + end) // 2 * units.BUCKET_NS)
        self.assertEqual(self.only('REF', **MARCH)['value'], of_rows())


class ServersTest(SiteCase):

    def test_eleven_months_without_a_server_are_measured(self) -> None:
        self.assertIn('busy_ns has data for 8.49 %',
                      self.only('ITEUsv')['why'])
        december = self.only('ITEUsv', start='2025-11-30T23:00:00Z',
                             end='2025-12-31T23:00:00Z')
        self.assertEqual(('iITEUsv', '37.500000', '1.0000'), tuple(
            december[name] for name in ('name', 'value', 'coverage')))

    def test_the_operators_table_of_models_makes_no_figure(self) -> None:
        head = 'site,model,count,smpe,smpo_w,benchmark\n'
        rated = f'{head}{year.NAME},a,10,12000,400,ssj_ops\n'
        for table, value, words in (
                (f'{rated}{year.NAME},b,5,30000,1200,ssj_ops\n',
                 '27000.000000', None),
                (f'{rated}{year.NAME},c,1,,,\n', None,
                 'server_models: c has no SMPE and SMPO'),
                (f'{rated}{year.NAME},d,1,9,9,other\n', None,
                 'rate all models by one benchmark'),
                (f'{head}elsewhere,a,10,12000,400,ssj_ops\n', None,
                 '[api] server_models_file')):
            (path,) = self.create_tempfiles([('models', table)], '.csv')
            conf = cloud.configure(self, api=f'server_models_file = {path}')
            self.app = app.make_app(conf, self.database,
                                    clock=lambda: self.now)
            found = self.only('ITEEsv', **MARCH)
            self.assertEqual(value, found['value'])
            if words is None:
                self.assertIn('as the table has them now',
                              found['notes'][-1])
            else:
                self.assertIn(words, found['why'])


class AsOfTest(SiteCase):

    def test_a_change_of_master_data_changes_yesterdays_answer(self) -> None:
        """Not a byte of it, whatever was said since."""
        def answer(as_of: str) -> bytes:
            self.now = year.NOW + datetime.timedelta(days=9)
            return self.ask(PATH, 'admin-p1', as_of=as_of, **MARCH).body

        before = answer('2026-01-25T00:00:00Z')
        self.now = year.NOW + datetime.timedelta(days=6)
        for path, body in (
                (f'/v1/sites/{year.NAME}', {
                    'time_zone': 'America/New_York', 'grid_zone': 'FR'}),
                ('/v1/meters/ups-a', {'role': 'cooling_el'}),
                ('/v1/meters/heat', {'rollover': '300000'}),
                ('/v1/meters/roof', {
                    'removed_at': '2025-03-05T00:00:00Z'})):
            self.assertEqual(200, self.ask(
                path, 'admin-p1', method='PATCH', body=body).status_int)
        self.assertEqual(before, answer('2026-01-25T00:00:00Z'))
        for late in (before, answer('2026-01-20T08:00:00Z')):
            self.assertNotEqual(late, answer('2026-01-28T00:00:00Z'))


class RefusedTest(SiteCase):
    """One that is refused says why; all the others are there."""

    def why(self, figure: str, *words: str, category: int | None = None,
            section: str | None = None, **query: Any) -> None:
        """A figure has no value, for a reason with these words."""
        answer = self.kpis(**(MARCH | query))
        found = [one for one in answer
                 if (one['figure'], one['section']) == (figure, section)
                 and category in (None, one['category'])]
        self.assertNotEqual([], found, figure)
        for one in found:
            self.assertIsNone(one['value'])
            for word in words:
                self.assertIn(word, one['why'])
        self.assertNotEqual([], [one for one in answer if one['value']])

    def gone(self, name: str) -> None:
        """A meter that is no more in the period."""
        self.change(name, removed_ns=year.START_NS - 1)

    def change(self, name: str, **given: Any) -> None:
        with self.database.writer() as connection:
            connection.execute(sa.update(models.meters).where(
                models.meters.c.name == name).values(**given))

    def test_a_month_looks_like_a_year(self) -> None:
        self.assertIn('iPUE', {one['name'] for one in
                               self.kpis(**MARCH)})

    def test_pue_dcie_and_ere_are_below_1(self) -> None:
        self.change('ups-a', role='dc_total')
        self.change('grid', role='it_ups_out')
        for figure in ('PUE', 'DCiE', 'ERE'):
            self.why(figure, 'meter assignment error', 'grid')

    def test_what_has_no_meter_has_a_figure(self) -> None:
        for name in ('ups-a', 'ups-b', 'district', 'heat', 'potable'):
            self.gone(name)
        for figure, role in (('PUE', 'it_ups_out'), ('ERF', 'heat_reused'),
                             ('CER', 'heat_removed'), ('CUE', 'it_ups_out'),
                             ('WUE', 'it_ups_out')):
            self.why(figure, f'{role}: no meter of this role')
        self.why('WUE', 'water_potable: no meter', category=1)
        self.why('ITEEsv', 'SMPE')

    def test_sections_are_taken_for_the_whole_site(self) -> None:
        (pue,) = [one for one in self.kpis(category='2', **MARCH)
                  if (one['figure'], one['section']) == ('PUE', None)]
        self.assertIsNone(pue['value'])
        self.assertIn('virtual meter', pue['why'])

    def test_more_is_reused_than_came_in(self) -> None:
        self.change('district', unit='MWh')
        self.why('ERF', 'ERF is above 1')

    def test_cooling_that_is_bought_has_a_cer(self) -> None:
        self.change('district', role='cooling_in', medium='cooling')
        self.why('CER', 'not driven by electricity')

    def test_a_gap_is_not_told(self) -> None:
        with self.database.writer() as connection:
            connection.execute(sa.delete(models.readings).where(
                models.readings.c.at_ns
                > year.START_NS + 70 * 24 * year.HOUR_NS,
                models.readings.c.at_ns
                <= year.START_NS + 80 * 24 * year.HOUR_NS))
        self.why('PUE', 'dc_total has data for 67.', 'meter grid: no '
                 'readings (2025-03-11T23:00:00Z to 2025-03-21T23:00:00Z)')
        found = self.only('PUE', minimum_coverage='0.5', **MARCH)
        self.assertIn('meter grid: no readings', ' '.join(found['notes']))
        self.assertTrue(found['value'])

    def test_a_sum_is_blamed_for_what_a_term_lacks(self) -> None:
        self.year.meter('off', 'it_pdu_out', kind='gauge', unit='kW')
        self.year.meter('sum', 'cooling_el', kind='virtual',
                        terms={'ups-a': 1, 'off': 1})
        self.why('CER', 'meter off, a term of meter sum: no readings '
                 '(2025-02-28T23:00:00Z to 2025-03-31T22:00:00Z)', **MARCH)

    def test_a_fall_of_a_counter_is_energy(self) -> None:
        with self.database.writer() as connection:
            connection.execute(sa.update(models.readings).where(
                models.readings.c.at_ns == year.months()[3],
                models.readings.c.meter_id == sa.select(
                    models.meters.c.id).where(
                    models.meters.c.name == 'chillers').scalar_subquery(),
            ).values(value='1'))
        self.why('CER', 'cooling_el has data for 0', 'meter chillers: a fall')

    def test_no_factor_and_no_contract_make_a_figure(self) -> None:
        with self.database.writer() as connection:
            connection.execute(sa.delete(models.factors))
            connection.execute(sa.delete(models.contracts))
        self.gone('roof')
        # The generator stood still.
        self.why('CUE', 'no factors of electricity on basis lifecycle')
        self.why('REF', 'no contract says')

    def test_a_server_is_busier_than_it_can_be(self) -> None:
        december = {'start': '2025-11-30T23:00:00Z',
                    'end': '2025-12-31T23:00:00Z'}
        with self.database.writer() as connection:
            connection.execute(sa.update(ledger.host_buckets).values(
                capacity_ns=0))
        self.why('ITEUsv', 'capacity_ns must be above 0', **december)


class AskedTest(SiteCase):

    def test_a_tenant_learns_what_meters_or_hosts_are_called(self) -> None:
        self.year.meter('cold', 'cooling_el')
        answer = self.ask(PATH, 'reader-p2', **MARCH)
        self.assertEqual(200, answer.status_int)
        for name in ('grid', 'ups-a', 'chillers', 'cold', 'large',
                     'register'):
            self.assertNotIn(name, answer.text)
        self.assertEqual({None}, {
            str(one['meters']) if one['meters'] else None
            for one in answer.json['kpis']})
        (cer,) = [one for one in answer.json['kpis']
                  if one['figure'] == 'CER']
        self.assertRegex(cer['why'], r'(?<!meter )meter \d+: no readings')

    def test_a_question_that_makes_no_sense_is_answered(self) -> None:
        for field, query in (
                ('end', {'start': MARCH['start']}),
                ('start', {'end': MARCH['end']}),
                ('end', {'start': '2024-01-01T00:00:00Z',
                         'end': '2025-02-01T00:00:00Z'}),
                ('start', {**MARCH, 'start': '2025-03-01T00:07:00Z'}),
                ('category', {'category': '4'}),
                ('editions', {'editions': 'din'}), ('law', {'law': 'us'}),
                ('minimum_coverage', {'minimum_coverage': '1.1'}),
                ('started', {'started': 'June'}),
                ('as_of', {'as_of': '2030-01-01T00:00:00Z'})):
            self.assertIn(field, self.refused(400, PATH, 'admin-p1',
                                              **query), query)
        self.assertIn('nowhere', self.refused(
            404, '/v1/sites/nowhere/kpis', 'admin-p1'))

    def test_a_limit_binds_that_nobody_can_know_of(self) -> None:
        for query, binds in (({}, [False, False, False]),
                             ({'started': '2019-04-01'}, [False] * 3)):
            self.assertEqual(binds, [one['binds'] for one in self.only(
                'PUE', law='enefg', **MARCH, **query)['limits']])
        (ref, later) = self.only('REF', law='enefg', **MARCH)['limits']
        self.assertEqual((True, None, '0.5'),
                         (ref['binds'], ref['kept'], ref['least']))
        self.assertFalse(later['binds'])

    def test_what_was_learnt_later_is_known_before(self) -> None:
        found = self.only('PUE', as_of='2026-01-01T00:00:00Z', **MARCH)
        self.assertIsNone(found['value'])


def plain(amount: Fraction) -> str:
    """With the digits that it has, two at most."""
    return f'{float(amount):.2f}'.removesuffix('.00')


class WorkedExampleTest(SiteCase):

    def test_the_documentation_has_other_numbers(self) -> None:
        text = (pathlib.Path(__file__).parents[3] / 'doc' / 'source' / 'admin'
                / 'key-figures.rst').read_text()
        read = {
            'grid': (GRID, 'kWh'), 'roof': (PV, 'kWh'),
            'diesel': (Fraction(sum(year.DIESEL_L)), 'l'),
            'ups-a': (Fraction(sum(year.UPS_A), 1000), 'kWh'),
            'ups-b': (Fraction(sum(year.UPS_B), 1000), 'kWh'),
            'chillers': (Fraction(sum(year.COOLING_KWH)), 'kWh'),
            'heat': (Fraction(sum(year.HEAT_KWH)), 'kWh'),
            'district': (Fraction(REUSED), 'kWh'),
            'mains': (Fraction(sum(year.WATER_M3)), 'm3'),
            'potable': (Fraction(sum(year.POTABLE_M3)), 'm3')}
        wanted = [f'{name}, {plain(amount)} {unit}'
                  for name, (amount, unit) in read.items()]
        wanted += [f'{plain(E_DC)} kWh', f'{plain(E_IT)} kWh']
        wanted += [
            ', '.join((one['name'], str(one['category'] or ''),
                       one['value'], one['unit']))
            for one in self.kpis() if one['value'] and not one['section']]
        self.assertEqual([], [line for line in wanted if line not in text])
