# SPDX-License-Identifier: Apache-2.0
"""``energy-accounting-manage``: what an operator does to the database.

Reads the command line, calls and prints; what is done stands in ``ledger``
and ``reconcile``.
"""

from __future__ import annotations

import argparse
import dataclasses
import datetime
import importlib.metadata
import json
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

from oslo_config import cfg

from energy_accounting import conf as configuration
from energy_accounting import (
    errors,
    manage_exports,
    manage_factors,
    manage_platform,
    manage_readings,
    manage_statements,
    owners,
    reconcile,
    units,
)
from energy_accounting.ledger import engine, hosts, purge, reserved, retired


def main(argv: Sequence[str] | None = None, *, logged: bool = False) -> int:
    """Do what the command line says; the exit status of the process.

    :param logged: whether the process's log is to be set up.
    :raises errors.EnergyAccountingError: says why it was not done.
    """
    # Not oslo.config's global object: no message bus is needed here, and
    # a sub-command would stay on it.
    conf = cfg.ConfigOpts()
    configuration.register(conf)
    conf.register_cli_opt(cfg.SubCommandOpt(
        'command', title='commands', handler=_add_commands))
    if logged:
        from oslo_log import log
        log.register_options(conf)
        # What reads the schema's revision says so each time, and who is not
        # asked for owners.
        log.set_defaults(default_log_levels=[
            *log.get_default_log_levels(), 'alembic=WARN',
            'energy_accounting.owners=WARN'])
    conf(sys.argv[1:] if argv is None else list(argv),
         project=configuration.NAME,
         version=importlib.metadata.version(configuration.NAME))
    if logged:
        log.setup(conf, configuration.NAME)
    status: int | None = conf.command.run(conf)
    return status or 0


def _add_commands(groups: Any) -> None:
    group = groups.add_parser('db', help='the schema and its contents')
    commands = group.add_subparsers(metavar='<command>', required=True,
                                    dest='what')
    _add(commands, 'sync', _sync,
         'create the tables, or bring them to the newest revision')
    _add(commands, 'version', _version, 'show the revision of the tables')
    _add(commands, 'purge', _purge,
         'drop what is older than the [collector] retention options say')
    parser = _add(groups, 'reconcile', _reconcile,
                  'compare instance-hours with those Nova counts; ends with '
                  '0 when they agree, 1 when they do not, 2 when it cannot '
                  'be known')
    for name, what in (('start', 'first moment'),
                       ('end', 'end, itself excluded')):
        parser.add_argument(
            f'--{name}', required=True, metavar='TIME',
            help=f'{what} of what is compared: an ISO 8601 time with Z or '
                 'an offset, on a quarter of an hour, not in the future')
    parser.add_argument(
        '--tolerance', type=int, metavar='SECONDS',
        help='instance time by which both may differ (default: two windows '
             'at each of two edges, 240 s at 60 s windows)')
    parser.add_argument('--format', choices=('table', 'json'),
                        default='table')
    manage_factors.add(groups, _add)
    manage_readings.add(groups, _add)
    manage_platform.add(groups, _add)
    manage_statements.add(groups, _add)
    manage_exports.add(groups, _add)


def _add(commands: Any, name: str,
         run: Callable[[cfg.ConfigOpts], int | None], text: str,
         ) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(
        name, help=text, description=text)
    parser.set_defaults(run=run)
    return parser


def _sync(conf: cfg.ConfigOpts) -> None:
    engine.sync(engine.Database.from_conf(conf))


def _version(conf: cfg.ConfigOpts) -> None:
    print(engine.version(engine.Database.from_conf(conf)) or 'none')


def _purge(conf: cfg.ConfigOpts) -> None:
    database = engine.Database.from_conf(conf)
    engine.check_schema(database)
    options = conf.collector
    gone = purge.purge(database, purge.Retention(
        options.retention_instance_days, options.retention_project_days,
        options.retention_user_days), time.time_ns())
    for name, count in gone.items():
        print(f'{name}: {count}')


# --- reconcile --------------------------------------------------------------

def _reconcile(conf: cfg.ConfigOpts) -> int:
    now_ns = time.time_ns()
    given = conf.command
    start_ns, end_ns = (_quarter(name, getattr(given, name), now_ns)
                        for name in ('start', 'end'))
    if start_ns >= end_ns:
        raise errors.InvalidRequest('--end: give a time after --start')
    if given.tolerance is not None and given.tolerance < 0:
        raise errors.InvalidRequest('--tolerance: give seconds from 0')
    nova = owners.nova_from_conf(conf)
    if nova is None:
        raise errors.ConfigurationError(
            '[nova] auth_type is not set: give credentials of a user who '
            'may read the usage of all projects')
    database = engine.Database.from_conf(conf)
    engine.check_schema(database)
    period = reconcile.Period(start_ns, end_ns)
    found = _Ledger(database, period, now_ns)
    allowed_ns = (
        reconcile.tolerance_ns(database.read(hosts.longest_window_seconds))
        if given.tolerance is None else given.tolerance * units.NS_PER_S)
    result = reconcile.compare(
        nova.usage(units.moment(start_ns), units.moment(end_ns)),
        found.seen(), period, allowed_ns, reconcile.Answers(
            lambda instance, from_ns, until_ns: reconcile.off_ns(
                nova.actions(instance.instance_id), from_ns, until_ns,
                instance.state),
            found.unmeasured_ns, found.before))
    shown = as_json if given.format == 'json' else as_text
    print(shown(result, period, allowed_ns, found.complete_ns))
    return 0 if result.agreed else 1


class _Ledger:
    """What the comparison asks of the ledger."""

    def __init__(self, database: engine.Database, period: reconcile.Period,
                 now_ns: int) -> None:
        self._database = database
        self._start = units.bucket_of(period.start_ns)
        self._end = units.bucket_of(period.end_ns)
        self._now_ns = now_ns
        self.complete_ns = database.read(hosts.complete_until)

    def seen(self) -> list[reserved.Reserved]:
        kept = self._database.read(retired.kept_since)
        if self._start < kept:
            raise errors.InvalidRequest(
                '--start: rows by instance are kept from '
                f'{units.iso(units.bucket_start(kept))} on; give that or a '
                'later time')
        return self._database.read(reserved.read, self._start, self._end,
                                   self._now_ns)

    def unmeasured_ns(self, names: Sequence[str], start_ns: int,
                      end_ns: int) -> int:
        return self._database.read(reserved.unmeasured_ns, names, start_ns,
                                   end_ns)

    def before(self, instance_id: str, until_ns: int,
               ) -> list[reserved.Reserved]:
        return self._database.read(
            reserved.read, self._start, units.bucket_of(until_ns) + 1,
            self._now_ns, instance_id)


def _quarter(name: str, text: str, now_ns: int) -> int:
    """A moment of the command line, in nanoseconds since 1970."""
    try:
        moment_ns = units.wall_ns(datetime.datetime.fromisoformat(text))
    except ValueError as error:
        raise errors.InvalidRequest(
            f'--{name}: {text[:64]!r} is not an ISO 8601 time with Z or an '
            'offset; give one such as 2026-11-01T00:00:00Z') from error
    if moment_ns % units.BUCKET_NS or not 0 <= moment_ns <= now_ns:
        raise errors.InvalidRequest(
            f'--{name}: {text[:64]!r} is inside a quarter of an hour or in '
            'the future; give minute 00, 15, 30 or 45 of a time that has '
            'passed')
    return moment_ns


# --- reconcile, in words ----------------------------------------------------

COLUMNS = ('kind', 'instance_id', 'project_id', 'nova', 'seen', 'cause',
           'state', 'hosts')


def as_json(result: reconcile.Result, period: reconcile.Period,
            allowed_ns: int, complete_ns: int | None) -> str:
    """The whole of it for programs."""
    return json.dumps({
        **_facts(result, period, allowed_ns, complete_ns),
        'differences': [{**dataclasses.asdict(one),
                         'expected': one.expected}
                        for one in result.differences]}, indent=1)


def as_text(result: reconcile.Result, period: reconcile.Period,
            allowed_ns: int, complete_ns: int | None) -> str:
    """A table of what differs, and a line that sums it up."""
    lines = []
    if result.differences:
        rows = [COLUMNS, *(
            tuple(_cell(getattr(one, name)) for name in COLUMNS)
            for one in result.differences)]
        widths = [max(map(len, column))
                  for column in zip(*rows, strict=True)]
        lines += ['  '.join(
            text.ljust(width) for text, width
            in zip(row, widths, strict=True)).rstrip() for row in rows]
        lines.append('')
    facts = _facts(result, period, allowed_ns, complete_ns)
    if any(one.cause == reconcile.STOPPED for one in result.differences):
        lines.append('stopped: Nova counts a server that has no process; '
                     'it reserves nothing and is not seen')
    if any(one.cause == reconcile.RELAUNCHED for one in result.differences):
        lines.append('relaunched: Nova counts from the newest launch '
                     '(rebuild, resize, rescue, unshelve) only')
    if complete_ns is None or complete_ns < period.end_ns:
        lines.append(
            'not every host has reported to the end of this time: '
            f'complete until {facts["complete_until"] or "unknown"}')
    lines.append(
        f'{"agreed" if result.agreed else "differs"}: '
        f'{result.instances} instances, {facts["nova_hours"]} h in Nova, '
        f'{facts["seen_hours"]} h of them seen; '
        f'{facts["unexplained"]} differences, {facts["expected"]} more as '
        f'expected (tolerance {facts["tolerance_seconds"]} s)')
    return '\n'.join(lines)


def _facts(result: reconcile.Result, period: reconcile.Period, allowed_ns: int,
           complete_ns: int | None) -> dict[str, Any]:
    expected = sum(one.expected for one in result.differences)
    return {
        'start': units.iso(units.moment(period.start_ns)),
        'end': units.iso(units.moment(period.end_ns)),
        'complete_until': None if complete_ns is None
        else units.iso(units.moment(complete_ns)),
        'tolerance_seconds': allowed_ns // units.NS_PER_S,
        'agreed': result.agreed, 'instances': result.instances,
        'nova_hours': reconcile.hours(result.nova_ns),
        'seen_hours': reconcile.hours(result.seen_ns),
        'unexplained': len(result.differences) - expected,
        'expected': expected}


def _cell(value: Any) -> str:
    if isinstance(value, tuple):
        return ','.join(value) or '-'
    return '-' if value is None else str(value)
