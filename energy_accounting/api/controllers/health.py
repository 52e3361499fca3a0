# SPDX-License-Identifier: Apache-2.0
"""``GET /v1/health``: for who looks after the service.

Whether a process can serve at all says ``/healthcheck``, to everybody.
"""

from __future__ import annotations

from typing import Any

import pecan
import webob

from energy_accounting import units
from energy_accounting.api import policies
from energy_accounting.api.controllers import Resource
from energy_accounting.ledger import engine, gauges
from energy_accounting.report import metrics as report


class Health(Resource):

    @pecan.expose('json')
    def get_all(self, request: webob.Request, response: webob.Response, /,
                **query: str) -> dict[str, Any]:
        service = self._service
        self.admit(request, 'GET', '/v1/health', policies.HEALTH)
        now_ns = units.wall_ns(service.clock())
        with service.database.reader() as connection:
            engine.snapshot(connection)
            found = gauges.read(connection, now_ns)
        return {'health': {
            'database': {'kind': connection.dialect.name,
                         'revision': engine.version(service.database)},
            **report.health(found, now_ns)}}
