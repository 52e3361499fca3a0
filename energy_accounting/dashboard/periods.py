# SPDX-License-Identifier: Apache-2.0
"""Which time a page is about, and the time before that it is compared with.

Pure: the clock and the reader's time zone are handed in, and what is wrong
is told by a code; its words are Django's.  Dates of the form are whole days
of the zone, the last one included, as people mean them; everything else is
half open, in UTC.
"""

from __future__ import annotations

import dataclasses
import datetime
import re
from collections.abc import Mapping

from energy_accounting import units

MONTH, FIRST, LAST = 'month', 'from', 'to'
PARAMETERS = (MONTH, FIRST, LAST)

NOT_A_MONTH, NOT_A_DATE = 'month', 'date'
HALF_A_RANGE, BACKWARDS = 'half', 'backwards'
FUTURE, TOO_LONG, TOO_EARLY = 'future', 'long', 'early'

MOST_DAYS = 1100
# Up to so many days are drawn by hours, and by days.
_HOURLY_DAYS = 3
_DAILY_DAYS = 93
_MONTHS_OFFERED = 24
_YEAR_ONE = 2000


class Refused(ValueError):
    """A period that cannot be shown.

    :ivar code: one of the codes above.
    """

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@dataclasses.dataclass(frozen=True, slots=True)
class Period:
    """What a page is about.

    :ivar start: UTC; the same of ``end``, itself excluded.
    :ivar where: the zone whose days and months are meant.
    :ivar zone: its name.
    :ivar month: ``YYYY-MM`` where it is a calendar month.
    :ivar first: its first day, of the zone.
    :ivar last: its last one, maybe still to come.
    :ivar running: whether it is not over.
    :ivar resolution: of its rows.
    :ivar before: the time it is compared with: the month or the days before
        it, as much of them as has passed of this.
    """

    start: datetime.datetime
    end: datetime.datetime
    where: datetime.tzinfo
    zone: str
    month: str | None
    first: datetime.date
    last: datetime.date
    running: bool
    resolution: str
    before: tuple[datetime.datetime, datetime.datetime]

    @property
    def query(self) -> dict[str, str]:
        """The period as the API is asked for it."""
        return {'start': units.iso(self.start), 'end': units.iso(self.end),
                'timezone': self.zone}

    @property
    def query_before(self) -> dict[str, str]:
        """The time before as the API is asked for it."""
        return {'start': units.iso(self.before[0]),
                'end': units.iso(self.before[1]), 'timezone': self.zone}

    @property
    def form(self) -> dict[str, str]:
        """The parameters that mean this period."""
        if self.month is not None:
            return {MONTH: self.month}
        return {FIRST: self.first.isoformat(), LAST: self.last.isoformat()}

    @property
    def steps(self) -> list[tuple[datetime.datetime, datetime.datetime]]:
        """The parts that the rows are about."""
        return units.periods(self.start, self.end, self.resolution,
                             self.where)


def choose(parameters: Mapping[str, str], zone: str,
           now: datetime.datetime) -> Period:
    """The period that a form means; this month if it says nothing.

    :raises Refused: it means none that could be shown.
    """
    where = units.zone(zone)
    said = {name: parameters.get(name, '').strip() for name in PARAMETERS}
    if said[FIRST] or said[LAST]:
        if not (said[FIRST] and said[LAST]):
            raise Refused(HALF_A_RANGE)
        first, last = _date(said[FIRST]), _date(said[LAST])
        if last < first:
            raise Refused(BACKWARDS)
        if (last - first).days >= MOST_DAYS:
            raise Refused(TOO_LONG)
        month = None
    else:
        month = said[MONTH] or now.astimezone(where).strftime('%Y-%m')
        first = _month(month)
        last = _next_month(first) - datetime.timedelta(days=1)
    return _period(first, last, month, where, zone, now)


def _period(first: datetime.date, last: datetime.date, month: str | None,
            where: datetime.tzinfo, zone: str,
            now: datetime.datetime) -> Period:
    if first.year < _YEAR_ONE:
        raise Refused(TOO_EARLY)
    start = _midnight(first, where)
    whole = _midnight(last + datetime.timedelta(days=1), where)
    if start > now:
        raise Refused(FUTURE)
    # The quarter of an hour that is not over counts as far as it is booked.
    end = min(whole, units.bucket_start(
        units.bucket_of(units.wall_ns(now)) + 1))
    days = (end - start) / datetime.timedelta(days=1)
    if month is None:
        # As many days as have come: what is still to be has none before it.
        until = min(last, now.astimezone(where).date())
        earlier = first - ((until - first) + datetime.timedelta(days=1))
    else:
        earlier = _month_before(first)
    began = _midnight(earlier, where)
    return Period(
        start=start, end=end, where=where, zone=zone, month=month,
        first=first, last=last, running=end < whole,
        resolution=('hour' if days <= _HOURLY_DAYS else
                    'day' if days <= _DAILY_DAYS else 'month'),
        before=(began, min(began + (end - start), start)
                if end < whole else start))


def months(now: datetime.datetime, where: datetime.tzinfo,
           ) -> list[datetime.date]:
    """The first days of the months that a form offers, the last one first.
    """
    found = [now.astimezone(where).date().replace(day=1)]
    while len(found) < _MONTHS_OFFERED:
        found.append(_month_before(found[-1]))
    return found


def neighbours(period: Period, now: datetime.datetime,
               ) -> tuple[str | None, str | None]:
    """The months before and after a month, as the form has them."""
    if period.month is None:
        return None, None
    before, after = _month_before(period.first), _next_month(period.first)
    return (f'{before:%Y-%m}' if before.year >= _YEAR_ONE else None,
            f'{after:%Y-%m}'
            if after <= now.astimezone(period.where).date() else None)


def _month_before(first: datetime.date) -> datetime.date:
    return (first - datetime.timedelta(days=1)).replace(day=1)


def _next_month(first: datetime.date) -> datetime.date:
    return (first + datetime.timedelta(days=32)).replace(day=1)


def _midnight(day: datetime.date,
              where: datetime.tzinfo) -> datetime.datetime:
    """The first moment of a day, in UTC."""
    noon = datetime.datetime.combine(day, datetime.time(12), where)
    return units.period_start(noon.astimezone(units.UTC), 'day', where)


def _date(text: str) -> datetime.date:
    if not re.fullmatch(r'[0-9]{4}-[0-9]{2}-[0-9]{2}', text):
        raise Refused(NOT_A_DATE)
    try:
        day = datetime.date.fromisoformat(text)
    except ValueError as error:
        raise Refused(NOT_A_DATE) from error
    if day.year > 9000:
        raise Refused(FUTURE)
    return day


def _month(text: str) -> datetime.date:
    if not re.fullmatch(r'[0-9]{4}-[0-9]{2}', text):
        raise Refused(NOT_A_MONTH)
    try:
        first = datetime.date.fromisoformat(f'{text}-01')
    except ValueError as error:
        raise Refused(NOT_A_MONTH) from error
    if first.year > 9000:
        raise Refused(FUTURE)
    return first
