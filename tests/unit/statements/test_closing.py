# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import hashlib
import itertools
import json

import fixtures
import sqlalchemy as sa
from oslotest import base

from energy_accounting import errors, units
from energy_accounting.ledger import billing_models
from energy_accounting.statements import closing, differences, periods, stored
from tests.unit.ledger import filled
from tests.unit.statements import made
from tests.unit.statements.made import KWH, bucket


class LinesTest(base.BaseTestCase):

    def setUp(self) -> None:
        super().setUp()
        self.ledger = made.ledger(self)
        self.database = self.ledger.database
        self.web = self.ledger.instance('web', 'p1', 'm1.small')
        self.ledger.book(self.web, 'compute-1', bucket(1), KWH, 2, 3, 4)
        self.ledger.book(self.web, 'compute-1', bucket(1, 95), 5)
        self.ledger.book(self.web, 'compute-1', bucket(25, 99), 7)
        self.ledger.book(self.ledger.instance('db', 'p1'), 'compute-1',
                         bucket(1), 11)
        self.ledger.book(self.ledger.instance('other', 'p2'), 'compute-1',
                         bucket(1), 13)

    def closed(self) -> closing.Closed:
        self.ledger.write()
        return made.close(self.database)

    def test_a_line_is_not_of_one_instance_and_one_local_day(self) -> None:
        found = made.lines(self.database, self.closed())
        self.assertEqual(
            [('2026-10-01', 'db', 11), ('2026-10-01', 'web', KWH + 14),
             ('2026-10-25', 'web', 7)],
            [(one.day, one.instance_id, one.it_uj) for one in found])

    def test_a_day_on_which_clocks_are_set_back_has_24_hours(self) -> None:
        (*_, last) = made.lines(self.database, self.closed())
        self.assertEqual(100, last.end - last.start)
        self.assertEqual((bucket(25), bucket(26)), (last.start, last.end))

    def test_lines_are_closed_that_are_not_all_there_is(self) -> None:
        self.ledger.write()
        tables = filled.models
        with self.database.writer() as connection:
            connection.execute(sa.update(tables.project_buckets).values(
                active_uj=tables.project_buckets.c.active_uj + 1))
        caught = self.assertRaises(errors.Conflict, made.close,
                                   self.database)
        self.assertIn('nothing is closed', str(caught))
        with self.database.reader() as connection:
            self.assertIsNone(connection.execute(
                sa.select(billing_models.statements)).first())

    def test_totals_are_not_the_sum_of_the_lines(self) -> None:
        closed = self.closed()
        totals = closed.stored.head['totals']
        self.assertEqual(str(KWH + 32), totals['it_uj'])
        self.assertEqual(('3', '2'), (totals['lines'], totals['instances']))
        # Both in one quarter of an hour.
        self.assertEqual(str(KWH + 20), totals['peak_uj'])

    def test_the_digest_is_not_of_the_canonical_text(self) -> None:
        closed = self.closed()
        text = made.text(self.database, closed)
        self.assertEqual(closed.stored.digest, hashlib.sha256(
            text.encode()).hexdigest())
        self.assertEqual(text, json.dumps(
            json.loads(text), sort_keys=True, separators=(',', ':'),
            ensure_ascii=False))

    def test_a_statement_holds_a_number_that_is_none_in_json(self) -> None:
        def numbers(value: object) -> list[object]:
            if isinstance(value, dict):
                value = list(value.values())
            if isinstance(value, list):
                return [one for part in value for one in numbers(part)]
            return [] if value is None or isinstance(value, str) else [value]

        self.assertEqual([], numbers(json.loads(
            made.text(self.database, self.closed()))))

    def test_a_flavor_named_like_json_changes_the_costs(self) -> None:
        self.ledger.book(self.ledger.instance('odd', 'p1', '"cost":null'),
                         'compute-1', bucket(2), 1)
        closed = self.closed()
        self.assertIn('"cost":null', [
            one.flavor for one in made.lines(self.database, closed)])

    def test_a_typing_error_becomes_a_statement_for_ever(self) -> None:
        self.ledger.write()
        caught = self.assertRaises(errors.InvalidRequest, made.close,
                                   self.database, 'webshpo')
        self.assertIn("projects: 'webshpo' has used nothing", str(caught))

    def test_a_project_without_instances_cannot_be_closed(self) -> None:
        self.ledger.domain('nobody', 'd1')
        self.ledger.write()
        closed = made.close(self.database, 'nobody')
        self.assertEqual((closing.CREATED, 0), (
            closed.outcome, closed.stored.lines))
        totals = closed.stored.head['totals']
        self.assertEqual(('0', '0', None), (
            totals['it_uj'], totals['instances'], totals['coverage']))
        self.assertEqual([], made.lines(self.database, closed))
        self.assertEqual(closing.UNCHANGED,
                         made.close(self.database, 'nobody').outcome)

    def test_lines_of_two_blocks_lose_one(self) -> None:
        self.useFixture(fixtures.MonkeyPatch(
            'energy_accounting.statements.content.BLOCK', 3))
        for number in range(8):
            self.ledger.book(
                self.ledger.instance(f'many-{number}', 'p1'),
                'compute-1', bucket(3), number)
        closed = self.closed()
        found = made.lines(self.database, closed)
        self.assertEqual(11, len(found))
        self.assertEqual(sorted(one.key for one in found),
                         [one.key for one in found])
        with self.database.reader() as connection:
            for first in range(12):
                self.assertEqual(found[first:], list(stored.lines_of(
                    connection, closed.stored, first)), first)


class RevisionsTest(base.BaseTestCase):

    def setUp(self) -> None:
        super().setUp()
        self.ledger = made.ledger(self)
        self.database = self.ledger.database
        self.ledger.book(self.ledger.instance('web', 'p1'), 'compute-1',
                         bucket(1), KWH)
        self.ledger.write()

    def late(self, day: int, energy_uj: int, instance: str = 'web') -> None:
        """A window that comes when the month was closed."""
        made.late(self.database, instance, 'p1', bucket(day), energy_uj)

    def test_closing_twice_makes_a_revision(self) -> None:
        first, again = (made.close(self.database) for _ in range(2))
        self.assertEqual((closing.CREATED, 1, 'final'), (
            first.outcome, first.stored.revision, first.stored.state))
        self.assertEqual(closing.UNCHANGED, again.outcome)
        self.assertEqual(first.stored, again.stored)

    def test_when_and_by_whom_is_in_the_digest(self) -> None:
        first = made.close(self.database)
        other = made.close(self.database, now_ns=made.NOW_NS + 10 ** 12)
        self.assertEqual(first.stored.digest, other.stored.digest)

    def test_a_month_that_is_not_complete_is_final(self) -> None:
        self.host_ends(made.OCTOBER.end_ns - 1)
        first = made.close(self.database)
        self.assertEqual(('provisional', 0), (
            first.stored.state, first.stored.revision))
        self.assertEqual(closing.UNCHANGED,
                         made.close(self.database).outcome)
        self.late(2, 5)
        self.assertEqual((closing.REPLACED, 0), (
            (second := made.close(self.database)).outcome,
            second.stored.revision))
        self.assertNotEqual(first.stored.digest, second.stored.digest)
        self.host_ends(made.OCTOBER.end_ns)
        final = made.close(self.database)
        self.assertEqual((closing.CREATED, 1, second.stored.digest), (
            final.outcome, final.stored.revision, final.stored.digest))

    def test_a_month_that_is_not_over_is_final(self) -> None:
        closed = made.close(self.database, now_ns=made.OCTOBER.end_ns - 1)
        self.assertEqual('provisional', closed.stored.state)

    def test_a_month_that_has_not_begun_is_closed(self) -> None:
        self.assertRaises(errors.InvalidRequest, made.close, self.database,
                          now_ns=made.OCTOBER.start_ns)

    def test_what_is_final_changes_while_a_host_is_behind(self) -> None:
        final = made.close(self.database)
        self.late(2, 5)
        self.host_ends(made.OCTOBER.end_ns - 1)
        waiting = made.close(self.database)
        self.assertEqual((closing.WAITING, final.stored), waiting[::-1])

    def test_a_late_window_makes_another_difference_than_itself(
            self) -> None:
        first = made.close(self.database)
        before = made.lines(self.database, first)
        self.late(1, 5)
        self.late(2, 6)
        second = made.close(self.database)
        self.assertEqual((closing.CREATED, 2), (
            second.outcome, second.stored.revision))
        found = [(one.key[:2], differences.amounts(one.was, one.became)
                  ['it_uj']) for one in differences.of_lines(
            before, made.lines(self.database, second))]
        self.assertEqual([(('2026-10-01', 'web'), 5),
                          (('2026-10-02', 'web'), 6)], found)
        # The earlier one stays as it was.
        self.assertEqual(before, made.lines(self.database, first))

    def test_older_facts_replace_newer_ones(self) -> None:
        """A closer that began before a claim comes second."""
        made.late(self.database, 'found', '', bucket(3), 9)
        made.claim(self.database, 'found', 'p1', made.NOW_NS - 50)
        newer = made.close(self.database)
        self.assertEqual(2, newer.stored.lines)
        older = made.close(self.database, as_of_ns=made.NOW_NS - 100)
        self.assertEqual((closing.UNCHANGED, newer.stored), older[::-1])

    def host_ends(self, end_ns: int) -> None:
        with self.database.writer() as connection:
            connection.execute(filled.models.hosts.update().values(
                last_window_end_ns=end_ns))


class PeriodsTest(base.BaseTestCase):

    def test_a_year_is_not_its_months(self) -> None:
        year = periods.period('2026', made.BERLIN)
        months = [periods.period(f'2026-{month:02d}', made.BERLIN)
                  for month in range(1, 13)]
        self.assertEqual(
            (year.start, year.end), (months[0].start, months[-1].end))
        for one, other in itertools.pairwise(months):
            self.assertEqual(one.end, other.start)
        self.assertEqual(365 * 96, year.end - year.start)

    def test_what_is_no_month_is_taken_for_one(self) -> None:
        for text in ('2026-13', '2026-1', '26', '1999', '2026-10-01', '',
                     '٢٠٢٦'):
            self.assertRaises(errors.InvalidRequest, periods.period, text,
                              'UTC')
        self.assertRaises(errors.InvalidRequest, periods.period, '2026-10',
                          'Mars/Base')

    def test_a_zone_off_the_quarters_is_taken(self) -> None:
        # Amsterdam was 19 min 32 s ahead until 1937; Liberia 44 min 30 s
        # behind until 1972: nothing since 2000, so a quarter is enough.
        for zone in ('Asia/Kathmandu', 'Australia/Eucla', 'UTC'):
            one = periods.period('2026-03', zone)
            self.assertEqual(31 * 96, one.end - one.start)
        self.assertEqual(units.UTC, one.where)
