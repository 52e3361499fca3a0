# SPDX-License-Identifier: Apache-2.0
"""A site's year: what its meters saw is what tenants and operator have."""

from __future__ import annotations

import datetime
import decimal
import fractions
import json
import math
import unittest
import zoneinfo
from collections.abc import Callable, Iterator
from typing import Any

import sqlalchemy as sa

from energy_accounting import units
from energy_accounting.facility import (
    batches,
    editions,
    equipment,
    factor_store,
    factors,
    figures,
    inputs,
    meters,
    site_inputs,
    supplies,
)
from energy_accounting.ledger import (
    audit,
    by_site,
    engine,
    models,
    queries,
    sites,
    usage,
)
from energy_accounting.report import facility
from energy_accounting.report import sites as report
from tests.functional import base
from tests.unit.facility import year as german

BERLIN = zoneinfo.ZoneInfo('Europe/Berlin')
HOUR_NS = 4 * units.BUCKET_NS
WH = units.UJ_PER_KWH // 1000


def bucket(year: int, month: int) -> int:
    return units.bucket_of(units.wall_ns(
        datetime.datetime(year, month, 1, tzinfo=BERLIN)))


YEAR = range(bucket(2025, 1), bucket(2026, 1))
HOURS = range(YEAR.start // 4, YEAR.stop // 4)
MONTHS = [range(bucket(2025, month), bucket(2025 + month // 12,
                                            month % 12 + 1))
          for month in range(1, 13)]
NOW_NS = YEAR.stop * units.BUCKET_NS
BY = audit.By(audit.Actor('an operator'), NOW_NS)
TENANTS = 3


# --- a plausible year, hour by hour -----------------------------------------

def it_wh(hour: int) -> int:
    """100 kW, more by day."""
    return 100_000 + round(15_000 * math.sin(hour % 24 / 24 * 6.283))


def grid_wh(hour: int) -> int:
    """A PUE of 1.2 in winter and 1.45 in summer, less what the sun gives."""
    season = 1325 - round(125 * math.cos(hour / 8766 * 6.283))
    return it_wh(hour) * season // 1000 - sun_wh(hour)


def sun_wh(hour: int) -> int:
    return max(0, round(20_000 * math.sin((hour % 24 - 6) / 12 * 3.1416)))


def grams(hour: int) -> int:
    return 380 + round(120 * math.cos(hour % 24 / 24 * 6.283)) + hour % 7


def diesel_l(month: int) -> int:
    """The test runs of the generator, read once a month."""
    return 40 + month


def fill(database: engine.Database) -> None:
    """The site, its meters, factors and projects."""
    with database.writer() as connection:
        sites.change(connection, BY, 'default', {
            'time_zone': 'Europe/Berlin', 'grid_zone': 'DE'})
        counter(connection, 'dc_total', grid_wh)
        counter(connection, 'pv_onsite', sun_wh)
        counter(connection, 'it_ups_out', it_wh)
        meter(connection, 'dc_generator', 'interval', 'l', [
            batches.Given(month.stop * units.BUCKET_NS,
                           str(diesel_l(number)),
                           start_ns=month.start * units.BUCKET_NS)
            for number, month in enumerate(MONTHS)], 'diesel')
        factor_store.record(connection, [
            *(factor(hour * HOUR_NS, (hour + 1) * HOUR_NS, grams(hour))
              for hour in HOURS),
            factor(YEAR.start * units.BUCKET_NS,
                   YEAR.stop * units.BUCKET_NS, 266, carrier='diesel')],
            NOW_NS, BY.actor)
        book(connection)


def counter(connection: sa.Connection, role: str,
            wh: Callable[[int], int]) -> None:
    """A counter that is read every hour."""
    total, read = 0, [batches.Given(HOURS.start * HOUR_NS, '0')]
    for hour in HOURS:
        total += wh(hour)
        read.append(batches.Given(
            (hour + 1) * HOUR_NS, f'{total // 1000}.{total % 1000:03}'))
    meter(connection, role, 'cumulative', 'kWh', read)


def meter(connection: sa.Connection, role: str, kind: str, unit: str,
          batch: list[batches.Given], medium: str = 'electricity') -> None:
    meters.create(connection, BY, role, 'default', {
        'medium': medium, 'role': role, 'unit': unit, 'kind': kind})
    batches.add(connection, BY, role, batch, 'api')


def factor(start_ns: int, end_ns: int, g_per_kwh: int,
           carrier: str = 'electricity') -> factors.Factor:
    return factors.Factor(
        kind=factors.CARBON, carrier=carrier, start_ns=start_ns,
        end_ns=end_ns, value=decimal.Decimal(g_per_kwh), quality='actual',
        provider='operator', source='a test', retrieved_ns=NOW_NS,
        zone='DE', basis='lifecycle', method='location', signal='average')


def book(connection: sa.Connection, tenants: int = TENANTS,
         rest: range = YEAR) -> None:
    """Tenants with less than half of the IT energy, and the rest."""
    connection.execute(sa.insert(models.projects), [
        {'id': number, 'project_id': f'p{number}'}
        for number in range(2, tenants + 2)])
    zero = {name: None if name in models.NULLABLE_MEASURES else 0
            for name in models.MEASURES}
    for number in range(1, tenants + 2):
        connection.execute(sa.insert(models.project_buckets), [
            {**zero, 'project_ref': number, 'bucket': at,
             'site_id': models.DEFAULT_SITE, 'boundary': models.RAPL,
             'active_uj': it_wh(at // 4) * WH // 4 * number // 20 + at % 13}
            for at in (rest if number == models.NO_PROJECT else YEAR)])


class YearCase(unittest.TestCase):
    __test__ = False
    new_database: Callable[[], engine.Database]

    def setUp(self) -> None:
        super().setUp()
        self.database = self.new_database()

    def query(self, **filters: str) -> queries.UsageQuery:
        return queries.UsageQuery(
            YEAR.start, YEAR.stop, 'total', BERLIN, ('project',), filters,
            NOW_NS, limit=100)


@base.on(base.SQLITE)
class TestYear(YearCase):
    """Sums of integers: what is read is alike on every database."""

    def test_a_years_meter_is_not_what_tenants_and_operator_have(
            self) -> None:
        fill(self.database)
        with self.database.reader() as connection:
            rows = usage.read(connection, self.query())
            known = supplies.read(connection, YEAR.start, YEAR.stop, NOW_NS)
            (site,) = supplies.sites(connection, NOW_NS)
            metered = supplies.metered_of(connection, site, YEAR, NOW_NS)
            energies = list(by_site.read(connection, self.query(), rows))
        assert metered is not None
        totals = facility.totals(energies, known, YEAR.start)
        sheet = report.sheet('default', report.add_up(
            energies, {one.row for one in rows if one.keys[0]},
            metered.facility_uj, metered.it_uj, known[site.id], YEAR.start))
        fuel_uj = sum(diesel_l(month) for month in range(12)) * 9900 * WH
        site_uj = sum(grid_wh(hour) + sun_wh(hour)
                      for hour in HOURS) * WH + fuel_uj
        tenants = [totals[one.row] for one in rows if one.keys[0]]
        self.assertEqual(TENANTS, len(tenants))
        self.assertEqual('1.0000', sheet['coverage'])
        self.assertEqual(site_uj, int(sheet['facility_uj']))
        self.assertEqual(site_uj, int(sheet['operator_uj']) + sum(
            one.facility_uj or 0 for one in tenants))
        self.assert_co2(sheet, tenants, fuel_uj)

    def assert_co2(self, sheet: dict[str, Any],
                   tenants: list[facility.Total], fuel_uj: int) -> None:
        """By hand: each hour's kWh times its grams, and the diesel's."""
        exact_ng = fractions.Fraction(10 ** 9, 3600 * 10 ** 9) * (sum(
            grid_wh(hour) * WH * grams(hour) for hour in HOURS)
            + fuel_uj * 266)
        site_ng = int(decimal.Decimal(sheet['co2_location_kg']).scaleb(12))
        # Rounded down to a nanogram in each quarter of an hour.
        self.assertTrue(0 <= exact_ng - site_ng <= len(YEAR),
                        float(exact_ng - site_ng))
        operator_ng = int(decimal.Decimal(
            sheet['operator_co2_location_kg']).scaleb(12))
        self.assertEqual(site_ng, operator_ng + sum(
            one.location_ng or 0 for one in tenants))


@base.on(*base.EVERY)
class TestPlan(YearCase):

    def test_a_projects_year_reads_other_projects_rows(self) -> None:
        with self.database.writer() as connection:
            book(connection, tenants=1, rest=MONTHS[0])
        query = self.query(project='p2')
        seen: list[tuple[str, Any]] = []
        with self.database.reader() as connection:
            rows = usage.read(connection, query)

            def note(connection: Any, cursor: Any, statement: str,
                     parameters: Any, context: Any, many: bool) -> None:
                seen.append((statement, parameters))

            sa.event.listen(connection, 'before_cursor_execute', note)
            found = list(by_site.read(connection, query, rows))
            sa.event.remove(connection, 'before_cursor_execute', note)
            self.assertEqual(len(YEAR), len(found))
            ((statement, parameters),) = [
                one for one in seen if 'project_buckets' in one[0]]
            read = rows_read(connection, statement, parameters)
        if read is not None:
            self.assertEqual(len(YEAR), read)


@base.on(*base.EVERY)
class TestServers(YearCase):

    def test_a_servers_utilisation_is_another_on_some_database(self) -> None:
        """A large one is a quarter busy, a small one half of its time."""
        with self.database.writer() as connection:
            sites.create(connection, german.BY, german.NAME, {})
        german.Year(self.database).hosts()
        start_ns, end_ns = german.months()[11:]
        with self.database.writer() as connection:
            # The small one was not measured for a day, of which half was
            # planned; and for a bucket it was busier than it can be.
            small = connection.execute(
                sa.select(models.hosts.c.id).where(
                    models.hosts.c.name.like('%-small'))).scalar_one()
            table, first = models.host_buckets, units.bucket_of(start_ns)
            connection.execute(sa.delete(table).where(
                table.c.host_id == small, table.c.bucket < first + 96))
            connection.execute(sa.insert(models.downtimes).values(
                host_id=small, start_ns=start_ns,
                end_ns=start_ns + 48 * units.BUCKET_NS, reason='a test'))
            connection.execute(sa.update(table).where(
                table.c.host_id == small, table.c.bucket == first + 96,
            ).values(busy_ns=table.c.capacity_ns + 5))
        period = inputs.Period(units.moment(start_ns), units.moment(end_ns))
        with self.database.reader() as connection:
            known = site_inputs.read(
                connection, sites.found(connection, german.NAME), period,
                german.NOW_NS)
        figure = equipment.iteusv(figures.Scope(
            german.NAME, period, BERLIN, editions.chosen('iso'), 'a test'),
            known.servers)
        all_of = 31 * 96
        self.assertEqual(
            (fractions.Fraction(100, 1) * (
                fractions.Fraction(all_of, 4)
                + fractions.Fraction(all_of - 96 - 1, 2) + 1)
                / (2 * all_of - 96),
             fractions.Fraction(2 * all_of - 96, 2 * all_of - 48)),
            (figure.exact, figure.coverage))


def rows_read(connection: sa.Connection, statement: str,
              parameters: Any) -> int | None:
    """How many rows of the projects' sums a statement has looked at.

    None where a plan does not count: then it must go down the key.
    """
    dialect = connection.dialect.name
    if dialect == 'sqlite':
        plan = [row[-1] for row in connection.exec_driver_sql(
            f'EXPLAIN QUERY PLAN {statement}', parameters)]
        (step,) = [one for one in plan if 'project_buckets' in one]
        assert 'SEARCH' in step, plan
        assert '(project_ref=? AND bucket>? AND bucket<?)' in step, plan
        return None
    prefix = ('EXPLAIN (ANALYZE, FORMAT JSON)' if dialect == 'postgresql'
              else 'ANALYZE FORMAT=JSON')
    found = connection.exec_driver_sql(f'{prefix} {statement}',
                                       parameters).scalar_one()
    plan = json.loads(found) if isinstance(found, str) else found
    (step,) = [one for one in _steps(plan)
               if 'project_buckets' in (one.get('table_name'),
                                        one.get('Relation Name'))]
    if dialect == 'postgresql':
        return int((step['Actual Rows'] + step.get(
            'Rows Removed by Filter', 0)) * step['Actual Loops'])
    return round(step['r_rows'] * step.get('r_loops', 1))


def _steps(plan: Any) -> Iterator[dict[str, Any]]:
    """Every step of a plan, however deep."""
    if isinstance(plan, dict):
        yield plan
        plan = list(plan.values())
    if isinstance(plan, list):
        for one in plan:
            yield from _steps(one)
