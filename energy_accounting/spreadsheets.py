# SPDX-License-Identifier: Apache-2.0
"""Texts of a table that no spreadsheet calculates.

For everything that writes CSV with names that somebody else chose.  Numbers
are not for here: a minus begins one.
"""

from __future__ import annotations

import re

_CONTROL = dict.fromkeys((*range(32), *range(127, 160), 0x2028, 0x2029), ' ')
# What is not seen before it does not keep a spreadsheet from a formula; some
# take the wide signs of East Asia for the others.
_FORMULA = re.compile('[\\s\u200b-\u200f\u2060\ufeff]*'
                      '[=+\\-@\uff1d\uff0b\uff0d\uff20]')
_DOUBTFUL = frozenset(' =+-@\uff1d\uff0b\uff0d\uff20')


def guarded(text: str) -> str:
    """A text on one line, with an apostrophe where it would be a formula.

    OWASP, "CSV Injection".
    """
    if text[:1] not in _DOUBTFUL and text.isprintable():
        # Nearly all of millions of cells.
        return text
    text = text.translate(_CONTROL)
    return f"'{text}" if _FORMULA.match(text) else text
