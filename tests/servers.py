# SPDX-License-Identifier: Apache-2.0
"""Throw-away servers for tests: MariaDB, PostgreSQL, RabbitMQ and libvirt.

Each listens on a free port of 127.0.0.1 (libvirt: on a socket of its own),
keeps all it writes in one directory and goes without a trace; several sets
run beside each other and beside the machine's own services.  Only the
standard library, because ``tools/services`` runs before anything is
installed.  Nothing of the project itself is started here.

A test that kills or restarts a server starts its own::

    with servers.directory() as where, servers.MariaDB(where) as database:
        database.kill()
        database.start()
"""

from __future__ import annotations

import base64
import contextlib
import glob
import os
import pathlib
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any

LOOPBACK = '127.0.0.1'
USER = PASSWORD = 'ea'
_START_SECONDS = 90


class ServerError(Exception):
    """A server is not installed or does not start; says which and why."""


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nothing listens on now."""
    return free_ports(1)[0]


def free_ports(count: int) -> list[int]:
    """So many different ones."""
    with contextlib.ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind((LOOPBACK, 0))
        return [int(probe.getsockname()[1]) for probe in probes]


@contextlib.contextmanager
def directory() -> Iterator[pathlib.Path]:
    """A directory for servers, removed afterwards."""
    where = pathlib.Path(tempfile.mkdtemp(prefix='ea-servers-'))
    # Databases give up root's rights and must still pass through.
    where.chmod(0o711)
    try:
        yield where
    finally:
        shutil.rmtree(where, ignore_errors=True)


class Server:
    """One daemon in its own session; used as a context."""

    name = ''

    def __init__(self, where: pathlib.Path) -> None:
        self.user: dict[str, Any] = {}
        self.path = where / self.name
        self.path.mkdir()
        self.log = where / f'{self.name}.log'
        self.processes: list[subprocess.Popen[bytes]] = []
        self.prepare()

    def prepare(self) -> None:
        """Write what the first start needs; done once."""

    def launch(self) -> None:
        """Start the processes."""
        raise NotImplementedError

    def answers(self) -> bool:
        """Whether a client would be served."""
        raise NotImplementedError

    def environment(self) -> dict[str, str]:
        """The variables that tell tests where this server is."""
        raise NotImplementedError

    def start(self) -> None:
        """Start and wait until a client would be served.

        :raises ServerError: when it ends or does not answer in time.
        """
        self.launch()
        deadline = time.monotonic() + _START_SECONDS
        while not self.answers():
            if any(process.poll() is not None for process in self.processes):
                self.fail('ended while it started')
            if time.monotonic() > deadline:
                self.fail(f'does not answer after {_START_SECONDS} s')
            time.sleep(0.05)

    def stop(self) -> None:
        """End it; its data is thrown away, so in no particular order."""
        self.kill()

    def kill(self) -> None:
        """End every process of it at once, as a power cut would."""
        for process in self.processes:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        self.processes.clear()

    def fail(self, reason: str) -> None:
        self.kill()
        lines = self.log.read_text(errors='replace').splitlines()
        raise ServerError('\n'.join([f'{self.name} {reason}',
                                     *(f'  {line}' for line in lines[-15:])]))

    def spawn(self, *command: str, env: dict[str, str] | None = None) -> None:
        with self.log.open('ab') as log:
            self.processes.append(subprocess.Popen(
                command, env={**os.environ, **(env or {})}, stdout=log,
                stderr=log, stdin=subprocess.DEVNULL, cwd=self.path,
                start_new_session=True, **self.user))

    def run(self, *command: str) -> None:
        with self.log.open('ab') as log:
            done = subprocess.run(
                command, stdout=log, stderr=log, stdin=subprocess.DEVNULL,
                cwd=self.path, check=False, **self.user)
        if done.returncode:
            self.fail(f'cannot be prepared: {command[0]} failed')

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self.stop()


def program(name: str, *patterns: str) -> str:
    """The path of a program, also outside PATH.

    :raises ServerError: when it is not installed.
    """
    found = shutil.which(
        name, path=f'{os.environ.get("PATH", "")}:/usr/sbin:/sbin')
    for pattern in patterns:
        found = found or next(iter(sorted(glob.glob(pattern))), None)
    if found is None:
        raise ServerError(f'{name} is not installed: see bindep.txt, or let '
                          'tools/run-tests install it')
    return found


class MariaDB(Server):
    """MariaDB that survives a kill, but no power cut.

    What was committed is with the kernel, whatever becomes of the process;
    nothing waits for a disk (its data is thrown away).
    """

    name = 'mariadb'

    def prepare(self) -> None:
        self.port = free_port()
        self.as_user = []
        if os.geteuid() == 0:
            account = pwd.getpwnam('mysql')
            os.chown(self.path, account.pw_uid, account.pw_gid)
            self.as_user = ['--user=mysql']
        sql = self.path / 'init.sql'
        sql.write_text(''.join(
            f"CREATE USER IF NOT EXISTS {USER}@'{host}' "
            f"IDENTIFIED BY '{PASSWORD}';\n"
            f"GRANT ALL ON *.* TO {USER}@'{host}' WITH GRANT OPTION;\n"
            for host in (LOOPBACK, 'localhost')))
        sql.chmod(0o644)
        self.run(program('mariadb-install-db'), '--no-defaults', *self.as_user,
                 f'--datadir={self.path}/data', '--skip-test-db',
                 '--auth-root-authentication-method=normal')

    def launch(self) -> None:
        self.spawn(
            program('mariadbd'), '--no-defaults', *self.as_user,
            f'--datadir={self.path}/data', f'--bind-address={LOOPBACK}',
            f'--port={self.port}', f'--socket={self.path}/socket',
            f'--pid-file={self.path}/pid', f'--init-file={self.path}/init.sql',
            # In a shared one each start deletes others' temporary tables.
            f'--tmpdir={self.path}',
            '--max-connections=400', '--skip-name-resolve',
            '--innodb-flush-log-at-trx-commit=2', '--sync-binlog=0',
            '--innodb-doublewrite=0', '--innodb-buffer-pool-size=256M',
            '--innodb-use-native-aio=0', '--loose-debug-no-sync')

    def answers(self) -> bool:
        # The port opens after the init file has been read; the greeting
        # proves that it is MariaDB's.
        try:
            with socket.create_connection((LOOPBACK, self.port), 1) as peer:
                peer.settimeout(5)
                return bool(peer.recv(1))
        except OSError:
            return False

    def environment(self) -> dict[str, str]:
        return {'EA_TEST_MYSQL_URL':
                f'mysql+pymysql://{USER}:{PASSWORD}@{LOOPBACK}:{self.port}/'}


class PostgreSQL(Server):
    """PostgreSQL that survives a kill as MariaDB does."""

    name = 'postgresql'

    def prepare(self) -> None:
        self.port = free_port()
        if os.geteuid() == 0:
            # It refuses to run as root.
            account = pwd.getpwnam('postgres')
            os.chown(self.path, account.pw_uid, account.pw_gid)
            self.user = {'user': account.pw_uid, 'group': account.pw_gid,
                         'extra_groups': []}
        secret = self.path / 'password'
        secret.write_text(PASSWORD)
        secret.chmod(0o644)
        self.run(self.program('initdb'), f'--pgdata={self.path}/data',
                 f'--username={USER}', f'--pwfile={secret}',
                 '--auth=scram-sha-256', '--encoding=UTF8', '--no-locale',
                 '--no-sync')

    @staticmethod
    def program(name: str) -> str:
        """The path of one of its programs; Debian keeps them apart."""
        return program(name, f'/usr/lib/postgresql/*/bin/{name}',
                       f'/usr/pgsql-*/bin/{name}')

    def launch(self) -> None:
        self.spawn(
            self.program('postgres'), '-D', f'{self.path}/data',
            *(f'--{option}' for option in (
                f'listen_addresses={LOOPBACK}', f'port={self.port}',
                'unix_socket_directories=', 'max_connections=400',
                'shared_buffers=256MB', 'fsync=off',
                'dynamic_shared_memory_type=mmap')))

    def answers(self) -> bool:
        # Its port opens before it has recovered; then it turns clients away.
        return subprocess.run(
            [self.program('pg_isready'), '--quiet', f'--host={LOOPBACK}',
             f'--port={self.port}'], check=False).returncode == 0

    def stop(self) -> None:
        for process in self.processes:
            # Quickly, but so that it gives its shared memory back.
            process.send_signal(signal.SIGQUIT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(10)
        self.kill()
        with contextlib.suppress(OSError, IndexError):
            # Left by a server that was killed and not started again.
            pidfile = (self.path / 'data' / 'postmaster.pid').read_text()
            subprocess.run(['ipcrm', '-m', pidfile.splitlines()[6].split()[1]],
                           capture_output=True, check=False)

    def kill(self) -> None:
        """End every process of it at once, as a power cut would.

        Each has a session of its own, and would end its query first.
        """
        for process in self.processes:
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGSTOP)
        orphans = [child for process in self.processes
                   for child in _children(process.pid)]
        for number in orphans:
            with contextlib.suppress(ProcessLookupError):
                os.kill(number, signal.SIGKILL)
        super().kill()
        # The next one does not start beside them.
        deadline = time.monotonic() + _START_SECONDS
        while any(map(_lives, orphans)) and time.monotonic() < deadline:
            time.sleep(0.01)

    def environment(self) -> dict[str, str]:
        return {'EA_TEST_POSTGRESQL_URL': f'postgresql+psycopg2://{USER}:'
                                          f'{PASSWORD}@{LOOPBACK}:{self.port}/'}


def _status(number: int | str) -> list[str]:
    """State, parent and more of a process, see proc(5); [] when it is gone."""
    try:
        text = pathlib.Path(f'/proc/{number}/stat').read_text()
    except OSError:
        return []
    return text.rpartition(')')[2].split()


def _children(parent: int) -> list[int]:
    return [int(number) for number in os.listdir('/proc') if number.isdigit()
            and _status(number)[1:2] == [str(parent)]]


def _lives(number: int) -> bool:
    return _status(number)[:1] not in ([], ['Z'], ['X'])


class RabbitMQ(Server):
    """RabbitMQ with its management API, and a name server of its own."""

    name = 'rabbitmq'

    def prepare(self) -> None:
        self.port, self.api_port = free_port(), free_port()
        names, distribution = free_port(), free_port()
        loopback_only = '-kernel inet_dist_use_interface {127,0,0,1}'
        (self.path / 'rabbitmq.conf').write_text(
            f'listeners.tcp.1 = {LOOPBACK}:{self.port}\n'
            f'management.tcp.ip = {LOOPBACK}\n'
            f'management.tcp.port = {self.api_port}\n'
            f'default_user = {USER}\n'
            f'default_pass = {PASSWORD}\n'
            'default_user_tags.administrator = true\n'
            'log.console = true\n'
            'disk_free_limit.absolute = 50MB\n')
        (self.path / 'plugins').write_text('[rabbitmq_management].\n')
        self.env = {
            'HOME': str(self.path),
            'RABBITMQ_NODENAME': f'ea-{self.port}@localhost',
            'RABBITMQ_MNESIA_BASE': f'{self.path}/mnesia',
            'RABBITMQ_LOG_BASE': f'{self.path}/log',
            'RABBITMQ_LOGS': '-',
            'RABBITMQ_SCHEMA_DIR': f'{self.path}/schema',
            'RABBITMQ_GENERATED_CONFIG_DIR': f'{self.path}/schema',
            'RABBITMQ_CONFIG_FILE': f'{self.path}/rabbitmq.conf',
            'RABBITMQ_CONF_ENV_FILE': '/dev/null',
            'RABBITMQ_ENABLED_PLUGINS_FILE': f'{self.path}/plugins',
            'RABBITMQ_PID_FILE': f'{self.path}/pid',
            'RABBITMQ_DIST_PORT': str(distribution),
            'RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS': loopback_only,
            'RABBITMQ_CTL_ERL_ARGS': loopback_only,
            'ERL_EPMD_ADDRESS': LOOPBACK,
            'ERL_EPMD_PORT': str(names),
        }

    def launch(self) -> None:
        # Started by RabbitMQ itself it would outlive it.
        self.spawn(program('epmd', '/usr/lib/erlang/erts-*/bin/epmd'),
                   env=self.env)
        # Not the wrapper on PATH: that one insists on its own user.
        self.spawn(program('rabbitmq-server.sh',
                           '/usr/lib/rabbitmq/bin/rabbitmq-server'),
                   env=self.env)

    def answers(self) -> bool:
        login = base64.b64encode(f'{USER}:{PASSWORD}'.encode()).decode()
        request = urllib.request.Request(
            f'{self.api}/api/overview',
            headers={'Authorization': f'Basic {login}'})
        try:
            with urllib.request.urlopen(request, timeout=5):
                pass
            with socket.create_connection((LOOPBACK, self.port), 1):
                return True
        except (OSError, urllib.error.URLError):
            return False

    @property
    def api(self) -> str:
        return f'http://{LOOPBACK}:{self.api_port}'

    def environment(self) -> dict[str, str]:
        return {'EA_TEST_RABBIT_URL':
                f'rabbit://{USER}:{PASSWORD}@{LOOPBACK}:{self.port}/',
                'EA_TEST_RABBIT_API': self.api}


# Everything libvirt would write outside its own directory is laid over in
# a private mount namespace: no virtlogd, no security driver, no mount
# namespaces of guests; nothing but libvirtd has to run.
_LIBVIRT_START = """
set -e
for private in /run/libvirt /var/lib/libvirt /var/cache/libvirt \\
        /var/log/libvirt; do
    mkdir -p "$private"
    mount -t tmpfs -o mode=755 tmpfs "$private"
done
mount --bind "$1/qemu.conf" /etc/libvirt/qemu.conf
mount -t tmpfs tmpfs /etc/libvirt/qemu
exec "$2" -f "$1/libvirtd.conf" -p "$1/pid"
"""


class Libvirt(Server):
    """libvirtd with the QEMU driver on a socket of its own; needs root."""

    name = 'libvirt'

    def prepare(self) -> None:
        if os.geteuid() != 0:
            raise ServerError('libvirt needs root: start tools/services with '
                              'sudo')
        self.daemon = program('libvirtd')
        (self.path / 'libvirtd.conf').write_text(
            'listen_tls = 0\n'
            'listen_tcp = 0\n'
            f'unix_sock_dir = "{self.path}"\n'
            'unix_sock_ro_perms = "0777"\n'
            'unix_sock_rw_perms = "0777"\n'
            'auth_unix_ro = "none"\n'
            'auth_unix_rw = "none"\n'
            'log_outputs = "3:stderr"\n')
        (self.path / 'qemu.conf').write_text(
            'user = "root"\n'
            'group = "root"\n'
            'stdio_handler = "file"\n'
            'security_driver = "none"\n'
            'namespaces = [ ]\n')

    def launch(self) -> None:
        self.spawn('unshare', '--mount', '--propagation',
                   'private', 'sh', '-c', _LIBVIRT_START, 'sh',
                   str(self.path), self.daemon)

    def answers(self) -> bool:
        return self.virsh('uri') is not None

    def stop(self) -> None:
        # Guests do not end with their libvirtd.
        for guest in (self.virsh('list', '--uuid') or '').split():
            self.virsh('destroy', guest)
        self.kill()

    def virsh(self, *arguments: str) -> str | None:
        """What virsh prints; None when it fails."""
        done = subprocess.run(
            [program('virsh'), '-q', '-c', self.uri, *arguments],
            capture_output=True, text=True, check=False)
        return done.stdout if done.returncode == 0 else None

    @property
    def uri(self) -> str:
        return f'qemu+unix:///system?socket={self.path}/libvirt-sock'

    def environment(self) -> dict[str, str]:
        return {'EA_TEST_LIBVIRT_URI': self.uri,
                'EA_TEST_LIBVIRT_URI_RO': f'{self.uri}-ro'}


SERVERS: dict[str, Callable[[pathlib.Path], Server]] = {
    server.name: server for server in (MariaDB, PostgreSQL, RabbitMQ, Libvirt)}
