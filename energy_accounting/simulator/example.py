# SPDX-License-Identifier: Apache-2.0
"""The example cloud: three hosts, four projects, twelve instances, two days.

Only the cast and the plot; what any of it means is in :mod:`.world`.  Every
mishap that accounting must survive happens once: a live migration, a restart,
an instance that lives for seconds, an end that nobody announced, counters
that wrap; :mod:`.play` adds a notifier that is killed.
"""

from __future__ import annotations

import dataclasses
import random
import uuid

from energy_accounting.simulator import world

HOUR = 3600
DAY = 24 * HOUR
DURATION_SECONDS = 2 * DAY


@dataclasses.dataclass(frozen=True, slots=True)
class Project:
    project_id: str
    name: str
    domain_id: str
    domain_name: str


@dataclasses.dataclass(frozen=True, slots=True)
class Cloud:
    """The cast: machines, projects and instances."""

    machines: tuple[world.Machine, ...]
    projects: tuple[Project, ...]
    instances: tuple[world.Instance, ...]


# --- loads ------------------------------------------------------------------

def idle(second: int, noise: int) -> int:
    """A guest that only keeps its own clock."""
    return 2 + noise // 250


def steady(permille: int) -> world.Load:
    """Busy all the time, a tenth up or down."""
    return lambda second, noise: permille * (900 + noise // 5) // 1000


def office(midnight: int, low: int, high: int) -> world.Load:
    """Busy from eight to six, rising and falling over an hour each.

    :param midnight: a second of the world at which a day begins.
    """
    def load(second: int, noise: int) -> int:
        of_day = (second - midnight) % DAY
        rise = min(of_day - 8 * HOUR, 18 * HOUR - of_day, HOUR)
        share = max(rise, 0) * 1000 // HOUR
        return ((low * (1000 - share) + high * share) // 1000
                * (850 + noise * 3 // 10) // 1000)
    return load


def bursts(every: int, lasting: int, offset: int, low: int,
           high: int) -> world.Load:
    """Jobs that come at fixed intervals and take everything."""
    def load(second: int, noise: int) -> int:
        return high if (second + offset) % every < lasting \
            else low + noise // 100
    return load


# --- the cast ---------------------------------------------------------------

MACHINES = (
    # Two packages with DRAM, as a two-socket Xeon shows them.
    world.Machine(
        'compute-01', cpus=32, memory_mib=131072, packages=2,
        idle_mw=92_000, core_mw=5_600, turbo_mw=500,
        package_range_uj=262_143_328_850,
        memory_idle_mw=9_000, memory_core_mw=350,
        memory_range_uj=262_143_328_850, system_permille=350),
    # One package with DRAM; control plane pods beside the guests.
    world.Machine(
        'compute-02', cpus=24, memory_mib=98304, packages=1,
        idle_mw=58_000, core_mw=6_200, turbo_mw=600,
        package_range_uj=262_143_328_850,
        memory_idle_mw=6_000, memory_core_mw=300,
        memory_range_uj=65_712_999_613, system_permille=300,
        service=world.Service('kubernetes', cores_permille=1400)),
    # AMD: no DRAM zone, a small range; libvirt in a pod, guests by procfs.
    world.Machine(
        'compute-03', cpus=64, memory_mib=262144, packages=1,
        idle_mw=110_000, core_mw=3_100, turbo_mw=300,
        package_range_uj=65_532_610_987, system_permille=500,
        service=world.Service('kubernetes', cores_permille=900,
                              holds_guests=True),
        events=False),
)


def cloud(seed: int, midnight: int) -> Cloud:
    """The cast, with identifiers that follow from the seed.

    :param midnight: a second of the world at which a day begins.
    """
    draw = random.Random(seed)  # noqa: S311 (not a secret: an example)

    def project(name: str, domain: tuple[str, str]) -> Project:
        return Project(uuid.UUID(int=draw.getrandbits(128), version=4).hex,
                       name, *domain)

    def instance(name: str, owner: Project, flavor: str, vcpus: int,
                 memory_mib: int, load: world.Load,
                 *stays: world.Stay) -> world.Instance:
        return world.Instance(
            str(uuid.UUID(int=draw.getrandbits(128), version=4)), name,
            owner.project_id, flavor, vcpus, memory_mib, load, stays)

    university = (uuid.UUID(int=draw.getrandbits(128), version=4).hex,
                  'university')
    default = ('default', 'Default')
    weather = project('weather', university)
    teaching = project('teaching', university)
    webshop = project('webshop', default)
    builds = project('builds', default)

    one, two, three = (machine.name for machine in MACHINES)
    # Whatever the hour of the world's beginning: in the first day an evening
    # (not at once), in the second a forenoon.
    evening = HOUR + (midnight + 18 * HOUR) % DAY + 4
    morning = evening + 12 * HOUR + 19
    moved = DAY + (midnight + 10 * HOUR) % DAY + 12
    brief = 20 * HOUR + 3
    restarted = 30 * HOUR + 17
    workday = office(midnight, 30, 650)
    return Cloud(MACHINES, (weather, teaching, webshop, builds), (
        instance('forecast', weather, 'hpc.large', 16, 65536,
                 steady(720), _stay(three, 0)),
        instance('radar', weather, 'hpc.medium', 8, 32768,
                 bursts(HOUR, 10 * 60 + 7, 0, 20, 960), _stay(one, 0)),
        instance('shop-1', webshop, 'm1.large', 4, 8192, workday,
                 # Exists on both hosts while its memory is copied.
                 world.Stay(one, 0, moved + 2, 0, moved),
                 world.Stay(two, moved - 25, DURATION_SECONDS + 1,
                            moved, DURATION_SECONDS + 1)),
        instance('shop-2', webshop, 'm1.large', 4, 8192, workday,
                 _stay(two, 0)),
        instance('database', webshop, 'm1.xlarge', 8, 32768,
                 steady(180), _stay(one, 0)),
        instance('cache', webshop, 'm1.medium', 2, 16384, idle,
                 _stay(two, 0)),
        instance('runner-1', builds, 'c1.xlarge', 8, 16384,
                 bursts(1300, 345, 77, 5, 990), _stay(two, 0)),
        instance('runner-2', builds, 'c1.2xlarge', 16, 32768,
                 bursts(4711, 1234, 900, 5, 930), _stay(three, 0)),
        instance('one-off', builds, 'c1.large', 4, 8192, steady(900),
                 # Born and gone between two readings.
                 _stay(one, brief, brief + 19)),
        instance('lab-1', teaching, 'm1.large', 4, 8192,
                 office(midnight, 10, 480),
                 # Shut down for the night; nobody announces it here.
                 _stay(three, 0, evening), _stay(three, morning)),
        instance('lab-2', teaching, 'm1.xlarge', 8, 16384, idle,
                 _stay(three, 0)),
        instance('lab-3', teaching, 'm1.medium', 2, 4096,
                 steady(350), _stay(one, 0, restarted),
                 _stay(one, restarted + 41)),
    ))


def _stay(host: str, start: int,
          end: int = DURATION_SECONDS + 1) -> world.Stay:
    return world.Stay(host, start, end, start, end)


def hosts(cast: Cloud, seed: int) -> list[world.Host]:
    """The cloud's hosts, booted before the world began."""
    draw = random.Random(seed + 1)  # noqa: S311 (not a secret: an example)
    return [
        world.Host(machine, cast.instances,
                   booted_s=-draw.randrange(DAY, 90 * DAY),
                   seed=draw.randrange(1, 1000),
                   boot_id=str(uuid.UUID(int=draw.getrandbits(128),
                                         version=4)),
                   machine_id=uuid.UUID(int=draw.getrandbits(128),
                                        version=4).hex)
        for machine in cast.machines]
