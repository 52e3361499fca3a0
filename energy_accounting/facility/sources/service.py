# SPDX-License-Identifier: Apache-2.0
"""Asking one Redfish service, over one connection, as DSP0266 says.

Bounded in every way: the time of all requests together, the size of an
answer, the host.  Certificates are always checked; proxies, .netrc and
whatever else the environment says do not count.  What an answer means is
in ``redfish``.
"""

from __future__ import annotations

import base64
import contextlib
import dataclasses
import datetime
import email.utils
import http.client
import json
import logging
import socket
import ssl
import threading
import time
import urllib.parse
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from energy_accounting import units
from energy_accounting.facility import addresses
from energy_accounting.facility.providers import web
from energy_accounting.facility.sources import credentials

LOG = logging.getLogger(__name__)

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_MAX_REDIRECTS = 3
_SESSIONS = '/redfish/v1/SessionService/Sessions'
_PIECE = 16 * 1024
_GOODBYE_SECONDS = 3.0


class Unanswered(Exception):
    """There is no answer that can be used; says why.

    :ivar status: of HTTP; None: it did not come to that.
    """

    def __init__(self, text: str, status: int | None = None) -> None:
        super().__init__(text)
        self.status = status


class Answer(NamedTuple):
    """What a service says of a resource.

    :ivar path: where it was found.
    :ivar sent_ns: when it was asked, by our clock.
    :ivar came_ns: when the answer began to come, by our clock.
    :ivar date_ns: when it answered, by its own clock; None: not said.
    """

    path: str
    body: dict[str, Any]
    sent_ns: int
    came_ns: int
    date_ns: int | None


class _Came(NamedTuple):
    http: http.client.HTTPResponse
    sent_ns: int
    at_ns: int
    body: bytes


@dataclasses.dataclass(frozen=True, slots=True)
class Manner:
    """How services are asked.

    :ivar timeout: seconds that all requests for one meter may take.
    :ivar most_bytes: the longest answer.
    :ivar trusted: whose certificates are believed.
    :ivar clock: nanoseconds since 1970.
    """

    trusted: ssl.SSLContext
    timeout: float = 20.0
    most_bytes: int = 2**20
    clock: Callable[[], int] = time.time_ns


class Service:
    """One service; a context that says good-bye at its end."""

    def __init__(self, origin: addresses.Origin,
                 credential: credentials.Credential, manner: Manner) -> None:
        self._origin = origin
        self._credential = credential
        self._manner = manner
        self._connection = _connection(origin, manner)
        self._deadline = 0.0
        self._session: str | None = None
        self._token: str | None = None

    def __repr__(self) -> str:
        return f'<Redfish at {self._origin.name}>'

    def __enter__(self) -> Service:
        return self

    def __exit__(self, *_error: object) -> None:
        if self._session is not None:
            # It would end by itself, but a service has few of them.
            with contextlib.suppress(Unanswered), \
                    self.within(_GOODBYE_SECONDS):
                self._exchange('DELETE', self._session, self._rights())
        self._connection.close()

    @contextlib.contextmanager
    def within(self, seconds: float) -> Iterator[None]:
        """So long may all that is asked inside take, in all."""
        self._deadline = time.monotonic() + seconds
        # A time-out of the socket begins anew with each byte.
        watch = threading.Timer(seconds, self._cut)
        watch.daemon = True
        watch.start()
        try:
            yield
        finally:
            watch.cancel()

    def _cut(self) -> None:
        found = self._connection.sock
        if found is not None:
            with contextlib.suppress(OSError):
                # Not that of TLS, which would say good-bye first.
                socket.socket.shutdown(found, socket.SHUT_RDWR)

    # --- what is asked ------------------------------------------------------

    def get(self, path: str) -> Answer:
        """A resource.

        :param path: as ``@odata.id`` has it.
        :raises Unanswered: says why there is none.
        """
        rights = self._rights()
        for _ in range(_MAX_REDIRECTS + 1):
            path = self._own(path)
            came = self._exchange('GET', path, rights)
            if came.http.status not in _REDIRECTS:
                return Answer(path, _object(came, path), came.sent_ns,
                              came.at_ns, _date(came.http))
            path = urllib.parse.urljoin(path, came.http.headers.get(
                'Location', ''))
        raise Unanswered('it redirects in circles')

    def _rights(self) -> dict[str, str]:
        """The header that says who asks."""
        who = self._credential
        if who.auth == credentials.BASIC:
            pair = f'{who.user}:{who.password}'.encode()
            return {'Authorization':
                    f'Basic {base64.b64encode(pair).decode()}'}
        if self._token is None:
            self._log_in()
        return {'X-Auth-Token': str(self._token)}

    def _log_in(self) -> None:
        who = self._credential
        answer = self._exchange(
            'POST', _SESSIONS, {'Content-Type': 'application/json'},
            json.dumps({'UserName': who.user,
                        'Password': who.password}).encode()).http
        token = answer.headers.get('X-Auth-Token')
        if answer.status not in (200, 201) or not token:
            raise Unanswered(_refusal(
                answer, f'it gives no session at {_SESSIONS}'),
                answer.status)
        self._token = token
        where = answer.headers.get('Location')
        self._session = None if where is None else self._own(where)

    def _own(self, path: str) -> str:
        """A path of this service, of an address that it named."""
        try:
            found = addresses.parsed(
                urllib.parse.urljoin(f'{self._origin.url}/', path))
        except ValueError:
            found = None
        if found is None or found.origin != self._origin:
            raise Unanswered('it refers to another host, which is not '
                             'asked')
        return found.path

    # --- one request --------------------------------------------------------

    def _exchange(self, method: str, path: str, headers: dict[str, str],
                  body: bytes | None = None) -> _Came:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise Unanswered(self._too_long())
        connection = self._connection
        connection.timeout = left
        try:
            if connection.sock is None:
                connection.connect()
            else:
                connection.sock.settimeout(left)
            sent_ns = self._manner.clock()
            connection.request(method, path, body, {
                'Accept': 'application/json', 'OData-Version': '4.0',
                'User-Agent': 'energy-accounting', **headers})
            answer = connection.getresponse()
            LOG.debug('%s: %s %s: %d', self._origin.name, method, path,
                      answer.status)
            return _Came(answer, sent_ns, self._manner.clock(),
                         self._whole(answer))
        except (OSError, http.client.HTTPException, ValueError) as error:
            connection.close()
            raise Unanswered(self._reason(error)) from None
        except Unanswered:
            connection.close()
            raise

    def _whole(self, answer: http.client.HTTPResponse) -> bytes:
        most = self._manner.most_bytes
        pieces, size = [], 0
        while piece := answer.read(_PIECE):
            pieces.append(piece)
            size += len(piece)
            if size > most:
                raise Unanswered(f'its answer is longer than {most} bytes')
        if time.monotonic() >= self._deadline:
            # What was cut looks like fewer headers or a shorter body.
            raise Unanswered(self._too_long())
        if answer.length:
            raise Unanswered(f'its answer ends {answer.length} bytes too '
                             'early')
        return b''.join(pieces)

    def _reason(self, error: Exception) -> str:
        if (time.monotonic() >= self._deadline
                or isinstance(error, TimeoutError)):
            return self._too_long()
        if isinstance(error, ssl.SSLCertVerificationError):
            return ('its certificate is not trusted: '
                    f'{error.verify_message} (see [redfish] ca_file)')
        if isinstance(error, OSError):
            return (error.strerror or type(error).__name__)[:200]
        return f'its answer is not HTTP: {type(error).__name__}'

    def _too_long(self) -> str:
        return f'no answer within {self._manner.timeout:g} s'


def _connection(origin: addresses.Origin,
                manner: Manner) -> http.client.HTTPConnection:
    if origin.scheme == 'http':
        return http.client.HTTPConnection(origin.host, origin.port)
    return _Verified(origin.host, origin.port, context=manner.trusted)


class _Verified(http.client.HTTPSConnection):
    """Its socket is there before the handshake, so that it can be cut."""

    def connect(self) -> None:
        plain = socket.create_connection((self.host, self.port),
                                         self.timeout)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        context: ssl.SSLContext = self._context  # type: ignore[attr-defined]
        self.sock = context.wrap_socket(plain, server_hostname=self.host,
                                        do_handshake_on_connect=False)
        try:
            self.sock.do_handshake()
        except OSError:
            self.close()
            raise


def trusted(ca_file: str | None) -> ssl.SSLContext:
    """Whose certificates are believed: a file's, else the system's.

    :raises OSError: the file cannot be read, or holds no certificate.
    """
    return ssl.create_default_context(cafile=ca_file)


def _object(came: _Came, path: str) -> dict[str, Any]:
    answer = came.http
    if answer.status != 200:
        raise Unanswered(_refusal(answer, f'for {path:.200}'),
                         answer.status)
    kind = answer.headers.get('Content-Type', 'nothing')
    if kind.partition(';')[0].strip().lower() != 'application/json':
        raise Unanswered(f'its answer is {kind[:64]!r} and not '
                         'application/json')
    try:
        found = web.parsed(came.body)
    except web.Answerless as error:
        raise Unanswered(str(error)) from None
    if not isinstance(found, dict):
        raise Unanswered('its answer is not an object')
    return found


def _refusal(answer: http.client.HTTPResponse, what: str) -> str:
    if answer.status in (401, 403):
        return (f'it does not accept the user ({answer.status}): see '
                '[redfish] credentials_file')
    return f'it answers {answer.status} {answer.reason[:64]!r} {what}'


def _date(answer: http.client.HTTPResponse) -> int | None:
    try:
        found = email.utils.parsedate_to_datetime(
            answer.headers.get('Date', ''))
    except (TypeError, ValueError):
        return None
    if found.tzinfo is None:
        found = found.replace(tzinfo=datetime.UTC)
    return units.wall_ns(found)
