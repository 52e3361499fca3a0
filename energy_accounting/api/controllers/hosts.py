# SPDX-License-Identifier: Apache-2.0
"""``GET /v1/hosts`` and ``/v1/hosts/{name}``: the hosts and their state."""

from __future__ import annotations

from typing import Any

import pecan
import webob

from energy_accounting import errors, units
from energy_accounting.api import context as contexts
from energy_accounting.api import links, parameters, policies, schemas
from energy_accounting.api.controllers import Resource, Service
from energy_accounting.ledger import engine, hosts
from energy_accounting.report import hosts as report


class Hosts(Resource):

    def __init__(self, service: Service) -> None:
        self._service = service

    @pecan.expose('json')
    def get_all(self, request: webob.Request, response: webob.Response, /,
                **query: str) -> dict[str, Any]:
        service = self._service
        given = schemas.query('GET', '/v1/hosts', request.environ)
        policies.authorize(service.enforcer, request.environ[contexts.KEY],
                           policies.HOSTS, {})
        limit = parameters.limit(given, service.max_limit)
        filters = {name: given.get(name) for name in ('site', 'state')}
        now_ns = units.wall_ns(service.clock())
        current = units.bucket_of(now_ns)
        with service.database.reader() as connection:
            engine.snapshot(connection)
            found = hosts.read(
                connection, current - report.COVERAGE_BUCKETS, current,
                after=parameters.after_name(given), limit=limit + 1,
                **filters)
            count = ({'count': hosts.count(connection, **filters)}
                     if given.get('with_count') == 'true' else {})
        page = found[:limit]
        marker = (parameters.name_marker(page[-1].name)
                  if len(found) > limit else None)
        return {'hosts': [report.row(host, now_ns) for host in page],
                'links': links.following(request, given, marker), **count}

    @pecan.expose('json')
    def get_one(self, request: webob.Request, response: webob.Response,
                name: str, /, **query: str) -> dict[str, Any]:
        service = self._service
        schemas.query('GET', '/v1/hosts/{name}', request.environ)
        policies.authorize(service.enforcer, request.environ[contexts.KEY],
                           policies.HOSTS, {})
        now_ns = units.wall_ns(service.clock())
        current = units.bucket_of(now_ns)
        with service.database.reader() as connection:
            engine.snapshot(connection)
            found = hosts.read(
                connection, current - report.COVERAGE_BUCKETS, current,
                name=name)
        if not found:
            raise errors.NotFound(f'there is no host {name[:255]!r}')
        return {'host': report.row(found[0], now_ns)}
