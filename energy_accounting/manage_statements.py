# SPDX-License-Identifier: Apache-2.0
"""``energy-accounting-manage close`` and ``verify``: months and years.

For a timer (cron, systemd, a Kubernetes CronJob) and for an auditor.  Reads
the command line, calls and prints.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TextIO

from oslo_config import cfg

from energy_accounting import errors, units
from energy_accounting.ledger import audit, engine
from energy_accounting.ledger import statements as store
from energy_accounting.statements import (
    closing,
    periods,
    supplied,
    verifying,
)

ACTOR = audit.Actor('energy-accounting-manage')
_NOBODY = 'none'
"""What belongs to no project, on the command line and in what is printed."""

_HEADS = 100
"""Statements without their lines that are in memory at once."""

PROVISIONAL_STATUS = 1
FAILED_STATUS = 2
VERIFIED_STATUS = {verifying.EQUAL: 0, verifying.DIFFERS: 1,
                   verifying.DAMAGED: 1, verifying.RETIRED: 2}


def add(groups: Any, command: Callable[..., argparse.ArgumentParser],
        ) -> None:
    """Make the commands known.

    :param command: adds one to a group: (group, name, what runs, help).
    """
    parser = command(
        groups, 'close', _close,
        'close a month or a year of projects; safe to repeat and to run '
        'twice at once; ends with 1 when a statement is provisional, or '
        'waits for hosts that have not reported')
    period = parser.add_mutually_exclusive_group(required=True)
    period.add_argument('--month', metavar='YYYY-MM', dest='period',
                        type=periods.month,
                        help='the month to close, or last-month')
    period.add_argument('--year', metavar='YYYY', dest='period',
                        type=periods.year,
                        help='the year to close, or last-year')
    parser.add_argument(
        '--timezone', default='UTC', metavar='ZONE',
        help='IANA time zone that its days and edges are of, such as '
             'Europe/Berlin (default: UTC)')
    parser.add_argument(
        '--another-timezone', action='store_true', dest='another_zone',
        help='also where the period is closed in another time zone: both '
             'statements stay')
    whom = parser.add_mutually_exclusive_group(required=True)
    whom.add_argument(
        '--project', action='append', metavar='ID', dest='projects',
        help=f'id of a project; may be repeated; {_NOBODY}: what belongs to '
             'no project')
    whom.add_argument(
        '--all', action='store_true', dest='everybody',
        help='every project that has something in the period, and what '
             'belongs to none')
    _progress_argument(parser)
    parser = command(
        groups, 'verify', _verify,
        'compute statements anew from the ledger and compare; ends with 0 '
        'when they are equal, 1 when one differs or is damaged, 2 when the '
        'rows that one takes were dropped')
    parser.add_argument('statements', nargs='*', metavar='STATEMENT',
                        help='id of a statement (default: all there are)')
    parser.add_argument(
        '--revision', type=int, metavar='N',
        help='this revision of the statement (default: the newest)')
    _progress_argument(parser)


def _progress_argument(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        '--no-progress', action='store_false', dest='progress',
        help='show no progress bar (there is none where standard error is '
             'no terminal)')


# --- close ------------------------------------------------------------------

def _close(conf: cfg.ConfigOpts) -> int:
    given, now_ns = conf.command, time.time_ns()
    period = periods.period(
        periods.named(given.period, given.timezone, now_ns), given.timezone)
    database = engine.Database.from_conf(conf)
    engine.check_schema(database)
    wanted = (closing.everybody(database, period, now_ns)
              if given.everybody else
              ['' if one == _NOBODY else one for one in given.projects])
    found = supplied.Supplied(period, now_ns)
    waiting = failed = False
    with _Bar(given.progress, 'closing',
              len(wanted) * len(period.days())) as bar:
        for project_id, one in closing.each(
                database, wanted, period, found, now_ns, ACTOR, bar.advance,
                another_zone=given.another_zone):
            bar.of(project_id or _NOBODY)
            if isinstance(one, errors.EnergyAccountingError):
                if len(wanted) == 1:
                    raise one
                failed = True
                bar.say(f'{project_id or _NOBODY}: not closed: {one}',
                        sys.stderr)
                continue
            bar.say(_closed_line(one))
            waiting |= (one.outcome == closing.WAITING
                        or one.stored.state == store.PROVISIONAL)
    if failed:
        return FAILED_STATUS
    return PROVISIONAL_STATUS if waiting else 0


def _closed_line(one: closing.Closed) -> str:
    stored = one.stored
    totals = stored.head['totals']
    cost = (f', {totals["cost"]} {totals["currency"]}'
            if totals.get('cost') is not None else '')
    return (f'{stored.project_id or _NOBODY}: {stored.statement} '
            f'revision {stored.revision} ({stored.state}) {one.outcome}, '
            f'{totals["instances"]} instances, '
            f'{units.kwh_text(int(totals["it_uj"]))} kWh{cost}, '
            f'sha256 {stored.digest}')


# --- verify -----------------------------------------------------------------

def _verify(conf: cfg.ConfigOpts) -> int:
    given = conf.command
    if given.revision is not None and len(given.statements) != 1:
        raise errors.InvalidRequest(
            '--revision: name the one statement that it is of')
    database = engine.Database.from_conf(conf)
    engine.check_schema(database)
    wanted: Iterable[store.Stored]
    if given.statements:
        wanted = [verifying.chosen(database, one, given.revision)
                  for one in given.statements]
        days = sum(len(_period(one).days()) for one in wanted)
    else:
        wanted = _every(database)
        days = sum(
            len(periods.period(name, time_zone).days()) * number
            for name, time_zone, number in database.read_current(store.spans))
    worst = 0
    with _Bar(given.progress, 'verifying', days) as bar:
        for one in wanted:
            bar.of(one.statement)
            found = verifying.verify(database, one, progress=bar.advance)
            for line in _verified_lines(one, found):
                bar.say(line)
            worst = max(worst, VERIFIED_STATUS[found.result])
    return worst


def _every(database: engine.Database) -> Iterator[store.Stored]:
    """The newest revision of each: a head has all factors of a month."""
    after: int | None = None
    while some := database.read_current(store.read, after=after,
                                        limit=_HEADS):
        yield from some
        after = some[-1].id


def _period(one: store.Stored) -> periods.Period:
    return periods.period(one.period, one.time_zone)


def _verified_lines(one: store.Stored, found: verifying.Verified,
                    ) -> Iterator[str]:
    yield (f'{one.statement} revision {one.revision} '
           f'({one.project_id or _NOBODY}, {one.period} '
           f'{one.time_zone}): {found.result}{_why(found)}')
    for each in found.lines:
        was, became = (None if line is None else units.kwh_text(line.it_uj)
                       for line in (each.was, each.became))
        yield (f'  {" ".join(filter(None, each.key))}: '
               f'{was or "no line"} kWh in the statement, '
               f'{became or "no line"} kWh in the ledger')
    if found.differing > len(found.lines):
        yield f'  and {found.differing - len(found.lines)} lines more'


def _why(found: verifying.Verified) -> str:
    match found.result:
        case verifying.RETIRED:
            return (': the rows by instance that it takes were dropped '
                    '([collector] retention_instance_days); what is kept '
                    'has its digest')
        case verifying.DAMAGED:
            return (': what is kept is not what its digest is of; restore '
                    'the tables statements and statement_blocks from a '
                    'backup')
        case verifying.DIFFERS:
            parts = ', '.join(found.parts) or 'nothing'
            return (f': {found.differing} lines, by {found.it_uj} uJ of IT '
                    f'energy; beside lines and totals: {parts}; close the '
                    'period again for a revision')
        case _:
            return ''


# --- progress ---------------------------------------------------------------

class _Bar:
    """A bar on standard error, where that is a terminal."""

    def __init__(self, wanted: bool, what: str, days: int) -> None:
        self._bar: Any = None
        if wanted and sys.stderr.isatty():
            try:
                import tqdm
            except ImportError:
                # Of the extra "exports"; closing does not need it.
                return
            self._bar = tqdm.tqdm(total=days, unit='day', desc=what,
                                  leave=False)

    def __enter__(self) -> _Bar:
        return self

    def __exit__(self, *error: object) -> None:
        if self._bar is not None:
            self._bar.close()

    def of(self, name: str) -> None:
        if self._bar is not None:
            self._bar.set_postfix_str(name)

    def advance(self, days: int) -> None:
        if self._bar is not None:
            self._bar.update(days)

    def say(self, line: str, file: TextIO | None = None) -> None:
        if self._bar is None:
            print(line, file=file)
        else:
            self._bar.write(line, file=file)
