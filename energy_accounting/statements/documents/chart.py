# SPDX-License-Identifier: Apache-2.0
"""Bars of energy over time, as SVG.  Pure.

In use below, allocated above, in two tones that differ in lightness too:
they can be told apart in grey.
"""

from __future__ import annotations

import decimal
import html
from collections.abc import Mapping, Sequence
from typing import Any

from energy_accounting import units
from energy_accounting.statements.documents import figures
from energy_accounting.statements.documents.summary import Part

ACTIVE, ALLOCATED = '#0b4f7d', '#9cc3e0'
_WIDTH, _HEIGHT = 720, 210
_LEFT, _RIGHT, _TOP, _BOTTOM = 62, 6, 10, 26
_GREY, _INK = '#c9d1d8', '#37424c'


def bars(parts: Sequence[tuple[str, Part]], words: Mapping[str, Any],
         title: str, language: str) -> str:
    """A chart with a bar for each of some times.

    :param parts: label and what it has, in order.
    """
    sums = [max(part.active_uj, 0) + max(part.allocated_uj, 0)
            for _, part in parts]
    step_uj, steps = _scale(max(sums, default=0))
    top_uj = step_uj * steps
    high = _HEIGHT - _TOP - _BOTTOM
    base = _HEIGHT - _BOTTOM

    def length(energy_uj: int) -> str:
        return _text(decimal.Decimal(max(energy_uj, 0)) * high / top_uj)

    summary = words['chart_summary'].format(
        figures.kwh(min(sums, default=0), language),
        figures.kwh(max(sums, default=0), language))
    drawn = [
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" '
        f'viewBox="0 0 {_WIDTH} {_HEIGHT}" width="100%" '
        f'font-family="sans-serif" font-size="10">'
        f'<title>{html.escape(title)}</title>'
        f'<desc>{html.escape(summary)}</desc>']
    for number in range(steps + 1):
        y = _text(base - decimal.Decimal(high) * number / steps)
        drawn.append(
            f'<line x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y}" y2="{y}" '
            f'stroke="{_INK if number == 0 else _GREY}"/>'
            f'<text x="{_LEFT - 5}" y="{y}" dy="3" text-anchor="end" '
            f'fill="{_INK}">{_tick(step_uj * number, step_uj, language)}'
            '</text>')
    width = decimal.Decimal(_WIDTH - _LEFT - _RIGHT) / max(len(parts), 1)
    for number, (label, part) in enumerate(parts):
        x = _LEFT + width * number
        wide = width * 7 / 10
        left = _text(x + (width - wide) / 2)
        low, rest = length(part.active_uj), length(part.allocated_uj)
        middle = _text(base - decimal.Decimal(low))
        upper = _text(base - decimal.Decimal(low) - decimal.Decimal(rest))
        drawn += [
            f'<rect x="{left}" y="{middle}" width="{_text(wide)}" '
            f'height="{low}" fill="{ACTIVE}"/>',
            f'<rect x="{left}" y="{upper}" width="{_text(wide)}" '
            f'height="{rest}" fill="{ALLOCATED}"/>',
            f'<text x="{_text(x + width / 2)}" y="{base + 14}" '
            f'text-anchor="middle" fill="{_INK}">{html.escape(label)}'
            '</text>']
    return ''.join([*drawn, '</svg>'])


def _scale(most_uj: int) -> tuple[int, int]:
    """(a round step, how many of them hold the highest bar)."""
    for exponent in range(-9, 15):
        for digit in (1, 2, 5):
            step_uj = int(decimal.Decimal(digit).scaleb(exponent)
                          * units.UJ_PER_KWH)
            if step_uj * 5 >= most_uj:
                return step_uj, max(1, -(-most_uj // step_uj))
    return most_uj, 1


def _tick(energy_uj: int, step_uj: int, language: str) -> str:
    places = max(0, -decimal.Decimal(units.kwh(step_uj)).normalize()
                 .adjusted())
    return figures.number(units.kwh(energy_uj), min(places, 9), language)


def _text(value: decimal.Decimal | int) -> str:
    return format(decimal.Decimal(value).quantize(
        decimal.Decimal('0.01')), 'f')
