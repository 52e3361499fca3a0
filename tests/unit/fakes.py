# SPDX-License-Identifier: Apache-2.0
"""A host made of files: powercap, procfs and cgroups under a directory.

The edge is the kernel, so tests stand in for the kernel and for nothing
else: what is read here is read as on a real host.  Files are rewritten in
place, as a descriptor on a real one sees it; ``replace`` puts another file
in its place.  No expectation belongs here.
"""

from __future__ import annotations

import os
import pathlib
import shutil
from collections.abc import Mapping, Sequence

INTEL_RANGE_UJ = 262_143_328_850
USER_HZ = os.sysconf('SC_CLK_TCK')
BOOT_ID = '5b3b8c34-6b7a-4a8e-9d69-0b7b0a6a4c11'


def write(path: pathlib.Path, text: str) -> None:
    """Set a file's content in place, making what is missing above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, 'r+' if path.exists() else 'w') as file:
        file.write(text)
        file.truncate()


def replace(path: pathlib.Path, text: str) -> None:
    """Put another file with this content in a file's place."""
    other = path.with_name(path.name + '~')
    write(other, text)
    os.rename(other, path)


class FakeHost:
    """The three trees of a host under one directory.

    A new one has two online CPUs, 64 GiB, no RAPL and no guest.
    """

    def __init__(self, root: str | os.PathLike[str]) -> None:
        self.root = pathlib.Path(root)
        self.sysfs = self.root / 'sys'
        self.procfs = self.root / 'proc'
        self.cgroupfs = self.root / 'cgroup'
        for path in (self.sysfs, self.procfs, self.cgroupfs):
            path.mkdir(parents=True, exist_ok=True)
        write(self.procfs / 'sys/kernel/random/boot_id', BOOT_ID + '\n')
        self.memory()
        self.stat()
        self.cgroup('/')

    # --- powercap -----------------------------------------------------------

    def zone(self, zone_id: str, name: str, energy_uj: int | str = 0, *,
             range_uj: int | None = INTEL_RANGE_UJ,
             long_term_uw: int | None = None,
             short_term_uw: int | None = None) -> pathlib.Path:
        """Make a zone such as ``intel-rapl:0:1`` with its link.

        :returns: its directory below ``devices``.
        """
        control, *numbers = zone_id.split(':')
        path = self.sysfs / 'devices/virtual/powercap' / control
        for count in range(1, len(numbers) + 1):
            path = path / ':'.join([control, *numbers[:count]])
        write(path / 'name', f'{name}\n')
        write(path / 'energy_uj', f'{energy_uj}\n')
        if range_uj is not None:
            write(path / 'max_energy_range_uj', f'{range_uj}\n')
        # The kernel numbers constraints as it likes.
        number = 0
        for constraint, limit_uw in (('short_term', short_term_uw),
                                     ('long_term', long_term_uw)):
            if limit_uw is not None:
                write(path / f'constraint_{number}_name', f'{constraint}\n')
                write(path / f'constraint_{number}_max_power_uw',
                      f'{limit_uw}\n')
                number += 1
        flat = self.sysfs / 'class/powercap'
        flat.mkdir(parents=True, exist_ok=True)
        for device in (path, self.sysfs / 'devices/virtual/powercap'
                       / control):
            link = flat / device.name
            if not link.is_symlink():
                link.symlink_to(os.path.relpath(device, flat))
        return path

    def packages(self, count: int = 1, *, dram: bool = True,
                 long_term_uw: int | None = 200_000_000) -> None:
        """Intel server packages with core and, by default, DRAM."""
        for number in range(count):
            self.zone(f'intel-rapl:{number}', f'package-{number}',
                      long_term_uw=long_term_uw)
            self.zone(f'intel-rapl:{number}:0', 'core')
            if dram:
                self.zone(f'intel-rapl:{number}:1', 'dram',
                          range_uj=65_712_999_613)

    def energy_path(self, zone_id: str) -> pathlib.Path:
        return self.sysfs / 'class/powercap' / zone_id / 'energy_uj'

    def energy(self, zone_id: str, energy_uj: int | str) -> None:
        """Set a zone's counter, in place."""
        write(self.energy_path(zone_id), f'{energy_uj}\n')

    # --- hwmon --------------------------------------------------------------

    def chip(self, number: int, name: str, *, device: str = '',
             old: bool = False, **files: int | str) -> pathlib.Path:
        """A hwmon chip; the directory with its files.

        :param device: what it is on; by it several of a name are told apart.
        :param old: its files are the device's, as older drivers have it.
        """
        where = self.sysfs / 'devices' / (device or f'{name}.{number}')
        entry = where / f'hwmon/hwmon{number}'
        entry.mkdir(parents=True, exist_ok=True)
        if not (entry / 'device').is_symlink():
            (entry / 'device').symlink_to('../..')
            flat = self.sysfs / 'class/hwmon'
            flat.mkdir(parents=True, exist_ok=True)
            (flat / entry.name).symlink_to(os.path.relpath(entry, flat))
        path = where if old else entry
        for file, value in {'name': name, **files}.items():
            write(path / file, f'{value}\n')
        return path

    # --- procfs -------------------------------------------------------------

    def stat(self, *, user: int = 0, nice: int = 0, system: int = 0,
             idle: int = 0, iowait: int = 0, irq: int = 0, softirq: int = 0,
             steal: int = 0, guest: int = 0, guest_nice: int = 0,
             cpus: Sequence[int] = (0, 1)) -> None:
        """``/proc/stat``, in clock ticks; ``cpus`` are those online."""
        fields = [user, nice, system, idle, iowait, irq, softirq, steal,
                  guest, guest_nice]
        lines = ['cpu  ' + ' '.join(str(value) for value in fields)]
        lines += [f'cpu{cpu} ' + ' '.join(
            str(value // len(cpus)) for value in fields) for cpu in cpus]
        lines += ['intr 1 0 0', 'ctxt 1', 'btime 1700000000', 'processes 1',
                  'procs_running 1', 'procs_blocked 0']
        write(self.procfs / 'stat', '\n'.join(lines) + '\n')

    def memory(self, total_kib: int = 64 * 1024 * 1024) -> None:
        write(self.procfs / 'meminfo',
              f'MemTotal:       {total_kib} kB\nMemFree:  1024 kB\n')

    def process(self, pid: int, argv: Sequence[str], *,
                comm: str = 'qemu-system-x86', start: int = 1000,
                user: int = 0, system: int = 0,
                threads_ns: Mapping[int, int] | None = None,
                cgroup: str = '/', flags: int = 0x400000) -> pathlib.Path:
        """A process; ``start``, ``user`` and ``system`` in clock ticks.

        :param threads_ns: CPU time by thread id (``task/*/schedstat``);
            None: this kernel has no schedstat.
        """
        path = self.procfs / str(pid)
        write(path / 'cmdline', ''.join(f'{word}\0' for word in argv))
        write(path / 'cgroup', f'0::{cgroup}\n')
        write(path / 'status', f'Name:\t{comm}\nPid:\t{pid}\n')
        self.times(pid, comm=comm, start=start, user=user, system=system,
                   flags=flags)
        self.threads(pid, threads_ns or {})
        return path

    def times(self, pid: int, *, comm: str = 'qemu-system-x86',
              start: int = 1000, user: int = 0, system: int = 0,
              flags: int = 0x400000) -> None:
        """Rewrite ``/proc/PID/stat``."""
        write(self.procfs / str(pid) / 'stat',
              f'{pid} ({comm}) S 1 {pid} {pid} 0 -1 {flags} 5462 0 0 0 '
              f'{user} {system} 0 0 20 0 4 0 {start} 1483935744 10592\n')

    def threads(self, pid: int, threads_ns: Mapping[int, int]) -> None:
        """Rewrite ``task``: threads that are not named have ended."""
        task = self.procfs / str(pid) / 'task'
        task.mkdir(parents=True, exist_ok=True)
        for entry in task.iterdir():
            if int(entry.name) not in threads_ns:
                shutil.rmtree(entry)
        for thread, cpu_ns in threads_ns.items():
            write(task / str(thread) / 'schedstat', f'{cpu_ns} 0 1\n')

    def qemu(self, pid: int, instance_id: str, *, vcpus: int = 1,
             memory_mib: int = 1024, name: str = 'instance-00000001',
             start: int = 1000, user: int = 0, system: int = 0,
             threads_ns: Mapping[int, int] | None = None,
             cgroup: str = '/') -> pathlib.Path:
        """A guest as libvirt starts it."""
        return self.process(pid, [
            '/usr/bin/qemu-system-x86_64', '-name',
            f'guest={name},debug-threads=on', '-S', '-m', str(memory_mib),
            '-smp', f'{vcpus},sockets={vcpus},cores=1,threads=1', '-uuid',
            instance_id, '-display', 'none'], start=start, user=user,
            system=system, threads_ns=threads_ns, cgroup=cgroup)

    def end(self, pid: int) -> None:
        """The process is gone."""
        shutil.rmtree(self.procfs / str(pid))

    # --- cgroups ------------------------------------------------------------

    def cgroup(self, path: str, cpu_ns: int = 0,
               pids: Sequence[int] = ()) -> pathlib.Path:
        """A version 2 cgroup and the CPU time of its whole subtree."""
        where = self.cgroupfs / path.strip('/')
        write(where / 'cpu.stat', f'usage_usec {cpu_ns // 1000}\n'
              f'user_usec {cpu_ns // 1000}\nsystem_usec 0\n')
        write(where / 'cgroup.procs', ''.join(f'{pid}\n' for pid in pids))
        if where == self.cgroupfs:
            write(where / 'cgroup.controllers', 'cpuset cpu io memory\n')
        return where

    def cgroup_v1(self, path: str, cpu_ns: int = 0,
                  controller: str = 'cpu,cpuacct') -> pathlib.Path:
        """A version 1 cgroup; the root must not be version 2 then."""
        where = self.cgroupfs / controller / path.strip('/')
        write(where / 'cpuacct.usage', f'{cpu_ns}\n')
        write(where / 'cgroup.procs', '')
        return where

    def end_cgroup(self, path: str) -> None:
        shutil.rmtree(self.cgroupfs / path.strip('/'))

    # --- configuration ------------------------------------------------------

    def options(self) -> dict[str, str]:
        """The ``[notifier]`` options that lead here."""
        return {'sysfs_path': str(self.sysfs),
                'procfs_path': str(self.procfs),
                'cgroup_path': str(self.cgroupfs)}
