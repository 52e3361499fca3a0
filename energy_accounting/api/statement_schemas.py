# SPDX-License-Identifier: Apache-2.0
"""JSON Schema of the endpoints of statements and tariffs.

Part of ``schemas.ENDPOINTS``, as it says there.
"""

from __future__ import annotations

from collections.abc import Mapping

from energy_accounting import tariffs
from energy_accounting.api import forms
from energy_accounting.facility import supply
from energy_accounting.ledger import statements as store

MAX_PROJECTS = 100
FORMATS = {'json': 'application/json', 'csv': 'text/csv',
           'html': 'text/html', 'pdf': 'application/pdf'}
LANGUAGES = ('en', 'de')

_TEXT, _NULL = forms.text, forms.null
_MOMENT = 'ISO 8601 time with Z or an offset'
_PLUS = f'{_MOMENT} (write + as %2B)'
_NAMED = _NULL(forms.NAME)
_DECIMAL_OR_NONE = _NULL(forms.DECIMAL)
_KWH_OR_NONE = _NULL(forms.KWH)
_PERIOD = {'type': 'string', 'pattern': '^20[0-9]{2}(-(0[1-9]|1[0-2]))?$',
           'description': 'month or year, such as 2026-10 or 2026'}
_ZONE = _TEXT('name of the IANA time zone that its days and edges are of, '
              'such as Europe/Berlin; the default is UTC')
_REVISION = {'type': 'string', 'pattern': '^[0-9]{1,9}$', 'description':
             'number of a revision, 0 for the provisional one; the default '
             'is the newest'}
_PAGE = {
    'limit': forms.LIMIT, 'marker': forms.MARKER,
    'with_count': {**forms.FLAG, 'description':
                   'true or false: whether to count the rows of all pages'}}
_DIGEST = {'type': 'string', 'pattern': '^[0-9a-f]{64}$',
           'description': 'SHA-256 of the canonical JSON document'}
_COST = {**_DECIMAL_OR_NONE, 'description':
         'in the currency; null: not known, or nothing is charged'}

_QUALITY = forms.record(dict.fromkeys(
    ('measured', 'backfilled', 'estimated'), forms.SHARE))
_AMOUNTS = {
    'active_kwh': forms.KWH, 'idle_kwh': forms.KWH,
    'memory_kwh': _KWH_OR_NONE, 'host_kwh': forms.KWH,
    'platform_kwh': _KWH_OR_NONE, 'it_kwh': forms.KWH,
    'facility_kwh': _KWH_OR_NONE, 'pue': _DECIMAL_OR_NONE,
    'co2_location_kg': _DECIMAL_OR_NONE, 'co2_market_kg': _DECIMAL_OR_NONE,
    'cue_kg_per_kwh': _DECIMAL_OR_NONE, 'water_l': _DECIMAL_OR_NONE,
    'renewable_share': _NULL(forms.SHARE)}
_KINDS = {
    'pue_kind': _NULL({'enum': [*supply.KINDS, supply.MIXED]}),
    'peak_kw': _DECIMAL_OR_NONE, 'coverage': _NULL(forms.SHARE),
    'boundary': _NAMED, 'quality': _QUALITY, 'policy': _NAMED,
    **{name: _NULL({'enum': [*known, supply.MIXED]}) for name, known in (
        ('factor_quality', supply.QUALITIES),
        ('factor_basis', supply.BASES),
        ('market_factor_quality', supply.QUALITIES),
        ('market_factor_basis', supply.BASES))}}

_ROW = {
    'id': {'type': 'string', 'format': 'uuid', 'description':
           'the same of all revisions'},
    'revision': {**forms.COUNT, 'description': '0: provisional'},
    'state': {'enum': list(store.STATES)}, 'project_id': _NAMED,
    'project_name': _NAMED, 'domain_id': _NAMED, 'period': _PERIOD,
    'timezone': forms.NAME, 'start': forms.TIME, 'end': forms.TIME,
    'instances': forms.COUNT, 'lines': forms.COUNT, **_AMOUNTS, **_KINDS,
    'currency': _NAMED, 'cost': _COST, 'digest': _DIGEST,
    'created_at': forms.TIME,
    'as_of': {**forms.TIME, 'description':
              'factors, claims and tariffs as they were known then'},
    'complete_until': _NULL(forms.TIME)}
_WINDOW = forms.record({
    'days': {'type': 'array', 'items': {'enum': list(tariffs.DAYS)}},
    'start': forms.NAME, 'end': forms.NAME,
    'price_per_kwh': forms.DECIMAL})
_FACTOR = {
    'type': 'object', 'required': ['kind', 'site'],
    'additionalProperties': False,
    'properties': {'site': forms.NAME, 'kind': forms.NAME} | dict.fromkeys((
        'method', 'carrier', 'basis', 'signal', 'unit',
        'quality', 'provider', 'source', 'revision', 'zone', 'start', 'end',
        'values', 'lowest', 'highest', 'digest', 'pue_kind', 'instrument',
        'share', 'kg_per_kwh', 'renewable', 'retired'), _NAMED)}
_USED_TARIFF = forms.record({
    'name': forms.NAME, 'legal_basis': forms.NAME, 'start': forms.TIME,
    'end': forms.TIME, 'currency': forms.NAME,
    'quantity': {'enum': list(tariffs.QUANTITIES)},
    'price_per_kwh': forms.DECIMAL, 'co2_price_per_kg': _DECIMAL_OR_NONE,
    'co2_method': _NULL({'enum': list(tariffs.METHODS)}),
    'time_zone': forms.NAME, 'windows': {'type': 'array', 'items': _WINDOW},
    'site': _NAMED, 'project_id': _NAMED, 'domain_id': _NAMED})
_SHOWN = forms.record({
    **_ROW, 'format': forms.NAME,
    'factors': {'type': 'array', 'items': _FACTOR},
    'tariffs': {'type': 'array', 'items': _USED_TARIFF},
    'notices': {'type': 'array', 'items': forms.NAME},
    'revisions': {'type': 'array', 'items': forms.record({
        'revision': forms.COUNT, 'state': {'enum': list(store.STATES)},
        'digest': _DIGEST, 'created_at': forms.TIME, 'it_kwh': forms.KWH,
        'cost': _COST})}})

_LIST_QUERY = forms.query({
    'project': _TEXT('id of a project; the default is that of the token'),
    'all_projects': {**forms.FLAG, 'description':
                     'true or false: of all projects, and of what belongs '
                     'to none; operators and billing only'},
    'domain': _TEXT('id of a domain; operators and billing only'),
    'period': _PERIOD, 'timezone': _ZONE,
    'state': forms.choice(store.STATES, 'how far it is closed'),
    'start': _TEXT(f'{_PLUS}: those that end later'),
    'end': _TEXT(f'{_PLUS}: those that begin before'),
    'revisions': {'type': 'string', 'enum': ['all'], 'description':
                  'all: with those that are not the newest'}, **_PAGE})
_LIST = forms.response({
    'statements': {'type': 'array', 'items': forms.record(_ROW)},
    'links': forms.LINKS, 'count': forms.COUNT}, optional=('count',))
_CLOSE = forms.body({
    'period': _PERIOD, 'timezone': _ZONE,
    'projects': {
        'type': 'array', 'minItems': 1, 'maxItems': MAX_PROJECTS,
        'uniqueItems': True, 'items': {'type': 'string', 'minLength': 1,
                                       'maxLength': 255},
        'description': f'from 1 to {MAX_PROJECTS} ids of projects'},
    'all_projects': {'type': 'boolean', 'description':
                     'true or false: every project that has something in '
                     'the period, and what belongs to none'},
    'another_timezone': {'type': 'boolean', 'description':
                         'true or false: also where the period is closed in '
                         'another time zone; both statements stay'}},
    optional=('timezone', 'projects', 'all_projects', 'another_timezone'))
_CLOSED = forms.response({'statements': {
    'type': 'array', 'items': forms.record({
        **_ROW, 'outcome': {
            'enum': ['created', 'unchanged', 'replaced', 'waiting'],
            'description': 'waiting: it would differ from what is final, '
                           'but not every host has reported'}})}})

_LINE = forms.record({
    'day': {'type': 'string', 'format': 'date'}, 'start': forms.TIME,
    'end': forms.TIME, 'instance_id': _NAMED, 'account': forms.NAME,
    'flavor': _NAMED, 'site': forms.NAME, 'region': _NAMED, **_AMOUNTS,
    **_KINDS, 'priced_kwh': _KWH_OR_NONE,
    'priced_quantity': _NULL({'enum': list(tariffs.QUANTITIES)}),
    'price_per_kwh': _DECIMAL_OR_NONE, 'cost': _COST},
    optional=('priced_kwh', 'priced_quantity', 'price_per_kwh', 'cost'))
_LINES = forms.response({
    'lines': {'type': 'array', 'items': _LINE}, 'links': forms.LINKS,
    'count': forms.COUNT}, optional=('count',))

_CHANGE = {
    **dict.fromkeys(('active_kwh', 'idle_kwh', 'memory_kwh', 'host_kwh',
                     'platform_kwh', 'it_kwh', 'facility_kwh'),
                    _KWH_OR_NONE),
    **dict.fromkeys(('co2_location_kg', 'co2_market_kg', 'water_l'),
                    _DECIMAL_OR_NONE), 'cost': _COST}
_END = _NULL(forms.record({'it_kwh': forms.KWH,
                           'facility_kwh': _KWH_OR_NONE, 'cost': _COST}))
_DIFFERENCES = forms.response({
    'difference': forms.record({
        'from_revision': forms.COUNT, 'to_revision': forms.COUNT, **_CHANGE,
        'currency': _NAMED, 'parts': {'type': 'array', 'items': forms.NAME,
                                      'description': 'what differs beside '
                                                     'totals and lines'}}),
    'lines': {'type': 'array', 'items': forms.record({
        'day': forms.NAME, 'instance_id': _NAMED, 'account': forms.NAME,
        'flavor': _NAMED, 'site': forms.NAME, **_CHANGE, 'was': _END,
        'became': _END})},
    'links': forms.LINKS})


# --- tariffs ----------------------------------------------------------------

_PRICE = {'type': 'string', 'pattern': r'^[0-9]{1,12}(\.[0-9]{1,12})?$'}


def _price(description: str) -> forms.Schema:
    return {**_PRICE, 'description': f'{description}: a decimal in a string '
            'with at most 12 places, such as "0.2875"'}


_CLOCK = {'type': 'string', 'pattern': '^([01][0-9]|2[0-4]):(00|15|30|45)$'}
_SAID = {
    'name': _TEXT('what it is called'),
    'start': _TEXT(f'{_MOMENT}, on a quarter of an hour: its first moment'),
    'end': _TEXT(f'{_MOMENT}, on a quarter of an hour and after start; not '
                 'included; without one it counts on'),
    'currency': {'type': 'string', 'pattern': '^[A-Z]{3}$',
                 'description': 'code of ISO 4217, such as EUR'},
    'quantity': forms.choice(tariffs.QUANTITIES, 'the energy that is priced: '
                             'that of the instances, or of the building'),
    'price_per_kwh': _price('price of a kWh'),
    'windows': {
        'type': 'array', 'maxItems': tariffs.MAX_WINDOWS, 'description':
            'other prices in hours of the week: a list of objects with '
            'days, start, end, price_per_kwh',
        'items': forms.record({
            'days': {'type': 'array', 'minItems': 1, 'uniqueItems': True,
                     'items': {'enum': list(tariffs.DAYS)}, 'description':
                     f'days of the week: {", ".join(tariffs.DAYS)}'},
            'start': {**_CLOCK, 'description':
                      'local time of the day, such as 22:00'},
            'end': {**_CLOCK, 'description':
                    'local time after start, at most 24:00'},
            'price_per_kwh': _price('price of a kWh then')})},
    'timezone': _TEXT('name of the IANA time zone of the windows, such as '
                      'Europe/Berlin; the default is UTC'),
    'co2_price_per_kg': _price('price of a kg CO2e'),
    'co2_method': forms.choice(tariffs.METHODS, 'the CO2 that is priced'),
    'site': _TEXT('name of a site; without one, of all'),
    'project': _TEXT('id of a project; without one, of all'),
    'domain': _TEXT('id of a domain; without one, of all'),
    'legal_basis': _TEXT('the contract or the decree by which this is '
                         'charged', maxLength=1024)}
_TARIFF = forms.record({
    'id': {'type': 'integer'}, 'name': forms.NAME, 'start': forms.TIME,
    'end': _NULL(forms.TIME), 'currency': forms.NAME,
    'quantity': {'enum': list(tariffs.QUANTITIES)},
    'price_per_kwh': forms.DECIMAL,
    'windows': {'type': 'array', 'items': _WINDOW}, 'timezone': forms.NAME,
    'co2_price_per_kg': _DECIMAL_OR_NONE,
    'co2_method': _NULL({'enum': list(tariffs.METHODS)}), 'site': _NAMED,
    'project_id': _NAMED, 'domain_id': _NAMED, 'legal_basis': forms.NAME,
    'recorded_at': forms.TIME, 'superseded_at': {
        **_NULL(forms.TIME), 'description': 'since when it counts no more'}})
_TARIFFS_QUERY = forms.query({
    'site': _TEXT('name of a site'), 'project': _TEXT('id of a project'),
    'domain': _TEXT('id of a domain'),
    'start': _TEXT(f'{_PLUS}: those that count then or later'),
    'end': _TEXT(f'{_PLUS}: those that count before'),
    'as_of': _TEXT(f'{_PLUS}, not in the future: as they were known then; '
                   'the default is now'),
    'superseded': {**forms.FLAG, 'description':
                   'true or false: those too that count no more'}, **_PAGE})

STATEMENTS = '/v1/statements'
STATEMENT = '/v1/statements/{id}'
LINES = '/v1/statements/{id}/lines'
DIFFERENCES = '/v1/statements/{id}/differences'
DOCUMENT = '/v1/statements/{id}/document'
TARIFFS = '/v1/tariffs'
TARIFF = '/v1/tariffs/{id}'

_PATH = {'id': _TEXT('id of the statement')}
_NO_QUERY = forms.query({})

ENDPOINTS: Mapping[tuple[str, str], forms.Endpoint] = {
    ('GET', STATEMENTS): forms.Endpoint(
        'Closed statements, in the order in which they were closed first',
        _LIST_QUERY, _LIST),
    ('POST', STATEMENTS): forms.Endpoint(
        'Close a month or a year of projects; the same again changes '
        'nothing', _NO_QUERY, _CLOSED, body=_CLOSE),
    ('GET', STATEMENT): forms.Endpoint(
        'A statement without its lines', forms.query({
            'revision': _REVISION}), forms.response({'statement': _SHOWN}),
        path_parameters=_PATH),
    ('GET', LINES): forms.Endpoint(
        'The lines of a statement: one of each instance and day',
        forms.query({'revision': _REVISION, **_PAGE}), _LINES,
        path_parameters=_PATH),
    ('GET', DIFFERENCES): forms.Endpoint(
        'How a revision differs from an earlier one', forms.query({
            'revision': _REVISION,
            'from_revision': {**_REVISION, 'description':
                              'number of the revision that it is held '
                              'against; the default is the one before'},
            'limit': forms.LIMIT, 'marker': forms.MARKER}), _DIFFERENCES,
        path_parameters=_PATH),
    ('GET', DOCUMENT): forms.Endpoint(
        'A statement as a document', forms.query({
            'revision': _REVISION,
            'format': forms.choice(tuple(FORMATS), 'what the document is; '
                                   'the default is json, the canonical '
                                   'content that the digest is of'),
            'language': forms.choice(LANGUAGES, 'language of a document '
                                     'that people read; the default is what '
                                     'Accept-Language asks for')}),
        {'type': 'string'}, path_parameters=_PATH,
        media=tuple(FORMATS.values())),
    ('GET', TARIFFS): forms.Endpoint(
        'Tariffs, in the order in which they were recorded', _TARIFFS_QUERY,
        forms.response({
            'tariffs': {'type': 'array', 'items': _TARIFF},
            'links': forms.LINKS, 'count': forms.COUNT},
            optional=('count',))),
    ('POST', TARIFFS): forms.Endpoint(
        'Record a tariff', _NO_QUERY, forms.response({'tariff': _TARIFF}),
        body=forms.body(_SAID, optional=(
            'end', 'windows', 'timezone', 'co2_price_per_kg', 'co2_method',
            'site', 'project', 'domain')), status=201),
    ('DELETE', TARIFF): forms.Endpoint(
        'Let a tariff count no more', _NO_QUERY, None, status=204,
        path_parameters={'id': _TEXT('id of the tariff')}),
}
