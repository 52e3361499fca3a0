# SPDX-License-Identifier: Apache-2.0
"""Numbers that the kernel shows in files.

What a number means is its meter's business, and so is what a fall of it
means.
"""

from __future__ import annotations

import logging
import os
import pathlib
import re

LOG = logging.getLogger(__name__)

# As large as a column and no larger: what does not fit is no counter.
_NUMBER = re.compile(r'[0-9]{1,18}\Z')


def text(path: pathlib.Path) -> str:
    """A file's text without the blanks around; empty when unreadable."""
    try:
        return path.read_text('ascii').strip()
    except (OSError, ValueError):
        return ''


def number(text: str) -> int | None:
    """What a file says, if it is a whole number from 0 that fits."""
    return int(text) if _NUMBER.match(text) else None


class Held:
    """A file of one number, held open: read at each tick."""

    def __init__(self, path: pathlib.Path) -> None:
        self.path = path
        self._fd: int | None = None

    def read(self) -> int | None:
        """The number now; None when it cannot be read."""
        # A second try when the descriptor outlived the file: the module was
        # loaded again, or a file put in its place.
        for _ in range(2):
            try:
                fd = self.open()
                if os.fstat(fd).st_nlink:
                    return number(os.pread(fd, 64, 0).decode(
                        'ascii', 'replace').strip())
            except OSError as error:
                LOG.debug('%s cannot be read: %s', self.path, error)
            self.close()
        return None

    def open(self) -> int:
        """The descriptor, opened if it is not.

        :raises OSError: when it cannot be.
        """
        if self._fd is None:
            self._fd = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        return self._fd

    def close(self) -> None:
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None
