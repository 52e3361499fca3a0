# SPDX-License-Identifier: Apache-2.0
"""What comes from the service as a file: whole in its place, or not at all.

What a file is called, and whether one is there already, is its command's.
"""

from __future__ import annotations

import hashlib
import pathlib
import uuid
from collections.abc import Callable, Iterable

from osc_lib import exceptions


def save(path: pathlib.Path, pieces: Iterable[bytes],
         sha256: str | None = None,
         progress: Callable[[int], object] = lambda done: None) -> None:
    """Write a file beside its place, look at it, put it there.

    :param sha256: what it must be; None: nobody says.
    :param progress: told how many bytes there are.
    :raises exceptions.CommandError: it cannot be written, or is another.
    """
    path = path.resolve()
    if path.exists() and not path.is_file():
        # Nothing is put in the place of a directory or a device.
        raise exceptions.CommandError(f'{path} is no file: give another')
    hidden = path.with_name(f'.{path.name}.{uuid.uuid4()}.tmp')
    digest, done = hashlib.sha256(), 0
    try:
        with hidden.open('xb') as file:
            for piece in pieces:
                file.write(piece)
                digest.update(piece)
                done += len(piece)
                progress(done)
        if sha256 is not None and digest.hexdigest() != sha256:
            raise exceptions.CommandError(
                f'{path.name}: what came is not what was published (its '
                f'SHA-256 is {digest.hexdigest()}, not {sha256}): download '
                'it again')
        hidden.replace(path)
    except OSError as error:
        raise exceptions.CommandError(
            f'{path} cannot be written: {error.strerror or error}'
        ) from error
    finally:
        hidden.unlink(missing_ok=True)
