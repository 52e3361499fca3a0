# SPDX-License-Identifier: Apache-2.0
"""``openstack energy contract create``, ``list``, ``delete``."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
from typing import Any

from energy_accounting.osc import base, columns, common, times

COLUMNS = ('id', 'site', 'instrument', 'start', 'end', 'share',
           'kg_per_kwh', 'basis', 'renewable', 'retired', 'evidence',
           'recorded_at', 'superseded_at')
_SHORT = COLUMNS[:10]


class ListContract(base.Lister):
    """List what electricity a site bought (administrators)."""

    example = 'openstack energy contract list berlin-1 --as-of 2026-11-01'

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        parser.add_argument('site', metavar='<site>', help='Its name')
        common.add_time_filters(
            parser, ('start', 'Only those that run at this time or after'),
            ('end', 'Only those that run before this time'),
            ('as-of', 'As they were known at this time'))
        parser.add_argument('--superseded', action='store_true',
                            help='Also those that count no more')
        common.add_long_option(parser)
        return parser

    def take_action(
            self, parsed_args: argparse.Namespace,
    ) -> tuple[Sequence[str], Iterable[tuple[Any, ...]]]:
        common.read_times(parsed_args, 'start', 'end', 'as_of')
        return common.listing(self, parsed_args, common.api(self).contracts(
            parsed_args.site, start=parsed_args.start, end=parsed_args.end,
            as_of=parsed_args.as_of,
            superseded=parsed_args.superseded or None), COLUMNS, _SHORT)


class CreateContract(base.ShowOne):
    """Record what electricity a site bought (administrators)."""

    example = (
        'openstack energy contract create berlin-1 --instrument go \\\n'
        '    --start 2026-01-01T00:00:00Z --end 2027-01-01T00:00:00Z '
        '--share 0.6 \\\n'
        '    --kg-per-kwh 0 --basis direct --renewable --retired \\\n'
        "    --evidence 'HKNR 2026/4711'")

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        parser.add_argument('site', metavar='<site>', help='Its name')
        common.take_ago(parser)
        for name, metavar, what in (
                ('instrument', 'instrument',
                 'go, ppa, onsite, tariff or residual'),
                ('start', 'time', f'First moment: {times.FORMS}'),
                ('end', 'time', 'End, itself excluded: likewise'),
                ('share', 'number', 'Of what the grid delivers: above 0 and '
                                    'at most 1'),
                ('kg-per-kwh', 'number', 'kg CO2(e) a kWh'),
                ('basis', 'basis', 'direct or lifecycle: what of the '
                                   'emissions that holds'),
                ('evidence', 'text', 'Where the contract or its '
                                     'certificates can be found')):
            parser.add_argument(f'--{name}', metavar=f'<{metavar}>',
                                required=True, help=what)
        common.add_timezone_option(parser)
        for name, what in (
                ('renewable', 'Its energy is renewable'),
                ('retired', "Its attributes are the site's own and used up")):
            parser.add_argument(f'--{name}', action='store_true', help=what)
        return parser

    def take_action(
            self, parsed_args: argparse.Namespace,
    ) -> tuple[Sequence[str], tuple[Any, ...]]:
        common.read_times(parsed_args, 'start', 'end')
        row = common.api(self).add_contract(parsed_args.site, **{
            name: getattr(parsed_args, name) for name in (
                'instrument', 'start', 'end', 'share', 'kg_per_kwh', 'basis',
                'evidence', 'renewable', 'retired')})
        return COLUMNS, columns.cells(COLUMNS, row, parsed_args.formatter)


class DeleteContract(base.Command):
    """Let a contract count no more (administrators).

    It is kept for reports as of an earlier time.
    """

    example = 'openstack energy contract delete berlin-1 7'

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        parser.add_argument('site', metavar='<site>', help='Its name')
        parser.add_argument('id', metavar='<id>',
                            help='The id of the contract')
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> None:
        common.api(self).withdraw_contract(parsed_args.site, parsed_args.id)
