# SPDX-License-Identifier: Apache-2.0
"""A file as an answer: piece by piece, of any size.

What is in it, and who may have it, is the controllers'.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import IO, Any

import webob

_PIECE = 1 << 16


class Download(webob.Response):
    """An answer that is a file, with its length.

    Pecan looks whether there is a first piece, and gives back what it has
    looked at; WebOb takes that for something new, of unknown length.  What
    is no generator Pecan would read as a whole.
    """

    _size: int | None = None

    def __init__(self, file: IO[bytes], size: int, name: str,
                 **more: Any) -> None:
        super().__init__(**more)
        self._size = size
        self.app_iter = _pieces(file)
        self.content_disposition = f'attachment; filename="{name}"'
        self.headers['X-Content-Type-Options'] = 'nosniff'

    @property
    def app_iter(self) -> Any:
        return webob.Response.app_iter.fget(self)

    @app_iter.setter
    def app_iter(self, pieces: Iterable[bytes]) -> None:
        webob.Response.app_iter.fset(self, pieces)
        self.content_length = self._size


def _pieces(file: IO[bytes]) -> Iterator[bytes]:
    with file:
        while piece := file.read(_PIECE):
            yield piece
