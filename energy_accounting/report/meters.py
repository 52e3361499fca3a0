# SPDX-License-Identifier: Apache-2.0
"""Sites, meters and readings in the words of an operator.  Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from energy_accounting.report import times

if TYPE_CHECKING:
    from energy_accounting.facility import (
    amounts,
    meter_events,
    meters,
    readings,
)
    from energy_accounting.ledger import sites


def site(one: sites.Site) -> dict[str, Any]:
    """A site."""
    return {'name': one.name, 'region': one.region,
            'time_zone': one.time_zone, 'grid_zone': one.grid_zone,
            'factor_basis': one.factor_basis}


def row(one: meters.Meter) -> dict[str, Any]:
    """A meter of a list."""
    return {
        'id': one.id, 'name': one.name, 'site': one.site,
        'medium': one.medium, 'role': one.role, 'kind': one.kind,
        'unit': one.unit, 'section': one.section, 'host': one.host,
        'parent': one.parent, 'rollover': one.rollover,
        'max_rate': one.max_rate, 'serial': one.serial,
        'accuracy_class': one.accuracy_class,
        'calibrated_until': times.iso(one.calibrated_until_ns),
        'installed_at': times.iso(one.installed_ns),
        'removed_at': times.iso(one.removed_ns),
        'source': one.source, 'source_ref': one.source_ref,
        'terms': [{'meter': name, 'sign': sign}
                  for name, sign in one.terms]}


def shown(one: meters.Meter, last: readings.Kept | None,
          questions: tuple[amounts.Question, ...]) -> dict[str, Any]:
    """A meter with what must be decided about it."""
    quantity = one.quantity
    return {
        **row(one), 'last_reading': None if last is None else reading(last),
        'questions': [
            {'start': times.iso(question.start_ns),
             'end': times.iso(question.end_ns), 'kind': question.kind,
             'was': None if question.was is None
             else quantity.text(question.was),
             'became': quantity.text(question.became)}
            for question in questions]}


def reading(one: readings.Kept) -> dict[str, Any]:
    """A reading, as it was given."""
    return {
        'id': one.id, 'at': times.iso(one.at_ns),
        'start': times.iso(one.start_ns), 'value': one.value,
        'quality': one.quality, 'source': one.source,
        'received_at': times.iso(one.received_ns),
        'superseded_at': times.iso(one.superseded_ns)}


def event(one: meter_events.KeptEvent) -> dict[str, Any]:
    """What was decided about a meter."""
    return {
        'id': one.id, 'at': times.iso(one.at_ns), 'kind': one.kind,
        'end_value': one.end_value, 'start_value': one.start_value,
        'note': one.note, 'recorded_at': times.iso(one.recorded_ns),
        'superseded_at': times.iso(one.superseded_ns)}
