# SPDX-License-Identifier: Apache-2.0
"""How much CO2 a microjoule of a site's energy was, in each bucket.

Pure: exact fractions.  The CO2 of a site is the sum over its energy
carriers, each by its own factor; it is shared by facility energy.  Where
the carriers are not metered, all energy is the grid's, if nothing else is
known to feed the site.  Which factor counts when is ``factors``'s.
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
            found.append(None)
        else:
            found.append(_mean({
                carrier: energy_uj for carrier, energy_uj in amounts.items()
                if energy_uj}, intensity_of, bucket))
    return found


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
