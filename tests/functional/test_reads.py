# SPDX-License-Identifier: Apache-2.0
"""What the ledger answers, on MariaDB word for word as on SQLite."""

from __future__ import annotations

from energy_accounting.ledger import engine
from tests.functional import base
from tests.unit.ledger import test_reads as sqlite


class _Mysql:

    def new_database(self) -> engine.Database:
        database = engine.Database(
            base.mysql_url(self))  # type: ignore[arg-type]
        self.addCleanup(database.close)  # type: ignore[attr-defined]
        engine.sync(database)
        return database


for _case in (sqlite.UsageTest, sqlite.ClaimTest, sqlite.CalendarTest,
              sqlite.PeakTest, sqlite.CoverageTest, sqlite.PageTest,
              sqlite.CompleteTest, sqlite.BalanceTest, sqlite.HostsTest):
    _name = f'Mysql{_case.__name__}'
    globals()[_name] = type(_name, (_Mysql, _case), {
        '__module__': __name__})
del _case
