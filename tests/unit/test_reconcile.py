# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
import unittest
from collections.abc import Sequence
from typing import Any

from energy_accounting import manage, owners, reconcile, units
from energy_accounting.ledger import reserved

HOUR = 3600 * units.NS_PER_S
START = 1_772_323_200 * units.NS_PER_S
PERIOD = reconcile.Period(START, START + 24 * HOUR)
ALLOWED = reconcile.tolerance_ns(60)


def nova(instance_id: str = 'web', **changes: Any) -> owners.InNova:
    """A server that Nova counts for all of the day."""
    return owners.InNova(**{
        'instance_id': instance_id, 'name': 'a name', 'project_id': 'p1',
        'flavor': 'small', 'vcpus': 2, 'ns': 24 * HOUR, 'state': 'active',
        'started_ns': START - HOUR, 'ended_ns': None, **changes})


def seen(instance_id: str = 'web', ns: int = 24 * HOUR, *, vcpus: int = 2,
         **changes: Any) -> reserved.Reserved:
    return reserved.Reserved(**{
        'instance_id': instance_id, 'project_id': 'p1', 'flavor': 'small',
        'vcpu_ns': ns * vcpus, 'hosts': ('compute-1',), **changes})


class CompareCase(unittest.TestCase):
    def setUp(self) -> None:
        super().setUp()
        self.stopped_ns = 0
        self.unmeasured_ns = 0
        self.before: Sequence[reserved.Reserved] = ()
        self.asked: list[str] = []

    def compare(self, in_nova: Sequence[owners.InNova],
                rows: Sequence[reserved.Reserved],
                allowed_ns: int = ALLOWED) -> reconcile.Result:
        def stopped(instance: owners.InNova, start: int, end: int) -> int:
            self.asked.append(instance.instance_id)
            return self.stopped_ns

        return reconcile.compare(
            in_nova, rows, PERIOD, allowed_ns, reconcile.Answers(
                stopped, lambda hosts, start, end: self.unmeasured_ns,
                lambda instance_id, until: self.before))

    def differs(self, in_nova: Sequence[owners.InNova],
                rows: Sequence[reserved.Reserved],
                ) -> reconcile.Difference:
        result = self.compare(in_nova, rows)
        one, = result.differences
        self.assertEqual(one.expected, result.agreed)
        return one


class TestHours(CompareCase):
    def test_the_same_hours_differ(self) -> None:
        result = self.compare([nova()], [seen()])
        self.assertEqual((True, 1, 24 * HOUR, 24 * HOUR, ()), (
            result.agreed, result.instances, result.nova_ns,
            result.seen_ns, result.differences))
        self.assertEqual([], self.asked)

    def test_the_tolerance_is_not_two_windows_at_either_edge(self) -> None:
        for missing_s, kinds in (
                (240, []), (241, ['fewer_hours']),
                (-240, []), (-241, ['more_hours'])):
            with self.subTest(missing_s=missing_s):
                result = self.compare([nova()], [
                    seen(ns=24 * HOUR - missing_s * units.NS_PER_S)])
                self.assertEqual(kinds, [one.kind for one
                                         in result.differences])

    def test_a_larger_window_has_a_larger_tolerance(self) -> None:
        self.assertEqual(4 * 900 * units.NS_PER_S,
                         reconcile.tolerance_ns(900))

    def test_vcpus_are_taken_for_instances(self) -> None:
        self.assertTrue(self.compare(
            [nova(vcpus=7)], [seen(vcpus=7)]).agreed)
        self.assertEqual('fewer_hours', self.differs(
            [nova(vcpus=14)], [seen(vcpus=7)]).kind)

    def test_one_that_nova_has_and_nobody_saw_is_passed_over(self) -> None:
        one = self.differs([nova()], [])
        self.assertEqual(
            ('not_seen', 'web', 'p1', '24.0000', '0.0000', None, 'active',
             ()), (one.kind, one.instance_id, one.project_id, one.nova,
                   one.seen, one.cause, one.state, one.hosts))

    def test_one_that_was_seen_and_nova_has_not_is_passed_over(self) -> None:
        one = self.differs([], [seen(flavor='gone', vcpus=1)])
        self.assertEqual(
            ('not_in_nova', 'web', 'p1', None, '24.0000', ('compute-1',)),
            (one.kind, one.instance_id, one.project_id, one.nova, one.seen,
             one.hosts))

    def test_one_that_hardly_lived_differs(self) -> None:
        self.assertEqual((), self.compare(
            [nova(ns=60 * units.NS_PER_S)], []).differences)
        self.assertEqual((), self.compare(
            [], [seen(ns=60 * units.NS_PER_S)]).differences)

    def test_a_server_before_and_after_a_resize_is_not_one(self) -> None:
        result = self.compare(
            [nova(flavor='large', vcpus=8), nova('other')],
            [seen(ns=10 * HOUR), seen('other'),
             seen(ns=14 * HOUR, flavor='large', vcpus=8)])
        self.assertEqual((), result.differences)


class TestCauses(CompareCase):
    def test_a_stopped_server_is_blamed(self) -> None:
        self.stopped_ns = 6 * HOUR
        one = self.differs([nova(state='stopped')], [seen(ns=18 * HOUR)])
        self.assertEqual(('fewer_hours', 'stopped', True),
                         (one.kind, one.cause, one.expected))

    def test_being_stopped_excuses_more_than_its_time(self) -> None:
        self.stopped_ns = 6 * HOUR
        one = self.differs([nova(state='stopped')], [seen(ns=17 * HOUR)])
        self.assertEqual((None, False), (one.cause, one.expected))

    def test_a_gap_of_its_host_is_not_named_or_is_an_excuse(self) -> None:
        self.unmeasured_ns = 2 * HOUR
        one = self.differs([nova()], [seen(ns=22 * HOUR)])
        self.assertEqual(('unmeasured', False), (one.cause, one.expected))
        self.assertIsNone(self.differs([nova()], [seen(ns=21 * HOUR)]).cause)

    def test_stopped_and_unmeasured_are_not_added(self) -> None:
        self.unmeasured_ns = self.stopped_ns = 2 * HOUR
        one = self.differs([nova()], [seen(ns=20 * HOUR)])
        self.assertEqual('unmeasured', one.cause)

    def test_what_nova_forgot_at_a_rebuild_is_blamed(self) -> None:
        self.before = [seen(ns=10 * HOUR)]
        one = self.differs(
            [nova(ns=14 * HOUR, started_ns=START + 10 * HOUR)], [seen()])
        self.assertEqual(('more_hours', 'relaunched', True),
                         (one.kind, one.cause, one.expected))

    def test_a_rebuild_excuses_more_than_the_time_before(self) -> None:
        self.before = [seen(ns=9 * HOUR)]
        one = self.differs(
            [nova(ns=14 * HOUR, started_ns=START + 10 * HOUR)], [seen()])
        self.assertEqual((None, False), (one.cause, one.expected))

    def test_a_launch_before_the_period_is_a_relaunch(self) -> None:
        self.before = [seen(ns=24 * HOUR)]
        one = self.differs([nova()], [seen(ns=25 * HOUR)])
        self.assertIsNone(one.cause)

    def test_a_long_migration_is_not_named(self) -> None:
        one = self.differs([nova()], [
            seen(ns=25 * HOUR, hosts=('compute-1', 'compute-2'))])
        self.assertEqual(('moved', False), (one.cause, one.expected))


class TestIdentity(CompareCase):
    def test_another_project_is_passed_over(self) -> None:
        one = self.differs([nova()], [seen(project_id='p2')])
        self.assertEqual(('other_project', 'p1', 'p2', None),
                         (one.kind, one.nova, one.seen, one.cause))

    def test_an_unknown_owner_is_another_owner(self) -> None:
        one = self.differs([nova()], [seen(ns=HOUR, project_id=None),
                                      seen(ns=23 * HOUR)])
        self.assertEqual(
            ('other_project', 'p1, unknown', 'owner_unknown', False),
            (one.kind, one.seen, one.cause, one.expected))

    def test_another_flavor_is_passed_over(self) -> None:
        one = self.differs([nova()], [seen(flavor='large')])
        self.assertEqual(('other_flavor', 'small', 'large'),
                         (one.kind, one.nova, one.seen))


class TestActions(unittest.TestCase):
    def off(self, *actions: tuple[float, str], state: str = 'active') -> float:
        return reconcile.off_ns(
            [(START + int(hour * HOUR), what) for hour, what in actions],
            PERIOD.start_ns, PERIOD.end_ns, state) / HOUR

    def test_time_without_a_process_is_counted_wrong(self) -> None:
        for actions, hours in (
                ([], 0), ([(-5, 'create')], 0),
                ([(-5, 'create'), (6, 'stop'), (8, 'start')], 2),
                ([(-5, 'stop'), (8, 'start')], 8),
                ([(6, 'stop')], 18),
                ([(6, 'stop'), (7, 'stop'), (8, 'reboot')], 2),
                ([(8, 'start'), (6, 'stop')], 2),
                ([(1, 'suspend'), (2, 'resume'), (3, 'shelve'),
                  (5, 'unshelve')], 3),
                ([(3, 'pause'), (5, 'unpause')], 0),
                ([(30, 'stop')], 0), ([(20, 'delete')], 4)):
            with self.subTest(actions=actions):
                self.assertEqual(hours, self.off(*actions))

    def test_a_state_without_actions_says_nothing(self) -> None:
        self.assertEqual(24, self.off(state='stopped'))
        self.assertEqual(0, self.off(state='paused'))

    def test_a_state_says_more_than_the_actions(self) -> None:
        self.assertEqual(2, self.off((6, 'stop'), (8, 'start'),
                                     state='stopped'))


class TestWords(CompareCase):
    def said(self, rows: Sequence[reserved.Reserved],
             complete_ns: int | None = PERIOD.end_ns) -> str:
        return manage.as_text(self.compare([nova()], rows), PERIOD,
                                 ALLOWED, complete_ns)

    def test_agreement_needs_more_than_a_line(self) -> None:
        self.assertEqual(
            'agreed: 1 instances, 24.0000 h in Nova, 24.0000 h of them '
            'seen; 0 differences, 0 more as expected (tolerance 240 s)',
            self.said([seen()]))

    def test_a_difference_is_not_in_the_table(self) -> None:
        said = self.said([seen(ns=HOUR)]).splitlines()
        self.assertEqual(list(manage.COLUMNS), said[0].split())
        self.assertEqual(
            ['fewer_hours', 'web', 'p1', '24.0000', '1.0000', '-', 'active',
             'compute-1'], said[1].split())
        self.assertTrue(said[-1].startswith('differs: 1 instances'))

    def test_it_is_not_said_that_stopped_servers_count(self) -> None:
        self.stopped_ns = 24 * HOUR
        said = self.said([seen(ns=HOUR)])
        self.assertIn('stopped: Nova counts a server', said)
        self.assertIn('agreed: ', said)
        self.assertIn('0 differences, 1 more as expected', said)

    def test_it_is_not_said_that_hosts_have_not_reported(self) -> None:
        self.assertIn('complete until 2026-03-01T23:00:00Z',
                      self.said([seen()], PERIOD.end_ns - HOUR))
        self.assertIn('complete until unknown', self.said([seen()], None))

    def test_json_has_less_than_the_table(self) -> None:
        body = json.loads(manage.as_json(
            self.compare([nova()], []), PERIOD, ALLOWED, None))
        self.assertEqual(
            ('2026-03-01T00:00:00Z', '2026-03-02T00:00:00Z', False, 1, 0,
             240, None),
            (body['start'], body['end'], body['agreed'],
             body['unexplained'], body['expected'],
             body['tolerance_seconds'], body['complete_until']))
        one, = body['differences']
        self.assertEqual({*manage.COLUMNS, 'expected'}, one.keys())
