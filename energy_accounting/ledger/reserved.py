# SPDX-License-Identifier: Apache-2.0
"""How long instances reserved, and how long hosts were not measured.

Reading only, for the comparison with Nova: sums of vCPU time by what an
instance was booked as.  No energy, no opinion about what a difference
means.
"""

from __future__ import annotations

import collections
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import sqlalchemy as sa

from energy_accounting import samples, units
from energy_accounting.ledger import claims, models, wide_sums

_ACCOUNTS = 500


class Reserved(NamedTuple):
    """An instance as it was booked: one row for each owner and flavor.

    :ivar project_id: None while the owner is unknown.
    :ivar hosts: by name, in order.
    """

    instance_id: str
    project_id: str | None
    flavor: str | None
    vcpu_ns: int
    hosts: tuple[str, ...]


def read(connection: sa.Connection, start: int, end: int, as_of_ns: int,
         instance_id: str | None = None) -> list[Reserved]:
    """What instances, or one of them, reserved in buckets [start, end).

    Of all instances the rows are found by host and bucket, of one by its
    accounts: the cost is that of the asked range.
    """
    hosts = {row.id: row.name for row in connection.execute(
        sa.select(models.hosts.c.id, models.hosts.c.name))}
    rows = models.account_buckets.c
    if instance_id is None:
        only = [rows.host_id == host_id for host_id in hosts]
    else:
        accounts = models.accounts.c
        only = [rows.account_id.in_(
            sa.select(accounts.id).where(
                accounts.instance_id == instance_id))]
    sums: dict[int, int] = collections.Counter()
    where: dict[int, set[str]] = collections.defaultdict(set)
    for condition in only:
        for account_id, host_id, vcpu_ns in _sums(
                connection, condition, start, end):
            sums[account_id] += vcpu_ns
            where[account_id].add(hosts[host_id])
    found: dict[tuple[str, str | None, str | None], int] = (
        collections.Counter())
    on: dict[tuple[str, str | None, str | None], set[str]] = (
        collections.defaultdict(set))
    for account_id, key in _owners(connection, sorted(sums), as_of_ns):
        found[key] += sums[account_id]
        on[key] |= where[account_id]
    return [Reserved(*key, vcpu_ns, tuple(sorted(on[key])))
            for key, vcpu_ns in found.items()]


def _owners(connection: sa.Connection, ids: Sequence[int], as_of_ns: int,
            ) -> Iterator[tuple[int, tuple[str, str | None, str | None]]]:
    """Which of the accounts are instances', and whose they are."""
    table, projects = models.accounts, models.projects
    claimed = claims.newest(as_of_ns)
    query = sa.select(
        table.c.id, table.c.instance_id, projects.c.project_id,
        sa.func.coalesce(claimed.c.flavor, table.c.flavor).label('flavor'),
    ).select_from(
        table.outerjoin(claimed, claimed.c.account_id == table.c.id)
        .join(projects, projects.c.id == sa.func.coalesce(
            claimed.c.project_ref, table.c.project_ref))
    ).where(table.c.kind == samples.INSTANCE)
    for first in range(0, len(ids), _ACCOUNTS):
        for row in connection.execute(query.where(
                table.c.id.in_(ids[first:first + _ACCOUNTS]))):
            yield row.id, (row.instance_id, row.project_id or None,
                           row.flavor)


def _sums(connection: sa.Connection, only: sa.ColumnElement[bool],
          start: int, end: int) -> Iterator[tuple[int, int, int]]:
    table = models.account_buckets
    sums = wide_sums.WideSums(connection.dialect.name)
    for row in connection.execute(
            sa.select(table.c.account_id, table.c.host_id,
                      *sums.of('vcpu_ns', table.c.vcpu_ns))
            .where(only, table.c.bucket >= start, table.c.bucket < end)
            .group_by(table.c.account_id, table.c.host_id)).mappings():
        yield (row['account_id'], row['host_id'],
               sums.value(row, 'vcpu_ns') or 0)


def unmeasured_ns(connection: sa.Connection, hosts: Sequence[str],
                  start_ns: int, end_ns: int) -> int:
    """For how long of a time hosts were not measured, added up.

    To the quarter of an hour: of a quarter at the edge only as much as
    lies inside.
    """
    table = models.host_buckets
    first, last = units.bucket_of(start_ns), units.bucket_of(end_ns - 1)
    measured = collections.Counter({
        (row.name, row.bucket): row.measured_ns for row in
        connection.execute(
            sa.select(models.hosts.c.name, table.c.bucket,
                      table.c.measured_ns)
            .join(models.hosts, models.hosts.c.id == table.c.host_id)
            .where(models.hosts.c.name.in_(hosts),
                   table.c.bucket.between(first, last)))})
    total_ns = 0
    for bucket in range(first, last + 1):
        inside_ns = (min(end_ns, (bucket + 1) * units.BUCKET_NS)
                     - max(start_ns, bucket * units.BUCKET_NS))
        for host in hosts:
            total_ns += max(0, min(
                inside_ns, units.BUCKET_NS - measured[host, bucket]))
    return total_ns
