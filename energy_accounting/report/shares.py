# SPDX-License-Identifier: Apache-2.0
"""What every report writes alike: parts of a whole, one name of several.

Pure.  How a part is rounded is the caller's to decide, not this file's.
"""

from __future__ import annotations

STEPS = 10_000
"""A share is a whole number of these: four decimal places."""

MIXED = 'mixed'


def text(steps: int) -> str:
    """A share as a decimal string, 0.0000 to 1.0000."""
    return f'{steps // STEPS}.{steps % STEPS:04d}'


def one_of(low_and_high: tuple[str, str]) -> str:
    """The one name that sums have, or that they have several."""
    low, high = low_and_high
    return low if low == high else MIXED
