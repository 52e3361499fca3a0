# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import dataclasses
import json
import unittest
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from energy_accounting import collector, errors, samples, units
from energy_accounting.ledger import engine, models, writes
from tests.unit import records
from tests.unit.ledger import sums

NOW_NS = records.START_NS + 30 * collector.DAY_NS


class CollectorCase(unittest.TestCase):
    enrolment = writes.FIRST_USE

    def setUp(self) -> None:
        super().setUp()
        self.database = records.database()
        self.addCleanup(self.database.close)
        self.collector = collector.Collector(
            self.database, None, lambda: NOW_NS, self.enrolment)

    def book(self, *sent: samples.Window | samples.Lost | str,
             ) -> tuple[list[str], int]:
        answer = self.collector.book({}, [
            one if isinstance(one, str) else samples.payload(one)
            for one in sent])
        self.assertEqual(len(sent), len(answer['results']))
        return answer['results'], answer['expects']

    def rows(self, table: Any) -> list[Any]:
        return sums.rows(self.database, table)

    def assert_quarantined(self, *sent: samples.Window | str,
                           because: str) -> None:
        before = sums.sums(self.database)
        results, _ = self.book(*sent)
        self.assertEqual(['quarantined'], results)
        self.assertIn(because, self.rows(models.quarantine)[-1].reason)
        self.assertEqual(before[:3], sums.sums(self.database)[:3])


class TestTurns(CollectorCase):
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


class TestLoss(CollectorCase):
    def test_what_was_lost_is_a_gap_up_to_the_next_window(self) -> None:
        self.book(records.window(1))
        self.assertEqual((['booked'], 5), self.book(records.lost(2, 4)))
        gap, = self.rows(models.gaps)
        self.assertEqual(
            ('lost', records.START_NS + records.MINUTE_NS, None),
            (gap.reason, gap.start_ns, gap.end_ns))
        self.book(records.window(5))
        gap, = self.rows(models.gaps)
        self.assertEqual(records.START_NS + 4 * records.MINUTE_NS,
                         gap.end_ns)

    def test_a_loss_within_one_call_is_one_closed_gap(self) -> None:
        self.assertEqual((['booked'] * 4, 7), self.book(
            records.window(1), records.lost(2, 4), records.lost(5, 5),
            records.window(6)))
        gap, = self.rows(models.gaps)
        self.assertEqual(
            (records.START_NS + records.MINUTE_NS,
             records.START_NS + 5 * records.MINUTE_NS),
            (gap.start_ns, gap.end_ns))

    def test_an_open_gap_is_stated_once(self) -> None:
        self.book(records.window(1), records.lost(2, 2))
        self.book(records.lost(3, 4))
        self.book(records.lost(5, 5), records.window(6))
        gap, = self.rows(models.gaps)
        self.assertEqual(records.START_NS + 5 * records.MINUTE_NS,
                         gap.end_ns)

    def test_a_loss_of_what_was_booked_is_none(self) -> None:
        self.book(records.window(1), records.window(2))
        before = sums.contents(self.database)
        self.assertEqual((['duplicate'], 3), self.book(records.lost(1, 2)))
        self.assertEqual((['out_of_order'], 3), self.book(
            records.lost(1, 9)))
        self.assertEqual(before, sums.contents(self.database))

    def test_the_first_records_of_all_may_be_lost(self) -> None:
        self.assertEqual((['booked', 'booked'], 51), self.book(
            records.lost(1, 49), records.window(50)))
        gap, = self.rows(models.gaps)
        self.assertEqual(gap.start_ns, gap.end_ns)

    def test_what_was_given_up_for_lost_and_comes_is_held(self) -> None:
        self.book(records.window(1), records.lost(2, 4))
        self.assert_quarantined(records.window(3), because='number 3')

    def test_gaps_of_a_window_are_kept_with_it(self) -> None:
        stated = samples.Gap('dram-0', records.START_NS,
                             records.START_NS + 5, 'unreadable')
        self.book(records.window(1, gaps=(stated,)))
        gap, = self.rows(models.gaps)
        self.assertEqual(
            ('dram-0', records.START_NS, records.START_NS + 5, 'unreadable',
             1), (gap.zone, gap.start_ns, gap.end_ns, gap.reason,
                  gap.sequence))


class TestJudgement(CollectorCase):
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

    def test_a_clock_more_than_a_day_ahead_is_held(self) -> None:
        ahead_ns = NOW_NS + collector.DAY_NS
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


class TestMalformed(CollectorCase):
    def test_a_text_that_says_where_it_belongs_steps_on(self) -> None:
        body = json.loads(samples.payload(records.window(1)))
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
        body = json.loads(samples.payload(records.window(1)))
        body['v'] = samples.WIRE_VERSION + 1
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


class TestEnrolment(CollectorCase):
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
            self.database, None, lambda: NOW_NS, writes.FIRST_USE)
        self.book(records.window(1))
        self.set_state(models.RETIRED)
        self.assert_quarantined(records.window(2), because='retired')


class TestRows(CollectorCase):
    def test_a_host_says_what_its_newest_window_said(self) -> None:
        self.book(records.window(1), records.window(2, version='1.1'))
        host, = self.rows(models.hosts)
        self.assertEqual(
            (records.START_NS + records.MINUTE_NS,
             records.START_NS + 2 * records.MINUTE_NS, NOW_NS, 'machine-1',
             'two-part/1', ['dram-0', 'package-0'], 'measured', 40_000_000,
             8, 65536, '1.1', None),
            (host.last_window_start_ns, host.last_window_end_ns,
             host.last_received_ns, host.machine_id, host.policy,
             json.loads(host.basis), host.idle_kind, host.idle_power_uw,
             host.cpus, host.memory_mib, host.notifier_version, host.alarm))

    def test_memory_nobody_measured_is_not_zero(self) -> None:
        self.book(records.window(1, [records.share(memory_uj=None)]))
        self.book(records.window(2, [records.share(memory_uj=None)]))
        row, = self.rows(models.account_buckets)
        self.assertIsNone(row.memory_uj)
        self.book(records.window(3, [records.share(memory_uj=0)]))
        row, = self.rows(models.account_buckets)
        self.assertEqual(0, row.memory_uj)
        self.book(records.window(4, [records.share(memory_uj=5)]))
        self.book(records.window(5, [records.share(memory_uj=None)]))
        for table in (models.account_buckets, models.project_buckets):
            row, = self.rows(table)
            self.assertEqual(5, row.memory_uj)

    def test_a_new_flavor_is_a_new_account(self) -> None:
        self.book(records.window(1), records.window(2, [
            records.share(records.instance(flavor='m1.large'))]))
        self.assertEqual({'m1.small', 'm1.large'}, {
            row.flavor for row in self.rows(models.accounts)
            if row.kind == samples.INSTANCE})
        self.assertEqual(2, len(self.rows(models.projects)))

    def test_mib_nanoseconds_are_rounded_to_the_nearest_second(self) -> None:
        half = units.NS_PER_S // 2
        self.book(records.window(1, [records.share(memory_mib_ns=half)]),
                  records.window(2, [records.share(memory_mib_ns=half - 1)]))
        row, = self.rows(models.account_buckets)
        self.assertEqual(1, row.memory_mib_seconds)

    def test_an_owner_somebody_knows_is_used_when_booking(self) -> None:
        class Known:
            def owner_of(self, instance_id: str) -> writes.Owner | None:
                return writes.Owner('known', 'm1.tiny', None)
        self.collector = collector.Collector(self.database, Known(),
                                             lambda: NOW_NS)
        self.book(records.window(1, [
            records.share(records.instance(project_id=None, flavor=None)),
            records.share(records.instance('other')),
            records.share(records.service('ceph'))]))
        projects = {row.id: row.project_id
                    for row in self.rows(models.projects)}
        self.assertEqual(
            {(records.INSTANCE, 'known', 'm1.tiny'),
             ('other', records.PROJECT, 'm1.small'), (None, '', None)},
            {(row.instance_id, projects[row.project_ref], row.flavor)
             for row in self.rows(models.accounts)})

    def test_two_names_for_one_account_are_one_row(self) -> None:
        class Known:
            def owner_of(self, instance_id: str) -> writes.Owner | None:
                return writes.Owner(records.PROJECT, 'm1.small', None)
        self.collector = collector.Collector(self.database, Known(),
                                             lambda: NOW_NS)
        self.book(records.window(1, [
            records.share(records.instance(project_id=None, flavor=None)),
            records.share()]))
        row, = self.rows(models.account_buckets)
        self.assertEqual(1200, row.active_uj)


class TestDatabaseAway(unittest.TestCase):
    def test_nothing_is_acknowledged(self) -> None:
        database = engine.Database('sqlite:////nowhere/at/all.db')
        away = collector.Collector(database, None, lambda: NOW_NS)
        self.assertRaises(errors.Unavailable, away.book, {},
                          records.payloads(records.window(1)))

    def test_a_transaction_that_breaks_half_way_leaves_no_trace(
            self) -> None:
        database = records.database()
        self.addCleanup(database.close)
        before = sums.contents(database)

        class Broken:
            def owner_of(self, instance_id: str) -> writes.Owner | None:
                raise OSError
        broken = collector.Collector(database, Broken(), lambda: NOW_NS)
        self.assertRaises(OSError, broken.book, {}, records.payloads(
            records.window(1, [records.share(
                records.instance(project_id=None))])))
        self.assertEqual(before, sums.contents(database))


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
        texts.append(samples.payload(window))
    calls = draw(st.lists(st.tuples(
        st.integers(0, len(texts) - 1), st.integers(1, 4)), max_size=12))
    return texts, calls


def _energy(text: str) -> int:
    window = samples.from_payload(text)
    return writes.claimed_uj(window) if isinstance(
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
                database, None, lambda: NOW_NS).book({}, sent)
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
        rogue = samples.payload(records.window(1, other, version='rogue'))
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
