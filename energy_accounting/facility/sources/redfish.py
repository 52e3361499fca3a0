# SPDX-License-Identifier: Apache-2.0
"""Readings of nodes' meters from their BMCs, by Redfish.

A meter's ``source_ref`` is the address of a resource, most often a Chassis
(``https://bmc-1/redfish/v1/Chassis/1``), or of one property of one
(``...#/EnergykWh/LifetimeReading``).  Of a Chassis the best property that
fits the meter's kind and unit is looked for once, and kept in the meter:
two counters of one node must not take turns.  How a service is asked is in
``service``, what a resource says in ``properties``, what is recorded in
``sources``.
"""

from __future__ import annotations

import concurrent.futures
import dataclasses
import decimal
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from oslo_config import cfg

from energy_accounting import errors, units
from energy_accounting.facility import (
    addresses,
    amounts,
    batches,
    meter_events,
    meters,
    quantities,
    readings,
    sources,
)
from energy_accounting.facility.sources import credentials, properties, service

NAME = meters.REDFISH
_OPTION = '[redfish] credentials_file'
SANE_NS = 5 * units.NS_PER_S
"""By so much may a service's clock differ from ours to be believed."""
_STALE_NS = 3600 * units.NS_PER_S
_SHORT_NS = 60 * units.NS_PER_S
_MOST_MEMBERS = 64
_NS = decimal.Decimal(units.NS_PER_S)
# 1e-15 of each unit is far below a microjoule.
_PLACES = decimal.Decimal('1e-15')


class _Failed(Exception):
    """A meter cannot be read; the reason."""


class _Job(NamedTuple):
    """A meter and where it is read."""

    asked: sources.Asked
    path: str
    pointer: str | None


class _Read(NamedTuple):
    """A property, what it said, and the answer in which."""

    candidate: properties.Candidate
    value: properties.Value
    answer: service.Answer
    several: bool = False


@dataclasses.dataclass(frozen=True, slots=True)
class Redfish:
    """See :class:`sources.Source`.

    :ivar workers: how many services are asked at a time.
    """

    known: credentials.Credentials
    manner: service.Manner
    workers: int = 16
    name: str = NAME

    def read(self, asked: Sequence[sources.Asked],
             ) -> Iterator[sources.Found]:
        """Each service by itself, its meters one after the other."""
        jobs: dict[addresses.Origin, list[_Job]] = {}
        for one in asked:
            try:
                where = addresses.parsed(one.meter.source_ref or '')
            except ValueError as error:
                yield sources.Found(one, 'source_ref', failure=str(error))
                continue
            jobs.setdefault(where.origin, []).append(_Job(
                one, where.path, where.pointer or None))
        with concurrent.futures.ThreadPoolExecutor(
                min(self.workers, len(jobs) or 1)) as pool:
            running = [pool.submit(self._all, origin, mine)
                       for origin, mine in jobs.items()]
            for done in concurrent.futures.as_completed(running):
                yield from done.result()

    def _all(self, origin: addresses.Origin, jobs: Sequence[_Job],
             ) -> list[sources.Found]:
        """The meters of one service."""
        found = []
        refused: str | None = None
        for who, mine in self._by_user(origin, jobs):
            if who is None:
                found += [_failure(job, origin, 'no section of '
                                   f'{_OPTION} is of this address')
                          for job in mine]
                continue
            with service.Service(origin, who, self.manner) as asking:
                for job in mine:
                    if refused is None:
                        one, refused = self._one(origin, asking, job)
                    else:
                        # Again and again would lock the account.
                        one = _failure(job, origin, refused)
                    found.append(one)
        return found

    def _by_user(self, origin: addresses.Origin, jobs: Sequence[_Job],
                 ) -> list[tuple[credentials.Credential | None,
                                 list[_Job]]]:
        found: dict[credentials.Credential | None, list[_Job]] = {}
        for job in jobs:
            found.setdefault(self.known.of(origin, job.path),
                             []).append(job)
        return list(found.items())

    def _one(self, origin: addresses.Origin, asking: service.Service,
             job: _Job) -> tuple[sources.Found, str | None]:
        """What one meter says; and why others need not be asked."""
        try:
            with asking.within(self.manner.timeout):
                read = _read(asking, job)
            return _found(job, origin, read), None
        except service.Unanswered as error:
            return (_failure(job, origin, str(error)),
                    str(error) if error.status in (401, 403) else None)
        except (_Failed, properties.Unusable) as error:
            return _failure(job, origin, str(error)), None


def _failure(job: _Job, origin: addresses.Origin,
             reason: str) -> sources.Found:
    return sources.Found(job.asked, origin.name, failure=reason)


# --- which property ---------------------------------------------------------

def _read(asking: service.Service, job: _Job) -> _Read:
    if job.pointer is not None:
        return _pinned(asking, job)
    wanted = properties.Shape(job.asked.meter.kind, job.asked.meter.unit)
    seen = []
    for candidate in _candidates(asking, job.path):
        if candidate.shape == wanted:
            return _pinned(asking, _Job(job.asked, candidate.path,
                                        candidate.pointer))
        seen.append(candidate)
    if not seen:
        raise _Failed('it says nothing of energy or power there (Chassis '
                      'with EnvironmentMetrics, PowerSubsystem or Power): '
                      'set source_ref to a resource that does, or to a '
                      'property of one (#/PowerControl/1/'
                      'PowerConsumedWatts)')
    raise _Failed('the meter is of ' + str(wanted) + '; what is there is '
                  + '; '.join(f'{one} ({one.shape})' for one in seen[:6])
                  + ': make the meter of such a kind and unit')


def _candidates(asking: service.Service, path: str,
                ) -> Iterator[properties.Candidate]:
    """All that a resource and those it refers to have, the best first."""
    first = asking.get(path)
    yield from _of(asking, first)
    environment = properties.link(first.body, 'EnvironmentMetrics')
    if environment is not None:
        yield from _of(asking, _there(asking, environment))
    yield from _of_supplies(asking, first)
    older = properties.link(first.body, 'Power')
    if older is not None:
        yield from _of(asking, _there(asking, older))


def _of(asking: service.Service, answer: service.Answer | None,
        ) -> Iterator[properties.Candidate]:
    if answer is None:
        return
    rest = list(properties.candidates(answer.path, answer.body))
    yield from (one for one in rest
                if one.pointer.endswith(properties.LIFETIME))
    for where in properties.sensors(answer.body):
        sensor = _there(asking, where)
        if sensor is not None:
            yield from (one for one in properties.candidates(
                sensor.path, sensor.body)
                if one.pointer.endswith(properties.LIFETIME))
    yield from (one for one in rest
                if not one.pointer.endswith(properties.LIFETIME))


def _of_supplies(asking: service.Service, first: service.Answer,
                 ) -> Iterator[properties.Candidate]:
    """Sums of what all power supplies have."""
    collection = first
    subsystem = properties.link(first.body, 'PowerSubsystem')
    if subsystem is not None:
        found = _there(asking, subsystem)
        where = found and properties.link(found.body, 'PowerSupplies')
        if where is None or (found := _there(asking, where)) is None:
            return
        collection = found
    each = [list(properties.candidates(collection.path, one.body))
            for one in _supplies(asking, collection)]
    if each:
        yield from (one for one in each[0]
                    if all(one in other for other in each[1:]))


def _supplies(asking: service.Service, collection: service.Answer,
              ) -> list[service.Answer]:
    """The metrics of the supplies of a collection that are there."""
    found = []
    for where in (properties.members(collection.body) or ())[:_MOST_MEMBERS]:
        supply = asking.get(where)
        if properties.absent(supply.body):
            continue
        metrics = properties.link(supply.body, 'Metrics')
        found.append(supply if metrics is None else asking.get(metrics))
    return found


def _there(asking: service.Service, path: str) -> service.Answer | None:
    """A resource that another one refers to, when there is one.

    Any other failure is one: what comes next would be taken in its place,
    and kept.
    """
    try:
        return asking.get(path)
    except service.Unanswered as error:
        if error.status == 404:
            return None
        raise


def _pinned(asking: service.Service, job: _Job) -> _Read:
    """One property, or the sum of it over a collection."""
    pointer = job.pointer or ''
    answer = asking.get(job.path)
    parts = [answer]
    if properties.members(answer.body) is not None:
        parts = _supplies(asking, answer)
        if not parts:
            raise _Failed('all of its bays are empty')
    shapes = {properties.shape_of(pointer, one.body) for one in parts}
    shape = shapes.pop()
    meter = job.asked.meter
    if shapes or shape != (meter.kind, meter.unit):
        raise _Failed(f'#{pointer} is of {shape}, the meter of kind '
                      f'{meter.kind}, unit {meter.unit}: make the meter of '
                      'such a kind and unit, or set source_ref to another '
                      'property')
    values = [properties.value(pointer, one.body) for one in parts]
    if len(values) == 1:
        return _Read(properties.Candidate(job.path, pointer, shape),
                     values[0], parts[0], answer is not parts[0])
    if shape.kind == quantities.CUMULATIVE and meter.max_rate is None:
        raise _Failed(
            f'it is a sum of {len(values)} power supplies, and the counter '
            'of one that is exchanged would be energy: set max_rate of the '
            f'meter, the most that the node can use in an hour '
            f'({meter.unit})')
    # What was asked in between: the middle of it all.
    return _Read(
        properties.Candidate(job.path, pointer, shape),
        properties.total(values),
        parts[0]._replace(came_ns=parts[-1].came_ns,
                          date_ns=parts[-1].date_ns), True)


# --- what it means ----------------------------------------------------------

def _found(job: _Job, origin: addresses.Origin,
           read: _Read) -> sources.Found:
    """What is recorded of a meter, and what is said of it."""
    meter, last = job.asked
    at_ns, clock = when(read.answer, read.value.read_ns)
    what = f'{read.candidate}'
    if last is not None and at_ns <= last.at_ns:
        if read.answer.came_ns - at_ns > _STALE_NS:
            raise _Failed(f'{what} was read at {meters.when(at_ns)} ({clock})'
                          ' and not since: the service does not measure')
        return sources.Found(job.asked, origin.name,
                             f'{what}: nothing newer than '
                             f'{meters.when(last.at_ns)}')
    given = _given(read, at_ns, last)
    said = [f'{what}: {given.value} {meter.unit} at {meters.when(at_ns)} '
            f'({clock})']
    event = None
    if meter.kind == quantities.CUMULATIVE and last is not None:
        event = _reset(read, last, given, clock)
        fell = decimal.Decimal(given.value or 0) < decimal.Decimal(last.value)
        if event is not None:
            said.append('set back to 0 at ' + meters.when(event.at_ns)
                        + ': recorded as a reset')
        elif fell:
            said.append(f'fell from {last.value}: not counted before you '
                        'say what happened (openstack energy meter event '
                        'create)')
    return sources.Found(
        job.asked, origin.name, '; '.join(said), batch=(given,), event=event,
        source_ref=None if job.pointer is not None else pin(
            meter.source_ref or '', read.candidate))


def pin(source_ref: str, candidate: properties.Candidate) -> str:
    """The address of a property, of that of where it was looked for."""
    return f'{addresses.parsed(source_ref).origin.url}{candidate}'


def when(answer: service.Answer, read_ns: int | None) -> tuple[int, str]:
    """The moment that a value is of, and by which clock that is.

    A service's clock is believed where what it says of now is true; else
    it was in the middle of the request.

    :param read_ns: when the service says it read it.
    """
    middle_ns = (answer.sent_ns + answer.came_ns) // 2
    if answer.date_ns is not None:
        # It says whole seconds, rounded down.
        right = (answer.sent_ns - SANE_NS <= answer.date_ns
                 <= answer.came_ns + SANE_NS)
        if right and read_ns is not None and read_ns <= (
                answer.came_ns + SANE_NS):
            return read_ns, 'its ReadingTime'
        if right:
            return answer.date_ns, 'its clock'
    elif read_ns is not None and (answer.sent_ns - _STALE_NS <= read_ns
                                  <= answer.came_ns + SANE_NS):
        return read_ns, 'its ReadingTime'
    return middle_ns // 10**6 * 10**6, 'our clock'


def _given(read: _Read, at_ns: int,
           last: readings.Kept | None) -> batches.Given:
    if not read.value.over_ns:
        return batches.Given(at_ns, _text(read.value.number))
    # The mean of the last minutes; less of them where their beginning has
    # been counted, which is a guess when it is much less.
    start_ns = at_ns - read.value.over_ns
    if last is not None:
        start_ns = max(start_ns, last.at_ns)
    span_ns = at_ns - start_ns
    with decimal.localcontext(prec=100):
        energy = read.value.number * span_ns / _NS
    return batches.Given(
        at_ns, _text(energy), quantities.MEASURED
        if read.value.over_ns - span_ns <= _SHORT_NS
        else quantities.ESTIMATED, start_ns)


def _text(number: decimal.Decimal) -> str:
    with decimal.localcontext(prec=100):
        if -number.as_tuple().exponent > 15:  # type: ignore[operator]
            number = number.quantize(_PLACES)
        text = format(number, 'f')
    return text.rstrip('0').rstrip('.') if '.' in text else text


def _reset(read: _Read, last: readings.Kept, given: batches.Given,
           clock: str) -> meter_events.KeptEvent | None:
    """That the service has set its counter to 0 since the last reading.

    What it counted before that is not known: there the counter ends.  By
    a clock that is wrong nothing is decided.
    """
    reset_ns = read.value.reset_ns
    fell = (decimal.Decimal(given.value or 0)
            < decimal.Decimal(last.value))
    earliest_ns = last.at_ns + (0 if fell else SANE_NS)
    if (reset_ns is None or clock == 'our clock'
            or not earliest_ns < reset_ns <= given.at_ns):
        return None
    return meter_events.KeptEvent(
        0, reset_ns, amounts.RESET, None, None if read.several else '0',
        f'SensorResetTime of {read.candidate}'[:255], 0, None)


# --- how it is set up -------------------------------------------------------

def from_conf(conf: cfg.ConfigOpts) -> Redfish:
    """As the ``[redfish]`` options say.

    :raises errors.ConfigurationError: names the option.
    """
    options = conf.redfish
    if not options.credentials_file:
        raise errors.ConfigurationError(
            f'{_OPTION} is not set: name a file of mode 0600 with the users '
            'and passwords of your BMCs')
    known = credentials.load(options.credentials_file, _OPTION)
    try:
        trusted = service.trusted(options.ca_file)
    except OSError as error:
        raise errors.ConfigurationError(
            f'[redfish] ca_file: {options.ca_file} is no file of '
            f'certificates (PEM): {error.strerror or "unreadable"}',
        ) from error
    return Redfish(known, service.Manner(
        trusted, float(options.timeout_seconds),
        options.max_answer_kib * 1024), options.workers)
