# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import unittest

from oslo_config import cfg

from energy_accounting import conf


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
