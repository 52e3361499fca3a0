# SPDX-License-Identifier: Apache-2.0
"""Readings come in batches: SQL.

A batch is one transaction: all of it or nothing, and a batch that comes
again changes nothing.  A correction replaces what counted at its moment,
which stays for earlier views.  No clock.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, NoReturn

import sqlalchemy as sa

from energy_accounting import errors
from energy_accounting.facility import meters, models, quantities
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
            _conflict(place, given, 'has no value to take back',
                      'leave it out')
        elif old is not None and _same(old, given):
            duplicates += 1
        elif old is not None and not correct:
            _conflict(place, given, f'has the value {old.value} already',
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
        f'readings.{place}.at: {meters.when(given.at_ns)} {problem}; '
        f'{remedy}')
