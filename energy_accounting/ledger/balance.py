# SPDX-License-Identifier: Apache-2.0
"""The balance sheet: what was measured beside what was booked.

Both sides are read from tables of their own; that they agree is the
report's to show.  No usage of anybody belongs here.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence

import sqlalchemy as sa

from energy_accounting import samples, units
from energy_accounting.ledger import models, terms, wide_sums


@dataclasses.dataclass(frozen=True, slots=True)
class Balance:
    """Both sides of the ledger over a range, in microjoules.

    :ivar zones_uj: what the meters saw, of windows that were booked.
    :ivar booked_uj: by (kind, name); instances have no name.
    :ivar quarantined_uj: what records in quarantine claim.
    :ivar gaps: (host, zone, start_ns, end_ns, reason).
    """

    zones_uj: int
    booked_uj: Mapping[tuple[str, str | None], int]
    quarantined_uj: int
    gaps: tuple[tuple[str, str | None, int, int | None, str], ...]


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
    some = host is not None or site is not None
    sums = wide_sums.WideSums(connection.dialect.name)

    def of_hosts(column: sa.ColumnElement[int],
                 ) -> list[sa.ColumnElement[bool]]:
        return [column.in_(sa.select(chosen.subquery().c.id))] if some else []

    zones, rows = models.zone_buckets, models.account_buckets
    accounts, held = models.accounts, models.quarantine
    measured = connection.execute(
        sa.select(*sums.of('uj', zones.c.energy_uj)).where(
            zones.c.bucket >= start, zones.c.bucket < end,
            *of_hosts(zones.c.host_id))).mappings().one()
    named = sa.case((accounts.c.kind == samples.INSTANCE, sa.null()),
                    else_=accounts.c.name).label('name')
    energy = terms.it_uj({name: rows.c[name] for name in terms.TERMS})
    # By account first: the names are then looked up once for each.
    by_account = sa.select(
        rows.c.account_id, *sums.of('uj', energy)).where(
            rows.c.bucket >= start, rows.c.bucket < end,
            *of_hosts(rows.c.host_id)).group_by(
                rows.c.account_id).subquery()
    booked: dict[tuple[str, str | None], int] = {}
    for row in connection.execute(
            sa.select(accounts.c.kind, named, by_account).join_from(
                by_account, accounts,
                accounts.c.id == by_account.c.account_id)).mappings():
        key = (row['kind'], row['name'])
        booked[key] = booked.get(key, 0) + (sums.value(row, 'uj') or 0)
    start_ns, end_ns = start * units.BUCKET_NS, end * units.BUCKET_NS
    quarantined = connection.execute(
        sa.select(*sums.of('uj', held.c.energy_uj)).where(
            held.c.state == models.HELD, held.c.start_ns >= start_ns,
            held.c.start_ns < end_ns,
            *([held.c.host_name.in_(sa.select(chosen.subquery().c.name))]
              if some else []))).mappings().one()
    return Balance(
        zones_uj=sums.value(measured, 'uj') or 0, booked_uj=booked,
        quarantined_uj=sums.value(quarantined, 'uj') or 0,
        gaps=tuple(_gaps(connection, start_ns, end_ns,
                         of_hosts(models.gaps.c.host_id))))


def _gaps(connection: sa.Connection, start_ns: int, end_ns: int,
          conditions: Sequence[sa.ColumnElement[bool]],
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
                *conditions).order_by(
                    gaps.c.start_ns, hosts.c.name, gaps.c.id)):
        yield (row.name, row.zone, int(row.start_ns),
               None if row.end_ns is None else int(row.end_ns), row.reason)
