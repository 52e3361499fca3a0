# SPDX-License-Identifier: Apache-2.0
"""Nodes' energy fetched from real Redfish services by the installed command.

What each service is made of stands in ``tests.redfish``.
"""

from __future__ import annotations

import base64
import contextlib
import json
import pathlib
import secrets
import signal
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.parse
from typing import Any

from energy_accounting import collector, units
from energy_accounting.facility import batches, meters, readings
from energy_accounting.ledger import audit, balance, models, register
from energy_accounting.report import balance as report
from tests import redfish, servers
from tests.unit import records
from tests.unit.facility.sources import answers
from tests.unit.ledger import sums

COMMAND = pathlib.Path(sys.executable).parent / 'energy-accounting-manage'
LIFETIME = '#/EnergykWh/LifetimeReading'
BY = audit.By(audit.Actor('an operator'), 10 ** 18)


class Case(unittest.TestCase):
    """One emulator and its static neighbour for the tests of a class."""

    where: pathlib.Path
    authority: redfish.Authority
    bmc: redfish.Emulator
    static: redfish.Static
    # Of signs that INI, URLs, shells and headers treat in their own way.
    password = f'Pa%s;=#"{secrets.token_urlsafe(12)}'

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.where = pathlib.Path(folder.name)
        cls.authority = redfish.Authority(cls.where)
        cls.bmc = redfish.Emulator(cls.where, cls.authority, cls.password)
        cls.static = redfish.Static(cls.where, cls.authority)
        for service in (cls.bmc, cls.static):
            cls.enterClassContext(service)

    def setUp(self) -> None:
        super().setUp()
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = pathlib.Path(folder.name)
        self.database = records.database(f'sqlite:///{self.path}/ledger.db')
        self.addCleanup(self.database.close)
        self.said = ''
        self.users = self.path / 'bmc-users'
        self.write_users(self.bmc.url, self.static.url)
        self.conf = self.path / 'test.conf'
        self.configure()

    def write_users(self, *urls: str, password: str = '') -> None:
        self.users.write_text(''.join(
            f'[{url}]\nuser = {redfish.USER}\n'
            f'password = {password or self.password}\n' for url in urls))
        self.users.chmod(0o600)

    def configure(self, *more: str) -> None:
        self.conf.write_text('\n'.join((
            '[DEFAULT]', f'state_path = {self.path}',
            f'log_file = {self.path}/manage.log',
            # Every library's own words too.
            'default_log_levels = urllib3=DEBUG,requests=DEBUG,'
            'sqlalchemy=INFO,http.client=DEBUG',
            '[database]', f'connection = sqlite:///{self.path}/ledger.db',
            '[redfish]', f'credentials_file = {self.users}',
            f'ca_file = {self.authority.file}', *more, '')))

    def meter(self, host: str, source_ref: str, **given: Any) -> None:
        self.database.write(register.enrol, BY, host, {})
        self.database.write(meters.create, BY, f'node-{host}', 'default', {
            'medium': 'electricity', 'role': 'node', 'host': host,
            'kind': 'cumulative', 'unit': 'kWh', 'source': 'redfish',
            'source_ref': source_ref, **given})

    def fetch(self, *words: str, code: int = 0) -> str:
        done = subprocess.run(
            [COMMAND, '--config-file', self.conf, '--debug', 'reading',
             'fetch', *words], capture_output=True, text=True, timeout=120,
            check=False)
        self.assertEqual(code, done.returncode, done.stdout + done.stderr)
        self.said += done.stdout + done.stderr
        return done.stdout

    def values(self, host: str) -> list[str]:
        with self.database.reader() as connection:
            meter = meters.found(connection, f'node-{host}')
            return [one.value for one in readings.page(connection, meter.id)]

    def ref(self, host: str) -> str | None:
        with self.database.reader() as connection:
            return meters.found(connection, f'node-{host}').source_ref


class RedfishTest(Case):

    def test_a_nodes_energy_is_not_read_or_read_as_another(self) -> None:
        self.bmc.energy(EnergykWh={'Reading': 5.25,
                                   'LifetimeReading': 325675.125},
                        PowerWatts={'Reading': 374})
        self.meter('one', self.bmc.chassis)
        said = self.fetch()
        self.assertIn('node-one of host one: 127.0.0.1:', said)
        self.assertIn(f'{LIFETIME}: 325675.125 kWh at ', said)
        # The emulator has led from the name of the chassis to its UUID.
        self.assertEqual(f'{self.bmc.chassis}/EnvironmentMetrics{LIFETIME}',
                         self.ref('one'))
        # What comes next is of the same property, whatever else is there.
        self.bmc.energy(EnergykWh={'Reading': 6, 'LifetimeReading': 325676},
                        EnergyJoules={'LifetimeReading': 1})
        self.await_another_second()
        self.fetch('--source', 'redfish', '--meter', 'node-one')
        self.assertEqual(['325675.125', '325676'], self.values('one'))

    def await_another_second(self) -> None:
        """The services' clock shows seconds."""
        second = int(time.time())
        while int(time.time()) == second:
            time.sleep(0.02)

    def test_a_failing_node_takes_others_with_it(self) -> None:
        self.bmc.energy(PowerWatts={'Reading': 374.5})
        static = answers.together(
            answers.power({'PowerConsumedWatts': 344}),
            answers.supplies({'EnergykWh': {'Reading': 1.5}},
                             {'EnergykWh': {'Reading': 2.25}}))
        for path, body in static.items():
            self.static.mockup.write(path, body)
        dead = servers.free_port()
        self.write_users(self.bmc.url, self.static.url,
                         f'https://127.0.0.1:{dead}')
        power = {'kind': 'gauge', 'unit': 'W'}
        self.meter('emulated', self.bmc.chassis, **power)
        self.meter('supplies', self.static.chassis, max_rate='2')
        self.meter('older', f'{self.static.url}{answers.POWER}'
                   '#/PowerControl/0/PowerConsumedWatts', **power)
        # The emulator itself has no energy: only what was put beside it.
        self.meter('bare', f'{self.bmc.url}/redfish/v1/Systems/'
                   '27946b59-9e44-4fa7-8e91-f3527a1ef094')
        self.meter('unknown', 'https://127.0.0.1:1/redfish/v1/Chassis/1')
        self.meter('dead', f'https://127.0.0.1:{dead}/redfish/v1/Chassis/1')
        said = self.fetch(code=1)
        self.assertEqual(
            (['374.5'], ['3.75'], ['344']),
            (self.values('emulated'), self.values('supplies'),
             self.values('older')))
        for name, words in (
                ('bare', '127.0.0.1:.*FAILED: it says nothing of energy'),
                ('unknown', 'FAILED: no section of .redfish. credentials'),
                ('dead', f'127.0.0.1:{dead}: FAILED: Connection refused')):
            self.assertRegex(said, f'(?m)^node-{name} of host {name}: '
                             f'.*{words}')
        self.assertIn('6 meters, 3 failed', said)

    def test_a_certificate_is_not_checked(self) -> None:
        self.bmc.energy(PowerWatts={'Reading': 374.5})
        self.meter('one', self.bmc.chassis, kind='gauge', unit='W')
        elsewhere = self.bmc.url.replace('127.0.0.1', 'localhost')
        self.meter('name', self.bmc.chassis.replace('127.0.0.1',
                                                    'localhost'),
                   kind='gauge', unit='W')
        self.write_users(self.bmc.url, elsewhere)
        before = self.bmc.log.read_text().count('Chassis')
        self.assertRegex(self.fetch(code=1), 'host name: .*FAILED: its '
                         'certificate is not trusted: Hostname mismatch')
        self.assertEqual((1, 0), (len(self.values('one')),
                                  len(self.values('name'))))
        after = self.bmc.log.read_text().count('Chassis')
        self.assertGreater(after, before)
        # Another authority's.
        (self.path / 'other').mkdir()
        other = redfish.Authority(self.path / 'other')
        self.configure(f'ca_file = {other.file}')
        self.await_another_second()
        self.assertIn('its certificate is not trusted',
                      self.fetch('--meter', 'node-one', code=1))
        self.assertEqual(after, self.bmc.log.read_text().count('Chassis'))

    def test_a_password_is_found_where_it_does_not_belong(self) -> None:
        self.bmc.energy(EnergykWh={'Reading': 1})
        self.meter('one', self.bmc.chassis)
        self.meter('two', self.static.chassis)
        written, commands = [], []
        # Right, wrong, and of a service that is frozen in the middle.
        written.append(self.fetch(code=1))
        self.write_users(self.bmc.url, self.static.url,
                         password=f'{self.password}wrong')
        self.await_another_second()
        written.append(self.fetch(code=1))
        self.assertIn('does not accept the user (401)', written[-1])
        self.write_users(self.bmc.url)
        self.configure('timeout_seconds = 2')
        self.bmc.signal(signal.SIGSTOP)
        try:
            with subprocess.Popen(
                    [COMMAND, '--config-file', self.conf, '--debug',
                     'reading', 'fetch'], stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT, text=True) as running:
                proc = pathlib.Path('/proc') / str(running.pid)
                while running.poll() is None:
                    with contextlib.suppress(OSError):
                        commands.append((proc / 'cmdline').read_bytes())
                        commands.append((proc / 'environ').read_bytes())
                    time.sleep(0.05)
                assert running.stdout is not None
                written.append(running.stdout.read())
        finally:
            self.bmc.signal(signal.SIGCONT)
        self.assertIn('no answer within 2 s', written[-1])
        # A file that others may read.
        self.users.chmod(0o644)
        written.append(self.fetch(code=1))
        self.assertIn('node-one of host one: redfish: FAILED: [redfish] '
                      'credentials_file', written[-1])
        self.assertIn('chmod 600', written[-1])
        log = (self.path / 'manage.log').read_text()
        self.assertIn('GET /redfish/v1/Chassis/1', log)
        self.assertTrue(any(b'fetch' in line for line in commands))
        self.users.unlink()
        everything = [self.said.encode(), written[-2].encode(), *commands, *(
            file.read_bytes() for file in self.path.rglob('*')
            if file.is_file())]
        pair = f'{redfish.USER}:{self.password}'
        for secret in (self.password, json.dumps(self.password)[1:-1],
                       urllib.parse.quote(self.password),
                       # Whatever comes behind it, the first of it is this.
                       base64.b64encode(pair.encode()).decode()[:-4]):
            for place in everything:
                self.assertNotIn(secret.encode(), place)


class PlatformTest(Case):
    """From a BMC's counter to what each server has of it."""

    def test_what_a_node_used_beyond_rapl_has_no_owner(self) -> None:
        """Two hours of windows; a reading before them, and one fetched."""
        current = units.bucket_of(time.time_ns())
        first_ns = (current - 8) * units.BUCKET_NS
        self.meter('one', self.bmc.chassis)
        self.database.write(
            batches.add, audit.By(BY.actor, time.time_ns()), 'node-one',
            [batches.Given(first_ns, '325670')], 'api')
        # The quarter that runs is booked already, and so is the next: as if
        # both were over.
        booked = collector.Collector(
            self.database, None,
            lambda: time.time_ns() + 2 * units.BUCKET_NS).book(
                {}, records.payloads(*(records.window(
                    number,
                    [records.share(active_uj=30_000 * units.UJ_PER_J)],
                    host='one', start_ns=first_ns + (number - 1)
                    * units.BUCKET_NS, duration_ns=units.BUCKET_NS)
                    for number in range(1, 11))))
        self.assertEqual({'booked'}, set(booked['results']))
        self.bmc.energy(EnergykWh={'LifetimeReading': 325670.5})
        self.fetch()
        self.manage('platform', 'apportion')
        sheet = self.database.read(lambda connection: report.sheet(
            balance.read(connection, current - 8, current, 'one')))
        self.assertEqual('0', sheet['difference_uj'])
        # As RAPL energy went: what runs has two tenths at most.
        node_uj, half_uj = int(sheet['node_uj']), units.UJ_PER_KWH // 2
        self.assertTrue(half_uj * 8 // 10 <= node_uj <= half_uj, node_uj)
        rapl_uj = sum(row.energy_uj for row in sums.rows(
            self.database, models.zone_buckets) if row.bucket < current)
        self.assertEqual(node_uj - rapl_uj, int(sheet['platform_uj']))
        self.assertEqual(node_uj, int(sheet['instance_uj']))
        self.assertEqual('0', sheet['undivided_node_uj'])
        self.assertNotIn(self.password, self.said)

    def manage(self, *words: str) -> None:
        done = subprocess.run(
            [COMMAND, '--config-file', self.conf, *words],
            capture_output=True, text=True, timeout=120, check=False)
        self.assertEqual(0, done.returncode, done.stdout + done.stderr)
        self.said += done.stdout + done.stderr
