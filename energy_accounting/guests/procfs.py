# SPDX-License-Identifier: Apache-2.0
"""Guests as the kernel shows them: QEMU processes, without libvirt.

Works with libvirt on the host, in a container or absent.  Owners are not
known; the collector asks Nova for them.
"""

from __future__ import annotations

import os
import pathlib

from oslo_config import cfg

from energy_accounting import errors, guests
from energy_accounting.guests import host, processes


class ProcfsGuests:
    """Guests found in procfs."""

    def __init__(self, found: processes.Processes) -> None:
        self._processes = found

    def read(self, boottime_ns: int) -> guests.GuestsNow:
        return self._processes.read()

    def close(self) -> None:
        self._processes.close()


def processes_from_conf(conf: cfg.ConfigOpts) -> processes.Processes:
    """The QEMU processes of this host.

    :raises errors.MeterError: when procfs cannot be read.
    :raises errors.ConfigurationError: for ``service_cgroups``.
    """
    procfs_path = pathlib.Path(conf.notifier.procfs_path)
    try:
        os.listdir(procfs_path)
    except OSError as error:
        raise errors.MeterError(
            f'{procfs_path} cannot be listed: {error}; [notifier] '
            'procfs_path names where procfs is') from error
    return processes.Processes(procfs_path, host.cgroups_from_conf(conf),
                               host.services_from_conf(conf))


def from_conf(conf: cfg.ConfigOpts) -> ProcfsGuests:
    """Guests of this host through procfs.

    :raises errors.MeterError: when procfs cannot be read.
    :raises errors.ConfigurationError: for ``service_cgroups``.
    """
    return ProcfsGuests(processes_from_conf(conf))
