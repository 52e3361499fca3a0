# SPDX-License-Identifier: Apache-2.0
"""A closed month in a real CloudKitty, as its tenant reads it there.

CloudKitty with InfluxDB and Keystone; ``energy-accounting-manage`` sends, as
a process of its own with the configuration of an operator.
"""

from __future__ import annotations

import atexit
import collections
import datetime
import decimal
import functools
import json
import os
import pathlib
import signal
import subprocess
import unittest
import uuid
from typing import Any

import requests
from keystoneauth1 import session
from keystoneauth1.identity import v3

from energy_accounting import tariffs, units
from energy_accounting.ledger import tariffs as tariff_store
from tests import servers
from tests.acceptance import cloud, keystone, rating
from tests.functional import base
from tests.unit.statements import made

KIND = 'rating'
METRIC = 'energy.instance'
SECONDS = 60
PRICE = decimal.Decimal('0.30')
# The status of a command after which an export waits for what is away.
WAITS = 1
# Of the project of services.
USERS = {'rates': 'admin', 'weak': 'reader', 'cloudkitty': 'admin'}
MONTH = {'begin': '2026-10-01T00:00:00+02:00',
         'end': '2026-11-01T00:00:00+01:00'}
_CENT = decimal.Decimal('0.01')

Shown = dict[str, tuple[int, decimal.Decimal]]
"""Microjoules and price by instance."""


class Stage:
    """Keystone's projects and users, CloudKitty, and who cuts it off."""

    def __init__(self, test: unittest.TestCase,
                 where: pathlib.Path) -> None:
        self.where = where
        self.region = f'rating-{uuid.uuid4().hex}'
        self.keystone = keystone.shared()
        admin = keystone.admin(self.keystone)
        self.call, self.roles = admin.call, admin.roles
        self.call('POST', 'regions', {'region': {'id': self.region}})
        admin.endpoint('identity', self.region, self.keystone.url)
        self.domain = self.call('POST', 'domains', {'domain': {
            'name': self.region}})['domain']['id']
        self.services = self.project('services')
        for user, role in USERS.items():
            self.user(user, self.services, role)
        self.influx = rating.InfluxDB(where)
        test.addCleanup(self.influx.stop)
        self.influx.start()
        self.kitty = rating.CloudKitty(
            where, base.mysql_url(test) + '?charset=utf8mb4', self.influx,
            self.settings('cloudkitty'))
        test.addCleanup(self.kitty.stop)
        self.kitty.start()
        self.between = rating.Between(self.kitty.url)
        test.addCleanup(self.between.close)
        admin.endpoint(KIND, self.region, self.between.url)

    def project(self, name: str) -> str:
        return str(self.call('POST', 'projects', {'project': {
            'name': name, 'domain_id': self.domain}})['project']['id'])

    def user(self, name: str, project: str, role: str) -> None:
        user = self.call('POST', 'users', {'user': {
            'name': name, 'password': keystone.PASSWORD,
            'domain_id': self.domain}})['user']['id']
        self.call('PUT', f'projects/{project}/users/{user}/roles/'
                         f'{self.roles[role]}')

    def settings(self, user: str) -> str:
        """The options with which a service signs in."""
        return (f'auth_type = password\nauth_url = {self.keystone.url}\n'
                f'region_name = {self.region}\n'
                f'username = {user}\npassword = {keystone.PASSWORD}\n'
                f'user_domain_id = {self.domain}\n'
                f'project_id = {self.services}\n')

    def token(self, user: str, project: str) -> str:
        return str(v3.Password(
            self.keystone.url, username=user, user_domain_id=self.domain,
            password=keystone.PASSWORD, project_id=project,
        ).get_access(session.Session()).auth_token)

    def ask(self, token: str, path: str, **params: Any) -> Any:
        """CloudKitty itself, not by who cuts it off."""
        answer = requests.get(
            self.kitty.url + path, timeout=SECONDS,
            params={**MONTH, **params}, headers={'X-Auth-Token': token})
        answer.raise_for_status()
        return answer.json()

    @functools.cached_property
    def admin(self) -> str:
        return self.token('rates', self.services)


@functools.cache
def shared() -> Stage:
    """The one stage of all tests here."""
    holder = unittest.TestCase()
    atexit.register(holder.doCleanups)
    return Stage(holder, pathlib.Path(holder.enterContext(
        servers.directory())))


class Tenant:
    """A project with a reader, who asks CloudKitty."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        name = uuid.uuid4().hex
        self.project = stage.project(name)
        stage.user(name, self.project, 'reader')
        self.token = stage.token(name, self.project)

    def summary(self, **params: Any) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.stage.ask(
            self.token, '/v2/summary', **{
                'response_format': 'object', 'limit': 10000,
                'filters': f'type:{METRIC}', **params})['results']
        return found

    def shown(self) -> Shown:
        return {row['id']: _numbers(row)
                for row in self.summary(groupby='id')}

    def points(self) -> list[tuple[str, str, str, float, float]]:
        """Begin, end, instance, kWh and price of all that is there."""
        return sorted(
            (frame['period']['begin'], frame['period']['end'],
             one['groupby']['id'], one['vol']['qty'],
             one['rating']['price'])
            for frame in self.stage.ask(
                self.token, '/v2/dataframes', limit=100_000)['dataframes']
            for one in frame['usage'][METRIC])


def _numbers(row: dict[str, Any]) -> tuple[int, decimal.Decimal]:
    return (units.microjoules(decimal.Decimal(repr(row['qty']))),
            decimal.Decimal(repr(row['rate'])).quantize(_CENT))


class Month:
    """A ledger with a closed October, and who exports of it."""

    def __init__(self, test: unittest.TestCase, stage: Stage) -> None:
        self.stage = stage
        self.tenants = [Tenant(stage) for _ in range(2)]
        self.ledger = made.ledger(test)
        self.database = self.ledger.database
        # The first tenant has more points than go into one request.
        self.instances = [f'{name}-{uuid.uuid4()}' for name in (
            'web', 'db', 'cache', 'a b,=|"ü', 'theirs')]
        for number, name in enumerate(self.instances):
            account = self.ledger.instance(
                name, self.tenants[number // 4].project, f'm1.{number} =,')
            for day in range(1, 32):
                for quarter in range(number % 4, 92, 4):
                    self.ledger.book(
                        account, 'compute-1', made.bucket(day, quarter),
                        made.KWH // 17 + quarter + day, 2, 3)
        self.ledger.write()
        self.database.write(
            tariff_store.record, tariffs.Tariff(
                'standard', made.OCTOBER.start_ns, None, 'EUR', tariffs.IT,
                PRICE, 'contract'), made.NOW_NS - 10, made.ACTOR)
        self.close()

    def close(self, now_ns: int = made.NOW_NS) -> None:
        self.closed = [made.close(self.database, one.project, now_ns=now_ns)
                       for one in self.tenants]

    def said(self) -> list[Shown]:
        """What the statements say, by tenant."""
        found = []
        for one in self.closed:
            sums: dict[str, list[Any]] = collections.defaultdict(
                lambda: [0, decimal.Decimal(0)])
            for line in made.lines(self.database, one):
                sums[line.instance_id][0] += line.it_uj
                sums[line.instance_id][1] += decimal.Decimal(line.cost)
            found.append({name: (energy, price)
                          for name, (energy, price) in sums.items()})
        return found

    def shown(self) -> list[Shown]:
        return [one.shown() for one in self.tenants]

    def points(self) -> list[Any]:
        return [one.points() for one in self.tenants]

    # --- who sends ---

    def conf(self, user: str = 'rates', more: str = '') -> pathlib.Path:
        path = self.stage.where / f'{uuid.uuid4()}.conf'
        path.write_text(
            f'[database]\nconnection = {self.database.engine.url}\n'
            f'[cloudkitty]\n{self.stage.settings(user)}{more}')
        return path

    def command(self, *words: str, conf: pathlib.Path | None = None,
                ) -> list[str]:
        return [str(cloud.BIN / 'energy-accounting-manage'), '--config-file',
                str(conf or self.conf()), 'export', 'create', '--target',
                'cloudkitty', '--month', '2026-10', '--timezone',
                made.BERLIN, *(words or ('--all',))]

    def start(self, *words: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            self.command(*words), text=True, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, stdin=subprocess.DEVNULL)


class RatingTest(unittest.TestCase):

    def setUp(self) -> None:
        super().setUp()
        self.stage = shared()
        self.between = self.stage.between
        self.month = Month(self, self.stage)
        self.between.asked.clear()
        self.between.posted.clear()

    def run_export(self, *words: str, conf: pathlib.Path | None = None,
                   ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.month.command(*words, conf=conf), text=True,
            capture_output=True, check=False, timeout=4 * SECONDS)

    def sent(self, *words: str) -> str:
        done = self.run_export(*words)
        self.assertEqual((0, ''), (done.returncode, done.stderr))
        return done.stdout

    def posted(self) -> list[Any]:
        return [one for body in self.between.posted
                for frame in json.loads(body)['dataframes']
                for one in frame['usage'][METRIC]]

    def test_a_tenant_reads_another_bill_than_was_closed(self) -> None:
        self.assertIn(': confirmed', self.sent())
        said = self.month.said()
        self.assertEqual([4, 1], [len(one) for one in said])
        self.assertEqual(said, self.month.shown())
        for one, sums in zip(self.month.tenants, said, strict=True):
            total = (sum(energy for energy, _ in sums.values()),
                     sum(price for _, price in sums.values()))
            # By what CloudKitty's own collectors add for it.
            (month,) = one.summary(groupby='time-m,time-y')
            self.assertEqual(('10', '2026', *total), (
                month['month'], month['year'], *_numbers(month)))
            self.assertEqual([str(day) for day in range(274, 305)], [
                row['day_of_the_year'] for row in one.summary(
                    groupby='time-d')])
            for begin, end, *_ in one.points():
                times = [datetime.datetime.fromisoformat(time)
                         for time in (begin, end)]
                self.assertEqual(datetime.timedelta(hours=1),
                                 times[1] - times[0])
                self.assertEqual(0, times[0].minute)
        # Another's is not shown, whatever is asked for.
        first, second = self.month.tenants
        self.assertEqual({*said[1]}, {
            row['id'] for row in second.summary(
                groupby='id',
                filters=f'type:{METRIC},project_id:{first.project}')})

    def test_a_second_push_is_counted_again(self) -> None:
        self.sent()
        points, shown = self.month.points(), self.month.shown()
        self.assertEqual(sum(map(len, points)), len(self.posted()))
        # The outbox: nobody is asked.
        self.between.asked.clear()
        self.assertIn(': unchanged', self.sent())
        self.assertEqual([], self.between.asked)
        # Another outbox, or an operator who insists: asked, and not sent.
        bodies = [*self.between.posted]
        self.between.posted.clear()
        self.assertIn(': confirmed', self.sent(
            '--all', '--option', 'again=2026-11-05'))
        self.assertEqual([], self.between.posted)
        self.assertEqual({'GET'}, {
            asked.partition(' ')[0] for asked in self.between.asked})
        # Even the very same requests: InfluxDB has one point of a time
        # and a set of keys.
        for body in bodies:
            requests.post(
                f'{self.stage.kitty.url}/v2/dataframes', data=body,
                timeout=SECONDS, headers={
                    'X-Auth-Token': self.stage.admin,
                    'Content-Type': 'application/json'}).raise_for_status()
        self.assertEqual((points, shown), (self.month.points(),
                                           self.month.shown()))

    def test_a_kill_leaves_half_or_sends_it_twice(self) -> None:
        # One is killed when CloudKitty has taken a part of it and nobody has
        # told it so, the other before CloudKitty has got anything.
        for tenant, moment in zip(self.month.tenants, ('after', 'before'),
                                  strict=True):
            process = self.month.start('--project', tenant.project)

            def kill(number: int,
                     process: subprocess.Popen[str] = process) -> bool:
                os.kill(process.pid, signal.SIGKILL)
                process.wait(SECONDS)
                return True

            setattr(self.between, moment, kill)
            process.communicate(timeout=SECONDS)
            self.between.before = self.between.after = lambda number: None
            self.assertEqual(-signal.SIGKILL, process.returncode)
        self.assertEqual([(True, False), (False, False)], [
            (bool(one.summary()), one.shown() == said) for one, said
            in zip(self.month.tenants, self.month.said(), strict=True)])
        # Whoever begins again waits for what may still be at it.
        again = [self.month.start('--project', one.project)
                 for one in self.month.tenants]
        for process in again:
            said, complaint = process.communicate(timeout=4 * SECONDS)
            self.assertEqual((0, ''), (process.returncode, complaint))
            self.assertIn(': confirmed', said)
        self.assertEqual(self.month.said(), self.month.shown())
        points = sum(map(len, self.month.points()))
        self.assertGreater(points, 2000)
        self.assertEqual(points, len(self.posted()))

    def test_a_correction_is_charged_beside_what_it_corrects(self) -> None:
        self.sent()
        tenant, before = self.month.tenants[0], self.month.points()
        web = self.month.instances[0]
        made.late(self.month.database, web, tenant.project,
                  made.bucket(3), made.KWH)
        self.month.close(made.NOW_NS + 10 ** 12)
        self.between.posted.clear()
        self.assertIn(': confirmed', self.sent())
        said = self.month.said()
        self.assertEqual(2, self.month.closed[0].stored.revision)
        self.assertEqual(said, self.month.shown())
        after = self.month.points()
        self.assertEqual(before[1], after[1])
        self.assertEqual(len(self.posted()),
                         len({*after[0]} - {*before[0]}))

    def test_a_failure_does_not_say_what_to_do(self) -> None:
        conf = self.month.conf('rates')
        wrong = self.month.conf('rates', 'password = wrong\n')
        for what, path, words in (
                ('a user who may not', self.month.conf('weak'),
                 '403.*role admin.*dataframes:add'),
                ('a wrong password', wrong, 'Keystone does not know'),
                ('no such region', self.month.conf(
                    'rates', 'region_name = elsewhere\n'),
                 'elsewhere region.*catalogue.*endpoint_override')):
            with self.subTest(what):
                self.refused(words, path)
        self.stage.influx.kill()
        try:
            self.refused('500.*InfluxDB', conf, WAITS)
        finally:
            self.stage.influx.start()
        self.stage.kitty.kill()
        try:
            self.refused('establish.*running', self.month.conf(
                'rates', f'endpoint_override = {self.stage.kitty.url}\n'),
                WAITS)
            with self.stage.kitty.first_storage():
                self.refused(r'404.*\[storage\] version = 2', conf)
        finally:
            self.stage.kitty.start()
        self.assertEqual([], self.between.posted)
        self.assertIn(': confirmed', self.sent())
        self.assertEqual(self.month.said(), self.month.shown())

    def refused(self, words: str, conf: pathlib.Path,
                status: int = 2) -> None:
        done = self.run_export(conf=conf)
        self.assertEqual((status, ''), (done.returncode, done.stdout), done)
        self.assertRegex(done.stderr, words)
        self.assertIn('[cloudkitty]', done.stderr)
        self.assertEqual(1, done.stderr.count('\n'), done.stderr)
