# SPDX-License-Identifier: Apache-2.0
"""One site and period that key figures are asked of, and its times."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterable

import sqlalchemy as sa

from energy_accounting import errors, units
from energy_accounting.facility import inputs, meters
from energy_accounting.ledger import sites


@dataclasses.dataclass(frozen=True)
class Asked:
    """One site and period.

    :ivar site: as it was known at the moment.
    :ivar as_of_ns: the moment: meters, readings, events, factors and
        contracts are as they were known then.
    :ivar names: whether meters and hosts are called by their names, and
        not by numbers: tenants may not know them.
    """

    connection: sa.Connection
    site: sites.Site
    period: inputs.Period
    as_of_ns: int
    names: bool = True

    def __post_init__(self) -> None:
        for name, edge_ns in (('start', self.start_ns),
                              ('end', self.end_ns)):
            if edge_ns % units.BUCKET_NS:
                raise errors.FigureRefused(
                    f'period {name} is inside a quarter of an hour: give '
                    'minute 00, 15, 30 or 45 and no seconds')

    @functools.cached_property
    def start_ns(self) -> int:
        """The first moment of the period."""
        return units.wall_ns(self.period.start)

    @functools.cached_property
    def end_ns(self) -> int:
        """The end of the period, itself excluded."""
        return units.wall_ns(self.period.end)

    @property
    def buckets(self) -> range:
        """The quarters of an hour of the period."""
        return range(units.bucket_of(self.start_ns),
                     units.bucket_of(self.end_ns))

    def label(self, meter: meters.Meter) -> str:
        """What a meter is called in a list of meters."""
        return meter.name if self.names else f'meter {meter.id}'

    def called(self, meter: meters.Meter) -> str:
        """What a meter is called in a sentence."""
        return f'meter {meter.name if self.names else meter.id}'


def united(spans: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Times in order, without inner edges or overlaps."""
    found: list[tuple[int, int]] = []
    for start_ns, end_ns in sorted(spans):
        if found and start_ns <= found[-1][1]:
            found[-1] = found[-1][0], max(found[-1][1], end_ns)
        else:
            found.append((start_ns, end_ns))
    return found
