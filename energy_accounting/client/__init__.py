# SPDX-License-Identifier: Apache-2.0
"""One HTTP client of the energy API, for the CLI, Horizon and scripts.

Answers are the API's own JSON values: figures stay the strings that were
sent, so that nobody rounds them by accident.  Only keystoneauth and the
standard library are imported here; printing, rounding and the meaning of
words such as "this month" belong to the callers.

:mod:`~energy_accounting.client.rows` says what the answers look like, for
type checkers; nothing imports it at run time.
"""

from energy_accounting.client.errors import (
    Conflict,
    Error,
    Forbidden,
    IncompatibleVersion,
    Invalid,
    NotFound,
    TimedOut,
    Unauthorized,
    Unavailable,
)
from energy_accounting.client.nouns import Client
from energy_accounting.client.transport import (
    DEFAULT_MICROVERSION,
    SERVICE_TYPE,
    Page,
    Pages,
    Row,
)

__all__ = (
    'DEFAULT_MICROVERSION', 'SERVICE_TYPE', 'Client', 'Conflict', 'Error',
    'Forbidden', 'IncompatibleVersion', 'Invalid', 'NotFound', 'Page',
    'Pages', 'Row', 'TimedOut', 'Unauthorized', 'Unavailable')
