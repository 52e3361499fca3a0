# SPDX-License-Identifier: Apache-2.0
"""``openstack energy export create``, ``list``, ``show``, ``download``."""

from __future__ import annotations

import argparse
import functools
import pathlib
from collections.abc import Iterable, Sequence
from typing import Any

from osc_lib import exceptions

from energy_accounting.osc import base, columns, common, progress, saving

COLUMNS = (
    'id', 'target', 'options', 'period', 'timezone', 'project_id',
    'all_projects', 'state', 'done', 'total', 'error', 'created_at',
    'changed_at', 'actor', 'destination', 'digest')
_SHORT = ('id', 'target', 'period', 'project_id', 'state', 'done', 'total',
          'changed_at')
_SHOWN = (*COLUMNS, 'files', 'manifest')
_NOBODY = 'none'


def _add_export(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('id', metavar='<id>', help='The id of the export')


def _options(given: Iterable[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for text in given:
        name, equals, value = text.partition('=')
        if not equals or name in found:
            raise exceptions.CommandError(
                f'--option {text!r}: give NAME=VALUE, such as version=1.3, '
                'each name once')
        found[name] = value
    return found


class CreateExport(base.ShowOne):
    """Plan an export of closed statements (administrators, billing).

    It is sent by energy-accounting-manage export send, which the operator
    has a timer for. Safe to repeat: the same is the same export.
    """

    example = ('openstack energy export create focus --month 2026-10 \\\n'
               '    --timezone Europe/Berlin --all-projects \\\n'
               '    --option version=1.3 --option format=parquet')

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        parser.add_argument(
            'target', metavar='<target>',
            help='What to export as: carbon, csv, focus, jsonl, register or '
                 'another that the service has')
        parser.add_argument(
            '--option', metavar='<name=value>', action='append',
            dest='options', default=[],
            help='An option of the target, such as version=1.3; repeat it '
                 'for several')
        common.add_closed_period(parser)
        whom = parser.add_mutually_exclusive_group(required=True)
        whom.add_argument(
            '--project', metavar='<project>',
            help=f'Project (name or ID), or {_NOBODY}: what belongs to none')
        whom.add_argument(
            '--all-projects', action='store_true',
            help='All statements of the period in one export')
        common.add_project_domain_option(parser)
        return parser

    def take_action(
            self, parsed_args: argparse.Namespace,
    ) -> tuple[Sequence[str], tuple[Any, ...]]:
        options = _options(parsed_args.options)
        whom: dict[str, Any] = (
            {'all_projects': True} if parsed_args.all_projects else
            {'project': _project(self, parsed_args)})
        row = common.api(self).create_export(
            parsed_args.target, common.closed_period(parsed_args),
            options=options,
            timezone=parsed_args.timezone, **whom)
        return _SHOWN, columns.cells(_SHOWN, row, parsed_args.formatter)


class ListExport(base.Lister):
    """List exports and how far they have come (administrators, billing)."""

    example = 'openstack energy export list --state failed'

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        parser.add_argument('--target', metavar='<target>',
                            help='Only those of this target')
        parser.add_argument('--state', metavar='<state>',
                            help='Only those: planned, sent, confirmed, '
                                 'failed or cancelled')
        parser.add_argument('--period', metavar='<period>',
                            help='Only those of this month or year, such as '
                                 '2026-10, last-month or 2026')
        parser.add_argument(
            '--timezone', metavar='<zone>', default='UTC',
            help='Time zone in which it is last month (default: UTC)')
        parser.add_argument(
            '--project', metavar='<project>',
            help='Only those of this project alone (name or ID), or '
                 f'{_NOBODY}')
        common.add_project_domain_option(parser)
        common.add_long_option(parser)
        return parser

    def take_action(
            self, parsed_args: argparse.Namespace,
    ) -> tuple[Sequence[str], Iterable[tuple[Any, ...]]]:
        return common.listing(self, parsed_args, common.api(self).exports(
            target=parsed_args.target, state=parsed_args.state,
            period=common.period_filter(parsed_args),
            project=parsed_args.project and _project(self, parsed_args)),
            COLUMNS, _SHORT)


class _OfExport(base.ShowOne):

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        _add_export(parser)
        return parser


class ShowExport(_OfExport):
    """Show an export: its state, its files, why it failed."""

    example = ('openstack energy export show '
               '5d8c1c0e-5f0f-5c39-9a55-0a4f4be4d0a1')

    def take_action(
            self, parsed_args: argparse.Namespace,
    ) -> tuple[Sequence[str], tuple[Any, ...]]:
        row = common.api(self).export(parsed_args.id)
        return _SHOWN, columns.cells(_SHOWN, row, parsed_args.formatter)


class RetryExport(_OfExport):
    """Let an export that failed, or was cancelled, be sent again."""

    example = ('openstack energy export retry '
               '5d8c1c0e-5f0f-5c39-9a55-0a4f4be4d0a1')

    def take_action(
            self, parsed_args: argparse.Namespace,
    ) -> tuple[Sequence[str], tuple[Any, ...]]:
        row = common.api(self).retry_export(parsed_args.id)
        return _SHOWN, columns.cells(_SHOWN, row, parsed_args.formatter)


class CancelExport(_OfExport):
    """Give up an export that is not confirmed: no timer sends it.

    What it put somewhere stays there. To create or to retry it sends it all
    the same.
    """

    example = ('openstack energy export cancel '
               '5d8c1c0e-5f0f-5c39-9a55-0a4f4be4d0a1')

    def take_action(
            self, parsed_args: argparse.Namespace,
    ) -> tuple[Sequence[str], tuple[Any, ...]]:
        row = common.api(self).cancel_export(parsed_args.id)
        return _SHOWN, columns.cells(_SHOWN, row, parsed_args.formatter)


class DownloadExport(base.Command):
    """Download the files of an export, checked by their SHA-256.

    The manifest comes last: who finds it finds all that it names.
    """

    example = ('openstack energy export download '
               '5d8c1c0e-5f0f-5c39-9a55-0a4f4be4d0a1 \\\n'
               '    --directory billing')

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        _add_export(parser)
        parser.add_argument('--directory', metavar='<directory>',
                            default='.', help='Where to (default: here)')
        parser.add_argument('--force', action='store_true',
                            help='Also over files that are there')
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> None:
        api = common.api(self)
        one = api.export(parsed_args.id)
        if one['manifest'] is None:
            raise exceptions.CommandError(
                f'export {one["id"]} is {one["state"]} and has no file'
                + (f': {one["error"]}' if one['error'] else ' yet'))
        directory = pathlib.Path(parsed_args.directory)
        wanted = [*((each['name'], each['bytes'], each['sha256'])
                    for each in one['files']), (one['manifest'], 0, None)]
        # What the service calls a file names no directory here.
        paths = [directory / pathlib.PurePath(name).name
                 for name, _, _ in wanted]
        if len(set(paths)) < len(paths):
            raise exceptions.CommandError(
                f'export {one["id"]} has two files of one name, and the one '
                'would be lost under the other: take them from its '
                'destination')
        there = [path for path in paths if path.exists()]
        if there and not parsed_args.force:
            raise exceptions.CommandError(
                f'{there[0]} is there already: give another --directory, '
                'or --force')
        for path, (name, size, sha256) in zip(paths, wanted, strict=True):
            with progress.Progress(self.app.stderr) as bar:
                saving.save(
                    path, api.export_file(one['id'], name), sha256,
                    functools.partial(bar.share, 'downloading', of=size)
                    if size else lambda done: None)
            self.app.stdout.write(f'{path}\n')


def _project(of: Any, parsed_args: argparse.Namespace) -> str:
    manager: Any = of.app.client_manager
    name: str = parsed_args.project
    return name if name == _NOBODY else common.project_id(
        manager, name, parsed_args.project_domain)
