# SPDX-License-Identifier: Apache-2.0
"""The client has a method for each route, and its types are the API's."""

from __future__ import annotations

import inspect
import json
import pathlib
import re
import types
import typing
import unittest
from collections.abc import Iterator
from typing import Any

import energy_accounting
from energy_accounting import client
from energy_accounting.api import schemas
from energy_accounting.client import rows

ROOT = pathlib.Path(energy_accounting.__file__).parent.parent
JSON = 'application/json'


class Asked(Exception):
    """What a method would send."""


class Recorder(client.Client):

    def __init__(self) -> None:
        pass

    def _send(self, method: str, path: str, also: Any = (),
              accept: str = '', **options: Any) -> Any:
        raise Asked(method, path)


def methods() -> dict[str, Any]:
    return {name: method for name, method
            in inspect.getmembers(client.Client, inspect.isfunction)
            if not name.startswith('_')}


def asked(name: str) -> tuple[str, str]:
    """The route that a method is for, called with nothing it can do
    without.
    """
    method = getattr(Recorder(), name)
    words = [[] if 'Sequence' in str(parameter.annotation) else 'x'
             for parameter in inspect.signature(method).parameters.values()
             if parameter.default is parameter.empty
             and parameter.kind is parameter.POSITIONAL_OR_KEYWORD]
    try:
        next(method(*words))
    except Asked as request:
        verb, path = request.args
    for known, template in schemas.ENDPOINTS:
        if known == verb and re.fullmatch(
                re.sub(r'\{[a-z_]+\}', 'x', template), path):
            return known, template
    raise AssertionError(f'{name} asks {verb} {path}, which is not there')


def answer(name: str) -> Any:
    """The type that a method says it returns."""
    return typing.get_type_hints(methods()[name],
                                 localns={'answers': rows})['return']


def differences(said: Any, schema: dict[str, Any], where: str) -> list[str]:
    """Where a type is not what a schema says, in words."""
    optional = {'type': 'null'} in schema.get('anyOf', ())
    arguments = typing.get_args(said)
    if isinstance(said, types.UnionType) and type(None) in arguments:
        if not optional:
            return [f'{where}: is never null']
        (said,) = (one for one in arguments if one is not type(None))
        (schema,) = (one for one in schema['anyOf']
                     if one != {'type': 'null'})
    elif optional:
        return [f'{where}: may be null']
    if typing.is_typeddict(said):
        return fields(said, schema, where)
    origin, arguments = typing.get_origin(said), typing.get_args(said)
    if origin is list and schema.get('type') == 'array':
        return differences(arguments[0], schema['items'], f'{where}[]')
    if origin is dict and schema.get('type') == 'object':
        return differences(arguments[1], schema['additionalProperties'],
                           f'{where}{{}}')
    values = schema.get('enum', [schema['const']] if 'const' in schema
                        else None)
    kinds = ({type(value) for value in values} if values else
             {{'string': str, 'integer': int, 'boolean': bool,
               None: Any}[schema.get('type')]})
    return [] if kinds == {said} else [f'{where}: is {kinds}, not {said}']


def fields(said: Any, schema: dict[str, Any], where: str) -> list[str]:
    hints = typing.get_type_hints(said, localns=vars(rows))
    properties = schema.get('properties', {})
    found = [f'{where}.{name}: only one of type and schema has it'
             for name in sorted({*hints} ^ {*properties})]
    for name in hints.keys() & properties.keys():
        if (name in said.__required_keys__) != (name in schema['required']):
            found.append(f'{where}.{name}: is it always there?')
        found += differences(hints[name], properties[name],
                             f'{where}.{name}')
    return found


def wrong(name: str) -> list[str]:
    """What is wrong with the type of a method's answer."""
    endpoint = schemas.ENDPOINTS[asked(name)]
    schema, said = endpoint.response, answer(name)
    if endpoint.media:
        return [] if said in (bytes, Iterator[bytes]) else [
            f'{name}: is bytes']
    if schema is None or schema == {'type': 'string'}:
        right = type(None) if schema is None else str
        return [] if said is right else [f'{name}: is {right}']
    properties = dict(schema['properties'])
    if typing.get_origin(said) is client.Pages:
        said = list[typing.get_args(said)[0]]
        properties = {key: one for key, one in properties.items()
                      if key not in ('links', 'count')
                      and one.get('type') == 'array'}
    elif len(properties) > 1:
        return differences(said, schema, name)
    (one,) = properties.values()
    return differences(said, one, name)


class AnswersTest(unittest.TestCase):

    def test_a_route_of_the_api_has_no_method(self) -> None:
        document = json.loads(
            (ROOT / 'api-ref' / 'openapi.json').read_text())
        routes = {(verb.upper(), path)
                  for path, operations in document['paths'].items()
                  for verb in operations}
        self.assertGreater(len(routes), 35)
        self.assertEqual(routes, {asked(name) for name in methods()})

    def test_an_answer_is_not_what_its_type_says(self) -> None:
        self.assertEqual([], [words for name in methods()
                              for words in wrong(name)])

    def test_a_type_is_of_no_answer(self) -> None:
        """Nobody would notice how it ages."""
        used: set[Any] = set()

        def use(said: Any) -> None:
            if typing.is_typeddict(said) and said not in used:
                used.add(said)
                for hint in typing.get_type_hints(
                        said, localns=vars(rows)).values():
                    use(hint)
            for inner in typing.get_args(said):
                use(inner)

        for name in methods():
            use(answer(name))
        # What several have in common is none by itself.
        there = {kind for name, kind in vars(rows).items()
                 if typing.is_typeddict(kind) and not name.startswith('_')}
        self.assertEqual(set(), there - used)


class TheTestBites(unittest.TestCase):

    def assert_told(self, words: str, said: Any,
                    schema: dict[str, Any]) -> None:
        self.assertIn(words, ' '.join(differences(said, schema, 'it')))

    def test_a_difference_is_not_told(self) -> None:
        text = {'type': 'string'}
        self.assertEqual([], differences(str, text, 'it'))
        self.assert_told('is never null', str | None, text)
        self.assert_told('may be null', str, {
            'anyOf': [text, {'type': 'null'}]})
        self.assert_told('is', int, text)
        self.assert_told('it[]', list[int], {'type': 'array', 'items': text})
        self.assert_told('only one', rows.Energy, {
            'type': 'object', 'required': ['energy_uj'],
            'properties': {'energy_uj': text}})
        self.assert_told('always there', rows.Energy, {
            'type': 'object', 'required': ['energy_uj'],
            'properties': {'energy_uj': text, 'energy_kwh': text}})
