# SPDX-License-Identifier: Apache-2.0
"""The spool on disks that are full or may not be written: real ones.

Small file systems in memory, mounted for each test.  Whatever the disk
does, nothing is half written, nothing is lost beyond what is stated, and
work goes on by itself once there is room again.
"""

import dataclasses
import os
import pathlib
import random
import subprocess
import unittest
from unittest import mock

import fixtures
from oslotest import base

from energy_accounting import errors, wire
from energy_accounting import sender as senders
from energy_accounting import spool as spools
from tests.unit import records, test_notifier

KIB = 1024
REQUIRED = os.environ.get('CI') or os.environ.get('EA_TEST_REQUIRE')


@unittest.skipUnless(os.geteuid() == 0 or REQUIRED, 'mounting needs root')
class DiskCase(base.BaseTestCase):

    size_kib = 64

    def setUp(self):
        super().setUp()
        self.disk = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        subprocess.run(['mount', '-t', 'tmpfs', '-o',
                        f'size={self.size_kib}k', 'none', self.disk],
                       check=True)
        self.addCleanup(subprocess.run, ['umount', '-l', self.disk],
                        check=True)
        self.path = self.disk / 'spool'
        self.log = self.useFixture(fixtures.FakeLogger('energy_accounting'))
        self.spool = None

    def open(self, **options):
        if self.spool is not None:
            self.spool.close()
        self.spool = spools.Spool.open(self.path, 'h', 'm', 'k', **options)
        self.addCleanup(self.spool.close)
        return self.spool

    def append(self, count=1):
        for _ in range(count):
            number = self.spool.next_sequence
            self.spool.append(text(number), {'n': number}, number)

    def fill_up(self, leave=0):
        """Take all the room that is left, but for so many bytes."""
        ballast = self.disk / 'ballast'
        fd = os.open(ballast, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        try:
            while True:
                os.write(fd, bytes(4 * KIB))
        except OSError:
            os.ftruncate(fd, max(0, os.fstat(fd).st_size - leave))
        finally:
            os.close(fd)

    def make_room(self):
        (self.disk / 'ballast').unlink()

    def read_only(self, on=True):
        self.spool.close()
        self.remount('ro' if on else 'rw')

    def remount(self, mode):
        subprocess.run(['mount', '-o', f'remount,{mode}', self.disk],
                       check=True)

    def assert_holds(self, last):
        """Records 1 to ``last``, whole, and the last one's baselines."""
        self.assertEqual(
            [text(number) for number in range(1, last + 1)],
            [record.payload for record in self.spool.records(
                1, 10 ** 6, 1 << 30)])
        self.assertEqual({'n': last}, self.spool.last_state())


def text(number):
    return f'window {number} {"x" * 300}'


class TestFull(DiskCase):

    def test_append_stores_all_or_nothing_and_goes_on_by_itself(self):
        self.open()
        self.append(3)
        self.fill_up(leave=4 * KIB)
        stored = 3
        while True:
            try:
                self.append()
            except errors.SpoolError as error:
                self.assertIn('No space left', str(error))
                break
            stored += 1
        for _ in range(3):
            self.assertRaises(errors.SpoolError, self.append)
        self.assert_holds(stored)
        # A restart in the middle of it, too.
        self.open()
        self.assert_holds(stored)
        self.assertRaises(errors.SpoolError, self.append)
        self.make_room()
        self.append(2)
        self.assert_holds(stored + 2)
        self.open()
        self.assert_holds(stored + 2)

    def test_acknowledged_windows_make_way_on_a_full_disk(self):
        self.open(segment_bytes=4 * KIB)
        self.append(30)
        self.spool.acknowledge(20)
        self.fill_up()
        self.append(15)
        self.assertIn('acknowledged windows are dropped before their time',
                      self.log.output)
        kept = self.spool.records(1, 99, 1 << 30)
        # What was never acknowledged is all there.
        self.assertEqual(
            [text(number) for number in range(21, 46)],
            [record.payload for record in kept if record.first > 20])

    def test_what_waits_never_makes_way(self):
        self.open(segment_bytes=4 * KIB)
        self.append(30)
        self.fill_up()
        stored = 30
        with self.assertRaisesRegex(errors.SpoolError, 'No space left'):
            for _ in range(30):
                self.append()
                stored += 1
        self.assert_holds(stored)

    def test_acknowledge_and_purge_work_where_nothing_can_be_written(self):
        self.open(segment_bytes=4 * KIB, keep_hours=0)
        self.append(40)
        self.fill_up()
        self.spool.acknowledge(30)
        self.assertEqual(30, self.spool.acknowledged)
        self.spool.purge(1 << 62)
        self.assertGreater(self.spool.records(1)[0].last, 1)
        # That made room.
        self.append(3)
        self.open(segment_bytes=4 * KIB, keep_hours=0)
        self.assertEqual(44, self.spool.next_sequence)

    def test_renewal_that_finds_no_room_changes_nothing(self):
        self.open()
        self.append(30)
        stream = self.spool.stream
        self.fill_up()
        self.assertRaises(errors.SpoolError, self.spool.renew, 'copied', 10)
        self.assertEqual(stream, self.spool.stream)
        self.assert_holds(30)
        self.make_room()
        self.append()
        self.spool.renew('copied', 10)
        self.assertNotEqual(stream, self.spool.stream)
        self.assertEqual(21, self.spool.newest)
        self.assertEqual({'n': 31}, self.spool.last_state())

    def test_first_start_says_what_is_missing_and_leaves_nothing(self):
        self.fill_up()
        error = self.assertRaises(errors.SpoolError, self.open)
        self.assertIn('No space left', str(error))
        self.make_room()
        self.open()
        self.append()
        self.assert_holds(1)

    def test_short_disk_is_an_alarm_before_it_is_full(self):
        self.open()
        self.append()
        self.spool.purge(1)
        self.assertIn('the disk has 0.0 MiB left: make room',
                      self.spool.alarm)
        self.assertEqual(1, self.log.output.count('the disk has'))


class TestReadOnly(DiskCase):

    def test_what_waits_can_be_read_after_a_restart(self):
        self.open()
        self.append(5)
        self.read_only()
        self.open()
        self.assert_holds(5)
        self.assertRaises(errors.SpoolError, self.append)
        self.spool.acknowledge(3)
        self.spool.purge(1 << 62)
        self.assertRaises(errors.SpoolError, self.spool.renew, 'x', 0)
        self.assertRaises(errors.SpoolError, self.spool.keep_baseline, {})
        self.assert_holds(5)
        # Writable again, without a restart.
        self.remount('rw')
        self.append()
        self.assert_holds(6)
        self.open()
        self.assert_holds(6)

    def test_torn_record_on_a_read_only_disk_is_cut_off_later(self):
        self.open()
        self.append(2)
        [path] = self.path.glob('*.seg')
        size = path.stat().st_size
        self.append()
        os.truncate(path, path.stat().st_size - 5)
        self.read_only()
        self.open()
        self.assert_holds(2)
        self.remount('rw')
        self.append()
        self.assert_holds(3)
        self.assertEqual(size * 3 // 2, path.stat().st_size)

    def test_garbage_on_a_read_only_disk_is_never_written_over(self):
        self.open(segment_bytes=1)
        self.append(3)
        garbage = sorted(self.path.glob('*.seg'))[-1]
        garbage.write_bytes(b'precious' * 20)
        self.read_only()
        self.open(segment_bytes=1)
        self.assertEqual(3, self.spool.next_sequence)
        self.remount('rw')
        self.append()
        self.assert_holds(3)
        self.assertEqual([b'precious' * 20], [
            path.read_bytes() for path in self.path.glob('damaged/*')])

    def test_second_process_is_kept_out_there_too(self):
        self.open()
        self.append()
        self.read_only()
        self.open()
        with self.assertRaisesRegex(errors.SpoolError, 'in use'):
            spools.Spool.open(self.path, 'h', 'm', 'k')


class TestNotifierOnAFullDisk(DiskCase, test_notifier.NotifierCase):
    """Ticks go on, windows are held, and every joule arrives."""

    size_kib = 256

    def setUp(self):
        super().setUp()
        self.settings = dataclasses.replace(
            self.settings, state_path=self.disk, spool_max_bytes=1024 * KIB)

    def test_no_joule_is_lost_over_a_disk_that_fills_and_empties(self):
        chance = random.Random(3)
        self.start().step()
        for _ in range(8):
            self.live(chance.randrange(10, 200))
            self.fill_up(leave=chance.choice([0, 100, 2 * KIB]))
            with mock.patch.object(
                    self.notifier, 'step',
                    self.guarded(self.notifier.step)):
                self.live(chance.randrange(60, 400))
            self.make_room()
        self.assertIn('cannot be written', self.refused[0])
        self.assert_all_is_booked()
        self.assertEqual([], [gap for window in self.windows()
                              for gap in window.gaps])

    def guarded(self, step):
        self.refused = getattr(self, 'refused', [''])

        def guarded_step():
            try:
                step()
            except errors.SpoolError as error:
                self.refused.insert(0, str(error))
        return guarded_step

    def test_what_waits_is_sent_from_a_disk_that_is_read_only(self):
        self.start().step()
        self.live(200)
        self.read_only()
        self.start()
        sent = []

        def call(batch):
            sent.extend(batch)
            last = wire.from_payload(batch[-1].payload).sequence
            return senders.rpc.Reply(('booked',) * len(batch), last + 1)
        senders.Sender(self.spool, call, records.SIGNER.sign,
                       self.machine).send_pending()
        self.assertEqual([1, 2, 3, 4], [
            wire.from_payload(one.payload).sequence for one in sent])
