# SPDX-License-Identifier: Apache-2.0
"""Factors for tests, with all that a test does not care about."""

from __future__ import annotations

import datetime
import decimal
from typing import Any

from energy_accounting import units
from energy_accounting.facility import factors

HOUR_NS = 3600 * units.NS_PER_S
QUARTER_NS = 900 * units.NS_PER_S


def at(text: str) -> int:
    """A moment, in nanoseconds."""
    return units.wall_ns(datetime.datetime.fromisoformat(text))


START_NS = at('2026-11-01T00:00:00Z')


def factor(start: int = 0, end: int = 1, value: str = '300',
           **more: Any) -> factors.Factor:
    """A carbon intensity of DE; start and end in hours."""
    given: dict[str, Any] = {
        'kind': factors.CARBON, 'carrier': factors.ELECTRICITY,
        'start_ns': START_NS + start * HOUR_NS,
        'end_ns': START_NS + end * HOUR_NS,
        'value': decimal.Decimal(value), 'quality': factors.ACTUAL,
        'provider': 'operator', 'source': 'a test',
        'retrieved_ns': START_NS, 'basis': factors.LIFECYCLE,
        'method': factors.LOCATION, 'signal': factors.AVERAGE, **more}
    if 'site' not in given:
        given.setdefault('zone', 'DE')
    return factors.Factor(**given)


def pue(start: int = 0, end: int = 1, value: str = '1.3',
        **more: Any) -> factors.Factor:
    return factor(start, end, value, **{
        'kind': factors.PUE, 'site': 'default', 'unit': '1', 'basis': None,
        'method': None, 'signal': None, **more})
