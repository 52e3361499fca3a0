# SPDX-License-Identifier: Apache-2.0
"""``openstack energy host list`` and ``show``."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
from typing import Any

from osc_lib.command import command

from energy_accounting.osc import columns, common

COLUMNS = ('name', 'state', 'site', 'region', 'boundary',
           'last_window_start', 'last_window_end', 'lag_seconds',
           'coverage', 'basis', 'idle_kind', 'idle_power_w', 'policy',
           'cpus', 'memory_mib', 'version', 'alarm')
_SHORT = ('name', 'state', 'site', 'last_window_end', 'lag_seconds',
          'coverage', 'idle_power_w', 'alarm')


class ListHost(command.Lister):
    """List the hosts that send measurements (administrators)."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        common.add_long_option(parser)
        return parser

    def take_action(
            self, parsed_args: argparse.Namespace,
    ) -> tuple[Sequence[str], Iterable[tuple[Any, ...]]]:
        rows = [row for page in common.api(self).hosts()
                for row in page.rows]
        names = tuple(dict.fromkeys((*COLUMNS, *(rows[0] if rows else ()))))
        if not common.every_column_wanted(parsed_args):
            names = _SHORT
        return names, (columns.cells(names, row, parsed_args.formatter)
                       for row in rows)


class ShowHost(command.ShowOne):
    """Show what is known of a host (administrators)."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        parser.add_argument('host', metavar='<host>', help='Its name')
        return parser

    def take_action(
            self, parsed_args: argparse.Namespace,
    ) -> tuple[Sequence[str], tuple[Any, ...]]:
        row = common.api(self).host(parsed_args.host)
        names = tuple(dict.fromkeys((*COLUMNS, *row)))
        return names, columns.cells(names, row, parsed_args.formatter)
