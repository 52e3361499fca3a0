# SPDX-License-Identifier: Apache-2.0
"""Small pictures in the cells of a table: a course over time, a share."""

from __future__ import annotations

from collections.abc import Sequence

from energy_accounting.dashboard.drawing import svg
from energy_accounting.dashboard.drawing.svg import Decimal

_HEIGHT = 22
_WIDTH = 96


def course(values: Sequence[Decimal | None], words: str) -> str:
    """Bars without an axis; a step that is not known has none.

    :param words: what a reader hears instead.
    """
    most = max((value for value in values if value is not None),
               default=Decimal(0))
    scale = svg.Scale(most, Decimal(1), Decimal(_HEIGHT - 1))
    step = Decimal(_WIDTH) / max(len(values), 1)
    drawn = [svg.element('line', x1=0, x2=_WIDTH, y1=_HEIGHT - 1,
                         y2=_HEIGHT - 1, stroke='currentColor',
                         stroke_opacity='0.35')]
    for place, value in enumerate(values):
        if value and value > 0:
            y = scale.y(value)
            drawn.append(svg.element(
                'rect', class_='ea-course', fill='#0072b2', x=step * place,
                y=y, width=step * Decimal('0.8'), height=scale.bottom - y))
    return _small(words, drawn)


def share(part: Decimal | None, words: str) -> str:
    """A bar as long as a share of 1."""
    part = min(max(part or Decimal(0), Decimal(0)), Decimal(1))
    return _small(words, [
        svg.element('rect', x=0, y=6, width=_WIDTH, height=10, rx=2,
                    fill='currentColor', fill_opacity='0.12'),
        svg.element('rect', x=0, y=6, width=part * _WIDTH, height=10, rx=2,
                    class_='ea-course', fill='#0072b2')])


def _small(words: str, content: Sequence[str]) -> str:
    return (f'<svg xmlns="http://www.w3.org/2000/svg" role="img"'
            f' class="ea-small" width="{_WIDTH}" height="{_HEIGHT}"'
            f' viewBox="0 0 {_WIDTH} {_HEIGHT}"'
            f' aria-label="{svg.escaped(words)}">{"".join(content)}</svg>')
