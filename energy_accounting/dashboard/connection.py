# SPDX-License-Identifier: Apache-2.0
"""The way from a request of Horizon to the services, as its user.

Nobody is asked for a token: Horizon has the user's own.  What is asked does
not belong here (see :mod:`.reading`).
"""

from __future__ import annotations

import logging
from typing import Any

from django.conf import settings
from horizon import exceptions
from keystoneauth1 import adapter, session, token_endpoint
from keystoneauth1 import exceptions as ksa_exceptions
from openstack_dashboard.api import base

from energy_accounting import client

LOG = logging.getLogger(__name__)

TIMEOUT_SECONDS = 10
DOCUMENT_SECONDS = 60
"""A document is made when it is asked for, and nobody has to look on."""
_MOST_NAMES = 5000


def timeout() -> float:
    """How long an answer is waited for (s), if the settings say no other."""
    return float(getattr(settings, 'ENERGY_ACCOUNTING_TIMEOUT',
                         TIMEOUT_SECONDS))


def energy(request: Any, seconds: float | None = None) -> client.Client:
    """The energy API.

    :param seconds: the longest wait for a part of an answer.
    :raises horizon.exceptions.ServiceCatalogException: the catalogue has
        none for this region.
    """
    url = base.url_for(request, client.SERVICE_TYPE)
    return client.Client(_session(request, url, seconds or timeout()),
                         endpoint_override=url)


def server_names(request: Any) -> dict[str, str]:
    """Names of the project's servers by id; those that Nova tells."""
    return _names(request, 'compute', 'servers', '/servers')


def project_names(request: Any) -> dict[str, str]:
    """Names of projects by id; those that Keystone tells."""
    return _names(request, 'identity', 'projects', '/projects')


def _names(request: Any, kind: str, key: str, path: str) -> dict[str, str]:
    """What a service lists; nothing where it is not there or will not."""
    found: dict[str, str] = {}
    try:
        if not base.is_service_enabled(request, kind):
            return found
        url = base.url_for(request, kind).rstrip('/')
        if kind == 'identity' and not url.endswith('/v3'):
            url += '/v3'
        # Names are for convenience: nobody waits long for them.
        service = adapter.Adapter(_session(request, url, timeout() / 2),
                                  endpoint_override=url)
        query: dict[str, str] = {}
        while len(found) < _MOST_NAMES:
            body = service.get(path, params=query).json()
            page = body[key]
            found.update((one['id'], one['name']) for one in page)
            if not page or not body.get(f'{key}_links'):
                break
            query = {'marker': page[-1]['id']}
    except (ksa_exceptions.ClientException,
            exceptions.ServiceCatalogException, ValueError, KeyError,
            TypeError) as error:
        LOG.info('names of %s are not known: %s', key, error)
    return found


def _session(request: Any, url: str, seconds: float) -> session.Session:
    verify: Any = not settings.OPENSTACK_SSL_NO_VERIFY
    if verify and settings.OPENSTACK_SSL_CACERT:
        verify = settings.OPENSTACK_SSL_CACERT
    return session.Session(
        auth=token_endpoint.Token(url, request.user.token.id),
        verify=verify, timeout=seconds, app_name='horizon-energy')
