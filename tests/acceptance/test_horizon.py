# SPDX-License-Identifier: Apache-2.0
"""What a tenant and an operator see in a real Horizon, in a real browser.

A Keystone, an API process with the example cloud in its ledger, Horizon in
an environment of its own, and headless Chromium.  Every page is looked at
in English and German, light and dark, wide and narrow; what it shows is
compared with what the API says to the same user.  Pictures of all that go
to ``EA_TEST_PICTURES``.
"""

from __future__ import annotations

import contextlib
import csv
import datetime
import decimal
import io
import json
import os
import pathlib
import re
import signal
import sqlite3
import subprocess
import time
import unittest
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator
from typing import Any

import requests
import sqlalchemy as sa
from babel import Locale

from energy_accounting import collector, units
from energy_accounting.ledger import (
    audit,
    engine,
    exports,
    models,
    register,
)
from energy_accounting.statements import closing, periods, supplied
from tests import servers
from tests.acceptance import browser, cloud, environment, horizon, keystone
from tests.unit import records
from tests.unit.dashboard import test_messages

KIND = 'energy-accounting'
PROJECT, ADMIN = '/project/energy/', '/admin/energy/'
TENANT_PROJECT = 'webshop'
# The name of a server is the tenant's own choice.
EVIL = '<b>{{7*7}}</b>=cmd'
UNNAMED = 'shop-2'
# One that was there in the days before, too.
BATCH = 'ba7c4000-0000-4000-8000-000000000001'
SECONDS = 60
EXPORT_STATES = {'planned': ('planned', 'geplant'),
                 'sent': ('sent', 'gesendet'),
                 'confirmed': ('confirmed', 'bestätigt'),
                 'failed': ('failed', 'gescheitert'),
                 'cancelled': ('given up', 'aufgegeben')}
# What Horizon's own pages are known for; ours must keep these rules too.
HORIZONS = ('color-contrast', 'html-has-lang', 'list', 'tabindex')
# How much of the first of its kind a unit is.
SIZES = {unit: decimal.Decimal(size) for unit, size in (
    ('', '1'), ('%', '1'), ('g/kWh', '1'), ('l', '1'), ('ml', '0.001'),
    ('m³', '1000'), ('t', '1000000'), ('kg', '1000'), ('g', '1'),
    ('mg', '0.001'), *((prefix + kind, size) for kind in ('Wh', 'W')
                       for prefix, size in (('G', '1e9'), ('M', '1e6'),
                                            ('k', '1000'), ('', '1'),
                                            ('m', '0.001'))))}
NARROW, WIDE = 400, 1280
FAULT_UJ = 7_200_000_000
NO_BREAK = '\N{NO-BREAK SPACE}'

_EXAMPLE_SECONDS = 240
_LEAST = 12
"""Parts of English texts that are shorter may stand in German ones."""


class Api(cloud.Region):
    """The API alone."""

    def launch(self) -> None:
        self.launch_api()


class Stage(contextlib.ExitStack):
    """All servers, and who there is."""

    def __init__(self, test: unittest.TestCase) -> None:
        super().__init__()
        self.chromium = browser.required(test)
        self.where = self.enter_context(servers.directory())
        with self._example() as state:
            self.keystone = keystone.shared()
            self._people()
            self.horizon = horizon.Horizon(
                self.where, self.keystone.url, self.domain_name)
            self._told(state)
        self.api = Api(self.where, 'api', {
            'DEFAULT': f'state_path = {self.where}\n',
            'database': f'connection = sqlite:///{self.ledger}\n',
            'keystone_authtoken':
                f'auth_type = password\nauth_url = {self.keystone.url}\n'
                f'region_name = {self.region}\n'
                f'username = energy\npassword = {keystone.PASSWORD}\n'
                f'user_domain_id = {self.domain}\n'
                f'project_id = {self.projects["service"]}\n'})
        self.compute = horizon.Compute(self.names)
        self.callback(self.compute.stop)
        for server in (self.api, self.horizon):
            self.callback(server.stop)
            server.start()
        for kind, url in (('identity', self.keystone.url),
                          (KIND, self.api.url),
                          ('compute', self.compute.url)):
            self.admin.endpoint(kind, self.region, url)
        self.browser = self.enter_context(
            browser.opened(self.chromium, self.horizon.url))
        self.pictures = pathlib.Path(
            os.environ.get('EA_TEST_PICTURES')
            or environment.cache() / 'pictures')
        self.pictures.mkdir(parents=True, exist_ok=True)

    @contextlib.contextmanager
    def _example(self) -> Iterator[pathlib.Path]:
        """The example cloud, played beside what else must be made ready."""
        port = servers.free_port()
        state = self.where / 'example'
        with (self.where / 'example.log').open('wb') as log:
            process = subprocess.Popen(
                [*cloud.DIE_TOGETHER,
                 str(cloud.BIN / 'energy-accounting-standalone'),
                 '--example', '--port', str(port), '--state-path',
                 str(state)], stdout=log, stderr=log)
        self.callback(process.wait)
        self.callback(process.kill)
        self._playing = process, port
        yield state / 'example'

    def _played(self) -> None:
        process, port = self._playing
        deadline = time.monotonic() + _EXAMPLE_SECONDS
        while True:
            with contextlib.suppress(OSError, urllib.error.URLError):
                urllib.request.urlopen(
                    f'http://{servers.LOOPBACK}:{port}/healthcheck',
                    timeout=5).close()
                break
            if process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(
                    (self.where / 'example.log').read_text())
            time.sleep(0.1)
        process.send_signal(signal.SIGTERM)
        process.wait(SECONDS)

    def _told(self, state: pathlib.Path) -> None:
        """The ledger of the example, of the projects of this Keystone."""
        self._played()
        self.ledger = state / 'energy-accounting.sqlite'
        cast = json.loads((state / 'example.json').read_text())
        self.instances = cast['instances']
        self.names = {ident: name for name, ident
                      in self.instances.items() if name != UNNAMED}
        self.names[self.instances['cache']] = EVIL
        self.instances['batch'] = BATCH
        self.names[BATCH] = 'batch'
        with contextlib.closing(sqlite3.connect(self.ledger)) as connection:
            with connection:
                for name, ident in cast['projects'].items():
                    connection.execute(
                        'UPDATE projects SET project_id = ? '
                        'WHERE project_id = ?', (self.projects[name], ident))
            (self.end_ns,), = connection.execute(
                'SELECT MAX(window_end_ns) FROM streams')
        # Whole days that are over: nothing of them changes meanwhile.
        today = units.moment(self.end_ns - 1).astimezone(
            units.zone(horizon.TIME_ZONE)).date()
        self.last = today - datetime.timedelta(days=1)
        self.first = self.last - datetime.timedelta(days=1)
        self._mishaps()
        self._closed()

    def _mishaps(self) -> None:
        """A host with a past, a hole, and a record that does not add up."""
        mishap = {'host': 'compute-04', 'stream': 'mishap',
                  'machine_id': 'four', 'duration_ns': units.BUCKET_NS}
        share = records.share(
            records.instance(BATCH, self.projects[TENANT_PROJECT]),
            active_uj=40_000_000_000, idle_uj=20_000_000_000,
            memory_uj=5_000_000_000, vcpu_ns=8 * units.BUCKET_NS)
        nobody = records.share(
            records.unallocated('idle_capacity'), active_uj=0,
            idle_uj=9_000_000_000, memory_uj=0, host_uj=0, cpu_ns=0,
            vcpu_ns=0, memory_mib_ns=0)
        shares = (share, nobody)
        past_ns, noon_ns = (
            units.wall_ns(midnight(day) + datetime.timedelta(hours=12))
            for day in (self.first - datetime.timedelta(days=1), self.last))
        later_ns = noon_ns + 2 * units.BUCKET_NS
        sent = [records.window(number, shares, start_ns=past_ns + (
            number - 1) * units.BUCKET_NS, **mishap)
            for number in range(1, 41)]
        hole = {**mishap, 'duration_ns': 5 * records.MINUTE_NS}
        sent += [
            records.window(41, shares, start_ns=noon_ns, **hole),
            records.lost(42, 42, host='compute-04', stream='mishap',
                         machine_id='four'),
            records.window(43, shares, start_ns=later_ns, **hole),
            records.window(
                44, start_ns=later_ns + 5 * records.MINUTE_NS,
                parts=(records.part(
                    units.bucket_of(later_ns),
                    zones_uj={'package-0': 9_000_000_000}),),
                **{**mishap, 'duration_ns': records.MINUTE_NS})]
        database = engine.Database(f'sqlite:///{self.ledger}')
        try:
            database.write(
                register.enrol, audit.By(audit.Actor('a test'), self.end_ns),
                'compute-04', {'site': 'machine-room'})
            books = collector.Collector(database, None, time.time_ns,
                                        'first_use')
            for one in sent:
                books.book({}, [records.signed(one)])
            database.write(self._fault, units.bucket_of(past_ns))
        finally:
            database.close()

    @staticmethod
    def _fault(connection: sa.Connection, bucket: int) -> None:
        """Books that do not balance, on the day before the others."""
        zones = models.zone_buckets
        changed = connection.execute(
            sa.update(zones).where(
                zones.c.bucket == bucket, zones.c.zone == 'package-0')
            .values(energy_uj=zones.c.energy_uj + FAULT_UJ)).rowcount
        if changed != 1:
            raise AssertionError(f'{changed} buckets of one host')

    def _closed(self) -> None:
        """A month that is over, this one, and what left of them."""
        self.month = f'{self.last:%Y-%m}'
        # Nothing was measured then, not even at the beginning of a month.
        earlier = self.last.replace(day=1) - datetime.timedelta(days=40)
        before = f'{earlier:%Y-%m}'
        actor = audit.Actor('a test')
        database = engine.Database(f'sqlite:///{self.ledger}')
        try:
            for name in (before, self.month):
                period = periods.period(name, horizon.TIME_ZONE)
                for project in ('webshop', 'weather'):
                    closing.close(
                        database, self.projects[project], period,
                        supplied.Supplied(period, self.end_ns), self.end_ns,
                        actor)
            for number, state in enumerate(exports.STATES):
                database.write(self._left, before, str(uuid.UUID(
                    int=number)), state, actor)
        finally:
            database.close()

    def _left(self, connection: sa.Connection, period: str, ident: str,
              state: str, actor: audit.Actor) -> None:
        exports.plan(connection, {
            'export': ident, 'target': 'focus', 'options': {
                'version': '1.3'}, 'destination': '/srv/billing',
            'period': period, 'time_zone': horizon.TIME_ZONE,
            'project_id': self.projects['webshop']
            if state == exports.SENT else None, 'digest': '0' * 64,
            'total': 12345}, actor, self.end_ns)
        exports.take(connection, ident, 'a test', self.end_ns, self.end_ns)
        exports.mark(
            connection, ident, 'a test', state, self.end_ns,
            error='/srv/billing: No space left on device'
            if state == exports.FAILED else None,
            done={exports.PLANNED: 0, exports.CANCELLED: 0,
                  exports.FAILED: 5000}.get(state, 12345))

    def _people(self) -> None:
        """A domain, a region, a tenant, a newcomer and an operator."""
        self.admin = keystone.admin(self.keystone)
        call = self.admin.call
        self.region = f'region-{uuid.uuid4().hex}'
        call('POST', 'regions', {'region': {'id': self.region}})
        self.domain_name = self.region
        self.domain = call('POST', 'domains', {'domain': {
            'name': self.domain_name}})['domain']['id']
        self.projects = {name: call('POST', 'projects', {'project': {
            'name': name, 'domain_id': self.domain}})['project']['id']
            for name in ('weather', 'teaching', 'webshop', 'builds',
                         'newcomer', 'operations', 'service')}
        roles = {role['name']: role['id']
                 for role in call('GET', 'roles')['roles']}
        for user, project, role in (
                ('tenant', TENANT_PROJECT, 'reader'),
                ('newcomer', 'newcomer', 'member'),
                ('operator', 'operations', 'admin'),
                ('energy', 'service', 'service')):
            made = call('POST', 'users', {'user': {
                'name': user, 'password': keystone.PASSWORD,
                'domain_id': self.domain}})['user']['id']
            call('PUT', f'projects/{self.projects[project]}/users/{made}/'
                        f'roles/{roles[role]}')

    def ask(self, user: str, project: str, path: str,
            **query: str) -> dict[str, Any]:
        """What the API says to somebody."""
        who = {'name': user, 'password': keystone.PASSWORD,
               'domain': {'id': self.domain}}
        token = requests.post(
            f'{self.keystone.url}/auth/tokens', timeout=SECONDS, json={
                'auth': {
                    'identity': {'methods': ['password'],
                                 'password': {'user': who}},
                    'scope': {'project': {
                        'id': self.projects[project]}}}},
        ).headers['X-Subject-Token']
        answer = requests.get(
            self.api.url + path, params=query, timeout=SECONDS,
            headers={'X-Auth-Token': token})
        answer.raise_for_status()
        body: dict[str, Any] = answer.json()
        return body


def midnight(day: datetime.date) -> datetime.datetime:
    """The first moment of a day in Horizon's time zone."""
    return datetime.datetime.combine(
        day, datetime.time(), units.zone(horizon.TIME_ZONE),
    ).astimezone(units.UTC)


def read(text: str, german: bool) -> decimal.Decimal:
    """The number that is written at the beginning of a text."""
    written = re.match(r'[<>−+]*[\d.,]+', text)
    if written is None:
        raise AssertionError(f'no number: {text!r}')
    plain = written.group().strip('<>+').replace('−', '-')
    group, point = ('.', ',') if german else (',', '.')
    return decimal.Decimal(plain.replace(group, '').replace(point, '.'))


class InABrowser(unittest.TestCase):
    """The tests share servers that take long to start."""

    maxDiff = None

    @classmethod
    def setUpClass(cls) -> None:
        holder = cls()
        cls.stage = Stage(holder)
        cls.addClassCleanup(cls.stage.close)
        first, last = cls.stage.first, cls.stage.last
        cls.days = f'?from={first}&to={last}'
        cls.query = cls.asked(first, 2)
        cls.query_before = cls.asked(first - datetime.timedelta(days=2), 2)

    @staticmethod
    def asked(first: datetime.date, days: int) -> dict[str, str]:
        return {
            'start': units.iso(midnight(first)),
            'end': units.iso(midnight(first + datetime.timedelta(days))),
            'timezone': horizon.TIME_ZONE}

    def setUp(self) -> None:
        self.stage.browser.faults.clear()

    def page(self, user: str, path: str) -> browser.Page:
        # Of several regions with one identity service Horizon takes any.
        page = self.stage.browser.sign_in(
            user, keystone.PASSWORD, path,
            services_region=self.stage.region)
        self.addCleanup(page.close)
        return page

    # --- what is true of every page ---

    def look(self, page: browser.Page, path: str, name: str,
             ready: str) -> Iterator[bool]:
        """Both languages in turn, with all that is to be seen there.

        English is narrow and on paper too, German dark.
        """
        for german in (False, True):
            page.prefer(horizon_language='de' if german else 'en')
            page.show(WIDE)
            page.go(path)
            page.tab.wait_for_selector(ready)
            shown = f'{name}-{"de" if german else "en"}'
            self.assertEqual([], page.violations('.ea', HORIZONS))
            self.assert_language(page, german)
            self.picture(page, shown)
            if german:
                page.restyle(self.stage.horizon.dark)
                page.go(path)
                page.tab.wait_for_selector(ready)
                self.assertLess(page.ground(), 64)
                self.assertEqual([], page.violations('.ea', HORIZONS))
                self.picture(page, f'{shown}-dark')
                page.restyle({})
                page.go(path)
                page.tab.wait_for_selector(ready)
            else:
                page.show(NARROW)
                self.assertEqual([], page.violations('.ea', HORIZONS))
                self.assertFalse(page.wider_than_window(), path)
                self.picture(page, f'{shown}-narrow')
                page.show(WIDE, 'print')
                self.picture(page, f'{shown}-print')
                page.show(WIDE)
            yield german
        self.assertEqual([], self.stage.browser.faults)

    def picture(self, page: browser.Page, name: str) -> None:
        page.picture(self.stage.pictures / f'{name}.png')

    def assert_language(self, page: browser.Page, german: bool) -> None:
        """No text of the other language, as a whole or in part."""
        spoken = page.spoken('#content_body', 'de' if german else 'en')
        self.assertTrue(spoken)
        pairs = [pair for ident, said in test_messages.texts('de').items()
                 for pair in zip(ident[1:], said, strict=True)]
        fine = {pair[german] for pair in pairs}
        wrong = []
        for foreign in {pair[not german] for pair in pairs} - fine:
            parts = [part.strip() for part
                     in re.split(r'%\(\w+\)[sd]', foreign)]
            wrong += [(foreign, text) for text in spoken
                      if text == foreign or any(
                          len(part) >= _LEAST and part in text
                          for part in parts)]
        self.assertEqual([], wrong)

    def assert_figures(self, page: browser.Page, where: str,
                       wanted: list[str | None], german: bool) -> None:
        """Both the exact figures, and what is shown of them."""
        shown = page.tab.locator(where).all()
        self.assertEqual(len(wanted), len(shown), where)
        for one, figure in zip(shown, wanted, strict=True):
            if figure is None:
                self.assertIn('–', one.inner_text())
                continue
            span = one.locator('span[title]').first
            title = span.get_attribute('title')
            self.assertEqual(decimal.Decimal(figure), read(title, german),
                             where)
            self.assert_shown(span, german)

    def assert_row(self, page: browser.Page, line: str,
                   row: dict[str, Any], german: bool) -> None:
        """Columns in kWh, and one in grams."""
        for cell, column in (('.ea-energy', 'it_kwh'),
                             ('td:nth-of-type(5)', 'facility_kwh'),
                             ('td:nth-of-type(6)', 'co2_location_kg')):
            self.assert_figures(page, f'{line} {cell}', [row[column]],
                                german)

    def assert_shown(self, span: Any, german: bool) -> None:
        """What is shown is its own title, to half of its last digit."""
        title = span.get_attribute('title')
        self.assert_near(
            span.inner_text(), browser.unit(span),
            read(title, german) * SIZES[title.partition(NO_BREAK)[2]],
            german)

    def assert_near(self, text: str, unit: str, exact: decimal.Decimal,
                    german: bool) -> None:
        """A text is a rounded figure.

        :param unit: of a text that says none.
        :param exact: in the unit that all of its kind are a multiple of.
        """
        number, _, said = text.replace(' ', NO_BREAK).partition(NO_BREAK)
        size = SIZES[said or unit]
        shown = read(number, german) * size
        if number.startswith(('<', '>')):
            self.assertLess(0, abs(exact), text)
            self.assertLess(abs(exact), abs(shown), text)
            return
        digits = number.partition(',' if german else '.')[2]
        self.assertLessEqual(abs(shown - exact),
                             size.scaleb(-len(digits)) / 2, (text, exact))

    # --- a tenant ---

    def tenant_rows(self, **query: str) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = self.stage.ask(
            'tenant', TENANT_PROJECT, '/v1/usage',
            **{**self.query, **query})['usage']
        return rows

    def test_a_tenant_sees_other_figures_than_the_api_says(self) -> None:
        (total,) = self.tenant_rows(group_by='none')
        hours = {row['start']: row for row in self.tenant_rows(
            group_by='none', resolution='hour')}
        found = sorted(self.tenant_rows(group_by='instance'),
                       key=lambda row: decimal.Decimal(row['it_kwh']),
                       reverse=True)
        self.assertEqual(5, len(found))
        (before,) = self.tenant_rows(group_by='none', **self.query_before)
        (old,) = self.tenant_rows(group_by='instance', **self.query_before)
        page = self.page('tenant', '/project/energy/')
        for german in self.look(page, PROJECT + self.days, 'project',
                                '.ea-cards'):
            for column in ('it_kwh', 'facility_kwh', 'co2_location_kg',
                           'co2_market_kg', 'peak_kw', 'water_l'):
                self.assert_figures(page, f'#ea-{column} .ea-figure',
                                    [total[column]], german)
            self.assert_before(page, total, before, german)
            self.assert_change(
                page.text(f'#ea-server-{BATCH} td:nth-of-type(4)'),
                next(row for row in found if row['instance_id'] == BATCH),
                old, german)
            self.assertEqual('neu' if german else 'new', page.text(
                f'#ea-server-{self.stage.instances["database"]} '
                'td:nth-of-type(4)'))
            self.assert_hole(page, total, german)
            for row in found:
                self.assert_row(page, f'#ea-server-{row["instance_id"]}', row,
                                german)
            self.assertEqual(
                [f'ea-server-{row["instance_id"]}' for row in found],
                [row.get_attribute('id') for row
                 in page.tab.locator('.ea-servers tbody tr').all()])
            page.tab.click('section[aria-labelledby=ea-over-time] summary')
            table = page.tab.locator(
                'section[aria-labelledby=ea-over-time] tbody tr')
            steps = [start for start, _end in units.periods(
                *(datetime.datetime.fromisoformat(self.query[edge])
                  for edge in ('start', 'end')), 'hour', units.UTC)]
            actives = table.locator('td:first-of-type').all()
            for start, cell in list(zip(steps, actives, strict=True))[::7]:
                row = hours.get(units.iso(start))
                if row is None:
                    self.assertIn('–', cell.inner_text())
                else:
                    span = cell.locator('span')
                    title = span.get_attribute('title')
                    self.assertEqual(decimal.Decimal(row['active_kwh']),
                                     read(title, german))
                    self.assert_shown(span, german)
            self.assert_names(page)
            self.assertTrue(any(EVIL in line for line
                                in page.texts('#ea-idle li')))
            self.assertEqual(2, page.count(
                'section[aria-labelledby=ea-over-time] svg[role=img]'))

    def assert_before(self, page: browser.Page, total: dict[str, Any],
                      before: dict[str, Any], german: bool) -> None:
        """The days before, and by how much of them it is more now."""
        figures = {'it_kwh': 1000, 'facility_kwh': 1000, 'peak_kw': 1000,
                   'co2_location_kg': 1000}
        for column, size in figures.items():
            text = page.text(f'#ea-{column} .ea-before').partition(': ')[2]
            if before[column] is None:
                self.assertEqual('nicht bekannt' if german else 'not known',
                                 text)
                continue
            figure, _, change = text.rstrip(')').partition(' (')
            self.assert_near(figure, '', decimal.Decimal(before[column])
                             * size, german)
            if column == 'it_kwh':
                self.assert_change(change, total, before, german)

    def assert_change(self, text: str, now: dict[str, Any],
                      before: dict[str, Any], german: bool) -> None:
        share = (decimal.Decimal(now['it_kwh'])
                 / decimal.Decimal(before['it_kwh']) - 1) * 100
        self.assertLess(abs(share), 1000)
        self.assert_near(text.lstrip('+'), '', share, german)

    def assert_hole(self, page: browser.Page, total: dict[str, Any],
                    german: bool) -> None:
        """A warning says how much of the time was measured."""
        coverage = decimal.Decimal(total['coverage']) * 100
        self.assertLess(coverage, 100)
        figure = re.search(r'[\d.,]+\s%', page.text('#ea-incomplete'))
        self.assertIsNotNone(figure)
        self.assert_near(figure.group(), '', coverage, german)

    def assert_names(self, page: browser.Page) -> None:
        """Names as they are, links where Compute knows the server."""
        database = self.stage.instances['database']
        link = page.tab.locator(f'#ea-server-{database} a')
        self.assertEqual(f'/project/instances/{database}/',
                         link.get_attribute('href'))
        self.assertEqual('database', link.inner_text())
        evil = self.stage.instances['cache']
        self.assertEqual(EVIL, page.text(f'#ea-server-{evil} a'))
        unnamed = self.stage.instances[UNNAMED]
        self.assertEqual(unnamed, page.text(f'#ea-server-{unnamed} code'))

    def test_a_month_is_another_than_the_picker_says(self) -> None:
        page = self.page('tenant', PROJECT)
        for german in self.look(page, PROJECT, 'project-month',
                                '.ea-period'):
            month = units.moment(time.time_ns()).astimezone(
                units.zone(horizon.TIME_ZONE))
            self.assertEqual(f'{month:%Y-%m}',
                             page.tab.input_value('#ea-month'))
            name = page.text('#ea-month option:checked')
            if german:
                self.assertEqual(
                    Locale('de').months['stand-alone']['wide'][month.month],
                    name.split()[0])
        # On the first days of a month the last one has figures, too.
        page.tab.select_option('#ea-month', index=2)
        page.tab.click('.ea-together button')
        page.tab.wait_for_selector('#ea-empty')
        self.assertRegex(page.tab.url, r'month=\d{4}-\d\d')

    def test_a_download_has_other_rows_than_the_api(self) -> None:
        page = self.page('tenant', PROJECT)
        page.go(PROJECT + self.days)
        text = page.download('section[aria-labelledby=ea-downloads] a')
        found = list(csv.DictReader(io.StringIO(text.decode())))
        wanted = self.tenant_rows(group_by='instance', resolution='hour')
        self.assertEqual(len(wanted), len(found))
        for row, line in zip(wanted, found, strict=True):
            self.assertEqual(
                [row['start'], row['instance_id'], row['it_kwh'],
                 row['facility_kwh'] or '', row['memory_kwh'] or ''],
                [line[name] for name in ('start', 'instance_id', 'it_kwh',
                                         'facility_kwh', 'memory_kwh')])
        names = {line['instance_id']: line['instance_name']
                 for line in found}
        self.assertEqual(EVIL, names[self.stage.instances['cache']])

    def test_a_document_is_not_that_of_the_statement(self) -> None:
        (row,) = self.stage.ask('tenant', TENANT_PROJECT, '/v1/statements',
                                period=self.stage.month)['statements']
        page = self.page('tenant', PROJECT)
        for german in (False, True):
            page.prefer(horizon_language='de' if german else 'en')
            page.go(PROJECT)
            line = f'#ea-statements tr:has(a[href*="{row["id"]}"])'
            self.assert_figures(page, f'{line} .ea-energy',
                                [row['it_kwh']], german)
            of = f'{line} a[href$=".{{}}"]'.format
            self.assertTrue(page.download(of('pdf')).startswith(b'%PDF-'))
            text = page.download(of('csv')).decode()
            # Each line is rounded, far below a microjoule.
            self.assertLess(abs(decimal.Decimal(row['it_kwh']) - sum(
                decimal.Decimal(one['it_kwh'])
                for one in csv.DictReader(io.StringIO(text)))),
                decimal.Decimal('1e-13'))
            words = page.download(of('html')).decode()
            self.assertIn(f'lang="{"de" if german else "en"}"', words)
            answer = page.tab.request.get(
                self.stage.browser.url
                + page.tab.get_attribute(of('html'), 'href'))
            self.assertEqual(
                ('attachment; filename="energy-statement-'
                 f'{row["id"]}.html"', 'nosniff'),
                tuple(answer.headers[name] for name in (
                    'content-disposition', 'x-content-type-options')))
        # Of another project there is no document, and no word of it.
        foreign = next(one for one in self.ask(
            '/v1/statements', all_projects='true')['statements']
            if one['project_id'] == self.stage.projects['weather'])
        answer = page.tab.request.get(
            f'{self.stage.browser.url}{PROJECT}statements/{foreign["id"]}.csv')
        self.assertEqual(404, answer.status)
        self.assertNotIn('kwh', answer.text())

    def test_nothing_is_shown_as_0_or_not_explained(self) -> None:
        page = self.page('newcomer', PROJECT)
        for _german in self.look(page, PROJECT, 'project-empty',
                                 '#ea-empty'):
            self.assertEqual(3, page.count('#ea-empty li'))
            self.assertEqual(0, page.count('.ea-card'))

    def test_a_form_that_means_nothing_ends_in_an_error_page(self) -> None:
        page = self.page('tenant', PROJECT)
        for _german in self.look(
                page, PROJECT + '?from=2026-02-30&to=2026-02-01',
                'project-refused', '.alert-warning'):
            self.assertEqual(0, page.count('.ea-card'))

    def test_a_service_that_is_away_is_shown_as_0(self) -> None:
        page = self.page('tenant', PROJECT)
        operator = self.page('operator', PROJECT)
        self.stage.api.kill()
        try:
            for _german in self.look(page, PROJECT, 'project-away',
                                     '#ea-failure'):
                self.assertEqual(0, page.count('.ea-card'))
                self.assertNotIn('kWh', page.text('.ea'))
            for tab in ('', 'projects/', 'hosts/', 'sites/', 'statements/',
                        'exports/', 'quarantine/'):
                operator.go(ADMIN + tab)
                self.assertTrue(operator.text('#ea-failure'))
                self.assertEqual(0, operator.count('.ea table'))
        finally:
            self.stage.api.start()

    def test_a_tenant_is_shown_what_only_operators_may(self) -> None:
        page = self.page('tenant', PROJECT)
        self.assertEqual(1, page.count('#sidebar a[href="/project/energy/"]'))
        self.assertEqual(0, page.count('#sidebar a[href="/admin/energy/"]'))
        page.go(ADMIN)
        self.assertEqual(0, page.count('.ea'))
        operator = self.page('operator', PROJECT)
        self.assertEqual(1, operator.count(
            '#sidebar a[href="/admin/energy/"]'))

    # --- an operator ---

    def ask(self, path: str, **query: str) -> dict[str, Any]:
        return self.stage.ask('operator', 'operations', path, **query)

    def test_the_balance_is_not_that_of_the_api(self) -> None:
        sheet = self.ask('/v1/balance', **self.query)['balance']
        page = self.page('operator', PROJECT)
        for german in self.look(page, ADMIN + self.days, 'admin-balance',
                                '#ea-sheet'):
            self.assert_figures(
                page, '#ea-sheet .ea-level-0 td:nth-of-type(1)',
                [sheet['measured_kwh'], sheet['difference_kwh']], german)
            self.assert_figures(
                page, '#ea-sheet .ea-level-1 td:nth-of-type(1)',
                [sheet[f'{side}_kwh'] for side in (
                    'instance', 'service', 'unallocated', 'quarantined')],
                german)
            self.assertEqual(len(sheet['gaps']),
                             page.count('#ea-gaps tbody tr'))
            self.assertEqual(1, page.count('svg.ea-flow'))
        self.assertTrue(sheet['gaps'])

    def test_books_that_do_not_balance_look_as_if_they_did(self) -> None:
        day = self.stage.first - datetime.timedelta(days=1)
        sheet = self.ask('/v1/balance', **self.asked(day, 1))['balance']
        self.assertEqual(str(FAULT_UJ), sheet['difference_uj'])
        page = self.page('operator', PROJECT)
        for german in (False, True):
            page.prefer(horizon_language='de' if german else 'en')
            page.go(f'{ADMIN}?from={day}&to={day}')
            self.assertIn('2,000 Wh' if german else '2.000 Wh', page.text(
                '#ea-unbalanced').replace(NO_BREAK, ' '))
            self.assertEqual([], page.violations('.ea', HORIZONS))
        page.go(ADMIN + self.days)
        self.assertEqual(0, page.count('#ea-unbalanced'))

    def test_projects_are_ranked_by_something_else(self) -> None:
        found = self.ask('/v1/usage', group_by='project',
                         all_projects='true', **self.query)['usage']
        wanted = sorted((row for row in found if row['project_id']
                         in self.stage.projects.values()),
                        key=lambda row: -decimal.Decimal(row['it_kwh']))
        self.assertEqual(4, len(wanted))
        names = {ident: name for name, ident in self.stage.projects.items()}
        page = self.page('operator', PROJECT)
        for german in self.look(page, ADMIN + 'projects/' + self.days,
                                'admin-projects', '#ea-projects'):
            for row in wanted:
                line = f'#ea-project-{row["project_id"]}'
                self.assert_row(page, line, row, german)
                self.assertEqual(names[row['project_id']],
                                 page.text(f'{line} th'))
            order = [row.get_attribute('id').rpartition('-')[2] for row
                     in page.tab.locator('#ea-projects tbody tr').all()]
            self.assertEqual(
                [row['project_id'] for row in wanted],
                [ident for ident in order if ident in names])

    def test_a_host_is_in_another_state(self) -> None:
        answers = [self.hosts()]
        page = self.page('operator', PROJECT)
        for german in self.look(page, ADMIN + 'hosts/', 'admin-hosts',
                                '#ea-hosts'):
            # The last 24 hours are others when a quarter of an hour is over.
            answers.append(self.hosts())
            rows = page.tab.locator('#ea-hosts tbody tr').all()
            self.assertEqual(4, len(rows))
            for row in rows:
                name = row.locator('th').inner_text()
                power = row.locator('td:nth-of-type(7) span').first
                self.assertEqual(
                    decimal.Decimal(answers[0][name]['idle_power_w']),
                    read(power.get_attribute('title'), german))
                self.assert_shown(power, german)
                self.assertIn(
                    read(row.locator('td:nth-of-type(5)').inner_text(),
                         german),
                    {decimal.Decimal(answer[name]['coverage']) * 100
                     for answer in answers})

    def hosts(self) -> dict[str, Any]:
        return {host['name']: host for host
                in self.ask('/v1/hosts')['hosts']}

    def test_a_key_figure_is_not_the_one_of_the_site(self) -> None:
        found = self.ask('/v1/sites/machine-room/kpis')['kpis']
        page = self.page('operator', PROJECT)
        for german in self.look(page, ADMIN + 'sites/', 'admin-sites',
                                '#ea-figures'):
            self.assertEqual('machine-room',
                             page.tab.input_value('#ea-site'))
            self.assert_figures(page, '#ea-figures td:nth-of-type(1)',
                                [row['value'] for row in found], german)
            self.assertEqual(4, page.count('.ea-course-of'))
            self.assertEqual(12, page.tab.locator('.ea-course-of').first
                             .locator('tbody tr').count())

    def test_a_record_in_quarantine_is_not_shown(self) -> None:
        (record,) = self.ask('/v1/quarantine')['quarantine']
        page = self.page('operator', PROJECT)
        for _german in self.look(page, ADMIN + 'quarantine/',
                                 'admin-quarantine', '#ea-records'):
            self.assertEqual([str(record['id'])],
                             page.texts('#ea-records tbody th'))
            self.assertIn(record['reason'], page.text('#ea-records tbody'))
        page.go(ADMIN + 'quarantine/?state=released')
        self.assertTrue(page.text('#ea-empty'))

    def test_a_statement_is_in_another_state(self) -> None:
        rows = {row['id']: row for row in self.ask(
            '/v1/statements', all_projects='true')['statements']}
        self.assertEqual({'final', 'provisional'},
                         {row['state'] for row in rows.values()})
        states = {'final': ('final', 'endgültig'),
                  'provisional': ('provisional', 'vorläufig')}
        page = self.page('operator', PROJECT)
        for german in self.look(page, ADMIN + 'statements/',
                                'admin-statements', '#ea-statements'):
            self.assertEqual(len(rows), page.count(
                '#ea-statements tbody tr'))
            for ident, row in rows.items():
                line = f'#ea-statements tr:has(a[href*="{ident}"])'
                self.assertEqual(states[row['state']][german], page.text(
                    f'{line} td:nth-of-type(3)'))
                self.assert_figures(page, f'{line} .ea-energy',
                                    [row['it_kwh']], german)
        self.assertTrue(page.download(
            '#ea-statements a[href$=".pdf"] >> nth=0').startswith(b'%PDF-'))

    def test_an_export_that_failed_looks_sent(self) -> None:
        rows = self.ask('/v1/exports')['exports']
        self.assertEqual(set(exports.STATES), {row['state'] for row in rows})
        page = self.page('operator', PROJECT)
        for german in self.look(page, ADMIN + 'exports/', 'admin-exports',
                                '#ea-exports'):
            self.assertEqual(
                [f'ea-export-{row["id"]}' for row in reversed(rows)],
                [row.get_attribute('id') for row
                 in page.tab.locator('#ea-exports tbody tr').all()])
            for row in rows:
                line = page.text(f'#ea-export-{row["id"]} td:nth-of-type(3)')
                self.assertIn(EXPORT_STATES[row['state']][german], line)
                self.assertIn(row['error'] or '', line)
        (failed,) = (row for row in rows if row['state'] == 'failed')
        page.go(ADMIN + 'exports/?state=failed')
        self.assertEqual(1, page.count('#ea-exports tbody tr'))
        self.assertIn(failed['error'], page.text('#ea-exports'))

    # --- last, because the service is not there any more ---

    def test_z_a_panel_is_shown_where_there_is_no_service(self) -> None:
        service = self.stage.admin.call(
            'GET', f'services?type={KIND}')['services'][0]['id']
        for endpoint in self.stage.admin.call(
                'GET', f'endpoints?service_id={service}')['endpoints']:
            if endpoint['region_id'] == self.stage.region:
                self.stage.admin.call('DELETE',
                                      f'endpoints/{endpoint["id"]}')
        page = self.page('operator', '/project/api_access/')
        self.assertEqual(0, page.count('#sidebar a[href$="/energy/"]'))
        # It is no empty side bar.
        self.assertEqual(1, page.count(
            '#sidebar a[href="/project/api_access/"]'))
