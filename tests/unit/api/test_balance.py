# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

from energy_accounting import units
from energy_accounting.api import schemas
from tests.unit.api import cloud

BALANCE = '/v1/balance'


class BalanceTest(cloud.ApiCase):

    def test_everything_measured_has_an_owner(self) -> None:
        sheet = self.get(BALANCE, 'admin-p1')['balance']
        kwh = cloud.KWH
        self.assertEqual(
            {'measured': 13 * kwh + kwh // 2 + 8 + 42,
             'instance': 11 * kwh + kwh // 2 + 8, 'service': kwh,
             'unallocated': kwh, 'quarantined': 42, 'difference': 0,
             'disputed': 0},
            {side: int(sheet[f'{side}_uj'])
             for side in schemas.BALANCE_SIDES})
        for side in schemas.BALANCE_SIDES:
            self.assertEqual(int(sheet[f'{side}_uj']),
                             units.microjoules(sheet[f'{side}_kwh']))
        self.assertEqual({'idle_capacity': {
            'energy_uj': str(kwh), 'energy_kwh': '1.000000000000000'}},
            sheet['unallocated_by_reason'])
        self.assertEqual(['kubernetes'], list(sheet['service_by_name']))
        self.assertEqual([{
            'host': 'compute-2', 'zone': None, 'reason': 'restart',
            'start': '2026-11-01T00:00:00Z',
            'end': '2026-11-01T00:00:01Z'}], sheet['gaps'])

    def test_each_host_and_site_balances(self) -> None:
        total = 0
        for which in ({'host': 'compute-1'}, {'site': 'berlin'}):
            sheet = self.get(BALANCE, 'admin-p1', **which)['balance']
            self.assertEqual('0', sheet['difference_uj'])
            total += int(sheet['measured_uj'])
        whole = self.get(BALANCE, 'admin-p1')['balance']
        self.assertEqual(whole['measured_uj'], str(total))

    def test_what_there_is_not_has_a_sheet_of_zeros(self) -> None:
        for name in ('host', 'site'):
            detail = self.refused(404, BALANCE, 'admin-p1', **{name: 'typo'})
            self.assertEqual(f"there is no {name} 'typo'", detail)
        # What there is has one, long before it used anything.
        for which in ({'host': 'compute-1'}, {'site': 'berlin'}):
            sheet = self.get(
                BALANCE, 'admin-p1', **which, start='2020-01-01T00:00:00Z',
                end='2020-01-02T00:00:00Z')['balance']
            self.assertEqual(('0', []), (sheet['measured_uj'],
                                         sheet['gaps']))

    def test_it_is_not_for_tenants(self) -> None:
        for token in cloud.PERSONAS:
            if not token.startswith('admin-p'):
                self.refused(403, BALANCE, token)

    def test_bad_words_are_named(self) -> None:
        for name, text in (('start', 'x'), ('end', '2026-11-01T00:01:00Z'),
                           ('host', ''), ('project', 'p1'),
                           ('timezone', 'Mars')):
            detail = self.refused(400, BALANCE, 'admin-p1', **{name: text})
            self.assertTrue(detail.startswith(f'{name}: '), detail)
