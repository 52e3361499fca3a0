# SPDX-License-Identifier: Apache-2.0
"""The whole way of a joule on real components.

Real RabbitMQ, MariaDB, Keystone, libvirt and QEMU guests (idle, half busy,
busy) of two projects.  The counters are a powercap tree that follows this
machine's real CPU use.  Two regions measure the same guests at the same
time: ``one`` through libvirt with Nova's metadata, ``two`` through procfs
alone, with owners from a listing that a real Nova gave.

The counters stand still until both have booked a first window, move for
``EA_ACCEPTANCE_SECONDS`` (60), and are held again: so the ledger must
have exactly what the counters moved.  The guests run only then: before and
after, the processors are for those who make ready and who look.
``EA_ACCEPTANCE_KEEP`` names a directory that gets the logs and figures of
the run.
"""

from __future__ import annotations

import concurrent.futures
import datetime
import json
import os
import pathlib
import shutil
import subprocess
import time
import unittest
from collections.abc import Callable, Iterator
from typing import Any

from energy_accounting import client, units
from tests import quiet, servers
from tests.acceptance import cloud, guests, keystone, nova, powercap
from tests.functional import base

SECONDS = int(os.environ.get('EA_ACCEPTANCE_SECONDS', '60'))
# As an operator has them when there is time for it.
TICK_SECONDS, WINDOW_SECONDS = (5, 60) if SECONDS >= 300 else (1, 10)
REFRESH_SECONDS = 10
BASIS = ('package', 'dram')
PERIOD = ('--start', '-24h', '--end', 'now')
REGIONS = ('one', 'two')


def until(ready: Callable[[], Any], seconds: float, what: str) -> Any:
    """Ask until there is an answer.

    :raises TimeoutError: when there is none in time.
    """
    deadline = time.monotonic() + seconds
    while True:
        found = ready()
        if found:
            return found
        if time.monotonic() > deadline:
            raise TimeoutError(f'{what}: not within {seconds} s')
        time.sleep(0.5)


class Run:
    """One measurement, start to end; the tests look at what it left."""

    def __init__(self, test: unittest.TestCase,
                 where: pathlib.Path) -> None:
        self.test = test
        self.where = where
        self.figures: dict[str, Any] = {}
        begun = time.monotonic()
        self._start(test)
        self._measure()
        self._look()
        self._stop_cleanly()
        self.seconds = time.monotonic() - begun

    # --- before ---

    def _start(self, test: unittest.TestCase) -> None:
        self.libvirt = base.required(test, 'EA_TEST_LIBVIRT_URI')
        self.keystone = keystone.shared()
        self.cloud = keystone.seeded(self.keystone, REGIONS)
        self.guests = [
            guests.Guest(name, percent, self.cloud.projects[project],
                         project)
            for name, percent, project in (
                ('idle', 0, 'alice'), ('half', 50, 'alice'),
                ('busy', 100, 'bob'))]
        self.nova = nova.Replay(self.guests)
        test.addCleanup(self.nova.stop)
        self.cloud.endpoint('compute', 'two', f'{self.nova.url}/v2.1')
        self.tree = powercap.Tree(self.where / 'sys', align=TICK_SECONDS)
        test.addCleanup(self.tree.stop)
        for guest in self.guests:
            self._boot(guest)
        # Not only for now: a process ends with the thread that started it.
        pool = test.enterContext(concurrent.futures.ThreadPoolExecutor())
        one = pool.submit(
            self._region, 'one', 'guests = libvirt',
            f'uri = {base.required(test, "EA_TEST_LIBVIRT_URI_RO")}')
        # No libvirt there: what it would connect to does not exist.
        two = pool.submit(
            self._region, 'two', 'guests = procfs',
            f'uri = qemu+unix:///system?socket={self.where}/none')
        self.regions = {'one': one.result(), 'two': two.result()}
        for name, region in self.regions.items():
            self.cloud.endpoint('energy-accounting', name, region.url)
            region.meter()
        self.users = {
            (region, user): cloud.Openstack(
                self.where, OS_REGION_NAME=region,
                **self.keystone.login(user, project))
            for region in REGIONS for user, project in (
                ('admin', 'admin'), ('alice-reader', 'alice'),
                ('bob-reader', 'bob'))}
        # For what is asked over and over: a command takes seconds to start.
        self.apis = {
            (region, user): client.Client(
                self.keystone.session(user, project),
                endpoint_override=self.regions[region].url)
            for region in REGIONS for user, project in (
                ('admin', 'admin'), ('alice-reader', 'alice'))}

    def _boot(self, guest: guests.Guest) -> None:
        path = self.where / f'{guest.name}.xml'
        path.write_text(guest.domain(guest.image(self.where)))
        self._virsh('define', str(path))
        self.test.addCleanup(self._virsh, 'undefine', guest.instance_id)
        self._virsh('start', '--paused', guest.instance_id)
        self.test.addCleanup(self._virsh, 'destroy', guest.instance_id)

    def _each_guest(self, command: str) -> None:
        for guest in self.guests:
            self._virsh(command, guest.instance_id)

    def _virsh(self, *words: str) -> None:
        done = subprocess.run(
            [servers.program('virsh'), '-q', '-c', self.libvirt, *words],
            capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f'virsh {" ".join(words)}: {done.stderr}')

    def _region(self, name: str, source: str, libvirt: str) -> cloud.Region:
        auth = self.keystone.settings('energy-accounting')
        watts = powercap.PACKAGES * powercap.IDLE_UW // units.UJ_PER_J
        region = cloud.Region(self.where, name, {
            'DEFAULT': f'host = compute-1\n'
                       f'state_path = {self.where}/state-{name}\n'
                       f'transport_url = {base.rabbit_url(self.test)}\n',
            'database': f'connection = {base.mysql_url(self.test)}'
                        '?charset=utf8mb4\n',
            'notifier': f'meters = rapl\n{source}\n'
                        f'tick_seconds = {TICK_SECONDS}\n'
                        f'window_seconds = {WINDOW_SECONDS}\n'
                        f'idle_power_watts = {watts}\n'
                        f'sysfs_path = {self.tree.root}\n',
            'libvirt': libvirt,
            'collector': 'workers = 1\n'
                         f'owners_refresh_seconds = {REFRESH_SECONDS}\n',
            # Others run beside: Keystone is only the stage and may be slow.
            'keystone_authtoken':
                f'{auth}www_authenticate_uri = {self.keystone.url}\n'
                'http_connect_timeout = 60\n',
            'service_auth': auth,
            **({'nova': f'{auth}region_name = {name}\n'}
               if name == 'two' else {})})
        self.test.addCleanup(self._end, region)
        region.start()
        return region

    def _end(self, region: cloud.Region) -> None:
        region.stop()
        keep = os.environ.get('EA_ACCEPTANCE_KEEP')
        if keep:
            kept = pathlib.Path(keep)
            kept.mkdir(parents=True, exist_ok=True)
            shutil.copy(region.log, kept)
            shutil.copy(self.tree.log, kept)
            (kept / 'figures.json').write_text(
                json.dumps(self.figures, indent=2) + '\n')

    # --- during ---

    def _measure(self) -> None:
        for region in REGIONS:
            until(lambda region=region: self._booked_ns(region), 120,
                  f'a first window of region {region}')
        with quiet.alone():
            self._each_guest('resume')
            with concurrent.futures.ThreadPoolExecutor() as pool:
                list(pool.map(guests.Guest.await_load, self.guests))
            self.begin = self.tree.go()
            before = {guest.name: guest.cpu_ns() for guest in self.guests}
            time.sleep(SECONDS)
            self.end = self.tree.hold()
            self.cpu_ns = {guest.name: guest.cpu_ns() - before[guest.name]
                           for guest in self.guests}
            self._each_guest('suspend')
        self._await_booked(self.end['wall_ns'])
        until(lambda: len(list(self.apis['two', 'alice-reader'].usage(
            group_by='instance', resolution='total').rows())) >= 2,
            60, "owners from Nova's list")

    def _await_booked(self, wall_ns: int) -> None:
        for region in REGIONS:
            until(lambda region=region: self._booked_ns(region) > wall_ns,
                  WINDOW_SECONDS + 60, f'the last window of {region}')

    def _booked_ns(self, region: str) -> int:
        """The end of the last window that is booked; 0 for none."""
        ends = [row['last_window_end']
                for row in self.apis[region, 'admin'].hosts().rows()
                if row['last_window_end']]
        return units.wall_ns(
            datetime.datetime.fromisoformat(max(ends))) if ends else 0

    # --- after ---

    def user(self, region: str, name: str) -> cloud.Openstack:
        return self.users[region, name]

    def _look(self) -> None:
        """What everybody sees, asked at once."""
        def ask(region: str, name: str, *words: str) -> Any:
            return self.user(region, name).energy(*words, *PERIOD)

        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            asked = {}
            for region in REGIONS:
                for name in ('alice-reader', 'bob-reader'):
                    asked[region, name] = pool.submit(
                        ask, region, name, 'usage', 'list')
                asked[region, 'balance'] = pool.submit(
                    ask, region, 'admin', 'balance', 'show')
                asked[region, 'accounts'] = pool.submit(
                    ask, region, 'admin', 'usage', 'list', '--all-projects',
                    '--group-by', 'account')
            self.seen = {key: future.result()
                         for key, future in asked.items()}
        self.figures.update({
            'seconds': SECONDS, 'begin': self.begin, 'end': self.end,
            'cpu_ns': self.cpu_ns,
            **{' '.join(key): value for key, value in self.seen.items()}})

    def _stop_cleanly(self) -> None:
        """Move a little more, hold, and stop before the window ends."""
        self._each_guest('resume')
        self.tree.go()
        time.sleep(2 * TICK_SECONDS)
        self.last = self.tree.hold()
        self.status = {region: self.regions[region].end_metering()
                       for region in REGIONS}
        self.final = {region: self.user(region, 'admin').energy(
            'balance', 'show', *PERIOD) for region in REGIONS}
        self.figures['last'] = self.last
        self.figures['final'] = self.final

    def expected_active_uj(self, name: str) -> int:
        """The guest's CPU share of the energy above the idle draw."""
        return (self.end['dynamic_uj'] * self.cpu_ns[name]
                // self.end['busy_ns'])

    def active_uj(self, region: str, name: str) -> int:
        """What the ledger has of it."""
        guest = next(guest for guest in self.guests if guest.name == name)
        return sum(units.microjoules(row['active_kwh'])
                   for user in ('alice-reader', 'bob-reader')
                   for row in self.seen[region, user]
                   if row['instance_id'] == guest.instance_id)


def moved_uj(truth: dict[str, Any]) -> int:
    """What the counters of the basis moved in all."""
    return sum(zone['total_uj'] for zone in truth['zones'].values()
               if zone['name'].split('-')[0] in BASIS)


class CloudTest(unittest.TestCase):

    run_: Run

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        # What the run starts is stopped in the reverse order, also when
        # it fails half way.
        holder = unittest.TestCase()
        cls.addClassCleanup(holder.doCleanups)
        cls.run_ = Run(holder, holder.enterContext(servers.directory()))

    def each(self) -> Iterator[str]:
        for region in REGIONS:
            with self.subTest(region):
                yield region

    def test_a_tenant_sees_its_own_servers_and_nobody_elses(self):
        for region in self.each():
            for project in ('alice', 'bob'):
                own = {guest.instance_id for guest in self.run_.guests
                       if guest.project_name == project}
                rows = self.run_.seen[region, f'{project}-reader']
                self.assertEqual(own, {row['instance_id'] for row in rows})

    def test_a_tenants_answer_names_no_host(self):
        for region in self.each():
            for user in ('alice-reader', 'bob-reader'):
                answer = json.dumps(self.run_.seen[region, user])
                self.assertNotIn('compute-1', answer)

    def test_the_balance_is_what_the_counters_moved(self):
        moved = moved_uj(self.run_.end)
        self.assertGreater(moved, 0)
        for region in self.each():
            sheet = self.run_.seen[region, 'balance']
            self.assertEqual(str(moved), sheet['measured_uj'])
            self.assertEqual('0', sheet['difference_uj'])
            self.assertEqual('0', sheet['quarantined_uj'])
            self.assertEqual([], sheet['gaps'])

    def test_counters_wrapped_meanwhile(self):
        # Else the test above would not show that a wrap is exact.
        for zone in self.run_.end['zones'].values():
            if zone['name'].startswith('package'):
                self.assertGreater(zone['wraps'], 0)

    def test_accounts_and_balance_agree_to_the_microjoule(self):
        for region in self.each():
            booked = sum(units.microjoules(row['it_kwh'])
                         for row in self.run_.seen[region, 'accounts'])
            self.assertEqual(moved_uj(self.run_.end), booked)

    def test_active_energy_follows_the_measured_cpu_share(self):
        for region in self.each():
            for name in ('half', 'busy'):
                expected = self.run_.expected_active_uj(name)
                active = self.run_.active_uj(region, name)
                self.assertLessEqual(
                    abs(active - expected) * 100, expected,
                    f'{name}: {active} uJ booked, {expected} uJ by its CPU '
                    'share')

    def test_energy_follows_the_load(self):
        for region in self.each():
            idle, half, busy = (self.run_.active_uj(region, name)
                                for name in ('idle', 'half', 'busy'))
            self.assertLess(idle * 5, half)
            self.assertLess(half * 5, busy * 4)

    def test_the_last_window_is_booked_at_a_clean_stop(self):
        moved = moved_uj(self.run_.last)
        self.assertGreater(moved, moved_uj(self.run_.end))
        for region in self.each():
            self.assertEqual(0, self.run_.status[region])
            self.assertEqual(str(moved),
                             self.run_.final[region]['measured_uj'])
            self.assertEqual('0', self.run_.final[region]['difference_uj'])

    def test_owners_came_from_the_listing_and_by_few_requests(self):
        listed = [path for path in self.run_.nova.requests
                  if 'servers/detail' in path and 'deleted' not in path
                  and 'marker' not in path]
        self.assertTrue(listed)
        # One for each refresh at most, however many guests are unknown
        # (others may run on this machine).
        self.assertLessEqual(
            len(listed), self.run_.seconds / REFRESH_SECONDS + 1)
        flavors = self.run_.user('two', 'bob-reader').energy(
            'usage', 'list', *PERIOD, '--group-by', 'flavor')
        recorded = self.run_.nova.recorded['listing']['servers'][0]
        self.assertIn(recorded['flavor']['original_name'],
                      {row['flavor'] for row in flavors})

    def test_another_project_is_refused_in_one_line(self):
        done = self.run_.user('one', 'alice-reader').run(
            'energy', 'usage', 'list', '--project',
            self.run_.cloud.projects['bob'])
        self.assertEqual(1, done.returncode)
        self.assertEqual(1, len(done.stderr.splitlines()), done.stderr)
        self.assertEqual('', done.stdout)

    def test_a_tenant_may_not_see_the_balance_or_the_hosts(self):
        for words in (('balance', 'show'), ('host', 'list')):
            done = self.run_.user('one', 'alice-reader').run(
                'energy', *words)
            self.assertEqual(1, done.returncode)
            self.assertEqual(1, len(done.stderr.splitlines()), done.stderr)

    def test_an_administrator_names_a_project(self):
        rows = self.run_.user('one', 'admin').energy(
            'usage', 'list', *PERIOD, '--project', 'bob')
        self.assertEqual(self.run_.seen['one', 'bob-reader'][0]
                         ['instance_id'], rows[0]['instance_id'])

    def test_an_application_credential_is_enough(self):
        # Keystone is only the stage here: on a busy machine it has denied
        # for a moment that the user has the role of the user's own token.
        for attempt in range(5):
            made = self.run_.user('one', 'alice-reader').run(
                'application', 'credential', 'create', f'reader-{attempt}',
                '-f', 'json')
            if 'Could not find role assignment' not in made.stderr:
                break
        self.assertEqual(0, made.returncode, made.stderr)
        secret = {name.lower(): value
                  for name, value in json.loads(made.stdout).items()}
        user = cloud.Openstack(
            self.run_.where, OS_REGION_NAME='one',
            OS_AUTH_TYPE='v3applicationcredential',
            OS_AUTH_URL=self.run_.keystone.url,
            OS_APPLICATION_CREDENTIAL_ID=secret['id'],
            OS_APPLICATION_CREDENTIAL_SECRET=secret['secret'])
        rows = user.energy('usage', 'list', *PERIOD)
        self.assertEqual(
            {row['instance_id']
             for row in self.run_.seen['one', 'alice-reader']},
            {row['instance_id'] for row in rows})
