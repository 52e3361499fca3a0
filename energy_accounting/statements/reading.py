# SPDX-License-Identifier: Apache-2.0
"""The lines of a project's period, from the ledger.

The sums, the supplies and what becomes of them are asked of the same
functions as ``GET /v1/usage`` asks, so many days at a time that memory stays
flat.  Nothing is stored here.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence

import sqlalchemy as sa

from energy_accounting import errors, tariffs, units
from energy_accounting.facility import supply
from energy_accounting.ledger import by_site, queries, usage
from energy_accounting.report import facility, shares
from energy_accounting.report import usage as report
from energy_accounting.statements import lines, periods, supplied

_GROUPS = ('instance', 'account', 'flavor', 'site', 'region')
_ROWS = 4000
"""About how many lines are asked for at once."""
_EVERY = 10 ** 9


@dataclasses.dataclass(slots=True)
class Priced:
    """A line, and what it costs exactly; None: nothing is charged."""

    line: lines.Line
    cost: tariffs.Cost | None


class Reading:
    """A project's period in a transaction that sees one state of all.

    :param prices: what the project pays.
    :ivar sites: those in which there is energy, once the lines were read.
    """

    def __init__(self, connection: sa.Connection, project_id: str,
                 period: periods.Period, found: supplied.Supplied,
                 prices: tariffs.Prices) -> None:
        self._connection = connection
        self._project_id = project_id
        self._period = period
        self._supplied = found
        self._prices = prices
        self.sites: dict[int, supplied.OfSite] = {}

    def whole(self) -> lines.Whole:
        """All of it in one row."""
        query = self._query(self._period.start, self._period.end, 'total',
                            ('project',))
        rows = usage.read(self._connection, query)
        if not rows:
            return lines.Whole()
        (row,) = rows
        return lines.Whole(
            row.it_uj, row.peak_uj,
            report.coverage(row.vcpu_ns, row.missing_ms2),
            shares.one_of(row.boundaries),
            None if row.policies is None
            else shares.one_of(row.policies))

    def lines(self) -> Iterator[Priced]:
        """Every line, in the order of their keys.

        :raises errors.InvalidRequest: rows that it takes were dropped.
        """
        days = self._period.days()
        count = self._count()
        step = max(1, _ROWS // max(count, 1))
        for first in range(0, len(days) if count else 0, step):
            some = days[first:first + step]
            yield from self._of_days(some[0][0], some[-1][1], dict(some))

    def _count(self) -> int:
        """How many accounts there are in all of it."""
        return usage.count(self._connection, self._query(
            self._period.start, self._period.end, 'total', _GROUPS))

    def _of_days(self, start: int, end: int,
                 days: Mapping[int, int]) -> Iterator[Priced]:
        query = self._query(start, end, 'day', _GROUPS)
        rows = usage.read(self._connection, query)
        made = self._made(query, rows)
        for row in rows:
            total, cost = made.get(row.row, (facility.UNKNOWN, None))
            yield Priced(_line(self._period, days, row, total), cost)

    def _made(self, query: queries.UsageQuery,
              rows: Sequence[queries.LedgerSum],
              ) -> dict[tuple[int, ...],
                        tuple[facility.Total, tariffs.Cost | None]]:
        """What the sites made of each row, bucket by bucket."""
        found: dict[tuple[int, ...],
                    tuple[facility.Total, tariffs.Cost | None]] = {}
        charged = bool(self._prices)
        if not (charged or self._supplied.anything(self._connection)):
            return found
        start = self._period.start
        for row, site_id, bucket, it_uj in by_site.read(
                self._connection, query, rows):
            site = self._site(site_id)
            here = site.supplies[bucket - start]
            total, cost = found.get(row, (None, None))
            if total is None:
                total = facility.Total()
                found[row] = total, cost
            total.add(it_uj, here)
            price = (self._prices.at(site.name)[bucket - start]
                     if charged else None)
            if price is not None:
                if cost is None:
                    cost = tariffs.Cost()
                    found[row] = total, cost
                _add(cost, price, self._prices.known[price.of], it_uj, here)
        return found

    def _site(self, site_id: int) -> supplied.OfSite:
        site = self.sites.get(site_id)
        if site is None:
            site = self.sites[site_id] = self._supplied.at(
                self._connection, site_id)
        return site

    def _query(self, start: int, end: int, resolution: str,
               groups: tuple[str, ...]) -> queries.UsageQuery:
        return queries.UsageQuery(
            start, end, resolution, self._period.where, groups,
            {'project': self._project_id}, self._supplied.as_of_ns, _EVERY)


def _add(cost: tariffs.Cost, price: tariffs.Price, tariff: tariffs.Tariff,
         it_uj: int, here: supply.Supply) -> None:
    facility_uj = facility.product(it_uj, here.pue)
    cost.add(price, tariff, it_uj, facility_uj, facility.product(
        facility_uj, here.location if tariff.co2_method == tariffs.LOCATION
        else here.market))


def _line(period: periods.Period, days: Mapping[int, int],
          row: queries.LedgerSum, total: facility.Total) -> lines.Line:
    instance_id, account, flavor, site, region = row.keys
    edge = units.period_start(units.bucket_start(row.first), 'day',
                              period.where)
    start = units.bucket_of(units.wall_ns(edge))
    columns = {**facility.columns(total), **facility.later_columns(total)}
    return lines.Line(
        day=period.day_of(start), start=start, end=days[start],
        instance_id=instance_id or None, account=account,
        flavor=flavor or None, site=site, region=region or None,
        active_uj=row.active_uj, idle_uj=row.idle_uj,
        memory_uj=row.memory_uj, host_uj=row.host_uj,
        platform_uj=row.platform_uj, it_uj=row.it_uj,
        backfilled_uj=row.backfilled_uj, facility_uj=total.facility_uj,
        co2_location_ng=total.location_ng, co2_market_ng=total.market_ng,
        water_ul=total.water_ul, renewable_uj=total.renewable_uj,
        peak_uj=row.peak_uj,
        coverage=report.coverage(row.vcpu_ns, row.missing_ms2),
        boundary=shares.one_of(row.boundaries),
        policy=None if row.policies is None
        else shares.one_of(row.policies),
        **{name: columns[name] for name in lines.WORDS
           if name in columns})


def projects(connection: sa.Connection, period: periods.Period,
             as_of_ns: int) -> list[str]:
    """Whoever has a row in the ledger; '': what belongs to no project."""
    query = queries.UsageQuery(
        period.start, period.end, 'total', period.where, ('project',), {},
        as_of_ns, _EVERY)
    return sorted(row.keys[0] for row in usage.read(connection, query))


def check(whole: lines.Whole, added: lines.Sum) -> None:
    """The lines are all there is, to the microjoule.

    :raises errors.Conflict: the ledger's sums disagree.
    """
    if whole.it_uj != added.values['it_uj']:
        raise errors.Conflict(
            f'the rows by instance have {added.values["it_uj"]} uJ and the '
            f'sums by project {whole.it_uj} uJ: nothing is closed; look at '
            'the balance of this period (openstack energy balance show)')

