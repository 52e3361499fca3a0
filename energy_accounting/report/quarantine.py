# SPDX-License-Identifier: Apache-2.0
"""Records in quarantine in the words of an operator.  Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from energy_accounting import units, wire
from energy_accounting.report import times

if TYPE_CHECKING:
    from energy_accounting.ledger import quarantine as ledger


def row(one: ledger.Kept) -> dict[str, Any]:
    """A record of a list; None where it does not say."""
    return {
        'id': one.id, 'host': one.host, 'stream': one.stream,
        'sequence': one.sequence, 'state': one.state, 'code': one.code,
        'reason': one.reason, 'received_at': times.iso(one.received_ns),
        'start': times.iso(one.start_ns), 'end': times.iso(one.end_ns),
        'energy_uj': (None if one.energy_uj is None
                      else str(one.energy_uj)),
        'energy_kwh': (None if one.energy_uj is None
                       else units.kwh_text(one.energy_uj)),
        'decided_at': times.iso(one.decided_at_ns)}


def shown(one: ledger.KeptWhole) -> dict[str, Any]:
    """A record with all that is kept of it."""
    return {
        **row(one.kept), 'digest': one.digest,
        'public_key': one.public_key or None, 'signature': one.signature,
        'signed_by_host': one.own,
        'payload_as_came': wire.digest(one.payload) == one.digest,
        'payload': one.payload}
