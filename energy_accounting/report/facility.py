# SPDX-License-Identifier: Apache-2.0
"""What a site's supply makes of IT energy: facility energy, CO2, water.

Pure: exact integers and fractions.  Each is worked out bucket by bucket,
rounded down there to a whole microjoule, nanogram or microlitre and added
up, so that within one question a month is the sum of its days; of two
questions each has the basis of its own time (``supplies``).  What one bucket
lacks, the sum lacks: part of a sum never passes for the whole.
"""

from __future__ import annotations

import dataclasses
import decimal
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from energy_accounting import units
from energy_accounting.facility import supply
from energy_accounting.report import shares

if TYPE_CHECKING:
    from energy_accounting.facility import ratios
    from energy_accounting.ledger import by_site

_NG_PER_KG = 10 ** 12
_UL_PER_L = 10 ** 6
_FACTOR = decimal.Decimal('1e-9')
_EXACT = decimal.Context(prec=60)

Supplies = Mapping[int, Sequence[supply.Supply]]
"""By site, one for each bucket of the range that is asked for."""


@dataclasses.dataclass(slots=True)
class Total:
    """What was added up so far; None: part of it is not known.

    :ivar it_uj: the IT energy it was made of.
    """

    it_uj: int = 0
    facility_uj: int | None = 0
    location_ng: int | None = 0
    market_ng: int | None = 0
    water_ul: int | None = 0
    renewable_uj: int | None = 0
    pue_kinds: set[str] = dataclasses.field(default_factory=set)
    factor_qualities: set[str] = dataclasses.field(default_factory=set)
    factor_bases: set[str] = dataclasses.field(default_factory=set)
    market_qualities: set[str] = dataclasses.field(default_factory=set)
    market_bases: set[str] = dataclasses.field(default_factory=set)

    def add(self, it_uj: int, here: supply.Supply) -> None:
        """Add what IT energy of one bucket becomes."""
        facility_uj = product(it_uj, here.pue)
        self.it_uj += it_uj
        self.facility_uj = plus(self.facility_uj, facility_uj)
        self.location_ng = plus(self.location_ng,
                                product(facility_uj, here.location))
        self.market_ng = plus(self.market_ng,
                              product(facility_uj, here.market))
        self.renewable_uj = plus(self.renewable_uj,
                                 product(facility_uj, here.renewable))
        self.water_ul = plus(self.water_ul, product(it_uj, here.water))
        if here.pue_kind is not None:
            self.pue_kinds.add(here.pue_kind)
        if here.factor_quality is not None:
            self.factor_qualities.add(here.factor_quality)
        if here.factor_basis is not None:
            self.factor_bases.add(here.factor_basis)
        if here.market_quality is not None:
            self.market_qualities.add(here.market_quality)
        if here.market_basis is not None:
            self.market_bases.add(here.market_basis)


def totals(energies: Iterable[by_site.Energy], supplies: Supplies,
           start: int) -> dict[tuple[int, ...], Total]:
    """By row what its energy became.

    :param start: the bucket the supplies begin with.
    """
    found: dict[tuple[int, ...], Total] = {}
    for row, site_id, bucket, it_uj in energies:
        total = found.get(row)
        if total is None:
            total = found[row] = Total()
        here = supplies.get(site_id)
        total.add(it_uj, supply.UNKNOWN if here is None
                  else here[bucket - start])
    return found


UNKNOWN = Total(facility_uj=None, location_ng=None, market_ng=None,
                water_ul=None, renewable_uj=None)


def columns(total: Total) -> dict[str, Any]:
    """The columns of a usage row; None where nobody can know.

    ``pue`` is what the row's buckets had in the mean, by their energy.
    """
    return {
        'facility_kwh': None if total.facility_uj is None
        else units.kwh_text(total.facility_uj),
        'pue': _ratio(total.facility_uj, total.it_uj),
        'pue_kind': None if total.facility_uj is None
        else _one_of(total.pue_kinds),
        'co2_location_kg': kilograms(total.location_ng),
        'co2_market_kg': kilograms(total.market_ng),
        'cue_kg_per_kwh': None if total.location_ng is None else _ratio(
            # 1 kg/kWh is 1e12 ng for 3.6e12 uJ.
            total.location_ng * 36, total.it_uj * 10)}


def later_columns(total: Total) -> dict[str, Any]:
    """The columns that were appended to a usage row."""
    return {
        'water_l': _thousandths(total.water_ul, _UL_PER_L),
        'renewable_share': _share(total.renewable_uj, total.facility_uj),
        'factor_quality': None if total.location_ng is None
        else _one_of(total.factor_qualities),
        'factor_basis': None if total.location_ng is None
        else _one_of(total.factor_bases),
        'market_factor_quality': None if total.market_ng is None
        else _one_of(total.market_qualities),
        'market_factor_basis': None if total.market_ng is None
        else _one_of(total.market_bases)}


def product(amount: int | None,
            ratio: ratios.Exact | None) -> int | None:
    """An amount times a ratio, rounded down; None: one is not known."""
    if amount is None or ratio is None:
        return None
    return amount * ratio.numerator // ratio.denominator


def plus(total: int | None, amount: int | None) -> int | None:
    """A sum that is not known when part of it is not."""
    return None if total is None or amount is None else total + amount


def _one_of(names: set[str]) -> str | None:
    if not names:
        return None
    return next(iter(names)) if len(names) == 1 else supply.MIXED


def _ratio(numerator: int | None, denominator: int) -> str | None:
    """To nine places; None where there is nothing to divide by."""
    if numerator is None or denominator == 0:
        return None
    return format(_EXACT.divide(decimal.Decimal(numerator), decimal.Decimal(
        denominator)).quantize(_FACTOR, context=_EXACT), 'f')


def kilograms(amount_ng: int | None) -> str | None:
    """Of nanograms, exactly."""
    return _thousandths(amount_ng, _NG_PER_KG)


def _thousandths(amount: int | None, per_unit: int) -> str | None:
    """An integer of a small unit in the unit it is shown in, exactly."""
    if amount is None:
        return None
    places = len(str(per_unit)) - 1
    return format(decimal.Decimal(amount).scaleb(-places, _EXACT), 'f')


def _share(part: int | None, whole: int | None) -> str | None:
    """Rounded down, so that 1 means that all of it is."""
    if part is None or not whole:
        return None
    return shares.text(max(0, min(part * shares.STEPS // whole,
                                  shares.STEPS)))
