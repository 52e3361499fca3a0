# SPDX-License-Identifier: Apache-2.0
"""What the ledger is asked: sums of energy, the balance, the hosts.

Queries only, in exact integers: no kWh, no rounding, no policy, no clock.
They run unchanged on MariaDB, PostgreSQL and SQLite.

Usage is read from ``project_buckets`` where the grouping and the filters
allow it, so that a project's month costs its own rows only; everything
finer comes from ``account_buckets``.  What belongs to an account by a claim
is moved from the project it was booked with to the one that claimed it.
"""

from __future__ import annotations

import bisect
import dataclasses
import datetime
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from energy_accounting import samples, units
from energy_accounting.ledger import models

GROUPS = {
    'project': 'project_id', 'domain': 'domain_id',
    'instance': 'instance_id', 'flavor': 'flavor', 'site': 'site',
    'region': 'region', 'boundary': 'boundary', 'host': 'host',
    'account': 'account', 'user': 'user_id'}
"""What usage can be grouped and filtered by, and the key in the row."""

# Bookings of whole projects answer these alone.
_OF_PROJECTS = frozenset(
    {'project', 'domain', 'site', 'region', 'boundary'})

TERMS = ('active_uj', 'idle_uj', 'memory_uj', 'host_uj', 'platform_uj')
_SUMMED = (*TERMS, 'backfilled_uj', 'vcpu_ns')

SORTS = {'start': 'period', 'it_kwh': 'it_uj', 'active_kwh': 'active_uj',
         'idle_kwh': 'idle_uj', 'memory_kwh': 'memory_uj',
         'host_kwh': 'host_uj', 'platform_kwh': 'platform_uj'}
"""The columns a reader may sort by, and the sum behind each."""

WHOLE_NS = units.BUCKET_NS - 45_000_000
"""From here on a host's bucket counts as measured in full.

Two readings are never exactly 900 s apart; 45 ms is half a step of the four
decimal places coverage is stated with.
"""

_Row = Mapping[str, Any] | sa.RowMapping

_DAY_BUCKETS = 96
_HOUR_BUCKETS = 4
_MS = 1_000_000
_BITS = 32


@dataclasses.dataclass(frozen=True, slots=True)
class UsageQuery:
    """What is asked, checked and in the ledger's own units.

    :ivar start, end: buckets, half open.
    :ivar group_by, filters: names of :data:`GROUPS`; an empty filter value
        stands for "none" (no project, no region).
    :ivar as_of_ns: claims made later are not seen.
    :ivar sort: a name of :data:`SORTS`.
    :ivar after: :attr:`LedgerSum.position` of the row before the first.
    """

    start: int
    end: int
    resolution: str
    where: datetime.tzinfo
    group_by: tuple[str, ...]
    filters: Mapping[str, str]
    as_of_ns: int
    limit: int
    sort: str = 'start'
    descending: bool = False
    after: tuple[int | str, ...] | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class LedgerSum:
    """One row of sums.

    :ivar period: number of the calendar period, the same in every query
        over the same range, zone and resolution.
    :ivar first: the first bucket that was summed.
    :ivar keys: as :attr:`UsageQuery.group_by`; '' where there is none.
    :ivar peak_uj: the highest sum of one bucket, backfilled energy left
        out; None when all of it is backfilled.
    :ivar missing_ms2: vCPU time (ms) times the time (ms) its bucket was
        not measured, over the hosts' buckets that are not whole.
    :ivar boundaries, policies: the least and the greatest of them.
    :ivar position: where the row stands in the order that was asked for.
    """

    period: int
    first: int
    keys: tuple[str, ...]
    active_uj: int
    idle_uj: int
    memory_uj: int | None
    host_uj: int
    platform_uj: int | None
    backfilled_uj: int
    vcpu_ns: int
    peak_uj: int | None
    missing_ms2: int
    boundaries: tuple[str, str]
    policies: tuple[str, str] | None
    position: tuple[int | str, ...]

    @property
    def it_uj(self) -> int:
        return (self.active_uj + self.idle_uj + (self.memory_uj or 0)
                + self.host_uj + (self.platform_uj or 0))


def snapshot(connection: sa.Connection) -> None:
    """Let all that follows see one state of the ledger.

    The first statement of its transaction.  SQLite does so by itself;
    elsewhere the ledger's engine says READ COMMITTED, under which a sheet
    of several queries would not balance while windows are booked.
    """
    if connection.dialect.name != 'sqlite':
        connection.exec_driver_sql(
            'SET TRANSACTION ISOLATION LEVEL REPEATABLE READ')


# --- usage ------------------------------------------------------------------

def usage(connection: sa.Connection, query: UsageQuery) -> list[LedgerSum]:
    """Sums by period and group, in order, at most ``limit`` of them."""
    sums = _Sums(connection.dialect.name)
    grouped = _grouped(connection, query, sums)
    order = [*_order_terms(query, grouped, sums)]
    chosen = sa.select(grouped)
    if query.after is not None:
        chosen = chosen.where(_behind(order, query.after))
    chosen = chosen.order_by(*(term.desc() if down else term
                               for term, down in order)).limit(query.limit)
    rows = [dict(row) for row in connection.execute(chosen).mappings()]
    if not rows:
        return []
    details = _details(connection, query, sums)
    return [_ledger_sum(row, query, sums, details) for row in rows]


def count(connection: sa.Connection, query: UsageQuery) -> int:
    """How many rows :func:`usage` has in all its pages."""
    grouped = _grouped(connection, query, _Sums(connection.dialect.name))
    return connection.execute(
        sa.select(sa.func.count()).select_from(grouped)).scalar_one()


class _Sums:
    """Sums that do not overflow: SQLite's end at 2^63, others' do not.

    There a sum is two columns: that of the upper and of the lower 32 bits.
    """

    def __init__(self, dialect: str) -> None:
        self._halved = dialect == 'sqlite'

    def of(self, name: str, term: sa.ColumnElement[Any],
           ) -> list[sa.ColumnElement[Any]]:
        if not self._halved:
            return [sa.func.sum(term).label(name)]
        low = (1 << _BITS) - 1
        return [
            sa.func.sum(term.bitwise_rshift(_BITS)).label(f'{name}_high'),
            sa.func.sum(term.bitwise_and(low)).label(f'{name}_low')]

    def value(self, row: _Row, name: str) -> int | None:
        if not self._halved:
            return None if row[name] is None else int(row[name])
        if row[f'{name}_high'] is None:
            return None
        return (row[f'{name}_high'] << _BITS) + row[f'{name}_low']

    def terms(self, grouped: sa.FromClause, name: str,
              ) -> list[sa.ColumnElement[Any]]:
        """What to order by, without NULL, so that it orders the sum."""
        if not self._halved:
            return [sa.func.coalesce(grouped.c[name], -1)]
        high, low = grouped.c[f'{name}_high'], grouped.c[f'{name}_low']
        return [sa.func.coalesce(high + low.bitwise_rshift(_BITS), -1),
                sa.func.coalesce(low.bitwise_and((1 << _BITS) - 1), -1)]

    def terms_of(self, value: int | None) -> list[int]:
        """The same of a sum that was read."""
        if value is None:
            return [-1] * (2 if self._halved else 1)
        if not self._halved:
            return [value]
        return [value >> _BITS, value & ((1 << _BITS) - 1)]


@dataclasses.dataclass(frozen=True, slots=True)
class _Side:
    """One side of a booking, its owner or its place.

    :ivar table: a row for each id: ``id``, ``chosen`` (the least id that
        has the same keys, the number to group by: numbers are five times
        as fast as texts) and the keys themselves.
    :ivar ids: the ids, where a filter leaves few: they let a database go
        straight to the rows of the range.
    """

    table: Callable[[str], sa.Subquery]
    names: tuple[str, ...]
    ids: tuple[int, ...] | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class _Source:
    """Rows to sum, and the two sides they are grouped by."""

    rows: sa.FromClause
    owner_id: sa.ColumnElement[int]
    place_id: sa.ColumnElement[int]
    owners: _Side
    places: _Side
    boundary: Callable[[sa.FromClause], sa.ColumnElement[str]]


# More ids than this are not worth listing.
_MANY = 5000


def _grouped(connection: sa.Connection, query: UsageQuery, sums: _Sums,
             ) -> sa.Subquery:
    """Every row of sums, unordered.

    First by bucket, for the peak, then by period; names come last.
    """
    source, corrected = _source(connection, query)
    boundaries = _boundaries(connection)
    rows = source.rows
    raw = _rows(query, source, boundaries, [
        *(rows.c[name].label(name) for name in _SUMMED),
        _it({name: rows.c[name] for name in TERMS}).label('it_uj')])
    numbers = _numbers(query, raw)
    by_bucket = sa.select(
        raw.c.bucket, *numbers,
        *(sa.func.sum(raw.c[name]).label(name)
          for name in (*_SUMMED, 'it_uj')),
        sa.func.min(raw.c.boundary_number).label('boundary_low'),
        sa.func.max(raw.c.boundary_number).label('boundary_high'),
    ).group_by(raw.c.bucket, *numbers).subquery('by_bucket')
    # What is grouped by is always a column of its own before: databases
    # that insist on it then see one and the same expression.
    inner = sa.select(
        _period(by_bucket.c.bucket, query).label('period'), by_bucket,
    ).subquery('numbered')
    numbers = _numbers(query, inner)
    peak = sa.case(
        (sa.or_(inner.c.backfilled_uj == 0,
                inner.c.it_uj > inner.c.backfilled_uj),
         inner.c.it_uj - inner.c.backfilled_uj))
    chosen = sa.select(
        inner.c.period, sa.func.min(inner.c.bucket).label('first'), *numbers,
        *(column for name in (*_SUMMED, 'it_uj')
          for column in sums.of(name, inner.c[name])),
        sa.func.max(peak).label('peak_uj'),
        _boundary(sa.func.min(inner.c.boundary_low), boundaries).label(
            'boundary_low'),
        _boundary(sa.func.max(inner.c.boundary_high), boundaries).label(
            'boundary_high'),
    ).group_by(inner.c.period, *numbers)
    if corrected:
        # All that was booked without a project may have been claimed.
        chosen = chosen.having(sa.or_(
            *(sa.func.max(inner.c[name]) != 0
              for name in ('it_uj', 'vcpu_ns', 'backfilled_uj'))))
    return _named(query, source, boundaries, chosen.subquery('sums'))


def _source(connection: sa.Connection, query: UsageQuery, *,
            by_account: bool = False) -> tuple[_Source, bool]:
    """Where to read, and whether claims had to be set off there."""
    claimed = _any_claim(connection, query.as_of_ns)
    if by_account or not _OF_PROJECTS.issuperset(
            {*query.group_by, *query.filters}):
        return _accounts(connection, query, claimed), False
    return _projects(connection, query, claimed), claimed


def _rows(query: UsageQuery, source: _Source, boundaries: Sequence[str],
          columns: Sequence[sa.ColumnElement[Any]],
          joined: Callable[[sa.FromClause], sa.FromClause] = (
              lambda tables: tables),
          conditions: Sequence[sa.ColumnElement[bool]] = (),
          ) -> sa.Subquery:
    """The rows that are asked for: bucket, numbers to group by, columns."""
    owners, places = (source.owners.table('owners'),
                      source.places.table('places'))
    tables = source.rows.join(owners, owners.c.id == source.owner_id).join(
        places, places.c.id == source.place_id)
    boundary = source.boundary(places)
    number = sa.case(*((boundary == name, sa.literal(index))
                       for index, name in enumerate(boundaries)))
    wanted = [_in_range(source.rows.c.bucket, query), *conditions]
    if 'boundary' in query.filters:
        wanted.append(boundary == query.filters['boundary'])
    for side, column in ((source.owners, source.owner_id),
                         (source.places, source.place_id)):
        if side.ids is not None:
            wanted.append(column.in_(side.ids))
    return sa.select(
        source.rows.c.bucket.label('bucket'),
        owners.c.chosen.label('owner'), places.c.chosen.label('place'),
        number.label('boundary_number'), *columns,
    ).select_from(joined(tables)).where(*wanted).subquery('raw')


def _numbers(query: UsageQuery, table: sa.FromClause,
             ) -> list[sa.ColumnElement[int]]:
    """The columns that stand for the keys while sums are made."""
    names = ['owner', 'place']
    if 'boundary' in query.group_by:
        names.append('boundary_number')
    return [table.c[name] for name in names]


def _named(query: UsageQuery, source: _Source, boundaries: Sequence[str],
           sums: sa.Subquery) -> sa.Subquery:
    """Sums with the keys that their numbers stand for."""
    owners, places = (source.owners.table('owner_names'),
                      source.places.table('place_names'))
    keys = []
    for name in query.group_by:
        if name == 'boundary':
            key = _boundary(sums.c.boundary_number, boundaries)
        else:
            side = owners if name in source.owners.names else places
            key = side.c[GROUPS[name]]
        keys.append(key.label(GROUPS[name]))
    return sa.select(sums, *keys).join_from(
        sums, owners, owners.c.id == sums.c.owner).join(
            places, places.c.id == sums.c.place).subquery('grouped')


def _boundaries(connection: sa.Connection) -> list[str]:
    """Every boundary there is, in order."""
    return [*connection.execute(
        sa.select(models.hosts.c.boundary).distinct().order_by(
            models.hosts.c.boundary)).scalars()] or [models.RAPL]


def _boundary(number: sa.ColumnElement[int], boundaries: Sequence[str],
              ) -> sa.ColumnElement[str]:
    return sa.case(*((number == index, sa.literal(name))
                     for index, name in enumerate(boundaries)))


def _it(measures: Mapping[str, sa.ColumnElement[Any]],
        ) -> sa.ColumnElement[int]:
    """Energy of a row: a term that nobody measured is left out."""
    return (measures['active_uj'] + measures['idle_uj']
            + sa.func.coalesce(measures['memory_uj'], 0)
            + measures['host_uj']
            + sa.func.coalesce(measures['platform_uj'], 0))


def _in_range(bucket: sa.ColumnElement[int], query: UsageQuery,
              ) -> sa.ColumnElement[bool]:
    return sa.and_(bucket >= query.start, bucket < query.end)


# --- where rows come from ---------------------------------------------------

def _any_claim(connection: sa.Connection, as_of_ns: int) -> bool:
    return connection.execute(
        sa.select(models.claims.c.id).where(
            models.claims.c.claimed_at_ns <= as_of_ns).limit(1),
    ).first() is not None


def _newest_claims(as_of_ns: int) -> sa.Subquery:
    """Per account the newest claim that ``as_of`` sees."""
    claims, newer = models.claims, models.claims.alias('newer')
    superseded = sa.exists().where(
        newer.c.account_id == claims.c.account_id,
        newer.c.claimed_at_ns <= as_of_ns,
        sa.or_(newer.c.claimed_at_ns > claims.c.claimed_at_ns,
               sa.and_(newer.c.claimed_at_ns == claims.c.claimed_at_ns,
                       newer.c.id > claims.c.id)))
    return sa.select(
        claims.c.account_id, claims.c.project_ref, claims.c.flavor,
        claims.c.user_id,
    ).where(claims.c.claimed_at_ns <= as_of_ns,
            ~superseded).subquery('newest')


def _domains() -> sa.Subquery:
    """The domain of each project whose name is known; it never changes."""
    names = models.names
    return sa.select(
        names.c.uuid, sa.func.max(names.c.domain_id).label('domain_id'),
    ).where(names.c.kind == 'project').group_by(
        names.c.uuid).subquery('domains')


def _projects(connection: sa.Connection, query: UsageQuery, claimed: bool,
              ) -> _Source:
    """The sums of projects, corrected by what was claimed later."""
    projects, sites = models.projects, models.sites
    owners = _side(
        connection, query, projects.c.id, *_with_domain(
            query, projects, {'project': projects.c.project_id}))
    places = _side(connection, query, sites.c.id, sites, _site_keys(sites))
    booked: sa.FromClause = (
        _booked_and_claimed(query, owners.ids) if claimed
        else models.project_buckets)
    return _Source(booked, booked.c.project_ref, booked.c.site_id, owners,
                   places, lambda places: booked.c.boundary)


def _booked_and_claimed(query: UsageQuery, ids: tuple[int, ...] | None,
                        ) -> sa.Subquery:
    """Sums of projects plus what they claimed, less what was claimed."""
    sums, rows = models.project_buckets, models.account_buckets
    accounts, hosts = models.accounts, models.hosts
    newest = _newest_claims(query.as_of_ns)

    def only(owner: sa.ColumnElement[int]) -> list[sa.ColumnElement[bool]]:
        return [] if ids is None else [owner.in_(ids)]

    def moved(owner: sa.ColumnElement[int], sign: int) -> sa.Select[Any]:
        return sa.select(
            owner.label('project_ref'), rows.c.bucket, hosts.c.site_id,
            hosts.c.boundary,
            *((rows.c[name] * sign).label(name) for name in _SUMMED),
        ).select_from(
            newest.join(accounts, accounts.c.id == newest.c.account_id)
            .join(rows, rows.c.account_id == newest.c.account_id)
            .join(hosts, hosts.c.id == rows.c.host_id),
        ).where(_in_range(rows.c.bucket, query), *only(owner),
                newest.c.project_ref != accounts.c.project_ref)

    return sa.union_all(
        sa.select(sums.c.project_ref, sums.c.bucket, sums.c.site_id,
                  sums.c.boundary, *(sums.c[name] for name in _SUMMED),
                  ).where(_in_range(sums.c.bucket, query),
                          *only(sums.c.project_ref)),
        moved(newest.c.project_ref, 1),
        moved(accounts.c.project_ref, -1)).subquery('booked')


def _accounts(connection: sa.Connection, query: UsageQuery, claimed: bool,
              ) -> _Source:
    """The rows of accounts, each with the owner a claim gives it."""
    rows, accounts = models.account_buckets, models.accounts
    projects, hosts, sites = models.projects, models.hosts, models.sites
    owner: sa.ColumnElement[Any] = accounts.c.project_ref
    flavor: sa.ColumnElement[Any] = accounts.c.flavor
    user: sa.ColumnElement[Any] = accounts.c.user_id
    tables: sa.FromClause = accounts
    if claimed:
        newest = _newest_claims(query.as_of_ns)
        tables = tables.outerjoin(
            newest, newest.c.account_id == accounts.c.id)
        owner = sa.func.coalesce(newest.c.project_ref, owner)
        flavor = sa.func.coalesce(newest.c.flavor, flavor)
        user = sa.func.coalesce(newest.c.user_id, user)
    tables = tables.join(projects, projects.c.id == owner)
    owners = _side(connection, query, accounts.c.id, *_with_domain(
        query, tables, {
            'project': projects.c.project_id,
            'instance': sa.func.coalesce(accounts.c.instance_id, ''),
            'flavor': sa.func.coalesce(flavor, ''),
            'user': sa.func.coalesce(user, ''),
            'account': sa.case(
                (accounts.c.kind == samples.SERVICE,
                 sa.literal('service:').concat(accounts.c.name)),
                else_=accounts.c.kind)}),
        conditions=_candidates(query, accounts, claimed))
    places = _side(
        connection, query, hosts.c.id,
        hosts.join(sites, sites.c.id == hosts.c.site_id),
        {'host': hosts.c.name, **_site_keys(sites)},
        columns=[hosts.c.boundary])
    return _Source(rows, rows.c.account_id, rows.c.host_id, owners, places,
                   lambda places: places.c.boundary)


def _side(connection: sa.Connection, query: UsageQuery,
          number: sa.ColumnElement[int], tables: sa.FromClause,
          keys: Mapping[str, sa.ColumnElement[str]],
          columns: Sequence[sa.ColumnElement[Any]] = (),
          conditions: Sequence[sa.ColumnElement[bool]] = ()) -> _Side:
    """A side of the bookings with the filters on its keys applied."""
    wanted = [*conditions, *(keys[name] == value for name, value
                             in query.filters.items() if name in keys)]
    grouped = [keys[name] for name in query.group_by if name in keys]

    def table(name: str) -> sa.Subquery:
        return sa.select(
            number.label('id'),
            sa.func.min(number).over(partition_by=grouped or None).label(
                'chosen'),
            *(keys[key].label(GROUPS[key]) for key in query.group_by
              if key in keys), *columns,
        ).select_from(tables).where(*wanted).subquery(name)

    ids = None
    if wanted:
        found = connection.execute(sa.select(number).select_from(
            tables).where(*wanted).limit(_MANY + 1)).scalars().all()
        ids = tuple(found) if len(found) <= _MANY else None
    return _Side(table, tuple(keys), ids)


def _candidates(query: UsageQuery, accounts: sa.FromClause, claimed: bool,
                ) -> list[sa.ColumnElement[bool]]:
    """Conditions that an index of the accounts answers.

    The exact conditions on the keys stand beside them.
    """
    found = []
    if 'instance' in query.filters:
        found.append(accounts.c.instance_id == query.filters['instance'])
    if 'project' in query.filters:
        only = sa.select(models.projects.c.id).where(
            models.projects.c.project_id == query.filters['project'],
        ).scalar_subquery()
        booked = accounts.c.project_ref == only
        found.append(booked if not claimed else sa.or_(
            booked, accounts.c.id.in_(
                sa.select(models.claims.c.account_id).where(
                    models.claims.c.project_ref == only))))
    return found


def _site_keys(sites: sa.FromClause) -> dict[str, sa.ColumnElement[str]]:
    return {'site': sites.c.name,
            'region': sa.func.coalesce(sites.c.region, '')}


def _with_domain(query: UsageQuery, tables: sa.FromClause,
                 keys: dict[str, sa.ColumnElement[str]],
                 ) -> tuple[sa.FromClause,
                            dict[str, sa.ColumnElement[str]]]:
    if 'domain' not in query.group_by and 'domain' not in query.filters:
        return tables, keys
    domains = _domains()
    return tables.outerjoin(domains, domains.c.uuid == keys['project']), {
        **keys, 'domain': sa.func.coalesce(domains.c.domain_id, '')}


# --- calendar periods in SQL ------------------------------------------------

def _period(bucket: sa.ColumnElement[int], query: UsageQuery,
            ) -> sa.ColumnElement[int]:
    """The number of the period that a bucket is in; grows with time."""
    if query.resolution == 'total':
        # Not a bare literal: GROUP BY 0 would mean a column's position.
        return bucket - bucket
    if query.resolution == 'quarter':
        return bucket
    if query.resolution == 'month':
        edges = [units.bucket_of(units.wall_ns(end)) for _, end in
                 units.periods(units.bucket_start(query.start),
                               units.bucket_start(query.end), 'month',
                               query.where)]
        return sa.case(*((bucket < edge, sa.literal(number))
                         for number, edge in enumerate(edges)),
                       else_=sa.literal(len(edges)))
    segments = _segments(query.start, query.end, query.where)
    # An hour is numbered through all segments, so that the one that a clock
    # set back repeats stays two; a day takes the whole offset, so that a
    # day of 23 or 25 hours stays one.
    numbers = [
        _divided(bucket + offset, _DAY_BUCKETS)
        if query.resolution == 'day'
        else _divided(bucket + offset % _HOUR_BUCKETS, _HOUR_BUCKETS)
        for _, offset in segments]
    if len(segments) == 1:
        return numbers[0]
    return sa.case(*((bucket < end, number) for (end, _), number
                     in zip(segments[:-1], numbers, strict=False)),
                   else_=numbers[-1])


def _divided(number: sa.ColumnElement[int], divisor: int,
             ) -> sa.ColumnElement[int]:
    """A whole quotient; ``/`` is another thing on every database."""
    return sa.cast((number - number % divisor) / divisor, sa.Integer)


def _segments(start: int, end: int, where: datetime.tzinfo,
              ) -> list[tuple[int, int]]:
    """Stretches of constant UTC offset: (end bucket, offset in buckets)."""
    def offset(bucket: int) -> int:
        local = units.bucket_start(bucket).astimezone(where)
        delta = local.utcoffset() or datetime.timedelta()
        return delta // datetime.timedelta(seconds=units.BUCKET_SECONDS)

    found = []
    day, held = start, offset(start)
    while day < end:
        after = min(day + _DAY_BUCKETS, end)
        if offset(after) != held:
            edge = bisect.bisect_left(
                range(day, after + 1), True,
                key=lambda bucket: offset(bucket) != held) + day
            if edge < end:
                found.append((edge, held))
            held = offset(after)
        day = after
    return [*found, (end, held)]


# --- order and pages --------------------------------------------------------

def _order_terms(query: UsageQuery, grouped: sa.Subquery, sums: _Sums,
                 ) -> Iterator[tuple[sa.ColumnElement[Any], bool]]:
    """(term, descending): what was asked for, then a stable rest."""
    if query.sort == 'start':
        yield grouped.c.period, query.descending
    else:
        for term in sums.terms(grouped, SORTS[query.sort]):
            yield term, query.descending
        yield grouped.c.period, False
    for name in query.group_by:
        yield grouped.c[GROUPS[name]], False


def _behind(order: Sequence[tuple[sa.ColumnElement[Any], bool]],
            position: Sequence[int | str]) -> sa.ColumnElement[bool]:
    """That a row stands behind a position in an order."""
    alternatives = []
    for number, (term, down) in enumerate(order):
        same = [before == value for (before, _), value
                in zip(order[:number], position, strict=False)]
        value = position[number]
        alternatives.append(
            sa.and_(*same, term < value if down else term > value))
    return sa.or_(*alternatives)


def position_shape(query: UsageQuery, dialect: str) -> list[type]:
    """The types of :attr:`LedgerSum.position` for a query."""
    first = ([] if query.sort == 'start'
             else [int] * len(_Sums(dialect).terms_of(0)))
    return [*first, int, *([str] * len(query.group_by))]


# --- coverage and policies, from the hosts' buckets -------------------------

@dataclasses.dataclass(frozen=True, slots=True)
class _Details:
    missing: Mapping[tuple[Any, ...], int]
    policies: Mapping[tuple[Any, ...], tuple[str, str]]
    policy: tuple[str, str] | None


def _details(connection: sa.Connection, query: UsageQuery, sums: _Sums,
             ) -> _Details:
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
        partial, _in_range(hosts.bucket, query)).subquery('broken')
    weight = (_milliseconds(models.account_buckets.c.vcpu_ns)
              * _milliseconds(units.BUCKET_NS - hosts.measured_ns))
    missing = {
        key: sums.value(row, 'missing') or 0 for key, row in _by_group(
            connection, query, broken, partial, weight,
            lambda weight: sums.of('missing', weight))}
    return _Details(missing, policies,
                    (used[0], used[0]) if len(used) == 1 else None)


def _milliseconds(number: sa.ColumnElement[int]) -> sa.ColumnElement[int]:
    """Milliseconds of nanoseconds, in 64 bits on every database."""
    return sa.cast((number - number % _MS) / _MS, sa.BigInteger)


def _policies(connection: sa.Connection, query: UsageQuery) -> list[str]:
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
                policy == name, _in_range(bucket, query)).limit(1)).first():
            found.append(name)


def _by_group(connection: sa.Connection, query: UsageQuery,
              buckets: sa.FromClause, condition: sa.ColumnElement[bool],
              column: sa.ColumnElement[Any],
              figures: Callable[[Any], list[sa.ColumnElement[Any]]],
              ) -> Iterator[tuple[tuple[Any, ...], _Row]]:
    """Figures over account rows of some buckets, by period and group."""
    source, _ = _source(connection, query, by_account=True)
    boundaries = _boundaries(connection)
    hosts, rows = models.host_buckets, models.account_buckets

    def joined(tables: sa.FromClause) -> sa.FromClause:
        if buckets is not hosts:
            tables = tables.join(buckets, buckets.c.bucket == rows.c.bucket)
        return tables.join(hosts, sa.and_(
            hosts.c.host_id == rows.c.host_id,
            hosts.c.bucket == rows.c.bucket))

    raw = _rows(query, source, boundaries, [column.label('figure')], joined,
                [condition])
    inner = sa.select(_period(raw.c.bucket, query).label('period'),
                      raw).subquery('numbered')
    groups = [inner.c.period, *_numbers(query, inner)]
    found = _named(query, source, boundaries, sa.select(
        *groups, *figures(inner.c.figure)).group_by(*groups).subquery('sums'))
    for row in connection.execute(sa.select(found)).mappings():
        yield (int(row['period']),
               *(row[GROUPS[name]] for name in query.group_by)), row


def _ledger_sum(row: _Row, query: UsageQuery, sums: _Sums,
                details: _Details) -> LedgerSum:
    period = int(row['period'])
    keys = tuple(row[GROUPS[name]] for name in query.group_by)
    values = {name: sums.value(row, name) for name in _SUMMED}
    sort = [] if query.sort == 'start' else sums.terms_of(
        sums.value(row, SORTS[query.sort]))
    return LedgerSum(
        period=period, first=int(row['first']), keys=keys,
        **values,  # type: ignore[arg-type]
        peak_uj=None if row['peak_uj'] is None else int(row['peak_uj']),
        missing_ms2=details.missing.get((period, *keys), 0),
        boundaries=(row['boundary_low'], row['boundary_high']),
        policies=details.policies.get((period, *keys), details.policy),
        position=(*sort, period, *keys))


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


# --- the balance sheet ------------------------------------------------------

@dataclasses.dataclass(frozen=True, slots=True)
class Balance:
    """Both sides of the ledger over a range, in microjoules.

    :ivar zones_uj: what the meters saw, of windows that were booked.
    :ivar booked_uj: by (kind, name); instances have no name.
    :ivar quarantined_uj: what records in quarantine claim.
    :ivar gaps: (host, zone, start_ns, end_ns, reason).
    """

    zones_uj: int
    booked_uj: Mapping[tuple[str, str | None], int]
    quarantined_uj: int
    gaps: tuple[tuple[str, str | None, int, int | None, str], ...]


def balance(connection: sa.Connection, start: int, end: int,
            host: str | None = None, site: str | None = None) -> Balance:
    """The balance over buckets [start, end), of all hosts or of some."""
    hosts, sites = models.hosts, models.sites
    chosen = sa.select(hosts.c.id, hosts.c.name).join(
        sites, sites.c.id == hosts.c.site_id)
    if host is not None:
        chosen = chosen.where(hosts.c.name == host)
    if site is not None:
        chosen = chosen.where(sites.c.name == site)
    some = host is not None or site is not None
    sums = _Sums(connection.dialect.name)

    def of_hosts(column: sa.ColumnElement[int],
                 ) -> list[sa.ColumnElement[bool]]:
        return [column.in_(sa.select(chosen.subquery().c.id))] if some else []

    zones, rows = models.zone_buckets, models.account_buckets
    accounts, held = models.accounts, models.quarantine
    measured = connection.execute(
        sa.select(*sums.of('uj', zones.c.energy_uj)).where(
            zones.c.bucket >= start, zones.c.bucket < end,
            *of_hosts(zones.c.host_id))).mappings().one()
    named = sa.case((accounts.c.kind == samples.INSTANCE, sa.null()),
                    else_=accounts.c.name).label('name')
    energy = _it({name: rows.c[name] for name in TERMS})
    # By account first: the names are then looked up once for each.
    by_account = sa.select(
        rows.c.account_id, *sums.of('uj', energy)).where(
            rows.c.bucket >= start, rows.c.bucket < end,
            *of_hosts(rows.c.host_id)).group_by(
                rows.c.account_id).subquery()
    booked: dict[tuple[str, str | None], int] = {}
    for row in connection.execute(
            sa.select(accounts.c.kind, named, by_account).join_from(
                by_account, accounts,
                accounts.c.id == by_account.c.account_id)).mappings():
        key = (row['kind'], row['name'])
        booked[key] = booked.get(key, 0) + (sums.value(row, 'uj') or 0)
    start_ns, end_ns = start * units.BUCKET_NS, end * units.BUCKET_NS
    quarantined = connection.execute(
        sa.select(*sums.of('uj', held.c.energy_uj)).where(
            held.c.state == models.HELD, held.c.start_ns >= start_ns,
            held.c.start_ns < end_ns,
            *([held.c.host_name.in_(sa.select(chosen.subquery().c.name))]
              if some else []))).mappings().one()
    return Balance(
        zones_uj=sums.value(measured, 'uj') or 0, booked_uj=booked,
        quarantined_uj=sums.value(quarantined, 'uj') or 0,
        gaps=tuple(_gaps(connection, start_ns, end_ns,
                         of_hosts(models.gaps.c.host_id))))


def _gaps(connection: sa.Connection, start_ns: int, end_ns: int,
          conditions: Sequence[sa.ColumnElement[bool]],
          ) -> Iterator[tuple[str, str | None, int, int | None, str]]:
    gaps, hosts = models.gaps, models.hosts
    for row in connection.execute(
            sa.select(hosts.c.name, gaps.c.zone, gaps.c.start_ns,
                      gaps.c.end_ns, gaps.c.reason).join_from(
                          gaps, hosts, hosts.c.id == gaps.c.host_id).where(
                gaps.c.start_ns < end_ns,
                # A gap may be a moment: it belongs to where it begins.
                sa.or_(gaps.c.end_ns.is_(None), gaps.c.end_ns > start_ns,
                       gaps.c.start_ns >= start_ns),
                *conditions).order_by(
                    gaps.c.start_ns, hosts.c.name, gaps.c.id)):
        yield (row.name, row.zone, int(row.start_ns),
               None if row.end_ns is None else int(row.end_ns), row.reason)


# --- hosts ------------------------------------------------------------------

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


def hosts(connection: sa.Connection, start: int, end: int, *,
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


def count_hosts(connection: sa.Connection, *, site: str | None = None,
                state: str | None = None) -> int:
    """How many rows :func:`hosts` has in all its pages."""
    table, sites = models.hosts, models.sites
    chosen = sa.select(sa.func.count()).select_from(
        table.join(sites, sites.c.id == table.c.site_id))
    if site is not None:
        chosen = chosen.where(sites.c.name == site)
    if state is not None:
        chosen = chosen.where(table.c.state == state)
    return connection.execute(chosen).scalar_one()


def _host_state(row: _Row, measured_ns: int,
                first_bucket: int | None) -> HostState:
    plain = {name: row[name] for name in (
        'name', 'state', 'site', 'region', 'boundary', 'enrolled_at_ns',
        'last_window_start_ns', 'last_window_end_ns', 'policy', 'idle_kind',
        'idle_power_uw', 'cpus', 'memory_mib', 'alarm')}
    return HostState(**plain, basis=tuple(json.loads(row['basis'] or '[]')),
                     version=row['notifier_version'],
                     measured_ns=measured_ns, first_bucket=first_bucket)


def answers(connection: sa.Connection) -> None:
    """Touch the ledger; raises what the database raises."""
    connection.execute(sa.select(models.sites.c.id).limit(1)).all()
