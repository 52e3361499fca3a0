# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

from typing import Any

from oslotest import base

from energy_accounting import units
from energy_accounting.ledger import hosts as ledger
from energy_accounting.report import hosts

NOW = 1000 * units.BUCKET_NS + 5 * units.NS_PER_S


def host(**changes: Any) -> ledger.HostState:
    given: dict[str, Any] = {
        'name': 'h1', 'state': 'enrolled', 'site': 'default',
        'region': None, 'boundary': 'rapl', 'enrolled_at_ns': 0,
        'last_window_start_ns': None, 'last_window_end_ns': None,
        'policy': None, 'basis': (), 'idle_kind': None,
        'idle_power_uw': None, 'cpus': None, 'memory_mib': None,
        'version': None, 'alarm': None, 'measured_ns': 0,
        'first_bucket': None, **changes}
    return ledger.HostState(**given)


class HostTest(base.BaseTestCase):

    def coverage(self, **changes: Any) -> str | None:
        return hosts.coverage(host(**changes), 1000)

    def test_an_old_host_is_measured_against_the_whole_day(self) -> None:
        day = 96 * units.BUCKET_NS
        self.assertEqual('1.0000', self.coverage(
            measured_ns=day, first_bucket=904))
        self.assertEqual('0.5000', self.coverage(
            measured_ns=day // 2, first_bucket=952))
        self.assertEqual('0.0000', self.coverage())

    def test_a_young_host_is_not_blamed_for_the_time_before(self) -> None:
        came = 998 * units.BUCKET_NS
        self.assertEqual('1.0000', self.coverage(
            measured_ns=2 * units.BUCKET_NS, first_bucket=998,
            enrolled_at_ns=came))
        self.assertEqual('0.5000', self.coverage(
            measured_ns=units.BUCKET_NS, first_bucket=999,
            enrolled_at_ns=came))
        self.assertIsNone(self.coverage(
            enrolled_at_ns=1000 * units.BUCKET_NS))

    def test_windows_from_before_the_enrolment_count(self) -> None:
        self.assertEqual('1.0000', self.coverage(
            measured_ns=96 * units.BUCKET_NS, first_bucket=904,
            enrolled_at_ns=NOW))

    def test_milliseconds_over_do_not_make_more_than_one(self) -> None:
        self.assertEqual('1.0000', self.coverage(
            measured_ns=96 * units.BUCKET_NS + 10**9, first_bucket=904))

    def test_a_silent_host_has_no_lag_and_no_figures(self) -> None:
        row = hosts.row(host(enrolled_at_ns=None), NOW)
        self.assertEqual((None, None, None, None), (
            row['lag_seconds'], row['coverage'], row['idle_power_w'],
            row['last_window_end']))

    def test_a_clock_ahead_of_ours_is_no_negative_lag(self) -> None:
        self.assertEqual(0, hosts.row(
            host(last_window_end_ns=NOW + 10**9), NOW)['lag_seconds'])
        self.assertEqual(5, hosts.row(
            host(last_window_end_ns=NOW - 5 * 10**9), NOW)['lag_seconds'])

    def test_a_host_that_sends_old_windows_looks_like_a_silent_one(
            self) -> None:
        shown = hosts.row(host(last_received_ns=10**9), NOW)['last_received']
        self.assertEqual('1970-01-01T00:00:01Z', shown)
        self.assertIsNone(hosts.row(host(), NOW)['last_received'])

    def test_power_is_exact(self) -> None:
        row = hosts.row(host(idle_power_uw=50_000_001), NOW)
        self.assertEqual('50.000001', row['idle_power_w'])
