# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import contextlib
import io
import pathlib
import sqlite3
import tempfile
import unittest

from energy_accounting import collector, errors, manage, status
from energy_accounting.ledger import engine
from tests.unit import records


class CommandCase(unittest.TestCase):
    def setUp(self) -> None:
        super().setUp()
        where = tempfile.TemporaryDirectory()
        self.addCleanup(where.cleanup)
        self.path = pathlib.Path(where.name)
        self.url = f'sqlite:///{self.path}/ledger.db'
        self.conf = self.path / 'test.conf'
        self.conf.write_text(f'[database]\nconnection = {self.url}\n')

    def manage(self, *words: str) -> str:
        with contextlib.redirect_stdout(io.StringIO()) as said:
            self.assertEqual(0, manage.main(
                ['--config-file', str(self.conf), *words]))
        return said.getvalue()

    def check(self) -> tuple[int, str]:
        with contextlib.redirect_stdout(io.StringIO()) as said:
            code = status.main(['--config-file', str(self.conf),
                                'upgrade', 'check'])
        return code, said.getvalue()

    def test_an_upgrade_goes_on_with_a_wrong_option(self) -> None:
        self.manage('db', 'sync')
        self.assertEqual(0, self.check()[0])
        with self.conf.open('a') as more:
            more.write('[collector]\nworkers = lots\n')
        code, said = self.check()
        self.assertEqual(2, code)
        self.assertIn('[collector] workers', said)

    def test_sync_makes_what_version_shows(self) -> None:
        self.assertEqual('none\n', self.manage('db', 'version'))
        self.manage('db', 'sync')
        self.manage('db', 'sync')
        self.assertEqual(f'{engine.head()}\n', self.manage('db', 'version'))

    def test_a_step_that_fails_is_a_database_that_is_away(self) -> None:
        with contextlib.closing(sqlite3.connect(
                self.path / 'ledger.db')) as strange:
            strange.execute('CREATE TABLE hosts (id INTEGER)')
            strange.commit()
        with self.assertRaisesRegex(
                errors.ConfigurationError,
                'schema could not be changed: .*hosts.*db sync again'):
            self.manage('db', 'sync')

    def test_a_ledger_of_a_newer_version_ends_in_a_traceback(self) -> None:
        self.manage('db', 'sync')
        with contextlib.closing(sqlite3.connect(
                self.path / 'ledger.db')) as newer:
            newer.execute("UPDATE alembic_version SET version_num = '9999'")
            newer.commit()
        with self.assertRaisesRegex(
                errors.ConfigurationError,
                'at 9999, which this version does not know'):
            self.manage('db', 'sync')

    def test_purge_says_what_went(self) -> None:
        self.manage('db', 'sync')
        self.assertIn('account_buckets: 0', self.manage('db', 'purge'))

    def test_purge_of_no_ledger_says_what_to_run(self) -> None:
        with self.assertRaisesRegex(errors.ConfigurationError, 'db sync'):
            self.manage('db', 'purge')

    def test_a_missing_connection_is_named(self) -> None:
        self.conf.write_text('')
        with self.assertRaisesRegex(errors.ConfigurationError,
                                    r'\[database\] connection'):
            self.manage('db', 'sync')

    def test_an_unknown_command_is_refused(self) -> None:
        for words in (['db', 'nonsense'], ['db'], ['nonsense'], []):
            with (self.subTest(words=words),
                  contextlib.redirect_stderr(io.StringIO()),
                  self.assertRaises(SystemExit) as ended):
                self.manage(*words)
            self.assertEqual(2, ended.exception.code)

    def test_the_upgrade_check_fails_without_tables(self) -> None:
        code, said = self.check()
        self.assertEqual(2, code)
        self.assertIn('db sync', ' '.join(said.split()))

    def test_the_upgrade_check_is_content_with_a_ledger(self) -> None:
        self.manage('db', 'sync')
        self.assertEqual(0, self.check()[0])

    def test_the_upgrade_check_warns_of_late_hosts(self) -> None:
        self.manage('db', 'sync')
        database = engine.Database(f'sqlite:///{self.path}/ledger.db')
        self.addCleanup(database.close)
        # Booked in March and not heard of since.
        collector.Collector(database, None, lambda: records.START_NS).book(
            {}, records.payloads(records.window(1)))
        code, said = self.check()
        self.assertEqual(1, code)
        self.assertIn('owe windows: compute-1', ' '.join(
            said.replace('|', ' ').split()))

    def test_the_upgrade_check_warns_of_held_records(self) -> None:
        self.manage('db', 'sync')
        database = engine.Database(self.url)
        self.addCleanup(database.close)
        collector.Collector(database, None, lambda: records.START_NS).book(
            {}, records.payloads(records.window(1, boottime_end_ns=1)))
        code, said = self.check()
        self.assertEqual(1, code)
        self.assertIn('1 records are in quarantine', said)
