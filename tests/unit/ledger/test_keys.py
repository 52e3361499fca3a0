# SPDX-License-Identifier: Apache-2.0
"""A host can lie only about itself: whose key vouches for a record."""

from __future__ import annotations

from energy_accounting import samples, signing, wire
from energy_accounting.ledger import models, writes
from tests.unit import booking, records
from tests.unit.ledger import sums

STRANGER = signing.Signer.new()


class TestKeys(booking.BookingCase):
    def strange(self, *sent: samples.Window | samples.Lost,
                ) -> tuple[list[str], int]:
        answer = self.collector.book({}, [
            STRANGER.sign(wire.payload(one)) for one in sent])
        return answer['results'], answer['expects']

    def codes(self) -> list[str]:
        return [row.code for row in self.rows(models.quarantine)]

    def test_the_first_key_of_a_host_is_not_kept(self) -> None:
        self.book(records.window(1))
        host, = self.rows(models.hosts)
        self.assertEqual(records.SIGNER.key, host.public_key)

    def test_a_stranger_moves_the_hosts_stream(self) -> None:
        self.book(records.window(1))
        before = sums.sums(self.database)
        for sequence in (1, 2, 3):
            self.assertEqual(
                (['quarantined'], sequence + 1),
                self.strange(records.window(sequence, version='forged')))
        self.assertEqual(before[:3], sums.sums(self.database)[:3])
        self.assertEqual(['key'] * 3, self.codes())
        self.assertEqual((['booked'], 3), self.book(records.window(2)))

    def test_a_stranger_states_a_gap(self) -> None:
        self.book(records.window(1))
        self.assertEqual((['quarantined'], 10),
                         self.strange(records.lost(1, 9)))
        self.assertEqual([], self.rows(models.gaps))
        self.assertEqual((['booked'], 3), self.book(records.window(2)))

    def test_a_stranger_is_noted_as_the_host_being_heard_of(self) -> None:
        self.book(records.window(1))
        host, = self.rows(models.hosts)
        self.strange(records.window(1, machine_id='machine-9'))
        after, = self.rows(models.hosts)
        self.assertIn(STRANGER.key, after.alarm)
        self.assertEqual({**host._asdict(), 'alarm': after.alarm},
                         after._asdict())

    def test_what_is_not_signed_is_booked(self) -> None:
        signed = records.signed(records.window(1))
        for broken in (signed._replace(key='', signature=''),
                       signed._replace(signature=STRANGER.sign('').signature),
                       signed._replace(key='no key')):
            with self.subTest(broken=broken.key):
                answer = self.collector.book({}, [broken])
                self.assertIn(answer['results'][0],
                              ('quarantined', 'duplicate'))
        host, = self.rows(models.hosts)
        self.assertEqual((models.PENDING, None),
                         (host.state, host.public_key))
        self.assertEqual((['booked'], 2), self.book(records.window(1)))

    def test_one_signature_that_broke_on_the_way_costs_a_window(self) -> None:
        sent = records.payloads(*(records.window(number)
                                  for number in (1, 2, 3)))
        sent[1] = sent[1]._replace(signature=sent[0].signature)
        answer = self.collector.book({}, sent)
        self.assertEqual(['booked', 'out_of_order', 'out_of_order'],
                         answer['results'])
        self.assertEqual((['booked', 'booked'], 4), self.book(
            records.window(2), records.window(3)))

    def test_garbage_is_trusted_for_its_sound_neighbour(self) -> None:
        sound = records.signed(records.window(2))
        self.collector.book({}, [STRANGER.sign('{"v":'), sound])
        host, = self.rows(models.hosts)
        self.assertEqual((models.PENDING, None),
                         (host.state, host.public_key))
        self.collector.book({}, [sound])
        host, = self.rows(models.hosts)
        self.assertNotEqual(STRANGER.key, host.public_key)

    def test_a_stranger_raises_no_alarm_under_a_used_number(self) -> None:
        self.book(records.window(1))
        self.strange(records.window(1))
        self.database.write(lambda connection: connection.execute(
            models.hosts.update().values(alarm=None)))
        self.assertEqual((['quarantined'], 2),
                         self.strange(records.window(1, version='forged')))
        self.assertEqual(['key', 'key'], self.codes())
        host, = self.rows(models.hosts)
        self.assertIn(STRANGER.key, host.alarm)

    def test_a_used_number_counts_as_measured_for_its_sum(self) -> None:
        self.book(records.window(1))
        self.book(records.window(1, [records.share(active_uj=1 << 61)]))
        self.assertEqual(['conflict'], self.codes())
        self.assertIn('more energy', self.rows(models.quarantine)[0].reason)

    def test_a_stream_belongs_to_two_keys(self) -> None:
        self.strange(records.window(1))
        host, = self.rows(models.hosts)
        self.assertEqual(STRANGER.key, host.public_key)
        self.assertEqual((['quarantined'], 2), self.book(records.window(1)))


class TestExpected(booking.BookingCase):
    enrolment = writes.MANUAL

    def test_a_host_that_is_expected_is_not_given_its_first_key(self) -> None:
        self.database.write(lambda connection: connection.execute(
            models.hosts.insert().values(
                name='compute-1', site_id=models.DEFAULT_SITE,
                state=models.ENROLLED, boundary=models.RAPL)))
        self.assertEqual((['booked'], 2), self.book(records.window(1)))
        host, = self.rows(models.hosts)
        self.assertEqual(records.SIGNER.key, host.public_key)

    def test_a_host_that_nobody_expects_gets_its_key(self) -> None:
        self.book(records.window(1))
        host, = self.rows(models.hosts)
        self.assertEqual((models.PENDING, None),
                         (host.state, host.public_key))
