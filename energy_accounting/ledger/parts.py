# SPDX-License-Identifier: Apache-2.0
"""Which owners the rows of a page can be of, found before any is summed.

A page of a listing by name costs what its own owners used, not what all
did.  Keys only: no row of energy is read here.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence

import sqlalchemy as sa

from energy_accounting.ledger import pages, queries, sources

# So many owners at a time are still listed (``sources.Side.ids``).
_MOST = 4000
# Many of a ledger's owners have nothing in the range: how many more are
# taken each time that a page is not full.
_GROWTH = 4


def of(connection: sa.Connection, query: queries.UsageQuery,
       ) -> Iterator[queries.UsageQuery]:
    """The same question of some owners after the other, in its order.

    Their rows, one part's after the other's, are those of the question;
    who has enough of them asks no more.
    """
    if not _by_owner(query):
        yield query
        return
    leading, count = query.leading, query.limit
    # What stands first in a position is the period.
    after = (None if query.after is None else tuple(
        str(key) for key in query.after[1:1 + len(leading)]))
    keys = sources.choose(connection, query).owners.keys
    columns = [keys.c[queries.GROUPS[name]] for name in leading]
    # Of the row before there may be more, of another place.
    before = [] if after is None else [sa.not_(pages.behind(
        [(column, True) for column in columns], after))]
    while True:
        count = min(count + 1, _MOST)
        found = connection.execute(sa.select(*columns).distinct().where(
            *before).order_by(*columns).limit(count)).all()
        if not found:
            return
        yield dataclasses.replace(
            query, between=(tuple(found[0]), tuple(found[-1])))
        if len(found) < count:
            return
        before = [pages.behind([(column, False) for column in columns],
                               found[-1])]
        count *= _GROWTH


def around(query: queries.UsageQuery,
           found: Sequence[queries.LedgerSum]) -> queries.UsageQuery:
    """The question of no more owners than lie between rows of its answer."""
    count = len(query.leading)
    if not count or not found:
        return query
    keys = [row.keys[:count] for row in found]
    return dataclasses.replace(query, between=(min(keys), max(keys)))


def _by_owner(query: queries.UsageQuery) -> bool:
    """Whether the order is that of owners, and there may be many."""
    return (query.sort == 'start' and query.resolution == 'total'
            and query.limit < _MOST
            and not {'instance', 'project'}.isdisjoint(query.leading)
            and not set(query.filters).issuperset(query.leading)
            and queries.OF_OWNERS.issuperset(query.filters))
