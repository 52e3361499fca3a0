# SPDX-License-Identifier: Apache-2.0
"""Booked or stated: any life of a host against the truth of its counters.

A host draws energy that only the test knows.  Its counters wrap, stand in
the dark, are reset by firmware, lose their boot; it sleeps, its wall clock
leaps, guests cannot be read.  Whatever is not booked to the microjoule must
be stated as a gap, and energy and CPU time advance together or not at all.
"""

import collections
import dataclasses
import json
import unittest

from hypothesis import event, given
from hypothesis import strategies as st

from energy_accounting import samples, ticks
from tests.unit import fuzz

S = 10 ** 9
W = J = 10 ** 6
WALL_NS = 1_800_000_000 * S
RANGES = {'package-0': 262_143_328_850, 'package-1': 262_143_328_850,
          'dram-0': 65_712_999_613}
LIMITS = ticks.Limits(tick_ns=5 * S, window_ns=60 * S, max_power_uw=600 * W)
# Within this a full turn of any counter is more than the host can draw.
CERTAIN_NS = 120 * S

FAULTS = st.sampled_from(['none'] * 6 + [
    'zones', 'zones', 'guests', 'reset', 'reboot', 'sleep', 'outage',
    'clock', 'again', 'backwards', 'unranged'])


class Host:
    """Counters and clocks, and what they do not show."""

    def __init__(self, draw):
        self._draw = draw
        self.used_uj = dict.fromkeys(RANGES, 0)
        self.counters = {zone: draw(st.integers(0, range_uj - 1))
                         for zone, range_uj in RANGES.items()}
        self.boottime_ns, self.wall_ns, self.boot = 100 * S, WALL_NS, 0
        self.cpu_ns = dict.fromkeys('ab', 0)
        self.busy_ns = 0

    def live(self, seconds, power_w=300):
        self.boottime_ns += seconds * S
        self.wall_ns += seconds * S
        for zone, range_uj in RANGES.items():
            energy_uj = self._draw(st.integers(0, power_w * J * seconds))
            self.used_uj[zone] += energy_uj
            self.counters[zone] = (self.counters[zone] + energy_uj) % range_uj
        for name in self.cpu_ns:
            cpu_ns = self._draw(st.integers(0, seconds * S))
            self.cpu_ns[name] += cpu_ns
            self.busy_ns += cpu_ns
        self.busy_ns += self._draw(st.integers(0, seconds * S))

    def reset(self, before):
        """Counters fall, and not because they came round.

        So little that a full turn would have been needed; a fall that looks
        like a wrap, or none, cannot be told from one.
        """
        for zone in before:
            if zone.counter_uj is not None:
                self.counters[zone.zone] = max(
                    0, zone.counter_uj - self._draw(st.integers(1, 1000)))

    def reboot(self):
        self.boot += 1
        self.boottime_ns = self._draw(st.integers(1, 60)) * S
        for zone in RANGES:
            self.counters[zone] = self._draw(st.integers(0, 10 ** 9))
        self.busy_ns = 0
        self.cpu_ns = dict.fromkeys(self.cpu_ns, 0)

    def read(self, dark=(), blind=(), unranged=()):
        return samples.HostReading(
            self.wall_ns, self.boottime_ns, f'boot-{self.boot}', tuple(
                samples.ZoneReading(
                    zone, 'memory' if zone == 'dram-0' else 'package',
                    None if zone in dark else self.counters[zone],
                    0 if zone in unranged else range_uj)
                for zone, range_uj in RANGES.items()),
            self.busy_ns, 8, 1000, tuple(
                samples.GuestReading(
                    name, f'1-{self.boot}', S,
                    None if name in blind else cpu_ns, 2, 100)
                for name, cpu_ns in self.cpu_ns.items()))


class Account:
    """Plays readings and holds every outcome against the truth."""

    def __init__(self, case, host):
        self.case, self.host = case, host
        self.baseline = ticks.first(host.read())
        self.used_uj = dict(host.used_uj)
        self.booked_uj = collections.Counter()
        self.stated_uj = collections.Counter()

    def since_ns(self):
        return self.host.boottime_ns - self.baseline.reading.boottime_ns

    def take(self, reading):
        before = self.baseline
        outcome = ticks.advance(ticks.baseline_from_wire(json.loads(
            json.dumps(ticks.baseline_to_wire(before)))), reading, LIMITS)
        if outcome.held:
            self.check_held(before, outcome)
        else:
            self.check_moved(before, reading, outcome)
            self.used_uj = dict(self.host.used_uj)
        self.baseline = outcome.baseline
        return outcome

    def check_held(self, before, outcome):
        case = self.case
        case.assertEqual(before.reading, outcome.baseline.reading)
        case.assertIsNone(outcome.tick)
        case.assertEqual((), outcome.gaps)
        # Not until something could have wrapped twice.
        case.assertLess(self.since_ns(), 1000 * S)

    def check_moved(self, before, reading, outcome):
        case = self.case
        case.assertEqual(dataclasses.replace(reading, ended=()),
                         outcome.baseline.reading)
        whole = [gap for gap in outcome.gaps if gap.zone is None]
        gaps = {gap.zone for gap in outcome.gaps}
        case.assertEqual(len(gaps), len(outcome.gaps))
        for gap in outcome.gaps:
            case.assertEqual(reading.wall_ns, gap.end_ns)
            case.assertLessEqual(gap.start_ns, gap.end_ns)
        booked = outcome.tick.zones_uj if outcome.tick else {}
        case.assertFalse(whole and booked)
        for zone, used_uj in self.host.used_uj.items():
            energy_uj = used_uj - self.used_uj[zone]
            if zone in booked:
                case.assertEqual(energy_uj, booked[zone], zone)
                case.assertNotIn(zone, gaps)
                self.booked_uj[zone] += energy_uj
            else:
                case.assertTrue(whole or zone in gaps, zone)
                self.stated_uj[zone] += energy_uj
        if outcome.tick:
            self.check_time(before.reading, reading, outcome.tick)

    def check_time(self, before, reading, tick):
        case = self.case
        case.assertEqual(
            (before.boottime_ns, reading.boottime_ns),
            (tick.boottime_start_ns, tick.boottime_end_ns))
        case.assertEqual(reading.wall_ns, tick.end_ns)
        # CPU time of the same interval: neither less than the host's nor
        # more than it and the guests can have used.
        case.assertGreaterEqual(tick.busy_ns,
                                reading.busy_ns - before.busy_ns)
        was = {guest.instance_id: guest.cpu_ns for guest in before.guests}
        now = {guest.instance_id: guest.cpu_ns for guest in reading.guests}
        for use in tick.guests:
            known, seen = was[use.instance_id], now[use.instance_id]
            case.assertEqual(
                0 if known is None or seen is None else seen - known,
                use.cpu_ns)


class TestLaws(unittest.TestCase):

    @fuzz.settings(150)
    @given(st.data())
    def test_what_is_not_booked_is_not_stated(self, data):
        host = Host(data.draw)
        account = Account(self, host)
        for _ in range(data.draw(st.integers(1, 12))):
            self.step(data.draw, host, account)
        host.live(2)
        last = account.take(host.read())
        self.assertFalse(last.held)
        for zone, used_uj in host.used_uj.items():
            self.assertEqual(used_uj, account.booked_uj[zone]
                             + account.stated_uj[zone])

    def step(self, draw, host, account):
        fault = draw(FAULTS)
        dark, blind, unranged = (), (), ()
        if fault == 'again':
            account.take(host.read())
            return
        if fault == 'sleep':
            host.live(draw(st.integers(10, 800)), power_w=1)
        elif fault == 'outage':
            host.live(draw(st.integers(200, 4000)))
        else:
            host.live(draw(st.integers(1, 8)))
        zones = account.baseline.reading.zones
        if (fault == 'reset' and account.since_ns() < CERTAIN_NS
                and any(zone.counter_uj for zone in zones)):
            host.reset(zones)
        elif fault == 'reboot':
            host.reboot()
        elif fault == 'clock':
            host.wall_ns += draw(st.sampled_from([-3600, -1, 1, 3600])) * S
        elif fault == 'backwards':
            host.boottime_ns = max(0, host.boottime_ns - draw(
                st.integers(5, 50)) * S)
        elif fault == 'zones':
            dark = draw(st.sets(st.sampled_from(sorted(RANGES)), min_size=1))
        elif fault == 'guests':
            blind = draw(st.sets(st.sampled_from('ab'), min_size=1))
        elif fault == 'unranged':
            unranged = draw(st.sets(st.sampled_from(sorted(RANGES))))
            dark = unranged
        outcome = account.take(host.read(dark, blind, unranged))
        event('held' if outcome.held else
              'booked' if outcome.tick else 'stated')


if __name__ == '__main__':
    unittest.main()
