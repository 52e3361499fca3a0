# SPDX-License-Identifier: Apache-2.0
"""Node meters of hwmon, read from a tree on disk."""

import pathlib

import fixtures
import testtools
from oslo_config import cfg

from energy_accounting import attribution, errors, meters, notifier, units
from energy_accounting import conf as configuration
from energy_accounting.meters import hwmon, power
from tests.unit import fakes

S = units.NS_PER_S
W = 1_000_000


class Case(testtools.TestCase):

    def setUp(self) -> None:
        super().setUp()
        self.host = fakes.FakeHost(self.useFixture(fixtures.TempDir()).path)
        self.log = self.useFixture(fixtures.FakeLogger())

    def conf(self, sensors: str = 'auto', **given: object) -> cfg.ConfigOpts:
        conf = cfg.ConfigOpts()
        configuration.register(conf)
        conf([])
        for name, value in {**self.host.options(), 'meters': ['hwmon'],
                            **given}.items():
            conf.set_override(name, value, 'notifier')
        conf.set_override('sensors', sensors.split(','), 'hwmon')
        return conf

    def meter(self, sensors: str = 'auto', **given: object) -> meters.Meter:
        meter = meters.load(self.conf(sensors, **given))
        self.addCleanup(meter.close)
        return meter

    def refusal(self, kind: type[Exception], sensors: str = 'auto',
                **given: object) -> str:
        return str(self.assertRaises(kind, self.meter, sensors, **given))


class Sensors(Case):

    def test_power_is_estimated_where_there_is_a_counter(self):
        self.host.chip(3, 'aem1', energy1_input=7, power1_average=1)
        meter = self.meter()
        self.assertEqual(('node-aem1-energy1',), meter.basis)
        [zone] = meter.read()
        self.assertEqual(('package', 7, 0), (
            zone.component, zone.counter_uj, zone.range_uj))

    def test_files_of_an_older_driver_are_not_found(self):
        self.host.chip(0, 'power_meter', old=True, power1_average=1)
        self.assertEqual(('node-power_meter-power1',), self.meter().basis)

    def test_a_rail_a_disk_or_a_battery_is_taken_for_the_node(self):
        self.host.chip(0, 'ina219', power1_input=1)
        self.host.chip(1, 'amdgpu', power1_average=1)
        self.host.chip(2, 'power_meter', power1_average=1,
                       power1_is_battery=1)
        text = self.refusal(errors.MeterError)
        self.assertIn('0 sensors', text)
        self.assertIn('[hwmon] sensors', text)
        self.assertIn('amdgpu/power1, ina219/power1', text)
        self.assertNotIn('power_meter', text)

    def test_one_of_many_sensors_is_not_the_one_with_the_label(self):
        self.host.chip(0, 'ibmpowernv', power1_input=1, power1_label='Fan',
                       power2_input=1, power2_label='System')
        self.assertEqual(('node-ibmpowernv-power2',), self.meter().basis)

    def test_two_that_may_overlap_are_added_up_unasked(self):
        self.host.chip(0, 'aem2', energy1_input=1, energy2_input=1)
        self.assertIn('2 sensors', self.refusal(errors.MeterError))
        self.assertEqual(('node-aem2-energy2',),
                         self.meter('aem2/energy2').basis)

    def test_chips_of_one_name_are_told_apart_by_the_boot(self):
        # Their numbers are those of another boot; their devices stay.
        self.host.chip(8, 'ina219', device='i2c-1', power1_input=1)
        self.host.chip(3, 'ina219', device='i2c-2', power1_input=2)
        sensors = hwmon.find_sensors(self.host.sysfs)
        self.assertEqual(
            [('ina219/power1', 'i2c-1'), ('ina219-2/power1', 'i2c-2')],
            [(one.name, one.path.resolve().parts[-4]) for one in sensors])
        self.assertEqual(
            ('node-ina219-power1', 'node-ina219-2-power1'),
            self.meter('ina219/power1,ina219-2/power1').basis)

    def test_a_chip_is_counted_twice(self):
        self.host.chip(0, 'ina260', energy1_input=1, power1_input=1)
        self.assertIn('same thing twice', self.refusal(
            errors.ConfigurationError, 'ina260/energy1,ina260/power1'))

    def test_an_unknown_sensor_is_passed_over(self):
        self.host.chip(0, 'power_meter', power1_average=1)
        text = self.refusal(errors.ConfigurationError, 'power_meter/power2')
        self.assertIn('power_meter/power2', text)
        self.assertIn('power_meter/power1', text)

    def test_a_host_without_any_is_a_traceback(self):
        self.assertIn('acpi_power_meter', self.refusal(errors.MeterError))

    def test_a_file_that_is_gone_is_a_zero(self):
        path = self.host.chip(0, 'aem1', energy1_input=7)
        meter = self.meter()
        (path / 'energy1_input').unlink()
        self.assertIsNone(meter.read()[0].counter_uj)
        for text in ('', '-1', '1.5', 'x'):
            fakes.write(path / 'energy1_input', text)
            self.assertIsNone(meter.read()[0].counter_uj)
        fakes.write(path / 'energy1_input', '9\n')
        self.assertEqual(9, meter.read()[0].counter_uj)


class Estimates(testtools.TestCase):

    def test_the_interval_is_the_nominal_one(self):
        integral = power.Integral()
        first_uj = integral.add(100 * W, 1000 * S)
        # The mean of both readings, for the time that was between them.
        self.assertEqual(1050 * W, integral.add(
            200 * W, 1007 * S) - first_uj)
        self.assertEqual(1050 * W + 50 * W, integral.add(
            0, 1007 * S + S // 2) - first_uj)

    def test_what_is_rounded_off_is_lost(self):
        integral = power.Integral()
        first_uj = integral.add(333_333, 0)
        for number in range(1, 7001):
            last_uj = integral.add(333_333, number * 7 * S // 1000)
        self.assertEqual(333_333 * 49, last_uj - first_uj)

    def test_a_reading_that_failed_counts_as_nothing_drawn(self):
        integral = power.Integral()
        first_uj = integral.add(100 * W, 0)
        self.assertIsNone(integral.add(None, 5 * S))
        self.assertEqual(1000 * W, integral.add(100 * W, 10 * S) - first_uj)

    def test_time_nobody_saw_is_estimated(self):
        integral = power.Integral()
        integral.add(100 * W, 0)
        before_uj = integral.add(100 * W, 5 * S)
        self.assertLess(integral.add(100 * W, 5 * S + power.LONGEST_NS + 1),
                        before_uj)

    def test_a_restart_goes_on_as_if_nothing_had_been(self):
        # Whatever was shown before it, even at once.
        before_uj = power.Integral().add(0, 7 * S)
        self.assertLess(power.Integral().add(0, 7 * S + 1000), before_uj)


class Together(Case):

    def test_a_node_is_counted_beside_its_packages(self):
        self.host.packages(1)
        self.host.chip(0, 'power_meter', power1_average=1)
        text = self.refusal(errors.ConfigurationError,
                            meters=['rapl', 'hwmon'])
        self.assertIn('counted twice', text)

    def test_the_policy_is_not_of_what_is_measured(self):
        self.host.packages(1)
        self.host.chip(0, 'power_meter', power1_average=1)
        for name, policy in (('hwmon', 'two-part/1'), ('rapl', 'node/1'),
                             ('hwmon', 'proportional/1')):
            error = self.assertRaises(
                errors.ConfigurationError, notifier.check_policy, policy,
                self.meter(meters=[name]))
            self.assertIn('[notifier] policy', str(error))
        for name, policy in (('hwmon', 'node/1'), ('rapl', 'two-part/1')):
            notifier.check_policy(policy, self.meter(meters=[name]))

    def test_a_node_draws_more_than_is_believed(self):
        self.host.chip(0, 'power_meter', power1_average=1)
        self.assertEqual(20_000 * W, self.meter().max_power_uw)

    def test_the_policy_is_not_installed(self):
        self.assertIs(attribution.node, notifier.load_policy('node/1'))

    def test_the_real_class_of_this_machine_ends_in_a_traceback(self):
        hwmon.find_sensors(pathlib.Path('/sys'))
