# SPDX-License-Identifier: Apache-2.0
"""Figures as tables show them; json, csv and value get them as sent."""

from __future__ import annotations

import datetime
import decimal
import json
import textwrap
from collections.abc import Iterable, Mapping
from typing import Any

from cliff import columns

from energy_accounting.osc import times

# Short enough to read, long enough that a small guest's minute is not 0.
_SIGNIFICANT = decimal.Context(prec=4, rounding=decimal.ROUND_HALF_EVEN)
_DOWN = decimal.Context(prec=4, rounding=decimal.ROUND_DOWN)
_TENTH = decimal.Decimal('0.1')
# Below this, four digits would need more than six places.
_SMALL = decimal.Decimal('0.001')
_SMALLEST = decimal.Decimal('0.000001')
_AMOUNTS = ('_kwh', '_kg', '_kw', '_w', '_l')
UNKNOWN = '-'


def rounded(text: str | None) -> str:
    """A decimal string for people; ``-`` where nothing was measured.

    Four significant digits and at most six decimal places; never an
    exponent.
    """
    if text is None:
        return UNKNOWN
    exact = decimal.Decimal(text)
    if exact == 0:
        return '0'
    if abs(exact) >= 1000:
        return format(exact.quantize(_TENTH), 'f')
    if abs(exact) >= _SMALL:
        return format(_SIGNIFICANT.plus(exact), 'f')
    short = exact.quantize(_SMALLEST)
    if short == 0:
        return f'<{_SMALLEST:f}' if exact > 0 else f'>-{_SMALLEST:f}'
    return format(short, 'f')


def not_all(share: str) -> decimal.Decimal:
    """A share for people: what is not all is never rounded up to it."""
    exact = decimal.Decimal(share)
    return _DOWN.plus(exact) if exact < 1 else exact


class Figure(columns.FormattableColumn[Any]):
    """A decimal string of the API."""

    def human_readable(self) -> str:
        return rounded(self._value)


class Covered(columns.FormattableColumn[Any]):
    """The share of a time in which meters were read."""

    def human_readable(self) -> str:
        return rounded(None if self._value is None else
                       str(not_all(self._value)))


class Moment(columns.FormattableColumn[Any]):
    """A time: local for people, where the zone is named beside."""

    def __init__(self, value: Any, where: datetime.tzinfo) -> None:
        super().__init__(value)
        self._where = where

    def human_readable(self) -> str:
        if self._value is None:
            return UNKNOWN
        return times.spoken(datetime.datetime.fromisoformat(self._value),
                            self._where)


class Known(columns.FormattableColumn[Any]):
    """A value that may be missing."""

    def human_readable(self) -> str:
        return UNKNOWN if self._value is None else str(self._value)


class Nested(columns.FormattableColumn[Any]):
    """A mapping or a list: a line each in a table, or a few."""

    def human_readable(self) -> str:
        if not self._value:
            return UNKNOWN
        if isinstance(self._value, Mapping):
            return '\n'.join(folded(f'{key}: {_plain(value)}')
                             for key, value in self._value.items())
        return '\n'.join(folded(_plain(item)) for item in self._value)


def folded(text: str, width: int = 60) -> str:
    """A text in lines that leave room beside; the next ones indented."""
    return textwrap.fill(text, width, subsequent_indent='  ',
                         break_long_words=False, break_on_hyphens=False)


def cell(name: str, value: Any, formatter: str,
         where: datetime.tzinfo | None = None) -> Any:
    """What a command returns for a value of the column ``name``.

    :param formatter: name of the output format that was asked for.
    :param where: the zone that the command names, if it does.
    """
    if formatter in ('csv', 'value', 'shell'):
        # Plain text has no null: an empty field, never the word None.
        if value is None:
            return ''
        if isinstance(value, (Mapping, list)):
            return json.dumps(value, sort_keys=True)
        return value
    if isinstance(value, (Mapping, list)):
        return Nested(value)
    if name == 'coverage':
        return Covered(value)
    # A price or a factor is as it was agreed, and no amount.
    if name in ('pue', 'renewable_share', 'cue_kg_per_kwh') or (
            name.endswith(_AMOUNTS) and '_per_' not in name):
        return Figure(value)
    if where is not None and name in ('start', 'end', 'complete_until'):
        return Moment(value, where)
    return Known(value)


def cells(names: Iterable[str], row: Mapping[str, Any], formatter: str,
          where: datetime.tzinfo | None = None) -> tuple[Any, ...]:
    """A row in the order of the columns."""
    return tuple(cell(name, row.get(name), formatter, where)
                 for name in names)


def _plain(value: Any) -> str:
    if isinstance(value, Mapping):
        return ' '.join(f'{key}={_plain(item)}'
                        for key, item in value.items() if item is not None)
    return UNKNOWN if value is None else str(value)
