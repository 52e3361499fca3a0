# SPDX-License-Identifier: Apache-2.0
"""The long-running processes: how they are started, supervised, stopped.

The notifier is one process with two threads, to be small on every
hypervisor; its init system starts it again.  The collector is a master
that only watches (cotyledon) and workers that make whatever has threads or
connections after the fork.  What is done stands in ``notifier`` and
``collector``.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import pathlib
import signal
import sys
import threading
import time
from collections.abc import Callable
from typing import Any, NoReturn

import cotyledon
from cotyledon import oslo_config_glue
from oslo_config import cfg

from energy_accounting import conf as configuration
from energy_accounting import errors

LOG = logging.getLogger(__name__)

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
# Calls under way are not waited for longer than this at a stop, on either
# side: the broker may be away, and what was not answered is sent again.
STOP_SECONDS = 5

# sysexits.h EX_CONFIG: a worker that cannot work the way it is configured;
# to start another one would change nothing.
REFUSED = 78
# How often a collector worker says that it lives.
ALIVE_SECONDS = 20
# Calls one collector worker works on at a time; more wait in the broker.
COLLECTOR_THREADS = 4


# --- the notifier -----------------------------------------------------------

def serve_notifier(conf: cfg.ConfigOpts) -> None:
    """Run the notifier until it is told to stop.

    :raises errors.EnergyAccountingError: it cannot start.
    """
    from energy_accounting import notifier, rpc
    from energy_accounting import sender as senders
    # Before there are threads, so that they leave the signals to us.
    signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
    parts = notifier.from_conf(conf)
    try:
        caller = rpc.Caller(rpc.make_transport(conf))
        sender = senders.Sender(
            parts.spool, caller.book, parts.signer.sign, parts.clock,
            window_ns=parts.settings.window_ns)
        LOG.info('notifier of host %s, stream %s', parts.settings.host,
                 parts.spool.stream)
        ticking = _Thread('ticks', parts.notifier.run)
        sending = _Thread('sender', sender.run)
        number = signal.sigwait(STOP_SIGNALS)
        while number == signal.SIGHUP and not _can_reload(
                notifier.settings_from_conf, credentials=False):
            number = signal.sigwait(STOP_SIGNALS)
        LOG.info('stopping on %s', signal.Signals(number).name)
        # The last window is on disk before the sender is told.
        ticking.stop.set()
        ticking.join()
        sending.stop.set()
        sender.wake()
        sending.join(STOP_SECONDS)
        if sending.is_alive():
            LOG.warning('the collector does not answer: the last windows '
                        'stay in the spool')
    finally:
        parts.close()
    logging.shutdown()
    if number == signal.SIGHUP:
        # The same process with all of the configuration read anew; what it
        # measured goes on where the spool ends.
        os.execv(sys.executable,  # noqa: S606
                 [sys.executable, *sys.orig_argv[1:]])
    # Threads of the message bus may still wait for a broker; there is
    # nothing left to lose.
    os._exit(0)


def _can_reload(check: Callable[[cfg.ConfigOpts], object], *,
                credentials: bool) -> bool:
    """Whether the configuration, as it is now, is one to start with.

    :param check: raises errors.ConfigurationError for what is wrong beyond
        single options.
    """
    from oslo_log import log
    found = cfg.ConfigOpts()
    log.register_options(found)
    configuration.register(found, credentials=credentials)
    try:
        found(sys.argv[1:], project=configuration.NAME)
        configuration.check(found)
        check(found)
    except (errors.ConfigurationError, cfg.Error) as error:
        LOG.error('the configuration is not read anew, the old one counts: '
                  '%s', ' '.join(str(error).split()))
        return False
    return True


class _Thread(threading.Thread):
    """A running thread; a failure of it ends the process."""

    def __init__(self, name: str, body: Any) -> None:
        super().__init__(name=name, daemon=True)
        self.stop = threading.Event()
        self._body = body
        self.start()

    def run(self) -> None:
        try:
            self._body(self.stop)
        except BaseException:
            LOG.exception('%s: this must not happen', self.name)
            os._exit(1)


# --- the collector ----------------------------------------------------------

def serve_collector(conf: cfg.ConfigOpts) -> None:
    """Run the collector's workers until SIGTERM.

    On SIGHUP all are started again, with the configuration as it is then
    or, where that is wrong, with the old one.
    """
    from oslo_log import log
    oslo_config_glue.register_opts(conf)
    conf.log_opt_values(LOG, logging.DEBUG)
    manager = cotyledon.ServiceManager(
        graceful_shutdown_timeout=conf.graceful_shutdown_timeout)
    service = manager.add(CollectorService, workers=conf.collector.workers,
                          args=(conf,))

    def reload() -> None:
        # What is handed to workers that are made from now on.
        if _can_reload(_check_collector, credentials=True):
            conf.reload_config_files()
            log.setup(conf, configuration.NAME)
            conf.log_opt_values(LOG, logging.DEBUG)
            manager.reconfigure(service, conf.collector.workers)

    manager.register_hooks(on_reload=reload, on_dead_worker=_on_dead_worker,
                           on_terminate=_insist)
    manager.run()


def _check_collector(conf: cfg.ConfigOpts) -> None:
    from energy_accounting import owners, rpc
    configuration.host_name(conf)
    rpc.prepare(conf)
    owners.check(conf)


def _on_dead_worker(service_id: Any, worker_id: int, exit_code: int) -> None:
    if exit_code == REFUSED:
        # The worker has said why.  Others see their master go, and stop.
        os._exit(1)


def _insist() -> None:
    """See to it, beside what waits for the workers, that they end.

    Cotyledon tells each once and then waits without end (the alarm of its
    own is not heard meanwhile): for one that was told before it listened, as
    when it has just been started again, or that does not run.
    """
    threading.Thread(target=_tell_again, name='insist', daemon=True).start()


def _tell_again() -> None:
    deadline = time.monotonic() + 2 * STOP_SECONDS
    while True:
        time.sleep(2)
        for worker in multiprocessing.active_children():
            if time.monotonic() < deadline:
                worker.terminate()
            else:
                # What it had not answered comes again.
                LOG.warning('worker %s does not end: it is killed',
                            worker.pid)
                worker.kill()


def _touch(path: pathlib.Path) -> bool:
    """Make a file new, for those who ask whether we live, if we can."""
    try:
        path.touch()
    except OSError as error:
        LOG.warning('%s is not kept new: %s', path, error.strerror)
        return False
    return True


def _refuse(error: errors.EnergyAccountingError) -> NoReturn:
    print(f'{os.path.basename(sys.argv[0])}: {error}', file=sys.stderr,
          flush=True)
    sys.exit(REFUSED)


class CollectorService(cotyledon.Service):
    """One worker: an RPC server with its own connections."""

    name = 'collector'

    def __init__(self, worker_id: Any, conf: cfg.ConfigOpts) -> None:
        super().__init__(worker_id)
        self._conf = conf
        self._stop = threading.Event()
        self._stopped = threading.Event()

    def run(self) -> None:
        """Book what comes until told to stop."""
        from energy_accounting import collector, owners, rpc
        from energy_accounting.facility import dividing
        from energy_accounting.ledger import engine
        conf = self._conf
        alive = pathlib.Path(conf.state_path,
                             f'collector-{self.worker_id}.alive')
        # Of a worker before this: one that waits for the broker is well,
        # and does not work.
        alive.unlink(missing_ok=True)
        try:
            host = configuration.host_name(conf)
            database = engine.Database.from_conf(conf)
            people = owners.from_conf(conf, database, time.time_ns)
            transport = rpc.make_transport(conf)
        except errors.ConfigurationError as error:
            _refuse(error)
        except errors.Unavailable as error:
            LOG.error('this worker is started again: %s', error)
            sys.exit(1)
        server = rpc.make_server(transport, host, collector.Collector(
            database, people, time.time_ns, conf.collector.enrolment,
            user_ids=conf.collector.user_ids))
        beside = {'owners': people.run}
        # One worker of each collector is enough.
        if self.worker_id == 0 and conf.platform.apportion_seconds:
            beside['platform'] = dividing.Dividing(
                database, time.time_ns, conf.platform.apportion_seconds).run
        for name, run in beside.items():
            threading.Thread(target=run, args=(self._stop,), name=name,
                             daemon=True).start()
        # Waits for the broker, as long as it takes.
        server.start(override_pool_size=COLLECTOR_THREADS)
        LOG.info('collector worker %d listens', self.worker_id)
        while _touch(alive) and not self._stop.wait(ALIVE_SECONDS):
            pass
        self._stop.wait()
        alive.unlink(missing_ok=True)
        # A call that is running is finished and answered.
        server.stop()
        server.wait()
        transport.cleanup()
        database.close()
        self._stopped.set()

    def terminate(self) -> None:
        """Stop listening; returns when the running calls are answered.

        Or could not be for a while: then the process ends all the same.
        """
        self._stop.set()
        if not self._stopped.wait(STOP_SECONDS):
            LOG.warning('the message bus does not answer: calls that were '
                        'not answered come again')
