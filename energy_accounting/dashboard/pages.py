# SPDX-License-Identifier: Apache-2.0
"""What every page has: a period, and a calm word where there is nothing."""

from __future__ import annotations

import datetime
from typing import Any

from django.utils import timezone
from django.utils.translation import gettext as _
from horizon import exceptions, views

from energy_accounting import client, units
from energy_accounting.dashboard import connection, periods, words


def now() -> datetime.datetime:
    """The present; the one clock of the panels."""
    return datetime.datetime.now(units.UTC)


def zone() -> str:
    """The name of the time zone that the user has set in Horizon."""
    name = str(timezone.get_current_timezone())
    try:
        units.zone(name)
    except ValueError:
        return 'UTC'
    return name


class EnergyView(views.HorizonTemplateView):
    """A page that asks the energy API.

    :cvar with_period: whether the page has a form for it.
    """

    with_period = True

    def page(self, api: client.Client,
             period: periods.Period) -> dict[str, Any]:
        """What the template shows.

        :raises client.Error: the API did not answer.
        """
        raise NotImplementedError

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        context: dict[str, Any] = super().get_context_data(**kwargs)
        moment, name = now(), zone()
        try:
            period = periods.choose(self.request.GET, name, moment)
        except periods.Refused as refused:
            context['refused'] = words.REFUSALS[refused.code]
            period = periods.choose({}, name, moment)
            context['form'] = form(period, moment) | {
                'first': self.request.GET.get(periods.FIRST, ''),
                'last': self.request.GET.get(periods.LAST, '')}
            return context
        context['form'] = form(period, moment)
        context['zone'] = name
        context['period'] = words.span(period.start, period.end, period.where)
        context['period_before'] = words.span(*period.before, period.where)
        try:
            context.update(self.page(connection.energy(self.request),
                                     period))
        except exceptions.ServiceCatalogException:
            context['failure'] = _(
                'This cloud has no energy service in this region.')
        except client.Error as error:
            context['failure'] = words.failure(error)
            context['failure_detail'] = str(error)
            context['request_id'] = error.request_id
        return context


def form(period: periods.Period, moment: datetime.datetime,
         ) -> dict[str, Any]:
    """What the form for the period shows."""
    before, after = periods.neighbours(period, moment)
    offered = [(f'{first:%Y-%m}', words.month(first))
               for first in periods.months(moment, period.where)]
    if period.month and period.month not in {value for value, _ in offered}:
        offered.append((period.month, words.month(period.first)))
    return {
        'months': offered, 'month': period.month or '',
        'first': '' if period.month else period.first.isoformat(),
        'last': '' if period.month else period.last.isoformat(),
        'before': before, 'after': after,
        'today': f'{moment.astimezone(period.where):%Y-%m-%d}',
        'query': period.form, 'zone': period.zone}
