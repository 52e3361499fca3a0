# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import dataclasses
import itertools
import random
import zoneinfo
from typing import Any

from oslotest import base

from energy_accounting import units
from energy_accounting.ledger import engine, reads
from tests.unit.ledger import filled

BERLIN = zoneinfo.ZoneInfo('Europe/Berlin')
KOLKATA = zoneinfo.ZoneInfo('Asia/Kolkata')
FIRST = filled.bucket('2026-11-01T00:00:00Z')


class ReadsCase(base.BaseTestCase):

    def setUp(self) -> None:
        super().setUp()
        self.database = self.new_database()
        self.ledger = filled.Filled(self.database)

    def new_database(self) -> engine.Database:
        return filled.sqlite(self)

    def query(self, **changes: Any) -> reads.UsageQuery:
        given = {'start': FIRST, 'end': FIRST + 96, 'resolution': 'total',
                 'where': units.UTC, 'group_by': ('project',), 'filters': {},
                 'as_of_ns': filled.NOW_NS, 'limit': 1000, **changes}
        return reads.UsageQuery(**given)

    def usage(self, **changes: Any) -> list[reads.LedgerSum]:
        with self.database.reader() as connection:
            return reads.usage(connection, self.query(**changes))

    def energy(self, **changes: Any) -> dict[tuple[str, ...], int]:
        return {row.keys: row.it_uj for row in self.usage(**changes)}


class UsageTest(ReadsCase):

    def test_a_project_gets_the_sum_of_its_own_rows_only(self) -> None:
        mine = self.ledger.instance('i1', 'p1')
        other = self.ledger.instance('i2', 'p2')
        self.ledger.book(mine, 'h1', FIRST, 10, 20, 30, 40)
        self.ledger.book(mine, 'h1', FIRST + 1, 1, 2, 3, 4)
        self.ledger.book(mine, 'h1', FIRST + 96, 1000)
        self.ledger.book(mine, 'h1', FIRST - 1, 1000)
        self.ledger.book(other, 'h1', FIRST, 500)
        self.ledger.write()
        for groups in (('project',), ('project', 'instance')):
            (row,) = self.usage(group_by=groups, filters={'project': 'p1'})
            self.assertEqual(
                ('p1', 11, 22, 33, 44, None),
                (row.keys[0], row.active_uj, row.idle_uj, row.memory_uj,
                 row.host_uj, row.platform_uj))

    def test_memory_is_unknown_only_where_no_host_measured_it(self) -> None:
        one = self.ledger.instance('i1', 'p1')
        two = self.ledger.instance('i2', 'p2')
        zero = self.ledger.instance('i3', 'p3')
        self.ledger.book(one, 'h1', FIRST, 1, memory_uj=None)
        self.ledger.book(two, 'h1', FIRST, 1, memory_uj=None)
        self.ledger.book(two, 'h2', FIRST, 1, memory_uj=7)
        self.ledger.book(zero, 'h2', FIRST, 1, memory_uj=0)
        self.ledger.write()
        for groups in (('project',), ('project', 'flavor')):
            self.assertEqual(
                {'p1': None, 'p2': 7, 'p3': 0},
                {row.keys[0]: row.memory_uj
                 for row in self.usage(group_by=groups)})

    def test_sums_beyond_64_bits_are_exact(self) -> None:
        account = self.ledger.instance('i1', 'p1')
        large = (1 << 62) + 12345
        for number in range(9):
            self.ledger.book(account, 'h1', FIRST + number, large)
        self.ledger.write()
        for groups in (('project',), ('instance',)):
            (row,) = self.usage(group_by=groups)
            self.assertEqual(9 * large, row.active_uj)
            self.assertEqual(9 * large, row.it_uj)

    def test_sums_over_every_grouping_agree(self) -> None:
        total = _random_ledger(self.ledger, random.Random(4))
        asked: list[tuple[tuple[str, ...], str]] = [
            (groups, 'total') for groups
            in itertools.combinations(reads.GROUPS, 2)]
        asked += [((group,), 'day') for group in reads.GROUPS]
        asked += [(('project',), resolution)
                  for resolution in units.RESOLUTIONS]
        for groups, resolution in asked:
            with self.subTest(groups=groups, resolution=resolution):
                rows = self.usage(group_by=groups, resolution=resolution,
                                  where=BERLIN, limit=100000)
                self.assertEqual(total, sum(row.it_uj for row in rows))

    def test_both_ways_to_read_say_the_same(self) -> None:
        _random_ledger(self.ledger, random.Random(5))
        for groups, resolution, project in itertools.product(
                (('project',), ('project', 'site'), ('domain',),
                 ('region', 'boundary')), ('total', 'hour'),
                ('p1', 'p2')):
            quick = self.query(
                group_by=groups, resolution=resolution, where=KOLKATA,
                filters={'project': project}, limit=100000)
            with self.database.reader() as connection:
                expected = reads.usage(connection, quick)
                # A project has instances only: to filter by the kind of
                # account changes nothing but the way to the rows.
                exact = reads.usage(connection, dataclasses.replace(
                    quick, filters={'project': project,
                                    'account': 'instance'}))
            self.assertEqual(expected, exact)


class ClaimTest(ReadsCase):

    def setUp(self) -> None:
        super().setUp()
        unknown = self.ledger.instance('i1', None, flavor=None)
        known = self.ledger.instance('i2', 'p2')
        idle = self.ledger.account('unallocated', name='idle_capacity')
        self.ledger.book(unknown, 'h1', FIRST, 10, memory_uj=5)
        self.ledger.book(known, 'h1', FIRST, 100)
        self.ledger.book(idle, 'h1', FIRST, 1000, vcpu_ns=0)
        self.ledger.claim(unknown, 'p9', 50, 'm1.tiny', 'u9')
        self.ledger.claim(unknown, 'p2', 70, 'm1.large', 'u2')
        self.ledger.write()

    def test_a_claim_moves_energy_from_nobody_to_the_project(self) -> None:
        self.assertEqual({('',): 1000, ('p2',): 115}, self.energy())
        self.assertEqual({('p2',): 115},
                         self.energy(filters={'project': 'p2'}))
        self.assertEqual({('i1', 'm1.large'): 15, ('i2', 'm1.small'): 100},
                         self.energy(filters={'project': 'p2'},
                                     group_by=('instance', 'flavor')))

    def test_a_claim_is_not_seen_before_it_was_made(self) -> None:
        self.assertEqual({('',): 1015, ('p2',): 100},
                         self.energy(as_of_ns=49))
        self.assertEqual({('',): 1000, ('p2',): 100, ('p9',): 15},
                         self.energy(as_of_ns=50))
        self.assertEqual({('',): 1000, ('p2',): 100, ('p9',): 15},
                         self.energy(as_of_ns=69))
        self.assertEqual({('', ''): 1000, ('i1', 'u9'): 15,
                          ('i2', ''): 100},
                         self.energy(as_of_ns=69,
                                     group_by=('instance', 'user')))

    def test_a_superseded_claim_gives_nothing(self) -> None:
        self.assertEqual({}, self.energy(filters={'project': 'p9'}))
        self.assertEqual({}, self.energy(filters={'project': 'p9'},
                                         group_by=('instance',)))

    def test_nobody_keeps_no_empty_row_when_all_was_claimed(self) -> None:
        self.assertNotIn(
            ('',), self.energy(filters={'account': 'instance'}))
        ledger = filled.Filled(self.new_database())
        unknown = ledger.instance('i1')
        ledger.book(unknown, 'h1', FIRST, 10)
        ledger.claim(unknown, 'p1', 50)
        ledger.write()
        self.database = ledger.database
        self.assertEqual({('p1',): 10}, self.energy())


class CalendarTest(ReadsCase):

    def counts(self, start: str, end: str, resolution: str,
               where: zoneinfo.ZoneInfo) -> list[tuple[int, int]]:
        first, last = filled.bucket(start), filled.bucket(end)
        account = self.ledger.instance('i1', 'p1')
        for number in range(first, last):
            self.ledger.book(account, 'h1', number, 1)
        self.ledger.write()
        rows = self.usage(start=first, end=last, resolution=resolution,
                          where=where, limit=100000)
        expected = [
            (filled.bucket(units.iso(begun)), (until - begun).seconds // 900
             + (until - begun).days * 96)
            for begun, until in units.periods(
                units.bucket_start(first), units.bucket_start(last),
                resolution, where)]
        found = [(row.first, row.active_uj) for row in rows]
        self.assertEqual(expected, found)
        return found

    def test_the_day_a_clock_is_set_back_has_25_hours(self) -> None:
        found = self.counts('2026-10-23T22:00:00Z', '2026-10-26T23:00:00Z',
                            'day', BERLIN)
        self.assertEqual([96, 100, 96], [count for _, count in found])

    def test_the_day_a_clock_is_set_forward_has_23_hours(self) -> None:
        found = self.counts('2026-03-27T23:00:00Z', '2026-03-30T22:00:00Z',
                            'day', BERLIN)
        self.assertEqual([96, 92, 96], [count for _, count in found])

    def test_the_hour_that_comes_twice_stays_two(self) -> None:
        found = self.counts('2026-10-24T22:00:00Z', '2026-10-25T06:00:00Z',
                            'hour', BERLIN)
        self.assertEqual([4] * 8, [count for _, count in found])

    def test_hours_of_a_half_hour_zone_begin_at_half_past(self) -> None:
        found = self.counts('2026-11-01T00:00:00Z', '2026-11-01T03:00:00Z',
                            'hour', KOLKATA)
        self.assertEqual([2, 4, 4, 2], [count for _, count in found])

    def test_days_of_a_half_hour_zone_begin_at_its_midnight(self) -> None:
        self.counts('2026-11-01T00:00:00Z', '2026-11-03T00:00:00Z', 'day',
                    KOLKATA)

    def test_a_month_begins_at_the_midnight_of_its_zone(self) -> None:
        found = self.counts('2026-09-30T20:00:00Z', '2026-12-02T00:00:00Z',
                            'month', BERLIN)
        self.assertEqual([8, 31 * 96 + 4, 30 * 96, 2 * 96 - 92 + 0],
                         [count for _, count in found])

    def test_a_quarter_is_the_finest(self) -> None:
        self.counts('2026-11-01T00:00:00Z', '2026-11-01T02:00:00Z',
                    'quarter', BERLIN)


class PeakTest(ReadsCase):

    def test_the_peak_is_of_the_sum_in_one_bucket(self) -> None:
        one = self.ledger.instance('i1', 'p1')
        two = self.ledger.instance('i2', 'p1')
        self.ledger.book(one, 'h1', FIRST, 10)
        self.ledger.book(two, 'h2', FIRST + 1, 8)
        self.ledger.book(one, 'h1', FIRST + 1, 7)
        self.ledger.write()
        for groups in (('project',), ('flavor',)):
            self.assertEqual([15], [row.peak_uj for row
                                    in self.usage(group_by=groups)])
        self.assertEqual({'i1': 10, 'i2': 8}, {
            row.keys[0]: row.peak_uj
            for row in self.usage(group_by=('instance',))})

    def test_backfilled_energy_makes_no_peak(self) -> None:
        one = self.ledger.instance('i1', 'p1')
        self.ledger.book(one, 'h1', FIRST, 100, backfilled_uj=95)
        self.ledger.book(one, 'h1', FIRST + 1, 50, backfilled_uj=50)
        self.ledger.book(one, 'h1', FIRST + 2, 7)
        self.ledger.write()
        self.assertEqual([7], [row.peak_uj for row in self.usage()])
        self.assertEqual([None], [row.peak_uj for row in self.usage(
            start=FIRST + 1, end=FIRST + 2)])


class CoverageTest(ReadsCase):

    def missing(self, **changes: Any) -> dict[tuple[str, ...], int]:
        return {row.keys: row.missing_ms2 for row in self.usage(**changes)}

    def test_missing_time_is_weighted_by_vcpu_time(self) -> None:
        small = self.ledger.instance('i1', 'p1')
        large = self.ledger.instance('i2', 'p1')
        self.ledger.book(small, 'h1', FIRST, 1, vcpu_ns=900 * 10**9)
        self.ledger.book(large, 'h2', FIRST, 1, vcpu_ns=3600 * 10**9)
        self.ledger.measured('h2', FIRST, 600 * 10**9)
        self.ledger.write()
        missing = 3600 * 1000 * 300 * 1000
        for groups in (('project',), ('flavor',)):
            self.assertEqual([missing],
                             [*self.missing(group_by=groups).values()])
        self.assertEqual({('i1',): 0, ('i2',): missing},
                         self.missing(group_by=('instance',)))

    def test_a_few_milliseconds_are_not_a_gap(self) -> None:
        account = self.ledger.instance('i1', 'p1')
        for number, measured_ns in enumerate(
                (units.BUCKET_NS - 5 * 10**6, units.BUCKET_NS + 5 * 10**6)):
            self.ledger.book(account, 'h1', FIRST + number, 1)
            self.ledger.measured('h1', FIRST + number, measured_ns)
        self.ledger.write()
        self.assertEqual({('p1',): 0}, self.missing())

    def test_policies_are_those_of_the_rows_hosts(self) -> None:
        one = self.ledger.instance('i1', 'p1')
        two = self.ledger.instance('i2', 'p2')
        self.ledger.book(one, 'h1', FIRST, 1)
        self.ledger.book(one, 'h2', FIRST, 1)
        self.ledger.book(two, 'h2', FIRST, 1)
        self.ledger.measured('h1', FIRST, units.BUCKET_NS, 'proportional/1')
        self.ledger.write()
        self.assertEqual(
            {('p1',): ('proportional/1', 'two-part/1'),
             ('p2',): ('two-part/1', 'two-part/1')},
            {row.keys: row.policies for row in self.usage()})


class PageTest(ReadsCase):

    def test_pages_give_every_row_once_in_every_order(self) -> None:
        _random_ledger(self.ledger, random.Random(6))
        for groups, resolution in ((('project',), 'hour'),
                                   (('instance', 'host'), 'total')):
            for sort, descending in itertools.product(
                    reads.SORTS, (False, True)):
                with self.subTest(sort=sort, down=descending,
                                  groups=groups):
                    self._compare(group_by=groups, resolution=resolution,
                                  sort=sort, descending=descending)

    def _compare(self, **changes: Any) -> None:
        query = self.query(**changes, limit=100000)
        with self.database.reader() as connection:
            whole = reads.usage(connection, query)
            found: list[reads.LedgerSum] = []
            after = None
            while True:
                page = reads.usage(connection, dataclasses.replace(
                    query, limit=11, after=after))
                found += page
                if len(page) < 11:
                    break
                after = page[-1].position
            self.assertEqual(len(whole), reads.count(connection, query))
            shape = reads.position_shape(query, connection.dialect.name)
        self.assertEqual(whole, found)
        self.assertEqual({tuple(shape)}, {
            tuple(type(value) for value in row.position) for row in whole})
        if query.sort == 'it_kwh':
            values = [row.it_uj for row in whole]
            self.assertEqual(
                sorted(values, reverse=query.descending), values)


class CompleteTest(ReadsCase):

    def complete(self) -> int | None:
        with self.database.reader() as connection:
            return reads.complete_until(connection)

    def test_the_slowest_enrolled_host_decides(self) -> None:
        self.ledger.host('h1', last_window_end_ns=500)
        self.ledger.host('h2', last_window_end_ns=300)
        self.ledger.host('h3', last_window_end_ns=100, state='retired')
        self.ledger.write()
        self.assertEqual(300, self.complete())

    def test_nothing_is_complete_while_a_host_is_silent(self) -> None:
        self.assertIsNone(self.complete())
        self.ledger.host('h1', last_window_end_ns=500)
        self.ledger.host('h2')
        self.ledger.write()
        self.assertIsNone(self.complete())


class BalanceTest(ReadsCase):

    def setUp(self) -> None:
        super().setUp()
        self.ledger.host('h2', site='west')
        guest = self.ledger.instance('i1', 'p1')
        pods = self.ledger.account('service', name='kubernetes')
        idle = self.ledger.account('unallocated', name='idle_capacity')
        for host in ('h1', 'h2'):
            self.ledger.book(guest, host, FIRST, 10, 1, 2, 3)
            self.ledger.book(pods, host, FIRST, 20)
            self.ledger.book(idle, host, FIRST, 40, memory_uj=5)
        self.ledger.quarantine('h1', FIRST * units.BUCKET_NS + 5, 77)
        self.ledger.quarantine('h1', (FIRST + 96) * units.BUCKET_NS, 99)
        day = FIRST * units.BUCKET_NS
        self.ledger.gap('h1', None, day - 5, day + 5, 'boot')
        self.ledger.gap('h1', None, day - 5, day, 'before')
        self.ledger.gap('h2', 'dram-0', day + 7, None, 'unreadable')
        self.ledger.gap('h1', None, day, day, 'new_stream')
        self.ledger.write()

    def balance(self, **which: str) -> reads.Balance:
        with self.database.reader() as connection:
            return reads.balance(connection, FIRST, FIRST + 96, **which)

    def test_all_hosts(self) -> None:
        found = self.balance()
        self.assertEqual(162, found.zones_uj)
        self.assertEqual({('instance', None): 32,
                          ('service', 'kubernetes'): 40,
                          ('unallocated', 'idle_capacity'): 90},
                         found.booked_uj)
        self.assertEqual(77, found.quarantined_uj)
        self.assertEqual(['boot', 'new_stream', 'unreadable'],
                         [gap[-1] for gap in found.gaps])

    def test_one_host_or_site_has_its_own_balance(self) -> None:
        for which, quarantined, gaps in (
                ({'host': 'h1'}, 77, 2), ({'site': 'default'}, 77, 2),
                ({'host': 'h2'}, 0, 1), ({'site': 'west'}, 0, 1)):
            found = self.balance(**which)
            self.assertEqual(81, found.zones_uj)
            self.assertEqual(81, sum(found.booked_uj.values()))
            self.assertEqual(quarantined, found.quarantined_uj)
            self.assertEqual(gaps, len(found.gaps))
        self.assertEqual(0, self.balance(host='nobody').zones_uj)
        self.assertEqual(
            0, self.balance(host='h1', site='west').zones_uj)


class HostsTest(ReadsCase):

    def test_measured_time_is_capped_and_of_the_range_only(self) -> None:
        for number, ns in ((FIRST - 1, 900), (FIRST, 901), (FIRST + 1, 300),
                           (FIRST + 2, 900)):
            self.ledger.measured('h1', number, ns * 10**9)
        self.ledger.host('h2', site='west', region='r')
        self.ledger.write()
        with self.database.reader() as connection:
            one, two = reads.hosts(connection, FIRST, FIRST + 2)
            self.assertEqual(
                ['h2'], [host.name for host in reads.hosts(
                    connection, FIRST, FIRST + 2, after='h1', limit=5)])
            self.assertEqual(
                ['h2'], [host.name for host in reads.hosts(
                    connection, FIRST, FIRST + 2, site='west')])
            self.assertEqual(1, reads.count_hosts(connection, site='west'))
            self.assertEqual(
                0, reads.count_hosts(connection, state='retired'))
        self.assertEqual((1200 * 10**9, FIRST),
                         (one.measured_ns, one.first_bucket))
        self.assertEqual((0, None), (two.measured_ns, two.first_bucket))
        self.assertEqual(('package-0', 'dram-0'), one.basis)
        self.assertEqual(('west', 'r'), (two.site, two.region))


def _random_ledger(ledger: filled.Filled, chance: random.Random) -> int:
    """Rows of every kind; returns their energy within the first day."""
    ledger.host('h1')
    ledger.host('h2', site='west', region='west')
    ledger.host('h3', site='west', region='west', boundary='node')
    accounts = [
        ledger.instance(f'i{number}', chance.choice(['p1', 'p2', 'p3', None]),
                        chance.choice(['m1.small', 'm1.large', None]),
                        chance.choice(['u1', None]))
        for number in range(12)]
    accounts += [ledger.account('service', name='kubernetes'),
                 ledger.account('unallocated', name='idle_capacity')]
    ledger.domain('p1', 'd1')
    ledger.domain('p2', 'd1')
    for account in accounts[:12:3]:
        ledger.claim(account, 'p2', chance.randrange(filled.NOW_NS))
    total = 0
    for account, number in itertools.product(
            accounts, range(FIRST - 4, FIRST + 100, 8)):
        for host in chance.sample(['h1', 'h2', 'h3'], chance.choice([1, 2])):
            terms = [chance.randrange(10**12) for _ in range(4)]
            memory = terms[2] if host != 'h1' else None
            ledger.book(account, host, number, terms[0], terms[1], memory,
                        terms[3], backfilled_uj=chance.choice(
                            [0, terms[0] // 2]),
                        vcpu_ns=chance.choice([1, 2, 8]) * 900 * 10**9)
            if FIRST <= number < FIRST + 96:
                total += terms[0] + terms[1] + (memory or 0) + terms[3]
    broken: dict[tuple[str, int], int] = {}
    for number in range(FIRST - 4, FIRST + 100, 16):
        broken['h2', number] = chance.randrange(900 * 10**9)
    for (host, number), measured_ns in broken.items():
        ledger.measured(host, number, measured_ns)
    ledger.write()
    return total
