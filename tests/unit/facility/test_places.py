# SPDX-License-Identifier: Apache-2.0
"""A sum of meters is known while each that is there is measured."""

from __future__ import annotations

import itertools
import unittest

import hypothesis
from hypothesis import strategies as st

from energy_accounting import units
from energy_accounting.facility import places

moments = st.none() | st.integers(-2, 12)
spans = st.lists(st.tuples(st.integers(0, 9), st.integers(1, 10)).filter(
    lambda span: span[0] < span[1]), max_size=3)


def is_there(service: places.Service, moment: int) -> bool:
    installed, removed = service
    return ((installed is None or installed <= moment)
            and (removed is None or moment < removed))


class KnownTest(unittest.TestCase):

    @hypothesis.given(st.lists(st.tuples(st.tuples(moments, moments), spans),
                               max_size=3), st.booleans())
    def test_a_moment_is_another_one_in_a_time(
            self, parts: list[tuple[places.Service, list[places.Span]]],
            absent_is_none: bool) -> None:
        found = places.known(parts, 0, 10, absent_is_none=absent_is_none)
        for moment in range(10):
            there = [measured for service, measured in parts
                     if is_there(service, moment)]
            self.assertEqual(
                (bool(there) or absent_is_none) and all(
                    any(first <= moment < last for first, last in measured)
                    for measured in there),
                any(first <= moment < last for first, last in found))
        for (_, last), (first, _) in itertools.pairwise(found):
            self.assertLess(last, first)

    @hypothesis.given(st.tuples(moments, moments))
    def test_a_meter_is_there_and_away(self, service: places.Service) -> None:
        away = places.out(service, 0, 10)
        for moment in range(10):
            self.assertNotEqual(
                is_there(service, moment),
                any(first <= moment < last for first, last in away))

    def test_a_part_of_a_bucket_is_a_whole_one(self) -> None:
        quarter = units.BUCKET_NS
        self.assertEqual([2, 3, 7], [*places.buckets([
            (quarter + 1, 4 * quarter + 1), (5 * quarter, 5 * quarter + 7),
            (7 * quarter, 8 * quarter)])])
