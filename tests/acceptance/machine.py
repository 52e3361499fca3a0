# SPDX-License-Identifier: Apache-2.0
"""A machine of files that is moved from outside, and the service on it.

:class:`Machine` is what the kernel would show: powercap, procfs and
cgroups, always consistent with each other.  :class:`Service` is
``energy-accounting-standalone`` as it is installed, which reads them.  A
step stops the process between two of its ticks, so that every tick sees
either all of a change or nothing of it, however busy this computer is: then
each figure can be predicted to the microjoule.  Of the service only the
API, the command line client and the exit status are looked at.
"""

from __future__ import annotations

import ctypes
import datetime
import decimal
import json
import os
import pathlib
import select
import signal
import struct
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from collections.abc import Callable
from typing import Any

from tests import servers
from tests.unit import fakes

BIN = pathlib.Path(sys.executable).parent
HOST = 'fake'
# Long enough for a computer that is busy with something else.
SECONDS = 240
J = 1_000_000
_UJ_PER_KWH = 3_600_000_000_000
_JIFFY_MS = 1000 // fakes.USER_HZ
_SLICE = '/machine.slice'
_IN_ACCESS = 0x1
# The tests run as root, to whom every file can be read: not so here.
_NO_OVERRIDE = '-dac_override,-dac_read_search'


class Machine(fakes.FakeHost):
    """A host with two threads whose every CPU second has an owner.

    :param packages: so many zones ``package-N`` that hold ``first_uj``.
    :ivar emitted_uj: what all of them drew.
    """

    def __init__(self, root: pathlib.Path, *, packages: int = 1,
                 first_uj: int = 5 * J) -> None:
        super().__init__(root)
        self.packages(packages, dram=False)
        self._counters = dict.fromkeys(
            (f'intel-rapl:{number}' for number in range(packages)), first_uj)
        self.emitted_uj = 0
        self._busy_ms = 0
        self._used_ms: dict[int, int] = {}
        self._starts: dict[int, int] = {}
        self._cgroups: dict[str, int] = {}
        self._places: dict[int, str] = {}
        for number in range(packages):
            self.heat(0, number)

    # --- energy -------------------------------------------------------------

    def heat(self, energy_uj: int, package: int = 0) -> None:
        """A package draws that much; its counter wraps as the kernel's."""
        zone = f'intel-rapl:{package}'
        self._counters[zone] = (
            self._counters[zone] + energy_uj) % fakes.INTEL_RANGE_UJ
        self.emitted_uj += energy_uj
        if self.energy_path(zone).exists():
            self.energy(zone, self._counters[zone])

    def hide(self, package: int = 0) -> None:
        """Its counter cannot be read."""
        self.energy_path(f'intel-rapl:{package}').unlink()

    def blank(self, package: int = 0) -> None:
        """Its counter reads as nothing."""
        self.energy(f'intel-rapl:{package}', '')

    def show(self, package: int = 0) -> None:
        """Its counter can be read again."""
        zone = f'intel-rapl:{package}'
        self.energy(zone, self._counters[zone])

    def clear(self) -> None:
        """Firmware sets every counter to 0."""
        for number, zone in enumerate(self._counters):
            self._counters[zone] = 0
            self.show(number)

    def boot(self, boot_id: str) -> None:
        """All guests are gone, and everything begins at 0."""
        for pid in list(self._places):
            self.die(pid)
        self.clear()
        self._cgroups = dict.fromkeys(self._cgroups, 0)
        for path in self._cgroups:
            self.cgroup(path)
        self._busy_ms = 0
        self.stat()
        fakes.write(self.procfs / 'sys/kernel/random/boot_id',
                    f'{boot_id}\n')

    # --- guests -------------------------------------------------------------

    def start(self, pid: int, instance_id: str, *, cgroup: str | None = None,
              started_ns: int = 10_000_000_000, **options: Any) -> None:
        """A guest in a scope as libvirt makes it.

        :param started_ns: boottime; by default it is older than we.
        """
        place = cgroup or f'{_SLICE}/machine-qemu-{pid}.scope'
        start = started_ns * fakes.USER_HZ // 10**9
        self._starts[pid], self._used_ms[pid] = start, 0
        self._places[pid] = place
        for path in _upwards(place):
            self._cgroups.setdefault(path, 0)
            self.cgroup(path, self._cgroups[path] * 1_000_000)
        self.qemu(pid, instance_id, start=start, cgroup=place, **options)

    def run(self, pid: int, ms: int) -> None:
        """A guest uses CPU time."""
        self._used_ms[pid] += ms
        self.times(pid, start=self._starts[pid],
                   user=self._used_ms[pid] // _JIFFY_MS)
        self.work(ms, self._places[pid])

    def work(self, ms: int, cgroup: str = '/') -> None:
        """Something in a cgroup uses CPU time."""
        for path in _upwards(cgroup):
            self._cgroups[path] = self._cgroups.get(path, 0) + ms
            self.cgroup(path, self._cgroups[path] * 1_000_000)
        self._busy_ms += ms
        self.stat(user=self._busy_ms // _JIFFY_MS)

    def die(self, pid: int) -> None:
        """A guest is gone, and its scope with it."""
        self.end(pid)
        place = self._places.pop(pid)
        self.end_cgroup(place)
        del self._cgroups[place]

    def garble(self, pid: int, text: str) -> None:
        """``/proc/PID/stat`` reads so, until the guest runs again."""
        fakes.write(self.procfs / str(pid) / 'stat', text)


def _upwards(cgroup: str) -> list[str]:
    """A cgroup and those around it, without the root."""
    parts = cgroup.strip('/').split('/') if cgroup.strip('/') else []
    return ['/' + '/'.join(parts[:count])
            for count in range(1, len(parts) + 1)]


class _Watch:
    """Hears of every reading of a file (inotify(7))."""

    def __init__(self, path: pathlib.Path) -> None:
        library = ctypes.CDLL(None, use_errno=True)
        self._fd = library.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        if self._fd < 0 or library.inotify_add_watch(
                self._fd, os.fsencode(path), _IN_ACCESS) < 0:
            raise OSError(ctypes.get_errno(), 'inotify')

    def heard(self) -> int:
        """How many readings there were since it was asked last."""
        count = 0
        while True:
            try:
                count += len(os.read(self._fd, 65536)) // struct.calcsize(
                    'iIII')
            except BlockingIOError:
                return count

    def wait(self) -> bool:
        """Whether there is a reading to hear of, within a second."""
        poll = select.poll()
        poll.register(self._fd, select.POLLIN)
        return bool(poll.poll(1000))

    def close(self) -> None:
        os.close(self._fd)


class Service:
    """``energy-accounting-standalone`` on a machine of files.

    :param options: of ``[notifier]``.
    """

    def __init__(self, machine: Machine, where: pathlib.Path, port: int,
                 **options: Any) -> None:
        self.machine = machine
        self._where = where
        self._watch = _Watch(machine.procfs / 'stat')
        self._log = where / 'log'
        self.url = f'http://{servers.LOOPBACK}:{port}'
        notifier = {
            **machine.options(), 'guests': 'procfs', 'tick_seconds': 1,
            'window_seconds': 10, 'policy': 'proportional/1', **options}
        config = where / 'standalone.conf'
        config.write_text(
            f'[DEFAULT]\nhost = {HOST}\n[notifier]\n' + ''.join(
                f'{name} = {value}\n' for name, value in notifier.items()))
        command = ['setpriv', '--pdeathsig', 'TERM']
        if os.geteuid() == 0:
            command += ['--bounding-set', _NO_OVERRIDE]
        with self._log.open('wb') as log:
            self._process = subprocess.Popen(
                [*command, BIN / 'energy-accounting-standalone',
                 '--config-file', config, '--state-path', where / 'state',
                 '--port', str(port)],
                stdout=log, stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL)

    @property
    def log(self) -> str:
        return self._log.read_text()

    def begin(self) -> None:
        """Wait for its first reading, and for one tick after it."""
        self._await_tick()
        self._await_tick()

    def step(self, *changes: Callable[[], object]) -> None:
        """Change the machine between two ticks; return after the second.

        :raises AssertionError: when the process has ended, or stands still.
        """
        while True:
            self._await_rest()
            os.kill(self._process.pid, signal.SIGSTOP)
            os.waitid(os.P_PID, self._process.pid, os.WSTOPPED)
            if not self._watch.heard():
                break
            # A tick had just begun: it is not to see half of it.
            os.kill(self._process.pid, signal.SIGCONT)
        try:
            for change in changes:
                change()
            self._watch.heard()
        finally:
            os.kill(self._process.pid, signal.SIGCONT)
        self._await_tick()

    def _await_tick(self) -> None:
        self._until('a tick', self._watch.wait)
        self._await_rest()

    def _await_rest(self) -> None:
        """Wait until no tick is going on."""
        def rests() -> bool:
            self._watch.heard()
            if not self._sleeps():
                return False
            time.sleep(0.02)
            return self._sleeps() and not self._watch.heard()

        self._until('a rest', rests)

    def _sleeps(self) -> bool:
        """Whether each of its threads waits for something."""
        task = pathlib.Path(f'/proc/{self._process.pid}/task')
        try:
            return all(
                (thread / 'stat').read_text().rpartition(') ')[2][0] == 'S'
                for thread in task.iterdir())
        except FileNotFoundError:
            return False

    def _until(self, what: str, look: Callable[[], Any]) -> Any:
        deadline = time.monotonic() + SECONDS
        while True:
            found = look()
            if found:
                return found
            if self._process.poll() is not None:
                raise AssertionError(f'the process ended:\n{self.log}')
            if time.monotonic() > deadline:
                raise AssertionError(f'{what}: not within {SECONDS} s:\n'
                                     f'{self.log}')
            time.sleep(0.05)

    # --- what it says -------------------------------------------------------

    def get(self, path: str, **query: str) -> Any:
        if query:
            path = f'{path}?{urllib.parse.urlencode(query)}'
        with urllib.request.urlopen(self.url + path, timeout=30) as answer:
            return json.load(answer)

    def settle(self) -> None:
        """Wait until everything up to now is booked."""
        now = datetime.datetime.now(datetime.UTC)

        def booked() -> bool:
            for host in self.get('/v1/hosts')['hosts']:
                end = host['last_window_end']
                if end and datetime.datetime.fromisoformat(end) > now:
                    return True
            time.sleep(0.2)
            return False

        self._until('the window that is open', booked)

    def balance(self) -> dict[str, Any]:
        """The balance sheet of the last day."""
        return self.get('/v1/balance', **day())['balance']

    def shares(self) -> dict[str, int]:
        """Microjoules by instance, service and reason."""
        found = {}
        for row in self.get('/v1/usage', group_by='account,instance',
                            all_projects='true', **day())['usage']:
            name = row['instance_id'] or row['account']
            found[name] = found.get(name, 0) + microjoules(row['it_kwh'])
        found.pop('unallocated', None)
        for reason, energy in self.balance()[
                'unallocated_by_reason'].items():
            found[reason] = int(energy['energy_uj'])
        return {name: energy_uj for name, energy_uj in found.items()
                if energy_uj}

    def openstack(self, *words: str) -> Any:
        """What ``openstack energy ... -f json`` prints."""
        environment = {name: value for name, value in os.environ.items()
                       if not name.startswith('OS_')}
        done = subprocess.run(
            [BIN / 'openstack', '--os-auth-type', 'none', '--os-endpoint',
             self.url, 'energy', *words, '-f', 'json'],
            capture_output=True, text=True, env=environment, timeout=SECONDS,
            check=True)
        return json.loads(done.stdout)

    def end(self) -> int:
        """Stop it as an operator does; its exit status."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
        return self._process.wait(SECONDS)

    def kill(self) -> None:
        self._watch.close()
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()


def day() -> dict[str, str]:
    """The query of a day that ends with this quarter of an hour."""
    now = datetime.datetime.now(datetime.UTC)
    quarter = now.replace(minute=now.minute // 15 * 15, second=0,
                          microsecond=0)
    return {'start': (quarter - datetime.timedelta(days=1)).isoformat(),
            'end': (quarter + datetime.timedelta(minutes=15)).isoformat()}


def microjoules(kwh: str) -> int:
    """The whole number of microjoules that a figure in kWh stands for."""
    energy_uj = decimal.Decimal(kwh) * _UJ_PER_KWH
    nearest = int(energy_uj.to_integral_value())
    # 15 decimal places hold 3.6 microjoules' thousandth.
    if abs(energy_uj - nearest) > decimal.Decimal('0.01'):
        raise AssertionError(f'{kwh} kWh is no number of microjoules')
    return nearest
