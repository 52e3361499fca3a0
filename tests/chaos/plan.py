# SPDX-License-Identifier: Apache-2.0
"""What goes wrong and when: a matter of the seed alone.

Every second fault is a kill.  Names are dealt like cards, so that each
comes once before any comes again.
"""

from __future__ import annotations

import collections
import random
from collections.abc import Iterator, Sequence
from typing import NamedTuple


class Planned(NamedTuple):
    """One fault to come.

    :ivar at: seconds from the beginning.
    :ivar number: whatever else is left to chance follows from it.
    """

    at: float
    name: str
    number: int


def plan(seed: int, seconds: float, every: float,
         decks: Sequence[Sequence[str]]) -> collections.deque[Planned]:
    """Faults for that many seconds, one from each deck in turn.

    :param every: mean seconds between two of them.
    """
    chance = random.Random(seed)
    hands = [_deal(deck, chance) for deck in decks]
    planned: collections.deque[Planned] = collections.deque()
    for turn in range(int(seconds / every)):
        at = every * (turn + chance.random())
        planned.append(Planned(at, next(hands[turn % len(hands)]),
                               chance.getrandbits(32)))
    return planned


def _deal(deck: Sequence[str], chance: random.Random) -> Iterator[str]:
    while True:
        cards = list(deck)
        chance.shuffle(cards)
        yield from cards
