# SPDX-License-Identifier: Apache-2.0
"""``GET /v1/balance``: the balance of measured and booked energy."""

from __future__ import annotations

import datetime
from typing import Any

import pecan
import sqlalchemy as sa
import webob

from energy_accounting import units
from energy_accounting.api import parameters, policies
from energy_accounting.api.controllers import Resource
from energy_accounting.facility import supplies
from energy_accounting.ledger import (
    balance,
    by_site,
    engine,
    hosts,
    queries,
    usage,
)
from energy_accounting.report import balance as report
from energy_accounting.report import sites as site_report

_EVERY_PROJECT = 10 ** 6


class Balance(Resource):

    @pecan.expose('json')
    def get_all(self, request: webob.Request, response: webob.Response, /,
                **query: str) -> dict[str, Any]:
        service = self._service
        given = self.admit(request, 'GET', '/v1/balance', policies.BALANCE)
        asked = parameters.buckets(given, service.clock())
        with service.database.reader() as connection:
            engine.snapshot(connection)
            hosts.check_known(connection, given.get('host'),
                              given.get('site'))
            found = balance.read(connection, asked.start, asked.end,
                                 given.get('host'), given.get('site'))
            sheets = [] if 'host' in given else _sites(
                connection, service.clock(), asked, given.get('site'))
            complete_ns = hosts.complete_until(connection)
        return {'balance': {
            'start': units.iso(units.bucket_start(asked.start)),
            'end': units.iso(units.bucket_start(asked.end)),
            'host': given.get('host'), 'site': given.get('site'),
            'complete_until': None if complete_ns is None
            else units.iso(units.moment(complete_ns)),
            **report.sheet(found), 'sites': sheets}}


def _sites(connection: sa.Connection, now: datetime.datetime,
           asked: parameters.Range, name: str | None,
           ) -> list[dict[str, Any]]:
    """What each site's meters saw, and who has it."""
    sheets = []
    as_of_ns = units.wall_ns(now)
    buckets = range(asked.start, asked.end)
    for site in supplies.sites(connection, as_of_ns, name):
        metered = supplies.metered_of(connection, site, buckets, as_of_ns)
        known = supplies.of_site(connection, site, buckets, as_of_ns,
                                 metered)
        if metered is None or known is None:
            continue
        query = queries.UsageQuery(
            asked.start, asked.end, 'total', units.UTC, ('project',),
            {'site': site.name}, as_of_ns, limit=_EVERY_PROJECT)
        rows = usage.read(connection, query)
        sheets.append(site_report.sheet(site.name, site_report.add_up(
            by_site.read(connection, query, rows),
            {one.row for one in rows if one.keys[0]},
            metered.facility_uj, metered.it_uj, known, asked.start)))
    return sheets
