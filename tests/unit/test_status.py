# SPDX-License-Identifier: Apache-2.0
"""What is said before an upgrade, when the database is away."""

from __future__ import annotations

import io
import socketserver
import threading
from unittest import mock

import testtools
from oslo_config import cfg

from energy_accounting import conf as configuration
from energy_accounting import status


class Deaf(socketserver.ThreadingTCPServer):
    """Takes calls, counts them and says nothing."""

    calls = 0

    def process_request(self, request, client_address):
        self.calls += 1
        self.shutdown_request(request)


class StatusTest(testtools.TestCase):

    def test_a_database_that_is_away_is_waited_for(self):
        server = Deaf(('127.0.0.1', 0), socketserver.BaseRequestHandler)
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        threading.Thread(target=server.serve_forever, daemon=True,
                         kwargs={'poll_interval': 0.01}).start()
        conf = cfg.ConfigOpts()
        configuration.register(conf)
        conf([], project='energy-accounting', default_config_files=[])
        port = server.server_address[1]
        output = io.StringIO()
        with mock.patch.dict('os.environ', {
                'OS_DATABASE__CONNECTION':
                f'mysql+pymysql://x:y@127.0.0.1:{port}/energy'}), \
                mock.patch('sys.stdout', output):
            self.assertEqual(2, status.Checks(conf).check())
        # Once for all checks: a probe has no time for more.
        self.assertEqual(1, server.calls)
        self.assertEqual(3, output.getvalue().count('database'))
