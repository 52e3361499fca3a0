# SPDX-License-Identifier: Apache-2.0
"""Moments, as every report writes them.  Pure."""

from __future__ import annotations

from energy_accounting import units


def iso(wall_ns: int | None) -> str | None:
    """A moment in UTC; None for none, or for one that no calendar has."""
    try:
        return None if wall_ns is None else units.iso(units.moment(wall_ns))
    except OverflowError:
        return None
