# SPDX-License-Identifier: Apache-2.0
"""Who runs on this host: the protocol and how guest sources are found.

A source says who is there, how much CPU time each has used and what each
has reserved.  What that means in energy is not decided here.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import NamedTuple, Protocol

from oslo_config import cfg

from energy_accounting import errors, plugins, samples

LOG = logging.getLogger(__name__)

NAMESPACE = 'energy_accounting.guests'


class GuestsNow(NamedTuple):
    """All guests at one moment.

    :ivar ended: last readings of guests that ended since the reading
        before; a guest of which none could be had is in neither.
    :ivar parents_cpu_ns: CPU time since its creation of each cgroup that
        guests have as their parent, those of ended guests included.
    """

    guests: tuple[samples.GuestReading, ...]
    ended: tuple[samples.GuestReading, ...]
    parents_cpu_ns: Mapping[str, int]


class HostNow(NamedTuple):
    """The host itself at one moment; fields as in ``HostReading``."""

    busy_ns: int
    cpus: int
    memory_mib: int
    services_cpu_ns: Mapping[str, int]


class GuestSource(Protocol):
    """A way to see guests."""

    def read(self, boottime_ns: int) -> GuestsNow:
        """All guests now; never raises.

        A guest that is there but cannot be read has ``cpu_ns`` None.
        """

    def close(self) -> None:
        """Give back what is held open and end what runs beside."""


def load(conf: cfg.ConfigOpts) -> GuestSource:
    """The first of ``[notifier] guests`` that works on this host.

    :raises errors.ConfigurationError: for a name that is not installed.
    :raises errors.MeterError: when none works; says why of each.
    """
    names = conf.notifier.guests
    if not names:
        raise errors.ConfigurationError(
            '[notifier] guests is empty: name libvirt, procfs or both')
    reasons = []
    for name in names:
        try:
            source: GuestSource = plugins.load(
                NAMESPACE, name, '[notifier] guests')(conf)
        except (errors.MeterError, errors.MissingExtra) as error:
            LOG.warning('Guests cannot be read through %s: %s', name, error)
            reasons.append(f'{name}: {error}')
            continue
        LOG.info('Guests are read through %s', name)
        return source
    raise errors.MeterError('no source of guests works ([notifier] guests); '
                            + '; '.join(reasons))
