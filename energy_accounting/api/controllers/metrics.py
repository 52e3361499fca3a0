# SPDX-License-Identifier: Apache-2.0
"""``GET /metrics``: what a monitoring system scrapes."""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Iterator
from typing import Any

import pecan
import prometheus_client
import sqlalchemy as sa
import webob
from prometheus_client import core, registry

from energy_accounting import units
from energy_accounting.api import parameters, policies
from energy_accounting.api.controllers import Resource, Service
from energy_accounting.api.controllers import usage as usage_controller
from energy_accounting.ledger import (
    engine,
    gauges,
    identities,
    queries,
    usage,
)
from energy_accounting.report import metrics as report
from energy_accounting.report import usage as report_usage

# Projects of a cloud.
_MOST = 100_000
_KINDS = {report.GAUGE: core.GaugeMetricFamily,
          report.COUNTER: core.CounterMetricFamily}


class Metrics(Resource):

    @pecan.expose('json')
    def get_all(self, request: webob.Request, response: webob.Response, /,
                **query: str) -> webob.Response:
        service = self._service
        self.admit(request, 'GET', '/metrics', policies.METRICS)
        now_ns = units.wall_ns(service.clock())
        with service.database.reader() as connection:
            engine.snapshot(connection)
            found = gauges.read(connection, now_ns)
            rows, names = _tenants(service, connection)
        response.content_type = 'text/plain'
        response.charset = 'UTF-8'
        response.body = prometheus_client.generate_latest(
            _Families((*report.families(found, now_ns),
                       *report.tenants(rows, names))
                      if service.tenant_metrics
                      else report.families(found, now_ns)))
        return response


def _tenants(service: Service, connection: sa.Connection,
             ) -> tuple[list[dict[str, Any]], dict[str, str]]:
    """Rows of projects since midnight, and names; none unless switched on.

    A day, so that what is read for a scrape is bounded.
    """
    if not service.tenant_metrics:
        return [], {}
    now = service.clock()
    midnight = now.astimezone(datetime.UTC).replace(
        hour=0, minute=0, second=0, microsecond=0)
    asked = parameters.usage({'start': units.iso(midnight)}, now, _MOST,
                             connection.dialect.name)
    found = usage.read(connection, asked)
    return report_usage.body(
        asked, queries.GROUPS, found,
        usage_controller.totals_of(connection, asked, found),
        None)['usage'], identities.project_names(connection)


class _Families(registry.CollectorRegistry):
    """Families of one answer, as the exposition wants to be handed them."""

    def __init__(self, families: Iterable[report.Family]) -> None:
        super().__init__()
        self._families = tuple(families)

    def collect(self) -> Iterator[core.Metric]:
        for family in self._families:
            metric = _KINDS[family.kind](family.name, family.help,
                                         labels=family.labels)
            for labels, value in family.samples.items():
                metric.add_metric(labels, value)
            yield metric
