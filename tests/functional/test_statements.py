# SPDX-License-Identifier: Apache-2.0
"""Two who close the same month at the same moment, on every database."""

from __future__ import annotations

import contextlib
import multiprocessing
import unittest
from collections.abc import Callable, Iterator
from typing import Any
from unittest import mock

import sqlalchemy as sa

from energy_accounting.ledger import billing_models as models
from energy_accounting.ledger import engine
from energy_accounting.ledger import statements as store
from energy_accounting.statements import closing, stored, verifying
from tests.functional import base
from tests.unit.ledger import filled
from tests.unit.statements import made

SECONDS = 60


def close(url: str, barrier: Any, results: Any, now_ns: int) -> None:
    """In a process of its own: compute, wait for the other, store."""
    database = engine.Database(url)
    compute, tries = closing.compute, []

    @contextlib.contextmanager
    def together(*args: Any, **kwargs: Any) -> Iterator[Any]:
        with compute(*args, **kwargs) as found:
            tries.append(found.newest)
            if len(tries) == 1:
                barrier.wait(SECONDS)
            yield found

    with mock.patch.object(closing, 'compute', together):
        closed = made.close(database, now_ns=now_ns)
    results.put((closed.outcome, closed.stored.revision,
                 closed.stored.digest, len(tries)))
    database.close()


@base.on(*base.EVERY)
class TestTwoClosers(unittest.TestCase):
    """Both have computed before one of them stores."""

    ledger_url: Callable[[], str]

    def setUp(self) -> None:
        super().setUp()
        self.url = self.ledger_url()
        self.database = engine.Database(self.url)
        self.addCleanup(self.database.close)
        ledger = filled.Filled(self.database)
        ledger.host('compute-1', last_window_end_ns=made.OCTOBER.end_ns)
        for day in (1, 2, 31):
            for name in ('web', 'db'):
                ledger.book(ledger.instance(name, 'p1'), 'compute-1',
                            made.bucket(day), made.KWH + day)
        ledger.write()

    def race(self, now_ns: int = made.NOW_NS) -> list[Any]:
        # What is open here is nobody else's.
        self.database.engine.dispose()
        context = multiprocessing.get_context('fork')
        barrier, results = context.Barrier(2), context.Queue()
        processes = [context.Process(
            target=close, args=(self.url, barrier, results, now_ns))
            for _ in range(2)]
        for process in processes:
            process.start()
        found = [results.get(timeout=SECONDS) for _ in processes]
        for process in processes:
            process.join(SECONDS)
            self.assertEqual(0, process.exitcode)
        return sorted(found)

    def rows(self) -> list[Any]:
        with self.database.reader() as connection:
            return list(connection.execute(sa.select(
                models.statements.c.revision, models.statements.c.digest)
                .order_by(models.statements.c.revision)))

    def test_both_win_or_the_second_finds_nothing(self) -> None:
        first, second = self.race()
        self.assertEqual(('created', 1), first[:2])
        self.assertEqual(('unchanged', 1), second[:2])
        self.assertEqual(first[2], second[2])
        # It computed once more, and found what the first had stored.
        self.assertEqual((1, 2), (first[3], second[3]))
        self.assertEqual([(1, first[2])], self.rows())
        with self.database.reader() as connection:
            one = store.find(connection, store.id_of(
                'p1', '2026-10', made.BERLIN))
            assert one is not None
            self.assertEqual(6, len(list(stored.lines_of(connection, one))))
        self.assertEqual(verifying.EQUAL, verifying.verify(
            self.database, one).result)

    def test_a_provisional_one_is_stored_twice(self) -> None:
        first, second = self.race(made.OCTOBER.end_ns - 1)
        self.assertEqual(('created', 0), first[:2])
        self.assertEqual(('unchanged', 0), second[:2])
        made.late(self.database, 'web', 'p1', made.bucket(5), 7)
        found = self.race(made.OCTOBER.end_ns - 1)
        self.assertEqual({'replaced', 'unchanged'},
                         {one[0] for one in found})
        self.assertEqual([(0, found[0][2])], self.rows())

    def test_a_late_window_makes_two_revisions(self) -> None:
        made.close(self.database)
        made.late(self.database, 'web', 'p1', made.bucket(5), 7)
        first, second = self.race()
        self.assertEqual([('created', 2), ('unchanged', 2)],
                         [first[:2], second[:2]])
        self.assertEqual([1, 2], [revision for revision, _ in self.rows()])
