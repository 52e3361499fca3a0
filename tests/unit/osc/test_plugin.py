# SPDX-License-Identifier: Apache-2.0
"""What the plug-in costs every call of ``openstack``: what it imports."""

from __future__ import annotations

import json
import subprocess
import sys
import unittest

# What a call of any command imports of a plug-in, and then what the list
# of all commands does.
PROGRAM = """
import argparse, importlib.metadata, json, os, sys, typing
before = set(sys.modules)
import energy_accounting.osc.plugin
plugin = sorted(set(sys.modules) - before)
import openstackclient.shell
before = set(sys.modules)
for entry in importlib.metadata.entry_points(group='openstack.energy.v1'):
    entry.load()
print(json.dumps([plugin, sorted(set(sys.modules) - before)]))
"""
OURS = 'energy_accounting'


class ImportTest(unittest.TestCase):

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        done = subprocess.run([sys.executable, '-c', PROGRAM], check=True,
                              capture_output=True, text=True)
        cls.plugin, cls.commands = json.loads(done.stdout)

    def test_every_call_of_openstack_waits_for_the_plug_in(self) -> None:
        self.assertEqual([OURS, f'{OURS}.osc', f'{OURS}.osc.plugin'],
                         self.plugin)

    def test_the_list_of_commands_waits_for_what_it_does_not_need(
            self) -> None:
        ours = {name for name in self.commands
                if name.partition('.')[0] == OURS}
        parts = {name.split('.')[1] for name in ours if '.' in name}
        self.assertEqual({'client', 'osc', 'units'}, parts)
        self.assertNotIn(f'{OURS}.client.rows', ours)
        strange = {name.partition('.')[0] for name in self.commands} - {
            OURS, *sys.stdlib_module_names}
        self.assertEqual(set(), strange)
