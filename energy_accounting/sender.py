# SPDX-License-Identifier: Apache-2.0
"""The sender: what is spooled reaches the collector, in order, once.

When to send, what to do with each answer, and with a collector that has
other records than this host.  How records travel stands in ``rpc``.
"""

from __future__ import annotations

import hashlib
import logging
import random
import threading
from collections.abc import Callable, Sequence

from energy_accounting import clocks, errors, rpc, samples, units
from energy_accounting import spool as spools

LOG = logging.getLogger(__name__)

# Rounds in which the collector may ask for other records than it got.
MAX_REWINDS = 8
BACKOFF_NS = (units.NS_PER_S, 60 * units.NS_PER_S)
# How long a clean stop goes on sending.
FINAL_NS = 3 * units.NS_PER_S


class Sender:
    """Sends what is spooled, in order, until it is acknowledged.

    :param call: hands a batch to the collector and raises
        :class:`errors.Unavailable` when it cannot.
    :param sign: vouches for a record's text.
    :param chance: a number from 0 to 1, to spread retries.
    """

    def __init__(self, spool: spools.Spool,
                 call: Callable[[Sequence[samples.Signed]], rpc.Reply],
                 sign: Callable[[str], samples.Signed],
                 clock: clocks.Clock, *, window_ns: int = 60 * units.NS_PER_S,
                 chance: Callable[[], float] = random.random) -> None:
        self._spool = spool
        self._call = call
        self._sign = sign
        self._clock = clock
        self._window_ns = window_ns
        self._chance = chance
        self._wake = threading.Event()
        self._next = spool.acknowledged + 1
        # How many records at a time: one, and then twice as many each
        # time, while the collector has numbers that were not acknowledged
        # here.  If the spool is an old copy, few come into its quarantine.
        self._limit = 1
        spool.subscribe(self._wake.set)

    def send_pending(self, enough: Callable[[], bool] = lambda: False) -> int:
        """Send all there is; how many records were taken.

        :param enough: asked before each batch.
        :raises errors.Unavailable: when the collector could not take them.
        :raises errors.SpoolError: when a new stream cannot be begun.
        """
        taken, rewinds = 0, 0
        while not enough():
            batch = self._spool.records(self._next, self._limit)
            if not batch:
                break
            reply = self._ask(batch)
            has, last = reply.expects - 1, batch[-1].last
            self._limit = (spools.BATCH_RECORDS if has <= last else
                           min(2 * self._limit, spools.BATCH_RECORDS))
            if has < self._next:
                rewinds += 1
                if has + 1 == self._next or rewinds > MAX_REWINDS:
                    raise errors.Unavailable(
                        'the collector takes nothing of stream '
                        f'{self._spool.stream}: it expects record '
                        f'{reply.expects} and answered '
                        f'{reply.results[0]!r} to record {self._next}')
                LOG.warning('the collector expects record %d again (its '
                            'database was restored?): sending from there',
                            reply.expects)
            # Never beyond what was sent: only a record that was answered
            # is known to be the one the collector has.
            through = min(has, last)
            taken += max(0, through + 1 - self._next)
            self._next = through + 1
            self._spool.acknowledge(through)
            if has > last and (samples.QUARANTINED in reply.results
                               or has > self._spool.newest == last):
                self._renew(has)
        return taken

    def _ask(self, batch: Sequence[spools.Record]) -> rpc.Reply:
        """Have a batch booked; after a failure the place is uncertain."""
        limit, self._limit = self._limit, 1
        reply = self._call([self._sign(record.payload) for record in batch])
        self._limit = limit
        self._report(batch, reply)
        return reply

    def _report(self, batch: Sequence[spools.Record],
                reply: rpc.Reply) -> None:
        for record, result in zip(batch, reply.results, strict=True):
            if result == samples.QUARANTINED:
                LOG.error('the collector quarantined record %d of stream %s',
                          record.first, self._spool.stream)
        for detail in reply.detail:
            LOG.warning('the collector says: %s', detail)

    def _renew(self, has: int) -> None:
        """Go on in a new stream: other records bear the same numbers.

        What was answered stays in the old one: the collector has it, in
        its books or in its quarantine.
        """
        LOG.error(
            'the collector has other records of stream %s, up to %d, than '
            'this host: the state directory is an old copy, or another '
            'machine runs under the same name', self._spool.stream, has)
        self._spool.renew('the collector has other records of its numbers',
                          self._next - 1)
        self._next, self._limit = 1, 1

    @property
    def jitter_ns(self) -> int:
        """How long this host waits after a window edge: always the same.

        Windows end at the same moment everywhere; hosts differ in when
        they send, over a quarter of the window.
        """
        digest = hashlib.sha256(self._spool.stream.encode()).digest()
        return (int.from_bytes(digest[:8]) * (self._window_ns // 4)) >> 64

    def run(self, stop: threading.Event) -> None:
        """Send as windows arrive, with patience, until told to stop.

        Then tries once more, for :data:`FINAL_NS` at most beyond a call
        under way; what is not taken stays in the spool.
        """
        failures = 0
        while not stop.is_set():
            self._wake.clear()
            if self._spool.newest < self._next:
                self._clock.wait(self._wake, self._window_ns)
                continue
            if not failures and self._clock.wait(stop, self.jitter_ns):
                break
            failures = self._attempt(failures, stop.is_set)
            if failures:
                self._clock.wait(stop, self._patience_ns(failures))
        deadline_ns = self._clock.boottime_ns() + FINAL_NS
        self._attempt(
            failures, lambda: self._clock.boottime_ns() >= deadline_ns)

    def _attempt(self, failures: int, enough: Callable[[], bool]) -> int:
        """Send; how often in a row it has failed now."""
        try:
            taken = self.send_pending(enough)
        except errors.EnergyAccountingError as error:
            LOG.log(logging.DEBUG if failures else logging.WARNING,
                    'windows wait in the spool (%d): %s',
                    self._spool.newest - self._next + 1, error)
            return failures + 1
        except Exception:
            # Whatever it is, windows are safe in the spool and the next
            # attempt may work.
            LOG.exception('sending failed')
            return failures + 1
        if failures:
            LOG.info('the collector is back: %d windows sent', taken)
        return 0

    def _patience_ns(self, failures: int) -> int:
        first_ns, most_ns = BACKOFF_NS
        delay_ns = min(most_ns, first_ns << min(failures - 1, 32))
        # Half of it at random, so that hosts do not come back together.
        return delay_ns // 2 + int(delay_ns // 2 * self._chance())

    def wake(self) -> None:
        """Have :meth:`run` look again now (after ``stop`` was set)."""
        self._wake.set()
