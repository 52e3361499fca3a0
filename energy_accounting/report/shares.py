# SPDX-License-Identifier: Apache-2.0
"""Parts of a whole, as every report writes them.  Pure.

How a part is rounded is the caller's to decide, not this file's.
"""

from __future__ import annotations

STEPS = 10_000
"""A share is a whole number of these: four decimal places."""


def text(steps: int) -> str:
    """A share as a decimal string, 0.0000 to 1.0000."""
    return f'{steps // STEPS}.{steps % STEPS:04d}'
