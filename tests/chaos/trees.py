# SPDX-License-Identifier: Apache-2.0
"""Hosts made of files whose counters move by whole, known microjoules.

The truth of a run: what each counter moved, and what CPU time each guest
used.  Nothing here knows what anybody read of it.
"""

from __future__ import annotations

import os
import pathlib
import random
import threading
import time
import uuid

from tests.unit import fakes

NS = 1_000_000_000
JIFFY_NS = NS // fakes.USER_HZ

PACKAGES = 2
CPUS = 8
GUESTS = 4
# The most a package may draw as configured, and what it does draw.
PACKAGE_MAX_UW = 200_000_000
PACKAGE_UW = (20_000_000, 150_000_000)
# The most the notifier grants a memory zone is fixed.
MEMORY_MAX_UW = 300_000_000
MEMORY_UW = (5_000_000, 40_000_000)
# No gap of that length can hide a wrap, so each can be booked exactly.
LONGEST_GAP_SECONDS = 300
# Each counter wraps first this soon, at its mean power.
FIRST_WRAP_SECONDS = 20
# A reader at the full second never meets a number that is half written.
_QUIET_NS = (NS // 4, NS * 9 // 10)
_STEP_SECONDS = 0.15


class Zone:
    """One counter and all it ever moved."""

    def __init__(self, host: fakes.FakeHost, zone_id: str, name: str,
                 max_uw: int, draws_uw: tuple[int, int]) -> None:
        self.range_uj = max_uw * LONGEST_GAP_SECONDS
        self.draws_uw = draws_uw
        self.counter_uj = (self.range_uj
                           - sum(draws_uw) // 2 * FIRST_WRAP_SECONDS)
        self.total_uj = self.wraps = 0
        self.power_uw = sum(draws_uw) // 2
        self._rest = 0
        path = host.zone(zone_id, name, range_uj=self.range_uj,
                         long_term_uw=max_uw)
        self._fd = os.open(path / 'energy_uj', os.O_WRONLY)
        self._write()

    def step(self, duration_ns: int, chance: random.Random) -> None:
        """Draw power for a time; the power wanders."""
        least_uw, most_uw = self.draws_uw
        wander_uw = (most_uw - least_uw) // 8
        self.power_uw = min(most_uw, max(least_uw, self.power_uw
                            + chance.randint(-wander_uw, wander_uw)))
        moved_uj, self._rest = divmod(
            self.power_uw * duration_ns + self._rest, NS)
        self.total_uj += moved_uj
        wraps, self.counter_uj = divmod(self.counter_uj + moved_uj,
                                        self.range_uj)
        self.wraps += wraps
        self._write()

    def _write(self) -> None:
        # Of one length, so that a shorter number leaves nothing behind.
        os.pwrite(self._fd, b'%d' % self.counter_uj + b'\n' * (
            20 - len(str(self.counter_uj))), 0)


class Guest:
    """A guest that uses whole jiffies, so that all its files agree."""

    def __init__(self, host: fakes.FakeHost, number: int,
                 chance: random.Random) -> None:
        self.instance_id = str(uuid.UUID(int=chance.getrandbits(128)))
        self.weight = number + 1
        self.jiffies = 1000
        self._host, self._pid = host, 4000 + number
        host.qemu(self._pid, self.instance_id,
                  name=f'instance-{number:08x}', user=self.jiffies,
                  threads_ns={self._pid: self.jiffies * JIFFY_NS})
        self.first_jiffies = self.jiffies

    @property
    def cpu_ns(self) -> int:
        """CPU time since the tree was made."""
        return (self.jiffies - self.first_jiffies) * JIFFY_NS

    def step(self, jiffies: int) -> None:
        self.jiffies += jiffies
        self._host.threads(self._pid, {self._pid: self.jiffies * JIFFY_NS})
        self._host.times(self._pid, user=self.jiffies)


class Tree:
    """The files of one host."""

    def __init__(self, root: pathlib.Path, chance: random.Random) -> None:
        self.files = fakes.FakeHost(root)
        self._chance = chance
        self._busy_jiffies = 0
        self.zones: dict[str, Zone] = {}
        for number in range(PACKAGES):
            zone_id = f'intel-rapl:{number}'
            self.zones[f'package-{number}'] = Zone(
                self.files, zone_id, f'package-{number}', PACKAGE_MAX_UW,
                PACKAGE_UW)
            self.zones[f'dram-{number}'] = Zone(
                self.files, f'{zone_id}:0', 'dram', MEMORY_MAX_UW, MEMORY_UW)
        self.guests = [Guest(self.files, number, chance)
                       for number in range(GUESTS)]
        self._write_stat()

    def step(self, duration_ns: int) -> None:
        """Let everything go on for a time."""
        for zone in self.zones.values():
            zone.step(duration_ns, self._chance)
        limit = duration_ns // JIFFY_NS
        for guest in self.guests:
            used = self._chance.randint(0, limit) * guest.weight // GUESTS
            if used:
                guest.step(used)
            self._busy_jiffies += used
        self._busy_jiffies += self._chance.randint(0, limit)
        self._write_stat()

    def _write_stat(self) -> None:
        self.files.stat(user=self._busy_jiffies, cpus=range(CPUS))

    @property
    def emitted_uj(self) -> int:
        return sum(zone.total_uj for zone in self.zones.values())

    def counters(self) -> dict[str, int]:
        """What each file says now."""
        return {name: zone.counter_uj for name, zone in self.zones.items()}


class Mover(threading.Thread):
    """Lets trees go on in real time while they are not held."""

    def __init__(self, trees: list[Tree]) -> None:
        super().__init__(name='counters', daemon=True)
        self._trees = trees
        self._lock = threading.Lock()
        self._moving = False
        self._since_ns = 0
        self.failed: BaseException | None = None

    def go(self) -> None:
        with self._lock:
            self._moving, self._since_ns = True, time.monotonic_ns()

    def hold(self) -> None:
        """Nothing moves any more when this returns."""
        with self._lock:
            self._moving = False

    def run(self) -> None:
        try:
            while True:
                self._step()
        except BaseException as error:
            self.failed = error
            raise

    def _step(self) -> None:
        time.sleep(_STEP_SECONDS)
        into_ns = time.time_ns() % NS
        if not _QUIET_NS[0] < into_ns < _QUIET_NS[1]:
            return
        with self._lock:
            if not self._moving:
                return
            now_ns = time.monotonic_ns()
            duration_ns, self._since_ns = now_ns - self._since_ns, now_ns
            for tree in self._trees:
                tree.step(duration_ns)
