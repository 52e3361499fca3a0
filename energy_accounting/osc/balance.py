# SPDX-License-Identifier: Apache-2.0
"""``openstack energy balance show``."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

from energy_accounting.osc import base, columns, common


class ShowBalance(base.ShowOne):
    """Show where every measured joule went (administrators).

    The difference is measured minus booked minus quarantined: 0.
    """

    example = 'openstack energy balance show --start yesterday --end today'

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        common.add_period_options(parser)
        which = parser.add_mutually_exclusive_group()
        which.add_argument('--host', metavar='<host>',
                           help='Only this host')
        which.add_argument('--site', metavar='<site>',
                           help='Only this site')
        return parser

    def take_action(
            self, parsed_args: argparse.Namespace,
    ) -> tuple[Sequence[str], tuple[Any, ...]]:
        chosen = common.period(parsed_args)
        query = common.period_query(chosen, parsed_args)
        # A balance has no calendar inside that a zone could change.
        del query['timezone']
        sheet = common.api(self).balance(
            **query, host=parsed_args.host, site=parsed_args.site)
        common.say(self, parsed_args, common.heading(chosen, parsed_args))
        names = tuple(sheet)
        return names, columns.cells(names, sheet, parsed_args.formatter,
                                    common.zone(parsed_args))
