# SPDX-License-Identifier: Apache-2.0
"""What a run of chaos rests on: its plan, its wires and its judgement."""

import contextlib
import random
import socket
import threading
import types
from unittest import mock

import testtools

from tests import servers
from tests.chaos import faults, plan, proxy, rogue, verdict


class TestPlan(testtools.TestCase):

    def plan(self, seed, seconds=120):
        return list(plan.plan(seed, seconds, 2,
                              (faults.KILLS, faults.OTHERS)))

    def test_same_seed_breaks_something_else(self):
        self.assertEqual(self.plan(7), self.plan(7))
        self.assertNotEqual(self.plan(7), self.plan(8))

    def test_less_than_every_second_fault_kills(self):
        planned = self.plan(7)
        self.assertEqual(60, len(planned))
        self.assertEqual(30, sum(one.name in faults.KILLS
                                 for one in planned))

    def test_a_fault_never_comes(self):
        self.assertEqual(set(faults.FAULTS),
                         {one.name for one in self.plan(7)})


class TestStranger(testtools.TestCase):

    def test_who_comes_before_a_host_was_heard_is_taken_for_a_stranger(self):
        stranger = mock.Mock()
        rogue.Rogue.forge(stranger, types.SimpleNamespace(
            newest=lambda: {'payload': '{}'}, acknowledged=0),
            random.Random(1))
        stranger._send.assert_not_called()


class TestProxy(testtools.TestCase):
    """Beside a server that echoes."""

    def setUp(self):
        super().setUp()
        listener = socket.create_server((servers.LOOPBACK, 0))
        self.addCleanup(listener.close)
        self.heard = []

        def echo():
            while True:
                try:
                    peer, _ = listener.accept()
                except OSError:
                    return
                with peer, contextlib.suppress(ConnectionError):
                    while data := peer.recv(100):
                        self.heard.append(data)
                        peer.sendall(data)

        threading.Thread(target=echo, daemon=True).start()
        self.proxy = proxy.Proxy('echo', listener.getsockname()[1])

    def connect(self):
        client = socket.create_connection(
            (servers.LOOPBACK, self.proxy.port), 10)
        self.addCleanup(client.close)
        client.settimeout(10)
        return client

    def ask(self, client, text):
        client.sendall(text)
        return client.recv(100)

    def test_wire_does_not_pass_what_is_sent(self):
        self.assertEqual(b'one', self.ask(self.connect(), b'one'))

    def test_cut_connection_lives_on(self):
        client = self.connect()
        self.ask(client, b'one')
        self.proxy.cut(random.Random(1), everything=True)
        self.assertRaises(ConnectionError, self.ask, client, b'two')
        self.assertEqual(b'three', self.ask(self.connect(), b'three'))

    def test_clogged_wire_loses_what_it_held(self):
        client = self.connect()
        self.ask(client, b'one')
        self.proxy.clog()
        client.settimeout(0.2)
        self.assertRaises(TimeoutError, self.ask, client, b'two')
        client.settimeout(10)
        self.proxy.lift()
        self.assertEqual(b'two', client.recv(100))

    def test_lost_answer_was_not_heard_by_the_server_or_comes_late(self):
        client = self.connect()
        self.ask(client, b'one')
        self.proxy.swallow()
        client.settimeout(0.2)
        self.assertRaises(TimeoutError, self.ask, client, b'two')
        self.assertEqual([b'one', b'two'], self.heard)
        self.proxy.lift()
        client.settimeout(10)
        self.assertRaises(ConnectionError, client.recv, 100)


class TestVerdict(testtools.TestCase):

    def complaints(self, **changes):
        values = {
            'name': 'host-1', 'emitted_uj': {'package-0': 30}, 'wraps': 1,
            'zones_uj': {'package-0': 30},
            'given_uj': {('instance', 'a'): 10, ('instance', 'b'): 20},
            'booked_uj': {('instance', 'a'): 10, ('instance', 'b'): 20},
            'used_ns': {'a': 5}, 'booked_ns': {'a': 5}, 'windows': 3,
            'positions': [3], 'backfilled_ns': 0}
        return verdict.Host(**{**values, **changes}).complaints()

    def test_books_that_balance_are_found_wanting(self):
        self.assertEqual([], self.complaints())

    def test_lost_energy_is_not_seen(self):
        [found] = self.complaints(zones_uj={'package-0': 29})
        self.assertIn('(-1)', found)

    def test_energy_that_moved_to_a_neighbour_is_not_seen(self):
        found = self.complaints(booked_uj={
            ('instance', 'a'): 9, ('instance', 'b'): 21})
        self.assertEqual(2, len(found), found)

    def test_energy_of_a_foreign_guest_is_not_seen(self):
        [found] = self.complaints(booked_uj={
            ('instance', 'a'): 10, ('instance', 'b'): 20,
            ('instance', 'c'): 1})
        self.assertIn('instance c', found)

    def test_lost_cpu_time_is_not_seen(self):
        [found] = self.complaints(booked_ns={})
        self.assertIn('guest a', found)

    def test_a_second_stream_or_a_record_that_waits_is_not_seen(self):
        self.assertEqual(1, len(self.complaints(positions=[2])))
        self.assertEqual(1, len(self.complaints(positions=[3, 1])))

    def test_gaps_quarantine_and_sums_by_project_are_not_judged(self):
        found = verdict.Verdict([], 1, ['host-1 reset'], {'overlap': 2})
        self.assertEqual(3, len(found.complaints()))
