# SPDX-License-Identifier: Apache-2.0
"""How much CO2 a microjoule of a site's energy was, in each bucket.

Pure: exact fractions.  The CO2 of a site is the sum over its energy
carriers, each by its own factor; it is shared by facility energy.  Where
the carriers are not metered, or not yet, all energy counts as the grid's;
that is an estimate where something else feeds the site, too.  Which factor
counts when is ``factors``'s.
"""

from __future__ import annotations

import fractions
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from energy_accounting.facility import supply

GRID = 'electricity'

NG_PER_UJ = fractions.Fraction(10 ** 9, 3600 * 10 ** 9)
"""One gram a kilowatt hour, in nanograms a microjoule."""


class Intensity(NamedTuple):
    """g CO2e/kWh, and how sure it is (:data:`supply.QUALITIES`)."""

    g_per_kwh: fractions.Fraction
    quality: str


IntensityOf = Callable[[str, int], Intensity | None]
"""Of a carrier in a bucket; None: nobody knows."""


def by_bucket(carriers_uj: Mapping[str, Mapping[int, int]],
              intensity_of: IntensityOf,
              buckets: Iterable[int]) -> list[Intensity | None]:
    """The mean intensity of a site's energy in each bucket.

    :param carriers_uj: by carrier, of the buckets in which it was metered
        throughout; one that feeds the site and was not metered in a bucket
        is missing there.
    """
    alone = set(carriers_uj) <= {GRID}
    found = []
    for bucket in buckets:
        amounts = {carrier: series.get(bucket)
                   for carrier, series in carriers_uj.items()}
        if alone:
            found.append(intensity_of(GRID, bucket))
        elif None in amounts.values():
            found.append(_estimated(intensity_of(GRID, bucket)))
        else:
            found.append(_mean({
                carrier: energy_uj for carrier, energy_uj in amounts.items()
                if energy_uj}, intensity_of, bucket))
    return found


class Total(NamedTuple):
    """What a site's energy emitted.

    :ivar buckets: of so many, all of whose carriers and factors are known.
    :ivar mg: milligrams in these.
    :ivar unsure_mg: the part of it whose factor is not an actual one.
    """

    buckets: int
    mg: fractions.Fraction
    unsure_mg: fractions.Fraction


def total(carriers_uj: Mapping[str, Mapping[int, int]],
          intensity_of: IntensityOf, buckets: Iterable[int]) -> Total:
    """The sum over carriers, in the buckets in which all are metered.

    Unlike :func:`by_bucket` nothing is estimated: a figure of a norm says
    what it covers.
    """
    known = 0
    # A factor counts for many buckets: its energy is added up first.  By
    # its identity, since a fraction's hash costs more than all the rest.
    sums: dict[int, tuple[Intensity, list[int]]] = {}
    for bucket in buckets:
        parts = []
        for carrier, series in carriers_uj.items():
            energy_uj = series.get(bucket)
            here = intensity_of(carrier, bucket) if energy_uj else None
            if energy_uj is None or (energy_uj and here is None):
                break
            if here is not None:
                parts.append((here, energy_uj))
        else:
            known += 1
            for here, energy_uj in parts:
                sums.setdefault(id(here.g_per_kwh), (here, [0]))[1][0] += (
                    energy_uj)
    mg = unsure_mg = fractions.Fraction(0)
    for here, (energy_uj,) in sums.values():
        emitted = energy_uj * here.g_per_kwh * NG_PER_UJ / 10 ** 6
        mg += emitted
        if here.quality != supply.QUALITIES[0]:
            unsure_mg += emitted
    return Total(known, mg, unsure_mg)


def _estimated(here: Intensity | None) -> Intensity | None:
    return None if here is None else here._replace(quality=max(
        here.quality, supply.QUALITIES[1], key=supply.QUALITIES.index))


def _mean(amounts_uj: Mapping[str, int | None], intensity_of: IntensityOf,
          bucket: int) -> Intensity | None:
    """Weighted by energy; None as soon as one carrier's is not known."""
    total, weighted, qualities = 0, fractions.Fraction(0), []
    for carrier, energy_uj in amounts_uj.items():
        here = intensity_of(carrier, bucket)
        if here is None or energy_uj is None:
            return None
        total += energy_uj
        weighted += energy_uj * here.g_per_kwh
        qualities.append(here.quality)
    if total <= 0:
        return None
    return Intensity(weighted / total, max(
        qualities, key=supply.QUALITIES.index))
