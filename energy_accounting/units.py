# SPDX-License-Identifier: Apache-2.0
"""Exact numbers: energy conversion, apportionment, buckets, calendar edges.

Everything here is a pure function over integers, ``Decimal`` and aware
``datetime``; nothing reads a clock and nothing knows OpenStack.  No float
may appear in this file.
"""

from __future__ import annotations

import datetime
import decimal
import zoneinfo
from collections.abc import Iterable, Sequence

UTC = datetime.UTC
EPOCH = datetime.datetime(1970, 1, 1, tzinfo=UTC)

UJ_PER_J = 1_000_000
UJ_PER_KWH = 3_600_000_000_000
NS_PER_S = 1_000_000_000
BUCKET_SECONDS = 900
BUCKET_NS = BUCKET_SECONDS * NS_PER_S

RESOLUTIONS = ('total', 'month', 'day', 'hour', 'quarter')

# 1 uJ is 2.777..e-13 kWh: fifteen decimal places bring it back exactly.
_KWH_STEP = decimal.Decimal('1e-15')
# Wide enough for 10^27 uJ; the default 28 digits would round a large sum.
_EXACT = decimal.Context(prec=60, rounding=decimal.ROUND_HALF_EVEN)


def kwh(energy_uj: int) -> decimal.Decimal:
    """Microjoules as kWh with exactly 15 decimal places."""
    return _EXACT.quantize(
        _EXACT.divide(decimal.Decimal(energy_uj),
                      decimal.Decimal(UJ_PER_KWH)), _KWH_STEP)


def kwh_text(energy_uj: int) -> str:
    """Microjoules as a kWh string: 15 decimal places, no exponent."""
    return format(kwh(energy_uj), 'f')


def microjoules(energy_kwh: str | decimal.Decimal) -> int:
    """The microjoules that :func:`kwh` made this figure of.

    :raises decimal.InvalidOperation: when the text is not a number.
    """
    exact = _EXACT.multiply(decimal.Decimal(energy_kwh),
                            decimal.Decimal(UJ_PER_KWH))
    return int(exact.to_integral_value(decimal.ROUND_HALF_EVEN))


def divide(total: int, weights: Sequence[int]) -> list[int]:
    """Divide an integer by integer weights so that the parts sum to it.

    Largest remainder (Hamilton); equal remainders go to the first.

    :param total: what is divided, at least 0.
    :param weights: at least 0 each.
    :returns: a part for each weight; an empty list when none is positive
        (the caller decides who owns it).
    :raises ValueError: for a negative total or weight.
    """
    scale = sum(weights)
    if total < 0 or (weights and min(weights) < 0):
        raise ValueError('divide: total and weights must not be negative')
    if scale == 0:
        return []
    if total == 0:
        return [0] * len(weights)
    products = [total * weight for weight in weights]
    parts = [product // scale for product in products]
    left = total - sum(parts)
    if left:
        # sorted() is stable, so equal remainders stay in their order.
        remainders = [product % scale for product in products]
        for place in sorted(range(len(parts)), key=remainders.__getitem__,
                            reverse=True)[:left]:
            parts[place] += 1
    return parts


def bucket_of(wall_ns: int) -> int:
    """The number of the quarter of an hour (since 1970, UTC) of a moment.

    :param wall_ns: nanoseconds since the epoch.
    """
    return wall_ns // BUCKET_NS


def bucket_start(bucket: int) -> datetime.datetime:
    """The first moment of a bucket, in UTC."""
    return EPOCH + datetime.timedelta(seconds=bucket * BUCKET_SECONDS)


def wall_ns(moment: datetime.datetime) -> int:
    """Nanoseconds since the epoch of an aware time.

    :raises ValueError: for a naive time.
    """
    if moment.tzinfo is None:
        raise ValueError('a time without a zone is ambiguous: add Z or an '
                         'offset such as +01:00')
    return (moment - EPOCH) // datetime.timedelta(microseconds=1) * 1000


def moment(wall_ns: int) -> datetime.datetime:
    """An aware UTC time (microsecond precision) of epoch nanoseconds."""
    return EPOCH + datetime.timedelta(microseconds=wall_ns // 1000)


def iso(moment: datetime.datetime) -> str:
    """ISO 8601 in UTC, with ``Z``; no fraction when it is zero."""
    text = moment.astimezone(UTC).isoformat()
    return text.removesuffix('+00:00') + 'Z'


def zone(name: str) -> datetime.tzinfo:
    """A time zone of the IANA database; UTC needs none.

    :raises ValueError: when there is no such zone.
    """
    if name == 'UTC':
        return UTC
    try:
        return zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError(f'timezone {name!r} is not in the IANA time zone '
                         'database: use a name such as Europe/Berlin') \
            from error


def period_start(moment: datetime.datetime, resolution: str,
                 where: datetime.tzinfo) -> datetime.datetime:
    """The first moment (UTC) of the calendar period that holds a moment."""
    local = moment.astimezone(where)
    if resolution == 'month':
        local = local.replace(day=1, hour=0, minute=0, second=0,
                              microsecond=0, fold=0)
    elif resolution == 'day':
        local = local.replace(hour=0, minute=0, second=0, microsecond=0,
                              fold=0)
    elif resolution == 'hour':
        local = local.replace(minute=0, second=0, microsecond=0)
    elif resolution == 'quarter':
        return bucket_start(bucket_of(wall_ns(moment)))
    else:
        raise ValueError(f'no calendar period is called {resolution!r}')
    return local.astimezone(UTC)


def next_period(start: datetime.datetime, resolution: str,
                where: datetime.tzinfo) -> datetime.datetime:
    """The first moment (UTC) of the period after the one that begins then.

    A local day has 23, 24 or 25 hours; a local hour always has 3600 s.
    """
    if resolution == 'quarter':
        return start + datetime.timedelta(seconds=BUCKET_SECONDS)
    if resolution == 'hour':
        return start + datetime.timedelta(hours=1)
    local = start.astimezone(where)
    # Half way into the next period, whatever the clocks do at its edge.
    ahead = {'day': datetime.timedelta(days=1, hours=12),
             'month': datetime.timedelta(days=45)}[resolution]
    naive = local.replace(tzinfo=None) + ahead
    return period_start(naive.replace(tzinfo=where), resolution, where)


def without(start: int, end: int, taken: Iterable[tuple[int, int]],
            ) -> list[tuple[int, int]]:
    """What is left of [start, end) when half-open intervals are taken out.

    :param taken: in any order; they may overlap.
    """
    left = []
    for first, last in sorted(taken):
        if first >= end:
            break
        if start < first:
            left.append((start, first))
        start = max(start, last)
    if start < end:
        left.append((start, end))
    return left


def periods(start: datetime.datetime, end: datetime.datetime,
            resolution: str, where: datetime.tzinfo,
            ) -> list[tuple[datetime.datetime, datetime.datetime]]:
    """The half-open calendar periods that a range touches, cut to it.

    :returns: ``[(start, end), ...]`` in UTC, without holes.
    """
    if resolution == 'total':
        return [(start, end)]
    found = []
    edge = period_start(start, resolution, where)
    while edge < end:
        after = next_period(edge, resolution, where)
        found.append((max(edge, start), min(after, end)))
        edge = after
    return found
