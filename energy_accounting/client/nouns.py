# SPDX-License-Identifier: Apache-2.0
"""What the energy API can be asked, noun by noun.

A method a route, and nothing more: how it travels is in ``transport``,
what comes back is in ``rows``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from energy_accounting.client import transport
from energy_accounting.client.transport import Pages

if TYPE_CHECKING:
    # Types alone: no call of a program waits for them.
    from energy_accounting.client import rows as answers

_known, _segment = transport.known, transport.segment


class Client(transport.Transport):
    """The energy API as seen with one session.

    Every method raises :class:`~energy_accounting.client.errors.Error`, or
    the class of it that fits, with the API's own words.  ``query`` are the
    parameters of the route: those that are None are left out, lists are
    joined with commas.  What is None is left out too where something is
    made (``create``, ``enrol``, ``add``), and takes back what was said
    where something is changed.
    """

    # --- the service itself ---

    def versions(self) -> list[answers.Version]:
        """The versions of the API that the service speaks."""
        return self._get('/', {})['versions']

    def version(self) -> answers.Version:
        """Version 1, and the microversions of it."""
        return self._get('/v1', {})['version']

    def health(self) -> answers.Health:
        """Whether the process that answers can serve, and why not."""
        return self._get('/healthcheck', {}, also=(503,))

    def health_details(self) -> answers.HealthDetails:
        """The state of the database, and which hosts are late."""
        return self._get('/v1/health', {})['health']

    def metrics(self) -> str:
        """What a monitoring system scrapes, as Prometheus text."""
        return str(self._send('GET', '/metrics', accept='text/plain').text)

    # --- energy ---

    def usage(self, **query: Any) -> Pages[answers.Usage]:
        """The pages of a usage report, fetched as they are asked for."""
        return self._pages('/v1/usage', 'usage', query)

    def balance(self, **query: Any) -> answers.Balance:
        """The balance sheet of a period: who owns the measured energy."""
        return self._get('/v1/balance', query)['balance']

    # --- hosts ---

    def hosts(self, **query: Any) -> Pages[answers.Host]:
        """The pages of the list of hosts."""
        return self._pages('/v1/hosts', 'hosts', query)

    def host(self, name: str) -> answers.Host:
        """What is known of one host."""
        return self._get(_host(name), {})['host']

    def enrol_host(self, name: str, **said: Any) -> answers.Host:
        """Expect a host from now on.

        :param said: ``site``, ``region``, ``public_key``, ``max_power_w``.
        """
        return self._post('/v1/hosts', _known(name=name, **said))['host']

    def change_host(self, name: str, **said: Any) -> answers.Host:
        """Change what an operator says of a host.

        :param said: as :meth:`enrol_host`, and ``state``.
        """
        return self._patch(_host(name), said)['host']

    def downtimes(self, name: str, **query: Any) -> Pages[answers.Downtime]:
        """The pages of a host's planned downtimes, the newest first."""
        return self._pages(f'{_host(name)}/downtimes', 'downtimes', query)

    def plan_downtime(self, name: str, start: str, end: str,
                      reason: str) -> answers.Downtime:
        """Plan a downtime of a host; times in ISO 8601 with a zone."""
        return self._post(f'{_host(name)}/downtimes', {
            'start': start, 'end': end, 'reason': reason})['downtime']

    def cancel_downtime(self, name: str, downtime_id: int | str) -> None:
        """Forget a downtime of a host."""
        number = _segment('id', str(downtime_id))
        self._delete(f'{_host(name)}/downtimes/{number}')

    # --- what was changed, and what was not booked ---

    def audit(self, **query: Any) -> Pages[answers.Change]:
        """The pages of who changed what, the newest first."""
        return self._pages('/v1/audit', 'audit', query)

    def quarantine(self, **query: Any) -> Pages[answers.KeptRecord]:
        """The pages of the records that are kept and not booked."""
        return self._pages('/v1/quarantine', 'quarantine', query)

    def kept_record(self, record_id: int | str) -> answers.KeptRecordShown:
        """One record in quarantine, with its text."""
        return self._get(_record(record_id), {})['quarantine']

    def decide(self, record_id: int | str, state: str,
               reason: str | None = None) -> answers.Decided:
        """Release or discard a record in quarantine.

        :param state: ``released`` or ``discarded``.
        """
        said = {'state': state}
        if reason is not None:
            said['reason'] = reason
        return self._patch(_record(record_id), {'quarantine': said})

    # --- sites ---

    def sites(self, **query: Any) -> Pages[answers.Site]:
        """The pages of the list of sites."""
        return self._pages('/v1/sites', 'sites', query)

    def site(self, name: str) -> answers.Site:
        """One site."""
        return self._get(_site(name), {})['site']

    def create_site(self, name: str, **said: Any) -> answers.Site:
        """Make a site.

        ``region``, ``time_zone``, ``grid_zone``, ``factor_basis``.
        """
        return self._post('/v1/sites', _known(name=name, **said))['site']

    def change_site(self, name: str, **said: Any) -> answers.Site:
        """Change what is said of a site."""
        return self._patch(_site(name), said)['site']

    def kpis(self, site: str, **query: Any) -> answers.Kpis:
        """The key figures of a site, and what was asked for them."""
        return self._get(f'{_site(site)}/kpis', query)

    # --- meters and readings ---

    def meters(self, **query: Any) -> Pages[answers.Meter]:
        """The pages of the list of meters."""
        return self._pages('/v1/meters', 'meters', query)

    def meter(self, name: str, **query: Any) -> answers.MeterShown:
        """One meter, its last reading and what must be decided."""
        return self._get(_meter(name), query)['meter']

    def create_meter(self, name: str, **said: Any) -> answers.MeterShown:
        """Make a meter; fields as in ``POST /v1/meters``."""
        return self._post('/v1/meters', _known(name=name, **said))['meter']

    def change_meter(self, name: str, **said: Any) -> answers.MeterShown:
        """Change what is said of a meter."""
        return self._patch(_meter(name), said)['meter']

    def readings(self, name: str, **query: Any) -> Pages[answers.Reading]:
        """The pages of a meter's readings, in order of time."""
        return self._pages(f'{_meter(name)}/readings', 'readings', query)

    def add_readings(self, name: str, readings: Sequence[Mapping[str, Any]],
                     **how: Any) -> answers.Added:
        """Add a batch of readings: all of it, or nothing.

        :param readings: each with ``at`` and ``value``, texts both.
        :param how: ``correct``, ``source``, ``dry_run``.
        """
        return self._post(f'{_meter(name)}/readings', _known(
            readings=readings, **how))['readings']

    def events(self, name: str, **query: Any) -> list[answers.Event]:
        """What was decided about a meter."""
        return self._get(f'{_meter(name)}/events', query)['events']

    def add_event(self, name: str, **said: Any) -> answers.Event:
        """Decide what happened to a meter: ``at``, ``kind``, ..."""
        return self._post(f'{_meter(name)}/events',
                          _known(**said))['event']

    def withdraw_event(self, name: str, event_id: int | str) -> None:
        """Take a decision about a meter back."""
        number = _segment('id', str(event_id))
        self._delete(f'{_meter(name)}/events/{number}')

    # --- factors and contracts ---

    def factors(self, **query: Any) -> Pages[answers.Factor]:
        """The pages of the list of factors."""
        return self._pages('/v1/factors', 'factors', query)

    def record_factors(self, rows: Sequence[Mapping[str, Any]], *,
                       replace: bool = False) -> answers.Recorded:
        """Record factors, all or none.

        :param rows: as ``POST /v1/factors`` takes them.
        :param replace: supersede what is recorded of the same time.
        """
        return self._post('/v1/factors', {
            'factors': rows, 'replace': replace})['factors']

    def withdraw_factor(self, factor_id: int | str) -> None:
        """Let a factor count no more."""
        self._delete('/v1/factors/' + _segment('id', str(factor_id)))

    def contracts(self, site: str, **query: Any) -> Pages[answers.Contract]:
        """The pages of the list of what a site bought."""
        return self._pages(_contracts(site), 'contracts', query)

    def add_contract(self, site: str, **said: Any) -> answers.Contract:
        """Record what a site bought."""
        return self._post(_contracts(site), _known(**said))['contract']

    def withdraw_contract(self, site: str, contract_id: int | str) -> None:
        """Let a contract of a site count no more."""
        number = _segment('id', str(contract_id))
        self._delete(f'{_contracts(site)}/{number}')

    # --- statements and tariffs ---

    def statements(self, **query: Any) -> Pages[answers.Statement]:
        """The pages of the list of closed statements."""
        return self._pages('/v1/statements', 'statements', query)

    def close(self, period: str, projects: Sequence[str] | None = None,
              **how: Any) -> list[answers.ClosedStatement]:
        """Close a month or a year; the same again changes nothing.

        :param period: such as 2026-10 or 2026.
        :param how: ``timezone``; ``all_projects`` in place of projects;
            ``another_timezone``: also where it is closed in one.
        """
        return self._post('/v1/statements', _known(
            period=period, projects=projects, **how))['statements']

    def statement(self, statement_id: str, **query: Any,
                  ) -> answers.StatementShown:
        """One statement without its lines."""
        return self._get(_statement(statement_id), query)['statement']

    def statement_lines(self, statement_id: str, **query: Any,
                        ) -> Pages[answers.StatementLine]:
        """The pages of the lines of a statement."""
        return self._pages(f'{_statement(statement_id)}/lines', 'lines',
                           query)

    def statement_differences(self, statement_id: str, **query: Any,
                              ) -> Pages[answers.LineDifference]:
        """The pages of the lines in which two revisions differ.

        ``difference`` of each page's envelope is that of the totals.
        """
        return self._pages(f'{_statement(statement_id)}/differences',
                           'lines', query)

    def statement_document(self, statement_id: str, **query: Any) -> bytes:
        """A statement as a document.

        :param query: ``format`` (json, csv, html, pdf), ``language``,
            ``revision``.
        """
        document: bytes = self._send(
            'GET', f'{_statement(statement_id)}/document', accept='*/*',
            params=transport.parameters(query)).content
        return document

    def statement_file(self, statement_id: str, **query: Any,
                       ) -> Iterator[bytes]:
        """:meth:`statement_document`, piece by piece."""
        return self._download(f'{_statement(statement_id)}/document', query)

    def tariffs(self, **query: Any) -> Pages[answers.Tariff]:
        """The pages of the list of tariffs."""
        return self._pages('/v1/tariffs', 'tariffs', query)

    def create_tariff(self, name: str, **said: Any) -> answers.Tariff:
        """Record a tariff; fields as in ``POST /v1/tariffs``."""
        return self._post('/v1/tariffs', _known(name=name, **said))['tariff']

    def withdraw_tariff(self, tariff_id: int | str) -> None:
        """Let a tariff count no more."""
        self._delete('/v1/tariffs/' + _segment('id', str(tariff_id)))

    # --- exports ---

    def exports(self, **query: Any) -> Pages[answers.Export]:
        """The pages of the list of exports."""
        return self._pages('/v1/exports', 'exports', query)

    def create_export(self, target: str, period: str,
                      project: str | None = None, **how: Any,
                      ) -> answers.ExportShown:
        """Plan an export; the same again is the same one.

        :param target: such as focus; :param period: 2026-10 or 2026.
        :param project: ``none``: what belongs to none.
        :param how: ``options`` of the target, ``timezone``;
            ``all_projects`` in place of a project.
        """
        return self._post('/v1/exports', _known(
            target=target, period=period, project=project, **how))['export']

    def export(self, export_id: str) -> answers.ExportShown:
        """One export with its files."""
        return self._get(_export(export_id), {})['export']

    def retry_export(self, export_id: str) -> answers.ExportShown:
        """Let an export that failed, or was cancelled, be sent again."""
        return self._patch(_export(export_id),
                           {'state': 'planned'})['export']

    def cancel_export(self, export_id: str) -> answers.ExportShown:
        """Give an export up that is not confirmed."""
        return self._patch(_export(export_id),
                           {'state': 'cancelled'})['export']

    def export_file(self, export_id: str, name: str | None = None,
                    ) -> Iterator[bytes]:
        """A file of an export, piece by piece.

        :param name: one that the export has, or its manifest; None: the
            first file.
        """
        return self._download(f'{_export(export_id)}/file', {'name': name})


def _host(name: str) -> str:
    return '/v1/hosts/' + _segment('host', name)


def _site(name: str) -> str:
    return '/v1/sites/' + _segment('site', name)


def _meter(name: str) -> str:
    return '/v1/meters/' + _segment('meter', name)


def _record(record_id: int | str) -> str:
    return '/v1/quarantine/' + _segment('id', str(record_id))


def _contracts(site: str) -> str:
    return f'/v1/sites/{_segment("site", site)}/contracts'


def _export(export_id: str) -> str:
    return '/v1/exports/' + _segment('id', export_id)


def _statement(statement_id: str) -> str:
    return '/v1/statements/' + _segment('id', statement_id)
