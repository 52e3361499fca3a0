# SPDX-License-Identifier: Apache-2.0
"""What every command that takes times makes of them."""

from __future__ import annotations

import argparse
import datetime
import importlib.metadata
import unittest
from unittest import mock

from energy_accounting import units
from energy_accounting.osc import common

NOW = datetime.datetime(2026, 11, 26, 12, 7, tzinfo=units.UTC)
AGO = '2026-11-25T12:00:00Z'
# What is recorded is exact, and a period is meant in a zone.
AS_TYPED = {
    'energy_usage_list', 'energy_usage_show', 'energy_balance_show',
    'energy_report_show', 'energy_kpi_show', 'energy_host_downtime_create',
    'energy_meter_create', 'energy_meter_set', 'energy_meter_event_create',
    'energy_reading_create', 'energy_factor_set', 'energy_contract_create',
    'energy_tariff_create'}


class TimesTest(unittest.TestCase):

    def test_a_command_takes_a_time_ago_for_an_option(self) -> None:
        found = set()
        for entry in importlib.metadata.entry_points(
                group='openstack.energy.v1'):
            parser = entry.load()(mock.Mock(), None).get_parser(entry.name)
            for action in parser._actions:
                if (action.metavar == '<time>'
                        or 'ISO 8601 time' in (action.help or '')):
                    found.add(entry.name)
                    with self.subTest(entry.name, option=action.dest):
                        value = getattr(self.parsed(parser, action),
                                        action.dest)
                        if entry.name in AS_TYPED and (
                                entry.name, action.dest) != (
                                    'energy_kpi_show', 'as_of'):
                            self.assertEqual('-1d', value)
                        else:
                            self.assertEqual(AGO, value)
        self.assertLess(AS_TYPED, found)
        self.assertLess({'energy_reading_list', 'energy_factor_list',
                         'energy_contract_list', 'energy_audit_list',
                         'energy_meter_show', 'energy_quarantine_list'},
                        found)

    def parsed(self, parser: argparse.ArgumentParser,
               tried: argparse.Action) -> argparse.Namespace:
        words, options = [], [tried.option_strings[0], '-1d']
        needed = [action for action in parser._actions if action.required]
        needed += [group._group_actions[0] for group
                   in parser._mutually_exclusive_groups if group.required]
        for action in needed:
            text = next(iter(action.choices or ('1',)))
            if not action.option_strings:
                words.append(text)
            elif action is not tried:
                options += [action.option_strings[0], text]
        with mock.patch.object(common, 'now', lambda: NOW), mock.patch(
                'argparse.ArgumentParser.error', self.fail):
            return parser.parse_args(words + options)

    def test_a_time_is_another_one(self) -> None:
        with mock.patch.object(common, 'now', lambda: NOW):
            for text, meant in (
                    ('-24h', AGO), ('today', '2026-11-26T00:00:00Z'),
                    ('now', '2026-11-26T12:07:00Z'),
                    ('2026-11', '2026-11-01T00:00:00Z'),
                    ('2026-11-01T06:00+01:00', '2026-11-01T06:00+01:00'),
                    ('2026-11-01T06:00', '2026-11-01T06:00:00Z'),
                    ('soon', 'soon')):
                self.assertEqual(meant, common.time(text))
