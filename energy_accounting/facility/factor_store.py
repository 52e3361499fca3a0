# SPDX-License-Identifier: Apache-2.0
"""Factors in the database: record, withdraw, read as of a moment, list.

A batch is recorded whole or not at all.  What may stand beside what is
decided in ``factors``; who fetches them is in ``fetching``.  No clock.
"""

from __future__ import annotations

import collections
import decimal
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import sqlalchemy as sa

from energy_accounting import errors, units
from energy_accounting.facility import factor_revisions, factors, models
from energy_accounting.facility.factor_revisions import Kept, Plan, Problem
from energy_accounting.ledger import audit, bulk
from energy_accounting.ledger import models as ledger

_ROWS_A_STATEMENT = 1000
_DAY_NS = 24 * 3600 * units.NS_PER_S


class Recorded(NamedTuple):
    """What recording a batch did: numbers of factors."""

    stored: int
    superseded: int
    unchanged: int


def row_of_body(row: int) -> str:
    """A row of a batch, as the API calls it."""
    return f'factors.{row}'


def record(connection: sa.Connection, batch: Sequence[factors.Factor],
           at_ns: int, actor: audit.Actor, *, replace: bool = False,
           name: Callable[[int], str] = row_of_body) -> Recorded:
    """Record factors, all or none.

    :param at_ns: when; what they supersede counts until then.
    :param replace: see :func:`factor_revisions.plan`.
    :param name: what an error calls a row.
    :raises errors.InvalidRequest: names every row that is wrong.
    :raises errors.Conflict: names every row that contradicts what is
        recorded.
    """
    if not batch:
        return Recorded(0, 0, 0)
    factor_revisions.refuse(factor_revisions.within(batch), name)
    lock(connection, {one.owner for one in batch})
    sites = site_ids(connection, {one.site for one in batch if one.site})
    factor_revisions.refuse([
        Problem(row, 'site', f'there is no site {one.site!r}: create it '
                             'first (openstack energy site create)')
        for row, one in enumerate(batch)
        if one.site and one.site not in sites], name)
    plan, problems = factor_revisions.plan(
        batch, _overlapping(connection, batch, sites), replace=replace)
    try:
        factor_revisions.refuse(problems, name)
    except errors.InvalidRequest as error:
        raise errors.Conflict(str(error)) from error
    # Never before what it supersedes, whatever the clocks say.
    at_ns = max([at_ns, *(one.recorded_ns for one in plan.supersede)])
    table = models.factors
    for chunk in _chunks([one.id for one in plan.supersede]):
        connection.execute(sa.update(table).where(table.c.id.in_(chunk))
                           .values(superseded_ns=at_ns))
    if plan.append:
        connection.execute(sa.insert(table), [
            _values(one, sites, at_ns) for one in plan.append])
    audit.write(connection, actor, at_ns, *_changes(plan))
    return Recorded(len(plan.append), len(plan.supersede), plan.unchanged)


def withdraw(connection: sa.Connection, factor_id: int, at_ns: int,
             actor: audit.Actor) -> None:
    """Let a factor count no more; it is kept for earlier views.

    :raises errors.NotFound: there is none of this id that counts.
    """
    table = models.factors
    here = table.c.id == factor_id, table.c.superseded_ns.is_(None)
    for kept in _kept(connection.execute(_rows().where(*here))):
        lock(connection, [kept.factor.owner])
        # Asked once more by the change: it may have waited for another.
        if connection.execute(sa.update(table).where(*here).values(
                superseded_ns=max(at_ns, kept.recorded_ns))).rowcount:
            audit.write(connection, actor, at_ns, *_changes(
                Plan([], [kept], 0)))
            return
    raise errors.NotFound(
        f'there is no factor {factor_id} that counts: give the id of one '
        'that the list has')


def lock(connection: sa.Connection, owners: Iterable[str]) -> None:
    """Let nobody else write these owners' factors until the end.

    In the order of their names, so that two writers wait and do not
    deadlock.
    """
    table, names = models.factor_owners, sorted(owners)
    there = connection.execute(sa.select(table.c.name).where(
        table.c.name.in_(names))).scalars().all()
    bulk.insert_missing(connection, table, [
        {'name': name} for name in names if name not in there])
    for name in names:
        connection.execute(sa.select(table.c.id).where(
            table.c.name == name).with_for_update()).one()


def site_ids(connection: sa.Connection, names: Iterable[str],
             ) -> dict[str, int]:
    """The sites there are of these names."""
    sites = ledger.sites
    return {row.name: row.id for row in bulk.find(
        connection, sa.select(sites.c.id, sites.c.name), sites.c.name,
        set(names))}


def grid_zones(connection: sa.Connection) -> dict[str, list[str]]:
    """The sites of each grid zone that any site is in."""
    sites, found = ledger.sites.c, collections.defaultdict(list)
    for row in connection.execute(
            sa.select(sites.name, sites.grid_zone).where(
                sites.grid_zone.is_not(None)).order_by(sites.name)):
        found[row.grid_zone].append(row.name)
    return dict(sorted(found.items()))


# --- reading ----------------------------------------------------------------

def as_of(connection: sa.Connection, start_ns: int, end_ns: int,
          as_of_ns: int | None = None, *, zone: str | None = None,
          site: str | None = None, **where: str) -> list[Kept]:
    """What counted, or counts now, of a zone, a site or both.

    :param as_of_ns: as it was known then; None: as it is known now.
    :param where: values of columns.
    """
    table = models.factors.c
    owners = [] if zone is None else [table.zone == zone]
    if site is not None:
        owners += [table.site_id == found
                   for found in site_ids(connection, [site]).values()]
    return [one for owner in owners for one in _during(
        connection, start_ns, end_ns, owner, _known(as_of_ns),
        *(table[name] == value for name, value in where.items()))]


def _during(connection: sa.Connection, start_ns: int, end_ns: int,
            *where: sa.ColumnElement[bool]) -> Iterator[Kept]:
    """What counts in some of a time: it costs what there is of that."""
    table = models.factors.c
    for lasting in (_lasting(True), sa.and_(
            _lasting(False), table.start_ns > start_ns - _DAY_NS)):
        yield from _kept(connection.execute(_rows().where(
            *where, lasting, table.start_ns < end_ns,
            table.end_ns > start_ns).order_by(table.start_ns, table.id)))


def _lasting(said: bool) -> sa.ColumnElement[bool]:
    # MariaDB looks up no index for IS TRUE.
    return models.factors.c.lasting == sa.literal(said)


def history(connection: sa.Connection, series: factors.Series,
            start_ns: int, end_ns: int, count: int = 200,
            ) -> list[decimal.Decimal]:
    """Values to judge others by: those around a time, else the newest.

    Of any basis, method and quality: only their size is looked at.
    """
    table = models.factors.c
    chosen = sa.select(table.value).where(
        table.kind == series.kind, table.zone == series.zone,
        table.carrier == series.carrier, table.superseded_ns.is_(None),
    ).order_by(table.start_ns.desc()).limit(count)
    week_ns = 7 * _DAY_NS
    for near in ((_lasting(False),
                  table.start_ns < end_ns + week_ns,
                  table.start_ns > start_ns - week_ns),
                 (_lasting(False),), (_lasting(True),)):
        found = connection.execute(chosen.where(*near)).scalars().all()
        if found:
            return [decimal.Decimal(text) for text in found]
    return []


def read(connection: sa.Connection, *, after: int | None = None,
         limit: int | None = None, **filters: Any) -> list[Kept]:
    """Factors in the order in which they were recorded, a page of them.

    :param after: only those behind the one of this id.
    :param filters: ``zone``, ``site``, ``kind``, ``carrier``, ``basis``,
        ``method``, ``signal``, ``quality``, ``provider``; ``start_ns`` and
        ``end_ns``: those that count in some of that time; ``as_of_ns``:
        those that counted then; ``all``: with those that count no more.
        None: whatever it is.
    """
    query = _rows().where(*_conditions(filters)).order_by(
        models.factors.c.id)
    if after is not None:
        query = query.where(models.factors.c.id > after)
    return _kept(connection.execute(
        query if limit is None else query.limit(limit)))


def count(connection: sa.Connection, **filters: Any) -> int:
    """How many :func:`read` gives in all its pages."""
    table = models.factors
    return connection.execute(
        sa.select(sa.func.count()).select_from(table.outerjoin(
            ledger.sites, table.c.site_id == ledger.sites.c.id))
        .where(*_conditions(filters))).scalar_one()


def _conditions(filters: Mapping[str, Any],
                ) -> list[sa.ColumnElement[bool]]:
    table, found = models.factors.c, []
    for name, value in filters.items():
        if value is None or name in ('all', 'as_of_ns'):
            continue
        if name == 'start_ns':
            found.append(table.end_ns > value)
        elif name == 'end_ns':
            found.append(table.start_ns < value)
        elif name == 'site':
            found.append(ledger.sites.c.name == value)
        else:
            found.append(table[name] == value)
    if not filters.get('all'):
        found.append(_known(filters.get('as_of_ns')))
    return found


def _known(as_of_ns: int | None) -> sa.ColumnElement[bool]:
    table = models.factors.c
    if as_of_ns is None:
        return table.superseded_ns.is_(None)
    return sa.and_(table.recorded_ns <= as_of_ns, sa.or_(
        table.superseded_ns.is_(None), table.superseded_ns > as_of_ns))


def _rows() -> sa.Select[Any]:
    table, sites = models.factors, ledger.sites
    return sa.select(table, sites.c.name.label('site')).select_from(
        table.outerjoin(sites, table.c.site_id == sites.c.id))


def _kept(rows: Iterable[sa.Row[Any]]) -> list[Kept]:
    return [Kept(row.id, factors.Factor(
        kind=row.kind, carrier=row.carrier, start_ns=row.start_ns,
        end_ns=row.end_ns, value=decimal.Decimal(row.value),
        quality=row.quality, provider=row.provider, source=row.source,
        retrieved_ns=row.retrieved_ns, zone=row.zone, site=row.site,
        basis=row.basis, method=row.method, signal=row.signal,
        unit=row.unit, revision=row.revision),
        row.recorded_ns, row.superseded_ns) for row in rows]


# --- writing ----------------------------------------------------------------

def _overlapping(connection: sa.Connection, batch: Sequence[factors.Factor],
                 sites: Mapping[str, int]) -> Iterable[Kept]:
    """What counts now and may stand against a batch."""
    table = models.factors
    spans: dict[Any, tuple[int, int]] = {}
    for one in batch:
        key = one.kind, one.zone, one.site
        start, end = spans.get(key, (one.start_ns, one.end_ns))
        spans[key] = min(start, one.start_ns), max(end, one.end_ns)
    for (kind, zone, site), (start, end) in spans.items():
        owner = (table.c.zone == zone if zone is not None
                 else table.c.site_id == sites[site])
        yield from _during(connection, start, end, owner,
                           table.c.kind == kind, _known(None))


def _values(one: factors.Factor, sites: Mapping[str, int], at_ns: int,
            ) -> dict[str, Any]:
    return {
        'kind': one.kind, 'zone': one.zone,
        'site_id': sites[one.site] if one.site else None,
        'carrier': one.carrier, 'basis': one.basis, 'method': one.method,
        'signal': one.signal, 'start_ns': one.start_ns,
        'end_ns': one.end_ns, 'value': format(one.value, 'f'),
        'unit': one.unit, 'quality': one.quality, 'provider': one.provider,
        'source': one.source, 'revision': one.revision,
        'retrieved_ns': one.retrieved_ns, 'recorded_ns': at_ns,
        'superseded_ns': None,
        'lasting': one.end_ns - one.start_ns > _DAY_NS}


def _changes(plan: Plan) -> Iterable[audit.Change]:
    """One for each series: the rows themselves stay where they are."""
    became, was = collections.defaultdict(list), collections.defaultdict(list)
    for one in plan.append:
        became[one.series].append(one)
    for kept in plan.supersede:
        was[kept.factor.series].append(kept.factor)
    for series in sorted({*became, *was}, key=str):
        yield audit.Change(audit.FACTOR, str(series), _summary(was[series]),
                           _summary(became[series]))


def _summary(found: Sequence[factors.Factor]) -> dict[str, Any] | None:
    if not found:
        return None
    values = sorted({one.value for one in found})
    return {'factors': len(found),
            'start': _time(min(one.start_ns for one in found)),
            'end': _time(max(one.end_ns for one in found)),
            'lowest': format(values[0], 'f'),
            'highest': format(values[-1], 'f'),
            'quality': sorted({one.quality for one in found}),
            'provider': sorted({one.provider for one in found}),
            'source': sorted({one.source for one in found})[:5]}


def _time(wall_ns: int) -> str:
    return units.iso(units.moment(wall_ns))


def _chunks(ids: Sequence[int]) -> Iterable[Sequence[int]]:
    for start in range(0, len(ids), _ROWS_A_STATEMENT):
        yield ids[start:start + _ROWS_A_STATEMENT]
