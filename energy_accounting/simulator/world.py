# SPDX-License-Identifier: Apache-2.0
"""Hosts and instances that use energy by a known law, in whole numbers.

The world moves in steps of a second or so, far finer than the notifier's
ticks.  In each step an instance burns CPU time after its load, the packages
draw their idle power and so much per busy core, memory its own; counters
and clocks show it as the kernel would.  Beside that the world keeps a
*truth*: what each instance owed, by the rules of the policy, taken at every
step.  Powers are in milliwatts and times in milliseconds, so that a product
is a whole number of microjoules.

Nothing here may import the notifier or the attribution: this is what they
are held against.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

from energy_accounting import samples

NS_PER_MS = 1_000_000
NS_PER_S = 1_000_000_000

# A load tells how busy each vCPU of an instance is, in permille, at a
# second of the world and given a random number from 0 to 999.
Load = Callable[[int, int], int]

_GUESTS_CGROUP = 'machine.slice'
# USER_HZ is 100 on every Linux that matters: /proc/stat counts in 10 ms.
_JIFFY_MS = 10


# --- what there is ----------------------------------------------------------

@dataclasses.dataclass(frozen=True, slots=True)
class Service:
    """A cgroup that is accounted for by its name, e.g. ``kubernetes``.

    :ivar holds_guests: its subtree holds the guests as well, as where
        libvirt runs in a pod.
    """

    name: str
    cores_permille: int
    holds_guests: bool = False


@dataclasses.dataclass(frozen=True, slots=True)
class Machine:
    """The hardware of a host and how its system behaves.

    :ivar core_mw: what a busy core adds to the idle draw on a full host;
    :ivar turbo_mw: what it adds to that on an empty one (falling with
        load, since cores clock higher when few are busy).
    :ivar memory_idle_mw, memory_core_mw: the same of the DRAM; None when
        there is no meter for it.
    :ivar system_permille: cores that the host system itself keeps busy,
        times a thousand.
    :ivar events: guests' ends are told with their last CPU time (libvirt);
        otherwise they are just gone (procfs).
    """

    name: str
    cpus: int
    memory_mib: int
    packages: int
    idle_mw: int
    core_mw: int
    turbo_mw: int
    package_range_uj: int
    memory_idle_mw: int | None = None
    memory_core_mw: int = 0
    memory_range_uj: int = 0
    system_permille: int = 400
    service: Service | None = None
    events: bool = True

    @property
    def max_power_uw(self) -> int:
        """What the packages together can draw (as a power limit says)."""
        return 1000 * (self.idle_mw
                       + self.cpus * (self.core_mw + self.turbo_mw))


@dataclasses.dataclass(frozen=True, slots=True)
class Stay:
    """One process of an instance on one host, in seconds of the world.

    It exists from ``start`` to ``end`` and computes from ``runs_from`` to
    ``runs_until``: a migrated guest exists on both hosts for a while and
    computes on one.
    """

    host: str
    start: int
    end: int
    runs_from: int
    runs_until: int


@dataclasses.dataclass(frozen=True, slots=True)
class Instance:
    instance_id: str
    name: str
    project_id: str
    flavor: str
    vcpus: int
    memory_mib: int
    load: Load
    stays: tuple[Stay, ...]


class Owed(NamedTuple):
    """What an instance truly owed, in microjoules, by term."""

    active_uj: int
    idle_uj: int
    memory_uj: int
    host_uj: int

    @property
    def energy_uj(self) -> int:
        return sum(self)


# --- what happens -----------------------------------------------------------

class _Guest:
    """A process: one stay of an instance."""

    __slots__ = ('cpu_ms', 'incarnation', 'instance', 'noise', 'package',
                 'started_ms', 'stay')

    def __init__(self, instance: Instance, stay: Stay, pid: int,
                 started_ms: int, noise: int, package: int) -> None:
        self.instance = instance
        self.stay = stay
        self.incarnation = f'{pid}-{started_ms // _JIFFY_MS}'
        self.started_ms = started_ms
        self.cpu_ms = 0
        self.noise = noise
        self.package = package


class _Debt:
    """What an instance owes on one host.

    Idle and memory stay numerators (over the host's threads and MiB) until
    they are asked for, so that steps do not round.
    """

    __slots__ = ('active_uj', 'host_uj', 'idle_over_cpus', 'memory_over_mib')

    def __init__(self) -> None:
        self.active_uj = 0
        self.host_uj = 0
        self.idle_over_cpus = 0
        self.memory_over_mib = 0


class Host:
    """A host as it lives: counters, clocks, guests, and the truth of them.

    :param booted_s: when it booted, in seconds of the world (before 0).
    :param seed: of its noise.
    """

    def __init__(self, machine: Machine, instances: Iterable[Instance],
                 booted_s: int, seed: int, boot_id: str,
                 machine_id: str) -> None:
        self.machine = machine
        self.boot_id = boot_id
        self.machine_id = machine_id
        self.now_ms = 0
        self._booted_ms = booted_s * 1000
        self._noise = seed
        self._pid = 1000 + seed % 1000
        # sorted so that the next to start is at the end
        self._coming = sorted(
            ((stay, instance) for instance in instances
             for stay in instance.stays if stay.host == machine.name),
            key=lambda pair: (-pair[0].start, pair[1].instance_id))
        self._guests: list[_Guest] = []
        self.ends: list[samples.GuestReading] = []
        # CPU time does not begin with the notifier: nor do counters.
        before = seed * 7919 + 1
        self._system_ms = before * 31
        self._service_ms = before * 17
        self._guests_ms = before * 13
        self._package_uj = [before * 104729 * (index + 1)
                            for index in range(machine.packages)]
        self._memory_uj = [before * 15485863 * (index + 1)
                           for index in range(machine.packages)]
        self._start_uj = self._drawn_uj()
        self._debts: dict[str, _Debt] = {}
        self._service_uj = 0
        self._carry_uj = 0
        self._unowned_uj = 0
        self._idle_left = 0
        self._memory_left = 0
        self._passed_before = self._passed()
        self._begin()

    # what the notifier can see

    @property
    def boottime_ns(self) -> int:
        return (self.now_ms - self._booted_ms) * NS_PER_MS

    def zones(self) -> tuple[samples.ZoneReading, ...]:
        machine = self.machine
        found = [
            samples.ZoneReading(f'package-{index}', samples.PACKAGE,
                                total % machine.package_range_uj,
                                machine.package_range_uj)
            for index, total in enumerate(self._package_uj)]
        if machine.memory_idle_mw is not None:
            found += [
                samples.ZoneReading(f'dram-{index}', samples.MEMORY,
                                    total % machine.memory_range_uj,
                                    machine.memory_range_uj)
                for index, total in enumerate(self._memory_uj)]
        return tuple(found)

    def guests(self) -> tuple[samples.GuestReading, ...]:
        return tuple(self._reading(guest) for guest in self._guests)

    def parents_cpu_ns(self) -> dict[str, int]:
        return {_GUESTS_CGROUP: self._guests_ms * NS_PER_MS}

    def services_cpu_ns(self) -> dict[str, int]:
        service = self.machine.service
        if service is None:
            return {}
        inside = self._guests_ms if service.holds_guests else 0
        return {service.name: (self._service_ms + inside) * NS_PER_MS}

    @property
    def busy_ns(self) -> int:
        total = self._system_ms + self._service_ms + self._guests_ms
        return total // _JIFFY_MS * _JIFFY_MS * NS_PER_MS

    # what really happened

    @property
    def movement_uj(self) -> int:
        """What all its counters moved since the world began."""
        return self._drawn_uj() - self._start_uj

    @property
    def wraps(self) -> int:
        """How often its counters have passed their range until now."""
        return self._passed() - self._passed_before

    def owed(self) -> dict[str, Owed]:
        """What each instance owes for its time on this host."""
        machine = self.machine
        return {instance_id: Owed(debt.active_uj,
                                  debt.idle_over_cpus // machine.cpus,
                                  debt.memory_over_mib // machine.memory_mib,
                                  debt.host_uj)
                for instance_id, debt in self._debts.items()}

    @property
    def service_uj(self) -> int:
        """What the service on this host owes."""
        return self._service_uj

    @property
    def unowned_uj(self) -> int:
        """Idle capacity, free memory and an empty host's own use."""
        machine = self.machine
        return (self._unowned_uj + self._carry_uj
                + self._idle_left // machine.cpus
                + self._memory_left // machine.memory_mib)

    # the law

    def advance(self, step_ms: int) -> None:
        """Live for a while; loads are constant within it."""
        machine = self.machine
        second = self.now_ms // 1000
        self.now_ms += step_ms
        system_ms = self._portion(machine.system_permille, step_ms)
        service_ms = 0 if machine.service is None else self._portion(
            machine.service.cores_permille, step_ms)
        used = []
        guests_ms = 0
        for guest in self._guests:
            stay, cpu_ms = guest.stay, 0
            if stay.runs_from <= second < stay.runs_until:
                guest.noise = _next(guest.noise)
                instance = guest.instance
                cpu_ms = (instance.vcpus * step_ms * instance.load(
                    second, guest.noise // 7 % 1000) // 1000)
                guest.cpu_ms += cpu_ms
                guests_ms += cpu_ms
            used.append(cpu_ms)
        self._system_ms += system_ms
        self._service_ms += service_ms
        self._guests_ms += guests_ms

        capacity_ms = machine.cpus * step_ms
        busy_ms = system_ms + service_ms + guests_ms
        if busy_ms > capacity_ms:
            raise ValueError(f'{machine.name} is asked for more CPU time '
                             'than it has')
        core_mw = machine.core_mw + (
            machine.turbo_mw * (capacity_ms - busy_ms) // capacity_ms)
        self._heat_packages(step_ms, core_mw, used, system_ms + service_ms)
        memory_uj = self._heat_memory(step_ms, busy_ms)

        self._service_uj += service_ms * core_mw
        self._charge(step_ms, core_mw, used, system_ms, memory_uj)
        self._end()
        self._begin()

    def _portion(self, permille: int, step_ms: int) -> int:
        """About that many thousandths of a core, a fifth up or down."""
        self._noise = _next(self._noise)
        return permille * step_ms * (
            800 + self._noise // 11 % 401) // 1_000_000

    def _heat_packages(self, step_ms: int, core_mw: int,
                       used: Sequence[int], others_ms: int) -> None:
        idle_uj = self.machine.idle_mw * step_ms
        each, rest = divmod(idle_uj, self.machine.packages)
        self._package_uj[0] += rest + others_ms * core_mw
        for index in range(self.machine.packages):
            self._package_uj[index] += each
        for guest, cpu_ms in zip(self._guests, used, strict=True):
            self._package_uj[guest.package] += cpu_ms * core_mw

    def _heat_memory(self, step_ms: int, busy_ms: int) -> int:
        machine = self.machine
        if machine.memory_idle_mw is None:
            return 0
        energy_uj = (machine.memory_idle_mw * step_ms
                     + machine.memory_core_mw * busy_ms)
        each, rest = divmod(energy_uj, machine.packages)
        self._memory_uj[0] += rest
        for index in range(machine.packages):
            self._memory_uj[index] += each
        return energy_uj

    def _charge(self, step_ms: int, core_mw: int, used: Sequence[int],
                system_ms: int, memory_uj: int) -> None:
        """The rules of ownership, at this moment.

        Who computes pays its cores; who reserves pays that part of the idle
        draw and of the memory; the system's own use is paid by the guests
        as they pay those two for the packages, or by nobody.
        """
        machine = self.machine
        idle_uj = machine.idle_mw * step_ms
        cpus_left, mib_left = machine.cpus, machine.memory_mib
        # over the host's threads, to stay whole
        weights = []
        for guest, cpu_ms in zip(self._guests, used, strict=True):
            instance = guest.instance
            debt = self._debts.get(instance.instance_id)
            if debt is None:
                debt = self._debts[instance.instance_id] = _Debt()
            active_uj = cpu_ms * core_mw
            idle_share = idle_uj * instance.vcpus
            debt.active_uj += active_uj
            debt.idle_over_cpus += idle_share
            debt.memory_over_mib += memory_uj * instance.memory_mib
            cpus_left -= instance.vcpus
            mib_left -= instance.memory_mib
            weights.append((debt, active_uj * machine.cpus + idle_share))
        if cpus_left < 0 or mib_left < 0:
            raise ValueError(f'{machine.name} is overcommitted')
        self._idle_left += idle_uj * cpus_left
        self._memory_left += memory_uj * mib_left

        system_uj = system_ms * core_mw
        total = sum(weight for _, weight in weights)
        if not total:
            self._unowned_uj += system_uj
            return
        system_uj += self._carry_uj
        self._carry_uj = system_uj
        for debt, weight in weights:
            part_uj = system_uj * weight // total
            debt.host_uj += part_uj
            self._carry_uj -= part_uj

    # comings and goings

    def _begin(self) -> None:
        while (self._coming
               and self._coming[-1][0].start * 1000 <= self.now_ms):
            stay, instance = self._coming.pop()
            self._pid += 37
            self._noise = _next(self._noise)
            self._guests.append(_Guest(
                instance, stay, self._pid, self.now_ms - self._booted_ms,
                self._noise, self._pid // 37 % self.machine.packages))

    def _end(self) -> None:
        for guest in [guest for guest in self._guests
                      if guest.stay.end * 1000 <= self.now_ms]:
            self._guests.remove(guest)
            self.ends.append(dataclasses.replace(
                self._reading(guest), ended_ns=self.boottime_ns))

    def _reading(self, guest: _Guest) -> samples.GuestReading:
        instance, service = guest.instance, self.machine.service
        return samples.GuestReading(
            instance_id=instance.instance_id,
            incarnation=guest.incarnation,
            started_ns=guest.started_ms * NS_PER_MS,
            cpu_ns=guest.cpu_ms * NS_PER_MS,
            vcpus=instance.vcpus,
            memory_mib=instance.memory_mib,
            project_id=instance.project_id,
            flavor=instance.flavor,
            parent=_GUESTS_CGROUP,
            service=(service.name if service is not None
                     and service.holds_guests else None))

    def _passed(self) -> int:
        machine = self.machine
        passed = sum(total // machine.package_range_uj
                     for total in self._package_uj)
        if machine.memory_idle_mw is not None:
            passed += sum(total // machine.memory_range_uj
                          for total in self._memory_uj)
        return passed

    def _drawn_uj(self) -> int:
        total_uj = sum(self._package_uj)
        if self.machine.memory_idle_mw is not None:
            total_uj += sum(self._memory_uj)
        return total_uj


class World:
    """Hosts that live side by side.

    :param start_ns: wall clock at second 0.
    """

    def __init__(self, hosts: Sequence[Host], start_ns: int,
                 step_ms: int) -> None:
        self.hosts = tuple(hosts)
        self._start_ns = start_ns
        self._step_ms = step_ms

    @property
    def wall_ns(self) -> int:
        return self._start_ns + self.hosts[0].now_ms * NS_PER_MS

    def advance_to(self, wall_ns: int) -> None:
        """Live until a moment; steps never cross it."""
        until_ms = (wall_ns - self._start_ns) // NS_PER_MS
        for host in self.hosts:
            while host.now_ms < until_ms:
                host.advance(min(self._step_ms, until_ms - host.now_ms))

    def owed(self) -> Mapping[str, Owed]:
        """What each instance owes, over all hosts it has been on."""
        total: dict[str, Owed] = {}
        for host in self.hosts:
            for instance_id, owed in host.owed().items():
                before = total.get(instance_id, Owed(0, 0, 0, 0))
                total[instance_id] = Owed(
                    *(one + other for one, other
                      in zip(before, owed, strict=True)))
        return total


def _next(noise: int) -> int:
    """The next number of a small, well-known generator (Park and Miller)."""
    return noise * 48271 % 0x7fffffff
