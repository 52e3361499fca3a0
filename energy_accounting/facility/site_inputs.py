# SPDX-License-Identifier: Apache-2.0
"""What is known of a site and a period, for its key figures: SQL.

Puts together what its meters read, what it bought, what its energy emitted
and how busy its hosts were, as of a moment; each has a module of its own.
What is made of it stands in ``site_figures``.  No clock.
"""

from __future__ import annotations

import sqlalchemy as sa

from energy_accounting.facility import (
    inputs,
    meter_amounts,
    meters,
    site_bought,
    site_emitted,
    site_meters,
    site_servers,
)
from energy_accounting.facility.asked import Asked
from energy_accounting.facility.site_figures import WHOLE, Known
from energy_accounting.ledger import sites

_OF_SECTIONS = (*inputs.SUPPLIES, 'grid_export', *inputs.CATEGORIES)


def read(connection: sa.Connection, site: sites.Site, period: inputs.Period,
         as_of_ns: int, *, names: bool = True) -> Known:
    """What is known of a site and a period.

    Meters, readings, events, factors and contracts are as they were known
    at the moment; hosts are as they are now, and so is what is booked of
    their time.

    :param site: as it was known at the moment.
    :param names: whether meters and hosts are called by their names, and
        not by numbers: tenants may not know them.
    :raises errors.FigureRefused: an edge is inside a quarter of an hour.
    """
    asked = Asked(connection, site, period, as_of_ns, names)
    every = meters.as_of(connection, site.name, as_of_ns)
    said = [
        site_meters.Said(meter, meter_amounts.measured(
            connection, meter, asked.start_ns, asked.end_ns, as_of_ns,
            every))
        for meter in every if meter.role in inputs.METERED
        and meters.in_service(meter, asked.start_ns, asked.end_ns)]
    counted = site_meters.counted(said, every, None)
    found = site_meters.by_role(asked, counted, WHOLE, inputs.METERED)
    for section in {one.meter.section for one in said}:
        if section is not None:
            found |= site_meters.by_role(
                asked, site_meters.counted(said, every, section),
                section, _OF_SECTIONS)
    bought = site_bought.renewable(asked, counted, found)
    return Known(
        amounts=found, renewable=bought.attributes,
        emitted=site_emitted.emitted(asked, counted, found),
        servers=site_servers.servers(asked),
        served=site_servers.served(asked),
        remarks={asked.label(one.meter): site_meters.remarks(asked, one,
                                                             every)
                 for one in said} | bought.remarks,
        classes={asked.label(one.meter): one.meter.accuracy_class
                 for one in said})
