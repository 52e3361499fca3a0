# SPDX-License-Identifier: Apache-2.0
"""A line of a statement: what one instance used on one day.  Pure.

Where an instance changed its flavor or its site on a day, a line for each.
In integers, as the ledger has them; in texts only where they are written.
"""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Iterable, Mapping
from typing import Any

from energy_accounting import units
from energy_accounting.report import facility, shares, usage

KEY = ('day', 'instance_id', 'account', 'flavor', 'site')
"""What tells one line of a statement from another, and their order; what is
not there ('') comes first."""

TERMS = ('active_uj', 'idle_uj', 'memory_uj', 'host_uj', 'platform_uj')
SUMMED = (*TERMS, 'it_uj', 'backfilled_uj', 'facility_uj', 'co2_location_ng',
          'co2_market_ng', 'water_ul', 'renewable_uj')
"""What lines of a statement add up to; a sum is not known where a part of it
is not, but for :data:`ABSENT`."""
ABSENT = frozenset({'memory_uj', 'platform_uj'})
"""Terms that a host may not measure: left out of a sum, which is None where
nobody does."""
NUMBERS = (*SUMMED, 'peak_uj')
WORDS = ('pue_kind', 'factor_quality', 'factor_basis',
         'market_factor_quality', 'market_factor_basis', 'boundary',
         'policy')


@dataclasses.dataclass(frozen=True, slots=True)
class Line:
    """What one account used on one local day.

    :ivar day: local date.
    :ivar start, end: the buckets of the day, half open.
    :ivar instance_id: None: no instance.
    :ivar account: ``instance``, ``service:NAME`` or ``unallocated``.
    :ivar peak_uj: of its quarter of an hour with the most energy.
    :ivar coverage: share of its time that was measured, as text.
    :ivar priced_uj, priced_quantity, price_per_kwh: what was charged for,
        see :class:`energy_accounting.tariffs.Cost`.
    :ivar cost: in the currency of the statement, as text; None: not known,
        or nothing is charged.
    """

    day: str
    start: int
    end: int
    instance_id: str | None
    account: str
    flavor: str | None
    site: str
    region: str | None
    active_uj: int
    idle_uj: int
    memory_uj: int | None
    host_uj: int
    platform_uj: int | None
    it_uj: int
    backfilled_uj: int
    facility_uj: int | None
    co2_location_ng: int | None
    co2_market_ng: int | None
    water_ul: int | None
    renewable_uj: int | None
    peak_uj: int | None
    coverage: str | None
    pue_kind: str | None
    factor_quality: str | None
    factor_basis: str | None
    market_factor_quality: str | None
    market_factor_basis: str | None
    boundary: str
    policy: str | None
    priced_uj: int | None = None
    priced_quantity: str | None = None
    price_per_kwh: str | None = None
    cost: str | None = None

    @property
    def key(self) -> tuple[str, ...]:
        return tuple(getattr(self, name) or '' for name in KEY)


_INTEGERS = frozenset((*NUMBERS, 'start', 'end', 'priced_uj'))
_NAMES = tuple(field.name for field in dataclasses.fields(Line))
MONEY = ('priced_uj', 'priced_quantity', 'price_per_kwh', 'cost')


def to_json(line: Line, *, money: bool) -> dict[str, Any]:
    """Its canonical content: numbers are decimal strings.

    :param money: whether anything of the statement is charged.
    """
    found: dict[str, Any] = {}
    for name in _NAMES:
        value = getattr(line, name)
        if name in MONEY and not money:
            continue
        if value is None:
            found[name] = None
        elif name in ('start', 'end'):
            found[name] = units.iso(units.bucket_start(value))
        else:
            found[name] = str(value)
    return found


def from_json(found: Mapping[str, Any]) -> Line:
    """The reverse of :func:`to_json`."""
    values: dict[str, Any] = {}
    for name, value in found.items():
        if value is not None and name in ('start', 'end'):
            value = units.bucket_of(units.wall_ns(
                datetime.datetime.fromisoformat(value)))
        elif value is not None and name in _INTEGERS:
            value = int(value)
        values[name] = value
    return Line(**values)


# --- as a usage row is shown ------------------------------------------------

def shown(line: Line, *, money: bool) -> dict[str, Any]:
    """A line with the columns that a usage row has, and its own."""
    return {
        'day': line.day, 'start': units.iso(units.bucket_start(line.start)),
        'end': units.iso(units.bucket_start(line.end)),
        'instance_id': line.instance_id, 'account': line.account,
        'flavor': line.flavor, 'site': line.site, 'region': line.region,
        **amounts(dataclasses.asdict(line)),
        'peak_kw': usage.peak_kw(line.peak_uj), 'coverage': line.coverage,
        'boundary': line.boundary,
        'quality': usage.quality(line.it_uj, line.backfilled_uj),
        'policy': line.policy, 'pue_kind': line.pue_kind,
        'factor_quality': line.factor_quality,
        'factor_basis': line.factor_basis,
        'market_factor_quality': line.market_factor_quality,
        'market_factor_basis': line.market_factor_basis,
        **(priced(dataclasses.asdict(line)) if money else {})}


def amounts(found: Mapping[str, Any]) -> dict[str, Any]:
    """Energy and what became of it, in the units that are shown."""
    total = facility.Total(
        it_uj=found['it_uj'], facility_uj=found['facility_uj'],
        location_ng=found['co2_location_ng'],
        market_ng=found['co2_market_ng'], water_ul=found['water_ul'],
        renewable_uj=found['renewable_uj'])
    columns = facility.columns(total)
    del columns['pue_kind']
    later = facility.later_columns(total)
    return {
        **{f'{name.removesuffix("_uj")}_kwh': kwh(found[name])
           for name in (*TERMS, 'it_uj')},
        **columns, 'water_l': later['water_l'],
        'renewable_share': later['renewable_share']}


def priced(found: Mapping[str, Any]) -> dict[str, Any]:
    return {'priced_kwh': kwh(found['priced_uj']),
            'priced_quantity': found['priced_quantity'],
            'price_per_kwh': found['price_per_kwh'], 'cost': found['cost']}


def kwh(energy_uj: int | None) -> str | None:
    return None if energy_uj is None else units.kwh_text(energy_uj)


# --- sums -------------------------------------------------------------------

@dataclasses.dataclass(frozen=True, slots=True)
class Whole:
    """What is known of a project's period beside its lines.

    :ivar peak_uj: of the quarter of an hour in which all of it together had
        the most energy; its lines' peaks are not at the same time.
    """

    it_uj: int = 0
    peak_uj: int | None = None
    coverage: str | None = None
    boundary: str | None = None
    policy: str | None = None


class Sum:
    """What lines add up to; None where nobody can know."""

    def __init__(self) -> None:
        self.values: dict[str, int | None] = {
            name: None if name in ABSENT else 0 for name in SUMMED}
        self.words: dict[str, set[str]] = {name: set() for name in WORDS}
        self.lines = 0

    def add(self, line: Line) -> None:
        self.lines += 1
        for name in SUMMED:
            value = getattr(line, name)
            if name in ABSENT:
                if value is not None:
                    self.values[name] = (self.values[name] or 0) + value
            else:
                self.values[name] = facility.plus(self.values[name], value)
        for name in WORDS:
            word = getattr(line, name)
            if word is not None:
                self.words[name].add(word)

    def word(self, name: str) -> str | None:
        """The one word that all lines have, or that they have several."""
        return one_of(self.words[name])


def one_of(words: Iterable[str]) -> str | None:
    found = sorted(words)
    return shares.one_of((found[0], found[-1])) if found else None
