# SPDX-License-Identifier: Apache-2.0
"""A file that was published, for whoever asks for it by name.

Nothing is opened but what the outbox names, in the one directory that is
served.
"""

from __future__ import annotations

import os
import pathlib
from typing import IO, NamedTuple

from energy_accounting import errors
from energy_accounting.exports import publishing, sending
from energy_accounting.ledger import exports as outbox

MEDIA = {'csv': 'text/csv', 'json': 'application/json',
         'jsonl': 'application/x-ndjson',
         'parquet': 'application/vnd.apache.parquet'}
"""By the ending of a name."""

OTHER = 'application/octet-stream'


class Opened(NamedTuple):
    """:ivar sha256: None: of the manifest, which names the others'."""

    file: IO[bytes]
    name: str
    media: str
    size: int
    sha256: str | None


def opened(one: outbox.Export, directory: pathlib.Path | None,
           name: str | None = None) -> Opened:
    """A file of an export, for reading.

    :param directory: the only one that files are taken from.
    :param name: None: the first.
    :raises errors.Conflict: it is not here, or not as it was published.
    :raises errors.NotFound: the export has no file of that name.
    """
    if not one.artifacts:
        raise errors.Conflict(
            f'export {one.export} is {one.state}, and has no file'
            + (f' yet ({one.done} of {one.total} lines): '
               'energy-accounting-manage export send makes it'
               if one.state in outbox.OPEN else ''))
    if directory is None or one.destination != str(directory):
        raise errors.Conflict(
            f'export {one.export} was put into {one.destination}, which is '
            'not the [exports] directory of this API: fetch it there')
    known = {each['name']: each for each in one.artifacts}
    manifest = sending.name_of(one) + publishing.MANIFEST
    wanted = next(iter(known)) if name is None else name
    if wanted not in known and wanted != manifest:
        raise errors.NotFound(
            f'export {one.export} has no file {wanted[:64]!r}: it has '
            f'{", ".join([*known, manifest])}')
    said = known.get(wanted)
    try:
        file = (directory / wanted).open('rb')
    except OSError as error:
        raise errors.Conflict(
            f'{wanted} cannot be read where this API runs '
            f'({error.strerror}): let it see the directory that files are '
            'put into, or plan the export again') from error
    size = os.fstat(file.fileno()).st_size
    if said is not None and size != said['bytes']:
        file.close()
        raise errors.Conflict(
            f'{wanted} has {size} bytes and was published with '
            f'{said["bytes"]}: somebody changed it')
    return Opened(file, wanted, MEDIA.get(wanted.rpartition('.')[2], OTHER),
                  size, None if said is None else said['sha256'])
