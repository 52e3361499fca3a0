# SPDX-License-Identifier: Apache-2.0
"""The host itself: its CPU time, its size, its identity, its services.

Guests are not found here.
"""

from __future__ import annotations

import os
import pathlib
import re
import uuid

from oslo_config import cfg

from energy_accounting import errors, guests, units
from energy_accounting.guests import cgroups as cgroup_trees
from energy_accounting.guests import kernel, qemu

MACHINE_ID = pathlib.Path('/etc/machine-id')
_MACHINE_ID = re.compile(r'[0-9a-f]{32}\Z')
# Columns of /proc/stat that are work: user, nice, system, irq, softirq.
# ``guest`` is inside ``user``; iowait and steal are not use (proc(5)).
_BUSY = (1, 2, 3, 6, 7)
# CPU time in /proc/*/stat is in steps of this.
JIFFY_NS = units.NS_PER_S // os.sysconf('SC_CLK_TCK')


class Host:
    """What the notifier reads of its host beside meters and guests."""

    def __init__(self, procfs_path: pathlib.Path,
                 services: cgroup_trees.Services, state_path: pathlib.Path,
                 machine_id_path: pathlib.Path = MACHINE_ID) -> None:
        self._stat = procfs_path / 'stat'
        self._boot_id = procfs_path / 'sys/kernel/random/boot_id'
        self._services = services
        self._state_path = state_path
        self._machine_id_path = machine_id_path
        self._memory_mib = _memory_mib(procfs_path / 'meminfo')

    def read(self) -> guests.HostNow:
        """The host now.

        :raises errors.MeterError: when ``/proc/stat`` cannot be read.
        """
        # Services first: what they used is then in the host's time too.
        services_cpu_ns = self._services.read()
        try:
            lines = self._stat.read_bytes().split(b'\n')
            fields = lines[0].split()
            jiffies = sum(kernel.count(fields[n]) for n in _BUSY)
            busy_ns = kernel.count(b'%d' % jiffies, JIFFY_NS)
        except (OSError, ValueError, IndexError) as error:
            raise errors.MeterError(
                f'{self._stat} cannot be read: {error}; [notifier] '
                'procfs_path names where procfs is') from error
        cpus = 0
        for line in lines[1:]:
            if not line.startswith(b'cpu'):
                break
            cpus += 1
        return guests.HostNow(busy_ns=busy_ns, cpus=max(1, cpus),
                              memory_mib=self._memory_mib,
                              services_cpu_ns=services_cpu_ns)

    def boot_id(self) -> str:
        """What tells this boot of the host from another.

        :raises errors.MeterError: when procfs does not say.
        """
        try:
            return kernel.word(self._boot_id.read_bytes())
        except (OSError, ValueError) as error:
            raise errors.MeterError(
                f'{self._boot_id} cannot be read: {error}; [notifier] '
                'procfs_path names where procfs is') from error

    def machine_id(self) -> str:
        """What tells this machine from another of the same host name.

        The operating system's, else a random one that stays.

        :raises errors.ConfigurationError: when none can be kept.
        """
        own = self._state_path / 'machine-id'
        for path in (self._machine_id_path, own):
            try:
                found = path.read_text().strip()
            except (OSError, ValueError):
                continue
            if _MACHINE_ID.match(found):
                return found
        made = uuid.uuid4().hex
        try:
            self._state_path.mkdir(parents=True, exist_ok=True)
            own.write_text(f'{made}\n')
        except OSError as error:
            raise errors.ConfigurationError(
                f'{own} cannot be written: {error}; [DEFAULT] state_path '
                'must be a directory this service may write') from error
        return made


def _memory_mib(path: pathlib.Path) -> int:
    try:
        for line in path.read_bytes().splitlines():
            name, _, value = line.partition(b':')
            if name == b'MemTotal':
                memory_mib = kernel.count(value.split()[0]) // 1024
                if 0 < memory_mib <= qemu.MOST_MIB:
                    return memory_mib
    except (OSError, ValueError, IndexError):
        pass
    raise errors.MeterError(f'{path} does not say MemTotal; [notifier] '
                            'procfs_path names where procfs is')


def cgroups_from_conf(conf: cfg.ConfigOpts) -> cgroup_trees.Cgroups:
    """The cgroup trees of this host."""
    return cgroup_trees.Cgroups(pathlib.Path(conf.notifier.cgroup_path),
                                pathlib.Path(conf.notifier.procfs_path))


def services_from_conf(conf: cfg.ConfigOpts) -> cgroup_trees.Services:
    """The services that ``[notifier] service_cgroups`` names.

    :raises errors.ConfigurationError: when it cannot be understood.
    """
    return cgroup_trees.Services(cgroups_from_conf(conf),
                                 conf.notifier.service_cgroups)


def from_conf(conf: cfg.ConfigOpts) -> Host:
    """The host this process runs on.

    :raises errors.MeterError: when procfs is not what it should be.
    :raises errors.ConfigurationError: for ``service_cgroups``.
    """
    return Host(pathlib.Path(conf.notifier.procfs_path),
                services_from_conf(conf), pathlib.Path(conf.state_path))
