# SPDX-License-Identifier: Apache-2.0
"""The tick loop: from readings to spooled windows.

Only wires the parts together and decides when: what a tick, a share or a
window is stands in ``ticks``, ``attribution``, ``idle`` and ``window``;
reading stands in ``meters`` and ``guests``.  Clock, meter and guests are
handed in, so that the simulator drives the very same code.
"""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import importlib.metadata
import logging
import pathlib
import threading
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Protocol

from oslo_config import cfg

from energy_accounting import (
    attribution,
    clocks,
    errors,
    idle,
    meters,
    plugins,
    samples,
    signing,
    ticks,
    units,
    window,
    wire,
)
from energy_accounting import conf as configuration
from energy_accounting import guests as guest_sources
from energy_accounting import spool as spools
from energy_accounting.guests import host as host_figures

LOG = logging.getLogger(__name__)

POLICIES = 'energy_accounting.policies'
STATE_VERSION = 1

# Windows held in memory while the disk refuses them.
HELD_WINDOWS = 240
# The reason of a gap: held windows were given up.
SPOOL_FULL = 'spool_full'


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
    spool_max_bytes: int = spools.MAX_BYTES
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
        spool_max_bytes=options.spool_max_mib << 20,
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
    policy: attribution.Policy = plugins.load(POLICIES, name,
                                              '[notifier] policy')
    return policy


def check_policy(name: str, meter: meters.Meter) -> None:
    """That a policy is of what is measured: whoever reads goes by it.

    :raises errors.ConfigurationError: says which one is.
    """
    of_node = any(meters.is_node(zone) for zone in meter.basis)
    if of_node != samples.is_of_node(name):
        raise errors.ConfigurationError(
            f'[notifier] policy is {name}, and [notifier] meters measures '
            f'{", ".join(meter.basis)}: ' + (
                'a meter of the whole node needs node/1' if of_node
                else f'{name} needs a meter of the whole node, such as '
                'hwmon or ipmi'))


def open_signer(settings: Settings, machine_id: str) -> signing.Signer:
    """The key of these settings' host.

    :raises errors.SpoolError: when it cannot be used.
    """
    return signing.load_or_make(settings.state_path, settings.host,
                                machine_id)


def open_spool(settings: Settings, machine_id: str, key: str, *,
               fsync: bool = True) -> spools.Spool:
    """The spool of these settings.

    :param key: the public key that its records are signed with.
    :raises errors.SpoolError: when it cannot be used.
    """
    return spools.Spool.open(
        settings.spool_path, settings.host, machine_id, key, fsync=fsync,
        keep_hours=settings.spool_keep_hours,
        max_days=settings.spool_max_days,
        max_bytes=settings.spool_max_bytes)


# --- the tick loop ----------------------------------------------------------

def next_tick_ns(now_ns: int, tick_ns: int, window_ns: int) -> int:
    """The next moment of the wall clock to read at.

    Multiples of the tick within each window, and every window edge.
    """
    edge_ns = now_ns // window_ns * window_ns
    following = edge_ns + ((now_ns - edge_ns) // tick_ns + 1) * tick_ns
    return min(following, edge_ns + window_ns)


class HostSource(Protocol):
    """What the notifier reads of the host itself."""

    def read(self) -> guest_sources.HostNow: ...

    def boot_id(self) -> str: ...

    def machine_id(self) -> str: ...


class _Closed(NamedTuple):
    """A window that is not on disk yet, with what follows from it."""

    draft: window.Draft
    idle_kind: str
    idle_power_uw: int | None
    state: dict[str, Any]


class Notifier:
    """Reads, attributes and spools; one for each host, one thread.

    What is on disk is always a window *and* the baselines it ended with;
    whatever happens in between, a restart measures from there again.
    """

    def __init__(self, settings: Settings, clock: clocks.Clock,
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
        self._boot_id = host.boot_id()
        self._limits = ticks.Limits(
            tick_ns=settings.tick_ns, window_ns=settings.window_ns,
            max_power_uw=_max_power_uw(settings, meter))
        self._windows = window.Windows(settings.window_ns)
        self._baseline: ticks.Baseline | None = None
        self._idle = idle.IdlePower(configured_uw=settings.idle_power_uw)
        # The idle power that the open window is attributed with.
        self._idle_used: tuple[str, int | None] | None = None
        self._seen: tuple[samples.GuestReading, ...] = ()
        # Guests' last readings, until a tick has taken them up.
        self._ended: tuple[samples.GuestReading, ...] = ()
        self._held: collections.deque[_Closed] = collections.deque()
        # Baselines that no window has closed, until they are on disk.
        self._first: dict[str, Any] | None = None
        # What is logged once: the last error, and blindness for guests.
        self._complaint = ''
        self._blind = False
        self._announced = False
        self._resume(spool.last_state())

    def _resume(self, state: dict[str, Any] | None) -> None:
        """Go on from the closing baselines of the last record."""
        if state is None:
            return
        try:
            if state['v'] != STATE_VERSION:
                raise errors.InvalidRecord(f'version {state["v"]!r}')
            self._baseline = ticks.baseline_from_wire(state['baseline'])
            self._idle = idle.from_wire(
                state['idle'], self._settings.idle_power_uw)
            if self._baseline.reading.boot_id == self._boot_id:
                self._seen = self._baseline.reading.guests
        except (errors.InvalidRecord, KeyError) as error:
            LOG.error('the baselines in the spool cannot be used: %s; energy '
                      'since the last window is not accounted for', error)

    def run(self, stop: threading.Event) -> None:
        """Step at each tick of the wall clock until told to stop."""
        while not stop.is_set():
            self._guarded(self.step)
            if not self._announced and self._baseline is not None:
                self._announced = True
                LOG.info('metering %s; %d guests', ', '.join(
                    self._meter.basis), len(self._seen))
            self._wait(stop)
        self._guarded(self.flush)
        if self._held:
            LOG.error('%d windows could not be spooled; their time is '
                      'measured again after the restart', len(self._held))

    def step(self) -> None:
        """One joint reading and all that follows from it."""
        reading = self._read()
        if self._advance(reading):
            # Spooled at once: a kill before the window's edge must not have
            # the time since then measured from before the gap.
            self._close(self._windows.flush(reading.wall_ns))
        self._close(self._windows.close_due(reading.wall_ns))
        self._store()

    def flush(self) -> None:
        """A last reading, and the open window closed before its time."""
        try:
            self.step()
        finally:
            if self._baseline is not None:
                # Up to what is booked and no further: there the next
                # window begins.
                self._close(self._windows.flush(
                    self._baseline.reading.wall_ns))
            self._store()

    def _wait(self, stop: threading.Event) -> None:
        """Wait for the next tick; a wait may end a little too early."""
        settings = self._settings
        due_ns = next_tick_ns(self._clock.wall_ns(), settings.tick_ns,
                              settings.window_ns)
        # More than a tick away: the clock was set back.
        while 0 < (left_ns := due_ns - self._clock.wall_ns()
                   ) <= settings.tick_ns:
            if self._clock.wait(stop, left_ns):
                return

    def _guarded(self, action: Callable[[], None]) -> None:
        """Let no error end the loop; the same one is logged once."""
        try:
            action()
        except Exception as error:
            complaint = f'{type(error).__name__}: {error}'
            if complaint != self._complaint:
                known = isinstance(error, (OSError,
                                           errors.EnergyAccountingError))
                LOG.error('a tick could not be completed: %s', complaint,
                          exc_info=not known)
            self._complaint = complaint
        else:
            if self._complaint:
                LOG.info('ticks are complete again')
            self._complaint = ''

    # --- reading ------------------------------------------------------------

    def _read(self) -> samples.HostReading:
        # What may fail comes first: then nothing has been consumed.
        host = self._host.read()
        wall_ns, boottime_ns = self._clock.wall_ns(), self._clock.boottime_ns()
        zones = self._meter.read()
        guests: tuple[samples.GuestReading, ...]
        ended: tuple[samples.GuestReading, ...]
        parents: Mapping[str, int]
        try:
            guests, ended, parents = self._guests.read(boottime_ns)
        except (OSError, errors.EnergyAccountingError) as error:
            if not self._blind:
                LOG.error('guests cannot be read: %s', error)
            self._blind = True
            # All of them unreadable: held, then nobody's, never their
            # neighbours'.
            guests = tuple(dataclasses.replace(guest, cpu_ns=None)
                           for guest in self._seen)
            ended, parents = (), {}
        else:
            self._blind = False
        self._seen = guests
        self._ended += ended
        return samples.HostReading(
            wall_ns=wall_ns, boottime_ns=boottime_ns, boot_id=self._boot_id,
            zones=zones, busy_ns=host.busy_ns, cpus=host.cpus,
            memory_mib=host.memory_mib, guests=self._public(guests),
            ended=self._public(self._ended), parents_cpu_ns=parents,
            services_cpu_ns=host.services_cpu_ns)

    def _public(self, guests: tuple[samples.GuestReading, ...],
                ) -> tuple[samples.GuestReading, ...]:
        if self._settings.user_ids:
            return guests
        return tuple(
            guest if guest.user_id is None
            else dataclasses.replace(guest, user_id=None)
            for guest in guests)

    # --- what follows from it -----------------------------------------------

    def _advance(self, reading: samples.HostReading) -> bool:
        """Add what follows to the open window.

        :returns: whether the host's counters begin anew with this reading.
        """
        if self._baseline is None:
            self._baseline = ticks.first(reading)
            self._first = self._state(self._baseline)
            self._ended = ()
            return False
        outcome = ticks.advance(self._baseline, reading, self._limits)
        tick = outcome.tick
        if tick is not None:
            start_ns = self._windows.start_ns
            self._idle_used = idle.value_at(
                self._idle, tick.start_ns if start_ns is None else start_ns)
            split = self._policy(tick, self._idle_used[1],
                                 self._settings.ratio_millionths)
            self._windows.add(tick, split)
        self._windows.note(outcome.gaps, reading.boottime_ns)
        for gap in outcome.gaps:
            LOG.warning('gap of %s: %s', gap.zone or 'the host', gap.reason)
        self._baseline = outcome.baseline
        self._ended = ()
        return any(gap.zone is None for gap in outcome.gaps)

    def _close(self, draft: window.Draft | None) -> None:
        """Hold a closed window, with what a restart would need."""
        if draft is None or self._baseline is None:
            return
        kind, power_uw = self._idle_used or idle.value_at(
            self._idle, draft.start_ns)
        self._idle_used = None
        if draft.package_power_uw is not None:
            self._idle = idle.observe(
                self._idle, draft.package_power_uw, draft.busy_ns,
                draft.capacity_ns, draft.start_ns)
        self._held.append(_Closed(draft, kind, power_uw,
                                  self._state(self._baseline)))

    def _state(self, baseline: ticks.Baseline) -> dict[str, Any]:
        """What a restart goes on from."""
        return {'v': STATE_VERSION,
                'baseline': ticks.baseline_to_wire(baseline),
                'idle': idle.to_wire(self._idle)}

    def _store(self) -> None:
        """Spool what is held; on failure it is held until the next tick."""
        if self._first is not None and not self._held:
            self._spool.keep_baseline(self._first)
        self._first = None
        while self._held:
            try:
                with self._spool.exclusive():
                    record = self._record(self._held[0])
                    self._spool.append(_text(record), self._held[0].state,
                                       record.end_ns)
            except errors.SpoolError:
                self._shed()
                raise
            self._held.popleft()
            self._spool.purge(record.end_ns)

    def _shed(self) -> None:
        """Give up the oldest of too many windows, and state the gap."""
        while len(self._held) > HELD_WINDOWS:
            draft = self._held.popleft().draft
            LOG.error('a window of %s cannot be kept in memory any longer: '
                      'its energy is lost', units.iso(
                          units.moment(draft.start_ns)))
            self._windows.note((*draft.gaps, samples.Gap(
                None, draft.start_ns, draft.end_ns, SPOOL_FULL)))

    def _record(self, closed: _Closed) -> samples.Window:
        draft = closed.draft
        return samples.Window(
            host=self._settings.host, machine_id=self._spool.machine_id,
            stream=self._spool.stream, sequence=self._spool.next_sequence,
            start_ns=draft.start_ns, end_ns=draft.end_ns,
            boot_id=self._boot_id,
            boottime_start_ns=draft.boottime_start_ns,
            boottime_end_ns=draft.boottime_end_ns,
            policy=self._settings.policy, basis=draft.basis,
            idle_kind=closed.idle_kind, idle_power_uw=closed.idle_power_uw,
            cpus=draft.cpus, memory_mib=draft.memory_mib, parts=draft.parts,
            gaps=draft.gaps, version=self._settings.version,
            alarm=self._spool.alarm[:255],
            window_seconds=self._settings.window_ns // units.NS_PER_S,
            max_power_uw=self._limits.max_power_uw)


def _text(record: samples.Window) -> str:
    """What is spooled of a window: no more than a collector takes.

    Were it more, it would come to the collector's quarantine and stay there.
    """
    text = wire.payload(record)
    if wire.fits(text):
        return text
    LOG.error('window %d would be of %d bytes, more than the %d of a record '
              'or than a message takes with all its quotes: its energy is '
              'booked as unallocated, with reason %s', record.sequence,
              wire.size(text), wire.MAX_BYTES, window.TOO_MANY)
    return wire.payload(dataclasses.replace(record, parts=tuple(
        window.without_names(part) for part in record.parts)))


def _max_power_uw(settings: Settings, meter: meters.Meter) -> int:
    if settings.max_power_uw is not None:
        return settings.max_power_uw
    if meter.max_power_uw is not None:
        return meter.max_power_uw
    packages = sum(zone.component == samples.PACKAGE
                   for zone in meter.read())
    most_uw = meters.PACKAGE_MAX_UW * max(1, packages)
    LOG.warning('the kernel names no power limit of the packages: %d W are '
                'taken as the most; set [notifier] max_power_watts',
                most_uw // units.UJ_PER_J)
    return most_uw


# --- all of it, from the configuration --------------------------------------

class Parts(NamedTuple):
    """A notifier on the real machine, with what it holds open."""

    settings: Settings
    clock: clocks.Clock
    signer: signing.Signer
    spool: spools.Spool
    notifier: Notifier
    close: Callable[[], None]


def from_conf(conf: cfg.ConfigOpts) -> Parts:
    """Everything that reads and spools, as configured.

    :raises errors.ConfigurationError, errors.MeterError,
        errors.SpoolError: what is missing and what helps.
    """
    settings, clock = settings_from_conf(conf), clocks.SystemClock()
    policy = load_policy(settings.policy)
    with contextlib.ExitStack() as stack:
        host = host_figures.from_conf(conf)
        meter = meters.load(conf)
        stack.callback(meter.close)
        check_policy(settings.policy, meter)
        guests = guest_sources.load(conf)
        stack.callback(guests.close)
        signer = open_signer(settings, host.machine_id())
        spool = open_spool(settings, host.machine_id(), signer.key)
        stack.callback(spool.close)
        notifier = Notifier(settings, clock, meter, guests, host, spool,
                            policy)
        return Parts(settings, clock, signer, spool, notifier,
                     stack.pop_all().close)
