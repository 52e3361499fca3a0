# SPDX-License-Identifier: Apache-2.0
"""What a page says of rows of the API: shares, idle servers, downloads.

Pure; words are Django's and not made here.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from energy_accounting import spreadsheets
from energy_accounting.dashboard import numbers
from energy_accounting.dashboard.numbers import Decimal

# A server whose work was less than this share of its processors' energy
# did nothing that anybody would miss: on the servers that we know, below
# three hundredths of the reserved CPU time.
IDLE_SHARE = Decimal('0.05')


def is_idle(row: Mapping[str, Any]) -> bool:
    """Whether a server only kept its reservation warm."""
    idle = numbers.parse(row.get('idle_kwh')) or Decimal(0)
    active = numbers.parse(row.get('active_kwh')) or Decimal(0)
    return idle > 0 and active < IDLE_SHARE * (active + idle)


def cost_kwh(row: Mapping[str, Any]) -> Decimal:
    """What a server used: in the building where that is known."""
    known = row.get('facility_kwh')
    return Decimal(row['it_kwh'] if known is None else known)


def building_kwh(row: Mapping[str, Any]) -> Decimal | None:
    """What the building used beyond the servers; None: not known."""
    facility = numbers.parse(row.get('facility_kwh'))
    return None if facility is None else facility - Decimal(row['it_kwh'])


def intensity(row: Mapping[str, Any] | None) -> Decimal | None:
    """CO2 of a kWh that the building took in (kg/kWh), by location."""
    if row is None:
        return None
    facility = numbers.parse(row.get('facility_kwh'))
    emitted = numbers.parse(row.get('co2_location_kg'))
    return emitted / facility if facility and emitted is not None else None


def csv_text(rows: Iterable[Mapping[str, Any]], columns: Sequence[str],
             ) -> Iterable[str]:
    """The API's rows as lines of CSV (RFC 4180), every digit of them.

    :param columns: those of the rows that are written first; all others
        follow as the rows have them.
    """
    names: list[str] = []
    for row in rows:
        if not names:
            names = [*columns, *(name for name in row
                                 if name not in columns)]
            yield _line(names)
        yield _line([_value(row.get(name)) for name in names])
    if not names:
        yield _line(columns)


def _value(value: Any) -> str:
    if value is None:
        return ''
    if isinstance(value, (Mapping, list)):
        return json.dumps(value, sort_keys=True)
    text = str(value)
    try:
        # A negative figure is a figure.
        Decimal(text)
    except ArithmeticError:
        return spreadsheets.guarded(text)
    return text


def _line(values: Sequence[str]) -> str:
    line = io.StringIO()
    csv.writer(line).writerow(values)
    return line.getvalue()
