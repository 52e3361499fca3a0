# SPDX-License-Identifier: Apache-2.0
"""The lines of a statement as CSV (RFC 4180, UTF-8, ``\\n``).

The columns of a usage row, and those of money where something is charged;
columns are only ever appended.  Names that a spreadsheet would take for a
formula are told apart from one.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator
from typing import Any

from energy_accounting import spreadsheets
from energy_accounting.ledger import statements as store
from energy_accounting.statements import answers, lines, stored

_NAMES = ('account', 'flavor', 'site', 'region', 'instance_id', 'policy')
_QUALITY = ('measured', 'backfilled', 'estimated')
_CHUNK = 500


def rows(one: store.Stored, found: Iterable[lines.Line]) -> Iterator[bytes]:
    """The header, then the lines, some at a time."""
    money = stored.charged(one)
    file = io.StringIO()
    writer = csv.writer(file, lineterminator='\n')
    writer.writerow(header(money=money))
    for number, line in enumerate(found):
        writer.writerow(_cells(one, line, money=money))
        if number % _CHUNK == _CHUNK - 1:
            yield _taken(file)
    yield _taken(file)


def header(*, money: bool) -> list[str]:
    return ['statement_id', 'revision', 'state', 'project_id', *_COLUMNS,
            *(_MONEY if money else ())]


def _cells(one: store.Stored, line: lines.Line, *, money: bool) -> list[str]:
    shown = answers.line(line, money=money)
    shown |= {f'quality_{name}': shown['quality'][name]
              for name in _QUALITY}
    shown['currency'] = one.head['totals'].get('currency')
    return [one.statement, str(one.revision), one.state,
            spreadsheets.guarded(one.project_id),
            *(_cell(name, shown[name]) for name in (
                *_COLUMNS, *(_MONEY if money else ())))]


def _cell(name: str, value: Any) -> str:
    if value is None:
        return ''
    return spreadsheets.guarded(value) if name in _NAMES else str(value)


def _taken(file: io.StringIO) -> bytes:
    text = file.getvalue()
    file.seek(0)
    file.truncate()
    return text.encode()


_COLUMNS = (
    'day', 'start', 'end', 'instance_id', 'account', 'flavor', 'site',
    'region', 'active_kwh', 'idle_kwh', 'memory_kwh', 'host_kwh',
    'platform_kwh', 'it_kwh', 'facility_kwh', 'pue', 'pue_kind',
    'co2_location_kg', 'co2_market_kg', 'cue_kg_per_kwh', 'water_l',
    'renewable_share', 'peak_kw', 'coverage', 'boundary',
    *(f'quality_{name}' for name in _QUALITY), 'policy', 'factor_quality',
    'factor_basis', 'market_factor_quality', 'market_factor_basis')
_MONEY = ('priced_quantity', 'priced_kwh', 'price_per_kwh', 'cost',
          'currency')
