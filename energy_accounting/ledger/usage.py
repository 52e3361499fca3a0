# SPDX-License-Identifier: Apache-2.0
"""Usage: sums of energy by period and group, a page of them at a time.

In exact integers: no kWh, no rounding, no policy, no clock.  The same on
MariaDB, PostgreSQL and SQLite.  Which rows are summed is ``sources``'s,
their order ``pages``'s, of which owners a
page is ``parts``'s, how well they were measured ``coverage``'s.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from energy_accounting.ledger import (
    coverage,
    pages,
    parts,
    periods,
    queries,
    sources,
    terms,
    wide_sums,
)


def read(connection: sa.Connection, query: queries.UsageQuery,
         ) -> list[queries.LedgerSum]:
    """Sums by period and group, in order, at most ``limit`` of them."""
    found: list[queries.LedgerSum] = []
    for part in parts.of(connection, query):
        found += _read(connection, dataclasses.replace(
            part, limit=query.limit - len(found)))
        if len(found) == query.limit:
            break
    return found


def _read(connection: sa.Connection, query: queries.UsageQuery,
          ) -> list[queries.LedgerSum]:
    sums = wide_sums.WideSums(connection.dialect.name)
    grouped = _grouped(connection, query, sums)
    order = [*pages.order(query, grouped, sums)]
    chosen = sa.select(grouped)
    if query.after is not None:
        chosen = chosen.where(pages.behind(order, query.after))
    chosen = chosen.order_by(*(term.desc() if down else term
                               for term, down in order)).limit(query.limit)
    rows = [dict(row) for row in connection.execute(chosen).mappings()]
    if not rows:
        return []
    details = coverage.details(connection, query, sums)
    return [_ledger_sum(row, query, sums, details) for row in rows]


def count(connection: sa.Connection, query: queries.UsageQuery) -> int:
    """How many rows :func:`read` gives in all its pages."""
    grouped = _grouped(connection, query,
                       wide_sums.WideSums(connection.dialect.name))
    return connection.execute(
        sa.select(sa.func.count()).select_from(grouped)).scalar_one()


def _grouped(connection: sa.Connection, query: queries.UsageQuery,
             sums: wide_sums.WideSums) -> sa.Subquery:
    """Every row of sums, unordered.

    First by bucket, for the peak, then by period; names come last.
    Where a bucket has a single row for each group the first stage, most of
    the cost, is left out.
    """
    source = sources.choose(connection, query)
    rows = source.rows
    raw = sources.rows(query, source, [
        *(rows.c[name].label(name) for name in terms.SUMMED),
        terms.it_uj({name: rows.c[name] for name in terms.TERMS}).label(
            'it_uj')])
    by_bucket = (_as_they_are if source.single else _by_bucket)(
        raw, sources.numbers(query, raw)).subquery('by_bucket')
    # What is grouped by is always a column of its own before: databases
    # that insist on it then see one and the same expression.
    inner = sa.select(
        periods.number(by_bucket.c.bucket, query).label('period'), by_bucket,
    ).subquery('numbered')
    numbers = sources.numbers(query, inner)
    peak = sa.case(
        (sa.or_(inner.c.backfilled_uj == 0,
                inner.c.it_uj > inner.c.backfilled_uj),
         inner.c.it_uj - inner.c.backfilled_uj))
    chosen = sa.select(
        inner.c.period, sa.func.min(inner.c.bucket).label('first'), *numbers,
        *(column for name in (*terms.SUMMED, 'it_uj')
          for column in sums.of(name, inner.c[name])),
        sa.func.max(peak).label('peak_uj'),
        source.boundary_name(sa.func.min(inner.c.boundary_low)).label(
            'boundary_low'),
        source.boundary_name(sa.func.max(inner.c.boundary_high)).label(
            'boundary_high'),
    ).group_by(inner.c.period, *numbers)
    if source.corrected:
        # All that was booked without a project may have been claimed.
        chosen = chosen.having(sa.or_(
            *(sa.func.max(inner.c[name]) != 0
              for name in ('it_uj', 'vcpu_ns', 'backfilled_uj'))))
    return sources.named(query, source, chosen.subquery('sums'))


def _by_bucket(raw: sa.FromClause, numbers: Sequence[sa.ColumnElement[int]],
               ) -> sa.Select[Any]:
    """Rows added up to one for each bucket and group."""
    return sa.select(
        raw.c.bucket, *numbers,
        *(sa.func.sum(raw.c[name]).label(name)
          for name in (*terms.SUMMED, 'it_uj')),
        sa.func.min(raw.c.boundary_number).label('boundary_low'),
        sa.func.max(raw.c.boundary_number).label('boundary_high'),
    ).group_by(raw.c.bucket, *numbers)


def _as_they_are(raw: sa.FromClause,
                 numbers: Sequence[sa.ColumnElement[int]]) -> sa.Select[Any]:
    """The same of rows that are one for each bucket and group already."""
    return sa.select(
        raw.c.bucket, *numbers,
        *(raw.c[name] for name in (*terms.SUMMED, 'it_uj')),
        raw.c.boundary_number.label('boundary_low'),
        raw.c.boundary_number.label('boundary_high'))


def _ledger_sum(row: wide_sums.Row, query: queries.UsageQuery,
                sums: wide_sums.WideSums, details: coverage.Details,
                ) -> queries.LedgerSum:
    period = int(row['period'])
    keys = tuple(row[queries.GROUPS[name]] for name in query.group_by)
    first = int(row['first'])
    values = {name: sums.value(row, name) for name in terms.SUMMED}
    sort = [] if query.sort == 'start' else sums.terms_of(
        sums.value(row, queries.SORTS[query.sort]))
    return queries.LedgerSum(
        period=period, first=first, keys=keys,
        **values,  # type: ignore[arg-type]
        peak_uj=None if row['peak_uj'] is None else int(row['peak_uj']),
        missing_ms2=details.missing_of((period, *keys), first),
        boundaries=(row['boundary_low'], row['boundary_high']),
        policies=details.policies_of((period, *keys), first),
        position=(*sort, period, *keys),
        row=(period, *(int(row[name]) for name in (
            'owner', 'place', 'boundary_number') if name in row)))
