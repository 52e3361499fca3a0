# SPDX-License-Identifier: Apache-2.0
"""Calendar periods in SQL: the number of the period a bucket is in.

The edges themselves are :mod:`energy_accounting.units`'; which rows are
numbered is not known here.
"""

from __future__ import annotations

import bisect
import datetime

import sqlalchemy as sa

from energy_accounting import units
from energy_accounting.ledger import queries

_DAY_BUCKETS = 96
_HOUR_BUCKETS = 4


def number(bucket: sa.ColumnElement[int], query: queries.UsageQuery,
           ) -> sa.ColumnElement[int]:
    """The number of the period that a bucket is in; grows with time."""
    if query.resolution == 'total':
        # Not a bare literal: GROUP BY 0 would mean a column's position.
        return bucket - bucket
    if query.resolution == 'quarter':
        return bucket
    if query.resolution == 'month':
        edges = [units.bucket_of(units.wall_ns(end)) for _, end in
                 units.periods(units.bucket_start(query.start),
                               units.bucket_start(query.end), 'month',
                               query.where)]
        return sa.case(*((bucket < edge, sa.literal(number))
                         for number, edge in enumerate(edges)),
                       else_=sa.literal(len(edges)))
    segments = _segments(query.start, query.end, query.where)
    # An hour is numbered through all segments, so that the one that a clock
    # set back repeats stays two; a day takes the whole offset, so that a
    # day of 23 or 25 hours stays one.
    numbers = [
        _divided(bucket + offset, _DAY_BUCKETS)
        if query.resolution == 'day'
        else _divided(bucket + offset % _HOUR_BUCKETS, _HOUR_BUCKETS)
        for _, offset in segments]
    if len(segments) == 1:
        return numbers[0]
    return sa.case(*((bucket < end, number) for (end, _), number
                     in zip(segments[:-1], numbers, strict=False)),
                   else_=numbers[-1])


def _divided(number: sa.ColumnElement[int], divisor: int,
             ) -> sa.ColumnElement[int]:
    """A whole quotient; ``/`` is another thing on every database."""
    return sa.cast((number - number % divisor) / divisor, sa.Integer)


def _segments(start: int, end: int, where: datetime.tzinfo,
              ) -> list[tuple[int, int]]:
    """Stretches of constant UTC offset: (end bucket, offset in buckets)."""
    def offset(bucket: int) -> int:
        local = units.bucket_start(bucket).astimezone(where)
        delta = local.utcoffset() or datetime.timedelta()
        return delta // datetime.timedelta(seconds=units.BUCKET_SECONDS)

    found = []
    day, held = start, offset(start)
    while day < end:
        after = min(day + _DAY_BUCKETS, end)
        if offset(after) != held:
            edge = bisect.bisect_left(
                range(day, after + 1), True,
                key=lambda bucket: offset(bucket) != held) + day
            if edge < end:
                found.append((edge, held))
            held = offset(after)
        day = after
    return [*found, (end, held)]
