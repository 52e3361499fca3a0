# SPDX-License-Identifier: Apache-2.0
"""What law asks of a site's key figures, from a dated data file.

Pure but for :func:`shipped`, which reads the package's own file.  Values
and dates stand in that file, never here; whether an exemption applies is
for a lawyer.
"""

from __future__ import annotations

import dataclasses
import datetime
import fractions
import tomllib
from collections.abc import Iterable
from importlib import resources
from typing import Any

from energy_accounting import errors
from energy_accounting.facility import editions, figures


@dataclasses.dataclass(frozen=True)
class Limit:
    """A value that an annual figure of a whole site must keep.

    :ivar most, least: one of them is given.
    :ivar started_from, started_before: which sites it binds, by the day
        they began operation.
    :ivar years_to_meet: after that day.
    :ivar valid_from, valid_until: the days on which it binds.
    :ivar text: the law's version that it was taken from.
    """

    figure: str
    legal_basis: str
    text: datetime.date
    valid_from: datetime.date
    valid_until: datetime.date = datetime.date.max
    most: fractions.Fraction | None = None
    least: fractions.Fraction | None = None
    started_from: datetime.date = datetime.date.min
    started_before: datetime.date = datetime.date.max
    years_to_meet: int = 0

    def binds(self, started: datetime.date, day: datetime.date) -> bool:
        """Whether it binds a site that began operation then, on a day."""
        return (self.started_from <= started < self.started_before
                and self.valid_from <= day < self.valid_until
                and day >= _years_later(started, self.years_to_meet))

    @property
    def whenever_started(self) -> bool:
        """Whether it binds all sites, however old."""
        return (self.started_from == datetime.date.min
                and self.started_before == datetime.date.max
                and not self.years_to_meet)

    def kept(self, figure: figures.Figure) -> bool | None:
        """Whether a figure keeps it; None when the figure cannot tell.

        Interim, partial and planned figures are not what the law means.
        """
        if figure.name != self.figure or figure.exact is None:
            return None
        return ((self.most is None or figure.exact <= self.most)
                and (self.least is None or figure.exact >= self.least))


def read(text: str) -> tuple[Limit, ...]:
    """The limits of a data file.

    :raises errors.ConfigurationError: naming the entry and the field.
    """
    try:
        entries = tomllib.loads(text).get('limit', [])
    except tomllib.TOMLDecodeError as error:
        raise errors.ConfigurationError(
            f'limits: the file is not TOML: {error}') from error
    return tuple(_limit(number, entry)
                 for number, entry in enumerate(entries, 1))


def shipped() -> tuple[Limit, ...]:
    """The limits that come with the package."""
    file = resources.files('energy_accounting.facility') / 'limits.toml'
    return read(file.read_text(encoding='utf-8'))


def binding(limits: Iterable[Limit], started: datetime.date,
            day: datetime.date) -> list[Limit]:
    """Those that bind a site that began operation then, on a day."""
    return [limit for limit in limits if limit.binds(started, day)]


_TYPES = {'figure': str, 'legal_basis': str, 'most': str, 'least': str,
          'years_to_meet': int}


def _limit(number: int, entry: dict[str, Any]) -> Limit:
    """An entry of the file as a limit."""
    def wrong(field: str, remedy: str) -> errors.ConfigurationError:
        return errors.ConfigurationError(
            f'limits: entry {number}: {field}: {remedy}')

    for field in dataclasses.fields(Limit):
        value = entry.get(field.name)
        kind = _TYPES.get(field.name, datetime.date)
        if value is None:
            if field.default is dataclasses.MISSING:
                raise wrong(field.name, 'is missing: add it')
        elif type(value) is not kind:
            raise wrong(field.name, f'must be a {kind.__name__}')
    unknown = sorted(set(entry) - {
        field.name for field in dataclasses.fields(Limit)})
    if unknown:
        raise wrong(unknown[0], 'is not a field: remove it')
    if entry['figure'] not in editions.EDITIONS:
        raise wrong('figure', f'{entry["figure"]!r} is no key figure')
    if ('most' in entry) == ('least' in entry):
        raise wrong('most, least', 'give one of them')
    values = dict(entry)
    for name in {'most', 'least'} & set(entry):
        try:
            values[name] = fractions.Fraction(entry[name])
        except (ValueError, ZeroDivisionError) as error:
            raise wrong(name, f'{entry[name]!r} is not a number') from error
    return Limit(**values)


def _years_later(day: datetime.date, years: int) -> datetime.date:
    try:
        return day.replace(year=day.year + years)
    except ValueError:
        # 29 February.
        return day.replace(year=day.year + years, month=3, day=1)
