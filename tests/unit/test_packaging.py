# SPDX-License-Identifier: Apache-2.0
"""What ``setup.cfg`` promises is there: entry points, extras, libraries."""

import ast
import importlib.metadata
import pathlib
import re
import sys

import testtools
from packaging import requirements

import energy_accounting

ROOT = pathlib.Path(energy_accounting.__file__).parent
NAME = 'energy-accounting'
OURS = importlib.metadata.distribution(NAME)

# The parts that run where only that extra is installed.
PARTS = {
    '': ('client', 'osc', 'units', 'errors', 'samples', 'cmd'),
    'notifier': ('conf', 'meters', 'guests', 'ticks', 'attribution', 'idle',
                 'window', 'spool', 'rpc', 'notifier', 'service', 'cmd'),
    'collector': ('conf', 'ledger', 'owners', 'collector', 'rpc', 'service',
                  'manage', 'manage_exports', 'manage_factors',
                  'manage_readings', 'exports', 'facility',
                  'plugins', 'status', 'cmd'),
    'api': ('conf', 'ledger', 'report', 'api', 'wsgi', 'cmd'),
    'standalone': ('conf', 'meters', 'guests', 'ticks', 'attribution', 'idle',
                   'window', 'spool', 'rpc', 'notifier', 'ledger', 'owners',
                   'collector', 'report', 'api', 'simulator', 'standalone',
                   'cmd'),
}
# Imported where it is there, done without where it is not.
OPTIONAL = {'libvirt-python'}


def canonical(name: str) -> str:
    return re.sub(r'[-_.]+', '-', name).lower()


def brought_by(extra: str) -> set[str]:
    """Distributions that installing with this extra names directly."""
    found = set()
    for line in OURS.requires or []:
        wanted = requirements.Requirement(line)
        if wanted.marker and not wanted.marker.evaluate({'extra': extra}):
            continue
        if canonical(wanted.name) == NAME:
            for other in wanted.extras:
                found |= brought_by(other)
        else:
            found.add(canonical(wanted.name))
    return found


def imported_by(part: str) -> set[str]:
    """Top-level modules that a part imports when it is imported."""
    paths = ([ROOT / f'{part}.py'] if (ROOT / f'{part}.py').exists()
             else sorted((ROOT / part).rglob('*.py')))
    found: set[str] = set()
    for path in paths:
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.Import):
                found.update(alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                found.add(node.module or '')
    return {name.partition('.')[0] for name in found}


class PackagingTest(testtools.TestCase):

    def test_an_entry_point_leads_nowhere(self):
        for entry in OURS.entry_points:
            if entry.group == 'energy_accounting.guests' \
                    and entry.name == 'libvirt':
                continue  # its own tests say what happens without
            entry.load()

    def test_a_command_of_the_cli_has_no_entry_point(self):
        promised = {entry.value for entry in OURS.entry_points
                    if entry.group == 'openstack.energy.v1'}
        for path in sorted((ROOT / 'osc').glob('*.py')):
            if path.stem == 'base':
                continue  # what commands are made of
            for node in ast.parse(path.read_text()).body:
                if isinstance(node, ast.ClassDef) and re.match(
                        '(Show|List|Create|Delete|Set)', node.name):
                    self.assertIn(
                        f'energy_accounting.osc.{path.stem}:{node.name}',
                        promised)

    def test_a_message_names_an_extra_that_is_not_there(self):
        extras = set(OURS.metadata.get_all('Provides-Extra') or [])
        for path in sorted(ROOT.rglob('*.py')):
            for names in re.findall(r'energy-accounting\[([a-z,]+)\]',
                                    path.read_text()):
                self.assertLessEqual(set(names.split(',')), extras, path)

    def test_a_hypervisor_needs_a_compiler(self):
        for extra in ('notifier', 'standalone'):
            self.assertNotIn('libvirt-python', brought_by(extra))
        self.assertIn('libvirt-python', brought_by('libvirt'))

    def test_an_extra_lacks_a_library_its_parts_import(self):
        distributions = importlib.metadata.packages_distributions()
        lacking = []
        for extra, parts in PARTS.items():
            there = brought_by(extra) | OPTIONAL
            for part in parts:
                for module in imported_by(part) - {'energy_accounting', ''}:
                    names = set(map(canonical, distributions.get(module, [])))
                    if (module not in sys.stdlib_module_names
                            and not names & there):
                        lacking.append(f'[{extra}] {part} imports {module} '
                                       f'of {sorted(names)}')
        self.assertEqual([], sorted(lacking))
