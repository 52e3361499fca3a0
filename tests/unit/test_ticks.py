# SPDX-License-Identifier: Apache-2.0
"""Between two readings: nothing guessed, nothing given to the wrong one."""

import dataclasses
import json
import unittest

from hypothesis import given
from hypothesis import strategies as st

from energy_accounting import attribution, errors, samples, ticks

S = 10 ** 9
J = 10 ** 6
W = J       # Watts in microwatts.
WALL = 1_800_000_000 * S
RANGE = 262_143_328_850
LIMITS = ticks.Limits(tick_ns=5 * S, window_ns=60 * S, max_power_uw=600 * W)


def zone(counter_uj, name='package-0', range_uj=RANGE):
    component = 'memory' if name.startswith('dram') else 'package'
    return samples.ZoneReading(name, component, counter_uj, range_uj)


def guest(name='a', cpu_ns=0, incarnation='1', started_ns=S, vcpus=2,
          mib=100, **fields):
    return samples.GuestReading(name, incarnation, started_ns, cpu_ns, vcpus,
                                mib, **fields)


def at(seconds, zones=(), guests=(), busy_ns=0, boot='boot', wall_ns=None,
       **fields):
    """A reading so many seconds after boot; zones are package counters."""
    if isinstance(zones, int):
        zones = (zone(zones),)
    return samples.HostReading(
        WALL + seconds * S if wall_ns is None else wall_ns, seconds * S,
        boot, tuple(zones), busy_ns, 16, 1000, tuple(guests), **fields)


def play(*readings, limits=LIMITS):
    """The outcome of each reading after the first."""
    baseline = ticks.first(readings[0])
    outcomes = []
    for reading in readings[1:]:
        # Through the spool each time: nothing may live outside of it.
        baseline = ticks.baseline_from_wire(
            json.loads(json.dumps(ticks.baseline_to_wire(baseline))))
        outcome = ticks.advance(baseline, reading, limits)
        outcomes.append(outcome)
        baseline = outcome.baseline
    return outcomes


def uses(tick):
    return {use.instance_id: use.cpu_ns for use in tick.guests}


class TestBaseline(unittest.TestCase):
    def test_the_first_reading_is_consumption(self):
        [outcome] = play(at(100, 200_000 * J, [guest(cpu_ns=900 * S)],
                            busy_ns=1000 * S),
                         at(105, 200_050 * J, [guest(cpu_ns=901 * S)],
                            busy_ns=1002 * S))
        self.assertEqual({'package-0': 50 * J}, outcome.tick.zones_uj)
        self.assertEqual({'a': S}, uses(outcome.tick))
        self.assertEqual(S, outcome.tick.host_cpu_ns)
        self.assertFalse(outcome.tick.backfilled)

    def test_a_counter_that_stands_still_is_a_fault(self):
        [outcome] = play(at(100, 7), at(105, 7))
        self.assertEqual({'package-0': 0}, outcome.tick.zones_uj)
        self.assertEqual((), outcome.gaps)

    def test_memory_that_no_zone_measures_is_zero(self):
        [outcome] = play(at(100, 7), at(105, 9))
        self.assertIsNone(outcome.tick.memory_uj)
        [outcome] = play(at(100, [zone(7), zone(1, 'dram-0')]),
                         at(105, [zone(9), zone(1, 'dram-0')]))
        self.assertEqual((2, 0), (outcome.tick.package_uj,
                                  outcome.tick.memory_uj))

    def test_a_step_of_the_wall_clock_changes_the_duration(self):
        for step in (-3600, 3600):
            [outcome] = play(at(100, 0),
                             at(105, 50, wall_ns=WALL + (105 + step) * S))
            self.assertEqual(5 * S, outcome.tick.duration_ns)
            self.assertFalse(outcome.tick.backfilled)
            self.assertEqual(50, outcome.tick.package_uj)

    def test_two_readings_of_one_moment_are_a_tick(self):
        same, later = play(at(100, 0, [guest()]), at(100, 5, [guest()]),
                           at(105, 50, [guest()]))
        self.assertIsNone(same.tick)
        self.assertTrue(same.held)
        self.assertEqual(50, later.tick.package_uj)

    def test_a_foreign_baseline_is_taken(self):
        for body in ({}, {'reading': {}}, {'reading': None},
                     {**ticks.baseline_to_wire(ticks.first(at(1, 1))),
                      'means': {'host': 3}}):
            with self.assertRaises(errors.InvalidRecord):
                ticks.baseline_from_wire(body)


class TestReboot(unittest.TestCase):
    def test_a_reboot_is_booked(self):
        first, second = play(
            at(900, 500 * J, [guest(cpu_ns=9)], wall_ns=WALL),
            at(30, 20 * J, [guest(cpu_ns=4)], boot='other',
               wall_ns=WALL + 90 * S),
            at(35, 30 * J, [guest(cpu_ns=6)], boot='other'))
        self.assertIsNone(first.tick)
        self.assertEqual((samples.Gap(None, WALL, WALL + 90 * S, 'reboot'),),
                         first.gaps)
        self.assertEqual(10 * J, second.tick.package_uj)
        self.assertEqual({'a': 2}, uses(second.tick))

    def test_a_reboot_with_a_clock_set_back_ends_before_it_begins(self):
        [outcome] = play(at(900, 1, wall_ns=WALL),
                         at(30, 1, boot='other', wall_ns=WALL - S))
        [gap] = outcome.gaps
        self.assertLessEqual(gap.start_ns, gap.end_ns)

    def test_a_boottime_that_went_back_is_booked(self):
        [outcome] = play(at(900, 1), at(30, 5))
        self.assertIsNone(outcome.tick)
        self.assertEqual('reset', outcome.gaps[0].reason)


class TestWrap(unittest.TestCase):
    def test_a_wrap_loses_energy(self):
        # 1 s after the wrap at 200 W: range - previous + current.
        [outcome] = play(at(100, RANGE - 800 * J), at(105, 200 * J))
        self.assertEqual(1000 * J, outcome.tick.package_uj)
        self.assertEqual((), outcome.gaps)

    def test_a_rise_that_cannot_be_is_lost_here(self):
        # 10 kW of 600: it travels, and the collector keeps it aside.
        [outcome] = play(at(100, 7), at(105, 7 + 50_000 * J))
        self.assertEqual({'package-0': 50_000 * J}, outcome.tick.zones_uj)
        self.assertEqual((), outcome.gaps)

    def test_a_wrap_at_full_power_is_taken_for_a_reset(self):
        [outcome] = play(at(100, RANGE - 1500 * J), at(105, 1500 * J))
        self.assertEqual(3000 * J, outcome.tick.package_uj)

    def test_a_reset_is_taken_for_a_wrap(self):
        first, second = play(
            at(100, 200_000 * J, [guest(cpu_ns=1 * S)], busy_ns=9 * S),
            at(105, 5 * J, [guest(cpu_ns=3 * S)], busy_ns=13 * S),
            at(110, 7 * J, [guest(cpu_ns=4 * S)], busy_ns=15 * S))
        self.assertIsNone(first.tick)
        self.assertEqual((samples.Gap(None, WALL + 100 * S, WALL + 105 * S,
                                      'reset'),), first.gaps)
        # CPU time begins anew with the counters.
        self.assertEqual(2 * J, second.tick.package_uj)
        self.assertEqual({'a': S}, uses(second.tick))
        self.assertEqual(S, second.tick.host_cpu_ns)

    def test_packages_together_may_draw_more_than_their_share(self):
        one = [zone(RANGE - 1000 * J), zone(5, 'package-1')]
        [outcome] = play(at(100, one),
                         at(105, [zone(1200 * J), zone(5, 'package-1')]))
        # 440 W of a share of 300 W: no wrap.
        self.assertEqual('reset', outcome.gaps[0].reason)
        [outcome] = play(at(100, one),
                         at(105, [zone(500 * J), zone(5, 'package-1')]))
        self.assertEqual(1500 * J, outcome.tick.package_uj)

    def test_memory_wraps_like_a_package(self):
        full = 65_712_999_613
        [outcome] = play(
            at(100, [zone(0), zone(full - 100 * J, 'dram-0', full)]),
            at(105, [zone(9), zone(100 * J, 'dram-0', full)]))
        self.assertEqual(200 * J, outcome.tick.memory_uj)

    def test_any_fall_without_a_range_is_a_wrap(self):
        [outcome] = play(at(100, [zone(5, range_uj=0)]),
                         at(105, [zone(4, range_uj=0)]))
        self.assertEqual('reset', outcome.gaps[0].reason)

    def test_a_fall_from_beyond_the_range_is_negative_energy(self):
        [outcome] = play(at(100, [zone(RANGE + 9 * J)]), at(105, [zone(5)]))
        self.assertEqual('reset', outcome.gaps[0].reason)


class TestLongInterval(unittest.TestCase):
    LIMIT_S = RANGE // (600 * W)

    def test_a_restart_loses_energy(self):
        [outcome] = play(at(100, 0, [guest(cpu_ns=0)]),
                         at(160, 6000 * J, [guest(cpu_ns=7 * S)]))
        self.assertTrue(outcome.tick.backfilled)
        self.assertEqual(6000 * J, outcome.tick.package_uj)
        self.assertEqual({'a': 7 * S}, uses(outcome.tick))

    def test_two_ticks_are_backfilled(self):
        [outcome] = play(at(100, 0), at(110, 9))
        self.assertFalse(outcome.tick.backfilled)
        [outcome] = play(at(100, 0), at(111, 9))
        self.assertTrue(outcome.tick.backfilled)

    def test_a_backfilled_tick_begins_where_the_old_clock_said(self):
        [outcome] = play(at(100, 0), at(160, 9, wall_ns=WALL + 7000 * S))
        self.assertEqual((WALL + 6940 * S, WALL + 7000 * S),
                         (outcome.tick.start_ns, outcome.tick.end_ns))

    def test_an_interval_that_may_hide_a_wrap_is_booked(self):
        shorter, longer = (
            play(at(100, 0), at(100 + seconds, 5),
                 at(105 + seconds, 7))
            for seconds in (self.LIMIT_S, self.LIMIT_S + 1))
        self.assertEqual(5, shorter[0].tick.package_uj)
        self.assertIsNone(longer[0].tick)
        self.assertEqual('too_long', longer[0].gaps[0].reason)
        self.assertEqual(WALL + 100 * S, longer[0].gaps[0].start_ns)
        self.assertEqual(2, longer[1].tick.package_uj)

    def test_a_small_memory_counter_costs_the_packages_theirs(self):
        small = 65_712_999_613
        first, second = play(
            at(100, [zone(0), zone(5, 'dram-0', small)]),
            at(360, [zone(700 * J), zone(9, 'dram-0', small)]),
            at(365, [zone(710 * J), zone(11, 'dram-0', small)]))
        self.assertEqual({'package-0': 700 * J}, first.tick.zones_uj)
        self.assertIsNone(first.tick.memory_uj)
        self.assertEqual([('dram-0', 'too_long')], [
            (gap.zone, gap.reason) for gap in first.gaps])
        self.assertEqual(2, second.tick.memory_uj)

    def test_guests_ended_meanwhile_are_paid_by_the_others(self):
        parents = {'machine.slice': 0}, {'machine.slice': 30 * S}
        [outcome] = play(
            at(100, 0, [guest('a', 0, parent='machine.slice'),
                        guest('b', 0, parent='machine.slice')],
               parents_cpu_ns=parents[0]),
            at(160, 900, [guest('a', 10 * S, parent='machine.slice')],
               busy_ns=31 * S, parents_cpu_ns=parents[1]))
        self.assertEqual({'a': 10 * S}, uses(outcome.tick))
        self.assertEqual({'ended': 20 * S}, outcome.tick.lost_cpu_ns)
        self.assertEqual(S, outcome.tick.host_cpu_ns)


class TestUnreadableZone(unittest.TestCase):
    TWO = zone(0), zone(0, 'package-1')

    def test_one_failed_reading_loses_a_socket(self):
        held, after = play(
            at(100, self.TWO, [guest(cpu_ns=0), guest('b', 0)]),
            at(105, [zone(100 * J), zone(None, 'package-1')],
               [guest(cpu_ns=5 * S), guest('b', 0)]),
            at(110, [zone(200 * J), zone(200 * J, 'package-1')],
               [guest(cpu_ns=5 * S), guest('b', 5 * S)]))
        self.assertIsNone(held.tick)
        self.assertTrue(held.held)
        self.assertEqual(400 * J, after.tick.package_uj)
        # Both halves' CPU time goes with both halves' energy.
        self.assertEqual({'a': 5 * S, 'b': 5 * S}, uses(after.tick))
        self.assertEqual((), after.gaps)
        self.assertIsNone(after.baseline.held_since_ns)

    def absent(self, until_s, limits=LIMITS, range_uj=RANGE):
        two = zone(0), zone(0, 'package-1', range_uj)
        readings = [at(100, two)]
        for seconds in range(105, until_s + 1, 5):
            readings.append(at(seconds, [
                zone((seconds - 100) * 10 * J),
                zone(None, 'package-1', range_uj)]))
        return readings, play(*readings, limits=limits)

    def test_a_zone_that_stays_away_stops_the_account(self):
        _readings, outcomes = self.absent(1200)
        booked = [outcome for outcome in outcomes if outcome.tick]
        first = booked[0].tick
        self.assertEqual({'package-0'}, set(first.zones_uj))
        # range / (600 W / 2) = 873 s.
        self.assertLess(first.duration_ns, 873 * S)
        self.assertGreater(first.duration_ns, 850 * S)
        self.assertTrue(first.backfilled)
        self.assertEqual(
            (samples.Gap('package-1', first.start_ns, first.end_ns,
                         'unreadable'),), booked[0].gaps)
        self.assertEqual(
            11_000 * J, sum(outcome.tick.package_uj for outcome in booked))
        # Once it is out, nothing is held for it.
        self.assertEqual(5 * S, booked[1].tick.duration_ns)
        self.assertEqual('package-1', booked[1].gaps[0].zone)

    def test_a_zone_without_range_is_awaited_for_ever(self):
        _, outcomes = self.absent(200, range_uj=0)
        first = next(outcome.tick for outcome in outcomes if outcome.tick)
        self.assertLessEqual(first.duration_ns, 65 * S)
        self.assertGreaterEqual(first.duration_ns, 60 * S)

    def test_a_zone_that_returns_brings_what_nobody_saw(self):
        _readings, outcomes = self.absent(200, range_uj=0)
        baseline = outcomes[-1].baseline
        back = ticks.advance(baseline, at(205, [
            zone(1050 * J), zone(900_000 * J, 'package-1', 0)]), LIMITS)
        self.assertEqual({'package-0': 50 * J}, back.tick.zones_uj)
        self.assertEqual(WALL + 205 * S, back.gaps[0].end_ns)
        again = ticks.advance(back.baseline, at(210, [
            zone(1100 * J), zone(900_070 * J, 'package-1', 0)]), LIMITS)
        self.assertEqual({'package-0': 50 * J, 'package-1': 70 * J},
                         again.tick.zones_uj)
        self.assertEqual((), again.gaps)

    def test_a_zone_not_there_at_the_start_is_awaited(self):
        [outcome] = play(at(100, [zone(0), zone(None, 'package-1')]),
                         at(105, [zone(5), zone(None, 'package-1')]))
        self.assertEqual({'package-0': 5}, outcome.tick.zones_uj)
        self.assertEqual('package-1', outcome.gaps[0].zone)

    def test_a_zone_no_longer_configured_is_awaited(self):
        [outcome] = play(at(100, self.TWO), at(105, [zone(5)]))
        self.assertEqual({'package-0': 5}, outcome.tick.zones_uj)
        self.assertEqual((), outcome.gaps)

    def test_a_host_without_a_readable_zone_has_measured_nothing(self):
        [outcome] = play(at(100, [zone(None)]), at(105, [zone(None)]))
        self.assertIsNone(outcome.tick)
        self.assertFalse(outcome.held)
        self.assertEqual('package-0', outcome.gaps[0].zone)

    def test_what_ended_while_held_is_forgotten(self):
        dead = guest('b', 3 * S, ended_ns=104 * S)
        held, still, after = play(
            at(100, 0, [guest('b', S)]),
            at(105, [zone(None)], ended=(dead,)),
            at(110, [zone(None)]),
            at(115, 50, busy_ns=2 * S))
        self.assertTrue(held.held and still.held)
        self.assertEqual({'b': 2 * S}, uses(after.tick))
        self.assertEqual(4 * S * 2, after.tick.guests[0].vcpu_ns)
        self.assertEqual({}, after.tick.lost_cpu_ns)

    def test_who_was_seen_while_held_is_counted_twice(self):
        _held, after = play(
            at(100, 0, [guest('b', S)]),
            at(105, [zone(None)], [guest('b', 3 * S)]),
            at(110, 50, busy_ns=5 * S))
        self.assertEqual({'b': 2 * S}, uses(after.tick))
        self.assertEqual({'ended': 3 * S}, after.tick.lost_cpu_ns)
        self.assertEqual({}, after.tick.lost_vcpu_ns)

    def test_who_was_seen_while_held_is_forgotten(self):
        _held, after = play(
            at(100, 0), at(105, [zone(None)],
                           [guest('b', 3 * S, started_ns=102 * S)]),
            at(110, 50, busy_ns=5 * S))
        self.assertEqual({'b': 3 * S}, uses(after.tick))
        self.assertEqual({'ended': 2 * S}, after.tick.lost_cpu_ns)


class TestGuests(unittest.TestCase):
    def test_a_new_guest_begins_with_its_second_reading(self):
        [outcome] = play(at(100, 0), at(105, 9, [
            guest(cpu_ns=3 * S, started_ns=102 * S)]))
        [use] = outcome.tick.guests
        self.assertEqual((3 * S, 2 * 3 * S, 100 * 3 * S),
                         (use.cpu_ns, use.vcpu_ns, use.memory_mib_ns))

    def test_an_old_guest_seen_late_brings_its_past(self):
        for started_ns in (90 * S, None):
            [outcome] = play(at(100, 0), at(105, 9, [
                guest(cpu_ns=3000 * S, started_ns=started_ns)]))
            [use] = outcome.tick.guests
            self.assertEqual((0, 10 * S), (use.cpu_ns, use.vcpu_ns))

    def test_a_start_time_rounded_down_hides_a_first_tick(self):
        [outcome] = play(
            at(100, 0),
            at(105, 9, [guest(cpu_ns=S, started_ns=100 * S - 5_000_000)]))
        self.assertEqual({'a': S}, uses(outcome.tick))

    def test_a_shrinking_cpu_time_is_negative(self):
        [outcome] = play(at(100, 0, [guest(cpu_ns=9)]),
                         at(105, 9, [guest(cpu_ns=4)]))
        self.assertEqual({'a': 0}, uses(outcome.tick))

    def test_a_reused_pid_is_the_same_guest(self):
        [outcome] = play(
            at(100, 0, [guest('a', 900 * S, '7-100')]),
            at(105, 9, [guest('b', 2 * S, '7-10200', 102 * S)],
               busy_ns=3 * S))
        self.assertEqual({'b': 2 * S}, uses(outcome.tick))
        self.assertEqual({'ended': S}, outcome.tick.lost_cpu_ns)

    def test_a_last_reading_is_not_used(self):
        [outcome] = play(
            at(100, 0, [guest(cpu_ns=S), guest('b', S)]),
            at(105, 9, [guest(cpu_ns=2 * S)], busy_ns=4 * S,
               ended=(guest('b', 3 * S, ended_ns=103 * S),)))
        self.assertEqual({'a': S, 'b': 2 * S}, uses(outcome.tick))
        self.assertEqual({}, outcome.tick.lost_cpu_ns)
        self.assertEqual(S, outcome.tick.host_cpu_ns)
        self.assertEqual([10 * S, 6 * S],
                         [use.vcpu_ns for use in outcome.tick.guests])

    def test_a_guest_that_only_lived_between_ticks_is_dropped(self):
        [outcome] = play(at(100, 0), at(105, 9, busy_ns=S, ended=(
            guest('b', S, started_ns=101 * S, ended_ns=103 * S),)))
        [use] = outcome.tick.guests
        self.assertEqual((S, 4 * S), (use.cpu_ns, use.vcpu_ns))

    def test_an_event_that_comes_late_counts_again(self):
        _first, late = play(
            at(100, 0, [guest('b', 0)]),
            at(105, 9, busy_ns=S),
            at(110, 18, busy_ns=S,
               ended=(guest('b', 5 * S, ended_ns=104 * S),)))
        self.assertEqual((), late.tick.guests)
        self.assertEqual({}, late.tick.lost_cpu_ns)

    def test_an_event_that_comes_early_counts_again(self):
        [outcome] = play(
            at(100, 0, [guest('b', 0)]),
            at(105, 9, [guest('b', 2 * S)],
               ended=(guest('b', 2 * S, ended_ns=105 * S),)))
        [use] = outcome.tick.guests
        self.assertEqual((2 * S, 2 * 5 * S), (use.cpu_ns, use.vcpu_ns))

    def test_a_restarted_guest_has_two_rows_or_loses_a_life(self):
        [outcome] = play(
            at(100, 0, [guest('a', 5 * S, '1')]),
            at(105, 9, [guest('a', S, '2', 104 * S)],
               ended=(guest('a', 7 * S, '1', ended_ns=103 * S),)))
        [use] = outcome.tick.guests
        self.assertEqual((3 * S, 2 * (3 + 1) * S), (use.cpu_ns, use.vcpu_ns))

    def test_a_resize_at_restart_rewrites_the_old_flavor(self):
        [outcome] = play(
            at(100, 0, [guest('a', 5 * S, '1', flavor='m1')]),
            at(105, 9, [guest('a', S, '2', 104 * S, flavor='m2')],
               ended=(guest('a', 7 * S, '1', flavor='m1',
                            ended_ns=103 * S),)))
        self.assertEqual({'m1': 2 * S, 'm2': S}, {
            use.flavor: use.cpu_ns for use in outcome.tick.guests})


class TestEndedWithoutReading(unittest.TestCase):
    def test_a_dead_guests_energy_goes_to_the_survivor(self):
        """Two guests half and half; one dies: the other keeps its 25 J."""
        slice_ = {'parent': 'machine.slice'}
        calm, death = play(
            at(100, 0, [guest('a', 0, **slice_), guest('b', 0, **slice_)],
               parents_cpu_ns={'machine.slice': 0}),
            at(105, 50 * J,
               [guest('a', 5 * S, **slice_), guest('b', 5 * S, **slice_)],
               busy_ns=10 * S, parents_cpu_ns={'machine.slice': 10 * S}),
            at(110, 100 * J, [guest('a', 10 * S, **slice_)],
               busy_ns=20 * S, parents_cpu_ns={'machine.slice': 20 * S}))
        for outcome in (calm, death):
            split = attribution.two_part(outcome.tick, 0, J)
            share = next(share for share in split.shares
                         if share.account.instance_id == 'a')
            self.assertEqual(25 * J, share.energy_uj)
        self.assertEqual({'ended': 5 * S}, death.tick.lost_cpu_ns)
        self.assertEqual({'ended': 2 * 5 * S}, death.tick.lost_vcpu_ns)

    def test_a_dead_guest_is_in_the_hosts_share(self):
        """No parent: the host keeps its mean, the rest is nobody's."""
        calm, death, after = play(
            at(100, 0, [guest('b', 0)]),
            at(105, 9, [guest('b', 4 * S)], busy_ns=5 * S),
            at(110, 18, busy_ns=10 * S),
            at(115, 27, busy_ns=12 * S))
        self.assertEqual(S, calm.tick.host_cpu_ns)
        self.assertEqual(S, death.tick.host_cpu_ns)
        self.assertEqual({'ended': 4 * S}, death.tick.lost_cpu_ns)
        self.assertEqual(2 * S, after.tick.host_cpu_ns)
        self.assertEqual({}, after.tick.lost_cpu_ns)

    def test_without_a_calm_tick_the_host_pays_for_the_dead(self):
        [outcome] = play(at(100, 0, [guest('b', 0)]),
                         at(105, 9, busy_ns=5 * S))
        self.assertEqual(0, outcome.tick.host_cpu_ns)
        self.assertEqual({'ended': 5 * S}, outcome.tick.lost_cpu_ns)

    def test_a_mean_of_long_ago_outweighs_the_last_hours(self):
        limits = ticks.Limits(60 * S, 60 * S, 600 * W)
        busy, readings = 0, []
        for place in range(240):
            busy += S if place < 120 else 9 * S
            readings.append(at(100 + 60 * place, place, [guest('b', 0)],
                               busy_ns=busy))
        death = play(*readings, at(100 + 60 * 240, 240,
                                   busy_ns=busy + 20 * S),
                     limits=limits)[-1]
        self.assertGreater(death.tick.host_cpu_ns, 7 * S)
        self.assertLess(death.tick.host_cpu_ns, 9 * S)

    def test_cgroups_long_gone_fill_the_memory(self):
        readings = [at(100 + 5 * place, place, parents_cpu_ns={
            f'p{number}': place for number in (place, place + 1)},
            services_cpu_ns={f's{number}': place
                             for number in (place, place + 1)})
            for place in range(9)]
        means = play(*readings)[-1].baseline.means
        self.assertEqual({'host', 'parent:p8', 'service:s8'}, set(means))

    def test_a_guest_nobody_ever_saw_is_in_the_hosts_share(self):
        [outcome] = play(
            at(100, 0, parents_cpu_ns={'machine.slice': 7 * S}),
            at(105, 9, busy_ns=4 * S,
               parents_cpu_ns={'machine.slice': 10 * S}))
        self.assertEqual({'ended': 3 * S}, outcome.tick.lost_cpu_ns)
        self.assertEqual(S, outcome.tick.host_cpu_ns)

    def test_a_cgroup_inside_another_makes_dead_guests_twice(self):
        def reading(place, names):
            return at(
                100 + 5 * place, 9 * place,
                [guest(name, place * S, parent=parent)
                 for name, parent in (('a', '/m'), ('b', '/m/x'),
                                      ('c', '/m/x/y')) if name in names],
                busy_ns=4 * place * S,
                parents_cpu_ns={'/m': 3 * place * S, '/m/x/y': place * S,
                                '/m/x': 2 * place * S})
        calm, death = play(reading(0, 'abc'), reading(1, 'abc'),
                           reading(2, 'ab'))
        self.assertEqual({}, calm.tick.lost_cpu_ns)
        self.assertEqual({'ended': S}, death.tick.lost_cpu_ns)
        self.assertEqual(S, death.tick.host_cpu_ns)

    def test_noise_between_files_makes_dead_guests(self):
        [outcome] = play(
            at(100, 0, [guest('a', 0, parent='p')], parents_cpu_ns={'p': 0}),
            at(105, 9, [guest('a', 5 * S, parent='p')], busy_ns=6 * S,
               parents_cpu_ns={'p': 5 * S + 40_000_000}))
        self.assertEqual({}, outcome.tick.lost_cpu_ns)
        self.assertEqual(S, outcome.tick.host_cpu_ns)

    def test_a_parent_with_time_of_its_own_has_a_death_each_tick(self):
        def reading(place, guests=('a', 'b')):
            return at(100 + 5 * place, 9 * place,
                      [guest(name, place * S, parent='pod')
                       for name in guests],
                      busy_ns=4 * place * S,
                      parents_cpu_ns={'pod': 4 * place * S})
        outcomes = play(*(reading(place) for place in range(6)),
                        reading(6, ['a']))
        for outcome in outcomes[1:-1]:
            self.assertEqual({}, outcome.tick.lost_cpu_ns)
            self.assertEqual(2 * S, outcome.tick.host_cpu_ns)
        self.assertEqual({'ended': S}, outcomes[-1].tick.lost_cpu_ns)
        self.assertEqual(2 * S, outcomes[-1].tick.host_cpu_ns)


class TestUnreadableGuest(unittest.TestCase):
    def dark(self, until_s, parents=False):
        readings = [at(100, 0, [guest('a', 0), guest('b', 0)]),
                    at(105, 50, [guest('a', 2 * S), guest('b', 2 * S)],
                       busy_ns=5 * S)]
        for seconds in range(110, until_s + 1, 5):
            place = (seconds - 105) // 5
            readings.append(at(
                seconds, 50 + 50 * place,
                [guest('a', 2 * S + 2 * S * place), guest('b', None)],
                busy_ns=5 * S + 5 * S * place))
        return readings, play(*readings)

    def test_a_moment_in_the_dark_is_taken_from_it(self):
        _readings, outcomes = self.dark(110)
        self.assertTrue(outcomes[-1].held)
        back = ticks.advance(outcomes[-1].baseline, at(
            115, 150, [guest('a', 6 * S), guest('b', 6 * S)],
            busy_ns=15 * S), LIMITS)
        self.assertEqual({'a': 4 * S, 'b': 4 * S}, uses(back.tick))
        self.assertEqual({}, back.tick.lost_cpu_ns)

    def test_a_guest_in_the_dark_stops_the_account(self):
        _readings, outcomes = self.dark(300)
        booked = [outcome.tick for outcome in outcomes[1:] if outcome.tick]
        self.assertLessEqual(booked[0].duration_ns, 65 * S)
        self.assertEqual({5 * S}, {tick.duration_ns for tick in booked[1:]})

    def test_a_guest_in_the_dark_is_paid_by_the_others(self):
        _readings, outcomes = self.dark(300)
        for tick in [outcome.tick for outcome in outcomes[1:]
                     if outcome.tick]:
            part = tick.duration_ns // 5
            self.assertEqual({'a': 2 * part}, uses(tick))
            self.assertEqual(part, tick.host_cpu_ns)
            self.assertEqual({'unreadable': 2 * part}, tick.lost_cpu_ns)
            self.assertEqual({'unreadable': 2 * tick.duration_ns},
                             tick.lost_vcpu_ns)
            self.assertEqual({'unreadable': 100 * tick.duration_ns},
                             tick.lost_memory_mib_ns)

    def test_a_guest_back_from_the_dark_brings_what_was_given_away(self):
        _readings, outcomes = self.dark(200)
        back = ticks.advance(outcomes[-1].baseline, at(
            205, 2000, [guest('a', 42 * S), guest('b', 99 * S)],
            busy_ns=105 * S), LIMITS)
        self.assertEqual({'a': 2 * S, 'b': 0}, uses(back.tick))
        again = ticks.advance(back.baseline, at(
            210, 2050, [guest('a', 44 * S), guest('b', 101 * S)],
            busy_ns=110 * S), LIMITS)
        self.assertEqual({'a': 2 * S, 'b': 2 * S}, uses(again.tick))
        self.assertEqual({}, again.tick.lost_cpu_ns)

    def test_one_file_that_was_never_readable_stops_everything(self):
        [outcome] = play(at(100, 0, [guest('a', 0), guest('b', None)]),
                         at(105, 9, [guest('a', S), guest('b', None)],
                            busy_ns=3 * S))
        self.assertEqual({'a': S}, uses(outcome.tick))
        self.assertEqual({'unreadable': 2 * S}, outcome.tick.lost_cpu_ns)

    def test_its_parent_knows_and_is_not_asked(self):
        def seen(cpu_ns):
            return guest('b', cpu_ns, parent='p')
        [outcome] = play(
            at(100, 0, [guest('a', 0, parent='p'), seen(None)],
               parents_cpu_ns={'p': 0}),
            at(105, 9, [guest('a', S, parent='p'), seen(None)],
               busy_ns=9 * S, parents_cpu_ns={'p': 3 * S}))
        self.assertEqual({'unreadable': 2 * S}, outcome.tick.lost_cpu_ns)
        self.assertEqual(6 * S, outcome.tick.host_cpu_ns)


class TestServices(unittest.TestCase):
    def test_guests_inside_a_service_are_counted_twice(self):
        [outcome] = play(
            at(100, 0, [guest(cpu_ns=0, service='k8s')],
               services_cpu_ns={'k8s': 0, 'ceph': 0}),
            at(105, 9, [guest(cpu_ns=3 * S, service='k8s')],
               busy_ns=10 * S,
               services_cpu_ns={'k8s': 5 * S, 'ceph': S, 'new': 7 * S}))
        self.assertEqual({'k8s': 2 * S, 'ceph': S},
                         outcome.tick.services_cpu_ns)
        self.assertEqual(4 * S, outcome.tick.host_cpu_ns)
        self.assertEqual(10 * S, outcome.tick.busy_ns)

    def test_a_dead_guest_is_left_to_the_service_it_ran_in(self):
        inside = {'service': 'k8s', 'parent': 'pod'}
        [outcome] = play(
            at(100, 0, [guest(cpu_ns=0, **inside)],
               services_cpu_ns={'k8s': 0}, parents_cpu_ns={'pod': 0}),
            at(105, 9, busy_ns=10 * S, services_cpu_ns={'k8s': 5 * S},
               parents_cpu_ns={'pod': 3 * S}))
        self.assertEqual({'ended': 3 * S}, outcome.tick.lost_cpu_ns)
        self.assertEqual({'k8s': 2 * S}, outcome.tick.services_cpu_ns)
        self.assertEqual(5 * S, outcome.tick.host_cpu_ns)

    def test_without_a_parent_the_service_keeps_the_dead_guest(self):
        _calm, death = play(
            at(100, 0, [guest(cpu_ns=0, service='k8s')],
               services_cpu_ns={'k8s': 0}),
            at(105, 9, [guest(cpu_ns=S, service='k8s')], busy_ns=4 * S,
               services_cpu_ns={'k8s': 3 * S}),
            at(110, 18, busy_ns=8 * S, services_cpu_ns={'k8s': 6 * S}))
        self.assertEqual({'ended': S}, death.tick.lost_cpu_ns)
        self.assertEqual({'k8s': 2 * S}, death.tick.services_cpu_ns)
        self.assertEqual(S, death.tick.host_cpu_ns)

    def test_more_guest_time_than_the_host_counted_is_negative(self):
        [outcome] = play(at(100, 0, [guest(cpu_ns=0)]),
                         at(105, 9, [guest(cpu_ns=5 * S)], busy_ns=4 * S))
        self.assertEqual(0, outcome.tick.host_cpu_ns)
        self.assertEqual(5 * S, outcome.tick.busy_ns)


# --- the laws, over any history ---------------------------------------------

@st.composite
def histories(draw):
    """Readings of two zones and some guests, with every kind of fault.

    With them: the energy that both zones really used between the first and
    the last reading.
    """
    ranges = draw(st.tuples(*[st.sampled_from([RANGE, 65_532_610_987])] * 2))
    counters = [draw(st.integers(0, size - 1)) for size in ranges]
    seconds, busy_ns, used = 100, 0, 0
    cpu = dict.fromkeys('abc', 0)
    readings = []
    for place in range(draw(st.integers(2, 12))):
        if place:
            step = draw(st.integers(1, 8))
            seconds += step
            for index, size in enumerate(ranges):
                energy = draw(st.integers(0, 300 * J * step))
                counters[index] = (counters[index] + energy) % size
                used += energy
        guests = []
        for name in draw(st.sets(st.sampled_from('abc'))):
            more = draw(st.integers(0, 5 * S))
            cpu[name] += more
            busy_ns += more
            guests.append(guest(name, draw(st.sampled_from(
                [cpu[name], cpu[name], None])),
                draw(st.sampled_from('12')), parent=draw(
                    st.sampled_from([None, 'p']))))
        busy_ns += draw(st.integers(0, S))
        dark = place and draw(st.integers(0, 4)) == 0
        readings.append(at(seconds, [
            zone(None if dark else counters[0], range_uj=ranges[0]),
            zone(counters[1], 'package-1', ranges[1])], guests, busy_ns,
            parents_cpu_ns={'p': sum(cpu.values())}))
    last = readings[-1]
    readings[-1] = dataclasses.replace(last, zones=(
        zone(counters[0], range_uj=ranges[0]), last.zones[1]))
    # Every reading guest can be read at the end, so that nothing is held.
    readings[-1] = dataclasses.replace(readings[-1], guests=tuple(
        each for each in last.guests if each.cpu_ns is not None))
    return readings, used


class TestLaws(unittest.TestCase):
    @given(histories())
    def test_a_joule_is_lost_or_booked_twice(self, history):
        readings, used_uj = history
        outcomes = play(*readings)
        self.assertFalse(outcomes[-1].held)
        booked = [outcome.tick for outcome in outcomes if outcome.tick]
        self.assertEqual(used_uj, sum(tick.package_uj for tick in booked))
        self.assertEqual(
            readings[-1].boottime_ns - readings[0].boottime_ns,
            sum(tick.duration_ns for tick in booked))
        for outcome in outcomes:
            self.assertEqual((), outcome.gaps)

    @given(histories())
    def test_cpu_time_is_invented(self, history):
        readings, _ = history
        ticks_ = [outcome.tick for outcome in play(*readings)
                  if outcome.tick]
        for tick in ticks_:
            self.assertGreaterEqual(tick.host_cpu_ns, 0)
            for number in (*tick.lost_cpu_ns.values(),
                           *tick.services_cpu_ns.values()):
                self.assertGreaterEqual(number, 0)
            for use in tick.guests:
                self.assertGreaterEqual(use.cpu_ns, 0)
                self.assertLessEqual(use.vcpu_ns,
                                     2 * 2 * tick.duration_ns)
        self.assertLessEqual(
            sum(use.cpu_ns for tick in ticks_ for use in tick.guests),
            readings[-1].busy_ns)

    @given(histories())
    def test_a_restart_in_between_changes_a_tick(self, history):
        readings, _ = history
        kept = ticks.first(readings[0])
        for reading, outcome in zip(readings[1:], play(*readings),
                                    strict=True):
            kept_outcome = ticks.advance(kept, reading, LIMITS)
            self.assertEqual(kept_outcome, outcome)
            kept = kept_outcome.baseline
