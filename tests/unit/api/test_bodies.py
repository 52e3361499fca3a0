# SPDX-License-Identifier: Apache-2.0
"""Requests that bring something, on endpoints of the test's own."""

from __future__ import annotations

from decimal import Decimal
from typing import Any
from unittest import mock

import pecan
import webob

from energy_accounting import errors
from energy_accounting.api import openapi, schemas, validation
from energy_accounting.api.controllers import Resource, root
from tests.unit.api import cloud

THINGS = '/v1/things'
THING = '/v1/things/{name}'
PARTS = '/v1/things/{name}/parts'
PART = '/v1/things/{name}/parts/{id}'

_NAME = {'type': 'string', 'minLength': 1, 'maxLength': 20,
         'description': 'a short name'}
_WATTS = {'type': 'number', 'minimum': 0, 'description': 'watts from 0'}
_SPAN = {'type': 'object', 'additionalProperties': False,
         'required': ['start'], 'description': 'the span of a thing',
         'properties': {
             'start': {'type': 'string', 'pattern': 'Z$',
                       'description': 'a time in UTC'},
             'note': {'anyOf': [{'type': 'string'}, {'type': 'null'}],
                      'description': 'a text or null'}}}
_FIELDS = {'name': _NAME, 'watts': _WATTS, 'spans': {
    'type': 'array', 'items': _SPAN, 'description': 'spans of time'}}
_ANY = {'type': 'object', 'additionalProperties': {}}
_PLACE = {'name': _NAME, 'id': _NAME}
ENDPOINTS = {
    ('POST', THINGS): schemas.Endpoint(
        'Make a thing', schemas.NO_QUERY, _ANY, status=201,
        body=schemas._body(_FIELDS, optional=('watts', 'spans'))),
    ('PATCH', THING): schemas.Endpoint(
        'Change a thing', schemas.NO_QUERY, _ANY,
        body=schemas._body(_FIELDS, optional=tuple(_FIELDS))),
    ('DELETE', THING): schemas.Endpoint(
        'Forget a thing', schemas.NO_QUERY, None, status=204),
    ('GET', PARTS): schemas.Endpoint('Parts', schemas.NO_QUERY, _ANY),
    ('GET', PART): schemas.Endpoint('A part', schemas.NO_QUERY, _ANY),
}


def given(body: dict[str, Any]) -> dict[str, Any]:
    """The body as it was understood, to be looked at in the answer."""
    return {name: f'decimal {value}' if isinstance(value, Decimal) else value
            for name, value in body.items()}


class Parts(Resource):
    key = 'id'

    @pecan.expose('json')
    def get_all(self, request: webob.Request, response: webob.Response,
                name: str, /, **query: str) -> Any:
        return {'of': name}

    @pecan.expose('json')
    def get_one(self, request: webob.Request, response: webob.Response,
                name: str, part: str, /, **query: str) -> Any:
        return {'of': name, 'part': part}


class Things(Resource):

    def __init__(self, service: Any) -> None:
        super().__init__(service)
        self.below_item = {'parts': Parts(service)}

    @pecan.expose('json')
    def create(self, request: webob.Request, response: webob.Response, /,
               **query: str) -> Any:
        body = validation.body('POST', THINGS, request)
        if body['name'] == 'taken':
            raise errors.Conflict('name: taken is taken; give another')
        response.status_int = 201
        return given(body)

    @pecan.expose('json')
    def update(self, request: webob.Request, response: webob.Response,
               name: str, /, **query: str) -> Any:
        return {**given(validation.body('PATCH', THING, request)), 'of': name}

    @pecan.expose('json')
    def delete(self, request: webob.Request, response: webob.Response,
               name: str, /, **query: str) -> Any:
        response.status_int = 204
        return response


class V1(root.V1):

    def __init__(self, service: Any) -> None:
        super().__init__(service)
        self.children = {**self.children, 'things': Things(service)}


class BodyCase(cloud.ApiCase):

    auth = False

    def setUp(self) -> None:
        self.enterContext(mock.patch.dict(
            schemas.ENDPOINTS, ENDPOINTS))  # type: ignore[arg-type]
        self.enterContext(mock.patch.object(root, 'V1', V1))
        self.addCleanup(validation._validator.cache_clear)
        super().setUp()

    def send(self, text: bytes, content_type: str = 'application/json',
             path: str = THINGS, method: str = 'POST') -> webob.Response:
        request = webob.Request.blank(path, method=method, body=text)
        request.headers['Content-Type'] = content_type
        answer = request.get_response(self.app)
        self.check_form(request, answer)
        return answer

    def wrong(self, text: bytes, status: int = 400,
              **options: str) -> str:
        """What is said about a body that is refused."""
        answer = self.send(text, **options)
        self.assertEqual(status, answer.status_int, answer.text)
        return str(answer.json['errors'][0]['detail'])


class WrongBodyTest(BodyCase):

    def test_what_is_not_said_to_be_json_is_read(self) -> None:
        for kind in ('text/plain', 'application/x-www-form-urlencoded',
                     'multipart/form-data', '', 'application/jsonx',
                     'multipart/form-data; boundary=x', 'x' * 5000):
            detail = self.wrong(b'{"name": "a"}', 415, content_type=kind)
            self.assertIn('Content-Type: application/json', detail)
            self.assertLess(len(detail), 300)

    def test_what_is_not_json_is_a_failure_of_ours(self) -> None:
        for text in (b'', b'name=a', b'{"name": "a"', b'\xff', b'{"name": 0',
                     '{"name": "ä"}'.encode('latin-1'),
                     '{"name": "a"}'.encode('utf-16'),
                     b'{"name": "\\ud800"}', b'{"\\udfff": 1}',
                     b'{"name": ' + b'9' * 5000 + b'}',
                     b'{"watts": 1e' + b'9' * 30 + b'}',
                     b'[' * 100_000, b'{"a":' * 20_000):
            self.assertEqual(
                'body: it is not JSON; send one JSON object, in UTF-8',
                self.wrong(text))

    def test_a_charset_of_nobody_is_a_failure_of_ours(self) -> None:
        for charset in ('nonsense', 'latin-1', '"', 'utf-16'):
            answer = self.send(b'{"name": "a"}',
                               f'application/json; charset={charset}')
            self.assertEqual(201, answer.status_int)

    def test_a_name_given_twice_counts_once(self) -> None:
        self.assertEqual('name: given more than once; give it once',
                         self.wrong(b'{"name": "a", "name": "b"}'))
        self.assertEqual('start: given more than once; give it once',
                         self.wrong(b'{"name": "a", "spans": '
                                    b'[{"start": "Z", "start": "Z"}]}'))

    def test_what_is_no_number_is_taken_for_one(self) -> None:
        for word in ('NaN', 'Infinity', '-Infinity'):
            self.assertIn(f'{word} is not a number', self.wrong(
                f'{{"name": "a", "watts": {word}}}'.encode()))

    def test_a_body_that_is_no_object_is_taken(self) -> None:
        for text in (b'[]', b'null', b'"name"', b'1', b'[{"name": "a"}]'):
            self.assertEqual('body: must be an object; known are name, '
                             'watts, spans', self.wrong(text))

    def test_a_wrong_field_is_not_named(self) -> None:
        for text, words in (
                (b'{}', 'name: must be given; give: a short name'),
                (b'{"name": 1}', 'name: 1 is not valid; give: a short name'),
                (b'{"name": ""}',
                 'name: must not be empty; give: a short name'),
                (b'{"name": "a", "watts": -0.5}',
                 'watts: -0.5 is not valid; give: watts from 0'),
                (b'{"name": "a", "watts": true}',
                 'watts: true is not valid; give: watts from 0'),
                (b'{"name": "a", "colour": 1}', 'colour: there is no such '
                 'field; known are name, watts, spans'),
                (b'{"name": "a", "spans": {}}',
                 'spans: {} is not valid; give: spans of time'),
                (b'{"name": "a", "spans": [1]}',
                 'spans.0: 1 is not valid; give: the span of a thing'),
                (b'{"name": "a", "spans": [{}]}', 'spans.0.start: must be '
                 'given; give: a time in UTC'),
                (b'{"name": "a", "spans": [{"start": "Z", "note": 1}]}',
                 'spans.0.note: 1 is not valid; give: a text or null'),
                (b'{"name": "a", "spans": [{"start": "Z", "x": 1}]}',
                 'spans.0.x: there is no such field; known are start, '
                 'note')):
            self.assertEqual(words, self.wrong(text))

    def test_a_change_that_changes_nothing_is_taken(self) -> None:
        self.assertEqual(
            'body: has no field; known are name, watts, spans',
            self.wrong(b'{}', path='/v1/things/a', method='PATCH'))

    def test_a_huge_value_is_repeated_in_the_answer(self) -> None:
        for text in ('{"name": "%s"}' % ('x' * 5000),
                     '{"%s": 1}' % ('x' * 5000),
                     '{"name": [%s]}' % ('1,' * 5000 + '1')):
            self.assertLess(len(self.wrong(text.encode())), 300)

    def test_a_body_without_end_is_read(self) -> None:
        self.conf.set_override('max_request_body_size', 100,
                               'oslo_middleware')
        text = b'{"name": "a"' + b' ' * 100 + b'}'
        self.assertIn('send less', self.wrong(text, 413))
        # Nor one whose length nobody says.
        request = webob.Request.blank(THINGS, method='POST', body=text)
        request.content_type = 'application/json'
        del request.environ['CONTENT_LENGTH']
        request.environ['wsgi.input_terminated'] = True
        request.is_body_readable = True
        self.assertEqual(413, request.get_response(self.app).status_int)


class RightBodyTest(BodyCase):

    def test_what_was_sent_is_not_what_is_understood(self) -> None:
        answer = self.send('{"name": "ä\U0001f600", "watts": 0.10}'.encode())
        self.assertEqual({'name': 'ä\U0001f600', 'watts': 'decimal 0.10'},
                         answer.json)
        answer = self.send(b'{"name": "a", "watts": 1e999999}')
        self.assertEqual('decimal 1E+999999', answer.json['watts'])

    def test_a_field_steers_the_framework(self) -> None:
        for field in ('self', 'request', 'response', 'name', '_method'):
            detail = self.wrong(
                f'{{"{field}": "a", "x": 1}}'.encode(), method='PATCH',
                path='/v1/things/b')
            self.assertIn('there is no such field', detail)
        answer = self.ask('/v1/things/b', method='PATCH', body={'name': 'a'})
        self.assertEqual({'name': 'a', 'of': 'b'}, answer.json)

    def test_an_answer_has_not_the_status_of_its_endpoint(self) -> None:
        for method, path, body, status in (
                ('POST', THINGS, {'name': 'a'}, 201),
                ('PATCH', '/v1/things/a', {'name': 'a'}, 200),
                ('DELETE', '/v1/things/a', None, 204)):
            answer = self.ask(path, method=method, body=body)
            self.assertEqual(status, answer.status_int)
        self.assertNotIn('content-type', answer.headers)

    def test_a_conflict_is_not_told(self) -> None:
        answer = self.ask(THINGS, method='POST', body={'name': 'taken'})
        self.assertEqual(409, answer.status_int)
        (error,) = answer.json['errors']
        self.assertEqual(('Conflict', 'energy.conflict'),
                         (error['title'], error['code']))


class PathsTest(BodyCase):

    def test_a_noun_below_an_item_is_not_found(self) -> None:
        for path, found in (
                ('/v1/things/a/parts', {'of': 'a'}),
                ('/v1/things/a/parts/', {'of': 'a'}),
                ('/v1/things/a/parts/1', {'of': 'a', 'part': '1'}),
                ('/v1/things/parts/parts/parts',
                 {'of': 'parts', 'part': 'parts'})):
            self.assertEqual(found, self.get(path))

    def test_what_is_not_there_is_found(self) -> None:
        for path in ('/v1/things/a/b', '/v1/things/a/parts/1/2',
                     '/v1/things/a/parts/1/parts', '/v1/things/a/get_one',
                     '/v1/usage/parts', '/v1/hosts/a/parts'):
            self.refused(404, path)

    def test_a_method_of_another_path_is_allowed(self) -> None:
        for path, allowed in (('/v1/things', 'POST'),
                              ('/v1/things/a', 'PATCH, DELETE'),
                              ('/v1/things/a/parts', 'GET'),
                              ('/v1/things/a/parts/1', 'GET')):
            answer = self.ask(path, method='PUT')
            self.assertEqual((405, allowed),
                             (answer.status_int, answer.headers['Allow']))


class DocumentTest(BodyCase):

    def test_what_a_request_brings_is_not_described(self) -> None:
        operation = openapi.document()['paths'][THINGS]['post']
        self.assertTrue(operation['requestBody']['required'])
        self.assertEqual(
            ['name'], operation['requestBody']['content'][
                'application/json']['schema']['required'])
        self.assertLessEqual({'201', '400', '409', '413', '415'},
                             set(operation['responses']))

    def test_what_brings_nothing_has_a_body_to_refuse(self) -> None:
        paths = openapi.document()['paths']
        self.assertEqual({'description': 'As asked'},
                         paths[THING]['delete']['responses']['204'])
        self.assertNotIn('requestBody', paths[THING]['delete'])
        self.assertNotIn('415', paths[THING]['delete']['responses'])
        self.assertNotIn('409', paths[PART]['get']['responses'])
