# SPDX-License-Identifier: Apache-2.0
"""Brings the platform term of hosts up to their node meters and windows.

Finds what has come or changed since it was looked at last and writes the
term of those buckets anew: a host and a few of its buckets per transaction,
which holds the host's row, as booking does.  What the term is follows in
``node_energy``, whose it is in ``ledger.platform``.  No clock.
"""

from __future__ import annotations

import bisect
import dataclasses
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import sqlalchemy as sa

from energy_accounting import errors, units
from energy_accounting.facility import (
    meter_amounts,
    meters,
    models,
    node_energy,
    quantities,
    readings,
)
from energy_accounting.ledger import audit, bulk, engine, platform
from energy_accounting.ledger import models as ledger

BUCKETS = 96
"""A day: the most that is written in a transaction."""

SETTLED_NS = 900 * units.NS_PER_S
"""What was received this long ago is committed or never will be."""


@dataclasses.dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a host.

    :ivar changed: buckets whose term was written.
    :ivar refused: buckets whose term would be another one, and whose rows
        by account were dropped.
    :ivar problem: why the rest was left as it was.
    """

    host: str
    changed: int = 0
    refused: int = 0
    problem: str | None = None


def apportion(database: engine.Database, now_ns: int, *,
              since_ns: int | None = None, host: str | None = None,
              unless_seen_ns: int | None = None) -> Iterator[Outcome]:
    """Bring the term of all hosts, or of one, up to date.

    May be stopped and repeated at any time, beside itself too.

    :param since_ns: look at everything from then on, whether it has changed
        or not.
    :param unless_seen_ns: pass over hosts that somebody has looked at since.
    :raises errors.NotFound: there is no such host.
    """
    for host_id, name in database.read_current(_hosts, host):
        if unless_seen_ns is not None and database.read_current(
                _was_seen, host_id, unless_seen_ns):
            continue
        try:
            yield _of_host(database, host_id, name, now_ns, since_ns)
        except errors.EnergyAccountingError as error:
            yield Outcome(name, problem=str(error))


def _of_host(database: engine.Database, host_id: int, name: str,
             now_ns: int, since_ns: int | None) -> Outcome:
    wanted = database.read_current(_wanted, host_id, name, now_ns, since_ns)
    changed = refused = 0
    for some in _slices(wanted):
        written = database.write(_write, host_id, some, now_ns)
        changed += written.changed
        refused += written.refused
    database.write(_note, host_id, now_ns - SETTLED_NS)
    return Outcome(name, changed, refused)


def _slices(wanted: Sequence[int]) -> Iterator[Sequence[int]]:
    """What is written at once: nothing that is further apart than a day."""
    first = 0
    while first < len(wanted):
        after = bisect.bisect_left(wanted, wanted[first] + BUCKETS)
        yield wanted[first:after]
        first = after


def _hosts(connection: sa.Connection, name: str | None,
           ) -> Sequence[tuple[int, str]]:
    """Hosts that have a node meter, or had one."""
    hosts = ledger.hosts.c
    chosen = sa.select(hosts.id, hosts.name).order_by(hosts.name)
    if name is not None:
        chosen = chosen.where(hosts.name == name)
        if not connection.execute(chosen).all():
            raise errors.NotFound(f'there is no host {name[:255]!r}')
    return [(row.id, row.name) for row in connection.execute(chosen.where(
        sa.or_(hosts.id.in_(sa.select(models.meters.c.host_id).where(
            models.meters.c.role == quantities.NODE)),
            hosts.id.in_(sa.select(ledger.platform_hosts.c.host_id)))))]


def _was_seen(connection: sa.Connection, host_id: int,
              since_ns: int) -> bool:
    """Whether a host's readings were looked at since a moment."""
    table = ledger.platform_hosts.c
    seen_ns = connection.scalar(
        sa.select(table.seen_ns).where(table.host_id == host_id))
    return seen_ns is not None and seen_ns + SETTLED_NS >= since_ns


def _write(connection: sa.Connection, host_id: int, wanted: Sequence[int],
           now_ns: int) -> platform.Written:
    host = platform.locked(connection, host_id)
    start, end = min(wanted), max(wanted) + 1
    terms = _terms(connection, host_id, start, end, now_ns)
    first, last = _extent(terms, start, end)
    booked = platform.rapl(connection, host_id, first, last)
    seen = node_energy.by_bucket(
        terms, {bucket: one.energy_uj for bucket, one in booked.items()
                if one.whole}, start, end)
    return platform.write(connection, host, booked, seen, wanted)


def _extent(terms: Iterable[node_energy.Term], start: int,
            end: int) -> tuple[int, int]:
    """The buckets that all intervals touch."""
    for term in terms:
        for one in term.intervals[:1]:
            start = min(start, units.bucket_of(one.start_ns))
        for one in term.intervals[-1:]:
            end = max(end, units.bucket_of(one.end_ns - 1) + 1)
    return start, end


# --- which meters -----------------------------------------------------------

def _node_meters(connection: sa.Connection,
                 host_id: int) -> list[tuple[int, meters.Meter]]:
    """The meters that a host's energy is the signed sum of."""
    table = models.meters.c
    ids = connection.scalars(sa.select(table.id).where(
        table.host_id == host_id, table.role == quantities.NODE)).all()
    if not ids:
        return []
    found = meters.read(connection, ids=ids)
    names = {meter.name for meter in found}
    inside = {name for meter in found for name, _ in meter.terms}
    terms: list[tuple[int, meters.Meter]] = []
    for meter in found:
        # What another one has measured too is not to be added to it.
        if meter.name in inside or _is_below(connection, meter, names):
            continue
        if meter.kind == quantities.VIRTUAL:
            terms += [(sign, meters.found(connection, name))
                      for name, sign in meter.terms]
        else:
            terms.append((1, meter))
    return terms


def _is_below(connection: sa.Connection, meter: meters.Meter,
              names: Iterable[str]) -> bool:
    above = meter.parent
    while above is not None:
        if above in names:
            return True
        above = meters.read(connection, name=above)[0].parent
    return False


def _terms(connection: sa.Connection, host_id: int, start: int, end: int,
           now_ns: int) -> list[node_energy.Term]:
    return [node_energy.Term(
        sign, meter_amounts.measured(
            connection, meter, start * units.BUCKET_NS,
            end * units.BUCKET_NS, now_ns).intervals,
        meter.service)
        for sign, meter in _node_meters(connection, host_id)]


# --- what has changed -------------------------------------------------------

def _wanted(connection: sa.Connection, host_id: int, name: str, now_ns: int,
            since_ns: int | None) -> list[int]:
    """The buckets to look at, in order."""
    of_host = [meter for _, meter in _node_meters(connection, host_id)]
    table = ledger.platform_hosts.c
    seen_ns = connection.scalar(
        sa.select(table.seen_ns).where(table.host_id == host_id))
    if seen_ns is not None and _is_anew(connection, host_id, name, {
            meter.name for meter in of_host}, seen_ns):
        seen_ns = None
    wanted = set(platform.outdated(connection, host_id))
    if wanted:
        wanted = node_energy.reach(_terms(
            connection, host_id, min(wanted), max(wanted) + 1, now_ns),
            wanted)
    wanted.update(_of_readings(connection, host_id, of_host, seen_ns, now_ns))
    if since_ns is not None and seen_ns is not None:
        since = units.bucket_of(since_ns)
        wanted.update(bucket for bucket in _of_readings(
            connection, host_id, of_host, None, now_ns) if bucket >= since)
    return sorted(wanted)


def _of_readings(connection: sa.Connection, host_id: int,
                 of_host: Sequence[meters.Meter], seen_ns: int | None,
                 now_ns: int) -> set[int]:
    """The buckets that readings since a moment change; None: all."""
    # What was divided may be of meters that are not the host's any more.
    found = set(platform.divided(connection, host_id)
                if seen_ns is None else ())
    for meter in of_host:
        for start_ns, end_ns in _changed(connection, meter, seen_ns, now_ns):
            found.update(range(units.bucket_of(start_ns),
                               units.bucket_of(end_ns - 1) + 1))
    return found


def _is_anew(connection: sa.Connection, host_id: int, name: str,
             names: set[str], seen_ns: int) -> bool:
    """Whether another thing was said of a host's meters since a moment.

    :param name: of the host; a meter that was its own may be another's.
    :param names: of the meters it is a sum of.
    """
    table = models.meters.c
    names = names.union(connection.scalars(
        sa.select(table.name).where(table.host_id == host_id)))
    return any(
        entry.subject in names
        or name in ((entry.was or {}).get('host'),
                    (entry.became or {}).get('host'))
        for entry in audit.read(connection, kind=audit.METER,
                                start_ns=seen_ns))


def _changed(connection: sa.Connection, meter: meters.Meter,
             seen_ns: int | None, now_ns: int) -> Iterator[tuple[int, int]]:
    """The times of which a meter may say another thing since a moment.

    :param seen_ns: None: all of its time.
    """
    table, events = models.readings, models.meter_events
    mine = table.c.meter_id == meter.id
    found: list[tuple[int, int]] = []
    for conditions in ([mine],) if seen_ns is None else (
            [mine, table.c.received_ns >= seen_ns],
            [mine, table.c.superseded_ns >= seen_ns]):
        found += _span(connection, sa.select(
            sa.func.min(sa.func.coalesce(table.c.start_ns, table.c.at_ns)),
            sa.func.max(table.c.at_ns)).where(*conditions))
    if seen_ns is not None:
        found += _span(connection, sa.select(
            sa.func.min(events.c.at_ns), sa.func.max(events.c.at_ns)).where(
                events.c.meter_id == meter.id, sa.or_(
                    events.c.recorded_ns >= seen_ns,
                    events.c.superseded_ns >= seen_ns)))
    for start_ns, end_ns in found:
        # With what lies between it and its neighbours.
        near = readings.around(connection, meter, start_ns - 1, end_ns + 1,
                               now_ns)
        moments = [start_ns, end_ns, *(
            moment for one in near for moment in (one.start_ns, one.at_ns)
            if moment is not None)]
        yield min(moments), max(max(moments), min(moments) + 1)


def _span(connection: sa.Connection, query: sa.Select[Any],
          ) -> list[tuple[int, int]]:
    first_ns, last_ns = connection.execute(query).one()
    return [] if first_ns is None else [(int(first_ns), int(last_ns))]


def _note(connection: sa.Connection, host_id: int, seen_ns: int) -> None:
    """Keep up to when a host's readings were looked at."""
    bulk.upsert(connection, ledger.platform_hosts, [(host_id, seen_ns)],
                replace=('seen_ns',))
