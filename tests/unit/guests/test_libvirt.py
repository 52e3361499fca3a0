# SPDX-License-Identifier: Apache-2.0
"""When libvirt cannot be reached, hangs or goes away.

What a real daemon says is tested against one, in
``tests/acceptance/test_guests_libvirt.py``.
"""

import os
import sys
import threading
import types
from typing import Any
from unittest import mock

import fixtures
import testtools

from energy_accounting import errors, guests
from energy_accounting.guests import libvirt, procfs
from tests.unit import fakes
from tests.unit.guests import test_procfs

A = test_procfs.A


class DaemonAway(Exception):
    """Stands for ``libvirt.libvirtError``."""


BINDING = types.SimpleNamespace(
    libvirtError=DaemonAway, VIR_DOMAIN_EVENT_ID_LIFECYCLE=0,
    VIR_DOMAIN_EVENT_ID_METADATA_CHANGE=23,
    VIR_CONNECT_LIST_DOMAINS_ACTIVE=1)


class Connection:
    """A connection without domains that can fail and hang."""

    def __init__(self) -> None:
        self.go_on = threading.Event()
        self.go_on.set()
        self.alive = True
        self.closed: Any = None

    def setKeepAlive(self, *_: int) -> None:
        pass

    def registerCloseCallback(self, call: Any, _: Any) -> None:
        self.closed = call

    def domainEventRegisterAny(self, *_: Any) -> None:
        pass

    def listAllDomains(self, _: int) -> list[Any]:
        self.go_on.wait(60)
        if not self.alive:
            raise DaemonAway('gone')
        return []

    def isAlive(self) -> int:
        return int(self.alive)

    def close(self) -> None:
        pass


class Daemon(testtools.TestCase):

    def setUp(self) -> None:
        super().setUp()
        self.host = fakes.FakeHost(self.useFixture(fixtures.TempDir()).path)
        self.log = self.useFixture(fixtures.FakeLogger())
        self.host.qemu(41, A, user=1)
        self.connections: list[Connection] = []
        self.refuse = False
        self.source = libvirt.LibvirtGuests(
            procfs.processes_from_conf(
                test_procfs.configured(**self.host.options())),
            BINDING, self.connect)
        self.addCleanup(self.source.close)
        self.addCleanup(self.resume)

    def connect(self) -> Connection:
        if self.refuse:
            raise DaemonAway('refused')
        self.connections.append(Connection())
        return self.connections[-1]

    def resume(self) -> None:
        for connection in self.connections:
            connection.go_on.set()

    def seen(self, boottime_ns: int = 0) -> list[str]:
        return [guest.instance_id
                for guest in self.source.read(boottime_ns).guests]

    def away(self) -> None:
        self.connections[-1].alive = False
        self.connections[-1].closed(None, 0, None)

    def test_a_daemon_that_goes_takes_its_guests_along(self):
        self.assertEqual([A], self.seen())
        self.refuse = True
        self.away()
        for second in range(20):
            self.assertEqual([A], self.seen(second * 1_000_000_000))

    def test_a_daemon_that_is_back_is_not_asked_again(self):
        self.refuse = True
        self.away()
        self.seen(1_000_000_000)
        self.refuse = False
        self.seen(2_000_000_000)
        self.assertEqual(1, len(self.connections))
        self.seen(7_000_000_000)
        self.assertEqual(2, len(self.connections))
        self.assertIn('libvirt is back', self.log.output)

    def test_a_daemon_that_comes_later_is_not_waited_for(self):
        self.source.close()
        self.connections.clear()
        self.refuse = True
        self.source = libvirt.LibvirtGuests(
            procfs.processes_from_conf(
                test_procfs.configured(**self.host.options())),
            BINDING, self.connect)
        self.addCleanup(self.source.close)
        for second in range(6):
            self.assertEqual([A], self.seen(second * 1_000_000_000))
        self.refuse = False
        self.assertEqual([A], self.seen(11_000_000_000))
        self.assertEqual(1, len(self.connections))
        self.assertEqual(1, self.log.output.count('libvirt is away'))
        self.assertIn('libvirt is back', self.log.output)

    def test_a_daemon_that_hangs_delays_every_reading(self):
        self.useFixture(fixtures.MonkeyPatch(
            'energy_accounting.guests.libvirt._PATIENCE_SECONDS', 0.01))
        self.connections[0].go_on.clear()
        self.host.qemu(42, test_procfs.B)
        for _ in range(3):
            self.assertEqual(2, len(self.seen()))
        self.assertEqual(1, self.log.output.count('does not answer'))

    def test_a_failure_while_asking_ends_the_asking(self):
        self.connections[0].alive = False
        self.host.qemu(42, test_procfs.B)
        self.assertEqual(2, len(self.seen()))
        self.host.qemu(43, test_procfs.B)
        self.seen(6_000_000_000)
        self.assertEqual(2, len(self.connections))


class Start(testtools.TestCase):

    def setUp(self) -> None:
        super().setUp()
        self.host = fakes.FakeHost(self.useFixture(fixtures.TempDir()).path)
        self.log = self.useFixture(fixtures.FakeLogger())
        self.conf = test_procfs.configured(**self.host.options())

    def without_binding(self) -> None:
        hidden = mock.patch.dict(sys.modules, {'libvirt': None})
        hidden.start()
        self.addCleanup(hidden.stop)

    def test_a_missing_binding_does_not_name_its_extra(self):
        self.without_binding()
        error = self.assertRaises(errors.MissingExtra, libvirt.from_conf,
                                  self.conf)
        self.assertIn('energy-accounting[libvirt]', str(error))

    def test_the_next_source_is_not_tried(self):
        self.without_binding()
        source = guests.load(self.conf)
        self.addCleanup(source.close)
        self.assertIsInstance(source, procfs.ProcfsGuests)
        self.assertIn('libvirt', self.log.output)

    def test_no_source_at_all_names_one_reason_only(self):
        self.without_binding()
        self.conf.set_override('procfs_path', '/nowhere', 'notifier')
        error = self.assertRaises(errors.MeterError, guests.load, self.conf)
        self.assertIn('energy-accounting[libvirt]', str(error))
        self.assertIn('procfs_path', str(error))

    def test_an_unknown_source_is_not_named(self):
        self.conf.set_override('guests', ['abacus'], 'notifier')
        error = self.assertRaises(errors.ConfigurationError, guests.load,
                                  self.conf)
        self.assertIn("'abacus'", str(error))

    def test_no_source_is_taken_for_any(self):
        self.conf.set_override('guests', [], 'notifier')
        self.assertRaises(errors.ConfigurationError, guests.load, self.conf)

    def test_a_daemon_that_is_not_up_yet_is_given_up_for_good(self):
        try:
            import libvirt as binding
        except ImportError:
            reason = 'libvirt-python is not installed'
            if os.environ.get('CI') or os.environ.get('EA_TEST_REQUIRE'):
                self.fail(reason)
            self.skipTest(reason)
        self.assertTrue(binding)
        self.conf.set_override(
            'uri', f'qemu+unix:///system?socket={self.host.root}/none',
            'libvirt')
        self.host.qemu(41, A)
        source = guests.load(self.conf)
        self.addCleanup(source.close)
        self.assertIsInstance(source, libvirt.LibvirtGuests)
        self.assertEqual([A], [
            guest.instance_id for guest in source.read(0).guests])
        self.assertIn('[libvirt] uri', self.log.output)
