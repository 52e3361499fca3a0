# SPDX-License-Identifier: Apache-2.0
"""Statements as they are kept, without a ledger, for tests of documents.

No assertion belongs here.
"""

from __future__ import annotations

import dataclasses
import decimal
import uuid
from collections.abc import Sequence
from typing import Any

from energy_accounting import tariffs, units
from energy_accounting.ledger import statements as store
from energy_accounting.statements import content, lines, periods
from tests.unit.statements import made

FACTORS = [
    {'site': 'berlin', 'kind': 'pue', 'pue_kind': 'interval',
     'lowest': '1.180000000', 'highest': '1.310000000'},
    {'site': 'berlin', 'kind': 'carbon', 'method': 'location',
     'carrier': 'electricity', 'basis': 'lifecycle', 'signal': 'average',
     'unit': 'g/kWh', 'quality': 'actual', 'provider': 'energy-charts',
     'source': 'https://api.energy-charts.info/co2eq?country=de',
     'revision': '3', 'zone': 'DE', 'start': '2026-09-30T22:00:00Z',
     'end': '2026-10-31T23:00:00Z', 'values': '2980', 'lowest': '98.2',
     'highest': '541.7', 'digest': '0' * 64}]
TARIFF = tariffs.Tariff(
    'Strom 2026', 0, None, 'EUR', tariffs.FACILITY,
    decimal.Decimal('0.2875'), 'Rahmenvertrag 2026/17, § 4',
    decimal.Decimal('0.055'), tariffs.LOCATION, made.BERLIN,
    (tariffs.Window(('sat', 'sun'), 0, 96, decimal.Decimal('0.2475')),))


def line(day: int, instance: str, it_uj: int, period: periods.Period,
         **more: Any) -> lines.Line:
    """A line of a server: four tenths in use, the rest allocated."""
    start, end = period.days()[day]
    rest = it_uj - it_uj * 4 // 10
    values: dict[str, Any] = {
        'day': period.day_of(start), 'start': start, 'end': end,
        'instance_id': instance, 'account': 'instance',
        'flavor': 'm1.large', 'site': 'berlin', 'region': 'de',
        'active_uj': it_uj * 4 // 10, 'idle_uj': rest // 2,
        'memory_uj': rest // 4, 'host_uj': rest - rest // 2 - rest // 4,
        'platform_uj': None, 'it_uj': it_uj, 'backfilled_uj': it_uj // 200,
        'facility_uj': it_uj * 5 // 4, 'co2_location_ng': it_uj // 8,
        'co2_market_ng': 0, 'water_ul': it_uj // 10 ** 7,
        'renewable_uj': it_uj, 'peak_uj': it_uj // 50,
        'coverage': '0.9987', 'pue_kind': 'interval',
        'factor_quality': 'actual', 'factor_basis': 'lifecycle',
        'market_factor_quality': 'actual',
        'market_factor_basis': 'lifecycle', 'boundary': 'rapl',
        'policy': 'two-part/1', **more}
    return lines.Line(**values)


def statement(found: Sequence[lines.Line], *,
              period: periods.Period = made.OCTOBER, money: bool = False,
              boundary: str | None = 'rapl', revision: int = 1,
              project_name: str | None = None,
              factors: list[dict[str, Any]] | None = None,
              ) -> tuple[store.Stored, list[lines.Line]]:
    """A statement of some lines, and the lines with what they cost."""
    added = lines.Sum()
    for one in found:
        added.add(one)
    charged, kept = None, list(found)
    if money:
        exact = [(one.facility_uj or 0) * 287_500_000_000 * 5
                 for one in found]
        total, amounts = tariffs.rounded(exact, 2)
        kept = [_charged(one, amount) for one, amount
                in zip(found, amounts, strict=True)]
        charged = content.Charged(
            'EUR', tariffs.amount_text(total, 2), [TARIFF], period)
    whole = lines.Whole(
        added.values['it_uj'] or 0, 9 * 10 ** 11 if found else None,
        '0.9987' if found else None, boundary if found else None,
        'two-part/1' if found else None)
    head = content.head(
        'f3a9', period, whole, added, len({one.instance_id for one in found}),
        FACTORS if factors is None else factors, charged)
    return store.Stored(
        id=1, statement=str(uuid.UUID(int=7)), revision=revision,
        project_id='f3a91c2be0d94f27b8f0a7d5c1e6f3a9', period=period.name,
        time_zone=period.time_zone, start_ns=period.start_ns,
        end_ns=period.end_ns, digest=content.digest(head, []),
        lines=len(found), head=head, project_name=project_name,
        domain_id='default', complete_until_ns=period.end_ns,
        as_of_ns=made.NOW_NS, created_ns=made.NOW_NS, actor='ann'), kept


def _charged(one: lines.Line, minor: int) -> lines.Line:
    return dataclasses.replace(
        one, priced_uj=one.facility_uj, priced_quantity='facility',
        price_per_kwh='0.2875', cost=tariffs.amount_text(minor, 2))


def server(number: int) -> str:
    return str(uuid.UUID(int=number * 0x9e3779b97f4a7c15 + (4 << 76)))


def many(servers: int, period: periods.Period = made.OCTOBER,
         ) -> list[lines.Line]:
    """A line for each server and day, some more than others."""
    return [line(day, server(number), units.UJ_PER_KWH // 100 * (
        (number * 7919 + day * 104729) % 977), period)
        for day in range(len(period.days()))
        for number in range(servers)]
