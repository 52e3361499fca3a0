# SPDX-License-Identifier: Apache-2.0
"""Exports as they are answered; no query here."""

from __future__ import annotations

from typing import Any

from energy_accounting.exports import publishing, sending
from energy_accounting.ledger import exports as outbox
from energy_accounting.report import times


def row(one: outbox.Export) -> dict[str, Any]:
    """An export of a list."""
    return {
        'id': one.export, 'target': one.target, 'options': dict(one.options),
        'period': one.period, 'timezone': one.time_zone,
        'project_id': one.project_id or None,
        'all_projects': one.project_id is None, 'state': one.state,
        'done': one.done, 'total': one.total, 'error': one.error,
        'created_at': times.iso(one.created_ns),
        'changed_at': times.iso(one.changed_ns), 'actor': one.actor,
        'destination': one.destination, 'digest': one.digest}


def shown(one: outbox.Export) -> dict[str, Any]:
    """An export with its files."""
    return {
        **row(one),
        'files': [{name: each[name] for name in (
            'name', 'bytes', 'rows', 'sha256')} for each in one.artifacts],
        'manifest': sending.name_of(one) + publishing.MANIFEST
        if one.artifacts else None}
