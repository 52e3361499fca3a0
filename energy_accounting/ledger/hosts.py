# SPDX-License-Identifier: Apache-2.0
"""Hosts: their newest window, their measured time, how far they are booked.

Reading only: what a window says of its host is written with it.  Coverage
in words is the report's.
"""

from __future__ import annotations

import dataclasses
import json

import sqlalchemy as sa

from energy_accounting import units
from energy_accounting.ledger import models


@dataclasses.dataclass(frozen=True, slots=True)
class HostState:
    """A host as its newest window and its operator describe it.

    :ivar measured_ns: time measured in the range that was asked for, at
        most a bucket's length in each.
    :ivar first_bucket: the oldest of its buckets in that range.
    """

    name: str
    state: str
    site: str
    region: str | None
    boundary: str
    enrolled_at_ns: int | None
    last_window_start_ns: int | None
    last_window_end_ns: int | None
    policy: str | None
    basis: tuple[str, ...]
    idle_kind: str | None
    idle_power_uw: int | None
    cpus: int | None
    memory_mib: int | None
    version: str | None
    alarm: str | None
    measured_ns: int
    first_bucket: int | None


def read(connection: sa.Connection, start: int, end: int, *,
         name: str | None = None, site: str | None = None,
         state: str | None = None, after: str | None = None,
         limit: int | None = None) -> list[HostState]:
    """Hosts by name, with their measured time in buckets [start, end)."""
    table, sites, buckets = models.hosts, models.sites, models.host_buckets
    chosen = sa.select(table, sites.c.name.label('site'),
                       sites.c.region).join_from(
        table, sites, sites.c.id == table.c.site_id)
    for column, value in ((table.c.name, name), (sites.c.name, site),
                          (table.c.state, state)):
        if value is not None:
            chosen = chosen.where(column == value)
    if after is not None:
        chosen = chosen.where(table.c.name > after)
    page = chosen.order_by(table.c.name)
    if limit is not None:
        page = page.limit(limit)
    rows = connection.execute(page).mappings().all()
    counted = sa.case((buckets.c.measured_ns > units.BUCKET_NS,
                       units.BUCKET_NS), else_=buckets.c.measured_ns)
    measured = {
        row.host_id: (int(row.ns), int(row.first))
        for row in connection.execute(
            sa.select(buckets.c.host_id, sa.func.sum(counted).label('ns'),
                      sa.func.min(buckets.c.bucket).label('first')).where(
                buckets.c.host_id.in_([row['id'] for row in rows]),
                buckets.c.bucket >= start,
                buckets.c.bucket < end).group_by(buckets.c.host_id))}
    return [_host_state(row, *measured.get(row['id'], (0, None)))
            for row in rows]


def count(connection: sa.Connection, *, site: str | None = None,
          state: str | None = None) -> int:
    """How many rows :func:`read` gives in all its pages."""
    table, sites = models.hosts, models.sites
    chosen = sa.select(sa.func.count()).select_from(
        table.join(sites, sites.c.id == table.c.site_id))
    if site is not None:
        chosen = chosen.where(sites.c.name == site)
    if state is not None:
        chosen = chosen.where(table.c.state == state)
    return connection.execute(chosen).scalar_one()


def complete_until(connection: sa.Connection) -> int | None:
    """Up to when (ns) every enrolled host's windows are booked.

    None when a host has sent none yet, or there is no host.
    """
    hosts = models.hosts.c
    total, reported, least = connection.execute(
        sa.select(sa.func.count(), sa.func.count(hosts.last_window_end_ns),
                  sa.func.min(hosts.last_window_end_ns)).where(
                      hosts.state == models.ENROLLED)).one()
    return int(least) if total and total == reported else None


def _host_state(row: sa.RowMapping, measured_ns: int,
                first_bucket: int | None) -> HostState:
    plain = {name: row[name] for name in (
        'name', 'state', 'site', 'region', 'boundary', 'enrolled_at_ns',
        'last_window_start_ns', 'last_window_end_ns', 'policy', 'idle_kind',
        'idle_power_uw', 'cpus', 'memory_mib', 'alarm')}
    return HostState(**plain, basis=tuple(json.loads(row['basis'] or '[]')),
                     version=row['notifier_version'],
                     measured_ns=measured_ns, first_bucket=first_bucket)
