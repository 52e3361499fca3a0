# SPDX-License-Identifier: Apache-2.0
"""A spool stays within its bounds, and says so before it costs anything."""

import itertools
import json
import pathlib

import fixtures
from hypothesis import given
from hypothesis import strategies as st
from oslotest import base

from energy_accounting import spool as spools
from energy_accounting import wire
from energy_accounting.ledger import models
from energy_accounting.spool import bounds
from tests.unit import booking, fuzz, records

DAY_NS = bounds.DAY_NS
LIMITS = bounds.Limits(keep_ns=2 * DAY_NS, max_ns=30 * DAY_NS,
                       max_bytes=1000 * bounds.MIB)
NUMBERS = st.integers(0, 10 ** 15)


def fill(**changes):
    return bounds.Fill(**{'waiting': 0, 'oldest_ns': 0, 'waiting_bytes': 0,
                          'total_bytes': 0, 'free_bytes': 1 << 40,
                          **changes})


class TestJudging(base.BaseTestCase):

    def test_levels_come_at_half_and_at_four_fifths(self):
        for days, level in ((14, bounds.FINE), (15, bounds.HALF),
                            (23, bounds.HALF), (24, bounds.URGENT),
                            (99, bounds.URGENT)):
            found = bounds.judge(fill(oldest_ns=days * DAY_NS), LIMITS)
            self.assertEqual(level, found.level, days)
            self.assertEqual(level == bounds.FINE, found.text == '')
        for size, level in ((499, bounds.FINE), (500, bounds.HALF),
                            (800, bounds.URGENT)):
            self.assertEqual(level, bounds.judge(
                fill(waiting_bytes=size * bounds.MIB), LIMITS).level)

    def test_acknowledged_records_alarm_nobody(self):
        self.assertEqual(bounds.Alarm(), bounds.judge(
            fill(total_bytes=LIMITS.max_bytes), LIMITS))

    def test_disk_is_short_when_the_spool_cannot_grow_to_its_bound(self):
        self.assertEqual(bounds.URGENT, bounds.judge(
            fill(free_bytes=bounds.SHORT_BYTES - 1), LIMITS).level)
        self.assertEqual(bounds.FINE, bounds.judge(
            fill(free_bytes=bounds.SHORT_BYTES), LIMITS).level)
        self.assertEqual(bounds.FINE, bounds.judge(fill(
            free_bytes=9, total_bytes=LIMITS.max_bytes - 9), LIMITS).level)
        self.assertEqual(bounds.FINE, bounds.judge(
            fill(free_bytes=None), LIMITS).level)

    def test_numbers_and_options_are_named(self):
        text = bounds.judge(fill(
            waiting=77, oldest_ns=36 * DAY_NS // 2,
            waiting_bytes=512 * bounds.MIB), LIMITS).text
        self.assertEqual(
            '77 windows wait: 60 % of spool_max_days (18.0 of 30.0 days), '
            '51 % of spool_max_mib (512.0 of 1000.0 MiB); at 100 % the '
            'oldest are lost', text)

    @fuzz.settings(200)
    @given(st.builds(bounds.Fill, NUMBERS, st.integers(-10 ** 18, 10 ** 18),
                     NUMBERS, NUMBERS, st.none() | NUMBERS))
    def test_any_filling_can_be_said_in_a_record(self, some):
        alarm = bounds.judge(some, LIMITS)
        self.assertTrue(alarm.text.isprintable())
        self.assertLess(len(alarm.text), 256)
        self.assertEqual(alarm.level == bounds.FINE, not alarm.text)


class SpoolCase(booking.BookingCase, base.BaseTestCase):

    def setUp(self):
        super().setUp()
        self.path = pathlib.Path(
            self.useFixture(fixtures.TempDir()).path) / 'spool'
        self.log = self.useFixture(fixtures.FakeLogger('energy_accounting'))
        self.spool = None

    def open(self, **options):
        if self.spool is not None:
            self.spool.close()
        self.spool = spools.Spool.open(
            self.path, 'compute-1', 'machine-1', records.SIGNER.key,
            fsync=False, **options)
        self.addCleanup(self.spool.close)
        return self.spool

    def append(self, count, purge=True):
        for _ in range(count):
            number = self.spool.next_sequence
            window = records.window(number, stream=self.spool.stream,
                                    alarm=self.spool.alarm[:255])
            self.spool.append(wire.payload(window), {'n': number},
                              window.end_ns)
            if purge:
                self.spool.purge(window.end_ns)

    def send(self):
        """Have the collector book all there is; the words it answered."""
        results = []
        sequence = self.spool.acknowledged + 1
        while batch := self.spool.records(sequence):
            results += self.book(*(record.payload for record in batch))[0]
            sequence = batch[-1].last + 1
            self.spool.acknowledge(sequence - 1)
        return results

    def on_disk(self):
        return sum(path.stat().st_size for path
                   in self.path.parent.rglob('*') if path.is_file())

    def size_of_one(self):
        self.open()
        self.append(1, purge=False)
        [path] = self.path.glob('*.seg')
        size = path.stat().st_size
        self.spool.close()
        path.unlink()
        return size


class TestBytes(SpoolCase):

    def setUp(self):
        super().setUp()
        # 40 records in some 20 files.
        self.max_bytes = 40 * self.size_of_one()

    def start(self):
        return self.open(max_bytes=self.max_bytes)

    def test_acknowledged_records_go_first_and_without_a_word(self):
        self.start()
        self.append(35)
        self.send()
        self.append(35)
        self.assertLess(self.on_disk(), self.max_bytes + 1000)
        self.assertNotIn('dropped', self.log.output)
        self.assertEqual(['booked'] * 35, self.send())
        self.assertEqual([], self.rows(models.gaps))

    def test_the_oldest_that_wait_are_lost_and_the_balance_says_so(self):
        self.start()
        self.append(10)
        self.send()
        self.append(60)
        self.assertLess(self.on_disk(), self.max_bytes + 1000)
        self.assertIn('never taken by the collector and take more room',
                      self.log.output)
        first, = {record.last for record in self.spool.records(11)
                  if 'lost' in json.loads(record.payload)['kind']}
        self.assertTrue(20 < first < 40)
        self.assertEqual({'booked'}, set(self.send()))
        gap, = self.rows(models.gaps)
        self.assertEqual(
            ('lost', records.START_NS + 10 * records.MINUTE_NS,
             records.START_NS + first * records.MINUTE_NS),
            (gap.reason, gap.start_ns, gap.end_ns))
        self.assertEqual(
            1700 * (70 - (first - 10)),
            sum(row.energy_uj for row in self.rows(models.zone_buckets)))

    def test_a_smaller_bound_counts_from_the_next_window(self):
        self.open()
        self.append(60)
        self.max_bytes //= 2
        self.start()
        self.append(1)
        self.assertLess(self.on_disk(), self.max_bytes + 1000)

    def test_what_was_set_aside_goes_before_any_window(self):
        self.start()
        self.append(10)
        aside = self.path.with_name('spool.aside-1')
        aside.mkdir()
        (aside / 'old.seg').write_bytes(bytes(self.max_bytes // 2))
        damaged = self.path / 'damaged'
        damaged.mkdir()
        (damaged / 'piece').write_bytes(bytes(self.max_bytes // 2))
        self.append(1)
        self.assertEqual([False], [aside.exists()])
        self.append(15)
        self.assertEqual([], list(damaged.iterdir()))
        self.assertEqual(['booked'] * 26, self.send())
        self.assertEqual([], self.rows(models.gaps))

    def test_alarm_is_said_once_for_each_state_and_reaches_the_operator(
            self):
        self.start()
        self.append(39)
        output = self.log.output
        self.assertEqual(1, output.count(' 50 % of spool_max_mib')
                         + output.count(' 51 % of spool_max_mib')
                         + output.count(' 52 % of spool_max_mib'))
        self.assertEqual(2, output.count('windows wait:'))
        self.assertLess(output.index('WARNING' if 'WARNING' in output
                                     else 'windows wait'),
                        output.rindex('windows wait'))
        self.send()
        host, = self.rows(models.hosts)
        self.assertIn('of spool_max_mib', host.alarm)
        self.append(1)
        self.assertIn('there is room again', self.log.output)
        self.assertEqual('', self.spool.alarm)
        self.append(1)
        self.send()
        host, = self.rows(models.hosts)
        self.assertIsNone(host.alarm)


class TestDays(SpoolCase):

    def test_age_of_what_waits_is_an_alarm(self):
        self.open(max_days=10)
        self.append(3)
        start_ns = records.START_NS + records.MINUTE_NS
        texts = []
        for hour in range(24 * 10 + 1):
            now_ns = start_ns + hour * DAY_NS // 24
            self.spool.append('x', {}, now_ns)
            self.spool.purge(now_ns)
            if hour % 24:
                continue
            texts.append(self.spool.alarm[:20])
        levels = [key for key, _ in itertools.groupby(
            bool(text) for text in texts)]
        self.assertEqual([False, True], levels)
        self.assertEqual('', texts[4])
        self.assertNotEqual('', texts[5])
        self.assertIn('80 % of spool_max_days (8.0 of 10.0 days)',
                      self.log.output)
        self.spool.acknowledge(self.spool.newest)
        self.spool.purge(start_ns + 10 * DAY_NS)
        self.assertEqual('', self.spool.alarm)


class TestDamageToTheEnd(SpoolCase):
    """From a file that rots to what the operator's balance shows."""

    def test_rotten_segment_costs_its_windows_and_is_a_gap(self):
        self.open(segment_bytes=1)
        self.append(6)
        self.spool.close()
        rotten = sorted(self.path.glob('*.seg'))[2]
        data = bytearray(rotten.read_bytes())
        data[100] ^= 1
        rotten.write_bytes(data)
        self.open(segment_bytes=1)
        self.assertEqual(7, self.spool.next_sequence)
        self.assertIn('holds no window that can be read', self.log.output)
        self.assertEqual([bytes(data)], [
            path.read_bytes() for path in self.path.glob('damaged/*')])
        self.assertEqual(['booked'] * 6, self.send())
        gap, = self.rows(models.gaps)
        self.assertEqual(
            ('lost', records.START_NS + 2 * records.MINUTE_NS,
             records.START_NS + 3 * records.MINUTE_NS),
            (gap.reason, gap.start_ns, gap.end_ns))
        self.assertEqual(5 * 1700, sum(
            row.energy_uj for row in self.rows(models.zone_buckets)))
        self.assertEqual([], self.rows(models.quarantine))

    def test_meta_that_rots_costs_nothing(self):
        self.open()
        self.append(4)
        stream = self.spool.stream
        for rot in (b'', b'{"version":1', None, 'directory'):
            self.spool.close()
            meta = self.path / 'meta.json'
            if rot == 'directory':
                meta.unlink()
                meta.mkdir()
            elif rot is None:
                meta.unlink()
            else:
                meta.write_bytes(rot)
            self.open()
            self.assertEqual((stream, 5, {'n': 4}), (
                self.spool.stream, self.spool.next_sequence,
                self.spool.last_state()))
        self.assertIn('its records are of this host', self.log.output)
        self.assertEqual(['booked'] * 4, self.send())

    def test_meta_that_rots_makes_no_record_of_another_host_ours(self):
        self.open()
        self.append(4)
        self.spool.close()
        (self.path / 'meta.json').unlink()
        other = spools.Spool.open(self.path, 'compute-2', 'machine-1', 'k',
                                  fsync=False)
        self.addCleanup(other.close)
        self.assertEqual(1, other.next_sequence)
        self.assertTrue(self.path.with_name('spool.aside-1').exists())
