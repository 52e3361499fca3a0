# SPDX-License-Identifier: Apache-2.0
"""procfs: a damaged file is its own process's trouble and nobody else's."""

import pathlib
import shutil
import tempfile

import testtools
from hypothesis import given
from hypothesis import strategies as st
from oslo_config import cfg

from energy_accounting import conf as configuration
from energy_accounting import errors, samples
from energy_accounting.guests import host, procfs, qemu
from tests.unit import fakes, fuzz

FIXTURES = pathlib.Path(__file__).parents[1] / 'guests' / 'fixtures'
GUEST = 'f91d7264-c220-410d-870a-fae72ac96287'
OTHER = '0bbbbbbb-0000-4000-8000-00000000000b'
PID, THREAD = 16333, 16341
JIFFY_NS = 1_000_000_000 // fakes.USER_HZ


def recorded(name):
    return (FIXTURES / name).read_bytes()


CMDLINE = recorded('cmdline-qemu-7.2.22.txt').rstrip(b'\n').replace(
    b'\n', b'\0') + b'\0'
# Each file of a process, as it really was.
FILES = {
    'cmdline': CMDLINE,
    'stat': recorded('stat-linux-6.18.txt'),
    'cgroup': recorded('cgroup-hybrid-libvirt-9.0.0.txt') + b'0::/a/b\n',
    f'task/{THREAD}/schedstat': b'260140000000 12 3400\n',
}
STATS = b"""cpu  161 20 30 10000 400 5 6 700 90 15
cpu0 80 10 15 5000 200 2 3 350 45 7
cpu1 81 10 15 5000 200 3 3 350 45 8
intr 1 0 0
btime 1700000000
"""
MEMINFO = b'MemTotal:       24683892 kB\nMemFree:  1024 kB\n'


class ProcCase(testtools.TestCase):

    def setUp(self):
        super().setUp()
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.fake = fakes.FakeHost(folder.name)
        self.conf = cfg.ConfigOpts()
        configuration.register(self.conf)
        self.conf([])
        for name, value in self.fake.options().items():
            self.conf.set_override(name, value, 'notifier')
        self.conf.set_override('state_path', folder.name)

    def write(self, name, content):
        """Put a file there, or nothing, or a directory."""
        path = self.fake.procfs / name
        if path.is_dir():
            shutil.rmtree(path)
        path.unlink(missing_ok=True)
        if content == 'directory':
            path.mkdir(parents=True)
        elif content is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)


def any_of(content):
    return fuzz.damaged(content) | st.sampled_from([None, 'directory', b''])


class OfTheHost(ProcCase):

    @fuzz.settings(80)
    @given(any_of(STATS))
    def test_a_damaged_stat_gives_impossible_figures(self, content):
        self.write('stat', STATS)
        reader = host.from_conf(self.conf)
        self.assertEqual(222 * JIFFY_NS, reader.read().busy_ns)
        self.write('stat', content)
        try:
            found = reader.read()
        except errors.MeterError:
            pass
        else:
            self.assertIn(found.busy_ns, range(1 << 63))
            self.assertIn(found.cpus, range(1, 1 << 20))
        self.write('stat', STATS)
        self.assertEqual(222 * JIFFY_NS, reader.read().busy_ns)

    @fuzz.settings(80)
    @given(any_of(MEMINFO))
    def test_a_damaged_meminfo_gives_an_impossible_host(self, content):
        self.write('meminfo', content)
        try:
            found = host.from_conf(self.conf).read()
        except errors.MeterError:
            return
        self.assertIn(found.memory_mib, range(1, qemu.MOST_MIB + 1))

    @fuzz.settings(60)
    @given(any_of(fakes.BOOT_ID.encode() + b'\n'))
    def test_a_damaged_boot_id_is_one_no_record_can_bear(self, content):
        self.write('sys/kernel/random/boot_id', content)
        try:
            found = host.from_conf(self.conf).boot_id()
        except errors.MeterError:
            return
        self.assertTrue(found.isprintable() and 0 < len(found) < 256)

    @fuzz.settings(40)
    @given(any_of(b'0123456789abcdef0123456789abcdef\n'))
    def test_a_damaged_machine_id_is_taken(self, content):
        path = self.fake.procfs / 'machine-id'
        self.write('machine-id', content)
        reader = host.Host(self.fake.procfs,
                           host.services_from_conf(self.conf),
                           self.fake.root, path)
        self.assertRegex(reader.machine_id(), r'\A[0-9a-f]{32}\Z')


class OfAProcess(ProcCase):

    def setUp(self):
        super().setUp()
        self.fake.cgroup('/a', 9_000_000_000)
        self.fake.cgroup('/a/b', 5_000_000_000)

    def reading(self, source):
        return {guest.instance_id: guest for guest in source.read(0).guests}

    def assert_sane(self, guest):
        self.assertIn(guest.vcpus, range(1, qemu.MOST_VCPUS + 1))
        self.assertIn(guest.memory_mib, range(qemu.MOST_MIB + 1))
        for number in (guest.cpu_ns, guest.started_ns):
            if number is not None:
                self.assertIn(number, range(1 << 63))
        for text in (guest.instance_id, guest.incarnation):
            self.assertTrue(text.isprintable() and 0 < len(text) < 256)

    @fuzz.settings(150)
    @given(st.dictionaries(st.sampled_from(sorted(FILES)),
                           st.integers(0, 10 ** 6), min_size=1, max_size=2),
           st.booleans(), st.data())
    def test_a_damaged_file_costs_another_guest(self, chosen, later, data):
        shutil.rmtree(self.fake.procfs / str(PID), ignore_errors=True)
        self.fake.qemu(7, OTHER, vcpus=2, user=5, system=2, start=77)
        for name, content in FILES.items():
            self.write(f'{PID}/{name}', content)
        source = procfs.from_conf(self.conf)
        try:
            before = None
            if later:
                before = self.reading(source)[GUEST]
                self.assertEqual((1, 32), (before.vcpus, before.memory_mib))
            for name in chosen:
                self.write(f'{PID}/{name}', data.draw(any_of(FILES[name])))
            seen = self.reading(source)
            self.assertEqual(samples.GuestReading(
                OTHER, '7-77', 77 * JIFFY_NS, 7 * JIFFY_NS, 2, 1024),
                seen.pop(OTHER))
            self.assertLessEqual(len(seen), 1)
            for guest in seen.values():
                self.assert_sane(guest)
            for name, content in FILES.items():
                self.write(f'{PID}/{name}', content)
            for _ in range(4):
                after = self.reading(source)
            # Whole again, it is seen; the damage did not stay with it.
            self.assertIn(GUEST, after)
        finally:
            source.close()

    @fuzz.settings(300)
    @given(fuzz.damaged(CMDLINE))
    def test_a_damaged_command_line_is_a_machine_nobody_can_build(
            self, line):
        found = qemu.machine(line.decode('utf-8', 'replace').split('\0'))
        if found is not None:
            self.assertIn(found.vcpus, range(1, qemu.MOST_VCPUS + 1))
            self.assertIn(found.memory_mib, range(qemu.MOST_MIB + 1))
