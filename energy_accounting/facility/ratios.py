# SPDX-License-Identifier: Apache-2.0
"""Exact ratios of integers that nobody reduces.  Pure.

A ``Fraction`` looks for the common divisor of every ratio it is made of.
What a site makes of its energy is another ratio in each quarter of an hour,
of which only the quotient by integers is wanted: that needs none.
"""

from __future__ import annotations

import dataclasses
import fractions


# Not frozen, which would cost as much again as to make it; and no tuple, whose
# sums and products are others.
@dataclasses.dataclass(slots=True, eq=False)
class Ratio:
    """An exact ratio; equal to every number that it is the value of.

    :ivar denominator: above 0.
    """

    numerator: int
    denominator: int

    @property
    def fraction(self) -> fractions.Fraction:
        """The same, reduced: to go on reckoning with it."""
        return fractions.Fraction(self.numerator, self.denominator)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Ratio | fractions.Fraction | int):
            return (self.numerator * other.denominator
                    == other.numerator * self.denominator)
        return NotImplemented

    def __hash__(self) -> int:
        return hash(self.fraction)


Exact = Ratio | fractions.Fraction
"""What has a numerator and a denominator."""
