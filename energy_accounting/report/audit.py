# SPDX-License-Identifier: Apache-2.0
"""Who changed what, in the words of an operator.  Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from energy_accounting.report import times

if TYPE_CHECKING:
    from energy_accounting.ledger import audit as ledger


def row(entry: ledger.Entry) -> dict[str, Any]:
    """A change; None where there was nothing, or is nothing any more."""
    return {'at': times.iso(entry.at_ns), 'actor': entry.actor,
            'request_id': entry.request_id, 'kind': entry.kind,
            'subject': entry.subject, 'was': entry.was,
            'became': entry.became}
