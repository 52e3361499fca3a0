# SPDX-License-Identifier: Apache-2.0
"""What the documentation quotes is what the program says."""

import ast
import configparser
import fractions
import math
import pathlib
import re

import testtools

import energy_accounting

ROOT = pathlib.Path(energy_accounting.__file__).parent
DOCS = ROOT.parent / 'doc' / 'source'
# Said by the message bus, not by us.
BROKER = 'PRECONDITION_FAILED - inequivalent arg'


def said() -> set[str]:
    """Every text of the program, cut where it puts something in."""
    return {' '.join(node.value.split())
            for path in ROOT.rglob('*.py')
            for node in ast.walk(ast.parse(path.read_text()))
            if isinstance(node, ast.Constant) and isinstance(node.value, str)}


class WhatIsQuoted(testtools.TestCase):

    def test_a_message_is_not_one_of_the_program(self):
        text = (DOCS / 'admin' / 'troubleshooting.rst').read_text()
        quoted = [' '.join(words.split()) for words
                  in re.findall(r'(?<!\*)\*([^*]+)\*(?!\*)', text)]
        self.assertGreater(len(quoted), 10)
        texts = said()
        self.assertEqual([], [
            words for words in quoted if words != BROKER
            and not any(words in text for text in texts)])

    def test_an_option_or_a_command_is_not_there(self):
        setup = configparser.ConfigParser()
        setup.read(ROOT.parent / 'setup.cfg')
        commands = setup['options.entry_points']['openstack.energy.v1']
        options = (ROOT / 'conf.py').read_text()
        missing = []
        for path in DOCS.rglob('*.rst'):
            text = ' '.join(path.read_text().split())
            missing += [name for name in re.findall(
                r'openstack (energy [a-z]+ [a-z]+)', text)
                if name.replace(' ', '_') not in commands]
            missing += [name for name in re.findall(
                r'\[(?:notifier|collector|api|factors|hwmon|ipmi|platform)\] '
                r'([a-z_]+)', text)
                if f"'{name}'" not in options]
        self.assertEqual([], missing)

    def test_a_sum_is_not_what_its_terms_make(self):
        text = ' '.join((DOCS / 'method.rst').read_text().split())
        sums = re.findall(r'((?:[0-9.]+ [×+] )+[0-9.]+) = ([0-9.]+[0-9])',
                          text)
        self.assertEqual(7, len(sums))
        for terms, said in sums:
            exact = sum(math.prod(map(fractions.Fraction, term.split(' × ')))
                        for term in terms.split(' + '))
            places = len(said.partition('.')[2])
            self.assertEqual(fractions.Fraction(said), round(exact, places),
                             terms)
