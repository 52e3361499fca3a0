# SPDX-License-Identifier: Apache-2.0
"""``openstack energy site ...``: where hosts and meters are."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from osc_lib import exceptions

from energy_accounting.osc import base, columns, common

COLUMNS = ('name', 'region', 'time_zone', 'grid_zone', 'factor_basis')


def _shown(row: Mapping[str, Any], parsed_args: argparse.Namespace,
           ) -> tuple[Sequence[str], tuple[Any, ...]]:
    names = tuple(dict.fromkeys((*COLUMNS, *row)))
    return names, columns.cells(names, row, parsed_args.formatter)


class ListSite(base.Lister):
    """List the sites."""

    example = 'openstack energy site list'

    def take_action(
            self, parsed_args: argparse.Namespace,
    ) -> tuple[Sequence[str], Iterable[tuple[Any, ...]]]:
        return common.listing(self, parsed_args, common.api(self).sites(),
                              COLUMNS)


class ShowSite(base.ShowOne):
    """Show what is known of a site."""

    example = 'openstack energy site show berlin-1'

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        parser.add_argument('site', metavar='<site>', help='Its name')
        return parser

    def take_action(
            self, parsed_args: argparse.Namespace,
    ) -> tuple[Sequence[str], tuple[Any, ...]]:
        return _shown(common.api(self).site(parsed_args.site), parsed_args)


def _add_said(parser: argparse.ArgumentParser, *, back: bool) -> None:
    """What may be said; ``back``: and taken back."""
    for name, what in (
            ('region', 'Region of the cloud, while nothing is booked there'),
            ('grid-zone', 'Grid zone whose factors its electricity has, '
                          'such as DE')):
        group = parser.add_mutually_exclusive_group()
        group.add_argument(f'--{name}', metavar=f'<{name}>', help=what)
        if back:
            group.add_argument(f'--no-{name}', action='store_true',
                               help=f'Say nothing of its {name}')
    group = parser.add_mutually_exclusive_group()
    group.add_argument(
        '--factor-basis', choices=('direct', 'lifecycle'),
        help='What its emission factors count: direct, what is emitted '
             'where it is burnt, or lifecycle; while it is not said, an '
             'answer is on that of which most is known in its time')
    if back:
        group.add_argument('--no-factor-basis', action='store_true',
                           help='Say nothing of its basis')
    parser.add_argument(
        '--time-zone', metavar='<zone>',
        help='Time zone in which its days, months and years begin, as in '
             'the IANA database, e.g. Europe/Berlin (at first: UTC)')


class CreateSite(ShowSite):
    """Make a site (administrators)."""

    example = (
        'openstack energy site create berlin-1 --time-zone Europe/Berlin '
        '\\\n'
        '    --grid-zone DE')

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        _add_said(parser, back=False)
        return parser

    def take_action(
            self, parsed_args: argparse.Namespace,
    ) -> tuple[Sequence[str], tuple[Any, ...]]:
        return _shown(common.api(self).create_site(
            parsed_args.site, region=parsed_args.region,
            time_zone=parsed_args.time_zone,
            grid_zone=parsed_args.grid_zone,
            factor_basis=parsed_args.factor_basis), parsed_args)


class SetSite(ShowSite):
    """Change what is known of a site (administrators)."""

    example = 'openstack energy site set berlin-1 --grid-zone DE'

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        _add_said(parser, back=True)
        return parser

    def take_action(
            self, parsed_args: argparse.Namespace,
    ) -> tuple[Sequence[str], tuple[Any, ...]]:
        said = common.changes(parsed_args, ('region', 'time_zone',
                                            'grid_zone', 'factor_basis'))
        if not said:
            raise exceptions.CommandError(
                'nothing is to be changed: give --region, --time-zone, '
                '--grid-zone or --factor-basis, or --no-region, '
                '--no-grid-zone or --no-factor-basis')
        return _shown(common.api(self).change_site(
            parsed_args.site, **said), parsed_args)
