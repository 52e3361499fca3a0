# SPDX-License-Identifier: Apache-2.0
"""Sums over any number of rows, exact on every database.

No query belongs here, and nothing of what is summed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

Row = Mapping[str, Any] | sa.RowMapping

_BITS = 32


class WideSums:
    """Sums that do not overflow: SQLite's end at 2^63, others' do not.

    There a sum is two columns: that of the upper and of the lower 32 bits.
    """

    def __init__(self, dialect: str) -> None:
        self._halved = dialect == 'sqlite'

    def of(self, name: str, term: sa.ColumnElement[Any],
           ) -> list[sa.ColumnElement[Any]]:
        if not self._halved:
            return [sa.func.sum(term).label(name)]
        low = (1 << _BITS) - 1
        return [
            sa.func.sum(term.bitwise_rshift(_BITS)).label(f'{name}_high'),
            sa.func.sum(term.bitwise_and(low)).label(f'{name}_low')]

    def value(self, row: Row, name: str) -> int | None:
        if not self._halved:
            return None if row[name] is None else int(row[name])
        if row[f'{name}_high'] is None:
            return None
        return (row[f'{name}_high'] << _BITS) + row[f'{name}_low']

    def terms(self, grouped: sa.FromClause, name: str,
              ) -> list[sa.ColumnElement[Any]]:
        """What to order by, without NULL, so that it orders the sum."""
        if not self._halved:
            return [sa.func.coalesce(grouped.c[name], -1)]
        high, low = grouped.c[f'{name}_high'], grouped.c[f'{name}_low']
        return [sa.func.coalesce(high + low.bitwise_rshift(_BITS), -1),
                sa.func.coalesce(low.bitwise_and((1 << _BITS) - 1), -1)]

    def terms_of(self, value: int | None) -> list[int]:
        """The same of a sum that was read."""
        if value is None:
            return [-1] * (2 if self._halved else 1)
        if not self._halved:
            return [value]
        return [value >> _BITS, value & ((1 << _BITS) - 1)]
