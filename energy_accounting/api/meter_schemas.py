# SPDX-License-Identifier: Apache-2.0
"""JSON Schema of the endpoints of sites, meters and readings.

Part of ``schemas.ENDPOINTS``, as it says there.
"""

from __future__ import annotations

from collections.abc import Mapping

from energy_accounting.api import forms
from energy_accounting.facility import (
    amounts,
    batches,
    factors,
    meters,
    quantities,
)

SOURCES = ('api', 'csv')
"""How a batch came about."""

_TEXT = forms.text
_MOMENT = 'ISO 8601 time with Z or an offset'
_VALUE = {'type': 'string', 'pattern': f'^{quantities.VALUE}$'}
_KEPT_VALUE = {**_VALUE, 'description': "in the meter's unit"}
_PAGE = {
    'limit': forms.LIMIT, 'marker': forms.MARKER,
    'with_count': {**forms.FLAG, 'description':
                   'true or false: whether to count the rows of all pages'}}


def _may_go(schema: forms.Schema) -> forms.Schema:
    """A field of a body that null takes back."""
    return {**schema, 'type': ['string', 'null'], 'description':
            f'{schema["description"]}; null: not known'}


def _value(description: str) -> forms.Schema:
    return {**_VALUE, 'description':
            f'{description}: a decimal in a string, such as "1234.5" (a '
            'number of JSON would be rounded), not negative, with at most '
            '30 digits before and 15 behind the point'}


# --- sites ------------------------------------------------------------------

_SITE = forms.record({
    'name': forms.NAME, 'region': forms.null(forms.NAME),
    'time_zone': forms.NAME, 'grid_zone': forms.null(forms.NAME),
    'factor_basis': forms.null({'enum': list(factors.BASES)})})
_SITES = forms.response(
    {'sites': {'type': 'array', 'items': _SITE}, 'links': forms.LINKS,
     'count': forms.COUNT}, optional=('count',))
_SITE_SHOWN = forms.response({'site': _SITE})
_SAID_OF_SITE = {
    'region': _may_go(_TEXT(
        'region of the cloud, while nothing is booked there')),
    'time_zone': _TEXT('name of an IANA time zone, such as Europe/Berlin, '
                       'in which days, months and years begin'),
    'grid_zone': _may_go(_TEXT(
        'grid zone whose factors its electricity has, such as DE',
        maxLength=64)),
    'factor_basis': {
        'enum': [*factors.BASES, None], 'description':
        'on which all emissions of the site are counted: direct, what is '
        'emitted where it is burnt, or lifecycle; null: on that of which '
        'most is known in the time of a question'}}
_SITE_CREATE = forms.body({
    'name': _TEXT('name of the site; not . or .., and without /'),
    **_SAID_OF_SITE}, optional=tuple(_SAID_OF_SITE))
_SITE_UPDATE = forms.body(_SAID_OF_SITE, optional=tuple(_SAID_OF_SITE))
_SITE_PATH = {'name': _TEXT('name of the site')}


# --- meters -----------------------------------------------------------------

_TERM = {
    'meter': _TEXT('name of a meter of the same site'),
    'sign': {'type': 'integer', 'enum': [1, -1], 'description':
             '1: added; -1: taken away'}}
_METER: forms.Schema = {
    'id': {'type': 'integer'}, 'name': forms.NAME, 'site': forms.NAME,
    'medium': {'enum': list(quantities.MEDIA)},
    'role': {'enum': list(quantities.ROLES)},
    'kind': {'enum': list(quantities.KINDS)},
    'unit': {'enum': list(quantities.UNITS)},
    **{name: forms.null(forms.NAME) for name in (
        'section', 'host', 'parent', 'serial', 'accuracy_class', 'source',
        'source_ref')},
    **{name: forms.null(_KEPT_VALUE) for name in ('rollover', 'max_rate')},
    **{name: forms.null(forms.TIME) for name in (
        'calibrated_until', 'installed_at', 'removed_at')},
    'terms': {'type': 'array', 'items': forms.record(_TERM)}}
_METERS = forms.response(
    {'meters': {'type': 'array', 'items': forms.record(_METER)},
     'links': forms.LINKS, 'count': forms.COUNT}, optional=('count',))
_METERS_QUERY = forms.query({
    'site': _TEXT('name of a site'),
    'role': forms.choice(tuple(quantities.ROLES), 'role of a meter'),
    'medium': forms.choice(quantities.MEDIA, 'what a meter measures'),
    **_PAGE})

_READING = forms.record({
    'id': {'type': 'integer'}, 'at': forms.TIME,
    'start': {**forms.null(forms.TIME), 'description':
              'of an interval; null: it is the value of a moment'},
    'value': _KEPT_VALUE, 'quality': {'enum': list(quantities.QUALITIES)},
    'source': forms.NAME, 'received_at': forms.TIME,
    'superseded_at': {**forms.null(forms.TIME), 'description':
                      'since when it counts no more'}})
_QUESTION = forms.record({
    'start': forms.TIME, 'end': forms.TIME,
    'kind': {'enum': [amounts.FALL, amounts.JUMP]},
    'was': forms.null(_KEPT_VALUE), 'became': _KEPT_VALUE})
_METER_SHOWN = forms.response({'meter': forms.record({
    **_METER, 'last_reading': forms.null(_READING),
    'questions': {'type': 'array', 'items': _QUESTION, 'description':
                  'what is not counted until an event or a correction '
                  'decides'}})})
_METER_QUERY = forms.query({
    'start': _TEXT(f'{_MOMENT} (write + as %2B): questions from then on; '
                   'the default is 400 days ago')})

_SAID_OF_METER = {
    'medium': forms.choice(quantities.MEDIA, 'what it measures'),
    'role': forms.choice(tuple(quantities.ROLES),
                         'for which figure it counts'),
    'kind': forms.choice(quantities.KINDS, 'how its values are read'),
    'unit': forms.choice(quantities.UNITS, 'of its values')}
_MORE_OF_METER = {
    'section': _may_go(_TEXT('part of the site with key figures of its '
                             'own')),
    'rollover': _may_go(_value('value at which the counter starts again '
                               'from 0')),
    'max_rate': _may_go(_value('the most it can count in an hour; of a '
                               'gauge, its highest value')),
    'serial': _may_go(_TEXT('serial number')),
    'accuracy_class': _may_go(_TEXT('accuracy class, such as 0.5S',
                                    maxLength=64)),
    **{name: _may_go(_TEXT(f'{_MOMENT}: {what}')) for name, what in (
        ('calibrated_until', 'until when its calibration holds'),
        ('installed_at', 'since when it is there'),
        ('removed_at', 'until when it was there'))},
    'source': {'type': ['string', 'null'], 'enum': [*meters.SOURCES, None],
               'description': 'from where the service fetches its readings: '
                              f'{", ".join(meters.SOURCES)}; null: it does '
                              'not'},
    'source_ref': _may_go(_TEXT('what to ask there: of prometheus, a query '
                                'whose result is one time series',
                                maxLength=1024)),
    'host': _may_go(_TEXT('name of the host whose node it measures')),
    'parent': _may_go(_TEXT('name of the meter that what it measures has '
                            'gone through')),
    'terms': {'type': 'array', 'maxItems': 1000, 'description':
              'of a virtual meter: the others that it is the sum of, each '
              'with meter and sign', 'items': forms.record(_TERM)}}
_METER_CREATE = forms.body({
    'name': _TEXT('name of the meter; not only digits, not . or .., and '
                  'without /'),
    'site': _TEXT('name of its site'), **_SAID_OF_METER, **_MORE_OF_METER},
    optional=tuple(_MORE_OF_METER))
_METER_UPDATE = forms.body(
    {**_SAID_OF_METER, **_MORE_OF_METER},
    optional=(*_SAID_OF_METER, *_MORE_OF_METER))
_METER_PATH = {'name': _TEXT('name or id of the meter')}


# --- readings and events ----------------------------------------------------

_SUPERSEDED = {**forms.FLAG, 'description':
               'true or false: those too that count no more'}
_READINGS_QUERY = forms.query({
    'start': _TEXT(f'{_MOMENT} (write + as %2B)'),
    'end': _TEXT(f'{_MOMENT} (write + as %2B); not included'),
    'as_of': _TEXT(f'{_MOMENT}, not in the future: as they were known then; '
                   'the default is now'),
    'superseded': _SUPERSEDED, **_PAGE})
_READINGS = forms.response(
    {'readings': {'type': 'array', 'items': _READING}, 'links': forms.LINKS,
     'count': forms.COUNT}, optional=('count',))
_CORRECT = {'type': 'boolean', 'description':
            'true or false: whether this takes the place of what was said '
            'of the same moment; the default is false'}
_READINGS_CREATE = forms.body({
    'readings': {
        'type': 'array', 'minItems': 1, 'maxItems': batches.MAX_BATCH,
        'description': f'from 1 to {batches.MAX_BATCH} readings, each with '
                       'at and value',
        'items': forms.record({
            'at': _TEXT(f'{_MOMENT}; of an interval, its end'),
            'value': {**_may_go(_value('what was read')), 'description':
                      f'{_value("what was read")["description"]}; null in a '
                      'correction: nothing was'},
            'start': _TEXT(f'{_MOMENT}: of a meter of kind interval, where '
                           'the time of the value begins'),
            'quality': forms.choice(quantities.QUALITIES,
                                    'how the value came about')},
            optional=('start', 'quality'))},
    'correct': _CORRECT,
    'source': forms.choice(SOURCES, 'where they come from; the default is '
                                    'api'),
    'dry_run': {'type': 'boolean', 'description':
                'true or false: whether to check everything and keep '
                'nothing; the default is false'}},
    optional=('correct', 'source', 'dry_run'))
_ADDED = forms.response({'readings': forms.record({
    'added': forms.COUNT, 'corrected': forms.COUNT,
    'duplicates': {**forms.COUNT, 'description':
                   'as they were there already'}})})

_EVENT = forms.record({
    'id': {'type': 'integer'}, 'at': forms.TIME,
    'kind': {'enum': list(amounts.EVENTS)},
    'end_value': forms.null(_KEPT_VALUE),
    'start_value': forms.null(_KEPT_VALUE), 'note': forms.null(forms.NAME),
    'recorded_at': forms.TIME, 'superseded_at': forms.null(forms.TIME)})
_EVENTS = forms.response({'events': {'type': 'array', 'items': _EVENT}})
_EVENT_CREATE = forms.body({
    'at': _TEXT(f'{_MOMENT}, after the reading before it and not after the '
                'next one'),
    'kind': forms.choice(amounts.EVENTS, 'what happened to the counter'),
    'end_value': _may_go(_value('the last value before it')),
    'start_value': _may_go(_value('the first value after it')),
    'note': _TEXT('why, and who says so'), 'correct': _CORRECT},
    optional=('end_value', 'start_value', 'note', 'correct'))
_EVENT_PATH = {**_METER_PATH, 'id': _TEXT('id of the event')}

_NO_QUERY = forms.query({})
SITES, SITE = '/v1/sites', '/v1/sites/{name}'
METERS, METER = '/v1/meters', '/v1/meters/{name}'
READINGS = '/v1/meters/{name}/readings'
EVENTS = '/v1/meters/{name}/events'
EVENT = '/v1/meters/{name}/events/{id}'

ENDPOINTS: Mapping[tuple[str, str], forms.Endpoint] = {
    ('GET', SITES): forms.Endpoint(
        'The sites', forms.query(_PAGE), _SITES),
    ('POST', SITES): forms.Endpoint(
        'Make a site', _NO_QUERY, _SITE_SHOWN, body=_SITE_CREATE,
        status=201),
    ('GET', SITE): forms.Endpoint(
        'One site', _NO_QUERY, _SITE_SHOWN, path_parameters=_SITE_PATH),
    ('PATCH', SITE): forms.Endpoint(
        'Change what is said of a site', _NO_QUERY, _SITE_SHOWN,
        path_parameters=_SITE_PATH, body=_SITE_UPDATE),
    ('GET', METERS): forms.Endpoint(
        'The meters of the sites', _METERS_QUERY, _METERS),
    ('POST', METERS): forms.Endpoint(
        'Make a meter', _NO_QUERY, _METER_SHOWN, body=_METER_CREATE,
        status=201),
    ('GET', METER): forms.Endpoint(
        'One meter, its last reading and what must be decided',
        _METER_QUERY, _METER_SHOWN, path_parameters=_METER_PATH),
    ('PATCH', METER): forms.Endpoint(
        'Change what is said of a meter', _NO_QUERY, _METER_SHOWN,
        path_parameters=_METER_PATH, body=_METER_UPDATE),
    ('GET', READINGS): forms.Endpoint(
        'Readings of a meter, in order of time', _READINGS_QUERY, _READINGS,
        path_parameters=_METER_PATH),
    ('POST', READINGS): forms.Endpoint(
        'Add a batch of readings: all of it, or nothing', _NO_QUERY, _ADDED,
        path_parameters=_METER_PATH, body=_READINGS_CREATE, status=201),
    ('GET', EVENTS): forms.Endpoint(
        'What was decided about a meter', forms.query({
            'superseded': _SUPERSEDED}), _EVENTS,
        path_parameters=_METER_PATH),
    ('POST', EVENTS): forms.Endpoint(
        'Decide what happened to a meter', _NO_QUERY,
        forms.response({'event': _EVENT}), path_parameters=_METER_PATH,
        body=_EVENT_CREATE, status=201),
    ('DELETE', EVENT): forms.Endpoint(
        'Take a decision back', _NO_QUERY, None, status=204,
        path_parameters=_EVENT_PATH),
}
