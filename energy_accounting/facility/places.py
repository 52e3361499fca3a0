# SPDX-License-Identifier: Apache-2.0
"""When meters were at their places, and what that says of a sum of them.

Pure.  One rule for all that adds meters up: a sum is known while each meter
that was at its place was measured, and one was.  A meter that was not there
yet, or any more, adds nothing and takes nothing away.  What was measured is
in ``amounts``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from energy_accounting import units

Span = tuple[int, int]
"""A half-open time, in nanoseconds."""

Service = tuple[int | None, int | None]
"""When a meter was at its place: installed, removed; None: always."""

ALWAYS: Service = (None, None)


def out(service: Service, start_ns: int, end_ns: int) -> list[Span]:
    """When of [start_ns, end_ns) a meter was not at its place."""
    installed_ns, removed_ns = service
    came_ns = (start_ns if installed_ns is None
               else min(max(installed_ns, start_ns), end_ns))
    left_ns = (end_ns if removed_ns is None
               else min(max(removed_ns, came_ns), end_ns))
    return [span for span in ((start_ns, came_ns), (left_ns, end_ns))
            if span[0] < span[1]]


def known(parts: Iterable[tuple[Service, Sequence[Span]]], start_ns: int,
          end_ns: int, *, absent_is_none: bool = False) -> list[Span]:
    """When of [start_ns, end_ns) a sum of meters is known.

    :param parts: of each meter: when it was there, and when it was measured.
    :param absent_is_none: whether nothing is used while no meter is there,
        as of a generator before it came; else nobody knows.
    """
    holes: list[Span] = []
    there: list[Span] = []
    for service, measured in parts:
        away = out(service, start_ns, end_ns)
        holes += units.without(start_ns, end_ns, [*away, *measured])
        there += units.without(start_ns, end_ns, away)
    if not absent_is_none:
        holes += units.without(start_ns, end_ns, there)
    return units.without(start_ns, end_ns, holes)


def buckets(spans: Iterable[Span]) -> Iterator[int]:
    """The whole quarters of an hour in some times."""
    for start_ns, end_ns in spans:
        yield from range(-(-start_ns // units.BUCKET_NS),
                         end_ns // units.BUCKET_NS)
