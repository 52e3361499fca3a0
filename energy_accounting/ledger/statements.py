# SPDX-License-Identifier: Apache-2.0
"""Closed statements in the database: insert, read, list.

What stands in one is made in ``statements``; here it is kept, by revision,
and never changed but for the provisional one.  No clock.
"""

from __future__ import annotations

import dataclasses
import json
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from oslo_db import exception as db_exception

from energy_accounting import wire
from energy_accounting.ledger import billing_models as models
from energy_accounting.ledger import identities
from energy_accounting.ledger import models as ledger

PROVISIONAL = 'provisional'
FINAL = 'final'
STATES = (PROVISIONAL, FINAL)

_NAMESPACE = uuid.UUID('a3f1f9a5-6c5e-5f0e-9a55-0f5f3a3b6d10')


class Taken(Exception):
    """Somebody else stored this revision meanwhile."""


@dataclasses.dataclass(frozen=True, slots=True)
class Stored:
    """A revision of a statement without its lines.

    :ivar id: of the row; :ivar statement: what all revisions share.
    :ivar revision: 0: provisional.
    :ivar project_id: '': what belongs to no project.
    :ivar head: its content but for the lines.
    :ivar project_name, domain_id: as known when it was closed.
    """

    id: int
    statement: str
    revision: int
    project_id: str
    period: str
    time_zone: str
    start_ns: int
    end_ns: int
    digest: str
    lines: int
    head: Mapping[str, Any]
    project_name: str | None
    domain_id: str | None
    complete_until_ns: int | None
    as_of_ns: int
    created_ns: int
    actor: str

    @property
    def state(self) -> str:
        return FINAL if self.revision else PROVISIONAL


def id_of(project_id: str, period: str, time_zone: str) -> str:
    """The id of a statement: the same whoever closes it, and where."""
    return str(uuid.uuid5(_NAMESPACE, '/'.join(
        (project_id, period, time_zone))))


def insert(connection: sa.Connection, values: Mapping[str, Any],
           blocks: Iterable[tuple[int, bytes]]) -> Stored:
    """Keep a revision.

    :param values: of :class:`Stored`, without the id.
    :param blocks: of lines: (number of the first, content).
    :raises Taken: this revision is there.
    """
    try:
        made = connection.execute(
            sa.insert(models.statements).values(_row(values)))
    except db_exception.DBDuplicateEntry as error:
        raise Taken from error
    (row_id,) = made.inserted_primary_key or (0,)
    _insert_blocks(connection, row_id, blocks)
    return Stored(id=int(row_id), **values)


def replace(connection: sa.Connection, before: Stored,
            values: Mapping[str, Any], blocks: Iterable[tuple[int, bytes]],
            ) -> Stored:
    """Give the provisional revision another content.

    :param before: what is replaced.
    :raises Taken: it is not there any more.
    """
    table, rows = models.statements, models.statement_blocks
    if not connection.execute(
            sa.update(table).where(
                table.c.id == before.id, table.c.revision == 0,
                table.c.digest == before.digest).values(_row(values)),
            ).rowcount:
        raise Taken
    connection.execute(sa.delete(rows).where(
        rows.c.statement_ref == before.id))
    _insert_blocks(connection, before.id, blocks)
    return Stored(id=before.id, **values)


def _row(values: Mapping[str, Any]) -> dict[str, Any]:
    return {**values, 'head': wire.to_json(values['head'])}


def _insert_blocks(connection: sa.Connection, row_id: int,
                   blocks: Iterable[tuple[int, bytes]]) -> None:
    for number, (first, content) in enumerate(blocks):
        connection.execute(sa.insert(models.statement_blocks).values(
            statement_ref=row_id, number=number, first=first,
            content=content))


# --- reading ----------------------------------------------------------------

def find(connection: sa.Connection, statement: str,
         revision: int | None = None) -> Stored | None:
    """A revision, or the newest one."""
    table = models.statements
    query = sa.select(table).where(table.c.statement == statement)
    if revision is not None:
        query = query.where(table.c.revision == revision)
    row = connection.execute(query.order_by(
        table.c.revision.desc()).limit(1)).first()
    return None if row is None else _stored(row)


def revisions(connection: sa.Connection, statement: str) -> list[Stored]:
    """All of them, the first first."""
    table = models.statements
    return [_stored(row) for row in connection.execute(
        sa.select(table).where(table.c.statement == statement)
        .order_by(table.c.revision))]


def read(connection: sa.Connection, *, after: int | None = None,
         limit: int | None = None, **filters: Any) -> list[Stored]:
    """Statements in the order in which they were first closed.

    :param filters: ``project_id``, ``period``, ``time_zone``, ``state``,
        ``domain_id``; ``start_ns`` and ``end_ns``: those of some of that
        time; ``all``: with the revisions that are not the newest.  None:
        whatever it is.
    """
    table = models.statements
    query = sa.select(table).where(*_conditions(filters)).order_by(
        table.c.id)
    if after is not None:
        query = query.where(table.c.id > after)
    return [_stored(row) for row in connection.execute(
        query if limit is None else query.limit(limit))]


def count(connection: sa.Connection, **filters: Any) -> int:
    """How many :func:`read` gives in all its pages."""
    return connection.execute(
        sa.select(sa.func.count()).select_from(models.statements)
        .where(*_conditions(filters))).scalar_one()


def spans(connection: sa.Connection) -> list[tuple[str, str, int]]:
    """How many statements there are: period, time zone, number."""
    table = models.statements.c
    return [(row.period, row.time_zone, row.number)
            for row in connection.execute(sa.select(
                table.period, table.time_zone,
                sa.func.count().label('number')).where(
                    *_conditions({})).group_by(
                        table.period, table.time_zone))]


def _conditions(filters: Mapping[str, Any],
                ) -> Iterator[sa.ColumnElement[bool]]:
    table = models.statements.c
    for name in ('project_id', 'period', 'time_zone', 'domain_id'):
        if filters.get(name) is not None:
            yield table[name] == filters[name]
    if filters.get('start_ns') is not None:
        yield table.end_ns > filters['start_ns']
    if filters.get('end_ns') is not None:
        yield table.start_ns < filters['end_ns']
    if filters.get('state') is not None:
        yield (table.revision == 0 if filters['state'] == PROVISIONAL
               else table.revision > 0)
    if not filters.get('all'):
        newer = models.statements.alias('newer')
        yield ~sa.exists().where(newer.c.statement == table.statement,
                                 newer.c.revision > table.revision)


def blocks(connection: sa.Connection, row_id: int, first: int = 0,
           ) -> Iterator[tuple[int, bytes]]:
    """The lines of a revision, a block at a time: (number of its first,
    content).

    :param first: begins with the block that holds this line.
    """
    table = models.statement_blocks
    mine = table.c.statement_ref == row_id
    number = connection.scalar(sa.select(sa.func.max(table.c.number)).where(
        mine, table.c.first <= first))
    while number is not None:
        row = connection.execute(sa.select(table).where(
            mine, table.c.number == number)).first()
        if row is None:
            return
        yield int(row.first), bytes(row.content)
        number += 1


def _stored(row: sa.Row[Any]) -> Stored:
    values = dict(row._mapping)
    values['head'] = json.loads(values['head'])
    return Stored(**values)


# --- who a project is -------------------------------------------------------

def project(connection: sa.Connection, project_id: str,
            ) -> tuple[str | None, str | None]:
    """(name, domain id) as they were learnt last."""
    names = ledger.names.c
    row = connection.execute(
        sa.select(names.name, names.domain_id).where(
            names.kind == identities.PROJECT, names.uuid == project_id)
        .order_by(names.valid_from_ns.desc()).limit(1)).first()
    return (None, None) if row is None else (row.name, row.domain_id)


def zones(connection: sa.Connection, project_id: str, period: str,
          ) -> Sequence[str]:
    """The time zones in which there is a statement of a period."""
    table = models.statements.c
    return connection.scalars(
        sa.select(table.time_zone).distinct().where(
            table.project_id == project_id, table.period == period,
        ).order_by(table.time_zone)).all()


def known(connection: sa.Connection, period: str, time_zone: str,
          ) -> Sequence[str]:
    """The projects of which there is a statement of a period."""
    table = models.statements.c
    return connection.scalars(sa.select(table.project_id).distinct().where(
        table.period == period, table.time_zone == time_zone)).all()
