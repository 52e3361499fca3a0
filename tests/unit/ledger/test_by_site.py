# SPDX-License-Identifier: Apache-2.0
"""The energy of usage rows by site and bucket is that of the rows."""

from __future__ import annotations

import collections
import itertools
import random
from typing import Any

from energy_accounting.ledger import by_site, queries
from tests.unit.ledger import reading

FIRST = reading.FIRST


class BySiteTest(reading.LedgerCase):

    def by_site(self, limit: int = 1000, **changes: Any,
                ) -> tuple[list[queries.LedgerSum], list[by_site.Energy]]:
        rows = self.usage(limit=limit, **changes)
        with self.database.reader() as connection:
            return rows, list(by_site.read(
                connection, self.query(**changes), rows))

    def test_a_row_has_more_or_less_energy_than_its_buckets(self) -> None:
        reading.random_ledger(self.ledger, random.Random(7))
        asked: list[tuple[tuple[str, ...], str]] = [
            (groups, 'total') for groups in itertools.chain(
                itertools.combinations(queries.GROUPS, 1),
                (('project', 'boundary'), ('instance', 'site'), ()))]
        asked += [(('project',), resolution)
                  for resolution in ('day', 'quarter', 'month')]
        for groups, resolution in asked:
            with self.subTest(groups=groups, resolution=resolution):
                rows, found = self.by_site(group_by=groups,
                                           resolution=resolution,
                                           where=reading.BERLIN)
                sums: dict[Any, int] = collections.Counter()
                for one in found:
                    sums[one.row] += one.it_uj
                self.assertEqual(len(found), len(
                    {one[:3] for one in found}))
                self.assertEqual({row.row: row.it_uj for row in rows}, {
                    row.row: sums.pop(row.row) for row in rows})
                self.assertEqual({}, dict(sums))

    def test_a_page_reads_rows_of_other_pages(self) -> None:
        reading.random_ledger(self.ledger, random.Random(8))
        for sort in ('start', 'it_kwh'):
            rows, found = self.by_site(limit=2, sort=sort, descending=True,
                                       group_by=('instance',),
                                       resolution='day')
            self.assertEqual({row.row for row in rows},
                             {one.row for one in found})
        self.assertEqual(([], []), self.by_site(
            group_by=('project',), filters={'project': 'nobody'}))

    def test_energy_is_of_another_site_or_bucket(self) -> None:
        west = self.ledger.site('west', 'west')
        self.ledger.host('h2', site='west')
        mine = self.ledger.instance('i1', 'p1')
        self.ledger.book(mine, 'h1', FIRST, 10)
        self.ledger.book(mine, 'h2', FIRST, 7)
        self.ledger.book(mine, 'h2', FIRST + 1, 5)
        self.ledger.book(self.ledger.instance('i2', 'p2'), 'h1', FIRST, 99)
        self.ledger.write()
        for groups in (('project',), ('instance',)):
            _, found = self.by_site(group_by=groups,
                                    filters={'project': 'p1'})
            self.assertEqual(
                [(1, FIRST, 10), (west, FIRST, 7), (west, FIRST + 1, 5)],
                sorted(one[1:] for one in found))
