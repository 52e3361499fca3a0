# SPDX-License-Identifier: Apache-2.0
"""``/v1/sites``: where hosts and meters are."""

from __future__ import annotations

from typing import Any

import pecan
import sqlalchemy as sa
import webob

from energy_accounting import units
from energy_accounting.api import context as contexts
from energy_accounting.api import (
    links,
    meter_parameters,
    parameters,
    policies,
    validation,
)
from energy_accounting.api.controllers import Resource, Service, factors, kpis
from energy_accounting.api.meter_schemas import SITE, SITES
from energy_accounting.ledger import audit, sites
from energy_accounting.report import meters as report


class Sites(Resource):

    def __init__(self, service: Service) -> None:
        super().__init__(service)
        self.below_item = {'contracts': factors.Contracts(service),
                           'kpis': kpis.Kpis(service)}

    @pecan.expose('json')
    def get_all(self, request: webob.Request, response: webob.Response, /,
                **query: str) -> dict[str, Any]:
        service = self._service
        given = self.admit(request, 'GET', SITES, policies.SITES)
        limit = parameters.limit(given, service.max_limit)
        with service.database.reader() as connection:
            found = sites.read(connection, limit=limit + 1,
                               after=parameters.after_name(given))
            count = links.counted(given, lambda: sites.count(connection))
        return links.page(
            request, given, found, limit, name='sites', row=report.site,
            marker=lambda one: parameters.name_marker(one.name)) | count

    @pecan.expose('json')
    def get_one(self, request: webob.Request, response: webob.Response,
                name: str, /, **query: str) -> dict[str, Any]:
        service = self._service
        self.admit(request, 'GET', SITE, policies.SITES)
        with service.database.reader() as connection:
            return {'site': report.site(sites.found(connection, name))}

    @pecan.expose('json')
    def create(self, request: webob.Request, response: webob.Response, /,
               **query: str) -> dict[str, Any]:
        self.admit(request, 'POST', SITES, policies.SITES_CREATE)
        body = validation.body('POST', SITES, request)
        name = parameters.identifier(body, 'name')
        shown = self._write(request, sites.create, name,
                            meter_parameters.said_of_site(body))
        response.status_int = 201
        return shown

    @pecan.expose('json')
    def update(self, request: webob.Request, response: webob.Response,
               name: str, /, **query: str) -> dict[str, Any]:
        self.admit(request, 'PATCH', SITE, policies.SITES_UPDATE)
        return self._write(
            request, sites.change, name, meter_parameters.said_of_site(
                validation.body('PATCH', SITE, request)))

    def _write(self, request: webob.Request, function: Any, name: str,
               given: dict[str, Any]) -> dict[str, Any]:
        service = self._service
        by = audit.By(contexts.actor(request.environ),
                      units.wall_ns(service.clock()))

        def write(connection: sa.Connection) -> dict[str, Any]:
            function(connection, by, name, given)
            return {'site': report.site(sites.found(connection, name))}

        shown: dict[str, Any] = service.database.write(write)
        return shown
