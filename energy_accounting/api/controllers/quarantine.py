# SPDX-License-Identifier: Apache-2.0
"""``/v1/quarantine``: records that are kept, and what becomes of them."""

from __future__ import annotations

from typing import Any

import pecan
import sqlalchemy as sa
import webob

from energy_accounting import errors, units
from energy_accounting.api import context as contexts
from energy_accounting.api import parameters, policies, validation
from energy_accounting.api.controllers import Resource
from energy_accounting.ledger import decisions, models, quarantine
from energy_accounting.report import quarantine as report

ALL = '/v1/quarantine'
ONE = '/v1/quarantine/{id}'


class Quarantine(Resource):

    key = 'id'

    @pecan.expose('json')
    def get_all(self, request: webob.Request, response: webob.Response, /,
                **query: str) -> dict[str, Any]:
        given = self.admit(request, 'GET', ALL, policies.QUARANTINE)
        filters: dict[str, Any] = {
            **{name: given.get(name) for name in ('host', 'state', 'code')},
            **parameters.between(given)}
        return self.numbered(request, given, quarantine, name='quarantine',
                             row=report.row, **filters)

    @pecan.expose('json')
    def get_one(self, request: webob.Request, response: webob.Response,
                number: str, /, **query: str) -> dict[str, Any]:
        service = self._service
        self.admit(request, 'GET', ONE, policies.QUARANTINE)
        record_id = parameters.number_of(number, 'record')
        with service.database.reader() as connection:
            return {'quarantine': _shown(connection, record_id)}

    @pecan.expose('json')
    def update(self, request: webob.Request, response: webob.Response,
               number: str, /, **query: str) -> dict[str, Any]:
        service = self._service
        self.admit(request, 'PATCH', ONE, policies.QUARANTINE_UPDATE)
        state, reason = parameters.decision(
            validation.body('PATCH', ONE, request))
        record_id = parameters.number_of(number, 'record')
        now_ns = units.wall_ns(service.clock())
        actor = contexts.actor(request.environ)

        def decide(connection: sa.Connection) -> dict[str, Any]:
            notes = (
                decisions.release(connection, record_id, now_ns, actor,
                                  reason, user_ids=service.user_ids)
                if state == models.RELEASED else
                decisions.discard(connection, record_id, now_ns, actor,
                                  reason or ''))
            return {'quarantine': _shown(connection, record_id),
                    'notes': notes}

        decided: dict[str, Any] = service.database.write(decide)
        return decided


def _shown(connection: sa.Connection, record_id: int) -> dict[str, Any]:
    found = quarantine.find(connection, record_id)
    if found is None:
        raise errors.NotFound(
            f'there is no record {record_id} in quarantine')
    return report.shown(found)
