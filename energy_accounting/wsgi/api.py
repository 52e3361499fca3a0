# SPDX-License-Identifier: Apache-2.0
"""The WSGI application of the API, for uWSGI, mod_wsgi, gunicorn.

Nothing but the call of the factory belongs here: importing this module
reads the configuration and builds the application, always with auth_token.
"""

from __future__ import annotations

import os
import threading
from typing import Any

from keystoneauth1 import exceptions
from oslo_config import cfg

from energy_accounting import cmd, errors

CONFIG_FILE = 'OS_ENERGY_ACCOUNTING_CONFIG_FILE'
"""Names the configuration file, where it is not at a usual place: the
arguments of a WSGI server are not ours."""

_lock = threading.Lock()
application: Any = None


def _make() -> Any:
    from energy_accounting.api import app
    from energy_accounting.ledger import engine

    path = os.environ.get(CONFIG_FILE)
    try:
        conf = cmd.load([], [path] if path else None)
        # Servers may fork after this: oslo.db drops connections of another
        # process when they are taken from the pool.
        made = app.make_app(conf, engine.Database.from_conf(conf))
        options = conf.keystone_authtoken
        if options.auth_type is None and options.auth_section is None:
            raise errors.ConfigurationError(
                '[keystone_authtoken] auth_type is not set: without it no '
                'token can be checked')
        return made
    except (errors.EnergyAccountingError, cfg.Error,
            # Of the options of a plug-in that signs in.
            exceptions.ClientException) as error:
        # One line in the server's log, and no server.
        raise SystemExit(
            f'energy-accounting: the API cannot start: {error}') from None


with _lock:
    if application is None:
        application = _make()
