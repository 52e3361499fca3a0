# SPDX-License-Identifier: Apache-2.0
"""Drives the notifier's own code through the simulated cloud.

Each host gets a notifier, a sender and a spool, as on a real hypervisor;
only clock, meter, guests and the host's own figures are the world's.  What
a joule is worth must not be decided here.
"""

from __future__ import annotations

import contextlib
import dataclasses
import pathlib
import threading
from collections.abc import Callable, Sequence

from energy_accounting import guests as guest_sources
from energy_accounting import notifier, rpc, samples, units
from energy_accounting import sender as senders
from energy_accounting.simulator import example, site, world

TICK_NS = 30 * units.NS_PER_S
WINDOW_NS = 300 * units.NS_PER_S
STEP_MS = 2000
SEED = 1
# How often windows are handed over, in ticks: once an hour.
_SEND_TICKS = 120

# The notifier of this host is killed before the edge of a bucket and comes
# back behind it.
KILLED_HOST = 0
KILLED_BUCKET = 26 * 4
KILLED_NS = 150 * units.NS_PER_S
BACK_NS = 180 * units.NS_PER_S


# --- what the notifier sees -------------------------------------------------

class Clock:
    """The world's time, and the boottime of one host."""

    def __init__(self, cloud: world.World, host: world.Host) -> None:
        self._cloud = cloud
        self._host = host

    def wall_ns(self) -> int:
        return self._cloud.wall_ns

    def boottime_ns(self) -> int:
        return self._host.boottime_ns

    def wait(self, event: threading.Event, delay_ns: int) -> bool:
        raise NotImplementedError('only the simulation moves this clock')


class Meter:
    def __init__(self, host: world.Host) -> None:
        self._host = host
        self.basis = tuple(zone.zone for zone in host.zones())
        self.max_power_uw: int | None = host.machine.max_power_uw * 3 // 2

    def read(self) -> tuple[samples.ZoneReading, ...]:
        return self._host.zones()

    def close(self) -> None:
        pass


class Guests:
    """Hears of ends from the moment it is made, as a connection does."""

    def __init__(self, host: world.Host) -> None:
        self._host = host
        self._heard = len(host.ends)

    def read(self, boottime_ns: int) -> guest_sources.GuestsNow:
        host = self._host
        ended: tuple[samples.GuestReading, ...] = ()
        if host.machine.events:
            ended = tuple(host.ends[self._heard:])
        self._heard = len(host.ends)
        return guest_sources.GuestsNow(host.guests(), ended,
                                       host.parents_cpu_ns())

    def close(self) -> None:
        pass


class HostFigures:
    def __init__(self, host: world.Host) -> None:
        self._host = host

    def read(self) -> guest_sources.HostNow:
        machine = self._host.machine
        return guest_sources.HostNow(
            busy_ns=self._host.busy_ns, cpus=machine.cpus,
            memory_mib=machine.memory_mib,
            services_cpu_ns=self._host.services_cpu_ns())

    def boot_id(self) -> str:
        return self._host.boot_id

    def machine_id(self) -> str:
        return self._host.machine_id


# --- the play ---------------------------------------------------------------

@dataclasses.dataclass(frozen=True, slots=True)
class Played:
    """What was played, for who wants to compare.

    :ivar drawn: by all hosts, at the start, each quarter of an hour and the
        end.
    """

    cast: example.Cloud
    cloud: world.World
    start_ns: int
    end_ns: int
    drawn: tuple[site.Drawn, ...]


class _Hypervisor:
    """A host with its notifier, which may be killed and started."""

    def __init__(self, cloud: world.World, host: world.Host,
                 state_path: pathlib.Path,
                 call: Callable[[Sequence[samples.Signed]], rpc.Reply],
                 fsync: bool) -> None:
        machine = host.machine
        self._host = host
        self._clock = Clock(cloud, host)
        self._call = call
        self._fsync = fsync
        self._settings = notifier.Settings(
            host=machine.name, state_path=state_path / machine.name,
            tick_ns=TICK_NS, window_ns=WINDOW_NS,
            idle_power_uw=machine.idle_mw * 1000,
            version=notifier.version())
        self._alive: contextlib.ExitStack | None = None

    def start(self) -> None:
        settings, figures = self._settings, HostFigures(self._host)
        settings.state_path.mkdir(parents=True, exist_ok=True)
        with contextlib.ExitStack() as stack:
            signer = notifier.open_signer(settings, figures.machine_id())
            spool = notifier.open_spool(settings, figures.machine_id(),
                                        signer.key, fsync=self._fsync)
            stack.callback(spool.close)
            self.notifier = notifier.Notifier(
                settings, self._clock, Meter(self._host),
                Guests(self._host), figures, spool,
                notifier.load_policy(settings.policy))
            self.sender = senders.Sender(spool, self._call, signer.sign,
                                         self._clock, window_ns=WINDOW_NS)
            self._alive = stack.pop_all()

    def kill(self) -> None:
        """Gone without a word: what was not spooled is lost."""
        if self._alive is not None:
            self._alive.close()
        self._alive = None

    @property
    def alive(self) -> bool:
        return self._alive is not None


def play(state_path: pathlib.Path, end_ns: int,
         call: Callable[[Sequence[samples.Signed]], rpc.Reply], *,
         seed: int = SEED,
         duration_seconds: int = example.DURATION_SECONDS,
         step_ms: int = STEP_MS, fsync: bool = True,
         progress: Callable[[int], object] = lambda seconds: None,
         ) -> Played:
    """Let the example cloud live until a moment, and account for it.

    :param state_path: an empty directory for the notifiers' spools.
    :param end_ns: wall clock; the cloud's last window ends at or before it.
    :param call: hands records to a collector (``rpc.Caller.book``).
    :param progress: told the seconds of the world that have passed since it
        was last told.
    :raises errors.Unavailable: when the collector could not take them.
    """
    end_ns = end_ns // WINDOW_NS * WINDOW_NS
    start_ns = end_ns - duration_seconds * units.NS_PER_S
    midnight = -(start_ns // units.NS_PER_S) % example.DAY
    cast = example.cloud(seed, midnight)
    cloud = world.World(example.hosts(cast, seed), start_ns, step_ms)
    hypervisors = [
        _Hypervisor(cloud, host, state_path, call, fsync)
        for host in cloud.hosts]
    try:
        for hypervisor in hypervisors:
            hypervisor.start()
        drawn = _live(cloud, hypervisors, end_ns, progress)
        for hypervisor in hypervisors:
            hypervisor.notifier.flush()
            hypervisor.sender.send_pending()
    finally:
        for hypervisor in hypervisors:
            hypervisor.kill()
    return Played(cast, cloud, start_ns, end_ns, tuple(drawn))


def _live(cloud: world.World, hypervisors: Sequence[_Hypervisor],
          end_ns: int, progress: Callable[[int], object],
          ) -> list[site.Drawn]:
    tick = 0
    drawn = []
    bucket = units.bucket_of(cloud.wall_ns) + KILLED_BUCKET
    edge_ns = bucket * units.BUCKET_NS
    while True:
        if cloud.wall_ns == edge_ns - KILLED_NS:
            hypervisors[KILLED_HOST].kill()
        elif cloud.wall_ns == edge_ns + BACK_NS:
            hypervisors[KILLED_HOST].start()
        for hypervisor in hypervisors:
            if hypervisor.alive:
                hypervisor.notifier.step()
                if tick % _SEND_TICKS == 0:
                    hypervisor.sender.send_pending()
        if (cloud.wall_ns % units.BUCKET_NS == 0 or tick == 0
                or cloud.wall_ns >= end_ns):
            drawn.append(site.Drawn(cloud.wall_ns, sum(
                host.movement_uj for host in cloud.hosts)))
        if cloud.wall_ns >= end_ns:
            return drawn
        tick += 1
        cloud.advance_to(min(cloud.wall_ns + TICK_NS, end_ns))
        progress(TICK_NS // units.NS_PER_S)
