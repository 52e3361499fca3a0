# SPDX-License-Identifier: Apache-2.0
"""Numbers as people read them, in each language.  Pure."""

from __future__ import annotations

import decimal

from energy_accounting import tariffs, units

_EXACT = decimal.Context(prec=60, rounding=decimal.ROUND_HALF_UP)
_MARKS = {'en': '.', 'de': ','}


def number(value: decimal.Decimal | int, places: int, language: str) -> str:
    """Rounded half up, with the marks of a language."""
    step = decimal.Decimal(1).scaleb(-places)
    text = format(_EXACT.quantize(decimal.Decimal(value), step), ',f')
    # A narrow blank cannot be taken for a decimal mark, nor be torn.
    return text.replace(',', '\u202f').replace(
        '.', _MARKS[language]).replace('-', '\u2212')


def kwh(energy_uj: int, language: str, places: int = 3) -> str:
    """To the watt-hour; what is less than half of one is no nothing."""
    return _seen(units.kwh(energy_uj), places, language)


def kilograms(amount_ng: int, language: str, places: int = 3) -> str:
    return _seen(decimal.Decimal(amount_ng).scaleb(-12, _EXACT), places,
                 language)


def litres(amount_ul: int, language: str) -> str:
    return _seen(decimal.Decimal(amount_ul).scaleb(-6, _EXACT), 1, language)


def _seen(value: decimal.Decimal, places: int, language: str) -> str:
    """A number that is not zero never looks like it."""
    step = decimal.Decimal(1).scaleb(-places)
    if 0 < abs(value) < step / 2:
        return '< ' + number(step, places, language)
    return number(value, places, language)


def decimal_text(text: str, language: str) -> str:
    """A decimal in a string with the mark of a language, not rounded."""
    return text.replace('.', _MARKS[language])


def percent(share: str, language: str) -> str:
    """A share from 0 to 1; rounded down where it is nearly all."""
    steps = decimal.Decimal(share) * 100
    return number(steps.quantize(decimal.Decimal('0.1'),
                                 decimal.ROUND_DOWN), 1, language) + ' %'


def money(minor: int, digits: int, language: str) -> str:
    return number(decimal.Decimal(tariffs.amount_text(minor, digits)),
                  digits, language)
