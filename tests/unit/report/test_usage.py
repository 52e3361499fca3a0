# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import zoneinfo
from typing import Any

from oslotest import base

from energy_accounting import units
from energy_accounting.ledger import queries
from energy_accounting.report import usage
from tests.unit.ledger import filled


def one(**changes: Any) -> queries.LedgerSum:
    given: dict[str, Any] = {
        'period': 0, 'first': filled.bucket('2026-11-01T00:00:00Z'),
        'keys': ('p1',), 'active_uj': 1, 'idle_uj': 2, 'memory_uj': 3,
        'host_uj': 4, 'platform_uj': None, 'backfilled_uj': 0,
        'vcpu_ns': units.BUCKET_NS, 'peak_uj': 10, 'missing_ms2': 0,
        'boundaries': ('rapl', 'rapl'), 'policies': ('p/1', 'p/1'),
        'position': (), 'row': (0, 1, 1), **changes}
    return queries.LedgerSum(**given)


def query(start: str, end: str, resolution: str, where: str = 'UTC',
          ) -> queries.UsageQuery:
    return queries.UsageQuery(
        start=filled.bucket(start), end=filled.bucket(end),
        resolution=resolution, where=zoneinfo.ZoneInfo(where),
        group_by=('project',), filters={}, as_of_ns=0, limit=1)


MONTH = query('2026-11-01T00:00:00Z', '2026-12-01T00:00:00Z', 'total')


class RowTest(base.BaseTestCase):

    def row(self, **changes: Any) -> dict[str, Any]:
        return usage.row(MONTH, ['project_id'], one(**changes))

    def test_it_energy_is_the_sum_of_the_terms_that_were_measured(
            self) -> None:
        for memory_uj, platform_uj, total in (
                (3, None, 10), (None, None, 7), (0, 5, 12), (3, -2, 8)):
            row = self.row(memory_uj=memory_uj, platform_uj=platform_uj)
            self.assertEqual(total, units.microjoules(row['it_kwh']))
            self.assertEqual(memory_uj is None, row['memory_kwh'] is None)
            self.assertEqual(platform_uj is None,
                             row['platform_kwh'] is None)

    def test_every_microjoule_can_be_read_back(self) -> None:
        for energy_uj in (0, 1, 999, 10**27 + 1):
            row = self.row(active_uj=energy_uj)
            self.assertEqual(energy_uj, units.microjoules(row['active_kwh']))
            self.assertNotIn('E', row['active_kwh'].upper())

    def test_different_boundaries_or_policies_are_mixed(self) -> None:
        row = self.row(boundaries=('node', 'rapl'),
                       policies=('proportional/1', 'two-part/1'))
        self.assertEqual(('mixed', 'mixed'), (row['boundary'],
                                              row['policy']))
        self.assertIsNone(self.row(policies=None)['policy'])

    def test_no_project_is_null(self) -> None:
        self.assertIsNone(self.row(keys=('',))['project_id'])


class PeriodTest(base.BaseTestCase):

    def period(self, asked: queries.UsageQuery, first: str,
               ) -> tuple[str, str]:
        row = usage.row(asked, ['project_id'],
                        one(first=filled.bucket(first)))
        return row['start'], row['end']

    def test_periods_are_cut_to_what_was_asked(self) -> None:
        asked = query('2026-10-15T06:00:00Z', '2026-11-15T06:00:00Z',
                      'month', 'Europe/Berlin')
        self.assertEqual(('2026-10-15T06:00:00Z', '2026-10-31T23:00:00Z'),
                         self.period(asked, '2026-10-20T00:00:00Z'))
        self.assertEqual(('2026-10-31T23:00:00Z', '2026-11-15T06:00:00Z'),
                         self.period(asked, '2026-11-10T00:00:00Z'))

    def test_a_period_begins_where_the_calendar_says_not_the_data(
            self) -> None:
        asked = query('2026-10-20T00:00:00Z', '2026-11-20T00:00:00Z', 'day',
                      'Europe/Berlin')
        self.assertEqual(('2026-10-24T22:00:00Z', '2026-10-25T23:00:00Z'),
                         self.period(asked, '2026-10-25T12:00:00Z'))

    def test_the_total_is_the_range(self) -> None:
        self.assertEqual(('2026-11-01T00:00:00Z', '2026-12-01T00:00:00Z'),
                         self.period(MONTH, '2026-11-10T00:00:00Z'))


class FiguresTest(base.BaseTestCase):

    def test_a_kilowatt_for_a_quarter_is_900_kilojoules(self) -> None:
        self.assertEqual('1.000000', usage.peak_kw(900 * 10**9))
        self.assertEqual('0.000000', usage.peak_kw(0))
        self.assertIsNone(usage.peak_kw(None))

    def test_coverage_is_one_only_when_nothing_is_missing(self) -> None:
        vcpu_ns = 2 * units.BUCKET_NS
        whole = vcpu_ns // 10**6 * 900_000
        self.assertEqual('1.0000', usage.coverage(vcpu_ns, 0))
        self.assertEqual('0.9999', usage.coverage(vcpu_ns, 1))
        self.assertEqual('0.5000', usage.coverage(vcpu_ns, whole // 2))
        self.assertEqual('0.0000', usage.coverage(vcpu_ns, whole))
        self.assertEqual('0.0000', usage.coverage(vcpu_ns, whole + 9))

    def test_coverage_is_unknown_without_a_guest(self) -> None:
        self.assertIsNone(usage.coverage(0, 0))

    def test_coverage_is_unknown_and_not_whole_without_rows(self) -> None:
        self.assertIsNone(usage.coverage(units.BUCKET_NS, None))

    def test_backfilled_energy_is_never_rounded_away(self) -> None:
        for it_uj, backfilled_uj, backfilled, measured in (
                (10**9, 0, '0.0000', '1.0000'),
                (10**9, 1, '0.0001', '0.9999'),
                (4, 1, '0.2500', '0.7500'), (7, 7, '1.0000', '0.0000'),
                (0, 0, '0.0000', '1.0000')):
            self.assertEqual(
                {'measured': measured, 'backfilled': backfilled,
                 'estimated': '0.0000'},
                usage.quality(it_uj, backfilled_uj))
