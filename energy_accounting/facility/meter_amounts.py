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
    places,
    quantities,
    readings,
)


def measured(connection: sa.Connection, meter: meters.Meter,
             start_ns: int | None, end_ns: int | None, as_of_ns: int,
             terms: Iterable[meters.Meter] | None = None,
             ) -> amounts.Measured:
    """What a meter says was used at its place in a time, and around it.

    :param terms: among which those of a virtual meter are, as they are to
        be read; None: as they are now.
    :param start_ns: None: from its first reading on.
    :param end_ns: None: to its last one.
    """
    if meter.kind == quantities.VIRTUAL:
        known = {one.name: one for one in terms or ()}
        return amounts.placed(amounts.combined([
            (sign, measured(
                connection, known[name] if terms is not None
                else meters.found(connection, name),
                start_ns, end_ns, as_of_ns))
            for name, sign in meter.terms]), meter.kind, meter.service)
    quantity = meter.quantity
    return amounts.placed(amounts.measured(
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
        else quantity.exact(meter.max_rate)), meter.kind, meter.service)


@dataclasses.dataclass(frozen=True, slots=True)
class Amounts:
    """What one meter measured in a range of buckets.

    :ivar whole: by bucket, of those that it measured throughout, as long as
        it was there.
    :ivar measured: when it was there and when it was measured.
    :ivar inside: the meter of the same role that has measured this too (its
        parent, or a virtual one that it is part of): not to be added to it.
    :ivar coarse: by bucket, of what measurement it is but a share.
    """

    meter: meters.Meter
    whole: dict[int, int]
    measured: tuple[places.Service, Sequence[places.Span]]
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
        answer[meter.role].append(of(
            meter, measured(connection, meter, start_ns, end_ns, as_of_ns,
                            every),
            range(start_bucket, end_bucket), inside.get(meter.name)))
    return answer


def of(meter: meters.Meter, said: amounts.Measured, buckets: range,
       inside: str | None = None) -> Amounts:
    """What one meter measured (:func:`measured`), by bucket."""
    return Amounts(
        meter, amounts.whole(said.intervals, buckets.start, buckets.stop,
                             said.service),
        said.part, inside,
        grains.coarse(said.intervals, buckets.start, buckets.stop))


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


def together(of_role: Iterable[Amounts], buckets: range, *,
             absent_is_none: bool = False) -> dict[int, int]:
    """The meters of one role added up, none of them twice.

    Of the buckets in all of which their sum is known.

    :param absent_is_none: as :func:`places.known` has it.
    """
    counted = [one for one in of_role if one.inside is None]
    if all(one.measured[0] == places.ALWAYS for one in counted):
        return added(one.whole for one in counted)
    known = places.known(
        (one.measured for one in counted), buckets.start * units.BUCKET_NS,
        buckets.stop * units.BUCKET_NS, absent_is_none=absent_is_none)
    return {bucket: sum(one.whole.get(bucket, 0) for one in counted)
            for bucket in places.buckets(known)}


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
