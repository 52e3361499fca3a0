# SPDX-License-Identifier: Apache-2.0
"""A newcomer's first command, in a copy of the tree, with a real pip."""

import collections
import datetime
import math
import os
import pathlib
import re
import shutil
import socket
import stat
import subprocess
import sys
import tempfile
from fractions import Fraction

import testtools

from tests.functional import by_hand

ROOT = pathlib.Path(__file__).parents[2]
# What neither a clone nor an unpacked archive has; some of it comes and goes
# while lint runs.
_NOT_COPIED = shutil.ignore_patterns(
    '.git', '.quickstart', '.run-tests', '.tox', '.venv', '*.egg-info',
    '.*_cache', '.hypothesis', '_static', '__pycache__', 'build')


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
        self.assertRegex(report, r'facility +[0-9.]+ kWh')
        self.assertRegex(report, r'by PUE 1\.[0-9]+, of its own quarters of '
                         'an hour')
        self.assertEqual(2, len(re.findall(r'CO2 +[0-9.]+ kg', report)))
        self.assertRegex(report, r'renewable +[0-9.]+ %')
        self.assertRegex(report, r'water +[0-9.]+ l')
        self.assertIn('energy balance show', report)
        self.check_site(by_hand.Api(f'http://127.0.0.1:{port}'))
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


    def check_site(self, api):
        """The site's figures are what its readings and factors say."""
        (end,) = {by_hand.time(host['last_window_end']) for host in api.rows(
            '/v1/hosts', 'hosts', site=by_hand.SITE)}
        start = end - datetime.timedelta(days=2)
        there = {'start': by_hand.text(start), 'end': by_hand.text(end)}
        (sheet,) = api.get('/v1/balance', **there)['balance']['sites']
        known = by_hand.quarters(api, start, end)
        self.assertEqual(192, len(known))
        facility_uj, co2_ng, it_uj = self.tenants(api, there, known)
        operator_uj = int(sheet['operator_uj'])
        site_uj = sum(one.site_uj for one in known.values())
        site_ng = sum(math.floor(one.co2_ng) for one in known.values())
        exact_ng = sum(one.co2_ng for one in known.values())
        print(f'tenants {facility_uj} uJ + operator {operator_uj} uJ = '
              f'{facility_uj + operator_uj} uJ; site meters {site_uj} uJ')
        print(f'CO2 {sheet["co2_location_kg"]} kg; by hand '
              f'{float(exact_ng / 10 ** 12):.12f} kg')
        self.assertEqual(site_uj, facility_uj + operator_uj)
        self.assertEqual(site_uj, int(sheet['facility_uj']))
        self.assertEqual(site_ng, int(
            Fraction(sheet['co2_location_kg']) * 10 ** 12))
        self.assertEqual(site_ng - co2_ng, int(
            Fraction(sheet['operator_co2_location_kg']) * 10 ** 12))
        unmetered_uj = sum(one.it_uj for one in known.values()) - it_uj
        self.assertEqual(unmetered_uj, int(sheet['unmetered_it_uj']))
        self.assertGreater(unmetered_uj, 0)

    def tenants(self, api, there, known):
        """(facility uJ, CO2 ng, IT uJ of all) that rows should have.

        Each row of the whole time is held against its own quarters.
        """
        query = {'group_by': 'project', 'all_projects': 'true', **there}
        facility_uj, co2_ng = collections.Counter(), collections.Counter()
        it_uj = 0
        for row in api.rows('/v1/usage', 'usage', resolution='quarter',
                            **query):
            here = known[by_hand.time(row['start'])]
            used_uj = round(Fraction(row['it_kwh']) * by_hand.UJ_PER_KWH)
            it_uj += used_uj
            mine_uj = used_uj * here.site_uj // here.it_uj
            facility_uj[row['project_id']] += mine_uj
            co2_ng[row['project_id']] += math.floor(
                mine_uj * here.co2_ng / here.site_uj)
        totals = list(api.rows('/v1/usage', 'usage', resolution='total',
                               **query))
        self.assertEqual(5, len(totals))
        for row in totals:
            owner = row['project_id']
            self.assertEqual('interval', row['pue_kind'])
            self.assertEqual(facility_uj[owner], round(
                Fraction(row['facility_kwh']) * by_hand.UJ_PER_KWH))
            self.assertEqual(co2_ng[owner], int(
                Fraction(row['co2_location_kg']) * 10 ** 12))
        del facility_uj[None], co2_ng[None]
        return sum(facility_uj.values()), sum(co2_ng.values()), it_uj


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
