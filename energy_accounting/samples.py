# SPDX-License-Identifier: Apache-2.0
"""The facts that travel: readings, ticks, shares, windows.

Plain frozen values and the bound on counters that both ends keep; no
arithmetic beyond that and sums, and no I/O.  Their form as texts, which is
what travels, stands in ``wire``.
Energy is in integer microjoules, time in integer nanoseconds:
``boottime_ns`` is CLOCK_BOOTTIME, ``wall_ns`` is since 1970 UTC.

None means "not measured" and is never the same as 0.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import NamedTuple

from energy_accounting import units

INSTANCE = 'instance'
SERVICE = 'service'
UNALLOCATED = 'unallocated'
KINDS = (INSTANCE, SERVICE, UNALLOCATED)

PACKAGE = 'package'
MEMORY = 'memory'

NODE_POLICIES = 'node/'
"""What the names of policies begin with that divide a whole node's energy."""

# What became of a record, in the collector's answer.
BOOKED = 'booked'
DUPLICATE = 'duplicate'
QUARANTINED = 'quarantined'
OUT_OF_ORDER = 'out_of_order'
RESULTS = (BOOKED, DUPLICATE, QUARANTINED, OUT_OF_ORDER)

# A package can exceed its limits for a moment, and RAPL updates in steps.
_MARGIN_PERCENT = 125
_SLACK_UJ = 10 * units.UJ_PER_J
MEMORY_POWER_UW = 300 * units.UJ_PER_J
"""The most one memory zone draws: 24 modules of 12.5 W, more than any socket
holds today."""


def is_of_node(policy: str) -> bool:
    """Whether a policy divides the energy of a whole node."""
    return policy.startswith(NODE_POLICIES)


def most_uj(power_uw: int, duration_ns: int) -> int:
    """The most energy that what draws this power shows in a time."""
    return (power_uw * duration_ns * _MARGIN_PERCENT
            // (100 * units.NS_PER_S) + _SLACK_UJ)


# --- what is read -----------------------------------------------------------

@dataclasses.dataclass(frozen=True, slots=True)
class ZoneReading:
    """One counter at one moment.

    :ivar zone: name within the host, e.g. ``package-0``, ``dram-1``.
    :ivar component: ``package`` or ``memory``: which part it feeds.
    :ivar counter_uj: None when it could not be read this time.
    :ivar range_uj: the value it wraps at (``max_energy_range_uj``);
        0 when the kernel names none.
    """

    zone: str
    component: str
    counter_uj: int | None
    range_uj: int


@dataclasses.dataclass(frozen=True, slots=True)
class GuestReading:
    """A guest at one moment.

    :ivar incarnation: names this life of the guest (``PID-STARTTIME``); a
        restarted guest or a reused PID has another one.
    :ivar started_ns: boottime of the process start; None when unknown.
    :ivar cpu_ns: CPU time of all its threads; None when unreadable now.
    :ivar parent: the cgroup that also holds the time of its ended siblings
        (a key of :attr:`HostReading.parents_cpu_ns`), or None.
    :ivar service: the service cgroup it runs inside (a key of
        :attr:`HostReading.services_cpu_ns`), or None.
    :ivar ended_ns: boottime of its end; set in
        :attr:`HostReading.ended` only.
    """

    instance_id: str
    incarnation: str
    started_ns: int | None
    cpu_ns: int | None
    vcpus: int
    memory_mib: int
    project_id: str | None = None
    flavor: str | None = None
    user_id: str | None = None
    parent: str | None = None
    service: str | None = None
    ended_ns: int | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class HostReading:
    """One joint reading of a host: all zones and all guests.

    :ivar busy_ns: non-idle time of all CPUs since boot (iowait and steal
        are idle; ``guest`` is inside ``user``).
    :ivar cpus: online hardware threads.
    :ivar ended: last readings of guests that ended since the reading
        before, as lifecycle events gave them.
    :ivar parents_cpu_ns: CPU time since its creation of each cgroup that
        is the parent of guests.
    :ivar services_cpu_ns: the same of each service cgroup, guests inside
        included.
    """

    wall_ns: int
    boottime_ns: int
    boot_id: str
    zones: tuple[ZoneReading, ...]
    busy_ns: int
    cpus: int
    memory_mib: int
    guests: tuple[GuestReading, ...] = ()
    ended: tuple[GuestReading, ...] = ()
    parents_cpu_ns: Mapping[str, int] = dataclasses.field(
        default_factory=dict)
    services_cpu_ns: Mapping[str, int] = dataclasses.field(
        default_factory=dict)


# --- what follows from two readings -----------------------------------------

@dataclasses.dataclass(frozen=True, slots=True)
class Gap:
    """Energy that nobody can know: a zone (None: the host), when and why."""

    zone: str | None
    start_ns: int
    end_ns: int
    reason: str


class GuestUse(NamedTuple):
    """What one guest used and held in a tick.

    :ivar vcpu_ns: vCPUs times its lifetime within the tick.
    :ivar memory_mib_ns: MiB times its lifetime within the tick.
    """

    instance_id: str
    project_id: str | None
    flavor: str | None
    user_id: str | None
    cpu_ns: int
    vcpu_ns: int
    memory_mib_ns: int


@dataclasses.dataclass(frozen=True, slots=True)
class Tick:
    """The difference between two joint readings.

    :ivar start_ns, end_ns: wall clock; their difference need not be the
        duration (the clock may have been set).
    :ivar zones_uj: energy of each zone of the basis.
    :ivar memory_uj: None when the host measures no memory.
    :ivar host_cpu_ns: the host system's own CPU time.
    :ivar lost_cpu_ns: CPU time nobody can be named for, by the reason it
        is ``unallocated`` for (``ended``, ``unreadable``).
    :ivar lost_vcpu_ns, lost_memory_mib_ns: the same of reservations, so
        that nobody gains by them where the host is overcommitted.
    :ivar backfilled: longer than two ticks: booked from the counters.
    """

    boottime_start_ns: int
    boottime_end_ns: int
    start_ns: int
    end_ns: int
    zones_uj: Mapping[str, int]
    package_uj: int
    memory_uj: int | None
    cpus: int
    memory_mib: int
    guests: tuple[GuestUse, ...]
    services_cpu_ns: Mapping[str, int]
    host_cpu_ns: int
    lost_cpu_ns: Mapping[str, int]
    backfilled: bool = False
    lost_vcpu_ns: Mapping[str, int] = dataclasses.field(
        default_factory=dict)
    lost_memory_mib_ns: Mapping[str, int] = dataclasses.field(
        default_factory=dict)

    @property
    def duration_ns(self) -> int:
        return self.boottime_end_ns - self.boottime_start_ns

    @property
    def busy_ns(self) -> int:
        """CPU time of the host: guests, services, itself, unknown."""
        return (sum(guest.cpu_ns for guest in self.guests)
                + sum(self.services_cpu_ns.values()) + self.host_cpu_ns
                + sum(self.lost_cpu_ns.values()))


class Account(NamedTuple):
    """Who owns a share.

    An instance account is a version (instance, project, flavor, user); a
    service account has a ``name``; an unallocated one has its reason there.
    """

    kind: str
    instance_id: str | None = None
    project_id: str | None = None
    flavor: str | None = None
    user_id: str | None = None
    name: str | None = None

    @property
    def order(self) -> tuple[str, ...]:
        """A key to sort accounts by (None sorts as an empty text)."""
        return tuple(field or '' for field in self)


class Share(NamedTuple):
    """What one account got: the terms and the keys they follow from.

    ``memory_uj`` is None when the host measures no memory.
    """

    account: Account
    active_uj: int
    idle_uj: int
    memory_uj: int | None
    host_uj: int
    cpu_ns: int
    vcpu_ns: int
    memory_mib_ns: int

    @property
    def energy_uj(self) -> int:
        return (self.active_uj + self.idle_uj + (self.memory_uj or 0)
                + self.host_uj)


@dataclasses.dataclass(frozen=True, slots=True)
class Part:
    """What of a window fell into one bucket.

    :ivar measured_ns: time the meters covered.
    :ivar capacity_ns: online threads times that time.
    :ivar idle_uj: the idle part of the package energy (all accounts).
    """

    bucket: int
    backfilled: bool
    measured_ns: int
    busy_ns: int
    capacity_ns: int
    idle_uj: int
    zones_uj: Mapping[str, int]
    shares: tuple[Share, ...]

    @property
    def measured_uj(self) -> int:
        return sum(self.zones_uj.values())


@dataclasses.dataclass(frozen=True, slots=True)
class Window:
    """What one host used between two wall-clock edges: what travels.

    :ivar sequence: 1, 2, 3 ... within the stream, without holes.
    :ivar start_ns, end_ns: wall clock.
    :ivar basis: the zones that are counted.
    :ivar idle_kind: ``configured``, ``measured`` or ``provisional``.
    :ivar idle_power_uw: None while provisional.
    :ivar window_seconds: how long the host's windows are when nothing
        cuts them short.
    :ivar max_power_uw: the most all packages of the host can draw
        together; None when the notifier does not say.
    :ivar alarm: what the notifier wants an operator to know; '' nothing.
    """

    host: str
    machine_id: str
    stream: str
    sequence: int
    start_ns: int
    end_ns: int
    boot_id: str
    boottime_start_ns: int
    boottime_end_ns: int
    policy: str
    basis: tuple[str, ...]
    idle_kind: str
    idle_power_uw: int | None
    cpus: int
    memory_mib: int
    parts: tuple[Part, ...]
    gaps: tuple[Gap, ...] = ()
    version: str = ''
    window_seconds: int = 60
    max_power_uw: int | None = None
    alarm: str = ''


@dataclasses.dataclass(frozen=True, slots=True)
class Lost:
    """Stands for records of a stream that can never be read again.

    :ivar sequence: the first one.
    :ivar last: the last one, at least ``sequence``.
    """

    host: str
    machine_id: str
    stream: str
    sequence: int
    last: int


class Signed(NamedTuple):
    """A record as it is sent: its text and who vouches for it.

    :ivar payload: see :func:`energy_accounting.wire.payload`.
    :ivar key: Ed25519 public key, base64 of its 32 bytes.
    :ivar signature: of the payload's UTF-8, base64 of its 64 bytes.
    """

    payload: str
    key: str
    signature: str
