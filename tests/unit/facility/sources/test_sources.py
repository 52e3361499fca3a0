# SPDX-License-Identifier: Apache-2.0
"""What sources find is recorded, of each meter all or nothing."""

from __future__ import annotations

import dataclasses
import pathlib
import tempfile
import unittest
from typing import Any

from energy_accounting import errors, units
from energy_accounting.facility import (
    batches,
    meter_events,
    meters,
    readings,
    sources,
)
from energy_accounting.ledger import audit, register
from tests.unit import records

S = units.NS_PER_S
BY = audit.By(audit.Actor('a test'), 10 ** 18)


class SourcesTest(unittest.TestCase):

    def setUp(self) -> None:
        super().setUp()
        where = tempfile.TemporaryDirectory()
        self.addCleanup(where.cleanup)
        path = pathlib.Path(where.name) / 'ledger.db'
        self.database = records.database(f'sqlite:///{path}')
        self.addCleanup(self.database.close)
        self.database.write(register.enrol, BY, 'one', {})
        self.make('node-1')

    def make(self, name: str, **given: Any) -> None:
        self.database.write(meters.create, BY, name, 'default', {
            'medium': 'electricity', 'role': 'node', 'host': 'one',
            'kind': 'cumulative', 'unit': 'kWh', 'source': 'redfish',
            'source_ref': 'https://bmc-1/redfish/v1/Chassis/1', **given})

    def asked(self, *names: str) -> list[sources.Asked]:
        return sources.asked(self.database, ['redfish'], names or None)[
            'redfish']

    def kept(self) -> tuple[list[str], list[str], str | None]:
        with self.database.reader() as connection:
            meter = meters.found(connection, 'node-1')
            return ([one.value
                     for one in readings.page(connection, meter.id)],
                    [one.kind
                     for one in meter_events.events(connection, meter.id)],
                    meter.source_ref)

    def keep(self, at: int, value: str, **more: Any) -> sources.Found:
        (asked,) = self.asked()
        return sources.keep(self.database, 'redfish', sources.Found(
            asked, 'bmc-1', batch=(batches.Given(at * S, value),), **more),
            BY)

    def test_a_reset_is_recorded_without_the_reading(self) -> None:
        ref = 'https://bmc-1/redfish/v1/Chassis/1/EnvironmentMetrics#/E'
        self.assertIsNone(self.keep(100, '5', source_ref=ref).failure)
        event = meter_events.KeptEvent(0, 150 * S, 'reset', None, '0',
                                   'SensorResetTime', 0, None)
        self.assertIsNone(self.keep(200, '0.5', event=event).failure)
        both = ['5', '0.5'], ['reset'], ref
        self.assertEqual(both, self.kept())
        # Again, and with what cannot be: nothing more, and nothing less.
        self.assertIsNone(self.keep(200, '0.5', event=event).failure)
        later = dataclasses.replace(event, at_ns=250 * S)
        failed = self.keep(300, '-1', event=later, source_ref='https://x/')
        self.assertIn('value', str(failed.failure))
        self.assertEqual(both, self.kept())
        (asked,) = self.asked()
        assert asked.last is not None
        self.assertEqual((200 * S, '0.5', 'redfish'), (
            asked.last.at_ns, asked.last.value, asked.last.source))

    def test_a_meter_that_is_not_meant_is_read(self) -> None:
        self.make('hand', source=None, source_ref=None)
        self.make('node-2')
        self.assertEqual(['node-1', 'node-2'], [
            one.meter.name for one in self.asked()])
        self.assertEqual(['node-2'], [
            one.meter.name for one in self.asked('node-2', 'node-2')])
        with self.assertRaises(errors.InvalidRequest) as caught:
            self.asked('hand')
        self.assertIn("'hand' is none", str(caught.exception))
        with self.assertRaises(errors.NotFound):
            self.asked('nobody')

    def test_a_meter_has_an_address_that_must_not_be(self) -> None:
        for ref, role in ((None, 'node'), ('http://bmc-1/', 'node'),
                          ('https://root:t0p5ecret@bmc-1/', 'node'),
                          ('https://bmc-1/', 'it_input')):
            with self.assertRaises(errors.InvalidRequest) as caught:
                self.make('other', source_ref=ref, role=role,
                          host='one' if role == 'node' else None)
            self.assertIn('source', str(caught.exception))
            self.assertNotIn('t0p5ecret', str(caught.exception))
