# SPDX-License-Identifier: Apache-2.0
"""The segment files of a spool: finding, reading, appending, letting go.

A file is named after the number of its first record.  What cannot be read
is kept in ``damaged`` and its numbers are lost; all else stays readable.
Streams, acknowledgements and how old a record may grow are not known here.
"""

from __future__ import annotations

import array
import contextlib
import dataclasses
import logging
import os
import pathlib
import re
from collections.abc import Iterator

from energy_accounting.spool import bounds, form

LOG = logging.getLogger(__name__)

SEGMENT_BYTES = 4 << 20

_NAME = re.compile(r'[0-9]{20}\.seg\Z')
_LOST = -1
_DAMAGED = 'damaged'


@dataclasses.dataclass(slots=True)
class Segment:
    """One file; ``offsets[n - first]`` is where record n begins.

    :ivar ages: likewise, how much time passed up to that record since the
        spool was opened at its first one; of a lost one, up to the next.
    """

    path: pathlib.Path
    first: int
    offsets: array.array[int]
    ages: array.array[int] = dataclasses.field(
        default_factory=lambda: array.array('q'))
    size: int = 0

    @property
    def last(self) -> int:
        return self.first + len(self.offsets) - 1


class Segments:
    """The files of one directory, open for one process."""

    def __init__(self, path: pathlib.Path, *, fsync: bool,
                 segment_bytes: int) -> None:
        self.path = path
        self._fsync = fsync
        self._segment_bytes = segment_bytes
        self._files: list[Segment] = []
        self._fd = -1
        self._must_truncate = False
        # The newest record's: the wall clock, and the time up to it.
        self.newest_ns = 0
        self._age_ns = 0

    def __iter__(self) -> Iterator[Segment]:
        return iter(self._files)

    def __len__(self) -> int:
        return len(self._files)

    @property
    def newest(self) -> int:
        """The last number that is there; 0 when there is none."""
        return self._files[-1].last if self._files else 0

    @property
    def oldest(self) -> Segment:
        return self._files[0]

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    # --- finding what is there ----------------------------------------------

    def scan(self, acknowledged: int) -> None:
        """Index all files.

        :param acknowledged: a torn record beyond this number was promised
            to nobody and is cut off.
        :raises OSError: when the directory cannot be listed.
        """
        paths = sorted(path for path in self.path.iterdir()
                       if _NAME.match(path.name) and 0 < int(path.stem)
                       < form.MAX_SEQUENCE)
        for path in paths:
            try:
                data = path.read_bytes()
            except OSError as error:
                LOG.error('spool %s: %s cannot be read: %s; its windows are '
                          'reported as lost', self.path, path.name, error)
                self._put_away(path)
                continue
            active = path == paths[-1]
            segment = self._index(path, data, active, acknowledged)
            if segment.offsets:
                self._files.append(segment)
            elif data and not (active and acknowledged <= segment.last
                               and form.is_torn(data)):
                self._put_away(path)
            else:
                # Made, but nothing was ever stored in it: made anew.
                with contextlib.suppress(OSError):
                    path.unlink()

    def _index(self, path: pathlib.Path, data: bytes, active: bool,
               acknowledged: int) -> Segment:
        """Index one file; cut a torn tail off the active one."""
        segment = Segment(path, int(path.stem), array.array('q'))
        position, end = 0, 0
        while position < len(data):
            found = form.record_at(data, position)
            if found is None or not form.follows(
                    segment.last, found.sequence, len(data)):
                after = form.next_record(data, position + 1, segment.last)
                if after < 0:
                    break
                self._keep_damage(path, position, data[position:after])
                position = after
                continue
            while segment.last + 1 < found.sequence:
                self._add(segment, _LOST, found.wall_ns)
            self._add(segment, position, found.wall_ns)
            position += found.size
            end = position
        segment.size = end
        if end == len(data) or not segment.offsets:
            return segment
        if active and acknowledged <= segment.last:
            # An append that never returned: nobody was told of it.
            LOG.warning('spool %s: %d bytes of an unfinished record cut off '
                        'the end of %s', self.path, len(data) - end,
                        path.name)
            # Where it cannot be cut off now, the next append does it.
            self._must_truncate = not self._truncated(segment)
        else:
            self._keep_damage(path, end, data[end:])
            # Nothing may be appended behind bytes that are no record.
            segment.size = max(len(data), self._segment_bytes)
        return segment

    def _add(self, segment: Segment, offset: int, wall_ns: int) -> None:
        self._age_ns = self._passed(wall_ns)
        self.newest_ns = wall_ns
        segment.offsets.append(offset)
        segment.ages.append(self._age_ns)

    def _passed(self, wall_ns: int) -> int:
        """The time up to a moment after the newest record."""
        return self._age_ns + (bounds.passed_ns(self.newest_ns, wall_ns)
                               if self.newest_ns else 0)

    def _truncated(self, segment: Segment) -> bool:
        """Cut off what is behind the last record; whether it worked."""
        try:
            with open(segment.path, 'r+b') as file:
                file.truncate(segment.size)
                if self._fsync:
                    os.fsync(file.fileno())
        except OSError:
            return False
        return True

    def _keep_damage(self, path: pathlib.Path, offset: int,
                     data: bytes) -> None:
        kept = self.path / _DAMAGED / f'{path.stem}-{offset}'
        LOG.error('spool %s: %d bytes at %d of %s cannot be read; they are '
                  'kept as %s and their windows are reported as lost',
                  self.path, len(data), offset, path.name, kept)
        with contextlib.suppress(OSError):
            kept.parent.mkdir(exist_ok=True)
            if not kept.exists():
                kept.write_bytes(data)

    def _put_away(self, path: pathlib.Path) -> bool:
        """Move a file that holds no record out of the way."""
        kept = self.path / _DAMAGED / path.name
        for number in range(1, 1 << 20):
            if not kept.exists():
                break
            kept = kept.with_name(f'{path.name}.{number}')
        LOG.error('spool %s: %s holds no window that can be read and is kept '
                  'as %s', self.path, path.name, kept)
        try:
            kept.parent.mkdir(exist_ok=True)
            os.rename(path, kept)
        except OSError as error:
            LOG.error('spool %s: %s cannot be moved: %s', self.path,
                      path.name, error)
            return False
        return True

    # --- how much there is --------------------------------------------------

    @property
    def size(self) -> int:
        return sum(segment.size for segment in self._files)

    def size_from(self, sequence: int) -> int:
        """Bytes of the records from a number on."""
        size = 0
        for segment in self._files:
            if segment.last < sequence:
                continue
            size += segment.size
            if segment.first < sequence:
                size -= max(0, segment.offsets[sequence - segment.first])
        return size

    def age_ns(self, sequence: int, now_ns: int) -> int | None:
        """The age of the first record from a number on; None: none is there.

        :param now_ns: wall clock.
        """
        for segment in self._files:
            if segment.last >= sequence:
                return self._passed(now_ns) - segment.ages[
                    max(0, sequence - segment.first)]
        return None

    def wall_ns(self, sequence: int) -> int | None:
        """When the first record from a number on was written."""
        for segment in self._files:
            for number in range(max(segment.first, sequence),
                                segment.last + 1):
                offset = segment.offsets[number - segment.first]
                if offset == _LOST:
                    continue
                try:
                    with open(segment.path, 'rb') as file:
                        file.seek(offset)
                        return form.wall_ns(file.read(form.HEADER.size))
                except (OSError, ValueError):
                    continue
        return None

    def leftovers(self) -> list[pathlib.Path]:
        """Damaged pieces that were kept, the oldest first."""
        try:
            found = [(path.stat().st_mtime_ns, path)
                     for path in (self.path / _DAMAGED).iterdir()]
        except OSError:
            return []
        return [path for _, path in sorted(found)]

    def claims(self, host: str, machine_id: str) -> str | None:
        """The stream that the newest readable record names as its own.

        :returns: None unless that record is of this host and machine.
        """
        for path in sorted(self.path.glob('*.seg'), reverse=True):
            if not _NAME.match(path.name):
                continue
            try:
                data = path.read_bytes()
            except OSError:
                continue
            position, newest = 0, None
            while (position := form.next_record(
                    data, position, int(path.stem) - 1)) >= 0:
                found = form.record_at(data, position)
                assert found is not None    # noqa: S101
                newest = form.decode(
                    data[position:position + found.size], found.sequence)
                position += found.size
            if newest is not None:
                return form.stream_of(newest.payload, host, machine_id)
        return None

    # --- reading ------------------------------------------------------------

    def of(self, sequence: int) -> Segment | None:
        """The file that should hold a record; None when it is lost."""
        for segment in reversed(self._files):
            if segment.first <= sequence:
                if (sequence <= segment.last
                        and segment.offsets[sequence - segment.first]
                        != _LOST):
                    return segment
                return None
        return None

    def read(self, sequence: int) -> form.Body | None:
        """A record's body; None, for good, when it cannot be read."""
        segment = self.of(sequence)
        if segment is None:
            return None
        data = self._bytes_of(segment, sequence)
        body = form.decode(data, sequence)
        if body is None:
            offset = segment.offsets[sequence - segment.first]
            self._keep_damage(segment.path, offset, data)
            segment.offsets[sequence - segment.first] = _LOST
        return body

    def crc(self, sequence: int) -> int:
        """What tells a record from another of its number; 0: lost."""
        segment = self.of(sequence)
        if segment is None:
            return 0
        found = form.record_at(self._bytes_of(segment, sequence), 0)
        return 0 if found is None else found.crc

    def _bytes_of(self, segment: Segment, sequence: int) -> bytes:
        offset = segment.offsets[sequence - segment.first]
        try:
            with open(segment.path, 'rb') as file:
                file.seek(offset)
                header = file.read(form.HEADER.size)
                length = (form.HEADER.unpack(header)[1]
                          if len(header) == form.HEADER.size else 0)
                return header + file.read(min(length, form.MAX_BODY))
        except OSError as error:
            LOG.error('spool %s: record %d cannot be read: %s', self.path,
                      sequence, error)
            return b''

    # --- writing ------------------------------------------------------------

    def append(self, sequence: int, record: bytes, wall_ns: int) -> None:
        """Store one record; on disk when this returns.

        :raises OSError: nothing of it was stored.
        """
        try:
            segment = self._active(sequence, len(record))
            self._write(segment, record)
        except OSError:
            self._discard_half()
            raise
        self._add(segment, segment.size, wall_ns)
        segment.size += len(record)

    def _active(self, sequence: int, size: int) -> Segment:
        """The segment to append to, its file open."""
        if self._must_truncate:
            self._discard_half()
            if self._must_truncate:
                raise OSError('a half-written record cannot be cut off')
        segment = self._files[-1] if self._files else None
        if (segment is not None and segment.last + 1 == sequence
                and (segment.size + size <= self._segment_bytes
                     or not segment.size)):
            if self._fd < 0:
                self._fd = os.open(segment.path,
                                   os.O_WRONLY | os.O_CLOEXEC)
            return segment
        self.close()
        path = self.path / f'{sequence:020d}.seg'
        if path.exists() and not self._put_away(path):
            raise OSError(f'{path} is in the way')
        self._fd = os.open(
            path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC,
            0o600)
        segment = Segment(path, sequence, array.array('q'))
        self._files.append(segment)
        self._must_truncate = True
        self.sync_directory(self.path)
        return segment

    def _write(self, segment: Segment, record: bytes) -> None:
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
        if not self._files or not self._must_truncate:
            return
        segment = self._files[-1]
        self._must_truncate = not self._truncated(segment)
        # After a failed fsync the kernel may have dropped the pages: the
        # next append opens the file anew.
        self.close()
        if not segment.offsets and not self._must_truncate:
            self._files.pop()
            with contextlib.suppress(OSError):
                segment.path.unlink()

    def sync_directory(self, path: pathlib.Path) -> None:
        if not self._fsync:
            return
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)

    # --- letting go ---------------------------------------------------------

    def drop_oldest(self) -> bool:
        """Delete the first file; whether it worked."""
        segment = self._files[0]
        try:
            segment.path.unlink()
        except OSError as error:
            LOG.error('spool %s: %s cannot be deleted: %s', self.path,
                      segment.path.name, error)
            return False
        self._files.pop(0)
        return True
