# SPDX-License-Identifier: Apache-2.0
"""What a site's own meters saw, and who has it.  Pure.

The operator's row is what the site took in less the facility energy of
every tenant's row, so that the two are the site's meter to the microjoule;
``unmetered_it`` is what the IT meter saw and no host explained.  Both are of
the quarters of an hour that the meters covered, whose share is ``coverage``.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from energy_accounting import units
from energy_accounting.report import facility, shares

if TYPE_CHECKING:
    from energy_accounting.facility import supply
    from energy_accounting.ledger import by_site


@dataclasses.dataclass(slots=True)
class Sums:
    """Of one site; None: part of it is not known.

    :ivar facility_buckets, it_buckets: how many were metered.
    """

    buckets: int
    facility_buckets: int = 0
    it_buckets: int = 0
    facility_uj: int = 0
    it_uj: int = 0
    booked_uj: int = 0
    co2_ng: int | None = 0
    market_ng: int | None = 0
    tenants: facility.Total = dataclasses.field(
        default_factory=facility.Total)


def add_up(energies: Iterable[by_site.Energy],
           tenants: Collection[tuple[int, ...]],
           facility_uj: Mapping[int, int], it_uj: Mapping[int, int],
           known: Sequence[supply.Supply], start: int) -> Sums:
    """Both sides of a site's meters.

    :param energies: of usage rows by project, of this site.
    :param tenants: the rows that are a project's.
    :param facility_uj, it_uj: what the meters saw, by bucket.
    :param known: for each bucket from ``start`` on.
    """
    sums = Sums(len(known))
    for bucket, here in enumerate(known, start):
        if bucket in facility_uj:
            sums.facility_buckets += 1
            sums.facility_uj += facility_uj[bucket]
            sums.co2_ng, sums.market_ng = (
                facility.plus(total, facility.product(facility_uj[bucket],
                                                      per_uj))
                for total, per_uj in ((sums.co2_ng, here.location),
                                      (sums.market_ng, here.market)))
        if bucket in it_uj:
            sums.it_buckets += 1
            sums.it_uj += it_uj[bucket]
    for row, _, bucket, used_uj in energies:
        if bucket in it_uj:
            sums.booked_uj += used_uj
        if bucket in facility_uj and row in tenants:
            sums.tenants.add(used_uj, known[bucket - start])
    return sums


def sheet(site: str, sums: Sums) -> dict[str, Any]:
    """As the balance shows it; None where no meter says it."""
    metered = bool(sums.facility_buckets)
    tenants = sums.tenants
    return {
        'site': site,
        'coverage': _coverage(sums.facility_buckets, sums.buckets),
        **_both('facility', sums.facility_uj if metered else None),
        **_both('tenants', tenants.facility_uj if metered else None),
        **_both('operator', sums.facility_uj - tenants.facility_uj
                if metered and tenants.facility_uj is not None else None),
        'it_coverage': _coverage(sums.it_buckets, sums.buckets),
        **_both('it_metered', sums.it_uj if sums.it_buckets else None),
        **_both('unmetered_it', sums.it_uj - sums.booked_uj
                if sums.it_buckets else None),
        **_emitted('location', metered, sums.co2_ng, tenants.location_ng),
        **_emitted('market', metered, sums.market_ng, tenants.market_ng)}


def _emitted(method: str, metered: bool, site_ng: int | None,
             tenants_ng: int | None) -> dict[str, str | None]:
    """Of the site, its tenants, and the operator, who has the rest."""
    rest_ng = (None if site_ng is None or tenants_ng is None
               else site_ng - tenants_ng)
    return {f'{side}co2_{method}_kg': facility.kilograms(
        amount_ng if metered else None) for side, amount_ng in (
            ('', site_ng), ('tenants_', tenants_ng),
            ('operator_', rest_ng))}


def _coverage(buckets: int, of: int) -> str:
    return shares.text(buckets * shares.STEPS // of if of else 0)


def _both(side: str, energy_uj: int | None) -> dict[str, str | None]:
    if energy_uj is None:
        return {f'{side}_uj': None, f'{side}_kwh': None}
    return {f'{side}_uj': str(energy_uj),
            f'{side}_kwh': units.kwh_text(energy_uj)}
