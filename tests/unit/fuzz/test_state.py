# SPDX-License-Identifier: Apache-2.0
"""Baselines and idle power as kept: used as they were, or not at all.

A checksum guards them on disk; what passes it may still be of another
version or of a bug, and must not stop the ticks for good.
"""

import json

import testtools
from hypothesis import given
from hypothesis import strategies as st

from energy_accounting import attribution, errors, idle, samples, ticks
from energy_accounting.spool import form
from tests.unit import fuzz

S = 10 ** 9
GUEST = samples.GuestReading('a', '7-1', S, 5 * S, 2, 1024, 'p', 'small',
                             'u', '/machine.slice', 'pods')
READING = samples.HostReading(
    1_790_000_000 * S, 1000 * S, 'boot', (
        samples.ZoneReading('package-0', 'package', 10 ** 9, 2 * 10 ** 11),
        samples.ZoneReading('dram-0', 'memory', None, 6 * 10 ** 10)),
    50 * S, 8, 65536, (GUEST,), (), {'/machine.slice': 9 * S}, {'pods': S})
LATER = samples.HostReading(
    1_790_000_005 * S, 1005 * S, 'boot', READING.zones, 60 * S, 8, 65536,
    (samples.GuestReading('a', '7-1', S, 6 * S, 2, 1024),), (),
    {'/machine.slice': 11 * S}, {'pods': 2 * S})
LIMITS = ticks.Limits(5 * S, 60 * S, 400 * 10 ** 6)
BASELINE = json.loads(json.dumps(ticks.baseline_to_wire(ticks.Baseline(
    READING, 999 * S, (GUEST,), (GUEST,), {'host': (S, 5 * S)}))))
IDLE = json.loads(json.dumps(idle.to_wire(idle.IdlePower(
    None, 50_000_000, 20_000, 20_001, 3, 1, (1, 2, 3)))))


class State(testtools.TestCase):

    @fuzz.settings(250)
    @given(fuzz.damaged_value(BASELINE) | fuzz.VALUES)
    def test_a_baseline_that_is_none_stops_every_tick(self, body):
        try:
            baseline = ticks.baseline_from_wire(body)
        except errors.InvalidRecord:
            return
        outcome = ticks.advance(baseline, LATER, LIMITS)
        json.dumps(ticks.baseline_to_wire(outcome.baseline))
        if outcome.tick is not None:
            split = attribution.two_part(outcome.tick, None, 10 ** 6)
            self.assertEqual(
                sum(outcome.tick.zones_uj.values()),
                sum(share.energy_uj for share in split.shares))

    @fuzz.settings(150)
    @given(fuzz.damaged_value(IDLE) | fuzz.VALUES,
           st.integers(0, 2 ** 60), st.integers(0, 10 ** 9))
    def test_an_idle_power_that_is_none_stops_every_window(self, body,
                                                           wall_ns, power):
        try:
            state = idle.from_wire(body)
        except errors.InvalidRecord:
            return
        for _ in range(2):
            kind, power_uw = idle.value_at(state, wall_ns)
            self.assertEqual(kind == idle.PROVISIONAL, power_uw is None)
            state = idle.observe(state, power, 0, 100, wall_ns)
            wall_ns += idle.DAY_NS

    @fuzz.settings(150)
    @given(fuzz.damaged(form.seal({'after': 7, 'state': BASELINE}).encode())
           | fuzz.VALUES.map(lambda value: json.dumps(value).encode()))
    def test_a_damaged_small_file_is_another_one(self, text):
        try:
            body = form.unseal(text)
        except ValueError:
            return
        self.assertEqual({'after': 7, 'state': BASELINE}, body)
