# SPDX-License-Identifier: Apache-2.0
"""What the collector itself decides or learns is kept with it."""

from __future__ import annotations

from typing import Any

from energy_accounting import wire
from energy_accounting.ledger import accounts, audit, identities, purge
from tests.unit import booking, records

WATT = 1_000_000


class ChangesCase(booking.BookingCase):

    def changes(self, *kinds: str) -> list[tuple[Any, ...]]:
        """Kind, subject, was and became; the oldest first."""
        found = self.database.read(audit.read)
        for entry in found:
            self.assertEqual(('collector', None),
                             (entry.actor, entry.request_id))
        return [(entry.kind, entry.subject, entry.was, entry.became)
                for entry in reversed(found) if entry.kind in kinds]


class TestBooking(ChangesCase):

    def test_a_pinned_key_or_an_enrolment_is_not_kept(self) -> None:
        self.book(records.window(1))
        self.book(records.window(2))
        (enrolled, pinned) = self.changes(audit.HOST, audit.KEY)
        self.assertEqual(
            ('host', 'compute-1', {'state': 'pending'},
             {'state': 'enrolled'}), enrolled)
        self.assertEqual(('key', 'compute-1', {'public_key': None}),
                         pinned[:3])
        self.assertEqual(44, len(pinned[3]['public_key']))

    def test_another_idle_value_is_not_kept_or_every_window_is(self) -> None:
        for number, (kind, power_uw) in enumerate((
                ('provisional', None), ('provisional', None),
                ('measured', 40 * WATT), ('measured', 40 * WATT),
                ('measured', 41 * WATT), ('configured', 41 * WATT)), 1):
            self.book(records.window(number, idle_kind=kind,
                                     idle_power_uw=power_uw))
        self.assertEqual(
            [(None, None), ('provisional', None), ('measured', 40 * WATT),
             ('measured', 41 * WATT), ('configured', 41 * WATT)],
            [self.idle(was) for _, _, was, _
             in self.changes(audit.IDLE)] + [
                 self.idle(self.changes(audit.IDLE)[-1][3])])

    @staticmethod
    def idle(said: dict[str, Any]) -> tuple[Any, ...]:
        return said['idle_kind'], said['idle_power_uw']

    def test_changes_within_one_call_are_passed_over(self) -> None:
        self.book(*(records.window(number, policy=f'p/{number % 2}')
                    for number in range(1, 4)))
        self.assertEqual(
            [(None, 'p/1'), ('p/1', 'p/0'), ('p/0', 'p/1')],
            [(was['policy'], became['policy']) for _, _, was, became
             in self.changes(audit.POLICY)])

    def test_a_record_that_is_not_booked_changes_something(self) -> None:
        self.book(records.window(1))
        before = self.database.read(audit.count)
        self.book(records.window(2, policy='p/2', boottime_end_ns=1))
        self.book(records.window(1))
        self.assertEqual(before, self.database.read(audit.count))


class TestClaims(ChangesCase):

    def test_an_owner_that_was_learnt_is_not_kept(self) -> None:
        self.book(records.window(1, [records.share(records.instance(
            project_id=None, flavor=None))]))
        owner = accounts.Owner('p1', 'small', 'alice')
        for _ in range(2):
            self.database.write(identities.claim,
                                {records.INSTANCE: owner}, 7)
        self.assertEqual([(
            'claim', records.INSTANCE,
            {'project_id': None, 'flavor': None},
            {'project_id': 'p1', 'flavor': 'small'})],
            self.changes(audit.CLAIM))
        self.assertNotIn('alice', wire.to_json([
            [was, became] for _, _, was, became
            in self.changes(*audit.KINDS)]))


class TestPurge(ChangesCase):

    def test_changes_are_kept_shorter_or_longer_than_sums(self) -> None:
        day = purge.DAY_NS
        now_ns = 100 * day + records.START_NS
        for days in (41, 39):
            self.database.write(
                audit.write, audit.COLLECTOR, now_ns - days * day,
                audit.Change(audit.HOST, str(days), None, None))
        gone = purge.purge(self.database, purge.Retention(31, 40, 31),
                           now_ns)
        self.assertEqual(1, gone['audit'])
        entry, = self.database.read(audit.read)
        self.assertEqual('39', entry.subject)
