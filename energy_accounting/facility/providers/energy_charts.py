# SPDX-License-Identifier: Apache-2.0
"""Energy-Charts of Fraunhofer ISE: ``GET /co2eq``.

Documented at https://api.energy-charts.info: ``country``, ``start`` and
``end`` (ISO 8601); the answer has ``unix_seconds``, ``co2eq`` and
``co2eq_forecast`` of the same length, g CO2e/kWh or null, a quarter of an
hour apart for Germany and an hour for others.  No key.  Data under
CC BY 4.0.
"""

from __future__ import annotations

import decimal
import itertools
from collections.abc import Sequence
from typing import Any

from oslo_config import cfg

from energy_accounting import units
from energy_accounting.facility import factors, providers
from energy_accounting.facility.providers import web

NAME = 'energy-charts'
SOURCE = 'Energy-Charts.info, Fraunhofer ISE, CC BY 4.0'
_STEPS = (900, 1800, 3600)
_HOUR_NS = 3600 * units.NS_PER_S


class EnergyCharts:
    """See :class:`providers.Provider`."""

    name = NAME
    span_ns = 31 * 24 * _HOUR_NS

    def __init__(self, url: str, basis: str, asking: web.Web) -> None:
        self._url, self._web = url, asking
        self.basis = basis

    def fetch(self, zone: str, start_ns: int, end_ns: int, now_ns: int,
              ) -> Sequence[factors.Factor]:
        if len(zone) != 2:
            raise providers.refusal(
                NAME, zone, 'it knows countries only: give the sites a zone '
                'such as DE, or list other providers')
        # Wide enough to see the length of a step in the answer.
        first = start_ns // _HOUR_NS * _HOUR_NS - _HOUR_NS
        last = -(-end_ns // _HOUR_NS) * _HOUR_NS + _HOUR_NS
        try:
            answer = self._web.get(f'{self._url}/co2eq', {
                'country': zone.lower(), 'start': _time(first),
                'end': _time(last)})
            found = parse(answer)
        except web.Answerless as error:
            raise providers.refusal(NAME, zone, str(error)) from error
        return [factors.Factor(
            kind=factors.CARBON, carrier=factors.ELECTRICITY, zone=zone,
            basis=self.basis, method=factors.LOCATION,
            signal=factors.AVERAGE, start_ns=begins, end_ns=ends,
            value=value, quality=quality, provider=NAME, source=SOURCE,
            retrieved_ns=now_ns)
            for begins, ends, value, quality in found
            if begins < end_ns and ends > start_ns]


def parse(answer: Any) -> list[tuple[int, int, decimal.Decimal, str]]:
    """Start, end, value and quality of what an answer holds.

    Its forecast counts only where there is no value.

    :raises web.Answerless: it is not as documented.
    """
    if not isinstance(answer, dict):
        raise web.Answerless('its answer is not an object')
    columns = []
    for name in ('unix_seconds', 'co2eq', 'co2eq_forecast'):
        column = answer.get(name)
        if not isinstance(column, list):
            raise web.Answerless(f'its answer has no list {name}')
        columns.append(column)
    times, actual, forecast = columns
    if not len(times) == len(actual) == len(forecast):
        raise web.Answerless(
            f'its answer has {len(times)} times, {len(actual)} values and '
            f'{len(forecast)} forecasts')
    if not times:
        return []
    step = _step(times)
    found = []
    for second, *values in zip(times, actual, forecast, strict=True):
        for value, quality in zip(values, (
                factors.ACTUAL, factors.FORECAST), strict=True):
            if value is not None:
                found.append((second * units.NS_PER_S,
                              (second + step) * units.NS_PER_S,
                              _value(value), quality))
                break
    return found


def _step(times: list[Any]) -> int:
    """The seconds that each value counts for."""
    if not all(type(second) is int for second in times):
        raise web.Answerless('a time of its answer is not a whole number')
    gaps = [after - before for before, after in itertools.pairwise(times)]
    step = min(gaps, default=0)
    if step not in _STEPS or any(gap % step for gap in gaps):
        raise web.Answerless(
            f'the times of its answer are {step} s apart: 900, 1800 or 3600 '
            'are known, in rising order')
    return step


def _value(value: Any) -> decimal.Decimal:
    if type(value) not in (int, decimal.Decimal) or value < 0:
        raise web.Answerless(f'{str(value)[:64]!r} of its answer is not a '
                             'number from 0 on')
    return decimal.Decimal(value)


def _time(wall_ns: int) -> str:
    return units.moment(wall_ns).strftime('%Y-%m-%dT%H:%MZ')


def from_conf(conf: cfg.ConfigOpts) -> EnergyCharts:
    """For stevedore."""
    options = conf.factors
    return EnergyCharts(
        web.check_url(options.energy_charts_url,
                      '[factors] energy_charts_url'),
        options.energy_charts_basis, web.from_conf(conf))
