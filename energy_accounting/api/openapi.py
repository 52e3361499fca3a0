# SPDX-License-Identifier: Apache-2.0
"""The OpenAPI 3.1 document, made of the schemas that requests pass.

``python -m energy_accounting.api.openapi > api-ref/openapi.json`` writes
it.  Nothing is described here that the schemas do not say.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from energy_accounting.api import policies, schemas, versions

_JSON = 'application/json'
_ERRORS = {
    '400': 'The request is not what the schema says',
    '401': 'There is no valid token',
    '403': 'The policy does not allow it',
    '404': 'There is no such thing',
    '406': 'This microversion is not supported',
    '409': 'This does not fit the state that it is in now',
    '413': 'The body is too large',
    '415': 'The body is not said to be JSON',
    '503': 'The service or its database is away',
}


def document() -> dict[str, Any]:
    """The whole API as one JSON value."""
    paths: dict[str, Any] = {}
    for (method, path), endpoint in schemas.ENDPOINTS.items():
        paths.setdefault(path, {})[method.lower()] = _operation(
            method, path, endpoint)
    return {
        'openapi': '3.1.0',
        'info': {'title': 'Energy accounting', 'version':
                 versions.VERSIONS[-1], 'license': {
                     'name': 'Apache-2.0', 'identifier': 'Apache-2.0'}},
        'jsonSchemaDialect': schemas.DIALECT,
        'paths': paths,
        'components': {
            'schemas': {'Error': _plain(schemas.ERROR)},
            'securitySchemes': {'token': {
                'type': 'apiKey', 'in': 'header', 'name': 'X-Auth-Token'}}},
    }


def text() -> str:
    """The document as the file holds it."""
    return json.dumps(document(), indent=1, ensure_ascii=False) + '\n'


def _operation(method: str, path: str, endpoint: schemas.Endpoint,
               ) -> dict[str, Any]:
    parameters = [
        {'name': name, 'in': 'path', 'required': True,
         'description': schema['description'], 'schema': _plain(schema)}
        for name, schema in endpoint.path_parameters.items()]
    parameters += [
        {'name': name, 'in': 'query', 'required': False,
         'description': schema['description'], 'schema': _plain(schema)}
        for name, schema in endpoint.query['properties'].items()]
    parameters.append({
        'name': 'OpenStack-API-Version', 'in': 'header', 'required': False,
        'description': f'{versions.SERVICE_TYPE} and the microversion',
        'schema': {'type': 'string', 'examples': [
            f'{versions.SERVICE_TYPE} {versions.VERSIONS[-1]}']}})
    rules = [rule.name for rule in policies.list_rules()
             if {'path': path, 'method': method}
             in getattr(rule, 'operations', [])]
    unlikely = {
        *(() if endpoint.token else ('401', '403')),
        *(('409',) if method == 'GET' else ()),
        *(('413', '415') if endpoint.body is None else ())}
    operation: dict[str, Any] = {
        'summary': endpoint.summary, 'parameters': parameters,
        'responses': {
            str(endpoint.status): {
                'description': 'As asked', **_content(
                    endpoint.response, *(endpoint.media
                                         or (endpoint.text or _JSON,)))},
            **{status: {'description': description, **_content(
                {'$ref': '#/components/schemas/Error'})}
               for status, description in _ERRORS.items()
               if status not in unlikely}}}
    if endpoint.body is not None:
        operation['requestBody'] = {
            'required': True, **_content(endpoint.body)}
    if endpoint.token:
        operation['security'] = [{'token': []}]
        operation['x-openstack'] = {'policies': rules}
    return operation


def _content(schema: schemas.Schema | None, *media_types: str,
             ) -> dict[str, Any]:
    """What a body is, or nothing where there is none."""
    if schema is None:
        return {}
    # Of an answer that comes in several types the JSON is an object.
    return {'content': {media_type: {'schema': {'type': 'object'}
                                     if media_type == _JSON
                                     and len(media_types) > 1
                                     else _plain(schema)}
                        for media_type in media_types or (_JSON,)}}


def _plain(schema: schemas.Schema) -> schemas.Schema:
    """Without what the document says once or beside it."""
    return {name: value for name, value in schema.items()
            if name != '$schema'}


if __name__ == '__main__':
    sys.stdout.write(text())
