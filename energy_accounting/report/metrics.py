# SPDX-License-Identifier: Apache-2.0
"""The ledger as a monitoring system knows things: families of samples.

Names and units are Prometheus's (base units, ``_total`` of counters); how
they are written down is not decided here.  Pure.
"""

from __future__ import annotations

import dataclasses
import decimal
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from energy_accounting import units
from energy_accounting.report import times

if TYPE_CHECKING:
    from energy_accounting.ledger import gauges as ledger

GAUGE = 'gauge'
COUNTER = 'counter'
PREFIX = 'energy_accounting_'


@dataclasses.dataclass(frozen=True, slots=True)
class Family:
    """One metric: a number for each set of labels.

    :ivar name: of a counter without ``_total``.
    """

    name: str
    kind: str
    help: str
    labels: tuple[str, ...]
    samples: Mapping[tuple[str, ...], int | decimal.Decimal]


def families(found: ledger.Gauges, now_ns: int) -> Iterator[Family]:
    """Everything there is to scrape."""
    yield Family(PREFIX + 'hosts', GAUGE, 'Hosts of the register.',
                 ('state',), _by_word(found.hosts_by_state))
    yield Family(PREFIX + 'hosts_late', GAUGE,
                 'Hosts that owe windows.', (), {(): len(found.late)})
    yield Family(
        PREFIX + 'host_late', GAUGE,
        'Whether an enrolled host owes windows (1) or not (0).',
        ('host', 'site'), {(name, site): int(name in found.late)
                           for name, site in found.last_window_ends_ns})
    yield Family(
        PREFIX + 'host_last_window_age_seconds', GAUGE,
        'Time since the end of the newest booked window of a host; none of '
        'a host that has sent none.', ('host', 'site'),
        {host: lag for host, end_ns in found.last_window_ends_ns.items()
         if (lag := _lag(end_ns, now_ns)) is not None})
    yield Family(
        PREFIX + 'quarantine_held_records', GAUGE,
        'Records in quarantine that nobody has decided about.', ('code',),
        _by_word(found.held))
    yield Family(PREFIX + 'gaps', GAUGE,
                 'Gaps that the ledger holds.', ('reason',),
                 _by_word(found.gaps))
    yield Family(
        PREFIX + 'records_acknowledged', COUNTER,
        'Records that were booked, quarantined or stated lost, of streams '
        'of which a window was booked.', (), {(): found.acknowledged})
    if found.complete_until_ns is not None:
        yield Family(
            PREFIX + 'complete_until_timestamp_seconds', GAUGE,
            'Up to when the windows of every enrolled host are booked.', (),
            {(): found.complete_until_ns // units.NS_PER_S})


def tenants(rows: Iterable[Mapping[str, Any]], names: Mapping[str, str],
            ) -> Iterator[Family]:
    """Totals of projects under the names of SCS-0414 (v1, draft).

    :param rows: of usage by project, as everyone gets them.
    :param names: of projects, by id.
    """
    owned = {(row['project_id'], names.get(row['project_id'], '')): row
             for row in rows if row['project_id'] is not None}
    for name, column, text in (
            ('energy_kwh', 'it_kwh',
             'Energy of the IT of a project since 00:00 UTC (kWh).'),
            ('operational_gwp_kg', 'co2_location_kg',
             'CO2 equivalents of the operation of a project since 00:00 UTC, '
             'location-based (kg); none while it is not known.')):
        yield Family(
            f'sustainability_tenant_{name}', GAUGE, text,
            ('project_id', 'project_name'),
            {labels: decimal.Decimal(row[column])
             for labels, row in owned.items() if row[column] is not None})


def health(found: ledger.Gauges, now_ns: int) -> dict[str, Any]:
    """The same for a person: how far behind the ledger is, and who is late.

    The longest silence first; of a host that never sent anything None.
    """
    late = [{'host': name, 'site': site, 'last_window_end': times.iso(end_ns),
             'lag_seconds': _lag(end_ns, now_ns)}
            for (name, site), end_ns in found.last_window_ends_ns.items()
            if name in found.late]
    return {
        'hosts': dict(found.hosts_by_state),
        'complete_until': times.iso(found.complete_until_ns),
        'lag_seconds': _lag(found.complete_until_ns, now_ns),
        'quarantine_held': sum(found.held.values()),
        'late': sorted(late, key=lambda one: (
            one['lag_seconds'] is not None, -(one['lag_seconds'] or 0)))}


def _lag(end_ns: int | None, now_ns: int) -> int | None:
    return (None if end_ns is None
            else max(now_ns - end_ns, 0) // units.NS_PER_S)


def _by_word(counts: Mapping[str, int]) -> dict[tuple[str, ...], int]:
    return {(word,): number for word, number in counts.items()}
