# SPDX-License-Identifier: Apache-2.0
"""What a host draws beside its packages and memory, by bucket.  Pure.

Node energy minus RAPL energy: fans, disks, network, the loss of the power
supply.  Signed and never clamped: two meters that disagree for a while
agree in the sum, and a clamp would make energy of their noise.

An interval of a node meter that is not longer than a bucket is divided
evenly over its time.  A longer one goes over its buckets as package and
DRAM energy went, as the term goes over the accounts: evenly, a busy quarter
would lose to the idle ones beside it.  Both by the running sum at each edge,
rounded down, so that what one bucket lacks the next one has and any
partition adds up.

No SQL; who gets how much of it stands in ``ledger.platform``.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from energy_accounting import units
from energy_accounting.facility import amounts, places


class Term(NamedTuple):
    """A meter that the node's energy is a sum of.

    :ivar sign: 1 or -1.
    :ivar intervals: in order of time.
    :ivar service_ns: when it was there.
    """

    sign: int
    intervals: Sequence[amounts.Interval]
    service_ns: places.Service = places.ALWAYS


class Seen(NamedTuple):
    """What node meters saw of a bucket.

    :ivar node_uj: in the part of the bucket that they cover.
    :ivar platform_uj: None: nobody can know, for a meter does not cover the
        bucket, or RAPL does not cover all that a meter's interval does.
    """

    node_uj: int
    platform_uj: int | None


def by_bucket(terms: Iterable[Term], whole_uj: Mapping[int, int],
              start: int, end: int) -> dict[int, Seen]:
    """What was seen of each bucket of [start, end) that a meter covers.

    :param whole_uj: RAPL energy of the buckets that it measured in full, of
        all buckets that any interval touches.
    """
    node_uj: dict[int, int] = {}
    unknown: set[int] = set()
    terms = list(terms)
    covered = {*places.buckets(places.known(
        ((term.service_ns, amounts.joined(term.intervals))
         for term in terms), start * units.BUCKET_NS,
        end * units.BUCKET_NS))}
    for term in terms:
        for one in term.intervals:
            parts = list(_parts(one))
            known = _is_short(one) or all(
                bucket in whole_uj for bucket, _ in parts)
            for (bucket, _), amount in zip(
                    parts, _divided(one, parts, whole_uj if known else {}),
                    strict=True):
                if not start <= bucket < end:
                    continue
                node_uj[bucket] = (node_uj.get(bucket, 0)
                                   + term.sign * amount)
                if not known:
                    unknown.add(bucket)
    covered -= unknown
    found = {bucket: energy_uj - whole_uj[bucket]
             for bucket, energy_uj in node_uj.items()
             if bucket in whole_uj and bucket in covered}
    return {bucket: Seen(energy_uj, found.get(bucket))
            for bucket, energy_uj in sorted(node_uj.items())}


def reach(terms: Iterable[Term], buckets: Iterable[int]) -> set[int]:
    """The buckets whose term changes when RAPL energy of some does.

    These, and all that a long interval shares with them.
    """
    found = set(buckets)
    for one in itertools.chain.from_iterable(
            term.intervals for term in terms):
        if not _is_short(one):
            touched = {bucket for bucket, _ in _parts(one)}
            if not touched.isdisjoint(buckets):
                found |= touched
    return found


def _is_short(one: amounts.Interval) -> bool:
    return one.end_ns - one.start_ns <= units.BUCKET_NS


def _parts(one: amounts.Interval) -> Iterable[tuple[int, int]]:
    """The buckets that an interval touches, and for how long."""
    for bucket in range(units.bucket_of(one.start_ns),
                        units.bucket_of(one.end_ns - 1) + 1):
        first_ns = bucket * units.BUCKET_NS
        yield bucket, (min(one.end_ns, first_ns + units.BUCKET_NS)
                       - max(one.start_ns, first_ns))


def _divided(one: amounts.Interval, parts: Sequence[tuple[int, int]],
             whole_uj: Mapping[int, int]) -> Iterable[int]:
    """An interval's amount over its parts."""
    weights = [spent_ns for _, spent_ns in parts]
    if not _is_short(one):
        # Of a bucket at its end the part that the interval has of it.
        by_energy = [whole_uj.get(bucket, 0) * spent_ns
                     for bucket, spent_ns in parts]
        if any(by_energy):
            weights = by_energy
    total, run, before = sum(weights), 0, 0
    for weight in weights:
        run += weight
        until = one.amount * run // total
        yield until - before
        before = until
