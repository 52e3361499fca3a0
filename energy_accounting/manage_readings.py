# SPDX-License-Identifier: Apache-2.0
"""``energy-accounting-manage reading``: fetch readings of meters.

For a timer (cron, systemd, a Kubernetes CronJob).  Reads the command line,
calls and prints.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from oslo_config import cfg

from energy_accounting import errors
from energy_accounting.facility import meters, sources
from energy_accounting.facility.sources import prometheus, redfish
from energy_accounting.ledger import audit, engine

ACTOR = audit.Actor('reading fetch')
SOURCES: dict[str, Callable[[cfg.ConfigOpts], sources.Source]] = {
    meters.PROMETHEUS: prometheus.from_conf,
    meters.REDFISH: redfish.from_conf}


def add(groups: Any, command: Callable[..., argparse.ArgumentParser],
        ) -> None:
    """Make the commands known.

    :param command: adds one to a group: (group, name, what runs, help).
    """
    group = groups.add_parser('reading', help='readings of meters')
    commands = group.add_subparsers(metavar='<command>', required=True,
                                    dest='what')
    parser = command(
        commands, 'fetch', _fetch,
        'read the meters that have a source, once; ends with 1 when one of '
        'them could not be read, which leaves the others alone')
    parser.add_argument(
        '--source', choices=sorted(SOURCES), action='append',
        help='only meters of this source; may be repeated')
    parser.add_argument(
        '--meter', action='append', metavar='NAME',
        help='only this meter; may be repeated')


def _fetch(conf: cfg.ConfigOpts) -> int:
    given = conf.command
    database = engine.Database.from_conf(conf)
    engine.check_schema(database)
    wanted = sources.asked(database, given.source or sorted(SOURCES),
                           given.meter)
    failed = 0
    for name, asked in wanted.items():
        for found in _found(conf, database, name, asked):
            print(_line(found), flush=True)
            failed += found.failure is not None
    read = sum(map(len, wanted.values()))
    print(f'{read} meters, {failed} failed')
    return int(failed > 0)


def _found(conf: cfg.ConfigOpts, database: engine.Database, name: str,
           asked: Sequence[sources.Asked]) -> Iterator[sources.Found]:
    """What a source finds; what is not set up leaves the others alone."""
    try:
        source = SOURCES[name](conf)
    except errors.ConfigurationError as error:
        return iter([sources.Found(one, name, failure=str(error))
                     for one in asked])
    return sources.fetch(database, source, asked, _now)


def _now() -> audit.By:
    return audit.By(ACTOR, time.time_ns())


def _line(found: sources.Found) -> str:
    """One line that names the host, the meter and the reason."""
    meter = found.asked.meter
    whose = '' if meter.host is None else f' of host {meter.host}'
    said = (found.said if found.failure is None
            else f'FAILED: {found.failure}')
    return ' '.join(f'{meter.name}{whose}: {found.place}: {said}'.split())
