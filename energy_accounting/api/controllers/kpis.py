# SPDX-License-Identifier: Apache-2.0
"""``/v1/sites/{name}/kpis``: the key figures of a site."""

from __future__ import annotations

import importlib.metadata
from typing import Any

import pecan
import webob

from energy_accounting import units
from energy_accounting.api import context as contexts
from energy_accounting.api import kpi_parameters, policies, validation
from energy_accounting.api.controllers import Resource, Service
from energy_accounting.api.kpi_schemas import KPIS
from energy_accounting.facility import limits, site_figures, site_inputs
from energy_accounting.ledger import engine, sites
from energy_accounting.report import kpis as report

_PROGRAM = 'energy-accounting'


class Kpis(Resource):

    def __init__(self, service: Service) -> None:
        super().__init__(service)
        try:
            version = importlib.metadata.version(_PROGRAM)
        except importlib.metadata.PackageNotFoundError:
            version = 'of a bare tree'
        self._calculated_by = f'{_PROGRAM} {version}'

    @pecan.expose('json')
    def get_all(self, request: webob.Request, response: webob.Response,
                name: str, /, **query: str) -> dict[str, Any]:
        service = self._service
        given = validation.query('GET', KPIS, request.environ)
        caller = request.environ[contexts.KEY]
        policies.authorize(service.enforcer, caller, policies.KPIS, {})
        # What meters and hosts are called is their readers' to know.
        names = all(policies.allowed(service.enforcer, caller, rule, {})
                    for rule in (policies.METERS, policies.HOSTS))
        now = service.clock()
        with service.database.reader() as connection:
            engine.snapshot(connection)
            site = sites.as_of(
                connection, sites.found(connection, name),
                units.wall_ns(kpi_parameters.as_of(given, now)))
            asked = kpi_parameters.asked(given, site, now,
                                         self._calculated_by)
            known = site_inputs.read(
                connection, site, asked.scope.period, asked.as_of_ns,
                names=names)
        return report.answer(
            asked.scope,
            site_figures.table(asked.scope, known, asked.category,
                               service.server_models.get(site.name)),
            known.classes if names else None, as_of=asked.as_of, now=now,
            law=limits.shipped() if asked.law else None,
            started=asked.started)
