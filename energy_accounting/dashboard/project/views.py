# SPDX-License-Identifier: Apache-2.0
"""The pages of a project: what its servers used."""

from __future__ import annotations

import itertools
from typing import Any

from django.http import HttpResponse, StreamingHttpResponse
from django.utils.translation import gettext_lazy as _
from horizon import exceptions

from energy_accounting import client
from energy_accounting.dashboard import (
    connection,
    figures,
    pages,
    periods,
    reading,
    tables,
    words,
)


class IndexView(pages.EnergyView):
    template_name = 'energy_accounting/project.html'
    page_title = _('Energy')

    def page(self, api: client.Client,
             period: periods.Period) -> dict[str, Any]:
        usage = reading.project(api, period)
        if usage.total is None:
            return {'empty': True, 'complete': words.moment(
                usage.complete_until, period.where)}
        names = connection.server_names(self.request)
        return {
            'cards': figures.cards(usage.total, usage.before),
            'energy': figures.energy_chart(usage.steps, period),
            'co2': figures.co2_chart(usage.steps, period),
            'servers': figures.servers(usage, period, names),
            'idle': figures.idle(usage, names),
            'measured': figures.measured(usage, period),
            'resolution': period.resolution, 'more': usage.more}


def download(request: Any) -> Any:
    """The rows of a period as CSV, as the API has them."""
    period = None
    try:
        period = periods.choose(request.GET, pages.zone(), pages.now())
        rows = reading.rows(connection.energy(request), period)
        # What fails, fails before the first line is sent.
        first = next(rows, None)
    except periods.Refused as refused:
        return _sorry(words.REFUSALS[refused.code], 400)
    except exceptions.ServiceCatalogException:
        return _sorry(_('This cloud has no energy service in this region.'),
                      404)
    except client.Error as error:
        return _sorry(words.failure(error), 503)
    names = connection.server_names(request)
    found = () if first is None else itertools.chain([first], rows)
    response = StreamingHttpResponse(
        tables.csv_text(
            ({**row, 'instance_name': names.get(row['instance_id'])}
             for row in found), reading.CSV_COLUMNS),
        content_type='text/csv; charset=utf-8')
    name = period.month or f'{period.first}_{period.last}'
    response['Content-Disposition'] = (
        f'attachment; filename="energy-{name}.csv"')
    return response


def _sorry(text: object, status: int) -> HttpResponse:
    return HttpResponse(str(text), status=status,
                        content_type='text/plain; charset=utf-8')
