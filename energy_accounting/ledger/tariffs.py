# SPDX-License-Identifier: Apache-2.0
"""Tariffs in the database: record, withdraw, read as of a moment, list.

What they mean is in ``energy_accounting.tariffs``.  No clock.
"""

from __future__ import annotations

import decimal
import json
from collections.abc import Iterator, Mapping
from typing import Any

import sqlalchemy as sa

from energy_accounting import errors, tariffs
from energy_accounting.ledger import audit
from energy_accounting.ledger import billing_models as models
from energy_accounting.ledger import models as ledger
from energy_accounting.tariffs import Kept, Tariff


def record(connection: sa.Connection, one: Tariff, at_ns: int,
           actor: audit.Actor) -> Kept:
    """Record what energy costs.

    :raises errors.InvalidRequest: names the field that is wrong.
    :raises errors.Conflict: it contradicts one that counts.
    """
    for field, text in tariffs.faults(one):
        raise errors.InvalidRequest(f'{field}: {text}')
    _lock(connection)
    site_id = None
    if one.site is not None:
        site_id = connection.scalar(sa.select(ledger.sites.c.id).where(
            ledger.sites.c.name == one.site))
        if site_id is None:
            raise errors.InvalidRequest(
                f'site: there is no site {one.site[:255]!r}: create it '
                'first (openstack energy site create)')
    found = tariffs.contradiction(one, read(connection))
    if found is not None:
        raise errors.Conflict(found)
    made = connection.execute(sa.insert(models.tariffs).values(
        site_id=site_id, **_values(one), recorded_ns=at_ns,
        superseded_ns=None))
    (made_id,) = made.inserted_primary_key or (0,)
    audit.write(connection, actor, at_ns, audit.Change(
        audit.TARIFF, str(made_id), None, said(one)))
    return Kept(made_id, one, at_ns, None)


def withdraw(connection: sa.Connection, tariff_id: int, at_ns: int,
             actor: audit.Actor) -> None:
    """Let a tariff count no more; it is kept for earlier views.

    :raises errors.NotFound: there is none of this id that counts.
    """
    _lock(connection)
    found = read(connection, tariff_id=tariff_id)
    if not found:
        raise errors.NotFound(
            f'there is no tariff {tariff_id} that counts: give the id of '
            'one that the list has')
    table = models.tariffs
    connection.execute(
        sa.update(table).where(table.c.id == tariff_id)
        .values(superseded_ns=max(at_ns, found[0].recorded_ns)))
    audit.write(connection, actor, at_ns, audit.Change(
        audit.TARIFF, str(tariff_id), said(found[0].tariff), None))


def _lock(connection: sa.Connection) -> None:
    # One at a time: the row that is always there stands for the table.
    connection.execute(sa.select(ledger.sites.c.id).where(
        ledger.sites.c.id == ledger.DEFAULT_SITE).with_for_update())


def read(connection: sa.Connection, *, after: int | None = None,
         limit: int | None = None, **filters: Any) -> list[Kept]:
    """Tariffs in the order in which they were recorded, a page of them.

    :param filters: ``site``, ``project_id``, ``domain_id``, ``tariff_id``;
        ``start_ns`` and ``end_ns``: those that count in some of that time;
        ``as_of_ns``: those that counted then; ``all``: with those that
        count no more.  None: whatever it is.
    """
    table = models.tariffs
    query = sa.select(table, ledger.sites.c.name.label('site')).select_from(
        table.outerjoin(ledger.sites)).where(
            *_conditions(filters)).order_by(table.c.id)
    if after is not None:
        query = query.where(table.c.id > after)
    return [_kept(row) for row in connection.execute(
        query if limit is None else query.limit(limit))]


def count(connection: sa.Connection, **filters: Any) -> int:
    """How many :func:`read` gives in all its pages."""
    return connection.execute(
        sa.select(sa.func.count()).select_from(
            models.tariffs.outerjoin(ledger.sites))
        .where(*_conditions(filters))).scalar_one()


def _conditions(filters: Mapping[str, Any],
                ) -> Iterator[sa.ColumnElement[bool]]:
    table = models.tariffs.c
    for name, column in (('site', ledger.sites.c.name),
                         ('project_id', table.project_id),
                         ('domain_id', table.domain_id),
                         ('tariff_id', table.id)):
        if filters.get(name) is not None:
            yield column == filters[name]
    if filters.get('start_ns') is not None:
        yield sa.or_(table.end_ns.is_(None),
                     table.end_ns > filters['start_ns'])
    if filters.get('end_ns') is not None:
        yield table.start_ns < filters['end_ns']
    as_of_ns = filters.get('as_of_ns')
    if as_of_ns is not None:
        yield table.recorded_ns <= as_of_ns
        yield sa.or_(table.superseded_ns.is_(None),
                     table.superseded_ns > as_of_ns)
    elif not filters.get('all'):
        yield table.superseded_ns.is_(None)


def said(one: Tariff) -> dict[str, Any]:
    """A tariff as plain JSON values, for the audit trail."""
    return {**_values(one), 'site': one.site,
            'windows': [tariffs.window_words(window)
                        for window in one.windows]}


def _values(one: Tariff) -> dict[str, Any]:
    return {
        'name': one.name, 'start_ns': one.start_ns, 'end_ns': one.end_ns,
        'currency': one.currency, 'quantity': one.quantity,
        'price_per_kwh': format(one.price_per_kwh, 'f'),
        'co2_price_per_kg': None if one.co2_price_per_kg is None
        else format(one.co2_price_per_kg, 'f'),
        'co2_method': one.co2_method, 'time_zone': one.time_zone,
        'windows': tariffs.windows_text(one.windows),
        'legal_basis': one.legal_basis, 'project_id': one.project_id,
        'domain_id': one.domain_id}


def _kept(row: sa.Row[Any]) -> Kept:
    return Kept(row.id, Tariff(
        name=row.name, start_ns=row.start_ns, end_ns=row.end_ns,
        currency=row.currency, quantity=row.quantity,
        price_per_kwh=decimal.Decimal(row.price_per_kwh),
        legal_basis=row.legal_basis,
        co2_price_per_kg=None if row.co2_price_per_kg is None
        else decimal.Decimal(row.co2_price_per_kg),
        co2_method=row.co2_method, time_zone=row.time_zone,
        windows=tariffs.windows_of(json.loads(row.windows)), site=row.site,
        project_id=row.project_id, domain_id=row.domain_id),
        row.recorded_ns, row.superseded_ns)
