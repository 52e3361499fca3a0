# SPDX-License-Identifier: Apache-2.0
"""A ledger that a test is given is as the migrations make it."""

from __future__ import annotations

import unittest
from collections.abc import Callable

import sqlalchemy as sa

from energy_accounting.ledger import accounts, engine, models
from tests.functional import base


@base.on(*base.SERVERS)
class TestTurns(unittest.TestCase):
    database_name: str

    def taker(self) -> unittest.TestCase:
        return type(self)('taker')

    def url_after(self, use: Callable[[engine.Database, unittest.TestCase],
                                      None]) -> tuple[str, str]:
        """What a test was given that does so, and what comes after it."""
        urls = []
        for do in (use, lambda *_: None):
            taker = self.taker()
            try:
                urls.append(taker.ledger_url())
                database = engine.Database(urls[-1])
                taker.addCleanup(database.close)
                do(database, taker)
            finally:
                taker.doCleanups()
        return urls[0], urls[1]

    def test_what_a_test_wrote_is_there_for_the_next(self) -> None:
        seen = []

        def write(database: engine.Database, _: object) -> None:
            seen.append(database.write(accounts.project_refs, {'a', 'b'}))
            with database.writer() as connection:
                connection.execute(sa.update(models.sites).values(name='x'))
                connection.execute(sa.delete(models.projects).where(
                    models.projects.c.id == models.NO_PROJECT))

        first, second = self.url_after(write)
        self.assertEqual(first, second)

        def look(database: engine.Database, taker: object) -> None:
            with database.reader() as connection:
                self.assertEqual([(models.DEFAULT_SITE, 'default')], list(
                    connection.execute(sa.select(
                        models.sites.c.id, models.sites.c.name)).all()))
                self.assertEqual(
                    [(models.NO_PROJECT, '')],
                    list(connection.execute(sa.select(models.projects))
                         .all()))
            engine.check_schema(database)
            # The next ids are the first ones again.
            write(database, taker)
            self.assertEqual({*seen[0].values()}, {*seen[1].values()})

        self.url_after(look)

    def test_a_changed_table_is_there_for_the_next(self) -> None:
        def change(database: engine.Database, _: object) -> None:
            with database.writer() as connection:
                connection.exec_driver_sql(
                    'ALTER TABLE hosts ADD COLUMN stray INTEGER')

        first, second = self.url_after(change)
        self.assertNotEqual(first, second)

    def test_who_is_still_at_it_is_there_for_the_next(self) -> None:
        def hold(database: engine.Database, _: object) -> None:
            held = database.engine.connect()
            held.detach()
            self.addCleanup(held.close)

        self.assertNotEqual(*self.url_after(hold))
