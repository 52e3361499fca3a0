# SPDX-License-Identifier: Apache-2.0
"""What CloudKitty is to have of a statement: a point an instance and hour.

The energy of an hour is the ledger's, and the hours of a line add up to the
line: what came after it was closed changes how it lies in its day and not
how much it is.  Its cost is divided as its energy is.  Nothing is sent here.
"""

from __future__ import annotations

import dataclasses
import datetime
import decimal
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import sqlalchemy as sa

from energy_accounting import units
from energy_accounting.ledger import queries, retired, usage
from energy_accounting.ledger import statements as store
from energy_accounting.statements import lines, periods

METRIC = 'energy.instance'
UNIT = 'kWh'
TAGS = ('id', 'energy_flavor', 'energy_site', 'energy_region', 'year',
        'day_of_the_year')
"""What tells one line of a project from another.

Those of CloudKitty's own metrics, and ours with a name that no other metric
has: in InfluxDB a name that is a groupby key here and metadata there, as
``flavor`` is in the metrics.yml that CloudKitty brings, can be read of
neither.
"""
CALENDAR = ('year', 'month', 'week_of_the_year', 'day_of_the_year')

PRICE_DIGITS = 12
"""Decimal places of an hour's price: CloudKitty counts in doubles."""

Tags = tuple[tuple[str, str], ...]
_GROUPS = ('instance', 'account', 'flavor', 'site')
_EVERY = 10 ** 9


class Place(NamedTuple):
    """What CloudKitty's InfluxDB has one point of.

    :ivar start: the bucket that its frame begins with.
    :ivar tags: groupby keys with a value, sorted.
    """

    start: int
    tags: Tags

    @property
    def instance(self) -> str:
        return dict(self.tags).get('id', '')


@dataclasses.dataclass(slots=True)
class Amounts:
    """In integers.

    :ivar end: the bucket that the frame ends before.
    :ivar price: in units of its last decimal place.
    """

    end: int
    it_uj: int = 0
    price: int = 0
    facility_uj: int | None = 0
    metadata: dict[str, str] = dataclasses.field(default_factory=dict)

    @property
    def qty(self) -> str:
        return format(units.kwh(self.it_uj), 'f')

    @property
    def price_text(self) -> str:
        return format(decimal.Decimal(self.price).scaleb(-PRICE_DIGITS), 'f')


class Day(NamedTuple):
    """:ivar start, end: buckets, half open; :ivar date: the local day."""

    start: int
    end: int
    date: str
    lines: list[lines.Line]

    @property
    def number(self) -> tuple[str, str]:
        """Its year and its day of the year, as CloudKitty counts them."""
        keys = calendar(self.date)
        return keys['year'], keys['day_of_the_year']


def days(period: periods.Period, found: Iterable[lines.Line],
         ) -> Iterator[Day]:
    """All days of a period, with their lines, of which there may be none."""
    ordered = iter(found)
    line = next(ordered, None)
    for start, end in period.days():
        date = period.day_of(start)
        of_day = []
        while line is not None and line.day == date:
            of_day.append(line)
            line = next(ordered, None)
        yield Day(start, end, date, of_day)


def calendar(date: str) -> dict[str, str]:
    """The groupby keys that CloudKitty's collectors add.

    As it writes them: week with a leading zero, the others without.
    Summaries by month (``time-m``) group by these and not by time.
    """
    day = datetime.date.fromisoformat(date)
    return {'year': f'{day:%Y}', 'month': str(day.month),
            'week_of_the_year': f'{day:%U}',
            'day_of_the_year': str(day.timetuple().tm_yday)}


def tags_of(project_id: str, line: lines.Line) -> Tags:
    """The groupby keys of a line's points."""
    found = {
        'id': line.instance_id, 'project_id': project_id,
        'energy_flavor': line.flavor, 'energy_site': line.site,
        'energy_region': line.region, **calendar(line.day)}
    return tuple(sorted((name, clean(value))
                        for name, value in found.items() if value))


def clean(text: str) -> str:
    """A name as InfluxDB's line protocol gives it back.

    A backslash or what cannot be printed would come back as another.
    """
    return ''.join('_' if one == '\\' or not one.isprintable() else one
                   for one in text)


def price_of(line: lines.Line) -> int:
    return int(decimal.Decimal(line.cost or 0).scaleb(PRICE_DIGITS))


def sums(project_id: str, found: Iterable[Day],
         ) -> dict[tuple[str, ...], Amounts]:
    """What the points of each line add up to, by :data:`TAGS`."""
    wanted: dict[tuple[str, ...], Amounts] = {}
    for day in found:
        for line in day.lines:
            tags = dict(tags_of(project_id, line))
            one = wanted.setdefault(
                tuple(tags.get(name, '') for name in TAGS), Amounts(day.end))
            one.it_uj += line.it_uj
            one.price += price_of(line)
    return wanted


# --- the hours of a day -----------------------------------------------------

def wanted(connection: sa.Connection, of: store.Stored,
           period: periods.Period, day: Day) -> dict[Place, Amounts]:
    """The points of a day; hours without energy have none.

    A line of which the ledger has no hours any more is a point of its day.
    """
    hours = _hours(connection, of, period, day)
    found: dict[Place, Amounts] = {}
    for line in day.lines:
        tags = tags_of(of.project_id, line)
        frames = hours.get(line.key[1:]) or {(day.start, day.end): 1}
        weights = [*frames.values()]
        for (start, end), it_uj, price, facility_uj in zip(
                frames, _divide(line.it_uj, weights),
                _divide(price_of(line), weights),
                [None] * len(weights) if line.facility_uj is None
                else _divide(line.facility_uj, weights), strict=True):
            if not (it_uj or price):
                continue
            one = found.setdefault(Place(start, tags), Amounts(
                end, metadata=_metadata(of, line)))
            one.it_uj += it_uj
            one.price += price
            one.facility_uj = (
                None if one.facility_uj is None or facility_uj is None
                else one.facility_uj + facility_uj)
    return found


def _hours(connection: sa.Connection, of: store.Stored,
           period: periods.Period, day: Day,
           ) -> Mapping[tuple[str, ...], dict[tuple[int, int], int]]:
    """Energy by what a line is of, and hour."""
    found: dict[tuple[str, ...], dict[tuple[int, int], int]] = {}
    if not day.lines or retired.kept_since(connection) > day.start:
        return found
    for row in usage.read(connection, queries.UsageQuery(
            day.start, day.end, 'hour', period.where, _GROUPS,
            {'project': of.project_id}, of.as_of_ns, _EVERY)):
        if row.it_uj > 0:
            start = units.period_start(units.bucket_start(row.first), 'hour',
                                       period.where)
            frame = (_bucket(start), _bucket(units.next_period(
                start, 'hour', period.where)))
            found.setdefault(row.keys, {})[frame] = row.it_uj
    return found


def _bucket(moment: datetime.datetime) -> int:
    return units.bucket_of(units.wall_ns(moment))


def _divide(total: int, weights: Sequence[int]) -> list[int]:
    # What a node meter corrects may be less than nothing.
    parts = units.divide(abs(total), weights)
    return parts if total >= 0 else [-part for part in parts]


def _metadata(of: store.Stored, line: lines.Line) -> dict[str, str]:
    """All of it text: InfluxDB keeps to the kind that a name had first."""
    return {
        'energy_boundary': line.boundary,
        'energy_policy': line.policy or '',
        'energy_currency': of.head['totals'].get('currency') or '',
        'energy_statement': of.statement,
        'energy_revision': str(of.revision)}


def as_json(place: Place, one: Amounts) -> dict[str, Any]:
    """A point as CloudKitty is given it; numbers are texts, not floats."""
    return {
        'vol': {'unit': UNIT, 'qty': one.qty},
        'rating': {'price': one.price_text}, 'groupby': dict(place.tags),
        'metadata': {
            **one.metadata, 'energy_facility_kwh': ''
            if one.facility_uj is None
            else format(units.kwh(one.facility_uj), 'f')}}
