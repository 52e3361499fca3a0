# SPDX-License-Identifier: Apache-2.0
"""The platform term follows whatever comes, in whatever order."""

from __future__ import annotations

import random
from typing import Any
from unittest import mock

import hypothesis
import sqlalchemy as sa
from hypothesis import strategies as st

from energy_accounting import errors, units
from energy_accounting.facility import apportioning, meter_events, meters
from energy_accounting.ledger import gaps as ledger_gaps
from energy_accounting.ledger import models, platform, purge, register, retired
from tests.unit import records
from tests.unit.facility import nodes
from tests.unit.facility.nodes import FIRST, window

UJ = units.UJ_PER_J
SUM = 40 * UJ + 40 * UJ // 3 + 40 * UJ // 7
"""What a window of one guest with 40 J of active energy has in all."""


class HostsCase(nodes.NodesCase):

    def host(self, name: str = 'h1', windows: int = 4) -> None:
        self.nodes.book(*(window(name, number, [40 * UJ])
                          for number in range(1, windows + 1)))
        self.nodes.meter(name)

    def write(self, statement: Any) -> None:
        with self.database.writer() as connection:
            connection.execute(statement)

    def assert_balanced(self) -> None:
        sheet = self.nodes.sheet()
        self.assertEqual('0', sheet['difference_uj'])
        self.assertEqual(
            int(sheet['projects_uj']), sum(int(sheet[f'{kind}_uj']) for kind
                                           in ('instance', 'unallocated')))

    def assert_settled(self, terms: list[int | None],
                       host: str = 'h1') -> None:
        """The terms are these, everything adds up, and nothing is left."""
        self.assertEqual(*self.nodes.sums())
        self.assertEqual(terms, self.nodes.terms(host, len(terms)))
        self.assert_balanced()
        before = self.nodes.state()
        for again in (self.nodes.apportion(),
                      self.nodes.apportion(since_ns=0)):
            self.assertEqual({0}, {one.changed for one in again})
        self.assertEqual(before, self.nodes.state())


class TestWhatComes(HostsCase):

    def test_a_late_window_is_passed_over(self) -> None:
        self.host(windows=1)
        self.nodes.read('h1', {0: 0, 15: 100, 30: 180})
        self.nodes.apportion()
        self.assert_settled([100 * UJ - SUM, None])
        sheet = self.nodes.sheet()
        self.assertEqual(str(80 * UJ), sheet['undivided_node_uj'])
        self.nodes.book(window('h1', 2, [40 * UJ]))
        self.nodes.apportion()
        self.assert_settled([100 * UJ - SUM, 80 * UJ - SUM])

    def test_a_correction_is_passed_over(self) -> None:
        self.host()
        self.nodes.read('h1', {0: 0, 15: 100, 30: 180})
        self.nodes.apportion()
        self.nodes.now_ns += nodes.DAY_NS
        self.nodes.read('h1', {15: 90}, correct=True)
        self.nodes.apportion()
        self.assert_settled([90 * UJ - SUM, 90 * UJ - SUM])

    def test_a_reading_in_between_leaves_its_long_interval(self) -> None:
        self.host()
        self.nodes.read('h1', {0: 0, 60: 400})
        self.nodes.apportion()
        self.assert_settled([100 * UJ - SUM] * 4)
        self.nodes.now_ns += nodes.DAY_NS
        self.nodes.read('h1', {30: 220})
        self.nodes.apportion()
        self.assert_settled([110 * UJ - SUM] * 2 + [90 * UJ - SUM] * 2)

    def test_a_window_changes_only_its_bucket_of_a_long_interval(
            self) -> None:
        self.host(windows=3)
        self.nodes.read('h1', {0: 0, 60: 400})
        self.nodes.apportion()
        self.assert_settled([None] * 4)
        self.assertEqual(str(400 * UJ),
                         self.nodes.sheet()['undivided_node_uj'])
        self.nodes.now_ns += nodes.DAY_NS
        self.nodes.book(window('h1', 4, [40 * UJ]))
        self.nodes.apportion()
        self.assert_settled([100 * UJ - SUM] * 4)

    def test_readings_that_were_taken_back_leave_their_term(self) -> None:
        self.host()
        self.host('h2')
        self.nodes.read('h1', {0: 0, 15: 100})
        before = self.nodes.state()
        self.nodes.apportion()
        self.nodes.read('h2', {0: 0, 15: 50})
        self.nodes.apportion()
        self.nodes.read('h2', {0: None, 15: None}, correct=True)
        self.nodes.apportion()
        self.assert_settled([100 * UJ - SUM])
        # What another host of the project measures stays.
        self.assertEqual(
            {100 * UJ - SUM},
            {row['platform_uj'] for (_, bucket, _, boundary), row
             in self.nodes.state()['project_buckets'].items()
             if bucket == FIRST and boundary == 'node'})
        self.nodes.read('h1', {0: None, 15: None}, correct=True)
        self.nodes.apportion()
        self.assert_settled([None])
        # Unknown, as if there had never been a reading; not 0.
        self.assertEqual(before, self.nodes.state())

    def test_a_decision_about_a_counter_is_passed_over(self) -> None:
        self.host()
        self.nodes.read('h1', {0: 900, 15: 1000, 30: 60})
        self.nodes.apportion()
        self.assert_settled([100 * UJ - SUM, None])
        self.nodes.now_ns += nodes.DAY_NS
        self.database.write(
            meter_events.decide, nodes.by(self.nodes.now_ns), 'node of h1',
            meter_events.KeptEvent(0, nodes.at(20), 'exchange', '1020', '0',
                               None, 0, None))
        self.nodes.apportion()
        self.assert_settled([100 * UJ - SUM, 80 * UJ - SUM])

    def test_a_meter_that_is_anothers_leaves_its_term(self) -> None:
        self.host()
        self.host('h2')
        self.nodes.read('h1', {0: 0, 15: 100})
        self.nodes.apportion()
        self.nodes.now_ns += nodes.DAY_NS
        self.database.write(meters.change, nodes.by(self.nodes.now_ns),
                            'node of h1', {'host': 'h2'})
        self.database.write(meters.change, nodes.by(self.nodes.now_ns),
                            'node of h2', {'removed_ns': nodes.at(-60)})
        self.nodes.apportion()
        self.assert_settled([None])
        self.assert_settled([100 * UJ - SUM], 'h2')

    def test_a_zone_that_was_not_read_is_taken_for_platform(self) -> None:
        self.host()
        host = models.hosts
        with self.database.writer() as connection:
            host_id = connection.scalar(sa.select(host.c.id))
            ledger_gaps.write(connection, [ledger_gaps.row(
                host_id or 0, ledger_gaps.Cause('unreadable', None, 1),
                'package-1', nodes.at(20), nodes.at(30))])
        self.nodes.read('h1', {0: 0, 15: 100, 30: 200, 45: 300})
        self.nodes.apportion()
        self.assert_settled([100 * UJ - SUM, None, 100 * UJ - SUM])


class TestNobody(HostsCase):

    def test_a_term_without_any_share_is_lost(self) -> None:
        self.nodes.book(window('h1', 1, [0]))
        self.nodes.meter('h1')
        self.nodes.read('h1', {0: 0, 15: 100})
        self.nodes.apportion()
        self.assert_settled([100 * UJ])
        self.assertEqual(
            {'a': 0, platform.REASON: 100 * UJ},
            self.nodes.accounts('h1', FIRST))
        self.assertEqual(
            str(100 * UJ), self.nodes.sheet()['unallocated_by_reason'][
                platform.REASON]['energy_uj'])

    def test_what_nobody_had_stays_beside_what_somebody_has(self) -> None:
        self.nodes.book(window('h1', 1, [0], minutes=5),
                        window('h1', 2, [0], minutes=5))
        self.nodes.meter('h1')
        self.nodes.read('h1', {0: 0, 15: 100})
        with mock.patch.object(platform.coverage, 'WHOLE_NS', 0):
            self.nodes.apportion()
        self.assertEqual(100 * UJ, self.nodes.accounts('h1', FIRST)[
            platform.REASON])
        self.nodes.book(window('h1', 3, [40 * UJ], minutes=5))
        self.nodes.apportion()
        self.assert_settled([100 * UJ - SUM])
        self.assertEqual({'a': 100 * UJ - SUM},
                         self.nodes.accounts('h1', FIRST))


    def test_an_account_is_made_of_what_nobody_has(self) -> None:
        self.host(windows=1)
        self.nodes.read('h1', {0: 0, 15: 100})
        self.nodes.apportion()
        self.assert_settled([100 * UJ - SUM])
        self.assertNotIn(platform.REASON, self.database.read(
            lambda connection: list(connection.scalars(
                sa.select(models.accounts.c.name)))))


class TestDropped(HostsCase):

    def test_a_term_is_divided_among_rows_that_were_dropped(self) -> None:
        self.host()
        self.nodes.read('h1', {0: 0, 15: 100})
        self.nodes.apportion()
        while self.database.write(retired.retire, 1, FIRST + 2):
            pass
        self.assert_balanced()
        before = self.nodes.state()
        self.nodes.read('h1', {15: 90}, correct=True)
        self.nodes.read('h1', {30: 200, 45: 300})
        (outcome,) = self.nodes.apportion()
        # The first two are dropped, the third is not.
        self.assertEqual((1, 2), (outcome.changed, outcome.refused))
        after = self.nodes.state()
        self.assertEqual([100 * UJ - SUM, None, 100 * UJ - SUM],
                         self.nodes.terms('h1', 3))
        for table in ('retired_buckets', 'zone_buckets'):
            self.assertEqual(before[table], after[table])
        self.assert_balanced()

    def test_a_side_of_the_balance_stays_when_the_other_is_dropped(
            self) -> None:
        self.host()
        self.nodes.read('h1', {0: 0, 15: 100})
        self.nodes.apportion()
        gone = purge.purge(self.database, purge.Retention(1, 2, 1),
                           nodes.NOW_NS)
        self.assertEqual(1, gone['platform_buckets'])
        sheet = self.nodes.sheet()
        self.assertEqual(('0', '0', None), (
            sheet['measured_uj'], sheet['difference_uj'], sheet['node_uj']))


class TestCalls(HostsCase):

    def test_everything_is_looked_at_every_time(self) -> None:
        self.host()
        self.nodes.read('h1', {0: 0, 15: 100})
        self.nodes.apportion()
        self.nodes.now_ns += nodes.DAY_NS
        self.nodes.apportion()
        self.nodes.now_ns += nodes.DAY_NS
        with mock.patch.object(apportioning, '_write') as write:
            self.nodes.apportion()
            self.assertEqual([], write.mock_calls)
            self.nodes.apportion(since_ns=nodes.at(0))
            self.assertNotEqual([], write.mock_calls)

    def test_what_is_outdated_costs_the_whole_history(self) -> None:
        self.host()
        self.nodes.read('h1', {0: 0, 60: 400})
        self.nodes.apportion()
        said = self.statements(lambda: self.database.read_current(
            platform.outdated, 1))
        (statement,) = [one for one in said if one[0].startswith('SELECT')]
        with self.database.reader() as connection:
            plan = [row[-1] for row in connection.exec_driver_sql(
                f'EXPLAIN QUERY PLAN {statement[0]}', statement[1])]
        self.assertEqual(1, len(plan), plan)
        self.assertIn('(host_id=? AND outdated=?)', plan[0])

    def test_a_window_is_marked_that_nothing_was_divided_of(self) -> None:
        def marks(number: int) -> int:
            return sum(
                'platform_buckets SET' in text
                for text, _ in self.statements(lambda: self.nodes.book(
                    window('h1', number, [UJ], minutes=5))))

        self.nodes.book(window('h1', 1, [UJ], minutes=5))
        self.nodes.meter('h1')
        self.nodes.read('h1', {0: 0, 15: 100, 30: 200})
        self.nodes.apportion()
        # Once until it is divided again.
        self.assertEqual([1, 0], [marks(number) for number in (2, 3)])
        # Nothing had been booked of this one.
        self.assertEqual([1, 0, 0], [marks(number) for number in (4, 5, 6)])
        # Nobody has seen these.
        self.assertEqual([0, 0], [marks(number) for number in (7, 8)])
        self.assertEqual([FIRST, FIRST + 1], self.database.read_current(
            platform.outdated, 1))
        self.nodes.apportion()
        self.assertEqual([], self.database.read_current(
            platform.outdated, 1))

    def statements(self, call: Any) -> list[tuple[str, Any]]:
        said: list[tuple[str, Any]] = []

        def note(connection: Any, cursor: Any, statement: str,
                 parameters: Any, *_: Any) -> None:
            said.append((statement, parameters))

        sa.event.listen(sa.Engine, 'before_cursor_execute', note)
        try:
            call()
        finally:
            sa.event.remove(sa.Engine, 'before_cursor_execute', note)
        return said

    def test_a_transaction_has_more_than_a_day(self) -> None:
        self.host()
        self.nodes.read('h1', {0: 0, 15: 100, 3 * 24 * 60: 200})
        with mock.patch.object(apportioning, '_write', wraps=(
                apportioning._write)) as write:
            self.nodes.apportion()
        self.assertEqual([96, 96, 96],
                         [len(call.args[2]) for call in write.mock_calls])

    def test_rows_that_do_not_add_up_are_divided_among(self) -> None:
        self.host()
        self.host('h2')
        for host in ('h1', 'h2'):
            self.nodes.read(host, {0: 0, 15: 100})
        table = models.zone_buckets
        self.write(sa.update(table).where(
            table.c.host_id == 1, table.c.zone == 'dram-0').values(
                energy_uj=table.c.energy_uj + 1))
        with mock.patch('time.sleep'):
            first, second = self.nodes.apportion()
        self.assertIn('do not add up', first.problem or '')
        self.assertEqual((1, None), (second.changed, second.problem))
        self.assertEqual([None], self.nodes.terms('h1', 1))

    def test_one_host_is_all_hosts_and_no_host_is_none(self) -> None:
        self.host()
        self.host('h2')
        self.assertEqual(['h2'], [
            one.host for one in self.nodes.apportion(host='h2')])
        self.assertRaises(errors.NotFound, self.nodes.apportion, host='h3')


class TestMeters(HostsCase):

    def test_two_supplies_count_once_or_a_sum_of_them_twice(self) -> None:
        self.host()
        self.nodes.meter('h1', 'psu 2')
        self.nodes.read('h1', {0: 0, 15: 60})
        self.nodes.read('h1', {0: 0, 15: 50}, 'psu 2')
        self.nodes.apportion()
        self.assert_settled([110 * UJ - SUM])
        self.nodes.meter('h1', 'both', kind='virtual', terms={
            'node of h1': 1, 'psu 2': 1})
        self.nodes.apportion()
        self.assert_settled([110 * UJ - SUM])

    def test_a_meter_behind_another_one_counts_too(self) -> None:
        self.host()
        self.nodes.meter('h1', 'fans', parent='node of h1')
        self.nodes.read('h1', {0: 0, 15: 110})
        self.nodes.read('h1', {0: 0, 15: 20}, 'fans')
        self.nodes.apportion()
        self.assert_settled([110 * UJ - SUM])


# --- any order --------------------------------------------------------------

class TestAnyOrder(HostsCase):

    @hypothesis.settings(max_examples=6, deadline=None)
    @hypothesis.given(st.integers(0, 2 ** 32))
    def test_the_end_depends_on_the_order_of_what_came(
            self, seed: int) -> None:
        chance = random.Random(seed)
        steps = self._steps(chance)
        states = []
        for order in (steps, _shuffled(steps, chance)):
            self.database.write(nodes.empty)
            states.append(self._played(nodes.Nodes(self.database), order,
                                       chance))
        first, second = states
        self.assertEqual({}, {
            (table, key): (rows.get(key), second[table].get(key))
            for table, rows in first.items()
            for key in rows.keys() | second[table].keys()
            if rows.get(key) != second[table].get(key)})

    def _steps(self, chance: random.Random) -> list[tuple[Any, ...]]:
        """What comes of two hosts: windows in order, readings in any."""
        found: list[tuple[Any, ...]] = []
        people = [records.instance(name, f'project of {name}')
                  for name in 'abc']
        for host in ('h1', 'h2'):
            chance.shuffle(people)
            found += [('book', host, window(
                host, number, [chance.randrange(50) for _ in people],
                list(people))) for number in range(1, 7)]
            value = 0
            minutes = sorted(chance.sample(range(105), 8))
            for moment in {0, 90, *minutes}:
                value = moment * 3 + chance.randrange(3)
                found.append(('read', host, {moment: value}))
        return found

    def _played(self, ours: nodes.Nodes, order: list[tuple[Any, ...]],
                chance: random.Random) -> Any:
        for host in ('h1', 'h2'):
            self.database.write(register.enrol, nodes.by(), host, {})
            ours.meter(host)
        for what, host, given in order:
            ours.now_ns += nodes.MINUTE_NS * chance.choice((1, 1000))
            if what == 'read':
                ours.read(host, given)
            else:
                self.assertEqual(['booked'], ours.book(given))
            if chance.random() < 0.3:
                ours.apportion()
        ours.apportion()
        sheet = ours.sheet()
        self.assertEqual('0', sheet['difference_uj'])
        return ours.state()


def _shuffled(steps: list[tuple[Any, ...]],
              chance: random.Random) -> list[tuple[Any, ...]]:
    """In another order, but the windows of each host in theirs."""
    mixed = list(steps)
    chance.shuffle(mixed)
    windows = {host: iter([step for step in steps
                           if step[:2] == ('book', host)])
               for host in ('h1', 'h2')}
    return [next(windows[step[1]]) if step[0] == 'book' else step
            for step in mixed]
