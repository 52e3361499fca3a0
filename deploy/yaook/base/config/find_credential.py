# SPDX-License-Identifier: Apache-2.0
"""Writes the credential of a KeystoneUser as a configuration file.

The operator puts it into a Secret whose name nobody is told; that one has
the KeystoneUser as its owner.  It is written into the Secret that
CREDENTIAL_SECRET names, as ``keystone.conf``.  The standard library only.
"""

from __future__ import annotations

import base64
import json
import os
import pathlib
import ssl
import sys
import urllib.error
import urllib.request
from typing import Any

ACCOUNT = pathlib.Path('/var/run/secrets/kubernetes.io/serviceaccount')
SECTIONS = ('keystone_authtoken', 'service_auth', 'nova')
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

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """The answer; None where there is nothing."""
        # Of the API server itself: https, see below.
        request = urllib.request.Request(  # noqa: S310
            f'{self._url}{path}', method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={'Authorization': f'Bearer {self._token}',
                     'Content-Type': 'application/json'})
        try:
            with urllib.request.urlopen(  # noqa: S310
                    request, timeout=30, context=self._context) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            if error.code == 404:
                return None
            raise SystemExit(f'{method} {path}: {error}') from error


def owned_by(uid: str, secrets: list[Any]) -> dict[str, str]:
    """The texts of the newest Secret with this owner."""
    mine = [secret for secret in secrets if any(
        owner['uid'] == uid for owner
        in secret['metadata'].get('ownerReferences') or ())]
    mine = [secret for secret in mine
            if OPTIONS.keys() <= (secret.get('data') or {}).keys()]
    if not mine:
        raise SystemExit('no Secret with a credential belongs to the '
                         'KeystoneUser yet: the operator makes it')
    newest = max(mine, key=lambda one: one['metadata']['creationTimestamp'])
    return {name: base64.b64decode(newest['data'][name]).decode()
            for name in OPTIONS}


def as_configuration(credential: dict[str, str]) -> str:
    """The same credential for each section that takes one."""
    # oslo.config replaces $name; a line break would be another option.
    for name, value in credential.items():
        if any(not character.isprintable() for character in value):
            raise SystemExit(f'{name} holds a control character')
    lines = [f'{option} = {quoted(credential[name])}'
             for name, option in OPTIONS.items()]
    return ''.join('\n'.join([f'[{section}]', *lines, '', ''])
                   for section in SECTIONS)


def quoted(value: str) -> str:
    """A value as oslo.config reads it back."""
    return '"{}"'.format(value.replace('$', '\\$'))


def main(cluster: Cluster, namespace: str, user: str, name: str) -> None:
    """Look, and write where it differs."""
    found = cluster.call('GET', f'/apis/yaook.cloud/v1/namespaces/{namespace}'
                                f'/keystoneusers/{user}')
    if found is None:
        raise SystemExit(f'there is no KeystoneUser {user}')
    base = f'/api/v1/namespaces/{namespace}/secrets'
    text = as_configuration(owned_by(
        found['metadata']['uid'], cluster.call('GET', base)['items']))
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
            os.environ['NAMESPACE'], os.environ['KEYSTONE_USER'],
            os.environ['CREDENTIAL_SECRET'])
    except OSError as error:
        sys.exit(f'the API server does not answer: {error}')
