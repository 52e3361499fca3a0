# SPDX-License-Identifier: Apache-2.0
"""Guests as a real libvirt and real QEMU processes show them.

Each test defines guests of its own; others on the daemon are left alone.
"""

import os
import pathlib
import signal
import time
import unittest
import uuid
from collections.abc import Callable
from typing import Any, TypeVar

import fixtures
import testtools
from oslo_config import cfg

from energy_accounting import conf as configuration
from energy_accounting import samples
from energy_accounting.guests import libvirt as libvirt_source
from energy_accounting.guests import metadata, procfs
from tests.acceptance import guests
from tests.functional import base

URI = 'EA_TEST_LIBVIRT_URI'
SECONDS = 60

Found = TypeVar('Found')


def boottime_ns() -> int:
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)


def awaited(what: str, look: Callable[[], Found | None]) -> Found:
    """What a look finds, as soon as it does.

    :raises TimeoutError: when it does not in a minute.
    """
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        found = look()
        if found:
            return found
        time.sleep(0.05)
    raise TimeoutError(what)


class Case(testtools.TestCase):

    def setUp(self) -> None:
        super().setUp()
        self.uri = base.required(self, URI)
        try:
            import libvirt
        except ImportError:
            if os.environ.get('CI') or os.environ.get('EA_TEST_REQUIRE'):
                raise
            self.skipTest('libvirt-python is not installed')
        self.binding = libvirt
        self.where = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        self.where.chmod(0o755)
        # Before the first connection of this process.
        self.source = self.made(libvirt_source.from_conf)
        self.daemon = libvirt.open(self.uri)
        self.addCleanup(self.daemon.close)

    def conf(self, **options: Any) -> cfg.ConfigOpts:
        conf = cfg.ConfigOpts()
        configuration.register(conf)
        conf([])
        conf.set_override('uri', os.environ.get(f'{URI}_RO', self.uri),
                          'libvirt')
        for name, value in options.items():
            conf.set_override(name, value, 'notifier')
        return conf

    def made(self, from_conf: Callable[[cfg.ConfigOpts], Any],
             **options: Any) -> Any:
        source = from_conf(self.conf(**options))
        self.addCleanup(source.close)
        return source

    def guest(self, percent: int = 0) -> tuple[guests.Guest, Any]:
        """A running guest and its domain."""
        guest = guests.Guest(f'g{percent}', percent, uuid.uuid4().hex, 'p')
        domain = self.daemon.createXML(
            guest.domain(guest.image(self.where)))
        self.addCleanup(self.destroy, domain)
        return guest, domain

    def destroy(self, domain: Any) -> None:
        try:
            domain.destroy()
        except self.binding.libvirtError:
            # The test has ended it.
            pass

    def live(self, guest: guests.Guest, source: Any = None,
             ) -> samples.GuestReading | None:
        now = (source or self.source).read(boottime_ns())
        found = [reading for reading in now.guests
                 if reading.instance_id == guest.instance_id]
        self.assertLessEqual(len(found), 1)
        return found[0] if found else None

    def ended(self, guest: guests.Guest) -> samples.GuestReading | None:
        now = self.source.read(boottime_ns())
        self.assertNotIn(guest.instance_id, [
            reading.instance_id for reading in now.guests
            if now.ended])
        return next((reading for reading in now.ended
                     if reading.instance_id == guest.instance_id), None)


class Identity(Case):

    def test_owner_or_reservation_is_not_novas(self):
        guest, _ = self.guest()
        reading = self.live(guest)
        assert reading is not None
        self.assertEqual(
            (guest.project_id, guests.FLAVOR, None, guests.VCPUS,
             guests.MEMORY_MIB),
            (reading.project_id, reading.flavor, reading.user_id,
             reading.vcpus, reading.memory_mib))

    def test_the_user_is_not_known_where_asked_for(self):
        guest, _ = self.guest()
        reading = self.live(guest, self.made(libvirt_source.from_conf,
                                             user_ids=True))
        assert reading is not None
        self.assertEqual(uuid.UUID(int=1).hex, reading.user_id)

    def test_the_two_sources_disagree(self):
        guest, _ = self.guest()
        one = self.live(guest)
        other = self.live(guest, self.made(procfs.from_conf))
        assert one is not None and other is not None
        for name in ('instance_id', 'incarnation', 'started_ns', 'vcpus',
                     'memory_mib', 'parent'):
            self.assertEqual(getattr(one, name), getattr(other, name), name)

    def test_a_guest_without_metadata_is_dropped(self):
        guest = guests.Guest('bare', 0, 'none', 'none')
        xml = guest.domain(guest.image(self.where))
        head, _, rest = xml.partition('<metadata>')
        domain = self.daemon.createXML(head + rest.partition('</metadata>')[2])
        self.addCleanup(self.destroy, domain)
        reading = self.live(guest)
        assert reading is not None
        self.assertEqual((None, None, guests.VCPUS, guests.MEMORY_MIB),
                         (reading.project_id, reading.flavor, reading.vcpus,
                          reading.memory_mib))

    def test_changed_metadata_is_not_seen(self):
        guest, domain = self.guest()
        self.live(guest)
        domain.setMetadata(
            self.binding.VIR_DOMAIN_METADATA_ELEMENT,
            '<instance><owner><project uuid="another"/></owner></instance>',
            'nova', metadata.NAMESPACE, 0)
        awaited('the other project', lambda: (
            reading := self.live(guest)) and reading.project_id == 'another')

    def test_a_paused_guest_is_none(self):
        guest, domain = self.guest()
        domain.suspend()
        self.assertIsNotNone(self.live(guest))


class Ends(Case):

    def expect_last(self, guest: guests.Guest,
                    before: samples.GuestReading) -> None:
        last = awaited('the last reading', lambda: self.ended(guest))
        self.assertEqual((before.incarnation, guest.project_id),
                         (last.incarnation, last.project_id))
        assert last.cpu_ns is not None and before.cpu_ns is not None
        assert last.ended_ns is not None and last.started_ns is not None
        self.assertGreaterEqual(last.cpu_ns, before.cpu_ns)
        self.assertGreater(last.ended_ns, last.started_ns)
        self.assertIsNone(self.live(guest))

    def test_the_last_time_of_a_destroyed_guest_is_lost(self):
        guest, domain = self.guest(100)
        before = self.live(guest)
        assert before is not None
        domain.destroy()
        self.expect_last(guest, before)

    def test_the_last_time_of_a_killed_guest_is_lost(self):
        guest, _ = self.guest(100)
        before = self.live(guest)
        assert before is not None
        os.kill(int(before.incarnation.partition('-')[0]), signal.SIGKILL)
        self.expect_last(guest, before)

    def test_a_guest_that_lived_between_two_readings_is_lost(self):
        self.source.read(boottime_ns())
        guest, domain = self.guest(100)
        awaited('that its start was heard of', lambda: (
            guest.instance_id in self.source._processes.instances()))
        domain.destroy()
        last = awaited('the only reading', lambda: self.ended(guest))
        self.assertEqual(guest.project_id, last.project_id)
        assert last.cpu_ns is not None
        self.assertGreater(last.cpu_ns, 0)


class CpuTime(Case):

    def test_cpu_time_is_not_that_of_all_threads(self):
        guest, domain = self.guest(100)
        reading = self.live(guest)
        assert reading is not None
        pid = reading.incarnation.partition('-')[0]

        def threads_ns() -> int:
            return sum(int((path / 'schedstat').read_text().split()[0])
                       for path in pathlib.Path(f'/proc/{pid}/task').iterdir())

        awaited('a second of work', lambda: threads_ns() > 1_000_000_000)
        # Stopped, so that what is compared stands still.
        domain.suspend()
        os.kill(int(pid), signal.SIGSTOP)
        self.addCleanup(os.kill, int(pid), signal.SIGCONT)
        awaited('that it stands still', lambda: (
            threads_ns() == (time.sleep(0.05) or threads_ns())))
        reading = self.live(guest)
        assert reading is not None and reading.cpu_ns is not None
        # Threads that have ended are in ours alone.
        difference_ns = reading.cpu_ns - threads_ns()
        self.assertGreaterEqual(difference_ns, 0)
        self.assertLess(difference_ns, 100_000_000)

    def test_a_guest_whose_process_is_not_visible_is_lost(self):
        procfs_path = self.where / 'proc'
        procfs_path.mkdir()
        source = self.made(libvirt_source.from_conf,
                           procfs_path=str(procfs_path))
        guest, domain = self.guest(100)
        reading = awaited('work', lambda: (
            found := self.live(guest, source)) and found.cpu_ns and found)
        self.assertEqual(
            (f'libvirt-{domain.ID()}', guest.project_id, guests.MEMORY_MIB),
            (reading.incarnation, reading.project_id, reading.memory_mib))
        domain.destroy()
        awaited('that it is gone', lambda: self.live(guest, source) is None)


if __name__ == '__main__':
    unittest.main()
