# SPDX-License-Identifier: Apache-2.0
"""A window holds exactly the energy of its ticks, in the right bucket."""

import unittest

from hypothesis import given
from hypothesis import strategies as st

from energy_accounting import attribution, samples, units, window

S = 10 ** 9
MINUTE = 60 * S
NOON = 2_000_000 * units.BUCKET_NS     # The edge of a bucket and a window.
BUCKET = 2_000_000


def tick(start_s, end_s, package_uj=1000, memory_uj=None, zones=None,
         wall=NOON, guests=('a',), backfilled=False, step_s=0):
    """A tick between two moments in seconds after noon.

    :param step_s: how far the wall clock was set forward in it.
    """
    duration_ns = (end_s - start_s) * S
    if zones is None:
        zones = {'package-0': package_uj}
        if memory_uj is not None:
            zones['dram-0'] = memory_uj
    end_ns = wall + (end_s + step_s) * S
    return samples.Tick(
        boottime_start_ns=(10_000 + start_s) * S,
        boottime_end_ns=(10_000 + end_s) * S,
        start_ns=end_ns - duration_ns if backfilled
        else wall + start_s * S, end_ns=end_ns,
        zones_uj=zones, package_uj=package_uj, memory_uj=memory_uj, cpus=4,
        memory_mib=1000, guests=tuple(
            samples.GuestUse(name, 'p', None, None, duration_ns // 7,
                             duration_ns, 300 * duration_ns)
            for name in guests),
        services_cpu_ns={}, host_cpu_ns=duration_ns // 11, lost_cpu_ns={},
        backfilled=backfilled)


def split(some):
    return attribution.two_part(some, None, 1_000_000)


def fill(windows, *ticks):
    """Add each tick and close what its reading closes: the drafts."""
    drafts = []
    for each in ticks:
        windows.add(each, split(each))
        draft = windows.close_due(each.end_ns)
        if draft is not None:
            drafts.append(draft)
    return drafts


def every(step_s, start_s, end_s, **fields):
    return [tick(at_s, at_s + step_s, **fields)
            for at_s in range(start_s, end_s, step_s)]


class TestEdges(unittest.TestCase):
    def test_a_window_does_not_end_at_its_edge(self):
        windows = window.Windows(MINUTE)
        drafts = fill(windows, *every(5, 0, 180))
        self.assertEqual(
            [(NOON, NOON + MINUTE), (NOON + MINUTE, NOON + 2 * MINUTE),
             (NOON + 2 * MINUTE, NOON + 3 * MINUTE)],
            [(draft.start_ns, draft.end_ns) for draft in drafts])
        for draft in drafts:
            [part] = draft.parts
            self.assertEqual(BUCKET, part.bucket)
            self.assertFalse(part.backfilled)
            self.assertEqual(12_000, part.measured_uj)
            self.assertEqual((MINUTE, 4 * MINUTE),
                             (part.measured_ns, part.capacity_ns))
            self.assertEqual(('package-0',), draft.basis)
            self.assertEqual((4, 1000), (draft.cpus, draft.memory_mib))
            self.assertEqual(200, draft.package_power_uw)
        self.assertEqual(
            [(10_000 * S, 10_060 * S), (10_060 * S, 10_120 * S),
             (10_120 * S, 10_180 * S)],
            [(draft.boottime_start_ns, draft.boottime_end_ns)
             for draft in drafts])

    def test_the_closing_tick_belongs_to_the_next_window(self):
        """Three seconds late is still the window, and the bucket, before."""
        windows = window.Windows(MINUTE)
        [draft, after] = fill(windows, *every(5, 840, 895),
                              tick(895, 903), tick(903, 960))
        self.assertEqual((NOON + 840 * S, NOON + 900 * S),
                         (draft.start_ns, draft.end_ns))
        [part] = draft.parts
        self.assertEqual((BUCKET, 63 * S), (part.bucket, part.measured_ns))
        [part] = after.parts
        self.assertEqual((BUCKET + 1, 57 * S),
                         (part.bucket, part.measured_ns))
        self.assertEqual(NOON + 900 * S, after.start_ns)

    def test_the_first_window_pretends_to_be_whole(self):
        windows = window.Windows(MINUTE)
        [draft] = fill(windows, *every(5, 40, 60))
        self.assertEqual(NOON + 40 * S, draft.start_ns)

    def test_a_clean_stop_loses_the_open_window(self):
        windows = window.Windows(MINUTE)
        fill(windows, *every(5, 0, 30))
        draft = windows.flush(NOON + 30 * S)
        self.assertEqual((NOON, NOON + 30 * S),
                         (draft.start_ns, draft.end_ns))
        self.assertEqual(6000, draft.parts[0].measured_uj)
        self.assertIsNone(windows.flush(NOON + 31 * S))

    def test_a_window_of_nothing_is_sent(self):
        windows = window.Windows(MINUTE)
        self.assertIsNone(windows.flush(NOON))
        self.assertIsNone(windows.close_due(NOON))
        self.assertIsNone(windows.close_due(NOON + MINUTE))
        self.assertIsNone(windows.close_due(NOON + 5 * MINUTE))
        self.assertEqual(NOON + 5 * MINUTE, windows.start_ns)
        self.assertIsNone(windows.flush(NOON + 6 * MINUTE))


class TestSums(unittest.TestCase):
    def test_an_account_has_two_shares(self):
        windows = window.Windows(MINUTE)
        [draft] = fill(windows, *every(5, 0, 60, guests=('a', 'b'),
                                       memory_uj=100))
        [part] = draft.parts
        accounts = [share.account for share in part.shares]
        self.assertEqual(len(set(accounts)), len(accounts))
        [a] = [share for share in part.shares
               if share.account.instance_id == 'a']
        self.assertEqual(12 * (5 * S // 7), a.cpu_ns)
        self.assertEqual(60 * S, a.vcpu_ns)
        self.assertEqual(300 * 60 * S, a.memory_mib_ns)
        self.assertEqual(part.measured_uj,
                         sum(share.energy_uj for share in part.shares))
        self.assertEqual(part.idle_uj,
                         sum(share.idle_uj for share in part.shares))

    def test_unknown_memory_becomes_zero(self):
        [draft] = fill(window.Windows(MINUTE), *every(5, 0, 60))
        self.assertEqual(
            {None}, {share.memory_uj for share in draft.parts[0].shares})

    def test_memory_known_for_half_a_window_is_unknown(self):
        [draft] = fill(window.Windows(MINUTE), *every(5, 0, 30),
                       *every(5, 30, 60, memory_uj=100))
        [part] = draft.parts
        self.assertEqual(600, sum(share.memory_uj for share in part.shares))
        self.assertEqual({'package-0': 12_000, 'dram-0': 600},
                         part.zones_uj)

    def test_zones_of_a_part_differ_from_the_basis(self):
        windows = window.Windows(MINUTE)
        [_, draft] = fill(
            windows, tick(-30, 0),
            tick(0, 15, zones={'package-0': 600, 'package-1': 400},
                 backfilled=True), tick(15, 30),
            *every(5, 30, 60, zones={'package-0': 1000}))
        self.assertEqual(('package-0', 'package-1'), draft.basis)
        for part in draft.parts:
            self.assertEqual(set(draft.basis), set(part.zones_uj))

    def test_a_disturbed_window_measures_idle_power(self):
        windows = window.Windows(MINUTE)
        [long] = fill(windows, tick(0, 60, backfilled=True))
        self.assertIsNone(long.package_power_uw)
        windows.note([samples.Gap('package-1', NOON, NOON + S, 'x')])
        [gap] = fill(windows, *every(5, 60, 120))
        self.assertIsNone(gap.package_power_uw)


class TestGaps(unittest.TestCase):
    def gap(self, start_s, end_s, zone='package-1', reason='unreadable'):
        return samples.Gap(zone, NOON + start_s * S, NOON + end_s * S,
                           reason)

    def test_adjoining_gaps_stay_apart(self):
        windows = window.Windows(MINUTE)
        windows.note([self.gap(0, 5), self.gap(0, 5, None, 'reset')])
        windows.note([self.gap(5, 10)])
        windows.note([self.gap(20, 25)])
        draft = windows.flush(NOON + 30 * S)
        self.assertEqual((self.gap(0, 10), self.gap(0, 5, None, 'reset'),
                          self.gap(20, 25)), draft.gaps)

    def test_a_gap_without_energy_is_not_stated(self):
        windows = window.Windows(MINUTE)
        windows.note([self.gap(-600, 5, None, 'too_long')], 9_000 * S)
        self.assertIsNone(windows.close_due(NOON + 5 * S))
        draft = windows.close_due(NOON + MINUTE)
        self.assertEqual(((), 1), (draft.parts, len(draft.gaps)))
        self.assertEqual((9_000 * S, 9_000 * S), (
            draft.boottime_start_ns, draft.boottime_end_ns))
        self.assertLess(draft.start_ns, draft.end_ns)

    def test_the_time_of_a_gap_is_skipped(self):
        windows = window.Windows(MINUTE)
        each = tick(0, 10)
        fill(windows, each)
        windows.note([self.gap(10, 15, None, 'reset')],
                     each.boottime_end_ns + 5 * S)
        draft = windows.flush(NOON + 15 * S)
        self.assertEqual(
            (each.boottime_start_ns, each.boottime_end_ns + 5 * S),
            (draft.boottime_start_ns, draft.boottime_end_ns))


class TestBackfilled(unittest.TestCase):
    def test_it_is_not_divided_by_time(self):
        windows = window.Windows(MINUTE)
        fill(windows, tick(795, 800))
        [draft] = fill(windows, tick(800, 1000, 1_000_001, 500_001,
                                     guests='abc', backfilled=True))
        self.assertEqual(
            [(BUCKET, False), (BUCKET, True), (BUCKET + 1, True)],
            [(part.bucket, part.backfilled) for part in draft.parts])
        _, before, after = draft.parts
        self.assertEqual((100 * S, 100 * S),
                         (before.measured_ns, after.measured_ns))
        self.assertEqual((750_001, 750_001),
                         (before.measured_uj, after.measured_uj))
        self.assertLessEqual(draft.end_ns - NOON, 1000 * S)
        # What comes next does not overlap.
        [following] = fill(windows, *every(5, 1000, 1020))
        self.assertEqual(draft.end_ns, following.start_ns)
        self.assertEqual([(BUCKET + 1, False)], [
            (part.bucket, part.backfilled) for part in following.parts])

    def test_it_lies_before_its_window(self):
        """Held over an edge, it starts before the window it ends in."""
        windows = window.Windows(MINUTE)
        fill(windows, *every(5, 0, 50))
        self.assertIsNotNone(windows.close_due(NOON + 60 * S))
        [draft] = fill(windows, tick(50, 80, backfilled=True),
                       *every(5, 80, 120))
        self.assertEqual((NOON + 50 * S, NOON + 120 * S),
                         (draft.start_ns, draft.end_ns))

    def test_unknown_memory_becomes_zero_when_divided(self):
        [draft] = fill(window.Windows(MINUTE),
                       tick(870, 960, backfilled=True))
        self.assertEqual(2, len(draft.parts))
        self.assertEqual({None}, {share.memory_uj for part in draft.parts
                                  for share in part.shares})

    def test_after_a_restart_it_is_in_the_window_of_its_end(self):
        windows = window.Windows(MINUTE)
        self.assertEqual([], fill(windows, tick(810, 990, backfilled=True)))
        [draft] = fill(windows, tick(990, 1020))
        self.assertEqual((NOON + 810 * S, NOON + 1020 * S),
                         (draft.start_ns, draft.end_ns))
        self.assertEqual([BUCKET, BUCKET + 1, BUCKET + 1],
                         [part.bucket for part in draft.parts])

    def test_a_tick_over_days_is_one_bucket(self):
        windows = window.Windows(MINUTE)
        [draft] = fill(windows,
                       tick(0, 2 * 86_400, 10 ** 12, backfilled=True))
        self.assertEqual(192, len(draft.parts))
        self.assertEqual(10 ** 12, sum(part.measured_uj
                                       for part in draft.parts))


class TestWallClock(unittest.TestCase):
    def test_an_hour_forward_divides_a_tick(self):
        windows = window.Windows(MINUTE)
        drafts = fill(windows, *every(5, 0, 30), tick(30, 35, step_s=3600),
                      *every(5, 35, 60, wall=NOON + 3600 * S))
        self.assertEqual([(NOON, NOON + MINUTE),
                          (NOON + 3600 * S, NOON + 3660 * S)],
                         [(draft.start_ns, draft.end_ns)
                          for draft in drafts])
        self.assertEqual([7000, 5000], [draft.parts[0].measured_uj
                                        for draft in drafts])
        self.assertEqual([BUCKET, BUCKET + 4],
                         [draft.parts[0].bucket for draft in drafts])

    def test_an_hour_back_keeps_a_window_open_for_an_hour(self):
        windows = window.Windows(MINUTE)
        drafts = fill(windows, *every(5, 0, 30), tick(30, 35, step_s=-3600),
                      *every(5, 35, 60, wall=NOON - 3600 * S))
        self.assertEqual([7000, 5000], [draft.parts[0].measured_uj
                                        for draft in drafts])
        self.assertEqual([BUCKET, BUCKET - 4],
                         [draft.parts[0].bucket for draft in drafts])
        self.assertLessEqual(drafts[0].boottime_end_ns,
                             drafts[1].boottime_start_ns)

    def test_two_seconds_back_over_an_edge_open_the_old_window_again(self):
        windows = window.Windows(MINUTE)
        drafts = fill(windows, *every(5, 0, 60), tick(60, 61, step_s=-4),
                      *every(5, 65, 120))
        self.assertEqual([(NOON, NOON + MINUTE),
                          (NOON + MINUTE, NOON + 2 * MINUTE)],
                         [(draft.start_ns, draft.end_ns)
                          for draft in drafts])


# --- over any run of ticks --------------------------------------------------

ENERGY = st.integers(0, 10 ** 10)


@st.composite
def runs(draw):
    now_s, step_s, found = draw(st.integers(0, 900)), 0, []
    for _ in range(draw(st.integers(1, 12))):
        length_s = draw(st.integers(1, 10) | st.integers(1, 2500))
        memory_uj = draw(st.none() | ENERGY)
        packages = draw(st.lists(ENERGY, min_size=1, max_size=3))
        zones = {f'package-{place}': uj
                 for place, uj in enumerate(packages)}
        if memory_uj is not None:
            zones['dram-0'] = memory_uj
        leap_s = draw(st.sampled_from([0] * 8 + [-3600, -3, 3, 3600]))
        found.append(tick(
            now_s, now_s + length_s, sum(packages), memory_uj, zones,
            NOON + step_s * S, draw(st.sampled_from(['', 'a', 'abc'])),
            length_s > 10, leap_s))
        now_s, step_s = now_s + length_s, step_s + leap_s
    return found


class TestLaws(unittest.TestCase):
    @given(runs(), st.sampled_from([10, 60, 900]))
    def test_a_microjoule_or_a_nanosecond_is_lost(self, run, window_s):
        windows = window.Windows(window_s * S)
        drafts = fill(windows, *run)
        last = windows.flush(run[-1].end_ns)
        drafts += [last] if last else []
        parts = [part for draft in drafts for part in draft.parts]
        shares = [share for part in parts for share in part.shares]
        before = [share for each in run for share in split(each).shares]
        zones = {name for each in run for name in each.zones_uj}
        for name in zones:
            self.assertEqual(
                sum(each.zones_uj.get(name, 0) for each in run),
                sum(part.zones_uj.get(name, 0) for part in parts))
        for part in parts:
            self.assertEqual(part.measured_uj, sum(
                share.energy_uj for share in part.shares))
            self.assertEqual(part.idle_uj, sum(
                share.idle_uj for share in part.shares))
            self.assertGreaterEqual(min([0, *part.zones_uj.values(), *(
                number or 0 for share in part.shares
                for number in share[1:])]), 0)
        for account in {share.account for share in before}:
            self.assertEqual(*(
                [sum(share[place] or 0 for share in some
                     if share.account == account) for place in range(1, 8)]
                for some in (before, shares)))
        self.assertEqual(sum(each.duration_ns for each in run),
                         sum(part.measured_ns for part in parts))
        self.assertEqual(sum(each.busy_ns for each in run),
                         sum(part.busy_ns for part in parts))
        self.assertEqual(sum(4 * each.duration_ns for each in run),
                         sum(part.capacity_ns for part in parts))

    @given(runs(), st.sampled_from([10, 60, 900]), st.data())
    def test_a_stop_or_a_gap_in_between_loses_something(self, run, window_s,
                                                        data):
        """Windows are closed early, gaps noted, clocks set: all arrives."""
        windows, drafts, stated = window.Windows(window_s * S), [], []
        for each in run:
            drafts += fill(windows, each)
            if data.draw(st.integers(0, 3)) == 0:
                gap = samples.Gap(
                    data.draw(st.sampled_from([None, 'package-0'])),
                    max(0, each.end_ns - data.draw(st.integers(0, 900)) * S),
                    each.end_ns, data.draw(st.sampled_from(['reset', 'x'])))
                windows.note([gap], each.boottime_end_ns)
                stated.append(gap)
            if data.draw(st.integers(0, 3)) == 0:
                drafts.append(windows.flush(each.end_ns))
                windows = window.Windows(window_s * S)
        drafts.append(windows.flush(run[-1].end_ns))
        drafts = [draft for draft in drafts if draft]
        parts = [part for draft in drafts for part in draft.parts]
        self.assertEqual(
            sum(sum(each.zones_uj.values()) for each in run),
            sum(part.measured_uj for part in parts))
        self.assertEqual(sum(each.duration_ns for each in run),
                         sum(part.measured_ns for part in parts))
        told = [gap for draft in drafts for gap in draft.gaps]
        for gap in stated:
            self.assertTrue(any(
                (gap.zone, gap.reason) == (one.zone, one.reason)
                and one.start_ns <= gap.start_ns
                and gap.end_ns <= one.end_ns for one in told), gap)
        for one in told:
            self.assertIn(one.start_ns, [gap.start_ns for gap in stated])
            self.assertIn(one.end_ns, [gap.end_ns for gap in stated])

    @given(runs(), st.sampled_from([10, 60, 900]))
    def test_windows_overlap_or_hold_foreign_buckets(self, run, window_s):
        windows = window.Windows(window_s * S)
        drafts = fill(windows, *run)
        last = windows.flush(run[-1].end_ns)
        drafts += [last] if last else []
        boottime_ns = run[0].boottime_start_ns
        for draft in drafts:
            self.assertEqual(boottime_ns, draft.boottime_start_ns)
            boottime_ns = draft.boottime_end_ns
            self.assertLess(draft.start_ns, draft.end_ns)
            keys = [(part.bucket, part.backfilled) for part in draft.parts]
            self.assertEqual(sorted(set(keys)), keys)
            for part in draft.parts:
                self.assertEqual(set(draft.basis), set(part.zones_uj))
                self.assertLess(part.bucket * units.BUCKET_NS, draft.end_ns)
                self.assertGreater((part.bucket + 1) * units.BUCKET_NS,
                                   draft.start_ns)
        self.assertEqual(run[-1].boottime_end_ns, boottime_ns)

    @given(runs())
    def test_a_share_of_a_bucket_is_far_from_its_time(self, run):
        for each in run:
            if not each.backfilled:
                continue
            windows = window.Windows(MINUTE)
            fill(windows, each)
            draft = windows.flush(each.end_ns)
            for part in draft.parts if draft else ():
                exact = sum(each.zones_uj.values()) * part.measured_ns
                self.assertLess(
                    abs(part.measured_uj * each.duration_ns - exact),
                    each.duration_ns)
                self.assertEqual(each.duration_ns, sum(
                    part.measured_ns for part in draft.parts))
