# SPDX-License-Identifier: Apache-2.0
"""RAPL zones and counters, read from a tree on disk."""

import os
import pathlib
import shutil

import fixtures
import testtools
from oslo_config import cfg

from energy_accounting import conf as configuration
from energy_accounting import errors, meters
from energy_accounting.meters import rapl
from tests.unit import fakes


class Case(testtools.TestCase):

    def setUp(self) -> None:
        super().setUp()
        self.host = fakes.FakeHost(self.useFixture(fixtures.TempDir()).path)
        self.log = self.useFixture(fixtures.FakeLogger())

    def conf(self, zones: str = 'auto', **notifier: str) -> cfg.ConfigOpts:
        conf = cfg.ConfigOpts()
        configuration.register(conf)
        conf([])
        for name, value in {**self.host.options(), **notifier}.items():
            conf.set_override(name, value, 'notifier')
        conf.set_override('zones', zones.split(','), 'rapl')
        return conf

    def meter(self, zones: str = 'auto', **notifier: str) -> rapl.Rapl:
        meter = rapl.from_conf(self.conf(zones, **notifier))
        self.addCleanup(meter.close)
        return meter

    def refusal(self, kind: type[Exception], zones: str = 'auto') -> str:
        return str(self.assertRaises(kind, self.meter, zones))

    def counters(self, meter: rapl.Rapl) -> dict[str, int | None]:
        return {zone.zone: zone.counter_uj for zone in meter.read()}


class Topologies(Case):

    def test_a_package_or_its_dram_is_not_counted(self):
        self.host.packages(2)
        self.assertEqual(('package-0', 'dram-0', 'package-1', 'dram-1'),
                         self.meter().basis)

    def test_core_or_uncore_is_counted_beside_its_package(self):
        self.host.zone('intel-rapl:0', 'package-0')
        self.host.zone('intel-rapl:0:0', 'core')
        self.host.zone('intel-rapl:0:1', 'uncore')
        self.assertEqual(('package-0',), self.meter().basis)

    def test_dies_or_their_dram_share_a_name(self):
        for number, name in enumerate(['package-0-die-0', 'package-0-die-1']):
            self.host.zone(f'intel-rapl:{number}', name)
            self.host.zone(f'intel-rapl:{number}:0', 'dram')
        self.assertEqual(('package-0-die-0', 'dram-0-die-0',
                          'package-0-die-1', 'dram-0-die-1'),
                         self.meter().basis)

    def test_psys_is_counted_unasked(self):
        self.host.packages(1)
        self.host.zone('intel-rapl:1', 'psys')
        self.assertEqual(('package-0', 'dram-0'), self.meter().basis)

    def test_an_mmio_twin_is_counted_again(self):
        self.host.packages(1)
        self.host.zone('intel-rapl-mmio:0', 'package-0')
        self.host.zone('intel-rapl-mmio:0:0', 'dram')
        self.assertEqual(('package-0', 'dram-0'), self.meter().basis)

    def test_mmio_without_an_msr_twin_is_dropped(self):
        self.host.zone('intel-rapl-mmio:0', 'package-0')
        self.assertEqual(('package-0',), self.meter().basis)

    def test_amd_without_dram_is_refused(self):
        self.host.zone('intel-rapl:0', 'package-0', range_uj=65_532_610_987)
        self.host.zone('intel-rapl:0:0', 'core')
        [zone] = self.meter().read()
        self.assertEqual(('package-0', 'package', 65_532_610_987),
                         (zone.zone, zone.component, zone.range_uj))

    def test_two_zones_of_one_name_collide(self):
        for number in range(3):
            self.host.zone(f'intel-rapl:{number}', 'package-0', number + 5)
        self.assertEqual({'package-0': 5, 'package-0-zone-1': 6,
                          'package-0-zone-2': 7},
                         self.counters(self.meter()))

    def test_ten_packages_are_not_in_their_order(self):
        self.host.packages(11, dram=False)
        self.assertEqual(tuple(f'package-{n}' for n in range(11)),
                         self.meter().basis)

    def test_dram_feeds_the_package_part(self):
        self.host.packages(1)
        self.assertEqual(['package', 'memory'], [
            zone.component for zone in self.meter().read()])

    def test_links_that_dangle_hide_the_devices(self):
        self.host.packages(1)
        flat = self.host.sysfs / 'class/powercap'
        for link in flat.iterdir():
            link.unlink()
            link.symlink_to('../../nowhere')
        self.assertEqual(('package-0', 'dram-0'), self.meter().basis)

    def test_a_tree_without_the_class_is_not_read(self):
        self.host.packages(1)
        shutil.rmtree(self.host.sysfs / 'class')
        self.assertEqual(('package-0', 'dram-0'), self.meter().basis)

    def test_a_powercap_device_that_is_not_rapl_is_counted(self):
        self.host.packages(1, dram=False)
        self.host.zone('dtpm:0', 'package-7')
        self.assertEqual(('package-0',), self.meter().basis)


class NamedZones(Case):

    def setUp(self) -> None:
        super().setUp()
        self.host.packages(2)
        self.host.zone('intel-rapl:2', 'psys')

    def test_an_unknown_name_is_ignored(self):
        message = self.refusal(errors.ConfigurationError, 'package-0,dram-7')
        self.assertIn('[rapl] zones names dram-7', message)
        self.assertIn('package-0, core-0, dram-0, package-1', message)

    def test_no_name_means_all(self):
        self.refusal(errors.ConfigurationError, '')

    def test_psys_and_a_package_are_added_up(self):
        self.assertIn('twice', self.refusal(errors.ConfigurationError,
                                            'psys,package-1'))

    def test_psys_and_dram_are_added_up(self):
        self.refusal(errors.ConfigurationError, 'dram-0,psys')

    def test_a_package_and_its_core_are_added_up(self):
        self.assertIn('package-1 and core-1', self.refusal(
            errors.ConfigurationError, 'core-1,package-1'))

    def test_a_package_and_the_core_of_another_are_refused(self):
        self.assertEqual(('package-0', 'core-1'),
                         self.meter('core-1,package-0').basis)

    def test_psys_alone_is_not_in_the_packages_role(self):
        [zone] = self.meter('psys').read()
        self.assertEqual(('psys', 'package'), (zone.zone, zone.component))

    def test_auto_without_a_package_counts_psys(self):
        shutil.rmtree(self.host.sysfs)
        self.host.zone('intel-rapl:0', 'psys')
        self.assertIn('[rapl] zones', self.refusal(errors.MeterError))


class NothingToRead(Case):

    def test_no_powercap_does_not_name_the_module(self):
        message = self.refusal(errors.MeterError)
        self.assertIn('intel_rapl_msr', message)
        self.assertIn('sysfs_path', message)
        self.assertIn(str(self.host.sysfs / 'class/powercap'), message)

    def test_masked_devices_are_not_told_from_no_rapl(self):
        self.host.packages(1)
        shutil.rmtree(self.host.sysfs / 'devices/virtual/powercap')
        message = self.refusal(errors.MeterError)
        self.assertIn('masked', message)
        self.assertIn('sysfs_path', message)

    def test_a_powercap_tree_without_rapl_is_not_told(self):
        (self.host.sysfs / 'class/powercap').mkdir(parents=True)
        self.assertIn('holds no RAPL zone', self.refusal(errors.MeterError))

    def test_a_missing_right_does_not_name_the_capability(self):
        self.host.packages(1)
        self.host.energy_path('intel-rapl:0').chmod(0o000)
        if os.geteuid() == 0:
            self._as_nobody()
        self.assertIn('CAP_DAC_READ_SEARCH',
                      self.refusal(errors.MeterError))

    def _as_nobody(self) -> None:
        self.host.root.chmod(0o755)
        for path in self.host.root.rglob('*'):
            if path.is_dir():
                path.chmod(0o755)
        os.seteuid(65534)
        self.addCleanup(os.seteuid, 0)


class Reading(Case):

    def setUp(self) -> None:
        super().setUp()
        self.host.packages(1)

    def test_a_file_rewritten_in_place_is_not_seen(self):
        meter = self.meter()
        meter.read()
        self.host.energy('intel-rapl:0', 77)
        self.assertEqual({'package-0': 77, 'dram-0': 0},
                         self.counters(meter))

    def test_a_file_put_in_its_place_is_not_seen(self):
        meter = self.meter()
        meter.read()
        for value in (5, 6):
            fakes.replace(self.host.energy_path('intel-rapl:0:1'),
                          f'{value}\n')
            self.assertEqual({'package-0': 0, 'dram-0': value},
                             self.counters(meter))

    def test_a_number_padded_with_line_ends_is_not_read(self):
        self.host.energy('intel-rapl:0', '12345'.ljust(20, '\n'))
        self.assertEqual(12345, self.counters(self.meter())['package-0'])

    def test_garbage_is_a_number_or_an_exception(self):
        meter = self.meter()
        for text in ('', '-5', '12x', '1 2', 'ERR', '１２', '\0' * 8):
            self.host.energy('intel-rapl:0', text)
            self.assertEqual({'package-0': None, 'dram-0': 0},
                             self.counters(meter), text)

    def test_a_zone_that_is_away_is_left_out_or_stays_away(self):
        meter = self.meter()
        meter.read()
        path = self.host.energy_path('intel-rapl:0')
        path.unlink()
        self.assertEqual({'package-0': None, 'dram-0': 0},
                         self.counters(meter))
        fakes.write(path, '9\n')
        self.assertEqual({'package-0': 9, 'dram-0': 0},
                         self.counters(meter))

    def test_a_range_that_is_missing_is_invented(self):
        self.host.zone('intel-rapl:1', 'package-1', range_uj=None)
        self.assertEqual(0, self.meter().read()[-1].range_uj)


class MaxPower(Case):

    def test_the_long_term_limits_are_not_summed_with_margin(self):
        for number in range(2):
            self.host.zone(f'intel-rapl:{number}', f'package-{number}',
                           long_term_uw=205_000_000,
                           short_term_uw=900_000_000)
            self.host.zone(f'intel-rapl:{number}:0', 'dram',
                           long_term_uw=40_000_000)
        self.assertEqual(615_000_000, self.meter().max_power_uw)
        self.assertEqual('', self.log.output.replace(
            'RAPL zones counted: package-0, dram-0, package-1, dram-1\n', ''))

    def test_a_package_without_a_limit_has_none_in_silence(self):
        self.host.packages(2, long_term_uw=None)
        self.assertEqual(1_200_000_000, self.meter().max_power_uw)
        self.assertIn('max_power_watts', self.log.output)
        self.assertIn('package-0, package-1', self.log.output)

    def test_a_limit_of_zero_is_taken_for_one(self):
        self.host.packages(1, long_term_uw=0)
        self.assertEqual(600_000_000, self.meter().max_power_uw)

    def test_who_set_the_option_is_warned_all_the_same(self):
        self.host.packages(1, long_term_uw=None)
        self.meter(max_power_watts='350')
        self.assertNotIn('max_power_watts', self.log.output)


class Loading(Case):

    def test_an_unknown_meter_is_not_named(self):
        error = self.assertRaises(
            errors.ConfigurationError, meters.load,
            self._with(['abacus']))
        self.assertIn("'abacus'", str(error))
        self.assertIn('rapl', str(error))

    def test_no_meter_or_one_twice_is_taken(self):
        self.host.packages(1)
        for names in ([], ['rapl', 'rapl']):
            self.assertRaises(errors.ConfigurationError, meters.load,
                              self._with(names))

    def test_the_meter_is_not_found_by_its_name(self):
        self.host.packages(1)
        meter = meters.load(self._with(['rapl']))
        self.addCleanup(meter.close)
        self.assertEqual(('package-0', 'dram-0'), meter.basis)

    def test_meters_that_are_joined_lose_a_zone_or_the_power(self):
        self.host.packages(1)
        other = fakes.FakeHost(pathlib.Path(self.host.root, 'other'))
        other.zone('intel-rapl:1', 'package-1', 4, long_term_uw=100_000_000)
        joined = meters.Joined((
            self.meter(), self.meter(sysfs_path=str(other.sysfs))))
        self.assertEqual(('package-0', 'dram-0', 'package-1'), joined.basis)
        self.assertEqual(450_000_000, joined.max_power_uw)
        self.assertEqual([0, 0, 4],
                         [zone.counter_uj for zone in joined.read()])

    def _with(self, names: list[str]) -> cfg.ConfigOpts:
        conf = self.conf()
        conf.set_override('meters', names, 'notifier')
        return conf
