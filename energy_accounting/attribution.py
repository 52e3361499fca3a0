# SPDX-License-Identifier: Apache-2.0
"""From a tick to shares: who gets which of its microjoules.

A policy is a pure function with a name and a version (``two-part/1``); a
change of its result is a new version, never an edit.  No reading, no
clock, no floating point, and no knowledge of what the guests are called
beyond the order of their ids, which only breaks ties.

Every policy keeps ``sum of shares == package_uj + memory_uj`` to the
microjoule, for any tick.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from energy_accounting import samples, units

# What an ``unallocated`` account is named: why nobody else owns it.  A tick
# brings the names of its lost parts along (``ended``, ``unreadable``).
IDLE_CAPACITY = 'idle_capacity'
FREE_MEMORY = 'free_memory'
HOST = 'host'
NO_ACTIVITY = 'no_activity'

MILLION = 1_000_000


class Split(NamedTuple):
    """A tick, divided.

    :ivar shares: in the order of their accounts.
    :ivar idle_uj: the idle part of the package energy, all accounts.
    """

    shares: tuple[samples.Share, ...]
    idle_uj: int


Policy = Callable[[samples.Tick, int | None, int], Split]


def two_part(tick: samples.Tick, idle_power_uw: int | None,
             ratio_millionths: int) -> Split:
    """Policy ``two-part/1``: idle by reservation, the rest by CPU time.

    :param idle_power_uw: what the packages draw without work; None while
        unknown: then the idle part is package energy x (1 - busy).
    :param ratio_millionths: vCPUs on offer per hardware thread x 10^6.
    """
    capacity_ns = tick.cpus * tick.duration_ns
    if idle_power_uw is not None:
        idle_uj = min(idle_power_uw * tick.duration_ns // units.NS_PER_S,
                      tick.package_uj)
    elif capacity_ns > 0:
        unused_ns = max(0, capacity_ns - tick.busy_ns)
        idle_uj = tick.package_uj * unused_ns // capacity_ns
    else:
        idle_uj = 0
    return _split(tick, idle_uj, capacity_ns * ratio_millionths // MILLION)


def proportional(tick: samples.Tick, idle_power_uw: int | None,
                 ratio_millionths: int) -> Split:
    """Policy ``proportional/1``: all package energy by CPU time.

    The parameters are those of every policy and change nothing here.
    """
    return _split(tick, 0, tick.cpus * tick.duration_ns
                  * ratio_millionths // MILLION)


def node(tick: samples.Tick, idle_power_uw: int | None,
         ratio_millionths: int) -> Split:
    """Policy ``node/1``: as ``two-part/1``, of the energy of a whole node.

    For hosts with a node meter and no RAPL: what the node draws without
    work goes by reservation, what work adds by CPU time.  Memory is inside
    and has no term of its own.
    """
    return two_part(tick, idle_power_uw, ratio_millionths)


def _split(tick: samples.Tick, idle_uj: int, offered_ns: int) -> Split:
    """Divide a tick whose idle part is known.

    :param offered_ns: vCPU time the host had on offer.
    """
    guests = sorted(tick.guests, key=_identity)
    services = sorted(tick.services_cpu_ns)
    reasons = sorted({*tick.lost_cpu_ns, *tick.lost_vcpu_ns,
                      *tick.lost_memory_mib_ns})
    # Positions in every list: guests, then reasons, then services (which
    # reserve nothing); one more at the end for the host or what is free.
    reserving = len(guests) + len(reasons)
    no_memory = None if tick.memory_uj is None else 0

    cpu_ns = [guest.cpu_ns for guest in guests]
    cpu_ns += [tick.lost_cpu_ns.get(reason, 0) for reason in reasons]
    cpu_ns += [tick.services_cpu_ns[name] for name in services]
    vcpu_ns = [guest.vcpu_ns for guest in guests]
    vcpu_ns += [tick.lost_vcpu_ns.get(reason, 0) for reason in reasons]
    mib_ns = [guest.memory_mib_ns for guest in guests]
    mib_ns += [tick.lost_memory_mib_ns.get(reason, 0) for reason in reasons]
    free_vcpu_ns = max(0, offered_ns - sum(vcpu_ns))
    free_mib_ns = max(0, tick.memory_mib * tick.duration_ns - sum(mib_ns))

    active_uj = tick.package_uj - idle_uj
    active = units.divide(active_uj, [*cpu_ns, tick.host_cpu_ns])
    inactive_uj = 0 if active else active_uj
    active = active or [0] * (len(cpu_ns) + 1)
    idle = _by_reservation(idle_uj, [*vcpu_ns, free_vcpu_ns])
    memory: list[int | None]
    if tick.memory_uj is None:
        memory = [None] * (reserving + 1)
    else:
        memory = [*_by_reservation(tick.memory_uj, [*mib_ns, free_mib_ns])]
    # Those without a name bear their part of the host's own share as well:
    # the others must not get more because one guest could not be read.
    host = units.divide(active[-1], [
        active[place] + idle[place] for place in range(reserving)
    ]) if guests else []
    ownerless_uj = 0 if host else active[-1]
    host = host or [0] * reserving

    shares = [
        samples.Share(
            samples.Account(samples.INSTANCE, guest.instance_id,
                            guest.project_id, guest.flavor, guest.user_id),
            active[place], idle[place], memory[place], host[place],
            guest.cpu_ns, guest.vcpu_ns, guest.memory_mib_ns)
        for place, guest in enumerate(guests)]
    for place, name in enumerate(services, reserving):
        shares.append(samples.Share(
            samples.Account(samples.SERVICE, name=name),
            active[place], 0, no_memory, 0, cpu_ns[place], 0, 0))
    unowned = [
        _unallocated(reason, active[place], idle[place], memory[place],
                     host[place], cpu_ns[place], vcpu_ns[place],
                     mib_ns[place])
        for place, reason in enumerate(reasons, len(guests))]
    unowned += [
        _unallocated(FREE_MEMORY, 0, 0, memory[-1], 0, 0, 0,
                     free_mib_ns if tick.memory_uj is not None else 0),
        _unallocated(HOST, 0, 0, no_memory, ownerless_uj,
                     0 if guests else tick.host_cpu_ns, 0, 0),
        _unallocated(IDLE_CAPACITY, 0, idle[-1], no_memory, 0, 0,
                     free_vcpu_ns, 0),
        _unallocated(NO_ACTIVITY, inactive_uj, 0, no_memory, 0, 0, 0, 0)]
    unowned.sort(key=lambda share: share.account.name or '')
    shares += [share for share in unowned if any(share[1:])]
    return Split(tuple(shares), idle_uj)


def _identity(guest: samples.GuestUse) -> tuple[str, ...]:
    """Sorts as :attr:`samples.Account.order` does, without making one."""
    return (guest.instance_id, guest.project_id or '', guest.flavor or '',
            guest.user_id or '')


def _by_reservation(energy_uj: int, weights: list[int]) -> list[int]:
    """Divide by what is reserved and, in the last place, what is free.

    That place gets all where a host has no capacity at all.
    """
    return (units.divide(energy_uj, weights)
            or [0] * (len(weights) - 1) + [energy_uj])


def _unallocated(reason: str, active_uj: int, idle_uj: int,
                 memory_uj: int | None, host_uj: int, cpu_ns: int,
                 vcpu_ns: int, memory_mib_ns: int) -> samples.Share:
    return samples.Share(
        samples.Account(samples.UNALLOCATED, name=reason), active_uj,
        idle_uj, memory_uj, host_uj, cpu_ns, vcpu_ns, memory_mib_ns)
