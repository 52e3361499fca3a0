# SPDX-License-Identifier: Apache-2.0
"""What one revision says that another does not.  Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from energy_accounting import tariffs
from energy_accounting.statements import lines


class Difference(NamedTuple):
    """A line that came, went or changed.

    :ivar was, became: None: there was no such line, or is none any more.
    """

    key: tuple[str, ...]
    was: lines.Line | None
    became: lines.Line | None


class Place(NamedTuple):
    """So many lines of both were read; what follows begins there."""

    earlier: int
    later: int


def of_lines(earlier: Iterable[lines.Line], later: Iterable[lines.Line],
             ) -> Iterator[Difference]:
    """The lines that are not the same, in the order of their keys.

    :param earlier, later: in that order, each key once.
    """
    return (one for _, one in placed(earlier, later))


def placed(earlier: Iterable[lines.Line], later: Iterable[lines.Line],
           begun: Place | None = None,
           ) -> Iterator[tuple[Place, Difference]]:
    """:func:`of_lines`, each with the place behind it.

    :param begun: so many lines of both are left out of them.
    """
    ours, theirs = iter(earlier), iter(later)
    first, second = begun or (0, 0)
    was, became = next(ours, None), next(theirs, None)
    while was is not None or became is not None:
        key = min(one.key for one in (was, became) if one is not None)
        one = Difference(
            key, was if was is not None and was.key == key else None,
            became if became is not None and became.key == key else None)
        if one.was is not None:
            was, first = next(ours, None), first + 1
        if one.became is not None:
            became, second = next(theirs, None), second + 1
        if one.was != one.became:
            yield Place(first, second), one


def amounts(was: lines.Line | None, became: lines.Line | None,
            ) -> dict[str, int | None]:
    """How much more each of the sums is; None where one is not known.

    A line that is not there has nothing; where both are not known, nothing
    changed.
    """
    return numbers(*(
        {} if line is None else {name: getattr(line, name)
                                 for name in lines.SUMMED}
        for line in (was, became)))


def numbers(was: Mapping[str, int | None], became: Mapping[str, int | None],
            ) -> dict[str, int | None]:
    found: dict[str, int | None] = {}
    for name in lines.SUMMED:
        before, after = was.get(name, 0), became.get(name, 0)
        if name in lines.ABSENT:
            # Not measured adds nothing to a sum.
            before, after = before or 0, after or 0
        if before is None or after is None:
            found[name] = 0 if before is after else None
        else:
            found[name] = after - before
    return found


def cost(was: str | None, became: str | None, digits: int) -> str | None:
    """How much more is charged; None: one of the two is not known."""
    if was is None or became is None:
        return None
    return tariffs.amount_text(
        tariffs.minor_units(became, digits)
        - tariffs.minor_units(was, digits), digits)


def of_heads(was: Mapping[str, Any], became: Mapping[str, Any],
             ) -> list[str]:
    """The parts of two heads, other than totals, that are not the same."""
    return sorted(name for name in {*was, *became} - {'totals'}
                  if was.get(name) != became.get(name))
