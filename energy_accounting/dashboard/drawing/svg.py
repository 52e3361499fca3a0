# SPDX-License-Identifier: Apache-2.0
"""The words that pictures are made of: elements, scales, marks of an axis.

Coordinates are texts made here: a template would write them with the
decimal sign of the reader's language, which no browser understands.  No
float.
"""

from __future__ import annotations

import dataclasses
import decimal
import html
from collections.abc import Iterable, Sequence

Decimal = decimal.Decimal

_TENTH = Decimal('0.1')
_STEPS = (Decimal(1), Decimal(2), Decimal('2.5'), Decimal(5), Decimal(10))


def number(value: Decimal | int) -> str:
    """A coordinate, to a tenth of a pixel."""
    text = f'{Decimal(value).quantize(_TENTH):f}'
    return text.removesuffix('.0')


def escaped(text: object) -> str:
    return html.escape(str(text), quote=True)


def element(name: str, content: str = '', /, **attributes: object) -> str:
    """``class_`` is written ``class``, ``text_anchor`` ``text-anchor``.

    :param content: markup, already escaped.
    """
    said = ''.join(
        f' {key.rstrip("_").replace("_", "-")}="{_attribute(value)}"'
        for key, value in attributes.items() if value is not None)
    return f'<{name}{said}>{content}</{name}>' if content \
        else f'<{name}{said}/>'


def _attribute(value: object) -> str:
    if isinstance(value, (Decimal, int)) and not isinstance(value, bool):
        return number(value)
    return escaped(value)


def text(x: Decimal | int, y: Decimal | int, words: str,
         anchor: str = 'start', **attributes: object) -> str:
    return element('text', escaped(words), x=Decimal(x), y=Decimal(y),
                   text_anchor=anchor, **attributes)


def picture(width: int, height: int, ident: str, title: str, desc: str,
            content: Iterable[str], class_: str = '') -> str:
    """A whole picture that screen readers announce by its title."""
    # The prefix is needed where the picture is stored as a file of its own.
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img"'
        f' class="{escaped(f"ea-svg {class_}".strip())}"'
        f' viewBox="0 0 {width} {height}"'
        f' aria-labelledby="{ident}-title" aria-describedby="{ident}-desc">'
        f'<title id="{ident}-title">{escaped(title)}</title>'
        f'<desc id="{ident}-desc">{escaped(desc)}</desc>'
        f'{"".join(content)}</svg>')


@dataclasses.dataclass(frozen=True, slots=True)
class Scale:
    """From values to pixels, upwards from a base line.

    :ivar most: the value at the top.
    """

    most: Decimal
    top: Decimal
    bottom: Decimal

    def y(self, value: Decimal) -> Decimal:
        if self.most <= 0:
            return self.bottom
        return self.bottom - (self.bottom - self.top) * value / self.most


def marks(most: Decimal, wanted: int = 4) -> list[Decimal]:
    """Round values for the lines of a grid; the last is at least ``most``.
    """
    if most <= 0:
        return [Decimal(0)]
    rough = most / wanted
    size = Decimal(1).scaleb(rough.adjusted())
    step = next(size * one for one in _STEPS if size * one >= rough)
    found = [Decimal(0)]
    while found[-1] < most:
        found.append(found[-1] + step)
    return found


def mark_places(values: Sequence[Decimal]) -> int:
    """How many decimal places the marks of an axis need."""
    return max((-int(value.normalize().as_tuple().exponent)
                for value in values), default=0)


def every(count: int, room: int) -> int:
    """Each how-manieth of so many labels fits."""
    return max(1, -(-count // max(room, 1)))
