# SPDX-License-Identifier: Apache-2.0
"""What fed a site in a period, by carrier, for its key figures.

As usage rows have it (``supplies``), of the meters that a figure counts.
"""

from __future__ import annotations

from collections.abc import Sequence

from energy_accounting.facility import inputs, meter_amounts, supplies
from energy_accounting.facility.asked import Asked
from energy_accounting.facility.site_meters import Said

CARRIERS = (*inputs.SUPPLIES, 'grid_export')


def metered(asked: Asked, counted: Sequence[Said],
            ) -> supplies.Metered | None:
    """By quarter of an hour; None: the site has no such meter."""
    return supplies.metered({role: [
        meter_amounts.of(one.meter, one.measured, asked.buckets)
        for one in counted if one.meter.role == role]
        if role in CARRIERS else []
        for role in supplies.ROLES}, asked.buckets)
