# SPDX-License-Identifier: Apache-2.0
"""``GET /metrics``: what a monitoring system scrapes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import pecan
import prometheus_client
import webob
from prometheus_client import core, registry

from energy_accounting import units
from energy_accounting.api import policies
from energy_accounting.api.controllers import Resource
from energy_accounting.ledger import engine, gauges
from energy_accounting.report import metrics as report

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
        response.content_type = 'text/plain'
        response.charset = 'UTF-8'
        response.body = prometheus_client.generate_latest(
            _Families(report.families(found, now_ns)))
        return response


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
