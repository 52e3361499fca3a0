# SPDX-License-Identifier: Apache-2.0
"""From the words of requests about factors and contracts to their modules'.

As ``parameters``, of what a schema cannot say.
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any

from energy_accounting import units
from energy_accounting.api import parameters
from energy_accounting.facility import (
    contracts,
    factor_revisions,
    factor_store,
    factor_words,
    factors,
)

PROVIDER = 'operator'
"""Of factors that somebody records by hand."""

_FILTERS = ('zone', 'site', 'kind', 'carrier', 'basis', 'method', 'signal',
            'quality', 'provider', 'instrument')


def filters(given: Mapping[str, str], now: datetime.datetime,
            ) -> dict[str, Any]:
    """What a list is asked for, as the stores have it."""
    as_of = parameters.time(given, 'as_of')
    if as_of is not None and as_of > now:
        parameters.refuse('as_of', f'{given["as_of"][:64]!r} is in the '
                          'future', 'give a time that has passed')
    return {**{name: given.get(name) for name in _FILTERS},
            **parameters.between(given),
            'as_of_ns': None if as_of is None else units.wall_ns(as_of),
            'all': given.get('superseded') == 'true'}


def batch(body: Mapping[str, Any], now_ns: int) -> list[factors.Factor]:
    """The factors that a body brings.

    :raises errors.InvalidRequest: names every one that is wrong.
    """
    found, problems = factor_words.from_words(body['factors'], PROVIDER,
                                              now_ns)
    for row, one in enumerate(found):
        if (text := factors.excessive(one)) is not None:
            problems.append(factor_revisions.Problem(
                row, 'value', f'{text}: give g/kWh (kg/kWh times 1000), or, '
                'if it is true, record it with energy-accounting-manage '
                'factor import'))
    problems.sort(key=lambda one: one.row)
    factor_revisions.refuse(problems, factor_store.row_of_body)
    return found


def contract(site: str, body: Mapping[str, Any]) -> contracts.Contract:
    """What a body says that a site bought.

    :raises errors.InvalidRequest: names the field that is wrong.
    """
    try:
        return contracts.Contract(
            site=site, instrument=body['instrument'],
            start_ns=factor_words.moment(body, 'start'),
            end_ns=factor_words.moment(body, 'end'),
            share=factors.decimal_of(body['share']),
            kg_per_kwh=factors.decimal_of(body['kg_per_kwh']),
            basis=body['basis'], renewable=body.get('renewable', False),
            retired=body.get('retired', False), evidence=body['evidence'])
    except factor_words.WrongField as wrong:
        what, _, remedy = str(wrong).partition(': ')
        parameters.refuse(wrong.field, what, remedy)
