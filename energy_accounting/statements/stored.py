# SPDX-License-Identifier: Apache-2.0
"""What was closed, line by line, as everything that leaves here reads it.

The seam for exports: :func:`lines_of` yields a statement's lines in their
order, a block of them in memory at a time.
"""

from __future__ import annotations

from collections.abc import Iterator

import sqlalchemy as sa

from energy_accounting import errors
from energy_accounting.ledger import statements as store
from energy_accounting.statements import content, lines


def texts_of(connection: sa.Connection, stored: store.Stored,
             first: int = 0) -> Iterator[str]:
    """The canonical texts of the lines from one on.

    :raises errors.Damaged: a block is not as it was written.
    """
    for number, block in store.blocks(connection, stored.id, first):
        try:
            found = content.line_texts(block)
        except ValueError as error:
            raise errors.Damaged(
                f'statement {stored.statement} revision {stored.revision}: '
                f'what is kept of the lines from {number} on cannot be read; '
                'restore the table statement_blocks from a backup',
            ) from error
        yield from found[max(0, first - number):]


def lines_of(connection: sa.Connection, stored: store.Stored,
             first: int = 0) -> Iterator[lines.Line]:
    """The lines from one on, in their order."""
    return map(content.line, texts_of(connection, stored, first))


def document(connection: sa.Connection, stored: store.Stored,
             ) -> Iterator[str]:
    """The canonical form, of which the digest is, piece by piece."""
    return content.texts(stored.head, texts_of(connection, stored))


def charged(stored: store.Stored) -> bool:
    """Whether it speaks of money."""
    return 'cost' in stored.head['totals']
