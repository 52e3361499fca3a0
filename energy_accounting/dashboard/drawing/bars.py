# SPDX-License-Identifier: Apache-2.0
"""Bars over time: stacked ones, and a line above plain ones.

What the colours mean is said beside the picture, by its page.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import NamedTuple

from energy_accounting.dashboard.drawing import svg
from energy_accounting.dashboard.drawing.svg import Decimal

# Each at least 3:1 against white and against #222 (WCAG 2.2, 1.4.11), and
# told apart with any colour vision (after Okabe and Ito).
COLOURS = {'active': '#0072b2', 'idle': '#d55e00', 'memory': '#009e73',
           'host': '#cc79a7', 'platform': '#997700', 'building': '#808080',
           'co2': '#8a6fb0', 'intensity': '#0072b2'}

_LEFT, _RIGHT, _TOP, _FOOT = 46, 6, 20, 22
_LINE_PART = 30
_BETWEEN = 34
_TICK_WIDTH = 34
_DOT = Decimal('2.2')


class Column(NamedTuple):
    """A part of the time.

    :ivar tick: its short name below the axis.
    :ivar name: its whole name, for the pointer.
    :ivar values: one for each series; None where it is not known.
    """

    tick: str
    name: str
    values: tuple[Decimal | None, ...]


@dataclasses.dataclass(frozen=True, slots=True)
class Chart:
    """What is drawn.

    :ivar series: the kind (a key of :data:`COLOURS`) and name of each.
    :ivar unit: of the values.
    :ivar write: how a value is written in the reader's language.
    :ivar write_mark: how one of the axis is, with so many places.
    """

    title: str
    desc: str
    unit: str
    series: Sequence[tuple[str, str]]
    columns: Sequence[Column]
    write: Callable[[Decimal], str]
    write_mark: Callable[[Decimal, int], str]


def stacked(chart: Chart, width: int, height: int, ident: str) -> str:
    """A bar for each column, its values on top of each other."""
    scale, grid = _axis(
        [sum((value for value in column.values if value is not None),
             Decimal(0)) for column in chart.columns],
        chart, width, Decimal(_TOP), Decimal(height - _FOOT), chart.unit)
    drawn = []
    for place, column in enumerate(chart.columns):
        x, across = _slot(place, len(chart.columns), width)
        height_so_far = Decimal(0)
        for (kind, name), value in zip(chart.series, column.values,
                                       strict=True):
            if not value or value < 0:
                continue
            low = scale.y(height_so_far)
            height_so_far += value
            high = scale.y(height_so_far)
            drawn.append(_bar(kind, x, high, across, low - high,
                              f'{column.name}: {name} {chart.write(value)} '
                              f'{chart.unit}'))
    return svg.picture(
        width, height, ident, chart.title, chart.desc,
        [*grid, *drawn, *_ticks(chart, width, height)])


def with_line(chart: Chart, line: Sequence[Decimal | None], line_kind: str,
              line_unit: str, write_line: Callable[[Decimal], str],
              width: int, height: int, ident: str) -> str:
    """A line in a field of its own, and below it bars of the first series.

    Two scales in one field would let it seem as if crossing meant anything.
    """
    upper = Decimal((height - _FOOT - _TOP - _BETWEEN) * _LINE_PART // 100)
    line_scale, line_grid = _axis(
        [value for value in line if value is not None], chart, width,
        Decimal(_TOP), _TOP + upper, line_unit, wanted=2)
    scale, grid = _axis(
        [column.values[0] for column in chart.columns
         if column.values[0] is not None], chart, width,
        _TOP + upper + _BETWEEN, Decimal(height - _FOOT), chart.unit,
        wanted=3)
    kind, name = chart.series[0]
    drawn, points, dots = [], [], []
    for place, (column, level) in enumerate(
            zip(chart.columns, line, strict=True)):
        x, across = _slot(place, len(chart.columns), width)
        value = column.values[0]
        if value:
            y = scale.y(value)
            drawn.append(_bar(kind, x, y, across, scale.bottom - y,
                              f'{column.name}: {name} {chart.write(value)} '
                              f'{chart.unit}'))
        if level is None:
            points.append('')
            continue
        middle, y = x + across / 2, line_scale.y(level)
        points.append(f'{svg.number(middle)},{svg.number(y)}')
        dots.append(svg.element(
            'circle', svg.element('title', svg.escaped(
                f'{column.name}: {write_line(level)} {line_unit}')),
            class_=f'ea-{line_kind}', fill=COLOURS[line_kind], cx=middle,
            cy=y, r=_DOT))
    return svg.picture(
        width, height, ident, chart.title, chart.desc,
        [*line_grid, *grid, *drawn, *_lines(points, line_kind), *dots,
         *_ticks(chart, width, height)])


def _axis(values: Sequence[Decimal], chart: Chart, width: int, top: Decimal,
          bottom: Decimal, unit: str, wanted: int = 4,
          ) -> tuple[svg.Scale, list[str]]:
    """A scale, and the lines and numbers that show it."""
    found = svg.marks(max(values, default=Decimal(0)), wanted)
    scale = svg.Scale(found[-1], top, bottom)
    places = svg.mark_places(found)
    drawn = [svg.text(0, top - 8, unit, class_='ea-unit')]
    for mark in found:
        y = scale.y(mark)
        drawn.append(svg.element(
            'line', x1=_LEFT, x2=width - _RIGHT, y1=y, y2=y,
            class_='ea-grid' if mark else 'ea-base', stroke='currentColor',
            stroke_opacity='0.15' if mark else '0.6'))
        drawn.append(svg.text(_LEFT - 6, y + 4,
                              chart.write_mark(mark, places), 'end'))
    return scale, drawn


def _slot(place: int, count: int, width: int) -> tuple[Decimal, Decimal]:
    """Where a column begins and how wide it is, with air beside it."""
    step = Decimal(width - _LEFT - _RIGHT) / max(count, 1)
    across = min(step * Decimal('0.78'), Decimal(56))
    return _LEFT + step * place + (step - across) / 2, across


def _bar(kind: str, x: Decimal, y: Decimal, width: Decimal, height: Decimal,
         words: str) -> str:
    return svg.element(
        'rect', svg.element('title', svg.escaped(words)),
        class_=f'ea-{kind}', fill=COLOURS[kind], x=x, y=y, width=width,
        height=height)


def _lines(points: Sequence[str], kind: str) -> list[str]:
    """A line through the points that are known, broken where one is not."""
    pieces: list[list[str]] = [[]]
    for point in points:
        if point:
            pieces[-1].append(point)
        elif pieces[-1]:
            pieces.append([])
    return [svg.element('polyline', points=' '.join(piece), fill='none',
                        class_=f'ea-{kind}-line', stroke=COLOURS[kind],
                        stroke_width='1.8')
            for piece in pieces if len(piece) > 1]


def _ticks(chart: Chart, width: int, height: int) -> list[str]:
    count = len(chart.columns)
    step = svg.every(count, (width - _LEFT - _RIGHT) // _TICK_WIDTH)
    drawn = []
    for place, column in enumerate(chart.columns):
        if place % step == 0:
            x, across = _slot(place, count, width)
            drawn.append(svg.text(x + across / 2, height - 6, column.tick,
                                  'middle'))
    return drawn
