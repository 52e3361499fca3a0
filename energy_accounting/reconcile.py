# SPDX-License-Identifier: Apache-2.0
"""Instance-hours that were seen against those that Nova counts.

Pure: both sides are handed in, and what else is asked is a function that
is handed in.  Where they come from is in ``ledger.reserved`` and
``owners``; how a difference is printed is in ``manage``.

Nova counts an instance from its newest launch to its deletion, also while
it is stopped; and a rebuild, resize, cold migration, rescue, unshelve and
evacuation are launches (``launched_at`` is set anew), so that what was
before them is not in its usage any more.  Time that was seen is that in
which a process of a hypervisor reserved vCPUs: the vCPU time that was
booked, divided by the vCPUs of the flavor it was booked with.
"""

from __future__ import annotations

import collections
import dataclasses
import decimal
import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from energy_accounting import units

if TYPE_CHECKING:
    from energy_accounting import owners
    from energy_accounting.ledger import reserved

# What differs.
NOT_SEEN = 'not_seen'
NOT_IN_NOVA = 'not_in_nova'
FEWER_HOURS = 'fewer_hours'
MORE_HOURS = 'more_hours'
OTHER_PROJECT = 'other_project'
OTHER_FLAVOR = 'other_flavor'

# Why, where it is known.
STOPPED = 'stopped'
UNMEASURED = 'unmeasured'
RELAUNCHED = 'relaunched'
MOVED = 'moved'
OWNER_UNKNOWN = 'owner_unknown'

EXPECTED = frozenset({STOPPED, RELAUNCHED})
"""Causes by which both sides are right."""

NOT_RUNNING = frozenset({'stopped', 'suspended', 'shelved',
                         'shelved_offloaded', 'soft-delete'})
"""States (Nova's vm_state) of an instance that has no process."""

EDGE_WINDOWS = 2
EDGES = 2
"""Two windows at each of two edges, the launch and the end.

Nova's launch is the moment its driver returned, up to a window after the
process began; an end is seen at the last tick before it.  Both sides also
read clocks of different machines.
"""

_HOUR_NS = 3600 * units.NS_PER_S


@dataclasses.dataclass(frozen=True, slots=True)
class Period:
    """What is compared: nanoseconds since 1970, half open."""

    start_ns: int
    end_ns: int

    def life(self, instance: owners.InNova) -> tuple[int, int]:
        """The part of the period in which Nova had an instance."""
        started_ns = instance.started_ns
        ended_ns = instance.ended_ns
        return (max(self.start_ns, started_ns or self.start_ns),
                min(self.end_ns,
                    self.end_ns if ended_ns is None else ended_ns))


@dataclasses.dataclass(frozen=True, slots=True)
class Difference:
    """One thing in which the two sides are not the same.

    :ivar nova, seen: what each side says: hours (with the unit ``h`` left
        out), a project, a flavor; None where it says nothing.
    :ivar cause: None where it is not known.
    """

    kind: str
    instance_id: str
    project_id: str | None
    nova: str | None
    seen: str | None
    cause: str | None = None
    state: str | None = None
    hosts: tuple[str, ...] = ()

    @property
    def expected(self) -> bool:
        return self.cause in EXPECTED


@dataclasses.dataclass(frozen=True, slots=True)
class Answers:
    """What is asked only about an instance whose hours differ.

    :ivar stopped_ns: of an instance and a time, for how long of it it had
        no process, as Nova's record of actions says.
    :ivar unmeasured_ns: of hosts and a time, for how long of it they were
        not measured.
    :ivar before: of an instance, what it was booked with in quarters of
        an hour that began before a moment.
    """

    stopped_ns: Callable[[owners.InNova, int, int], int]
    unmeasured_ns: Callable[[Sequence[str], int, int], int]
    before: Callable[[str, int], Sequence[reserved.Reserved]]


@dataclasses.dataclass(frozen=True, slots=True)
class Result:
    """What came of it.

    :ivar nova_ns, seen_ns: instance time of all instances; seen_ns of
        those Nova has.
    """

    instances: int
    nova_ns: int
    seen_ns: int
    differences: tuple[Difference, ...]

    @property
    def agreed(self) -> bool:
        return all(one.expected for one in self.differences)


def tolerance_ns(window_seconds: int) -> int:
    """The time by which both sides may differ and still agree."""
    return EDGES * EDGE_WINDOWS * window_seconds * units.NS_PER_S


def compare(nova: Iterable[owners.InNova], seen: Iterable[reserved.Reserved],
            period: Period, allowed_ns: int, answers: Answers) -> Result:
    """Lay both sides beside each other, instance by instance.

    :param allowed_ns: instance time by which both may differ.
    """
    in_nova = {one.instance_id: one for one in nova}
    rows: dict[str, list[reserved.Reserved]] = collections.defaultdict(list)
    for row in seen:
        rows[row.instance_id].append(row)
    vcpus = {one.flavor: one.vcpus for one in in_nova.values()}
    found: list[Difference] = []
    seen_ns = 0
    for instance_id in sorted({*in_nova, *rows}):
        mine = rows.get(instance_id, [])
        instance = in_nova.get(instance_id)
        if instance is None:
            found.extend(_unknown_to_nova(instance_id, mine, vcpus,
                                          allowed_ns))
            continue
        found.extend(_identity(instance, mine))
        time_of = functools.partial(
            _time_ns, {**vcpus, instance.flavor: instance.vcpus},
            instance.vcpus)
        seen_ns += time_of(mine)
        found.extend(_hours(instance, mine, time_of, period, allowed_ns,
                            answers))
    return Result(len({*in_nova, *rows}),
                  sum(one.ns for one in in_nova.values()), seen_ns,
                  tuple(found))


def _time_ns(vcpus: Mapping[str, int], else_vcpus: int,
             rows: Iterable[reserved.Reserved]) -> int:
    """Instance time of rows; ``else_vcpus`` of a flavor nobody has now."""
    total_ns = 0
    for row in rows:
        count = max(vcpus.get(row.flavor or '', else_vcpus), 1)
        total_ns += (row.vcpu_ns + count // 2) // count
    return total_ns


def _unknown_to_nova(instance_id: str, mine: Sequence[reserved.Reserved],
                     vcpus: Mapping[str, int], allowed_ns: int,
                     ) -> Iterable[Difference]:
    # Without Nova nobody knows the vCPUs of an unknown flavor: one.
    time_ns = _time_ns(vcpus, 1, mine)
    if time_ns > allowed_ns:
        yield Difference(NOT_IN_NOVA, instance_id, _one_of(mine), None,
                         hours(time_ns), hosts=_hosts(mine))


def _identity(instance: owners.InNova, mine: Sequence[reserved.Reserved],
              ) -> Iterable[Difference]:
    """Who owns it and what it is, where the two sides do not agree."""
    projects = {row.project_id for row in mine}
    if mine and projects != {instance.project_id}:
        yield Difference(
            OTHER_PROJECT, instance.instance_id, instance.project_id,
            instance.project_id, _said(projects),
            OWNER_UNKNOWN if projects <= {None, instance.project_id}
            else None, instance.state, _hosts(mine))
    # Nova has the flavor of today for all the time: an instance that was
    # resized was seen with it, too.
    flavors = {row.flavor for row in mine}
    if mine and instance.flavor not in flavors:
        yield Difference(
            OTHER_FLAVOR, instance.instance_id, instance.project_id,
            instance.flavor, _said(flavors), None, instance.state,
            _hosts(mine))


def _hours(instance: owners.InNova, mine: Sequence[reserved.Reserved],
           time_of: Callable[[Iterable[reserved.Reserved]], int],
           period: Period, allowed_ns: int, answers: Answers,
           ) -> Iterable[Difference]:
    time_ns = time_of(mine)
    missing_ns = instance.ns - time_ns
    if abs(missing_ns) <= allowed_ns:
        return
    hosts = _hosts(mine)
    cause = None
    if missing_ns > 0:
        kind = FEWER_HOURS if mine else NOT_SEEN
        start_ns, end_ns = period.life(instance)
        left_ns = missing_ns - answers.stopped_ns(instance, start_ns,
                                                  end_ns)
        if left_ns <= allowed_ns:
            cause = STOPPED
        elif hosts and left_ns - answers.unmeasured_ns(
                hosts, start_ns, end_ns) <= allowed_ns:
            cause = UNMEASURED
    else:
        kind = MORE_HOURS
        started_ns = instance.started_ns
        if started_ns is not None and period.start_ns < started_ns:
            missing_ns += time_of(answers.before(instance.instance_id,
                                                 started_ns))
        if missing_ns >= -allowed_ns:
            cause = RELAUNCHED
        elif len(hosts) > 1:
            # While it moves it has a process on either host.
            cause = MOVED
    yield Difference(kind, instance.instance_id, instance.project_id,
                     hours(instance.ns), hours(time_ns), cause,
                     instance.state, hosts)


def _hosts(mine: Iterable[reserved.Reserved]) -> tuple[str, ...]:
    return tuple(sorted({host for row in mine for host in row.hosts}))


def _one_of(mine: Iterable[reserved.Reserved]) -> str | None:
    return next((row.project_id for row in mine
                 if row.project_id is not None), None)


def _said(values: Iterable[str | None]) -> str:
    return ', '.join(sorted(value or 'unknown' for value in values))


def hours(ns: int) -> str:
    """Hours with four decimal places, a third of a second."""
    return format((decimal.Decimal(ns) / _HOUR_NS).quantize(
        decimal.Decimal('0.0001')), 'f')


def off_ns(actions: Iterable[tuple[int, str]], start_ns: int, end_ns: int,
           state: str) -> int:
    """For how long of a time an instance had no process.

    :param actions: (when, what) of Nova's record of actions.
    :param state: of the instance now, where no action says more.
    """
    off_since_ns: int | None = None
    total_ns = 0
    known = False
    for when_ns, what in sorted(actions):
        if what in _ENDS and off_since_ns is None:
            off_since_ns, known = when_ns, True
        elif what in _BEGINS and off_since_ns is not None:
            total_ns += _overlap(off_since_ns, when_ns, start_ns, end_ns)
            off_since_ns, known = None, True
    if off_since_ns is not None or (not known and state in NOT_RUNNING):
        total_ns += _overlap(off_since_ns or start_ns, end_ns, start_ns,
                             end_ns)
    return total_ns


_ENDS = frozenset({'stop', 'suspend', 'shelve', 'delete'})
_BEGINS = frozenset({'start', 'resume', 'unshelve', 'restore', 'reboot',
                     'rebuild', 'evacuate', 'rescue'})
"""Nova's names of actions (nova.compute.instance_actions) after which an
instance has no process, or has one again."""


def _overlap(from_ns: int, until_ns: int, start_ns: int, end_ns: int) -> int:
    return max(0, min(until_ns, end_ns) - max(from_ns, start_ns))
