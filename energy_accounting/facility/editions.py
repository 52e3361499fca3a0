# SPDX-License-Identifier: Apache-2.0
"""Which edition of which standard a key figure follows.

The law and the standards' own newest editions differ, so that a figure
says which one it is of.  Names only: what a formula is stands in ``kpi``.
"""

from __future__ import annotations

from collections.abc import Mapping

from energy_accounting import errors

_NOT_ISO = 'The Green Grid (no standard of ISO/IEC 30134)'

EDITIONS: dict[str, tuple[str, ...]] = {
    'PUE': ('ISO/IEC 30134-2:2026', 'ISO/IEC 30134-2:2016',
            'DIN EN 50600-4-2:2019-08', 'EN 50600-4-2:2016'),
    'DCiE': (_NOT_ISO,),
    'REF': ('ISO/IEC 30134-3', 'DIN EN 50600-4-3:2020-11'),
    'ITEEsv': ('ISO/IEC 30134-4', 'EN 50600-4-4'),
    'ITEUsv': ('ISO/IEC 30134-5', 'EN 50600-4-5'),
    'ERF': ('ISO/IEC 30134-6:2021', 'DIN EN 50600-4-6:2020-11'),
    'ERE': (_NOT_ISO,),
    'CER': ('ISO/IEC 30134-7:2023', 'DIN EN 50600-4-7:2020-08'),
    'CUE': ('ISO/IEC 30134-8:2022', 'EN 50600-4-8'),
    'WUE': ('ISO/IEC 30134-9:2022', 'DIN EN 50600-4-9:2020-05'),
}
"""By figure; the current one of ISO/IEC first."""

SETS: dict[str, dict[str, str]] = {
    'iso': {figure: names[0] for figure, names in EDITIONS.items()},
    # EnEfG, section 3 no. 15 and annex 3; ISO/IEC where it pins none.
    # For water that annex writes "50600-9, 2020-05"; 50600-4-9 is meant.
    'enefg': {figure: next((name for name in names
                            if name.startswith('DIN ')), names[0])
              for figure, names in EDITIONS.items()},
}
"""Editions that go together, by who asks for them."""


def chosen(who: str = 'iso',
           overrides: Mapping[str, str] | None = None) -> dict[str, str]:
    """An edition for every figure.

    :param who: a key of :data:`SETS`.
    :param overrides: other editions, by figure.
    :raises errors.FigureRefused: for one that is not known.
    """
    if who not in SETS:
        raise errors.FigureRefused(
            f'editions {who!r} are not known: use one of {", ".join(SETS)}')
    found = {**SETS[who], **(overrides or {})}
    for figure in found:
        edition(figure, found)
    return found


def edition(figure: str, editions: Mapping[str, str]) -> str:
    """The edition that was chosen for a figure.

    :raises errors.FigureRefused: when none was, or one that is not of it.
    """
    known = EDITIONS.get(figure)
    if known is None:
        raise errors.FigureRefused(
            f'figure {figure!r} is not known: use one of '
            f'{", ".join(EDITIONS)}')
    name = editions.get(figure)
    if name not in known:
        said = 'none was given' if name is None else f'{name!r} is not one'
        raise errors.FigureRefused(
            f'{figure} needs the edition of a standard and {said}: use '
            f'one of {", ".join(known)}')
    return name
