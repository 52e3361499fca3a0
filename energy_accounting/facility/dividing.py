# SPDX-License-Identifier: Apache-2.0
"""Keeps the platform term up to date, beside a collector that books.

By one thread of each collector, in transactions of its own.  Several may do
the same: a host's row is held while its term is written, and a host that was
looked at just now is passed over.  What is done with a host stands in
``apportioning``.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from energy_accounting import errors, units
from energy_accounting.facility import apportioning
from energy_accounting.ledger import engine

LOG = logging.getLogger(__name__)


class Dividing:
    """Divides what node meters saw, every so many seconds.

    :param clock_ns: the wall clock, nanoseconds since 1970.
    """

    def __init__(self, database: engine.Database,
                 clock_ns: Callable[[], int], interval_seconds: int) -> None:
        self._database = database
        self._clock_ns = clock_ns
        self._interval_seconds = interval_seconds
        # What is logged once, by host; '' the whole of it.
        self._complaints: dict[str, str] = {}

    def run(self, stop: threading.Event) -> None:
        """Divide now and then until told to stop; never raises."""
        while not stop.is_set():
            self.divide(stop)
            stop.wait(self._interval_seconds)

    def divide(self, stop: threading.Event) -> None:
        """Bring every host up to date that nobody else has just looked at."""
        now_ns = self._clock_ns()
        complaint = ''
        try:
            for one in apportioning.apportion(
                    self._database, now_ns, unless_seen_ns=now_ns
                    - self._interval_seconds * units.NS_PER_S // 2):
                self._say(one.host, one.problem or '')
                if one.changed or one.refused:
                    LOG.debug('platform term of %s: %d quarters of an hour '
                              'changed, %d without rows by account',
                              one.host, one.changed, one.refused)
                if stop.is_set():
                    return
        except Exception as error:
            # Whatever it is, this thread goes on, and booking beside it.
            known = isinstance(error, errors.EnergyAccountingError)
            complaint = (str(error) if known
                         else f'{type(error).__name__}: {error}')
            LOG.debug('the platform term', exc_info=not known)
        self._say('', complaint)

    def _say(self, host: str, complaint: str) -> None:
        """Log what is wrong when it becomes so, and when it is over."""
        if complaint == self._complaints.get(host, ''):
            return
        self._complaints[host] = complaint
        whose = f'of host {host}' if host else 'of all hosts'
        if complaint:
            LOG.warning('the platform term %s is left as it is for now: %s',
                        whose, complaint)
        else:
            LOG.info('the platform term %s is divided again', whose)
