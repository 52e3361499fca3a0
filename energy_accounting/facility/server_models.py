# SPDX-License-Identifier: Apache-2.0
"""The table of server models that an operator keeps: a file, for ITEEsv.

Comma-separated, a row for each model at a site: how many there are, and
what a benchmark says of one (SMPE, its unit, and SMPO in watts), empty
where it was not rated.  What is made of it is in ``equipment``.
"""

from __future__ import annotations

import csv
import io
import pathlib
import re
from collections.abc import Iterator, Mapping
from fractions import Fraction
from typing import NoReturn

from energy_accounting import errors
from energy_accounting.facility import equipment

COLUMNS = ('site', 'model', 'count', 'smpe', 'smpo_w', 'benchmark')
_COUNT = re.compile(r'[0-9]{1,9}')
_NUMBER = re.compile(r'[0-9]{1,18}(\.[0-9]{1,9})?')


def load(path: str) -> dict[str, equipment.Models]:
    """The table of a file.

    :raises errors.ConfigurationError: it cannot be read or is wrong.
    """
    try:
        text = pathlib.Path(path).read_text('utf-8-sig')
    except (OSError, UnicodeError) as error:
        raise errors.ConfigurationError(
            f'[api] server_models_file: {path}: {error}: give a CSV file '
            'that the service may read, in UTF-8') from error
    return parsed(text, f'[api] server_models_file: {path}')


def parsed(text: str, where: str) -> dict[str, equipment.Models]:
    """By site, its models.

    :param where: what the text is called in an error.
    :raises errors.ConfigurationError: names the line, column and remedy.
    """
    found: dict[str, tuple[list[equipment.ServerModel], list[str]]] = {}
    seen: set[tuple[str, str]] = set()
    for place, row in _rows(text, where):
        for name in ('site', 'model'):
            if not row[name]:
                _wrong(place, name, 'it is empty: say which')
        if (row['site'], row['model']) in seen:
            _wrong(place, 'model', f'{row["model"]!r} has another row at '
                   'this site: keep one')
        seen.add((row['site'], row['model']))
        rated, unrated = found.setdefault(row['site'], ([], []))
        if _COUNT.fullmatch(row['count']) is None:
            _wrong(place, 'count', f'{row["count"][:64]!r} is not a number '
                   'of servers: give a whole one, 0 for none any more')
        if row['smpe'] or row['smpo_w'] or row['benchmark']:
            rated.append(_model(place, row))
        elif int(row['count']):
            unrated.append(row['model'])
    return {site: equipment.Models(tuple(rated), tuple(unrated))
            for site, (rated, unrated) in found.items()}


def _model(place: str, row: Mapping[str, str]) -> equipment.ServerModel:
    for name in ('smpe', 'smpo_w'):
        if _NUMBER.fullmatch(row[name]) is None:
            _wrong(place, name, f'{row[name][:64]!r} is not a decimal: give '
                   'one such as 12000 or 405.5, or leave smpe, smpo_w and '
                   'benchmark empty where the model was not rated')
    if not Fraction(row['smpo_w']):
        _wrong(place, 'smpo_w', 'it is 0: give the maximum power in watts')
    if not row['benchmark']:
        _wrong(place, 'benchmark', 'it is empty: say what smpe is counted '
               'in, such as ssj_ops')
    return equipment.ServerModel(
        row['model'], int(row['count']), Fraction(row['smpe']),
        Fraction(row['smpo_w']), row['benchmark'])


def _rows(text: str, where: str) -> Iterator[tuple[str, dict[str, str]]]:
    """Where each row stands, and its cells by column."""
    reader = csv.reader(io.StringIO(text, newline=''), strict=True)
    try:
        header = [name.strip().lower() for name in next(reader, [])]
        if sorted(header) != sorted(COLUMNS):
            raise errors.ConfigurationError(
                f'{where} line 1: give the columns {", ".join(COLUMNS)}, '
                'each once, and separate them by commas')
        for cells in reader:
            place = f'{where} line {reader.line_num}'
            if not any(cell.strip() for cell in cells):
                continue
            if len(cells) != len(header):
                raise errors.ConfigurationError(
                    f'{place}: it has {len(cells)} fields and the header '
                    f'has {len(header)}: give as many')
            yield place, {name: cell.strip() for name, cell
                          in zip(header, cells, strict=True)}
    except csv.Error as error:
        raise errors.ConfigurationError(
            f'{where} line {reader.line_num}: it is not CSV ({error}): '
            'check the quotes') from error


def _wrong(place: str, column: str, text: str) -> NoReturn:
    raise errors.ConfigurationError(f'{place}, {column}: {text}')
