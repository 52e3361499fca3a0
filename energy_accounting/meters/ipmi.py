# SPDX-License-Identifier: Apache-2.0
"""The power of a whole node, as its BMC tells the node itself (DCMI).

For nodes whose kernel shows no meter in hwmon.  The words are those of
ipmitool's ``dcmi power reading`` (DCMI 1.5, 6.6.1 Get Power Reading).  It is
asked by a thread of its own: a BMC may take a second, and no tick waits for
it.  Energy is estimated (``power``).
"""

from __future__ import annotations

import logging
import os
import re
import shlex
import subprocess
import threading
from collections.abc import Callable, Sequence

from oslo_config import cfg

from energy_accounting import clocks, errors, meters, samples, units
from energy_accounting.meters import power

LOG = logging.getLogger(__name__)

ZONE = f'{meters.NODE}-ipmi-power1'
# A reading counts for so many intervals; then there is none.
FRESH_INTERVALS = 3
TIMEOUT_SECONDS = 10

_WATTS = re.compile(
    r'^\s*Instantaneous power reading:\s*([0-9]{1,6})\s*Watts', re.MULTILINE)
# ipmitool's words for a password or a key, with the value beside them or
# not, and behind flags that take none.
_SECRET = re.compile(r'-[46hVvcgsEKYa]*[Pky]')
_STATE = re.compile(r'^\s*Power reading state is:\s*(\w+)', re.MULTILINE)


def watts(text: str) -> int:
    """The watts of an answer.

    :raises errors.MeterError: there are none in it.
    """
    found, state = _WATTS.search(text), _STATE.search(text)
    if found is None or state is None:
        raise errors.MeterError('it answered without a power reading')
    if state[1] != 'activated':
        raise errors.MeterError(
            f'its power reading is {state[1]}: activate it (ipmitool dcmi '
            'power activate)')
    # A node that answers draws something: so says a BMC without a sensor.
    if int(found[1]) == 0:
        raise errors.MeterError('it says 0 W: it measures nothing')
    return int(found[1])


def ask(command: Sequence[str]) -> int:
    """The watts that the command says now.

    :raises errors.MeterError: it says none; why, and what helps.
    """
    name = command[0]
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True,
            timeout=TIMEOUT_SECONDS, check=False,
            env={**os.environ, 'LC_ALL': 'C'})
    except subprocess.TimeoutExpired as error:
        raise errors.MeterError(
            f'{name} took longer than {TIMEOUT_SECONDS} s') from error
    except OSError as error:
        raise errors.MeterError(
            f'{name} cannot be run ({error.strerror}): install it, or say '
            'in [ipmi] command where it is') from error
    if done.returncode:
        lines = done.stderr.decode('utf-8', 'replace').split('\n')
        why = next((line.strip() for line in lines if line.strip()), '')
        raise errors.MeterError(
            f'{name} ended with {done.returncode} ({why[:200]}): the module '
            'ipmi_devintf must be loaded, and /dev/ipmi0 be open to the '
            'user of the notifier')
    return watts(done.stdout.decode('utf-8', 'replace'))


class Ipmi:
    """The newest reading of a BMC, kept by a thread.

    :param now_ns: the boottime.
    :raises errors.MeterError: the first one cannot be had.
    """

    basis = (ZONE,)
    max_power_uw: int | None = meters.NODE_MAX_UW

    def __init__(self, command: Sequence[str], interval_seconds: int,
                 now_ns: Callable[[], int]) -> None:
        self._command = command
        self._interval_seconds = interval_seconds
        self._now_ns = now_ns
        self._integral = power.Integral()
        self._complaint = ''
        # Replaced as a whole: watts, and when they were read.
        self._newest = (ask(command), now_ns())
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name='ipmi',
                                        daemon=True)
        self._thread.start()

    def read(self) -> tuple[samples.ZoneReading, ...]:
        now_ns, (newest, at_ns) = self._now_ns(), self._newest
        fresh = now_ns - at_ns <= (
            FRESH_INTERVALS * self._interval_seconds * units.NS_PER_S)
        counter_uj = self._integral.add(
            newest * units.UJ_PER_J if fresh else None, now_ns)
        return (samples.ZoneReading(ZONE, samples.PACKAGE, counter_uj, 0),)

    def close(self) -> None:
        self._stop.set()
        # It may wait for the BMC, and leaves nothing behind.
        self._thread.join(1)

    def _run(self) -> None:
        while not self._stop.wait(self._interval_seconds):
            complaint = ''
            try:
                self._newest = (ask(self._command), self._now_ns())
            except errors.MeterError as error:
                complaint = str(error)
            # Once, and not with every reading.
            if complaint and complaint != self._complaint:
                LOG.warning('the BMC cannot be asked: %s', complaint)
            elif self._complaint and not complaint:
                LOG.info('the BMC answers again')
            self._complaint = complaint


def from_conf(conf: cfg.ConfigOpts) -> Ipmi:
    """The BMC of this host.

    :raises errors.ConfigurationError: there is no command.
    :raises errors.MeterError: it says no power; why, and what helps.
    """
    try:
        command = shlex.split(conf.ipmi.command)
    except ValueError as error:
        raise errors.ConfigurationError(
            f'[ipmi] command: {error}; quote it as for a shell') from error
    if not command or any(map(_SECRET.match, command)):
        raise errors.ConfigurationError(
            '[ipmi] command: name a command, and no password or key in it '
            '(-P, -k, -y): everybody on the host could read it; ipmitool '
            'reads it from a file (-f)')
    try:
        meter = Ipmi(command, conf.ipmi.interval_seconds,
                     clocks.SystemClock().boottime_ns)
    except errors.MeterError as error:
        raise errors.MeterError(f'no node meter by IPMI: {error}') from error
    LOG.info('the BMC is asked every %d s: energy is estimated from its '
             'power', conf.ipmi.interval_seconds)
    return meter
