# SPDX-License-Identifier: Apache-2.0
"""The WSGI application of the API, for uWSGI, mod_wsgi, gunicorn.

Nothing but the call of the factory belongs here.
"""

from __future__ import annotations

import importlib.metadata
import os
import threading
from typing import Any

from energy_accounting import conf as configuration

_lock = threading.Lock()
application: Any = None


def init_application() -> Any:
    """Configuration, database and pipeline; always with auth_token."""
    from energy_accounting.api import app
    from energy_accounting.ledger import engine

    # A WSGI server's own arguments are not ours: the file comes by name.
    path = os.environ.get('OS_ENERGY_ACCOUNTING_CONFIG_FILE')
    conf = configuration.load(
        [], version=importlib.metadata.version(configuration.NAME),
        default_config_files=[path] if path else None)
    # Servers fork after this: connections of another process are dropped
    # by oslo.db when they are taken from the pool.
    return app.make_app(conf, engine.Database.from_conf(conf))


with _lock:
    if application is None:
        application = init_application()
