# SPDX-License-Identifier: Apache-2.0
"""Electricity Maps: ``GET /v3/carbon-intensity/past-range``.

Documented at https://app.electricitymaps.com/developer-hub/api: ``zone``,
``start`` and ``end`` (at most ten days of hours), the header
``auth-token``; the answer has ``data``, a list of ``zone``, ``datetime``,
``carbonIntensity`` (g CO2e/kWh), ``isEstimated``, ``estimationMethod``,
``emissionFactorType`` (direct, lifecycle) and ``updatedAt``.  What may be
done with the figures is in the contract that the token belongs to.
"""

from __future__ import annotations

import datetime
import decimal
from collections.abc import Sequence
from typing import Any

from oslo_config import cfg

from energy_accounting import units
from energy_accounting.facility import factors, providers
from energy_accounting.facility.providers import web

NAME = 'electricity-maps'
SOURCE = 'Electricity Maps'
_OPTION = '[factors] electricity_maps_token_file'
_STEPS_NS = {name: minutes * 60 * units.NS_PER_S for name, minutes in (
    ('5_minutes', 5), ('15_minutes', 15), ('hourly', 60))}
_HOURLY = 'hourly'


class ElectricityMaps:
    """See :class:`providers.Provider`."""

    name = NAME
    span_ns = 10 * 24 * 3600 * units.NS_PER_S

    def __init__(self, url: str, token: str, basis: str, asking: web.Web,
                 ) -> None:
        self._url, self._token, self._web = url, token, asking
        self.basis = basis

    def __repr__(self) -> str:
        return f'<{NAME} at {self._url}>'

    def fetch(self, zone: str, start_ns: int, end_ns: int, now_ns: int,
              ) -> Sequence[factors.Factor]:
        query = {'zone': zone, 'start': _text(start_ns),
                 'end': _text(end_ns), 'emissionFactorType': self.basis}
        try:
            answer = self._web.get(
                f'{self._url}/v3/carbon-intensity/past-range', query,
                {'auth-token': self._token})
            found = parse(answer, zone, now_ns)
        except web.Answerless as error:
            raise providers.refusal(NAME, zone, str(error)) from error
        other = {one.basis for one in found} - {self.basis}
        if other:
            raise providers.refusal(
                NAME, zone, f'its figures are {", ".join(map(str, other))} '
                f'and not {self.basis}: set [factors] '
                'electricity_maps_basis to what your contract has')
        return [one for one in found
                if one.start_ns < end_ns and one.end_ns > start_ns]


def parse(answer: Any, zone: str, now_ns: int) -> list[factors.Factor]:
    """What an answer holds; entries without a value are left out.

    :raises web.Answerless: it is not as documented.
    """
    entries = answer.get('data') if isinstance(answer, dict) else None
    if not isinstance(entries, list):
        raise web.Answerless('its answer has no list data')
    step = answer.get('temporalGranularity', _HOURLY)
    found = []
    for place, entry in enumerate(entries):
        if not isinstance(entry, dict):
            raise web.Answerless(f'data {place} of its answer is not an '
                                 'object')
        if entry.get('zone', answer.get('zone', zone)) != zone:
            raise web.Answerless(
                f'data {place} of its answer is of zone '
                f'{str(entry.get("zone"))[:64]!r}')
        if 'carbonIntensity' not in entry:
            raise web.Answerless(f'data {place} of its answer has no '
                                 'carbonIntensity')
        if entry['carbonIntensity'] is None:
            continue
        found.append(_factor(entry, place, zone, now_ns, str(
            entry.get('temporalGranularity', step))))
    return found


def _factor(entry: dict[str, Any], place: int, zone: str, now_ns: int,
            step: str) -> factors.Factor:
    value, estimated = entry['carbonIntensity'], entry.get('isEstimated')
    basis = entry.get('emissionFactorType')
    start_ns = _time(entry.get('datetime'))
    for name, known in (
            ('carbonIntensity', type(value) in (int, decimal.Decimal)
             and value >= 0),
            ('isEstimated', type(estimated) is bool),
            ('emissionFactorType', basis in factors.BASES),
            ('datetime', start_ns is not None),
            ('temporalGranularity', step in _STEPS_NS)):
        if not known:
            raise web.Answerless(
                f'{name} of data {place} of its answer is '
                f'{str(entry.get(name))[:64]!r}')
    method = entry.get('estimationMethod')
    return factors.Factor(
        kind=factors.CARBON, carrier=factors.ELECTRICITY, zone=zone,
        basis=basis, method=factors.LOCATION, signal=factors.AVERAGE,
        start_ns=start_ns or 0,
        end_ns=(start_ns or 0) + _STEPS_NS[step],
        value=decimal.Decimal(value),
        quality=factors.ESTIMATED if estimated else factors.ACTUAL,
        provider=NAME,
        source=f'{SOURCE} ({str(method)[:64]})' if method else SOURCE,
        retrieved_ns=now_ns, revision=_revision(entry.get('updatedAt')))


def _revision(text: Any) -> str | None:
    return text if type(text) is str and 0 < len(text) <= 64 else None


def _time(text: Any) -> int | None:
    try:
        return units.wall_ns(datetime.datetime.fromisoformat(text))
    except (TypeError, ValueError):
        return None


def _text(wall_ns: int) -> str:
    return units.moment(wall_ns).strftime('%Y-%m-%dT%H:%M:%SZ')


def token_of(path: str) -> str:
    """See :func:`web.token_of`."""
    return web.token_of(path, _OPTION)


def from_conf(conf: cfg.ConfigOpts) -> ElectricityMaps:
    """For stevedore."""
    options = conf.factors
    return ElectricityMaps(
        web.check_url(options.electricity_maps_url,
                      '[factors] electricity_maps_url'),
        token_of(options.electricity_maps_token_file or ''),
        options.electricity_maps_basis, web.from_conf(conf))
