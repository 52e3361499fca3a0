# SPDX-License-Identifier: Apache-2.0
"""What meters have read, and what operators say happened to them: SQL.

A batch of readings is one transaction: all of it or nothing.  Nothing that
was given is ever changed or deleted; a correction is a row of its own, and
the old one says since when it counts no more.  What follows from readings
is in ``amounts``.  No clock.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple, NoReturn

import sqlalchemy as sa

from energy_accounting import errors, units
from energy_accounting.facility import amounts, meters, models, quantities
from energy_accounting.ledger import audit, bulk
from energy_accounting.ledger.audit import By

MAX_BATCH = 100_000
"""The most readings of one batch: about ten years of hours."""
_AUDITED = 100
_ROWS_A_STATEMENT = 2000


class Given(NamedTuple):
    """A reading as it is sent.

    :ivar at_ns: when; of an interval, its end.
    :ivar value: in the meter's unit; None takes back what was said of this
        moment (a correction only).
    :ivar start_ns: of an interval.
    """

    at_ns: int
    value: str | None
    quality: str = quantities.MEASURED
    start_ns: int | None = None


class _Coming(NamedTuple):
    """A reading to be written, its place in the batch, what it replaces."""

    place: int
    given: Given
    old: sa.Row[Any] | None


class Outcome(NamedTuple):
    """What became of a batch.

    :ivar added: of a moment that had no value.
    :ivar corrected: in place of another value, or of none any more.
    :ivar duplicates: as they were there already.
    """

    added: int
    corrected: int
    duplicates: int


@dataclasses.dataclass(frozen=True, slots=True)
class Kept:
    """A reading as it is kept."""

    id: int
    at_ns: int
    start_ns: int | None
    value: str
    quality: str
    source: str
    received_ns: int
    superseded_ns: int | None


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


# --- readings are written ---------------------------------------------------

def add(connection: sa.Connection, by: By, called: str,
        batch: Sequence[Given], source: str, *,
        correct: bool = False) -> Outcome:
    """Keep a batch of readings of one meter.

    What is there already with the same value is counted and not written
    again, so that a batch may be sent twice.

    :param called: the meter's name, or the digits of its id.
    :param correct: whether another value of the same moment takes the place
        of the one that is there.
    :raises errors.NotFound: there is no such meter.
    :raises errors.InvalidRequest: a reading is wrong; names it by its place
        in the batch, from 0, as ``readings.7``.
    :raises errors.Conflict: it does not fit what is there; names it too.
    """
    meter = meters.found(connection, called)
    # Whoever else writes readings of this meter waits.
    meters.locked(connection, meter.id)
    meter = meters.found(connection, called)
    places = _checked(meter, batch)
    there = _current(connection, meter.id, places)
    coming, duplicates = [], len(batch) - len(places)
    for at_ns, (place, given) in places.items():
        old = there.get(at_ns)
        if old is None and given.value is None:
            _conflict(place, given, 'there is no value to take back',
                      'leave it out')
        elif old is not None and _same(old, given):
            duplicates += 1
        elif old is not None and not correct:
            _conflict(place, given, f'it has the value {old.value} already',
                      'leave it out, or send it as a correction (correct)')
        else:
            coming.append(_Coming(place, given, old))
    if meter.kind == quantities.INTERVAL:
        _check_overlap(connection, meter, coming)
    _write(connection, meter.id, by.at_ns, source, coming)
    _audit(connection, by, meter, source, coming)
    corrected = sum(one.old is not None for one in coming)
    return Outcome(len(coming) - corrected, corrected, duplicates)


def _checked(meter: meters.Meter, batch: Sequence[Given],
             ) -> dict[int, tuple[int, Given]]:
    """Each moment's reading and its place, when all of them are right."""
    if meter.kind == quantities.VIRTUAL:
        raise errors.Conflict(
            f'meter {meter.name!r} is virtual and has no readings; send '
            f'those of {", ".join(name for name, _ in meter.terms)}')
    if len(batch) > MAX_BATCH:
        raise errors.InvalidRequest(
            f'readings: {len(batch)} in one batch; send at most {MAX_BATCH}')
    quantity = meter.quantity
    rollover = (None if meter.rollover is None
                else quantity.exact(meter.rollover))
    places: dict[int, tuple[int, Given]] = {}
    for place, given in enumerate(batch):
        _check_one(meter, place, given)
        if given.value is not None:
            try:
                value = quantity.exact(given.value)
            except ValueError as error:
                _invalid(place, 'value', str(error), 'give one that is')
            if rollover is not None and value >= rollover:
                _invalid(place, 'value', f'{given.value} is not below the '
                         f'rollover of the meter, {meter.rollover}',
                         'mend it, or the rollover of the meter')
        before = places.setdefault(given.at_ns, (place, given))
        if before[1] is not given and not _equal(before[1], given):
            _invalid(place, 'at', f'{meters.when(given.at_ns)} is that of '
                     f'readings.{before[0]} too, and they differ',
                     'send one of them')
    return places


def _check_one(meter: meters.Meter, place: int, given: Given) -> None:
    if meter.kind == quantities.INTERVAL:
        if given.start_ns is None and given.value is not None:
            _invalid(place, 'start', 'a value of this meter is that of a '
                     'time', 'give start, and end it with at')
        if given.start_ns is not None and given.start_ns >= given.at_ns:
            _invalid(place, 'start', 'it is not before at',
                     'give an earlier one')
    elif given.start_ns is not None:
        _invalid(place, 'start', f'a value of this meter ({meter.kind}) is '
                 'that of a moment', 'leave it out')
    first_ns = given.at_ns if given.start_ns is None else given.start_ns
    if meter.installed_ns is not None and first_ns < meter.installed_ns:
        _invalid(place, 'at', 'it is before the meter was installed, '
                 f'{meters.when(meter.installed_ns)}',
                 'leave it out, or mend installed_at')
    if meter.removed_ns is not None and given.at_ns > meter.removed_ns:
        _invalid(place, 'at', 'it is after the meter was removed, '
                 f'{meters.when(meter.removed_ns)}',
                 'leave it out, or mend removed_at')


def _equal(one: Given, other: Given) -> bool:
    if one.value is None or other.value is None:
        return one.value is other.value
    return ((one.start_ns, one.quality) == (other.start_ns, other.quality)
            and quantities.same(one.value, other.value))


def _same(old: sa.Row[Any], given: Given) -> bool:
    return _equal(Given(old.at_ns, old.value, old.quality, old.start_ns),
                  given)


def _current(connection: sa.Connection, meter_id: int,
             moments: Iterable[int]) -> dict[int, sa.Row[Any]]:
    table = models.readings
    query = sa.select(table).where(table.c.meter_id == meter_id,
                                   table.c.superseded_ns.is_(None))
    return {row.at_ns: row for row
            in bulk.find(connection, query, table.c.at_ns, moments)}


def _check_overlap(connection: sa.Connection, meter: meters.Meter,
                   batch: Sequence[_Coming]) -> None:
    """No time twice, neither in the batch nor with what is there."""
    table = models.readings
    coming = [(given.start_ns or 0, given.at_ns, place)
              for place, given, _ in batch if given.value is not None]
    if not coming:
        return
    gone = {old.id for _, _, old in batch if old is not None}
    # Those there do not overlap each other: what ends after the first
    # start, up to the one that crosses the last end.
    last_ns = max(end_ns for _, end_ns, _ in coming)
    there = [
        (row.start_ns, row.at_ns, None) for row in connection.execute(
            sa.select(table.c.id, table.c.start_ns, table.c.at_ns).where(
                table.c.meter_id == meter.id,
                table.c.superseded_ns.is_(None),
                table.c.at_ns > min(start_ns for start_ns, _, _ in coming),
                table.c.start_ns < last_ns))
        if row.id not in gone]
    ordered = sorted((*coming, *there), key=lambda one: one[:2])
    for before, after in itertools.pairwise(ordered):
        if after[0] < before[1]:
            place, other = ((after[2], before) if after[2] is not None
                            else (before[2], after))
            whose = ('one that is there' if other[2] is None
                     else f'readings.{other[2]}')
            raise errors.Conflict(
                f'readings.{place}: its time overlaps that of {whose}, from '
                f'{meters.when(other[0])} to {meters.when(other[1])}; leave '
                'it out, or take the other back first (correct, value null)')


def _write(connection: sa.Connection, meter_id: int, now_ns: int,
           source: str, batch: Sequence[_Coming]) -> None:
    table = models.readings
    old_ids = [old.id for _, _, old in batch if old is not None]
    for first in range(0, len(old_ids), 500):
        connection.execute(
            sa.update(table)
            .where(table.c.id.in_(old_ids[first:first + 500]))
            .values(superseded_ns=now_ns))
    rows = [{'meter_id': meter_id, 'at_ns': given.at_ns,
             'start_ns': given.start_ns, 'value': given.value,
             'quality': given.quality, 'source': source,
             'received_ns': now_ns, 'superseded_ns': None}
            for _, given, _ in batch if given.value is not None]
    for first in range(0, len(rows), _ROWS_A_STATEMENT):
        connection.execute(sa.insert(table),
                           rows[first:first + _ROWS_A_STATEMENT])


def _audit(connection: sa.Connection, by: By, meter: meters.Meter,
           source: str, batch: Sequence[_Coming]) -> None:
    """That a batch came; of its corrections, the first hundred in words.

    All of them are in ``readings``: superseded at the time of the entry.
    """
    if not batch or (source in meters.SOURCES
                     and all(one.old is None for one in batch)):
        # What the service fetches by itself is nobody's act.
        return
    moments = [given.at_ns for _, given, _ in batch]
    corrected = [one for one in batch if one.old is not None]
    was = {meters.when(given.at_ns): old.value
           for _, given, old in corrected[:_AUDITED] if old is not None}
    became = {'added': len(batch) - len(corrected),
              'corrected': len(corrected),
              'start': meters.when(min(moments)),
              'end': meters.when(max(moments)), 'source': source}
    if corrected:
        became['values'] = {meters.when(given.at_ns): given.value
                            for _, given, _ in corrected[:_AUDITED]}
    audit.write(connection, by.actor, by.at_ns, audit.Change(
        audit.READING, meter.name, {'values': was} if corrected else None,
        became))


def _invalid(place: int, field: str, problem: str,
             remedy: str) -> NoReturn:
    raise errors.InvalidRequest(
        f'readings.{place}.{field}: {problem}; {remedy}')


def _conflict(place: int, given: Given, problem: str,
              remedy: str) -> NoReturn:
    raise errors.Conflict(
        f'readings.{place}: at {meters.when(given.at_ns)} {problem}; '
        f'{remedy}')


# --- readings are read ------------------------------------------------------

def page(connection: sa.Connection, meter_id: int, *,
         start_ns: int | None = None, end_ns: int | None = None,
         as_of_ns: int | None = None, superseded: bool = False,
         after: tuple[int, int] | None = None,
         limit: int | None = None) -> list[Kept]:
    """Readings of [start_ns, end_ns) in order of time.

    :param as_of_ns: as they were then; None: as they are.
    :param superseded: those too that count no more.
    :param after: only those behind this (at_ns, id).
    """
    table = models.readings
    chosen = sa.select(*(table.c[field.name]
                         for field in dataclasses.fields(Kept))).where(
        *_range(table, meter_id, start_ns, end_ns, as_of_ns, superseded))
    if after is not None:
        chosen = chosen.where(sa.or_(
            table.c.at_ns > after[0],
            sa.and_(table.c.at_ns == after[0], table.c.id > after[1])))
    if limit is not None:
        chosen = chosen.limit(limit)
    return [Kept(*row) for row in connection.execute(
        chosen.order_by(table.c.at_ns, table.c.id))]


def count(connection: sa.Connection, meter_id: int, *,
          start_ns: int | None = None, end_ns: int | None = None,
          as_of_ns: int | None = None, superseded: bool = False) -> int:
    """How many :func:`page` gives in all its pages."""
    table = models.readings
    return connection.execute(
        sa.select(sa.func.count()).select_from(table).where(*_range(
            table, meter_id, start_ns, end_ns, as_of_ns, superseded)),
    ).scalar_one()


def last(connection: sa.Connection, meter_id: int) -> Kept | None:
    """The newest reading of a meter that counts."""
    table = models.readings
    row = connection.execute(
        sa.select(*(table.c[field.name]
                    for field in dataclasses.fields(Kept)))
        .where(table.c.meter_id == meter_id,
               table.c.superseded_ns.is_(None))
        .order_by(table.c.at_ns.desc()).limit(1)).one_or_none()
    return None if row is None else Kept(*row)


def around(connection: sa.Connection, meter: meters.Meter,
           start_ns: int | None, end_ns: int | None, as_of_ns: int,
           ) -> list[amounts.Reading]:
    """Readings whose intervals touch a time: with the neighbours of it.

    :param start_ns: None: from the first one on.
    :param end_ns: None: to the last one.
    """
    table = models.readings
    known = _range(table, meter.id, None, None, as_of_ns, False)
    near = list(known)
    for edge_ns, before in ((start_ns, True), (end_ns, False)):
        if edge_ns is None:
            continue
        # The neighbour by its order in the index, not by max(): that would
        # read all there is on this side.
        found_ns = connection.scalar(
            sa.select(table.c.at_ns).where(
                *known, table.c.at_ns <= edge_ns if before
                else table.c.at_ns >= edge_ns)
            .order_by(table.c.at_ns.desc() if before else table.c.at_ns)
            .limit(1))
        edge_ns = edge_ns if found_ns is None else found_ns
        near.append(table.c.at_ns >= edge_ns if before
                    else table.c.at_ns <= edge_ns)
    quantity = meter.quantity
    return [amounts.Reading(at_ns, quantity.exact(value), quality, start_ns)
            for at_ns, value, quality, start_ns in connection.execute(
                sa.select(table.c.at_ns, table.c.value, table.c.quality,
                          table.c.start_ns).where(*near)
                .order_by(table.c.at_ns))]


def _range(table: sa.Table, meter_id: int, start_ns: int | None,
           end_ns: int | None, as_of_ns: int | None, superseded: bool,
           ) -> list[sa.ColumnElement[bool]]:
    conditions: list[sa.ColumnElement[bool]] = [table.c.meter_id == meter_id]
    if not superseded:
        conditions += _known(table, as_of_ns)
    elif as_of_ns is not None:
        conditions.append(_recorded(table) <= as_of_ns)
    if start_ns is not None:
        conditions.append(table.c.at_ns >= start_ns)
    if end_ns is not None:
        conditions.append(table.c.at_ns < end_ns)
    return conditions


def _known(table: sa.Table, as_of_ns: int | None,
           ) -> list[sa.ColumnElement[bool]]:
    """What counted at a moment; what counts."""
    if as_of_ns is None:
        return [table.c.superseded_ns.is_(None)]
    return [_recorded(table) <= as_of_ns, sa.or_(
        table.c.superseded_ns.is_(None), table.c.superseded_ns > as_of_ns)]


def _recorded(table: sa.Table) -> sa.Column[int]:
    return (table.c.received_ns if table is models.readings
            else table.c.recorded_ns)


# --- events -----------------------------------------------------------------

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
        *_range(table, meter_id, None, None, as_of_ns, superseded))
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


# --- what was used ----------------------------------------------------------

def measured(connection: sa.Connection, meter: meters.Meter,
             start_ns: int | None, end_ns: int | None, as_of_ns: int,
             terms: Iterable[meters.Meter] | None = None,
             ) -> amounts.Measured:
    """What a meter says was used in a time, and just around it.

    :param terms: among which those of a virtual meter are, as they are to
        be read; None: as they are now.
    :param start_ns: None: from its first reading on.
    :param end_ns: None: to its last one.
    """
    if meter.kind == quantities.VIRTUAL:
        known = {one.name: one for one in terms or ()}
        return amounts.combined([
            (sign, measured(
                connection, known[name] if terms is not None
                else meters.found(connection, name),
                start_ns, end_ns, as_of_ns))
            for name, sign in meter.terms])
    quantity = meter.quantity
    return amounts.measured(
        meter.kind,
        around(connection, meter, start_ns, end_ns, as_of_ns),
        [amounts.Event(
            event.at_ns, event.kind, *(
                None if value is None else quantity.exact(value)
                for value in (event.end_value, event.start_value)))
         for event in events(connection, meter.id, as_of_ns=as_of_ns)],
        rollover=None if meter.rollover is None
        else quantity.exact(meter.rollover),
        max_rate=None if meter.max_rate is None
        else quantity.exact(meter.max_rate))


@dataclasses.dataclass(frozen=True, slots=True)
class Amounts:
    """What one meter measured in a range of buckets.

    :ivar whole: by bucket, of those that it measured throughout.
    :ivar inside: the meter of the same role that has measured this too (its
        parent, or a virtual one that it is part of): not to be added to it.
    """

    meter: meters.Meter
    whole: dict[int, int]
    inside: str | None


def amounts_of(connection: sa.Connection, site: str, roles: Iterable[str],
               start_bucket: int, end_bucket: int, as_of_ns: int,
               ) -> dict[str, list[Amounts]]:
    """What the meters of a site measured in [start_bucket, end_bucket).

    Reads the readings of this time and those next to it, no others.

    :returns: by role, each of those asked for, in the order of the meters'
        names; microjoules, or millilitres of water.
    """
    start_ns = start_bucket * units.BUCKET_NS
    end_ns = end_bucket * units.BUCKET_NS
    wanted = sorted(set(roles))
    every = meters.as_of(connection, site, as_of_ns)
    found = [meter for meter in every if meter.role in wanted]
    inside = counted_by(found, every)
    answer: dict[str, list[Amounts]] = {role: [] for role in wanted}
    for meter in found:
        said = measured(connection, meter, start_ns, end_ns, as_of_ns,
                        every)
        answer[meter.role].append(Amounts(
            meter,
            amounts.whole(said.intervals, start_bucket, end_bucket),
            inside.get(meter.name)))
    return answer


def counted_by(found: Sequence[meters.Meter],
               every: Iterable[meters.Meter]) -> dict[str, str]:
    """Which of the meters have measured what another of them did, too.

    :param found: those that are to be added, by role.
    :param every: all of the site.
    :returns: by name, the meter of the same role that counts instead.
    """
    roles = {meter.name: meter.role for meter in found}
    parents = {meter.name: meter.parent for meter in every}
    inside: dict[str, str] = {}
    for meter in found:
        for name, _ in meter.terms:
            if roles.get(name) == meter.role:
                inside[name] = meter.name
    for meter in found:
        above = meter.parent
        while above is not None:
            if roles.get(above) == meter.role:
                inside.setdefault(meter.name, above)
                break
            above = parents[above]
    return inside


def together(of_role: Iterable[Amounts], buckets: range) -> dict[int, int]:
    """The meters of one role added up, none of them twice.

    Of the buckets that every meter which was in service measured
    throughout; not of those in which none was.
    """
    counted = [(one.whole, meters.buckets_in_service(one.meter, buckets))
               for one in of_role if one.inside is None]
    if all(there == buckets for _, there in counted):
        return added([series for series, _ in counted])
    found = {}
    for bucket in buckets:
        parts = [series.get(bucket) for series, there in counted
                 if bucket in there]
        if parts and None not in parts:
            found[bucket] = sum(part or 0 for part in parts)
    return found


def added(series: Iterable[Mapping[int, int]]) -> dict[int, int]:
    """The sum of series where all of them are known."""
    found: dict[int, int] | None = None
    for one in series:
        found = dict(one) if found is None else {
            bucket: amount + one[bucket] for bucket, amount in found.items()
            if bucket in one}
    return found or {}
