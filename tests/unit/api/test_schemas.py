# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import datetime
import re
from collections.abc import Iterator
from typing import Any, ClassVar

import jsonschema
from oslotest import base

from energy_accounting import errors, units
from energy_accounting.api import schemas, validation
from energy_accounting.api.controllers import Resource, Service, root


def endpoints(resource: Resource, path: str = '',
              ) -> Iterator[tuple[str, str]]:
    """Every method of every path below a resource."""
    item = f'{path}/{{{resource.key}}}'
    for of_item, where in ((False, path or '/'), (True, item)):
        for method in resource.methods(of_item):
            yield method, where
    for where, nouns in ((path, resource.children),
                         (item, resource.below_item)):
        for noun, child in nouns.items():
            yield from endpoints(child, f'{where}/{noun}')


SERVICE = Service(None, None,  # type: ignore[arg-type]
                  lambda: datetime.datetime.now(units.UTC), 1,
                  None)  # type: ignore[arg-type]


def routes() -> set[tuple[str, str]]:
    return {*endpoints(root.Root(SERVICE)), ('GET', '/healthcheck')}


class EndpointsTest(base.BaseTestCase):

    def test_every_route_has_a_schema_and_every_schema_a_route(
            self) -> None:
        self.assertEqual(routes(), set(schemas.ENDPOINTS))

    def test_a_route_without_a_schema_would_be_found(self) -> None:
        class Part(Resource):
            key = 'id'

            def update(self) -> None: ...
            def delete(self) -> None: ...

        class Child(Resource):
            below_item: ClassVar = {'parts': Part(SERVICE)}

            def create(self) -> None: ...

        class Parent(Resource):
            def __init__(self, service: Service) -> None:
                super().__init__(service)
                self.children = {'child': Child(service)}

            def get_one(self) -> None: ...

        self.assertEqual(
            {('GET', '/{name}'), ('POST', '/child'),
             ('PATCH', '/child/{name}/parts/{id}'),
             ('DELETE', '/child/{name}/parts/{id}')},
            set(endpoints(Parent(SERVICE))))

    def test_every_schema_is_one_and_lets_nothing_unknown_pass(
            self) -> None:
        for (_, path), endpoint in schemas.ENDPOINTS.items():
            for schema in (endpoint.query, endpoint.body, endpoint.response,
                           *endpoint.path_parameters.values()):
                if schema is not None:
                    jsonschema.Draft202012Validator.check_schema(schema)
                    self._closed(schema, path)
            self.assertIs(False, endpoint.query['additionalProperties'])

    def _closed(self, schema: Any, where: str) -> None:
        if isinstance(schema, dict):
            if schema.get('type') == 'object':
                self.assertIn('additionalProperties', schema, where)
                self.assertIsNot(True, schema['additionalProperties'])
            for name, value in schema.items():
                self._closed(value, f'{where}.{name}')

    def test_every_parameter_has_a_remedy(self) -> None:
        for endpoint in schemas.ENDPOINTS.values():
            for name, schema in endpoint.query['properties'].items():
                self.assertTrue(schema['description'], name)
            self._described(endpoint.body)

    def _described(self, schema: Any) -> None:
        """Every field of a body has a remedy too, at any depth."""
        if not isinstance(schema, dict):
            return
        for name, field in schema.get('properties', {}).items():
            self.assertTrue(field.get('description'), name)
        for value in schema.values():
            self._described(value)

    def test_every_path_parameter_is_described_and_no_other(self) -> None:
        for (_, path), endpoint in schemas.ENDPOINTS.items():
            self.assertEqual(set(re.findall('{([a-z]+)}', path)),
                             set(endpoint.path_parameters), path)

    def test_a_method_that_may_not_write_takes_no_body(self) -> None:
        for (method, path), endpoint in schemas.ENDPOINTS.items():
            self.assertEqual(method in ('POST', 'PATCH'),
                             endpoint.body is not None, path)
            self.assertEqual(endpoint.status == 204,
                             endpoint.response is None, path)


class QueryTest(base.BaseTestCase):

    def test_values_are_decoded_once(self) -> None:
        given = validation.query('GET', '/v1/usage', {
            'QUERY_STRING': 'flavor=a%2Bb+c%2525&site=%C3%A4'})
        self.assertEqual({'flavor': 'a+b c%25', 'site': '\u00e4'}, given)

    def test_a_huge_value_is_not_repeated_in_the_answer(self) -> None:
        for words in ('site=' + 'x' * 5000, 'x' * 5000 + '=1',
                      'sort=' + 'x' * 5000):
            error = self.assertRaises(
                errors.InvalidRequest, validation.query, 'GET', '/v1/usage',
                {'QUERY_STRING': words})
            self.assertLess(len(str(error)), 600)
