# SPDX-License-Identifier: Apache-2.0
"""A record on its way into the ledger: as it came and as it was judged.

What judges (the collector) hands it to what books and what quarantines.
Only the fact: no judgement, no query.
"""

from __future__ import annotations

from typing import NamedTuple

from energy_accounting import samples


class Record(NamedTuple):
    """One record of a stream.

    :ivar last: the last number it stands for; ``sequence`` for a window.
    :ivar window: None for a lost record and for one that is no window.
    :ivar problem: why it cannot be booked whatever its turn, or None.
    """

    text: str
    digest: str
    host: str
    machine_id: str
    stream: str
    sequence: int
    last: int
    window: samples.Window | None
    problem: str | None

    @property
    def lost(self) -> bool:
        return self.window is None and self.problem is None
