# SPDX-License-Identifier: Apache-2.0
"""The service's own processes, and the ``openstack`` command beside them.

A region is a notifier, a collector and an API with a configuration file, as
an operator would have them; nothing of the package is imported here.
"""

from __future__ import annotations

import json
import os
import pathlib
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from typing import Any

from tests import servers

BIN = pathlib.Path(sys.executable).parent


# Ends with the tests, even if they are killed.
DIE_TOGETHER = ('setpriv', '--pdeathsig', 'TERM')


class Region(servers.Server):
    """The processes of one region, each with its log in one file.

    :param options: of the configuration file, by section.
    """

    def __init__(self, where: pathlib.Path, name: str,
                 options: dict[str, str]) -> None:
        self.name = name
        self.options = options
        super().__init__(where)

    def prepare(self) -> None:
        self.port = servers.free_port()
        self.url = f'http://{servers.LOOPBACK}:{self.port}'
        self.conf = self.path / 'energy-accounting.conf'
        self.conf.write_text('\n'.join(
            f'[{section}]\n{text}' for section, text in self.options.items())
            + '\n')
        self.run(str(BIN / 'energy-accounting-manage'), '--config-file',
                 str(self.conf), 'db', 'sync')

    def launch(self) -> None:
        self.launch_api()
        self.spawn(*DIE_TOGETHER, str(BIN / 'energy-accounting-collector'),
                   '--config-file', str(self.conf))

    def launch_api(self) -> None:
        self.spawn(*DIE_TOGETHER, str(BIN / 'waitress-serve'),
                   f'--listen={servers.LOOPBACK}:{self.port}',
                   'energy_accounting.wsgi.api:application',
                   env={'OS_ENERGY_ACCOUNTING_CONFIG_FILE': str(self.conf)})

    def answers(self) -> bool:
        try:
            with urllib.request.urlopen(f'{self.url}/healthcheck',
                                        timeout=30):
                return True
        except (OSError, urllib.error.URLError):
            return False

    def meter(self) -> None:
        """Start the notifier."""
        self.spawn(*DIE_TOGETHER, str(BIN / 'energy-accounting-notifier'),
                   '--config-file', str(self.conf))
        self.notifier = self.processes[-1]

    def end_metering(self) -> int:
        """Stop the notifier as systemd would; its exit status."""
        self.notifier.send_signal(signal.SIGTERM)
        return self.notifier.wait(60)


class Openstack:
    """The ``openstack`` command as one user."""

    def __init__(self, home: pathlib.Path, **login: str) -> None:
        self._environment = {
            'PATH': os.environ['PATH'], 'HOME': str(home),
            'PYTHONWARNINGS': 'ignore', **login}

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(BIN / 'openstack'), *words], env=self._environment,
            capture_output=True, text=True, check=False)

    def energy(self, *words: str) -> Any:
        """What an energy command answers, as JSON.

        :raises RuntimeError: with what it wrote when it fails.
        """
        done = self.run('energy', *words, '-f', 'json')
        if done.returncode:
            raise RuntimeError(f'openstack energy {" ".join(words)}: '
                               f'{done.stderr}')
        return json.loads(done.stdout)
