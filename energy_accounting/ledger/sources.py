# SPDX-License-Identifier: Apache-2.0
"""Where the rows of a usage query come from, and what their keys are.

``project_buckets`` where the grouping and the filters allow it, so that a
project's month costs its own rows only; everything finer comes from
``account_buckets``.  Rows are grouped by numbers here and named at the end.
No sum, no period and no order belongs here.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from energy_accounting import errors, samples, units
from energy_accounting.ledger import (
    boundaries,
    claims,
    models,
    pages,
    queries,
    retired,
)

# Bookings of whole projects answer these alone.
_OF_PROJECTS = frozenset(
    {'project', 'domain', 'site', 'region', 'boundary'})

# More ids than this are not worth listing.
_MANY = 5000
# A list of 1000 MariaDB makes a table of, and joins; these it looks up.
LISTED = 500


@dataclasses.dataclass(frozen=True, slots=True)
class Side:
    """One side of a booking, its owner or its place.

    :ivar table: a row for each id: ``id``, ``chosen`` (the least id that
        has the same keys, the number to group by: numbers are five times
        as fast as texts) and the keys themselves.
    :ivar ids: the ids, where there are few: they let a database go
        straight to the rows of the range.
    :ivar keys: the keys alone, a row for each id.
    """

    table: Callable[[str], sa.Subquery]
    keys: sa.Subquery
    names: tuple[str, ...]
    ids: tuple[int, ...] | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class Source:
    """Rows to sum, and the two sides they are grouped by.

    :ivar site_id: of a row, given the table of places.
    :ivar boundary: of a row; its number is its place among all there are.
    :ivar corrected: whether claims had to be set off: a row may be negative.
    :ivar single: whether a bucket has one row at most for each group.
    :ivar led: whether the database may go from a side to its rows: SQLite
        goes down their key to those of the range.  MariaDB would go to all
        rows that an owner ever had; it looks up the ids that are listed.
    """

    rows: sa.FromClause
    owner_id: sa.ColumnElement[int]
    place_id: sa.ColumnElement[int]
    owners: Side
    places: Side
    site_id: Callable[[sa.FromClause], sa.ColumnElement[int]]
    boundary: sa.ColumnElement[str]
    corrected: bool = False
    single: bool = False
    led: bool = False

    def key(self, column: sa.ColumnElement[int]) -> sa.ColumnElement[int]:
        """An id of a row, to be compared with that of a side."""
        return column if self.led else column + 0

    def boundary_name(self, number: sa.ColumnElement[int],
                      ) -> sa.ColumnElement[str]:
        return sa.case(*((number == index, sa.literal(name))
                         for index, name in enumerate(boundaries.ALL)))


def choose(connection: sa.Connection, query: queries.UsageQuery, *,
           by_account: bool = False) -> Source:
    """The coarsest rows that answer a query, or those of accounts.

    :param by_account: those of accounts, as far back as there are any.
    :raises errors.InvalidRequest: it takes rows that were dropped.
    """
    claimed = claims.any_made(connection, query.as_of_ns)
    if by_account:
        return _accounts(connection, query, claimed, listed=False)
    if not _OF_PROJECTS.issuperset({*query.group_by, *query.filters}):
        _refuse_dropped(connection, query)
        return _accounts(connection, query, claimed, listed=True)
    return _projects(connection, query, claimed)


def _refuse_dropped(connection: sa.Connection, query: queries.UsageQuery,
                    ) -> None:
    since = retired.kept_since(connection)
    if query.start < since:
        finer = sorted(set(queries.GROUPS) - _OF_PROJECTS)
        raise errors.InvalidRequest(
            f'start: rows by {", ".join(finer)} are kept since '
            f'{units.iso(units.bucket_start(since))}; give a start that is '
            f'not before, or group and filter by '
            f'{", ".join(sorted(_OF_PROJECTS))} only')


def rows(query: queries.UsageQuery, source: Source,
         columns: Sequence[sa.ColumnElement[Any]],
         joined: Callable[[sa.FromClause], sa.FromClause] = (
             lambda tables: tables),
         conditions: Sequence[sa.ColumnElement[bool]] = (),
         ) -> sa.Subquery:
    """The rows that are asked for: bucket, numbers to group by, columns."""
    owners, places = (source.owners.table('owners'),
                      source.places.table('places'))
    tables = source.rows.join(
        owners, owners.c.id == source.key(source.owner_id)).join(
        places, places.c.id == source.key(source.place_id))
    number = sa.case(*((source.boundary == name, sa.literal(index))
                       for index, name in enumerate(boundaries.ALL)))
    wanted = [query.covers(source.rows.c.bucket), *conditions]
    if 'boundary' in query.filters:
        wanted.append(source.boundary == query.filters['boundary'])
    for side, column in ((source.owners, source.owner_id),
                         (source.places, source.place_id)):
        if side.ids is not None:
            wanted.append(_among(column, side.ids))
    return sa.select(
        source.rows.c.bucket.label('bucket'),
        owners.c.chosen.label('owner'), places.c.chosen.label('place'),
        source.site_id(places).label('site_id'),
        number.label('boundary_number'), *columns,
    ).select_from(joined(tables)).where(*wanted).subquery('raw')


def _among(column: sa.ColumnElement[int], ids: Sequence[int],
           ) -> sa.ColumnElement[bool]:
    lists = [ids[first:first + LISTED]
             for first in range(0, len(ids), LISTED)]
    return sa.or_(sa.false(), *(column.in_(each) for each in lists))


def numbers(query: queries.UsageQuery, table: sa.FromClause,
            ) -> list[sa.ColumnElement[int]]:
    """The columns that stand for the keys while sums are made."""
    names = ['owner', 'place']
    if 'boundary' in query.group_by:
        names.append('boundary_number')
    return [table.c[name] for name in names]


def named(query: queries.UsageQuery, source: Source, sums: sa.Subquery,
          ) -> sa.Subquery:
    """Sums with the keys that their numbers stand for."""
    owners, places = (source.owners.table('owner_names'),
                      source.places.table('place_names'))
    keys = []
    for name in query.group_by:
        if name == 'boundary':
            key = source.boundary_name(sums.c.boundary_number)
        else:
            side = owners if name in source.owners.names else places
            key = side.c[queries.GROUPS[name]]
        keys.append(key.label(queries.GROUPS[name]))
    return sa.select(sums, *keys).join_from(
        sums, owners, owners.c.id == sums.c.owner).join(
            places, places.c.id == sums.c.place).subquery('grouped')


def _projects(connection: sa.Connection, query: queries.UsageQuery,
              claimed: bool) -> Source:
    """The sums of projects, corrected by what was claimed later."""
    projects, sites = models.projects, models.sites
    tables, keys = _with_domain(query, projects,
                                {'project': projects.c.project_id})
    owners = _side(connection, query, projects.c.id, tables, keys,
                   conditions=_between(query, keys), listed=True)
    places = _side(connection, query, sites.c.id, sites, _site_keys(sites))
    booked: sa.FromClause = (
        claims.settled(query, owners.ids) if claimed
        else models.project_buckets)
    # With the bucket these three are the key of the sums of projects.
    named = {*query.group_by, *query.filters}
    single = (not claimed and 'project' in named
              and ('site' in named or _one_site(connection))
              and ('boundary' in named or boundaries.one_only(connection)))
    return Source(booked, booked.c.project_ref, booked.c.site_id, owners,
                  places, lambda places: booked.c.site_id,
                  booked.c.boundary, claimed, single, _led(connection))


def _one_site(connection: sa.Connection) -> bool:
    return len(connection.execute(
        sa.select(models.sites.c.id).limit(2)).all()) == 1


def _accounts(connection: sa.Connection, query: queries.UsageQuery,
              claimed: bool, *, listed: bool) -> Source:
    """The rows of accounts, each with the owner a claim gives it.

    :param listed: whether no other table leads to the rows.
    """
    rows, accounts = models.account_buckets, models.accounts
    projects, hosts, sites = models.projects, models.hosts, models.sites
    owner: sa.ColumnElement[Any] = accounts.c.project_ref
    flavor: sa.ColumnElement[Any] = accounts.c.flavor
    user: sa.ColumnElement[Any] = accounts.c.user_id
    tables: sa.FromClause = accounts
    if claimed:
        newest = claims.newest(query.as_of_ns)
        tables = tables.outerjoin(
            newest, newest.c.account_id == accounts.c.id)
        owner = sa.func.coalesce(newest.c.project_ref, owner)
        flavor = sa.func.coalesce(newest.c.flavor, flavor)
        user = sa.func.coalesce(newest.c.user_id, user)
    tables = tables.join(projects, projects.c.id == owner)
    tables, keys = _with_domain(query, tables, {
        'project': projects.c.project_id,
        'instance': sa.func.coalesce(accounts.c.instance_id, ''),
        'flavor': sa.func.coalesce(flavor, ''),
        'user': sa.func.coalesce(user, ''),
        'account': sa.case(
            (accounts.c.kind == samples.SERVICE,
             sa.literal('service:').concat(accounts.c.name)),
            else_=accounts.c.kind)})
    compared = keys
    if (query.between is not None and query.leading[0] == 'instance'
            and query.between[0][0]):
        # As an index has it: those without one are not looked at.
        compared = {**keys, 'instance': accounts.c.instance_id}
    owners = _side(connection, query, accounts.c.id, tables, keys,
                   conditions=[*_candidates(query, accounts, claimed),
                               *_between(query, compared)], listed=listed)
    places = _side(
        connection, query, hosts.c.id,
        hosts.join(sites, sites.c.id == hosts.c.site_id),
        {'host': hosts.c.name, **_site_keys(sites)},
        columns=[hosts.c.site_id],
        listed=listed and owners.ids is None)
    return Source(rows, rows.c.account_id, rows.c.host_id, owners, places,
                  lambda places: places.c.site_id,
                  boundaries.of_rows(rows.c.platform_uj),
                  led=_led(connection))


def _led(connection: sa.Connection) -> bool:
    return connection.dialect.name == 'sqlite'


def _side(connection: sa.Connection, query: queries.UsageQuery,
          number: sa.ColumnElement[int], tables: sa.FromClause,
          keys: Mapping[str, sa.ColumnElement[str]],
          columns: Sequence[sa.ColumnElement[Any]] = (),
          conditions: Sequence[sa.ColumnElement[bool]] = (), *,
          listed: bool = False) -> Side:
    """A side of the bookings with the filters on its keys applied.

    :param listed: whether to list the ids even without a filter.
    """
    wanted = [*conditions, *(keys[name] == value for name, value
                             in query.filters.items() if name in keys)]
    grouped = [keys[name] for name in query.group_by if name in keys]
    named: list[sa.ColumnElement[Any]] = [
        keys[key].label(queries.GROUPS[key]) for key in query.group_by
        if key in keys]

    def table(name: str) -> sa.Subquery:
        return sa.select(
            number.label('id'),
            sa.func.min(number).over(partition_by=grouped or None).label(
                'chosen'), *named, *columns,
        ).select_from(tables).where(*wanted).subquery(name)

    ids = None
    if wanted or listed:
        found = connection.execute(sa.select(number).select_from(
            tables).where(*wanted).limit(_MANY + 1)).scalars().all()
        ids = tuple(found) if len(found) <= _MANY else None
    return Side(table, sa.select(*(named or [number])).select_from(
        tables).where(*wanted).subquery('keys'), tuple(keys), ids)


def _between(query: queries.UsageQuery,
             keys: Mapping[str, sa.ColumnElement[str]],
             ) -> list[sa.ColumnElement[bool]]:
    """That an owner is among those that are looked at."""
    if query.between is None:
        return []
    first, last = query.between
    columns = [keys[name] for name in query.leading]
    outer = columns[0].between(first[0], last[0])
    if len(columns) == 1:
        return [outer]
    return [outer,
            sa.not_(pages.behind([(column, True) for column in columns],
                                 first)),
            sa.not_(pages.behind([(column, False) for column in columns],
                                 last))]


def _candidates(query: queries.UsageQuery, accounts: sa.FromClause,
                claimed: bool) -> list[sa.ColumnElement[bool]]:
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


def _with_domain(query: queries.UsageQuery, tables: sa.FromClause,
                 keys: dict[str, sa.ColumnElement[str]],
                 ) -> tuple[sa.FromClause,
                            dict[str, sa.ColumnElement[str]]]:
    if 'domain' not in query.group_by and 'domain' not in query.filters:
        return tables, keys
    domains = _domains()
    return tables.outerjoin(domains, domains.c.uuid == keys['project']), {
        **keys, 'domain': sa.func.coalesce(domains.c.domain_id, '')}


def _domains() -> sa.Subquery:
    """The domain of each project whose name is known; it never changes."""
    names = models.names
    return sa.select(
        names.c.uuid, sa.func.max(names.c.domain_id).label('domain_id'),
    ).where(names.c.kind == 'project').group_by(
        names.c.uuid).subquery('domains')
