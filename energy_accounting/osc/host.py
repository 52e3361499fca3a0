# SPDX-License-Identifier: Apache-2.0
"""``openstack energy host list`` and ``show``."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
from typing import Any

from osc_lib.command import command

from energy_accounting.osc import columns, common

_SHORT = ('name', 'state', 'site', 'last_window_end', 'lag_seconds',
          'coverage', 'idle_power_watts', 'boundary')


class ListHost(command.Lister):
    """List the hosts that send measurements (administrators)."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        parser.add_argument(
            '--long', action='store_true',
            help='All columns in the table, too (json, csv and value '
                 'always have all)')
        return parser

    def take_action(
            self, parsed_args: argparse.Namespace,
    ) -> tuple[Sequence[str], Iterable[tuple[Any, ...]]]:
        rows = [row for page in common.api(self).hosts()
                for row in page.rows]
        names = tuple(rows[0]) if rows else _SHORT
        if (parsed_args.formatter == 'table' and not parsed_args.long
                and not parsed_args.columns):
            names = tuple(name for name in _SHORT if name in names)
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
        names = tuple(row)
        return names, columns.cells(names, row, parsed_args.formatter)
