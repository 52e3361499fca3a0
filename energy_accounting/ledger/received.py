# SPDX-License-Identifier: Apache-2.0
"""A record on its way into the ledger: as it came and as it was judged.

What judges (the collector) hands it to what books and what quarantines.
Only the fact: no judgement, no query.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from energy_accounting import samples

# Kinds of problems; they never change, for filters and for counters.
SCHEMA = 'schema'
NEWER = 'newer'
SUM = 'sum'
IMPLAUSIBLE = 'implausible'
FUTURE = 'future'
CONFLICT = 'conflict'
OVERLAP = 'overlap'
KEY = 'key'
NOT_ENROLLED = 'not_enrolled'
REFUSED = 'refused'
TOO_LARGE = 'too_large'
CODES = (SCHEMA, NEWER, SUM, IMPLAUSIBLE, FUTURE, CONFLICT, OVERLAP, KEY,
         NOT_ENROLLED, REFUSED, TOO_LARGE)
TAKEN = (CONFLICT, OVERLAP)
"""Something else has the number or the time: most likely the energy too."""


class Problem(NamedTuple):
    """Why a record is not booked.

    :ivar code: one of :data:`CODES`.
    :ivar text: the same for people.
    """

    code: str
    text: str


class Record(NamedTuple):
    """One record of a stream.

    :ivar key: the public key that vouches for it; '' when none does.
    :ivar signature: as it came.
    :ivar last: the last number it stands for; ``sequence`` for a window.
    :ivar window: None for a lost record and for one that is no window.
    :ivar problem: why it cannot be booked whatever its turn, or None.
    """

    text: str
    digest: str
    key: str
    signature: str
    host: str
    machine_id: str
    stream: str
    sequence: int
    last: int
    window: samples.Window | None
    problem: Problem | None

    @property
    def lost(self) -> bool:
        return self.window is None and self.problem is None


def span(window: samples.Window | None) -> dict[str, Any]:
    """The columns that say which boottime a record is of; None: of none."""
    return {name: None if window is None else getattr(window, name)
            for name in ('boot_id', 'boottime_start_ns', 'boottime_end_ns')}
