# SPDX-License-Identifier: Apache-2.0
"""``openstack energy report show``: a month on one screen."""

from __future__ import annotations

import argparse
import decimal
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from energy_accounting import client
from energy_accounting.osc import base, columns, common, usage

BAR_WIDTH = 24

_MIXED = 'mixed'
_NOBODY = 'services, unallocated'
_TERMS = (
    ('active_kwh', 'active', 'what the servers computed'),
    ('idle_kwh', 'idle', 'what their reservation kept ready'),
    ('memory_kwh', 'memory', 'their memory'),
    ('host_kwh', 'host', "their share of the hosts' own work"),
    ('platform_kwh', 'platform', 'fans, disks, power supplies'))
# Whose PUE it is, for people.
_PUE_KINDS = {
    'interval': 'of its own quarters of an hour', 'iPUE': 'of days or months',
    'PUE': 'of twelve months', 'configured': 'as configured',
    'mixed': 'of different kinds'}
_FACTORS = {
    'actual': 'actual factors', 'estimated': 'estimated factors',
    'forecast': 'forecast factors', 'fallback': 'yearly factors that stand in',
    'mixed': 'factors of different quality'}


class ShowReport(base.Command):
    """Show a month of a project: sums, and a bar for each server.

    With --all-projects a bar for each project.  For people: programs read
    "energy usage list".
    """

    example = (
        'openstack energy report show --month last-month --timezone '
        'Europe/Berlin')

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        common.add_period_options(parser)
        common.add_as_of_option(parser)
        common.add_scope_options(parser)
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> None:
        manager = self.app.client_manager
        chosen = common.period(parsed_args)
        query = {**common.period_query(chosen, parsed_args),
                 **common.scope_query(manager, parsed_args),
                 'resolution': 'total'}
        whole = query.get('all_projects', False)
        group = 'project' if whole else 'instance'
        api = common.api(self)
        total = next(api.usage(group_by=usage.NONE, **query))
        parts: Sequence[client.Row] = ()
        if any(row.get('boundary') == _MIXED for row in total.rows):
            # One sum, and of it what was measured where: never blurred.
            parts = next(api.usage(group_by='boundary', **query)).rows
        rows = [row for page in api.usage(group_by=group, **query)
                for row in page.rows]
        names = {} if whole else common.server_names(manager)
        heading = common.heading(chosen, parsed_args,
                                 total.envelope.get('complete_until'))
        for line in report_lines(heading, total.rows, parts, rows,
                                 f'{group}_id', names):
            self.app.stdout.write(f'{line}\n')


def report_lines(heading: str, total: Sequence[client.Row],
                 parts: Sequence[client.Row], rows: Sequence[client.Row],
                 key: str, names: Mapping[str, str]) -> Iterator[str]:
    """The lines of a report.

    :param total: the sum, a row; none where nothing was booked.
    :param parts: of it, a row for each boundary, where there are several.
    :param rows: a row for each server or project.
    :param key: the column that says which it is.
    :param names: what people call them, where that is known.
    """
    yield f'Energy {heading}'
    if not total or not rows:
        yield ''
        yield 'No energy was booked in this period.'
        return
    yield ''
    yield from _sums(total[0])
    for part in parts:
        yield (f'    {part["boundary"]:<9}{_kwh(part, "it_kwh"):>12} kWh  '
               f'{_reach(part)}').rstrip()
    yield ''
    yield from _bars(rows, key, names)


def _sums(row: Mapping[str, Any]) -> Iterator[str]:
    yield f'  {"IT energy":<11}{_kwh(row, "it_kwh"):>12} kWh'
    for column, word, meaning in _TERMS:
        if row.get(column) is not None:
            yield f'    {word:<9}{_kwh(row, column):>12} kWh  {meaning}'
    if row.get('facility_kwh') is not None:
        yield (f'  {"facility":<11}{_kwh(row, "facility_kwh"):>12} kWh  '
               f'PUE {columns.rounded(row.get("pue"))}'
               f' ({_PUE_KINDS.get(row.get("pue_kind") or "", "?")})')
        if row.get('renewable_share') is not None:
            share = _percent(row['renewable_share'])
            yield (f'    {"renewable":<9}{share:>12} %    '
                   'by contracts and own sun')
    quality = _FACTORS.get(row.get('factor_quality') or '')
    for column, meaning in (
            ('co2_location_kg', ', '.join(
                filter(None, ('location-based', quality)))),
            ('co2_market_kg', 'market-based, what was bought')):
        if row.get(column) is not None:
            yield f'  {"CO2":<11}{_kwh(row, column):>12} kg   {meaning}'
    if row.get('water_l') is not None:
        yield f'  {"water":<11}{_kwh(row, "water_l"):>12} l'
    yield (f'  measured at {row.get("boundary") or "?"}, coverage '
           f'{columns.rounded(row.get("coverage"))}'
           + ''.join(f', {words}' for words in (_reach(row),) if words))


def _reach(row: Mapping[str, Any]) -> str:
    return 'a lower bound' if row.get('boundary') == 'rapl' else ''


def _bars(rows: Sequence[client.Row], key: str,
          names: Mapping[str, str]) -> Iterator[str]:
    amounts = [(decimal.Decimal(row['it_kwh']), row) for row in rows]
    amounts.sort(key=lambda item: (-item[0], item[1].get(key) or ''))
    most = amounts[0][0]
    owners = [row.get(key) for _amount, row in amounts]
    labels = [names.get(owner, owner) if owner else _NOBODY
              for owner in owners]
    width = max(map(len, labels))
    for label, (amount, row) in zip(labels, amounts, strict=True):
        yield (f'  {label:<{width}}{_kwh(row, "it_kwh"):>12} kWh  '
               f'{bar(amount, most)}').rstrip()


def bar(amount: decimal.Decimal, most: decimal.Decimal) -> str:
    """A bar as long as the amount's share of the greatest one."""
    if most <= 0 or amount <= 0:
        return ''
    eighths = int((amount * BAR_WIDTH * 8 / most).to_integral_value(
        decimal.ROUND_HALF_EVEN))
    whole, part = divmod(max(eighths, 1), 8)
    return '█' * whole + ('', '▏', '▎', '▍', '▌', '▋', '▊', '▉')[part]


def _percent(share: str) -> str:
    return columns.rounded(str(decimal.Decimal(share) * 100))


def _kwh(row: Mapping[str, Any], column: str) -> str:
    return columns.rounded(row.get(column))
