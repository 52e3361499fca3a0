# SPDX-License-Identifier: Apache-2.0
"""Records for registers have every field that the law asks for."""

from __future__ import annotations

import csv
import dataclasses
import decimal
import io
import json
from typing import Any

from oslotest import base

from energy_accounting import errors
from energy_accounting.exports import register_facts, sending, targets
from energy_accounting.facility import batches
from energy_accounting.ledger import exports as outbox
from energy_accounting.ledger import sites
from energy_accounting.statements import periods
from tests.unit.exports import made, register_rules
from tests.unit.facility import year
from tests.unit.ledger import filled

FACTS = """
[frankfurt]
name = 'Frankfurt 1'
owner = '=HYPERLINK("x")'
operator = 'Cloud GmbH'
type = 'co-hosting'
started = '2019-04'
postcode = '60311'
nominal_it_load_kw = 450
pd_it_kw = 512.5
t_in_c = 24
heat_released_c = -3.5
fed_in_kwh = 0
refrigerants = ['R-32', 'R-1234ze']
"""


class RegisterTest(base.BaseTestCase):

    def setUp(self) -> None:
        super().setUp()
        self.database = filled.sqlite(self)
        self.year = year.Year(self.database)
        with self.database.writer() as connection:
            sites.create(connection, year.BY, year.NAME, {
                'time_zone': 'Europe/Berlin', 'grid_zone': 'DE'})

    def plant(self) -> None:
        """Read once a month, all of it."""
        monthly = self.year.monthly
        monthly('grid', 'dc_total', [200_000] * 12)
        monthly('ups', 'it_ups_out', [160_000] * 12)
        monthly('roof', 'pv_onsite', [10_000] * 12)
        monthly('diesel', 'dc_generator', year.DIESEL_L, medium='diesel',
                unit='l')
        monthly('district', 'heat_reused', year.REUSED_KWH, medium='heat')
        monthly('mains', 'water_in', year.WATER_M3, medium='water',
                unit='m3')
        self.year.contract()
        self.year.contract(instrument='ppa', share=decimal.Decimal('0.1'))
        self.year.contract(instrument='onsite', share=decimal.Decimal(1))

    def sender(self, text: str = FACTS) -> sending.Sender:
        (path,) = self.create_tempfiles([('facts', text)], '.toml')
        return dataclasses.replace(
            made.sender(self, self.database), clock_ns=lambda: year.NOW_NS,
            settings=targets.Settings('Cloud', 'EUR', path))

    def export(self, sender: sending.Sender, name: str = '2025',
               project_id: str | None = None, **options: str,
               ) -> outbox.Export:
        return sending.send(sender, sending.plan(
            sender, 'register', sending.source_of(
                sender, 'register', periods.period(name, 'UTC'), project_id),
            options))

    def record(self, **options: str) -> dict[str, Any]:
        said = json.loads(made.text(self.export(self.sender(), **options)))
        self.assertEqual('2025', said['year'])
        found: dict[str, Any] = next(
            one for one in said['sites'] if one['site'] == year.NAME)
        self.assertEqual([], [*register_rules.faults(found)])
        return found

    def test_a_years_record_is_not_what_the_law_asks_for(self) -> None:
        self.plant()
        record = self.record()
        self.assertEqual(
            ('2024-12-31T23:00:00Z', '2025-12-31T23:00:00Z'),
            (record['start'], record['end']))
        values = {row['field']: row['value'] for row in record['fields']}
        # Kilowatt hours of 2,400,000 and 120,000, and of 455 l of diesel.
        diesel = decimal.Decimal(sum(year.DIESEL_L)) * decimal.Decimal('9.9')
        e_dc = 2_520_000 + diesel
        reused = decimal.Decimal(sum(year.REUSED_KWH))
        for name, exact in (
                ('e_dc_kwh', e_dc), ('e_dc_bg_kwh', diesel),
                ('electricity_kwh', 2_520_000), ('purchased_kwh', 2_400_000),
                ('e_it_kwh', 1_920_000), ('fed_in_kwh', 0),
                ('e_res_goo_kwh', 1_440_000), ('e_res_ppa_kwh', 240_000),
                ('e_res_os_kwh', 120_000), ('e_res_tot_kwh', 1_800_000),
                ('pue', e_dc / 1_920_000), ('erf', reused / e_dc),
                ('ref', 1_800_000 / e_dc), ('e_reuse_kwh', reused),
                ('w_in_m3', sum(year.WATER_M3)),
                ('wue', decimal.Decimal(sum(year.WATER_M3)) / 1920)):
            self.assertAlmostEqual(exact, decimal.Decimal(values[name]), 5,
                                   name)
        self.assertEqual(
            ('below 0.5 MW', '0.5 MW to below 1 MW'.replace(' MW to', ' to'),
             ['R-32', 'R-1234ze'], '-3.5', '512.5'),
            tuple(values[name] for name in (
                'size_class_enefg', 'size_class_eu', 'refrigerants',
                'heat_released_c', 'pd_it_kw')))
        why = {row['field']: row['missing_because']
               for row in record['fields']}
        self.assertIn('heat_removed: no meter of this role', why['cer'])
        self.assertIn('give lau_code of site frankfurt', why['lau_code'])
        self.assertIn('water_potable: no meter', why['w_in_pot_m3'])
        sources = {row['field']: row['source'] for row in record['fields']}
        self.assertEqual(('grid, diesel, roof', 'operator'),
                         (sources['e_dc_kwh'], sources['fed_in_kwh']))
        # The check is not one that lets everything pass.
        for name, change, words in (
                ('pue', {'value': '1.5'}, 'pue: 1.5, not 1.31'),
                ('size_class_eu', {'value': '1 to below 2 MW'},
                 'for 512.5 kW'),
                ('owner', {'value': None}, 'owner: value and reason'),
                ('owner', {'source': None}, 'nobody says it'),
                ('w_in_m3', {'unit': 'l'}, 'annexes II'),
                ('erf', {'enefg': None}, 'annex 3 no. 2'),
                ('ref', {'standard': None}, 'by which standard')):
            spoilt = {**record, 'fields': [
                {**row, **(change if row['field'] == name else {})}
                for row in record['fields']]}
            self.assertIn(words, ' '.join(register_rules.faults(spoilt)))

    def test_nothing_is_known_and_something_is_said(self) -> None:
        record = self.record()
        known = {row['field'] for row in record['fields']
                 if row['value'] is not None}
        self.assertEqual({
            'name', 'owner', 'operator', 'type', 'started', 'postcode',
            'nominal_it_load_kw', 'pd_it_kw', 't_in_c', 'heat_released_c',
            'fed_in_kwh', 'refrigerants', 'size_class_enefg',
            'size_class_eu'}, known)

    def test_a_few_months_pass_for_a_year(self) -> None:
        self.year.meter('grid', 'dc_total')
        self.year.read('grid', [
            batches.Given(at_ns, str(number))
            for number, at_ns in enumerate(year.months()[:7])])
        row = {row['field']: row for row in self.record()['fields']}
        self.assertIsNone(row['e_dc_kwh']['value'])
        self.assertRegex(row['e_dc_kwh']['missing_because'],
                         'dc_total: there are data of 0.49.* of the year')

    def test_a_table_says_something_else(self) -> None:
        record = self.record()
        rows = [row for row in csv.DictReader(io.StringIO(made.text(
            self.export(self.sender(), format='csv'))))
            if row['site'] == year.NAME]
        self.assertEqual(
            [(row['field'], row['missing_because'] or '')
             for row in record['fields']],
            [(row['field'], row['missing_because']) for row in rows])
        values = {row['field']: row['value'] for row in rows}
        self.assertEqual(("'=HYPERLINK(\"x\")", '-3.5', 'R-32; R-1234ze'), (
            values['owner'], values['heat_released_c'],
            values['refrigerants']))

    def test_what_is_read_later_is_sent_as_it_was_planned(self) -> None:
        sender = self.sender()
        period = periods.period('2025', 'UTC')
        planned = sending.plan(sender, 'register', sending.source_of(
            sender, 'register', period, None), {})
        again = sending.plan(sender, 'register', sending.source_of(
            sender, 'register', period, None), {})
        self.assertEqual(planned.export, again.export)
        self.year.monthly('grid', 'dc_total', [200_000] * 12)
        self.assertRaisesRegex(errors.Conflict, 'has changed since',
                               sending.send, sender, planned)
        one = self.database.read(outbox.find, planned.export)
        self.assertEqual((outbox.FAILED, None), (one.state, one.holder))

    def test_what_no_register_is_of_has_a_record(self) -> None:
        sender = self.sender()
        for name, project_id, kind, words in (
                ('2025-10', None, errors.InvalidRequest, 'is of a year'),
                ('2025', 'p1', errors.InvalidRequest, 'of no project'),
                ('2026', None, errors.Conflict, 'is not over at site')):
            self.assertRaisesRegex(kind, words, self.export, sender, name,
                                   project_id)
        self.assertRaisesRegex(
            errors.ConfigurationError, "there is no site 'nowhere'",
            self.export, self.sender('[nowhere]\n'))


class FactsTest(base.BaseTestCase):

    def test_a_fact_that_is_wrong_is_taken(self) -> None:
        for text, words in (
                ('[a]\ncolour = "red"', r'a\.colour: it is no field'),
                ('[a]\npue = 1.2', r'a\.pue: it follows from'),
                ('[a]\nowner = 3', r'a\.owner: 3 is not a text'),
                ('[a]\nowner = ""', 'it is empty'),
                ('[a]\npd_it_kw = true', 'True is not a number'),
                ('[a]\npd_it_kw = "12"', 'is not a number'),
                ('[a]\npd_it_kw = -1', 'out of range.*in kW'),
                ('[a]\npd_it_kw = nan', 'out of range'),
                ('[a]\ntype = "large"', 'not one of enterprise'),
                ('[a]\nstarted = "2019"', 'is no month'),
                ('[a]\nrefrigerants = "R-32"', 'not a list'),
                ('[a]\nrefrigerants = [1]', 'not a list'),
                ('owner = "x"', 'owner: it is outside a table'),
                ('[a', 'TOML')):
            with self.subTest(text):
                (path,) = self.create_tempfiles([('facts', text)], '.toml')
                self.assertRaisesRegex(errors.ConfigurationError, words,
                                       register_facts.load, path)
        self.assertRaisesRegex(errors.ConfigurationError, 'register_file',
                               register_facts.load, '/nowhere.toml')
        self.assertEqual({}, register_facts.load(None))
