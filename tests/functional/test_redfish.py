# SPDX-License-Identifier: Apache-2.0
"""Nodes' energy fetched from real Redfish services by the installed command.

What each service is made of stands in ``tests.redfish``.
"""

from __future__ import annotations

import pathlib
import secrets
import subprocess
import sys
import tempfile
import time
import unittest
from typing import Any

from energy_accounting.facility import meters, readings
from energy_accounting.ledger import audit, engine, register
from tests import redfish

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
        self.database = engine.Database(f'sqlite:///{self.path}/ledger.db')
        self.addCleanup(self.database.close)
        engine.sync(self.database)
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
        self.assertEqual(f'{self.bmc.chassis}/EnvironmentMetrics{LIFETIME}',
                         self.ref('one'))
        # What comes next is of the same property, whatever else is there.
        self.bmc.energy(EnergykWh={'Reading': 6, 'LifetimeReading': 325676},
                        EnergyJoules={'LifetimeReading': 1})
        time.sleep(1.1)
        self.fetch('--source', 'redfish', '--meter', 'node-one')
        self.assertEqual(['325675.125', '325676'], self.values('one'))
