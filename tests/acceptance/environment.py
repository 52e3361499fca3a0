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
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator

from tests import quiet

# What is needed first stands first: they are made in this order.
REQUIREMENTS = {
    'keystone': ('keystone>=27', 'PyMySQL', 'waitress'),
}


def installed(name: str) -> pathlib.Path:
    """The bin directory of an environment, made if it is not there."""
    cache = pathlib.Path(os.environ.get('EA_TEST_CACHE')
                         or pathlib.Path(tempfile.gettempdir())
                         / f'ea-test-cache-{os.getuid()}')
    cache.mkdir(parents=True, exist_ok=True)
    where = cache / name
    ready = where / '.installed'
    wanted = f'{sys.version} {" ".join(REQUIREMENTS[name])}'
    with _alone(cache / f'{name}.lock'):
        if not ready.exists() or ready.read_text() != wanted:
            subprocess.run([sys.executable, '-m', 'venv', '--clear', where],
                           check=True)
            subprocess.run([where / 'bin/pip', 'install', '-q',
                            *REQUIREMENTS[name]], check=True)
            ready.write_text(wanted)
    return where / 'bin'


@contextlib.contextmanager
def _alone(path: pathlib.Path) -> Iterator[None]:
    """Hold a lock that goes with the process, however that ends."""
    with path.open('w') as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def main() -> int:
    """Make those that are named, or all; 1 if one cannot be made."""
    failed = 0
    for name in sys.argv[1:] or REQUIREMENTS:
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
