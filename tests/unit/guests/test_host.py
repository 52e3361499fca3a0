# SPDX-License-Identifier: Apache-2.0
"""The host's own figures, read from a tree on disk."""

import pathlib

import fixtures
import testtools
from oslo_config import cfg

from energy_accounting import conf as configuration
from energy_accounting import errors
from energy_accounting.guests import host
from tests.unit import fakes

JIFFY_NS = 1_000_000_000 // fakes.USER_HZ


class HostCase(testtools.TestCase):

    def setUp(self) -> None:
        super().setUp()
        self.state = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        self.fake = fakes.FakeHost(self.useFixture(fixtures.TempDir()).path)

    def conf(self, *services: str) -> cfg.ConfigOpts:
        conf = cfg.ConfigOpts()
        configuration.register(conf)
        conf([])
        for name, value in self.fake.options().items():
            conf.set_override(name, value, 'notifier')
        conf.set_override('service_cgroups', list(services), 'notifier')
        conf.set_override('state_path', str(self.state))
        return conf

    def host(self, *services: str) -> host.Host:
        return host.from_conf(self.conf(*services))

    def test_waiting_or_stolen_or_guest_time_counts_as_use(self):
        self.fake.stat(user=100, nice=20, system=30, idle=10_000, iowait=400,
                       irq=5, softirq=6, steal=700, guest=90, guest_nice=15)
        self.assertEqual(161 * JIFFY_NS, self.host().read().busy_ns)

    def test_threads_that_are_offline_are_counted(self):
        self.fake.stat(cpus=[0, 2, 3])
        self.assertEqual(3, self.host().read().cpus)

    def test_memory_is_not_in_mib(self):
        self.fake.memory(24683892)
        self.assertEqual(24105, self.host().read().memory_mib)

    def test_services_are_left_out(self):
        self.fake.cgroup('/kubepods', 4_000_000_000)
        self.assertEqual({'pods': 4_000_000_000}, self.host(
            'pods=kubepods').read().services_cpu_ns)

    def test_a_missing_procfs_is_not_named(self):
        self.fake.procfs.joinpath('meminfo').unlink()
        error = self.assertRaises(errors.MeterError, self.host)
        self.assertIn('procfs_path', str(error))

    def test_a_stat_that_is_garbage_is_read_as_zero(self):
        reader = self.host()
        fakes.write(self.fake.procfs / 'stat', 'cpu 1 x\n')
        self.assertRaises(errors.MeterError, reader.read)

    def test_the_boot_is_not_told(self):
        self.assertEqual(fakes.BOOT_ID, self.host().boot_id())
        fakes.write(self.fake.procfs / 'sys/kernel/random/boot_id', '')
        self.assertRaises(errors.MeterError, self.host().boot_id)


class MachineId(HostCase):

    def machine_id(self, path: pathlib.Path) -> str:
        reader = host.Host(self.fake.procfs,
                           host.services_from_conf(self.conf()),
                           self.state / 'deeper', path)
        return reader.machine_id()

    def test_the_systems_id_is_not_taken(self):
        path = self.state / 'machine-id'
        path.write_text('0123456789abcdef0123456789abcdef\n')
        self.assertEqual('0123456789abcdef0123456789abcdef',
                         self.machine_id(path))
        self.assertFalse((self.state / 'deeper').exists())

    def test_an_id_made_up_changes_with_a_restart(self):
        for text in ('', 'uninitialized\n'):
            path = self.state / 'machine-id'
            path.write_text(text)
            self.assertEqual(self.machine_id(path), self.machine_id(path))
        self.assertEqual(self.machine_id(self.state / 'none'),
                         self.machine_id(self.state / 'none'))

    def test_a_state_path_that_cannot_be_written_is_not_named(self):
        (self.state / 'deeper').write_text('a file')
        error = self.assertRaises(errors.ConfigurationError, self.machine_id,
                                  self.state / 'none')
        self.assertIn('state_path', str(error))
