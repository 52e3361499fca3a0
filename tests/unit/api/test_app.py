# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import sqlalchemy as sa
import webob

from energy_accounting.api import app, schemas
from energy_accounting.ledger import engine
from tests.unit.api import cloud

VERSION = 'OpenStack-API-Version'


class DiscoveryTest(cloud.ApiCase):

    def test_versions_need_no_token(self) -> None:
        for path, version in (
                ('/', self.get('/')['versions'][0]),
                ('/v1', self.get('/v1')['version']),
                ('/v1/', self.get('/v1/')['version'])):
            self.assertEqual(
                ('v1', 'CURRENT', '1.0', '1.0'),
                (version['id'], version['status'], version['min_version'],
                 version['max_version']), path)

    def test_links_follow_the_mount_and_the_proxy(self) -> None:
        self.conf.set_override('enable_proxy_headers_parsing', True,
                               'oslo_middleware')
        request = webob.Request.blank('/v1', headers={
            'X-Forwarded-Proto': 'https', 'X-Forwarded-Host': 'api.example'})
        # The second is what uWSGI makes of /energy/ behind Apache.
        for request.script_name in ('/energy', '/energy/'):
            body = request.get_response(self.app).json
            self.assertEqual('https://api.example/energy/v1',
                             body['version']['links'][0]['href'])

    def test_microversions(self) -> None:
        for wanted, status in (('', 200), ('energy-accounting 1.0', 200),
                               ('energy-accounting latest', 200),
                               ('compute 2.1', 200),
                               ('energy-accounting 1.1', 406),
                               ('energy-accounting 2.0', 406),
                               ('energy-accounting x', 400)):
            answer = self.ask('/v1/usage', 'reader-p1', headers={
                VERSION: wanted} if wanted else {})
            self.assertEqual(status, answer.status_int, wanted)
            if status == 200:
                self.assertEqual('energy-accounting 1.0',
                                 answer.headers[VERSION])
                self.assertIn(VERSION.lower(),
                              answer.headers['vary'].lower())


class HealthTest(cloud.ApiCase):

    def test_a_healthy_service_says_so_and_nothing_else(self) -> None:
        self.conf.set_override('detailed', True, 'healthcheck')
        answer = self.ask('/healthcheck', headers={'Accept': 'text/html'})
        self.assertEqual({'healthy': True, 'reasons': []}, answer.json)

    def test_a_body_answers_who_asked_for_none(self) -> None:
        answer = self.ask('/healthcheck', method='HEAD')
        self.assertEqual((200, b''), (answer.status_int, answer.body))

    def test_it_is_not_healthy_without_its_database(self) -> None:
        with self.database.engine.begin() as connection:
            for table in ('hosts', 'sites'):
                connection.execute(sa.text('PRAGMA foreign_keys = OFF'))
                connection.execute(sa.text(
                    f'ALTER TABLE {table} RENAME TO gone_{table}'))
        answer = webob.Request.blank('/healthcheck').get_response(self.app)
        self.assertEqual(503, answer.status_int)
        self.assertEqual({'healthy': False, 'reasons': [
            'the database does not answer']}, answer.json)


class PipelineTest(cloud.ApiCase):

    def test_a_request_without_a_valid_token_is_unauthorized(self) -> None:
        for token in (None, 'forged', ''):
            self.refused(401, '/v1/usage', token)
        self.assertIn('WWW-Authenticate',
                      self.ask('/v1/usage').headers)

    def test_headers_of_an_identity_are_not_believed(self) -> None:
        forged = {'X-Roles': 'admin', 'X-Project-Id': 'p1',
                  'X-Identity-Status': 'Confirmed', 'X-User-Id': 'u'}
        self.assertEqual(401, self.ask(
            '/v1/hosts', headers=forged).status_int)
        self.assertEqual(403, self.ask(
            '/v1/hosts', 'reader-p1', headers=forged).status_int)
        self.assertEqual(401, self.ask(
            '/v1/../v1/hosts', headers=forged).status_int)
        self.assertEqual(401, self.ask(
            '//v1/hosts', headers=forged).status_int)

    def test_what_is_not_there_is_not_found(self) -> None:
        for path in ('/v2', '/v1/nothing', '/v1/usage/1', '/v1/hosts/a/b',
                     '/v1/hosts/_service/database', '/healthcheck/x',
                     '/v1/hosts/nobody', '/v1/hosts/get_all',
                     '/v1/hosts/compute-1.json'):
            self.refused(404, path, 'admin-p1')

    def test_a_method_that_is_not_there_is_named(self) -> None:
        for path in ('/', '/v1', '/v1/usage', '/v1/balance', '/healthcheck'):
            for method in ('POST', 'DELETE', 'PATCH', 'OPTIONS', 'TRACE',
                           'BREW'):
                answer = self.ask(path, 'admin-p1', method=method)
                self.assertEqual(405, answer.status_int)
                self.assertEqual('GET', answer.headers['Allow'])
                self.assertIn('errors', answer.json)

    def test_head_is_get_without_a_body(self) -> None:
        answer = self.ask('/v1/usage', 'reader-p1', method='HEAD')
        self.assertEqual((200, b''), (answer.status_int, answer.body))

    def test_a_browser_gets_json_too(self) -> None:
        for accept in ('text/html', 'image/png', 'q=;;'):
            answer = self.ask('/v1/usage', 'reader-p1',
                              headers={'Accept': accept})
            self.assertEqual('application/json', answer.content_type)
            self.assertEqual(200, answer.status_int)
            answer = self.ask('/v1/nothing', 'reader-p1',
                              headers={'Accept': accept})
            self.assertEqual(404, answer.status_int)

    def test_a_failure_says_nothing_of_its_inside(self) -> None:
        with self.database.engine.begin() as connection:
            connection.execute(sa.text(
                'ALTER TABLE project_buckets RENAME TO gone'))
        detail = self.refused(500, '/v1/usage', 'reader-p1')
        for word in ('project_buckets', 'sqlite', 'Traceback', 'SELECT'):
            self.assertNotIn(word, detail)

    def test_a_database_that_is_away_is_a_503(self) -> None:
        # Nothing listens there.
        away = engine.Database(
            'mysql+pymysql://nobody:secret@127.0.0.1:1/nothing')
        self.app = app.make_app(self.conf, away)
        detail = self.refused(503, '/v1/usage', 'reader-p1')
        for word in ('nobody', 'secret', 'pymysql', '127.0.0.1'):
            self.assertNotIn(word, detail)
        answer = webob.Request.blank('/healthcheck').get_response(self.app)
        self.assertEqual(503, answer.status_int)

    def test_origins_are_allowed_only_where_configured(self) -> None:
        asked = {'Origin': 'https://horizon.example'}
        name = 'Access-Control-Allow-Origin'
        self.assertNotIn(name, self.ask('/v1', headers=asked).headers)
        self.conf.set_override('allowed_origin', ['https://horizon.example'],
                               'cors')
        self.app = app.make_app(self.conf, self.database)
        self.assertIn(name, self.ask('/v1', headers=asked).headers)
        # Errors too, or a browser could not read them.
        self.assertIn(name, self.ask('/v1/usage', headers=asked).headers)

    def test_all_but_discovery_and_health_needs_a_token(self) -> None:
        for (method, path), endpoint in schemas.ENDPOINTS.items():
            answer = self.ask(path.replace('{name}', 'compute-1'),
                              method=method)
            self.assertEqual(401 if endpoint.token else 200,
                             answer.status_int, path)


class StandaloneTest(cloud.ApiCase):

    auth = False

    def test_its_caller_is_the_admin_of_all(self) -> None:
        forged = {'X-Roles': 'reader', 'X-Project-Id': 'p1',
                  'X-Auth-Token': 'x'}
        rows = self.ask('/v1/usage', headers=forged).json['usage']
        self.assertEqual([None, 'p1', 'p2', 'p3', 'p4'],
                         [row['project_id'] for row in rows])
        self.assertEqual(2, len(self.get('/v1/hosts')['hosts']))
        (row,) = self.get('/v1/usage', project='p2')['usage']
        self.assertEqual('p2', row['project_id'])
