# SPDX-License-Identifier: Apache-2.0
"""The virtual environment that the acceptance tests' Keystone runs in.

It is installed from the package index into ``EA_TEST_CACHE`` once.  Only
the standard library: ``tools/run-tests`` makes it while the tests' own
environment is being made.  Nothing is started here.
"""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys
import tempfile

REQUIREMENTS = ('keystone>=27', 'PyMySQL', 'waitress')


def installed() -> pathlib.Path:
    """The bin directory of the environment that has Keystone."""
    cache = pathlib.Path(os.environ.get('EA_TEST_CACHE')
                         or pathlib.Path(tempfile.gettempdir())
                         / f'ea-test-cache-{os.getuid()}')
    where = cache / 'keystone'
    ready = where / '.installed'
    wanted = f'{sys.version} {" ".join(REQUIREMENTS)}'
    if not ready.exists() or ready.read_text() != wanted:
        subprocess.run([sys.executable, '-m', 'venv', '--clear', where],
                       check=True)
        subprocess.run([where / 'bin/pip', 'install', '-q', *REQUIREMENTS],
                       check=True)
        ready.write_text(wanted)
    return where / 'bin'


if __name__ == '__main__':
    installed()
