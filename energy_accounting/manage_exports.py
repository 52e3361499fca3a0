# SPDX-License-Identifier: Apache-2.0
"""``energy-accounting-manage export``: files and billing systems.

For a timer behind ``close``.  Reads the command line, calls and prints.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterable
from typing import Any

from oslo_config import cfg
from oslo_log import log

from energy_accounting import errors
from energy_accounting.exports import deciding, sending
from energy_accounting.ledger import audit, engine
from energy_accounting.ledger import exports as outbox
from energy_accounting.statements import periods

LOG = log.getLogger(__name__)
ACTOR = audit.Actor('energy-accounting-manage')
_NOBODY = 'none'

WAITING_STATUS = 1
"""Of what is not sent, and will be the next time."""


def add(groups: Any, command: Callable[..., argparse.ArgumentParser],
        ) -> None:
    """Make the commands known.

    :param command: adds one to a group: (group, name, what runs, help).
    """
    group = groups.add_parser(
        'export', help='what leaves for billing systems and registers')
    commands = group.add_subparsers(metavar='<command>', required=True,
                                    dest='what')
    parser = command(
        commands, 'create', _create,
        'export closed statements; the same again sends nothing, and '
        'continues what was interrupted')
    parser.add_argument('--target', required=True, metavar='NAME',
                        help='what to export as: carbon, csv, focus, jsonl, '
                             'register, …')
    parser.add_argument(
        '--option', action='append', default=[], metavar='NAME=VALUE',
        dest='options', help='an option of the target, such as version=1.3; '
                             'may be repeated')
    period = parser.add_mutually_exclusive_group(required=True)
    period.add_argument('--month', metavar='YYYY-MM', dest='period',
                        type=periods.month,
                        help='a closed month, or last-month')
    period.add_argument('--year', metavar='YYYY', dest='period',
                        type=periods.year, help='a closed year, or last-year')
    parser.add_argument(
        '--timezone', default='UTC', metavar='ZONE',
        help='time zone that it was closed in (default: UTC)')
    whom = parser.add_mutually_exclusive_group(required=True)
    whom.add_argument(
        '--project', action='append', metavar='ID', dest='projects',
        help='id of a project, which gets an export of its own; may be '
             f'repeated; {_NOBODY}: what belongs to no project')
    whom.add_argument('--all', action='store_true', dest='everybody',
                      help='all statements of the period in one export')
    _sending_arguments(parser)
    parser = command(commands, 'list', _list, 'show what was exported')
    parser.add_argument('--state', choices=outbox.STATES)
    parser.add_argument('--target', metavar='NAME')
    parser = command(
        commands, 'send', _send_open,
        'send what was planned by the API, and continue what was '
        'interrupted; for a timer')
    parser.add_argument('--failed', action='store_true',
                        help='try those again, too, that were given up')
    _sending_arguments(parser, directory=False)
    for name, run, text in (
            ('cancel', _cancel, 'give exports up that are not confirmed; '
                                'what they put somewhere stays there'),
            ('retry', _retry, 'let exports that failed, or were cancelled, '
                              'be sent again')):
        parser = command(commands, name, run, text)
        parser.add_argument('wanted', nargs='+', metavar='EXPORT',
                            help='id of an export')


def _sending_arguments(parser: argparse.ArgumentParser, *,
                       directory: bool = True) -> None:
    if directory:
        parser.add_argument(
            '--directory', metavar='PATH',
            help='where files are put (default: [exports] directory)')
    parser.add_argument(
        '--no-progress', action='store_false', dest='progress',
        help='show no progress bar (there is none where standard error is '
             'no terminal)')


def _sender(conf: cfg.ConfigOpts, directory: str | None,
            ) -> sending.Sender:
    database = engine.Database.from_conf(conf)
    engine.check_schema(database)
    return sending.from_conf(conf, database, ACTOR, time.time_ns, directory)


def _create(conf: cfg.ConfigOpts) -> int:
    given = conf.command
    period = periods.period(periods.named(
        given.period, given.timezone, time.time_ns()), given.timezone)
    options = _options(given.options)
    sender = _sender(conf, given.directory)
    wanted = [None] if given.everybody else [
        '' if one == _NOBODY else one for one in given.projects]
    planned = [
        sending.plan(sender, given.target, sending.source_of(
            sender, given.target, period, project_id), options)
        for project_id in wanted]
    waiting = 0
    for one in planned:
        try:
            _send(sender, [one], progress=given.progress)
        except errors.Unavailable as error:
            print(f'{one.export}: {error}', file=sys.stderr)
            waiting = WAITING_STATUS
    return waiting


def _cancel(conf: cfg.ConfigOpts) -> None:
    database = engine.Database.from_conf(conf)
    engine.check_schema(database)
    for export in conf.command.wanted:
        print(_line(deciding.cancel(database, export, ACTOR, time.time_ns()),
                    outbox.CANCELLED))


def _retry(conf: cfg.ConfigOpts) -> None:
    database = engine.Database.from_conf(conf)
    engine.check_schema(database)
    for export in conf.command.wanted:
        one = deciding.retry(database, export, ACTOR, time.time_ns())
        print(_line(one, one.state))


def _options(given: Iterable[str]) -> dict[str, str]:
    found = {}
    for text in given:
        name, equals, value = text.partition('=')
        if not equals or name in found:
            raise errors.InvalidRequest(
                f'--option {text[:64]!r}: give NAME=VALUE, each name once')
        found[name] = value
    return found


def _send_open(conf: cfg.ConfigOpts) -> int:
    sender = _sender(conf, None)
    states = (outbox.OPEN if conf.command.failed
              else (outbox.PLANNED, outbox.SENT))
    found = [one for state in states
             for one in sender.database.read_current(outbox.read,
                                                     state=state)]
    failed = 0
    for one in found:
        try:
            _send(sender, [one], progress=conf.command.progress,
                  how=sending.send)
        except sending.Held:
            # The next call finds what it has left, if it was killed.
            print(_line(one, 'held by another process'))
        except errors.EnergyAccountingError as error:
            print(f'{one.export}: {error}', file=sys.stderr)
            failed = 1
        except Exception as error:
            # Those behind it are to be sent all the same.
            LOG.exception('export %s', one.export)
            print(f'{one.export}: {error!r}; the log has more',
                  file=sys.stderr)
            failed = 1
    return failed


def _send(sender: sending.Sender, planned: Iterable[outbox.Export], *,
          progress: bool, how: Callable[..., outbox.Export] = sending.resume,
          ) -> None:
    for one in planned:
        bar = _bar(one, progress)
        before = one.state
        try:
            sent = how(
                sender, one, bar.update if bar is not None
                else lambda rows: None)
        finally:
            if bar is not None:
                bar.close()
        print(_line(sent, 'unchanged' if before == outbox.CONFIRMED
                    else sent.state))
        for each in sent.artifacts:
            print(f'  {sent.destination}/{each["name"]}: {each["rows"]} '
                  f'rows, {each["bytes"]} bytes, sha256 {each["sha256"]}')


def _bar(one: outbox.Export, wanted: bool) -> Any:
    if not wanted or not sys.stderr.isatty():
        return None
    try:
        import tqdm
    except ImportError:
        # Of the extra "exports"; files can be written without.
        return None
    return tqdm.tqdm(total=one.total, unit='row', desc=one.target,
                     leave=False)


def _line(one: outbox.Export, what: str) -> str:
    whom = ('all projects' if one.project_id is None
            else one.project_id or _NOBODY)
    options = ' '.join(f'{name}={value}' for name, value
                       in sorted(one.options.items()))
    return (f'{one.export} {one.target} {options + " " if options else ""}'
            f'{one.period} {one.time_zone} {whom}: {what}')


def _list(conf: cfg.ConfigOpts) -> None:
    database = engine.Database.from_conf(conf)
    engine.check_schema(database)
    for one in database.read(outbox.read, state=conf.command.state,
                             target=conf.command.target):
        print(_line(one, one.state) + (
            f' ({one.done} of {one.total})' if one.state == outbox.PLANNED
            else '') + (f': {one.error}' if one.error else ''))
