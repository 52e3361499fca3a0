# SPDX-License-Identifier: Apache-2.0
"""Who changed what, when, from what to what.

Written in the transaction of the change itself: neither is there without
the other.  What may be changed, and by whom, is not decided here.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import sqlalchemy as sa

from energy_accounting import wire
from energy_accounting.ledger import models

HOST = 'host'
KEY = 'key'
SITE = 'site'
IDLE = 'idle'
POLICY = 'policy'
CLAIM = 'claim'
QUARANTINE = 'quarantine'
DOWNTIME = 'downtime'
FACTOR = 'factor'
CONTRACT = 'contract'
METER = 'meter'
READING = 'reading'
EVENT = 'event'
TARIFF = 'tariff'
STATEMENT = 'statement'
EXPORT = 'export'
KINDS = (HOST, KEY, SITE, IDLE, POLICY, CLAIM, QUARANTINE, DOWNTIME, FACTOR,
         CONTRACT, METER, READING, EVENT, TARIFF, STATEMENT, EXPORT)


class Actor(NamedTuple):
    """Who acts.

    :ivar name: a user id, ``collector`` or ``standalone``.
    :ivar request_id: of the request to the API, if it was one.
    """

    name: str
    request_id: str | None = None


COLLECTOR = Actor('collector')


class By(NamedTuple):
    """Who changes something, and when."""

    actor: Actor
    at_ns: int


class Change(NamedTuple):
    """What changed: plain JSON values, None where there was nothing.

    :ivar kind: one of :data:`KINDS`.
    :ivar subject: which: the name of a host, site or meter, the id of an
        instance.
    """

    kind: str
    subject: str
    was: Mapping[str, Any] | None
    became: Mapping[str, Any] | None


@dataclasses.dataclass(frozen=True, slots=True)
class Entry:
    """A change as it is kept."""

    id: int
    at_ns: int
    actor: str
    request_id: str | None
    kind: str
    subject: str
    was: Any
    became: Any


def write(connection: sa.Connection, actor: Actor, at_ns: int,
          *changes: Change) -> None:
    """Keep changes, within the transaction that makes them."""
    if changes:
        connection.execute(sa.insert(models.audit), [
            {'at_ns': at_ns, 'actor': actor.name[:255],
             'request_id': actor.request_id, 'kind': change.kind,
             'subject': change.subject[:255],
             'was': _text(change.was), 'became': _text(change.became)}
            for change in changes])


def read(connection: sa.Connection, *, kind: str | None = None,
         subject: str | None = None, actor: str | None = None,
         start_ns: int | None = None, end_ns: int | None = None,
         before: int | None = None, limit: int | None = None,
         ) -> list[Entry]:
    """Changes, the newest first.

    :param before: only those behind (older than) the one of this id.
    """
    table = models.audit
    chosen = sa.select(table).where(*_conditions(
        kind, subject, actor, start_ns, end_ns)).order_by(table.c.id.desc())
    if before is not None:
        chosen = chosen.where(table.c.id < before)
    if limit is not None:
        chosen = chosen.limit(limit)
    return [Entry(row.id, row.at_ns, row.actor, row.request_id, row.kind,
                  row.subject, _value(row.was), _value(row.became))
            for row in connection.execute(chosen)]


def count(connection: sa.Connection, *, kind: str | None = None,
          subject: str | None = None, actor: str | None = None,
          start_ns: int | None = None, end_ns: int | None = None) -> int:
    """How many :func:`read` gives in all its pages."""
    return connection.execute(
        sa.select(sa.func.count()).select_from(models.audit).where(
            *_conditions(kind, subject, actor, start_ns, end_ns)),
    ).scalar_one()


def _conditions(kind: str | None, subject: str | None, actor: str | None,
                start_ns: int | None, end_ns: int | None,
                ) -> Iterable[sa.ColumnElement[bool]]:
    table = models.audit.c
    for column, value in ((table.kind, kind), (table.subject, subject),
                          (table.actor, actor)):
        if value is not None:
            yield column == value
    if start_ns is not None:
        yield table.at_ns >= start_ns
    if end_ns is not None:
        yield table.at_ns < end_ns


def _text(value: Mapping[str, Any] | None) -> str | None:
    return None if value is None else wire.to_json(value)


def _value(text: str | None) -> Any:
    return None if text is None else json.loads(text)
