# SPDX-License-Identifier: Apache-2.0
"""How records become rows: the position of a stream and the sums.

Everything of a call happens in the caller's transaction: the rows, the
quarantine and the step of the stream's position are committed together or
not at all.  Whether a record adds up has been judged before (collector);
here is judged whether it is this record's turn.  No clock, no retry.
"""

from __future__ import annotations

import collections
import dataclasses
import functools
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import sqlalchemy as sa
from oslo_db import exception as db_exception
from sqlalchemy.dialects import mysql, postgresql, sqlite

from energy_accounting import errors, samples, units
from energy_accounting.ledger import models

BOOKED = 'booked'
DUPLICATE = 'duplicate'
QUARANTINED = 'quarantined'
OUT_OF_ORDER = 'out_of_order'

FIRST_USE = 'first_use'
MANUAL = 'manual'

LOST = 'lost'
NEW_STREAM = 'new_stream'

_SELECT_CHUNK = 500
_ROWS_A_STATEMENT = 2000
_REASON_CHARACTERS = 1000
_BIGINT_MAX = (1 << 63) - 1


class Owner(NamedTuple):
    """Who owns an instance, as Nova says."""

    project_id: str
    flavor: str | None
    user_id: str | None


class Received(NamedTuple):
    """A record as it came and as it was judged.

    :ivar last: the last number it stands for; ``sequence`` for a window.
    :ivar window: None for a lost record and for one that is no window.
    :ivar problem: why it cannot be booked whatever its turn, or None.
    """

    text: str
    digest: str
    host: str
    machine_id: str
    stream: str
    sequence: int
    last: int
    window: samples.Window | None
    problem: str | None

    @property
    def lost(self) -> bool:
        return self.window is None and self.problem is None


class Booked(NamedTuple):
    """What became of a call.

    :ivar results: one word for each record.
    :ivar expects: the number the stream is to go on with.
    :ivar detail: a reason for each record that was not simply booked.
    :ivar accounts: ids that may be kept once the transaction is committed.
    :ivar alarms: what an operator should see in the log.
    """

    results: list[str]
    expects: int
    detail: list[str]
    accounts: dict[samples.Account, AccountId]
    alarms: list[str]


class AccountId(NamedTuple):
    """Surrogate keys of an account and of its project."""

    account_id: int
    project_ref: int


Known = Mapping[samples.Account, AccountId]
OwnerOf = Callable[[str], Owner | None]


def book(connection: sa.Connection, records: Sequence[Received],
         received_ns: int, *, enrolment: str = FIRST_USE,
         owner_of: OwnerOf = lambda instance_id: None,
         known: Known | None = None) -> Booked:
    """Book, quarantine or pass over consecutive records of one stream.

    The whole of it must run in one transaction, which holds the host's row
    until its end: two calls of one host follow each other.

    :param records: at least one; those of another stream than the first
        one's are out of order.
    :param owner_of: who owns an instance whose record does not say so.
    :param known: ids of accounts that were committed before.
    """
    first = records[0]
    call = _Call(connection, received_ns,
                 _lock_host(connection, first.host, received_ns, enrolment),
                 first)
    call.load(records)
    results = []
    for record in records:
        if (record.host, record.stream) != (first.host, first.stream):
            call.explain(record, 'a record of another stream in one call')
            results.append(OUT_OF_ORDER)
        else:
            results.append(call.take(record))
    accounts = call.write(owner_of, known or {})
    return Booked(results, call.sequence + 1, call.detail, accounts,
                  call.alarms)


# --- the position of a stream -----------------------------------------------

def _lock_host(connection: sa.Connection, name: str, received_ns: int,
               enrolment: str) -> sa.Row[Any]:
    """The host's row, ours until the transaction ends."""
    hosts = models.hosts
    query = (sa.select(hosts).where(hosts.c.name == name).with_for_update())
    row = connection.execute(query).one_or_none()
    enrolled = {'state': models.ENROLLED, 'enrolled_at_ns': received_ns}
    if row is None:
        insert_missing(connection, hosts, [{
            'name': name, 'site_id': models.DEFAULT_SITE,
            'state': models.PENDING, 'boundary': models.RAPL}])
        row = connection.execute(query).one()
    if row.state == models.PENDING and enrolment == FIRST_USE:
        connection.execute(sa.update(hosts).where(hosts.c.id == row.id)
                           .values(enrolled))
        row = connection.execute(query).one()
    return row


def _lock_stream(connection: sa.Connection, host_id: int, stream: str,
                 machine_id: str) -> sa.Row[Any]:
    streams, gaps = models.streams, models.gaps
    open_gap = (sa.select(sa.func.count()).select_from(gaps)
                .where(gaps.c.stream_id == streams.c.id,
                       gaps.c.end_ns.is_(None)).scalar_subquery())
    query = (sa.select(streams, open_gap.label('open_gaps'))
             .where(streams.c.host_id == host_id,
                    streams.c.stream == stream)
             .with_for_update())
    row = connection.execute(query).one_or_none()
    if row is None:
        # The host's row is ours: nobody else can be adding this stream.
        connection.execute(sa.insert(streams).values(
            host_id=host_id, stream=stream, machine_id=machine_id,
            sequence=0, digest=''))
        row = connection.execute(query).one()
    return row


class _Call:
    """One call's way through the records; lives as long as it."""

    def __init__(self, connection: sa.Connection, received_ns: int,
                 host: sa.Row[Any], first: Received) -> None:
        self._connection = connection
        self._received_ns = received_ns
        self._host = host
        self._stream = _lock_stream(connection, host.id, first.stream,
                                    first.machine_id)
        self.sequence: int = self._stream.sequence
        self.detail: list[str] = []
        self.alarms: list[str] = []
        # What the host's newest booked window is as this call goes on.
        self._machine_id: str | None = host.machine_id
        self._last_end_ns: int | None = host.last_window_end_ns
        self._stream_end_ns: int | None = self._stream.window_end_ns
        # '' when the stream began with a record that did not say it.
        self._stream_machine_id: str = (self._stream.machine_id
                                        or first.machine_id)
        self._newest: samples.Window | None = None
        self._digests: dict[int, str] = {}
        self._acknowledged: list[dict[str, Any]] = []
        self._boots: dict[str, int] = {}
        self._boots_changed: set[str] = set()
        self._gaps: list[dict[str, Any]] = []
        self._open_gap: dict[str, Any] | None = None
        self._close_gaps_at_ns: int | None = None
        self._quarantined: list[dict[str, Any]] = []
        self._sums = _Sums()

    def load(self, records: Sequence[Received]) -> None:
        """Read what the decisions need."""
        table = models.acknowledged
        # Older digests are purged one day, the last one never.
        self._digests[self.sequence] = self._stream.digest
        old = [record.sequence for record in records
               if record.sequence <= self.sequence]
        for chunk in _chunks(old):
            self._digests.update(
                (row.sequence, row.digest)
                for row in self._connection.execute(
                    sa.select(table.c.sequence, table.c.digest)
                    .where(table.c.stream_id == self._stream.id,
                           table.c.sequence.in_(chunk))))
        boots = models.boots
        boot_ids = sorted({record.window.boot_id for record in records
                           if record.window is not None})
        for chunk in _chunks(boot_ids):
            self._boots.update(
                (row.boot_id, row.boottime_end_ns)
                for row in self._connection.execute(
                    sa.select(boots.c.boot_id, boots.c.boottime_end_ns)
                    .where(boots.c.host_id == self._host.id,
                           boots.c.boot_id.in_(chunk))))

    def explain(self, record: Received, reason: str) -> None:
        self.detail.append(f'{record.stream}/{record.sequence}: {reason}')

    def take(self, record: Received) -> str:
        """Decide about one record; nothing is written yet."""
        if record.sequence > self.sequence + 1:
            self.explain(record, f'{self.sequence + 1} is expected')
            return OUT_OF_ORDER
        if record.sequence <= self.sequence:
            return self._take_old(record)
        result = BOOKED
        if record.lost:
            self._state_loss(record)
        else:
            reason = self._obstacle(record)
            if reason is None and record.window is not None:
                self._add(record, record.window)
            else:
                self._quarantine(record, reason or 'not a window')
                result = QUARANTINED
        self._advance(record)
        return result

    def _take_old(self, record: Received) -> str:
        """A number that was acknowledged before."""
        if self._digests.get(record.sequence) == record.digest:
            return DUPLICATE
        if record.lost:
            if record.last > self.sequence:
                self.explain(record, f'{self.sequence + 1} is expected')
                return OUT_OF_ORDER
            return DUPLICATE  # It was not lost on the way here.
        if self._in_quarantine(record):
            return DUPLICATE
        self._quarantine(
            record, record.problem or
            f'another record was acknowledged as number {record.sequence}')
        return QUARANTINED

    def _obstacle(self, record: Received) -> str | None:
        """Why a record whose turn it is must not be booked."""
        window = record.window
        if window is None or record.problem is not None:
            return record.problem
        if self._host.state != models.ENROLLED:
            return (f'host {record.host} is {self._host.state}: an operator '
                    'must enrol it')
        if self._stream_machine_id not in ('', window.machine_id):
            return self._alarm(
                f'host {record.host}: stream {record.stream} belongs to '
                f'machine {self._stream_machine_id}, this record is of '
                f'machine {window.machine_id}')
        if (window.machine_id != self._machine_id
                and self._machine_id is not None
                and self._last_end_ns is not None
                and window.start_ns < self._last_end_ns):
            return self._alarm(
                f'two machines call themselves {record.host} at the same '
                f'time: {self._machine_id} and {window.machine_id}')
        booked_ns = self._boots.get(window.boot_id)
        if booked_ns is not None and window.boottime_start_ns < booked_ns:
            return (f'overlap: it starts at boottime '
                    f'{window.boottime_start_ns} ns, and this boot is '
                    f'booked up to {booked_ns} ns')
        return None

    def _alarm(self, text: str) -> str:
        self.alarms.append(text)
        return text

    def _advance(self, record: Received) -> None:
        self.sequence = record.last
        self._digests[record.sequence] = record.digest
        self._acknowledged.append({
            'stream_id': self._stream.id, 'sequence': record.sequence,
            'digest': record.digest, 'received_ns': self._received_ns})

    def _state_loss(self, record: Received) -> None:
        if self._gap_is_open():
            return
        start_ns = self._known_until_ns()
        self._open_gap = {
            'host_id': self._host.id, 'stream_id': self._stream.id,
            'zone': None, 'reason': LOST, 'sequence': record.sequence,
            'start_ns': (self._received_ns if start_ns is None
                         else start_ns),
            'end_ns': None}
        self._gaps.append(self._open_gap)
        self.explain(record, f'lost up to {record.last}')

    def _gap_is_open(self) -> bool:
        return self._open_gap is not None or (
            self._stream.open_gaps > 0 and self._close_gaps_at_ns is None)

    def _known_until_ns(self) -> int | None:
        return (self._last_end_ns if self._stream_end_ns is None
                else self._stream_end_ns)

    def _add(self, record: Received, window: samples.Window) -> None:
        """Count a window in; it is its turn and it adds up."""
        if self._open_gap is not None:
            self._open_gap['end_ns'] = window.start_ns
            self._open_gap['start_ns'] = min(self._open_gap['start_ns'],
                                             window.start_ns)
            self._open_gap = None
        elif self._gap_is_open():
            self._close_gaps_at_ns = window.start_ns
        elif (self._stream_end_ns is None and self._last_end_ns is not None
                and self._last_end_ns < window.start_ns):
            self._state_gap(record, None, self._last_end_ns, window.start_ns,
                            NEW_STREAM)
        for gap in window.gaps:
            self._state_gap(record, *dataclasses.astuple(gap))
        self._sums.add(window)
        self._boots[window.boot_id] = window.boottime_end_ns
        self._boots_changed.add(window.boot_id)
        self._stream_end_ns = window.end_ns
        if self._last_end_ns is None or window.end_ns >= self._last_end_ns:
            self._last_end_ns = window.end_ns
            self._newest = window
        self._machine_id = self._stream_machine_id = window.machine_id

    def _state_gap(self, record: Received, zone: str | None, start_ns: int,
                   end_ns: int, reason: str) -> None:
        self._gaps.append({
            'host_id': self._host.id, 'stream_id': self._stream.id,
            'zone': zone, 'start_ns': start_ns, 'end_ns': end_ns,
            'reason': reason, 'sequence': record.sequence})

    # --- quarantine ---

    def _in_quarantine(self, record: Received) -> bool:
        table = models.quarantine
        if any(row['sequence'] == record.sequence
               and row['digest'] == record.digest
               for row in self._quarantined):
            return True
        return self._connection.execute(
            sa.select(table.c.id).where(
                table.c.host_name == record.host,
                table.c.stream == record.stream,
                table.c.sequence == record.sequence,
                table.c.digest == record.digest)).first() is not None

    def _quarantine(self, record: Received, reason: str) -> None:
        window = record.window
        reason = storable(reason)[:_REASON_CHARACTERS]
        self.explain(record, reason)
        self._quarantined.append({
            'host_name': record.host, 'stream': record.stream,
            'sequence': record.sequence, 'digest': record.digest,
            'received_ns': self._received_ns,
            'start_ns': None if window is None else window.start_ns,
            'end_ns': None if window is None else window.end_ns,
            'energy_uj': 0 if window is None else claimed_uj(window),
            'reason': reason, 'payload': storable(record.text),
            'state': models.HELD})

    # --- writing ---

    def write(self, owner_of: OwnerOf,
              known: Known) -> dict[samples.Account, AccountId]:
        """Write all that was decided, most shared rows last."""
        connection = self._connection
        insert_missing(connection, models.quarantine, self._quarantined)
        accounts = _account_ids(connection, self._sums.owners(owner_of),
                                known)
        self._sums.write(connection, self._host, accounts)
        self._write_position()
        self._write_host()
        self._sums.write_projects(connection, self._host, accounts)
        return accounts

    def _write_position(self) -> None:
        connection, streams, gaps = (self._connection, models.streams,
                                     models.gaps)
        if self._close_gaps_at_ns is not None:
            end_ns = self._close_gaps_at_ns
            connection.execute(
                sa.update(gaps)
                .where(gaps.c.stream_id == self._stream.id,
                       gaps.c.end_ns.is_(None))
                .values(end_ns=end_ns, start_ns=sa.case(
                    (gaps.c.start_ns > end_ns, end_ns),
                    else_=gaps.c.start_ns)))
        if self._gaps:
            connection.execute(sa.insert(gaps), self._gaps)
        upsert(connection, models.boots, [
            (self._host.id, boot_id, self._boots[boot_id])
            for boot_id in self._boots_changed],
            replace=('boottime_end_ns',))
        if not self._acknowledged:
            return
        connection.execute(sa.insert(models.acknowledged),
                           self._acknowledged)
        stepped = connection.execute(
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
        window = self._newest
        values: dict[str, Any] = {}
        if self._machine_id != self._host.machine_id:
            values['machine_id'] = self._machine_id
        if self.alarms:
            values['alarm'] = storable(self.alarms[-1])[:255]
        if window is not None:
            values.update(
                last_window_start_ns=window.start_ns,
                last_window_end_ns=window.end_ns,
                policy=window.policy, basis=json.dumps(window.basis),
                idle_kind=window.idle_kind,
                idle_power_uw=window.idle_power_uw, cpus=window.cpus,
                memory_mib=window.memory_mib,
                notifier_version=window.version)
        if self._acknowledged:
            values['last_received_ns'] = self._received_ns
        if values:
            self._connection.execute(
                sa.update(models.hosts)
                .where(models.hosts.c.id == self._host.id).values(values))


def claimed_uj(window: samples.Window) -> int:
    """What a window says the meters saw, as far as a column can hold it."""
    return min(sum(part.measured_uj for part in window.parts), _BIGINT_MAX)


def storable(text: str) -> str:
    """A text any of the databases takes: no NUL, no lone surrogate."""
    return (text.encode('utf-8', 'backslashreplace').decode()
            .replace('\0', '\N{REPLACEMENT CHARACTER}'))


# --- the sums ---------------------------------------------------------------

class _Sums:
    """What the windows of a call add to each row."""

    def __init__(self) -> None:
        self._accounts: dict[tuple[int, samples.Account], list[Any]] = {}
        self._hosts: dict[int, list[int]] = {}
        self._zones: dict[tuple[int, str], int] = collections.defaultdict(int)
        self._policies: dict[int, str] = {}
        self._owned: dict[samples.Account, samples.Account] = {}

    def add(self, window: samples.Window) -> None:
        for part in window.parts:
            bucket = part.bucket
            for zone, energy_uj in part.zones_uj.items():
                self._zones[bucket, zone] += energy_uj
            increase(self._hosts, bucket, [
                part.measured_ns,
                part.measured_ns if part.backfilled else 0,
                part.busy_ns, part.capacity_ns, part.idle_uj])
            self._policies[bucket] = window.policy
            for share in part.shares:
                increase(self._accounts, (bucket, share.account),
                          _measures(share, part.backfilled))

    def owners(self, owner_of: OwnerOf) -> set[samples.Account]:
        """The accounts to book on, owners that were missing filled in."""
        for _, account in self._accounts:
            if account not in self._owned:
                self._owned[account] = _owned(account, owner_of)
        return set(self._owned.values())

    def write(self, connection: sa.Connection, host: sa.Row[Any],
              accounts: Known) -> None:
        """The rows that belong to this host alone."""
        rows: dict[tuple[int, int], list[Any]] = {}
        for (bucket, account), numbers in self._accounts.items():
            ids = accounts[self._owned[account]]
            increase(rows, (ids.account_id, bucket), numbers)
        upsert(connection, models.account_buckets, [
            (account_id, bucket, host.id, *numbers)
            for (account_id, bucket), numbers in rows.items()],
            add=models.MEASURES)
        upsert(connection, models.host_buckets, [
            (host.id, bucket, *numbers, self._policies[bucket])
            for bucket, numbers in self._hosts.items()],
            add=_HOST_MEASURES, replace=('policy',))
        upsert(connection, models.zone_buckets, [
            (host.id, bucket, zone, energy_uj)
            for (bucket, zone), energy_uj in self._zones.items()],
            add=('energy_uj',))

    def write_projects(self, connection: sa.Connection, host: sa.Row[Any],
                       accounts: Known) -> None:
        """The rows that all hosts share."""
        rows: dict[tuple[int, int], list[Any]] = {}
        for (bucket, account), numbers in self._accounts.items():
            ids = accounts[self._owned[account]]
            increase(rows, (ids.project_ref, bucket), numbers)
        upsert(connection, models.project_buckets, [
            (project_ref, bucket, host.site_id, host.boundary, *numbers)
            for (project_ref, bucket), numbers in rows.items()],
            add=models.MEASURES)


_HOST_MEASURES = ('measured_ns', 'backfilled_ns', 'busy_ns', 'capacity_ns',
                  'idle_uj')


def _measures(share: samples.Share, backfilled: bool) -> list[Any]:
    """A share in the order of :data:`models.MEASURES`."""
    return [share.active_uj, share.idle_uj, share.memory_uj, share.host_uj,
            None, share.energy_uj if backfilled else 0,
            share.cpu_ns, share.vcpu_ns,
            (share.memory_mib_ns + units.NS_PER_S // 2) // units.NS_PER_S]


def increase(rows: dict[Any, list[Any]], key: Any,
              numbers: list[Any]) -> None:
    """Add numbers to a row; None and a number is the number."""
    row = rows.get(key)
    if row is None:
        rows[key] = numbers.copy()
        return
    for index, number in enumerate(numbers):
        if number:
            row[index] = (row[index] or 0) + number
        elif row[index] is None:
            row[index] = number


def _owned(account: samples.Account, owner_of: OwnerOf) -> samples.Account:
    if account.instance_id is None or account.project_id is not None:
        return account
    owner = owner_of(account.instance_id)
    if owner is None:
        return account
    return account._replace(
        project_id=owner.project_id, flavor=account.flavor or owner.flavor,
        user_id=account.user_id or owner.user_id)


# --- surrogate keys ---------------------------------------------------------

def account_digest(account: samples.Account) -> str:
    """What an account version is found by."""
    return samples.digest(samples.to_json(list(account)))


def _account_ids(connection: sa.Connection, wanted: set[samples.Account],
                 known: Known) -> dict[samples.Account, AccountId]:
    """The ids of accounts; those that are missing are made."""
    found = {account: ids for account in wanted
             if (ids := known.get(account)) is not None}
    by_digest = {account_digest(account): account
                 for account in wanted if account not in found}
    table = models.accounts

    def look_up(digests: Iterable[str]) -> None:
        for chunk in _chunks(sorted(digests)):
            for row in connection.execute(
                    sa.select(table.c.digest, table.c.id,
                              table.c.project_ref)
                    .where(table.c.digest.in_(chunk))):
                found[by_digest.pop(row.digest)] = AccountId(
                    row.id, row.project_ref)

    look_up(by_digest)
    if by_digest:
        projects = project_refs(connection, {
            account.project_id for account in by_digest.values()
            if account.project_id is not None})
        insert_missing(connection, table, [
            {'digest': digest, 'kind': account.kind,
             'instance_id': account.instance_id,
             'project_ref': (models.NO_PROJECT if account.project_id is None
                             else projects[account.project_id]),
             'flavor': account.flavor, 'user_id': account.user_id,
             'name': account.name}
            for digest, account in sorted(by_digest.items())])
        look_up(by_digest)
    return found


def account_id(connection: sa.Connection, account: samples.Account) -> int:
    """The id of one account; made when it is missing."""
    return _account_ids(connection, {account}, {})[account].account_id


def project_refs(connection: sa.Connection,
                 project_ids: Iterable[str]) -> dict[str, int]:
    """The surrogate keys of projects; those that are missing are made."""
    table = models.projects
    wanted = set(project_ids)
    found: dict[str, int] = {}

    def look_up() -> None:
        for chunk in _chunks(sorted(wanted - found.keys())):
            found.update(
                (row.project_id, row.id) for row in connection.execute(
                    sa.select(table.c.project_id, table.c.id)
                    .where(table.c.project_id.in_(chunk))))

    look_up()
    insert_missing(connection, table, [
        {'project_id': project_id}
        for project_id in sorted(wanted - found.keys())])
    look_up()
    return found


def _chunks(values: Sequence[Any],
            size: int = _SELECT_CHUNK) -> Iterable[Sequence[Any]]:
    for start in range(0, len(values), size):
        yield values[start:start + size]


# --- what each database calls it --------------------------------------------

def upsert(connection: sa.Connection, table: sa.Table,
           rows: Iterable[tuple[Any, ...]], *,
           add: tuple[str, ...] = (), replace: tuple[str, ...] = ()) -> None:
    """Insert rows, or add to and replace columns of those that are there.

    In the order of the primary key, so that writers of the same rows wait
    for each other and do not deadlock.  NULL and a number is the number.

    :param rows: of different primary keys, each with all columns in the
        order of the table, the primary key first.
    """
    ordered = sorted(rows)
    if not ordered:
        return
    dialect = connection.dialect.name
    if dialect in _MYSQL:
        _upsert_mysql(connection, table, ordered, add, replace)
    else:
        names = table.columns.keys()
        connection.execute(
            upsert_of(dialect, table, add, replace),
            [dict(zip(names, row, strict=True)) for row in ordered])


def insert_missing(connection: sa.Connection, table: sa.Table,
                   rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert the rows that no unique key holds already."""
    if rows:
        connection.execute(insert_missing_of(connection.dialect.name, table),
                           list(rows))


_MYSQL = ('mysql', 'mariadb')


def _upsert_mysql(connection: sa.Connection, table: sa.Table,
                  rows: Sequence[tuple[Any, ...]], add: tuple[str, ...],
                  replace: tuple[str, ...]) -> None:
    """Many rows in one statement, on MariaDB and MySQL alike.

    Drivers quote value by value, which takes longer than all the rest.
    Numbers need no quotes, so rows of nothing else become text at once.
    """
    text = _mysql_upsert(table, add, replace)
    if not _is_plain(rows):
        connection.exec_driver_sql(text, list(rows))
        return
    head, _, tail = text.partition(
        f'({", ".join(["%s"] * len(table.columns))})')
    for chunk in _chunks(rows, _ROWS_A_STATEMENT):
        # repr() of integers, None and plain words is SQL but for NULL.
        literals = ', '.join(map(repr, chunk)).replace('None', 'NULL')
        connection.exec_driver_sql(head + literals + tail)


def _is_plain(rows: Iterable[tuple[Any, ...]]) -> bool:
    """Whether rows are of integers, NULLs and lower-case words only."""
    return all(
        type(value) is int or value is None
        or (type(value) is str and value.isascii() and value.isalpha()
            and value.islower())
        for row in rows for value in row)


@functools.cache
def _mysql_upsert(table: sa.Table, add: tuple[str, ...],
                  replace: tuple[str, ...]) -> str:
    return str(upsert_of('mysql', table, add, replace).compile(
        dialect=mysql.dialect(paramstyle='format'),
        column_keys=table.columns.keys()))


@functools.cache
def upsert_of(dialect: str, table: sa.Table, add: tuple[str, ...],
              replace: tuple[str, ...]) -> sa.Insert:
    """The statement of :func:`upsert`."""
    if dialect in _MYSQL:
        insert = mysql.insert(table)
        return insert.on_duplicate_key_update(
            _changes(table, insert.inserted, add, replace))
    other = (postgresql.insert(table) if dialect == 'postgresql'
             else sqlite.insert(table))
    return other.on_conflict_do_update(
        index_elements=[column.name for column in table.primary_key],
        set_=_changes(table, other.excluded, add, replace))


def _changes(table: sa.Table, new: Any, add: tuple[str, ...],
             replace: tuple[str, ...]) -> dict[str, Any]:
    changes: dict[str, Any] = {name: new[name] for name in replace}
    for name in add:
        old = table.c[name]
        changes[name] = (
            sa.func.coalesce(old + new[name], old, new[name])
            if old.nullable else old + new[name])
    return changes


@functools.cache
def insert_missing_of(dialect: str, table: sa.Table) -> sa.Insert:
    """The statement of :func:`insert_missing`."""
    if dialect in _MYSQL:
        # Not INSERT IGNORE, which ignores more than duplicates.
        return mysql.insert(table).on_duplicate_key_update(id=table.c.id)
    insert = (postgresql.insert(table) if dialect == 'postgresql'
              else sqlite.insert(table))
    return insert.on_conflict_do_nothing()
