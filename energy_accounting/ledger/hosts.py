# SPDX-License-Identifier: Apache-2.0
"""Hosts: their newest window, their measured time, how far they are booked.

Reading only: what a window says of its host is written with it, what an
operator says in ``register``.  Coverage in words is the report's.
"""

from __future__ import annotations

import collections
import dataclasses
import json
from collections.abc import Iterable, Sequence
from typing import Any

import sqlalchemy as sa

from energy_accounting import errors, units
from energy_accounting.ledger import models

LATE_WINDOWS = 3
"""A host is late when its last window ended more than so many of its
windows ago."""

WINDOW_SECONDS = 60
"""Length of a window of a host that has sent none yet."""


@dataclasses.dataclass(frozen=True, slots=True)
class Downtime:
    """A time in which a host is planned to be silent, half open."""

    id: int
    start_ns: int
    end_ns: int
    reason: str


@dataclasses.dataclass(frozen=True, slots=True)
class HostState:
    """A host as its newest window and its operator describe it.

    :ivar boundary: of its policy; or that of its node meter, where that was
        divided in the range that was asked for.
    :ivar measured_ns: time measured in the range that was asked for, at
        most a bucket's length in each.
    :ivar first_bucket: the oldest of its buckets in that range.
    :ivar excused: what of a bucket of that range nobody expected of the
        host and it did not measure (planned downtime, time it was
        retired): (bucket, ns).
    :ivar presented_keys: other keys than its own that records came with.
    :ivar downtime: the one it is in, else the next one.
    :ivar last_received_ns: when a record came that its own key signed.
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
    retired_at_ns: int | None = None
    public_key: str | None = None
    window_seconds: int | None = None
    max_power_uw: int | None = None
    late: bool = False
    excused: tuple[tuple[int, int], ...] = ()
    presented_keys: tuple[str, ...] = ()
    downtime: Downtime | None = None
    last_received_ns: int | None = None


def read(connection: sa.Connection, start: int, end: int, now_ns: int, *,
         name: str | None = None, site: str | None = None,
         state: str | None = None, late: bool | None = None,
         after: str | None = None,
         limit: int | None = None) -> list[HostState]:
    """Hosts by name, with their measured time in buckets [start, end)."""
    table, sites, buckets = models.hosts, models.sites, models.host_buckets
    chosen = sa.select(
        table, sites.c.name.label('site'), sites.c.region,
        is_late(now_ns).label('late'),
    ).join_from(table, sites, sites.c.id == table.c.site_id).where(
        *_conditions(now_ns, name, site, state, late))
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
    ids = [row['id'] for row in rows]
    excused = _excused(connection, rows, start, end)
    keys = presented(connection, ids)
    planned = _planned(connection, ids, now_ns)
    reaching = _reaching(connection, ids, start, end)
    return [dataclasses.replace(
        _host_state(row, *measured.get(row['id'], (0, None))),
        boundary=models.NODE if row['id'] in reaching else row['boundary'],
        excused=excused.get(row['id'], ()),
        presented_keys=tuple(key for key in keys.get(row['id'], ())
                             if key != row['public_key']),
        downtime=planned.get(row['id'])) for row in rows]


def count(connection: sa.Connection, now_ns: int, *,
          site: str | None = None, state: str | None = None,
          late: bool | None = None) -> int:
    """How many rows :func:`read` gives in all its pages."""
    table, sites = models.hosts, models.sites
    return connection.execute(
        sa.select(sa.func.count()).select_from(
            table.join(sites, sites.c.id == table.c.site_id)).where(
                *_conditions(now_ns, None, site, state, late)),
    ).scalar_one()


def _reaching(connection: sa.Connection, host_ids: Sequence[int],
              start: int, end: int) -> set[int]:
    """Hosts of which a node meter was divided in a range."""
    terms = models.platform_buckets.c
    return set(connection.scalars(sa.select(terms.host_id).distinct().where(
        terms.host_id.in_(host_ids), terms.bucket >= start,
        terms.bucket < end, terms.platform_uj.is_not(None))))


def _conditions(now_ns: int, name: str | None, site: str | None,
                state: str | None, wanted: bool | None,
                ) -> Iterable[sa.ColumnElement[bool]]:
    for column, value in ((models.hosts.c.name, name),
                          (models.sites.c.name, site),
                          (models.hosts.c.state, state)):
        if value is not None:
            yield column == value
    if wanted is not None:
        yield is_late(now_ns) if wanted else ~is_late(now_ns)


def is_late(now_ns: int) -> sa.ColumnElement[bool]:
    """Whether a host owes windows.

    From its enrolment on, from the end of a downtime on, and after its
    last window it has so many windows' time.
    """
    hosts, planned = models.hosts.c, models.downtimes.c
    since_ns = now_ns - LATE_WINDOWS * units.NS_PER_S * sa.func.coalesce(
        hosts.window_seconds, WINDOW_SECONDS)
    return sa.and_(
        hosts.state == models.ENROLLED,
        sa.func.coalesce(hosts.last_window_end_ns, 0) < since_ns,
        sa.func.coalesce(hosts.enrolled_at_ns, 0) < since_ns,
        ~sa.exists().where(
            planned.host_id == hosts.id, planned.start_ns <= now_ns,
            planned.end_ns > since_ns))


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


def check_known(connection: sa.Connection, name: str | None,
                site: str | None) -> None:
    """Refuse to answer with zeros for what there is not.

    :raises errors.NotFound: there is no such host, or no such site.
    """
    for what, wanted, column in (('host', name, models.hosts.c.name),
                                 ('site', site, models.sites.c.name)):
        if wanted is not None and connection.execute(
                sa.select(column).where(column == wanted)).first() is None:
            raise errors.NotFound(f'there is no {what} {wanted[:255]!r}')


def longest_window_seconds(connection: sa.Connection) -> int:
    """Of all hosts: by how much what was seen may lag behind what was."""
    return connection.scalar(sa.select(
        sa.func.max(models.hosts.c.window_seconds))) or WINDOW_SECONDS


def _host_state(row: sa.RowMapping, measured_ns: int,
                first_bucket: int | None) -> HostState:
    plain = {name: row[name] for name in (
        'name', 'state', 'site', 'region', 'boundary', 'enrolled_at_ns',
        'last_window_start_ns', 'last_window_end_ns', 'policy', 'idle_kind',
        'idle_power_uw', 'cpus', 'memory_mib', 'alarm', 'retired_at_ns',
        'public_key', 'window_seconds', 'max_power_uw',
        'last_received_ns')}
    return HostState(**plain, basis=tuple(json.loads(row['basis'] or '[]')),
                     version=row['notifier_version'],
                     late=bool(row['late']),
                     measured_ns=measured_ns, first_bucket=first_bucket)


# --- keys and downtime ------------------------------------------------------

def presented(connection: sa.Connection, host_ids: Sequence[int],
              ) -> dict[int, list[str]]:
    """The keys by which records of hosts came, by host; in order."""
    streams = models.streams
    found: dict[int, list[str]] = collections.defaultdict(list)
    for row in connection.execute(
            sa.select(streams.c.host_id, streams.c.public_key).distinct()
            .where(streams.c.host_id.in_(host_ids),
                   streams.c.public_key != '')
            .order_by(streams.c.host_id, streams.c.public_key)):
        found[row.host_id].append(row.public_key)
    return found


def downtimes(connection: sa.Connection, name: str, *,
              before: tuple[int, int] | None = None,
              limit: int | None = None) -> list[Downtime]:
    """What is and was planned for a host, the newest first.

    :param before: start (ns) and id of the one that a page goes on behind.
    :raises errors.NotFound: there is no such host.
    """
    check_known(connection, name, None)
    table = models.downtimes
    query = _downtimes_of(name, table)
    if before is not None:
        start_ns, number = before
        query = query.where(sa.or_(
            table.c.start_ns < start_ns,
            sa.and_(table.c.start_ns == start_ns, table.c.id < number)))
    query = query.order_by(table.c.start_ns.desc(), table.c.id.desc())
    if limit is not None:
        query = query.limit(limit)
    return [Downtime(row.id, row.start_ns, row.end_ns, row.reason)
            for row in connection.execute(query)]


def count_downtimes(connection: sa.Connection, name: str) -> int:
    """How many :func:`downtimes` gives in all its pages."""
    return connection.execute(
        _downtimes_of(name, sa.func.count())).scalar_one()


def _downtimes_of(name: str, what: Any) -> sa.Select[Any]:
    hosts, table = models.hosts, models.downtimes
    return sa.select(what).select_from(table.join(
        hosts, hosts.c.id == table.c.host_id)).where(hosts.c.name == name)


def _planned(connection: sa.Connection, host_ids: Sequence[int],
             now_ns: int) -> dict[int, Downtime]:
    """By host the downtime it is in, else the next one."""
    table = models.downtimes
    found: dict[int, Downtime] = {}
    for row in connection.execute(
            sa.select(table).where(table.c.host_id.in_(host_ids),
                                   table.c.end_ns > now_ns)
            .order_by(table.c.start_ns, table.c.id)):
        found.setdefault(row.host_id, Downtime(
            row.id, row.start_ns, row.end_ns, row.reason))
    return found


def _excused(connection: sa.Connection, rows: Sequence[sa.RowMapping],
             start: int, end: int) -> dict[int, tuple[tuple[int, int], ...]]:
    """See :attr:`HostState.excused`, by host."""
    first_ns, last_ns = start * units.BUCKET_NS, end * units.BUCKET_NS
    spans: dict[int, list[tuple[int, int]]] = collections.defaultdict(list)
    for row in rows:
        retired_ns = row['retired_at_ns']
        if retired_ns is not None:
            # Back in use since it was enrolled again.
            spans[row['id']].append((retired_ns, (
                row['enrolled_at_ns'] or last_ns
                if row['state'] == models.ENROLLED else last_ns)))
    table = models.downtimes.c
    for one in connection.execute(
            sa.select(table.host_id, table.start_ns, table.end_ns).where(
                table.host_id.in_([row['id'] for row in rows]),
                table.start_ns < last_ns, table.end_ns > first_ns)):
        spans[one.host_id].append((one.start_ns, one.end_ns))
    buckets = models.host_buckets.c
    measured = collections.Counter({
        (one.host_id, one.bucket): one.measured_ns
        for one in connection.execute(
            sa.select(buckets.host_id, buckets.bucket, buckets.measured_ns)
            .where(buckets.host_id.in_(list(spans)),
                   buckets.bucket >= start, buckets.bucket < end))})
    return {
        host_id: tuple(
            (bucket, excused_ns) for bucket in range(start, end)
            if (excused_ns := min(
                _covered_ns(mine, bucket),
                units.BUCKET_NS - measured[host_id, bucket])) > 0)
        for host_id, mine in spans.items()}


def _covered_ns(spans: Iterable[tuple[int, int]], bucket: int) -> int:
    """How much of a bucket lies in any of the spans."""
    covered_ns, until_ns = 0, bucket * units.BUCKET_NS
    end_ns = until_ns + units.BUCKET_NS
    for span_start_ns, span_end_ns in sorted(spans):
        span_end_ns = min(span_end_ns, end_ns)
        covered_ns += max(0, span_end_ns - max(span_start_ns, until_ns))
        until_ns = max(until_ns, span_end_ns)
    return covered_ns
