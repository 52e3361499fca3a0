# SPDX-License-Identifier: Apache-2.0
"""What all commands are: a help text with an example, rows as they come.

Every command of the plug-in is one of the three classes here.  Options and
their meaning do not belong here (``common``).
"""

from __future__ import annotations

import argparse
from typing import Any

from osc_lib.command import command


def _epilog(example: str, more: str) -> str:
    """Plain to read in a terminal, and reStructuredText for the manual."""
    lines = ''.join(f'    {line}\n' for line in example.splitlines())
    return '\n\n'.join(filter(None, (f'Example::\n\n{lines}', more)))


def _paragraphs(formatter: Any, text: str, width: int, indent: str) -> str:
    """Fill paragraphs one by one, and keep lines that are indented."""
    fill = super(type(formatter), formatter)._fill_text
    return '\n\n'.join(
        part.rstrip() if part.startswith(' ') else
        fill(part.replace('::', ':'), width, indent)
        for part in text.split('\n\n') if part.strip())


def _readable(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    # argparse makes one paragraph of all; cliff's formatter has no name
    # that could be imported.
    cliffs: Any = parser.formatter_class
    made: Any = type('Help', (cliffs,), {'_fill_text': _paragraphs})
    parser.formatter_class = made
    return parser


class Command(command.Command):
    """A command that answers nothing, or lines of its own.

    :cvar example: a line that works, or a few, as somebody would type them.
    """

    example = ''

    def get_epilog(self) -> str:
        return _epilog(self.example, super().get_epilog())

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        return _readable(super().get_parser(prog_name))


class ShowOne(command.ShowOne):
    """A command that answers with one thing; see :class:`Command`."""

    example = ''

    def get_epilog(self) -> str:
        return _epilog(self.example, super().get_epilog())

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        return _readable(super().get_parser(prog_name))


class Lister(command.Lister):
    """A command that answers with rows; see :class:`Command`."""

    example = ''

    def get_epilog(self) -> str:
        return _epilog(self.example, super().get_epilog())

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        return _readable(super().get_parser(prog_name))
