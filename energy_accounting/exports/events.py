# SPDX-License-Identifier: Apache-2.0
"""``csv`` and ``jsonl``: usage events for billing systems of any make.

An event is a line of a statement: what an instance used on a day.  Its id is
the same in each export, so that a system that is handed one twice knows it;
a correction is an event with a difference, and an id of its own.
"""

from __future__ import annotations

import decimal
from collections.abc import Callable, Iterator, Mapping
from typing import IO, Any

from energy_accounting import units
from energy_accounting.exports import sources, tables, targets
from energy_accounting.report import facility, usage
from energy_accounting.statements import lines

_C = tables.Column
COLUMNS = (
    _C('event_id', tables.TEXT), _C('correction', tables.FLAG),
    _C('statement_id', tables.TEXT), _C('statement_revision', tables.INTEGER),
    _C('period', tables.TEXT), _C('timezone', tables.TEXT),
    _C('day', tables.TEXT), _C('start', tables.TIME), _C('end', tables.TIME),
    _C('domain_id', tables.TEXT), _C('project_id', tables.TEXT),
    _C('project_name', tables.TEXT), _C('instance_id', tables.TEXT),
    _C('account', tables.TEXT), _C('flavor', tables.TEXT),
    _C('site', tables.TEXT), _C('region', tables.TEXT),
    *(_C(f'{name.removesuffix("_uj")}_kwh', tables.NUMBER)
      for name in (*lines.TERMS, 'it_uj')),
    _C('facility_kwh', tables.NUMBER), _C('co2_location_kg', tables.NUMBER),
    _C('co2_market_kg', tables.NUMBER), _C('water_l', tables.NUMBER),
    _C('renewable_kwh', tables.NUMBER), _C('peak_kw', tables.NUMBER),
    _C('coverage', tables.NUMBER), _C('boundary', tables.TEXT),
    _C('policy', tables.TEXT), _C('pue_kind', tables.TEXT),
    _C('factor_quality', tables.TEXT), _C('factor_basis', tables.TEXT),
    _C('market_factor_quality', tables.TEXT),
    _C('market_factor_basis', tables.TEXT), _C('currency', tables.TEXT),
    _C('priced_kwh', tables.NUMBER), _C('priced_quantity', tables.TEXT),
    _C('price_per_kwh', tables.NUMBER), _C('cost', tables.NUMBER))


def number(text: str | None) -> decimal.Decimal | None:
    return None if text is None else decimal.Decimal(text)


def kwh(energy_uj: int | None) -> decimal.Decimal | None:
    return None if energy_uj is None else units.kwh(energy_uj)


def kilograms(amount_ng: int | None) -> decimal.Decimal | None:
    return number(facility.kilograms(amount_ng))


def litres(amount_ul: int | None) -> decimal.Decimal | None:
    """Of microlitres, exactly."""
    return None if amount_ul is None else decimal.Decimal(
        amount_ul).scaleb(-6)


def row(one: sources.Entry) -> tuple[Any, ...]:
    line, of = one.line, one.stored
    start, end = map(units.bucket_start, (line.start, line.end))
    return (
        one.id, one.correction, of.statement, of.revision, of.period,
        of.time_zone, line.day, start, end, of.domain_id,
        of.project_id or None, of.project_name, line.instance_id,
        line.account, line.flavor, line.site, line.region,
        *(kwh(getattr(line, name)) for name in (
            *lines.TERMS, 'it_uj', 'facility_uj')),
        kilograms(line.co2_location_ng), kilograms(line.co2_market_ng),
        litres(line.water_ul),
        kwh(line.renewable_uj), number(usage.peak_kw(line.peak_uj)),
        number(line.coverage), line.boundary, line.policy, line.pue_kind,
        line.factor_quality, line.factor_basis, line.market_factor_quality,
        line.market_factor_basis, one.currency, kwh(line.priced_uj),
        line.priced_quantity, number(line.price_per_kwh), number(line.cost))


def rows(source: sources.Source) -> Iterator[tuple[Any, ...]]:
    return map(row, source.entries())


def _write_csv(file: IO[bytes], source: sources.Source,
               options: Mapping[str, str], settings: targets.Settings,
               progress: Callable[[int], object]) -> int:
    return tables.write_csv(file, COLUMNS, rows(source), progress)


def _write_jsonl(file: IO[bytes], source: sources.Source,
                 options: Mapping[str, str], settings: targets.Settings,
                 progress: Callable[[int], object]) -> int:
    return tables.write_jsonl(file, COLUMNS, rows(source), progress)


CSV = targets.File({}, lambda options: 'csv', _write_csv)
JSONL = targets.File({}, lambda options: 'jsonl', _write_jsonl)
