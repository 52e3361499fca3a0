# SPDX-License-Identifier: Apache-2.0
"""``GET /v1/usage``: energy by period and group."""

from __future__ import annotations

import dataclasses
from typing import Any

from oslo_context import context as oslo_context
import pecan
import webob

from energy_accounting import units
from energy_accounting.api import context as contexts
from energy_accounting.api import links, parameters, policies, schemas
from energy_accounting.api.controllers import Resource, Service
from energy_accounting.ledger import reads
from energy_accounting.report import usage as report


class Usage(Resource):

    def __init__(self, service: Service) -> None:
        self._service = service

    @pecan.expose('json')  # type: ignore[untyped-decorator]
    def get_all(self, request: webob.Request, response: webob.Response, /,
                **query: str) -> dict[str, Any]:
        service = self._service
        given = schemas.query('GET', '/v1/usage', request.environ)
        scope = _scope(service, request.environ[contexts.KEY], given)
        with service.database.reader() as connection:
            reads.snapshot(connection)
            asked = parameters.usage(
                {**given, **scope}, service.clock(), service.max_limit,
                connection.dialect.name)
            found = reads.usage(connection, dataclasses.replace(
                asked, limit=asked.limit + 1))
            complete_ns = reads.complete_until(connection)
            count = ({'count': reads.count(connection, asked)}
                     if given.get('with_count') == 'true' else {})
        page = found[:asked.limit]
        marker = (parameters.usage_marker({**given, **scope}, asked,
                                          page[-1].position)
                  if len(found) > len(page) else None)
        keys = [reads.GROUPS[name] for name in asked.group_by]
        return {'usage': report.rows(asked, keys, page),
                'complete_until': None if complete_ns is None
                else units.iso(units.moment(complete_ns)),
                'links': links.following(request, given, marker), **count}


def _scope(service: Service, context: oslo_context.RequestContext,
           given: dict[str, str]) -> dict[str, str]:
    """The filters that keep the answer within what the caller may see.

    :raises errors.Forbidden: when the caller may not ask this at all.
    """
    def authorize(rule: str, **target: str | None) -> None:
        policies.authorize(service.enforcer, context, rule, target)

    named = {*given.get('group_by', '').split(','), *given}
    everything = (given.get('all_projects') == 'true'
                  or not named.isdisjoint(schemas.ADMIN_GROUPS))
    if everything:
        authorize(policies.USAGE_ALL_PROJECTS)
    if given.get('all_projects') == 'true':
        return {}
    project_id = given.get('project')
    if project_id is None and 'domain' in given and policies.allowed(
            service.enforcer, context, policies.USAGE_DOMAIN,
            {'domain_id': given['domain']}):
        return {}
    project_id = project_id or context.project_id
    if project_id is None and context.domain_id is not None:
        authorize(policies.USAGE_DOMAIN, domain_id=context.domain_id)
        return {'domain': context.domain_id}
    if project_id is None:
        authorize(policies.USAGE_ALL_PROJECTS)
        return {}
    authorize(policies.USAGE, project_id=project_id)
    return {'project': project_id}
