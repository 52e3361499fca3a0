# SPDX-License-Identifier: Apache-2.0
"""Factors for tests, with all that a test does not care about."""

from __future__ import annotations

import datetime
import decimal
from typing import Any

from energy_accounting import units
from energy_accounting.facility import contracts, factors

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


def contract(start: int = 0, end: int = 1, share: str = '0.5',
             kg_per_kwh: str = '0', **more: Any) -> contracts.Contract:
    """A contract of the default site; start and end in hours."""
    return contracts.Contract(**{
        'site': 'default', 'instrument': 'ppa',
        'start_ns': START_NS + start * HOUR_NS,
        'end_ns': START_NS + end * HOUR_NS,
        'share': decimal.Decimal(share),
        'kg_per_kwh': decimal.Decimal(kg_per_kwh),
        'basis': factors.LIFECYCLE, 'renewable': False, 'retired': False,
        'evidence': 'a test', **more})
