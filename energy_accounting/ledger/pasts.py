# SPDX-License-Identifier: Apache-2.0
"""What was said of sites and meters before it was changed: SQL.

A site and a meter have one row each, as they are now.  A change keeps what
that row said before, in the same transaction, so that a report ``as_of`` an
earlier moment is that of then.  Who changed it is in ``audit``, which is
dropped after some years; this is not.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

import sqlalchemy as sa

from energy_accounting import wire
from energy_accounting.ledger import models

SITE = 'site'
METER = 'meter'


def keep(connection: sa.Connection, kind: str, of_id: int, now_ns: int,
         said: Mapping[str, Any]) -> None:
    """Keep what counts no more.

    :param said: plain JSON values.
    """
    connection.execute(sa.insert(models.pasts).values(
        kind=kind, of_id=of_id, superseded_ns=now_ns,
        said=wire.to_json(said)))


def said(connection: sa.Connection, kind: str, ids: Iterable[int],
         as_of_ns: int) -> dict[int, dict[str, Any]]:
    """What was said then of those that have changed since."""
    table = models.pasts.c
    found: dict[int, dict[str, Any]] = {}
    wanted = set(ids)
    # The first change after the moment is the one that took it back.
    for row in connection.execute(
            sa.select(table.of_id, table.said)
            .where(table.kind == kind, table.superseded_ns > as_of_ns)
            .order_by(table.superseded_ns, table.id)):
        if row.of_id in wanted and row.of_id not in found:
            found[row.of_id] = json.loads(row.said)
    return found
