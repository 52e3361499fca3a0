# SPDX-License-Identifier: Apache-2.0
"""The supply of each site."""
from __future__ import annotations

from collections.abc import Mapping, Sequence

import sqlalchemy as sa

from energy_accounting.facility import supply


def read(connection: sa.Connection, start: int, end: int, as_of_ns: int,
         ) -> Mapping[int, Sequence[supply.Supply]]:
    return {}
