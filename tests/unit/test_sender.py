# SPDX-License-Identifier: Apache-2.0
"""Every record reaches the collector once, in order, whatever happens."""

import collections
import contextlib
import pathlib
import random
import shutil
import threading

import fixtures
import sqlalchemy as sa
from oslotest import base

from energy_accounting import collector, errors, rpc, samples, wire
from energy_accounting import sender as senders
from energy_accounting import spool as spools
from energy_accounting.ledger import models, purge
from tests.unit import records

SECOND_NS = 10 ** 9
WINDOW_NS = 60 * SECOND_NS


class Ledger:
    """A collector that keeps what it booked and can be disturbed.

    It has the rules of the real one: the next number, or a duplicate, or
    out of order.
    """

    def __init__(self):
        self.booked = []
        self.calls = []
        self.failures = []

    @property
    def expects(self):
        return self.booked[-1][1] + 1 if self.booked else 1

    def __call__(self, sent):
        self.calls.append(len(sent))
        failure = self.failures.pop(0) if self.failures else None
        if failure == 'before':
            raise errors.Unavailable('away')
        results = [self.take(record.payload) for record in sent]
        if failure == 'after':
            raise errors.Unavailable('the answer was lost')
        return rpc.Reply(tuple(results), self.expects)

    def take(self, payload):
        if payload.startswith('{'):
            lost = wire.from_payload(payload)
            first, last = lost.sequence, lost.last
        else:
            first = last = int(payload)
        if last < self.expects:
            return samples.DUPLICATE
        if first != self.expects:
            return samples.OUT_OF_ORDER
        self.booked.append((first, last))
        return samples.BOOKED

    def restore(self, count):
        """The database as it was when it had that many records."""
        del self.booked[count:]


class Clock:
    """Time that passes only while somebody waits.

    ``at`` holds what happens at which wait.
    """

    def __init__(self):
        self.now_ns = 1_790_000_000 * SECOND_NS
        self.waits = []
        self.at = {}

    def wall_ns(self):
        return self.now_ns

    def boottime_ns(self):
        return self.now_ns

    def wait(self, event, delay_ns):
        number = len(self.waits)
        self.waits.append(delay_ns)
        self.at.pop(number, lambda: None)()
        if not event.is_set():
            self.now_ns += delay_ns
        if number > 1000:
            raise AssertionError('waits for ever')
        return event.is_set()


class SenderCase(base.BaseTestCase):

    def setUp(self):
        super().setUp()
        self.log = self.useFixture(fixtures.FakeLogger('energy_accounting'))
        self.clock = Clock()
        self.ledger = Ledger()
        self.spool = self.open()
        self.sender = self.make()

    def open(self, **options):
        path = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        spool = spools.Spool.open(path / 'spool', 'h', 'm', 'k', fsync=False,
                                  **options)
        self.addCleanup(spool.close)
        return spool

    def make(self):
        return senders.Sender(self.spool, self.ledger,
                              records.SIGNER.sign, self.clock,
                              window_ns=WINDOW_NS, chance=lambda: 1.0)

    def fill(self, count):
        for _ in range(count):
            number = self.spool.next_sequence
            self.spool.append(str(number), {}, self.clock.now_ns)

    def assert_booked(self, last):
        self.assertEqual([(n, n) for n in range(1, last + 1)],
                         self.ledger.booked)


class TestSending(SenderCase):

    def test_everything_is_booked_once_in_batches(self):
        self.fill(150)
        self.assertEqual(150, self.sender.send_pending())
        self.assert_booked(150)
        self.assertEqual([1, 60, 60, 29], self.ledger.calls)
        self.assertEqual(0, self.sender.send_pending())
        self.assertEqual(4, len(self.ledger.calls))

    def test_acknowledged_records_are_not_sent_after_a_restart(self):
        self.fill(3)
        self.sender.send_pending()
        self.fill(1)
        self.ledger.calls.clear()
        self.make().send_pending()
        self.assertEqual([1], self.ledger.calls)
        self.assert_booked(4)

    def test_failed_call_is_sent_again(self):
        self.fill(3)
        self.ledger.failures = ['before']
        self.assertRaises(errors.Unavailable, self.sender.send_pending)
        self.sender.send_pending()
        self.assert_booked(3)

    def test_lost_answer_books_nothing_twice(self):
        self.fill(3)
        self.ledger.failures = ['after']
        self.assertRaises(errors.Unavailable, self.sender.send_pending)
        self.assertEqual(0, self.spool.acknowledged)
        self.fill(1)
        self.sender.send_pending()
        self.assert_booked(4)

    def test_restored_database_gets_everything_again(self):
        self.fill(100)
        self.sender.send_pending()
        self.ledger.restore(20)
        self.fill(1)
        self.sender.send_pending()
        self.assert_booked(101)

    def test_lost_acknowledgement_file_books_nothing_twice(self):
        self.fill(100)
        self.sender.send_pending()
        self.spool.acknowledge(0)
        self.fill(1)
        self.make().send_pending()
        self.assert_booked(101)

    def test_records_that_are_gone_are_reported_lost_in_one(self):
        self.spool = self.open(segment_bytes=400, keep_hours=0)
        self.sender = self.make()
        self.fill(30)
        self.sender.send_pending()
        self.spool.purge(self.clock.now_ns + 1)
        oldest = wire.from_payload(
            self.spool.records(1, 1)[0].payload).last + 1
        self.assertGreater(oldest, 10)
        self.ledger.restore(5)
        self.fill(1)
        self.sender.send_pending()
        self.assertEqual(
            [(n, n) for n in range(1, 6)] + [(6, oldest - 1)]
            + [(n, n) for n in range(oldest, 32)], self.ledger.booked)

    def test_collector_that_never_advances_is_not_asked_for_ever(self):
        self.fill(3)
        self.ledger.take = lambda payload: samples.OUT_OF_ORDER
        self.assertRaises(errors.Unavailable, self.sender.send_pending)
        self.assertEqual(1, len(self.ledger.calls))

    def test_collectors_that_disagree_are_not_asked_for_ever(self):
        self.fill(3)
        answers = [rpc.Reply((samples.BOOKED,), 2),
                   rpc.Reply((samples.OUT_OF_ORDER,), 1)] * 100
        sender = senders.Sender(
            self.spool, lambda sent: answers.pop(0),
            records.SIGNER.sign, self.clock)
        sender._spool.records = (
            lambda first, limit: [spools.Record(first, first, str(first))])
        self.assertRaises(errors.Unavailable, sender.send_pending)
        self.assertGreater(len(answers), 150)

    def test_spool_that_is_an_old_copy_begins_a_new_stream(self):
        stream = self.spool.stream
        self.fill(2)
        self.ledger.booked = [(1, 50)]
        self.sender.send_pending()
        self.assertNotEqual(stream, self.spool.stream)
        self.assertIn('old copy', self.log.output)
        self.ledger.booked = []
        self.fill(2)
        self.sender.send_pending()
        self.assert_booked(2)

    def test_quarantine_is_logged_and_goes_on(self):
        self.fill(1)
        stream = self.spool.stream
        sender = senders.Sender(
            self.spool, lambda sent: rpc.Reply(
                (samples.QUARANTINED,), 2, ('1: does not add up',)),
            records.SIGNER.sign, self.clock)
        self.assertEqual(1, sender.send_pending())
        self.assertEqual(stream, self.spool.stream)
        self.assertIn('quarantined record 1', self.log.output)
        self.assertIn('does not add up', self.log.output)


class TestRestores(base.BaseTestCase):
    """With the real ledger: what is on disk comes into it exactly once."""

    def setUp(self):
        super().setUp()
        self.useFixture(fixtures.FakeLogger('energy_accounting'))
        self.path = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        self.connect()
        self.failures = []
        self.made = 0
        self.open()

    def connect(self):
        self.database = records.database(f'sqlite:///{self.path}/ledger')
        self.addCleanup(self.database.close)
        self.collector = collector.Collector(
            self.database, None,
            lambda: records.START_NS + 30 * purge.DAY_NS)

    def open(self):
        self.spool = spools.Spool.open(self.path / 'spool', 'h', 'm', 'k',
                                       fsync=False)
        self.addCleanup(self.spool.close)
        self.sender = senders.Sender(self.spool, self.call,
                                     records.SIGNER.sign, Clock())

    def call(self, sent):
        failure = self.failures.pop() if self.failures else None
        if failure == 'before':
            raise errors.Unavailable('away')
        answer = self.collector.book({}, sent)
        if failure == 'after':
            raise errors.Unavailable('the answer was lost')
        return rpc.Reply(tuple(answer['results']), answer['expects'])

    def make(self, count):
        """Windows of a minute and one microjoule; each of its own guest."""
        for _ in range(count):
            self.made += 1
            window = records.window(
                self.spool.next_sequence,
                [records.share(records.instance(f'vm-{self.made}'),
                               active_uj=1, idle_uj=0, memory_uj=0,
                               host_uj=0)],
                host='h', machine_id='m', stream=self.spool.stream,
                start_ns=records.START_NS + self.made * WINDOW_NS)
            self.spool.append(wire.payload(window), {}, window.end_ns)

    def send(self):
        while True:
            with contextlib.suppress(errors.Unavailable):
                self.sender.send_pending()
                return

    def keep(self, name):
        """Make a copy of the spool or the ledger."""
        source, kept = self.path / name, self.path / f'{name}.kept'
        if source.is_dir():
            shutil.rmtree(kept, ignore_errors=True)
            shutil.copytree(source, kept)
        else:
            shutil.copy(source, kept)

    def restore_spool(self):
        self.spool.close()
        shutil.rmtree(self.path / 'spool')
        shutil.copytree(self.path / 'spool.kept', self.path / 'spool')
        self.open()

    def restore_ledger(self):
        self.database.close()
        shutil.copy(self.path / 'ledger.kept', self.path / 'ledger')
        self.connect()

    def on_disk(self):
        return {window.parts[0].shares[0].account.instance_id
                for window in (wire.from_payload(one.payload)
                               for one in self.spool.records(1, 10 ** 6))}

    def held(self):
        with self.database.reader() as connection:
            payloads = connection.execute(
                sa.select(models.quarantine.c.payload)).scalars().all()
        return collections.Counter(
            wire.from_payload(text).parts[0].shares[0]
            .account.instance_id for text in payloads)

    def ledger(self):
        """How often each guest's microjoule is in books or quarantine."""
        rows, accounts = models.account_buckets.c, models.accounts.c
        with self.database.reader() as connection:
            booked = connection.execute(
                sa.select(accounts.instance_id, rows.active_uj)
                .where(accounts.id == rows.account_id)).all()
        found = self.held()
        for instance_id, energy_uj in booked:
            found[instance_id] += energy_uj
        return found

    def assert_once(self, instance_ids):
        self.assertEqual(dict.fromkeys(instance_ids, 1),
                         dict(self.ledger()))

    def test_windows_under_numbers_of_others_are_not_jumped_over(self):
        self.make(100)
        self.send()
        self.keep('spool')
        self.make(100)
        self.send()
        self.restore_spool()
        self.make(150)
        self.send()
        self.assert_once(f'vm-{number}' for number in range(1, 351))
        self.assertEqual({'vm-201': 1}, dict(self.held()))

    def test_windows_the_copy_has_not_sent_are_not_sent_twice(self):
        self.make(10)
        self.send()
        self.make(10)
        self.keep('spool')
        self.make(10)
        self.send()
        self.restore_spool()
        for _ in range(2):
            self.make(20)
            self.send()
        self.assert_once(f'vm-{number}' for number in range(1, 71))

    def test_copy_without_new_windows_ends_the_stream_before_they_come(self):
        self.make(3)
        self.keep('spool')
        self.make(3)
        self.send()
        self.restore_spool()
        self.send()
        self.make(1)
        self.send()
        self.assert_once(f'vm-{number}' for number in range(1, 8))
        self.assertEqual({}, dict(self.held()))

    def play(self, chance, events):
        """Anything, any time; answers are lost as well."""
        self.keep('spool')
        self.keep('ledger')
        emitted = self.on_disk()
        for _ in range(12):
            event = chance.choice(events)
            self.failures = chance.choices(
                [None, 'before', 'after'], [3, 1, 1], k=chance.randrange(6))
            if event == 'make':
                self.make(chance.randrange(1, 40))
                emitted |= self.on_disk()
            elif event == 'send':
                self.send()
            elif event == 'restart':
                self.spool.close()
                self.open()
            elif event == 'give up':
                with contextlib.suppress(errors.Unavailable):
                    self.sender.send_pending()
            elif event.startswith('keep'):
                self.keep(event.split()[1])
            elif event == 'restore spool':
                # What was on the lost disk only is lost with it.
                self.restore_spool()
                emitted = set(self.ledger()) | self.on_disk()
            else:
                self.restore_ledger()
        self.failures = []
        self.make(1)
        emitted |= self.on_disk()
        self.send()
        self.assert_once(emitted)

    def test_no_joule_is_lost_or_twice_whatever_copy_is_restored(self):
        for what in ('spool', 'ledger'):
            for seed in range(12):
                with self.subTest(what=what, seed=seed):
                    self.spool.close()
                    self.database.close()
                    self.path = pathlib.Path(
                        self.useFixture(fixtures.TempDir()).path)
                    self.connect()
                    self.open()
                    self.play(random.Random(seed), [
                        'make', 'make', 'send', 'restart', 'give up',
                        f'keep {what}', f'restore {what}'])


class TestPatience(SenderCase):
    """The thread, with time that passes while it waits."""

    def run_until(self, number, *, also=lambda: None):
        """Run; told to stop at the wait of that number."""
        stop = threading.Event()

        def end():
            also()
            stop.set()
            self.sender.wake()
        self.clock.at[number] = end
        self.sender.run(stop)

    def test_waits_for_its_own_moment_after_the_edge(self):
        self.fill(1)
        self.run_until(1)
        self.assertEqual(self.sender.jitter_ns, self.clock.waits[0])
        self.assert_booked(1)

    def test_moments_of_hosts_differ_over_a_quarter_of_the_window(self):
        moments = []
        for _ in range(20):
            self.spool = self.open()
            moments.append(self.make().jitter_ns)
        self.assertEqual(20, len(set(moments)))
        self.assertGreaterEqual(min(moments), 0)
        self.assertLess(max(moments), WINDOW_NS // 4)
        self.assertGreater(max(moments) - min(moments), WINDOW_NS // 16)

    def test_wakes_when_a_window_arrives(self):
        self.clock.at[0] = lambda: self.fill(1)
        self.run_until(2)
        # Idle, jitter, idle again.
        self.assertEqual(
            [WINDOW_NS, self.sender.jitter_ns, WINDOW_NS], self.clock.waits)
        self.assert_booked(1)

    def test_failures_wait_longer_and_longer_up_to_a_minute(self):
        self.fill(1)
        self.ledger.failures = ['before'] * 9
        self.run_until(10)
        self.assertEqual(
            [1, 2, 4, 8, 16, 32, 60, 60, 60],
            [delay / SECOND_NS for delay in self.clock.waits[1:10]])
        self.assert_booked(1)
        self.assertIn('windows wait in the spool (1): away',
                      self.log.output)
        self.assertIn('the collector is back', self.log.output)

    def test_retry_is_spread_over_half_of_the_patience(self):
        sender = senders.Sender(self.spool, self.ledger,
                                records.SIGNER.sign, self.clock,
                                chance=lambda: 0.0)
        self.assertEqual(4 * SECOND_NS, sender._patience_ns(4))
        self.assertEqual(30 * SECOND_NS, sender._patience_ns(4000))

    def test_unknown_error_does_not_end_the_thread(self):
        self.fill(1)
        answers = [ValueError('surprise')]

        def call(sent):
            if answers:
                raise answers.pop()
            return self.ledger(sent)
        self.sender = senders.Sender(self.spool, call,
                                     records.SIGNER.sign, self.clock)
        self.run_until(3)
        self.assert_booked(1)
        self.assertIn('surprise', self.log.output)

    def test_clean_stop_sends_what_arrived_last(self):
        self.run_until(0, also=lambda: self.fill(2))
        self.assert_booked(2)

    def test_clean_stop_tries_once_when_the_collector_is_away(self):
        self.fill(1)
        self.ledger.failures = ['before'] * 1000
        self.run_until(5)
        self.assertEqual(6, len(self.ledger.calls))
        self.assertEqual(6, len(self.clock.waits))

    def test_clean_stop_does_not_send_a_long_backlog(self):
        self.fill(60 * 10)
        stop = threading.Event()
        stop.set()

        def slow(sent):
            self.clock.now_ns += SECOND_NS
            return self.ledger(sent)
        senders.Sender(self.spool, slow, records.SIGNER.sign,
                       self.clock).run(stop)
        self.assertEqual([1, 60, 60], self.ledger.calls)

    def test_stop_ends_a_backlog_between_two_batches(self):
        self.fill(60 * 10)
        stop = threading.Event()

        def call(sent):
            if len(self.ledger.calls) == 1:
                stop.set()
                self.clock.now_ns += 0
            self.clock.now_ns += 2 * SECOND_NS
            return self.ledger(sent)
        senders.Sender(self.spool, call, records.SIGNER.sign,
                       self.clock).run(stop)
        self.assertEqual([1, 60, 60, 60], self.ledger.calls)
