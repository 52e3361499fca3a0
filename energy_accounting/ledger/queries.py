# SPDX-License-Identifier: Apache-2.0
"""What usage is asked of the ledger, and what it answers: plain facts.

The shared words of the modules that answer it.  No SQL beyond a range of
buckets, no default, no check of what a caller wrote.
"""

from __future__ import annotations

import dataclasses
import datetime
import itertools
from collections.abc import Mapping

import sqlalchemy as sa

GROUPS = {
    'project': 'project_id', 'domain': 'domain_id',
    'instance': 'instance_id', 'flavor': 'flavor', 'site': 'site',
    'region': 'region', 'boundary': 'boundary', 'host': 'host',
    'account': 'account', 'user': 'user_id'}
"""What usage can be grouped and filtered by, and the key in the row."""

OF_OWNERS = frozenset(
    {'project', 'domain', 'instance', 'flavor', 'account', 'user'})
"""Those that say whose the energy is, and not where it was used."""

NONE = 'none'
"""Asked for as a group: no groups, one sum of all."""

SORTS = {'start': 'period', 'it_kwh': 'it_uj', 'active_kwh': 'active_uj',
         'idle_kwh': 'idle_uj', 'memory_kwh': 'memory_uj',
         'host_kwh': 'host_uj', 'platform_kwh': 'platform_uj'}
"""The columns a reader may sort by, and the sum behind each."""


@dataclasses.dataclass(frozen=True, slots=True)
class UsageQuery:
    """What is asked, checked and in the ledger's own units.

    :ivar start, end: buckets, half open.
    :ivar group_by, filters: names of :data:`GROUPS`; an empty filter value
        stands for "none" (no project, no region).
    :ivar as_of_ns: claims made later are not seen.
    :ivar sort: a name of :data:`SORTS`.
    :ivar after: :attr:`LedgerSum.position` of the row before the first.
    :ivar between: the first and the last keys, as :attr:`leading` has
        them, of the owners that are looked at; None: all.
    """

    start: int
    end: int
    resolution: str
    where: datetime.tzinfo
    group_by: tuple[str, ...]
    filters: Mapping[str, str]
    as_of_ns: int
    limit: int
    sort: str = 'start'
    descending: bool = False
    after: tuple[int | str, ...] | None = None
    between: tuple[tuple[str, ...], tuple[str, ...]] | None = None

    @property
    def leading(self) -> tuple[str, ...]:
        """The groups that the order of keys begins with and owners have."""
        return tuple(itertools.takewhile(OF_OWNERS.__contains__,
                                         self.group_by))

    def covers(self, bucket: sa.ColumnElement[int]) -> sa.ColumnElement[bool]:
        return sa.and_(bucket >= self.start, bucket < self.end)


@dataclasses.dataclass(frozen=True, slots=True)
class LedgerSum:
    """One row of sums.

    :ivar period: number of the calendar period, the same in every query
        over the same range, zone and resolution.
    :ivar first: the first bucket that was summed.
    :ivar keys: as :attr:`UsageQuery.group_by`; '' where there is none.
    :ivar peak_uj: the highest sum of one bucket, backfilled energy left
        out; None when all of it is backfilled.
    :ivar missing_ms2: vCPU time (ms) times the time (ms) its bucket was
        not measured, over the hosts' buckets that are not whole; None
        when the rows by account that tell it were dropped.
    :ivar boundaries, policies: the least and the greatest of them; the
        policies None when they are not known.
    :ivar position: where the row stands in the order that was asked for.
    :ivar row: the period and the numbers that stand for the keys in the
        ledger as it is read now; not part of what the row says.
    """

    period: int
    first: int
    keys: tuple[str, ...]
    active_uj: int
    idle_uj: int
    memory_uj: int | None
    host_uj: int
    platform_uj: int | None
    backfilled_uj: int
    vcpu_ns: int
    peak_uj: int | None
    missing_ms2: int | None
    boundaries: tuple[str, str]
    policies: tuple[str, str] | None
    position: tuple[int | str, ...]
    row: tuple[int, ...] = dataclasses.field(compare=False)

    @property
    def it_uj(self) -> int:
        return (self.active_uj + self.idle_uj + (self.memory_uj or 0)
                + self.host_uj + (self.platform_uj or 0))
