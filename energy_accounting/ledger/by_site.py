# SPDX-License-Identifier: Apache-2.0
"""The IT energy of usage rows once more, by site and bucket.

What a site's meters and factors make of it differs from bucket to bucket, so
that the sums of ``usage`` do not tell.  Integers only; no factor here.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import sqlalchemy as sa

from energy_accounting.ledger import parts, periods, queries, sources, terms


class Energy(NamedTuple):
    """What a usage row has of a site's bucket.

    :ivar row: :attr:`queries.LedgerSum.row` of the row.
    """

    row: tuple[int, ...]
    site_id: int
    bucket: int
    it_uj: int


def read(connection: sa.Connection, query: queries.UsageQuery,
         found: Sequence[queries.LedgerSum]) -> Iterator[Energy]:
    """The IT energy of the rows that were found, nothing of others."""
    if not found:
        return
    wanted = {one.row for one in found}
    query = parts.around(query, found)
    source = sources.choose(connection, query)
    rows = source.rows
    raw = sources.rows(
        query, source, [terms.it_uj(
            {name: rows.c[name] for name in terms.TERMS}).label('it_uj')],
        conditions=[rows.c.bucket >= min(one.first for one in found)])
    inner = sa.select(periods.number(raw.c.bucket, query).label('period'),
                      raw).subquery('numbered')
    keys = [inner.c.period, *sources.numbers(query, inner), inner.c.site_id,
            inner.c.bucket]
    owners = {one.row[1] for one in found}
    statement = sa.select(
        *keys, sa.func.sum(inner.c.it_uj).label('it_uj')).group_by(*keys)
    if len(owners) <= sources.LISTED:
        statement = statement.where(inner.c.owner.in_(sorted(owners)))
    for *row, site_id, bucket, it_uj in connection.execute(statement):
        key = tuple(int(number) for number in row)
        if key in wanted:
            yield Energy(key, site_id, bucket, int(it_uj))

