# SPDX-License-Identifier: Apache-2.0
"""How full a spool is, and what to say of it before something is lost.

Pure; who drops what, and when, stands in ``store``.
"""

from __future__ import annotations

from typing import NamedTuple

DAY_NS = 86_400 * 10 ** 9
# A window is at most a quarter of an hour long.  If more lies between two
# records the clock was set, or nothing was written meanwhile.
LEAP_NS = 3600 * 10 ** 9
MIB = 1 << 20
# Of days or bytes: worth a warning, and an error.
HALF_PERCENT = 50
URGENT_PERCENT = 80
# A disk with less than this left, and less than the spool may still need,
# is short.
SHORT_BYTES = 256 * MIB

FINE, HALF, URGENT = range(3)


class Limits(NamedTuple):
    """What a spool may take.

    :ivar keep_ns: how long acknowledged records are kept.
    :ivar max_ns: how long all others are.
    :ivar max_bytes: of all files together.
    """

    keep_ns: int
    max_ns: int
    max_bytes: int


class Fill(NamedTuple):
    """What a spool takes now.

    :ivar waiting: records that are not acknowledged.
    :ivar oldest_ns: the age of the oldest of them.
    :ivar waiting_bytes: they, without what may go before them.
    :ivar total_bytes: all files.
    :ivar free_bytes: of the disk; None when it does not say.
    """

    waiting: int
    oldest_ns: int
    waiting_bytes: int
    total_bytes: int
    free_bytes: int | None


class Alarm(NamedTuple):
    """A level and what to tell the operator; empty when all is well."""

    level: int = FINE
    text: str = ''


def passed_ns(earlier_ns: int, later_ns: int) -> int:
    """How much older a record grew between two others' wall clocks.

    A clock that leaps makes nothing old, so that it deletes nothing; what
    is kept too long for it is bounded in bytes.
    """
    return min(max(0, later_ns - earlier_ns), LEAP_NS)


def judge(fill: Fill, limits: Limits) -> Alarm:
    """Whether an operator must know."""
    days = 100 * max(0, fill.oldest_ns) // limits.max_ns
    size = 100 * fill.waiting_bytes // limits.max_bytes
    needed = max(0, limits.max_bytes - fill.total_bytes)
    short = (fill.free_bytes is not None
             and fill.free_bytes < min(SHORT_BYTES, needed))
    percent = max(days, size)
    if not short and percent < HALF_PERCENT:
        return Alarm()
    said = (f'{fill.waiting} windows wait: {days} % of spool_max_days '
            f'({_tenths(fill.oldest_ns, DAY_NS)} of '
            f'{_tenths(limits.max_ns, DAY_NS)} days), {size} % of '
            f'spool_max_mib ({_tenths(fill.waiting_bytes, MIB)} of '
            f'{_tenths(limits.max_bytes, MIB)} MiB)')
    if short:
        said = (f'the disk has {_tenths(fill.free_bytes or 0, MIB)} MiB '
                f'left: make room; {said}')
    else:
        said += '; at 100 % the oldest are lost'
    return Alarm(URGENT if short or percent >= URGENT_PERCENT else HALF,
                 said)


def _tenths(amount: int, unit: int) -> str:
    """With one decimal place, rounded down."""
    whole, part = divmod(max(0, amount) * 10 // unit, 10)
    return f'{whole}.{part}'
