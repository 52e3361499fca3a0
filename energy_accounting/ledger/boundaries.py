# SPDX-License-Identifier: Apache-2.0
"""How far the energy of a row reaches: to RAPL's counters or to the node.

To the node where its platform term is known: then all that the node drew is
in the row.  Of windows of ``node/1`` the term is 0, since the node's own
meter is what was divided and nothing is beyond it.  All rows of a host's
bucket reach equally far; the sums of projects have a row for each boundary,
and energy moves from one to the other when the term becomes known.
"""

from __future__ import annotations

import sqlalchemy as sa

from energy_accounting import samples
from energy_accounting.ledger import models

ALL = (models.NODE, models.RAPL)
"""In the order of their names."""


def of_term(platform_uj: int | None) -> str:
    """The boundary of a row with this platform term."""
    return models.RAPL if platform_uj is None else models.NODE


def of_rows(platform_uj: sa.ColumnElement[int]) -> sa.ColumnElement[str]:
    """The same in SQL."""
    return sa.case((platform_uj.is_(None), sa.literal(models.RAPL)),
                   else_=sa.literal(models.NODE))


def of_buckets(policy: sa.ColumnElement[str],
               platform_uj: sa.ColumnElement[int]) -> sa.ColumnElement[str]:
    """That of a host's bucket: its policy, and what was divided of it."""
    return sa.case((_of_node(policy), sa.literal(models.NODE)),
                   else_=of_rows(platform_uj))


def _of_node(policy: sa.ColumnElement[str]) -> sa.ColumnElement[bool]:
    return policy.like(f'{samples.NODE_POLICIES}%')


def of_policy(policy: str) -> str:
    """The boundary of what a policy divides, without any other meter."""
    return models.NODE if samples.is_of_node(policy) else models.RAPL


def one_only(connection: sa.Connection) -> bool:
    """Whether all there is reaches to RAPL's counters and no further."""
    terms, hosts = models.platform_buckets.c, models.host_buckets.c
    return not any(connection.execute(query.limit(1)).first() for query in (
        sa.select(hosts.bucket).where(_of_node(hosts.policy)),
        sa.select(terms.bucket).where(terms.platform_uj.is_not(None))))
