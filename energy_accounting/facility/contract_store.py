# SPDX-License-Identifier: Apache-2.0
"""Contracts in the database: record, withdraw, read as of a moment, list.

What they mean is in ``contracts``.  No clock.
"""

from __future__ import annotations

import decimal
from collections.abc import Iterable
from typing import Any, NamedTuple

import sqlalchemy as sa

from energy_accounting import errors, units
from energy_accounting.facility import (
    contracts,
    factor_store,
    meters,
    models,
    quantities,
)
from energy_accounting.ledger import audit
from energy_accounting.ledger import models as ledger


class Kept(NamedTuple):
    """A contract as it stands recorded.

    :ivar superseded_ns: since when it counts no more; None: it counts.
    """

    id: int
    contract: contracts.Contract
    recorded_ns: int
    superseded_ns: int | None


def record(connection: sa.Connection, contract: contracts.Contract,
           at_ns: int, actor: audit.Actor) -> Kept:
    """Record what a site bought.

    :raises errors.InvalidRequest: names the field that is wrong.
    :raises errors.Conflict: the shares of some time would be above 1, or
        another contract speaks of the same plant.
    """
    for field, text in contracts.faults(contract):
        raise errors.InvalidRequest(f'contract.{field}: {text}')
    _lock(connection, contract.site)
    site_id = factor_store.site_ids(connection, [contract.site]).get(
        contract.site)
    if site_id is None:
        raise errors.InvalidRequest(
            f'contract.site: there is no site {contract.site[:255]!r}: '
            'create it first (openstack energy site create)')
    beside = [one.contract for one in as_of(
        connection, contract.site, contract.start_ns, contract.end_ns)]
    plant = meters.in_service_of(
        (one for one in meters.as_of(connection, contract.site, at_ns)
         if one.role == quantities.PLANT), contract.start_ns, contract.end_ns)
    # What an own plant makes is beside what the grid delivers.
    _check(contract, contracts.divided([*beside, contract], plant))
    table = models.contracts
    made = connection.execute(sa.insert(table).values(
        site_id=site_id, instrument=contract.instrument,
        start_ns=contract.start_ns, end_ns=contract.end_ns,
        share=format(contract.share, 'f'),
        kg_per_kwh=format(contract.kg_per_kwh, 'f'), basis=contract.basis,
        renewable=contract.renewable, retired=contract.retired,
        evidence=contract.evidence, recorded_ns=at_ns, superseded_ns=None))
    (made_id,) = made.inserted_primary_key or (0,)
    audit.write(connection, actor, at_ns, audit.Change(
        audit.CONTRACT, str(made_id), None, _said(contract)))
    return Kept(made_id, contract, at_ns, None)


def _check(contract: contracts.Contract, bought: contracts.Bought) -> None:
    found = contracts.beyond(bought.of_grid)
    if found is not None:
        start, end, total = found
        raise errors.Conflict(
            f'contract.share: from {contracts.period(start, end)} the '
            f'shares of site {contract.site!r} would be {total:f}, '
            'purchases of both bases together: give a smaller share, or '
            'withdraw another contract. What is recorded for the other '
            'basis already has the same instrument, share and evidence')
    for time in contracts.disputed(bought.of_plant)[:1]:
        raise errors.Conflict(
            f'contract.instrument: from {contracts.period(*time)} an onsite '
            'contract speaks already of what the metered plant of site '
            f'{contract.site!r} makes, of all of it: give one for each '
            'basis, alike in renewable and retired, or withdraw the other')


def withdraw(connection: sa.Connection, site: str, contract_id: int,
             at_ns: int, actor: audit.Actor) -> None:
    """Let a contract count no more; it is kept for earlier views.

    :raises errors.NotFound: the site has none of this id that counts.
    """
    _lock(connection, site)
    found = read(connection, site=site, contract_id=contract_id)
    if not found:
        raise errors.NotFound(
            f'site {site[:255]!r} has no contract {contract_id}')
    table = models.contracts
    connection.execute(
        sa.update(table).where(table.c.id == contract_id)
        .values(superseded_ns=max(at_ns, found[0].recorded_ns)))
    audit.write(connection, actor, at_ns, audit.Change(
        audit.CONTRACT, str(contract_id), _said(found[0].contract), None))


def as_of(connection: sa.Connection, site: str, start_ns: int, end_ns: int,
          as_of_ns: int | None = None, *, basis: str | None = None,
          ) -> list[Kept]:
    """The contracts of a site that counted, or count now, in some time."""
    return read(connection, site=site, start_ns=start_ns, end_ns=end_ns,
                as_of_ns=as_of_ns, basis=basis)


def read(connection: sa.Connection, *, after: int | None = None,
         limit: int | None = None, **filters: Any) -> list[Kept]:
    """Contracts in the order in which they were recorded, a page of them.

    :param filters: ``site``, ``basis``, ``instrument``, ``contract_id``;
        ``start_ns`` and ``end_ns``: those that run in some of that time;
        ``as_of_ns``: those that counted then; ``all``: with those that
        count no more.  None: whatever it is.
    """
    table = models.contracts
    query = sa.select(table, ledger.sites.c.name.label('site')).join_from(
        table, ledger.sites).where(*_conditions(filters)).order_by(
        table.c.id)
    if after is not None:
        query = query.where(table.c.id > after)
    return _kept(connection.execute(
        query if limit is None else query.limit(limit)))


def count(connection: sa.Connection, **filters: Any) -> int:
    """How many :func:`read` gives in all its pages."""
    return connection.execute(
        sa.select(sa.func.count()).select_from(models.contracts.join(
            ledger.sites)).where(*_conditions(filters))).scalar_one()


def _conditions(filters: dict[str, Any],
                ) -> Iterable[sa.ColumnElement[bool]]:
    table = models.contracts.c
    columns = {'site': ledger.sites.c.name, 'basis': table.basis,
               'instrument': table.instrument, 'contract_id': table.id}
    for name, column in columns.items():
        if filters.get(name) is not None:
            yield column == filters[name]
    if filters.get('start_ns') is not None:
        yield table.end_ns > filters['start_ns']
    if filters.get('end_ns') is not None:
        yield table.start_ns < filters['end_ns']
    as_of_ns = filters.get('as_of_ns')
    if filters.get('all'):
        return
    if as_of_ns is None:
        yield table.superseded_ns.is_(None)
    else:
        yield table.recorded_ns <= as_of_ns
        yield sa.or_(table.superseded_ns.is_(None),
                     table.superseded_ns > as_of_ns)


def _lock(connection: sa.Connection, site: str) -> None:
    factor_store.lock(connection, [f'contracts of {site}'])


def _kept(rows: Iterable[sa.Row[Any]]) -> list[Kept]:
    return [Kept(row.id, contracts.Contract(
        site=row.site, instrument=row.instrument, start_ns=row.start_ns,
        end_ns=row.end_ns, share=decimal.Decimal(row.share),
        kg_per_kwh=decimal.Decimal(row.kg_per_kwh), basis=row.basis,
        renewable=row.renewable, retired=row.retired,
        evidence=row.evidence), row.recorded_ns, row.superseded_ns)
        for row in rows]


def _said(contract: contracts.Contract) -> dict[str, Any]:
    return {'site': contract.site, 'instrument': contract.instrument,
            'start': units.iso(units.moment(contract.start_ns)),
            'end': units.iso(units.moment(contract.end_ns)),
            'share': format(contract.share, 'f'),
            'kg_per_kwh': format(contract.kg_per_kwh, 'f'),
            'basis': contract.basis, 'renewable': contract.renewable,
            'retired': contract.retired, 'evidence': contract.evidence}
