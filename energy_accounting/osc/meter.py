# SPDX-License-Identifier: Apache-2.0
"""``openstack energy meter ...``: the meters, and what happened to them."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from osc_lib import exceptions

from energy_accounting.osc import base, columns, common, times

COLUMNS = ('id', 'name', 'site', 'section', 'role', 'medium', 'kind', 'unit',
           'host', 'parent', 'rollover', 'max_rate', 'serial',
           'accuracy_class', 'calibrated_until', 'installed_at',
           'removed_at', 'source', 'source_ref', 'terms', 'last_reading',
           'questions')
_SHORT = ('name', 'site', 'role', 'medium', 'kind', 'unit', 'parent',
          'removed_at')
_OF_LIST = COLUMNS[:-2]
EVENT_COLUMNS = ('id', 'at', 'kind', 'end_value', 'start_value', 'note',
                 'recorded_at', 'superseded_at')
# (option, what it says): texts, which --no-OPTION takes back.
_TEXTS = (
    ('section', 'Part of the site that has key figures of its own'),
    ('rollover', 'Value at which the counter starts again from 0'),
    ('max-rate', 'The most that it can count in an hour; of a gauge, its '
                 'highest value'),
    ('serial', 'Serial number'),
    ('accuracy-class', 'Accuracy class, e.g. 0.5S'),
    ('calibrated-until', f'Until when its calibration holds: {times.FORMS}'),
    ('installed-at', 'Since when it is there: likewise'),
    ('removed-at', 'Until when it was there: likewise'),
    ('host', 'Host whose node it measures'),
    ('parent', 'Meter that what it measures has gone through'),
    ('source', 'From where the service fetches its readings: '
               'prometheus, redfish'),
    ('source-ref', 'What to ask there: a query that gives one series; the '
                   'address of a Chassis of a BMC'))
_MOMENTS = ('calibrated_until', 'installed_at', 'removed_at')
_FIELDS = tuple(name.replace('-', '_') for name, _ in _TEXTS)
_MAIN = (('medium', 'What it measures: electricity, heat, cooling, water, '
                    'gas, diesel, hydrogen or bioethanol'),
         ('role', 'For which figure it counts, e.g. dc_total, it_ups_out, '
                  'water_in'),
         ('kind', 'cumulative (a counter), interval (amounts of times), '
                  'gauge (power or flow) or virtual (a sum of others)'),
         ('unit', 'Unit of its values, e.g. kWh, MWh, m3; of a gauge kW, '
                  'm3/h'))


class ListMeter(base.Lister):
    """List the meters of the sites (administrators)."""

    example = (
        'openstack energy meter list --site berlin-1 --medium electricity')

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        common.add_long_option(parser)
        for name, what in (('site', 'of this site'), ('role', 'of this role'),
                           ('medium', 'of what is measured')):
            parser.add_argument(f'--{name}', metavar=f'<{name}>',
                                help=f'Only meters {what}')
        return parser

    def take_action(
            self, parsed_args: argparse.Namespace,
    ) -> tuple[Sequence[str], Iterable[tuple[Any, ...]]]:
        return common.listing(self, parsed_args, common.api(self).meters(
            site=parsed_args.site, role=parsed_args.role,
            medium=parsed_args.medium), _OF_LIST, _SHORT)


class _OneMeter(base.ShowOne):
    """A command that answers with one meter."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        parser.add_argument('meter', metavar='<meter>',
                            help='Its name or id')
        return parser

    def shown(self, row: Mapping[str, Any], parsed_args: argparse.Namespace,
              ) -> tuple[Sequence[str], tuple[Any, ...]]:
        names = tuple(dict.fromkeys((*COLUMNS, *row)))
        return names, columns.cells(names, row, parsed_args.formatter)


class ShowMeter(_OneMeter):
    """Show a meter, its last reading and what must be decided
    (administrators).
    """

    example = 'openstack energy meter show main-feed'

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        common.add_time_filters(
            parser, ('start', 'Questions from this time on (default: 400 '
                              'days ago)'))
        return parser

    def take_action(
            self, parsed_args: argparse.Namespace,
    ) -> tuple[Sequence[str], tuple[Any, ...]]:
        common.read_times(parsed_args, 'start')
        return self.shown(common.api(self).meter(
            parsed_args.meter, start=parsed_args.start), parsed_args)


def _add_said(parser: argparse.ArgumentParser, *, back: bool) -> None:
    """What may be said; ``back``: and taken back."""
    common.take_ago(parser)
    for name, what in _TEXTS:
        group = parser.add_mutually_exclusive_group()
        group.add_argument(f'--{name}', metavar=f'<{name}>', help=what)
        if back:
            group.add_argument(f'--no-{name}', action='store_true',
                               help=f'Take its {name} back')
    common.add_timezone_option(parser)
    for name, what in (('add', 'added to'), ('subtract', 'taken away from')):
        parser.add_argument(
            f'--{name}', metavar='<meter>', action='append',
            help=f'A meter that is {what} this virtual one (repeat)')


def _terms(parsed_args: argparse.Namespace) -> list[dict[str, Any]] | None:
    terms = [{'meter': name, 'sign': sign}
             for names, sign in ((parsed_args.add, 1),
                                 (parsed_args.subtract, -1))
             for name in names or ()]
    return terms or None


class CreateMeter(_OneMeter):
    """Make a meter (administrators)."""

    example = (
        'openstack energy meter create main-feed --site berlin-1 --role '
        'dc_total \\\n'
        '    --medium electricity --kind cumulative --unit kWh --rollover '
        '1000000')

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        parser.add_argument('--site', metavar='<site>', required=True,
                            help='Its site')
        for name, what in _MAIN:
            parser.add_argument(f'--{name}', metavar=f'<{name}>',
                                required=True, help=what)
        _add_said(parser, back=False)
        return parser

    def take_action(
            self, parsed_args: argparse.Namespace,
    ) -> tuple[Sequence[str], tuple[Any, ...]]:
        common.read_times(parsed_args, *_MOMENTS)
        return self.shown(common.api(self).create_meter(
            parsed_args.meter, **{
                name: getattr(parsed_args, name) for name in (
                    'site', *(name for name, _ in _MAIN), *_FIELDS)},
            terms=_terms(parsed_args)), parsed_args)


class SetMeter(_OneMeter):
    """Change what is known of a meter (administrators).

    What it measures, its kind and its unit stay once it has readings: say
    when it was removed, and make another one.
    """

    example = (
        'openstack energy meter set main-feed --removed-at '
        '2026-11-26T09:00:00+01:00')

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        for name, what in _MAIN:
            parser.add_argument(f'--{name}', metavar=f'<{name}>', help=what)
        _add_said(parser, back=True)
        return parser

    def take_action(
            self, parsed_args: argparse.Namespace,
    ) -> tuple[Sequence[str], tuple[Any, ...]]:
        common.read_times(parsed_args, *_MOMENTS)
        said = common.changes(parsed_args, (
            *(name for name, _ in _MAIN), *_FIELDS))
        terms = _terms(parsed_args)
        if terms is not None:
            said['terms'] = terms
        if not said:
            raise exceptions.CommandError(
                'nothing is to be changed: give an option of what is, such '
                'as --max-rate or --removed-at (see --help)')
        return self.shown(common.api(self).change_meter(
            parsed_args.meter, **said), parsed_args)


# --- events -----------------------------------------------------------------

class CreateEvent(base.ShowOne):
    """Decide what happened to a counter (administrators).

    Without values of what is exchanged or reset, the time around it is a
    gap: nothing is guessed.
    """

    example = (
        'openstack energy meter event create main-feed exchange \\\n'
        '    --at 2026-11-26T09:00:00+01:00 --end-value 981204.5 '
        '--start-value 0')

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        parser.add_argument('meter', metavar='<meter>',
                            help='Its name or id')
        parser.add_argument(
            'kind', choices=('rollover', 'exchange', 'reset', 'confirmed'),
            help='rollover: it started again from 0; exchange: it is '
                 'another meter now; reset: it was set back; confirmed: it '
                 'did count more than its max_rate')
        common.take_ago(parser)
        parser.add_argument(
            '--at', metavar='<time>', required=True,
            help='When, after the reading before it and not after the next '
                 f'one: {times.FORMS}')
        common.add_timezone_option(parser)
        parser.add_argument('--end-value', metavar='<value>',
                            help='The last value before it, if known')
        parser.add_argument('--start-value', metavar='<value>',
                            help='The first value after it, if known')
        parser.add_argument('--note', metavar='<text>',
                            help='Why, and who says so')
        parser.add_argument(
            '--correct', action='store_true',
            help='In place of what was said of the same moment')
        return parser

    def take_action(
            self, parsed_args: argparse.Namespace,
    ) -> tuple[Sequence[str], tuple[Any, ...]]:
        common.read_times(parsed_args, 'at')
        row = common.api(self).add_event(
            parsed_args.meter, correct=parsed_args.correct or None, **{
                name: getattr(parsed_args, name) for name in (
                    'at', 'kind', 'end_value', 'start_value', 'note')})
        return EVENT_COLUMNS, columns.cells(EVENT_COLUMNS, row,
                                            parsed_args.formatter)


class ListEvent(base.Lister):
    """List what was decided about a counter (administrators)."""

    example = 'openstack energy meter event list main-feed'

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        parser.add_argument('meter', metavar='<meter>',
                            help='Its name or id')
        common.add_superseded_option(parser)
        return parser

    def take_action(
            self, parsed_args: argparse.Namespace,
    ) -> tuple[Sequence[str], Iterable[tuple[Any, ...]]]:
        return EVENT_COLUMNS, [
            columns.cells(EVENT_COLUMNS, row, parsed_args.formatter)
            for row in common.api(self).events(
                parsed_args.meter,
                superseded=parsed_args.superseded or None)]


class DeleteEvent(base.Command):
    """Take a decision about a counter back (administrators).

    It stays on record, and reports as of before still know it.
    """

    example = 'openstack energy meter event delete main-feed 2'

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        parser.add_argument('meter', metavar='<meter>',
                            help='Its name or id')
        parser.add_argument('id', metavar='<id>', help='The id of the event')
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> None:
        common.api(self).withdraw_event(parsed_args.meter, parsed_args.id)
