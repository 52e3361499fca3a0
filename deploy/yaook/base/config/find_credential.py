# SPDX-License-Identifier: Apache-2.0
"""Writes the credentials of our KeystoneUsers as configuration files.

The operator puts one into a Secret whose name nobody is told; that one has
the KeystoneUser as its owner.  It is written into a Secret of a fixed name,
as ``keystone.conf``.  The standard library only.
"""

from __future__ import annotations

import base64
import json
import os
import pathlib
import ssl
import sys
import urllib.error
import urllib.parse
import urllib.request
from typing import Any

ACCOUNT = pathlib.Path('/var/run/secrets/kubernetes.io/serviceaccount')
# By KeystoneUser: the Secret, and the sections of those who mount it.
WANTED = {
    'energy-accounting': ('energy-accounting-keystone-api',
                          ('keystone_authtoken',)),
    'energy-accounting-collector': ('energy-accounting-keystone-collector',
                                    ('service_auth', 'nova', 'cloudkitty')),
}
# Names and owners only: a namespace may hold a hundred MiB of Secrets.
METADATA = 'application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1'
PAGE = 200
# What the operator calls it, and what keystoneauth does.
OPTIONS = {'OS_USERNAME': 'username', 'OS_PASSWORD': 'password',
           'OS_PROJECT_NAME': 'project_name',
           'OS_USER_DOMAIN_NAME': 'user_domain_name',
           'OS_PROJECT_DOMAIN_NAME': 'project_domain_name'}


class Cluster:
    """The API server, as a service account sees it."""

    def __init__(self, url: str, token: str,
                 context: ssl.SSLContext | None) -> None:
        self._url = url
        self._token = token
        self._context = context

    def call(self, method: str, path: str, body: Any = None,
             accept: str = 'application/json') -> Any:
        """The answer; None where there is nothing."""
        # Of the API server itself: https, see below.
        request = urllib.request.Request(  # noqa: S310
            f'{self._url}{path}', method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={'Authorization': f'Bearer {self._token}',
                     'Accept': accept,
                     'Content-Type': 'application/json'})
        try:
            with urllib.request.urlopen(  # noqa: S310
                    request, timeout=30, context=self._context) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            if error.code == 404:
                return None
            raise SystemExit(f'{method} {path}: {error}') from error


def names(cluster: Cluster, base: str) -> list[Any]:
    """The metadata of all Secrets, page by page."""
    found: list[Any] = []
    following = ''
    while True:
        page = cluster.call('GET', f'{base}?limit={PAGE}{following}',
                            accept=METADATA)
        found += (one['metadata'] for one in page['items'])
        token = page.get('metadata', {}).get('continue')
        if not token:
            return found
        following = f'&continue={urllib.parse.quote(token, safe="")}'


def owned_by(uid: str, cluster: Cluster, base: str,
             known: list[Any]) -> dict[str, str] | None:
    """The texts of the newest Secret with this owner; None: there is none.

    Listed by its name: whoever may list need not be allowed to get.
    """
    mine = [secret for one in known if any(
        owner['uid'] == uid for owner in one.get('ownerReferences') or ())
        for secret in cluster.call(
            'GET', f'{base}?fieldSelector=metadata.name%3D{one["name"]}',
        )['items'] if OPTIONS.keys() <= (secret.get('data') or {}).keys()]
    if not mine:
        return None
    newest = max(mine, key=lambda one: one['metadata']['creationTimestamp'])
    return {name: base64.b64decode(newest['data'][name]).decode()
            for name in OPTIONS}


def as_configuration(credential: dict[str, str],
                     sections: tuple[str, ...]) -> str:
    """The same credential for each section that takes it."""
    # oslo.config replaces $name; a line break would be another option.
    for name, value in credential.items():
        if any(not character.isprintable() for character in value):
            raise SystemExit(f'{name} holds a control character')
    lines = [f'{option} = {quoted(credential[name])}'
             for name, option in OPTIONS.items()]
    return ''.join('\n'.join([f'[{section}]', *lines, '', ''])
                   for section in sections)


def quoted(value: str) -> str:
    """A value as oslo.config reads it back."""
    return '"{}"'.format(value.replace('$', '\\$'))


def main(cluster: Cluster, namespace: str) -> None:
    """Look, and write where it differs."""
    base = f'/api/v1/namespaces/{namespace}/secrets'
    known = names(cluster, base)
    missing = []
    for user, (name, sections) in WANTED.items():
        found = cluster.call(
            'GET', f'/apis/yaook.cloud/v1/namespaces/{namespace}'
                   f'/keystoneusers/{user}')
        credential = None if found is None else owned_by(
            found['metadata']['uid'], cluster, base, known)
        if credential is None:
            missing.append(user)
            continue
        write(cluster, base, name, as_configuration(credential, sections))
    if missing:
        raise SystemExit('no Secret with a credential belongs to the '
                         f'KeystoneUser {" or ".join(missing)} yet: the '
                         'operator makes it')


def write(cluster: Cluster, base: str, name: str, text: str) -> None:
    """Put it into the Secret of this name, if it is not what is there."""
    secret = {'apiVersion': 'v1', 'kind': 'Secret', 'type': 'Opaque',
              'metadata': {'name': name, 'labels': {
                  'app.kubernetes.io/name': 'energy-accounting'}},
              'data': {'keystone.conf':
                       base64.b64encode(text.encode()).decode()}}
    there = cluster.call('GET', f'{base}/{name}')
    if there is None:
        cluster.call('POST', base, secret)
        print(f'{name}: created')
    elif there.get('data') != secret['data']:
        cluster.call('PUT', f'{base}/{name}', secret)
        print(f'{name}: changed; restart the API and the collectors')


if __name__ == '__main__':
    try:
        address = os.environ['KUBERNETES_SERVICE_HOST']
        if ':' in address:
            address = f'[{address}]'
        main(Cluster(
            f'https://{address}:{os.environ["KUBERNETES_SERVICE_PORT"]}',
            (ACCOUNT / 'token').read_text().strip(),
            ssl.create_default_context(cafile=str(ACCOUNT / 'ca.crt'))),
            os.environ['NAMESPACE'])
    except OSError as error:
        sys.exit(f'the API server does not answer: {error}')
