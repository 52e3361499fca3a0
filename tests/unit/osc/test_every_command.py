# SPDX-License-Identifier: Apache-2.0
"""What holds of every command, whatever it does."""

from __future__ import annotations

import contextlib
import importlib.metadata
import io
import pathlib
import re
import shlex
import tempfile
from typing import Any
from unittest import mock

from oslo_config import cfg

from energy_accounting import conf as configuration
from energy_accounting.api import app
from energy_accounting.osc import base
from tests.unit.ledger import filled
from tests.unit.osc import real, test_commands, walk

PROJECT = '0' * 31 + '7'
FORMATS = walk.ROOT / 'doc' / 'source' / 'cli' / 'formats.rst'


def documented() -> dict[str, list[str]]:
    """The columns of each command as the documentation has them."""
    found = re.findall(
        r'^``openstack energy ([a-z ]+)``\n((?:    .*\n)+)',
        FORMATS.read_text(), re.MULTILINE)
    return {name: re.findall(r'``([a-z0-9_]+)``', columns)
            for name, columns in found}


class WalkTest(real.RealTest):

    def setUp(self) -> None:
        super().setUp()
        self.database = filled.sqlite(self)
        walk.fill(self.database, PROJECT)
        conf = cfg.ConfigOpts()
        configuration.register(conf)
        conf([], default_config_files=[], default_config_dirs=[])
        self.served = pathlib.Path(self.enterContext(
            tempfile.TemporaryDirectory()))
        conf.set_override('directory', str(self.served), 'exports')
        self.app = app.make_app(conf, self.database, auth=False,
                                clock=lambda: real.NOW)

    def run_line(self, words: list[str]) -> tuple[int, str, str]:
        return self.openstack('--os-auth-type', 'none', '--os-endpoint',
                              self.api.url, *words)

    def test_a_command_does_nothing_or_answers_with_other_columns(
            self) -> None:
        done, columns = set(), {}
        with tempfile.TemporaryDirectory() as files:
            for step, answer, _words in walk.walk(
                    self.run_line, PROJECT, pathlib.Path(files), real.NOW,
                    lambda export: walk.send(
                        self.database, self.served, export, real.NOW)):
                name = walk.command(step.line)
                done.add(name)
                if not step.text:
                    row = answer[0] if isinstance(answer, list) else answer
                    columns.setdefault(name, list(row))
        self.assertEqual(walk.commands(), done)
        self.maxDiff = None
        self.assertEqual(columns, documented(), columns)


class HelpTest(test_commands.CommandTest):

    def parsers(self) -> dict[str, Any]:
        return {
            entry.name: (entry.load(), entry.load()(
                mock.Mock(), None).get_parser(entry.name.replace('_', ' ')))
            for entry in importlib.metadata.entry_points(
                group='openstack.energy.v1')}

    def test_a_command_has_no_help_or_no_example(self) -> None:
        found = self.parsers()
        self.assertEqual(
            walk.commands(),
            {name.replace('_', ' ').removeprefix('energy ')
             for name in found})
        for name, (kind, parser) in found.items():
            with self.subTest(name):
                self.assertTrue(issubclass(
                    kind, (base.Command, base.Lister, base.ShowOne)))
                self.assertGreater(len(kind.__doc__), 10)
                lines = kind.example.replace('\\\n', ' ').splitlines()
                self.assertTrue(lines)
                self.assertLess(max(map(len, kind.example.splitlines())),
                                76)
                for line in lines:
                    self.check_example(line, name, parser)
                for action in parser._actions:
                    self.assertTrue(action.help, action.dest)

    def check_example(self, line: str, name: str, parser: Any) -> None:
        """It is of this command, and it can be parsed."""
        words = shlex.split(line)
        typed = ['openstack', *name.split('_')]
        self.assertEqual(typed, words[:len(typed)])
        err = io.StringIO()
        with contextlib.redirect_stderr(err):
            try:
                parser.parse_args(words[len(typed):])
            except SystemExit:
                self.fail(f'{line}: {err.getvalue()}')

    def test_an_example_is_one_line_with_what_follows_it(self) -> None:
        status, out, _ = self.openstack('help', 'energy', 'contract',
                                        'create')
        self.assertEqual(0, status)
        self.assertIn('Example:\n\n    openstack energy contract create '
                      'berlin-1 --instrument go \\\n        --start', out)

    def test_a_shell_does_not_complete_our_commands(self) -> None:
        status, out, _ = self.openstack('complete')
        self.assertEqual(0, status)
        self.assertIn(' energy ', out)
        for name in walk.commands():
            words = name.split()
            known = re.search(
                f"^ +cmds_energy(?:_{'_'.join(words[:-1])})='(.*)'$", out,
                re.MULTILINE)
            self.assertIsNotNone(known, name)
            assert known is not None
            self.assertIn(words[-1], known[1].split())
