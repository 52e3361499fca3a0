# SPDX-License-Identifier: Apache-2.0
"""Files that are there whole or not at all, and a manifest of them.

A file is written beside its place under another name, brought to the disk
and then renamed; the manifest comes last, so that whoever finds one finds
all that it names.  What is in a file is the plug-ins'.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import pathlib
import socket
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import IO, Any

from energy_accounting import errors, wire

MANIFEST = '.manifest.json'
_PIECE = 1 << 20


def publish(directory: pathlib.Path, name: str,
            write: Callable[[IO[bytes]], int]) -> dict[str, Any]:
    """Put a file into its place, in one step.

    :param write: fills it and returns how many rows it has.
    :returns: what a manifest says of it: name, bytes, rows, sha256.
    :raises errors.ConfigurationError: it cannot be written there.
    """
    with _told(directory):
        hidden = directory / f'.{name}.{uuid.uuid4()}.tmp'
        try:
            with hidden.open('xb') as file:
                rows = write(file)
                file.flush()
                os.fsync(file.fileno())
            said = {'name': name, 'bytes': hidden.stat().st_size,
                    'rows': rows, 'sha256': digest(hidden)}
            hidden.replace(directory / name)
        except BaseException:
            hidden.unlink(missing_ok=True)
            raise
        _sync(directory)
    return said


def remove_remains(directory: pathlib.Path, name: str) -> None:
    """Take away what a process that was killed left of a file."""
    with _told(directory):
        for path in directory.glob(f'.{name}.*.tmp'):
            path.unlink(missing_ok=True)


def publish_manifest(directory: pathlib.Path, stem: str,
                     said: Mapping[str, Any]) -> None:
    """Say what belongs together; nothing of it depends on when it is."""
    text = json.dumps(said, indent=1, sort_keys=True, ensure_ascii=False)

    def write(file: IO[bytes]) -> int:
        file.write(f'{text}\n'.encode())
        return 0

    remove_remains(directory, stem + MANIFEST)
    publish(directory, stem + MANIFEST, write)


def whole(directory: pathlib.Path, stem: str,
          said: Mapping[str, Any] | None = None,
          ) -> Sequence[Mapping[str, Any]] | None:
    """What the manifest names, if all of it is there as it says.

    :param said: what the manifest must say of its origin.
    """
    try:
        found = json.loads((directory / (stem + MANIFEST)).read_text())
        files: list[dict[str, Any]] = found.pop('files')
        if said is not None and wire.to_json(found) != wire.to_json(
                dict(said)):
            return None
        if all(digest(directory / one['name']) == one['sha256']
               for one in files):
            return files
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return None


def digest(path: pathlib.Path) -> str:
    """The SHA-256 of a file."""
    found = hashlib.sha256()
    with path.open('rb') as file:
        while piece := file.read(_PIECE):
            found.update(piece)
    return found.hexdigest()


def _sync(directory: pathlib.Path) -> None:
    """Bring the names of a directory to the disk."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _told(directory: pathlib.Path) -> Iterator[None]:
    try:
        yield
    except (ConnectionError, TimeoutError, socket.gaierror) as error:
        # Of whatever the rows come from: no disk says this.
        raise errors.Unavailable(f'{error}') from error
    except OSError as error:
        raise errors.ConfigurationError(
            f'directory: {directory}: {error.strerror or error}; give one '
            'that is there, that this user may write to, and with room'
        ) from error
