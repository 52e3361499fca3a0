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
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

from energy_accounting.facility import supply
from energy_accounting.facility.ratios import Exact, Ratio

GRID = 'electricity'

NG_PER_UJ = fractions.Fraction(10 ** 9, 3600 * 10 ** 9)
"""One gram a kilowatt hour, in nanograms a microjoule."""


class Intensity(NamedTuple):
    """g CO2e/kWh, and how sure it is (:data:`supply.QUALITIES`)."""

    g_per_kwh: Exact
    quality: str


Energies = Mapping[str, Mapping[int, int]]
"""By carrier, of the buckets in which it was metered throughout."""

Known = Callable[[str], Mapping[int, Intensity]]
"""By carrier, of the buckets of which somebody knows it."""


def by_bucket(carriers_uj: Energies,
              known: Known,
              buckets: Sequence[int]) -> list[Intensity | None]:
    """The mean intensity of a site's energy in each bucket.

    :param carriers_uj: by carrier, of the buckets in which it was metered
        throughout; one that feeds the site and was not metered in a bucket
        is missing there.
    """
    grid = known(GRID)
    if set(carriers_uj) <= {GRID}:
        return [grid.get(bucket) for bucket in buckets]
    used = carriers_uj.get(GRID, {})
    if not grid and all(map(used.get, buckets)):
        # Nobody knows the grid's, which is in all of them.
        return [None] * len(buckets)
    columns = [known(carrier) for carrier in carriers_uj]
    found = []
    for bucket, *amounts in zip(buckets, *(
            [series.get(bucket) for bucket in buckets]
            for series in carriers_uj.values()), strict=True):
        if None in amounts:
            found.append(_estimated(grid.get(bucket)))
        elif not any(amounts):
            # From batteries: what is used here was the grid's before.
            found.append(grid.get(bucket))
        else:
            found.append(_mean(amounts, columns, bucket))
    return found


class Total(NamedTuple):
    """What a site's energy emitted.

    :ivar buckets: those all of whose carriers and factors are known.
    :ivar mg: milligrams in these.
    :ivar unsure_mg: the part of it whose factor is not an actual one.
    """

    buckets: set[int]
    mg: fractions.Fraction
    unsure_mg: fractions.Fraction


def total(carriers_uj: Energies, known: Known,
          buckets: Iterable[int]) -> Total:
    """The sum over carriers, in the buckets in which all are metered.

    Unlike :func:`by_bucket` nothing is estimated: a figure of a norm says
    what it covers.
    """
    buckets = set(buckets)
    columns = [(series, known(carrier))
               for carrier, series in carriers_uj.items()]
    for series, column in columns:
        buckets = {bucket for bucket in buckets if bucket in series
                   and (bucket in column or not series[bucket])}
    # A factor counts for many buckets: its energy is added up first.  By
    # its identity, since a fraction's hash costs more than all the rest.
    sums: dict[int, tuple[Intensity, list[int]]] = {}
    for series, column in columns:
        for bucket in buckets:
            energy_uj = series[bucket]
            if energy_uj:
                here = column[bucket]
                sums.setdefault(id(here), (here, [0]))[1][0] += energy_uj
    mg = unsure_mg = fractions.Fraction(0)
    for here, (energy_uj,) in sums.values():
        per = here.g_per_kwh
        emitted = (fractions.Fraction(energy_uj * per.numerator,
                                      per.denominator * 10 ** 6) * NG_PER_UJ)
        mg += emitted
        if here.quality != supply.QUALITIES[0]:
            unsure_mg += emitted
    return Total(buckets, mg, unsure_mg)


def _estimated(here: Intensity | None) -> Intensity | None:
    return None if here is None else here._replace(quality=max(
        here.quality, supply.QUALITIES[1], key=supply.QUALITIES.index))


def _mean(amounts_uj: Iterable[int | None],
          columns: Iterable[Mapping[int, Intensity]],
          bucket: int) -> Intensity | None:
    """Weighted by energy; None as soon as one carrier's is not known."""
    total, numerator, denominator = 0, 0, 1
    quality = supply.QUALITIES[0]
    for energy_uj, column in zip(amounts_uj, columns, strict=True):
        if not energy_uj:
            continue
        here = column.get(bucket)
        if here is None:
            return None
        total += energy_uj
        per = here.g_per_kwh
        if per.denominator == denominator:
            numerator += energy_uj * per.numerator
        else:
            numerator = (numerator * per.denominator
                         + energy_uj * per.numerator * denominator)
            denominator *= per.denominator
        if here.quality != quality:
            quality = max(quality, here.quality, key=supply.QUALITIES.index)
    if total <= 0:
        return None
    return Intensity(Ratio(numerator, denominator * total), quality)
