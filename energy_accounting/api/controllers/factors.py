# SPDX-License-Identifier: Apache-2.0
"""``/v1/factors`` and ``/v1/sites/{name}/contracts``: what energy emits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pecan
import webob

from energy_accounting import errors, units
from energy_accounting.api import context as contexts
from energy_accounting.api import (
    factor_parameters,
    parameters,
    policies,
    validation,
)
from energy_accounting.api.controllers import Resource
from energy_accounting.api.factor_schemas import (
    CONTRACT,
    CONTRACTS,
    FACTOR,
    FACTORS,
)
from energy_accounting.facility import contract_store, factor_store
from energy_accounting.report import factors as report


class Factors(Resource):

    key = 'id'

    @pecan.expose('json')
    def get_all(self, request: webob.Request, response: webob.Response, /,
                **query: str) -> dict[str, Any]:
        given = self.admit(request, 'GET', FACTORS, policies.FACTORS)
        filters = factor_parameters.filters(given, self._service.clock())
        del filters['instrument']
        return self.numbered(
            request, given, factor_store, name='factors', row=report.row,
            check=_exists(filters['site']), **filters)

    @pecan.expose('json')
    def create(self, request: webob.Request, response: webob.Response, /,
               **query: str) -> dict[str, Any]:
        service = self._service
        self.admit(request, 'POST', FACTORS, policies.FACTORS_CREATE)
        body = validation.body('POST', FACTORS, request)
        now_ns = units.wall_ns(service.clock())
        recorded = service.database.write(
            factor_store.record, factor_parameters.batch(body, now_ns),
            now_ns, contexts.actor(request.environ),
            replace=body.get('replace', False))
        response.status_int = 201
        return {'factors': recorded._asdict()}

    @pecan.expose('json')
    def delete(self, request: webob.Request, response: webob.Response,
               number: str, /, **query: str) -> webob.Response:
        service = self._service
        self.admit(request, 'DELETE', FACTOR, policies.FACTORS_DELETE)
        service.database.write(
            factor_store.withdraw, parameters.number_of(number, 'factor'),
            units.wall_ns(service.clock()), contexts.actor(request.environ))
        response.status_int = 204
        return response


class Contracts(Resource):

    key = 'id'

    @pecan.expose('json')
    def get_all(self, request: webob.Request, response: webob.Response,
                name: str, /, **query: str) -> dict[str, Any]:
        given = self.admit(request, 'GET', CONTRACTS, policies.CONTRACTS)
        filters = {**factor_parameters.filters(given, self._service.clock()),
                   'site': name}
        return self.numbered(
            request, given, contract_store, name='contracts',
            row=report.contract, check=_exists(name), **filters)

    @pecan.expose('json')
    def create(self, request: webob.Request, response: webob.Response,
               name: str, /, **query: str) -> dict[str, Any]:
        service = self._service
        self.admit(request, 'POST', CONTRACTS, policies.CONTRACTS_CREATE)
        signed = factor_parameters.contract(
            name, validation.body('POST', CONTRACTS, request))

        def record(connection: Any) -> contract_store.Kept:
            _exists(name)(connection)
            return contract_store.record(
                connection, signed, units.wall_ns(service.clock()),
                contexts.actor(request.environ))

        kept = service.database.write(record)
        response.status_int = 201
        return {'contract': report.contract(kept)}

    @pecan.expose('json')
    def delete(self, request: webob.Request, response: webob.Response,
               name: str, number: str, /, **query: str) -> webob.Response:
        service = self._service
        self.admit(request, 'DELETE', CONTRACT, policies.CONTRACTS_DELETE)
        service.database.write(
            contract_store.withdraw, name,
            parameters.number_of(number, 'contract'),
            units.wall_ns(service.clock()), contexts.actor(request.environ))
        response.status_int = 204
        return response


def _exists(site: str | None) -> Callable[[Any], None]:
    """Refuses what is asked of a site that there is not."""
    def check(connection: Any) -> None:
        if site is not None and site not in factor_store.site_ids(
                connection, [site]):
            raise errors.NotFound(f'there is no site {site[:255]!r}')
    return check
