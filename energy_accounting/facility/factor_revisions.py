# SPDX-License-Identifier: Apache-2.0
"""What recording a batch of factors comes to: what is new, what counts no
more, what contradicts.  Pure; what is kept is read by
:mod:`.factor_store`.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from energy_accounting import errors, units
from energy_accounting.facility import factors


class Problem(NamedTuple):
    """What is wrong with a row of a batch.

    :ivar row: its place, the first being 0.
    :ivar field: empty of the row as a whole.
    """

    row: int
    field: str
    text: str


class Kept(NamedTuple):
    """A factor as it stands recorded.

    :ivar superseded_ns: since when it counts no more; None: it counts.
    """

    id: int
    factor: factors.Factor
    recorded_ns: int
    superseded_ns: int | None = None


class Plan(NamedTuple):
    """What recording a batch comes to.

    :ivar append: those that are new.
    :ivar supersede: those that count no more then.
    :ivar unchanged: how many are recorded as they are.
    """

    append: list[factors.Factor]
    supersede: list[Kept]
    unchanged: int


def within(batch: Sequence[factors.Factor]) -> list[Problem]:
    """What is wrong with rows by themselves, and among each other."""
    found = [Problem(row, *fault) for row, factor in enumerate(batch)
             for fault in factors.faults(factor)]
    if found:
        return found
    for rows in _alike(batch).values():
        latest = rows[0]
        for row in rows[1:]:
            if batch[row].start_ns < batch[latest].end_ns:
                found.append(Problem(
                    row, 'start', 'it overlaps another row of the same '
                    f'{batch[row].series} and quality, '
                    f'{_period(batch[latest])}: give each time once'))
            if batch[row].end_ns > batch[latest].end_ns:
                latest = row
    return sorted(found)


def plan(batch: Sequence[factors.Factor], known: Iterable[Kept], *,
         replace: bool = False) -> tuple[Plan, list[Problem]]:
    """What recording a batch comes to, and what speaks against it.

    The same time, provider, value and source: nothing is to be done.
    Another value of the same time and provider is a revision, which
    supersedes.  Any other overlap of the same series and quality is a
    contradiction.

    :param batch: of which :func:`within` finds nothing.
    :param known: at least all that count now and overlap.
    :param replace: supersede what contradicts as well, where the batch
        covers all of its time.
    """
    append, problems, unchanged = [], [], 0
    supersede: dict[int, Kept] = {}
    kept: dict[Any, list[Kept]] = {}
    for one in sorted(known, key=lambda one: one.factor.start_ns):
        kept.setdefault((one.factor.series, one.factor.quality),
                        []).append(one)
    for key, rows in _alike(batch).items():
        covered = _joined(batch[row] for row in rows)
        waiting = kept.get(key, [])
        first = 0
        for row in rows:
            new = batch[row]
            while (first < len(waiting)
                   and waiting[first].factor.end_ns <= new.start_ns):
                first += 1
            overlapping = []
            for one in itertools.islice(waiting, first, None):
                if one.factor.start_ns >= new.end_ns:
                    break
                overlapping.append(one)
            if any(_same(one.factor, new) for one in overlapping):
                unchanged += 1
                continue
            for one in overlapping:
                if _revises(new, one.factor) or (replace and any(
                        start <= one.factor.start_ns
                        and one.factor.end_ns <= end
                        for start, end in covered)):
                    supersede[one.id] = one
                else:
                    problems.append(Problem(row, 'start', _contradiction(
                        new, one, replace)))
                    break
            else:
                append.append((row, new))
    return (Plan([new for _, new in sorted(append, key=lambda at: at[0])],
                 list(supersede.values()), unchanged), sorted(problems))


def _alike(batch: Sequence[factors.Factor],
           ) -> dict[tuple[factors.Series, str], list[int]]:
    """The rows of each series and quality, by time."""
    found: dict[tuple[factors.Series, str], list[int]] = {}
    for row in sorted(range(len(batch)),
                      key=lambda row: (batch[row].start_ns, row)):
        found.setdefault((batch[row].series, batch[row].quality),
                         []).append(row)
    return found


def _same(old: factors.Factor, new: factors.Factor) -> bool:
    return _revises(new, old) and (old.value, old.source) == (new.value,
                                                              new.source)


def _revises(new: factors.Factor, old: factors.Factor) -> bool:
    return (old.start_ns, old.end_ns, old.provider) == (
        new.start_ns, new.end_ns, new.provider)


def _contradiction(new: factors.Factor, old: Kept, replace: bool) -> str:
    text = (f'{old.factor.value:f} {old.factor.unit} of '
            f'{old.factor.provider} is recorded as {old.factor.quality} of '
            f'{_period(old.factor)} (id {old.id})')
    return (f'{text}, and is not wholly covered: give factors for all of '
            'its time' if replace else
            f'{text}: give a time or a quality that has none, or replace it')


def _period(factor: factors.Factor) -> str:
    return ' to '.join(units.iso(units.moment(moment))
                       for moment in (factor.start_ns, factor.end_ns))


def _joined(factors: Iterable[factors.Factor]) -> list[tuple[int, int]]:
    """The time that factors cover, in order."""
    found: list[tuple[int, int]] = []
    for start, end in sorted((one.start_ns, one.end_ns) for one in factors):
        if found and start <= found[-1][1]:
            found[-1] = found[-1][0], max(found[-1][1], end)
        else:
            found.append((start, end))
    return found


def refuse(problems: Sequence[Problem], name: Callable[[int], str],
           most: int = 20) -> None:
    """Do nothing when there are no problems.

    :param name: what a row is called where it came from.
    :raises errors.InvalidRequest: names rows, fields and remedies.
    """
    if not problems:
        return
    lines = [', '.join(filter(None, (name(one.row), one.field)))
             + f': {one.text}' for one in problems[:most]]
    if len(problems) > most:
        lines.append(f'and {len(problems) - most} more')
    raise errors.InvalidRequest(
        f'nothing was recorded: {"; ".join(lines)}')
