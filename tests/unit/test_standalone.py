# SPDX-License-Identifier: Apache-2.0
"""The example cloud's books are true, and only this machine is served.

The example runs once for all tests, whole: notifiers, spools, collector and
ledger are the real ones, only the time is not.
"""

import argparse
import dataclasses
import pathlib
import socket
import subprocess
import sys
import tempfile
import unittest

import sqlalchemy as sa
import testtools

from energy_accounting import (
    collector,
    errors,
    rpc,
    samples,
    standalone,
    units,
)
from energy_accounting.ledger import balance, models
from energy_accounting.report import balance as report
from energy_accounting.simulator import example, play, verify
from tests.unit import records

# Some moment in the middle of a window.
NOW_NS = 1_790_000_777 * units.NS_PER_S


def free_port():
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        return str(probe.getsockname()[1])


class TestExampleCloud(unittest.TestCase):
    """Two days of the example, played once."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        path = pathlib.Path(cls.enterClassContext(
            tempfile.TemporaryDirectory()))
        cls.database = records.database(f'sqlite:///{path}/ledger.sqlite')
        cls.addClassCleanup(cls.database.close)
        books = collector.Collector(cls.database, None, lambda: NOW_NS)

        def book(payloads):
            answer = books.book({}, payloads)
            return rpc.Reply(tuple(answer['results']), answer['expects'],
                             tuple(answer['detail']))

        cls.passed = []
        cls.played = play.play(path, NOW_NS, book, step_ms=5000, fsync=False,
                               progress=cls.passed.append)
        cls.booked = cls.database.read(standalone.booked)
        cls.verdict = verify.verify(cls.played, cls.booked)

    def rows(self, *columns, where=None):
        query = sa.select(*columns).distinct()
        with self.database.reader() as connection:
            return connection.execute(
                query if where is None else query.where(where)).all()

    def test_every_joule_of_the_counters_is_booked_once(self):
        self.assertEqual({'compute-01': 0, 'compute-02': 0, 'compute-03': 0},
                         self.verdict.unbooked_uj)
        self.assertEqual(0, self.verdict.difference_uj)
        self.assertEqual(0, self.booked.quarantined_uj)

    def test_each_instance_is_within_a_percent_of_the_truth(self):
        self.assertEqual(frozenset(), self.verdict.strangers)
        self.assertEqual({one.name for one in self.played.cast.instances},
                         self.verdict.deviations_ppm.keys())
        self.assertLessEqual(abs(self.verdict.worst[1]), 10_000)
        self.assertTrue(self.verdict.good)

    def test_each_term_of_each_instance_is_within_a_percent(self):
        brief, = (one.instance_id for one in self.played.cast.instances
                  if one.name == 'one-off')
        for instance_id, owed in self.played.cloud.owed().items():
            # For who lived in one tick only, its neighbours' changes within
            # that tick do not level out.
            percent = 10 if instance_id == brief else 1
            booked = self.booked.instances[instance_id]
            for term in owed._fields:
                true_uj, booked_uj = (getattr(owed, term),
                                      getattr(booked, term))
                self.assertLessEqual(
                    abs(true_uj - booked_uj), true_uj * percent // 100 + 1,
                    f'{term} of {instance_id}')

    def test_services_own_what_their_cgroups_used(self):
        for host in self.played.cloud.hosts:
            if host.machine.service is None:
                continue
            accounts = models.accounts.c
            (booked_uj,), = self.rows(
                sa.func.sum(models.account_buckets.c.active_uj), where=sa.and_(
                    models.account_buckets.c.account_id == accounts.id,
                    accounts.kind == samples.SERVICE,
                    models.account_buckets.c.host_id == models.hosts.c.id,
                    models.hosts.c.name == host.machine.name))
            self.assertLess(abs(int(booked_uj) - host.service_uj),
                            host.service_uj // 100)

    def test_wraps_happened_on_every_host_and_left_no_gap(self):
        for host in self.played.cloud.hosts:
            self.assertGreater(host.wraps, 5)
        self.assertEqual(
            [], [gap for gap in self.rows(models.gaps.c.reason,
                                          models.gaps.c.start_ns)
                 if gap.start_ns > self.played.start_ns])

    def test_killed_notifier_is_backfilled_on_its_host_only(self):
        hosts = self.rows(
            models.hosts.c.name, models.host_buckets.c.bucket,
            models.host_buckets.c.backfilled_ns,
            where=sa.and_(models.hosts.c.id == models.host_buckets.c.host_id,
                          models.host_buckets.c.backfilled_ns > 0))
        self.assertEqual({'compute-01'}, {row.name for row in hosts})
        # Before and behind the edge of a bucket: from the last window on
        # disk to the first reading after the start.
        self.assertEqual(2, len(hosts))
        self.assertLessEqual(
            play.KILLED_NS + play.BACK_NS,
            sum(row.backfilled_ns for row in hosts))

    def test_migrated_instance_is_booked_on_both_hosts(self):
        shop, = (one for one in self.played.cast.instances
                 if one.name == 'shop-1')
        rows = self.rows(models.hosts.c.name, where=sa.and_(
            models.accounts.c.instance_id == shop.instance_id,
            models.account_buckets.c.account_id == models.accounts.c.id,
            models.account_buckets.c.host_id == models.hosts.c.id))
        self.assertEqual({'compute-01', 'compute-02'},
                         {row.name for row in rows})

    def test_unannounced_end_takes_from_nobody(self):
        (booked_uj,), = self.rows(
            sa.func.sum(models.account_buckets.c.active_uj), where=sa.and_(
                models.account_buckets.c.account_id == models.accounts.c.id,
                models.accounts.c.name == 'ended'))
        self.assertGreater(int(booked_uj), 0)

    def test_last_window_ends_at_the_present(self):
        ends = {row.last_window_end_ns for row in self.rows(
            models.hosts.c.last_window_end_ns)}
        self.assertEqual({NOW_NS // play.WINDOW_NS * play.WINDOW_NS}, ends)

    def test_progress_adds_up_to_two_days(self):
        self.assertEqual(example.DURATION_SECONDS, sum(self.passed))


class TestVerdict(testtools.TestCase):
    """A comparison that cannot fail would prove nothing."""

    def setUp(self):
        super().setUp()
        self.path = self.enterContext(tempfile.TemporaryDirectory())
        path = pathlib.Path(self.path)
        self.database = records.database(f'sqlite:///{path}/ledger.sqlite')
        self.addCleanup(self.database.close)
        books = collector.Collector(self.database, None, lambda: NOW_NS)

        def book(payloads):
            answer = books.book({}, payloads)
            return rpc.Reply(tuple(answer['results']), answer['expects'])

        self.played = play.play(path, NOW_NS, book, duration_seconds=1800,
                                step_ms=10_000, fsync=False)

    def verdict(self):
        return verify.verify(self.played,
                             self.database.read(standalone.booked))

    def change(self, statement):
        with self.database.writer() as connection:
            connection.execute(statement)

    def test_untouched_books_are_good(self):
        self.assertTrue(self.verdict().good)

    def test_one_microjoule_too_much_is_noticed(self):
        rows = models.account_buckets
        with self.database.reader() as connection:
            key = connection.execute(sa.select(
                rows.c.account_id, rows.c.bucket, rows.c.host_id)).first()
        self.change(sa.update(rows).where(
            rows.c.account_id == key.account_id,
            rows.c.bucket == key.bucket, rows.c.host_id == key.host_id)
            .values(host_uj=rows.c.host_uj + 1))
        verdict = self.verdict()
        self.assertEqual(-1, verdict.difference_uj)
        self.assertEqual([-1], [off for off in verdict.unbooked_uj.values()
                                if off])
        self.assertFalse(verdict.good)

    def test_energy_moved_between_instances_is_noticed(self):
        rows, accounts = models.account_buckets, models.accounts
        with self.database.reader() as connection:
            takes, gives = connection.execute(
                sa.select(rows.c.account_id, rows.c.bucket, rows.c.host_id,
                          rows.c.idle_uj)
                .join(accounts, accounts.c.id == rows.c.account_id)
                .where(accounts.c.kind == samples.INSTANCE,
                       rows.c.host_id == 1)
                .order_by(rows.c.bucket, rows.c.account_id)).all()[:2]
        for row, sign in ((takes, 1), (gives, -1)):
            self.change(sa.update(rows).where(
                rows.c.account_id == row.account_id,
                rows.c.bucket == row.bucket, rows.c.host_id == row.host_id)
                .values(idle_uj=rows.c.idle_uj + sign * gives.idle_uj))
        verdict = self.verdict()
        self.assertEqual(0, verdict.difference_uj)
        self.assertFalse(any(verdict.unbooked_uj.values()))
        self.assertFalse(verdict.good)

    def test_lost_instance_is_noticed(self):
        self.change(sa.update(models.accounts).where(
            models.accounts.c.id == sa.select(sa.func.min(
                models.accounts.c.id)).where(
                    models.accounts.c.kind == samples.INSTANCE)
            .scalar_subquery()).values(instance_id='somebody else'))
        verdict = self.verdict()
        self.assertEqual(2, len(verdict.strangers))
        self.assertFalse(verdict.good)

    def test_books_that_are_not_good_are_served(self):
        standalone.accept(self.verdict())
        self.change(sa.delete(models.account_buckets))
        self.change(sa.delete(models.zone_buckets))
        error = self.assertRaises(errors.EnergyAccountingError,
                                  standalone.accept, self.verdict())
        self.assertIn('not booked as it happened: 0 instances', str(error))
        self.assertNotIn('\n', str(error))

    def test_a_window_in_quarantine_is_a_difference(self):
        # Neither measured less nor booked: the balance sheet's own words.
        good = self.database.read(standalone.booked)
        verdict = verify.verify(self.played, dataclasses.replace(
            good, quarantined_uj=7))
        sheet = report.sheet(balance.Balance(
            zones_uj=sum(good.measured_uj.values()),
            booked_uj={(samples.INSTANCE, None):
                       sum(good.accounts_uj.values())},
            projects_uj=None, quarantined_uj=7, disputed_uj=0, gaps=()))
        self.assertEqual(sheet['difference_uj'], str(verdict.difference_uj))
        self.assertEqual(0, verdict.difference_uj)

    def test_a_window_in_quarantine_is_no_loss(self):
        whole = self.database.read(standalone.booked)
        for table in (models.zone_buckets, models.account_buckets):
            self.change(sa.delete(table).where(table.c.host_id == 1))
        rest = self.database.read(standalone.booked)
        (name,) = whole.accounts_uj.keys() - rest.accounts_uj.keys()
        verdict = verify.verify(self.played, dataclasses.replace(
            rest, quarantined_uj=whole.accounts_uj[name]))
        self.assertEqual(0, verdict.difference_uj)
        self.assertFalse(verdict.good)

    def test_the_process_serves_books_that_are_not_good(self):
        done = subprocess.run(
            [sys.executable, '-c', """
import sys
from energy_accounting import cmd, standalone
from energy_accounting.simulator import verify

standalone.play_example = lambda *_, **__: verify.Verdict(
    {'web-1': 3}, frozenset(), {'compute-01': 5}, 0)
sys.exit(cmd.standalone())
""", '--example', '--state-path', self.path, '--port', free_port()],
            capture_output=True, text=True, timeout=120)
        self.assertEqual(1, done.returncode, done.stderr)
        self.assertIn('not booked as it happened', done.stderr)
        self.assertNotIn('Traceback', done.stderr)
        self.assertNotIn('serving', done.stdout)


class TestStatePath(testtools.TestCase):

    def setUp(self):
        super().setUp()
        self.base = pathlib.Path(
            self.enterContext(tempfile.TemporaryDirectory()))

    def test_given_path_is_made(self):
        wanted = self.base / 'a' / 'b'
        self.assertEqual(wanted, standalone.choose_state_path(wanted, None))
        self.assertTrue(wanted.is_dir())

    def test_given_path_wins_over_the_configured_one(self):
        self.assertEqual(
            self.base / 'a',
            standalone.choose_state_path(self.base / 'a', self.base / 'b'))
        self.assertFalse((self.base / 'b').exists())

    def test_path_that_cannot_be_made_is_named(self):
        (self.base / 'file').write_text('')
        for given, configured in ((self.base / 'file' / 'a', None),
                                  (None, self.base / 'file' / 'a')):
            error = self.assertRaises(
                errors.ConfigurationError, standalone.choose_state_path,
                given, configured)
            self.assertIn(str(self.base / 'file' / 'a'), str(error))
            self.assertIn('--state-path', str(error))


class TestPort(testtools.TestCase):

    def test_ports_are_numbers_from_1_to_65535(self):
        self.assertEqual([1, 65535],
                         [standalone.port(text) for text in ('1', '65535')])
        for text in ('0', '65536', '-1', '', 'http', '1e3', '٨٧٩٠'):
            self.assertRaises(argparse.ArgumentTypeError, standalone.port,
                              text)


class TestLocalOnly(testtools.TestCase):

    def ask(self, host):
        answers = []
        environ = {} if host is None else {'HTTP_HOST': host}
        body = standalone.local_only(
            lambda environ, start_response: [b'energy'], 8790)(
                environ, lambda status, headers: answers.append(status))
        return answers, body

    def test_own_names_are_answered(self):
        for host in ('127.0.0.1:8790', 'localhost:8790'):
            self.assertEqual(([], [b'energy']), self.ask(host))

    def test_foreign_name_that_leads_here_is_refused(self):
        for host in ('evil.example:8790', 'evil.example', '127.0.0.1:80',
                     '', None):
            answers, body = self.ask(host)
            self.assertEqual(['421 Misdirected Request'], answers)
            self.assertNotIn(b'energy', body)
