# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import contextlib
import dataclasses
import json
import pathlib
import sqlite3
import tempfile
import traceback
import unittest
from typing import Any
from unittest import mock

from hypothesis import given, settings
from hypothesis import strategies as st

from energy_accounting import collector, errors, samples, units, wire
from energy_accounting.ledger import (
    accounts,
    audit,
    decisions,
    engine,
    models,
    quarantine,
)
from tests.unit import booking, records
from tests.unit.ledger import sums


class TestJudgement(booking.BookingCase):
    def changed(self, **changes: Any) -> samples.Window:
        one = records.window(1)
        return dataclasses.replace(one, parts=(
            dataclasses.replace(one.parts[0], **changes),))

    def test_a_microjoule_too_many_is_held(self) -> None:
        self.assert_quarantined(
            self.changed(zones_uj={'dram-0': 80, 'package-0': 1621}),
            because='does not add up')
        self.assertEqual(1701, sums.sums(self.database).quarantined)

    def test_energy_of_a_zone_outside_the_basis_is_held(self) -> None:
        self.assert_quarantined(
            self.changed(zones_uj={'psys': 80, 'package-0': 1620}),
            because='psys')

    def test_an_account_twice_in_a_part_is_held(self) -> None:
        self.assert_quarantined(
            records.window(1, [records.share(), records.share()]),
            because='twice')

    def test_a_part_after_its_window_is_held(self) -> None:
        bucket = units.bucket_of(records.START_NS)
        self.assert_quarantined(self.changed(bucket=bucket + 1),
                                because='outside')

    def test_a_part_before_its_window_is_held(self) -> None:
        bucket = units.bucket_of(records.START_NS)
        self.assert_quarantined(self.changed(bucket=bucket - 2),
                                because='outside')

    def test_a_backfilled_part_may_be_before_its_window(self) -> None:
        bucket = units.bucket_of(records.START_NS)
        self.assertEqual((['booked'], 2), self.book(
            self.changed(bucket=bucket - 40, backfilled=True)))
        for row in self.rows(models.account_buckets):
            self.assertEqual(row.backfilled_uj, sum(
                getattr(row, term) or 0 for term in sums.TERMS))
        host, = self.rows(models.host_buckets)
        self.assertEqual(host.measured_ns, host.backfilled_ns)

    def test_a_clock_more_than_minutes_ahead_is_believed(self) -> None:
        ahead_ns = booking.NOW_NS + 300 * units.NS_PER_S
        self.assert_quarantined(
            records.window(1, start_ns=ahead_ns), because='clock')
        self.assertEqual((['booked'], 3), self.book(
            records.window(2, start_ns=ahead_ns - records.MINUTE_NS)))

    def test_boottime_that_runs_backwards_is_held(self) -> None:
        self.assert_quarantined(records.window(1, boottime_end_ns=1),
                                because='backwards')

    def test_more_energy_than_a_sum_can_take_is_held(self) -> None:
        self.assert_quarantined(
            records.window(1, [records.share(active_uj=(1 << 62)),
                               records.share(records.service('ceph'))]),
            because='more energy')
        self.assertEqual((1 << 62) + 1400,
                         sums.sums(self.database).quarantined)

    def test_claimed_energy_beyond_a_column_is_held_as_far_as_it_goes(
            self) -> None:
        much = records.share(active_uj=(1 << 63) - 401)
        one = records.window(1, [much])
        self.assert_quarantined(
            dataclasses.replace(one, parts=one.parts * 3),
            because='more energy')
        self.assertEqual((1 << 63) - 1,
                         self.rows(models.quarantine)[0].energy_uj)

    def test_names_that_databases_disagree_about_are_held(self) -> None:
        for number, project_id in enumerate(
                ('trailing ', 'nul\0', 'lone\ud800'), 1):
            with self.subTest(project_id=project_id):
                self.assert_quarantined(records.window(
                    number, [records.share(
                        records.instance(project_id=project_id))]),
                    because='no name can have')

    def test_a_window_of_nothing_but_gaps_is_booked(self) -> None:
        self.assertEqual((['booked'], 2),
                         self.book(records.window(1, parts=())))


class TestMalformed(booking.BookingCase):
    def test_a_text_that_says_where_it_belongs_steps_on(self) -> None:
        body = json.loads(wire.payload(records.window(1)))
        body['parts'][0]['shares'][0][6] = -1
        self.assert_quarantined(json.dumps(body), because='whole number')
        self.assertEqual((['booked'], 3), self.book(records.window(2)))

    def test_garbage_among_records_has_its_place(self) -> None:
        self.assertEqual(
            (['booked', 'quarantined', 'booked'], 4),
            self.book(records.window(1), '{"v":', records.window(3)))
        self.assertEqual(2, self.rows(models.quarantine)[0].sequence)

    def test_garbage_first_has_the_place_before_its_neighbour(self) -> None:
        self.assertEqual((['quarantined', 'booked'], 3),
                         self.book('\0\ud800', records.window(2)))

    def test_nothing_but_garbage_is_refused_and_books_nothing(self) -> None:
        before = sums.contents(self.database)
        for garbage in ('', '{}', '[]', '[' * 100_000, 'null', '1.5',
                        '\ud800', '{"host": 1, "v": 1}'):
            with self.subTest(garbage=garbage[:20]):
                self.assertRaises(errors.InvalidRecord, self.book, garbage)
        self.assertEqual(before, sums.contents(self.database))

    def test_a_newer_notifier_waits_for_a_newer_collector(self) -> None:
        body = json.loads(wire.payload(records.window(1)))
        body['v'] = wire.MAJOR + 1
        before = sums.contents(self.database)
        self.assertRaises(errors.Unavailable, self.book, json.dumps(body))
        self.assertEqual(before, sums.contents(self.database))

    def test_a_value_the_database_refuses_holds_that_record_only(
            self) -> None:
        # Stands for a column that overflows, which SQLite never does.
        def refuse(*args: Any, **kwargs: Any) -> Any:
            if any(one.sequence == 2 and one.problem is None
                   for one in args[1]):
                raise errors.InvalidRecord('out of range')
            return write(*args, **kwargs)
        write = self.database.write
        self.database.write = refuse  # type: ignore[method-assign]
        self.assertEqual(
            (['booked', 'quarantined', 'booked'], 4),
            self.book(*(records.window(number) for number in (1, 2, 3))))
        # What a driver says is for the log.
        self.assertNotIn('out of range',
                         self.rows(models.quarantine)[0].reason)


class TestLargeRecords(booking.BookingCase):
    def setUp(self) -> None:
        super().setUp()
        patch = mock.patch.object(wire, 'MAX_BYTES', 2000)
        patch.start()
        self.addCleanup(patch.stop)

    def large(self, number: int) -> samples.Window:
        return records.window(number, [
            records.share(records.instance(f'\N{SNOWMAN} {one}'))
            for one in range(20)])

    def test_a_record_no_database_takes_blocks_its_stream(self) -> None:
        window = self.large(2)
        size = len(wire.payload(window).encode())
        self.assertEqual(
            (['booked', 'quarantined', 'booked'], 4), self.book(
                records.window(1), window, records.window(3)))
        [row] = self.rows(models.quarantine)
        self.assertEqual('too_large', row.code)
        self.assertIn(f'{size} bytes, a record is of 2000', row.reason)
        self.assertIn('cut', row.reason)
        self.assertTrue(wire.payload(window).startswith(row.payload))
        self.assertIn(len(row.payload.encode()), range(1997, 2001))
        self.assertEqual((20_000, window.start_ns, window.end_ns),
                         (row.energy_uj, row.start_ns, row.end_ns))
        self.assertEqual((['duplicate'], 4), self.book(window))

    def test_a_large_text_that_is_no_window_is_kept_whole(self) -> None:
        body = json.loads(wire.payload(records.window(1)))
        for number, text in enumerate((
                json.dumps({**body, 'parts': 'x' * 3000}), 'x' * 3000,
                # Small as it comes, large as it is kept.
                '\0' * 1000), start=1):
            self.assertEqual((['quarantined', 'booked'], 2 * number + 1),
                             self.book(text.replace(
                                 '"sequence": 1',
                                 f'"sequence": {2 * number - 1}'),
                                 records.window(2 * number)))
            row = self.rows(models.quarantine)[-1]
            self.assertIn(len(row.payload.encode()), range(1997, 2001))
            self.assertIn('cut', row.reason)
            self.assertEqual('schema' if '\0' in text else 'too_large',
                             row.code)

    def test_release_of_a_cut_text_does_not_say_why_it_cannot(self) -> None:
        # The second one under a number that another record has.
        self.book(self.large(1), records.window(2))
        self.book(dataclasses.replace(self.large(2), version='other'))
        rows = self.rows(models.quarantine)
        self.assertEqual(['too_large', 'conflict'],
                         [row.code for row in rows])
        for row in rows:
            self.assertIn('2000 at most', row.reason)
            with self.assertRaisesRegex(errors.Conflict,
                                        'only the beginning of its text'):
                self.database.write(
                    decisions.release, row.id, booking.NOW_NS,
                    audit.Actor('an operator'))


class TestDatabaseAway(unittest.TestCase):
    def test_nothing_is_acknowledged(self) -> None:
        database = engine.Database('sqlite:////nowhere/at/all.db')
        away = collector.Collector(database, None, lambda: booking.NOW_NS)
        with self.assertLogs('energy_accounting.collector') as log:
            for _ in range(2):
                with self.assertRaises(errors.Unavailable) as caught:
                    away.book({}, records.payloads(records.window(1)))
        # Why is for the collector's own log, and said once.
        self.assertIn('unable to open', '\n'.join(log.output))
        self.assertEqual(1, len(log.output))
        self.assertNotIn('unable to open', ''.join(
            traceback.format_exception(caught.exception)))

    def test_a_transaction_that_breaks_half_way_leaves_no_trace(
            self) -> None:
        database = records.database()
        self.addCleanup(database.close)
        before = sums.contents(database)

        class Broken:
            def owner_of(self, instance_id: str) -> accounts.Owner | None:
                raise OSError
        broken = collector.Collector(database, Broken(),
                                     lambda: booking.NOW_NS)
        self.assertRaises(OSError, broken.book, {}, records.payloads(
            records.window(1, [records.share(
                records.instance(project_id=None))])))
        self.assertEqual(before, sums.contents(database))


class TestUserIds(booking.BookingCase):
    def test_none_is_kept_that_is_not_wanted(self) -> None:
        sent = records.window(1, [
            records.share(records.instance(user_id=user_id))
            for user_id in ('alice', 'bob')])
        self.collector = collector.Collector(
            self.database, None, lambda: booking.NOW_NS)
        self.assertEqual((['booked'], 2), self.book(sent))
        self.assertEqual((['duplicate'], 2), self.book(sent))
        self.assertEqual([None], [row.user_id for row
                                  in self.rows(models.accounts)])
        self.assertEqual(sums.Sums(2000, 2000, 2000, 0),
                         sums.sums(self.database))

    def test_users_that_add_up_to_too_much_stop_the_stream(self) -> None:
        self.collector = collector.Collector(
            self.database, None, lambda: booking.NOW_NS)
        sent = records.window(1, [
            records.share(records.instance(user_id=user_id),
                          cpu_ns=(1 << 62) + 1)
            for user_id in ('alice', 'bob')])
        self.assertEqual(
            (['quarantined', 'booked'], 3),
            self.book(dataclasses.replace(sent, parts=(dataclasses.replace(
                sent.parts[0], busy_ns=0),)), records.window(2)))

    def test_what_is_held_names_users_that_are_not_wanted(self) -> None:
        self.collector = collector.Collector(
            self.database, None, lambda: booking.NOW_NS)
        for number, more in enumerate((
                {'minor': 7, 'hue': 'red'}, {'needs': 7, 'hue': 'red'},
                {'cpus': 'many', 'hue': '\ud800'}), start=1):
            body = json.loads(wire.payload(records.window(number, [
                records.share(records.instance(user_id='alice'))],
                boottime_end_ns=1)))
            text = json.dumps({**body, **more})
            self.assertEqual((['quarantined'], number + 1), self.book(text))
            [row] = [row for row in self.rows(models.quarantine)
                     if row.sequence == number]
            self.assertNotIn('alice', row.payload)
            # All that is not a user id is as it came.
            body['parts'][0]['shares'][0][4] = None
            self.assertEqual({**body, **more}, json.loads(row.payload))
            self.assertEqual(wire.digest(text), row.digest)
            self.assertEqual(records.SIGNER.key, row.public_key)
            self.assertEqual((['duplicate'], number + 1), self.book(text))


class TestRestored(unittest.TestCase):
    """A database that was restored gives numbers a second time."""

    def setUp(self) -> None:
        super().setUp()
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.file = pathlib.Path(folder.name) / 'ledger.db'
        self.database = records.database(f'sqlite:///{self.file}')
        self.addCleanup(self.database.close)
        self.workers = [collector.Collector(
            self.database, None, lambda: booking.NOW_NS) for _ in range(2)]

    def book(self, worker: int, number: int, project_id: str,
             host: str) -> None:
        answer = self.workers[worker].book({}, records.payloads(
            records.window(number, [records.share(records.instance(
                f'instance of {project_id}', project_id))], host=host,
                stream=f'stream of {host}', machine_id=host)))
        self.assertEqual(['booked'], answer['results'])

    def copy(self, source: pathlib.Path, target: pathlib.Path) -> None:
        self.database.close()
        with (contextlib.closing(sqlite3.connect(source)) as old,
              contextlib.closing(sqlite3.connect(target)) as new):
            old.backup(new)

    def owned_uj(self) -> dict[str, int]:
        projects = {row.id: row.project_id for row in sums.rows(
            self.database, models.projects)}
        instances = {row.id: row.instance_id for row in sums.rows(
            self.database, models.accounts)}
        owned = {projects[row.project_ref]: row.active_uj for row
                 in sums.rows(self.database, models.project_buckets)}
        self.assertEqual(
            {f'instance of {name}': energy_uj
             for name, energy_uj in owned.items()},
            {instances[row.account_id]: row.active_uj for row
             in sums.rows(self.database, models.account_buckets)})
        return owned

    def test_a_number_given_anew_moves_no_joule_to_another_tenant(
            self) -> None:
        backup = self.file.with_name('backup.db')
        self.book(0, 1, 'anna', 'host-1')
        self.copy(self.file, backup)
        self.book(0, 2, 'bert', 'host-1')
        self.copy(backup, self.file)
        self.book(1, 1, 'carl', 'host-2')
        self.book(0, 2, 'bert', 'host-1')
        self.assertEqual({'anna': 600, 'bert': 600, 'carl': 600},
                         self.owned_uj())


# --- the law: every joule once ----------------------------------------------

_ENERGY = st.integers(0, 10 ** 12)
_SHARE = st.builds(
    records.share,
    st.sampled_from([records.instance(), records.instance('b', 'p2'),
                     records.instance('c', None), records.service('ceph')]),
    active_uj=_ENERGY, idle_uj=_ENERGY, host_uj=_ENERGY,
    memory_uj=st.none() | _ENERGY)
_SHARES = st.lists(_SHARE, max_size=4,
                   unique_by=lambda share: share.account)


@st.composite
def _stories(draw: st.DrawFn) -> tuple[list[str], list[tuple[int, int]]]:
    """Records of one stream, and calls that send slices of them."""
    texts = []
    boot = 0
    for number in range(1, draw(st.integers(1, 8)) + 1):
        boot += draw(st.booleans())
        window = records.window(number, draw(_SHARES), boot_id=f'boot-{boot}')
        kind = draw(st.sampled_from(['good'] * 4 + ['wrong', 'overlap']))
        if kind == 'wrong' and window.parts[0].zones_uj:
            part = window.parts[0]
            window = dataclasses.replace(window, parts=(dataclasses.replace(
                part, zones_uj={'package-0': part.measured_uj + 1}),))
        if kind == 'overlap':
            window = dataclasses.replace(window, boottime_start_ns=0)
        texts.append(wire.payload(window))
    calls = draw(st.lists(st.tuples(
        st.integers(0, len(texts) - 1), st.integers(1, 4)), max_size=12))
    return texts, calls


def _energy(text: str) -> int:
    window = wire.from_payload(text)
    return quarantine.claimed_uj(window) if isinstance(
        window, samples.Window) else 0


class TestEveryJouleOnce(unittest.TestCase):
    def setUp(self) -> None:
        super().setUp()
        self.database = records.database()
        self.addCleanup(self.database.close)

    @settings(max_examples=60, deadline=None)
    @given(story=_stories(), other=_SHARES)
    def test_no_order_of_calls_loses_or_doubles_a_joule(
            self, story: tuple[list[str], list[tuple[int, int]]],
            other: list[samples.Share]) -> None:
        texts, calls = story
        database = self.database
        sums.empty(database)
        taken: dict[str, int] = {}

        def send(sent: list[str]) -> int:
            # Another process each time: nothing is remembered.
            answer = collector.Collector(
                database, None, lambda: booking.NOW_NS).book(
                    {}, [records.signed(text) for text in sent])
            for text, result in zip(sent, answer['results'], strict=True):
                if result in ('booked', 'quarantined'):
                    self.assertNotIn(text, taken)
                    taken[text] = _energy(text)
            expects = answer['expects']
            assert isinstance(expects, int)
            return expects

        expects = 1
        for start, count in calls:
            expects = send(texts[start:start + count])
        rogue = wire.payload(records.window(1, other, version='rogue'))
        if expects > 1:
            send([rogue])
            send([rogue])
        while expects <= len(texts):
            expects = send(texts[expects - 1:expects + 2])
        self.assertLessEqual(set(texts), set(taken))
        found = sums.sums(database)
        self.assertEqual(sum(taken.values()),
                         found.zones + found.quarantined)
        self.assertEqual(found.zones, found.accounts)
        self.assertEqual(found.zones, found.projects)
