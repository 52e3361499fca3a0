# SPDX-License-Identifier: Apache-2.0
"""What windows add to the buckets of accounts, projects, hosts and zones.

Whether a window may be added at all is judged before (``writes``); sums are
asked for in ``usage``.  Each table of buckets is filled here and only here.
"""

from __future__ import annotations

import collections
from collections.abc import Iterable
from typing import Any

import sqlalchemy as sa

from energy_accounting import samples, units
from energy_accounting.ledger import accounts, bulk, models

_HOST_MEASURES = ('measured_ns', 'backfilled_ns', 'busy_ns', 'capacity_ns',
                  'idle_uj')


class Added:
    """What the windows of one host add, until it is written.

    :param owner_of: who owns an instance whose record does not say so.
    """

    def __init__(self, owner_of: accounts.OwnerOf) -> None:
        self._owner_of = owner_of
        self._accounts: dict[tuple[int, samples.Account], list[Any]] = {}
        self._hosts: dict[int, list[int]] = {}
        self._said: dict[int, tuple[str, str, int | None]] = {}
        self._zones: dict[tuple[int, str], int] = collections.defaultdict(int)

    def add(self, window: samples.Window) -> None:
        for part in window.parts:
            bucket = part.bucket
            for zone, energy_uj in part.zones_uj.items():
                self._zones[bucket, zone] += energy_uj
            increase(self._hosts, bucket, [
                part.measured_ns,
                part.measured_ns if part.backfilled else 0,
                part.busy_ns, part.capacity_ns, part.idle_uj])
            self._said[bucket] = (window.policy, window.idle_kind,
                                  window.idle_power_uw)
            for share in part.shares:
                account = accounts.owned(share.account, self._owner_of)
                increase(self._accounts, (bucket, account),
                         _measures(share, part.backfilled))

    def recipients(self) -> set[samples.Account]:
        """The accounts whose ids writing needs."""
        return {account for _, account in self._accounts}

    def write_own(self, connection: sa.Connection, host_id: int,
                  ids: accounts.Ids, *, newest: bool = True) -> None:
        """The rows that belong to this host alone.

        :param newest: whether nothing newer of the host is booked, so that
            what was said of a bucket gives way.
        """
        bulk.upsert(connection, models.account_buckets, [
            (ids[account].account_id, bucket, host_id, *numbers)
            for (bucket, account), numbers in self._accounts.items()],
            add=models.MEASURES)
        bulk.upsert(connection, models.host_buckets, [
            (host_id, bucket, *numbers, *self._said[bucket])
            for bucket, numbers in self._hosts.items()],
            add=_HOST_MEASURES,
            replace=('policy', 'idle_kind', 'idle_power_uw') if newest
            else ())
        bulk.upsert(connection, models.zone_buckets, [
            (host_id, bucket, zone, energy_uj)
            for (bucket, zone), energy_uj in self._zones.items()],
            add=('energy_uj',))

    def write_shared(self, connection: sa.Connection, site_id: int,
                     boundary: str, ids: accounts.Ids) -> None:
        """The rows that hosts of a site add to together."""
        rows: dict[tuple[int, int], list[Any]] = {}
        for (bucket, account), numbers in self._accounts.items():
            increase(rows, (ids[account].project_ref, bucket), numbers)
        bulk.upsert(connection, models.project_buckets, [
            (project_ref, bucket, site_id, boundary, *numbers)
            for (project_ref, bucket), numbers in rows.items()],
            add=models.MEASURES)


def increase(rows: dict[Any, list[Any]], key: Any,
             numbers: Iterable[Any]) -> None:
    """Add numbers to a row; None and a number is the number."""
    row = rows.get(key)
    if row is None:
        rows[key] = list(numbers)
        return
    for index, number in enumerate(numbers):
        if number:
            row[index] = (row[index] or 0) + number
        elif row[index] is None:
            row[index] = number


def _measures(share: samples.Share, backfilled: bool) -> list[Any]:
    """A share in the order of :data:`models.MEASURES`."""
    return [share.active_uj, share.idle_uj, share.memory_uj, share.host_uj,
            None, share.energy_uj if backfilled else 0,
            share.cpu_ns, share.vcpu_ns,
            (share.memory_mib_ns + units.NS_PER_S // 2) // units.NS_PER_S]
