# SPDX-License-Identifier: Apache-2.0
"""How busy the hosts of a site were in a period, by the ledger: SQL."""

from __future__ import annotations

import collections
import fractions
from collections.abc import Iterable
from typing import Any

import sqlalchemy as sa

from energy_accounting import units
from energy_accounting.facility import equipment, inputs
from energy_accounting.facility.asked import Asked, united
from energy_accounting.ledger import models as ledger


def servers(asked: Asked) -> list[equipment.Utilisation]:
    """How busy the hosts of the site were, by the ledger.

    Buckets of a host that were measured alike are one row: all the
    standard's mean needs, and a year of a host is few rows.
    """
    hosts, table = ledger.hosts.c, ledger.host_buckets.c
    busy_ns = sa.case((table.busy_ns > table.capacity_ns,
                       table.capacity_ns), else_=table.busy_ns)
    query = sa.select(
        table.host_id, table.measured_ns, table.capacity_ns,
        sa.func.count().label('buckets'),
        sa.func.sum(busy_ns).label('busy_ns'),
    ).join_from(ledger.host_buckets, ledger.hosts,
                hosts.id == table.host_id).join(
        ledger.sites, ledger.sites.c.id == hosts.site_id).where(
        ledger.sites.c.name == asked.site.name,
        table.bucket >= asked.buckets.start,
        table.bucket < asked.buckets.stop,
        table.measured_ns > 0,
    ).group_by(table.host_id, table.measured_ns, table.capacity_ns)
    rows = collections.defaultdict(list)
    for row in asked.connection.execute(query):
        rows[row.host_id].append(row)
    found = []
    for host in asked.connection.execute(
            sa.select(hosts.id, hosts.name, hosts.enrolled_at_ns,
                      hosts.retired_at_ns)
            .join_from(ledger.hosts, ledger.sites)
            .where(ledger.sites.c.name == asked.site.name)
            .order_by(hosts.name)):
        label = host.name if asked.names else f'host {host.id}'
        measured_ns = 0
        for row in rows[host.id]:
            time_ns = row.measured_ns * row.buckets
            measured_ns += time_ns
            found.append(equipment.Utilisation(
                label, int(row.busy_ns), row.capacity_ns * row.buckets,
                time_ns, time_ns))
        silent_ns = _in_service_ns(asked, host) - measured_ns
        if silent_ns > 0:
            found.append(equipment.Utilisation(label, 0, 0, 0,
                                               silent_ns))
    return found


def served(asked: Asked) -> fractions.Fraction:
    """The share of the period in which any host was enrolled."""
    hosts = ledger.hosts.c
    spans = [(max(enrolled_ns, asked.start_ns),
              min(retired_ns or asked.end_ns, asked.end_ns))
             for enrolled_ns, retired_ns in asked.connection.execute(
                 sa.select(hosts.enrolled_at_ns, hosts.retired_at_ns)
                 .join_from(ledger.hosts, ledger.sites)
                 .where(ledger.sites.c.name == asked.site.name,
                        hosts.enrolled_at_ns.is_not(None)))]
    return inputs.share_of(asked.period, united(
        span for span in spans if span[0] < span[1]))


def _in_service_ns(asked: Asked, host: Any) -> int:
    """How long a host should have been measured."""
    if host.enrolled_at_ns is None:
        return 0
    start_ns = max(host.enrolled_at_ns, asked.start_ns)
    end_ns = min(host.retired_at_ns or asked.end_ns, asked.end_ns)
    table = ledger.downtimes.c
    planned = [(row.start_ns, row.end_ns)
               for row in asked.connection.execute(
                   sa.select(table.start_ns, table.end_ns)
                   .where(table.host_id == host.id,
                          table.start_ns < end_ns,
                          table.end_ns > start_ns))]
    return (_length(units.without(start_ns, end_ns, planned))
            if start_ns < end_ns else 0)


def _length(spans: Iterable[tuple[int, int]]) -> int:
    return sum(end_ns - start_ns for start_ns, end_ns in spans)
