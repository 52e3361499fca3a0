# SPDX-License-Identifier: Apache-2.0
"""``openstack energy usage list`` and ``show``."""

from __future__ import annotations

import argparse
import decimal
import itertools
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from osc_lib import exceptions

from energy_accounting import client, units
from energy_accounting.osc import base, columns, common, times

GROUP_COLUMNS = {
    'project': 'project_id', 'domain': 'domain_id',
    'instance': 'instance_id', 'flavor': 'flavor', 'site': 'site',
    'region': 'region', 'boundary': 'boundary', 'host': 'host',
    'account': 'account', 'user': 'user_id'}

NONE = 'none'
"""Instead of groups: one sum of all."""

COLUMNS = ('active_kwh', 'idle_kwh', 'memory_kwh', 'host_kwh',
           'platform_kwh', 'it_kwh', 'facility_kwh', 'pue', 'pue_kind',
           'co2_location_kg', 'co2_market_kg', 'cue_kg_per_kwh', 'peak_kw',
           'coverage', 'boundary', 'quality', 'policy', 'water_l',
           'renewable_share', 'factor_quality', 'factor_basis',
           'market_factor_quality', 'market_factor_basis')

# What fits a terminal; the rest with --long, -c or another format.
_SHORT = ('active_kwh', 'idle_kwh', 'memory_kwh', 'host_kwh', 'it_kwh',
          'facility_kwh', 'co2_location_kg', 'peak_kw', 'coverage')
# So many rows are asked for first: their energy is soon added up, and there
# is something to read.
_FIRST_ROWS = 50
_LATER = ('Some of it was booked later, from the counters, or is estimated: '
          'see quality\nwith --long.')
# Left out of the short table where no row has a value.
_WHEN_KNOWN = ('memory_kwh', 'facility_kwh', 'co2_location_kg')


class ListUsage(base.Lister):
    """List energy by server, project, day, ...

    The default is the present month of your project by server.
    """

    example = (
        'openstack energy usage list --month last-month --resolution day\n'
        'openstack energy usage list --start -24h --resolution hour -f csv')

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        common.add_period_options(parser)
        common.add_as_of_option(parser)
        common.add_scope_options(parser)
        common.add_filter_options(parser)
        parser.add_argument(
            '--group-by', metavar='<name>[,<name>...]', action='append',
            help='A row for each ' + ', '.join(GROUP_COLUMNS) + ' (host, '
                 'account and user: administrators), or none: one sum '
                 '(default: instance, with --all-projects project)')
        parser.add_argument(
            '--resolution', metavar='<resolution>',
            choices=units.RESOLUTIONS, default='total',
            help='A row for each ' + ', '.join(units.RESOLUTIONS[1:])
                 + ', or total (default)')
        parser.add_argument(
            '--sort', metavar='<column>[:<direction>]',
            help='Sort by start or a column of energy, asc or desc, e.g. '
                 'it_kwh:desc (default: start:asc)')
        parser.add_argument(
            '--limit', metavar='<number>', type=common.positive,
            help='Show at most so many rows (default: all)')
        parser.add_argument(
            '--marker', metavar='<marker>',
            help='Go on where a listing with --limit said it stopped')
        common.add_long_option(parser)
        return parser

    def take_action(
            self, parsed_args: argparse.Namespace,
    ) -> tuple[Sequence[str], Iterable[tuple[Any, ...]]]:
        manager = self.app.client_manager
        chosen = common.period(parsed_args)
        scope = common.scope_query(manager, parsed_args)
        groups = _groups(parsed_args, scope)
        pages = self._pages(parsed_args, {
            **common.period_query(chosen, parsed_args), **scope,
            'group_by': groups, 'resolution': parsed_args.resolution,
            'sort': parsed_args.sort})
        first = next(pages)
        rows: Iterable[client.Row] = common.streamed(
            self, parsed_args, self._told(first, pages, parsed_args, chosen),
            parsed_args.limit)
        if parsed_args.formatter == 'table':
            # Which columns it has depends on every row; and what cannot be
            # had whole leaves no line above nothing.
            rows = tuple(rows)
            if not rows:
                common.refuse_unknown(self, parsed_args)
            common.say(self, parsed_args, common.heading(
                chosen, parsed_args, first.envelope.get('complete_until')))
            if not rows:
                common.say(self, parsed_args, 'No energy was booked.')
            if any(map(_unread, rows)):
                common.say(self, parsed_args, _LATER)
            names = _columns(rows, groups, parsed_args)
        else:
            if not first.rows:
                common.refuse_unknown(self, parsed_args)
            names = _every_column(first.rows, groups)
        return names, (columns.cells(names, row, parsed_args.formatter,
                                     common.zone(parsed_args))
                       for row in rows)

    def _pages(self, parsed_args: argparse.Namespace,
               query: dict[str, Any]) -> Iterator[client.Page[Any]]:
        """The pages, a short one first where that is there sooner."""
        api, marker = common.api(self), parsed_args.marker
        if (parsed_args.limit is None and parsed_args.sort is None
                and parsed_args.resolution == 'total'
                and parsed_args.formatter in ('csv', 'value')):
            page = next(api.usage(**query, limit=_FIRST_ROWS, marker=marker))
            yield page
            marker = page.marker
            if marker is None:
                return
        left = parsed_args.limit
        if left is None:
            yield from api.usage(**query, marker=marker)
            return
        while left > 0:
            # The last page ends with the last row: one can go on there.
            page = next(api.usage(**query, limit=common.page_of(left),
                                  marker=marker))
            yield page
            left -= len(page.rows)
            marker = page.marker
            if marker is None:
                return

    def _told(self, first: client.Page[Any],
              pages: Iterator[client.Page[Any]],
              parsed_args: argparse.Namespace,
              chosen: times.Period) -> Iterator[client.Page[Any]]:
        """Pages up to the limit; with the last, where one could go on."""
        given = 0
        for page in itertools.chain((first,), pages):
            given += len(page.rows)
            if page.marker is not None and given == parsed_args.limit:
                # The period as well: "now" is another moment by then.
                known = common.as_of(parsed_args)
                self.app.stderr.write(
                    'There are more rows: go on with '
                    f'--start {units.iso(chosen.start)} '
                    f'--end {units.iso(chosen.end)} '
                    + (f'--as-of {units.iso(known)} ' if known else '')
                    + f'--marker {page.marker}\n')
            yield page


class ShowUsage(base.ShowOne):
    """Show the energy of a project or a server in one sum."""

    example = 'openstack energy usage show --month last-month --server web-1'

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        common.add_period_options(parser)
        common.add_as_of_option(parser)
        common.add_scope_options(parser)
        common.add_filter_options(parser)
        return parser

    def take_action(
            self, parsed_args: argparse.Namespace,
    ) -> tuple[Sequence[str], tuple[Any, ...]]:
        manager = self.app.client_manager
        chosen = common.period(parsed_args)
        scope = common.scope_query(manager, parsed_args)
        groups = (['instance'] if parsed_args.server else
                  ['project'] if common.one_project(manager, scope)
                  else [NONE])
        last = next(common.api(self).usage(
            **common.period_query(chosen, parsed_args), **scope,
            group_by=groups, resolution='total'))
        rows = last.rows
        if not rows:
            raise exceptions.CommandError(
                'no energy was booked for '
                f'{parsed_args.server or "this scope"} in this period')
        common.say(self, parsed_args, common.heading(
            chosen, parsed_args, last.envelope.get('complete_until')))
        row = {**rows[0], 'complete_until':
               last.envelope.get('complete_until')}
        names = (*_every_column(rows, groups), 'complete_until')
        return names, columns.cells(names, row, parsed_args.formatter,
                                    common.zone(parsed_args))


def _unread(row: client.Row) -> bool:
    """Whether some of a row's energy was not measured in time."""
    quality = row.get('quality') or {}
    return any(decimal.Decimal(quality.get(name) or 0)
               for name in ('backfilled', 'estimated'))


def _groups(parsed_args: argparse.Namespace,
            scope: dict[str, Any]) -> list[str]:
    if parsed_args.group_by and not common.names(parsed_args.group_by):
        raise exceptions.CommandError(
            '--group-by is empty: give a name, or leave it out')
    return common.names(parsed_args.group_by) or [
        'project' if scope.get('all_projects') else 'instance']


def _keys(groups: Sequence[str]) -> tuple[str, ...]:
    return tuple(GROUP_COLUMNS.get(group, group) for group in groups
                 if group != NONE)


def _every_column(rows: Sequence[client.Row],
                  groups: Sequence[str]) -> tuple[str, ...]:
    """All columns: those we know and those a newer API sends beside."""
    keys = _keys(groups)
    sent = rows[0] if rows else {}
    return tuple(dict.fromkeys(('start', 'end', *keys, *COLUMNS, *sent)))


def _columns(rows: Sequence[client.Row], groups: Sequence[str],
             parsed_args: argparse.Namespace) -> tuple[str, ...]:
    every = _every_column(rows, groups)
    if common.every_column_wanted(parsed_args):
        return every
    keys = _keys(groups)
    when = ('start',) if parsed_args.resolution != 'total' else ()
    return tuple(dict.fromkeys(when + keys + tuple(
        name for name in _SHORT if name not in _WHEN_KNOWN
        or any(row.get(name) is not None for row in rows))))
