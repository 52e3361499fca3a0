# SPDX-License-Identifier: Apache-2.0
"""From fake counters to spooled windows, over restarts and failures."""

import collections
import dataclasses
import itertools
import pathlib
import random
import resource
import signal
import threading
from unittest import mock

import fixtures
from oslo_config import cfg
from oslotest import base

from energy_accounting import (
    attribution,
    clocks,
    errors,
    notifier,
    samples,
    units,
    wire,
)
from energy_accounting import conf as configuration
from energy_accounting import guests as guest_sources
from energy_accounting import spool as spools

SECOND_NS = 10 ** 9
# 20 s before the edge of a window.
START_NS = 1_790_000_020 * SECOND_NS
# 200 kJ: 500 s at the most power, 4000 s at what it draws.
RANGE_UJ = 200_000 * 10 ** 6
POLICY = attribution.two_part


class Machine:
    """A host: clock, meter, guests and figures at once.

    Draws 50 W in its package and 10 W in its memory, whatever is done; its
    counters wrap; ``vm-1`` uses half a CPU.  ``emitted_uj`` is the truth.
    """

    def __init__(self):
        self.now_ns = START_NS
        self.booted_ns = START_NS - 3600 * SECOND_NS
        self.boot = 'boot-1'
        self.emitted_uj = collections.Counter()
        self.cpu_ns = 0
        self.dark_zone = None
        self.meter_error = self.guests_error = self.host_error = None
        self.ended = ()
        self.user_id = None
        self.alive = True
        # What happens while somebody waits, each once, at a wall time.
        self.at = []

    def advance(self, seconds):
        self.now_ns += int(seconds * SECOND_NS)
        self.emitted_uj['package-0'] += int(seconds * 50_000_000)
        self.emitted_uj['dram-0'] += int(seconds * 10_000_000)
        self.cpu_ns += int(seconds * SECOND_NS) // 2

    # the clock
    def wall_ns(self):
        return self.now_ns

    def boottime_ns(self):
        return self.now_ns - self.booted_ns

    def wait(self, event, delay_ns):
        self.advance(delay_ns / SECOND_NS)
        while self.at and self.at[0][0] <= self.now_ns:
            self.at.pop(0)[1]()
        return event.is_set()


class Meter:

    basis = ('package-0', 'dram-0')
    max_power_uw = 400 * 10 ** 6

    def __init__(self, machine):
        self._machine = machine

    def read(self):
        machine = self._machine
        if machine.meter_error:
            raise machine.meter_error
        return tuple(
            samples.ZoneReading(
                zone, samples.MEMORY if zone == 'dram-0' else samples.PACKAGE,
                None if zone == machine.dark_zone
                else machine.emitted_uj[zone] % RANGE_UJ, RANGE_UJ)
            for zone in self.basis)

    def close(self):
        pass


class Guests:

    def __init__(self, machine):
        self._machine = machine

    def read(self, boottime_ns):
        machine = self._machine
        if machine.guests_error:
            raise machine.guests_error
        one = samples.GuestReading(
            'vm-1', '77-1', 0, machine.cpu_ns, 2, 1024, 'p', 'small',
            machine.user_id)
        ended, machine.ended = machine.ended, ()
        return guest_sources.GuestsNow(
            (one,) if machine.alive else (), ended, {})

    def close(self):
        pass


class Host:

    def __init__(self, machine):
        self._machine = machine

    def read(self):
        machine = self._machine
        if machine.host_error:
            raise machine.host_error
        return guest_sources.HostNow(
            busy_ns=machine.cpu_ns + machine.boottime_ns() // 100, cpus=4,
            memory_mib=8192, services_cpu_ns={})

    def boot_id(self):
        return self._machine.boot

    def machine_id(self):
        return 'machine-1'


class NotifierCase(base.BaseTestCase):

    def setUp(self):
        super().setUp()
        self.log = self.useFixture(fixtures.FakeLogger('energy_accounting'))
        self.machine = Machine()
        self.settings = notifier.Settings(
            host='h', version='1.2.3', idle_power_uw=20_000_000,
            state_path=pathlib.Path(
                self.useFixture(fixtures.TempDir()).path))
        self.spool = None

    def start(self, **changes):
        """Start a notifier, as after a kill of the one before."""
        if self.spool is not None:
            self.spool.close()
        settings = dataclasses.replace(self.settings, **changes)
        return self.begin(settings, notifier.open_spool(
            settings, 'machine-1', 'k', fsync=False))

    def begin(self, settings, spool):
        self.spool = spool
        self.addCleanup(spool.close)
        self.notifier = notifier.Notifier(
            settings, self.machine, Meter(self.machine),
            Guests(self.machine), Host(self.machine), self.spool, POLICY)
        return self.notifier

    def live(self, seconds, every=5):
        for _ in range(0, seconds, every):
            self.machine.advance(every)
            self.notifier.step()

    def windows(self):
        return [wire.from_payload(record.payload)
                for record in self.spool.records(1, 10 ** 6)]

    def booked(self):
        """The sums by zone, of windows that add up and do not overlap."""
        total = collections.Counter()
        if self.spool is None:
            return total
        ends_ns = {}
        for window in self.windows():
            self.assertLessEqual(ends_ns.get(window.boot_id, 0),
                                 window.boottime_start_ns)
            ends_ns[window.boot_id] = window.boottime_end_ns
            for part in window.parts:
                total.update(part.zones_uj)
                self.assertEqual(
                    part.measured_uj,
                    sum(share.energy_uj for share in part.shares))
        return +total

    def assert_all_is_booked(self, since=None):
        self.notifier.flush()
        self.assertEqual(self.machine.emitted_uj
                         - (since or collections.Counter()),
                         self.booked())

    def now_booked(self):
        """Only what is emitted from here on is anybody's business."""
        return collections.Counter(self.machine.emitted_uj)


class TestWindows(NotifierCase):

    def test_windows_end_at_wall_clock_edges_and_hold_every_joule(self):
        self.start().step()
        self.live(200)
        windows = self.windows()
        edges = [START_NS + 20 * SECOND_NS + n * 60 * SECOND_NS
                 for n in range(4)]
        self.assertEqual(
            list(zip([START_NS, *edges], edges, strict=False)),
            [(one.start_ns, one.end_ns) for one in windows])
        self.assertEqual(list(range(1, 5)),
                         [one.sequence for one in windows])
        self.assert_all_is_booked()

    def test_window_says_all_that_the_collector_needs(self):
        self.start().step()
        self.live(80)
        one = self.windows()[1]
        boottime_ns = one.end_ns - self.machine.booted_ns
        self.assertEqual(
            samples.Window(
                host='h', machine_id='machine-1', stream=self.spool.stream,
                sequence=2, start_ns=one.start_ns, end_ns=one.end_ns,
                boot_id='boot-1',
                boottime_start_ns=boottime_ns - 60 * SECOND_NS,
                boottime_end_ns=boottime_ns, policy='two-part/1',
                basis=('dram-0', 'package-0'), idle_kind='configured',
                idle_power_uw=20_000_000, cpus=4, memory_mib=8192,
                parts=one.parts, gaps=(), version='1.2.3',
                window_seconds=60, max_power_uw=400 * 10 ** 6), one)
        [part] = one.parts
        self.assertEqual({'package-0': 3_000_000_000,
                          'dram-0': 600_000_000}, part.zones_uj)
        [share] = [share for share in part.shares
                   if share.account.instance_id == 'vm-1']
        self.assertEqual(
            samples.Account('instance', 'vm-1', 'p', 'small'), share.account)

    def test_user_ids_stay_at_home_unless_they_are_asked_for(self):
        for wanted, seen in ((False, None), (True, 'u')):
            with self.subTest(wanted=wanted):
                self.machine.user_id = 'u'
                self.start(user_ids=wanted).step()
                self.live(60)
                shares = self.windows()[-1].parts[-1].shares
                self.assertEqual({seen}, {
                    share.account.user_id for share in shares
                    if share.account.instance_id})

    def test_window_that_no_record_has_room_for_waits_for_ever(self):
        self.start().step()
        self.live(20)
        size = max(len(record.payload) for record in self.spool.records(1))
        with mock.patch.object(wire, 'MAX_BYTES', size - 100):
            self.live(120)
        self.live(60)
        names = [{share.account.name for share in window.parts[0].shares}
                 for window in self.windows()]
        self.assertEqual([{'too_many'}] * 2, names[1:3])
        self.assertNotIn('too_many', names[0] | names[3])
        self.assertIn('too_many', self.log.output)
        self.assert_all_is_booked()
        # All else of a part stays what it was, for what is computed of it.
        kept, cut = (window.parts[0] for window in self.windows()[3:0:-2])
        self.assertEqual(
            [sum(column or 0 for column in row) for row in zip(
                *(share[1:] for share in kept.shares), strict=True)],
            [*cut.shares[0][1:]])

    def test_first_reading_is_never_consumption(self):
        self.machine.advance(1000)
        since = self.now_booked()
        self.start().step()
        self.live(60)
        self.assert_all_is_booked(since)

    def test_flushed_window_ends_where_the_next_one_begins(self):
        self.start().step()
        self.live(30)
        self.notifier.flush()
        self.start().step()
        self.live(60)
        self.notifier.flush()
        windows = self.windows()
        self.assertGreater(len(windows), 2)
        for before, after in itertools.pairwise(windows):
            self.assertEqual(
                (before.end_ns, before.boottime_end_ns),
                (after.start_ns, after.boottime_start_ns))

    def test_power_without_a_known_limit_is_bounded_and_said(self):
        self.start()
        meter = Meter(self.machine)
        meter.max_power_uw = None
        self.assertEqual(600_000_000,
                         notifier._max_power_uw(self.settings, meter))
        self.assertIn('max_power_watts', self.log.output)


class TestRestarts(NotifierCase):

    def test_no_joule_is_lost_or_twice_however_often_it_is_killed(self):
        chance = random.Random(7)
        self.start().step()
        for _ in range(60):
            self.live(chance.randrange(5, 120), every=5)
            if chance.random() < 0.3:
                self.notifier.flush()
            # The window that was open is measured again, longer.
            self.machine.advance(chance.randrange(0, 200))
            self.start()
            self.notifier.step()
        self.assert_all_is_booked()
        self.assertEqual([], [gap for window in self.windows()
                              for gap in window.gaps])

    def test_kill_before_the_first_window_closes_loses_nothing(self):
        self.machine.advance(1000)
        since = self.now_booked()
        self.start().step()
        for _ in range(3):
            self.live(5)
            self.start()
        self.assertEqual([], self.windows())
        self.live(60)
        self.assert_all_is_booked(since)

    def test_kill_after_useless_baselines_loses_nothing_more(self):
        self.start().step()
        self.live(60)
        self.spool.append(wire.payload(self.windows()[0]), {'v': 99},
                          self.machine.now_ns)
        self.start().step()
        since = self.now_booked()
        self.live(5)
        self.start()
        self.live(60)
        self.notifier.flush()
        self.assertEqual(
            self.machine.emitted_uj - since,
            sum((collections.Counter(part.zones_uj)
                 for window in self.windows()[2:] for part in window.parts),
                collections.Counter()))

    def test_first_baseline_waits_for_a_disk_that_is_full(self):
        self.start()
        with full_disk():
            self.assertRaises(errors.SpoolError, self.notifier.step)
        since = self.now_booked()
        self.live(5)
        self.start()
        self.live(60)
        self.assert_all_is_booked(since)

    def test_time_it_was_dead_is_marked_backfilled(self):
        self.start().step()
        self.live(60)
        self.machine.advance(300)
        self.start().step()
        self.live(60)
        self.assert_all_is_booked()
        backfilled_ns = sum(part.measured_ns for window in self.windows()
                            for part in window.parts if part.backfilled)
        # And the open window of before.
        self.assertEqual((300 + 40) * SECOND_NS, backfilled_ns)

    def test_reboot_is_a_gap_and_begins_anew(self):
        self.start().step()
        self.live(80)
        self.machine.boot, self.machine.booted_ns = 'boot-2', (
            self.machine.now_ns)
        self.machine.emitted_uj.clear()
        self.machine.advance(30)
        since = self.now_booked()
        before = self.booked()
        self.start().step()
        self.live(60)
        self.notifier.flush()
        self.assertEqual(self.machine.emitted_uj - since,
                         self.booked() - before)
        self.assertEqual(
            ['reboot'], [gap.reason for window in self.windows()
                         for gap in window.gaps])

    def test_idle_power_that_was_learnt_survives(self):
        self.settings = dataclasses.replace(
            self.settings, idle_power_uw=None, tick_ns=60 * SECOND_NS)
        self.machine.alive = False
        self.machine.advance = lambda seconds: quiet(self.machine, seconds)
        self.start().step()
        self.live(12 * 60, every=60)
        # Killed, and started on the next UTC day.
        self.machine.now_ns += 86400 * SECOND_NS
        self.machine.booted_ns += 86400 * SECOND_NS
        self.start().step()
        self.live(60, every=60)
        kinds = [(one.idle_kind, one.idle_power_uw)
                 for one in self.windows()]
        self.assertEqual(('provisional', None), kinds[0])
        self.assertEqual(('measured', 50_000_000), kinds[-1])

    def test_useless_baselines_are_said_and_begin_anew(self):
        self.start().step()
        self.live(60)
        for state in ({}, {'v': 99}, {'v': 1, 'baseline': {}, 'idle': {}}):
            with self.subTest(state=state):
                self.spool.append('x', state, START_NS)
                self.start().step()
                self.assertIn('cannot be used', self.log.output)


def quiet(machine, seconds):
    machine.now_ns += int(seconds * SECOND_NS)
    machine.emitted_uj['package-0'] += int(seconds * 50_000_000)


class TestFailures(NotifierCase):

    def test_error_of_a_reading_holds_the_tick_and_loses_nothing(self):
        self.start().step()
        for name in ('meter_error', 'host_error'):
            with self.subTest(source=name):
                self.live(20)
                setattr(self.machine, name, OSError('gone'))
                for _ in range(3):
                    self.machine.advance(5)
                    self.assertRaises(OSError, self.notifier.step)
                setattr(self.machine, name, None)
                self.live(20)
        self.assert_all_is_booked()

    def test_last_reading_of_a_guest_survives_a_failed_tick(self):
        self.start().step()
        self.live(20)
        self.machine.advance(5)
        self.machine.alive = False
        self.machine.ended = (samples.GuestReading(
            'vm-1', '77-1', 0, self.machine.cpu_ns, 2, 1024, 'p', 'small',
            ended_ns=self.machine.boottime_ns()),)
        self.machine.meter_error = OSError('gone')
        self.assertRaises(OSError, self.notifier.step)
        self.machine.meter_error = None
        self.machine.host_error = OSError('gone too')
        self.assertRaises(OSError, self.notifier.step)
        self.machine.host_error = None
        self.live(20)
        self.notifier.flush()
        self.assertEqual(self.machine_cpu(25), self.cpu_ns_of('vm-1'))

    def machine_cpu(self, seconds):
        return seconds * SECOND_NS // 2

    def cpu_ns_of(self, instance_id):
        return sum(share.cpu_ns for window in self.windows()
                   for part in window.parts for share in part.shares
                   if share.account.instance_id == instance_id)

    def test_guests_that_cannot_be_read_give_nothing_to_others(self):
        self.start().step()
        self.live(20)
        self.machine.guests_error = OSError('no socket')
        self.live(30)
        self.machine.guests_error = None
        self.live(30)
        self.notifier.flush()
        # Held until they could be read again: nothing is missing.
        self.assertEqual(self.machine_cpu(80), self.cpu_ns_of('vm-1'))
        self.assertEqual(1, self.log.output.count('cannot be read: no'))
        self.assert_all_is_booked()

    def test_guests_dark_for_long_are_nobodys_and_energy_goes_on(self):
        self.start().step()
        self.live(20)
        self.machine.guests_error = OSError('no socket')
        self.live(300)
        self.machine.guests_error = None
        self.live(30)
        self.assert_all_is_booked()
        self.assertLess(self.cpu_ns_of('vm-1'), self.machine_cpu(150))
        names = {share.account.name for window in self.windows()
                 for part in window.parts for share in part.shares}
        self.assertIn('unreadable', names)

    def test_guests_dark_at_the_start_are_those_of_before(self):
        self.start().step()
        self.live(60)
        self.machine.guests_error = OSError('no socket')
        self.start().step()
        self.live(10)
        self.machine.guests_error = None
        self.live(50)
        self.assert_all_is_booked()
        self.assertEqual(self.machine_cpu(120), self.cpu_ns_of('vm-1'))

    def test_full_disk_holds_windows_until_there_is_room(self):
        self.start().step()
        self.live(60)
        with full_disk():
            for _ in range(60):
                self.machine.advance(5)
                try:
                    self.notifier.step()
                except errors.SpoolError:
                    pass
            self.assertEqual(1, len(self.windows()))
        self.live(10)
        self.assertEqual(6, len(self.windows()))
        self.assert_all_is_booked()

    def test_killed_while_the_disk_was_full_measures_again(self):
        self.start().step()
        self.live(60)
        with full_disk():
            for _ in range(60):
                self.machine.advance(5)
                try:
                    self.notifier.step()
                except errors.SpoolError:
                    pass
        self.start().step()
        self.live(60)
        self.assert_all_is_booked()

    def test_disk_that_stays_full_loses_the_oldest_and_says_so(self):
        self.useFixture(fixtures.MonkeyPatch(
            'energy_accounting.notifier.HELD_WINDOWS', 3))
        self.start().step()
        self.live(20)
        with full_disk():
            for _ in range(12 * 6):
                self.machine.advance(5)
                try:
                    self.notifier.step()
                except errors.SpoolError:
                    pass
        self.live(60)
        self.notifier.flush()
        windows = self.windows()
        gaps = [gap for window in windows for gap in window.gaps]
        self.assertEqual({('spool_full', None)},
                         {(gap.reason, gap.zone) for gap in gaps})
        lost_ns = sum(gap.end_ns - gap.start_ns for gap in gaps)
        self.assertGreater(lost_ns, 0)
        self.assertEqual(
            lost_ns // SECOND_NS * 60_000_000,
            (self.machine.emitted_uj - self.booked()).total())
        self.assertEqual([one + 1 for one in range(len(windows))],
                         [one.sequence for one in windows])


class full_disk:
    """No file of this process may grow while it lasts."""

    def __enter__(self):
        self._limit = resource.getrlimit(resource.RLIMIT_FSIZE)
        self._handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (10, self._limit[1]))

    def __exit__(self, *exc):
        resource.setrlimit(resource.RLIMIT_FSIZE, self._limit)
        signal.signal(signal.SIGXFSZ, self._handler)


class TestLoop(NotifierCase):

    def run_for(self, seconds):
        stop = threading.Event()
        self.machine.at.append((
            self.machine.now_ns + seconds * SECOND_NS, stop.set))
        self.machine.at.sort(key=lambda item: item[0])
        self.start().run(stop)

    def at(self, seconds, **changes):
        def change():
            for name, value in changes.items():
                setattr(self.machine, name, value)
        self.machine.at.append((START_NS + seconds * SECOND_NS, change))

    def test_loop_reads_at_every_edge_and_flushes_at_the_end(self):
        self.machine.advance(1.7)
        since = self.now_booked()
        self.run_for(130)
        windows = self.windows()
        self.assertEqual(3, len(windows))
        self.assertEqual([0, 0], [one.end_ns % (60 * SECOND_NS)
                                  for one in windows[:2]])
        self.assertEqual(self.machine.emitted_uj - since, self.booked())

    def test_no_error_ends_the_loop_and_each_is_logged_once(self):
        for error in (OSError('gone'), errors.MeterError('gone'),
                      ValueError('a bug')):
            with self.subTest(error=error):
                now = (self.machine.now_ns - START_NS) // SECOND_NS
                before = self.booked()
                since = self.now_booked()
                self.at(now + 20, host_error=error)
                self.at(now + 50, host_error=None)
                count = self.log.output.count('could not be completed')
                self.run_for(100)
                self.assertEqual(
                    count + 1, self.log.output.count('could not be comp'))
                self.assertEqual(self.machine.emitted_uj - since,
                                 self.booked() - before)
        self.assertIn('Traceback', self.log.output)

    def test_failing_for_ever_does_not_spin(self):
        self.machine.host_error = OSError('gone')
        reads = []
        host = self.machine.wait
        self.machine.wait = lambda *args: reads.append(1) or host(*args)
        self.run_for(100)
        self.assertLessEqual(len(reads), 21)

    def test_clock_that_is_set_back_does_not_stop_the_loop(self):
        def back():
            self.machine.now_ns -= 86400 * SECOND_NS
            self.machine.booted_ns -= 86400 * SECOND_NS
        self.machine.at.append((START_NS + 20 * SECOND_NS, back))
        stop = threading.Event()
        self.start()
        waits = []
        wait = self.machine.wait

        def counted(event, delay_ns):
            waits.append(delay_ns)
            if len(waits) == 20:
                stop.set()
            return wait(event, delay_ns)
        self.machine.wait = counted
        self.notifier.run(stop)
        self.assertLessEqual(max(waits), 5 * SECOND_NS)
        self.assertEqual(self.machine.emitted_uj, self.booked())

    def test_wait_that_ends_early_still_reads_after_the_edge(self):
        def early(event, delay_ns):
            self.machine.advance(max(1, delay_ns * 0.9 // 1) / SECOND_NS)
            return event.is_set()
        self.start()
        self.machine.wait = early
        self.machine.advance(1)
        due_ns = notifier.next_tick_ns(self.machine.now_ns, 5 * SECOND_NS,
                                       60 * SECOND_NS)
        self.notifier._wait(threading.Event())
        self.assertGreaterEqual(self.machine.now_ns, due_ns)


class TestNextTick(base.BaseTestCase):

    def test_every_edge_is_a_tick_whatever_the_tick(self):
        for tick in (1, 5, 7, 13, 59, 60):
            with self.subTest(tick=tick):
                now, seen = 0, []
                while now < 180 * SECOND_NS:
                    after = notifier.next_tick_ns(
                        now, tick * SECOND_NS, 60 * SECOND_NS)
                    self.assertTrue(0 < after - now <= tick * SECOND_NS)
                    now = after
                    seen.append(now // SECOND_NS)
                self.assertLessEqual({60, 120, 180}, set(seen))

    def test_a_moment_on_a_tick_waits_for_the_next_one(self):
        self.assertEqual(10, notifier.next_tick_ns(5, 5, 60))
        self.assertEqual(60, notifier.next_tick_ns(59, 7, 60))
        self.assertEqual(67, notifier.next_tick_ns(60, 7, 60))


class TestSettings(base.BaseTestCase):

    def conf(self, **options):
        conf = cfg.ConfigOpts()
        configuration.register(conf, credentials=False)
        conf([], project='x', default_config_files=[])
        conf.set_override('host', 'h')
        for name, value in options.items():
            conf.set_override(name, value, 'notifier')
        return conf

    def test_options_arrive_in_whole_units(self):
        settings = notifier.settings_from_conf(self.conf(
            idle_power_watts='40.5', max_power_watts='800',
            cpu_allocation_ratio='2.25', window_seconds=300))
        self.assertEqual(
            (40_500_000, 800_000_000, 2_250_000, 300 * SECOND_NS),
            (settings.idle_power_uw, settings.max_power_uw,
             settings.ratio_millionths, settings.window_ns))

    def test_wrong_option_is_named(self):
        for name, value in (('idle_power_watts', '-1'),
                            ('max_power_watts', 'lots'),
                            ('cpu_allocation_ratio', '0')):
            with self.subTest(option=name):
                error = self.assertRaises(
                    errors.ConfigurationError, notifier.settings_from_conf,
                    self.conf(**{name: value}))
                self.assertIn(f'[notifier] {name}', str(error))

    def test_tick_longer_than_the_window_is_refused(self):
        error = self.assertRaises(
            errors.ConfigurationError, notifier.settings_from_conf,
            self.conf(tick_seconds=60, window_seconds=30))
        self.assertIn('tick_seconds', str(error))

    def test_policies_are_found_by_name_and_others_are_refused(self):
        self.assertIs(attribution.two_part,
                      notifier.load_policy('two-part/1'))
        self.assertIs(attribution.proportional,
                      notifier.load_policy('proportional/1'))
        error = self.assertRaises(errors.ConfigurationError,
                                  notifier.load_policy, 'two-part/9')
        self.assertIn('proportional/1', str(error))

    def test_system_clock_runs_and_wakes(self):
        clock = clocks.SystemClock()
        self.assertLess(units.moment(0), units.moment(clock.wall_ns()))
        self.assertGreater(clock.boottime_ns(), 0)
        event = threading.Event()
        self.assertFalse(clock.wait(event, 1))
        event.set()
        self.assertTrue(clock.wait(event, 3600 * SECOND_NS))


class TestLettingGo(NotifierCase):

    def test_acknowledged_windows_are_purged_as_time_passes(self):
        self.begin(self.settings, spools.Spool.open(
            self.settings.spool_path, 'h', 'machine-1', 'k', fsync=False,
            segment_bytes=20_000, keep_hours=1)).step()
        self.live(7200)
        self.assertEqual(1, self.windows()[0].sequence)
        self.spool.acknowledge(self.spool.newest)
        self.live(60)
        self.assertGreater(self.windows()[0].last, 30)
