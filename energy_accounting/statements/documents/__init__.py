# SPDX-License-Identifier: Apache-2.0
"""Statements as documents: canonical JSON, CSV of lines, HTML, PDF.

What is said is in ``words``; nothing is computed here that a statement does
not hold but sums of its lines.
"""

from __future__ import annotations

from collections.abc import Iterator

import sqlalchemy as sa

from energy_accounting.ledger import statements as store
from energy_accounting.statements import stored
from energy_accounting.statements.documents import table


def render(connection: sa.Connection, one: store.Stored, form: str,
           language: str) -> Iterator[bytes]:
    """A document in a form, piece by piece.

    :param form: ``json``, ``csv``, ``html`` or ``pdf``.
    :param language: of what people read: ``en`` or ``de``.
    """
    match form:
        case 'json':
            for text in stored.document(connection, one):
                yield text.encode()
        case 'csv':
            yield from table.rows(
                one, stored.lines_of(connection, one))


def file_name(one: store.Stored, form: str) -> str:
    """What a document is called: words that every file system takes."""
    owner = ''.join(letter for letter in one.project_id
                    if letter.isascii() and letter.isalnum()) or 'operator'
    revision = f'r{one.revision}' if one.revision else 'provisional'
    return f'energy-{owner[:64]}-{one.period}-{revision}.{form}'
