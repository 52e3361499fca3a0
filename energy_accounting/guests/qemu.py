# SPDX-License-Identifier: Apache-2.0
"""What a QEMU command line says about its guest.

Pure text; where command lines come from is not known here.
"""

from __future__ import annotations

import itertools
import math
import re
import uuid
from collections.abc import Sequence
from typing import NamedTuple

# QEMU's own defaults (qemu(1), -smp and -m).
_DEFAULT_VCPUS = 1
_DEFAULT_MIB = 128
# More than any machine has or will be given: such a number is a slip, and
# in a record it would cost all guests of the host their window.
MOST_VCPUS = 1 << 13
MOST_MIB = 1 << 27
_TOPOLOGY = ('drawers', 'books', 'sockets', 'dies', 'clusters', 'modules',
             'cores', 'threads')
_SIZE = re.compile(r'([0-9]{1,18})(?:\.([0-9]{1,18}))?([bkmgtpe]?)\Z')
_BYTES = {'b': 1, 'k': 1 << 10, 'm': 1 << 20, 'g': 1 << 30, 't': 1 << 40,
          'p': 1 << 50, 'e': 1 << 60}


class Machine(NamedTuple):
    """Which guest, and what it reserves."""

    instance_id: str
    vcpus: int
    memory_mib: int


def machine(argv: Sequence[str]) -> Machine | None:
    """The guest of a command line; None when it is not a QEMU's.

    A guest has a pair ``-uuid UUID`` and a ``-name`` with ``guest=`` (or
    ``name=``), whatever the program is called.
    """
    options: dict[str, dict[str, str]] = {}
    instance_id = None
    for option, value in itertools.pairwise(argv):
        if option == '-uuid':
            try:
                instance_id = str(uuid.UUID(value))
            except ValueError:
                return None
        elif option in ('-name', '-smp', '-m'):
            # A repeated option adds to the one before.
            options.setdefault(option, {}).update(_fields(value))
    if instance_id is None or not {'guest', 'name'} & set(
            options.get('-name', ())):
        return None
    return Machine(instance_id, _vcpus(options.get('-smp', {})),
                   _memory_mib(options.get('-m', {})))


def _fields(value: str) -> dict[str, str]:
    """``first,key=value,...``; the first may go without a key."""
    fields = {}
    for number, item in enumerate(value.split(',')):
        key, separator, text = item.partition('=')
        if separator:
            fields[key] = text
        elif number == 0:
            fields[''] = key
    return fields


def _vcpus(fields: dict[str, str]) -> int:
    """As hw/core/machine-smp.c: cpus, else maxcpus, else the topology."""
    for key in ('', 'cpus', 'maxcpus'):
        if _count(fields.get(key)):
            return _count(fields.get(key))
    counts = [_count(fields.get(key)) or 1 for key in _TOPOLOGY]
    vcpus = math.prod(counts)
    return vcpus if vcpus <= MOST_VCPUS else _DEFAULT_VCPUS


def _count(text: str | None) -> int:
    if not (text and text.isascii() and text.isdigit() and len(text) < 10):
        return 0
    return int(text) if int(text) <= MOST_VCPUS else 0


def _memory_mib(fields: dict[str, str]) -> int:
    """MiB of ``2048``, ``2G``, ``1.5g``, ``size=2097152k``."""
    match = _SIZE.match(fields.get('size', fields.get('', '')).lower())
    if not match:
        return _DEFAULT_MIB
    scale = _BYTES[match[3] or 'm']
    found = (int(match[1]) * scale
             + int(match[2] or 0) * scale // 10 ** len(match[2] or '')) >> 20
    return found if found <= MOST_MIB else _DEFAULT_MIB
