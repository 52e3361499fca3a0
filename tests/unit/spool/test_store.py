# SPDX-License-Identifier: Apache-2.0
"""What the spool promises: stored once is there, and nothing else is."""

import errno
import json
import os
import pathlib
import resource
import shutil
import signal
import subprocess
import sys
import textwrap
import unittest
from unittest import mock

import fixtures
from oslotest import base

from energy_accounting import errors, samples, wire
from energy_accounting import spool as spools
from tests.unit import records

HOUR_NS = 3600 * 10 ** 9
NOW_NS = 1_790_000_000 * 10 ** 9


class SpoolCase(base.BaseTestCase):

    def setUp(self):
        super().setUp()
        self.path = pathlib.Path(
            self.useFixture(fixtures.TempDir()).path) / 'spool'
        self.log = self.useFixture(fixtures.FakeLogger('energy_accounting'))

    def open(self, host='h', machine_id='m', key='k', **options):
        spool = spools.Spool.open(self.path, host, machine_id, key,
                                  **options)
        self.addCleanup(spool.close)
        return spool

    def filled(self, count, **options):
        """A spool with that many records, closed again."""
        spool = self.open(**options)
        fill(spool, count)
        spool.close()
        return spool.stream

    def segments(self):
        return sorted(self.path.glob('*.seg'))


class SizeTest(SpoolCase):

    def test_a_record_that_no_collector_takes_is_stored(self):
        spool = self.open()
        largest = 'ö' * (wire.MAX_BYTES // 2)
        self.assertRaisesRegex(errors.SpoolError, str(wire.MAX_BYTES + 1),
                               spool.append, largest + 'x', {}, NOW_NS)
        self.assertEqual(1, spool.append(largest, {}, NOW_NS))
        self.assertEqual(largest, spool.records(1)[0].payload)

    def test_a_call_has_no_bound_beside_its_largest_record(self):
        spool = self.open()
        for _ in range(5):
            spool.append('x' * (spools.BATCH_BYTES // 2), {}, NOW_NS)
        spool.append('x' * 3 * spools.BATCH_BYTES, {}, NOW_NS)
        batches, following = [], 1
        while batch := spool.records(following):
            batches.append([record.first for record in batch])
            following = batch[-1].last + 1
        self.assertEqual([[1, 2], [3, 4], [5], [6]], batches)


def text(number):
    return f'window {number} öäü {"x" * 50}'


def fill(spool, count, wall_ns=NOW_NS):
    for _ in range(count):
        number = spool.next_sequence
        spool.append(text(number), {'n': number}, wall_ns)


def live(spool, hours):
    """A record an hour after those that are there."""
    for hour in range(1, hours + 1):
        fill(spool, 1, NOW_NS + hour * HOUR_NS)


def payloads(spool, first, limit):
    return [record.payload for record in spool.records(first, limit)]


def oldest(spool):
    """The first number that can still be read."""
    return next(number for number, payload in numbers(spool).items()
                if payload is not None)


def numbers(spool):
    """Each sequence number with its payload, or None when lost."""
    found = {}
    for record in spool.records(1, 10 ** 6, 1 << 40):
        if record.payload.startswith('{'):
            lost = wire.from_payload(record.payload)
            assert (lost.sequence, lost.last) == (record.first, record.last)
            found.update(dict.fromkeys(range(lost.sequence, lost.last + 1)))
        else:
            found[record.first] = record.payload
    return found


def expected(last, *lost):
    return {number: None if number in lost else text(number)
            for number in range(1, last + 1)}


class TestKeeping(SpoolCase):

    def test_new_spool_is_empty_and_has_no_state(self):
        spool = self.open()
        self.assertEqual(
            ([], 1, 0, None),
            (spool.records(1, 10), spool.next_sequence, spool.newest,
             spool.last_state()))

    def test_records_and_state_are_there_after_a_restart(self):
        stream = self.filled(5)
        spool = self.open()
        self.assertEqual(stream, spool.stream)
        self.assertEqual(expected(5), numbers(spool))
        self.assertEqual({'n': 5}, spool.last_state())
        self.assertEqual(6, spool.append(text(6), {'n': 6}, NOW_NS))
        self.assertEqual(expected(6), numbers(spool))

    def test_read_begins_where_asked_and_stops_at_the_limit(self):
        spool = self.open()
        fill(spool, 5)
        self.assertEqual([text(2), text(3)], payloads(spool, 2, 2))
        self.assertEqual([], payloads(spool, 6, 2))

    def test_batch_is_bounded_in_bytes_but_never_empty(self):
        spool = self.open()
        fill(spool, 3)
        size = len(text(1).encode())
        self.assertEqual(1, len(spool.records(1, 60, size - 1)))
        self.assertEqual(2, len(spool.records(1, 60, 2 * size)))

    def test_listeners_hear_of_an_append_that_is_stored(self):
        spool = self.open()
        heard = []
        spool.subscribe(lambda: heard.append(spool.newest))
        fill(spool, 2)
        self.assertEqual([1, 2], heard)

    def test_new_streams_differ(self):
        first = self.open()
        first.close()
        os.rename(self.path, self.path.with_name('moved'))
        self.assertNotEqual(first.stream, self.open().stream)


class TestOwnership(SpoolCase):

    def test_second_process_is_refused(self):
        self.open()
        error = self.assertRaises(errors.SpoolError, self.open)
        self.assertIn('in use', str(error))

    def test_closed_spool_can_be_opened_and_is_written_no_more(self):
        spool = self.open()
        spool.close()
        self.open()
        self.assertRaises(errors.SpoolError, spool.append, 'x', {}, NOW_NS)

    def assert_set_aside(self, stream, spool):
        self.assertNotEqual(stream, spool.stream)
        self.assertEqual((1, None), (spool.next_sequence,
                                     spool.last_state()))
        kept = self.path.with_name('spool.aside-1')
        self.assertEqual(1, len(list(kept.glob('*.seg'))))
        self.assertIn('is set aside', self.log.output)

    def test_spool_of_another_machine_is_not_continued(self):
        stream = self.filled(2)
        self.assert_set_aside(stream, self.open(machine_id='other'))

    def test_spool_of_another_host_is_not_continued(self):
        stream = self.filled(2)
        self.assert_set_aside(stream, self.open(host='other'))

    def test_spool_without_meta_is_not_continued(self):
        stream = self.filled(2)
        (self.path / 'meta.json').unlink()
        self.assert_set_aside(stream, self.open())

    def test_spool_with_broken_meta_is_not_continued(self):
        for body in (b'', b'{}', b'[]', b'\xff\xff', b'{"version": 99}'):
            with self.subTest(body=body):
                stream = self.filled(2)
                (self.path / 'meta.json').write_bytes(body)
                spool = self.open()
                self.assertNotEqual(stream, spool.stream)
                spool.close()
        self.assertEqual(5, len(list(self.path.parent.glob('*.aside-*'))))

    def test_killed_while_it_began_leaves_nothing_to_set_aside(self):
        self.path.mkdir()
        (self.path / 'meta.json.new').write_text('{"ver')
        self.open()
        self.assertEqual([], list(self.path.parent.glob('*.aside-*')))

    def test_unwritable_place_is_an_error_that_names_it(self):
        self.path = pathlib.Path('/proc/nowhere/spool')
        error = self.assertRaises(errors.SpoolError, self.open)
        self.assertIn('/proc/nowhere/spool', str(error))



class TestRenewing(SpoolCase):

    def setUp(self):
        super().setUp()
        self.spool = self.open()
        self.stream = self.spool.stream
        for _ in range(5):
            number = self.spool.next_sequence
            self.spool.append(wire.payload(records.window(
                number, [records.share(active_uj=number)],
                stream=self.stream)), {'n': number}, NOW_NS + number)

    def windows(self):
        """Number and energy of each record; None for a lost one."""
        found = []
        for record in self.spool.records(1, 100):
            one = wire.from_payload(record.payload)
            self.assertEqual((record.first, self.spool.stream),
                             (one.sequence, one.stream))
            found.append((one.sequence, one.parts[0].shares[0].active_uj
                          if isinstance(one, samples.Window) else None))
        return found

    def reopen(self):
        self.spool.close()
        self.spool = self.open()

    def test_records_are_sent_under_another_key_than_the_streams(self):
        self.spool.acknowledge(3)
        self.spool.close()
        self.spool = self.open(key='other')
        self.assertNotEqual(self.stream, self.spool.stream)
        self.assertEqual([(1, 4), (2, 5)], self.windows())
        self.assertIn('another key', self.log.output)
        stream = self.spool.stream
        self.spool.close()
        self.spool = self.open(key='other')
        self.assertEqual(stream, self.spool.stream)

    def test_windows_that_were_not_sent_go_into_the_new_stream(self):
        self.spool.renew('of a reason', 3)
        for _ in range(2):
            self.assertNotEqual(self.stream, self.spool.stream)
            self.assertEqual([(1, 4), (2, 5)], self.windows())
            self.assertEqual(({'n': 5}, 3), (
                self.spool.last_state(), self.spool.next_sequence))
            self.reopen()
        [aside] = self.path.parent.glob('*.aside-*')
        self.assertTrue(list(aside.glob('*.seg')))

    def test_baselines_survive_when_there_is_nothing_to_take_along(self):
        self.spool.renew('of a reason', 5)
        for _ in range(2):
            self.assertEqual([], self.windows())
            self.assertEqual({'n': 5}, self.spool.last_state())
            self.reopen()

    def test_unreadable_window_is_taken_along_as_lost(self):
        [segment] = self.segments()
        data = bytearray(segment.read_bytes())
        data[data.index(b'"sequence":4') + 5] ^= 1
        segment.write_bytes(data)
        self.spool.renew('of a reason', 2)
        self.assertEqual([(1, 3), (2, None), (3, 5)], self.windows())

    def test_window_beside_an_unreadable_one_is_soon_too_old(self):
        [segment] = self.segments()
        data = bytearray(segment.read_bytes())
        data[data.index(b'"sequence":4') + 5] ^= 1
        segment.write_bytes(data)
        self.spool.close()
        # A file for what is lost and the one before it.
        self.spool = self.open(segment_bytes=1500)
        self.spool.renew('of a reason', 2)
        self.assertEqual(2, len(self.segments()))
        for _ in range(2):
            self.spool.purge(NOW_NS + 60 * 10 ** 9)
            self.assertEqual('', self.spool.alarm)
            self.assertEqual([(1, 3), (2, None), (3, 5)], self.windows())
            self.reopen()

    def test_one_rename_that_fails_ends_the_spool(self):
        rename = os.rename

        def failing(source, target):
            if any(str(name).endswith(suffix) for name, suffix in (
                    (source, failing.source), (target, failing.target))):
                raise OSError(errno.EIO, 'as provoked')
            rename(source, target)

        # The draft's; and with it the one that would undo the first.
        for source, target in (('.new', 'never'), ('.new', 'spool')):
            failing.source, failing.target = source, target
            with mock.patch.object(os, 'rename', failing):
                self.assertRaises(errors.SpoolError, self.spool.renew,
                                  'of a reason', 3)
        # It is one or the other as a whole, without a restart.
        self.assertEqual([(1, 4), (2, 5)], self.windows())

    def test_rename_that_fails_changes_the_stream(self):
        rename = os.rename

        def failing(source, target):
            if str(source).endswith('.new'):
                raise OSError(errno.EIO, 'as provoked')
            rename(source, target)

        with mock.patch.object(os, 'rename', failing):
            self.assertRaises(errors.SpoolError, self.spool.renew,
                              'of a reason', 3)
        self.assertEqual(self.stream, self.spool.stream)
        self.assertEqual([(number, number) for number in range(1, 6)],
                         self.windows())
        self.spool.append(wire.payload(records.window(
            6, [records.share(active_uj=6)], stream=self.stream)),
            {'n': 6}, NOW_NS)
        for _ in range(2):
            self.assertEqual([(number, number) for number in range(1, 7)],
                             self.windows())
            self.reopen()

    def test_index_that_fails_gives_numbers_away_twice(self):
        with mock.patch.object(
                spools.store.segments.Segments, 'scan', autospec=True,
                side_effect=OSError(errno.EIO, 'as provoked')):
            self.assertRaises(errors.SpoolError, self.spool.renew,
                              'of a reason', 3)
            self.assertEqual([], self.spool.records(1))
            self.assertRaises(errors.SpoolError, self.spool.append, 'x', {},
                              NOW_NS)
            self.assertRaises(errors.SpoolError, self.spool.renew,
                              'of a reason', 3)
        with self.spool.exclusive():
            self.assertEqual(3, self.spool.next_sequence)
        self.assertEqual([(1, 4), (2, 5)], self.windows())
        self.assertEqual({'n': 5}, self.spool.last_state())

    def test_killed_at_any_moment_is_the_old_one_or_all_of_the_new_one(
            self):
        for broken in ('_begin', '_put', 'keep_baseline', '_set_aside',
                       '_load'):
            with self.subTest(broken), mock.patch.object(
                    spools.Spool, broken, autospec=True,
                    side_effect=OSError('killed')):
                self.assertRaises(errors.SpoolError, self.spool.renew,
                                  'of a reason', 3)
            self.reopen()
            self.assertEqual(
                [(1, 4), (2, 5)] if broken == '_load'
                else [(number, number) for number in range(1, 6)],
                self.windows())
            self.assertEqual({'n': 5}, self.spool.last_state())
            self.assertEqual([], list(self.path.parent.glob('*.new')))


class TestFirstBaseline(SpoolCase):

    def test_it_is_there_after_a_kill_before_the_first_record(self):
        self.open().keep_baseline({'n': 'first'})
        self.path = shutil.copytree(self.path, self.path.parent / 'b/spool')
        self.assertEqual({'n': 'first'}, self.open().last_state())

    def test_it_is_used_until_a_record_follows_and_never_after(self):
        spool = self.open()
        fill(spool, 1)
        spool.keep_baseline({'n': 'anew'})
        spool.close()
        spool = self.open()
        self.assertEqual({'n': 'anew'}, spool.last_state())
        fill(spool, 1)
        spool.close()
        self.assertEqual({'n': 2}, self.open().last_state())

    def test_broken_one_is_none(self):
        self.open().close()
        (self.path / 'baseline.json').write_text('[')
        self.assertIsNone(self.open().last_state())


class TestDamage(SpoolCase):

    def test_power_cut_at_any_byte_loses_only_the_record_being_written(self):
        stream = self.filled(2)
        [path] = self.segments()
        before = path.stat().st_size
        spool = self.open()
        fill(spool, 1)
        spool.close()
        whole = path.read_bytes()
        for size in range(before, len(whole)):
            path.write_bytes(whole[:size])
            spool = spools.Spool.open(self.path, 'h', 'm', 'k', fsync=False)
            self.assertEqual((stream, {'n': 2}, 3), (
                spool.stream, spool.last_state(), spool.next_sequence))
            fill(spool, 1)
            self.assertEqual(expected(3), numbers(spool))
            spool.close()
            self.assertEqual(whole, path.read_bytes())
        self.assertFalse((self.path / 'damaged').exists())

    def test_tail_of_zeros_is_no_record(self):
        self.filled(2)
        [path] = self.segments()
        with open(path, 'ab') as file:
            file.write(bytes(5000))
        spool = self.open()
        self.assertEqual(3, spool.next_sequence)
        fill(spool, 1)
        self.assertEqual(expected(3), numbers(spool))

    def test_any_flipped_byte_loses_one_record_and_says_so(self):
        self.filled(3)
        [path] = self.segments()
        whole = path.read_bytes()
        size = len(whole) // 3
        for position in range(size, 2 * size):
            damaged = bytearray(whole)
            damaged[position] ^= 0x41
            path.write_bytes(damaged)
            spool = spools.Spool.open(self.path, 'h', 'm', 'k', fsync=False)
            self.assertEqual(expected(3, 2), numbers(spool), position)
            self.assertEqual({'n': 3}, spool.last_state())
            spool.close()
        self.assertIn('cannot be read', self.log.output)
        self.assertEqual(whole[size + 1:2 * size],
                         next(self.path.glob('damaged/*')).read_bytes()[1:])

    def test_byte_that_flips_while_it_is_open_loses_one_record(self):
        spool = self.open()
        fill(spool, 3)
        [path] = self.segments()
        with open(path, 'r+b') as file:
            file.seek(path.stat().st_size // 2)
            file.write(b'\0')
        self.assertEqual(expected(3, 2), numbers(spool))
        # And again: the answer does not change.
        self.assertEqual(expected(3, 2), numbers(spool))

    def test_missing_segment_is_one_lost_record_for_all_of_it(self):
        self.filled(6, segment_bytes=300)
        names = self.segments()
        self.assertGreater(len(names), 2)
        first, after = int(names[1].stem), int(names[2].stem)
        names[1].unlink()
        spool = self.open()
        self.assertEqual(expected(6, *range(first, after)), numbers(spool))
        self.assertIn((first, after - 1), [
            (record.first, record.last) for record in spool.records(1)])

    def test_emptied_segment_in_the_middle_is_lost(self):
        self.filled(6, segment_bytes=300)
        names = self.segments()
        names[1].write_bytes(b'')
        lost = range(int(names[1].stem), int(names[2].stem))
        self.assertEqual(expected(6, *lost), numbers(self.open()))

    def test_garbage_segment_in_the_middle_is_lost_and_kept(self):
        self.filled(6, segment_bytes=300)
        names = self.segments()
        names[1].write_bytes(b'garbage' * 100)
        lost = range(int(names[1].stem), int(names[2].stem))
        for _ in range(2):
            spool = self.open()
            self.assertEqual(expected(6, *lost), numbers(spool))
            spool.close()
        self.assertTrue((self.path / 'damaged' / names[1].name).exists())

    def test_acknowledged_record_that_rots_is_not_given_its_number_again(
            self):
        spool = self.open()
        fill(spool, 2)
        spool.acknowledge(2)
        spool.close()
        [path] = self.segments()
        data = path.read_bytes()
        path.write_bytes(data[:-3])
        spool = self.open()
        self.assertEqual(3, spool.next_sequence)
        # Going on from record 1 would measure the time of 2 again.
        self.assertIsNone(spool.last_state())
        fill(spool, 1)
        self.assertEqual(expected(3, 2), numbers(spool))

    def test_state_before_an_unreadable_unsent_record_measures_it_again(self):
        self.filled(3, segment_bytes=150)
        names = self.segments()
        self.assertEqual(3, len(names))
        names[2].write_bytes(b'')
        spool = self.open()
        self.assertEqual(({'n': 2}, 3),
                         (spool.last_state(), spool.next_sequence))

    def test_missing_acknowledgement_only_sends_again(self):
        spool = self.open()
        fill(spool, 2)
        spool.acknowledge(2)
        spool.close()
        (self.path / 'acknowledged').write_text('')
        spool = self.open()
        self.assertEqual((0, 3), (spool.acknowledged, spool.next_sequence))


class TestLettingGo(SpoolCase):

    def test_acknowledged_segments_go_when_they_are_old_enough(self):
        spool = self.open(segment_bytes=300, keep_hours=48)
        fill(spool, 6)
        live(spool, 48)
        count = len(self.segments())
        spool.acknowledge(54)
        spool.purge(NOW_NS + 48 * HOUR_NS)
        self.assertEqual(count, len(self.segments()))
        spool.purge(NOW_NS + 48 * HOUR_NS + 1)
        self.assertIn(oldest(spool), (6, 7))
        gone = range(1, oldest(spool))
        self.assertEqual(expected(54, *gone), numbers(spool))

    def test_newest_segment_goes_and_with_it_where_to_go_on(self):
        spool = self.open(segment_bytes=300, keep_hours=0)
        fill(spool, 6)
        spool.acknowledge(6)
        spool.purge(NOW_NS + 1)
        self.assertEqual(1, len(self.segments()))
        spool.close()
        self.assertEqual({'n': 6}, self.open().last_state())

    def test_unacknowledged_segments_stay_until_the_last_day_then_say_so(
            self):
        spool = self.open(segment_bytes=300, keep_hours=1, max_days=2)
        fill(spool, 6)
        live(spool, 48)
        spool.purge(NOW_NS + 48 * HOUR_NS)
        self.assertEqual(expected(54), numbers(spool))
        self.assertNotIn('never taken', self.log.output)
        spool.purge(NOW_NS + 48 * HOUR_NS + 1)
        self.assertIn(oldest(spool), (6, 7))
        self.assertIn('never taken', self.log.output)

    def test_clock_that_leaps_deletes_what_was_not_sent(self):
        for leap_ns in (31 * 24 * HOUR_NS, 2000 * 24 * HOUR_NS):
            spool = self.open(segment_bytes=300, keep_hours=1, max_days=2)
            last = spool.newest
            fill(spool, 6, NOW_NS)
            # Set ahead, and back, and ahead again across a restart.
            for wall_ns in (NOW_NS + leap_ns, NOW_NS, NOW_NS + leap_ns):
                spool.purge(wall_ns)
                fill(spool, 6, wall_ns)
                spool.purge(wall_ns)
                spool.close()
                spool = self.open(segment_bytes=300, keep_hours=1,
                                  max_days=2)
            self.assertEqual(expected(last + 24), numbers(spool))
            self.assertNotIn('spool_max_days', self.log.output)
            spool.close()

    def test_half_acknowledged_segment_stays(self):
        spool = self.open(segment_bytes=300)
        fill(spool, 6)
        spool.acknowledge(int(self.segments()[1].stem) - 2)
        live(spool, 100)
        spool.purge(NOW_NS + 100 * HOUR_NS)
        self.assertEqual(expected(106), numbers(spool))

    def test_segments_stay_near_their_size(self):
        spool = self.open(segment_bytes=1000)
        fill(spool, 30)
        sizes = [path.stat().st_size for path in self.segments()]
        self.assertGreater(len(sizes), 3)
        self.assertLessEqual(max(sizes), 1000)
        self.assertEqual(expected(30), numbers(spool))

    def test_purged_spool_opens_with_the_same_numbers(self):
        spool = self.open(segment_bytes=300)
        fill(spool, 6)
        live(spool, 50)
        spool.acknowledge(56)
        spool.purge(NOW_NS + 50 * HOUR_NS)
        first = oldest(spool)
        self.assertGreater(first, 1)
        spool.close()
        spool = self.open()
        self.assertEqual((first, 57), (oldest(spool), spool.next_sequence))
        self.assertEqual(expected(56, *range(1, first)), numbers(spool))


CHILD = textwrap.dedent("""
    import os, sys
    from energy_accounting import spool as spools
    spool = spools.Spool.open(sys.argv[1], 'h', 'm', 'k')
    while True:
        number = spool.next_sequence
        spool.append('%d' % number, {'n': number}, 1)
        print(number, flush=True)
""")


class TestRealFailures(SpoolCase):

    def test_kill_9_loses_nothing_that_was_reported_stored(self):
        self.open().close()
        last = 0
        for _ in range(3):
            child = subprocess.Popen(
                [sys.executable, '-c', CHILD, self.path],
                stdout=subprocess.PIPE, text=True)
            for _ in range(20):
                last = int(child.stdout.readline())
            child.send_signal(signal.SIGKILL)
            told = [int(line) for line in child.stdout.read().split('\n')
                    if line]
            child.wait()
            child.stdout.close()
            last = told[-1] if told else last
            spool = spools.Spool.open(self.path, 'h', 'm', 'k')
            # At most the one that was under way may be there unreported.
            self.assertIn(spool.newest, (last, last + 1))
            self.assertEqual({'n': spool.newest}, spool.last_state())
            self.assertEqual(
                [str(number) for number in range(1, spool.newest + 1)],
                payloads(spool, 1, 10 ** 6))
            last = spool.newest
            spool.close()

    def limited(self, size):
        """No file of this process may grow beyond a size until undone."""
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))

        def undo():
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
            signal.signal(signal.SIGXFSZ, handler)
        return undo

    def test_failed_append_leaves_nothing_and_the_next_one_works(self):
        spool = self.open()
        fill(spool, 2)
        [path] = self.segments()
        size = path.stat().st_size
        undo = self.limited(size + 40)
        try:
            error = self.assertRaises(errors.SpoolError, fill, spool, 1)
            self.assertEqual((3, {'n': 2}), (spool.next_sequence,
                                             spool.last_state()))
            left = path.stat().st_size
        finally:
            undo()
        self.assertIn(os.strerror(errno.EFBIG), str(error))
        self.assertEqual(size, left)
        fill(spool, 1)
        self.assertEqual(expected(3), numbers(spool))
        spool.close()
        self.assertEqual(expected(3), numbers(self.open()))

    def test_failed_first_append_leaves_no_segment(self):
        spool = self.open()
        undo = self.limited(10)
        try:
            self.assertRaises(errors.SpoolError, fill, spool, 1)
            self.assertEqual([], self.segments())
        finally:
            undo()
        fill(spool, 1)
        self.assertEqual(expected(1), numbers(spool))

    def test_vanished_directory_is_an_error_not_a_loss(self):
        spool = self.open(segment_bytes=100)
        fill(spool, 1)
        moved = self.path.with_name('moved')
        os.rename(self.path, moved)
        self.assertRaises(errors.SpoolError, fill, spool, 1)
        os.rename(moved, self.path)
        fill(spool, 1)
        self.assertEqual(expected(2), numbers(spool))


class TestForm(SpoolCase):

    def test_body_is_the_documented_json(self):
        self.filled(1)
        [path] = self.segments()
        data = path.read_bytes()
        self.assertEqual(b'EAr1', data[:4])
        self.assertEqual(
            {'sequence': 1, 'payload': text(1), 'state': {'n': 1}},
            json.loads(data[28:]))


if __name__ == '__main__':
    unittest.main()
