# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

from typing import Any

from oslotest import base

from energy_accounting.ledger import balance as ledger
from energy_accounting.report import balance


class SheetTest(base.BaseTestCase):

    def sheet(self, **changes: Any) -> dict[str, Any]:
        given: dict[str, Any] = {
            'zones_uj': 100, 'quarantined_uj': 7, 'disputed_uj': 9,
            'gaps': (), 'projects_uj': 0, 'node_uj': None,
            'platform_uj': None, 'undivided_uj': None,
            'booked_uj': {('instance', None): 60, ('service', 'ceph'): 10,
                          ('unallocated', 'ended'): 20,
                          ('unallocated', 'idle_capacity'): 10}, **changes}
        return balance.sheet(ledger.Balance(**given))

    def test_what_is_missing_shows_as_the_difference(self) -> None:
        self.assertEqual('0', self.sheet()['difference_uj'])
        self.assertEqual('5', self.sheet(zones_uj=105)['difference_uj'])
        self.assertEqual('-1', self.sheet(zones_uj=99)['difference_uj'])

    def test_projects_of_one_host_are_unknown_and_not_zero(self) -> None:
        sheet = self.sheet(projects_uj=None)
        self.assertIsNone(sheet['projects_uj'])
        self.assertIsNone(sheet['projects_kwh'])
        sheet = self.sheet(projects_uj=3600000000000)
        self.assertEqual(('3600000000000', '1.000000000000000'),
                         (sheet['projects_uj'], sheet['projects_kwh']))

    def test_quarantine_counts_on_both_sides(self) -> None:
        sheet = self.sheet()
        self.assertEqual(('107', '7'), (sheet['measured_uj'],
                                        sheet['quarantined_uj']))

    def test_what_strangers_claim_was_measured(self) -> None:
        sheet = self.sheet()
        self.assertEqual(('107', '0', '9'), (
            sheet['measured_uj'], sheet['difference_uj'],
            sheet['disputed_uj']))

    def test_reasons_and_services_are_named(self) -> None:
        sheet = self.sheet()
        self.assertEqual(
            {'ended': '20', 'idle_capacity': '10'},
            {name: both['energy_uj'] for name, both
             in sheet['unallocated_by_reason'].items()})
        self.assertEqual({'ceph'}, set(sheet['service_by_name']))
        self.assertEqual('30', sheet['unallocated_uj'])

    def test_node_energy_that_was_divided_is_no_part_of_measured(
            self) -> None:
        sheet = self.sheet(node_uj=90, platform_uj=-20, undivided_uj=8,
                           zones_uj=120)
        self.assertEqual(('107', '0', '90', '-20', '8'), tuple(
            sheet[f'{side}_uj'] for side in (
                'measured', 'difference', 'node', 'platform',
                'undivided_node')))

    def test_no_node_meter_is_a_node_meter_that_saw_nothing(self) -> None:
        for side in ('node', 'platform', 'undivided_node'):
            for unit in ('uj', 'kwh'):
                self.assertIsNone(self.sheet()[f'{side}_{unit}'])
        self.assertEqual('0', self.sheet(node_uj=0)['node_uj'])

    def test_an_open_gap_has_no_end(self) -> None:
        sheet = self.sheet(gaps=(('h1', 'dram-0', 0, None, 'unreadable'),))
        self.assertEqual([{'host': 'h1', 'zone': 'dram-0', 'end': None,
                           'start': '1970-01-01T00:00:00Z',
                           'reason': 'unreadable'}], sheet['gaps'])

    def test_nothing_measured_is_all_zero(self) -> None:
        sheet = self.sheet(zones_uj=0, booked_uj={}, quarantined_uj=0,
                           disputed_uj=0)
        self.assertEqual({'0'}, {value for name, value in sheet.items()
                                 if name.endswith('_uj')
                                 and value is not None})
