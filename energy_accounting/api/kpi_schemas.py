# SPDX-License-Identifier: Apache-2.0
"""JSON Schema of the endpoint of key figures.

Part of ``schemas.ENDPOINTS``, as it says there.
"""

from __future__ import annotations

from collections.abc import Mapping

from energy_accounting.api import forms
from energy_accounting.facility import editions, factors

LAWS = ('enefg',)
"""Whose limits can be shown; they are data of the package."""

_TEXT = forms.text
_MOMENT = 'ISO 8601 time with Z or an offset (write + as %2B)'
_FIGURE = {'type': 'string', 'pattern': r'^-?[0-9]+\.[0-9]{6}$',
           'description': 'rounded once, half to even'}
_DAY = {'type': 'string', 'format': 'date'}
_TERM = forms.record({'name': forms.NAME, 'value': forms.DECIMAL,
                      'unit': forms.NAME})
_LIMIT = forms.record({
    'most': forms.null(forms.DECIMAL), 'least': forms.null(forms.DECIMAL),
    'legal_basis': forms.NAME,
    'text': {**_DAY, 'description': 'the version of the text'},
    'valid_from': _DAY, 'valid_until': forms.null(_DAY),
    'started_from': forms.null(_DAY), 'started_before': forms.null(_DAY),
    'years_to_meet': forms.COUNT,
    'binds': {**forms.null({'type': 'boolean'}), 'description':
              'the site, on the last day of the period; null: not known'},
    'why': {**forms.null(forms.NAME), 'description':
            'why it is not known'},
    'kept': {**forms.null({'type': 'boolean'}), 'description':
             'null: only an annual figure of a whole site can tell'}})

_KPI = forms.record({
    'figure': {'enum': list(editions.EDITIONS)},
    'name': {**forms.NAME, 'description':
             'with the prefixes of interim (i) and partial (p) figures'},
    'value': {**forms.null(_FIGURE), 'description':
              'null: see why'},
    'unit': forms.NAME,
    'category': forms.null({'type': 'integer'}),
    'method': {**forms.null({'enum': list(factors.METHODS)}), 'description':
               'by which a CUE has its CO2 (GHG Protocol, scope 2)'},
    'section': {**forms.null(forms.NAME), 'description':
                'part of the site; null: all of it'},
    'standard': {**forms.NAME, 'description': 'its edition'},
    'start': forms.TIME, 'end': forms.TIME,
    'coverage': {**forms.null(forms.SHARE), 'description':
                 'share of the period with data, of the worst input'},
    'estimated': {**forms.null(forms.SHARE), 'description':
                  'share that nobody measured, of the worst input'},
    'numerator': forms.null(_TERM), 'denominator': forms.null(_TERM),
    'meters': {**forms.null({'type': 'array', 'items': forms.record({
        'name': forms.NAME, 'accuracy_class': forms.null(forms.NAME)})}),
        'description': 'what was read: meters, contracts, hosts; null for '
                       'those who may not know them'},
    'reading_seconds': {**forms.null(forms.COUNT), 'description':
                        'the longest time between two readings'},
    'missing': {'type': 'array', 'items': forms.record({
        'input': forms.NAME, 'why': forms.NAME})},
    'why': {**forms.null(forms.NAME), 'description':
            'why there is no value; null: there is one'},
    'notes': {'type': 'array', 'items': forms.NAME},
    'limits': {**forms.null({'type': 'array', 'items': _LIMIT}),
               'description': 'null: none were asked for'}})

_KPIS = forms.response({
    'kpis': {'type': 'array', 'items': _KPI}, 'site': forms.NAME,
    'start': forms.TIME, 'end': forms.TIME, 'time_zone': forms.NAME,
    'minimum_coverage': forms.DECIMAL, 'as_of': forms.TIME,
    'calculated_at': forms.TIME, 'calculated_by': forms.NAME,
    'rounding': forms.NAME})

_QUERY = forms.query({
    'start': _TEXT(f'{_MOMENT}, on a quarter of an hour, given together '
                   'with end; the default is the twelve last whole months '
                   'in the time zone of the site'),
    'end': _TEXT(f'{_MOMENT}, on a quarter of an hour, after start and at '
                 'most a year later; not included'),
    'editions': forms.choice(tuple(editions.SETS),
                             'which editions of the standards; the default '
                             'is iso'),
    'category': forms.choice(('1', '2', '3'), 'where IT energy is measured; '
                             'the default is each that has meters'),
    'as_of': _TEXT(f'{_MOMENT}, not in the future: what was learnt later is '
                   'not used; the default is now'),
    'minimum_coverage': {
        'type': 'string', 'pattern': r'^(0(\.[0-9]{1,6})?|1(\.0{1,6})?)$',
        'description': 'share from 0 to 1 with at most six decimal places: '
                       'an input with less data is refused; the default is '
                       '0.95'},
    'law': forms.choice(LAWS, 'whose limits are shown beside the figures'),
    'started': _TEXT('date on which the site began operation, such as '
                     '2019-04-01, for limits that depend on it')})

KPIS = '/v1/sites/{name}/kpis'

ENDPOINTS: Mapping[tuple[str, str], forms.Endpoint] = {
    ('GET', KPIS): forms.Endpoint(
        'The key figures of a site', _QUERY, _KPIS,
        path_parameters={'name': _TEXT('name of the site')}),
}
