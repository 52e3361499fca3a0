# SPDX-License-Identifier: Apache-2.0
"""The power a host's packages draw without work, and from when it counts.

Either configured, or measured: the median package power of the quiet
windows of a UTC day, which counts from the next day on and never
backwards; provisional (unknown) until the first such day is over.  A pure
value that is handed from window to window and kept in the spool; it reads
no clock, and how an unknown value is replaced is the policy's business.
"""

from __future__ import annotations

import dataclasses
from typing import Any

from energy_accounting import errors, units

CONFIGURED = 'configured'
MEASURED = 'measured'
PROVISIONAL = 'provisional'

DAY_NS = 86_400 * units.NS_PER_S
# A window is quiet when its CPUs were busy for at most this part of it.
QUIET_PERCENT = 5
LEAST_WINDOWS = 10
# Powers kept of a day: past this every second one is dropped, so that they
# stay evenly spread over the day and the state stays small.
MOST_WINDOWS = 128


@dataclasses.dataclass(frozen=True, slots=True)
class IdlePower:
    """What is known of a host's idle power.

    Days are numbered from 1970 in UTC.

    :ivar measured_uw: the newest completed measurement, or None.
    :ivar since_day: the first day it counts on.
    :ivar day: the day that ``powers_uw`` were seen on.
    :ivar seen: quiet windows of that day, kept or not.
    :ivar stride: one window of so many is kept.
    """

    configured_uw: int | None = None
    measured_uw: int | None = None
    since_day: int = 0
    day: int = 0
    seen: int = 0
    stride: int = 1
    powers_uw: tuple[int, ...] = ()


def value_at(state: IdlePower, wall_ns: int) -> tuple[str, int | None]:
    """The idle power that counts at a moment: its kind and microwatts.

    Ask with the *start* of a window: then the window that ends at midnight
    still has its own day's value.
    """
    if state.configured_uw is not None:
        return CONFIGURED, state.configured_uw
    day = wall_ns // DAY_NS
    state = _at_day(state, day)
    if state.measured_uw is not None and day >= state.since_day:
        return MEASURED, state.measured_uw
    return PROVISIONAL, None


def observe(state: IdlePower, power_uw: int, busy_ns: int, capacity_ns: int,
            wall_ns: int) -> IdlePower:
    """The state after one more window.

    :param power_uw: mean power of the packages together in the window.
    :param busy_ns: CPU time of the host, out of ``capacity_ns``.
    :param wall_ns: the start of the window.
    """
    state = _at_day(state, wall_ns // DAY_NS)
    if capacity_ns <= 0 or busy_ns * 100 > capacity_ns * QUIET_PERCENT:
        return state
    powers, stride = state.powers_uw, state.stride
    if state.seen % stride == 0:
        powers = (*powers, power_uw)
        if len(powers) > MOST_WINDOWS:
            powers, stride = powers[::2], stride * 2
    return dataclasses.replace(state, seen=state.seen + 1, stride=stride,
                               powers_uw=powers)


def _at_day(state: IdlePower, day: int) -> IdlePower:
    """The state with a day that is over turned into its measurement."""
    if day == state.day:
        return state
    measured_uw, since_day = state.measured_uw, state.since_day
    # A clock that went back a day proves nothing: that day's windows are
    # dropped, and they never become a value of a day before them.
    if day > state.day and len(state.powers_uw) >= LEAST_WINDOWS:
        measured_uw, since_day = _median(state.powers_uw), state.day + 1
    return IdlePower(state.configured_uw, measured_uw, since_day, day)


def _median(values: tuple[int, ...]) -> int:
    ordered, middle = sorted(values), len(values) // 2
    if len(values) % 2:
        return ordered[middle]
    return (ordered[middle - 1] + ordered[middle]) // 2


def to_wire(state: IdlePower) -> dict[str, Any]:
    """The state as plain JSON values, without what is configured."""
    body = dataclasses.asdict(state)
    body.pop('configured_uw')
    body['powers_uw'] = list(state.powers_uw)
    return body


def from_wire(body: dict[str, Any],
              configured_uw: int | None = None) -> IdlePower:
    """What :func:`to_wire` wrote, with today's configuration.

    :raises errors.InvalidRecord: when it is anything else.
    """
    try:
        state = IdlePower(**{**body, 'configured_uw': configured_uw,
                             'powers_uw': tuple(body['powers_uw'])})
        numbers = [state.since_day, state.day, state.seen, state.stride,
                   *state.powers_uw]
        if state.measured_uw is not None:
            numbers.append(state.measured_uw)
        if (any(type(number) is not int or number < 0 for number in numbers)
                or not state.stride):
            raise ValueError('a number is not a whole one from 0')
    except (TypeError, KeyError, ValueError) as error:
        raise errors.InvalidRecord(f'not an idle power: {error}') from error
    return state
