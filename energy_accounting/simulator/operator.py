# SPDX-License-Identifier: Apache-2.0
"""Tells the service of the example's site, as an operator would.

By the functions that the API calls, so that the same is checked and the
same is kept of who did it.  What there is to tell is in :mod:`.site`.
"""

from __future__ import annotations

from collections.abc import Iterable

import sqlalchemy as sa

from energy_accounting.facility import (
    batches,
    contract_store,
    factor_store,
    factors,
    meters,
)
from energy_accounting.ledger import audit, register, sites
from energy_accounting.simulator import site

ACTOR = audit.Actor('standalone')


def open_site(connection: sa.Connection, hosts: Iterable[str],
              at_ns: int) -> None:
    """Make the site with its meters, and expect its hosts there.

    Before they book: energy stays at the site that it was booked at.
    """
    by = audit.By(ACTOR, at_ns)
    sites.create(connection, by, site.NAME, site.SITE)
    for name, given in site.METERS.items():
        meters.create(connection, by, name, site.NAME, given)
    for host in hosts:
        register.enrol(connection, by, host, {'site': site.NAME})


def tell(connection: sa.Connection, past: site.Past,
         shipped: Iterable[factors.Factor], at_ns: int) -> None:
    """Hand in what the meters read, and the factors.

    :param shipped: yearly values that stand in where there is no other.
    """
    by = audit.By(ACTOR, at_ns)
    for name, batch in past.readings.items():
        batches.add(connection, by, name, batch, 'csv')
    factor_store.record(connection, [*shipped, *past.factors], at_ns, ACTOR)
    for contract in past.contracts:
        contract_store.record(connection, contract, at_ns, ACTOR)
