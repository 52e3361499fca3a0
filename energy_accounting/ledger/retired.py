# SPDX-License-Identifier: Apache-2.0
"""What stays of rows by instance that were kept long enough.

The balance sheet needs their energy by host and kind as long as it needs
what the zones measured; the projects need what they claimed.  How long rows
are kept is the caller's to say (``purge``).
"""

from __future__ import annotations

import collections
from collections.abc import Iterable, Mapping
from typing import Any

import sqlalchemy as sa
from oslo_db import exception as db_exception

from energy_accounting import errors, samples
from energy_accounting.ledger import (
    boundaries,
    buckets,
    bulk,
    models,
    terms,
)

_ROWS = 5000


def kept_since(connection: sa.Connection) -> int:
    """The first bucket of which no row by instance was dropped; or 0."""
    newest = connection.scalar(
        sa.select(sa.func.max(models.retired_buckets.c.bucket)))
    return 0 if newest is None else int(newest) + 1


def retire(connection: sa.Connection, host_id: int, limit: int) -> int:
    """Drop some account rows of a host from before a bucket; how many.

    In the caller's transaction their energy goes to ``retired_buckets``
    and what was claimed goes to its owner for good: the accounts' rows
    told it from what nobody claimed.
    """
    # Held until the end, as by a collector that books for this host.
    host = connection.execute(
        sa.select(models.hosts.c.site_id)
        .where(models.hosts.c.id == host_id).with_for_update()).one()
    table = models.account_buckets
    mine = table.c.host_id == host_id
    buckets_ = sa.select(table.c.bucket).where(
        mine, table.c.bucket < limit).order_by(table.c.bucket).limit(1)
    oldest = connection.scalar(buckets_)
    if oldest is None:
        return 0
    # Whole buckets: they are dropped by their range.
    after = connection.scalar(buckets_.offset(_ROWS))
    before = limit if after is None else max(after, oldest + 1)
    slice_ = sa.and_(mine, table.c.bucket < before)
    rows = connection.execute(
        sa.select(table).where(slice_).with_for_update()).all()
    accounts = _accounts(connection, rows)
    _keep_energy(connection, rows, accounts)
    _settle(connection, rows, accounts, host.site_id)
    gone = connection.execute(sa.delete(table).where(slice_)).rowcount
    if gone != len(rows):
        raise db_exception.RetryRequest(errors.Unavailable(
            'rows that are dropped were changed by somebody else meanwhile'))
    return gone


def _accounts(connection: sa.Connection, rows: Iterable[sa.Row[Any]],
              ) -> dict[int, sa.Row[Any]]:
    table = models.accounts
    return {row.id: row for row in bulk.find(
        connection, sa.select(table.c.id, table.c.kind, table.c.name,
                              table.c.project_ref),
        table.c.id, {row.account_id for row in rows})}


def _keep_energy(connection: sa.Connection, rows: Iterable[sa.Row[Any]],
                 accounts: Mapping[int, sa.Row[Any]]) -> None:
    found: dict[tuple[int, int, str, str], int] = collections.Counter()
    for row in rows:
        account = accounts[row.account_id]
        name = ('' if account.kind == samples.INSTANCE
                else account.name or '')
        found[row.host_id, row.bucket, account.kind, name] += sum(
            getattr(row, term) or 0 for term in terms.TERMS)
    bulk.upsert(connection, models.retired_buckets,
                [(*key, energy_uj) for key, energy_uj in found.items()],
                add=('energy_uj',))


def _settle(connection: sa.Connection, rows: Iterable[sa.Row[Any]],
            accounts: Mapping[int, sa.Row[Any]], site_id: int) -> None:
    """Move what the newest claim of each account says, in the sums."""
    claims = models.claims
    owners = {claim.account_id: claim.project_ref for claim in bulk.find(
        connection, sa.select(claims.c.account_id, claims.c.project_ref)
        .order_by(claims.c.claimed_at_ns, claims.c.id),
        claims.c.account_id, accounts)}
    moved: dict[tuple[int, int, str], list[Any]] = {}
    for row in rows:
        booked = accounts[row.account_id].project_ref
        owner = owners.get(row.account_id, booked)
        if owner == booked:
            continue
        numbers = [getattr(row, name) for name in models.MEASURES]
        boundary = boundaries.of_term(row.platform_uj)
        buckets.increase(moved, (owner, row.bucket, boundary), numbers)
        buckets.increase(moved, (booked, row.bucket, boundary), [
            None if number is None else -number for number in numbers])
    bulk.upsert(connection, models.project_buckets, [
        (project_ref, bucket, site_id, boundary, *numbers)
        for (project_ref, bucket, boundary), numbers in moved.items()],
        add=models.MEASURES)
