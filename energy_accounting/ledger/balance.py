# SPDX-License-Identifier: Apache-2.0
"""The balance sheet: what was measured beside what was booked.

Both sides are read from tables of their own; that they agree is the
report's to show.  No usage of anybody belongs here.
"""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Iterator, Mapping, Sequence

import sqlalchemy as sa

from energy_accounting import samples, units
from energy_accounting.ledger import (
    boundaries,
    bulk,
    models,
    quarantine,
    received,
    terms,
    wide_sums,
)

# Of a much longer list MariaDB makes a table, and joins.
_LISTED = 500


@dataclasses.dataclass(frozen=True, slots=True)
class Balance:
    """Both sides of the ledger over a range, in microjoules.

    :ivar zones_uj: what the meters saw, of windows that were booked.
    :ivar node_uj: what node meters saw, as far as it was looked at; None:
        there are none.
    :ivar platform_uj: what of it is beyond the zones, and was booked; None:
        nothing was.
    :ivar undivided_uj: what of it is of buckets in which that is not known,
        the energy of their zones included.
    :ivar booked_uj: by (kind, name); instances have no name.
    :ivar projects_uj: the sums of projects, which are added up apart; None
        for one host: they have none.
    :ivar quarantined_uj: what the host's own records in quarantine say that
        the meters saw.
    :ivar disputed_uj: what other records in quarantine claim: those that
        nobody or a stranger vouches for, whose time is booked already or
        whose number was used.
    :ivar boundaries: the first and the last by name of what was booked;
        None: nothing was.
    :ivar gaps: (host, zone, start_ns, end_ns, reason).
    """

    zones_uj: int
    booked_uj: Mapping[tuple[str, str | None], int]
    projects_uj: int | None
    quarantined_uj: int
    disputed_uj: int
    gaps: tuple[tuple[str, str | None, int, int | None, str], ...]
    node_uj: int | None = None
    platform_uj: int | None = None
    undivided_uj: int | None = None
    boundaries: tuple[str, str] | None = None


def read(connection: sa.Connection, start: int, end: int,
         host: str | None = None, site: str | None = None) -> Balance:
    """The balance over buckets [start, end), of all hosts or of some."""
    hosts, sites = models.hosts, models.sites
    chosen = sa.select(hosts.c.id, hosts.c.name).join(
        sites, sites.c.id == hosts.c.site_id)
    if host is not None:
        chosen = chosen.where(hosts.c.name == host)
    if site is not None:
        chosen = chosen.where(sites.c.name == site)
    found = connection.execute(chosen.order_by(hosts.c.id)).all()
    some = host is not None or site is not None
    within = _Range(connection, start, end)
    ids = [row.id for row in found]
    names = sa.select(chosen.subquery().c.name)
    start_ns, end_ns = start * units.BUCKET_NS, end * units.BUCKET_NS
    quarantined_uj, disputed_uj = _quarantined(
        within, start_ns, end_ns,
        hosts.c.name.in_(names) if some else sa.true())
    return Balance(
        zones_uj=within.sum_of(models.zone_buckets.c.host_id, ids,
                               models.zone_buckets.c.energy_uj),
        **_node(within, ids), booked_uj=_booked(within, ids),
        boundaries=_boundaries(within, ids),
        projects_uj=None if host is not None else _of_projects(within, site),
        quarantined_uj=quarantined_uj, disputed_uj=disputed_uj,
        gaps=tuple(_gaps(connection, start_ns, end_ns,
                         hosts.c.name.in_(names) if some else sa.true())))


class _Range:
    """Buckets of a connection; sums over the rows of listed owners.

    A list, however long, lets a database go down an index to the buckets
    of each owner; without one it walks over all there ever was.
    """

    def __init__(self, connection: sa.Connection, start: int,
                 end: int) -> None:
        self.connection = connection
        self.sums = wide_sums.WideSums(connection.dialect.name)
        self._start, self._end = start, end

    def covered(self, owner: sa.Column[int], ids: Sequence[int],
                ) -> Iterator[sa.ColumnElement[bool]]:
        """Conditions that together take in each row of the owners once."""
        bucket = owner.table.c.bucket
        for first in range(0, len(ids), _LISTED):
            yield sa.and_(owner.in_(ids[first:first + _LISTED]),
                          bucket >= self._start, bucket < self._end)

    def sum_of(self, owner: sa.Column[int], ids: Sequence[int],
               energy: sa.ColumnElement[int],
               condition: sa.ColumnElement[bool] | None = None) -> int:
        total = 0
        for covered in self.covered(owner, ids):
            row = self.connection.execute(
                sa.select(*self.sums.of('uj', energy)).where(
                    covered, sa.true() if condition is None else condition),
            ).mappings().one()
            total += self.sums.value(row, 'uj') or 0
        return total


def _node(within: _Range, ids: Sequence[int]) -> dict[str, int | None]:
    rows = models.platform_buckets.c
    figures = {
        'node_uj': rows.node_uj, 'platform_uj': rows.platform_uj,
        'undivided_uj': sa.case((rows.platform_uj.is_(None), rows.node_uj),
                                else_=0)}
    found: dict[str, int | None] = dict.fromkeys(figures)
    for covered in within.covered(rows.host_id, ids):
        row = within.connection.execute(sa.select(
            *(column for name, figure in figures.items()
              for column in within.sums.of(name, figure)))
            .where(covered)).mappings().one()
        for name in figures:
            value = within.sums.value(row, name)
            if value is not None:
                found[name] = (found[name] or 0) + value
    return found


def _boundaries(within: _Range, ids: Sequence[int],
                ) -> tuple[str, str] | None:
    """As rows by account have them, which may be dropped by now."""
    hosts, terms = models.host_buckets, models.platform_buckets
    boundary = boundaries.of_buckets(hosts.c.policy, terms.c.platform_uj)
    found: set[str] = set()
    for covered in within.covered(hosts.c.host_id, ids):
        found.update(filter(None, within.connection.execute(
            sa.select(sa.func.min(boundary), sa.func.max(boundary))
            .join_from(hosts, terms, sa.and_(
                terms.c.host_id == hosts.c.host_id,
                terms.c.bucket == hosts.c.bucket), isouter=True)
            .where(covered)).one()))
    return (min(found), max(found)) if found else None


def _booked(within: _Range, ids: Sequence[int],
            ) -> dict[tuple[str, str | None], int]:
    """By kind and name, rows by account that were dropped included."""
    rows, accounts = models.account_buckets, models.accounts
    gone = models.retired_buckets
    sums = within.sums
    booked: dict[tuple[str, str | None], int] = collections.Counter()
    # By account first: the names are then looked up once for each.
    by_account: dict[int, int] = collections.Counter()
    # A sum, not a column: MariaDB would walk over all there is, in the
    # order of the accounts, rather than sort the rows of the range.
    account_id = rows.c.account_id + sa.literal_column('0')
    for covered in within.covered(rows.c.host_id, ids):
        for row in within.connection.execute(
                sa.select(account_id.label('account_id'),
                          *sums.of('uj', _energy(rows)))
                .where(covered).group_by(account_id)).mappings():
            by_account[row['account_id']] += sums.value(row, 'uj') or 0
    for account in bulk.find(
            within.connection,
            sa.select(accounts.c.id, accounts.c.kind, accounts.c.name),
            accounts.c.id, by_account):
        booked[_line(account.kind, account.name)] += by_account[account.id]
    for covered in within.covered(gone.c.host_id, ids):
        for row in within.connection.execute(
                sa.select(gone.c.kind, gone.c.name,
                          *sums.of('uj', gone.c.energy_uj))
                .where(covered).group_by(gone.c.kind,
                                         gone.c.name)).mappings():
            booked[_line(row['kind'], row['name'])] += (
                sums.value(row, 'uj') or 0)
    return dict(booked)


def _line(kind: str, name: str | None) -> tuple[str, str | None]:
    return kind, None if kind == samples.INSTANCE else name or None


def _energy(rows: sa.Table) -> sa.ColumnElement[int]:
    return terms.it_uj({name: rows.c[name] for name in terms.TERMS})


def _of_projects(within: _Range, site: str | None) -> int:
    rows, sites = models.project_buckets, models.sites
    ids = within.connection.scalars(
        sa.select(models.projects.c.id).order_by(models.projects.c.id)).all()
    return within.sum_of(
        rows.c.project_ref, ids, _energy(rows),
        None if site is None else rows.c.site_id.in_(
            sa.select(sites.c.id).where(sites.c.name == site)))


def _quarantined(within: _Range, start_ns: int, end_ns: int,
                 condition: sa.ColumnElement[bool]) -> tuple[int, int]:
    """What the meters saw for sure and was not booked, and the rest."""
    held, hosts = models.quarantine, models.hosts
    credible = sa.and_(quarantine.own(),
                       held.c.code.not_in(received.TAKEN))
    row = within.connection.execute(
        sa.select(
            *within.sums.of('own', sa.case(
                (credible, held.c.energy_uj), else_=0)),
            # Not its negation: a host without a key makes that NULL.
            *within.sums.of('rest', sa.case(
                (credible, 0), else_=held.c.energy_uj)))
        .join_from(held, hosts, hosts.c.name == held.c.host_name)
        .where(held.c.state == models.HELD, held.c.start_ns >= start_ns,
               held.c.start_ns < end_ns, condition)).mappings().one()
    return (within.sums.value(row, 'own') or 0,
            within.sums.value(row, 'rest') or 0)


def _gaps(connection: sa.Connection, start_ns: int, end_ns: int,
          condition: sa.ColumnElement[bool],
          ) -> Iterator[tuple[str, str | None, int, int | None, str]]:
    gaps, hosts = models.gaps, models.hosts
    for row in connection.execute(
            sa.select(hosts.c.name, gaps.c.zone, gaps.c.start_ns,
                      gaps.c.end_ns, gaps.c.reason).join_from(
                          gaps, hosts, hosts.c.id == gaps.c.host_id).where(
                gaps.c.start_ns < end_ns,
                # A gap may be a moment: it belongs to where it begins.
                sa.or_(gaps.c.end_ns.is_(None), gaps.c.end_ns > start_ns,
                       gaps.c.start_ns >= start_ns),
                condition).order_by(
                    gaps.c.start_ns, hosts.c.name, gaps.c.id)):
        yield (row.name, row.zone, int(row.start_ns),
               None if row.end_ns is None else int(row.end_ns), row.reason)
