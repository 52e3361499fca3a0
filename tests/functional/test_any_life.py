# SPDX-License-Identifier: Apache-2.0
"""Whatever happens to hosts, in any order: the balance comes out.

What a step costs, and why, is known beforehand; a seed that fails is the
whole of its story.
"""

import os
import random
import uuid

from energy_accounting import errors
from tests.acceptance.machine import J
from tests.functional import lives
from tests.functional.lives import HOUR, SECOND_NS

# EA_TEST_DEPTH: that many times as many.
SEEDS = 4 * int(os.environ.get('EA_TEST_DEPTH', '1'))
STEPS = 16
# The longest time without a reading.
LATE_SECONDS = 600
DAY = 24 * HOUR


class AnyLife(lives.Cloud):

    def setUp(self):
        super().setUp()
        self.answers = ('yes',)
        self.chance = random.Random(0)
        self.lost_uj = 0

    def call(self, sent):
        """The collector is away at times, and at times its answer is."""
        answer = self.chance.choice(self.answers)
        if answer == 'away':
            raise errors.Unavailable('away')
        reply = super().call(sent)
        if answer == 'lost':
            raise errors.Unavailable('the answer is lost')
        return reply

    def seconds(self, most):
        return self.chance.randrange(1, most)

    def known(self):
        """All that is spooled, once it is booked."""
        answers, self.answers = self.answers, ('yes',)
        for _ in range(3):
            self.one.send()
        self.answers = answers
        balance = self.balance()
        self.assertEqual(('0', '0'), (balance['difference_uj'],
                                      balance['quarantined_uj']))
        return int(balance['measured_uj'])

    def emitted(self):
        return sum(host.machine.emitted_uj for host in self.hosts)

    # --- what may happen ----------------------------------------------------

    def nothing(self):
        self.live(5 * self.seconds(40))

    def kill(self):
        """Not twice in a window, or a counter may have wrapped twice."""
        self.live(60)
        self.one.kill()

    def killed(self):
        self.kill()
        self.leap(self.seconds(LATE_SECONDS))
        self.one.start()

    def killed_and_the_clock_set(self):
        self.kill()
        self.clock_set()
        self.leap(self.seconds(LATE_SECONDS))
        self.one.start()

    def restarted(self):
        self.one.stop()
        self.leap(self.seconds(200))
        self.one.start()

    def frozen(self):
        self.leap(self.seconds(LATE_SECONDS))
        self.one.tick()

    def suspended(self):
        self.now_ns += self.seconds(300) * SECOND_NS
        self.one.tick()

    def crashed(self):
        """What was not spooled is lost: the open window, by the law."""
        # Or what waits in the spool is sent after the crash.
        sent = self.known() if self.chance.random() < 0.5 else None
        stated = self.reboots()
        self.one.power_off()
        self.now_ns += self.seconds(1000) * SECOND_NS
        self.one.boot()
        up_seconds = self.leap_some(60)
        self.one.start()
        known_uj = self.known()
        lost_uj = self.emitted() - known_uj - self.lost_uj
        # A tick that was late is in the open window as a whole.
        most_seconds = (lives.WINDOW_SECONDS + lives.TICK_SECONDS
                        + LATE_SECONDS + up_seconds)
        self.assertTrue(
            0 <= lost_uj <= self.packages * self.one.watts * J
            * most_seconds, f'{lost_uj} uJ in {most_seconds} s')
        self.assertGreater(self.reboots(), stated)
        if sent is not None:
            self.assertEqual((sent, stated + 1), (known_uj, self.reboots()))
        self.lost_uj += lost_uj

    def reboots(self):
        return sum(gap['reason'] == 'reboot'
                   for gap in self.balance()['gaps'])

    def leap_some(self, most):
        seconds = self.seconds(most)
        self.leap(seconds)
        return -(-seconds // lives.TICK_SECONDS) * lives.TICK_SECONDS

    def shut_down(self):
        self.one.stop()
        self.one.power_off()
        self.now_ns += self.seconds(3000) * SECOND_NS
        self.one.boot()
        self.one.start()

    def counters_reset(self):
        self.one.tick()
        before_uj = self.emitted()
        self.leap(5)
        self.lost_uj += self.emitted() - before_uj
        self.one.machine.clear()
        self.one.tick()

    def clock_set(self):
        step = self.chance.choice([
            self.seconds(400) - 200, HOUR, -HOUR, DAY, -DAY, -365 * DAY])
        offset = self.one.clock_offset_ns // SECOND_NS + step
        # Five minutes ahead is not believed; long ago is not asked for.
        if -2 * 365 * DAY < offset < 280:
            self.one.clock_offset_ns = offset * SECOND_NS

    def zone_dark(self):
        package = self.chance.randrange(self.packages)
        self.one.machine.hide(package)
        self.live(5 * self.seconds(8))
        self.one.machine.show(package)
        self.one.tick()

    def guest_begins(self):
        self.pid += 1
        self.one.guest(self.pid, str(uuid.UUID(int=self.pid)),
                       self.seconds(300))

    def guest_ends(self):
        if self.one.loads:
            self.one.end(self.chance.choice(list(self.one.loads)))

    def collector_away(self):
        self.answers = self.chance.choice([
            ('yes',), ('yes', 'away', 'lost'), ('away',)])

    def live_any(self, seed):
        self.chance = random.Random(seed)
        self.packages = self.chance.choice([1, 2])
        self.pid = 1000 * (seed + 1)
        self.one = self.host(
            f'host-{seed}', packages=self.packages,
            policy=self.chance.choice(['two-part/1', 'proportional/1']))
        self.one.watts = self.seconds(250)
        self.guest_begins()
        self.one.start()
        happened = []
        for _ in range(STEPS):
            what = self.chance.choice([
                self.nothing, self.nothing, self.killed,
                self.killed_and_the_clock_set, self.restarted, self.frozen,
                self.suspended, self.crashed, self.shut_down,
                self.counters_reset, self.clock_set, self.zone_dark,
                self.guest_begins, self.guest_ends, self.collector_away])
            happened.append(what.__name__)
            what()
        self.one.flush()
        # Whatever was lost, the notifier knew and said.
        self.assertNotIn('nothing says why', self.log.output,
                         f'seed {seed}: {", ".join(happened)}')
        self.assertEqual(self.emitted() - self.lost_uj, self.known(),
                         f'seed {seed}: {", ".join(happened)}')
        self.one.power_off()

    def test_a_joule_is_lost_or_twice_in_some_order_of_things(self):
        for seed in range(SEEDS):
            self.live_any(seed)
