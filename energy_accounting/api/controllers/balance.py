# SPDX-License-Identifier: Apache-2.0
"""``GET /v1/balance``: the balance of measured and booked energy."""

from __future__ import annotations

from typing import Any

import pecan
import webob

from energy_accounting import units
from energy_accounting.api import context as contexts
from energy_accounting.api import parameters, policies, schemas
from energy_accounting.api.controllers import Resource, Service
from energy_accounting.ledger import balance, engine, hosts
from energy_accounting.report import balance as report


class Balance(Resource):

    def __init__(self, service: Service) -> None:
        self._service = service

    @pecan.expose('json')
    def get_all(self, request: webob.Request, response: webob.Response, /,
                **query: str) -> dict[str, Any]:
        service = self._service
        given = schemas.query('GET', '/v1/balance', request.environ)
        policies.authorize(service.enforcer, request.environ[contexts.KEY],
                           policies.BALANCE, {})
        asked = parameters.buckets(given, service.clock())
        with service.database.reader() as connection:
            engine.snapshot(connection)
            hosts.check_known(connection, given.get('host'),
                              given.get('site'))
            found = balance.read(connection, asked.start, asked.end,
                                 given.get('host'), given.get('site'))
            complete_ns = hosts.complete_until(connection)
        return {'balance': {
            'start': units.iso(units.bucket_start(asked.start)),
            'end': units.iso(units.bucket_start(asked.end)),
            'host': given.get('host'), 'site': given.get('site'),
            'complete_until': None if complete_ns is None
            else units.iso(units.moment(complete_ns)),
            **report.sheet(found)}}
