# SPDX-License-Identifier: Apache-2.0
"""Who a real Keystone says is asking, and what happens when it is away.

One Keystone and one API process with the configuration of an operator; the
API is asked over HTTP, the tokens are Keystone's own.
"""

from __future__ import annotations

import pathlib
import signal
import time
import unittest
import uuid
from typing import Any

import requests
from keystoneauth1 import session
from keystoneauth1.identity import v3

from tests import servers
from tests.acceptance import cloud, keystone

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
            'keystone_authtoken':
                f'auth_type = password\nauth_url = {self.keystone.url}\n'
                f'region_name = {self.region}\n'
                f'username = energy\npassword = {keystone.PASSWORD}\n'
                f'user_domain_id = {self.domain}\n'
                f'project_id = {self.projects["services"]}\n'
                'http_request_max_retries = 0\n'})
        test.addCleanup(self.api.stop)
        self.api.start()
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
        made = requests.post(
            f'{self.keystone.url}/users/{self.users[user]}'
            '/application_credentials', timeout=SECONDS,
            headers={'X-Auth-Token': self.token(user)},
            json={'application_credential': {
                'name': f'{time.monotonic_ns()}',
                **({'access_rules': rules} if rules else {})}})
        made.raise_for_status()
        found = made.json()['application_credential']
        return self.sign_in(v3.ApplicationCredential(
            self.keystone.url, application_credential_id=found['id'],
            application_credential_secret=found['secret']))

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


class KeystoneTest(unittest.TestCase):

    stage: Stage

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        holder = unittest.TestCase()
        cls.addClassCleanup(holder.doCleanups)
        cls.stage = Stage(holder, holder.enterContext(servers.directory()))

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
