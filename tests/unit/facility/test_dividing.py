# SPDX-License-Identifier: Apache-2.0
"""The platform term, kept up to date beside a collector that books."""

from __future__ import annotations

import threading

import fixtures
from oslotest import base

from energy_accounting import units
from energy_accounting.facility import dividing
from energy_accounting.ledger import engine
from tests.unit.facility import nodes
from tests.unit.facility.nodes import window

UJ = units.UJ_PER_J
MINUTES = 60 * units.NS_PER_S
TERM = 300 * UJ - sum(amount + amount // 3 + amount // 7
                      for amount in (40 * UJ, 20 * UJ, 7 * UJ))


class DividingTest(base.BaseTestCase):

    def setUp(self) -> None:
        super().setUp()
        self.log = self.useFixture(fixtures.FakeLogger())
        database = engine.Database('sqlite://')
        self.addCleanup(database.close)
        engine.sync(database)
        self.nodes = nodes.Nodes(database)
        self.stop = threading.Event()
        self.dividing = self.another()
        self.nodes.book(window('h1', 1, [40 * UJ, 20 * UJ, 7 * UJ]))
        self.nodes.meter('h1')
        self.nodes.read('h1', {0: 0, 15: 300})

    def another(self) -> dividing.Dividing:
        return dividing.Dividing(self.nodes.database,
                                 lambda: self.nodes.now_ns, 300)

    def divide(self) -> list[int | None]:
        self.dividing.divide(self.stop)
        return self.nodes.terms('h1', 2)

    def test_an_operator_must_run_a_command(self) -> None:
        self.assertEqual([TERM, None], self.divide())

    def test_what_came_since_waits_for_ever(self) -> None:
        self.divide()
        self.nodes.book(window('h1', 2, [40 * UJ, 20 * UJ, 7 * UJ]))
        self.nodes.read('h1', {30: 600})
        self.nodes.now_ns += 5 * MINUTES
        self.assertEqual([TERM, TERM], self.divide())

    def test_each_of_many_collectors_does_it_again(self) -> None:
        self.divide()
        self.nodes.book(window('h1', 2, [40 * UJ, 20 * UJ, 7 * UJ]))
        self.nodes.read('h1', {30: 600})
        self.nodes.now_ns += 2 * MINUTES
        self.dividing = self.another()
        self.assertEqual([TERM, None], self.divide())

    def test_an_outage_ends_it_or_fills_the_log(self) -> None:
        url = 'mysql+pymysql://nobody@127.0.0.1:1/nothing'
        there, away = self.nodes.database, engine.Database(url)
        self.addCleanup(away.close)
        self.dividing._database = away
        for _ in range(3):
            self.divide()
        self.assertEqual(1, self.log.output.count('left as it is'))
        self.assertIn('cannot be used now', self.log.output)
        self.dividing._database = there
        self.assertEqual([TERM, None], self.divide())
        self.assertEqual(1, self.log.output.count('divided again'))

    def test_it_goes_on_when_it_is_told_to_stop(self) -> None:
        self.stop.set()
        self.dividing.run(self.stop)
        self.assertEqual([None, None], self.nodes.terms('h1', 2))
