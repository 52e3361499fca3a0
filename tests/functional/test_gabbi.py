# SPDX-License-Identifier: Apache-2.0
"""The API by its YAML files, over the whole pipeline and a real database."""

from __future__ import annotations

import pathlib
import unittest
from typing import Any

from gabbi import handlers, suitemaker, utils

from tests.functional import base
from tests.unit.api import cloud

GABBITS = pathlib.Path(__file__).parent / 'gabbits'


class GabbiTest(cloud.ApiCase):
    """Each file of ``gabbits`` is a test; a ledger is made for each."""

    def run_file(self, name: str) -> None:
        suite = suitemaker.test_suite_from_dict(
            unittest.TestLoader(), name,
            utils.load_yaml(yaml_file=str(GABBITS / f'{name}.yaml')),
            str(GABBITS), 'energy.example', 8790, None, lambda: self.app,
            handlers=[handler() for handler in handlers.RESPONSE_HANDLERS])
        result = unittest.TestResult()
        suite.run(result)
        self.assertEqual('', '\n'.join(
            f'{test}: {text}' for test, text
            in (*result.errors, *result.failures)))
        self.assertLess(0, result.testsRun)
        self.assertEqual([], result.skipped)


def _test(name: str) -> Any:
    def test(self: GabbiTest) -> None:
        self.run_file(name)
    return test


for _path in sorted(GABBITS.glob('*.yaml')):
    setattr(GabbiTest, f'test_{_path.stem}', _test(_path.stem))

# Only now that it has its tests.
base.on(*base.EVERY)(GabbiTest)
