# SPDX-License-Identifier: Apache-2.0
"""A real Keystone, and its contents.

Only what the acceptance tests need of an identity service is made in it.
"""

from __future__ import annotations

import atexit
import base64
import contextlib
import dataclasses
import functools
import os
import pathlib
import time
import unittest
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

from keystoneauth1 import adapter, session
from keystoneauth1.identity import v3

from tests import servers
from tests.acceptance import cloud, environment
from tests.functional import base

PASSWORD = 'secret'
DOMAIN = 'Default'
_START_SECONDS = 90
_SERVE = """
import waitress
from keystone.wsgi import api
waitress.serve(api.application, listen='{address}', threads=4)
"""


class Keystone(servers.Server):
    """Keystone on a free port, served by waitress.

    :param database: an SQLAlchemy URL of an empty database.
    """

    name = 'keystone'

    def __init__(self, where: pathlib.Path, database: str) -> None:
        self.database = database
        super().__init__(where)

    def prepare(self) -> None:
        self.port = servers.free_port()
        self.url = f'http://{servers.LOOPBACK}:{self.port}/v3'
        self.bin = environment.installed('keystone')
        # As keystone-manage makes them: the next key and the present one.
        for name in ('fernet', 'credential'):
            (self.path / name).mkdir(mode=0o700)
            for number in '01':
                (self.path / name / number).write_bytes(
                    base64.urlsafe_b64encode(os.urandom(32)))
        (self.path / 'keystone.conf').write_text(f"""
[DEFAULT]
use_stderr = true
public_endpoint = http://{servers.LOOPBACK}:{self.port}
[database]
connection = {self.database}
[fernet_tokens]
key_repository = {self.path}/fernet
[fernet_receipts]
key_repository = {self.path}/fernet
[credential]
key_repository = {self.path}/credential
[cache]
enabled = false
[identity]
password_hash_rounds = 4
[oslo_policy]
enforce_scope = true
enforce_new_defaults = true
""")
        self.manage('db_sync')
        self.manage('bootstrap', '--bootstrap-password', PASSWORD,
                    '--bootstrap-region-id', 'one',
                    '--bootstrap-public-url', self.url)

    def manage(self, *words: str) -> None:
        self.run(str(self.bin / 'keystone-manage'), '--config-dir',
                 str(self.path), *words)

    def launch(self) -> None:
        self._serve(self.port, '')

    def _serve(self, port: int, settings: str) -> None:
        (self.path / f'{port}.conf').write_text(settings)
        # Not waitress-serve: Keystone would read its arguments.
        serve = _SERVE.format(address=f'{servers.LOOPBACK}:{port}')
        self.spawn(*cloud.DIE_TOGETHER, str(self.bin / 'python'), '-c',
                   serve, env={'OS_KEYSTONE_CONFIG_DIR': str(self.path),
                               'OS_KEYSTONE_CONFIG_FILES':
                               f'keystone.conf;{port}.conf',
                               'PYTHONWARNINGS': 'ignore'})

    @contextlib.contextmanager
    def second(self, settings: str) -> Iterator[str]:
        """The URL of a process beside the first, with settings of its own."""
        port = servers.free_port()
        self._serve(port, settings)
        process = self.processes.pop()
        url = f'http://{servers.LOOPBACK}:{port}/v3'
        deadline = time.monotonic() + _START_SECONDS
        try:
            while not _answers(url):
                if process.poll() is not None or time.monotonic() > deadline:
                    self.fail('does not start a second time')
                time.sleep(0.05)
            yield url
        finally:
            process.kill()
            process.wait()

    def answers(self) -> bool:
        return _answers(self.url)

    def login(self, user: str, project: str) -> dict[str, str]:
        """What ``openstack`` reads of the environment for a user."""
        return {'OS_AUTH_URL': self.url, 'OS_USERNAME': user,
                'OS_PASSWORD': PASSWORD, 'OS_PROJECT_NAME': project,
                'OS_USER_DOMAIN_NAME': DOMAIN,
                'OS_PROJECT_DOMAIN_NAME': DOMAIN,
                'OS_IDENTITY_API_VERSION': '3'}

    def session(self, user: str, project: str) -> session.Session:
        """The same user in this process, for what is asked often."""
        return session.Session(auth=v3.Password(
            self.url, username=user, password=PASSWORD, project_name=project,
            user_domain_name=DOMAIN, project_domain_name=DOMAIN))

    def settings(self, user: str) -> str:
        """The options with which a service signs in."""
        return (f'auth_type = password\nauth_url = {self.url}\n'
                f'username = {user}\npassword = {PASSWORD}\n'
                f'user_domain_name = {DOMAIN}\nproject_name = service\n'
                f'project_domain_name = {DOMAIN}\n')


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=30):
            return True
    except (OSError, urllib.error.URLError):
        return False


@functools.cache
def shared() -> Keystone:
    """The one Keystone of this run: making one takes longer than its use.

    Who stops it must start it again.
    """
    holder = unittest.TestCase()
    atexit.register(holder.doCleanups)
    keystone = Keystone(holder.enterContext(servers.directory()),
                        base.mysql_url(holder) + '?charset=utf8mb4')
    holder.addCleanup(keystone.stop)
    keystone.start()
    return keystone


@dataclasses.dataclass(frozen=True)
class Cloud:
    """What was made in a Keystone: ids of projects and users by name."""

    identity: Any
    projects: dict[str, str]
    users: dict[str, str]
    roles: dict[str, str]

    def endpoint(self, kind: str, region: str, url: str) -> None:
        """Name a service's address in a region of the catalogue."""
        services = self.call('GET', f'services?type={kind}')['services']
        service = services[0] if services else self.call(
            'POST', 'services', {'service': {'type': kind, 'name': kind}},
        )['service']
        for interface in ('public', 'internal'):
            self.call('POST', 'endpoints', {'endpoint': {
                'service_id': service['id'], 'interface': interface,
                'region_id': region, 'url': url}})

    def call(self, method: str, path: str,
             body: dict[str, Any] | None = None) -> Any:
        answer = self.identity.request(f'/{path}', method, json=body)
        return answer.json() if answer.content else None


def admin(keystone: Keystone) -> Cloud:
    """Keystone as its administrator, with the roles that it began with."""
    identity = adapter.Adapter(keystone.session('admin', 'admin'),
                               endpoint_override=keystone.url)
    cloud = Cloud(identity, {}, {}, {})
    for role in cloud.call('GET', 'roles')['roles']:
        cloud.roles[role['name']] = role['id']
    return cloud


def seeded(keystone: Keystone, regions: tuple[str, ...]) -> Cloud:
    """Two tenants with a reader each, and the service user."""
    cloud = admin(keystone)
    for region in regions[1:]:
        cloud.call('POST', 'regions', {'region': {'id': region}})
        cloud.endpoint('identity', region, keystone.url)
    for project, user, roles in (
            ('alice', 'alice-reader', ('reader',)),
            ('bob', 'bob-reader', ('reader',)),
            ('service', 'energy-accounting', ('service', 'admin'))):
        made = cloud.call('POST', 'projects', {'project': {
            'name': project, 'domain_id': 'default'}})['project']
        cloud.projects[project] = made['id']
        made = cloud.call('POST', 'users', {'user': {
            'name': user, 'password': PASSWORD, 'domain_id': 'default'}})
        cloud.users[user] = made['user']['id']
        for role in roles:
            if role not in cloud.roles:
                cloud.roles[role] = cloud.call('POST', 'roles', {
                    'role': {'name': role}})['role']['id']
            cloud.call('PUT', f'projects/{cloud.projects[project]}/users/'
                              f'{cloud.users[user]}/roles/'
                              f'{cloud.roles[role]}')
    return cloud
