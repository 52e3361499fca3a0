# SPDX-License-Identifier: Apache-2.0
"""Factors from a file of comma-separated values, all or none.

Reading a text and saying which line is wrong; where the text comes from is
the callers'.
"""

from __future__ import annotations

import csv
import datetime
import io
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from energy_accounting import errors, units
from energy_accounting.facility import factors

NEEDED = ('start', 'end', 'value', 'source')
DEFAULTS = {'kind': factors.CARBON, 'zone': '', 'site': '',
            'carrier': factors.ELECTRICITY, 'basis': '', 'method': '',
            'signal': '', 'unit': '', 'quality': factors.ACTUAL,
            'revision': ''}
"""Columns that may be left out, and what then counts."""
COLUMNS = (*NEEDED, *DEFAULTS)
MAX_ROWS = 500_000


class Line(NamedTuple):
    """A factor, and the line of the file it stands on."""

    number: int
    factor: factors.Factor


def read(text: str, where: str, provider: str, now_ns: int) -> list[Line]:
    """The factors of a file.

    :param where: what the file is called in an error.
    :raises errors.InvalidRequest: names every line and field that is wrong.
    """
    lines: list[Line] = []
    problems: list[factors.Problem] = []
    numbers: list[int] = []
    for number, fields in _rows(text, where):
        try:
            lines.append(Line(number, _factor(fields, provider, now_ns)))
        except _WrongField as wrong:
            problems.append(factors.Problem(len(numbers), wrong.field,
                                            str(wrong)))
        numbers.append(number)
    factors.refuse(problems, lambda row: f'{where} line {numbers[row]}')
    if not lines:
        raise errors.InvalidRequest(
            f'{where}: there is no row under the header: give at least one')
    factors.refuse(factors.within([line.factor for line in lines]),
                   lambda row: f'{where} line {lines[row].number}')
    return lines


class _WrongField(ValueError):

    def __init__(self, field: str, text: str) -> None:
        super().__init__(text)
        self.field = field


def _rows(text: str, where: str) -> Iterator[tuple[int, dict[str, str]]]:
    head = text.lstrip('\ufeff').partition('\n')[0]
    reader = csv.reader(io.StringIO(text.lstrip('\ufeff'), newline=''),
                        delimiter=';' if ';' in head else ',', strict=True)
    try:
        header = [name.strip().lower() for name in next(reader, [])]
        _check_header(header, where)
        for count, cells in enumerate(reader):
            if count >= MAX_ROWS:
                raise errors.InvalidRequest(
                    f'{where}: it has more than {MAX_ROWS} rows: divide it')
            if not any(cell.strip() for cell in cells):
                continue
            if len(cells) != len(header):
                raise errors.InvalidRequest(
                    f'{where} line {reader.line_num}: it has {len(cells)} '
                    f'fields and the header has {len(header)}: give as '
                    'many, and write numbers with a point')
            yield reader.line_num, {
                name: cell.strip()
                for name, cell in zip(header, cells, strict=True)}
    except csv.Error as error:
        raise errors.InvalidRequest(
            f'{where} line {reader.line_num}: it is not CSV ({error}): '
            'check the quotes') from error


def _check_header(header: Sequence[str], where: str) -> None:
    missing = [name for name in NEEDED if name not in header]
    unknown = [name for name in header if name not in COLUMNS]
    twice = {name for name in header if header.count(name) > 1}
    for what, names in (('has no', missing), ('has the unknown', unknown),
                        ('has twice', sorted(twice))):
        if names:
            raise errors.InvalidRequest(
                f'{where} line 1: the header {what} '
                f'{", ".join(name[:64] or "(nothing)" for name in names)}: '
                f'give {", ".join(NEEDED)} and any of '
                f'{", ".join(DEFAULTS)}, each once')


def _factor(given: dict[str, str], provider: str, now_ns: int,
            ) -> factors.Factor:
    fields = {name: given.get(name) or default
              for name, default in DEFAULTS.items()}
    carbon = fields['kind'] == factors.CARBON
    for name, default in (('method', factors.LOCATION),
                          ('signal', factors.AVERAGE)):
        if carbon and not fields[name]:
            fields[name] = default
    try:
        value = factors.decimal_of(given['value'])
    except ValueError as error:
        raise _WrongField('value', str(error)) from error
    return factors.Factor(
        kind=fields['kind'], carrier=fields['carrier'],
        start_ns=_time(given, 'start'), end_ns=_time(given, 'end'),
        value=value, quality=fields['quality'], provider=provider,
        source=given['source'], retrieved_ns=now_ns,
        zone=fields['zone'] or None, site=fields['site'] or None,
        basis=fields['basis'] or None, method=fields['method'] or None,
        signal=fields['signal'] or None,
        unit=fields['unit'] or factors.UNITS.get(fields['kind'], ''),
        revision=fields['revision'] or None)


def _time(given: dict[str, str], name: str) -> int:
    try:
        moment = datetime.datetime.fromisoformat(given[name])
        return units.wall_ns(moment)
    except ValueError as error:
        raise _WrongField(
            name, f'{given[name][:64]!r} is not an ISO 8601 time with Z or '
                  'an offset: give one such as 2026-01-01T00:00:00+01:00',
        ) from error
