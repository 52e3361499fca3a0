# SPDX-License-Identifier: Apache-2.0
"""What people type for a moment or a period, as exact UTC times.

Pure: the present and the time zone are arguments.  Ends are exclusive and
a word stands for its first moment, so ``--start last-month --end
this-month`` is the whole of last month.
"""

from __future__ import annotations

import datetime
import re
from typing import NamedTuple

from energy_accounting import units

WORDS = ('now', 'today', 'yesterday', 'this-month', 'last-month')
FORMS = ('a month (2026-11), a date (2026-11-01), an ISO 8601 time '
         '(2026-11-01T06:00+01:00), today, yesterday, this-month, '
         'last-month, now, or so long ago (-24h, -7d)')

_AGO = re.compile(r'-(\d{1,5})(h|d)', re.ASCII)
_MONTH = re.compile(r'\d{4}-\d{2}', re.ASCII)
_HOURS = {'h': 1, 'd': 24}
_INSTANT = datetime.timedelta(microseconds=1)


class Period(NamedTuple):
    """A half-open range of time in UTC."""

    start: datetime.datetime
    end: datetime.datetime


def moment(text: str, where: datetime.tzinfo,
           now: datetime.datetime) -> datetime.datetime:
    """The moment (UTC) that a text stands for.

    Months, dates, words and times without an offset are meant in the zone
    ``where``.  What is relative to now is cut to a quarter of an hour, the
    grid that energy is kept in.

    :raises ValueError: with the forms that are understood.
    """
    ago = _AGO.fullmatch(text)
    if ago:
        hours = int(ago[1]) * _HOURS[ago[2]]
        return _cut(now - datetime.timedelta(hours=hours))
    if text in WORDS:
        return _word(text, where, now)
    try:
        parsed = datetime.datetime.fromisoformat(
            f'{text}-01' if _MONTH.fullmatch(text) else text)
        if parsed.tzinfo is None:
            parsed = parsed.replace(tzinfo=where)
        return parsed.astimezone(units.UTC)
    except (ValueError, OverflowError) as error:
        raise ValueError(f'{text!r} is not a time: give {FORMS}') from error


def is_of_a_zone(text: str) -> bool:
    """Whether a time without an offset is another one in another zone."""
    return text != 'now' and not _AGO.fullmatch(text)


def month(text: str, where: datetime.tzinfo,
          now: datetime.datetime) -> Period:
    """A whole calendar month; the present one until now.

    :raises ValueError: unless it is this-month, last-month or as 2026-11.
    """
    if text in ('this-month', 'last-month') or _MONTH.fullmatch(text):
        try:
            start = moment(text, where, now)
        except ValueError:
            pass
        else:
            end = units.next_period(start, 'month', where)
            return Period(start, _until_now(start, end, now))
    raise ValueError(f'{text!r} is not a month: give one such as 2026-11, '
                     'this-month or last-month')


def period(start: str | None, end: str | None, where: datetime.tzinfo,
           now: datetime.datetime) -> Period:
    """The range between two texts.

    Without a start it is the month that the end falls into; without an end
    it lasts until now (the end of the present quarter of an hour).

    :raises ValueError: when a text is no time or the range is empty.
    """
    if end is None:
        until = _present(now)
    else:
        until = moment(end, where, now)
    if start is None:
        since = units.period_start(until - _INSTANT, 'month', where)
    else:
        since = moment(start, where, now)
    if since >= until:
        raise ValueError(
            f'the period is empty: it starts {units.iso(since)} and ends '
            f'{units.iso(until)} (the end is exclusive)')
    return Period(since, until)


def spoken(moment: datetime.datetime, where: datetime.tzinfo) -> str:
    """A time for people, in a zone that is named elsewhere.

    With its offset where clocks show the same time twice.
    """
    local = moment.astimezone(where)
    twice = local.utcoffset() != local.replace(
        fold=1 - local.fold).utcoffset()
    return (local.isoformat(' ', 'minutes') if twice
            else local.strftime('%Y-%m-%d %H:%M'))


def _word(text: str, where: datetime.tzinfo,
          now: datetime.datetime) -> datetime.datetime:
    if text == 'now':
        return _present(now)
    unit = 'month' if text.endswith('month') else 'day'
    first = units.period_start(now, unit, where)
    if text in ('yesterday', 'last-month'):
        first = units.period_start(first - _INSTANT, unit, where)
    return first


def _cut(moment: datetime.datetime) -> datetime.datetime:
    return units.bucket_start(units.bucket_of(units.wall_ns(moment)))


def _present(now: datetime.datetime) -> datetime.datetime:
    """The end of the bucket that is being filled."""
    return _cut(now) + datetime.timedelta(seconds=units.BUCKET_SECONDS)


def _until_now(start: datetime.datetime, end: datetime.datetime,
               now: datetime.datetime) -> datetime.datetime:
    present = _present(now)
    return min(end, present) if start < present else end
