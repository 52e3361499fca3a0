# SPDX-License-Identifier: Apache-2.0
"""Addresses of services that are asked with a password.  Pure.

Where a password may go: over TLS to the very host that it was given for.
What such a service says is not understood here.
"""

from __future__ import annotations

import urllib.parse
from typing import NamedTuple

LOOPBACK = frozenset({'127.0.0.1', '::1', 'localhost'})
_PORTS = {'https': 443, 'http': 80}


class Origin(NamedTuple):
    """Where a service is: what must be the same for a password to go."""

    scheme: str
    host: str
    port: int

    @property
    def name(self) -> str:
        """For people: the host, and the port where it is not the usual."""
        host = f'[{self.host}]' if ':' in self.host else self.host
        return (host if self.port == _PORTS[self.scheme]
                else f'{host}:{self.port}')

    @property
    def url(self) -> str:
        """Without a slash at its end."""
        return f'{self.scheme}://{self.name}'


class Address(NamedTuple):
    """A resource of a service, or a property of one.

    :ivar path: with the query, if any.
    :ivar pointer: of a property (RFC 6901), else empty.
    """

    origin: Origin
    path: str
    pointer: str


def parsed(text: str) -> Address:
    """An address that may be asked with a password.

    http only on the loopback interface.

    :raises ValueError: says why it may not, without the address: a
        password may be in it.
    """
    try:
        parts = urllib.parse.urlsplit(text)
        host, port = parts.hostname or '', parts.port
    except ValueError:
        raise ValueError('it is no address') from None
    if '@' in parts.netloc:
        raise ValueError('it must have no user in it: users are named in '
                         '[redfish] credentials_file')
    if not host or not (parts.scheme == 'https' or (
            parts.scheme == 'http' and host in LOOPBACK)):
        raise ValueError('it must begin with https:// and a host')
    if not text.isascii() or not text.isprintable() or ' ' in text:
        raise ValueError('it must be of ASCII characters without blanks')
    if parts.fragment and not parts.fragment.startswith('/'):
        raise ValueError('what follows # must be a property, such as '
                         '#/EnergykWh/LifetimeReading')
    return Address(
        Origin(parts.scheme, host, port or _PORTS[parts.scheme]),
        urllib.parse.urlunsplit(('', '', parts.path or '/', parts.query,
                                 '')), parts.fragment)
