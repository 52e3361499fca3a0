# SPDX-License-Identifier: Apache-2.0
"""From power that is read now and then to a counter of energy.

An estimate, and no more: what is drawn between two readings is taken as
their mean.  Where power comes from is the meters' business.
"""

from __future__ import annotations

from energy_accounting import units

LONGEST_NS = units.BUCKET_NS
"""Nobody knows what was drawn between two readings further apart."""

_FIRST_UJ = 1 << 59


class Integral:
    """The energy of one source of power, in whole microjoules.

    It begins lower each time, by a microjoule for each microsecond of
    boottime.  So it is below all it has ever shown, after a restart too, and
    whoever compares sees a counter that was set back: it has no range, a
    fall of it is no wrap.
    """

    def __init__(self) -> None:
        self._counter_uj = 0
        # Of the last reading; the rest is in half microwatt-nanoseconds.
        self._at_ns: int | None = None
        self._power_uw = 0
        self._rest = 0

    def add(self, power_uw: int | None, at_ns: int) -> int | None:
        """The counter after one more reading.

        :param power_uw: None: it could not be read, and nor can this.
        :param at_ns: boottime of the reading.
        """
        if power_uw is None:
            return None
        if self._at_ns is None or not 0 <= at_ns - self._at_ns <= LONGEST_NS:
            self._counter_uj, self._rest = _FIRST_UJ - at_ns // 1000, 0
        else:
            moved, self._rest = divmod(
                (self._power_uw + power_uw) * (at_ns - self._at_ns)
                + self._rest, 2 * units.NS_PER_S)
            self._counter_uj += moved
        self._at_ns, self._power_uw = at_ns, power_uw
        return self._counter_uj
