# SPDX-License-Identifier: Apache-2.0
"""What operators decide about records in quarantine, and what follows."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import sqlalchemy as sa

from energy_accounting import collector, errors, samples, signing, units, wire
from energy_accounting.ledger import (
    audit,
    balance,
    decisions,
    models,
    purge,
    register,
    writes,
)
from tests.unit import booking, records
from tests.unit.ledger import sums

OPERATOR = audit.Actor('an operator', 'req-1')
WATT = units.UJ_PER_J


class DecisionCase(booking.BookingCase):
    """Records are booked when they were measured, and decided about."""

    def setUp(self) -> None:
        super().setUp()
        self.now_ns = records.START_NS + 60 * records.MINUTE_NS
        self.collector = collector.Collector(
            self.database, None, lambda: self.now_ns, self.enrolment)

    def held(self, sequence: int = 1) -> Any:
        one, = [row for row in self.rows(models.quarantine)
                if row.sequence == sequence]
        return one

    def release(self, sequence: int = 1) -> list[str]:
        return self.database.write(decisions.release, self.held(sequence).id,
                                   self.now_ns, OPERATOR, 'it is true')

    def discard(self, sequence: int = 1) -> list[str]:
        return self.database.write(decisions.discard, self.held(sequence).id,
                                   self.now_ns, OPERATOR, 'it is not true')

    def refused(self, remedy: str, sequence: int = 1) -> None:
        """That a record stays what it is, and what the operator is told."""
        before = sums.contents(self.database)
        with self.assertRaises(errors.Conflict) as caught:
            self.release(sequence)
        self.assertIn(remedy, str(caught.exception))
        self.assertEqual(before, sums.contents(self.database))

    def decisions(self) -> list[Any]:
        return [row for row in self.rows(models.audit)
                if row.kind == audit.QUARANTINE]

    def balance(self) -> balance.Balance:
        bucket = units.bucket_of(records.START_NS)
        found = self.database.read(balance.read, bucket - 400, bucket + 4000)
        self.assertEqual(found.zones_uj, sum(found.booked_uj.values()))
        self.assertEqual(found.zones_uj, found.projects_uj)
        return found

    def assert_balance(self, booked: int, quarantined: int,
                       disputed: int = 0) -> None:
        """In windows of 1700 uJ."""
        found = self.balance()
        self.assertEqual(
            (1700 * booked, 1700 * quarantined, 1700 * disputed),
            (found.zones_uj, found.quarantined_uj, found.disputed_uj))

    def gaps(self) -> list[tuple[str, float, float | None]]:
        """Reason, first and last minute since the start."""
        def minute(at_ns: int) -> float:
            return (at_ns - records.START_NS) / records.MINUTE_NS
        return sorted(
            (row.reason, minute(row.start_ns),
             None if row.end_ns is None else minute(row.end_ns))
            for row in self.rows(models.gaps))


def hungry(sequence: int, **changes: Any) -> samples.Window:
    """A window that drew more than its notifier says the host can."""
    return records.window(
        sequence, [records.share(active_uj=10 ** 9, memory_uj=None)],
        basis=('package-0',), **{'max_power_uw': WATT, **changes})


def crooked(sequence: int) -> samples.Window:
    """A window that does not add up."""
    one = records.window(sequence)
    return dataclasses.replace(one, parts=(dataclasses.replace(
        one.parts[0], zones_uj={'package-0': 1}),))


class TestRelease(DecisionCase):
    enrolment = writes.MANUAL

    def enrol(self, **changes: Any) -> None:
        self.database.write(lambda connection: connection.execute(
            models.hosts.update().values(
                state=models.ENROLLED, public_key=records.SIGNER.key,
                **changes)))

    def test_what_was_held_for_want_of_enrolment_is_lost(self) -> None:
        self.book(*(records.window(number) for number in (1, 2, 3)))
        self.assert_balance(0, 0, 3)
        self.refused('enrol the host first')
        self.enrol()
        self.assert_balance(0, 3)
        self.book(records.window(4))
        for number in (2, 1, 3):
            self.assertEqual([], self.release(number))
        self.assert_balance(4, 0)
        self.assertEqual([], self.gaps())
        measured, = self.rows(models.host_buckets)
        self.assertEqual(4 * records.MINUTE_NS, measured.measured_ns)

    def test_a_release_moves_the_stream(self) -> None:
        self.book(records.window(1), records.window(2))
        self.enrol()
        before = [row[:7] for row in self.rows(models.streams)]
        acknowledged = self.rows(models.acknowledged)
        self.release(1)
        self.assertEqual(before, [row[:7] for row
                                  in self.rows(models.streams)])
        self.assertEqual(acknowledged, self.rows(models.acknowledged))
        self.assertEqual((['booked'], 4), self.book(records.window(3)))

    def test_a_record_is_booked_twice(self) -> None:
        self.book(records.window(1))
        self.enrol()
        self.release()
        self.refused('nothing is left to decide')
        with self.assertRaises(errors.Conflict):
            self.discard()
        self.assertEqual((['duplicate'], 2), self.book(records.window(1)))
        self.assert_balance(1, 0)

    def test_another_stream_books_the_time_of_a_released_record(
            self) -> None:
        self.book(records.window(1))
        self.enrol()
        self.release()
        self.assertEqual((['quarantined'], 2), self.book(
            records.window(1, stream='stream-2')))
        self.assertEqual('overlap', self.rows(models.quarantine)[-1].code)

    def test_a_record_goes_back_on_its_stream_and_is_booked_twice(
            self) -> None:
        # As a dump that was not of one moment would leave it.
        self.book(records.window(1))
        self.enrol()
        self.release()
        self.database.write(lambda connection: (
            connection.execute(models.acknowledged.delete()),
            connection.execute(models.streams.update().values(
                sequence=0, digest=''))))
        self.assertEqual((['quarantined'], 2), self.book(records.window(1)))
        self.assert_balance(1, 0)
        self.refused('nothing is left to decide')

    def test_the_time_of_a_record_is_booked_twice(self) -> None:
        self.book(records.window(1))
        self.enrol()
        self.book(records.window(
            2, start_ns=records.START_NS + records.MINUTE_NS // 2))
        self.refused('overlaps')
        self.book(records.window(3, start_ns=records.START_NS
                                 + 2 * records.MINUTE_NS))
        self.assert_balance(2, 1)

    def test_two_records_of_one_time_are_both_released(self) -> None:
        self.book(records.window(1), records.window(
            2, start_ns=records.START_NS + records.MINUTE_NS // 2))
        self.enrol()
        self.book(records.window(3, start_ns=records.START_NS
                                 + 5 * records.MINUTE_NS))
        self.release(2)
        self.refused('overlaps', 1)
        self.assert_balance(2, 1)

    def test_what_was_too_old_to_be_checked_is_booked(self) -> None:
        for sequence, now_ns in (
                (1, records.START_NS + decisions.CHECKABLE_NS),
                (2, records.START_NS + 2 * decisions.CHECKABLE_NS)):
            self.now_ns = now_ns
            self.book(records.window(sequence))
        self.enrol()
        self.book(records.window(3))
        self.release(1)
        self.refused('too old', 2)

    def test_what_nothing_was_booked_over_is_too_old(self) -> None:
        self.book(records.window(1))
        self.enrol()
        self.now_ns += 40 * purge.DAY_NS
        self.release()
        self.assert_balance(1, 0)

    def test_a_record_of_a_key_that_is_not_the_hosts_is_booked(self) -> None:
        self.enrol_first(signing.Signer.new().key)
        self.book(records.window(1))
        self.assertEqual('key', self.held().code)
        self.refused('energy host replace')
        self.enrol()
        self.release()
        self.assert_balance(1, 0)

    def enrol_first(self, key: str) -> None:
        self.database.write(lambda connection: connection.execute(
            models.hosts.insert().values(
                name='compute-1', site_id=models.DEFAULT_SITE,
                state=models.ENROLLED, boundary=models.RAPL,
                public_key=key)))

    def test_a_record_that_nobody_signed_is_booked(self) -> None:
        self.enrol_first(records.SIGNER.key)
        self.collector.book({}, [records.signed(
            records.window(1))._replace(signature='')])
        self.refused('nobody vouches')
        # Not even when the host has no key yet.
        self.enrol()
        self.database.write(lambda connection: connection.execute(
            models.hosts.update().values(public_key=None)))
        self.refused('nobody vouches')

    def test_a_retired_hosts_record_is_booked(self) -> None:
        self.book(records.window(1))
        self.enrol()
        self.database.write(lambda connection: connection.execute(
            models.hosts.update().values(state=models.RETIRED)))
        self.refused('is retired')

    def test_the_decision_is_not_kept(self) -> None:
        self.book(records.window(1))
        self.enrol()
        self.release()
        one = self.held()
        self.assertEqual((models.RELEASED, self.now_ns),
                         (one.state, one.decided_at_ns))
        kept, = self.decisions()
        self.assertEqual(
            ('an operator', 'req-1', audit.QUARANTINE, str(one.id)),
            (kept.actor, kept.request_id, kept.kind, kept.subject))
        self.assertEqual('held', json.loads(kept.was)['state'])
        self.assertEqual({'state': 'released', 'reason': 'it is true'},
                         json.loads(kept.became))

    def test_user_ids_come_back_with_a_release(self) -> None:
        self.book(records.window(1, [records.share(
            records.instance(user_id='alice'))]))
        self.enrol()
        self.release()
        self.assertEqual([None], [row.user_id for row
                                  in self.rows(models.accounts)])

    def test_an_unknown_record_is_released(self) -> None:
        for decide in (decisions.release, decisions.discard):
            with self.assertRaises(errors.NotFound):
                self.database.write(decide, 7, self.now_ns, OPERATOR, 'why')

    def test_what_a_release_says_of_its_host_is_older(self) -> None:
        self.book(records.window(1, version='old'))
        self.enrol()
        self.book(records.window(2, version='new'))
        before = self.rows(models.hosts)
        self.release(1)
        self.assertEqual(before, self.rows(models.hosts))

    def test_a_host_whose_records_are_all_released_has_no_window(
            self) -> None:
        self.book(records.window(1), records.window(2, version='new'))
        self.enrol()
        self.release(2)
        self.release(1)
        host, = self.rows(models.hosts)
        self.assertEqual(
            (records.START_NS + 2 * records.MINUTE_NS, 'new', 'machine-1'),
            (host.last_window_end_ns, host.notifier_version,
             host.machine_id))


class TestWhatAnOperatorMayBelieve(DecisionCase):
    def test_an_operator_cannot_release_what_is_implausible(self) -> None:
        self.book(hungry(1))
        self.assertEqual('implausible', self.held().code)
        self.book(records.window(2))
        self.release()
        self.assertEqual(10 ** 9 + 320 + 1700, self.balance().zones_uj)

    def test_what_no_sum_can_hold_is_released(self) -> None:
        self.book(records.window(1), records.window(2, [
            records.share(active_uj=1 << 61)]))
        self.refused('more energy than any host', 2)

    def test_what_does_not_add_up_is_released(self) -> None:
        self.book(records.window(1), crooked(2))
        self.refused('discard it', 2)

    def test_what_cannot_be_read_is_released(self) -> None:
        body = json.loads(wire.payload(records.window(2)))
        body['parts'][0]['shares'][0][6] = -1
        self.book(records.window(1), json.dumps(body))
        self.refused('discard it', 2)

    def test_a_loss_is_released(self) -> None:
        self.book(records.window(1))
        self.database.write(lambda connection: connection.execute(
            models.hosts.update().values(state=models.RETIRED)))
        self.book(records.lost(2, 3))
        self.refused('no energy', 2)

    def test_the_future_is_released_before_it_is_the_past(self) -> None:
        self.book(records.window(1))
        self.book(records.window(2, start_ns=records.START_NS
                                 + 120 * records.MINUTE_NS,
                                 boottime_start_ns=1001 * records.MINUTE_NS,
                                 boottime_end_ns=1002 * records.MINUTE_NS))
        self.assertEqual('future', self.held(2).code)
        self.refused('wait until then', 2)
        self.now_ns += 60 * records.MINUTE_NS
        self.release(2)
        self.assert_balance(2, 0)

    def test_another_record_of_a_number_cannot_be_released(self) -> None:
        # What was given up for lost on the way, and came.
        self.book(records.window(1), records.lost(2, 2), records.window(3))
        self.book(records.window(2))
        self.assertEqual([('lost', 1.0, 2.0)], self.gaps())
        self.release(2)
        self.assert_balance(3, 0)
        self.assertEqual([], self.gaps())


class TestGaps(DecisionCase):
    def replaced(self) -> None:
        """A host with a new key, whose first records were held."""
        self.book(records.window(1))
        self.signer = signing.Signer.new()
        self.anew(*(records.window(
            number, stream='stream-2', machine_id='machine-2',
            boot_id='boot-2',
            start_ns=records.START_NS + (number + 1) * records.MINUTE_NS)
            for number in (2, 3)), first=True)
        self.database.write(lambda connection: connection.execute(
            models.hosts.update().values(public_key=self.signer.key)))

    def anew(self, *windows: samples.Window, first: bool = False) -> None:
        answer = self.collector.book({}, [
            self.signer.sign(wire.payload(dataclasses.replace(
                one, sequence=one.sequence - 1))) for one in windows])
        self.assertEqual({'quarantined' if first else 'booked'},
                         {*answer['results']})

    def next(self) -> None:
        self.anew(records.window(
            4, stream='stream-2', machine_id='machine-2', boot_id='boot-2',
            start_ns=records.START_NS + 5 * records.MINUTE_NS))

    def release_of_2(self, sequence: int) -> None:
        one, = [row for row in self.rows(models.quarantine)
                if (row.stream, row.sequence) == ('stream-2', sequence)]
        self.database.write(decisions.release, one.id, self.now_ns, OPERATOR)

    def test_a_gap_stays_that_was_stated_for_what_was_held(self) -> None:
        self.replaced()
        self.next()
        # What is held since may be known yet.
        self.assertEqual([('new_stream', 1.0, 3.0)], self.gaps())
        self.release_of_2(1)
        self.assertEqual([('new_stream', 1.0, 3.0)], self.gaps())
        self.release_of_2(2)
        self.assertEqual([('new_stream', 1.0, 3.0)], self.gaps())
        self.assert_balance(4, 0)

    def test_a_gap_before_what_was_held_is_never_stated(self) -> None:
        self.replaced()
        self.release_of_2(2)
        self.assertEqual([('new_stream', 1.0, 3.0)], self.gaps())
        self.release_of_2(1)
        self.next()
        self.assertEqual([('new_stream', 1.0, 3.0)], self.gaps())

    def test_time_before_the_newest_of_a_boot_is_in_no_gap(self) -> None:
        self.book(records.window(1), dataclasses.replace(
            hungry(3), sequence=2))
        self.release(2)
        self.assertEqual([('skipped', 1.0, 2.0)], self.gaps())
        self.book(dataclasses.replace(records.window(4), sequence=3))
        self.assertEqual([('skipped', 1.0, 2.0)], self.gaps())

    def test_a_loss_that_lasts_is_ended_by_an_older_record(self) -> None:
        self.book(records.window(1), hungry(2), records.lost(3, 4))
        self.assertEqual([('lost', 2.0, None)], self.gaps())
        self.release(2)
        self.assertEqual([('lost', 2.0, None)], self.gaps())
        self.book(records.window(5))
        self.assertEqual([('lost', 2.0, 4.0)], self.gaps())

    def test_a_loss_lasts_over_a_record_that_came_after_it(self) -> None:
        self.book(records.window(1), records.lost(2, 3), hungry(4))
        self.release(4)
        self.assertEqual([('lost', 1.0, 3.0)], self.gaps())
        self.book(records.window(5))
        self.assertEqual([('lost', 1.0, 3.0)], self.gaps())

    def test_what_another_record_states_is_taken_back(self) -> None:
        gap = samples.Gap(None, records.START_NS, records.START_NS
                          + 3 * records.MINUTE_NS, 'restart')
        self.book(hungry(1), hungry(2), records.window(3, gaps=(gap,)))
        note, = self.release(1)
        self.assertIn('record 3 states it (restart)', note)
        self.assertEqual([('restart', 0.0, 3.0)], self.gaps())

    def test_what_a_released_record_states_is_forgotten(self) -> None:
        gap = samples.Gap('dram-0', records.START_NS, records.START_NS
                          + records.MINUTE_NS, 'unreadable')
        self.book(hungry(1, gaps=(gap,)), records.window(2))
        self.release()
        self.assertEqual([('unreadable', 0.0, 1.0)], self.gaps())

    def test_a_gap_before_what_was_held_is_stated_by_two(self) -> None:
        gap = samples.Gap(None, records.START_NS + records.MINUTE_NS,
                          records.START_NS + 4 * records.MINUTE_NS, 'reset')
        self.book(records.window(1), dataclasses.replace(
            hungry(5, gaps=(gap,)), sequence=2))
        self.assertEqual([('skipped', 1.0, 4.0)], self.gaps())
        self.release(2)
        self.assertEqual([('reset', 1.0, 4.0)], self.gaps())

    def test_a_release_takes_another_time_of_the_same_clock(self) -> None:
        def back(window: samples.Window) -> samples.Window:
            back_ns = 3 * records.MINUTE_NS
            return dataclasses.replace(
                window, start_ns=window.start_ns - back_ns,
                end_ns=window.end_ns - back_ns)
        self.book(records.window(1), records.lost(2, 3), records.window(4),
                  back(hungry(5)), back(records.window(6)))
        self.release(5)
        self.assertEqual([('lost', 1.0, 3.0)], self.gaps())


class TestKeysThatEnd(DecisionCase):
    """What a host signed before it got another key."""

    def replace(self) -> None:
        self.database.write(
            register.change, audit.By(OPERATOR, self.now_ns),
            'compute-1', {'public_key': signing.Signer.new().key})

    def hold_and_replace(self) -> None:
        self.book(records.window(1), hungry(2), records.window(3))
        self.assertEqual([], self.gaps())
        self.replace()
        self.assertEqual((3400, 10 ** 9 + 320), (
            self.balance().zones_uj, self.balance().quarantined_uj))

    def test_what_the_old_key_signed_cannot_be_released(self) -> None:
        self.hold_and_replace()
        self.assertEqual([], self.release(2))
        self.assertEqual(10 ** 9 + 320 + 3400, self.balance().zones_uj)

    def test_a_discard_leaves_its_time_in_no_gap(self) -> None:
        self.hold_and_replace()
        self.assertEqual([], self.discard(2))
        self.assertEqual([('discarded', 1.0, 2.0)], self.gaps())

    def test_what_the_old_key_signs_from_then_on_is_released(self) -> None:
        self.book(records.window(1))
        self.replace()
        self.book(records.window(2))
        self.refused('say so first', 2)
        self.assert_balance(1, 0, 1)
        note, = self.discard(2)
        self.assertIn('not signed with the key of the host', note)

    def test_what_came_before_its_key_was_the_hosts_is_stranded(
            self) -> None:
        self.database.write(lambda connection: connection.execute(
            models.hosts.insert().values(
                name='compute-1', site_id=models.DEFAULT_SITE,
                state=models.PENDING, boundary=models.RAPL)))
        self.collector = collector.Collector(
            self.database, None, lambda: self.now_ns, writes.MANUAL)
        self.book(records.window(1))
        self.assertEqual('not_enrolled', self.held().code)
        self.database.write(
            register.enrol, audit.By(OPERATOR, self.now_ns), 'compute-1',
            {})
        self.replace()
        self.assert_balance(0, 1)
        self.release()
        self.assert_balance(1, 0)


class TestWhatIsMeasured(DecisionCase):
    """Nobody but a host says what its meters saw, and says it once."""

    def test_a_stranger_makes_a_host_measure_more(self) -> None:
        self.book(records.window(1))
        self.collector.book({}, [signing.Signer.new().sign(wire.payload(
            records.window(1, version='forged')))])
        self.assert_balance(1, 0, 1)

    def test_who_is_unsigned_makes_a_host_measure_more(self) -> None:
        self.book(records.window(1))
        self.collector.book({}, [records.signed(
            records.window(1))._replace(signature='')])
        self.assert_balance(1, 0, 1)

    def test_what_is_booked_is_measured_again_by_another_stream(
            self) -> None:
        self.book(records.window(1))
        self.book(records.window(1, stream='a copy'))
        self.assert_balance(1, 0, 1)

    def test_what_is_booked_is_measured_again_under_its_number(
            self) -> None:
        self.book(records.window(1))
        self.book(records.window(1, version='another'))
        self.assert_balance(1, 0, 1)

    def test_what_was_not_booked_is_not_measured(self) -> None:
        self.book(records.window(1), dataclasses.replace(
            crooked(2), parts=(dataclasses.replace(
                crooked(2).parts[0], zones_uj={'package-0': 1699}),)))
        found = self.balance()
        self.assertEqual((1699, 0),
                         (found.quarantined_uj, found.disputed_uj))


class TestBeforeKeys(DecisionCase):
    """What was booked when records were not signed is not known in detail."""

    def setUp(self) -> None:
        super().setUp()
        self.book(records.window(1), records.window(2))
        # As an upgrade leaves it.
        self.database.write(lambda connection: (
            connection.execute(models.acknowledged.update().values(
                boot_id=None, boottime_start_ns=None,
                boottime_end_ns=None)),
            connection.execute(models.streams.update().values(
                public_key=''))))
        # All is sent again, for the signed stream is a new one.
        self.assertEqual((['quarantined', 'quarantined', 'booked'], 4),
                         self.book(*(records.window(number)
                                     for number in (1, 2, 3))))

    def test_what_was_booked_before_is_booked_again(self) -> None:
        self.refused('before records were signed', 1)
        self.refused('before records were signed', 2)
        self.assert_balance(3, 0, 2)

    def test_what_was_booked_before_becomes_a_gap(self) -> None:
        note, = self.discard(1)
        self.assertIn('not known', note)
        self.assertEqual([], self.gaps())

    def test_what_came_since_cannot_be_released(self) -> None:
        self.book(hungry(4), records.window(5))
        self.release(4)
        self.assertEqual(4 * 1700 + 10 ** 9 + 320, self.balance().zones_uj)

    def test_another_boot_after_a_while_cannot_be_released(self) -> None:
        self.now_ns += 3 * purge.DAY_NS
        later = {'boot_id': 'boot-2'}
        for number, make in ((4, hungry), (5, records.window)):
            self.book(make(number, start_ns=records.START_NS + 2
                           * purge.DAY_NS + number * records.MINUTE_NS,
                           **later))
        self.release(4)
        self.assertEqual(4 * 1700 + 10 ** 9 + 320, self.balance().zones_uj)


class TestWhatIsSaid(DecisionCase):
    """Policy and idle value of a bucket and of a host."""

    def said(self, table: Any) -> set[Any]:
        return {(row.policy, row.idle_power_uw) for row in self.rows(table)}

    def test_an_older_window_rewrites_what_its_bucket_says(self) -> None:
        self.book(records.window(1), hungry(2, policy='old/1',
                                            idle_power_uw=7))
        self.book(records.window(3))
        before = self.said(models.host_buckets)
        self.release(2)
        self.assertEqual(before, self.said(models.host_buckets))
        self.assertEqual(before, self.said(models.hosts))

    def test_a_release_changes_a_host_and_nobody_knows(self) -> None:
        self.book(records.window(1), hungry(2, policy='new/1',
                                            idle_power_uw=7))
        self.release(2)
        self.assertEqual({('new/1', 7)}, self.said(models.hosts))
        self.assertEqual({('new/1', 7)}, self.said(models.host_buckets))
        self.assertEqual(
            [(kind, 'an operator') for kind in (audit.POLICY, audit.IDLE)],
            [(row.kind, row.actor) for row in self.rows(models.audit)
             if row.kind in (audit.POLICY, audit.IDLE)][-2:])


class TestShared(DecisionCase):
    def test_others_wait_for_rows_that_are_shared(self) -> None:
        self.book(hungry(1))
        seen = []
        sa.event.listen(
            self.database.engine, 'before_cursor_execute',
            lambda connection, cursor, statement, *rest: seen.append(
                statement))
        self.release()
        written = [one.split()[2] for one in seen
                   if one.startswith('INSERT INTO')]
        self.assertEqual('project_buckets', written[-1])


class TestDiscard(DecisionCase):
    def test_a_gap_lies_in_a_future_that_a_record_claims(self) -> None:
        body = json.loads(wire.payload(records.window(3)))
        year_ns = 365 * purge.DAY_NS
        body |= {'start_ns': body['start_ns'] + year_ns,
                 'end_ns': body['end_ns'] + year_ns}
        unread = json.loads(json.dumps(body))
        unread['parts'][0]['shares'][0][6] = -1
        unread['sequence'] = 4
        self.book(records.window(1), records.window(
            2, start_ns=records.START_NS + year_ns,
            boottime_start_ns=1001 * records.MINUTE_NS,
            boottime_end_ns=1002 * records.MINUTE_NS))
        self.book(json.dumps(body), json.dumps(unread))
        for sequence, code in ((2, 'future'), (3, 'future'), (4, 'schema')):
            self.assertEqual(code, self.held(sequence).code)
            self.discard(sequence)
        # By the clock of what was booked of the boot; and of what cannot be
        # read nothing is believed.
        self.assertEqual([('discarded', 1.0, 2.0), ('discarded', 2.0, 3.0),
                          ('not_understood', 3.0, None)], self.gaps())

    def test_energy_that_was_not_believed_stays_in_quarantine(self) -> None:
        self.book(records.window(1), crooked(2), records.window(3))
        self.assertEqual([], self.discard(2))
        self.assert_balance(2, 0)
        self.assertEqual([('discarded', 1.0, 2.0)], self.gaps())
        one = self.held(2)
        self.assertEqual((models.DISCARDED, self.now_ns),
                         (one.state, one.decided_at_ns))
        kept, = self.decisions()
        self.assertEqual({'state': 'discarded', 'reason': 'it is not true'},
                         json.loads(kept.became))

    def test_what_was_discarded_is_booked_later(self) -> None:
        self.book(hungry(1))
        self.discard()
        self.refused('it was discarded')
        self.assertEqual((['duplicate'], 2), self.book(hungry(1)))
        self.assert_balance(0, 0)

    def test_time_that_is_booked_becomes_a_gap(self) -> None:
        self.book(records.window(1), records.window(2))
        self.book(records.window(2, version='another'))
        self.assertEqual('conflict', self.held(2).code)
        self.discard(2)
        self.assertEqual([], self.gaps())

    def test_time_of_which_half_is_booked_is_a_whole_gap(self) -> None:
        self.book(records.window(1), records.window(
            2, start_ns=records.START_NS + records.MINUTE_NS // 2))
        self.assertEqual('overlap', self.held(2).code)
        self.discard(2)
        self.assertEqual([('discarded', 1.0, 1.5)], self.gaps())

    def test_what_a_long_outage_kept_back_was_too_old(self) -> None:
        self.now_ns += 15 * purge.DAY_NS
        self.book(records.window(1), hungry(2), hungry(3), records.window(4))
        self.release(2)
        self.discard(3)
        self.assertEqual([('discarded', 2.0, 3.0)], self.gaps())

    def test_what_is_held_for_long_overlaps_what_is_forgotten(self) -> None:
        self.book(records.window(1), records.window(2), records.window(3))
        self.book(records.window(1, version='another'),
                  records.window(2, version='another'))
        self.now_ns += 40 * purge.DAY_NS
        self.discard(2)
        purge.purge(self.database, purge.Retention(93, 3660, 62),
                    self.now_ns)
        self.assertEqual([1], [row.sequence for row in self.rows(
            models.acknowledged)])
        self.refused('overlaps', 1)
        self.discard(1)
        self.assertEqual([], self.gaps())

    def test_time_of_the_past_fills_what_a_clock_ahead_left(self) -> None:
        """Discarded while its host catches up: it was over when it came."""
        two = records.window(2)
        self.book(records.window(1), dataclasses.replace(
            two, start_ns=two.start_ns + 2 * purge.DAY_NS,
            end_ns=two.end_ns + 2 * purge.DAY_NS), records.window(3))
        self.discard(2)
        self.book(*(records.window(number) for number in range(4, 61)))
        self.assertEqual([('discarded', 1.0, 2.0)], self.gaps())

    def test_a_text_that_was_dropped_leaves_its_time_in_no_gap(self) -> None:
        self.book(records.window(1), hungry(2), records.window(3))
        self.database.write(lambda connection: connection.execute(
            models.quarantine.update().values(payload='{"v":1')))
        self.discard(2)
        self.assertEqual([('discarded', 1.0, 2.0)], self.gaps())

    def test_time_that_is_booked_later_stays_a_gap(self) -> None:
        """What was not believed told of time to come."""
        self.book(records.window(1))
        self.book(dataclasses.replace(records.window(3), sequence=1))
        self.discard(1)
        self.assertEqual([('discarded', 2.0, 3.0), ('skipped', 1.0, 2.0)],
                         self.gaps())
        self.book(records.window(2), records.window(3))
        self.assertEqual([], self.gaps())

    def test_time_in_a_gap_is_stated_again(self) -> None:
        self.book(records.window(1), records.lost(2, 2), records.window(3))
        self.book(records.window(2))
        self.discard(2)
        self.assertEqual([('lost', 1.0, 2.0)], self.gaps())

    def test_a_stranger_makes_gaps_of_a_hosts_time(self) -> None:
        self.book(records.window(1))
        self.collector.book({}, [signing.Signer.new().sign(wire.payload(
            records.window(1, boot_id='boot-9')))])
        note, = self.discard(1)
        self.assertIn('not signed with the key of the host', note)
        self.assertEqual([], self.gaps())
        self.assert_balance(1, 0)

    def test_the_time_of_what_cannot_be_read_is_covered(self) -> None:
        body = json.loads(wire.payload(records.window(2)))
        body['parts'][0]['shares'][0][6] = -1
        self.book(records.window(1), json.dumps(body), records.window(3))
        self.discard(2)
        self.assertEqual([('not_understood', 1.0, 2.0)], self.gaps())

    def test_garbage_cannot_be_discarded(self) -> None:
        self.book(records.window(1), '{"v":', records.window(3))
        note, = self.discard(2)
        self.assertIn('cannot be read', note)

    def test_a_record_that_is_measured_after_all_leaves_a_gap(self) -> None:
        # Two that tell of the same time: the wrong one is discarded first.
        self.book(records.window(1), hungry(2))
        self.book(records.window(2))
        self.assertEqual(['implausible', 'conflict'], [
            row.code for row in self.rows(models.quarantine)])
        wrong, right = self.rows(models.quarantine)
        self.database.write(decisions.discard, wrong.id, self.now_ns,
                            OPERATOR, 'a broken counter')
        # The other one knows.
        self.assertEqual([], self.gaps())
        self.database.write(decisions.release, right.id, self.now_ns,
                            OPERATOR)
        self.assertEqual([], self.gaps())

    def test_time_that_two_records_tell_of_is_said_twice(self) -> None:
        self.book(records.window(1), hungry(2))
        self.book(records.window(2))
        for held in self.rows(models.quarantine):
            self.database.write(decisions.discard, held.id, self.now_ns,
                                OPERATOR, 'a broken counter')
        self.assertEqual([('discarded', 1.0, 2.0)], self.gaps())
