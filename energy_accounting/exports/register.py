# SPDX-License-Identifier: Apache-2.0
"""``register``: a year of each site as registers of data centres ask for it.

One record for each site, with the fields of ``register_fields``: made of
what meters and contracts say and of what the operator says.  It is of sites
and of no project, and needs no statement; the year is that of the site's
time zone.
"""

from __future__ import annotations

import csv
import dataclasses
import functools
import hashlib
import io
import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import IO, Any

import sqlalchemy as sa

from energy_accounting import errors, spreadsheets, units, wire
from energy_accounting.exports import register_facts as facts
from energy_accounting.exports import register_fields as fields
from energy_accounting.exports import targets
from energy_accounting.facility import (
    contract_store,
    editions,
    figures,
    inputs,
    site_figures,
    site_inputs,
)
from energy_accounting.ledger import engine, sites
from energy_accounting.ledger import exports as outbox
from energy_accounting.statements import periods

FORMAT = 'energy-accounting/register/1'
_COLUMNS = ('site', 'start', 'end', 'field', 'label', 'enefg', 'eu', 'unit',
            'value', 'missing_because', 'source', 'standard', 'coverage',
            'estimated', 'notes')
_PROGRAM = 'energy-accounting'
_NUMBER = re.compile(r'-?[0-9]+(\.[0-9]+)?')


@dataclasses.dataclass(frozen=True)
class Records:
    """What is exported.

    :ivar records: of each site, as they are written.
    """

    period: periods.Period
    records: Sequence[Mapping[str, Any]]
    project_id: str | None = None
    revisions: Sequence[outbox.Closed] = ()

    @functools.cached_property
    def digest(self) -> str:
        return hashlib.sha256(wire.to_json(
            [*self.records]).encode()).hexdigest()

    @property
    def total(self) -> int:
        return sum(len(one['fields']) for one in self.records)


def find(asked: targets.Asked) -> Records:
    """The records of all sites, as everything is known now.

    :raises errors.InvalidRequest: a month is asked for, or a project.
    :raises errors.Conflict: the year is not over everywhere.
    """
    if '-' in asked.period.name:
        raise errors.InvalidRequest(
            f'period: a register is of a year, and {asked.period.name} is '
            'none; give one such as 2025')
    if asked.project_id is not None:
        raise errors.InvalidRequest(
            'project: a register is of sites and of no project; ask for all '
            'projects')
    said = facts.load(asked.settings.register_file)
    with asked.database.reader() as connection:
        engine.snapshot(connection)
        there = sites.read(connection)
        unknown = sorted({*said} - {one.name for one in there})
        if unknown:
            raise errors.ConfigurationError(
                f'[exports] register_file: there is no site {unknown[0]!r}: '
                'call it as "openstack energy site list" does')
        return Records(asked.period, [
            _record(connection, site, asked, said.get(site.name, {}))
            for site in there])


def _record(connection: sa.Connection, site: sites.Site,
            asked: targets.Asked, said: Mapping[str, Any],
            ) -> dict[str, Any]:
    year = periods.period(asked.period.name, site.time_zone)
    if year.end_ns > asked.now_ns:
        raise errors.Conflict(
            f'period: {year.name} is not over at site {site.name}; ask for '
            'it then')
    period = inputs.Period(units.moment(year.start_ns),
                           units.moment(year.end_ns))
    scope = figures.Scope(site.name, period, year.where,
                          editions.chosen('enefg'), _PROGRAM)
    known = site_inputs.read(connection, site, period, asked.now_ns)
    found = fields.record(site.name, said, fields.Measured(
        known, site_figures.table(scope, known), {
            f'contract {kept.id}': kept.contract.instrument
            for kept in contract_store.as_of(
                connection, site.name, year.start_ns, year.end_ns,
                asked.now_ns)}, scope.minimum_coverage))
    return {'site': site.name, 'time_zone': site.time_zone,
            'start': units.iso(period.start), 'end': units.iso(period.end),
            'fields': [*fields.rows(found)]}


def _write(file: IO[bytes], source: Records, options: Mapping[str, str],
           settings: targets.Settings, progress: Callable[[int], object],
           ) -> int:
    if options['format'] == 'csv':
        _write_csv(file, source)
    else:
        file.write(json.dumps({
            'format': FORMAT, 'year': source.period.name,
            'provider': settings.provider, 'sites': [*source.records],
        }, indent=1, ensure_ascii=False).encode() + b'\n')
    progress(source.total)
    return source.total


def _write_csv(file: IO[bytes], source: Records) -> None:
    text = io.TextIOWrapper(file, 'utf-8', newline='')
    writer = csv.writer(text, lineterminator='\n')
    writer.writerow(_COLUMNS)
    for one in source.records:
        for row in one['fields']:
            writer.writerow([_cell(value) for value in (
                one['site'], one['start'], one['end'],
                *(row[name] for name in _COLUMNS[3:]))])
    text.detach()


def _cell(value: Any) -> str | None:
    if value is None:
        return None
    if isinstance(value, list):
        value = '; '.join(value)
    # A temperature below zero is a number, and no formula.
    return (value if _NUMBER.fullmatch(value)
            else spreadsheets.guarded(value))


TARGET = targets.File(
    {'format': targets.Option('json', 'of the file', ('json', 'csv'))},
    lambda options: options['format'], _write, find)
