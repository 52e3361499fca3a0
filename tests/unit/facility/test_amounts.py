# SPDX-License-Identifier: Apache-2.0
"""The laws of a meter's amounts, and what is asked instead of guessed."""

import itertools
import random

import hypothesis
import testtools
from hypothesis import strategies as st

from energy_accounting import units
from energy_accounting.facility import amounts, quantities
from energy_accounting.facility.amounts import Event, Gap, Interval, Reading
from tests.unit.facility import slowly

HOUR = amounts.HOUR_NS
QUARTER = units.BUCKET_NS


def counter(*values, **more):
    """A counter read once an hour."""
    readings = [Reading(hour * HOUR, value)
                for hour, value in enumerate(values)]
    return amounts.measured('cumulative', readings, **more)


def used(said):
    return [one.amount for one in said.intervals]


class CounterTest(testtools.TestCase):

    def test_the_first_reading_is_consumption(self):
        self.assertEqual(amounts.Measured(), counter(5000))

    def test_a_difference_is_not_what_was_used(self):
        said = counter(100, 130, 130, 131)
        self.assertEqual([30, 0, 1], used(said))
        self.assertEqual(((), ()), (said.gaps, said.questions))

    def test_a_fall_is_energy(self):
        said = counter(100, 150, 20, 30)
        self.assertEqual([50, 10], used(said))
        (question,) = said.questions
        self.assertEqual(('fall', HOUR, 2 * HOUR, 150, 20), (
            question.kind, question.start_ns, question.end_ns,
            question.was, question.became))

    def test_a_rollover_is_not_exact(self):
        said = counter(999_990, 5, 20, rollover=1_000_000, max_rate=15)
        self.assertEqual([15, 15], used(said))
        self.assertEqual((), said.questions)

    def test_a_fall_that_may_be_something_else_is_taken_for_a_rollover(self):
        for more in ({'rollover': 1_000_000},
                     {'rollover': 1_000_000, 'max_rate': 14},
                     {'max_rate': 10**9}):
            said = counter(999_990, 5, **more)
            self.assertEqual([], used(said), more)
            self.assertEqual('fall', said.questions[0].kind)

    def test_a_counter_that_could_turn_twice_is_believed_to_have_once(self):
        # A month: 745 hours of 2500 are almost two turns.
        month = [Reading(0, 123_456), Reading(745 * HOUR, 123_446)]
        said = amounts.measured('cumulative', month, rollover=1_000_000,
                                max_rate=2500)
        self.assertEqual([], used(said))
        self.assertEqual('fall', said.questions[0].kind)
        said = amounts.measured('cumulative', month, [
            Event(HOUR, amounts.ROLLOVER)], rollover=1_000_000,
            max_rate=2500)
        self.assertEqual([999_990], used(said))

    def test_more_than_half_a_turn_is_told_from_a_step_back(self):
        for rate, found in ((500, [500]), (501, [])):
            self.assertEqual(found, used(counter(
                700, 200, rollover=1000, max_rate=rate)))

    def test_a_fall_into_the_end_of_an_exchanged_counter_is_a_turn(self):
        said = amounts.measured('cumulative', [
            Reading(0, 40), Reading(11 * HOUR, 15)], [
            Event(10 * HOUR, amounts.EXCHANGE, 20, 10)], rollover=1000,
            max_rate=100)
        self.assertEqual([5], used(said))
        self.assertEqual(('fall', 40, 20), (
            said.questions[0].kind, said.questions[0].was,
            said.questions[0].became))

    def test_a_jump_above_the_rate_is_believed(self):
        said = counter(0, 10, 10_010, 10_020, max_rate=1000)
        self.assertEqual([10, 10], used(said))
        self.assertEqual('jump', said.questions[0].kind)
        self.assertEqual(10_010, said.questions[0].became)

    def test_the_rate_itself_is_a_jump(self):
        self.assertEqual([1000], used(counter(0, 1000, max_rate=1000)))
        self.assertEqual([], used(counter(0, 1001, max_rate=1000)))

    def test_a_confirmed_jump_stays_a_question(self):
        said = counter(0, 10_000, max_rate=1000, events=[
            Event(HOUR, amounts.CONFIRMED)])
        self.assertEqual([10_000], used(said))

    def test_a_fall_can_be_confirmed(self):
        said = counter(10, 0, events=[Event(HOUR, amounts.CONFIRMED)])
        self.assertEqual('fall', said.questions[0].kind)

    def test_an_exchange_loses_what_was_read_at_it(self):
        said = counter(100, 20, events=[
            Event(HOUR // 4, amounts.EXCHANGE, 107, 3)])
        self.assertEqual([Interval(0, HOUR // 4, 7),
                          Interval(HOUR // 4, HOUR, 17)],
                         list(said.intervals))

    def test_an_exchange_without_a_fall_is_overlooked(self):
        said = counter(100, 200, events=[
            Event(HOUR // 2, amounts.EXCHANGE, 101, 190)])
        self.assertEqual([1, 10], used(said))

    def test_what_nobody_knows_is_guessed(self):
        for end, start, known in ((None, 3, [17]), (107, None, [7]),
                                  (None, None, [])):
            said = counter(100, 20, events=[
                Event(HOUR // 2, amounts.RESET, end, start)])
            self.assertEqual(known, used(said))
            self.assertEqual(2 - len(known), len(said.gaps))
            self.assertEqual({'unknown'}, {gap.reason for gap in said.gaps})
            self.assertEqual((), said.questions)

    def test_a_decided_rollover_is_not_counted(self):
        said = counter(999_990, 5, rollover=1_000_000,
                       events=[Event(HOUR, amounts.ROLLOVER)])
        self.assertEqual([15], used(said))
        said = counter(99, 1, events=[
            Event(HOUR // 2, amounts.ROLLOVER, 100, 0)])
        self.assertEqual([2], used(said))

    def test_a_rollover_that_cannot_be_true_is_counted(self):
        said = counter(999_990, 5, rollover=1_000_000, max_rate=14,
                       events=[Event(HOUR, amounts.ROLLOVER)])
        self.assertEqual('jump', said.questions[0].kind)

    def test_a_whole_turn_is_counted_where_nothing_fell(self):
        turned = Event(HOUR // 2, amounts.ROLLOVER)
        said = counter(10, 20, rollover=10_000, events=[turned])
        self.assertEqual([], used(said))
        self.assertEqual(('jump', 10, 20), said.questions[0][2:])
        # Who knows that it was so says that, too.
        said = counter(10, 20, rollover=10_000, events=[
            turned, Event(HOUR // 3, amounts.CONFIRMED)])
        self.assertEqual([10_010], used(said))

    def test_an_event_that_contradicts_the_readings_is_believed(self):
        said = counter(100, 20, events=[
            Event(HOUR // 2, amounts.EXCHANGE, 90, 3)])
        self.assertEqual([17], used(said))
        self.assertEqual(('fall', 0, HOUR // 2), (
            said.questions[0].kind, said.questions[0].start_ns,
            said.questions[0].end_ns))

    def test_an_exchange_at_a_reading_is_of_another_interval(self):
        # A reading at the moment of the exchange is of the new counter.
        said = counter(100, 5, 9, events=[
            Event(HOUR, amounts.EXCHANGE, 110, 5)])
        self.assertEqual([10, 4], used(said))
        self.assertEqual(((), ()), (said.gaps, said.questions))

    def test_two_exchanges_between_readings_are_one(self):
        said = counter(100, 7, events=[
            Event(HOUR // 4, amounts.EXCHANGE, 101, 0),
            Event(HOUR // 2, amounts.EXCHANGE, 3, 2)])
        self.assertEqual([1, 3, 5], used(said))

    def test_an_estimate_is_called_measured(self):
        said = amounts.measured('cumulative', [
            Reading(0, 0), Reading(HOUR, 1, 'estimated'),
            Reading(2 * HOUR, 2), Reading(3 * HOUR, 3)])
        self.assertEqual(['estimated', 'estimated', 'measured'],
                         [one.quality for one in said.intervals])

    def test_two_values_of_one_moment_are_read(self):
        self.assertRaises(ValueError, amounts.measured, 'cumulative',
                          [Reading(0, 1), Reading(0, 2)])


class IntervalTest(testtools.TestCase):

    def test_a_hole_between_intervals_is_covered(self):
        said = amounts.measured('interval', [
            Reading(HOUR, 5, start_ns=0),
            Reading(3 * HOUR, 6, start_ns=2 * HOUR),
            Reading(4 * HOUR, 7, start_ns=3 * HOUR)])
        self.assertEqual([5, 6, 7], used(said))
        self.assertEqual((Gap(HOUR, 2 * HOUR, 'hole'),), said.gaps)

    def test_an_overlap_is_counted_twice(self):
        self.assertRaises(ValueError, amounts.measured, 'interval', [
            Reading(HOUR, 5, start_ns=0),
            Reading(2 * HOUR, 6, start_ns=HOUR - 1)])

    def test_an_amount_that_cannot_be_is_believed(self):
        said = amounts.measured('interval', [
            Reading(HOUR // 2, 501, start_ns=0),
            Reading(HOUR, 500, start_ns=HOUR // 2)], max_rate=1000)
        self.assertEqual([500], used(said))
        self.assertEqual(501, said.questions[0].became)


class GaugeTest(testtools.TestCase):

    def test_power_is_not_integrated_over_its_true_interval(self):
        said = amounts.measured('gauge', [
            Reading(0, 100), Reading(HOUR // 4, 300),
            Reading(HOUR, 300)])
        self.assertEqual([50, 225], used(said))
        self.assertEqual({'estimated'}, {
            one.quality for one in said.intervals})

    def test_half_a_unit_is_not_rounded_to_the_even_one(self):
        for first, last, amount in ((0, 1, 0), (1, 2, 2), (2, 3, 2)):
            said = amounts.measured('gauge', [
                Reading(0, first), Reading(HOUR, last)])
            self.assertEqual([amount], used(said))

    def test_a_long_hole_is_bridged(self):
        said = amounts.measured('gauge', [
            Reading(0, 100), Reading(HOUR, 100),
            Reading(2 * HOUR + 1, 100)])
        self.assertEqual([100], used(said))
        self.assertEqual((Gap(HOUR, 2 * HOUR + 1, 'hole'),), said.gaps)
        said = amounts.measured('gauge', [
            Reading(0, 100), Reading(HOUR, 100)], longest_hole_ns=HOUR - 1)
        self.assertEqual([], used(said))

    def test_a_power_that_cannot_be_is_believed(self):
        said = amounts.measured('gauge', [
            Reading(0, 1), Reading(HOUR, 1001), Reading(2 * HOUR, 1),
            Reading(3 * HOUR, 1)], max_rate=1000)
        self.assertEqual([1], used(said))
        self.assertEqual(2, len(said.questions))


class CombinedTest(testtools.TestCase):

    def test_a_sum_is_told_of_a_time_that_one_does_not_cover(self):
        first = counter(0, 8, 16)
        second = amounts.measured('cumulative', [
            Reading(HOUR // 2, 0), Reading(2 * HOUR, 6)])
        said = amounts.combined([(1, first), (1, second)])
        self.assertEqual(HOUR // 2, said.intervals[0].start_ns)
        self.assertEqual(2 * HOUR, said.intervals[-1].end_ns)
        self.assertEqual(4 + 8 + 6, sum(used(said)))

    def test_a_difference_is_added(self):
        said = amounts.combined([(1, counter(0, 8)), (-1, counter(0, 12))])
        self.assertEqual(-4, sum(used(said)))

    def test_a_question_of_a_term_is_counted_as_nothing(self):
        said = amounts.combined([(1, counter(0, 8, 16)),
                                 (1, counter(0, 8, 4))])
        self.assertEqual(16, sum(used(said)))
        self.assertEqual([(0, HOUR)], amounts.joined(said.intervals))

    def test_a_quarter_of_a_sum_is_rounded_otherwise_than_its_terms(self):
        terms = [counter(0, 7), counter(0, 9)]
        said = amounts.combined([(1, term) for term in terms])
        quarters = [[share.amount for share in slowly.by_bucket(
            one.intervals, 0, 4).values()] for one in (said, *terms)]
        self.assertEqual([[3, 4, 4, 5], [1, 2, 2, 2], [2, 2, 2, 3]],
                         quarters)

    def test_an_even_share_is_taken_for_a_measurement_of_a_quarter(self):
        said = amounts.combined([(1, counter(0, 8)), (1, counter(0, 8))])
        shares = slowly.by_bucket(said.intervals, 0, 4)
        self.assertEqual({HOUR}, {share.longest_ns
                                  for share in shares.values()})

    def test_nothing_is_something(self):
        self.assertEqual(amounts.Measured(), amounts.combined([]))


class PlacedTest(testtools.TestCase):
    """A meter is read just before it comes, or once more when it is off."""

    def test_what_a_counter_counted_is_lost_with_its_place(self):
        said = amounts.placed(counter(0, 8, 16, 20), 'cumulative',
                              (HOUR // 2, 5 * HOUR // 2))
        self.assertEqual(
            [(HOUR // 2, HOUR, 8), (HOUR, 2 * HOUR, 8),
             (2 * HOUR, 5 * HOUR // 2, 4)],
            [one[:3] for one in said.intervals])

    def test_what_a_sum_measured_elsewhere_is_of_this_place(self):
        for kind in ('virtual', 'gauge'):
            said = amounts.placed(counter(0, 8), kind,
                                  (HOUR // 4, HOUR // 2))
            self.assertEqual([(HOUR // 4, HOUR // 2, 2)],
                             [one[:3] for one in said.intervals])
            # It is an even share of the hour all the same.
            self.assertEqual((HOUR, (0, HOUR)), said.intervals[0][-2:])

    def test_a_meter_counts_at_a_place_it_has_left(self):
        for service in ((None, 0), (2 * HOUR, None), (HOUR, HOUR)):
            self.assertEqual((), amounts.placed(
                counter(0, 8), 'cumulative', service).intervals)

    def test_a_sum_is_unknown_before_its_newest_term_came(self):
        new = amounts.placed(amounts.measured('cumulative', [
            Reading(HOUR, 0), Reading(2 * HOUR, 6)]), 'cumulative',
            (HOUR, None))
        said = amounts.combined([(1, counter(0, 8, 16)), (1, new)])
        self.assertEqual([(0, 2 * HOUR)], amounts.joined(said.intervals))
        self.assertEqual(16 + 6, sum(used(said)))

    def test_a_sum_of_nothing_that_is_there_is_nothing(self):
        parts = [amounts.placed(counter(0, 8, 16, 24), 'cumulative', service)
                 for service in ((None, HOUR), (2 * HOUR, None))]
        said = amounts.combined([(1, part) for part in parts])
        self.assertEqual([(0, HOUR), (2 * HOUR, 3 * HOUR)],
                         amounts.joined(said.intervals))


class DividedTest(testtools.TestCase):

    def test_a_bucket_that_is_half_covered_is_whole(self):
        shares = slowly.by_bucket(
            [Interval(QUARTER // 2, QUARTER, 7),
             Interval(2 * QUARTER, 4 * QUARTER, 9, 'estimated')], 0, 5)
        self.assertEqual({
            0: amounts.Share(7, QUARTER // 2, 0, QUARTER // 2),
            2: amounts.Share(4, QUARTER, 4, 2 * QUARTER),
            3: amounts.Share(5, QUARTER, 5, 2 * QUARTER)}, shares)


# --- laws -------------------------------------------------------------------

times = st.lists(st.integers(0, 40 * QUARTER), min_size=2, max_size=30,
                 unique=True)
values = st.integers(0, 10**15)


@st.composite
def a_meter(draw):
    """Readings of any kind, events, and how the meter is to be read."""
    kind = draw(st.sampled_from(quantities.KINDS[:3]))
    moments = sorted(draw(times))
    qualities = st.sampled_from(quantities.QUALITIES)
    if kind == 'interval':
        readings = [Reading(end, draw(values), draw(qualities), start)
                    for start, end in itertools.pairwise(moments)
                    if draw(st.booleans())]
    else:
        readings = [Reading(at, draw(values), draw(qualities))
                    for at in moments]
    maybe = st.none() | values
    events = [Event(at, draw(st.sampled_from(amounts.EVENTS)), draw(maybe),
                    draw(maybe))
              for at in draw(st.lists(st.integers(0, 40 * QUARTER),
                                      max_size=4, unique=True))]
    return kind, readings, events, {
        'rollover': draw(st.none() | st.integers(1, 10**15)),
        'max_rate': draw(st.none() | st.integers(1, 10**15))}


def said_of(meter):
    kind, readings, events, more = meter
    return amounts.measured(kind, readings, events, **more)


class LawsTest(testtools.TestCase):

    @hypothesis.given(a_meter(), st.lists(st.integers(-1, 41 * QUARTER),
                                          max_size=20))
    def test_a_partition_adds_up_to_something_else(self, meter, edges):
        intervals = said_of(meter).intervals
        edges = sorted({-1, 41 * QUARTER, *edges})
        shares = amounts.divided(intervals, edges)
        self.assertEqual(sum(one.amount for one in intervals),
                         sum(share.amount for share in shares))
        self.assertEqual(sum(one.end_ns - one.start_ns for one in intervals),
                         sum(share.covered_ns for share in shares))
        buckets = slowly.by_bucket(intervals, 0, 41)
        self.assertEqual(sum(one.amount for one in intervals),
                         sum(share.amount for share in buckets.values()))

    @hypothesis.given(a_meter(), a_meter(), st.integers(0, 40),
                      st.integers(1, 41))
    def test_a_whole_quarter_is_another_amount_in_one_pass(
            self, one, other, first, count):
        for said in (said_of(one), amounts.combined([
                (1, said_of(one)), (-1, said_of(other))])):
            self.assertEqual(
                {bucket: share.amount for bucket, share in slowly.by_bucket(
                    said.intervals, first, first + count).items()
                 if share.covered_ns == QUARTER},
                amounts.whole(said.intervals, first, first + count))

    @hypothesis.given(a_meter())
    def test_a_time_is_told_of_twice(self, meter):
        said = said_of(meter)
        told = sorted((one.start_ns, one.end_ns) for one in (
            *said.intervals, *said.gaps, *said.questions))
        for before, after in itertools.pairwise(told):
            self.assertLessEqual(before[1], after[0])
        for start_ns, end_ns in told:
            self.assertLess(start_ns, end_ns)

    @hypothesis.given(a_meter())
    def test_a_time_between_readings_is_not_told_of(self, meter):
        said = said_of(meter)
        ends = [edge for one in meter[1]
                for edge in (one.at_ns, one.start_ns) if edge is not None]
        hypothesis.assume(len(ends) > 1)
        self.assertEqual(max(ends) - min(ends), sum(
            one.end_ns - one.start_ns for one in (
                *said.intervals, *said.gaps, *said.questions)))

    @hypothesis.given(a_meter())
    def test_energy_is_negative(self, meter):
        self.assertEqual([], [one for one in said_of(meter).intervals
                              if one.amount < 0])

    @hypothesis.given(a_meter(), st.randoms())
    def test_order_or_repetition_matters(self, meter, order):
        kind, readings, events, more = meter
        mixed = [*readings, *readings]
        random.Random(order.random()).shuffle(mixed)
        turned = [*events]
        order.shuffle(turned)
        self.assertEqual(said_of(meter), said_of(
            (kind, mixed, turned, more)))

    @hypothesis.given(a_meter(), st.integers(0, 40), st.integers(1, 40))
    def test_a_part_of_the_readings_tells_another_story(self, meter, first,
                                                        count):
        """Those of a range and next to it are enough for the range."""
        kind, readings, events, more = meter
        start_ns, end_ns = first * QUARTER, (first + count) * QUARTER
        moments = [one.at_ns for one in readings]
        since = max((at for at in moments if at <= start_ns),
                    default=start_ns)
        until = min((at for at in moments if at >= end_ns), default=end_ns)
        near = [one for one in readings if since <= one.at_ns <= until]
        self.assertEqual(*(
            slowly.by_bucket(said_of((kind, some, events, more)).intervals,
                              first, first + count)
            for some in (readings, near)))

    @hypothesis.given(st.lists(st.tuples(st.sampled_from((1, -1)),
                                         a_meter()), min_size=1, max_size=3))
    def test_a_virtual_quarter_is_not_the_sum_of_its_terms(self, terms):
        parts = [(sign, said_of(meter)) for sign, meter in terms]
        whole = amounts.combined(parts)
        shares = slowly.by_bucket(whole.intervals, 0, 41)
        each = [(sign, slowly.by_bucket(said.intervals, 0, 41))
                for sign, said in parts]
        for bucket in range(41):
            if all(QUARTER == found.get(bucket, amounts.Share()).covered_ns
                   for _, found in each):
                self.assertEqual(
                    sum(sign * found[bucket].amount
                        for sign, found in each), shares[bucket].amount)
            elif not all(bucket in found for _, found in each):
                self.assertNotIn(bucket, shares)
