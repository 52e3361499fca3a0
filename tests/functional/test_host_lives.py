# SPDX-License-Identifier: Apache-2.0
"""What happens to hosts, on the whole way from a counter to a report."""

import datetime
import json
import re
import shutil
import uuid

import webob

from energy_accounting import units
from tests.acceptance.machine import J
from tests.functional import lives
from tests.functional.lives import HOUR, MINUTE, SECOND_NS
from tests.unit import fakes

VM = '11111111-0000-4000-8000-000000000001'


class OneHost(lives.Cloud):
    """A host with a guest that has run for five minutes and 20 seconds."""

    watts = 40

    def setUp(self):
        super().setUp()
        self.one = self.host()
        self.one.watts = self.watts
        self.one.guest(41, VM)
        self.one.start()
        self.live(5 * MINUTE + 20)


class Reboots(OneHost):

    def test_a_crash_costs_more_than_the_open_window_and_the_time_off(self):
        self.live(15)
        self.one.power_off()
        self.live(3 * MINUTE)
        self.one.boot()
        # The kernel is there some time before the notifier.
        self.leap(30)
        self.one.start()
        self.live(5 * MINUTE)
        # 35 s of the open window; the machine was off; 30 s of its start.
        self.assert_books(lost_uj=(35 + 30) * 40 * J,
                          gaps={'reboot': 35 + 180 + 30})

    def test_a_shutdown_loses_what_was_measured(self):
        self.one.stop()
        self.leap(10)
        self.one.power_off()
        self.live(3 * MINUTE)
        self.one.boot()
        self.leap(30)
        self.one.start()
        self.live(5 * MINUTE)
        self.assert_books(lost_uj=(10 + 30) * 40 * J,
                          gaps={'reboot': 10 + 180 + 30})

    def test_a_kill_soon_after_a_reboot_costs_what_came_between(self):
        self.one.stop()
        self.one.power_off()
        self.live(3 * MINUTE)
        self.one.boot()
        self.one.start()
        self.live(10)
        self.one.kill()
        self.leap(5 * MINUTE)
        self.one.start()
        self.live(5 * MINUTE)
        self.assert_books(gaps={'reboot': 3 * MINUTE})

    def test_a_kill_soon_after_a_reset_costs_what_came_between(self):
        self.leap(5)
        self.one.machine.clear()
        self.one.tick()
        self.live(10)
        self.one.kill()
        self.leap(5 * MINUTE)
        self.one.start()
        self.live(5 * MINUTE)
        self.assert_books(lost_uj=5 * 40 * J, gaps={'reset': 5})

    def test_a_reboot_moves_energy_to_a_guest_that_did_not_return(self):
        self.one.stop()
        before = self.guests()[VM]
        self.one.power_off()
        self.live(MINUTE)
        self.one.boot()
        self.one.start()
        self.live(5 * MINUTE)
        self.assert_books(gaps={'reboot': MINUTE})
        self.assertEqual({VM: before}, self.guests())


class Counters(OneHost):

    def test_a_reset_by_firmware_costs_more_than_one_tick(self):
        self.leap(5)
        self.one.machine.clear()
        self.one.tick()
        self.live(5 * MINUTE)
        self.assert_books(lost_uj=5 * 40 * J, gaps={'reset': 5})

    def test_a_reset_is_stated_twice_when_the_clock_is_set_after_it(self):
        self.leap(5)
        self.one.machine.clear()
        self.one.tick()
        self.one.kill()
        self.one.clock_offset_ns -= HOUR * SECOND_NS
        self.leap(MINUTE)
        self.one.start()
        self.live(5 * MINUTE)
        self.assert_books(lost_uj=5 * 40 * J, gaps={'reset': 5})

    def test_a_gap_that_may_hide_two_wraps_is_booked(self):
        # 262 kJ at 300 W: it can wrap after 873 s, and twice after 1747.
        self.one.kill()
        self.one.watts = 299
        self.leap(1800)
        self.one.watts = 40
        self.one.start()
        self.live(5 * MINUTE)
        self.assert_books(lost_uj=20 * 40 * J + 1800 * 299 * J,
                          gaps={'too_long': 1820})

    def test_a_gap_too_short_for_a_wrap_is_lost(self):
        self.one.kill()
        self.one.watts = 299
        self.leap(800)
        self.one.watts = 40
        self.one.start()
        self.live(5 * MINUTE)
        self.assert_books()
        row, = self.usage()
        self.assertNotEqual('0.0000', row['quality']['backfilled'])

    def test_a_wrap_in_every_window_loses_energy(self):
        for _ in range(2):
            self.one.machine.heat(fakes.INTEL_RANGE_UJ)
            # What nobody could see never was.
            self.one.machine.emitted_uj -= fakes.INTEL_RANGE_UJ
            self.one.watts = 290
            self.live(16 * MINUTE)
        self.assert_books()


class Suspended(OneHost):

    def suspend(self, seconds):
        """Nothing runs; the boottime goes on, and the wall clock."""
        self.now_ns += seconds * SECOND_NS

    def test_a_short_suspend_loses_energy(self):
        self.suspend(10 * MINUTE)
        self.live(5 * MINUTE)
        self.assert_books()
        # It is a long tick: its energy is over the time it took.
        row, = self.usage()
        self.assertNotEqual('0.0000', row['quality']['backfilled'])

    def test_a_long_suspend_is_guessed(self):
        self.suspend(2 * HOUR)
        self.live(5 * MINUTE)
        # The tick of the suspend had 5 s of energy, which nobody can tell
        # from one with a wrap in it.
        self.assert_books(lost_uj=5 * 40 * J, gaps={'too_long': 2 * HOUR + 5})


class Clocks(OneHost):

    def step_of_the_clock(self, seconds):
        self.one.clock_offset_ns += seconds * SECOND_NS
        self.live(7 * MINUTE)

    # What comes from the future is held.
    HELD_UJ = 7 * MINUTE * 40 * J

    def test_an_hour_forth_loses_or_doubles_energy(self):
        self.step_of_the_clock(HOUR)
        # The tick with the step is of the window before it.
        held_uj = self.HELD_UJ - 5 * 40 * J
        self.assert_books(lost_uj=held_uj, quarantined_uj=held_uj)

    def test_minutes_forth_hold_up_anything(self):
        self.step_of_the_clock(4 * MINUTE)
        self.assert_books()

    def test_an_hour_back_loses_or_doubles_energy(self):
        self.step_of_the_clock(-HOUR)
        self.assert_books()

    def test_there_and_back_loses_or_doubles_energy(self):
        for seconds in (HOUR, -HOUR, -HOUR, HOUR):
            self.step_of_the_clock(seconds)
        self.assert_books(lost_uj=self.HELD_UJ, quarantined_uj=self.HELD_UJ)

    def test_a_leap_into_the_past_loses_energy(self):
        self.step_of_the_clock(-365 * 24 * HOUR)
        self.step_of_the_clock(365 * 24 * HOUR)
        self.assert_books()
        # In the year that the clock said.
        self.assertEqual(2, len(self.usage(resolution='month')))

    def test_a_leap_into_the_future_is_booked_there(self):
        self.step_of_the_clock(2 * 24 * HOUR)
        self.step_of_the_clock(-2 * 24 * HOUR)
        # The tick with a step is of the window before it, either way.
        self.assert_books(lost_uj=self.HELD_UJ, quarantined_uj=self.HELD_UJ)
        self.assertIn('set the clock', self.log.output)

    def test_a_clock_set_while_the_notifier_was_dead_doubles_energy(self):
        self.one.kill()
        self.one.clock_offset_ns -= HOUR * SECOND_NS
        self.leap(MINUTE)
        self.one.start()
        self.live(5 * MINUTE)
        self.assert_books()


class DaylightSaving(lives.Cloud):
    """Days of a calendar whose clock is changed."""

    def days_of(self, first, hours):
        """The days of a report from the local midnight before on."""
        self.now_ns = units.wall_ns(first) - HOUR * SECOND_NS
        one = self.host(tick_seconds=60, window_seconds=900)
        one.watts = 36
        one.start()
        self.live((hours + 2) * HOUR, every=120)
        balance = self.assert_books()
        by_day = self.shares('start', resolution='day',
                             timezone='Europe/Berlin')
        by_hour = self.shares('start', resolution='hour',
                              timezone='Europe/Berlin')
        for periods in (by_day, by_hour):
            self.assertEqual(int(balance['measured_uj']),
                             sum(periods.values()))
        self.assertEqual(hours + 2, len(by_hour))
        self.assertEqual({36 * HOUR * J}, set(by_hour.values()))
        return list(by_day.values())

    def test_the_day_of_25_hours_has_24(self):
        self.assertEqual(
            [36 * HOUR * J * hours for hours in (1, 25, 1)],
            self.days_of(datetime.datetime(2026, 10, 24, 22,
                                           tzinfo=datetime.UTC), 25))

    def test_the_day_of_23_hours_has_24(self):
        self.assertEqual(
            [36 * HOUR * J * hours for hours in (1, 23, 1)],
            self.days_of(datetime.datetime(2026, 3, 28, 23,
                                           tzinfo=datetime.UTC), 23))


class StateDirectories(OneHost):

    def replace_state(self, kept):
        shutil.rmtree(self.one.state_path)
        shutil.copytree(kept, self.one.state_path)

    def test_a_copy_on_a_second_host_is_continued_there(self):
        self.one.flush()
        two = self.host('two')
        two.guest(77, str(uuid.uuid4()))
        shutil.copytree(self.one.state_path, two.state_path)
        two.start()
        since_uj = two.machine.emitted_uj
        self.live(5 * MINUTE)
        self.assert_books(lost_uj=since_uj)
        self.assertEqual(2, len(self.shares('host', group_by='host')))
        self.assertIn('set aside', self.log.output)

    def accept(self, host):
        """An operator believes the key that the log of a host names."""
        key = re.findall(r'with a new key: (\S+)', self.log.output)[-1]
        answer = webob.Request.blank(
            f'/v1/hosts/{host.name}', method='PATCH',
            content_type='application/json',
            body=json.dumps({'public_key': key}).encode(),
        ).get_response(self.app)
        self.assertEqual(200, answer.status_int, answer.text)

    def alarm(self, host):
        return self.get(f'/v1/hosts/{host.name}')['host']['alarm']

    def test_a_lost_state_directory_is_anybodys_to_replace(self):
        self.one.kill()
        shutil.rmtree(self.one.state_path)
        self.leap(30)
        self.one.start()
        self.live(5 * MINUTE + 10)
        # Whoever says that it is this host is believed no more than that.
        held_uj = (5 * MINUTE + 10) * 40 * J
        lost_uj = (20 + 30) * 40 * J
        self.assert_books(lost_uj=lost_uj + held_uj, disputed_uj=held_uj)
        self.assertIn('an operator must say so', self.alarm(self.one))
        self.accept(self.one)
        self.assertIsNone(self.alarm(self.one))
        self.live(5 * MINUTE)
        self.assert_books(
            lost_uj=lost_uj + held_uj, quarantined_uj=held_uj,
            gaps={'new_stream': 20 + 30})

    def test_a_second_machine_of_the_same_name_is_booked(self):
        self.one.flush()
        other = self.host('one', label='other')
        shutil.copytree(self.one.state_path, other.state_path)
        other.start()
        self.live(5 * MINUTE)
        other.flush()
        held_uj = other.machine.emitted_uj
        self.assertEqual(5 * MINUTE * 40 * J, held_uj)
        self.assert_books(lost_uj=held_uj, disputed_uj=held_uj)
        self.assertIsNotNone(self.alarm(self.one))

    def test_a_second_notifier_on_the_machine_doubles_energy(self):
        # With the same key and the same name, and options of its own.
        self.one.flush()
        beside = self.host('one', label='beside', beside=self.one,
                           policy='two-part/1')
        shutil.copytree(self.one.state_path, beside.state_path)
        beside.start()
        self.live(5 * MINUTE)
        self.assert_books(disputed_uj=5 * MINUTE * 40 * J)

    def test_a_spool_that_comes_back_is_booked_again(self):
        # A mount that is missing for a while: the key is there, the spool
        # is a new one.
        self.one.flush()
        kept = self.keep(self.one)
        self.one.kill()
        shutil.rmtree(self.one.state_path / 'spool')
        self.one.start()
        self.live(5 * MINUTE)
        self.one.kill()
        self.replace_state(kept)
        self.one.start()
        self.live(5 * MINUTE)
        # The other one has booked all but its open window of 20 s; the old
        # one measured the 5 minutes again, up to the next edge.
        self.assert_books(lost_uj=MINUTE * 40 * J,
                          disputed_uj=(5 * MINUTE + 40) * 40 * J)
        self.assertIn('overlap', self.log.output)

    def test_an_old_backup_is_booked_again(self):
        self.live(25)
        kept = self.keep(self.one)
        self.live(10 * MINUTE)
        self.one.kill()
        self.replace_state(kept)
        self.leap(10)
        self.one.start()
        self.live(10 * MINUTE)
        # From 21:40:00 (the copy) on it measured again; booked was up to
        # 21:50:00, and 21:51:00 is the first edge that ends no such window:
        # of that minute nothing tells but what is held.
        self.assert_books(lost_uj=MINUTE * 40 * J,
                          disputed_uj=11 * MINUTE * 40 * J)
        self.assertIn('the state directory is an old copy', self.log.output)


del OneHost
