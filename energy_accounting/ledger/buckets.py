# SPDX-License-Identifier: Apache-2.0
"""What windows add to the buckets of accounts, projects, hosts and zones.

Whether a window may be added at all is judged before (``writes``); sums are
asked for in ``usage``.  Each table of buckets is filled here and only here.
"""

from __future__ import annotations

import collections
from collections.abc import Collection, Iterable
from typing import Any, NamedTuple

import sqlalchemy as sa

from energy_accounting import samples, units
from energy_accounting.ledger import accounts, boundaries, bulk, models

_HOST_MEASURES = ('measured_ns', 'backfilled_ns', 'busy_ns', 'capacity_ns',
                  'idle_uj')


_PLATFORM = models.MEASURES.index('platform_uj')


class _Said(NamedTuple):
    """What a window says of the buckets it adds to."""

    policy: str
    idle_kind: str
    idle_power_uw: int | None


class Added:
    """What the windows of one host add, until it is written.

    :param owner_of: who owns an instance whose record does not say so.
    """

    def __init__(self, owner_of: accounts.OwnerOf) -> None:
        self._owner_of = owner_of
        self._accounts: dict[tuple[int, samples.Account], list[Any]] = {}
        self._hosts: dict[int, list[int]] = {}
        self._said: dict[int, _Said] = {}
        # By bucket, what shares have of the platform term; told by what is
        # booked of it already.
        self._terms_uj: dict[int, int | None] = {}
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
            said = _Said(window.policy, window.idle_kind,
                         window.idle_power_uw)
            self._said[bucket] = _follows(
                self._said.get(bucket, said).policy, said)
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
        self._find_terms(connection, host_id)
        bulk.upsert(connection, models.account_buckets, [
            (ids[account].account_id, bucket, host_id,
             *self._with_term(bucket, numbers))
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
                     ids: accounts.Ids) -> None:
        """The rows that hosts of a site add to together.

        After :meth:`write_own`.
        """
        rows: dict[tuple[int, int], list[Any]] = {}
        for (bucket, account), numbers in self._accounts.items():
            increase(rows, (ids[account].project_ref, bucket),
                     self._with_term(bucket, numbers))
        bulk.upsert(connection, models.project_buckets, [
            (project_ref, bucket, site_id,
             boundaries.of_term(self._terms_uj[bucket]), *numbers)
            for (project_ref, bucket), numbers in rows.items()],
            add=models.MEASURES)

    def _find_terms(self, connection: sa.Connection, host_id: int) -> None:
        """What all rows of a bucket have, late ones too.

        None: no node meter is known to cover it.  Else 0: what is beyond
        the zones is divided later, or nothing is.
        """
        hosts, terms = models.host_buckets, models.platform_buckets
        begun: set[int] = set()
        divided: set[int] = set()
        for row in bulk.find(
                connection, sa.select(
                    hosts.c.bucket, hosts.c.policy, terms.c.platform_uj,
                    terms.c.outdated)
                .join_from(hosts, terms, sa.and_(
                    terms.c.host_id == hosts.c.host_id,
                    terms.c.bucket == hosts.c.bucket), isouter=True)
                .where(hosts.c.host_id == host_id),
                hosts.c.bucket, self._hosts):
            begun.add(row.bucket)
            if row.outdated == 0:
                divided.add(row.bucket)
            self._said[row.bucket] = _follows(row.policy,
                                              self._said[row.bucket])
            if row.platform_uj is not None:
                self._terms_uj[row.bucket] = 0
        for bucket, said in self._said.items():
            self._terms_uj.setdefault(bucket, (
                0 if samples.is_of_node(said.policy) else None))
        # A node meter may have seen what nothing was booked of.
        divided.update(row.bucket for row in bulk.find(
            connection, sa.select(terms.c.bucket).where(
                terms.c.host_id == host_id, terms.c.outdated == 0),
            terms.c.bucket, self._hosts.keys() - begun))
        _outdate(connection, host_id, divided)

    def _with_term(self, bucket: int, numbers: list[Any]) -> list[Any]:
        return [*numbers[:_PLATFORM], self._terms_uj[bucket],
                *numbers[_PLATFORM + 1:]]


def _outdate(connection: sa.Connection, host_id: int,
             divided: Collection[int]) -> None:
    """Let the platform term of buckets be found as outdated.

    Once until it is divided again, and only of what was divided.
    """
    if divided:
        table = models.platform_buckets
        connection.execute(
            sa.update(table).where(table.c.host_id == host_id,
                                   table.c.bucket == sa.bindparam('b'))
            .values(outdated=1),
            [{'b': bucket} for bucket in sorted(divided)])


def _follows(policy: str, said: _Said) -> _Said:
    """What counts of a bucket that was begun by a policy.

    All rows of a bucket reach equally far: where an operator changes from
    RAPL to a node meter or back within it, it stays what it was.
    """
    if samples.is_of_node(policy) == samples.is_of_node(said.policy):
        return said
    return said._replace(policy=policy)


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
