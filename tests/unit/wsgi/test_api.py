# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import os
import subprocess
import sys

import fixtures
from oslotest import base

# What a WSGI server does: import, take the name, call it.
_SERVER = """
import logging
import webob
from energy_accounting.wsgi import api
for path in ('/', '/v1/hosts'):
    forged = {'X-Roles': 'admin', 'X-Identity-Status': 'Confirmed'}
    answer = webob.Request.blank(path, headers=forged).get_response(
        api.application)
    print(path, answer.status_int)
print(logging.getLogger('keystonemiddleware.audit').isEnabledFor(logging.INFO))
"""


class EntryTest(base.BaseTestCase):

    def test_a_server_gets_an_application_that_wants_a_token(self) -> None:
        # And what its audit filter tells the log is kept.
        directory = self.useFixture(fixtures.TempDir()).path
        path = os.path.join(directory, 'energy.conf')
        with open(path, 'w') as file:
            file.write(f'[DEFAULT]\nlog_file = {directory}/log\n'
                       f'[database]\nconnection = sqlite:///{directory}/x\n'
                       '[keystone_authtoken]\nwww_authenticate_uri = '
                       'http://keystone.example/\nauth_type = password\n'
                       'auth_url = http://keystone.example/\n')
        done = subprocess.run(
            [sys.executable, '-W', 'ignore', '-c', _SERVER],
            env={**os.environ, 'OS_ENERGY_ACCOUNTING_CONFIG_FILE': path},
            capture_output=True, text=True, check=False)
        self.assertEqual('/ 200\n/v1/hosts 401\nTrue\n', done.stdout,
                         done.stderr)

    def test_a_wrong_configuration_is_one_line_and_no_server(self) -> None:
        directory = self.useFixture(fixtures.TempDir()).path
        path = os.path.join(directory, 'energy.conf')
        with open(path, 'w') as file:
            file.write(f'[database]\nconnection = sqlite:///{directory}/x\n')
        half = os.path.join(directory, 'half.conf')
        with open(half, 'w') as file:
            file.write(f'[database]\nconnection = sqlite:///{directory}/x\n'
                       '[keystone_authtoken]\nauth_type = password\n')
        away = os.path.join(directory, 'away.conf')
        with open(away, 'w') as file:
            # As often, and as long, as a server is waited for.
            file.write('[database]\nmax_retries = 1\nretry_interval = 0\n'
                       'connection = mysql+pymysql://x:y@127.0.0.1:1/energy\n')
        for named, blamed in ((path, '[keystone_authtoken] auth_type'),
                              (half, 'not given: auth_url'),
                              (away, 'the database'),
                              (directory + '/none', directory + '/none')):
            done = subprocess.run(
                [sys.executable, '-W', 'ignore', '-c', _SERVER],
                env={**os.environ, 'OS_ENERGY_ACCOUNTING_CONFIG_FILE': named},
                capture_output=True, text=True, check=False)
            self.assertEqual(1, done.returncode)
            self.assertNotIn('Traceback', done.stderr)
            self.assertIn(blamed, done.stderr)
