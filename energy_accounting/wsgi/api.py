# SPDX-License-Identifier: Apache-2.0
"""The WSGI application of the API, for uWSGI, mod_wsgi, gunicorn.

Nothing but the call of the factory belongs here: importing this module
reads the configuration and builds the application, always with auth_token.
"""

from __future__ import annotations

import os
import threading
from typing import Any

from energy_accounting import cmd

CONFIG_FILE = 'OS_ENERGY_ACCOUNTING_CONFIG_FILE'
"""Names the configuration file, where it is not at a usual place: the
arguments of a WSGI server are not ours."""

_lock = threading.Lock()
application: Any = None


def _make() -> Any:
    from energy_accounting.api import app
    from energy_accounting.ledger import engine

    path = os.environ.get(CONFIG_FILE)
    conf = cmd.load([], [path] if path else None)
    # Servers may fork after this: oslo.db drops connections of another
    # process when they are taken from the pool.
    return app.make_app(conf, engine.Database.from_conf(conf))


with _lock:
    if application is None:
        application = _make()
