# SPDX-License-Identifier: Apache-2.0
"""A closed October, and who exports it.

No assertion belongs here.
"""

from __future__ import annotations

import dataclasses
import decimal
import pathlib
import tempfile
import unittest
from collections.abc import Sequence
from typing import Any

from energy_accounting import tariffs, wire
from energy_accounting.exports import sending, sources, targets
from energy_accounting.ledger import audit, engine
from energy_accounting.ledger import exports as outbox
from energy_accounting.ledger import statements as store
from energy_accounting.ledger import tariffs as tariff_store
from energy_accounting.statements import closing, lines
from tests.unit.statements import made, shown

SETTINGS = targets.Settings('Cloud & Söhne', 'EUR')
LATER_NS = made.NOW_NS + 3600 * 10 ** 9


def month(test: unittest.TestCase, *, price: str | None = '0.30',
          **tariff: Any) -> engine.Database:
    """Two instances of one project, one of another, and what is nobody's.

    A third project has a name, and used nothing.

    Closed by a tariff, if there is a price.
    """
    ledger = made.ledger(test)
    web = ledger.instance('web', 'p1', 'm1.small')
    ledger.book(web, 'compute-1', made.bucket(1), made.KWH, 2, 3, 4)
    ledger.book(web, 'compute-1', made.bucket(25, 99), 7 * made.KWH)
    ledger.book(ledger.instance('db', 'p1', '=cmd|calc'), 'compute-1',
                made.bucket(1), made.KWH // 3)
    ledger.book(ledger.instance('other', 'p2'), 'compute-1', made.bucket(1),
                13)
    ledger.domain('p3', 'd1')
    ledger.write()
    if price is not None:
        ledger.database.write(
            tariff_store.record, tariffs.Tariff(
                **{'name': 'standard', 'start_ns': made.OCTOBER.start_ns,
                   'end_ns': None, 'currency': 'EUR', 'quantity': tariffs.IT,
                   'price_per_kwh': decimal.Decimal(price),
                   'legal_basis': 'contract', **tariff}),
            made.NOW_NS - 10, made.ACTOR)
    for project in ('p1', 'p2'):
        made.close(ledger.database, project)
    return ledger.database


def late(database: engine.Database, instance: str = 'web',
         energy_uj: int = made.KWH) -> None:
    """What comes late, and the revision that it makes."""
    made.late(database, instance, 'p1', made.bucket(2), energy_uj)
    made.close(database, 'p1', now_ns=LATER_NS)


def sender(test: unittest.TestCase, database: engine.Database,
           ) -> sending.Sender:
    where = tempfile.TemporaryDirectory()
    test.addCleanup(where.cleanup)
    return sending.Sender(
        database, SETTINGS, pathlib.Path(where.name),
        audit.Actor('ann'), lambda: LATER_NS, lambda seconds: None)


def source(database: engine.Database, project_id: str | None = None,
           ) -> sources.Source:
    return sources.find(database, made.OCTOBER, project_id)


def export(who: sending.Sender, target: str, project_id: str | None = None,
           **options: str) -> outbox.Export:
    """Plan and send."""
    return sending.send(who, sending.plan(
        who, target, source(who.database, project_id), options))


def path(one: outbox.Export) -> pathlib.Path:
    (file,) = one.artifacts
    return pathlib.Path(one.destination) / str(file['name'])


def text(one: outbox.Export) -> str:
    return path(one).read_text()


def kept(database: engine.Database, project_id: str,
         found: Sequence[lines.Line], revision: int = 1, **more: Any,
         ) -> store.Stored:
    """A statement of some lines, whatever a ledger would say."""
    one, priced = shown.statement(
        sorted(found, key=lambda line: line.key), revision=revision, **more)
    values = dataclasses.asdict(dataclasses.replace(
        one, project_id=project_id, domain_id='d1', statement=store.id_of(
            project_id, one.period, one.time_zone)))
    del values['id']
    with database.writer() as connection:
        return store.insert(connection, values, closing.blocks_of(
            wire.to_json(lines.to_json(line, money=more.get('money', False)))
            for line in priced))
