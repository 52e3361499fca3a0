# SPDX-License-Identifier: Apache-2.0
"""What operators say happened to meters: SQL.

An exchange, a reset, a rollover, a fall that is true: without a decision no
energy follows from it (``amounts``).  Nothing is deleted; an event that is
withdrawn says since when it counts no more.  No clock.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import sqlalchemy as sa

from energy_accounting import errors
from energy_accounting.facility import (
    amounts,
    meters,
    models,
    quantities,
    readings,
)
from energy_accounting.ledger import audit
from energy_accounting.ledger.audit import By


@dataclasses.dataclass(frozen=True, slots=True)
class KeptEvent:
    """An event as it is kept; see :class:`amounts.Event`."""

    id: int
    at_ns: int
    kind: str
    end_value: str | None
    start_value: str | None
    note: str | None
    recorded_ns: int
    superseded_ns: int | None


def decide(connection: sa.Connection, by: By, called: str, event: KeptEvent,
           *, correct: bool = False) -> tuple[KeptEvent, bool]:
    """Say what happened to a counter.

    :param event: its id and its times of recording do not matter.
    :param correct: whether it takes the place of another one that was said
        of the same moment.
    :returns: the event as it is kept, and whether it is new.
    :raises errors.NotFound: there is no such meter.
    :raises errors.InvalidRequest: a value is wrong; names the field.
    :raises errors.Conflict: another one was said of the same moment.
    """
    meter = meters.found(connection, called)
    meters.locked(connection, meter.id)
    meter = meters.found(connection, called)
    _check_event(meter, event)
    table = models.meter_events
    old = next(iter(events(connection, meter.id, at_ns=event.at_ns)), None)
    values = {'at_ns': event.at_ns, 'kind': event.kind,
              'end_value': event.end_value, 'start_value': event.start_value,
              'note': event.note}
    if old is not None:
        if values == {name: getattr(old, name) for name in values}:
            return old, False
        if not correct:
            raise errors.Conflict(
                f'at: of {meters.when(event.at_ns)} {old.kind} was said '
                'already; send it as a correction (correct)')
        _supersede(connection, old.id, by.at_ns)
    made = connection.execute(sa.insert(table).values(
        meter_id=meter.id, recorded_ns=by.at_ns, superseded_ns=None,
        **values))
    (made_id,) = made.inserted_primary_key or (0,)
    kept = KeptEvent(made_id, recorded_ns=by.at_ns, superseded_ns=None,
                     **values)  # type: ignore[arg-type]
    audit.write(connection, by.actor, by.at_ns, audit.Change(
        audit.EVENT, meter.name, None if old is None else _in_words(old),
        _in_words(kept)))
    return kept, True


def withdraw(connection: sa.Connection, by: By, called: str,
             event_id: int) -> None:
    """Take back what was said to have happened; it stays on record.

    :raises errors.NotFound: the meter has no such event (any more).
    """
    meter = meters.found(connection, called)
    meters.locked(connection, meter.id)
    for old in events(connection, meter.id):
        if old.id == event_id:
            _supersede(connection, old.id, by.at_ns)
            audit.write(connection, by.actor, by.at_ns, audit.Change(
                audit.EVENT, meter.name, _in_words(old), None))
            return
    raise errors.NotFound(f'meter {meter.name!r} has no event {event_id}')


def events(connection: sa.Connection, meter_id: int, *,
           at_ns: int | None = None, as_of_ns: int | None = None,
           superseded: bool = False) -> list[KeptEvent]:
    """What is said to have happened to a counter, in order of time."""
    table = models.meter_events
    chosen = sa.select(*(table.c[field.name]
                         for field in dataclasses.fields(KeptEvent))).where(
        *readings.chosen(table, meter_id, None, None, as_of_ns, superseded))
    if at_ns is not None:
        chosen = chosen.where(table.c.at_ns == at_ns)
    return [KeptEvent(*row) for row in connection.execute(
        chosen.order_by(table.c.at_ns, table.c.id))]


def _check_event(meter: meters.Meter, event: KeptEvent) -> None:
    if meter.kind != quantities.CUMULATIVE:
        raise errors.Conflict(
            f'meter {meter.name!r} is no counter ({meter.kind}): nothing of '
            'this kind happens to it; correct its readings instead')
    values = {}
    for name in ('end_value', 'start_value'):
        text = getattr(event, name)
        try:
            values[name] = (None if text is None
                            else meter.quantity.exact(text))
        except ValueError as error:
            raise errors.InvalidRequest(
                f'{name}: {error}; give one that is') from error
    if event.kind == amounts.CONFIRMED and any(
            value is not None for value in values.values()):
        raise errors.InvalidRequest(
            'end_value: the readings are confirmed as they are; leave '
            'end_value and start_value out')
    if event.kind == amounts.ROLLOVER:
        end = values['end_value']
        if end is None and meter.rollover is None:
            raise errors.InvalidRequest(
                'end_value: must be given, as the meter has no rollover; '
                'give the value at which it turned to 0')
        if end is not None and end <= (values['start_value'] or 0):
            raise errors.InvalidRequest(
                'end_value: it is not above start_value; give the value at '
                'which the counter turned')


def _supersede(connection: sa.Connection, event_id: int,
               now_ns: int) -> None:
    table = models.meter_events
    connection.execute(sa.update(table).where(table.c.id == event_id)
                       .values(superseded_ns=now_ns))


def _in_words(event: KeptEvent) -> dict[str, Any]:
    return {'id': event.id, 'at': meters.when(event.at_ns),
            'kind': event.kind, 'end_value': event.end_value,
            'start_value': event.start_value, 'note': event.note}
