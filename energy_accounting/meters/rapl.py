# SPDX-License-Identifier: Apache-2.0
"""RAPL through the kernel's powercap tree: which zones count, and reading.

Facts about the tree (kernel Documentation/power/powercap/powercap.rst,
drivers/powercap/intel_rapl_*.c): a package zone holds core and uncore; its
``dram`` child is beside it and not inside it; psys holds packages and DRAM;
``intel-rapl-mmio`` zones show the same counters as their MSR twins; AMD has
packages (and cores) under the same ``intel-rapl`` names.

What a fall of a counter means is not decided here.
"""

from __future__ import annotations

import dataclasses
import logging
import os
import pathlib
import re
from collections.abc import Iterable, Sequence

from oslo_config import cfg

from energy_accounting import conf as configuration
from energy_accounting import errors, meters, samples, units
from energy_accounting.meters import sysfs

LOG = logging.getLogger(__name__)

AUTO = 'auto'
_ZONE_ID = re.compile(r'([a-z]+-rapl(?:-[a-z]+)?)((?::[0-9]{1,6}){1,9})\Z')
# A name travels with every window; the kernel's are short words.
_NAME = re.compile(r'[!-~]{1,64}\Z')
_MMIO = '-mmio'
_CONSTRAINTS = 8


@dataclasses.dataclass(frozen=True, slots=True)
class Zone:
    """A counter that the tree shows.

    :ivar name: unique within the host: ``package-0``, ``dram-0-die-1``.
    :ivar kind: the kernel's own word without numbers: ``package``,
        ``dram``, ``core``, ``uncore``, ``psys`` or something newer.
    :ivar position: the numbers of its id: (0, 1) of ``intel-rapl:0:1``.
    """

    name: str
    kind: str
    control: str
    position: tuple[int, ...]
    path: pathlib.Path

    @property
    def component(self) -> str:
        """DRAM feeds memory; whatever else is chosen is a package's."""
        return samples.MEMORY if self.kind == 'dram' else samples.PACKAGE

    def overlaps(self, other: Zone) -> bool:
        """Whether the energy of one of the two is in the other too."""
        if self.name == other.name:
            return False
        if 'psys' in (self.kind, other.kind):
            return self.kind != other.kind
        if 'dram' in (self.kind, other.kind):
            return False
        short, long = sorted((self.position, other.position), key=len)
        return (self.control == other.control and len(short) < len(long)
                and long[:len(short)] == short)


# --- what there is ----------------------------------------------------------

def find_zones(sysfs_path: pathlib.Path) -> list[Zone]:
    """Every RAPL zone of a tree, by position, without MMIO twins."""
    zones: dict[tuple[str, tuple[int, ...]], tuple[str, pathlib.Path]] = {}
    for path in _zone_paths(sysfs_path):
        match = _ZONE_ID.match(path.name)
        name = sysfs.text(path / 'name')
        if match and _NAME.match(name):
            position = tuple(int(n) for n in match[2].split(':')[1:])
            zones.setdefault((match[1], position), (name, path))

    def kernel_name(key: tuple[str, tuple[int, ...]]) -> str:
        """With the package of a sub-zone: ``dram-0`` for ``dram``."""
        control, position = key
        name = zones[key][0]
        above = zones.get((control, position[:1])) if position[1:] else None
        if above is None or name[-1:].isdigit():
            return name
        package = above[0].removeprefix('package-')
        return name if package == above[0] else f'{name}-{package}'

    first_of: set[str] = set()
    found = []
    # MSR (or TPMI) before MMIO, which is dropped where it has a twin.
    for key in sorted(zones, key=lambda key: (_MMIO in key[0], key)):
        control, position = key
        name = kernel_name(key)
        if name in first_of:
            if _MMIO in control:
                continue
            # Two zones of one name: the later is told by its number.
            name += '-zone-' + '-'.join(str(n) for n in position)
        first_of.add(name)
        found.append(Zone(name, zones[key][0].split('-')[0], control,
                          position, zones[key][1]))
    return found


def _zone_paths(sysfs_path: pathlib.Path) -> Iterable[pathlib.Path]:
    """Directories that may be zones: the class links, then the devices."""
    flat = sysfs_path / 'class/powercap'
    try:
        for entry in sorted(os.listdir(flat)):
            yield flat / entry
    except OSError:
        LOG.debug('%s cannot be listed', flat)
    for top, directories, _ in os.walk(sysfs_path / _DEVICES):
        directories.sort()
        for entry in directories:
            yield pathlib.Path(top, entry)


_DEVICES = 'devices/virtual/powercap'


def choose(zones: Sequence[Zone], wanted: Sequence[str]) -> list[Zone]:
    """The zones to count: all packages and their DRAM, or the named ones.

    :param wanted: ``[rapl] zones``.
    :raises errors.ConfigurationError: for an unknown name, or zones that
        contain each other.
    :raises errors.MeterError: when ``auto`` finds no package.
    """
    if list(wanted) == [AUTO]:
        chosen = [zone for zone in zones if zone.kind in ('package', 'dram')]
        if not any(zone.kind == 'package' for zone in chosen):
            names = ', '.join(zone.name for zone in zones)
            raise errors.MeterError(
                f'RAPL shows no package zone, only {names}: name the zones '
                'to count in [rapl] zones')
        return chosen
    chosen = meters.named(zones, wanted, '[rapl] zones')
    for index, zone in enumerate(chosen):
        for other in chosen[index + 1:]:
            if zone.overlaps(other):
                raise errors.ConfigurationError(
                    f'[rapl] zones names {zone.name} and {other.name}, one '
                    'of which holds the energy of the other: it would be '
                    'counted twice; leave one out')
    return chosen


def max_power_uw(chosen: Sequence[Zone]) -> tuple[int, list[str]]:
    """The most these zones can draw, and which of them did not say.

    1.5 times the long-term limit of each package, because a processor may
    exceed that one for seconds; DRAM has its margin in that.
    """
    total, silent = 0, []
    for zone in chosen:
        if zone.component != samples.PACKAGE:
            continue
        limit_uw = _long_term_uw(zone.path)
        if not limit_uw:
            silent.append(zone.name)
        total += limit_uw * 3 // 2 if limit_uw else meters.PACKAGE_MAX_UW
    return total, silent


def _long_term_uw(path: pathlib.Path) -> int | None:
    for number in range(_CONSTRAINTS):
        if sysfs.text(path / f'constraint_{number}_name') == 'long_term':
            return sysfs.number(sysfs.text(
                path / f'constraint_{number}_max_power_uw'))
    return None


# --- reading ----------------------------------------------------------------

class _Counter(sysfs.Held):
    """The ``energy_uj`` of a zone, held open."""

    def __init__(self, zone: Zone) -> None:
        super().__init__(zone.path / 'energy_uj')
        self.zone = zone
        self.range_uj = 0

    def reading(self) -> samples.ZoneReading:
        counter_uj = self.read()
        return samples.ZoneReading(self.zone.name, self.zone.component,
                                   counter_uj, self.range_uj)

    def open(self) -> int:
        anew = self._fd is None
        fd = super().open()
        if anew:
            self.range_uj = sysfs.number(sysfs.text(
                self.zone.path / 'max_energy_range_uj')) or 0
        return fd


class Rapl:
    """The chosen zones, their counters held open."""

    def __init__(self, zones: Sequence[Zone],
                 max_power_uw: int | None) -> None:
        self.basis = tuple(zone.name for zone in zones)
        self.max_power_uw = max_power_uw
        self._counters = [_Counter(zone) for zone in zones]

    def check(self) -> None:
        """Read every counter once, so that a missing right shows at start.

        :raises errors.MeterError: names the file and the capability.
        """
        for counter in self._counters:
            path = counter.path
            try:
                counter.open()
            except PermissionError as error:
                raise errors.MeterError(
                    f'{path} may not be read: give the process '
                    'CAP_DAC_READ_SEARCH (systemd: AmbientCapabilities=; '
                    'Kubernetes: run as root with only that capability '
                    'added)') from error
            except OSError as error:
                # A zone that is away for now is a gap, not the end.
                LOG.warning('%s cannot be read now: %s', path, error)

    def read(self) -> tuple[samples.ZoneReading, ...]:
        return tuple(counter.reading() for counter in self._counters)

    def close(self) -> None:
        for counter in self._counters:
            counter.close()


def from_conf(conf: cfg.ConfigOpts) -> Rapl:
    """The RAPL meter of this host.

    :raises errors.MeterError: when there is no RAPL or it may not be read.
    :raises errors.ConfigurationError: for ``[rapl] zones`` that do not fit.
    """
    sysfs_path = pathlib.Path(conf.notifier.sysfs_path)
    zones = find_zones(sysfs_path)
    if not zones:
        raise errors.MeterError(_nothing(sysfs_path))
    chosen = choose(zones, conf.rapl.zones)
    power_uw, silent = max_power_uw(chosen)
    if silent and configuration.microwatts(
            conf.notifier.max_power_watts,
            '[notifier] max_power_watts') is None:
        LOG.warning('The kernel names no long-term power limit of %s: %d W '
                    'are taken for each; set [notifier] max_power_watts to '
                    'what these packages can draw together',
                    ', '.join(silent), meters.PACKAGE_MAX_UW // units.UJ_PER_J)
    meter = Rapl(chosen, power_uw)
    try:
        meter.check()
    except errors.MeterError:
        meter.close()
        raise
    LOG.info('RAPL zones counted: %s', ', '.join(meter.basis))
    return meter


def _nothing(sysfs_path: pathlib.Path) -> str:
    """Why there is no zone, as far as the tree tells."""
    flat = sysfs_path / 'class/powercap'
    try:
        entries = [flat / entry for entry in os.listdir(flat)]
    except OSError as error:
        return (f'no RAPL: {flat} cannot be listed ({error.strerror}). '
                'Load the kernel module intel_rapl_msr (AMD too, from '
                "Linux 5.11); inside a container mount the host's /sys and "
                'name it in [notifier] sysfs_path. A virtual machine has no '
                'RAPL of its own')
    dangling = [path for path in entries if not path.exists()]
    if dangling:
        return (f'no RAPL: {flat} holds links that lead nowhere, because '
                f'{sysfs_path / _DEVICES} is masked, as container runtimes '
                "do: mount the host's /sys read-only elsewhere and name it "
                'in [notifier] sysfs_path')
    return (f'no RAPL: {flat} holds no RAPL zone. Load the kernel module '
            'intel_rapl_msr (AMD too, from Linux 5.11); a virtual machine '
            'has no RAPL of its own')
