# SPDX-License-Identifier: Apache-2.0
"""``energy-accounting-manage platform`` as a timer and an operator run it."""

from __future__ import annotations

import contextlib
import io
import pathlib
import tempfile
import time
import unittest
from unittest import mock

import sqlalchemy as sa

from energy_accounting import errors, manage, units
from energy_accounting.ledger import engine
from energy_accounting.ledger import models as ledger
from tests.unit.facility import nodes
from tests.unit.facility.nodes import FIRST, window

UJ = units.UJ_PER_J
SUM = 40 * UJ + 40 * UJ // 3 + 40 * UJ // 7


class ApportionTest(unittest.TestCase):

    def setUp(self) -> None:
        super().setUp()
        where = tempfile.TemporaryDirectory()
        self.addCleanup(where.cleanup)
        path = pathlib.Path(where.name)
        url = f'sqlite:///{path}/ledger.db'
        self.conf = path / 'test.conf'
        self.conf.write_text(f'[database]\nconnection = {url}\n')
        self.database = engine.Database(url)
        self.addCleanup(self.database.close)
        engine.sync(self.database)
        # The command has the machine's clock; all this came an hour ago.
        self.nodes = nodes.Nodes(
            self.database, time.time_ns() - 3600 * units.NS_PER_S)
        for host in ('h1', 'h2'):
            self.nodes.book(*(window(host, number, [40 * UJ])
                              for number in (1, 2)))
            self.nodes.meter(host)
            self.nodes.read(host, {0: 0, 15: 100, 30: 210})

    def apportion(self, *words: str, code: int = 0) -> str:
        with contextlib.redirect_stdout(io.StringIO()) as said:
            self.assertEqual(code, manage.main(
                ['--config-file', str(self.conf), 'platform', 'apportion',
                 *words]), said.getvalue())
        return said.getvalue()

    def test_a_host_is_left_out_or_counted_again(self) -> None:
        self.assertEqual('h1: 2 quarters of an hour changed\n'
                         'h2: 2 quarters of an hour changed\n',
                         self.apportion())
        self.assertEqual([100 * UJ - SUM, 110 * UJ - SUM],
                         self.nodes.terms('h2', 2))
        self.assertEqual('h1: 0 quarters of an hour changed\n',
                         self.apportion('--host', 'h1'))

    def test_one_host_is_all_of_them(self) -> None:
        self.assertEqual('h2: 2 quarters of an hour changed\n',
                         self.apportion('--host', 'h2'))
        self.assertEqual([None, None], self.nodes.terms('h1', 2))

    def test_since_looks_at_nothing_that_has_not_changed(self) -> None:
        self.apportion()
        # As if somebody had written to the table.
        rows = ledger.platform_buckets
        with self.database.writer() as connection:
            connection.execute(sa.update(rows).values(node_uj=7))
        since = units.iso(units.bucket_start(FIRST + 1))
        self.assertIn('h1: 1 quarters', self.apportion(
            '--since', since, '--host', 'h1'))
        with self.database.reader() as connection:
            self.assertEqual([7, 110 * UJ], list(connection.scalars(
                sa.select(rows.c.node_uj).join(
                    ledger.hosts, ledger.hosts.c.id == rows.c.host_id)
                .where(ledger.hosts.c.name == 'h1')
                .order_by(rows.c.bucket))))

    def test_a_word_that_is_wrong_changes_something(self) -> None:
        for words, text in (
                (('--since', 'yesterday'), '--since.*ISO 8601'),
                (('--since', '2999-01-01T00:00:00Z'), '--since.*future'),
                (('--since', '2026-11-01T00:00:00'), '--since.*offset'),
                (('--host', 'h9'), 'no host')):
            with self.assertRaisesRegex(errors.EnergyAccountingError, text):
                self.apportion(*words)
        self.assertEqual([None, None], self.nodes.terms('h1', 2))

    def test_a_host_that_was_left_as_it_is_ends_with_0(self) -> None:
        rows = ledger.account_buckets
        with self.database.writer() as connection:
            connection.execute(sa.update(rows).where(
                rows.c.host_id == 1).values(active_uj=1))
        with mock.patch.object(engine, '_RETRIES', 0):
            said = self.apportion('--host', 'h1', code=1)
        self.assertIn('h1: left as it is: ', said)
        self.assertIn('do not add up', said)

    def test_rows_that_were_dropped_end_with_0(self) -> None:
        with self.database.writer() as connection:
            connection.execute(sa.insert(ledger.retired_buckets).values(
                host_id=1, bucket=FIRST, kind='instance', name='',
                energy_uj=SUM))
        said = self.apportion('--host', 'h1', code=1)
        self.assertIn('h1: 1 quarters of an hour changed', said)
        self.assertIn('1 quarters of an hour stay as they are', said)
