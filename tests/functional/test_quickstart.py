# SPDX-License-Identifier: Apache-2.0
"""A newcomer's first command, in a copy of the tree, with a real pip."""

import os
import pathlib
import re
import shutil
import socket
import stat
import subprocess
import sys
import tempfile

import testtools

ROOT = pathlib.Path(__file__).parents[2]
# What neither a clone nor an unpacked archive has.
_NOT_COPIED = shutil.ignore_patterns(
    '.git', '.quickstart', '.run-tests', '.tox', '.venv', '*.egg-info',
    '__pycache__', 'build')


def free_port():
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        return probe.getsockname()[1]


class QuickstartTest(testtools.TestCase):

    def setUp(self):
        super().setUp()
        self.tree = pathlib.Path(self.enterContext(
            tempfile.TemporaryDirectory())) / 'tree'
        shutil.copytree(ROOT, self.tree, ignore=_NOT_COPIED)

    def quickstart(self, *arguments, **environment):
        """(exit status, stdout, stderr); status 3 stands for "not up"."""
        done = subprocess.run(
            [self.tree / 'tools/quickstart', *arguments], text=True,
            stdin=subprocess.DEVNULL, capture_output=True, timeout=1800,
            env={**os.environ, 'PYTHON': sys.executable, **environment})
        return done.returncode, done.stdout, done.stderr


class TestFromCloneToReport(QuickstartTest):

    def test_report_second_start_status_and_stop(self):
        port = str(free_port())
        self.addCleanup(self.quickstart, 'stop')
        # The caller's own cloud must not be asked.
        status, out, err = self.quickstart(
            '--port', port, OS_CLOUD='none-such',
            OS_AUTH_URL='http://127.0.0.1:1/v3')
        self.assertEqual(0, status, err)
        report = out
        self.assertRegex(report, r'IT energy +[0-9.]+ kWh')
        # A bar for each of the tenant's four servers.
        self.assertEqual(4, len(re.findall(
            r'^ +[0-9a-f-]{36} +[0-9.]+ kWh +█', report, re.MULTILINE)))
        self.assertIn('energy balance show', report)
        log = (self.tree / '.quickstart/service.log').read_text()
        self.assertIn('12 instances', log)
        self.assertIn('unbooked 0 uJ, balance 0 uJ', log)

        status, _, err = self.quickstart('status')
        self.assertEqual(0, status, err)
        self.assertIn(port, err)

        status, out, err = self.quickstart()
        self.assertEqual(0, status, err)
        self.assertIn('already running', err)
        self.assertRegex(out, r'IT energy +[0-9.]+ kWh')

        status, _, err = self.quickstart('--port', str(free_port()))
        self.assertEqual(1, status)
        self.assertIn(port, err)

        status, _, err = self.quickstart('stop')
        self.assertEqual(0, status, err)
        status, _, err = self.quickstart('status')
        self.assertEqual(3, status, err)
        with socket.socket() as again:
            again.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            again.bind(('127.0.0.1', int(port)))


class TestClearNo(QuickstartTest):
    """What cannot work is said before anything is installed."""

    def refused(self, *arguments, status=1, **environment):
        found, out, err = self.quickstart(*arguments, **environment)
        self.assertEqual((status, ''), (found, out), err)
        self.assertFalse((self.tree / '.quickstart/venv').exists())
        return err

    def test_taken_port_names_the_option(self):
        with socket.socket() as other:
            other.bind(('127.0.0.1', 0))
            other.listen()
            port = str(other.getsockname()[1])
            err = self.refused('--port', port)
        self.assertIn(f'port {port} is taken', err)
        self.assertIn('--port N', err)

    def test_port_that_is_none_is_refused(self):
        for port in ('0', '65536', '-1', 'http', '999999999999999999999'):
            self.assertIn(port, self.refused('--port', port))

    def test_unknown_word_shows_the_usage(self):
        self.assertIn('tools/quickstart stop',
                      self.refused('strat', status=2))

    def test_stop_of_nothing_is_no_error(self):
        self.assertIn('not running', self.refused('stop', status=0))

    def test_process_that_took_over_the_number_is_left_alone(self):
        home = self.tree / '.quickstart'
        home.mkdir()
        with subprocess.Popen(['sleep', '60']) as stranger:
            self.addCleanup(stranger.kill)
            (home / 'service.pid').write_text(f'{stranger.pid}\n')
            self.assertIn('not running', self.refused('stop', status=0))
            self.assertIsNone(stranger.poll())
            stranger.kill()

    def program(self, name, script):
        path = self.bin / name
        path.write_text(f'#!/bin/sh\n{script}\n')
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
        return str(path)

    def few_programs(self):
        """A machine without sudo, git and a complete python3."""
        self.bin = self.tree / 'bin'
        self.bin.mkdir()
        for name in ('bash', 'cat', 'dirname', 'env', 'grep', 'mkdir', 'rm',
                     'sed', 'tr'):
            (self.bin / name).symlink_to(shutil.which(name))
        self.program('id', 'echo 1000')
        self.program('apt-get', 'exit 99')
        return self.program('python3', f"""
case "$2" in *ensurepip*) exit 1 ;; esac
exec {sys.executable} "$@" """)

    def test_missing_ensurepip_without_sudo_says_what_root_must_do(self):
        python = self.few_programs()
        err = self.refused('--port', str(free_port()), PYTHON=python,
                           PATH=str(self.bin))
        version = '{}.{}'.format(*sys.version_info)
        self.assertIn(f'apt-get install python{version}-venv', err)

    def test_old_python_is_named(self):
        self.few_programs()
        python = self.program('old', 'exit 1')
        err = self.refused(PYTHON=python, PATH=str(self.bin))
        self.assertIn('older than 3.11', err)

    def test_missing_python_is_named(self):
        self.few_programs()
        err = self.refused(PYTHON='python-of-nowhere', PATH=str(self.bin))
        self.assertIn('there is no python-of-nowhere', err)
