# SPDX-License-Identifier: Apache-2.0
"""``/v1/meters`` and what is below: readings, and what was decided."""

from __future__ import annotations

from typing import Any

import pecan
import sqlalchemy as sa
import webob

from energy_accounting import units
from energy_accounting.api import (
    links,
    meter_parameters,
    parameters,
    policies,
    validation,
)
from energy_accounting.api.controllers import Resource, Service
from energy_accounting.api.meter_schemas import (
    EVENT,
    EVENTS,
    METER,
    METERS,
    READINGS,
)
from energy_accounting.facility import (
    batches,
    meter_amounts,
    meter_events,
    meters,
    readings,
)
from energy_accounting.ledger import engine
from energy_accounting.report import meters as report


class Meters(Resource):

    def __init__(self, service: Service) -> None:
        super().__init__(service)
        self.below_item = {'readings': Readings(service),
                           'events': Events(service)}

    @pecan.expose('json')
    def get_all(self, request: webob.Request, response: webob.Response, /,
                **query: str) -> dict[str, Any]:
        service = self._service
        given = self.admit(request, 'GET', METERS, policies.METERS)
        limit = parameters.limit(given, service.max_limit)
        filters: dict[str, Any] = {
            'site': given.get('site'), 'medium': given.get('medium'),
            'roles': [given['role']] if 'role' in given else None}
        with service.database.reader() as connection:
            engine.snapshot(connection)
            found = meters.read(
                connection, after=parameters.after_name(given),
                limit=limit + 1, **filters)
            count = links.counted(given, lambda: meters.count(
                connection, **filters))
        return links.page(
            request, given, found, limit, name='meters', row=report.row,
            marker=lambda one: parameters.name_marker(one.name)) | count

    @pecan.expose('json')
    def get_one(self, request: webob.Request, response: webob.Response,
                name: str, /, **query: str) -> dict[str, Any]:
        service = self._service
        given = self.admit(request, 'GET', METER, policies.METERS)
        now = service.clock()
        since_ns = meter_parameters.questions_since(given, now)
        with service.database.reader() as connection:
            engine.snapshot(connection)
            return _shown(connection, name, since_ns, units.wall_ns(now))

    @pecan.expose('json')
    def create(self, request: webob.Request, response: webob.Response, /,
               **query: str) -> dict[str, Any]:
        service = self._service
        self.admit(request, 'POST', METERS, policies.METERS_CREATE)
        body = validation.body('POST', METERS, request)
        name = meter_parameters.meter_name(body)
        given = meter_parameters.said_of_meter(body)
        by = self.by(request)

        def create(connection: sa.Connection) -> dict[str, Any]:
            meters.create(connection, by, name, body['site'], given)
            return _shown(connection, name, by.at_ns, by.at_ns)

        shown = service.database.write(create)
        response.status_int = 201
        return shown

    @pecan.expose('json')
    def update(self, request: webob.Request, response: webob.Response,
               name: str, /, **query: str) -> dict[str, Any]:
        service = self._service
        self.admit(request, 'PATCH', METER, policies.METERS_UPDATE)
        given = meter_parameters.said_of_meter(
            validation.body('PATCH', METER, request))
        by = self.by(request)
        since_ns = meter_parameters.questions_since({}, service.clock())

        def change(connection: sa.Connection) -> dict[str, Any]:
            meters.change(connection, by, name, given)
            return _shown(connection, name, since_ns, by.at_ns)

        return service.database.write(change)


class Readings(Resource):

    @pecan.expose('json')
    def get_all(self, request: webob.Request, response: webob.Response,
                name: str, /, **query: str) -> dict[str, Any]:
        service = self._service
        given = self.admit(request, 'GET', READINGS, policies.READINGS)
        limit = parameters.limit(given, service.max_limit)
        after = parameters.marked_moment(given)
        filters: dict[str, Any] = {
            **parameters.between(given),
            'as_of_ns': meter_parameters.as_of(given, service.clock()),
            'superseded': given.get('superseded') == 'true'}
        with service.database.reader() as connection:
            engine.snapshot(connection)
            meter_id = meters.found(connection, name).id
            found = readings.page(connection, meter_id, after=after,
                                  limit=limit + 1, **filters)
            count = links.counted(given, lambda: readings.count(
                connection, meter_id, **filters))
        return links.page(
            request, given, found, limit, name='readings',
            row=report.reading, marker=lambda one:
            parameters.moment_marker(one.at_ns, one.id)) | count

    @pecan.expose('json')
    def create(self, request: webob.Request, response: webob.Response,
               name: str, /, **query: str) -> dict[str, Any]:
        service = self._service
        self.admit(request, 'POST', READINGS, policies.READINGS_CREATE)
        body = validation.body('POST', READINGS, request)
        batch = meter_parameters.batch(body, service.clock())
        by = self.by(request)

        def add(connection: sa.Connection) -> batches.Outcome:
            outcome = batches.add(
                connection, by, name, batch, body.get('source', 'api'),
                correct=body.get('correct', False))
            if body.get('dry_run', False):
                raise _Tried(outcome)
            return outcome

        try:
            outcome = service.database.write(add)
        except _Tried as tried:
            outcome = tried.outcome
        response.status_int = 201
        return {'readings': outcome._asdict()}


class Events(Resource):

    key = 'id'

    @pecan.expose('json')
    def get_all(self, request: webob.Request, response: webob.Response,
                name: str, /, **query: str) -> dict[str, Any]:
        service = self._service
        given = self.admit(request, 'GET', EVENTS, policies.READINGS)
        with service.database.reader() as connection:
            engine.snapshot(connection)
            found = meter_events.events(
                connection, meters.found(connection, name).id,
                superseded=given.get('superseded') == 'true')
        return {'events': [report.event(one) for one in found]}

    @pecan.expose('json')
    def create(self, request: webob.Request, response: webob.Response,
               name: str, /, **query: str) -> dict[str, Any]:
        service = self._service
        self.admit(request, 'POST', EVENTS, policies.READINGS_CREATE)
        body = validation.body('POST', EVENTS, request)
        kept, _ = service.database.write(
            meter_events.decide, self.by(request), name,
            meter_parameters.event(body), correct=body.get('correct', False))
        response.status_int = 201
        return {'event': report.event(kept)}

    @pecan.expose('json')
    def delete(self, request: webob.Request, response: webob.Response,
               name: str, number: str, /, **query: str) -> webob.Response:
        service = self._service
        self.admit(request, 'DELETE', EVENT, policies.READINGS_CREATE)
        service.database.write(
            meter_events.withdraw, self.by(request), name,
            parameters.number_of(number, 'event'))
        response.status_int = 204
        return response


class _Tried(Exception):
    """Undoes what a dry run has written."""

    def __init__(self, outcome: batches.Outcome) -> None:
        super().__init__()
        self.outcome = outcome


def _shown(connection: sa.Connection, name: str, since_ns: int,
           now_ns: int) -> dict[str, Any]:
    meter = meters.found(connection, name)
    return {'meter': report.shown(
        meter, readings.last(connection, meter.id),
        meter_amounts.measured(connection, meter, since_ns, None,
                          now_ns).questions)}
