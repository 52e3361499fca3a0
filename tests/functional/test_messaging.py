# SPDX-License-Identifier: Apache-2.0
"""Windows over a real RabbitMQ: what a call means when things go wrong."""

import contextlib
import logging
import os
import pathlib
import signal
import socket
import subprocess
import sys
import textwrap
import threading
import unittest
import urllib.parse
import uuid

import fixtures
from oslo_config import cfg
from oslo_messaging import conffixture
from oslotest import base

from energy_accounting import clocks, errors, rpc, samples
from energy_accounting import sender as senders
from energy_accounting import spool as spools
from tests.functional import base as servers
from tests.unit import records

RECORD = samples.Signed('1', 'key', 'signature')


class Ledger:
    """A collector in memory, with the rules of the real one."""

    def __init__(self):
        self.booked = []
        self.mutex = threading.Lock()
        self.failures = []
        self.entered = threading.Event()
        self.go_on = threading.Event()
        self.go_on.set()

    def book(self, ctxt, records):
        self.entered.set()
        self.go_on.wait(30)
        with self.mutex:
            if self.failures:
                raise self.failures.pop(0)
            results = []
            for payload, _key, _signature in records:
                fresh = int(payload) == len(self.booked) + 1
                if fresh:
                    self.booked.append(int(payload))
                results.append(samples.BOOKED if fresh else samples.DUPLICATE)
            return {'results': results, 'expects': len(self.booked) + 1,
                    'detail': []}


class MessagingCase(base.BaseTestCase):

    def setUp(self):
        super().setUp()
        self.log = self.useFixture(fixtures.FakeLogger())
        self.url = servers.rabbit_url(self)
        self.use(self.url)
        # Where all tests share one virtual host they share its queues.
        self.topic = f'test-{uuid.uuid4().hex}'
        self.useFixture(fixtures.MonkeyPatch(
            'energy_accounting.rpc.TOPIC', self.topic))

    def use(self, url):
        self.conf = cfg.CONF
        self.useFixture(
            conffixture.ConfFixture(self.conf)).transport_url = url
        self.conf([], project='test', default_config_files=[])

    def transport(self):
        transport = rpc.make_transport(self.conf)
        self.addCleanup(transport.cleanup)
        return transport

    def serve(self, endpoint, name='collector-1'):
        server = rpc.make_server(self.transport(), name, endpoint)
        server.start()
        self.addCleanup(server.wait)
        self.addCleanup(server.stop)
        return server

    def caller(self, timeout_seconds=20):
        return rpc.Caller(self.transport(), timeout_seconds)

    def sender(self, count, timeout_seconds=20):
        path = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        spool = spools.Spool.open(path / 'spool', 'h', 'm', 'k', fsync=False)
        self.addCleanup(spool.close)
        for number in range(1, count + 1):
            spool.append(str(number), {}, 1)
        return senders.Sender(spool, self.caller(timeout_seconds).book,
                              records.SIGNER.sign, clocks.SystemClock())


class TestMessaging(MessagingCase):

    def test_spooled_windows_are_booked_once_and_in_order(self):
        ledger = Ledger()
        self.serve(ledger)
        self.assertEqual(200, self.sender(200).send_pending())
        self.assertEqual(list(range(1, 201)), ledger.booked)

    def test_two_collectors_share_the_work_without_doubling_it(self):
        ledger = Ledger()
        self.serve(ledger, 'collector-1')
        self.serve(ledger, 'collector-2')
        self.assertEqual(300, self.sender(300).send_pending())
        self.assertEqual(list(range(1, 301)), ledger.booked)

    def test_megabyte_of_windows_arrives_whole(self):
        seen = []

        class Endpoint:
            def book(self, ctxt, records):
                seen.extend(records)
                return {'results': [samples.BOOKED] * len(records),
                        'expects': 61}
        self.serve(Endpoint())
        sent = [samples.Signed(f'{number} ä' + 'x' * 17_000, 'key', 'name')
                for number in range(60)]
        self.caller().book(sent)
        self.assertEqual([list(record) for record in sent], seen)

    def test_failure_over_there_is_an_error_here(self):
        ledger = Ledger()
        ledger.failures = [errors.Unavailable('the database is away'),
                           KeyError('a bug')]
        self.serve(ledger)
        for words in ('Unavailable: the database is away', 'KeyError'):
            error = self.assertRaises(errors.Unavailable,
                                      self.caller().book, [RECORD])
            self.assertIn(words, str(error))
        self.assertEqual([], ledger.booked)

    def test_nobody_listening_is_known_at_once(self):
        error = self.assertRaises(errors.Unavailable,
                                  self.caller().book, [RECORD])
        self.assertIn('no collector is listening', str(error))

    def test_collector_that_stops_finishes_the_call_it_works_on(self):
        ledger = Ledger()
        ledger.go_on.clear()
        server = self.serve(ledger)
        sender = self.sender(1)
        sending = threading.Thread(target=sender.send_pending)
        sending.start()
        self.assertTrue(ledger.entered.wait(20))
        server.stop()
        ledger.go_on.set()
        server.wait()
        sending.join(20)
        self.assertEqual([1], ledger.booked)
        self.assertEqual(1, sender._spool.acknowledged)

    def test_answer_too_late_books_nothing_twice(self):
        ledger = Ledger()
        ledger.go_on.clear()
        self.serve(ledger)
        sender = self.sender(3, timeout_seconds=1)
        self.assertRaises(errors.Unavailable, sender.send_pending)
        self.assertEqual(0, sender._spool.acknowledged)
        ledger.go_on.set()
        sender.send_pending()
        self.assertEqual([1, 2, 3], ledger.booked)
        self.assertEqual(3, sender._spool.acknowledged)


class Proxy:
    """A way to the broker that can be cut."""

    def __init__(self, host, port):
        self._target = (host, port)
        self._listener = socket.create_server(('127.0.0.1', 0))
        self.port = self._listener.getsockname()[1]
        self._pipes = []
        self._start()

    def _start(self):
        threading.Thread(target=self._accept, args=(self._listener,),
                         daemon=True).start()

    def _accept(self, listener):
        with contextlib.suppress(OSError):
            while True:
                near, _ = listener.accept()
                far = socket.create_connection(self._target)
                self._pipes += [near, far]
                for one, other in ((near, far), (far, near)):
                    threading.Thread(target=self._copy, args=(one, other),
                                     daemon=True).start()

    @staticmethod
    def _copy(one, other):
        with contextlib.suppress(OSError):
            while data := one.recv(65536):
                other.sendall(data)
        for side in (one, other):
            with contextlib.suppress(OSError):
                side.shutdown(socket.SHUT_RDWR)

    def cut(self):
        for one in (self._listener, *self._pipes):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()
        self._pipes.clear()

    def mend(self):
        self._listener = socket.create_server(('127.0.0.1', self.port))
        self._start()


class TestBrokerAway(MessagingCase):

    def setUp(self):
        super().setUp()
        self.ledger = Ledger()
        self.serve(self.ledger)
        parts = urllib.parse.urlsplit(self.url)
        self.proxy = Proxy(parts.hostname, parts.port)
        self.addCleanup(self.proxy.cut)
        self.use(urllib.parse.urlunsplit(parts._replace(
            netloc=f'{parts.username}:{parts.password}'
                   f'@127.0.0.1:{self.proxy.port}')))

    def test_broker_that_goes_is_an_error_and_is_found_again(self):
        sender = self.sender(3)
        sender.send_pending()
        sender._spool.append('4', {}, 1)
        self.proxy.cut()
        self.assertRaises(errors.Unavailable, sender.send_pending)
        self.assertEqual([1, 2, 3], self.ledger.booked)
        self.proxy.mend()
        sender._spool.append('5', {}, 1)
        sender.send_pending()
        self.assertEqual([1, 2, 3, 4, 5], self.ledger.booked)

    def test_broker_that_is_away_at_the_start_is_waited_for(self):
        self.proxy.cut()
        refused = threading.Event()
        handler = logging.Handler()
        handler.emit = lambda record: refused.set()
        driver = logging.getLogger('oslo.messaging._drivers.impl_rabbit')
        driver.addHandler(handler)
        self.addCleanup(driver.removeHandler, handler)
        sender = self.sender(3)
        sending = threading.Thread(target=sender.send_pending)
        sending.start()
        self.assertTrue(refused.wait(20))
        self.proxy.mend()
        sending.join(60)
        self.assertEqual([1, 2, 3], self.ledger.booked)


COLLECTOR = textwrap.dedent("""
    import sys
    from oslo_config import cfg
    from oslo_messaging import conffixture
    from energy_accounting import rpc

    class Endpoint:
        def book(self, ctxt, records):
            # Committed, and then it dies: or it dies before.
            if sys.argv[2] == 'committed':
                with open(sys.argv[3], 'a') as ledger:
                    ledger.writelines(text + '\\n' for text, *_ in records)
            print('killme', flush=True)
            import time
            time.sleep(60)

    fixture = conffixture.ConfFixture(cfg.CONF)
    fixture.setUp()
    fixture.transport_url = sys.argv[1]
    cfg.CONF([], project='test', default_config_files=[])
    rpc.TOPIC = sys.argv[4]
    server = rpc.make_server(rpc.make_transport(cfg.CONF), 'c', Endpoint())
    server.start()
    print('ready', flush=True)
    server.wait()
""")


class TestKilledCollector(MessagingCase):

    def kill_one(self, what, path):
        """A collector that dies before or after it has committed."""
        child = subprocess.Popen(
            [sys.executable, '-W', 'ignore', '-c', COLLECTOR, self.url, what,
             path, self.topic], stdout=subprocess.PIPE, text=True,
            cwd=os.getcwd())
        self.addCleanup(child.stdout.close)
        self.addCleanup(child.wait)
        self.addCleanup(child.kill)
        self.assertEqual('ready\n', child.stdout.readline())

        def kill():
            child.stdout.readline()
            child.send_signal(signal.SIGKILL)
        killing = threading.Thread(target=kill)
        killing.start()
        return killing

    def check(self, what, count):
        path = pathlib.Path(self.useFixture(fixtures.TempDir()).path) / 'l'
        path.touch()
        sender = self.sender(5, timeout_seconds=5)
        killing = self.kill_one(what, path)
        self.assertRaises(errors.Unavailable, sender.send_pending)
        killing.join()
        self.assertEqual(0, sender._spool.acknowledged)
        ledger = Ledger()
        ledger.booked = [int(line) for line in path.read_text().split()]
        self.assertEqual(count, len(ledger.booked))
        self.serve(ledger)
        sender.send_pending()
        self.assertEqual([1, 2, 3, 4, 5], ledger.booked)

    def test_killed_before_it_committed_loses_nothing(self):
        self.check('uncommitted', 0)

    def test_killed_after_it_committed_books_nothing_twice(self):
        self.check('committed', 1)


if __name__ == '__main__':
    unittest.main()
