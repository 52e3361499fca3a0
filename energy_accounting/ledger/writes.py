# SPDX-License-Identifier: Apache-2.0
"""How records are booked: whose turn it is, and the step of the stream.

Everything of a call happens in the caller's transaction: the rows, the
quarantine and the step of the stream's position are committed together or
not at all.  Whether a record adds up has been judged before (collector).
What a window adds to which row stands in ``buckets``, which time is known in
``known``, what is unknown in ``gaps`` and ``holes``, what is held in
``quarantine``.  No clock, no retry.
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
    holes,
    judgement,
    known,
    models,
    quarantine,
    received,
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
    stream = _stream_of(connection, host, records, received_ns)
    call = _Call(connection, host, stream, received_ns, owner_of)
    results = [call.take(record) for record in records]
    call.write()
    return Booked(results, call.sequence + 1, call.detail, call.alarms)


# --- what is known before a call --------------------------------------------

class _Stream(NamedTuple):
    """A stream as the call finds it.

    :ivar row: of ``streams``, and whether a gap of its host lasts.
    :ivar machine_id: '' as long as none of its records has said it.
    :ivar digests: of the records of the call that came before, by number.
    :ivar known: of each boot that the call names, and of the host's newest,
        whatever stream it came by.
    """

    row: sa.Row[Any]
    machine_id: str
    digests: dict[int, str]
    known: known.Known


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


def _stream_of(connection: sa.Connection, host: sa.Row[Any],
               records: Sequence[received.Record],
               received_ns: int) -> _Stream:
    """What the decisions need of the first record's stream.

    Nothing here is locked: whoever books holds the host's row, as we do.
    """
    first = records[0]
    boot_ids = {host.boot_id or '', *(
        told.boot_id for record in records
        if (told := known.tells(record.window, received_ns)) is not None)}
    rows = _read_stream(connection, host.id, first, boot_ids)
    if not rows:
        connection.execute(sa.insert(models.streams).values(
            host_id=host.id, stream=first.stream, public_key=first.key,
            machine_id=first.machine_id, sequence=0, digest=''))
        rows = _read_stream(connection, host.id, first, boot_ids)
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
    return _Stream(
        row, row.machine_id or first.machine_id, digests,
        known.Known({one.boot_id: known.boot_of(one) for one in rows
                     if one.boot_id is not None}, host.boot_id, received_ns))


def _read_stream(connection: sa.Connection, host_id: int,
                 record: received.Record,
                 boot_ids: Iterable[str]) -> Sequence[sa.Row[Any]]:
    """The stream's row beside each of the boots; none if it is new."""
    streams, boots = models.streams, models.boots
    gap_lasts = sa.exists().where(gaps.lasts(streams.c.host_id))
    return connection.execute(
        sa.select(streams, gap_lasts.label('gap_lasts'), boots.c.boot_id,
                  *known.columns())
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
        self._known = stream.known
        self._lasting = bool(stream.row.gap_lasts)
        # and what the host's newest booked window said: the one that was
        # booked last, for a clock may have been set back since another.
        self._machine_id: str | None = host.machine_id
        self._host_end_ns: int | None = host.last_window_end_ns
        self._newest: samples.Window | None = None
        self._counts = (host.policy, host.idle_kind, host.idle_power_uw)
        # What is to be written.
        self._acknowledged: list[dict[str, Any]] = []
        self._stated: list[dict[str, Any]] = []
        self._opened: dict[str, Any] | None = None
        self._before: list[holes.Before] = []
        self._spans: list[tuple[str, gaps.Span]] = []
        self._changes: list[audit.Change] = []
        self._added = buckets.Added(owner_of)
        self._held = quarantine.Held(received_ns, trusted=self._trusted)

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
            self._explain(record, f'lost up to {record.last}')
            self._open_gap(record, gaps.LOST)
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
        if record.window is not None and self._trusted:
            self._alarm(
                f'host {record.host}: another record was acknowledged as '
                f'number {record.sequence} of stream {record.stream}: its '
                'state directory is an old copy, or two machines are this '
                'host')
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
        until_ns = self._known.booked_until_ns(window.boot_id)
        if window.boottime_start_ns < until_ns:
            return received.Problem(received.OVERLAP, (
                f'overlap: it starts at boottime '
                f'{window.boottime_start_ns} ns, and this boot is booked up '
                f'to {until_ns} ns'))
        return None

    def _add(self, record: received.Record, window: samples.Window) -> None:
        """Count a window in; it is its turn and it adds up."""
        self._place(record, known.told(window), booked=True)
        self._stated += gaps.rows_of_window(self._host.id, self._stream.id,
                                            window)
        self._note_what_counts(window)
        self._added.add(window)
        self._spans += gaps.spans_of_window(window)
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

    def _place(self, record: received.Record, told: known.Told, *,
               booked: bool) -> None:
        """Let the time of a window be known, and what is before it asked."""
        known_before = self._known.newest is not None
        cause = gaps.Cause(
            gaps.NEW_STREAM if known_before and self._stream_end_ns is None
            else gaps.SKIPPED, self._stream.id, record.sequence)
        lost = self._end_lasting() if self._known.goes_on(told) else None
        found = self._known.add(
            told, booked=booked,
            same_machine=self._machine_id in (None, record.machine_id))
        if found or lost is not None:
            said = record.window.gaps if booked and record.window else ()
            self._before.append(holes.Before(
                told, said, found, lost or cause,
                self._known.ahead_ns(told), moment=lost is not None))

    def _end_lasting(self) -> gaps.Cause | None:
        """Something is known again; why it was not."""
        if not self._lasting:
            return None
        self._lasting = False
        if self._opened is None:
            return gaps.end(self._connection, self._host.id)
        opened, self._opened = self._opened, None
        return gaps.Cause(opened['reason'], opened['stream_id'],
                          opened['sequence'])

    def _open_gap(self, record: received.Record, reason: str) -> None:
        """From what is known on is lost, until something is known again."""
        if self._lasting:
            return
        self._lasting = True
        until_ns = self._known.until_ns
        self._opened = gaps.row(
            self._host.id, gaps.Cause(reason, self._stream.id,
                                      record.sequence), None,
            self._received_ns if until_ns is None else until_ns, None)

    def _hold(self, record: received.Record,
              problem: received.Problem) -> str:
        self._explain(record, self._held.hold(record, problem))
        if not self._trusted:
            return samples.QUARANTINED
        told = known.tells(record.window, self._received_ns)
        if told is not None:
            self._place(record, told, booked=False)
        elif record.sequence > self.sequence:
            self._open_gap(record, gaps.NOT_UNDERSTOOD)
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
        self._known.write(connection, host.id)
        self._write_gaps()
        self._write_position()
        self._write_host()
        audit.write(connection, audit.COLLECTOR, self._received_ns,
                    *self._changes)
        self._added.write_shared(connection, host.site_id, ids)

    def _write_gaps(self) -> None:
        """What records state, then what is left of what nothing is known."""
        connection, host = self._connection, self._host
        gaps.write(connection, self._stated)
        for before in self._before:
            stated = holes.state(connection, host, before)
            if stated and before.cause.reason == gaps.SKIPPED:
                self.detail.append(
                    f'{self._stream.stream}/{before.cause.sequence}: nothing '
                    'says why it begins later than what is known before it '
                    'ended')
        gaps.fill(connection, host.id, self._spans)
        if self._opened is not None:
            gaps.write(connection, [self._opened])

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
        if self._known.newest != self._host.boot_id:
            values['boot_id'] = self._known.newest
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
