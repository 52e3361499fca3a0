# SPDX-License-Identifier: Apache-2.0
"""Dated factors: what one is, which contradict, which counts when.  Pure.

A factor is what a unit of energy is multiplied with: grams of CO2 (or
CO2e) a kWh, or a site's PUE.  Nothing here reads a clock, a file or a
table, and nothing is rounded.  0 is a value like any other; where nothing
is known, nothing is returned.
"""

from __future__ import annotations

import dataclasses
import datetime
import decimal
import heapq
import itertools
import re
import statistics
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from energy_accounting import errors, units

CARBON = 'carbon'
PUE = 'pue'
UNITS: Mapping[str, str] = {CARBON: 'g/kWh', PUE: '1'}
"""The kinds of factors, and the unit of each.  A fuel's grams are by the
kWh that it holds."""
KINDS = tuple(UNITS)

ELECTRICITY = 'electricity'
CARRIERS = (ELECTRICITY, 'solar', 'heat', 'cooling', 'diesel', 'gas',
            'hydrogen', 'bioethanol', 'generator')
"""What energy comes as: ``electricity`` is the grid's, ``solar`` is made
on the site, ``generator`` is the electricity of a generator whose fuel is
not metered."""

DIRECT, LIFECYCLE = BASES = ('direct', 'lifecycle')
"""``direct``: what is emitted where it is burnt (of UBA: CO2 only);
``lifecycle``: with all that comes before and after (CO2e)."""

LOCATION, MARKET = METHODS = ('location', 'market')
"""GHG Protocol, scope 2: the mean of the grid, or of what was bought.  A
``market`` factor is the residual mix: what is left of the grid when all
certificates are taken out."""

AVERAGE, MARGINAL = SIGNALS = ('average', 'marginal')

ACTUAL, ESTIMATED, FORECAST, FALLBACK = QUALITIES = (
    'actual', 'estimated', 'forecast', 'fallback')
"""The first of these that is known for a moment counts then."""
RANKS: Mapping[str, int] = {name: rank
                            for rank, name in enumerate(QUALITIES)}

MAX_PLACES = 18
_MOST = decimal.Decimal(10) ** 12
LAST_NS = units.wall_ns(datetime.datetime(2200, 1, 1, tzinfo=units.UTC))
# As Electricity Maps has them: DE, DK-DK1, US-CAL-CISO, AUS-NSW.
_ZONE = re.compile(r'[A-Z]{2,3}(-[A-Z0-9]{1,16}){0,3}\Z')
_NUMBER = re.compile(r'[0-9]{1,30}(\.[0-9]{1,30})?\Z')

CARRIED_NS = 731 * 86400 * units.NS_PER_S
"""So long after its end a fallback stands in: two years."""

HIGHEST_G_PER_KWH = 3000
"""No grid and no fuel emits as much: lignite, all of its life included, has
about a third of it.  What a provider says beyond is a unit mistaken."""
JUMP = 100
"""So many times more, or less, than usual is not believed of a provider: a
unit mistaken makes it a thousand, and what a grid does by itself stays
within twenty."""


@dataclasses.dataclass(frozen=True, slots=True)
class Factor:
    """A value that counts in [start_ns, end_ns).

    :ivar zone: of a grid; or
    :ivar site: the name of a site; never both.
    :ivar basis, method, signal: None of what is no emission.
    :ivar provider: who brought it: a plug-in's name, ``operator``.
    :ivar source: where it can be looked up; with the licence where it has
        one.
    :ivar revision: as its source counts.
    :ivar retrieved_ns: when it was asked for.
    """

    kind: str
    carrier: str
    start_ns: int
    end_ns: int
    value: decimal.Decimal
    quality: str
    provider: str
    source: str
    retrieved_ns: int
    zone: str | None = None
    site: str | None = None
    basis: str | None = None
    method: str | None = None
    signal: str | None = None
    unit: str = UNITS[CARBON]
    revision: str | None = None

    @property
    def series(self) -> Series:
        """What it is a value of, whenever."""
        return Series(self.kind, self.zone, self.site, self.carrier,
                      self.basis, self.method, self.signal)

    @property
    def owner(self) -> str:
        """Whose it is, in a word."""
        return f'zone {self.zone}' if self.zone else f'site {self.site}'


class Series(NamedTuple):
    """What factors of different times are values of."""

    kind: str
    zone: str | None
    site: str | None
    carrier: str
    basis: str | None
    method: str | None
    signal: str | None

    def __str__(self) -> str:
        return ' '.join(word for word in self if word is not None)


class Span(NamedTuple):
    """The factor that counts in [start_ns, end_ns)."""

    start_ns: int
    end_ns: int
    factor: Factor


# --- what is a factor -------------------------------------------------------

def decimal_of(text: str) -> decimal.Decimal:
    """A number as a human or a provider wrote it, exactly.

    :raises ValueError: it is none, or has an exponent, a sign, a comma.
    """
    if not _NUMBER.match(text):
        raise ValueError(
            f'{text[:64]!r} is not a decimal number from 0 on: give one '
            'such as 363 or 0.25, without sign, blank or thousands, with a '
            'point before the decimals')
    return decimal.Decimal(text)


def is_zone(text: str) -> bool:
    """Whether a grid zone can be called so."""
    return _ZONE.match(text) is not None


def faults(factor: Factor) -> list[tuple[str, str]]:
    """What is wrong with a factor by itself: (field, what and remedy)."""
    found = []

    def one_of(name: str, known: Collection[str]) -> None:
        value = getattr(factor, name)
        if value not in known:
            found.append((name, f'{value!r:.64} is not known: give one of '
                                f'{", ".join(known)}'))

    one_of('kind', KINDS)
    one_of('carrier', CARRIERS)
    one_of('quality', QUALITIES)
    if factor.kind == CARBON:
        one_of('basis', BASES)
        one_of('method', METHODS)
        one_of('signal', SIGNALS)
    else:
        found += [(name, f'a factor of kind {factor.kind:.64} has none: '
                         'leave it out')
                  for name in ('basis', 'method', 'signal')
                  if getattr(factor, name) is not None]
    unit = UNITS.get(factor.kind)
    if unit is not None and factor.unit != unit:
        found.append(('unit', f'{factor.unit!r:.64} is not that of '
                              f'{factor.kind}: give {unit}'
                      + (' (kg/MWh is the same; kg/kWh times 1000)'
                         if factor.kind == CARBON else '')))
    found += _owner_faults(factor)
    problem = _value_fault(factor)
    if problem:
        found.append(('value', problem))
    if not 0 <= factor.start_ns <= LAST_NS:
        found.append(('start', 'it is out of range: give a year from 1970 '
                               'to 2199'))
    elif factor.end_ns > LAST_NS:
        found.append(('end', 'it is out of range: give a year from 1970 to '
                             '2199'))
    if factor.start_ns >= factor.end_ns:
        found.append(('end', 'it is not after start: give an end after the '
                             'start'))
    for name, longest in (('provider', 64), ('source', 1024),
                          ('revision', 255)):
        text = getattr(factor, name)
        if text is None and name == 'revision':
            continue
        if not text.strip() or not text.isprintable() or len(text) > longest:
            found.append((name, 'it is empty, too long or not printable: '
                                f'give 1 to {longest} characters'))
    return found


def _owner_faults(factor: Factor) -> list[tuple[str, str]]:
    if (factor.zone is None) == (factor.site is None):
        return [('zone', 'give either zone or site')]
    if factor.zone is not None and not is_zone(factor.zone):
        return [('zone', f'{factor.zone!r:.64} cannot be a grid zone: give '
                         'one such as DE or DK-DK1, in capitals')]
    if factor.kind == PUE and factor.site is None:
        return [('site', 'a PUE is that of a site: give site, and no zone')]
    return []


def _value_fault(factor: Factor) -> str | None:
    value = factor.value
    if not value.is_finite() or value.is_signed() or value >= _MOST:
        return (f'{value!s:.64} is out of range: give a decimal from 0 to '
                f'below {_MOST:f}')
    # Of a finite one the exponent is a number.
    if -int(value.as_tuple().exponent) > MAX_PLACES:
        return (f'{value!s:.64} has more than {MAX_PLACES} decimal places: '
                'round it')
    if factor.kind == PUE and value < 1:
        return (f'{value!s:.64} is below 1: give energy of the site by that '
                'of its IT')
    return None


class WrongField(ValueError):
    """A word that is no value of its field; says what to give."""

    def __init__(self, field: str, text: str) -> None:
        super().__init__(text)
        self.field = field


def in_words(given: Mapping[str, str | None], provider: str, now_ns: int,
             ) -> Factor:
    """The factor that the words of a file or a request mean.

    What is left out or empty is of kind carbon, of electricity, actual, by
    location, average, and in the unit of its kind.

    :param given: ``start``, ``end``, ``value``, ``source`` at least.
    :raises WrongField: :func:`faults` finds the rest.
    """
    kind = given.get('kind') or CARBON
    emits = kind == CARBON
    try:
        value = decimal_of(given['value'] or '')
    except ValueError as error:
        raise WrongField('value', str(error)) from error
    return Factor(
        kind=kind, carrier=given.get('carrier') or ELECTRICITY,
        start_ns=moment(given, 'start'), end_ns=moment(given, 'end'),
        value=value, quality=given.get('quality') or ACTUAL,
        provider=provider, source=given['source'] or '',
        retrieved_ns=now_ns, zone=given.get('zone') or None,
        site=given.get('site') or None, basis=given.get('basis') or None,
        method=given.get('method') or (LOCATION if emits else None),
        signal=given.get('signal') or (AVERAGE if emits else None),
        unit=given.get('unit') or UNITS.get(kind, ''),
        revision=given.get('revision') or None)


_INSTEAD = {'value': '1', 'start': '2000-01-01T00:00:00Z',
            'end': '2001-01-01T00:00:00Z'}


def from_words(rows: Iterable[Mapping[str, str | None]], provider: str,
               now_ns: int) -> tuple[list[Factor], list[Problem]]:
    """The factors that rows mean, and what of them means none.

    Where a word of any row does, all that is wrong with all of the rows is
    told; otherwise :func:`within` tells the rest.
    """
    found: list[Factor] = []
    wrong: dict[int, dict[str, str]] = {}
    for row, given in enumerate(rows):
        while len(found) == row:
            try:
                found.append(in_words(given, provider, now_ns))
            except WrongField as error:
                wrong.setdefault(row, {})[error.field] = str(error)
                given = {**given, error.field: _INSTEAD[error.field]}
    problems = []
    for row, factor in enumerate(found if wrong else ()):
        fields = wrong.get(row, {})
        problems += [Problem(row, *one) for one in fields.items()]
        problems += [Problem(row, *one) for one in faults(factor)
                     # An end may be after the start that was meant.
                     if one[0] not in fields
                     and not (one[0] == 'end' and 'start' in fields)]
    return found, problems


def moment(given: Mapping[str, str | None], name: str) -> int:
    """A time in words.

    :raises WrongField: it is none, or has no zone.
    """
    text = given[name] or ''
    try:
        return units.wall_ns(datetime.datetime.fromisoformat(text))
    except ValueError as error:
        raise WrongField(
            name, f'{text[:64]!r} is not an ISO 8601 time with Z or an '
                  'offset: give one such as 2026-01-01T00:00:00+01:00',
        ) from error


# --- which contradict -------------------------------------------------------

class Problem(NamedTuple):
    """What is wrong with a row of a batch.

    :ivar row: its place, the first being 0.
    :ivar field: empty of the row as a whole.
    """

    row: int
    field: str
    text: str


class Kept(NamedTuple):
    """A factor as it stands recorded.

    :ivar superseded_ns: since when it counts no more; None: it counts.
    """

    id: int
    factor: Factor
    recorded_ns: int
    superseded_ns: int | None = None


class Plan(NamedTuple):
    """What recording a batch comes to.

    :ivar append: those that are new.
    :ivar supersede: those that count no more then.
    :ivar unchanged: how many are recorded as they are.
    """

    append: list[Factor]
    supersede: list[Kept]
    unchanged: int


def within(batch: Sequence[Factor]) -> list[Problem]:
    """What is wrong with rows by themselves, and among each other."""
    found = [Problem(row, *fault) for row, factor in enumerate(batch)
             for fault in faults(factor)]
    if found:
        return found
    for rows in _alike(batch).values():
        latest = rows[0]
        for row in rows[1:]:
            if batch[row].start_ns < batch[latest].end_ns:
                found.append(Problem(
                    row, 'start', 'it overlaps another row of the same '
                    f'{batch[row].series} and quality, '
                    f'{_period(batch[latest])}: give each time once'))
            if batch[row].end_ns > batch[latest].end_ns:
                latest = row
    return sorted(found)


def plan(batch: Sequence[Factor], known: Iterable[Kept], *,
         replace: bool = False) -> tuple[Plan, list[Problem]]:
    """What recording a batch comes to, and what speaks against it.

    The same time, provider, value and source: nothing is to be done.
    Another value of the same time and provider is a revision, which
    supersedes.  Any other overlap of the same series and quality is a
    contradiction.

    :param batch: of which :func:`within` finds nothing.
    :param known: at least all that count now and overlap.
    :param replace: supersede what contradicts as well, where the batch
        covers all of its time.
    """
    append, problems, unchanged = [], [], 0
    supersede: dict[int, Kept] = {}
    kept: dict[Any, list[Kept]] = {}
    for one in sorted(known, key=lambda one: one.factor.start_ns):
        kept.setdefault((one.factor.series, one.factor.quality),
                        []).append(one)
    for key, rows in _alike(batch).items():
        covered = _joined(batch[row] for row in rows)
        waiting = kept.get(key, [])
        first = 0
        for row in rows:
            new = batch[row]
            while (first < len(waiting)
                   and waiting[first].factor.end_ns <= new.start_ns):
                first += 1
            overlapping = []
            for one in itertools.islice(waiting, first, None):
                if one.factor.start_ns >= new.end_ns:
                    break
                overlapping.append(one)
            if any(_same(one.factor, new) for one in overlapping):
                unchanged += 1
                continue
            for one in overlapping:
                if _revises(new, one.factor) or (replace and any(
                        start <= one.factor.start_ns
                        and one.factor.end_ns <= end
                        for start, end in covered)):
                    supersede[one.id] = one
                else:
                    problems.append(Problem(row, 'start', _contradiction(
                        new, one, replace)))
                    break
            else:
                append.append((row, new))
    return (Plan([new for _, new in sorted(append, key=lambda at: at[0])],
                 list(supersede.values()), unchanged), sorted(problems))


def _alike(batch: Sequence[Factor]) -> dict[tuple[Series, str], list[int]]:
    """The rows of each series and quality, by time."""
    found: dict[tuple[Series, str], list[int]] = {}
    for row in sorted(range(len(batch)),
                      key=lambda row: (batch[row].start_ns, row)):
        found.setdefault((batch[row].series, batch[row].quality),
                         []).append(row)
    return found


def _same(old: Factor, new: Factor) -> bool:
    return _revises(new, old) and (old.value, old.source) == (new.value,
                                                              new.source)


def _revises(new: Factor, old: Factor) -> bool:
    return (old.start_ns, old.end_ns, old.provider) == (
        new.start_ns, new.end_ns, new.provider)


def _contradiction(new: Factor, old: Kept, replace: bool) -> str:
    text = (f'{old.factor.value:f} {old.factor.unit} of '
            f'{old.factor.provider} is recorded as {old.factor.quality} of '
            f'{_period(old.factor)} (id {old.id})')
    return (f'{text}, and is not wholly covered: give factors for all of '
            'its time' if replace else
            f'{text}: give a time or a quality that has none, or replace it')


def _period(factor: Factor) -> str:
    return ' to '.join(units.iso(units.moment(moment))
                       for moment in (factor.start_ns, factor.end_ns))


def _joined(factors: Iterable[Factor]) -> list[tuple[int, int]]:
    """The time that factors cover, in order."""
    found: list[tuple[int, int]] = []
    for start, end in sorted((one.start_ns, one.end_ns) for one in factors):
        if found and start <= found[-1][1]:
            found[-1] = found[-1][0], max(found[-1][1], end)
        else:
            found.append((start, end))
    return found


# --- which is not believed --------------------------------------------------

def unusual(factor: Factor, usual: decimal.Decimal | None) -> str | None:
    """Why a provider's value is held back; None: it is believed.

    A value is held back that no grid can have, or that is a hundred times
    more or less than usual.  0 is always believed: a grid can run on sun
    and wind.

    :param usual: see :func:`usual`.
    """
    value = factor.value
    if factor.kind != CARBON or value == 0:
        return None
    if (text := excessive(factor)) is not None:
        return text
    if usual and not usual < value * JUMP < usual * JUMP * JUMP:
        return (f'{value:f} {factor.unit} is {JUMP} times off what is usual '
                f'there ({usual:f})')
    return None


def excessive(factor: Factor) -> str | None:
    """That a carbon intensity is beyond any; None: it is not."""
    if factor.kind != CARBON or factor.value <= HIGHEST_G_PER_KWH:
        return None
    return (f'{factor.value:f} {factor.unit} is more than any grid has '
            f'({HIGHEST_G_PER_KWH})')


def usual(values: Iterable[decimal.Decimal]) -> decimal.Decimal | None:
    """What stands in the middle of values that are not 0."""
    found = [value for value in values if value]
    return statistics.median_low(found) if found else None


# --- which counts when ------------------------------------------------------

def precedence(factor: Factor) -> tuple[int, int]:
    """The lower counts: a site's own before its zone's, then by quality."""
    return factor.site is None, RANKS[factor.quality]


def which(factors: Iterable[Factor], start_ns: int, end_ns: int, *,
          carrier: str, basis: str | None, method: str | None,
          signal: str | None = AVERAGE, kind: str = CARBON,
          rank: Callable[[Factor], Any] = precedence) -> list[Span]:
    """Which factor counts at each moment of [start_ns, end_ns).

    :param factors: of one zone, of one site, or of a site and its zone.
    :returns: in order of time; where there is none, a hole is left.
    """
    return counting((one for one in factors if (
        one.kind, one.carrier, one.basis, one.method, one.signal) == (
            kind, carrier, basis, method, signal)), start_ns, end_ns, rank)


def counting(factors: Iterable[Factor], start_ns: int, end_ns: int,
             rank: Callable[[Factor], Any] = precedence) -> list[Span]:
    """Of factors that may overlap, which has precedence when."""
    given = sorted((one for one in factors
                    if one.start_ns < end_ns and one.end_ns > start_ns),
                   key=lambda one: one.start_ns)
    edges = sorted({start_ns, end_ns, *(
        edge for one in given for edge in (one.start_ns, one.end_ns)
        if start_ns < edge < end_ns)})
    found: list[Span] = []
    open_ones: list[tuple[Any, int, int, Factor]] = []
    coming = 0
    for start, end in itertools.pairwise(edges):
        while coming < len(given) and given[coming].start_ns <= start:
            one = given[coming]
            # Of equals the later one counts; never are two compared.
            heapq.heappush(open_ones, (rank(one), -one.start_ns, coming,
                                       one))
            coming += 1
        while open_ones and open_ones[0][-1].end_ns <= start:
            heapq.heappop(open_ones)
        if not open_ones:
            continue
        best = open_ones[0][-1]
        if found and found[-1].factor is best and found[-1].end_ns == start:
            found[-1] = Span(found[-1].start_ns, end, best)
        else:
            found.append(Span(start, end, best))
    return found


def holes(spans: Iterable[Span], start_ns: int, end_ns: int,
          ) -> list[tuple[int, int]]:
    """The time in which no factor counts."""
    return units.without(start_ns, end_ns,
                         [(one.start_ns, one.end_ns) for one in spans])


def carried_on(known: Iterable[Factor]) -> list[Factor]:
    """The same factors, fallbacks for as long as they may stand in.

    A grid's yearly value comes out after its year: the newest of a series
    counts on until the next begins, :data:`CARRIED_NS` at most.
    """
    found: list[Factor] = []
    series: dict[Series, list[Factor]] = {}
    for one in known:
        if one.quality == FALLBACK and one.zone is not None:
            series.setdefault(one.series, []).append(one)
        else:
            found.append(one)
    for ones in series.values():
        ones.sort(key=lambda one: one.start_ns)
        for one, after in itertools.zip_longest(ones, ones[1:]):
            end_ns = one.end_ns + CARRIED_NS
            if after is not None:
                end_ns = min(end_ns, max(one.end_ns, after.start_ns))
            found.append(dataclasses.replace(one, end_ns=end_ns))
    return found


def first_of(spans: Iterable[Span], others: Iterable[Span], start_ns: int,
             end_ns: int) -> list[Span]:
    """Spans, and in their holes those of others."""
    spans = list(spans)
    found = list(spans)
    gaps = holes(spans, start_ns, end_ns)
    for one in others:
        found += [Span(max(first, one.start_ns), min(last, one.end_ns),
                       one.factor)
                  for first, last in gaps
                  if first < one.end_ns and last > one.start_ns]
    return sorted(found, key=lambda one: one.start_ns)


def refuse(problems: Sequence[Problem], name: Callable[[int], str],
           most: int = 20) -> None:
    """Do nothing when there are no problems.

    :param name: what a row is called where it came from.
    :raises errors.InvalidRequest: names rows, fields and remedies.
    """
    if not problems:
        return
    lines = [', '.join(filter(None, (name(one.row), one.field)))
             + f': {one.text}' for one in problems[:most]]
    if len(problems) > most:
        lines.append(f'and {len(problems) - most} more')
    raise errors.InvalidRequest(
        f'nothing was recorded: {"; ".join(lines)}')
