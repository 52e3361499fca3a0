# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import pathlib

from oslotest import base

from energy_accounting.api import openapi, schemas

FILE = pathlib.Path(__file__).parents[3] / 'api-ref' / 'openapi.json'


class OpenapiTest(base.BaseTestCase):

    def test_the_document_in_the_tree_is_not_stale(self) -> None:
        self.assertEqual(
            openapi.text(), FILE.read_text(),
            'run: python -m energy_accounting.api.openapi '
            '> api-ref/openapi.json')

    def test_every_endpoint_is_in_the_document(self) -> None:
        paths = openapi.document()['paths']
        self.assertEqual(
            set(schemas.ENDPOINTS),
            {(method.upper(), path) for path, methods in paths.items()
             for method in methods})

    def test_every_status_that_succeeds_has_its_schema(self) -> None:
        paths = openapi.document()['paths']
        for (method, path), endpoint in schemas.ENDPOINTS.items():
            answers = paths[path][method.lower()]['responses']
            self.assertEqual([str(endpoint.status)], [
                status for status in answers if status < '400'])
            self.assertEqual(endpoint.response is not None,
                             'content' in answers[str(endpoint.status)])

    def test_an_operation_with_a_token_names_its_rules(self) -> None:
        paths = openapi.document()['paths']
        for (method, path), endpoint in schemas.ENDPOINTS.items():
            operation = paths[path][method.lower()]
            self.assertEqual(endpoint.token, 'security' in operation)
            if endpoint.token:
                self.assertTrue(operation['x-openstack']['policies'], path)
