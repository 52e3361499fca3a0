# SPDX-License-Identifier: Apache-2.0
"""``energy-accounting-manage platform``: divide what node meters saw.

For a timer (cron, systemd, a Kubernetes CronJob) and for an operator.
Reads the command line, calls and prints.
"""

from __future__ import annotations

import argparse
import datetime
import time
from collections.abc import Callable
from typing import Any

from oslo_config import cfg

from energy_accounting import errors, units
from energy_accounting.facility import apportioning
from energy_accounting.ledger import engine


def add(groups: Any, command: Callable[..., argparse.ArgumentParser],
        ) -> None:
    """Make the command known.

    :param command: adds one to a group: (group, name, what runs, help).
    """
    group = groups.add_parser('platform', help='energy of node meters')
    commands = group.add_subparsers(metavar='<command>', required=True,
                                    dest='what')
    parser = command(
        commands, 'apportion', _apportion,
        'divide what node meters saw beyond packages and memory over the '
        'accounts, as far as readings or windows came since the last time; '
        'ends with 1 when a host was left as it is, or has quarters whose '
        'rows by account were dropped')
    parser.add_argument(
        '--since', metavar='TIME',
        help='look at everything from then on, changed or not: an ISO 8601 '
             'time with Z or an offset')
    # Not 'host': that is an option of the configuration.
    parser.add_argument('--host', metavar='NAME', dest='only',
                        help='this host only')


def _apportion(conf: cfg.ConfigOpts) -> int:
    now_ns, given = time.time_ns(), conf.command
    since_ns = _since(given.since, now_ns)
    database = engine.Database.from_conf(conf)
    engine.check_schema(database)
    failed = False
    for one in apportioning.apportion(database, now_ns, since_ns=since_ns,
                                      host=given.only):
        for line in _lines(one):
            print(line)
        failed |= one.problem is not None or one.refused > 0
    return int(failed)


def _lines(one: apportioning.Outcome) -> list[str]:
    if one.problem is not None:
        return [f'{one.host}: left as it is: {one.problem}']
    found = [f'{one.host}: {one.changed} quarters of an hour changed']
    if one.refused:
        found.append(
            f'{one.host}: {one.refused} quarters of an hour stay as they '
            'are: readings or windows came for them after their rows by '
            'account were dropped ([collector] retention_instance_days)')
    return found


def _since(text: str | None, now_ns: int) -> int | None:
    if text is None:
        return None
    try:
        since_ns = units.wall_ns(datetime.datetime.fromisoformat(text))
    except ValueError as error:
        raise errors.InvalidRequest(
            f'--since: {text[:64]!r} is not an ISO 8601 time with Z or an '
            'offset; give one such as 2026-11-01T00:00:00Z') from error
    if not 0 <= since_ns < now_ns:
        raise errors.InvalidRequest(
            f'--since: {text[:64]!r} is before 1970 or in the future; give '
            'a time that has passed')
    return since_ns
