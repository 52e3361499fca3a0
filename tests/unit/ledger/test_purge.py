# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
import unittest
from typing import Any

from energy_accounting import collector, samples, wire
from energy_accounting.ledger import accounts, identities, models, purge
from tests.unit import records
from tests.unit.ledger import sums

RETENTION = purge.Retention(instance_days=400, project_days=3660,
                            user_days=62)
DAY_NS = purge.DAY_NS


class PurgeCase(unittest.TestCase):
    def setUp(self) -> None:
        super().setUp()
        self.database = records.database()
        self.addCleanup(self.database.close)
        self.number = 0

    def book(self, day: int, *shares: samples.Share,
             **changes: Any) -> None:
        """Book a window that many days after the start."""
        self.number += 1
        now_ns = records.START_NS + day * DAY_NS
        endpoint = collector.Collector(self.database, None,
                                       lambda: now_ns + records.MINUTE_NS,
                                       user_ids=True)
        endpoint.book({}, records.payloads(records.window(
            self.number, shares or None, start_ns=now_ns, **changes)))

    def book_text(self, text: str) -> None:
        """Have a record of the first day held that is not quite ours."""
        answer = collector.Collector(
            self.database, None, lambda: records.START_NS + records.MINUTE_NS,
            user_ids=True).book({}, [records.signed(text)])
        self.assertEqual(['quarantined'], answer['results'])

    def purge(self, day: int) -> dict[str, int]:
        return purge.purge(self.database, RETENTION,
                           records.START_NS + day * DAY_NS)

    def rows(self, table: Any) -> list[Any]:
        return sums.rows(self.database, table)


class TestRetention(PurgeCase):
    def test_nothing_goes_before_its_day(self) -> None:
        self.book(0)
        before = sums.contents(self.database)
        self.assertEqual({0}, set(self.purge(13).values()))
        self.assertEqual(before, sums.contents(self.database))

    def test_instances_go_and_projects_stay(self) -> None:
        self.book(0)
        self.book(300)
        gone = self.purge(401)
        self.assertEqual(2, gone['account_buckets'])
        self.assertEqual(
            sums.Sums(3400, 1700, 3400, 0), sums.sums(self.database))
        self.assertEqual(0, self.purge(401)['account_buckets'])

    def test_everything_goes_at_the_horizon_of_projects(self) -> None:
        self.book(0, gaps=(samples.Gap(None, records.START_NS,
                                       records.START_NS + 1, 'boot'),))
        self.purge(3661)
        self.assertEqual(sums.Sums(0, 0, 0, 0), sums.sums(self.database))
        self.assertEqual([], self.rows(models.host_buckets))
        self.assertEqual([], self.rows(models.gaps))

    def test_a_stream_goes_on_after_its_digests_went(self) -> None:
        self.book(0)
        self.assertEqual(1, self.purge(15)['acknowledged'])
        now_ns = records.START_NS + 15 * DAY_NS
        endpoint = collector.Collector(self.database, None, lambda: now_ns)
        self.assertEqual(
            ['duplicate', 'booked'], endpoint.book({}, records.payloads(
                records.window(1), records.window(2)))['results'])

    def test_what_is_held_stays(self) -> None:
        self.book(0, boottime_end_ns=1)
        self.purge(5000)
        self.assertEqual(1, len(self.rows(models.quarantine)))


class TestUsers(PurgeCase):
    alice = records.instance(user_id='alice')

    def users(self) -> set[str | None]:
        return {row.user_id for row in self.rows(models.accounts)}

    def test_an_account_out_of_use_loses_its_user(self) -> None:
        self.book(0, records.share(self.alice))
        self.purge(62)
        self.assertEqual({'alice'}, self.users())
        self.purge(64)
        self.assertEqual({None}, self.users())
        self.assertEqual(sums.Sums(1000, 1000, 1000, 0),
                         sums.sums(self.database))

    def test_a_user_that_comes_back_gets_a_new_account(self) -> None:
        self.book(0, records.share(self.alice))
        self.purge(64)
        self.book(65, records.share(self.alice))
        self.assertEqual({None, 'alice'}, self.users())
        self.assertEqual(2000, sums.sums(self.database).accounts)

    def test_old_rows_of_an_account_in_use_move(self) -> None:
        self.book(0, records.share(self.alice))
        self.book(0, records.share(records.instance()), boot_id='boot-2')
        self.book(50, records.share(self.alice, memory_uj=None))
        self.purge(64)
        users = {row.id: row.user_id for row in self.rows(models.accounts)}
        self.assertEqual(
            [(None, 2000), ('alice', 920)],
            [(users[row.account_id], sum(
                getattr(row, term) or 0 for term in sums.TERMS))
             for row in sorted(self.rows(models.account_buckets),
                               key=lambda row: row.bucket)])
        self.assertEqual(sums.Sums(2920, 2920, 2920, 0),
                         sums.sums(self.database))

    def test_a_claim_goes_with_the_rows(self) -> None:
        unknown = records.instance(project_id=None, user_id='alice')
        self.book(0, records.share(unknown))
        self.database.write(
            identities.claim,
            {records.INSTANCE: accounts.Owner('p', None, 'alice')},
            records.START_NS)
        self.book(50, records.share(unknown))
        self.purge(64)
        claims = self.rows(models.claims)
        self.assertEqual({None}, {row.user_id for row in claims})
        self.assertEqual({row.id for row in self.rows(models.accounts)},
                         {row.account_id for row in claims})

    def test_records_of_a_newer_version_keep_user_ids_or_lose_more(
            self) -> None:
        shares = [records.share(records.instance(user_id=user_id))
                  for user_id in ('alice', 'bob')]
        for number, more in enumerate((
                {'minor': 7, 'hue': 'red', 'boottime_end_ns': 1},
                {'needs': 7, 'hue': 'red'}), start=1):
            body = json.loads(wire.payload(
                records.window(number, shares)))
            for part in body['parts']:
                part['shares'] = [[*row, 'new'] for row in part['shares']]
            self.book_text(json.dumps({**body, **more}))
        self.purge(64)
        for row in self.rows(models.quarantine):
            kept = json.loads(row.payload)
            self.assertEqual('red', kept['hue'])
            [share] = kept['parts'][0]['shares']
            self.assertEqual(('new', None), (share[-1], share[4]))
            self.assertEqual(2000, sum(filter(None, share[6:10])))

    def test_a_record_that_cannot_be_read_names_a_user_for_ever(
            self) -> None:
        for number, damage in enumerate(('"parts":7,"x":"alice"',
                                         '"x":"alice","x":1'), start=1):
            body = json.loads(wire.payload(records.window(
                number, [records.share()])))
            self.book_text('{' + damage + ',' + wire.to_json(body)[1:])
        self.purge(62)
        self.assertEqual(['alice'] * 2, [
            'alice' if 'alice' in row.payload else row.payload
            for row in self.rows(models.quarantine)])
        self.purge(64)
        self.assertEqual([''] * 2, [
            row.payload for row in self.rows(models.quarantine)])
        self.assertEqual(0, self.purge(64)['user_ids'])

    def test_records_in_quarantine_lose_user_ids_and_keep_energy(
            self) -> None:
        self.book(0, records.share(self.alice),
                  records.share(records.instance(user_id='bob')),
                  boottime_end_ns=1)
        self.purge(64)
        row, = self.rows(models.quarantine)
        self.assertNotIn('alice', row.payload)
        window = wire.from_payload(row.payload)
        self.assertIsInstance(window, samples.Window)
        self.assertEqual([records.instance()], [
            share.account for share in window.parts[0].shares])
        self.assertEqual(2000, row.energy_uj)
        self.assertEqual(2000, window.parts[0].shares[0].energy_uj)
        self.assertEqual(window.parts[0].measured_uj, row.energy_uj)
