# SPDX-License-Identifier: Apache-2.0
"""Who a real Keystone says is asking, and what happens when it is away.

One Keystone and one API process with the configuration of an operator; the
API is asked over HTTP, the tokens are Keystone's own.
"""

from __future__ import annotations

import atexit
import datetime
import functools
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import textwrap
import time
import unittest
import unittest.mock
import uuid
from typing import Any

import requests
from keystoneauth1 import session
from keystoneauth1.identity import generic, v3

from energy_accounting import units
from energy_accounting.ledger import engine
from tests import servers
from tests.acceptance import cloud, keystone
from tests.unit import web
from tests.unit.osc import shell, walk

USAGE = '/v1/usage'
HOSTS = '/v1/hosts'
KIND = 'energy-accounting'
# Who there is: of two projects of one domain of their own.
USERS = {'reader': ('ours', 'reader'), 'member': ('ours', 'member'),
         'admin': ('ours', 'admin'), 'guest': ('ours', 'guest'),
         'gone': ('ours', 'reader'), 'caller': ('services', 'service'),
         'energy': ('services', 'service')}
SECONDS = 60


class Api(cloud.Region):
    """The API alone."""

    def launch(self) -> None:
        self.launch_api()


class Mounted(Api):
    """The API below a path, as behind most web servers."""

    mount = '/energy'

    def launch_api(self) -> None:
        self.spawn(*cloud.DIE_TOGETHER, str(cloud.BIN / 'waitress-serve'),
                   f'--listen={servers.LOOPBACK}:{self.port}',
                   f'--url-prefix={self.mount}',
                   'energy_accounting.wsgi.api:application',
                   env={'OS_ENERGY_ACCOUNTING_CONFIG_FILE': str(self.conf)})
        self.url = (f'http://{servers.LOOPBACK}:{self.port}{self.mount}')


class Stage:
    """A domain of its own in the Keystone of this run, and an API."""

    def __init__(self, test: unittest.TestCase,
                 where: pathlib.Path) -> None:
        self.region = f'region-{uuid.uuid4().hex}'
        self.keystone = keystone.shared()
        admin = keystone.admin(self.keystone)
        self.call = admin.call
        self.session = session.Session()
        self._people()
        admin.endpoint('identity', self.region, self.keystone.url)
        self.api = Api(where, 'api', {
            'DEFAULT': f'state_path = {where}\n',
            'database': f'connection = sqlite:///{where}/ledger.db\n',
            'exports': f'directory = {where}\n',
            'keystone_authtoken':
                f'auth_type = password\nauth_url = {self.keystone.url}\n'
                f'region_name = {self.region}\n'
                f'username = energy\npassword = {keystone.PASSWORD}\n'
                f'user_domain_id = {self.domain}\n'
                f'project_id = {self.projects["services"]}\n'
                'http_request_max_retries = 0\n'})
        test.addCleanup(self.api.stop)
        self.api.start()
        self.where = where
        self.database = engine.Database(f'sqlite:///{where}/ledger.db')
        test.addCleanup(self.database.close)
        walk.fill(self.database, self.projects['ours'])
        admin.endpoint(KIND, self.region, self.api.url)
        self._tokens_that_end()

    def _people(self) -> None:
        self.call('POST', 'regions', {'region': {'id': self.region}})
        self.domain = self.call('POST', 'domains', {'domain': {
            'name': self.region}})['domain']['id']
        self.roles = {role['name']: role['id']
                      for role in self.call('GET', 'roles')['roles']}
        if 'guest' not in self.roles:
            self.roles['guest'] = self.call('POST', 'roles', {
                'role': {'name': 'guest'}})['role']['id']
        self.projects = {name: self.call('POST', 'projects', {'project': {
            'name': name, 'domain_id': self.domain}})['project']['id']
            for name in ('ours', 'theirs', 'services')}
        self.users = {}
        for name, (project, role) in USERS.items():
            self.users[name] = self.call('POST', 'users', {'user': {
                'name': name, 'password': keystone.PASSWORD,
                'domain_id': self.domain}})['user']['id']
            self.grant(f'projects/{self.projects[project]}', name, role)
        self.grant(f'domains/{self.domain}', 'member', 'manager')
        self.grant('system', 'admin', 'admin')

    def grant(self, scope: str, user: str, role: str) -> None:
        self.call('PUT', f'{scope}/users/{self.users[user]}/roles/'
                         f'{self.roles[role]}')

    def token(self, user: str, url: str = '', **scope: Any) -> str:
        """A new token; of the user's project if nothing else is said."""
        return self.sign_in(v3.Password(
            url or self.keystone.url, user_id=self.users[user],
            password=keystone.PASSWORD, **(scope or {
                'project_id': self.projects[USERS[user][0]]})))

    def sign_in(self, plugin: v3.Password) -> str:
        return str(plugin.get_access(self.session).auth_token)

    def credential(self, user: str, *rules: dict[str, str]) -> str:
        """The token of a new application credential of a user."""
        made = self.make_credential(user, *rules)
        return self.sign_in(v3.ApplicationCredential(
            self.keystone.url, application_credential_id=made['id'],
            application_credential_secret=made['secret']))

    def make_credential(self, user: str, *rules: dict[str, str],
                        ) -> dict[str, str]:
        """A new application credential of a user: its id and secret."""
        made = requests.post(
            f'{self.keystone.url}/users/{self.users[user]}'
            '/application_credentials', timeout=SECONDS,
            headers={'X-Auth-Token': self.token(user)},
            json={'application_credential': {
                'name': f'{time.monotonic_ns()}',
                **({'access_rules': rules} if rules else {})}})
        made.raise_for_status()
        found: dict[str, str] = made.json()['application_credential']
        return found

    def login(self, user: str) -> dict[str, str]:
        """What ``openstack`` reads of the environment for a user."""
        return {'OS_AUTH_URL': self.keystone.url, 'OS_USERNAME': user,
                'OS_PASSWORD': keystone.PASSWORD,
                'OS_USER_DOMAIN_ID': self.domain,
                'OS_PROJECT_ID': self.projects[USERS[user][0]],
                'OS_REGION_NAME': self.region,
                'OS_IDENTITY_API_VERSION': '3'}

    def _tokens_that_end(self) -> None:
        """Let Keystone make tokens that are at their end at once."""
        with self.keystone.second('[token]\nexpiration = 1\n') as url:
            self.expired = {user: self.token(user, url)
                            for user in ('reader', 'caller')}
        # Keystone's clock is this machine's: they end within a second.
        until_refused(self, self.expired['caller'])

    def ask(self, path: str, token: str | None = None,
            service: str | None = None) -> requests.Response:
        return requests.get(
            self.api.url + path, timeout=SECONDS, headers={
                **({'X-Auth-Token': token} if token else {}),
                **({'X-Service-Token': service} if service else {})})


def until_refused(stage: Stage, token: str) -> None:
    """Wait until Keystone itself does not know a token any more."""
    deadline = time.monotonic() + SECONDS
    while requests.get(
            f'{stage.keystone.url}/auth/tokens', timeout=SECONDS,
            headers={'X-Auth-Token': stage.token('energy'),
                     'X-Subject-Token': token}).status_code == 200:
        if time.monotonic() > deadline:
            raise TimeoutError('the token does not end')


@functools.cache
def shared() -> Stage:
    """The one stage of all tests here."""
    holder = unittest.TestCase()
    atexit.register(holder.doCleanups)
    return Stage(holder, holder.enterContext(servers.directory()))


class StagedTest(unittest.TestCase):

    stage: Stage

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.stage = shared()


class KeystoneTest(StagedTest):

    def answers(self, status: int, path: str, token: str | None = None,
                **more: str) -> requests.Response:
        """An answer with a status; one of refusal is in our own form."""
        answer = self.stage.ask(path, token, **more)
        self.assertEqual(status, answer.status_code, answer.text)
        if status >= 400:
            (error,) = answer.json()['errors']
            self.assertEqual(status, error['status'])
            self.assertEqual(answer.headers['x-openstack-request-id'],
                             error['request_id'])
            for word in ('Traceback', 'keystone', self.stage.keystone.url):
                self.assertNotIn(word, answer.text)
        return answer

    def test_a_role_in_a_project_opens_too_much_or_too_little(self) -> None:
        theirs = f'{USAGE}?project={self.stage.projects["theirs"]}'
        for user, own, other, hosts in (
                ('reader', 200, 403, 403), ('member', 200, 403, 403),
                ('admin', 200, 200, 200), ('guest', 403, 403, 403),
                ('caller', 403, 403, 403)):
            with self.subTest(user):
                token = self.stage.token(user)
                self.answers(own, USAGE, token)
                self.answers(other, theirs, token)
                self.answers(hosts, HOSTS, token)

    def test_a_scope_opens_too_much_or_too_little(self) -> None:
        domain = self.stage.token('member', domain_id=self.stage.domain)
        self.answers(200, USAGE, domain)
        self.answers(403, f'{USAGE}?domain=default', domain)
        self.answers(403, HOSTS, domain)
        for token in (self.stage.token('admin', system_scope='all'),
                      self.stage.token('admin', unscoped=True)):
            self.answers(403, USAGE, token)
            self.answers(403, f'{USAGE}?all_projects=true', token)
            self.answers(403, HOSTS, token)

    def test_an_application_credential_is_not_held_to_its_rules(
            self) -> None:
        free = self.stage.credential('admin')
        for path in (USAGE, HOSTS):
            self.answers(200, path, free)
        bound = self.stage.credential(
            'admin', {'service': KIND, 'method': 'GET', 'path': USAGE},
            {'service': KIND, 'method': 'GET', 'path': f'{HOSTS}/*'},
            {'service': KIND, 'method': 'POST', 'path': HOSTS},
            {'service': 'compute', 'method': 'GET', 'path': '/v1/balance'})
        self.answers(200, f'{USAGE}?all_projects=true', bound)
        self.answers(404, f'{HOSTS}/nobody', bound)
        for path in (HOSTS, '/v1/balance', f'{HOSTS}/a/b'):
            self.answers(401, path, bound)

    def test_a_token_that_has_ended_is_let_through(self) -> None:
        self.assertIn('WWW-Authenticate', self.answers(
            401, USAGE, self.stage.expired['reader']).headers)

    def test_a_token_that_was_taken_back_is_let_through(self) -> None:
        token = self.stage.token('reader')
        requests.delete(f'{self.stage.keystone.url}/auth/tokens',
                        timeout=SECONDS, headers={
                            'X-Auth-Token': token,
                            'X-Subject-Token': token}).raise_for_status()
        self.answers(401, USAGE, token)

    def test_a_user_who_was_shut_out_is_let_through(self) -> None:
        token = self.stage.token('gone')
        bound = self.stage.credential('gone')
        self.stage.call('PATCH', f'users/{self.stage.users["gone"]}',
                        {'user': {'enabled': False}})
        self.answers(401, USAGE, token)
        self.answers(401, USAGE, bound)

    def test_a_service_cannot_finish_what_a_user_began(self) -> None:
        """A long work: the user's token ends, the service's does not."""
        ended = self.stage.expired['reader']
        self.answers(200, USAGE, ended, service=self.stage.token('caller'))

    def test_anybody_can_stand_in_for_a_service(self) -> None:
        for service in (self.stage.token('admin'),
                        self.stage.token('reader'),
                        self.stage.expired['caller'], 'forged'):
            self.answers(401, USAGE, self.stage.expired['reader'],
                         service=service)
        # Nor is a service token worth anything by itself.
        self.answers(401, USAGE, service=self.stage.token('caller'))

    def test_a_service_token_adds_to_what_a_user_may(self) -> None:
        for path in (HOSTS, f'{USAGE}?all_projects=true'):
            self.answers(403, path, self.stage.token('reader'),
                         service=self.stage.token('caller'))

    # --- Keystone away ---

    def away(self, token: str) -> None:
        """What a caller with a new token is told."""
        begun = time.monotonic()
        answer = self.answers(503, USAGE, token)
        self.assertLess(time.monotonic() - begun, SECONDS)
        self.assertRegex(answer.headers['Retry-After'], '^[0-9]+$')
        self.assertEqual('energy.unavailable',
                         answer.json()['errors'][0]['code'])
        # Nobody needs a token to learn whether this process is well.
        self.answers(200, '/v1')
        self.answers(200, '/healthcheck')

    def test_a_keystone_that_is_away_is_a_failure_of_ours(self) -> None:
        known, new = self.stage.token('reader'), self.stage.token('reader')
        self.answers(200, USAGE, known)
        self.stage.keystone.kill()
        try:
            self.away(new)
            # Nor do those who were there before notice it at once.
            self.answers(200, USAGE, known)
        finally:
            self.stage.keystone.start()
        self.answers(200, USAGE, new)

    def test_a_keystone_that_hangs_holds_the_caller(self) -> None:
        new = self.stage.token('reader')
        (process,) = self.stage.keystone.processes
        process.send_signal(signal.SIGSTOP)
        try:
            self.away(new)
        finally:
            process.send_signal(signal.SIGCONT)
        self.answers(200, USAGE, new)

    def test_a_start_without_keystone_fails_for_ever(self) -> None:
        new = self.stage.token('reader')
        self.stage.keystone.kill()
        try:
            self.stage.api.kill()
            self.stage.api.start()
            self.away(new)
            self.answers(401, USAGE)
        finally:
            self.stage.keystone.start()
        self.answers(200, USAGE, new)


class CommandsTest(StagedTest):
    """Every command of ``openstack energy``, with real tokens."""

    def setUp(self) -> None:
        super().setUp()
        # A user signs in once: what is tested is not how long that takes.
        known: dict[str, Any] = {}
        sign_in = generic.Password.get_auth_ref

        def once(plugin: Any, *args: Any, **options: Any) -> Any:
            user = os.environ['OS_USERNAME']
            if user not in known:
                known[user] = sign_in(plugin, *args, **options)
            return known[user]

        self.enterContext(unittest.mock.patch.object(
            generic.Password, 'get_auth_ref', once))

    def openstack(self, user: str, words: list[str]) -> tuple[int, str, str]:
        with unittest.mock.patch.dict(os.environ, {
                'PATH': os.environ['PATH'], 'HOME': '/nonexistent',
                **self.stage.login(user)}, clear=True):
            return shell.run(words)

    def test_a_command_does_nothing_against_the_real_service(self) -> None:
        done = set()
        project = self.stage.projects['ours']
        now = datetime.datetime.now(units.UTC)
        with tempfile.TemporaryDirectory() as files:
            for step, _answer, words in walk.walk(
                    lambda words: self.openstack('admin', words), project,
                    pathlib.Path(files), now,
                    lambda export: walk.send(
                        self.stage.database, self.stage.where, export, now)):
                done.add(walk.command(step.line))
                if step.tenant:
                    self.tenant_may(step, words)
        self.assertEqual(walk.commands(), done)

    def tenant_may(self, step: walk.Step, words: list[str]) -> None:
        status, out, err = self.openstack('reader', [
            'energy', *words, *([] if step.text else ['-f', 'json'])])
        self.assertEqual(0, status, f'{words}: {err}')
        walk.shown(step, out)

    def test_a_tenant_is_told_more_or_less_than_its_own(self) -> None:
        day = walk.DAY.split()
        _, out, err = self.openstack('reader', [
            'energy', 'usage', 'list', *day, '-f', 'value', '-c',
            'instance_id', '-c', 'active_kwh'])
        self.assertEqual([f'{walk.SERVER} 6.000000000000000',
                          f'{walk.OTHER} 2.000000000000000'],
                         sorted(out.splitlines()), err)
        status, out, err = self.openstack(
            'reader', ['energy', 'host', 'list'])
        self.assertEqual((1, '', 1), (status, out, len(err.splitlines())))

    def test_a_name_is_not_found_by_a_real_keystone(self) -> None:
        day = walk.DAY.split()
        for words, said in (
                (('--project', 'theirs', '--project-domain',
                  self.stage.region), ''),
                (('--user', 'reader', '--user-domain', self.stage.region),
                 ''),
                (('--project', 'nobody'), 'there is no project called'),
                (('--domain', 'nowhere'), 'there is no domain called'),
                (('--server', 'web-1'), 'give the ID of web-1')):
            status, _, err = self.openstack(
                'admin', ['energy', 'usage', 'list', *day, *words])
            self.assertEqual(bool(said), bool(status), err)
            self.assertIn(said, err)
        # Who may not ask Keystone has given an id; whose it is, the API
        # does not say.
        status, _, err = self.openstack('reader', [
            'energy', 'usage', 'list', *day, '--project', 'theirs'])
        self.assertEqual((1, 1), (status, len(err.splitlines())), err)


PAGE = walk.ROOT / 'doc' / 'source' / 'user' / 'from-an-instance.rst'


def program(name: str) -> str:
    """A program of the page, as a reader copies it."""
    (found,) = re.findall(rf'   :name: {name}\n\n((?:   .*\n|\n)+)',
                          PAGE.read_text())
    return textwrap.dedent(str(found))


class InstanceTest(StagedTest):
    """A server reads its own figures, with what the page says."""

    def setUp(self) -> None:
        super().setUp()
        self.metadata = web.Server(self, lambda request: web.Answer(
            {'hostname': 'web-1', 'uuid': walk.SERVER, 'project_id': 'p'}))

    def reads_itself(self, url: str, path: str) -> None:
        made = self.stage.make_credential('reader', {
            'service': KIND, 'method': 'GET', 'path': path})
        environment = {
            'PATH': os.environ['PATH'], 'OS_AUTH_URL':
            self.stage.keystone.url, 'ENERGY_URL': url,
            'CREDENTIAL_ID': made['id'], 'SECRET': made['secret'],
            'SELF': walk.SERVER, 'START': '2026-11-01T00:00:00Z',
            'END': '2026-11-01T01:00:00Z'}
        metadata = 'http://169.254.169.254'
        script = program('with-curl')
        self.assertIn(metadata, script)
        answer = self.run_program(environment, 'sh', '-c', script.replace(
            metadata, self.metadata.url))
        self.assertEqual(
            [('2026-11-01T00:00:00Z', '3.000000000000000'),
             ('2026-11-01T00:15:00Z', '3.000000000000000')],
            [(row['start'], row['active_kwh'])
             for row in json.loads(answer)['usage']])
        self.assertEqual(
            '2026-11-01T00:00:00Z 3.000000000000000 0.500000000000000\n'
            '2026-11-01T00:15:00Z 3.000000000000000 0.500000000000000\n',
            self.run_program(environment, sys.executable, '-c',
                             program('with-the-client')))
        self.nothing_else(url, made)

    def run_program(self, environment: dict[str, str], *command: str) -> str:
        done = subprocess.run(command, env=environment, capture_output=True,
                              text=True, check=False, timeout=SECONDS)
        self.assertEqual(0, done.returncode, done.stderr)
        return done.stdout

    def nothing_else(self, url: str, made: dict[str, str]) -> None:
        token = self.stage.sign_in(v3.ApplicationCredential(
            self.stage.keystone.url, application_credential_id=made['id'],
            application_credential_secret=made['secret']))
        for method, where in (
                ('GET', f'{url}/v1/sites'), ('GET', f'{url}/v1/factors'),
                ('POST', f'{url}/v1/usage'), ('GET', f'{url}/v1/usage/'),
                ('GET', f'{url}/metrics'), ('GET', f'{url}/v1/balance'),
                ('GET', f'{self.stage.keystone.url}/users'),
                ('POST', f'{self.stage.keystone.url}/users/'
                         f'{self.stage.users["reader"]}'
                         '/application_credentials')):
            answer = requests.request(method, where, timeout=SECONDS,
                                      headers={'X-Auth-Token': token})
            self.assertIn(answer.status_code, (401, 403), where)

    def test_a_server_cannot_read_itself(self) -> None:
        self.reads_itself(self.stage.api.url, USAGE)

    def test_a_server_cannot_read_itself_below_a_path(self) -> None:
        mounted = Mounted(pathlib.Path(self.enterContext(
            servers.directory())), 'mounted', self.stage.api.options)
        self.addCleanup(mounted.stop)
        mounted.start()
        self.reads_itself(mounted.url, f'{Mounted.mount}{USAGE}')
        # The rule without the mount is of another path.
        token = self.stage.credential('reader', {
            'service': KIND, 'method': 'GET', 'path': USAGE})
        self.assertEqual(401, requests.get(
            f'{mounted.url}{USAGE}', timeout=SECONDS,
            headers={'X-Auth-Token': token}).status_code)
