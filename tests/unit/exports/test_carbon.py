# SPDX-License-Identifier: Apache-2.0
"""The carbon table has the published schema, and the statements' amounts."""

from __future__ import annotations

import collections
import csv
import dataclasses
import datetime
import decimal
import io
import json
from typing import Any

from oslotest import base
from pyarrow import parquet

from energy_accounting import units
from energy_accounting.statements import periods
from tests.unit.exports import carbon_rules, made
from tests.unit.ledger import filled
from tests.unit.statements import made as closed
from tests.unit.statements import shown

LOCATION = 'carbon_footprint_total_kgCO2e.location_based'
MARKET = 'carbon_footprint_total_kgCO2e.market_based'
NG_PER_KG = 10 ** 12


def rows_of(text: str) -> list[dict[str, str | None]]:
    """Nothing is null, but where the schema wants a text of nothing."""
    header, *rows = csv.reader(io.StringIO(text))
    return [{name: value if value or name == 'project.number' else None
             for name, value in zip(header, row, strict=True)}
            for row in rows]


class CarbonTest(base.BaseTestCase):

    def setUp(self) -> None:
        super().setUp()
        self.database = filled.sqlite(self)
        self.sender = made.sender(self, self.database)

    def keep(self, project_id: str, *found: Any, **more: Any) -> None:
        made.kept(self.database, project_id, found, **more)

    def line(self, day: int, instance: str | None = 'web', **more: Any,
             ) -> Any:
        return dataclasses.replace(
            shown.line(day, '', 3 * closed.KWH + day, closed.OCTOBER),
            instance_id=instance, **more)

    def text(self, project_id: str | None = None, **options: str) -> str:
        return made.text(made.export(self.sender, 'carbon', project_id,
                                     **options))

    def fill(self) -> list[Any]:
        """Two projects, two sites, and what is nobody's."""
        p1 = [self.line(0), self.line(1), self.line(1, 'db'),
              self.line(2, site='munich', region=None)]
        p2 = [self.line(3, 'batch', co2_market_ng=None)]
        nobody = [self.line(0, None, account='service:=ceph'),
                  self.line(0, None, account='unallocated')]
        for project, found in (('p1', p1), ('p2', p2), ('', nobody)):
            self.keep(project, *found, project_name=project and 'shop')
        return [*p1, *p2, *nobody]

    def test_a_row_breaks_the_published_schema(self) -> None:
        self.fill()
        text = self.text()
        header = text.partition('\n')[0].split(',')
        self.assertEqual([], [*carbon_rules.header_faults(header)])
        rows = rows_of(text)
        self.assertEqual([], [fault for row in rows
                              for fault in carbon_rules.faults(row)])
        self.assertEqual(5, len(rows))
        self.assertEqual(5, len({carbon_rules.key(row) for row in rows}))

    def test_the_check_lets_everything_pass(self) -> None:
        self.fill()
        row = rows_of(self.text())[-1]
        for name, value, words in (
                ('usage_month', '2026-10-02', 'usage_month'),
                ('service.id', None, 'service.id: null'),
                (LOCATION, '1e3', 'no Float'),
                ('carbon_model_version', '1.0', 'no Integer')):
            self.assertIn(words, ' '.join(carbon_rules.faults(
                {**row, name: value})))
        self.assertTrue([*carbon_rules.header_faults(
            [*[*row][:8], 'project.name'])])

    def test_grams_are_lost_or_made(self) -> None:
        every = self.fill()
        rows = rows_of(self.text())
        for name, field in ((LOCATION, 'co2_location_ng'),
                            ('x_it_kwh', 'it_uj'),
                            ('x_facility_kwh', 'facility_uj')):
            self.assertEqual(
                sum(getattr(line, field) for line in every),
                sum(decimal.Decimal(row[name] or '') * NG_PER_KG
                    if field.endswith('_ng')
                    else units.microjoules(row[name] or '')
                    for row in rows), name)
        by = collections.Counter(row['project.id'] for row in rows)
        self.assertEqual({'p1': 2, 'p2': 1, None: 2}, by)
        # What is not known of a line is not known of the sum.
        self.assertEqual([None], [row[MARKET] for row in rows
                                  if row['project.id'] == 'p2'])
        self.assertEqual(
            {('d1', 'Instances', 'instances'),
             ('operator', 'Service of the cloud', 'service:=ceph'),
             ('operator', 'Unallocated capacity', 'unallocated')},
            {(row['billing_account_id'], row['service.description'],
              row['service.id']) for row in rows})

    def test_scope_2_has_what_is_not_of_it_or_is_left_out(self) -> None:
        direct = {'factor_basis': 'direct', 'market_factor_basis': 'direct',
                  'site': 'munich'}
        grid = {'kind': 'carbon', 'method': 'location', 'site': 'munich',
                'carrier': 'electricity', 'basis': 'direct',
                'highest': '0.363', 'digest': 'd' * 64, 'revision': '1'}
        plant = {**grid, 'carrier': 'solar', 'highest': '0'}
        burnt = {**grid, 'carrier': 'diesel', 'highest': '0.266'}
        location, market = (f'carbon_footprint_kgCO2e.scope2.{name}_based'
                            for name in ('location', 'market'))
        for number, (known, line, missing, why) in enumerate((
                ([grid, plant], direct, set(), ''),
                ([grid, {**burnt, 'site': 'other'}], direct, set(), ''),
                ([grid, burnt], direct, {location, market},
                 'burnt on the site is in it: diesel'),
                ([grid], {**direct, 'factor_basis': 'lifecycle'}, {location},
                 'of the basis lifecycle have more'),
                ([grid], {**direct, 'co2_market_ng': None}, {market},
                 'CO2 is not known'))):
            project = f'p{number}'
            self.keep(project, self.line(0, **line), factors=known)
            (row,) = rows_of(self.text(project))
            self.assertEqual([], [*carbon_rules.faults(row)])
            for name, total in ((location, LOCATION), (market, MARKET)):
                self.assertEqual(None if name in missing else row[total],
                                 row[name])
            self.assertIn(why, row['x_scope2_missing_because'] or '')
            self.assertEqual(not missing,
                             row['x_scope2_missing_because'] is None)

    def test_what_was_restated_is_added(self) -> None:
        self.keep('p1', self.line(0), self.line(1))
        first = self.text('p1')
        # A cost that nobody knows does not matter here.
        self.keep('p1', self.line(0, co2_location_ng=7 * NG_PER_KG,
                                  factor_quality='estimated'),
                  self.line(1, co2_location_ng=NG_PER_KG), revision=2)
        (row,) = rows_of(self.text('p1'))
        self.assertEqual(('8.000000000000', 'mixed', '2'), (
            row[LOCATION], row['x_factor_quality'],
            row['x_statement_revision']))
        self.assertNotEqual(first, self.text('p1'))

    def test_a_year_is_one_month(self) -> None:
        year = periods.period('2026', closed.BERLIN)
        self.keep('p1', *(shown.line(day, 'web', closed.KWH, year)
                          for day in (0, 30, 31, 364)), period=year)
        sent = made.sending.send(self.sender, made.sending.plan(
            self.sender, 'carbon', made.sources.find(
                self.database, year, 'p1'), {}))
        self.assertEqual(
            [('2026-01-01', '2.000000000000000'),
             ('2026-02-01', '1.000000000000000'),
             ('2026-12-01', '1.000000000000000')],
            [(row['usage_month'], row['x_it_kwh'])
             for row in rows_of(made.text(sent))])

    def test_a_format_says_something_else(self) -> None:
        self.fill()
        rows = rows_of(self.text())
        loaded = [json.loads(line) for line
                  in self.text(format='jsonl').splitlines()]
        self.assertEqual(
            [(row['project.id'], row[LOCATION]) for row in rows],
            [(one['project']['id'],
              one['carbon_footprint_total_kgCO2e']['location_based'])
             for one in loaded])
        self.assertEqual({'location_based', 'market_based'}, {
            *loaded[0]['carbon_footprint_kgCO2e']['scope2']})
        table = parquet.read_table(made.path(made.export(
            self.sender, 'carbon', format='parquet')))
        self.assertEqual([*rows[0]], table.column_names)
        first = table.to_pylist()[-1]
        self.assertEqual(
            (datetime.date(2026, 10, 1), 'p2',
             decimal.Decimal(rows[-1][LOCATION] or '')),
            (first['usage_month'], first['project.id'], first[LOCATION]))
