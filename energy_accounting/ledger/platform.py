# SPDX-License-Identifier: Apache-2.0
"""The platform term in the rows of a host's accounts and their projects.

What a host's node meters saw beyond RAPL in a bucket is divided over the
accounts as package and DRAM energy went: a pure function of that amount and
of the rows.  Written again it takes the place of what was written before,
and projects get the difference, so that it may follow whatever comes late.
How much it is follows from the meters (``facility.node_energy``).  No clock.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import sqlalchemy as sa
from oslo_db import exception as db_exception

from energy_accounting import errors, samples, units
from energy_accounting.ledger import (
    accounts,
    boundaries,
    buckets,
    bulk,
    coverage,
    models,
)

REASON = 'platform'
"""Of ``unallocated``: package and DRAM used nothing that anybody has."""


class Rapl(NamedTuple):
    """What is booked of a bucket of a host.

    :ivar whole: whether every zone was measured, all of the time.
    :ivar of_node: whether it is the energy of the whole node: then nothing
        is known to be beyond it.
    """

    energy_uj: int
    measured_ns: int
    whole: bool
    of_node: bool = False

    @property
    def unknown_uj(self) -> int | None:
        """What rows have of a term that is not known."""
        return 0 if self.of_node else None


class Written(NamedTuple):
    """What became of the buckets of a call.

    :ivar changed: buckets whose term was written.
    :ivar refused: buckets whose rows by account were dropped: what is there
        of them stays.
    """

    changed: int
    refused: int


NOTHING = Rapl(0, 0, False)
_PLATFORM = models.MEASURES.index('platform_uj')


def locked(connection: sa.Connection, host_id: int) -> sa.Row[Any]:
    """The host's row, ours until the transaction ends, as in booking."""
    return connection.execute(
        sa.select(models.hosts).where(models.hosts.c.id == host_id)
        .with_for_update()).one()


def rapl(connection: sa.Connection, host_id: int, start: int,
         end: int) -> dict[int, Rapl]:
    """What is booked of each bucket of [start, end) of a host."""
    zones, hosts = models.zone_buckets.c, models.host_buckets.c
    energy_uj = {bucket: int(sum_uj) for bucket, sum_uj in connection.execute(
        sa.select(zones.bucket, sa.func.sum(zones.energy_uj)).where(
            zones.host_id == host_id, zones.bucket >= start,
            zones.bucket < end).group_by(zones.bucket))}
    broken = _broken(connection, host_id, start, end)
    return {bucket: Rapl(
        energy_uj.get(bucket, 0), measured_ns,
        measured_ns >= coverage.WHOLE_NS and bucket not in broken,
        samples.is_of_node(policy))
        for bucket, measured_ns, policy in connection.execute(
            sa.select(hosts.bucket, hosts.measured_ns, hosts.policy).where(
                hosts.host_id == host_id, hosts.bucket >= start,
                hosts.bucket < end))}


def _broken(connection: sa.Connection, host_id: int, start: int,
            end: int) -> set[int]:
    """Buckets in which a zone was not measured while others were."""
    gaps = models.gaps.c
    start_ns, end_ns = start * units.BUCKET_NS, end * units.BUCKET_NS
    found: set[int] = set()
    for first_ns, last_ns in connection.execute(
            sa.select(gaps.start_ns, gaps.end_ns).where(
                gaps.host_id == host_id, gaps.zone.is_not(None),
                gaps.start_ns < end_ns, sa.or_(
                    gaps.end_ns.is_(None), gaps.end_ns > start_ns))):
        last_ns = end_ns if last_ns is None else min(last_ns, end_ns)
        found.update(range(
            units.bucket_of(max(first_ns, start_ns)),
            units.bucket_of(last_ns - 1) + 1))
    return found


def outdated(connection: sa.Connection, host_id: int) -> list[int]:
    """Buckets of which more was booked since their term was written."""
    rows = models.platform_buckets.c
    return list(connection.scalars(
        sa.select(rows.bucket).where(
            rows.host_id == host_id, rows.outdated == 1)
        .order_by(rows.bucket)))


def divided(connection: sa.Connection, host_id: int) -> list[int]:
    """Every bucket of which node meters have seen something."""
    rows = models.platform_buckets.c
    return list(connection.scalars(
        sa.select(rows.bucket).where(rows.host_id == host_id)))


# --- writing ----------------------------------------------------------------

def write(connection: sa.Connection, host: sa.Row[Any],
          booked: Mapping[int, Rapl],
          seen: Mapping[int, tuple[int, int | None]],
          wanted: Collection[int]) -> Written:
    """Bring the term of some buckets to what was seen of them.

    Writes what is different and nothing else.

    :param host: as :func:`locked` gave it, in this transaction.
    :param booked: as :func:`rapl` gave it since.
    :param seen: by bucket, what node meters saw and what of it is platform
        (None: unknown); a bucket that is not there was not seen.
    """
    table = models.platform_buckets
    became = {bucket: _row(bucket, booked, seen) for bucket in wanted}
    was = {row.bucket: row[1:] for row in bulk.find(
        connection, sa.select(table).where(table.c.host_id == host.id),
        table.c.bucket, wanted)}
    changed = {bucket for bucket, row in became.items()
               if row != was.get(bucket)}
    refused = _dropped(connection, host.id, changed)
    changed -= refused
    if changed:
        _divide(connection, host, booked, {
            bucket: None if (row := became[bucket]) is None else row[-1]
            for bucket in changed})
        _keep(connection, host.id, {
            bucket: became[bucket] for bucket in changed})
    return Written(len(changed), len(refused))


def _row(bucket: int, booked: Mapping[int, Rapl],
         seen: Mapping[int, tuple[int, int | None]],
         ) -> tuple[int, int, int, int, int, int | None] | None:
    """What ``platform_buckets`` is to have of a bucket; None: nothing."""
    if bucket not in seen:
        return None
    node_uj, platform_uj = seen[bucket]
    of_rapl = booked.get(bucket, NOTHING)
    return (bucket, node_uj, of_rapl.energy_uj, of_rapl.measured_ns,
            0, platform_uj)


def _dropped(connection: sa.Connection, host_id: int,
             wanted: Collection[int]) -> set[int]:
    """Buckets of which rows by account were dropped.

    Whose they were nobody can tell any more.
    """
    gone = models.retired_buckets.c
    return {row.bucket for row in bulk.find(
        connection, sa.select(gone.bucket).where(gone.host_id == host_id),
        gone.bucket, wanted)}


def _keep(connection: sa.Connection, host_id: int,
          rows: Mapping[int, tuple[Any, ...] | None]) -> None:
    """What was divided: the other side of the balance."""
    table = models.platform_buckets
    bulk.upsert(connection, table, [
        (host_id, *row) for row in rows.values() if row is not None],
        replace=('node_uj', 'rapl_uj', 'measured_ns', 'outdated',
                 'platform_uj'))
    gone = sorted(bucket for bucket, row in rows.items() if row is None)
    if gone:
        connection.execute(
            sa.delete(table).where(table.c.host_id == host_id,
                                   table.c.bucket == sa.bindparam('b')),
            [{'b': bucket} for bucket in gone])


def _divide(connection: sa.Connection, host: sa.Row[Any],
            booked: Mapping[int, Rapl],
            terms: Mapping[int, int | None]) -> None:
    """Divide a host's terms over its accounts, and tell their projects."""
    table = models.account_buckets
    by_bucket: dict[int, list[sa.Row[Any]]] = {
        bucket: [] for bucket in terms}
    # Locked: whoever moves rows to another account must have done so.
    for row in bulk.find(
            connection, sa.select(table).where(table.c.host_id == host.id)
            .with_for_update(), table.c.bucket, terms):
        by_bucket[row.bucket].append(row)
    owners = {row.id: row for row in _owners(connection, (
        row.account_id for rows in by_bucket.values() for row in rows))}
    nobody = _nobody(connection, owners, any(
        terms[bucket] and not any(map(_energy_uj, rows))
        for bucket, rows in by_bucket.items()))
    became: dict[tuple[int, int], int | None] = {}
    unused = []
    for bucket, rows in by_bucket.items():
        # By what an account is, not by its number: whoever was seen first
        # has the lower one.
        rows.sort(key=lambda row: owners[row.account_id].digest)
        weights = [_energy_uj(row) for row in rows]
        _check(host, bucket, sum(weights), booked)
        term_uj = terms[bucket]
        unknown_uj = booked.get(bucket, NOTHING).unknown_uj
        shares: list[int | None] = [*share(term_uj, weights)] or [
            unknown_uj if term_uj is None else 0] * len(rows)
        became |= {(row.account_id, bucket): amount for row, amount
                   in zip(rows, shares, strict=True)}
        if term_uj and not any(weights):
            became[nobody, bucket] = term_uj
        elif any(row.account_id == nobody and not any(
                row._mapping[name] for name in models.MEASURES
                if name != 'platform_uj') for row in rows):
            became[nobody, bucket] = None
            unused.append(bucket)
    bulk.upsert(connection, table, [
        (account_id, bucket, host.id, *_only(amount))
        for (account_id, bucket), amount in became.items()],
        replace=('platform_uj',))
    if unused:
        connection.execute(
            sa.delete(table).where(table.c.account_id == nobody,
                                   table.c.bucket == sa.bindparam('b'),
                                   table.c.host_id == host.id),
            [{'b': bucket} for bucket in unused])
    _tell_projects(connection, host, {
        key: owner.project_ref for key, owner in owners.items()}, {
            (row.account_id, row.bucket): [
                row._mapping[name] for name in models.MEASURES]
            for rows in by_bucket.values() for row in rows}, became)


def _owners(connection: sa.Connection,
            ids: Iterable[int]) -> Iterable[sa.Row[Any]]:
    table = models.accounts.c
    return bulk.find(
        connection, sa.select(table.id, table.digest, table.project_ref),
        table.id, set(ids))


def _nobody(connection: sa.Connection, owners: dict[int, sa.Row[Any]],
            needed: bool) -> int:
    """The account of what nobody has; 0, which is none, if there is none.

    :param owners: of the rows that are there; it is added where it is
        needed and was not among them.
    """
    account = samples.Account(samples.UNALLOCATED, name=REASON)
    digest = accounts.digest(account)
    for row in owners.values():
        if row.digest == digest:
            return int(row.id)
    if not needed:
        return 0
    made = accounts.id_of(connection, account)
    owners |= {row.id: row for row in _owners(connection, [made])}
    return made


def _check(host: sa.Row[Any], bucket: int, energy_uj: int,
           booked: Mapping[int, Rapl]) -> None:
    """That the rows are all there are."""
    if energy_uj != booked.get(bucket, NOTHING).energy_uj:
        raise db_exception.RetryRequest(errors.Unavailable(
            f'the rows of host {host.name} of '
            f'{units.iso(units.bucket_start(bucket))} were changed by '
            'somebody else meanwhile, or do not add up to what its zones '
            'measured'))


def _tell_projects(connection: sa.Connection, host: sa.Row[Any],
                   projects: Mapping[int, int],
                   was: Mapping[tuple[int, int], list[Any]],
                   became: Mapping[tuple[int, int], int | None]) -> None:
    """Change the projects' sums by the difference.

    All that an account has goes to the sums of the other boundary when its
    term becomes known, or unknown.  Last of all, and in the order of their
    keys, as booking does: hosts of a site share these rows.

    :param was: the measures of the accounts' rows.
    """
    rows: dict[tuple[int, int, int, str], list[Any]] = {}
    less = set()
    for (account_id, bucket), amount in became.items():
        numbers = was.get((account_id, bucket), _only(None))
        before = numbers[_PLATFORM]
        if amount == before:
            continue
        sums = projects[account_id], bucket, host.site_id
        key = (*sums, boundaries.of_term(amount))
        if boundaries.of_term(before) == key[-1]:
            assert amount is not None   # noqa: S101
            buckets.increase(rows, key, _only(amount - before))
            continue
        numbers = [*numbers[:_PLATFORM], amount, *numbers[_PLATFORM + 1:]]
        if any(numbers):
            buckets.increase(rows, key, numbers)
        if (account_id, bucket) in was:
            gone = (*sums, boundaries.of_term(before))
            numbers = was[account_id, bucket]
            buckets.increase(rows, gone, [
                None if number is None else -number for number in numbers])
            less.add(gone)
    bulk.upsert(connection, models.project_buckets, [
        (*key, *numbers) for key, numbers in rows.items()],
        add=models.MEASURES)
    _forget_zeros(connection, less)


def _forget_zeros(connection: sa.Connection,
                  keys: Iterable[tuple[int, int, int, str]]) -> None:
    """Of sums that were made less: nothing is no row, nobody measured null.

    Another host that writes its own meanwhile waits for these rows: what it
    adds to nothing is what it adds.
    """
    table = models.project_buckets
    sums, rows = table.c, models.account_buckets.c
    owners, hosts = models.accounts.c, models.hosts.c
    measured = sa.exists().where(
        rows.bucket == sums.bucket, rows.memory_uj.is_not(None),
        owners.id == rows.account_id, owners.project_ref == sums.project_ref,
        hosts.id == rows.host_id, hosts.site_id == sums.site_id,
        boundaries.of_rows(rows.platform_uj) == sums.boundary)
    empty = sa.and_(*(sa.func.coalesce(sums[name], 0) == 0
                      for name in models.MEASURES))
    for key in sorted(keys):
        mine = sa.and_(*(column == value for column, value
                         in zip(table.primary_key, key, strict=True)))
        connection.execute(sa.delete(table).where(mine, empty))
        connection.execute(sa.update(table).where(
            mine, sums.memory_uj == 0, ~measured).values(memory_uj=None))


def _only(platform_uj: int | None) -> list[int | None]:
    """A row of :data:`models.MEASURES` that has nothing but the term."""
    return [platform_uj if name == 'platform_uj'
            else None if name in models.NULLABLE_MEASURES else 0
            for name in models.MEASURES]


def _energy_uj(row: sa.Row[Any]) -> int:
    """Package and DRAM energy of a row."""
    return int(row.active_uj + row.idle_uj + (row.memory_uj or 0)
               + row.host_uj)


def share(term_uj: int | None, weights: Sequence[int]) -> list[int]:
    """A term of either sign over weights, largest remainder first.

    [] where there is no term, or no weight that is positive.
    """
    if term_uj is None:
        return []
    sign = -1 if term_uj < 0 else 1
    return [sign * part for part in units.divide(abs(term_uj), weights)]
