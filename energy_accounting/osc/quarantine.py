# SPDX-License-Identifier: Apache-2.0
"""``openstack energy quarantine list``, ``show``, ``release``, ``discard``."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from osc_lib import exceptions

from energy_accounting import client
from energy_accounting.osc import base, columns, common

COLUMNS = ('id', 'host', 'stream', 'sequence', 'state', 'code', 'reason',
           'received_at', 'start', 'end', 'energy_uj', 'energy_kwh',
           'decided_at')
_SHORT = ('id', 'host', 'code', 'start', 'end', 'energy_kwh', 'reason')
_SHOWN_CHARACTERS = 200
HELD, RELEASED, DISCARDED = 'held', 'released', 'discarded'


def _add_filters(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('--host', metavar='<host>',
                        help='Only records of this host')
    parser.add_argument(
        '--code', metavar='<code>',
        help='Only records kept for this reason: schema, newer, sum, '
             'implausible, future, conflict, overlap, key, not_enrolled, '
             'refused or too_large')
    common.add_time_filters(
        parser, ('start', 'Only records that begin at this time or after'),
        ('end', 'Only records that begin before this time'))


def _filters(parsed_args: argparse.Namespace) -> dict[str, Any]:
    common.read_times(parsed_args, 'start', 'end')
    return {name: getattr(parsed_args, name)
            for name in ('host', 'code', 'start', 'end')}


class ListRecord(base.Lister):
    """List the records that are kept and not booked (administrators)."""

    example = 'openstack energy quarantine list --host compute-1 --start -7d'

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        _add_filters(parser)
        parser.add_argument(
            '--state', metavar='<state>', default=HELD,
            choices=(HELD, RELEASED, DISCARDED, 'all'),
            help='held (default), released, discarded or all')
        parser.add_argument('--limit', metavar='<number>',
                            type=common.positive,
                            help='Show at most so many (default: all)')
        common.add_long_option(parser)
        return parser

    def take_action(
            self, parsed_args: argparse.Namespace,
    ) -> tuple[Sequence[str], Iterable[tuple[Any, ...]]]:
        state = None if parsed_args.state == 'all' else parsed_args.state
        return common.listing(self, parsed_args, common.api(self).quarantine(
            **_filters(parsed_args), state=state,
            limit=common.page_of(parsed_args.limit)),
            COLUMNS, _SHORT, parsed_args.limit)


class ShowRecord(base.ShowOne):
    """Show a record that is kept, with its text (administrators)."""

    example = 'openstack energy quarantine show 12'

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        parser.add_argument('id', metavar='<id>', help='Its id')
        return parser

    def take_action(
            self, parsed_args: argparse.Namespace,
    ) -> tuple[Sequence[str], tuple[Any, ...]]:
        row = common.api(self).kept_record(parsed_args.id)
        if parsed_args.formatter == 'table':
            row = {**row, 'payload': _beginning(row['payload'])}
        names = tuple(dict.fromkeys((*COLUMNS, *row)))
        return names, columns.cells(names, row, parsed_args.formatter)


def _beginning(text: str) -> str:
    """What of a text a terminal has room for."""
    if len(text) <= _SHOWN_CHARACTERS:
        return text
    return (f'{text[:_SHOWN_CHARACTERS]}... (of {len(text)} characters, all '
            'of them with -f json)')


class _Decide(base.Command):
    """Decides about records one by one; what is refused stays as it is."""

    state = ''
    reason_required = False

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        parser.add_argument('id', metavar='<id>', nargs='*',
                            help='The id of a record')
        parser.add_argument(
            '--all', action='store_true',
            help='All that are held and have in common what --host, '
                 '--code, --start and --end say: at least one of them')
        _add_filters(parser)
        parser.add_argument('--reason', metavar='<text>',
                            required=self.reason_required,
                            help='Why, for the audit')
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> None:
        filters = _filters(parsed_args)
        if bool(parsed_args.id) == parsed_args.all:
            raise exceptions.CommandError(
                'give the ids of records, or --all with what they have in '
                'common, and not both')
        if parsed_args.all and not any(filters.values()):
            raise exceptions.CommandError(
                '--all: say which, with --host, --code, --start or --end')
        if not parsed_args.all and any(filters.values()):
            raise exceptions.CommandError(
                '--host, --code, --start and --end go with --all')
        decided = refused = 0
        for record_id in (self._held(filters) if parsed_args.all
                          else parsed_args.id):
            try:
                answer = common.api(self).decide(
                    record_id, self.state, parsed_args.reason)
            except client.Error as error:
                # Of one record; anything else would be so for all.
                if error.status not in (404, 409):
                    self._tell(decided, refused)
                    raise
                refused += 1
                self.app.stderr.write(f'{error}\n')
                continue
            decided += 1
            for note in answer.get('notes') or ():
                self.app.stderr.write(f'record {record_id}: {note}\n')
        self._tell(decided, refused)
        if refused:
            raise exceptions.CommandError(
                f'{refused} of {decided + refused} records stay as they are')

    def _held(self, filters: dict[str, Any]) -> Iterator[int]:
        """Ids, page by page: what is decided leaves no hole behind."""
        for page in common.api(self).quarantine(**filters, state=HELD):
            for row in page.rows:
                yield row['id']

    def _tell(self, decided: int, refused: int) -> None:
        self.app.stdout.write(f'{decided} {self.state}, {refused} refused\n')


class ReleaseRecord(_Decide):
    """Book records that were kept (administrators).

    A record that does not add up, is not signed by its host or overlaps
    what is booked is refused.
    """

    example = (
        "openstack energy quarantine release 12 13 --reason 'key was "
        "replaced'")

    state = RELEASED


class DiscardRecord(_Decide):
    """Never book records that were kept (administrators).

    Their time is a gap from then on, where nothing else covers it.
    """

    example = (
        'openstack energy quarantine discard --all --host compute-1 '
        '--code sum \\\n'
        "    --reason 'faulty firmware'")

    state = DISCARDED
    reason_required = True
