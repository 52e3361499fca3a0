# SPDX-License-Identifier: Apache-2.0
"""Factors and contracts, as they are answered.  Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from energy_accounting.report import times

if TYPE_CHECKING:
    from energy_accounting.facility import contract_store, factor_revisions


def row(kept: factor_revisions.Kept) -> dict[str, Any]:
    """A factor; None where it has none, or where it still counts."""
    one = kept.factor
    return {
        'id': kept.id, 'kind': one.kind, 'zone': one.zone, 'site': one.site,
        'carrier': one.carrier, 'basis': one.basis, 'method': one.method,
        'signal': one.signal, 'start': times.iso(one.start_ns),
        'end': times.iso(one.end_ns), 'value': format(one.value, 'f'),
        'unit': one.unit, 'quality': one.quality, 'provider': one.provider,
        'source': one.source, 'revision': one.revision,
        'retrieved_at': times.iso(one.retrieved_ns),
        'recorded_at': times.iso(kept.recorded_ns),
        'superseded_at': times.iso(kept.superseded_ns)}


def contract(kept: contract_store.Kept) -> dict[str, Any]:
    """A contract; ``superseded_at`` None: it counts."""
    one = kept.contract
    return {
        'id': kept.id, 'site': one.site, 'instrument': one.instrument,
        'start': times.iso(one.start_ns), 'end': times.iso(one.end_ns),
        'share': format(one.share, 'f'),
        'kg_per_kwh': format(one.kg_per_kwh, 'f'), 'basis': one.basis,
        'renewable': one.renewable, 'retired': one.retired,
        'evidence': one.evidence, 'recorded_at': times.iso(kept.recorded_ns),
        'superseded_at': times.iso(kept.superseded_ns)}
