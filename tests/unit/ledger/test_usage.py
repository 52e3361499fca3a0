# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import itertools
import random

from energy_accounting import units
from energy_accounting.ledger import queries, usage
from tests.unit.ledger import reading

BERLIN = reading.BERLIN
FIRST = reading.FIRST


class UsageTest(reading.LedgerCase):

    def test_a_project_gets_the_sum_of_its_own_rows_only(self) -> None:
        mine = self.ledger.instance('i1', 'p1')
        other = self.ledger.instance('i2', 'p2')
        self.ledger.book(mine, 'h1', FIRST, 10, 20, 30, 40)
        self.ledger.book(mine, 'h1', FIRST + 1, 1, 2, 3, 4)
        self.ledger.book(mine, 'h1', FIRST + 96, 1000)
        self.ledger.book(mine, 'h1', FIRST - 1, 1000)
        self.ledger.book(other, 'h1', FIRST, 500)
        self.ledger.write()
        for groups in (('project',), ('project', 'instance')):
            (row,) = self.usage(group_by=groups, filters={'project': 'p1'})
            self.assertEqual(
                ('p1', 11, 22, 33, 44, None),
                (row.keys[0], row.active_uj, row.idle_uj, row.memory_uj,
                 row.host_uj, row.platform_uj))

    def test_memory_is_unknown_only_where_no_host_measured_it(self) -> None:
        one = self.ledger.instance('i1', 'p1')
        two = self.ledger.instance('i2', 'p2')
        zero = self.ledger.instance('i3', 'p3')
        self.ledger.book(one, 'h1', FIRST, 1, memory_uj=None)
        self.ledger.book(two, 'h1', FIRST, 1, memory_uj=None)
        self.ledger.book(two, 'h2', FIRST, 1, memory_uj=7)
        self.ledger.book(zero, 'h2', FIRST, 1, memory_uj=0)
        self.ledger.write()
        for groups in (('project',), ('project', 'flavor')):
            self.assertEqual(
                {'p1': None, 'p2': 7, 'p3': 0},
                {row.keys[0]: row.memory_uj
                 for row in self.usage(group_by=groups)})

    def test_sums_over_every_grouping_agree(self) -> None:
        total = reading.random_ledger(self.ledger, random.Random(4))
        asked: list[tuple[tuple[str, ...], str]] = [
            (groups, 'total') for groups
            in itertools.combinations(queries.GROUPS, 2)]
        asked += [((group,), 'day') for group in queries.GROUPS]
        asked += [(('project',), resolution)
                  for resolution in units.RESOLUTIONS]
        for groups, resolution in asked:
            with self.subTest(groups=groups, resolution=resolution):
                rows = self.usage(group_by=groups, resolution=resolution,
                                  where=BERLIN, limit=100000)
                self.assertEqual(total, sum(row.it_uj for row in rows))


class CostTest(reading.LedgerCase):

    def test_sqlite_looks_for_each_owners_rows_once_for_each_owner(
            self) -> None:
        for owners in (10, 40):
            for number in range(owners):
                account = self.ledger.instance(f'{owners}-{number}',
                                               f'p{owners}')
                for bucket in range(FIRST, FIRST + 96):
                    self.ledger.book(account, 'h1', bucket, 1)
        self.ledger.write()
        few, many = self._steps('p10'), self._steps('p40')
        self.assertLess(many, 5 * few)

    def _steps(self, project: str) -> int:
        """Of SQLite's machine, for the days of a project's instances."""
        query = self.query(group_by=('instance',), resolution='day',
                           filters={'project': project}, limit=10 ** 6)
        steps = itertools.count()
        with self.database.reader() as connection:
            raw = connection.connection.driver_connection
            raw.set_progress_handler(lambda: next(steps) < 0, 100)
            rows = usage.read(connection, query)
            raw.set_progress_handler(None, 0)
        self.assertTrue(rows)
        return next(steps)


class PeakTest(reading.LedgerCase):

    def test_the_peak_is_of_the_sum_in_one_bucket(self) -> None:
        one = self.ledger.instance('i1', 'p1')
        two = self.ledger.instance('i2', 'p1')
        self.ledger.book(one, 'h1', FIRST, 10)
        self.ledger.book(two, 'h2', FIRST + 1, 8)
        self.ledger.book(one, 'h1', FIRST + 1, 7)
        self.ledger.write()
        for groups in (('project',), ('flavor',)):
            self.assertEqual([15], [row.peak_uj for row
                                    in self.usage(group_by=groups)])
        self.assertEqual({'i1': 10, 'i2': 8}, {
            row.keys[0]: row.peak_uj
            for row in self.usage(group_by=('instance',))})

    def test_the_peak_adds_up_sites_and_boundaries_of_one_bucket(
            self) -> None:
        self.ledger.host('h2', site='west')
        self.ledger.host('h3', site='west', boundary='node')
        one = self.ledger.instance('i1', 'p1')
        for host, energy_uj in (('h1', 1), ('h2', 2), ('h3', 4)):
            self.ledger.book(one, host, FIRST, energy_uj)
        self.ledger.write()
        for groups, filters, peaks in (
                (('project',), {}, [7]),
                (('project', 'site'), {}, [1, 6]),
                (('project', 'site', 'boundary'), {}, [1, 4, 2]),
                (('site', 'boundary'), {'project': 'p1'}, [1, 4, 2]),
                (('project',), {'boundary': 'rapl'}, [3])):
            self.assertEqual(peaks, [row.peak_uj for row in self.usage(
                group_by=groups, filters=filters)])

    def test_backfilled_energy_makes_no_peak(self) -> None:
        one = self.ledger.instance('i1', 'p1')
        self.ledger.book(one, 'h1', FIRST, 100, backfilled_uj=95)
        self.ledger.book(one, 'h1', FIRST + 1, 50, backfilled_uj=50)
        self.ledger.book(one, 'h1', FIRST + 2, 7)
        self.ledger.write()
        self.assertEqual([7], [row.peak_uj for row in self.usage()])
        self.assertEqual([None], [row.peak_uj for row in self.usage(
            start=FIRST + 1, end=FIRST + 2)])
