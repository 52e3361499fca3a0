# SPDX-License-Identifier: Apache-2.0
"""The panels in a Django of their own, and answers for them to show.

Templates, catalogues, addresses and views are the real ones.  Of Horizon,
which is not installed where these tests run, there are only the names that
the panels take from it; what it makes of them is the browser's test.
Imported before anything of Django.
"""

from __future__ import annotations

import sys
import types
from collections.abc import Iterable, Mapping
from typing import Any
from unittest import mock

import django
from django import conf, http, test, urls
from django.utils import translation
from django.views import generic

from energy_accounting import client

_BASE = ('<html><head><title>{% block title %}{% endblock %}</title>'
         '{% block css %}{% endblock %}</head><body>{% block main %}'
         '{% endblock %}</body></html>')


def _module(name: str, **content: object) -> types.ModuleType:
    made = sys.modules[name] = types.ModuleType(name)
    vars(made).update(content)
    return made


class NoService(Exception):
    """In place of ``horizon.exceptions.ServiceCatalogException``."""


def _url_for(request: Any, kind: str) -> str:
    if request.endpoints.get(kind) is None:
        raise NoService(kind)
    return str(request.endpoints[kind])


conf.settings.configure(
    ALLOWED_HOSTS=['testserver'], STATIC_URL='/static/', USE_TZ=True,
    TIME_ZONE='Europe/Berlin', OPENSTACK_SSL_NO_VERIFY=False,
    OPENSTACK_SSL_CACERT=None, ROOT_URLCONF='tests_of_panels',
    INSTALLED_APPS=['energy_accounting.dashboard.apps.EnergyConfig'],
    TEMPLATES=[{
        'BACKEND': 'django.template.backends.django.DjangoTemplates',
        'OPTIONS': {'loaders': [
            ('django.template.loaders.locmem.Loader', {'base.html': _BASE}),
            'django.template.loaders.app_directories.Loader']}}])
django.setup()
_exceptions = _module('horizon.exceptions',
                      ServiceCatalogException=NoService)
_views = _module('horizon.views', HorizonTemplateView=generic.TemplateView)
_module('horizon', exceptions=_exceptions, views=_views)
# Horizon's finds an interface of any kind.
_base = _module('openstack_dashboard.api.base', url_for=_url_for,
                is_service_enabled=lambda request, kind:
                kind in request.endpoints)
_api = _module('openstack_dashboard.api', base=_base)
_module('openstack_dashboard', api=_api)

from energy_accounting.dashboard import connection, pages  # noqa: E402
from energy_accounting.dashboard.admin import urls as admin_urls  # noqa: E402
from energy_accounting.dashboard.project import (  # noqa: E402
    urls as project_urls,
)

_INSTANCES = ([urls.path('<slug:instance_id>/', generic.View.as_view(),
                         name='detail')], 'instances')
_module('tests_of_panels', urlpatterns=[urls.path('', urls.include(([
    urls.path('project/', urls.include(([
        urls.path('energy/', urls.include((project_urls, 'energy'))),
        urls.path('instances/', urls.include(_INSTANCES))], 'project'))),
    urls.path('admin/', urls.include(([
        urls.path('energy/', urls.include((admin_urls, 'energy')))],
        'admin')))], 'horizon')))])


# --- answers ----------------------------------------------------------------

def usage(it_kwh: str = '2.000', **changes: Any) -> dict[str, Any]:
    """A row whose figures are all known, each another."""
    row = {
        'start': '2026-10-01T00:00:00Z', 'end': '2026-11-01T00:00:00Z',
        'active_kwh': '0.900', 'idle_kwh': '0.600', 'memory_kwh': '0.300',
        'host_kwh': '0.200', 'platform_kwh': None, 'it_kwh': it_kwh,
        'facility_kwh': '2.500', 'pue': '1.250000', 'pue_kind': 'interval',
        'co2_location_kg': '0.800', 'co2_market_kg': '0.300',
        'cue_kg_per_kwh': '0.4', 'peak_kw': '0.004',
        'coverage': '1.000000', 'boundary': 'rapl',
        'quality': {'measured': '1', 'backfilled': '0', 'estimated': '0'},
        'policy': 'two-part/1', 'water_l': '3.5', 'renewable_share': '0.75',
        'factor_quality': 'actual', 'factor_basis': 'combustion',
        'market_factor_quality': 'actual',
        'market_factor_basis': 'combustion'}
    return {**row, **changes}


def statement(**changes: Any) -> dict[str, Any]:
    row = {
        'id': '5b4d7b9e-3f2a-4c55-9a61-0d0c8d2f7a10', 'revision': 1,
        'state': 'final', 'project_id': 'shop', 'project_name': 'webshop',
        'period': '2026-10', 'timezone': 'Europe/Berlin',
        'start': '2026-09-30T22:00:00Z', 'end': '2026-10-31T23:00:00Z',
        'it_kwh': '2.000', 'facility_kwh': '2.500',
        'co2_location_kg': '0.800', 'currency': 'EUR', 'cost': '1234.50',
        'created_at': '2026-11-02T06:00:00Z'}
    return {**row, **changes}


def host(name: str = 'compute-1', **changes: Any) -> dict[str, Any]:
    row = {
        'name': name, 'state': 'enrolled', 'site': 'berlin-1',
        'last_window_end': '2026-11-01T12:00:00Z', 'lag_seconds': 60,
        'coverage': '1.000000', 'basis': ['package-0', 'package-1', 'dram-0'],
        'idle_kind': 'measured', 'idle_power_w': '95.5', 'version': '1.0.0',
        'alarm': None, 'expected': True, 'late': False}
    return {**row, **changes}


def balance(**changes: Any) -> dict[str, Any]:
    """A sheet that balances: 10 kWh."""
    sheet: dict[str, Any] = {
        'start': '2026-10-01T00:00:00Z', 'end': '2026-11-01T00:00:00Z',
        'complete_until': '2026-11-01T00:00:00Z', 'boundary': 'rapl',
        'service_by_name': {'ceph': {'energy_uj': '2', 'energy_kwh': '2'}},
        'unallocated_by_reason': {
            'idle_capacity': {'energy_uj': '1', 'energy_kwh': '1'}},
        'gaps': [], 'sites': [], 'node_kwh': None, 'platform_kwh': None,
        'undivided_node_kwh': None}
    for side, kwh in (('measured', 10), ('instance', 7), ('service', 2),
                      ('unallocated', 1), ('quarantined', 0),
                      ('difference', 0), ('disputed', 0)):
        sheet[f'{side}_uj'] = str(kwh * 3_600_000_000_000)
        sheet[f'{side}_kwh'] = f'{kwh}.000'
    return {**sheet, **changes}


def kpi(figure: str = 'PUE', value: str | None = '1.25',
        **changes: Any) -> dict[str, Any]:
    row = {
        'figure': figure, 'name': figure, 'value': value, 'unit': '1',
        'category': None, 'method': None, 'section': None,
        'standard': 'EN 50600-4-2', 'start': '2025-11-01T00:00:00Z',
        'end': '2026-11-01T00:00:00Z', 'coverage': '1', 'estimated': '0',
        'numerator': None, 'denominator': None, 'reading_seconds': 60,
        'why': None, 'notes': []}
    return {**row, **changes}


def paged(rows: Iterable[Mapping[str, Any]], **envelope: Any) -> Any:
    return client.Pages(lambda _marker: client.Page(
        tuple(rows), envelope, None), None)


class Api:
    """Answers by what is asked, and a list of that.

    :ivar usages: rows by how they are grouped, their resolution and where
        the period begins; none where there is no such key.
    :ivar lists: the rows of all other lists, by name.
    """

    def __init__(self, usages: Mapping[tuple[str, str, str], Any] = {},
                 complete_until: str | None = '2026-11-01T12:00:00Z',
                 **lists: Any) -> None:
        self.usages, self.lists = usages, lists
        self.complete_until = complete_until
        self.asked: list[tuple[str, dict[str, Any]]] = []

    def usage(self, **query: Any) -> Any:
        self.asked.append(('usage', query))
        return paged(self.usages.get(
            (query['group_by'], query['resolution'], query['start']), ()),
            complete_until=self.complete_until)

    def __getattr__(self, name: str) -> Any:
        answer = self.lists.get(name, ())

        def ask(*_path: object, **query: Any) -> Any:
            self.asked.append((name, query))
            found = answer(**query) if callable(answer) else answer
            if isinstance(found, Exception):
                raise found
            return paged(found) if isinstance(found, (tuple, list)) else found

        return ask


# --- requests ---------------------------------------------------------------

def get(path: str, api: Any, now: Any, language: str = 'en',
        names: Mapping[str, str] = {}) -> http.HttpResponseBase:
    """What Horizon would send for an address of the panels.

    :param api: who answers, or what connecting to it raises.
    :param now: the time on the panels' clock.
    :param names: of servers and projects.
    """
    request = test.RequestFactory().get(path)
    match = urls.resolve(request.path)
    answers = {'side_effect' if isinstance(api, Exception)
               else 'return_value': api}
    with translation.override(language), \
            mock.patch.object(connection, 'energy', **answers), \
            mock.patch.object(connection, 'server_names',
                              return_value=names), \
            mock.patch.object(connection, 'project_names',
                              return_value=names), \
            mock.patch.object(pages, 'now', return_value=now):
        response = match.func(request, *match.args, **match.kwargs)
        if hasattr(response, 'render'):
            response.render()
        return response
