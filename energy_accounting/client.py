# SPDX-License-Identifier: Apache-2.0
"""One HTTP client of the energy API, for the CLI, Horizon and scripts.

Answers are the API's own JSON values: figures stay the strings that were
sent, so that nobody rounds them by accident.  Only keystoneauth and the
standard library are imported here; printing, rounding and the meaning of
words such as "this month" belong to the callers.
"""

from __future__ import annotations

import dataclasses
import urllib.parse
from collections.abc import Iterator
from typing import Any

from keystoneauth1 import adapter
from keystoneauth1 import exceptions as ksa_exceptions

SERVICE_TYPE = 'energy-accounting'
DEFAULT_MICROVERSION = '1.0'

Row = dict[str, Any]


class Error(Exception):
    """The API could not be reached or did not do what it was asked.

    The message is one line that a user can act on.

    :ivar status: the HTTP status, None when there was no answer.
    :ivar code: the API's stable error code, None when it sent none.
    :ivar request_id: to find the request in the service's log.
    """

    def __init__(self, message: str, *, status: int | None = None,
                 code: str | None = None,
                 request_id: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.request_id = request_id


@dataclasses.dataclass(frozen=True, slots=True)
class Page:
    """Some rows of an answer and what was said beside them.

    :ivar rows: as the API has them.
    :ivar envelope: the answer without its rows and links, for example
        ``complete_until``, and ``count`` where it was asked for.
    :ivar marker: where the next page begins; None for the last one.
    """

    rows: tuple[Row, ...]
    envelope: Row
    marker: str | None


class Client:
    """The energy API as seen with one session.

    :param session: a keystoneauth session; its plugin also finds the
        endpoint.
    :param adapter_options: ``interface``, ``region_name``,
        ``endpoint_override``, ... as keystoneauth's Adapter takes them.
    """

    def __init__(self, session: Any, **adapter_options: Any) -> None:
        options = {'service_type': SERVICE_TYPE,
                   'default_microversion': DEFAULT_MICROVERSION,
                   'client_name': 'energy-accounting', **adapter_options}
        self._adapter = adapter.Adapter(session, **options)

    def usage(self, **query: Any) -> Iterator[Page]:
        """The pages of a usage report, fetched as they are asked for.

        :param query: parameters of ``GET /v1/usage``; those that are None
            are left out, lists are joined with commas.
        :raises Error: with the API's own words.
        """
        return self._pages('/v1/usage', 'usage', query)

    def balance(self, **query: Any) -> Row:
        """The balance sheet of a period: who owns the measured energy.

        :raises Error: with the API's own words.
        """
        return self._get('/v1/balance', query)['balance']

    def hosts(self, **query: Any) -> Iterator[Page]:
        """The pages of the list of hosts.

        :raises Error: with the API's own words.
        """
        return self._pages('/v1/hosts', 'hosts', query)

    def host(self, name: str) -> Row:
        """What is known of one host.

        :raises Error: with the API's own words.
        """
        return self._get(_host(name), {})['host']

    def enrol_host(self, name: str, **said: Any) -> Row:
        """Expect a host from now on.

        :param said: ``site``, ``region``, ``public_key``,
            ``max_power_w``; those that are None are left out.
        :raises Error: with the API's own words.
        """
        return self._post('/v1/hosts', _known(name=name, **said))['host']

    def change_host(self, name: str, **said: Any) -> Row:
        """Change what an operator says of a host.

        :param said: as :meth:`enrol_host`, and ``state``; None is sent.
        :raises Error: with the API's own words.
        """
        return self._patch(_host(name), said)['host']

    def downtimes(self, name: str, **query: Any) -> Iterator[Page]:
        """The pages of a host's planned downtimes, the newest first.

        :raises Error: with the API's own words.
        """
        return self._pages(f'{_host(name)}/downtimes', 'downtimes', query)

    def plan_downtime(self, name: str, start: str, end: str,
                      reason: str) -> Row:
        """Plan a downtime of a host; times in ISO 8601 with a zone.

        :raises Error: with the API's own words.
        """
        return self._post(f'{_host(name)}/downtimes', {
            'start': start, 'end': end, 'reason': reason})['downtime']

    def cancel_downtime(self, name: str, downtime_id: int | str) -> None:
        """Forget a downtime of a host.

        :raises Error: with the API's own words.
        """
        number = _segment('id', str(downtime_id))
        self._delete(f'{_host(name)}/downtimes/{number}')

    def audit(self, **query: Any) -> Iterator[Page]:
        """The pages of who changed what, the newest first.

        :raises Error: with the API's own words.
        """
        return self._pages('/v1/audit', 'audit', query)

    def quarantine(self, **query: Any) -> Iterator[Page]:
        """The pages of the records that are kept and not booked.

        :param query: parameters of ``GET /v1/quarantine``.
        :raises Error: with the API's own words.
        """
        return self._pages('/v1/quarantine', 'quarantine', query)

    def kept_record(self, record_id: int | str) -> Row:
        """One record in quarantine, with its text.

        :raises Error: with the API's own words.
        """
        return self._get(_record(record_id), {})['quarantine']

    def decide(self, record_id: int | str, state: str,
               reason: str | None = None) -> Row:
        """Release or discard a record in quarantine.

        :param state: ``released`` or ``discarded``.
        :returns: the record as ``quarantine``, and ``notes``.
        :raises Error: with the API's own words.
        """
        said = {'state': state}
        if reason is not None:
            said['reason'] = reason
        return self._patch(_record(record_id), {'quarantine': said})

    # Sites, meters, readings.  Every method raises Error with the API's own
    # words; what is None is left out where something is made, and takes
    # back what was said where something is changed.

    def sites(self, **query: Any) -> Iterator[Page]:
        """The pages of the list of sites."""
        return self._pages('/v1/sites', 'sites', query)

    def site(self, name: str) -> Row:
        """One site."""
        return self._get(_site(name), {})['site']

    def kpis(self, site: str, **query: Any) -> Row:
        """The key figures of a site, as ``kpis``, and what was asked.

        :param query: parameters of ``GET /v1/sites/{name}/kpis``.
        :raises Error: with the API's own words.
        """
        return self._get(f'{_site(site)}/kpis', query)

    def create_site(self, name: str, **said: Any) -> Row:
        """Make a site: ``region``, ``time_zone``, ``grid_zone``."""
        return self._post('/v1/sites', _known(name=name, **said))['site']

    def change_site(self, name: str, **said: Any) -> Row:
        """Change what is said of a site."""
        return self._patch(_site(name), said)['site']

    def meters(self, **query: Any) -> Iterator[Page]:
        """The pages of the list of meters."""
        return self._pages('/v1/meters', 'meters', query)

    def meter(self, name: str, **query: Any) -> Row:
        """One meter, its last reading and what must be decided."""
        return self._get(_meter(name), query)['meter']

    def create_meter(self, name: str, **said: Any) -> Row:
        """Make a meter; fields as in ``POST /v1/meters``."""
        return self._post('/v1/meters', _known(name=name, **said))['meter']

    def change_meter(self, name: str, **said: Any) -> Row:
        """Change what is said of a meter."""
        return self._patch(_meter(name), said)['meter']

    def readings(self, name: str, **query: Any) -> Iterator[Page]:
        """The pages of a meter's readings, in order of time."""
        return self._pages(f'{_meter(name)}/readings', 'readings', query)

    def add_readings(self, name: str, readings: list[Row], **how: Any,
                     ) -> Row:
        """Add a batch of readings: all of it, or nothing.

        :param readings: each with ``at`` and ``value``, texts both.
        :param how: ``correct``, ``source``, ``dry_run``.
        :returns: how many were ``added``, ``corrected``, ``duplicates``.
        """
        return self._post(f'{_meter(name)}/readings', _known(
            readings=readings, **how))['readings']

    def events(self, name: str, **query: Any) -> list[Row]:
        """What was decided about a meter."""
        rows: list[Row] = self._get(f'{_meter(name)}/events',
                                    query)['events']
        return rows

    def add_event(self, name: str, **said: Any) -> Row:
        """Decide what happened to a meter: ``at``, ``kind``, ..."""
        return self._post(f'{_meter(name)}/events', _known(**said))['event']

    def withdraw_event(self, name: str, event_id: int | str) -> None:
        """Take a decision about a meter back."""
        number = _segment('id', str(event_id))
        self._delete(f'{_meter(name)}/events/{number}')

    def factors(self, **query: Any) -> Iterator[Page]:
        """The pages of the list of factors.

        :param query: parameters of ``GET /v1/factors``.
        :raises Error: with the API's own words.
        """
        return self._pages('/v1/factors', 'factors', query)

    def record_factors(self, rows: list[Row], *,
                       replace: bool = False) -> Row:
        """Record factors, all or none.

        :param rows: as ``POST /v1/factors`` takes them.
        :param replace: supersede what is recorded of the same time.
        :returns: how many were ``stored``, ``superseded``, ``unchanged``.
        :raises Error: with the API's own words.
        """
        return self._post('/v1/factors', {
            'factors': rows, 'replace': replace})['factors']

    def withdraw_factor(self, factor_id: int | str) -> None:
        """Let a factor count no more.

        :raises Error: with the API's own words.
        """
        self._delete('/v1/factors/' + _segment('id', str(factor_id)))

    def contracts(self, site: str, **query: Any) -> Iterator[Page]:
        """The pages of the list of what a site bought.

        :raises Error: with the API's own words.
        """
        return self._pages(_contracts(site), 'contracts', query)

    def add_contract(self, site: str, **said: Any) -> Row:
        """Record what a site bought.

        :raises Error: with the API's own words.
        """
        return self._post(_contracts(site), said)['contract']

    def withdraw_contract(self, site: str, contract_id: int | str) -> None:
        """Let a contract of a site count no more.

        :raises Error: with the API's own words.
        """
        number = _segment('id', str(contract_id))
        self._delete(f'{_contracts(site)}/{number}')

    def _pages(self, path: str, key: str,
               query: dict[str, Any]) -> Iterator[Page]:
        while True:
            body = self._get(path, query)
            page = Page(tuple(body[key]),
                        {name: value for name, value in body.items()
                         if name not in (key, 'links')},
                        _next_marker(body.get('links') or ()))
            yield page
            if page.marker is None:
                return
            query = {**query, 'marker': page.marker}

    def _get(self, path: str, query: dict[str, Any]) -> Row:
        return _object(self._send('GET', path, params=_parameters(query)))

    def _post(self, path: str, body: Row) -> Row:
        return _object(self._send('POST', path, json=body))

    def _patch(self, path: str, body: Row) -> Row:
        return _object(self._send('PATCH', path, json=body))

    def _delete(self, path: str) -> None:
        self._send('DELETE', path)

    def _send(self, method: str, path: str, **options: Any) -> Any:
        """The API's answer, when it is not an error."""
        try:
            response = self._adapter.request(
                path, method, raise_exc=False,
                headers={'Accept': 'application/json'}, **options)
        except ksa_exceptions.EndpointNotFound as error:
            raise Error(
                f'the catalogue has no endpoint of type {SERVICE_TYPE} for '
                'this region and interface: set '
                'energy_accounting_endpoint_override or ask your operator'
            ) from error
        except ksa_exceptions.ConnectFailure as error:
            # What follows is the same again in the words of urllib3.
            what = _one_line(str(error)).split(': HTTP')[0]
            raise Error(f'the energy API cannot be reached: {what}') \
                from error
        except ksa_exceptions.ClientException as error:
            raise Error(_one_line(str(error))) from error
        if response.status_code not in (200, 201, 204):
            raise _refusal(response)
        return response


def _host(name: str) -> str:
    return '/v1/hosts/' + _segment('host', name)


def _site(name: str) -> str:
    return '/v1/sites/' + _segment('site', name)


def _meter(name: str) -> str:
    return '/v1/meters/' + _segment('meter', name)


def _known(**said: Any) -> Row:
    return {name: value for name, value in said.items() if value is not None}


def _record(record_id: int | str) -> str:
    return '/v1/quarantine/' + _segment('id', str(record_id))


def _contracts(site: str) -> str:
    return f'/v1/sites/{_segment("site", site)}/contracts'


def _segment(argument: str, text: str) -> str:
    """One name of a path, which must not lead anywhere else.

    :raises Error: it is empty, has a slash, which web servers take for one
        however it is written, or is what a URL means by ``.`` and ``..``
        (RFC 3986, section 5.2.4).
    """
    if text in ('', '.', '..') or '/' in text:
        raise Error(f'{argument}: {text!r} is no name here: give one that '
                    'is not empty, not . or .., and without /')
    return urllib.parse.quote(text, safe='')


def _object(response: Any) -> Row:
    """The JSON object that an answer holds."""
    try:
        body = response.json()
    except ValueError:
        body = None
    if not isinstance(body, dict):
        raise Error(f'{response.url} is not the energy API: its answer is '
                    'not a JSON object', status=response.status_code)
    return body


def _parameters(query: dict[str, Any]) -> dict[str, str]:
    """Query parameters as they are sent; what is None is not asked."""
    sent = {}
    for name, value in query.items():
        if value is None:
            continue
        if isinstance(value, bool):
            sent[name] = 'true' if value else 'false'
        elif isinstance(value, (list, tuple)):
            sent[name] = ','.join(str(item) for item in value)
        else:
            sent[name] = str(value)
    return sent


def _next_marker(links: Any) -> str | None:
    """The marker of the next page.

    Only the marker is taken from the link: behind a proxy its host may be
    one that the caller cannot reach.
    """
    for link in links:
        if link.get('rel') == 'next':
            query = urllib.parse.urlsplit(link['href']).query
            return urllib.parse.parse_qs(query).get('marker', [None])[0]
    return None


def _refusal(response: Any) -> Error:
    """The error that an answer that is no success stands for."""
    detail = code = None
    try:
        first = response.json()['errors'][0]
        detail = first.get('detail') or first.get('title')
        code = first.get('code')
    except (ValueError, LookupError, TypeError, AttributeError):
        # A proxy or the token middleware answered, not the API.
        pass
    if not detail:
        detail = f'the energy API answered {response.status_code} ' \
                 f'{response.reason or ""}'.rstrip()
        if response.status_code == 401:
            detail += ': the token was not accepted'
    return Error(_one_line(str(detail)), status=response.status_code,
                 code=code,
                 request_id=response.headers.get('x-openstack-request-id'))


def _one_line(text: str) -> str:
    return ' '.join(text.split())
