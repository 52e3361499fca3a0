# SPDX-License-Identifier: Apache-2.0
"""The sites: where hosts and meters are.  The one place that writes them.

Each change is kept with who made it (``audit``), in the same transaction.
What a site's meters say is in ``facility``.  No clock.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import sqlalchemy as sa

from energy_accounting import errors, units
from energy_accounting.ledger import audit, bulk, models, pasts
from energy_accounting.ledger.audit import By

FIELDS = ('region', 'time_zone', 'grid_zone', 'factor_basis')


class Site(NamedTuple):
    """A site as it is known.

    :ivar region: the region of the cloud that its hosts are in.
    :ivar time_zone: that its calendar edges are taken in (IANA).
    :ivar grid_zone: whose carbon intensity its electricity has.
    :ivar factor_basis: on which its emissions are counted, ``direct`` or
        ``lifecycle``; None: on that of which most is known.
    """

    name: str
    region: str | None
    time_zone: str
    grid_zone: str | None
    factor_basis: str | None


def read(connection: sa.Connection, *, name: str | None = None,
         after: str | None = None, limit: int | None = None) -> list[Site]:
    """Sites in the order of their names.

    :param after: only those behind this name.
    """
    table = models.sites
    chosen = sa.select(*(table.c[field] for field in Site._fields)).order_by(
        table.c.name)
    if name is not None:
        chosen = chosen.where(table.c.name == name)
    if after is not None:
        chosen = chosen.where(table.c.name > after)
    if limit is not None:
        chosen = chosen.limit(limit)
    return [Site(*row) for row in connection.execute(chosen)]


def count(connection: sa.Connection) -> int:
    """How many sites there are."""
    return connection.execute(
        sa.select(sa.func.count()).select_from(models.sites)).scalar_one()


def found(connection: sa.Connection, name: str) -> Site:
    """The site of a name.

    :raises errors.NotFound: there is none.
    """
    for site in read(connection, name=name):
        return site
    raise _none(name)


def as_of(connection: sa.Connection, site: Site, as_of_ns: int) -> Site:
    """A site as it was known at a moment."""
    site_id = connection.execute(
        sa.select(models.sites.c.id)
        .where(models.sites.c.name == site.name)).scalar_one()
    was = pasts.said(connection, pasts.SITE, [site_id], as_of_ns).get(site_id)
    # What was kept before there was such a field does not say it.
    return site if was is None else site._replace(
        **{'factor_basis': None, **was})


def create(connection: sa.Connection, by: By, name: str,
           given: Mapping[str, Any]) -> None:
    """Make a site.

    :param given: any of :data:`FIELDS`.
    :raises errors.Conflict: there is one of this name.
    :raises errors.InvalidRequest: the time zone is none.
    """
    _check(given)
    # By insertion, not by a look before it: two may make it at once.
    bulk.insert_missing(connection, models.sites, [{
        'name': name, 'region': None, 'time_zone': _UNWRITTEN,
        'grid_zone': None, 'factor_basis': None}])
    row = locked(connection, name)
    if row.time_zone != _UNWRITTEN:
        raise errors.Conflict(
            f'name: there is a site {name!r}; change it instead (openstack '
            f'energy site set; PATCH /v1/sites/{name})')
    values = {'region': None, 'time_zone': 'UTC', 'grid_zone': None,
              'factor_basis': None,
              **{field: given[field] for field in FIELDS if field in given}}
    connection.execute(sa.update(models.sites)
                       .where(models.sites.c.id == row.id).values(values))
    audit.write(connection, by.actor, by.at_ns,
                audit.Change(audit.SITE, name, None, values))


# No time zone is called so; nobody sees it outside the transaction.
_UNWRITTEN = ''


def change(connection: sa.Connection, by: By, name: str,
           given: Mapping[str, Any]) -> None:
    """Change what is said of a site.

    :param given: any of :data:`FIELDS`.
    :raises errors.NotFound: there is no such site.
    :raises errors.Conflict: another region, and its hosts have booked.
    :raises errors.InvalidRequest: the time zone is none.
    """
    _check(given)
    site = locked(connection, name)
    values = {field: given[field] for field in FIELDS
              if field in given and given[field] != site._mapping[field]}
    if 'region' in values and _has_booked(connection, site.id):
        raise errors.Conflict(
            f'region: site {name!r} is in '
            + ('no region' if site.region is None
               else f'region {site.region!r}')
            + ', and its hosts have booked energy there; leave region out, '
            'or give another site')
    if values:
        pasts.keep(connection, pasts.SITE, site.id, by.at_ns,
                   {field: site._mapping[field] for field in FIELDS})
        connection.execute(sa.update(models.sites)
                           .where(models.sites.c.id == site.id)
                           .values(values))
        audit.write(connection, by.actor, by.at_ns, audit.Change(
            audit.SITE, name,
            {field: site._mapping[field] for field in values}, values))


def found_or_made(connection: sa.Connection, name: str) -> sa.Row[Any]:
    """The row of a site, made when there is none; ours until the end."""
    row = _lock(connection, name)
    if row is None:
        bulk.insert_missing(connection, models.sites, [{
            'name': name, 'region': None, 'time_zone': 'UTC',
            'grid_zone': None, 'factor_basis': None}])
        row = locked(connection, name)
    return row


def locked(connection: sa.Connection, name: str) -> sa.Row[Any]:
    """The row of a site, ours until the transaction ends.

    :raises errors.NotFound: there is none.
    """
    row = _lock(connection, name)
    if row is None:
        raise _none(name)
    return row


def _lock(connection: sa.Connection, name: str) -> sa.Row[Any] | None:
    table = models.sites
    return connection.execute(
        sa.select(table).where(table.c.name == name).with_for_update(),
    ).one_or_none()


def _none(name: str) -> errors.NotFound:
    return errors.NotFound(f'there is no site {name[:255]!r}')


def _check(given: Mapping[str, Any]) -> None:
    if 'time_zone' in given:
        try:
            units.zone(given['time_zone'])
        except ValueError as error:
            raise errors.InvalidRequest(f'time_zone: {error}') from error


def _has_booked(connection: sa.Connection, site_id: int) -> bool:
    table = models.hosts.c
    return connection.execute(
        sa.select(table.id).where(
            table.site_id == site_id,
            table.last_window_end_ns.is_not(None)).limit(1),
    ).first() is not None
