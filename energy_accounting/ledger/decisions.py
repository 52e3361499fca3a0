# SPDX-License-Identifier: Apache-2.0
"""What an operator decides about a record in quarantine, once for all.

A record that is released is judged anew and booked by what books all others,
but moves no stream; one that is discarded leaves its time as a gap.  Each
decision is one transaction that holds the host's row, as booking does, and
is short: the host's own windows wait for one record, never for all that is
held.  Whether the caller may decide is not asked here; no clock.
"""

from __future__ import annotations

from typing import Any, NoReturn

import sqlalchemy as sa

from energy_accounting import errors, samples, units, wire
from energy_accounting.ledger import (
    accounts,
    audit,
    buckets,
    gaps,
    holes,
    judgement,
    known,
    models,
    purge,
    quarantine,
    received,
    writes,
)

# What was booked is known for so long after it came, and as long as a record
# of its time is held.  A window comes after it was measured, so none that
# overlaps a younger one is forgotten; a day for purges by another clock.
CHECKABLE_NS = (purge.ACKNOWLEDGED_DAYS - 1) * purge.DAY_NS

_DISCARD = 'discard it'


def release(connection: sa.Connection, record_id: int, now_ns: int,
            actor: audit.Actor, reason: str | None = None, *,
            user_ids: bool = False) -> list[str]:
    """Book a record that is held.

    The operator's word stands for what is only implausible, and for what
    was against the rules of a stream.  Nothing makes up for a sum that is
    wrong, a key that is not the host's, or a time that is booked already.

    :param user_ids: whether user ids of records are kept.
    :returns: what the operator should know beside it.
    :raises errors.NotFound: there is no such record.
    :raises errors.Conflict: it cannot be booked; says why and what helps.
    """
    held, host = _locked(connection, record_id)
    window = _bookable(held, host, now_ns, user_ids=user_ids)
    unknown = _unknowable(connection, held, host, known.told(window))
    if unknown is not None:
        _refuse(held, unknown, _DISCARD)
    booked = _booked(connection, host, known.told(window))
    if booked:
        _refuse(held, 'it overlaps what is booked: its boottime is '
                f'{window.boottime_start_ns} to {window.boottime_end_ns} ns, '
                f'booked are {booked[0][0]} to {booked[0][1]} ns', _DISCARD)
    stream = _stream(connection, held, host)
    notes = _settle_gaps(connection, held, host, stream, window, now_ns)
    newest = (host.last_window_end_ns is None
              or host.last_window_end_ns < min(window.end_ns, now_ns))
    # Nova is asked by the collectors, which learn unknown owners later.
    added = buckets.Added(lambda instance_id: None)
    added.add(window)
    ids = accounts.ids(connection, added.recipients())
    added.write_own(connection, host.id, ids, newest=newest)
    _follow(connection, host, stream, window, now_ns)
    if newest:
        _lead(connection, host, window, now_ns, actor)
    _decide(connection, held, models.RELEASED, now_ns, actor, reason, window)
    # Most shared rows last, as booking does: others wait for them.
    added.write_shared(connection, host.site_id, ids)
    return notes


def discard(connection: sa.Connection, record_id: int, now_ns: int,
            actor: audit.Actor, reason: str) -> list[str]:
    """Decide that a record is never to be booked.

    Its time is a gap then, as far as nothing else covers it.

    :returns: what the operator should know beside it.
    :raises errors.NotFound: there is no such record.
    :raises errors.Conflict: it is decided about already.
    """
    held, host = _locked(connection, record_id)
    _decide(connection, held, models.DISCARDED, now_ns, actor, reason)
    return _state_discarded(connection, held, host, now_ns)


# --- what is known ----------------------------------------------------------

def _locked(connection: sa.Connection, record_id: int,
            ) -> tuple[sa.Row[Any], sa.Row[Any]]:
    """A record nobody has decided about, and its host's row, ours."""
    table, hosts = models.quarantine, models.hosts
    query = sa.select(table).where(table.c.id == record_id)
    found = connection.execute(query).one_or_none()
    if found is None:
        raise errors.NotFound(f'there is no record {record_id} in quarantine')
    # As booking does, which makes a row for whatever is held.
    host = connection.execute(
        sa.select(hosts).where(hosts.c.name == found.host_name)
        .with_for_update()).one()
    # Read again: somebody may have decided while we waited.
    held = connection.execute(query.with_for_update()).one()
    if held.state != models.HELD:
        _refuse(held, f'it was {held.state} at '
                f'{judgement.when(held.decided_at_ns)}',
                'nothing is left to decide')
    return held, host


def _refuse(held: sa.Row[Any], why: str, remedy: str) -> NoReturn:
    raise errors.Conflict(
        f'record {held.id} of host {held.host_name} stays as it is: {why}; '
        f'{remedy}')


def _bookable(held: sa.Row[Any], host: sa.Row[Any], now_ns: int, *,
              user_ids: bool) -> samples.Window:
    """The window, when nothing but its time can stand against booking it."""
    text = held.payload
    if not user_ids:
        # One that cannot be read says next why.
        text = wire.without_users(text) or text
    try:
        record = wire.from_payload(text)
    except errors.NewerRecord as error:
        _refuse(held, str(error), 'upgrade this service, or discard it')
    except errors.InvalidRecord as error:
        if quarantine.is_cut(held.payload):
            _refuse(held, 'it was too large, and only the beginning of its '
                    'text is kept', _DISCARD)
        _refuse(held, f'it cannot be read: {error}', _DISCARD)
    if isinstance(record, samples.Lost):
        _refuse(held, 'it says that records were lost and has no energy',
                _DISCARD)
    if (record.host, record.stream, record.sequence) != (
            held.host_name, held.stream, held.sequence):
        _refuse(held, 'it is kept under another name or number than it says',
                _DISCARD)
    problem = judgement.problem_of(record, now_ns)
    if problem is not None:
        _refuse(held, problem.text, 'wait until then, or discard it'
                if problem.code == received.FUTURE else _DISCARD)
    if host.state != models.ENROLLED:
        _refuse(held, f'host {host.name} is {host.state}',
                'enrol the host first (energy host enrol), or discard it')
    if not held.public_key:
        _refuse(held, 'nobody vouches for it: it is not signed, or its '
                      'signature does not hold', _DISCARD)
    if not _own(held, host):
        _refuse(held, f'it is signed with the key {held.public_key}, the '
                f'host has {host.public_key}',
                'if that is the key of the machine now, say so first (energy '
                'host replace); else discard it')
    return record


def _own(held: sa.Row[Any], host: sa.Row[Any]) -> bool:
    """As :func:`quarantine.own`."""
    return bool(held.trusted or (held.public_key
                                 and held.public_key == host.public_key))


def _stream(connection: sa.Connection, held: sa.Row[Any],
            host: sa.Row[Any]) -> sa.Row[Any] | None:
    table = models.streams
    return connection.execute(sa.select(table).where(
        table.c.host_id == host.id, table.c.stream == held.stream,
        table.c.public_key == held.public_key)).one_or_none()


def _unknowable(connection: sa.Connection, held: sa.Row[Any],
                host: sa.Row[Any], told: known.Told) -> str | None:
    """Why it is not known what a window would overlap; None: it is."""
    if _booked_until(connection, host, told) <= told.boottime_start_ns:
        return None
    if (told.start_ns < held.received_ns - CHECKABLE_NS
            and not _remembered(connection, host, told)):
        return ('it was too old when it came: what was booked at its time '
                'was not known any more '
                f'({CHECKABLE_NS // purge.DAY_NS} days are)')
    if _before_spans(connection, host, told):
        return ('what was booked at its time is not known: it is from before '
                'records were signed')
    return None


def _booked_until(connection: sa.Connection, host: sa.Row[Any],
                  told: known.Told) -> int:
    """Up to which boottime the boot of a window is booked; 0: not at all."""
    boots = models.boots.c
    return connection.scalar(sa.select(boots.boottime_end_ns).where(
        boots.host_id == host.id, boots.boot_id == told.boot_id)) or 0


def _remembered(connection: sa.Connection, host: sa.Row[Any],
                told: known.Told) -> bool:
    """Whether what was booked of a boot is known from before a time on.

    Each boot is booked in order, and the oldest is forgotten first.
    """
    streams, acknowledged = models.streams, models.acknowledged
    return connection.execute(
        sa.select(acknowledged.c.sequence).select_from(acknowledged.join(
            streams, streams.c.id == acknowledged.c.stream_id)).where(
            streams.c.host_id == host.id,
            acknowledged.c.boot_id == told.boot_id,
            acknowledged.c.boottime_start_ns <= told.boottime_start_ns,
            ).limit(1)).first() is not None


def _before_spans(connection: sa.Connection, host: sa.Row[Any],
                  told: known.Told) -> bool:
    """Whether a window may be of a time whose booked spans were not kept.

    They are kept since records are signed.  What was booked before that
    came by a stream without a key, and each boot was booked in order: it is
    before the first span that is known of the boot.
    """
    streams, acknowledged = models.streams, models.acknowledged
    of_host = acknowledged.join(
        streams, streams.c.id == acknowledged.c.stream_id)
    # A day: clocks may have been set.
    if connection.execute(
            sa.select(acknowledged.c.sequence).select_from(of_host).where(
                streams.c.host_id == host.id, streams.c.public_key == '',
                streams.c.window_end_ns > told.start_ns - purge.DAY_NS,
                acknowledged.c.boot_id.is_(None)).limit(1)).first() is None:
        return False
    first_ns = connection.scalar(
        sa.select(sa.func.min(acknowledged.c.boottime_start_ns))
        .select_from(of_host).where(
            streams.c.host_id == host.id,
            acknowledged.c.boot_id == told.boot_id))
    return first_ns is None or told.boottime_start_ns < first_ns


def _booked(connection: sa.Connection, host: sa.Row[Any],
            told: known.Told) -> list[tuple[int, int]]:
    """What is booked of a window's boottime, in order."""
    acknowledged, streams = models.acknowledged, models.streams
    released = models.quarantine
    overlap: list[tuple[int, int]] = []
    for table, query in (
            (acknowledged, sa.select(
                acknowledged.c.boottime_start_ns,
                acknowledged.c.boottime_end_ns)
             .join(streams, streams.c.id == acknowledged.c.stream_id)
             .where(streams.c.host_id == host.id)),
            (released, sa.select(
                released.c.boottime_start_ns, released.c.boottime_end_ns)
             .where(released.c.host_name == host.name,
                    released.c.state == models.RELEASED))):
        overlap += [(row[0], row[1]) for row in connection.execute(
            query.where(
                table.c.boot_id == told.boot_id,
                table.c.boottime_start_ns < told.boottime_end_ns,
                table.c.boottime_end_ns > told.boottime_start_ns))]
    return sorted(overlap)


# --- what is written --------------------------------------------------------

def _settle_gaps(connection: sa.Connection, held: sa.Row[Any],
                 host: sa.Row[Any], stream: sa.Row[Any] | None,
                 window: samples.Window, now_ns: int) -> list[str]:
    """State what a window states, and unstate what it fills.

    Its time goes out of gaps that were stated because it, or what stood
    where it stands, was not booked.  What a record states stays.
    """
    stream_id = None if stream is None else stream.id
    span = window.boottime_start_ns, window.boottime_end_ns
    stated_by = stream_id, held.sequence
    notes = [f'the gap from {judgement.when(gap.start_ns)} to '
             f'{judgement.when(gap.end_ns)} stays: record '
             f'{gap.sequence} states it ({gap.reason})'
             for gap in gaps.of_boot(connection, host.id, window.boot_id,
                                     *span)
             if gap.reason not in gaps.STATED_HERE]
    last_ns = host.last_window_end_ns
    new_stream = (stream is not None and stream.window_end_ns is None
                  and last_ns is not None and last_ns < window.start_ns)
    _state_before(connection, host, known.told(window), gaps.Cause(
        gaps.NEW_STREAM if new_stream else gaps.SKIPPED, stream_id,
        held.sequence), now_ns, window)
    gaps.fill(connection, host.id, gaps.spans_of_window(window))
    gaps.fill_before(connection, host.id, stated_by, window)
    gaps.write(connection,
               gaps.rows_of_window(host.id, stream_id, window))
    return notes


def _state_before(connection: sa.Connection, host: sa.Row[Any],
                  told: known.Told, cause: gaps.Cause, now_ns: int,
                  booked: samples.Window | None = None) -> int:
    """State what is unknown beside a record; how far its clock is ahead.

    What came by the host's own key is known since, with all around it.

    :param booked: the record, if it is.
    """
    found = known.read(connection, host, [told.boot_id], now_ns)
    ahead_ns = found.ahead_ns(told)
    around = found.add(
        told, booked=booked is not None,
        newest=host.last_window_end_ns is None
        or host.last_window_end_ns < min(told.end_ns, now_ns),
        same_machine=booked is None
        or host.machine_id in (None, booked.machine_id))
    if around:
        holes.state(connection, host, holes.Before(
            told, booked.gaps if booked else (), around, cause, ahead_ns))
    found.write(connection, host.id)
    if found.newest != host.boot_id:
        hosts = models.hosts
        connection.execute(sa.update(hosts).where(hosts.c.id == host.id)
                           .values(boot_id=found.newest))
    return ahead_ns


def _state_discarded(connection: sa.Connection, held: sa.Row[Any],
                     host: sa.Row[Any], now_ns: int) -> list[str]:
    """State the time that only a record knew of, and note what is not."""
    if not _own(held, host):
        return ['it is not signed with the key of the host, whose time it '
                'says nothing about: no gap is stated']
    if held.boot_id is None:
        return ['it cannot be read: what was stated because of that '
                f'({gaps.NOT_UNDERSTOOD}) stays, and no other gap is stated']
    told = known.told(held)
    if _unknowable(connection, held, host, told) is not None:
        return ['whether something else was booked at its time is not known: '
                'no gap is stated']
    stream = _stream(connection, held, host)
    stream_id = None if stream is None else stream.id
    ahead_ns = _state_before(connection, host, told, gaps.Cause(
        gaps.SKIPPED, stream_id, held.sequence), held.received_ns)
    span = told.boottime_start_ns, told.boottime_end_ns
    taken = [*_booked(connection, host, told), *quarantine.spans(
        connection, host, told.boot_id, *span), *(
        (gap.boottime_start_ns, gap.boottime_end_ns) for gap in gaps.of_boot(
            connection, host.id, told.boot_id, *span))]
    cause = gaps.Cause(gaps.DISCARDED, stream_id, held.sequence)
    gaps.write(connection, [gaps.row_of_boot(
        host.id, cause, told.boot_id, piece, ahead_ns)
        for piece in units.without(*span, taken)])
    return []


def _follow(connection: sa.Connection, host: sa.Row[Any],
            stream: sa.Row[Any] | None, window: samples.Window,
            now_ns: int) -> None:
    """Let what comes later know how far the host is booked."""
    streams = models.streams
    end_ns = min(window.end_ns, now_ns)
    if stream is not None and (stream.window_end_ns is None
                               or stream.window_end_ns < end_ns):
        connection.execute(
            sa.update(streams).where(streams.c.id == stream.id)
            .values(window_end_ns=end_ns,
                    machine_id=stream.machine_id or window.machine_id))


def _lead(connection: sa.Connection, host: sa.Row[Any],
          window: samples.Window, now_ns: int, actor: audit.Actor) -> None:
    """Let the host be what its newest window says."""
    hosts = models.hosts
    connection.execute(
        sa.update(hosts).where(hosts.c.id == host.id).values(
            **writes.said_by(window), machine_id=window.machine_id,
            last_window_start_ns=min(window.start_ns, now_ns),
            last_window_end_ns=min(window.end_ns, now_ns)))
    audit.write(connection, actor, now_ns, *writes.changes_of(
        host.name, (host.policy, host.idle_kind, host.idle_power_uw),
        window))


def _decide(connection: sa.Connection, held: sa.Row[Any], state: str,
            now_ns: int, actor: audit.Actor, reason: str | None,
            window: samples.Window | None = None) -> None:
    table = models.quarantine
    connection.execute(
        sa.update(table).where(table.c.id == held.id).values(
            state=state, decided_at_ns=now_ns,
            **({} if window is None else received.span(window))))
    audit.write(connection, actor, now_ns, audit.Change(
        audit.QUARANTINE, str(held.id),
        {'state': held.state, 'code': held.code, 'host': held.host_name,
         'stream': held.stream, 'sequence': held.sequence,
         'digest': held.digest, 'energy_uj': str(held.energy_uj)},
        {'state': state, 'reason': reason}))
