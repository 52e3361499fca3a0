# SPDX-License-Identifier: Apache-2.0
"""``energy-accounting-manage factor``: fetch factors, import a file.

For a timer (cron, systemd, a Kubernetes CronJob) and for an operator.
Reads the command line, calls and prints.
"""

from __future__ import annotations

import argparse
import datetime
import time
from collections.abc import Callable, Iterator
from typing import Any

from oslo_config import cfg

from energy_accounting import errors, plugins, units
from energy_accounting.facility import (
    factor_csv,
    factor_store,
    factors,
    fetching,
    providers,
)
from energy_accounting.facility.providers import files
from energy_accounting.ledger import audit, engine

IMPORTED = 'operator'
_DAY_NS = 24 * 3600 * units.NS_PER_S
_MOST_SHOWN = 20


def add(groups: Any, command: Callable[..., argparse.ArgumentParser],
        ) -> None:
    """Make the commands known.

    :param command: adds one to a group: (group, name, what runs, help).
    """
    group = groups.add_parser('factor', help='carbon intensities')
    commands = group.add_subparsers(metavar='<command>', required=True,
                                    dest='what')
    parser = command(
        commands, 'fetch', _fetch,
        'fetch carbon intensities of grid zones, fill the holes of the last '
        '[factors] max_age_days; ends with 1 when a provider failed or '
        'something was held back, which leaves what is recorded as it is')
    parser.add_argument(
        '--zone', action='append', metavar='ZONE',
        help='a grid zone such as DE; may be repeated (default: [factors] '
             'zones, else those of the sites)')
    parser.add_argument(
        '--provider', action='append', metavar='NAME',
        help='a provider; may be repeated, the first is asked first '
             '(default: [factors] providers)')
    for name, what in (('start', 'first moment (default: max_age_days ago)'),
                       ('end', 'end, itself excluded (default: now)')):
        parser.add_argument(
            f'--{name}', metavar='TIME',
            help=f'{what}: an ISO 8601 time with Z or an offset')
    parser = command(
        commands, 'import', _import,
        'record the factors of a CSV file, all or none; says which lines '
        'are wrong')
    parser.add_argument('file', metavar='FILE',
                        help='with a header; see the documentation')
    parser.add_argument(
        '--replace', action='store_true',
        help='supersede what is recorded of the same time and quality, '
             'where the file covers all of its time')
    parser.add_argument('--dry-run', action='store_true',
                        help='check all, record nothing')


# --- fetch ------------------------------------------------------------------

def _fetch(conf: cfg.ConfigOpts) -> int:
    now_ns = time.time_ns()
    given, options = conf.command, conf.factors
    end_ns = _time('end', given.end, now_ns)
    start_ns = _time('start', given.start,
                     end_ns - options.max_age_days * _DAY_NS)
    if not 0 <= start_ns < end_ns:
        raise errors.InvalidRequest('--end: give a time after --start')
    asked = [plugins.load(providers.NAMESPACE, name, '[factors] providers')(
        conf) for name in given.provider or options.providers]
    if not asked:
        raise errors.ConfigurationError(
            '[factors] providers is empty: name one, such as energy-charts')
    database = engine.Database.from_conf(conf)
    engine.check_schema(database)
    zones = given.zone or options.zones or database.read(
        factor_store.grid_zones)
    _check(zones)
    results = fetching.fetch(
        database, asked, zones, start_ns, end_ns, now_ns=now_ns,
        refresh_ns=options.refresh_hours * 3600 * units.NS_PER_S)
    for result in results:
        for line in _lines(result):
            print(line)
    return int(any(one.failure or one.held_back for one in results))


def _check(zones: Any) -> None:
    if not zones:
        raise errors.InvalidRequest(
            '--zone: no site has a grid zone: give the sites one '
            '(openstack energy site set --grid-zone DE), or set [factors] '
            'zones')
    for zone in zones:
        if not factors.is_zone(zone):
            raise errors.InvalidRequest(
                f'--zone: {zone[:64]!r} cannot be a grid zone: give one '
                'such as DE or DK-DK1, in capitals')


def _lines(result: fetching.Result) -> Iterator[str]:
    yield (f'{result.zone} {result.provider}: {result.stored} stored '
           f'({result.revised} corrected), {result.unchanged} unchanged, '
           f'{result.of_no_use} not needed, {len(result.held_back)} held '
           'back')
    for one, reason in result.held_back[:_MOST_SHOWN]:
        yield (f'{result.zone} {result.provider}: held back at '
               f'{units.iso(units.moment(one.start_ns))}: {reason}; if it '
               'is true, record it with energy-accounting-manage factor '
               'import')
    more = len(result.held_back) - _MOST_SHOWN
    if more > 0:
        yield f'{result.zone} {result.provider}: and {more} more'
    if result.failure is not None:
        yield (f'{result.zone} {result.provider}: FAILED: {result.failure}; '
               'what is recorded stays, holes are filled the next time')


def _time(name: str, text: str | None, default_ns: int) -> int:
    if text is None:
        return default_ns
    try:
        return units.wall_ns(datetime.datetime.fromisoformat(text))
    except ValueError as error:
        raise errors.InvalidRequest(
            f'--{name}: {text[:64]!r} is not an ISO 8601 time with Z or an '
            'offset; give one such as 2026-11-01T00:00:00Z') from error


# --- import -----------------------------------------------------------------

def _import(conf: cfg.ConfigOpts) -> None:
    given, now_ns = conf.command, time.time_ns()
    lines = factor_csv.read(files.text_of(given.file), given.file, IMPORTED,
                            now_ns)
    database = engine.Database.from_conf(conf)
    engine.check_schema(database)
    try:
        recorded = database.write(_record, given, lines, now_ns)
    except _Enough as tried:
        recorded = tried.recorded
        print('nothing was recorded: this was a dry run')
    print(f'{recorded.stored} stored, {recorded.superseded} superseded, '
          f'{recorded.unchanged} unchanged')


def _record(connection: Any, given: argparse.Namespace,
            lines: list[factor_csv.Line], now_ns: int,
            ) -> factor_store.Recorded:
    recorded = factor_store.record(
        connection, [line.factor for line in lines], now_ns,
        audit.Actor('factor import'), replace=given.replace,
        name=lambda row: f'{given.file} line {lines[row].number}')
    if given.dry_run:
        raise _Enough(recorded)
    return recorded


class _Enough(Exception):
    """Undoes what a dry run wrote."""

    def __init__(self, recorded: factor_store.Recorded) -> None:
        super().__init__()
        self.recorded = recorded
