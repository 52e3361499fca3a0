# SPDX-License-Identifier: Apache-2.0
"""``GET /v1/audit``: who changed what."""

from __future__ import annotations

from typing import Any

import pecan
import webob

from energy_accounting.api import links, parameters, policies
from energy_accounting.api.controllers import Resource
from energy_accounting.ledger import audit
from energy_accounting.report import audit as report


class Audit(Resource):

    @pecan.expose('json')
    def get_all(self, request: webob.Request, response: webob.Response, /,
                **query: str) -> dict[str, Any]:
        service = self._service
        given = self.admit(request, 'GET', '/v1/audit', policies.AUDIT)
        limit = parameters.limit(given, service.max_limit)
        filters: dict[str, Any] = {
            **{name: given.get(name) for name in ('kind', 'subject', 'actor')},
            **parameters.between(given)}
        with service.database.reader() as connection:
            found = audit.read(
                connection, before=parameters.marked_number(given),
                limit=limit + 1, **filters)
            count = links.counted(given, lambda: audit.count(
                connection, **filters))
        return links.page(
            request, given, found, limit, name='audit', row=report.row,
            marker=lambda one: parameters.number_marker(one.id)) | count
