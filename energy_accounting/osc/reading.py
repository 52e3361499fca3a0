# SPDX-License-Identifier: Apache-2.0
"""``openstack energy reading ...``: what meters have read."""

from __future__ import annotations

import argparse
import contextlib
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NoReturn

from osc_lib import exceptions
from osc_lib.command import command

from energy_accounting import client
from energy_accounting.osc import columns, common, reading_csv

COLUMNS = ('id', 'at', 'start', 'value', 'quality', 'source', 'received_at',
           'superseded_at')
_MOST_SHOWN = 20
# As the service names a reading of a batch.
_PLACE = re.compile(r'readings\.([0-9]+)(?:\.(at|value|start|quality))?: '
                    r'([^;]*)(?:; )?(.*)')
_OUTCOME = ('added', 'corrected', 'duplicates')


class ListReading(command.Lister):
    """List the readings of a meter, in order of time (administrators)."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        parser.add_argument('meter', metavar='<meter>',
                            help='Its name or id')
        common.add_time_filters(
            parser, ('start', 'Only readings of this time or later'),
            ('end', 'Only readings before this time'),
            ('as-of', 'As they were known at this time'))
        common.add_superseded_option(parser)
        parser.add_argument('--limit', metavar='<count>',
                            type=common.positive, help='At most so many')
        return parser

    def take_action(
            self, parsed_args: argparse.Namespace,
    ) -> tuple[Sequence[str], Iterable[tuple[Any, ...]]]:
        rows = common.api(self).readings(
            parsed_args.meter, start=parsed_args.start, end=parsed_args.end,
            as_of=parsed_args.as_of,
            superseded=parsed_args.superseded or None,
            limit=parsed_args.limit).rows(parsed_args.limit)
        return COLUMNS, [
            columns.cells(COLUMNS, row, parsed_args.formatter)
            for row in rows]


def _add_correct(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        '--correct', action='store_true',
        help='Where a moment has another value, take its place; the other '
             'is kept, and reports as of before still use it')


class CreateReading(command.ShowOne):
    """Add a reading of a meter (administrators)."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        parser.add_argument('meter', metavar='<meter>',
                            help='Its name or id')
        common.take_ago(parser)
        parser.add_argument(
            '--at', metavar='<time>', required=True,
            help='When it was read; of an amount, the end of its time: an '
                 'ISO 8601 time with Z or an offset')
        value = parser.add_mutually_exclusive_group(required=True)
        value.add_argument('--value', metavar='<value>',
                           help="What was read, in the meter's unit")
        value.add_argument(
            '--no-value', action='store_true',
            help='With --correct: nothing was read at this moment')
        parser.add_argument(
            '--start', metavar='<time>',
            help='Of a meter of kind interval: where its time begins')
        parser.add_argument('--quality', choices=('measured', 'estimated'),
                            help='How it came about (default: measured)')
        _add_correct(parser)
        return parser

    def take_action(
            self, parsed_args: argparse.Namespace,
    ) -> tuple[Sequence[str], tuple[Any, ...]]:
        reading = {'at': parsed_args.at, 'value': parsed_args.value, **{
            name: getattr(parsed_args, name) for name in ('start', 'quality')
            if getattr(parsed_args, name) is not None}}
        row = common.api(self).add_readings(
            parsed_args.meter, [reading],
            correct=parsed_args.correct or None)
        return _OUTCOME, columns.cells(_OUTCOME, row, parsed_args.formatter)


class ImportReading(command.ShowOne):
    """Import the readings of a meter from a CSV file (administrators).

    All of the file is imported, or nothing. It may be imported again: what
    is there is not added twice.

    Without a mapping the file has a header with the columns at and value,
    and start or quality if needed, commas between them, points in numbers,
    and times in ISO 8601 with an offset.
    """

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        parser.add_argument('file', metavar='<file>', help='The CSV file')
        parser.add_argument(
            '--meter', metavar='<meter>',
            help='Name or id of the meter, instead of that in the mapping')
        parser.add_argument(
            '--mapping', metavar='<file>',
            help='How the file is to be read (TOML; see the documentation)')
        parser.add_argument(
            '--dry-run', action='store_true',
            help='Check everything, here and at the service; import nothing')
        _add_correct(parser)
        return parser

    def take_action(
            self, parsed_args: argparse.Namespace,
    ) -> tuple[Sequence[str], tuple[Any, ...]]:
        how = reading_csv.Mapped()
        if parsed_args.mapping is not None:
            with _in_file(parsed_args.mapping):
                how = reading_csv.mapping(
                    common.contents(parsed_args.mapping).decode())
        meter = parsed_args.meter or how.meter
        if not meter:
            raise exceptions.CommandError(
                'whose readings? give --meter, or meter in the mapping')
        data = common.contents(parsed_args.file)
        progress = _Progress(self.app.stderr, data.count(b'\n'))
        with _in_file(parsed_args.file):
            try:
                rows, faults = reading_csv.read(data, how, progress.rows)
            finally:
                progress.end()
        if faults:
            self._refuse(parsed_args, faults)
        progress.say(f'sending {len(rows)} readings')
        try:
            outcome = common.api(self).add_readings(
                meter, [row.reading for row in rows], source='csv',
                correct=parsed_args.correct or None,
                dry_run=parsed_args.dry_run or None)
        except client.Error as error:
            fault = _fault(str(error), rows, how)
            if fault is None:
                raise
            self._refuse(parsed_args, [fault])
        finally:
            progress.end()
        if parsed_args.dry_run:
            self.app.stderr.write(
                'Nothing was imported: this was a dry run\n')
        return _OUTCOME, columns.cells(_OUTCOME, outcome,
                                       parsed_args.formatter)

    def _refuse(self, parsed_args: argparse.Namespace,
                faults: Sequence[reading_csv.Fault]) -> NoReturn:
        for fault in faults[:_MOST_SHOWN]:
            self.app.stderr.write(f'{parsed_args.file}:{fault}\n')
        if len(faults) > _MOST_SHOWN:
            self.app.stderr.write(
                f'and {len(faults) - _MOST_SHOWN} more\n')
        raise exceptions.CommandError(
            f'{parsed_args.file}: nothing was imported: {len(faults)} '
            f'{"fault" if len(faults) == 1 else "faults"}')


@contextlib.contextmanager
def _in_file(path: str) -> Iterator[None]:
    """Names the file that cannot be used."""
    try:
        yield
    except UnicodeDecodeError as error:
        raise exceptions.CommandError(
            f'{path}: it is not UTF-8; save it as UTF-8') from error
    except reading_csv.Wrong as error:
        raise exceptions.CommandError(f'{path}: {error}') from error


def _fault(said: str, rows: Sequence[reading_csv.Row],
           how: reading_csv.Mapped) -> reading_csv.Fault | None:
    """What the service says of a reading, as that of its line."""
    found = _PLACE.fullmatch(said)
    if found is None or int(found[1]) >= len(rows):
        return None

    def line(other: re.Match[str]) -> str:
        return f'line {rows[int(other[1])].line}'

    row = rows[int(found[1])]
    what = re.sub(r'readings\.([0-9]+)', line, found[3])
    remedy = found[4]
    if found[2] == 'start' and 'start' not in how.columns:
        # What the file does not have, the mapping made of at.
        if how.interval_minutes is not None:
            remedy = ('leave interval_minutes and stamp out of the mapping, '
                      'or name a meter of kind interval')
        elif 'start' not in row.reading:
            remedy = ('give interval_minutes in the mapping, or a column '
                      'for start')
    return reading_csv.Fault(
        row.line, str(how.column(found[2] or 'at')), what, remedy)


class _Progress:
    """How far a file is read: for people at a terminal, and no others."""

    def __init__(self, out: Any, lines: int) -> None:
        self._write: Callable[[str], Any] | None = (
            out.write if out.isatty() else None)
        self._flush = out.flush
        self._lines = lines
        self._shown = False

    def rows(self, count: int) -> None:
        """Show how many of the lines are read."""
        share = min(count * 100 // max(self._lines, 1), 100)
        self.say(f'reading [{"#" * (share // 4):25}] {share:3} %')

    def say(self, text: str) -> None:
        """Show what is done, in place of what was shown."""
        if self._write is not None:
            self._write(f'\r\x1b[K{text}')
            self._flush()
            self._shown = True

    def end(self) -> None:
        """Leave nothing on the line."""
        if self._write is not None and self._shown:
            self._write('\r\x1b[K')
            self._flush()
            self._shown = False
