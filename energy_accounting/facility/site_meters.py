# SPDX-License-Identifier: Apache-2.0
"""What the meters of a site read in a period, for its key figures: SQL."""

from __future__ import annotations

import collections
import fractions
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from energy_accounting import errors, units
from energy_accounting.facility import (
    amounts,
    contracts,
    inputs,
    meter_amounts,
    meters,
    places,
    quantities,
)
from energy_accounting.facility.asked import Asked
from energy_accounting.facility.inputs import Amount, Missing

_SHOWN = 3
"""So many times without data of a meter are told one by one."""


class Said(NamedTuple):
    """What a meter read around the period."""

    meter: meters.Meter
    measured: amounts.Measured


def counted(said: Sequence[Said], every: Iterable[meters.Meter],
            section: str | None) -> list[Said]:
    """Those that are to be added: none that another has measured.

    A meter of a section is one of that section alone: whether the
    sections are all of the site, a virtual meter says.
    """
    of = [one for one in said if one.meter.section == section]
    inside = meter_amounts.counted_by([one.meter for one in of], every)
    return [one for one in of if one.meter.name not in inside]


def by_role(asked: Asked, said: Iterable[Said], section: str,
            roles: Iterable[str],
            ) -> dict[tuple[str, str], Amount | Missing]:
    """By section and role, of the roles that have meters."""
    found: dict[str, list[Said]] = collections.defaultdict(list)
    for one in said:
        found[one.meter.role].append(one)
    return {(section, role): _amount(asked, role, found[role], section)
            for role in roles if found[role]}


def _amount(asked: Asked, role: str, said: Sequence[Said],
            section: str) -> Amount | Missing:
    """The meters of a role together over the whole period."""
    longest_ns = [_share(asked, one).longest_ns for one in said]

    def within(spans: inputs.Spans,
               ) -> tuple[int, fractions.Fraction]:
        parts = [share for one in said
                 for share in shares(one.measured, spans)]
        value = sum(share.amount for share in parts)
        estimated = sum(share.estimated for share in parts)
        # Of a sum with differences in it parts may be larger.
        return value, (min(fractions.Fraction(max(estimated, 0), value),
                           fractions.Fraction(1)) if value > 0
                       else fractions.Fraction(bool(estimated)))

    # Supplies come and go; the first is always there.
    covered = places.known(
        (one.measured.part for one in said), asked.start_ns, asked.end_ns,
        absent_is_none=role in inputs.OCCASIONAL)
    value, estimated = within(covered)
    try:
        return Amount(
            role, value, asked.period,
            meters=tuple(asked.label(one.meter) for one in said),
            coverage=inputs.share_of(asked.period, covered),
            estimated=estimated, section=section,
            reading_seconds=inputs.longest(
                -(-one // units.NS_PER_S) or None
                for one in longest_ns),
            source=inputs.Source(covered, within))
    except errors.FigureRefused as error:
        return Missing(role, str(error).removeprefix(f'{role}: '))


def _share(asked: Asked, one: Said) -> amounts.Share:
    (share,) = amounts.divided(one.measured.intervals,
                               [asked.start_ns, asked.end_ns])
    return share


def remarks(asked: Asked, one: Said, every: Iterable[meters.Meter],
            ) -> tuple[str, ...]:
    """Which time a meter says nothing of, and why."""
    there = units.without(asked.start_ns, asked.end_ns, places.out(
        one.measured.service, asked.start_ns, asked.end_ns))
    known = [(part.start_ns, part.end_ns)
             for part in one.measured.intervals]
    holes = [hole for part in there
             for hole in units.without(*part, known)]
    label = asked.called(one.meter)
    if one.meter.kind == quantities.VIRTUAL:
        said = _remarks_of_terms(asked, one.meter, holes[:_SHOWN], every)
    else:
        said = [f'{label}: {_why(one.measured, hole)} '
                f'({contracts.period(*hole)})'
                for hole in holes[:_SHOWN]]
    if len(holes) > _SHOWN:
        said.append(f'{label}: {len(holes) - _SHOWN} more times without '
                    'data')
    return tuple(said)


def _remarks_of_terms(asked: Asked, of: meters.Meter,
                      holes: Sequence[tuple[int, int]],
                      every: Iterable[meters.Meter]) -> list[str]:
    """Of a sum nothing is read: what it lacks, a term lacks."""
    names = {name for name, _ in of.terms} if holes else ()
    said = []
    for term in every:
        if term.name not in names:
            continue
        measured = meter_amounts.measured(
            asked.connection, term, asked.start_ns, asked.end_ns,
            asked.as_of_ns)
        lacking = units.without(
            asked.start_ns, asked.end_ns, [
                *places.out(measured.service, asked.start_ns, asked.end_ns),
                *amounts.joined(measured.intervals)])
        said += [f'{asked.called(term)}, a term of {asked.called(of)}: '
                 f'{_why(measured, hole)} ({contracts.period(*hole)})'
                 for hole in amounts.both(holes, lacking)]
    return said


def shares(measured: amounts.Measured,
           spans: inputs.Spans) -> list[amounts.Share]:
    """What was measured in each of some times."""
    return amounts.divided(measured.intervals, [
        edge for span in spans for edge in span])[::2]


def _why(measured: amounts.Measured, hole: tuple[int, int]) -> str:
    """Why a time has no data."""
    for question in measured.questions:
        if question.start_ns < hole[1] and hole[0] < question.end_ns:
            return (f'a {question.kind} of its counter that nobody has '
                    'decided about')
    for gap in measured.gaps:
        if (gap.reason == amounts.UNKNOWN and gap.start_ns < hole[1]
                and hole[0] < gap.end_ns):
            return 'what it showed when it was exchanged is not known'
    return 'no readings'
