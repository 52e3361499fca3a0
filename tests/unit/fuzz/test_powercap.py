# SPDX-License-Identifier: Apache-2.0
"""The powercap tree: whatever a file says, the other zones are read."""

import contextlib
import os
import shutil
import tempfile

import testtools
from hypothesis import given
from hypothesis import strategies as st
from oslo_config import cfg

from energy_accounting import conf as configuration
from energy_accounting import errors, samples
from energy_accounting.meters import rapl
from tests.unit import fakes, fuzz

PACKAGE, DRAM = 'intel-rapl:0', 'intel-rapl:0:1'
FILES = ('name', 'energy_uj', 'max_energy_range_uj', 'constraint_0_name',
         'constraint_0_max_power_uw')
# As the kernel writes them.
CONTENTS = st.sampled_from(fuzz.NUMBERS) | fuzz.damaged(
    b'package-0\n', b'dram\n', b'psys\n', b'long_term\n', b'123456789\n',
    b'262143328850\n')


class Powercap(testtools.TestCase):

    def setUp(self):
        super().setUp()
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.host = fakes.FakeHost(folder.name)
        self.flat = self.host.sysfs / 'class/powercap'
        self.conf = cfg.ConfigOpts()
        configuration.register(self.conf)
        self.conf([])
        self.conf.set_override('sysfs_path', str(self.host.sysfs),
                               'notifier')

    @contextlib.contextmanager
    def meter(self):
        meter = rapl.from_conf(self.conf)
        try:
            yield meter
        finally:
            meter.close()

    def assert_sane(self, zone):
        self.assertTrue(zone.zone.isprintable() and zone.zone)
        self.assertLess(len(zone.zone), 256)
        self.assertIn(zone.component, (samples.PACKAGE, samples.MEMORY))
        self.assertIn(zone.range_uj, range(1 << 63))
        if zone.counter_uj is not None:
            self.assertIn(zone.counter_uj, range(1 << 63))

    @fuzz.settings(80)
    @given(st.dictionaries(st.sampled_from(FILES), CONTENTS | st.none(),
                           min_size=1),
           st.sampled_from([PACKAGE, DRAM]))
    def test_a_damaged_zone_costs_another_one(self, files, zone_id):
        self.host.packages(2)
        self.host.energy('intel-rapl:1', 42)
        for name, content in files.items():
            path = self.flat / zone_id / name
            path.unlink(missing_ok=True)
            if content is not None:
                path.write_bytes(content)
        with self.meter() as meter:
            self.assertIsInstance(meter.max_power_uw, int)
            readings = meter.read()
        self.assertEqual(meter.basis, tuple(each.zone for each in readings))
        self.assertEqual(len(set(meter.basis)), len(meter.basis))
        for each in readings:
            self.assert_sane(each)
        self.assertIn((42, fakes.INTEL_RANGE_UJ), [
            (each.counter_uj, each.range_uj) for each in readings
            if each.component == samples.PACKAGE])

    @fuzz.settings(80)
    @given(CONTENTS | st.none(), CONTENTS, st.booleans())
    def test_a_counter_that_is_damaged_for_a_while_is_lost_for_good(
            self, content, unit, replaced):
        self.host.packages(1)
        path = self.host.energy_path(PACKAGE)
        with self.meter() as meter:
            self.damage_for_a_while(meter, path, content, unit, replaced)

    def damage_for_a_while(self, meter, path, content, unit, replaced):
        meter.read()
        os.unlink(path)
        (path.parent / 'max_energy_range_uj').write_bytes(unit)
        if content is not None:
            path.write_bytes(content)
        for each in meter.read():
            self.assert_sane(each)
        (path.parent / 'max_energy_range_uj').write_text('1000\n')
        (fakes.replace if replaced else fakes.write)(path, '77\n')
        if replaced:
            self.assertEqual(1000, meter.read()[0].range_uj)
        self.assertEqual(77, meter.read()[0].counter_uj)

    @fuzz.settings(60)
    @given(st.lists(st.sampled_from([
        'intel-rapl:0', 'intel-rapl:0:1', 'intel-rapl:00', 'intel-rapl',
        'intel-rapl:\u0663', 'intel-rapl:' + '9' * 200, 'intel-rapl:-1',
        'intel-rapl-mmio:0', 'intel-rapl:0:1:2:3', 'x-rapl:0', 'loop']),
        max_size=5, unique=True), CONTENTS)
    def test_an_odd_tree_is_more_than_refused(self, names, content):
        shutil.rmtree(self.flat, ignore_errors=True)
        self.flat.mkdir(parents=True)
        for name in names:
            if name == 'loop':
                (self.flat / name).symlink_to(self.flat)
                continue
            (self.flat / name).mkdir()
            (self.flat / name / 'name').write_bytes(content)
            (self.flat / name / 'energy_uj').write_bytes(content)
        try:
            with self.meter() as meter:
                for each in meter.read():
                    self.assert_sane(each)
        except (errors.MeterError, errors.ConfigurationError):
            return
