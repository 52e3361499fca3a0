# SPDX-License-Identifier: Apache-2.0
"""The calendar months and years that statements are of.  Pure."""

from __future__ import annotations

import datetime
import re
from typing import NamedTuple

from energy_accounting import errors, units

_PERIOD = re.compile('(20[0-9]{2})(?:-(0[1-9]|1[0-2]))?')


class Period(NamedTuple):
    """A month or a year of a time zone.

    :ivar name: ``2026-10`` or ``2026``.
    :ivar start, end: buckets, half open.
    """

    name: str
    time_zone: str
    start: int
    end: int

    @property
    def where(self) -> datetime.tzinfo:
        return units.zone(self.time_zone)

    @property
    def start_ns(self) -> int:
        return self.start * units.BUCKET_NS

    @property
    def end_ns(self) -> int:
        return self.end * units.BUCKET_NS

    def days(self) -> list[tuple[int, int]]:
        """The local days, as buckets, half open."""
        return [(_bucket(start), _bucket(end)) for start, end in
                units.periods(units.bucket_start(self.start),
                              units.bucket_start(self.end), 'day',
                              self.where)]

    def day_of(self, bucket: int) -> str:
        """The local date that a bucket is in."""
        return units.bucket_start(bucket).astimezone(
            self.where).date().isoformat()


def named(word: str, time_zone: str, now_ns: int) -> str:
    """What ``last-month`` and ``last-year`` are at a moment.

    Another word, or a zone that is none, is for :func:`period` to refuse.
    """
    try:
        today = units.moment(now_ns).astimezone(units.zone(time_zone)).date()
    except ValueError:
        return word
    if word == 'last-year':
        return f'{today.year - 1:04d}'
    if word == 'last-month':
        return f'{today.replace(day=1) - datetime.timedelta(days=1):%Y-%m}'
    return word


def month(word: str) -> str:
    """A word that is of a month.

    :raises errors.InvalidRequest: it is not.
    """
    return _of('month', word, '2026-10')


def year(word: str) -> str:
    """A word that is of a year.

    :raises errors.InvalidRequest: it is not.
    """
    return _of('year', word, '2026')


def _of(kind: str, word: str, such: str) -> str:
    # As long as the other one, it would be taken for it.
    if word != f'last-{kind}' and len(word) != len(such):
        raise errors.InvalidRequest(
            f'{kind}: {word[:16]!r} is none; give one such as {such}, or '
            f'last-{kind}')
    return word


def period(name: str, time_zone: str) -> Period:
    """The period of a name.

    :raises errors.InvalidRequest: there is none, or no such zone, or its
        days do not begin on quarters of an hour of UTC.
    """
    match = _PERIOD.fullmatch(name)
    if match is None:
        raise errors.InvalidRequest(
            f'period: {name[:16]!r} is no month or year from 2000 to 2099; '
            'give one such as 2026-10 or 2026')
    try:
        where = units.zone(time_zone)
    except ValueError as error:
        raise errors.InvalidRequest(str(error)) from error
    year, month = int(match[1]), match[2]
    first = datetime.date(year, int(month or 1), 1)
    after = (datetime.date(year + 1, 1, 1) if month in (None, '12')
             else datetime.date(year, int(month) + 1, 1))
    edges = []
    for date in (first, after):
        edge = datetime.datetime.combine(
            date, datetime.time(), where).astimezone(units.UTC)
        if units.wall_ns(edge) % units.BUCKET_NS:
            raise errors.InvalidRequest(
                f'timezone: the days of {time_zone} did not begin on a '
                'quarter of an hour of UTC then; give another zone')
        edges.append(_bucket(edge))
    return Period(name, time_zone, *edges)


def _bucket(moment: datetime.datetime) -> int:
    return units.bucket_of(units.wall_ns(moment))
