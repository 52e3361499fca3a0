# SPDX-License-Identifier: Apache-2.0
"""``energy-accounting-manage close`` and ``verify``, as a shell runs them."""

from __future__ import annotations

import contextlib
import datetime
import io
from typing import Any
from unittest import mock

import fixtures
import sqlalchemy as sa
from oslotest import base

from energy_accounting import errors, manage, manage_statements, units
from energy_accounting.ledger import billing_models, models
from energy_accounting.ledger import statements as store
from energy_accounting.statements import periods
from tests.unit.statements import made


class ManageTest(base.BaseTestCase):

    def setUp(self) -> None:
        super().setUp()
        self.ledger = made.ledger(self)
        self.database = self.ledger.database
        for name, project in (('web', 'p1'), ('db', 'p2')):
            self.ledger.book(self.ledger.instance(name, project),
                             'compute-1', made.bucket(1), made.KWH)
        self.ledger.book(self.ledger.account('service', name='ceph'),
                         'compute-1', made.bucket(2), 5)
        self.ledger.write()
        self.useFixture(fixtures.MonkeyPatch(
            'energy_accounting.manage_statements.time.time_ns',
            lambda: made.NOW_NS))
        (self.conf,) = self.create_tempfiles([(
            'conf', f'[database]\nconnection = {self.database.engine.url}\n',
        )], '.conf')

    def run_line(self, *words: str) -> tuple[int, list[str]]:
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            status = manage.main(['--config-file', self.conf, *words])
        return status, out.getvalue().splitlines()

    def close(self, *words: str) -> tuple[int, list[str]]:
        return self.run_line('close', '--timezone', made.BERLIN,
                             *(words or ('--month', '2026-10', '--all')))

    def test_closing_all_leaves_somebody_out(self) -> None:
        status, lines = self.close()
        self.assertEqual((0, ['none', 'p1', 'p2']), (
            status, [line.partition(':')[0] for line in lines]))
        self.assertIn('revision 1 (final) created, 1 instances, '
                      '1.000000000000000 kWh', lines[1])
        status, lines = self.close()
        self.assertEqual((0, 3), (status, len(
            [line for line in lines if ' unchanged, ' in line])))

    def test_who_forgets_the_zone_makes_a_second_statement(self) -> None:
        self.close()
        words = ('close', '--month', '2026-10', '--project', 'p1')
        self.assertRaisesRegex(
            errors.Conflict, 'timezone: 2026-10 is closed in Europe/Berlin, '
            'and in UTC .*another_timezone', self.run_line, *words)
        with contextlib.redirect_stderr(io.StringIO()) as said:
            self.assertEqual((2, []), self.run_line(
                *words, '--project', 'p2'))
        self.assertEqual(2, said.getvalue().count('is closed in Europe'))
        self.assertEqual(3, self.database.read(store.count))
        status, lines = self.run_line(*words, '--another-timezone')
        # Its month is two hours longer than the host has reported.
        self.assertEqual((1, 1), (status, len(lines)))
        # Now it is there, and is closed as ever.
        status, (line,) = self.run_line(*words)
        self.assertEqual(1, status)
        self.assertIn(' unchanged, ', line)
        # Another period is another matter.
        self.assertEqual(0, self.run_line(
            'close', '--month', '2026-09', '--project', 'p1')[0])

    def test_a_year_is_taken_for_a_month(self) -> None:
        for option, word in (('--year', '2026-10'), ('--month', '2026'),
                             ('--month', 'last-year')):
            self.assertRaisesRegex(
                errors.InvalidRequest, f'{option[2:]}: .*is none; give',
                self.close, option, word, '--all')

    def test_last_month_is_another(self) -> None:
        _, lines = self.close('--month', 'last-month', '--project', 'p1')
        self.assertIn('final', lines[0])
        with self.database.reader() as connection:
            self.assertEqual('2026-10', connection.scalar(
                sa.select(billing_models.statements.c.period)))
        for moment, month, year in (
                ('2027-01-01T00:30:00+01:00', '2026-12', '2026'),
                ('2026-12-31T23:30:00+01:00', '2026-11', '2025'),
                ('2026-03-31T12:00:00Z', '2026-02', '2025')):
            now_ns = units.wall_ns(datetime.datetime.fromisoformat(moment))
            self.assertEqual((month, year), tuple(
                periods.named(word, made.BERLIN, now_ns)
                for word in ('last-month', 'last-year')))

    def test_what_is_provisional_ends_with_0(self) -> None:
        with self.database.writer() as connection:
            connection.execute(sa.update(models.hosts).values(
                last_window_end_ns=made.OCTOBER.end_ns - 1))
        status, lines = self.close()
        self.assertEqual(1, status)
        self.assertIn('revision 0 (provisional) created', lines[0])

    def test_what_cannot_be_closed_is_a_traceback(self) -> None:
        for words in (('--month', '2026-13', '--all'),
                      ('--year', '2099', '--all')):
            self.assertRaises(errors.InvalidRequest, self.close, *words)

    def test_months_whose_rows_were_dropped_are_closed(self) -> None:
        with self.database.writer() as connection:
            connection.execute(sa.insert(models.retired_buckets).values(
                host_id=1, bucket=made.bucket(3), kind='instance', name='',
                energy_uj=1))
        said = io.StringIO()
        with contextlib.redirect_stderr(said):
            self.assertEqual((2, []), self.close())
        self.assertEqual(
            3, said.getvalue().count('retention_instance_days'))

    def test_what_is_on_another_page_is_not_verified(self) -> None:
        self.close()
        self.close('--month', '2026-09', '--project', 'p1')
        for heads in (1, 4):
            with mock.patch.object(manage_statements, '_HEADS', heads):
                status, lines = self.run_line('verify')
            self.assertEqual((0, 4, 4), (status, len(lines), len({
                line.partition(' ')[0] for line in lines})))
        self.assertEqual(
            [('2026-09', made.BERLIN, 1), ('2026-10', made.BERLIN, 3)],
            sorted(self.database.read(store.spans)))

    def verified(self, *words: str) -> tuple[int, str]:
        status, lines = self.run_line('verify', *words)
        return status, '\n'.join(lines)

    def test_a_statement_that_is_right_is_not_equal(self) -> None:
        self.close()
        status, text = self.verified()
        self.assertEqual((0, 3), (status, text.count(': equal')))

    def test_a_ledger_that_was_changed_is_equal(self) -> None:
        self.close()
        made.late(self.database, 'web', 'p1', made.bucket(1), 36)
        status, text = self.verified()
        self.assertEqual(1, status)
        self.assertIn('differs: 1 lines, by 36 uJ of IT energy', text)
        self.assertIn('2026-10-01 web instance m1.small default: '
                      '1.000000000000000 kWh in the statement, '
                      '1.000000000010000 kWh in the ledger', text)
        self.close()
        self.assertEqual(0, self.verified()[0])
        number = self.statement('p1')
        self.assertEqual(1, self.verified(number, '--revision', '1')[0])
        self.assertEqual(0, self.verified(number, '--revision', '2')[0])

    def statement(self, project: str) -> str:
        table = billing_models.statements.c
        with self.database.reader() as connection:
            return str(connection.scalar(sa.select(table.statement).where(
                table.project_id == project)))

    def test_what_was_tampered_with_is_equal(self) -> None:
        self.close()
        table = billing_models.statements
        with self.database.writer() as connection:
            head = connection.scalar(sa.select(table.c.head).where(
                table.c.project_id == 'p1'))
            connection.execute(sa.update(table).where(
                table.c.project_id == 'p1').values(
                    head=str(head).replace(str(made.KWH), '1')))
        status, text = self.verified()
        self.assertEqual((1, 1), (status, text.count(': damaged')))

    def test_a_block_that_cannot_be_read_ends_the_looking(self) -> None:
        self.close()
        table = billing_models.statement_blocks
        with self.database.writer() as connection:
            connection.execute(sa.update(table).where(
                table.c.statement_ref == connection.scalar(
                    sa.select(billing_models.statements.c.id).where(
                        billing_models.statements.c.project_id == 'p1'))
            ).values(content=b'no block'))
        status, text = self.verified()
        self.assertEqual((1, 1, 2), (
            status, text.count(': damaged'), text.count(': equal')))

    def test_one_that_cannot_be_closed_keeps_others_from_it(self) -> None:
        table = models.project_buckets
        with self.database.writer() as connection:
            connection.execute(sa.update(table).where(
                table.c.project_ref == connection.scalar(
                    sa.select(models.projects.c.id).where(
                        models.projects.c.project_id == 'p1'))
            ).values(active_uj=table.c.active_uj + 1))
        said = io.StringIO()
        with contextlib.redirect_stderr(said):
            status, lines = self.close()
        self.assertEqual((2, ['none', 'p2']), (
            status, [line.partition(':')[0] for line in lines]))
        self.assertRegex(said.getvalue(), '(?m)^p1: not closed: .* uJ')

    def test_dropped_rows_make_a_difference(self) -> None:
        self.close()
        with self.database.writer() as connection:
            connection.execute(sa.insert(models.retired_buckets).values(
                host_id=1, bucket=made.bucket(3), kind='instance', name='',
                energy_uj=1))
        status, text = self.verified()
        self.assertEqual((2, 3), (status, text.count(': retired')))

    def test_a_statement_there_is_not_is_a_traceback(self) -> None:
        self.assertRaises(errors.NotFound, self.verified, 'nothing')
        self.assertRaises(errors.InvalidRequest, self.verified,
                          '--revision', '1')

    def test_no_place_for_the_lines_is_a_traceback(self) -> None:
        def nowhere(*args: Any, **kwargs: Any) -> Any:
            raise FileNotFoundError(2, 'No usable temporary directory')
        self.useFixture(fixtures.MonkeyPatch('tempfile.TemporaryFile',
                                             nowhere))
        error = self.assertRaises(errors.Unavailable, self.close)
        self.assertIn('TMPDIR', str(error))
