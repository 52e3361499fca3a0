# SPDX-License-Identifier: Apache-2.0
"""What a person says of an export that is not done: again, or not at all.

Nothing is sent here.
"""

from __future__ import annotations

from collections.abc import Callable

import sqlalchemy as sa

from energy_accounting import errors
from energy_accounting.ledger import audit, engine
from energy_accounting.ledger import exports as outbox


def retry(database: engine.Database, export: str, actor: audit.Actor,
          now_ns: int) -> outbox.Export:
    """Let what failed or was cancelled be sent; of what waits, nothing.

    :raises errors.Conflict: it is neither.
    :raises errors.NotFound: it is not there.
    """
    def refused(one: outbox.Export) -> str | None:
        return None if one.state == outbox.PLANNED else (
            f'is {one.state} and has not failed: there is nothing to try '
            'again')
    return _decided(database, export, outbox.retry, refused, actor, now_ns)


def cancel(database: engine.Database, export: str, actor: audit.Actor,
           now_ns: int) -> outbox.Export:
    """Give an export up; what was, stays so.

    :raises errors.Conflict: it is confirmed, or a process is at it.
    :raises errors.NotFound: it is not there.
    """
    def refused(one: outbox.Export) -> str | None:
        match one.state:
            case outbox.CANCELLED:
                return None
            case outbox.CONFIRMED:
                return 'is confirmed: it has left, and nothing is given up'
            case _:
                return ('is in the hands of a process, or was a minute ago: '
                        'try again then')
    return _decided(database, export, outbox.cancel, refused, actor, now_ns)


def _decided(database: engine.Database, export: str,
             decide: Callable[[sa.Connection, str, audit.Actor, int], bool],
             refused: Callable[[outbox.Export], str | None],
             actor: audit.Actor, now_ns: int) -> outbox.Export:
    def write(connection: sa.Connection) -> outbox.Export:
        done = decide(connection, export, actor, now_ns)
        one = found(connection, export)
        why = None if done else refused(one)
        if why is not None:
            raise errors.Conflict(f'export {export} {why}')
        return one
    return database.write(write)


def found(connection: sa.Connection, export: str) -> outbox.Export:
    """:raises errors.NotFound: there is no such export."""
    one = outbox.find(connection, export)
    if one is None:
        raise errors.NotFound(f'there is no export {export[:64]!r}: give '
                              'the id of one that the list has')
    return one
