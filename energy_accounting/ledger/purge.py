# SPDX-License-Identifier: Apache-2.0
"""Drops what was kept long enough, a slice of a table per transaction.

Sums by project outlive rows by instance; user ids outlive nothing.  What is
held in quarantine stays until somebody decides about it, but without user
ids: its text is no longer the one that was signed then.  Each transaction
leaves a ledger that balances.  All is read where it is written: a replica
that lags must not decide what goes.  Deciding how long is the caller's; no
clock here.
"""

from __future__ import annotations

import collections
import hashlib
from collections.abc import Sequence
from typing import NamedTuple

import sqlalchemy as sa

from energy_accounting import samples, units, wire
from energy_accounting.ledger import (
    accounts,
    bulk,
    engine,
    models,
    retired,
)
from energy_accounting.ledger import quarantine as records

DAY_NS = 24 * 3600 * units.NS_PER_S
DAY_BUCKETS = 96
# Longer than any spool re-sends on its own, and more.
ACKNOWLEDGED_DAYS = 14
_ROWS = 1000


class Retention(NamedTuple):
    """Days to keep rows by instance, sums by project, user ids."""

    instance_days: int
    project_days: int
    user_days: int


def purge(database: engine.Database, retention: Retention,
          now_ns: int) -> dict[str, int]:
    """Drop what is older; how many rows went, by table.

    May be stopped and repeated at any time.

    :raises errors.Unavailable: the database is away; what went is gone.
    """
    project_bucket = units.bucket_of(
        now_ns - retention.project_days * DAY_NS)
    # No longer than what the zones measured, or there were no balance.
    instance_bucket = max(project_bucket, units.bucket_of(
        now_ns - retention.instance_days * DAY_NS))
    host_ids = database.write(_ids, models.hosts.c.id)
    gone = collections.Counter({table.name: 0 for table in _BALANCED})
    for host_id in host_ids:
        while count := database.write(retired.retire, host_id,
                                      instance_bucket):
            gone['account_buckets'] += count
    for host_id in host_ids:
        while counts := database.write(_drop_of_host, host_id,
                                       project_bucket):
            gone.update(counts)
    for column, owner, limit, step in (
            (models.project_buckets.c.bucket, 'project_ref', project_bucket,
             30 * DAY_BUCKETS),
            (models.gaps.c.start_ns, 'host_id',
             now_ns - retention.project_days * DAY_NS, 30 * DAY_NS)):
        gone[column.table.name] = _drop(database, column, owner, limit, step)
    gone['acknowledged'] = _drop_acknowledged(
        database, now_ns - ACKNOWLEDGED_DAYS * DAY_NS)
    gone['audit'] = _drop_audit(
        database, now_ns - retention.project_days * DAY_NS)
    gone['user_ids'] = _forget_users(
        database, now_ns - retention.user_days * DAY_NS)
    return dict(gone)


_BALANCED = (models.account_buckets, models.host_buckets,
             models.zone_buckets, models.platform_buckets,
             models.retired_buckets)
"""The rows of a host that the balance needs together."""


def _drop_of_host(connection: sa.Connection, host_id: int, limit: int,
                  ) -> dict[str, int]:
    """Drop a host's oldest day of all that balances; how many rows.

    Both sides of the balance go in one transaction, also where a window
    that came late added to them after its time.
    """
    connection.execute(
        sa.select(models.hosts.c.id).where(models.hosts.c.id == host_id)
        .with_for_update()).one()
    oldest = min((bucket for table in _BALANCED if (bucket := _lowest(
        connection, table.c.bucket, table.c.host_id == host_id))
        is not None), default=limit)
    if oldest >= limit:
        return {}
    before = min(oldest + DAY_BUCKETS, limit)
    return {table.name: connection.execute(
        sa.delete(table).where(table.c.host_id == host_id,
                               table.c.bucket < before)).rowcount
            for table in _BALANCED}


def _drop(database: engine.Database, column: sa.Column[int], owner: str,
          limit: int, step: int) -> int:
    """Drop rows whose column is below a limit, owner by owner."""
    owners = {'host_id': models.hosts,
              'project_ref': models.projects}[owner]
    gone = 0
    for owner_id in database.write(_ids, owners.c.id):
        mine = column.table.c[owner] == owner_id
        while count := database.write(_drop_slice, column, mine, limit,
                                      step):
            gone += count
    return gone


def _drop_acknowledged(database: engine.Database, limit_ns: int) -> int:
    """Drop what was acknowledged; not what decisions have to know of."""
    column, gone = models.acknowledged.c.received_ns, 0
    for stream_id in database.write(_ids, models.streams.c.id):
        mine = database.write(_undisputed, stream_id)
        while count := database.write(_drop_slice, column, mine, limit_ns,
                                      DAY_NS):
            gone += count
    return gone


def _undisputed(connection: sa.Connection,
                stream_id: int) -> sa.ColumnElement[bool]:
    """The records of a stream whose time no record of its host claims.

    None of those that are held, and an operator may yet believe.
    """
    rows, held = models.acknowledged.c, models.quarantine.c
    hosts, streams = models.hosts.c, models.streams.c
    mine = rows.stream_id == stream_id
    claims = [sa.and_(rows.boot_id == boot_id,
                      rows.boottime_start_ns < end_ns,
                      rows.boottime_end_ns > start_ns)
              for boot_id, start_ns, end_ns in connection.execute(
                  sa.select(held.boot_id, sa.func.min(held.boottime_start_ns),
                            sa.func.max(held.boottime_end_ns))
                  .select_from(sa.join(
                      models.quarantine, models.hosts,
                      hosts.name == held.host_name).join(
                          models.streams, streams.host_id == hosts.id))
                  .where(streams.id == stream_id,
                         held.state == models.HELD, records.own(),
                         held.boot_id.is_not(None))
                  .group_by(held.boot_id))]
    if not claims:
        return mine
    return sa.and_(mine, sa.or_(rows.boot_id.is_(None),
                                sa.not_(sa.or_(*claims))))


def _drop_audit(database: engine.Database, limit_ns: int) -> int:
    gone = 0
    while count := database.write(
            _drop_slice, models.audit.c.at_ns, sa.true(), limit_ns,
            30 * DAY_NS):
        gone += count
    return gone


def _drop_slice(connection: sa.Connection, column: sa.Column[int],
                mine: sa.ColumnElement[bool], limit: int, step: int) -> int:
    """Drop some of an owner's rows, the oldest first; how many."""
    oldest = _lowest(connection, column, mine)
    if oldest is None or oldest >= limit:
        return 0
    return connection.execute(sa.delete(column.table).where(
        mine, column < min(oldest + step, limit))).rowcount


def _ids(connection: sa.Connection, column: sa.Column[int],
         *conditions: sa.ColumnElement[bool]) -> Sequence[int]:
    return connection.scalars(
        sa.select(column).where(*conditions).order_by(column)).all()


def _lowest(connection: sa.Connection, column: sa.Column[int],
            condition: sa.ColumnElement[bool]) -> int | None:
    return connection.scalar(
        sa.select(sa.func.min(column)).where(condition))


def _run(connection: sa.Connection, statement: sa.Delete | sa.Update) -> int:
    return connection.execute(statement).rowcount


# --- user ids ---------------------------------------------------------------

def _forget_users(database: engine.Database, user_ns: int) -> int:
    """Take user ids off what is older; how many places had one.

    An account that was not used since loses its user id.  Of one that
    still is, the old rows move to the same account without a user.
    """
    bucket = units.bucket_of(user_ns)
    claims, names, quarantine = (
        models.claims, models.names, models.quarantine)
    gone = 0
    for account_id in database.write(
            _ids, models.accounts.c.id,
            models.accounts.c.user_id.is_not(None)):
        while moved := database.write(_move_rows, account_id, bucket):
            gone += moved
        gone += database.write(_forget_user, account_id, bucket)
    gone += database.write(
        _run, sa.update(claims)
        .where(claims.c.user_id.is_not(None),
               claims.c.claimed_at_ns < user_ns).values(user_id=None))
    gone += database.write(
        _run, sa.delete(names).where(names.c.kind == 'user',
                                     names.c.valid_to_ns < user_ns))
    for row_id in database.write(_ids, quarantine.c.id,
                                quarantine.c.received_ns < user_ns):
        gone += database.write(_forget_in_record, row_id)
    return gone


def _move_rows(connection: sa.Connection, account_id: int,
               bucket: int) -> int:
    """Move some old rows of an account that is still used."""
    table = models.account_buckets
    mine = table.c.account_id == account_id
    if not _used_since(connection, account_id, bucket):
        return 0
    # Locked: a window that came late must not be counted on a row that
    # is being moved.
    rows = connection.execute(
        sa.select(table).where(mine, table.c.bucket < bucket)
        .order_by(table.c.bucket, table.c.host_id).limit(_ROWS)
        .with_for_update()).all()
    if not rows:
        return 0
    account = connection.execute(
        sa.select(models.accounts, models.projects.c.project_id)
        .join(models.projects,
              models.projects.c.id == models.accounts.c.project_ref)
        .where(models.accounts.c.id == account_id)).one()
    nobody = accounts.id_of(connection, samples.Account(
        account.kind, account.instance_id, account.project_id or None,
        account.flavor, None, account.name))
    _copy_claims(connection, account_id, nobody)
    bulk.upsert(connection, table, [(nobody, *row[1:]) for row in rows],
                add=models.MEASURES)
    connection.execute(
        sa.delete(table).where(mine, table.c.bucket == sa.bindparam('b'),
                               table.c.host_id == sa.bindparam('h')),
        [{'b': row.bucket, 'h': row.host_id} for row in rows])
    return len(rows)


def _copy_claims(connection: sa.Connection, source: int,
                 target: int) -> None:
    """Give an account the claims of another, unless it has some."""
    claims = models.claims
    if connection.execute(sa.select(claims.c.id).where(
            claims.c.account_id == target)).first() is None:
        connection.execute(sa.insert(claims).from_select(
            ['account_id', 'project_ref', 'flavor', 'claimed_at_ns'],
            sa.select(sa.literal(target), claims.c.project_ref,
                      claims.c.flavor, claims.c.claimed_at_ns)
            .where(claims.c.account_id == source)))


def _forget_user(connection: sa.Connection, account_id: int,
                 bucket: int) -> int:
    """Take the user off an account that is not used any more.

    The row stays: somebody may remember its id.  It cannot be found by
    what it was any more, so that a user who comes back gets a new one.
    """
    if _used_since(connection, account_id, bucket):
        return 0
    table = models.accounts
    forgotten = hashlib.sha256(f'forgotten/{account_id}'.encode())
    return connection.execute(
        sa.update(table).where(table.c.id == account_id)
        .values(user_id=None, digest=forgotten.hexdigest())).rowcount


def _used_since(connection: sa.Connection, account_id: int,
                bucket: int) -> bool:
    table = models.account_buckets
    return connection.execute(
        sa.select(table.c.bucket)
        .where(table.c.account_id == account_id, table.c.bucket >= bucket)
        .limit(1)).first() is not None


def _forget_in_record(connection: sa.Connection, row_id: int) -> int:
    table = models.quarantine
    mine = table.c.id == row_id
    text = connection.scalar(sa.select(table.c.payload).where(mine))
    if text is None:
        return 0
    # In what cannot be read one may be anywhere: nothing of it is kept.
    anonymous = wire.without_users(text) or ''
    if anonymous == text:
        return 0
    return connection.execute(
        sa.update(table).where(mine).values(payload=anonymous)).rowcount
