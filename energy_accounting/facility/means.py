# SPDX-License-Identifier: Apache-2.0
"""Key figures of several sites as one: two ways, which differ.  Pure."""

from __future__ import annotations

import dataclasses
import fractions
from collections.abc import Sequence

from energy_accounting import errors, units
from energy_accounting.facility import inputs
from energy_accounting.facility.figures import Figure, Term
from energy_accounting.facility.inputs import Amount, Missing


def mean_by_energy(sites: Sequence[tuple[Figure, Amount]]) -> Figure:
    """The mean of sites' figures, weighted by their E_DC.

    As Delegated Regulation (EU) 2024/1364, annex IV, has it.  Not the
    ratio of the sums: see :func:`ratio_of_sums`.

    :param sites: a site's figure and its E_DC in the same period.
    """
    found = [figure for figure, _ in sites]
    _alike(found)
    for figure, e_dc in sites:
        if e_dc.role != 'dc_total':
            raise errors.FigureRefused(
                f'E_DC of {figure.site} is of the role dc_total, not '
                f'{e_dc.role}: use the meters of that role')
        if (e_dc.period, e_dc.section) != (figure.period, figure.section):
            raise errors.FigureRefused(
                f'{figure.name} of {figure.site} is of {figure.period} and '
                f'its E_DC of {e_dc.period}: give both of the same period '
                'and section')
    whole = sum((fractions.Fraction(e_dc.value) for _, e_dc in sites),
                fractions.Fraction(0))
    missing = _without_value(found)
    if not missing and not whole:
        missing = [Missing('dc_total', 'is 0 at every site')]
    top = sum((figure.exact * e_dc.value for figure, e_dc in sites
               if figure.exact is not None), fractions.Fraction(0))
    return _over_sites(
        found, None if missing else top / whole, missing,
        Term(f'{found[0].figure} x dc_total', top / units.UJ_PER_KWH, 'kWh'),
        Term('dc_total', whole / units.UJ_PER_KWH, 'kWh'),
        'mean weighted by E_DC (Delegated Regulation (EU) 2024/1364, '
        'annex IV)')


def ratio_of_sums(found: Sequence[Figure]) -> Figure:
    """The figure of sites taken as one: sum of numerators / denominators.

    :raises errors.FigureRefused: for REF too, whose cap has no sum.
    """
    _alike(found)
    if found[0].figure not in {'PUE', 'ERE', 'ERF', 'CUE', 'WUE', 'CER',
                               'DCiE'}:
        raise errors.FigureRefused(
            f'{found[0].figure} is not a ratio of sums over sites: use the '
            'mean weighted by E_DC')
    missing = _without_value(found)
    tops = [one.numerator for one in found if one.numerator]
    bottoms = [one.denominator for one in found if one.denominator]
    if missing:
        return _over_sites(found, None, missing, None, None, '')
    top = sum((one.exact for one in tops), fractions.Fraction(0))
    bottom = sum((one.exact for one in bottoms), fractions.Fraction(0))
    # m3/kWh is not how a WUE is said.
    scale = 1000 if found[0].figure == 'WUE' else 1
    return _over_sites(
        found, top / bottom * scale, [],
        Term(tops[0].name, top, tops[0].unit),
        Term(bottoms[0].name, bottom, bottoms[0].unit),
        'sum of numerators / sum of denominators')


def _alike(found: Sequence[Figure]) -> None:
    """Refuse figures that are not of one kind or of a site twice."""
    if not found:
        raise errors.FigureRefused(
            'sites: there is none: give the figure of one at least')
    first = found[0]
    for one in found:
        for name in ('name', 'category', 'period', 'standard', 'unit'):
            if getattr(one, name) != getattr(first, name):
                raise errors.FigureRefused(
                    f'{name} of {first.site} is {getattr(first, name)}, of '
                    f'{one.site} {getattr(one, name)}: compare figures of '
                    f'one {name}')
    places = [(one.site, one.section) for one in found]
    if len(set(places)) < len(places):
        raise errors.FigureRefused(
            'sites: one is there twice: give each once')


def _without_value(found: Sequence[Figure]) -> list[Missing]:
    return [Missing(one.role, f'{figure.site}: {one.why}')
            for figure in found for one in figure.missing]


def _over_sites(found: Sequence[Figure], exact: fractions.Fraction | None,
                missing: Sequence[Missing], top: Term | None,
                bottom: Term | None, how: str) -> Figure:
    known = [one.coverage for one in found if one.coverage is not None]
    guessed = [one.estimated for one in found if one.estimated is not None]
    return dataclasses.replace(
        found[0], exact=exact, site=', '.join(one.site for one in found),
        section=', '.join(one.section for one in found if one.section),
        coverage=min(known, default=None),
        estimated=max(guessed, default=None), numerator=top,
        denominator=bottom, missing=tuple(missing),
        meters=tuple(dict.fromkeys(
            meter for one in found for meter in one.meters)),
        reading_seconds=inputs.longest(
            [one.reading_seconds for one in found]),
        notes=(how,) if how else ())
