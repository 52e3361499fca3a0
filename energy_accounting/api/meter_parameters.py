# SPDX-License-Identifier: Apache-2.0
"""From the words of requests about sites and meters to their own modules'.

As ``parameters``, of what a schema cannot say.
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any

from energy_accounting import units
from energy_accounting.api import parameters
from energy_accounting.facility import (
    batches,
    factors,
    meter_events,
    quantities,
)

QUESTIONS = datetime.timedelta(days=400)
"""How far back a meter is asked for questions, unless somebody says."""

_TIMES = {'calibrated_until': 'calibrated_until_ns',
          'installed_at': 'installed_ns', 'removed_at': 'removed_ns'}


def said_of_site(body: Mapping[str, Any]) -> dict[str, Any]:
    """What a body says of a site."""
    given = {name: body[name] for name in (
        'region', 'time_zone', 'grid_zone', 'factor_basis') if name in body}
    if given.get('region') is not None:
        parameters.identifier(given, 'region')
    zone = given.get('grid_zone')
    if zone is not None and not factors.is_zone(zone):
        parameters.refuse('grid_zone', f'{zone[:64]!r} cannot be one',
                          'give one such as DE or DK-DK1, in capitals')
    return given


def meter_name(body: Mapping[str, Any]) -> str:
    """The name of a new meter: one that is told from an id."""
    name = parameters.identifier(body, 'name')
    if name.isascii() and name.isdigit():
        parameters.refuse('name', f'{name[:64]!r} could be an id',
                          'give a name that is not only digits')
    return name


def said_of_meter(body: Mapping[str, Any]) -> dict[str, Any]:
    """What a body says of a meter, in the words of ``facility.meters``."""
    given = {name: value for name, value in body.items()
             if name not in ('name', 'site', 'terms', *_TIMES)}
    for name, column in _TIMES.items():
        if name in body:
            given[column] = (None if body[name] is None
                             else _moment(body, name))
    if 'terms' in body:
        given['terms'] = terms = {}
        for place, term in enumerate(body['terms']):
            if term['meter'] in terms:
                parameters.refuse(
                    f'terms.{place}.meter', 'it is there twice',
                    'give each meter once')
            terms[term['meter']] = term['sign']
    # None is what a meter without terms has.
    if given.get('terms') == {}:
        given['terms'] = None
    return given


def batch(body: Mapping[str, Any], now: datetime.datetime,
          ) -> list[batches.Given]:
    """The readings that a body brings.

    :raises errors.InvalidRequest: names the one that is wrong.
    """
    # What is still to come nobody has read; clocks differ a little.
    latest_ns = units.wall_ns(now + datetime.timedelta(minutes=5))
    found = []
    for place, one in enumerate(body['readings']):
        where = f'readings.{place}.'
        at_ns = _moment(one, 'at', where)
        if at_ns > latest_ns:
            parameters.refuse(f'{where}at', f'{one["at"][:64]!r} is in the '
                              'future', 'give a time that has passed')
        found.append(batches.Given(
            at_ns, one['value'], one.get('quality', quantities.MEASURED),
            _moment(one, 'start', where) if 'start' in one else None))
    return found


def event(body: Mapping[str, Any]) -> meter_events.KeptEvent:
    """What a body says has happened to a counter."""
    return meter_events.KeptEvent(
        0, _moment(body, 'at'), body['kind'], body.get('end_value'),
        body.get('start_value'), body.get('note'), 0, None)


def as_of(given: Mapping[str, str], now: datetime.datetime) -> int:
    """As of when is asked: now, unless it is said."""
    moment = parameters.time(given, 'as_of') or now
    if moment > now:
        parameters.refuse('as_of', f'{given["as_of"][:64]!r} is in the '
                          'future', 'give a time that has passed')
    return units.wall_ns(moment)


def questions_since(given: Mapping[str, str], now: datetime.datetime) -> int:
    """From when on a meter is asked for questions."""
    return units.wall_ns(parameters.time(given, 'start')
                         or now - QUESTIONS)


def _moment(given: Mapping[str, str], name: str, where: str = '') -> int:
    # Under its whole name, so that an error tells which one it is.
    moment = parameters.time({where + name: given[name]}, where + name)
    return units.wall_ns(moment or units.EPOCH)
