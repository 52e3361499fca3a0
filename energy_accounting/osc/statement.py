# SPDX-License-Identifier: Apache-2.0
"""``openstack energy statement create``, ``list``, ``show``, ``save``."""

from __future__ import annotations

import argparse
import pathlib
import re
from collections.abc import Iterable, Sequence
from typing import Any

from osc_lib import exceptions

from energy_accounting.osc import base, columns, common, progress, saving

COLUMNS = (
    'id', 'revision', 'state', 'project_id', 'project_name', 'domain_id',
    'period', 'timezone', 'start', 'end', 'instances', 'lines',
    'active_kwh', 'idle_kwh', 'memory_kwh', 'host_kwh', 'platform_kwh',
    'it_kwh', 'facility_kwh', 'pue', 'pue_kind', 'co2_location_kg',
    'co2_market_kg', 'cue_kg_per_kwh', 'water_l', 'renewable_share',
    'peak_kw', 'coverage', 'boundary', 'quality', 'policy',
    'factor_quality', 'factor_basis', 'market_factor_quality',
    'market_factor_basis', 'currency', 'cost', 'digest', 'created_at',
    'as_of', 'complete_until')
_SHORT = ('id', 'period', 'project_id', 'revision', 'state', 'instances',
          'it_kwh', 'facility_kwh', 'co2_location_kg', 'cost', 'currency')
_SHOWN = (*COLUMNS, 'format', 'factors', 'tariffs', 'notices', 'revisions')
_CLOSED = ('id', 'project_id', 'period', 'revision', 'state', 'outcome',
           'it_kwh', 'cost', 'currency', 'digest')
LINES = ('day', 'instance_id', 'account', 'flavor', 'site', 'region',
         'start', 'end', *COLUMNS[12:35], 'priced_kwh', 'priced_quantity',
         'price_per_kwh', 'cost')
_LINES_SHORT = ('day', 'instance_id', 'flavor', 'active_kwh', 'it_kwh',
                'facility_kwh', 'co2_location_kg', 'cost')
FORMATS = ('pdf', 'html', 'csv', 'json')


def _add_statement(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('id', metavar='<id>', help='The id of the statement')
    parser.add_argument(
        '--revision', metavar='<number>', type=int,
        help='This revision, 0: the provisional one (default: the newest)')


class CreateStatement(base.Lister):
    """Close a month or a year of projects (administrators, billing).

    Safe to repeat: what has not changed makes no new revision.
    """

    example = ('openstack energy statement create --month 2026-10 \\\n'
               '    --timezone Europe/Berlin --all-projects')

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        common.add_closed_period(parser)
        parser.add_argument(
            '--another-timezone', action='store_true',
            help='Also where the period is closed in another time zone: '
                 'both statements stay')
        whom = parser.add_mutually_exclusive_group(required=True)
        whom.add_argument(
            '--project', metavar='<project>', action='append',
            dest='projects',
            help='Project (name or ID); repeat the option for several')
        whom.add_argument(
            '--all-projects', action='store_true',
            help='Every project that has something in the period, and what '
                 'belongs to none; in one request: with very many projects '
                 'use energy-accounting-manage close')
        common.add_project_domain_option(parser)
        common.add_long_option(parser)
        return parser

    def take_action(
            self, parsed_args: argparse.Namespace,
    ) -> tuple[Sequence[str], Iterable[tuple[Any, ...]]]:
        api, period = common.api(self), common.closed_period(parsed_args)
        when: dict[str, Any] = {'timezone': parsed_args.timezone}
        if parsed_args.another_timezone:
            when['another_timezone'] = True
        if parsed_args.all_projects:
            rows = list(api.close(period, all_projects=True, **when))
        else:
            manager: Any = self.app.client_manager
            wanted = [common.project_id(manager, name,
                                        parsed_args.project_domain)
                      for name in parsed_args.projects]
            rows = []
            with progress.Progress(self.app.stderr) as bar:
                for number, project_id in enumerate(wanted):
                    bar.share('closing', number, len(wanted))
                    rows += api.close(period, [project_id], **when)
        shown = ((*COLUMNS, 'outcome')
                 if common.every_column_wanted(parsed_args) else _CLOSED)
        return shown, [columns.cells(shown, row, parsed_args.formatter)
                       for row in rows]


class ListStatement(base.Lister):
    """List closed statements: the newest revision of each."""

    example = 'openstack energy statement list --period 2026-10'

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        scope = parser.add_mutually_exclusive_group()
        scope.add_argument(
            '--project', metavar='<project>',
            help='Project (name or ID) instead of your own (administrators, '
                 'billing)')
        scope.add_argument(
            '--all-projects', action='store_true',
            help='All projects, and what belongs to none (administrators, '
                 'billing)')
        common.add_project_domain_option(parser)
        parser.add_argument('--period', metavar='<period>',
                            help='Only those of this month or year, such as '
                                 '2026-10, last-month or 2026')
        parser.add_argument('--state', metavar='<state>',
                            help='Only those: provisional or final')
        parser.add_argument('--all-revisions', action='store_true',
                            help='Also the revisions that are not the '
                                 'newest')
        common.add_time_filters(
            parser, ('start', 'Only those that end after this time'),
            ('end', 'Only those that begin before this time'))
        common.add_long_option(parser)
        return parser

    def take_action(
            self, parsed_args: argparse.Namespace,
    ) -> tuple[Sequence[str], Iterable[tuple[Any, ...]]]:
        manager: Any = self.app.client_manager
        common.read_times(parsed_args, 'start', 'end')
        query: dict[str, Any] = {
            'period': common.period_filter(parsed_args),
            'state': parsed_args.state,
            'start': parsed_args.start, 'end': parsed_args.end,
            'revisions': 'all' if parsed_args.all_revisions else None}
        if parsed_args.project:
            query['project'] = common.project_id(
                manager, parsed_args.project, parsed_args.project_domain)
        elif parsed_args.all_projects or not common.signed_in(manager):
            query['all_projects'] = True
        return common.listing(self, parsed_args,
                              common.api(self).statements(**query), COLUMNS,
                              _SHORT)


class ShowStatement(base.ShowOne):
    """Show a statement: totals, factors, prices, revisions."""

    example = ('openstack energy statement show '
               '9b1f6f0e-3f65-5a0c-8d7c-0a4f4be4d0a1')

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        _add_statement(parser)
        return parser

    def take_action(
            self, parsed_args: argparse.Namespace,
    ) -> tuple[Sequence[str], tuple[Any, ...]]:
        row = common.api(self).statement(parsed_args.id,
                                         revision=parsed_args.revision)
        return _SHOWN, columns.cells(_SHOWN, row, parsed_args.formatter)


class ListLine(base.Lister):
    """List the lines of a statement: one of each server and day."""

    example = ('openstack energy statement line list '
               '9b1f6f0e-3f65-5a0c-8d7c-0a4f4be4d0a1')

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        _add_statement(parser)
        parser.add_argument('--limit', metavar='<number>',
                            type=common.positive,
                            help='Show at most so many (default: all)')
        common.add_long_option(parser)
        return parser

    def take_action(
            self, parsed_args: argparse.Namespace,
    ) -> tuple[Sequence[str], Iterable[tuple[Any, ...]]]:
        # Where nothing is charged the columns of money are empty.
        return common.listing(
            self, parsed_args, common.api(self).statement_lines(
                parsed_args.id, revision=parsed_args.revision), LINES,
            _LINES_SHORT, parsed_args.limit)


class ListDifference(base.Lister):
    """List the lines in which a revision differs from an earlier one."""

    example = ('openstack energy statement difference list \\\n'
               '    9b1f6f0e-3f65-5a0c-8d7c-0a4f4be4d0a1')

    COLUMNS = ('day', 'instance_id', 'account', 'flavor', 'site',
               'active_kwh', 'idle_kwh', 'memory_kwh', 'host_kwh',
               'platform_kwh', 'it_kwh', 'facility_kwh', 'co2_location_kg',
               'co2_market_kg', 'water_l', 'cost', 'was', 'became')
    _SHORT = ('day', 'instance_id', 'account', 'it_kwh', 'facility_kwh',
              'co2_location_kg', 'cost')

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        _add_statement(parser)
        parser.add_argument(
            '--from-revision', metavar='<number>', type=int,
            help='Revision that it is held against (default: the one '
                 'before)')
        common.add_long_option(parser)
        return parser

    def take_action(
            self, parsed_args: argparse.Namespace,
    ) -> tuple[Sequence[str], Iterable[tuple[Any, ...]]]:
        return common.listing(
            self, parsed_args, common.api(self).statement_differences(
                parsed_args.id, revision=parsed_args.revision,
                from_revision=parsed_args.from_revision), self.COLUMNS,
            self._SHORT)


class SaveStatement(base.Command):
    """Save a statement as a file: PDF, HTML, CSV or exact JSON."""

    example = ('openstack energy statement save '
               '9b1f6f0e-3f65-5a0c-8d7c-0a4f4be4d0a1 \\\n'
               '    --language de --file october.pdf')

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        _add_statement(parser)
        parser.add_argument(
            '--format', metavar='<format>', choices=FORMATS,
            help=f'{", ".join(FORMATS)} (default: as the file is called, '
                 'else pdf)')
        parser.add_argument('--language', metavar='<language>',
                            choices=('en', 'de'),
                            help='Language of pdf and html: en or de '
                                 '(default: en)')
        parser.add_argument(
            '--file', metavar='<file>',
            help='Where to (default: energy-ID.FORMAT; of a --revision, '
                 'energy-ID-REVISION.FORMAT)')
        parser.add_argument('--force', action='store_true',
                            help='Also over a file that is there')
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> None:
        form = parsed_args.format or _form_of(parsed_args.file) or 'pdf'
        api = common.api(self)
        # What stands in an id is the server's; it names no directory.
        revision = ('' if parsed_args.revision is None
                    else f'-{parsed_args.revision}')
        name = parsed_args.file or 'energy-{}{}.{}'.format(
            re.sub('[^0-9A-Za-z-]', '', parsed_args.id), revision, form)
        path = pathlib.Path(name)
        if path.exists() and not parsed_args.force:
            raise exceptions.CommandError(
                f'{name} is there already: give another --file, or '
                '--force')
        wanted, sha256 = parsed_args.revision, None
        if form == 'json':
            # Of the others there is no digest.
            one = api.statement(parsed_args.id, revision=wanted)
            wanted, sha256 = one['revision'], one['digest']
        saving.save(path, api.statement_file(
            parsed_args.id, revision=wanted, format=form,
            language=parsed_args.language), sha256)
        self.app.stdout.write(f'{name}\n')


def _form_of(name: str | None) -> str | None:
    suffix = pathlib.PurePath(name or '').suffix.removeprefix('.').lower()
    return suffix if suffix in FORMATS else None
