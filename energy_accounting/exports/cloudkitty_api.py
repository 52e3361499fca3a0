# SPDX-License-Identifier: Apache-2.0
"""CloudKitty's API, version 2, as far as exports need it.

What goes wrong is told with its remedy.  What is sent, and when, is not
decided here.
"""

from __future__ import annotations

import contextlib
import datetime
import decimal
import itertools
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from keystoneauth1 import adapter
from keystoneauth1 import exceptions as ksa_exceptions
from keystoneauth1 import loading as ksa_loading
from oslo_config import cfg

from energy_accounting import errors, units
from energy_accounting.exports import cloudkitty_points as points

GROUP = 'cloudkitty'
SERVICE = 'rating'
_SECONDS = 30
"""For an answer: shorter than an export is held."""
_PAGE = 5000
_ALL = 10 ** 6
_AWAY = (ksa_exceptions.ConnectFailure, ksa_exceptions.ConnectTimeout,
         ksa_exceptions.UnknownConnectionError,
         ksa_exceptions.DiscoveryFailure, ksa_exceptions.HttpServerError)
"""Keystone, for now; not where its certificate is wrong."""
_SAID = 300
"""Of an error: it may bring all of the request back."""

DATAFRAMES = '/v2/dataframes'
SUMMARY = '/v2/summary'

Numbers = tuple[decimal.Decimal, decimal.Decimal]
"""Quantity and price, as CloudKitty has them."""


class CloudKitty:
    """:param ask: (method, path, …) -> an answer, as an adapter's."""

    def __init__(self, ask: adapter.Adapter, address: str) -> None:
        self._adapter, self.address = ask, address

    def push(self, found: Sequence[tuple[points.Place, points.Amounts]],
             ) -> None:
        """Give points; those of a frame stand in a row."""
        self._ask('POST', DATAFRAMES, json={'dataframes': [
            {'period': {'begin': _time(start), 'end': _time(end)},
             'usage': {points.METRIC: [points.as_json(place, one)
                                       for place, one in some]}}
            for (start, end), some in itertools.groupby(
                found, lambda each: (each[0].start, each[1].end))]})

    def sums(self, project_id: str, start: int, end: int,
             ) -> dict[tuple[str, ...], Numbers]:
        """What it has, by :data:`points.TAGS`."""
        found = self._ask('GET', SUMMARY, params={
            **_range(start, end, project_id),
            'groupby': ','.join(points.TAGS), 'response_format': 'object',
            'limit': _ALL})
        with self._understood(SUMMARY):
            return {
                tuple(row.get(name) or '' for name in points.TAGS):
                (_number(row['qty']), _number(row['rate']))
                for row in found['results']}

    def points(self, project_id: str, start: int, end: int,
               progress: Callable[[int], object],
               ) -> Iterator[tuple[points.Place, int, Numbers]]:
        """Every point that begins in it: place, end and numbers."""
        for offset in itertools.count(0, _PAGE):
            found = self._ask('GET', DATAFRAMES, params={
                **_range(start, end, project_id), 'limit': _PAGE,
                'offset': offset}, absent={'total': 0, 'dataframes': []})
            progress(0)
            with self._understood(DATAFRAMES):
                page = list(_points(found['dataframes']))
                total = int(found['total'])
            yield from page
            if offset + _PAGE >= total:
                return

    @contextlib.contextmanager
    def _understood(self, path: str) -> Iterator[None]:
        """Read an answer, which may be somebody else's."""
        try:
            yield
        except (ArithmeticError, AttributeError, LookupError, TypeError,
                ValueError) as error:
            raise errors.ConfigurationError(
                f'[{GROUP}]: GET {self.address.rstrip("/")}{path}: what '
                'answers is not CloudKitty, or another version of it: is '
                f'this its address (endpoint_override)? ({error!r})',
            ) from error

    def _ask(self, method: str, path: str, *,
             absent: dict[str, Any] | None = None, **how: Any) -> Any:
        """:param absent: what it means that there is nothing."""
        where = f'[{GROUP}]: {method} {self.address.rstrip("/")}{path}'
        try:
            answer = self._adapter.request(path, method, raise_exc=False,
                                           **how)
        except ksa_exceptions.Unauthorized as error:
            raise _unknown(error) from error
        except ksa_exceptions.ClientException as error:
            raise errors.Unavailable(
                f'{where}: {_short(error)}; is its API running, '
                'and is this its address (endpoint_override)? What is not '
                'there is sent the next time') from error
        if answer.status_code < 300:
            return _json(answer.text, where) if answer.text else None
        if answer.status_code == 404 and absent is not None:
            return absent
        raise _refused(answer.status_code, _message(answer.text), where)


def _points(frames: Any) -> Iterator[tuple[points.Place, int, Numbers]]:
    for frame in frames:
        begin, until = (_bucket(frame['period'][name])
                        for name in ('begin', 'end'))
        for one in frame['usage'].get(points.METRIC, ()):
            yield points.Place(begin, tuple(sorted(
                (name, value) for name, value
                in one['groupby'].items() if value))), until, (
                    _number(one['vol']['qty']),
                    _number(one['rating']['price']))


def _unknown(error: ksa_exceptions.Unauthorized,
             ) -> errors.ConfigurationError:
    return errors.ConfigurationError(
        f'[{GROUP}]: Keystone does not know the user: {_short(error)}; look '
        'at username, password and project_name')


def _refused(status: int, said: str, where: str,
             ) -> errors.EnergyAccountingError:
    if status == 401:
        return errors.ConfigurationError(
            f'{where}: 401: CloudKitty does not take our token: do '
            f'[{GROUP}] auth_url and its [keystone_authtoken] name the same '
            f'Keystone? ({said})')
    if status == 403:
        return errors.ConfigurationError(
            f'{where}: 403: the user may not: give it the role admin on its '
            'project, or allow it in its policy file (dataframes:add, '
            f'and context_is_admin to read what was sent) ({said})')
    if status == 404:
        return errors.ConfigurationError(
            f'{where}: 404: there is no API v2 here: CloudKitty has it only '
            'with [storage] version = 2 and backend = influxdb; or the '
            f'address is not that of its API ({said})')
    if status >= 500:
        return errors.Unavailable(
            f'{where}: {status}: its log says why; is its InfluxDB running? '
            'CloudKitty 25 keeps a point that InfluxDB once refused and '
            'refuses all others until its API is restarted. What is not '
            f'there is sent the next time ({said})')
    return errors.Conflict(
        f'{where}: {status}: CloudKitty does not take it as it is; '
        f'[{GROUP}] was written for CloudKitty 25 ({said})')


def connect(conf: cfg.ConfigOpts) -> CloudKitty:
    """CloudKitty as ``[cloudkitty]`` says.

    :raises errors.ConfigurationError: names the option.
    """
    options = conf[GROUP]
    try:
        auth = ksa_loading.load_auth_from_conf_options(conf, GROUP)
        if auth is None:
            raise errors.ConfigurationError(
                f'[{GROUP}] auth_type is not set: give the credentials of a '
                'user who may add dataframes (auth_type = password, '
                'auth_url, username, password, project_name and the domains)')
        session = ksa_loading.load_session_from_conf_options(
            conf, GROUP, auth=auth,
            timeout=min(options.timeout or _SECONDS, _SECONDS))
        made = ksa_loading.load_adapter_from_conf_options(
            conf, GROUP, session=session,
            service_type=options.service_type or SERVICE,
            interface=options.valid_interfaces or ['internal', 'public'])
        address = options.endpoint_override or made.get_endpoint()
        if address is None:
            raise ksa_exceptions.EndpointNotFound('the catalogue is empty')
    except ksa_exceptions.Unauthorized as error:
        raise _unknown(error) from error
    except _AWAY as error:
        raise errors.Unavailable(
            f'[{GROUP}] auth_url: {_short(error)}') from error
    except ksa_exceptions.EndpointNotFound as error:
        raise errors.ConfigurationError(
            f'[{GROUP}]: {_short(error)}: register CloudKitty in the '
            'catalogue with the type '
            f'{options.service_type or SERVICE!r} (openstack endpoint '
            'create), look at region_name, or set endpoint_override',
        ) from error
    except (ksa_exceptions.ClientException, TypeError) as error:
        # A TypeError: options that do not fit each other.
        raise errors.ConfigurationError(
            f'[{GROUP}]: {_short(error)}') from error
    return CloudKitty(made, str(address))


# --- what it says -----------------------------------------------------------

def _range(start: int, end: int, project_id: str) -> dict[str, Any]:
    return {'begin': _time(start), 'end': _time(end),
            'filters': f'type:{points.METRIC},project_id:{project_id}'}


def _time(bucket: int) -> str:
    return units.iso(units.bucket_start(bucket))


def _bucket(text: str) -> int:
    return units.bucket_of(units.wall_ns(
        datetime.datetime.fromisoformat(text)))


def _number(value: Any) -> decimal.Decimal:
    return decimal.Decimal(0 if value is None else value)


def _json(text: str, where: str) -> Any:
    try:
        return json.loads(text, parse_float=decimal.Decimal)
    except ValueError as error:
        raise errors.ConfigurationError(
            f'{where}: what answers there is not CloudKitty: {text[:80]!r}',
        ) from error


def _message(text: str) -> str:
    try:
        found = json.loads(text)
    except ValueError:
        return ' '.join(text.split())[:_SAID]
    if isinstance(found, Mapping):
        found = found.get('message') or found.get('error') or found
        if isinstance(found, Mapping):
            found = found.get('message') or found
    return str(found)[:_SAID]


def _short(error: Exception) -> str:
    return str(error)[:_SAID]
