# SPDX-License-Identifier: Apache-2.0
"""From the words of a request for key figures to a question about a site.

As ``parameters``, of what a schema cannot say.
"""

from __future__ import annotations

import dataclasses
import datetime
import fractions
from collections.abc import Mapping

from energy_accounting import units
from energy_accounting.api import parameters
from energy_accounting.facility import editions, figures, inputs
from energy_accounting.ledger import sites


@dataclasses.dataclass(frozen=True, slots=True)
class Asked:
    """A question for key figures.

    :ivar category: of the IT energy; None: each.
    :ivar law: whether limits of law are to be shown.
    :ivar started: when the site began operation, if it was said.
    """

    scope: figures.Scope
    as_of: datetime.datetime
    category: int | None
    law: bool
    started: datetime.date | None

    @property
    def as_of_ns(self) -> int:
        """As of when, for the database."""
        return units.wall_ns(self.as_of)


def as_of(given: Mapping[str, str],
          now: datetime.datetime) -> datetime.datetime:
    """As of when.

    :raises errors.InvalidRequest: it is in the future.
    """
    found = parameters.time(given, 'as_of') or now
    if found > now:
        parameters.refuse('as_of', f'{given["as_of"][:64]!r} is in the '
                          'future', 'give a time that has passed')
    return found


def asked(given: Mapping[str, str], site: sites.Site,
          now: datetime.datetime, calculated_by: str) -> Asked:
    """What is asked of a site.

    :param site: as it was known at :func:`as_of`.
    :raises errors.InvalidRequest: names the parameter and the remedy.
    """
    where = units.zone(site.time_zone)
    minimum = given.get('minimum_coverage')
    return Asked(
        figures.Scope(
            site=site.name, period=_period(given, where, now), zone=where,
            editions=editions.chosen(given.get('editions', 'iso')),
            calculated_by=calculated_by,
            minimum_coverage=figures.MINIMUM_COVERAGE if minimum is None
            else fractions.Fraction(minimum)),
        as_of(given, now),
        int(given['category']) if 'category' in given else None,
        'law' in given, _started(given))


def _period(given: Mapping[str, str], where: datetime.tzinfo,
            now: datetime.datetime) -> inputs.Period:
    """The period that was asked for, or the last twelve whole months."""
    if 'start' not in given and 'end' not in given:
        end = units.period_start(now, 'month', where)
        local = end.astimezone(where)
        return inputs.Period(units.period_start(
            local.replace(year=local.year - 1, day=15), 'month', where), end)
    for name, other in (('start', 'end'), ('end', 'start')):
        if name not in given:
            parameters.refuse(name, f'must be given with {other}',
                              'give both, or neither for the twelve last '
                              'whole months')
    asked = parameters.buckets(given, now)
    period = inputs.Period(units.bucket_start(asked.start),
                           units.bucket_start(asked.end))
    if period.over_a_year(where):
        parameters.refuse('end', f'the period {period} is longer than a '
                          'year', 'give twelve calendar months, or fewer')
    return period


def _started(given: Mapping[str, str]) -> datetime.date | None:
    if 'started' not in given:
        return None
    text = given['started']
    try:
        return datetime.date.fromisoformat(text)
    except ValueError:
        parameters.refuse('started', f'{text[:64]!r} is not a date',
                          'give one such as 2019-04-01')
