# SPDX-License-Identifier: Apache-2.0
"""cgroup files: a damaged one is not read, and its neighbours are."""

import pathlib
import shutil
import tempfile

import testtools
from hypothesis import given
from hypothesis import strategies as st

from energy_accounting import errors
from energy_accounting.guests import cgroups
from tests.unit import fakes, fuzz

FIXTURES = pathlib.Path(__file__).parents[1] / 'guests' / 'fixtures'
HYBRID = (FIXTURES / 'cgroup-hybrid-libvirt-9.0.0.txt').read_bytes()
PURE = b'0::/machine.slice/machine-qemu-1.scope/libvirt/emulator\n'
STAT = b'usage_usec 5000\nuser_usec 3000\nsystem_usec 2000\nnr_periods 0\n'
SECOND_NS = 1_000_000_000


class Cgroups(testtools.TestCase):

    def setUp(self):
        super().setUp()
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.fake = fakes.FakeHost(folder.name)
        for path in ('/machine.slice', '/machine.slice/machine-qemu-1.scope',
                     '/machine', '/pods/a', '/pods/b'):
            self.fake.cgroup(path, SECOND_NS)
        self.tree = cgroups.Cgroups(self.fake.cgroupfs, self.fake.procfs)

    @fuzz.settings(150)
    @given(fuzz.damaged(STAT) | st.none(), fuzz.damaged(b'7000\n')
           | st.none())
    def test_a_damaged_time_is_below_zero_or_beyond_all_sums(self, stat,
                                                             usage):
        where = self.fake.cgroupfs / 'pods' / 'a'
        for name, content in (('cpu.stat', stat), ('cpuacct.usage', usage)):
            (where / name).unlink(missing_ok=True)
            if content is not None:
                (where / name).write_bytes(content)
        found = cgroups.cpu_ns(where)
        if found is not None:
            self.assertIn(found, range(1 << 63))
        services = cgroups.Services(self.tree, ['pods/*', 'b=pods/b'])
        self.assertEqual(SECOND_NS, cgroups.Services(
            self.tree, ['b=pods/b']).read()['b'])
        self.assertTrue(all(value >= 0 for value in services.read().values()))

    @fuzz.settings(150)
    @given(fuzz.damaged(HYBRID, PURE) | st.none(),
           fuzz.damaged(b'41\n42\n'))
    def test_a_damaged_place_leads_out_of_the_tree(self, place, members):
        process = self.fake.procfs / '41'
        shutil.rmtree(process, ignore_errors=True)
        process.mkdir()
        if place is not None:
            (process / 'cgroup').write_bytes(place)
        for path in ('machine', 'machine.slice'):
            (self.fake.cgroupfs / path / 'cgroup.procs').write_bytes(members)
        directories = self.tree.directories(41)
        parent = self.tree.parent(41, directories)
        if parent is not None:
            # Nor is the root anybody's parent: it is the host.
            self.assertIn(self.fake.cgroupfs, parent.resolve().parents)
            self.assertNotIn('..', parent.parts)
            self.assertTrue(self.tree.name(parent).startswith('/'))
        services = cgroups.Services(self.tree, ['pods/*'])
        self.assertIn(services.of(directories), (None, 'pods'))

    @fuzz.settings(150)
    @given(st.text(max_size=20) | st.sampled_from([
        'a**b', '[', '[]', 'a=[!', '*', '?', 'x=' + 'y' * 5000, 'a\0b',
        '\ud800=pods', 'a\nb=pods/a', '//', '../pods']))
    def test_an_odd_option_is_found_wrong_when_it_is_too_late(self, option):
        try:
            services = cgroups.Services(self.tree, [option])
        except errors.ConfigurationError:
            return
        for name in services.read():
            self.assertTrue(name.isprintable() and name == name.strip()
                            and 0 < len(name) < 256)
        services.of([self.fake.cgroupfs / 'pods' / 'a'])
