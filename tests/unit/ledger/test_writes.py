# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import dataclasses
import json

from energy_accounting import collector, samples, units
from energy_accounting.ledger import (
    hosts,
    models,
    writes,
)
from tests.unit import booking, records
from tests.unit.ledger import sums


class TestTurns(booking.BookingCase):
    def test_a_stream_starts_with_one_and_goes_on_by_one(self) -> None:
        self.assertEqual((['booked'], 2), self.book(records.window(1)))
        self.assertEqual((['booked', 'booked'], 4), self.book(
            records.window(2), records.window(3)))
        self.assertEqual(sums.Sums(5100, 5100, 5100, 0),
                         sums.sums(self.database))

    def test_a_later_record_changes_nothing(self) -> None:
        self.book(records.window(1))
        before = sums.contents(self.database)
        self.assertEqual((['out_of_order'], 2),
                         self.book(records.window(3)))
        self.assertEqual(before, sums.contents(self.database))

    def test_a_new_stream_does_not_start_in_the_middle(self) -> None:
        self.assertEqual((['out_of_order'], 1), self.book(records.window(7)))

    def test_a_repeated_call_is_acknowledged_and_counts_once(self) -> None:
        call = [records.window(number) for number in (1, 2, 3)]
        self.book(*call)
        before = sums.contents(self.database)
        self.assertEqual((['duplicate'] * 3, 4), self.book(*call))
        after = sums.contents(self.database)
        self.assertEqual(before, after)

    def test_a_record_twice_in_one_call_counts_once(self) -> None:
        one = records.window(1)
        self.assertEqual((['booked', 'duplicate'], 2), self.book(one, one))
        self.assertEqual(1700, sums.sums(self.database).zones)

    def test_another_record_under_a_used_number_is_held_once(self) -> None:
        self.book(records.window(1), records.window(2))
        other = records.window(1, [records.share(active_uj=7)])
        self.assertEqual((['quarantined'], 3), self.book(other))
        self.assertEqual((['duplicate'], 3), self.book(other))
        self.assertEqual(1, len(self.rows(models.quarantine)))
        self.assertEqual(407, sums.sums(self.database).quarantined)

    def test_overlap_in_boottime_is_held_and_the_stream_goes_on(
            self) -> None:
        self.book(records.window(1))
        inside = records.window(
            2, boottime_start_ns=1000 * records.MINUTE_NS + 1)
        self.assert_quarantined(inside, because='overlap')
        self.assertEqual((['booked'], 4), self.book(records.window(3)))

    def test_a_new_boot_may_start_its_time_anew(self) -> None:
        self.book(records.window(1))
        self.assertEqual((['booked'], 3), self.book(records.window(
            2, boot_id='boot-2', boottime_start_ns=0,
            boottime_end_ns=records.MINUTE_NS)))

    def test_a_boot_does_not_come_back(self) -> None:
        self.book(records.window(1), records.window(2, boot_id='boot-2'))
        self.assert_quarantined(
            dataclasses.replace(records.window(1), sequence=3,
                                start_ns=records.START_NS + 1),
            because='overlap')

    def test_two_streams_of_a_host_do_not_overlap(self) -> None:
        self.book(records.window(1))
        self.assert_quarantined(records.window(1, stream='copy'),
                                because='overlap')

    def test_a_stream_id_used_by_two_hosts_is_two_streams(self) -> None:
        self.book(records.window(1))
        self.assertEqual((['booked'], 2), self.book(
            records.window(1, host='compute-2', machine_id='machine-2')))

    def test_two_machines_under_one_name_raise_an_alarm(self) -> None:
        self.book(records.window(1))
        with self.assertLogs('energy_accounting.collector', 'ERROR'):
            self.assert_quarantined(
                records.window(1, stream='stream-2', boot_id='boot-2',
                               machine_id='machine-2'),
                because='two machines')
        self.assertIn('two machines', self.rows(models.hosts)[0].alarm)

    def test_a_cloned_machine_raises_no_alarm(self) -> None:
        """Its name, key and machine are the host's; its boot is not."""
        self.book(records.window(1), records.window(2))
        with self.assertLogs('energy_accounting.collector', 'ERROR'):
            self.assert_quarantined(records.window(2, boot_id='boot-2'),
                                    because='acknowledged as number 2')
        self.assertIn('two machines', self.rows(models.hosts)[0].alarm)

    def test_an_alarm_ends_an_hour_after_its_cause(self) -> None:
        now_ns = booking.NOW_NS
        self.collector = collector.Collector(self.database, None,
                                             lambda: now_ns)
        self.book(records.window(1))
        with self.assertLogs('energy_accounting.collector', 'ERROR'):
            self.book(records.window(
                1, stream='stream-2', boot_id='boot-2',
                machine_id='machine-2'))
        now_ns += 59 * records.MINUTE_NS
        self.book(records.window(2))
        self.assertIsNotNone(self.rows(models.hosts)[0].alarm)
        now_ns += 2 * records.MINUTE_NS
        self.book(records.window(3))
        self.assertIsNone(self.rows(models.hosts)[0].alarm)

    def test_a_machine_that_took_over_a_name_is_booked(self) -> None:
        self.book(records.window(1))
        self.assertEqual((['booked'], 2), self.book(records.window(
            1, stream='stream-2', boot_id='boot-2', machine_id='machine-2',
            start_ns=records.START_NS + 5 * records.MINUTE_NS)))
        gap, = self.rows(models.gaps)
        self.assertEqual('new_stream', gap.reason)
        self.assertEqual(
            (records.START_NS + records.MINUTE_NS,
             records.START_NS + 5 * records.MINUTE_NS),
            (gap.start_ns, gap.end_ns))

    def test_records_of_another_stream_in_the_call_are_left(self) -> None:
        self.assertEqual(
            (['booked', 'out_of_order'], 2),
            self.book(records.window(1), records.window(2, stream='other')))


class TestClockAhead(booking.BookingCase):
    """A host's clock was minutes ahead, and was set right."""

    def ahead(self, sequence: int) -> samples.Window:
        window = records.window(sequence)
        start_ns = booking.NOW_NS + 4 * records.MINUTE_NS
        return dataclasses.replace(
            window, start_ns=start_ns,
            end_ns=start_ns + records.MINUTE_NS,
            parts=(records.part(units.bucket_of(start_ns)),))

    def complete_ns(self) -> int | None:
        return self.database.read(hosts.complete_until)

    def test_nothing_is_complete_in_the_future(self) -> None:
        self.book(records.window(1), self.ahead(2))
        self.assertEqual(booking.NOW_NS, self.complete_ns())
        host, = self.rows(models.hosts)
        self.assertLessEqual(host.last_window_start_ns,
                             host.last_window_end_ns)

    def test_the_newest_window_is_the_last_that_was_booked(self) -> None:
        self.book(self.ahead(1))
        self.book(records.window(2, version='1.1'))
        self.assertEqual(records.START_NS + 2 * records.MINUTE_NS,
                         self.complete_ns())
        self.assertEqual('1.1', self.rows(models.hosts)[0].notifier_version)

    def test_it_is_no_second_machine(self) -> None:
        self.book(self.ahead(1))
        self.book(records.window(2))
        self.assertEqual((['booked'], 2), self.book(records.window(
            1, stream='stream-2', boot_id='boot-2', machine_id='machine-2',
            start_ns=records.START_NS + 5 * records.MINUTE_NS)))

    def test_a_machine_set_up_anew_meanwhile_is_booked(self) -> None:
        self.book(self.ahead(1))
        self.assertEqual((['booked'], 2), self.book(records.window(
            1, stream='stream-2', boot_id='boot-2', machine_id='machine-2',
            start_ns=booking.NOW_NS)))

    def test_what_is_lost_then_is_not_lost_in_the_future(self) -> None:
        self.book(self.ahead(1))
        self.book(records.lost(2, 3))
        gap, = self.rows(models.gaps)
        self.assertEqual((booking.NOW_NS, None), (gap.start_ns, gap.end_ns))


class TestFirstUse(booking.BookingCase):
    def test_a_record_that_does_not_add_up_enrols_its_host(self) -> None:
        [share] = records.window(1).parts[0].shares[:1]
        wrong = records.window(1)
        wrong = dataclasses.replace(wrong, parts=(dataclasses.replace(
            wrong.parts[0], shares=(*wrong.parts[0].shares, share)),))
        self.assertEqual((['quarantined'], 2), self.book(wrong))
        host, = self.rows(models.hosts)
        self.assertEqual(models.PENDING, host.state)
        self.assertEqual((['booked'], 3), self.book(records.window(2)))
        host, = self.rows(models.hosts)
        self.assertEqual(models.ENROLLED, host.state)


class TestEnrolment(booking.BookingCase):
    enrolment = writes.MANUAL

    def set_state(self, state: str) -> None:
        self.database.write(lambda connection: connection.execute(
            models.hosts.update().values(state=state)))

    def test_windows_of_an_unknown_host_are_held(self) -> None:
        self.assert_quarantined(records.window(1), because='enrol')
        host, = self.rows(models.hosts)
        self.assertEqual(models.PENDING, host.state)
        self.set_state(models.ENROLLED)
        self.assertEqual((['booked'], 3), self.book(records.window(2)))

    def test_windows_of_a_retired_host_are_held(self) -> None:
        self.collector = collector.Collector(
            self.database, None, lambda: booking.NOW_NS, writes.FIRST_USE)
        self.book(records.window(1))
        self.set_state(models.RETIRED)
        self.assert_quarantined(records.window(2), because='retired')


class TestHost(booking.BookingCase):
    def test_a_host_says_what_its_newest_window_said(self) -> None:
        self.book(records.window(1), records.window(2, version='1.1'))
        host, = self.rows(models.hosts)
        self.assertEqual(
            (records.START_NS + records.MINUTE_NS,
             records.START_NS + 2 * records.MINUTE_NS, booking.NOW_NS,
             'machine-1', 'two-part/1', ['dram-0', 'package-0'], 'measured',
             40_000_000, 8, 65536, '1.1', None),
            (host.last_window_start_ns, host.last_window_end_ns,
             host.last_received_ns, host.machine_id, host.policy,
             json.loads(host.basis), host.idle_kind, host.idle_power_uw,
             host.cpus, host.memory_mib, host.notifier_version, host.alarm))
