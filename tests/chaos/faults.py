# SPDX-License-Identifier: Apache-2.0
"""Everything that goes wrong.

A fault is a function that does its harm, waits and undoes it; it runs in a
thread of its own.  Who is hit and for how long follows from the plan's
number.  When they come is not decided here.
"""

from __future__ import annotations

import collections
import contextlib
import os
import random
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from tests import servers
from tests.chaos import databases, processes, proxy, rogue

# A host whose spool has taken nothing for so long is left in peace until it
# has: no gap may outgrow its counters' range.
MERCY_SECONDS = 90


class Field:
    """All that can be hit, and what has been."""

    def __init__(self, notifiers: Sequence[processes.Notifier],
                 collectors: Sequence[processes.Collector],
                 broker: servers.RabbitMQ, database: databases.Database,
                 bus_wire: proxy.Proxy, database_wire: proxy.Proxy,
                 stranger: rogue.Rogue) -> None:
        self.notifiers = notifiers
        self.collectors = collectors
        self.broker = broker
        self.database = database
        self.wires = {'bus': bus_wire, 'database': database_wire}
        self.rogue = stranger
        self.kills: collections.Counter[str] = collections.Counter()
        self.faults: collections.Counter[str] = collections.Counter()
        self.deadlocks: collections.Counter[str] = collections.Counter()
        self.healing = threading.Event()

    def pause(self, seconds: float) -> None:
        """Wait, but not when all is to be healed."""
        self.healing.wait(seconds)


class Fault(NamedTuple):
    """A kind of fault.

    :ivar victims: what it may hit; one fault at a time hits each.
    """

    name: str
    victims: Callable[[Field], Sequence[Any]]
    do: Callable[[Field, Any, random.Random], None]

    def victim(self, field: Field, number: int) -> Any:
        """Whom the plan's number means, or None if nobody can be hit."""
        found = self.victims(field)
        return found[number % len(found)] if found else None


FAULTS: dict[str, Fault] = {}


def _fault(victims: Callable[[Field], Sequence[Any]]) -> Callable[..., Any]:
    def register(do: Callable[[Field, Any, random.Random], None],
                 ) -> Callable[..., Any]:
        FAULTS[do.__name__] = Fault(do.__name__, victims, do)
        return do
    return register


def _notifiers(field: Field) -> Sequence[processes.Notifier]:
    return field.notifiers


def _disks(field: Field) -> Sequence[processes.Notifier]:
    return [one for one in field.notifiers if one.disk.real]


def _collectors(field: Field) -> Sequence[processes.Collector]:
    return field.collectors


def _broker(field: Field) -> Sequence[servers.Server]:
    return [field.broker]


def _database(field: Field) -> Sequence[databases.Database]:
    return [field.database]


def _wires(field: Field) -> Sequence[proxy.Proxy]:
    return [field.wires['bus'], field.wires['database']]


def _rogue(field: Field) -> Sequence[rogue.Rogue]:
    return [field.rogue]


# --- kills ------------------------------------------------------------------

@_fault(_notifiers)
def kill_notifier(field: Field, notifier: processes.Notifier,
                  chance: random.Random) -> None:
    field.kills['notifier'] += notifier.kill()


@_fault(_collectors)
def kill_collector(field: Field, collector: processes.Collector,
                   chance: random.Random) -> None:
    """The master; its workers are left to notice."""
    field.kills['collector'] += collector.kill()


@_fault(_collectors)
def kill_worker(field: Field, collector: processes.Collector,
                chance: random.Random) -> None:
    workers = collector.children()
    if workers:
        field.kills['worker'] += collector.kill_pid(chance.choice(workers))


@_fault(_broker)
def kill_broker(field: Field, broker: servers.Server,
                chance: random.Random) -> None:
    broker.kill()
    field.kills['broker'] += 1
    field.pause(chance.uniform(0, 2))
    _start(broker)


@_fault(_database)
def kill_database(field: Field, database: databases.Database,
                  chance: random.Random) -> None:
    database.server.kill()
    field.kills['database'] += 1
    field.pause(chance.uniform(0, 3))
    _start(database.server)


def _start(server: servers.Server) -> None:
    # On a busy machine it may take longer than a test would wait.
    for _ in range(3):
        with contextlib.suppress(servers.ServerError):
            server.start()
            return
    server.start()


# --- stops ------------------------------------------------------------------

@_fault(_broker)
def restart_broker(field: Field, broker: servers.Server,
                   chance: random.Random) -> None:
    _stop_cleanly(broker)
    _start(broker)


@_fault(_database)
def restart_database(field: Field, database: databases.Database,
                     chance: random.Random) -> None:
    _stop_cleanly(database.server)
    field.pause(chance.uniform(0, 5))
    _start(database.server)


def _stop_cleanly(server: servers.Server) -> None:
    main = server.processes[-1]
    main.send_signal(signal.SIGINT if server.name == 'postgresql'
                     else signal.SIGTERM)
    with contextlib.suppress(subprocess.TimeoutExpired):
        main.wait(20)
    server.kill()


@_fault(_notifiers)
def restart_notifier(field: Field, notifier: processes.Notifier,
                     chance: random.Random) -> None:
    notifier.stop(30)
    field.pause(chance.uniform(0, 2))
    notifier.start()


@_fault(_notifiers)
def freeze_notifier(field: Field, notifier: processes.Notifier,
                    chance: random.Random) -> None:
    _freeze(field, [notifier.pid], chance)


@_fault(_collectors)
def freeze_worker(field: Field, collector: processes.Collector,
                  chance: random.Random) -> None:
    workers = collector.children()
    if workers:
        _freeze(field, [chance.choice(workers)], chance)


@_fault(_collectors)
def freeze_collector(field: Field, collector: processes.Collector,
                     chance: random.Random) -> None:
    _freeze(field, [collector.pid, *collector.children()], chance)


@_fault(_broker)
def freeze_broker(field: Field, broker: servers.Server,
                  chance: random.Random) -> None:
    _freeze(field, _tree(broker), chance)


@_fault(_database)
def freeze_database(field: Field, database: databases.Database,
                    chance: random.Random) -> None:
    _freeze(field, _tree(database.server), chance)


def _freeze(field: Field, pids: Sequence[int | None],
            chance: random.Random) -> None:
    _signal(pids, signal.SIGSTOP)
    try:
        field.pause(chance.uniform(1, 8))
    finally:
        _signal(reversed(pids), signal.SIGCONT)


def _signal(pids: Any, number: signal.Signals) -> None:
    for pid in pids:
        if pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)


def _tree(server: servers.Server) -> list[int]:
    """All processes of a server, parents first."""
    found = [process.pid for process in server.processes]
    for pid in found:
        found.extend(processes.children(pid))
    return found


# --- wires ------------------------------------------------------------------

@_fault(_wires)
def cut_connection(field: Field, wire: proxy.Proxy,
                   chance: random.Random) -> None:
    wire.cut(chance, everything=False)


@_fault(_wires)
def cut_connections(field: Field, wire: proxy.Proxy,
                    chance: random.Random) -> None:
    wire.cut(chance, everything=True)


@_fault(_wires)
def clog_wire(field: Field, wire: proxy.Proxy,
              chance: random.Random) -> None:
    with _lifted(wire):
        wire.clog()
        field.pause(chance.uniform(2, 10))


@_fault(_wires)
def slow_wire(field: Field, wire: proxy.Proxy,
              chance: random.Random) -> None:
    with _lifted(wire):
        wire.slow(chance.uniform(0.02, 0.3))
        field.pause(chance.uniform(4, 10))


@_fault(_wires)
def lose_answers(field: Field, wire: proxy.Proxy,
                 chance: random.Random) -> None:
    """What was done is done, and nobody hears of it."""
    with _lifted(wire):
        wire.swallow()
        field.pause(chance.uniform(1, 6))


@_fault(_wires)
def refuse_connections(field: Field, wire: proxy.Proxy,
                       chance: random.Random) -> None:
    with _lifted(wire):
        wire.refuse()
        field.pause(chance.uniform(1, 8))


@contextlib.contextmanager
def _lifted(wire: proxy.Proxy) -> Iterator[None]:
    try:
        yield
    finally:
        wire.lift()


# --- disks ------------------------------------------------------------------

@_fault(_disks)
def fill_disk(field: Field, notifier: processes.Notifier,
              chance: random.Random) -> None:
    notifier.disk.fill()
    try:
        field.pause(chance.uniform(4, 15))
    finally:
        notifier.disk.free()


@_fault(_disks)
def read_only_disk(field: Field, notifier: processes.Notifier,
                   chance: random.Random) -> None:
    """Under a notifier that goes on, or that has to start on it."""
    disk = notifier.disk
    if chance.random() < 0.5:
        field.kills['notifier'] += notifier.kill()
    # A file that is open for writing is closed once a write has failed.
    tries = 15 * 5
    while not disk.read_only():
        disk.fill()
        tries -= 1
        if not tries or field.healing.is_set():
            break
        field.pause(0.2)
    disk.free()
    field.pause(chance.uniform(2, 10))
    disk.writable()


# --- the database's own troubles --------------------------------------------

@_fault(_database)
def kill_database_connections(field: Field, database: databases.Database,
                              chance: random.Random) -> None:
    database.kill_connections()


@_fault(_database)
def deadlock(field: Field, database: databases.Database,
             chance: random.Random) -> None:
    field.deadlocks[database.deadlock()] += 1


@_fault(_database)
def read_only_database(field: Field, database: databases.Database,
                       chance: random.Random) -> None:
    database.read_only(True)
    try:
        # As after a failover, some sessions go on and some are new.
        if chance.random() < 0.5:
            database.kill_connections()
        field.pause(chance.uniform(1, 8))
    finally:
        database.read_only(False)


# --- a stranger on the bus --------------------------------------------------

@_fault(_rogue)
def replay(field: Field, stranger: rogue.Rogue,
           chance: random.Random) -> None:
    stranger.replay(chance.choice(field.notifiers), chance)


@_fault(_rogue)
def reorder(field: Field, stranger: rogue.Rogue,
            chance: random.Random) -> None:
    stranger.reorder(chance.choice(field.notifiers), chance)


@_fault(_rogue)
def forge(field: Field, stranger: rogue.Rogue,
          chance: random.Random) -> None:
    stranger.forge(chance.choice(field.notifiers), chance)


# --- the decks --------------------------------------------------------------

KILLS = ('kill_notifier',) * 6 + ('kill_worker',) * 4 + (
    'kill_database',) * 2 + ('kill_collector', 'kill_broker')
OTHERS = tuple(name for name in FAULTS if not name.startswith('kill_')
               or name == 'kill_database_connections')
