# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import dataclasses
import itertools
import random
from typing import Any

from energy_accounting.ledger import pages, queries, usage
from tests.unit.ledger import reading


class PageTest(reading.LedgerCase):

    def test_pages_give_every_row_once_in_every_order(self) -> None:
        reading.random_ledger(self.ledger, random.Random(6))
        for groups, resolution in ((('project',), 'hour'),
                                   (('instance', 'host'), 'total')):
            for sort, descending in itertools.product(
                    queries.SORTS, (False, True)):
                with self.subTest(sort=sort, down=descending,
                                  groups=groups):
                    self._compare(group_by=groups, resolution=resolution,
                                  sort=sort, descending=descending)

    def _compare(self, **changes: Any) -> None:
        query = self.query(**changes, limit=100000)
        with self.database.reader() as connection:
            whole = usage.read(connection, query)
            found: list[queries.LedgerSum] = []
            after = None
            while True:
                page = usage.read(connection, dataclasses.replace(
                    query, limit=11, after=after))
                found += page
                if len(page) < 11:
                    break
                after = page[-1].position
            self.assertEqual(len(whole), usage.count(connection, query))
            shape = pages.position_shape(query, connection.dialect.name)
        self.assertEqual(whole, found)
        self.assertEqual({tuple(shape)}, {
            tuple(type(value) for value in row.position) for row in whole})
        if query.sort == 'it_kwh':
            values = [row.it_uj for row in whole]
            self.assertEqual(
                sorted(values, reverse=query.descending), values)
