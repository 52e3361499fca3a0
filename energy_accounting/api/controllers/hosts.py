# SPDX-License-Identifier: Apache-2.0
"""``/v1/hosts`` and what is below: the hosts' register."""

from __future__ import annotations

from typing import Any

import pecan
import sqlalchemy as sa
import webob

from energy_accounting import errors, units
from energy_accounting.api import links, parameters, policies, validation
from energy_accounting.api.controllers import Resource, Service
from energy_accounting.ledger import engine, hosts, register
from energy_accounting.report import hosts as report

HOSTS = '/v1/hosts'
HOST = '/v1/hosts/{name}'
DOWNTIMES = '/v1/hosts/{name}/downtimes'
DOWNTIME = '/v1/hosts/{name}/downtimes/{id}'


class Hosts(Resource):

    def __init__(self, service: Service) -> None:
        super().__init__(service)
        self.below_item = {'downtimes': Downtimes(service)}

    @pecan.expose('json')
    def get_all(self, request: webob.Request, response: webob.Response, /,
                **query: str) -> dict[str, Any]:
        service = self._service
        given = self.admit(request, 'GET', HOSTS, policies.HOSTS)
        limit = parameters.limit(given, service.max_limit)
        filters: dict[str, Any] = {
            'site': given.get('site'), 'state': given.get('state'),
            'late': None if 'late' not in given else given['late'] == 'true'}
        now_ns = units.wall_ns(service.clock())
        current = units.bucket_of(now_ns)
        with service.database.reader() as connection:
            engine.snapshot(connection)
            found = hosts.read(
                connection, current - report.COVERAGE_BUCKETS, current,
                now_ns, after=parameters.after_name(given), limit=limit + 1,
                **filters)
            count = links.counted(given, lambda: hosts.count(
                connection, now_ns, **filters))
        return links.page(
            request, given, found, limit, name='hosts',
            row=lambda host: report.row(host, now_ns),
            marker=lambda host: parameters.name_marker(host.name)) | count

    @pecan.expose('json')
    def get_one(self, request: webob.Request, response: webob.Response,
                name: str, /, **query: str) -> dict[str, Any]:
        service = self._service
        self.admit(request, 'GET', HOST, policies.HOSTS)
        now_ns = units.wall_ns(service.clock())
        with service.database.reader() as connection:
            engine.snapshot(connection)
            return _shown(connection, name, now_ns)

    @pecan.expose('json')
    def create(self, request: webob.Request, response: webob.Response, /,
               **query: str) -> dict[str, Any]:
        service = self._service
        self.admit(request, 'POST', HOSTS, policies.HOSTS_CREATE)
        body = validation.body('POST', HOSTS, request)
        name = parameters.identifier(body, 'name')
        given = parameters.said_of_host(body)
        by = self.by(request)

        def enrol(connection: sa.Connection) -> dict[str, Any]:
            register.enrol(connection, by, name, given)
            return _shown(connection, name, by.at_ns)

        shown = service.database.write(enrol)
        response.status_int = 201
        return shown

    @pecan.expose('json')
    def update(self, request: webob.Request, response: webob.Response,
               name: str, /, **query: str) -> dict[str, Any]:
        service = self._service
        self.admit(request, 'PATCH', HOST, policies.HOSTS_UPDATE)
        given = parameters.said_of_host(
            validation.body('PATCH', HOST, request))
        by = self.by(request)

        def change(connection: sa.Connection) -> dict[str, Any]:
            register.change(connection, by, name, given)
            return _shown(connection, name, by.at_ns)

        return service.database.write(change)


class Downtimes(Resource):

    key = 'id'

    @pecan.expose('json')
    def get_all(self, request: webob.Request, response: webob.Response,
                name: str, /, **query: str) -> dict[str, Any]:
        service = self._service
        given = self.admit(request, 'GET', DOWNTIMES, policies.HOSTS)
        limit = parameters.limit(given, service.max_limit)
        with service.database.reader() as connection:
            engine.snapshot(connection)
            found = hosts.downtimes(
                connection, name, before=parameters.marked_moment(given),
                limit=limit + 1)
            count = links.counted(given, lambda: hosts.count_downtimes(
                connection, name))
        return links.page(
            request, given, found, limit, name='downtimes',
            row=report.downtime, marker=lambda one:
            parameters.moment_marker(one.start_ns, one.id)) | count

    @pecan.expose('json')
    def create(self, request: webob.Request, response: webob.Response,
               name: str, /, **query: str) -> dict[str, Any]:
        service = self._service
        self.admit(request, 'POST', DOWNTIMES, policies.HOSTS_UPDATE)
        planned = parameters.downtime(
            validation.body('POST', DOWNTIMES, request), service.clock())
        made = service.database.write(
            register.plan, self.by(request), name, *planned)
        response.status_int = 201
        return {'downtime': report.downtime(made)}

    @pecan.expose('json')
    def delete(self, request: webob.Request, response: webob.Response,
               name: str, number: str, /, **query: str) -> webob.Response:
        service = self._service
        self.admit(request, 'DELETE', DOWNTIME, policies.HOSTS_UPDATE)
        service.database.write(
            register.cancel, self.by(request), name,
            parameters.number_of(number, 'downtime'))
        response.status_int = 204
        return response


def _shown(connection: sa.Connection, name: str, now_ns: int,
           ) -> dict[str, Any]:
    current = units.bucket_of(now_ns)
    found = hosts.read(connection, current - report.COVERAGE_BUCKETS,
                       current, now_ns, name=name)
    if not found:
        raise errors.NotFound(f'there is no host {name[:255]!r}')
    return {'host': report.row(found[0], now_ns)}
