# SPDX-License-Identifier: Apache-2.0
"""Statements as documents: canonical JSON, CSV of lines, HTML, PDF.

What is said is in ``words``; nothing is computed here that a statement does
not hold but sums of its lines.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import sqlalchemy as sa

from energy_accounting import tariffs, units
from energy_accounting.ledger import statements as store
from energy_accounting.statements import stored
from energy_accounting.statements.documents import (
    page,
    pdf,
    summary,
    table,
)

PDF_SERVERS = 200
"""So many servers a PDF lists: laying out one takes a few milliseconds, and
nobody turns two hundred pages."""


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
        case 'html':
            for text in _page(connection, one, language).pieces():
                yield text.encode()
        case 'pdf':
            made = units.iso(units.moment(
                one.created_ns // units.NS_PER_S * units.NS_PER_S))
            yield pdf.of_html(''.join(_page(
                connection, one, language, PDF_SERVERS).pieces()), made)


def _page(connection: sa.Connection, one: store.Stored, language: str,
          most: int | None = None) -> page.Page:
    digits = tariffs.MINOR_DIGITS.get(
        one.head['totals'].get('currency') or '', 0)
    found = summary.of(stored.lines_of(connection, one),
                       page.times_of(one), digits)
    before = (store.find(connection, one.statement, one.revision - 1)
              if one.revision > 1 else None)
    return page.Page(one, found, before, language, most)


def file_name(one: store.Stored, form: str) -> str:
    """What a document is called: words that every file system takes."""
    owner = ''.join(letter for letter in one.project_id
                    if letter.isascii() and letter.isalnum()) or 'operator'
    revision = f'r{one.revision}' if one.revision else 'provisional'
    zone = re.sub('[^A-Za-z0-9+-]', '_', one.time_zone)
    return f'energy-{owner[:64]}-{one.period}-{zone}-{revision}.{form}'
