# SPDX-License-Identifier: Apache-2.0
"""Builders of valid records for tests: windows that add up.

Numbers follow from the arguments, so that a test can predict every sum.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from energy_accounting import samples, signing, units, wire
from energy_accounting.ledger import engine
from tests.unit.ledger import empty

# 2026-03-01T00:00:00Z
START_NS = 1_772_323_200 * units.NS_PER_S
MINUTE_NS = 60 * units.NS_PER_S
PROJECT = '8b7c2c9f3b8f4f6f9d9e4f0a1b2c3d4e'
# One key for all hosts: whose it is, is asked by few.
SIGNER = signing.Signer.new()
INSTANCE = '0f6a1f7e-6f0e-4c2e-9a54-3b8e7d1c9a01'


def database(url: str = 'sqlite://') -> engine.Database:
    """A new ledger with all its tables."""
    made = engine.Database(url)
    empty.fill(made)
    return made


def share(account: samples.Account | None = None, *, active_uj: int = 600,
          idle_uj: int = 300, memory_uj: int | None = 80, host_uj: int = 20,
          cpu_ns: int = 30 * units.NS_PER_S,
          vcpu_ns: int = 120 * units.NS_PER_S,
          memory_mib_ns: int = 2048 * MINUTE_NS) -> samples.Share:
    """One share; by default that of an instance, 1000 uJ."""
    if account is None:
        account = instance()
    return samples.Share(account, active_uj, idle_uj, memory_uj, host_uj,
                         cpu_ns, vcpu_ns, memory_mib_ns)


def instance(instance_id: str = INSTANCE, project_id: str | None = PROJECT,
             flavor: str | None = 'm1.small',
             user_id: str | None = None) -> samples.Account:
    return samples.Account(samples.INSTANCE, instance_id, project_id,
                           flavor, user_id)


def service(name: str) -> samples.Account:
    return samples.Account(samples.SERVICE, name=name)


def unallocated(reason: str) -> samples.Account:
    return samples.Account(samples.UNALLOCATED, name=reason)


def part(bucket: int, shares: Iterable[samples.Share] | None = None, *,
         backfilled: bool = False, measured_ns: int = MINUTE_NS,
         **changes: Any) -> samples.Part:
    """A part that adds up: its zones follow from its shares."""
    if shares is None:
        shares = (share(),
                  share(unallocated('idle_capacity'), active_uj=0,
                        idle_uj=700, memory_uj=0, host_uj=0, cpu_ns=0,
                        vcpu_ns=0, memory_mib_ns=0))
    shares = tuple(sorted(shares, key=lambda one: one.account.order))
    memory = [one.memory_uj for one in shares if one.memory_uj is not None]
    zones_uj = {'package-0': sum(one.energy_uj for one in shares)
                - sum(memory)}
    if memory:
        zones_uj['dram-0'] = sum(memory)
    values: dict[str, Any] = {
        'bucket': bucket, 'backfilled': backfilled,
        'measured_ns': measured_ns,
        'busy_ns': sum(one.cpu_ns for one in shares),
        'capacity_ns': 8 * measured_ns,
        'idle_uj': sum(one.idle_uj for one in shares),
        'zones_uj': zones_uj, 'shares': shares, **changes}
    return samples.Part(**values)


def window(sequence: int = 1, shares: Iterable[samples.Share] | None = None,
           *, host: str = 'compute-1', stream: str = 'stream-1',
           machine_id: str = 'machine-1', boot_id: str = 'boot-1',
           start_ns: int | None = None, duration_ns: int = MINUTE_NS,
           **changes: Any) -> samples.Window:
    """The n-th minute of a host since :data:`START_NS`."""
    if start_ns is None:
        start_ns = START_NS + (sequence - 1) * MINUTE_NS
    values: dict[str, Any] = {
        'host': host, 'machine_id': machine_id, 'stream': stream,
        'sequence': sequence, 'start_ns': start_ns,
        'end_ns': start_ns + duration_ns, 'boot_id': boot_id,
        'boottime_start_ns': start_ns - START_NS + 1000 * MINUTE_NS,
        'boottime_end_ns':
            start_ns - START_NS + 1000 * MINUTE_NS + duration_ns,
        'policy': 'two-part/1', 'basis': ('dram-0', 'package-0'),
        'idle_kind': 'measured', 'idle_power_uw': 40 * units.UJ_PER_J,
        'cpus': 8, 'memory_mib': 65536, 'version': '1.0.0',
        'parts': (part(units.bucket_of(start_ns), shares,
                       measured_ns=duration_ns),), **changes}
    return samples.Window(**values)


def payloads(*records: samples.Window | samples.Lost,
             ) -> list[samples.Signed]:
    """Records as a notifier sends them."""
    return [signed(record) for record in records]


def signed(record: samples.Window | samples.Lost | str) -> samples.Signed:
    return SIGNER.sign(record if isinstance(record, str)
                       else wire.payload(record))


def lost(sequence: int, last: int, *, host: str = 'compute-1',
         stream: str = 'stream-1',
         machine_id: str = 'machine-1') -> samples.Lost:
    return samples.Lost(host, machine_id, stream, sequence, last)
