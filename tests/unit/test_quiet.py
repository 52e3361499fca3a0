# SPDX-License-Identifier: Apache-2.0
"""Quiet among tests, asked for by processes of their own."""

import os
import pathlib
import subprocess
import sys
import tempfile
import time
import unittest

ROOT = pathlib.Path(__file__).parents[2]
_AMONG = """
from tests import quiet
with quiet.among_others():
    print('begins', flush=True)
    input()
    print('ends', flush=True)
"""
_ALONE = """
from tests import quiet
with quiet.among_others():
    print('asks', flush=True)
    input()
    with quiet.alone():
        print('begins', flush=True)
        input()
        print('ends', flush=True)
"""


class TestQuiet(unittest.TestCase):

    def setUp(self):
        self.cache = self.enterContext(tempfile.TemporaryDirectory())

    def start(self, script):
        process = self.enterContext(subprocess.Popen(
            [sys.executable, '-c', script], cwd=ROOT, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            env={**os.environ, 'EA_TEST_CACHE': self.cache}))
        self.addCleanup(process.kill)
        return process

    def await_waiting(self, process, kind='WRITE'):
        """Until it waits for a lock, see proc(5)."""
        deadline = time.monotonic() + 60
        while f'-> FLOCK  ADVISORY  {kind} {process.pid} ' not in (
                locks := pathlib.Path('/proc/locks').read_text()):
            self.assertIsNone(process.poll())
            self.assertLess(time.monotonic(), deadline, locks)
            time.sleep(0.01)

    def tell(self, process, *answers):
        process.stdin.write('\n')
        process.stdin.flush()
        for answer in answers:
            self.assertEqual(answer, process.stdout.readline().strip())

    def test_who_wants_quiet_is_joined_or_never_gets_it(self):
        first, second = self.start(_AMONG), self.start(_AMONG)
        for one in first, second:
            self.assertEqual('begins\n', one.stdout.readline())
        alone = self.start(_ALONE)
        self.tell(alone, 'asks')
        self.await_waiting(alone)
        # At the door: who came first would wait for ever if they went by.
        late = self.start(_AMONG)
        self.await_waiting(late)
        self.tell(first, 'ends')
        self.await_waiting(alone)
        self.tell(second, 'ends')
        self.assertEqual('begins\n', alone.stdout.readline())
        self.await_waiting(late, 'READ')
        self.tell(alone, 'ends')
        self.assertEqual('begins\n', late.stdout.readline())
        self.tell(late, 'ends')

    def test_two_who_want_quiet_wait_for_each_other(self):
        both = self.start(_ALONE), self.start(_ALONE)
        for one in both:
            self.assertEqual('asks\n', one.stdout.readline())
        for one in both:
            one.stdin.write('\n\n')
            one.stdin.flush()
        for one in both:
            self.assertEqual(('begins\nends\n', None),
                             one.communicate(timeout=60))
