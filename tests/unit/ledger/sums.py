# SPDX-License-Identifier: Apache-2.0
"""What tests ask a ledger: its sums, all of them in Python integers."""

from __future__ import annotations

from typing import Any, NamedTuple

import sqlalchemy as sa

from energy_accounting.ledger import columns, engine, models

TERMS = ('active_uj', 'idle_uj', 'memory_uj', 'host_uj', 'platform_uj')


class Sums(NamedTuple):
    """Microjoules by the table they were summed over."""

    zones: int
    accounts: int
    projects: int
    quarantined: int


def rows(database: engine.Database, table: sa.Table) -> list[Any]:
    return list(database.read(
        lambda connection: connection.execute(sa.select(table)).all()))


def sums(database: engine.Database) -> Sums:
    def energy(table: sa.Table) -> int:
        return sum(getattr(row, term) or 0 for row in rows(database, table)
                   for term in TERMS)
    return Sums(
        sum(row.energy_uj for row in rows(database, models.zone_buckets)),
        energy(models.account_buckets), energy(models.project_buckets),
        sum(row.energy_uj for row in rows(database, models.quarantine)))


def contents(database: engine.Database) -> dict[str, list[Any]]:
    """Every row of every table."""
    return {table.name: rows(database, table)
            for table in columns.metadata.sorted_tables}


def empty(database: engine.Database) -> None:
    """Bring a ledger back to what it was when it was made."""
    kept = {models.sites: models.DEFAULT_SITE,
            models.projects: models.NO_PROJECT}

    def delete(connection: sa.Connection) -> None:
        for table in reversed(columns.metadata.sorted_tables):
            rows_ = sa.delete(table)
            if table in kept:
                rows_ = rows_.where(table.c.id != kept[table])
            connection.execute(rows_)
    database.write(delete)
