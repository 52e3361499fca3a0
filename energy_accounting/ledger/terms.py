# SPDX-License-Identifier: Apache-2.0
"""The terms of energy that a bucket's row has, and their sum in SQL.

No totals of many rows (``wide_sums``), no names of columns in a report.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

TERMS = ('active_uj', 'idle_uj', 'memory_uj', 'host_uj', 'platform_uj')
SUMMED = (*TERMS, 'backfilled_uj', 'vcpu_ns')
"""The columns of a row that usage adds up."""


def it_uj(measures: Mapping[str, sa.ColumnElement[Any]],
          ) -> sa.ColumnElement[int]:
    """Energy of a row: a term that nobody measured is left out."""
    return (measures['active_uj'] + measures['idle_uj']
            + sa.func.coalesce(measures['memory_uj'], 0)
            + measures['host_uj']
            + sa.func.coalesce(measures['platform_uj'], 0))
