# SPDX-License-Identifier: Apache-2.0
"""A spool: whose records it holds, what is acknowledged, where to go on.

The files of records are the business of ``segments``.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import logging
import os
import pathlib
import shutil
import threading
import uuid
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from energy_accounting import errors, samples, units
from energy_accounting.spool import form, renewal, segments

LOG = logging.getLogger(__name__)

META_VERSION = 1
BATCH_RECORDS = 60
BATCH_BYTES = 1 << 20

_META = 'meta.json'
_ACKNOWLEDGED = 'acknowledged'
# Baselines that no record has closed, and a spool that is being made.
_BASELINE = 'baseline.json'
_DRAFT = '.new'


class Record(NamedTuple):
    """What is sent: a payload and the sequence numbers it stands for."""

    first: int
    last: int
    payload: str


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
        self._reset()

    def _reset(self) -> None:
        self._segments = segments.Segments(
            self.path, fsync=self._fsync, segment_bytes=self._segment_bytes)
        self._stream = ''
        self._stream_key = self._key
        self._acknowledged = 0
        self._next = 1
        self._state: dict[str, Any] | None = None

    # --- opening and closing ------------------------------------------------

    @classmethod
    def open(cls, path: str | os.PathLike[str], host: str, machine_id: str,
             key: str, *, fsync: bool = True,
             segment_bytes: int = segments.SEGMENT_BYTES,
             keep_hours: int = 48, max_days: int = 30) -> Spool:
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
        except BaseException:
            spool.close()
            raise
        return spool

    def close(self) -> None:
        """Let another process use it; nothing is written any more."""
        with self._mutex:
            self._segments.close()
            if self._lock_fd >= 0:
                os.close(self._lock_fd)
                self._lock_fd = -1

    def _lock(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        # Beside the directory, which may be renamed while we hold it.
        lock = self.path.with_name(self.path.name + '.lock')
        try:
            self._lock_fd = os.open(
                lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            # What waits on a disk that became read-only can still be sent.
            if error.errno != errno.EROFS:
                raise
            self._lock_fd = os.open(lock, os.O_RDONLY | os.O_CLOEXEC)
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
            self._segments.sync_directory(self.path.parent)
        if self.path.exists():
            self._stream = self._read_meta()
        if not self._stream:
            self._begin()
        self._acknowledged = self._read_acknowledged()
        self._segments.scan(self._acknowledged)
        newest = self._segments.newest
        self._next = max(newest, self._acknowledged) + 1
        self._state = self._find_state(newest)

    def _read_meta(self) -> str:
        """The stream of this directory; '' after setting it aside."""
        meta_path = self.path / _META
        if not meta_path.exists() and not any(self.path.glob('*.seg')):
            # Killed while it was begun: there is nothing to keep.
            return ''
        try:
            meta = form.unseal(meta_path.read_bytes())
            version, stream = meta['version'], meta['stream']
            owner, key = (meta['host'], meta['machine_id']), meta['key']
            if version != META_VERSION or not stream:
                raise ValueError(f'version {version!r}')
        except (OSError, ValueError, KeyError) as error:
            self._set_aside(f'its {_META} cannot be read ({error})')
            return ''
        if owner != (self._host, self._machine_id):
            self._set_aside(
                f'it belongs to host {owner[0]!r} with machine-id '
                f'{owner[1]!r}, this is {self._host!r} with '
                f'{self._machine_id!r}')
            return ''
        self._stream_key = key
        return str(stream)

    def _begin(self) -> None:
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        stream = str(uuid.uuid4())
        self._replace(_META, form.seal({
            'version': META_VERSION, 'stream': stream, 'host': self._host,
            'machine_id': self._machine_id, 'key': self._key}), durable=True)
        self._segments.sync_directory(self.path.parent)
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
            self._segments.sync_directory(self.path)

    def _find_state(self, newest: int) -> dict[str, Any] | None:
        """The closing baselines of the newest record, or newer ones.

        When that one was acknowledged but cannot be read, an older one
        would measure booked time again: then there is none.
        """
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            kept = form.unseal((self.path / _BASELINE).read_bytes())
            if (kept['after'], kept['record']) == (
                    self.newest, self._segments.crc(self.newest)):
                return dict(kept['state'])
        for sequence in range(newest, max(1, self._acknowledged) - 1, -1):
            body = self._segments.read(sequence)
            if body is not None:
                return body.state
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
                raise errors.SpoolError(
                    f'the spool {self.path} cannot be written: '
                    f'{error}') from error
        for listener in self._listeners:
            listener()
        return sequence

    def _put(self, payload: str, state: dict[str, Any],
             wall_ns: int) -> int:
        """Write one record behind the others.

        :raises OSError: nothing of it was stored.
        """
        sequence = self._next
        self._segments.append(
            sequence, form.encode(sequence, wall_ns, payload, state), wall_ns)
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
                self._replace(_BASELINE, form.seal({
                    'after': self.newest, 'state': state,
                    'record': self._segments.crc(self.newest)}),
                    durable=True)
            except OSError as error:
                raise errors.SpoolError(
                    f'the spool {self.path} cannot be written: '
                    f'{error}') from error
            self._state = state

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
                body = self._segments.read(sequence)
                if body is None:
                    last = self._last_lost(sequence)
                    text = samples.payload(self._lost(sequence, last))
                else:
                    last, text = sequence, body.payload
                size += len(text.encode())
                if found and size > max_bytes:
                    break
                found.append(Record(sequence, last, text))
                sequence = last + 1
        return found

    def _last_lost(self, sequence: int) -> int:
        """The end of the row of unreadable numbers that begins here."""
        while (sequence + 1 < self._next
               and self._segments.of(sequence + 1) is None):
            sequence += 1
        return sequence

    def _lost(self, first: int, last: int) -> samples.Lost:
        return samples.Lost(
            host=self._host, machine_id=self._machine_id,
            stream=self._stream, sequence=first, last=last)

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
                self._replace(_ACKNOWLEDGED, form.seal({
                    'stream': self._stream, 'sequence': sequence}),
                    durable=False)

    def _read_acknowledged(self) -> int:
        """The number; 0 when it cannot be had: all is offered again."""
        with contextlib.suppress(OSError, ValueError, KeyError):
            kept = form.unseal((self.path / _ACKNOWLEDGED).read_bytes())
            sequence = kept['sequence']
            if (kept['stream'] == self._stream and type(sequence) is int
                    and 0 < sequence < form.MAX_SEQUENCE):
                return sequence
        return 0

    def purge(self, now_ns: int) -> None:
        """Drop whole segments that nobody will ask for any more.

        :param now_ns: wall clock.
        """
        with self._mutex:
            while len(self._segments) > 1:
                segment = self._segments.oldest
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
                if not self._segments.drop_oldest():
                    return

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
                    self._segments.close()
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
            body = self._segments.read(sequence)
            segment = self._segments.of(sequence)
            renewed._put(
                renewal.renumbered(
                    None if body is None else body.payload,
                    renewed._lost(renewed._next, renewed._next)),
                {} if body is None else body.state or {},
                0 if segment is None else segment.wall_ns)
        renewed._segments.close()
        if self._state is not None:
            renewed.keep_baseline(self._state)
        if self._fsync:
            for file in path.iterdir():
                with open(file, 'rb') as written:
                    os.fsync(written.fileno())
        self._segments.sync_directory(path)
        LOG.warning('spool %s: %d windows that were not sent go into the '
                    'new stream', self.path, renewed.newest)
