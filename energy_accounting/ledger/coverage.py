# SPDX-License-Identifier: Apache-2.0
"""What only the hosts' own buckets know of usage: coverage, policies.

Missing time and the policies of each row, in integers and names; the ratio
that a report shows is not made here.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import sqlalchemy as sa

from energy_accounting import units
from energy_accounting.ledger import (
    models,
    periods,
    queries,
    retired,
    sources,
    wide_sums,
)

WHOLE_NS = units.BUCKET_NS - 45_000_000
"""From here on a host's bucket counts as measured in full.

Two readings are never exactly 900 s apart; 45 ms is half a step of the four
decimal places coverage is stated with.
"""

_MS = 1_000_000


@dataclasses.dataclass(frozen=True, slots=True)
class Details:
    """By period and keys of a row; 0 and the one policy where not named.

    :ivar since: the first bucket that this is known of; before, only that
        there is one policy, if there is.
    """

    missing: Mapping[tuple[Any, ...], int]
    policies: Mapping[tuple[Any, ...], tuple[str, str]]
    policy: tuple[str, str] | None
    since: int

    def missing_of(self, key: tuple[Any, ...], first: int) -> int | None:
        """Of the row of a period and keys that begins at a bucket."""
        return None if first < self.since else self.missing.get(key, 0)

    def policies_of(self, key: tuple[Any, ...], first: int,
                    ) -> tuple[str, str] | None:
        return (self.policy if first < self.since
                else self.policies.get(key, self.policy))


def details(connection: sa.Connection, query: queries.UsageQuery,
            sums: wide_sums.WideSums) -> Details:
    """What only the hosts' own buckets know of each row.

    Most buckets are whole and of one policy: then no account row is read.
    """
    hosts = models.host_buckets.c
    used = _policies(connection, query)
    policies = {}
    if len(used) > 1:
        policies = {
            key: (row['low'], row['high']) for key, row in _by_group(
                connection, query, models.host_buckets, sa.true(),
                hosts.policy, lambda policy: [
                    sa.func.min(policy).label('low'),
                    sa.func.max(policy).label('high')])}
    partial = hosts.measured_ns < WHOLE_NS
    broken = sa.select(hosts.bucket).distinct().where(
        partial, query.covers(hosts.bucket)).subquery('broken')
    weight = (_milliseconds(models.account_buckets.c.vcpu_ns)
              * _milliseconds(units.BUCKET_NS - hosts.measured_ns))
    missing = {
        key: sums.value(row, 'missing') or 0 for key, row in _by_group(
            connection, query, broken, partial, weight,
            lambda weight: sums.of('missing', weight))}
    return Details(missing, policies,
                   (used[0], used[0]) if len(used) == 1 else None,
                   retired.kept_since(connection))


def _milliseconds(number: sa.ColumnElement[int]) -> sa.ColumnElement[int]:
    """Milliseconds of nanoseconds, in 64 bits on every database."""
    return sa.cast((number - number % _MS) / _MS, sa.BigInteger)


def _policies(connection: sa.Connection, query: queries.UsageQuery,
              ) -> list[str]:
    """The policies that the ledger holds for the range, in order.

    There are few policies and very many rows: two steps down an index for
    each policy, not a walk over the rows.
    """
    policy, bucket = (models.host_buckets.c.policy,
                      models.host_buckets.c.bucket)
    found: list[str] = []
    name = ''
    while True:
        after = connection.execute(
            sa.select(policy).where(policy > name).order_by(
                policy).limit(1)).scalar()
        if after is None:
            return found
        name = after
        if connection.execute(sa.select(bucket).where(
                policy == name, query.covers(bucket)).limit(1)).first():
            found.append(name)


def _by_group(connection: sa.Connection, query: queries.UsageQuery,
              buckets: sa.FromClause, condition: sa.ColumnElement[bool],
              column: sa.ColumnElement[Any],
              figures: Callable[[Any], list[sa.ColumnElement[Any]]],
              ) -> Iterator[tuple[tuple[Any, ...], wide_sums.Row]]:
    """Figures over account rows of some buckets, by period and group."""
    source = sources.choose(connection, query, by_account=True)
    hosts, rows = models.host_buckets, models.account_buckets

    def joined(tables: sa.FromClause) -> sa.FromClause:
        if buckets is not hosts:
            tables = tables.join(buckets, buckets.c.bucket == rows.c.bucket)
        return tables.join(hosts, sa.and_(
            hosts.c.host_id == rows.c.host_id,
            hosts.c.bucket == rows.c.bucket))

    raw = sources.rows(query, source, [column.label('figure')], joined,
                       [condition])
    inner = sa.select(periods.number(raw.c.bucket, query).label('period'),
                      raw).subquery('numbered')
    groups = [inner.c.period, *sources.numbers(query, inner)]
    found = sources.named(query, source, sa.select(
        *groups, *figures(inner.c.figure)).group_by(*groups).subquery('sums'))
    for row in connection.execute(sa.select(found)).mappings():
        yield (int(row['period']),
               *(row[queries.GROUPS[name]] for name in query.group_by)), row
