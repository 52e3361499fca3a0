# SPDX-License-Identifier: Apache-2.0
"""What a site makes of a microjoule its hosts used, in each bucket.

Facts only, pure: how they follow from meters and factors stands in
``supplies``, what they make of a tenant's energy in ``report.facility``.
"""

from __future__ import annotations

from typing import NamedTuple

from energy_accounting.facility.ratios import Exact

INTERVAL = 'interval'
INTERIM = 'iPUE'
YEAR = 'PUE'
CONFIGURED = 'configured'
KINDS = (INTERVAL, INTERIM, YEAR, CONFIGURED)
"""Where a PUE comes from: the meters' own interval, the local day or month
around it, the twelve months before, or what an operator says."""


QUALITIES = ('actual', 'estimated', 'forecast', 'fallback')
"""How sure a factor is, from the best to the worst."""


BASES = ('lifecycle', 'direct')
"""What a carbon factor counts; of a site and a question all are of one, of
two that are known alike the first."""

MIXED = 'mixed'


class Supply(NamedTuple):
    """What holds for one bucket of a site; None: not known.

    :ivar pue: E_DC / E_IT, at least 1.
    :ivar pue_kind: one of :data:`KINDS`.
    :ivar location, market: ng CO2e for each microjoule of facility energy.
    :ivar water: microlitres for each microjoule of IT energy.
    :ivar renewable: the share of the facility energy, 0 to 1.
    :ivar factor_quality: the worst of the carbon factors used by location.
    :ivar factor_basis: what they count, one of :data:`BASES`.
    :ivar market_quality, market_basis: the same of those by market.
    """

    pue: Exact | None = None
    pue_kind: str | None = None
    location: Exact | None = None
    market: Exact | None = None
    water: Exact | None = None
    renewable: Exact | None = None
    factor_quality: str | None = None
    factor_basis: str | None = None
    market_quality: str | None = None
    market_basis: str | None = None


UNKNOWN = Supply()
