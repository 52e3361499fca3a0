# SPDX-License-Identifier: Apache-2.0
"""A small cloud behind the whole HTTP pipeline, for tests of the API.

Only the validation of tokens is replaced; every answer is held against the
schema of its endpoint.
"""

from __future__ import annotations

import datetime
import json
import re
import urllib.parse
from typing import Any

import jsonschema
import webob
from keystoneauth1 import fixture as tokens
from keystonemiddleware import fixture as token_fixture
from oslo_config import cfg
from oslotest import base

from energy_accounting import conf as configuration
from energy_accounting import units
from energy_accounting.api import app, schemas
from energy_accounting.ledger import engine
from tests.unit.ledger import filled

FIRST = filled.bucket('2026-11-01T00:00:00Z')
KWH = units.UJ_PER_KWH
LADDER = ('reader', 'member', 'manager', 'admin')

# The name of each token tells its roles and its scope.
PERSONAS: dict[str, dict[str, Any]] = {
    **{f'{role}-{project}': {
        'roles': LADDER[:number + 1], 'project_id': project}
       for number, role in enumerate(LADDER) for project in ('p1', 'p2')},
    'service-p1': {'roles': ('service',), 'project_id': 'p1'},
    'billing-p2': {'roles': ('energy_billing',), 'project_id': 'p2'},
    'nothing-p1': {'roles': (), 'project_id': 'p1'},
    'manager-d1': {'roles': LADDER[:3], 'domain_id': 'd1'},
    'manager-d2': {'roles': LADDER[:3], 'domain_id': 'd2'},
    'admin-d1': {'roles': LADDER, 'domain_id': 'd1'},
    # As from a Keystone in which admin does not imply manager.
    'lone-admin-d1': {'roles': ('admin',), 'domain_id': 'd1'},
    'admin-d2': {'roles': LADDER, 'domain_id': 'd2'},
    'reader-d1': {'roles': LADDER[:1], 'domain_id': 'd1'},
    'nothing-d1': {'roles': (), 'domain_id': 'd1'},
    'service-d1': {'roles': ('service',), 'domain_id': 'd1'},
    'admin-system': {'roles': LADDER, 'system': {'all': True}},
    'reader-system': {'roles': LADDER[:1], 'system': {'all': True}},
    'unscoped': {'roles': ()},
}


def fill(database: engine.Database) -> None:
    """Two hosts, four projects of two domains, two quarters of an hour."""
    ledger = filled.Filled(database)
    ended = (FIRST + 2) * units.BUCKET_NS
    ledger.host('compute-1', last_window_start_ns=ended - 60 * 10**9,
                last_window_end_ns=ended)
    ledger.host('compute-2', 'berlin', 'de',
                last_window_start_ns=ended - 120 * 10**9,
                last_window_end_ns=ended - 60 * 10**9,
                basis='["package-0"]')
    web = ledger.instance('web', 'p1', 'm1.small', 'ann')
    database_server = ledger.instance('db', 'p1', 'm1.large', 'ann')
    batch = ledger.instance('batch', 'p2', 'm1.large', 'bob')
    other = ledger.instance('other', 'p3')
    found = ledger.instance('found')
    for project, domain in (('p1', 'd1'), ('p2', 'd1'), ('p3', 'd2')):
        ledger.domain(project, domain)
    ledger.book(web, 'compute-1', FIRST, KWH, KWH // 2, KWH // 4, KWH // 4)
    ledger.book(web, 'compute-2', FIRST + 1, KWH, KWH // 2)
    ledger.book(database_server, 'compute-2', FIRST, 3 * KWH)
    ledger.book(batch, 'compute-2', FIRST, 5 * KWH,
                backfilled_uj=KWH // 2)
    ledger.book(other, 'compute-1', FIRST + 1, 1)
    ledger.book(found, 'compute-1', FIRST + 1, 7)
    ledger.claim(found, 'p4', units.wall_ns(
        datetime.datetime(2026, 11, 10, tzinfo=units.UTC)))
    ledger.book(ledger.account('service', name='kubernetes'),
                'compute-1', FIRST, KWH, vcpu_ns=0)
    ledger.book(ledger.account('unallocated', name='idle_capacity'),
                'compute-1', FIRST, 0, KWH, vcpu_ns=0)
    ledger.measured('compute-2', FIRST + 1, units.BUCKET_NS // 2)
    ledger.gap('compute-2', None, FIRST * units.BUCKET_NS,
               FIRST * units.BUCKET_NS + 10**9, 'restart')
    ledger.quarantine('compute-2', FIRST * units.BUCKET_NS, 42)
    ledger.write()


def configure(test: base.BaseTestCase, **sections: str) -> cfg.ConfigOpts:
    """A configuration of its own, from a file with some sections."""
    sections.setdefault('keystone_authtoken',
                        'www_authenticate_uri = http://keystone.example/')
    (path,) = test.create_tempfiles([('energy', ''.join(
        f'[{name}]\n{text}\n' for name, text in sections.items()))],
        '.conf')
    conf = cfg.ConfigOpts()
    configuration.register(conf)
    conf([], default_config_files=[path], default_config_dirs=[])
    return conf


def know_tokens(test: base.BaseTestCase) -> None:
    """Let auth_token accept the names of :data:`PERSONAS` as tokens."""
    known = test.useFixture(token_fixture.AuthTokenFixture())
    for name, persona in PERSONAS.items():
        token = tokens.V3Token(
            user_id=f'user of {name}', user_name=name,
            user_domain_id='d1', user_domain_name='d1')
        if 'project_id' in persona:
            token.set_project_scope(
                id=persona['project_id'], name=persona['project_id'],
                domain_id='d1', domain_name='d1')
        if 'domain_id' in persona:
            token.set_domain_scope(
                id=persona['domain_id'], name=persona['domain_id'])
        if 'system' in persona:
            token.set_system_scope()
        for role in persona['roles']:
            token.add_role(name=role)
        known.add_token(token, token_id=name)


class ApiCase(base.BaseTestCase):
    """Requests to a filled ledger, each answer checked by its schema."""

    auth = True

    def setUp(self) -> None:
        super().setUp()
        self.now = filled.NOW
        self.database = self.new_database()
        self.fill()
        self.conf = configure(self, **self.sections())
        if self.auth:
            know_tokens(self)
        self.app = app.make_app(self.conf, self.database, auth=self.auth,
                                clock=lambda: self.now)

    def new_database(self) -> engine.Database:
        return filled.sqlite(self)

    def sections(self) -> dict[str, str]:
        """Of the configuration, by name."""
        return {}

    def fill(self) -> None:
        fill(self.database)

    def ask(self, path: str, token: str | None = None, *,
            method: str = 'GET', headers: Any = None, body: Any = None,
            **query: Any) -> webob.Response:
        """An answer, whatever it is, in the form its schema says.

        :param body: sent as JSON.
        """
        if query:
            path = f'{path}?{urllib.parse.urlencode(query)}'
        request = webob.Request.blank(path, method=method,
                                      headers=headers or {})
        if body is not None:
            request.body = json.dumps(body).encode()
            request.content_type = 'application/json'
        if token is not None:
            request.headers['X-Auth-Token'] = token
        answer = request.get_response(self.app)
        if method != 'HEAD':
            self.check_form(request, answer)
        return answer

    def check_form(self, request: webob.Request,
                   answer: webob.Response) -> None:
        schema: schemas.Schema | None = schemas.ERROR
        content_type = 'application/json'
        if answer.status_int < 400:
            endpoint = endpoint_of(request.method, request.path_info)
            self.assertEqual(endpoint.status, answer.status_int)
            schema = endpoint.response
            if endpoint.media:
                self.assertIn(answer.content_type, endpoint.media)
                return
            content_type = endpoint.text or content_type
        if schema is None:
            self.assertEqual(b'', answer.body)
            return
        self.assertEqual(content_type, answer.content_type)
        if content_type == 'application/json' == answer.content_type:
            _validator(schema).validate(answer.json)

    def get(self, path: str, token: str | None = None, **query: Any) -> Any:
        """The body of an answer that succeeds."""
        answer = self.ask(path, token, **query)
        self.assertEqual(200, answer.status_int, answer.text)
        return answer.json

    def refused(self, status: int, path: str, token: str | None = None,
                **query: Any) -> str:
        """The detail of the error that a request ends with."""
        answer = self.ask(path, token, **query)
        self.assertEqual(status, answer.status_int, answer.text)
        (error,) = answer.json['errors']
        self.assertEqual(status, error['status'])
        self.assertEqual(answer.headers['x-openstack-request-id'],
                         error['request_id'])
        return str(error['detail'])


_VALIDATORS: dict[int, jsonschema.Draft202012Validator] = {}


def _validator(schema: schemas.Schema) -> jsonschema.Draft202012Validator:
    """Made once for each schema: that costs more than most requests."""
    return _VALIDATORS.setdefault(
        id(schema), jsonschema.Draft202012Validator(schema))


def endpoint_of(method: str, path: str) -> schemas.Endpoint:
    """What a path with the names of items in it leads to."""
    for (known, template), endpoint in schemas.ENDPOINTS.items():
        pattern = re.sub('{[a-z]+}', '[^/]+', template.rstrip('/'))
        if known == method and re.fullmatch(pattern, path.rstrip('/')):
            return endpoint
    raise LookupError(f'{method} {path} is no endpoint')
