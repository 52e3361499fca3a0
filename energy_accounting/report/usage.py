# SPDX-License-Identifier: Apache-2.0
"""Usage rows: sums of the ledger in the units and words of a reader.

Pure: integers in, texts out.  No query, no clock, no rounding of energy.
"""

from __future__ import annotations

import decimal
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from energy_accounting import units
from energy_accounting.report import facility, shares

if TYPE_CHECKING:
    from energy_accounting.ledger import queries

# 1 kW over a bucket is 9e11 uJ.
_UJ_PER_KW_BUCKET = 1_000_000_000 * units.BUCKET_SECONDS
_BUCKET_MS = units.BUCKET_SECONDS * 1000
_NS_PER_MS = 1_000_000

def body(query: queries.UsageQuery, names: Mapping[str, str],
         sums: Iterable[queries.LedgerSum],
         totals: Mapping[tuple[int, ...], facility.Total],
         complete_ns: int | None) -> dict[str, Any]:
    """Rows as the API, the CLI and every export show them, and how far
    the ledger is complete.

    :param names: the name a group's key has in a row.
    :param totals: of the rows (:attr:`queries.LedgerSum.row`).
    """
    keys = [names[group] for group in query.group_by]
    return {'usage': [row(query, keys, one,
                          totals.get(one.row, facility.UNKNOWN))
                      for one in sums],
            'complete_until': None if complete_ns is None
            else units.iso(units.moment(complete_ns))}


def row(query: queries.UsageQuery, keys: Sequence[str],
        one: queries.LedgerSum,
        total: facility.Total = facility.UNKNOWN) -> dict[str, Any]:
    """One row; None where nothing was measured or is known yet.

    :param total: what its sites made of its energy.
    """
    start, end = _period(query, one.first)
    return {
        'start': units.iso(start), 'end': units.iso(end),
        **{key: value or None for key, value
           in zip(keys, one.keys, strict=True)},
        'active_kwh': units.kwh_text(one.active_uj),
        'idle_kwh': units.kwh_text(one.idle_uj),
        'memory_kwh': _kwh_or_none(one.memory_uj),
        'host_kwh': units.kwh_text(one.host_uj),
        'platform_kwh': _kwh_or_none(one.platform_uj),
        'it_kwh': units.kwh_text(one.it_uj),
        **facility.columns(total),
        'peak_kw': peak_kw(one.peak_uj),
        'coverage': coverage(one.vcpu_ns, one.missing_ms2),
        'boundary': shares.one_of(one.boundaries),
        'quality': quality(one.it_uj, one.backfilled_uj),
        'policy': None if one.policies is None
        else shares.one_of(one.policies),
        **facility.later_columns(total),
    }


def _period(query: queries.UsageQuery, first: int) -> tuple[Any, Any]:
    """The calendar period of a bucket, cut to what was asked for."""
    start = units.bucket_start(query.start)
    end = units.bucket_start(query.end)
    if query.resolution == 'total':
        return start, end
    edge = units.period_start(units.bucket_start(first), query.resolution,
                              query.where)
    after = units.next_period(edge, query.resolution, query.where)
    return max(start, edge), min(end, after)


def _kwh_or_none(energy_uj: int | None) -> str | None:
    return None if energy_uj is None else units.kwh_text(energy_uj)


def peak_kw(peak_uj: int | None) -> str | None:
    """Mean power (kW) of the bucket with the most energy, to the mW."""
    if peak_uj is None:
        return None
    exact = decimal.Decimal(peak_uj) / _UJ_PER_KW_BUCKET
    return format(exact.quantize(decimal.Decimal('1e-6')), 'f')


def coverage(vcpu_ns: int, missing_ms2: int | None) -> str | None:
    """Measured share of the guests' time, weighted by their vCPU time.

    The mean over host and bucket of measured time / 900 s with weight
    ``vcpu_ns``; rounded down, so that 1 means that nothing is missing.
    None where nobody held a vCPU: then there is nothing to weigh; and
    where nobody knows what is missing.

    :param missing_ms2: see :class:`queries.LedgerSum`.
    """
    weight = vcpu_ns // _NS_PER_MS * _BUCKET_MS
    if weight == 0 or missing_ms2 is None:
        return None
    present = max(weight - missing_ms2, 0) * shares.STEPS // weight
    return shares.text(present)


def quality(it_uj: int, backfilled_uj: int) -> dict[str, str]:
    """How much of the energy was measured in time, backfilled, estimated.

    Backfilled is rounded up: a little of it never shows as none.
    """
    backfilled = (-(-backfilled_uj * shares.STEPS // it_uj)
                  if it_uj else 0)
    backfilled = min(backfilled, shares.STEPS)
    return {'measured': shares.text(shares.STEPS - backfilled),
            'backfilled': shares.text(backfilled), 'estimated': shares.text(0)}
