# SPDX-License-Identifier: Apache-2.0
"""The DevStack plugin, with stand-ins for DevStack's functions."""

from __future__ import annotations

import pathlib
import re
import subprocess
import sys

import fixtures
import testtools

ROOT = pathlib.Path(__file__).parents[3]
PLUGIN = ROOT / 'devstack'
HARNESS = pathlib.Path(__file__).parent / 'devstack.sh'
BIN = pathlib.Path(sys.executable).parent
ALL = 'energy-api energy-collector energy-notifier key rabbit horizon'
STACK = ('install', 'post-config', 'extra', 'test-config')
SECRETS = ('service-secret', 'mysql')


class DevStack(testtools.TestCase):

    def setUp(self):
        super().setUp()
        self.root = pathlib.Path(self.useFixture(fixtures.TempDir()).path)

    def run_it(self, *phases: str, services: str = ALL,
               expected: int = 0, **settings: str) -> str:
        done = subprocess.run(
            ['bash', str(HARNESS), str(self.root), services, *phases],
            capture_output=True, text=True, check=False,
            env={'PATH': '/usr/sbin:/usr/bin:/sbin:/bin', **settings})
        self.assertEqual(expected, done.returncode,
                         done.stdout + done.stderr)
        return done.stdout + done.stderr

    def calls(self) -> list[str]:
        path = self.root / 'calls'
        found = path.read_text().splitlines()
        path.unlink()
        return found

    def test_the_scripts_are_not_as_devstack_wants_them(self):
        scripts = [str(PLUGIN / 'plugin.sh'), str(PLUGIN / 'settings')]
        # E005: what is sourced has no first line; upstream has none either.
        for command in ([BIN / 'bashate', '--ignore=E005,E006', *scripts],
                        [BIN / 'shellcheck', *scripts, str(HARNESS)]):
            done = subprocess.run(list(map(str, command)), check=False,
                                  capture_output=True, text=True)
            self.assertEqual(0, done.returncode, done.stdout + done.stderr)

    def test_a_phase_does_not_do_its_part(self):
        said = self.run_it(*STACK)
        self.assertIn('SIMULATED', said)
        calls = self.calls()
        for wanted in (
                f'setup_develop {ROOT} notifier,collector,api,libvirt,'
                'mysql',
                'create_service_user energy-accounting',
                'create_service_user energy-accounting-collector admin',
                'get_or_create_endpoint energy-accounting RegionOne '
                'http://127.0.0.1/energy',
                'rpc_backend_add_vhost energy',
                'recreate_database energy_accounting',
                'wait_for_service 60 http://127.0.0.1/energy/healthcheck'):
            self.assertIn(wanted, calls)
        started = [call.split()[1] for call in calls
                   if call.startswith('run_process')]
        # Counters are there before they are read.
        self.assertEqual(['energy-powercap', 'energy-api',
                          'energy-collector', 'energy-notifier'], started)
        self.assertLess(calls.index('recreate_database energy_accounting'),
                        calls.index('manage --config-file '
                                    f'{self.root}/etc/api.conf db sync'))
        self.assertIn('?charset=utf8mb4\n', (
            self.root / 'etc' / 'api.conf').read_text())
        self.assertIn('ProxyPass /energy', (
            self.root / 'apache-energy-api.conf').read_text())

    def test_the_api_holds_the_password_of_an_administrator(self):
        self.run_it(*STACK)
        users = {name: set(re.findall(r'(?m)^username *= *(\S+)$', (
            self.root / 'etc' / name).read_text()))
            for name in ('api.conf', 'energy-accounting.conf')}
        self.assertEqual(
            {'api.conf': {'energy-accounting'},
             'energy-accounting.conf': {'energy-accounting-collector'}},
            users)

    def test_a_download_is_not_told(self):
        self.run_it(*STACK)
        text = (self.root / 'etc' / 'api.conf').read_text()
        self.assertRegex(text, r'(?m)^enabled *= *true$')
        self.assertRegex(text, r'(?m)^use_oslo_messaging *= *false$')

    def test_the_hypervisor_holds_a_credential_of_the_cloud(self):
        self.run_it(*STACK)
        text = (self.root / 'etc' / 'notifier.conf').read_text()
        for secret in SECRETS:
            self.assertNotIn(secret, text)
        for path in (self.root / 'etc').glob('*.conf'):
            self.assertEqual(0o640, path.stat().st_mode & 0o777, path.name)
        dropin = (self.root / 'systemd' / 'devstack@energy-notifier.service.d'
                  / 'energy-accounting.conf').read_text()
        self.assertIn('CapabilityBoundingSet=CAP_DAC_READ_SEARCH\n', dropin)

    def test_a_compute_node_gets_more_than_the_notifier(self):
        self.run_it(*STACK, services='energy-notifier rabbit -energy-api '
                                     '-energy-collector')
        calls = ' '.join(self.calls())
        for absent in ('recreate_database', 'get_or_create_endpoint',
                       'run_process energy-api', 'manage', 'wait_for'):
            self.assertNotIn(absent, calls)
        self.assertEqual(['notifier.conf'], [
            path.name for path in (self.root / 'etc').iterdir()])

    def test_a_second_run_adds_to_the_first(self):
        self.run_it(*STACK)
        first = {path: path.read_text() for path in
                 (self.root / 'etc').iterdir()}
        site = (self.root / 'apache-energy-api.conf').read_text()
        self.run_it(*STACK)
        self.assertEqual(site, (self.root / 'apache-energy-api.conf')
                         .read_text())
        self.assertEqual(first, {path: path.read_text() for path in
                                 (self.root / 'etc').iterdir()})

    def test_something_is_left_behind(self):
        self.run_it(*STACK)
        self.calls()
        panels = self.root / 'horizon/openstack_dashboard/local/enabled'
        self.run_it('unstack', 'clean', 'clean')
        self.assertEqual(
            ['energy-notifier', 'energy-powercap', 'energy-collector',
             'energy-api'], [call.split()[1] for call in self.calls()
                             if call.startswith('stop_process')])
        self.assertEqual([], [
            str(path.relative_to(self.root)) for path in
            self.root.rglob('*') if 'energy' in path.name
            and path.name != 'energy-accounting-manage'])
        self.assertFalse((self.root / 'etc').exists())
        self.assertEqual([], list(panels.iterdir()))

    def test_real_counters_are_passed_over(self):
        zone = self.root / 'sys/class/powercap/intel-rapl:0'
        zone.mkdir(parents=True)
        (zone / 'energy_uj').write_text('1\n')
        said = self.run_it(*STACK)
        self.assertNotIn('SIMULATED', said)
        self.assertNotIn('energy-powercap', ' '.join(
            call for call in self.calls() if 'run_process' in call))
        self.assertIn(f'sysfs_path = {self.root}/sys', (
            self.root / 'etc' / 'notifier.conf').read_text())

    def test_a_wrong_meter_is_taken_for_another(self):
        said = self.run_it(*STACK, expected=1,
                           ENERGY_ACCOUNTING_METER='watts')
        self.assertIn('give auto, powercap or simulated', said)
