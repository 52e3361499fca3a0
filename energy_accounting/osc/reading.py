# SPDX-License-Identifier: Apache-2.0
"""``openstack energy reading ...``: what meters have read."""

from __future__ import annotations

import argparse
import contextlib
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NoReturn

from osc_lib import exceptions

from energy_accounting import client
from energy_accounting.osc import (
    base,
    columns,
    common,
    progress,
    reading_csv,
    times,
)

COLUMNS = ('id', 'at', 'start', 'value', 'quality', 'source', 'received_at',
           'superseded_at')
_MOST_SHOWN = 20
# As the service names a reading of a batch.
_PLACE = re.compile(r'readings\.([0-9]+)(?:\.(at|value|start|quality))?: '
                    r'([^;]*)(?:; )?(.*)')
_OUTCOME = ('added', 'corrected', 'duplicates')


class ListReading(base.Lister):
    """List the readings of a meter, in order of time (administrators)."""

    example = (
        'openstack energy reading list main-feed --start yesterday '
        '--limit 10')

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
        common.read_times(parsed_args, 'start', 'end', 'as_of')
        return common.listing(self, parsed_args, common.api(self).readings(
            parsed_args.meter, start=parsed_args.start, end=parsed_args.end,
            as_of=parsed_args.as_of,
            superseded=parsed_args.superseded or None,
            limit=common.page_of(parsed_args.limit)), COLUMNS,
            most=parsed_args.limit)


def _add_correct(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        '--correct', action='store_true',
        help='Where a moment has another value, take its place; the other '
             'is kept, and reports as of before still use it')


class CreateReading(base.ShowOne):
    """Add a reading of a meter (administrators)."""

    example = (
        'openstack energy reading create main-feed \\\n'
        '    --at 2026-11-26T09:00:00+01:00 --value 981204.5')

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        parser.add_argument('meter', metavar='<meter>',
                            help='Its name or id')
        common.take_ago(parser)
        parser.add_argument(
            '--at', metavar='<time>', required=True,
            help='When it was read; of an amount, the end of its time: '
                 f'{times.FORMS}')
        value = parser.add_mutually_exclusive_group(required=True)
        value.add_argument('--value', metavar='<value>',
                           help="What was read, in the meter's unit")
        value.add_argument(
            '--no-value', action='store_true',
            help='With --correct: nothing was read at this moment')
        parser.add_argument(
            '--start', metavar='<time>',
            help='Of a meter of kind interval: where its time begins')
        common.add_timezone_option(parser)
        parser.add_argument('--quality', choices=('measured', 'estimated'),
                            help='How it came about (default: measured)')
        _add_correct(parser)
        return parser

    def take_action(
            self, parsed_args: argparse.Namespace,
    ) -> tuple[Sequence[str], tuple[Any, ...]]:
        common.read_times(parsed_args, 'at', 'start')
        reading = {'at': parsed_args.at, 'value': parsed_args.value, **{
            name: getattr(parsed_args, name) for name in ('start', 'quality')
            if getattr(parsed_args, name) is not None}}
        row = common.api(self).add_readings(
            parsed_args.meter, [reading],
            correct=parsed_args.correct or None)
        return _OUTCOME, columns.cells(_OUTCOME, row, parsed_args.formatter)


class ImportReading(base.ShowOne):
    """Import the readings of a meter from a CSV file (administrators).

    All of the file is imported, or nothing. It may be imported again: what
    is there is not added twice.

    Without a mapping the file has a header with the columns at and value,
    and start or quality if needed, commas between them, points in numbers,
    and times in ISO 8601 with an offset.
    """

    example = (
        'openstack energy reading import november.csv --mapping '
        'utility.toml \\\n'
        '    --dry-run')

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
        lines = data.count(b'\n')
        with progress.Progress(self.app.stderr) as shown:
            with _in_file(parsed_args.file):
                rows, faults = reading_csv.read(
                    data, how,
                    lambda count: shown.share('reading', count, lines))
            if not faults:
                shown.say(f'sending {len(rows)} readings')
                outcome, faults = self._send(meter, rows, how, parsed_args)
        if faults:
            self._refuse(parsed_args, faults)
        if parsed_args.dry_run:
            self.app.stderr.write(
                'Nothing was imported: this was a dry run\n')
        return _OUTCOME, columns.cells(_OUTCOME, outcome,
                                       parsed_args.formatter)

    def _send(self, meter: str, rows: Sequence[reading_csv.Row],
              how: reading_csv.Mapped, parsed_args: argparse.Namespace,
              ) -> tuple[client.Row, list[reading_csv.Fault]]:
        """What became of the readings, or what is wrong with one."""
        try:
            return common.api(self).add_readings(
                meter, [row.reading for row in rows], source='csv',
                correct=parsed_args.correct or None,
                dry_run=parsed_args.dry_run or None), []
        except client.Error as error:
            fault = _fault(str(error), rows, how)
            if fault is None:
                raise
            return {}, [fault]

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
