# SPDX-License-Identifier: Apache-2.0
"""A short run of ``tools/chaos``: everything breaks, nothing is lost."""

import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

import testtools

from tests.functional import base

ROOT = pathlib.Path(__file__).parents[2]


class TestEveryJouleOnce(testtools.TestCase):

    def test_kills_lose_double_or_move_energy(self):
        base.required(self, base.RABBIT)
        # Of the seeds one with which the broker dies early.  Whom a deadlock
        # meets is chance: that has a test of its own.  The logs are kept
        # when the test fails.
        logs = tempfile.mkdtemp(prefix='ea-chaos-')
        done = subprocess.run(
            [sys.executable, ROOT / 'tools/chaos', '--seconds', '60',
             '--every', '1.7', '--seed', '26986', '--notifiers', '3',
             '--logs', logs],
            text=True, capture_output=True, timeout=900, check=False)
        said = done.stdout + done.stderr
        self.assertEqual(0, done.returncode, said)
        self.assertIn('\ndifference: 0 uJ', done.stdout)
        [kills] = re.findall(r'^kills: (\d+) ', done.stdout, re.MULTILINE)
        self.assertGreater(int(kills), 10, said)
        # Nothing is shown by what never came.
        for met in (r'duplicates refused: (\d+) ', r' true, (\d+) forged '):
            [times] = re.findall(met, done.stdout)
            self.assertGreater(int(times), 0, f'{met}: {said}')
        shutil.rmtree(logs)
