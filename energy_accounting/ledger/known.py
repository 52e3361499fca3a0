# SPDX-License-Identifier: Apache-2.0
"""Which time of a host is known, boot by boot, and where it has holes.

What is booked is known, and what is held may be yet; an operator decides.
From the first record of a host that is understood up to the last one every
moment of its boots is one of these or in a gap: whoever books, holds,
releases or discards has the holes that come of it stated (``holes``).

A boot is measured by its boottime, which no clock that is set changes.  Here
is only which span of each boot is known; no gap is read or written.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import sqlalchemy as sa

from energy_accounting import samples
from energy_accounting.ledger import bulk, judgement, models

_BOOT_CHARACTERS = 255


class Told(NamedTuple):
    """Which time a window is of, by both clocks, in nanoseconds."""

    boot_id: str
    boottime_start_ns: int
    boottime_end_ns: int
    start_ns: int
    end_ns: int


class Boot(NamedTuple):
    """What is known of a boot, in nanoseconds of its boottime.

    :ivar booked_until_ns: 0 as long as nothing of it is booked.
    :ivar start_ns, end_ns: of what is known, with holes that are stated.
    :ivar until_ns: the wall clock at ``end_ns``; what it says of the time
        to come does not count.
    """

    booked_until_ns: int
    start_ns: int
    end_ns: int
    until_ns: int


class Hole(NamedTuple):
    """Boottime that nothing is known of, unless a gap says why.

    :ivar ahead_ns: the wall clock then, less the boottime.
    """

    boot_id: str
    start_ns: int
    end_ns: int
    ahead_ns: int


class Known:
    """What is known of a host, as records come to be known.

    :param newest: the boot of the record that came last; None before the
        first of the host.
    :param now_ns: when the records came.
    """

    def __init__(self, boots: dict[str, Boot], newest: str | None,
                 now_ns: int) -> None:
        self._boots = boots
        self.newest = newest
        self._now_ns = now_ns
        self._changed: set[str] = set()

    @property
    def until_ns(self) -> int | None:
        """The wall clock at the end of the newest that is known."""
        newest = self._boots.get(self.newest or '')
        return None if newest is None else newest.until_ns

    def booked_until_ns(self, boot_id: str) -> int:
        """Up to which boottime a boot is booked; 0: nothing of it."""
        boot = self._boots.get(boot_id)
        return 0 if boot is None else boot.booked_until_ns

    def goes_on(self, told: Told) -> bool:
        """Whether a window is of a time after all that is known."""
        boot = self._boots.get(told.boot_id)
        return boot is None or (self.newest in (None, told.boot_id)
                                and boot.end_ns < told.boottime_end_ns)

    def add(self, told: Told, *, booked: bool,
            same_machine: bool, newest: bool = True) -> list[Hole]:
        """Note a window; the holes that are between it and the rest.

        :param booked: whether it is booked, and not only held.
        :param same_machine: whether the machine is the one before: then one
            boot follows the other, whatever its clocks say.
        :param newest: whether the host goes on from here, if it is of a boot
            that is new; none comes back.
        """
        name, ahead_ns = told.boot_id, self.ahead_ns(told)
        start_ns, end_ns = told.boottime_start_ns, told.boottime_end_ns
        boot, holes = self._boots.get(name), []
        new = boot is None
        if boot is None:
            boot = Boot(0, start_ns, end_ns, 0)
            if newest and self.until_ns is not None:
                # Of another machine, it was not the host before.
                first_ns = 0 if same_machine else self.until_ns - ahead_ns
                holes = [*self._tail(ahead_ns),
                         Hole(name, max(0, first_ns), start_ns, ahead_ns)]
        elif boot.end_ns < start_ns:
            holes = [Hole(name, boot.end_ns, start_ns,
                          boot.until_ns - boot.end_ns)]
        elif end_ns < boot.start_ns:
            holes = [Hole(name, end_ns, boot.start_ns, ahead_ns)]
        if end_ns >= boot.end_ns:
            boot = boot._replace(end_ns=end_ns, until_ns=max(0, min(
                end_ns + ahead_ns, self._now_ns)))
        self._boots[name] = boot._replace(
            start_ns=min(boot.start_ns, start_ns),
            booked_until_ns=max(boot.booked_until_ns,
                                end_ns if booked else 0))
        self._changed.add(name)
        if (newest and new) or self.newest is None:
            self.newest = name
        return [hole for hole in holes if hole.start_ns < hole.end_ns]

    def ahead_ns(self, told: Told) -> int:
        """By how much the wall clock was ahead of a window's boottime.

        What ends long after it came was over when it came, and was measured
        by a clock that says nothing: then that of its boot counts.
        """
        ahead_ns = told.start_ns - told.boottime_start_ns
        # Its end may be by another clock.
        late_ns = told.boottime_end_ns + ahead_ns - self._now_ns
        if late_ns <= judgement.AHEAD_NS:
            return ahead_ns
        boot = self._boots.get(told.boot_id)
        return (ahead_ns - late_ns if boot is None
                else boot.until_ns - boot.end_ns)

    def _tail(self, began_ns: int) -> list[Hole]:
        """What may have been of the newest boot until the next one began.

        :param began_ns: wall clock.
        """
        name = self.newest or ''
        boot = self._boots.get(name)
        if boot is None:
            return []
        ahead_ns = boot.until_ns - boot.end_ns
        return [Hole(name, boot.end_ns, began_ns - ahead_ns, ahead_ns)]

    def write(self, connection: sa.Connection, host_id: int) -> None:
        bulk.upsert(connection, models.boots, [
            (host_id, name, *self._boots[name]) for name in self._changed],
            replace=_COLUMNS)


_COLUMNS = ('boottime_end_ns', 'known_boottime_start_ns',
            'known_boottime_end_ns', 'known_until_ns')


def columns() -> list[sa.Column[Any]]:
    """What :func:`boot_of` needs of ``boots``."""
    return [models.boots.c[name] for name in _COLUMNS]


def boot_of(row: sa.Row[Any]) -> Boot:
    return Boot(*(row._mapping[name] for name in _COLUMNS))


def read(connection: sa.Connection, host: sa.Row[Any],
         boot_ids: Iterable[str], now_ns: int) -> Known:
    """What is known of some boots of a host, and of its newest."""
    boots = models.boots.c
    rows = connection.execute(sa.select(boots.boot_id, *columns()).where(
        boots.host_id == host.id, boots.boot_id.in_(sorted(
            {*boot_ids, host.boot_id or ''}))))
    return Known({row.boot_id: boot_of(row) for row in rows}, host.boot_id,
                 now_ns)


def tells(window: samples.Window | None,
          received_ns: int) -> Told | None:
    """Which time a record says it is of, true or not."""
    if (window is None or not window.boot_id
            or len(window.boot_id) > _BOOT_CHARACTERS
            or judgement.unclean(window.boot_id) is not None
            or not (0 <= window.boottime_start_ns <= window.boottime_end_ns
                    <= received_ns)):
        return None
    return told(window)


def told(record: samples.Window | sa.Row[Any]) -> Told:
    """What a window says, or the row of one in quarantine."""
    return Told(*(getattr(record, name) for name in Told._fields))
