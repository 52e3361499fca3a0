# SPDX-License-Identifier: Apache-2.0
"""From counters to the ledger, over any life: the difference is 0.

A host lives, is read, attributed, windowed, spooled, sent and booked into
SQLite by the real parts.  In between processes are killed, calls fail
before or after the commit, answers and files are lost, records are torn,
the host reboots.  What its counters emitted is in the ledger to the
microjoule; only a reboot may cost the window that was open, and says so.
"""

import collections
import os
import pathlib
import tempfile

from hypothesis import event, given
from hypothesis import strategies as st

from energy_accounting import (
    collector,
    errors,
    notifier,
    rpc,
    signing,
    units,
)
from energy_accounting import sender as senders
from energy_accounting.ledger import models
from tests.unit import booking, fuzz
from tests.unit import test_notifier as fake
from tests.unit.ledger import sums

SIGNER = signing.Signer.new()
EVENTS = st.lists(st.tuples(st.sampled_from([
    'live', 'live', 'live', 'send', 'send', 'kill', 'kill', 'torn', 'flush',
    'outage', 'no_answer', 'forget', 'dark', 'blind', 'reboot', 'meta']),
    st.integers(0, 40)), min_size=1, max_size=14)


class Life:
    """One host with its notifier, and the collector it talks to."""

    def __init__(self, path, database):
        self.machine = fake.Machine()
        self.database = database
        self.settings = notifier.Settings(
            host='h', state_path=path, idle_power_uw=20_000_000)
        self.spool = None
        self.sent = 0
        self.lost_uj = collections.Counter()
        self.reboots = 0
        self.failure = None
        self.start()
        self.notifier.step()

    def start(self):
        if self.spool is not None:
            self.spool.close()
        self.spool = notifier.open_spool(self.settings, 'machine-1',
                                         SIGNER.key, fsync=False)
        machine = self.machine
        self.notifier = notifier.Notifier(
            self.settings, machine, fake.Meter(machine),
            fake.Guests(machine), fake.Host(machine), self.spool,
            fake.POLICY)
        self.sender = senders.Sender(self.spool, self.call, SIGNER.sign,
                                     machine)
        self.booking = collector.Collector(
            self.database, None, machine.wall_ns)

    def call(self, batch):
        failure, self.failure = self.failure, None
        if failure == 'outage':
            raise errors.Unavailable('away')
        answer = self.booking.book({}, [list(one) for one in batch])
        self.sent = max(self.sent, self.spool.newest)
        if failure == 'no_answer':
            raise errors.Unavailable('the answer was lost')
        return rpc.Reply(tuple(answer['results']), answer['expects'])

    def send(self, failure=None):
        self.failure = failure
        try:
            self.sender.send_pending()
        except errors.Unavailable:
            event('a call failed')

    def live(self, steps):
        for _ in range(steps):
            self.machine.advance(5)
            self.notifier.step()

    def happen(self, what, much):
        if what in ('live', 'kill', 'torn', 'reboot'):
            self.live(much)
        if what == 'kill':
            self.machine.advance(much)
            self.start()
        elif what == 'torn' and self.spool.newest > self.sent:
            # Nobody had been told of it yet.
            *_, last = sorted(self.settings.spool_path.glob('*.seg'))
            os.truncate(last, last.stat().st_size - 1 - much)
            self.start()
        elif what == 'flush':
            self.notifier.flush()
        elif what in ('send', 'outage', 'no_answer'):
            self.send(None if what == 'send' else what)
        elif what == 'forget':
            (self.settings.spool_path / 'acknowledged').unlink(
                missing_ok=True)
            self.start()
        elif what == 'meta':
            if self.spool.newest:
                (self.settings.spool_path / 'meta.json').write_bytes(b'{')
            self.start()
        elif what in ('dark', 'blind'):
            # A while without a zone, or without guests.
            self.machine.dark_zone = 'package-0' if what == 'dark' else None
            self.machine.guests_error = OSError() if what == 'blind' else None
            self.live(much)
            self.machine.dark_zone = self.machine.guests_error = None
            self.live(1)
        elif what == 'reboot':
            self.reboot(much)

    def reboot(self, much):
        state = self.spool.last_state()
        machine = self.machine
        machine.advance(much)
        self.reboots += 1
        machine.boot = f'boot-{self.reboots + 1}'
        machine.booted_ns = machine.now_ns - units.NS_PER_S
        machine.cpu_ns = 0
        for zone in state['baseline']['reading']['zones']:
            self.lost_uj[zone['zone']] += (
                machine.emitted_uj[zone['zone']] - zone['counter_uj']
            ) % fake.RANGE_UJ
        self.start()
        self.notifier.step()

    def end(self):
        self.live(2)
        self.notifier.flush()
        self.send()
        self.spool.close()


class Pipeline(booking.BookingCase):

    def booked_uj(self):
        found = collections.Counter()
        for row in self.rows(models.zone_buckets):
            found[row.zone] += row.energy_uj
        return found

    @fuzz.settings(30)
    @given(EVENTS)
    def test_a_joule_is_lost_or_doubled_on_its_way_to_the_ledger(self,
                                                                 events):
        sums.empty(self.database)
        with tempfile.TemporaryDirectory() as folder:
            life = Life(pathlib.Path(folder), self.database)
            for what, much in events:
                life.happen(what, much)
            life.end()
        self.assertEqual(life.machine.emitted_uj,
                         self.booked_uj() + life.lost_uj)
        found = sums.sums(self.database)
        self.assertEqual((found.zones, found.zones, 0),
                         (found.accounts, found.projects,
                          found.quarantined))
        # What is lost is stated, and nothing else is.
        self.assertEqual(
            {'reboot'} if life.reboots else set(),
            {row.reason for row in self.rows(models.gaps)})
