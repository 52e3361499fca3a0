# SPDX-License-Identifier: Apache-2.0
"""Key figures as an answer: rows that say all they were made of.  Pure.

Which meters and contracts, an operator learns; a tenant sees the rest.
"""

from __future__ import annotations

import datetime
import decimal
import fractions
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from energy_accounting import units
from energy_accounting.facility import figures
from energy_accounting.report import shares

if TYPE_CHECKING:
    from energy_accounting.facility import limits, site_figures

_NO_START = ('the day on which the site began operation is not known: give '
             'it (started)')


def answer(scope: figures.Scope, found: Iterable[site_figures.Found],
           classes: Mapping[str, str | None] | None, *,
           as_of: datetime.datetime, now: datetime.datetime,
           law: Sequence[limits.Limit] | None = None,
           started: datetime.date | None = None) -> dict[str, Any]:
    """The whole answer.

    :param classes: the meters' accuracy classes; None: whoever asks may
        not know the meters.
    :param law: limits to show beside the figures; None: none are asked for.
    :param started: when the site began operation.
    """
    return {
        'kpis': [_row(scope, one, classes, law, started) for one in found],
        'site': scope.site, 'start': units.iso(scope.period.start),
        'end': units.iso(scope.period.end), 'time_zone': str(scope.zone),
        'minimum_coverage': _decimal(scope.minimum_coverage),
        'as_of': units.iso(as_of), 'calculated_at': units.iso(now),
        'calculated_by': scope.calculated_by, 'rounding': figures.ROUNDING}


def _row(scope: figures.Scope, found: site_figures.Found,
         classes: Mapping[str, str | None] | None,
         law: Sequence[limits.Limit] | None,
         started: datetime.date | None) -> dict[str, Any]:
    figure = found.figure
    return {
        'figure': figure.figure, 'name': figure.name,
        'value': _text(figure.value), 'unit': figure.unit,
        'category': figure.category, 'method': found.method,
        'section': figure.section or None,
        'standard': figure.standard,
        'start': units.iso(figure.period.start),
        'end': units.iso(figure.period.end),
        # What is not whole is not told to be.
        'coverage': _share(figure.coverage, up=False),
        'estimated': _share(figure.estimated, up=True),
        'numerator': _term(figure.numerator),
        'denominator': _term(figure.denominator),
        'meters': None if classes is None else [
            {'name': meter, 'accuracy_class': classes.get(meter)}
            for meter in figure.meters],
        'reading_seconds': figure.reading_seconds,
        'missing': [{'input': one.role, 'why': one.why}
                    for one in figure.missing],
        'why': found.why or None, 'notes': list(found.notes),
        'limits': None if law is None else [
            _limit(scope, one, figure, started) for one in law
            if one.figure == figure.figure and not figure.section]}


def _limit(scope: figures.Scope, limit: limits.Limit,
           figure: figures.Figure,
           started: datetime.date | None) -> dict[str, Any]:
    """A limit, whether it binds on the last day of the period, and is kept.
    """
    day = (scope.period.end - datetime.timedelta(microseconds=1)).astimezone(
        scope.zone).date()
    in_force = limit.valid_from <= day < limit.valid_until
    if not in_force:
        binds, why = False, None
    elif started is None and not limit.whenever_started:
        binds, why = None, _NO_START
    else:
        binds, why = limit.binds(started or datetime.date.min, day), None
    return {
        'most': _decimal(limit.most), 'least': _decimal(limit.least),
        'legal_basis': limit.legal_basis, 'text': limit.text.isoformat(),
        'valid_from': limit.valid_from.isoformat(),
        'valid_until': _day(limit.valid_until),
        'started_from': _day(limit.started_from),
        'started_before': _day(limit.started_before),
        'years_to_meet': limit.years_to_meet, 'binds': binds, 'why': why,
        'kept': limit.kept(figure)}


def _term(term: figures.Term | None) -> dict[str, str] | None:
    return None if term is None else {
        'name': term.name, 'value': f'{term.value:f}', 'unit': term.unit}


def _text(value: decimal.Decimal | None) -> str | None:
    return None if value is None else f'{value:f}'


def _share(share: fractions.Fraction | None, *, up: bool) -> str | None:
    if share is None:
        return None
    steps = share * shares.STEPS
    return shares.text(-(-steps // 1) if up else steps // 1)


def _decimal(exact: fractions.Fraction | None) -> str | None:
    return (None if exact is None
            else f'{figures.rounded(exact, figures.PLACES).normalize():f}')


def _day(day: datetime.date) -> str | None:
    """None for a day that no limit has."""
    return (None if day in (datetime.date.min, datetime.date.max)
            else day.isoformat())
