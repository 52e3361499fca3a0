# SPDX-License-Identifier: Apache-2.0
"""The example cloud obeys its own physics, whatever the accounting does."""

import ast
import functools
import inspect
import itertools

from oslotest import base

from energy_accounting import units
from energy_accounting.facility import factor_revisions
from energy_accounting.simulator import example, site, world

HOUR_NS = 3600 * world.NS_PER_S
# Quarters of an hour in two days.
PLAYED = 2 * 96
START_NS = 1_790_000_000 * world.NS_PER_S

MACHINE = world.Machine(
    'h', cpus=4, memory_mib=1000, packages=2, idle_mw=10_001, core_mw=3_000,
    turbo_mw=0, package_range_uj=1_000_000_007, memory_idle_mw=1_003,
    memory_core_mw=100, memory_range_uj=900_000_001, system_permille=100)


def instance(number, *stays, load=lambda second, noise: 500, vcpus=1):
    return world.Instance(f'i{number}', f'n{number}', 'p', 'f', vcpus, 300,
                          load, stays)


def stay(start, end):
    return world.Stay('h', start, end, start, end)


def host(*instances, machine=MACHINE):
    return world.Host(machine, instances, booted_s=-5000, seed=7,
                      boot_id='b', machine_id='m')


def run(one, seconds):
    readings = [one.zones()]
    for _ in range(seconds):
        one.advance(1000)
        readings.append(one.zones())
    return readings


class TestPhysics(base.BaseTestCase):

    def test_counters_move_by_what_the_zones_drew(self):
        one = host(instance(1, stay(0, 99)), instance(2, stay(3, 50)))
        moved = 0
        for before, after in itertools.pairwise(run(one, 400)):
            for old, new in zip(before, after, strict=True):
                moved += (new.counter_uj - old.counter_uj) % new.range_uj
        self.assertEqual(one.movement_uj, moved)
        self.assertGreater(one.wraps, 0)

    def test_counter_never_reaches_its_range(self):
        for reading in run(host(instance(1, stay(0, 400))), 400):
            for zone in reading:
                self.assertLess(zone.counter_uj, zone.range_uj)

    def test_every_joule_is_owed_by_someone(self):
        one = host(instance(1, stay(0, 99)), instance(2, stay(3, 50)))
        run(one, 200)
        owed = sum(owed.energy_uj for owed in one.owed().values())
        # Two instances and the free rest, two quotients each.
        self.assertIn(
            one.movement_uj - owed - one.service_uj - one.unowned_uj,
            range(6))

    def test_idle_draw_is_owed_by_reservation(self):
        one = host(instance(1, stay(0, 99), vcpus=1),
                   instance(2, stay(0, 99), vcpus=2,
                            load=lambda second, noise: 0))
        run(one, 40)
        owed = one.owed()
        self.assertEqual(10_001 * 40_000 // 4, owed['i1'].idle_uj)
        self.assertEqual(10_001 * 40_000 // 2, owed['i2'].idle_uj)
        self.assertEqual(0, owed['i2'].active_uj)
        self.assertEqual(500 * 3_000 * 40, owed['i1'].active_uj)

    def test_empty_host_owes_itself_to_nobody(self):
        one = host()
        run(one, 40)
        self.assertEqual({}, one.owed())
        self.assertIn(one.movement_uj - one.unowned_uj, range(2))

    def test_more_load_than_the_host_has_is_refused(self):
        one = host(instance(1, stay(0, 9), vcpus=4,
                            load=lambda second, noise: 1000))
        self.assertRaisesRegex(ValueError, 'more CPU time', one.advance, 1000)

    def test_overcommitted_host_is_refused(self):
        one = host(*(instance(number, stay(0, 9), vcpus=2)
                     for number in range(3)))
        self.assertRaisesRegex(ValueError, 'overcommitted', one.advance, 1000)


class TestIndependence(base.BaseTestCase):

    def test_truth_uses_nothing_that_it_is_held_against(self):
        for module, allowed in ((world, {'samples'}), (example, {'world'})):
            tree = ast.parse(inspect.getsource(module))
            found = {
                alias.name for node in ast.walk(tree)
                if isinstance(node, ast.ImportFrom)
                and (node.module or '').startswith('energy_accounting')
                for alias in node.names}
            self.assertEqual(allowed, found, module.__name__)


class TestLives(base.BaseTestCase):

    def test_restart_is_another_incarnation_that_begins_at_zero(self):
        one = host(instance(1, stay(0, 10), stay(12, 30)))
        run(one, 9)
        before, = one.guests()
        run(one, 2)
        self.assertEqual((), one.guests())
        run(one, 2)
        after, = one.guests()
        self.assertNotEqual(before.incarnation, after.incarnation)
        self.assertEqual(4500 * world.NS_PER_MS, before.cpu_ns)
        self.assertEqual(500 * world.NS_PER_MS, after.cpu_ns)
        self.assertEqual((5000 + 12) * world.NS_PER_S, after.started_ns)

    def test_end_keeps_the_last_cpu_time(self):
        one = host(instance(1, stay(2, 10)))
        run(one, 20)
        last, = one.ends
        self.assertEqual(4000 * world.NS_PER_MS, last.cpu_ns)
        self.assertEqual(5010 * world.NS_PER_S, last.ended_ns)

    def test_parent_cgroup_keeps_the_time_of_the_dead(self):
        one = host(instance(1, stay(0, 10)))
        before = one.parents_cpu_ns()['machine.slice']
        run(one, 20)
        self.assertEqual(5000 * world.NS_PER_MS,
                         one.parents_cpu_ns()['machine.slice'] - before)


class TestExample(base.BaseTestCase):

    def play(self, seconds, seed=1, step_ms=60_000):
        cast = example.cloud(seed, midnight=0)
        cloud = world.World(example.hosts(cast, seed), START_NS, step_ms)
        cloud.advance_to(START_NS + seconds * world.NS_PER_S)
        return cloud

    def test_same_seed_is_the_same_cloud(self):
        one, two = self.play(7200), self.play(7200)
        self.assertEqual(one.owed(), two.owed())
        self.assertEqual([host.zones() for host in one.hosts],
                         [host.zones() for host in two.hosts])

    def test_another_seed_is_another_cloud(self):
        self.assertNotEqual(set(self.play(60).owed()),
                            set(self.play(60, seed=2).owed()))

    def test_nobody_is_overcommitted_in_two_days_from_any_hour(self):
        for hour in range(24):
            cast = example.cloud(1, midnight=hour * example.HOUR)
            cloud = world.World(example.hosts(cast, 1), START_NS, 300_000)
            cloud.advance_to(
                START_NS + example.DURATION_SECONDS * world.NS_PER_S)
            self.assertGreaterEqual(len(cloud.owed()), 11)

    def test_the_plot_has_its_mishaps(self):
        for midnight in (0, 6 * example.HOUR, 17 * example.HOUR + 1):
            cast = example.cloud(1, midnight)
            stays = {one.name: one.stays for one in cast.instances}
            self.assertEqual(12, len(stays))
            self.assertEqual(4, len({one.project_id
                                     for one in cast.instances}))
            source, target = stays['shop-1']
            self.assertNotEqual(source.host, target.host)
            self.assertLess(target.start, source.end)
            self.assertEqual(source.runs_until, target.runs_from)
            before, after = stays['lab-3']
            self.assertEqual(before.host, after.host)
            self.assertLess(before.end, after.start)
            brief, = stays['one-off']
            self.assertEqual(brief.start // 30, brief.end // 30)


class TestSite(base.BaseTestCase):
    """What the meters show can be read, and is like a data centre."""

    # 26 March 2026, 14:45 in UTC; the clocks go forward on the 29th.
    END_NS = 1_774_536_300 * world.NS_PER_S

    @staticmethod
    @functools.cache
    def past(end_ns=END_NS, seed=1):
        """Of processors and memory that draw 400 W, as the example's."""
        return site.past([
            site.Drawn(end_ns - before * units.BUCKET_NS,
                       (PLAYED - before) * 400 * 900 * 1_000_000)
            for before in range(PLAYED, -1, -1)], 3, seed)

    def amount(self, past, name):
        """In thousandths of the meter's unit, from the first reading on."""
        first, last = (self.shown(past.readings[name][at])
                       for at in (0, -1))
        return last - first

    def shown(self, given):
        return int(given.value.replace('.', ''))

    def test_same_seed_is_another_past_or_another_seed_the_same(self):
        self.assertEqual(self.past(), self.past.__wrapped__())
        self.assertNotEqual(self.past().readings,
                            self.past(seed=2).readings)

    def test_a_counter_falls_or_its_readings_end_before_the_play(self):
        for name, given in self.past().readings.items():
            self.assertEqual(self.END_NS, given[-1].at_ns, name)
            if name != 'generator':
                shown = [self.shown(one) for one in given]
                self.assertEqual(sorted(shown), shown, name)
                self.assertGreater(shown[-1], shown[0], name)

    def test_the_year_before_has_a_hole_or_is_no_year(self):
        past = self.past()
        march = units.wall_ns(units.EPOCH.replace(
            year=2025, month=2, day=28, hour=23))
        for name, given in past.readings.items():
            first = given[0]
            self.assertEqual(march, first.at_ns if first.start_ns is None
                             else first.start_ns, name)
        for before, after in itertools.pairwise(past.readings['generator']):
            self.assertEqual(before.at_ns, after.start_ns)
        self.assertEqual(13, len(past.readings['generator']))
        for before, after in itertools.pairwise(past.readings['ups']):
            self.assertLessEqual(after.at_ns - before.at_ns, HOUR_NS)

    def test_it_meter_shows_less_than_its_servers_used(self):
        shown = self.past().readings['ups'][-PLAYED - 1:]
        # 400 W of the processors are a tenth of a kWh in a quarter.
        for before, after in itertools.pairwise(shown):
            self.assertGreater(self.shown(after) - self.shown(before), 110)
            self.assertEqual(units.BUCKET_NS, after.at_ns - before.at_ns)

    def test_pue_is_none_that_a_data_centre_has(self):
        past = self.past()
        litres = sum(self.shown(one) for one in past.readings['generator'])
        site_wh = (self.amount(past, 'grid') + self.amount(past, 'roof')
                   + litres * 99 // 10)
        permille = site_wh * 1000 // self.amount(past, 'ups')
        self.assertIn(permille, range(1200, 1400))

    def test_a_month_of_a_minute_has_a_whole_months_diesel(self):
        # The first of April, 00:15 in Berlin.
        past = self.past(1_774_995_300 * world.NS_PER_S)
        self.assertLess(self.shown(past.readings['generator'][-1]), 2)

    def test_a_month_begins_as_the_play_ends_and_has_no_time(self):
        for given in self.past(
                1_774_994_400 * world.NS_PER_S).readings['generator']:
            self.assertLess(given.start_ns, given.at_ns)

    def test_a_made_up_factor_passes_for_a_real_one(self):
        past = self.past()
        self.assertEqual([], factor_revisions.within(past.factors))
        for one in past.factors:
            self.assertIn('simulated', one.source)
            self.assertEqual('example', one.provider)
        for contract in past.contracts:
            self.assertIn('simulated', contract.evidence)
        grams = [one.value for one in past.factors
                 if one.method == 'location'
                 and one.carrier == 'electricity']
        self.assertGreater(min(grams), 80)
        self.assertLess(max(grams), 600)
