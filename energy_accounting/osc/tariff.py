# SPDX-License-Identifier: Apache-2.0
"""``openstack energy tariff create``, ``list``, ``delete``."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
from typing import Any

from osc_lib import exceptions

from energy_accounting.osc import base, columns, common, times

COLUMNS = ('id', 'name', 'start', 'end', 'currency', 'quantity',
           'price_per_kwh', 'windows', 'timezone', 'co2_price_per_kg',
           'co2_method', 'site', 'project_id', 'domain_id', 'legal_basis',
           'recorded_at', 'superseded_at')
_SHORT = (*COLUMNS[:7], 'site', 'project_id', 'domain_id')
DAYS = ('mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun')


class ListTariff(base.Lister):
    """List tariffs (administrators, billing)."""

    example = 'openstack energy tariff list --as-of 2026-11-01'

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        for name, what in (('site', 'site'),
                           ('project', 'project (name or ID)'),
                           ('domain', 'domain (name or ID)')):
            parser.add_argument(f'--{name}', metavar=f'<{name}>',
                                help=f'Only those of this {what}')
        common.add_project_domain_option(parser)
        common.add_time_filters(
            parser, ('start', 'Only those that count at this time or after'),
            ('end', 'Only those that count before this time'),
            ('as-of', 'As they were known at this time'))
        common.add_superseded_option(parser)
        common.add_long_option(parser)
        return parser

    def take_action(
            self, parsed_args: argparse.Namespace,
    ) -> tuple[Sequence[str], Iterable[tuple[Any, ...]]]:
        common.read_times(parsed_args, 'start', 'end', 'as_of')
        return common.listing(self, parsed_args, common.api(self).tariffs(
            **{name: getattr(parsed_args, name)
               for name in ('site', 'start', 'end', 'as_of')},
            **common.owner(self.app.client_manager, parsed_args),
            superseded=parsed_args.superseded or None), COLUMNS, _SHORT)


class CreateTariff(base.ShowOne):
    """Record what a kWh costs (administrators, billing)."""

    example = (
        "openstack energy tariff create 'Power 2026' \\\n"
        '    --start 2026-01-01T00:00:00+01:00 --currency EUR \\\n'
        '    --quantity facility --price-per-kwh 0.2875 \\\n'
        '    --timezone Europe/Berlin --window '
        'sat-sun,00:00,24:00,0.2475 \\\n'
        "    --legal-basis 'contract 2026/17, section 4'")

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        parser.add_argument('name', metavar='<name>',
                            help='What it is called')
        common.take_ago(parser)
        for name, metavar, needed, what in (
                ('start', 'time', True, 'First moment, on a quarter of an '
                 f'hour: {times.FORMS}'),
                ('end', 'time', False, 'End, itself excluded: likewise '
                 '(default: it counts on)'),
                ('currency', 'code', True, 'Code of ISO 4217, such as EUR'),
                ('quantity', 'quantity', True, 'it or facility: the energy '
                 'that is priced'),
                ('price-per-kwh', 'number', True, 'Price of a kWh'),
                ('co2-price-per-kg', 'number', False,
                 'Price of a kg CO2e'),
                ('co2-method', 'method', False, 'location or market: the '
                 'CO2 that is priced'),
                ('site', 'site', False, 'Of this site (default: of all)'),
                ('project', 'project', False,
                 'Of this project (name or ID; default: of all)'),
                ('domain', 'domain', False,
                 'Of this domain (name or ID; default: of all)'),
                ('timezone', 'zone', False, 'Time zone of the windows '
                 '(default: UTC), and of a --start or --end without an '
                 'offset (default: none, and these are refused)'),
                ('legal-basis', 'text', True, 'The contract or the decree '
                 'by which this is charged')):
            parser.add_argument(f'--{name}', metavar=f'<{metavar}>',
                                required=needed, help=what)
        common.add_project_domain_option(parser)
        parser.add_argument(
            '--window', metavar='<window>', action='append',
            dest='windows',
            help='Another price in hours of the week, as DAYS,START,END,'
                 'PRICE: mon-fri,22:00,24:00,0.19; repeat for several')
        return parser

    def take_action(
            self, parsed_args: argparse.Namespace,
    ) -> tuple[Sequence[str], tuple[Any, ...]]:
        common.read_times(parsed_args, 'start', 'end')
        row = common.api(self).create_tariff(parsed_args.name, **{
            name: getattr(parsed_args, name) for name in (
                'start', 'end', 'currency', 'quantity', 'price_per_kwh',
                'co2_price_per_kg', 'co2_method', 'site', 'timezone',
                'legal_basis')},
            **common.owner(self.app.client_manager, parsed_args),
            windows=[window(text) for text in parsed_args.windows]
            if parsed_args.windows else None)
        return COLUMNS, columns.cells(COLUMNS, row, parsed_args.formatter)


def window(text: str) -> dict[str, Any]:
    """``mon-fri,22:00,24:00,0.19`` as the API has it."""
    try:
        days, start, end, price = text.split(',')
        first, _, last = days.partition('-')
        chosen = DAYS[DAYS.index(first):DAYS.index(last or first) + 1]
        if not chosen:
            raise ValueError
    except ValueError as error:
        raise exceptions.CommandError(
            f'--window: {text!r} is no window: give DAYS,START,END,PRICE '
            'such as mon-fri,22:00,24:00,0.19 with days of '
            f'{", ".join(DAYS)}') from error
    return {'days': list(chosen), 'start': start, 'end': end,
            'price_per_kwh': price}


class DeleteTariff(base.Command):
    """Let a tariff count no more (administrators, billing).

    What was closed by it stays as it is.
    """

    example = 'openstack energy tariff delete 3'

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        parser.add_argument('id', metavar='<id>',
                            help='The id of the tariff')
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> None:
        common.api(self).withdraw_tariff(parsed_args.id)
