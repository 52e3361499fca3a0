# SPDX-License-Identifier: Apache-2.0
"""Who runs beside others, and who has the processors for itself.

What measures how much a guest computes must not share the processors with
other tests: it asks for quiet, waits for those who are at something and
lets nobody begin before it is done.  Files in ``EA_TEST_CACHE`` are the
locks, so that it holds between processes and goes with them; without that
variable there is nobody else.  Only the standard library.
"""

from __future__ import annotations

import contextlib
import fcntl
import functools
import os
import pathlib
from collections.abc import Iterator


@functools.cache
def _lock(name: str) -> int | None:
    cache = os.environ.get('EA_TEST_CACHE')
    if not cache:
        return None
    path = pathlib.Path(cache)
    path.mkdir(parents=True, exist_ok=True)
    return os.open(path / f'{name}.lock', os.O_RDWR | os.O_CREAT, 0o666)


def _change(name: str, operation: int) -> None:
    lock = _lock(name)
    if lock is not None:
        fcntl.flock(lock, operation)


def _enter(operation: int) -> None:
    """Through a door that whoever waits for quiet keeps shut."""
    _change('door', fcntl.LOCK_EX)
    try:
        _change('room', operation)
    finally:
        _change('door', fcntl.LOCK_UN)


@contextlib.contextmanager
def among_others() -> Iterator[None]:
    """Be at something that takes processor time."""
    _enter(fcntl.LOCK_SH)
    try:
        yield
    finally:
        _change('room', fcntl.LOCK_UN)


@contextlib.contextmanager
def alone() -> Iterator[None]:
    """Of those who are :func:`among_others`, be the only one."""
    # Two who both want it must not wait for each other.
    _change('room', fcntl.LOCK_UN)
    _enter(fcntl.LOCK_EX)
    try:
        yield
    finally:
        _change('room', fcntl.LOCK_SH)
