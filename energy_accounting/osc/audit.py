# SPDX-License-Identifier: Apache-2.0
"""``openstack energy audit list``."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
from typing import Any

from energy_accounting.osc import base, common

COLUMNS = ('at', 'actor', 'request_id', 'kind', 'subject', 'was', 'became')


class ListAudit(base.Lister):
    """List who changed what, the newest first (administrators)."""

    example = 'openstack energy audit list --kind factor --start -7d'

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        for name, what in (
                ('kind', 'host, key, site, idle, policy, claim, '
                         'quarantine, downtime, factor, contract, meter, '
                         'reading or event'),
                ('subject', 'of this host, site, meter, instance or '
                            'record'),
                ('actor', 'made by this user id, or by collector')):
            parser.add_argument(f'--{name}', metavar=f'<{name}>',
                                help=f'Only changes: {what}')
        common.add_time_filters(
            parser, ('start', 'Only changes since this time'),
            ('end', 'Only changes before this time'))
        parser.add_argument('--limit', metavar='<count>',
                            type=common.positive,
                            help='At most so many')
        return parser

    def take_action(
            self, parsed_args: argparse.Namespace,
    ) -> tuple[Sequence[str], Iterable[tuple[Any, ...]]]:
        common.read_times(parsed_args, 'start', 'end')
        return common.listing(self, parsed_args, common.api(self).audit(**{
            name: getattr(parsed_args, name) for name in (
                'kind', 'subject', 'actor', 'start', 'end')},
            limit=common.page_of(parsed_args.limit)), COLUMNS,
            most=parsed_args.limit)
