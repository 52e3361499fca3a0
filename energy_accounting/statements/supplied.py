# SPDX-License-Identifier: Apache-2.0
"""What the sites made of energy in a period, and by which factors.

Asked once for all the projects that are closed together.  Which factor
counts is decided in ``facility``; here it is only said.
"""

from __future__ import annotations

import collections
import decimal
import fractions
import hashlib
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import sqlalchemy as sa

from energy_accounting import units, wire
from energy_accounting.facility import (
    carbon,
    contract_store,
    factor_store,
    factor_times,
    factors,
    intensities,
    supplies,
    supply,
)
from energy_accounting.report import times
from energy_accounting.statements import periods

_RATIO = decimal.Decimal('1e-9')
_EXACT = decimal.Context(prec=60)


class OfSite(NamedTuple):
    """What holds at a site.

    :ivar supplies: one for each bucket of the period.
    :ivar factors: what was used for them, as a statement lists it.
    """

    name: str
    supplies: Sequence[supply.Supply]
    factors: list[dict[str, Any]]


class Supplied:
    """The sites as they were known at a moment, each asked once.

    :param as_of_ns: not in the future: what is learnt later is not used.
    """

    def __init__(self, period: periods.Period, as_of_ns: int) -> None:
        self._period = period
        self.as_of_ns = as_of_ns
        self._sites: dict[int, supplies.Site] | None = None
        self._found: dict[int, OfSite] = {}
        self._anything: bool | None = None

    def anything(self, connection: sa.Connection) -> bool:
        """Whether anybody has said anything of any site."""
        if self._anything is None:
            self._anything = supplies.anything(connection)
        return self._anything

    def at(self, connection: sa.Connection, site_id: int) -> OfSite:
        """What holds at a site; unknown where nobody says anything."""
        if site_id not in self._found:
            if self._sites is None:
                self._sites = {one.id: one for one in supplies.sites(
                    connection, self.as_of_ns)}
            self._found[site_id] = self._ask(connection,
                                             self._sites[site_id])
        return self._found[site_id]

    def _ask(self, connection: sa.Connection,
             site: supplies.Site) -> OfSite:
        buckets = range(self._period.start, self._period.end)
        metered = supplies.metered_of(connection, site, buckets,
                                      self.as_of_ns)
        known = supplies.of_site(connection, site, buckets, self.as_of_ns,
                                 metered)
        if known is None:
            return OfSite(site.name, [supply.UNKNOWN] * len(buckets), [])
        used = _Used(connection, site, self._period, self.as_of_ns,
                     metered or supplies.NOTHING)
        return OfSite(site.name, known, [
            {'site': site.name, **one} for one in (
                *_pues(known), *used.configured(known), *used.carbon(known))])


def _pues(known: Iterable[supply.Supply]) -> Iterator[dict[str, Any]]:
    """The PUEs that were used, by where they come from."""
    by_kind: dict[str, list[fractions.Fraction]] = collections.defaultdict(
        list)
    for one in {(id(here.pue), here.pue_kind): here for here in known
                }.values():
        if one.pue is not None and one.pue_kind is not None:
            by_kind[one.pue_kind].append(fractions.Fraction(
                one.pue.numerator, one.pue.denominator))
    for kind in supply.KINDS:
        if kind in by_kind:
            yield {'kind': 'pue', 'pue_kind': kind,
                   'lowest': _text(min(by_kind[kind])),
                   'highest': _text(max(by_kind[kind]))}


class _Used:
    """The factors of a site in a period."""

    def __init__(self, connection: sa.Connection, site: supplies.Site,
                 period: periods.Period, as_of_ns: int,
                 metered: supplies.Metered) -> None:
        self._connection, self._site, self._as_of_ns = (connection, site,
                                                        as_of_ns)
        self._times = period.start_ns, period.end_ns
        self._metered = metered
        self._emitting = {basis: intensities.read(
            connection, site.id, period.start, period.end, as_of_ns,
            basis=basis, plant=metered.plant) for basis in supply.BASES}

    def configured(self, known: Iterable[supply.Supply],
                   ) -> Iterator[dict[str, Any]]:
        """The PUEs that an operator says, where they count."""
        if any(one.pue_kind == supply.CONFIGURED for one in known):
            yield from _listed(factor_times.counting(
                [one.factor for one in factor_store.as_of(
                    self._connection, *self._times, self._as_of_ns,
                    site=self._site.name, kind=factors.PUE)], *self._times))

    def carbon(self, known: Sequence[supply.Supply],
               ) -> Iterator[dict[str, Any]]:
        """Carbon intensities of both methods, and what was bought."""
        carriers = {carbon.GRID, *self._metered.carriers_uj}
        for method, answered in (
                (factors.LOCATION, any(one.location for one in known)),
                (factors.MARKET, any(one.market for one in known))):
            if not answered:
                continue
            basis = intensities.chosen(self._emitting, method,
                                       self._metered.carriers_uj)
            for carrier in sorted(carriers):
                yield from self._spans(basis, method, carrier)
            if method == factors.MARKET:
                yield from self._contracts(basis)

    def _spans(self, basis: str, method: str, carrier: str,
               ) -> Iterator[dict[str, Any]]:
        emitting = self._emitting[basis]
        found = emitting.spans(method, carrier)
        if (not found and method == factors.MARKET
                and carrier != carbon.GRID):
            # What is not bought emits the same wherever it is counted.
            return
        yield from _listed(found)

    def _contracts(self, basis: str) -> Iterator[dict[str, Any]]:
        for kept in contract_store.as_of(
                self._connection, self._site.name, *self._times,
                self._as_of_ns, basis=basis):
            one = kept.contract
            yield {
                'kind': 'contract', 'instrument': one.instrument,
                'start': times.iso(max(one.start_ns, self._times[0])),
                'end': times.iso(min(one.end_ns, self._times[1])),
                'share': format(one.share, 'f'),
                'kg_per_kwh': format(one.kg_per_kwh, 'f'),
                'basis': one.basis, 'renewable': str(one.renewable).lower(),
                'retired': str(one.retired).lower(), 'source': one.evidence}


_SAME = ('kind', 'method', 'carrier', 'basis', 'signal', 'unit', 'quality',
         'provider', 'source', 'revision', 'zone')


def _listed(spans: Iterable[factor_times.Span]) -> Iterator[dict[str, Any]]:
    """One for each source and revision: a month has thousands of values.

    ``digest`` is of their times and values: whether they were the same can
    be told without keeping them.
    """
    groups: dict[tuple[Any, ...], list[factor_times.Span]] = (
        collections.defaultdict(list))
    for span in spans:
        groups[tuple(getattr(span.factor, name) for name in _SAME)].append(
            span)
    for key in sorted(groups, key=lambda key: [word or '' for word in key]):
        found = groups[key]
        values = [span.factor.value for span in found]
        yield {
            **dict(zip(_SAME, key, strict=True)),
            'start': times.iso(min(span.start_ns for span in found)),
            'end': times.iso(max(span.end_ns for span in found)),
            'values': str(len(found)), 'lowest': format(min(values), 'f'),
            'highest': format(max(values), 'f'),
            'digest': hashlib.sha256(wire.to_json([
                [units.iso(units.moment(span.start_ns)),
                 units.iso(units.moment(span.end_ns)),
                 format(span.factor.value, 'f')]
                for span in found]).encode()).hexdigest()}


def _text(value: fractions.Fraction) -> str:
    return format(_EXACT.divide(
        decimal.Decimal(value.numerator), decimal.Decimal(value.denominator),
    ).quantize(_RATIO, context=_EXACT), 'f')


def sites_of(found: Collection[OfSite]) -> list[dict[str, Any]]:
    """The factors of some sites, in the order of the sites' names."""
    return [factor for one in sorted(found, key=lambda one: one.name)
            for factor in one.factors]
