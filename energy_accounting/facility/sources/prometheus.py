# SPDX-License-Identifier: Apache-2.0
"""Readings of meters that a Prometheus has scraped, by its range queries.

``GET /api/v1/query_range`` as
https://prometheus.io/docs/prometheus/latest/querying/api/ has it; a meter's
``source_ref`` is the query.  What is there already is not asked for again:
each meter goes on behind its last reading, whoever sent that.  A Prometheus
that is away, or says what cannot be used, changes nothing.  What is
recorded, and how, is in ``sources``.
"""

from __future__ import annotations

import dataclasses
import decimal
import itertools
import time
import urllib.parse
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from oslo_config import cfg

from energy_accounting import errors, units
from energy_accounting.facility import batches, meters, quantities, sources
from energy_accounting.facility.providers import web

MOST_POINTS = 10_000
"""Of a question; Prometheus itself refuses more than 11,000."""
_MOST_QUESTIONS = batches.MAX_BATCH // MOST_POINTS
_MOST_BYTES = 16 * 2**20
_DAY_NS = 24 * 3600 * units.NS_PER_S
_LATE_NS = 60 * units.NS_PER_S
"""What is scraped now may not be there yet."""
_PLACES = decimal.Decimal('1e-15')
_EXACT = decimal.Context(prec=60)
_TIME_DIGITS = 12
"""Of whole seconds since 1970: what is longer is no time, and an exponent
such as 1e900000 takes minutes to become an integer."""


@dataclasses.dataclass(frozen=True, slots=True)
class Prometheus:
    """See :class:`sources.Source`.

    :ivar url: without ``/api``.
    :ivar token: the bearer token, if it wants one; never logged.
    :ivar step_ns: whole seconds between two readings, which are taken at
        whole multiples of it.
    :ivar max_age_ns: how far back a meter without readings is filled.
    :ivar clock: gives the present in nanoseconds since 1970.
    """

    url: str
    asking: web.Web
    token: str | None = dataclasses.field(default=None, repr=False)
    step_ns: int = 300 * units.NS_PER_S
    max_age_ns: int = 15 * _DAY_NS
    clock: Callable[[], int] = time.time_ns
    name: str = meters.PROMETHEUS

    def read(self, asked: Sequence[sources.Asked],
             ) -> Iterator[sources.Found]:
        """Each meter by itself, from its last reading on."""
        place = urllib.parse.urlsplit(self.url).netloc
        for one in asked:
            try:
                batch, unusable = self._batch(one)
            except errors.Unavailable as error:
                yield sources.Found(one, place, failure=str(error))
                continue
            said = f'{len(batch)} readings'
            if batch:
                said += f' until {meters.when(batch[-1].at_ns)}'
            if unusable:
                said += (f'; {len(unusable)} values cannot be used, the '
                         f'first is {unusable[0]}')
            yield sources.Found(one, place, said, batch=tuple(batch))

    def _batch(self, asked: sources.Asked,
               ) -> tuple[list[batches.Given], list[str]]:
        """What is new of a meter, as much as one batch holds; and what of
        it is no value.
        """
        meter, now_ns, step_ns = asked.meter, self.clock(), self.step_ns
        since_ns = now_ns - self.max_age_ns
        if asked.last is not None:
            since_ns = asked.last.at_ns + 1
        elif meter.installed_ns is not None:
            since_ns = max(since_ns, meter.installed_ns)
        end_ns = now_ns - _LATE_NS
        if meter.removed_ns is not None:
            end_ns = min(end_ns, meter.removed_ns)
        batch: list[batches.Given] = []
        unusable: list[str] = []
        starts = range(-(-since_ns // step_ns) * step_ns, end_ns + 1,
                       MOST_POINTS * step_ns)
        for start_ns in starts[:_MOST_QUESTIONS]:
            for point in _ask(self, meter, start_ns, min(
                    end_ns, start_ns + (MOST_POINTS - 1) * step_ns)):
                value = _value(point.text)
                if value is None:
                    unusable.append(f'{point.text[:32]} at '
                                    f'{meters.when(point.at_ns)}')
                else:
                    batch.append(batches.Given(point.at_ns, value,
                                                quantities.MEASURED))
        return batch, unusable


def from_conf(conf: cfg.ConfigOpts) -> Prometheus:
    """The Prometheus of the options.

    :raises errors.ConfigurationError: names the option.
    """
    options = conf.prometheus
    if not options.url:
        raise errors.ConfigurationError(
            '[prometheus] url is not set: say where Prometheus is, such as '
            'https://prometheus.example.org')
    token = (web.token_of(options.token_file, '[prometheus] token_file')
             if options.token_file else None)
    parts = urllib.parse.urlsplit(options.url)
    if token is None and parts.scheme == 'http' and (
            parts.hostname and not parts.username and not parts.query):
        url = options.url.rstrip('/')
    else:
        # With a token: by https, or not beyond this machine.
        url = web.check_url(options.url, '[prometheus] url')
    return Prometheus(
        url, web.Web(float(options.timeout_seconds), options.tries,
                     _MOST_BYTES, ca_file=options.ca_file),
        token, options.step_seconds * units.NS_PER_S,
        options.max_age_days * _DAY_NS, time.time_ns)


class _Point(NamedTuple):
    at_ns: int
    text: str


def _ask(server: Prometheus, meter: meters.Meter, start_ns: int,
         end_ns: int) -> list[_Point]:
    """The points of one series.

    :raises errors.Unavailable: there is no answer that can be used.
    """
    query = {'query': meter.source_ref or '',
             'start': str(start_ns // units.NS_PER_S),
             'end': str(end_ns // units.NS_PER_S),
             'step': str(server.step_ns // units.NS_PER_S),
             # Of Thanos: all of it, or an error.
             'partial_response': 'false'}
    headers = ({} if server.token is None
               else {'Authorization': f'Bearer {server.token}'})
    try:
        answer = server.asking.get(f'{server.url}/api/v1/query_range', query,
                                   headers)
    except web.Answerless as error:
        hint = ('; it does not understand source_ref, or has no such API'
                if ' 400 ' in f'{error} ' or ' 422 ' in f'{error} ' else '')
        raise errors.Unavailable(f'{error}{hint}') from error
    series = _series(answer)
    if len(series) > 1:
        raise errors.Unavailable(
            f'the query gives {len(series)} series; let it give '
            'one, by labels or by sum()')
    points = [] if not series else series[0]
    # What was not asked for is not the answer.
    ordered = [start_ns - 1, *(point.at_ns for point in points), end_ns + 1]
    if any(before >= after for before, after
           in itertools.pairwise(ordered)):
        raise errors.Unavailable(
            'its answer has times that were not asked for, or '
            'one of them twice')
    return points


def _series(answer: Any) -> list[list[_Point]]:
    """The series of an answer, as the API promises them.

    :raises errors.Unavailable: it is something else.
    """
    match answer:
        case {'status': 'success', 'data': {'resultType': 'matrix',
                                            'result': list(found)}}:
            return [_points(one) for one in found]
    raise errors.Unavailable(
        'its answer is not that of a range query; check '
        '[prometheus] url')


def _points(series: Any) -> list[_Point]:
    if not isinstance(series, Mapping) or 'values' not in series:
        raise errors.Unavailable(
            'the query gives no values (histograms are none)')
    points = []
    for one in series['values']:
        match one:
            case [int() | decimal.Decimal() as at, str(text)] if (
                    decimal.Decimal(at).adjusted() < _TIME_DIGITS):
                points.append(_Point(int(at * units.NS_PER_S), text))
            case _:
                raise errors.Unavailable(
                    'its answer has a point that is not a time '
                    'and a value')
    return points


def _value(text: str) -> str | None:
    """A value as readings have it; None when it cannot be one."""
    try:
        exact = decimal.Decimal(text)
        if not exact.is_finite() or exact < 0 or exact.adjusted() >= 30:
            return None
        if exact.as_tuple().exponent < -15:  # type: ignore[operator]
            exact = exact.quantize(_PLACES, context=_EXACT)
    except decimal.InvalidOperation:
        return None
    return format(abs(exact), 'f')
