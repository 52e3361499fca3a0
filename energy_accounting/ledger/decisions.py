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
    bulk,
    gaps,
    judgement,
    models,
    purge,
    quarantine,
    received,
    skipped,
    writes,
)

# What was booked is known for so long after it came.  A window comes after
# it was measured, so none that overlaps a younger one is forgotten; a day
# for purges by another clock.
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
    unknown = _unknowable(connection, held, host, window, now_ns)
    if unknown is not None:
        _refuse(held, unknown, _DISCARD)
    booked = _booked(connection, host, window)
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
    stream = _stream(connection, held, host)
    unknown, notes = _unknown(connection, held, host, now_ns)
    missing = gaps.Gaps(host.id, None if stream is None else stream.id,
                        lasting=False)
    for start_ns, end_ns in unknown:
        if any(gap.start_ns <= start_ns
               and (gap.end_ns is None or end_ns <= gap.end_ns)
               for gap in gaps.overlapping(connection, host.id, start_ns,
                                           end_ns)):
            continue
        missing.state(samples.Gap(None, start_ns, end_ns, gaps.DISCARDED),
                      held.sequence)
    missing.write(connection)
    _decide(connection, held, models.DISCARDED, now_ns, actor, reason)
    return notes


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


def _window(held: sa.Row[Any]) -> samples.Window | None:
    """The record as it is understood now; None when it is no window."""
    try:
        record = wire.from_payload(held.payload)
    except errors.InvalidRecord:
        return None
    return record if isinstance(record, samples.Window) else None


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
                host: sa.Row[Any], window: samples.Window,
                now_ns: int) -> str | None:
    """Why it is not known what a window would overlap; None: it is."""
    until_ns = _booked_until(connection, host, window)
    if until_ns is None or until_ns <= window.boottime_start_ns:
        return None
    if min(held.received_ns, window.start_ns) < now_ns - CHECKABLE_NS:
        return ('it is too old: what was booked at its time is not known any '
                f'more ({CHECKABLE_NS // purge.DAY_NS} days are)')
    if _before_spans(connection, host, window):
        return ('what was booked at its time is not known: it is from before '
                'records were signed')
    return None


def _before_spans(connection: sa.Connection, host: sa.Row[Any],
                  window: samples.Window) -> bool:
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
                streams.c.window_end_ns > window.start_ns - purge.DAY_NS,
                acknowledged.c.boot_id.is_(None)).limit(1)).first() is None:
        return False
    first_ns = connection.scalar(
        sa.select(sa.func.min(acknowledged.c.boottime_start_ns))
        .select_from(of_host).where(
            streams.c.host_id == host.id,
            acknowledged.c.boot_id == window.boot_id))
    return first_ns is None or window.boottime_start_ns < first_ns


def _booked(connection: sa.Connection, host: sa.Row[Any],
            window: samples.Window) -> list[tuple[int, int]]:
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
                table.c.boot_id == window.boot_id,
                table.c.boottime_start_ns < window.boottime_end_ns,
                table.c.boottime_end_ns > window.boottime_start_ns))]
    return sorted(overlap)


def _unknown(connection: sa.Connection, held: sa.Row[Any],
             host: sa.Row[Any], now_ns: int,
             ) -> tuple[list[tuple[int, int]], list[str]]:
    """The wall-clock times that only a record knew of, and notes."""
    if held.start_ns is None or held.end_ns is None:
        return [], ['it does not say when it was measured: no gap is stated']
    if not _own(held, host):
        return [], ['it is not signed with the key of the host, whose time '
                    'it says nothing about: no gap is stated']
    window = _window(held)
    if window is None:
        if _was_its_turn(connection, held, host):
            late_ns = _late(held, held.end_ns)
            return [(max(0, held.start_ns - late_ns),
                     held.end_ns - late_ns)], []
    elif _unknowable(connection, held, host, window, now_ns) is None:
        # By boottime: a clock that was set tells less.
        ahead_ns = (window.end_ns - _late(held, window.end_ns)
                    - window.boottime_end_ns)
        return [(max(0, start_ns + ahead_ns), end_ns + ahead_ns)
                for start_ns, end_ns in units.without(
                    window.boottime_start_ns, window.boottime_end_ns,
                    _booked(connection, host, window))], []
    return [], ['whether something else covers its time is not known: no gap '
                'is stated']


def _late(held: sa.Row[Any], end_ns: int) -> int:
    """By how much a record ends too late: it was over when it came."""
    return (0 if end_ns <= held.received_ns + judgement.AHEAD_NS
            else end_ns - held.received_ns)


def _was_its_turn(connection: sa.Connection, held: sa.Row[Any],
                  host: sa.Row[Any]) -> bool:
    """Whether its number was acknowledged for it and not for another."""
    stream, table = _stream(connection, held, host), models.acknowledged
    return stream is not None and connection.scalar(
        sa.select(table.c.digest).where(
            table.c.stream_id == stream.id,
            table.c.sequence == held.sequence)) == held.digest


# --- what is written --------------------------------------------------------

def _settle_gaps(connection: sa.Connection, held: sa.Row[Any],
                 host: sa.Row[Any], stream: sa.Row[Any] | None,
                 window: samples.Window, now_ns: int) -> list[str]:
    """State what a window states, and unstate what it fills.

    Its time goes out of gaps that were stated because it, or what stood
    where it stands, was not booked.  What a record states stays.
    """
    notes = []
    stream_id = None if stream is None else stream.id
    # After the newest record of its stream nothing is lost yet.
    newest_of = (stream_id if stream is not None
                 and stream.sequence == held.sequence else None)
    for gap in gaps.overlapping(connection, host.id, window.start_ns,
                                window.end_ns):
        if gap.reason in gaps.STATED_HERE:
            gaps.take_out(connection, gap, window.start_ns, window.end_ns,
                          ends=newest_of is not None
                          and gap.stream_id == newest_of)
        else:
            notes.append(
                f'the gap from {judgement.when(gap.start_ns)} to '
                f'{judgement.when(gap.end_ns)} stays: record '
                f'{gap.sequence} states it ({gap.reason})')
    stated = gaps.Gaps(host.id, stream_id, lasting=False)
    last_ns = host.last_window_end_ns
    if (stream is not None and stream.window_end_ns is None
            and last_ns is not None and last_ns < window.start_ns):
        stated.state(samples.Gap(None, last_ns, window.start_ns,
                                 gaps.NEW_STREAM), held.sequence)
    else:
        # Nobody asked what was before it: it was not booked in order.
        for one in _skipped(connection, held, host, window, now_ns):
            stated.state(one, held.sequence)
    for one in window.gaps:
        stated.state(one, held.sequence)
    stated.write(connection)
    return notes


def _skipped(connection: sa.Connection, held: sa.Row[Any],
             host: sa.Row[Any], window: samples.Window,
             now_ns: int) -> list[samples.Gap]:
    """What nothing explains before a window that is its boot's newest."""
    until_ns = _booked_until(connection, host, window)
    if until_ns is not None and window.boottime_end_ns <= until_ns:
        return []  # What is after it was booked, and explained what is not.
    return skipped.find(
        connection, host.id, window, held.public_key, until_ns,
        quarantine.Held(now_ns, trusted=True), window.gaps)


def _booked_until(connection: sa.Connection, host: sa.Row[Any],
                  window: samples.Window) -> int | None:
    """Up to which boottime the boot of a window is booked."""
    boots = models.boots.c
    return connection.scalar(sa.select(boots.boottime_end_ns).where(
        boots.host_id == host.id, boots.boot_id == window.boot_id))


def _follow(connection: sa.Connection, host: sa.Row[Any],
            stream: sa.Row[Any] | None, window: samples.Window,
            now_ns: int) -> None:
    """Let what comes later know how far the host is booked."""
    boots, streams = models.boots, models.streams
    until_ns = _booked_until(connection, host, window)
    if until_ns is None or until_ns < window.boottime_end_ns:
        bulk.upsert(connection, boots, [
            (host.id, window.boot_id, window.boottime_end_ns)],
            replace=('boottime_end_ns',))
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
