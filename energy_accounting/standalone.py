# SPDX-License-Identifier: Apache-2.0
"""Notifier, collector and API in one process, on this machine only.

For a laptop, a demonstration, one hypervisor: SQLite under ``state_path``,
the in-process transport, no authentication and therefore 127.0.0.1 only.
``--example`` plays a simulated cloud instead of reading meters.  Only the
parts of the service are put together here; nothing is computed.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import functools
import json
import logging
import os
import pathlib
import shutil
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import sqlalchemy as sa
import tqdm
import waitress.server
from oslo_config import cfg

from energy_accounting import (
    cmd,
    collector,
    errors,
    notifier,
    owners,
    rpc,
    samples,
    signing,
    spool,
    units,
)
from energy_accounting import conf as configuration
from energy_accounting import sender as senders
from energy_accounting.api import app
from energy_accounting.facility import dividing
from energy_accounting.facility.providers import files
from energy_accounting.ledger import engine, identities, models
from energy_accounting.simulator import (
    example,
    operator,
    play,
    site,
    verify,
    world,
)

LOG = logging.getLogger(__name__)

ADDRESS = '127.0.0.1'
PORT = 8790
STATE_PATH = pathlib.Path('/var/lib/energy-accounting')

_CAST_FILE = 'example.json'


# --- what it was told -------------------------------------------------------

def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog='energy-accounting-standalone', allow_abbrev=False,
        description='Account for the energy of guests on this machine, and '
        'serve the result on 127.0.0.1 without authentication.',
        epilog='State is kept in --state-path, else in [DEFAULT] state_path '
        'of the configuration file, else in /var/lib/energy-accounting '
        'where that can be written, else in '
        '${XDG_STATE_HOME:-~/.local/state}/energy-accounting.')
    parser.add_argument('--config-file', metavar='<file>',
                        help='configuration file (none is needed)')
    parser.add_argument('--port', metavar='<port>', type=port, default=PORT,
                        help=f'TCP port of the API (default: {PORT})')
    parser.add_argument('--state-path', metavar='<directory>',
                        type=pathlib.Path,
                        help='directory for the database and the spool')
    parser.add_argument('--example', action='store_true',
                        help='play two days of a simulated cloud, then '
                        'serve them; any earlier example is replaced')
    return parser


def port(text: str) -> int:
    """A TCP port as an argument.

    :raises argparse.ArgumentTypeError: for anything but 1 to 65535.
    """
    if not (text.isascii() and text.isdigit() and 0 < int(text) < 65536):
        raise argparse.ArgumentTypeError(
            f'{text!r} is not a port: give a number from 1 to 65535')
    return int(text)


def choose_state_path(given: pathlib.Path | None,
                      configured: pathlib.Path | None) -> pathlib.Path:
    """The directory for the state, made if it is not there.

    :raises errors.ConfigurationError: when it cannot be written.
    """
    if given is not None:
        wanted, source = given, '--state-path'
    elif configured is not None:
        wanted, source = configured, '[DEFAULT] state_path'
    elif _usable(STATE_PATH):
        return STATE_PATH
    else:
        base = os.environ.get('XDG_STATE_HOME') or '~/.local/state'
        wanted = pathlib.Path(base).expanduser() / configuration.NAME
        source = 'the default state path'
    wanted = wanted.absolute()
    if not _usable(wanted):
        raise errors.ConfigurationError(
            f'{source} {wanted} cannot be written: name a directory with '
            '--state-path')
    return wanted


def _usable(path: pathlib.Path) -> bool:
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError:
        return False
    return os.access(path, os.W_OK | os.X_OK)


# --- the way of a joule, in one process -------------------------------------

@contextlib.contextmanager
def _collecting(conf: cfg.ConfigOpts, database: engine.Database,
                known: owners.Owners | None) -> Iterator[rpc.Caller]:
    """A collector that listens, and the way to call it."""
    transport = rpc.make_transport(conf, 'fake://')
    server = rpc.make_server(transport, ADDRESS, collector.Collector(
        database, known, time.time_ns, conf.collector.enrolment,
        user_ids=conf.collector.user_ids))
    server.start()
    try:
        yield rpc.Caller(transport)
    finally:
        server.stop()
        server.wait()
        transport.cleanup()


@contextlib.contextmanager
def _metering(conf: cfg.ConfigOpts, database: engine.Database,
              failed: threading.Event) -> Iterator[None]:
    """This machine's notifier, sender and collector, each in its thread.

    At the end the open window is closed, sent and booked.

    :param failed: set when one of them ends by itself.
    """
    with contextlib.ExitStack() as stack:
        parts = notifier.from_conf(conf)
        stack.callback(parts.close)
        known = owners.from_conf(conf, database, time.time_ns)
        caller = stack.enter_context(_collecting(conf, database, known))
        sender = senders.Sender(
            parts.spool, caller.book, parts.signer.sign, parts.clock,
            window_ns=parts.settings.window_ns)
        threads: list[tuple[str, Callable[[threading.Event], None],
                            Callable[[], None] | None]] = [
            ('owners', known.run, None),
            ('sender', sender.run, sender.wake),
            ('notifier', parts.notifier.run, None)]
        if conf.platform.apportion_seconds:
            threads.insert(0, ('platform', dividing.Dividing(
                database, time.time_ns,
                conf.platform.apportion_seconds).run, None))
        # Stopped from the last to the first: no more windows come when the
        # sender sends for the last time.
        for name, run, wake in threads:
            stack.enter_context(_thread(name, run, wake, failed))
        yield


@contextlib.contextmanager
def _thread(name: str, run: Callable[[threading.Event], None],
            wake: Callable[[], None] | None,
            failed: threading.Event) -> Iterator[None]:
    """A thread that runs meanwhile; when it ends, so does the process.

    :param wake: have it look at its stop event.
    """
    stop = threading.Event()

    def body() -> None:
        try:
            run(stop)
        except Exception:
            LOG.exception('the %s failed', name)
        if not stop.is_set():
            failed.set()
            os.kill(os.getpid(), signal.SIGTERM)

    thread = threading.Thread(target=body, name=name)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        if wake is not None:
            wake()
        thread.join()


# --- the example ------------------------------------------------------------

def play_example(database: engine.Database, path: pathlib.Path,
                 end_ns: int,
                 book: Callable[[Sequence[samples.Signed]], rpc.Reply],
                 **options: Any) -> verify.Verdict:
    """Fill an empty ledger with the example cloud's last two days.

    They end with a whole quarter of an hour: in one that its meters cover
    in part only, a site has no PUE of its own.

    :param path: an empty directory; ``example.json`` in it will tell the
        ids behind the names of projects and instances.
    :param options: of ``simulator.play.play``.
    """
    end_ns = end_ns // units.BUCKET_NS * units.BUCKET_NS
    machines = [machine.name for machine in example.MACHINES]
    database.write(operator.open_site, hosts=machines, at_ns=site.start_ns(
        end_ns - example.DURATION_SECONDS * units.NS_PER_S))
    played = play.play(path, end_ns, book, **options)
    database.write(
        operator.tell, at_ns=end_ns, past=site.past(
            played.drawn, len(machines), options.get('seed', play.SEED)),
        shipped=files.shipped().fetch(site.ZONE, 0, end_ns, end_ns))
    _tell_names(database, played)
    (path / _CAST_FILE).write_text(json.dumps({
        'projects': {project.name: project.project_id
                     for project in played.cast.projects},
        'instances': {instance.name: instance.instance_id
                      for instance in played.cast.instances},
    }, indent=2) + '\n')
    return verify.verify(played, database.read(booked))


def accept(verdict: verify.Verdict) -> None:
    """Serve no example whose books are not what happened.

    :raises errors.EnergyAccountingError: for a verdict that is not good.
    """
    if not verdict.good:
        raise errors.EnergyAccountingError(
            f'the example is not booked as it happened: {verdict.text()}; '
            'this is a defect of the program: report it')


def booked(connection: sa.Connection) -> verify.Booked:
    """The sums of a whole ledger, as the example is compared with."""
    rows, accounts = models.account_buckets.c, models.accounts.c
    energy = (rows.active_uj + rows.idle_uj + rows.host_uj
              + sa.func.coalesce(rows.memory_uj, 0))
    instances = connection.execute(sa.select(
        accounts.instance_id, *(
            sa.func.coalesce(sa.func.sum(column), 0)
            for column in (rows.active_uj, rows.idle_uj, rows.memory_uj,
                           rows.host_uj)))
        .join_from(models.account_buckets, models.accounts,
                   accounts.id == rows.account_id)
        .where(accounts.kind == samples.INSTANCE)
        .group_by(accounts.instance_id)).all()
    hosts = models.hosts.c

    def by_host(table: sa.Table, value: Any) -> dict[str, int]:
        return {name: int(total) for name, total in connection.execute(
            sa.select(hosts.name, sa.func.sum(value))
            .join_from(table, models.hosts, hosts.id == table.c.host_id)
            .group_by(hosts.name))}

    return verify.Booked(
        {row[0]: world.Owed(*map(int, row[1:])) for row in instances},
        by_host(models.zone_buckets, models.zone_buckets.c.energy_uj),
        by_host(models.account_buckets, energy),
        int(connection.scalar(sa.select(
            sa.func.coalesce(sa.func.sum(models.quarantine.c.energy_uj),
                             0))) or 0))


def _tell_names(database: engine.Database, played: play.Played) -> None:
    """What a Keystone would have said."""
    projects = played.cast.projects
    names = {
        identities.DOMAIN: {
            project.domain_id: identities.Name(project.domain_name)
            for project in projects},
        identities.PROJECT: {
            project.project_id: identities.Name(project.name,
                                                project.domain_id)
            for project in projects}}
    for kind, found in names.items():
        database.write(functools.partial(
            identities.update_names, kind=kind, found=found,
            now_ns=played.start_ns))


@contextlib.contextmanager
def _progress(seconds: int) -> Iterator[Callable[[int], object]]:
    """A bar on a terminal, nothing elsewhere."""
    with tqdm.tqdm(
            total=seconds, desc='two days of an example cloud', unit='s',
            unit_scale=True, leave=False, file=sys.stderr,
            disable=not sys.stderr.isatty()) as bar:
        yield bar.update


# --- serving ----------------------------------------------------------------

def reserve(number: int) -> socket.socket:
    """A socket of the loopback interface that does not listen yet.

    :raises errors.ConfigurationError: when the port is taken.
    """
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with _taking(number):
            listener.bind((ADDRESS, number))
    except BaseException:
        listener.close()
        raise
    return listener


@contextlib.contextmanager
def _taking(number: int) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise errors.ConfigurationError(
            f'port {number} of {ADDRESS} cannot be used '
            f'({error.strerror}): choose another one with --port') \
            from error


def local_only(application: Any, number: int) -> Any:
    """Answers only requests that are addressed to this machine by name.

    Without authentication a page in a browser could otherwise read
    everything, under a name of its own that leads to 127.0.0.1.
    """
    own = {f'{name}:{number}' for name in (ADDRESS, 'localhost')}

    def guarded(environ: dict[str, Any], start_response: Any) -> Any:
        if environ.get('HTTP_HOST') in own:
            return application(environ, start_response)
        start_response('421 Misdirected Request',
                       [('Content-Type', 'text/plain')])
        return [f'this service is http://{ADDRESS}:{number}\n'.encode()]

    return guarded


def _serve(application: Any, listener: socket.socket,
           state_path: pathlib.Path) -> None:
    """Answer requests until SIGTERM or SIGINT."""
    number = listener.getsockname()[1]
    with _taking(number):
        server: Any = waitress.server.create_server(
            local_only(application, number), sockets=[listener], ident=None,
            threads=4)
    _say(f'serving http://{ADDRESS}:{number} without authentication, to this '
         f'machine only; state in {state_path}; Ctrl-C or SIGTERM ends it')
    try:
        server.run()
    finally:
        server.close()


# --- the process ------------------------------------------------------------

def main(argv: Sequence[str] | None = None) -> int:
    """``energy-accounting-standalone``; returns the exit status.

    :raises errors.EnergyAccountingError: what the user must change.
    """
    arguments = _parser().parse_args(argv)
    conf = _load(arguments)
    state_path = pathlib.Path(conf.state_path)
    failed = threading.Event()
    _heed_signals(failed)
    with contextlib.ExitStack() as stack:
        stack.enter_context(_sole(state_path))
        listener = stack.enter_context(reserve(arguments.port))
        if arguments.example:
            state_path = _emptied(state_path / 'example')
        database = engine.Database(
            f'sqlite:///{state_path}/energy-accounting.sqlite')
        stack.callback(database.close)
        engine.sync(database)
        # Before the example is played: what it refuses is told at once.
        application = app.make_app(conf, database, auth=False)
        if arguments.example:
            # Three new streams and keys each time: no news.
            for module in (signing, spool):
                logging.getLogger(module.__name__).setLevel(logging.WARNING)
            with (_collecting(conf, database, None) as caller,
                  _progress(example.DURATION_SECONDS) as progress):
                verdict = play_example(
                    database, state_path, time.time_ns(), caller.book,
                    fsync=False, progress=progress)
            accept(verdict)
            _say(verdict.text())
        else:
            stack.enter_context(_metering(conf, database, failed))
        _serve(application, listener, state_path)
    return int(failed.is_set())


def _heed_signals(failed: threading.Event) -> None:
    """What ends a process unwinds the main thread, wherever it is."""
    heeded = [signal.SIGTERM, signal.SIGINT]
    if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:
        # A terminal that closes; nohup says that it is of no account.
        heeded.append(signal.SIGHUP)

    def leave(number: int, frame: Any) -> None:
        # Once: what is done on the way out must not be cut short.
        for other in heeded:
            signal.signal(other, signal.SIG_IGN)
        raise SystemExit(int(failed.is_set()))

    for one in heeded:
        signal.signal(one, leave)


def _say(text: str) -> None:
    print(f'energy-accounting: {text}', flush=True)


def _load(arguments: argparse.Namespace) -> cfg.ConfigOpts:
    """The configuration, with what standalone means by itself."""
    files = [str(arguments.config_file)] if arguments.config_file else []
    conf = cmd.load([], default_config_files=files)
    found = conf.get_location('state_path')
    configured = (pathlib.Path(conf.state_path) if found is not None
                  and found.location is cfg.Locations.user else None)
    conf.set_override('state_path', str(
        choose_state_path(arguments.state_path, configured)))
    return conf


@contextlib.contextmanager
def _sole(state_path: pathlib.Path) -> Iterator[None]:
    """One process for each state directory.

    :raises errors.ConfigurationError: when there is another one.
    """
    with open(state_path / 'standalone.lock', 'w') as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise errors.ConfigurationError(
                f'another standalone service uses {state_path}: stop it or '
                'name another directory with --state-path') from error
        yield


def _emptied(path: pathlib.Path) -> pathlib.Path:
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir()
    return path
