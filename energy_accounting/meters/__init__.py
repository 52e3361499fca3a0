# SPDX-License-Identifier: Apache-2.0
"""What yields energy of a host: the protocol and how meters are found.

A meter only reads counters.  Differences, wraps and gaps are judged in
``ticks``, and who gets the energy in ``attribution``; nothing of that
belongs here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypeVar

from oslo_config import cfg

from energy_accounting import errors, plugins, samples, units

NAMESPACE = 'energy_accounting.meters'

# Of a package without a limit of its own: more than any processor draws.
PACKAGE_MAX_UW = 600 * units.UJ_PER_J
# Of a whole node: more than any that is on sale.
NODE_MAX_UW = 20_000 * units.UJ_PER_J

NODE = 'node'
"""What the name of every zone that is a whole node's begins with.

Such a zone feeds the part of the packages, which it holds."""


class Meter(Protocol):
    """Counters of one kind.

    :ivar basis: names of the zones that are counted, none inside another.
    :ivar max_power_uw: the most the packages, or the node, can draw
        together; None when nothing tells.
    """

    basis: tuple[str, ...]
    max_power_uw: int | None

    def read(self) -> tuple[samples.ZoneReading, ...]:
        """All zones, always the same and in the same order; never raises.

        A counter that cannot be read now is None.
        """

    def close(self) -> None:
        """Give back what is held open."""


class Joined:
    """Several meters read as one."""

    def __init__(self, meters: tuple[Meter, ...]) -> None:
        self.basis = tuple(zone for meter in meters for zone in meter.basis)
        powers = [meter.max_power_uw for meter in meters]
        self.max_power_uw = sum(
            power for power in powers
            if power is not None) if None not in powers else None
        self._meters = meters

    def read(self) -> tuple[samples.ZoneReading, ...]:
        return tuple(zone for meter in self._meters for zone in meter.read())

    def close(self) -> None:
        for meter in self._meters:
            meter.close()


class _Named(Protocol):
    @property
    def name(self) -> str: ...


Named = TypeVar('Named', bound=_Named)


def named(found: Sequence[Named], wanted: Sequence[str],
          option: str) -> list[Named]:
    """Those that an option names, in the order in which they were found.

    :param option: as a message calls it, such as ``[rapl] zones``.
    :raises errors.ConfigurationError: there is none of a name, or no name.
    """
    names = [one.name for one in found]
    unknown = [name for name in wanted if name not in names]
    if unknown or not wanted:
        raise errors.ConfigurationError(
            f'{option} names {", ".join(unknown) or "nothing"}; this host '
            f'has {", ".join(names) or "none"}, or say auto')
    return [one for one in found if one.name in wanted]


def is_node(zone: str) -> bool:
    """Whether a zone is of a whole node."""
    return zone.partition('-')[0] == NODE


def load(conf: cfg.ConfigOpts) -> Meter:
    """The meters that ``[notifier] meters`` names, as one.

    :raises errors.ConfigurationError: for a name that is not installed.
    :raises errors.MeterError: when a meter finds nothing to read; says
        what is missing and what helps.
    """
    names = conf.notifier.meters
    if not names or len(set(names)) != len(names):
        raise errors.ConfigurationError(
            f'[notifier] meters is {",".join(names)!r}: name at least one '
            'meter, each once')
    found: list[Meter] = []
    try:
        for name in names:
            found.append(plugins.load(
                NAMESPACE, name, '[notifier] meters')(conf))
        zones = [zone for meter in found for zone in meter.basis]
        if len(set(zones)) != len(zones):
            raise errors.ConfigurationError(
                f'[notifier] meters {",".join(names)} name a zone twice '
                f'({", ".join(sorted(zones))}): leave one of them out')
        if len(names) > 1 and any(is_node(zone) for zone in zones):
            raise errors.ConfigurationError(
                f'[notifier] meters names {",".join(names)}: a meter of the '
                'whole node holds the energy of its packages and memory, '
                'which would be counted twice; keep one of them. Beside '
                'rapl a node meter is read as a meter of role node, for the '
                'platform term')
    except BaseException:
        for meter in found:
            meter.close()
        raise
    return found[0] if len(found) == 1 else Joined(tuple(found))
