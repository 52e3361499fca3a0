# SPDX-License-Identifier: Apache-2.0
"""The notifier under the profile of its pod: it works, and may no more.

The profile is loaded as container runtimes do, by libseccomp.
"""

from __future__ import annotations

import ctypes
import json
import os
import pathlib
import random
import signal
import subprocess
import sys
import tempfile
import time
import unittest
from collections.abc import Callable
from typing import Any

from tests.chaos import processes, trees

PROFILE = (pathlib.Path(__file__).parents[2] / 'deploy' / 'yaook' / 'base'
           / 'config' / 'seccomp.json')
# seccomp.h of libseccomp 2.
ALLOW, ERRNO = 0x7fff0000, 0x00050000
OPERATIONS = {'SCMP_CMP_EQ': 4, 'SCMP_CMP_MASKED_EQ': 7}
# What is forbidden, and what is not.
ATTEMPTS = """
import ctypes, os, sys, threading
libc = ctypes.CDLL(None, use_errno=True)
def tried(attempt, *arguments):
    try:
        return attempt(*arguments) and os.strerror(ctypes.get_errno())
    except OSError as error:
        return error.strerror
thread = threading.Thread(target=print, args=('thread', None))
thread.start()
thread.join()
made = os.open('made', os.O_CREAT | os.O_WRONLY, 0o600)
for name, attempt, *arguments in (
        ('plain', os.fchmod, made, 0o640),
        ('setuid', os.fchmod, made, 0o4755),
        ('setgid', os.chmod, 'made', 0o2755),
        ('born', lambda: os.close(os.open(
            'born', os.O_CREAT | os.O_WRONLY, 0o4755))),
        ('signal', os.kill, os.getpid(), 0),
        ('namespace', libc.unshare, 0x10000000),
        ('handle', libc.open_by_handle_at, -1, None, 0)):
    print(name, tried(attempt, *arguments))
"""


class Compared(ctypes.Structure):
    _fields_ = (('arg', ctypes.c_uint), ('op', ctypes.c_int),
                ('value', ctypes.c_uint64), ('two', ctypes.c_uint64))


def load(profile: dict[str, Any]) -> None:
    """Bound this process, and all that it starts, for good."""
    library = ctypes.CDLL('libseccomp.so.2')
    library.seccomp_init.restype = ctypes.c_void_p
    context = ctypes.c_void_p(library.seccomp_init(
        ctypes.c_uint32(ERRNO | profile['defaultErrnoRet'])))
    for rule in profile['syscalls']:
        action = (ALLOW if rule['action'] == 'SCMP_ACT_ALLOW'
                  else ERRNO | rule['errnoRet'])
        compared = [Compared(one['index'], OPERATIONS[one['op']],
                             one['value'], one.get('valueTwo', 0))
                    for one in rule.get('args', ())]
        for name in rule['names']:
            number = library.seccomp_syscall_resolve_name(name.encode())
            # One that this architecture does not have is negative.
            if number < 0:
                continue
            failed = library.seccomp_rule_add_array(
                context, ctypes.c_uint32(action), number, len(compared),
                (Compared * len(compared))(*compared))
            assert not failed, (name, failed)
    failed = library.seccomp_load(context)
    assert not failed, failed


def main(command: list[str]) -> None:
    load(json.loads(PROFILE.read_text()))
    os.execv(command[0], command)


class TestSeccomp(unittest.TestCase):

    def setUp(self) -> None:
        super().setUp()
        self.root = pathlib.Path(self.enterContext(
            tempfile.TemporaryDirectory()))
        self.bounded = [sys.executable, __file__]

    def attempts(self, bounded: list[str]) -> dict[str, str]:
        where = self.root / ('bounded' if bounded else 'free')
        where.mkdir()
        environment = {**os.environ, 'PYTHONPATH': str(PROFILE.parents[4])}
        done = subprocess.run(
            [*bounded, sys.executable, '-c', ATTEMPTS], cwd=where,
            env=environment, check=True, capture_output=True, text=True)
        return dict(line.split(' ', 1) for line in done.stdout.splitlines())

    def test_whoever_takes_it_over_becomes_root_on_the_node(self) -> None:
        refused = os.strerror(1)
        self.assertEqual(
            {'thread': 'None', 'plain': 'None', **dict.fromkeys(
                ('setuid', 'setgid', 'born', 'signal', 'namespace',
                 'handle'), refused)}, self.attempts(self.bounded))
        # Nothing else forbids it.
        free = self.attempts([])
        for name in ('setuid', 'setgid', 'born', 'signal'):
            self.assertEqual('None', free[name], name)

    def test_the_notifier_needs_more_than_its_profile_allows(self) -> None:
        tree = trees.Tree(self.root / 'host', random.Random(7))
        conf = self.root / 'notifier.conf'
        conf.write_text('\n'.join([
            '[DEFAULT]', 'host = compute-1',
            f'state_path = {self.root / "state"}',
            # Nobody is there: it spools.
            'transport_url = rabbit://x:y@127.0.0.1:1/energy',
            '[notifier]', 'guests = procfs', 'tick_seconds = 1', *(
                f'{option} = {value}' for option, value
                in tree.files.options().items()), '']))
        log = self.root / 'log'
        with log.open('w') as output:
            process = subprocess.Popen(
                [*self.bounded,
                 processes.command('energy-accounting-notifier'),
                 '--config-file', str(conf)],
                env={**os.environ, 'PYTHONPATH': str(PROFILE.parents[4])},
                stdout=output, stderr=output)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        self.until(process, log, lambda: '4 guests' in log.read_text())
        # The window is on disk before it is told that nobody listens.
        process.send_signal(signal.SIGTERM)
        self.until(process, log, lambda: any(
            path.stat().st_size > 100 for path in
            (self.root / 'state' / 'spool').glob('*.seg*')))
        # To its end, a few seconds of which it waits for an answer.
        self.assertEqual(0, process.wait(30), log.read_text())
        self.assertNotIn(os.strerror(1), log.read_text())

    def until(self, process: subprocess.Popen[bytes], log: pathlib.Path,
              happened: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 60
        while not happened():
            self.assertIsNone(process.poll(), log.read_text())
            self.assertLess(time.monotonic(), deadline, log.read_text())
            time.sleep(0.05)


if __name__ == '__main__':
    main(sys.argv[1:])
