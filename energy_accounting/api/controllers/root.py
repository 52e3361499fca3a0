# SPDX-License-Identifier: Apache-2.0
"""``GET /`` and ``/v1``: discovery, and where each noun hangs."""

from __future__ import annotations

from typing import Any

import pecan
import webob

from energy_accounting.api import validation, versions
from energy_accounting.api.controllers import (
    Resource,
    Service,
    audit,
    balance,
    exports,
    factors,
    health,
    hosts,
    meters,
    metrics,
    quarantine,
    sites,
    statements,
    tariffs,
    usage,
)


class V1(Resource):

    def __init__(self, service: Service) -> None:
        super().__init__(service)
        self.children = {
            'usage': usage.Usage(service),
            'balance': balance.Balance(service),
            'health': health.Health(service),
            'hosts': hosts.Hosts(service),
            'quarantine': quarantine.Quarantine(service),
            'audit': audit.Audit(service),
            'sites': sites.Sites(service),
            'meters': meters.Meters(service),
            'factors': factors.Factors(service),
            'statements': statements.Statements(service),
            'tariffs': tariffs.Tariffs(service),
            'exports': exports.Exports(service)}

    @pecan.expose('json')
    def get_all(self, request: webob.Request, response: webob.Response, /,
                **query: str) -> dict[str, Any]:
        validation.query('GET', '/v1', request.environ)
        return {'version': versions.document(request.application_url)}


class Root(Resource):

    def __init__(self, service: Service) -> None:
        super().__init__(service)
        self.children = {'v1': V1(service),
                         'metrics': metrics.Metrics(service)}

    @pecan.expose('json')
    def get_all(self, request: webob.Request, response: webob.Response, /,
                **query: str) -> dict[str, Any]:
        validation.query('GET', '/', request.environ)
        return {'versions': [versions.document(request.application_url)]}
