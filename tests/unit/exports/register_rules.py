# SPDX-License-Identifier: Apache-2.0
"""What EnEfG annex 3 and Regulation (EU) 2024/1364 ask for, as a check.

Written from the two texts; knows nothing of who writes records.
"""

from __future__ import annotations

import decimal
import re
from collections.abc import Iterator, Mapping
from typing import Any

# What annex 3 of the EnEfG lists, no. 1 and no. 2, by the words of the law.
ENEFG = {
    1: {'name', 'owner', 'operator', 'size_class_enefg', 'postcode',
        'building_area_m2', 'nominal_it_load_kw', 'connected_load_kw'},
    2: {'electricity_kwh', 'purchased_kwh', 'fed_in_kwh', 'ref',
        'heat_released_kwh', 'heat_released_c', 'e_reuse_kwh',
        'heat_delivered_c', 'data_stored_pb', 'data_processed_pb', 'pue',
        'erf', 'cer', 'wue'}}
# Symbol of annex II and III: unit.
EU = {
    'PD_IT': 'kW', 'S_DC': 'm2', 'S_CR': 'm2', 'E_DC': 'kWh',
    'E_DC-BG': 'kWh', 'E_IT': 'kWh', 'C_BtG': 'kW', 'W_IN': 'm3',
    'W_IN-POT': 'm3', 'E_REUSE': 'kWh', 'T_WH': 'degC', 'T_IN': 'degC',
    'CDD': 'K d', 'E_RES-TOT': 'kWh', 'E_RES-GOO': 'kWh',
    'E_RES-PPA': 'kWh', 'E_RES-OS': 'kWh', 'C_SERV': None, 'C_STOR': 'PB',
    'B_IN': 'GB/s', 'B_OUT': 'GB/s', 'T_IN (traffic)': 'EB',
    'T_OUT (traffic)': 'EB', 'PUE': '1', 'WUE': 'L/kWh', 'ERF': '1',
    'REF': '1'}
ANNEX_I = {'name', 'owner', 'operator', 'contact', 'lau_code', 'type',
           'structure', 'started', 'redundancy_power_hv',
           'redundancy_power_lv', 'redundancy_power_rack',
           'redundancy_cooling_room', 'redundancy_cooling_rack'}
# Ratios, by annex III: figure, top, bottom, factor.
RATIOS = (('pue', 'e_dc_kwh', 'e_it_kwh', 1),
          ('wue', 'w_in_m3', 'e_it_kwh', 1000),
          ('erf', 'e_reuse_kwh', 'e_dc_kwh', 1),
          ('ref', 'e_res_tot_kwh', 'e_dc_kwh', 1))
# Upper ends in MW.
CLASSES = {'size_class_enefg': ('nominal_it_load_kw', (
               '0.5', '1', '5', '10', '50', '100')),
           'size_class_eu': ('pd_it_kw', ('0.1', '0.5', '1', '2', '10'))}
_TOLERANCE = decimal.Decimal('0.000001')


def faults(site: Mapping[str, Any]) -> Iterator[str]:
    """What a site's record breaks."""
    rows = {row['field']: row for row in site['fields']}
    if len(rows) < len(site['fields']):
        yield 'a field is there twice'
    for number, names in ENEFG.items():
        has = {name for name, row in rows.items()
               if row['enefg'] == f'annex 3 no. {number}'}
        if has != names:
            yield f'annex 3 no. {number}: {sorted(has ^ names)}'
    has = {name for name, row in rows.items() if row['eu'] == 'annex I'}
    if has != ANNEX_I:
        yield f'annex I: {sorted(has ^ ANNEX_I)}'
    units = {match[1]: row['unit'] for row in rows.values()
             if (match := re.fullmatch('annex II{1,2} (.+)',
                                       row['eu'] or ''))}
    if units != EU:
        yield f'annexes II, III: {units.items() ^ EU.items()}'
    for name, row in rows.items():
        if (row['value'] is None) == (row['missing_because'] is None):
            yield f'{name}: value and reason, or neither'
        elif row['value'] is not None and not row['source']:
            yield f'{name}: nobody says it'
    yield from _numbers(rows)


def _numbers(rows: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    values = {name: decimal.Decimal(row['value'])
              for name, row in rows.items() if row['value'] is not None
              and row['unit'] is not None}
    for figure, top, bottom, factor in RATIOS:
        if {figure, top, bottom} <= {*values}:
            exact = values[top] * factor / values[bottom]
            if abs(exact - values[figure]) > _TOLERANCE:
                yield f'{figure}: {values[figure]}, not {exact}'
    for name, least, most in (('pue', 1, None), ('ref', 0, 1),
                              ('erf', 0, 1)):
        if name in values and (values[name] < least or (
                most is not None and values[name] > most)):
            yield f'{name}: {values[name]} is none'
        if name in values and not rows[name]['standard']:
            yield f'{name}: by which standard?'
    parts = ['e_res_goo_kwh', 'e_res_ppa_kwh', 'e_res_os_kwh']
    if {*parts, 'e_res_tot_kwh'} <= {*values} and sum(
            values[part] for part in parts) > values['e_res_tot_kwh']:
        yield 'e_res_tot_kwh: less than its parts'
    for name, (of, ends) in CLASSES.items():
        text = rows[name]['value']
        if (text is None) != (of not in values):
            yield f'{name}: {text}, and {of} is {values.get(of)}'
        elif text is not None:
            above = sum(values[of] >= decimal.Decimal(end) * 1000
                        for end in ends)
            if re.findall('[0-9.]+', text) != [*ends[max(above - 1, 0)
                                                     if above else 0:
                                                     above + 1]]:
                yield f'{name}: {text} for {values[of]} kW'
