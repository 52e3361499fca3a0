# SPDX-License-Identifier: Apache-2.0
"""``carbon``: CO2 by month, project and service, as Google Cloud's customers
know it.

The columns of Google Cloud's "Carbon Footprint export data schema", with
their names and in their order, then ours (``x_``).  A row is what the newest
revision of a statement says: a table of a month is stated anew when the
statement is, as Google's is when its model changes.
"""

from __future__ import annotations

import datetime
import decimal
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import IO, Any, NamedTuple

from energy_accounting import wire
from energy_accounting.exports import focus, sources, tables, targets
from energy_accounting.exports.events import kilograms, kwh, litres
from energy_accounting.facility import factors
from energy_accounting.ledger import statements as store
from energy_accounting.statements import lines, stored

MODEL_VERSION = 1
"""Raised when the same measurements and factors would give another figure."""

_STEP = 1000
_C = tables.Column
COLUMNS = (
    _C('usage_month', tables.DATE), _C('billing_account_id', tables.TEXT),
    _C('project.id', tables.TEXT), _C('project.number', tables.TEXT),
    _C('service.description', tables.TEXT), _C('service.id', tables.TEXT),
    _C('location.location', tables.TEXT), _C('location.region', tables.TEXT),
    _C('carbon_model_version', tables.INTEGER),
    _C('carbon_footprint_total_kgCO2e.market_based', tables.NUMBER),
    _C('carbon_footprint_total_kgCO2e.location_based', tables.NUMBER),
    _C('carbon_footprint_kgCO2e.scope1', tables.NUMBER),
    _C('carbon_footprint_kgCO2e.scope2.location_based', tables.NUMBER),
    _C('carbon_footprint_kgCO2e.scope2.market_based', tables.NUMBER),
    _C('carbon_footprint_kgCO2e.scope3', tables.NUMBER),
    _C('carbon_footprint_total_kgCO2e.after_offsets', tables.NUMBER),
    _C('x_project_name', tables.TEXT), _C('x_it_kwh', tables.NUMBER),
    _C('x_facility_kwh', tables.NUMBER), _C('x_renewable_kwh', tables.NUMBER),
    _C('x_water_l', tables.NUMBER), _C('x_boundary', tables.TEXT),
    _C('x_method_version', tables.TEXT), _C('x_factor_quality', tables.TEXT),
    _C('x_factor_basis', tables.TEXT),
    _C('x_market_factor_quality', tables.TEXT),
    _C('x_market_factor_basis', tables.TEXT),
    _C('x_statement_id', tables.TEXT),
    _C('x_statement_revision', tables.INTEGER),
    _C('x_scope2_missing_because', tables.TEXT))

_BOUGHT = ('electricity', 'heat', 'cooling')
_INSTANCES = 'instances'
_NAMES = {_INSTANCES: 'Instances', 'unallocated': 'Unallocated capacity'}


class _Key(NamedTuple):
    """What a row is of, and the order of the rows of a project."""

    month: str
    service: str
    site: str
    region: str


def _sums(found: Iterator[lines.Line], progress: Callable[[int], object],
          ) -> list[tuple[_Key, lines.Sum]]:
    sums: dict[_Key, lines.Sum] = {}
    read = 0
    for line in found:
        sums.setdefault(_Key(
            line.day[:7], _INSTANCES if line.instance_id is not None
            else line.account, line.site, line.region or ''),
            lines.Sum()).add(line)
        read += 1
        if not read % _STEP:
            progress(_STEP)
    progress(read % _STEP)
    return sorted(sums.items(), key=lambda item: item[0])


def _row(of: store.Stored, key: _Key, total: lines.Sum) -> Sequence[Any]:
    owned = bool(of.project_id)
    values = total.values
    missing = {name: _mixed(of, key.site, values[f'co2_{name}_ng'],
                            total.word(f'{prefix}factor_basis'))
               for name, prefix in (('location', ''), ('market', 'market_'))}
    bought = {name: None if why else kilograms(values[f'co2_{name}_ng'])
              for name, why in missing.items()}
    return (
        datetime.date.fromisoformat(f'{key.month}-01'),
        (of.domain_id or focus.UNKNOWN_DOMAIN) if owned else focus.OPERATOR,
        of.project_id or None, '', _NAMES.get(
            key.service, 'Service of the cloud'), key.service, key.site,
        key.region or None, MODEL_VERSION,
        kilograms(values['co2_market_ng']),
        kilograms(values['co2_location_ng']),
        # Scope 1: of what nobody meters (refrigerants) nothing is known.
        # Scope 3: of what was built neither, and lifecycle factors do not
        # say which part of them is upstream.
        None, bought['location'], bought['market'], None, None,
        of.project_name if owned else None, kwh(values['it_uj']),
        kwh(values['facility_uj']), kwh(values['renewable_uj']),
        litres(values['water_ul']), total.word('boundary'),
        total.word('policy'), total.word('factor_quality'),
        total.word('factor_basis'), total.word('market_factor_quality'),
        total.word('market_factor_basis'), of.statement, of.revision,
        '; '.join(dict.fromkeys(filter(None, missing.values()))) or None)


def _mixed(of: store.Stored, site: str, co2_ng: int | None,
           basis: str | None) -> str | None:
    """Why the CO2 of a row is not that of scope 2; None: it is.

    GHG Protocol, Scope 2 Guidance: electricity, steam, heat and cooling that
    were bought, where they were generated; neither what was burnt on the
    site (scope 1) nor what comes before generation (scope 3, category 3).
    """
    if co2_ng is None:
        return 'CO2 is not known'
    if basis != factors.DIRECT:
        return (f'factors of the basis {basis or "unknown"} have more in them '
                'than generation')
    burnt = sorted({
        one['carrier'] for one in of.head['factors']
        if one.get('kind') == factors.CARBON and one['site'] == site
        and one['carrier'] not in _BOUGHT and decimal.Decimal(one['highest'])})
    return (f'what was burnt on the site is in it: {", ".join(burnt)}'
            if burnt else None)


def rows(source: sources.Source, progress: Callable[[int], object],
         ) -> Iterator[Sequence[Any]]:
    """A statement's at a time, by month, service, site and region."""
    for of in source.newest():
        with source.connection() as connection:
            sums = _sums(stored.lines_of(connection, of), progress)
        for key, total in sums:
            yield _row(of, key, total)


def _nested(file: IO[bytes], found: Iterator[Sequence[Any]]) -> int:
    """JSON lines with an object where a name has a dot, as BigQuery loads
    them.
    """
    count = 0
    for row in found:
        said: dict[str, Any] = {}
        for column, value in zip(COLUMNS, row, strict=True):
            *outer, name = column.name.split('.')
            inside = said
            for part in outer:
                inside = inside.setdefault(part, {})
            inside[name] = tables.in_json(column, value)
        file.write(wire.to_json(said).encode() + b'\n')
        count += 1
    return count


def _write(file: IO[bytes], source: sources.Source,
           options: Mapping[str, str], settings: targets.Settings,
           progress: Callable[[int], object]) -> int:
    found = rows(source, progress)
    if options['format'] == 'jsonl':
        return _nested(file, found)
    # What is told of is lines, of which there are more than rows.
    return tables.WRITERS[options['format']](
        file, COLUMNS, found, lambda written: None)


TARGET = targets.File(
    {'format': targets.Option('csv', 'of the file',
                              (*tables.WRITERS, 'jsonl'))},
    lambda options: options['format'], _write)
