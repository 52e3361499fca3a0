# SPDX-License-Identifier: Apache-2.0
"""``openstack energy host ...``: the hosts' register."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from osc_lib import exceptions

from energy_accounting.osc import base, columns, common, times

COLUMNS = ('name', 'state', 'site', 'region', 'boundary',
           'last_window_start', 'last_window_end', 'lag_seconds',
           'last_received', 'coverage', 'basis', 'idle_kind',
           'idle_power_w', 'policy', 'cpus', 'memory_mib', 'version',
           'alarm', 'expected', 'late', 'enrolled_at', 'retired_at',
           'public_key', 'presented_keys', 'window_seconds', 'max_power_w',
           'downtime')
_SHORT = ('name', 'state', 'site', 'late', 'last_window_end', 'lag_seconds',
          'coverage', 'idle_power_w', 'alarm')
DOWNTIME_COLUMNS = ('id', 'start', 'end', 'reason')


class ListHost(base.Lister):
    """List the hosts that send measurements (administrators)."""

    example = 'openstack energy host list --late'

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        common.add_long_option(parser)
        parser.add_argument('--site', metavar='<site>',
                            help='Only hosts of this site')
        parser.add_argument(
            '--state', choices=('enrolled', 'retired', 'pending'),
            help='Only hosts in this state')
        parser.add_argument(
            '--late', action='store_true',
            help='Only hosts that owe windows')
        return parser

    def take_action(
            self, parsed_args: argparse.Namespace,
    ) -> tuple[Sequence[str], Iterable[tuple[Any, ...]]]:
        return common.listing(self, parsed_args, common.api(self).hosts(
            site=parsed_args.site, state=parsed_args.state,
            late=parsed_args.late or None), COLUMNS, _SHORT)


class _OneHost(base.ShowOne):
    """A command that answers with one host."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        parser.add_argument('host', metavar='<host>', help='Its name')
        return parser

    def shown(self, row: Mapping[str, Any],
              parsed_args: argparse.Namespace,
              ) -> tuple[Sequence[str], tuple[Any, ...]]:
        names = tuple(dict.fromkeys((*COLUMNS, *row)))
        return names, columns.cells(names, row, parsed_args.formatter)


class ShowHost(_OneHost):
    """Show what is known of a host (administrators)."""

    example = 'openstack energy host show compute-1'

    def take_action(
            self, parsed_args: argparse.Namespace,
    ) -> tuple[Sequence[str], tuple[Any, ...]]:
        return self.shown(common.api(self).host(parsed_args.host),
                          parsed_args)


def _add_said(parser: argparse.ArgumentParser,
              power: argparse._MutuallyExclusiveGroup | None = None) -> None:
    parser.add_argument(
        '--site', metavar='<site>',
        help='Its site, made if there is none of this name')
    parser.add_argument(
        '--region', metavar='<region>',
        help='Region of the site, where nothing was booked yet')
    (power or parser).add_argument(
        '--max-power', metavar='<watts>', dest='max_power_w',
        help='The most its packages can draw together')


class EnrolHost(_OneHost):
    """Expect a host from now on, and book what its key signs
    (administrators).

    Without --public-key, the one key that its windows came with is
    believed, or the first one that comes.
    """

    example = (
        'openstack energy host enrol compute-1 --site berlin-1 \\\n'
        "    --public-key 'O2onvM62pC1io6jQKm8Nc2UyFXcd4kOmOsBIoYtZ2ik='")

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        _add_said(parser)
        parser.add_argument(
            '--public-key', metavar='<key>',
            help='Its key, as its notifier logs at its first start')
        return parser

    def take_action(
            self, parsed_args: argparse.Namespace,
    ) -> tuple[Sequence[str], tuple[Any, ...]]:
        return self.shown(common.api(self).enrol_host(
            parsed_args.host, site=parsed_args.site,
            region=parsed_args.region, public_key=parsed_args.public_key,
            max_power_w=parsed_args.max_power_w), parsed_args)


class RetireHost(_OneHost):
    """Expect a host no more (administrators).

    What it used stays; windows it sends are quarantined.
    """

    example = 'openstack energy host retire compute-1'

    def take_action(
            self, parsed_args: argparse.Namespace,
    ) -> tuple[Sequence[str], tuple[Any, ...]]:
        return self.shown(common.api(self).change_host(
            parsed_args.host, state='retired'), parsed_args)


class ReplaceHost(_OneHost):
    """Say that a host's machine or its key was replaced (administrators).

    From now on what the new key signs is booked, and nothing else.
    """

    example = (
        'openstack energy host replace compute-1 \\\n'
        "    --public-key 'O2onvM62pC1io6jQKm8Nc2UyFXcd4kOmOsBIoYtZ2ik='")

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        parser.add_argument(
            '--public-key', metavar='<key>', required=True,
            help='The new key, as the notifier logs at its first start')
        return parser

    def take_action(
            self, parsed_args: argparse.Namespace,
    ) -> tuple[Sequence[str], tuple[Any, ...]]:
        return self.shown(common.api(self).change_host(
            parsed_args.host, public_key=parsed_args.public_key),
            parsed_args)


class SetHost(_OneHost):
    """Change what is known of a host (administrators)."""

    example = 'openstack energy host set compute-1 --max-power 700'

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        power = parser.add_mutually_exclusive_group()
        _add_said(parser, power)
        power.add_argument(
            '--no-max-power', action='store_true',
            help='Believe what the host says of its power')
        return parser

    def take_action(
            self, parsed_args: argparse.Namespace,
    ) -> tuple[Sequence[str], tuple[Any, ...]]:
        said = {name: getattr(parsed_args, name)
                for name in ('site', 'region', 'max_power_w')
                if getattr(parsed_args, name) is not None}
        if parsed_args.no_max_power:
            said['max_power_w'] = None
        if not said:
            raise exceptions.CommandError(
                'nothing is to be changed: give --site, --region, '
                '--max-power or --no-max-power')
        return self.shown(common.api(self).change_host(
            parsed_args.host, **said), parsed_args)


# --- downtime ---------------------------------------------------------------

class CreateDowntime(base.ShowOne):
    """Plan a downtime of a host (administrators).

    Meanwhile it is neither late nor blamed for what is not measured.
    """

    example = (
        'openstack energy host downtime create compute-1 \\\n'
        '    --start 2026-12-01T22:00:00+01:00 --end '
        '2026-12-02T02:00:00+01:00 \\\n'
        "    --reason 'new DIMMs'")

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        parser.add_argument('host', metavar='<host>', help='Its name')
        common.take_ago(parser)
        for name, what in (('start', 'First moment'),
                           ('end', 'End, itself excluded')):
            parser.add_argument(
                f'--{name}', metavar='<time>', required=True,
                help=f'{what}: {times.FORMS}')
        common.add_timezone_option(parser)
        parser.add_argument('--reason', metavar='<text>', required=True,
                            help='What is done meanwhile')
        return parser

    def take_action(
            self, parsed_args: argparse.Namespace,
    ) -> tuple[Sequence[str], tuple[Any, ...]]:
        common.read_times(parsed_args, 'start', 'end')
        row = common.api(self).plan_downtime(
            parsed_args.host, parsed_args.start, parsed_args.end,
            parsed_args.reason)
        return DOWNTIME_COLUMNS, columns.cells(DOWNTIME_COLUMNS, row,
                                               parsed_args.formatter)


class ListDowntime(base.Lister):
    """List what is and was planned for a host (administrators)."""

    example = 'openstack energy host downtime list compute-1'

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        parser.add_argument('host', metavar='<host>', help='Its name')
        return parser

    def take_action(
            self, parsed_args: argparse.Namespace,
    ) -> tuple[Sequence[str], Iterable[tuple[Any, ...]]]:
        return common.listing(
            self, parsed_args, common.api(self).downtimes(parsed_args.host),
            DOWNTIME_COLUMNS)


class DeleteDowntime(base.Command):
    """Forget a downtime of a host (administrators)."""

    example = 'openstack energy host downtime delete compute-1 3'

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        parser.add_argument('host', metavar='<host>', help='Its name')
        parser.add_argument('id', metavar='<id>',
                            help='The id of the downtime')
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> None:
        common.api(self).cancel_downtime(parsed_args.host, parsed_args.id)
