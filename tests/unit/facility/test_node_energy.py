# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

import hypothesis
from hypothesis import strategies as st
from oslotest import base

from energy_accounting import units
from energy_accounting.facility import amounts, node_energy

FIRST = 1_900_000
START_NS = FIRST * units.BUCKET_NS
MINUTE_NS = 60 * units.NS_PER_S


def at(minutes: int) -> int:
    """A moment, in minutes after the first bucket begins."""
    return START_NS + minutes * MINUTE_NS


def intervals(edges: Sequence[int], given: Sequence[int],
              ) -> list[amounts.Interval]:
    """Intervals between minutes."""
    return [amounts.Interval(at(first), at(last), amount)
            for (first, last), amount in zip(
                itertools.pairwise(edges), given, strict=True)]


def seen(terms: Sequence[node_energy.Term], whole_uj: Mapping[int, int],
         count: int) -> list[node_energy.Seen | None]:
    """What was seen of the first buckets."""
    found = node_energy.by_bucket(
        terms, {FIRST + place: energy_uj
                for place, energy_uj in whole_uj.items()},
        FIRST, FIRST + count)
    return [found.get(FIRST + place) for place in range(count)]


class SeenTest(base.BaseTestCase):

    def one(self, edges: Sequence[int], given: Sequence[int],
            whole_uj: Mapping[int, int], count: int,
            ) -> list[node_energy.Seen | None]:
        return seen([node_energy.Term(1, intervals(edges, given))], whole_uj,
                    count)

    def test_the_term_is_not_the_difference_or_is_clamped(self) -> None:
        self.assertEqual(
            [(100, 40), (50, -30)],
            self.one([0, 15, 30], [100, 50], {0: 60, 1: 80}, 2))

    def test_an_interval_across_an_edge_is_lost_or_counted_twice(self) -> None:
        # 10:10 to 10:20: half of it on either side, the odd one later.
        self.assertEqual(
            [(103, 3), (108, 8)],
            self.one([0, 10, 20, 30], [100, 7, 104], {0: 100, 1: 100}, 2))

    def test_a_bucket_that_is_not_covered_has_a_term(self) -> None:
        self.assertEqual(
            [(100, None), (50, 20), None],
            self.one([1, 15, 30], [100, 50], {0: 60, 1: 30, 2: 7}, 3))

    def test_a_bucket_with_a_hole_of_rapl_has_a_term(self) -> None:
        self.assertEqual(
            [(100, None), (50, 20)],
            self.one([0, 15, 30], [100, 50], {1: 30}, 2))

    def test_a_busy_quarter_loses_to_the_idle_ones_of_its_hour(self) -> None:
        # Evenly by time the third would have 250 - 700.
        self.assertEqual(
            [(125, 25), (125, 25), (875, 175), (125, 25)],
            self.one([0, 60], [1250], {0: 100, 1: 100, 2: 700, 3: 100}, 4))

    def test_the_rest_of_a_long_interval_is_lost(self) -> None:
        found = self.one([0, 45], [100], {0: 1, 1: 1, 2: 1}, 3)
        self.assertEqual([33, 33, 34], [one.node_uj for one in found if one])

    def test_a_hole_within_a_long_interval_is_taken_for_platform(
            self) -> None:
        # Its package energy would be.
        found = self.one([0, 60, 75], [1200, 400],
                         {0: 100, 2: 100, 3: 100, 4: 100}, 5)
        self.assertEqual(
            [(300, None)] * 4 + [(400, 300)], found)

    def test_a_long_interval_has_all_of_a_bucket_at_its_end(self) -> None:
        # A third of the last bucket's 300 is this interval's.
        self.assertEqual(
            [(200, 100), (200 + 70, -30)],
            self.one([0, 20, 30], [400, 70], {0: 100, 1: 300}, 2))

    def test_no_rapl_energy_at_all_divides_by_zero(self) -> None:
        self.assertEqual(
            [(50, 50), (50, 50)], self.one([0, 30], [100], {0: 0, 1: 0}, 2))

    def test_two_power_supplies_are_not_added_up(self) -> None:
        terms = [node_energy.Term(1, intervals([0, 15, 30], [60, 60])),
                 node_energy.Term(1, intervals([0, 15], [50]))]
        self.assertEqual([(110, 10), (60, None)],
                         seen(terms, {0: 100, 1: 100}, 2))

    def test_a_meter_that_was_taken_out_makes_a_hole(self) -> None:
        old = node_energy.Term(1, intervals([0, 5], [40]), (None, at(5)))
        new = node_energy.Term(1, intervals([5, 15], [70]), (at(5), None))
        late = new._replace(service_ns=(at(6), None))
        self.assertEqual([(110, 10)], seen([old, new], {0: 100}, 1))
        self.assertEqual([(110, None)], seen([old, late], {0: 100}, 1))

    def test_a_virtual_meter_adds_what_it_takes_off(self) -> None:
        terms = [node_energy.Term(1, intervals([0, 15], [150])),
                 node_energy.Term(-1, intervals([0, 15], [20]))]
        self.assertEqual([(130, 30)], seen(terms, {0: 100}, 1))


# Minutes of readings, up to two hours apart, over four hours and more.
EDGES = st.lists(st.integers(1, 120), min_size=4, max_size=60).map(
    lambda steps: [-30, *itertools.accumulate(steps, initial=0)])


class LawsTest(base.BaseTestCase):

    @hypothesis.given(EDGES, st.data())
    def test_platform_is_not_node_minus_rapl_over_a_period(
            self, edges: list[int], data: st.DataObject) -> None:
        """Whatever intervals there are and wherever buckets cut them."""
        given = data.draw(st.lists(
            st.integers(0, 10 ** 12), min_size=len(edges) - 1,
            max_size=len(edges) - 1))
        count = edges[-1] // 15 + 2
        # As much before as the first intervals touch.
        whole = {place: data.draw(st.integers(0, 10 ** 12))
                 for place in range(-2, count)}
        found = seen([node_energy.Term(1, intervals(edges, given))], whole,
                     count)
        of_meter = intervals(edges, given)
        # Between two readings on an edge: what the meter saw, exactly.
        marks = [edge for edge in edges if edge >= 0 and edge % 15 == 0]
        for first, last in itertools.combinations(marks, 2):
            parts = found[first // 15:last // 15]
            self.assertTrue(all(
                one is not None and one.platform_uj is not None
                for one in parts))
            self.assertEqual(
                sum(one.amount for one in of_meter
                    if at(first) <= one.start_ns and one.end_ns <= at(last)),
                sum((one.platform_uj or 0) + whole[first // 15 + place]
                    for place, one in enumerate(parts) if one))

    @hypothesis.given(EDGES, st.data())
    def test_what_is_not_divided_is_lost(self, edges: list[int],
                                         data: st.DataObject) -> None:
        """Node energy is all there, whatever RAPL has holes."""
        given = data.draw(st.lists(
            st.integers(0, 10 ** 12), min_size=len(edges) - 1,
            max_size=len(edges) - 1))
        whole = data.draw(st.dictionaries(
            st.integers(0, 40), st.integers(0, 10 ** 12)))
        terms = [node_energy.Term(1, intervals(edges, given))]
        found = node_energy.by_bucket(
            terms, {FIRST + place: energy_uj
                    for place, energy_uj in whole.items()},
            FIRST - 2, FIRST + edges[-1] // 15 + 1)
        self.assertEqual(sum(given),
                         sum(one.node_uj for one in found.values()))
        for bucket, one in found.items():
            if one.platform_uj is not None:
                self.assertEqual(one.node_uj,
                                 whole[bucket - FIRST] + one.platform_uj)

    @hypothesis.given(EDGES, st.integers(0, 30), st.integers(0, 30),
                      st.data())
    def test_a_range_that_is_asked_for_changes_the_answer(
            self, edges: list[int], first: int, length: int,
            data: st.DataObject) -> None:
        given = data.draw(st.lists(
            st.integers(0, 1000), min_size=len(edges) - 1,
            max_size=len(edges) - 1))
        whole = {FIRST + place: data.draw(st.integers(0, 1000))
                 for place in range(-2, 60) if data.draw(st.booleans())}
        terms = [node_energy.Term(1, intervals(edges, given))]
        all_of_it = node_energy.by_bucket(terms, whole, FIRST - 2, FIRST + 500)
        part = range(FIRST + first, FIRST + first + length)
        self.assertEqual(
            {bucket: all_of_it[bucket] for bucket in part
             if bucket in all_of_it},
            node_energy.by_bucket(terms, whole, part.start, part.stop))

    @hypothesis.given(EDGES, st.integers(0, 40), st.data())
    def test_rapl_energy_changes_a_term_out_of_its_reach(
            self, edges: list[int], changed: int,
            data: st.DataObject) -> None:
        given = data.draw(st.lists(
            st.integers(0, 1000), min_size=len(edges) - 1,
            max_size=len(edges) - 1))
        whole = {FIRST + place: data.draw(st.integers(0, 1000))
                 for place in range(-2, 60)}
        terms = [node_energy.Term(1, intervals(edges, given))]
        before = node_energy.by_bucket(terms, whole, FIRST, FIRST + 60)
        if data.draw(st.booleans()):
            del whole[FIRST + changed]
        else:
            whole[FIRST + changed] += 1 + data.draw(st.integers(0, 1000))
        after = node_energy.by_bucket(terms, whole, FIRST, FIRST + 60)
        reached = node_energy.reach(terms, {FIRST + changed})
        for bucket in before.keys() | after.keys():
            if bucket not in reached:
                self.assertEqual(before[bucket], after[bucket])
