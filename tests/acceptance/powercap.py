# SPDX-License-Identifier: Apache-2.0
"""A powercap tree that follows this machine's real CPU use, and its truth.

For machines without RAPL.  Run as a program it makes the tree, moves its
counters until SIGTERM and writes every movement to ``truth.jsonl``; the
class :class:`Tree` starts that program and reads the truth.  Integers only:
the log says what the counters did to the microjoule.

A package draws ``IDLE_UW`` always and ``BUSY_UW`` for each of its CPUs that
works; its DRAM draws likewise.  As in the kernel, core is a part of package
and dram is not.  Files are rewritten in place.
"""

from __future__ import annotations

import argparse
import json
import os
import pathlib
import signal
import subprocess
import sys
import time
from typing import Any

PACKAGES = 2
IDLE_UW, BUSY_UW = 3_000_000, 14_000_000
DRAM_IDLE_UW, DRAM_BUSY_UW = 1_000_000, 2_000_000
STEP_SECONDS = 0.02
NS = 1_000_000_000
MAX_UW = IDLE_UW + BUSY_UW * (os.cpu_count() or 1)
# Seconds at that power until a counter wraps.
RANGE_SECONDS = 60
_JIFFY_NS = NS // os.sysconf('SC_CLK_TCK')


class Zone:
    """One counter: moves by whole microjoules and wraps."""

    def __init__(self, parent: pathlib.Path, zone_id: str, name: str,
                 range_uj: int, first_uj: int) -> None:
        self.id, self.name, self.range_uj = zone_id, name, range_uj
        self.path = parent / zone_id
        self.path.mkdir()
        self.counter_uj, self.total_uj, self.wraps = first_uj, 0, 0
        self._rest = 0
        for file, value in (('name', name), ('enabled', 1),
                            ('max_energy_range_uj', range_uj),
                            ('constraint_0_name', 'long_term'),
                            ('constraint_0_max_power_uw', MAX_UW)):
            (self.path / file).write_text(f'{value}\n')
        self._file = os.open(self.path / 'energy_uj',
                             os.O_WRONLY | os.O_CREAT, 0o444)
        self._store()

    def add(self, energy: int) -> None:
        """Move the counter by microwatts times nanoseconds."""
        moved, self._rest = divmod(energy + self._rest, NS)
        self.total_uj += moved
        wraps, self.counter_uj = divmod(self.counter_uj + moved,
                                        self.range_uj)
        self.wraps += wraps
        if moved:
            self._store()

    def _store(self) -> None:
        # Of one length, so that a shorter number leaves nothing behind.
        os.pwrite(self._file, b'%d' % self.counter_uj + b'\n' * (
            20 - len(str(self.counter_uj))), 0)


def busy_ns() -> list[int]:
    """CPU time of each CPU since boot: user to softirq, without iowait."""
    found = []
    with open('/proc/stat') as file:
        for line in file:
            if line.startswith('cpu') and line[3].isdigit():
                ticks = [int(text) for text in line.split()[1:8]]
                found.append((sum(ticks) - ticks[3] - ticks[4]) * _JIFFY_NS)
    return found


class Machine:
    """All zones, what they follow, and the log."""

    def __init__(self, root: pathlib.Path) -> None:
        range_uj = MAX_UW * RANGE_SECONDS
        control = root / 'devices/virtual/powercap/intel-rapl'
        flat = root / 'class/powercap'
        control.mkdir(parents=True)
        flat.mkdir(parents=True)
        # The rest of sysfs is the machine's own.
        (root / 'devices/system').symlink_to('/sys/devices/system')
        (control / 'enabled').write_text('1\n')
        self.zones: list[list[Zone]] = []
        for number in range(PACKAGES):
            package = Zone(control, f'intel-rapl:{number}',
                           f'package-{number}', range_uj,
                           # Soon at its end.
                           range_uj - 1_000_000 * (number + 1))
            self.zones.append([package] + [
                Zone(package.path, f'intel-rapl:{number}:{index}', name,
                     range_uj, range_uj // 2)
                for index, name in enumerate(('core', 'dram'))])
        for zone in self._all():
            (flat / zone.id).symlink_to(
                os.path.relpath(zone.path, flat))
        (flat / 'intel-rapl').symlink_to(os.path.relpath(control, flat))
        self.dynamic_uwns = 0
        self.busy_ns = 0
        self._log = (root / 'truth.jsonl').open('w', buffering=1)
        self._before_ns = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
        self._before_busy_ns = busy_ns()

    def _all(self) -> list[Zone]:
        return [zone for package in self.zones for zone in package]

    def step(self, moving: bool) -> None:
        """Follow the machine for the time since the last step."""
        now_ns = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
        now_busy_ns = busy_ns()
        if moving:
            self._move(now_ns - self._before_ns, [
                max(0, now - before) for now, before in zip(
                    now_busy_ns, self._before_busy_ns, strict=True)])
        self._before_ns, self._before_busy_ns = now_ns, now_busy_ns

    def _move(self, duration_ns: int, busy: list[int]) -> None:
        for number, (package, core, dram) in enumerate(self.zones):
            used_ns = sum(busy[number::PACKAGES])
            package.add(IDLE_UW * duration_ns + BUSY_UW * used_ns)
            core.add(BUSY_UW * used_ns)
            dram.add(DRAM_IDLE_UW * duration_ns + DRAM_BUSY_UW * used_ns)
            self.dynamic_uwns += BUSY_UW * used_ns
            self.busy_ns += used_ns

    def note(self, event: str) -> None:
        """A line of the truth."""
        self._log.write(json.dumps({
            'event': event, 'wall_ns': time.time_ns(),
            'busy_ns': self.busy_ns,
            'dynamic_uj': self.dynamic_uwns // NS,
            'zones': {zone.id: {
                'name': zone.name, 'total_uj': zone.total_uj,
                'counter_uj': zone.counter_uj, 'wraps': zone.wraps}
                for zone in self._all()}}) + '\n')


def main() -> None:
    """Run until SIGTERM; SIGUSR1 lets the counters move, SIGUSR2 holds.

    Both take effect just after a multiple of ``--align`` seconds, so that
    a reader that ticks at those sees next to no partly moved tick.
    """
    parser = argparse.ArgumentParser()
    parser.add_argument('root', type=pathlib.Path)
    parser.add_argument('--align', type=int, default=1)
    arguments = parser.parse_args()
    machine = Machine(arguments.root)
    wanted, ended = [False], []
    signal.signal(signal.SIGUSR1, lambda *_: wanted.__setitem__(0, True))
    signal.signal(signal.SIGUSR2, lambda *_: wanted.__setitem__(0, False))
    signal.signal(signal.SIGTERM, lambda *_: ended.append(True))
    moving = False
    machine.note('held')
    while not ended:
        time.sleep(STEP_SECONDS)
        machine.step(moving)
        into_ns = time.time_ns() % (arguments.align * NS)
        if wanted[0] != moving and NS // 10 < into_ns < NS // 3:
            moving = wanted[0]
            machine.note('moving' if moving else 'held')
    machine.note('ended')


class Tree:
    """The program above, running.

    :param align: seconds; see :func:`main`.
    """

    def __init__(self, root: pathlib.Path, *, align: int) -> None:
        self.root = root
        root.mkdir()
        self.log = root / 'truth.jsonl'
        self._process = subprocess.Popen(
            ['setpriv', '--pdeathsig', 'TERM', sys.executable, __file__,
             str(root), '--align', str(align)])
        self._await('held', 1)

    def go(self) -> dict[str, Any]:
        """Let the counters move; the truth at that moment."""
        return self._change(signal.SIGUSR1, 'moving')

    def hold(self) -> dict[str, Any]:
        """Hold the counters; the truth at that moment."""
        return self._change(signal.SIGUSR2, 'held')

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait()

    def _change(self, number: signal.Signals, event: str) -> dict[str, Any]:
        seen = len(self._events(event))
        self._process.send_signal(number)
        return self._await(event, seen + 1)

    def _await(self, event: str, count: int) -> dict[str, Any]:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            found = self._events(event)
            if len(found) >= count:
                return found[count - 1]
            if self._process.poll() is not None:
                raise RuntimeError('the powercap tree ended')
            time.sleep(0.005)
        raise TimeoutError(f'the powercap tree does not say {event!r}')

    def _events(self, event: str) -> list[dict[str, Any]]:
        if not self.log.exists():
            return []
        lines = self.log.read_text().splitlines(keepends=True)
        found = [json.loads(line) for line in lines if line.endswith('\n')]
        return [entry for entry in found if entry['event'] == event]


if __name__ == '__main__':
    main()
