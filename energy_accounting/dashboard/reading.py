# SPDX-License-Identifier: Apache-2.0
"""What the pages ask the API for, as few questions as will do.

Pure but for the client that is handed in.  How figures look does not belong
here.  A question that fails, fails the page: there is no figure that stands
for "not known".
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import heapq
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from energy_accounting import client, units
from energy_accounting.dashboard import periods

MOST_SERVERS = 5000
"""Rows of servers or projects that a page reads."""
MOST_TRENDS = 40
"""Up to so many servers get a line of their own course."""
MOST_ROWS = 500
"""Rows of hosts or records that a page shows."""
MOST_HOSTS = 5000
"""Rows of hosts that are read to find those with an alarm."""
_NONE = 'none'
_DEFAULT_SITE = 'default'
_MONTHS = 12
CSV_COLUMNS = ('start', 'end', 'instance_id', 'it_kwh', 'facility_kwh')
"""The first columns of a download."""

Row = client.Row


@dataclasses.dataclass(frozen=True, slots=True)
class Usage:
    """A project's energy, or everybody's.

    :ivar total: None where nothing was booked; ``before`` likewise.
    :ivar parts: of the total by boundary, where there are several.
    :ivar steps: by the start of each part of the period (ISO 8601).
    :ivar servers: one for each server (or project), the greatest first.
    :ivar servers_before: the same of the time before, by id.
    :ivar courses: rows of a server over time, by id; empty where there are
        too many.
    :ivar more: whether there are servers that were not read.
    """

    total: Row | None
    before: Row | None
    parts: tuple[Row, ...]
    steps: Mapping[str, Row]
    servers: tuple[Row, ...]
    servers_before: Mapping[str, Row]
    courses: Mapping[str, Sequence[Row]]
    complete_until: str | None
    more: bool = False


def project(api: client.Client, period: periods.Period) -> Usage:
    """What the project of the token used.

    :raises client.Error: when the API does not answer as asked.
    """
    total, complete = _sum(api, period.query)
    if total is None:
        return Usage(None, None, (), {}, (), {}, {}, complete)
    before, _ = _sum(api, period.query_before)
    parts: tuple[Row, ...] = ()
    if total.get('boundary') == 'mixed':
        parts = tuple(_rows(api, group_by='boundary', resolution='total',
                            **period.query))
    steps = {row['start']: row for row in _rows(
        api, group_by=_NONE, resolution=period.resolution, **period.query)}
    servers, more = _by(api, 'instance', period.query)
    before_rows, _ = _by(api, 'instance', period.query_before)
    courses: dict[str, list[Row]] = {}
    if len(servers) <= MOST_TRENDS:
        for row in _rows(api, group_by='instance',
                         resolution=period.resolution, **period.query):
            courses.setdefault(row['instance_id'], []).append(row)
    return Usage(total, before, parts, steps, servers,
                 {row['instance_id']: row for row in before_rows}, courses,
                 complete, more)


@dataclasses.dataclass(frozen=True, slots=True)
class Ranked:
    """All projects of a period, the greatest first.

    :ivar before: rows of the time before, by project; None is that of what
        belongs to nobody.
    """

    rows: tuple[Row, ...]
    before: Mapping[str | None, Row]
    more: bool


def projects(api: client.Client, period: periods.Period) -> Ranked:
    """What every project used, and what belongs to none.

    :raises client.Error: when the API does not answer as asked.
    """
    found, more = _by(api, 'project', period.query, all_projects=True)
    before, _ = _by(api, 'project', period.query_before, all_projects=True)
    return Ranked(found, {row['project_id']: row for row in before}, more)


def statements(api: client.Client, **query: object,
               ) -> tuple[list[Row] | None, bool]:
    """Closed statements, the newest first, and whether there are older ones.

    :returns: None for them where nobody may read them.
    :raises client.Error: when the API does not answer as asked.
    """
    try:
        return _newest(api.statements(**query),
                       lambda row: (row['end'], row['start']))
    except (client.Forbidden, client.NotFound):
        return None, False


def exports(api: client.Client, state: str | None,
            ) -> tuple[list[Row] | None, bool]:
    """Exports, the newest first, and whether there are older ones.

    :param state: None: whatever it is.
    :returns: None for them where the user may not read them.
    :raises client.Error: when the API does not answer as asked.
    """
    try:
        return _newest(api.exports(state=state), lambda _row: ())
    except client.Forbidden:
        return None, False


def _newest(pages: client.Pages[Any], when: Callable[[Row], tuple[str, ...]],
            ) -> tuple[list[Row], bool]:
    """The last rows by a time, or else as they come, and whether that is all.

    The API has the oldest first, so all of them are read.
    """
    found = [row for _place, row in heapq.nlargest(
        MOST_ROWS + 1, enumerate(pages.rows()),
        key=lambda one: (when(one[1]), one[0]))]
    return found[:MOST_ROWS], len(found) > MOST_ROWS


def hosts(api: client.Client) -> tuple[list[Row], bool]:
    """Hosts, first those that are late or have an alarm; and if that is all.

    The late ones are asked for, wherever in the alphabet they are.

    :raises client.Error: when the API does not answer as asked.
    """
    late: list[Row] = list(api.hosts(late=True).rows(MOST_ROWS))
    known = {row['name'] for row in late}
    # One more, to know that there are more.
    others = heapq.nsmallest(
        MOST_ROWS + 1 - len(late),
        (row for row in api.hosts().rows(MOST_HOSTS)
         if row['name'] not in known),
        key=lambda row: row['alarm'] is None)
    found: list[Row] = [*late, *others]
    return found[:MOST_ROWS], len(found) > MOST_ROWS


def first(pages: client.Pages[Any]) -> tuple[list[Row], bool]:
    """As many rows as a page shows, and whether there are more."""
    found = list(pages.rows(MOST_ROWS + 1))
    return found[:MOST_ROWS], len(found) > MOST_ROWS


def site_of_choice(sites: Sequence[Row]) -> Row:
    """The site that is shown if none is named.

    Hosts are of a site "default" until they are told theirs.
    """
    return next((site for site in sites if site['name'] != _DEFAULT_SITE),
                sites[0])


def patience(make: Callable[[float], client.Client], seconds: float,
             clock: Callable[[], float]) -> Callable[[], client.Client | None]:
    """For a page of many questions: who answers them, while there is time.

    All of them together are waited for as long as a single one is.

    :param make: the API, given how long it is waited for.
    :param clock: seconds, from some moment on.
    :returns: gives the API; None when the time is over.
    """
    end = clock() + seconds

    def ask() -> client.Client | None:
        left = end - clock()
        return make(left) if left > 0 else None

    return ask


@dataclasses.dataclass(frozen=True, slots=True)
class KeyFigures:
    """Of a site: of twelve months, and of each of them.

    :ivar months: the first moment of a month and its figures, the oldest
        first; None of those that were not answered in time.
    """

    year: Row
    months: tuple[tuple[datetime.datetime, Row | None], ...]


def key_figures(ask: Callable[[], client.Client | None], site: Row,
                now: datetime.datetime) -> KeyFigures:
    """The last twelve whole months of a site, in its own zone.

    The newest months first: they are missed most if time is up.

    :param ask: see :func:`patience`.
    :raises client.Error: when the API does not answer as asked.
    """
    api = ask()
    if api is None:
        raise client.TimedOut('there was no time left to ask')
    year = api.kpis(site['name'])
    where = units.zone(site['time_zone'])
    edges = [units.period_start(now, 'month', where)]
    while len(edges) <= _MONTHS:
        edges.insert(0, units.period_start(
            edges[0] - datetime.timedelta(days=1), 'month', where))
    months: list[tuple[datetime.datetime, Row | None]] = []
    for start, end in reversed(list(itertools.pairwise(edges))):
        api = ask()
        found = None
        if api is not None:
            with contextlib.suppress(client.TimedOut):
                found = api.kpis(site['name'], start=units.iso(start),
                                 end=units.iso(end))
        months.insert(0, (start, found))
    return KeyFigures(year, tuple(months))


def _sum(api: client.Client, query: Mapping[str, str],
         **scope: object) -> tuple[Row | None, str | None]:
    page = next(api.usage(group_by=_NONE, resolution='total', **query,
                          **scope))
    return (page.rows[0] if page.rows else None,
            page.envelope.get('complete_until'))


def _by(api: client.Client, group: str, query: Mapping[str, str],
        **scope: object) -> tuple[tuple[Row, ...], bool]:
    """The greatest of a group's rows, and whether there are more."""
    found = list(itertools.islice(
        _rows(api, group_by=group, resolution='total', sort='it_kwh:desc',
              **query, **scope), MOST_SERVERS + 1))
    return tuple(found[:MOST_SERVERS]), len(found) > MOST_SERVERS


def _rows(api: client.Client, **query: object) -> Iterator[Row]:
    rows: Iterator[Row] = api.usage(**query).rows()
    return rows


def rows(api: client.Client, period: periods.Period) -> Iterator[Row]:
    """Every server in every part of a period, for a download.

    :raises client.Error: also while it is read on.
    """
    return _rows(api, group_by='instance', resolution=period.resolution,
                 **period.query)
