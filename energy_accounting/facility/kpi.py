# SPDX-License-Identifier: Apache-2.0
"""The key figures of a site by ISO/IEC 30134 and EN 50600-4.  Pure.

Exact amounts in, a :class:`figures.Figure` out.  An input that nobody has
gives a figure without a value that says which; inputs that contradict
each other are refused with :class:`errors.FigureRefused`.  Where amounts
come from, limits of the law and the form of an answer do not belong here.

The prefixes: ``i`` for a period that is not twelve calendar months of the
site, ``p`` for a part of the site, ``d`` for numbers of the design, in
that order (``idPUE``, ``pdPUE``).  The standards define them for PUE; the
other figures are called likewise, so that a month never looks like a year.
"""

from __future__ import annotations

import dataclasses
import fractions
from collections.abc import Collection, Mapping, Sequence

from energy_accounting import errors, units
from energy_accounting.facility import figures, inputs
from energy_accounting.facility.figures import Figure, Scope, Term
from energy_accounting.facility.inputs import Amount, Missing

READING_SECONDS = {1: 31 * 86_400 + 3600, 2: 86_400 + 3600, 3: 900}
"""How often a category wants its meters read, at least (The Green Grid):
each month, day, quarter of an hour.  A local month and a local day may have
an hour more."""


def pue(scope: Scope, category: int, e_dc: Amount | Missing,
        e_it: Amount | Missing) -> Figure:
    """Power usage effectiveness: E_DC / E_IT.

    :param category: 1, 2 or 3: where E_IT is measured.
    :param e_dc: of the role ``dc_total``, see :func:`inputs.e_dc`; of a
        part of the site: its E_IT and the infrastructure inside it.
    :param e_it: of the role of that category.
    :raises errors.FigureRefused: also for a value below 1.
    """
    _e_it_of(category, e_it)
    exact = _pue(e_dc, e_it)
    return _figure(scope, 'PUE', exact, '1', e_dc, e_it, category=category)


def dcie(scope: Scope, category: int, e_dc: Amount | Missing,
         e_it: Amount | Missing) -> Figure:
    """Data centre infrastructure efficiency: E_IT / E_DC = 1 / PUE."""
    _e_it_of(category, e_it)
    _pue(e_dc, e_it)
    return _figure(scope, 'DCiE', _divided(e_it, e_dc), '1', e_it, e_dc,
                   category=category)


def ere(scope: Scope, category: int, e_dc: Amount | Missing,
        e_reuse: Amount | Missing, e_it: Amount | Missing) -> Figure:
    """Energy reuse effectiveness: (E_DC - E_reuse) / E_IT.

    The same as PUE x (1 - ERF).
    """
    _e_it_of(category, e_it)
    _pue(e_dc, e_it)
    _reused(e_dc, e_reuse)
    kept = _kept(e_dc, e_reuse)
    return _figure(
        scope, 'ERE', _divided(kept, e_it), '1', kept, e_it,
        category=category, parts=(e_dc, e_reuse, e_it),
        top_name='dc_total - heat_reused')


def erf(scope: Scope, e_reuse: Amount | Missing,
        e_dc: Amount | Missing) -> Figure:
    """Energy reuse factor: E_reuse / E_DC, 0 to 1.

    :param e_reuse: of the role ``heat_reused``: used outside the boundary,
        metered at the hand-over; what cools the site itself is no part.
    """
    _reused(e_dc, e_reuse)
    return _figure(scope, 'ERF', _divided(e_reuse, e_dc), '1', e_reuse,
                   e_dc)


@dataclasses.dataclass(frozen=True)
class Attributes:
    """Environmental attributes (certificates) of renewable energy.

    :ivar amount: of the role ``renewable``; its ids are those of
        certificates, contracts or of the meter of an own plant.
    :ivar retired: owned *and* retired for this site.  An own plant whose
        certificates are sold has none.
    """

    amount: Amount
    retired: bool


def ref(scope: Scope, renewable: Sequence[Attributes] | Missing,
        e_dc: Amount | Missing) -> Figure:
    """Renewable energy factor: E_ren / E_DC, at most 1.

    Only what is retired counts; where it was generated does not matter;
    a surplus is not counted.
    """
    notes = []
    e_ren: Amount | Missing
    if isinstance(renewable, Missing):
        e_ren = renewable
    else:
        for one in renewable:
            _role('REF', 'E_ren', one.amount, ('renewable',))
            if not one.retired:
                notes.append(
                    f'{_meters(one.amount)} is not retired and counts 0')
        if not renewable:
            e_ren = Missing('renewable', 'no attributes are known: give '
                            'them, be it with the value 0')
        else:
            e_ren = inputs.add('renewable', [
                one.amount if one.retired
                else dataclasses.replace(one.amount, value=0)
                for one in renewable])
    _role('REF', 'E_DC', e_dc, ('dc_total',))
    exact = _divided(e_ren, e_dc)
    if exact is not None and exact > 1:
        exact = fractions.Fraction(1)
        notes.append('capped at 1: a surplus is not counted')
    return _figure(scope, 'REF', exact, '1', e_ren, e_dc, notes=notes)


def cer(scope: Scope, q_removed: Amount | Missing,
        e_cooling: Amount | Missing, *, electric: bool) -> Figure:
    """Cooling efficiency ratio: heat removed / electricity of the cooling.

    Higher is better; its inverse is not the standard's figure.

    :param electric: whether all cooling is driven by electricity.
    """
    if not electric:
        raise errors.FigureRefused(
            'CER: e_cooling: the cooling is not driven by electricity, '
            'for which ISO/IEC 30134-7 has no ratio: leave CER out for '
            'this site')
    _role('CER', 'Q_removed', q_removed, ('heat_removed',))
    _role('CER', 'E_cooling', e_cooling, ('cooling_el',))
    return _figure(scope, 'CER', _divided(q_removed, e_cooling), '1',
                   q_removed, e_cooling)


BASES = {'direct': 'kg CO2/kWh', 'lifecycle': 'kg CO2e/kWh'}
"""What an emission factor counts, and so the unit of a CUE."""


def cue(scope: Scope, category: int, co2: Amount | Missing,
        e_it: Amount | Missing, *, basis: str) -> Figure:
    """Carbon usage effectiveness: CO2 of all the site's energy / E_IT.

    Use phase only.  With one source: its emission factor x PUE.

    :param co2: of the role ``co2_location`` or ``co2_market``: of every
        carrier of E_DC.
    :param basis: a key of :data:`BASES`.
    """
    if basis not in BASES:
        raise errors.FigureRefused(
            f'CUE: basis {basis!r} is not known: use one of '
            f'{", ".join(BASES)}')
    _role('CUE', 'CO2', co2, ('co2_location', 'co2_market'))
    _e_it_of(category, e_it)
    # mg/uJ to kg/kWh.
    exact = _divided(co2, e_it, fractions.Fraction(units.UJ_PER_KWH, 10 ** 6))
    method = co2.role.removeprefix('co2_')
    return _figure(scope, 'CUE', exact, BASES[basis], co2, e_it,
                   category=category,
                   notes=[f'{method}-based, {basis} emissions'])


def wue(scope: Scope, category: int, w_in: Amount | Missing,
        e_it: Amount | Missing) -> Figure:
    """Water usage effectiveness: W_in / E_IT in L/kWh (= m3/MWh).

    :param category: 1 for potable water (``water_potable``), 2 for all
        water (``water_in``), as the EU's annex II has them.
    :param e_it: of any category: which one says the denominator.
    """
    roles = _category_roles('WUE', category, inputs.WATER_CATEGORIES)
    _role('WUE', f'W_in of category {category}', w_in, roles)
    _role('WUE', 'E_IT', e_it, inputs.CATEGORIES)
    # ml/uJ to L/kWh.
    exact = _divided(w_in, e_it, fractions.Fraction(units.UJ_PER_KWH, 1000))
    return _figure(scope, 'WUE', exact, 'L/kWh', w_in, e_it,
                   category=category)


def _pue(e_dc: Amount | Missing,
         e_it: Amount | Missing) -> fractions.Fraction | None:
    """The ratio, refused below 1."""
    _role('PUE', 'E_DC', e_dc, ('dc_total',))
    if isinstance(e_dc, Missing) or isinstance(e_it, Missing):
        return None
    inputs.agree((e_dc, e_it))
    if e_dc.value < e_it.value:
        raise errors.FigureRefused(
            f'PUE is below 1 (E_DC {inputs.shown(e_dc.role, e_dc.value)}, '
            f'E_IT {inputs.shown(e_it.role, e_it.value)}): meter '
            f'assignment error: check the roles of {_meters(e_dc)} '
            f'(dc_total) and {_meters(e_it)} ({e_it.role})')
    return _divided(e_dc, e_it)


def _reused(e_dc: Amount | Missing, e_reuse: Amount | Missing) -> None:
    """Refuse more energy handed on than came in."""
    _role('ERF', 'E_reuse', e_reuse, ('heat_reused',))
    _role('ERF', 'E_DC', e_dc, ('dc_total',))
    if isinstance(e_dc, Missing) or isinstance(e_reuse, Missing):
        return
    inputs.agree((e_dc, e_reuse))
    if e_reuse.value > e_dc.value:
        raise errors.FigureRefused(
            'ERF is above 1 (E_reuse '
            f'{inputs.shown(e_reuse.role, e_reuse.value)}, E_DC '
            f'{inputs.shown(e_dc.role, e_dc.value)}): meter assignment '
            f'error: check the roles and units of {_meters(e_reuse)}')


def _kept(e_dc: Amount | Missing,
          e_reuse: Amount | Missing) -> Amount | Missing:
    if isinstance(e_dc, Missing):
        return e_dc
    if isinstance(e_reuse, Missing):
        return e_reuse
    return dataclasses.replace(e_dc, value=e_dc.value - e_reuse.value)


def _e_it_of(category: int, e_it: Amount | Missing) -> None:
    roles = _category_roles('PUE', category, inputs.CATEGORIES)
    _role('PUE', f'E_IT of category {category}', e_it, roles)


def _category_roles(figure: str, category: int,
                    known: Mapping[str, int]) -> tuple[str, ...]:
    roles = tuple(role for role, number in known.items()
                  if number == category and not isinstance(category, bool))
    if not roles:
        raise errors.FigureRefused(
            f'{figure}: category {category!r} is not known: use '
            f'{" or ".join(map(str, sorted(known.values())))}')
    return roles


def _role(figure: str, symbol: str, given: Amount | Missing,
          roles: Collection[str]) -> None:
    if given.role not in roles:
        raise errors.FigureRefused(
            f'{figure}: {symbol} is of the role {" or ".join(roles)}, not '
            f'{given.role}: use the meters of that role')


def _meters(given: Amount) -> str:
    return ', '.join(given.meters) or 'the planned numbers'


def _divided(top: Amount | Missing, bottom: Amount | Missing,
             scale: fractions.Fraction = fractions.Fraction(1),
             ) -> fractions.Fraction | None:
    """The ratio; None where something is missing or there is nothing."""
    if (isinstance(top, Missing) or isinstance(bottom, Missing)
            or bottom.value == 0):
        return None
    return fractions.Fraction(top.value) / bottom.value * scale


def _figure(scope: Scope, figure: str, exact: fractions.Fraction | None,
            unit: str, top: Amount | Missing, bottom: Amount | Missing, *,
            category: int | None = None,
            parts: Sequence[Amount | Missing] = (),
            notes: Sequence[str] = (), top_name: str = '') -> Figure:
    """A ratio of amounts, with all that its inputs say of themselves.

    :param parts: what it is made of, where that is not its two terms.
    """
    parts = parts or (top, bottom)
    given = [one for one in parts if isinstance(one, Amount)]
    missing = [one for one in parts if isinstance(one, Missing)]
    for one in given:
        if one.period != scope.period:
            raise errors.FigureRefused(
                f'{figure}: {one.role} is of {one.period} and was asked for '
                f'{scope.period}: give it over the period that is asked for')
        figures.enough(scope, figure, one.role,
                       fractions.Fraction(one.coverage))
    if given:
        inputs.agree(given)
    if isinstance(bottom, Amount) and bottom.value == 0:
        missing.append(Missing(bottom.role, 'is 0 in the period, and '
                               'nothing can be divided by it'))
    reading_seconds = inputs.longest(
        [one.reading_seconds for one in given])
    said = list(notes)
    often = READING_SECONDS.get(category or 0)
    if (figure != 'WUE' and often is not None
            and reading_seconds is not None and reading_seconds > often):
        said.append(f'category {category} wants readings every {often} s; '
                    f'the longest time between two is {reading_seconds} s')
    return figures.made(
        scope, figure, exact, unit, _term(top, top_name), _term(bottom),
        category=category, missing=missing, notes=said,
        coverage=min((fractions.Fraction(one.coverage) for one in given),
                     default=None),
        estimated=max((fractions.Fraction(one.estimated) for one in given),
                      default=None),
        meters=tuple(dict.fromkeys(
            meter for one in given for meter in one.meters)),
        reading_seconds=reading_seconds,
        planned=any(one.planned for one in given),
        section=given[0].section if given else '')


def _term(given: Amount | Missing, name: str = '') -> Term | None:
    if isinstance(given, Missing):
        return None
    unit, size = inputs.SHOWN[given.unit]
    return Term(name or given.role, fractions.Fraction(given.value) / size,
                unit)
