# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import dataclasses
import itertools
import random
from typing import Any
from unittest import mock

from energy_accounting.ledger import by_site, pages, parts, queries, usage
from tests.unit.ledger import filled, reading


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

    def test_a_page_of_some_owners_is_not_that_of_all(self) -> None:
        chance = random.Random(9)
        reading.random_ledger(self.ledger, chance)
        groups: tuple[str, ...]
        filters: dict[str, str]
        for groups, filters in (
                (('instance',), {}), (('project',), {}),
                (('project', 'instance', 'host'), {'domain': 'd1'}),
                (('account', 'instance', 'site', 'flavor'), {}),
                (('domain', 'project', 'boundary'), {}),
                (('user', 'instance', 'region'), {'project': 'p2'}),
                (('site', 'instance'), {'account': 'instance'}),
                (('instance',), {'project': 'nobody'}),
                (('instance', 'flavor'), {'site': 'west'})):
            query = self.query(
                group_by=groups, filters=filters,
                limit=chance.choice([4, 9]),
                as_of_ns=chance.randrange(filled.NOW_NS),
                end=reading.FIRST + chance.choice([1, 8, 96]))
            with self.subTest(query=query):
                self.assertEqual(self._whole(query), self._in_parts(query))

    def _whole(self, query: queries.UsageQuery) -> list[Any]:
        """All rows and their energies, of all owners at once."""
        with self.database.reader() as connection, mock.patch.object(
                parts, 'of', lambda _connection, query: [query]):
            rows = usage.read(connection, dataclasses.replace(
                query, limit=100000))
            with mock.patch.object(parts, 'around',
                                   lambda query, _found: query):
                energies = sorted(by_site.read(connection, query, rows))
        return [(row, row.row, [one[1:] for one in energies
                                if one.row == row.row]) for row in rows]

    def _in_parts(self, query: queries.UsageQuery) -> list[Any]:
        """The same by pages of few rows, of few owners each."""
        found: list[Any] = []
        more = True
        with self.database.reader() as connection:
            while more:
                page = usage.read(connection, query)
                energies = sorted(by_site.read(connection, query, page))
                found += [(row, row.row, [
                    one[1:] for one in energies if one.row == row.row])
                    for row in page]
                more = len(page) == query.limit
                if more:
                    query = dataclasses.replace(
                        query, after=page[-1].position)
        return found

    def test_a_page_reads_what_other_owners_used(self) -> None:
        for number in range(40):
            self.ledger.book(self.ledger.instance(f'i{number:02}', 'p1'),
                             'h1', reading.FIRST, number + 1)
        self.ledger.write()
        query = self.query(group_by=('instance',), limit=4)
        with self.database.reader() as connection:
            first = next(iter(parts.of(connection, query)))
            self.assertEqual((('i00',), ('i04',)), first.between)
            after = dataclasses.replace(query, after=(0, 'i20'))
            spans = [part.between for part
                     in parts.of(connection, after)]
        self.assertEqual(((('i20',), ('i24',)), (('i25',), ('i39',))),
                         tuple(spans))

    def _compare(self, **changes: Any) -> None:
        query = self.query(**changes, limit=100000)
        with self.database.reader() as connection:
            whole = usage.read(connection, query)
            found: list[queries.LedgerSum] = []
            after = None
            while True:
                page = usage.read(connection, dataclasses.replace(
                    query, limit=31, after=after))
                found += page
                if len(page) < 31:
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
