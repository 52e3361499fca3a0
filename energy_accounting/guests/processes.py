# SPDX-License-Identifier: Apache-2.0
"""QEMU processes: finding them, and their CPU time, exact and cheap.

Where procfs is that of our own PID namespace, a process's CPU time is its
POSIX clock (clock_getcpuclockid(3)): nanoseconds of all its threads, those
that ended included, in one system call of 1 us that needs no right; and a
pidfd says when the process is gone, so that no reused PID is ever taken
for it and its last CPU time can be had before it is reaped.  Elsewhere
(a procfs of another namespace) the same is read from files: the sum of
``task/*/schedstat``, never below ``utime + stime``.

Measured: a clock costs 1 us, ``/proc/PID/stat`` on a descriptor kept open
11 us, and it counts in steps of 10 ms.  A cgroup's ``cpu.stat`` is not used
for a guest: it holds more than the guest where libvirt has no scope for it.

Owners are not known here.
"""

from __future__ import annotations

import dataclasses
import itertools
import logging
import os
import pathlib
import re
import select
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import NamedTuple, Protocol

from energy_accounting import guests, samples
from energy_accounting.guests import cgroups as cgroup_trees
from energy_accounting.guests import host, kernel, qemu

LOG = logging.getLogger(__name__)

# A process may become QEMU after it was looked at (libvirt forks, prepares,
# then executes), or its PID may pass to one: look again at the next few
# readings, and at every one of the others once in so many.
_YOUNG_READS = 3
_ROUND = 64
# How libvirt's child moves into its cgroups: settled after this many.
_PLACING_READS = 12
_CPUCLOCK_SCHED = 2
_PF_KTHREAD = 0x00200000
# Until Linux 6.4 a guest's network and disk work is done by kernel threads.
_VHOST = re.compile(r'vhost-(\d+)\Z')


class Identity(NamedTuple):
    """What somebody who knows adds to a process; None: as QEMU says."""

    project_id: str | None = None
    flavor: str | None = None
    user_id: str | None = None
    vcpus: int | None = None
    memory_mib: int | None = None


NOBODY = Identity()


class _Stat(NamedTuple):
    """What is needed of ``/proc/PID/stat``."""

    comm: str
    state: str
    ppid: int
    flags: int
    jiffies: int
    start: int


def _stat(procfs_path: pathlib.Path, pid: int) -> _Stat:
    """The fields after the name, which may hold blanks and brackets.

    :raises OSError: when it cannot be read.
    :raises ValueError: when it is something else.
    """
    text = _read(f'{procfs_path}/{pid}/stat')
    name, separator, rest = text.rpartition(b') ')
    fields = rest.split()
    if not separator or len(fields) < 20:
        raise ValueError(f'/proc/{pid}/stat is {text[:80]!r}')
    for field in (11, 12, 19):
        kernel.count(fields[field], host.JIFFY_NS)
    return _Stat(name.partition(b'(')[2].decode('utf-8', 'replace'),
                 fields[0].decode('utf-8', 'replace'),
                 kernel.count(fields[1]), kernel.count(fields[6]),
                 int(fields[11]) + int(fields[12]), int(fields[19]))


def _read(path: str) -> bytes:
    """A small file of procfs; a command line may be long."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        found = os.read(fd, 65536)
        while len(found) % 65536 == 0:
            more = os.read(fd, 65536)
            if not more:
                break
            found += more
        return found
    finally:
        os.close(fd)


# --- CPU time of a process --------------------------------------------------

class _Gone(Exception):
    """The process is not there any more."""


class _Cpu(Protocol):
    def read(self) -> int | None:
        """CPU time in ns; None: not now.

        :raises _Gone: when the process has ended.
        """


class _Clock:
    """CPU time by the process's own clock."""

    def __init__(self, pid: int) -> None:
        self._clock = (~pid << 3) | _CPUCLOCK_SCHED

    def read(self) -> int | None:
        try:
            return time.clock_gettime_ns(self._clock)
        except OSError as error:
            raise _Gone from error


_FIRST_TRIES = 5


class _Files:
    """CPU time from the files of a process."""

    def __init__(self, procfs_path: pathlib.Path, pid: int,
                 start: int) -> None:
        self._procfs_path = procfs_path
        self._pid = pid
        self._start = start
        self._threads: dict[str, int] = {}
        self._first: tuple[int, int, int] | None = None
        self.shown_ns = 0

    def read(self) -> int | None:
        times_ns = self._times_ns()
        if times_ns is None:
            return None
        # A thread that ended keeps what it had.
        self._threads.update(self._schedstat())
        if self._first is None:
            # What is used between two files of the first reading would be
            # counted for ever: read them while nothing is.
            for _ in range(_FIRST_TRIES):
                before_ns, times_ns = times_ns, self._times_ns()
                if times_ns is None:
                    return None
                if times_ns == before_ns:
                    break
                self._threads.update(self._schedstat())
        threads_ns = sum(self._threads.values())
        if self._first is None:
            self._first = threads_ns, times_ns, max(threads_ns, times_ns)
        first_threads_ns, first_times_ns, base_ns = self._first
        # Each from its own start: where threads ended before we came, the
        # two are apart for good.
        self.shown_ns = max(self.shown_ns,
                            base_ns + threads_ns - first_threads_ns,
                            base_ns + times_ns - first_times_ns)
        return self.shown_ns

    def _times_ns(self) -> int | None:
        """User and system time; None: not now.

        :raises _Gone: when the process has ended.
        """
        try:
            stat = _stat(self._procfs_path, self._pid)
        except (OSError, ValueError) as error:
            if not os.path.isdir(f'{self._procfs_path}/{self._pid}'):
                raise _Gone from error
            return None
        if stat.start != self._start or stat.state in 'ZX':
            raise _Gone
        return stat.jiffies * host.JIFFY_NS

    def _schedstat(self) -> dict[str, int]:
        task = f'{self._procfs_path}/{self._pid}/task'
        found = {}
        try:
            for thread in os.listdir(task):
                try:
                    found[thread] = max(
                        kernel.count(_read(
                            f'{task}/{thread}/schedstat').split()[0]),
                        self._threads.get(thread, 0))
                except (OSError, ValueError, IndexError):
                    continue
        except OSError:
            pass
        return found


# --- a guest ----------------------------------------------------------------

@dataclasses.dataclass(slots=True, eq=False)
class _Guest:
    """One life of a guest."""

    pid: int
    start: int
    machine: qemu.Machine
    cpu: _Cpu
    incarnation: str
    started_ns: int
    pidfd: int | None = None
    parent: pathlib.Path | None = None
    parent_name: str | None = None
    service: str | None = None
    reads: int = 0
    vhost_ns: int = 0
    noted_ns: int | None = None
    final_ns: int | None = None
    ended_ns: int | None = None

    def reading(self, cpu_ns: int | None,
                identity: Identity) -> samples.GuestReading:
        vcpus, memory_mib = identity.vcpus, identity.memory_mib
        return samples.GuestReading(
            self.machine.instance_id, self.incarnation, self.started_ns,
            cpu_ns, self.machine.vcpus if vcpus is None else vcpus,
            self.machine.memory_mib if memory_mib is None else memory_mib,
            identity.project_id, identity.flavor, identity.user_id,
            self.parent_name, self.service, self.ended_ns)


def _boottime_ns() -> int:
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)


class Processes:
    """The QEMU processes of a host.

    A thread waits for their ends, to read each one's CPU time between its
    end and its reaping.

    :ivar generation: grows with every guest that comes or goes.
    :param boottime_ns: CLOCK_BOOTTIME, to stamp an end with.
    """

    def __init__(self, procfs_path: pathlib.Path,
                 cgroups: cgroup_trees.Cgroups,
                 services: cgroup_trees.Services,
                 boottime_ns: Callable[[], int] = _boottime_ns) -> None:
        self._procfs_path = procfs_path
        self._cgroups = cgroups
        self._services = services
        self._boottime_ns = boottime_ns
        self._lock = threading.RLock()
        # Names in procfs that are no guest, and those of them that may soon
        # be one, with the looks left.
        self._others: set[str] = set()
        self._young: dict[str, int] = {}
        self._guests: dict[int, _Guest] = {}
        self._names: set[str] = set()
        self.generation = 0
        self._vhosts: dict[int, dict[int, tuple[int, _Cpu]]] = {}
        self._ended: deque[_Guest] = deque()
        self._parents: dict[str, pathlib.Path] = {}
        self._turn = 0
        self._unreadable = 0
        self._watch = _Watch(self._finish) if _clocks_work(
            procfs_path) else None

    def read(self, identities: Mapping[str, Identity] | None = None,
             look: bool = True) -> guests.GuestsNow:
        """All guests now.

        :param identities: what is known of them, by instance.
        :param look: find new ones first.
        """
        known = identities or {}
        with self._lock:
            if look:
                self.look()
            before = list(self._guests.values())
            live = self._cpu_ns(before)
            if look and self._watch is None and len(live) < len(before):
                # Nobody tells of an end here: who is at a PID that is used
                # again is seen only when the one before is gone.
                self.look()
                live += self._cpu_ns([
                    guest for guest in self._guests.values()
                    if guest not in before])
            if self._watch is not None:
                # Whoever ended up to here: its clock may be another's.
                self._watch.handle(0)
            readings = []
            for guest, cpu_ns in live:
                if guest.ended_ns is None:
                    guest.reads += 1
                    if (guest.reads <= _PLACING_READS
                            or guest.reads % _ROUND == 0):
                        self._place(guest)
                    guest.noted_ns = None
                    readings.append(guest.reading(cpu_ns, known.get(
                        guest.machine.instance_id, NOBODY)))
            ended = []
            while self._ended:
                guest = self._ended.popleft()
                ended.append(guest.reading(guest.final_ns, known.get(
                    guest.machine.instance_id, NOBODY)))
            return guests.GuestsNow(tuple(readings), tuple(ended),
                                    self._parents_cpu_ns())

    def _cpu_ns(self, wanted: list[_Guest],
                ) -> list[tuple[_Guest, int | None]]:
        """The CPU time of each guest that is still there."""
        live = []
        for guest in wanted:
            try:
                cpu_ns = guest.cpu.read()
            except _Gone:
                self._finish(guest)
                continue
            if cpu_ns is not None and self._vhosts:
                cpu_ns += self._vhost_ns(guest)
            live.append((guest, cpu_ns))
        return live

    def instances(self) -> dict[str, str]:
        """The incarnation of each guest that was there at the last look."""
        with self._lock:
            return {guest.machine.instance_id: guest.incarnation
                    for guest in self._guests.values()}

    def look(self, again: bool = False) -> None:
        """Find new guests.

        :param again: look at every process once more.
        """
        with self._lock:
            if again:
                self._others.clear()
            try:
                names = set(os.listdir(self._procfs_path))
            except OSError as error:
                LOG.error('%s cannot be listed: %s', self._procfs_path,
                          error)
                return
            self._turn = (self._turn + 1) % _ROUND
            self._others &= names
            for name in self._names - names:
                self._finish(self._guests[int(name)])
            unreadable = self._unreadable
            due = names - self._others - self._names
            due.update(self._young)
            due.update(itertools.islice(self._others, self._turn, None,
                                        _ROUND))
            for name in due:
                if name not in names:
                    self._young.pop(name, None)
                elif name.isascii() and name.isdigit():
                    self._examine(name)
                else:
                    self._others.add(name)
            if self._unreadable > unreadable:
                LOG.warning('The command lines of %d processes could not be '
                            'read so far: a guest among them is not seen',
                            self._unreadable)

    def close(self) -> None:
        if self._watch is not None:
            self._watch.close()
        with self._lock:
            for guest in self._guests.values():
                if guest.pidfd is not None:
                    os.close(guest.pidfd)
            self._guests.clear()

    # --- finding ------------------------------------------------------------

    def _examine(self, name: str) -> None:
        """Look at a process: a guest, a guest's helper, or neither."""
        if name not in self._others:
            self._others.add(name)
            self._young[name] = _YOUNG_READS
        elif self._young.get(name, 0) > 1:
            self._young[name] -= 1
        else:
            self._young.pop(name, None)
        pid = int(name)
        pidfd = None
        try:
            found = self._machine(pid)
            if found is None:
                return
            if self._watch is not None:
                pidfd = os.pidfd_open(pid)
            stat = _stat(self._procfs_path, pid)
            if self._machine(pid) != found or stat.state in 'ZX':
                raise ProcessLookupError
            above = self._guests.get(stat.ppid)
            if above is not None and above.machine == found:
                # QEMU's child, about to become a helper.
                raise ProcessLookupError
        except (FileNotFoundError, ProcessLookupError):
            # Gone meanwhile, or another by now: the next look tells.
            self._others.discard(name)
            if pidfd is not None:
                os.close(pidfd)
            return
        except (OSError, ValueError) as error:
            LOG.debug('Process %d cannot be looked at: %s', pid, error)
            self._unreadable += 1
            if pidfd is not None:
                os.close(pidfd)
            return
        self._others.discard(name)
        self._young.pop(name, None)
        guest = _Guest(
            pid, stat.start, found,
            _Clock(pid) if self._watch is not None
            else _Files(self._procfs_path, pid, stat.start),
            f'{pid}-{stat.start}', stat.start * host.JIFFY_NS, pidfd)
        self._guests[pid] = guest
        self._names.add(name)
        self.generation += 1
        self._place(guest)
        if self._watch is not None:
            self._watch.add(guest)

    def _machine(self, pid: int) -> qemu.Machine | None:
        line = _read(f'{self._procfs_path}/{pid}/cmdline')
        if not line:
            self._examine_kernel_thread(pid)
        if b'\0-uuid\0' not in line:
            return None
        return qemu.machine(line.decode('utf-8', 'replace').split('\0'))

    def _examine_kernel_thread(self, pid: int) -> None:
        stat = _stat(self._procfs_path, pid)
        match = _VHOST.match(stat.comm)
        # The name alone could be anybody's.
        if match and stat.flags & _PF_KTHREAD:
            self._vhosts.setdefault(int(match[1]), {}).setdefault(
                pid, (stat.start, _Files(self._procfs_path, pid,
                                         stat.start)))

    def _vhost_ns(self, guest: _Guest) -> int:
        """CPU time of a guest's kernel threads; never falls."""
        threads = self._vhosts.get(guest.pid)
        if not threads:
            return guest.vhost_ns
        total_ns = 0
        for start, cpu in threads.values():
            if start < guest.start:
                continue
            try:
                total_ns += cpu.read() or 0
            except _Gone:
                if isinstance(cpu, _Files):
                    total_ns += cpu.shown_ns
        guest.vhost_ns = max(guest.vhost_ns, total_ns)
        return guest.vhost_ns

    def _place(self, guest: _Guest) -> None:
        """Note the cgroups around a guest, which may still change."""
        directories = self._cgroups.directories(guest.pid)
        if not directories and guest.parent is not None:
            return
        guest.parent = self._cgroups.parent(guest.pid, directories)
        guest.parent_name = None
        guest.service = self._services.of(directories)
        if guest.parent is not None:
            guest.parent_name = self._cgroups.name(guest.parent)
            self._parents[guest.parent_name] = guest.parent

    def _parents_cpu_ns(self) -> dict[str, int]:
        found = {}
        for name, directory in list(self._parents.items()):
            used_ns = cgroup_trees.cpu_ns(directory)
            if used_ns is None:
                del self._parents[name]
            else:
                found[name] = used_ns
        return found

    # --- ends ---------------------------------------------------------------

    def _finish(self, guest: _Guest) -> None:
        """A guest's process has ended; it may not be reaped yet."""
        with self._lock:
            if guest.pidfd is None:
                self._forget(guest)
                return
            # A descriptor's number may be another guest's by now.
            if not _has_ended(guest.pidfd):
                return
            guest.ended_ns = self._boottime_ns()
            guest.final_ns = guest.noted_ns
            try:
                final_ns = guest.cpu.read()
                if final_ns is not None and _unreaped(guest.pidfd):
                    guest.final_ns = final_ns + self._vhost_ns(guest)
            except _Gone:
                LOG.debug('Guest %s was reaped before its last CPU time '
                          'could be read', guest.machine.instance_id)
            if guest.final_ns is not None:
                self._ended.append(guest)
            self._forget(guest)

    def note(self, instance_id: str) -> None:
        """Keep a guest's CPU time now: it is about to end."""
        with self._lock:
            for guest in self._guests.values():
                if guest.machine.instance_id == instance_id:
                    try:
                        cpu_ns = guest.cpu.read()
                    except _Gone:
                        continue
                    if cpu_ns is not None:
                        guest.noted_ns = cpu_ns + self._vhost_ns(guest)

    def _forget(self, guest: _Guest) -> None:
        if self._guests.get(guest.pid) is guest:
            del self._guests[guest.pid]
            self._names.discard(str(guest.pid))
            self.generation += 1
            self._vhosts.pop(guest.pid, None)
        if guest.pidfd is not None:
            if self._watch is not None:
                self._watch.remove(guest)
            os.close(guest.pidfd)
            guest.pidfd = None


def _has_ended(pidfd: int) -> bool:
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    return bool(poll.poll(0))


def _unreaped(pidfd: int) -> bool:
    """Whether the process is still there, as a zombie at least."""
    try:
        signal.pidfd_send_signal(pidfd, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        # Not ours to signal, but there.
        return True
    return True


def _clocks_work(procfs_path: pathlib.Path) -> bool:
    """Whether the PIDs in procfs are those of our system calls."""
    own = os.getpid()
    try:
        text = (procfs_path / 'self/status').read_text()
        spaces = dict(line.split(':', 1) for line in text.splitlines())
        if spaces['NSpid'].split() != [str(own)]:
            return False
        os.close(os.pidfd_open(own))
    except (OSError, ValueError, KeyError, AttributeError):
        return False
    return True


class _Watch:
    """A thread that hears of the end of processes."""

    def __init__(self, finish: Callable[[_Guest], None]) -> None:
        self._finish = finish
        self._guests: dict[int, _Guest] = {}
        self._epoll = select.epoll()
        self._stop = os.eventfd(0, os.EFD_CLOEXEC)
        self._epoll.register(self._stop, select.EPOLLIN)
        self._thread = threading.Thread(
            target=self._run, name='guest-ends', daemon=True)
        self._thread.start()

    def add(self, guest: _Guest) -> None:
        if guest.pidfd is not None:
            self._guests[guest.pidfd] = guest
            self._epoll.register(guest.pidfd, select.EPOLLIN)

    def remove(self, guest: _Guest) -> None:
        if guest.pidfd in self._guests:
            del self._guests[guest.pidfd]
            self._epoll.unregister(guest.pidfd)

    def handle(self, timeout_seconds: float | None) -> bool:
        """Finish whoever has ended; whether to go on."""
        for fd, _ in self._epoll.poll(timeout_seconds):
            if fd == self._stop:
                return False
            guest = self._guests.get(fd)
            if guest is not None:
                self._finish(guest)
        return True

    def close(self) -> None:
        os.eventfd_write(self._stop, 1)
        self._thread.join()
        self._epoll.close()
        os.close(self._stop)

    def _run(self) -> None:
        while self.handle(None):
            pass
