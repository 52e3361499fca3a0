# SPDX-License-Identifier: Apache-2.0
"""From the words of requests about statements and tariffs to their modules'.

As ``parameters``, of what a schema cannot say.
"""

from __future__ import annotations

import datetime
import decimal
from collections.abc import Mapping
from typing import Any

from energy_accounting import tariffs, units
from energy_accounting.api import parameters
from energy_accounting.statements import periods


def period(given: Mapping[str, Any]) -> periods.Period:
    """The month or year that a body names."""
    return periods.period(given['period'], given.get('timezone', 'UTC'))


def filters(given: Mapping[str, str]) -> dict[str, Any]:
    """What a list of statements is asked for, as the store has it."""
    return {'period': given.get('period'),
            'time_zone': given.get('timezone'), 'state': given.get('state'),
            'all': given.get('revisions') == 'all',
            **parameters.between(given)}


def tariff_filters(given: Mapping[str, str], now: datetime.datetime,
                   ) -> dict[str, Any]:
    """What a list of tariffs is asked for, as the store has it."""
    as_of = parameters.time(given, 'as_of')
    if as_of is not None and as_of > now:
        parameters.refuse('as_of', f'{given["as_of"][:64]!r} is in the '
                          'future', 'give a time that has passed')
    return {'site': given.get('site'), 'project_id': given.get('project'),
            'domain_id': given.get('domain'), **parameters.between(given),
            'as_of_ns': None if as_of is None else units.wall_ns(as_of),
            'all': given.get('superseded') == 'true'}


def tariff(body: Mapping[str, Any]) -> tariffs.Tariff:
    """The tariff that a body brings.

    :raises errors.InvalidRequest: names the field that is wrong.
    """
    parameters.zone(body)
    start, end = (parameters.time(body, name) for name in ('start', 'end'))
    co2 = body.get('co2_price_per_kg')
    return tariffs.Tariff(
        name=body['name'],
        start_ns=units.wall_ns(start or units.EPOCH),
        end_ns=None if end is None else units.wall_ns(end),
        currency=body['currency'], quantity=body['quantity'],
        price_per_kwh=decimal.Decimal(body['price_per_kwh']),
        legal_basis=body['legal_basis'],
        co2_price_per_kg=None if co2 is None else decimal.Decimal(co2),
        co2_method=body.get('co2_method'),
        time_zone=body.get('timezone', 'UTC'),
        windows=_windows(body.get('windows', ())), site=body.get('site'),
        project_id=body.get('project'), domain_id=body.get('domain'))


def _windows(found: Any) -> tuple[tariffs.Window, ...]:
    try:
        return tariffs.windows_of(found)
    except ValueError as error:
        parameters.refuse('windows', f'{str(error)[:16]!r} is no time of a '
                          'day', 'give one from 00:00 to 24:00 on a quarter '
                          'of an hour')
