# SPDX-License-Identifier: Apache-2.0
"""From a meter's readings to what was used, and when.  Pure.

What is not known is said and never guessed: a time without readings is a
``Gap``, and what an operator must decide about (a counter that fell, or
rose faster than the meter can) is a ``Question``; neither is energy.
Integers only.  Where readings are kept, and which of them count, is not
decided here.
"""

from __future__ import annotations

import bisect
import dataclasses
import itertools
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from energy_accounting import units
from energy_accounting.facility import places, quantities

HOUR_NS = 3600 * units.NS_PER_S
LONGEST_HOLE_NS = HOUR_NS
"""Longer than this no power is believed between two readings of it."""

ROLLOVER = 'rollover'
EXCHANGE = 'exchange'
RESET = 'reset'
CONFIRMED = 'confirmed'
"""What was counted is true, though more than the meter's ``max_rate``."""
EVENTS = (ROLLOVER, EXCHANGE, RESET, CONFIRMED)

HOLE = 'hole'
UNKNOWN = 'unknown'
"""Nobody knows what an exchanged or reset counter showed."""

FALL = 'fall'
JUMP = 'jump'


class Reading(NamedTuple):
    """A value that was read.

    :ivar at_ns: when; of an interval, its end.
    :ivar value: as :meth:`quantities.Quantity.exact` has it.
    :ivar start_ns: of an interval.
    """

    at_ns: int
    value: int
    quality: str = quantities.MEASURED
    start_ns: int | None = None


class Event(NamedTuple):
    """What an operator says has happened to a counter.

    :ivar at_ns: when; a reading of the same moment is of the time after it.
    :ivar kind: of :data:`EVENTS`.
    :ivar end_value: the last value before it; None: nobody knows.
    :ivar start_value: the first value after it; None: nobody knows.
    """

    at_ns: int
    kind: str
    end_value: int | None = None
    start_value: int | None = None


Span = places.Span


class Interval(NamedTuple):
    """An amount that was used in [start_ns, end_ns).

    :ivar part_of_ns: the length of the measurement that it was cut out of;
        0: it is the whole of one.
    :ivar part_of: from the first to the last edge of the measurements that
        it was cut out of.
    """

    start_ns: int
    end_ns: int
    amount: int
    quality: str = quantities.MEASURED
    part_of_ns: int = 0
    part_of: Span | None = None

    def until(self, at_ns: int) -> int:
        """What of it was used before a moment, rounded down.

        As if it had been used evenly.  The differences of these add up to
        the amount, wherever it is divided.
        """
        if at_ns >= self.end_ns:
            return self.amount
        if at_ns <= self.start_ns:
            return 0
        return (self.amount * (at_ns - self.start_ns)
                // (self.end_ns - self.start_ns))


class Gap(NamedTuple):
    """A time of which nothing is known: :data:`HOLE`, :data:`UNKNOWN`."""

    start_ns: int
    end_ns: int
    reason: str


class Question(NamedTuple):
    """What an operator must decide about before it is counted.

    :ivar kind: :data:`FALL` or :data:`JUMP`.
    :ivar was: the value at its start; None of an interval.
    :ivar became: the value at its end; of an interval, its amount.
    """

    start_ns: int
    end_ns: int
    kind: str
    was: int | None
    became: int


@dataclasses.dataclass(frozen=True, slots=True)
class Measured:
    """What readings say: in order of time, and nothing twice.

    :ivar service: when the meter was at its place (:func:`placed`).
    """

    intervals: tuple[Interval, ...] = ()
    gaps: tuple[Gap, ...] = ()
    questions: tuple[Question, ...] = ()
    service: places.Service = places.ALWAYS

    @property
    def part(self) -> tuple[places.Service, Sequence[Span]]:
        """As :func:`places.known` wants it."""
        return self.service, joined(self.intervals)


@dataclasses.dataclass(frozen=True, slots=True)
class Share:
    """What a meter measured of a time.

    :ivar amount: microjoules or millilitres.
    :ivar covered_ns: the part of the time that it is the amount of.
    :ivar estimated: the part of the amount that was not measured.
    :ivar longest_ns: of the intervals it is a part of: where that is longer
        than the time, the amount is an even share of what was measured.
    :ivar part_of: from the first to the last edge of these intervals.
    """

    amount: int = 0
    covered_ns: int = 0
    estimated: int = 0
    longest_ns: int = 0
    part_of: Span = dataclasses.field(default=(0, 0), compare=False)


def measured(kind: str, readings: Iterable[Reading],
             events: Iterable[Event] = (), *, rollover: int | None = None,
             max_rate: int | None = None,
             longest_hole_ns: int = LONGEST_HOLE_NS) -> Measured:
    """What a meter's readings, in any order, say was used.

    :param kind: of :data:`quantities.KINDS`, but not virtual.
    :param rollover: at which value a counter starts again from 0.
    :param max_rate: the most in an hour; of a gauge, the highest value.
    :param longest_hole_ns: between two readings of a gauge.
    :raises ValueError: two readings of one moment differ, or intervals
        overlap.
    """
    ordered = sorted(set(readings), key=lambda one: one.at_ns)
    for one, after in itertools.pairwise(ordered):
        if one.at_ns == after.at_ns:
            raise ValueError(f'two readings of {one.at_ns} ns differ')
    if kind == quantities.CUMULATIVE:
        return _Counter(
            sorted(events, key=lambda one: one.at_ns), rollover,
            max_rate).read(ordered)
    if kind == quantities.INTERVAL:
        return _intervals(ordered, max_rate)
    if kind == quantities.GAUGE:
        return _gauge(ordered, max_rate, longest_hole_ns)
    raise ValueError(f'a {kind} meter has no readings')


# --- counters ---------------------------------------------------------------

class _Stretch(NamedTuple):
    """A counter between two moments at which its value may be known."""

    start_ns: int
    end_ns: int
    was: int | None
    became: int | None
    turned: int
    confirmed: bool


class _Counter:
    """How a counter is read."""

    def __init__(self, events: Sequence[Event], rollover: int | None,
                 max_rate: int | None) -> None:
        self._events = events
        self._times = [event.at_ns for event in events]
        self._rollover = rollover
        self._max_rate = max_rate

    def read(self, readings: Sequence[Reading]) -> Measured:
        intervals, gaps, questions = [], [], []
        for before, after in itertools.pairwise(readings):
            quality = (quantities.ESTIMATED if quantities.ESTIMATED in (
                before.quality, after.quality) else quantities.MEASURED)
            amount = after.value - before.value
            if (not self._events and amount >= 0 and not self._too_fast(
                    amount, after.at_ns - before.at_ns)):
                # As below, of a counter to which nothing has happened.
                intervals.append(Interval(before.at_ns, after.at_ns, amount,
                                          quality))
                continue
            for stretch in self._stretches(before, after):
                match self._used(stretch):
                    case None:
                        gaps.append(Gap(stretch.start_ns, stretch.end_ns,
                                        UNKNOWN))
                    case int(amount):
                        intervals.append(Interval(
                            stretch.start_ns, stretch.end_ns, amount,
                            quality))
                    case str(kind):
                        questions.append(Question(
                            stretch.start_ns, stretch.end_ns, kind,
                            stretch.was, stretch.became or 0))
        return Measured(tuple(intervals), tuple(gaps), tuple(questions))

    def _stretches(self, before: Reading, after: Reading,
                   ) -> Iterator[_Stretch]:
        """The time between two readings, cut where the counter changed."""
        start_ns, was = before.at_ns, before.value
        known: int | None = was
        turned, confirmed = 0, False
        first = bisect.bisect_right(self._times, before.at_ns)
        last = bisect.bisect_right(self._times, after.at_ns)
        for event in self._events[first:last]:
            if event.kind == CONFIRMED:
                confirmed = True
            elif event.kind == ROLLOVER:
                # Where it turned: as the event says, else as the meter.
                at = (self._rollover if event.end_value is None
                      else event.end_value)
                turned += (at or 0) - (event.start_value or 0)
            else:
                yield _Stretch(start_ns, event.at_ns, known,
                               event.end_value, turned, confirmed)
                start_ns, known = event.at_ns, event.start_value
                turned, confirmed = 0, False
        # An exchange at the very moment of a reading has measured nothing
        # since: the new counter shows what it began with.
        if start_ns < after.at_ns:
            yield _Stretch(start_ns, after.at_ns, known, after.value,
                           turned, confirmed)

    def _used(self, stretch: _Stretch) -> int | str | None:
        """An amount; what to ask; or None when nobody can know."""
        if stretch.was is None or stretch.became is None:
            return None
        amount = stretch.became + stretch.turned - stretch.was
        span_ns = stretch.end_ns - stretch.start_ns
        if amount < 0:
            amount += self._rollover or 0
            # Whether it turned or was changed shows in how fast it would
            # have been: without a bound nobody can tell.
            if (amount < 0 or stretch.turned
                    or not self._at_most_half_a_turn(span_ns)
                    or self._too_fast(amount, span_ns)):
                return FALL
        # A counter that is said to have turned and rose all the same has
        # made a whole turn, or the event is wrong.
        if not stretch.confirmed and (
                self._too_fast(amount, span_ns)
                or (stretch.turned and stretch.became >= stretch.was)):
            return JUMP
        return amount

    def _at_most_half_a_turn(self, span_ns: int) -> bool:
        """Whether a fall can be told from a step back.

        A counter that can do more in the time may have turned twice, or
        fallen by a little: another meter, a wrong digit.
        """
        return (self._max_rate is not None and self._rollover is not None
                and 2 * self._max_rate * span_ns
                <= self._rollover * HOUR_NS)

    def _too_fast(self, amount: int, span_ns: int) -> bool:
        return (self._max_rate is not None
                and amount * HOUR_NS > self._max_rate * span_ns)


# --- intervals and gauges ---------------------------------------------------

def _intervals(readings: Sequence[Reading],
               max_rate: int | None) -> Measured:
    intervals, gaps, questions = [], [], []
    until_ns: int | None = None
    for one in readings:
        start_ns = one.start_ns
        if start_ns is None or start_ns >= one.at_ns:
            raise ValueError(f'the interval that ends at {one.at_ns} ns has '
                             'no start before its end')
        if until_ns is not None and start_ns < until_ns:
            raise ValueError(f'the interval from {start_ns} ns overlaps '
                             'the one before it')
        if until_ns is not None and until_ns < start_ns:
            gaps.append(Gap(until_ns, start_ns, HOLE))
        if (max_rate is not None and one.value * HOUR_NS
                > max_rate * (one.at_ns - start_ns)):
            questions.append(Question(start_ns, one.at_ns, JUMP, None,
                                      one.value))
        else:
            intervals.append(Interval(start_ns, one.at_ns, one.value,
                                      one.quality))
        until_ns = one.at_ns
    return Measured(tuple(intervals), tuple(gaps), tuple(questions))


def _gauge(readings: Sequence[Reading], max_rate: int | None,
           longest_hole_ns: int) -> Measured:
    """Power integrated: the mean of two readings over their interval."""
    intervals, gaps, questions = [], [], []
    for before, after in itertools.pairwise(readings):
        span_ns = after.at_ns - before.at_ns
        if span_ns > longest_hole_ns:
            gaps.append(Gap(before.at_ns, after.at_ns, HOLE))
        elif max_rate is not None and max(before.value,
                                          after.value) > max_rate:
            questions.append(Question(before.at_ns, after.at_ns, JUMP,
                                      before.value, after.value))
        else:
            intervals.append(Interval(
                before.at_ns, after.at_ns,
                _rounded((before.value + after.value) * span_ns,
                         2 * HOUR_NS), quantities.ESTIMATED))
    return Measured(tuple(intervals), tuple(gaps), tuple(questions))


def _rounded(numerator: int, denominator: int) -> int:
    """A quotient of integers from 0 on, half to even."""
    whole, rest = divmod(numerator, denominator)
    return whole + (2 * rest > denominator
                    or (2 * rest == denominator and whole % 2))


# --- places -----------------------------------------------------------------

def placed(said: Measured, kind: str, service: places.Service) -> Measured:
    """What a meter measured while it was at its place.

    A counter that is read before it is put there, or once more when it is
    off, stands still in between: all of such an interval was used at its
    place.  Power and sums go on elsewhere: of them an even share is taken.
    """
    if service == places.ALWAYS:
        return said
    whole = kind in (quantities.CUMULATIVE, quantities.INTERVAL)
    found = []
    for one in said.intervals:
        for start_ns, end_ns in units.without(
                *one[:2], places.out(service, *one[:2])):
            if (start_ns, end_ns) == one[:2]:
                found.append(one)
            else:
                found.append(one._replace(
                    start_ns=start_ns, end_ns=end_ns) if whole
                    else Interval(
                        start_ns, end_ns,
                        one.until(end_ns) - one.until(start_ns), one.quality,
                        one.part_of_ns or one.end_ns - one.start_ns,
                        one.part_of or one[:2]))
    return dataclasses.replace(said, intervals=tuple(found),
                               service=service)


# --- virtual meters ---------------------------------------------------------

def combined(terms: Sequence[tuple[int, Measured]]) -> Measured:
    """A signed sum of meters, over the time that all that were there cover.

    Cut at every quarter of an hour and wherever a term's interval ends, so
    that each quarter is the sum of its terms' to the last digit.

    :param terms: (1 or -1, what a meter measured).
    """
    readers = [(sign, _Reader(term.intervals)) for sign, term in terms]
    ends = sorted({edge for _, term in terms for one in term.intervals
                   for edge in (one.start_ns, one.end_ns)})
    common = places.known((term.part for _, term in terms), ends[0],
                          ends[-1]) if ends else []
    intervals = []
    for start_ns, end_ns in common:
        inner = ends[bisect.bisect_right(ends, start_ns):
                     bisect.bisect_left(ends, end_ns)]
        first = units.bucket_of(start_ns) + 1
        last = units.bucket_of(end_ns - 1) + 1
        edges = sorted({start_ns, end_ns, *inner, *(
            bucket * units.BUCKET_NS for bucket in range(first, last))})
        for part in itertools.pairwise(edges):
            shares = [(sign, reader.share(*part))
                      for sign, reader in readers]
            intervals.append(Interval(
                *part, sum(sign * share.amount for sign, share in shares),
                quantities.ESTIMATED if any(
                    share.estimated for _, share in shares)
                else quantities.MEASURED,
                max(share.longest_ns for _, share in shares),
                (min(share.part_of[0] for _, share in shares),
                 max(share.part_of[1] for _, share in shares))))
    gaps = [Gap(end_ns, start_ns, HOLE) for (_, end_ns), (start_ns, _)
            in itertools.pairwise(common)]
    return Measured(tuple(intervals), tuple(gaps))


def joined(intervals: Iterable[Interval]) -> list[tuple[int, int]]:
    """The times that intervals in order cover, without inner edges."""
    found: list[tuple[int, int]] = []
    for one in intervals:
        if found and found[-1][1] == one.start_ns:
            found[-1] = (found[-1][0], one.end_ns)
        else:
            found.append((one.start_ns, one.end_ns))
    return found


def both(one: Sequence[tuple[int, int]], other: Sequence[tuple[int, int]],
         ) -> list[tuple[int, int]]:
    """The times that two ordered lists of times have in common."""
    found = []
    here = there = 0
    while here < len(one) and there < len(other):
        start_ns = max(one[here][0], other[there][0])
        end_ns = min(one[here][1], other[there][1])
        if start_ns < end_ns:
            found.append((start_ns, end_ns))
        if one[here][1] < other[there][1]:
            here += 1
        else:
            there += 1
    return found


# --- division ---------------------------------------------------------------

class _Reader:
    """Shares of intervals, asked for in order of time."""

    def __init__(self, intervals: Sequence[Interval]) -> None:
        self._intervals = intervals
        self._next = 0

    def share(self, start_ns: int, end_ns: int) -> Share:
        """What of [start_ns, end_ns) the intervals say."""
        intervals = self._intervals
        while (self._next < len(intervals)
               and intervals[self._next].end_ns <= start_ns):
            self._next += 1
        amount = covered_ns = estimated = longest_ns = 0
        first_ns, last_ns = end_ns, start_ns
        place = self._next
        while place < len(intervals) and intervals[place].start_ns < end_ns:
            one = intervals[place]
            part = one.until(end_ns) - one.until(start_ns)
            amount += part
            covered_ns += (min(end_ns, one.end_ns)
                           - max(start_ns, one.start_ns))
            if one.quality == quantities.ESTIMATED:
                estimated += part
            longest_ns = max(longest_ns, one.part_of_ns
                             or one.end_ns - one.start_ns)
            since_ns, until_ns = one.part_of or one[:2]
            first_ns = min(first_ns, since_ns)
            last_ns = max(last_ns, until_ns)
            place += 1
        return Share(amount, covered_ns, estimated, longest_ns,
                     (first_ns, last_ns))


def divided(intervals: Sequence[Interval], edges_ns: Sequence[int],
            ) -> list[Share]:
    """What was used between each two neighbours of ascending edges.

    Whatever the edges between the first and the last: the amounts add up
    to the same sum.
    """
    reader = _Reader(intervals)
    return [reader.share(*part) for part in itertools.pairwise(edges_ns)]


def whole(intervals: Iterable[Interval], start: int, end: int,
          service: places.Service = places.ALWAYS) -> dict[int, int]:
    """What was used in each bucket of [start, end) covered throughout.

    Of one in which the meter came or went: throughout its time there.

    The amounts of :func:`divided` at the edges of the buckets, in one pass
    and nothing else: a report asks for them of a year.

    :param intervals: in order of time, and :func:`placed`.
    """
    if service != places.ALWAYS:
        intervals = [*_edges(service, 0), *intervals, *_edges(service, 1)]
    found: dict[int, int] = {}
    start_ns, end_ns = start * units.BUCKET_NS, end * units.BUCKET_NS
    bucket, amount, covered_ns = start, 0, 0
    for one in intervals:
        first_ns, last_ns, whole_amount = one[:3]
        if last_ns <= start_ns:
            continue
        if first_ns >= end_ns:
            break
        span_ns = last_ns - first_ns
        at_ns = max(first_ns, start_ns)
        before = whole_amount * (at_ns - first_ns) // span_ns
        last_ns = min(last_ns, end_ns)
        if at_ns // units.BUCKET_NS != bucket:
            bucket, amount, covered_ns = at_ns // units.BUCKET_NS, 0, 0
        while at_ns < last_ns:
            edge_ns = min((bucket + 1) * units.BUCKET_NS, last_ns)
            until = whole_amount * (edge_ns - first_ns) // span_ns
            amount += until - before
            covered_ns += edge_ns - at_ns
            if covered_ns == units.BUCKET_NS:
                found[bucket] = amount
            at_ns, before = edge_ns, until
            if at_ns % units.BUCKET_NS == 0:
                bucket, amount, covered_ns = bucket + 1, 0, 0
    return found


def _edges(service: places.Service, which: int) -> Iterator[Interval]:
    """Nothing, in the rest of the bucket in which a meter came or went."""
    edge_ns = service[which]
    if edge_ns is not None and edge_ns % units.BUCKET_NS:
        start_ns = edge_ns // units.BUCKET_NS * units.BUCKET_NS
        yield (Interval(edge_ns, start_ns + units.BUCKET_NS, 0) if which
               else Interval(start_ns, edge_ns, 0))
