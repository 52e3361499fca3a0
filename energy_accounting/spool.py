# SPDX-License-Identifier: Apache-2.0
"""The notifier's durable store: windows that wait, and where to go on.

A directory of append-only segment files.  One record is a window's payload
together with the closing baselines, so that a restart continues exactly
where the last record ends.  What a payload or a baseline means is not
known here, and nothing here reads a clock or the configuration.

On disk (little endian)::

    record = "EAr1" | length u32 | crc u32 | sequence u64 | wall_ns u64 | body
    body   = {"sequence": n, "payload": text, "state": {...}} as JSON

``crc`` is CRC-32C over length, sequence, wall_ns and body: a tail of zeros,
as file systems leave after a power loss, is not a record.
"""

from __future__ import annotations

import array
import contextlib
import dataclasses
import fcntl
import json
import logging
import os
import pathlib
import shutil
import struct
import threading
import uuid
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import google_crc32c

from energy_accounting import errors, samples, units

LOG = logging.getLogger(__name__)

META_VERSION = 1
SEGMENT_BYTES = 4 << 20
BATCH_RECORDS = 60
BATCH_BYTES = 1 << 20

_MAGIC = b'EAr1'
_HEADER = struct.Struct('<4sIIQQ')
# A record larger than this is damage, not a window.
_MAX_BODY = 256 << 20
_LOST = -1
# Baselines that no record has closed, and a spool that is being made.
_BASELINE = 'baseline.json'
_DRAFT = '.new'


class Record(NamedTuple):
    """What is sent: a payload and the sequence numbers it stands for."""

    first: int
    last: int
    payload: str


@dataclasses.dataclass(slots=True)
class _Segment:
    """One file; ``offsets[n - first]`` is where record n begins."""

    path: pathlib.Path
    first: int
    offsets: array.array[int]
    size: int = 0
    wall_ns: int = 0

    @property
    def last(self) -> int:
        return self.first + len(self.offsets) - 1


class Spool:
    """The spool of one host, open for one process.

    Safe to use from several threads.  Made by :meth:`open`.
    """

    def __init__(self, path: pathlib.Path, host: str, machine_id: str,
                 key: str, *, fsync: bool, segment_bytes: int, keep_ns: int,
                 max_ns: int) -> None:
        self.path = path
        self._host = host
        self._machine_id = machine_id
        self._key = key
        self._fsync = fsync
        self._segment_bytes = segment_bytes
        self._keep_ns = keep_ns
        self._max_ns = max_ns
        self._mutex = threading.RLock()
        self._listeners: list[Callable[[], None]] = []
        self._lock_fd = -1
        self._fd = -1
        self._must_truncate = False
        self._reset()

    def _reset(self) -> None:
        self._segments: list[_Segment] = []
        self._stream = ''
        self._stream_key = self._key
        self._acknowledged = 0
        self._next = 1
        self._state: dict[str, Any] | None = None

    # --- opening and closing ------------------------------------------------

    @classmethod
    def open(cls, path: str | os.PathLike[str], host: str, machine_id: str,
             key: str, *, fsync: bool = True,
             segment_bytes: int = SEGMENT_BYTES, keep_hours: int = 48,
             max_days: int = 30) -> Spool:
        """Open a spool, or begin one.

        A directory that belongs to another host or machine, or that no
        longer says whose it is, is set aside and a new stream begins.  So
        it is when its records were signed with another key; those that
        were not acknowledged then go into the new stream.

        :param key: the public key that the records are signed with.
        :param keep_hours: how long acknowledged records are kept.
        :param max_days: how long unacknowledged ones are.
        :raises errors.SpoolError: when it is in use by another process or
            cannot be written.
        """
        spool = cls(pathlib.Path(path), host, machine_id, key, fsync=fsync,
                    segment_bytes=segment_bytes,
                    keep_ns=keep_hours * 3600 * units.NS_PER_S,
                    max_ns=max_days * 86400 * units.NS_PER_S)
        try:
            spool._lock()
            spool._load()
            if spool._stream_key != key:
                spool.renew('this host signs with another key now',
                            spool._acknowledged)
        except OSError as error:
            spool.close()
            raise errors.SpoolError(
                f'the spool {path} cannot be used: {error}; state_path must '
                'be a directory this service may write to') from error
        except errors.SpoolError:
            spool.close()
            raise
        return spool

    def close(self) -> None:
        """Let another process use it; nothing is written any more."""
        with self._mutex:
            self._close_segment()
            if self._lock_fd >= 0:
                os.close(self._lock_fd)
                self._lock_fd = -1

    def _lock(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        # Beside the directory, which may be renamed while we hold it.
        lock = self.path.with_name(self.path.name + '.lock')
        self._lock_fd = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC,
                                0o600)
        try:
            fcntl.flock(self._lock_fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise errors.SpoolError(
                f'the spool {self.path} is in use by another process: only '
                'one notifier may run with one state_path') from None

    def _load(self) -> None:
        self._reset()
        draft = self.path.with_name(self.path.name + _DRAFT)
        if self.path.exists():
            shutil.rmtree(draft, ignore_errors=True)
        elif draft.exists():
            # Killed while it was renewed, and the draft is complete: the
            # old one was set aside after that.
            os.rename(draft, self.path)
            self._sync_directory(self.path.parent)
        if self.path.exists():
            self._stream = self._read_meta()
        if not self._stream:
            self._begin()
        self._acknowledged = self._read_acknowledged()
        self._scan()

    def _read_meta(self) -> str:
        """The stream of this directory; '' after setting it aside."""
        meta_path = self.path / 'meta.json'
        if not meta_path.exists() and not any(self.path.glob('*.seg')):
            # Killed while it was begun: there is nothing to keep.
            return ''
        try:
            meta = json.loads(meta_path.read_bytes())
            version, stream = meta['version'], meta['stream']
            owner, key = (meta['host'], meta['machine_id']), meta['key']
            if version != META_VERSION or not isinstance(stream, str):
                raise ValueError(f'version {version!r}')
        except (OSError, ValueError, KeyError, TypeError) as error:
            self._set_aside(f'its meta.json cannot be read ({error})')
            return ''
        if owner != (self._host, self._machine_id):
            self._set_aside(
                f'it belongs to host {owner[0]!r} with machine-id '
                f'{owner[1]!r}, this is {self._host!r} with '
                f'{self._machine_id!r}')
            return ''
        self._stream_key = key
        return stream

    def _begin(self) -> None:
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        stream = str(uuid.uuid4())
        body = samples.to_json({
            'version': META_VERSION, 'stream': stream, 'host': self._host,
            'machine_id': self._machine_id, 'key': self._key})
        self._replace('meta.json', body, durable=True)
        self._sync_directory(self.path.parent)
        self._stream, self._stream_key = stream, self._key
        LOG.info('spool %s: new stream %s', self.path, stream)

    def _set_aside(self, reason: str) -> None:
        for number in range(1, 1 << 20):
            kept = self.path.with_name(f'{self.path.name}.aside-{number}')
            if not kept.exists():
                break
        os.rename(self.path, kept)
        LOG.error('spool %s is set aside as %s: %s; a new stream begins',
                  self.path, kept, reason)

    def _replace(self, name: str, text: str, *, durable: bool) -> None:
        draft = self.path / (name + '.new')
        with open(draft, 'w', encoding='utf-8') as file:
            file.write(text)
            if durable and self._fsync:
                file.flush()
                os.fsync(file.fileno())
        os.replace(draft, self.path / name)
        if durable:
            self._sync_directory(self.path)

    def _sync_directory(self, path: pathlib.Path) -> None:
        if not self._fsync:
            return
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)

    # --- finding what is there ----------------------------------------------

    def _scan(self) -> None:
        paths = sorted(path for path in self.path.glob('*.seg')
                       if path.stem.isdigit())
        for path in paths:
            active = path == paths[-1]
            segment = self._scan_segment(path, active)
            if segment.offsets:
                self._segments.append(segment)
            elif not path.stat().st_size:
                # Made, but nothing was ever appended: made anew.
                path.unlink()
            else:
                os.replace(path, self.path / 'damaged' / path.name)
        newest = self._segments[-1].last if self._segments else 0
        self._next = max(newest, self._acknowledged) + 1
        self._state = self._find_state(newest)

    def _scan_segment(self, path: pathlib.Path, active: bool) -> _Segment:
        """Index one file; cut a torn tail off the active one."""
        data = path.read_bytes()
        segment = _Segment(path, int(path.stem), array.array('q'))
        position, end = 0, 0
        while position < len(data):
            found = _record_at(data, position)
            if found is None or not _follows(segment.last, found[0], data):
                after = _next_record(data, position + 1, segment.last)
                if after < 0:
                    break
                self._keep_damage(path, position, data[position:after])
                position = after
                continue
            sequence, segment.wall_ns, size = found
            while segment.last + 1 < sequence:
                segment.offsets.append(_LOST)
            segment.offsets.append(position)
            position += size
            end = position
        segment.size = end
        if end == len(data):
            return segment
        if active and self._acknowledged <= segment.last:
            # An append that never returned: nobody was told of it.
            LOG.warning('spool %s: %d bytes of an unfinished record cut off '
                        'the end of %s', self.path, len(data) - end,
                        path.name)
            with open(path, 'r+b') as file:
                file.truncate(end)
                if self._fsync:
                    os.fsync(file.fileno())
        else:
            self._keep_damage(path, end, data[end:])
            # Nothing may be appended behind bytes that are no record.
            segment.size = max(len(data), self._segment_bytes)
        return segment

    def _keep_damage(self, path: pathlib.Path, offset: int,
                     data: bytes) -> None:
        kept = self.path / 'damaged' / f'{path.stem}-{offset}'
        LOG.error('spool %s: %d bytes at %d of %s cannot be read; they are '
                  'kept as %s and their windows are reported as lost',
                  self.path, len(data), offset, path.name, kept)
        with contextlib.suppress(OSError):
            kept.parent.mkdir(exist_ok=True)
            if not kept.exists():
                kept.write_bytes(data)

    def _find_state(self, newest: int) -> dict[str, Any] | None:
        """The closing baselines of the newest record, or newer ones.

        When that one was acknowledged but cannot be read, an older one
        would measure booked time again: then there is none.
        """
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            kept = json.loads((self.path / _BASELINE).read_bytes())
            if kept['after'] == self.newest:
                return dict(kept['state'])
        oldest_usable = max(1, self._acknowledged)
        for sequence in range(newest, oldest_usable - 1, -1):
            body = self._body(sequence)
            if body is not None:
                state = body['state']
                return state if isinstance(state, dict) else None
        return None

    # --- what it is ---------------------------------------------------------

    @property
    def stream(self) -> str:
        return self._stream

    @property
    def machine_id(self) -> str:
        return self._machine_id

    @property
    def next_sequence(self) -> int:
        """The number the next record gets."""
        return self._next

    @property
    def newest(self) -> int:
        """The newest record's number; 0 while there is none."""
        return self._next - 1

    @property
    def acknowledged(self) -> int:
        """The last number the collector is known to have; a hint only."""
        return self._acknowledged

    def last_state(self) -> dict[str, Any] | None:
        """The closing baselines to go on from; None: begin anew."""
        return self._state

    # --- writing ------------------------------------------------------------

    @contextlib.contextmanager
    def exclusive(self) -> Iterator[None]:
        """While held, the stream and the next sequence stay the same."""
        with self._mutex:
            yield

    def subscribe(self, listener: Callable[[], None]) -> None:
        """Have a function called after each append."""
        self._listeners.append(listener)

    def append(self, payload: str, state: dict[str, Any],
               wall_ns: int) -> int:
        """Store one record; on disk when this returns.

        :param wall_ns: its age counts from this moment.
        :returns: the record's sequence number.
        :raises errors.SpoolError: nothing of it was stored.
        """
        with self._mutex:
            if self._lock_fd < 0:
                raise errors.SpoolError(f'the spool {self.path} is closed')
            try:
                sequence = self._put(payload, state, wall_ns)
            except OSError as error:
                self._discard_half()
                raise errors.SpoolError(
                    f'the spool {self.path} cannot be written: '
                    f'{error}') from error
        for listener in self._listeners:
            listener()
        return sequence

    def _put(self, payload: str, state: dict[str, Any],
             wall_ns: int) -> int:
        """Write one record behind the others.

        :raises OSError: it may be half written.
        """
        sequence = self._next
        record = _encode(sequence, wall_ns, payload, state)
        segment = self._active_segment(len(record))
        self._write(segment, record)
        segment.offsets.append(segment.size)
        segment.size += len(record)
        segment.wall_ns = wall_ns
        self._next = sequence + 1
        self._state = state
        return sequence

    def keep_baseline(self, state: dict[str, Any]) -> None:
        """Have a restart go on from here as long as no record follows.

        For the first reading of all, which no window has closed yet.

        :raises errors.SpoolError: when it cannot be written.
        """
        with self._mutex:
            try:
                self._replace(_BASELINE, samples.to_json(
                    {'after': self.newest, 'state': state}), durable=True)
            except OSError as error:
                raise errors.SpoolError(
                    f'the spool {self.path} cannot be written: '
                    f'{error}') from error
            self._state = state

    def _active_segment(self, size: int) -> _Segment:
        """The segment to append to, its file open."""
        segment = self._segments[-1] if self._segments else None
        if self._must_truncate:
            self._discard_half()
            if self._must_truncate:
                raise OSError('a half-written record cannot be cut off')
        if (segment is not None and segment.last + 1 == self._next
                and (segment.size + size <= self._segment_bytes
                     or not segment.size)):
            if self._fd < 0:
                self._fd = os.open(segment.path,
                                   os.O_WRONLY | os.O_CLOEXEC)
            return segment
        self._close_segment()
        path = self.path / f'{self._next:020d}.seg'
        self._fd = os.open(
            path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC,
            0o600)
        self._sync_directory(self.path)
        segment = _Segment(path, self._next, array.array('q'))
        self._segments.append(segment)
        return segment

    def _write(self, segment: _Segment, record: bytes) -> None:
        view, position = memoryview(record), segment.size
        self._must_truncate = True
        while view:
            written = os.pwrite(self._fd, view, position)
            view, position = view[written:], position + written
        if self._fsync:
            os.fsync(self._fd)
        self._must_truncate = False

    def _discard_half(self) -> None:
        """Cut off what a failed append left; said again if it fails."""
        if not self._segments or not self._must_truncate:
            return
        segment = self._segments[-1]
        with contextlib.suppress(OSError):
            os.truncate(segment.path, segment.size)
            self._must_truncate = False
        # After a failed fsync the kernel may have dropped the pages: the
        # next append opens the file anew.
        self._close_segment()
        if not segment.offsets and not self._must_truncate:
            self._segments.pop()
            with contextlib.suppress(OSError):
                segment.path.unlink()

    def _close_segment(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    # --- reading ------------------------------------------------------------

    def records(self, from_sequence: int, limit: int = BATCH_RECORDS,
                max_bytes: int = BATCH_BYTES) -> list[Record]:
        """Consecutive records from a number on.

        Numbers that cannot be read any more come as one record of kind
        ``lost`` each row of them.  At least one record comes when there is
        any, whatever its size.
        """
        found: list[Record] = []
        size, sequence = 0, max(1, from_sequence)
        with self._mutex:
            while sequence < self._next and len(found) < limit:
                text = self._payload(sequence)
                last = sequence
                if text is None:
                    last = self._last_lost(sequence)
                    text = samples.payload(samples.Lost(
                        host=self._host, machine_id=self._machine_id,
                        stream=self._stream, sequence=sequence, last=last))
                size += len(text.encode())
                if found and size > max_bytes:
                    break
                found.append(Record(sequence, last, text))
                sequence = last + 1
        return found

    def _last_lost(self, sequence: int) -> int:
        """The end of the row of unreadable numbers that begins here."""
        while (sequence + 1 < self._next
               and self._segment_of(sequence + 1) is None):
            sequence += 1
        return sequence

    def _segment_of(self, sequence: int) -> _Segment | None:
        """The file that should hold a record; None when it is lost."""
        for segment in reversed(self._segments):
            if segment.first <= sequence:
                if (sequence <= segment.last
                        and segment.offsets[sequence - segment.first]
                        != _LOST):
                    return segment
                return None
        return None

    def _payload(self, sequence: int) -> str | None:
        body = self._body(sequence)
        return None if body is None else body['payload']

    def _body(self, sequence: int) -> dict[str, Any] | None:
        """A record's body; None, for good, when it cannot be read."""
        segment = self._segment_of(sequence)
        if segment is None:
            return None
        offset = segment.offsets[sequence - segment.first]
        try:
            with open(segment.path, 'rb') as file:
                file.seek(offset)
                header = file.read(_HEADER.size)
                length = (_HEADER.unpack(header)[1]
                          if len(header) == _HEADER.size else 0)
                data = header + file.read(min(length, _MAX_BODY))
        except OSError as error:
            LOG.error('spool %s: record %d cannot be read: %s', self.path,
                      sequence, error)
            data = b''
        found = _record_at(data, 0)
        if found is not None and found[0] == sequence:
            with contextlib.suppress(ValueError, KeyError, TypeError):
                body = json.loads(data[_HEADER.size:])
                if (body['sequence'] == sequence and 'state' in body
                        and isinstance(body['payload'], str)):
                    return dict(body)
        self._keep_damage(segment.path, offset, data)
        segment.offsets[sequence - segment.first] = _LOST
        return None

    # --- letting go ---------------------------------------------------------

    def acknowledge(self, sequence: int) -> None:
        """Note that the collector has everything up to a number.

        Written without fsync: what the collector expects decides, this
        only saves sending it again.  May go back (a restored database).
        """
        with self._mutex:
            if sequence == self._acknowledged:
                return
            self._acknowledged = sequence
            with contextlib.suppress(OSError):
                self._replace('acknowledged', f'{sequence}\n', durable=False)

    def _read_acknowledged(self) -> int:
        with contextlib.suppress(OSError, ValueError):
            return max(0, int((self.path / 'acknowledged').read_text()))
        return 0

    def purge(self, now_ns: int) -> None:
        """Drop whole segments that nobody will ask for any more.

        :param now_ns: wall clock.
        """
        with self._mutex:
            while len(self._segments) > 1:
                segment = self._segments[0]
                age_ns = now_ns - segment.wall_ns
                acknowledged = segment.last <= self._acknowledged
                if age_ns <= (self._keep_ns if acknowledged
                              else self._max_ns):
                    return
                if not acknowledged:
                    LOG.error(
                        'spool %s: windows %d to %d were never taken by the '
                        'collector and are older than spool_max_days: '
                        'dropped', self.path, segment.first, segment.last)
                try:
                    segment.path.unlink()
                except OSError as error:
                    LOG.error('spool %s: %s cannot be deleted: %s',
                              self.path, segment.path.name, error)
                    return
                self._segments.pop(0)

    def renew(self, reason: str, after: int) -> None:
        """Set everything aside and begin a new stream with the rest.

        For a spool that is older than what the collector has of it: its
        numbers would be used twice.

        :param after: records behind this number go into the new stream,
            numbered anew.
        :raises errors.SpoolError: when it cannot be written; nothing has
            changed then.
        """
        with self._mutex:
            try:
                if self.path.exists():
                    self._draft(after)
                    self._close_segment()
                    self._must_truncate = False
                    self._set_aside(reason)
                self._load()
            except (OSError, errors.SpoolError) as error:
                raise errors.SpoolError(
                    f'the spool {self.path} cannot be renewed: '
                    f'{error}') from error

    def _draft(self, after: int) -> None:
        """Make, on disk, the spool that is to take the place of this one.

        :raises OSError, errors.SpoolError: when it cannot be written.
        """
        path = self.path.with_name(self.path.name + _DRAFT)
        shutil.rmtree(path, ignore_errors=True)
        renewed = Spool(path, self._host, self._machine_id, self._key,
                        fsync=False, segment_bytes=self._segment_bytes,
                        keep_ns=self._keep_ns, max_ns=self._max_ns)
        renewed._begin()
        for sequence in range(after + 1, self._next):
            body, segment = self._body(sequence), self._segment_of(sequence)
            renewed._put(
                _renumbered(None if body is None else body['payload'],
                            renewed),
                {} if body is None else body['state'],
                0 if segment is None else segment.wall_ns)
        renewed._close_segment()
        if self._state is not None:
            renewed.keep_baseline(self._state)
        if self._fsync:
            for file in path.iterdir():
                with open(file, 'rb') as written:
                    os.fsync(written.fileno())
        self._sync_directory(path)
        LOG.warning('spool %s: %d windows that were not sent go into the '
                    'new stream', self.path, renewed.newest)


def _renumbered(payload: str | None, spool: Spool) -> str:
    """A record as the next one of another stream; None: it was lost."""
    if payload is not None:
        try:
            return samples.payload(dataclasses.replace(
                samples.from_payload(payload), stream=spool.stream,
                sequence=spool.next_sequence))
        except errors.InvalidRecord as error:
            LOG.error('spool %s: a record is no window and reported as '
                      'lost: %s', spool.path, error)
    return samples.payload(samples.Lost(
        host=spool._host, machine_id=spool.machine_id, stream=spool.stream,
        sequence=spool.next_sequence, last=spool.next_sequence))


def _encode(sequence: int, wall_ns: int, payload: str,
            state: dict[str, Any]) -> bytes:
    body = samples.to_json({'sequence': sequence, 'payload': payload,
                            'state': state}).encode()
    crc = _crc(len(body), sequence, wall_ns, body)
    return _HEADER.pack(_MAGIC, len(body), crc, sequence, wall_ns) + body


def _crc(length: int, sequence: int, wall_ns: int, body: bytes) -> int:
    head = struct.pack('<IQQ', length, sequence, wall_ns)
    return int(google_crc32c.extend(google_crc32c.value(head), body))


def _record_at(data: bytes, position: int) -> tuple[int, int, int] | None:
    """(sequence, wall_ns, size) of the whole record there, or None."""
    if len(data) - position < _HEADER.size:
        return None
    magic, length, crc, sequence, wall_ns = _HEADER.unpack_from(
        data, position)
    size = _HEADER.size + length
    if (magic != _MAGIC or length > _MAX_BODY
            or len(data) - position < size):
        return None
    body = data[position + _HEADER.size:position + size]
    if _crc(length, sequence, wall_ns, body) != crc:
        return None
    return sequence, wall_ns, size


def _next_record(data: bytes, position: int, after: int) -> int:
    """Where the next whole record with a higher number begins, or -1."""
    while True:
        position = data.find(_MAGIC, position)
        if position < 0:
            return -1
        found = _record_at(data, position)
        if found is not None and _follows(after, found[0], data):
            return position
        position += 1


def _follows(last: int, sequence: int, data: bytes) -> bool:
    """Whether a number may come after another one in the same file."""
    return last < sequence <= last + len(data)
