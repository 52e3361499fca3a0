# SPDX-License-Identifier: Apache-2.0
"""Readings of a meter from a CSV file, by a mapping of its columns.

Pure: text and settings in, readings as the API takes them out.  Nothing is
guessed: what is wrong, or may mean two things, is told with its line, its
column and what to do.
"""

from __future__ import annotations

import csv
import dataclasses
import datetime
import itertools
import re
import tomllib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from energy_accounting import units

MOST_ROWS = 100_000
"""As many as the service takes at once: a file is one batch, so that all of
it is imported or nothing."""

_MOST_MINUTES = 366 * 24 * 60
_FIELDS = ('at', 'value', 'start', 'quality')
_TIMES = ('at', 'start')
_QUALITIES = ('measured', 'estimated')
_KEYS = {'meter': str, 'delimiter': str, 'decimal': str, 'thousands': str,
         'time_format': str, 'time_zone': str, 'encoding': str,
         'header': bool, 'skip_lines': int, 'stamp': str,
         'interval_minutes': int, 'columns': dict, 'qualities': dict}


class Wrong(Exception):
    """A mapping, or a whole file, cannot be used; says why."""


class Fault(NamedTuple):
    """What is wrong with a row.

    :ivar line: of the file, from 1.
    :ivar column: empty of the row as a whole.
    """

    line: int
    column: str
    what: str
    remedy: str

    def __str__(self) -> str:
        return ': '.join(filter(None, (
            str(self.line), self.column, f'{self.what}; {self.remedy}')))


@dataclasses.dataclass(frozen=True)
class Mapped:
    """How a file is to be read.

    :ivar columns: by field, the name in the header or the number from 1.
    :ivar time_format: as Python's strptime has it; None: ISO 8601.
    :ivar where: the zone of times that name none; None: each must.
    :ivar skip_lines: before the header or the first row.
    :ivar stamp: whether a time is the ``end`` or the ``start`` of its
        interval.
    :ivar interval_minutes: the length of intervals; None: no intervals, or
        the file has both edges.
    :ivar qualities: what a text in the column ``quality`` means.
    """

    columns: Mapping[str, str | int] = dataclasses.field(
        default_factory=dict)
    meter: str | None = None
    delimiter: str = ','
    decimal: str = '.'
    thousands: str = ''
    time_format: str | None = None
    where: datetime.tzinfo | None = None
    encoding: str = 'utf-8-sig'
    header: bool = True
    skip_lines: int = 0
    stamp: str = 'end'
    interval_minutes: int | None = None
    qualities: Mapping[str, str] = dataclasses.field(default_factory=dict)

    def column(self, field: str) -> str | int:
        """What a field's column is called."""
        return self.columns.get(field, field)


class Row(NamedTuple):
    """A reading, and the line that it stands in."""

    line: int
    reading: dict[str, str]


@dataclasses.dataclass
class _Parsed:
    """A row while times that come twice wait for those around them.

    :ivar times: by field; those without a zone come twice in that of the
        mapping.
    :ivar wrong: whether anything of it is.
    """

    line: int
    texts: dict[str, str] = dataclasses.field(default_factory=dict)
    times: dict[str, datetime.datetime] = dataclasses.field(
        default_factory=dict)
    wrong: bool = False


# --- the mapping ------------------------------------------------------------

def mapping(text: str) -> Mapped:
    """A mapping file (TOML).

    :raises Wrong: names the key.
    """
    try:
        given = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise Wrong(f'it is not TOML: {error}') from error
    for key, value in given.items():
        if key not in _KEYS:
            raise Wrong(f'{key}: there is no such key; known are '
                        f'{", ".join(_KEYS)}')
        # A bool is an int for Python.
        if type(value) is not _KEYS[key]:
            raise Wrong(f'{key}: {value!r} is not a '
                        f'{_WORDS[_KEYS[key]]}')
    _check_table(given, 'columns', _FIELDS, (str, int))
    _check_table(given, 'qualities', None, (str,))
    for name, quality in given.get('qualities', {}).items():
        if quality not in _QUALITIES:
            raise Wrong(f'qualities.{name}: {quality!r} is none; give '
                        f'{" or ".join(_QUALITIES)}')
    zone = given.pop('time_zone', None)
    try:
        where = None if zone is None else units.zone(zone)
    except ValueError as error:
        raise Wrong(f'time_zone: {error}') from error
    found = Mapped(**given, where=where)
    _check(found)
    return found


_WORDS = {str: 'text', bool: 'true or false', int: 'whole number',
          dict: 'table'}


def _check_table(given: Mapping[str, Any], name: str,
                 known: Sequence[str] | None, types: tuple[type, ...],
                 ) -> None:
    for key, value in given.get(name, {}).items():
        if known is not None and key not in known:
            raise Wrong(f'{name}.{key}: there is no such field; known are '
                        f'{", ".join(known)}')
        if type(value) not in types:
            raise Wrong(f'{name}.{key}: {value!r} is not a text'
                        + (' or a number from 1' if int in types else ''))
        if type(value) is int and value < 1:
            raise Wrong(f'{name}.{key}: columns are counted from 1')


def _check(found: Mapped) -> None:
    if len(found.delimiter) != 1 or found.delimiter in '"\r\n':
        raise Wrong('delimiter: give one character, such as ";"')
    if found.decimal not in ('.', ','):
        raise Wrong('decimal: give "." or ","')
    if (found.thousands not in ('', '.', ',', ' ', "'", '\u00a0', '\u202f')
            or found.thousands == found.decimal):
        raise Wrong('thousands: give ".", ",", " " or "\'", and not the '
                    'same as decimal')
    if found.stamp not in ('start', 'end'):
        raise Wrong('stamp: give "start" or "end"')
    if found.skip_lines < 0:
        raise Wrong('skip_lines: give a whole number from 0')
    if found.interval_minutes is not None:
        if not 1 <= found.interval_minutes <= _MOST_MINUTES:
            raise Wrong('interval_minutes: give a whole number from 1 to '
                        f'{_MOST_MINUTES}, a year')
        if 'start' in found.columns:
            raise Wrong('interval_minutes: the file has a column for start; '
                        'leave one of both out')
    elif found.stamp == 'start':
        raise Wrong('stamp: a start alone does not say how long; give '
                    'interval_minutes')
    if not found.header and not all(
            type(found.column(field)) is int for field in ('at', 'value')):
        raise Wrong('columns: without a header, give the numbers of the '
                    'columns at and value, from 1')


# --- the rows ---------------------------------------------------------------

def read(data: bytes, how: Mapped,
         progress: Callable[[int], None] = lambda count: None,
         ) -> tuple[list[Row], list[Fault]]:
    """The readings of a file, and all that is wrong with it.

    :param progress: told now and then how many lines are read.
    :raises Wrong: the file as a whole cannot be read.
    """
    try:
        text = data.decode(how.encoding)
    except UnicodeDecodeError as error:
        line = data.count(b'\n', 0, error.start) + 1
        raise Wrong(f'line {line} is not {how.encoding}; save the file as '
                    'UTF-8, or give encoding in the mapping, such as '
                    '"cp1252"') from error
    except LookupError as error:
        raise Wrong(f'encoding: {how.encoding!r} is not known; give one '
                    'such as "utf-8" or "cp1252"') from error
    lines = text.splitlines(keepends=True)
    reader = csv.reader(lines[how.skip_lines:], delimiter=how.delimiter,
                        strict=True)
    parsed: list[_Parsed] = []
    faults: list[Fault] = []
    try:
        header = ([cell.strip() for cell in next(reader, [])]
                  if how.header else [])
        places = _places(header, how)
        # What has no header has as many fields in each row as in the first.
        whose, width = 'the header', len(header)
        for cells in reader:
            line = how.skip_lines + reader.line_num
            if not line % 1000:
                progress(line)
            if not any(cell.strip() for cell in cells):
                continue
            if not width:
                whose, width = f'line {line}', len(cells)
            if len(cells) != width:
                faults.append(_miscounted(line, len(cells), whose, width,
                                          how))
                continue
            parsed.append(_parsed(cells, line, places, how, faults))
    except csv.Error as error:
        raise Wrong(f'line {how.skip_lines + reader.line_num}: {error}; '
                    'mend the quotes, or give the delimiter') from error
    for field in _TIMES:
        _tell_apart(parsed, field, how, faults)
    rows = _rows(parsed, how, faults)
    if len(rows) > MOST_ROWS:
        raise Wrong(f'it has {len(rows)} readings, and at most {MOST_ROWS} '
                    'are imported at once; divide the file, by years for '
                    'example')
    if not rows and not faults:
        raise Wrong('it has no row')
    return rows, sorted(faults, key=lambda fault: fault.line)


def _miscounted(line: int, count: int, whose: str, width: int,
                how: Mapped) -> Fault:
    """A number with a comma, unquoted, would be cut off unnoticed."""
    return Fault(
        line, '', f'it has {count} {"field" if count == 1 else "fields"} '
        f'and {whose} has {width}',
        'give as many, and ' + (
            'check the delimiter' if how.delimiter != ','
            else 'write numbers with a point' if how.decimal == '.'
            else 'put numbers with a comma in quotes'))


def _rows(parsed: Sequence[_Parsed], how: Mapped, faults: list[Fault],
          ) -> list[Row]:
    rows: list[Row] = []
    seen: dict[str, int] = {}
    for one in parsed:
        if one.wrong:
            continue
        try:
            reading = _reading(one, how)
        except (OverflowError, ValueError):
            faults.append(Fault(one.line, str(how.column('at')),
                                'it is out of range',
                                'give a year of this calendar'))
            continue
        before = seen.setdefault(reading['at'], one.line)
        if before != one.line:
            faults.append(Fault(
                one.line, str(how.column('at')), 'the same time is in line '
                f'{before}', 'leave one of them out'))
        rows.append(Row(one.line, reading))
    return rows


def _places(header: Sequence[str], how: Mapped) -> dict[str, int]:
    """The place of each field in a row, from 0."""
    places = {}
    for field in _FIELDS:
        column = how.column(field)
        if isinstance(column, int):
            places[field] = column - 1
        elif column in header:
            if header.count(column) > 1:
                raise Wrong(f'the header has {column!r} more than once; '
                            f'give the number of the column {field}')
            places[field] = header.index(column)
        elif field in ('at', 'value') or field in how.columns:
            raise Wrong(
                f'the header has no column {column!r} for {field}: it has '
                f'{", ".join(map(repr, header)) or "nothing"}; name it in '
                'the mapping (columns), and check the delimiter')
    return places


def _parsed(cells: Sequence[str], line: int, places: Mapping[str, int],
            how: Mapped, faults: list[Fault]) -> _Parsed:
    """A row by itself; what is wrong with it is told."""
    found = _Parsed(line)
    for field, place in places.items():
        try:
            if place >= len(cells):
                raise _Unusable(f'there is no column {place + 1}: the row '
                                f'has {len(cells)}',
                                'mend columns in the mapping')
            text = cells[place].strip()
            if field == 'value':
                found.texts['value'] = _value(text, how)
            elif field == 'quality':
                found.texts['quality'] = _quality(text, how)
            else:
                found.times[field] = _moment(text, how)
        except _Unusable as error:
            faults.append(Fault(line, str(how.column(field)), error.what,
                                error.remedy))
            found.wrong = True
    return found


def _reading(row: _Parsed, how: Mapped) -> dict[str, str]:
    times = dict(row.times)
    if how.interval_minutes is not None:
        step = datetime.timedelta(minutes=how.interval_minutes)
        at = times['at'].astimezone(units.UTC)
        times['start'], times['at'] = ((at, at + step)
                                       if how.stamp == 'start'
                                       else (at - step, at))
    return row.texts | {field: units.iso(moment)
                        for field, moment in times.items()}


class _Unusable(Exception):

    def __init__(self, what: str, remedy: str) -> None:
        super().__init__(what)
        self.what = what
        self.remedy = remedy


_NUMBER = re.compile(r'[0-9]{1,30}(\.[0-9]{1,15})?')


def _value(text: str, how: Mapped) -> str:
    plain = text
    if how.thousands:
        head, *groups = re.split(re.escape(how.decimal), text)[0].split(
            how.thousands)
        if groups and not (1 <= len(head) <= 3
                           and all(len(group) == 3 for group in groups)):
            raise _Unusable(
                f'{text[:64]!r} has {how.thousands!r} where no thousands '
                'are', 'mend it, or give thousands and decimal in the '
                'mapping')
        plain = text.replace(how.thousands, '')
    if how.decimal == ',':
        if '.' in plain:
            raise _Unusable(f'{text[:64]!r} has a point, and the decimal '
                            'sign is a comma', 'give thousands or decimal in '
                            'the mapping')
        plain = plain.replace(',', '.')
    if not plain:
        raise _Unusable('it is empty', 'leave the row out: nothing is not 0')
    if _NUMBER.fullmatch(plain) is None:
        raise _Unusable(
            f'{text[:64]!r} is not a decimal that is not negative',
            'mend it, or give delimiter, decimal and thousands in the '
            'mapping')
    return plain


def _quality(text: str, how: Mapped) -> str:
    quality = how.qualities.get(text, text or 'measured')
    if quality not in _QUALITIES:
        raise _Unusable(f'{text[:64]!r} is no quality',
                        'say in the mapping (qualities) whether it means '
                        'measured or estimated')
    return quality


def _moment(text: str, how: Mapped) -> datetime.datetime:
    """A time; without a zone when it comes twice in that of the mapping.

    One in ISO 8601 with an offset is taken whatever the format is.
    """
    moment = None
    try:
        if how.time_format is not None:
            moment = datetime.datetime.strptime(text, how.time_format)
    except ValueError:
        pass
    try:
        if moment is None:
            moment = datetime.datetime.fromisoformat(text)
            if how.time_format is not None and moment.tzinfo is None:
                raise ValueError(text)
    except ValueError:
        raise _Unusable(
            f'{text[:64]!r} is not a time '
            + ('in ISO 8601' if how.time_format is None
               else f'as {how.time_format}'),
            'mend it, or give time_format in the mapping, such as '
            '"%d.%m.%Y %H:%M"') from None
    if moment.tzinfo is None:
        moment = _local(moment, text, how)
    try:
        units.iso(moment.replace(tzinfo=moment.tzinfo or units.UTC))
    except (OverflowError, ValueError):
        raise _Unusable(f'{text[:64]!r} is out of range',
                        'give a year of this calendar') from None
    return moment


def _local(moment: datetime.datetime, text: str, how: Mapped,
           ) -> datetime.datetime:
    """A wall clock's time in its zone, where it is exactly one moment."""
    if how.where is None:
        raise _Unusable(f'{text[:64]!r} has no zone', 'give time_zone in '
                        'the mapping, such as "Europe/Berlin"')
    first = moment.replace(tzinfo=how.where)
    second = first.replace(fold=1)
    if first.astimezone(units.UTC).astimezone(how.where).replace(
            tzinfo=None) != moment:
        raise _Unusable(f'{text[:64]!r} is a time that clocks in {how.where} '
                        'leave out', 'mend it')
    return moment if first.utcoffset() != second.utcoffset() else first


# --- the hour that comes twice ----------------------------------------------

def _tell_apart(parsed: Sequence[_Parsed], field: str, how: Mapped,
                faults: list[Fault]) -> None:
    """Tell times that come twice apart by the order of the rows.

    A file that has the hour twice has the same times twice, one pass after
    the other.  Where they are not just that, either may be meant.
    """
    timed = [row for row in parsed if field in row.times]
    times = [row.times[field] for row in timed]
    end = 0
    for twice, group in itertools.groupby(
            times, key=lambda moment: moment.tzinfo is None):
        start, end = end, end + len(list(group))
        if not twice:
            continue
        folds = _folds(times[start:end], times[:start][-1:],
                       times[end:end + 1], how)
        for row, fold in itertools.zip_longest(timed[start:end], folds):
            moment = row.times[field]
            if fold is not None:
                row.times[field] = moment.replace(tzinfo=how.where,
                                                  fold=fold)
                continue
            row.wrong = True
            both = [moment.replace(tzinfo=how.where, fold=fold).isoformat()
                    for fold in (0, 1)]
            faults.append(Fault(
                row.line, str(how.column(field)),
                f'{moment.isoformat()} comes twice in {how.where}, as '
                'clocks are set back, and the rows do not have the whole '
                'hour twice', f'write it as {both[0]} or as {both[1]}'))


def _folds(times: Sequence[datetime.datetime],
           before: Sequence[datetime.datetime],
           after: Sequence[datetime.datetime], how: Mapped) -> list[int]:
    """Which pass each of the times is of; nothing when that is not clear.

    :param before, after: the time before and after them, if there is one.
    """
    half = len(times) // 2
    once = times[:half]
    if not once or list(times[half:]) != list(once):
        return []
    steps = {one < other for one, other in itertools.pairwise(once)}
    if half == 1:
        moment = once[0].replace(tzinfo=how.where)
        steps = {*(one < moment for one in before),
                 *(moment < one for one in after)}
    if len(steps) != 1 or len(set(once)) != half:
        return []
    rising = steps.pop()
    return [int(not rising)] * half + [int(rising)] * half
