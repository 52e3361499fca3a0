# SPDX-License-Identifier: Apache-2.0
"""``/v1/tariffs``: what energy and CO2 cost."""

from __future__ import annotations

from typing import Any

import pecan
import webob

from energy_accounting import units
from energy_accounting.api import context as contexts
from energy_accounting.api import (
    parameters,
    policies,
    statement_parameters,
    validation,
)
from energy_accounting.api.controllers import Resource
from energy_accounting.api.statement_schemas import TARIFF, TARIFFS
from energy_accounting.ledger import tariffs as store
from energy_accounting.statements import answers


class Tariffs(Resource):

    key = 'id'

    @pecan.expose('json')
    def get_all(self, request: webob.Request, response: webob.Response, /,
                **query: str) -> dict[str, Any]:
        given = self.admit(request, 'GET', TARIFFS, policies.TARIFFS)
        return self.numbered(
            request, given, store, name='tariffs', row=answers.tariff,
            **statement_parameters.tariff_filters(given,
                                                  self._service.clock()))

    @pecan.expose('json')
    def create(self, request: webob.Request, response: webob.Response, /,
               **query: str) -> dict[str, Any]:
        service = self._service
        self.admit(request, 'POST', TARIFFS, policies.TARIFFS_CREATE)
        one = statement_parameters.tariff(
            validation.body('POST', TARIFFS, request))
        kept = service.database.write(
            store.record, one, units.wall_ns(service.clock()),
            contexts.actor(request.environ))
        response.status_int = 201
        return {'tariff': answers.tariff(kept)}

    @pecan.expose('json')
    def delete(self, request: webob.Request, response: webob.Response,
               number: str, /, **query: str) -> webob.Response:
        service = self._service
        self.admit(request, 'DELETE', TARIFF, policies.TARIFFS_DELETE)
        service.database.write(
            store.withdraw, parameters.number_of(number, 'tariff'),
            units.wall_ns(service.clock()), contexts.actor(request.environ))
        response.status_int = 204
        return response
