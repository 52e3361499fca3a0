# SPDX-License-Identifier: Apache-2.0
"""Where time comes from: handed in, so that a test or a simulation has
its own.
"""

from __future__ import annotations

import threading
import time
from typing import Protocol

from energy_accounting import units


class Clock(Protocol):
    """Where time comes from."""

    def wall_ns(self) -> int:
        """Nanoseconds since 1970 UTC."""

    def boottime_ns(self) -> int:
        """CLOCK_BOOTTIME: also runs while the machine sleeps."""

    def wait(self, event: threading.Event, delay_ns: int) -> bool:
        """Wait until the event is set (then True) or the time is over."""


class SystemClock:
    """The machine's own clocks."""

    def wall_ns(self) -> int:
        return time.time_ns()

    def boottime_ns(self) -> int:
        return time.clock_gettime_ns(time.CLOCK_BOOTTIME)

    def wait(self, event: threading.Event, delay_ns: int) -> bool:
        return event.wait(max(0, delay_ns) / units.NS_PER_S)
