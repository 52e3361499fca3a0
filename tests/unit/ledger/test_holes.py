# SPDX-License-Identifier: Apache-2.0
"""Which time of a host becomes a gap because nobody speaks of it."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import sqlalchemy as sa

from energy_accounting import samples, signing, wire
from energy_accounting.ledger import audit, decisions, models, quarantine
from tests.unit import booking, records
from tests.unit.ledger import sums


class HolesCase(booking.BookingCase):

    def gaps(self) -> list[tuple[int, int, str]]:
        """In minutes since the first window."""
        return [((row.start_ns - records.START_NS) // records.MINUTE_NS,
                 (row.end_ns - records.START_NS) // records.MINUTE_NS,
                 row.reason) for row in self.rows(models.gaps)]

    def later(self, sequence: int, **changes: Any) -> samples.Window:
        """A window of three minutes later than its number says."""
        return dataclasses.replace(records.window(sequence + 3, **changes),
                                   sequence=sequence)

    def decide(self, how: Any, sequence: int) -> None:
        held, = [row for row in self.rows(models.quarantine)
                 if row.sequence == sequence]
        self.database.write(how, held.id, booking.NOW_NS,
                            audit.Actor('operator'), 'it looks so')

    def discard(self, sequence: int) -> None:
        self.decide(decisions.discard, sequence)


class TestHoles(HolesCase):
    """Time of a host that no window covers."""

    def test_time_that_no_record_speaks_of_is_a_gap(self) -> None:
        self.book(records.window(1))
        answer = self.collector.book({}, records.payloads(self.later(2)))
        self.assertEqual(['booked'], answer['results'])
        self.assertIn('nothing says why', answer['detail'][0])
        self.assertEqual([(1, 4, 'skipped')], self.gaps())

    def test_windows_that_adjoin_leave_none(self) -> None:
        self.book(records.window(1), records.window(2))
        self.book(records.window(3))
        self.assertEqual([], self.gaps())

    def test_a_clock_set_back_meanwhile_does_not_hide_it(self) -> None:
        self.book(records.window(1))
        self.book(dataclasses.replace(
            self.later(2), start_ns=records.START_NS,
            end_ns=records.START_NS + records.MINUTE_NS,
            parts=records.window(1).parts))
        self.assertEqual([(1, 4, 'skipped')], self.gaps())

    def test_a_gap_of_the_window_itself_says_why(self) -> None:
        self.book(records.window(1))
        self.book(self.later(2, gaps=(samples.Gap(
            None, records.START_NS + records.MINUTE_NS,
            records.START_NS + 4 * records.MINUTE_NS, 'reset'),)))
        self.assertEqual([(1, 4, 'reset')], self.gaps())

    def test_a_gap_of_the_window_before_says_why(self) -> None:
        for together in (True, False):
            with self.subTest(together=together):
                sums.empty(self.database)
                first = records.window(1, gaps=(samples.Gap(
                    None, records.START_NS + records.MINUTE_NS,
                    records.START_NS + 4 * records.MINUTE_NS, 'reset'),))
                if together:
                    self.book(first, self.later(2))
                else:
                    self.book(first)
                    self.book(self.later(2))
                self.assertEqual([(1, 4, 'reset')], self.gaps())

    def test_a_gap_of_another_time_does_not(self) -> None:
        self.book(records.window(1, gaps=(samples.Gap(
            'dram-0', records.START_NS, records.START_NS + 7,
            'unreadable'),)))
        self.book(self.later(2))
        self.assertEqual((1, 4, 'skipped'), self.gaps()[-1])

    def test_a_loss_that_left_no_hole_is_forgotten(self) -> None:
        self.book(records.window(1), records.lost(2, 3), dataclasses.replace(
            records.window(2), sequence=4))
        self.assertEqual([(1, 1, 'lost')], self.gaps())

    def test_time_before_the_first_that_is_known_is_in_no_gap(self) -> None:
        """What another stream of the boot measured comes later, and late."""
        self.book(dataclasses.replace(
            records.window(6), sequence=1, stream='stream-2'))
        self.book(dataclasses.replace(records.window(2), sequence=1))
        self.assertEqual('overlap', self.rows(models.quarantine)[0].code)
        self.assertEqual([(2, 5, 'new_stream')], self.gaps())

    def test_records_that_were_lost_say_why(self) -> None:
        self.book(records.window(1), records.lost(2, 4))
        self.book(records.window(5))
        self.assertEqual([(1, 4, 'lost')], self.gaps())

    def test_a_record_that_is_held_says_why(self) -> None:
        for together in (True, False):
            with self.subTest(together=together):
                sums.empty(self.database)
                wrong = records.window(2, end_ns=1 << 62)
                if together:
                    self.book(records.window(1), wrong, records.window(3))
                else:
                    self.book(records.window(1), wrong)
                    self.book(records.window(3))
                self.assertEqual([], self.gaps())

    def test_records_that_are_held_say_why_for_their_time_only(self) -> None:
        """The second and third minute are held, the fourth is unknown."""
        def crooked(sequence: int) -> samples.Window | str:
            return records.window(sequence, end_ns=1 << 62)

        def newer(sequence: int) -> samples.Window | str:
            body = json.loads(wire.payload(records.window(sequence)))
            return wire.to_json({**body, 'minor': 7, 'needs': 7})

        for kind, gap in ((crooked, (3, 4, 'skipped')),
                          # What it says of its time is not understood.
                          (newer, (1, 4, 'not_understood'))):
            for together in (True, False):
                with self.subTest(kind=kind.__name__, together=together):
                    sums.empty(self.database)
                    sent = [records.window(1), kind(2), kind(3),
                            dataclasses.replace(records.window(5),
                                                sequence=4)]
                    for some in [sent] if together else [
                            [one] for one in sent]:
                        self.book(*some)
                    self.assertEqual(2, len(self.rows(models.quarantine)))
                    self.assertEqual([gap], self.gaps())

    def test_the_first_record_of_a_boot_is_held_and_no_hole_is_seen(
            self) -> None:
        self.book(records.window(1, end_ns=1 << 62),
                  dataclasses.replace(records.window(3), sequence=2))
        self.assertEqual([(1, 2, 'new_stream')], self.gaps())

    def test_a_discarded_time_explains_all_that_is_around_it(self) -> None:
        crooked = dataclasses.replace(records.window(3), sequence=2)
        part, = crooked.parts
        self.book(records.window(1), dataclasses.replace(
            crooked, parts=(dataclasses.replace(part, zones_uj={}),)))
        held, = self.rows(models.quarantine)
        self.database.write(
            decisions.discard, held.id, booking.NOW_NS,
            audit.Actor('operator'), 'it is not true')
        self.book(dataclasses.replace(records.window(5), sequence=3))
        self.assertEqual([(1, 2, 'skipped'), (2, 3, 'discarded'),
                          (3, 4, 'skipped')], sorted(self.gaps()))

    def test_a_record_that_says_no_time_explains_none(self) -> None:
        self.book(records.window(1), wire.to_json({
            **json.loads(wire.payload(records.window(2))),
            'start_ns': None}), records.window(3))
        self.assertEqual([(1, 2, 'not_understood')], self.gaps())

    def test_a_record_that_another_key_signed_explains_none(self) -> None:
        self.book(records.window(1))
        stranger = signing.Signer.new().sign(
            wire.payload(records.window(2)))
        self.collector.book({}, [stranger])
        self.book(dataclasses.replace(records.window(3), sequence=2))
        self.assertEqual([(1, 2, 'skipped')], self.gaps())

    def test_a_short_gap_explains_a_long_time(self) -> None:
        self.book(records.window(1, gaps=(samples.Gap(
            None, records.START_NS + records.MINUTE_NS,
            records.START_NS + records.MINUTE_NS + 7, 'reset'),)))
        self.book(dataclasses.replace(records.window(62), sequence=2))
        # To the tick: a minute at most is not looked at.
        self.assertEqual([(1, 1, 'reset'), (2, 61, 'skipped')], self.gaps())

    def test_a_gap_of_a_zone_explains_the_time_of_the_host(self) -> None:
        for together in (True, False):
            with self.subTest(together=together):
                sums.empty(self.database)
                first = records.window(1, gaps=(samples.Gap(
                    'dram-0', records.START_NS + records.MINUTE_NS,
                    records.START_NS + 4 * records.MINUTE_NS,
                    'unreadable'),))
                if together:
                    self.book(first, self.later(2))
                else:
                    self.book(first)
                    self.book(self.later(2))
                self.assertEqual(
                    [(1, 4, 'skipped'), (1, 4, 'unreadable')],
                    sorted(self.gaps()))

    def test_a_clock_set_back_hides_what_was_lost(self) -> None:
        self.book(records.window(1), records.lost(2, 3))
        back_ns = 60 * records.MINUTE_NS
        late = records.window(4)
        self.book(dataclasses.replace(
            late, start_ns=late.start_ns - back_ns,
            end_ns=late.end_ns - back_ns, parts=(dataclasses.replace(
                late.parts[0], bucket=late.parts[0].bucket - 4),)))
        self.assertEqual([(1, 3, 'lost')], self.gaps())

    def test_what_an_earlier_key_signed_explains_nothing(self) -> None:
        self.book(records.window(1), records.window(2, end_ns=1 << 62))
        with self.database.writer() as connection:
            quarantine.remember(connection, 'compute-1',
                                records.SIGNER.sign('').key)
            other = signing.Signer.new()
            connection.execute(sa.update(models.hosts).values(
                public_key=other.sign('').key))
        # By a clock that was set back: else it begins with a gap anyway.
        back_ns = 60 * records.MINUTE_NS
        late = records.window(3)
        self.collector.book({}, [other.sign(wire.payload(dataclasses.replace(
            late, sequence=1, start_ns=late.start_ns - back_ns,
            end_ns=late.end_ns - back_ns, parts=(dataclasses.replace(
                late.parts[0], bucket=late.parts[0].bucket - 4),))))])
        self.assertEqual(2, len(self.rows(models.acknowledged)) - 1)
        self.assertNotIn('skipped', [
            reason for _, _, reason in self.gaps()])

    def test_nobody_speaks_of_the_time_between_two_boots(self) -> None:
        for reboot, stated in (
                ((), [(1, 3, 'skipped'), (3, 4, 'skipped')]),
                ((samples.Gap(None, records.START_NS + records.MINUTE_NS,
                              records.START_NS + 4 * records.MINUTE_NS,
                              'reboot'),), [(1, 4, 'reboot')])):
            with self.subTest(reboot=reboot):
                sums.empty(self.database)
                # It booted a minute before its first window.
                self.book(records.window(1), self.later(
                    2, boot_id='boot-2', gaps=reboot,
                    boottime_start_ns=records.MINUTE_NS,
                    boottime_end_ns=2 * records.MINUTE_NS))
                self.assertEqual(stated, sorted(self.gaps()))

    def test_a_gap_of_another_time_has_the_same_clock(self) -> None:
        back_ns = 2 * records.MINUTE_NS
        self.book(records.window(1, gaps=(samples.Gap(
            None, records.START_NS, records.START_NS + records.MINUTE_NS,
            'reset'),)))
        late = self.later(2)
        self.book(dataclasses.replace(
            late, start_ns=late.start_ns - back_ns,
            end_ns=late.end_ns - back_ns))
        self.assertEqual([(0, 1, 'reset'), (1, 4, 'skipped')],
                         sorted(self.gaps()))

    def test_a_machine_boots_with_its_clock_set_back_and_says_nothing(
            self) -> None:
        self.book(dataclasses.replace(records.window(60), sequence=1))
        self.book(records.window(
            1, stream='stream-2', boot_id='boot-2',
            boottime_start_ns=5 * records.MINUTE_NS,
            boottime_end_ns=6 * records.MINUTE_NS))
        self.assertEqual([(-5, 0, 'new_stream')], self.gaps())

    def test_a_loss_outlasts_the_stream_that_it_is_of(self) -> None:
        self.book(records.window(1), records.lost(2, 4))
        self.book(records.window(1, stream='stream-2', start_ns=(
            records.START_NS + 4 * records.MINUTE_NS)))
        self.assertEqual([(1, 4, 'lost')], self.gaps())

    def test_what_is_held_last_before_a_boot_hides_a_hole(self) -> None:
        """Nothing of that boot comes any more."""
        wrong = self.later(2)
        part, = wrong.parts
        self.book(records.window(1), dataclasses.replace(
            wrong, parts=(dataclasses.replace(part, zones_uj={}),)))
        self.assertEqual([(1, 4, 'skipped')], self.gaps())

    def test_a_copied_record_ends_a_loss_that_it_knows_nothing_of(
            self) -> None:
        self.book(records.window(1), records.window(2), records.lost(3, 4))
        self.book(records.window(1, stream='copy'))
        gap, = self.rows(models.gaps)
        self.assertEqual(('lost', None), (gap.reason, gap.end_ns))


def longer(window: samples.Window) -> samples.Window:
    """A window that measured more time than there was."""
    part, = window.parts
    return dataclasses.replace(window, parts=(
        dataclasses.replace(part, measured_ns=2 * part.measured_ns),))


class TestBoots(HolesCase):
    """Time between boots, and which boot is the newest."""

    def booted(self, sequence: int, boot_id: str, minute: int,
               **changes: Any) -> samples.Window:
        """A window from a minute on; it booted a minute before."""
        return dataclasses.replace(
            records.window(minute + 1, boot_id=boot_id, **{
                'boottime_start_ns': records.MINUTE_NS,
                'boottime_end_ns': 2 * records.MINUTE_NS, **changes}),
            sequence=sequence)

    def test_a_machine_up_for_ever_stops_the_stream(self) -> None:
        end_ns = (1 << 63) - 1
        for start_ns in (1, end_ns - records.MINUTE_NS):
            with self.subTest(start_ns=start_ns):
                sums.empty(self.database)
                self.book(records.window(1), dataclasses.replace(
                    records.window(2), boottime_start_ns=start_ns,
                    boottime_end_ns=end_ns))
                self.assertEqual((['booked'] * 2, 5), self.book(
                    records.window(3), self.booted(4, 'boot-2', 5)))

    def test_a_name_of_a_boot_that_none_can_have_stops_the_stream(
            self) -> None:
        for boot_id in ('', 'a\0b', '\ud800', ' x', 'x' * 300):
            with self.subTest(boot_id=boot_id):
                sums.empty(self.database)
                self.book(records.window(1), records.window(
                    2, boot_id=boot_id))
                self.assertEqual((['booked'], 4),
                                 self.book(records.window(3)))

    def test_a_clock_that_leaps_makes_an_hour_of_a_minute(self) -> None:
        """It was set an hour ahead within the second window."""
        two = records.window(2)
        self.book(records.window(1), dataclasses.replace(
            two, end_ns=two.end_ns + 60 * records.MINUTE_NS))
        self.book(self.booted(3, 'boot-2', 5))
        self.assertEqual([(2, 4, 'skipped'), (4, 5, 'skipped')],
                         sorted(self.gaps()))

    def test_an_older_boot_comes_back(self) -> None:
        stated = [(1, 4, 'skipped'), (4, 5, 'skipped'), (6, 9, 'skipped'),
                  (9, 10, 'skipped')]
        for copy in (True, False):
            with self.subTest(copy=copy):
                sums.empty(self.database)
                self.book(records.window(1), self.booted(2, 'boot-2', 5))
                if copy:
                    self.book(records.window(1, version='another'))
                self.book(self.booted(3, 'boot-3', 10))
                self.assertEqual(stated, sorted(self.gaps()))

    def test_a_copy_of_an_older_boot_ends_a_loss(self) -> None:
        self.book(records.window(1), self.booted(2, 'boot-2', 5),
                  records.lost(3, 4))
        self.book(dataclasses.replace(records.window(2), sequence=1))
        self.assertEqual([None], [
            row.end_ns for row in self.rows(models.gaps)
            if row.reason == 'lost'])

    def test_a_decision_about_an_older_boot_brings_it_back(self) -> None:
        self.book(longer(records.window(1)),
                  longer(self.booted(2, 'boot-2', 5)))
        self.discard(1)
        self.book(self.booted(3, 'boot-3', 10))
        self.assertEqual(
            [(0, 1, 'discarded'), (1, 4, 'new_stream'), (4, 5, 'new_stream'),
             (6, 9, 'new_stream'), (9, 10, 'new_stream')],
            sorted(self.gaps()))

    def test_what_a_held_record_states_is_stated_before_it_is_released(
            self) -> None:
        reboot = samples.Gap(None, records.START_NS + records.MINUTE_NS,
                             records.START_NS + 5 * records.MINUTE_NS,
                             'reboot')
        self.book(records.window(1), longer(
            self.booted(2, 'boot-2', 5, gaps=(reboot,))))
        self.assertEqual([(1, 4, 'skipped'), (4, 5, 'skipped')],
                         sorted(self.gaps()))
        self.decide(decisions.release, 2)
        self.assertEqual([(1, 5, 'reboot')], self.gaps())
