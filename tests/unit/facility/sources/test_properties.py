# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import decimal
import unittest
from typing import Any

import hypothesis
from hypothesis import strategies

from energy_accounting.facility.sources import properties
from tests.unit.facility.sources import answers

ANYTHING = strategies.recursive(
    strategies.none() | strategies.booleans() | strategies.integers()
    | strategies.decimals(allow_nan=False, allow_infinity=False)
    | strategies.text(max_size=8),
    lambda inner: strategies.lists(inner, max_size=3)
    | strategies.dictionaries(strategies.sampled_from((
        'EnergykWh', 'EnergyJoules', 'PowerWatts', 'Reading',
        'LifetimeReading', 'SensorResetTime', 'ReadingTime', 'ReadingUnits',
        'DataSourceUri', 'PowerControl', 'PowerConsumedWatts',
        'PowerMetrics', 'AverageConsumedWatts', 'IntervalInMin', 'Members',
        'Status', 'State', '@odata.id')), inner, max_size=4), max_leaves=12)


def seen(resource: dict[str, Any]) -> list[str]:
    return [one.pointer for one in properties.candidates('/x', resource)]


class PropertiesTest(unittest.TestCase):

    def value(self, pointer: str, **resource: Any) -> decimal.Decimal:
        return properties.value(pointer, resource).number

    def refused(self, words: str, pointer: str, **resource: Any) -> None:
        with self.assertRaises(properties.Unusable) as caught:
            properties.value(pointer, resource)
        self.assertIn(words, str(caught.exception))

    def test_what_is_set_back_comes_before_what_is_not(self) -> None:
        self.assertEqual(
            ['/EnergykWh/LifetimeReading', '/EnergyJoules/LifetimeReading',
             '/EnergykWh/Reading', '/EnergyJoules/Reading',
             '/PowerWatts/Reading'],
            seen({'PowerWatts': {'Reading': 1}, 'EnergyJoules': {
                'Reading': 1, 'LifetimeReading': 2}, 'EnergykWh': {
                    'Reading': 1, 'LifetimeReading': 2}}))

    def test_another_quantity_is_taken_for_energy(self) -> None:
        (body,) = [answers.environment()[answers.ENVIRONMENT]]
        self.assertEqual([], seen(body))
        self.assertEqual([], seen({'ReadingUnits': 'Cel', 'Reading': 40}))
        self.assertEqual(['/Reading'], seen({
            'ReadingUnits': 'W', 'Reading': 40, 'LifetimeReading': 4}))

    def test_a_part_of_the_node_is_taken_for_the_node(self) -> None:
        cpu = {'Name': 'CPU', 'PowerConsumedWatts': 90}
        self.assertEqual([], seen({'PowerControl': [cpu, cpu]}))
        self.assertEqual(['/PowerControl/0/PowerConsumedWatts'],
                         seen({'PowerControl': [cpu]}))

    def test_a_value_that_is_none_is_read(self) -> None:
        pointer = '/EnergykWh/Reading'
        for found, words in (
                (None, 'is null'), (True, 'not a number'),
                ('12', 'not a number'), ([1], 'not a number'),
                (-1, 'cannot be'), (decimal.Decimal('-0.1'), 'cannot be'),
                (decimal.Decimal('1e24'), 'cannot be')):
            self.refused(words, pointer, EnergykWh={'Reading': found})
        self.refused('is null', pointer, EnergykWh=None)
        self.refused('has no', pointer, EnergykWh={})
        self.refused('has no', pointer)
        self.refused('Status.State is Disabled', '/Reading', Reading=5,
                     Status={'State': 'Disabled'})
        self.assertEqual(0, self.value(pointer, EnergykWh={'Reading': 0}))

    def test_a_mean_of_nobody_knows_when_is_read(self) -> None:
        pointer = '/PowerControl/0/PowerMetrics/AverageConsumedWatts'
        for minutes in (None, 0, -5, True, '30', decimal.Decimal('0.5'),
                        10 ** 9):
            self.refused('IntervalInMin', pointer, PowerControl=[{
                'PowerMetrics': {'AverageConsumedWatts': 319,
                                 'IntervalInMin': minutes}}])

    def test_a_sum_is_rounded(self) -> None:
        numbers = ('1e23', '0.000000000000001', '0.2', '0.1')
        found = properties.total([properties.Value(decimal.Decimal(one))
                                  for one in numbers])
        self.assertEqual('1' + '0' * 23 + '.300000000000001',
                         format(found.number, 'f'))

    def test_a_pointer_to_something_else_is_read(self) -> None:
        for pointer in ('/TemperatureCelsius/Reading', '/', '', '/Reading',
                        '/PowerControl/0/PowerCapacityWatts'):
            with self.assertRaises(properties.Unusable):
                properties.shape_of(pointer, {'ReadingUnits': 'Cel'})
        self.refused('has no', '/PowerControl/7/PowerConsumedWatts',
                     PowerControl=[{}])

    @hypothesis.settings(max_examples=100, deadline=None)
    @hypothesis.given(body=ANYTHING)
    def test_a_strange_answer_ends_in_a_traceback(self, body: Any) -> None:
        resource = body if isinstance(body, dict) else {'EnergykWh': body}
        list(properties.sensors(resource))
        properties.link(resource, 'Status')
        properties.absent(resource)
        for pointer in (*seen(resource), '/EnergykWh/Reading', '/Reading',
                        '/PowerControl/0/PowerMetrics/AverageConsumedWatts'):
            try:
                properties.members(resource)
                properties.shape_of(pointer, resource)
                found = properties.value(pointer, resource)
            except properties.Unusable:
                continue
            self.assertGreaterEqual(found.number, 0)
