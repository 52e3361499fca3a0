# SPDX-License-Identifier: Apache-2.0
"""The meter ipmi, with a command that is a script."""

import pathlib

import fixtures
import testtools
from oslo_config import cfg

from energy_accounting import conf as configuration
from energy_accounting import errors, units
from energy_accounting.meters import ipmi

S = units.NS_PER_S
# Of ipmitool 1.8.19.
ANSWER = """
    Instantaneous power reading:                   217 Watts
    Minimum during sampling period:                100 Watts
    Maximum during sampling period:                300 Watts
    Average power reading over sample period:      200 Watts
    IPMI timestamp:                           11/14/23 22:13:20 UTC
    Sampling period:                          00000001 Seconds.
    Power reading state is:                   activated
"""


class Case(testtools.TestCase):

    def setUp(self) -> None:
        super().setUp()
        self.log = self.useFixture(fixtures.FakeLogger())
        self.where = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        self.clock = 1000 * S

    def script(self, body: str) -> str:
        path = self.where / 'tool'
        path.write_text(f'#!/bin/sh\n{body}\n')
        path.chmod(0o755)
        return str(path)

    def says(self, text: str = ANSWER) -> str:
        (self.where / 'answer').write_text(text)
        return self.script(f'cat {self.where}/answer')

    def refusal(self, command: str) -> str:
        conf = cfg.ConfigOpts()
        configuration.register(conf)
        conf([])
        conf.set_override('command', command, 'ipmi')
        return str(self.assertRaises(errors.EnergyAccountingError,
                                     ipmi.from_conf, conf))

    def test_another_line_is_taken_for_the_power(self):
        self.assertEqual(217, ipmi.watts(ANSWER))

    def test_half_an_answer_is_a_reading(self):
        for text in ('', ANSWER[:40], ANSWER.replace('217', '-7'),
                     ANSWER.replace('217', '1' * 40),
                     ANSWER[:ANSWER.index('    Power')]):
            self.assertRaises(errors.MeterError, ipmi.watts, text)

    def test_a_refusal_does_not_say_what_helps(self):
        for command, words in (
                ('/nowhere/ipmitool', 'install it'),
                (self.script('echo no device >&2; exit 3'), '/dev/ipmi0'),
                ('', 'name a command'), ('"', 'quote'),
                ('ipmitool -P secret dcmi', 'no password'),
                ('ipmitool -Psecret dcmi', 'no password'),
                ('ipmitool -vPsecret dcmi', '(-f)'),
                ('ipmitool -k secret dcmi', '-k'),
                ('ipmitool -ysecret dcmi', '-y')):
            text = self.refusal(command)
            self.assertIn(words, text)
            self.assertNotIn('secret', text)

    def test_a_user_or_a_file_is_taken_for_a_password(self):
        # The first word that is refused is that of the tool.
        self.assertIn('install it', self.refusal(
            '/nowhere/ipmitool -H bmc -Uroot -f /etc/Pky -IlanPlus dcmi'))

    def test_a_tool_that_hangs_is_waited_for(self):
        self.useFixture(fixtures.MonkeyPatch(
            'energy_accounting.meters.ipmi.TIMEOUT_SECONDS', 0.1))
        self.assertIn('took longer', self.refusal(
            self.script('exec sleep 60')))

    def test_an_old_reading_counts_for_ever(self):
        meter = ipmi.Ipmi([self.says()], 10, lambda: self.clock)
        self.addCleanup(meter.close)
        [first] = meter.read()
        self.clock += 30 * S
        [second] = meter.read()
        self.assertEqual(217 * 30 * units.UJ_PER_J,
                         second.counter_uj - first.counter_uj)
        self.clock += 1
        self.assertIsNone(meter.read()[0].counter_uj)
