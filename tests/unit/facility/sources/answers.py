# SPDX-License-Identifier: Apache-2.0
"""What Redfish services say, in the variants of DSP8010 that there are.

Written by hand from the schemas; only what is read, and what is beside it
and must not be taken for it.
"""

from __future__ import annotations

import copy
from typing import Any

CHASSIS = '/redfish/v1/Chassis/1'
ENVIRONMENT = f'{CHASSIS}/EnvironmentMetrics'
SENSORS = f'{CHASSIS}/Sensors'
SUBSYSTEM = f'{CHASSIS}/PowerSubsystem'
SUPPLIES = f'{SUBSYSTEM}/PowerSupplies'
POWER = f'{CHASSIS}/Power'

Resources = dict[str, Any]


def link(path: str) -> dict[str, str]:
    return {'@odata.id': path}


def chassis(**links: str) -> Resources:
    """A node with links to other resources."""
    return {CHASSIS: {
        '@odata.type': '#Chassis.v1_23_0.Chassis', '@odata.id': CHASSIS,
        'Id': '1', 'Name': 'Node', 'ChassisType': 'RackMount',
        'PowerState': 'On', 'EnvironmentalClass': 'A2',
        **{name: link(path) for name, path in links.items()}}}


def environment(**properties: Any) -> Resources:
    """EnvironmentMetrics, with what no meter wants."""
    return {**chassis(EnvironmentMetrics=ENVIRONMENT), ENVIRONMENT: {
        '@odata.type': '#EnvironmentMetrics.v1_3_0.EnvironmentMetrics',
        '@odata.id': ENVIRONMENT, 'Id': 'EnvironmentMetrics',
        'Name': 'Chassis Environment Metrics',
        'TemperatureCelsius': {'Reading': 39,
                               'DataSourceUri': f'{SENSORS}/CPU1Temp'},
        'PowerLimitWatts': {'SetPoint': 500, 'AllowableMax': 1000},
        'PowerLoadPercent': {'Reading': 41}, **properties}}


def sensor(name: str, **properties: Any) -> Resources:
    return {f'{SENSORS}/{name}': {
        '@odata.type': '#Sensor.v1_8_0.Sensor', 'Id': name, 'Name': name,
        'ReadingType': 'EnergykWh', 'ReadingUnits': 'kW.h',
        'Status': {'State': 'Enabled', 'Health': 'OK'}, **properties}}


def supplies(*each: dict[str, Any] | None) -> Resources:
    """Power supplies with these metrics; None: an empty bay."""
    found = {**chassis(PowerSubsystem=SUBSYSTEM),
             SUBSYSTEM: {'CapacityWatts': 2000,
                         'PowerSupplies': link(SUPPLIES)},
             SUPPLIES: {'Members@odata.count': len(each), 'Members': [
                 link(f'{SUPPLIES}/Bay{bay}')
                 for bay in range(1, len(each) + 1)]}}
    for bay, metrics in enumerate(each, 1):
        path = f'{SUPPLIES}/Bay{bay}'
        found[path] = {
            'Id': f'Bay{bay}', 'PowerCapacityWatts': 400,
            'Status': {'State': 'Absent' if metrics is None else 'Enabled'},
            **({} if metrics is None
               else {'Metrics': link(f'{path}/Metrics')})}
        if metrics is not None:
            found[f'{path}/Metrics'] = {
                'Id': 'Metrics', 'InputVoltage': {'Reading': 230.2},
                'OutputPowerWatts': {'Reading': 937.4},
                'FrequencyHz': {'Reading': 50}, **metrics}
    return found


def power(*controls: dict[str, Any]) -> Resources:
    """The older Power, with what its controls say."""
    return {**chassis(Power=POWER), POWER: {
        '@odata.type': '#Power.v1_7_1.Power', 'Id': 'Power',
        'PowerControl': [{'MemberId': str(place), 'PowerCapacityWatts': 800,
                          'PowerRequestedWatts': 800, **control}
                         for place, control in enumerate(controls)],
        'PowerSupplies': [{'LastPowerOutputWatts': 325}]}}


def together(*parts: Resources) -> Resources:
    """One service that says all of it."""
    found: Resources = {}
    for part in copy.deepcopy(parts):
        for path, body in part.items():
            found[path] = {**found.get(path, {}), **body}
    return found
