# SPDX-License-Identifier: Apache-2.0
"""Guests that keep a virtual CPU busy a known part of the time.

A boot sector is all their software; QEMU translates it (no KVM), so they
run on any machine.  Only making and watching them belongs here.
"""

from __future__ import annotations

import dataclasses
import functools
import pathlib
import time
import uuid

from tests import servers

# The BIOS counts its 18.2 ticks a second at this address of segment 0.
_TICKS = 0x046c
PERIOD = 18
VCPUS = 1
MEMORY_MIB = 32
FLAVOR = 'm1.tiny'


def boot_sector(percent: int) -> bytes:
    """512 bytes that compute that part of each second and halt the rest.

    16-bit real mode: a cycle notes the tick in BX, loops until so many
    ticks are over, halts until the period is over and begins again.
    """
    busy = PERIOD * percent // 100
    if busy == PERIOD:
        code = bytes([0xfa,                      # cli
                      0xeb, 0xfe])               # jmp to itself
    else:
        address = _TICKS.to_bytes(2, 'little')
        since = (b'\xa1' + address               # mov ax, [ticks]
                 + b'\x29\xd8')                  # sub ax, bx

        def until(ticks: int, first: bytes) -> bytes:
            body = (first + since
                    + b'\x3d' + ticks.to_bytes(2, 'little'))  # cmp ax, ticks
            return body + b'\x72' + bytes([256 - len(body) - 2])  # jb body

        begin = b'\x31\xc0\x8e\xd8\xfb'          # xor ax, ax; mov ds, ax; sti
        cycle = (b'\x8b\x1e' + address           # mov bx, [ticks]
                 + (until(busy, b'') if busy else b'')
                 + until(PERIOD, b'\xf4'))       # hlt
        code = begin + cycle + b'\xeb' + bytes([256 - len(cycle) - 2])
    return code.ljust(510, b'\0') + b'\x55\xaa'


@dataclasses.dataclass(frozen=True)
class Guest:
    """A domain as Nova defines it."""

    name: str
    percent: int
    project_id: str
    project_name: str
    instance_id: str = dataclasses.field(
        default_factory=lambda: str(uuid.uuid4()))

    def image(self, where: pathlib.Path) -> pathlib.Path:
        path = where / f'{self.instance_id}.img'
        path.write_bytes(boot_sector(self.percent).ljust(1 << 20, b'\0'))
        return path

    def domain(self, image: pathlib.Path) -> str:
        """The domain's XML with Nova's metadata in it."""
        return f"""
<domain type='qemu'>
  <name>instance-{self.instance_id[:8]}</name>
  <uuid>{self.instance_id}</uuid>
  <metadata>
    <nova:instance
        xmlns:nova='http://openstack.org/xmlns/libvirt/nova/1.1'>
      <nova:package version='34.0.0'/>
      <nova:name>{self.name}</nova:name>
      <nova:creationTime>2026-11-01 00:00:00</nova:creationTime>
      <nova:flavor name='{FLAVOR}'>
        <nova:memory>{MEMORY_MIB}</nova:memory>
        <nova:disk>1</nova:disk>
        <nova:swap>0</nova:swap>
        <nova:ephemeral>0</nova:ephemeral>
        <nova:vcpus>{VCPUS}</nova:vcpus>
      </nova:flavor>
      <nova:owner>
        <nova:user uuid='{uuid.UUID(int=1).hex}'>somebody</nova:user>
        <nova:project uuid='{self.project_id}'>{self.project_name}\
</nova:project>
      </nova:owner>
    </nova:instance>
  </metadata>
  <memory unit='MiB'>{MEMORY_MIB}</memory>
  <vcpu>{VCPUS}</vcpu>
  <os><type arch='x86_64' machine='pc'>hvm</type><boot dev='hd'/></os>
  <features><acpi/><apic/></features>
  <devices>
    <emulator>{servers.program('qemu-system-x86_64')}</emulator>
    <disk type='file' device='disk'>
      <driver name='qemu' type='raw'/>
      <source file='{image}'/><target dev='hda' bus='ide'/>
    </disk>
    <memballoon model='none'/>
  </devices>
</domain>
"""

    @functools.cached_property
    def pid(self) -> int:
        """The process of this guest, once it runs."""
        for path in pathlib.Path('/proc').glob('[0-9]*/cmdline'):
            try:
                words = path.read_bytes().split(b'\0')
            except OSError:
                continue
            if (self.instance_id.encode() in words
                    and b'qemu' in words[0]):
                return int(path.parent.name)
        raise LookupError(f'{self.name} does not run')

    def cpu_ns(self) -> int:
        """CPU time that all threads of the guest have used.

        Of the threads' own exact clocks; QEMU's disk threads that ended
        are not in it, which is far below a millisecond here.
        """
        total = 0
        for path in pathlib.Path(f'/proc/{self.pid}/task').iterdir():
            total += int((path / 'schedstat').read_text().split()[0])
        return total

    def await_load(self) -> None:
        """Wait until the boot sector runs: its load is what it should be.

        :raises TimeoutError: when it does not in a minute.
        """
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            before, begun = self.cpu_ns(), time.monotonic_ns()
            time.sleep(2)
            used = (self.cpu_ns() - before) / (time.monotonic_ns() - begun)
            if self.percent == 0 and used < 0.1:
                return
            # Others may want the processors, too.
            if used > 0.1 * self.percent / 100 > 0:
                return
        raise TimeoutError(f'{self.name} does not compute {self.percent} %')
