# SPDX-License-Identifier: Apache-2.0
"""One run: everything is started, broken, healed and weighed."""

from __future__ import annotations

import argparse
import concurrent.futures
import contextlib
import logging
import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Container, Sequence

from tests import servers
from tests.chaos import (
    databases,
    faults,
    plan,
    processes,
    proxy,
    rogue,
    trees,
    verdict,
)

_POLL_SECONDS = 0.1
_START_SECONDS = 300
_CATCH_UP_SECONDS = 600


def main() -> int:
    """What ``tools/chaos`` does; 0 unless a joule is not where it belongs."""
    options = _options()
    if options.inside is None and os.geteuid() == 0:
        _move_inside()
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupted)
    with contextlib.ExitStack() as stack:
        where = stack.enter_context(servers.directory())
        stack.callback(_keep_logs, where, options.logs)
        # Servers name temporary files after their process numbers, which
        # are no longer their own in a name space.
        scratch = where / 'tmp'
        scratch.mkdir()
        scratch.chmod(0o1777)
        os.environ['TMPDIR'] = str(scratch)
        try:
            return Run(options, where, stack).go()
        except (servers.ServerError, TimeoutError) as error:
            _say(f'{error}; logs: {options.logs}')
            return 2
        except KeyboardInterrupt:
            return 130


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog='tools/chaos', description='Breaks everything at random and '
        'shows that every joule is booked once.')
    time_ = parser.add_mutually_exclusive_group(required=True)
    time_.add_argument('--minutes', type=float)
    time_.add_argument('--seconds', type=float)
    parser.add_argument('--database', choices=sorted(databases.DATABASES),
                        default='mariadb')
    parser.add_argument('--seed', type=int, default=None,
                        help='choice of faults (default: at random, printed)')
    parser.add_argument('--notifiers', type=int, default=4)
    parser.add_argument('--collectors', type=int, default=2)
    parser.add_argument('--workers', type=int, default=2,
                        help='of each collector (default 2)')
    parser.add_argument('--every', type=float, default=5,
                        help='mean seconds between faults (default 5)')
    parser.add_argument('--only', nargs='+', choices=sorted(faults.FAULTS),
                        metavar='FAULT', help='no other faults than these: '
                        + ', '.join(sorted(faults.FAULTS)))
    parser.add_argument('--logs', type=pathlib.Path, default=None,
                        help='directory for all logs (default: a new one)')
    parser.add_argument('--inside', type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.seed is None:
        options.seed = random.SystemRandom().randrange(1 << 31)
    if options.seconds is None:
        options.seconds = options.minutes * 60
    if options.logs is None:
        options.logs = pathlib.Path(tempfile.mkdtemp(prefix='ea-chaos-'))
    options.logs.mkdir(parents=True, exist_ok=True)
    return options


def _move_inside() -> None:
    """Go on in name spaces of our own.

    File systems that are mounted and processes that are left over go with
    us, however we end.
    """
    os.execvp('unshare', [
        'unshare', '--mount', '--pid', '--fork', '--mount-proc',
        '--kill-child', '--propagation', 'private', sys.executable,
        *sys.orig_argv[1:], '--inside', '1'])


def _interrupted(number: int, _frame: object) -> None:
    raise SystemExit(128 + number)


def _keep_logs(where: pathlib.Path, logs: pathlib.Path) -> None:
    """Those of the servers, also of one that did not start."""
    for path in where.glob('*.log'):
        shutil.copy(path, logs)


def _say(text: str) -> None:
    print(f'chaos: {text}', file=sys.stderr, flush=True)


class Run:
    """What a run has in hand.  Everything goes with the stack."""

    def __init__(self, options: argparse.Namespace, where: pathlib.Path,
                 stack: contextlib.ExitStack) -> None:
        self._options = options
        self._stack = stack
        logging.basicConfig(filename=options.logs / 'chaos.log',
                            format='%(asctime)s %(name)s %(message)s')
        self._chance = random.Random(options.seed)
        self._failures: list[str] = []
        self._begin = time.monotonic()
        disks = os.geteuid() == 0
        if not disks:
            _say('not root: no disk is filled and none made read-only')
        broker, database = self._start_servers(where)
        wires = (proxy.Proxy('wire to the broker', broker.port),
                 proxy.Proxy('wire to the database', database.port))
        transport_url = (f'rabbit://{servers.USER}:{servers.PASSWORD}@'
                         f'{servers.LOOPBACK}:{wires[0].port}/')
        database.create()
        collectors = [processes.Collector(
            f'collector-{number}', where / f'collector-{number}',
            options.logs, transport_url, database.url(wires[1].port),
            options.workers, self._new_chance())
            for number in range(1, options.collectors + 1)]
        notifiers = [processes.Notifier(
            f'host-{number}', where / f'host-{number}', options.logs,
            transport_url, self._new_chance(), disks)
            for number in range(1, options.notifiers + 1)]
        self._processes = [*collectors, *notifiers]
        self._field = faults.Field(
            notifiers, collectors, broker, database, *wires,
            rogue.Rogue(transport_url))
        self._mover = trees.Mover([one.tree for one in notifiers])

    def _new_chance(self) -> random.Random:
        return random.Random(self._chance.getrandbits(64))

    def _start_servers(self, where: pathlib.Path,
                       ) -> tuple[servers.RabbitMQ, databases.Database]:
        broker = servers.RabbitMQ(where)
        database = databases.DATABASES[self._options.database](where)
        for server in (broker, database.server):
            self._stack.callback(server.stop)
        with concurrent.futures.ThreadPoolExecutor() as pool:
            for done in [pool.submit(server.start)
                         for server in (broker, database.server)]:
                done.result()
        return broker, database

    def go(self) -> int:
        """All of it; the exit status."""
        options, field = self._options, self._field
        _say(f'{options.seconds:g} s on {options.database}, seed '
             f'{options.seed}; logs: {options.logs}')
        self._stack.callback(self._end)
        subprocess.run(
            [processes.command('energy-accounting-manage'), '--config-file',
             str(field.collectors[0].conf), 'db', 'sync'], check=True)
        for process in self._processes:
            process.start()
        self._await(lambda: all(one.has_baseline()
                                for one in field.notifiers),
                    _START_SECONDS, 'first readings')
        # Of all that moves, the notifiers have a first reading now.
        self._mover.start()
        self._mover.go()
        self._await(lambda: all(one.children() for one in field.collectors),
                    _START_SECONDS, "the collectors' workers")
        _say(f'all is well after {self._seconds()} s; the chaos begins')
        self._break()
        _say(f'healing after {self._seconds()} s')
        self._heal()
        self._insist()
        self._catch_up()
        with field.database.engine().connect() as connection:
            found = verdict.judge(connection, field.notifiers,
                                  field.rogue.forged)
        return self._report(found)

    def _seconds(self) -> int:
        return int(time.monotonic() - self._begin)

    # --- breaking -----------------------------------------------------------

    def _break(self) -> None:
        """Let go wrong what is planned, each fault in its own thread."""
        options, field = self._options, self._field
        coming = plan.plan(options.seed, options.seconds, options.every,
                           self._decks())
        log = (options.logs / 'faults.log').open('a', buffering=1)
        begin, busy = time.monotonic(), {}
        with log, concurrent.futures.ThreadPoolExecutor(32) as pool:
            while True:
                now = time.monotonic() - begin
                if now > options.seconds:
                    break
                self._tend()
                for victim in [one for one, done in busy.items()
                               if done.done()]:
                    self._note(busy.pop(victim))
                for planned in [one for one in coming if one.at <= now]:
                    fault = faults.FAULTS[planned.name]
                    victim = fault.victim(field, planned.number)
                    if victim is None or self._spared(victim, busy):
                        continue
                    coming.remove(planned)
                    field.faults[fault.name] += 1
                    log.write(f'{time.strftime("%H:%M:%S")} {now:7.1f} s '
                              f'{fault.name} {_name(victim)}\n')
                    busy[victim] = pool.submit(
                        fault.do, field, victim,
                        random.Random(planned.number))
                time.sleep(_POLL_SECONDS)
            field.healing.set()
            while not all(done.done() for done in busy.values()):
                self._tend()
                time.sleep(_POLL_SECONDS)
        for done in busy.values():
            self._note(done)

    def _decks(self) -> Sequence[Sequence[str]]:
        """What may happen: where there is somebody to hit."""
        def chosen(deck: Sequence[str]) -> list[str]:
            return [name for name in deck
                    if faults.FAULTS[name].victims(self._field)
                    and name in (self._options.only or deck)]
        return [deck for deck in map(chosen, (faults.KILLS, faults.OTHERS))
                if deck]

    def _spared(self, victim: object, busy: Container[object]) -> bool:
        """Whether a fault must wait: its victim is down, or had enough."""
        if victim in busy:
            return True
        if isinstance(victim, processes.Collector):
            return not victim.children()
        return isinstance(victim, processes.Notifier) and (
            victim.pid is None
            or victim.since_last_record() > faults.MERCY_SECONDS)

    def _note(self, done: concurrent.futures.Future[None]) -> None:
        error = done.exception()
        if error is not None:
            self._failures.append(
                f'a fault failed: {type(error).__name__}: {error}')

    def _tend(self) -> None:
        for process in self._processes:
            process.tend()
        if self._mover.failed is not None:
            raise RuntimeError('the counters stand still')

    # --- healing ------------------------------------------------------------

    def _heal(self) -> None:
        for wire in self._field.wires.values():
            wire.lift()
        for process in self._processes:
            process.start()
        self._mover.hold()
        # One more window of each, and the counters are read to their end.
        self._await(
            lambda: all(one.has_read_all() for one in self._field.notifiers),
            _CATCH_UP_SECONDS, 'the last windows')

    def _insist(self) -> None:
        """Have the stranger heard, who may have met nobody who listens."""
        rogue, notifier = self._field.rogue, self._field.notifiers[0]
        for say, answers, wanted in (
                (rogue.replay, rogue.answers, 'duplicate'),
                (rogue.forge, rogue.forged_answers, 'quarantined')):
            self._await(
                lambda say=say, answers=answers, wanted=wanted: (
                    answers[wanted] or say(notifier, self._chance)),
                _START_SECONDS, f'an answer {wanted}')

    def _catch_up(self) -> None:
        """Stop each notifier; again, if its last window was not taken."""
        begin = time.monotonic()
        late = list(self._field.notifiers)
        while late:
            with concurrent.futures.ThreadPoolExecutor() as pool:
                list(pool.map(lambda one: one.stop(30), late))
            late = [one for one in late if not one.is_taken()]
            if not late:
                break
            if time.monotonic() - begin > _CATCH_UP_SECONDS:
                self._failures.append('not taken to the end: ' + ', '.join(
                    one.name for one in late))
                break
            for one in late:
                one.start()
            self._await(lambda late=late: all(
                one.is_taken() for one in late), _CATCH_UP_SECONDS,
                'all that is spooled')
        _say(f'caught up after {self._seconds()} s')
        for collector in self._field.collectors:
            collector.stop(30)

    def _await(self, ready: Callable[[], bool], seconds: float,
               what: str) -> None:
        """Wait until something is so.

        :raises TimeoutError: when it is not in time.
        """
        deadline = time.monotonic() + seconds
        while not ready():
            if time.monotonic() > deadline:
                raise TimeoutError(f'{what} did not come in {seconds} s')
            self._tend()
            time.sleep(_POLL_SECONDS)

    def _end(self) -> None:
        with concurrent.futures.ThreadPoolExecutor() as pool:
            list(pool.map(lambda one: one.stop(1), self._processes))
        for notifier in self._field.notifiers:
            notifier.disk.remove()

    # --- the report ---------------------------------------------------------

    def _report(self, found: verdict.Verdict) -> int:
        field = self._field
        print(f'{"host":10}{"emitted uJ":>18}{"ledger uJ":>18}'
              f'{"difference uJ":>15}{"windows":>9}{"wraps":>7}'
              f'{"backfilled s":>14}')
        for host in found.hosts:
            print(f'{host.name:10}{host.emitted:18,}{host.ledger:18,}'
                  f'{host.ledger - host.emitted:15,}{host.windows:9}'
                  f'{host.wraps:7}{host.backfilled_ns // trees.NS:14}')
        print(f'{"all":10}{found.emitted:18,}{found.ledger:18,}'
              f'{found.ledger - found.emitted:15,}{found.windows:9}')
        print(f'kills: {field.kills.total()} ({_counts(field.kills)})')
        print(f'faults: {field.faults.total()} ({_counts(field.faults)})')
        print("transactions ended by a deadlock: a collector's "
              f'{field.deadlocks["theirs"]}, ours {field.deadlocks["ours"]}')
        print('ended by themselves: '
              + _counts({process.name: process.gave_up
                         for process in self._processes}))
        answers = field.rogue.answers
        print(f'duplicates refused: {answers["duplicate"]} of '
              f'{answers.total()} records sent again ({_counts(answers)}); '
              'calls of that kind without an answer: '
              f'{_counts(field.rogue.unheard)}')
        print(f'records quarantined: {sum(found.quarantined.values())} true, '
              f'{found.forged} forged (answers to forged ones: '
              f'{_counts(field.rogue.forged_answers)})')
        print(f'gaps stated: {len(found.gaps)}')
        complaints = self._failures + found.complaints()
        for text in complaints:
            print(f'WRONG: {text}')
        print(f'difference: {found.ledger - found.emitted} uJ; '
              f'seed {self._options.seed}, {self._options.database}, '
              f'{self._seconds()} s; logs: {self._options.logs}')
        return 1 if complaints else 0


def _counts(numbers: dict[str, int]) -> str:
    return ', '.join(f'{name} {count}' for name, count
                     in sorted(numbers.items()) if count) or 'none'


def _name(victim: object) -> str:
    return str(getattr(victim, 'name', type(victim).__name__.lower()))
