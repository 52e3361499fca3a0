# SPDX-License-Identifier: Apache-2.0
"""Imports point one way, and the core knows nothing but Python.

Reads the source with ``ast``; imports nothing of what it judges.
"""

import ast
import configparser
import pathlib
import sys

import testtools

import energy_accounting

PACKAGE = 'energy_accounting'
ROOT = pathlib.Path(energy_accounting.__file__).parent

# What each part may import of the package, transitively closed by hand on
# purpose: a new arrow is a decision, and this is where it is taken.
# A part not named here must be added before its first file lands.
BOTTOM = {'units', 'errors'}
FACTS = BOTTOM | {'samples'}
ALLOWED = {
    'units': set(),
    'errors': set(),
    'spreadsheets': set(),
    'samples': BOTTOM,
    'wire': FACTS,
    'conf': BOTTOM,
    'plugins': {'errors'},
    # Stages of the joule, in its direction.
    'meters': FACTS | {'clocks', 'conf', 'plugins'},
    'guests': FACTS | {'plugins'},
    'ticks': FACTS | {'wire'},
    'attribution': FACTS,
    'idle': BOTTOM,
    'window': FACTS | {'attribution'},
    'spool': FACTS | {'wire'},
    'signing': FACTS | {'wire'},
    'clocks': {'units'},
    'rpc': {'errors', 'samples'},
    'sender': FACTS | {'clocks', 'spool', 'rpc'},
    'notifier': FACTS | {'conf', 'plugins', 'clocks', 'meters', 'guests',
                         'ticks', 'attribution', 'idle', 'window', 'signing',
                         'spool', 'wire'},
    'tariffs': BOTTOM,
    'ledger': FACTS | {'tariffs', 'wire'},
    'facility': BOTTOM | {'ledger'},
    'owners': BOTTOM | {'ledger'},
    'reconcile': BOTTOM | {'ledger', 'owners'},
    'collector': FACTS | {'ledger', 'signing', 'wire'},
    'report': FACTS | {'facility', 'ledger', 'wire'},
    'statements': BOTTOM | {'facility', 'ledger', 'report', 'spreadsheets',
                            'tariffs', 'wire'},
    'exports': BOTTOM | {'facility', 'ledger', 'plugins', 'report',
                         'spreadsheets', 'statements', 'tariffs', 'wire'},
    # Faces.
    'api': BOTTOM | {'exports', 'facility', 'ledger', 'report', 'statements',
                     'tariffs', 'wire'},
    'client': set(),
    'osc': {'units', 'client'},
    'dashboard': {'units', 'client', 'spreadsheets'},
    # Beside the way: whole processes and what plays them.
    'simulator': FACTS | {'facility', 'guests', 'ledger', 'notifier', 'rpc',
                          'sender'},
    'manage': BOTTOM | {'conf', 'ledger', 'manage_exports', 'manage_factors',
                        'manage_platform', 'manage_readings',
                        'manage_statements', 'owners', 'reconcile'},
    'manage_exports': BOTTOM | {'exports', 'ledger', 'statements'},
    'manage_factors': BOTTOM | {'facility', 'ledger', 'plugins'},
    'manage_platform': BOTTOM | {'facility', 'ledger'},
    'manage_readings': BOTTOM | {'facility', 'ledger'},
    'manage_statements': BOTTOM | {'ledger', 'statements'},
    'status': BOTTOM | {'conf', 'ledger'},
    # The outermost: processes.
    'service': None,
    'wsgi': None,
    'standalone': None,
    'cmd': None,
    '': set(),
}
# Standard library and each other; no I/O.
CORE = {'units', 'errors', 'samples', 'wire', 'ticks', 'attribution', 'idle',
        'window', 'reconcile', 'report', 'spreadsheets', 'tariffs'}
# Of parts that are not of the core as a whole.
CORE_MODULES = {'facility.amounts', 'facility.carbon', 'facility.contracts',
                'facility.editions', 'facility.equipment',
                'facility.factor_revisions', 'facility.factor_times',
                'facility.factor_words', 'facility.factors',
                'facility.figures', 'facility.grains', 'facility.inputs',
                'facility.kpi',
                'facility.means', 'facility.node_energy', 'facility.places',
                'facility.pue',
                'facility.quantities', 'facility.ratios',
                'facility.site_figures', 'facility.supply',
                'statements.content', 'statements.differences',
                'statements.lines', 'statements.periods'}
# Standard library without what reads clocks, files, networks, processes.
IMPURE = {'asyncio', 'ctypes', 'glob', 'http', 'io', 'logging', 'mmap',
          'multiprocessing', 'os', 'pathlib', 'random', 'secrets', 'select',
          'selectors', 'shutil', 'signal', 'socket', 'sqlite3', 'ssl',
          'subprocess', 'sys', 'tempfile', 'threading', 'time', 'urllib'}
# What a bare installation brings, and what that brings and may be used.
CLIENT_ONLY = {'client': {'keystoneauth1'},
               'osc': {'keystoneauth1', 'osc_lib', 'cliff', 'openstack'}}
# A migration keeps its own picture of the tables: what the package says
# today is not what it said then.
ALONE = f'{PACKAGE}.ledger.migrations'


def imports_of(source: str, module: str, *,
               typing_too: bool = True) -> set[str]:
    """Every module that a module's source imports, wherever it does.

    :param module: its dotted name (a package's ``__init__`` without that).
    :param typing_too: also what is imported for type checkers only.
    """
    tree = ast.parse(source)
    nodes = set(ast.walk(tree))
    if not typing_too:
        nodes -= {inner for node in nodes if isinstance(node, ast.If)
                  and ast.unparse(node.test) in {'TYPE_CHECKING',
                                                 'typing.TYPE_CHECKING'}
                  for statement in node.body
                  for inner in ast.walk(statement)}
    found = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ''
            if node.level:
                # Only absolute imports: a relative one hides its direction.
                found.add(f'relative:{module}')
            elif base.partition('.')[0] == PACKAGE:
                # Each of these may be a module.
                found.update(f'{base}.{alias.name}'
                             for alias in node.names)
            else:
                found.add(base)
    return found


def part_of(module: str) -> str:
    """``energy_accounting.api.app`` is of the part ``api``."""
    return module.removeprefix(PACKAGE).lstrip('.').partition('.')[0]


def of_core(module: str) -> bool:
    """Whether a module, or the one that a name is of, is of the core."""
    inner = module.removeprefix(PACKAGE).lstrip('.')
    return (part_of(module) in {*CORE, ''} or inner in CORE_MODULES
            or inner.rpartition('.')[0] in CORE_MODULES)


def faults(source: str, module: str) -> list[str]:
    """What is wrong with a module's imports, in words."""
    part = part_of(module)
    core = module != PACKAGE and of_core(module)
    if part not in ALLOWED:
        return [f'{module}: say in {pathlib.Path(__file__).name} what '
                f'{part} may import']
    wrong = []
    for name in sorted(imports_of(source, module)):
        top = name.partition('.')[0]
        if name.startswith('relative:'):
            wrong.append(f'{module}: relative import')
        elif top == PACKAGE and module.startswith(f'{ALONE}.'):
            wrong.append(f'{module} is a migration and may not import {name}')
        elif top == PACKAGE:
            allowed = ALLOWED[part]
            if allowed is not None and part_of(name) not in {
                    part, '', *allowed}:
                wrong.append(f'{module} may not import {name}')
            elif (core and not of_core(name)
                  and name in imports_of(source, module, typing_too=False)):
                wrong.append(f'{module} is of the core and may import {name} '
                             'for type checkers only')
        elif core and (top not in sys.stdlib_module_names
                       or top in IMPURE):
            wrong.append(f'{module} is of the core and may not import {top}')
        elif (part in CLIENT_ONLY and top not in sys.stdlib_module_names
              and top not in CLIENT_ONLY[part]):
            wrong.append(f'{module} is in a bare installation, which does '
                         f'not bring {top}')
    return wrong


def modules() -> list[tuple[str, pathlib.Path]]:
    found = []
    for path in sorted(ROOT.rglob('*.py')):
        names = path.relative_to(ROOT.parent).with_suffix('').parts
        found.append(('.'.join(names).removesuffix('.__init__'), path))
    return found


class ImportsPointOneWay(testtools.TestCase):

    def test_an_import_points_against_the_way_of_the_joule(self):
        wrong = [fault for module, path in modules()
                 for fault in faults(path.read_text(), module)]
        self.assertEqual([], wrong)

    def test_the_rules_have_a_cycle(self):
        settled: set[str] = set()
        rest = {part: allowed - {part} for part, allowed in ALLOWED.items()
                if allowed is not None}
        while rest:
            free = {part for part, allowed in rest.items()
                    if allowed <= settled}
            self.assertTrue(free, f'none of {sorted(rest)} can come first')
            settled |= free
            for part in free:
                del rest[part]

    def test_an_arrow_is_allowed_that_nobody_follows(self):
        # But to the bottom, whose words are everybody's.
        followed = {(part_of(module), part_of(name))
                    for module, path in modules()
                    for name in imports_of(path.read_text(), module)
                    if name.partition('.')[0] == PACKAGE}
        self.assertEqual([], sorted(
            (part, other) for part, allowed in ALLOWED.items()
            for other in (allowed or set()) - BOTTOM
            if (part, other) not in followed))

    def test_there_is_nothing_to_judge(self):
        names = {module for module, _ in modules()}
        self.assertIn(f'{PACKAGE}.units', names)
        self.assertIn(PACKAGE, names)


class WhatIsInstalled(testtools.TestCase):
    """What no import shows, and a bare machine lacks."""

    def wanted(self, part: str, key: str, name: str) -> str:
        setup = configparser.ConfigParser()
        setup.read(ROOT.parent / 'setup.cfg')
        (line,) = [line for line in setup[part][key].split()
                   if line.partition('>=')[0] == name]
        return line.partition('>=')[2]

    def test_the_client_has_no_time_zones_where_the_system_has_none(self):
        self.assertTrue(self.wanted('options', 'install_requires', 'tzdata'))

    def test_webob_is_one_that_python_3_13_cannot_import(self):
        # Older ones import cgi and do not ask for legacy-cgi.
        minimum = self.wanted('options.extras_require', 'api', 'WebOb')
        self.assertGreaterEqual(
            tuple(map(int, minimum.split('.'))), (1, 8, 9))


class TheRulesBite(testtools.TestCase):
    """Each rule of this file finds the module that breaks it."""

    def assert_fault(self, words: str, source: str, module: str) -> None:
        found = faults(source, f'{PACKAGE}.{module}')
        self.assertEqual(1, len(found), found)
        self.assertIn(words, found[0])

    def test_the_bottom_may_import_the_top(self):
        self.assert_fault('may not import energy_accounting.samples',
                          'from energy_accounting import samples', 'units')

    def test_a_face_may_import_another_face(self):
        self.assert_fault('may not import energy_accounting.api.schemas',
                          'import energy_accounting.api.schemas', 'client')

    def test_an_import_inside_a_function_is_overlooked(self):
        self.assert_fault(
            'may not import energy_accounting.collector',
            'def f():\n    from energy_accounting import collector',
            'ledger.writes')

    def test_the_core_may_import_a_library(self):
        self.assert_fault('may not import sqlalchemy',
                          'import sqlalchemy as sa', 'attribution')

    def test_the_core_may_read_a_clock(self):
        self.assert_fault('may not import time',
                          'from time import monotonic', 'ticks')

    def test_the_core_may_run_what_is_not_of_it(self):
        source = 'from energy_accounting.ledger import usage'
        self.assert_fault('for type checkers only', source, 'report.usage')
        self.assertEqual([], faults(
            'from typing import TYPE_CHECKING\n'
            f'if TYPE_CHECKING:\n    {source}', f'{PACKAGE}.report.usage'))

    def test_a_pure_module_may_run_an_impure_one_of_its_part(self):
        self.assert_fault(
            'for type checkers only',
            'from energy_accounting.facility import models', 'facility.kpi')
        self.assert_fault('may not import sqlalchemy',
                          'import sqlalchemy', 'facility.kpi')
        self.assertEqual([], faults(
            'import sqlalchemy\n'
            'from energy_accounting.facility import figures, models\n'
            'from energy_accounting.facility.figures import Figure\n',
            f'{PACKAGE}.facility.sites'))

    def test_the_cli_may_import_the_database(self):
        self.assert_fault('does not bring sqlalchemy',
                          'from sqlalchemy import orm', 'osc.usage')

    def test_the_client_may_import_the_configuration(self):
        self.assert_fault('does not bring oslo_config',
                          'from oslo_config import cfg', 'client')

    def test_a_relative_import_hides_its_direction(self):
        self.assert_fault('relative import', 'from . import models',
                          'ledger.writes')

    def test_a_migration_may_import_the_live_tables(self):
        self.assert_fault('is a migration',
                          'from energy_accounting.ledger import models',
                          'ledger.migrations.versions.first')

    def test_a_new_part_has_no_rule(self):
        self.assert_fault('say in', 'import os', 'grab_bag')

    def test_what_is_allowed_is_refused(self):
        self.assertEqual([], faults(
            'import dataclasses\n'
            'from energy_accounting import errors, units\n',
            f'{PACKAGE}.samples'))
