# SPDX-License-Identifier: Apache-2.0
"""What meters measured: their readings and events, together.

By bucket, and of a site so that nothing is added twice.  How an amount
follows from readings is in ``amounts``.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence

import sqlalchemy as sa

from energy_accounting import units
from energy_accounting.facility import (
    amounts,
    grains,
    meter_events,
    meters,
    quantities,
    readings,
)


def measured(connection: sa.Connection, meter: meters.Meter,
             start_ns: int | None, end_ns: int | None, as_of_ns: int,
             terms: Iterable[meters.Meter] | None = None,
             ) -> amounts.Measured:
    """What a meter says was used in a time, and just around it.

    :param terms: among which those of a virtual meter are, as they are to
        be read; None: as they are now.
    :param start_ns: None: from its first reading on.
    :param end_ns: None: to its last one.
    """
    if meter.kind == quantities.VIRTUAL:
        known = {one.name: one for one in terms or ()}
        return amounts.combined([
            (sign, measured(
                connection, known[name] if terms is not None
                else meters.found(connection, name),
                start_ns, end_ns, as_of_ns))
            for name, sign in meter.terms])
    quantity = meter.quantity
    return amounts.measured(
        meter.kind,
        readings.around(connection, meter, start_ns, end_ns, as_of_ns),
        [amounts.Event(
            event.at_ns, event.kind, *(
                None if value is None else quantity.exact(value)
                for value in (event.end_value, event.start_value)))
         for event in meter_events.events(
             connection, meter.id, as_of_ns=as_of_ns)],
        rollover=None if meter.rollover is None
        else quantity.exact(meter.rollover),
        max_rate=None if meter.max_rate is None
        else quantity.exact(meter.max_rate))


@dataclasses.dataclass(frozen=True, slots=True)
class Amounts:
    """What one meter measured in a range of buckets.

    :ivar whole: by bucket, of those that it measured throughout.
    :ivar inside: the meter of the same role that has measured this too (its
        parent, or a virtual one that it is part of): not to be added to it.
    :ivar coarse: by bucket, of what measurement it is but a share.
    """

    meter: meters.Meter
    whole: dict[int, int]
    inside: str | None
    coarse: Mapping[int, amounts.Span] = dataclasses.field(
        default_factory=dict)


def amounts_of(connection: sa.Connection, site: str, roles: Iterable[str],
               start_bucket: int, end_bucket: int, as_of_ns: int,
               ) -> dict[str, list[Amounts]]:
    """What the meters of a site measured in [start_bucket, end_bucket).

    Reads the readings of this time and those next to it, no others.

    :returns: by role, each of those asked for, in the order of the meters'
        names; microjoules, or millilitres of water.
    """
    start_ns = start_bucket * units.BUCKET_NS
    end_ns = end_bucket * units.BUCKET_NS
    wanted = sorted(set(roles))
    every = meters.as_of(connection, site, as_of_ns)
    found = [meter for meter in every if meter.role in wanted]
    inside = counted_by(found, every)
    answer: dict[str, list[Amounts]] = {role: [] for role in wanted}
    for meter in found:
        said = measured(connection, meter, start_ns, end_ns, as_of_ns,
                        every)
        answer[meter.role].append(Amounts(
            meter,
            amounts.whole(said.intervals, start_bucket, end_bucket),
            inside.get(meter.name),
            grains.coarse(said.intervals, start_bucket, end_bucket)))
    return answer


def counted_by(found: Sequence[meters.Meter],
               every: Iterable[meters.Meter]) -> dict[str, str]:
    """Which of the meters have measured what another of them did, too.

    :param found: those that are to be added, by role.
    :param every: all of the site.
    :returns: by name, the meter of the same role that counts instead.
    """
    roles = {meter.name: meter.role for meter in found}
    parents = {meter.name: meter.parent for meter in every}
    inside: dict[str, str] = {}
    for meter in found:
        for name, _ in meter.terms:
            if roles.get(name) == meter.role:
                inside[name] = meter.name
    for meter in found:
        above = meter.parent
        while above is not None:
            if roles.get(above) == meter.role:
                inside.setdefault(meter.name, above)
                break
            above = parents[above]
    return inside


def together(of_role: Iterable[Amounts], buckets: range) -> dict[int, int]:
    """The meters of one role added up, none of them twice.

    Of the buckets that every meter which was in service measured
    throughout; not of those in which none was.
    """
    counted = [(one.whole, meters.buckets_in_service(one.meter, buckets))
               for one in of_role if one.inside is None]
    if all(there == buckets for _, there in counted):
        return added([series for series, _ in counted])
    found = {}
    for bucket in buckets:
        parts = [series.get(bucket) for series, there in counted
                 if bucket in there]
        if parts and None not in parts:
            found[bucket] = sum(part or 0 for part in parts)
    return found


def added(series: Iterable[Mapping[int, int]]) -> dict[int, int]:
    """The sum of series where all of them are known."""
    found: dict[int, int] | None = None
    for one in series:
        found = dict(one) if found is None else {
            bucket: amount + one[bucket] for bucket, amount in found.items()
            if bucket in one}
    return found or {}


def grains_of(found: Iterable[Amounts]) -> dict[int, grains.Grain]:
    """How coarsely the sum of meters was measured; not where it was not."""
    counted = [(one.coarse, one.whole) for one in found
               if one.inside is None]
    said = {}
    for bucket in set().union(*(coarse for coarse, _ in counted)):
        grain = grains.grain([
            (coarse.get(bucket), whole.get(bucket, 0))
            for coarse, whole in counted])
        if grain is not None:
            said[bucket] = grain
    return said
