# SPDX-License-Identifier: Apache-2.0
"""Statements, their lines and differences, as they are answered.

In the units and the words of a usage row; no query here.
"""

from __future__ import annotations

from typing import Any

from energy_accounting import tariffs
from energy_accounting.ledger import statements as store
from energy_accounting.report import times, usage
from energy_accounting.statements import content, differences, lines


def row(one: store.Stored) -> dict[str, Any]:
    """A statement of a list: what it is of, and its totals."""
    totals = content.totals(one.head)
    return {
        'id': one.statement, 'revision': one.revision, 'state': one.state,
        'project_id': one.project_id or None,
        'project_name': one.project_name, 'domain_id': one.domain_id,
        'period': one.period, 'timezone': one.time_zone,
        'start': times.iso(one.start_ns), 'end': times.iso(one.end_ns),
        'instances': int(totals['instances']), 'lines': one.lines,
        **lines.amounts(totals), 'pue_kind': totals['pue_kind'],
        'peak_kw': usage.peak_kw(totals['peak_uj']),
        'coverage': totals['coverage'], 'boundary': totals['boundary'],
        'quality': usage.quality(totals['it_uj'],
                                 totals['backfilled_uj']),
        'policy': totals['policy'],
        **{name: totals[name] for name in (
            'factor_quality', 'factor_basis', 'market_factor_quality',
            'market_factor_basis')},
        'currency': totals.get('currency'), 'cost': totals.get('cost'),
        'digest': one.digest, 'created_at': times.iso(one.created_ns),
        'as_of': times.iso(one.as_of_ns),
        'complete_until': times.iso(one.complete_until_ns)}


def shown(one: store.Stored, revisions: list[store.Stored],
          ) -> dict[str, Any]:
    """A statement without its lines: factors, tariffs, revisions too."""
    return {
        **row(one), 'format': one.head['statement']['format'],
        'factors': one.head['factors'], 'tariffs': one.head['tariffs'],
        'notices': notices(one),
        'revisions': [{
            'revision': each.revision, 'state': each.state,
            'digest': each.digest, 'created_at': times.iso(each.created_ns),
            'it_kwh': lines.kwh(content.totals(each.head)['it_uj']),
            'cost': each.head['totals'].get('cost')}
            for each in revisions]}


RAPL, METERED, TRADE = 'rapl', 'metered', 'not_legal_for_trade'
NOTICES = {
    RAPL: 'allocated share of energy estimated from processor counters',
    METERED: 'allocated share of metered energy',
    TRADE: 'not a legal-for-trade measurement'}


def notice_names(boundary: str | None) -> list[str]:
    """What must be said of what was measured within a boundary."""
    match boundary:
        case 'rapl':
            return [RAPL, TRADE]
        case None:
            # Nothing was measured.
            return [TRADE]
        case 'mixed':
            return [RAPL, METERED, TRADE]
        case _:
            return [METERED, TRADE]


def notices(one: store.Stored) -> list[str]:
    return [NOTICES[name] for name in notice_names(
        one.head['totals']['boundary'])]


def line(one: lines.Line, *, money: bool) -> dict[str, Any]:
    """A line; the columns of money are there where something is charged."""
    return lines.shown(one, money=money)


# --- differences ------------------------------------------------------------

def difference(was: store.Stored, became: store.Stored) -> dict[str, Any]:
    """How two revisions differ, but for the lines."""
    before, after = content.totals(was.head), content.totals(became.head)
    return {
        'from_revision': was.revision, 'to_revision': became.revision,
        **_amounts(differences.numbers(before, after)),
        'cost': _cost(was, became, before.get('cost'), after.get('cost')),
        'currency': after.get('currency'),
        'parts': differences.of_heads(was.head, became.head)}


def differing(one: differences.Difference, was: store.Stored,
              became: store.Stored) -> dict[str, Any]:
    """How a line differs: what it was, what it became, by how much."""
    return {
        **{name: value or None for name, value
           in zip(lines.KEY, one.key, strict=True)},
        **_amounts(differences.amounts(one.was, one.became)),
        'cost': _cost(
            was, became,
            None if one.was is None else one.was.cost,
            None if one.became is None else one.became.cost,
            there=(one.was is not None, one.became is not None)),
        'was': None if one.was is None else _short(one.was),
        'became': None if one.became is None else _short(one.became)}


def _short(one: lines.Line) -> dict[str, Any]:
    return {'it_kwh': lines.kwh(one.it_uj),
            'facility_kwh': lines.kwh(one.facility_uj), 'cost': one.cost}


def _amounts(found: dict[str, int | None]) -> dict[str, Any]:
    shown_ = lines.amounts({**found, 'it_uj': found['it_uj']})
    return {name: shown_[name] for name in (
        'active_kwh', 'idle_kwh', 'memory_kwh', 'host_kwh', 'platform_kwh',
        'it_kwh', 'facility_kwh', 'co2_location_kg', 'co2_market_kg',
        'water_l')}


def _cost(was: store.Stored, became: store.Stored, before: str | None,
          after: str | None, there: tuple[bool, bool] = (True, True),
          ) -> str | None:
    """None: one is not known, or nothing is charged, or in two currencies.
    """
    currencies = {one.head['totals']['currency'] for one in (was, became)
                  if 'currency' in one.head['totals']}
    if len(currencies) != 1:
        return None
    (currency,) = currencies
    charged = ['cost' in one.head['totals'] for one in (was, became)]
    first, last = (amount if is_there and is_charged else '0'
                   for amount, is_there, is_charged in zip(
                       (before, after), there, charged, strict=True))
    return differences.cost(first, last, tariffs.MINOR_DIGITS[currency])


# --- tariffs ----------------------------------------------------------------

def tariff(kept: tariffs.Kept) -> dict[str, Any]:
    """A tariff; ``superseded_at`` None: it counts."""
    one = kept.tariff
    return {
        'id': kept.id, 'name': one.name, 'start': times.iso(one.start_ns),
        'end': times.iso(one.end_ns), 'currency': one.currency,
        'quantity': one.quantity,
        'price_per_kwh': format(one.price_per_kwh, 'f'),
        'windows': [tariffs.window_words(window) for window in one.windows],
        'timezone': one.time_zone,
        'co2_price_per_kg': None if one.co2_price_per_kg is None
        else format(one.co2_price_per_kg, 'f'),
        'co2_method': one.co2_method, 'site': one.site,
        'project_id': one.project_id, 'domain_id': one.domain_id,
        'legal_basis': one.legal_basis,
        'recorded_at': times.iso(kept.recorded_ns),
        'superseded_at': times.iso(kept.superseded_ns)}
