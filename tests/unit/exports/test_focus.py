# SPDX-License-Identifier: Apache-2.0
"""FOCUS files keep the published requirements, and open elsewhere."""

from __future__ import annotations

import collections
import csv
import dataclasses
import datetime
import decimal
import io
from typing import Any
from unittest import mock

import duckdb
import pandas
import pyarrow
from oslotest import base
from pyarrow import parquet

from energy_accounting import units
from energy_accounting.exports import focus
from energy_accounting.ledger import engine
from energy_accounting.ledger import tariffs as tariff_store
from energy_accounting.statements import lines
from tests.unit.exports import focus_rules, made
from tests.unit.statements import made as closed
from tests.unit.statements import shown

VERSIONS = tuple(focus_rules.VERSIONS)


def rows_of(text: str) -> list[dict[str, str | None]]:
    """None: null, which is nothing between commas, and no quotes."""
    header, *rows = csv.reader(io.StringIO(text))
    return [{name: value or None
             for name, value in zip(header, row, strict=True)}
            for row in rows]


class MonthCase(base.BaseTestCase):

    price: str | None = '0.30'

    def setUp(self) -> None:
        super().setUp()
        self.database = made.month(self, price=self.price)
        made.late(self.database)
        closed.close(self.database, '')
        self.sender = made.sender(self, self.database)

    def text(self, version: str) -> str:
        return made.text(made.export(self.sender, 'focus', version=version))


class CorrectionsTest(base.BaseTestCase):
    """What becomes known, or is taken back, after rows were handed over."""

    def exported(self, target: str) -> list[dict[str, str | None]]:
        return rows_of(made.text(made.export(
            made.sender(self, self.database), target, 'p1')))

    def sums(self, target: str, *names: str) -> list[decimal.Decimal]:
        return [sum((decimal.Decimal(row[name] or 0)
                     for row in self.exported(target)), decimal.Decimal(0))
                for name in names]

    def test_a_factor_that_was_recorded_late_is_not_handed_over(
            self) -> None:
        self.database = closed.ledger(self).database
        was = shown.line(
            3, 'web', units.UJ_PER_KWH, closed.OCTOBER, facility_uj=None,
            co2_location_ng=None, co2_market_ng=None, water_ul=None,
            renewable_uj=None)
        became = dataclasses.replace(
            was, facility_uj=units.UJ_PER_KWH * 5 // 4,
            co2_location_ng=500 * 10 ** 9, water_ul=2 * 10 ** 6)
        made.kept(self.database, 'p1', [was], 1)
        made.kept(self.database, 'p1', [became], 2)
        for target in ('csv', 'jsonl', 'focus'):
            made.export(made.sender(self, self.database), target, 'p1')
        one, later, half, two = map(decimal.Decimal, (1, '1.25', '0.5', 2))
        self.assertEqual([one, later, half, two], self.sums(
            'csv', 'it_kwh', 'facility_kwh', 'co2_location_kg', 'water_l'))
        self.assertEqual([one, later, later - one, half], self.sums(
            'focus', 'x_EnergyItKwh', 'x_EnergyFacilityKwh',
            'x_EnergyOverheadKwh', 'x_CarbonLocationKgCo2e'))
        self.assertEqual([None, None], [
            row['x_PueValue'] for row in self.exported('focus')])
        # And what is not known any more, not what was handed over.
        made.kept(self.database, 'p1', [was], 3)
        self.assertEqual([one, decimal.Decimal(0)], self.sums(
            'csv', 'it_kwh', 'facility_kwh'))

    def test_what_was_charged_is_taken_back_in_another_currency(
            self) -> None:
        self.database = made.month(self, currency='USD')
        (tariff,) = self.database.read(tariff_store.read)
        self.database.write(tariff_store.withdraw, tariff.id,
                            made.LATER_NS - 5, closed.ACTOR)
        closed.close(self.database, 'p1', now_ns=made.LATER_NS)
        for target, cost, currency in (
                ('csv', 'cost', 'currency'),
                ('focus', 'BilledCost', 'BillingCurrency')):
            self.assertEqual([0], self.sums(target, cost))
            self.assertEqual({'USD'}, {row[currency] for row
                                       in self.exported(target)})


    def test_another_currency_stops_all_exports_or_sums_are_wrong(
            self) -> None:
        self.database = made.month(self, currency='USD')
        (tariff,) = self.database.read(tariff_store.read)
        self.database.write(tariff_store.withdraw, tariff.id,
                            made.LATER_NS - 5, closed.ACTOR)
        self.database.write(
            tariff_store.record, dataclasses.replace(
                tariff.tariff, currency='JPY', price_per_kwh=decimal.Decimal(
                    37)), made.LATER_NS - 4, closed.ACTOR)
        made.late(self.database, 'db', 5 * units.UJ_PER_KWH)
        (newest,) = self.database.read(closed.stored.store.read,
                                       project_id='p1')
        totals = newest.head['totals']
        self.assertEqual(('JPY', 2), (totals['currency'], newest.revision))
        for target, cost, currency, energy, row_id in (
                ('csv', 'cost', 'currency', 'it_kwh', 'event_id'),
                ('focus', 'BilledCost', 'BillingCurrency', 'x_EnergyItKwh',
                 'x_RowId')):
            rows = self.exported(target)
            found: dict[str | None, decimal.Decimal] = collections.Counter()
            for row in rows:
                found[row[currency]] += decimal.Decimal(row[cost] or 0)
            self.assertEqual({'USD': 0, 'JPY': decimal.Decimal(
                totals['cost'])}, found)
            # In digits of its own currency, and once.
            self.assertEqual(len(rows), len({row[row_id] for row in rows}))
            self.assertEqual([int(totals['it_uj'])], [
                units.microjoules(f'{each:f}') for each
                in self.sums(target, energy)])
        for row in rows:
            self.assertEqual([], list(focus_rules.row_faults(row, '1.2')),
                             row)
        self.assertEqual({None, 'Correction'}, {row['ChargeClass']
                                                for row in rows})
        # Of all projects together, too.
        made.export(made.sender(self, self.database), 'csv')


class RulesTest(MonthCase):

    def test_a_carry_below_nothing_is_negative_use(self) -> None:
        database = closed.ledger(self).database
        made.kept(database, 'p1', [
            shown.line(3, 'web', units.UJ_PER_KWH, closed.OCTOBER),
            dataclasses.replace(
                shown.line(4, 'web', units.UJ_PER_KWH, closed.OCTOBER),
                it_uj=-5, platform_uj=-5, active_uj=0, idle_uj=0,
                memory_uj=0, host_uj=0, facility_uj=-6)])
        rows = rows_of(made.text(made.export(
            made.sender(self, database), 'focus')))
        for row in rows:
            self.assertEqual([], list(focus_rules.row_faults(row, '1.2')),
                             row)
        self.assertEqual(['Usage', 'Adjustment'],
                         [row['ChargeCategory'] for row in rows])
        self.assertEqual(units.UJ_PER_KWH - 5, sum(units.microjoules(
            row['x_EnergyItKwh'] or '') for row in rows))

    def test_a_file_of_another_tariff_breaks_a_rule(self) -> None:
        for tariff in ({'currency': 'JPY', 'price': '37'},
                       {'currency': 'KWD', 'price': '0.025'}):
            given: dict[str, Any] = dict(tariff)
            self.check(made.month(self, **given))

    def test_a_price_of_co2_leaves_a_unit_price_that_is_not_the_costs(
            self) -> None:
        charged = shown._charged

        def with_co2(one: lines.Line, minor: int) -> lines.Line:
            return dataclasses.replace(charged(one, minor),
                                       price_per_kwh='0.10')

        database = closed.ledger(self).database
        with mock.patch.object(shown, '_charged', with_co2):
            made.kept(database, 'p1', [shown.line(
                3, 'web', 100 * units.UJ_PER_KWH, closed.OCTOBER)],
                money=True)
        self.check(database)

    def check(self, database: engine.Database) -> None:
        rows = rows_of(made.text(made.export(
            made.sender(self, database), 'focus')))
        self.assertTrue(any(decimal.Decimal(row['BilledCost'] or 0)
                            for row in rows))
        for row in rows:
            self.assertEqual([], list(focus_rules.row_faults(row, '1.2')),
                             row)

    def test_a_file_breaks_a_published_rule(self) -> None:
        for version in VERSIONS:
            text = self.text(version)
            self.assertNotIn('""', text)
            header = text.partition('\n')[0].split(',')
            self.assertEqual([], list(focus_rules.header_faults(
                header, version)))
            rows = rows_of(text)
            self.assertEqual({None, 'Correction'},
                             {row['ChargeClass'] for row in rows})
            for row in rows:
                self.assertEqual([], list(focus_rules.row_faults(
                    row, version)), row)

    def test_the_check_overlooks_a_broken_rule(self) -> None:
        header = [column.name for column in focus.columns('1.2')]
        for broken in ([*header, 'x_BilledCost'], [*header, 'x_low'],
                       [*header, 'Colour'], ['x_First', *header],
                       [one for one in header if one != 'BilledCost'],
                       [one for one in header if one != 'SkuMeter']):
            self.assertNotEqual([], list(focus_rules.header_faults(
                broken, '1.2')), broken)
        self.assertNotEqual([], list(focus_rules.header_faults(
            header, '1.3')))
        good, *_ = rows_of(self.text('1.2'))
        for name, value in (
                ('BilledCost', None), ('BilledCost', '+1.00'),
                ('BilledCost', '1,00'), ('ListCost', '77.00'),
                ('ListCost', '0'), ('BillingCurrency', 'Euro'),
                ('ChargePeriodStart', '2026-10-01'),
                ('ChargePeriodEnd', '2026-11-02T00:00:00Z'),
                ('ChargeClass', 'Late'), ('ChargeClass', 'Correction'),
                ('ChargeCategory', 'Use'), ('PricingUnit', None),
                ('SkuPriceId', None), ('ListUnitPrice', None),
                ('ListUnitPrice', '-0.30'), ('Tags', '[]'),
                ('ServiceSubcategory', 'Caching'), ('ResourceType', None),
                ('SubAccountType', None), ('ProviderName', ' ')):
            self.assertNotEqual([], list(focus_rules.row_faults(
                {**good, name: value}, '1.2')), (name, value))

    def test_costs_do_not_add_up_to_the_statements(self) -> None:
        rows = rows_of(self.text('1.3'))
        cost, energy = decimal.Decimal(0), 0
        for one in self.database.read(closed.stored.store.read):
            totals = one.head['totals']
            cost += decimal.Decimal(totals.get('cost', '0'))
            energy += int(totals['it_uj'])
        for name in ('BilledCost', 'EffectiveCost', 'ListCost',
                     'ContractedCost'):
            self.assertEqual(cost, sum(decimal.Decimal(
                row[name] or '') for row in rows), name)
        self.assertEqual(energy, sum(units.microjoules(
            row['x_EnergyItKwh'] or '') for row in rows))
        for row in rows:
            parts = (row[f'x_Energy{name}Kwh'] for name in (
                'Dynamic', 'Idle', 'Shared'))
            self.assertEqual(
                units.microjoules(row['x_EnergyItKwh'] or ''),
                sum(units.microjoules(part or '') for part in parts))

    def test_a_row_id_is_not_one_row_s_or_changes(self) -> None:
        first = [row['x_RowId'] for row in rows_of(self.text('1.2'))]
        self.assertEqual(len(first), len({*first}))
        self.assertEqual(first, [row['x_RowId']
                                 for row in rows_of(self.text('1.3'))])
        made.late(self.database, 'db')
        self.assertLess({*first}, {row['x_RowId'] for row
                                   in rows_of(self.text('1.2'))})


class UnpricedTest(MonthCase):

    price = None

    def test_a_month_without_a_tariff_has_a_price(self) -> None:
        for version in VERSIONS:
            for row in rows_of(self.text(version)):
                self.assertEqual([], list(focus_rules.row_faults(
                    row, version)), row)
                self.assertEqual(('0.00', 'EUR', 'energy/unpriced'), (
                    row['BilledCost'], row['BillingCurrency'],
                    row['SkuPriceId']))


class ElsewhereTest(MonthCase):
    """What others read is what stands in the CSV."""

    def setUp(self) -> None:
        super().setUp()
        self.rows = rows_of(self.text('1.3'))
        self.path = made.path(made.export(
            self.sender, 'focus', version='1.3', format='parquet'))

    def sums(self, name: str) -> decimal.Decimal:
        return sum((decimal.Decimal(row[name] or '0')
                    for row in self.rows), decimal.Decimal(0))

    def test_pyarrow_reads_another_type_or_value(self) -> None:
        table = parquet.read_table(self.path)
        self.assertEqual([*self.rows[0]], table.column_names)
        for column in focus.columns('1.3'):
            kind = table.schema.field(column.name).type
            said = focus_rules.V1_3.get(column.name, ('', True, ''))[2]
            if said == focus_rules.DECIMAL:
                self.assertEqual(pyarrow.decimal128(38, 15), kind)
            elif said == focus_rules.TIME:
                self.assertEqual(pyarrow.timestamp('us', 'UTC'), kind)
            elif said:
                self.assertEqual(pyarrow.string(), kind)
        for there, row in zip(table.to_pylist(), self.rows, strict=True):
            for name, value in there.items():
                text = row[name]
                if value is None or text is None:
                    self.assertIs(value, text, name)
                elif isinstance(value, decimal.Decimal):
                    self.assertEqual(value, decimal.Decimal(text), name)
                elif isinstance(value, datetime.datetime):
                    self.assertEqual(
                        value, datetime.datetime.fromisoformat(text))
                else:
                    # The apostrophe is for spreadsheets.
                    self.assertEqual(str(value), text.removeprefix("'"))

    def test_pandas_makes_floats_of_money(self) -> None:
        frame = pandas.read_parquet(self.path,
                                    dtype_backend='pyarrow')
        for name in ('BilledCost', 'x_EnergyItKwh'):
            self.assertEqual(self.sums(name), frame[name].sum())
        self.assertEqual('UTC', str(frame['ChargePeriodStart'].dtype
                                    .pyarrow_dtype.tz))

    def test_duckdb_makes_floats_of_money(self) -> None:
        with duckdb.connect() as connection:
            (cost, energy, kind, count) = connection.execute(
                'SELECT sum(BilledCost), sum(x_EnergyItKwh), '
                'any_value(typeof(BilledCost)), count(*) FROM '
                'read_parquet(?)', [str(self.path)]).fetchone()
            self.assertEqual((self.sums('BilledCost'),
                              self.sums('x_EnergyItKwh')), (cost, energy))
            self.assertEqual(('DECIMAL(38,15)', len(self.rows)),
                             (kind, count))
            # And the CSV: nothing between commas is null.
            path = made.path(made.export(self.sender, 'focus',
                                         version='1.3'))
            self.assertEqual(
                sum(row['ChargeClass'] is None for row in self.rows),
                connection.execute(
                    'SELECT count(*) FROM read_csv(?, all_varchar=true) '
                    'WHERE ChargeClass IS NULL', [str(path)]).fetchone()[0])
