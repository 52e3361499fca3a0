# SPDX-License-Identifier: Apache-2.0
"""Lines added up for people: by server, and by day or month.  Pure."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

from energy_accounting import tariffs
from energy_accounting.report import facility
from energy_accounting.statements import lines

ALLOCATED = ('idle_uj', 'memory_uj', 'host_uj', 'platform_uj')


@dataclasses.dataclass(slots=True)
class Part:
    """What some lines have together; None: not known."""

    active_uj: int = 0
    allocated_uj: int = 0
    facility_uj: int | None = 0
    location_ng: int | None = 0
    cost: int | None = 0
    days: set[str] = dataclasses.field(default_factory=set)
    flavors: set[str] = dataclasses.field(default_factory=set)
    sites: set[str] = dataclasses.field(default_factory=set)

    @property
    def it_uj(self) -> int:
        return self.active_uj + self.allocated_uj

    def add(self, line: lines.Line, digits: int) -> None:
        self.active_uj += line.active_uj
        self.allocated_uj += line.it_uj - line.active_uj
        self.facility_uj = facility.plus(self.facility_uj, line.facility_uj)
        self.location_ng = facility.plus(self.location_ng,
                                         line.co2_location_ng)
        self.cost = facility.plus(
            self.cost, None if line.cost is None
            else tariffs.minor_units(line.cost, digits))
        self.days.add(line.day)
        self.flavors.update(filter(None, [line.flavor]))
        self.sites.add(line.site)

    def join(self, other: Part) -> None:
        """Add what others have."""
        self.active_uj += other.active_uj
        self.allocated_uj += other.allocated_uj
        self.facility_uj = facility.plus(self.facility_uj,
                                         other.facility_uj)
        self.location_ng = facility.plus(self.location_ng,
                                         other.location_ng)
        self.cost = facility.plus(self.cost, other.cost)


@dataclasses.dataclass(frozen=True, slots=True)
class Summary:
    """What a document shows of lines.

    :ivar servers: by id, or by account where there is none.
    :ivar times: by day (of a month) or month (of a year), all there are.
    """

    servers: dict[str, Part]
    times: dict[str, Part]


def of(found: Iterable[lines.Line], times: Iterable[str],
       digits: int) -> Summary:
    """Add lines up.

    :param times: the days or months of the period: their dates' beginning.
    """
    servers: dict[str, Part] = {}
    by_time = {time: Part() for time in times}
    width = len(next(iter(by_time)))
    for line in found:
        name = line.instance_id or line.account
        part = servers.get(name)
        if part is None:
            part = servers[name] = Part()
        part.add(line, digits)
        by_time[line.day[:width]].add(line, digits)
    return Summary(servers, by_time)


def largest(servers: dict[str, Part], most: int | None,
            ) -> tuple[list[tuple[str, Part]], Part | None, int]:
    """(the servers with the most energy, the rest together, how many)."""
    ordered = sorted(servers.items(),
                     key=lambda item: (-item[1].it_uj, item[0]))
    if most is None or len(ordered) <= most:
        return ordered, None, 0
    rest = Part()
    for _, part in ordered[most:]:
        rest.join(part)
    return ordered[:most], rest, len(ordered) - most
