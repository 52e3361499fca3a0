# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import tempfile
import unittest

from oslo_config import cfg

from energy_accounting import conf, errors


class TestCredentials(unittest.TestCase):
    def test_what_is_set_in_one_configuration_is_set_in_another(
            self) -> None:
        one, other = cfg.ConfigOpts(), cfg.ConfigOpts()
        for made in (one, other):
            conf.register(made)
            made([], project='test')
        for group in ('nova', 'service_auth'):
            one.set_override('auth_type', 'password', group)
            with self.subTest(group=group):
                self.assertIsNone(other[group].auth_type)

    def test_registering_twice_is_an_error(self) -> None:
        made = cfg.ConfigOpts()
        conf.register(made)
        conf.register(made)


class TestCheck(unittest.TestCase):
    """What an operator reads when an option is wrong."""

    def complaint(self, text: str) -> str:
        with tempfile.NamedTemporaryFile('w', suffix='.conf') as file:
            file.write(text)
            file.flush()
            made = cfg.ConfigOpts()
            conf.register(made)
            made([], project='test', default_config_files=[file.name])
            with self.assertRaises(errors.ConfigurationError) as caught:
                conf.check(made)
        return str(caught.exception)

    def test_a_number_out_of_range_names_no_section(self) -> None:
        self.assertEqual(
            '[notifier] tick_seconds: Should be greater than or equal to 1',
            self.complaint('[notifier]\ntick_seconds = 0\n'))

    def test_what_may_be_chosen_is_shown_as_python(self) -> None:
        said = self.complaint('[notifier]\nwindow_seconds = 70\n')
        self.assertIn('[notifier] window_seconds: ', said)
        self.assertIn('60, 75', said)
        self.assertNotIn('OrderedDict', said)

    def test_an_empty_state_path_is_the_working_directory(self) -> None:
        self.assertIn('[DEFAULT] state_path',
                      self.complaint('[DEFAULT]\nstate_path =\n'))
