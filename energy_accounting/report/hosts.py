# SPDX-License-Identifier: Apache-2.0
"""Hosts in the words of an operator.  Pure."""

from __future__ import annotations

import decimal
from typing import TYPE_CHECKING, Any

from energy_accounting import units
from energy_accounting.report import shares, times

if TYPE_CHECKING:
    from energy_accounting.ledger import hosts as ledger

ENROLLED = 'enrolled'
COVERAGE_BUCKETS = 96
"""Coverage of a host is stated over the 24 hours before this quarter."""


def row(host: ledger.HostState, now_ns: int) -> dict[str, Any]:
    """One host; None where no window has said it yet."""
    end_ns = host.last_window_end_ns
    return {
        'name': host.name, 'state': host.state, 'site': host.site,
        'region': host.region, 'boundary': host.boundary,
        'last_window_start': times.iso(host.last_window_start_ns),
        'last_window_end': times.iso(end_ns),
        'lag_seconds': None if end_ns is None
        else max(now_ns - end_ns, 0) // units.NS_PER_S,
        'last_received': times.iso(host.last_received_ns),
        'coverage': coverage(host, units.bucket_of(now_ns)),
        'basis': list(host.basis), 'idle_kind': host.idle_kind,
        'idle_power_w': _watts(host.idle_power_uw),
        'policy': host.policy, 'cpus': host.cpus,
        'memory_mib': host.memory_mib, 'version': host.version,
        'alarm': host.alarm,
        'expected': host.state == ENROLLED and not _in_downtime(host, now_ns),
        'late': host.late,
        'enrolled_at': times.iso(host.enrolled_at_ns),
        'retired_at': None if host.state == ENROLLED
        else times.iso(host.retired_at_ns),
        'public_key': host.public_key,
        'presented_keys': list(host.presented_keys),
        'window_seconds': host.window_seconds,
        'max_power_w': _watts(host.max_power_uw),
        'downtime': None if host.downtime is None
        else downtime(host.downtime),
    }


def downtime(planned: ledger.Downtime) -> dict[str, Any]:
    """A downtime of a host."""
    return {'id': planned.id, 'start': times.iso(planned.start_ns),
            'end': times.iso(planned.end_ns), 'reason': planned.reason}


def _in_downtime(host: ledger.HostState, now_ns: int) -> bool:
    return (host.downtime is not None
            and host.downtime.start_ns <= now_ns < host.downtime.end_ns)


def coverage(host: ledger.HostState, current: int) -> str | None:
    """Measured time / time, over whole buckets before the current one.

    A host that is younger than the range is not blamed for the time before
    the quarter it came in; None when that is the current one.  Nor is any
    for a planned downtime, or for the time it was retired.

    :param current: the bucket that is not over yet.
    """
    known = [bucket for bucket in (
        host.first_bucket,
        None if host.enrolled_at_ns is None
        else units.bucket_of(host.enrolled_at_ns)) if bucket is not None]
    since = max(current - COVERAGE_BUCKETS, min(known, default=current))
    span_ns = (current - since) * units.BUCKET_NS - sum(
        ns for bucket, ns in host.excused if bucket >= since)
    if span_ns <= 0:
        return None
    # Two readings are never exactly a bucket apart: to the nearest step.
    steps = (host.measured_ns * shares.STEPS + span_ns // 2) // span_ns
    return shares.text(min(steps, shares.STEPS))


def _watts(power_uw: int | None) -> str | None:
    return None if power_uw is None else format(
        decimal.Decimal(power_uw).scaleb(-6)
        .quantize(decimal.Decimal('1e-6')), 'f')
