# SPDX-License-Identifier: Apache-2.0
"""A year of a German data centre, for tests: readings, factors, contracts.

Plausible and the same every time.  What was written is kept as plain
numbers, so that a test can work out its own sums of it.  No assertion
belongs here.
"""

from __future__ import annotations

import datetime
import decimal
import zoneinfo
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import sqlalchemy as sa

from energy_accounting import units
from energy_accounting.facility import (
    batches,
    contract_store,
    contracts,
    factor_store,
    factors,
    meters,
)
from energy_accounting.ledger import audit, engine, models, sites

NAME = 'frankfurt'
BERLIN = zoneinfo.ZoneInfo('Europe/Berlin')
START = datetime.datetime(2025, 1, 1, tzinfo=BERLIN)
END = datetime.datetime(2026, 1, 1, tzinfo=BERLIN)
START_NS, END_NS = units.wall_ns(START), units.wall_ns(END)
HOUR_NS = 3600 * units.NS_PER_S
HOURS = 8760
NOW = datetime.datetime(2026, 1, 20, 9, tzinfo=units.UTC)
NOW_NS = units.wall_ns(NOW)
OPERATOR = audit.Actor('an operator')
BY = audit.By(OPERATOR, NOW_NS)

RESIDUAL_G = 700
DIESEL_G = 266
SHARE = Fraction(6, 10)


def wave(hour: int, low: int, high: int, period: int = 24) -> int:
    """A triangle between two numbers, its lowest at the first hour."""
    half = period // 2
    place = abs((hour % period) - half)
    return high - (high - low) * place // half


# Watt hours of each hour, so that all sums are whole numbers.
UPS_A = [wave(hour, 180_000, 220_000) for hour in range(HOURS)]
UPS_B = [wave(hour + 6, 95_000, 115_000) for hour in range(HOURS)]
_COOLING = [30_000 + wave(hour, 0, 40_000, 8760) for hour in range(HOURS)]
PV = [max(0, wave(hour, -40_000, 60_000)) for hour in range(HOURS)]
GRID = [
    ups_a + ups_b + (ups_a + ups_b) // 20 + cooling + 8_000 - pv
    for ups_a, ups_b, cooling, pv in zip(UPS_A, UPS_B, _COOLING, PV,
                                         strict=True)]
CARBON_G = [wave(hour + 12, 280, 420) for hour in range(HOURS)]

# Of each month.
HEAT_KWH = [245_000, 228_000, 262_000, 268_000, 291_000, 303_000, 321_000,
            318_000, 287_000, 271_000, 248_000, 251_000]
REUSED_KWH = [42_000, 38_000, 31_000, 22_000, 9_000, 0, 0, 0, 6_000, 19_000,
              33_000, 41_000]
DIESEL_L = [120, 0, 0, 95, 0, 0, 130, 0, 0, 110, 0, 0]
WATER_M3 = [110, 105, 140, 190, 260, 340, 395, 380, 270, 180, 130, 115]
POTABLE_M3 = [60, 55, 70, 95, 130, 170, 195, 190, 135, 90, 65, 60]
COOLING_KWH = [23_900, 26_200, 34_800, 39_100, 45_300, 48_700, 51_200, 48_900,
               43_000, 38_700, 31_000, 25_600]
PDU_KWH = [61_000, 55_500, 61_400, 59_800, 61_900, 60_200, 62_500, 62_100,
           60_000, 61_700, 59_900, 61_500]
HALL_KWH = [70_100, 63_800, 71_000, 69_900, 73_300, 72_400, 75_600, 74_900,
            71_200, 71_800, 69_100, 70_700]


def months() -> list[int]:
    """The edges of the months, in nanoseconds."""
    return [units.wall_ns(datetime.datetime(
        2025 + month // 12, month % 12 + 1, 1, tzinfo=BERLIN))
        for month in range(13)]


class Year:
    """Writes the year to a database."""

    def __init__(self, database: engine.Database) -> None:
        self.database = database

    def write(self) -> None:
        with self.database.writer() as connection:
            sites.create(connection, BY, NAME, {
                'time_zone': 'Europe/Berlin', 'grid_zone': 'DE'})
        self.hourly('grid', 'dc_total', GRID, accuracy_class='0.5S')
        self.hourly('ups-a', 'it_ups_out', UPS_A, accuracy_class='1')
        self.hourly('ups-b', 'it_ups_out', UPS_B, 24, accuracy_class='1')
        self.hourly('roof', 'pv_onsite', PV, 24)
        self.monthly('chillers', 'cooling_el', COOLING_KWH)
        self.monthly('heat', 'heat_removed', HEAT_KWH, medium='heat')
        self.monthly('district', 'heat_reused', REUSED_KWH, medium='heat')
        self.monthly('diesel', 'dc_generator', DIESEL_L, medium='diesel',
                     unit='l')
        self.monthly('mains', 'water_in', WATER_M3, medium='water',
                     unit='m3')
        self.monthly('potable', 'water_potable', POTABLE_M3, medium='water',
                     unit='m3')
        self.monthly('hall-1', 'dc_total', HALL_KWH, section='hall 1',
                     parent='grid')
        self.monthly('pdu-1', 'it_pdu_out', PDU_KWH, section='hall 1')
        self.emissions()
        self.contract()
        self.hosts()

    def meter(self, name: str, role: str, **given: Any) -> None:
        with self.database.writer() as connection:
            meters.create(connection, BY, name, NAME, {
                'medium': 'electricity', 'role': role, 'kind': 'cumulative',
                'unit': 'kWh', **given})

    def read(self, name: str, batch: Sequence[batches.Given],
             **more: Any) -> None:
        with self.database.writer() as connection:
            batches.add(connection, BY, name, batch, 'api', **more)

    def hourly(self, name: str, role: str, watt_hours: Sequence[int],
               step: int = 1, **given: Any) -> None:
        """A meter that says of each time of so many hours what it was."""
        self.meter(name, role, kind='interval', unit='Wh', **given)
        self.read(name, [
            batches.Given(START_NS + (hour + step) * HOUR_NS,
                           str(sum(watt_hours[hour:hour + step])),
                           start_ns=START_NS + hour * HOUR_NS)
            for hour in range(0, HOURS, step)])

    def monthly(self, name: str, role: str, amounts: Sequence[int],
                first: int = 1000, **given: Any) -> None:
        """A counter that is read on the first of each month."""
        self.meter(name, role, **given)
        counter, batch = first, []
        for at_ns, amount in zip(months(), [*amounts, 0], strict=True):
            batch.append(batches.Given(at_ns, str(counter)))
            counter += amount
        self.read(name, batch)

    def emissions(self) -> None:
        common: dict[str, Any] = {
            'kind': factors.CARBON, 'basis': factors.LIFECYCLE,
            'signal': factors.AVERAGE, 'zone': 'DE',
            'quality': factors.ACTUAL, 'provider': 'operator',
            'retrieved_ns': NOW_NS}
        batch = [factors.Factor(
            carrier='electricity', method=factors.LOCATION,
            start_ns=START_NS + hour * HOUR_NS,
            end_ns=START_NS + (hour + 1) * HOUR_NS,
            value=decimal.Decimal(grams), source='the example', **common)
            for hour, grams in enumerate(CARBON_G)]
        batch += [factors.Factor(
            carrier=carrier, method=method, start_ns=START_NS,
            end_ns=END_NS, value=decimal.Decimal(grams), source=source,
            **common) for carrier, method, grams, source in (
                ('diesel', factors.LOCATION, DIESEL_G, 'a table of fuels'),
                ('electricity', factors.MARKET, RESIDUAL_G,
                 'a residual mix'))]
        with self.database.writer() as connection:
            factor_store.record(connection, batch, NOW_NS, OPERATOR)

    def contract(self, **changes: Any) -> None:
        given: dict[str, Any] = {
            'instrument': 'go', 'start_ns': START_NS, 'end_ns': END_NS,
            'share': decimal.Decimal('0.6'),
            'kg_per_kwh': decimal.Decimal(0), 'basis': factors.LIFECYCLE,
            'renewable': True, 'retired': True,
            'evidence': 'register, no. 17', **changes}
        with self.database.writer() as connection:
            contract_store.record(connection, contracts.Contract(
                site=NAME, **given), NOW_NS, OPERATOR)

    def hosts(self) -> None:
        """A large host that is a quarter busy and a small one at half.

        Both came on the first of December.
        """
        came_ns = months()[11]
        ids = {}
        with self.database.writer() as connection:
            site_id = connection.execute(
                sa.select(models.sites.c.id)
                .where(models.sites.c.name == NAME)).scalar_one()
            for name, cpus, busy in (('large', 64, Fraction(1, 4)),
                                     ('small', 8, Fraction(1, 2))):
                made = connection.execute(sa.insert(models.hosts).values(
                    name=f'{NAME}-{name}', site_id=site_id,
                    state=models.ENROLLED, boundary=models.RAPL,
                    enrolled_at_ns=came_ns, policy='two-part/1'))
                (ids[name],) = made.inserted_primary_key or (0,)
                capacity_ns = cpus * units.BUCKET_NS
                connection.execute(sa.insert(models.host_buckets), [{
                    'host_id': ids[name], 'bucket': bucket,
                    'measured_ns': units.BUCKET_NS, 'backfilled_ns': 0,
                    'busy_ns': int(capacity_ns * busy),
                    'capacity_ns': capacity_ns, 'idle_uj': 0,
                    'policy': 'two-part/1'}
                    for bucket in range(units.bucket_of(came_ns),
                                        units.bucket_of(END_NS))])
