# SPDX-License-Identifier: Apache-2.0
"""JSON Schema of the endpoints of factors and contracts.

Part of ``schemas.ENDPOINTS``, as it says there.
"""

from __future__ import annotations

from collections.abc import Mapping

from energy_accounting.api import forms
from energy_accounting.facility import contracts, factors

MAX_BATCH = 50_000

_TEXT = forms.text
_MOMENT = 'ISO 8601 time with Z or an offset'
_PLUS = f'{_MOMENT} (write + as %2B)'
_VALUE = {'type': 'string', 'pattern': r'^[0-9]{1,30}(\.[0-9]{1,30})?$'}
_PAGE = {
    'start': _TEXT(f'{_PLUS}: those that count then or later'),
    'end': _TEXT(f'{_PLUS}: those that count before'),
    'as_of': _TEXT(f'{_PLUS}, not in the future: as they were known then; '
                   'the default is now'),
    'superseded': {**forms.FLAG, 'description':
                   'true or false: those too that count no more'},
    'limit': forms.LIMIT, 'marker': forms.MARKER,
    'with_count': {**forms.FLAG, 'description':
                   'true or false: whether to count the rows of all pages'}}
_SUPERSEDED = {**forms.null(forms.TIME), 'description':
               'since when it counts no more'}
_SITE = _TEXT('name of a site')


def _value(description: str) -> forms.Schema:
    return {**_VALUE, 'description': f'{description}, a decimal in a string, '
            'such as "363" or "0.25" (a number of JSON would be rounded)'}


# --- factors ----------------------------------------------------------------

_OF = {
    'kind': forms.choice(factors.KINDS, 'what it is'),
    'zone': _TEXT('grid zone, such as DE', maxLength=64),
    'site': _SITE,
    'carrier': forms.choice(factors.CARRIERS, 'what energy comes as'),
    'basis': forms.choice(factors.BASES, 'what of the emissions it holds'),
    'method': forms.choice(factors.METHODS, 'of the grid, or the residual '
                                            'mix of what was bought'),
    'signal': forms.choice(factors.SIGNALS, 'of all power, or of the next'),
    'quality': forms.choice(factors.QUALITIES, 'how sure it is')}

_FACTORS_QUERY = forms.query({
    **_OF, 'provider': _TEXT('who brought it: a provider, or operator'),
    **_PAGE})
_FACTORS = forms.response({
    'factors': {'type': 'array', 'items': forms.record({
        'id': {'type': 'integer'}, 'kind': {'enum': list(factors.KINDS)},
        'zone': forms.null(forms.NAME), 'site': forms.null(forms.NAME),
        'carrier': {'enum': list(factors.CARRIERS)},
        **{name: forms.null({'enum': list(known)}) for name, known in (
            ('basis', factors.BASES), ('method', factors.METHODS),
            ('signal', factors.SIGNALS))},
        'start': forms.TIME, 'end': forms.TIME, 'value': _VALUE,
        'unit': {'enum': [*factors.UNITS.values()]},
        'quality': {'enum': list(factors.QUALITIES)},
        'provider': forms.NAME, 'source': forms.NAME,
        'revision': forms.null(forms.NAME), 'retrieved_at': forms.TIME,
        'recorded_at': forms.TIME, 'superseded_at': _SUPERSEDED})},
    'links': forms.LINKS, 'count': forms.COUNT}, optional=('count',))

_FACTORS_CREATE = forms.body({
    'factors': {
        'type': 'array', 'minItems': 1, 'maxItems': MAX_BATCH,
        'description': f'from 1 to {MAX_BATCH} factors, each with start, '
                       'end, value, source, and zone or site',
        'items': forms.record({
            'start': _TEXT(f'{_MOMENT}: its first moment'),
            'end': _TEXT(f'{_MOMENT}, after start; not included'),
            'value': _value('from 0 on'),
            'source': _TEXT('where the value can be looked up',
                            maxLength=1024),
            **_OF,
            'unit': _TEXT('that of its kind: '
                          + ', '.join(factors.UNITS.values())),
            'revision': _TEXT('as its source counts')},
            optional=(*_OF, 'unit', 'revision'))},
    'replace': {'type': 'boolean', 'description':
                'true or false: whether to supersede what is recorded of '
                'the same time and quality; the default is false'}},
    optional=('replace',))
_RECORDED = forms.response({'factors': forms.record({
    'stored': forms.COUNT, 'superseded': forms.COUNT,
    'unchanged': {**forms.COUNT, 'description':
                  'as they were recorded already'}})})


# --- contracts --------------------------------------------------------------

_SAID_OF_CONTRACT = {
    'instrument': forms.choice(contracts.INSTRUMENTS, 'what was bought'),
    'start': _TEXT(f'{_MOMENT}: its first moment'),
    'end': _TEXT(f'{_MOMENT}, after start; not included'),
    'share': _value('of what the grid delivers, above 0 and at most 1'),
    'kg_per_kwh': _value('kg CO2(e) a kWh'),
    'basis': forms.choice(factors.BASES, 'what of the emissions it holds'),
    'renewable': {'type': 'boolean', 'description':
                  'true or false: whether its energy is renewable'},
    'retired': {'type': 'boolean', 'description':
                "true or false: whether its attributes are the site's own "
                'and used up'},
    'evidence': _TEXT('where the contract or its certificates can be found',
                      maxLength=1024)}
_CONTRACT = forms.record({
    'id': {'type': 'integer'}, 'site': forms.NAME,
    'instrument': {'enum': list(contracts.INSTRUMENTS)},
    'start': forms.TIME, 'end': forms.TIME, 'share': _VALUE,
    'kg_per_kwh': _VALUE, 'basis': {'enum': list(factors.BASES)},
    'renewable': {'type': 'boolean'}, 'retired': {'type': 'boolean'},
    'evidence': forms.NAME, 'recorded_at': forms.TIME,
    'superseded_at': _SUPERSEDED})
_CONTRACTS = forms.response(
    {'contracts': {'type': 'array', 'items': _CONTRACT},
     'links': forms.LINKS, 'count': forms.COUNT}, optional=('count',))
_SITE_PATH = {'name': _SITE}

FACTORS = '/v1/factors'
FACTOR = '/v1/factors/{id}'
CONTRACTS = '/v1/sites/{name}/contracts'
CONTRACT = '/v1/sites/{name}/contracts/{id}'

_NO_QUERY = forms.query({})

ENDPOINTS: Mapping[tuple[str, str], forms.Endpoint] = {
    ('GET', FACTORS): forms.Endpoint(
        'Factors, in the order in which they were recorded', _FACTORS_QUERY,
        _FACTORS),
    ('POST', FACTORS): forms.Endpoint(
        'Record a batch of factors: all of it, or nothing', _NO_QUERY,
        _RECORDED, body=_FACTORS_CREATE, status=201),
    ('DELETE', FACTOR): forms.Endpoint(
        'Let a factor count no more', _NO_QUERY, None, status=204,
        path_parameters={'id': _TEXT('id of the factor')}),
    ('GET', CONTRACTS): forms.Endpoint(
        'What a site bought', forms.query({
            'basis': _OF['basis'],
            'instrument': _SAID_OF_CONTRACT['instrument'], **_PAGE}),
        _CONTRACTS, path_parameters=_SITE_PATH),
    ('POST', CONTRACTS): forms.Endpoint(
        'Record what a site bought', _NO_QUERY,
        forms.response({'contract': _CONTRACT}), path_parameters=_SITE_PATH,
        body=forms.body(_SAID_OF_CONTRACT,
                        optional=('renewable', 'retired')), status=201),
    ('DELETE', CONTRACT): forms.Endpoint(
        'Let a contract count no more', _NO_QUERY, None, status=204,
        path_parameters={**_SITE_PATH, 'id': _TEXT('id of the contract')}),
}
