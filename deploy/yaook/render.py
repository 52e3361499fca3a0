#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes down what the overlays come to, in ``rendered/``.

    deploy/yaook/render.py

So that a change shows what it does to a cluster, and can be read and
checked where there is no kubectl.  The first line of each file holds a
digest of what it was made from.
"""

from __future__ import annotations

import hashlib
import pathlib
import shutil
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
OVERLAYS = ('example', 'gateway')
TARGETS = {f'{overlay}{part.replace("/", "-")}': f'overlays/{overlay}{part}'
           for overlay in OVERLAYS
           for part in ('', '/endpoint', '/upgrade')}


def digest() -> str:
    """Of every file that a rendering may depend on."""
    found = hashlib.sha256()
    # An operator's own overlay is no part of it.
    for part in ('base', 'components',
                 *(f'overlays/{overlay}' for overlay in OVERLAYS)):
        for path in sorted((HERE / part).rglob('*')):
            if path.is_file() and '__pycache__' not in path.parts:
                found.update(f'{path.relative_to(HERE)}\n'.encode())
                found.update(hashlib.sha256(path.read_bytes()).digest())
    return found.hexdigest()


def header() -> str:
    return f'# Made by render.py of {digest()}\n'


def render(target: str) -> str:
    """What kubectl makes of a target."""
    kubectl = shutil.which('kubectl')
    if kubectl is None:
        raise SystemExit('kubectl is not installed')
    return subprocess.run(
        [kubectl, 'kustomize', str(HERE / TARGETS[target])], check=True,
        capture_output=True, text=True).stdout


def main() -> int:
    for target in TARGETS:
        (HERE / 'rendered' / f'{target}.yaml').write_text(
            header() + render(target))
    return 0


if __name__ == '__main__':
    sys.exit(main())
