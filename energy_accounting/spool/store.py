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

from energy_accounting import errors, samples, units, wire
from energy_accounting.spool import bounds, form, renewal, segments

LOG = logging.getLogger(__name__)

META_VERSION = 1
BATCH_RECORDS = 60
BATCH_BYTES = 1 << 20
MAX_BYTES = 2 << 30

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
                 key: str, *, fsync: bool, segment_bytes: int,
                 limits: bounds.Limits) -> None:
        self.path = path
        self._host = host
        self._machine_id = machine_id
        self._key = key
        self._fsync = fsync
        self._segment_bytes = segment_bytes
        self._limits = limits
        self._alarm = bounds.Alarm()
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
             keep_hours: int = 48, max_days: int = 30,
             max_bytes: int = MAX_BYTES) -> Spool:
        """Open a spool, or begin one.

        A directory that belongs to another host or machine, or that no
        longer says whose it is, is set aside and a new stream begins.  So
        it is when its records were signed with another key; those that
        were not acknowledged then go into the new stream.

        :param key: the public key that the records are signed with.
        :param keep_hours: how long acknowledged records are kept.
        :param max_days: how long unacknowledged ones are.
        :param max_bytes: of all files; the oldest records go first.
        :raises errors.SpoolError: when it is in use by another process or
            cannot be written.
        """
        spool = cls(pathlib.Path(path), host, machine_id, key, fsync=fsync,
                    segment_bytes=max(1, min(segment_bytes,
                                             max_bytes // 16)),
                    limits=bounds.Limits(keep_hours * 3600 * units.NS_PER_S,
                                         max_days * bounds.DAY_NS,
                                         max_bytes))
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

    def _ready(self) -> None:
        """Load what a renewal that failed half-way has left.

        :raises errors.SpoolError: when it cannot be had.
        """
        if self._stream or self._lock_fd < 0:
            return
        try:
            self._load()
        except OSError as error:
            raise errors.SpoolError(
                f'the spool {self.path} cannot be used: {error}') from error

    def _load(self) -> None:
        try:
            self._find()
        except BaseException:
            # Half of it would give numbers away that others have.
            self._reset()
            raise

    def _find(self) -> None:
        self._reset()
        draft = self._draft_path
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
            return self._recovered(f'its {_META} cannot be read ({error})')
        if owner != (self._host, self._machine_id):
            self._set_aside(
                f'it belongs to host {owner[0]!r} with machine-id '
                f'{owner[1]!r}, this is {self._host!r} with '
                f'{self._machine_id!r}')
            return ''
        self._stream_key = key
        return str(stream)

    def _recovered(self, reason: str) -> str:
        """The stream that the records themselves say they are of.

        '' after setting the directory aside: they are another host's, or
        none can be read.
        """
        stream = self._segments.claims(self._host, self._machine_id)
        if stream is None:
            self._set_aside(reason)
            return ''
        LOG.error('spool %s: %s; its records are of this host and go on as '
                  'stream %s', self.path, reason, stream)
        meta = self.path / _META
        if meta.is_dir():
            os.rename(meta, self.path / f'{_META}.aside')
        self._write_meta(stream)
        return stream

    def _begin(self) -> None:
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        stream = str(uuid.uuid4())
        self._write_meta(stream)
        self._segments.sync_directory(self.path.parent)
        self._stream, self._stream_key = stream, self._key
        LOG.info('spool %s: new stream %s', self.path, stream)

    def _write_meta(self, stream: str) -> None:
        self._replace(_META, form.seal({
            'version': META_VERSION, 'stream': stream, 'host': self._host,
            'machine_id': self._machine_id, 'key': self._key}), durable=True)

    def _set_aside(self, reason: str) -> pathlib.Path:
        for number in range(1, 1 << 20):
            kept = self.path.with_name(f'{self.path.name}.aside-{number}')
            if not kept.exists():
                break
        os.rename(self.path, kept)
        LOG.error('spool %s is set aside as %s: %s; a new stream begins',
                  self.path, kept, reason)
        return kept

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
        """While held, the stream and the next sequence stay the same.

        :raises errors.SpoolError: there is no stream to write to.
        """
        with self._mutex:
            self._ready()
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
            if wire.size(payload) > wire.MAX_BYTES:
                raise errors.SpoolError(
                    f'a record of {wire.size(payload)} bytes is refused: a '
                    f'collector takes {wire.MAX_BYTES} at most')
            self._ready()
            try:
                sequence = self._put_with_room(payload, state, wall_ns)
            except OSError as error:
                raise errors.SpoolError(
                    f'the spool {self.path} cannot be written: '
                    f'{error}') from error
        for listener in self._listeners:
            listener()
        return sequence

    def _put_with_room(self, payload: str, state: dict[str, Any],
                       wall_ns: int) -> int:
        """Write one record; on a full disk at the cost of acknowledged ones.

        Those are kept for a database that is restored, which is a smaller
        evil than a window that cannot be stored.

        :raises OSError: nothing of it was stored.
        """
        while True:
            try:
                return self._put(payload, state, wall_ns)
            except OSError as error:
                if (error.errno not in (errno.ENOSPC, errno.EDQUOT)
                        or len(self._segments) < 2
                        or self._segments.oldest.last > self._acknowledged
                        or not self._segments.drop_oldest()):
                    raise
                LOG.warning('spool %s: the disk is full; acknowledged '
                            'windows are dropped before their time',
                            self.path)

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
            self._ready()
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
            with contextlib.suppress(errors.SpoolError):
                self._ready()
            while sequence < self._next and len(found) < limit:
                body = self._segments.read(sequence)
                if body is None:
                    last = self._last_lost(sequence)
                    text = wire.payload(self._lost(sequence, last))
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
        """Drop whole segments: those nobody will ask for, or for want of room.

        What was never acknowledged is dropped last and then reported to the
        collector as lost.  Says before it comes to that how full it is.
        Their age is the time in which windows were written after them: a
        clock that is set makes none of them older.

        :param now_ns: wall clock.
        """
        with self._mutex:
            self._drop_old(now_ns)
            self._drop_for_room()
            self._judge(now_ns)

    def _drop_old(self, now_ns: int) -> None:
        while len(self._segments) > 1:
            segment = self._segments.oldest
            acknowledged = segment.last <= self._acknowledged
            age_ns = self._segments.age_ns(segment.last, now_ns) or 0
            if age_ns <= (self._limits.keep_ns if acknowledged
                          else self._limits.max_ns):
                return
            if not self._drop('are older than spool_max_days'):
                return

    def _drop_for_room(self) -> None:
        leftovers = self._leftovers()
        sizes = [_size_of(path) for path in leftovers]
        over = self._segments.size + sum(sizes) - self._limits.max_bytes
        for path, size in zip(leftovers, sizes, strict=True):
            if over <= 0:
                return
            LOG.warning('spool %s takes more than spool_max_mib: %s, which '
                        'was set aside, is deleted', self.path, path)
            _delete(path)
            over -= size
        while over > 0 and len(self._segments) > 1:
            over -= self._segments.oldest.size
            if not self._drop('take more room than spool_max_mib'):
                return

    def _drop(self, reason: str) -> bool:
        """Delete the oldest segment; say so if the collector lacks it."""
        segment = self._segments.oldest
        if not self._segments.drop_oldest():
            return False
        if segment.last > self._acknowledged:
            LOG.error(
                'spool %s: windows %d to %d were never taken by the '
                'collector and %s: dropped, and reported to it as lost',
                self.path, max(segment.first, self._acknowledged + 1),
                segment.last, reason)
        return True

    def _leftovers(self) -> list[pathlib.Path]:
        """What was set aside, the least missed first."""
        aside = []
        with contextlib.suppress(OSError):
            aside = sorted(
                self.path.parent.glob(f'{self.path.name}.aside-*'),
                key=lambda path: path.stat().st_mtime_ns)
        return [*aside, *self._segments.leftovers()]

    def _judge(self, now_ns: int) -> None:
        waiting_from = self._acknowledged + 1
        oldest_ns = self._segments.age_ns(waiting_from, now_ns)
        free_bytes = None
        with contextlib.suppress(OSError):
            disk = os.statvfs(self.path)
            free_bytes = disk.f_bavail * disk.f_frsize
        alarm = bounds.judge(bounds.Fill(
            waiting=max(0, self.newest - self._acknowledged),
            oldest_ns=oldest_ns or 0,
            waiting_bytes=self._segments.size_from(waiting_from),
            total_bytes=self._segments.size, free_bytes=free_bytes),
            self._limits)
        if alarm.level != self._alarm.level:
            if alarm.level == bounds.FINE:
                LOG.info('spool %s: there is room again', self.path)
            else:
                LOG.log(logging.ERROR if alarm.level == bounds.URGENT
                        else logging.WARNING,
                        'spool %s: %s; see that the collector is reached, '
                        'or raise [notifier] spool_max_days and '
                        'spool_max_mib', self.path, alarm.text)
        self._alarm = alarm

    @property
    def alarm(self) -> str:
        """What an operator should know of its room; '' when all is well."""
        return self._alarm.text

    def renew(self, reason: str, after: int) -> None:
        """Set everything aside and begin a new stream with the rest.

        For a spool that is older than what the collector has of it: its
        numbers would be used twice.

        :param after: records behind this number go into the new stream,
            numbered anew.
        :raises errors.SpoolError: when it cannot be written; nothing has
            changed then, or it is as a whole when it can be read again.
        """
        with self._mutex:
            try:
                self._ready()
                if self.path.exists():
                    self._draft(after)
                    self._segments.close()
                    self._exchange(reason)
                self._load()
            except (OSError, errors.SpoolError) as error:
                raise errors.SpoolError(
                    f'the spool {self.path} cannot be renewed: '
                    f'{error}') from error

    def _exchange(self, reason: str) -> None:
        """Put the draft in this one's place, which is set aside.

        :raises OSError: when it cannot be done; nothing has changed then,
            or it is done as soon as it can be.
        """
        kept = self._set_aside(reason)
        try:
            os.rename(self._draft_path, self.path)
        except OSError:
            try:
                os.rename(kept, self.path)
            except OSError:
                # The draft is whole, and taken when that works again.
                self._reset()
                raise
            LOG.error('spool %s: it cannot be renewed now and is back in '
                      'its place', self.path)
            raise
        self._segments.sync_directory(self.path.parent)

    @property
    def _draft_path(self) -> pathlib.Path:
        return self.path.with_name(self.path.name + _DRAFT)

    def _draft(self, after: int) -> None:
        """Make, on disk, the spool that is to take the place of this one.

        :raises OSError, errors.SpoolError: when it cannot be written.
        """
        path = self._draft_path
        shutil.rmtree(path, ignore_errors=True)
        renewed = Spool(path, self._host, self._machine_id, self._key,
                        fsync=False, segment_bytes=self._segment_bytes,
                        limits=self._limits)
        renewed._begin()
        wall_ns = self._segments.newest_ns
        for sequence in range(after + 1, self._next):
            body = self._segments.read(sequence)
            # One that is lost stands at the time of its neighbour.
            wall_ns = self._segments.wall_ns(sequence) or wall_ns
            renewed._put(
                renewal.renumbered(
                    None if body is None else body.payload,
                    renewed._lost(renewed._next, renewed._next)),
                {} if body is None else body.state or {},
                wall_ns)
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


def _size_of(path: pathlib.Path) -> int:
    """Bytes of a file, or of all files of a directory; 0 when it is gone."""
    try:
        if not path.is_dir():
            return path.stat().st_size
        return sum(file.stat().st_size for file in path.rglob('*')
                   if file.is_file())
    except OSError:
        return 0


def _delete(path: pathlib.Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with contextlib.suppress(OSError):
            path.unlink()
