# SPDX-License-Identifier: Apache-2.0
"""The meters of the sites: what is said of them, and what they are for.

Each change is kept with who made it (``ledger.audit``), in the same
transaction.  A meter that has readings is never deleted: it is removed at a
time.  What meters have read is in ``readings``.  No clock.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NoReturn

import sqlalchemy as sa
from oslo_db import exception as db_exception

from energy_accounting import errors, units
from energy_accounting.facility import addresses, models, places, quantities
from energy_accounting.ledger import audit, pasts, sites
from energy_accounting.ledger import models as ledger
from energy_accounting.ledger.audit import By

PROMETHEUS = 'prometheus'
REDFISH = 'redfish'
SOURCES = (PROMETHEUS, REDFISH)
"""Where readings are fetched by the service itself."""

FIXED = ('medium', 'kind', 'unit')
"""What does not change once there are readings: they would say another
thing."""
_PLAIN = ('section', 'medium', 'role', 'unit', 'kind', 'rollover',
          'max_rate', 'serial', 'accuracy_class', 'calibrated_until_ns',
          'installed_ns', 'removed_ns', 'source', 'source_ref')
FIELDS = (*_PLAIN, 'host', 'parent', 'terms')
"""What may be said of a meter, beside its name and its site."""


@dataclasses.dataclass(frozen=True, slots=True)
class Meter:
    """A meter as it is known.

    :ivar section: a part of the site that has key figures of its own.
    :ivar rollover: at which value a counter starts again from 0.
    :ivar max_rate: the most it can count in an hour; of a gauge, its
        highest value.
    :ivar host: whose node it measures.
    :ivar parent: the meter that what this one measures has gone through.
    :ivar terms: (meter, 1 or -1) that a virtual one is the sum of.
    """

    id: int
    name: str
    site: str
    section: str | None
    medium: str
    role: str
    unit: str
    kind: str
    rollover: str | None
    max_rate: str | None
    serial: str | None
    accuracy_class: str | None
    calibrated_until_ns: int | None
    installed_ns: int | None
    removed_ns: int | None
    source: str | None
    source_ref: str | None
    host: str | None
    parent: str | None
    terms: tuple[tuple[str, int], ...] = ()

    @property
    def quantity(self) -> quantities.Quantity:
        """How its values are to be understood."""
        return quantities.Quantity(self.medium, self.kind, self.unit)

    @property
    def service(self) -> places.Service:
        """When it was at its place."""
        return self.installed_ns, self.removed_ns


# --- reading ----------------------------------------------------------------

def read(connection: sa.Connection, *, ids: Sequence[int] | None = None,
         name: str | None = None, site: str | None = None,
         roles: Iterable[str] | None = None, medium: str | None = None,
         source: str | None = None, after: str | None = None,
         limit: int | None = None, recorded_until_ns: int | None = None,
         ) -> list[Meter]:
    """Meters in the order of their names.

    :param after: only those behind this name.
    :param recorded_until_ns: only those that were there at that moment.
    """
    table, parent = models.meters, models.meters.alias('parent')
    chosen = (
        sa.select(table.c.id, table.c.name, ledger.sites.c.name.label('site'),
                  *(table.c[field] for field in _PLAIN),
                  ledger.hosts.c.name.label('host'),
                  parent.c.name.label('parent'))
        .join(ledger.sites, ledger.sites.c.id == table.c.site_id)
        .outerjoin(ledger.hosts, ledger.hosts.c.id == table.c.host_id)
        .outerjoin(parent, parent.c.id == table.c.parent_id)
        .where(*_conditions(ids, name, site, roles, medium, source))
        .order_by(table.c.name))
    if after is not None:
        chosen = chosen.where(table.c.name > after)
    if recorded_until_ns is not None:
        chosen = chosen.where(table.c.recorded_ns <= recorded_until_ns)
    if limit is not None:
        chosen = chosen.limit(limit)
    rows = connection.execute(chosen).all()
    terms = _terms(connection, [row.id for row in rows
                                if row.kind == quantities.VIRTUAL])
    return [Meter(**row._mapping, terms=tuple(terms.get(row.id, ())))
            for row in rows]


def as_of(connection: sa.Connection, site: str, as_of_ns: int,
          ) -> list[Meter]:
    """The meters of a site as they were known at a moment."""
    found = read(connection, site=site, recorded_until_ns=as_of_ns)
    was = pasts.said(connection, pasts.METER,
                     [meter.id for meter in found], as_of_ns)
    return [dataclasses.replace(meter, **_known(was[meter.id]))
            if meter.id in was else meter for meter in found]


def _known(said: Mapping[str, Any]) -> dict[str, Any]:
    """As :func:`_said` told it of each field."""
    return {**said, 'terms': tuple(sorted((said['terms'] or {}).items()))}


def count(connection: sa.Connection, *, site: str | None = None,
          roles: Iterable[str] | None = None,
          medium: str | None = None) -> int:
    """How many :func:`read` gives in all its pages."""
    table = models.meters
    return connection.execute(
        sa.select(sa.func.count()).select_from(table)
        .join(ledger.sites, ledger.sites.c.id == table.c.site_id)
        .where(*_conditions(None, None, site, roles, medium, None)),
    ).scalar_one()


def found(connection: sa.Connection, called: str) -> Meter:
    """A meter by its name or the digits of its id.

    :raises errors.NotFound: there is none.
    """
    for meter in read(connection, **_called(called)):
        return meter
    raise _none(called)


def _called(called: str) -> dict[str, Any]:
    # No name is all digits.
    if called.isascii() and called.isdigit() and len(called) < 19:
        return {'ids': [int(called)]}
    return {'name': called}


def _conditions(ids: Sequence[int] | None, name: str | None,
                site: str | None, roles: Iterable[str] | None,
                medium: str | None, source: str | None,
                ) -> list[sa.ColumnElement[bool]]:
    table = models.meters.c
    conditions: list[sa.ColumnElement[bool]] = [
        column == value for column, value in (
            (table.name, name), (ledger.sites.c.name, site),
            (table.medium, medium), (table.source, source))
        if value is not None]
    if ids is not None:
        conditions.append(table.id.in_(ids))
    if roles is not None:
        conditions.append(table.role.in_(sorted(roles)))
    return conditions


def _terms(connection: sa.Connection, ids: Sequence[int],
           ) -> dict[int, list[tuple[str, int]]]:
    terms, table = models.meter_terms, models.meters
    found: dict[int, list[tuple[str, int]]] = {}
    if ids:
        for row in connection.execute(
                sa.select(terms.c.meter_id, table.c.name, terms.c.sign)
                .join(table, table.c.id == terms.c.of_meter_id)
                .where(terms.c.meter_id.in_(ids)).order_by(table.c.name)):
            found.setdefault(row.meter_id, []).append((row.name, row.sign))
    return found


# --- writing ----------------------------------------------------------------

def create(connection: sa.Connection, by: By, name: str, site: str,
           given: Mapping[str, Any]) -> None:
    """Make a meter.

    :param given: any of :data:`FIELDS`; ``medium``, ``role``, ``kind`` and
        ``unit`` must be there.
    :raises errors.Conflict: there is one of this name.
    :raises errors.NotFound: no such site.
    :raises errors.InvalidRequest: it does not fit; names the field.
    """
    # Whoever changes meters of a site waits here: what is checked of
    # others holds until the end.
    site_row = sites.locked(connection, site)
    if read(connection, name=name):
        _taken(name)
    values: dict[str, Any] = {**dict.fromkeys(FIELDS), **given}
    columns = _checked(connection, None, site_row, values)
    try:
        made = connection.execute(sa.insert(models.meters).values(
            name=name, site_id=site_row.id, recorded_ns=by.at_ns,
            **columns))
    except db_exception.DBDuplicateEntry:
        # At another site, at the same time.
        _taken(name)
    (made_id,) = made.inserted_primary_key or (0,)
    _write_terms(connection, made_id, site_row.id, values['terms'] or {})
    audit.write(connection, by.actor, by.at_ns, audit.Change(
        audit.METER, name, None,
        {'site': site, **{field: value for field, value in values.items()
                          if value is not None}}))


def change(connection: sa.Connection, by: By, called: str,
           given: Mapping[str, Any]) -> None:
    """Change what is said of a meter.

    :param given: any of :data:`FIELDS`; None takes it back.
    :raises errors.NotFound: there is no such meter.
    :raises errors.Conflict: it has readings that would say another thing.
    :raises errors.InvalidRequest: it does not fit; names the field.
    """
    before = found(connection, called)
    site_row = sites.locked(connection, before.site)
    locked(connection, before.id)
    before = found(connection, called)
    was = {field: _said(before, field) for field in FIELDS}
    changed = {field: value for field, value in given.items()
               if value != was[field]}
    if not changed:
        return
    for field in FIXED:
        if field in changed and _has_readings(connection, before.id):
            raise errors.Conflict(
                f'{field}: meter {before.name!r} has readings in it; say '
                'when it was removed (removed_at), and make another meter')
    values = {**was, **changed}
    columns = _checked(connection, before, site_row, values)
    pasts.keep(connection, pasts.METER, before.id, by.at_ns, was)
    connection.execute(sa.update(models.meters)
                       .where(models.meters.c.id == before.id)
                       .values(columns))
    if 'terms' in changed:
        _write_terms(connection, before.id, site_row.id,
                     values['terms'] or {})
    audit.write(connection, by.actor, by.at_ns, audit.Change(
        audit.METER, before.name, {field: was[field] for field in changed},
        changed))


def locked(connection: sa.Connection, meter_id: int) -> None:
    """Let others that write of this meter wait until the end."""
    connection.execute(
        sa.select(models.meters.c.id)
        .where(models.meters.c.id == meter_id).with_for_update()).one()


def _said(meter: Meter, field: str) -> Any:
    value = getattr(meter, field)
    return dict(value) or None if field == 'terms' else value


def _write_terms(connection: sa.Connection, meter_id: int, site_id: int,
                 terms: Mapping[str, int]) -> None:
    table = models.meter_terms
    connection.execute(sa.delete(table)
                       .where(table.c.meter_id == meter_id))
    rows = [{'meter_id': meter_id, 'of_meter_id': of.id,
             'sign': terms[of.name]}
            for of in _of_site(connection, 'terms', terms, site_id)]
    if rows:
        connection.execute(sa.insert(table), rows)


# --- what fits --------------------------------------------------------------

def _checked(connection: sa.Connection, meter: Meter | None,
             site: sa.Row[Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """The columns of a meter, when all that is said of it fits.

    :param meter: as it was; None: it is new.
    """
    medium, role, kind = (values[field]
                          for field in ('medium', 'role', 'kind'))
    if medium not in quantities.ROLES[role]:
        _refuse('medium', f'a meter of role {role} does not measure {medium}',
                f'give one of {", ".join(quantities.ROLES[role])}')
    if values['unit'] not in quantities.units_of(medium, kind):
        _refuse('unit', f'{values["unit"]!r} is none of {medium} for a '
                f'{kind} meter', 'give one of '
                f'{", ".join(quantities.units_of(medium, kind))}')
    if values['rollover'] is not None and kind != quantities.CUMULATIVE:
        _refuse('rollover', f'a {kind} meter has none',
                'leave it out, or give kind cumulative')
    if kind == quantities.VIRTUAL:
        if values['max_rate'] is not None:
            _refuse('max_rate', 'a virtual meter has no readings',
                    'leave it out')
    _check_limits(values)
    _check_times(values)
    _check_source(values)
    columns = {field: values[field] for field in _PLAIN}
    columns['host_id'] = _host_id(connection, site, role, values['host'])
    columns['parent_id'] = _parent_id(connection, meter, site,
                                      values['parent'])
    _check_terms(connection, meter, site, values)
    return columns


def _check_limits(values: Mapping[str, Any]) -> None:
    """That a meter may read anything at all, in the integers that count."""
    quantity = quantities.Quantity(values['medium'], values['kind'],
                                   values['unit'])
    for field, nothing in (
            ('rollover', 'no value is below it'),
            ('max_rate', 'no use would be believed')):
        if values[field] is not None and not quantity.exact(values[field]):
            _refuse(field, f'{values[field]!r} {values["unit"]} is nothing: '
                    f'{nothing}', 'give what is written on the meter, or '
                    'leave it out')


def _check_times(values: Mapping[str, Any]) -> None:
    installed_ns, removed_ns = values['installed_ns'], values['removed_ns']
    if (installed_ns is not None and removed_ns is not None
            and removed_ns <= installed_ns):
        _refuse('removed_at', 'it is not after installed_at',
                'give a later time')


def _check_source(values: Mapping[str, Any]) -> None:
    if values['source'] is not None and values['kind'] not in (
            quantities.CUMULATIVE, quantities.GAUGE):
        _refuse('source', f'a meter of kind {values["kind"]} is not read at '
                'moments', 'leave it out, or give kind cumulative or gauge')
    if values['source'] == PROMETHEUS and not values['source_ref']:
        _refuse('source_ref', 'must be given for source prometheus',
                'give the query whose result is one time series')
    if values['source'] == REDFISH:
        if values['role'] != quantities.NODE:
            _refuse('source', 'redfish reads meters of role node',
                    'give role node, or another source')
        try:
            addresses.parsed(values['source_ref'] or '')
        except ValueError as error:
            # Not the address: there may be a password in it.
            _refuse('source_ref', f'for source redfish {error}',
                    'give the address of a resource, such as https://bmc-1/'
                    'redfish/v1/Chassis/1')


def _host_id(connection: sa.Connection, site: sa.Row[Any], role: str,
             host: str | None) -> int | None:
    if host is None:
        if role == quantities.NODE:
            _refuse('host', 'a meter of role node is that of a host',
                    'give its name')
        return None
    if role != quantities.NODE:
        _refuse('host', f'a meter of role {role} is of no single host',
                'leave it out, or give role node')
    table = ledger.hosts.c
    row = connection.execute(
        sa.select(table.id, table.site_id).where(table.name == host),
    ).one_or_none()
    if row is None:
        _refuse('host', f'there is no host {host!r}', 'enrol it first, or '
                'give another name')
    if row.site_id != site.id:
        _refuse('host', f'host {host!r} is at another site',
                'give a host of this site')
    return int(row.id)


def _parent_id(connection: sa.Connection, meter: Meter | None,
               site: sa.Row[Any], parent: str | None) -> int | None:
    if parent is None:
        return None
    (row,) = _of_site(connection, 'parent', [parent], site.id)
    above: Meter | None = row
    while above is not None:
        if meter is not None and above.id == meter.id:
            _refuse('parent', f'meter {parent!r} is itself below '
                    f'{meter.name!r}', 'give a meter that is not')
        above = (None if above.parent is None
                 else read(connection, name=above.parent)[0])
    return row.id


def _check_terms(connection: sa.Connection, meter: Meter | None,
                 site: sa.Row[Any], values: Mapping[str, Any]) -> None:
    terms: Mapping[str, int] | None = values['terms']
    if (values['kind'] == quantities.VIRTUAL) != bool(terms):
        _refuse('terms', 'a virtual meter is a sum of others, and no other '
                'meter is', 'give terms with kind virtual, or neither')
    for of in _of_site(connection, 'terms', terms or (), site.id):
        if of.kind == quantities.VIRTUAL:
            _refuse('terms', f'meter {of.name!r} is virtual itself',
                    'give the meters that it is the sum of')
        if (of.quantity.canonical == quantities.WATER_ML) != (
                values['medium'] == quantities.WATER):
            _refuse('terms', f'meter {of.name!r} is of {of.medium}',
                    'give meters whose amounts can be added')
    if meter is None:
        return
    used = models.meter_terms
    for field in ('kind', 'medium'):
        if (values[field] != getattr(meter, field) and connection.execute(
                sa.select(used.c.meter_id).where(
                    used.c.of_meter_id == meter.id).limit(1)).first()):
            _refuse(field, f'meter {meter.name!r} is part of a virtual one',
                    'take it out of that first')


def _of_site(connection: sa.Connection, field: str, names: Iterable[str],
             site_id: int) -> list[Meter]:
    """Meters of this site by name, each of which must be there."""
    found = []
    site = connection.execute(
        sa.select(ledger.sites.c.name)
        .where(ledger.sites.c.id == site_id)).scalar_one()
    for name in names:
        rows = read(connection, name=name)
        if not rows:
            _refuse(field, f'there is no meter {name!r}',
                    'make it first, or give another name')
        if rows[0].site != site:
            _refuse(field, f'meter {name!r} is at site {rows[0].site!r}',
                    'give meters of one site')
        found += rows
    return found


def _has_readings(connection: sa.Connection, meter_id: int) -> bool:
    table = models.readings.c
    return connection.execute(
        sa.select(table.id).where(table.meter_id == meter_id).limit(1),
    ).first() is not None


def _refuse(field: str, problem: str, remedy: str) -> NoReturn:
    raise errors.InvalidRequest(f'{field}: {problem}; {remedy}')


def _taken(name: str) -> NoReturn:
    raise errors.Conflict(
        f'name: there is a meter {name!r}; change it instead (openstack '
        f'energy meter set; PATCH /v1/meters/{name})')


def _none(called: str) -> errors.NotFound:
    return errors.NotFound(f'there is no meter {called[:255]!r}')


def in_service(meter: Meter, start_ns: int, end_ns: int) -> bool:
    """Whether a meter was there for any part of a time."""
    return ((meter.installed_ns is None or meter.installed_ns < end_ns)
            and (meter.removed_ns is None or start_ns < meter.removed_ns))


def buckets_in_service(meter: Meter, buckets: range) -> range:
    """Those of a range of buckets in which a meter was :func:`in_service`.
    """
    start, stop = buckets.start, buckets.stop
    if meter.installed_ns is not None:
        start = max(start, meter.installed_ns // units.BUCKET_NS)
    if meter.removed_ns is not None:
        stop = min(stop, -(-meter.removed_ns // units.BUCKET_NS))
    return range(start, max(start, stop))


def in_service_of(found: Iterable[Meter], start_ns: int, end_ns: int,
                  ) -> list[tuple[int, int]]:
    """When any of some meters of the whole site was there, by buckets."""
    buckets = range(start_ns // units.BUCKET_NS, -(-end_ns
                                                   // units.BUCKET_NS))
    there = [buckets_in_service(one, buckets) for one in found
             if one.section is None]
    edges = [(one.start * units.BUCKET_NS, one.stop * units.BUCKET_NS)
             for one in there if one]
    return units.without(start_ns, end_ns,
                         units.without(start_ns, end_ns, edges))


def when(wall_ns: int) -> str:
    """A moment in words of ours."""
    return units.iso(units.moment(wall_ns))
