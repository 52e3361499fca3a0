# SPDX-License-Identifier: Apache-2.0
"""What the schemas of all endpoints are made of.

The description of a parameter, and of a field of a body, doubles as the
remedy in the error about it.  No endpoint belongs here (``schemas``).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

Schema = dict[str, Any]

DIALECT = 'https://json-schema.org/draft/2020-12/schema'


@dataclasses.dataclass(frozen=True, slots=True)
class Endpoint:
    """One method of one path.

    :ivar response: of an answer that succeeds; None when it has no body.
    :ivar token: whether the caller must have one.
    :ivar body: what a request must bring; None when it brings nothing.
    :ivar status: of an answer that succeeds.
    :ivar text: the media type of an answer that is not JSON.
    :ivar media: the media types of an answer that comes in several.
    """

    summary: str
    query: Schema
    response: Schema | None
    path_parameters: Mapping[str, Schema] = dataclasses.field(
        default_factory=dict)
    token: bool = True
    body: Schema | None = None
    status: int = 200
    text: str | None = None
    media: tuple[str, ...] = ()


def record(properties: Schema, *, optional: tuple[str, ...] = (),
           **more: Any) -> Schema:
    return {'type': 'object', 'properties': properties,
            'required': [name for name in properties
                         if name not in optional],
            'additionalProperties': False, **more}


def query(properties: Schema) -> Schema:
    return {'$schema': DIALECT, 'type': 'object', 'properties': properties,
            'additionalProperties': False}


def body(properties: Schema, *, optional: tuple[str, ...] = (),
         ) -> Schema:
    """An object that says something; fields that can change are optional."""
    return {'$schema': DIALECT, **record(properties, optional=optional,
                                         minProperties=1)}


def response(properties: Schema, *, optional: tuple[str, ...] = (),
             ) -> Schema:
    return {'$schema': DIALECT, **record(properties, optional=optional)}


# --- words in a query: all are texts ----------------------------------------

NO_CONTROL = '^[^\\x00-\\x1f\\x7f]+$'


def text(description: str, **more: Any) -> Schema:
    return {'type': 'string', 'pattern': NO_CONTROL, 'maxLength': 255,
            'description': description, **more}


def choice(names: tuple[str, ...], description: str) -> Schema:
    return {'type': 'string', 'enum': list(names),
            'description': f'{description}: one of {", ".join(names)}'}


FLAG = {'type': 'string', 'enum': ['true', 'false']}

LIMIT = {'type': 'string', 'pattern': '^[0-9]{1,9}$', 'description':
         'whole number of rows from 1 to the maximum of the service'}
MARKER = {'type': 'string', 'pattern': '^[A-Za-z0-9_-]+$',
          'maxLength': 4096, 'description':
          'the marker of the next link of an answer to the same query'}


# --- words in an answer -----------------------------------------------------

def null(schema: Schema) -> Schema:
    return {'anyOf': [schema, {'type': 'null'}]}


TIME = {'type': 'string', 'format': 'date-time',
        'pattern': 'Z$', 'description': 'UTC'}
KWH = {'type': 'string', 'pattern': r'^-?[0-9]+\.[0-9]{15}$',
       'description': 'kWh; exact: 15 decimal places bring the microjoule '
                      'back'}
UJ = {'type': 'string', 'pattern': '^-?[0-9]+$',
      'description': 'microjoules'}
DECIMAL = {'type': 'string', 'pattern': r'^-?[0-9]+(\.[0-9]+)?$'}
SHARE = {'type': 'string', 'pattern': r'^(0\.[0-9]{4}|1\.0000)$',
         'description': 'a share from 0 to 1'}
NAME = {'type': 'string'}
COUNT = {'type': 'integer', 'minimum': 0}
LINKS = {'type': 'array', 'items': record(
    {'rel': {'enum': ['next', 'self']}, 'href': NAME})}
