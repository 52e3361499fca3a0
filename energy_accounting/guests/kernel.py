# SPDX-License-Identifier: Apache-2.0
"""Numbers and names as the kernel writes them; anything else is an error.

Python's ``int`` takes ``-1``, ``1_0`` and digits of any script and length.
"""

from __future__ import annotations

# What a counter may reach here: in nanoseconds 292 years.
MOST = (1 << 63) - 1
_LONGEST = 19


def count(text: bytes, scale: int = 1) -> int:
    """A whole number from 0, times a scale.

    :raises ValueError: when it is none, or more than :data:`MOST`.
    """
    digits = text.strip()
    if not digits.isdigit() or len(digits) > _LONGEST:
        raise ValueError(f'{text[:40]!r} is not a number of the kernel')
    number = int(digits) * scale
    if number > MOST:
        raise ValueError(f'{text[:40]!r} is more than a counter can hold')
    return number


def word(text: bytes, longest: int = 255) -> str:
    """A short text that may be an identifier.

    :raises ValueError: when it is empty, too long or not printable.
    """
    found = text.decode('ascii').strip()
    if not 0 < len(found) <= longest or not found.isprintable():
        raise ValueError(f'{text[:40]!r} is not an identifier')
    return found
