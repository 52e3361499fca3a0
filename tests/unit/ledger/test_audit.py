# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import unittest

from energy_accounting.ledger import audit
from tests.unit import records

ADMIN = audit.Actor('an-admin', 'req-1')


class AuditCase(unittest.TestCase):
    def setUp(self) -> None:
        super().setUp()
        self.database = records.database()
        self.addCleanup(self.database.close)

    def write(self, at_ns: int, *changes: audit.Change,
              actor: audit.Actor = ADMIN) -> None:
        self.database.write(audit.write, actor, at_ns, *changes)


class TestWrite(AuditCase):
    def test_a_change_is_not_kept_as_it_was(self) -> None:
        self.write(7, audit.Change(audit.HOST, 'compute-1', None,
                                   {'state': 'enrolled'}))
        entry, = self.database.read(audit.read)
        self.assertEqual(
            (7, 'an-admin', 'req-1', 'host', 'compute-1', None,
             {'state': 'enrolled'}),
            (entry.at_ns, entry.actor, entry.request_id, entry.kind,
             entry.subject, entry.was, entry.became))

    def test_it_outlives_a_change_that_was_rolled_back(self) -> None:
        def fails(connection: object) -> None:
            audit.write(connection, ADMIN, 1, audit.Change(  # type: ignore
                audit.KEY, 'compute-1', None, None))
            raise RuntimeError

        with self.assertRaises(RuntimeError):
            self.database.write(fails)
        self.assertEqual([], self.database.read(audit.read))

    def test_no_change_makes_a_row(self) -> None:
        self.write(1)
        self.assertEqual(0, self.database.read(audit.count))

    def test_a_name_longer_than_its_column_stops_the_change(self) -> None:
        self.write(1, audit.Change(audit.HOST, 'h' * 300, None, None),
                   actor=audit.Actor('u' * 300))
        entry, = self.database.read(audit.read)
        self.assertEqual((255, 255), (len(entry.subject), len(entry.actor)))


class TestRead(AuditCase):
    def setUp(self) -> None:
        super().setUp()
        for number in range(6):
            self.write(
                number, audit.Change(
                    audit.HOST if number % 2 else audit.KEY,
                    f'compute-{number % 3}', None, {'n': number}),
                actor=ADMIN if number < 3 else audit.COLLECTOR)

    def found(self, **filters: object) -> list[int]:
        entries = self.database.read(audit.read, **filters)  # type: ignore
        return [entry.became['n'] for entry in entries]

    def test_a_filter_lets_others_through(self) -> None:
        for filters, expected in (
                ({}, [5, 4, 3, 2, 1, 0]), ({'kind': 'key'}, [4, 2, 0]),
                ({'subject': 'compute-1'}, [4, 1]),
                ({'actor': 'collector'}, [5, 4, 3]),
                ({'start_ns': 2, 'end_ns': 4}, [3, 2]),
                ({'kind': 'host', 'actor': 'an-admin'}, [1])):
            with self.subTest(filters=filters):
                self.assertEqual(expected, self.found(**filters))
                self.assertEqual(len(expected), self.database.read(
                    audit.count, **filters))  # type: ignore

    def test_a_page_repeats_or_leaves_out(self) -> None:
        first = self.database.read(audit.read, limit=4)
        second = self.database.read(audit.read, before=first[-1].id, limit=4)
        self.assertEqual([5, 4, 3, 2, 1, 0], [
            entry.became['n'] for entry in (*first, *second)])
