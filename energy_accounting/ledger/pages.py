# SPDX-License-Identifier: Apache-2.0
"""The order of usage rows, and the row that a page begins behind.

What a marker looks like to a caller is not decided here.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import sqlalchemy as sa

from energy_accounting.ledger import queries, wide_sums


def order(query: queries.UsageQuery, grouped: sa.Subquery,
          sums: wide_sums.WideSums,
          ) -> Iterator[tuple[sa.ColumnElement[Any], bool]]:
    """(term, descending): what was asked for, then a stable rest."""
    if query.sort == 'start':
        yield grouped.c.period, query.descending
    else:
        for term in sums.terms(grouped, queries.SORTS[query.sort]):
            yield term, query.descending
        yield grouped.c.period, False
    for name in query.group_by:
        yield grouped.c[queries.GROUPS[name]], False


def behind(ordered: Sequence[tuple[sa.ColumnElement[Any], bool]],
           position: Sequence[int | str]) -> sa.ColumnElement[bool]:
    """That a row stands behind a position in an :func:`order`."""
    alternatives = []
    for number, (term, down) in enumerate(ordered):
        same = [before == value for (before, _), value
                in zip(ordered[:number], position, strict=False)]
        value = position[number]
        alternatives.append(
            sa.and_(*same, term < value if down else term > value))
    return sa.or_(*alternatives)


def position_shape(query: queries.UsageQuery, dialect: str) -> list[type]:
    """The types of :attr:`queries.LedgerSum.position` for a query."""
    first = ([] if query.sort == 'start'
             else [int] * len(wide_sums.WideSums(dialect).terms_of(0)))
    return [*first, int, *([str] * len(query.group_by))]
