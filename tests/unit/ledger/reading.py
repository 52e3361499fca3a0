# SPDX-License-Identifier: Apache-2.0
"""What tests of reading share: a ledger to fill, a query to change.

No test belongs here; on another database they run with a ``new_database``
of their own.
"""

from __future__ import annotations

import itertools
import random
import zoneinfo
from typing import Any

from oslotest import base

from energy_accounting import units
from energy_accounting.ledger import engine, queries, usage
from tests.unit.ledger import filled

BERLIN = zoneinfo.ZoneInfo('Europe/Berlin')
KOLKATA = zoneinfo.ZoneInfo('Asia/Kolkata')
FIRST = filled.bucket('2026-11-01T00:00:00Z')


class LedgerCase(base.BaseTestCase):

    def setUp(self) -> None:
        super().setUp()
        self.database = self.new_database()
        self.ledger = filled.Filled(self.database)

    def new_database(self) -> engine.Database:
        return filled.sqlite(self)

    def query(self, **changes: Any) -> queries.UsageQuery:
        given = {'start': FIRST, 'end': FIRST + 96, 'resolution': 'total',
                 'where': units.UTC, 'group_by': ('project',), 'filters': {},
                 'as_of_ns': filled.NOW_NS, 'limit': 1000, **changes}
        return queries.UsageQuery(**given)

    def usage(self, **changes: Any) -> list[queries.LedgerSum]:
        with self.database.reader() as connection:
            return usage.read(connection, self.query(**changes))

    def energy(self, **changes: Any) -> dict[tuple[str, ...], int]:
        return {row.keys: row.it_uj for row in self.usage(**changes)}


def random_ledger(ledger: filled.Filled, chance: random.Random) -> int:
    """Rows of every kind; returns their energy within the first day."""
    ledger.host('h1')
    ledger.host('h2', site='west', region='west')
    ledger.host('h3', site='west', region='west', boundary='node')
    accounts = [
        ledger.instance(f'i{number}', chance.choice(['p1', 'p2', 'p3', None]),
                        chance.choice(['m1.small', 'm1.large', None]),
                        chance.choice(['u1', None]))
        for number in range(12)]
    accounts += [ledger.account('service', name='kubernetes'),
                 ledger.account('unallocated', name='idle_capacity')]
    ledger.domain('p1', 'd1')
    ledger.domain('p2', 'd1')
    for account in accounts[:12:3]:
        ledger.claim(account, 'p2', chance.randrange(filled.NOW_NS))
    total = 0
    for account, number in itertools.product(
            accounts, range(FIRST - 4, FIRST + 100, 8)):
        for host in chance.sample(['h1', 'h2', 'h3'], chance.choice([1, 2])):
            terms = [chance.randrange(10**12) for _ in range(4)]
            memory = terms[2] if host != 'h1' else None
            ledger.book(account, host, number, terms[0], terms[1], memory,
                        terms[3], backfilled_uj=chance.choice(
                            [0, terms[0] // 2]),
                        vcpu_ns=chance.choice([1, 2, 8]) * 900 * 10**9)
            if FIRST <= number < FIRST + 96:
                total += terms[0] + terms[1] + (memory or 0) + terms[3]
    broken: dict[tuple[str, int], int] = {}
    for number in range(FIRST - 4, FIRST + 100, 16):
        broken['h2', number] = chance.randrange(900 * 10**9)
    for (host, number), measured_ns in broken.items():
        ledger.measured(host, number, measured_ns)
    ledger.write()
    return total
