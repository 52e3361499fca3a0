# SPDX-License-Identifier: Apache-2.0
"""What a claim moves: from the project it was booked with to its owner.

Reading only: how claims are made is in ``identities``.  Sums of projects
stay as they were booked; here they are corrected for one answer.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from energy_accounting.ledger import boundaries, models, queries, terms


def any_made(connection: sa.Connection, as_of_ns: int) -> bool:
    """Whether ``as_of`` sees a claim at all; most ledgers have none."""
    return connection.execute(
        sa.select(models.claims.c.id).where(
            models.claims.c.claimed_at_ns <= as_of_ns).limit(1),
    ).first() is not None


def newest(as_of_ns: int) -> sa.Subquery:
    """Per account the newest claim that ``as_of`` sees."""
    claims, newer = models.claims, models.claims.alias('newer')
    superseded = sa.exists().where(
        newer.c.account_id == claims.c.account_id,
        newer.c.claimed_at_ns <= as_of_ns,
        sa.or_(newer.c.claimed_at_ns > claims.c.claimed_at_ns,
               sa.and_(newer.c.claimed_at_ns == claims.c.claimed_at_ns,
                       newer.c.id > claims.c.id)))
    return sa.select(
        claims.c.account_id, claims.c.project_ref, claims.c.flavor,
        claims.c.user_id,
    ).where(claims.c.claimed_at_ns <= as_of_ns,
            ~superseded).subquery('newest')


def settled(query: queries.UsageQuery, ids: tuple[int, ...] | None,
            ) -> sa.Subquery:
    """Sums of projects plus what they claimed, less what was claimed.

    :param ids: of projects, where only theirs are wanted.
    """
    sums, rows = models.project_buckets, models.account_buckets
    accounts, hosts = models.accounts, models.hosts
    claimed = newest(query.as_of_ns)

    def only(owner: sa.ColumnElement[int]) -> list[sa.ColumnElement[bool]]:
        return [] if ids is None else [owner.in_(ids)]

    def moved(owner: sa.ColumnElement[int], sign: int) -> sa.Select[Any]:
        return sa.select(
            owner.label('project_ref'), rows.c.bucket, hosts.c.site_id,
            boundaries.of_rows(rows.c.platform_uj).label('boundary'),
            *((rows.c[name] * sign).label(name) for name in terms.SUMMED),
        ).select_from(
            claimed.join(accounts, accounts.c.id == claimed.c.account_id)
            .join(rows, rows.c.account_id == claimed.c.account_id)
            .join(hosts, hosts.c.id == rows.c.host_id),
        ).where(query.covers(rows.c.bucket), *only(owner),
                claimed.c.project_ref != accounts.c.project_ref)

    return sa.union_all(
        sa.select(sums.c.project_ref, sums.c.bucket, sums.c.site_id,
                  sums.c.boundary, *(sums.c[name] for name in terms.SUMMED),
                  ).where(query.covers(sums.c.bucket),
                          *only(sums.c.project_ref)),
        moved(claimed.c.project_ref, 1),
        moved(accounts.c.project_ref, -1)).subquery('booked')
