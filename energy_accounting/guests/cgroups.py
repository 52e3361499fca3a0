# SPDX-License-Identifier: Apache-2.0
"""Cgroups of either version: where processes are, what a subtree used.

A cgroup's CPU time includes all its descendants and all that ever ran
there, so it outlives processes.  What is done with it is not decided here.
"""

from __future__ import annotations

import dataclasses
import glob
import logging
import os
import pathlib
import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from energy_accounting import errors
from energy_accounting.guests import kernel

LOG = logging.getLogger(__name__)

# Version 1 mounts the accounting controller under one of these names.
_CPUACCT = ('cpu,cpuacct', 'cpuacct,cpu', 'cpuacct')
# What libvirt makes for one guest: with systemd-machined, and without.
_LIBVIRT_SCOPE = re.compile(r'machine-qemu.*\.scope\Z|.*\.libvirt-qemu\Z')
_GLOB = re.compile(r'[*?]|\[[^\]]*\]')
_UNIT = re.compile(r'\.(?:slice|scope|service)\Z')


class Hierarchy(NamedTuple):
    """One mounted tree of cgroups.

    :ivar controller: how ``/proc/PID/cgroup`` calls it; empty: version 2.
    """

    root: pathlib.Path
    controller: str


class Cgroups:
    """The hierarchies that know CPU time, the one to prefer first."""

    def __init__(self, cgroup_path: pathlib.Path,
                 procfs_path: pathlib.Path) -> None:
        self._procfs_path = procfs_path
        self.hierarchies = tuple(_hierarchies(cgroup_path))

    def directories(self, pid: int) -> list[pathlib.Path]:
        """The cgroup of a process in each hierarchy, roots left out."""
        try:
            text = (self._procfs_path / str(pid) / 'cgroup').read_text()
        except (OSError, ValueError):
            return []
        paths = {}
        for line in text.splitlines():
            _, _, rest = line.partition(':')
            controllers, separator, path = rest.partition(':')
            if separator:
                paths.update(dict.fromkeys(controllers.split(','), path))
        found = []
        for hierarchy in self.hierarchies:
            path = paths.get(hierarchy.controller, '/')
            directory = _directory(hierarchy.root, path)
            if directory is not None:
                found.append(directory)
        return found

    def parent(self, pid: int, directories: Iterable[pathlib.Path],
               ) -> pathlib.Path | None:
        """The nearest cgroup around a guest that outlives it.

        That is the one above libvirt's scope of the guest; for a guest
        without such a scope its cgroup, when others are in there too, or
        the one above.  Never the root: it is the host.
        """
        roots = {hierarchy.root for hierarchy in self.hierarchies}
        for directory in directories:
            candidate = _around(pid, directory, roots)
            while candidate not in roots:
                if cpu_ns(candidate) is not None:
                    return candidate
                candidate = candidate.parent
        return None

    def name(self, directory: pathlib.Path) -> str:
        """A cgroup's path as the kernel has it, e.g. ``/machine.slice``."""
        for hierarchy in self.hierarchies:
            if directory.is_relative_to(hierarchy.root):
                return f'/{directory.relative_to(hierarchy.root)}'
        return str(directory)


def _hierarchies(cgroup_path: pathlib.Path) -> Iterable[Hierarchy]:
    mounted = False
    if (cgroup_path / 'unified').is_dir():
        # Hybrid: cpu.stat is there though the controllers are not.
        yield Hierarchy(cgroup_path / 'unified', '')
        mounted = True
    for name in _CPUACCT:
        if (cgroup_path / name).is_dir():
            yield Hierarchy(cgroup_path / name, 'cpuacct')
            mounted = True
            break
    if not mounted:
        yield Hierarchy(cgroup_path, '')


def _directory(root: pathlib.Path, path: str) -> pathlib.Path | None:
    """Where a path of ``/proc/PID/cgroup`` is; None for the root.

    Seen from inside a cgroup namespace it begins with ``/..`` as often as
    that namespace's root is deep, and what it leaves out must be found.
    """
    inside = path.strip('/')
    outside = False
    while inside == '..' or inside.startswith('../'):
        inside, outside = inside[3:], True
    if not inside or '..' in inside.split('/'):
        return None
    if outside and not (root / inside).is_dir():
        for depth in ('*', '*/*', '*/*/*'):
            matches = glob.glob(f'{depth}/{glob.escape(inside)}',
                                root_dir=root)
            if len(matches) == 1:
                return root / matches[0]
        return None
    return root / inside


def _around(pid: int, directory: pathlib.Path,
            roots: set[pathlib.Path]) -> pathlib.Path:
    step = directory
    while step not in roots:
        if _LIBVIRT_SCOPE.match(step.name):
            return step.parent
        step = step.parent
    try:
        pids = (directory / 'cgroup.procs').read_text().split()
    except (OSError, ValueError):
        pids = []
    return directory if set(pids) - {str(pid)} else directory.parent


def cpu_ns(directory: pathlib.Path) -> int | None:
    """CPU time of a cgroup and all below it, ever; None when unreadable."""
    try:
        with open(directory / 'cpu.stat', 'rb') as file:
            for line in file:
                key, _, value = line.partition(b' ')
                if key == b'usage_usec':
                    return kernel.count(value, 1000)
    except (OSError, ValueError):
        pass
    try:
        return kernel.count((directory / 'cpuacct.usage').read_bytes())
    except (OSError, ValueError):
        return None


# --- services ---------------------------------------------------------------

@dataclasses.dataclass(slots=True)
class _Member:
    """A cgroup that belongs to a service, or did.

    :ivar inode: of its directory; another one is another cgroup.
    :ivar ended_ns: what cgroups of the same path had used before it.
    """

    service: str
    inode: int
    cpu_ns: int = 0
    ended_ns: int = 0

    @property
    def total_ns(self) -> int:
        return self.ended_ns + self.cpu_ns


class Services:
    """The CPU time of named sets of cgroups; never falls.

    A cgroup that is gone keeps what it had used.  One inside another of
    these is counted for the inner one's service alone.
    """

    def __init__(self, cgroups: Cgroups, options: Sequence[str]) -> None:
        self._cgroups = cgroups
        self._patterns = [_pattern(option) for option in options]
        self._members: dict[pathlib.Path, _Member] = {}
        self._shown = dict.fromkeys((name for name, _ in self._patterns), 0)

    def read(self) -> dict[str, int]:
        """CPU time by service; 0 for one without a cgroup so far."""
        self._look()
        own_ns = dict.fromkeys(self._shown, 0)
        # What is inside is read before what is around it.
        for directory in sorted(self._members, reverse=True):
            member = self._members[directory]
            _renew(directory, member)
            own_ns[member.service] += member.total_ns
            around = self._around(directory.parent)
            if around is not None:
                own_ns[self._members[around].service] -= member.total_ns
        for name, value in own_ns.items():
            self._shown[name] = max(self._shown[name], value)
        return dict(self._shown)

    def of(self, directories: Iterable[pathlib.Path]) -> str | None:
        """The service that a process in these cgroups runs inside."""
        self._look()
        for directory in directories:
            around = self._around(directory)
            if around is not None:
                return self._members[around].service
        return None

    def _look(self) -> None:
        for name, pattern in self._patterns:
            for directory in self._matches(pattern):
                if directory not in self._members:
                    self._members[directory] = _Member(name, _inode(directory))

    def _around(self, directory: pathlib.Path) -> pathlib.Path | None:
        for step in (directory, *directory.parents):
            if step in self._members:
                return step
        return None

    def _matches(self, pattern: str) -> list[pathlib.Path]:
        for hierarchy in self._cgroups.hierarchies:
            try:
                paths = sorted(hierarchy.root.glob(pattern))
            except OSError as error:
                # A part longer than any name may be.
                LOG.debug('%s cannot be looked for: %s', pattern, error)
                continue
            matches = [path for path in paths if cpu_ns(path) is not None]
            if matches:
                return matches
        return []


def _renew(directory: pathlib.Path, member: _Member) -> None:
    used_ns = cpu_ns(directory)
    if used_ns is None:
        return
    inode = _inode(directory)
    if inode != member.inode or used_ns < member.cpu_ns:
        member.ended_ns += member.cpu_ns
        member.inode = inode
    member.cpu_ns = used_ns


def _inode(directory: pathlib.Path) -> int:
    try:
        return os.stat(directory).st_ino
    except OSError:
        return 0


def _pattern(option: str) -> tuple[str, str]:
    """Name and glob of ``[name=]path``.

    Without a name it is the last part of the path without wildcards and
    without what systemd appends: ``ceph-osd`` of
    ``system.slice/ceph-osd@*.service``.

    :raises errors.ConfigurationError: for a path that is empty or leaves
        the tree.
    """
    name, separator, pattern = option.strip().partition('=')
    if not separator:
        name, pattern = '', name
    pattern = pattern.strip().strip('/')
    name = name.strip()
    if (not pattern or '**' in pattern or '..' in pattern.split('/')
            or not pattern.isprintable()):
        raise errors.ConfigurationError(
            f'[notifier] service_cgroups has {option!r}: give [name=]path '
            'with a printable path under cgroup_path, without .. and **')
    if not name:
        last = _UNIT.sub('', pattern.rsplit('/', 1)[-1])
        name = _GLOB.sub('', last).strip().rstrip('@-_. ') or pattern
    if len(name) > 255 or not name.isprintable():
        raise errors.ConfigurationError(
            f'[notifier] service_cgroups has the name {name[:40]!r}: give '
            'one of at most 255 printable characters')
    return name, pattern
