# SPDX-License-Identifier: Apache-2.0
"""``openstack energy kpi show``: the key figures of a site."""

from __future__ import annotations

import argparse
import datetime
import decimal
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from osc_lib import exceptions

from energy_accounting import units
from energy_accounting.osc import base, columns, common, times

_SHORT: tuple[str, ...] = (
    'name', 'section', 'value', 'unit', 'category', 'coverage', 'standard',
    'why')
_LONG: tuple[str, ...] = (
    *_SHORT, 'figure', 'start', 'end', 'estimated', 'numerator',
    'denominator', 'meters', 'reading_seconds', 'missing', 'notes', 'limits',
    'method')


_INTERPOLATED = (
    'interpolated: the meters were read less than once in the period; '
    'estimated: a part\nwas not measured (--long has more)')


class ShowKpi(base.Lister):
    """Show the key figures of a site (ISO/IEC 30134, EN 50600-4).

    Without a period: of the twelve last whole months.
    """

    example = (
        'openstack energy kpi show --site berlin-1 --year 2026 \\\n'
        '    --editions enefg --law enefg')

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        parser.add_argument('--site', metavar='<site>', required=True,
                            help='Name of the site')
        parser.add_argument(
            '--year', metavar='<year>', type=int,
            help='A calendar year in the time zone of the site')
        for name, what in (('start', 'First moment'),
                           ('end', 'End, itself excluded')):
            parser.add_argument(
                f'--{name}', metavar='<time>',
                help=f'{what} of the period: a month (2025-11), a date or '
                     'an ISO 8601 time, in the time zone of the site where '
                     'it names none')
        for name, what in (
                ('editions', 'iso or enefg: which editions of the '
                             'standards (default: iso)'),
                ('category', '1, 2 or 3: where IT energy is measured '
                             '(default: each that has meters)'),
                ('minimum-coverage', 'A share from 0 to 1: an input with '
                                     'less data is refused (default: 0.95)'),
                ('law', 'enefg: show its limits beside the figures'),
                ('started', 'Date on which the site began operation, for '
                            'limits that depend on it')):
            parser.add_argument(f'--{name}', metavar=f'<{name}>', help=what)
        common.take_ago(parser)
        parser.add_argument(
            '--as-of', metavar='<time>',
            help=f'As it was known at this time: {times.FORMS}; in UTC '
                 'where it names no offset')
        common.add_long_option(parser)
        return parser

    def take_action(
            self, parsed_args: argparse.Namespace,
    ) -> tuple[Sequence[str], Iterable[tuple[Any, ...]]]:
        api = common.api(self)
        if parsed_args.as_of is not None:
            try:
                parsed_args.as_of = common.exact(parsed_args.as_of, 'UTC')
            except ValueError as error:
                raise exceptions.CommandError(f'--as-of: {error}') from error
        query = {name: getattr(parsed_args, name) for name in (
            'editions', 'category', 'minimum_coverage', 'as_of', 'law',
            'started')}
        if (parsed_args.year, parsed_args.start,
                parsed_args.end) != (None, None, None):
            site = api.site(parsed_args.site)
            query |= _period(parsed_args, units.zone(site['time_zone']))
        answer = api.kpis(parsed_args.site, **query)
        common.say(self, parsed_args, heading(answer))
        if any(map(_unread, answer['kpis'])):
            common.say(self, parsed_args, _INTERPOLATED)
        shown = _LONG if common.every_column_wanted(parsed_args) else _SHORT
        if parsed_args.law and shown is _SHORT:
            shown = (*_SHORT, 'limits')
        return shown, [_cells(shown, row, parsed_args.formatter)
                       for row in answer['kpis']]


def heading(answer: Mapping[str, Any]) -> str:
    """The line above a table: the period, in words of the site's zone."""
    where = units.zone(answer['time_zone'])
    start, end = (times.spoken(datetime.datetime.fromisoformat(
        answer[name]), where) for name in ('start', 'end'))
    return (f'{answer["site"]}, {start} until {end} (excluded), '
            f'{answer["time_zone"]}')


def _cells(names: Sequence[str], row: Mapping[str, Any],
           formatter: str) -> tuple[Any, ...]:
    """For people, a limit is a sentence, and what is long is folded."""
    if formatter == 'table':
        if _unread(row):
            row = {**row, 'value': f'{row["value"]} {_unread(row)}'}
        if row['method'] is not None:
            row = {**row, 'name': f'{row["name"]}, {row["method"]}'}
        if row['limits'] is not None:
            row = {**row,
                   'limits': [limit_line(one) for one in row['limits']]}
        if row['why'] is not None:
            row = {**row, 'why': columns.folded(row['why'], 44)}
    return columns.cells(names, row, formatter)


def _unread(row: Mapping[str, Any]) -> str:
    """In a word, where a value is not all read off meters."""
    if row['value'] is None:
        return ''
    start, end = (datetime.datetime.fromisoformat(row[edge])
                  for edge in ('start', 'end'))
    seconds = row['reading_seconds']
    if seconds is not None and seconds > (end - start).total_seconds():
        return 'interpolated'
    return 'estimated' if decimal.Decimal(row['estimated'] or 0) else ''


def limit_line(limit: Mapping[str, Any]) -> str:
    """A limit of law in words."""
    bound = (f'at most {limit["most"]}' if limit['most'] is not None
             else f'at least {limit["least"]}')
    binds = {True: 'binds', False: 'does not bind',
             None: f'may bind: {limit["why"]}'}[limit['binds']]
    kept = {True: 'kept', False: 'not kept', None: 'cannot tell'}[
        limit['kept']]
    return f'{bound} from {limit["valid_from"]}: {kept}, {binds}'


def _period(parsed_args: argparse.Namespace,
            where: datetime.tzinfo) -> dict[str, str]:
    """Start and end as the API takes them.

    :raises exceptions.CommandError: naming the option and the remedy.
    """
    year, texts = parsed_args.year, {
        name: getattr(parsed_args, name) for name in ('start', 'end')}
    if year is not None:
        if any(texts.values()) or not 2000 <= year < 2099:
            raise exceptions.CommandError(
                '--year: give one from 2000 to 2098, without --start and '
                '--end')
        texts = {'start': f'{year}-01', 'end': f'{year + 1}-01'}
    found = {}
    for name, text in texts.items():
        if text is None:
            raise exceptions.CommandError(
                f'--{name}: give --start and --end, or neither')
        try:
            found[name] = units.iso(times.moment(text, where, common.now()))
        except ValueError as error:
            raise exceptions.CommandError(f'--{name}: {error}') from error
    return found
