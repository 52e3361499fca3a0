# SPDX-License-Identifier: Apache-2.0
"""``GET /v1/usage``: energy by period and group."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import pecan
import sqlalchemy as sa
import webob
from oslo_context import context as oslo_context

from energy_accounting.api import context as contexts
from energy_accounting.api import (
    links,
    parameters,
    policies,
    schemas,
    validation,
)
from energy_accounting.api.controllers import Resource, Service
from energy_accounting.facility import supplies
from energy_accounting.ledger import by_site, engine, hosts, queries, usage
from energy_accounting.report import facility
from energy_accounting.report import usage as report


class Usage(Resource):

    @pecan.expose('json')
    def get_all(self, request: webob.Request, response: webob.Response, /,
                **query: str) -> dict[str, Any]:
        service = self._service
        given = validation.query('GET', '/v1/usage', request.environ)
        given |= _scope(service, request.environ[contexts.KEY], given)
        with service.database.reader() as connection:
            engine.snapshot(connection)
            asked = parameters.usage(given, service.clock(),
                                     service.max_limit,
                                     connection.dialect.name)
            found = usage.read(connection, dataclasses.replace(
                asked, limit=asked.limit + 1))
            page, more = found[:asked.limit], found[asked.limit:]
            totals = totals_of(connection, asked, page)
            complete_ns = hosts.complete_until(connection)
            count = links.counted(
                given, lambda: usage.count(connection, asked))
        marker = (parameters.usage_marker(given, asked, page[-1].position)
                  if more else None)
        return {**report.body(asked, queries.GROUPS, page, totals,
                              complete_ns),
                'links': links.following(request, given, marker), **count}


def totals_of(connection: sa.Connection, asked: queries.UsageQuery,
              page: Sequence[queries.LedgerSum],
              ) -> dict[tuple[int, ...], facility.Total]:
    """What the sites made of a page's energy; {} where no site says it."""
    if not supplies.anything(connection):
        return {}
    energies = list(by_site.read(connection, asked, page))
    if not energies:
        return {}
    # Where the page has energy, and when: no other site is looked at.
    start = min(one.bucket for one in energies)
    known = supplies.read(
        connection, start, max(one.bucket for one in energies) + 1,
        asked.as_of_ns, {one.site_id for one in energies},
        range(asked.start, asked.end))
    return facility.totals(energies, known, start) if known else {}


def _scope(service: Service, context: oslo_context.RequestContext,
           given: Mapping[str, str]) -> dict[str, str]:
    """The filter that keeps the answer within what the caller may see.

    :raises errors.Forbidden: when the caller may not ask this at all.
    """
    def authorize(rule: str, **target: str | None) -> None:
        policies.authorize(service.enforcer, context, rule, target)

    named = {*given.get('group_by', '').split(','), *given}
    if not named.isdisjoint(schemas.ADMIN_GROUPS):
        authorize(policies.USAGE_ALL_PROJECTS)
    if given.get('all_projects') == 'true':
        authorize(policies.USAGE_ALL_PROJECTS)
        return {}
    if 'project' in given:
        authorize(policies.USAGE, project_id=given['project'])
        return {'project': given['project']}
    if context.domain_id is not None:
        domain_id = given.get('domain', context.domain_id)
        authorize(policies.USAGE_DOMAIN, domain_id=domain_id)
        return {'domain': domain_id}
    if 'domain' in given and policies.allowed(
            service.enforcer, context, policies.USAGE_ALL_PROJECTS, {}):
        return {'domain': given['domain']}
    if context.project_id is None:
        # The standalone service's caller, who has no project.
        authorize(policies.USAGE_ALL_PROJECTS)
        return {}
    authorize(policies.USAGE, project_id=context.project_id)
    return {'project': context.project_id}
