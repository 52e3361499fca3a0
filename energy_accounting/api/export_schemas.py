# SPDX-License-Identifier: Apache-2.0
"""JSON Schema of the endpoints of exports.

Part of ``schemas.ENDPOINTS``, as it says there.
"""

from __future__ import annotations

from collections.abc import Mapping

from energy_accounting.api import forms
from energy_accounting.exports import fetching
from energy_accounting.ledger import exports as store

NOBODY = 'none'

_TEXT, _NULL = forms.text, forms.null
_NAMED = _NULL(forms.NAME)
_PERIOD = {'type': 'string', 'pattern': '^20[0-9]{2}(-(0[1-9]|1[0-2]))?$',
           'description': 'month or year, such as 2026-10 or 2026'}
_ZONE = _TEXT('name of the IANA time zone that it was closed in, such as '
              'Europe/Berlin; the default is UTC')
_DIGEST = {'type': 'string', 'pattern': '^[0-9a-f]{64}$'}
_OPTIONS = {'type': 'object', 'additionalProperties': forms.NAME}
_ROW = {
    'id': {'type': 'string', 'format': 'uuid', 'description':
           'the same whenever the same is planned'},
    'target': forms.NAME, 'options': _OPTIONS, 'period': _PERIOD,
    'timezone': forms.NAME, 'project_id': _NAMED,
    'all_projects': {'type': 'boolean', 'description':
                     'false, and no project: what belongs to none'},
    'state': {'enum': list(store.STATES)}, 'done': forms.COUNT,
    'total': {**forms.COUNT, 'description': 'lines that there are to send'},
    'error': {**_NAMED, 'description':
              'why it failed, or what it waits for'},
    'created_at': forms.TIME, 'changed_at': forms.TIME, 'actor': forms.NAME,
    'destination': {**forms.NAME, 'description':
                    'a directory, or an address'},
    'digest': {**_DIGEST, 'description':
               'SHA-256 of the revisions that go in'}}
_SHOWN = forms.record({
    **_ROW,
    'files': {'type': 'array', 'items': forms.record({
        'name': forms.NAME, 'bytes': forms.COUNT, 'rows': forms.COUNT,
        'sha256': _DIGEST})},
    'manifest': {**_NAMED, 'description':
                 'the file that names the others, and the statements'}})

_LIST_QUERY = forms.query({
    'target': _TEXT('name of a target, such as focus'),
    'state': forms.choice(store.STATES, 'how far it has come'),
    'period': _PERIOD,
    'project': _TEXT(f'id of a project, or {NOBODY}: exports of it alone'),
    'limit': forms.LIMIT, 'marker': forms.MARKER,
    'with_count': {**forms.FLAG, 'description':
                   'true or false: whether to count the rows of all pages'}})
_LIST = forms.response({
    'exports': {'type': 'array', 'items': forms.record(_ROW)},
    'links': forms.LINKS, 'count': forms.COUNT}, optional=('count',))
_PLAN = forms.body({
    'target': _TEXT('name of a target: carbon, csv, focus, jsonl, register '
                    'or another that is installed'),
    'options': {
        'type': 'object', 'maxProperties': 32, 'additionalProperties': {
            'type': 'string', 'maxLength': 255, 'description': 'a text'},
        'description': 'an object of texts: options of the target, such as '
                       '{"version": "1.3"}'},
    'period': _PERIOD, 'timezone': _ZONE,
    'project': _TEXT(f'id of a project, or {NOBODY}: what belongs to none'),
    'all_projects': {'type': 'boolean', 'description':
                     'true or false: all statements of the period in one '
                     'export'}},
    optional=('options', 'timezone', 'project', 'all_projects'))
_UPDATE = forms.body({'state': forms.choice(
    (store.PLANNED, store.CANCELLED),
    'planned lets an export that failed, or was cancelled, be sent again; '
    'cancelled gives one up')})

EXPORTS = '/v1/exports'
EXPORT = '/v1/exports/{id}'
FILE = '/v1/exports/{id}/file'

_PATH = {'id': _TEXT('id of the export')}
_NO_QUERY = forms.query({})
_ONE = forms.response({'export': _SHOWN})

ENDPOINTS: Mapping[tuple[str, str], forms.Endpoint] = {
    ('GET', EXPORTS): forms.Endpoint(
        'Exports, in the order in which they were planned', _LIST_QUERY,
        _LIST),
    ('POST', EXPORTS): forms.Endpoint(
        'Plan an export of closed statements; the same again is the same '
        'export', _NO_QUERY, _ONE, body=_PLAN, status=202),
    ('GET', EXPORT): forms.Endpoint(
        'An export with its files', _NO_QUERY, _ONE, path_parameters=_PATH),
    ('PATCH', EXPORT): forms.Endpoint(
        'Let an export be sent again, or give it up', _NO_QUERY, _ONE,
        body=_UPDATE, path_parameters=_PATH),
    ('GET', FILE): forms.Endpoint(
        'A file of an export', forms.query({
            'name': _TEXT('name of a file, or of the manifest; the default '
                          'is the first file')}),
        {'type': 'string'}, path_parameters=_PATH,
        media=(*fetching.MEDIA.values(), fetching.OTHER)),
}
