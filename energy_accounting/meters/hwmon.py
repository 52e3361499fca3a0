# SPDX-License-Identifier: Apache-2.0
"""The power or energy of a whole node, as the kernel's hwmon shows it.

Facts (kernel Documentation/hwmon/sysfs-interface.rst): ``energyN_input`` is
a counter in microjoules; ``powerN_average`` and ``powerN_input`` are
microwatts, over the driver's own interval or now.  Older drivers keep the
files in the device below their class entry.  Which drivers see the whole
node: ``acpi_power_meter`` (chip ``power_meter``; most boards fill it by
IPMI), ``ibmaem`` (by IPMI) and ``ibmpowernv`` (its label ``System``).  Any
other chip may be a rail, a disk or a graphics card, and counts only where an
operator says so.
"""

from __future__ import annotations

import dataclasses
import logging
import os
import pathlib
import re
from collections.abc import Callable, Iterator, Sequence

from oslo_config import cfg

from energy_accounting import clocks, errors, meters, samples
from energy_accounting.meters import power, sysfs

LOG = logging.getLogger(__name__)

AUTO = 'auto'
# Chip, and the label that its sensor must have, if it has many.
NODE_CHIPS = {'power_meter': None, 'aem1': None, 'aem2': None,
              'ibmpowernv': 'System'}

_NAME = re.compile(r'[!-.0-~]{1,40}\Z')
_FILE = re.compile(r'(energy|power)([0-9]{1,4})_(input|average)\Z')
_CLASS = 'class/hwmon'


@dataclasses.dataclass(frozen=True, slots=True)
class Sensor:
    """Something that one chip measures.

    :ivar name: ``CHIP/energyN`` or ``CHIP/powerN``.
    :ivar kind: the chip's own name; ``chip`` has a number after it where
        there are several of a kind.
    """

    kind: str
    chip: str
    channel: str
    label: str
    path: pathlib.Path

    @property
    def name(self) -> str:
        return f'{self.chip}/{self.channel}'

    @property
    def zone(self) -> str:
        return f'{meters.NODE}-{self.chip}-{self.channel}'

    @property
    def counts(self) -> bool:
        """Whether it is a counter of energy."""
        return self.channel.startswith('energy')


# --- what there is ----------------------------------------------------------

def find_sensors(sysfs_path: pathlib.Path) -> list[Sensor]:
    """Every sensor of energy or power, by chip and channel."""
    chips: dict[str, list[pathlib.Path]] = {}
    for entry in _entries(sysfs_path / _CLASS):
        for path in (entry, entry / 'device'):
            kind = sysfs.text(path / 'name')
            if _NAME.match(kind):
                chips.setdefault(kind, []).append(entry)
                break
    return [sensor for kind, entries in sorted(chips.items())
            for number, entry in enumerate(entries, 1)
            for sensor in _of_chip(
                kind, kind if number == 1 else f'{kind}-{number}', entry)]


def _entries(path: pathlib.Path) -> list[pathlib.Path]:
    """The chips, by their devices: a hwmon number is that of a boot."""
    try:
        found = [path / name for name in os.listdir(path)]
    except OSError:
        return []
    return sorted(found, key=lambda entry: (
        os.path.realpath(entry / 'device'), entry.name))


def _of_chip(kind: str, chip: str, entry: pathlib.Path) -> Iterator[Sensor]:
    found: dict[tuple[str, int], pathlib.Path] = {}
    for path in (entry, entry / 'device'):
        try:
            names = sorted(os.listdir(path))
        except OSError:
            continue
        for name in names:
            match = _FILE.match(name)
            # An average comes first, by name too: it misses nothing that
            # happens between two readings.
            if match and (match[1], match[3]) != ('energy', 'average'):
                found.setdefault((match[1], int(match[2])), path / name)
    for (what, number), path in sorted(found.items()):
        channel = f'{what}{number}'
        if sysfs.text(path.with_name(f'{channel}_is_battery')) == '1':
            continue
        yield Sensor(kind, chip, channel, sysfs.text(
            path.with_name(f'{channel}_label')), path)


def choose(sensors: Sequence[Sensor], wanted: Sequence[str]) -> list[Sensor]:
    """The sensors to count: the node's own one, or the named ones.

    :param wanted: ``[hwmon] sensors``.
    :raises errors.ConfigurationError: for an unknown name, or a chip's
        counter beside its power.
    :raises errors.MeterError: when ``auto`` finds none, or several.
    """
    if list(wanted) == [AUTO]:
        found = [sensor for sensor in sensors if sensor.kind in NODE_CHIPS
                 and NODE_CHIPS[sensor.kind] in (None, sensor.label)]
        # A counter misses nothing.
        found = ([sensor for sensor in found if sensor.counts] or found)
        if len(found) != 1:
            names = ', '.join(sensor.name for sensor in sensors) or 'none'
            raise errors.MeterError(
                f'hwmon: {len(found)} sensors are known to be of the whole '
                f'node; name the one, or those that add up to it, in [hwmon] '
                f'sensors. This host has {names}')
        return found
    chosen = meters.named(sensors, wanted, '[hwmon] sensors')
    for chip in {sensor.chip for sensor in chosen}:
        of_chip = [one for one in chosen if one.chip == chip]
        if len({one.counts for one in of_chip}) > 1:
            raise errors.ConfigurationError(
                '[hwmon] sensors names '
                f'{", ".join(one.name for one in of_chip)}: the energy of a '
                'chip and its power are the same thing twice; keep the '
                'energy')
    return chosen


# --- reading ----------------------------------------------------------------

class _Source:
    """A sensor as a counter."""

    def __init__(self, sensor: Sensor, now_ns: Callable[[], int]) -> None:
        self.sensor = sensor
        self.file = sysfs.Held(sensor.path)
        self._now_ns = now_ns
        self._integral = None if sensor.counts else power.Integral()

    def reading(self) -> samples.ZoneReading:
        value = self.file.read()
        if self._integral is not None:
            value = self._integral.add(value, self._now_ns())
        return samples.ZoneReading(self.sensor.zone, samples.PACKAGE, value,
                                   0)


class Hwmon:
    """The chosen sensors, their files held open."""

    def __init__(self, sensors: Sequence[Sensor],
                 now_ns: Callable[[], int]) -> None:
        self.basis = tuple(sensor.zone for sensor in sensors)
        self.max_power_uw: int | None = meters.NODE_MAX_UW * len(sensors)
        self._sources = [_Source(sensor, now_ns) for sensor in sensors]

    def check(self) -> None:
        """Open every file once, so that a missing right shows at start.

        :raises errors.MeterError: names the file.
        """
        for source in self._sources:
            try:
                source.file.open()
            except OSError as error:
                raise errors.MeterError(
                    f'{source.file.path} cannot be read '
                    f'({error.strerror}): give the process the right to, or '
                    'name another one in [hwmon] sensors') from error

    def read(self) -> tuple[samples.ZoneReading, ...]:
        return tuple(source.reading() for source in self._sources)

    def close(self) -> None:
        for source in self._sources:
            source.file.close()


def from_conf(conf: cfg.ConfigOpts) -> Hwmon:
    """The node meter of this host.

    :raises errors.MeterError: when there is none or it may not be read.
    :raises errors.ConfigurationError: for ``[hwmon] sensors`` that do not
        fit.
    """
    sysfs_path = pathlib.Path(conf.notifier.sysfs_path)
    sensors = find_sensors(sysfs_path)
    if not sensors:
        raise errors.MeterError(
            f'no node meter: {sysfs_path / _CLASS} shows neither energy nor '
            'power. Load the kernel module of the meter (acpi_power_meter, '
            "ibmaem); inside a container mount the host's /sys and name it "
            'in [notifier] sysfs_path. Where the BMC alone knows, use the '
            'meter ipmi')
    chosen = choose(sensors, conf.hwmon.sensors)
    meter = Hwmon(chosen, clocks.SystemClock().boottime_ns)
    try:
        meter.check()
    except errors.MeterError:
        meter.close()
        raise
    for sensor in chosen:
        LOG.info('hwmon sensor counted: %s (%s)', sensor.name,
                 'energy' if sensor.counts
                 else 'power: energy is estimated from it')
    return meter
