# SPDX-License-Identifier: Apache-2.0
"""Commands by the real shell against the real API.  No test is here."""

import datetime
import json

import webob
from oslo_config import cfg

from energy_accounting import conf as configuration
from energy_accounting import units
from energy_accounting.api import app
from tests.unit import web
from tests.unit.api import cloud
from tests.unit.ledger import filled
from tests.unit.osc import test_commands

NOW = datetime.datetime(2026, 11, 1, 1, tzinfo=units.UTC)


class RealTest(test_commands.CommandTest):

    def setUp(self):
        super().setUp()
        database = filled.sqlite(self)
        cloud.fill(database)
        conf = cfg.ConfigOpts()
        configuration.register(conf)
        conf([], default_config_files=[], default_config_dirs=[])
        self.configure(conf)
        self.database = database
        self.app = app.make_app(conf, database, auth=False,
                                clock=lambda: NOW)

    def configure(self, conf):
        """For tests that need more than the defaults."""

    def answer(self, request):
        sent = webob.Request.blank(request.path, method=request.method,
                                   body=request.body)
        sent.query_string = '&'.join(
            f'{name}={text}' for name, text in request.query.items())
        sent.content_type = request.headers.get('content-type', '')
        got = sent.get_response(self.app)
        # A file is handed on as it is.
        json_ = (got.content_type == 'application/json'
                 and not request.path.endswith(('/file', '/document')))
        return web.Answer(
            (got.json if json_ else got.text) if got.body else '',
            got.status_int)

    def said(self, *words):
        return json.loads(self.energy(*words, '-f', 'json'))
