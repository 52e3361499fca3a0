# SPDX-License-Identifier: Apache-2.0
"""From two joint readings of a host to the tick between them.

Both or neither: energy and CPU time advance together, so an interval whose
energy is not known yet keeps its CPU time too (it is *held*).  Here is
every rule about counters: first readings, wraps, resets, reboots, zones
and guests that cannot be read, guests that begin and end.  Who pays is
attribution's business, and no reading is made here.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from energy_accounting import errors, samples, units, wire

# Reasons of gaps.
REBOOT = 'reboot'
RESET = 'reset'
TOO_LONG = 'too_long'
# Reasons of gaps and of what is not allocated.
UNREADABLE = 'unreadable'
ENDED = 'ended'

# Start times in /proc count in steps of 1/100 s, rounded down.
_START_STEP_NS = 10_000_000
# Guests and their parent cgroup are not read in the same instant: of the
# parent's time, what no guest explains is a dead guest's only above this.
_NOISE_DIVISOR = 100
# Means reach back this far, give or take a factor of two.
_MEAN_NS = 3600 * units.NS_PER_S

GuestKey = tuple[str, str]


@dataclasses.dataclass(frozen=True, slots=True)
class Limits:
    """What bounds an interval on this host.

    :ivar max_power_uw: the most all packages draw together; each has an
        equal share of it.
    :ivar memory_power_uw: the most one memory zone draws.
    """

    tick_ns: int
    window_ns: int
    max_power_uw: int
    memory_power_uw: int = samples.MEMORY_POWER_UW


@dataclasses.dataclass(frozen=True, slots=True)
class Baseline:
    """What the next reading is compared with; survives a restart.

    :ivar reading: the last booked reading.  A zone without a counter and a
        guest without CPU time in it are out: their next one is a baseline.
    :ivar held_since_ns: boottime of the first reading that was held.
    :ivar ended: last readings of guests, from the readings held since.
    :ivar seen: the newest reading of every other guest in those; the
        moment is in ``ended_ns``.
    :ivar means: CPU time over time in undisturbed ticks, by what it is of
        (``host``, ``service:NAME``, ``parent:CGROUP``).
    """

    reading: samples.HostReading
    held_since_ns: int | None = None
    ended: tuple[samples.GuestReading, ...] = ()
    seen: tuple[samples.GuestReading, ...] = ()
    means: Mapping[str, tuple[int, int]] = dataclasses.field(
        default_factory=dict)


@dataclasses.dataclass(frozen=True, slots=True)
class Outcome:
    """What follows from a reading.

    :ivar tick: None when held, re-baselined, or nothing was measured.
    :ivar held: the interval is kept open; ``baseline`` has not moved.
    """

    tick: samples.Tick | None
    gaps: tuple[samples.Gap, ...]
    baseline: Baseline
    held: bool = False


def first(reading: samples.HostReading) -> Baseline:
    """The baseline that a first reading is: it is never consumption."""
    return Baseline(dataclasses.replace(reading, ended=()))


def advance(baseline: Baseline, reading: samples.HostReading,
            limits: Limits) -> Outcome:
    """The tick from the baseline to a reading, or why there is none."""
    before = baseline.reading
    if reading.boot_id != before.boot_id:
        # Since it booted, if the clock was set back meanwhile.
        return _start_over(baseline, reading, REBOOT, max(0, min(
            before.wall_ns, reading.wall_ns - reading.boottime_ns)))
    duration_ns = reading.boottime_ns - before.boottime_ns
    start_ns = max(0, reading.wall_ns - duration_ns)
    if duration_ns < 0:
        return _start_over(baseline, reading, RESET, reading.wall_ns)
    if duration_ns == 0:
        return _hold(baseline, reading)
    zones = _compare(before, reading, duration_ns, limits)
    if zones.reason is not None:
        return _start_over(baseline, reading, zones.reason, start_ns)
    since_ns = baseline.held_since_ns
    within_window = since_ns is None or (
        reading.boottime_ns - since_ns < limits.window_ns)
    # The reading after this one must still be in time for every zone.
    in_time = zones.limit_ns is None or (
        duration_ns + 2 * limits.tick_ns <= zones.limit_ns)
    hold_zones = zones.missing and (within_window or not zones.unranged)
    hold_guests = within_window and _guest_unreadable(before, reading)
    if in_time and (hold_zones or hold_guests):
        return _hold(baseline, reading)
    return _book(baseline, reading, zones, limits)


# --- intervals that are not booked ------------------------------------------

def _start_over(baseline: Baseline, reading: samples.HostReading,
                reason: str, start_ns: int) -> Outcome:
    """Nobody can know this interval: say so and begin anew."""
    gap = samples.Gap(None, start_ns, reading.wall_ns, reason)
    return Outcome(None, (gap,), dataclasses.replace(
        first(reading), means=baseline.means))


def _hold(baseline: Baseline, reading: samples.HostReading) -> Outcome:
    """Keep the interval open, and what only this reading can tell."""
    seen = {_key(guest): guest for guest in baseline.seen}
    for guest in reading.guests:
        if guest.cpu_ns is not None:
            seen[_key(guest)] = dataclasses.replace(
                guest, ended_ns=reading.boottime_ns)
    held_since_ns = baseline.held_since_ns
    if held_since_ns is None:
        held_since_ns = reading.boottime_ns
    return Outcome(None, (), dataclasses.replace(
        baseline, held_since_ns=held_since_ns,
        ended=baseline.ended + reading.ended,
        seen=tuple(seen.values())), held=True)


# --- zones ------------------------------------------------------------------

class _Zones(NamedTuple):
    """What a comparison of all zones says.

    :ivar energies_uj: of each zone that both readings have.
    :ivar missing: zones of the basis that were not readable now.
    :ivar unranged: one of them has no range, so nothing bounds its wait.
    :ivar limit_ns: the time in which no zone of the basis can wrap twice.
    :ivar too_long: memory zones that may have; they begin anew, alone.
    :ivar reason: why the interval cannot be booked at all, or None.
    """

    energies_uj: dict[str, int]
    missing: bool = False
    unranged: bool = False
    limit_ns: int | None = None
    too_long: tuple[str, ...] = ()
    reason: str | None = None


def _compare(before: samples.HostReading, reading: samples.HostReading,
             duration_ns: int, limits: Limits) -> _Zones:
    counters = {zone.zone: zone.counter_uj for zone in before.zones}
    packages = sum(zone.component == samples.PACKAGE
                   for zone in reading.zones)
    package_uw = max(1, limits.max_power_uw // max(1, packages))
    energies_uj = {}
    missing = unranged = False
    limit_ns = None
    too_long = []
    reason = None
    for zone in reading.zones:
        previous_uj = counters.get(zone.zone)
        if previous_uj is None:
            continue
        power_uw = (package_uw if zone.component == samples.PACKAGE
                    else limits.memory_power_uw)
        if zone.range_uj > 0:
            wrap_ns = zone.range_uj * units.NS_PER_S // power_uw
            if duration_ns >= wrap_ns:
                # Small as its counter is, memory must not cost the packages
                # theirs after a short outage.
                if zone.component == samples.PACKAGE:
                    return _Zones({}, reason=TOO_LONG)
                too_long.append(zone.zone)
                continue
            limit_ns = wrap_ns if limit_ns is None else min(limit_ns, wrap_ns)
        if zone.counter_uj is None:
            missing = True
            unranged = unranged or zone.range_uj <= 0
            continue
        # A rise says how much it was, believable or not: it is counted, and
        # judged where it is kept even if it is not booked (the collector).
        # A fall says so only once it is known to be a wrap.
        energy_uj = zone.counter_uj - previous_uj
        if energy_uj < 0:
            energy_uj += zone.range_uj
            if zone.range_uj <= 0 or not 0 <= energy_uj <= samples.most_uj(
                    power_uw, duration_ns):
                reason = RESET
        energies_uj[zone.zone] = energy_uj
    return _Zones(energies_uj, missing, unranged, limit_ns, tuple(too_long),
                  reason)


# --- guests -----------------------------------------------------------------

def _key(guest: samples.GuestReading) -> GuestKey:
    return guest.instance_id, guest.incarnation


def _guest_unreadable(before: samples.HostReading,
                      reading: samples.HostReading) -> bool:
    """Whether a guest that could be read at the baseline cannot be now."""
    dark = [_key(guest) for guest in reading.guests if guest.cpu_ns is None]
    return bool(dark) and not {
        _key(guest) for guest in before.guests
        if guest.cpu_ns is not None}.isdisjoint(dark)


class _Life(NamedTuple):
    """What one incarnation did in a tick.

    :ivar cpu_ns: what it is known to have used.
    :ivar lived_ns: how long it is known to have reserved.
    :ivar named: False when its reservation, too, is nobody's.
    :ivar trouble: why it may have used more than ``cpu_ns``, or None.
    """

    guest: samples.GuestReading
    cpu_ns: int
    lived_ns: int
    named: bool = True
    trouble: str | None = None


def _lives(baseline: Baseline, reading: samples.HostReading,
           ) -> Iterator[_Life]:
    """Every incarnation that a tick touches, once."""
    start_ns = baseline.reading.boottime_ns
    duration_ns = reading.boottime_ns - start_ns
    known = {_key(guest): guest for guest in baseline.reading.guests}
    alive = {_key(guest): guest for guest in reading.guests}
    ended = {_key(guest): guest
             for guest in (*baseline.ended, *reading.ended)
             if _key(guest) not in alive}
    seen = {_key(guest): guest for guest in baseline.seen
            if _key(guest) not in alive and _key(guest) not in ended}
    for key, guest in alive.items():
        cpu_ns, begin_ns = _used(known.get(key), guest, start_ns)
        lived_ns = min(duration_ns, max(0, reading.boottime_ns - begin_ns))
        if guest.cpu_ns is None:
            yield _Life(guest, 0, lived_ns, False, UNREADABLE)
        elif cpu_ns is None:
            yield _Life(guest, 0, lived_ns, True, UNREADABLE)
        else:
            yield _Life(guest, cpu_ns, lived_ns)
    for key, guest in (*ended.items(), *seen.items()):
        end_ns = reading.boottime_ns
        if guest.ended_ns is not None:
            end_ns = min(end_ns, guest.ended_ns)
        if key not in known and end_ns <= start_ns:
            continue    # An event that came late: long accounted for.
        cpu_ns, begin_ns = _used(known.get(key), guest, start_ns)
        lived_ns = max(0, end_ns - max(start_ns, begin_ns))
        yield _Life(guest, cpu_ns or 0, lived_ns, True,
                    ENDED if cpu_ns is None or key in seen else None)
    for key, guest in known.items():
        if key not in alive and key not in ended and key not in seen:
            yield _Life(guest, 0, duration_ns, False, ENDED)


def _used(was: samples.GuestReading | None, guest: samples.GuestReading,
          start_ns: int) -> tuple[int | None, int]:
    """A guest's CPU time since the baseline, and since when it exists.

    The CPU time is None when this reading is only its baseline.
    """
    begin_ns = start_ns
    known_ns = was.cpu_ns if was is not None else None
    if (was is None and guest.started_ns is not None
            and guest.started_ns > start_ns - _START_STEP_NS):
        known_ns, begin_ns = 0, max(start_ns, guest.started_ns)
    if guest.cpu_ns is None or known_ns is None:
        return None, begin_ns
    return max(0, guest.cpu_ns - known_ns), begin_ns


# --- the tick ---------------------------------------------------------------

def _book(baseline: Baseline, reading: samples.HostReading,
          zones: _Zones, limits: Limits) -> Outcome:
    energies_uj = zones.energies_uj
    before = baseline.reading
    duration_ns = reading.boottime_ns - before.boottime_ns
    backfilled = duration_ns > 2 * limits.tick_ns
    start_ns = before.wall_ns
    if backfilled:
        start_ns = max(0, reading.wall_ns - duration_ns)
    gaps = tuple(
        samples.Gap(zone.zone, min(start_ns, reading.wall_ns),
                    reading.wall_ns,
                    TOO_LONG if zone.zone in zones.too_long else UNREADABLE)
        for zone in reading.zones if zone.zone not in energies_uj)
    if not energies_uj:
        # Of the host, too: nobody knows anything of this time.
        gaps += (samples.Gap(None, min(start_ns, reading.wall_ns),
                             reading.wall_ns, UNREADABLE),)
        return Outcome(None, gaps, dataclasses.replace(
            first(reading), means=baseline.means))
    lives = list(_lives(baseline, reading))
    nameless = [life for life in lives if not life.named]
    processor = _processor(baseline, reading, lives)
    components = {zone.zone: zone.component for zone in reading.zones}
    memory = [energy_uj for zone, energy_uj in energies_uj.items()
              if components[zone] == samples.MEMORY]
    tick = samples.Tick(
        boottime_start_ns=before.boottime_ns,
        boottime_end_ns=reading.boottime_ns,
        start_ns=start_ns, end_ns=reading.wall_ns,
        zones_uj=dict(energies_uj),
        package_uj=sum(energies_uj.values()) - sum(memory),
        memory_uj=sum(memory) if memory else None,
        cpus=reading.cpus, memory_mib=reading.memory_mib,
        guests=_uses(lives), services_cpu_ns=processor.services_cpu_ns,
        host_cpu_ns=processor.host_cpu_ns,
        lost_cpu_ns=processor.lost_cpu_ns, backfilled=backfilled,
        lost_vcpu_ns=_sums(
            (life.trouble or ENDED, life.guest.vcpus * life.lived_ns)
            for life in nameless),
        lost_memory_mib_ns=_sums(
            (life.trouble or ENDED, life.guest.memory_mib * life.lived_ns)
            for life in nameless))
    return Outcome(tick, gaps, dataclasses.replace(
        first(reading), means=processor.means))


def _sums(pairs: Iterable[tuple[str, int]]) -> dict[str, int]:
    sums: dict[str, int] = {}
    for name, number in pairs:
        if number:
            sums[name] = sums.get(name, 0) + number
    return sums


def _uses(lives: Iterable[_Life]) -> tuple[samples.GuestUse, ...]:
    """One use for each account, however many incarnations it had."""
    uses: dict[tuple[str, str | None, str | None, str | None],
               tuple[int, int, int]] = {}
    for life in lives:
        if not life.named:
            continue
        guest = life.guest
        account = (guest.instance_id, guest.project_id, guest.flavor,
                   guest.user_id)
        cpu_ns, vcpu_ns, mib_ns = uses.get(account, (0, 0, 0))
        uses[account] = (cpu_ns + life.cpu_ns,
                         vcpu_ns + guest.vcpus * life.lived_ns,
                         mib_ns + guest.memory_mib * life.lived_ns)
    return tuple(samples.GuestUse(*account, *numbers)
                 for account, numbers in uses.items())


class _Processor(NamedTuple):
    """Whose the CPU time of a host was."""

    services_cpu_ns: dict[str, int]
    host_cpu_ns: int
    lost_cpu_ns: dict[str, int]
    means: dict[str, tuple[int, int]]


def _processor(baseline: Baseline, reading: samples.HostReading,
               lives: list[_Life]) -> _Processor:
    """Divide the host's CPU time; what has no name goes to ``lost``.

    What an unread guest used is the part of its parent cgroup's time that
    the other guests do not explain.  Without such a cgroup, whatever it ran
    inside (a service, or the host itself) keeps no more than its mean over
    undisturbed ticks, and nothing before there has been one.
    """
    before = baseline.reading
    duration_ns = reading.boottime_ns - before.boottime_ns
    parents = _deltas(before.parents_cpu_ns, reading.parents_cpu_ns)
    services = _deltas(before.services_cpu_ns, reading.services_cpu_ns)
    means = dict(baseline.means)
    lost: dict[str, int] = {}
    by_parent: dict[str | None, int] = {}
    by_service: dict[str | None, int] = {}
    around: dict[str, str | None] = {}
    # Why the time of a parent, of a service, of the host (None) is in
    # doubt; ENDED sorts before UNREADABLE and is the one that is named.
    doubts: dict[tuple[str, str | None], str] = {}
    guests_ns = 0
    for guest, cpu_ns, _, _, trouble in lives:
        guests_ns += cpu_ns
        by_parent[guest.parent] = by_parent.get(guest.parent, 0) + cpu_ns
        by_service[guest.service] = by_service.get(guest.service, 0) + cpu_ns
        if guest.parent is not None:
            around[guest.parent] = guest.service
        if trouble is not None:
            if guest.parent in parents:
                place: tuple[str, str | None] = 'parent', guest.parent
            elif guest.service in services:
                place = 'service', guest.service
            else:
                place = 'host', None
            doubts[place] = min(trouble, doubts.get(place, trouble))

    # Inner ones first (a path sorts before what is below it): what is
    # explained there is explained in the cgroups around it.
    for parent in sorted(parents, reverse=True):
        delta_ns = parents[parent]
        name = f'parent:{parent}'
        known_ns = by_parent.get(parent, 0)
        rest_ns = max(0, delta_ns - known_ns)
        usual_ns = _usual(means, name, duration_ns)
        noise_ns = (duration_ns + delta_ns) // _NOISE_DIVISOR
        reason = doubts.get(('parent', parent))
        if reason is not None:
            rest_ns = max(0, rest_ns - usual_ns)
        else:
            _learn(means, name, rest_ns, duration_ns)
            # A guest may begin and end unseen.  But a parent that usually
            # has time of its own holds more than guests.
            if rest_ns <= noise_ns or usual_ns > noise_ns:
                rest_ns = 0
            reason = ENDED
        lost[reason] = lost.get(reason, 0) + rest_ns
        service = around.get(parent)
        by_service[service] = by_service.get(service, 0) + rest_ns
        outer = _enclosing(parent, parents)
        by_parent[outer] = by_parent.get(outer, 0) + known_ns + rest_ns

    services_ns = {}
    for service, delta_ns in services.items():
        own_ns = max(0, delta_ns - by_service.get(service, 0))
        reason = doubts.get(('service', service))
        services_ns[service] = _owned(means, f'service:{service}', own_ns,
                                      duration_ns, reason, lost)
    busy_ns = reading.busy_ns - before.busy_ns
    own_ns = max(0, busy_ns - guests_ns - sum(services_ns.values())
                 - sum(lost.values()))
    host_ns = _owned(means, 'host', own_ns, duration_ns,
                     doubts.get(('host', None)), lost)
    current = {'host', *(f'parent:{name}' for name in reading.parents_cpu_ns),
               *(f'service:{name}' for name in reading.services_cpu_ns)}
    return _Processor(
        services_ns, host_ns,
        {reason: cpu_ns for reason, cpu_ns in sorted(lost.items()) if cpu_ns},
        {name: mean for name, mean in means.items() if name in current})


def _enclosing(cgroup: str, others: Mapping[str, int]) -> str | None:
    """The nearest of the other cgroups around one, by their paths."""
    while '/' in cgroup:
        cgroup = cgroup.rpartition('/')[0]
        if cgroup in others:
            return cgroup
    return None


def _deltas(before: Mapping[str, int], now: Mapping[str, int],
            ) -> dict[str, int]:
    """Growth of each counter that both have; one that shrank is new."""
    return {name: value - before[name] for name, value in now.items()
            if name in before and value >= before[name]}


def _owned(means: dict[str, tuple[int, int]], name: str, cpu_ns: int,
           duration_ns: int, reason: str | None, lost: dict[str, int],
           ) -> int:
    """What of a CPU time is its owner's; the rest is added to ``lost``."""
    if reason is None:
        _learn(means, name, cpu_ns, duration_ns)
        return cpu_ns
    owned_ns = min(cpu_ns, _usual(means, name, duration_ns))
    lost[reason] = lost.get(reason, 0) + cpu_ns - owned_ns
    return owned_ns


def _usual(means: Mapping[str, tuple[int, int]], name: str,
           duration_ns: int) -> int:
    cpu_ns, time_ns = means.get(name, (0, 0))
    return cpu_ns * duration_ns // time_ns if time_ns else 0


def _learn(means: dict[str, tuple[int, int]], name: str, cpu_ns: int,
           duration_ns: int) -> None:
    sum_ns, time_ns = means.get(name, (0, 0))
    sum_ns, time_ns = sum_ns + cpu_ns, time_ns + duration_ns
    if time_ns > _MEAN_NS:
        sum_ns, time_ns = sum_ns // 2, time_ns // 2
    means[name] = sum_ns, time_ns


# --- the wire ---------------------------------------------------------------

def baseline_to_wire(baseline: Baseline) -> dict[str, Any]:
    """A baseline as plain JSON values."""
    return {
        'reading': wire.reading_to_wire(baseline.reading),
        'held_since_ns': baseline.held_since_ns,
        'ended': [dataclasses.asdict(guest) for guest in baseline.ended],
        'seen': [dataclasses.asdict(guest) for guest in baseline.seen],
        'means': {name: list(mean)
                  for name, mean in baseline.means.items()}}


def baseline_from_wire(body: dict[str, Any]) -> Baseline:
    """What :func:`baseline_to_wire` wrote.

    :raises errors.InvalidRecord: when it is anything else.
    """
    try:
        since_ns = body['held_since_ns']
        means = {name: (cpu_ns, time_ns)
                 for name, (cpu_ns, time_ns) in body['means'].items()}
        numbers = [number for mean in means.values() for number in mean]
        if since_ns is not None:
            numbers.append(since_ns)
        if any(type(number) is not int or number < 0 for number in numbers):
            raise ValueError('a time is not a whole number from 0')
        return Baseline(
            wire.reading_from_wire(body['reading']), since_ns,
            tuple(map(wire.guest_from_wire, body['ended'])),
            tuple(map(wire.guest_from_wire, body['seen'])), means)
    except (TypeError, KeyError, ValueError, AttributeError) as error:
        raise errors.InvalidRecord(f'not a baseline: {error}') from error
