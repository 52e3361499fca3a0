# SPDX-License-Identifier: Apache-2.0
"""``cloudkitty``: closed hours with their price, for ``POST /v2/dataframes``.

CloudKitty knows no key by which it could tell that it was given something
before.  So it is asked first what it has, and is given what is missing or is
not as the statement says: to begin again, at whatever moment a process was
killed, is to look again.  A correction takes the place of what was there,
and what a statement says no more becomes nothing.

It rates nothing of this: a point keeps the price that it comes with.  What
belongs to no project is not sent: nobody could ask for it there.  Points of
instances that no revision of a statement knows are left as they are: another
region may send to the same CloudKitty.
"""

from __future__ import annotations

import decimal
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

from oslo_config import cfg

from energy_accounting import errors
from energy_accounting.exports import cloudkitty_api as api
from energy_accounting.exports import cloudkitty_points as points
from energy_accounting.exports import sources, targets
from energy_accounting.ledger import statements as store
from energy_accounting.statements import stored

_LINES = 4000
"""About how many are looked at together."""
_POINTS = 2000
"""In a request."""
_NEAR = decimal.Decimal('1e-12')
"""Relative: CloudKitty adds up in doubles, of which an hour is exact."""

Progress = Callable[[int], object]


class Stretch(NamedTuple):
    """Some days of a project, beside what CloudKitty has of them.

    :ivar instances: those that any revision has; others are not ours.
    """

    of: store.Stored
    days: Sequence[points.Day]
    wanted: Mapping[tuple[str, ...], points.Amounts]
    there: Mapping[tuple[str, ...], api.Numbers]
    instances: frozenset[str]

    @property
    def wrong(self) -> list[tuple[str, ...]]:
        """The lines that are not as they should be."""
        return [key for key in sorted({*self.wanted, *self.there})
                if not _near(self._wanted(key), self._there(key))]

    def _wanted(self, key: tuple[str, ...]) -> api.Numbers:
        one = self.wanted.get(key)
        return _NOTHING if one is None else _numbers(one)

    def _there(self, key: tuple[str, ...]) -> api.Numbers:
        return self.there.get(key, _NOTHING)

    def told(self, key: tuple[str, ...]) -> str:
        """A line and what is there, for people."""
        said = dict(zip(points.TAGS, key, strict=True))
        have, want = self._there(key), self._wanted(key)
        return (f'project {self.of.project_id}, instance {said["id"]}, day '
                f'{said["day_of_the_year"]} of {said["year"]}: CloudKitty '
                f'has {_text(have[0])} kWh for {_text(have[1])}, the '
                f'statement says {_text(want[0])} kWh for {_text(want[1])}')

    def touched(self, keys: Sequence[tuple[str, ...]]) -> list[points.Day]:
        """The days of lines.

        And the days beside them: of another time zone, an hour has another
        day of the year.
        """
        numbers = {tuple(key[-2:]) for key in keys}
        near = [day.number in numbers for day in self.days]
        return [day for place, day in enumerate(self.days)
                if any(near[max(0, place - 1):place + 2])
                or not any(near)]


_ONE = decimal.Decimal(1)
_NOTHING = (decimal.Decimal(0), decimal.Decimal(0))


class Target:
    """CloudKitty, as the configuration leads to it.

    :param overwrites: whether a point can be put in the place of another.
    """

    def __init__(self, remote: api.CloudKitty, *, overwrites: bool) -> None:
        self._api, self._overwrites = remote, overwrites
        self.address = remote.address

    def send(self, source: sources.Source, progress: Progress) -> None:
        for one in self._stretches(source, progress):
            self._refuse_foreign(one)
            for some in _batches(self._missing(source, one, progress)):
                self._api.push(some)
                progress(0)
            progress(sum(len(day.lines) for day in one.days))

    def check(self, source: sources.Source, progress: Progress) -> None:
        for one in self._stretches(source, progress):
            wrong = one.wrong
            if wrong:
                raise errors.Conflict(
                    f'{one.told(wrong[0])}; {len(wrong)} such lines. Try '
                    'the export again; where that does not help, look at '
                    f'what else sends {points.METRIC}, at whether the user of '
                    '[cloudkitty] sees all projects there (role admin), and '
                    'whether its storage overwrites ([cloudkitty] '
                    'overwrites)')

    def _stretches(self, source: sources.Source, progress: Progress,
                   ) -> Iterator[Stretch]:
        for revisions in source.statements():
            newest = revisions[-1]
            if not newest.project_id:
                progress(sum(one.lines for one in revisions))
                continue
            # What earlier ones said is there, or it is not.
            progress(sum(one.lines for one in revisions[:-1]))
            with source.database.engine.connect() as connection:
                instances = frozenset(
                    points.clean(line.instance_id or '')
                    for revision in revisions
                    for line in source.lines_of(connection, revision))
                for days in _some(points.days(
                        source.period, stored.lines_of(connection, newest))):
                    there = self._api.sums(newest.project_id, days[0].start,
                                           days[-1].end)
                    progress(0)
                    yield Stretch(newest, days, points.sums(
                        newest.project_id, days), {
                            key: numbers for key, numbers in there.items()
                            if key[0] in instances}, instances)

    @staticmethod
    def _refuse_foreign(one: Stretch) -> None:
        site = points.TAGS.index('energy_site')
        foreign = [key for key in one.there if not key[site]]
        if foreign:
            raise errors.Conflict(
                f'project {one.of.project_id}: CloudKitty has points of '
                f'{points.METRIC} that did not come from here, and both '
                f'would be charged: take {points.METRIC} out of its '
                'metrics.yml, or whatever else sends it, and remove them')

    def _missing(self, source: sources.Source, one: Stretch,
                 progress: Progress,
                 ) -> Iterator[tuple[points.Place, points.Amounts]]:
        """What must be sent for it to be as the statement says."""
        wrong = one.wrong
        for day in one.touched(wrong) if wrong else ():
            with source.database.engine.connect() as connection:
                wanted = points.wanted(connection, one.of, source.period,
                                       day)
            there: dict[points.Place, api.Numbers] = {}
            if one.there:
                for place, end, numbers in self._api.points(
                        one.of.project_id, day.start, day.end, progress):
                    if place.instance not in one.instances:
                        continue
                    there[place] = numbers
                    if place not in wanted and any(numbers):
                        wanted[place] = points.Amounts(end)
            out = {place: amounts for place, amounts in wanted.items()
                   if there.get(place) != _stored(amounts)}
            replaced = [place for place in out if place in there]
            if replaced and not self._overwrites:
                raise errors.Conflict(
                    f'{one.told(wrong[0])}; on {day.date} {len(replaced)} '
                    'points would have to take the place of others, and '
                    '[cloudkitty] overwrites is false: correct them in '
                    'CloudKitty by hand')
            yield from sorted(out.items(), key=lambda each: (
                each[0].start, each[1].end, each[0].tags))


def _batches(found: Iterator[tuple[points.Place, points.Amounts]],
             ) -> Iterator[list[tuple[points.Place, points.Amounts]]]:
    while some := list(itertools.islice(found, _POINTS)):
        yield some


def _some(found: Iterator[points.Day]) -> Iterator[list[points.Day]]:
    """As many days together as have not too many lines."""
    days: list[points.Day] = []
    lines = 0
    for day in found:
        if days and lines + len(day.lines) > _LINES:
            yield days
            days, lines = [], 0
        days.append(day)
        lines += len(day.lines)
    yield days


def _numbers(one: points.Amounts) -> api.Numbers:
    return decimal.Decimal(one.qty), decimal.Decimal(one.price_text)


def _text(number: decimal.Decimal) -> str:
    return format(number.normalize() if number else number, 'f')


def _stored(one: points.Amounts) -> api.Numbers:
    """What CloudKitty makes of a point's numbers: doubles."""
    quantity, price = _numbers(one)
    return (decimal.Decimal(repr(float(quantity))),
            decimal.Decimal(repr(float(price))))


def _near(one: api.Numbers, other: api.Numbers) -> bool:
    return all(abs(ours - theirs) <= _NEAR * max(_ONE, abs(ours))
               for ours, theirs in zip(one, other, strict=True))


def _open(conf: cfg.ConfigOpts) -> targets.Remote:
    return Target(api.connect(conf), overwrites=conf[api.GROUP].overwrites)


TARGET = targets.Service({'again': targets.Option(
    '', 'any word that it was not given before: to look and send once more '
    'what was confirmed, such as after CloudKitty reprocessed a period')},
    _open)
