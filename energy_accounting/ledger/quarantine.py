# SPDX-License-Identifier: Apache-2.0
"""Records that are kept and not booked, each with the reason.

Holding and reading only: why a record must not be booked is judged elsewhere
(``writes``, ``judgement``), and what becomes of it in ``decisions``.
"""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import sqlalchemy as sa

from energy_accounting import samples, wire
from energy_accounting.ledger import bulk, known, models, received

_REASON_CHARACTERS = 1000
_BIGINT_MAX = (1 << 63) - 1
_SIGNATURE_CHARACTERS = 128


@dataclasses.dataclass(frozen=True, slots=True)
class Kept:
    """A record in quarantine, as a list has it.

    :ivar start_ns, end_ns, energy_uj: what it claims; None: that cannot be
        read.
    """

    id: int
    host: str
    stream: str
    sequence: int
    state: str
    code: str
    reason: str
    received_ns: int
    start_ns: int | None
    end_ns: int | None
    energy_uj: int | None
    decided_at_ns: int | None


@dataclasses.dataclass(frozen=True, slots=True)
class KeptWhole:
    """A record in quarantine with its text and who vouches for it.

    :ivar public_key: '' when nobody does.
    :ivar own: whether it is or was that of its host.
    """

    kept: Kept
    digest: str
    public_key: str
    signature: str
    payload: str
    own: bool


class Held:
    """What one call holds, until it is written.

    :param trusted: whether the key of the call is the host's.
    """

    def __init__(self, received_ns: int, *, trusted: bool) -> None:
        self._received_ns = received_ns
        self._trusted = trusted
        self._rows: list[dict[str, Any]] = []

    def hold(self, record: received.Record,
             problem: received.Problem) -> str:
        """Keep a record; the reason as it is kept."""
        window = record.window
        start_ns, end_ns = (
            _claimed_times(record.text) if window is None
            else (window.start_ns, window.end_ns))
        kept, cut = _beginning(storable(record.text))
        reason = (storable(problem.text)[:_REASON_CHARACTERS - len(cut)]
                  + cut)
        self._rows.append({
            'host_name': record.host, 'stream': record.stream,
            'sequence': record.sequence, 'digest': record.digest,
            'public_key': record.key, 'signature': storable(
                record.signature)[:_SIGNATURE_CHARACTERS],
            'received_ns': self._received_ns,
            'start_ns': start_ns, 'end_ns': end_ns,
            'energy_uj': 0 if window is None else claimed_uj(window),
            'code': problem.code, 'trusted': self._trusted,
            'reason': reason,
            'payload': kept,
            **received.span(window if known.tells(
                window, self._received_ns) else None),
            'state': models.HELD})
        return reason

    def has(self, connection: sa.Connection,
            record: received.Record) -> bool:
        """Whether the very same record is held, now or from before."""
        if any((row['sequence'], row['digest'], row['public_key'])
               == (record.sequence, record.digest, record.key)
               for row in self._rows):
            return True
        table = models.quarantine
        return connection.execute(
            sa.select(table.c.id).where(
                table.c.host_name == record.host,
                table.c.stream == record.stream,
                table.c.sequence == record.sequence,
                table.c.digest == record.digest,
                table.c.public_key == record.key)).first() is not None

    def any_since(self, connection: sa.Connection, host: str,
                  since_ns: int) -> bool:
        """Whether a record of a host has been held since then."""
        table = models.quarantine
        return bool(self._rows) or connection.execute(
            sa.select(table.c.id).where(
                table.c.host_name == host,
                table.c.received_ns >= since_ns).limit(1)).first() is not None

    def write(self, connection: sa.Connection) -> None:
        bulk.insert_missing(connection, models.quarantine, self._rows)


def own(key: Any = models.hosts.c.public_key) -> sa.ColumnElement[bool]:
    """Whether a record is signed with a key of its host.

    With its key now, or with one that was before the host was replaced.

    :param key: of the host; without it, join ``hosts``.
    """
    table = models.quarantine.c
    return sa.or_(table.trusted, sa.and_(
        table.public_key != '', table.public_key == key))


def spans(connection: sa.Connection, host: sa.Row[Any], boot_id: str,
          start_ns: int, end_ns: int) -> list[tuple[int, int]]:
    """The boottime in [start, end) that a host's own records know of.

    Of those that are understood, without what an operator does not believe.

    :param host: with the key it has now; records of an earlier one are its
        own too, and others' say nothing of it.
    """
    table = models.quarantine.c
    return [(row[0], row[1]) for row in connection.execute(
        sa.select(table.boottime_start_ns, table.boottime_end_ns).where(
            table.host_name == host.name, table.boot_id == boot_id,
            own(host.public_key), table.state != models.DISCARDED,
            table.boottime_start_ns < end_ns,
            table.boottime_end_ns > start_ns))]


def remember(connection: sa.Connection, host: str, key: str) -> None:
    """Note that a key that ends was the host's: what it signed stays its.

    Also what came before the key was: of a host that was enrolled late.
    """
    table = models.quarantine
    connection.execute(
        sa.update(table).where(
            table.c.host_name == host, table.c.public_key == key,
            table.c.trusted.is_(False)).values(trusted=True))


def read(connection: sa.Connection, *, after: int | None, limit: int,
         **filters: Any) -> list[Kept]:
    """Records in the order they came to be kept.

    :param filters: ``host``, ``state``, ``code``; ``start_ns`` and
        ``end_ns`` of when they begin.  None: all.
    """
    table = models.quarantine
    query = sa.select(*_listed()).where(*_chosen(**filters))
    if after is not None:
        query = query.where(table.c.id > after)
    return [_kept(row._mapping) for row in connection.execute(
        query.order_by(table.c.id).limit(limit))]


def count(connection: sa.Connection, **filters: Any) -> int:
    """How many rows :func:`read` gives in all its pages."""
    return connection.execute(
        sa.select(sa.func.count()).select_from(models.quarantine)
        .where(*_chosen(**filters))).scalar_one()


def find(connection: sa.Connection, record_id: int) -> KeptWhole | None:
    """One record with all that is kept of it."""
    table, hosts = models.quarantine, models.hosts
    row = connection.execute(
        sa.select(*_listed(), table.c.digest, table.c.public_key,
                  table.c.signature, table.c.payload,
                  own().label('own'))
        .join_from(table, hosts, hosts.c.name == table.c.host_name,
                   isouter=True)
        .where(table.c.id == record_id)).one_or_none()
    return None if row is None else KeptWhole(
        _kept(row._mapping), row.digest, row.public_key, row.signature,
        row.payload, bool(row.own))


def _listed() -> list[sa.ColumnElement[Any]]:
    table = models.quarantine.c
    unread = sa.and_(table.energy_uj == 0, table.boot_id.is_(None))
    said: dict[str, sa.ColumnElement[Any]] = {
        'host': table.host_name,
        'energy_uj': sa.case((unread, sa.null()), else_=table.energy_uj)}
    return [(said[name] if name in said else table[name]).label(name)
            for name in (field.name for field in dataclasses.fields(Kept))]


def _kept(row: sa.RowMapping) -> Kept:
    return Kept(**{field.name: row[field.name]
                   for field in dataclasses.fields(Kept)})


def _chosen(host: str | None = None, state: str | None = None,
            code: str | None = None, start_ns: int | None = None,
            end_ns: int | None = None) -> list[sa.ColumnElement[bool]]:
    table = models.quarantine
    chosen = [column == value for column, value in (
        (table.c.host_name, host), (table.c.state, state),
        (table.c.code, code)) if value is not None]
    if start_ns is not None:
        chosen.append(table.c.start_ns >= start_ns)
    if end_ns is not None:
        chosen.append(table.c.start_ns < end_ns)
    return chosen


def claimed_uj(window: samples.Window) -> int:
    """What a window says the meters saw, as far as a column can hold it."""
    return min(sum(part.measured_uj for part in window.parts), _BIGINT_MAX)


def _claimed_times(text: str) -> tuple[int | None, int | None]:
    """What a record that is not understood says of its time."""
    try:
        body = json.loads(text)
        times = body['start_ns'], body['end_ns']
    except (ValueError, KeyError, TypeError, RecursionError):
        return None, None
    if all(type(time) is int for time in times) and (
            0 <= times[0] <= times[1] <= _BIGINT_MAX):
        return times
    return None, None


def _beginning(text: str) -> tuple[str, str]:
    """As much of a text as a database takes, and what to say of it."""
    raw = text.encode()
    if len(raw) <= wire.MAX_BYTES:
        return text, ''
    return raw[:wire.MAX_BYTES].decode('utf-8', 'ignore'), (
        f'; its text was cut: {wire.MAX_BYTES} bytes are kept')


def is_cut(payload: str) -> bool:
    """Whether a kept text that cannot be read was cut when it came."""
    # A character takes up to four bytes, and none is cut.
    return wire.size(payload) > wire.MAX_BYTES - 4


def storable(text: str) -> str:
    """A text any of the databases takes: no NUL, no lone surrogate."""
    return (text.encode('utf-8', 'backslashreplace').decode()
            .replace('\0', '\N{REPLACEMENT CHARACTER}'))
