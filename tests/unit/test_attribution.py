# SPDX-License-Identifier: Apache-2.0
"""Every joule of a tick has exactly one owner, by the written rule."""

import dataclasses
import unittest

from hypothesis import example, given
from hypothesis import strategies as st

from energy_accounting import attribution, samples

S = 10 ** 9
MILLION = 10 ** 6
POLICIES = (attribution.two_part, attribution.proportional)


def guest(name, cpu_ns, vcpus=0, mib=0, duration_ns=S, project='p'):
    return samples.GuestUse(name, project, 'm1', None, cpu_ns,
                            vcpus * duration_ns, mib * duration_ns)


def tick(package_uj=0, guests=(), memory_uj=None, services=None, host_ns=0,
         lost=None, cpus=16, memory_mib=100, duration_ns=S, **fields):
    zones = {'package-0': package_uj}
    if memory_uj is not None:
        zones['dram-0'] = memory_uj
    return samples.Tick(
        0, duration_ns, 10 * S, 10 * S + duration_ns, zones, package_uj,
        memory_uj, cpus, memory_mib, tuple(guests), services or {}, host_ns,
        lost or {}, **fields)


def by_name(split):
    return {share.account.instance_id or share.account.name: share
            for share in split.shares}


def split_of(some, idle_uw=None, ratio=MILLION, policy=attribution.two_part):
    return by_name(policy(some, idle_uw, ratio))


class TestTwoPart(unittest.TestCase):
    def test_a_joule_over_three_equal_guests_is_not_whole(self):
        shares = split_of(tick(MILLION, [guest(name, 5) for name in 'cab']),
                          idle_uw=0)
        self.assertEqual(
            [333_334, 333_333, 333_333],
            [shares[name].active_uj for name in 'abc'])

    def test_the_worked_example_comes_out_differently(self):
        # 16 vCPUs, 100 W idle; guests of 4/2/2 vCPUs with CPU time in the
        # ratio 5 : 2 : 1 measured at 228.308 W.
        shares = split_of(
            tick(228_308_000, [guest('a', 5 * S, 4), guest('b', 2 * S, 2),
                               guest('c', S, 2)]), idle_uw=100_000_000)
        self.assertEqual((80_192_500, 25_000_000),
                         (shares['a'].active_uj, shares['a'].idle_uj))
        self.assertEqual((32_077_000, 12_500_000),
                         (shares['b'].active_uj, shares['b'].idle_uj))
        self.assertEqual((16_038_500, 12_500_000),
                         (shares['c'].active_uj, shares['c'].idle_uj))
        self.assertEqual(50_000_000, shares['idle_capacity'].idle_uj)
        self.assertEqual(8 * S, shares['idle_capacity'].vcpu_ns)

    def test_idle_is_above_what_was_measured(self):
        split = attribution.two_part(tick(10, [guest('a', 1, 16)]), 100,
                                     MILLION)
        self.assertEqual(10, attribution.two_part(
            tick(10, [guest('a', 1, 16)]), 100 * S, MILLION).idle_uj)
        self.assertEqual(10, split.idle_uj)

    def test_idle_is_not_by_the_measured_duration(self):
        split = attribution.two_part(
            tick(1000, [guest('a', 1, 16)], duration_ns=3 * S), 100, MILLION)
        self.assertEqual(300, split.idle_uj)

    def test_provisional_idle_is_not_the_unused_part(self):
        # 4 of 16 thread-seconds busy.
        split = attribution.two_part(
            tick(1000, [guest('a', 3 * S, 16)], host_ns=S), None, MILLION)
        self.assertEqual(750, split.idle_uj)

    def test_a_host_busier_than_its_threads_has_negative_idle(self):
        split = attribution.two_part(
            tick(1000, [guest('a', 17 * S, 16)]), None, MILLION)
        self.assertEqual(0, split.idle_uj)

    def test_reserved_above_capacity_costs_more_than_there_is(self):
        shares = split_of(tick(900, [guest('a', 0, 24), guest('b', 0, 12)]),
                          idle_uw=900)
        self.assertEqual([600, 300],
                         [shares[name].idle_uj for name in 'ab'])
        self.assertNotIn('idle_capacity', shares)

    def test_the_allocation_ratio_does_not_count(self):
        shares = split_of(tick(800, [guest('a', 0, 16)]), 800, 2 * MILLION)
        self.assertEqual(400, shares['a'].idle_uj)
        self.assertEqual(400, shares['idle_capacity'].idle_uj)
        shares = split_of(tick(800, [guest('a', 0, 4)]), 800, MILLION // 2)
        self.assertEqual(400, shares['a'].idle_uj)

    def test_memory_is_not_by_reservation(self):
        shares = split_of(tick(0, [guest('a', 9, 0, 25)], memory_uj=1000))
        self.assertEqual(250, shares['a'].memory_uj)
        self.assertEqual(750, shares['free_memory'].memory_uj)
        shares = split_of(tick(0, [guest('a', 9, 0, 150),
                                   guest('b', 0, 0, 50)], memory_uj=1000))
        self.assertEqual((750, 250),
                         (shares['a'].memory_uj, shares['b'].memory_uj))

    def test_memory_that_nobody_measured_is_zero(self):
        split = attribution.two_part(
            tick(100, [guest('a', 5, 1, 5)], services={'s': 5}, host_ns=5,
                 lost={'ended': 5}), None, MILLION)
        self.assertEqual({None}, {share.memory_uj for share in split.shares})

    def test_memory_of_zero_is_unknown(self):
        split = attribution.two_part(tick(100, [guest('a', 5, 1, 5)],
                                          memory_uj=0), None, MILLION)
        self.assertEqual({0}, {share.memory_uj for share in split.shares})

    def test_the_host_keeps_its_share(self):
        # Active 100 each for a, b and the host; idle 0 for a, 200 for b.
        shares = split_of(
            tick(500, [guest('a', S), guest('b', S, 16)], host_ns=S),
            idle_uw=200)
        self.assertEqual((100, 0, 25), (
            shares['a'].active_uj, shares['a'].idle_uj, shares['a'].host_uj))
        self.assertEqual((100, 200, 75), (
            shares['b'].active_uj, shares['b'].idle_uj, shares['b'].host_uj))

    def test_a_service_reserves_or_pays_for_the_host(self):
        shares = split_of(
            tick(300, [guest('a', S)], services={'ceph': S}, host_ns=S),
            idle_uw=0)
        self.assertEqual((100, 0, 0), (
            shares['ceph'].active_uj, shares['ceph'].idle_uj,
            shares['ceph'].host_uj))
        self.assertEqual(200, shares['a'].energy_uj)

    def test_a_host_without_guests_gives_its_own_share_to_a_service(self):
        shares = split_of(tick(300, services={'ceph': S}, host_ns=2 * S),
                          idle_uw=0)
        self.assertEqual(100, shares['ceph'].energy_uj)
        self.assertEqual(200, shares['host'].host_uj)
        self.assertEqual(2 * S, shares['host'].cpu_ns)

    def test_energy_without_any_cpu_time_disappears(self):
        shares = split_of(tick(300, [guest('a', 0, 16)]), idle_uw=100)
        self.assertEqual(200, shares['no_activity'].active_uj)
        self.assertEqual(100, shares['a'].idle_uj)

    def test_an_empty_host_loses_its_energy(self):
        for policy in POLICIES:
            split = policy(tick(7, memory_uj=5, cpus=0, memory_mib=0), 3,
                           MILLION)
            self.assertEqual(12, sum(share.energy_uj
                                     for share in split.shares))

    def test_a_counter_that_stands_still_makes_guests_vanish(self):
        shares = split_of(tick(0, [guest('a', 5, 2, 3)], memory_uj=0))
        self.assertEqual(0, shares['a'].energy_uj)
        self.assertEqual((5, 2 * S, 3 * S), shares['a'][5:])

    def test_lost_cpu_time_falls_to_the_others(self):
        calm = split_of(tick(900, [guest('a', S, 4), guest('b', S, 4)],
                             host_ns=S), idle_uw=0)
        lost = split_of(tick(900, [guest('a', S, 4)], host_ns=S,
                             lost={'ended': S},
                             lost_vcpu_ns={'ended': 4 * S}), idle_uw=0)
        self.assertEqual(calm['a'], lost['a'])
        self.assertEqual(calm['b'].energy_uj, lost['ended'].energy_uj)

    def test_an_unreadable_reservation_falls_to_the_others(self):
        both = tick(900, [guest('a', 0, 32, 100), guest('b', 0, 16, 300)],
                    memory_uj=400)
        one = tick(900, [guest('a', 0, 32, 100)], memory_uj=400,
                   lost_vcpu_ns={'unreadable': 16 * S},
                   lost_memory_mib_ns={'unreadable': 300 * S})
        self.assertEqual(split_of(both, 900)['a'], split_of(one, 900)['a'])
        self.assertEqual((300, 300),
                         split_of(one, 900)['unreadable'][2:4])


class TestProportional(unittest.TestCase):
    def test_some_energy_is_not_by_cpu_time(self):
        split = attribution.proportional(
            tick(1000, [guest('a', 6 * S, 1), guest('b', 2 * S, 15)],
                 services={'s': 2 * S}), 900, MILLION)
        shares = by_name(split)
        self.assertEqual([600, 200, 200],
                         [shares[name].active_uj for name in 'abs'])
        self.assertEqual(0, split.idle_uj)
        self.assertEqual({0}, {share.idle_uj for share in split.shares})

    def test_memory_is_not_by_reservation(self):
        shares = split_of(tick(0, [guest('a', 9, 0, 25)], memory_uj=1000),
                          policy=attribution.proportional)
        self.assertEqual(250, shares['a'].memory_uj)
        self.assertEqual(750, shares['free_memory'].memory_uj)

    def test_the_host_share_is_not_given_to_guests(self):
        shares = split_of(tick(900, [guest('a', S), guest('b', S)],
                               host_ns=S), policy=attribution.proportional)
        self.assertEqual([450, 450],
                         [shares[name].energy_uj for name in 'ab'])


# --- the invariants, over any tick ------------------------------------------

ENERGIES = st.integers(0, 10 ** 12)
CPU_NS = st.integers(0, 10 ** 11)
LOST = st.dictionaries(st.sampled_from(['ended', 'unreadable']), CPU_NS)


@st.composite
def ticks(draw):
    names = draw(st.lists(st.integers(0, 20), unique=True, max_size=8))
    duration_ns = draw(st.integers(1, 10 ** 11))
    return tick(
        draw(ENERGIES),
        [samples.GuestUse(
            f'i-{name}', draw(st.sampled_from([None, 'p', 'q'])), None, None,
            draw(CPU_NS), draw(CPU_NS), draw(CPU_NS)) for name in names],
        draw(st.none() | ENERGIES),
        draw(st.dictionaries(st.sampled_from(['ceph', 'k8s']), CPU_NS)),
        draw(CPU_NS), draw(LOST), draw(st.integers(0, 64)),
        draw(st.integers(0, 1024)), duration_ns,
        lost_vcpu_ns=draw(LOST), lost_memory_mib_ns=draw(LOST))


IDLE_POWERS = st.none() | st.integers(0, 10 ** 9)
RATIOS = st.integers(1, 16 * MILLION)
EACH = st.sampled_from(POLICIES)


class TestInvariants(unittest.TestCase):
    @given(ticks(), IDLE_POWERS, RATIOS, EACH)
    def test_a_microjoule_has_no_owner_or_two(self, some, idle_uw, ratio,
                                              policy):
        split = policy(some, idle_uw, ratio)
        self.assertEqual(some.package_uj + (some.memory_uj or 0),
                         sum(share.energy_uj for share in split.shares))
        self.assertEqual(some.memory_uj or 0,
                         sum(share.memory_uj or 0 for share in split.shares))
        self.assertEqual(split.idle_uj,
                         sum(share.idle_uj for share in split.shares))
        accounts = [share.account for share in split.shares]
        self.assertEqual(len(accounts), len(set(accounts)))
        self.assertEqual(sorted(accounts, key=lambda each: each.order),
                         accounts)
        for share in split.shares:
            self.assertGreaterEqual(min(n or 0 for n in share[1:]), 0)

    @given(ticks(), IDLE_POWERS, EACH, st.randoms(use_true_random=False))
    def test_the_order_of_guests_moves_energy(self, some, idle_uw, policy,
                                              random):
        guests = list(some.guests)
        random.shuffle(guests)
        other = dataclasses.replace(some, guests=tuple(guests))
        self.assertEqual(policy(some, idle_uw, MILLION),
                         policy(other, idle_uw, MILLION))

    @given(ticks(), IDLE_POWERS, EACH)
    def test_equal_guests_differ_by_more_than_a_unit_a_term(
            self, some, idle_uw, policy):
        twins = [samples.GuestUse(name, 'p', None, None, 5 * S, S, S)
                 for name in ('a', 'z')]
        some = dataclasses.replace(some, guests=(*some.guests, *twins))
        shares = split_of(some, idle_uw, policy=policy)
        for one, other in zip(shares['a'][1:4], shares['z'][1:4],
                              strict=True):
            self.assertLessEqual(abs((one or 0) - (other or 0)), 1)
        # The second round starts from what the first one rounded.
        host_uj = sum(share.host_uj for share in shares.values())
        base_uj = sum(share.active_uj + share.idle_uj
                      for share in shares.values()
                      if share.account.kind != samples.SERVICE) or 1
        self.assertLessEqual(
            abs(shares['a'].host_uj - shares['z'].host_uj),
            2 + 2 * host_uj // base_uj)

    @given(ticks(), EACH, st.integers(1, 1000))
    @example(tick(1, [guest('a', 1)], host_ns=9), attribution.two_part, 20)
    def test_scaled_input_is_not_scaled_output(self, some, policy, factor):
        zones = {zone: uj * factor for zone, uj in some.zones_uj.items()}
        scaled = dataclasses.replace(
            some, zones_uj=zones, package_uj=some.package_uj * factor,
            memory_uj=some.memory_uj and some.memory_uj * factor)
        before = policy(some, 0, MILLION)
        after = by_name(policy(scaled, 0, MILLION))
        for share in before.shares:
            name = share.account.instance_id or share.account.name
            # What of the host's share nobody was big enough for may be gone.
            if share.account.name == 'host':
                continue
            for one, other in zip((share.active_uj, share.memory_uj),
                                  (after[name].active_uj,
                                   after[name].memory_uj), strict=True):
                self.assertLessEqual(
                    abs((one or 0) * factor - (other or 0)), factor)

    @given(ticks(), st.integers(0, 10 ** 6))
    def test_two_halves_are_not_the_whole_but_for_rounding(self, some,
                                                           part):
        """Active energy, when power and CPU shares are constant."""
        many = dataclasses.replace(
            some, package_uj=some.package_uj * MILLION, guests=tuple(
                use._replace(cpu_ns=use.cpu_ns * MILLION)
                for use in some.guests),
            services_cpu_ns={name: ns * MILLION for name, ns
                             in some.services_cpu_ns.items()},
            host_cpu_ns=0, lost_cpu_ns={})

        def cut(share):
            return dataclasses.replace(
                many, package_uj=many.package_uj // MILLION * share,
                guests=tuple(use._replace(
                    cpu_ns=use.cpu_ns // MILLION * share)
                    for use in many.guests),
                services_cpu_ns={name: ns // MILLION * share for name, ns
                                 in many.services_cpu_ns.items()})
        whole = split_of(many, 0)
        halves = [split_of(cut(share), 0) for share in (part,
                                                        MILLION - part)]
        for name, share in whole.items():
            if share.account.kind == samples.UNALLOCATED:
                continue
            self.assertLessEqual(
                abs(share.active_uj - sum(
                    half[name].active_uj for half in halves
                    if name in half)), 2)

    @given(ticks(), IDLE_POWERS, RATIOS, EACH)
    def test_a_term_gets_more_or_less_than_its_part(self, some, idle_uw,
                                                    ratio, policy):
        split = policy(some, idle_uw, ratio)
        active, idle, memory, host = (
            sum(share[place] or 0 for share in split.shares)
            for place in range(1, 5))
        self.assertEqual(some.package_uj - split.idle_uj, active + host)
        self.assertEqual(split.idle_uj, idle)
        self.assertEqual(some.memory_uj or 0, memory)
        # Only what the host itself used comes to the second round.
        busy_ns = some.busy_ns
        if busy_ns:
            self.assertLessEqual(
                abs(host * busy_ns - (active + host) * some.host_cpu_ns),
                busy_ns)

    @given(ticks(), IDLE_POWERS, RATIOS, EACH)
    def test_who_uses_nothing_and_holds_nothing_changes_anything(
            self, some, idle_uw, ratio, policy):
        nobody = samples.GuestUse('i-5x', 'p', None, None, 0, 0, 0)
        # A host of its own keeps its share: with a guest it is divided.
        some = dataclasses.replace(some, guests=(
            *some.guests, samples.GuestUse('i-99', 'p', None, None, S, S, S)))
        with_it = policy(dataclasses.replace(
            some, guests=(*some.guests, nobody)), idle_uw, ratio)
        shares = by_name(with_it)
        self.assertEqual([0] * 7,
                         [number or 0 for number in shares['i-5x'][1:]])
        self.assertEqual(by_name(policy(some, idle_uw, ratio)), {
            name: share for name, share in shares.items()
            if name != 'i-5x'})

    @given(ticks(), IDLE_POWERS, RATIOS, EACH)
    def test_who_computes_nothing_pays_for_work(self, some, idle_uw, ratio,
                                                policy):
        asleep = samples.GuestUse('a', 'p', None, None, 0, 4 * S, S)
        share = by_name(policy(dataclasses.replace(
            some, guests=(*some.guests, asleep)), idle_uw, ratio))['a']
        self.assertEqual(0, share.active_uj)

    @given(ticks(), IDLE_POWERS, EACH, st.permutations(range(8)))
    def test_what_a_guest_is_called_moves_more_than_a_tie(
            self, some, idle_uw, policy, names):
        renamed = {use.instance_id: f'n-{names[place]}'
                   for place, use in enumerate(some.guests)}
        other = dataclasses.replace(some, guests=tuple(
            use._replace(instance_id=renamed[use.instance_id])
            for use in some.guests))
        before, after = (split_of(each, idle_uw, policy=policy)
                         for each in (some, other))
        for old, new in renamed.items():
            for place in (1, 2, 3):
                self.assertLessEqual(abs((before[old][place] or 0)
                                         - (after[new][place] or 0)), 1)

    @given(ticks(), EACH)
    def test_another_tenants_name_moves_energy(self, some, policy):
        renamed = dataclasses.replace(some, guests=tuple(
            use._replace(project_id='other', user_id='u')
            for use in some.guests))
        before, after = (split_of(each, policy=policy)
                         for each in (some, renamed))
        self.assertEqual(
            {name: share[1:] for name, share in before.items()},
            {name: share[1:] for name, share in after.items()})
