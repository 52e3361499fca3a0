# SPDX-License-Identifier: Apache-2.0
"""The outbox: what is to leave, and how far it has come.

Rows only: what is sent, and how, stands in ``exports``.  One process at a
time is at an export; it holds it for a while and says again and again that
it still does.  No clock.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import sqlalchemy as sa
from oslo_db import exception as db_exception

from energy_accounting import wire
from energy_accounting.ledger import audit
from energy_accounting.ledger import billing_models as models

PLANNED = 'planned'
SENT = 'sent'
CONFIRMED = 'confirmed'
FAILED = 'failed'
CANCELLED = 'cancelled'
STATES = (PLANNED, SENT, CONFIRMED, FAILED, CANCELLED)
"""Begun or not, or waiting for what is away (then it has an error); all of it
handed over; looked at where it went, and whole there; in want of a person,
with the reason; given up by one."""

OPEN = (PLANNED, SENT, FAILED)
_ERROR_LENGTH = 2000


class Taken(Exception):
    """Somebody else planned the same meanwhile."""


class Lost(Exception):
    """Somebody else has the export now."""


@dataclasses.dataclass(frozen=True, slots=True)
class Export:
    """A row of the outbox; see ``billing_models``."""

    id: int
    export: str
    target: str
    options: Mapping[str, str]
    destination: str
    period: str
    time_zone: str
    project_id: str | None
    digest: str
    state: str
    total: int
    done: int
    artifacts: Sequence[Mapping[str, Any]]
    error: str | None
    created_ns: int
    changed_ns: int
    actor: str
    holder: str | None
    held_until_ns: int | None


def plan(connection: sa.Connection, values: Mapping[str, Any],
         actor: audit.Actor, at_ns: int) -> tuple[Export, bool]:
    """Put an export into the outbox, and whether it was not there.

    :param values: of :class:`Export`, from ``export`` to ``digest`` and
        ``total``.
    :raises Taken: by another, at the same time.
    """
    found = find(connection, values['export'])
    if found is not None:
        if found.state == CANCELLED and retry(
                connection, found.export, actor, at_ns):
            found = find(connection, found.export) or found
        return found, False
    row = {**values, 'options': wire.to_json(values['options']),
           'state': PLANNED, 'done': 0, 'artifacts': '[]', 'error': None,
           'created_ns': at_ns, 'changed_ns': at_ns,
           'actor': actor.name[:255]}
    try:
        made = connection.execute(sa.insert(models.exports).values(row))
    except db_exception.DBDuplicateEntry as error:
        raise Taken from error
    audit.write(connection, actor, at_ns, audit.Change(
        audit.EXPORT, values['export'], None, {
            name: values[name] for name in (
                'target', 'period', 'time_zone', 'project_id', 'digest',
                'destination')}))
    (row_id,) = made.inserted_primary_key or (0,)
    return Export(**{
        **row, 'id': int(row_id), 'options': values['options'],
        'artifacts': [], 'holder': None, 'held_until_ns': None}), True


# --- who is at it -----------------------------------------------------------

def take(connection: sa.Connection, export: str, holder: str, now_ns: int,
         until_ns: int, *, alone: bool = False) -> Export | None:
    """Hold an export; None: another does.

    :param alone: nor may another export of its target, to where it goes, be
        held: they would write the same.
    """
    table = models.exports.c
    if alone and _others_held(connection, export, holder, now_ns):
        return None
    connection.execute(
        sa.update(models.exports).where(
            table.export == export, sa.or_(
                table.holder.is_(None), table.holder == holder,
                table.held_until_ns <= now_ns))
        .values(holder=holder, held_until_ns=until_ns))
    found = find(connection, export)
    return None if found is None or found.holder != holder else found


def _others_held(connection: sa.Connection, export: str, holder: str,
                 now_ns: int) -> bool:
    table, one = models.exports.c, models.exports.alias('one')
    # Locked in one order by whoever asks: of two, one is the second.
    rows = connection.execute(
        sa.select(table.export, table.holder, table.held_until_ns).join_from(
            models.exports, one, sa.and_(
                one.c.target == table.target,
                one.c.destination == table.destination))
        .where(one.c.export == export, table.state != CONFIRMED)
        .order_by(table.id).with_for_update(of=models.exports)).all()
    return any(row.export != export and row.holder not in (None, holder)
               and row.held_until_ns > now_ns for row in rows)


def advance(connection: sa.Connection, export: str, holder: str, done: int,
            until_ns: int) -> None:
    """So much of it was sent, and it is still held.

    :raises Lost: it is not.
    """
    _change(connection, export, holder, done=done, held_until_ns=until_ns)


def mark(connection: sa.Connection, export: str, holder: str, state: str,
         now_ns: int, *, artifacts: Sequence[Mapping[str, Any]] | None = None,
         error: str | None = None, done: int | None = None) -> None:
    """The export is in another state.

    :raises Lost: it is not held.
    """
    values: dict[str, Any] = {
        'state': state, 'changed_ns': now_ns,
        'error': None if error is None else error[:_ERROR_LENGTH]}
    if artifacts is not None:
        values['artifacts'] = wire.to_json(list(artifacts))
    if done is not None:
        values['done'] = done
    _change(connection, export, holder, **values)


def retry(connection: sa.Connection, export: str, actor: audit.Actor,
          at_ns: int) -> bool:
    """Let what failed or was cancelled be sent; False: it was neither."""
    return _decide(connection, export, (FAILED, CANCELLED), actor, at_ns,
                   state=PLANNED, error=None, done=0)


def cancel(connection: sa.Connection, export: str, actor: audit.Actor,
           at_ns: int) -> bool:
    """Give an export up; False: it is confirmed, or somebody is at it."""
    table = models.exports.c
    return _decide(
        connection, export, OPEN, actor, at_ns,
        # Whoever had it and comes back late finds that it is not his.
        sa.or_(table.holder.is_(None), table.held_until_ns <= at_ns),
        state=CANCELLED, holder=None, held_until_ns=None)


def _decide(connection: sa.Connection, export: str, states: Sequence[str],
            actor: audit.Actor, at_ns: int, *more: sa.ColumnElement[bool],
            **values: Any) -> bool:
    """Change what is in one of some states, as somebody said."""
    table = models.exports.c
    before = find(connection, export)
    if before is None or before.state not in states or not connection.execute(
            sa.update(models.exports).where(
                table.export == export, table.state == before.state, *more,
            ).values(**values, changed_ns=at_ns)).rowcount:
        return False
    audit.write(connection, actor, at_ns, audit.Change(
        audit.EXPORT, export, {'state': before.state},
        {'state': values['state']}))
    return True


def release(connection: sa.Connection, export: str, holder: str) -> None:
    """Hold an export no more, if it is held."""
    table = models.exports.c
    connection.execute(sa.update(models.exports).where(
        table.export == export, table.holder == holder,
    ).values(holder=None, held_until_ns=None))


def _change(connection: sa.Connection, export: str, holder: str,
            **values: Any) -> None:
    table = models.exports.c
    if not connection.execute(sa.update(models.exports).where(
            table.export == export, table.holder == holder,
            ).values(**values)).rowcount:
        raise Lost


# --- reading ----------------------------------------------------------------

def find(connection: sa.Connection, export: str) -> Export | None:
    row = connection.execute(sa.select(models.exports).where(
        models.exports.c.export == export)).first()
    return None if row is None else _export(row)


def before(connection: sa.Connection, one: Export) -> Export | None:
    """The last one with files that was asked for in the same words.

    It went to the same place, and earlier: other revisions went in.
    """
    table = models.exports.c
    row = connection.execute(sa.select(models.exports).where(
        table.id < one.id, table.artifacts != '[]',
        table.options == wire.to_json(dict(one.options)),
        table.project_id.is_(None) if one.project_id is None
        else table.project_id == one.project_id,
        *(table[name] == getattr(one, name) for name in (
            'target', 'destination', 'period', 'time_zone')),
        ).order_by(table.id.desc()).limit(1)).first()
    return None if row is None else _export(row)


def read(connection: sa.Connection, *, after: int | None = None,
         limit: int | None = None, **filters: Any) -> list[Export]:
    """Exports in the order in which they were planned.

    :param filters: ``target``, ``period``, ``state``, ``project_id``;
        None: whatever it is.
    """
    query = sa.select(models.exports).where(*_conditions(filters)).order_by(
        models.exports.c.id)
    if after is not None:
        query = query.where(models.exports.c.id > after)
    return [_export(row) for row in connection.execute(
        query if limit is None else query.limit(limit))]


def count(connection: sa.Connection, **filters: Any) -> int:
    """How many :func:`read` gives in all its pages."""
    return connection.execute(
        sa.select(sa.func.count()).select_from(models.exports)
        .where(*_conditions(filters))).scalar_one()


def _conditions(filters: Mapping[str, Any],
                ) -> Iterator[sa.ColumnElement[bool]]:
    for name in ('target', 'period', 'state', 'project_id'):
        if filters.get(name) is not None:
            yield models.exports.c[name] == filters[name]


def _export(row: sa.Row[Any]) -> Export:
    values = dict(row._mapping)
    for name in ('options', 'artifacts'):
        values[name] = json.loads(values[name])
    return Export(**values)


# --- what goes in -----------------------------------------------------------

class Closed(NamedTuple):
    """A final revision of a statement, without its content."""

    project_id: str
    statement: str
    revision: int
    digest: str
    lines: int


def closed(connection: sa.Connection, period: str, time_zone: str,
           project_id: str | None) -> list[Closed]:
    """All revisions of the statements of a period, by project.

    The provisional ones too, of which the revision is 0.

    :param project_id: None: of all.
    """
    table = models.statements.c
    query = sa.select(*(table[name] for name in Closed._fields)).where(
        table.period == period, table.time_zone == time_zone).order_by(
            table.project_id, table.revision)
    if project_id is not None:
        query = query.where(table.project_id == project_id)
    return [Closed(*row) for row in connection.execute(query)]
