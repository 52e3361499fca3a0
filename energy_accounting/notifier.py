# SPDX-License-Identifier: Apache-2.0
"""The tick loop and the sender: from readings to spooled, sent windows.

Only wires the parts together and decides when: what a tick, a share or a
window is stands in ``ticks``, ``attribution``, ``idle`` and ``window``;
reading stands in ``meters`` and ``guests``.  Clock, meter and guests are
handed in, so that the simulator drives the very same code.
"""

from __future__ import annotations

import dataclasses
import importlib.metadata
import logging
import pathlib
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

from oslo_config import cfg
from stevedore import driver as stevedore_driver
from stevedore import exception as stevedore_exception

from energy_accounting import (
    attribution,
    errors,
    meters,
    rpc,
    units,
    window,
)
from energy_accounting import conf as configuration
from energy_accounting import guests as guest_sources
from energy_accounting import spool as spools

LOG = logging.getLogger(__name__)

POLICIES = 'energy_accounting.policies'
STATE_VERSION = 1

# Without a limit from the kernel: more than any processor package draws.
PACKAGE_MAX_UW = 600 * units.UJ_PER_J
# Windows held in memory while the disk refuses them.
HELD_WINDOWS = 240
# Rounds in which the collector may ask for other records than it got.
MAX_REWINDS = 8
BACKOFF_SECONDS = (1, 60)


# --- settings ---------------------------------------------------------------

@dataclasses.dataclass(frozen=True, slots=True)
class Settings:
    """What the notifier was told.

    :ivar idle_power_uw: None: learnt from quiet windows.
    :ivar max_power_uw: of all packages together; None: as the meter says.
    """

    host: str
    state_path: pathlib.Path
    tick_ns: int = 5 * units.NS_PER_S
    window_ns: int = 60 * units.NS_PER_S
    policy: str = 'two-part/1'
    idle_power_uw: int | None = None
    max_power_uw: int | None = None
    ratio_millionths: int = 1_000_000
    spool_keep_hours: int = 48
    spool_max_days: int = 30
    user_ids: bool = False
    version: str = ''

    @property
    def spool_path(self) -> pathlib.Path:
        return self.state_path / 'spool'


def settings_from_conf(conf: cfg.ConfigOpts) -> Settings:
    """Typed settings of the options.

    :raises errors.ConfigurationError: names the option that is wrong.
    """
    options = conf.notifier
    if options.tick_seconds > options.window_seconds:
        raise errors.ConfigurationError(
            f'[notifier] tick_seconds is {options.tick_seconds}: it must '
            f'not exceed window_seconds ({options.window_seconds})')
    return Settings(
        host=configuration.host_name(conf),
        state_path=pathlib.Path(conf.state_path),
        tick_ns=options.tick_seconds * units.NS_PER_S,
        window_ns=options.window_seconds * units.NS_PER_S,
        policy=options.policy,
        idle_power_uw=configuration.microwatts(
            options.idle_power_watts, '[notifier] idle_power_watts'),
        max_power_uw=configuration.microwatts(
            options.max_power_watts, '[notifier] max_power_watts'),
        ratio_millionths=configuration.allocation_ratio_millionths(
            options.cpu_allocation_ratio),
        spool_keep_hours=options.spool_keep_hours,
        spool_max_days=options.spool_max_days,
        user_ids=options.user_ids,
        version=version())


def version() -> str:
    """The installed version; '' when running from a bare tree."""
    try:
        return importlib.metadata.version(configuration.NAME)
    except importlib.metadata.PackageNotFoundError:
        return ''


def load_policy(name: str) -> attribution.Policy:
    """The attribution policy of that name and version.

    :raises errors.ConfigurationError: when there is none.
    """
    try:
        return stevedore_driver.DriverManager(
            POLICIES, name, warn_on_missing_entrypoint=False).driver
    except stevedore_exception.NoMatches as error:
        known = sorted({point.name for point
                        in importlib.metadata.entry_points(group=POLICIES)})
        raise errors.ConfigurationError(
            f'[notifier] policy is {name!r}: give one of '
            f'{", ".join(known) or "(none is installed)"}') from error


def open_spool(settings: Settings, machine_id: str, *,
               fsync: bool = True) -> spools.Spool:
    """The spool of these settings.

    :raises errors.SpoolError: when it cannot be used.
    """
    return spools.Spool.open(
        settings.spool_path, settings.host, machine_id, fsync=fsync,
        keep_hours=settings.spool_keep_hours,
        max_days=settings.spool_max_days)


# --- the clock --------------------------------------------------------------

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


def next_tick_ns(now_ns: int, tick_ns: int, window_ns: int) -> int:
    """The next moment of the wall clock to read at.

    Multiples of the tick within each window, and every window edge.
    """
    edge_ns = now_ns // window_ns * window_ns
    following = edge_ns + ((now_ns - edge_ns) // tick_ns + 1) * tick_ns
    return min(following, edge_ns + window_ns)


# --- the tick loop ----------------------------------------------------------

class HostSource(Protocol):
    """What the notifier reads of the host itself."""

    def read(self) -> guest_sources.HostNow: ...

    def boot_id(self) -> str: ...

    def machine_id(self) -> str: ...


class _Closed(NamedTuple):
    """A window that is not on disk yet, with what follows from it."""

    draft: window.Draft
    boot_id: str
    idle_kind: str
    idle_power_uw: int | None
    state: dict[str, Any]


class Notifier:
    """Reads, attributes and spools; one for each host.

    One thread at a time.
    """

    def __init__(self, settings: Settings, clock: Clock,
                 meter: meters.Meter, guests: guest_sources.GuestSource,
                 host: HostSource, spool: spools.Spool,
                 policy: attribution.Policy) -> None:
        self._settings = settings
        self._clock = clock
        self._meter = meter
        self._guests = guests
        self._host = host
        self._spool = spool
        self._policy = policy

    def step(self) -> None:
        """One joint reading and all that follows from it."""
        raise NotImplementedError

    def flush(self) -> None:
        """A last reading, and the open window closed before its time."""
        raise NotImplementedError

    def run(self, stop: threading.Event) -> None:
        """Step at each tick of the wall clock until told to stop."""
        raise NotImplementedError


# --- the sender -------------------------------------------------------------

class Sender:
    """Sends what is spooled, in order, until it is acknowledged."""

    def __init__(self, spool: spools.Spool,
                 call: Callable[[Sequence[str]], rpc.Reply],
                 clock: Clock, *, window_ns: int = 60 * units.NS_PER_S,
                 ) -> None:
        self._spool = spool
        self._call = call
        self._clock = clock
        self._window_ns = window_ns

    def send_pending(self) -> int:
        """Send all there is; how many records were acknowledged.

        :raises errors.Unavailable: when the collector could not take them.
        """
        raise NotImplementedError

    def run(self, stop: threading.Event) -> None:
        """Send as windows arrive, with patience, until told to stop."""
        raise NotImplementedError

    def wake(self) -> None:
        """Have :meth:`run` look again now (after ``stop`` was set)."""
        raise NotImplementedError
