# SPDX-License-Identifier: Apache-2.0
"""What a report must be equal to: the same, bucket by bucket, in fractions.

Written to be read, not to be fast.  No assertion belongs here.
"""

from __future__ import annotations

import fractions
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from energy_accounting import units
from energy_accounting.facility import amounts, carbon, meters, supply


def by_bucket(intervals: Sequence[amounts.Interval], start: int, end: int,
              ) -> dict[int, amounts.Share]:
    """What was used in each bucket of [start, end) that is covered."""
    shares = amounts.divided(intervals, [bucket * units.BUCKET_NS
                                         for bucket in range(start, end + 1)])
    return {bucket: share for bucket, share
            in zip(range(start, end), shares, strict=True)
            if share.covered_ns}


class Said(NamedTuple):
    """A meter, the one that has measured it too, and what it read there."""

    meter: meters.Meter
    inside: str | None
    intervals: Sequence[amounts.Interval]


def amount(found: Sequence[Said], bucket: int, *, absent: int | None,
           ) -> int | None:
    """What meters of a role measured together; None: nobody knows.

    :param absent: what it is while none of them is there.
    """
    edges = bucket * units.BUCKET_NS, (bucket + 1) * units.BUCKET_NS
    counted = [one for one in found if one.inside is None]
    total, there = 0, []
    for one in counted:
        (share,) = amounts.divided(one.intervals, edges)
        first_ns = max(edges[0], one.meter.installed_ns or 0)
        last_ns = min(edges[1], edges[1] if one.meter.removed_ns is None
                      else one.meter.removed_ns)
        if share.covered_ns < last_ns - first_ns:
            return None
        if first_ns < last_ns:
            there.append((first_ns, last_ns))
        total += share.amount
    if counted and not units.without(*edges, there):
        return total
    # For all of it or a part of it no meter was there.
    return None if absent is None or not counted else total


def carriers(site: Mapping[str, Sequence[Said]], bucket: int,
             ) -> dict[str, int | None]:
    """What fed a site; of a carrier with two roles the sum."""
    found: dict[str, int | None] = {}
    for role, (carrier, sign, absent) in {
            'dc_total': ('electricity', 1, None),
            'dc_generator': ('diesel', 1, 0),
            'pv_onsite': ('solar', 1, 0),
            'grid_export': ('solar' if site['pv_onsite'] else 'electricity',
                            -1, 0)}.items():
        if not site[role]:
            continue
        here = amount(site[role], bucket, absent=absent)
        before = found.get(carrier, 0)
        found[carrier] = (None if here is None or before is None
                          else before + sign * here)
    return _none_below_nothing(found)


def _none_below_nothing(found: dict[str, int | None],
                        ) -> dict[str, int | None]:
    """What one lacks is off the grid's, then off the others'."""
    known = {carrier: one for carrier, one in found.items()
             if one is not None}
    if len(known) < len(found):
        return found
    for lacking in ('solar', 'electricity'):
        for other in ('electricity', 'diesel', 'solar'):
            if other != lacking and {lacking, other} <= set(known):
                part = max(0, min(-known[lacking], known[other]))
                known[lacking] += part
                known[other] -= part
    return {**known}


def intensity(used_uj: Mapping[str, int | None],
              known: Mapping[str, carbon.Intensity],
              ) -> tuple[fractions.Fraction, str] | None:
    """The mean of a site's carriers; None: one of them is not known."""
    grid = known.get('electricity')
    if set(used_uj) <= {'electricity'}:
        return grid and (_exact(grid), grid.quality)
    if None in used_uj.values():
        return grid and (_exact(grid), _worst(grid.quality, 'estimated'))
    used = {carrier: energy_uj for carrier, energy_uj in used_uj.items()
            if energy_uj}
    if not used:
        return grid and (_exact(grid), grid.quality)
    if sum(used.values()) <= 0 or not set(used) <= set(known):
        return None
    return (sum((energy_uj * _exact(known[carrier])
                 for carrier, energy_uj in used.items()),
                fractions.Fraction(0)) / sum(used.values()),
            _worst(*(known[carrier].quality for carrier in used)))


def _exact(one: carbon.Intensity) -> fractions.Fraction:
    return fractions.Fraction(one.g_per_kwh.numerator,
                              one.g_per_kwh.denominator)


def _worst(*qualities: str) -> str:
    return max(('actual', *qualities), key=supply.QUALITIES.index)
