# SPDX-License-Identifier: Apache-2.0
"""What registers of data centres ask for, field by field.  Pure.

The fields of annex 3 of the German Energieeffizienzgesetz (EnEfG) and of
annexes I and II of Delegated Regulation (EU) 2024/1364 with its key figures
of annex III, in one list.  Each has a value or the reason why not, never
both.  Where values come from is ``register``'s and ``register_facts``'s.
"""

from __future__ import annotations

import dataclasses
import fractions
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from energy_accounting import errors
from energy_accounting.facility import figures, inputs, site_figures
from energy_accounting.facility.inputs import Amount, Missing

TEXT, NUMBER, LIST = 'text', 'number', 'list'
OPERATOR = 'operator'

NO_FACT = ('nobody said it: give {name} of site {site} in the file of '
           '[exports] register_file')


class Field(NamedTuple):
    """:ivar enefg: where annex 3 asks for it; :ivar eu: the regulation."""

    name: str
    label: str
    kind: str
    unit: str = ''
    enefg: str = ''
    eu: str = ''
    choices: tuple[str, ...] = ()


_F = Field
_3_1, _3_2, _I = 'annex 3 no. 1', 'annex 3 no. 2', 'annex I'
FIELDS = (
    _F('name', 'name', TEXT, '', _3_1, _I),
    _F('owner', 'owner', TEXT, '', _3_1, _I),
    _F('operator', 'operator', TEXT, '', _3_1, _I),
    _F('contact', 'contact', TEXT, '', '', _I),
    _F('postcode', 'postcode', TEXT, '', _3_1, ''),
    _F('lau_code', 'local administrative unit (LAU)', TEXT, '', '', _I),
    _F('type', 'type of data centre', TEXT, '', '', _I,
       ('enterprise', 'colocation', 'co-hosting')),
    _F('structure', 'structure, or group that it belongs to', TEXT, '', '',
       _I),
    _F('started', 'year and month in which operation began', TEXT, '', '',
       _I),
    _F('redundancy_power_hv', 'redundancy of power, high voltage', TEXT, '',
       '', _I),
    _F('redundancy_power_lv', 'redundancy of power, low voltage', TEXT, '',
       '', _I),
    _F('redundancy_power_rack', 'redundancy of power, rack', TEXT, '', '',
       _I),
    _F('redundancy_cooling_room', 'redundancy of cooling, room', TEXT, '',
       '', _I),
    _F('redundancy_cooling_rack', 'redundancy of cooling, rack', TEXT, '',
       '', _I),
    _F('size_class_enefg', 'size class by nominal IT load', TEXT, '', _3_1,
       ''),
    _F('size_class_eu', 'size class by installed IT power', TEXT, '', '',
       'annex IV'),
    _F('building_area_m2', 'area of the building', NUMBER, 'm2', _3_1, ''),
    _F('nominal_it_load_kw', 'nominal IT load', NUMBER, 'kW', _3_1, ''),
    _F('connected_load_kw', 'non-redundant connected load', NUMBER, 'kW',
       _3_1, ''),
    _F('pd_it_kw', 'installed IT power', NUMBER, 'kW', '',
       'annex II PD_IT'),
    _F('s_dc_m2', 'total floor area', NUMBER, 'm2', '', 'annex II S_DC'),
    _F('s_cr_m2', 'floor area of computer rooms', NUMBER, 'm2', '',
       'annex II S_CR'),
    _F('e_dc_kwh', 'total energy, all carriers', NUMBER, 'kWh', '',
       'annex II E_DC'),
    _F('e_dc_bg_kwh', 'of it from back-up generators', NUMBER, 'kWh', '',
       'annex II E_DC-BG'),
    _F('electricity_kwh', 'electricity consumption, own generation included',
       NUMBER, 'kWh', _3_2, ''),
    _F('purchased_kwh', 'electricity purchased', NUMBER, 'kWh', _3_2, ''),
    _F('fed_in_kwh', 'electricity fed in', NUMBER, 'kWh', _3_2, ''),
    _F('e_it_kwh', 'energy of information technology', NUMBER, 'kWh', '',
       'annex II E_IT'),
    _F('e_res_tot_kwh', 'renewable energy, total', NUMBER, 'kWh', '',
       'annex II E_RES-TOT'),
    _F('e_res_goo_kwh', 'renewable energy, guarantees of origin', NUMBER,
       'kWh', '', 'annex II E_RES-GOO'),
    _F('e_res_ppa_kwh', 'renewable energy, power purchase agreements',
       NUMBER, 'kWh', '', 'annex II E_RES-PPA'),
    _F('e_res_os_kwh', 'renewable energy, own plant on site', NUMBER, 'kWh',
       '', 'annex II E_RES-OS'),
    _F('ref', 'renewable share', NUMBER, '1', _3_2, 'annex III REF'),
    _F('pue', 'power usage effectiveness', NUMBER, '1', _3_2,
       'annex III PUE'),
    _F('e_reuse_kwh', 'heat delivered for use outside', NUMBER, 'kWh', _3_2,
       'annex II E_REUSE'),
    _F('heat_delivered_c', 'mean temperature of heat delivered', NUMBER,
       'degC', _3_2, ''),
    _F('erf', 're-used share', NUMBER, '1', _3_2, 'annex III ERF'),
    _F('heat_released_kwh', 'waste heat released to air, water, ground',
       NUMBER, 'kWh', _3_2, ''),
    _F('heat_released_c', 'mean temperature of heat released', NUMBER,
       'degC', _3_2, ''),
    _F('t_wh_c', 'mean temperature of the waste heat fluid', NUMBER, 'degC',
       '', 'annex II T_WH'),
    _F('cer', 'cooling efficiency', NUMBER, '1', _3_2, ''),
    _F('t_in_c', 'mean set point of intake air of IT', NUMBER, 'degC', '',
       'annex II T_IN'),
    _F('refrigerants', 'types of refrigerants', LIST, '', '', 'annex II'),
    _F('cdd', 'cooling degree days, base 21 degC', NUMBER, 'K d', '',
       'annex II CDD'),
    _F('w_in_m3', 'water, all', NUMBER, 'm3', '', 'annex II W_IN'),
    _F('w_in_pot_m3', 'water, potable', NUMBER, 'm3', '',
       'annex II W_IN-POT'),
    _F('wue', 'water usage effectiveness', NUMBER, 'L/kWh', _3_2,
       'annex III WUE'),
    _F('data_stored_pb', 'data stored', NUMBER, 'PB', _3_2, ''),
    _F('data_processed_pb', 'data processed', NUMBER, 'PB', _3_2, ''),
    _F('c_serv', 'capacity of servers (SERT, active state)', NUMBER, '', '',
       'annex II C_SERV'),
    _F('c_stor_pb', 'capacity of storage, raw', NUMBER, 'PB', '',
       'annex II C_STOR'),
    _F('b_in_gb_s', 'bandwidth in', NUMBER, 'GB/s', '', 'annex II B_IN'),
    _F('b_out_gb_s', 'bandwidth out', NUMBER, 'GB/s', '', 'annex II B_OUT'),
    _F('traffic_in_eb', 'traffic in', NUMBER, 'EB', '',
       'annex II T_IN (traffic)'),
    _F('traffic_out_eb', 'traffic out', NUMBER, 'EB', '',
       'annex II T_OUT (traffic)'),
    _F('grid_functions', 'functions offered to the grid', LIST, '', '',
       'annex II'),
    _F('c_btg_kw', 'battery capacity offered to the grid', NUMBER, 'kW', '',
       'annex II C_BtG'))

DERIVED = frozenset({'size_class_enefg', 'size_class_eu', 'ref', 'pue',
                     'erf', 'cer', 'wue'})
"""Those that nobody may say: they follow from others."""

# Upper ends in MW, of EnEfG and of the regulation's annex IV.
_ENEFG = ('0.5', '1', '5', '10', '50', '100')
_EU = ('0.1', '0.5', '1', '2', '10')


@dataclasses.dataclass(frozen=True)
class Said:
    """A field of a record.

    :ivar value: a text, or a list of texts; a number is a decimal text;
        None: there is none.
    :ivar missing_because: '' where there is a value.
    :ivar source: ``operator``, or the meters and contracts.
    :ivar coverage, estimated: of what was measured; shares as texts.
    """

    field: Field
    value: Any
    missing_because: str = ''
    source: str = ''
    standard: str = ''
    coverage: str | None = None
    estimated: str | None = None
    notes: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class Measured:
    """What is known of a site's year.

    :ivar figures: by the editions of the law.
    :ivar instruments: of contracts, by what their amounts are called.
    """

    known: site_figures.Known
    figures: Sequence[site_figures.Found]
    instruments: Mapping[str, str]
    minimum_coverage: fractions.Fraction


def record(site: str, facts: Mapping[str, Any], measured: Measured,
           ) -> list[Said]:
    """All fields of a site, in their order."""
    found = _Record(site, facts, measured)
    return [found.said(field) for field in FIELDS]


class _Record:

    def __init__(self, site: str, facts: Mapping[str, Any],
                 measured: Measured) -> None:
        self._site, self._facts, self._measured = site, facts, measured
        known = measured.known
        self._amounts: Mapping[str, Callable[[], Amount | Missing]] = {
            'e_dc_kwh': known.e_dc,
            'e_dc_bg_kwh': lambda: known.amount('dc_generator'),
            'electricity_kwh': self._electricity,
            'purchased_kwh': lambda: known.amount('dc_total'),
            'fed_in_kwh': lambda: known.amount('grid_export'),
            'e_it_kwh': self._e_it,
            'e_reuse_kwh': lambda: known.amount('heat_reused'),
            'w_in_m3': lambda: known.amount('water_in'),
            'w_in_pot_m3': lambda: known.amount('water_potable'),
            'e_res_tot_kwh': lambda: self._renewable(None),
            'e_res_goo_kwh': lambda: self._renewable('go'),
            'e_res_ppa_kwh': lambda: self._renewable('ppa'),
            'e_res_os_kwh': lambda: self._renewable('onsite')}

    def said(self, field: Field) -> Said:
        if field.name == 'size_class_enefg':
            return self._size_class(field, 'nominal_it_load_kw', _ENEFG)
        if field.name == 'size_class_eu':
            return self._size_class(field, 'pd_it_kw', _EU)
        if field.name in DERIVED:
            return self._figure(field)
        why = NO_FACT.format(name=field.name, site=self._site)
        if field.name in self._amounts:
            measured = self._amount(field)
            if measured.value is not None:
                return measured
            why = measured.missing_because
        if field.name in self._facts:
            return Said(field, self._facts[field.name], source=OPERATOR)
        return Said(field, None, why)

    def _amount(self, field: Field) -> Said:
        try:
            amount = self._amounts[field.name]()
        except errors.FigureRefused as error:
            return Said(field, None, str(error))
        if isinstance(amount, Missing):
            return Said(field, None, str(amount))
        coverage = fractions.Fraction(amount.coverage)
        if not coverage or coverage < self._measured.minimum_coverage:
            return Said(
                field, None, f'{amount.role}: there are data of '
                f'{_share(coverage)} of the year only, and no figure is '
                'made of so few: add the readings that are missing')
        _, size = inputs.SHOWN[amount.unit]
        notes = tuple(remark for meter in amount.meters for remark
                      in self._measured.known.remarks.get(meter, ()))
        if field.name == 'e_it_kwh':
            notes = (f'PUE category {inputs.CATEGORIES[amount.role]}',
                     *notes)
        if field.name == 'electricity_kwh' and (
                site_figures.WHOLE, 'dc_generator') in (
                    self._measured.known.amounts):
            notes = ('without what generators made: see e_dc_bg_kwh',
                     *notes)
        return Said(
            field, _number(fractions.Fraction(amount.value, size)),
            source=', '.join(amount.meters), coverage=_share(coverage),
            estimated=_share(fractions.Fraction(amount.estimated)),
            notes=notes)

    def _electricity(self) -> Amount | Missing:
        """Without fuels and bought cold, which are no electricity."""
        known = self._measured.known
        there = [known.amount(role) for role in ('pv_onsite',)
                 if (site_figures.WHOLE, role) in known.amounts]
        back = [known.amount(role) for role in ('grid_export',)
                if (site_figures.WHOLE, role) in known.amounts]
        return inputs.e_dc([known.amount('dc_total'), *there], back)

    def _e_it(self) -> Amount | Missing:
        """Of the lowest category that is metered, which the EU wants."""
        known = self._measured.known
        for role in inputs.CATEGORIES:
            if (site_figures.WHOLE, role) in known.amounts:
                return known.amount(role)
        return known.amount(next(iter(inputs.CATEGORIES)))

    def _renewable(self, instrument: str | None) -> Amount | Missing:
        """What is retired for the site, by how it was bought."""
        renewable = self._measured.known.renewable
        if isinstance(renewable, Missing):
            return renewable
        if not renewable:
            return Missing('renewable', 'no attributes are known')
        return inputs.add('renewable', [
            one.amount if one.retired and instrument in (
                None, self._instrument(one.amount))
            else dataclasses.replace(one.amount, value=0, source=None)
            for one in renewable])

    def _instrument(self, amount: Amount) -> str:
        # What no contract is of is a plant of the site's own.
        return self._measured.instruments.get(amount.meters[0], 'onsite')

    def _figure(self, field: Field) -> Said:
        found = [one for one in self._measured.figures
                 if one.figure.figure.lower() == field.name
                 and not one.figure.section]
        if not found:
            return Said(field, None, 'no such figure was worked out')
        one = next((each for each in found
                    if each.figure.exact is not None), found[0])
        figure = one.figure
        if figure.exact is None:
            return Said(field, None, one.why, standard=figure.standard)
        notes = one.notes
        if figure.category is not None:
            notes = (f'category {figure.category}', *notes)
        return Said(
            field, _number(figure.exact), source=', '.join(figure.meters),
            standard=figure.standard,
            coverage=None if figure.coverage is None
            else _share(figure.coverage),
            estimated=None if figure.estimated is None
            else _share(figure.estimated), notes=notes)

    def _size_class(self, field: Field, of: str,
                    ends: Sequence[str]) -> Said:
        if of not in self._facts:
            return Said(field, None, f'{of} is not known: '
                        + NO_FACT.format(name=of, site=self._site))
        power = fractions.Fraction(self._facts[of]) / 1000
        for below, end in zip((None, *ends), (*ends, None), strict=True):
            if end is None or power < fractions.Fraction(end):
                text = (f'below {end} MW' if below is None
                        else f'{below} MW and above' if end is None
                        else f'{below} to below {end} MW')
                return Said(field, text, source=OPERATOR)
        raise ValueError(power)


def rows(found: Sequence[Said]) -> Iterator[dict[str, Any]]:
    """As they are written."""
    for one in found:
        yield {
            'field': one.field.name, 'label': one.field.label,
            'enefg': one.field.enefg or None, 'eu': one.field.eu or None,
            'unit': one.field.unit or None, 'value': one.value,
            'missing_because': one.missing_because or None,
            'source': one.source or None, 'standard': one.standard or None,
            'coverage': one.coverage, 'estimated': one.estimated,
            'notes': list(one.notes)}


def _number(exact: fractions.Fraction) -> str:
    return format(figures.rounded(exact, figures.PLACES), 'f')


def _share(exact: fractions.Fraction) -> str:
    return format(figures.rounded(exact, 4), 'f')
