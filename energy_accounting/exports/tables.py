# SPDX-License-Identifier: Apache-2.0
"""Rows of text, Decimals and times as CSV, JSON lines or Parquet.

The same rows, the same bytes (of Parquet: by the same pyarrow).  What a
column means is the plug-ins'.  A block of rows is in memory at a time.
"""

from __future__ import annotations

import csv
import datetime
import decimal
import functools
import io
import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import IO, Any, NamedTuple

from energy_accounting import errors, spreadsheets, wire

TEXT = 'text'
"""Whoever chose it: a spreadsheet might take it for a formula."""
NUMBER = 'number'
INTEGER = 'integer'
TIME = 'time'
DATE = 'date'
FLAG = 'flag'

PRECISION = 38
SCALE = 15
"""Of numbers in Parquet: fifteen places bring a microjoule back."""

_BLOCK = 2000

Progress = Callable[[int], object]


class Column(NamedTuple):
    """:ivar kind: of this module's."""

    name: str
    kind: str


def blocks(rows: Iterable[Any], progress: Progress) -> Iterator[list[Any]]:
    """Some rows at a time, told of as they go."""
    ordered = iter(rows)
    while block := list(itertools.islice(ordered, _BLOCK)):
        yield block
        progress(len(block))


def write_csv(file: IO[bytes], columns: Sequence[Column],
              rows: Iterable[Sequence[Any]], progress: Progress) -> int:
    """RFC 4180 in UTF-8 with ``\\n``; nothing between commas: no value."""
    shapes = [_CSV.get(column.kind, _plain) for column in columns]
    text = io.TextIOWrapper(file, 'utf-8', newline='')
    writer = csv.writer(text, lineterminator='\n')
    writer.writerow([column.name for column in columns])
    count = 0
    for block in blocks(rows, progress):
        writer.writerows(
            [None if value is None else shape(value)
             for shape, value in zip(shapes, row, strict=True)]
            for row in block)
        count += len(block)
    text.detach()
    return count


def write_jsonl(file: IO[bytes], columns: Sequence[Column],
                rows: Iterable[Sequence[Any]], progress: Progress) -> int:
    """An object to a line, names sorted; numbers are decimal strings."""
    shapes = [_JSON.get(column.kind, _plain) for column in columns]
    names = [column.name for column in columns]
    count = 0
    for block in blocks(rows, progress):
        file.writelines(
            wire.to_json({
                name: None if value is None else shape(value)
                for name, shape, value in zip(names, shapes, row,
                                              strict=True)},
            ).encode() + b'\n' for row in block)
        count += len(block)
    return count


def write_parquet(file: IO[bytes], columns: Sequence[Column],
                  rows: Iterable[Sequence[Any]], progress: Progress) -> int:
    """Decimals as ``decimal128(38, 15)``, times in microseconds of UTC.

    :raises errors.MissingExtra: pyarrow is not installed.
    """
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError as error:
        raise errors.MissingExtra(
            'Parquet needs pyarrow: install energy-accounting[exports], or '
            'choose the format csv') from error
    types = {TEXT: pyarrow.string(),
             NUMBER: pyarrow.decimal128(PRECISION, SCALE),
             INTEGER: pyarrow.int64(), FLAG: pyarrow.bool_(),
             TIME: pyarrow.timestamp('us', 'UTC'),
             DATE: pyarrow.date32()}
    schema = pyarrow.schema([
        (column.name, types[column.kind]) for column in columns])
    count = 0
    with parquet.ParquetWriter(file, schema, compression='zstd') as writer:
        for some in _grouped(blocks(rows, progress)):
            writer.write_table(pyarrow.Table.from_arrays([
                pyarrow.array(values, field.type)
                for values, field in zip(zip(*some, strict=True), schema,
                                         strict=True)], schema=schema))
            count += len(some)
    return count


def _grouped(found: Iterable[list[Any]]) -> Iterator[list[Any]]:
    """Blocks as large as Parquet likes its row groups."""
    ordered = iter(found)
    while some := list(itertools.chain.from_iterable(
            itertools.islice(ordered, 10))):
        yield some


WRITERS = {'csv': write_csv, 'parquet': write_parquet}


def in_json(column: Column, value: Any) -> Any:
    """A value as JSON has it."""
    return None if value is None else _JSON.get(column.kind, _plain)(value)


# --- as text ----------------------------------------------------------------

def _plain(value: Any) -> Any:
    return value


def _number(value: decimal.Decimal) -> str:
    # Never in E notation, and no minus before a zero.
    return format(value if value else abs(value), 'f')


# There are as many as days.
@functools.lru_cache(1024)
def _time(value: datetime.datetime) -> str:
    return value.strftime('%Y-%m-%dT%H:%M:%SZ')


def _flag(value: bool) -> str:
    return 'true' if value else 'false'


_CSV: dict[str, Callable[[Any], Any]] = {
    TEXT: spreadsheets.guarded, NUMBER: _number, TIME: _time, FLAG: _flag,
    DATE: datetime.date.isoformat}
_JSON: dict[str, Callable[[Any], Any]] = {
    NUMBER: _number, TIME: _time, DATE: datetime.date.isoformat}
