# SPDX-License-Identifier: Apache-2.0
"""What meters have read, as it is kept: SQL.

Nothing that was given is ever changed or deleted; a correction is a row of
its own, and the old one says since when it counts no more (``batches``).
What follows from readings is in ``amounts``.  No clock.
"""

from __future__ import annotations

import dataclasses

import sqlalchemy as sa

from energy_accounting.facility import amounts, meters, models


@dataclasses.dataclass(frozen=True, slots=True)
class Kept:
    """A reading as it is kept."""

    id: int
    at_ns: int
    start_ns: int | None
    value: str
    quality: str
    source: str
    received_ns: int
    superseded_ns: int | None


def page(connection: sa.Connection, meter_id: int, *,
         start_ns: int | None = None, end_ns: int | None = None,
         as_of_ns: int | None = None, superseded: bool = False,
         after: tuple[int, int] | None = None,
         limit: int | None = None) -> list[Kept]:
    """Readings of [start_ns, end_ns) in order of time.

    :param as_of_ns: as they were then; None: as they are.
    :param superseded: those too that count no more.
    :param after: only those behind this (at_ns, id).
    """
    table = models.readings
    query = sa.select(*(table.c[field.name]
                         for field in dataclasses.fields(Kept))).where(
        *chosen(table, meter_id, start_ns, end_ns, as_of_ns, superseded))
    if after is not None:
        query = query.where(sa.or_(
            table.c.at_ns > after[0],
            sa.and_(table.c.at_ns == after[0], table.c.id > after[1])))
    if limit is not None:
        query = query.limit(limit)
    return [Kept(*row) for row in connection.execute(
        query.order_by(table.c.at_ns, table.c.id))]


def count(connection: sa.Connection, meter_id: int, *,
          start_ns: int | None = None, end_ns: int | None = None,
          as_of_ns: int | None = None, superseded: bool = False) -> int:
    """How many :func:`page` gives in all its pages."""
    table = models.readings
    return connection.execute(
        sa.select(sa.func.count()).select_from(table).where(*chosen(
            table, meter_id, start_ns, end_ns, as_of_ns, superseded)),
    ).scalar_one()


def last(connection: sa.Connection, meter_id: int) -> Kept | None:
    """The newest reading of a meter that counts."""
    table = models.readings
    row = connection.execute(
        sa.select(*(table.c[field.name]
                    for field in dataclasses.fields(Kept)))
        .where(table.c.meter_id == meter_id,
               table.c.superseded_ns.is_(None))
        .order_by(table.c.at_ns.desc()).limit(1)).one_or_none()
    return None if row is None else Kept(*row)


def around(connection: sa.Connection, meter: meters.Meter,
           start_ns: int | None, end_ns: int | None, as_of_ns: int,
           ) -> list[amounts.Reading]:
    """Readings whose intervals touch a time: with the neighbours of it.

    :param start_ns: None: from the first one on.
    :param end_ns: None: to the last one.
    """
    table = models.readings
    known = chosen(table, meter.id, None, None, as_of_ns, False)
    near = list(known)
    for edge_ns, before in ((start_ns, True), (end_ns, False)):
        if edge_ns is None:
            continue
        # The neighbour by its order in the index, not by max(): that would
        # read all there is on this side.
        found_ns = connection.scalar(
            sa.select(table.c.at_ns).where(
                *known, table.c.at_ns <= edge_ns if before
                else table.c.at_ns >= edge_ns)
            .order_by(table.c.at_ns.desc() if before else table.c.at_ns)
            .limit(1))
        edge_ns = edge_ns if found_ns is None else found_ns
        near.append(table.c.at_ns >= edge_ns if before
                    else table.c.at_ns <= edge_ns)
    quantity = meter.quantity
    return [amounts.Reading(at_ns, quantity.exact(value), quality, start_ns)
            for at_ns, value, quality, start_ns in connection.execute(
                sa.select(table.c.at_ns, table.c.value, table.c.quality,
                          table.c.start_ns).where(*near)
                .order_by(table.c.at_ns))]


def chosen(table: sa.Table, meter_id: int, start_ns: int | None,
           end_ns: int | None, as_of_ns: int | None, superseded: bool,
           ) -> list[sa.ColumnElement[bool]]:
    conditions: list[sa.ColumnElement[bool]] = [table.c.meter_id == meter_id]
    if not superseded:
        conditions += _known(table, as_of_ns)
    elif as_of_ns is not None:
        conditions.append(_recorded(table) <= as_of_ns)
    if start_ns is not None:
        conditions.append(table.c.at_ns >= start_ns)
    if end_ns is not None:
        conditions.append(table.c.at_ns < end_ns)
    return conditions


def _known(table: sa.Table, as_of_ns: int | None,
           ) -> list[sa.ColumnElement[bool]]:
    """What counted at a moment; what counts."""
    if as_of_ns is None:
        return [table.c.superseded_ns.is_(None)]
    return [_recorded(table) <= as_of_ns, sa.or_(
        table.c.superseded_ns.is_(None), table.c.superseded_ns > as_of_ns)]


def _recorded(table: sa.Table) -> sa.Column[int]:
    return (table.c.received_ns if table is models.readings
            else table.c.recorded_ns)
