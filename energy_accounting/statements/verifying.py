# SPDX-License-Identifier: Apache-2.0
"""A statement once more from the ledger, by the facts of its day.

By the factors, claims and tariffs that were known when it was closed: what
differs then is what was booked, or changed, since.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Iterator

from energy_accounting import errors, units
from energy_accounting.ledger import engine, retired
from energy_accounting.ledger import statements as store
from energy_accounting.statements import (
    closing,
    content,
    differences,
    periods,
    stored,
    supplied,
)

EQUAL = 'equal'
DIFFERS = 'differs'
RETIRED = 'retired'
DAMAGED = 'damaged'
RESULTS = (EQUAL, DIFFERS, RETIRED, DAMAGED)
"""The ledger says the same; it says something else; the rows by instance
were dropped; what is stored is not what its digest is of."""


@dataclasses.dataclass(frozen=True, slots=True)
class Verified:
    """What the ledger says of a statement.

    :ivar parts: of its head that differ.
    :ivar lines: that differ, so many of them as were asked for.
    :ivar differing: how many lines differ.
    :ivar it_uj: by how much more the ledger has.
    """

    result: str
    digest: str | None = None
    parts: tuple[str, ...] = ()
    lines: tuple[differences.Difference, ...] = ()
    differing: int = 0
    it_uj: int = 0


def verify(database: engine.Database, one: store.Stored, shown: int = 20,
           progress: Callable[[int], object] = lambda days: None,
           ) -> Verified:
    """Compare a revision with what the ledger says.

    :param shown: so many lines that differ are handed back.
    """
    try:
        kept_digest = database.read_current(_digest, one)
    except errors.Damaged:
        return Verified(DAMAGED)
    if kept_digest != one.digest:
        return Verified(DAMAGED)
    if units.bucket_of(one.start_ns) < database.read_current(
            retired.kept_since):
        return Verified(RETIRED)
    period = periods.period(one.period, one.time_zone)
    found = supplied.Supplied(period, one.as_of_ns)
    with closing.compute(database, one.project_id, period, found, progress,
                         exactly=True) as made:
        if made.digest == one.digest:
            return Verified(EQUAL, made.digest)
        kept: list[differences.Difference] = []
        number, it_uj = 0, 0
        with database.engine.connect() as connection:
            for each in differences.of_lines(
                    stored.lines_of(connection, one),
                    map(content.line, made.texts())):
                number += 1
                it_uj += differences.amounts(
                    each.was, each.became)['it_uj'] or 0
                if len(kept) < shown:
                    kept.append(each)
        return Verified(
            DIFFERS, made.digest,
            tuple(differences.of_heads(one.head, made.head)), tuple(kept),
            number, it_uj)


def _digest(connection: object, one: store.Stored) -> str:
    found = hashlib.sha256()
    texts: Iterator[str] = stored.document(
        connection, one)  # type: ignore[arg-type]
    for text in texts:
        found.update(text.encode())
    return found.hexdigest()


def chosen(database: engine.Database, statement: str,
           revision: int | None) -> store.Stored:
    """:raises errors.NotFound: there is no such statement, or revision."""
    found = database.read_current(store.find, statement, revision)
    if found is None:
        raise errors.NotFound(
            f'there is no statement {statement[:64]!r}'
            + ('' if revision is None else f' with a revision {revision}'))
    return found
