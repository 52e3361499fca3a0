# SPDX-License-Identifier: Apache-2.0
"""Factors from a file of comma-separated values, all or none.

Reading a text and saying which line is wrong; where the text comes from is
the callers'.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from energy_accounting import errors
from energy_accounting.facility import factor_revisions, factor_words, factors

NEEDED = ('start', 'end', 'value', 'source')
OPTIONAL = ('kind', 'zone', 'site', 'carrier', 'basis', 'method', 'signal',
            'unit', 'quality', 'revision')
"""Columns that may be left out; what then counts:
:func:`.factor_words.in_words`."""
COLUMNS = (*NEEDED, *OPTIONAL)
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
    miscounted: list[factor_revisions.Problem] = []
    numbers: list[int] = []
    rows: list[dict[str, str]] = []
    for number, fields in _rows(text, where):
        if isinstance(fields, str):
            miscounted.append(factor_revisions.Problem(number, '', fields))
        else:
            rows.append(fields)
            numbers.append(number)
    found, problems = factor_words.from_words(rows, provider, now_ns)
    if miscounted:
        problems = problems or factor_revisions.within(found)
    factor_revisions.refuse(
        sorted([*miscounted, *(one._replace(row=numbers[one.row])
                               for one in problems)],
               key=lambda one: one.row),
        lambda number: f'{where} line {number}')
    lines = [Line(*one) for one in zip(numbers, found, strict=True)]
    if not lines:
        raise errors.InvalidRequest(
            f'{where}: there is no row under the header: give at least one')
    factor_revisions.refuse(
        factor_revisions.within([line.factor for line in lines]),
        lambda row: f'{where} line {lines[row].number}')
    return lines


def _rows(text: str, where: str,
          ) -> Iterator[tuple[int, dict[str, str] | str]]:
    """Each line's fields, or why it has none."""
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
                yield reader.line_num, (
                    f'it has {len(cells)} fields and the header has '
                    f'{len(header)}: give as many, and write numbers with a '
                    'point')
                continue
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
                f'{", ".join(OPTIONAL)}, each once')
