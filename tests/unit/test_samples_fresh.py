# SPDX-License-Identifier: Apache-2.0
"""The samples in ``etc/`` say what the code says.

Only our own part is compared: a library's options change with its release,
not with ours.
"""

import pathlib
import re

import fixtures
import testtools
from oslo_config import generator as config_generator
from oslo_policy import generator as policy_generator

ETC = pathlib.Path(__file__).parents[2] / 'etc' / 'energy-accounting'
CONFIG = ETC / 'energy-accounting.conf.sample'
POLICY = ETC / 'policy.yaml.sample'
# Sections whose options are keystoneauth's.
BORROWED = {'nova', 'service_auth'}


def own_options(sample: str) -> dict[str, str]:
    """The text under ``From energy_accounting``, by section."""
    found = {}
    for section in re.split(r'^(?=\[)', sample, flags=re.MULTILINE):
        name = section[1:section.find(']')]
        for block in section.split('#\n# From ')[1:]:
            if block.startswith('energy_accounting\n'):
                found[name] = block.strip('#\n ')
    return found


class SamplesAreFresh(testtools.TestCase):

    def generated(self, generate, configuration: str) -> str:
        where = self.useFixture(fixtures.TempDir()).path
        output = pathlib.Path(where) / 'sample'
        generate(args=['--config-file', str(ETC / configuration),
                       '--output-file', str(output)])
        return output.read_text()

    def assert_fresh_config(self, sample: str) -> None:
        now = own_options(self.generated(config_generator.main,
                                         'config-generator.conf'))
        then = own_options(sample)
        self.assertEqual(set(now), set(then), 'run: tox -e genconfig')
        for section in set(now) - BORROWED:
            self.assertEqual(now[section], then[section],
                             f'[{section}] is stale, run: tox -e genconfig')

    def test_the_sample_configuration_is_stale(self):
        self.assert_fresh_config(CONFIG.read_text())

    def test_a_stale_configuration_is_overlooked(self):
        sample = CONFIG.read_text()
        for stale in (sample.replace('#tick_seconds = 5', '#tick_seconds = 6'),
                      sample.replace('#spool_max_days = 30\n', ''),
                      sample.replace('[rapl]', '[rapier]')):
            self.assertNotEqual(sample, stale)
            self.assertRaises(AssertionError, self.assert_fresh_config,
                              stale)

    def test_the_sample_holds_a_value_of_this_machine(self):
        defaults = [line for line in CONFIG.read_text().splitlines()
                    if re.match(r'#\w+ = ', line)]
        self.assertIn('#host = <hostname>', defaults)
        self.assertEqual([], [line for line in defaults
                              if re.search(r'= /(root|home|tmp)\b', line)])

    def test_the_sample_policy_is_stale(self):
        self.assertEqual(
            self.generated(policy_generator.generate_sample,
                           'policy-generator.conf'),
            POLICY.read_text(), 'run: tox -e genpolicy')
