# SPDX-License-Identifier: Apache-2.0
"""``/v1/exports``: what leaves for billing systems, planned and fetched.

Nothing is sent here: that may take minutes, and is the work of
``energy-accounting-manage export send``.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import pecan
import webob

from energy_accounting import errors, units
from energy_accounting.api import context as contexts
from energy_accounting.api import (
    downloads,
    parameters,
    policies,
    statement_parameters,
    validation,
)
from energy_accounting.api.controllers import Resource, Service
from energy_accounting.api.export_schemas import (
    EXPORT,
    EXPORTS,
    FILE,
    NOBODY,
)
from energy_accounting.exports import answers, deciding, fetching, sending
from energy_accounting.ledger import exports as store


class File(Resource):

    @pecan.expose('json')
    def get_all(self, request: webob.Request, response: webob.Response,
                number: str, /, **query: str) -> webob.Response:
        service = self._service
        given = self.admit(request, 'GET', FILE, policies.EXPORTS)
        with service.database.reader() as connection:
            one = deciding.found(connection, number)
        opened = fetching.opened(one, service.sender.directory,
                                 given.get('name'))
        answer = downloads.Download(
            opened.file, opened.size, opened.name,
            content_type=opened.media, charset='UTF-8'
            if opened.media.startswith('text/') else None)
        if opened.sha256 is not None:
            answer.etag = opened.sha256
        return answer


class Exports(Resource):

    key = 'id'

    def __init__(self, service: Service) -> None:
        super().__init__(service)
        self.below_item = {'file': File(service)}

    @pecan.expose('json')
    def get_all(self, request: webob.Request, response: webob.Response, /,
                **query: str) -> dict[str, Any]:
        given = self.admit(request, 'GET', EXPORTS, policies.EXPORTS)
        filters: dict[str, Any] = {
            name: given.get(name) for name in ('target', 'state', 'period')}
        return self.numbered(
            request, given, store, name='exports', row=answers.row,
            **filters, project_id=_project_id(given))

    @pecan.expose('json')
    def get_one(self, request: webob.Request, response: webob.Response,
                number: str, /, **query: str) -> dict[str, Any]:
        self.admit(request, 'GET', EXPORT, policies.EXPORTS)
        with self._service.database.reader() as connection:
            one = deciding.found(connection, number)
        return {'export': answers.shown(one)}

    @pecan.expose('json')
    def create(self, request: webob.Request, response: webob.Response, /,
               **query: str) -> dict[str, Any]:
        service = self._service
        self.admit(request, 'POST', EXPORTS, policies.EXPORTS_CREATE)
        body = validation.body('POST', EXPORTS, request)
        everybody = body.get('all_projects', False)
        if everybody == ('project' in body):
            parameters.refuse(
                'project', 'give either this or all_projects',
                'name a project, or set all_projects to true')
        sender = dataclasses.replace(
            service.sender, actor=contexts.actor(request.environ))
        target = body['target']
        try:
            planned = sending.plan(sender, target, sending.source_of(
                sender, target, statement_parameters.period(body),
                None if everybody else _project_id(body)),
                body.get('options', {}))
        except errors.ConfigurationError as error:
            # No failure of the service: somebody can do something.
            raise errors.Conflict(f'{error}') from error
        response.status_int = 202
        return {'export': answers.shown(planned)}

    @pecan.expose('json')
    def update(self, request: webob.Request, response: webob.Response,
               number: str, /, **query: str) -> dict[str, Any]:
        service = self._service
        self.admit(request, 'PATCH', EXPORT, policies.EXPORTS_UPDATE)
        wanted = validation.body('PATCH', EXPORT, request)['state']
        decide = (deciding.cancel if wanted == store.CANCELLED
                  else deciding.retry)
        return {'export': answers.shown(decide(
            service.database, number, contexts.actor(request.environ),
            units.wall_ns(service.clock())))}


def _project_id(given: Mapping[str, Any]) -> str | None:
    """As the outbox has it: '' for what belongs to no project."""
    named: str | None = given.get('project')
    return '' if named == NOBODY else named
