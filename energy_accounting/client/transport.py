# SPDX-License-Identifier: Apache-2.0
"""Requests and answers: pages, parameters, refusals.

What can be asked does not belong here (``nouns``), nor what an answer
looks like (``rows``).
"""

from __future__ import annotations

import dataclasses
import urllib.parse
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any, Generic, TypeVar

from keystoneauth1 import adapter
from keystoneauth1 import exceptions as ksa_exceptions

from energy_accounting.client import errors

SERVICE_TYPE = 'energy-accounting'
DEFAULT_MICROVERSION = '1.0'
_PIECE = 1 << 16

Row = Mapping[str, Any]
"""Any row, for those to whom all are the same."""

T = TypeVar('T')


@dataclasses.dataclass(frozen=True)
class Page(Generic[T]):
    """Some rows of an answer and what was said beside them.

    :ivar rows: as the API has them.
    :ivar envelope: the answer without its rows and links, for example
        ``complete_until``, and ``count`` where it was asked for.
    :ivar marker: where the next page begins; None for the last one.
    """

    rows: tuple[T, ...]
    envelope: dict[str, Any]
    marker: str | None


class Pages(Iterator[Page[T]]):
    """The pages of an answer, each fetched when it is asked for."""

    def __init__(self, fetch: Callable[[str | None], Page[T]],
                 marker: str | None) -> None:
        self._fetch = fetch
        self._marker = marker
        self._over = False

    def __next__(self) -> Page[T]:
        if self._over:
            raise StopIteration
        page = self._fetch(self._marker)
        if page.marker is not None and page.marker == self._marker:
            raise errors.Error(
                'the service sends the same page again and again: it says '
                'that the next one begins where this one began')
        self._marker = page.marker
        self._over = page.marker is None
        return page

    def rows(self, most: int | None = None) -> Iterator[T]:
        """The rows of all pages, one by one.

        :param most: stop after so many.
        """
        given = 0
        for page in self:
            for row in page.rows:
                if given == most:
                    return
                given += 1
                yield row
            if given == most:
                return


class Transport:
    """The energy API as it is spoken, with one session.

    :param session: a keystoneauth session; its plugin also finds the
        endpoint.
    :param timeout: the longest wait, in seconds, for a connection and then
        for each part of an answer; None: as the session says.
    :param adapter_options: ``interface``, ``region_name``,
        ``endpoint_override``, ... as keystoneauth's Adapter takes them.
    """

    def __init__(self, session: Any, *, timeout: float | None = None,
                 **adapter_options: Any) -> None:
        options = {'service_type': SERVICE_TYPE,
                   'default_microversion': DEFAULT_MICROVERSION,
                   'client_name': 'energy-accounting', **adapter_options}
        self._adapter = adapter.Adapter(session, **options)
        self._timeout = timeout

    def _pages(self, path: str, key: str,
               query: dict[str, Any]) -> Pages[Any]:
        def fetch(marker: str | None) -> Page[Any]:
            body = self._get(path, {**query, 'marker': marker})
            if not isinstance(body[key], list):
                raise body.foreign(f'{key!r} of its answer is no list')
            return Page(tuple(body[key]),
                        {name: value for name, value in body.items()
                         if name not in (key, 'links')},
                        _next_marker(body.get('links') or ()))
        return Pages(fetch, query.get('marker'))

    def _get(self, path: str, query: dict[str, Any], *,
             also: Collection[int] = ()) -> Any:
        return _object(self._send('GET', path, also,
                                  params=parameters(query)))

    def _post(self, path: str, body: Row) -> Any:
        return _object(self._send('POST', path, json=body))

    def _patch(self, path: str, body: Row) -> Any:
        return _object(self._send('PATCH', path, json=body))

    def _delete(self, path: str) -> None:
        self._send('DELETE', path)

    def _download(self, path: str, query: Row) -> Iterator[bytes]:
        """What an answer holds, as it comes: it may be of any size.

        :raises errors.Error: it breaks off, too.
        """
        response = self._send('GET', path, accept='*/*', stream=True,
                              params=parameters(query))
        try:
            yield from response.iter_content(_PIECE)
        except OSError as error:
            # As all errors of requests are.
            raise errors.Unavailable(
                f'the answer broke off: {one_line(str(error))}') from error
        finally:
            response.close()

    def _send(self, method: str, path: str, also: Collection[int] = (),
              accept: str = 'application/json', **options: Any) -> Any:
        """The API's answer, when it is not an error.

        :param also: statuses that are none either.
        """
        if self._timeout is not None:
            options['timeout'] = self._timeout
        try:
            response = self._adapter.request(
                path, method, raise_exc=False, headers={'Accept': accept},
                **options)
        except ksa_exceptions.EndpointNotFound as error:
            raise errors.Error(
                f'the catalogue has no endpoint of type {SERVICE_TYPE} for '
                'this region and interface: set '
                'energy_accounting_endpoint_override or ask your operator'
            ) from error
        except ksa_exceptions.ConnectTimeout as error:
            raise errors.TimedOut(
                f'there was no answer in time: {one_line(str(error))}'
            ) from error
        except ksa_exceptions.ConnectionError as error:
            # What follows is the same again in the words of urllib3.
            what = one_line(str(error)).split(': HTTP')[0]
            raise errors.Unavailable(
                f'the energy API cannot be reached: {what}') from error
        except ksa_exceptions.HttpError as error:
            # Of Keystone, while signing in.
            raise errors.BY_STATUS.get(error.http_status, errors.Error)(
                one_line(str(error)), status=error.http_status,
                request_id=error.request_id) from error
        except ksa_exceptions.ClientException as error:
            raise errors.Error(one_line(str(error))) from error
        if response.status_code not in (200, 201, 202, 204, *also):
            raise _refusal(response)
        return response


def known(**said: Any) -> dict[str, Any]:
    """What is said of a thing that is made: None says nothing."""
    return {name: value for name, value in said.items() if value is not None}


def segment(argument: str, text: str) -> str:
    """One name of a path, which must not lead anywhere else.

    :raises errors.Invalid: it is empty, has a slash, which web servers
        take for one however it is written, or is what a URL means by ``.``
        and ``..`` (RFC 3986, section 5.2.4).
    """
    if text in ('', '.', '..') or '/' in text:
        raise errors.Invalid(
            f'{argument}: {text!r} is no name here: give one that is not '
            'empty, not . or .., and without /')
    return urllib.parse.quote(text, safe='')


def one_line(text: str) -> str:
    return ' '.join(text.split())


class _Answer(dict[str, Any]):
    """A JSON object that somebody at the address of the API sent.

    What it must have and does not is told as an error of this package:
    another service may be there, or what announces its versions.
    """

    def __init__(self, body: Mapping[str, Any], url: str,
                 status: int) -> None:
        super().__init__(body)
        self._url, self._status = url, status

    def __missing__(self, key: str) -> Any:
        raise self.foreign(f'its answer has no {key!r}')

    def foreign(self, why: str) -> errors.Error:
        """The error that this was not sent by the API."""
        return errors.Error(f'{self._url} is not the energy API: {why}',
                            status=self._status)


def _object(response: Any) -> _Answer:
    """The JSON object that an answer holds."""
    try:
        body = response.json()
    except ValueError:
        body = None
    if not isinstance(body, dict):
        raise _Answer({}, response.url, response.status_code).foreign(
            'its answer is not a JSON object')
    return _Answer(body, response.url, response.status_code)


def parameters(query: Mapping[str, Any]) -> dict[str, str]:
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


def _refusal(response: Any) -> errors.Error:
    """The error that an answer that is no success stands for."""
    detail = code = None
    try:
        first = response.json()['errors'][0]
        detail = first.get('detail') or first.get('title')
        code = first.get('code')
    except (ValueError, LookupError, TypeError, AttributeError):
        # A proxy or the token middleware answered, not the API.
        pass
    status = response.status_code
    if not detail:
        detail = f'the energy API answered {status} ' \
                 f'{response.reason or ""}'.rstrip()
        if status == 401:
            detail += ': the token was not accepted'
    return errors.BY_STATUS.get(status, errors.Error)(
        one_line(str(detail)), status=status, code=code,
        request_id=response.headers.get('x-openstack-request-id'))
