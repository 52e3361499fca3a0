# SPDX-License-Identifier: Apache-2.0
"""JSON Schema (2020-12) of every endpoint, in and out.

:data:`ENDPOINTS` is the one list that validation, the OpenAPI document and
the tests are made of.  The description of a parameter, and of a field of a
body, doubles as the remedy in the error about it.  Rules that join several
parameters do not belong here (see ``parameters.py``).
"""

from __future__ import annotations

from collections.abc import Mapping

from energy_accounting import units
from energy_accounting.api import (
    export_schemas,
    factor_schemas,
    forms,
    kpi_schemas,
    meter_schemas,
    statement_schemas,
)
from energy_accounting.facility import supply
from energy_accounting.ledger import audit, hosts, models, queries, received

Schema = forms.Schema
Endpoint = forms.Endpoint
DIALECT = forms.DIALECT

# The words that schemas are made of, as they are called here.
_object, _query, _body = forms.record, forms.query, forms.body
_response, _text, _choice = forms.response, forms.text, forms.choice
_null = forms.null
_FLAG, _LIMIT, _MARKER = forms.FLAG, forms.LIMIT, forms.MARKER
_TIME, _KWH, _UJ, _DECIMAL = forms.TIME, forms.KWH, forms.UJ, forms.DECIMAL
_SHARE, _NAME, _COUNT, _LINKS = (forms.SHARE, forms.NAME, forms.COUNT,
                                 forms.LINKS)

TENANT_GROUPS = ('project', 'domain', 'instance', 'flavor', 'site',
                 'region', 'boundary')
ADMIN_GROUPS = ('host', 'account', 'user')


# --- words in a query: all are texts ----------------------------------------

_RANGE = {
    'start': _text(
        'ISO 8601 time with Z or an offset (write + as %2B), on a quarter '
        'of an hour; the default is the beginning of the month that end is '
        'in'),
    'end': _text(
        'ISO 8601 time with Z or an offset (write + as %2B), on a quarter '
        'of an hour and after start; not included; the default is the end '
        'of the current quarter of an hour'),
    'timezone': _text(
        'name of the IANA time zone that calendar edges are taken in, such '
        'as Europe/Berlin; the default is UTC'),
}

_FILTERS = {
    'project': _text('id of a project; the default is that of the token'),
    'domain': _text('id of a domain'),
    'instance': _text('id of an instance (server)'),
    'flavor': _text('name of a flavor'),
    'site': _text('name of a site'),
    'region': _text('name of a region'),
    'boundary': _text('boundary of the measurement, such as rapl'),
    'host': _text('name of a host; operators only'),
    'account': _text('instance, service:NAME or unallocated; operators '
                     'only'),
    'user': _text('id of a user; operators only'),
}

_GROUP_NAMES = '|'.join(queries.GROUPS)

USAGE_QUERY = _query({
    **_RANGE,
    'resolution': _choice(units.RESOLUTIONS,
                          'length of a row; the default is total'),
    'group_by': {
        'type': 'string',
        'pattern': f'^({queries.NONE}|'
                   f'({_GROUP_NAMES})(,({_GROUP_NAMES}))*)$',
        'description':
            'comma-separated, each once: '
            f'{", ".join(TENANT_GROUPS)}; operators also '
            f'{", ".join(ADMIN_GROUPS)}; or {queries.NONE}, one sum of all; '
            'the default is project'},
    **_FILTERS,
    'all_projects': {**_FLAG, 'description':
                     'true or false: everything the ledger holds, services '
                     'and unallocated energy too; operators only'},
    'as_of': _text(
        'ISO 8601 time with Z or an offset, not in the future: what was '
        'learnt later is not used; the default is now'),
    'sort': {
        'type': 'string',
        'pattern': f'^({"|".join(queries.SORTS)})(:(asc|desc))?$',
        'description':
            f'KEY, KEY:asc or KEY:desc with KEY one of '
            f'{", ".join(queries.SORTS)}; the default is start:asc'},
    'limit': _LIMIT,
    'marker': _MARKER,
    'with_count': {**_FLAG, 'description':
                   'true or false: whether to count the rows of all pages'},
})

BALANCE_QUERY = _query({
    **_RANGE,
    'host': _text('name of a host'),
    'site': _text('name of a site'),
})

DOWNTIMES_QUERY = _query({
    'limit': _LIMIT,
    'marker': _MARKER,
    'with_count': {**_FLAG, 'description':
                   'true or false: whether to count the rows of all pages'},
})

HOSTS_QUERY = _query({
    'site': _text('name of a site'),
    'state': _choice((models.ENROLLED, models.RETIRED, models.PENDING),
                     'state of a host'),
    'late': {**_FLAG, 'description':
             'true or false: hosts that owe windows, or the others'},
    'limit': _LIMIT,
    'marker': _MARKER,
    'with_count': {**_FLAG, 'description':
                   'true or false: whether to count the rows of all pages'},
})

AUDIT_QUERY = _query({
    'kind': _choice(audit.KINDS, 'what was changed'),
    'subject': _text('name of a host, site or meter, id of an instance or '
                     'of a record'),
    'actor': _text('id of a user, or collector'),
    'start': _text('ISO 8601 time with Z or an offset (write + as %2B)'),
    'end': _text('ISO 8601 time with Z or an offset (write + as %2B); not '
                 'included'),
    'limit': _LIMIT,
    'marker': _MARKER,
    'with_count': {**_FLAG, 'description':
                   'true or false: whether to count the rows of all pages'},
})

QUARANTINE_QUERY = _query({
    'host': _text('name of a host'),
    'state': _choice(models.QUARANTINE_STATES, 'what became of a record'),
    'code': _choice(received.CODES, 'why a record is kept'),
    'start': _text('ISO 8601 time with Z or an offset (write + as %2B): '
                   'records that begin then or later'),
    'end': _text('ISO 8601 time with Z or an offset (write + as %2B): '
                 'records that begin before'),
    'limit': _LIMIT,
    'marker': _MARKER,
    'with_count': {**_FLAG, 'description':
                   'true or false: whether to count the rows of all pages'},
})

NO_QUERY = _query({})


# --- words in an answer -----------------------------------------------------

_ENERGY_COLUMNS = ('active_kwh', 'idle_kwh', 'memory_kwh', 'host_kwh',
                   'platform_kwh', 'it_kwh', 'facility_kwh')

USAGE_ROW = _object(
    {'start': _TIME, 'end': _TIME,
     **{key: _null(_NAME) for key in queries.GROUPS.values()},
     **{name: _KWH if name in ('active_kwh', 'idle_kwh', 'host_kwh',
                               'it_kwh') else _null(_KWH)
        for name in _ENERGY_COLUMNS},
     'pue': _null(_DECIMAL),
     'pue_kind': _null({'enum': [*supply.KINDS, 'mixed']}),
     'co2_location_kg': _null(_DECIMAL), 'co2_market_kg': _null(_DECIMAL),
     'cue_kg_per_kwh': _null(_DECIMAL),
     'peak_kw': _null({**_DECIMAL, 'description':
                       'highest mean power of a quarter of an hour'}),
     'coverage': _null(_SHARE),
     'boundary': _NAME,
     'quality': _object({'measured': _SHARE, 'backfilled': _SHARE,
                         'estimated': _SHARE}),
     'policy': _null(_NAME),
     'water_l': _null(_DECIMAL),
     'renewable_share': _null(_SHARE),
     **{f'{of}factor_{name}': _null({'enum': [*known, 'mixed']})
        for of in ('', 'market_')
        for name, known in (('quality', supply.QUALITIES),
                            ('basis', supply.BASES))}},
    # A row has the keys it was grouped by, and no others.
    optional=tuple(key for key in queries.GROUPS.values()
                   if key != 'boundary'),
    description='null: not measured, or not known yet')

USAGE = _response(
    {'usage': {'type': 'array', 'items': USAGE_ROW},
     'complete_until': _null(_TIME), 'links': _LINKS, 'count': _COUNT},
    optional=('count',))

_BOTH = {'uj': _UJ, 'kwh': _KWH}
BALANCE_SIDES = ('measured', 'instance', 'service', 'unallocated',
                 'quarantined', 'difference', 'disputed')

_SITE_BALANCE = _object({
    'site': _NAME,
    'coverage': {**_SHARE, 'description':
                 'of the quarters of an hour, those in which all that feeds '
                 'the site was metered; the lines below are of these'},
    **{f'{side}_{unit}': _null({**schema, 'description': text})
       for side, text in (
           ('facility', 'what the site took in'),
           ('tenants', "the sum of all projects' facility energy"),
           ('operator', 'the rest: facility less tenants'))
       for unit, schema in _BOTH.items()},
    'it_coverage': {**_SHARE, 'description': 'the same of the IT meters'},
    **{f'{side}_{unit}': _null({**schema, 'description': text})
       for side, text in (
           ('it_metered', 'what the IT meters saw'),
           ('unmetered_it', 'what of that no host explains'))
       for unit, schema in _BOTH.items()},
    **{f'{whose}co2_{method}_kg': _null(_DECIMAL)
       for method in ('location', 'market')
       for whose in ('', 'tenants_', 'operator_')}})

BALANCE = _response({'balance': _object({
    'start': _TIME, 'end': _TIME, 'host': _null(_NAME),
    'site': _null(_NAME), 'complete_until': _null(_TIME),
    **{f'{side}_{unit}': schema for side in BALANCE_SIDES
       for unit, schema in _BOTH.items()},
    **{name: {'type': 'object', 'additionalProperties': _object(
        {f'energy_{unit}': schema for unit, schema in _BOTH.items()})}
       for name in ('service_by_name', 'unallocated_by_reason')},
    'gaps': {'type': 'array', 'items': _object({
        'host': _NAME, 'zone': _null(_NAME), 'start': _TIME,
        'end': _null(_TIME), 'reason': _NAME})},
    **{f'projects_{unit}': {**_null(schema), 'description':
                            'booked, added up by project; null for one host'}
       for unit, schema in _BOTH.items()},
    'sites': {'type': 'array', 'items': _SITE_BALANCE, 'description':
              'of those that have meters; empty for one host'},
    **{f'{side}_{unit}': {**_null(schema), 'description': text}
       for side, text in (
           ('node', 'what node meters saw; null where there are none'),
           ('platform', 'what of it is beyond the zones and was divided'),
           ('undivided_node', 'what of it was not: in those quarters a '
                              'meter or a zone has a hole'))
       for unit, schema in _BOTH.items()},
    'boundary': {**_null(_NAME), 'description':
                 'of what was booked: rapl, node or mixed; null: nothing '
                 'was'},
})})

_DOWNTIME = _object({
    'id': {'type': 'integer'}, 'start': _TIME, 'end': _TIME,
    'reason': _NAME})

HOST = _object({
    'name': _NAME, 'state': _NAME, 'site': _NAME, 'region': _null(_NAME),
    'boundary': _NAME, 'last_window_start': _null(_TIME),
    'last_window_end': _null(_TIME), 'lag_seconds': _null(_COUNT),
    'last_received': _null({**_TIME, 'description':
                            'when a record came that its key signed (UTC)'}),
    'coverage': _null({**_SHARE, 'description':
                       'measured share of the 24 hours before the current '
                       'quarter, or of the time since the host came'}),
    'basis': {'type': 'array', 'items': _NAME}, 'idle_kind': _null(_NAME),
    'idle_power_w': _null(_DECIMAL), 'policy': _null(_NAME),
    'cpus': _null(_COUNT), 'memory_mib': _null(_COUNT),
    'version': _null(_NAME), 'alarm': _null(_NAME),
    'expected': {'type': 'boolean', 'description':
                 'enrolled and not in a planned downtime'},
    'late': {'type': 'boolean', 'description':
             'expected, and its last window ended more than '
             f'{hosts.LATE_WINDOWS} of its windows ago'},
    'enrolled_at': _null(_TIME), 'retired_at': _null(_TIME),
    'public_key': _null({**_NAME, 'description':
                         'whose records are booked'}),
    'presented_keys': {'type': 'array', 'items': _NAME, 'description':
                       'other keys that records of this name came with'},
    'window_seconds': _null(_COUNT),
    'max_power_w': _null({**_DECIMAL, 'description':
                          'as an operator says; null: as the host says'}),
    'downtime': _null({**_DOWNTIME, 'description':
                       'the one it is in, else the next one'})})

HOSTS = _response(
    {'hosts': {'type': 'array', 'items': HOST}, 'links': _LINKS,
     'count': _COUNT}, optional=('count',))
HOST_SHOWN = _response({'host': HOST})
DOWNTIMES = _response(
    {'downtimes': {'type': 'array', 'items': _DOWNTIME}, 'links': _LINKS,
     'count': _COUNT}, optional=('count',))
DOWNTIME_SHOWN = _response({'downtime': _DOWNTIME})

AUDIT = _response(
    {'audit': {'type': 'array', 'items': _object({
        'at': _TIME, 'actor': _NAME, 'request_id': _null(_NAME),
        'kind': {'enum': list(audit.KINDS)}, 'subject': _NAME,
        **{name: _null({'type': 'object', 'additionalProperties': {}})
           for name in ('was', 'became')}})},
     'links': _LINKS, 'count': _COUNT}, optional=('count',))

_HELD: Schema = {
    'id': {'type': 'integer'}, 'host': _NAME, 'stream': _NAME,
    'sequence': _COUNT, 'state': {'enum': list(models.QUARANTINE_STATES)},
    'code': {'enum': list(received.CODES)}, 'reason': _NAME,
    'received_at': _TIME,
    **{name: {**_null(_TIME), 'description':
              'as the record says; null: it does not'}
       for name in ('start', 'end')},
    **{f'energy_{unit}': {**_null(schema), 'description':
                          'as the record says; null: it cannot be read'}
       for unit, schema in _BOTH.items()},
    'decided_at': _null(_TIME)}
QUARANTINE = _response(
    {'quarantine': {'type': 'array', 'items': _object(_HELD)},
     'links': _LINKS, 'count': _COUNT}, optional=('count',))
_HELD_SHOWN = _object({
    **_HELD,
    'digest': {**_NAME, 'description': 'SHA-256 of the payload as it came'},
    'public_key': _null({**_NAME, 'description':
                         "whose signature holds; null: nobody's"}),
    'signature': {**_NAME, 'description': 'as it came'},
    'signed_by_host': {'type': 'boolean', 'description':
                       'whether that key is or was the one of the host'},
    'payload_as_came': {'type': 'boolean', 'description':
                        'false: user ids were taken out of it, or it had '
                        'characters that cannot be kept'},
    'payload': _NAME})
QUARANTINE_SHOWN = _response({'quarantine': _HELD_SHOWN})
QUARANTINE_DECIDED = _response({
    'quarantine': _HELD_SHOWN,
    'notes': {'type': 'array', 'items': _NAME, 'description':
              'what the decision did not settle'}})

VERSION = _object({
    'id': {'const': 'v1'}, 'status': {'const': 'CURRENT'},
    'min_version': _NAME, 'max_version': _NAME, 'version': _NAME,
    'links': _LINKS})
VERSIONS = _response({'versions': {'type': 'array', 'items': VERSION}})
VERSION_SHOWN = _response({'version': VERSION})

HEALTH = _response({'healthy': {'type': 'boolean'},
                    'reasons': {'type': 'array', 'items': _NAME}})

HEALTH_SHOWN = _response({'health': _object({
    'database': _object({'kind': {'enum': ['mysql', 'postgresql', 'sqlite']},
                         'revision': _null(_NAME)}),
    'hosts': _object(dict.fromkeys(
        (models.ENROLLED, models.PENDING, models.RETIRED), _COUNT)),
    'complete_until': _null(_TIME),
    'lag_seconds': {**_null(_COUNT), 'description':
                    'how long ago that was; null: a host has sent nothing'},
    'quarantine_held': {**_COUNT, 'description':
                        'records that nobody has decided about'},
    'late': {'type': 'array', 'description': 'the longest silence first',
             'items': _object({
                 'host': _NAME, 'site': _NAME,
                 'last_window_end': _null(_TIME),
                 'lag_seconds': _null(_COUNT)})}})})

ERROR = _response({'errors': {
    'type': 'array', 'minItems': 1, 'items': _object({
        'status': {'type': 'integer', 'minimum': 400, 'maximum': 599},
        'title': _NAME, 'detail': _NAME,
        'code': {'type': 'string', 'pattern': r'^energy\.'},
        'request_id': _null(_NAME), 'links': {'type': 'array'}})}})

# --- words in a body --------------------------------------------------------

_SAID_OF_HOST = {
    'site': _text('name of a site; one that does not exist is made'),
    'region': _text('region of the site, while nothing is booked there'),
    'public_key': {
        'type': 'string', 'pattern': '^[A-Za-z0-9+/]{43}=$',
        'description': 'the public key that the notifier of the host logs '
                       'at its first start: base64 of 32 bytes (44 '
                       'characters)'},
    'max_power_w': {
        'type': ['string', 'number', 'null'],
        'pattern': r'^[0-9]{1,9}(\.[0-9]{1,6})?$',
        'description': 'the most that the packages of the host can draw '
                       'together, in watts: a decimal above 0 with at most '
                       'six places; null: what the host says'}}

HOST_CREATE = _body({
    'name': _text('name of the host, as its notifier has it; not . or .., '
                  'and without /'),
    **_SAID_OF_HOST}, optional=tuple(_SAID_OF_HOST))
HOST_UPDATE = _body({
    'state': _choice((models.ENROLLED, models.RETIRED), 'state of a host'),
    **_SAID_OF_HOST}, optional=('state', *_SAID_OF_HOST))
DOWNTIME_CREATE = _body({
    'start': _text('ISO 8601 time with Z or an offset, of the current '
                   'quarter of an hour or later'),
    'end': _text('ISO 8601 time with Z or an offset, after start and not '
                 'past; not included'),
    'reason': _text('what is done meanwhile')})

QUARANTINE_UPDATE = _body({'quarantine': _object({
    'state': _choice((models.RELEASED, models.DISCARDED),
                     'what becomes of the record'),
    'reason': _text('why, in 1 to 255 printable characters; must be given '
                    'to discard')},
    optional=('reason',), description='an object with state and reason')})
_HELD_PATH = {'id': _text('id of the record')}

_HOST_PATH = {'name': _text('name of the host')}

ENDPOINTS: Mapping[tuple[str, str], Endpoint] = {
    ('GET', '/'): Endpoint(
        'The versions of this API', NO_QUERY, VERSIONS, token=False),
    ('GET', '/v1'): Endpoint(
        'Version 1 of this API', NO_QUERY, VERSION_SHOWN, token=False),
    ('GET', '/healthcheck'): Endpoint(
        'Whether this process can serve', NO_QUERY, HEALTH, token=False),
    ('GET', '/v1/health'): Endpoint(
        'The state of the service in detail', NO_QUERY, HEALTH_SHOWN),
    ('GET', '/v1/usage'): Endpoint(
        'Energy by period and group', USAGE_QUERY, USAGE),
    ('GET', '/v1/balance'): Endpoint(
        'The balance of measured and booked energy', BALANCE_QUERY, BALANCE),
    ('GET', '/v1/hosts'): Endpoint(
        'The hosts and their state', HOSTS_QUERY, HOSTS),
    ('POST', '/v1/hosts'): Endpoint(
        'Enrol a host', NO_QUERY, HOST_SHOWN, body=HOST_CREATE, status=201),
    ('GET', '/v1/hosts/{name}'): Endpoint(
        'One host and its state', NO_QUERY, HOST_SHOWN,
        path_parameters=_HOST_PATH),
    ('PATCH', '/v1/hosts/{name}'): Endpoint(
        'Change what is known of a host', NO_QUERY, HOST_SHOWN,
        path_parameters=_HOST_PATH, body=HOST_UPDATE),
    ('GET', '/v1/hosts/{name}/downtimes'): Endpoint(
        'The planned downtimes of a host', DOWNTIMES_QUERY, DOWNTIMES,
        path_parameters=_HOST_PATH),
    ('POST', '/v1/hosts/{name}/downtimes'): Endpoint(
        'Plan a downtime of a host', NO_QUERY, DOWNTIME_SHOWN,
        path_parameters=_HOST_PATH, body=DOWNTIME_CREATE, status=201),
    ('DELETE', '/v1/hosts/{name}/downtimes/{id}'): Endpoint(
        'Forget a downtime of a host', NO_QUERY, None, status=204,
        path_parameters={**_HOST_PATH, 'id': _text('id of the downtime')}),
    ('GET', '/v1/quarantine'): Endpoint(
        'The records that are kept and not booked', QUARANTINE_QUERY,
        QUARANTINE),
    ('GET', '/v1/quarantine/{id}'): Endpoint(
        'One record that is kept', NO_QUERY, QUARANTINE_SHOWN,
        path_parameters=_HELD_PATH),
    ('PATCH', '/v1/quarantine/{id}'): Endpoint(
        'Release or discard a record', NO_QUERY, QUARANTINE_DECIDED,
        path_parameters=_HELD_PATH, body=QUARANTINE_UPDATE),
    ('GET', '/v1/audit'): Endpoint(
        'Who changed what', AUDIT_QUERY, AUDIT),
    ('GET', '/metrics'): Endpoint(
        'What a monitoring system scrapes, as Prometheus text', NO_QUERY,
        {'type': 'string'}, text='text/plain'),
    **meter_schemas.ENDPOINTS,
    **factor_schemas.ENDPOINTS,
    **kpi_schemas.ENDPOINTS,
    **statement_schemas.ENDPOINTS,
    **export_schemas.ENDPOINTS,
}
