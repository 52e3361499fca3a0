# SPDX-License-Identifier: Apache-2.0
"""The plugin in DevStack's own hands, on a machine of its own.

Its phases in order, with DevStack's functions, MariaDB, RabbitMQ, Keystone,
Apache and uWSGI; then twice more, and undone.  Takes minutes, and a checkout
of DevStack that no package index has: EA_TEST_DEVSTACK names it.
"""

from __future__ import annotations

import configparser
import json
import os
import pathlib
import re
import subprocess
import time
import unittest

from tests import servers
from tests.devstack import machine

ROOT = pathlib.Path(__file__).parents[2]
DEVSTACK = os.environ.get('EA_TEST_DEVSTACK',
                          'https://opendev.org/openstack/devstack')
CHECKOUT = machine.HOME / 'devstack'
VENV = machine.HOME / 'data' / 'venv'
CONF = '/etc/energy-accounting'
UNITS = '/etc/systemd/system'
SERVICES = ('api', 'collector', 'notifier', 'powercap')
PANELS = machine.HOME / 'horizon' / 'openstack_dashboard' / 'local'
# Where the plugin writes, and DevStack's functions for it.
TREES = ('/etc', '/run', '/opt/stack/data/energy-accounting', str(PANELS))
LOCAL_CONF = """
[[local|localrc]]
ADMIN_PASSWORD=secret
DATABASE_PASSWORD=secret
RABBIT_PASSWORD=secret
SERVICE_PASSWORD=secret
HOST_IP=127.0.0.1
LOG_COLOR=False
ENABLED_SERVICES=key,mysql,rabbit,horizon
enable_plugin energy-accounting file://{repository} tested

[[post-config|/etc/energy-accounting/notifier.conf]]
[notifier]
tick_seconds = 1
window_seconds = 10
"""
WAIT_SECONDS = 120


class DevStackTest(unittest.TestCase):

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        where = cls.enterClassContext(servers.directory())
        checkout = where / 'devstack'
        subprocess.run(['git', 'clone', '-q', '--depth', '1',
                        f'file://{DEVSTACK}' if DEVSTACK.startswith('/')
                        else DEVSTACK, checkout], check=True)
        repository = where / 'energy-accounting.git'
        git('clone', '-q', '--bare', str(ROOT), str(repository))
        # What is not committed yet, too.
        changed = git('-C', str(ROOT), 'stash', 'create') or 'HEAD'
        git('-C', str(ROOT), 'push', '-q', str(repository),
            f'{changed}:refs/heads/tested')
        (checkout / 'local.conf').write_text(
            LOCAL_CONF.format(repository=repository))
        cls.machine = cls.enterClassContext(machine.Machine(where))
        cls.machine.run('bash', '-c', f"""
            set -e
            cp -r {checkout} {CHECKOUT}
            mkdir -p {PANELS}/enabled {PANELS}/local_settings.d
            # As much of the constraints of a release as is asked.
            mkdir -p {machine.HOME}/requirements/.venv/bin
            cd {machine.HOME}/requirements
            touch upper-constraints.txt
            echo PyMySQL > global-requirements.txt
            ln -s /bin/true .venv/bin/edit-constraints
            chown -R {machine.USER}: {machine.HOME} {repository}
            """, user='root')
        cls.phase('install', outside=True)
        cls.phase('prepare')
        cls.before = cls.machine.files(*TREES)
        cls.said = cls.phase('stack')

    @classmethod
    def phase(cls, name: str, *, outside: bool = False) -> str:
        return cls.machine.run(
            'bash', f'{machine.HOME}/energy-accounting/tests/devstack/'
            'phases.sh' if name != 'install' else
            str(pathlib.Path(__file__).with_name('phases.sh')),
            str(CHECKOUT), name, outside=outside).stdout

    def openstack(self, *words: str, cloud: str = 'devstack-admin') -> str:
        return self.machine.run(
            'env', f'OS_CLOUD={cloud}', f'{VENV}/bin/openstack',
            *words).stdout

    def rows(self, *words: str, cloud: str = 'devstack-admin') -> list[dict]:
        # Warnings of other libraries come first.
        said = self.openstack(*words, '-f', 'json', cloud=cloud)
        return json.loads(said[said.index('['):])

    def test_1_a_service_of_the_cloud_is_not_known(self):
        services = self.rows('service', 'list')
        self.assertIn('energy-accounting', [row['Type'] for row in services])
        endpoints = [row for row in self.rows('endpoint', 'list')
                     if row['Service Type'] == 'energy-accounting']
        self.assertEqual({'http://127.0.0.1/energy'},
                         {row['URL'] for row in endpoints})
        for user, roles in (
                ('energy-accounting', {'service'}),
                ('energy-accounting-collector', {'admin', 'service'})):
            self.assertEqual(roles, {row['Role'] for row in self.rows(
                'role', 'assignment', 'list', '--user', user, '--names')})
        # And the API does not hold the second's password.
        parser = configparser.RawConfigParser(strict=False)
        parser.read_string(self.machine.read(f'{CONF}/api.conf'))
        self.assertEqual({'energy-accounting'}, {
            parser[section]['username'] for section in parser.sections()
            if 'username' in parser[section]})

    def test_2_the_api_does_not_know_a_token(self):
        ask = ['curl', '-s', '-o', '/dev/null', '-w', '%{http_code}',
               'http://127.0.0.1/energy/v1/hosts']
        self.assertEqual('401', self.machine.run(*ask).stdout)
        token = re.search(r'"id": "(\S+)"', self.openstack(
            'token', 'issue', '-f', 'json'))[1]
        self.assertEqual('200', self.machine.run(
            *ask, '-H', f'X-Auth-Token: {token}').stdout)
        # And it is told who asked.
        self.assertIn('audit.http.response', self.machine.run(
            'bash', '-c', 'cat /var/log/devstack@energy-api*',
            user='root').stdout)

    def test_3_a_joule_does_not_arrive(self):
        self.assertIn('SIMULATED', self.said)
        deadline = time.monotonic() + WAIT_SECONDS
        while not (used := self.rows('energy', 'usage', 'list',
                                     '--all-projects', '--group-by', 'host',
                                     '--start', '2026-01-01')):
            self.assertLess(time.monotonic(), deadline, self.logs())
            time.sleep(1)
        self.assertEqual(['devstack'], [row['host'] for row in used])
        self.assertEqual([], self.rows(
            'energy', 'usage', 'list', '--start', '2026-01-01',
            cloud='devstack'))
        hosts = self.rows('energy', 'host', 'list')
        self.assertEqual(['devstack'], [row['name'] for row in hosts])

    def logs(self) -> str:
        return self.machine.run(
            'bash', '-c', 'tail -n 30 /var/log/devstack@energy*', user='root',
            check=False).stdout

    def test_4_a_notifier_has_more_rights_than_one(self):
        self.assertEqual([], [
            name for name in SERVICES if self.machine.run(
                'systemctl', 'is-active', f'devstack@energy-{name}',
                check=False).returncode])
        status = self.machine.run('bash', '-c', """
            number=$(cat /run/units/devstack@energy-notifier)
            grep -E '^(Uid|CapEff|CapBnd|NoNewPrivs):' /proc/$number/status
            """, user='root').stdout
        found = dict(line.split(':', 1) for line in status.splitlines())
        # CAP_DAC_READ_SEARCH is the third.
        self.assertEqual('0000000000000004', found['CapEff'].strip())
        self.assertEqual('0000000000000004', found['CapBnd'].strip())
        self.assertEqual('1', found['NoNewPrivs'].strip())
        self.assertNotIn('0', found['Uid'].split())
        # Nor does anything that it can read name a password of the cloud.
        text = self.machine.read(f'{CONF}/notifier.conf')
        parser = configparser.RawConfigParser(strict=False)
        parser.read_string(text)
        self.assertEqual(['DEFAULT', 'notifier', 'oslo_messaging_rabbit'],
                         sorted(['DEFAULT', *parser.sections()]))

    def test_5_systemd_does_not_understand_what_was_written(self):
        done = self.machine.run(
            'systemd-analyze', 'verify', '--man=no',
            *(f'{UNITS}/devstack@energy-{name}.service'
              for name in SERVICES), user='root', check=False)
        self.assertEqual([], [line for line in done.stdout.splitlines()
                              if 'energy' in line])

    def test_6_a_second_run_ends_otherwise(self):
        first = {name: self.machine.read(f'{CONF}/{name}.conf')
                 for name in ('api', 'notifier', 'energy-accounting')}
        files = self.machine.files(*TREES)
        self.phase('unstack')
        self.phase('stack')
        self.assertEqual(first, {
            name: self.machine.read(f'{CONF}/{name}.conf') for name in first})
        self.assertEqual(1, sum(
            row['Type'] == 'energy-accounting'
            for row in self.rows('service', 'list')))
        self.assertEqual(set(), {
            path for path in self.machine.files(*TREES) - files
            if 'energy' in path and '/spool/' not in path})
        self.assertEqual(1, self.machine.read(
            '/etc/apache2/sites-available/energy-api.conf').count('ProxyPass'))

    def test_7_something_is_left(self):
        self.assertTrue(any('energy' in path for path in
                            self.machine.files(*TREES) - self.before))
        self.phase('unstack')
        self.assertEqual('', self.machine.run(
            'pgrep', '--uid', machine.USER, '--full', '--list-full',
            'bin/(energy-accounting|uwsgi.*energy)|simulated-powercap',
            user='root', check=False).stdout)
        self.phase('clean')
        left = self.machine.files(*TREES) - self.before
        self.assertEqual(set(), {path for path in left if 'energy' in path})
        # Twice, and where nothing was.
        self.phase('clean')


def git(*words: str) -> str:
    return subprocess.run(['git', *words], check=True, capture_output=True,
                          text=True).stdout.strip()
