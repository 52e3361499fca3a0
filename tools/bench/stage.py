# SPDX-License-Identifier: Apache-2.0
"""What the benchmarks share: guests, servers, databases, records, figures.

A benchmark measures two things in one run, in turns, and quotes their
ratio: nothing here knows what is measured.
"""

from __future__ import annotations

import argparse
import contextlib
import logging
import os
import pathlib
import subprocess
import sys
import urllib.parse
import uuid
from collections.abc import Iterator

import sqlalchemy as sa

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from energy_accounting.ledger import engine  # noqa: E402

_ALONE = 'EA_BENCH_ALONE'
SERVERS = ('EA_TEST_MYSQL_URL', 'EA_TEST_POSTGRESQL_URL')
RABBIT = 'EA_TEST_RABBIT_URL'

# As QEMU is seen from outside: a command line, CPU time, and the end with
# its starter.  It works for BURN_US whenever it is told to (SIGUSR1), and
# once in PERIOD_MS by itself.
_GUEST = r"""
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

static long long used(void)
{
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return now.tv_sec * 1000000LL + now.tv_nsec / 1000;
}

static volatile sig_atomic_t told;
static void tell(int number) { told = number; }

int main(void)
{
    long burn_us = atol(getenv("BURN_US"));
    long period_ms = atol(getenv("PERIOD_MS"));
    struct timespec period = {period_ms / 1000, period_ms % 1000 * 1000000};
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    signal(SIGUSR1, tell);
    for (;;) {
        long long until = used() + burn_us;
        while (used() < until)
            ;
        if (period_ms)
            nanosleep(&period, NULL);
        else
            pause();
    }
}
"""


def alone() -> None:
    """Go on in a PID namespace of its own, with a procfs that shows it.

    Then the only guests are the benchmark's, whatever else runs here, and
    the number of other processes is its own choice.  Needs root.
    """
    if os.environ.get(_ALONE) and os.getpid() == 1:
        return
    if os.geteuid() != 0:
        raise SystemExit('this benchmark makes a PID namespace: run it as '
                         'root')
    os.execvpe('unshare', [
        'unshare', '--pid', '--fork', '--kill-child', '--mount',
        '--mount-proc', sys.executable, *sys.argv],
        {**os.environ, _ALONE: 'yes'})


def quiet() -> None:
    """No word of the log: new keys and brokers that are away are meant."""
    logging.getLogger().addHandler(logging.NullHandler())


# --- guests -----------------------------------------------------------------

def compiled(where: pathlib.Path, name: str, source: str) -> pathlib.Path:
    """A C program, made with the machine's own compiler."""
    program = where / name
    subprocess.run(['cc', '-O2', '-o', program, '-xc', '-'], check=True,
                   input=source.encode())
    return program


class Guests:
    """Processes that look like QEMU's and use a little CPU time."""

    def __init__(self, where: pathlib.Path, *, burn_us: int,
                 period_ms: int = 0) -> None:
        self._program = compiled(where, 'guest', _GUEST)
        self._environment = {'BURN_US': str(burn_us),
                             'PERIOD_MS': str(period_ms)}
        self.processes: list[subprocess.Popen[bytes]] = []

    def start(self, count: int) -> None:
        """Have so many of them."""
        while len(self.processes) < count:
            number = len(self.processes) + 1
            self.spawn(
                '/usr/bin/qemu-system-x86_64', '-name',
                f'guest=instance-{number:08x},debug-threads=on', '-S',
                '-machine', 'pc-q35-7.2,usb=off,dump-guest-core=off', '-m',
                '2048', '-smp', '2,sockets=2,cores=1,threads=1', '-uuid',
                instance_id(number), '-display', 'none')

    def spawn(self, *argv: str) -> None:
        self.processes.append(subprocess.Popen(
            argv, executable=self._program, env=self._environment))

    def work(self) -> None:
        """Each uses its CPU time once."""
        for process in self.processes:
            os.kill(process.pid, 10)

    def stop(self) -> None:
        for process in self.processes:
            process.kill()
        for process in self.processes:
            process.wait()
        self.processes.clear()


def instance_id(number: int) -> str:
    return str(uuid.UUID(int=number))


# --- servers ----------------------------------------------------------------

def servers(parser: argparse.ArgumentParser, *, rabbit: bool = False) -> None:
    """The arguments that name servers; tools/services names them as well."""
    found = [os.environ[name] for name in SERVERS if os.environ.get(name)]
    parser.add_argument(
        'server', nargs='*' if found else '+', default=found,
        help='URLs of MariaDB, MySQL or PostgreSQL servers (default: those '
             'that tools/services started)')
    if rabbit:
        parser.add_argument(
            '--rabbit', default=os.environ.get(RABBIT),
            help='URL of a RabbitMQ server')


@contextlib.contextmanager
def database(server: str) -> Iterator[str]:
    """The URL of a new ledger, which is dropped afterwards."""
    name = f'ea_bench_{uuid.uuid4().hex}'
    address = sa.make_url(server)
    if kind(server) == 'postgresql':
        address = address.set(database='postgres')
    admin = sa.create_engine(address, isolation_level='AUTOCOMMIT',
                             poolclass=sa.pool.NullPool)

    def run(statement: str) -> None:
        with admin.connect() as connection:
            connection.exec_driver_sql(statement)

    run(f'CREATE DATABASE {name}')
    try:
        url = address.set(database=name).render_as_string(
            hide_password=False)
        made = engine.Database(url)
        engine.sync(made)
        made.close()
        yield url
    finally:
        run(f'DROP DATABASE {name}')


def kind(server: str) -> str:
    """What a server is: ``mysql`` or ``postgresql``."""
    return str(sa.make_url(server).get_backend_name())


def processes(url: str) -> list[pathlib.Path]:
    """The server of a URL and its children, in procfs; none: not here.

    Found by its port, where tools/services writes it: on the command line,
    for RabbitMQ in the environment.
    """
    port = urllib.parse.urlsplit(url).port
    marks = (f'--port={port}\0'.encode(), f'=ea-{port}@'.encode())
    found, parents = {}, {}
    for path in pathlib.Path('/proc').glob('[0-9]*'):
        with contextlib.suppress(OSError):
            parents[path] = _fields(path)[1]
            line = b'\0'.join((path / name).read_bytes()
                              for name in ('cmdline', 'environ'))
            if any(mark in line for mark in marks):
                found[path.name] = path
    return [path for path, parent in parents.items()
            if path.name in found or parent in found]


def cpu_seconds(found: list[pathlib.Path]) -> float:
    """CPU time of processes, and of their children that have ended."""
    ticks = 0
    for path in found:
        with contextlib.suppress(OSError):
            ticks += sum(map(int, _fields(path)[11:15]))
    return ticks / os.sysconf('SC_CLK_TCK')


def _fields(path: pathlib.Path) -> list[str]:
    """``/proc/PID/stat`` behind the name."""
    return (path / 'stat').read_text().rpartition(') ')[2].split()
