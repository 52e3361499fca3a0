# SPDX-License-Identifier: Apache-2.0
"""Decisions about what is held, by several at once, on every database."""

from __future__ import annotations

import concurrent.futures
import itertools
import threading
import unittest
from collections.abc import Callable
from typing import Any

import sqlalchemy as sa

from energy_accounting import collector, errors, samples
from energy_accounting.ledger import (
    audit,
    balance,
    decisions,
    engine,
    models,
    writes,
)
from tests.functional import base
from tests.unit import records
from tests.unit.ledger import sums

NOW_NS = records.START_NS + 10 * 24 * 3600 * 10 ** 9
OPERATOR = audit.Actor('an operator')
WINDOW_UJ = 1700
# Held, and released of them.  What takes a while is shown once.
MANY = {base.MARIADB: (2000, 400)}
FEW = 200, 50


@base.on(*base.EVERY)
class TestDecisions(unittest.TestCase):
    new_database: Callable[[], engine.Database]
    database_name: str

    def setUp(self) -> None:
        super().setUp()
        self.database = self.new_database()
        self.collector = collector.Collector(
            self.database, None, lambda: NOW_NS, writes.MANUAL)

    def send(self, *windows: samples.Window) -> set[str]:
        return {*self.collector.book(
            {}, records.payloads(*windows))['results']}

    def hold(self, count: int) -> list[int]:
        for first in range(1, count + 1, 100):
            self.assertEqual({'quarantined'}, self.send(*(
                records.window(number) for number in range(
                    first, min(first + 100, count + 1)))))
        self.run_sql(models.hosts.update().values(
            state=models.ENROLLED, public_key=records.SIGNER.key))
        return [row.id for row in sums.rows(self.database,
                                            models.quarantine)]

    def run_sql(self, *statements: Any) -> None:
        self.database.write(lambda connection: [
            connection.execute(statement) for statement in statements])

    def release(self, record_id: int) -> bool:
        try:
            self.database.write(decisions.release, record_id, NOW_NS,
                                OPERATOR)
        except errors.Conflict:
            return False
        return True

    def at_once(self, *jobs: Callable[[], Any]) -> list[Any]:
        ready = threading.Barrier(len(jobs))

        def run(job: Callable[[], Any]) -> Any:
            ready.wait(60)
            return job()
        with concurrent.futures.ThreadPoolExecutor(len(jobs)) as pool:
            return list(pool.map(run, jobs))

    def assert_booked(self, windows: int, held: int = 0) -> None:
        found = sums.sums(self.database)
        self.assertEqual((windows * WINDOW_UJ,) * 3, found[:3])
        sheet = self.database.read(
            balance.read, 0, NOW_NS // (900 * 10 ** 9))
        self.assertEqual(
            (windows * WINDOW_UJ, held * WINDOW_UJ),
            (sheet.zones_uj, sheet.quarantined_uj))

    def test_two_operators_book_one_record_twice(self) -> None:
        ids = self.hold(10)
        for record_id in ids:
            done = self.at_once(*[lambda one=record_id: self.release(one)]
                                * 3)
            self.assertEqual(1, sum(done))
        self.assert_booked(10)
        self.assertEqual(10, sum(
            row.kind == audit.QUARANTINE
            for row in sums.rows(self.database, models.audit)))

    def test_a_record_is_released_and_discarded(self) -> None:
        ids = self.hold(6)

        def discard(record_id: int) -> bool:
            try:
                self.database.write(decisions.discard, record_id, NOW_NS,
                                    OPERATOR, 'a bug')
            except errors.Conflict:
                return False
            return True
        booked = 0
        for record_id in ids:
            released, discarded = self.at_once(
                lambda one=record_id: self.release(one),
                lambda one=record_id: discard(one))
            self.assertNotEqual(released, discarded)
            booked += released
        self.assert_booked(booked)
        self.assertEqual(6 - booked, sum(
            gap.reason == 'discarded'
            for gap in sums.rows(self.database, models.gaps)))

    def test_a_release_and_a_record_sent_again_book_it_twice(self) -> None:
        # The stream is where it was before the record came, which is held
        # all the same: a dump that was not of one moment.
        for number, record_id in enumerate(self.hold(6), 1):
            stream = sa.select(models.streams.c.id).scalar_subquery()
            self.run_sql(
                models.acknowledged.delete().where(
                    models.acknowledged.c.stream_id == stream,
                    models.acknowledged.c.sequence >= number),
                models.streams.update().values(sequence=number - 1))
            self.at_once(
                lambda one=record_id: self.release(one),
                lambda one=number: self.send(records.window(one)))
            found = sums.sums(self.database)
            self.assertEqual((number * WINDOW_UJ,) * 3, found[:3])

    def test_booking_waits_for_what_is_held(self) -> None:
        """A host books while so many records of its own are released."""
        held, released = MANY.get(self.database_name, FEW)
        ids = self.hold(held)[:released]
        ended = threading.Event()
        booked = threading.Event()

        def operate() -> list[bool]:
            try:
                done = [self.release(one) for one in ids[1:]]
                booked.clear()
                # Nothing of ours holds the host between two records.
                self.assertTrue(booked.wait(60))
                return [*done, self.release(ids[0])]
            finally:
                ended.set()

        def measure() -> int:
            for number in itertools.count(held + 1):
                if ended.is_set():
                    return number - held - 1
                self.assertEqual({'booked'}, self.send(
                    records.window(number)))
                booked.set()
            raise AssertionError
        done, sent = self.at_once(operate, measure)
        self.assertEqual(released, sum(done))
        self.assertGreater(sent, 0)
        self.assert_booked(released + sent, held - released)
