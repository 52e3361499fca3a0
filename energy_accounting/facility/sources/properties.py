# SPDX-License-Identifier: Apache-2.0
"""What a Redfish resource says of energy and power.  Pure.

Which properties of which resource count, in which order, and what each is
a value of, by the schemas of DSP8010 (EnvironmentMetrics, Sensor,
PowerSupplyMetrics, Outlet, PowerDistributionMetrics, and the older Power).
Nothing here asks a service; that is in ``redfish``.
"""

from __future__ import annotations

import datetime
import decimal
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from energy_accounting import units
from energy_accounting.facility import quantities

LIFETIME = 'LifetimeReading'
READING = 'Reading'
AVERAGE = 'AverageConsumedWatts'
_MINUTES = 'IntervalInMin'
_LONGEST_MINUTES = 31 * 24 * 60


class Shape(NamedTuple):
    """What a meter must be for a value to be one of it."""

    kind: str
    unit: str

    def __str__(self) -> str:
        return f'kind {self.kind}, unit {self.unit}'


ENERGY = {'EnergykWh': Shape(quantities.CUMULATIVE, 'kWh'),
          'EnergyJoules': Shape(quantities.CUMULATIVE, 'J')}
_POWER = Shape(quantities.GAUGE, 'W')
_MEAN = Shape(quantities.INTERVAL, 'J')
_SHAPES = {**ENERGY, 'PowerWatts': _POWER, 'InputPowerWatts': _POWER,
           'PowerConsumedWatts': _POWER, AVERAGE: _MEAN}
# ReadingUnits of a Sensor are those of UCUM.
_SENSORS = {'kW.h': ENERGY['EnergykWh'], 'J': ENERGY['EnergyJoules'],
            'W': _POWER}
# What makes a resource one whose parts may be absent.
_ABSENT = 'Absent'
_WORKING = frozenset({'Enabled', 'Quiesced', 'InTest', 'StandbyOffline',
                      'StandbySpare', 'Starting', 'Deferring', 'Updating',
                      'Qualified', 'Degraded'})


class Unusable(Exception):
    """A resource does not say what is wanted; the reason."""


class Candidate(NamedTuple):
    """A property that could be read.

    :ivar path: of its resource; of a collection: the sum of its members.
    :ivar pointer: where it is in the resource (RFC 6901).
    """

    path: str
    pointer: str
    shape: Shape

    def __str__(self) -> str:
        return f'{self.path}#{self.pointer}'


class Value(NamedTuple):
    """What a property said.

    :ivar number: in the unit of its shape; of a mean, watts.
    :ivar reset_ns: when its service last began again from 0.
    :ivar read_ns: when the service read it.
    :ivar over_ns: of a mean: the time before, that it is the mean of.
    """

    number: decimal.Decimal
    reset_ns: int | None = None
    read_ns: int | None = None
    over_ns: int = 0


# --- what there is ----------------------------------------------------------

def candidates(path: str, resource: Mapping[str, Any],
               ) -> Iterator[Candidate]:
    """What a resource itself has, the best first.

    What is never set back comes before what ResetMetrics sets to 0.
    """
    if (found := _SENSORS.get(str(resource.get('ReadingUnits')))) is not None:
        for name in (LIFETIME, READING):
            if name in resource and (name == READING or found is not _POWER):
                yield Candidate(path, f'/{name}', found)
    for name, shape in ENERGY.items():
        if LIFETIME in _part(resource, name):
            yield Candidate(path, f'/{name}/{LIFETIME}', shape)
    for name in (*ENERGY, 'PowerWatts', 'InputPowerWatts'):
        # One that is null is known, and has no value now.
        if name in resource and (resource[name] is None
                                 or READING in _part(resource, name)):
            yield Candidate(path, f'/{name}/{READING}', _SHAPES[name])
    yield from _controls(path, resource)


def _controls(path: str, resource: Mapping[str, Any],
              ) -> Iterator[Candidate]:
    """Of the older resource Power: where it has one control only.

    Others are of parts of the node, which only its vendor can tell apart.
    """
    controls = resource.get('PowerControl')
    if not isinstance(controls, list) or len(controls) != 1:
        return
    (control,) = controls
    if isinstance(control, dict):
        if AVERAGE in _part(control, 'PowerMetrics'):
            yield Candidate(path, f'/PowerControl/0/PowerMetrics/{AVERAGE}',
                            _MEAN)
        if 'PowerConsumedWatts' in control:
            yield Candidate(path, '/PowerControl/0/PowerConsumedWatts',
                            _POWER)


def sensors(resource: Mapping[str, Any]) -> Iterator[str]:
    """Where the sensors of energies are whose excerpt says less."""
    for name in ENERGY:
        part = _part(resource, name)
        where = part.get('DataSourceUri')
        if isinstance(where, str) and LIFETIME not in part:
            yield where


def link(resource: Mapping[str, Any], name: str) -> str | None:
    """Where another resource is that this one refers to."""
    where = _part(resource, name).get('@odata.id')
    return where if isinstance(where, str) else None


def members(resource: Mapping[str, Any]) -> list[str] | None:
    """Where the members of a collection are; None: it is none.

    :raises Unusable: not all of them are said.
    """
    found = resource.get('Members')
    if not isinstance(found, list):
        return None
    paths = [one.get('@odata.id') for one in found if isinstance(one, dict)]
    if (len(paths) != len(found)
            or not all(isinstance(one, str) for one in paths)
            or 'Members@odata.nextLink' in resource):
        raise Unusable('its collection does not name all of its members')
    return [str(one) for one in paths]


def absent(resource: Mapping[str, Any]) -> bool:
    """Whether a bay is empty."""
    return _part(resource, 'Status').get('State') == _ABSENT


def _part(resource: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = resource.get(name)
    return found if isinstance(found, dict) else {}


# --- what one says ----------------------------------------------------------

def shape_of(pointer: str, resource: Mapping[str, Any]) -> Shape:
    """What the property at a pointer is a value of.

    :raises Unusable: nothing that is known here.
    """
    names = _names(pointer)
    for name in reversed(names):
        if name in _SHAPES:
            return _SHAPES[name]
    if names and names[-1] in (LIFETIME, READING):
        shape = _SENSORS.get(str(resource.get('ReadingUnits')))
        if shape is not None:
            return shape
    raise Unusable(
        f'{pointer:.200} is no energy or power that is known: one of '
        f'{", ".join(_SHAPES)}, or of a Sensor in {", ".join(_SENSORS)}')


def value(pointer: str, resource: Mapping[str, Any]) -> Value:
    """What a property says.

    :raises Unusable: it is not there, has no value now, or none that can
        be.
    """
    *outer, name = _names(pointer) or ['']
    holder: Any = resource
    for step in outer:
        holder = _step(holder, step, pointer)
    state = _part(resource, 'Status').get('State')
    if isinstance(state, str) and state not in _WORKING:
        raise Unusable(f'its Status.State is {state:.32}')
    found = _step(holder, name, pointer)
    if found is None:
        raise Unusable(f'{pointer:.200} is null: it has no value now')
    number = _number(found, pointer)
    if name == AVERAGE:
        return Value(number, over_ns=_minutes(holder) * 60 * units.NS_PER_S)
    reset_ns = (_time(holder, 'SensorResetTime') if name == READING
                else None)
    return Value(number, reset_ns, _time(holder, 'ReadingTime'))


def total(values: list[Value]) -> Value:
    """Of several supplies of one node."""
    with decimal.localcontext(prec=100):
        number = sum((one.number for one in values), decimal.Decimal(0))
    resets = [one.reset_ns for one in values if one.reset_ns is not None]
    return Value(number, max(resets, default=None))


def _names(pointer: str) -> list[str]:
    return [step.replace('~1', '/').replace('~0', '~')
            for step in pointer.split('/')[1:]]


def _step(holder: Any, name: str, pointer: str) -> Any:
    if isinstance(holder, dict) and name in holder:
        return holder[name]
    if (isinstance(holder, list) and name.isascii() and name.isdigit()
            and int(name) < len(holder)):
        return holder[int(name)]
    if holder is None:
        raise Unusable(f'{pointer:.200} is null: it has no value now')
    raise Unusable(f'it has no {pointer:.200} (any more)')


def _number(found: Any, pointer: str) -> decimal.Decimal:
    if type(found) not in (int, decimal.Decimal):
        raise Unusable(f'{pointer:.200} is {str(found)[:64]!r} and not a '
                       'number')
    number = decimal.Decimal(found)
    if number < 0 or number >= 10 ** 24:
        raise Unusable(f'{pointer:.200} is {str(found)[:64]}, which cannot '
                       'be')
    return number


def _minutes(holder: Mapping[str, Any]) -> int:
    found = holder.get(_MINUTES)
    if type(found) is not int or not 0 < found <= _LONGEST_MINUTES:
        raise Unusable(f'{_MINUTES} beside {AVERAGE} is '
                       f'{str(found)[:64]!r}, so that nobody knows which '
                       'time it is the mean of')
    return found


def _time(holder: Any, name: str) -> int | None:
    try:
        found = datetime.datetime.fromisoformat(holder.get(name))
        return units.wall_ns(found)
    except (AttributeError, TypeError, ValueError, OverflowError):
        return None
