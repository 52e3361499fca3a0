# SPDX-License-Identifier: Apache-2.0
"""The way of windows from the notifier to the collector: one RPC method.

``book(records)`` takes consecutive records of one stream, each as a signed
JSON text, and answers after the commit with a result for each and the
sequence number that is expected next.  Only oslo.messaging is dealt with
here; nothing about spools or ledgers.
"""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

from oslo_concurrency import lockutils
from oslo_config import cfg
from oslo_service import backend

from energy_accounting import errors, samples

# oslo.messaging imports oslo.service, whose default is still eventlet, and
# eventlet's resolver for DNS, which nobody uses: 15 MiB on every hypervisor.
os.environ.setdefault('EVENTLET_NO_GREENDNS', 'yes')
backend.register_backend_default_hook(
    lambda: backend.BackendType.THREADING)

with warnings.catch_warnings():
    warnings.filterwarnings('ignore', message=r'\s*Eventlet is deprecated')
    import oslo_messaging as messaging

LOG = logging.getLogger(__name__)

EXCHANGE = 'energy_accounting'
TOPIC = 'energy-accounting'
VERSION = '1.0'

CALL_SECONDS = 60


class Reply(NamedTuple):
    """The collector's answer.

    :ivar results: one of :data:`samples.RESULTS` for each record.
    :ivar expects: the sequence number it wants next.
    :ivar detail: why, for those that were not simply booked.
    """

    results: tuple[str, ...]
    expects: int
    detail: tuple[str, ...] = ()


class Endpoint(Protocol):
    """What answers: the collector."""

    def book(self, ctxt: dict[str, Any],
             records: list[list[str]]) -> dict[str, Any]: ...


def prepare(conf: cfg.ConfigOpts) -> None:
    """Settle what the library would otherwise find out too late.

    :raises errors.ConfigurationError: when no bus is named: it would look
        for one on this machine, for ever.
    """
    try:
        messaging.TransportURL.parse(conf)
    except messaging.InvalidTransportURL as error:
        raise errors.ConfigurationError(
            f'[DEFAULT] transport_url cannot be used: {error}') from error
    if conf.transport_url in (None, '', 'rabbit://'):
        raise errors.ConfigurationError(
            '[DEFAULT] transport_url is not set: name the message bus, e.g. '
            'rabbit://user:password@host:5672/vhost')
    # The queue manager (use_queue_manager) keeps a lock file.
    lockutils.set_defaults(os.path.join(conf.state_path, 'lock'))


def make_transport(conf: cfg.ConfigOpts, url: str | None = None) -> Any:
    """The transport of a URL, or of ``transport_url``.

    Make it after a fork, never before.

    :raises errors.ConfigurationError: when the URL or its driver is wrong.
    """
    try:
        # No exception class of the other side is ever made here.
        return messaging.get_rpc_transport(conf, url=url,
                                           allowed_remote_exmods=[])
    except (messaging.InvalidTransportURL, messaging.DriverLoadFailure,
            ValueError) as error:
        raise errors.ConfigurationError(
            '[DEFAULT] transport_url cannot be used (is it of the form '
            f'rabbit://user:password@host:5672/vhost?): {error}') from error


class Caller:
    """The notifier's side."""

    def __init__(self, transport: Any,
                 timeout_seconds: int = CALL_SECONDS) -> None:
        target = messaging.Target(exchange=EXCHANGE, topic=TOPIC,
                                  version=VERSION)
        # retry: how often to reconnect before giving up; the sender has
        # its own patience.  at_least_once: a message that no queue takes
        # is an error at once, not a wait for an answer.
        self._client = messaging.get_rpc_client(
            transport, target, timeout=timeout_seconds, retry=1,
            transport_options=messaging.TransportOptions(at_least_once=True))

    def book(self, records: Sequence[samples.Signed]) -> Reply:
        """Hand records over; they are committed when this returns.

        :raises errors.Unavailable: whatever went wrong, known or not: the
            records may or may not be booked, and are to be sent again.
        """
        try:
            answer = self._client.call(
                {}, 'book', records=[list(record) for record in records])
        except messaging.RemoteError as error:
            raise errors.Unavailable(
                'the collector could not book: '
                f'{error.exc_type}: {error.value}') from error
        except messaging.MessagingTimeout as error:
            raise errors.Unavailable(
                'no collector answered in time') from error
        except messaging.MessageUndeliverable as error:
            raise errors.Unavailable('no collector is listening') from error
        except errors.Unavailable:
            raise  # The in-process transport hands exceptions on.
        except Exception as error:  # Drivers raise what they like.
            raise errors.Unavailable(
                f'the message bus is away: {error}') from error
        return _reply(answer, len(records))


def _reply(answer: Any, count: int) -> Reply:
    try:
        results = tuple(answer['results'])
        expects = answer['expects']
        detail = tuple(str(text) for text in answer.get('detail') or ())
    except (TypeError, KeyError, AttributeError):
        results, expects, detail = (), None, ()
    if (type(expects) is not int or expects < 1 or len(results) != count
            or any(result not in samples.RESULTS for result in results)):
        raise errors.Unavailable(
            'the collector answered in a form this version does not know; '
            'upgrade the collector before the notifiers')
    return Reply(results, expects, detail)


class _Exposed:
    """The one method that may be called, whatever else the endpoint has."""

    target = messaging.Target(version=VERSION)

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint

    # A database that is away, or rubbish on the bus, is no bug of ours: no
    # traceback for it.
    @messaging.expected_exceptions(errors.Unavailable, errors.InvalidRecord)
    def book(self, ctxt: dict[str, Any],
             records: list[list[str]]) -> dict[str, Any]:
        try:
            return self._endpoint.book(ctxt, records)
        except errors.InvalidRecord as error:
            LOG.warning('a call was refused: %s', error)
            raise


def make_server(transport: Any, host: str, endpoint: Endpoint) -> Any:
    """An RPC server; the caller starts, stops and waits for it.

    An exception of the endpoint reaches the notifier as a failure, which
    is no acknowledgement.
    """
    target = messaging.Target(exchange=EXCHANGE, topic=TOPIC, server=host)
    return messaging.get_rpc_server(
        transport, target, [_Exposed(endpoint)],
        access_policy=messaging.DefaultRPCAccessPolicy)
