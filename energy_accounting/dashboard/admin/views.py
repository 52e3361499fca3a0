# SPDX-License-Identifier: Apache-2.0
"""The pages of an operator: where the energy came from and went to."""

from __future__ import annotations

import functools
import time
from typing import Any

from django.utils.translation import gettext_lazy as _

from energy_accounting import client
from energy_accounting.dashboard import (
    connection,
    figures,
    operator,
    pages,
    periods,
    reading,
    words,
)

# Each page: its address, and the name on its tab.
TABS = (('index', _('Balance')), ('projects', _('Projects')),
        ('hosts', _('Hosts')), ('sites', _('Sites')),
        ('statements', _('Statements')), ('exports', _('Exports')),
        ('quarantine', _('Quarantine')))


class AdminView(pages.EnergyView):
    tab = ''

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        return super().get_context_data(
            tabs=[{'url': f'horizon:admin:energy:{name}', 'name': title,
                   'active': name == self.tab} for name, title in TABS],
            **kwargs)


class IndexView(AdminView):
    template_name = 'energy_accounting/admin/balance.html'
    page_title = _('Energy')
    tab = 'index'

    def page(self, api: client.Client,
             period: periods.Period) -> dict[str, Any]:
        return operator.balance(api.balance(**period.query), period)


class ProjectsView(AdminView):
    template_name = 'energy_accounting/admin/projects.html'
    page_title = _('Projects')
    tab = 'projects'

    def page(self, api: client.Client,
             period: periods.Period) -> dict[str, Any]:
        ranked = reading.projects(api, period)
        if not ranked.rows:
            return {'empty': True}
        return operator.projects(
            ranked, connection.project_names(self.request))


class HostsView(AdminView):
    template_name = 'energy_accounting/admin/hosts.html'
    page_title = _('Hosts')
    tab = 'hosts'
    with_period = False

    def page(self, api: client.Client,
             period: periods.Period) -> dict[str, Any]:
        rows, more = reading.hosts(api)
        return {'hosts': operator.hosts(rows, period.where), 'more': more}


class SitesView(AdminView):
    template_name = 'energy_accounting/admin/sites.html'
    page_title = _('Sites')
    tab = 'sites'
    with_period = False

    def page(self, api: client.Client,
             period: periods.Period) -> dict[str, Any]:
        ask = reading.patience(
            functools.partial(connection.energy, self.request),
            connection.timeout(), time.monotonic)
        sites, _more = reading.first(api.sites())
        if not sites:
            return {'sites': []}
        wanted = self.request.GET.get('site')
        site = next((one for one in sites if one['name'] == wanted),
                    reading.site_of_choice(sites))
        return {'sites': [one['name'] for one in sites],
                **operator.site(site, reading.key_figures(
                    ask, site, pages.now()))}


class StatementsView(AdminView):
    template_name = 'energy_accounting/admin/statements.html'
    page_title = _('Statements')
    tab = 'statements'
    with_period = False

    def page(self, api: client.Client,
             period: periods.Period) -> dict[str, Any]:
        rows, more = reading.statements(api, all_projects=True)
        names = connection.project_names(self.request) if rows else {}
        return {'forbidden': rows is None, 'statements': figures.statements(
            rows or (), period.where, names), 'older': more}


class ExportsView(AdminView):
    template_name = 'energy_accounting/admin/exports.html'
    page_title = _('Exports')
    tab = 'exports'
    with_period = False

    def page(self, api: client.Client,
             period: periods.Period) -> dict[str, Any]:
        state = self.request.GET.get('state')
        if state not in words.EXPORT_STATES:
            state = None
        found, more = reading.exports(api, state)
        rows = found or ()
        named = any(row['project_id'] for row in rows)
        return {'state': state, 'forbidden': found is None, 'more': more,
                'states': [{'value': value, 'name': name} for value, name
                           in words.EXPORT_STATES.items()],
                'exports': operator.exports(
                    rows, connection.project_names(self.request)
                    if named else {}, period.where)}


class QuarantineView(AdminView):
    template_name = 'energy_accounting/admin/quarantine.html'
    page_title = _('Quarantine')
    tab = 'quarantine'
    with_period = False

    def page(self, api: client.Client,
             period: periods.Period) -> dict[str, Any]:
        state = self.request.GET.get('state') or 'held'
        if state not in words.HELD_STATES:
            state = 'held'
        rows, more = reading.first(api.quarantine(state=state))
        return {'state': state,
                'states': [{'value': value, 'name': name}
                           for value, name in words.HELD_STATES.items()],
                'records': operator.quarantine(rows, period.where),
                'more': more}
