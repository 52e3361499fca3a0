# SPDX-License-Identifier: Apache-2.0
"""A flow picture (Sankey): amounts that divide from left to right.

Heights are true to the amounts of one picture; what is too little to be
seen is a hair line.  Which amounts flow where is the caller's matter.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from energy_accounting.dashboard.drawing import svg
from energy_accounting.dashboard.drawing.svg import Decimal

COLOURS = {'input': '#7070a8', 'tenants': '#0072b2', 'service': '#009e73',
           'unallocated': '#d55e00', 'quarantined': '#cc3377',
           'building': '#808080', 'unmetered': '#997700', 'gap': '#cc3377'}

_NODE = 12
_LABEL = 30
_BETWEEN = 8
_TOP = 6
_HAIR = Decimal('0.6')
_SHRINK = Decimal('0.94')


class Node(NamedTuple):
    """Where energy comes from or goes to.

    :ivar kind: a key of :data:`COLOURS`.
    :ivar value: how high it is at least; None: nobody knows, and it is
        drawn as an outline.
    :ivar words: its amount, as people read it.
    """

    key: str
    column: int
    kind: str
    name: str
    value: Decimal | None
    words: str


class Flow(NamedTuple):
    """An amount that is part of both nodes."""

    source: str
    target: str
    value: Decimal


@dataclasses.dataclass(frozen=True, slots=True)
class Picture:
    title: str
    desc: str
    nodes: Sequence[Node]
    flows: Sequence[Flow]


class _Box(NamedTuple):
    x: Decimal
    y: Decimal
    height: Decimal


def drawn(picture: Picture, width: int, height: int, label_width: int,
          ident: str) -> str:
    """The whole picture.

    :param label_width: what the last column has for its names.
    """
    boxes, scale = _placed(picture.nodes, width - label_width, height)
    kinds = {node.key: node.kind for node in picture.nodes}
    leaves = {key: box.y for key, box in boxes.items()}
    enters = dict(leaves)
    bands = []
    for flow in picture.flows:
        if flow.value <= 0:
            continue
        thick = max(flow.value * scale, _HAIR)
        source, target = boxes[flow.source], boxes[flow.target]
        bands.append(_band(source.x + _NODE, leaves[flow.source], target.x,
                           enters[flow.target], thick, kinds[flow.target]))
        leaves[flow.source] += thick
        enters[flow.target] += thick
    return svg.picture(
        width, height, ident, picture.title, picture.desc,
        [*bands, *(part for node in picture.nodes
                   for part in _node(node, boxes[node.key]))], 'ea-flow')


def _placed(nodes: Sequence[Node], width: int, height: int,
            ) -> tuple[Mapping[str, _Box], Decimal]:
    """Where each node stands, and pixels for each unit."""
    columns: dict[int, list[Node]] = {}
    for node in nodes:
        columns.setdefault(node.column, []).append(node)
    most = max((sum((node.value or Decimal(0) for node in column),
                    Decimal(0)) for column in columns.values()),
               default=Decimal(0))
    scale = Decimal(height) / most if most > 0 else Decimal(1)
    while any(sum(_slot(node, scale) for node in column) > height - _TOP
              and _slot(column[0], scale) for column in columns.values()):
        if scale * most < 1:
            break  # names alone are higher: they run out of the picture
        scale *= _SHRINK
    step = Decimal(width - _NODE) / max(max(columns, default=0), 1)
    boxes = {}
    for place, column in columns.items():
        y = Decimal(_TOP)
        for node in column:
            thick = max((node.value or Decimal(0)) * scale, Decimal(1))
            boxes[node.key] = _Box(step * place, y, thick)
            y += _slot(node, scale)
    return boxes, scale


def _slot(node: Node, scale: Decimal) -> Decimal:
    return max((node.value or Decimal(0)) * scale,
               Decimal(_LABEL)) + _BETWEEN


def _band(x1: Decimal, y1: Decimal, x2: Decimal, y2: Decimal,
          thick: Decimal, kind: str) -> str:
    middle = (x1 + x2) / 2
    a, b, m, top1, top2, low1, low2 = map(
        svg.number, (x1, x2, middle, y1, y2, y1 + thick, y2 + thick))
    return svg.element(
        'path', class_=f'ea-flow-{kind}', fill=COLOURS[kind],
        fill_opacity='0.35',
        d=f'M{a} {top1}C{m} {top1} {m} {top2} {b} {top2}'
          f'L{b} {low2}C{m} {low2} {m} {low1} {a} {low1}Z')


def _node(node: Node, box: _Box) -> list[str]:
    outline: dict[str, object] = {} if node.value is not None else {
        'fill': 'none', 'stroke': 'currentColor', 'stroke_dasharray': '3 2'}
    height = box.height if node.value is not None else Decimal(_LABEL - 4)
    return [
        svg.element('rect', class_=f'ea-node-{node.kind}',
                    x=box.x, y=box.y, width=_NODE, height=height,
                    **{'fill': COLOURS[node.kind], **outline}),
        svg.text(box.x + _NODE + 6, box.y + 12, node.name,
                 class_='ea-node-name'),
        svg.text(box.x + _NODE + 6, box.y + 26, node.words)]
