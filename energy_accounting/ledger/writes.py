# SPDX-License-Identifier: Apache-2.0
"""How records are booked: whose turn it is, and the step of the stream.

Everything of a call happens in the caller's transaction: the rows, the
quarantine and the step of the stream's position are committed together or
not at all.  Whether a record adds up has been judged before (collector).
What a window adds to which row stands in ``buckets``, what is lost in
``gaps``, what is held in ``quarantine``.  No clock, no retry.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import sqlalchemy as sa
from oslo_db import exception as db_exception

from energy_accounting import errors, samples, units
from energy_accounting.ledger import (
    accounts,
    audit,
    boundaries,
    buckets,
    bulk,
    gaps,
    judgement,
    models,
    quarantine,
    received,
    skipped,
)

ALARM_NS = 3600 * units.NS_PER_S
"""An alarm of a host ends with a window that is booked when nothing of the
host has been held for this long."""

# What is kept of a change of the idle value.
_IDLE = ('idle_kind', 'idle_power_uw')

FIRST_USE = 'first_use'
MANUAL = 'manual'


class Booked(NamedTuple):
    """What became of a call.

    :ivar results: one word for each record.
    :ivar expects: the number the stream is to go on with.
    :ivar detail: a reason for each record that was not simply booked.
    :ivar alarms: what an operator should see in the log.
    """

    results: list[str]
    expects: int
    detail: list[str]
    alarms: list[str]


def book(connection: sa.Connection, records: Sequence[received.Record],
         received_ns: int, *, enrolment: str = FIRST_USE,
         owner_of: accounts.OwnerOf = lambda instance_id: None,
         ) -> Booked:
    """Book, quarantine or pass over consecutive records of one stream.

    The whole of it must run in one transaction, which holds the host's row
    until its end: two calls of one host follow each other.

    :param records: at least one; those of another stream than the first
        one's are out of order.
    :param owner_of: who owns an instance whose record does not say so.
    """
    # A record that does not add up is no reason to expect a host's windows,
    # nor to trust who sent it.
    first = records[0]
    sound = any(record.window is not None and record.problem is None
                and (record.host, record.key) == (first.host, first.key)
                for record in records)
    host = _lock_host(connection, first, received_ns,
                      enrolment if sound else MANUAL, trust=sound)
    stream = _stream_of(connection, host.id, records)
    call = _Call(connection, host, stream, received_ns, owner_of)
    results = [call.take(record) for record in records]
    call.write()
    return Booked(results, call.sequence + 1, call.detail, call.alarms)


# --- what is known before a call --------------------------------------------

class _Stream(NamedTuple):
    """A stream as the call finds it.

    :ivar row: of ``streams``, and whether a gap of it lasts.
    :ivar machine_id: '' as long as none of its records has said it.
    :ivar digests: of the records of the call that came before, by number.
    :ivar booked_until_ns: up to which boottime each boot that the call
        names is booked, whatever stream it came by.
    """

    row: sa.Row[Any]
    machine_id: str
    digests: dict[int, str]
    booked_until_ns: dict[str, int]


def _lock_host(connection: sa.Connection, record: received.Record,
               received_ns: int, enrolment: str, *,
               trust: bool) -> sa.Row[Any]:
    """The host's row, ours until the transaction ends.

    :param trust: whether an enrolled host without a key gets this one.
    """
    hosts, name = models.hosts, record.host
    query = (sa.select(hosts).where(hosts.c.name == name).with_for_update())
    row = connection.execute(query).one_or_none()
    if row is None:
        bulk.insert_missing(connection, hosts, [{
            'name': name, 'site_id': models.DEFAULT_SITE,
            'state': models.PENDING, 'boundary': models.RAPL}])
        row = connection.execute(query).one()
    values: dict[str, Any] = {}
    if (row.state == models.PENDING and enrolment == FIRST_USE
            and record.key):
        values.update(state=models.ENROLLED, enrolled_at_ns=received_ns)
    if (trust and record.key and row.public_key is None
            and (values or row.state == models.ENROLLED)):
        values.update(public_key=record.key)
    if values:
        connection.execute(sa.update(hosts).where(hosts.c.id == row.id)
                           .values(values))
        audit.write(connection, audit.COLLECTOR, received_ns, *(
            audit.Change(kind, name, {what: row._mapping[what]},
                         {what: values[what]})
            for kind, what in ((audit.HOST, 'state'),
                               (audit.KEY, 'public_key'))
            if what in values))
        row = connection.execute(query).one()
    return row


def _stream_of(connection: sa.Connection, host_id: int,
               records: Sequence[received.Record]) -> _Stream:
    """What the decisions need of the first record's stream.

    Nothing here is locked: whoever books holds the host's row, as we do.
    """
    first = records[0]
    boot_ids = {record.window.boot_id for record in records
                if record.window is not None}
    rows = _read_stream(connection, host_id, first, boot_ids)
    if not rows:
        connection.execute(sa.insert(models.streams).values(
            host_id=host_id, stream=first.stream, public_key=first.key,
            machine_id=first.machine_id, sequence=0, digest=''))
        rows = _read_stream(connection, host_id, first, boot_ids)
    row = rows[0]
    table = models.acknowledged
    digests = {one.sequence: one.digest for one in bulk.find(
        connection,
        sa.select(table.c.sequence, table.c.digest)
        .where(table.c.stream_id == row.id),
        table.c.sequence, {record.sequence for record in records
                           if record.sequence <= row.sequence})}
    # Older digests are purged one day, the last one never.
    digests[row.sequence] = row.digest
    return _Stream(row, row.machine_id or first.machine_id, digests, {
        one.boot_id: one.boottime_end_ns for one in rows
        if one.boot_id is not None})


def _read_stream(connection: sa.Connection, host_id: int,
                 record: received.Record,
                 boot_ids: Iterable[str]) -> Sequence[sa.Row[Any]]:
    """The stream's row beside each of the boots; none if it is new."""
    streams, boots, stated = models.streams, models.boots, models.gaps
    gap_lasts = sa.exists().where(stated.c.stream_id == streams.c.id,
                                  stated.c.end_ns.is_(None))
    return connection.execute(
        sa.select(streams, gap_lasts.label('gap_lasts'), boots.c.boot_id,
                  boots.c.boottime_end_ns)
        .join_from(streams, boots, sa.and_(
            boots.c.host_id == streams.c.host_id,
            boots.c.boot_id.in_(sorted(boot_ids))), isouter=True)
        .where(streams.c.host_id == host_id,
               streams.c.stream == record.stream,
               streams.c.public_key == record.key)).all()


# --- a call -----------------------------------------------------------------

class _Call:
    """One call's way: every record is decided about, then all written."""

    def __init__(self, connection: sa.Connection, host: sa.Row[Any],
                 stream: _Stream, received_ns: int,
                 owner_of: accounts.OwnerOf) -> None:
        self._connection = connection
        self._received_ns = received_ns
        self._host = host
        self._stream = stream.row
        self._trusted = bool(stream.row.public_key
                             and stream.row.public_key == host.public_key)
        self.detail: list[str] = []
        self.alarms: list[str] = []
        # What goes on from record to record: the stream's position,
        self.sequence: int = stream.row.sequence
        self._stream_end_ns: int | None = stream.row.window_end_ns
        self._stream_machine_id = stream.machine_id
        self._digests = dict(stream.digests)
        self._booked_until_ns = dict(stream.booked_until_ns)
        # and what the host's newest booked window said: the one that was
        # booked last, for a clock may have been set back since another.
        self._machine_id: str | None = host.machine_id
        self._host_end_ns: int | None = host.last_window_end_ns
        self._newest: samples.Window | None = None
        self._counts = (host.policy, host.idle_kind, host.idle_power_uw)
        self._said: list[samples.Gap] = []
        self._spans: list[tuple[int, int]] = []
        # What is to be written.
        self._acknowledged: list[dict[str, Any]] = []
        self._boots: set[str] = set()
        self._changes: list[audit.Change] = []
        self._added = buckets.Added(owner_of)
        self._held = quarantine.Held(received_ns, trusted=self._trusted)
        self._gaps = gaps.Gaps(host.id, stream.row.id,
                               lasting=stream.row.gap_lasts)

    # --- deciding ---

    def take(self, record: received.Record) -> str:
        """Decide about one record; nothing is written yet."""
        if (record.host, record.stream, record.key) != (
                self._host.name, self._stream.stream,
                self._stream.public_key):
            self._explain(record, 'a record of another stream, or of '
                                  'another key, in one call')
            return samples.OUT_OF_ORDER
        if record.sequence > self.sequence + 1:
            return self._expected_another(record)
        if record.sequence <= self.sequence:
            return self._take_old(record)
        result = self._take_next(record)
        self._advance(record, result)
        return result

    def _take_next(self, record: received.Record) -> str:
        """The record whose turn it is."""
        problem = record.problem or self._stranger(record)
        if problem is None and record.window is not None:
            # Here, not where it was read: the host's row may know better
            # than its notifier what the machine can draw.
            problem = judgement.implausible(record.window,
                                            self._host.max_power_uw)
        if problem is not None:
            return self._hold(record, problem)
        if record.window is None:
            self._open_gap(record)
            return samples.BOOKED
        obstacle = self._obstacle(record, record.window)
        if obstacle is not None:
            return self._hold(record, obstacle)
        self._add(record, record.window)
        return samples.BOOKED

    def _take_old(self, record: received.Record) -> str:
        """A number that was acknowledged before."""
        if self._digests.get(record.sequence) == record.digest:
            return samples.DUPLICATE
        if record.lost:
            if record.last > self.sequence:
                return self._expected_another(record)
            return samples.DUPLICATE  # It was not lost on the way here.
        if self._held.has(self._connection, record):
            return samples.DUPLICATE
        return self._hold(record, self._another(record))

    def _another(self, record: received.Record) -> received.Problem:
        """Why a record is not booked whose number another one has."""
        stranger = self._stranger(record)
        if stranger is not None and stranger.code == received.KEY:
            return stranger
        if record.window is None and record.problem is not None:
            return record.problem
        text = f'another record was acknowledged as number {record.sequence}'
        if record.problem is not None:
            text += f'; {record.problem.text}'
        return received.Problem(received.CONFLICT, text)

    def _stranger(self, record: received.Record) -> received.Problem | None:
        """Why a record is not the host's own, or not yet."""
        host = self._host
        if not record.key:
            return self._alarm(
                f'host {record.host}: a record is not signed, or its '
                'signature does not hold', received.KEY)
        if host.state != models.ENROLLED:
            return received.Problem(received.NOT_ENROLLED, (
                f'host {record.host} is {host.state}: an operator must '
                'enrol it'))
        if not self._trusted:
            return self._alarm(
                f'host {record.host}: a record is signed with the key '
                f'{record.key}, the host has {host.public_key}: if the '
                'machine or its key was replaced, an operator must say so',
                received.KEY)
        return None

    def _obstacle(self, record: received.Record,
                  window: samples.Window) -> received.Problem | None:
        """Why a window whose turn it is must not be booked."""
        if self._stream_machine_id not in ('', window.machine_id):
            return self._alarm(
                f'host {record.host}: stream {record.stream} belongs to '
                f'machine {self._stream_machine_id}, this record is of '
                f'machine {window.machine_id}')
        if (window.machine_id != self._machine_id
                and self._machine_id is not None
                and self._host_end_ns is not None
                and window.start_ns < self._host_end_ns):
            return self._alarm(
                f'two machines call themselves {record.host} at the same '
                f'time: {self._machine_id} and {window.machine_id}')
        until_ns = self._booked_until_ns.get(window.boot_id)
        if until_ns is not None and window.boottime_start_ns < until_ns:
            return received.Problem(received.OVERLAP, (
                f'overlap: it starts at boottime '
                f'{window.boottime_start_ns} ns, and this boot is booked up '
                f'to {until_ns} ns'))
        return None

    def _add(self, record: received.Record, window: samples.Window) -> None:
        """Count a window in; it is its turn and it adds up."""
        self._said.extend(window.gaps)
        if self._gaps.lasting:
            self._gaps.close(window.start_ns)
            # Where a clock was set, it does not say all.
            self._state_skipped(record, window)
        elif (self._stream_end_ns is None and self._host_end_ns is not None
                and self._host_end_ns < window.start_ns):
            self._gaps.state(
                samples.Gap(None, self._host_end_ns, window.start_ns,
                            gaps.NEW_STREAM), record.sequence)
        else:
            self._state_skipped(record, window)
        for gap in window.gaps:
            self._gaps.state(gap, record.sequence)
        self._note_what_counts(window)
        self._added.add(window)
        self._spans.append((window.start_ns, window.end_ns))
        self._booked_until_ns[window.boot_id] = window.boottime_end_ns
        self._boots.add(window.boot_id)
        # A clock that is ahead makes nothing known of the time to come.
        end_ns = min(window.end_ns, self._received_ns)
        self._stream_end_ns = self._host_end_ns = end_ns
        self._newest = window
        self._machine_id = self._stream_machine_id = window.machine_id

    def _note_what_counts(self, window: samples.Window) -> None:
        """Keep that the policy or the idle value is another from here on."""
        self._changes += changes_of(self._host.name, self._counts, window)
        self._counts = (window.policy, window.idle_kind,
                        window.idle_power_uw)

    def _state_skipped(self, record: received.Record,
                       window: samples.Window) -> None:
        """State what nothing explains of the boottime before a window."""
        for gap in skipped.find(
                self._connection, self._host.id, window, record.key,
                self._booked_until_ns.get(window.boot_id), self._held,
                [*self._said, *self._gaps.stated()]):
            self._gaps.state(gap, record.sequence)
            self._explain(record, 'nothing says why it begins later than '
                                  'what is known before it ended')

    def _open_gap(self, record: received.Record) -> None:
        if self._gaps.lasting:
            return
        known_until_ns = (self._stream_end_ns, self._host_end_ns,
                          self._received_ns)
        self._gaps.open(next(moment_ns for moment_ns in known_until_ns
                             if moment_ns is not None), record.sequence)
        self._explain(record, f'lost up to {record.last}')

    def _hold(self, record: received.Record,
              problem: received.Problem) -> str:
        self._explain(record, self._held.hold(record, problem))
        return samples.QUARANTINED

    def _expected_another(self, record: received.Record) -> str:
        self._explain(record, f'{self.sequence + 1} is expected')
        return samples.OUT_OF_ORDER

    def _explain(self, record: received.Record, reason: str) -> None:
        self.detail.append(f'{record.stream}/{record.sequence}: {reason}')

    def _alarm(self, text: str,
               code: str = received.CONFLICT) -> received.Problem:
        if text not in self.alarms:
            self.alarms.append(text)
        return received.Problem(code, text)

    def _advance(self, record: received.Record, result: str) -> None:
        window = record.window if result == samples.BOOKED else None
        self.sequence = record.last
        self._digests[record.sequence] = record.digest
        self._acknowledged.append({
            'stream_id': self._stream.id, 'sequence': record.sequence,
            'digest': record.digest, 'received_ns': self._received_ns,
            **received.span(window)})

    # --- writing ---

    def write(self) -> None:
        """Write all that was decided, most shared rows last."""
        connection, host = self._connection, self._host
        self._held.write(connection)
        ids = accounts.ids(connection, self._added.recipients())
        self._added.write_own(connection, host.id, ids)
        self._gaps.write(connection)
        gaps.fill_discarded(connection, host.id, self._spans)
        self._write_boots()
        self._write_position()
        self._write_host()
        audit.write(connection, audit.COLLECTOR, self._received_ns,
                    *self._changes)
        self._added.write_shared(connection, host.site_id, ids)

    def _write_boots(self) -> None:
        bulk.upsert(self._connection, models.boots, [
            (self._host.id, boot_id, self._booked_until_ns[boot_id])
            for boot_id in self._boots], replace=('boottime_end_ns',))

    def _write_position(self) -> None:
        """Step on, from where the call found the stream and nowhere else."""
        if not self._acknowledged:
            return
        self._connection.execute(sa.insert(models.acknowledged),
                                 self._acknowledged)
        streams = models.streams
        stepped = self._connection.execute(
            sa.update(streams)
            .where(streams.c.id == self._stream.id,
                   streams.c.sequence == self._stream.sequence)
            .values(sequence=self.sequence,
                    machine_id=self._stream_machine_id,
                    digest=self._acknowledged[-1]['digest'],
                    window_end_ns=self._stream_end_ns))
        if stepped.rowcount != 1:
            raise db_exception.RetryRequest(errors.Unavailable(
                'the stream was advanced by somebody else meanwhile'))

    def _write_host(self) -> None:
        values: dict[str, Any] = {}
        if self._machine_id != self._host.machine_id:
            values['machine_id'] = self._machine_id
        if self.alarms:
            values['alarm'] = quarantine.storable(self.alarms[-1])[:255]
        elif self._newest is not None and self._newest.alarm:
            values['alarm'] = self._newest.alarm
        elif (self._host.alarm is not None and self._newest is not None
                and not self._held.any_since(
                    self._connection, self._host.name,
                    self._received_ns - ALARM_NS)):
            values['alarm'] = None
        if self._newest is not None:
            values.update(said_by(self._newest),
                          last_window_start_ns=min(self._newest.start_ns,
                                                   self._received_ns),
                          last_window_end_ns=self._host_end_ns)
        if self._acknowledged and self._trusted:
            values['last_received_ns'] = self._received_ns
        if values:
            self._connection.execute(
                sa.update(models.hosts)
                .where(models.hosts.c.id == self._host.id).values(values))


def changes_of(host: str, was: tuple[str | None, str | None, int | None],
               window: samples.Window) -> list[audit.Change]:
    """What is kept when the policy or the idle value becomes another's.

    :param was: policy, kind and value of the idle power that counted.
    """
    found = []
    policy, *idle = was
    if window.policy != policy:
        found.append(audit.Change(audit.POLICY, host, {'policy': policy},
                                  {'policy': window.policy}))
    became = [window.idle_kind, window.idle_power_uw]
    if became != idle:
        found.append(audit.Change(
            audit.IDLE, host, dict(zip(_IDLE, idle, strict=True)),
            dict(zip(_IDLE, became, strict=True))))
    return found


def said_by(window: samples.Window) -> dict[str, Any]:
    """What the host's row repeats of its newest window."""
    return {'policy': window.policy,
            'boundary': boundaries.of_policy(window.policy),
            'basis': json.dumps(window.basis),
            'idle_kind': window.idle_kind,
            'idle_power_uw': window.idle_power_uw, 'cpus': window.cpus,
            'memory_mib': window.memory_mib,
            'notifier_version': window.version,
            'window_seconds': window.window_seconds}
