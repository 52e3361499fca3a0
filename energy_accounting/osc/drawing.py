# SPDX-License-Identifier: Apache-2.0
"""Bars and lines of text for a terminal, as wide as it is.

Colours are never used.  Where the output cannot write block characters,
there are ASCII ones.  What is drawn is the callers' affair.
"""

from __future__ import annotations

import decimal
import shutil
import textwrap
from collections.abc import Iterator, Sequence
from typing import Any

_EIGHTHS = '▏▎▍▌▋▊▉█'
_STEPS = '▁▂▃▄▅▆▇█'
_ASCII_STEPS = '.:-=+*#@'
# Unlike each step, and unlike the blank that is 0.
_MISSING, _ASCII_MISSING = '·', '?'
_WIDTH = 80
"""Where nobody says how wide it is: files, pipes, old terminals."""
_LEAST_BAR, _MOST_BAR = 8, 40
_MOST_LABEL = 36
"""A server's UUID."""


class For:
    """What can be drawn on an output.

    :param out: where it is written to.
    """

    def __init__(self, out: Any) -> None:
        # Only what a person said or has in front: a file has no width.
        self.width = max(shutil.get_terminal_size((_WIDTH, 24)).columns
                         if _is_terminal(out) else _WIDTH, 40)
        try:
            (_EIGHTHS + _STEPS + _MISSING + '…').encode(
                getattr(out, 'encoding', None) or 'utf-8')
            self._blocks = True
        except (UnicodeEncodeError, LookupError):
            self._blocks = False

    def filled(self, text: str) -> Iterator[str]:
        """A text in lines that fit; the next ones indented."""
        yield from textwrap.wrap(text, self.width - 1,
                                 subsequent_indent='  ',
                                 break_on_hyphens=False)

    @property
    def missing(self) -> str:
        """The sign for what is not known, in :meth:`steps`."""
        return _MISSING if self._blocks else _ASCII_MISSING

    def steps(self, amounts: Sequence[decimal.Decimal | None]) -> str:
        """A row of columns, one for each amount; a blank is 0.

        :param amounts: one of them at least is known; None: it is not.
        """
        most = max(amount for amount in amounts if amount is not None)
        levels = _STEPS if self._blocks else _ASCII_STEPS
        return ''.join(
            self.missing if amount is None else
            ' ' if amount <= 0 else
            levels[min(int(amount * len(levels) / most), len(levels) - 1)]
            for amount in amounts)

    def bars(self, labels: Sequence[str],
             amounts: Sequence[decimal.Decimal], texts: Sequence[str],
             drawn: int) -> Iterator[str]:
        """A line for each amount: a label, its text and a bar.

        :param drawn: so many have bars; what follows is of another kind.
        """
        most = max(amounts[:drawn])
        right = max(map(len, texts))
        label = min(max(map(len, labels)), _MOST_LABEL,
                    self.width - 1 - right - _LEAST_BAR - 6)
        room = min(self.width - 1 - 2 - label - 2 - right - 2, _MOST_BAR)
        for number, (name, amount, text) in enumerate(
                zip(labels, amounts, texts, strict=True)):
            bar = self.bar(amount, most, room) if number < drawn else ''
            yield (f'  {self._cut(name, label):<{label}}  {text:>{right}}  '
                   f'{bar}').rstrip()

    def bar(self, amount: decimal.Decimal, most: decimal.Decimal,
            room: int) -> str:
        """A bar as long as the amount's share of the greatest one."""
        if most <= 0 or amount <= 0:
            return ''
        if not self._blocks:
            return '#' * max(int(amount * room / most), 1)
        eighths = max(int((amount * room * 8 / most).to_integral_value(
            decimal.ROUND_HALF_EVEN)), 1)
        whole, part = divmod(eighths, 8)
        return '█' * whole + (_EIGHTHS[part - 1] if part else '')

    def _cut(self, text: str, width: int) -> str:
        if len(text) <= width:
            return text
        return text[:width - 1] + ('…' if self._blocks else '~')


def _is_terminal(out: Any) -> bool:
    return bool(getattr(out, 'isatty', None) and out.isatty())
