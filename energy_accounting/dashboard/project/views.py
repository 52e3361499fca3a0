# SPDX-License-Identifier: Apache-2.0
"""The pages of a project: what its servers used."""

from __future__ import annotations

import itertools
import uuid
from typing import Any

from django.http import Http404, HttpResponse, StreamingHttpResponse
from django.utils.translation import get_language
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

_MEDIA = {'csv': 'text/csv; charset=utf-8', 'pdf': 'application/pdf',
          'html': 'text/html; charset=utf-8'}


class IndexView(pages.EnergyView):
    template_name = 'energy_accounting/project.html'
    page_title = _('Energy')

    def page(self, api: client.Client,
             period: periods.Period) -> dict[str, Any]:
        usage = reading.project(api, period)
        closed = figures.statements(
            reading.statements(api)[0] or (), period.where)
        if usage.total is None:
            return {'empty': True, 'statements': closed,
                    'complete': None if usage.complete_until is None
                    else words.moment(usage.complete_until, period.where)}
        names = connection.server_names(self.request)
        return {
            'cards': figures.cards(usage.total, usage.before),
            'energy': figures.energy_chart(usage.steps, period),
            'co2': figures.co2_chart(usage.steps, period),
            'servers': figures.servers(usage, period, names),
            'idle': figures.idle(usage, names),
            'measured': figures.measured(usage, period),
            'statements': closed}


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
        return _failed(error)
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


def document(request: Any, statement_id: uuid.UUID, form: str) -> Any:
    """A closed statement, as a file."""
    if form not in figures.DOCUMENTS:
        raise Http404
    language = 'de' if (get_language() or '').startswith('de') else 'en'
    try:
        api = connection.energy(request, max(
            connection.DOCUMENT_SECONDS, connection.timeout()))
        content = api.statement_document(str(statement_id), format=form,
                                         language=language)
    except exceptions.ServiceCatalogException:
        return _sorry(_('This cloud has no energy service in this region.'),
                      404)
    except client.NotFound:
        raise Http404 from None
    except client.Error as error:
        return _failed(error)
    response = HttpResponse(content, content_type=_MEDIA[form])
    # Never shown as a page of this site.
    response['Content-Disposition'] = (
        f'attachment; filename="energy-statement-{statement_id}.{form}"')
    response['X-Content-Type-Options'] = 'nosniff'
    return response


def _failed(error: client.Error) -> HttpResponse:
    """What the API said, with its status where the fault is the caller's."""
    status = error.status or 503
    return _sorry(f'{words.failure(error)} ({error})',
                  status if 400 <= status < 500 else 503)


def _sorry(text: object, status: int) -> HttpResponse:
    return HttpResponse(str(text), status=status,
                        content_type='text/plain; charset=utf-8')
