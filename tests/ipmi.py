# SPDX-License-Identifier: Apache-2.0
"""A BMC that speaks IPMI 2.0 (RMCP+), for ipmitool to ask.

The protocol is pyghmi's, which VirtualBMC is made of; it knows no DCMI, so
that Get Power Reading (DCMI 1.5, 6.6.1) is answered here.  Run as a program
it listens until it is killed; its power is what a file says.
"""

from __future__ import annotations

import contextlib
import os
import pathlib
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

USER, PASSWORD = 'energy', 'hush-hush'
_GROUP_DCMI, _DCMI, _POWER_READING = 0x2C, 0xDC, 2
_ACTIVE = 0x40


def _serve(port: int, says: pathlib.Path) -> None:
    from pyghmi.ipmi import bmc

    class Bmc(bmc.Bmc):  # type: ignore[misc]

        def handle_raw_request(self, request: Any, session: Any) -> Any:
            if (request['netfn'], request['command']) != (
                    _GROUP_DCMI, _POWER_READING):
                return super().handle_raw_request(request, session)
            watts, state = map(int, says.read_text().split())
            # Now, least, most, mean (W), time stamp, period (ms), state.
            return session.send_ipmi_response(data=list(struct.pack(
                '<BHHHHIIB', _DCMI, watts, 1, 999, watts, 1_700_000_000,
                1000, state)))

    served = Bmc({USER: PASSWORD}, port=port)
    print('ready', flush=True)
    served.listen()


class Bmc:
    """A running one.

    :ivar command: the words that ask it; the password is in no argument.
    """

    def __init__(self, port: int, says: pathlib.Path) -> None:
        self._says = says
        self.command = ['ipmitool', '-I', 'lanplus', '-H', '127.0.0.1',
                        '-p', str(port), '-U', USER, '-E', '-N', '1', '-R',
                        '1', 'dcmi', 'power', 'reading']

    def draw(self, watts: int, *, active: bool = True) -> None:
        """Draw so much from now on, and measure it or not."""
        other = self._says.with_suffix('.new')
        other.write_text(f'{watts} {_ACTIVE if active else 0}')
        os.replace(other, self._says)


@contextlib.contextmanager
def running(directory: pathlib.Path) -> Iterator[Bmc]:
    """One on a free port of the loopback interface."""
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as free:
        free.bind(('::1', 0))
        port = free.getsockname()[1]
    says = directory / 'power'
    bmc = Bmc(port, says)
    bmc.draw(200)
    with subprocess.Popen([sys.executable, '-m', 'tests.ipmi', str(port),
                           str(says)], stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == b'ready\n'
            yield bmc
        finally:
            process.kill()


if __name__ == '__main__':
    _serve(int(sys.argv[1]), pathlib.Path(sys.argv[2]))
