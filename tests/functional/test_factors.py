# SPDX-License-Identifier: Apache-2.0
"""Factors on every database: all or none, one after the other, as of then."""

from __future__ import annotations

import concurrent.futures
import dataclasses
import threading
import unittest
from collections.abc import Callable, Sequence
from typing import Any

import sqlalchemy as sa

from energy_accounting import errors
from energy_accounting.facility import (
    factor_revisions,
    factor_store,
    factors,
    models,
)
from energy_accounting.ledger import audit, engine
from energy_accounting.ledger import models as ledger
from tests.functional import base
from tests.unit.facility import made

OPERATOR = audit.Actor('an operator', 'req-1')


@base.on(*base.EVERY)
class TestFactors(unittest.TestCase):
    new_database: Callable[[], engine.Database]
    database_name: str

    def setUp(self) -> None:
        super().setUp()
        self.database = self.new_database()

    def record(self, *batch: factors.Factor, at: int = 1, **more: Any,
               ) -> factor_store.Recorded:
        return self.database.write(factor_store.record, batch, at, OPERATOR,
                                   **more)

    def refused(self, kind: type[Exception], *batch: factors.Factor,
                **more: Any) -> str:
        before = self.rows()
        with self.assertRaises(kind) as caught:
            self.record(*batch, **more)
        self.assertEqual(before, self.rows())
        return str(caught.exception)

    def rows(self) -> list[Any]:
        with self.database.reader() as connection:
            return list(connection.execute(
                sa.select(models.factors).order_by(models.factors.c.id)))

    def values(self, as_of: int | None = None, **more: Any) -> list[str]:
        return [format(one.factor.value, 'f') for one in self.database.read(
            factor_store.as_of, 0, made.START_NS * 2, as_of,
            **({'zone': 'DE'} | more))]

    def test_a_value_comes_back_rounded(self) -> None:
        exact = ('0', '363', '0.000000000000000001', '99999999999.'
                 + '9' * 18, '300.10')
        batch = [made.factor(hour, hour + 1, value)
                 for hour, value in enumerate(exact)]
        self.assertEqual((5, 0, 0), self.record(*batch))
        self.assertEqual([*exact], self.values())
        self.assertEqual(batch, [one.factor for one in self.database.read(
            factor_store.as_of, 0, made.START_NS * 2, zone='DE')])

    def test_part_of_a_bad_batch_is_recorded(self) -> None:
        self.assertIn('factors.1, value', self.refused(
            errors.InvalidRequest, made.factor(0, 1),
            made.factor(1, 2, '-1')))
        self.assertIn("factors.1, site: there is no site 'nowhere'",
                      self.refused(errors.InvalidRequest, made.factor(),
                                   made.pue(site='nowhere')))
        self.record(made.factor(3, 4))
        said = self.refused(errors.Conflict, made.factor(0, 1),
                            made.factor(2, 5), name=lambda row: f'line {row}')
        self.assertIn('line 1, start: 300 g/kWh of operator', said)

    def test_the_same_again_is_recorded_twice(self) -> None:
        self.assertEqual((1, 0, 0), self.record(made.factor()))
        self.assertEqual((0, 0, 1), self.record(made.factor(), at=2))
        self.assertEqual(1, len(self.rows()))

    def test_yesterdays_answer_changes_with_a_correction(self) -> None:
        self.record(made.factor(), made.factor(1, 2, '5'), at=10)
        self.assertEqual((1, 1, 0), self.record(made.factor(value='310'),
                                                at=20))
        self.assertEqual(
            [set(), {'300', '5'}, {'300', '5'}, {'310', '5'}, {'310', '5'}],
            [{*self.values(as_of)} for as_of in (9, 10, 19, 20, 21)])

    def test_a_clock_that_goes_back_loses_a_factor(self) -> None:
        self.record(made.factor(), at=20)
        self.record(made.factor(value='310'), at=10)
        for as_of, expected in ((19, []), (20, ['310']), (21, ['310'])):
            self.assertEqual(expected, self.values(as_of))

    def test_another_owners_factors_are_read(self) -> None:
        self.record(made.factor(value='1'), made.factor(value='2', zone='FR'),
                    made.factor(value='3', site='default'))
        self.assertEqual(['1'], self.values())
        self.assertEqual(['1', '3'], self.values(site='default'))
        self.assertEqual(['3'], self.values(zone=None, site='default'))
        self.assertEqual([], self.values(zone=None))

    def test_pages_repeat_or_leave_out_a_factor(self) -> None:
        self.record(*(made.factor(hour, hour + 1, str(hour))
                      for hour in range(7)), made.pue(), at=5)
        self.record(made.factor(2, 3, '20'), at=6)
        found: list[factor_revisions.Kept] = []
        while page := self.database.read(
                factor_store.read, limit=3,
                after=found[-1].id if found else None):
            found += page
        self.assertEqual(sorted(one.id for one in found),
                         [one.id for one in found])
        self.assertEqual(8, len(found))
        for filters, expected in (
                ({}, 8), ({'all': True}, 9), ({'as_of_ns': 5}, 8),
                ({'as_of_ns': 4}, 0), ({'zone': 'DE'}, 7),
                ({'site': 'default'}, 1), ({'kind': 'pue'}, 1),
                ({'quality': 'forecast'}, 0), ({'provider': 'operator'}, 8),
                ({'start_ns': made.START_NS + made.HOUR_NS,
                  'end_ns': made.START_NS + 3 * made.HOUR_NS}, 2)):
            self.assertEqual(
                expected, len(self.database.read(factor_store.read,
                                                 **filters)), filters)
            self.assertEqual(
                expected, self.database.read(factor_store.count,
                                             **filters), filters)

    def test_a_change_has_no_author(self) -> None:
        self.record(made.factor(), made.factor(1, 2, '7'), at=5)
        self.record(made.factor(value='310'), at=6)
        with self.database.reader() as connection:
            newest, oldest = audit.read(connection, kind=audit.FACTOR)
        self.assertEqual(('an operator', 'req-1', None, 2, '7', '300'), (
            oldest.actor, oldest.request_id, oldest.was,
            oldest.became['factors'], oldest.became['lowest'],
            oldest.became['highest']))
        self.assertEqual(('300', '310'), (newest.was['highest'],
                                          newest.became['highest']))
        self.assertEqual('carbon DE electricity lifecycle location average',
                         newest.subject)

    def test_two_writers_both_find_the_time_free(self) -> None:
        """Of many that say something else of one time, one is recorded."""
        writers = 8
        ready = threading.Barrier(writers)
        # The owner's row is there: what makes others wait is its lock, and
        # not that it is inserted.
        self.record(made.factor(100, 101))

        def write(number: int) -> str:
            ready.wait(30)
            try:
                self.record(*(made.factor(
                    hour, hour + 2, provider=f'p{number}')
                    for hour in range(number % 2, 40, 2)))
            except errors.Conflict:
                return 'refused'
            return 'recorded'

        with concurrent.futures.ThreadPoolExecutor(writers) as pool:
            said = list(pool.map(write, range(writers)))
        self.assertEqual(1, said.count('recorded'), said)
        self.assertEqual(21, len(self.rows()))
        self.assertEqual([], factor_revisions.within([
            one.factor for one in self.database.read(factor_store.read)]))

    def test_a_second_writer_does_not_wait_for_the_first(self) -> None:
        self.record(made.factor(100, 101))
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            with self.database.writer() as connection:
                factor_store.record(connection, [made.factor(0, 4)], 1,
                                    audit.Actor('the first'))
                second = pool.submit(self.record, made.factor(
                    0, 4, '500', provider='another'))
                # Long enough for what does not wait.
                with self.assertRaises(concurrent.futures.TimeoutError):
                    second.result(0.5)
            with self.assertRaises(errors.Conflict):
                second.result(60)

    def test_writers_of_many_zones_wait_for_each_other_for_ever(
            self) -> None:
        zones = ['DE', 'FR', 'AT', 'CH']
        self.record(*(made.factor(100, 101, zone=zone) for zone in zones))

        def write(number: int) -> None:
            order: Sequence[str] = zones[number:] + zones[:number]
            self.record(*(made.factor(number, number + 1, zone=zone)
                          for zone in order))

        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            list(pool.map(write, range(4)))
        self.assertEqual(20, len(self.rows()))

    def test_many_quarters_are_not_recorded_or_revised(self) -> None:
        batch = [made.factor(
            0, 1, str(hour % 400), start_ns=made.START_NS
            + hour * made.QUARTER_NS,
            end_ns=made.START_NS + (hour + 1) * made.QUARTER_NS)
            for hour in range(4 * 30 * 24 // 3)]
        self.assertEqual((len(batch), 0, 0), self.record(*batch))
        self.assertEqual((0, 0, len(batch)), self.record(*batch))
        self.assertEqual((len(batch), len(batch), 0), self.record(*(
            dataclasses.replace(one, value=one.value + 1)
            for one in batch)))

    def test_a_month_costs_what_was_recorded_in_years(self) -> None:
        """The plan looks for the time asked, not for all before it."""
        self.record(*(made.factor(hour, hour + 1, str(hour))
                      for hour in range(3000)),
                    made.factor(-9000, -240, quality=factors.FALLBACK))
        asked: list[tuple[str, Any]] = []

        def heard(connection: Any, cursor: Any, statement: str,
                  parameters: Any, *_: Any) -> None:
            asked.append((statement, parameters))

        sa.event.listen(self.database.engine, 'before_cursor_execute', heard)
        self.addCleanup(sa.event.remove, self.database.engine,
                        'before_cursor_execute', heard)
        start = made.START_NS + 2000 * made.HOUR_NS
        found = self.database.read(factor_store.as_of, start,
                                   start + 10 * made.HOUR_NS, zone='DE')
        self.assertEqual([str(hour) for hour in range(2000, 2010)],
                         [str(one.factor.value) for one in found])
        queries = [(statement, given) for statement, given in asked
                   if 'FROM factors' in statement]
        self.assertEqual(2, len(queries))
        plan = {base.SQLITE: 'EXPLAIN QUERY PLAN ',
                base.MARIADB: 'EXPLAIN ', base.POSTGRES: 'EXPLAIN '}
        with self.database.writer() as connection:
            if self.database_name != base.SQLITE:
                connection.exec_driver_sql('ANALYZE TABLE factors' if
                                           self.database_name == base.MARIADB
                                           else 'ANALYZE factors')
            for statement, given in queries:
                text = ' '.join(str(row) for row in connection
                                .exec_driver_sql(plan[self.database_name]
                                                 + statement, given))
                self.assertIn('ix_factors_zone_lasting_start_ns', text)

    def test_sites_without_a_zone_are_listed(self) -> None:
        with self.database.writer() as connection:
            connection.execute(sa.insert(ledger.sites), [
                {'name': name, 'grid_zone': zone}
                for name, zone in (('b', 'DE'), ('a', 'DE'), ('c', 'AT'),
                                   ('d', None))])
        self.assertEqual({'AT': ['c'], 'DE': ['a', 'b']},
                         self.database.read(factor_store.grid_zones))
