# SPDX-License-Identifier: Apache-2.0
"""Google Cloud's "Carbon Footprint export data schema", as a check of rows.

Written from its published table; knows nothing of who writes files.
"""

from __future__ import annotations

import decimal
import re
from collections.abc import Iterator, Mapping, Sequence

STRING, INTEGER, FLOAT, DATE = 'String', 'Integer', 'Float', 'Date'
# name: (type, may be null).  What is deprecated there comes last.
SCHEMA = {
    'usage_month': (DATE, False), 'billing_account_id': (STRING, False),
    'project.id': (STRING, True), 'project.number': (STRING, False),
    'service.description': (STRING, False), 'service.id': (STRING, False),
    'location.location': (STRING, False), 'location.region': (STRING, True),
    'carbon_model_version': (INTEGER, False),
    'carbon_footprint_total_kgCO2e.market_based': (FLOAT, True),
    'carbon_footprint_total_kgCO2e.location_based': (FLOAT, True),
    'carbon_footprint_kgCO2e.scope1': (FLOAT, True),
    'carbon_footprint_kgCO2e.scope2.location_based': (FLOAT, True),
    'carbon_footprint_kgCO2e.scope2.market_based': (FLOAT, True),
    'carbon_footprint_kgCO2e.scope3': (FLOAT, True),
    'carbon_footprint_total_kgCO2e.after_offsets': (FLOAT, True)}
_PATTERNS = {STRING: '.*', INTEGER: '[0-9]+', FLOAT: r'-?[0-9]+(\.[0-9]+)?',
             DATE: '20[0-9]{2}-(0[1-9]|1[0-2])-01'}


def header_faults(names: Sequence[str]) -> Iterator[str]:
    theirs, ours = names[:len(SCHEMA)], names[len(SCHEMA):]
    if [*theirs] != [*SCHEMA]:
        yield f'{theirs} are not the columns of the schema'
    for name in ours:
        if not re.fullmatch('x_[a-z0-9_]+', name):
            yield f'{name}: not of the schema, and not called x_'
    if len({*names}) < len(names):
        yield 'a column is there twice'


def faults(row: Mapping[str, str | None]) -> Iterator[str]:
    """Of a row of texts; None: null."""
    for name, (kind, null) in SCHEMA.items():
        value = row[name]
        if value is None:
            if not null:
                yield f'{name}: null'
        elif not re.fullmatch(_PATTERNS[kind], value):
            yield f'{name}: {value!r} is no {kind}'
    if row['carbon_footprint_total_kgCO2e.after_offsets'] is not None:
        yield 'after_offsets: has a value'
    # Total = scope 1 + scope 2 + scope 3, where those are known.
    for method in ('market_based', 'location_based'):
        parts = [row[f'carbon_footprint_kgCO2e.{part}'] for part in (
            'scope1', f'scope2.{method}', 'scope3')]
        total = row[f'carbon_footprint_total_kgCO2e.{method}']
        if None not in parts and (total is None or decimal.Decimal(
                total) != sum(decimal.Decimal(one or 0) for one in parts)):
            yield f'{method}: {total} is not the sum of {parts}'


def key(row: Mapping[str, str | None]) -> tuple[str | None, ...]:
    """One row for each of them."""
    return tuple(row[name] for name in (
        'usage_month', 'billing_account_id', 'project.id', 'service.id',
        'location.location', 'location.region'))
