# SPDX-License-Identifier: Apache-2.0
"""How far something is that takes a while: one line at a terminal.

Where standard error is no terminal, nothing is written at all.
"""

from __future__ import annotations

from typing import Any

_WIDTH = 25


class Progress:
    """A line that is written over; used as a context, which clears it.

    :param out: standard error.
    """

    def __init__(self, out: Any) -> None:
        self._out = out if out.isatty() else None
        self._shown = False

    def share(self, what: str, done: int, of: int) -> None:
        """Show a bar: so many of so many are done."""
        percent = min(done * 100 // max(of, 1), 100)
        self.say(f'{what} [{"#" * (percent * _WIDTH // 100):{_WIDTH}}] '
                 f'{percent:3} %')

    def say(self, text: str) -> None:
        """Show what is done, in place of what was shown."""
        if self._out is not None:
            self._out.write(f'\r\x1b[K{text}')
            self._out.flush()
            self._shown = True

    def end(self) -> None:
        """Leave nothing on the line."""
        if self._out is not None and self._shown:
            self._out.write('\r\x1b[K')
            self._out.flush()
            self._shown = False

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *_error: object) -> None:
        self.end()
