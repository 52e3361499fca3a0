# SPDX-License-Identifier: Apache-2.0
"""All key figures of a site for a period, from what is known of it.  Pure.

One that is refused, or lacks an input, stands in the table with the reason
and hides no other.  Where the inputs come from is ``site_inputs``'s, what a
figure is made of ``kpi``'s.
"""

from __future__ import annotations

import dataclasses
import fractions
import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from energy_accounting import errors
from energy_accounting.facility import equipment, figures, inputs, kpi
from energy_accounting.facility.figures import Figure, Scope
from energy_accounting.facility.inputs import Amount, Missing

WHOLE = ''
"""The section that is all of a site."""

NO_MODELS = Missing(
    'server_models', 'the table of server models has none of this site: '
    'give their maximum performance (SMPE) and power (SMPO), rated by one '
    'benchmark, in the file of [api] server_models_file')


@dataclasses.dataclass(frozen=True)
class Emitted:
    """The CO2 of a site's energy by one method.

    :ivar amount: of the role ``co2_location`` or ``co2_market``.
    :ivar basis: a key of :data:`kpi.BASES`.
    :ivar notes: where its factors come from.
    """

    amount: Amount | Missing
    basis: str
    notes: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class Known:
    """What is known of a site and a period.

    :ivar amounts: by section and role, of the roles that have meters.
    :ivar renewable: the attributes of what was bought and made.
    :ivar emitted: for each method.
    :ivar servers: how busy they were.
    :ivar served: the share of the period in which one was in service.
    :ivar remarks: by meter, what its readings do not say and why.
    :ivar classes: by meter, its accuracy class.
    """

    amounts: Mapping[tuple[str, str], Amount | Missing]
    renewable: Sequence[kpi.Attributes] | Missing
    emitted: Sequence[Emitted]
    servers: Sequence[equipment.Utilisation]
    served: fractions.Fraction
    remarks: Mapping[str, Sequence[str]]
    classes: Mapping[str, str | None]

    @property
    def sections(self) -> list[str]:
        """The parts of the site that have meters of their own."""
        return sorted({section for section, _ in self.amounts} - {WHOLE})

    def amount(self, role: str, section: str = WHOLE) -> Amount | Missing:
        """Of a role; when it has no meters, that."""
        if (section, role) in self.amounts:
            return self.amounts[section, role]
        if section:
            return Missing(role, 'no meter of this role in section '
                                 f'{section!r}')
        return Missing(role, 'no meter of this role' + (
            ' is of the whole site: add those of its sections up by a '
            'virtual meter'
            if any(known == role for _, known in self.amounts) else ''))

    def e_dc(self, section: str = WHOLE) -> Amount | Missing:
        """What came into the site, or into a part of it.

        Supplies without a meter are taken for none; the first is not.
        """
        def of(*roles: str) -> list[Amount | Missing]:
            return [self.amounts[section, role] for role in roles
                    if (section, role) in self.amounts]

        first, *more = inputs.SUPPLIES
        try:
            return inputs.e_dc([self.amount(first, section), *of(*more)],
                               of('grid_export'))
        except errors.FigureRefused as error:
            return Missing(first, str(error).removeprefix(f'{first}: '))

    def categories(self, section: str = WHOLE) -> list[int]:
        """In which categories IT energy is measured there."""
        return [category for role, category in inputs.CATEGORIES.items()
                if (section, role) in self.amounts]


@dataclasses.dataclass(frozen=True)
class Found:
    """A key figure, or why there is none.

    :ivar why: '' when it has a value.
    :ivar notes: what a reader must know to read it right.
    :ivar method: of a CUE, how its CO2 was counted: location or market.
    """

    figure: Figure
    why: str
    notes: tuple[str, ...]
    method: str | None = None


def table(scope: Scope, known: Known,
          category: int | None = None,
          models: equipment.Models | None = None) -> list[Found]:
    """Every key figure of a site.

    :param category: of the IT energy; None: each that has meters.
    :param models: of its servers; None: none are known.
    """
    return _Table(scope, known, models).rows(category)


class _Table:
    """The figures of one scope, none of which hides another."""

    def __init__(self, scope: Scope, known: Known,
                 models: equipment.Models | None) -> None:
        self._scope = scope
        self._known = known
        self._models = models

    def rows(self, asked: int | None) -> list[Found]:
        known, scope = self._known, self._scope
        e_dc, reused = known.e_dc(), known.amount('heat_reused')
        categories = [asked] if asked else known.categories() or [1]
        e_its = [(category, known.amount(_ROLE[category]))
                 for category in categories]
        found = [self._pue(category, e_dc, e_it)
                 for category, e_it in e_its]
        for section in known.sections:
            found += self._partial(section, asked)
        for category, e_it in e_its:
            found.append(self._try(
                'DCiE', '1', (e_dc, e_it),
                functools.partial(kpi.dcie, scope, category), category))
        found.append(self._ref(e_dc))
        found.append(self._try('ERF', '1', (reused, e_dc),
                               functools.partial(kpi.erf, scope)))
        for category, e_it in e_its:
            found.append(self._try(
                'ERE', '1', (e_dc, reused, e_it),
                functools.partial(kpi.ere, scope, category), category))
        found.append(self._cer())
        for category, e_it in e_its:
            found += [self._cue(category, one, e_it)
                      for one in known.emitted]
        for number, water in _WATER.items():
            found.append(self._wue(number, known.amount(water), e_its[0][1]))
        found.append(self._iteesv())
        found.append(self._try(
            'ITEUsv', '%', (),
            lambda: equipment.iteusv(scope, known.servers, known.served)))
        return found

    def _pue(self, category: int, e_dc: Amount | Missing,
             e_it: Amount | Missing, section: str = WHOLE) -> Found:
        return self._try(
            'PUE', '1', (e_dc, e_it),
            functools.partial(kpi.pue, self._scope, category), category,
            section)

    def _partial(self, section: str, asked: int | None) -> list[Found]:
        known = self._known
        e_dc = known.e_dc(section)
        return [self._pue(category, e_dc,
                          known.amount(_ROLE[category], section), section)
                for category in known.categories(section) or [1]
                if asked in (None, category)]

    def _iteesv(self) -> Found:
        models = self._models
        if models is None:
            return self._found(figures.made(
                self._scope, 'ITEEsv', None, 'performance/kW', None, None,
                missing=[NO_MODELS]))
        return self._try(
            'ITEEsv', 'performance/kW', (),
            lambda: equipment.iteesv(self._scope, models.rated,
                                     models.unrated),
            notes=('servers as the table has them now, whatever the '
                   'period',))

    def _ref(self, e_dc: Amount | Missing) -> Found:
        renewable = self._known.renewable
        given = ([] if isinstance(renewable, Missing)
                 else [one.amount for one in renewable])

        def make(*parts: Any) -> Figure:
            return kpi.ref(
                self._scope, renewable if isinstance(renewable, Missing)
                else [dataclasses.replace(one, amount=part) for one, part
                      in zip(renewable, parts[:-1], strict=True)], parts[-1])

        return self._try('REF', '1', (*given, e_dc), make)

    def _cer(self) -> Found:
        known = self._known
        heat, power = (known.amount(role)
                       for role in ('heat_removed', 'cooling_el'))
        # What is bought as cold, nobody here knows what drives.
        electric = (WHOLE, 'cooling_in') not in known.amounts
        return self._try(
            'CER', '1', (heat, power),
            functools.partial(kpi.cer, self._scope, electric=electric))

    def _cue(self, category: int, one: Emitted,
             e_it: Amount | Missing) -> Found:
        return dataclasses.replace(self._try(
            'CUE', kpi.BASES[one.basis], (one.amount, e_it),
            functools.partial(kpi.cue, self._scope, category,
                              basis=one.basis), category, notes=one.notes),
            method=one.amount.role.removeprefix('co2_'))

    def _wue(self, number: int, water: Amount | Missing,
             e_it: Amount | Missing) -> Found:
        return self._try('WUE', 'L/kWh', (water, e_it), functools.partial(
            kpi.wue, self._scope, number), number)

    def _try(self, figure: str, unit: str,
             parts: Sequence[Amount | Missing], make: Callable[..., Figure],
             category: int | None = None, section: str = WHOLE,
             notes: Sequence[str] = ()) -> Found:
        try:
            parts = self._together(figure, parts)
            return self._found(make(*parts), notes=notes, section=section)
        except errors.FigureRefused as error:
            given = [one for one in parts if isinstance(one, Amount)]
            return self._found(figures.made(
                self._scope, figure, None, unit, None, None, missing=(),
                category=category, section=section,
                coverage=_extreme(min, [one.coverage for one in given]),
                estimated=_extreme(max, [one.estimated for one in given]),
                meters=tuple(dict.fromkeys(
                    meter for one in given for meter in one.meters)),
                reading_seconds=inputs.longest(
                    one.reading_seconds for one in given)),
                str(error), notes, section)

    def _together(self, figure: str, parts: Sequence[Amount | Missing],
                  ) -> Sequence[Amount | Missing]:
        """Amounts of the same time.

        :raises errors.FigureRefused: one of them, or all of them together,
            have too little of it: what they are of different times must
            not be compared.
        """
        given = [one for one in parts if isinstance(one, Amount)]
        for one in given:
            figures.enough(self._scope, figure, one.role,
                           fractions.Fraction(one.coverage))
        if len(given) < len(parts) or not given:
            return parts
        common = inputs.together(given)
        figures.enough(
            self._scope, figure, ' and '.join(dict.fromkeys(
                one.role for one in common)) + ' together',
            fractions.Fraction(common[0].coverage))
        return common

    def _found(self, figure: Figure, refused: str = '',
               notes: Sequence[str] = (), section: str = WHOLE) -> Found:
        """With what its meters do not say beside it."""
        if section and not figure.section:
            # None of its inputs is there to say so.
            figure = figures.made(
                self._scope, figure.figure, None, figure.unit, None, None,
                missing=figure.missing, category=figure.category,
                section=section)
        why = refused or figure.why
        remarks = tuple(
            remark for meter in figure.meters
            for remark in self._known.remarks.get(meter, ()))
        if figure.exact is None:
            return Found(figure, '; '.join((why, *remarks)),
                         (*figure.notes, *notes))
        return Found(figure, '', (*figure.notes, *notes, *remarks))


def _extreme(choose: Callable[[Sequence[fractions.Fraction]],
                              fractions.Fraction],
             shares: Sequence[int | fractions.Fraction],
             ) -> fractions.Fraction | None:
    return (choose([fractions.Fraction(one) for one in shares])
            if shares else None)


_ROLE = {category: role for role, category in inputs.CATEGORIES.items()}
_WATER = {category: role
          for role, category in inputs.WATER_CATEGORIES.items()}
