# SPDX-License-Identifier: Apache-2.0
"""The ledger as a monitoring system knows things: families of samples.

Names and units are Prometheus's (base units, ``_total`` of counters); how
they are written down is not decided here.  Pure.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from energy_accounting import units

if TYPE_CHECKING:
    from energy_accounting.ledger import gauges as ledger

GAUGE = 'gauge'
COUNTER = 'counter'
PREFIX = 'energy_accounting_'


@dataclasses.dataclass(frozen=True, slots=True)
class Family:
    """One metric: a whole number for each set of labels.

    :ivar name: of a counter without ``_total``.
    """

    name: str
    kind: str
    help: str
    labels: tuple[str, ...]
    samples: Mapping[tuple[str, ...], int]


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
        {host: max(now_ns - end_ns, 0) // units.NS_PER_S for host, end_ns
         in found.last_window_ends_ns.items() if end_ns is not None})
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


def _by_word(counts: Mapping[str, int]) -> dict[tuple[str, ...], int]:
    return {(word,): number for word, number in counts.items()}
