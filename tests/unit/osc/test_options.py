# SPDX-License-Identifier: Apache-2.0
"""What every command that takes times makes of them."""

from __future__ import annotations

import argparse
import contextlib
import datetime
import importlib.metadata
import unittest
from collections.abc import Iterator
from typing import Any
from unittest import mock

from osc_lib import exceptions

from energy_accounting import units
from energy_accounting.osc import common

NOW = datetime.datetime(2026, 11, 26, 12, 7, tzinfo=units.UTC)
AGO = '2026-11-25T12:00:00Z'
# Each has a zone of its own, and more than one option to be right at once.
OF_THE_SITE = {('energy_kpi_show', 'start'), ('energy_kpi_show', 'end')}
# Where nothing tells a zone, these take none.
RECORDED = {
    'energy_host_downtime_create', 'energy_meter_create', 'energy_meter_set',
    'energy_meter_event_create', 'energy_reading_create',
    'energy_factor_set', 'energy_contract_create', 'energy_tariff_create'}
NOVEMBER = '2026-10-31T23:00:00Z'


class TimesTest(unittest.TestCase):

    def times(self) -> Iterator[tuple[str, Any, argparse.Action]]:
        """Each option of a command that takes a time."""
        for entry in importlib.metadata.entry_points(
                group='openstack.energy.v1'):
            kind = entry.load()
            for action in kind(mock.Mock(), None).get_parser(
                    entry.name)._actions:
                if (action.metavar == '<time>' or action.dest in (
                        'calibrated_until', 'installed_at', 'removed_at')):
                    yield entry.name, kind, action

    def asked(self, name: str, kind: Any, action: argparse.Action,
              *said: str) -> str:
        """What the API is asked by a command with one more option."""
        app = mock.MagicMock()
        command = kind(app, None)
        parsed = self.parsed(command.get_parser(name), action, *said)
        with mock.patch.object(common, 'now', lambda: NOW):
            # The answer is none: what is made of it others test.
            with contextlib.suppress(TypeError, ValueError, AttributeError,
                                     KeyError, StopIteration):
                command.take_action(parsed)
        return str(app.client_manager.energy.mock_calls)

    def test_a_command_does_not_know_a_form_or_the_zone(self) -> None:
        found = set()
        for name, kind, action in self.times():
            if (name, action.dest) in OF_THE_SITE:
                continue
            found.add(name)
            zone = (() if name == 'energy_kpi_show'
                    else ('--timezone', 'Europe/Berlin'))
            with self.subTest(name, option=action.dest):
                if zone:
                    self.assertIn(NOVEMBER, self.asked(
                        name, kind, action, '2026-11', *zone))
                self.assertIn(AGO, self.asked(
                    name, kind, action, '-1d', *zone))
                with self.assertRaisesRegex(
                        exceptions.CommandError, "'-5w' is not a time"):
                    self.asked(name, kind, action, '-5w')
        self.assertLess(RECORDED, found)
        self.assertLess({'energy_reading_list', 'energy_factor_list',
                         'energy_contract_list', 'energy_audit_list',
                         'energy_meter_show', 'energy_quarantine_list',
                         'energy_statement_list', 'energy_kpi_show',
                         'energy_usage_list', 'energy_balance_show'}, found)

    def test_a_time_is_recorded_in_a_zone_that_nobody_said(self) -> None:
        for name, kind, action in self.times():
            if name in RECORDED:
                for text in ('2026-11', 'today', '2026-11-01T06:00'):
                    with self.subTest(name, option=action.dest), \
                            self.assertRaisesRegex(
                                exceptions.CommandError,
                                f'^--{action.option_strings[0][2:]}: .*'
                                'say in which with --timezone'):
                        self.asked(name, kind, action, text)
                self.assertIn(AGO, self.asked(name, kind, action, '-1d'))

    def parsed(self, parser: argparse.ArgumentParser,
               tried: argparse.Action, *said: str) -> argparse.Namespace:
        words, options = [], [tried.option_strings[0], *said]
        if any('--all' in action.option_strings
               for action in parser._actions):
            options.append('--all')
        needed = [action for action in parser._actions if action.required]
        needed += [group._group_actions[0] for group
                   in parser._mutually_exclusive_groups if group.required]
        for action in needed:
            text = next(iter(action.choices or (
                ('2026-11-01T00:00Z',) if action.metavar == '<time>'
                else ('1',))))
            if action.nargs == '*':
                continue
            if not action.option_strings:
                words.append(text)
            elif action.dest != tried.dest:
                options += [action.option_strings[0], text]
        with mock.patch('argparse.ArgumentParser.error', self.fail):
            return parser.parse_args(words + options)

    def test_a_time_is_another_one(self) -> None:
        with mock.patch.object(common, 'now', lambda: NOW):
            for text, meant in (
                    ('-24h', AGO), ('today', '2026-11-26T00:00:00Z'),
                    ('now', '2026-11-26T12:07:00Z'),
                    ('2026-11', '2026-11-01T00:00:00Z'),
                    ('2026-11-01T06:00+01:00', '2026-11-01T06:00+01:00'),
                    ('2026-11-01T06:00', '2026-11-01T06:00:00Z')):
                self.assertEqual(meant, common.exact(text, 'UTC'))
            for text in ('soon', '-5w', '-30m', '-1h30m'):
                with self.assertRaisesRegex(ValueError, 'not a time: give'):
                    common.exact(text, 'UTC')
