# SPDX-License-Identifier: Apache-2.0
"""``openstack energy factor list``, ``set``, ``import``, ``delete``."""

from __future__ import annotations

import argparse
import csv
import io
import re
from collections.abc import Iterable, Sequence
from typing import Any

from osc_lib import exceptions

from energy_accounting import client
from energy_accounting.osc import base, columns, common, progress, times

COLUMNS = ('id', 'kind', 'zone', 'site', 'carrier', 'basis', 'method',
           'signal', 'start', 'end', 'value', 'unit', 'quality', 'provider',
           'source', 'revision', 'retrieved_at', 'recorded_at',
           'superseded_at')
_SHORT = ('id', 'zone', 'site', 'kind', 'carrier', 'basis', 'method', 'start',
          'end', 'value', 'unit', 'quality', 'provider')
RECORDED = ('stored', 'superseded', 'unchanged')
_OF = (
    ('kind', 'carbon or pue'),
    ('zone', 'of this grid zone, such as DE'),
    ('site', 'of this site'),
    ('carrier', 'electricity, solar, heat, cooling, diesel, gas, hydrogen, '
                'bioethanol or generator'),
    ('basis', 'direct or lifecycle'),
    ('method', 'location or market'),
    ('signal', 'average or marginal'),
    ('quality', 'actual, estimated, forecast or fallback'))
_NEEDED = ('start', 'end', 'value', 'source')
_KNOWN = (*_NEEDED, *(name for name, _ in _OF), 'unit', 'revision')
_MOST_SHOWN = 20
_TOLD_EVERY = 500
# As the service names a factor of a batch.
_ROW = re.compile(r'\bfactors\.(\d+)(?:\.|, )')


def _add_replace(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        '--replace', action='store_true',
        help='Supersede what is recorded of the same time and quality, '
             'where all of its time is covered')


class ListFactor(base.Lister):
    """List factors: carbon intensities and PUEs, with their sources."""

    example = (
        'openstack energy factor list --zone DE --start -24h --basis '
        'lifecycle')

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        for name, what in (*_OF, ('provider', 'brought by this provider, '
                                              'or by operator')):
            parser.add_argument(f'--{name}', metavar=f'<{name}>',
                                help=f'Only those: {what}')
        common.add_time_filters(
            parser, ('start', 'Only those that count at this time or after'),
            ('end', 'Only those that count before this time'),
            ('as-of', 'As they were known at this time'))
        parser.add_argument('--superseded', action='store_true',
                            help='Also those that count no more')
        parser.add_argument('--limit', metavar='<number>',
                            type=common.positive,
                            help='Show at most so many (default: all)')
        common.add_long_option(parser)
        return parser

    def take_action(
            self, parsed_args: argparse.Namespace,
    ) -> tuple[Sequence[str], Iterable[tuple[Any, ...]]]:
        common.read_times(parsed_args, 'start', 'end', 'as_of')
        query = {name: getattr(parsed_args, name) for name in (
            *(name for name, _ in _OF), 'provider', 'start', 'end', 'as_of')}
        query['limit'] = common.page_of(parsed_args.limit)
        query['superseded'] = parsed_args.superseded or None
        return common.listing(
            self, parsed_args, common.api(self).factors(**query), COLUMNS,
            _SHORT, parsed_args.limit)


class SetFactor(base.ShowOne):
    """Record one factor (administrators)."""

    example = (
        'openstack energy factor set 363 --kind carbon --zone DE \\\n'
        '    --carrier electricity --basis direct --method location \\\n'
        '    --start 2025-01-01T00:00:00+01:00 --end '
        '2026-01-01T00:00:00+01:00 \\\n'
        "    --source 'UBA, Climate Change 26/2026' --quality fallback")

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        parser.add_argument('value', metavar='<value>',
                            help='A decimal number: g/kWh, or a PUE')
        for name, what in _OF:
            parser.add_argument(f'--{name}', metavar=f'<{name}>',
                                help=what.capitalize())
        common.take_ago(parser)
        for name, what in (('start', 'First moment'),
                           ('end', 'End, itself excluded')):
            parser.add_argument(
                f'--{name}', metavar='<time>', required=True,
                help=f'{what}: {times.FORMS}')
        common.add_timezone_option(parser)
        parser.add_argument('--source', metavar='<text>', required=True,
                            help='Where the value can be looked up')
        parser.add_argument('--revision', metavar='<text>',
                            help='As its source counts')
        _add_replace(parser)
        return parser

    def take_action(
            self, parsed_args: argparse.Namespace,
    ) -> tuple[Sequence[str], tuple[Any, ...]]:
        common.read_times(parsed_args, 'start', 'end')
        row = {name: getattr(parsed_args, name) for name in (
            'value', 'start', 'end', 'source', 'revision',
            *(name for name, _ in _OF))}
        row = {name: text for name, text in row.items() if text is not None}
        recorded = common.api(self).record_factors(
            [row], replace=parsed_args.replace)
        return RECORDED, columns.cells(RECORDED, recorded,
                                       parsed_args.formatter)


class ImportFactor(base.ShowOne):
    """Record the factors of a CSV file, all or none (administrators)."""

    example = 'openstack energy factor import factors-2026.csv --replace'

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        parser.add_argument(
            'file', metavar='<file>',
            help='UTF-8, with a header: start, end, value, source, and any '
                 'of kind, zone, site, carrier, basis, method, signal, '
                 'unit, quality, revision')
        _add_replace(parser)
        return parser

    def take_action(
            self, parsed_args: argparse.Namespace,
    ) -> tuple[Sequence[str], tuple[Any, ...]]:
        with progress.Progress(self.app.stderr) as shown:
            lines = _lines(parsed_args.file, shown)
            shown.say(f'sending {len(lines)} factors')
            recorded = self._send(lines, parsed_args)
        return RECORDED, columns.cells(RECORDED, recorded,
                                       parsed_args.formatter)

    def _send(self, lines: Sequence[tuple[int, dict[str, str]]],
              parsed_args: argparse.Namespace) -> client.Row:
        try:
            return common.api(self).record_factors(
                [row for _, row in lines], replace=parsed_args.replace)
        except client.Error as error:
            if error.status == 413:
                raise exceptions.CommandError(
                    f'{parsed_args.file} is too large for one request: use '
                    'energy-accounting-manage factor import, or divide it'
                ) from error
            raise exceptions.CommandError(_ROW.sub(
                lambda found: f'line {lines[int(found[1])][0]}, ',
                str(error))) from error


class DeleteFactor(base.Command):
    """Let a factor count no more (administrators).

    It is kept for reports as of an earlier time.
    """

    example = 'openstack energy factor delete 4711'

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        parser.add_argument('id', metavar='<id>',
                            help='The id of the factor, as the list has it')
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> None:
        common.api(self).withdraw_factor(parsed_args.id)


def _lines(path: str, shown: progress.Progress,
           ) -> list[tuple[int, dict[str, str]]]:
    """The rows of a file with the numbers of their lines."""
    data = common.contents(path)
    try:
        text = data.decode('utf-8-sig')
    except UnicodeDecodeError as error:
        line = data.count(b'\n', 0, error.start) + 1
        raise exceptions.CommandError(
            f'{path}: line {line} is not UTF-8; save the file as UTF-8'
        ) from error
    reader = csv.reader(
        io.StringIO(text, newline=''), strict=True,
        delimiter=';' if ';' in text.partition('\n')[0] else ',')
    found, faults = [], []
    try:
        names = [name.strip().lower() for name in next(reader, [])]
        if names:
            _check_header(path, names)
        whole = data.count(b'\n')
        for cells in reader:
            if reader.line_num % _TOLD_EVERY == 0:
                shown.share('reading', reader.line_num, whole)
            if not any(cell.strip() for cell in cells):
                continue
            # What is empty and must not be, the API says with the rest.
            row = {name: cell.strip() for name, cell
                   in zip(names, cells, strict=False)
                   if cell.strip() or name in _NEEDED}
            if len(cells) != len(names):
                faults.append(
                    f'line {reader.line_num} has {len(cells)} fields and '
                    f'the header has {len(names)}: give as many, and write '
                    'numbers with a point')
            found.append((reader.line_num, row))
    except csv.Error as error:
        raise exceptions.CommandError(
            f'{path}: line {reader.line_num}: {error}; mend the quotes'
        ) from error
    if faults:
        raise exceptions.CommandError('; '.join([
            f'{path}: nothing was recorded: {faults[0]}',
            *faults[1:_MOST_SHOWN],
            *([f'and {len(faults) - _MOST_SHOWN} more']
              if len(faults) > _MOST_SHOWN else [])]))
    if not found:
        raise exceptions.CommandError(
            f'{path} has no row under the header: give at least one')
    return found


def _check_header(path: str, names: Sequence[str]) -> None:
    for what, wrong in (
            ('has no', [name for name in _NEEDED if name not in names]),
            ('has the unknown', [name for name in names
                                 if name not in _KNOWN]),
            ('has twice', sorted({name for name in names
                                  if names.count(name) > 1}))):
        if wrong:
            raise exceptions.CommandError(
                f'{path}: line 1: the header {what} '
                f'{", ".join(name[:64] or "(nothing)" for name in wrong)}: '
                f'give {", ".join(_NEEDED)} and any of '
                f'{", ".join(_KNOWN[len(_NEEDED):])}, each once')
