# SPDX-License-Identifier: Apache-2.0
"""The meter ipmi: ipmitool asks a BMC that speaks IPMI 2.0."""

from __future__ import annotations

import os
import pathlib
import time
from unittest import mock

import fixtures
from oslotest import base

from energy_accounting import errors, units
from energy_accounting.meters import ipmi as meter
from tests import ipmi

S = units.NS_PER_S


class Asked(base.BaseTestCase):

    def setUp(self) -> None:
        super().setUp()
        self.useFixture(fixtures.EnvironmentVariable(
            'IPMI_PASSWORD', ipmi.PASSWORD))
        self.bmc = self.useFixture(Running()).bmc

    def test_watts_are_not_those_of_the_bmc(self) -> None:
        for watts in (217, 1):
            self.bmc.draw(watts)
            self.assertEqual(watts, meter.ask(self.bmc.command))

    def test_what_is_no_reading_is_a_number(self) -> None:
        for draw, why in (((200, False), 'deactivated'), ((0, True), '0 W')):
            self.bmc.draw(draw[0], active=draw[1])
            error = self.assertRaises(errors.MeterError, meter.ask,
                                      self.bmc.command)
            self.assertIn(why, str(error))

    def test_a_refusal_is_a_reading_or_tells_the_password(self) -> None:
        with mock.patch.dict(os.environ, IPMI_PASSWORD='wrong'):
            error = self.assertRaises(errors.MeterError, meter.ask,
                                      self.bmc.command)
        self.assertIn('ended with 1', str(error))
        self.assertNotIn('wrong', str(error))

    def test_the_meter_keeps_the_first_reading(self) -> None:
        clock = [1000 * S]
        one = meter.Ipmi(self.bmc.command, 1, lambda: clock[0])
        self.addCleanup(one.close)
        self.bmc.draw(400)
        [first] = one.read()
        deadline = time.monotonic() + 60
        while one._newest[0] != 400:
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.1)
        clock[0] += 2 * S
        [second] = one.read()
        assert first.counter_uj is not None
        assert second.counter_uj is not None
        self.assertEqual((200 + 400) // 2 * 2 * units.UJ_PER_J,
                         second.counter_uj - first.counter_uj)


class Running(fixtures.Fixture):  # type: ignore[misc]

    def _setUp(self) -> None:
        where = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        running = ipmi.running(where)
        self.bmc = running.__enter__()
        self.addCleanup(running.__exit__, None, None, None)
