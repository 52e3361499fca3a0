# SPDX-License-Identifier: Apache-2.0
"""Factors in the words of a file or a request.  Pure.

What a factor may be is decided in :mod:`.factors`; which files and
requests there are is their readers' business.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Mapping

from energy_accounting import units
from energy_accounting.facility import factors
from energy_accounting.facility.factor_revisions import Problem


class WrongField(ValueError):
    """A word that is no value of its field; says what to give."""

    def __init__(self, field: str, text: str) -> None:
        super().__init__(text)
        self.field = field


def in_words(given: Mapping[str, str | None], provider: str, now_ns: int,
             ) -> factors.Factor:
    """The factor that the words of a file or a request mean.

    What is left out or empty is of kind carbon, of electricity, actual, by
    location, average, and in the unit of its kind.

    :param given: ``start``, ``end``, ``value``, ``source`` at least.
    :raises WrongField: :func:`faults` finds the rest.
    """
    kind = given.get('kind') or factors.CARBON
    emits = kind == factors.CARBON
    try:
        value = factors.decimal_of(given['value'] or '')
    except ValueError as error:
        raise WrongField('value', str(error)) from error
    return factors.Factor(
        kind=kind, carrier=given.get('carrier') or factors.ELECTRICITY,
        start_ns=moment(given, 'start'), end_ns=moment(given, 'end'),
        value=value, quality=given.get('quality') or factors.ACTUAL,
        provider=provider, source=given['source'] or '',
        retrieved_ns=now_ns, zone=given.get('zone') or None,
        site=given.get('site') or None, basis=given.get('basis') or None,
        method=given.get('method') or (factors.LOCATION if emits else None),
        signal=given.get('signal') or (factors.AVERAGE if emits else None),
        unit=given.get('unit') or factors.UNITS.get(kind, ''),
        revision=given.get('revision') or None)


_INSTEAD = {'value': '1', 'start': '2000-01-01T00:00:00Z',
            'end': '2001-01-01T00:00:00Z'}


def from_words(rows: Iterable[Mapping[str, str | None]], provider: str,
               now_ns: int,
               ) -> tuple[list[factors.Factor], list[Problem]]:
    """The factors that rows mean, and what of them means none.

    Where a word of any row does, all that is wrong with all of the rows is
    told; otherwise :func:`.factor_revisions.within` tells the rest.
    """
    found: list[factors.Factor] = []
    wrong: dict[int, dict[str, str]] = {}
    for row, given in enumerate(rows):
        while len(found) == row:
            try:
                found.append(in_words(given, provider, now_ns))
            except WrongField as error:
                wrong.setdefault(row, {})[error.field] = str(error)
                given = {**given, error.field: _INSTEAD[error.field]}
    problems = []
    for row, factor in enumerate(found if wrong else ()):
        fields = wrong.get(row, {})
        problems += [Problem(row, *one) for one in fields.items()]
        problems += [Problem(row, *one) for one in factors.faults(factor)
                     # An end may be after the start that was meant.
                     if one[0] not in fields
                     and not (one[0] == 'end' and 'start' in fields)]
    return found, problems


def moment(given: Mapping[str, str | None], name: str) -> int:
    """A time in words.

    :raises WrongField: it is none, or has no zone.
    """
    text = given[name] or ''
    try:
        return units.wall_ns(datetime.datetime.fromisoformat(text))
    except ValueError as error:
        raise WrongField(
            name, f'{text[:64]!r} is not an ISO 8601 time with Z or an '
                  'offset: give one such as 2026-01-01T00:00:00+01:00',
        ) from error
