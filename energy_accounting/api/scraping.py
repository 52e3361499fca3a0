# SPDX-License-Identifier: Apache-2.0
"""A bearer token of its own for what scrapes ``/metrics``.

Prometheus cannot ask Keystone for a token.  Nothing but that one path is
ever behind this.
"""

from __future__ import annotations

import hmac
import os
import pathlib
import re
import stat
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from energy_accounting import errors

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

# What an HTTP header can hold of RFC 6750, and enough not to be guessed.
_TOKEN = re.compile(rb'[A-Za-z0-9._~+/-]{16,4096}=*')


def token(path: str) -> bytes:
    """The token in a file.

    :raises errors.ConfigurationError: it is none, or everybody's.
    """
    option = '[api] metrics_token_file'
    try:
        with pathlib.Path(path).open('rb') as file:
            if os.fstat(file.fileno()).st_mode & stat.S_IRWXO:
                raise errors.ConfigurationError(
                    f'{option}: others may read {path}: run chmod o= {path}')
            found = file.read(8192).strip()
    except OSError as error:
        raise errors.ConfigurationError(
            f'{option}: {path} cannot be read: {error.strerror}') from error
    if not _TOKEN.fullmatch(found):
        raise errors.ConfigurationError(
            f'{option}: {path} holds no token: write at least 16 letters and '
            'digits, such as openssl rand -hex 32 gives')
    return found


class Scraped:
    """Whoever shows the token is let in; all others ask Keystone."""

    def __init__(self, opened: WSGIApplication, other: WSGIApplication,
                 wanted: bytes) -> None:
        self._opened = opened
        self._other = other
        self._wanted = wanted

    def __call__(self, environ: Any, start_response: Any) -> Iterable[bytes]:
        kind, _, given = environ.get('HTTP_AUTHORIZATION', '').partition(' ')
        shown = kind.lower() == 'bearer' and hmac.compare_digest(
            given.strip().encode('latin-1', 'replace'), self._wanted)
        return (self._opened if shown else self._other)(environ,
                                                        start_response)
