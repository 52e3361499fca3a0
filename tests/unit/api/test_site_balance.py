# SPDX-License-Identifier: Apache-2.0
"""What a site's meters saw, and who has it."""

from __future__ import annotations

import decimal
from typing import Any

from energy_accounting import units
from energy_accounting.facility import batches, factor_store, factors, meters
from energy_accounting.ledger import audit, sites
from tests.unit.api import cloud
from tests.unit.ledger import filled

OPERATOR = audit.Actor('an operator')
BY = audit.By(OPERATOR, filled.NOW_NS)
TWO = {'start': '2026-11-01T00:00:00Z', 'end': '2026-11-01T00:30:00Z'}


class SiteBalanceTest(cloud.ApiCase):
    """Of the site berlin: 10 kWh booked, 9.5 of tenants."""

    def setUp(self) -> None:
        super().setUp()
        with self.database.writer() as connection:
            sites.change(connection, BY, 'berlin', {'grid_zone': 'DE'})

    def meter(self, role: str, *values: str) -> None:
        """A meter and what it saw in each quarter of an hour."""
        with self.database.writer() as connection:
            meters.create(connection, BY, role, 'berlin', {
                'medium': 'electricity', 'role': role, 'unit': 'kWh',
                'kind': 'interval'})
            batches.add(connection, BY, role, [batches.Given(
                (cloud.FIRST + number + 1) * units.BUCKET_NS, value,
                start_ns=(cloud.FIRST + number) * units.BUCKET_NS)
                for number, value in enumerate(values)], 'api')

    def emit(self, *grams: str, method: str = 'location') -> None:
        with self.database.writer() as connection:
            factor_store.record(connection, [factors.Factor(
                kind=factors.CARBON, carrier='electricity', zone='DE',
                start_ns=(cloud.FIRST + number) * units.BUCKET_NS,
                end_ns=(cloud.FIRST + number + 1) * units.BUCKET_NS,
                value=decimal.Decimal(value), quality='actual',
                provider='operator', source='a test', basis='lifecycle',
                retrieved_ns=filled.NOW_NS, method=method,
                signal='average')
                for number, value in enumerate(grams)],
                filled.NOW_NS, OPERATOR)

    def sheet(self, **asked: Any) -> dict[str, Any]:
        (found,) = self.get('/v1/balance', 'admin-p1', **TWO, **asked)[
            'balance']['sites']
        return dict(found)

    def test_a_site_without_meters_or_one_host_has_a_sheet(self) -> None:
        def found(**asked: str) -> Any:
            return self.get('/v1/balance', 'admin-p1', **TWO, **asked)[
                'balance']['sites']
        self.assertEqual([], found())
        self.meter('dc_total', '12', '6')
        self.assertEqual([], found(host='compute-2'))
        self.assertEqual([], found(site='default'))

    def test_tenants_and_operator_are_not_what_the_meter_saw(self) -> None:
        # 8 kWh of p1 and p2 are booked in the first, 1.5 in the second.
        self.meter('dc_total', '12.5', '4.001')
        self.meter('it_ups_out', '10.7', '3')
        self.emit('400', '100')
        self.emit('700', '600', method='market')
        sheet = self.sheet(site='berlin')
        projects = [
            row for project in ('p1', 'p2') for row in self.get(
                '/v1/usage', f'reader-{project}', **TWO, group_by='site',
                site='berlin')['usage']]
        tenants_uj = sum(units.microjoules(row['facility_kwh'])
                         for row in projects)
        self.assertEqual(str(tenants_uj), sheet['tenants_uj'])
        self.assertEqual('16.501000000000000', sheet['facility_kwh'])
        self.assertEqual(
            units.microjoules(sheet['facility_kwh']),
            tenants_uj + int(sheet['operator_uj']))
        for method, expected in (('location', '5.4001'),
                                 ('market', '11.1506')):
            column = f'co2_{method}_kg'
            kg = {name: decimal.Decimal(sheet[name + column])
                  for name in ('', 'tenants_', 'operator_')}
            self.assertEqual(decimal.Decimal(expected), kg[''])
            self.assertEqual(kg[''], kg['tenants_'] + kg['operator_'])
            self.assertEqual(kg['tenants_'], sum(
                decimal.Decimal(row[column]) for row in projects))

    def test_what_no_host_explains_is_lost(self) -> None:
        self.meter('dc_total', '12', '6')
        self.meter('it_ups_out', '10.7', '3')
        sheet = self.sheet()
        self.assertEqual(('13.700000000000000', '4.200000000000000'),
                         (sheet['it_metered_kwh'],
                          sheet['unmetered_it_kwh']))

    def test_a_quarter_that_was_not_metered_counts(self) -> None:
        self.meter('dc_total', '12')
        self.meter('it_ups_out', '10', '3')
        sheet = self.sheet()
        self.assertEqual(
            ('0.5000', '1.0000', '12.000000000000000',
             '9.600000000000000', None),
            tuple(sheet[name] for name in (
                'coverage', 'it_coverage', 'facility_kwh', 'tenants_kwh',
                'co2_location_kg')))

    def test_tenants_of_whom_nothing_can_be_said_have_nothing(self) -> None:
        self.meter('dc_total', '12', '6')
        sheet = self.sheet()
        self.assertEqual(
            ('18.000000000000000', None, None, None),
            tuple(sheet[name] for name in (
                'facility_kwh', 'tenants_kwh', 'operator_kwh',
                'unmetered_it_kwh')))
