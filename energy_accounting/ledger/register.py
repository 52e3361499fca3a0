# SPDX-License-Identifier: Apache-2.0
"""The hosts' register: what an operator decides about a host.

Each change is kept with who made it (``audit``), in the same transaction.
What windows say of a host is written with them (``writes``); reading is in
``hosts``.  No clock.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from energy_accounting import errors, units
from energy_accounting.ledger import (
    audit,
    bulk,
    hosts,
    models,
    quarantine,
    sites,
)
from energy_accounting.ledger.audit import By

_REMEDY_SITE = ('what it used there would move too; retire it and enrol the '
                'machine under another name')


def enrol(connection: sa.Connection, by: By, name: str,
          given: Mapping[str, Any]) -> None:
    """Expect a host from now on, and believe what its key signs.

    :param given: any of ``site``, ``region``, ``public_key``,
        ``max_power_uw``.  Without a key, the one key that records of the
        host came with is pinned; where none came yet, the first that does
        is.
    :raises errors.Conflict: the host is enrolled, records of more than one
        key came, or the site does not fit.
    """
    row = _lock(connection, name)
    if row is None:
        bulk.insert_missing(connection, models.hosts, [{
            'name': name, 'site_id': models.DEFAULT_SITE,
            'state': models.PENDING, 'boundary': models.RAPL}])
        row = _locked(connection, name)
    elif row.state == models.ENROLLED:
        raise errors.Conflict(
            f'host {name!r} is enrolled; change what is known of it '
            f'instead (openstack energy host set, or replace for another '
            f'key; PATCH /v1/hosts/{name})')
    _change(connection, by, row, {**given, 'state': models.ENROLLED})


def change(connection: sa.Connection, by: By, name: str,
           given: Mapping[str, Any]) -> None:
    """Change what an operator says of a host.

    :param given: any of ``state`` (``enrolled`` or ``retired``),
        ``public_key``, ``max_power_uw``, ``site``, ``region``.
    :raises errors.NotFound: there is no such host.
    :raises errors.Conflict: it does not fit what the host has booked.
    """
    _change(connection, by, _locked(connection, name), given)


def _change(connection: sa.Connection, by: By, row: sa.Row[Any],
            given: Mapping[str, Any]) -> None:
    values: dict[str, Any] = {}
    if 'site' in given:
        values['site_id'] = _site_id(connection, by, row, given['site'],
                                     given.get('region'))
    state = given.get('state', row.state)
    if state != row.state:
        values['state'] = state
        if state == models.ENROLLED:
            # When it was retired stays: that time is nobody's fault.
            values['enrolled_at_ns'] = by.at_ns
        else:
            values['retired_at_ns'] = by.at_ns
    if 'max_power_uw' in given:
        values['max_power_uw'] = given['max_power_uw']
    key = given.get('public_key', row.public_key)
    if key is None and values.get('state') == models.ENROLLED:
        key = _only_key(connection, row)
    if key != row.public_key:
        if row.public_key is not None:
            quarantine.remember(connection, row.name, row.public_key)
        # What the alarm said of another key is decided.
        values.update(public_key=key, alarm=None)
    values = {name: value for name, value in values.items()
              if value != row._mapping[name]}
    if values:
        connection.execute(
            sa.update(models.hosts).where(models.hosts.c.id == row.id)
            .values(values))
        audit.write(connection, by.actor, by.at_ns,
                    *_changes(connection, row, values))


def _changes(connection: sa.Connection, row: sa.Row[Any],
             values: Mapping[str, Any]) -> list[audit.Change]:
    """What is kept of a change: a key by itself."""
    found = []
    if 'public_key' in values:
        found.append(audit.Change(
            audit.KEY, row.name, {'public_key': row.public_key},
            {'public_key': values['public_key']}))
    names = [name for name in _NAMES if name in values]
    if names:
        found.append(audit.Change(audit.HOST, row.name, *(
            {_NAMES[name]: _said(connection, name, of[name])
             for name in names} for of in (row._mapping, values))))
    return found


_NAMES = {'state': 'state', 'site_id': 'site',
          'max_power_uw': 'max_power_uw'}


def _said(connection: sa.Connection, name: str, value: Any) -> Any:
    return (_site_name(connection, value) if name == 'site_id' else value)


# --- keys and sites ---------------------------------------------------------

def _only_key(connection: sa.Connection, row: sa.Row[Any]) -> str | None:
    keys = hosts.presented(connection, [row.id]).get(row.id, [])
    if len(keys) > 1:
        raise errors.Conflict(
            f'records of host {row.name!r} came with {len(keys)} keys; '
            'compare with what its notifier logged at its first start, and '
            f'give public_key: {", ".join(keys)}')
    return keys[0] if keys else None


def _site_id(connection: sa.Connection, by: By, row: sa.Row[Any],
             name: str, region: str | None) -> int:
    """The site a host is to have; made when there is none."""
    site = sites.found_or_made(connection, name)
    if row.last_window_end_ns is not None and site.id != row.site_id:
        raise errors.Conflict(
            f'site: host {row.name!r} has booked energy at site '
            f'{_site_name(connection, row.site_id)!r}, and '
            f'{_REMEDY_SITE}')
    if region is not None:
        sites.change(connection, by, name, {'region': region})
    return int(site.id)


def _site_name(connection: sa.Connection, site_id: int) -> str:
    table = models.sites.c
    return str(connection.execute(
        sa.select(table.name).where(table.id == site_id)).scalar_one())


# --- downtime ---------------------------------------------------------------

def plan(connection: sa.Connection, by: By, name: str, start_ns: int,
         end_ns: int, reason: str) -> hosts.Downtime:
    """Plan a downtime.

    :raises errors.NotFound: there is no such host.
    """
    row = _locked(connection, name)
    table = models.downtimes
    made = connection.execute(sa.insert(table).values(
        host_id=row.id, start_ns=start_ns, end_ns=end_ns, reason=reason))
    (made_id,) = made.inserted_primary_key or (0,)
    planned = hosts.Downtime(made_id, start_ns, end_ns, reason)
    audit.write(connection, by.actor, by.at_ns, audit.Change(
        audit.DOWNTIME, row.name, None, _planned(planned)))
    return planned


def cancel(connection: sa.Connection, by: By, name: str,
           downtime_id: int) -> None:
    """Forget a downtime; what it was stays in the audit.

    :raises errors.NotFound: the host has no such downtime.
    """
    row = _locked(connection, name)
    table = models.downtimes
    mine = sa.and_(table.c.id == downtime_id, table.c.host_id == row.id)
    found = connection.execute(sa.select(table).where(mine)).one_or_none()
    if found is None:
        raise errors.NotFound(
            f'host {name[:255]!r} has no downtime {downtime_id}')
    connection.execute(sa.delete(table).where(mine))
    audit.write(connection, by.actor, by.at_ns, audit.Change(
        audit.DOWNTIME, row.name, _planned(hosts.Downtime(
            found.id, found.start_ns, found.end_ns, found.reason)), None))


def _planned(downtime: hosts.Downtime) -> dict[str, Any]:
    return {'id': downtime.id,
            'start': units.iso(units.moment(downtime.start_ns)),
            'end': units.iso(units.moment(downtime.end_ns)),
            'reason': downtime.reason}


# --- rows -------------------------------------------------------------------

def _lock(connection: sa.Connection, name: str) -> sa.Row[Any] | None:
    """The host's row, ours until the transaction ends."""
    table = models.hosts
    return connection.execute(
        sa.select(table).where(table.c.name == name).with_for_update(),
    ).one_or_none()


def _locked(connection: sa.Connection, name: str) -> sa.Row[Any]:
    row = _lock(connection, name)
    if row is None:
        raise errors.NotFound(f'there is no host {name[:255]!r}')
    return row

