# SPDX-License-Identifier: Apache-2.0
"""The installed commands as real processes, and an init that starts them.

What is killed or gives up comes back after a moment, as systemd would have
it.  Which faults there are is not known here.
"""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from typing import Any

from energy_accounting import signing
from energy_accounting.spool import form
from tests.chaos import trees

WINDOW_SECONDS = 10
DISK_BYTES = 16 << 20
# A restart is never sooner nor later than this.
_RESTART_SECONDS = (0.2, 3.0)
# Whoever gives up by itself gets the pause that systemd gives.
_GAVE_UP_SECONDS = 1.0


def command(name: str) -> str:
    """The path of an installed command, that of this interpreter first."""
    beside = pathlib.Path(sys.executable).with_name(name)
    found = str(beside) if beside.exists() else shutil.which(name)
    if found is None:
        raise FileNotFoundError(f'{name} is not installed')
    return found


def children(pid: int) -> list[int]:
    """The child processes of a process, whichever thread made them."""
    found = []
    for path in pathlib.Path(f'/proc/{pid}/task').glob('*/children'):
        with contextlib.suppress(OSError):
            found.extend(int(child) for child in path.read_text().split())
    return sorted(found)


class Process:
    """One process that is wanted to run.

    :ivar kills: how often it was killed here.
    :ivar gave_up: how often it ended by itself.
    """

    def __init__(self, name: str, argv: Sequence[str], log: pathlib.Path,
                 chance: random.Random) -> None:
        self.name = name
        self.log = log
        self.kills = self.gave_up = 0
        self._argv = argv
        self._chance = chance
        self._popen: subprocess.Popen[bytes] | None = None
        self._wanted = False
        self._due = 0.0
        self._lock = threading.Lock()

    @property
    def pid(self) -> int | None:
        """Of the running process, or None."""
        popen = self._popen
        return None if popen is None or popen.poll() is not None \
            else popen.pid

    def start(self) -> None:
        with self._lock:
            self._wanted, self._due = True, 0.0
            self._tend()

    def tend(self) -> None:
        """What an init does, every now and then."""
        with self._lock:
            self._tend()

    def _tend(self) -> None:
        if not self._wanted or self.pid is not None:
            return
        now = time.monotonic()
        if self._popen is not None:
            if self._popen.returncode != -signal.SIGKILL:
                self.gave_up += 1
                self._due = now + _GAVE_UP_SECONDS
            else:
                self._due = now + self._chance.uniform(*_RESTART_SECONDS)
            self._popen = None
        if now >= self._due:
            with self.log.open('ab') as log:
                self._popen = subprocess.Popen(
                    self._argv, stdout=log, stderr=log,
                    stdin=subprocess.DEVNULL, start_new_session=True)

    def kill(self) -> bool:
        """Kill it; False when it does not run."""
        return self.kill_pid(self.pid)

    def kill_pid(self, pid: int | None) -> bool:
        """Kill it or one of its children."""
        if pid is None:
            return False
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
            self.kills += 1
            return True
        return False

    def children(self) -> list[int]:
        """Its workers, in the order of their numbers."""
        pid = self.pid
        return [] if pid is None else children(pid)

    def stop(self, seconds: float) -> bool:
        """Stop it cleanly; False when it had to be killed."""
        with self._lock:
            self._wanted = False
            popen, self._popen = self._popen, None
        if popen is None or popen.poll() is not None:
            return True
        popen.send_signal(signal.SIGTERM)
        try:
            popen.wait(seconds)
        except subprocess.TimeoutExpired:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(popen.pid, signal.SIGKILL)
            popen.wait()
            return False
        return True


class Disk:
    """The file system of a spool: small, and with a way in from behind.

    :ivar real: False without root: then it is a plain directory that
        nothing can be done to.
    """

    def __init__(self, root: pathlib.Path, spool: pathlib.Path,
                 real: bool) -> None:
        self.real = real
        self._root, self._spool = root, spool
        spool.mkdir(parents=True)
        if not real:
            return
        root.mkdir()
        self._mount('-t', 'tmpfs', '-o', f'size={DISK_BYTES}', 'tmpfs',
                    str(root))
        (root / 'spool').mkdir()
        self._mount('--bind', str(root / 'spool'), str(spool))

    def remove(self) -> None:
        """Let the directories go."""
        if self.real:
            for path in (self._spool, self._root):
                subprocess.run(['umount', '--lazy', str(path)], check=False)

    def fill(self) -> None:
        """Leave no room at all."""
        size = 1 << 20
        with open(self._root / 'filler', 'ab', buffering=0) as file:
            while size:
                try:
                    file.write(b'\0' * size)
                except OSError:
                    size //= 2

    def free(self) -> None:
        (self._root / 'filler').unlink(missing_ok=True)

    def read_only(self) -> bool:
        """Take no write; False while a file is open for writing."""
        return self._remount('ro')

    def writable(self) -> None:
        if not self._remount('rw'):
            raise RuntimeError(f'{self._spool} cannot be made writable')

    def _remount(self, how: str) -> bool:
        return subprocess.run(
            ['mount', '-o', f'remount,bind,{how}', str(self._spool)],
            capture_output=True, check=False).returncode == 0

    @staticmethod
    def _mount(*arguments: str) -> None:
        subprocess.run(['mount', *arguments], check=True)


class Notifier(Process):
    """A notifier, the host it meters, and what its spool says."""

    def __init__(self, name: str, root: pathlib.Path, logs: pathlib.Path,
                 transport_url: str, chance: random.Random,
                 disks: bool) -> None:
        root.mkdir()
        self.tree = trees.Tree(root / 'host', chance)
        state_path = root / 'state'
        self.spool = state_path / 'spool'
        self.key_path = state_path / signing.FILE_NAME
        self.disk = Disk(root / 'disk', self.spool, disks)
        files = self.tree.files.options()
        conf = root / 'notifier.conf'
        conf.write_text('\n'.join([
            '[DEFAULT]', f'host = {name}', f'state_path = {state_path}',
            f'transport_url = {transport_url}',
            '[notifier]', 'guests = procfs', 'tick_seconds = 1',
            f'window_seconds = {WINDOW_SECONDS}', 'max_power_watts = '
            f'{trees.PACKAGES * trees.PACKAGE_MAX_UW // 1_000_000}',
            *(f'{option} = {value}' for option, value in files.items()),
            '']))
        super().__init__(
            name, [command('energy-accounting-notifier'), '--config-file',
                   str(conf)], logs / f'{name}.log', chance)

    def has_baseline(self) -> bool:
        """Whether the first reading has been made and kept."""
        return (self.spool / 'baseline.json').exists()

    def records(self) -> list[dict[str, Any]]:
        """The whole records in the spool, in their order."""
        return [json.loads(body) for body in self._bodies()]

    def newest(self) -> dict[str, Any] | None:
        """The last of them."""
        bodies = self._bodies()
        return json.loads(bodies[-1]) if bodies else None

    def _bodies(self) -> list[bytes]:
        found = []
        for path in sorted(self.spool.glob('*.seg')):
            data, position = path.read_bytes(), 0
            while record := form.record_at(data, position):
                begin, position = position, position + record.size
                found.append(data[begin + form.HEADER.size:position])
        return found

    @property
    def acknowledged(self) -> int:
        with contextlib.suppress(OSError, ValueError, KeyError):
            return int(form.unseal(
                (self.spool / 'acknowledged').read_bytes())['sequence'])
        return 0

    def since_last_record(self) -> float:
        """Seconds since something came into the spool."""
        newest = max((path.stat().st_mtime for path in (
            *self.spool.glob('*.seg'), self.spool / 'baseline.json')),
            default=time.time())
        return time.time() - newest

    def has_read_all(self) -> bool:
        """Whether the newest record ends with the counters as they are."""
        newest = self.newest()
        if newest is None:
            return False
        reading = newest['state']['baseline']['reading']
        return {zone['zone']: zone['counter_uj']
                for zone in reading['zones']} == self.tree.counters()

    def is_taken(self) -> bool:
        """Whether the collector has every record."""
        newest = self.newest()
        return newest is not None and (
            self.acknowledged >= newest['sequence'])


class Collector(Process):
    """A collector with its workers."""

    def __init__(self, name: str, root: pathlib.Path, logs: pathlib.Path,
                 transport_url: str, database_url: str, workers: int,
                 chance: random.Random) -> None:
        root.mkdir()
        self.conf = root / 'collector.conf'
        self.conf.write_text('\n'.join([
            '[DEFAULT]', f'host = {name}', f'state_path = {root}',
            f'transport_url = {transport_url}',
            '[database]', f'connection = {database_url}',
            # A worker or a master that finds no database gives up, and
            # init starts it again.
            'max_retries = 0',
            '[collector]', f'workers = {workers}', '']))
        super().__init__(
            name, [command('energy-accounting-collector'), '--config-file',
                   str(self.conf)], logs / f'{name}.log', chance)
