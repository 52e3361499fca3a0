# SPDX-License-Identifier: Apache-2.0
"""The platform term in the rows of every database."""

from __future__ import annotations

import concurrent.futures
import pathlib
import subprocess
import sys
import tempfile
import time
import unittest
from collections.abc import Callable
from typing import Any
from unittest import mock

import sqlalchemy as sa
from oslo_db import exception as db_exception

from energy_accounting import units
from energy_accounting.ledger import engine
from energy_accounting.ledger import models as ledger
from energy_accounting.ledger import platform as rows
from tests.functional import base
from tests.unit.facility import nodes
from tests.unit.facility.nodes import FIRST, window

UJ = units.UJ_PER_J


class Case(unittest.TestCase):
    new_database: Callable[[], engine.Database]
    __test__ = False

    def setUp(self) -> None:
        super().setUp()
        self.nodes = nodes.Nodes(self.new_database())

    def assert_balanced(self) -> None:
        for host in (None, 'h1', 'h2'):
            sheet = self.nodes.sheet(host)
            self.assertEqual('0', sheet['difference_uj'])
            if host is None:
                self.assertEqual(
                    sum(int(sheet[f'{kind}_uj']) for kind in (
                        'instance', 'service', 'unallocated')),
                    int(sheet['projects_uj']))


@base.on(*base.EVERY)
class TestTerm(Case):

    def setUp(self) -> None:
        super().setUp()
        for host in ('h1', 'h2'):
            self.nodes.book(*(window(host, number, [
                40 * UJ, 20 * UJ, 7 * UJ]) for number in (1, 2)))
            self.nodes.meter(host)

    def test_the_term_is_not_divided_as_package_and_memory_went(
            self) -> None:
        self.nodes.read('h1', {0: 0, 15: 300, 30: 390})
        self.nodes.apportion()
        booked = [amount + amount // 3 + amount // 7
                  for amount in (40 * UJ, 20 * UJ, 7 * UJ)]
        terms = [300 * UJ - sum(booked), 90 * UJ - sum(booked)]
        self.assertLess(terms[1], 0)
        self.assertEqual(terms, self.nodes.terms('h1', 2))
        for bucket, term in enumerate(terms):
            got = self.nodes.accounts('h1', FIRST + bucket)
            self.assertEqual(term, sum(filter(None, got.values())))
            for name, amount in zip(('a', 'b', 'idle_capacity'), booked,
                                    strict=True):
                self.assertAlmostEqual(
                    term * amount / sum(booked), got[name] or 0, delta=1)
        self.assertEqual({None}, set(
            self.nodes.accounts('h2', FIRST).values()))
        self.assert_balanced()
        sheet = self.nodes.sheet()
        self.assertEqual(
            [str(390 * UJ), str(sum(terms)), '0'],
            [sheet[f'{side}_uj'] for side in (
                'node', 'platform', 'undivided_node')])
        self.assertIsNone(self.nodes.sheet('h2')['node_uj'])


@base.on(*base.SERVERS)
class TestLocked(Case):

    def test_a_window_is_booked_while_a_term_of_its_host_is_written(
            self) -> None:
        """Whoever books would add to rows that were read already."""
        self.nodes.book(window('h1', 1, [40 * UJ, 20 * UJ, 7 * UJ]))
        self.nodes.meter('h1')
        self.nodes.read('h1', {0: 0, 15: 300})
        asked = []

        def while_it_is_written(*given: Any) -> rows.Written:
            # As booking asks for the row, but does not wait.
            with (self.assertRaises((db_exception.DBError,
                                     sa.exc.DBAPIError)),
                  self.nodes.database.writer() as other):
                other.execute(sa.select(ledger.hosts).where(
                    ledger.hosts.c.name == 'h1').with_for_update(nowait=True))
            asked.append(True)
            return write(*given)

        write = rows.write
        with mock.patch.object(rows, 'write', while_it_is_written):
            [one] = self.nodes.apportion()
        self.assertEqual((1, None), (one.changed, one.problem))
        self.assertEqual([True], asked)
        self.assert_balanced()


class TestCollector(unittest.TestCase):

    def test_a_collector_leaves_it_to_somebody_else(self) -> None:
        """The installed one, which is told nothing of node meters."""
        path = pathlib.Path(self.enterContext(
            tempfile.TemporaryDirectory()))
        url = f'sqlite:///{path}/ledger.db'
        database = engine.Database(url)
        self.addCleanup(database.close)
        engine.sync(database)
        made = nodes.Nodes(database)
        made.book(window('h1', 1, [40 * UJ, 20 * UJ, 7 * UJ]))
        made.meter('h1')
        made.read('h1', {0: 0, 15: 300})
        conf = path / 'collector.conf'
        conf.write_text(f'[DEFAULT]\nhost = c\ntransport_url = fake://\n'
                        f'[database]\nconnection = {url}\n')
        with subprocess.Popen([
                pathlib.Path(sys.executable).parent
                / 'energy-accounting-collector', '--config-file', conf],
                stderr=subprocess.PIPE, text=True) as process:
            try:
                deadline = time.monotonic() + 120
                while made.terms('h1', 1) == [None]:
                    self.assertIsNone(process.poll())
                    self.assertLess(time.monotonic(), deadline)
                    time.sleep(0.1)
            finally:
                process.terminate()
                said = process.communicate(timeout=60)[1]
        self.assertEqual(0, process.returncode, said)
        self.assertNotIn('Traceback', said)


@base.on(*base.EVERY)
class TestTogether(Case):

    def test_booking_and_dividing_at_once_lose_something(self) -> None:
        """Hosts share projects; each books while its term is written."""
        hosts = ('h1', 'h2')
        for host in hosts:
            self.nodes.book(window(host, 1, [40 * UJ, 20 * UJ, 7 * UJ]))
            self.nodes.meter(host)
            self.nodes.read(host, {15 * number: 200 * number
                                   for number in range(9)})

        def book(host: str) -> None:
            for number in range(2, 9):
                self.assertEqual(['booked'], self.nodes.book(window(
                    host, number, [40 * UJ, 20 * UJ, 7 * UJ])))

        def divide() -> None:
            for _ in range(6):
                for one in self.nodes.apportion():
                    self.assertIsNone(one.problem)

        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            for done in [pool.submit(book, host) for host in hosts] + [
                    pool.submit(divide) for _ in range(2)]:
                done.result()
        self.nodes.apportion()
        self.assert_balanced()
        whole = [200 * UJ - sum(amount + amount // 3 + amount // 7
                                for amount in (40 * UJ, 20 * UJ, 7 * UJ))] * 8
        for host in hosts:
            self.assertEqual(whole, self.nodes.terms(host, 8))
