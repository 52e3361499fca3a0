# SPDX-License-Identifier: Apache-2.0
"""Ticks joined into windows between wall-clock edges.

A window closes with the first reading at or after its edge, and the tick
of that reading belongs to it.  A window divides a bucket, so all of a
window lies in one bucket, except what a backfilled tick brings: that is
divided over the buckets it crosses, by time.

When the wall clock leaps, the tick during which it did belongs to the
window that is open and is not divided; the window is closed, and the next
one begins by the new clock.  Energy is thus never lost and never twice,
though a clock set back makes a bucket be measured twice.  No clock is read
here, and nothing is sent or stored.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterable, Mapping

from energy_accounting import attribution, samples, units

TOO_MANY = 'too_many'
"""Why a share is unallocated: a record cannot name all who have one."""


@dataclasses.dataclass(frozen=True, slots=True)
class Draft:
    """A closed window, but for what only the notifier knows.

    :ivar basis: every zone that was measured, in the order of their names.
    :ivar cpus, memory_mib: as of the last tick.
    :ivar package_power_uw: the mean power of all packages, for the
        measurement of idle power; None unless every tick was an ordinary
        one and no gap was stated.
    :ivar busy_ns, capacity_ns: CPU time, used and there was.
    """

    start_ns: int
    end_ns: int
    boottime_start_ns: int
    boottime_end_ns: int
    parts: tuple[samples.Part, ...]
    gaps: tuple[samples.Gap, ...]
    cpus: int
    memory_mib: int
    basis: tuple[str, ...]
    package_power_uw: int | None
    busy_ns: int
    capacity_ns: int


class Windows:
    """The open window of a host."""

    def __init__(self, window_ns: int) -> None:
        self._window_ns = window_ns
        # The open window; without one, start and edge are None.
        self._start_ns: int | None = None
        self._edge_ns = 0
        # Its backfilled ticks may reach beyond it, either way.
        self._first_ns: int | None = None
        self._last_ns = 0
        self._parts: dict[tuple[int, bool], _Sums] = {}
        self._gaps: list[samples.Gap] = []
        self._boottime: tuple[int, int] | None = None
        self._package_uj = 0
        self._duration_ns = 0
        # These outlive a window.
        self._boottime_ns = 0
        self._cpus = 0
        self._memory_mib = 0

    @property
    def start_ns(self) -> int | None:
        """Where the open window starts; None before the first one."""
        return self._start_ns

    def add(self, tick: samples.Tick, split: attribution.Split) -> None:
        """Add a tick to the open window."""
        if tick.backfilled:
            begin_ns = max(0, tick.end_ns - tick.duration_ns)
            # It belongs to the window of its end, unless one is open.
            self._open(begin_ns, tick.end_ns)
            pieces = _crossed(begin_ns, tick.end_ns)
            if self._first_ns is None or begin_ns < self._first_ns:
                self._first_ns = begin_ns
            self._last_ns = max(self._last_ns, tick.end_ns)
        else:
            self._open(tick.start_ns, tick.start_ns + 1)
            pieces = {units.bucket_of(self._edge_ns - 1): tick.duration_ns}
        if len(pieces) == 1:
            [bucket] = pieces
            self._sums(bucket, tick.backfilled).add(
                tick.duration_ns, tick.busy_ns, tick.cpus * tick.duration_ns,
                tick.zones_uj, split.shares)
        else:
            self._divide(tick, split, pieces)
        if self._boottime is None:
            self._boottime = (tick.boottime_start_ns, tick.boottime_end_ns)
        else:
            self._boottime = (min(self._boottime[0], tick.boottime_start_ns),
                              tick.boottime_end_ns)
        self._boottime_ns = tick.boottime_end_ns
        self._package_uj += tick.package_uj
        self._duration_ns += tick.duration_ns
        self._cpus, self._memory_mib = tick.cpus, tick.memory_mib

    def note(self, gaps: Iterable[samples.Gap],
             boottime_ns: int | None = None) -> None:
        """State gaps in the open window; adjoining ones become one.

        :param boottime_ns: of the reading that showed them: where a window
            ends that has no tick after them.
        """
        for gap in gaps:
            self._open(gap.end_ns, gap.end_ns + 1)
            for place, before in enumerate(self._gaps):
                if ((before.zone, before.reason) == (gap.zone, gap.reason)
                        and before.start_ns <= gap.start_ns
                        <= before.end_ns):
                    self._gaps[place] = dataclasses.replace(
                        before, end_ns=max(before.end_ns, gap.end_ns))
                    break
            else:
                self._gaps.append(gap)
            if boottime_ns is not None:
                self._boottime_ns = boottime_ns
                if self._boottime is not None:
                    # What is stated is not skipped.
                    self._boottime = (self._boottime[0],
                                      max(self._boottime[1], boottime_ns))

    def close_due(self, wall_ns: int) -> Draft | None:
        """The open window, when a reading at this moment closes it."""
        self._open(wall_ns, wall_ns + 1)
        # Set back by less than a window, the clock soon comes round to the
        # edge by itself.
        if self._edge_ns - 2 * self._window_ns <= wall_ns < self._edge_ns:
            return None
        draft = self._draft(self._edge_ns)
        self._start_ns = self._floor(wall_ns)
        self._edge_ns = self._start_ns + self._window_ns
        if draft is not None and draft.end_ns <= wall_ns:
            self._start_ns = max(self._start_ns, draft.end_ns)
        return draft

    def flush(self, wall_ns: int) -> Draft | None:
        """What there is, at a clean stop."""
        if self._start_ns is None:
            return None
        draft = self._draft(min(max(wall_ns, self._start_ns + 1),
                                self._edge_ns))
        self._start_ns = None
        return draft

    def _floor(self, wall_ns: int) -> int:
        return wall_ns // self._window_ns * self._window_ns

    def _open(self, start_ns: int, end_ns: int) -> None:
        """Open the window that a time span ends in, unless one is open."""
        if self._start_ns is None:
            self._start_ns = start_ns
            self._edge_ns = self._floor(end_ns - 1) + self._window_ns

    def _sums(self, bucket: int, backfilled: bool) -> _Sums:
        return self._parts.setdefault((bucket, backfilled), _Sums())

    def _divide(self, tick: samples.Tick, split: attribution.Split,
                pieces: Mapping[int, int]) -> None:
        """Give each bucket its time's part of a tick.

        The energy of each bucket is fixed first, then every zone and every
        term of every share is divided so that both add up to it.
        """
        times = list(pieces.values())
        sums = [self._sums(bucket, tick.backfilled) for bucket in pieces]
        busy = units.divide(tick.busy_ns, times)
        energies = units.divide(sum(tick.zones_uj.values()), times)
        zones = _divide_rows([*tick.zones_uj.values()], times, energies)
        terms = _divide_rows(
            [number or 0 for share in split.shares for number in share[1:5]],
            times, energies)
        keys = [units.divide(number, times)
                for share in split.shares for number in share[5:]]
        for place, bucket in enumerate(sums):
            shares = []
            for index, share in enumerate(split.shares):
                active, idle, memory, host = (
                    row[place] for row in terms[4 * index:4 * index + 4])
                cpu, vcpu, mib = (
                    row[place] for row in keys[3 * index:3 * index + 3])
                shares.append(samples.Share(
                    share.account, active, idle,
                    None if share.memory_uj is None else memory, host,
                    cpu, vcpu, mib))
            bucket.add(times[place], busy[place], tick.cpus * times[place],
                       {zone: row[place] for zone, row
                        in zip(tick.zones_uj, zones, strict=True)}, shares)

    def _draft(self, end_ns: int) -> Draft | None:
        """The open window as it is, which is then empty."""
        if not self._parts and not self._gaps:
            return None
        starts = [moment_ns for moment_ns in (self._start_ns, self._first_ns)
                  if moment_ns is not None]
        basis = tuple(sorted({zone for sums in self._parts.values()
                              for zone in sums.zones_uj}))
        parts = tuple(self._parts[key].part(*key, basis)
                      for key in sorted(self._parts))
        power_uw = None
        if (self._duration_ns and not self._gaps
                and not any(part.backfilled for part in parts)):
            power_uw = (self._package_uj * units.NS_PER_S
                        // self._duration_ns)
        boottime = self._boottime or (self._boottime_ns, self._boottime_ns)
        draft = Draft(
            start_ns=min(starts), end_ns=max(end_ns, self._last_ns),
            boottime_start_ns=boottime[0], boottime_end_ns=boottime[1],
            parts=parts, gaps=tuple(self._gaps), cpus=self._cpus,
            memory_mib=self._memory_mib, basis=basis,
            package_power_uw=power_uw,
            busy_ns=sum(part.busy_ns for part in parts),
            capacity_ns=sum(part.capacity_ns for part in parts))
        self._first_ns, self._last_ns = None, 0
        self._parts, self._gaps, self._boottime = {}, [], None
        self._package_uj = self._duration_ns = 0
        return draft


def without_names(part: samples.Part) -> samples.Part:
    """A part all of whose shares are nobody's, for want of room.

    Its sums stay what they were.
    """
    if not part.shares:
        return part
    nobody = samples.Account(samples.UNALLOCATED, name=TOO_MANY)
    return dataclasses.replace(part, shares=(functools.reduce(
        _added, (share._replace(account=nobody)
                 for share in part.shares)),))


def _crossed(start_ns: int, end_ns: int) -> dict[int, int]:
    """The buckets of a time span, and how much of it is in each."""
    pieces = {}
    while start_ns < end_ns:
        bucket = units.bucket_of(start_ns)
        until_ns = min(end_ns, (bucket + 1) * units.BUCKET_NS)
        pieces[bucket] = until_ns - start_ns
        start_ns = until_ns
    return pieces


def _divide_rows(rows: list[int], weights: list[int], totals: list[int],
                 ) -> list[list[int]]:
    """Divide each number by the weights so that the columns sum up too.

    :param totals: :func:`units.divide` of the sum of ``rows``.
    """
    scale = sum(weights)
    divided = [[number * weight // scale for weight in weights]
               for number in rows]
    # No column is above its total yet: a sum of rounded-down parts is at
    # most the rounded-down part of the sum.
    left = [total - sum(column) for total, column
            in zip(totals, zip(*divided, strict=True), strict=True)]
    for number, row in zip(rows, divided, strict=True):
        for _ in range(number - sum(row)):
            place = left.index(max(left))
            left[place] -= 1
            row[place] += 1
    return divided


class _Sums:
    """One part of the open window."""

    def __init__(self) -> None:
        self.measured_ns = 0
        self.busy_ns = 0
        self.capacity_ns = 0
        self.zones_uj: dict[str, int] = {}
        self.shares: dict[samples.Account, samples.Share] = {}

    def add(self, measured_ns: int, busy_ns: int, capacity_ns: int,
            zones_uj: Mapping[str, int],
            shares: Iterable[samples.Share]) -> None:
        self.measured_ns += measured_ns
        self.busy_ns += busy_ns
        self.capacity_ns += capacity_ns
        for zone, energy_uj in zones_uj.items():
            self.zones_uj[zone] = self.zones_uj.get(zone, 0) + energy_uj
        for share in shares:
            sums = self.shares.get(share.account)
            self.shares[share.account] = share if sums is None else _added(
                sums, share)

    def part(self, bucket: int, backfilled: bool,
             basis: Iterable[str]) -> samples.Part:
        shares = sorted(self.shares.values(),
                        key=lambda share: share.account.order)
        return samples.Part(
            bucket, backfilled, self.measured_ns, self.busy_ns,
            self.capacity_ns, sum(share.idle_uj for share in shares),
            # A zone of the window that was out of the basis in this part
            # added nothing to it; a gap says for how long.
            {zone: self.zones_uj.get(zone, 0) for zone in basis},
            tuple(shares))


def _added(one: samples.Share, other: samples.Share) -> samples.Share:
    memory_uj = one.memory_uj
    if other.memory_uj is not None:
        memory_uj = other.memory_uj + (memory_uj or 0)
    return samples.Share(
        one.account, one.active_uj + other.active_uj,
        one.idle_uj + other.idle_uj, memory_uj,
        one.host_uj + other.host_uj, one.cpu_ns + other.cpu_ns,
        one.vcpu_ns + other.vcpu_ns,
        one.memory_mib_ns + other.memory_mib_ns)
