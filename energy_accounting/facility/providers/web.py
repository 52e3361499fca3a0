# SPDX-License-Identifier: Apache-2.0
"""Asking a server for JSON that nobody here can vouch for.

Bounded in every way: time, tries, size, hosts.  A number with a fraction
is a Decimal.  What the answer means is the callers'.
"""

from __future__ import annotations

import dataclasses
import decimal
import http.client
import json
import logging
import os
import stat
import time
import urllib.parse
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

import requests
import urllib3
from oslo_config import cfg

from energy_accounting import errors

LOG = logging.getLogger(__name__)

_TRY_AGAIN = frozenset({408, 425, 429, 500, 502, 503, 504})
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_MAX_REDIRECTS = 3
# The longest that a server's Retry-After is obeyed.
_PATIENCE_SECONDS = 30.0
# Little enough that what unpacks to a thousand times as much is harmless.
_PIECE = 16 * 1024
_LOOPBACK = frozenset({'127.0.0.1', '::1', 'localhost'})
# Digits beyond are no measurement, and what reads them gets slow.
_MAX_DIGITS = 40


class Answerless(Exception):
    """There is no answer that can be used; says why.

    :ivar again: seconds after which another try may help; None: none will.
    """

    def __init__(self, text: str, again: float | None = None) -> None:
        super().__init__(text)
        self.again = again


@dataclasses.dataclass(frozen=True, slots=True)
class Web:
    """How servers are asked.

    :ivar timeout: seconds that one try may take in all.
    :ivar tries: at least 1.
    :ivar most_bytes: the longest answer, unpacked.
    :ivar sleep: waits so many seconds between tries.
    :ivar ca_file: whose certificates are trusted; None: the system's.
    """

    timeout: float = 20.0
    tries: int = 3
    most_bytes: int = 16 * 2**20
    sleep: Callable[[float], None] = time.sleep
    ca_file: str | None = None

    def get(self, url: str, query: Mapping[str, str],
            headers: Mapping[str, str] | None = None) -> Any:
        """The JSON value that a server answers with.

        :param headers: never logged, never sent to another host.
        :raises Answerless: says why there is none.
        """
        wait = 1.0
        for count in range(self.tries):
            try:
                return parsed(self._once(url, query, headers or {}))
            except Answerless as error:
                last = count + 1 == self.tries
                if error.again is None or last:
                    raise Answerless(
                        f'{error} ({count + 1} tries)' if count
                        else str(error)) from error
                pause = min(max(wait, error.again), _PATIENCE_SECONDS)
                LOG.info('%s: %s; asked again in %.0f s', _host(url), error,
                         pause)
            self.sleep(pause)
            wait *= 2
        raise AssertionError('tries is below 1')

    def _once(self, url: str, query: Mapping[str, str],
              headers: Mapping[str, str]) -> bytes:
        deadline = time.monotonic() + self.timeout
        try:
            with requests.Session() as session:
                asked = session.prepare_request(requests.Request(
                    'GET', url, params=dict(query), headers={
                        'Accept': 'application/json',
                        'User-Agent': 'energy-accounting', **headers}))
                for _ in range(_MAX_REDIRECTS + 1):
                    # Proxies and certificates as the environment says.
                    settings = session.merge_environment_settings(
                        asked.url or url, {}, True, self.ca_file, None)
                    answer = session.send(
                        asked, allow_redirects=False, timeout=self.timeout,
                        **settings)
                    with answer:
                        if answer.status_code not in _REDIRECTS:
                            return self._body(answer, deadline)
                        asked = _follow(answer, asked)
        except requests.exceptions.SSLError as error:
            raise Answerless('its certificate is not trusted: '
                             f'{_first_line(error)}') from error
        except (requests.RequestException, urllib3.exceptions.HTTPError,
                OSError) as error:
            raise Answerless(_in_words(error, self.timeout), 0.0) from error
        raise Answerless('it redirects in circles')

    def _body(self, answer: requests.Response, deadline: float) -> bytes:
        status = answer.status_code
        if status in _TRY_AGAIN:
            raise Answerless(f'it answers {status} {answer.reason}',
                             _retry_after(answer))
        if status != 200:
            raise Answerless(f'it answers {status} {answer.reason}')
        kind = answer.headers.get('Content-Type', 'nothing')
        if kind.partition(';')[0].strip().lower() != 'application/json':
            raise Answerless(f'its answer is {kind[:64]!r} and not '
                             'application/json')
        return self._whole(answer, deadline)

    def _whole(self, answer: requests.Response, deadline: float) -> bytes:
        pieces, size = [], 0
        while piece := answer.raw.read1(_PIECE, decode_content=True):
            pieces.append(piece)
            size += len(piece)
            if size > self.most_bytes:
                raise Answerless(
                    f'its answer is longer than {self.most_bytes} bytes')
            if time.monotonic() > deadline:
                raise Answerless('its answer takes longer than '
                                 f'{self.timeout:g} s', 0.0)
        promised = answer.headers.get('Content-Length', '')
        if (promised.isdigit() and 'Content-Encoding' not in answer.headers
                and size != int(promised)):
            raise Answerless(f'its answer ends after {size} of {promised} '
                             'bytes', 0.0)
        return b''.join(pieces)


def check_url(url: str, option: str) -> str:
    """An address that may be asked.

    :raises errors.ConfigurationError: names the option.
    """
    parts = urllib.parse.urlsplit(url)
    if not parts.hostname or parts.username or parts.query or not (
            parts.scheme == 'https' or (parts.scheme == 'http'
                                        and parts.hostname in _LOOPBACK)):
        raise errors.ConfigurationError(
            f'{option}: {url[:128]!r} is no address that is asked: give one '
            'that begins with https://, without user and query')
    return url.rstrip('/')


def token_of(path: str, option: str) -> str:
    """The token in a file that nobody else can read.

    :raises errors.ConfigurationError: says what to do.
    """
    if not path:
        raise errors.ConfigurationError(
            f'{option} is not set: name a file with your token in it, of '
            'mode 0600')
    try:
        with open(path, encoding='ascii') as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            text = file.read(4096).strip()
    except (OSError, ValueError) as error:
        # What a ValueError says has the bytes of the file in it.
        reason = (error.strerror if isinstance(error, OSError)
                  else 'it is not ASCII')
        raise errors.ConfigurationError(
            f'{option}: {path} cannot be read: {reason}') from None
    if mode & 0o077:
        raise errors.ConfigurationError(
            f'{option}: {path} has the mode {mode:04o}, so that others can '
            f'read the token: chmod 600 {path}')
    if not text or not text.isprintable() or ' ' in text:
        raise errors.ConfigurationError(
            f'{option}: {path} must hold the token and nothing else')
    return text


def _follow(answer: requests.Response, asked: requests.PreparedRequest,
            ) -> requests.PreparedRequest:
    """The next request of a redirect, which stays on its host."""
    before = str(asked.url)
    after = urllib.parse.urljoin(before,
                                 answer.headers.get('Location', ''))
    if _origin(after) != _origin(before):
        raise Answerless(f'it redirects to {_host(after)!r:.128}, which is '
                         'not asked')
    following = asked.copy()
    following.url = after
    return following


def _origin(url: str) -> tuple[str, str]:
    parts = urllib.parse.urlsplit(url)
    return parts.scheme, parts.netloc


def _host(url: str) -> str:
    return urllib.parse.urlsplit(url).netloc


def _retry_after(answer: requests.Response) -> float:
    text = answer.headers.get('Retry-After', '')
    return float(text) if text.isascii() and text.isdigit() else 0.0


def parsed(text: bytes) -> Any:
    """The value of a JSON text.

    :raises Answerless: it is none, or has a number that is no measurement.
    """
    try:
        return json.loads(text.decode(), parse_float=_number,
                          parse_constant=_no_number)
    except (ValueError, ArithmeticError, RecursionError) as error:
        raise Answerless('its answer is not whole JSON: '
                         f'{_first_line(error)}') from error


def _number(text: str) -> decimal.Decimal:
    if len(text) > _MAX_DIGITS:
        _no_number(text)
    return decimal.Decimal(text)


def _no_number(word: str) -> NoReturn:
    raise ValueError(f'{word[:64]} is not a number that is used here')


def _in_words(error: Exception, timeout: float) -> str:
    """Why nothing came, without the names of the library's classes."""
    causes: list[BaseException] = [error]
    for one in causes:
        causes += [cause for cause in (
            *one.args, getattr(one, 'reason', None), one.__cause__,
            one.__context__) if isinstance(cause, BaseException)
            and cause not in causes]

    def one_is(*kinds: type[BaseException]) -> bool:
        return any(isinstance(one, kinds) for one in causes)

    if one_is(urllib3.exceptions.NameResolutionError):
        return 'its name cannot be resolved'
    if one_is(urllib3.exceptions.IncompleteRead,
              urllib3.exceptions.InvalidChunkLength,
              http.client.IncompleteRead):
        return 'its answer was cut off'
    for one in causes:
        if isinstance(one, OSError) and one.errno and one.strerror:
            return f'it cannot be reached: {one.strerror.lower()}'
    # A connection that is refused is one of urllib3's time-outs, too.
    if one_is(TimeoutError, requests.Timeout,
              urllib3.exceptions.TimeoutError):
        return f'it does not answer within {timeout:g} s'
    return _first_line(error)


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:300]


def from_conf(conf: cfg.ConfigOpts) -> Web:
    """As the ``[factors]`` options say."""
    options = conf.factors
    return Web(float(options.timeout_seconds), options.tries,
               options.max_answer_mib * 2**20)
