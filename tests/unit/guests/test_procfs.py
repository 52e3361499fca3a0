# SPDX-License-Identifier: Apache-2.0
"""Guests as QEMU processes: in a tree on disk, and real processes."""

import os
import pathlib
import resource
import shutil
import signal
import subprocess
import sys
import uuid
from unittest import mock

import fixtures
import testtools
from oslo_config import cfg

from energy_accounting import conf as configuration
from energy_accounting import errors, guests, samples
from energy_accounting.guests import processes, procfs
from tests.unit import fakes

A = '0aaaaaaa-0000-4000-8000-00000000000a'
B = '0bbbbbbb-0000-4000-8000-00000000000b'
JIFFY_NS = 1_000_000_000 // fakes.USER_HZ
S = 1_000_000_000


def configured(**options: str | list[str]) -> cfg.ConfigOpts:
    conf = cfg.ConfigOpts()
    configuration.register(conf)
    conf([])
    for name, value in options.items():
        conf.set_override(name, value, 'notifier')
    return conf


class TreeCase(testtools.TestCase):

    def setUp(self) -> None:
        super().setUp()
        self.host = fakes.FakeHost(self.useFixture(fixtures.TempDir()).path)
        self.log = self.useFixture(fixtures.FakeLogger())

    def source(self, *services: str) -> procfs.ProcfsGuests:
        source = procfs.from_conf(configured(
            **self.host.options(), service_cgroups=list(services)))
        self.addCleanup(source.close)
        return source

    def cpu(self, source: procfs.ProcfsGuests) -> dict[str, int | None]:
        return {guest.instance_id: guest.cpu_ns
                for guest in source.read(0).guests}


class Finding(TreeCase):

    def test_what_procfs_says_of_a_guest_is_lost(self):
        self.host.cgroup('/machine.slice', 9 * S)
        self.host.cgroup('/machine.slice/machine-qemu-1.scope')
        self.host.qemu(41, A, vcpus=3, memory_mib=2048, start=1234, user=5,
                       system=2, cgroup='/machine.slice/machine-qemu-1.scope')
        self.assertEqual(
            guests.GuestsNow((samples.GuestReading(
                A, '41-1234', 1234 * JIFFY_NS, 7 * JIFFY_NS, 3, 2048,
                parent='/machine.slice'),), (), {'/machine.slice': 9 * S}),
            self.source().read(0))

    def test_a_host_without_guests_is_an_error(self):
        self.host.process(1, ['/sbin/init'], comm='systemd')
        self.assertEqual(guests.GuestsNow((), (), {}),
                         self.source().read(0))

    def test_a_guest_in_a_service_is_not_marked(self):
        self.host.cgroup('/kubepods/pod1', S, pids=[41, 42])
        self.host.qemu(41, A, cgroup='/kubepods/pod1')
        self.host.qemu(42, B, cgroup='/elsewhere')
        self.assertEqual({A: 'pods', B: None}, {
            guest.instance_id: guest.service for guest
            in self.source('pods=kubepods/*').read(0).guests})

    def test_a_guest_that_starts_later_is_not_found(self):
        source = self.source()
        self.assertEqual({}, self.cpu(source))
        self.host.qemu(41, A, user=1)
        self.assertEqual({A: JIFFY_NS}, self.cpu(source))

    def test_a_process_that_becomes_qemu_stays_unseen(self):
        # libvirt's child carries libvirt's command line until it executes.
        self.host.process(41, ['/usr/sbin/libvirtd'])
        source = self.source()
        self.assertEqual({}, self.cpu(source))
        self.host.qemu(41, A)
        self.assertEqual({A: 0}, self.cpu(source))

    def test_a_pid_that_passes_to_a_guest_unseen_hides_it_for_good(self):
        self.host.process(41, ['sleep', '9'], start=5)
        source = self.source()
        for _ in range(10):
            self.cpu(source)
        self.host.qemu(41, A, start=900)
        found = [self.cpu(source) for _ in range(64)]
        self.assertEqual({A: 0}, found[-1])

    def test_a_child_of_qemu_is_a_second_guest(self):
        self.host.qemu(41, A)
        source = self.source()
        self.cpu(source)
        self.host.qemu(43, A)
        stat = self.host.procfs / '43/stat'
        fakes.write(stat, stat.read_text().replace(' S 1 ', ' S 41 '))
        self.assertEqual(1, len(source.read(0).guests))

    def test_an_unreadable_process_stops_the_rest(self):
        self.host.qemu(41, A)
        self.host.qemu(42, B)
        shutil.rmtree(self.host.procfs / '41')
        (self.host.procfs / '41/cmdline').mkdir(parents=True)
        self.assertEqual({B: 0}, self.cpu(self.source()))
        self.assertIn('command lines of 1 process', self.log.output)

    def test_a_stat_that_is_garbage_stops_the_rest(self):
        self.host.qemu(41, A)
        self.host.qemu(42, B)
        fakes.write(self.host.procfs / '41/stat', 'x y')
        self.assertEqual({B: 0}, self.cpu(self.source()))

    def test_a_name_with_brackets_shifts_the_fields(self):
        self.host.qemu(41, A)
        self.host.times(41, comm='CPU 0/TCG) S 9 9 (x', start=77, user=3)
        [guest] = self.source().read(0).guests
        self.assertEqual(('41-77', 3 * JIFFY_NS),
                         (guest.incarnation, guest.cpu_ns))

    def test_the_recorded_stat_is_misread(self):
        self.host.qemu(16333, A)
        recorded = pathlib.Path(__file__).with_name('fixtures')
        fakes.write(self.host.procfs / '16333/stat', (
            recorded / 'stat-linux-6.18.txt').read_text())
        [guest] = self.source().read(0).guests
        self.assertEqual(('16333-162605', (26014 + 329) * JIFFY_NS),
                         (guest.incarnation, guest.cpu_ns))

    def test_no_procfs_at_all_is_not_named(self):
        shutil.rmtree(self.host.procfs)
        error = self.assertRaises(errors.MeterError, self.source)
        self.assertIn('procfs_path', str(error))

    def test_a_procfs_that_goes_raises_in_a_reading(self):
        source = self.source()
        self.host.qemu(41, A)
        self.cpu(source)
        shutil.rmtree(self.host.procfs)
        self.assertEqual({}, self.cpu(source))


class CpuTime(TreeCase):

    def test_nanoseconds_are_there_and_not_used(self):
        self.host.qemu(41, A, user=1, threads_ns={41: 12_345_678, 42: 1})
        self.assertEqual({A: 12_345_679}, self.cpu(self.source()))

    def test_a_thread_that_ends_takes_its_time_with_it(self):
        self.host.qemu(41, A, threads_ns={41: 5 * S, 42: 3 * S})
        source = self.source()
        self.cpu(source)
        self.host.threads(41, {41: 6 * S})
        self.assertEqual({A: 9 * S}, self.cpu(source))
        self.host.threads(41, {41: 6 * S, 43: 1 * S})
        self.assertEqual({A: 10 * S}, self.cpu(source))

    def test_less_is_shown_than_the_process_used(self):
        # Threads that ended before we came are in utime and stime alone.
        self.host.qemu(41, A, user=700, threads_ns={41: 2 * S})
        source = self.source()
        self.assertEqual({A: 700 * JIFFY_NS}, self.cpu(source))
        self.host.threads(41, {41: 2 * S + 17})
        self.assertEqual({A: 700 * JIFFY_NS + 17}, self.cpu(source))
        self.host.times(41, user=900)
        self.assertEqual({A: 900 * JIFFY_NS}, self.cpu(source))

    def test_rounding_of_clock_ticks_adds_up(self):
        self.host.qemu(41, A, threads_ns={41: 0})
        source = self.source()
        self.cpu(source)
        for step in range(1, 400):
            used_ns = step * 999_999
            self.host.threads(41, {41: used_ns})
            self.host.times(41, user=used_ns // JIFFY_NS)
            self.assertEqual({A: used_ns}, self.cpu(source))

    def test_what_is_used_during_the_first_reading_counts_for_ever(self):
        self.host.qemu(41, A, user=100, threads_ns={41: S})
        source, schedstat = self.source(), processes._Files._schedstat
        used = [102, 102, 103]

        def step(files):
            jiffies = used.pop(0)
            self.host.threads(41, {41: jiffies * JIFFY_NS})
            self.host.times(41, user=jiffies)
            return schedstat(files)

        with mock.patch.object(processes._Files, '_schedstat', step):
            self.assertEqual({A: 102 * JIFFY_NS}, self.cpu(source))
            self.assertEqual({A: 103 * JIFFY_NS}, self.cpu(source))

    def test_the_value_falls(self):
        self.host.qemu(41, A, user=50, threads_ns={41: S})
        source = self.source()
        self.cpu(source)
        self.host.times(41, user=3)
        self.host.threads(41, {41: 5})
        self.assertEqual({A: S}, self.cpu(source))

    def test_a_guest_that_cannot_be_read_now_is_gone_or_zero(self):
        self.host.qemu(41, A, user=5)
        self.host.qemu(42, B, user=6)
        source = self.source()
        self.cpu(source)
        fakes.write(self.host.procfs / '41/stat', '')
        self.assertEqual({A: None, B: 6 * JIFFY_NS}, self.cpu(source))
        self.host.times(41, user=8)
        self.assertEqual({A: 8 * JIFFY_NS, B: 6 * JIFFY_NS},
                         self.cpu(source))

    def test_a_reused_pid_keeps_the_incarnation(self):
        self.host.qemu(41, A, start=100, user=500)
        source = self.source()
        self.cpu(source)
        self.host.qemu(41, B, start=900, user=1)
        source.read(0)
        [guest] = source.read(0).guests
        self.assertEqual((B, '41-900', JIFFY_NS), (
            guest.instance_id, guest.incarnation, guest.cpu_ns))

    def test_a_guest_at_a_reused_pid_is_seen_a_reading_late(self):
        self.host.qemu(41, A, start=100, user=500)
        source = self.source()
        self.cpu(source)
        self.host.qemu(41, B, start=900, user=1)
        self.assertEqual({B: JIFFY_NS}, self.cpu(source))

    def test_a_reused_pid_gives_a_guest_anothers_time(self):
        self.host.qemu(41, A, start=100, user=500)
        source = self.source()
        self.cpu(source)
        self.host.process(41, ['sleep'], start=900, user=90_000)
        self.assertEqual({}, self.cpu(source))

    def test_a_zombie_is_a_guest(self):
        self.host.qemu(41, A)
        source = self.source()
        self.cpu(source)
        stat = self.host.procfs / '41/stat'
        fakes.write(stat, stat.read_text().replace(' S ', ' Z '))
        self.assertEqual({}, self.cpu(source))

    def test_vhost_threads_are_not_the_guests(self):
        self.host.qemu(41, A, start=100, user=5)
        self.host.process(50, [], comm='vhost-41', start=101, system=7,
                          flags=0x208040)
        source = self.source()
        self.assertEqual({A: 12 * JIFFY_NS}, self.cpu(source))
        self.host.times(50, comm='vhost-41', start=101, system=9,
                        flags=0x208040)
        self.assertEqual({A: 14 * JIFFY_NS}, self.cpu(source))
        self.host.end(50)
        self.assertEqual({A: 14 * JIFFY_NS}, self.cpu(source))

    def test_anybody_may_call_a_process_vhost(self):
        self.host.qemu(41, A, start=100, user=5)
        self.host.process(50, [], comm='vhost-41', start=101, system=7)
        self.assertEqual({A: 5 * JIFFY_NS}, self.cpu(self.source()))


class Parents(TreeCase):

    def test_the_parent_of_the_last_guest_is_forgotten_with_it(self):
        # What the guest used to its end is known from there alone.
        self.host.cgroup('/machine', 5 * S)
        self.host.qemu(41, A, cgroup='/machine/qemu-1-a.libvirt-qemu')
        source = self.source()
        source.read(0)
        self.host.end(41)
        self.host.cgroup('/machine', 6 * S)
        self.assertEqual(guests.GuestsNow((), (), {'/machine': 6 * S}),
                         source.read(0))

    def test_a_parent_that_is_gone_raises(self):
        self.host.cgroup('/machine', 5 * S)
        self.host.qemu(41, A, cgroup='/machine/qemu-1-a.libvirt-qemu')
        source = self.source()
        source.read(0)
        self.host.end_cgroup('/machine')
        self.assertEqual({}, source.read(0).parents_cpu_ns)

    def test_a_guest_moved_while_it_starts_keeps_its_first_parent(self):
        self.host.cgroup('/system.slice/libvirtd.service', pids=[41, 7])
        self.host.cgroup('/machine', S)
        self.host.qemu(41, A, cgroup='/system.slice/libvirtd.service')
        source = self.source()
        source.read(0)
        fakes.write(self.host.procfs / '41/cgroup',
                    '0::/machine/qemu-1-a.libvirt-qemu/emulator\n')
        source.read(0)
        self.assertEqual('/machine', source.read(0).guests[0].parent)


# Takes time of its own on a second thread, which then ends.
_PROGRAM = """
import sys, threading, time
def work():
    begun = time.thread_time()
    while time.thread_time() - begun < 0.05:
        pass
thread = threading.Thread(target=work)
thread.start()
thread.join()
print('done', flush=True)
sys.stdin.readline()
"""


class RealProcesses(testtools.TestCase):
    """Nothing faked: our own children, by the kernel's own clocks."""

    def setUp(self) -> None:
        super().setUp()
        self.source = procfs.from_conf(configured())
        self.addCleanup(self.source.close)
        self.instance_id = str(uuid.uuid4())

    def start(self) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            [sys.executable, '-c', _PROGRAM, '-name', 'guest=test', '-uuid',
             self.instance_id, '-smp', '2', '-m', '64'],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE)

        def end() -> None:
            process.kill()
            process.communicate()

        self.addCleanup(end)
        assert process.stdout is not None
        process.stdout.readline()
        return process

    def read(self) -> tuple[list[samples.GuestReading],
                            list[samples.GuestReading]]:
        now = self.source.read(0)
        return tuple([guest for guest in found
                      if guest.instance_id == self.instance_id]
                     for found in (now.guests, now.ended))  # type: ignore

    def test_the_time_of_an_ended_thread_is_lost(self):
        process = self.start()
        [guest], ended = self.read()
        self.assertEqual([], ended)
        assert guest.cpu_ns is not None
        self.assertGreaterEqual(guest.cpu_ns, 50_000_000)
        stat = pathlib.Path(f'/proc/{process.pid}/stat').read_text()
        fields = stat.rpartition(') ')[2].split()
        self.assertEqual(f'{process.pid}-{fields[19]}', guest.incarnation)
        [later], _ = self.read()
        assert later.cpu_ns is not None
        self.assertGreaterEqual(later.cpu_ns,
                                (int(fields[11]) + int(fields[12]))
                                * JIFFY_NS)

    def test_the_last_time_of_a_guest_that_ended_is_lost(self):
        process = self.start()
        [before], _ = self.read()
        process.send_signal(signal.SIGKILL)
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        live, [last] = self.read()
        self.assertEqual([], live)
        self.assertEqual(before.incarnation, last.incarnation)
        self.assertIsNotNone(last.ended_ns)
        _, _, used = os.wait4(process.pid, 0)
        process.returncode = -signal.SIGKILL
        assert last.cpu_ns is not None and before.cpu_ns is not None
        self.assertGreaterEqual(last.cpu_ns, before.cpu_ns)
        # The kernel's own account, in whole microseconds twice rounded.
        self.assertLess(abs(last.cpu_ns - _used_ns(used)), 2 * JIFFY_NS)
        self.assertEqual(([], []), self.read())

    def test_a_guest_that_ended_and_was_reaped_is_still_there(self):
        process = self.start()
        self.read()
        process.kill()
        process.communicate()
        live, ended = self.read()
        self.assertEqual([], live)
        self.assertIn(len(ended), (0, 1))


def _used_ns(used: resource.struct_rusage) -> int:
    return round((used.ru_utime + used.ru_stime) * S)
