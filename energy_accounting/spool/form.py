# SPDX-License-Identifier: Apache-2.0
"""The bytes of a record and of the small files; no file is opened here.

A record on disk (little endian)::

    record = "EAr1" | length u32 | crc u32 | sequence u64 | wall_ns u64 | body
    body   = {"sequence": n, "payload": text, "state": {...}} as JSON

``crc`` is CRC-32C over length, sequence, wall_ns and body: a tail of zeros,
as file systems leave after a power loss, is not a record.  A small file is
a JSON object whose ``crc`` is that of the rest of it.
"""

from __future__ import annotations

import json
import struct
from typing import Any, NamedTuple

import google_crc32c

from energy_accounting import errors, wire

MAGIC = b'EAr1'
HEADER = struct.Struct('<4sIIQQ')
# A record larger than this is damage, not a window.
MAX_BODY = 256 << 20
# Numbers end where SQL's BIGINT does.
MAX_SEQUENCE = (1 << 63) - 1


class Found(NamedTuple):
    """A whole record in some bytes."""

    sequence: int
    wall_ns: int
    size: int
    crc: int


class Body(NamedTuple):
    """What a record holds."""

    payload: str
    state: dict[str, Any] | None


def encode(sequence: int, wall_ns: int, payload: str,
           state: dict[str, Any]) -> bytes:
    body = wire.to_json({'sequence': sequence, 'payload': payload,
                            'state': state}).encode()
    crc = _crc(len(body), sequence, wall_ns, body)
    return HEADER.pack(MAGIC, len(body), crc, sequence, wall_ns) + body


def decode(data: bytes, sequence: int) -> Body | None:
    """What these bytes hold, if they are the record of that number."""
    found = record_at(data, 0)
    if found is None or found.sequence != sequence:
        return None
    try:
        body = json.loads(data[HEADER.size:found.size])
        state = body['state']
        if (body['sequence'] == sequence and isinstance(body['payload'], str)
                and (state is None or isinstance(state, dict))):
            return Body(body['payload'], state)
    except (ValueError, KeyError, TypeError, RecursionError):
        pass
    return None


def record_at(data: bytes, position: int) -> Found | None:
    """The whole record that begins there."""
    if len(data) - position < HEADER.size:
        return None
    magic, length, crc, sequence, wall_ns = HEADER.unpack_from(data, position)
    size = HEADER.size + length
    if (magic != MAGIC or length > MAX_BODY or len(data) - position < size
            or not 0 < sequence < MAX_SEQUENCE):
        return None
    body = data[position + HEADER.size:position + size]
    if _crc(length, sequence, wall_ns, body) != crc:
        return None
    return Found(sequence, wall_ns, size, crc)


def is_torn(data: bytes) -> bool:
    """Whether these bytes may be the beginning of a record, and no more."""
    if not data.strip(b'\0'):
        return True
    if len(data) < HEADER.size:
        return MAGIC.startswith(data[:len(MAGIC)])
    magic, length, *_ = HEADER.unpack_from(data)
    return bool(magic == MAGIC and HEADER.size + length > len(data))


def next_record(data: bytes, position: int, after: int) -> int:
    """Where the next whole record with a higher number begins, or -1."""
    while True:
        position = data.find(MAGIC, position)
        if position < 0:
            return -1
        found = record_at(data, position)
        if found is not None and follows(after, found.sequence, len(data)):
            return position
        position += 1


def follows(last: int, sequence: int, size: int) -> bool:
    """Whether a number may come after another in a file of that size."""
    return last < sequence <= last + size


def wall_ns(header: bytes) -> int:
    """When the record of this header was written.

    :raises ValueError: when it is no header.
    """
    if len(header) != HEADER.size or header[:4] != MAGIC:
        raise ValueError('no header')
    return int(HEADER.unpack(header)[4])


def stream_of(payload: str, host: str, machine_id: str) -> str | None:
    """The stream of a record; None when it is another host's or none."""
    try:
        record = wire.from_payload(payload)
    except errors.InvalidRecord:
        return None
    owner = record.host, record.machine_id
    return record.stream if owner == (host, machine_id) else None


def _crc(length: int, sequence: int, wall_ns: int, body: bytes) -> int:
    head = struct.pack('<IQQ', length, sequence, wall_ns)
    return int(google_crc32c.extend(google_crc32c.value(head), body))


# --- small files ------------------------------------------------------------

def seal(body: dict[str, Any]) -> str:
    """A small file's text."""
    return wire.to_json({**body, 'crc': _sum(body)})


def unseal(text: bytes) -> dict[str, Any]:
    """What :func:`seal` was given.

    :raises ValueError: when the text is anything else.
    """
    try:
        body = json.loads(text)
        crc = body.pop('crc')
        if crc != _sum(body):
            raise ValueError('it is damaged')
    except (KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(f'it is no such file: {error!r}') from error
    return dict(body)


def _sum(body: dict[str, Any]) -> int:
    # surrogatepass: JSON can spell what UTF-8 cannot.
    return int(google_crc32c.value(
        wire.to_json(body).encode('utf-8', 'surrogatepass')))
